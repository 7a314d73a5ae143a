/* The ring of events and its streams: see events.h. */
#include "api/events.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json_text.h"

struct event_stream {
	struct stream stream;
	struct events *events;
	struct list link;
	uint64_t next_id;
	size_t sent_bytes; /* of the event next_id */
	bool beat;         /* a heartbeat is due */
};

static void wake_all(struct events *events)
{
	list_for_each_safe(pos, &events->streams)
		stream_wake(&container_of(pos, struct event_stream, link)->stream);
}

static void heartbeat(struct loop_timer *timer)
{
	struct events *events = container_of(timer, struct events, heartbeat);

	list_for_each(pos, &events->streams)
		container_of(pos, struct event_stream, link)->beat = true;
	wake_all(events);
	if (events->stream_count)
		loop_timer_start(events->loop, timer, EVENT_HEARTBEAT_MS);
}

void events_init(struct events *events, struct loop *loop)
{
	memset(events, 0, sizeof *events);
	events->first_id = events->next_id = clock_wall_ms();
	events->loop = loop;
	list_init(&events->streams);
	loop_timer_init(&events->heartbeat, heartbeat);
}

void events_fini(struct events *events)
{
	loop_timer_stop(&events->heartbeat);
	for (unsigned i = 0; i < EVENTS_KEPT; i++)
		free(events->ring[i].text);
	memset(events->ring, 0, sizeof events->ring);
}

static json_t *text_json(const char *text)
{
	json_t *value = json_string(text);

	return value ? value : json_string("(not UTF-8)");
}

void events_add(struct events *events, const char *kind, const char *object, const char *fmt, ...)
{
	struct event *slot = &events->ring[events->next_id % EVENTS_KEPT];
	char text[1024], time[CLOCK_TEXT_LEN], *data, *wire = NULL;
	json_t *body;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	clock_format(clock_wall_ms(), time);
	body = json_pack("{s:I, s:s, s:o, s:o, s:o}", "id", (json_int_t)events->next_id, "time", time, "kind",
			 text_json(kind), "object", text_json(object), "text", text_json(text));
	data = json_text(body, JSON_COMPACT);
	json_decref(body);
	if (!data || asprintf(&wire, "id: %" PRIu64 "\nevent: %s\ndata: %s\n\n", events->next_id, kind, data) < 0)
		wire = NULL;
	free(data);
	if (!wire)
		return;
	free(slot->text);
	slot->text = wire;
	slot->id = events->next_id++;
	if (events->next_id - events->first_id > EVENTS_KEPT)
		events->first_id = events->next_id - EVENTS_KEPT;
	wake_all(events);
}

json_t *events_list(const struct events *events)
{
	json_t *list = json_array();

	for (uint64_t id = events->first_id; id < events->next_id; id++) {
		const char *data = strstr(events->ring[id % EVENTS_KEPT].text, "\ndata: ") + 7;

		json_array_append_new(list, json_read(data, strlen(data), JSON_DISABLE_EOF_CHECK, NULL));
	}
	return list;
}

/* What the stream missed is told once; an event that was overwritten half sent is ended first. */
static size_t read_lost(const struct events *events, struct event_stream *stream, char *buffer, size_t size)
{
	int n = snprintf(buffer, size, "%sevent: lost\ndata: {\"first_id\":%" PRIu64 "}\n\n",
			 stream->sent_bytes ? "\n\n" : "", events->first_id);

	stream->next_id = events->first_id;
	stream->sent_bytes = 0;
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

static size_t read_events(struct stream *base, char *buffer, size_t size)
{
	struct event_stream *stream = container_of(base, struct event_stream, stream);
	const struct events *events = stream->events;
	const char *text;
	size_t len;

	if (stream->sent_bytes == 0 && stream->beat && size >= 3) {
		stream->beat = false;
		memcpy(buffer, ":\n\n", 3);
		return 3;
	}
	if (stream->next_id < events->first_id)
		return read_lost(events, stream, buffer, size);
	if (stream->next_id >= events->next_id)
		return 0;
	text = events->ring[stream->next_id % EVENTS_KEPT].text + stream->sent_bytes;
	len = strlen(text);
	if (len > size) {
		memcpy(buffer, text, size);
		stream->sent_bytes += size;
		return size;
	}
	memcpy(buffer, text, len);
	stream->next_id++;
	stream->sent_bytes = 0;
	return len;
}

static void leave(struct stream *base)
{
	struct event_stream *stream = container_of(base, struct event_stream, stream);

	list_remove(&stream->link);
	stream->events->stream_count--;
	free(stream);
}

struct stream *events_join(struct events *events, const char *last_event_id)
{
	struct event_stream *stream = events->stream_count < EVENT_STREAMS_MAX ? calloc(1, sizeof *stream) : NULL;

	if (!stream)
		return NULL;
	stream->stream.read = read_events;
	stream->stream.leave = leave;
	stream->events = events;
	stream->next_id = events->next_id;
	stream->beat = true;
	if (last_event_id[0] && last_event_id[strspn(last_event_id, "0123456789")] == '\0') {
		uint64_t last = strtoull(last_event_id, NULL, 10);

		if (last < events->next_id)
			stream->next_id = last + 1;
	}
	list_append(&events->streams, &stream->link);
	if (events->stream_count++ == 0)
		loop_timer_start(events->loop, &events->heartbeat, EVENT_HEARTBEAT_MS);
	return &stream->stream;
}
