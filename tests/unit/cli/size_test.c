/* cli/size.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "cli/size.h"

static void sizes_are_understood_in_every_common_spelling(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} rows[] = {
		{ "0", 0 }, { "512", 512 }, { "1K", 1024 }, { "1k", 1024 }, { "10G", INT64_C(10) << 30 },
		{ "10GB", INT64_C(10) << 30 }, { "10GiB", INT64_C(10) << 30 }, { "10gib", INT64_C(10) << 30 },
		{ "1.5T", INT64_C(3) << 39 }, { "0.5K", 512 }, { "64T", INT64_C(64) << 40 }, { "4E", INT64_C(4) << 60 },
		{ "7b", 7 }, { "1.0", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t bytes = -1;

		if (size_parse(rows[i].text, &bytes) != 0 || bytes != rows[i].bytes)
			fail_msg("%s gives %lld", rows[i].text, (long long)bytes);
	}
}

static void what_is_no_size_is_refused_and_nothing_is_written(void **state)
{
	static const char *const texts[] = { "", " ", "G", "-1", "+1", "1 G", "1X", "1KK", "1.G", ".5G", "1.5", "0.3K",
					     "1.2.3G", "1e9", "0x10", "5E", "99999999999999999999", "1GiBs", "1.1234567M",
					     "9223372036854775807", "18446744073709551616" };
	int64_t bytes = 77;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (size_parse(texts[i], &bytes) != -EINVAL || bytes != 77)
			fail_msg("\"%s\" is taken for %lld", texts[i], (long long)bytes);
}

static void sizes_are_shown_as_short_as_people_say_them(void **state)
{
	static const struct {
		int64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0" }, { 1023, "1023" }, { 1024, "1K" }, { 1536, "1.5K" }, { INT64_C(10) << 30, "10G" },
		{ (INT64_C(10) << 30) + 1, "10G" }, { INT64_C(3) << 39, "1.5T" }, { INT64_C(4) << 60, "4E" },
		{ INT64_C(2244157000000000000), "1E" }, /* ten times what is over does not fit */
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_format(rows[i].bytes, text, sizeof text);
		assert_string_equal(text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_understood_in_every_common_spelling),
		cmocka_unit_test(what_is_no_size_is_refused_and_nothing_is_written),
		cmocka_unit_test(sizes_are_shown_as_short_as_people_say_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
