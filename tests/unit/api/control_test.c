/*
 * control_main as a process of its own, under a small supervisor, with one fake worker and real sockets: start and
 * readiness, what is fatal, a restart with kept sockets, and HTTP at the level of bytes (B113 to B117).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/control.h"
#include "api/http.h"
#include "api/portals.h"
#include "channel.h"
#include "clock.h"
#include "log.h"

#define KEPT_MAX 16

struct rig {
	char state_dir[64];
	struct control_options options;
	pid_t pid;
	int control;           /* channel to the control process */
	int worker;            /* the worker's end of its channel to control */
	char ready[CHANNEL_TEXT_MAX], fatal[CHANNEL_TEXT_MAX];
	bool ended;
	struct { char name[CHANNEL_TEXT_MAX]; int fd; } kept[KEPT_MAX];
	unsigned kept_count, listens;
	uint16_t port;         /* of HTTP, once ready */
	char token[128];
	uint8_t buffer[CHANNEL_MESSAGE_MAX];
};

static void on_control(struct rig *r, struct message *m)
{
	if (m->kind == MSG_READY) {
		strcpy(r->ready, m->as.READY.text);
	} else if (m->kind == MSG_FATAL) {
		strcpy(r->fatal, m->as.FATAL.text);
	} else if (m->kind == MSG_KEEP_FD) {
		assert_true(r->kept_count < KEPT_MAX);
		strcpy(r->kept[r->kept_count].name, m->as.KEEP_FD.name);
		r->kept[r->kept_count++].fd = m->as.KEEP_FD.fd;
	}
}

static void on_worker(struct rig *r, struct message *m)
{
	if (m->kind == MSG_SERVE) {
		int fd = memfd_with("served", "{\"errors\":[]}", 13);

		close(m->as.SERVE.memfd);
		channel_send(r->worker, MSG_SERVED, &(struct msg_SERVED){ m->as.SERVE.generation, fd });
		close(fd);
	} else if (m->kind == MSG_LISTEN) {
		r->listens++;
		close(m->as.LISTEN.fd);
	}
}

/* Answers both peers for one step. */
static void pump(struct rig *r, int wait_ms)
{
	struct pollfd fds[2] = { { .fd = r->control, .events = POLLIN }, { .fd = r->worker, .events = POLLIN } };
	struct message m;
	int error;

	poll(fds, 2, wait_ms);
	error = channel_receive(r->control, ROLE_CONTROL, ROLE_SUPERVISOR, r->buffer, &m);
	if (error == 0)
		on_control(r, &m);
	else if (error == -ECONNRESET)
		r->ended = true;
	if (channel_receive(r->worker, ROLE_CONTROL, ROLE_WORKER, r->buffer, &m) == 0)
		on_worker(r, &m);
}

static void send_start(struct rig *r, int worker_end)
{
	for (unsigned i = 0; i < r->kept_count; i++) {
		struct msg_KEPT_FD kept = { .fd = r->kept[i].fd };

		strcpy(kept.name, r->kept[i].name);
		channel_send(r->control, MSG_KEPT_FD, &kept);
	}
	channel_send(r->control, MSG_PEER, &(struct msg_PEER){ .role = "worker", .index = 0, .fd = worker_end });
	channel_send(r->control, MSG_BEGIN, &(struct msg_BEGIN){ 1, 1 });
	channel_send(r->worker, MSG_HELLO, &(struct msg_HELLO){ 0, 0 });
}

/* Starts control and waits for READY or its end. */
static void start(struct rig *r)
{
	uint64_t deadline_ns = clock_now_ns() + 20 * NS_PER_S;
	int channel[2], worker[2];

	assert_int_equal(channel_pair(channel), 0);
	assert_int_equal(channel_pair(worker), 0);
	r->control = channel[0];
	r->worker = worker[0];
	r->ended = false;
	r->listens = 0;
	r->ready[0] = r->fatal[0] = '\0';
	r->pid = fork();
	if (r->pid == 0) {
		close(channel[0]);
		close(worker[0]);
		close(worker[1]);
		r->options.supervisor_fd = channel[1];
		log_open("control", LOG_ERROR);
		if (!getenv("LUNETTE_TEST_LOUD"))
			(void)!freopen("/dev/null", "w", stderr);
		_exit(control_main(&r->options));
	}
	close(channel[1]);
	send_start(r, worker[1]);
	close(worker[1]);
	while (!r->ready[0] && !r->ended && clock_now_ns() < deadline_ns)
		pump(r, 50);
}

static int end(struct rig *r, int signal)
{
	int status = 0;

	if (signal)
		kill(r->pid, signal);
	else
		channel_send(r->control, MSG_DRAIN, &(struct msg_DRAIN){ 1000 });
	waitpid(r->pid, &status, 0);
	close(r->control);
	close(r->worker);
	r->pid = 0;
	return status;
}

static void read_token(struct rig *r)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/admin.token", r->state_dir);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(r->token, sizeof r->token, file));
	r->token[strcspn(r->token, "\n")] = '\0';
	fclose(file);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	unsigned port = 0;

	signal(SIGPIPE, SIG_IGN);
	log_open("test", LOG_ERROR);
	strcpy(r->state_dir, "/tmp/lunette-control-XXXXXX");
	assert_non_null(mkdtemp(r->state_dir));
	r->options = (struct control_options){
		.state_dir = r->state_dir, .http_addresses = { "127.0.0.1:0" }, .http_address_count = 1,
		.portal_addresses = { "127.0.0.1:0" }, .portal_address_count = 1, .worker_count = 1, .reactor_count = 1,
	};
	start(r);
	if (!r->ready[0])
		fail_msg("not ready: %s", r->fatal);
	assert_int_equal(sscanf(r->ready, "http=127.0.0.1:%u portal=127.0.0.1:", &port), 1);
	r->port = (uint16_t)port;
	read_token(r);
	*state = r;
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct rig *r = *state;

	assert_int_equal(end(r, 0), 0);
	for (unsigned i = 0; i < r->kept_count; i++)
		close(r->kept[i].fd);
	nftw(r->state_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(r);
	return 0;
}

/* --- a client --- */

static int dial(struct rig *r)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(r->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* closed early is an answer too */
		bytes += n;
		len -= (size_t)n;
	}
}

/* Reads until `until` was seen, the peer closes, or 5 s are over; pumps the worker meanwhile. The length. */
static size_t receive(struct rig *r, int fd, char *text, size_t size, const char *until)
{
	uint64_t deadline_ns = clock_now_ns() + 5 * NS_PER_S;
	size_t len = 0;

	text[0] = '\0';
	while (clock_now_ns() < deadline_ns && len + 1 < size) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		pump(r, 0);
		if (poll(&p, 1, 10) == 0)
			continue;
		n = recv(fd, text + len, size - len - 1, 0);
		if (n <= 0)
			return len;
		len += (size_t)n;
		text[len] = '\0';
		if (until && strstr(text, until))
			return len;
	}
	return len;
}

/* Sends raw bytes on a connection of their own; the status of the answer, 0: closed without one. */
static int raw(struct rig *r, const char *bytes, size_t len)
{
	static char text[65536];
	int fd = dial(r), status = 0;

	send_all(fd, bytes, len);
	receive(r, fd, text, sizeof text, "\r\n\r\n");
	close(fd);
	sscanf(text, "HTTP/1.1 %d", &status);
	return status;
}

static int rawf(struct rig *r, const char *fmt, ...)
{
	char *text;
	va_list args;
	int len, status;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	status = raw(r, text, (size_t)len);
	free(text);
	return status;
}

static bool alive(struct rig *r)
{
	return rawf(r, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n") == 200;
}

/* --- tests --- */

static void it_is_ready_when_rest_answers_and_the_worker_listens(void **state)
{
	struct rig *r = *state;
	char path[128];
	struct stat st;

	for (int i = 0; i < 50 && r->listens == 0; i++)
		pump(r, 20);
	assert_int_equal(r->listens, 1);
	assert_int_equal(r->kept_count, 2);
	assert_true(alive(r));
	assert_int_equal(rawf(r, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
	snprintf(path, sizeof path, "%s/admin.token", r->state_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_restart_uses_the_kept_sockets(void **state)
{
	struct rig *r = *state;
	unsigned kept = r->kept_count;
	char ready[CHANNEL_TEXT_MAX];

	assert_int_equal(rawf(r, "PUT /api/v1/targets/iqn.2026-11.io.lunette:kept HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
				 "Content-Length: 2\r\n\r\n{}", r->token), 201);
	strcpy(ready, r->ready);
	end(r, SIGKILL);
	start(r);
	assert_string_equal(r->ready, ready);
	assert_int_equal(r->kept_count, kept);
	assert_int_equal(rawf(r, "GET /api/v1/targets/iqn.2026-11.io.lunette:kept HTTP/1.1\r\nHost: x\r\n"
				 "Authorization: Bearer %s\r\n\r\n", r->token), 200);
}

static void fatal_at_first_start(struct rig *r, const char *http, const char *portal, const char *word)
{
	struct rig other = { .options = r->options };

	strcpy(other.state_dir, "/tmp/lunette-control-XXXXXX");
	assert_non_null(mkdtemp(other.state_dir));
	other.options.state_dir = other.state_dir;
	other.options.http_addresses[0] = http;
	other.options.portal_addresses[0] = portal;
	start(&other);
	if (!strstr(other.fatal, word))
		fail_msg("\"%s\" ready \"%s\"", other.fatal, other.ready);
	assert_null(strchr(other.fatal, '\n'));
	end(&other, SIGKILL);
	for (unsigned i = 0; i < other.kept_count; i++)
		close(other.kept[i].fd);
	nftw(other.state_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void an_address_in_use_is_fatal_at_first_start(void **state)
{
	struct rig *r = *state;
	char taken[32];

	snprintf(taken, sizeof taken, "127.0.0.1:%u", r->port);
	fatal_at_first_start(r, taken, "127.0.0.1:0", "in use");
	fatal_at_first_start(r, "127.0.0.1:0", taken, "in use");
}

static void http_off_loopback_needs_tls(void **state)
{
	fatal_at_first_start(*state, "0.0.0.0:0", "127.0.0.1:0", "TLS");
	fatal_at_first_start(*state, "nonsense", "127.0.0.1:0", "nonsense");
}

static void requests_on_one_connection_are_answered_in_turn(void **state)
{
	struct rig *r = *state;
	static const char two[] = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
	char text[8192], *second;
	int fd = dial(r);

	send_all(fd, two, sizeof two - 1);
	receive(r, fd, text, sizeof text, "unauthorized");
	close(fd);
	assert_non_null(strstr(text, "HTTP/1.1 200"));
	second = strstr(text, "HTTP/1.1 401");
	assert_non_null(second);
	assert_non_null(strstr(second, "application/problem+json"));
	assert_non_null(strstr(second, "WWW-Authenticate: Bearer"));
	assert_non_null(strstr(second, "X-Request-Id: "));
}

static void odd_paths_are_refused_over_the_wire(void **state)
{
	static const char *const paths[] = { "/%00", "/%2e%2e/etc/passwd", "//", "/a;b", "/%ff", "/%", "/../x" };
	struct rig *r = *state;
	char *longest = malloc(70000);

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		int status = rawf(r, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", paths[i]);

		if (status != 400 && status != 404)
			fail_msg("%s: %d", paths[i], status);
	}
	memset(longest, 'a', 69999);
	longest[69999] = '\0';
	assert_in_range(rawf(r, "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", longest), 400, 499);
	free(longest);
	assert_true(alive(r));
}

static void headers_are_bounded(void **state)
{
	struct rig *r = *state;
	size_t size = 1024 * 1024 + 100;
	char *big = malloc(size), *at = big;
	int status;

	at += sprintf(at, "GET /livez HTTP/1.1\r\nHost: x\r\nX-Big: ");
	memset(at, 'a', (size_t)(big + size - at));
	status = raw(r, big, size);
	assert_true(status == 0 || status == 431 || status == 413 || status == 400);
	at = big + sprintf(big, "GET /livez HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < 10000; i++)
		at += sprintf(at, "X-%d: y\r\n", i);
	at += sprintf(at, "\r\n");
	status = raw(r, big, (size_t)(at - big));
	assert_true(status == 0 || status == 431 || status == 413 || status == 400);
	free(big);
	assert_true(alive(r));
}

/*
 * `status` 0: refused with any 4xx or 5xx, or closed without an answer. The rows with 200 are what libmicrohttpd 0.9 makes
 * of such bytes before we see them (RFC 9112 allows it to fold and to end a line there): no harm, and no other resource.
 */
static void header_bytes_that_smuggle_do_no_harm(void **state)
{
	static const struct { const char *bytes; size_t len; int status; } rows[] = {
#define ROW(status, text) { text, sizeof text - 1, status }
		ROW(401, "GET /api/v1/version HTTP/1.1\r\nHost: x\r\nX-A: a\0Authorization: b\r\n\r\n"),
		ROW(200, "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: a\r\n folded\r\n\r\n"),
		ROW(200, "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: a\rX-B: b\r\n\r\n"),
		ROW(400, "GET /livez HTTP/1.1\r\n\r\n"),
		ROW(400, "PUT /api/v1/luns/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
		ROW(413, "PUT /api/v1/luns/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"),
		ROW(400, "PUT /api/v1/luns/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		ROW(0, "GET / HTTP/9.9\r\nHost: x\r\n\r\n"),
		ROW(0, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n"),
		ROW(0, "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
#undef ROW
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int status = raw(r, rows[i].bytes, rows[i].len);

		if (rows[i].status ? status != rows[i].status : status != 0 && status < 400)
			fail_msg("row %zu: %d", i, status);
	}
	assert_true(alive(r));
}

static void unknown_methods_are_405(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rawf(r, "BREW /api/v1/luns HTTP/1.1\r\nHost: x\r\n\r\n"), 405);
	assert_int_equal(rawf(r, "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"), 405);
	assert_int_equal(rawf(r, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), 405);
	assert_int_equal(rawf(r, "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"), 405);
	assert_int_equal(rawf(r, "HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
}

static void a_promise_of_ten_gigabytes_is_refused_at_once(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rawf(r, "PUT /api/v1/luns/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
				 "Content-Length: 10737418240\r\n\r\n{", r->token), 413);
	assert_true(alive(r));
}

static void an_endless_chunked_body_is_cut_off(void **state)
{
	struct rig *r = *state;
	char chunk[4200], text[4096];
	int fd = dial(r), n;

	n = snprintf(text, sizeof text, "PUT /api/v1/luns/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
					"Transfer-Encoding: chunked\r\n\r\n", r->token);
	send_all(fd, text, (size_t)n);
	n = sprintf(chunk, "1000\r\n");
	memset(chunk + n, ' ', 4096);
	memcpy(chunk + n + 4096, "\r\n", 2);
	for (int i = 0; i < 64; i++)
		send_all(fd, chunk, (size_t)n + 4098);
	receive(r, fd, text, sizeof text, NULL);
	close(fd);
	assert_true(alive(r));
}

static void a_slow_header_does_not_hold_a_connection(void **state)
{
	struct rig *r = *state;
	uint64_t start_ns = clock_now_ns();
	struct pollfd p = { .fd = dial(r), .events = POLLIN };
	char byte;

	/* a byte every half second keeps any idle time-out away: the deadline is for the whole header */
	while (clock_now_ns() - start_ns < (HTTP_RECEIVE_MS + 4000) * NS_PER_MS) {
		if (send(p.fd, "G", 1, MSG_NOSIGNAL) < 0)
			break;
		if (poll(&p, 1, 500) > 0 && recv(p.fd, &byte, 1, 0) <= 0)
			break;
		pump(r, 0);
	}
	close(p.fd);
	assert_true(clock_now_ns() - start_ns < (HTTP_RECEIVE_MS + 3000) * NS_PER_MS);
	assert_true(alive(r));
}

static void events_are_streamed_and_resumed(void **state)
{
	struct rig *r = *state;
	char text[65536], *id;
	unsigned long long number;
	int fd = dial(r), n;

	n = snprintf(text, sizeof text, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", r->token);
	send_all(fd, text, (size_t)n);
	receive(r, fd, text, sizeof text, ":\n\n");
	assert_non_null(strstr(text, "text/event-stream"));
	channel_send(r->worker, MSG_EVENT, &(struct msg_EVENT){ "login", "session:1", "somebody came" });
	receive(r, fd, text, sizeof text, "somebody came");
	id = strstr(text, "id: ");
	assert_non_null(id);
	number = strtoull(id + 4, NULL, 10);
	close(fd);
	channel_send(r->worker, MSG_EVENT, &(struct msg_EVENT){ "logout", "session:1", "somebody left" });
	fd = dial(r);
	n = snprintf(text, sizeof text, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
					"Last-Event-ID: %llu\r\n\r\n", r->token, number);
	send_all(fd, text, (size_t)n);
	receive(r, fd, text, sizeof text, "somebody left");
	assert_non_null(strstr(text, "somebody left"));
	assert_null(strstr(text, "somebody came"));
	close(fd);
}

static void an_idle_control_process_sleeps(void **state)
{
	struct rig *r = *state;
	char path[64], text[1024];
	unsigned long before = 0, after = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", r->pid);
	for (int i = 0; i < 2; i++) {
		FILE *file = fopen(path, "r");
		unsigned long user = 0, kernel = 0;

		assert_non_null(file);
		assert_non_null(fgets(text, sizeof text, file));
		fclose(file);
		sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
		*(i ? &after : &before) = user + kernel;
		if (i == 0)
			for (uint64_t until_ns = clock_now_ns() + 2 * NS_PER_S; clock_now_ns() < until_ns;)
				pump(r, 100);
	}
	assert_true(after - before < 20); /* clock ticks of 10 ms, in two seconds */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_ready_when_rest_answers_and_the_worker_listens),
		cmocka_unit_test(requests_on_one_connection_are_answered_in_turn),
		cmocka_unit_test(odd_paths_are_refused_over_the_wire),
		cmocka_unit_test(headers_are_bounded),
		cmocka_unit_test(header_bytes_that_smuggle_do_no_harm),
		cmocka_unit_test(unknown_methods_are_405),
		cmocka_unit_test(a_promise_of_ten_gigabytes_is_refused_at_once),
		cmocka_unit_test(an_endless_chunked_body_is_cut_off),
		cmocka_unit_test(events_are_streamed_and_resumed),
		cmocka_unit_test(an_idle_control_process_sleeps),
		cmocka_unit_test(a_slow_header_does_not_hold_a_connection),
		cmocka_unit_test(a_restart_uses_the_kept_sockets),
		cmocka_unit_test(an_address_in_use_is_fatal_at_first_start),
		cmocka_unit_test(http_off_loopback_needs_tls),
	};

	cmocka_set_test_filter(getenv("LUNETTE_TEST_ONLY"));
	return cmocka_run_group_tests(tests, setup, teardown);
}
