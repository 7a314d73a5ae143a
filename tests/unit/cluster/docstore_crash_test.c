/* CFG-9: several processes on one document, processes killed at every system call of a publish, readers meanwhile. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster/docstore_port.h"
#include "tests/unit/cluster/scratch.h"

#define PROCESSES  4
#define INCREMENTS 60

/* Shared with the children. */
static struct shared {
	_Atomic unsigned calls, acknowledged, stop, torn, reads;
} *shared;

static char root[128];

static int setup(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	scratch_make(root, sizeof root);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	munmap(shared, sizeof *shared);
	scratch_remove(root);
	return 0;
}

static int increment(json_t **content, uint64_t version, void *arg, struct err *err)
{
	json_int_t value = json_integer_value(json_object_get(*content, "value"));

	(void)version, (void)arg, (void)err;
	atomic_fetch_add(&shared->calls, 1);
	json_decref(*content);
	*content = json_pack("{s:I}", "value", value + 1);
	return 0;
}

static int value_of(struct docstore *store, uint64_t *ret_version)
{
	json_t *content;
	struct err err = { 0 };
	int value;

	if (docstore_load(store, "counter", &content, ret_version, &err) < 0)
		return -1;
	value = content ? (int)json_integer_value(json_object_get(content, "value")) : 0;
	json_decref(content);
	return value;
}

static unsigned entries(const char *path)
{
	char whole[256];
	unsigned count = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(whole, sizeof whole, "%s/%s", root, path);
	dir = opendir(whole);
	while (dir && (entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

static void incrementing_process(unsigned increments)
{
	struct docstore *store = docstore_open(root, "child", NULL);
	int rc = store ? 0 : -1;

	for (unsigned i = 0; rc == 0 && i < increments; i++)
		rc = docstore_update(store, "counter", increment, NULL, NULL, NULL);
	docstore_close(store);
	_exit(rc != 0);
}

static void cfg_9_no_increment_of_any_process_is_lost(void **state)
{
	struct docstore *store = docstore_open(root, "parent", NULL);
	uint64_t version;
	int status;

	(void)state;
	for (unsigned i = 0; i < PROCESSES; i++) {
		if (fork() == 0)
			incrementing_process(INCREMENTS);
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(value_of(store, &version), PROCESSES * INCREMENTS);
	assert_int_equal(version, PROCESSES * INCREMENTS);
	assert_int_equal(entries("counter/v"), PROCESSES * INCREMENTS);
	assert_int_equal(entries("tmp"), 0);
	assert_true(shared->calls > PROCESSES * INCREMENTS); /* there were conflicts */
	docstore_close(store);
}

/* --- killed at the nth call --- */

static unsigned kill_at, kill_seen;
static bool kill_after;

#define KILLING(type, name, params, args)                                                                              \
	static type killing_##name params                                                                              \
	{                                                                                                              \
		bool now = ++kill_seen == kill_at;                                                                     \
		type rc;                                                                                               \
		if (now && !kill_after)                                                                                \
			raise(SIGKILL);                                                                                \
		rc = docstore_port_libc.name args;                                                                     \
		if (now)                                                                                               \
			raise(SIGKILL);                                                                                \
		return rc;                                                                                             \
	}
KILLING(int, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
KILLING(int, openat, (int fd, const char *path, int flags, mode_t mode), (fd, path, flags, mode))
KILLING(ssize_t, read, (int fd, void *bytes, size_t len), (fd, bytes, len))
KILLING(int, fsync, (int fd), (fd))
KILLING(int, faccessat, (int fd, const char *path, int mode, int flags), (fd, path, mode, flags))
KILLING(int, renameat2, (int fd, const char *from, int to_fd, const char *to, unsigned flags), (fd, from, to_fd, to, flags))
KILLING(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))

/* A killed write has written half. */
static ssize_t killing_write(int fd, const void *bytes, size_t len)
{
	if (++kill_seen == kill_at) {
		if (write(fd, bytes, kill_after ? len : len / 2) < 0)
			_exit(3);
		raise(SIGKILL);
	}
	return write(fd, bytes, len);
}

static const struct docstore_port killing_port = {
	killing_mkdirat, killing_openat, killing_read, killing_write, killing_fsync, killing_faccessat, killing_renameat2,
	killing_unlinkat,
};

/* One increment in a process that dies at the nth call. Exit status of the process. */
static int killed_increment(unsigned at, bool after, bool reap_first)
{
	int status;

	if (fork() == 0) {
		struct docstore *store = docstore_open_port(root, "victim", &killing_port, NULL);
		int rc;

		kill_at = at;
		kill_after = after;
		rc = reap_first ? docstore_reap(store, 0, 2, NULL) : 0;
		if (rc == 0)
			rc = docstore_update(store, "counter", increment, NULL, NULL, NULL);
		if (rc == 0)
			atomic_fetch_add(&shared->acknowledged, 1);
		_exit(rc != 0);
	}
	assert_true(wait(&status) > 0);
	return status;
}

static void cfg_9_a_kill_at_any_call_leaves_the_old_or_the_new_version(void **state)
{
	struct docstore *store = docstore_open(root, "parent", NULL);
	unsigned expected = 0, killed = 0;

	(void)state;
	for (unsigned variant = 0; variant < 4; variant++) {
		for (unsigned at = 1;; at++) {
			int status = killed_increment(at, variant & 1, variant & 2), value;
			uint64_t version;

			value = value_of(store, &version);
			assert_true(value == (int)expected || value == (int)expected + 1);
			expected = (unsigned)value;
			if (WIFEXITED(status)) {
				assert_int_equal(WEXITSTATUS(status), 0);
				break;
			}
			killed++;
			assert_int_equal(docstore_update(store, "counter", increment, NULL, NULL, NULL), 0);
			assert_int_equal(docstore_reap(store, 0, 2, NULL), 0); /* or the victims would have more and more to reap */
			expected++;
		}
	}
	assert_true(killed > 40);
	assert_int_equal(docstore_reap(store, 0, 2, NULL), 0);
	assert_int_equal(entries("tmp"), 0);
	docstore_close(store);
}

static void reading_process(void)
{
	struct docstore *store = docstore_open(root, "reader", NULL);
	int last = 0;

	while (!atomic_load(&shared->stop)) {
		uint64_t version;
		int value = value_of(store, &version);

		if (value < last)
			atomic_fetch_add(&shared->torn, 1);
		last = value;
		atomic_fetch_add(&shared->reads, 1);
	}
	_exit(0);
}

static void reaping_process(void)
{
	struct docstore *store = docstore_open(root, "reaper", NULL);

	while (!atomic_load(&shared->stop))
		docstore_reap(store, 3600, 2, NULL);
	_exit(0);
}

static void cfg_9_readers_see_no_torn_content_while_others_write_prune_and_die(void **state)
{
	struct docstore *store = docstore_open(root, "parent", NULL);
	uint64_t version;
	int status, value;
	unsigned killed = 0;

	(void)state;
	if (fork() == 0)
		reading_process();
	if (fork() == 0)
		reaping_process();
	if (fork() == 0)
		incrementing_process(100);
	for (unsigned i = 1; i <= 40; i++) {
		if (fork() == 0) {
			int inner = killed_increment(i, i & 1, false);

			_exit(WIFSIGNALED(inner) ? 1 : 0);
		}
		assert_true(wait(&status) > 0); /* of this one, or of the incrementing process */
		killed += WIFEXITED(status) && WEXITSTATUS(status) == 1;
	}
	atomic_store(&shared->stop, 1);
	while (wait(&status) > 0)
		;
	value = value_of(store, &version);
	assert_true(value >= 100 + (int)shared->acknowledged);
	assert_true(value <= 100 + 40);
	assert_true(killed > 0);
	assert_int_equal(version, value);
	assert_int_equal(shared->torn, 0);
	assert_true(shared->reads > 0);
	docstore_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cfg_9_no_increment_of_any_process_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(cfg_9_a_kill_at_any_call_leaves_the_old_or_the_new_version, setup, teardown),
		cmocka_unit_test_setup_teardown(cfg_9_readers_see_no_torn_content_while_others_write_prune_and_die, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
