/* The busiest objects now. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/request.h"
#include "api/service.h"
#include "api/values.h"
#include "clock.h"

#define LIMIT_DEFAULT 20
#define LIMIT_MAX     1000

struct ranked {
	const struct monitor_object *object;
	double key; /* NAN: unknown */
};

/* What ?sort names: a metric, or the sum of two. */
struct sort_key {
	const char *name;
	int metric, second;
};

static bool parse_sort(struct request *rq, enum object_kind kind, struct sort_key *ret_key)
{
	static const struct sort_key sums[] = {
		{ "iops", METRIC_read_iops, METRIC_write_iops },
		{ "bytes", METRIC_read_bytes_per_s, METRIC_write_bytes_per_s },
	};
	const char *text = request_query(rq, "sort");

	*ret_key = sums[0];
	for (size_t i = 0; text && i < sizeof sums / sizeof sums[0]; i++) {
		if (strcmp(text, sums[i].name) == 0) {
			*ret_key = sums[i];
			return true;
		}
	}
	if (!text)
		return true;
	*ret_key = (struct sort_key){ text, metric_find(text, strlen(text)), -1 };
	if (ret_key->metric >= 0 && metric_of((enum metric_id)ret_key->metric, kind))
		return true;
	answer_error(rq, 400, "invalid-sort", "sort must be iops, bytes or a metric that a %s has.", object_kind_name(kind));
	return false;
}

static double key_of(const struct monitor_object *object, const struct sort_key *sort)
{
	return object->value[sort->metric] + (sort->second >= 0 ? object->value[sort->second] : 0);
}

static int by_key(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (isnan(x->key) != isnan(y->key))
		return isnan(x->key) ? 1 : -1;
	if (!isnan(x->key) && x->key != y->key)
		return x->key < y->key ? 1 : -1;
	return object_compare(&x->object->object, &y->object->object);
}

/* The first `limit` of the objects of the kind; new array. */
static json_t *rank(const struct monitor *monitor, enum object_kind kind, const struct sort_key *sort, size_t limit)
{
	const struct monitor_object **list;
	size_t count = monitor_list(monitor, kind, &list);
	struct ranked *ranked = calloc(count + 1, sizeof *ranked);
	json_t *items = json_array();

	for (size_t i = 0; ranked && i < count; i++)
		ranked[i] = (struct ranked){ list[i], key_of(list[i], sort) };
	if (ranked)
		qsort(ranked, count, sizeof *ranked, by_key);
	for (size_t i = 0; ranked && i < count && i < limit; i++) {
		json_t *item = object_values(ranked[i].object, NULL);

		json_object_set_new(item, "name", json_string(ranked[i].object->object.name));
		json_array_append_new(items, item);
	}
	free(ranked);
	free(list);
	return items;
}

void get_top(struct request *rq)
{
	const struct monitoring *m = &rq->service->monitoring;
	const char *kind_text = request_query(rq, "kind");
	int kind = kind_text ? object_kind_find(kind_text, strlen(kind_text)) : OBJECT_LUN;
	int limit = request_number(rq, "limit", LIMIT_DEFAULT, LIMIT_MAX);
	struct sort_key sort;
	json_t *body;

	if (limit < 0)
		return;
	if (kind < 0) {
		answer_error(rq, 400, "invalid-kind", "kind must be lun, target, session, worker or host.");
		return;
	}
	if (!parse_sort(rq, (enum object_kind)kind, &sort))
		return;
	body = sample_head(m->sampled_ms);
	json_object_set_new(body, "kind", json_string(object_kind_name((enum object_kind)kind)));
	json_object_set_new(body, "sort", json_string(sort.name));
	json_object_set_new(body, "items", rank(m->monitor, (enum object_kind)kind, &sort, (size_t)limit));
	answer_json(rq, 200, body, NULL);
}
