/*
 * Fail the nth: a scenario is run again and again, and in run n its nth event fails, until nothing failed in it. Events are
 * allocations, calls that change files, messages that are sent: the calls of our own code, which the linker leads here
 * (NTH_WRAPS in the Makefile, for programs called *_nth_test), and jansson's allocations. Only while armed: what the test
 * itself does between nth_disarm() and nth_arm() works. To be included before any other header of the project; the test's
 * own malloc(), calloc() ... never fail.
 *
 *	for (nth_start(NTH_MEMORY, ENOMEM, 1); nth_next();) {
 *		nth_arm();
 *		... the scenario ...
 *		nth_disarm();
 *		... nothing half, all given back, works again ...
 *	}
 */
#ifndef LUNETTE_TESTS_NTH_H
#define LUNETTE_TESTS_NTH_H

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "json_text.h"

enum nth_class { NTH_MEMORY = 1, NTH_FILE = 2, NTH_MESSAGE = 4 };

#define NTH_RUNS_MAX 100000 /* a scenario that has more events than this does not come to its end */

static __thread struct { /* of the test's thread: what others do in the meantime always works */
	unsigned classes; /* mask */
	int error;
	long run, failures; /* so many failures, one after the other; 0: all from the nth on */
	long stride;        /* each such step of n: for scenarios of many events, unless NTH_ALL is in the environment */
	long seen;
	bool armed, failed;
} nth;

static inline void nth_start(unsigned classes, int error, long failures)
{
	memset(&nth, 0, sizeof nth);
	nth.classes = classes;
	nth.error = error;
	nth.failures = failures;
	nth.run = -1;
	nth.stride = 1;
	nth.failed = true;
}

static inline void nth_every(long stride)
{
	nth.stride = getenv("NTH_ALL") ? 1 : stride;
}

/* Whether there is another run: the last one had a failure. */
static inline bool nth_next(void)
{
	if (!nth.failed)
		return false;
	nth.run = nth.run < 0 ? 0 : nth.run + nth.stride;
	if (nth.run >= NTH_RUNS_MAX)
		abort();
	nth.seen = 0;
	nth.failed = nth.armed = false;
	return true;
}

static inline void nth_arm(void)
{
	nth.armed = true;
}

static inline void nth_disarm(void)
{
	nth.armed = false;
}

/* One event of the class: true when it is to fail; errno is set. */
static bool nth_fails(enum nth_class class)
{
	if (!nth.armed || !(nth.classes & class))
		return false;
	if (nth.seen++ < nth.run || (nth.failures && nth.seen > nth.run + nth.failures))
		return false;
	nth.failed = true;
	errno = nth.error;
	return true;
}

/* --- what the linker leads here --- */

#define NTH_WRAP(class, failure, type, name, parameters, arguments)                                                    \
	type __real_##name parameters;                                                                                 \
	type __wrap_##name parameters;                                                                                 \
	type __wrap_##name parameters                                                                                  \
	{                                                                                                              \
		return nth_fails(class) ? failure : __real_##name arguments;                                           \
	}

NTH_WRAP(NTH_MEMORY, NULL, void *, malloc, (size_t size), (size))
NTH_WRAP(NTH_MEMORY, NULL, void *, calloc, (size_t count, size_t size), (count, size))
NTH_WRAP(NTH_MEMORY, NULL, void *, realloc, (void *old, size_t size), (old, size))
NTH_WRAP(NTH_MEMORY, NULL, void *, aligned_alloc, (size_t align, size_t size), (align, size))
NTH_WRAP(NTH_MEMORY, NULL, char *, strdup, (const char *text), (text))
NTH_WRAP(NTH_MEMORY, NULL, FILE *, open_memstream, (char **text, size_t *len), (text, len))
NTH_WRAP(NTH_FILE, -1, int, ftruncate, (int fd, off_t len), (fd, len))
NTH_WRAP(NTH_FILE, -1, int, fallocate, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len))
NTH_WRAP(NTH_FILE, -1, int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode))
NTH_WRAP(NTH_FILE, -1, int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
NTH_WRAP(NTH_FILE, -1, int, renameat2, (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
	 (from_dir, from, to_dir, to, flags))
NTH_WRAP(NTH_MESSAGE, -1, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))

/* Nobody pulls the plug here, and a scenario is run thousands of times: it is not waited for. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	return nth_fails(NTH_FILE) ? -1 : fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

/* To a file; waking a thread up is no event. */
ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && nth_fails(NTH_FILE))
		return -1;
	return __real_write(fd, bytes, len);
}

int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **text, const char *format, ...)
{
	va_list list;
	int n;

	if (nth_fails(NTH_MEMORY))
		return -1;
	va_start(list, format);
	n = vasprintf(text, format, list);
	va_end(list);
	return n;
}

/* Jansson's allocations are not calls of ours until json_text.c makes them so. */
static inline void nth_watch_json(void)
{
	json_watch_memory();
}

/* The test's own. */
#define malloc(size)        __real_malloc(size)
#define calloc(count, size) __real_calloc(count, size)
#define strdup(text)        __real_strdup(text)

#endif
