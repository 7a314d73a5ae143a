/* Commands that are more than one request, or do something of their own with the answer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/body.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/request.h"
#include "cli/run.h"
#include "log.h"

#define LUN_NUMBERS 16384

/* --- target map: which number --- */

static bool lun_is(const json_t *mapping, const char *lun)
{
	const char *name = json_string_value(json_object_get(mapping, "lun"));

	return name && strcmp(name, lun) == 0;
}

/* The number that has this LUN already, so that the same command again changes nothing; else the smallest one free. */
static unsigned number_for(const json_t *items, const char *lun)
{
	static unsigned char used[LUN_NUMBERS + 1];
	const json_t *item;
	unsigned number = 0;
	size_t i;

	memset(used, 0, sizeof used);
	json_array_foreach(items, i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));
		unsigned long n = name ? strtoul(name, NULL, 10) : LUN_NUMBERS;

		if (lun_is(item, lun) && n < LUN_NUMBERS)
			return (unsigned)n;
		used[n < LUN_NUMBERS ? n : LUN_NUMBERS] = 1;
	}
	while (number < LUN_NUMBERS - 1 && used[number])
		number++;
	return number;
}

int run_target_map(struct client *client, const struct invocation *inv)
{
	struct invocation numbered = *inv;
	char number[16], *path;
	json_t *list = NULL;
	enum cli_exit verdict;

	if (!invocation_argument(inv, "NUMBER")) {
		path = body_path(&(struct invocation){ .command = inv->command, .argument_count = inv->argument_count,
						       .argument = { inv->argument[0], inv->argument[1] } },
				 "/api/v1/targets/{TARGET}/luns");
		verdict = path ? client_list(client, path, &list) : CLI_REFUSED;
		free(path);
		if (verdict != CLI_OK)
			return verdict;
		snprintf(number, sizeof number, "%u", number_for(json_object_get(list, "items"), inv->argument[1]));
		json_decref(list);
		numbered.argument[numbered.argument_count++] = number;
	}
	return run_request(client, &numbered);
}

/* --- target path --- */

int run_target_path(struct client *client, const struct invocation *inv)
{
	char *path = body_path(inv, inv->command->path);
	json_t *entry = NULL, *body;
	struct err err = { 0 };
	int verdict = CLI_REFUSED;

	if (body_make(inv, &entry, &err) < 0) {
		free(path);
		return request_complain(&err);
	}
	body = json_pack("{s:{s:o}}", "port_groups", invocation_argument(inv, "TAG"), entry);
	if (path && body)
		verdict = request_send(client, inv, path, body);
	json_decref(body);
	free(path);
	return verdict;
}

/* --- group add, group remove --- */

struct members {
	const struct invocation *inv;
	bool remove;
};

static bool among(const struct invocation *inv, const char *name)
{
	for (unsigned i = 1; i < inv->argument_count; i++)
		if (strcmp(inv->argument[i], name) == 0)
			return true;
	return false;
}

/* The members that stay, and behind them the new ones. */
static enum cli_exit edit_members(void *arg, const json_t *before, json_t **ret_body)
{
	const struct members *m = arg;
	json_t *names = json_array(), *name;
	size_t i;

	json_array_foreach(json_object_get(before, "initiators"), i, name)
		if (json_is_string(name) && !among(m->inv, json_string_value(name)))
			json_array_append(names, name);
	for (unsigned n = 1; n < m->inv->argument_count && !m->remove; n++)
		json_array_append_new(names, json_string(m->inv->argument[n]));
	*ret_body = json_pack("{s:o}", "initiators", names);
	return *ret_body ? CLI_OK : CLI_REFUSED;
}

static int change_members(struct client *client, const struct invocation *inv, bool remove)
{
	char *path = body_path(inv, inv->command->path), *done = body_fill(inv, inv->command->done);
	struct client_answer answer;
	enum cli_exit verdict = CLI_REFUSED;

	if (path && done)
		verdict = request_change(client, "PATCH", path, edit_members, &(struct members){ inv, remove }, &answer);
	if (verdict == CLI_OK) {
		output_warnings(answer.json);
		if (inv->json || invocation_option(inv, "dry-run"))
			output_json(stdout, answer.json);
		else
			puts(done);
		client_answer_fini(&answer);
	}
	free(path);
	free(done);
	return verdict;
}

int run_group_add(struct client *client, const struct invocation *inv)
{
	return change_members(client, inv, false);
}

int run_group_remove(struct client *client, const struct invocation *inv)
{
	return change_members(client, inv, true);
}

/* --- tokens --- */

/* A file that only its owner can read, in one step: never readable by others, never half of an old one. */
static int save_private(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%s\n", text) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

static int show_token(const struct invocation *inv, const json_t *answer)
{
	const char *token = json_string_value(json_object_get(answer, "token")), *save = invocation_option(inv, "save");
	int rc;

	if (!token) {
		fprintf(stderr, "lunette: the service did not show the token\n");
		return CLI_REFUSED;
	}
	if (save) {
		rc = save_private(save, token);
		if (rc < 0) {
			fprintf(stderr, "lunette: cannot write %s: %s; the token is lost, delete it and make a new one\n",
				log_quoted(save), strerror(-rc));
			return CLI_REFUSED;
		}
		printf("token %s is in %s\n", inv->argument[0], save);
	} else if (inv->json) {
		output_json(stdout, answer);
	} else {
		puts(token);
	}
	return CLI_OK;
}

int run_token_create(struct client *client, const struct invocation *inv)
{
	const char *save = invocation_option(inv, "save");
	struct err err = { 0 };
	struct client_answer answer;
	json_t *body = NULL;
	enum cli_exit verdict;
	char *path;

	if (save && access(save, F_OK) == 0) {
		fprintf(stderr, "lunette: %s exists already\n", log_quoted(save));
		return CLI_USAGE;
	}
	if (body_make(inv, &body, &err) < 0)
		return request_complain(&err);
	path = body_path(inv, inv->command->path);
	verdict = path ? client_call(client, &(struct client_request){ .method = "PUT", .path = path, .json = body,
									  .if_none_match = "*" }, &answer) : CLI_REFUSED;
	if (verdict == CLI_OK) {
		verdict = show_token(inv, answer.json);
		client_answer_fini(&answer);
	}
	json_decref(body);
	free(path);
	return verdict;
}

/* --- configuration --- */

int run_config_export(struct client *client, const struct invocation *inv)
{
	const char *path = invocation_argument(inv, "FILE");
	struct client_answer answer;
	enum cli_exit verdict;
	FILE *out = stdout;

	verdict = client_call(client, &(struct client_request){ .method = "GET", .path = inv->command->path }, &answer);
	if (verdict != CLI_OK)
		return verdict;
	if (path && strcmp(path, "-") != 0)
		out = fopen(path, "we");
	if (out)
		output_json(out, answer.json);
	if (!out || fflush(out) != 0 || ferror(out)) {
		fprintf(stderr, "lunette: cannot write %s: %s\n", path ? log_quoted(path) : "standard output", strerror(errno));
		verdict = CLI_REFUSED;
	}
	if (out && out != stdout)
		fclose(out);
	client_answer_fini(&answer);
	return verdict;
}

/* The JSON value in a file, "-": standard input. NULL: said why not. */
static json_t *read_json(const char *path)
{
	json_error_t error;
	json_t *value = strcmp(path, "-") == 0 ? json_loadf(stdin, 0, &error) : json_load_file(path, 0, &error);

	if (!value)
		fprintf(stderr, "lunette: cannot use %s, line %d: %s\n", log_quoted(path), error.line, error.text);
	return value;
}

static void print_import(const json_t *result, bool dry_run)
{
	const json_t *changes = json_object_get(result, "changes");

	if (!json_is_array(changes) || json_array_size(changes) == 0) {
		puts(dry_run ? "nothing would change" : "nothing changed");
		return;
	}
	output_table(stdout, changes, "CHANGE=change KIND=kind NAME=name");
}

static enum cli_exit given_body(void *arg, const json_t *before, json_t **ret_body)
{
	(void)before;
	*ret_body = json_incref(arg);
	return CLI_OK;
}

int run_config_import(struct client *client, const struct invocation *inv)
{
	json_t *body = read_json(invocation_argument(inv, "FILE"));
	char *path = body_path(inv, inv->command->path);
	struct client_answer answer;
	enum cli_exit verdict = body ? CLI_REFUSED : CLI_USAGE;

	if (body && path)
		verdict = request_change(client, "PUT", path, given_body, body, &answer);
	if (verdict == CLI_OK) {
		output_warnings(answer.json);
		if (inv->json)
			output_json(stdout, answer.json);
		else
			print_import(answer.json, invocation_option(inv, "dry-run"));
		client_answer_fini(&answer);
	}
	json_decref(body);
	free(path);
	return verdict;
}

/* --- metrics, names, any request --- */

int run_metrics(struct client *client, const struct invocation *inv)
{
	struct client_answer answer;
	enum cli_exit verdict =
		client_call(client, &(struct client_request){ .method = "GET", .path = inv->command->path }, &answer);

	if (verdict != CLI_OK)
		return verdict;
	fwrite(answer.body, 1, answer.len_bytes, stdout);
	client_answer_fini(&answer);
	return CLI_OK;
}

int run_names(struct client *client, const struct invocation *inv)
{
	const char *name = inv->argument[0];
	const struct cli_argument *argument = command_argument(name, strlen(name));
	json_t *list = NULL, *item;
	enum cli_exit verdict;
	size_t i;

	if (!argument || !argument->path)
		return CLI_USAGE;
	verdict = client_list(client, argument->path, &list);
	if (verdict != CLI_OK)
		return verdict;
	json_array_foreach(json_object_get(list, "items"), i, item) {
		json_t *text = json_object_get(item, "name");

		if (!text)
			text = json_object_get(item, "id");
		if (json_is_string(text)) {
			output_text(stdout, json_string_value(text));
			putchar('\n');
		}
	}
	json_decref(list);
	return CLI_OK;
}

/* "luns/vol1" means /api/v1/luns/vol1. */
static char *full_path(const char *path)
{
	char *full = NULL;

	if (path[0] == '/')
		return strdup(path);
	return asprintf(&full, "/api/v1/%s", path) < 0 ? NULL : full;
}

/* "@FILE" and "-" are read, anything else is the text itself. NULL: said why not. */
static json_t *read_body(const char *text)
{
	json_error_t error;
	json_t *value;

	if (text[0] == '@' || strcmp(text, "-") == 0)
		return read_json(text[0] == '@' ? text + 1 : text);
	value = json_loads(text, JSON_DECODE_ANY, &error);
	if (!value)
		fprintf(stderr, "lunette: the body is no JSON: %s\n", error.text);
	return value;
}

int run_api(struct client *client, const struct invocation *inv)
{
	const char *method = inv->argument[0], *text = invocation_argument(inv, "BODY");
	char *path = full_path(inv->argument[1]);
	json_t *body = text ? read_body(text) : NULL;
	bool changes = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
	struct client_answer answer;
	enum cli_exit verdict = text && !body ? CLI_USAGE : CLI_REFUSED;

	if (path && (body || !text)) {
		if (changes)
			verdict = request_change(client, method, path,
						 body ? given_body : NULL, body, &answer);
		else
			verdict = client_call(client, &(struct client_request){ .method = method, .path = path, .json = body },
					      &answer);
	}
	if (verdict == CLI_OK) {
		if (answer.json)
			output_json(stdout, answer.json);
		else
			fwrite(answer.body, 1, answer.len_bytes, stdout);
		client_answer_fini(&answer);
	}
	json_decref(body);
	free(path);
	return verdict;
}
