/* daemon/options.h: the command line of lunetted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "daemon/options.h"

#define WORDS_MAX 32

/* Parses the words of `line`. */
static int parse(const char *line, struct options *ret, struct err *err)
{
	static char copy[1024];
	char *argv[WORDS_MAX] = { (char *)"lunetted" }, *save = NULL;
	int argc = 1;

	snprintf(copy, sizeof copy, "%s", line);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	memset(err, 0, sizeof *err);
	return options_parse(argc, argv, ret, err);
}

static void nothing_given_means_the_defaults(void **state)
{
	struct options o;
	struct err err;

	(void)state;
	assert_int_equal(parse("", &o, &err), 0);
	assert_string_equal(o.state_dir, OPTIONS_STATE_DIR);
	assert_int_equal(o.workers, 1);
	assert_true(o.reactors >= 1);
	assert_int_equal(o.log_level, LOG_INFO);
	assert_int_equal(o.http.count, 0);
	assert_null(o.role);
}

static void every_kind_of_option_is_understood_in_both_spellings(void **state)
{
	struct options o;
	struct err err;

	(void)state;
	assert_int_equal(parse("--state /tmp/s --http=127.0.0.1:0 --http [::1]:8080 --portal 10.0.0.1:3260 --workers=3 "
			       "--reactors 2 --pin-cpus --log-level debug --tls-cert c --tls-key=k", &o, &err), 0);
	assert_string_equal(o.state_dir, "/tmp/s");
	assert_int_equal(o.http.count, 2);
	assert_string_equal(o.http.at[0], "127.0.0.1:0");
	assert_string_equal(o.http.at[1], "[::1]:8080");
	assert_string_equal(o.portals.at[0], "10.0.0.1:3260");
	assert_int_equal(o.workers, 3);
	assert_int_equal(o.reactors, 2);
	assert_true(o.pin_cpus);
	assert_int_equal(o.log_level, LOG_DEBUG);
	assert_string_equal(o.tls_key, "k");
}

static void a_wrong_command_line_is_refused_with_words(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{ "serve", "unexpected argument" },
		{ "-x", "unexpected argument" },
		{ "--", "unexpected argument" },
		{ "--sta /tmp", "unknown option" },
		{ "--states /tmp", "unknown option" },
		{ "--state", "needs a value" },
		{ "--state=", "needs a value" },
		{ "--pin-cpus=yes", "takes no value" },
		{ "--workers 0", "from 1 to 64" },
		{ "--workers 65", "from 1 to 64" },
		{ "--workers -1", "from 1 to 64" },
		{ "--workers 2x", "from 1 to 64" },
		{ "--workers 99999999999999999999", "from 1 to 64" },
		{ "--reactors x", "from 1 to 64" },
		{ "--log-level loud", "error, warning" },
		{ "--http localhost:80", "must be like" },
		{ "--http 127.0.0.1", "must be like" },
		{ "--http 127.0.0.1:", "must be like" },
		{ "--http 127.0.0.1:65536", "must be like" },
		{ "--http 127.0.0.1:-1", "must be like" },
		{ "--http 127.0.0.1:80x", "must be like" },
		{ "--http :80", "must be like" },
		{ "--http ::1:80", "must be like" },
		{ "--http [::1:80", "must be like" },
		{ "--http []:80", "must be like" },
		{ "--portal 300.0.0.1:3260", "must be like" },
		{ "--portal [1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd]:1", "must be like" },
		{ "--tls-cert c", "belong together" },
		{ "--tls-key k", "belong together" },
		{ "--group g", "needs --user" },
		{ "--http 127.0.0.1:1 --http 127.0.0.1:2 --http 127.0.0.1:3 --http 127.0.0.1:4 --http 127.0.0.1:5 "
		  "--http 127.0.0.1:6 --http 127.0.0.1:7 --http 127.0.0.1:8 --http 127.0.0.1:9", "8 times" },
	};
	struct options o;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(parse(cases[i].line, &o, &err), -EINVAL);
		if (!strstr(err.text, cases[i].words))
			fail_msg("\"%s\" is refused with \"%s\"", cases[i].line, err.text);
	}
}

static void help_names_every_public_option_and_no_internal_one(void **state)
{
	static const char *const shown[] = { "--state DIR", "--http ADDRESS:PORT", "--workers N", "--user NAME", "--help" };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	options_print_help(out);
	fclose(out);
	for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
		assert_non_null(strstr(text, shown[i]));
	assert_null(strstr(text, "supervisor-pid"));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 120);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_given_means_the_defaults),
		cmocka_unit_test(every_kind_of_option_is_understood_in_both_spellings),
		cmocka_unit_test(a_wrong_command_line_is_refused_with_words),
		cmocka_unit_test(help_names_every_public_option_and_no_internal_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
