/* Small fixed answers: the page for people without the dashboard, probes, version, capabilities, the contract, the event stream. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/contract.h"
#include "api/handlers.h"
#include "api/health.h"
#include "api/request.h"
#include "api/service.h"
#include "clock.h"
#include "cluster/config.h"

#define TEXT "text/plain; charset=utf-8"

/* Anyone may see it: it says whether all is well, not what is wrong. */
static void answer_plain_page(struct request *rq)
{
	static const char *const sentences[] = { "Everything is served.", "Served, with warnings.", "Something is wrong." };
	enum health health;
	char *text;

	json_decref(health_view(rq->service, &health));
	if (asprintf(&text,
		     "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Lunette</title>"
		     "<style>body{font:1rem/1.5 system-ui,sans-serif;margin:4rem auto;max-width:40rem;padding:0 1rem}"
		     "</style></head><body><h1>Lunette %s</h1><p>%s</p>"
		     "<p>The REST service is at <code>/api/v1</code>; its contract is "
		     "<a href=\"/openapi.yaml\">openapi.yaml</a>. "
		     "<code>lunette status</code> tells more.</p>"
		     "<p>The dashboard is not installed: <code>make web</code> builds it; then start lunetted again, or name its "
		     "directory with <code>--web DIR</code>.</p></body></html>\n",
		     LUNETTE_VERSION, sentences[health]) < 0)
		text = NULL;
	answer_text(rq, 200, "text/html; charset=utf-8", text);
}

void get_front_page(struct request *rq)
{
	const struct asset *index = assets_find(&rq->service->assets, "index.html");

	if (index)
		answer_asset(rq, index);
	else
		answer_plain_page(rq);
}

void get_livez(struct request *rq)
{
	answer_text(rq, 200, TEXT, strdup("ok\n"));
}

void get_readyz(struct request *rq)
{
	bool ready = workers_all_served(&rq->service->workers) && !rq->service->stopping;

	answer_text(rq, ready ? 200 : 503, TEXT, strdup(ready ? "ok\n" : "not ready\n"));
}

void get_contract(struct request *rq)
{
	strcpy(rq->answer.cache_control, "no-cache");
	answer_text(rq, 200, "application/yaml", strdup(contract_yaml));
}

void get_version(struct request *rq)
{
	char time[CLOCK_TEXT_LEN];

	clock_format(rq->service->started_ms, time);
	answer_json(rq, 200, json_pack("{s:s, s:s, s:s, s:s}", "name", "lunette", "version", LUNETTE_VERSION, "api", "v1",
				       "control_started_at", time), NULL);
}

void get_capabilities(struct request *rq)
{
	const struct service *s = rq->service;

	answer_json(rq, 200,
		    json_pack("{s:[s,s,s,s], s:[s], s:[i,i], s:[s,s,s,s], s:{s:i,s:I,s:I,s:i,s:i,s:i}, s:i, s:i}", "stores", "file",
			      "memory", "null", "fault", "transports", "tcp", "block_sizes", 512, 4096, "chap_algorithms",
			      "md5", "sha1", "sha256", "sha3-256", "limits", "luns", (int)config_kinds[CONFIG_LUN].limit,
			      "lun_min_bytes", (json_int_t)CONFIG_LUN_MIN_BYTES, "lun_max_bytes",
			      (json_int_t)CONFIG_LUN_MAX_BYTES, "targets", (int)config_kinds[CONFIG_TARGET].limit,
			      "portals", (int)config_kinds[CONFIG_PORTAL].limit, "tokens", AUTH_TOKENS_MAX, "workers",
			      (int)s->workers.count, "reactors", (int)s->options->reactor_count),
		    NULL);
}

void get_events(struct request *rq)
{
	if (rq->service->events.stream_count >= EVENT_STREAMS_MAX)
		answer_error(rq, 503, "too-many-streams", "There are %d event streams already.", EVENT_STREAMS_MAX);
	else
		answer_stream(rq, events_join(&rq->service->events, rq->last_event_id));
}
