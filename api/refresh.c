#include "api/refresh.h"

#include "api/service.h"
#include "cluster/commit.h"
#include "cluster/secrets.h"
#include "cluster/serve.h"
#include "log.h"

static void read_all(struct offload_job *job)
{
	struct refresh *r = container_of(job, struct refresh, job);
	struct docstore *docs = r->service->docs;

	r->rc = docstore_load(docs, SECRETS_DOCUMENT, &r->secrets, &r->secrets_version, &r->err);
	if (r->rc == 0)
		r->rc = docstore_load(docs, CONFIG_DOCUMENT, &r->config, &r->config_version, &r->err);
	if (r->rc == 0)
		r->rc = serve_load_maps(docs, r->config, &r->maps, &r->err);
}

static void drop(struct refresh *r)
{
	json_decref(r->config);
	json_decref(r->secrets);
	json_decref(r->maps);
	r->config = r->secrets = r->maps = NULL;
}

static void take(struct refresh *r)
{
	struct service *s = r->service;

	service_take_secrets(s, json_incref(r->secrets), r->secrets_version);
	if (r->config_version >= s->config_version) { /* else a change came meanwhile, with its maps */
		json_decref(s->maps);
		s->maps = json_incref(r->maps);
	}
	service_take_config(s, json_incref(r->config), r->config_version);
	service_apply(s);
}

static void start(struct loop_timer *timer)
{
	struct refresh *r = container_of(timer, struct refresh, timer);

	r->reading = true;
	r->wanted = false;
	offload_submit(r->service->pool, &r->job, &r->service->mailbox);
}

static void read_done(struct offload_job *job)
{
	struct refresh *r = container_of(job, struct refresh, job);

	r->reading = false;
	if (r->rc == 0)
		take(r);
	else
		log_limited(LOG_WARNING, "cannot read the documents again: %s", r->err.text);
	drop(r);
	if ((r->rc < 0 || r->wanted) && !r->service->stopping)
		loop_timer_start(&r->service->loop, &r->timer, REFRESH_AGAIN_MS);
}

void refresh_init(struct refresh *r, struct service *service)
{
	r->service = service;
	r->job.work = read_all;
	r->job.done = read_done;
	loop_timer_init(&r->timer, start);
}

void refresh_fini(struct refresh *r)
{
	loop_timer_stop(&r->timer);
	drop(r);
}

void refresh_want(struct refresh *r)
{
	r->wanted = true;
	if (!r->reading && !loop_timer_running(&r->timer))
		loop_timer_start(&r->service->loop, &r->timer, 0);
}
