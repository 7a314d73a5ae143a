#include "dataplane/store/range_lock.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>

#define EXCLUSIVE_ONE (UINT64_C(1) << 32)
#define SHARED_MASK   (EXCLUSIVE_ONE - 1)

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
	list_init(&locks->held);
	list_init(&locks->waiting);
}

void range_locks_fini(struct range_locks *locks)
{
	assert(list_empty(&locks->held) && list_empty(&locks->waiting));
	pthread_mutex_destroy(&locks->lock);
}

static bool conflict(const struct range_lock *a, const struct range_lock *b)
{
	if (!a->exclusive && !b->exclusive)
		return false;
	if (!a->count || !b->count)
		return false;
	return a->first <= b->first ? b->first - a->first < a->count : a->first - b->first < b->count;
}

/* Against every recorded lock, and every waiting one that came before. Mutex held. */
static bool may_have(struct range_locks *locks, const struct range_lock *lock)
{
	if (lock->exclusive && (atomic_load(&locks->users) & SHARED_MASK))
		return false;
	list_for_each(pos, &locks->held)
		if (conflict(lock, container_of(pos, struct range_lock, link)))
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
		list_append(&locks->held, pos);
		lock->state = MAILED;
		mailbox_post(lock->reply_to, &lock->grant->mail);
	}
}

static bool take_recorded(struct range_locks *locks, struct range_lock *lock)
{
	bool granted = true;

	lock->locks = locks;
	lock->anonymous = false;
	pthread_mutex_lock(&locks->lock);
	if (may_have(locks, lock)) {
		list_append(&locks->held, &lock->link);
		lock->state = HELD;
	} else {
		lock->grant->lock = lock;
		lock->grant->mail.run = deliver;
		list_append(&locks->waiting, &lock->link);
		lock->state = WAITING;
		granted = false;
	}
	pthread_mutex_unlock(&locks->lock);
	if (granted) {
		grant_put(lock->grant);
		lock->grant = NULL;
	}
	return granted;
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
	if (!lock->exclusive) {
		if (atomic_fetch_add(&locks->users, 1) < EXCLUSIVE_ONE) {
			lock->locks = locks;
			lock->anonymous = true;
			return true;
		}
		drop_anonymous(locks);
	}
	lock->grant = grant_get();
	if (lock->exclusive)
		atomic_fetch_add(&locks->users, EXCLUSIVE_ONE);
	return take_recorded(locks, lock);
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
