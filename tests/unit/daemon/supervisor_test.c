/*
 * daemon/supervisor.h with real processes. This program plays lunetted: started with arguments it is the daemon, with roles
 * that print on standard error what they see and misbehave as the environment variable FAKE says. The tests wait for those
 * lines; a line that never comes ends in the alarm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "channel.h"
#include "daemon/confine.h"
#include "daemon/daemon.h"
#include "daemon/spawn.h"
#include "daemon/statedir.h"
#include "daemon/supervisor.h"
#include "stats.h"

#define PATIENCE_S 30
#define PEERS_MAX  16
#define LINES_MAX  256
#define LINE_BYTES 512

/* --- the roles --- */

static uint8_t buffer[CHANNEL_MESSAGE_MAX];

static bool fake(const char *what)
{
	const char *is = getenv("FAKE");

	return is && strcmp(is, what) == 0;
}

/* True in the first life of whoever asks, by a file in the state directory. */
static bool first_life(const struct options *options)
{
	char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/lived.%s%u", options->state_dir, options->role, options->index);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int receive(int fd, enum channel_role sender, enum channel_role receiver, struct message *m)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int rc;

	while ((rc = channel_receive(fd, sender, receiver, buffer, m)) == -EAGAIN)
		poll(&p, 1, -1);
	return rc;
}

static void print_descriptors(const char *who)
{
	char line[256];
	int used = snprintf(line, sizeof line, "%s sees", who);
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
			used += snprintf(line + used, sizeof line - (size_t)used, " %s", entry->d_name);
	closedir(dir);
	fprintf(stderr, "%s end\n", line);
}

static int worker(const struct options *options, int supervisor_fd)
{
	unsigned index = options->index, inbox_fd = 0, peers = 0;
	bool first = first_life(options), has_stats = false;
	struct message m;

	if (fake("crash"))
		_exit(7);
	if (fake("forbidden") && first)
		syscall(SYS_acct, NULL);
	if (fake("garbage")) {
		if (send(supervisor_fd, "\xff\xff garbage", 10, 0) != 10)
			return 1;
		channel_send(supervisor_fd, MSG_HELLO, &(struct msg_HELLO){ .worker = 1 });
	}
	printf("stray output of a worker\n");
	fflush(stdout);
	print_descriptors("worker");
	while (receive(supervisor_fd, ROLE_SUPERVISOR, ROLE_WORKER, &m) == 0) {
		switch (m.kind) {
		case MSG_PEER:
			if (strcmp(m.as.PEER.role, "inbox") == 0)
				inbox_fd = (unsigned)m.as.PEER.fd;
			if (strcmp(m.as.PEER.role, "control") == 0)
				channel_send(m.as.PEER.fd, MSG_HELLO, &(struct msg_HELLO){ .worker = index });
			if (strcmp(m.as.PEER.role, "worker") == 0) {
				peers++;
				if (fake("handover") && first && index == 0)
					channel_send(m.as.PEER.fd, MSG_HANDOVER,
						     &(struct msg_HANDOVER){ "p", { (const uint8_t *)"bytes", 5 }, 1 });
			}
			break;
		case MSG_STATS:
			has_stats = m.as.STATS.index == index && stats_map(m.as.STATS.fd, 1);
			break;
		case MSG_BEGIN:
			fprintf(stderr, "worker %u begins pid=%d first=%d peers=%u stats=%d of=%u,%u end\n", index, getpid(),
				first, peers, has_stats, m.as.BEGIN.worker_count, m.as.BEGIN.reactor_count);
			if (fake("handover") && index == 1 && !first) {
				receive((int)inbox_fd, ROLE_WORKER, ROLE_WORKER, &m);
				fprintf(stderr, "worker 1 was handed %.*s\n", (int)m.as.HANDOVER.bytes.len_bytes,
					(const char *)m.as.HANDOVER.bytes.bytes);
			}
			channel_send(supervisor_fd, MSG_READY, &(struct msg_READY){ "" });
			break;
		case MSG_DRAIN:
			fprintf(stderr, "worker %u drains\n", index);
			if (fake("stubborn"))
				for (;;)
					poll(NULL, 0, -1);
			return 0;
		default:
			break;
		}
	}
	return 1;
}

static void control_begins(const struct options *options, int supervisor_fd)
{
	int pair[2];

	fprintf(stderr, "control begins pid=%d\n", getpid());
	if (fake("fatal")) {
		channel_send(supervisor_fd, MSG_FATAL, &(struct msg_FATAL){ 9, "the roof is on fire" });
		_exit(9);
	}
	if (first_life(options) && channel_pair(pair) == 0)
		channel_send(supervisor_fd, MSG_KEEP_FD, &(struct msg_KEEP_FD){ "portal:a", pair[0] });
	channel_send(supervisor_fd, MSG_READY, &(struct msg_READY){ "http=h portal=p" });
}

/* Waits for a message from the supervisor, telling meanwhile who says hello on the channels to the workers. */
static int control_receive(int supervisor_fd, const int *peer, unsigned peers, struct message *m)
{
	struct pollfd p[PEERS_MAX + 1];

	for (;;) {
		int rc = channel_receive(supervisor_fd, ROLE_SUPERVISOR, ROLE_CONTROL, buffer, m);

		if (rc != -EAGAIN)
			return rc;
		for (unsigned i = 0; i < peers; i++) {
			p[i] = (struct pollfd){ .fd = peer[i], .events = POLLIN };
			if (channel_receive(peer[i], ROLE_WORKER, ROLE_CONTROL, buffer, m) == 0)
				fprintf(stderr, "control hears %s from worker %u\n", message_name(m->kind),
					m->as.HELLO.worker);
		}
		p[peers] = (struct pollfd){ .fd = supervisor_fd, .events = POLLIN };
		poll(p, peers + 1, 100);
	}
}

static int control(const struct options *options, int supervisor_fd)
{
	int peer[PEERS_MAX];
	unsigned peers = 0;
	struct message m;

	print_descriptors("control");
	while (control_receive(supervisor_fd, peer, peers, &m) == 0) {
		switch (m.kind) {
		case MSG_PEER:
			if (peers < PEERS_MAX)
				peer[peers++] = m.as.PEER.fd;
			break;
		case MSG_KEPT_FD:
			fprintf(stderr, "control is given back %s\n", m.as.KEPT_FD.name);
			break;
		case MSG_WORKER_STATE:
			fprintf(stderr, "state worker=%u running=%d starts=%u retry=%d exit=%s end\n",
				m.as.WORKER_STATE.index, m.as.WORKER_STATE.pid != 0, m.as.WORKER_STATE.starts,
				m.as.WORKER_STATE.retry_in_ms != 0, m.as.WORKER_STATE.last_exit);
			break;
		case MSG_BEGIN:
			control_begins(options, supervisor_fd);
			break;
		case MSG_DRAIN:
			fprintf(stderr, "control drains\n");
			return 0;
		default:
			break;
		}
	}
	return 1;
}

static void print_routes(FILE *out)
{
	fputs("GET /\n", out);
}

/* --- the daemon under test --- */

struct lunetted {
	char  state_dir[64];
	pid_t pid;
	FILE *out, *err;
	unsigned lines; /* of err, read so far */
	char  line[LINES_MAX][LINE_BYTES];
	bool  taken[LINES_MAX];
};

/* Starts this program as lunetted on state_dir; workers: "2". */
static void run_on(struct lunetted *d, const char *state_dir, const char *fake_what, const char *workers)
{
	int out[2], err[2];

	d->lines = 0;
	memset(d->taken, 0, sizeof d->taken);
	if (state_dir != d->state_dir)
		snprintf(d->state_dir, sizeof d->state_dir, "%s", state_dir);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	d->pid = fork();
	if (d->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* a test that gives up leaves nobody behind */
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		dup2(err[1], 57); /* something that no child may see */
		setenv("FAKE", fake_what, 1);
		execl("/proc/self/exe", "lunetted", "--state", d->state_dir, "--workers", workers, "--reactors", "5", NULL);
		_exit(99);
	}
	close(out[1]);
	close(err[1]);
	d->out = fdopen(out[0], "r");
	d->err = fdopen(err[0], "r");
	alarm(PATIENCE_S);
}

static void run(struct lunetted *d, const char *fake_what, const char *workers)
{
	snprintf(d->state_dir, sizeof d->state_dir, "/tmp/lunetted-test.XXXXXX");
	assert_non_null(mkdtemp(d->state_dir));
	run_on(d, d->state_dir, fake_what, workers);
}

/* The first line that holds `words` and was not asked for before; waits for it. Lines of different processes come in any
 * order, so those that are passed over are kept for later questions. */
static const char *wait_for(struct lunetted *d, const char *words)
{
	for (unsigned i = 0;; i++) {
		if (i == d->lines) {
			if (i == LINES_MAX || !fgets(d->line[i], sizeof d->line[i], d->err))
				fail_msg("\"%s\" was never said", words);
			d->lines++;
			if (getenv("VERBOSE"))
				fputs(d->line[i], stderr);
		}
		if (!d->taken[i] && strstr(d->line[i], words)) {
			d->taken[i] = true;
			return d->line[i];
		}
	}
}

static void wait_until_ready(struct lunetted *d)
{
	char line[256];

	assert_non_null(fgets(line, sizeof line, d->out));
	assert_non_null(strstr(line, "ready "));
}

static pid_t pid_in(const char *line)
{
	return (pid_t)atoi(strstr(line, "pid=") + 4);
}

static int exit_status(struct lunetted *d)
{
	int status;

	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void discard(struct lunetted *d)
{
	char command[128];

	alarm(0);
	fclose(d->out);
	fclose(d->err);
	snprintf(command, sizeof command, "rm -rf '%s'", d->state_dir);
	assert_int_equal(system(command), 0);
}

static void stop(struct lunetted *d)
{
	kill(d->pid, SIGTERM);
	assert_int_equal(exit_status(d), EXIT_OK);
	discard(d);
}

/* --- the tests --- */

static void standard_output_is_one_ready_line_and_a_stop_is_orderly(void **state)
{
	char expected[256], line[256];
	struct lunetted d;

	(void)state;
	run(&d, "", "2");
	snprintf(expected, sizeof expected, "ready http=h portal=p state=%s token=%s/admin.token\n", d.state_dir, d.state_dir);
	assert_non_null(fgets(line, sizeof line, d.out));
	assert_string_equal(line, expected);
	kill(d.pid, SIGTERM);
	wait_for(&d, "worker 0 drains");
	wait_for(&d, "control drains");
	assert_int_equal(exit_status(&d), EXIT_OK);
	assert_null(fgets(line, sizeof line, d.out));
	discard(&d);
}

static void a_child_sees_the_inherit_list_and_nothing_else(void **state)
{
	struct lunetted d;

	(void)state;
	assert_int_equal(INHERIT_COUNT, 5);
	run(&d, "", "1");
	wait_for(&d, "worker sees 0 1 2 3 4 end");
	wait_for(&d, "control sees 0 1 2 3 4 end");
	stop(&d);
}

static void a_worker_is_briefed_completely_before_it_begins(void **state)
{
	struct lunetted d;
	const char *line;

	(void)state;
	run(&d, "", "3");
	line = wait_for(&d, "worker 0 begins");
	assert_non_null(strstr(line, "peers=2 stats=1 of=3,5 end"));
	stop(&d);
}

static void a_killed_worker_comes_back_and_finds_what_was_handed_to_it(void **state)
{
	struct lunetted d;
	pid_t pid;

	(void)state;
	run(&d, "handover", "2");
	pid = pid_in(wait_for(&d, "worker 1 begins"));
	kill(pid, SIGKILL);
	wait_for(&d, "worker1 killed by SIGKILL, starting it again");
	assert_true(pid_in(wait_for(&d, "worker 1 begins")) != pid);
	wait_for(&d, "worker 1 was handed bytes");
	stop(&d);
}

static void control_learns_of_the_death_and_the_return_of_a_worker(void **state)
{
	struct lunetted d;
	pid_t pid;

	(void)state;
	run(&d, "", "1");
	pid = pid_in(wait_for(&d, "worker 0 begins"));
	wait_for(&d, "control hears HELLO from worker 0");
	kill(pid, SIGKILL);
	wait_for(&d, "state worker=0 running=0 starts=1 retry=1 exit=killed by SIGKILL end");
	wait_for(&d, "state worker=0 running=1 starts=2 retry=0");
	wait_for(&d, "control hears HELLO from worker 0");
	stop(&d);
}

static void a_killed_control_comes_back_to_its_descriptors_and_its_workers(void **state)
{
	struct lunetted d;
	char line[256];
	pid_t pid;

	(void)state;
	run(&d, "", "1");
	pid = pid_in(wait_for(&d, "control begins"));
	wait_until_ready(&d);
	wait_for(&d, "control hears HELLO from worker 0");
	wait_for(&d, "state worker=0 running=1 starts=1");
	kill(pid, SIGKILL);
	wait_for(&d, "control is given back portal:a");
	wait_for(&d, "state worker=0 running=1 starts=1");
	wait_for(&d, "control begins");
	wait_for(&d, "control hears HELLO from worker 0");
	kill(d.pid, SIGINT);
	assert_int_equal(exit_status(&d), EXIT_OK);
	assert_null(fgets(line, sizeof line, d.out)); /* ready is said once */
	discard(&d);
}

static void a_worker_that_dies_at_once_is_restarted_with_growing_delays(void **state)
{
	struct lunetted d;

	(void)state;
	run(&d, "crash", "1");
	wait_for(&d, "retry_in_ms=0 starts=1");
	wait_for(&d, "retry_in_ms=100 starts=2");
	wait_for(&d, "retry_in_ms=200 starts=3");
	wait_for(&d, "retry_in_ms=400 starts=4");
	stop(&d);
}

static void a_forbidden_system_call_is_named_and_reported(void **state)
{
	struct lunetted d;

	(void)state;
	if (!seccomp_available())
		skip();
	run(&d, "forbidden", "1");
	wait_for(&d, "worker0 used the forbidden system call acct (163), starting it again");
	wait_for(&d, "worker 0 begins");
	wait_for(&d, "exit=used the forbidden system call acct (163) end");
	stop(&d);
}

static void a_message_that_makes_no_sense_is_dropped(void **state)
{
	struct lunetted d;

	(void)state;
	run(&d, "garbage", "1");
	wait_for(&d, "a message that makes no sense from worker0, dropped");
	wait_for(&d, "a message that makes no sense from worker0, dropped");
	wait_for(&d, "worker0 is ready");
	stop(&d);
}

static void a_second_daemon_on_the_same_state_is_refused_in_one_line(void **state)
{
	struct lunetted d, second;
	char line[512];

	(void)state;
	run(&d, "", "1");
	wait_until_ready(&d);
	run_on(&second, d.state_dir, "", "1");
	wait_for(&second, "is in use by another lunetted (process");
	assert_null(fgets(line, sizeof line, second.err));
	assert_int_equal(exit_status(&second), EXIT_STATE_IN_USE);
	fclose(second.err);
	fclose(second.out);
	stop(&d);
}

static void the_state_directory_is_made_private(void **state)
{
	char parent[] = "/tmp/lunetted-test.XXXXXX";
	struct lunetted d = { 0 };
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(parent));
	snprintf(d.state_dir, sizeof d.state_dir, "%s/state", parent);
	run_on(&d, d.state_dir, "", "1");
	wait_until_ready(&d);
	assert_int_equal(stat(d.state_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	stop(&d);
	assert_int_equal(rmdir(parent), 0);
}

static void a_state_directory_that_cannot_be_made_is_refused(void **state)
{
	struct lunetted d = { 0 };

	(void)state;
	run_on(&d, "/proc/nowhere/state", "", "1");
	wait_for(&d, "cannot create the state directory");
	assert_int_equal(exit_status(&d), EXIT_CANNOT);
	discard(&d);
}

static void the_death_of_the_supervisor_is_the_death_of_its_children(void **state)
{
	struct lunetted d, next;
	char line[4096];
	int status;

	(void)state;
	run(&d, "", "2");
	wait_until_ready(&d);
	kill(d.pid, SIGKILL);
	run_on(&next, d.state_dir, "", "1"); /* waits for the orphans instead of refusing */
	assert_int_equal(waitpid(d.pid, &status, 0), d.pid);
	while (fgets(line, sizeof line, d.err)) /* ends when the last holder of the pipe is gone */
		;
	wait_until_ready(&next);
	stop(&next);
	discard(&d);
}

/* It was taken for a daemon that lives, and the start was refused. */
static void a_killed_supervisor_that_nobody_waited_for_does_not_keep_the_state_directory(void **state)
{
	struct lunetted d, next;
	siginfo_t info;

	(void)state;
	run(&d, "", "1");
	wait_until_ready(&d);
	kill(d.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)d.pid, &info, WEXITED | WNOWAIT), 0);
	run_on(&next, d.state_dir, "", "1");
	wait_until_ready(&next);
	assert_int_equal(waitpid(d.pid, NULL, 0), d.pid);
	stop(&next);
	discard(&d);
}

static void a_fatal_word_of_control_ends_the_daemon_with_that_status(void **state)
{
	struct lunetted d;

	(void)state;
	run(&d, "fatal", "1");
	wait_for(&d, "lunetted: the roof is on fire");
	assert_int_equal(exit_status(&d), 9);
	discard(&d);
}

static void a_second_signal_does_not_wait_for_a_stubborn_worker(void **state)
{
	struct lunetted d;

	(void)state;
	run(&d, "stubborn", "1");
	wait_for(&d, "worker0 is ready");
	wait_until_ready(&d);
	kill(d.pid, SIGTERM);
	wait_for(&d, "worker 0 drains");
	kill(d.pid, SIGTERM);
	wait_for(&d, "hurrying");
	wait_for(&d, "worker0 did not finish in time, killing it");
	wait_for(&d, "control drains");
	assert_int_equal(exit_status(&d), EXIT_OK);
	discard(&d);
}

static void systemd_is_told_when_we_are_ready_and_when_we_stop(void **state)
{
	char name[64], text[256];
	struct lunetted d;
	ssize_t n;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	(void)state;
	snprintf(name, sizeof name, "@lunetted-test-%d", getpid());
	snprintf(at.sun_path + 1, sizeof at.sun_path - 1, "%s", name + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, (socklen_t)(sizeof at.sun_family + strlen(name))), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	run(&d, "", "1");
	unsetenv("NOTIFY_SOCKET");
	n = recv(fd, text, sizeof text - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "READY=1"));
	stop(&d);
	n = recv(fd, text, sizeof text - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "STOPPING=1"));
	close(fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standard_output_is_one_ready_line_and_a_stop_is_orderly),
		cmocka_unit_test(a_child_sees_the_inherit_list_and_nothing_else),
		cmocka_unit_test(a_worker_is_briefed_completely_before_it_begins),
		cmocka_unit_test(a_killed_worker_comes_back_and_finds_what_was_handed_to_it),
		cmocka_unit_test(control_learns_of_the_death_and_the_return_of_a_worker),
		cmocka_unit_test(a_killed_control_comes_back_to_its_descriptors_and_its_workers),
		cmocka_unit_test(a_worker_that_dies_at_once_is_restarted_with_growing_delays),
		cmocka_unit_test(a_forbidden_system_call_is_named_and_reported),
		cmocka_unit_test(a_message_that_makes_no_sense_is_dropped),
		cmocka_unit_test(a_second_daemon_on_the_same_state_is_refused_in_one_line),
		cmocka_unit_test(the_state_directory_is_made_private),
		cmocka_unit_test(a_state_directory_that_cannot_be_made_is_refused),
		cmocka_unit_test(the_death_of_the_supervisor_is_the_death_of_its_children),
		cmocka_unit_test(a_killed_supervisor_that_nobody_waited_for_does_not_keep_the_state_directory),
		cmocka_unit_test(a_fatal_word_of_control_ends_the_daemon_with_that_status),
		cmocka_unit_test(a_second_signal_does_not_wait_for_a_stubborn_worker),
		cmocka_unit_test(systemd_is_told_when_we_are_ready_and_when_we_stop),
	};

	if (argc > 1)
		return daemon_main(argc, argv, &(struct daemon_roles){ NULL, control, worker, print_routes });
	return cmocka_run_group_tests(tests, NULL, NULL);
}
