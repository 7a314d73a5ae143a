/* The control loop: see loop.h. */
#include "api/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"

#define BURST 64 /* events handled before timers are looked at again */

int loop_init(struct loop *loop)
{
	list_init(&loop->timers);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll_fd < 0 ? -errno : 0;
}

void loop_fini(struct loop *loop)
{
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

int loop_watch(struct loop *loop, struct loop_watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) ? -errno : 0;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

void loop_timer_init(struct loop_timer *timer, void (*expired)(struct loop_timer *timer))
{
	list_init(&timer->link);
	timer->deadline_ns = 0;
	timer->expired = expired;
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms)
{
	struct list *at;

	list_remove(&timer->link);
	at = loop->timers.prev;
	timer->deadline_ns = clock_now_ns() + delay_ms * NS_PER_MS;
	while (at != &loop->timers && container_of(at, struct loop_timer, link)->deadline_ns > timer->deadline_ns)
		at = at->prev;
	list_prepend(at, &timer->link);
}

void loop_timer_stop(struct loop_timer *timer)
{
	list_remove(&timer->link);
}

bool loop_timer_running(const struct loop_timer *timer)
{
	return !list_empty(&timer->link);
}

static void run_timers(struct loop *loop)
{
	uint64_t now_ns = clock_now_ns();

	while (!list_empty(&loop->timers)) {
		struct loop_timer *timer = container_of(loop->timers.next, struct loop_timer, link);

		if (timer->deadline_ns > now_ns)
			return;
		list_remove(&timer->link);
		timer->expired(timer);
	}
}

static int wait_ms(const struct loop *loop, uint64_t max_wait_ms)
{
	uint64_t now_ns = clock_now_ns(), deadline_ns;

	if (list_empty(&loop->timers))
		return (int)max_wait_ms;
	deadline_ns = container_of(loop->timers.next, struct loop_timer, link)->deadline_ns;
	if (deadline_ns <= now_ns)
		return 0;
	deadline_ns = (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
	return (int)(deadline_ns < max_wait_ms ? deadline_ns : max_wait_ms);
}

void loop_turn(struct loop *loop, uint64_t max_wait_ms)
{
	int timeout_ms = wait_ms(loop, max_wait_ms);

	for (unsigned i = 0; i < BURST; i++) {
		struct epoll_event event;

		if (epoll_wait(loop->epoll_fd, &event, 1, i ? 0 : timeout_ms) != 1)
			break;
		((struct loop_watch *)event.data.ptr)->ready(event.data.ptr);
	}
	run_timers(loop);
}
