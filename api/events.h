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
#include "api/stream.h"
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

void events_init(struct events *events, struct loop *loop);
void events_fini(struct events *events);
/* Strings of any content: they are escaped. */
void events_add(struct events *events, const char *kind, const char *object, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The kept events, newest last: new array. */
json_t *events_list(const struct events *events);

/* A new stream; last_event_id: "" or the header's value. NULL: EVENT_STREAMS_MAX are there, or no memory. */
struct stream *events_join(struct events *events, const char *last_event_id);

#endif
