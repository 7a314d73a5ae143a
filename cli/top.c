/* `lunette top`: asks each second, shows what top_view.h makes of it, and does what keys say. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/run.h"
#include "cli/terminal.h"
#include "cli/top_view.h"
#include "clock.h"

#define V1              "/api/v1"
#define LISTED          1000 /* objects that are asked for, and can be scrolled through */
#define REFRESH_NS      NS_PER_S
#define SESSIONS_EVERY  5    /* refreshes: who the sessions are changes seldom, and all workers are asked for it */
#define ANSWER_WAIT_S   5L

struct top {
	struct client *client;
	struct top_view view;
	json_t *health, *host, *list, *sessions;
	unsigned refreshes;
	char trouble[256];
};

/* --- asking --- */

static enum cli_exit get(struct client *client, const char *path, json_t **ret)
{
	struct client_answer answer;
	enum cli_exit verdict = client_call(client, &(struct client_request){ .method = "GET", .path = path }, &answer);

	json_decref(*ret);
	*ret = NULL;
	if (verdict != CLI_OK)
		return verdict;
	*ret = json_incref(answer.json);
	client_answer_fini(&answer);
	return CLI_OK;
}

static enum cli_exit ask(struct top *top)
{
	char path[128];
	enum cli_exit verdict;

	snprintf(path, sizeof path, V1 "/top?kind=%s&sort=%s&limit=%d", top_kind_names[top->view.kind],
		 top_sort_metrics[top->view.sort], LISTED);
	verdict = get(top->client, path, &top->list);
	if (verdict == CLI_OK)
		verdict = get(top->client, V1 "/health", &top->health);
	if (verdict == CLI_OK)
		verdict = get(top->client, V1 "/top?kind=host&limit=1", &top->host);
	if (verdict == CLI_OK && top->view.kind == TOP_SESSION && top->refreshes++ % SESSIONS_EVERY == 0) {
		json_decref(top->sessions);
		top->sessions = NULL;
		verdict = client_list(top->client, V1 "/sessions", &top->sessions);
	}
	return verdict;
}

/* What goes wrong is shown on the screen. */
static void refresh(struct top *top)
{
	char *said = NULL;
	size_t size;
	FILE *out = open_memstream(&said, &size);

	client_watch(top->client, out, ANSWER_WAIT_S);
	top->trouble[0] = '\0';
	if (ask(top) != CLI_OK) {
		json_decref(top->host);
		json_decref(top->list);
		top->host = top->list = NULL;
		fflush(out);
		snprintf(top->trouble, sizeof top->trouble, "%.*s", said ? (int)strcspn(said, "\n") : 0, said ? said : "");
		if (!top->trouble[0])
			strcpy(top->trouble, "lunette: no answer");
	}
	client_watch(top->client, NULL, 0);
	if (out)
		fclose(out);
	free(said);
}

static struct top_data data_of(const struct top *top)
{
	return (struct top_data){ top->health, top->host, top->list, top->sessions, top->trouble };
}

/* --- keys --- */

enum wish { GO_ON, ASK_AGAIN, END };

static void scroll(struct top_view *view, size_t lines, bool down)
{
	view->first = down ? view->first + lines : view->first > lines ? view->first - lines : 0;
}

static enum wish obey(struct top *top, int key, size_t page)
{
	struct top_view *view = &top->view;

	switch (key) {
	case 'q':
	case KEY_CLOSED:
		return END;
	case 'h':
	case '?':
		view->help = !view->help;
		break;
	case 'p':
		view->paused = !view->paused;
		return view->paused ? GO_ON : ASK_AGAIN;
	case 'k':
		view->kind = (view->kind + 1) % TOP_KINDS;
		view->first = 0;
		top->refreshes = 0;
		return ASK_AGAIN;
	case 's':
		view->sort = (view->sort + 1) % TOP_SORTS;
		return ASK_AGAIN;
	case KEY_UP:
	case KEY_DOWN:
		scroll(view, 1, key == KEY_DOWN);
		break;
	case KEY_PAGE_UP:
	case KEY_PAGE_DOWN:
		scroll(view, page, key == KEY_PAGE_DOWN);
		break;
	case KEY_HOME:
	case KEY_END:
		view->first = key == KEY_HOME ? 0 : LISTED;
		break;
	}
	return GO_ON;
}

/* --- showing --- */

static bool draw(struct top *top, size_t *ret_page)
{
	struct top_data data = data_of(top);
	struct top_screen screen;
	unsigned rows, columns;
	bool drawn = true;

	terminal_size(&rows, &columns);
	screen = top_screen(&top->view, &data, rows, columns);
	if (screen.text)
		drawn = terminal_draw(screen.text, screen.heading);
	free(screen.text);
	*ret_page = screen.page;
	return drawn;
}

static int time_until(uint64_t then_ns)
{
	uint64_t now_ns = clock_now_ns();

	return then_ns > now_ns ? (int)((then_ns - now_ns + 999999) / 1000000) : 0;
}

static void follow(struct top *top)
{
	uint64_t next_ns = clock_now_ns() + REFRESH_NS;
	enum wish wish = GO_ON;
	size_t page;

	while (wish != END && draw(top, &page)) {
		int key = terminal_wait(top->view.paused ? -1 : time_until(next_ns));

		wish = obey(top, key, page);
		if (wish == ASK_AGAIN || (wish == GO_ON && !top->view.paused && clock_now_ns() >= next_ns)) {
			refresh(top);
			next_ns = clock_now_ns() + REFRESH_NS;
		}
	}
}

static enum cli_exit show_once(const struct top *top, bool as_json)
{
	struct top_data data = data_of(top);
	char *text;

	if (as_json) {
		json_object_set_new(top->list, "items", top_sorted(top->list, top->view.sort));
		output_json(stdout, top->list);
		return CLI_OK;
	}
	text = top_table(&top->view, &data);
	if (text)
		puts(text);
	free(text);
	return text ? CLI_OK : CLI_REFUSED;
}

/* The value of an option among names, `otherwise` when it is not given; -1 when it is none of them. */
static int choice(const struct invocation *inv, const char *option, int (*find)(const char *name), int otherwise)
{
	const char *given = invocation_option(inv, option);
	int found = given ? find(given) : otherwise;

	if (found < 0)
		fprintf(stderr, "lunette: --%s %s: see lunette top --help\n", option, given);
	return found;
}

int run_top(struct client *client, const struct invocation *inv)
{
	struct top top = { .client = client };
	int kind = choice(inv, "kind", top_kind_find, TOP_LUN), sort = choice(inv, "sort", top_sort_find, TOP_IOPS);
	enum cli_exit verdict;

	if (kind < 0 || sort < 0)
		return CLI_USAGE;
	setlocale(LC_CTYPE, "");
	top.view.kind = (enum top_kind)kind;
	top.view.sort = (enum top_sort)sort;
	verdict = ask(&top);
	if (verdict == CLI_OK && (inv->json || invocation_option(inv, "once") || !terminal_usable())) {
		verdict = show_once(&top, inv->json);
	} else if (verdict == CLI_OK) {
		int error = terminal_open();

		if (error == 0) {
			follow(&top);
			terminal_close();
		} else {
			fprintf(stderr, "lunette: the terminal: %s\n", strerror(-error));
			verdict = CLI_REFUSED;
		}
	}
	json_decref(top.health);
	json_decref(top.host);
	json_decref(top.list);
	json_decref(top.sessions);
	return verdict;
}
