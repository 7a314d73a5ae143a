/* The screen of `lunette top`: see top_view.h. */
#include "cli/top_view.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define NAME_MIN       10 /* columns; fewer when the terminal has no more */
#define COLUMN_GAP     1
#define WHOLE_WIDTH    1000 /* of a table that is no screen */
#define LINE_MAX_BYTES 8192
#define NAME_MAX_BYTES 2048

const char *const top_kind_names[TOP_KINDS] = { "lun", "session", "target", "worker" };
const char *const top_sort_names[TOP_SORTS] = { "iops", "bytes", "p99", "queue" };
const char *const top_sort_metrics[TOP_SORTS] = { "iops", "bytes", "read_latency_p99", "queue_depth" };
static const char *const kind_titles[TOP_KINDS] = { "LUNs", "Sessions", "Targets", "Workers" };

static int find_name(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

int top_kind_find(const char *name)
{
	return find_name(top_kind_names, TOP_KINDS, name);
}

int top_sort_find(const char *name)
{
	return find_name(top_sort_names, TOP_SORTS, name);
}

/* --- values --- */

/* value with one of the units, each `step` times the one before. */
static void write_scaled(double value, double step, const char *const *units, unsigned count, char ret_text[16])
{
	unsigned unit = 0;
	double tenths;

	if (isnan(value)) {
		strcpy(ret_text, "-");
		return;
	}
	while (unit + 1 < count && fabs(value) >= step) {
		value /= step;
		unit++;
	}
	value = fmin(fmax(value, -9999), 99999);
	tenths = round(value * 10);
	snprintf(ret_text, 16, fmod(tenths, 10) == 0 || fabs(tenths) >= 1000 ? "%.0f%s" : "%.1f%s", value, units[unit]);
}

void top_number(double value, char ret_text[16])
{
	static const char *const units[] = { "", "k", "M", "G", "T" };

	write_scaled(value, 1000, units, 5, ret_text);
}

void top_bytes(double value, char ret_text[16])
{
	static const char *const units[] = { "", "K", "M", "G", "T", "P", "E" };

	write_scaled(value, 1024, units, 7, ret_text);
}

void top_duration(double seconds, char ret_text[16])
{
	static const char *const units[] = { "us", "ms", "s" };

	write_scaled(seconds * 1e6, 1000, units, 3, ret_text);
}

static void top_percent(double value, char ret_text[16])
{
	if (isnan(value))
		strcpy(ret_text, "-");
	else
		snprintf(ret_text, 16, "%.0f%%", fmin(fmax(value, 0), 99999));
}

static double value_of(const json_t *item, const char *metric)
{
	const json_t *value = json_object_get(json_object_get(item, "values"), metric);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

/* What is known of both; NAN: nothing. */
static double sum_of(double a, double b)
{
	return isnan(a) ? b : isnan(b) ? a : a + b;
}

/* --- columns --- */

#define OF(kind) (1u << (kind))
#define ALL      (OF(TOP_KINDS) - 1)

static const struct column {
	const char *heading;
	unsigned kinds, width, rank; /* rank: the highest ones go first when there is no room */
	const char *first, *second;  /* metrics; the second is added, or NULL */
	void (*write)(double value, char ret_text[16]);
} column_rows[] = {
	{ "IOPS", ALL, 6, 0, "read_iops", "write_iops", top_number },
	{ "R/S", ALL, 6, 6, "read_iops", NULL, top_number },
	{ "W/S", ALL, 6, 7, "write_iops", NULL, top_number },
	{ "BYTES/S", ALL, 7, 1, "read_bytes_per_s", "write_bytes_per_s", top_bytes },
	{ "RB/S", ALL, 6, 8, "read_bytes_per_s", NULL, top_bytes },
	{ "WB/S", ALL, 6, 9, "write_bytes_per_s", NULL, top_bytes },
	{ "R-P99", ALL, 6, 2, "read_latency_p99", NULL, top_duration },
	{ "W-P99", ALL, 6, 3, "write_latency_p99", NULL, top_duration },
	{ "QUEUE", ALL, 5, 4, "queue_depth", NULL, top_number },
	{ "ERR/S", ALL, 5, 5, "errors_per_s", NULL, top_number },
	{ "USED", OF(TOP_LUN), 6, 10, "allocated_bytes", NULL, top_bytes },
	{ "SIZE", OF(TOP_LUN), 6, 11, "size_bytes", NULL, top_bytes },
	{ "SESS", OF(TOP_TARGET) | OF(TOP_WORKER), 5, 10, "sessions", NULL, top_number },
	{ "CPU", OF(TOP_WORKER), 5, 5, "cpu_percent", NULL, top_percent },
	{ "MEM", OF(TOP_WORKER), 6, 11, "memory_bytes", NULL, top_bytes },
};
#define COLUMNS (sizeof column_rows / sizeof column_rows[0])

/* Which columns fit beside a name of NAME_MIN; a bit each. *ret_width: of all of them. */
static unsigned choose_columns(enum top_kind kind, unsigned room, unsigned *ret_width)
{
	unsigned chosen = 0;

	*ret_width = 0;
	for (unsigned rank = 0; rank <= COLUMNS; rank++)
		for (unsigned i = 0; i < COLUMNS; i++) {
			unsigned more = column_rows[i].width + COLUMN_GAP;

			if (column_rows[i].rank != rank || !(column_rows[i].kinds & OF(kind)))
				continue;
			if (*ret_width + more + NAME_MIN > room)
				return chosen;
			chosen |= 1u << i;
			*ret_width += more;
		}
	return chosen;
}

/* --- text --- */

/* The next character of the text, as long as *ret_bytes, harmless; returns its columns. */
static unsigned next_character(const char *text, size_t *ret_bytes, const char **ret_shown)
{
	wchar_t c;
	mbstate_t state = { 0 };
	size_t bytes = mbrtowc(&c, text, MB_CUR_MAX, &state);
	bool valid = bytes != 0 && bytes != (size_t)-1 && bytes != (size_t)-2;
	int width = valid ? wcwidth(c) : -1;

	*ret_bytes = valid ? bytes : 1;
	*ret_shown = width < 0 ? "?" : text;
	return width < 0 ? 1 : (unsigned)width;
}

unsigned top_fit(const char *text, unsigned room, char *ret_text, size_t size)
{
	unsigned taken = 0, cut_taken = 0;
	size_t len = 0, cut_len = 0; /* cut: the longest part that leaves room for '~' */

	while (*text && room) {
		const char *shown;
		size_t bytes, shown_bytes;
		unsigned width = next_character(text, &bytes, &shown);

		shown_bytes = shown == text ? bytes : 1;
		text += bytes;
		if (width == 0)
			continue; /* combines with others, or directs the text: neither is needed */
		if (taken + width > room || len + shown_bytes + 2 > size) {
			ret_text[cut_len] = '~';
			len = cut_len + 1;
			taken = cut_taken + 1;
			break;
		}
		memcpy(ret_text + len, shown, shown_bytes);
		len += shown_bytes;
		taken += width;
		if (taken < room) {
			cut_len = len;
			cut_taken = taken;
		}
	}
	ret_text[len] = '\0';
	return taken;
}

/* --- lines --- */

struct lines {
	FILE *out;
	unsigned count, rows, width;
};

/* One line, cut to the width; nothing when the screen is full. */
static void add_line(struct lines *lines, const char *text)
{
	char fitting[LINE_MAX_BYTES];

	if (lines->count >= lines->rows)
		return;
	top_fit(text, lines->width, fitting, sizeof fitting);
	fprintf(lines->out, "%s%s", lines->count++ ? "\n" : "", fitting);
}

static void add_health(struct lines *lines, const struct top_data *data)
{
	const char *status = json_string_value(json_object_get(data->health, "status"));
	const char *summary = json_string_value(json_object_get(data->health, "summary"));
	char text[512];

	if (data->trouble && data->trouble[0])
		snprintf(text, sizeof text, "%s", data->trouble);
	else
		snprintf(text, sizeof text, "lunette: %s. %s", status ? status : "health unknown", summary ? summary : "");
	add_line(lines, text);
}

static void add_totals(struct lines *lines, const struct top_data *data)
{
	const json_t *host = json_array_get(json_object_get(data->host, "items"), 0);
	char iops[16], bytes[16], p99[16], cpu[16], memory[16], sessions[16], text[160];

	top_number(sum_of(value_of(host, "read_iops"), value_of(host, "write_iops")), iops);
	top_bytes(sum_of(value_of(host, "read_bytes_per_s"), value_of(host, "write_bytes_per_s")), bytes);
	top_duration(fmax(value_of(host, "read_latency_p99"), value_of(host, "write_latency_p99")), p99);
	top_percent(value_of(host, "cpu_percent"), cpu);
	top_bytes(value_of(host, "memory_bytes"), memory);
	top_number(value_of(host, "sessions"), sessions);
	snprintf(text, sizeof text, "%s IOPS  %s/s  p99 %s  host CPU %s, memory %s  %s sessions", iops, bytes, p99, cpu, memory,
		 sessions);
	add_line(lines, text);
}

static void add_title(struct lines *lines, const struct top_view *view, size_t shown, size_t count)
{
	char text[160];

	snprintf(text, sizeof text, "%s by %s, %zu-%zu of %zu%s  (h: help)", kind_titles[view->kind], top_sort_names[view->sort],
		 count ? view->first + 1 : 0, view->first + shown, count, view->paused ? "  PAUSED" : "");
	add_line(lines, text);
}

/* "7-12 iqn... -> iqn..." for a session that is known, else the name. */
static void name_of(const struct top_view *view, const struct top_data *data, const json_t *item, char name[NAME_MAX_BYTES])
{
	const char *id = json_string_value(json_object_get(item, "name"));
	json_t *session;
	size_t i;

	snprintf(name, NAME_MAX_BYTES, "%s", id ? id : "-");
	if (view->kind != TOP_SESSION || !id)
		return;
	json_array_foreach(json_object_get(data->sessions, "items"), i, session) {
		const char *session_id = json_string_value(json_object_get(session, "id"));
		const char *initiator = json_string_value(json_object_get(session, "initiator"));
		const char *target = json_string_value(json_object_get(session, "target"));

		if (session_id && initiator && target && strcmp(session_id, id) == 0)
			snprintf(name, NAME_MAX_BYTES, "%s %s > %s", id, initiator, target);
	}
}

/* item NULL: the headings. */
static void add_row(struct lines *lines, const char *name, const json_t *item, unsigned chosen, unsigned name_width)
{
	char line[LINE_MAX_BYTES], fitting[NAME_MAX_BYTES + 1], value[16];
	unsigned taken = top_fit(name, name_width, fitting, sizeof fitting);
	size_t len = (size_t)snprintf(line, sizeof line, "%s%*s", fitting, (int)(name_width - taken), "");

	for (unsigned i = 0; i < COLUMNS && len < sizeof line - 32; i++) {
		const struct column *column = &column_rows[i];

		if (!(chosen & 1u << i))
			continue;
		if (item)
			column->write(column->second ? sum_of(value_of(item, column->first), value_of(item, column->second)) :
						       value_of(item, column->first),
				      value);
		len += (size_t)snprintf(line + len, sizeof line - len, " %*s", (int)column->width,
					item ? value : column->heading);
	}
	add_line(lines, line);
}

static const char *const help_lines[] = {
	"",
	"q      end",
	"k      the next kind: LUNs, sessions, targets, workers",
	"s      sort by the next: iops, bytes, p99, queue",
	"p      pause",
	"up, down, page up, page down, home, end   scroll",
	"h      back",
	"",
	"IOPS, R/S, W/S            commands a second: both, reads, writes",
	"BYTES/S, RB/S, WB/S       bytes a second: both, read, written",
	"R-P99, W-P99              99 of 100 reads, writes took at most this long",
	"QUEUE                     commands being worked on",
	"ERR/S                     commands that failed, a second",
	"USED, SIZE                space allocated for a LUN, and its capacity",
	"SESS, CPU, MEM            sessions; CPU (100 % is one) and memory of a worker",
	"-                         unknown",
};

/* --- sorting --- */

static double sort_value(const json_t *item, enum top_sort sort)
{
	switch (sort) {
	case TOP_IOPS:
		return sum_of(value_of(item, "read_iops"), value_of(item, "write_iops"));
	case TOP_BYTES:
		return sum_of(value_of(item, "read_bytes_per_s"), value_of(item, "write_bytes_per_s"));
	case TOP_P99:
		return fmax(value_of(item, "read_latency_p99"), value_of(item, "write_latency_p99"));
	case TOP_QUEUE:
	case TOP_SORTS:
		break;
	}
	return value_of(item, "queue_depth");
}

struct ranked {
	double value;
	size_t at;
	json_t *item;
};

static int rank_order(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (isnan(x->value) != isnan(y->value))
		return isnan(x->value) ? 1 : -1;
	if (!isnan(x->value) && x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

json_t *top_sorted(const json_t *list, enum top_sort sort)
{
	const json_t *items = json_object_get(list, "items");
	size_t count = json_array_size(items);
	struct ranked *ranked = calloc(count + 1, sizeof *ranked);
	json_t *sorted = json_array();

	for (size_t i = 0; i < count && ranked; i++) {
		ranked[i].item = json_array_get(items, i);
		ranked[i].value = sort_value(ranked[i].item, sort);
		ranked[i].at = i;
	}
	if (count && ranked)
		qsort(ranked, count, sizeof *ranked, rank_order);
	for (size_t i = 0; i < count && ranked; i++)
		json_array_append(sorted, ranked[i].item);
	free(ranked);
	return sorted;
}

/* --- the whole --- */

static void add_table(struct lines *lines, struct top_view *view, const struct top_data *data, struct top_screen *screen)
{
	json_t *items = top_sorted(data->list, view->sort);
	unsigned width, chosen = choose_columns(view->kind, lines->width, &width);
	unsigned name_width = lines->width > width ? lines->width - width : 0;
	size_t count = json_array_size(items), most, shown;
	char name[NAME_MAX_BYTES];

	screen->page = lines->rows > lines->count + 2 ? lines->rows - lines->count - 2 : 0;
	most = count > screen->page ? count - screen->page : 0;
	if (view->first > most)
		view->first = most;
	shown = count - view->first < screen->page ? count - view->first : screen->page;
	add_title(lines, view, shown, count);
	screen->heading = lines->count;
	add_row(lines, "NAME", NULL, chosen, name_width);
	for (size_t i = 0; i < shown; i++) {
		const json_t *item = json_array_get(items, view->first + i);

		name_of(view, data, item, name);
		add_row(lines, name, item, chosen, name_width);
	}
	json_decref(items);
}

struct top_screen top_screen(struct top_view *view, const struct top_data *data, unsigned rows, unsigned columns)
{
	struct top_screen screen = { 0 };
	size_t size;
	struct lines lines = { .out = open_memstream(&screen.text, &size), .rows = rows,
			       .width = columns < WHOLE_WIDTH ? columns : WHOLE_WIDTH };

	if (!lines.out)
		return screen;
	add_health(&lines, data);
	if (view->help) {
		for (size_t i = 0; i < sizeof help_lines / sizeof help_lines[0]; i++)
			add_line(&lines, help_lines[i]);
	} else {
		add_totals(&lines, data);
		add_table(&lines, view, data, &screen);
	}
	if (fclose(lines.out) != 0) {
		free(screen.text);
		screen.text = NULL;
	}
	return screen;
}

char *top_table(const struct top_view *view, const struct top_data *data)
{
	json_t *items = top_sorted(data->list, view->sort), *item;
	unsigned width, chosen = choose_columns(view->kind, WHOLE_WIDTH, &width), name_width = NAME_MIN;
	char name[NAME_MAX_BYTES], fitting[NAME_MAX_BYTES + 1], *text = NULL;
	size_t size, i;
	struct lines lines = { .out = open_memstream(&text, &size), .rows = UINT_MAX, .width = WHOLE_WIDTH };

	json_array_foreach(items, i, item) {
		unsigned taken;

		name_of(view, data, item, name);
		taken = top_fit(name, WHOLE_WIDTH - width, fitting, sizeof fitting);
		name_width = taken > name_width ? taken : name_width;
	}
	if (lines.out)
		add_row(&lines, "NAME", NULL, chosen, name_width);
	json_array_foreach(items, i, item) {
		name_of(view, data, item, name);
		if (lines.out)
			add_row(&lines, name, item, chosen, name_width);
	}
	json_decref(items);
	if (lines.out && fclose(lines.out) == 0)
		return text;
	free(text);
	return NULL;
}
