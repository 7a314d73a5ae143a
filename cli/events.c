/* Server-sent events (WHATWG HTML, "Server-sent events"), as far as our service uses them: "data:" lines of one JSON object
 * each. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/run.h"

#define LINE_MAX_BYTES (64 * 1024)
#define KEPT_IDLE_MS   400 /* without --follow: the kept events come at once, then silence */

struct printer {
	bool json;
	size_t len;
	char line[LINE_MAX_BYTES];
};

static const char *text_of(const json_t *event, const char *member)
{
	const char *text = json_string_value(json_object_get(event, member));

	return text ? text : "-";
}

static void print_event(struct printer *p)
{
	json_t *event = strncmp(p->line, "data:", 5) == 0 ? json_loads(p->line + 5, 0, NULL) : NULL;

	if (!event)
		return;
	if (p->json) {
		json_dumpf(event, stdout, JSON_COMPACT);
	} else if (json_object_get(event, "kind")) {
		printf("%s  ", text_of(event, "time"));
		output_text(stdout, text_of(event, "kind"));
		printf("  ");
		output_text(stdout, text_of(event, "object"));
		printf("  ");
		output_text(stdout, text_of(event, "text"));
	}
	if (p->json || json_object_get(event, "kind")) {
		putchar('\n');
		fflush(stdout);
	}
	json_decref(event);
}

static bool take(void *arg, const char *bytes, size_t len)
{
	struct printer *p = arg;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			p->line[p->len] = '\0';
			print_event(p);
			p->len = 0;
		} else if (p->len < sizeof p->line - 1) {
			p->line[p->len++] = bytes[i];
		}
	}
	return !ferror(stdout);
}

int run_events(struct client *client, const struct invocation *inv)
{
	bool follow = invocation_option(inv, "follow");
	struct printer *printer = calloc(1, sizeof *printer);
	enum cli_exit verdict;

	if (!printer)
		return CLI_REFUSED;
	printer->json = inv->json;
	signal(SIGPIPE, SIG_DFL);
	verdict = client_stream(client, inv->command->path, "0", follow ? 0 : KEPT_IDLE_MS, take, printer);
	free(printer);
	return verdict;
}
