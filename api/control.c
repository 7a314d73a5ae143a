/*
 * Entry of the control process: see control.h.
 *
 *   supervisor's KEPT_FD, PEER, STATS ... BEGIN -> documents -> HTTP sockets -> portals of the command line -> loop
 */
#include "api/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/lun_objects.h"
#include "api/service.h"
#include "clock.h"
#include "cluster/secrets.h"
#include "log.h"

#define DEFAULT_HTTP      "127.0.0.1:3261"
#define DEFAULT_PORTAL    "127.0.0.1:3260" /* while no portal is configured */
#define BEGIN_WAIT_MS     10000
#define READY_PATIENCE_MS 10000 /* then READY all the same: health says which worker is missing */
#define TURN_MAX_MS       1000
#define HOUSEKEEPING_MS   30000
#define REAP_EVERY        20      /* rounds of housekeeping */
#define REAP_AGE_S        3600
#define VERSIONS_KEPT     16
#define PEM_MAX           (1024 * 1024)

struct control {
	struct service service;
	struct loop_watch supervisor;
	struct loop_timer patience, housekeeping;
	struct offload_job reap;
	bool begun, reaping, stop;
	unsigned rounds; /* of housekeeping */
	int status;
	char http[CONTROL_ADDRESSES_MAX * 80]; /* where REST answers: "127.0.0.1:3261,[::1]:3261" */
	uint8_t buffer[CHANNEL_MESSAGE_MAX];
};

/* --- the supervisor --- */

static void on_worker_state(struct service *s, const struct msg_WORKER_STATE *state)
{
	char object[32];

	if (state->index < WORKERS_MAX && state->starts > 1 && s->workers.worker[state->index].state.starts != state->starts) {
		snprintf(object, sizeof object, "worker:%u", state->index);
		events_add(&s->events, "worker", object, "started again (%u times); it ended with: %s", state->starts,
			   state->last_exit);
	}
	workers_state(&s->workers, state);
}

static void on_message(struct control *c, const struct message *m)
{
	struct service *s = &c->service;

	switch (m->kind) {
	case MSG_KEPT_FD:
		portals_kept(&s->portals, m->as.KEPT_FD.name, m->as.KEPT_FD.fd);
		break;
	case MSG_PEER:
		workers_peer(&s->workers, &m->as.PEER);
		break;
	case MSG_STATS:
		workers_stats(&s->workers, &m->as.STATS);
		break;
	case MSG_WORKER_STATE:
		on_worker_state(s, &m->as.WORKER_STATE);
		break;
	case MSG_BEGIN:
		s->workers.count = m->as.BEGIN.worker_count <= WORKERS_MAX ? m->as.BEGIN.worker_count : WORKERS_MAX;
		c->begun = true;
		break;
	case MSG_DRAIN:
		c->stop = true;
		break;
	default:
		break;
	}
}

static void on_supervisor(struct loop_watch *watch)
{
	struct control *c = container_of(watch, struct control, supervisor);
	struct message message;
	int error = channel_receive(watch->fd, ROLE_SUPERVISOR, ROLE_CONTROL, c->buffer, &message);

	if (error == 0) {
		on_message(c, &message);
	} else if (error == -EBADMSG) {
		log_error("the supervisor sent a message that makes no sense, dropped");
	} else if (error != -EAGAIN) {
		log_notice("the supervisor is gone");
		c->status = 1;
		c->stop = true;
	}
}

/* Nothing can be served. At the first start that ends the daemon; later the workers go on without us, and the supervisor
 * starts us again. */
static int fatal(struct control *c, const char *text)
{
	struct msg_FATAL message = { .status = 1 };

	snprintf(message.text, sizeof message.text, "%s", text);
	if (!c->service.portals.anything_kept)
		channel_send(c->supervisor.fd, MSG_FATAL, &message);
	log_error("%s", text);
	return 1;
}

static void wait_for_begin(struct control *c)
{
	uint64_t deadline_ns = clock_now_ns() + BEGIN_WAIT_MS * NS_PER_MS;

	while (!c->begun && !c->stop && clock_now_ns() < deadline_ns)
		loop_turn(&c->service.loop, TURN_MAX_MS);
}

/* --- HTTP --- */

static char *read_pem(const char *path, int opened_fd, struct err *err)
{
	int fd = opened_fd ? opened_fd : open(path, O_RDONLY | O_CLOEXEC); /* which says why it cannot be */
	char *text = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		err_errno(err, -errno, "cannot read %s", path);
	} else if (st.st_size <= 0 || st.st_size > PEM_MAX) {
		err_set(err, -EINVAL, "%s is no PEM file", path);
	} else {
		text = calloc(1, (size_t)st.st_size + 1);
		if (text && read(fd, text, (size_t)st.st_size) != st.st_size) {
			err_errno(err, -EIO, "cannot read %s", path);
			free(text);
			text = NULL;
		}
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static int open_http(struct control *c, const char *address, const char *certificate, const char *key, struct err *err)
{
	char name[256], bound[80];
	int fd, error;

	if (!certificate && !c->service.options->allow_insecure && !address_is_loopback(address))
		return err_set(err, -EPERM, "--http %s is not a loopback address: REST there needs TLS (--tls-cert and "
					    "--tls-key)", address);
	snprintf(name, sizeof name, "http:%s", address);
	fd = portals_take_kept(&c->service.portals, name);
	if (fd < 0) {
		fd = socket_listen(address, bound, err);
		if (fd < 0)
			return fd;
		portals_keep(&c->service.portals, name, fd);
	} else {
		socket_bound(fd, bound);
	}
	error = http_listen(c->service.http, fd, certificate, key, err);
	if (error) {
		close(fd);
		return error;
	}
	snprintf(c->http + strlen(c->http), sizeof c->http - strlen(c->http), "%s%s", c->http[0] ? "," : "", bound);
	return 0;
}

static int start_http(struct control *c, struct err *err)
{
	const struct control_options *o = c->service.options;
	char *certificate = NULL, *key = NULL;
	unsigned count = o->http_address_count ? o->http_address_count : 1;
	int error = 0;

	c->service.http = http_new(&c->service, &c->service.loop);
	if (!c->service.http)
		return err_set(err, -ENOMEM, "no memory for the HTTP service");
	if (o->tls_certificate_path) {
		certificate = read_pem(o->tls_certificate_path, o->tls_certificate_fd, err);
		key = certificate ? read_pem(o->tls_key_path, o->tls_key_fd, err) : NULL;
		error = key ? 0 : -EINVAL;
	}
	for (unsigned i = 0; i < count && !error; i++)
		error = open_http(c, o->http_address_count ? o->http_addresses[i] : DEFAULT_HTTP, certificate, key, err);
	if (key)
		explicit_bzero(key, strlen(key));
	free(certificate);
	free(key);
	return error;
}

/* --- portals of the command line --- */

/* --portal is the administrator's word at this start: it wins over what the configuration says of that name. */
static int put_portal(struct control *c, const char *name, const char *address, struct err *err)
{
	struct service *s = &c->service;
	struct config_ref ref = { CONFIG_PORTAL, name, NULL };
	const char *have = json_string_value(json_object_get(config_find(s->config, &ref), "address"));
	struct config_request request = { .op = CONFIG_PUT, .ref = ref, .precondition = { .optional = true } };
	struct config_result result = { 0 };
	struct problem problem = { 0 };
	json_t *body;
	uint64_t version;
	int rc;

	if (have && strcmp(have, address) == 0)
		return 0;
	if (have)
		request.op = CONFIG_PATCH;
	body = json_pack("{s:s}", "address", address);
	request.body = body;
	rc = config_commit(s->docs, &request, NULL, false, &result, &version, &problem, err);
	json_decref(body);
	if (rc > 0)
		return err_set(err, -EINVAL, "--portal %s: %s", address, problem.detail);
	if (rc < 0)
		return err_wrap(err, "--portal %s", address);
	service_take_config(s, json_incref(result.config), version);
	config_result_fini(&result);
	return 0;
}

static int put_portals(struct control *c, struct err *err)
{
	const struct control_options *o = c->service.options;
	int error = 0;

	if (o->portal_address_count == 0 && json_object_size(config_map(c->service.config, CONFIG_PORTAL, NULL)) == 0)
		return put_portal(c, "default", DEFAULT_PORTAL, err);
	for (unsigned i = 0; i < o->portal_address_count && !error; i++) {
		char name[32] = "default";

		if (i > 0)
			snprintf(name, sizeof name, "default%u", i + 1);
		error = put_portal(c, name, o->portal_addresses[i], err);
	}
	return error;
}

/* At the first start a --portal that cannot be bound ends the daemon; one of the configuration does not. */
static int check_portals(struct control *c, struct err *err)
{
	const struct control_options *o = c->service.options;

	for (unsigned i = 0; i < o->portal_address_count; i++) {
		char name[32] = "default";
		const struct portal *portal;

		if (i > 0)
			snprintf(name, sizeof name, "default%u", i + 1);
		portal = portals_find(&c->service.portals, name);
		if (portal && portal->fd < 0)
			return err_set(err, -EADDRINUSE, "--portal %s: %s", o->portal_addresses[i], portal->trouble);
	}
	return 0;
}

/* --- readiness and housekeeping --- */

static void say_ready(struct control *c)
{
	struct msg_READY message;
	size_t n = (size_t)snprintf(message.text, sizeof message.text, "http=%s portal=", c->http);
	const char *comma = "";

	list_for_each(pos, &c->service.portals.list) {
		const struct portal *portal = container_of(pos, struct portal, link);

		if (portal->fd >= 0 && n < sizeof message.text) {
			n += (size_t)snprintf(message.text + n, sizeof message.text - n, "%s%s", comma, portal->bound);
			comma = ",";
		}
	}
	channel_send(c->supervisor.fd, MSG_READY, &message);
	c->service.ready = true;
	loop_timer_stop(&c->patience);
}

static void out_of_patience(struct loop_timer *timer)
{
	say_ready(container_of(timer, struct control, patience));
}

/* CHAP secrets that a crash between two publishes left behind (cluster/secrets.h). */
static int sweep_secrets(json_t **content, uint64_t version, void *arg, struct err *err)
{
	struct service *s = arg;
	json_t *config = NULL;
	uint64_t config_version;
	int swept;

	(void)version;
	if (!*content || docstore_load(s->docs, CONFIG_DOCUMENT, &config, &config_version, err))
		return 1;
	swept = secrets_sweep(*content, config, clock_wall_ms(), SECRETS_ORPHAN_AGE_MS);
	json_decref(config);
	return swept > 0 ? 0 : 1;
}

static void reap_work(struct offload_job *job)
{
	struct control *c = container_of(job, struct control, reap);
	struct service *s = &c->service;
	struct err err = { 0 };

	if (docstore_reap(s->docs, REAP_AGE_S, VERSIONS_KEPT, &err) < 0)
		log_warning("cannot tidy the documents: %s", err.text);
	if (lun_objects_reap(s->docs, s->options->state_dir, REAP_AGE_S, &err) < 0)
		log_warning("cannot tidy the stores: %s", err.text);
	if (docstore_update(s->docs, SECRETS_DOCUMENT, sweep_secrets, s, NULL, &err) < 0)
		log_warning("cannot tidy the secrets: %s", err.text);
}

static void reap_done(struct offload_job *job)
{
	container_of(job, struct control, reap)->reaping = false;
}

static void housekeeping(struct loop_timer *timer)
{
	struct control *c = container_of(timer, struct control, housekeeping);
	struct service *s = &c->service;
	struct statvfs space;

	if (statvfs(s->options->state_dir, &space) == 0) {
		s->disk_total_bytes = (uint64_t)space.f_blocks * space.f_frsize;
		s->disk_free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
	}
	if (!c->reaping && c->rounds++ % REAP_EVERY == 0) {
		c->reaping = true;
		c->reap.work = reap_work;
		c->reap.done = reap_done;
		offload_submit(s->pool, &c->reap, &s->mailbox);
	}
	loop_timer_start(&s->loop, timer, HOUSEKEEPING_MS);
}

/* --- life --- */

static int start(struct control *c, struct err *err)
{
	struct service *s = &c->service;
	bool first = !s->portals.anything_kept;
	int error = start_http(c, err);

	if (!error && first)
		error = put_portals(c, err);
	if (error)
		return error;
	service_apply(s);
	if (first)
		error = check_portals(c, err);
	portals_drop_kept(&s->portals);
	return error;
}

static void run(struct control *c)
{
	struct service *s = &c->service;

	loop_timer_init(&c->patience, out_of_patience);
	loop_timer_init(&c->housekeeping, housekeeping);
	loop_timer_start(&s->loop, &c->patience, READY_PATIENCE_MS);
	loop_timer_start(&s->loop, &c->housekeeping, 0);
	while (!c->stop) {
		loop_turn(&s->loop, http_wait_ms(s->http, TURN_MAX_MS));
		http_turn(s->http);
		if (!s->ready && workers_all_served(&s->workers))
			say_ready(c);
	}
	loop_timer_stop(&c->patience);
	loop_timer_stop(&c->housekeeping);
}

static int live(struct control *c)
{
	struct err err = { 0 };

	if (loop_watch(&c->service.loop, &c->supervisor))
		return fatal(c, "cannot watch the channel to the supervisor");
	wait_for_begin(c);
	if (c->stop)
		return c->status;
	if (!c->begun)
		return fatal(c, "the supervisor did not say BEGIN");
	if (service_load(&c->service, &err) || start(c, &err))
		return fatal(c, err.text);
	run(c);
	return c->status;
}

int control_main(const struct control_options *options)
{
	struct control *c = calloc(1, sizeof *c);
	struct err err = { 0 };
	int status;

	if (!c)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	c->supervisor.fd = options->supervisor_fd;
	c->supervisor.ready = on_supervisor;
	if (service_init(&c->service, options, &err))
		status = fatal(c, err.text);
	else
		status = live(c);
	service_fini(&c->service);
	free(c);
	return status;
}
