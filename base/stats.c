#include "stats.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t claim_lock = PTHREAD_MUTEX_INITIALIZER; /* guards `kind` of the writer's own segment */

int stats_create(void)
{
	int fd = memfd_create("lunette-stats", MFD_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(struct stats_segment)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

struct stats_segment *stats_map(int fd, int writable)
{
	struct stat st;
	void *at;

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct stats_segment))
		return NULL;
	at = mmap(NULL, sizeof(struct stats_segment), writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

void stats_unmap(struct stats_segment *segment)
{
	if (segment)
		munmap(segment, sizeof *segment);
}

void stats_clear(struct stats_segment *segment)
{
	uint32_t used = atomic_load(&segment->slots_used);

	for (uint32_t i = 0; i < used && i < STATS_SLOTS; i++)
		atomic_store(&segment->slot[i].kind, STATS_FREE);
	atomic_store(&segment->slots_used, 0);
	segment->version = STATS_VERSION;
	segment->slot_bytes = sizeof(struct stats_slot);
}

static void slot_fill(struct stats_slot *slot, enum stats_kind kind, const char *name, unsigned reactor)
{
	memset((char *)slot + sizeof slot->kind, 0, sizeof *slot - sizeof slot->kind);
	slot->reactor = reactor;
	snprintf(slot->name, sizeof slot->name, "%s", name);
	atomic_store_explicit(&slot->kind, kind, memory_order_release);
}

struct stats_slot *stats_claim(struct stats_segment *segment, enum stats_kind kind, const char *name, unsigned reactor)
{
	struct stats_slot *slot = NULL;
	uint32_t used;

	pthread_mutex_lock(&claim_lock);
	used = atomic_load(&segment->slots_used);
	for (uint32_t i = 0; i < used && !slot; i++)
		if (atomic_load(&segment->slot[i].kind) == STATS_FREE)
			slot = &segment->slot[i];
	if (!slot && used < STATS_SLOTS) {
		slot = &segment->slot[used];
		atomic_store(&segment->slots_used, used + 1);
	}
	if (slot)
		slot_fill(slot, kind, name, reactor);
	pthread_mutex_unlock(&claim_lock);
	return slot;
}

void stats_release(struct stats_slot *slot)
{
	if (slot)
		atomic_store_explicit(&slot->kind, STATS_FREE, memory_order_release);
}

uint64_t stats_bucket_limit_ns(unsigned bucket)
{
	unsigned log, quarter;

	if (bucket >= STATS_BUCKETS - 1)
		return UINT64_MAX;
	if (bucket < 4)
		return (bucket + 1) * UINT64_C(1000);
	log = bucket / 4 + 1;
	quarter = bucket % 4;
	return ((UINT64_C(5) + quarter) << (log - 2)) * 1000;
}
