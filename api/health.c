/* Health: see health.h. */
#include "api/health.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/request.h"

#define DISK_WARNING_PERCENT 10
#define DISK_ERROR_PERCENT   2
#define RESTARTS_WORRYING    3
#define RESTART_CALM_MS      60000 /* a worker that ran this long is well again */
#define REASONS_MAX          200

static const char *const health_names[] = { "ok", "warning", "error" };

struct reasons {
	json_t *list;
	enum health worst;
};

/* Takes detail. */
static void add(struct reasons *r, enum health severity, const char *object, json_t *detail, const char *remedy)
{
	if (severity > r->worst)
		r->worst = severity;
	if (json_array_size(r->list) >= REASONS_MAX) {
		json_decref(detail);
		return;
	}
	json_array_append_new(r->list, json_pack("{s:s, s:s, s:o, s:s}", "severity", health_names[severity], "object", object,
						 "detail", detail, "remedy", remedy));
}

static void check_worker(struct reasons *r, const struct worker *w)
{
	const struct msg_WORKER_STATE *state = &w->state;
	char object[32];

	snprintf(object, sizeof object, "worker:%u", w->index);
	if (!worker_up(w))
		add(r, HEALTH_ERROR, object,
		    json_sprintf("worker%u is not running (%s); started %u times, next try in %" PRIu64 " ms", w->index,
				 state->last_exit[0] ? state->last_exit : "starting", state->starts, state->retry_in_ms),
		    "Its targets are back when it is. If it does not stay up, read its lines in the log.");
	else if (state->starts >= RESTARTS_WORRYING && state->uptime_ms < RESTART_CALM_MS)
		add(r, HEALTH_WARNING, object,
		    json_sprintf("worker%u was started %u times; it ended last with: %s", w->index, state->starts,
				 state->last_exit),
		    "Read its lines in the log and report them.");
	else if (w->served < w->workers->generation && w->sent < w->workers->generation)
		add(r, HEALTH_WARNING, object, json_sprintf("worker%u has not applied the newest configuration yet", w->index),
		    "Wait a moment; if this stays, restart the daemon.");
}

static void check_errors(struct reasons *r, const struct worker *w)
{
	json_t *row;
	size_t i;

	json_array_foreach(w->errors, i, row) {
		const char *object = json_string_value(json_object_get(row, "object"));
		json_t *text = json_object_get(row, "text");

		if (object && text)
			add(r, HEALTH_ERROR, object, json_incref(text),
			    "Check the store that holds it: is the directory there, readable, and not full?");
	}
}

static void check_portals(struct reasons *r, const struct portals *portals)
{
	char object[PORTAL_NAME_MAX + 16];

	list_for_each(pos, &portals->list) {
		const struct portal *portal = container_of(pos, struct portal, link);

		if (portal->fd >= 0)
			continue;
		snprintf(object, sizeof object, "portal:%s", portal->name);
		add(r, HEALTH_ERROR, object, json_string(portal->trouble),
		    "Free the address or give the portal another one; it is tried again every two seconds.");
	}
}

static void check_disk(struct reasons *r, const struct service *s)
{
	uint64_t percent = s->disk_total_bytes ? s->disk_free_bytes * 100 / s->disk_total_bytes : 100;

	if (percent < DISK_WARNING_PERCENT)
		add(r, percent < DISK_ERROR_PERCENT ? HEALTH_ERROR : HEALTH_WARNING, "disk",
		    json_sprintf("the file system of the state directory has %" PRIu64 " %% left", percent),
		    "Free space or grow it before thin LUNs can no longer be written.");
	if (s->audit.failed)
		add(r, HEALTH_ERROR, "audit", json_string("the last change could not be written to the audit log"),
		    "Look at the state directory: is it full or read only?");
}

/* What the workers say about the space that the LUNs have; the first that holds is told. */
static const struct {
	enum stats_counter gauge;
	enum health severity;
	const char *detail, *remedy;
} space_rows[] = {
	{ STAT_store_full, HEALTH_ERROR, "writes fail, its store is full",
	  "Free space in the store or grow it: writes go on by themselves. Look at the initiators, too: many make a file "
	  "system read-only when a write has failed." },
	{ STAT_space_short, HEALTH_WARNING, "less of its store is free than its space_threshold_percent",
	  "Grow the store, move LUNs away, or let the initiators discard (fstrim) what they do not use." },
};

static void check_space(struct reasons *r, const struct service *s)
{
	struct counters *list;
	size_t count = workers_collect(&s->workers, 0, &list);
	char object[STATS_NAME_MAX + 8];

	for (size_t i = 0; i < count; i++) {
		size_t row = 0, rows = list[i].object.kind == OBJECT_LUN ? sizeof space_rows / sizeof space_rows[0] : 0;

		while (row < rows && !list[i].value[space_rows[row].gauge])
			row++;
		if (row == rows)
			continue;
		snprintf(object, sizeof object, "lun:%s", list[i].object.name);
		add(r, space_rows[row].severity, object, json_string(space_rows[row].detail), space_rows[row].remedy);
	}
	free(list);
}

static void check_monitor(struct reasons *r, const struct monitoring *m)
{
	if (m->monitor && monitor_state(m->monitor).paused)
		add(r, HEALTH_WARNING, "history", json_string("no history is recorded: there is no space for it"),
		    "Free space on the file system of the state directory; recording goes on by itself.");
}

json_t *health_view(const struct service *s, enum health *ret_health)
{
	struct reasons r = { .list = json_array(), .worst = HEALTH_OK };
	size_t count;
	json_t *summary;

	for (unsigned i = 0; i < s->workers.count; i++) {
		check_worker(&r, &s->workers.worker[i]);
		check_errors(&r, &s->workers.worker[i]);
	}
	check_portals(&r, &s->portals);
	check_disk(&r, s);
	check_space(&r, s);
	check_monitor(&r, &s->monitoring);
	count = json_array_size(r.list);
	summary = count == 0 ? json_string("Everything is served.") :
			       json_sprintf("%zu thing%s to look at.", count, count == 1 ? "" : "s");
	if (ret_health)
		*ret_health = r.worst;
	return json_pack("{s:s, s:o, s:o}", "status", health_names[r.worst], "summary", summary, "reasons", r.list);
}

void get_health(struct request *rq)
{
	answer_json(rq, 200, health_view(rq->service, NULL), NULL);
}
