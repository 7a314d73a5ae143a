/* Range locks: order, overlap, withdrawal, and threads. */
#include <poll.h>
#include <pthread.h>

#include "dataplane/store/range_lock.h"
#include "tests/unit/store/rig.h"

struct taker {
	struct range_lock lock;
	bool granted;
};

static void on_granted(struct range_lock *lock)
{
	struct taker *taker = container_of(lock, struct taker, lock);

	assert_false(taker->granted);
	taker->granted = true;
}

static bool take(struct range_locks *locks, struct taker *taker, struct mailbox *mailbox, uint64_t first,
		 uint64_t count, bool exclusive)
{
	memset(taker, 0xa5, sizeof *taker);
	taker->lock.first = first;
	taker->lock.count = count;
	taker->lock.exclusive = exclusive;
	taker->lock.granted = on_granted;
	taker->lock.reply_to = mailbox;
	taker->lock.taker = NULL;
	taker->lock.ordered = false;
	taker->granted = false;
	taker->granted = range_lock_take(locks, &taker->lock);
	return taker->granted;
}

struct fixture {
	struct range_locks locks;
	struct mailbox mailbox;
	struct taker t[5];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	range_locks_init(&f->locks);
	*state = f;
	return mailbox_init(&f->mailbox);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(atomic_load(&f->locks.users), 0);
	range_locks_fini(&f->locks);
	mailbox_fini(&f->mailbox);
	free(f);
	return 0;
}

static void shared_locks_overlap_freely(void **state)
{
	struct fixture *f = *state;

	assert_true(take(&f->locks, &f->t[0], &f->mailbox, 0, 10, false));
	assert_true(take(&f->locks, &f->t[1], &f->mailbox, 5, 10, false));
	range_lock_release(&f->t[0].lock);
	range_lock_release(&f->t[1].lock);
}

/* Takes a shared lock on [0, 10) for somebody. */
static bool take_for(struct fixture *f, unsigned index, const void *somebody, bool ordered)
{
	struct taker *taker = &f->t[index];

	*taker = (struct taker){ .lock = { .count = 10, .granted = on_granted, .reply_to = &f->mailbox, .taker = somebody,
					   .ordered = ordered } };
	taker->granted = range_lock_take(&f->locks, &taker->lock);
	return taker->granted;
}

static void ordered_locks_wait_for_those_of_other_takers(void **state)
{
	struct fixture *f = *state;
	int one = 0, other = 0;

	assert_true(take_for(f, 0, &one, true));
	assert_true(take_for(f, 1, &one, true));
	assert_false(take_for(f, 2, &other, true));
	assert_true(range_lock_waits(&f->t[2].lock) && !range_lock_waits(&f->t[0].lock));
	assert_true(take_for(f, 3, NULL, false));
	range_lock_release(&f->t[0].lock);
	mailbox_run(&f->mailbox);
	assert_false(f->t[2].granted);
	range_lock_release(&f->t[1].lock);
	mailbox_run(&f->mailbox);
	assert_true(f->t[2].granted);
	range_lock_release(&f->t[2].lock);
	range_lock_release(&f->t[3].lock);
}

/* Recorded for another reason, an exclusive lock. */
static void a_recorded_lock_that_is_not_ordered_is_waited_for(void **state)
{
	struct fixture *f = *state;
	int one = 0, other = 0;

	assert_true(take(&f->locks, &f->t[0], &f->mailbox, 100, 1, true));
	assert_true(take_for(f, 1, &one, false));
	assert_false(take_for(f, 2, &other, true));
	range_lock_release(&f->t[0].lock);
	range_lock_release(&f->t[1].lock);
	mailbox_run(&f->mailbox);
	assert_true(f->t[2].granted);
	range_lock_release(&f->t[2].lock);
}

static void an_exclusive_lock_waits_for_shared_ones_and_is_waited_for(void **state)
{
	struct fixture *f = *state;

	assert_true(take(&f->locks, &f->t[0], &f->mailbox, 0, 10, false));
	assert_false(take(&f->locks, &f->t[1], &f->mailbox, 5, 1, true));
	assert_false(take(&f->locks, &f->t[2], &f->mailbox, 4, 3, false));
	assert_true(take(&f->locks, &f->t[3], &f->mailbox, 6, 3, false));
	range_lock_release(&f->t[0].lock);
	mailbox_run(&f->mailbox);
	assert_true(f->t[1].granted);
	assert_false(f->t[2].granted);
	range_lock_release(&f->t[1].lock);
	mailbox_run(&f->mailbox);
	assert_true(f->t[2].granted);
	range_lock_release(&f->t[2].lock);
	range_lock_release(&f->t[3].lock);
}

static void exclusive_locks_that_do_not_overlap_are_held_together(void **state)
{
	struct fixture *f = *state;

	assert_true(take(&f->locks, &f->t[0], &f->mailbox, 0, 10, true));
	assert_true(take(&f->locks, &f->t[1], &f->mailbox, 10, 10, true));
	assert_false(take(&f->locks, &f->t[2], &f->mailbox, 9, 2, true));
	assert_true(take(&f->locks, &f->t[3], &f->mailbox, UINT64_MAX - 1, 1, true));
	assert_false(take(&f->locks, &f->t[4], &f->mailbox, 0, UINT64_MAX, true));
	range_lock_release(&f->t[0].lock);
	mailbox_run(&f->mailbox);
	assert_false(f->t[2].granted);
	range_lock_release(&f->t[1].lock);
	mailbox_run(&f->mailbox);
	assert_true(f->t[2].granted);
	assert_false(f->t[4].granted);
	range_lock_release(&f->t[3].lock);
	range_lock_release(&f->t[2].lock);
	mailbox_run(&f->mailbox);
	assert_true(f->t[4].granted);
	range_lock_release(&f->t[4].lock);
}

/* Held locks are kept by region: those of one, those of several, and those whose end does not fit 64 bits find each other. */
static void locks_of_one_region_and_of_several_find_each_other(void **state)
{
	struct fixture *f = *state;

	assert_true(take(&f->locks, &f->t[0], &f->mailbox, 5000, 1, true));
	assert_false(take(&f->locks, &f->t[1], &f->mailbox, 2047, 2954, true));
	assert_false(take(&f->locks, &f->t[2], &f->mailbox, 4999, UINT64_MAX, true));
	range_lock_release(&f->t[0].lock);
	mailbox_run(&f->mailbox);
	assert_true(f->t[1].granted);
	assert_false(take(&f->locks, &f->t[3], &f->mailbox, 2047, 1, true));
	assert_true(take(&f->locks, &f->t[4], &f->mailbox, 2046, 1, true));
	for (unsigned i = 1; i < 5; i++)
		range_lock_release(&f->t[i].lock);
	mailbox_run(&f->mailbox);
}

static void a_withdrawn_lock_is_not_granted_and_lets_others_pass(void **state)
{
	struct fixture *f = *state;

	assert_true(take(&f->locks, &f->t[0], &f->mailbox, 0, 10, false));
	assert_false(take(&f->locks, &f->t[1], &f->mailbox, 0, 10, true));
	assert_false(take(&f->locks, &f->t[2], &f->mailbox, 0, 10, false));
	range_lock_release(&f->t[1].lock);
	mailbox_run(&f->mailbox);
	assert_false(f->t[1].granted);
	assert_true(f->t[2].granted);
	range_lock_release(&f->t[2].lock);
	range_lock_release(&f->t[0].lock);
}

static void a_lock_withdrawn_while_its_mail_is_under_way_may_be_freed(void **state)
{
	struct fixture *f = *state;
	struct taker *taker = malloc(sizeof *taker);

	assert_true(take(&f->locks, &f->t[0], &f->mailbox, 0, 10, true));
	assert_false(take(&f->locks, taker, &f->mailbox, 0, 10, true));
	range_lock_release(&f->t[0].lock); /* posts */
	range_lock_release(&taker->lock);
	free(taker);
	assert_int_equal(mailbox_run(&f->mailbox), 1);
}

/* ---- threads ---- */

enum { THREADS = 4, CELLS = 16, ROUNDS = 3000 };

static struct range_locks shared_locks;
static _Atomic int cell[CELLS]; /* readers; -1000 each for a writer */
static _Atomic unsigned violations;

static void wait_for(struct taker *taker, struct mailbox *mailbox)
{
	struct pollfd fd = {.fd = mailbox_fd(mailbox), .events = POLLIN};

	while (!taker->granted) {
		if (poll(&fd, 1, RIG_WAIT_MS) != 1)
			abort(); /* a grant is lost */
		mailbox_run(mailbox);
	}
}

static void *lock_and_check(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	struct mailbox mailbox;
	struct taker taker;

	if (mailbox_init(&mailbox) < 0)
		abort();
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned first = rig_random(&seed) % CELLS, count = 1 + rig_random(&seed) % (CELLS - first);
		bool exclusive = rig_random(&seed) % 3 == 0;
		int step = exclusive ? -1000 : 1;

		if (!take(&shared_locks, &taker, &mailbox, first, count, exclusive)) {
			if (rig_random(&seed) % 4 == 0) {
				range_lock_release(&taker.lock);
				mailbox_run(&mailbox);
				continue;
			}
			wait_for(&taker, &mailbox);
		}
		for (unsigned k = first; k < first + count; k++) {
			int before = atomic_fetch_add(&cell[k], step);

			if (exclusive ? before != 0 : before < 0)
				atomic_fetch_add(&violations, 1);
		}
		for (unsigned k = first; k < first + count; k++)
			atomic_fetch_sub(&cell[k], step);
		range_lock_release(&taker.lock);
	}
	mailbox_run(&mailbox);
	mailbox_fini(&mailbox);
	return NULL;
}

static void threads_never_hold_an_exclusive_range_together(void **state)
{
	pthread_t thread[THREADS];

	(void)state;
	range_locks_init(&shared_locks);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, lock_and_check, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(violations, 0);
	assert_int_equal(atomic_load(&shared_locks.users), 0);
	range_locks_fini(&shared_locks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shared_locks_overlap_freely, setup, teardown),
		cmocka_unit_test_setup_teardown(ordered_locks_wait_for_those_of_other_takers, setup, teardown),
		cmocka_unit_test_setup_teardown(a_recorded_lock_that_is_not_ordered_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(an_exclusive_lock_waits_for_shared_ones_and_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(exclusive_locks_that_do_not_overlap_are_held_together, setup, teardown),
		cmocka_unit_test_setup_teardown(locks_of_one_region_and_of_several_find_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(a_withdrawn_lock_is_not_granted_and_lets_others_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lock_withdrawn_while_its_mail_is_under_way_may_be_freed, setup,
						teardown),
		cmocka_unit_test(threads_never_hold_an_exclusive_range_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
