#include "cli/operation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/body.h"
#include "cli/output.h"
#include "cli/run.h"

#define FIRST_PAUSE_MS 50
#define PAUSE_MAX_MS   1000
#define BAR_WIDTH      30

static void draw(const json_t *operation, bool last)
{
	int percent = (int)json_integer_value(json_object_get(operation, "progress_percent"));
	int filled;

	if (!isatty(STDERR_FILENO))
		return;
	percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
	filled = percent * BAR_WIDTH / 100;
	fprintf(stderr, "\r[%.*s%*s] %3d%% ", filled, "##############################", BAR_WIDTH - filled, "", percent);
	if (last)
		fputc('\n', stderr);
}

static void wait_ms(unsigned ms)
{
	const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&pause, NULL);
}

/* How an operation that is not running any more ended. */
static enum cli_exit ended(struct client *client, json_t *operation, bool json)
{
	const char *state = json_string_value(json_object_get(operation, "state"));
	json_t *problem = json_object_get(operation, "problem");
	struct client_answer answer = { .status = (long)json_integer_value(json_object_get(problem, "status")), .json = problem };

	if (json)
		output_json(stdout, operation);
	output_warnings(json_object_get(operation, "result"));
	if (state && strcmp(state, "succeeded") == 0)
		return CLI_OK;
	if (answer.status < 400)
		answer.status = 500;
	return client_judge(client, &answer);
}

enum cli_exit operation_follow(struct client *client, const char *path, bool json)
{
	unsigned pause_ms = FIRST_PAUSE_MS;

	for (;;) {
		struct client_answer answer;
		enum cli_exit verdict = client_call(client, &(struct client_request){ .method = "GET", .path = path }, &answer);
		const char *state;
		bool running;

		if (verdict != CLI_OK)
			return verdict;
		state = json_string_value(json_object_get(answer.json, "state"));
		running = state && strcmp(state, "running") == 0;
		if (pause_ms > FIRST_PAUSE_MS || running)
			draw(answer.json, !running);
		if (!running)
			verdict = ended(client, answer.json, json);
		client_answer_fini(&answer);
		if (!running)
			return verdict;
		wait_ms(pause_ms);
		pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
	}
}

int run_operation_wait(struct client *client, const struct invocation *inv)
{
	char *path = body_path(inv, inv->command->path);
	int verdict = path ? (int)operation_follow(client, path, inv->json) : CLI_REFUSED;

	if (verdict == CLI_OK && !inv->json)
		puts("succeeded");
	free(path);
	return verdict;
}
