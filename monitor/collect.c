/* Adding up the slots of the workers: see collect.h. Slots come and go meanwhile: a slot's kind says whether it counts. */
#include "monitor/collect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct counter_row counter_rows[STATS_COUNTERS] = {
#define COUNTS false
#define GAUGE  true
#define COUNTER(name, unit, type, objects, meaning) [STAT_##name] = { #name, unit, meaning, type },
#include "counters.def"
#undef COUNTER
};

/* A slot and what it was called when it was found: a slot may change hands meanwhile, so nothing is sorted by what it says. */
struct found {
	struct object_name object;
	unsigned worker;
	const struct stats_slot *slot;
};

static const enum object_kind kind_of_slot[] = {
	[STATS_WORKER] = OBJECT_WORKER, [STATS_LUN] = OBJECT_LUN, [STATS_TARGET] = OBJECT_TARGET,
	[STATS_SESSION] = OBJECT_SESSION,
};

static int found_order(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return object_compare(&x->object, &y->object);
}

static uint32_t slots_used(const struct stats_segment *segment)
{
	uint32_t used = segment ? atomic_load(&segment->slots_used) : 0;

	return used < STATS_SLOTS ? used : STATS_SLOTS;
}

static bool find_slot(const struct stats_slot *slot, unsigned worker, struct found *found)
{
	uint32_t kind = atomic_load(&slot->kind);

	if (kind == STATS_FREE || kind > STATS_SESSION)
		return false;
	found->slot = slot;
	found->worker = worker;
	found->object.kind = kind_of_slot[kind];
	if (kind == STATS_WORKER)
		snprintf(found->object.name, STATS_NAME_MAX, "%u", worker);
	else
		strncpy(found->object.name, slot->name, STATS_NAME_MAX - 1);
	found->object.name[STATS_NAME_MAX - 1] = '\0';
	return true;
}

/* Whether the slot is what it was when it was found. */
static bool is_still(const struct found *found)
{
	uint32_t kind = atomic_load(&found->slot->kind);

	return kind != STATS_FREE && kind <= STATS_SESSION && kind_of_slot[kind] == found->object.kind &&
	       (kind == STATS_WORKER || strncmp(found->slot->name, found->object.name, STATS_NAME_MAX - 1) == 0);
}

static size_t find_slots(const struct stats_segment *const *segments, unsigned worker_count, struct found **ret_found)
{
	size_t count = 0, room = 1;
	struct found *found;

	for (unsigned w = 0; w < worker_count; w++)
		room += slots_used(segments[w]);
	found = malloc(room * sizeof *found);
	for (unsigned w = 0; w < worker_count && found; w++) {
		uint32_t used = slots_used(segments[w]);

		for (uint32_t i = 0; i < used && count + 1 < room; i++)
			count += find_slot(&segments[w]->slot[i], w, &found[count]);
	}
	*ret_found = found;
	if (count)
		qsort(found, count, sizeof *found, found_order);
	return count;
}

static void add_slot(struct counters *sum, const struct found *found)
{
	const struct stats_slot *slot = found->slot;

	sum->workers |= UINT64_C(1) << found->worker % 64;
	for (unsigned i = 0; i < STATS_COUNTERS; i++)
		sum->value[i] += atomic_load_explicit(&slot->value[i], memory_order_relaxed);
	for (unsigned h = 0; h < STATS_HISTOGRAMS; h++) {
		uint64_t sum_ns = atomic_load_explicit(&slot->sum_ns[h], memory_order_relaxed);

		if (sum_ns == 0)
			continue; /* nothing was ever counted: most slots have no store latency */
		sum->sum_ns[h] += sum_ns;
		for (unsigned b = 0; b < STATS_BUCKETS; b++)
			sum->bucket[h][b] += atomic_load_explicit(&slot->bucket[h][b], memory_order_relaxed);
	}
}

static size_t add_up(const struct found *found, size_t found_count, size_t sessions_max, struct counters *list,
		     struct counters *host)
{
	size_t count = 0, sessions = 0;

	for (size_t i = 0; i < found_count; i++) {
		const struct object_name *object = &found[i].object;

		if (!is_still(&found[i]))
			continue;
		if (count == 0 || object_compare(&list[count - 1].object, object) != 0) {
			if (object->kind == OBJECT_SESSION && ++sessions > sessions_max)
				continue;
			memset(&list[count], 0, sizeof list[count]);
			list[count++].object = *object;
		}
		add_slot(&list[count - 1], &found[i]);
		if (object->kind == OBJECT_WORKER)
			add_slot(host, &found[i]);
	}
	return count;
}

size_t collect(const struct stats_segment *const *segments, unsigned worker_count, const char *host, size_t sessions_max,
	       struct counters **ret_list)
{
	struct found *found = NULL;
	size_t found_count = find_slots(segments, worker_count, &found), count = 0;
	struct counters *list = found ? malloc((found_count + 1) * sizeof *list) : NULL;
	struct counters *sum = list ? calloc(1, sizeof *sum) : NULL;

	if (sum) {
		sum->object.kind = OBJECT_HOST;
		snprintf(sum->object.name, sizeof sum->object.name, "%s", host);
		count = add_up(found, found_count, sessions_max, list, sum);
		list[count++] = *sum;
	} else {
		free(list);
		list = NULL;
	}
	free(sum);
	free(found);
	*ret_list = list;
	return count;
}
