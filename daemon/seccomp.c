/* The filter of system calls: see confine.h. The rows are syscalls.def. */
#include <asm/termbits.h>
#include <errno.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "channel.h"
#include "confine.h"
#include "log.h"

#define NUMBERS 512 /* whose names are known beforehand; x86-64 and arm64 use fewer */
#define OWN_PID UINT64_MAX

#define NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

#define W CONFINED_WORKER
#define C CONFINED_CONTROL
#ifdef LUNETTE_SANITIZED
#define S (W | C)
#else
#define S 0
#endif

struct row {
	unsigned roles;
	int number;
	unsigned conditions; /* 0 or 1 */
	struct scmp_arg_cmp condition;
};

static const struct row rows[] = {
#define SYSCALL(roles, name) { roles, SCMP_SYS(name), 0, { 0, _SCMP_CMP_MIN, 0, 0 } },
#define SYSCALL_EQ(roles, name, arg, value) { roles, SCMP_SYS(name), 1, { arg, SCMP_CMP_EQ, value, 0 } },
#define SYSCALL_MASK(roles, name, arg, mask, value) \
	{ roles, SCMP_SYS(name), 1, { arg, SCMP_CMP_MASKED_EQ, mask, value } },
#include "syscalls.def"
#undef SYSCALL
#undef SYSCALL_EQ
#undef SYSCALL_MASK
};

/* For the handler, which may not ask libseccomp: filled in before the filter is there. */
static struct {
	int supervisor_fd;
	char *name[NUMBERS];
} forbidden;

/* Tells the supervisor, then dies of the same signal (SA_RESETHAND). */
static void on_forbidden(int number, siginfo_t *info, void *context)
{
	struct msg_FORBIDDEN message;
	unsigned syscall_number = (unsigned)info->si_syscall;

	(void)context;
	if (syscall_number < NUMBERS && forbidden.name[syscall_number])
		strncpy(message.name, forbidden.name[syscall_number], sizeof message.name - 1);
	else
		strncpy(message.name, "unknown", sizeof message.name - 1);
	message.name[sizeof message.name - 1] = '\0';
	message.number = syscall_number;
	channel_send(forbidden.supervisor_fd, MSG_FORBIDDEN, &message);
	raise(number);
}

static int catch_violations(int supervisor_fd)
{
	struct sigaction action = { .sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER };

	forbidden.supervisor_fd = supervisor_fd;
	for (int i = 0; i < NUMBERS; i++)
		if (!forbidden.name[i])
			forbidden.name[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
	return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

static int add_rows(scmp_filter_ctx filter, enum confined_role role)
{
	int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	for (size_t i = 0; rc == 0 && i < sizeof rows / sizeof rows[0]; i++) {
		struct scmp_arg_cmp condition = rows[i].condition;

		if (!(rows[i].roles & role))
			continue;
		if (condition.datum_a == OWN_PID)
			condition.datum_a = (uint64_t)getpid();
		rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rows[i].number, rows[i].conditions, &condition);
		if (rc == -EEXIST) /* a row without a condition came before */
			rc = 0;
	}
	return rc;
}

bool seccomp_available(void)
{
	uint32_t action = SECCOMP_RET_TRAP;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int seccomp_install(enum confined_role role, int supervisor_fd)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int rc;

	if (!filter)
		return -ENOMEM;
	rc = catch_violations(supervisor_fd);
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1); /* a sanitizer has a thread already */
	if (rc == 0)
		rc = add_rows(filter, role);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}
