/* Logical units: what all nexuses of one LU share, and what reservations let each of them do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/scsi/token.h"

static void take_limits(struct scsi_lu *lu, const struct lun_attributes *attributes)
{
	struct store_limits limits = { 0 };

	lun_limits(lu->lun, &limits);
	lu->block_bytes = attributes->block_bytes;
	lu->physical_block_bytes = attributes->physical_block_bytes < attributes->block_bytes ?
		attributes->block_bytes : attributes->physical_block_bytes;
	lu->block_shift = (uint8_t)__builtin_ctz(attributes->block_bytes);
	lu->provisioned = attributes->thin && limits.unmap_granularity_bytes;
	lu->unmap_zeroes = limits.unmap_zeroes;
	lu->volatile_cache = limits.volatile_cache;
	lu->sector_bytes = limits.align_bytes > attributes->block_bytes ? limits.align_bytes : attributes->block_bytes;
	lu->unmap_granularity_blocks = limits.unmap_granularity_bytes >> lu->block_shift;
	if (!lu->unmap_granularity_blocks)
		lu->unmap_granularity_blocks = 1;
	atomic_init(&lu->protect, attributes->read_only ? PROTECT_ATTRIBUTE : 0);
}

struct scsi_lu *scsi_lu_new(struct lun *lun, const struct scsi_services *services, struct err *err)
{
	const struct lun_attributes *attributes = lun_attributes(lun);
	struct scsi_lu *lu = calloc(1, sizeof *lu);

	if (!lu) {
		err_set(err, -ENOMEM, "no memory for logical unit %s", attributes->name);
		return NULL;
	}
	lu->lun = lun;
	lu->services = *services;
	snprintf(lu->document, sizeof lu->document, "reservation/%s", attributes->id);
	take_limits(lu, attributes);
	pthread_mutex_init(&lu->lock, NULL);
	list_init(&lu->itls);
	list_init(&lu->abandoned);
	lu->pr = scsi_pr_load(lu, &lu->pr_version, err);
	if (!lu->pr) {
		err_wrap(err, "reservations of LUN %s", attributes->name);
		scsi_lu_free(lu);
		return NULL;
	}
	if (scsi_atomic_recover(lu, err) < 0) {
		err_wrap(err, "atomic write of LUN %s", attributes->name);
		scsi_lu_free(lu);
		return NULL;
	}
	if (scsi_sanitize_init(lu, err) < 0) {
		err_wrap(err, "sanitize of LUN %s", attributes->name);
		scsi_lu_free(lu);
		return NULL;
	}
	return lu;
}

void scsi_lu_free(struct scsi_lu *lu)
{
	if (!lu)
		return;
	scsi_sanitize_fini(lu);
	scsi_tokens_free(lu);
	pthread_mutex_destroy(&lu->lock);
	free(lu->pr);
	free(lu);
}

struct lun *scsi_lu_lun(const struct scsi_lu *lu)
{
	return lu->lun;
}

/* --- what reservations let a nexus do: the columns of SPC-4 table 65 --- */

#define ALLOW(access) (1u << ACCESS_##access)
#define ALLOW_SHARED  (ALLOW(ANY) | ALLOW(STATUS) | ALLOW(PR_IN) | ALLOW(PR_OUT))
#define ALLOW_ALL     (ALLOW_SHARED | ALLOW(READ) | ALLOW(WRITE) | ALLOW(MANAGE))

/* SPC-2 5.5.1: a RESERVE(6) reservation that another nexus holds, or this one. */
#define ALLOW_RESERVED_BY_OTHER (ALLOW(ANY) | ALLOW(RELEASE))
#define ALLOW_RESERVED_BY_SELF                                                                                         \
	(ALLOW(ANY) | ALLOW(STATUS) | ALLOW(READ) | ALLOW(WRITE) | ALLOW(MANAGE) | ALLOW(RESERVE) | ALLOW(RELEASE))

struct pr_nexus scsi_port_pr_nexus(const struct scsi_port *port)
{
	struct pr_nexus nexus = { .target_port = port->relative_port_id };

	memcpy(nexus.initiator, port->initiator_name, sizeof nexus.initiator);
	memcpy(nexus.isid, port->isid, sizeof nexus.isid);
	return nexus;
}

static uint32_t persistent_access(const struct pr_state *pr, const struct scsi_port *port)
{
	struct pr_nexus nexus = scsi_port_pr_nexus(port);
	int registration = pr_state_find(pr, &nexus);

	if (pr->type == PR_NONE)
		return ALLOW_ALL;
	if (registration >= 0 &&
	    (pr_type_registrants_only(pr->type) || pr_state_holds(pr, (unsigned)registration)))
		return ALLOW_ALL;
	return pr_type_excludes_reads(pr->type) ? ALLOW_SHARED : ALLOW_SHARED | ALLOW(READ);
}

uint32_t scsi_lu_access_of(const struct scsi_lu *lu, const struct scsi_itl *itl)
{
	if (lu->reserve6)
		return lu->reserve6 == itl ? ALLOW_RESERVED_BY_SELF : ALLOW_RESERVED_BY_OTHER;
	if (!lu->pr->count)
		return ALLOW_ALL | ALLOW(RESERVE) | ALLOW(RELEASE);
	return persistent_access(lu->pr, &itl->nexus->port);
}

void scsi_lu_recompute_itl(struct scsi_lu *lu, struct scsi_itl *itl)
{
	atomic_store(&itl->allowed, scsi_lu_access_of(lu, itl) | 1u << (ALLOWED_STATE + itl->access_state));
}

void scsi_lu_recompute_access(struct scsi_lu *lu)
{
	list_for_each(at, &lu->itls)
		scsi_lu_recompute_itl(lu, container_of(at, struct scsi_itl, in_lu));
}

void scsi_lu_attach(struct scsi_lu *lu, struct scsi_itl *itl)
{
	pthread_mutex_lock(&lu->lock);
	list_append(&lu->itls, &itl->in_lu);
	scsi_lu_recompute_itl(lu, itl);
	scsi_paths_attach(itl);
	pthread_mutex_unlock(&lu->lock);
}

void scsi_lu_detach(struct scsi_lu *lu, struct scsi_itl *itl)
{
	pthread_mutex_lock(&lu->lock);
	list_remove(&itl->in_lu);
	scsi_paths_detach(itl);
	if (lu->reserve6 == itl) {
		lu->reserve6 = NULL;
		scsi_lu_recompute_access(lu);
	}
	pthread_mutex_unlock(&lu->lock);
}

/* --- events --- */

void scsi_lu_capacity_changed(struct scsi_lu *lu)
{
	pthread_mutex_lock(&lu->lock);
	scsi_ua_set_others(lu, NULL, UA_CAPACITY_CHANGED);
	pthread_mutex_unlock(&lu->lock);
}

void scsi_lu_read_only_changed(struct scsi_lu *lu, bool read_only)
{
	pthread_mutex_lock(&lu->lock);
	if (read_only)
		atomic_fetch_or(&lu->protect, PROTECT_ATTRIBUTE);
	else
		atomic_fetch_and(&lu->protect, ~(uint32_t)PROTECT_ATTRIBUTE);
	scsi_ua_set_others(lu, NULL, UA_MODE_CHANGED); /* the WP bit of the mode parameter header */
	pthread_mutex_unlock(&lu->lock);
}

static struct scsi_itl *find_itl(struct scsi_lu *lu, const struct scsi_nexus *nexus)
{
	list_for_each(at, &lu->itls) {
		struct scsi_itl *itl = container_of(at, struct scsi_itl, in_lu);

		if (itl->nexus == nexus)
			return itl;
	}
	return NULL;
}

void scsi_lu_reset(struct scsi_lu *lu, const struct scsi_nexus *by)
{
	pthread_mutex_lock(&lu->lock);
	lu->reserve6 = NULL;
	atomic_fetch_and(&lu->protect, ~(uint32_t)PROTECT_SOFTWARE);
	atomic_store(&lu->descriptor_sense, false);
	list_for_each(at, &lu->itls)
		container_of(at, struct scsi_itl, in_lu)->prevent = false;
	scsi_ua_set_others(lu, by ? find_itl(lu, by) : NULL, UA_DEVICE_RESET);
	scsi_lu_recompute_access(lu);
	pthread_mutex_unlock(&lu->lock);
}
