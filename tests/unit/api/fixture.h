/*
 * A whole control service in a test program, without sockets: a state directory of its own, a fake supervisor and one fake
 * worker at the other ends of real channels, all on the service's loop. call() sends a request and turns the loop until it
 * is answered.
 */
#ifndef LUNETTE_TESTS_API_FIXTURE_H
#define LUNETTE_TESTS_API_FIXTURE_H

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/change.h"
#include "api/service.h"
#include "channel.h"
#include "clock.h"
#include "log.h"

#define ADMIN "admin"

struct fake_worker {
	struct loop_watch watch;
	uint64_t served;      /* generation of the last SERVE */
	unsigned serves, listens;
	json_t *document;     /* the last serve document */
	const char *errors;   /* what SERVED says: JSON array text; NULL: [] */
	bool silent;          /* does not answer SERVE */
	char last_what[CHANNEL_TEXT_MAX];
	const char *reply;    /* JSON of the next REPLY */
	unsigned reply_status;
	uint8_t buffer[CHANNEL_MESSAGE_MAX];
};

struct fixture {
	struct service service;
	struct control_options options;
	char state_dir[64];
	char admin[AUTH_TOKEN_TEXT];
	int supervisor[2];
	struct fake_worker worker;
};

/* The answer of call(); the request lives in it. */
struct answered {
	int status;
	json_t *json; /* NULL: none; borrowed from `keep` */
	char etag[80], location[400], code[64], text[4096], content_type[80];
	struct request *keep;
};

static inline void fake_send_json(struct fake_worker *w, enum message_kind kind, uint64_t number, unsigned status,
				  const char *text)
{
	int fd = memfd_with("test", text, strlen(text));

	if (kind == MSG_SERVED)
		channel_send(w->watch.fd, kind, &(struct msg_SERVED){ .generation = number, .memfd = fd });
	else
		channel_send(w->watch.fd, kind, &(struct msg_REPLY){ .id = number, .status = status, .memfd = fd });
	close(fd);
}

static inline void fake_serve(struct fake_worker *w, const struct msg_SERVE *serve)
{
	char *text = NULL, *answer;
	size_t len;

	assert_int_equal(memfd_read(serve->memfd, 64 << 20, &text, &len), 0);
	close(serve->memfd);
	json_decref(w->document);
	w->document = json_loadb(text, len, 0, NULL);
	assert_non_null(w->document);
	free(text);
	w->served = serve->generation;
	w->serves++;
	if (w->silent)
		return;
	assert_true(asprintf(&answer, "{\"errors\":%s}", w->errors ? w->errors : "[]") > 0);
	fake_send_json(w, MSG_SERVED, serve->generation, 0, answer);
	free(answer);
}

static inline void fake_ready(struct loop_watch *watch)
{
	struct fake_worker *w = container_of(watch, struct fake_worker, watch);
	struct message m;

	if (channel_receive(watch->fd, ROLE_CONTROL, ROLE_WORKER, w->buffer, &m))
		return;
	if (m.kind == MSG_SERVE) {
		fake_serve(w, &m.as.SERVE);
	} else if (m.kind == MSG_LISTEN) {
		w->listens++;
		close(m.as.LISTEN.fd);
	} else if (m.kind == MSG_QUERY || m.kind == MSG_COMMAND) {
		snprintf(w->last_what, sizeof w->last_what, "%s", m.kind == MSG_QUERY ? m.as.QUERY.what : m.as.COMMAND.what);
		fake_send_json(w, MSG_REPLY, m.kind == MSG_QUERY ? m.as.QUERY.id : m.as.COMMAND.id, w->reply_status,
			       w->reply ? w->reply : "null");
	}
}

static inline void turn(struct fixture *f)
{
	loop_turn(&f->service.loop, 50);
}

/* Connects a new life of the fake worker. */
static inline void fake_connect(struct fixture *f)
{
	struct msg_PEER peer = { .role = "worker", .index = 0 };
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	peer.fd = fds[0];
	workers_peer(&f->service.workers, &peer);
	f->worker.watch.fd = fds[1];
	f->worker.watch.ready = fake_ready;
	assert_int_equal(loop_watch(&f->service.loop, &f->worker.watch), 0);
	channel_send(fds[1], MSG_HELLO, &(struct msg_HELLO){ .worker = 0, .generation = 0 });
}

/* What the fake worker counts into. */
static inline struct stats_segment *segment_of(struct fixture *f)
{
	struct worker *worker = &f->service.workers.worker[0];
	int fd;

	if (!worker->stats) {
		fd = stats_create();
		assert_true(fd >= 0);
		worker->stats = stats_map(fd, 1);
		assert_non_null(worker->stats);
		close(fd);
	}
	return worker->stats;
}

static inline void fake_die(struct fixture *f)
{
	loop_unwatch(&f->service.loop, &f->worker.watch);
	close(f->worker.watch.fd);
	f->worker.watch.fd = -1;
}

static inline void read_admin_token(struct fixture *f)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/admin.token", f->state_dir);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(f->admin, sizeof f->admin, file));
	f->admin[strcspn(f->admin, "\n")] = '\0';
	fclose(file);
}

static inline void service_start(struct fixture *f)
{
	struct err err = { 0 };

	if (service_init(&f->service, &f->options, &err) || service_load(&f->service, &err))
		fail_msg("%s", err.text);
	f->service.workers.count = 1;
	f->service.patience_ms = 60000; /* a busy machine is no reason to answer with 202 */
	fake_connect(f);
	service_apply(&f->service);
	for (int i = 0; i < 100 && !workers_all_served(&f->service.workers); i++)
		turn(f);
	read_admin_token(f);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	log_open("test", LOG_ERROR);
	strcpy(f->state_dir, "/tmp/lunette-api-XXXXXX");
	assert_non_null(mkdtemp(f->state_dir));
	assert_int_equal(channel_pair(f->supervisor), 0);
	f->options = (struct control_options){ .state_dir = f->state_dir, .worker_count = 1, .reactor_count = 1,
					       .supervisor_fd = f->supervisor[0] };
	service_start(f);
	*state = f;
	return 0;
}

static inline int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static inline void service_stop(struct fixture *f)
{
	if (f->worker.watch.fd >= 0)
		fake_die(f);
	json_decref(f->worker.document);
	f->worker.document = NULL;
	service_fini(&f->service);
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	service_stop(f);
	close(f->supervisor[0]);
	close(f->supervisor[1]);
	nftw(f->state_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static inline void answered_free(struct answered *a)
{
	json_decref(a->json);
	request_free(a->keep);
	memset(a, 0, sizeof *a);
}

static inline void answered_fill(struct answered *a, struct request *rq)
{
	const struct answer *from = &rq->answer;

	memset(a, 0, sizeof *a);
	a->keep = rq;
	a->status = from->status;
	strcpy(a->etag, from->etag);
	strcpy(a->location, from->location);
	if (from->body) {
		snprintf(a->text, sizeof a->text, "%s", from->body);
		a->json = json_loads(from->body, JSON_DECODE_ANY, NULL);
	}
	snprintf(a->content_type, sizeof a->content_type, "%s", from->content_type ? from->content_type : "");
	if (json_object_get(a->json, "code"))
		snprintf(a->code, sizeof a->code, "%s", json_string_value(json_object_get(a->json, "code")));
}

/* The request as far as it goes without turning the loop; the caller frees. */
static inline struct request *call_start(struct fixture *f, const char *token, const char *method, const char *target,
					 const struct request_headers *more, const char *body)
{
	struct request *rq = request_new(&f->service, "127.0.0.1");
	struct request_headers headers = more ? *more : (struct request_headers){ 0 };
	char authorization[128];

	assert_non_null(rq);
	if (token) {
		snprintf(authorization, sizeof authorization, "Bearer %s", strcmp(token, ADMIN) == 0 ? f->admin : token);
		headers.authorization = authorization;
	}
	if (request_begin(rq, method, target, &headers) && (!body || request_body(rq, body, strlen(body))))
		request_run(rq);
	return rq;
}

static inline struct answered call_as(struct fixture *f, const char *token, const char *method, const char *target,
				      const struct request_headers *more, const char *body)
{
	struct request *rq = call_start(f, token, method, target, more, body);
	uint64_t deadline_ns = clock_now_ns() + 20 * NS_PER_S;
	struct answered a;

	while (!request_answered(rq) && clock_now_ns() < deadline_ns)
		turn(f);
	answered_fill(&a, rq);
	return a;
}

/* As admin; must be answered with `status`. The caller frees the answer. */
#define call(f, method, target, body, want)                                                                    \
	({                                                                                                     \
		struct answered call_answer = call_as(f, ADMIN, method, "/api/v1" target, NULL, body);         \
		if (call_answer.status != (want))                                                              \
			fail_msg("%s %s: %d %s", method, target, call_answer.status, call_answer.text);        \
		call_answer;                                                                                   \
	})
#define call_done(f, method, target, body, want)                                                               \
	do {                                                                                                   \
		struct answered done_answer = call(f, method, target, body, want);                             \
		answered_free(&done_answer);                                                                   \
	} while (0)

static inline const char *text_of(const struct answered *a, const char *member)
{
	const char *text = json_string_value(json_object_get(a->json, member));

	return text ? text : "";
}

#endif
