/* Answers that are written on another thread: see render.h. */
#include "api/render.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "api/request.h"

int renderer_init(struct renderer *renderer, struct mailbox *mailbox)
{
	renderer->pool = offload_new(1);
	renderer->mailbox = mailbox;
	renderer->waiting = 0;
	return renderer->pool ? 0 : -ENOMEM;
}

void renderer_fini(struct renderer *renderer)
{
	offload_free(renderer->pool);
	renderer->pool = NULL;
}

bool render_begin(struct renderer *renderer, struct render *render, struct request *rq)
{
	if (renderer->waiting == RENDER_WAITING_MAX) {
		rq->answer.retry_after_s = 1;
		answer_error(rq, 503, "busy", "%d such requests are under way already: try again.", RENDER_WAITING_MAX);
		return false;
	}
	renderer->waiting++;
	render->renderer = renderer;
	render->rq = rq;
	return true;
}

void render_end(struct render *render)
{
	render->renderer->waiting--;
	render->release(render);
}

static void work(struct offload_job *job)
{
	struct render *render = container_of(job, struct render, job);

	setpriority(PRIO_PROCESS, 0, RENDER_NICE); /* of this thread alone (Linux), and of what it starts */
	render->draw(render);
}

static void done(struct offload_job *job)
{
	struct render *render = container_of(job, struct render, job);

	if (render->problem.status)
		answer_problem(render->rq, &render->problem);
	else
		answer_bytes(render->rq, 200, render->content_type, render->bytes, render->len_bytes);
	render_end(render);
}

void render_submit(struct render *render)
{
	render->job.work = work;
	render->job.done = done;
	offload_submit(render->renderer->pool, &render->job, render->renderer->mailbox);
}
