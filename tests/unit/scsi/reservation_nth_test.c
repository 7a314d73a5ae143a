/*
 * Persistent reservations while the nth allocation or the nth change of a file fails: REGISTER, RESERVE, PREEMPT, CLEAR with
 * their document. GOOD only for what is on the disk; after anything else the document, and what the LU enforces, are those from
 * before or those from after; and the same command works again.
 */
#include "tests/unit/nth.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/fuzz/inline_offload.h"
#include "tests/unit/cluster/scratch.h"
#include "tests/unit/scsi/world.h"

static struct world world;
static struct outcome outcome;
static char root[128];

static int setup(void **state)
{
	(void)state;
	nth_watch_json();
	scratch_make(root, sizeof root);
	world_init(&world, &(struct world_options){ .documents = docstore_open(root, "worker0", NULL), .epoch = 1 });
	assert_non_null(world.services.documents);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_fini(&world);
	docstore_close(world.services.documents);
	scratch_remove(root);
	return 0;
}

static void settle(unsigned nexus)
{
	static const uint8_t test_unit_ready[6];

	do
		world_run(&world, world.nexus[nexus], 0, test_unit_ready, 6, NULL, 0, &outcome);
	while (outcome.status == SCSI_CHECK_CONDITION);
}

static const struct step {
	unsigned nexus;
	uint8_t action, type, key, new_key;
	uint8_t registered; /* afterwards */
	bool reserved;
} steps[] = {
	{ 0, 0, 0, 0, 1, 1, false }, /* REGISTER */
	{ 1, 6, 0, 0, 2, 2, false }, /* REGISTER AND IGNORE EXISTING KEY */
	{ 0, 1, 1, 1, 0, 2, true },  /* RESERVE, write exclusive */
	{ 1, 4, 1, 2, 1, 1, true },  /* PREEMPT */
	{ 1, 3, 0, 2, 0, 0, false }, /* CLEAR */
};

/* What the LU enforces now, and what another one would read from the disk. */
static bool is(const struct step *step)
{
	struct pr_state *now = world.lu->pr, *read;
	uint64_t version;
	bool yes;

	read = scsi_pr_load(world.lu, &version, NULL);
	assert_non_null(read);
	if (read->count != now->count || read->type != now->type)
		fail_msg("run %ld: the LU enforces what is not on the disk", nth.run);
	yes = now->count == step->registered && (now->type != PR_NONE) == step->reserved;
	free(read);
	return yes;
}

/* REGISTER and PREEMPT cannot be said twice: they are only repeated when they did not happen. */
static void take_step(const struct step *step, bool armed)
{
	uint8_t cdb[10] = { 0x5f, step->action, step->type, [8] = 24 }, list[24] = { [7] = step->key, [15] = step->new_key };

	settle(step->nexus);
	if (armed)
		nth_arm();
	world_run(&world, world.nexus[step->nexus], 0, cdb, sizeof cdb, list, sizeof list, &outcome);
	nth_disarm();
}

/* An error of the disk at the very end leaves open whether it happened (docstore.h): the LU reads it again when it is next
 * changed, which is what an initiator does that was told of an error. */
static void each_time(unsigned classes, int error)
{
	for (nth_start(classes, error, 1); nth_next();) {
		for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
			const struct step *step = &steps[i];
			bool failed_before = nth.failed;

			take_step(step, true);
			if (outcome.status == SCSI_GOOD) {
				assert_true(is(step));
				continue;
			}
			assert_true(nth.failed && !failed_before);
			assert_true(outcome.status == SCSI_CHECK_CONDITION || outcome.status == SCSI_BUSY);
			take_step(step, false);
			if (outcome.status != SCSI_GOOD) /* it had happened */
				assert_int_equal(outcome.status, SCSI_RESERVATION_CONFLICT);
			if (world.lu->pr->count != step->registered) /* an LU that was not told yet is when it is asked */
				fail_msg("run %ld, step %zu: half", nth.run, i);
		}
		assert_int_equal(scsi_lu_reservations_clear(world.lu, NULL), 0);
	}
	assert_true(nth.run > 10);
}

static void allocations_of_a_reservation_fail(void **state)
{
	(void)state;
	each_time(NTH_MEMORY, ENOMEM);
}

static void a_reservation_cannot_be_written(void **state)
{
	(void)state;
	each_time(NTH_FILE, ENOSPC);
	each_time(NTH_FILE, EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(allocations_of_a_reservation_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reservation_cannot_be_written, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
