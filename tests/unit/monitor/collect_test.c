/* monitor/collect.h over segments as workers write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "monitor/collect.h"

#define WORKERS 12

static struct scene {
	struct stats_segment *segment[WORKERS];
	const struct stats_segment *read[WORKERS]; /* what collect is given */
	struct counters *list;
	size_t count;
} scene;

static int open_scene(void **state)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		int fd = stats_create();

		scene.segment[i] = fd < 0 ? NULL : stats_map(fd, 1);
		scene.read[i] = scene.segment[i];
		close(fd);
		if (!scene.segment[i])
			return -1;
		stats_clear(scene.segment[i]);
	}
	*state = &scene;
	return 0;
}

static int close_scene(void **state)
{
	struct scene *s = *state;

	for (unsigned i = 0; i < WORKERS; i++)
		stats_unmap(s->segment[i]);
	free(s->list);
	memset(s, 0, sizeof *s);
	return 0;
}

static void collect_all(struct scene *s, size_t sessions_max)
{
	free(s->list);
	s->count = collect(s->read, WORKERS, "host-1", sessions_max, &s->list);
	assert_true(s->count >= 1);
	for (size_t i = 1; i < s->count; i++)
		if (object_compare(&s->list[i - 1].object, &s->list[i].object) >= 0)
			fail_msg("%s is not before %s", s->list[i - 1].object.name, s->list[i].object.name);
}

static const struct counters *find(const struct scene *s, enum object_kind kind, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i].object.kind == kind && strcmp(s->list[i].object.name, name) == 0)
			return &s->list[i];
	return NULL;
}

static uint64_t value_of(const struct scene *s, enum object_kind kind, const char *name, enum stats_counter counter)
{
	const struct counters *found = find(s, kind, name);

	if (!found)
		fail_msg("no object %s", name);
	return found->value[counter];
}

static void without_workers_there_is_the_host_alone(void **state)
{
	struct scene *s = *state;

	memset(s->read, 0, sizeof s->read);
	collect_all(s, 100);
	assert_int_equal(s->count, 1);
	assert_int_equal(value_of(s, OBJECT_HOST, "host-1", STAT_reads), 0);
	free(s->list);
	assert_int_equal(collect(NULL, 0, "host-1", 100, &s->list), 1);
}

static void slots_of_one_object_are_added_up_over_reactors_and_workers(void **state)
{
	struct scene *s = *state;

	for (unsigned w = 0; w < WORKERS; w++)
		for (unsigned reactor = 0; reactor < 2; reactor++) {
			struct stats_slot *slot = stats_claim(s->segment[w], STATS_LUN, "vol1", reactor);
			struct stats_slot *other = stats_claim(s->segment[w], STATS_LUN, "vol2", reactor);

			stats_add(slot, STAT_reads, 10);
			stats_latency(slot, STATS_WRITE_LATENCY, 5500);
			stats_add(other, STAT_reads, 1);
		}
	collect_all(s, 100);
	assert_int_equal(s->count, 3);
	assert_int_equal(value_of(s, OBJECT_LUN, "vol1", STAT_reads), 10 * 2 * WORKERS);
	assert_int_equal(value_of(s, OBJECT_LUN, "vol2", STAT_reads), 2 * WORKERS);
	assert_int_equal(find(s, OBJECT_LUN, "vol1")->bucket[STATS_WRITE_LATENCY][stats_bucket(5500)], 2 * WORKERS);
	assert_int_equal(find(s, OBJECT_LUN, "vol1")->sum_ns[STATS_WRITE_LATENCY], 5500 * 2 * WORKERS);
	assert_int_equal(find(s, OBJECT_LUN, "vol1")->sum_ns[STATS_READ_LATENCY], 0);
}

static void objects_of_one_name_and_different_kinds_stay_apart(void **state)
{
	struct scene *s = *state;

	stats_add(stats_claim(s->segment[0], STATS_LUN, "same", 0), STAT_reads, 1);
	stats_add(stats_claim(s->segment[0], STATS_TARGET, "same", 0), STAT_reads, 2);
	stats_add(stats_claim(s->segment[0], STATS_SESSION, "same", 0), STAT_reads, 4);
	collect_all(s, 100);
	assert_int_equal(s->count, 4);
	assert_int_equal(value_of(s, OBJECT_LUN, "same", STAT_reads), 1);
	assert_int_equal(value_of(s, OBJECT_TARGET, "same", STAT_reads), 2);
	assert_int_equal(value_of(s, OBJECT_SESSION, "same", STAT_reads), 4);
}

static void a_worker_is_named_by_its_number_and_the_host_is_the_sum_of_all(void **state)
{
	struct scene *s = *state;

	for (unsigned w = 0; w < WORKERS; w++) {
		stats_add(stats_claim(s->segment[w], STATS_WORKER, "worker", 0), STAT_logins, w);
		stats_add(stats_claim(s->segment[w], STATS_WORKER, "worker", 1), STAT_logins, 100);
		stats_add(stats_claim(s->segment[w], STATS_LUN, "vol1", 0), STAT_logins, 7000); /* not the worker's */
	}
	collect_all(s, 100);
	assert_int_equal(value_of(s, OBJECT_WORKER, "0", STAT_logins), 100);
	assert_int_equal(value_of(s, OBJECT_WORKER, "2", STAT_logins), 102);
	assert_int_equal(value_of(s, OBJECT_WORKER, "11", STAT_logins), 111);
	assert_int_equal(value_of(s, OBJECT_HOST, "host-1", STAT_logins), 12 * 100 + 66);
}

static void a_released_slot_and_one_of_an_unknown_kind_do_not_count(void **state)
{
	struct scene *s = *state;
	struct stats_slot *gone = stats_claim(s->segment[0], STATS_LUN, "vol1", 0);
	struct stats_slot *strange = stats_claim(s->segment[0], STATS_LUN, "vol2", 0);

	stats_add(gone, STAT_reads, 1);
	stats_release(gone);
	atomic_store(&strange->kind, 4711);
	collect_all(s, 100);
	assert_int_equal(s->count, 1);
}

static void sessions_beyond_the_limit_are_left_out_and_nothing_else_is(void **state)
{
	struct scene *s = *state;

	for (unsigned i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof name, "session-%02u", i);
		for (unsigned reactor = 0; reactor < 2; reactor++)
			stats_add(stats_claim(s->segment[0], STATS_SESSION, name, reactor), STAT_reads, 1);
	}
	stats_claim(s->segment[0], STATS_WORKER, "worker", 0);
	collect_all(s, 5);
	assert_int_equal(s->count, 5 + 2);
	assert_int_equal(value_of(s, OBJECT_SESSION, "session-04", STAT_reads), 2);
	assert_null(find(s, OBJECT_SESSION, "session-05"));
	assert_non_null(find(s, OBJECT_WORKER, "0"));
	collect_all(s, 0);
	assert_int_equal(s->count, 2);
}

/* What a broken worker may have left in its segment. */
static void a_number_of_slots_beyond_the_segment_and_a_name_without_end_are_bounded(void **state)
{
	struct scene *s = *state;
	struct stats_slot *slot = stats_claim(s->segment[0], STATS_LUN, "vol1", 0);

	memset(slot->name, 'x', sizeof slot->name);
	atomic_store(&s->segment[0]->slots_used, UINT32_MAX);
	collect_all(s, 100);
	assert_int_equal(s->count, 2);
	assert_int_equal(strlen(s->list[0].object.name), STATS_NAME_MAX - 1);
}

static void claim_and_release_until_killed(struct stats_segment *segment)
{
	struct stats_slot *slot[64] = { NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0;; i++) {
		struct stats_slot **one = &slot[i * 7 % 64];
		char name[16];

		stats_release(*one);
		snprintf(name, sizeof name, "name-%u", i % 50);
		*one = stats_claim(segment, i % 3 ? STATS_LUN : STATS_SESSION, name, 0);
		stats_add(*one, STAT_reads, 1);
	}
}

/* Whatever is seen in such a moment: sorted, every object once, names that were given, counters that were counted. */
static void slots_may_be_claimed_and_released_meanwhile(void **state)
{
	struct scene *s = *state;
	pid_t writer = fork();

	assert_true(writer >= 0);
	if (writer == 0)
		claim_and_release_until_killed(s->segment[0]);
	for (int seen = 0; seen < 3000; seen += s->count > 1) {
		collect_all(s, 1000);
		for (size_t j = 0; j + 1 < s->count; j++)
			if (strlen(s->list[j].object.name) < 6 || s->list[j].value[STAT_reads] > 64)
				fail_msg("%s: %" PRIu64, s->list[j].object.name, s->list[j].value[STAT_reads]);
	}
	kill(writer, SIGKILL);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)
		TEST(without_workers_there_is_the_host_alone),
		TEST(slots_of_one_object_are_added_up_over_reactors_and_workers),
		TEST(objects_of_one_name_and_different_kinds_stay_apart),
		TEST(a_worker_is_named_by_its_number_and_the_host_is_the_sum_of_all),
		TEST(a_released_slot_and_one_of_an_unknown_kind_do_not_count),
		TEST(sessions_beyond_the_limit_are_left_out_and_nothing_else_is),
		TEST(a_number_of_slots_beyond_the_segment_and_a_name_without_end_are_bounded),
		TEST(slots_may_be_claimed_and_released_meanwhile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
