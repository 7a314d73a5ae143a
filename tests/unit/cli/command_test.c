/* The tables of cli/command.c, the parser that reads them, and the requests that come out. */
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

#include "cli/body.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output.h"

#define WORDS_MAX 40
#define IQN       "iqn.2026-11.io.lunette:t1"

/* Parses the words of `line`, which starts behind "lunette". */
static int parse(const char *line, struct invocation *inv, struct err *err)
{
	static char copy[4][1024];
	static unsigned turn;
	char *argv[WORDS_MAX] = { (char *)"lunette" }, *save = NULL, *text = copy[turn++ % 4];
	int argc = 1;

	snprintf(text, sizeof copy[0], "%s", line);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	memset(err, 0, sizeof *err);
	return invocation_parse(argc, argv, inv, err);
}

/* --- the tables --- */

static void every_row_of_the_command_table_is_complete(void **state)
{
	(void)state;
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *c = &cli_commands[i];
		size_t len;

		assert_non_null(c->help);
		assert_non_null(c->method);
		assert_non_null(c->path);
		assert_true(c->help[strlen(c->help) - 1] == '.' || strchr(c->help, ':'));
		assert_ptr_equal(command_find(c->noun, c->verb), c); /* no row hides another */
		if (!c->run && strcmp(c->method, "GET") != 0)
			assert_non_null(c->done);
		for (const char *w = c->options ? c->options : ""; (w = word_next(w, &len)); w += len)
			if (!command_option(c, w, len))
				fail_msg("%s %s has the unknown option %.*s", c->noun, c->verb ? c->verb : "", (int)len, w);
		for (const char *w = c->arguments; (w = word_next(w, &len)); w += len) {
			const char *name = w + strspn(w, "[");

			assert_non_null(command_argument(name, strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")));
		}
	}
}

static void every_name_in_a_path_is_an_argument(void **state)
{
	char name[32];

	(void)state;
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *c = &cli_commands[i];

		for (const char *at = c->path; (at = strchr(at, '{')); at++) {
			snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 1, "}"), at + 1);
			if (!strstr(c->arguments, name))
				fail_msg("%s: {%s} is no argument of %s", c->path, name, c->verb);
		}
	}
}

static void no_option_has_two_meanings(void **state)
{
	(void)state;
	for (size_t i = 0; i < cli_option_count; i++) {
		assert_true(cli_options[i].place == CLI_LOCAL || cli_options[i].member);
		for (size_t j = i + 1; j < cli_option_count; j++)
			assert_string_not_equal(cli_options[i].name, cli_options[j].name);
		for (size_t j = 0; j < cli_global_option_count; j++)
			assert_string_not_equal(cli_options[i].name, cli_global_options[j].name);
	}
}

static void a_secret_is_never_taken_from_the_command_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < cli_option_count; i++)
		if (cli_options[i].member && strstr(cli_options[i].member, "secret"))
			assert_int_equal(cli_options[i].type, CLI_SECRET);
}

static void every_example_parses(void **state)
{
	struct invocation inv;
	struct err err;

	(void)state;
	for (size_t i = 0; i < cli_command_count; i++)
		if (cli_commands[i].example && strncmp(cli_commands[i].example, "lunette ", 8) == 0 &&
		    !strchr(cli_commands[i].example, '\'') && parse(cli_commands[i].example + 8, &inv, &err) < 0)
			fail_msg("%s: %s", cli_commands[i].example, err.text);
}

/* --- parsing --- */

static void what_cannot_be_meant_is_refused_with_words(void **state)
{
	static const struct {
		const char *line, *words;
	} rows[] = {
		{ "luns", "no command" }, { "lun", "what about lun" }, { "lun burn", "no command lun" },
		{ "lun create", "LUN is missing" }, { "lun create vol1", "SIZE is missing" },
		{ "lun create vol1 1G more", "unexpected argument" }, { "lun list --force", "unknown option" },
		{ "lun create vol1 1G --store", "needs a value" }, { "lun delete v --force=1", "takes no value" },
		{ "lun list --output xml", "table or json" }, { "--frob", "unknown option" },
		{ "group add g", "INITIATOR is missing" }, { "--output json", "no command given" },
		{ "api GET", "PATH is missing" },
	};
	struct invocation inv;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(parse(rows[i].line, &inv, &err), -EINVAL);
		if (!strstr(err.text, rows[i].words))
			fail_msg("\"%s\" is refused with \"%s\"", rows[i].line, err.text);
	}
}

static void options_may_stand_anywhere(void **state)
{
	struct invocation inv;
	struct err err;

	(void)state;
	assert_int_equal(parse("--output json lun --server=http://h create vol1 --store memory 1G", &inv, &err), 0);
	assert_true(inv.json);
	assert_string_equal(inv.server, "http://h");
	assert_string_equal(invocation_argument(&inv, "SIZE"), "1G");
	assert_string_equal(invocation_option(&inv, "store"), "memory");
	assert_null(invocation_option(&inv, "thin"));
}

/* --- requests --- */

static void assert_body(const char *line, const char *expected)
{
	struct invocation inv;
	struct err err;
	json_t *body = NULL;
	char *text;

	if (parse(line, &inv, &err) < 0 || body_make(&inv, &body, &err) < 0)
		fail_msg("%s: %s", line, err.text);
	text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text, expected);
	free(text);
	json_decref(body);
}

static void bodies_are_made_of_arguments_and_options(void **state)
{
	(void)state;
	assert_body("lun create vol1 1G", "{\"size_bytes\":1073741824}");
	assert_body("lun create v 1M --block-size 4096 --thin=off --read-only",
		    "{\"block_size\":4096,\"read_only\":true,\"size_bytes\":1048576,\"thin\":false}");
	assert_body("target create " IQN, "{}");
	assert_body("target set " IQN " --portals a,b --portals c --queue-depth 32 --no-chap",
		    "{\"auth\":null,\"params\":{\"queue_depth\":32},\"portals\":[\"a\",\"b\",\"c\"]}");
	assert_body("target set " IQN " --addresses=", "{\"addresses\":[]}");
	assert_body("target set " IQN " --param nop_interval_s=5 --param header_digest=crc32c --param initial_r2t=true",
		    "{\"params\":{\"header_digest\":\"crc32c\",\"initial_r2t\":true,\"nop_interval_s\":5}}");
	assert_body("target allow " IQN " iqn.a:b --luns 0,5", "{\"luns\":[0,5]}");
	assert_body("target map " IQN " vol1 3", "{\"lun\":\"vol1\"}");
	assert_body("group create g iqn.a:1 iqn.a:2", "{\"initiators\":[\"iqn.a:1\",\"iqn.a:2\"]}");
	assert_body("group create g", "{\"initiators\":[]}");
	assert_body("store create fast file --path /mnt/x", "{\"kind\":\"file\",\"params\":{\"path\":\"/mnt/x\"}}");
	assert_body("token create t --role viewer --expires-in 2h", "{\"expires_in_s\":7200,\"role\":\"viewer\"}");
}

static void values_that_make_no_sense_are_refused(void **state)
{
	static const char *const lines[] = {
		"lun create v 1X", "lun create v -5", "lun create v 1G --block-size big", "lun create v 1G --thin=maybe",
		"target allow " IQN " i --luns 0,x", "target set " IQN " --param novalue", "target set " IQN " --param =x",
		"token create t --expires-in soon", "token create t --expires-in -1d",
		"target set " IQN " --chap-secret-file /nowhere/at/all", "target set " IQN " --chap-secret-file /dev/null",
		"target set " IQN " --alias \xff\xfe",
	};
	struct invocation inv;
	struct err err;
	json_t *body = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		assert_int_equal(parse(lines[i], &inv, &err), 0);
		if (body_make(&inv, &body, &err) >= 0)
			fail_msg("%s is accepted", lines[i]);
		assert_true(err.text[0] && body == NULL);
	}
}

static void a_secret_comes_from_the_first_line_of_a_file(void **state)
{
	char path[] = "/tmp/lunette-test.XXXXXX", line[256];
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "abcdefghijkl\nmore\n", 18), 18);
	close(fd);
	snprintf(line, sizeof line, "target set " IQN " --chap-user u --chap-secret-file %s", path);
	assert_body(line, "{\"auth\":{\"chap\":{\"secret\":\"abcdefghijkl\",\"user\":\"u\"}}}");
	unlink(path);
}

static void names_are_encoded_in_paths(void **state)
{
	struct invocation inv;
	struct err err;
	char *path;

	(void)state;
	assert_int_equal(parse("target unmap iqn.a:b/../c?d#e 3 --force --dry-run", &inv, &err), 0);
	path = body_path(&inv, inv.command->path);
	assert_string_equal(path, "/api/v1/targets/iqn.a%3Ab%2F..%2Fc%3Fd%23e/luns/3?force=true&dry_run=true");
	free(path);
	path = body_fill(&inv, "number {NUMBER} of {TARGET}.");
	assert_string_equal(path, "number 3 of iqn.a:b/../c?d#e.");
	free(path);
}

/* --- answers --- */

static void http_statuses_have_their_exit_status(void **state)
{
	(void)state;
	assert_int_equal(cli_exit_of(200), CLI_OK);
	assert_int_equal(cli_exit_of(204), CLI_OK);
	assert_int_equal(cli_exit_of(401), CLI_AUTH);
	assert_int_equal(cli_exit_of(403), CLI_AUTH);
	assert_int_equal(cli_exit_of(404), CLI_NOT_FOUND);
	assert_int_equal(cli_exit_of(409), CLI_CONFLICT);
	assert_int_equal(cli_exit_of(412), CLI_CONFLICT);
	assert_int_equal(cli_exit_of(428), CLI_CONFLICT);
	assert_int_equal(cli_exit_of(422), CLI_REFUSED);
	assert_int_equal(cli_exit_of(503), CLI_REFUSED);
	assert_int_equal(cli_exit_of(302), CLI_REFUSED);
}

static void a_local_token_goes_to_loopback_only(void **state)
{
	static const char *const loopback[] = { "http://127.0.0.1:3261", "https://127.1.2.3", "http://localhost:1", "http://[::1]:1/",
						"http://LOCALHOST", "127.0.0.1:80" };
	static const char *const others[] = { "http://10.0.0.1", "http://localhost.evil.org", "http://127.0.0.1.evil.org",
					      "http://127.evil.org", "http://[::2]:1", "http://[::1]evil", "http://evil/127.0.0.1",
					      "http://127.0.0.1@evil.org", "http://127.0.0.1:80@evil.org/", "http://localhost:x@evil" };

	(void)state;
	for (size_t i = 0; i < sizeof loopback / sizeof loopback[0]; i++)
		assert_true(client_is_loopback(loopback[i]));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (client_is_loopback(others[i]))
			fail_msg("%s passes for loopback", others[i]);
}

static void tables_align_and_hide_control_characters(void **state)
{
	json_t *items = json_loads("[{\"name\":\"a\\u001b[31m\",\"n\":{\"m\":1073741824}},{\"name\":\"\xc3\xa9t\xc3\xa9\",\"l\":[1,2]}]", 0, NULL);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	output_table(out, items, "NAME=name SIZE=n.m:size LIST=l:count");
	fclose(out);
	assert_string_equal(text, "NAME    SIZE  LIST\na?[31m  1G    0\n\xc3\xa9t\xc3\xa9     -     2\n");
	free(text);
	json_decref(items);
}

static void help_manual_and_completion_name_every_command(void **state)
{
	void (*const printers[])(FILE *) = { help_overview, help_manual, help_bash_completion };
	char words[64];

	(void)state;
	for (size_t p = 0; p < sizeof printers / sizeof printers[0]; p++) {
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		printers[p](out);
		fclose(out);
		for (size_t i = 0; i < cli_command_count; i++) {
			const struct cli_command *c = &cli_commands[i];

			snprintf(words, sizeof words, "%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
			if (p == 1) /* the manual escapes hyphens */
				words[strcspn(words, "-")] = '\0';
			if (!strstr(text, words))
				fail_msg("%s is missing", words);
		}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_command_table_is_complete),
		cmocka_unit_test(every_name_in_a_path_is_an_argument),
		cmocka_unit_test(no_option_has_two_meanings),
		cmocka_unit_test(a_secret_is_never_taken_from_the_command_line),
		cmocka_unit_test(every_example_parses),
		cmocka_unit_test(what_cannot_be_meant_is_refused_with_words),
		cmocka_unit_test(options_may_stand_anywhere),
		cmocka_unit_test(bodies_are_made_of_arguments_and_options),
		cmocka_unit_test(values_that_make_no_sense_are_refused),
		cmocka_unit_test(a_secret_comes_from_the_first_line_of_a_file),
		cmocka_unit_test(names_are_encoded_in_paths),
		cmocka_unit_test(http_statuses_have_their_exit_status),
		cmocka_unit_test(a_local_token_goes_to_loopback_only),
		cmocka_unit_test(tables_align_and_hide_control_characters),
		cmocka_unit_test(help_manual_and_completion_name_every_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
