/* Values of many objects: see means.h. */
#include "api/means.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>


static double mean_of(const double *value, size_t count, enum series_cf cf)
{
	double sum = 0, most = NAN;
	size_t known = 0;

	for (size_t i = 0; i < count; i++) {
		if (isnan(value[i]))
			continue;
		known++;
		sum += value[i];
		if (!(most >= value[i]))
			most = value[i];
	}
	return known == 0 ? NAN : cf == SERIES_CF_MAX ? most : sum / (double)known;
}

static void leave_out(struct means *m, const struct object_name *object)
{
	for (size_t i = m->at; i < m->count; i++) {
		if (object_compare(&m->objects[i], object) == 0) {
			m->objects[i] = m->objects[--m->count];
			return;
		}
	}
}

/* The series come in the order of the objects, then in that of the metrics' table. */
static void take(struct means *m, const struct series_set *set)
{
	for (size_t i = 0; i < m->asked; i++)
		for (unsigned k = 0; k < m->metric_count; k++)
			m->value[m->at + i][k] = NAN;
	for (size_t n = 0, i = 0; n < set->series_count && i < m->asked;) {
		const struct series *series = &set->series[n];

		if (object_compare(&series->object, &m->objects[m->at + i]) != 0) {
			i++;
			continue;
		}
		for (unsigned k = 0; k < m->metric_count; k++)
			if (m->metric[k] == series->metric)
				m->value[m->at + i][k] = mean_of(series->value, set->point_count, m->cf);
		n++;
	}
	m->at += m->asked;
}

static void known(void *arg, int error, const struct object_name *missing, struct series_set *set)
{
	struct means *m = arg;

	if (error == 0)
		take(m, set);
	series_set_free(set);
	if (error == -ENOENT && missing)
		leave_out(m, missing);
	else if (error) {
		m->done(m, error);
		return;
	}
	means_ask(m);
}

/* Objects that fit in one question. */
static size_t batch(const struct means *m)
{
	size_t points = (size_t)((m->to_s - m->from_s) / m->step_s) + 1, most = SERIES_VALUES_MAX / points;

	if (most > SERIES_MAX)
		most = SERIES_MAX;
	return most / m->metric_count;
}

void means_ask(struct means *m)
{
	struct series_query query = { .from_s = m->from_s, .to_s = m->to_s, .step_s = m->step_s, .cf = m->cf };

	m->asked = m->count - m->at < batch(m) ? m->count - m->at : batch(m);
	if (m->asked == 0) {
		m->done(m, 0);
		return;
	}
	for (unsigned k = 0; k < m->metric_count; k++)
		query.metric[m->metric[k]] = true;
	query.object_count = m->asked;
	query.objects = malloc(m->asked * sizeof *query.objects);
	if (!query.objects) {
		m->done(m, -ENOMEM);
		return;
	}
	memcpy(query.objects, m->objects + m->at, m->asked * sizeof *query.objects);
	monitor_series(m->monitor, &query, known, m);
}
