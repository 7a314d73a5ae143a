/* The directory document store, requirement by requirement (CFG-1 to CFG-8). CFG-9 has docstore_crash_test.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cluster/docstore_port.h"
#include "cluster/document.h"
#include "tests/unit/cluster/scratch.h"

/* A port whose nth call of one kind fails, or succeeds and says that it failed. */
static struct faults {
	enum { NOTHING, WRITE, FSYNC, RENAME, RENAME_DONE, MKDIR, ONCE_BEFORE_RENAME } what;
	unsigned at, seen;
	int error;
	void (*before_rename)(void);
} faults;

static int fault_here(int what)
{
	if ((int)faults.what != what || ++faults.seen != faults.at)
		return 0;
	errno = faults.error;
	return -1;
}
static ssize_t fault_write(int fd, const void *bytes, size_t len)
{
	return fault_here(WRITE) < 0 ? -1 : write(fd, bytes, len);
}
static int fault_fsync(int fd)
{
	return fault_here(FSYNC) < 0 ? -1 : fsync(fd);
}
static int fault_mkdirat(int fd, const char *path, mode_t mode)
{
	return fault_here(MKDIR) < 0 ? -1 : mkdirat(fd, path, mode);
}
static int fault_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	int rc;

	if (faults.what == ONCE_BEFORE_RENAME) {
		faults.what = NOTHING;
		faults.before_rename();
	}
	if (fault_here(RENAME) < 0)
		return -1;
	rc = renameat2(from_fd, from, to_fd, to, flags);
	return rc == 0 && fault_here(RENAME_DONE) < 0 ? -1 : rc;
}

static struct docstore_port fault_port;

struct fixture {
	char root[128];
	struct docstore *a, *b; /* two writers on one directory */
};

static struct fixture *the_fixture;

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	memset(&faults, 0, sizeof faults);
	fault_port = docstore_port_libc;
	fault_port.write = fault_write;
	fault_port.fsync = fault_fsync;
	fault_port.mkdirat = fault_mkdirat;
	fault_port.renameat2 = fault_renameat2;
	scratch_make(f->root, sizeof f->root);
	f->a = docstore_open_port(f->root, "a", &fault_port, NULL);
	f->b = docstore_open(f->root, "b", NULL);
	assert_non_null(f->a);
	assert_non_null(f->b);
	*state = the_fixture = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	docstore_close(f->a);
	docstore_close(f->b);
	scratch_remove(f->root);
	free(f);
	return 0;
}

static int publish(struct docstore *store, const char *name, int value, uint64_t expected)
{
	json_t *content = json_pack("{s:i}", "value", value);
	int rc = docstore_publish(store, name, content, expected, NULL, NULL);

	json_decref(content);
	return rc;
}

/* The value of a document; -1: there is none. */
static int value_of(struct docstore *store, const char *name, uint64_t *ret_version)
{
	json_t *content;
	uint64_t version;
	struct err err;
	int value;

	if (docstore_load(store, name, &content, &version, &err) != 0)
		fail_msg("%s", err.text);
	value = content ? (int)json_integer_value(json_object_get(content, "value")) : -1;
	json_decref(content);
	if (ret_version)
		*ret_version = version;
	return value;
}

static unsigned entries(const struct fixture *f, const char *path)
{
	char whole[256];
	unsigned count = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(whole, sizeof whole, "%s/%s", f->root, path);
	dir = opendir(whole);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static bool there(const struct fixture *f, const char *path)
{
	char whole[256];

	snprintf(whole, sizeof whole, "%s/%s", f->root, path);
	return access(whole, F_OK) == 0;
}

static void cfg_1_a_load_gives_the_newest_version_of_any_writer(void **state)
{
	struct fixture *f = *state;
	uint64_t version = 9;

	assert_int_equal(value_of(f->a, "config", &version), -1);
	assert_int_equal(version, 0);
	assert_int_equal(publish(f->a, "config", 1, 0), 0);
	assert_int_equal(value_of(f->b, "config", &version), 1);
	for (int i = 2; i <= 60; i++)
		assert_int_equal(publish(f->b, "config", i, (uint64_t)i - 1), 0);
	assert_int_equal(value_of(f->a, "config", &version), 60); /* more than it probes from its hint */
	assert_int_equal(version, 60);
}

static void cfg_2_and_3_a_version_is_a_directory_renamed_out_of_tmp(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char path[256];

	assert_int_equal(publish(f->a, "map/vol1", 1, 0), 0);
	assert_true(there(f, "map/vol1/v/1/document"));
	assert_int_equal(entries(f, "tmp"), 0);
	snprintf(path, sizeof path, "%s/map/vol1/v/1/document", f->root);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(path, sizeof path, "%s/map", f->root);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static int add_one(json_t **content, uint64_t version, void *arg, struct err *err)
{
	unsigned *calls = arg;
	json_int_t value = json_integer_value(json_object_get(*content, "value"));

	(void)version;
	(void)err;
	if ((*calls)++ == 0) /* somebody else is first */
		assert_int_equal(publish(the_fixture->b, "config", 100, version), 0);
	json_decref(*content);
	*content = json_pack("{s:I}", "value", value + 1);
	return 0;
}

static void cfg_4_an_update_that_lost_is_applied_to_the_new_content(void **state)
{
	struct fixture *f = *state;
	unsigned calls = 0;
	uint64_t version;

	assert_int_equal(publish(f->a, "config", 1, 0), 0);
	assert_int_equal(docstore_update(f->a, "config", add_one, &calls, &version, NULL), 0);
	assert_int_equal(calls, 2);
	assert_int_equal(version, 3);
	assert_int_equal(value_of(f->a, "config", NULL), 101);
}

static int leave(json_t **content, uint64_t version, void *arg, struct err *err)
{
	(void)content, (void)version, (void)err;
	return *(int *)arg;
}

static void an_update_may_leave_it_or_give_up(void **state)
{
	struct fixture *f = *state;
	uint64_t version = 7;
	int rc = 1;

	assert_int_equal(docstore_update(f->a, "config", leave, &rc, &version, NULL), 0);
	assert_int_equal(version, 0);
	rc = -EPERM;
	assert_int_equal(docstore_update(f->a, "config", leave, &rc, &version, NULL), -EPERM);
	assert_false(there(f, "config"));
}

static void cfg_5_a_second_writer_of_a_version_loses(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(publish(f->a, "config", 1, 0), 0);
	assert_int_equal(publish(f->b, "config", 2, 0), -EAGAIN);
	assert_int_equal(publish(f->b, "config", 2, 1), 0);
	assert_int_equal(publish(f->a, "config", 3, 1), -EAGAIN);
	assert_int_equal(publish(f->a, "config", 3, 7), -EAGAIN); /* never was */
	assert_int_equal(publish(f->a, "other", 3, 7), -EAGAIN);
	assert_int_equal(value_of(f->a, "config", NULL), 2);
	assert_int_equal(entries(f, "tmp"), 0);
}

static void publish_by_b(void)
{
	assert_int_equal(publish(the_fixture->b, "config", 50, 1), 0);
}

static void cfg_5_losing_at_the_rename_itself_is_lost_not_an_error(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(publish(f->a, "config", 1, 0), 0);
	faults.what = ONCE_BEFORE_RENAME;
	faults.before_rename = publish_by_b;
	assert_int_equal(publish(f->a, "config", 2, 1), -EAGAIN);
	assert_int_equal(value_of(f->a, "config", NULL), 50);
	assert_int_equal(entries(f, "tmp"), 0);
}

static void cfg_5_a_kernel_without_noreplace_gets_a_plain_rename(void **state)
{
	struct fixture *f = *state;

	faults.what = RENAME;
	faults.at = 1;
	faults.error = EINVAL;
	assert_int_equal(publish(f->a, "config", 1, 0), 0);
	assert_int_equal(faults.seen, 2);
	assert_int_equal(value_of(f->b, "config", NULL), 1);
}

static void cfg_5_disk_errors_are_reported_at_once(void **state)
{
	static const struct { int what, error; } rows[] = {
		{ WRITE, ENOSPC }, { WRITE, EDQUOT }, { FSYNC, EIO }, { RENAME, EXDEV }, { MKDIR, EROFS }, { WRITE, EIO },
	};
	struct fixture *f = *state;
	struct err err;
	json_t *content = json_pack("{s:i}", "value", 2);

	assert_int_equal(publish(f->a, "config", 1, 0), 0);
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		faults = (struct faults){ .what = rows[i].what, .at = 1, .error = rows[i].error };
		assert_int_equal(docstore_publish(f->a, "config", content, 1, NULL, &err), -rows[i].error);
		assert_non_null(strstr(err.text, strerror(rows[i].error)));
		assert_non_null(strstr(err.text, "\"config\""));
		assert_int_equal(faults.seen, 1);
		assert_int_equal(entries(f, "tmp"), 0);
		assert_int_equal(value_of(f->b, "config", NULL), 1);
	}
	faults.what = NOTHING;
	assert_int_equal(docstore_publish(f->a, "config", content, 1, NULL, &err), 0);
	json_decref(content);
}

static void cfg_6_everything_is_synced_before_success(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(publish(f->a, "config", 1, 0), 0);
	faults = (struct faults){ .what = FSYNC, .at = 99 };
	assert_int_equal(publish(f->a, "config", 2, 1), 0);
	assert_int_equal(faults.seen, 3); /* document, its directory, the versions */
}

static void cfg_6_orphans_are_reaped_by_age(void **state)
{
	struct fixture *f = *state;
	char path[256];

	snprintf(path, sizeof path, "%s/tmp/dead.0.1", f->root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/tmp/dead.0.1/document", f->root);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(docstore_reap(f->a, 3600, 2, NULL), 0);
	assert_int_equal(entries(f, "tmp"), 1);
	assert_int_equal(docstore_reap(f->a, 0, 2, NULL), 0);
	assert_int_equal(entries(f, "tmp"), 0);
}

static void cfg_7_pruned_numbers_are_never_used_again(void **state)
{
	struct fixture *f = *state;
	uint64_t version;

	for (int i = 1; i <= 9; i++)
		assert_int_equal(publish(f->a, "config", i, (uint64_t)i - 1), 0);
	assert_int_equal(docstore_reap(f->a, 0, 3, NULL), 0);
	assert_false(there(f, "config/v/6/document"));
	assert_true(there(f, "config/v/6/pruned"));
	assert_true(there(f, "config/v/7/document"));
	assert_int_equal(publish(f->b, "config", 66, 5), -EAGAIN);
	assert_int_equal(publish(f->b, "config", 66, 0), -EAGAIN);
	assert_int_equal(value_of(f->b, "config", &version), 9);
	assert_int_equal(version, 9);
	assert_int_equal(docstore_reap(f->b, 0, 0, NULL), 0); /* two are always kept */
	assert_true(there(f, "config/v/8/document"));
	assert_false(there(f, "config/v/7/document"));
}

/* What compaction leaves after very many versions, without making them. */
static void pretend_compacted(const struct fixture *f, unsigned upto)
{
	char path[256];

	snprintf(path, sizeof path, "%s/config/v/0", f->root);
	assert_int_equal(mkdir(path, 0700), 0);
	for (unsigned i = 1; i <= upto; i++) {
		snprintf(path, sizeof path, "%s/config/v/%u/pruned", f->root, i);
		assert_int_equal(unlink(path), 0);
		snprintf(path, sizeof path, "%s/config/v/%u", f->root, i);
		assert_int_equal(rmdir(path), 0);
	}
}

static void stale_writer_scene(void)
{
	struct fixture *f = the_fixture;

	for (int i = 2; i <= 9; i++)
		assert_int_equal(publish(f->b, "config", i, (uint64_t)i - 1), 0);
	assert_int_equal(docstore_reap(f->b, 3600, 2, NULL), 0);
	pretend_compacted(f, 5);
}

static void cfg_7_a_stale_writer_takes_its_version_back(void **state)
{
	struct fixture *f = *state;
	uint64_t version;

	assert_int_equal(publish(f->a, "config", 1, 0), 0);
	faults.what = ONCE_BEFORE_RENAME;
	faults.before_rename = stale_writer_scene;
	assert_int_equal(publish(f->a, "config", 77, 1), -EAGAIN);
	assert_false(there(f, "config/v/2"));
	assert_int_equal(entries(f, "tmp"), 0);
	assert_int_equal(value_of(f->a, "config", &version), 9);
	assert_int_equal(version, 9);
}

static void first_version_scene(void)
{
	assert_int_equal(publish(the_fixture->b, "config", 1, 0), 0);
	stale_writer_scene();
}

static void cfg_7_a_stale_first_writer_takes_its_version_back(void **state)
{
	struct fixture *f = *state;

	faults.what = ONCE_BEFORE_RENAME;
	faults.before_rename = first_version_scene;
	assert_int_equal(publish(f->a, "config", 77, 0), -EAGAIN);
	assert_false(there(f, "config/v/1"));
	assert_int_equal(value_of(f->a, "config", NULL), 9);
}

static void overwrite(const struct fixture *f, const char *path, const char *bytes, size_t len)
{
	char whole[256];
	int fd;

	snprintf(whole, sizeof whole, "%s/%s", f->root, path);
	fd = open(whole, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

/* Version 2 of "config" by another writer, as a kill between rename and check leaves it. */
static void leave_version_2(const struct fixture *f)
{
	struct document_header header = { .name = "config", .version = 2, .parent = 1, .writer = "stale", .parent_writer = "x" };
	json_t *content = json_pack("{s:i}", "value", 77);
	char path[256], *bytes;
	size_t len;

	bytes = document_encode(&header, content, &len, NULL);
	json_decref(content);
	assert_non_null(bytes);
	snprintf(path, sizeof path, "%s/config/v/2", f->root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/config/v/2/document", f->root);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	overwrite(f, "config/v/2/document", bytes, len);
	free(bytes);
}

static void cfg_7_what_a_killed_stale_writer_left_is_not_read_and_is_reaped(void **state)
{
	struct fixture *f = *state;
	uint64_t version;

	/* b last saw version 2 as the newest */
	assert_int_equal(publish(f->a, "config", 1, 0), 0);
	assert_int_equal(publish(f->b, "config", 2, 1), 0);
	for (int i = 3; i <= 9; i++)
		assert_int_equal(publish(f->a, "config", i, (uint64_t)i - 1), 0);
	assert_int_equal(docstore_reap(f->a, 3600, 2, NULL), 0);
	pretend_compacted(f, 5);
	leave_version_2(f);
	assert_int_equal(value_of(f->b, "config", &version), 9);
	assert_int_equal(version, 9);
	assert_int_equal(docstore_reap(f->a, 0, 2, NULL), 0);
	assert_false(there(f, "config/v/2"));
	assert_true(there(f, "config/v/6"));
}

static void cfg_7_old_tombstones_are_compacted(void **state)
{
	struct fixture *f = *state;
	char path[256];

	assert_int_equal(publish(f->a, "config", 1, 0), 0);
	assert_int_equal(publish(f->a, "config", 2, 1), 0);
	/* 2000 tombstones below two versions, the cheap way */
	snprintf(path, sizeof path, "%s/config/v/2", f->root);
	scratch_remove(path);
	snprintf(path, sizeof path, "%s/config/v/1", f->root);
	scratch_remove(path);
	for (unsigned i = 1; i <= 2000; i++) {
		snprintf(path, sizeof path, "%s/config/v/%u", f->root, i);
		assert_int_equal(mkdir(path, 0700), 0);
		snprintf(path, sizeof path, "%s/config/v/%u/pruned", f->root, i);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	assert_int_equal(publish(f->a, "config", 2001, 2000), 0);
	assert_int_equal(publish(f->a, "config", 2002, 2001), 0);
	assert_int_equal(docstore_reap(f->b, 0, 2, NULL), 0);
	assert_int_equal(entries(f, "config/v"), 1 + 1024 + 2); /* 0, tombstones, versions */
	assert_true(there(f, "config/v/977/pruned"));
	assert_false(there(f, "config/v/976"));
	assert_int_equal(value_of(f->b, "config", NULL), 2002);
	assert_int_equal(publish(f->a, "config", 1, 0), -EAGAIN);
	assert_int_equal(publish(f->b, "config", 2003, 2002), 0);
}

static void cfg_7_a_torn_newest_version_is_skipped_and_its_number_is_used_up(void **state)
{
	struct fixture *f = *state;
	uint64_t version;

	for (int i = 1; i <= 3; i++)
		assert_int_equal(publish(f->a, "config", i, (uint64_t)i - 1), 0);
	overwrite(f, "config/v/3/document", "{\"lunette\":1,", 13);
	assert_int_equal(value_of(f->b, "config", &version), 2);
	assert_int_equal(version, 3);
	assert_int_equal(publish(f->b, "config", 4, 2), -EAGAIN);
	assert_int_equal(publish(f->b, "config", 4, 3), 0);
	assert_int_equal(value_of(f->a, "config", &version), 4);
	assert_int_equal(version, 4);
}

static void cfg_7_pruning_keeps_what_a_torn_version_falls_back_to(void **state)
{
	struct fixture *f = *state;

	for (int i = 1; i <= 6; i++)
		assert_int_equal(publish(f->a, "config", i, (uint64_t)i - 1), 0);
	overwrite(f, "config/v/6/document", "", 0);
	overwrite(f, "config/v/5/document", "", 0);
	assert_int_equal(docstore_reap(f->a, 0, 2, NULL), 0);
	assert_int_equal(value_of(f->b, "config", NULL), 4);
}

static void cfg_7_a_document_with_no_whole_version_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct err err;
	json_t *content;
	uint64_t version;

	assert_int_equal(publish(f->a, "config", 1, 0), 0);
	overwrite(f, "config/v/1/document", "x", 1);
	assert_int_equal(docstore_load(f->b, "config", &content, &version, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "no whole version"));
}

static void cfg_8_a_rename_that_was_done_but_said_to_have_failed_is_a_success(void **state)
{
	static const int errors[] = { EIO, EEXIST, ENOENT, EINTR, ESTALE };
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		faults = (struct faults){ .what = RENAME_DONE, .at = 1, .error = errors[i] };
		assert_int_equal(publish(f->a, "config", (int)i, i), 0);
		assert_int_equal(value_of(f->b, "config", NULL), (int)i);
	}
	assert_int_equal(entries(f, "tmp"), 0);
}

static void a_removed_document_is_gone_and_keeps_its_numbering(void **state)
{
	struct fixture *f = *state;
	uint64_t version;

	assert_int_equal(publish(f->a, "map/vol1", 1, 0), 0);
	assert_int_equal(docstore_publish(f->a, "map/vol1", NULL, 1, &version, NULL), 0);
	assert_int_equal(version, 2);
	assert_int_equal(value_of(f->b, "map/vol1", &version), -1);
	assert_int_equal(version, 2);
	assert_int_equal(publish(f->b, "map/vol1", 9, 0), -EAGAIN);
	assert_int_equal(publish(f->b, "map/vol1", 9, 2), 0);
	assert_int_equal(value_of(f->a, "map/vol1", NULL), 9);
}

static void a_list_names_what_exists_below_a_prefix_sorted(void **state)
{
	static const struct { const char *prefix, *expected; } rows[] = {
		{ "", "config host/a map/b map/c mapper owner/iqn.x:y/0" }, { "map", "map/b map/c mapper" }, { "map/", "map/b map/c" },
		{ "map/b", "map/b" }, { "owner/iqn", "owner/iqn.x:y/0" }, { "nothing/", "" }, { "host/a/b", "" },
	};
	static const char *const names[] = { "map/c", "config", "map/b", "mapper", "map/removed", "owner/iqn.x:y/0", "host/a" };
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(publish(f->a, names[i], 1, 0), 0);
	assert_int_equal(docstore_publish(f->a, "map/removed", NULL, 1, NULL, NULL), 0);
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (struct docstore *store = f->a; store; store = store == f->a ? f->b : NULL) {
			char text[256] = "";
			json_t *list, *name;
			size_t n;

			assert_int_equal(docstore_list(store, rows[i].prefix, &list, NULL), 0);
			json_array_foreach(list, n, name) {
				strcat(text, n ? " " : "");
				strcat(text, json_string_value(name));
			}
			assert_string_equal(text, rows[i].expected);
			json_decref(list);
		}
	}
}

static void names_that_could_escape_are_refused(void **state)
{
	static const char *const bad[] = { "", "/", "a/", "/a", "a//b", "..", "../x", "a/..", ".x", "a/.b", "tmp", "tmp/x", "a/v",
					   "v", "a b", "a\n", "a%s/\x80", "a/b/c/d" };
	struct fixture *f = *state;
	char longest[300];
	json_t *content;
	uint64_t version;

	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(publish(f->a, bad[i], 1, 0), -EINVAL);
		assert_int_equal(docstore_load(f->a, bad[i], &content, &version, NULL), -EINVAL);
	}
	memset(longest, 'x', sizeof longest);
	longest[240] = '\0';
	assert_int_equal(publish(f->a, longest, 1, 0), 0);
	longest[240] = 'x';
	longest[241] = '\0';
	assert_int_equal(publish(f->a, longest, 1, 0), -EINVAL);
	assert_int_equal(entries(f, "."), 2);
}

static void a_watch_wakes_when_another_process_publishes(void **state)
{
	struct fixture *f = *state;
	struct pollfd poller = { .fd = docstore_watch(f->a, "map/"), .events = POLLIN };

	assert_true(poller.fd >= 0);
	assert_int_equal(poll(&poller, 1, 0), 0);
	assert_int_equal(publish(f->b, "map/x", 1, 0), 0);
	assert_int_equal(poll(&poller, 1, 10000), 1);
	docstore_watch_drain(poller.fd);
	assert_int_equal(poll(&poller, 1, 0), 0);
	close(poller.fd);
}

static void a_publish_fails_cleanly_at_every_call_and_the_next_succeeds(void **state)
{
	struct fixture *f = *state;
	int kinds[] = { WRITE, FSYNC, RENAME, MKDIR };
	uint64_t version = 0;

	for (unsigned k = 0; k < 4; k++) {
		for (unsigned at = 1;; at++) {
			char name[32];
			int rc;

			snprintf(name, sizeof name, "map/%u.%u", k, at);
			faults = (struct faults){ .what = kinds[k], .at = at, .error = EIO };
			rc = publish(f->a, name, 5, 0);
			if (faults.seen < at)
				break;
			assert_int_equal(rc, -EIO);
			assert_int_equal(entries(f, "tmp"), 0);
			faults.what = NOTHING;
			if (value_of(f->b, name, &version) == -1) {
				assert_int_equal(version, 0);
				assert_int_equal(publish(f->a, name, 6, 0), 0);
			}
			assert_int_equal(publish(f->b, name, 7, 1), 0);
		}
	}
}

static void a_document_of_a_megabyte_comes_back(void **state)
{
	struct fixture *f = *state;
	json_t *content = json_object(), *loaded;
	uint64_t version;

	for (int i = 0; i < 20000; i++) {
		char name[32];

		snprintf(name, sizeof name, "member%d", i);
		json_object_set_new(content, name, json_string("forty bytes of text, or very nearly so."));
	}
	assert_int_equal(docstore_publish(f->a, "config", content, 0, NULL, NULL), 0);
	assert_int_equal(docstore_load(f->b, "config", &loaded, &version, NULL), 0);
	assert_true(json_equal(content, loaded));
	json_decref(loaded);
	json_decref(content);
}

static void opening_below_a_missing_directory_says_which(void **state)
{
	struct err err;

	(void)state;
	assert_null(docstore_open("/nonexistent/state", "a", &err));
	assert_int_equal(err.code, -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/state"));
	assert_null(docstore_open("/tmp", "a/b", &err));
	assert_int_equal(err.code, -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cfg_1_a_load_gives_the_newest_version_of_any_writer),
		T(cfg_2_and_3_a_version_is_a_directory_renamed_out_of_tmp),
		T(cfg_4_an_update_that_lost_is_applied_to_the_new_content),
		T(an_update_may_leave_it_or_give_up),
		T(cfg_5_a_second_writer_of_a_version_loses),
		T(cfg_5_losing_at_the_rename_itself_is_lost_not_an_error),
		T(cfg_5_a_kernel_without_noreplace_gets_a_plain_rename),
		T(cfg_5_disk_errors_are_reported_at_once),
		T(cfg_6_everything_is_synced_before_success),
		T(cfg_6_orphans_are_reaped_by_age),
		T(cfg_7_pruned_numbers_are_never_used_again),
		T(cfg_7_a_stale_writer_takes_its_version_back),
		T(cfg_7_a_stale_first_writer_takes_its_version_back),
		T(cfg_7_what_a_killed_stale_writer_left_is_not_read_and_is_reaped),
		T(cfg_7_old_tombstones_are_compacted),
		T(cfg_7_a_torn_newest_version_is_skipped_and_its_number_is_used_up),
		T(cfg_7_pruning_keeps_what_a_torn_version_falls_back_to),
		T(cfg_7_a_document_with_no_whole_version_is_an_error),
		T(cfg_8_a_rename_that_was_done_but_said_to_have_failed_is_a_success),
		T(a_removed_document_is_gone_and_keeps_its_numbering),
		T(a_list_names_what_exists_below_a_prefix_sorted),
		T(names_that_could_escape_are_refused),
		T(a_watch_wakes_when_another_process_publishes),
		T(a_publish_fails_cleanly_at_every_call_and_the_next_succeeds),
		T(a_document_of_a_megabyte_comes_back),
		T(opening_below_a_missing_directory_says_which),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
