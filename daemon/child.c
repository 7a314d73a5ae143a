#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

void child_init(struct child *child, enum channel_role role, unsigned index)
{
	*child = (struct child){ .role = role, .index = index, .channel_fd = -1 };
	if (role == ROLE_WORKER)
		snprintf(child->name, sizeof child->name, "worker%u", index);
	else
		snprintf(child->name, sizeof child->name, "%s", channel_role_name(role));
	outbox_init(&child->outbox, -1);
}

/* The life is over: when may the next one begin? */
static void wait_for_next_life(struct child *child, uint64_t lived_ns, uint64_t now_ns)
{
	unsigned delay_ms = backoff_next(&child->backoff, lived_ns / NS_PER_MS);

	child->state = child->retired ? CHILD_GONE : CHILD_WAITING;
	child->start_at_ns = now_ns + delay_ms * NS_PER_MS;
	child->pid = 0;
	child->ready = false;
	if (child->retired)
		log_info("%s %s", child->name, child->last_exit);
	else
		log_error("%s %s, starting it again child=%s lived_ms=%llu retry_in_ms=%u starts=%u", child->name,
			  child->last_exit, child->name, (unsigned long long)(lived_ns / NS_PER_MS), delay_ms,
			  child->starts);
}

int child_start(struct child *child, const struct spawn *spawn, uint64_t now_ns)
{
	struct spawn this = *spawn;
	int fds[2], rc = channel_pair(fds);
	pid_t pid;

	child->starts++;
	if (rc < 0)
		goto failed;
	this.role = channel_role_name(child->role);
	this.index = child->index;
	this.channel_fd = fds[1];
	pid = spawn_child(&this);
	close(fds[1]);
	if (pid < 0) {
		rc = (int)pid;
		close(fds[0]);
		goto failed;
	}
	child->pid = pid;
	child->state = CHILD_RUNNING;
	child->started_ns = now_ns;
	child->ready = false;
	child->forbidden[0] = '\0';
	child->channel_fd = fds[0];
	outbox_init(&child->outbox, fds[0]);
	log_info("started %s pid=%d starts=%u", child->name, (int)pid, child->starts);
	return 0;
failed:
	snprintf(child->last_exit, sizeof child->last_exit, "could not be started: %s", strerror(-rc));
	wait_for_next_life(child, 0, now_ns);
	return rc;
}

void child_forbidden(struct child *child, const struct msg_FORBIDDEN *message)
{
	snprintf(child->forbidden, sizeof child->forbidden, "%.32s (%u)", message->name, message->number);
}

void child_reaped(struct child *child, int wait_status, uint64_t now_ns)
{
	const char *signal_name;

	if (WIFEXITED(wait_status)) {
		snprintf(child->last_exit, sizeof child->last_exit, "exited with status %d", WEXITSTATUS(wait_status));
	} else {
		signal_name = sigabbrev_np(WTERMSIG(wait_status));
		snprintf(child->last_exit, sizeof child->last_exit, "killed by SIG%s%s", signal_name ? signal_name : "?",
			 WCOREDUMP(wait_status) ? ", core dumped" : "");
		if (WTERMSIG(wait_status) == SIGSYS)
			snprintf(child->last_exit, sizeof child->last_exit, "used the forbidden system call %s",
				 child->forbidden[0] ? child->forbidden : "of no name");
	}
	child_hang_up(child);
	wait_for_next_life(child, now_ns - child->started_ns, now_ns);
}

void child_kill(struct child *child)
{
	if (child->state == CHILD_RUNNING)
		kill(child->pid, SIGKILL);
}

void child_retire(struct child *child)
{
	child->retired = true;
	if (child->state == CHILD_WAITING)
		child->state = CHILD_GONE;
}

void child_hang_up(struct child *child)
{
	outbox_fini(&child->outbox);
	if (child->channel_fd >= 0)
		close(child->channel_fd); /* and so it leaves the epoll set */
	child->channel_fd = -1;
}

void child_describe(const struct child *child, uint64_t now_ns, struct msg_WORKER_STATE *ret_state)
{
	bool running = child->state == CHILD_RUNNING;
	uint64_t left_ns = child->start_at_ns > now_ns ? child->start_at_ns - now_ns : 0;

	*ret_state = (struct msg_WORKER_STATE){
		.index = child->index,
		.pid = running ? (uint32_t)child->pid : 0,
		.starts = child->starts,
		.retry_in_ms = running ? 0 : left_ns / NS_PER_MS + 1, /* 0 would say that it runs */
		.uptime_ms = running ? (now_ns - child->started_ns) / NS_PER_MS : 0,
	};
	snprintf(ret_state->last_exit, sizeof ret_state->last_exit, "%s", child->last_exit);
}
