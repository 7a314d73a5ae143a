#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "confine.h"
#include "kept.h"
#include "notify.h"
#include "statedir.h"
#include "stats.h"

#define EVENTS          32
#define MESSAGES_A_TURN 64 /* of one child, so that a chatty one does not starve the others */

enum phase { SERVING, DRAIN_WORKERS, DRAIN_CONTROL, STOPPED };

/* What outlives the processes of one worker. */
struct worker {
	struct child child;
	int stats_fd;
	int inbox[2]; /* [0]: read by this worker, [1]: written by the others */
};

struct supervisor {
	const struct options *options;
	struct spawn spawn; /* what all children have in common */
	int epoll_fd, signal_fd;
	struct child control;
	struct worker worker[OPTIONS_WORKERS_MAX];
	struct kept kept;
	enum phase phase;
	uint64_t deadline_ns; /* draining: then SIGKILL */
	bool was_ready, hurry;
	int exit_status;
	uint8_t buffer[CHANNEL_MESSAGE_MAX];
};

#define for_each_worker(w, s) \
	for (struct worker *w = (s)->worker; w < (s)->worker + (s)->options->workers; w++)

/* --- sending --- */

static void watch_channel(struct supervisor *s, struct child *child, int operation)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = child };

	if (!outbox_empty(&child->outbox))
		event.events |= EPOLLOUT;
	if (epoll_ctl(s->epoll_fd, operation, child->channel_fd, &event) < 0) {
		log_error("cannot watch the channel of %s: %s", child->name, strerror(errno));
		child_kill(child);
	}
}

/* The channel is of no use any more, and so is the child. When it is dying anyway, the SIGKILL changes nothing. */
static void give_up(struct child *child, const char *why)
{
	log_debug("channel of %s is closed: %s", child->name, why);
	child_hang_up(child);
	child_kill(child);
}

/* A message could not be sent. The channel stays open until it is read to its end, because a child that died may have said
 * why: FORBIDDEN, FATAL. */
static void send_failed(struct child *child, int error)
{
	log_debug("%s cannot be sent to: %s", child->name, strerror(-error));
	child_kill(child);
}

/* To a child that runs; others are briefed when they start. */
static void post(struct supervisor *s, struct child *child, enum message_kind kind, const void *message)
{
	bool was_empty;
	int rc;

	if (child->state != CHILD_RUNNING || child->channel_fd < 0)
		return;
	was_empty = outbox_empty(&child->outbox);
	rc = outbox_send(&child->outbox, kind, message);
	if (rc == -ENOBUFS) {
		log_error("%s does not read its messages, killing it", child->name);
		give_up(child, strerror(-rc));
	} else if (rc < 0) {
		send_failed(child, rc);
	} else if (was_empty && !outbox_empty(&child->outbox)) {
		watch_channel(s, child, EPOLL_CTL_MOD);
	}
}

static void post_peer(struct supervisor *s, struct child *child, const char *role, unsigned index, int fd)
{
	struct msg_PEER peer = { .index = index, .fd = fd };

	snprintf(peer.role, sizeof peer.role, "%s", role);
	post(s, child, MSG_PEER, &peer);
}

/* A new channel between control and a worker: one of them has just been started. */
static void introduce(struct supervisor *s, struct worker *w)
{
	int fds[2], rc;

	if (s->control.state != CHILD_RUNNING || w->child.state != CHILD_RUNNING)
		return;
	rc = channel_pair(fds);
	if (rc < 0) {
		log_error("cannot connect control and %s: %s", w->child.name, strerror(-rc));
		child_kill(&w->child); /* it is tried again with its next life */
		return;
	}
	post_peer(s, &w->child, "control", 0, fds[0]);
	post_peer(s, &s->control, "worker", w->child.index, fds[1]);
	close(fds[0]);
	close(fds[1]);
}

static void report(struct supervisor *s, struct worker *w)
{
	struct msg_WORKER_STATE state;

	child_describe(&w->child, clock_now_ns(), &state);
	post(s, &s->control, MSG_WORKER_STATE, &state);
}

static void begin(struct supervisor *s, struct child *child)
{
	post(s, child, MSG_BEGIN, &(struct msg_BEGIN){ s->options->workers, s->options->reactors });
}

static void brief_worker(struct supervisor *s, struct worker *w)
{
	post_peer(s, &w->child, "inbox", w->child.index, w->inbox[0]);
	for_each_worker(other, s)
		if (other != w)
			post_peer(s, &w->child, "worker", other->child.index, other->inbox[1]);
	post(s, &w->child, MSG_STATS, &(struct msg_STATS){ w->child.index, w->stats_fd });
	introduce(s, w);
	begin(s, &w->child);
}

static void brief_control(struct supervisor *s)
{
	struct msg_KEPT_FD kept;

	for (unsigned i = 0; i < s->kept.count; i++) {
		snprintf(kept.name, sizeof kept.name, "%s", s->kept.at[i].name);
		kept.fd = s->kept.at[i].fd;
		post(s, &s->control, MSG_KEPT_FD, &kept);
	}
	for_each_worker(w, s) {
		post(s, &s->control, MSG_STATS, &(struct msg_STATS){ w->child.index, w->stats_fd });
		introduce(s, w);
		report(s, w);
	}
	begin(s, &s->control);
}

/* --- starting --- */

static bool start(struct supervisor *s, struct child *child, uint64_t now_ns)
{
	if (child->state != CHILD_WAITING || child->start_at_ns > now_ns)
		return false;
	if (child_start(child, &s->spawn, now_ns) < 0)
		return true;
	watch_channel(s, child, EPOLL_CTL_ADD);
	return true;
}

static void start_what_is_due(struct supervisor *s, uint64_t now_ns)
{
	for_each_worker(w, s) {
		if (start(s, &w->child, now_ns)) {
			brief_worker(s, w);
			report(s, w);
		}
	}
	if (start(s, &s->control, now_ns))
		brief_control(s);
}

/* --- stopping --- */

static bool any_worker_runs(struct supervisor *s)
{
	for_each_worker(w, s)
		if (w->child.state == CHILD_RUNNING)
			return true;
	return false;
}

static void drain(struct supervisor *s, struct child *child, unsigned deadline_ms)
{
	child_retire(child);
	post(s, child, MSG_DRAIN, &(struct msg_DRAIN){ deadline_ms });
}

static void enter_phase(struct supervisor *s, enum phase phase)
{
	unsigned deadline_ms = phase == DRAIN_WORKERS ? SUPERVISOR_DRAIN_WORKERS_MS : SUPERVISOR_DRAIN_CONTROL_MS;

	if (s->hurry)
		deadline_ms = SUPERVISOR_HURRY_MS;
	s->phase = phase;
	s->deadline_ns = clock_now_ns() + (deadline_ms + SUPERVISOR_GRACE_MS) * NS_PER_MS;
	if (phase == DRAIN_WORKERS) {
		for_each_worker(w, s)
			drain(s, &w->child, deadline_ms);
	} else if (phase == DRAIN_CONTROL) {
		drain(s, &s->control, deadline_ms);
	}
}

/* Everybody who is still there at the deadline. */
static void kill_the_late(struct supervisor *s)
{
	for_each_worker(w, s) {
		if (w->child.state == CHILD_RUNNING)
			log_warning("%s did not finish in time, killing it", w->child.name);
		child_kill(&w->child);
	}
	if (s->phase == DRAIN_CONTROL)
		child_kill(&s->control);
	s->deadline_ns = UINT64_MAX;
}

static void advance(struct supervisor *s, uint64_t now_ns)
{
	if (s->phase == SERVING)
		return;
	if (now_ns >= s->deadline_ns)
		kill_the_late(s);
	if (s->phase == DRAIN_WORKERS && !any_worker_runs(s))
		enter_phase(s, DRAIN_CONTROL);
	if (s->phase == DRAIN_CONTROL && s->control.state != CHILD_RUNNING)
		s->phase = STOPPED;
}

static void stop(struct supervisor *s, int exit_status)
{
	if (s->phase == SERVING) {
		s->exit_status = exit_status;
		s->hurry = !s->was_ready; /* nobody was served yet */
		child_retire(&s->control); /* it drains last, but is not started again from now on */
		notify_manager("STOPPING=1\nSTATUS=draining");
		enter_phase(s, DRAIN_WORKERS);
	} else if (!s->hurry) {
		log_notice("asked to stop again, hurrying");
		s->hurry = true;
		s->deadline_ns = clock_now_ns() + SUPERVISOR_HURRY_MS * NS_PER_MS;
	}
}

/* --- events --- */

static void child_is_ready(struct supervisor *s, struct child *child, const char *text)
{
	child->ready = true;
	log_info("%s is ready", child->name);
	if (child != &s->control || s->was_ready)
		return;
	s->was_ready = true;
	printf("ready %s state=%s token=%s/admin.token\n", text, s->options->state_dir, s->options->state_dir);
	fflush(stdout);
	notify_manager("READY=1\nSTATUS=serving");
}

static void on_message(struct supervisor *s, struct child *child, const struct message *m)
{
	switch (m->kind) {
	case MSG_READY:
		child_is_ready(s, child, m->as.READY.text);
		break;
	case MSG_KEEP_FD:
		if (kept_take(&s->kept, m->as.KEEP_FD.name, m->as.KEEP_FD.fd) < 0)
			log_error("too many descriptors to keep, %s will not survive a restart of control",
				  log_quoted(m->as.KEEP_FD.name));
		break;
	case MSG_DROP_FD:
		kept_drop(&s->kept, m->as.DROP_FD.name);
		break;
	case MSG_FORBIDDEN:
		child_forbidden(child, &m->as.FORBIDDEN);
		break;
	case MSG_FATAL:
		fprintf(stderr, "lunetted: %s\n", m->as.FATAL.text);
		stop(s, m->as.FATAL.status ? (int)m->as.FATAL.status : EXIT_CANNOT);
		break;
	default:
		log_warning("unexpected message %s from %s", message_name(m->kind), child->name);
	}
}

static void on_channel(struct supervisor *s, struct child *child)
{
	struct message m;
	int rc;

	for (int i = 0; i < MESSAGES_A_TURN && child->channel_fd >= 0; i++) {
		rc = channel_receive(child->channel_fd, child->role, ROLE_SUPERVISOR, s->buffer, &m);
		if (rc == 0)
			on_message(s, child, &m);
		else if (rc == -EBADMSG)
			log_error("a message that makes no sense from %s, dropped", child->name);
		else if (rc == -EAGAIN)
			break;
		else
			give_up(child, strerror(-rc));
	}
	if (child->channel_fd >= 0 && !outbox_empty(&child->outbox)) {
		rc = outbox_flush(&child->outbox);
		if (rc < 0)
			send_failed(child, rc);
		else if (outbox_empty(&child->outbox))
			watch_channel(s, child, EPOLL_CTL_MOD);
	}
}

static void reap(struct supervisor *s)
{
	uint64_t now_ns = clock_now_ns();
	int status;

	if (s->control.state == CHILD_RUNNING && waitpid(s->control.pid, &status, WNOHANG) == s->control.pid) {
		on_channel(s, &s->control); /* its last words: FATAL */
		child_reaped(&s->control, status, now_ns);
	}
	for_each_worker(w, s) {
		if (w->child.state == CHILD_RUNNING && waitpid(w->child.pid, &status, WNOHANG) == w->child.pid) {
			on_channel(s, &w->child); /* FORBIDDEN */
			child_reaped(&w->child, status, now_ns);
			report(s, w);
		}
	}
}

static void on_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGCHLD) {
			reap(s);
		} else if (info.ssi_signo == SIGHUP) {
			log_notice("SIGHUP: there is nothing to reload; configuration changes by REST");
		} else {
			log_notice("stopping, SIG%s from process %u", sigabbrev_np((int)info.ssi_signo), info.ssi_pid);
			stop(s, EXIT_OK);
		}
	}
}

/* --- the loop --- */

static uint64_t earlier(uint64_t at_ns, const struct child *child)
{
	return child->state == CHILD_WAITING && child->start_at_ns < at_ns ? child->start_at_ns : at_ns;
}

/* Milliseconds until something is due; -1: nothing is. */
static int timeout_ms(struct supervisor *s)
{
	uint64_t at_ns = s->deadline_ns, now_ns = clock_now_ns();

	if (s->phase == SERVING) {
		at_ns = earlier(UINT64_MAX, &s->control);
		for_each_worker(w, s)
			at_ns = earlier(at_ns, &w->child);
	}
	if (at_ns == UINT64_MAX)
		return -1;
	return at_ns <= now_ns ? 0 : (int)((at_ns - now_ns) / NS_PER_MS + 1);
}

static int loop(struct supervisor *s)
{
	struct epoll_event events[EVENTS];

	while (s->phase != STOPPED) {
		int n;

		if (s->phase == SERVING)
			start_what_is_due(s, clock_now_ns());
		n = epoll_wait(s->epoll_fd, events, EVENTS, timeout_ms(s));
		if (n < 0 && errno != EINTR) {
			log_error("cannot wait for events: %s", strerror(errno));
			return EXIT_CANNOT; /* and the children die with us */
		}
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				on_channel(s, events[i].data.ptr);
			else
				on_signals(s);
		}
		advance(s, clock_now_ns());
	}
	return s->exit_status;
}

/* --- set-up --- */

static int open_signals(struct supervisor *s)
{
	static const int watched[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
	struct epoll_event event = { .events = EPOLLIN };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++)
		sigaddset(&set, watched[i]);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->signal_fd < 0 || s->epoll_fd < 0 || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->signal_fd, &event) < 0)
		return -errno;
	return 0;
}

static int open_workers(struct supervisor *s)
{
	unsigned index = 0;

	for_each_worker(w, s) {
		int rc = channel_pair(w->inbox);

		if (rc < 0)
			return rc;
		w->stats_fd = stats_create();
		if (w->stats_fd < 0)
			return w->stats_fd;
		child_init(&w->child, ROLE_WORKER, index++);
	}
	child_init(&s->control, ROLE_CONTROL, 0);
	return 0;
}

static int write_pid_file(const char *path, struct err *err)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return err_errno(err, -errno, "cannot write the pid file %s", log_quoted(path));
	fprintf(file, "%d\n", (int)getpid());
	if (fchmod(fileno(file), 0644) < 0 || fclose(file) != 0)
		return err_errno(err, -errno, "cannot write the pid file %s", log_quoted(path));
	return 0;
}

/* Descriptors 0 to 2 exist, so that no socket of ours ever lands there. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int set_up(struct supervisor *s, struct err *err)
{
	struct privilege privilege;
	int rc;

	rc = privilege_find(s->options->user, s->options->group, s->options->state_dir, &privilege, err);
	if (rc < 0)
		return rc;
	confine_report(!s->options->no_seccomp, !s->options->no_landlock);
	rc = statedir_open(s->options->state_dir, privilege.uid, privilege.gid, err);
	if (rc < 0)
		return rc;
	s->spawn.state_lock_fd = rc;
	s->spawn.privilege = privilege;
	rc = open_signals(s);
	if (rc == 0)
		rc = open_workers(s);
	if (rc < 0)
		return err_errno(err, rc, "cannot set up the supervisor");
	return s->options->pid_file ? write_pid_file(s->options->pid_file, err) : 0;
}

int supervisor_run(const struct options *options, int argc, char **argv)
{
	static struct supervisor supervisor; /* large, one a process */
	struct supervisor *s = &supervisor;
	struct err err = { 0 };
	int rc;

	*s = (struct supervisor){ .options = options, .spawn = { .argc = argc, .argv = argv } };
	log_open("supervisor", options->log_level);
	fill_standard_descriptors();
	umask(077);
	privilege_raise_limits();
	rc = set_up(s, &err);
	if (rc < 0) {
		fprintf(stderr, "lunetted: %s\n", err.text);
		return rc == -EBUSY ? EXIT_STATE_IN_USE : EXIT_CANNOT;
	}
	rc = loop(s);
	if (options->pid_file)
		unlink(options->pid_file);
	return rc;
}
