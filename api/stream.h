/*
 * A body without an end, such as server-sent events: the one who makes it (events.c, live.c) and the one who sends it
 * (http.c). Control thread only.
 *
 *   made by the handler -> answer_stream() -> the reader sets wake and reads until 0 -> wake() -> reads on ... -> leave()
 */
#ifndef LUNETTE_API_STREAM_H
#define LUNETTE_API_STREAM_H

#include <stddef.h>

struct stream {
	/* The next bytes; 0: nothing now, wake() comes. */
	size_t (*read)(struct stream *stream, char *buffer, size_t size);
	void (*leave)(struct stream *stream); /* the reader is gone: frees the stream */
	/* Of the reader; NULL while there is none. */
	void (*wake)(void *reader);
	void *reader;
};

static inline void stream_wake(struct stream *stream)
{
	if (stream->wake)
		stream->wake(stream->reader);
}

#endif
