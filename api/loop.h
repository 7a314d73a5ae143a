/*
 * The event loop of the control process: epoll for descriptors, a sorted list for timers. One thread; callbacks may add
 * and remove any watch and timer, their own included: events are taken from the kernel one at a time, so none can be left
 * over for a watch that is gone.
 */
#ifndef LUNETTE_API_LOOP_H
#define LUNETTE_API_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "list.h"

struct loop_watch {
	int fd;
	void (*ready)(struct loop_watch *watch);
};

struct loop_timer {
	struct list link; /* in loop.timers by deadline; alone when stopped */
	uint64_t deadline_ns;
	void (*expired)(struct loop_timer *timer);
};

struct loop {
	int epoll_fd;
	struct list timers;
};

int  loop_init(struct loop *loop); /* 0 or negative errno */
void loop_fini(struct loop *loop);

/* Calls watch->ready while watch->fd is readable (or hung up). 0 or negative errno. */
int  loop_watch(struct loop *loop, struct loop_watch *watch);
void loop_unwatch(struct loop *loop, struct loop_watch *watch); /* closes nothing */

void loop_timer_init(struct loop_timer *timer, void (*expired)(struct loop_timer *timer));
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms); /* starts anew when running */
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_running(const struct loop_timer *timer);

/* Waits for one event, at most until the next timer or max_wait_ms, and runs what is due. */
void loop_turn(struct loop *loop, uint64_t max_wait_ms);

#endif
