/* I_T nexuses: which logical units an initiator port sees through a target port, and what it may do there. */
#include <stdlib.h>

#include "dataplane/scsi/internal.h"

struct scsi_nexus *scsi_nexus_new(uint64_t id, const struct scsi_port *port, struct scsi_inventory *inventory)
{
	struct scsi_nexus *nexus = calloc(1, sizeof *nexus);

	if (!nexus)
		return NULL;
	nexus->itl = calloc(inventory->count + 1, sizeof *nexus->itl);
	if (!nexus->itl) {
		free(nexus);
		return NULL;
	}
	nexus->id = id;
	nexus->port = *port;
	nexus->inventory = scsi_inventory_ref(inventory);
	return nexus;
}

static void drop_itl(struct scsi_itl *itl)
{
	if (!itl)
		return;
	scsi_port_groups_detach(itl);
	scsi_lu_detach(itl->lu, itl);
	scsi_itl_forget_copies(itl);
	free(itl);
}

void scsi_nexus_free(struct scsi_nexus *nexus)
{
	if (!nexus)
		return;
	for (unsigned i = 0; i < nexus->inventory->count; i++)
		drop_itl(nexus->itl[i]);
	scsi_inventory_unref(nexus->inventory);
	free(nexus->itl);
	free(nexus);
}

uint64_t scsi_nexus_id(const struct scsi_nexus *nexus)
{
	return nexus->id;
}

struct scsi_itl *scsi_nexus_itl(struct scsi_nexus *nexus, unsigned index)
{
	const struct scsi_inventory_entry *entry = &nexus->inventory->entry[index];
	struct scsi_itl *itl = nexus->itl[index];

	if (__builtin_expect(itl != NULL, 1))
		return itl;
	itl = calloc(1, sizeof *itl);
	if (!itl)
		return NULL;
	itl->nexus = nexus;
	itl->lu = entry->lu;
	itl->number = entry->number;
	list_init(&itl->set.sequenced);
	itl->read_only = entry->read_only;
	list_init(&itl->copies);
	atomic_init(&itl->ua, nexus->first_ua);
	scsi_port_groups_attach(itl);
	scsi_lu_attach(entry->lu, itl);
	nexus->itl[index] = itl;
	return itl;
}

/* Moves what the nexus knew about LUs that stay under the same number; returns the new array, NULL: no memory. */
static struct scsi_itl **keep_itls(struct scsi_nexus *nexus, const struct scsi_inventory *inventory)
{
	struct scsi_itl **kept = calloc(inventory->count + 1, sizeof(struct scsi_itl *));

	for (unsigned i = 0; kept && i < inventory->count; i++) {
		const struct scsi_inventory_entry *entry = &inventory->entry[i];
		int old = scsi_inventory_find(nexus->inventory, entry->number);

		if (old < 0 || !nexus->itl[old] || nexus->itl[old]->lu != entry->lu)
			continue;
		kept[i] = nexus->itl[old];
		kept[i]->read_only = entry->read_only;
		nexus->itl[old] = NULL;
	}
	return kept;
}

bool scsi_nexus_set_inventory(struct scsi_nexus *nexus, struct scsi_inventory *inventory)
{
	struct scsi_itl **kept = keep_itls(nexus, inventory);

	if (!kept)
		return false;
	for (unsigned i = 0; i < nexus->inventory->count; i++)
		drop_itl(nexus->itl[i]);
	free(nexus->itl);
	nexus->itl = kept;
	scsi_inventory_ref(inventory);
	scsi_inventory_unref(nexus->inventory);
	nexus->inventory = inventory;
	nexus->first_ua |= 1u << UA_LUNS_CHANGED;
	for (unsigned i = 0; i < inventory->count; i++)
		if (kept[i])
			scsi_ua_set(kept[i], UA_LUNS_CHANGED);
	return true;
}

void scsi_nexus_unit_attention(struct scsi_nexus *nexus, uint16_t asc_ascq)
{
	int ua = scsi_ua_from_asc(asc_ascq);

	if (ua < 0)
		return;
	nexus->first_ua |= 1u << ua;
	for (unsigned i = 0; i < nexus->inventory->count; i++)
		if (nexus->itl[i])
			scsi_ua_set(nexus->itl[i], (enum scsi_ua)ua);
}

struct scsi_lu *scsi_nexus_find_lu(struct scsi_nexus *nexus, uint64_t lun)
{
	return scsi_inventory_find_lu(nexus->inventory, lun);
}
