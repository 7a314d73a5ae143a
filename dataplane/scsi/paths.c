/*
 * Writes of one host by several paths, the other half of the guard against ghost writes (abandoned.c).
 *
 * A host whose path has failed writes the same blocks again by another, and nothing in SCSI orders the two nexuses. We may
 * learn of the failure late or never: the old write may be in the store, wait in the session for its turn, or be unread in
 * the socket with the end of the connection behind it. So where an initiator name has several nexuses of a logical unit:
 *
 *   - writes of different nexuses that overlap are done one after the other: their range locks are ordered;
 *   - a write that has its lock looks whether its path is still there. If not it is not done. To look is a system call,
 *     so writes that have their locks go on together at the end of the reactor's turn, with one look for each path.
 *
 * Together: the host has closed the old path before it sends the newer write. If the old one got its lock first, the newer
 * one waits until it is done; if the newer one did, the old one sees that its path is gone. What the network itself still
 * carries of a path that is cut off, no target can see.
 *
 * An initiator with one nexus pays for the look at a word. When a second one comes, writes of the first may hold locks
 * that are not recorded; so locks of the new nexus are exclusive, which waits for those, until the first is granted.
 */
#include <string.h>

#include "dataplane/scsi/internal.h"

static bool same_initiator(const struct scsi_itl *a, const struct scsi_itl *b)
{
	return !strcmp(a->nexus->port.initiator_name, b->nexus->port.initiator_name);
}

void scsi_paths_attach(struct scsi_itl *itl)
{
	uint8_t only;

	list_for_each(at, &itl->lu->itls) {
		struct scsi_itl *other = container_of(at, struct scsi_itl, in_lu);

		if (other == itl || !same_initiator(other, itl))
			continue;
		only = PATH_ONLY;
		atomic_compare_exchange_strong(&other->path, &only, PATH_ONE_OF);
		atomic_store(&itl->path, PATH_NEW);
	}
}

void scsi_paths_detach(const struct scsi_itl *itl)
{
	struct scsi_itl *left = NULL;

	list_for_each(at, &itl->lu->itls) {
		struct scsi_itl *other = container_of(at, struct scsi_itl, in_lu);

		if (other == itl || !same_initiator(other, itl))
			continue;
		if (left)
			return;
		left = other;
	}
	if (left)
		atomic_store(&left->path, PATH_ONLY);
}

bool scsi_paths_lock(struct lun_lock *lock, const struct scsi_itl *itl)
{
	const bool exclusive = lock->exclusive;

	lock->taker = itl;
	for (;;) {
		uint8_t path = atomic_load(&itl->path);

		lock->ordered = path != PATH_ONLY;
		lock->exclusive = exclusive || path == PATH_NEW;
		if (!lun_lock_take(lock))
			return false;
		if (lock->ordered || atomic_load(&itl->path) == PATH_ONLY)
			return true;
		lun_lock_release(lock); /* another nexus came meanwhile: it may not have seen the lock */
	}
}

/* Whether the initiator has other paths, now that the lock is held. */
static bool has_others(struct scsi_itl *itl, const struct lun_lock *lock)
{
	uint8_t path = atomic_load(&itl->path);

	if (__builtin_expect(path == PATH_ONLY, 1))
		return false;
	if (path == PATH_NEW && lock->exclusive)
		atomic_compare_exchange_strong(&itl->path, &path, PATH_ONE_OF);
	return true;
}

static bool path_gone(const struct scsi_task *task)
{
	return task->path_gone && task->path_gone(task);
}

bool scsi_path_is_there(struct scsi_task *task, struct scsi_itl *itl, const struct lun_lock *lock)
{
	if (!has_others(itl, lock) || !path_gone(task))
		return true;
	scsi_task_fail(task, KEY_ABORTED_COMMAND, ASC_NEXUS_LOST);
	return false;
}

bool scsi_paths_look_later(struct scsi_task *task)
{
	if (!has_others(task->itl, &task->lock))
		return false;
	list_append(&task->reactor->locked, &task->in_locked);
	return true;
}

unsigned scsi_reactor_flush(struct scsi_reactor *reactor)
{
	const struct scsi_nexus *seen = NULL;
	struct list now, *at;
	unsigned count = 0;
	bool gone = false;

	list_init(&now);
	list_splice(&now, &reactor->locked);
	for (; (at = list_take(&now)); count++) {
		struct scsi_task *task = container_of(at, struct scsi_task, in_locked);

		if (!task->aborted && task->nexus != seen) {
			seen = task->nexus;
			gone = path_gone(task);
		}
		scsi_block_go_on(task, task->nexus == seen && gone);
	}
	store_ctx_flush(reactor->store);
	return count;
}
