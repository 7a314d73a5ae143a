/* epoll as a reactor uses it: an event source is embedded in its owner and gets a call when its descriptor is ready.
 * One thread. A source that was removed may still get a call for events fetched in the same turn: owners free
 * themselves at the end of the turn. */
#ifndef LUNETTE_POLLER_H
#define LUNETTE_POLLER_H

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>

struct poll_source {
	void (*ready)(struct poll_source *source, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLERR ... */
};

static inline int poller_set(int epoll_fd, int op, int fd, uint32_t events, struct poll_source *source)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(epoll_fd, op, fd, &event) < 0 ? -errno : 0;
}

#endif
