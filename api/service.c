/* The state of control: see service.h. */
#include "api/service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/lun_objects.h"
#include "clock.h"
#include "cluster/placement.h"
#include "cluster/secrets.h"
#include "cluster/serve.h"
#include "json_text.h"
#include "log.h"

#define POOL_THREADS 4

/* --- the first token --- */

static int write_token_file(const char *state_dir, const char *token, struct err *err)
{
	char path[512], text[AUTH_TOKEN_TEXT + 1];
	int fd, len, error = 0;

	snprintf(path, sizeof path, "%s/admin.token", state_dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, -errno, "cannot write %s", path);
	len = snprintf(text, sizeof text, "%s\n", token);
	if (fchmod(fd, 0600) || write(fd, text, (size_t)len) != len || fsync(fd))
		error = err_errno(err, -errno, "cannot write %s", path);
	close(fd);
	explicit_bzero(text, sizeof text);
	return error;
}

struct first_token {
	const char *state_dir;
};

/* The file is written first: a crash in between costs a token that is nobody's, not a daemon that nobody can enter. */
static int make_first_token(json_t **content, uint64_t version, void *arg, struct err *err)
{
	struct first_token *first = arg;
	char token[AUTH_TOKEN_TEXT];
	json_t *entry, *tokens;
	int error;

	(void)version;
	if (json_object_size(json_object_get(*content, "tokens")) > 0)
		return 1;
	entry = auth_new_token(ACCESS_ADMIN, 0, clock_wall_ms(), token);
	if (!entry)
		return err_set(err, -EIO, "the kernel gives no random bytes");
	error = write_token_file(first->state_dir, token, err);
	explicit_bzero(token, sizeof token);
	if (!*content)
		*content = json_object();
	tokens = json_pack("{s:o}", "admin", entry);
	if (!error && json_object_set_new(*content, "tokens", tokens))
		error = err_set(err, -ENOMEM, "no memory for the first token");
	return error;
}

/* --- documents --- */

static int load_documents(struct service *s, struct err *err)
{
	struct first_token first = { s->options->state_dir };
	json_t *config, *secrets;
	uint64_t version;
	int error;

	error = docstore_update(s->docs, SECRETS_DOCUMENT, make_first_token, &first, NULL, err);
	if (error < 0)
		return error;
	error = docstore_load(s->docs, SECRETS_DOCUMENT, &secrets, &version, err);
	if (error)
		return error;
	service_take_secrets(s, secrets, version);
	error = docstore_load(s->docs, CONFIG_DOCUMENT, &config, &version, err);
	if (error)
		return error;
	service_take_config(s, config, version);
	return serve_load_maps(s->docs, s->config, &s->maps, err);
}

void service_take_config(struct service *s, json_t *config, uint64_t version)
{
	if (version < s->config_version) {
		json_decref(config);
		return;
	}
	json_decref(s->config);
	s->config = config;
	s->config_version = version;
}

void service_take_secrets(struct service *s, json_t *secrets, uint64_t version)
{
	if (version < s->secrets_version) {
		json_decref(secrets);
		return;
	}
	json_decref(s->secrets);
	s->secrets = secrets;
	s->secrets_version = version;
	if (auth_load(&s->auth, json_object_get(secrets, "tokens")))
		log_error("no memory for the tokens: the old ones stay valid");
}

void service_apply(struct service *s)
{
	unsigned workers = s->workers.count ? s->workers.count : 1;
	json_t *placement;

	json_memory_begin();
	placement = placement_compute(s->config, workers, s->placement);
	if (placement && json_memory_sufficed()) {
		json_decref(s->placement);
		s->placement = json_incref(placement);
	} else {
		refresh_want(&s->refresh); /* with the old one what is new is served by nobody */
	}
	json_decref(placement);
	portals_apply(&s->portals, config_map(s->config, CONFIG_PORTAL, NULL));
	workers_publish(&s->workers, ++s->generation);
	monitoring_know(&s->monitoring);
}

/* --- what the workers call --- */

/* Portal name -> the address that it is bound to. */
static json_t *bound_addresses(struct service *s)
{
	json_t *bound = json_object();

	list_for_each(pos, &s->portals.list) {
		const struct portal *portal = container_of(pos, struct portal, link);

		if (portal->fd >= 0)
			json_object_set_new(bound, portal->name, json_string(portal->bound));
	}
	return bound;
}

static json_t *make_document(struct workers *workers, unsigned worker)
{
	struct service *s = container_of(workers, struct service, workers);
	json_t *missing = NULL, *document, *bound = bound_addresses(s);
	struct serve_input input = {
		.config = s->config, .secrets = s->secrets, .maps = s->maps, .placement = s->placement,
		.worker = worker, .generation = s->generation, .state_dir = s->options->state_dir,
		.bound = bound,
	};

	document = serve_document(&input, &missing);
	if (json_array_size(missing))
		log_warning("LUNs without a map are not served worker=%u luns=%zu", worker, json_array_size(missing));
	json_decref(missing);
	json_decref(bound);
	return document;
}

static void on_event(struct workers *workers, unsigned worker, const struct msg_EVENT *event)
{
	struct service *s = container_of(workers, struct service, workers);
	char kind[64];

	/* a kind becomes a line of an event stream: nothing but a word */
	snprintf(kind, sizeof kind, "%.*s",
		 (int)strspn(event->kind, "abcdefghijklmnopqrstuvwxyz0123456789-_"), event->kind);
	(void)worker;
	events_add(&s->events, kind[0] ? kind : "event", event->object, "%s", event->text);
}

static void on_served(struct workers *workers, struct worker *worker)
{
	struct service *s = container_of(workers, struct service, workers);
	json_t *row;
	size_t i;

	if (!worker->listens) {
		worker->listens = true;
		portals_send_to(&s->portals, worker);
	}
	json_array_foreach(worker->errors, i, row)
		log_limited(LOG_WARNING, "worker%u cannot serve object=%s: %s", worker->index,
			    log_quoted(json_string_value(json_object_get(row, "object"))),
			    log_quoted(json_string_value(json_object_get(row, "text"))));
}

const char *service_trouble(const struct service *s, const char *object)
{
	for (unsigned i = 0; i < s->workers.count; i++) {
		json_t *row;
		size_t n;

		json_array_foreach(s->workers.worker[i].errors, n, row) {
			const char *name = json_string_value(json_object_get(row, "object"));

			if (name && strcmp(name, object) == 0)
				return json_string_value(json_object_get(row, "text"));
		}
	}
	return NULL;
}

/* --- life --- */

static void on_mail(struct loop_watch *watch)
{
	mailbox_run(&container_of(watch, struct service, mailbox_watch)->mailbox);
}

static int init_parts(struct service *s, struct err *err)
{
	int error = loop_init(&s->loop);

	if (!error)
		error = mailbox_init(&s->mailbox);
	if (!error) {
		s->mailbox_watch.fd = mailbox_fd(&s->mailbox);
		s->mailbox_watch.ready = on_mail;
		error = loop_watch(&s->loop, &s->mailbox_watch);
	}
	if (!error)
		error = workers_init(&s->workers, &s->loop);
	if (!error)
		error = auth_init(&s->auth);
	s->pool = error ? NULL : offload_new(POOL_THREADS);
	if (error || !s->pool)
		return err_errno(err, error ? error : -ENOMEM, "cannot start the control process");
	s->workers.make = make_document;
	s->workers.event = on_event;
	s->workers.served = on_served;
	events_init(&s->events, &s->loop);
	operations_init(&s->operations);
	refresh_init(&s->refresh, s);
	portals_init(&s->portals, &s->loop, &s->workers, s->options->supervisor_fd);
	return 0;
}

int service_init(struct service *s, const struct control_options *options, struct err *err)
{
	memset(s, 0, sizeof *s);
	s->options = options;
	s->loop.epoll_fd = s->audit.fd = s->mailbox.event_fd = -1;
	s->started_ms = clock_wall_ms();
	s->generation = s->started_ms;
	s->patience_ms = OPERATION_PATIENCE_MS;
	list_init(&s->portals.list);
	list_init(&s->portals.kept);
	list_init(&s->operations.list);
	list_init(&s->refresh.timer.link);
	return init_parts(s, err);
}

int service_load(struct service *s, struct err *err)
{
	char root[512];
	int error = audit_open(&s->audit, s->options->state_dir, err);

	if (!error)
		error = s->options->web_fd ? assets_read(&s->assets, s->options->web_fd, err) :
					     assets_load(&s->assets, s->options->web_dir, err);
	if (error)
		return error;
	snprintf(root, sizeof root, "%s/documents", s->options->state_dir);
	s->docs = docstore_open(root, "control", err);
	if (!s->docs)
		return err->code ? err->code : -EIO;
	error = load_documents(s, err);
	return error ? error : monitoring_start(&s->monitoring, s, err);
}

void service_fini(struct service *s)
{
	s->stopping = true;
	if (s->pool) {
		offload_free(s->pool); /* waits for what was submitted; its done() runs now */
		mailbox_run(&s->mailbox);
	}
	refresh_fini(&s->refresh);
	monitoring_stop(&s->monitoring);
	if (s->workers.buffer)
		workers_fini(&s->workers); /* ends what waits for workers */
	http_free(s->http);
	portals_fini(&s->portals);
	operations_fini(&s->operations);
	events_fini(&s->events);
	audit_close(&s->audit);
	auth_fini(&s->auth);
	assets_free(&s->assets);
	if (s->docs)
		docstore_close(s->docs);
	json_decref(s->config);
	json_decref(s->secrets);
	json_decref(s->maps);
	json_decref(s->placement);
	mailbox_fini(&s->mailbox);
	loop_fini(&s->loop);
}
