/* The dashboard's files: what is read, what is left out. */
#include "api/assets.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

static char dir[64];
static struct assets assets;

static void put(const char *name, size_t len)
{
	char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	log_open("test", LOG_ERROR);
	strcpy(dir, "/tmp/lunette-assets-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	assets_free(&assets);
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void load(void)
{
	struct err err = { 0 };

	if (assets_load(&assets, dir, &err))
		fail_msg("%s", err.text);
}

static void files_are_served_by_name_and_type(void **state)
{
	const struct asset *a;

	(void)state;
	put("index.html", 10);
	put("app-4F6GH2KL.js", 20);
	put("app-4F6GH2KL.js.gz", 7);
	load();
	a = assets_find(&assets, "app-4F6GH2KL.js");
	assert_non_null(a);
	assert_string_equal(a->content_type, "text/javascript; charset=utf-8");
	assert_true(a->immutable);
	assert_int_equal(a->plain.len_bytes, 20);
	assert_int_equal(a->gzip.len_bytes, 7);
	assert_string_not_equal(a->plain.etag, a->gzip.etag);
	assert_false(assets_find(&assets, "index.html")->immutable);
	assert_null(assets_find(&assets, "app-4F6GH2KL.js.gz"));
	assert_null(assets_find(&assets, "index.htm"));
}

static void what_is_no_plain_file_of_a_plain_name_is_left_out(void **state)
{
	char path[256];

	(void)state;
	put("good.css", 0);
	put("bad name.css", 1);
	put(".hidden", 1);
	put("alone.js.gz", 1);
	snprintf(path, sizeof path, "%s/dir.js", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/pipe.js", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	load();
	assert_non_null(assets_find(&assets, "good.css"));
	for (const char *const *name = (const char *const[]){ "bad name.css", ".hidden", "alone.js", "dir.js", "pipe.js", NULL };
	     *name; name++)
		assert_null(assets_find(&assets, *name));
}

static void what_is_too_much_is_left_out(void **state)
{
	size_t total = 0;

	(void)state;
	put("huge.js", ASSETS_BYTES_MAX + 1);
	for (unsigned i = 0; i < ASSETS_MAX + 5; i++) {
		char name[32];

		snprintf(name, sizeof name, "file%u.js", i);
		put(name, 100000);
	}
	load();
	assert_null(assets_find(&assets, "huge.js"));
	assert_true(assets.count <= ASSETS_MAX && assets.count > 30);
	for (unsigned i = 0; i < assets.count; i++)
		total += assets.at[i].plain.len_bytes;
	assert_true(total <= ASSETS_BYTES_MAX);
}

static void a_directory_that_is_not_there_is_told_when_it_was_named(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(assets_load(&assets, "/nowhere/at/all", &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/at/all"));
	assert_int_equal(assets_load(&assets, NULL, &err), 0);
}

static void a_hash_in_a_name_is_seen(void **state)
{
	static const char *const with[] = { "app-4F6GH2KL.js", "app.0123abcd.css", "x-ABCDEFGH.js.map", "a-b-12345678.woff2" };
	static const char *const without[] = { "index.html", "app.js", "app-overview.js", "4F6GH2KL.js", "app-4F6.js", "app", "" };

	(void)state;
	for (size_t i = 0; i < sizeof with / sizeof with[0]; i++)
		if (!asset_name_has_hash(with[i]))
			fail_msg("%s", with[i]);
	for (size_t i = 0; i < sizeof without / sizeof without[0]; i++)
		if (asset_name_has_hash(without[i]))
			fail_msg("%s", without[i]);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(files_are_served_by_name_and_type),
		T(what_is_no_plain_file_of_a_plain_name_is_left_out),
		T(what_is_too_much_is_left_out),
		T(a_directory_that_is_not_there_is_told_when_it_was_named),
		T(a_hash_in_a_name_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
