#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log.h"

#define CONNECT_TIMEOUT_S 5L
#define ANSWER_TIMEOUT_S  120L
#define TOKEN_MAX         512
#define PAGE_ITEMS        500
#define STATE_DEFAULTS    { "./lunette-state", "/var/lib/lunette" }

struct client {
	CURL *curl;
	char server[512];
	char token[TOKEN_MAX]; /* "": none */
	const char *ca_file;
	char why_no_token[256];
	FILE *said_to;   /* NULL: standard error */
	long timeout_s;  /* 0: ANSWER_TIMEOUT_S */
};

static FILE *say_to(const struct client *client)
{
	return client->said_to ? client->said_to : stderr;
}

void client_watch(struct client *client, FILE *said_to, long timeout_s)
{
	client->said_to = said_to;
	client->timeout_s = timeout_s;
}

/* --- the token --- */

int client_read_line(const char *path, char *line, size_t size, struct err *err)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *got;

	if (!file)
		return err_errno(err, -errno, "cannot read %s", log_quoted(path));
	got = fgets(line, (int)size, file);
	if (file != stdin)
		fclose(file);
	if (!got)
		return err_set(err, -EINVAL, "%s is empty", log_quoted(path));
	if (!strchr(line, '\n') && strlen(line) == size - 1)
		return err_set(err, -EINVAL, "the first line of %s is too long", log_quoted(path));
	line[strcspn(line, "\r\n")] = '\0';
	return 0;
}

bool client_is_loopback(const char *url)
{
	static const char *const hosts[] = { "localhost", "[::1]" };
	const char *host = strstr(url, "://"), *user;
	size_t len;

	host = host ? host + 3 : url;
	len = strcspn(host, "/?#");
	user = memchr(host, '@', len);
	if (user) /* what stands before is no host, and must not pass for one */
		return false;
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		size_t n = strlen(hosts[i]);

		if (strncasecmp(host, hosts[i], n) == 0 && (len == n || host[n] == ':'))
			return true;
	}
	if (strncmp(host, "127.", 4) != 0)
		return false;
	return strspn(host, "0123456789.") == strcspn(host, ":/?#");
}

static int token_of_state(struct client *client, const struct invocation *inv)
{
	static const char *const defaults[] = STATE_DEFAULTS;
	const char *state = inv->state ? inv->state : getenv("LUNETTE_STATE");
	char path[600];
	struct err err = { 0 };

	if (!client_is_loopback(client->server)) {
		snprintf(client->why_no_token, sizeof client->why_no_token,
			 "the token of a local state directory is sent to loopback only; give --token-file or LUNETTE_TOKEN");
		return -ENOENT;
	}
	for (size_t i = 0; i < (state ? 1 : sizeof defaults / sizeof defaults[0]); i++) {
		snprintf(path, sizeof path, "%s/admin.token", state ? state : defaults[i]);
		if (client_read_line(path, client->token, sizeof client->token, &err) == 0)
			return 0;
		snprintf(client->why_no_token, sizeof client->why_no_token, "%.200s", err.text);
		if (err.code != -ENOENT)
			break;
	}
	return -ENOENT;
}

static int find_token(struct client *client, const struct invocation *inv, struct err *err)
{
	const char *token = getenv("LUNETTE_TOKEN");

	if (inv->token_file)
		return client_read_line(inv->token_file, client->token, sizeof client->token, err);
	if (token && strlen(token) < sizeof client->token) {
		strcpy(client->token, token);
		return 0;
	}
	if (token_of_state(client, inv) < 0)
		client->token[0] = '\0'; /* the service will say that it needs one */
	return 0;
}

/* --- one request --- */

struct client *client_new(const struct invocation *inv, struct err *err)
{
	const char *server = inv->server ? inv->server : getenv("LUNETTE_SERVER");
	struct client *client = calloc(1, sizeof *client);
	size_t len;

	if (!client || curl_global_init(CURL_GLOBAL_DEFAULT) || !(client->curl = curl_easy_init())) {
		err_set(err, -ENOMEM, "cannot start the HTTP client");
		free(client);
		return NULL;
	}
	snprintf(client->server, sizeof client->server, "%s", server && *server ? server : CLIENT_URL);
	for (len = strlen(client->server); len && client->server[len - 1] == '/'; len--)
		client->server[len - 1] = '\0';
	client->ca_file = inv->ca_file ? inv->ca_file : getenv("LUNETTE_CA_FILE");
	if (find_token(client, inv, err) < 0) {
		client_free(client);
		return NULL;
	}
	return client;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	explicit_bzero(client->token, sizeof client->token);
	free(client);
	curl_global_cleanup();
}

const char *client_server(const struct client *client)
{
	return client->server;
}

char *client_encode(const char *text)
{
	char *curl_text = curl_easy_escape(NULL, text, 0), *copy = curl_text ? strdup(curl_text) : NULL;

	curl_free(curl_text);
	return copy;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct client_answer *answer = arg;
	size_t len = size * count;
	char *grown;

	if (len > CLIENT_BODY_MAX - answer->len_bytes)
		return 0;
	grown = realloc(answer->body, answer->len_bytes + len + 1);
	if (!grown)
		return 0;
	answer->body = grown;
	memcpy(grown + answer->len_bytes, bytes, len);
	answer->len_bytes += len;
	grown[answer->len_bytes] = '\0';
	return len;
}

/* The value of `name: value\r\n` into text. */
static void take_field(const char *line, size_t len, const char *name, char *text, size_t size)
{
	size_t name_len = strlen(name);

	if (len <= name_len || strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
		return;
	line += name_len + 1;
	len -= name_len + 1;
	while (len && (*line == ' ' || *line == '\t'))
		line++, len--;
	while (len && strchr(" \t\r\n", line[len - 1]))
		len--;
	snprintf(text, size, "%.*s", (int)len, line);
}

static size_t take_header(char *bytes, size_t size, size_t count, void *arg)
{
	struct client_answer *answer = arg;

	take_field(bytes, size * count, "ETag", answer->etag, sizeof answer->etag);
	take_field(bytes, size * count, "Location", answer->location, sizeof answer->location);
	return size * count;
}

static void add_field(struct curl_slist **fields, const char *name, const char *value)
{
	char line[TOKEN_MAX + 64];
	struct curl_slist *longer;

	if (!value)
		return;
	snprintf(line, sizeof line, "%s: %s", name, value);
	longer = curl_slist_append(*fields, line);
	if (longer)
		*fields = longer;
}

/* Everything that requests and streams have in common. */
static void prepare(struct client *client, const char *path, struct curl_slist **fields)
{
	char url[4096], bearer[TOKEN_MAX + 16];
	CURL *curl = client->curl;

	curl_easy_reset(curl);
	snprintf(url, sizeof url, "%s%s", client->server, path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "127.0.0.1,::1,localhost");
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "lunette/" LUNETTE_VERSION);
	if (client->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
	if (client->token[0]) {
		snprintf(bearer, sizeof bearer, "Bearer %s", client->token);
		add_field(fields, "Authorization", bearer);
		explicit_bzero(bearer, sizeof bearer);
	}
	add_field(fields, "Expect", "");
}

static enum cli_exit cannot_reach(const struct client *client, CURLcode code)
{
	fprintf(say_to(client), "lunette: cannot reach %s: %s\n", client->server, curl_easy_strerror(code));
	if (code == CURLE_COULDNT_CONNECT)
		fprintf(say_to(client), "lunette: is lunetted running there? --server and LUNETTE_SERVER name another place\n");
	return CLI_UNREACHABLE;
}

enum cli_exit client_send(struct client *client, const struct client_request *request, struct client_answer *ret)
{
	struct curl_slist *fields = NULL;
	char *dumped = request->json ? json_dumps(request->json, JSON_COMPACT) : NULL;
	const char *body = dumped ? dumped : request->text;
	CURL *curl = client->curl;
	CURLcode code;

	*ret = (struct client_answer){ .body = calloc(1, 1) };
	prepare(client, request->path, &fields);
	add_field(&fields, "Accept", "application/json");
	add_field(&fields, "If-Match", request->if_match);
	add_field(&fields, "If-None-Match", request->if_none_match);
	if (body)
		add_field(&fields, "Content-Type", strcmp(request->method, "PATCH") == 0 ? "application/merge-patch+json" :
											    "application/json");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, client->timeout_s ? client->timeout_s : ANSWER_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, ret);
	code = ret->body ? curl_easy_perform(curl) : CURLE_OUT_OF_MEMORY;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
	curl_slist_free_all(fields);
	free(dumped);
	if (code != CURLE_OK) {
		client_answer_fini(ret);
		return cannot_reach(client, code);
	}
	ret->json = json_loadb(ret->body, ret->len_bytes, JSON_DECODE_ANY, NULL);
	return CLI_OK;
}

void client_answer_fini(struct client_answer *answer)
{
	free(answer->body);
	json_decref(answer->json);
	*answer = (struct client_answer){ 0 };
}

/* --- verdicts --- */

enum cli_exit cli_exit_of(long http_status)
{
	static const struct {
		long status;
		enum cli_exit exit;
	} rows[] = {
		{ 401, CLI_AUTH },      { 403, CLI_AUTH },     { 404, CLI_NOT_FOUND },
		{ 409, CLI_CONFLICT },  { 412, CLI_CONFLICT }, { 428, CLI_CONFLICT },
	};

	if (http_status >= 200 && http_status < 300)
		return CLI_OK;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].status == http_status)
			return rows[i].exit;
	return CLI_REFUSED;
}

/* What a person can do about it, beyond what the service says. */
static const char *remedy(const struct client *client, long status)
{
	switch (status) {
	case 401:
		return client->token[0]       ? "the token is not valid there: see --token-file, LUNETTE_TOKEN, --state" :
		       client->why_no_token[0] ? client->why_no_token :
						 "give --token-file or LUNETTE_TOKEN";
	case 403:
		return "the role of this token may not do that: use another token";
	case 412:
		return "it was changed meanwhile: look at it again, then repeat";
	case 428:
		return "it exists already with other values: use the command `set` to change it";
	}
	return NULL;
}

enum cli_exit client_judge(const struct client *client, const struct client_answer *answer)
{
	enum cli_exit verdict = cli_exit_of(answer->status);
	const json_t *problem = answer->json, *item;
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	const char *code = json_string_value(json_object_get(problem, "code"));
	const char *help = remedy(client, answer->status);
	size_t i;

	if (verdict == CLI_OK)
		return CLI_OK;
	fprintf(say_to(client), "lunette: %s [%ld%s%s]\n", detail ? detail : "the service refused", answer->status, code ? " " : "",
		code ? code : "");
	json_array_foreach(json_object_get(problem, "errors"), i, item) {
		const char *pointer = json_string_value(json_object_get(item, "pointer"));
		const char *words = json_string_value(json_object_get(item, "detail"));

		if (pointer && *pointer)
			fprintf(say_to(client), "  at %s%s%s\n", pointer, words && detail && strcmp(words, detail) ? ": " : "",
				words && detail && strcmp(words, detail) ? words : "");
	}
	if (help)
		fprintf(say_to(client), "  %s\n", help);
	return verdict;
}

enum cli_exit client_call(struct client *client, const struct client_request *request, struct client_answer *ret)
{
	enum cli_exit verdict = client_send(client, request, ret);

	if (verdict != CLI_OK)
		return verdict;
	verdict = client_judge(client, ret);
	if (verdict != CLI_OK)
		client_answer_fini(ret);
	return verdict;
}

/* One page appended to list; *ret_cursor: of the next one, malloc'ed, NULL when this was the last. */
static enum cli_exit add_page(struct client *client, const char *path, const char *cursor, json_t *list, char **ret_cursor)
{
	struct client_answer answer;
	char url[2048];
	enum cli_exit verdict;
	const char *next;

	snprintf(url, sizeof url, "%s%climit=%d%s%s", path, strchr(path, '?') ? '&' : '?', PAGE_ITEMS,
		 cursor ? "&cursor=" : "", cursor ? cursor : "");
	verdict = client_call(client, &(struct client_request){ .method = "GET", .path = url }, &answer);
	if (verdict != CLI_OK)
		return verdict;
	json_array_extend(json_object_get(list, "items"), json_object_get(answer.json, "items"));
	if (json_object_get(answer.json, "unreachable"))
		json_object_set(list, "unreachable", json_object_get(answer.json, "unreachable"));
	next = json_string_value(json_object_get(answer.json, "next_cursor"));
	*ret_cursor = next && *next ? client_encode(next) : NULL;
	client_answer_fini(&answer);
	return CLI_OK;
}

enum cli_exit client_list(struct client *client, const char *path, json_t **ret_list)
{
	json_t *list = json_pack("{s:[]}", "items");
	char *cursor = NULL, *next = NULL;
	enum cli_exit verdict;

	do {
		verdict = add_page(client, path, cursor, list, &next);
		free(cursor);
		cursor = verdict == CLI_OK ? next : NULL;
	} while (cursor);
	if (verdict == CLI_OK)
		*ret_list = list;
	else
		json_decref(list);
	return verdict;
}

/* --- streams --- */

struct stream {
	bool (*take)(void *arg, const char *bytes, size_t len_bytes);
	void *arg;
	CURL *curl;
	bool fed, enough;
	struct client_answer refused; /* the body of an answer that is no stream */
};

static size_t take_stream(char *bytes, size_t size, size_t count, void *arg)
{
	struct stream *stream = arg;
	long status = 0;

	curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return take_body(bytes, size, count, &stream->refused);
	stream->fed = true;
	stream->enough = !stream->take(stream->arg, bytes, size * count);
	return stream->enough ? 0 : size * count;
}

/* Until the transfer is over, or nothing came for idle_ms. */
static CURLcode pump(CURLM *multi, struct stream *stream, unsigned idle_ms)
{
	CURLcode result = CURLE_OK;
	CURLMsg *message;
	int running = 1, left, ready;

	while (running) {
		stream->fed = false;
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			return CURLE_RECV_ERROR;
		if (!running || stream->enough)
			break;
		if (curl_multi_poll(multi, NULL, 0, idle_ms ? (int)idle_ms : 1000, &ready) != CURLM_OK)
			return CURLE_RECV_ERROR;
		if (idle_ms && ready == 0 && !stream->fed)
			break;
	}
	while ((message = curl_multi_info_read(multi, &left)))
		if (message->msg == CURLMSG_DONE)
			result = message->data.result;
	return stream->enough ? CURLE_OK : result;
}

enum cli_exit client_stream(struct client *client, const char *path, const char *last_event_id, unsigned idle_ms,
			    bool (*take)(void *arg, const char *bytes, size_t len_bytes), void *arg)
{
	struct stream stream = { .take = take, .arg = arg, .curl = client->curl, .refused = { .body = calloc(1, 1) } };
	struct curl_slist *fields = NULL;
	CURLM *multi = curl_multi_init();
	enum cli_exit verdict;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	prepare(client, path, &fields);
	add_field(&fields, "Accept", "text/event-stream");
	add_field(&fields, "Last-Event-ID", last_event_id);
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, fields);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_stream);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &stream);
	if (multi && curl_multi_add_handle(multi, client->curl) == CURLM_OK) {
		code = pump(multi, &stream, idle_ms);
		curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &stream.refused.status);
		curl_multi_remove_handle(multi, client->curl);
	}
	curl_multi_cleanup(multi);
	curl_slist_free_all(fields);
	if (code != CURLE_OK) {
		verdict = cannot_reach(client, code);
	} else {
		stream.refused.json = json_loadb(stream.refused.body, stream.refused.len_bytes, 0, NULL);
		verdict = stream.refused.status ? client_judge(client, &stream.refused) : CLI_UNREACHABLE;
	}
	client_answer_fini(&stream.refused);
	return verdict;
}
