/* Series: ranges, JSON and CSV; see series.h. */
#include "monitor/series.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

#define YEAR_MAX 9999
#define AGO_MAX  100000000

const struct series_archive series_archives[SERIES_ARCHIVES] = {
	{ 1, 3600 },      /* an hour */
	{ 10, 8640 },     /* a day */
	{ 60, 10080 },    /* a week */
	{ 600, 105120 },  /* two years */
};

void series_set_free(struct series_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->series_count; i++)
		free(set->series[i].value);
	free(set->series);
	free(set);
}

void heat_map_free(struct heat_map *map)
{
	if (map)
		free(map->value);
	free(map);
}

/* --- time --- */

static bool parse_ago(const char *text, int64_t now_s, int64_t *ret_s)
{
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 }, { 'y', 31536000 } };
	char *end;
	long n;

	if (text[0] != '-' || text[1] < '0' || text[1] > '9' || strlen(text) > 12)
		return false;
	n = strtol(text + 1, &end, 10);
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (*end == units[i].letter && end[1] == '\0' && n <= AGO_MAX) {
			*ret_s = now_s - n * units[i].seconds;
			return *ret_s >= 0;
		}
	return false;
}

static bool all_digits(const char *text)
{
	return text[0] && text[strspn(text, "0123456789")] == '\0';
}

/* d: a digit, +: a sign, T: what may be between date and time. The text may go on behind it. */
static bool has_shape(const char *text, const char *shape)
{
	for (; *shape; shape++, text++) {
		const char *allowed = *shape == 'd' ? "0123456789" : *shape == '+' ? "+-" : *shape == 'T' ? "Tt " : NULL;

		if (*text == '\0' || (allowed ? !strchr(allowed, *text) : *text != *shape))
			return false;
	}
	return true;
}

/* +hh:mm, -hh:mm or Z; seconds to subtract. */
static bool parse_zone(const char *text, int64_t *ret_s)
{
	unsigned hours, minutes;

	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
		*ret_s = 0;
		return true;
	}
	if (!has_shape(text, "+dd:dd") || text[6] || sscanf(text + 1, "%2u:%2u", &hours, &minutes) != 2 || hours > 23 ||
	    minutes > 59)
		return false;
	*ret_s = (int64_t)(hours * 3600 + minutes * 60) * (text[0] == '-' ? -1 : 1);
	return true;
}

/* RFC 3339 section 5.6; fractions of a second are ignored. */
static bool parse_date(const char *text, int64_t *ret_s)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	unsigned year, month, day, hour, minute, second;
	int64_t zone_s;
	struct tm tm = { 0 };

	if (!has_shape(text, shape) ||
	    sscanf(text, "%4u-%2u-%2u%*c%2u:%2u:%2u", &year, &month, &day, &hour, &minute, &second) != 6)
		return false;
	text += sizeof shape - 1;
	if (*text == '.') {
		size_t digits = strspn(text + 1, "0123456789");

		if (digits == 0 || digits > 9)
			return false;
		text += 1 + digits;
	}
	if (year < 1970 || year > YEAR_MAX || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
	    second > 60 || !parse_zone(text, &zone_s))
		return false;
	tm = (struct tm){ .tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day, .tm_hour = (int)hour,
			  .tm_min = (int)minute, .tm_sec = (int)second };
	*ret_s = (int64_t)timegm(&tm) - zone_s;
	return tm.tm_mday == (int)day && *ret_s >= 0; /* 31 April became 1 May */
}

bool series_time_parse(const char *text, int64_t now_s, int64_t *ret_s)
{
	int64_t value;

	if (strcmp(text, "now") == 0)
		value = now_s;
	else if (all_digits(text) && strlen(text) <= 12)
		value = strtoll(text, NULL, 10);
	else if (!parse_ago(text, now_s, &value) && !parse_date(text, &value))
		return false;
	*ret_s = value;
	return true;
}

/* --- range and step --- */

unsigned series_archive_step(int64_t from_s, int64_t now_s)
{
	for (unsigned i = 0; i + 1 < SERIES_ARCHIVES; i++)
		if (now_s - from_s <= (int64_t)series_archives[i].step_s * series_archives[i].rows)
			return series_archives[i].step_s;
	return series_archives[SERIES_ARCHIVES - 1].step_s;
}

unsigned series_step(int64_t from_s, int64_t to_s, int64_t now_s)
{
	int64_t step_s = series_archive_step(from_s, now_s), points = (to_s - from_s + step_s - 1) / step_s;

	return (unsigned)(step_s * ((points + SERIES_POINTS_AUTO - 1) / SERIES_POINTS_AUTO));
}

static int64_t round_up(int64_t value, int64_t step)
{
	return (value + step - 1) / step * step;
}

static bool parse_step(const char *text, int64_t now_s, struct series_query *query, struct problem *problem)
{
	int64_t finest_s = series_archive_step(query->from_s, now_s);

	if (!text || strcmp(text, "auto") == 0) {
		query->step_s = series_step(query->from_s, query->to_s, now_s);
	} else if (all_digits(text) && strlen(text) <= 9 && atoi(text) > 0) {
		query->step_s = (unsigned)round_up(atoi(text), finest_s);
	} else {
		problem_set(problem, 400, "invalid-step", "", "step must be auto or a number of seconds from 1 on.");
		return false;
	}
	query->from_s = query->from_s / query->step_s * query->step_s;
	query->to_s = round_up(query->to_s, query->step_s);
	if ((query->to_s - query->from_s) / query->step_s > SERIES_POINTS_MAX) {
		problem_set(problem, 400, "too-large", "", "That would be more than %d points: take a larger step.",
			    SERIES_POINTS_MAX);
		return false;
	}
	return true;
}

static bool parse_time(const char *name, const char *text, int64_t now_s, int64_t *ret_s, struct problem *problem)
{
	if (series_time_parse(text, now_s, ret_s))
		return true;
	problem_set(problem, 400, "invalid-range", "",
		    "%s must be now, a time ago (-30m; s, m, h, d, w, y), RFC 3339 or seconds since 1970.", name);
	return false;
}

bool series_range_parse(const char *from, const char *to, const char *step, const char *cf, int64_t now_s,
			struct series_query *ret_query, struct problem *problem)
{
	struct series_query *q = ret_query;

	if (!parse_time("from", from ? from : "-1h", now_s, &q->from_s, problem) ||
	    !parse_time("to", to ? to : "now", now_s, &q->to_s, problem))
		return false;
	if (q->from_s >= q->to_s) {
		problem_set(problem, 400, "invalid-range", "", "from must be before to.");
		return false;
	}
	if (q->to_s - q->from_s > SERIES_RANGE_MAX_S || q->to_s > now_s + SERIES_RANGE_MAX_S) {
		problem_set(problem, 400, "invalid-range", "", "A range may be three years long.");
		return false;
	}
	if (!cf || strcmp(cf, "average") == 0) {
		q->cf = SERIES_CF_AVERAGE;
	} else if (strcmp(cf, "max") == 0) {
		q->cf = SERIES_CF_MAX;
	} else {
		problem_set(problem, 400, "invalid-cf", "", "cf must be average or max.");
		return false;
	}
	return parse_step(step, now_s, q, problem);
}

bool series_size_check(const struct series_query *query, struct problem *problem)
{
	size_t series = 0, points = (size_t)((query->to_s - query->from_s) / (query->step_s ? query->step_s : 1));
	enum metric_id column[METRICS];

	for (size_t i = 0; i < query->object_count; i++) {
		unsigned width = metric_columns(query->objects[i].kind, column);

		for (unsigned c = 0; c < width; c++)
			series += query->metric[column[c]];
	}
	if (series > SERIES_MAX)
		problem_set(problem, 400, "too-large", "", "That would be %zu series, at most %d fit in one answer: "
			    "take fewer objects or metrics.", series, SERIES_MAX);
	else if (series * points > SERIES_VALUES_MAX)
		problem_set(problem, 400, "too-large", "", "That would be %zu values, at most %d fit in one answer: "
			    "take fewer objects or metrics, or a larger step.", series * points, SERIES_VALUES_MAX);
	else
		return true;
	return false;
}

/* --- writing --- */

static void put_value(FILE *out, double value, const char *unknown)
{
	if (isnan(value) || isinf(value))
		fputs(unknown, out);
	else if (fabs(value) < 1e15 && value == floor(value))
		fprintf(out, "%.0f", value);
	else
		fprintf(out, "%.9g", value);
}

/* Bytes of one character of UTF-8 (RFC 3629); 0: it is none. */
static size_t utf8_len(const unsigned char *c)
{
	size_t len = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : c[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < len; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) || (c[0] == 0xf0 && c[1] < 0x90) ||
	    (c[0] == 0xf4 && c[1] > 0x8f))
		return 0;
	return len;
}

/* Names come from iSCSI and from requests: what JSON does not let stand is escaped, what is no UTF-8 becomes U+FFFD. */
static void put_json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (const unsigned char *c = (const unsigned char *)text; *c;) {
		size_t len = utf8_len(c);

		if (len == 0)
			fputs("\\ufffd", out);
		else if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c < 0x20 || *c == 0x7f)
			fprintf(out, "\\u%04x", *c);
		else
			fwrite(c, 1, len, out);
		c += len ? len : 1;
	}
	fputc('"', out);
}

static void put_series_json(FILE *out, const struct series_set *set, const struct series *series)
{
	const struct metric_row *row = &metric_rows[series->metric];
	char object[STATS_NAME_MAX + 16];

	snprintf(object, sizeof object, "%s:%s", object_kind_name(series->object.kind), series->object.name);
	fputs("{\"object\":", out);
	put_json_text(out, object);
	fprintf(out, ",\"metric\":\"%s\",\"unit\":\"%s\",\"title\":\"%s\",\"meaning\":\"%s\",\"values\":[", row->name,
		metric_unit_name(row->unit), row->title, row->meaning);
	for (size_t i = 0; i < set->point_count; i++) {
		if (i)
			fputc(',', out);
		put_value(out, series->value[i], "null");
	}
	fputs("]}", out);
}

static const char *cf_name(enum series_cf cf)
{
	return cf == SERIES_CF_MAX ? "max" : "average";
}

char *series_json(const struct series_set *set)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "{\"from\":%" PRId64 ",\"to\":%" PRId64 ",\"step_s\":%u,\"cf\":\"%s\",\"series\":[", set->from_s,
		set->from_s + (int64_t)(set->point_count * set->step_s), set->step_s, cf_name(set->cf));
	for (size_t i = 0; i < set->series_count; i++) {
		if (i)
			fputc(',', out);
		put_series_json(out, set, &set->series[i]);
	}
	fputs("]}", out);
	fclose(out);
	return text;
}

/* RFC 4180: a name with a comma or a quote is quoted. A leading = + - @ would be a formula in a spreadsheet; a kind leads. */
static void put_csv_head(FILE *out, const struct series *series)
{
	fprintf(out, ",\"%s:", object_kind_name(series->object.kind));
	for (const char *c = series->object.name; *c; c++) {
		if (*c == '"')
			fputc('"', out);
		fputc(*c, out);
	}
	fprintf(out, " %s\"", metric_rows[series->metric].name);
}

char *series_csv(const struct series_set *set)
{
	char *text = NULL, time[CLOCK_TEXT_LEN];
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs("time", out);
	for (size_t i = 0; i < set->series_count; i++)
		put_csv_head(out, &set->series[i]);
	fputs("\r\n", out);
	for (size_t p = 0; p < set->point_count; p++) {
		clock_format((uint64_t)(set->from_s + (int64_t)((p + 1) * set->step_s)) * 1000, time);
		fputs(time, out);
		for (size_t i = 0; i < set->series_count; i++) {
			fputc(',', out);
			put_value(out, set->series[i].value[p], "");
		}
		fputs("\r\n", out);
	}
	fclose(out);
	return text;
}
