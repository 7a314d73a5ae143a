/* Answers of the history: see history_query.h. */
#include "monitor/history_query.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

/* --- the grid --- */

/* What is known of one column in one step. */
struct cell {
	double sum, known_s, max; /* sum: value times seconds */
};

struct grid {
	int64_t from_s, to_s;
	unsigned step_s;
	size_t points, columns;
	unsigned column[RRD_SOURCES_MAX]; /* of the rows */
	struct cell *cell;                /* points * columns */
};

static void add_row(struct grid *g, int64_t from_s, int64_t to_s, const double *row)
{
	if (from_s < g->from_s)
		from_s = g->from_s;
	if (to_s > g->to_s)
		to_s = g->to_s;
	while (from_s < to_s) {
		size_t point = (size_t)((from_s - g->from_s) / g->step_s);
		int64_t end_s = g->from_s + (int64_t)(point + 1) * g->step_s;
		double part_s = (double)((to_s < end_s ? to_s : end_s) - from_s);
		struct cell *cell = g->cell + point * g->columns;

		for (size_t c = 0; c < g->columns; c++) {
			double value = row[g->column[c]];

			if (isnan(value))
				continue;
			cell[c].max = cell[c].known_s > 0 && cell[c].max > value ? cell[c].max : value;
			cell[c].sum += value * part_s;
			cell[c].known_s += part_s;
		}
		from_s = end_s;
	}
}

static double cell_value(const struct grid *g, size_t point, size_t column, enum series_cf cf)
{
	const struct cell *cell = &g->cell[point * g->columns + column];

	if (cell->known_s == 0)
		return NAN;
	return cf == SERIES_CF_MAX ? cell->max : cell->sum / cell->known_s;
}

/* Whole steps around the range, but none that is not over yet, unless it is the only one. */
static void set_range(struct grid *g, int64_t from_s, int64_t to_s, unsigned step_s, int64_t now_s)
{
	int64_t step = step_s, over_s = now_s / step * step;

	g->step_s = step_s;
	g->from_s = from_s / step * step;
	g->to_s = (to_s + step - 1) / step * step;
	if (g->to_s > over_s)
		g->to_s = over_s;
	if (g->to_s <= g->from_s)
		g->to_s = g->from_s + step;
	g->points = (size_t)((g->to_s - g->from_s) / step);
}

static int grid_new_cells(struct grid *g)
{
	g->cell = calloc(g->points * g->columns + 1, sizeof *g->cell);
	return g->cell ? 0 : -ENOMEM;
}

/* --- archives --- */

struct span {
	const struct rrd_archive *archive;
	int64_t step_s, from_s, to_s;
};

/* One row a step is its own maximum: the finest archive serves both. */
static unsigned list_spans(const struct history_file *file, enum series_cf cf, struct span *ret_spans)
{
	unsigned count = 0;

	for (unsigned i = 0; i < file->schema->archive_count; i++) {
		const struct rrd_archive *a = &file->schema->archives[i];
		int64_t step_s = (int64_t)a->steps * file->schema->step_s, to_s = file->last_s / step_s * step_s;

		if (a->cf == cf || a->steps == 1)
			ret_spans[count++] = (struct span){ a, step_s, to_s - step_s * a->rows, to_s };
	}
	return count;
}

static bool divides(const struct span *span, int64_t at_s, const struct grid *g)
{
	return g->step_s % span->step_s == 0 && at_s % span->step_s == 0;
}

/* The archive to read from at_s on, NULL: none has it. *ret_to_s: as far as that is the one to read. */
static const struct span *choose(const struct span *spans, unsigned count, int64_t at_s, const struct grid *g,
				 int64_t *ret_to_s)
{
	const struct span *best = NULL;

	for (unsigned i = 0; i < count; i++) { /* finest first */
		if (spans[i].from_s > at_s || spans[i].to_s <= at_s)
			continue;
		if (!best || divides(&spans[i], at_s, g))
			best = &spans[i];
	}
	*ret_to_s = best && best->to_s < g->to_s ? best->to_s : g->to_s;
	if (best && divides(best, at_s, g))
		return best;
	for (unsigned i = 0; i < count; i++) /* a better one may begin before that */
		if (spans[i].from_s > at_s && spans[i].from_s < *ret_to_s)
			*ret_to_s = spans[i].from_s;
	return best;
}

static void read_span(struct grid *g, const struct history_file *file, const struct span *span, int64_t from_s, int64_t to_s)
{
	struct err err = { 0 };
	double *value = NULL;
	int64_t row_s = 0;
	size_t rows = 0;

	if (rrd_file_fetch(file->schema, file->path, span->archive, from_s, to_s, &value, &rows, &row_s, &err)) {
		log_limited(LOG_WARNING, "history is not read: %s", err.text);
		return;
	}
	for (size_t i = 0; i < rows; i++, row_s += span->step_s)
		add_row(g, row_s > from_s ? row_s : from_s, row_s + span->step_s < to_s ? row_s + span->step_s : to_s,
			value + i * file->schema->source_count);
	free(value);
}

static void read_file(struct grid *g, const struct history_file *file, enum series_cf cf)
{
	struct span spans[RRD_ARCHIVES_MAX];
	unsigned count = list_spans(file, cf, spans);
	int64_t at_s = g->from_s, to_s;

	for (; at_s < g->to_s && at_s < file->last_s; at_s = to_s) {
		const struct span *span = choose(spans, count, at_s, g, &to_s);

		if (span)
			read_span(g, file, span, at_s, to_s);
	}
}

/* last_s: of the file, whose rows these follow. */
static void add_pending(struct grid *g, const struct history_rows *rows, int64_t last_s)
{
	int64_t step_s = rows->table == HISTORY_HEAT ? 10 : 1;

	for (size_t i = 0; i < rows->count; i++) {
		int64_t time_s = rows->time_s[i];

		if (time_s <= last_s)
			continue;
		if (time_s - last_s > HISTORY_GAP_STEPS * step_s)
			last_s = time_s - step_s;
		add_row(g, last_s, time_s, rows->value + i * rows->width);
		last_s = time_s;
	}
}

/* 0 or -ENOENT. */
static int fill(struct grid *g, struct history_files *files, enum history_table table, const struct object_name *object,
		const struct history_rows *pending, enum series_cf cf, int64_t now_s)
{
	struct history_file file;
	bool found = files && history_files_find(files, table, object, now_s, &file) == 0;

	if (!found && !pending)
		return -ENOENT;
	if (found)
		read_file(g, &file, cf);
	if (pending && pending->width == history_width(table, object->kind))
		add_pending(g, pending, found ? file.last_s : INT64_MIN / 2);
	return 0;
}

/* --- series --- */

static size_t select_columns(const struct series_query *query, enum object_kind kind, struct grid *g)
{
	enum metric_id column[METRICS];
	unsigned width = metric_columns(kind, column);

	g->columns = 0;
	for (unsigned i = 0; i < width; i++)
		if (query->metric[column[i]])
			g->column[g->columns++] = i;
	return g->columns;
}

static int take_series(const struct grid *g, const struct object_name *object, enum series_cf cf, struct series_set *set)
{
	enum metric_id column[METRICS];

	metric_columns(object->kind, column);
	for (size_t c = 0; c < g->columns; c++) {
		struct series *series = &set->series[set->series_count];

		series->value = malloc(g->points * sizeof *series->value);
		if (!series->value)
			return -ENOMEM;
		series->object = *object;
		series->metric = column[g->column[c]];
		for (size_t p = 0; p < g->points; p++)
			series->value[p] = cell_value(g, p, c, cf);
		set->series_count++;
	}
	return 0;
}

static int answer_object(struct grid *g, struct history_files *files, const struct series_query *query,
			 const struct object_name *object, const struct history_rows *pending, int64_t now_s,
			 struct series_set *set)
{
	int error;

	select_columns(query, object->kind, g);
	error = grid_new_cells(g);
	if (!error)
		error = fill(g, files, HISTORY_METRICS, object, pending, query->cf, now_s);
	if (!error)
		error = take_series(g, object, query->cf, set);
	free(g->cell);
	g->cell = NULL;
	return error;
}

static int set_new(struct grid *g, const struct series_query *query, struct series_set **ret_set)
{
	struct series_set *set;
	size_t count = 0;

	for (size_t i = 0; i < query->object_count; i++)
		count += select_columns(query, query->objects[i].kind, g);
	if (count > SERIES_MAX || g->points > SERIES_POINTS_MAX || count * g->points > SERIES_VALUES_MAX)
		return -E2BIG;
	set = calloc(1, sizeof *set);
	if (!set)
		return -ENOMEM;
	*set = (struct series_set){ .from_s = g->from_s, .step_s = g->step_s, .point_count = g->points, .cf = query->cf,
				    .series = calloc(count + 1, sizeof *set->series) };
	if (!set->series) {
		free(set);
		return -ENOMEM;
	}
	*ret_set = set;
	return 0;
}

int history_answer_series(struct history_files *files, const struct series_query *query, struct history_rows *const *pending,
			  int64_t now_s, struct object_name *ret_missing, struct series_set **ret_set)
{
	struct grid g = { 0 };
	struct series_set *set = NULL;
	int error;

	set_range(&g, query->from_s, query->to_s,
		  query->step_s ? query->step_s : series_step(query->from_s, query->to_s, now_s), now_s);
	error = set_new(&g, query, &set);
	for (size_t i = 0; i < query->object_count && !error; i++) {
		error = answer_object(&g, files, query, &query->objects[i], pending[i], now_s, set);
		if (error == -ENOENT)
			*ret_missing = query->objects[i];
	}
	if (error)
		series_set_free(set);
	else
		*ret_set = set;
	return error;
}

/* --- heat --- */

static struct heat_map *take_heat(const struct grid *g, const struct object_name *object, unsigned tables)
{
	struct heat_map *map = calloc(1, sizeof *map);
	double *value = malloc(g->points * HEAT_BUCKETS * sizeof *value);

	if (!map || !value) {
		free(map);
		free(value);
		return NULL;
	}
	for (size_t p = 0; p < g->points; p++)
		for (size_t row = 0; row < HEAT_BUCKETS; row++) {
			double sum = 0;

			for (unsigned t = 0; t < tables; t++)
				sum += cell_value(g, p, t * HEAT_BUCKETS + row, SERIES_CF_AVERAGE);
			value[p * HEAT_BUCKETS + row] = sum;
		}
	*map = (struct heat_map){ .object = *object, .from_s = g->from_s, .step_s = g->step_s, .columns = g->points,
				  .value = value };
	return map;
}

/* As series_step, with the archives of heat maps: each reaches as far back as the next finer one of series. */
static unsigned heat_step(int64_t from_s, int64_t to_s, int64_t now_s)
{
	unsigned finest_s = series_archive_step(from_s, now_s);
	int64_t step_s = finest_s == 1 ? 10 : finest_s == 10 ? 60 : 600, points = (to_s - from_s + step_s - 1) / step_s;

	return (unsigned)(step_s * ((points + SERIES_POINTS_AUTO - 1) / SERIES_POINTS_AUTO));
}

int history_answer_heat(struct history_files *files, const struct object_name *object, bool reads, bool writes,
			int64_t from_s, int64_t to_s, const struct history_rows *pending, int64_t now_s,
			struct heat_map **ret_map)
{
	struct grid g = { 0 };
	unsigned tables = (unsigned)reads + (unsigned)writes;
	int error;

	set_range(&g, from_s, to_s, heat_step(from_s, to_s, now_s), now_s);
	for (unsigned i = 0; i < tables * HEAT_BUCKETS; i++)
		g.column[g.columns++] = i + (reads ? 0 : HEAT_BUCKETS);
	error = grid_new_cells(&g);
	if (!error)
		error = fill(&g, files, HISTORY_HEAT, object, pending, SERIES_CF_AVERAGE, now_s);
	if (!error) {
		*ret_map = take_heat(&g, object, tables);
		error = *ret_map ? 0 : -ENOMEM;
	}
	free(g.cell);
	return error;
}
