/*
 * The manager thread of a worker: messages from supervisor, control and other workers. See worker.h.
 *
 * Start: PEER, STATS, BEGIN from the supervisor; then HELLO to control, which answers with SERVE and LISTEN; the first
 * serve document starts the reactors. A new channel to control (it was restarted): HELLO again, with the generation in
 * force. The supervisor gone: we go too. DRAIN: no new connections, sessions are asked to log out, what is left at the
 * deadline is dropped, exit 0.
 */
#include "dataplane/reactor/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "dataplane/reactor/internal.h"
#include "log.h"

#define EVENTS_PER_TURN 16
#define DRAIN_POLL_MS   20

static struct worker *the_worker; /* for the node's callbacks, which have no argument of ours */

/* --- to control, to other workers; any thread --- */

int worker_send(struct worker *worker, enum message_kind kind, const void *message)
{
	int result;

	pthread_mutex_lock(&worker->control_lock);
	result = worker->control_fd < 0 ? -ENOTCONN : channel_send(worker->control_fd, kind, message);
	pthread_mutex_unlock(&worker->control_lock);
	if (result < 0 && result != -ENOTCONN && result != -EPIPE)
		log_limited(LOG_WARNING, "%s to control not sent: %s", message_name(kind), strerror(-result));
	return result;
}

static void send_event(const char *kind, const char *object, const char *text)
{
	struct msg_EVENT event;

	snprintf(event.kind, sizeof event.kind, "%s", kind);
	snprintf(event.object, sizeof event.object, "%s", object);
	snprintf(event.text, sizeof event.text, "%s", text);
	worker_send(the_worker, MSG_EVENT, &event);
}

static int hand_over(unsigned owner, const char *portal, int fd, const uint8_t *bytes, uint32_t len_bytes)
{
	struct msg_HANDOVER message = { .bytes = { bytes, len_bytes }, .fd = fd };
	int inbox = owner < WORKERS_MAX ? the_worker->peer_inbox[owner] : -1;
	int result = -ENOENT;

	snprintf(message.portal, sizeof message.portal, "%s", portal);
	if (inbox >= 0)
		result = channel_send(inbox, MSG_HANDOVER, &message);
	close(fd);
	return result;
}

static void hello(struct worker *worker)
{
	worker_send(worker, MSG_HELLO, &(struct msg_HELLO){ worker->options->index, worker->generation });
}

/* --- portals --- */

static struct worker_portal *keep_portal(struct worker *worker, const struct msg_LISTEN *listen)
{
	struct worker_portal *entry;
	socklen_t len = sizeof entry->portal.bound;

	list_for_each(node, &worker->portals) {
		entry = container_of(node, struct worker_portal, link);
		if (strcmp(entry->portal.name, listen->name) == 0 && strcmp(entry->portal.address, listen->address) == 0 &&
		    entry->portal.tag == listen->tag)
			return entry;
	}
	entry = calloc(1, sizeof *entry);
	if (!entry)
		return NULL;
	snprintf(entry->portal.name, sizeof entry->portal.name, "%.*s", ISCSI_PORTAL_NAME_MAX - 1, listen->name);
	snprintf(entry->portal.address, sizeof entry->portal.address, "%.*s", ISCSI_ADDRESS_MAX - 1, listen->address);
	entry->portal.tag = (uint16_t)listen->tag;
	getsockname(listen->fd, (struct sockaddr *)&entry->portal.bound, &len);
	entry->waiting_fd = -1;
	list_prepend(&worker->portals, &entry->link); /* the newest of a name is found first */
	return entry;
}

static const struct iscsi_portal *find_portal(struct worker *worker, const char *name)
{
	list_for_each(node, &worker->portals) {
		struct worker_portal *entry = container_of(node, struct worker_portal, link);

		if (strcmp(entry->portal.name, name) == 0)
			return &entry->portal;
	}
	return NULL;
}

static void listen_in_reactors(struct worker *worker, const struct iscsi_portal *portal, int listen_fd)
{
	for (unsigned i = 0; i < worker->node.reactor_count; i++) {
		int fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);

		if (fd < 0 || reactor_listen(&worker->reactors[i], portal, fd) < 0)
			log_error("cannot listen on portal=%s: %s", portal->name, strerror(errno));
	}
	close(listen_fd);
}

/* A portal that comes before the reactors run waits for them. */
static void listen_on(struct worker *worker, const struct msg_LISTEN *listen)
{
	struct worker_portal *entry = keep_portal(worker, listen);

	fcntl(listen->fd, F_SETFL, fcntl(listen->fd, F_GETFL) | O_NONBLOCK);
	if (!entry || worker->drain_deadline_ns) {
		close(listen->fd);
	} else if (worker->reactors) {
		listen_in_reactors(worker, &entry->portal, listen->fd);
	} else {
		if (entry->waiting_fd >= 0)
			close(entry->waiting_fd);
		entry->waiting_fd = listen->fd;
	}
}

static void listen_on_waiting(struct worker *worker)
{
	list_for_each(node, &worker->portals) {
		struct worker_portal *entry = container_of(node, struct worker_portal, link);

		if (entry->waiting_fd >= 0)
			listen_in_reactors(worker, &entry->portal, entry->waiting_fd);
		entry->waiting_fd = -1;
	}
}

static void stop_listening(struct worker *worker, const char *name)
{
	for (unsigned i = 0; worker->reactors && i < worker->node.reactor_count; i++)
		reactor_unlisten(&worker->reactors[i], name);
}

/* --- reactors --- */

/* The n-th CPU that we may run on; -1: there is none such. */
static int nth_cpu(unsigned n)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return -1;
	n %= (unsigned)CPU_COUNT(&set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && n-- == 0)
			return cpu;
	return -1;
}

int worker_start_reactors(struct worker *worker, uint32_t buffer_bytes, struct err *err)
{
	unsigned count = worker->options->reactor_count;
	struct reactor *reactors = calloc(count, sizeof *reactors);

	if (!reactors)
		return err_set(err, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < count; i++) {
		if (reactor_init(&reactors[i], worker, i, buffer_bytes, err) < 0)
			return err->code;
		if (worker->options->pin)
			reactors[i].cpu = nth_cpu(worker->options->index * count + i);
	}
	worker->reactors = reactors;
	for (unsigned i = 0; i < count; i++)
		if (reactor_start(&reactors[i], err) < 0)
			return err->code;
	listen_on_waiting(worker);
	return channel_send(worker->options->supervisor_fd, MSG_READY, &(struct msg_READY){ .text = "" });
}

/* --- drain --- */

static void ask_for_logout(struct reactor *reactor, void *arg)
{
	unsigned grace_s = *(unsigned *)arg;

	list_for_each_safe(node, &reactor->iscsi.connections) {
		struct iscsi_connection *connection = container_of(node, struct iscsi_connection, reactor_link);

		if (connection->session && !connection->session->discovery)
			iscsi_session_request_logout(connection->session, grace_s);
		else
			iscsi_connection_drop(connection, NULL);
	}
}

static void ignore(void *arg)
{
	(void)arg;
}

static void drain(struct worker *worker, uint32_t deadline_ms)
{
	static unsigned grace_s;

	if (worker->drain_deadline_ns)
		deadline_ms = 0; /* asked twice: now */
	worker->drain_deadline_ns = clock_now_ns() + deadline_ms * NS_PER_MS;
	grace_s = deadline_ms / 1000 ? deadline_ms / 1000 : 1;
	pthread_mutex_lock(&worker->node.lock);
	worker->node.draining = true;
	pthread_mutex_unlock(&worker->node.lock);
	stop_listening(worker, "");
	for (unsigned i = 0; worker->reactors && i < worker->node.reactor_count; i++)
		reactor_call(&worker->reactors[i], ask_for_logout, &worker->mailbox, ignore, &grace_s);
}

static void check_drained(struct worker *worker)
{
	unsigned left = worker_connections();

	if (left && clock_now_ns() < worker->drain_deadline_ns)
		return;
	if (left)
		log_notice("%u connections closed without logout", left);
	worker->stop = true;
}

/* --- messages --- */

static void watch(struct worker *worker, int fd, struct poll_source *source)
{
	int result = poller_set(worker->epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN, source);

	if (result < 0)
		log_error("epoll: %s", strerror(-result));
}

static void new_control(struct worker *worker, int fd)
{
	int old;

	pthread_mutex_lock(&worker->control_lock);
	old = worker->control_fd;
	worker->control_fd = fd;
	pthread_mutex_unlock(&worker->control_lock);
	if (old >= 0)
		close(old);
	watch(worker, fd, &worker->control_source);
	if (worker->begun)
		hello(worker);
}

static void new_peer(struct worker *worker, const struct msg_PEER *peer)
{
	if (strcmp(peer->role, "control") == 0) {
		new_control(worker, peer->fd);
	} else if (strcmp(peer->role, "inbox") == 0 && worker->inbox_fd < 0) {
		worker->inbox_fd = peer->fd;
		watch(worker, peer->fd, &worker->inbox_source);
	} else if (strcmp(peer->role, "worker") == 0 && peer->index < WORKERS_MAX && worker->peer_inbox[peer->index] < 0) {
		worker->peer_inbox[peer->index] = peer->fd;
	} else {
		log_error("unexpected peer role=%s index=%u", log_quoted(peer->role), peer->index);
		close(peer->fd);
	}
}

static void begin(struct worker *worker)
{
	worker->node.stats = worker->stats_fd >= 0 ? stats_map(worker->stats_fd, 1) : NULL;
	if (!worker->node.stats) {
		log_error("no statistics segment");
		worker->stop = true;
		worker->exit_status = 1;
		return;
	}
	stats_clear(worker->node.stats);
	worker->begun = true;
	if (worker->control_fd >= 0)
		hello(worker);
}

static void from_supervisor(struct worker *worker, const struct message *message)
{
	switch (message->kind) {
	case MSG_PEER:
		new_peer(worker, &message->as.PEER);
		break;
	case MSG_STATS:
		worker->stats_fd = message->as.STATS.fd;
		break;
	case MSG_BEGIN:
		begin(worker);
		break;
	case MSG_DRAIN:
		drain(worker, message->as.DRAIN.deadline_ms);
		break;
	default:
		log_error("unexpected %s from the supervisor", message_name(message->kind));
	}
}

static void from_control(struct worker *worker, const struct message *message)
{
	switch (message->kind) {
	case MSG_SERVE:
		worker_serve(worker, message->as.SERVE.generation, message->as.SERVE.memfd);
		break;
	case MSG_LISTEN:
		listen_on(worker, &message->as.LISTEN);
		break;
	case MSG_UNLISTEN:
		stop_listening(worker, message->as.UNLISTEN.name);
		break;
	case MSG_QUERY:
		worker_query(worker, &message->as.QUERY);
		break;
	case MSG_COMMAND:
		worker_command(worker, &message->as.COMMAND);
		break;
	default:
		log_error("unexpected %s from control", message_name(message->kind));
	}
}

static void from_worker(struct worker *worker, const struct message *message)
{
	const struct msg_HANDOVER *handover = &message->as.HANDOVER;
	const struct iscsi_portal *portal = find_portal(worker, handover->portal);
	struct reactor *best = worker->reactors;

	if (!portal || !best || worker->drain_deadline_ns) {
		close(handover->fd);
		return;
	}
	for (unsigned i = 1; i < worker->node.reactor_count; i++)
		if (worker->reactors[i].iscsi.connection_count < best->iscsi.connection_count)
			best = &worker->reactors[i];
	reactor_adopt(best, portal, handover->fd, handover->bytes.bytes, handover->bytes.len_bytes, true);
}

/* All messages there are; the channel's end and its errors. */
static void receive_all(struct worker *worker, int fd, enum channel_role sender,
			void (*handle)(struct worker *worker, const struct message *message), void (*gone)(struct worker *worker))
{
	struct message message;

	for (;;) {
		int result = channel_receive(fd, sender, ROLE_WORKER, worker->buffer, &message);

		if (result == -EAGAIN)
			return;
		if (result == -EBADMSG) {
			log_error("message from %s dropped, not valid", channel_role_name(sender));
			continue;
		}
		if (result < 0) {
			gone(worker);
			return;
		}
		handle(worker, &message);
	}
}

static void supervisor_gone(struct worker *worker)
{
	log_error("the supervisor is gone, stopping");
	worker->stop = true;
	worker->exit_status = 1;
}

static void control_gone(struct worker *worker)
{
	pthread_mutex_lock(&worker->control_lock);
	close(worker->control_fd);
	worker->control_fd = -1;
	pthread_mutex_unlock(&worker->control_lock);
}

static void inbox_gone(struct worker *worker)
{
	close(worker->inbox_fd);
	worker->inbox_fd = -1;
}

static void supervisor_ready(struct poll_source *source, uint32_t events)
{
	struct worker *worker = container_of(source, struct worker, supervisor_source);

	(void)events;
	receive_all(worker, worker->options->supervisor_fd, ROLE_SUPERVISOR, from_supervisor, supervisor_gone);
}

static void control_ready(struct poll_source *source, uint32_t events)
{
	struct worker *worker = container_of(source, struct worker, control_source);

	(void)events;
	if (worker->control_fd >= 0)
		receive_all(worker, worker->control_fd, ROLE_CONTROL, from_control, control_gone);
}

static void inbox_ready(struct poll_source *source, uint32_t events)
{
	struct worker *worker = container_of(source, struct worker, inbox_source);

	(void)events;
	if (worker->inbox_fd >= 0)
		receive_all(worker, worker->inbox_fd, ROLE_WORKER, from_worker, inbox_gone);
}

static void mail_ready(struct poll_source *source, uint32_t events)
{
	(void)events;
	mailbox_run(&container_of(source, struct worker, mail_source)->mailbox);
}

/* --- life --- */

/* The first line of a small file; "" when it cannot be read. */
static void read_line(const char *path, char *ret_line, int size)
{
	FILE *file = fopen(path, "re");

	ret_line[0] = '\0';
	if (!file)
		return;
	if (!fgets(ret_line, size, file))
		ret_line[0] = '\0';
	fclose(file);
}

/* A number that stays while the daemon runs, also over a worker's restart, and differs after each start of the daemon:
 * made of the boot, the supervisor's process number and its start time. */
static uint64_t daemon_epoch(void)
{
	char path[32], stat[1024], boot[64];
	uint64_t epoch = UINT64_C(14695981039346656037); /* FNV-1a */
	const char *at;

	read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
	snprintf(path, sizeof path, "/proc/%d/stat", (int)getppid());
	read_line(path, stat, sizeof stat);
	for (const char *c = boot; *c; c++)
		epoch = (epoch ^ (uint8_t)*c) * UINT64_C(1099511628211);
	at = strrchr(stat, ')'); /* field 2, the name, may hold anything; field 22 is the start time */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	epoch ^= (uint64_t)getppid() << 40;
	return at ? epoch ^ strtoull(at, NULL, 10) : epoch;
}

static int worker_init(struct worker *worker, const struct worker_options *options, struct err *err)
{
	char name[32], root[4096];
	int result;

	memset(worker, 0, sizeof *worker);
	worker->options = options;
	worker->control_fd = worker->inbox_fd = worker->stats_fd = -1;
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		worker->peer_inbox[i] = -1;
	list_init(&worker->stores);
	list_init(&worker->portals);
	pthread_mutex_init(&worker->control_lock, NULL);
	worker->mail_source.ready = mail_ready;
	worker->supervisor_source.ready = supervisor_ready;
	worker->control_source.ready = control_ready;
	worker->inbox_source.ready = inbox_ready;
	worker->daemon_epoch = daemon_epoch();
	worker->buffer = malloc(CHANNEL_MESSAGE_MAX);
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	worker->offload = offload_new(WORKER_OFFLOAD_THREADS);
	worker->jobs = scsi_jobs_new(options->index, send_event);
	result = mailbox_init(&worker->mailbox);
	if (!worker->buffer || worker->epoll_fd < 0 || !worker->offload || !worker->jobs || result < 0)
		return err_set(err, -ENOMEM, "cannot set up the worker");
	result = worker_allocated_init(worker);
	if (result == 0)
		result = worker_space_init(worker);
	if (result < 0)
		return err_errno(err, result, "cannot set up the worker");
	result = iscsi_node_init(&worker->node, options->index, options->reactor_count);
	if (result < 0)
		return err_errno(err, result, "cannot set up the worker");
	worker->node.event = send_event;
	worker->node.hand_over = hand_over;
	worker->node.connection_closed = worker_connection_closed;
	snprintf(name, sizeof name, "worker%u", options->index);
	snprintf(root, sizeof root, "%s/documents", options->state_dir);
	worker->documents = docstore_open(root, name, err);
	return worker->documents ? 0 : err->code;
}

static void run(struct worker *worker)
{
	struct epoll_event events[EVENTS_PER_TURN];

	watch(worker, worker->options->supervisor_fd, &worker->supervisor_source);
	watch(worker, mailbox_fd(&worker->mailbox), &worker->mail_source);
	while (!worker->stop) {
		int count = epoll_wait(worker->epoll_fd, events, EVENTS_PER_TURN,
				       worker->drain_deadline_ns ? DRAIN_POLL_MS : -1);

		for (int i = 0; i < count; i++) {
			struct poll_source *source = events[i].data.ptr;

			source->ready(source, events[i].events);
		}
		if (worker->drain_deadline_ns)
			check_drained(worker);
	}
}

/* Orderly end: reactors finish their I/O, LUNs are closed. Memory goes with the process. */
static void end(struct worker *worker)
{
	for (unsigned i = 0; worker->reactors && i < worker->node.reactor_count; i++)
		reactor_stop(&worker->reactors[i]);
	for (unsigned i = 0; i < ISCSI_LUN_BUCKETS; i++)
		list_for_each(pos, &worker->node.luns[i]) {
			struct iscsi_lun *lun = container_of(pos, struct iscsi_lun, link);

			scsi_lu_free(lun->lu);
			lun_close(lun->lun);
		}
	docstore_close(worker->documents);
}

int worker_main(const struct worker_options *options)
{
	static struct worker worker;
	struct err err = { 0 };

	signal(SIGPIPE, SIG_IGN);
	the_worker = &worker;
	if (options->reactor_count == 0 || options->reactor_count > WORKER_REACTORS_MAX) {
		log_error("reactor count out of range: %u", options->reactor_count);
		return 2;
	}
	if (worker_init(&worker, options, &err) < 0) {
		log_error("cannot start: %s", err.text);
		return 1;
	}
	run(&worker);
	end(&worker);
	return worker.exit_status;
}
