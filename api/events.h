/*
 * What happens, for people: a ring of recent events and the server-sent event streams (WHATWG HTML, "Server-sent events")
 * that read it. An event: {"id": 17, "time": "...", "kind": "login", "object": "session:...", "text": "..."}.
 *
 * A stream starts behind Last-Event-ID as far as the ring reaches, else with the next event; one that has lost events (it
 * is slow, or control was restarted) gets a "lost" event with the id of the first one it still gets. Ids grow for ever
 * within a life of control and start at the wall clock's milliseconds, so that they grow across lives too.
 * Control thread only.
 */
#ifndef LUNETTE_API_EVENTS_H
#define LUNETTE_API_EVENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api/loop.h"
#include "list.h"

#define EVENTS_KEPT        1024
#define EVENT_STREAMS_MAX  64
#define EVENT_HEARTBEAT_MS 10000

struct event {
	uint64_t id;
	char *text; /* the event as it goes over the wire: "id: ...\nevent: ...\ndata: {...}\n\n" */
};

struct events {
	struct event ring[EVENTS_KEPT]; /* at id % EVENTS_KEPT */
	uint64_t first_id, next_id;
	struct list streams;
	unsigned stream_count;
	struct loop *loop;
	struct loop_timer heartbeat;
};

struct event_stream {
	struct list link;
	uint64_t next_id;
	size_t sent_bytes;   /* of the event next_id */
	bool beat;           /* a heartbeat is due */
	void (*wake)(struct event_stream *stream); /* there is something to read */
};

void events_init(struct events *events, struct loop *loop);
void events_fini(struct events *events);
/* Strings of any content: they are escaped. */
void events_add(struct events *events, const char *kind, const char *object, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The kept events, newest last: new array. */
json_t *events_list(const struct events *events);

/* False: too many streams. last_event_id: "" or the header's value. */
bool events_join(struct events *events, struct event_stream *stream, const char *last_event_id);
void events_leave(struct events *events, struct event_stream *stream);
/* The next bytes for the stream; 0: nothing now, wake() comes. */
size_t events_read(struct events *events, struct event_stream *stream, char *buffer, size_t size);

#endif
