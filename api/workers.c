/* Control's end of the workers: see workers.h. */
#include "api/workers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "json_text.h"
#include "log.h"

#define TICK_MS 100

static void send_serve(struct worker *w);
static void check_waits(struct workers *workers);
static void check_calls(struct workers *workers);

static void tick(struct loop_timer *timer)
{
	struct workers *workers = container_of(timer, struct workers, timer);

	for (unsigned i = 0; i < workers->count; i++) /* what could not be sent is sent again */
		send_serve(&workers->worker[i]);
	check_waits(workers);
	check_calls(workers);
	if (!list_empty(&workers->waits) || !list_empty(&workers->calls))
		loop_timer_start(workers->loop, timer, TICK_MS);
}

static void want_tick(struct workers *workers)
{
	if (!loop_timer_running(&workers->timer))
		loop_timer_start(workers->loop, &workers->timer, TICK_MS);
}

int workers_init(struct workers *workers, struct loop *loop)
{
	memset(workers, 0, sizeof *workers);
	workers->loop = loop;
	workers->next_call = 1;
	list_init(&workers->waits);
	list_init(&workers->calls);
	loop_timer_init(&workers->timer, tick);
	for (unsigned i = 0; i < WORKERS_MAX; i++) {
		workers->worker[i].workers = workers;
		workers->worker[i].index = i;
		workers->worker[i].watch.fd = -1;
	}
	workers->buffer = malloc(CHANNEL_MESSAGE_MAX);
	return workers->buffer ? 0 : -ENOMEM;
}

bool worker_up(const struct worker *worker)
{
	return worker->watch.fd >= 0 && worker->greeted;
}

static void down(struct worker *w, const char *why)
{
	if (w->watch.fd < 0)
		return;
	loop_unwatch(w->workers->loop, &w->watch);
	close(w->watch.fd);
	w->watch.fd = -1;
	w->greeted = w->listens = false;
	w->sent = w->served = 0;
	if (why)
		log_notice("channel to worker%u is down: %s", w->index, why);
}

static void lost(struct worker *w, const char *why)
{
	down(w, why);
	for (struct list *pos = w->workers->calls.next; pos != &w->workers->calls; pos = pos->next)
		container_of(pos, struct worker_call, link)->pending &= ~(UINT64_C(1) << w->index);
	check_waits(w->workers);
	check_calls(w->workers);
}

/* With every channel down nothing is left to wait for: all waits and calls end here. */
void workers_fini(struct workers *workers)
{
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		lost(&workers->worker[i], NULL);
	loop_timer_stop(&workers->timer);
	for (unsigned i = 0; i < WORKERS_MAX; i++) {
		struct worker *w = &workers->worker[i];

		json_decref(w->errors);
		if (w->stats)
			stats_unmap(w->stats);
	}
	free(workers->buffer);
}

/* --- serving --- */

static void send_serve(struct worker *w)
{
	struct workers *workers = w->workers;
	struct msg_SERVE message = { .generation = workers->generation, .memfd = -1 };
	json_t *document;
	char *text;
	int error;

	if (!worker_up(w) || workers->generation == 0 || w->sent != w->served || w->sent == workers->generation)
		return;
	json_memory_begin();
	document = workers->make(workers, w->index);
	text = document && json_memory_sufficed() ? json_text(document, JSON_COMPACT) : NULL;
	json_decref(document);
	message.memfd = text ? memfd_with("serve", text, strlen(text)) : -ENOMEM;
	free(text);
	if (message.memfd < 0) {
		log_limited(LOG_ERROR, "cannot make the serve document of worker%u: %s", w->index, strerror(-message.memfd));
		want_tick(workers); /* try again */
		return;
	}
	error = channel_send(w->watch.fd, MSG_SERVE, &message);
	close(message.memfd);
	if (!error) {
		w->sent = workers->generation;
		return;
	}
	log_limited(LOG_WARNING, "cannot send its serve document to worker%u: %s", w->index, strerror(-error));
	want_tick(workers);
}

void workers_publish(struct workers *workers, uint64_t generation)
{
	workers->generation = generation;
	for (unsigned i = 0; i < workers->count; i++)
		send_serve(&workers->worker[i]);
}

bool workers_all_served(const struct workers *workers)
{
	for (unsigned i = 0; i < workers->count; i++)
		if (!worker_up(&workers->worker[i]) || workers->worker[i].served == 0)
			return false;
	return workers->count > 0;
}

static bool wait_over(const struct workers *workers, const struct serve_wait *wait)
{
	for (unsigned i = 0; i < workers->count; i++)
		if (worker_up(&workers->worker[i]) && workers->worker[i].served < wait->generation)
			return false;
	return true;
}

static void warn(json_t **warnings, json_t *text)
{
	if (!*warnings)
		*warnings = json_array();
	json_array_append_new(*warnings, text);
}

static json_t *wait_warnings(const struct workers *workers, const struct serve_wait *wait)
{
	json_t *warnings = NULL;

	for (unsigned i = 0; i < workers->count; i++) {
		const struct worker *w = &workers->worker[i];

		if (!worker_up(w))
			warn(&warnings, json_sprintf("worker%u is not running: it will serve this when it is back", i));
		else if (w->served < wait->generation)
			warn(&warnings, json_sprintf("worker%u has not confirmed this yet", i));
	}
	return warnings;
}

static void check_waits(struct workers *workers)
{
	uint64_t now_ns = clock_now_ns();

	list_for_each_safe(pos, &workers->waits) {
		struct serve_wait *wait = container_of(pos, struct serve_wait, link);

		if (!wait_over(workers, wait) && now_ns < wait->deadline_ns)
			continue;
		list_remove(&wait->link);
		wait->done(wait, wait_warnings(workers, wait));
	}
}

void workers_wait(struct workers *workers, struct serve_wait *wait)
{
	list_init(&wait->link);
	wait->deadline_ns = clock_now_ns() + WORKER_SERVE_WAIT_MS * NS_PER_MS;
	if (wait_over(workers, wait)) {
		wait->done(wait, wait_warnings(workers, wait));
		return;
	}
	list_append(&workers->waits, &wait->link);
	want_tick(workers);
}

static void on_served(struct worker *w, const struct msg_SERVED *message)
{
	char *text = NULL;
	size_t len = 0;
	json_t *body = NULL;

	if (memfd_read(message->memfd, WORKER_REPLY_MAX, &text, &len) == 0)
		body = json_read(text, len, 0, NULL);
	free(text);
	close(message->memfd);
	json_decref(w->errors);
	w->errors = json_incref(json_object_get(body, "errors"));
	json_decref(body);
	w->served = w->sent = message->generation;
	send_serve(w);
	if (w->workers->served)
		w->workers->served(w->workers, w);
	check_waits(w->workers);
}

/* --- questions --- */

void worker_call_free(struct worker_call *call)
{
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		json_decref(call->reply[i].value);
	json_decref(call->unreachable);
	free(call);
}

static void finish_call(struct workers *workers, struct worker_call *call)
{
	list_remove(&call->link);
	for (unsigned i = 0; i < workers->count; i++)
		if (!call->reply[i].answered && call->reply[i].status)
			json_array_append_new(call->unreachable, json_sprintf("worker%u", i));
	call->done(call);
}

static void check_calls(struct workers *workers)
{
	uint64_t now_ns = clock_now_ns();

	list_for_each_safe(pos, &workers->calls) {
		struct worker_call *call = container_of(pos, struct worker_call, link);

		if (call->pending == 0 || now_ns >= call->deadline_ns)
			finish_call(workers, call);
	}
}

static void ask(struct worker_call *call, struct worker *w, enum message_kind kind, const char *what)
{
	struct msg_QUERY query = { .id = call->id };
	struct msg_COMMAND command = { .id = call->id };

	snprintf(query.what, sizeof query.what, "%s", what);
	snprintf(command.what, sizeof command.what, "%s", what);
	call->reply[w->index].status = EHOSTUNREACH;
	if (worker_up(w) &&
	    channel_send(w->watch.fd, kind, kind == MSG_QUERY ? (void *)&query : (void *)&command) == 0)
		call->pending |= UINT64_C(1) << w->index;
}

bool workers_call(struct workers *workers, enum message_kind kind, int worker, const char *what,
		  void (*done)(struct worker_call *call), void *arg)
{
	struct worker_call *call = calloc(1, sizeof *call);

	if (!call)
		return false;
	call->id = workers->next_call++;
	call->deadline_ns = clock_now_ns() + WORKER_CALL_WAIT_MS * NS_PER_MS;
	call->unreachable = json_array();
	call->done = done;
	call->arg = arg;
	list_append(&workers->calls, &call->link);
	for (unsigned i = 0; i < workers->count; i++)
		if (worker < 0 || (unsigned)worker == i)
			ask(call, &workers->worker[i], kind, what);
	if (call->pending == 0)
		finish_call(workers, call);
	else
		want_tick(workers);
	return true;
}

static void on_reply(struct worker *w, const struct msg_REPLY *message)
{
	char *text = NULL;
	size_t len = 0;
	json_t *value = NULL;

	if (memfd_read(message->memfd, WORKER_REPLY_MAX, &text, &len) == 0)
		value = json_read(text, len, JSON_DECODE_ANY, NULL);
	free(text);
	close(message->memfd);
	list_for_each(pos, &w->workers->calls) {
		struct worker_call *call = container_of(pos, struct worker_call, link);
		uint64_t bit = UINT64_C(1) << w->index;

		if (call->id != message->id || !(call->pending & bit))
			continue;
		call->pending &= ~bit;
		call->reply[w->index] = (struct worker_reply){ true, message->status, value };
		check_calls(w->workers);
		return;
	}
	json_decref(value);
}

/* --- the channel --- */

static void dispatch(struct worker *w, const struct message *m)
{
	struct workers *workers = w->workers;

	switch (m->kind) {
	case MSG_HELLO:
		w->greeted = true;
		w->sent = w->served = 0;
		send_serve(w);
		break;
	case MSG_SERVED:
		on_served(w, &m->as.SERVED);
		break;
	case MSG_REPLY:
		on_reply(w, &m->as.REPLY);
		break;
	case MSG_EVENT:
		if (workers->event)
			workers->event(workers, w->index, &m->as.EVENT);
		break;
	default:
		break;
	}
}

static void on_ready(struct loop_watch *watch)
{
	struct worker *w = container_of(watch, struct worker, watch);
	struct message message;
	int error = channel_receive(watch->fd, ROLE_WORKER, ROLE_CONTROL, w->workers->buffer, &message);

	if (error == 0)
		dispatch(w, &message);
	else if (error == -EBADMSG)
		log_limited(LOG_WARNING, "worker%u sent a message that makes no sense, dropped", w->index);
	else if (error != -EAGAIN)
		lost(w, strerror(-error));
}

void workers_peer(struct workers *workers, const struct msg_PEER *peer)
{
	struct worker *w;

	if (peer->index >= WORKERS_MAX || strcmp(peer->role, "worker") != 0) {
		log_warning("channel to an unknown peer closed role=%s index=%u", log_quoted(peer->role), peer->index);
		close(peer->fd);
		return;
	}
	w = &workers->worker[peer->index];
	lost(w, NULL);
	w->watch.fd = peer->fd;
	w->watch.ready = on_ready;
	if (loop_watch(workers->loop, &w->watch)) {
		close(peer->fd);
		w->watch.fd = -1;
	}
}

void workers_stats(struct workers *workers, const struct msg_STATS *stats)
{
	if (stats->index < WORKERS_MAX) {
		struct worker *w = &workers->worker[stats->index];

		if (w->stats)
			stats_unmap(w->stats);
		w->stats = stats_map(stats->fd, 0);
	}
	close(stats->fd);
}

size_t workers_collect(const struct workers *workers, size_t sessions_max, struct counters **ret_list)
{
	const struct stats_segment *segments[WORKERS_MAX];

	for (unsigned i = 0; i < workers->count; i++)
		segments[i] = workers->worker[i].stats;
	return collect(segments, workers->count, "", sessions_max, ret_list);
}

void workers_state(struct workers *workers, const struct msg_WORKER_STATE *state)
{
	struct worker *w;

	if (state->index >= WORKERS_MAX)
		return;
	w = &workers->worker[state->index];
	w->state = *state;
	w->started_ms = state->pid ? clock_wall_ms() - state->uptime_ms : 0;
}

void workers_broadcast(struct workers *workers, enum message_kind kind, const void *message)
{
	for (unsigned i = 0; i < workers->count; i++) {
		struct worker *w = &workers->worker[i];
		int error = worker_up(w) ? channel_send(w->watch.fd, kind, message) : 0;

		if (error)
			log_warning("cannot send %s to worker%u: %s", message_name(kind), i, strerror(-error));
	}
}
