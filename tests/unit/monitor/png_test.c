/* monitor/png.h, with rsvg-convert where it is installed and with stand-ins that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/chart.h"
#include "monitor/png.h"

static char *path; /* as it was */

static int remember_path(void **state)
{
	(void)state;
	path = strdup(getenv("PATH"));
	return path ? 0 : -1;
}

static int restore_path(void **state)
{
	(void)state;
	setenv("PATH", path, 1);
	free(path);
	return 0;
}

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* The error when rsvg-convert is this shell script; "": when there is none. */
static int convert_by(const char *script, const char *svg, struct err *err)
{
	char dir[] = "/tmp/png_test.XXXXXX", file[64], new_path[4096], *png = NULL;
	unsigned before = count_descriptors();
	size_t len = 0;
	int error;

	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/rsvg-convert", dir);
	snprintf(new_path, sizeof new_path, "%s%s%s", dir, script[0] ? ":" : "", script[0] ? path : "");
	if (script[0]) {
		FILE *out = fopen(file, "w");

		assert_non_null(out);
		fprintf(out, "#!/bin/sh\n%s\n", script);
		assert_int_equal(fclose(out), 0);
		assert_int_equal(chmod(file, 0700), 0);
	}
	setenv("PATH", new_path, 1);
	error = png_of_svg(svg, &png, &len, err);
	setenv("PATH", path, 1);
	unlink(file);
	rmdir(dir);
	if (!error)
		free(png);
	else
		assert_null(png);
	assert_int_equal(count_descriptors(), before);
	return error;
}

static void a_chart_becomes_a_png_of_its_size(void **state)
{
	const struct top_item item = { "vol1", 5 };
	const struct chart_options options = { .width_px = 640, .height_px = 200, .title = "Busiest", .threshold = 1 };
	char *svg = chart_top_svg(&options, &item, 1, UNIT_OPS), *png = NULL;
	struct err err = { 0 };
	size_t len = 0;
	int error = png_of_svg(svg, &png, &len, &err);

	(void)state;
	free(svg);
	if (error == -ENOENT)
		skip();
	assert_int_equal(error, 0);
	assert_true(len > 1000);
	assert_memory_equal(png, "\x89PNG\r\n\x1a\n", 8);
	assert_memory_equal(png + 16, "\0\0\x02\x80\0\0\0\xc8", 8); /* IHDR: 640 x 200 */
	free(png);
}

static void without_rsvg_convert_the_error_names_the_package(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(convert_by("", "<svg/>", &err), -ENOENT);
	assert_non_null(strstr(err.text, "librsvg2-bin"));
}

static void what_it_writes_is_handed_over_however_large_both_sides_are(void **state)
{
	size_t len = 8 << 20;
	char *svg = malloc(len + 1);
	struct err err = { 0 };

	(void)state;
	memset(svg, 'x', len);
	svg[len] = '\0';
	assert_int_equal(convert_by("exec cat", svg, &err), 0);
	free(svg);
}

static void a_failure_and_an_empty_answer_are_errors(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(convert_by("cat >/dev/null; exit 1", "<svg/>", &err), -EIO);
	assert_int_equal(convert_by("echo half; kill -9 $$", "<svg/>", &err), -EIO);
	assert_int_equal(convert_by("cat >/dev/null", "<svg/>", &err), -EIO);
	assert_true(err.text[0] != '\0');
}

static void a_converter_that_does_not_read_kills_nobody(void **state)
{
	size_t len = 8 << 20;
	char *svg = malloc(len + 1);
	struct err err = { 0 };

	(void)state;
	memset(svg, 'x', len);
	svg[len] = '\0';
	assert_int_equal(convert_by("exit 1", svg, &err), -EIO); /* SIGPIPE would end this program */
	free(svg);
}

static void an_answer_without_end_is_bounded(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(convert_by("exec cat /dev/zero", "<svg/>", &err), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chart_becomes_a_png_of_its_size),
		cmocka_unit_test(without_rsvg_convert_the_error_names_the_package),
		cmocka_unit_test(what_it_writes_is_handed_over_however_large_both_sides_are),
		cmocka_unit_test(a_failure_and_an_empty_answer_are_errors),
		cmocka_unit_test(a_converter_that_does_not_read_kills_nobody),
		cmocka_unit_test(an_answer_without_end_is_bounded),
	};

	return cmocka_run_group_tests(tests, remember_path, restore_path);
}
