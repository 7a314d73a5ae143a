/* MODE SENSE and MODE SELECT (SPC-4 6.9 to 6.12, 7.5; SBC-3 6.4): caching, control, informational exceptions. Nothing is
 * saved: saved values are the defaults, and a reset restores them. */
#include "dataplane/scsi/internal.h"

enum { PC_CURRENT = 0, PC_CHANGEABLE = 1, PC_DEFAULT = 2, PC_SAVED = 3 };
enum { PAGE_CACHING = 0x08, PAGE_CONTROL = 0x0a, PAGE_EXCEPTIONS = 0x1c, PAGE_ALL = 0x3f };
enum { D_SENSE = 0x04 /* byte 2 */, SWP = 0x08 /* byte 4 */ };
enum { TST_PER_NEXUS = 0x20 /* byte 2 */, UNRESTRICTED_REORDERING = 0x10 /* byte 3; QErr 00b */ };

#define MODE_LIST_MAX_BYTES 256

static void caching(const struct scsi_lu *lu, unsigned pc, uint8_t *page)
{
	if (pc != PC_CHANGEABLE)
		page[2] = lu->volatile_cache ? 0x04 : 0; /* WCE tells the truth about the store and cannot be changed */
}

static void control(const struct scsi_lu *lu, unsigned pc, uint8_t *page)
{
	bool changeable = pc == PC_CHANGEABLE;

	if (changeable || (pc == PC_CURRENT && atomic_load(&lu->descriptor_sense)))
		page[2] |= D_SENSE;
	if (changeable || (pc == PC_CURRENT && atomic_load(&lu->protect) & PROTECT_SOFTWARE))
		page[4] |= SWP;
	if (changeable)
		return;
	/* A task set per I_T nexus (order.c); a failed command aborts no others (QErr), and neither does an aborted one
	 * answer TASK ABORTED (byte 5, TAS): other initiators learn by unit attention. */
	page[2] |= TST_PER_NEXUS;
	page[3] = UNRESTRICTED_REORDERING;
}

static void exceptions(const struct scsi_lu *lu, unsigned pc, uint8_t *page)
{
	(void)lu;
	if (pc != PC_CHANGEABLE)
		page[2] = 0x08; /* DEXCPT: none are reported */
}

static const struct {
	uint8_t code, subpage, len_bytes; /* whole page, header included */
	bool provisioned; /* of thin LUNs only */
	void (*fill)(const struct scsi_lu *lu, unsigned pc, uint8_t *page);
} pages[] = {
	{ PAGE_CACHING, 0, 20, false, caching },
	{ PAGE_CONTROL, 0, 12, false, control },
	{ PAGE_EXCEPTIONS, 0, 12, false, exceptions },
	{ PAGE_EXCEPTIONS, 0x02, 24, true, scsi_provisioning_page }, /* logical block provisioning */
};

#define PAGES (sizeof pages / sizeof pages[0])
#define PAGE_MAX_BYTES 24
#define SUBPAGE_ALL 0xff
#define SPF 0x40 /* byte 0: the header is one of a subpage */

static void fill_page(const struct scsi_lu *lu, unsigned index, unsigned pc, uint8_t *page)
{
	memset(page, 0, pages[index].len_bytes);
	pages[index].fill(lu, pc, page);
	page[0] = pages[index].code;
	if (pages[index].subpage) {
		page[0] |= SPF;
		page[1] = pages[index].subpage;
		put_be16(page + 2, (uint16_t)(pages[index].len_bytes - 4));
	} else {
		page[1] = (uint8_t)(pages[index].len_bytes - 2);
	}
}

/* Whether a page is among those that a code and a subpage code, which may mean all, ask for. */
static bool wanted(const struct scsi_lu *lu, unsigned index, uint8_t code, uint8_t subpage)
{
	return (!pages[index].provisioned || lu->provisioned) && (code == PAGE_ALL || code == pages[index].code) &&
	       (subpage == SUBPAGE_ALL || subpage == pages[index].subpage);
}

static int find_page(const struct scsi_lu *lu, uint8_t code, uint8_t subpage)
{
	for (unsigned i = 0; i < PAGES; i++)
		if (wanted(lu, i, code, subpage))
			return (int)i;
	return -1;
}

/* --- MODE SENSE --- */

bool scsi_prepare_mode_sense(struct scsi_task *task)
{
	uint8_t code = task->cdb[2] & 0x3f, subpage = task->cdb[3];

	if (task->cdb[2] >> 6 == PC_SAVED)
		return scsi_refuse(task, ASC_SAVING_NOT_SUPPORTED);
	if (code != PAGE_ALL && find_page(task->itl->lu, code, SUBPAGE_ALL) < 0)
		return scsi_refuse_field(task, 2);
	if (find_page(task->itl->lu, code, subpage) < 0 || (code == PAGE_ALL && subpage && subpage != SUBPAGE_ALL))
		return scsi_refuse_field(task, 3);
	return scsi_prepare_length(task);
}

static void block_descriptor(const struct scsi_lu *lu, bool is_long, struct wire_writer *w)
{
	uint64_t blocks = lun_capacity_blocks(lu->lun);

	if (is_long) {
		wire_put_u64(w, blocks);
		wire_put_u32(w, 0);
	} else {
		wire_put_u32(w, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks);
	}
	wire_put_u32(w, lu->block_bytes);
}

static uint8_t device_specific(const struct scsi_task *task)
{
	bool protected = atomic_load(&task->itl->lu->protect) || task->itl->read_only;

	return (uint8_t)(0x10 | (protected ? 0x80 : 0)); /* DPOFUA, WP */
}

void scsi_mode_sense(struct scsi_task *task)
{
	const struct scsi_lu *lu = task->itl->lu;
	bool ten = task->command->cdb_len_bytes == 10, is_long = ten && task->cdb[1] & 0x10;
	uint8_t code = task->cdb[2] & 0x3f, pc = task->cdb[2] >> 6, page[PAGE_MAX_BYTES], bytes[MODE_LIST_MAX_BYTES];
	struct wire_writer w = wire_writer(bytes, sizeof bytes);
	unsigned descriptor_bytes = task->cdb[1] & 0x08 ? 0 : is_long ? 16 : 8; /* DBD */

	wire_put_zeroes(&w, ten ? 8 : 4);
	if (descriptor_bytes)
		block_descriptor(lu, is_long, &w);
	for (unsigned i = 0; i < PAGES; i++) {
		if (!wanted(lu, i, code, task->cdb[3]))
			continue;
		fill_page(lu, i, pc, page);
		wire_put_bytes(&w, page, pages[i].len_bytes);
	}
	if (ten) {
		put_be16(bytes, (uint16_t)(wire_written(&w) - 2));
		bytes[3] = device_specific(task);
		bytes[4] = is_long ? 1 : 0; /* LONGLBA */
		bytes[7] = (uint8_t)descriptor_bytes;
	} else {
		bytes[0] = (uint8_t)(wire_written(&w) - 1);
		bytes[2] = device_specific(task);
		bytes[3] = (uint8_t)descriptor_bytes;
	}
	scsi_reply_bytes(task, bytes, wire_written(&w));
}

/* --- MODE SELECT --- */

bool scsi_prepare_mode_select(struct scsi_task *task)
{
	if (!scsi_prepare_length(task))
		return false;
	if (task->cdb[1] & 0x01) /* SP */
		return scsi_refuse_field(task, 1);
	if (!(task->cdb[1] & 0x10) && task->data_bytes) /* PF: vendor-specific pages are not known here */
		return scsi_refuse_field(task, 1);
	if (task->data_bytes > MODE_LIST_MAX_BYTES)
		return scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
	return true;
}

struct mode_change {
	bool descriptor_sense, software_protect;
};

/* The block descriptor may repeat the geometry, never change it. */
static bool block_descriptor_valid(const struct scsi_lu *lu, const uint8_t *at, unsigned len_bytes)
{
	uint64_t capacity = lun_capacity_blocks(lu->lun), blocks;

	if (!len_bytes)
		return true;
	blocks = len_bytes == 16 ? get_be64(at) : get_be32(at);
	if (get_be32(at + len_bytes - 4) != lu->block_bytes)
		return false;
	return !blocks || blocks == capacity || (len_bytes == 8 && blocks == UINT32_MAX);
}

/* Offset of the first page in the list; 0: the sense has been set. */
static unsigned check_header(struct scsi_task *task, const uint8_t *list, unsigned len_bytes)
{
	bool ten = task->command->cdb_len_bytes == 10;
	unsigned header_bytes = ten ? 8 : 4, descriptor_bytes, length_at = ten ? 6 : 3, usual;

	if (len_bytes < header_bytes) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
		return 0;
	}
	usual = ten && list[4] & 1 ? 16 : 8;
	descriptor_bytes = ten ? get_be16(list + 6) : list[3];
	if (list[ten ? 2 : 1]) {
		scsi_refuse_list(task, ten ? 2 : 1); /* MEDIUM TYPE */
		return 0;
	}
	if (descriptor_bytes && descriptor_bytes != usual) {
		scsi_refuse_list(task, length_at);
		return 0;
	}
	if (len_bytes < header_bytes + descriptor_bytes) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
		return 0;
	}
	if (!block_descriptor_valid(task->itl->lu, list + header_bytes, descriptor_bytes)) {
		scsi_refuse_list(task, header_bytes);
		return 0;
	}
	return header_bytes + descriptor_bytes;
}

/* Takes over one page at list + at; its length, 0: the sense has been set. */
static unsigned check_page(struct scsi_task *task, const uint8_t *list, unsigned at, unsigned len_bytes,
			   struct mode_change *change)
{
	uint8_t current[PAGE_MAX_BYTES], changeable[PAGE_MAX_BYTES];
	unsigned header_bytes = list[at] & SPF ? 4 : 2;
	int index;

	if (len_bytes - at < header_bytes) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
		return 0;
	}
	index = list[at] & 0x80 || (list[at] & 0x3f) == PAGE_ALL || (list[at] & SPF && (!list[at + 1] || list[at + 1] == SUBPAGE_ALL)) ?
		-1 : find_page(task->itl->lu, list[at] & 0x3f, list[at] & SPF ? list[at + 1] : 0);
	if (index < 0) {
		scsi_refuse_list(task, at);
		return 0;
	}
	if (len_bytes - at < pages[index].len_bytes) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
		return 0;
	}
	fill_page(task->itl->lu, (unsigned)index, PC_CURRENT, current);
	fill_page(task->itl->lu, (unsigned)index, PC_CHANGEABLE, changeable);
	for (unsigned i = 1; i < pages[index].len_bytes; i++) {
		uint8_t allowed = i < header_bytes ? 0 : changeable[i];

		if ((list[at + i] ^ current[i]) & ~allowed) {
			scsi_refuse_list(task, at + i);
			return 0;
		}
	}
	if (pages[index].code == PAGE_CONTROL) {
		change->descriptor_sense = list[at + 2] & D_SENSE;
		change->software_protect = list[at + 4] & SWP;
	}
	return pages[index].len_bytes;
}

static void apply(struct scsi_task *task, const struct mode_change *change)
{
	struct scsi_lu *lu = task->itl->lu;
	bool protected;

	pthread_mutex_lock(&lu->lock);
	protected = atomic_load(&lu->protect) & PROTECT_SOFTWARE;
	if (protected != change->software_protect || atomic_load(&lu->descriptor_sense) != change->descriptor_sense)
		scsi_ua_set_others(lu, task->itl, UA_MODE_CHANGED);
	atomic_store(&lu->descriptor_sense, change->descriptor_sense);
	if (change->software_protect)
		atomic_fetch_or(&lu->protect, PROTECT_SOFTWARE);
	else
		atomic_fetch_and(&lu->protect, ~(uint32_t)PROTECT_SOFTWARE);
	pthread_mutex_unlock(&lu->lock);
}

void scsi_mode_select(struct scsi_task *task)
{
	struct scsi_lu *lu = task->itl->lu;
	struct mode_change change = { atomic_load(&lu->descriptor_sense), atomic_load(&lu->protect) & PROTECT_SOFTWARE };
	uint8_t list[MODE_LIST_MAX_BYTES];
	unsigned at, len_bytes = task->data_bytes;

	if (!len_bytes) { /* not an error, nothing to do */
		scsi_finish(task);
		return;
	}
	if (sgl_copy_out(&task->data, 0, list, len_bytes) < len_bytes) {
		scsi_refuse(task, ASC_PARAMETER_LIST_LENGTH);
		scsi_finish(task);
		return;
	}
	at = check_header(task, list, len_bytes);
	while (at && at < len_bytes) {
		unsigned page_bytes = check_page(task, list, at, len_bytes, &change);

		at = page_bytes ? at + page_bytes : 0;
	}
	if (at)
		apply(task, &change);
	scsi_finish(task);
}
