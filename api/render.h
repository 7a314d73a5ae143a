/*
 * Answers that take long to write (pictures, many numbers), on a thread of their own below the priority of everything else,
 * so that other requests go on meanwhile. At most RENDER_WAITING_MAX of them are under way at a time, the reading of their
 * data included; more are refused.
 *
 *   render_begin -> data are asked for -> render_submit -> draw() on the thread -> the answer, release()
 *                                     `-> render_problem / an answer given by the caller, then render_end -> release()
 */
#ifndef LUNETTE_API_RENDER_H
#define LUNETTE_API_RENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "offload.h"
#include "problem.h"

#define RENDER_WAITING_MAX 16
#define RENDER_NICE        10

struct request;

struct renderer {
	struct offload *pool;
	struct mailbox *mailbox;
	unsigned waiting;
};

/* Embedded in the handler's object. */
struct render {
	struct offload_job job;
	struct renderer *renderer;
	struct request *rq;
	/* On the thread: sets bytes, or problem. */
	void (*draw)(struct render *render);
	void (*release)(struct render *render); /* frees the object */
	const char *content_type;
	char *bytes; /* malloc'ed; NULL without problem: no memory */
	size_t len_bytes;
	struct problem problem;
};

int  renderer_init(struct renderer *renderer, struct mailbox *mailbox); /* 0 or -ENOMEM */
/* Waits for what is being drawn; its answers are in the mailbox then. */
void renderer_fini(struct renderer *renderer);
/* False: answered 503. draw and release are set; release is not called. */
bool render_begin(struct renderer *renderer, struct render *render, struct request *rq);
void render_submit(struct render *render);
/* The request was answered otherwise. */
void render_end(struct render *render);

#endif
