/*
 * The REST client: libcurl and jansson, one request at a time.
 *
 * Which server: --server, $LUNETTE_SERVER, http://127.0.0.1:3261. Which token: --token-file, $LUNETTE_TOKEN, then
 * admin.token in the state directory (--state, $LUNETTE_STATE, ./lunette-state, /var/lib/lunette). A token found in a
 * state directory belongs to a daemon on this machine and is never sent anywhere but to loopback.
 */
#ifndef LUNETTE_CLI_CLIENT_H
#define LUNETTE_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/exit_status.h"
#include "cli/command.h"
#include "err.h"

#define CLIENT_URL       "http://127.0.0.1:3261"
#define CLIENT_BODY_MAX  (256u * 1024 * 1024) /* of an answer */

struct client;

struct client_request {
	const char *method;   /* "GET" */
	const char *path;     /* "/api/v1/luns?limit=10", encoded */
	const json_t *json;   /* body; NULL: none. Borrowed. */
	const char *text;     /* body as text instead; NULL */
	const char *if_match; /* NULL: none */
	const char *if_none_match;
};

struct client_answer {
	long status;
	char *body;         /* NUL behind it; never NULL */
	size_t len_bytes;
	json_t *json;       /* of a JSON body; NULL: it is none */
	char etag[128], location[512]; /* "" when absent */
};

/* NULL with words: no memory, an unreadable token file. */
struct client *client_new(const struct invocation *invocation, struct err *err);
void client_free(struct client *client);
const char *client_server(const struct client *client);
/* From now on: what goes wrong is said there instead of on standard error, and answers are waited for so long. */
void client_watch(struct client *client, FILE *said_to, long timeout_s);

/* CLI_OK: there is an answer, whatever its status; free it. Otherwise CLI_UNREACHABLE (said on standard error). */
enum cli_exit client_send(struct client *client, const struct client_request *request, struct client_answer *ret);
void client_answer_fini(struct client_answer *answer);
/* Says on standard error why a status other than 2xx was answered: reason, pointer, remedy. The exit status for it, CLI_OK
 * for 2xx. */
enum cli_exit client_judge(const struct client *client, const struct client_answer *answer);
/* Both: CLI_OK only for 2xx; otherwise *ret is not to be freed. */
enum cli_exit client_call(struct client *client, const struct client_request *request, struct client_answer *ret);
/* GET of a whole collection, page by page: {"items": [...]}, with "unreachable" when some workers did not answer. */
enum cli_exit client_list(struct client *client, const char *path, json_t **ret_list);

/* Feeds the bytes of a stream as they come to take(); until it returns false, the stream ends, or idle_ms pass without a
 * byte (0: for ever). */
enum cli_exit client_stream(struct client *client, const char *path, const char *last_event_id, unsigned idle_ms,
			    bool (*take)(void *arg, const char *bytes, size_t len_bytes), void *arg);

/* Percent-encodes one path segment or query value; malloc'ed, NULL without memory. */
char *client_encode(const char *text);
/* Whether the URL names loopback: 127.*, [::1], localhost. */
bool client_is_loopback(const char *url);
/* The first line of a file ("-": standard input) without its newline, at most size - 1 bytes. 0 or negative errno with *err. */
int client_read_line(const char *path, char *line, size_t size, struct err *err);

#endif
