/*
 * daemon/confine.h and daemon/privilege.h by trying what is forbidden. Each attempt is made in a process of its own, under the real
 * filter; it ends by SIGSYS and names the system call, or is refused with the error that the table says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "channel.h"
#include "daemon/confine.h"
#include "daemon/privilege.h"
#include "thread.h"

#define ANYBODY 65534
#define PASSED  0 /* what an attempt returns; else an errno */

static char scratch[64]; /* a directory that anybody may write in, with a and a/b */
static struct sockaddr_in listener;

/* --- attempts --- */

static int result(long rc)
{
	return rc < 0 ? errno : PASSED;
}

#define CALL(name, ...) \
	static int try_##name(void) { return result(syscall(SYS_##name, ##__VA_ARGS__)); }

static char *const no_words[] = { NULL };

CALL(execve, "/bin/true", no_words, no_words)
CALL(execveat, AT_FDCWD, "/bin/true", no_words, no_words, 0)
CALL(fork)
CALL(vfork)
CALL(ptrace, PTRACE_TRACEME, 0, NULL, NULL)
CALL(process_vm_readv, getppid(), NULL, 0, NULL, 0, 0)
CALL(process_vm_writev, getppid(), NULL, 0, NULL, 0, 0)
CALL(connect, 0, &listener, sizeof listener)
CALL(bind, 0, &listener, sizeof listener)
CALL(listen, 0, 1)
CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, NULL)
CALL(kill, getppid(), 0)
CALL(tkill, getppid(), 0)
CALL(tgkill, getppid(), getppid(), 0)
CALL(rt_sigqueueinfo, getppid(), 0, NULL)
CALL(pidfd_open, getppid(), 0)
CALL(pidfd_getfd, 0, 0, 0)
CALL(pidfd_send_signal, 0, 0, NULL, 0)
CALL(mount, "none", "/", "tmpfs", 0, NULL)
CALL(umount2, "/", 0)
CALL(pivot_root, "/", "/")
CALL(chroot, "/")
CALL(unshare, CLONE_NEWUSER)
CALL(setns, 0, 0)
CALL(setuid, 0)
CALL(setgid, 0)
CALL(setresuid, 0, 0, 0)
CALL(setgroups, 0, NULL)
CALL(capset, NULL, NULL)
CALL(chmod, "/", 0777)
CALL(chown, "/", 0, 0)
CALL(fchownat, AT_FDCWD, "/", 0, 0, 0)
CALL(mknod, "/dev/lunette", S_IFCHR, 0)
CALL(mknodat, AT_FDCWD, "/dev/lunette", S_IFCHR, 0)
CALL(symlink, "/etc/shadow", "lunette")
CALL(link, "/etc/shadow", "lunette")
CALL(truncate, "/etc/shadow", 0)
CALL(setxattr, "/", "user.x", "", 0, 0)
CALL(open_by_handle_at, 0, NULL, 0)
CALL(init_module, NULL, 0, "")
CALL(finit_module, 0, "", 0)
CALL(delete_module, "x", 0)
CALL(kexec_load, 0, 0, NULL, 0)
CALL(reboot, 0, 0, 0, NULL)
CALL(swapon, "/", 0)
CALL(sethostname, "x", 1)
CALL(settimeofday, NULL, NULL)
CALL(clock_settime, 0, NULL)
CALL(adjtimex, NULL)
CALL(acct, "/")
CALL(quotactl, 0, "", 0, NULL)
CALL(bpf, 0, NULL, 0)
CALL(perf_event_open, NULL, 0, 0, 0, 0)
CALL(userfaultfd, 0)
CALL(io_uring_setup, 1, NULL)
CALL(keyctl, 0)
CALL(add_key, "", "", NULL, 0, 0)
CALL(request_key, "", "", NULL, 0)
CALL(personality, 0xffffffff)
CALL(seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL)
CALL(shmget, 0, 0, 0)
CALL(msgget, 0, 0)
CALL(semget, 0, 0, 0)
CALL(setsid)
CALL(setpgid, 0, 0)
CALL(setpriority, 0, 0, 0)
CALL(sched_setscheduler, 0, 0, NULL)
CALL(vhangup)
CALL(fanotify_init, 0, 0)
CALL(name_to_handle_at, 0, "", NULL, NULL, 0)
CALL(syslog, 0, NULL, 0)
CALL(remap_file_pages, 0, 0, 0, 0, 0)
CALL(move_pages, 0, 0, NULL, NULL, NULL, 0)

static int socket_of(int family, int type)
{
	return result(socket(family, type, 0));
}

static int try_tcp(void)
{
	return socket_of(AF_INET, SOCK_STREAM);
}

static int try_unix(void)
{
	return socket_of(AF_UNIX, SOCK_STREAM);
}

static int try_netlink(void)
{
	return socket_of(AF_NETLINK, SOCK_RAW);
}

static int try_packet(void)
{
	return socket_of(AF_PACKET, SOCK_RAW);
}

static int try_clone_namespace(void)
{
	return result(syscall(SYS_clone, CLONE_VFORK | CLONE_VM | CLONE_NEWUSER | SIGCHLD, NULL));
}

static int try_clone3(void)
{
	return result(syscall(SYS_clone3, NULL, 0));
}

static int map(int protection)
{
	return mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : PASSED;
}

static int try_map_executable(void)
{
	return map(PROT_READ | PROT_EXEC);
}

static int try_map_writable_executable(void)
{
	return map(PROT_READ | PROT_WRITE | PROT_EXEC);
}

static int try_protect_writable_executable(void)
{
	return result(syscall(SYS_mprotect, (uintptr_t)scratch & ~(uintptr_t)4095, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
}

static int try_new_limit(void)
{
	return result(syscall(SYS_prlimit64, 0, 0, "0123456789abcdef", NULL));
}

static int try_trace_prctl(void)
{
	return result(syscall(SYS_prctl, PR_SET_PTRACER, -1, 0, 0, 0));
}

static int try_type_ahead(void)
{
	return result(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x"));
}

#define BOTH  (CONFINED_WORKER | CONFINED_CONTROL)
#define PLAIN 4 /* not in a build with a sanitizer, which needs it itself */

struct attempt {
	const char *syscall;
	int (*make)(void);
	unsigned roles;
};

#define ROW(name, roles) { #name, try_##name, roles }
static const struct attempt attempts[] = {
	ROW(execve, CONFINED_WORKER), ROW(execveat, BOTH), ROW(fork, BOTH), ROW(vfork, BOTH), ROW(ptrace, BOTH | PLAIN),
	ROW(process_vm_readv, BOTH | PLAIN), ROW(process_vm_writev, BOTH), ROW(connect, BOTH), ROW(bind, CONFINED_WORKER),
	ROW(listen, CONFINED_WORKER), ROW(socketpair, CONFINED_WORKER), ROW(kill, CONFINED_WORKER | PLAIN), ROW(tkill, BOTH),
	ROW(tgkill, BOTH | PLAIN), ROW(rt_sigqueueinfo, BOTH), ROW(pidfd_open, CONFINED_WORKER), ROW(pidfd_getfd, BOTH),
	ROW(pidfd_send_signal, BOTH), ROW(mount, BOTH), ROW(umount2, BOTH), ROW(pivot_root, BOTH), ROW(chroot, BOTH),
	ROW(unshare, BOTH), ROW(setns, BOTH), ROW(setuid, BOTH), ROW(setgid, BOTH), ROW(setresuid, BOTH), ROW(setgroups, BOTH),
	ROW(capset, BOTH), ROW(chmod, CONFINED_WORKER), ROW(chown, BOTH), ROW(fchownat, BOTH), ROW(mknod, BOTH),
	ROW(mknodat, BOTH), ROW(symlink, BOTH), ROW(link, BOTH), ROW(truncate, BOTH), ROW(setxattr, BOTH),
	ROW(open_by_handle_at, BOTH), ROW(init_module, BOTH), ROW(finit_module, BOTH), ROW(delete_module, BOTH),
	ROW(kexec_load, BOTH), ROW(reboot, BOTH), ROW(swapon, BOTH), ROW(sethostname, BOTH), ROW(settimeofday, BOTH),
	ROW(clock_settime, BOTH), ROW(adjtimex, BOTH), ROW(acct, BOTH), ROW(quotactl, BOTH), ROW(bpf, BOTH),
	ROW(perf_event_open, BOTH), ROW(userfaultfd, BOTH), ROW(io_uring_setup, BOTH), ROW(keyctl, BOTH), ROW(add_key, BOTH),
	ROW(request_key, BOTH), ROW(personality, BOTH | PLAIN), ROW(seccomp, BOTH), ROW(shmget, BOTH), ROW(msgget, BOTH),
	ROW(semget, BOTH), ROW(setsid, BOTH), ROW(setpgid, CONFINED_WORKER), ROW(setpriority, CONFINED_WORKER),
	ROW(sched_setscheduler, BOTH), ROW(vhangup, BOTH), ROW(fanotify_init, BOTH), ROW(name_to_handle_at, BOTH),
	ROW(syslog, BOTH), ROW(remap_file_pages, BOTH), ROW(move_pages, BOTH),
	{ "socket", try_tcp, CONFINED_WORKER }, { "socket", try_unix, BOTH }, { "socket", try_netlink, BOTH },
	{ "socket", try_packet, BOTH }, { "clone", try_clone_namespace, BOTH | PLAIN },
	{ "mmap", try_map_executable, CONFINED_WORKER | PLAIN }, { "mmap", try_map_writable_executable, BOTH | PLAIN },
	{ "mprotect", try_protect_writable_executable, BOTH | PLAIN }, { "prlimit64", try_new_limit, CONFINED_WORKER | PLAIN },
	{ "prctl", try_trace_prctl, BOTH | PLAIN }, { "ioctl", try_type_ahead, BOTH },
};
#define ATTEMPTS (sizeof attempts / sizeof attempts[0])

/* --- making one --- */

struct outcome {
	int error;      /* PASSED, errno; -1: it ended by SIGSYS */
	char name[64];  /* of the system call that it said it would die of */
};

/* confine_as(role) in a new process, then the attempt. */
static struct outcome make(int (*attempt)(void), void (*confine_as)(unsigned role, int fd), unsigned role)
{
	uint8_t *buffer = malloc(CHANNEL_MESSAGE_MAX);
	struct outcome outcome = { .error = -2 };
	struct message message;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(channel_pair(fds), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		confine_as(role, fds[1]);
		_exit(attempt());
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		outcome.error = WEXITSTATUS(status);
	else if (WTERMSIG(status) == SIGSYS)
		outcome.error = -1;
	if (channel_receive(fds[0], ROLE_WORKER, ROLE_SUPERVISOR, buffer, &message) == 0 && message.kind == MSG_FORBIDDEN)
		snprintf(outcome.name, sizeof outcome.name, "%.60s", message.as.FORBIDDEN.name);
	close(fds[0]);
	free(buffer);
	return outcome;
}

static void by_seccomp(unsigned role, int fd)
{
	if (seccomp_install(role, fd) < 0)
		_exit(100);
}

static void by_landlock(unsigned role, int fd)
{
	(void)fd;
	if (landlock_install(role) < 0)
		_exit(100);
}

static void by_all(unsigned role, int fd)
{
	const struct privilege anybody = { true, ANYBODY, ANYBODY };
	struct err err = { 0 };

	if (geteuid() == 0 && privilege_drop(&anybody, role == CONFINED_CONTROL ? 1 << CAP_NET_BIND_SERVICE : 0, &err) < 0)
		_exit(101);
	confine(role, true, true, fd);
}

static void need_seccomp(void)
{
	if (!seccomp_available())
		skip();
}

static void need_landlock(int version)
{
	if (landlock_version() < version)
		skip();
}

/* --- seccomp --- */

static void try_all(unsigned role)
{
	for (size_t i = 0; i < ATTEMPTS; i++) {
		const struct attempt *a = &attempts[i];
		struct outcome outcome;

#ifdef LUNETTE_SANITIZED
		if (a->roles & PLAIN)
			continue;
#endif
		if (!(a->roles & role))
			continue;
		outcome = make(a->make, by_seccomp, role);
		if (outcome.error != -1 || strcmp(outcome.name, a->syscall) != 0)
			fail_msg("attempt %zu, %s: error %d, said \"%s\"", i, a->syscall, outcome.error, outcome.name);
	}
}

static void a_worker_dies_of_each_forbidden_system_call_and_names_it(void **state)
{
	(void)state;
	need_seccomp();
	try_all(CONFINED_WORKER);
}

static void control_dies_of_each_forbidden_system_call_and_names_it(void **state)
{
	(void)state;
	need_seccomp();
	try_all(CONFINED_CONTROL);
}

static void *chown_something(void *arg)
{
	(void)arg;
	try_chown();
	return NULL;
}

static int try_in_a_thread(void)
{
	pthread_t thread;

	if (thread_start(&thread, chown_something, NULL) < 0)
		return 1;
	pthread_join(thread, NULL);
	return PASSED;
}

static void a_thread_that_takes_no_signals_names_it_too(void **state)
{
	struct outcome outcome;

	(void)state;
	need_seccomp();
	outcome = make(try_in_a_thread, by_seccomp, CONFINED_WORKER);
	assert_int_equal(outcome.error, -1);
	assert_string_equal(outcome.name, "chown");
}

static void there_is_no_clone3_so_that_clone_is_used(void **state)
{
	(void)state;
	need_seccomp();
	assert_int_equal(make(try_clone3, by_seccomp, CONFINED_WORKER).error, ENOSYS);
}

static int work(void)
{
	char path[96], to[96];
	io_context_t io = 0;
	pthread_t thread;
	int fd;

	snprintf(path, sizeof path, "%s/a/file", scratch);
	snprintf(to, sizeof to, "%s/a/b/file", scratch);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || pwrite(fd, "x", 1, 0) != 1 || fdatasync(fd) < 0 || fallocate(fd, 0, 0, 4096) < 0)
		return 1;
	if (io_setup(4, &io) < 0 || io_destroy(io) < 0)
		return 2;
	if (pthread_create(&thread, NULL, (void *(*)(void *))getenv, (void *)"PATH") || pthread_join(thread, NULL))
		return 3;
	if (memfd_with("m", "x", 1) < 0)
		return 4;
	if (rename(path, to) < 0 || unlink(to) < 0) /* from one directory to another, which Landlock forbids unless asked */
		return 5;
	return PASSED;
}

static int start_a_program(void)
{
	return WEXITSTATUS(system("ulimit -t 10; exec true")) ? 1 : PASSED;
}

static int listen_low(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(3) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0 ? errno : PASSED;
}

static void what_the_roles_are_for_still_works(void **state)
{
	(void)state;
	assert_int_equal(make(work, by_all, CONFINED_WORKER).error, PASSED);
	assert_int_equal(make(work, by_all, CONFINED_CONTROL).error, PASSED);
	assert_int_equal(make(start_a_program, by_all, CONFINED_CONTROL).error, PASSED);
	if (geteuid() == 0)
		assert_int_equal(make(listen_low, by_all, CONFINED_CONTROL).error, PASSED);
}

static void refuse_seccomp(unsigned role, int fd)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0);
	seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(landlock_create_ruleset), 0);
	if (seccomp_load(filter) < 0)
		_exit(100);
	seccomp_release(filter);
	by_all(role, fd);
}

static void where_seccomp_and_landlock_are_refused_it_goes_on(void **state)
{
	(void)state;
	need_seccomp();
	assert_int_equal(make(work, refuse_seccomp, CONFINED_WORKER).error, PASSED);
}

/* --- Landlock, alone --- */

static int exec_scratch(void)
{
	char path[96];

	snprintf(path, sizeof path, "%s/true", scratch);
	execl(path, "true", NULL);
	return errno;
}

static int make_special(const char *name, mode_t type)
{
	char path[96];

	snprintf(path, sizeof path, "%s/%s", scratch, name);
	return result(mknod(path, type | 0600, makedev(1, 3)));
}

static int make_fifo(void)
{
	return make_special("fifo", S_IFIFO);
}

static int make_symlink(void)
{
	char path[96];

	snprintf(path, sizeof path, "%s/link", scratch);
	return result(symlink("/etc/shadow", path));
}

static int signal_parent(void)
{
	return result(kill(getppid(), 0));
}

static int read_parent(void)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/mem", (int)getppid());
	return result(open(path, O_RDONLY | O_CLOEXEC));
}

static int connect_out(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return result(connect(fd, (struct sockaddr *)&listener, sizeof listener));
}

static void landlock_alone_forbids_what_a_number_cannot_tell(void **state)
{
	(void)state;
	need_landlock(2);
	assert_int_equal(make(exec_scratch, by_landlock, CONFINED_CONTROL).error, EACCES);
	assert_int_equal(make(try_execve, by_landlock, CONFINED_WORKER).error, EACCES);
	assert_int_equal(make(try_execve, by_landlock, CONFINED_CONTROL).error, PASSED);
	assert_int_equal(make(make_fifo, by_landlock, CONFINED_CONTROL).error, EACCES);
	assert_int_equal(make(make_symlink, by_landlock, CONFINED_CONTROL).error, EACCES);
	assert_int_equal(make(read_parent, by_landlock, CONFINED_CONTROL).error, EACCES);
}

static void landlock_alone_forbids_connections_and_signals_where_the_kernel_can(void **state)
{
	(void)state;
	need_landlock(6);
	assert_int_equal(make(connect_out, by_landlock, CONFINED_WORKER).error, EACCES);
	assert_int_equal(make(connect_out, by_landlock, CONFINED_CONTROL).error, EACCES);
	assert_int_equal(make(signal_parent, by_landlock, CONFINED_WORKER).error, EPERM);
}

/* --- the user --- */

static int read_shadow(void)
{
	return result(open("/etc/shadow", O_RDONLY | O_CLOEXEC));
}

static int write_passwd(void)
{
	return result(open("/etc/passwd", O_WRONLY | O_CLOEXEC));
}

static void what_only_root_may_read_or_write_is_out_of_reach(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(make(read_shadow, by_all, CONFINED_WORKER).error, EACCES);
	assert_int_equal(make(read_shadow, by_all, CONFINED_CONTROL).error, EACCES);
	assert_int_equal(make(write_passwd, by_all, CONFINED_WORKER).error, EACCES);
}

static void root_becomes_the_owner_of_the_state_directory_or_a_user_for_it(void **state)
{
	const struct passwd *usual;
	struct privilege privilege;
	struct err err = { 0 };

	(void)state;
	if (geteuid() != 0)
		skip();
	usual = getpwnam("lunette");
	if (!usual)
		usual = getpwnam("nobody");
	assert_int_equal(privilege_find(NULL, NULL, "/nowhere/at/all", &privilege, &err), 0);
	assert_true(privilege.drop);
	assert_int_equal(privilege.uid, usual->pw_uid);
	assert_int_equal(chown(scratch, 4711, 4712), 0);
	assert_int_equal(privilege_find(NULL, NULL, scratch, &privilege, &err), 0);
	assert_true(privilege.drop);
	assert_int_equal(privilege.uid, 4711);
	assert_int_equal(privilege.gid, 4712);
	assert_int_equal(chown(scratch, 0, 0), 0);
	assert_int_equal(privilege_find("root", NULL, scratch, &privilege, &err), 0);
	assert_false(privilege.drop);
	assert_int_equal(privilege_find("no such user", NULL, scratch, &privilege, &err), -EINVAL);
}

static int make_scratch(void **state)
{
	char command[256];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof listener;

	(void)state;
	snprintf(scratch, sizeof scratch, "/tmp/lunette-confine.XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	snprintf(command, sizeof command, "cd %s && mkdir -p a/b && cp /bin/true . && chmod 0777 . a a/b", scratch);
	listener.sin_family = AF_INET;
	listener.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (system(command) || bind(fd, (struct sockaddr *)&listener, sizeof listener) || listen(fd, 8))
		return -1;
	return getsockname(fd, (struct sockaddr *)&listener, &len); /* the listener stays open to the end */
}

static int remove_scratch(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", scratch);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_dies_of_each_forbidden_system_call_and_names_it),
		cmocka_unit_test(control_dies_of_each_forbidden_system_call_and_names_it),
		cmocka_unit_test(a_thread_that_takes_no_signals_names_it_too),
		cmocka_unit_test(there_is_no_clone3_so_that_clone_is_used),
		cmocka_unit_test(what_the_roles_are_for_still_works),
		cmocka_unit_test(where_seccomp_and_landlock_are_refused_it_goes_on),
		cmocka_unit_test(landlock_alone_forbids_what_a_number_cannot_tell),
		cmocka_unit_test(landlock_alone_forbids_connections_and_signals_where_the_kernel_can),
		cmocka_unit_test(what_only_root_may_read_or_write_is_out_of_reach),
		cmocka_unit_test(root_becomes_the_owner_of_the_state_directory_or_a_user_for_it),
	};

	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
