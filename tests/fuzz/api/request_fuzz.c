/*
 * Whole requests to the control service: everything between the HTTP server and the answer, as an administrator. Requests that
 * would change something are made with dry_run, so that one input is as good as another.
 *
 * Input: a line each with method, path with query, If-Match, If-None-Match and Accept; the rest is the body. Each request is answered,
 * and what looks like JSON is JSON.
 */
#include "tests/fuzz/inline_offload.h"

#include "tests/unit/api/fixture.h"

#define TURNS 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fixture *fixture;
static char state_dir[64];

static void leave(void)
{
	nftw(state_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void set_up(void)
{
	void *state;

	fixture_setup(&state);
	fixture = state;
	strcpy(state_dir, fixture->state_dir);
	atexit(leave);
	log_open("fuzz", LOG_ERROR);
	call_done(fixture, "PUT", "/luns/vol1", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 201);
	call_done(fixture, "PUT", "/targets/iqn.2026-11.io.lunette:t1", "{}", 201);
	call_done(fixture, "PUT", "/targets/iqn.2026-11.io.lunette:t1/luns/0", "{\"lun\":\"vol1\"}", 201);
}

static void check_answer(const struct answer *answer)
{
	json_t *json;

	if (answer->status < 100 || answer->status > 599)
		abort();
	if (!answer->body || !answer->content_type || !strstr(answer->content_type, "json"))
		return;
	json = json_loadb(answer->body, answer->len_bytes, JSON_DECODE_ANY, NULL);
	if (!json)
		abort();
	json_decref(json);
}

/* Changes become dry runs; tokens, sessions and commands to workers have none and are left out. */
static bool harmless(const char *method, char *target, size_t room)
{
	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
		return !strstr(target, "events"); /* a stream does not end */
	if (strstr(target, "tokens") || strstr(target, "session") || strstr(target, "login") || strchr(target, '?') ||
	    strchr(target, '%') || strlen(target) + 16 > room)
		return false;
	strcat(target, "?dry_run=true");
	return true;
}

static void ask(const char *method, const char *target, struct request_headers *headers, const char *body, size_t len)
{
	struct request *rq = request_new(&fixture->service, "127.0.0.1");
	char authorization[128];

	snprintf(authorization, sizeof authorization, "Bearer %s", fixture->admin);
	headers->authorization = authorization;
	if (request_begin(rq, method, target, headers) && (!len || request_body(rq, body, len)))
		request_run(rq);
	for (int i = 0; i < TURNS && !request_answered(rq); i++)
		loop_turn(&fixture->service.loop, 10);
	if (!request_answered(rq))
		abort();
	check_answer(&rq->answer);
	request_free(rq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *line[5] = { NULL }, target[2048];
	struct request_headers headers = { 0 };

	if (!fixture)
		set_up();
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (unsigned i = 0; i < 5 && rest; i++)
		line[i] = strsep(&rest, "\n");
	if (line[1]) {
		headers.if_match = line[2] && *line[2] ? line[2] : NULL;
		headers.if_none_match = line[3] && *line[3] ? line[3] : NULL;
		headers.accept = line[4] && *line[4] ? line[4] : NULL;
		snprintf(target, sizeof target, "/api/v1%.1900s", line[1]);
		if (harmless(line[0], target, sizeof target))
			ask(line[0], target, &headers, rest ? rest : "", rest ? strlen(rest) : 0);
	}
	free(text);
	return 0;
}
