#include "cluster/placement.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Targets by index; groups are the sets of a union-find whose representative is the first of its targets. */
struct targets {
	size_t count;
	struct target {
		const char *name;
		const json_t *luns;
		size_t parent;
		uint64_t weight;   /* of the target; of the whole group at its representative */
		int worker;        /* of the group at its representative; -1: not yet */
	} *list;
};

static size_t find_group(struct targets *t, size_t i)
{
	while (t->list[i].parent != i) {
		t->list[i].parent = t->list[t->list[i].parent].parent;
		i = t->list[i].parent;
	}
	return i;
}

static void join(struct targets *t, size_t a, size_t b)
{
	a = find_group(t, a);
	b = find_group(t, b);
	if (a != b)
		t->list[a < b ? b : a].parent = a < b ? a : b;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct target *)a)->name, ((const struct target *)b)->name);
}

static int collect(struct targets *t, const json_t *config)
{
	json_t *map = json_object_get(config, "targets"), *target;
	const char *name;

	t->count = 0;
	t->list = calloc(json_object_size(map) + 1, sizeof *t->list);
	if (!t->list)
		return -1;
	json_object_foreach(map, name, target) {
		const json_t *luns = json_object_get(target, "luns");

		t->list[t->count++] = (struct target){ .name = name, .luns = luns, .weight = 1 + json_object_size(luns),
						       .worker = -1 };
	}
	qsort(t->list, t->count, sizeof *t->list, by_name);
	for (size_t i = 0; i < t->count; i++)
		t->list[i].parent = i;
	return 0;
}

/* Targets that map the same LUN become one group. */
static int join_by_lun(struct targets *t)
{
	json_t *first_user = json_object(), *mapping; /* LUN name -> index of a target */
	const char *number;
	int rc = first_user ? 0 : -1;

	for (size_t i = 0; i < t->count && rc == 0; i++) {
		json_object_foreach((json_t *)t->list[i].luns, number, mapping) {
			const char *lun = json_string_value(json_object_get(mapping, "lun"));
			json_t *user = lun ? json_object_get(first_user, lun) : NULL;

			if (user)
				join(t, (size_t)json_integer_value(user), i);
			else if (lun)
				rc |= json_object_set_new(first_user, lun, json_integer((json_int_t)i));
		}
	}
	json_decref(first_user);
	for (size_t i = 0; i < t->count; i++) {
		size_t group = find_group(t, i);

		if (group != i)
			t->list[group].weight += t->list[i].weight;
	}
	return rc;
}

static int worker_before(const json_t *previous, const char *name, unsigned worker_count)
{
	json_t *worker = json_object_get(previous, name);
	json_int_t index = json_integer_value(worker);

	return json_is_integer(worker) && index >= 0 && index < (json_int_t)worker_count ? (int)index : -1;
}

/* Each group stays with the worker that has most of its weight. votes: count * worker_count counters, zero. */
static void keep_previous(struct targets *t, const json_t *previous, unsigned worker_count, uint64_t *votes)
{
	for (size_t i = 0; i < t->count; i++) {
		int worker = worker_before(previous, t->list[i].name, worker_count);

		if (worker >= 0)
			votes[find_group(t, i) * worker_count + (unsigned)worker] += 1 + json_object_size(t->list[i].luns);
	}
	for (size_t i = 0; i < t->count; i++) {
		uint64_t most = 0;

		for (unsigned w = 0; w < worker_count; w++) {
			if (votes[i * worker_count + w] > most) {
				most = votes[i * worker_count + w];
				t->list[i].worker = (int)w;
			}
		}
	}
}

static unsigned least_loaded(const uint64_t *load, unsigned worker_count)
{
	unsigned least = 0;

	for (unsigned w = 1; w < worker_count; w++) {
		if (load[w] < load[least])
			least = w;
	}
	return least;
}

static int heavier_first(const void *a, const void *b)
{
	const struct target *x = *(struct target *const *)a, *y = *(struct target *const *)b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* Groups without a worker, the heaviest first, each to the least loaded worker. */
static int place_new(struct targets *t, unsigned worker_count, uint64_t *load)
{
	struct target **new = calloc(t->count + 1, sizeof *new);
	size_t count = 0;

	if (!new)
		return -1;
	for (size_t i = 0; i < t->count; i++) {
		if (t->list[i].parent != i)
			continue;
		if (t->list[i].worker < 0)
			new[count++] = &t->list[i];
		else
			load[t->list[i].worker] += t->list[i].weight;
	}
	qsort(new, count, sizeof *new, heavier_first);
	for (size_t i = 0; i < count; i++) {
		new[i]->worker = (int)least_loaded(load, worker_count);
		load[new[i]->worker] += new[i]->weight;
	}
	free(new);
	return 0;
}

static json_t *result(struct targets *t)
{
	json_t *placement = json_object();

	for (size_t i = 0; placement && i < t->count; i++) {
		if (json_object_set_new(placement, t->list[i].name, json_integer(t->list[find_group(t, i)].worker)) < 0) {
			json_decref(placement);
			placement = NULL;
		}
	}
	return placement;
}

json_t *placement_compute(const json_t *config, unsigned worker_count, const json_t *previous)
{
	struct targets t;
	uint64_t *votes = NULL, *load = NULL;
	json_t *placement = NULL;

	if (worker_count == 0)
		worker_count = 1;
	if (collect(&t, config) == 0 && join_by_lun(&t) == 0) {
		votes = calloc((t.count + 1) * worker_count, sizeof *votes);
		load = calloc(worker_count, sizeof *load);
	}
	if (votes && load) {
		keep_previous(&t, previous, worker_count, votes);
		if (place_new(&t, worker_count, load) == 0)
			placement = result(&t);
	}
	free(votes);
	free(load);
	free(t.list);
	return placement;
}
