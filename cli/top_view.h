/*
 * What `lunette top` shows, from what the service answered to lines of text. Pure: nothing is asked, nothing is printed.
 *
 *   health           lunette: ok. Everything is served.
 *   totals           12.3k IOPS  1.2G/s  p99 1.4ms  CPU 34%  12 sessions
 *   LUNs by iops     1-20 of 132
 *   NAME    IOPS ... as many columns as fit; the name has what is left
 *   vol1    8.1k
 *
 * No line is wider than the terminal; what a name has of control characters and of invalid text is a '?' there.
 */
#ifndef LUNETTE_CLI_TOP_VIEW_H
#define LUNETTE_CLI_TOP_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum top_kind { TOP_LUN, TOP_SESSION, TOP_TARGET, TOP_WORKER, TOP_KINDS };
enum top_sort { TOP_IOPS, TOP_BYTES, TOP_P99, TOP_QUEUE, TOP_SORTS };

extern const char *const top_kind_names[TOP_KINDS];   /* as ?kind= takes it */
extern const char *const top_sort_names[TOP_SORTS];   /* for people and --sort */
extern const char *const top_sort_metrics[TOP_SORTS]; /* as ?sort= takes it */
int top_kind_find(const char *name); /* -1: none */
int top_sort_find(const char *name);

/* Answers of the service; each may be NULL, unknown. Borrowed. */
struct top_data {
	const json_t *health;   /* GET /api/v1/health */
	const json_t *host;     /* GET /api/v1/top?kind=host */
	const json_t *list;     /* GET /api/v1/top of the kind */
	const json_t *sessions; /* {"items": [...]} of GET /api/v1/sessions: who the sessions are */
	const char *trouble;    /* "" when there is none: shown instead of the health */
};

struct top_view {
	enum top_kind kind;
	enum top_sort sort;
	size_t first;           /* of the rows, how many are scrolled past; made valid by top_screen */
	bool paused, help;
};

struct top_screen {
	char *text;             /* lines with '\n' between them, at most `rows`, each at most `columns` wide; NULL: no memory */
	unsigned heading;       /* number of the line with the headings; 0: none (line 0 is the health) */
	size_t page;            /* rows of the table that fit */
};

/* The largest first, unknown last; a new reference: an array of the items of the list. */
json_t *top_sorted(const json_t *list, enum top_sort sort);
/* The screen of a terminal; free text. */
struct top_screen top_screen(struct top_view *view, const struct top_data *data, unsigned rows, unsigned columns);
/* One table with every column and the whole names, for --once; free. NULL: no memory. */
char *top_table(const struct top_view *view, const struct top_data *data);

/* "-" (unknown), "0.5", "123", "1.2k"; "17.5M" of bytes; "230us", "1.4ms", "2.1s". At most 7 characters. */
void top_number(double value, char ret_text[16]);
void top_bytes(double value, char ret_text[16]);
void top_duration(double seconds, char ret_text[16]);
/* At most `columns` columns of the text, harmless; returns how many it takes. A longer one ends with '~'. */
unsigned top_fit(const char *text, unsigned columns, char *ret_text, size_t size);

#endif
