/* LUN inventories: an immutable, shared, sorted list of numbers and logical units; and the LUN field (SAM-5 4.7). */
#include <stdlib.h>

#include "dataplane/scsi/copy.h"

static int by_number(const void *left, const void *right)
{
	const struct scsi_inventory_entry *a = left, *b = right;

	return (a->number > b->number) - (a->number < b->number);
}

struct scsi_inventory *scsi_inventory_new(const struct scsi_inventory_entry *entries, unsigned count)
{
	struct scsi_inventory *inventory = malloc(sizeof *inventory + count * sizeof *entries);

	if (!inventory)
		return NULL;
	atomic_init(&inventory->refs, 1);
	inventory->count = count;
	if (count) {
		memcpy(inventory->entry, entries, count * sizeof *entries);
		qsort(inventory->entry, count, sizeof *entries, by_number);
	}
	return inventory;
}

struct scsi_inventory *scsi_inventory_ref(struct scsi_inventory *inventory)
{
	atomic_fetch_add(&inventory->refs, 1);
	return inventory;
}

void scsi_inventory_unref(struct scsi_inventory *inventory)
{
	if (inventory && atomic_fetch_sub(&inventory->refs, 1) == 1)
		free(inventory);
}

static bool keeps(const struct scsi_inventory *inventory, const struct scsi_itl *itl)
{
	int index = scsi_inventory_find(inventory, itl->number);

	return index >= 0 && inventory->entry[index].lu == itl->lu;
}

bool scsi_inventory_keeps(const struct scsi_inventory *inventory, const struct scsi_task *task)
{
	if (task->itl && !keeps(inventory, task->itl))
		return false;
	for (unsigned i = 0; task->copy && i < copy_itls(task->copy); i++)
		if (!keeps(inventory, copy_itl(task->copy, i)))
			return false;
	return true;
}

int scsi_inventory_find(const struct scsi_inventory *inventory, uint16_t number)
{
	unsigned low = 0, high = inventory->count;

	/* Numbers are mostly 0, 1, 2 ... */
	if (number < high && inventory->entry[number].number == number)
		return number;
	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (inventory->entry[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < inventory->count && inventory->entry[low].number == number ? (int)low : -1;
}

enum scsi_lun_kind scsi_lun_decode(uint64_t field, uint16_t *ret_number)
{
	uint16_t first = (uint16_t)(field >> 48);

	if (field == UINT64_C(0xc101000000000000))
		return LUN_WELL_KNOWN_REPORT;
	if (field & UINT64_C(0x0000ffffffffffff)) /* further levels: none here */
		return LUN_INVALID;
	switch (first >> 14) {
	case 0: /* peripheral device addressing, bus 0 only */
		if (first > 0xff)
			return LUN_INVALID;
		*ret_number = first;
		return LUN_NUMBER;
	case 1: /* flat space addressing */
		*ret_number = first & 0x3fff;
		return LUN_NUMBER;
	default:
		return LUN_INVALID;
	}
}

uint64_t scsi_lun_encode(uint16_t number)
{
	return (uint64_t)(number > 0xff ? 0x4000 | number : number) << 48;
}

struct scsi_lu *scsi_inventory_find_lu(const struct scsi_inventory *inventory, uint64_t lun)
{
	uint16_t number;
	int index;

	if (scsi_lun_decode(lun, &number) != LUN_NUMBER)
		return NULL;
	index = scsi_inventory_find(inventory, number);
	return index < 0 ? NULL : inventory->entry[index].lu;
}
