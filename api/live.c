/*
 * The live stream: the newest sample of the objects asked for, each second. A reader that is slow gets the newest sample
 * when it has taken the one before; those between are left out, nothing is queued.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/events.h"
#include "api/handlers.h"
#include "api/request.h"
#include "api/selection.h"
#include "api/service.h"
#include "api/values.h"
#include "json_text.h"

#define LIVE_OBJECTS_MAX 64

struct live_stream {
	struct stream stream;
	struct monitoring *monitoring;
	struct list link;
	struct selection selection;
	char *text;          /* the sample that is being sent; NULL: none */
	size_t len, sent;
	uint64_t sent_ms;    /* sampled_ms of the last one that was begun */
};

/* Objects of "*" may have become too many meanwhile: the first ones are shown. */
static json_t *samples(const struct live_stream *live)
{
	const struct monitor *monitor = live->monitoring->monitor;
	json_t *list = json_array();

	for (size_t i = 0; i < live->selection.count; i++) {
		const struct object_name *name = &live->selection.objects[i];
		const struct monitor_object **all = NULL, *one;
		bool every = strcmp(name->name, "*") == 0;
		size_t count = every ? monitor_list(monitor, name->kind, &all) : 1;

		for (size_t k = 0; k < count && json_array_size(list) < LIVE_OBJECTS_MAX; k++) {
			one = every ? all[k] : monitor_find(monitor, name);
			if (one)
				json_array_append_new(list, object_values(one, live->selection.metric));
		}
		free(all);
	}
	return list;
}

static void make_text(struct live_stream *live)
{
	json_t *body = sample_head(live->monitoring->sampled_ms);
	char *data;
	int len;

	json_object_set_new(body, "samples", samples(live));
	data = json_text(body, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(body);
	len = data ? asprintf(&live->text, "event: sample\ndata: %s\n\n", data) : -1;
	free(data);
	if (len < 0)
		live->text = NULL;
	live->len = len < 0 ? 0 : (size_t)len;
	live->sent = 0;
	live->sent_ms = live->monitoring->sampled_ms;
}

static size_t read_live(struct stream *stream, char *buffer, size_t size)
{
	struct live_stream *live = container_of(stream, struct live_stream, stream);
	size_t len;

	if (!live->text && live->sent_ms != live->monitoring->sampled_ms)
		make_text(live);
	len = live->len - live->sent < size ? live->len - live->sent : size;
	if (len)
		memcpy(buffer, live->text + live->sent, len);
	live->sent += len;
	if (live->sent == live->len) {
		free(live->text);
		live->text = NULL;
		live->len = live->sent = 0;
	}
	return len;
}

static void leave(struct stream *stream)
{
	struct live_stream *live = container_of(stream, struct live_stream, stream);

	list_remove(&live->link);
	live->monitoring->stream_count--;
	selection_free(&live->selection);
	free(live->text);
	free(live);
}

void live_sampled(struct monitoring *monitoring)
{
	list_for_each_safe(pos, &monitoring->streams)
		stream_wake(&container_of(pos, struct live_stream, link)->stream);
}

static bool parse(struct request *rq, struct selection *ret_selection)
{
	struct problem problem = { 0 };
	struct object_name *objects = NULL;
	size_t count;

	if (!selection_parse(request_query(rq, "object"), NULL, request_query(rq, "metric"), ret_selection, &problem)) {
		answer_problem(rq, &problem);
		return false;
	}
	if (!selection_resolve(ret_selection, rq->service->monitoring.monitor, LIVE_OBJECTS_MAX, &objects, &count, &problem)) {
		selection_free(ret_selection);
		answer_problem(rq, &problem);
		return false;
	}
	free(objects);
	return true;
}

void get_live(struct request *rq)
{
	struct monitoring *m = &rq->service->monitoring;
	struct selection selection;
	struct live_stream *live;

	if (m->stream_count >= EVENT_STREAMS_MAX) {
		answer_error(rq, 503, "too-many-streams", "There are %d live streams already.", EVENT_STREAMS_MAX);
		return;
	}
	if (!parse(rq, &selection))
		return;
	live = calloc(1, sizeof *live);
	if (!live) {
		selection_free(&selection);
		answer_monitor_error(rq, -ENOMEM, NULL);
		return;
	}
	live->stream.read = read_live;
	live->stream.leave = leave;
	live->monitoring = m;
	live->selection = selection;
	list_append(&m->streams, &live->link);
	m->stream_count++;
	answer_stream(rq, &live->stream);
}
