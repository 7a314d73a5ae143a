/* The loop of a reactor thread, its listening sockets and its mail; see reactor.h. */
#include "dataplane/reactor/reactor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "dataplane/reactor/internal.h"
#include "log.h"
#include "thread.h"

#define EVENTS_PER_TURN    64
#define ACCEPTS_PER_TURN   32
#define TICK_MS            1000
#define LARGE_SHARE        4 /* of the buffer memory, one part in so many is for the small class */
#define BUFFERS_OF_LONGEST 3 /* at least so many times the longest command, which must fit beside others (sgl_alloc_share) */

struct listener {
	struct list link;
	struct poll_source source;
	struct reactor *reactor;
	const struct iscsi_portal *portal;
	int fd;
};

/* --- accepting --- */

static void listener_watch(struct listener *listener)
{
	int result = poller_set(listener->reactor->epoll_fd, EPOLL_CTL_ADD, listener->fd, EPOLLIN | EPOLLEXCLUSIVE,
				&listener->source);

	if (result < 0)
		log_error("cannot watch portal=%s: %s", listener->portal->name, strerror(-result));
}

static void pause_listeners(struct reactor *reactor, int error)
{
	log_limited(LOG_ERROR, "cannot accept connections, trying again every second: %s", strerror(error));
	list_for_each(node, &reactor->listeners)
		epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, container_of(node, struct listener, link)->fd, NULL);
	reactor->listeners_paused = true;
}

static void resume_listeners(struct reactor *reactor)
{
	reactor->listeners_paused = false;
	list_for_each(node, &reactor->listeners)
		listener_watch(container_of(node, struct listener, link));
}

/* The reactor with the fewest connections; this one at a tie. Reading the others' counts without a lock is harmless. */
static struct reactor *least_loaded(struct reactor *here)
{
	struct reactor *best = here;

	for (unsigned i = 0; i < here->iscsi.node->reactor_count; i++) {
		struct reactor *other = (struct reactor *)here->iscsi.node->reactor[i];

		if (atomic_load_explicit(&other->iscsi.connection_count, memory_order_relaxed) <
		    atomic_load_explicit(&best->iscsi.connection_count, memory_order_relaxed))
			best = other;
	}
	return best;
}

static void accept_ready(struct poll_source *source, uint32_t events)
{
	struct listener *listener = container_of(source, struct listener, source);

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
				pause_listeners(listener->reactor, errno);
			return;
		}
		reactor_adopt(least_loaded(listener->reactor), listener->portal, fd, NULL, 0, false);
	}
}

struct listen_mail {
	struct mail mail;
	struct reactor *reactor;
	const struct iscsi_portal *portal;
	int fd;
	char name[ISCSI_PORTAL_NAME_MAX];
};

static void close_listener(struct reactor *reactor, const char *portal_name)
{
	list_for_each_safe(node, &reactor->listeners) {
		struct listener *listener = container_of(node, struct listener, link);

		if (portal_name && strcmp(listener->portal->name, portal_name) != 0)
			continue;
		list_remove(&listener->link);
		epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
		close(listener->fd);
		free(listener);
	}
}

static void listen_here(struct mail *mail)
{
	struct listen_mail *m = container_of(mail, struct listen_mail, mail);
	struct listener *listener = calloc(1, sizeof *listener);

	close_listener(m->reactor, m->portal->name); /* a portal that moved to another address */
	if (listener) {
		*listener = (struct listener){ .source.ready = accept_ready, .reactor = m->reactor,
					       .portal = m->portal, .fd = m->fd };
		list_append(&m->reactor->listeners, &listener->link);
		listener_watch(listener);
	} else {
		close(m->fd);
	}
	free(m);
}

int reactor_listen(struct reactor *reactor, const struct iscsi_portal *portal, int fd)
{
	struct listen_mail *m = malloc(sizeof *m);

	if (!m) {
		close(fd);
		return -ENOMEM;
	}
	*m = (struct listen_mail){ .mail.run = listen_here, .reactor = reactor, .portal = portal, .fd = fd };
	mailbox_post(&reactor->mailbox, &m->mail);
	return 0;
}

static void unlisten_here(struct mail *mail)
{
	struct listen_mail *m = container_of(mail, struct listen_mail, mail);

	close_listener(m->reactor, m->name[0] ? m->name : NULL);
	free(m);
}

int reactor_unlisten(struct reactor *reactor, const char *portal_name)
{
	struct listen_mail *m = calloc(1, sizeof *m);

	if (!m)
		return -ENOMEM;
	m->mail.run = unlisten_here;
	m->reactor = reactor;
	snprintf(m->name, sizeof m->name, "%s", portal_name);
	mailbox_post(&reactor->mailbox, &m->mail);
	return 0;
}

/* --- adopting connections --- */

struct adopt_mail {
	struct mail mail;
	struct reactor *reactor;
	const struct iscsi_portal *portal;
	int fd;
	bool handed_over;
	uint32_t len_bytes;
	uint8_t bytes[];
};

static void adopt(struct reactor *reactor, const struct iscsi_portal *portal, int fd, const void *bytes,
		  uint32_t len_bytes, bool handed_over)
{
	struct iscsi_peer peer = { .portal = portal };
	socklen_t peer_len = sizeof peer.peer, local_len = sizeof peer.local;
	struct iscsi_connection *connection;
	int one = 1;

	if (getpeername(fd, (struct sockaddr *)&peer.peer, &peer_len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&peer.local, &local_len) < 0 ||
	    !worker_admit_connection(reactor->worker, &peer, fd)) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	connection = iscsi_connection_new(&reactor->iscsi, &peer);
	if (!connection) {
		worker_connection_closed(&peer);
		close(fd);
		return;
	}
	connection->handed_over = handed_over;
	if (tcp_attach(&reactor->tcp, connection, fd, bytes, len_bytes) < 0)
		iscsi_connection_drop(connection, "out of memory");
}

static void adopt_here(struct mail *mail)
{
	struct adopt_mail *m = container_of(mail, struct adopt_mail, mail);

	adopt(m->reactor, m->portal, m->fd, m->bytes, m->len_bytes, m->handed_over);
	free(m);
}

void reactor_adopt(struct reactor *reactor, const struct iscsi_portal *portal, int fd, const void *bytes,
		   uint32_t len_bytes, bool handed_over)
{
	struct adopt_mail *m;

	if (pthread_equal(pthread_self(), reactor->thread)) {
		adopt(reactor, portal, fd, bytes, len_bytes, handed_over);
		return;
	}
	m = malloc(sizeof *m + len_bytes);
	if (!m) {
		close(fd);
		return;
	}
	*m = (struct adopt_mail){ .mail.run = adopt_here, .reactor = reactor, .portal = portal, .fd = fd,
				  .handed_over = handed_over, .len_bytes = len_bytes };
	if (len_bytes)
		memcpy(m->bytes, bytes, len_bytes);
	mailbox_post(&reactor->mailbox, &m->mail);
}

/* --- following a new configuration --- */

struct reactor_follow {
	struct mail mail; /* to the reactor, then back */
	struct reactor *reactor;
	struct iscsi_config *config;
	struct mailbox *reply_to;
	void (*done)(void *arg);
	void *arg;
};

static void followed(struct mail *mail)
{
	struct reactor_follow *follow = container_of(mail, struct reactor_follow, mail);

	iscsi_config_unref(follow->config);
	follow->done(follow->arg);
	free(follow);
}

static void check_follow(struct reactor *reactor)
{
	struct reactor_follow *follow = reactor->follow;

	if (!iscsi_reactor_follows(&reactor->iscsi, follow->config))
		return;
	reactor->follow = NULL;
	follow->mail.run = followed;
	mailbox_post(follow->reply_to, &follow->mail);
}

static void follow_here(struct mail *mail)
{
	struct reactor_follow *follow = container_of(mail, struct reactor_follow, mail);

	follow->reactor->follow = follow;
	iscsi_reactor_reconfigure(&follow->reactor->iscsi, follow->config);
}

int reactor_follow(struct reactor *reactor, struct iscsi_config *config, struct mailbox *reply_to,
		   void (*done)(void *arg), void *arg)
{
	struct reactor_follow *follow = malloc(sizeof *follow);

	if (!follow)
		return -ENOMEM;
	*follow = (struct reactor_follow){ .mail.run = follow_here, .reactor = reactor,
					   .config = iscsi_config_ref(config), .reply_to = reply_to, .done = done,
					   .arg = arg };
	mailbox_post(&reactor->mailbox, &follow->mail);
	return 0;
}

/* --- calls --- */

struct call_mail {
	struct mail mail;
	struct reactor *reactor;
	void (*run)(struct reactor *reactor, void *arg);
	struct mailbox *reply_to;
	void (*done)(void *arg);
	void *arg;
};

static void call_done(struct mail *mail)
{
	struct call_mail *call = container_of(mail, struct call_mail, mail);

	call->done(call->arg);
	free(call);
}

static void call_here(struct mail *mail)
{
	struct call_mail *call = container_of(mail, struct call_mail, mail);

	call->run(call->reactor, call->arg);
	call->mail.run = call_done;
	mailbox_post(call->reply_to, &call->mail);
}

int reactor_call(struct reactor *reactor, void (*run)(struct reactor *reactor, void *arg), struct mailbox *reply_to,
		 void (*done)(void *arg), void *arg)
{
	struct call_mail *call = malloc(sizeof *call);

	if (!call)
		return -ENOMEM;
	*call = (struct call_mail){ { .run = call_here }, reactor, run, reply_to, done, arg };
	mailbox_post(&reactor->mailbox, &call->mail);
	return 0;
}

/* --- the loop --- */

static void mail_ready(struct poll_source *source, uint32_t events)
{
	(void)events;
	mailbox_run(&container_of(source, struct reactor, mail_source)->mailbox);
}

static void store_ready(struct poll_source *source, uint32_t events)
{
	(void)events;
	store_ctx_reap(container_of(source, struct reactor, store_source)->iscsi.scsi.store);
}

static void tick(struct reactor *reactor)
{
	struct rusage usage;

	reactor->ticked_ns = reactor->iscsi.now_ns;
	if (reactor->listeners_paused)
		resume_listeners(reactor);
	iscsi_reactor_tick(&reactor->iscsi);
	if (getrusage(RUSAGE_THREAD, &usage) == 0)
		atomic_store_explicit(&reactor->iscsi.stats->value[STAT_cpu_ns],
				      ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * NS_PER_S +
					      ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000,
				      memory_order_relaxed);
}

/* What the events led to: store I/O, responses, endings. Endings may wake connections that have work again. */
static void finish_turn(struct reactor *reactor)
{
	do {
		scsi_reactor_flush(&reactor->iscsi.scsi);
		store_ctx_reap(reactor->iscsi.scsi.store);
		iscsi_count_flush(&reactor->iscsi);
		tcp_reactor_flush(&reactor->tcp);
		iscsi_reactor_turn_end(&reactor->iscsi);
	} while (!list_empty(&reactor->tcp.dirty) || reactor->iscsi.check_aborts || !list_empty(&reactor->iscsi.scsi.locked));
	store_ctx_flush(reactor->iscsi.scsi.store);
	if (reactor->follow)
		check_follow(reactor);
}

static void pin(const struct reactor *reactor)
{
	cpu_set_t set;

	if (reactor->cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(reactor->cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0)
		log_warning("cannot pin reactor %u to CPU %d", reactor->iscsi.index, reactor->cpu);
}

static void drop_all(struct reactor *reactor)
{
	close_listener(reactor, NULL);
	list_for_each_safe(node, &reactor->iscsi.connections)
		iscsi_connection_drop(container_of(node, struct iscsi_connection, reactor_link), NULL);
}

static void *run(void *arg)
{
	struct reactor *reactor = arg;
	struct epoll_event events[EVENTS_PER_TURN];
	bool dropped = false;

	pin(reactor);
	while (!reactor->stop || !list_empty(&reactor->iscsi.connections)) {
		bool timers = reactor->iscsi.connection_count || reactor->listeners_paused;
		int count = epoll_wait(reactor->epoll_fd, events, EVENTS_PER_TURN, timers ? TICK_MS : -1);

		reactor->iscsi.now_ns = clock_now_ns();
		for (int i = 0; i < count; i++) {
			struct poll_source *source = events[i].data.ptr;

			source->ready(source, events[i].events);
		}
		if (reactor->iscsi.now_ns - reactor->ticked_ns >= TICK_MS * NS_PER_MS)
			tick(reactor);
		if (reactor->stop && !dropped) {
			drop_all(reactor);
			dropped = true;
		}
		finish_turn(reactor);
	}
	return NULL;
}

/* --- life --- */

static int watch_own(struct reactor *reactor)
{
	int result;

	reactor->mail_source.ready = mail_ready;
	reactor->store_source.ready = store_ready;
	result = poller_set(reactor->epoll_fd, EPOLL_CTL_ADD, mailbox_fd(&reactor->mailbox), EPOLLIN,
			    &reactor->mail_source);
	if (result == 0)
		result = poller_set(reactor->epoll_fd, EPOLL_CTL_ADD, store_ctx_fd(reactor->iscsi.scsi.store), EPOLLIN,
				    &reactor->store_source);
	return result;
}

static struct sgl_pool *new_pool(uint32_t buffer_bytes)
{
	if (buffer_bytes < BUFFERS_OF_LONGEST * SCSI_DATA_MAX)
		buffer_bytes = BUFFERS_OF_LONGEST * SCSI_DATA_MAX;
	return sgl_pool_new(buffer_bytes / LARGE_SHARE / SGL_SMALL_BYTES,
			    (buffer_bytes - buffer_bytes / LARGE_SHARE) / SGL_LARGE_BYTES);
}

static struct stats_slot *claim_stats(struct worker *worker, unsigned index)
{
	struct stats_slot *slot = stats_claim(worker->node.stats, STATS_WORKER, "worker", index);

	return slot ? slot : calloc(1, sizeof *slot);
}

int reactor_init(struct reactor *reactor, struct worker *worker, unsigned index, uint32_t buffer_bytes, struct err *err)
{
	struct iscsi_reactor *iscsi = &reactor->iscsi;
	int result;

	memset(reactor, 0, sizeof *reactor);
	reactor->worker = worker;
	reactor->cpu = -1;
	list_init(&reactor->listeners);
	reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (reactor->epoll_fd < 0)
		return err_errno(err, -errno, "epoll_create1");
	result = mailbox_init(&reactor->mailbox);
	if (result == 0)
		result = tcp_reactor_init(&reactor->tcp, reactor->epoll_fd);
	if (result == 0)
		result = iscsi_reactor_init(iscsi, &worker->node, index);
	if (result < 0)
		return err_errno(err, result, "cannot set up reactor %u", index);
	iscsi->stats = claim_stats(worker, index);
	iscsi->scsi.offload = worker->offload;
	iscsi->scsi.mailbox = &reactor->mailbox;
	iscsi->scsi.pool = new_pool(buffer_bytes);
	if (!iscsi->stats || !iscsi->scsi.pool)
		return err_set(err, -ENOMEM, "cannot set up reactor %u: out of memory", index);
	iscsi->scsi.store = store_ctx_new(REACTOR_STORE_DEPTH, worker->offload, &reactor->mailbox, err);
	if (!iscsi->scsi.store)
		return err_wrap(err, "cannot set up reactor %u", index);
	result = watch_own(reactor);
	if (result < 0)
		return err_errno(err, result, "cannot set up reactor %u", index);
	worker->node.reactor[index] = iscsi;
	return 0;
}

int reactor_start(struct reactor *reactor, struct err *err)
{
	int result = thread_start(&reactor->thread, run, reactor);

	if (result)
		return err_errno(err, result, "cannot start reactor %u", reactor->iscsi.index);
	reactor->started = true;
	return 0;
}

static void stop_here(struct reactor *reactor, void *arg)
{
	(void)arg;
	reactor->stop = true;
}

static void ignore(void *arg)
{
	(void)arg;
}

void reactor_stop(struct reactor *reactor)
{
	if (!reactor->started)
		return;
	if (reactor_call(reactor, stop_here, &reactor->worker->mailbox, ignore, NULL) < 0)
		return; /* out of memory at the end: the process exits all the same */
	pthread_join(reactor->thread, NULL);
	reactor->started = false;
	store_ctx_free(reactor->iscsi.scsi.store);
	sgl_pool_free(reactor->iscsi.scsi.pool);
	tcp_reactor_fini(&reactor->tcp);
	iscsi_reactor_fini(&reactor->iscsi);
	mailbox_fini(&reactor->mailbox);
	close(reactor->epoll_fd);
}
