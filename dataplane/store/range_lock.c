#include "dataplane/store/range_lock.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>

#define EXCLUSIVE_ONE (UINT64_C(1) << 32)
#define SHARED_MASK   (EXCLUSIVE_ONE - 1)
#define REGION_SHIFT  11

enum { HELD, WAITING, MAILED };

/* The news of a grant on its way; apart from the lock, whose memory may go away when it is withdrawn meanwhile. */
struct range_grant {
	struct mail mail;
	struct range_lock *lock; /* NULL: withdrawn. Only the taker's thread looks after posting. */
	struct range_grant *next; /* spare ones */
};

/* Grants are few (only locks that wait have one) and go back here. */
static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;
static struct range_grant *spare;

static struct range_grant *grant_get(void)
{
	struct range_grant *grant;

	for (;;) {
		pthread_mutex_lock(&spare_lock);
		grant = spare;
		if (grant)
			spare = grant->next;
		pthread_mutex_unlock(&spare_lock);
		if (!grant)
			grant = malloc(sizeof *grant);
		if (grant)
			return grant;
		sched_yield(); /* without it the lock could never be granted; others put theirs back */
	}
}

static void grant_put(struct range_grant *grant)
{
	if (!grant)
		return;
	pthread_mutex_lock(&spare_lock);
	grant->next = spare;
	spare = grant;
	pthread_mutex_unlock(&spare_lock);
}

void range_locks_init(struct range_locks *locks)
{
	atomic_init(&locks->users, 0);
	pthread_mutex_init(&locks->lock, NULL);
	for (unsigned i = 0; i <= RANGE_REGIONS; i++)
		list_init(&locks->held[i]);
	list_init(&locks->waiting);
}

void range_locks_fini(struct range_locks *locks)
{
	for (unsigned i = 0; i <= RANGE_REGIONS; i++)
		assert(list_empty(&locks->held[i]));
	assert(list_empty(&locks->waiting));
	pthread_mutex_destroy(&locks->lock);
}

static bool exclude_each_other(const struct range_lock *a, const struct range_lock *b)
{
	if (a->exclusive || b->exclusive)
		return true;
	return (a->ordered || b->ordered) && a->taker && b->taker && a->taker != b->taker;
}

static bool conflict(const struct range_lock *a, const struct range_lock *b)
{
	if (!exclude_each_other(a, b))
		return false;
	if (!a->count || !b->count)
		return false;
	return a->first <= b->first ? b->first - a->first < a->count : a->first - b->first < b->count;
}

/* The region it lies in, RANGE_REGIONS: several. Locks of one region look at few others however many are held. */
static unsigned region(const struct range_lock *lock)
{
	uint64_t first = lock->first >> REGION_SHIFT;

	if (lock->count > 1u << REGION_SHIFT || (lock->count && (lock->first + lock->count - 1) >> REGION_SHIFT != first))
		return RANGE_REGIONS;
	return first % RANGE_REGIONS;
}

static bool conflicts_in(const struct list *held, const struct range_lock *lock)
{
	list_for_each(pos, held)
		if (conflict(lock, container_of(pos, struct range_lock, link)))
			return true;
	return false;
}

static bool conflicts_with_held(const struct range_locks *locks, const struct range_lock *lock)
{
	unsigned where = region(lock);

	if (where < RANGE_REGIONS)
		return conflicts_in(&locks->held[where], lock) || conflicts_in(&locks->held[RANGE_REGIONS], lock);
	for (unsigned i = 0; i <= RANGE_REGIONS; i++)
		if (conflicts_in(&locks->held[i], lock))
			return true;
	return false;
}

/* Against every recorded lock, and every waiting one that came before. Mutex held. */
static bool may_have(struct range_locks *locks, const struct range_lock *lock)
{
	if (lock->exclusive && (atomic_load(&locks->users) & SHARED_MASK))
		return false;
	if (conflicts_with_held(locks, lock))
		return false;
	list_for_each(pos, &locks->waiting) {
		const struct range_lock *earlier = container_of(pos, struct range_lock, link);

		if (earlier == lock)
			break;
		if (conflict(lock, earlier))
			return false;
	}
	return true;
}

static void deliver(struct mail *mail)
{
	struct range_grant *grant = container_of(mail, struct range_grant, mail);
	struct range_lock *lock = grant->lock;

	grant_put(grant);
	if (!lock)
		return;
	lock->grant = NULL;
	pthread_mutex_lock(&lock->locks->lock);
	lock->state = HELD;
	pthread_mutex_unlock(&lock->locks->lock);
	lock->granted(lock);
}

/* Grants whoever may go now. Mutex held. */
static void grant_waiting(struct range_locks *locks)
{
	list_for_each_safe(pos, &locks->waiting) {
		struct range_lock *lock = container_of(pos, struct range_lock, link);

		if (!may_have(locks, lock))
			continue;
		list_remove(pos);
		list_append(&locks->held[region(lock)], pos);
		lock->state = MAILED;
		mailbox_post(lock->reply_to, &lock->grant->mail);
	}
}

/* Granted, or left waiting if it has what it takes. */
static bool hold_or_wait(struct range_locks *locks, struct range_lock *lock)
{
	bool granted;

	pthread_mutex_lock(&locks->lock);
	granted = may_have(locks, lock);
	if (granted) {
		list_append(&locks->held[region(lock)], &lock->link);
		lock->state = HELD;
	} else if (lock->grant) {
		lock->grant->lock = lock;
		lock->grant->mail.run = deliver;
		list_append(&locks->waiting, &lock->link);
		lock->state = WAITING;
	}
	pthread_mutex_unlock(&locks->lock);
	return granted;
}

static bool take_recorded(struct range_locks *locks, struct range_lock *lock)
{
	lock->locks = locks;
	lock->anonymous = false;
	lock->grant = NULL;
	if (hold_or_wait(locks, lock))
		return true;
	lock->grant = grant_get(); /* not under the mutex; meanwhile it may have become free */
	if (!hold_or_wait(locks, lock))
		return false;
	grant_put(lock->grant);
	lock->grant = NULL;
	return true;
}

/* One anonymous shared lock less; the last one lets a waiting exclusive lock go. */
static void drop_anonymous(struct range_locks *locks)
{
	uint64_t before = atomic_fetch_sub(&locks->users, 1);

	if (before < EXCLUSIVE_ONE || (before & SHARED_MASK) != 1)
		return;
	pthread_mutex_lock(&locks->lock);
	grant_waiting(locks);
	pthread_mutex_unlock(&locks->lock);
}

bool range_lock_take(struct range_locks *locks, struct range_lock *lock)
{
	if (!lock->exclusive && !lock->ordered) {
		if (atomic_fetch_add(&locks->users, 1) < EXCLUSIVE_ONE) {
			lock->locks = locks;
			lock->anonymous = true;
			return true;
		}
		drop_anonymous(locks);
	}
	if (lock->exclusive)
		atomic_fetch_add(&locks->users, EXCLUSIVE_ONE);
	return take_recorded(locks, lock);
}

bool range_lock_waits(const struct range_lock *lock)
{
	bool waits;

	if (lock->anonymous)
		return false;
	pthread_mutex_lock(&lock->locks->lock);
	waits = lock->state != HELD;
	pthread_mutex_unlock(&lock->locks->lock);
	return waits;
}

void range_lock_release(struct range_lock *lock)
{
	struct range_locks *locks = lock->locks;
	struct range_grant *grant;

	if (lock->anonymous) {
		drop_anonymous(locks);
		return;
	}
	pthread_mutex_lock(&locks->lock);
	list_remove(&lock->link);
	if (lock->exclusive)
		atomic_fetch_sub(&locks->users, EXCLUSIVE_ONE);
	grant = lock->state == WAITING ? lock->grant : NULL;
	if (lock->state == MAILED)
		lock->grant->lock = NULL;
	grant_waiting(locks);
	pthread_mutex_unlock(&locks->lock);
	grant_put(grant);
}
