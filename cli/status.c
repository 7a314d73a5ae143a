/* `lunette status`: what is served and what is wrong, on one screen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/run.h"
#include "cli/size.h"

#define V1         "/api/v1"
#define ROWS_SHOWN 12 /* of a table; the rest is counted */

/* What the screen is made of, and where it comes from. */
enum part { HEALTH, VERSION, PORTALS, TARGETS, LUNS, SESSIONS, OPERATIONS, PARTS };

static const struct {
	const char *path;
	bool list;
} parts[PARTS] = {
	[HEALTH] = { V1 "/health", false },   [VERSION] = { V1 "/version", false }, [PORTALS] = { V1 "/portals", true },
	[TARGETS] = { V1 "/targets", true },  [LUNS] = { V1 "/luns", true },        [SESSIONS] = { V1 "/sessions", true },
	[OPERATIONS] = { V1 "/operations", true },
};

static enum cli_exit fetch(struct client *client, json_t *part[PARTS])
{
	for (int i = 0; i < PARTS; i++) {
		struct client_answer answer;
		enum cli_exit verdict;

		if (parts[i].list) {
			verdict = client_list(client, parts[i].path, &part[i]);
		} else {
			verdict = client_call(client, &(struct client_request){ .method = "GET", .path = parts[i].path },
					      &answer);
			if (verdict == CLI_OK) {
				part[i] = json_incref(answer.json);
				client_answer_fini(&answer);
			}
		}
		if (verdict != CLI_OK)
			return verdict;
	}
	return CLI_OK;
}

static const char *text_of(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "-";
}

static json_t *items_of(const json_t *list)
{
	return json_object_get(list, "items");
}

/* How many of the sessions' `member` is `name`. */
static json_int_t sessions_of(const json_t *sessions, const char *member, const char *name)
{
	json_int_t count = 0;
	json_t *session;
	size_t i;

	json_array_foreach(items_of(sessions), i, session)
		count += strcmp(text_of(session, member), name) == 0;
	return count;
}

/* Target and number by which a LUN is served; "-": by none. malloc'ed. */
static char *served_as(const json_t *targets, const char *lun)
{
	json_t *target, *mapping;
	char *text = NULL;
	const char *number;
	size_t i, len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	json_array_foreach(items_of(targets), i, target) {
		json_object_foreach(json_object_get(target, "luns"), number, mapping) {
			if (strcmp(text_of(mapping, "lun"), lun) != 0)
				continue;
			fprintf(out, "%s%s/%s", ftell(out) ? " " : "", text_of(target, "name"), number);
		}
	}
	if (ftell(out) <= 0)
		fputc('-', out);
	return fclose(out) == 0 ? text : NULL;
}

static void print_table(const char *title, json_t *rows, const char *columns)
{
	size_t all = json_array_size(rows);

	printf("\n%s\n", title);
	while (json_array_size(rows) > ROWS_SHOWN)
		json_array_remove(rows, json_array_size(rows) - 1);
	output_table(stdout, rows, columns);
	if (all > ROWS_SHOWN)
		printf("... and %zu more\n", all - ROWS_SHOWN);
}

static void print_health(json_t *part[PARTS])
{
	const char *status = text_of(part[HEALTH], "status");
	bool colours = isatty(STDOUT_FILENO);
	const char *colour = strcmp(status, "ok") == 0 ? "\033[32m" : strcmp(status, "warning") == 0 ? "\033[33m" : "\033[31m";
	json_t *reason;
	size_t i;

	printf("lunette %s: %s", text_of(part[VERSION], "version"), colours ? colour : "");
	output_text(stdout, status);
	printf("%s. ", colours ? "\033[0m" : "");
	output_text(stdout, text_of(part[HEALTH], "summary"));
	putchar('\n');
	json_array_foreach(json_object_get(part[HEALTH], "reasons"), i, reason) {
		printf("  %s  ", text_of(reason, "severity"));
		output_text(stdout, text_of(reason, "object"));
		printf(": ");
		output_text(stdout, text_of(reason, "detail"));
		printf("\n           ");
		output_text(stdout, text_of(reason, "remedy"));
		putchar('\n');
	}
}

static void print_targets(json_t *part[PARTS])
{
	json_t *target;
	size_t i;

	json_array_foreach(items_of(part[TARGETS]), i, target)
		json_object_set_new(target, "sessions",
				    json_integer(sessions_of(part[SESSIONS], "target", text_of(target, "name"))));
	print_table("Targets", items_of(part[TARGETS]),
		    "NAME=name ENABLED=enabled STATE=status.state LUNS=luns:count SESSIONS=sessions PORTALS=portals");
}

static void print_luns(json_t *part[PARTS])
{
	json_t *lun;
	size_t i;

	json_array_foreach(items_of(part[LUNS]), i, lun) {
		char *served = served_as(part[TARGETS], text_of(lun, "name"));

		json_object_set_new(lun, "served_as", json_string(served ? served : "?"));
		free(served);
	}
	print_table("LUNs", items_of(part[LUNS]),
		    "NAME=name SIZE=size_bytes:size STORE=store STATE=status.state READ-ONLY=read_only SERVED-AS=served_as");
}

static void print_running(const json_t *operations)
{
	json_t *operation, *running = json_array();
	size_t i;

	json_array_foreach(items_of(operations), i, operation)
		if (strcmp(text_of(operation, "state"), "running") == 0)
			json_array_append(running, operation);
	if (json_array_size(running))
		print_table("Running operations", running, "ID=id PERCENT=progress_percent METHOD=method KIND=kind OBJECT=object");
	json_decref(running);
}

int run_status(struct client *client, const struct invocation *inv)
{
	static const char *const names[PARTS] = { "health", "version", "portals", "targets", "luns", "sessions", "operations" };
	json_t *part[PARTS] = { NULL }, *all;
	enum cli_exit verdict = fetch(client, part);

	if (verdict == CLI_OK && inv->json) {
		all = json_object();
		for (int i = 0; i < PARTS; i++)
			json_object_set(all, names[i], parts[i].list ? items_of(part[i]) : part[i]);
		output_json(stdout, all);
		json_decref(all);
	} else if (verdict == CLI_OK) {
		print_health(part);
		print_table("Portals", items_of(part[PORTALS]), "NAME=name ADDRESS=address TAG=tag STATE=status.state");
		print_targets(part);
		print_luns(part);
		printf("\n%zu session%s\n", json_array_size(items_of(part[SESSIONS])),
		       json_array_size(items_of(part[SESSIONS])) == 1 ? "" : "s");
		print_running(part[OPERATIONS]);
		output_warnings(part[SESSIONS]);
	}
	for (int i = 0; i < PARTS; i++)
		json_decref(part[i]);
	return verdict;
}
