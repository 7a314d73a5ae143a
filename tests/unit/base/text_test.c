/* include/err.h, log.h, clock.h, problem.h, secret.h: words and times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <cmocka.h>

#include "clock.h"
#include "err.h"
#include "log.h"
#include "problem.h"
#include "secret.h"

/* --- err --- */

static void an_error_gains_context_on_its_way_up(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(err_errno(&err, -ENOSPC, "cannot create object %d", 3), -ENOSPC);
	assert_int_equal(err_wrap(&err, "cannot create lun \"%s\"", "vol1"), -ENOSPC);
	assert_string_equal(err.text, "cannot create lun \"vol1\": cannot create object 3: No space left on device");
}

static void an_error_that_is_too_long_is_cut(void **state)
{
	char text[2000];
	struct err err = { 0 };

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	err_set(&err, -EIO, "%s", text);
	assert_int_equal(strlen(err.text), sizeof err.text - 1);
	err_wrap(&err, "%s", text);
	err_errno(&err, -EIO, "%s", text);
	assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void nobody_need_ask_for_the_words(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(err_errno(NULL, -EIO, "x"), -EIO);
	assert_true(err_wrap(NULL, "x") < 0);
}

static void the_first_problem_is_the_one_that_is_told(void **state)
{
	struct problem p = { 0 };

	(void)state;
	assert_int_equal(problem_set(&p, 422, "validation-failed", "/a", "first %d", 1), -1);
	assert_int_equal(problem_set(&p, 500, "later", "/b", "second"), -1);
	assert_int_equal(p.status, 422);
	assert_string_equal(p.pointer, "/a");
	assert_string_equal(p.detail, "first 1");
}

/* --- log --- */

/* Runs speak() with standard error in a pipe; what it said, malloc'ed. */
static char *said(void (*speak)(void))
{
	int fds[2], old = dup(STDERR_FILENO);
	char *text = calloc(1, 65536);

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	speak();
	dup2(old, STDERR_FILENO);
	close(fds[1]);
	for (size_t used = 0; used < 65535;) {
		ssize_t n = read(fds[0], text + used, 65535 - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	close(fds[0]);
	close(old);
	return text;
}

static void speak_levels(void)
{
	log_open("worker7", LOG_NOTICE);
	log_notice("heard peer=%s", log_quoted("a\"b\n\\"));
	log_info("not heard");
}

static void speak_long(void)
{
	char text[5000];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_error("%s", text);
}

static void speak_often(void)
{
	for (int i = 0; i < 5 * LOG_BURST; i++)
		log_limited(LOG_ERROR, "again");
}

static unsigned lines_in(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void a_line_has_time_level_role_and_no_foreign_control_characters(void **state)
{
	char *text = said(speak_levels);

	(void)state;
	assert_int_equal(lines_in(text), 1);
	assert_non_null(strstr(text, "Z notice worker7 heard peer=\"a\\x22b\\x0a\\x5c\"\n"));
	free(text);
}

static void a_long_line_is_cut_and_says_so(void **state)
{
	char *text = said(speak_long);

	(void)state;
	assert_int_equal(strlen(text), LOG_LINE_MAX);
	assert_string_equal(text + LOG_LINE_MAX - 4, "...\n");
	free(text);
}

static void what_a_peer_can_cause_is_limited(void **state)
{
	char *text = said(speak_often);

	(void)state;
	assert_in_range(lines_in(text), LOG_BURST, 2 * LOG_BURST); /* two when a second begins meanwhile */
	free(text);
}

static void a_quoted_text_is_cut_and_eight_live_at_once(void **state)
{
	char text[2000];
	const char *first;

	(void)state;
	memset(text, 1, sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_in_range(strlen(log_quoted(text)), 400, 512);
	assert_non_null(strstr(log_quoted(text), "...\""));
	assert_string_equal(log_quoted(NULL), "-");
	first = log_quoted("first");
	for (int i = 0; i < 7; i++)
		log_quoted("other");
	assert_string_equal(first, "\"first\"");
}

static void levels_have_names(void **state)
{
	(void)state;
	assert_int_equal(log_level_parse("error"), LOG_ERROR);
	assert_int_equal(log_level_parse("debug"), LOG_DEBUG);
	assert_int_equal(log_level_parse("loud"), -1);
	assert_int_equal(log_level_parse(""), -1);
}

/* --- clock --- */

static void times_are_written_as_rfc_3339_whatever_they_are(void **state)
{
	char text[CLOCK_TEXT_LEN];

	(void)state;
	clock_format(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	clock_format(UINT64_C(1795382494123), text);
	assert_string_equal(text, "2026-11-22T21:21:34.123Z");
	clock_format(UINT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	clock_format(UINT64_C(253402300800000), text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void the_monotonic_clock_never_goes_back(void **state)
{
	uint64_t last = clock_now_ns();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t now = clock_now_ns();

		assert_true(now >= last);
		last = now;
	}
}

/* --- secret --- */

static void secrets_are_equal_only_when_all_bytes_and_the_length_are(void **state)
{
	struct secret a = { 0 }, b = { 0 };
	uint8_t bytes[SECRET_MAX + 1];

	(void)state;
	memset(bytes, 7, sizeof bytes);
	assert_true(secret_set(&a, bytes, SECRET_MAX));
	assert_false(secret_set(&b, bytes, SECRET_MAX + 1));
	assert_int_equal(b.len_bytes, 0);
	assert_true(secret_set(&b, bytes, SECRET_MAX));
	assert_true(secret_equal(&a, &b));
	b.bytes[SECRET_MAX - 1] ^= 1;
	assert_false(secret_equal(&a, &b));
	assert_true(secret_set(&b, bytes, 3));
	assert_false(secret_equal(&a, &b));
	assert_true(secret_set(&a, "", 0) && secret_set(&b, "", 0) && secret_equal(&a, &b));
}

static void a_wiped_secret_leaves_no_byte(void **state)
{
	struct secret a = { 0 }, nothing = { 0 };

	(void)state;
	secret_set(&a, "0123456789abcdef", 16);
	secret_set(&a, "xy", 2);
	assert_memory_equal(a.bytes + 2, nothing.bytes, sizeof nothing.bytes - 2);
	secret_wipe(&a);
	assert_memory_equal(&a, &nothing, sizeof a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_gains_context_on_its_way_up),
		cmocka_unit_test(an_error_that_is_too_long_is_cut),
		cmocka_unit_test(nobody_need_ask_for_the_words),
		cmocka_unit_test(the_first_problem_is_the_one_that_is_told),
		cmocka_unit_test(a_line_has_time_level_role_and_no_foreign_control_characters),
		cmocka_unit_test(a_long_line_is_cut_and_says_so),
		cmocka_unit_test(what_a_peer_can_cause_is_limited),
		cmocka_unit_test(a_quoted_text_is_cut_and_eight_live_at_once),
		cmocka_unit_test(levels_have_names),
		cmocka_unit_test(times_are_written_as_rfc_3339_whatever_they_are),
		cmocka_unit_test(the_monotonic_clock_never_goes_back),
		cmocka_unit_test(secrets_are_equal_only_when_all_bytes_and_the_length_are),
		cmocka_unit_test(a_wiped_secret_leaves_no_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
