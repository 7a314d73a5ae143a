/* SVG to PNG: see png.h. */
#include "monitor/png.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

#define PNG_MAX_BYTES (64u << 20)
/* Seconds of CPU, KiB of memory. */
#define COMMAND       "ulimit -t 10; ulimit -v 2000000; exec rsvg-convert --format=png"

extern char **environ;

struct convert {
	int fd;              /* our end; the other is its standard input and output */
	const char *svg;
	size_t left_bytes;   /* to write */
	char *png;
	size_t len_bytes, room_bytes;
	uint64_t deadline_ns;
};

static int start(int fd, pid_t *ret_pid)
{
	char *const args[] = { (char *)"sh", (char *)"-c", (char *)COMMAND, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int error;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	error = posix_spawn(ret_pid, "/bin/sh", &actions, &attributes, args, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

/* The next piece of the SVG; at its end the other side is told. */
static int feed(struct convert *c)
{
	ssize_t n = send(c->fd, c->svg, c->left_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->svg += n;
	c->left_bytes -= (size_t)n;
	if (c->left_bytes == 0)
		shutdown(c->fd, SHUT_WR);
	return 0;
}

/* 1: that was all. */
static int take(struct convert *c)
{
	ssize_t n;

	if (c->len_bytes == c->room_bytes) {
		size_t room = c->room_bytes ? 2 * c->room_bytes : 256 * 1024;
		char *grown = room <= PNG_MAX_BYTES ? realloc(c->png, room) : NULL;

		if (!grown)
			return -ENOMEM;
		c->png = grown;
		c->room_bytes = room;
	}
	n = recv(c->fd, c->png + c->len_bytes, c->room_bytes - c->len_bytes, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->len_bytes += (size_t)n;
	return n == 0;
}

static int wait_ms(uint64_t deadline_ns)
{
	uint64_t now_ns = clock_now_ns();

	return now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / NS_PER_MS) + 1 : 0;
}

static int converse(struct convert *c)
{
	int result = 0;

	while (result == 0) {
		struct pollfd pollfd = { .fd = c->fd, .events = (short)(POLLIN | (c->left_bytes ? POLLOUT : 0)) };

		if (wait_ms(c->deadline_ns) == 0)
			return -ETIMEDOUT;
		if (poll(&pollfd, 1, wait_ms(c->deadline_ns)) < 0 && errno != EINTR)
			return -errno;
		if (pollfd.revents & POLLOUT && c->left_bytes)
			result = feed(c);
		if (result == 0 && pollfd.revents & (POLLIN | POLLHUP | POLLERR))
			result = take(c);
	}
	return result < 0 ? result : 0;
}

/* It has said all, but goes on: not for longer than the deadline. */
static int await_end(pid_t pid, uint64_t deadline_ns)
{
	struct pollfd pollfd = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int n;

	if (pollfd.fd < 0)
		return -errno;
	do
		n = poll(&pollfd, 1, wait_ms(deadline_ns));
	while (n < 0 && errno == EINTR);
	close(pollfd.fd);
	return n > 0 ? 0 : -ETIMEDOUT;
}

static int finish(pid_t pid, int error, uint64_t deadline_ns, struct err *err)
{
	int status = 0;

	if (!error)
		error = await_end(pid, deadline_ns);
	kill(-pid, SIGKILL); /* with all it started; how it ended itself stays known */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (error == -ETIMEDOUT)
		return err_set(err, error, "rsvg-convert took more than %d s", PNG_WAIT_MS / 1000);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(err, -ENOENT, "rsvg-convert (package librsvg2-bin) is not installed");
	if (error || !WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(err, -EIO, "rsvg-convert failed");
	return 0;
}

int png_of_svg(const char *svg, char **ret_png, size_t *ret_len_bytes, struct err *err)
{
	struct convert c = { .svg = svg, .left_bytes = strlen(svg),
			     .deadline_ns = clock_now_ns() + PNG_WAIT_MS * NS_PER_MS };
	int pair[2], error;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(err, -errno, "cannot talk to rsvg-convert");
	c.fd = pair[0];
	error = start(pair[1], &pid);
	close(pair[1]);
	if (error)
		err_errno(err, error, "cannot start rsvg-convert");
	else
		error = finish(pid, converse(&c), c.deadline_ns, err);
	close(c.fd);
	if (!error && c.len_bytes == 0)
		error = err_set(err, -EIO, "rsvg-convert made nothing");
	if (error) {
		free(c.png);
		return error;
	}
	*ret_png = c.png;
	*ret_len_bytes = c.len_bytes;
	return 0;
}
