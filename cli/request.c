/* The commands that are one request, made from their row; and what the others share with them. */
#include "cli/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/body.h"
#include "cli/operation.h"
#include "cli/output.h"
#include "cli/run.h"

#define TRIES 5 /* of read, change, send, when another changes the same thing at the same time */

enum cli_exit request_complain(const struct err *err)
{
	fprintf(stderr, "lunette: %s\n", err->text);
	return err->code == -ENOMEM ? CLI_REFUSED : CLI_USAGE;
}

static void say_done(const struct invocation *inv, const struct client_answer *answer)
{
	char *words = inv->command->done ? body_fill(inv, inv->command->done) : NULL;

	if (inv->json && answer->json)
		output_json(stdout, answer->json);
	else if (invocation_option(inv, "dry-run") && answer->json)
		output_object(stdout, answer->json);
	else if (invocation_option(inv, "dry-run"))
		puts("would be done");
	else if (words)
		puts(words);
	free(words);
}

/* Shows what a change was answered with; 202: follows the operation to its end. */
static enum cli_exit finish(struct client *client, const struct invocation *inv, const struct client_answer *answer)
{
	enum cli_exit verdict;

	output_warnings(answer->json);
	if (answer->status != 202) {
		say_done(inv, answer);
		return CLI_OK;
	}
	if (invocation_option(inv, "no-wait")) {
		if (inv->json && answer->json)
			output_json(stdout, answer->json);
		else
			printf("started: %s\n", answer->location);
		return CLI_OK;
	}
	verdict = operation_follow(client, answer->location, inv->json);
	if (verdict == CLI_OK && !inv->json)
		say_done(inv, answer);
	return verdict;
}

/* Reads the thing for its entity tag. CLI_NOT_FOUND is said only when it must exist. */
static enum cli_exit read_before(struct client *client, const char *path, bool must_exist, struct client_answer *ret)
{
	char *plain = strdup(path);
	enum cli_exit verdict;

	if (!plain)
		return CLI_REFUSED;
	plain[strcspn(plain, "?")] = '\0';
	verdict = client_send(client, &(struct client_request){ .method = "GET", .path = plain }, ret);
	free(plain);
	if (verdict != CLI_OK || (ret->status == 404 && !must_exist))
		return verdict;
	verdict = client_judge(client, ret);
	if (verdict != CLI_OK)
		client_answer_fini(ret);
	return verdict;
}

enum cli_exit request_change(struct client *client, const char *method, const char *path, request_edit_fn *edit, void *arg,
			     struct client_answer *ret)
{
	bool must_exist = strcmp(method, "PUT") != 0;
	struct client_answer before;
	struct client_request request = { .method = method, .path = path };
	enum cli_exit verdict = CLI_CONFLICT;

	for (int try = 1; try <= TRIES; try++) {
		json_t *body = NULL;

		verdict = read_before(client, path, must_exist, &before);
		if (verdict != CLI_OK)
			return verdict;
		if (edit)
			verdict = edit(arg, before.status == 404 ? NULL : before.json, &body);
		request.json = body;
		request.if_match = before.etag[0] && before.status != 404 ? before.etag : NULL;
		if (verdict == CLI_OK)
			verdict = client_send(client, &request, ret);
		json_decref(body);
		client_answer_fini(&before);
		if (verdict != CLI_OK)
			return verdict;
		if (ret->status != 412 || try == TRIES)
			break;
		client_answer_fini(ret);
	}
	verdict = client_judge(client, ret);
	if (verdict != CLI_OK)
		client_answer_fini(ret);
	return verdict;
}

/* The body is the same whatever was there. */
static enum cli_exit same_body(void *arg, const json_t *before, json_t **ret_body)
{
	(void)before;
	*ret_body = json_incref(arg);
	return CLI_OK;
}

static int list_things(struct client *client, const struct invocation *inv, const char *path)
{
	json_t *list = NULL;
	enum cli_exit verdict = client_list(client, path, &list);

	if (verdict != CLI_OK)
		return verdict;
	output_warnings(list);
	if (inv->json)
		output_json(stdout, list);
	else
		output_table(stdout, json_object_get(list, "items"), inv->command->columns);
	json_decref(list);
	return CLI_OK;
}

static int show(struct client *client, const struct invocation *inv, const char *path)
{
	struct client_answer answer;
	enum cli_exit verdict = client_call(client, &(struct client_request){ .method = "GET", .path = path }, &answer);

	if (verdict != CLI_OK)
		return verdict;
	output_warnings(answer.json);
	if (!answer.json)
		fputs(answer.body, stdout);
	else if (inv->json)
		output_json(stdout, answer.json);
	else
		output_object(stdout, answer.json);
	client_answer_fini(&answer);
	return CLI_OK;
}

int request_send(struct client *client, const struct invocation *inv, const char *path, json_t *body)
{
	const struct cli_command *c = inv->command;
	struct client_answer answer;
	enum cli_exit verdict;

	if (c->guarded)
		verdict = request_change(client, c->method, path, same_body, body, &answer);
	else
		verdict = client_call(client, &(struct client_request){ .method = c->method, .path = path, .json = body },
				      &answer);
	if (verdict != CLI_OK)
		return verdict;
	verdict = finish(client, inv, &answer);
	client_answer_fini(&answer);
	return verdict;
}

int run_request(struct client *client, const struct invocation *inv)
{
	const struct cli_command *c = inv->command;
	char *path = body_path(inv, c->path);
	struct err err = { 0 };
	json_t *body = NULL;
	int verdict;

	if (!path)
		return CLI_REFUSED;
	if (strcmp(c->method, "GET") == 0) {
		verdict = c->columns ? list_things(client, inv, path) : show(client, inv, path);
	} else if (strcmp(c->method, "DELETE") != 0 && body_make(inv, &body, &err) < 0) {
		verdict = request_complain(&err);
	} else {
		verdict = request_send(client, inv, path, body);
	}
	json_decref(body);
	free(path);
	return verdict;
}
