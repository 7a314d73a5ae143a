/* INQUIRY (SPC-4 6.6) and its vital product data (SPC-4 7.8, SBC-3 6.5). */
#include <stdio.h>

#include "dataplane/scsi/internal.h"

#define VENDOR  "LUNETTE "
#define PRODUCT "VIRTUAL-DISK    "

enum { TYPE_DISK = 0x00, TYPE_WELL_KNOWN = 0x1e, NOT_CONNECTED = 0x3f, NO_SUCH_LUN = 0x7f };

/* Peripheral qualifier and device type. */
static uint8_t peripheral(const struct scsi_task *task)
{
	uint16_t number;

	if (task->itl)
		return TYPE_DISK;
	switch (scsi_lun_decode(task->lun, &number)) {
	case LUN_WELL_KNOWN_REPORT:
		return TYPE_WELL_KNOWN;
	case LUN_NUMBER:
		/* LUN 0 answers for the target device though there is no logical unit behind it. */
		return number ? NO_SUCH_LUN : NOT_CONNECTED;
	default:
		return NO_SUCH_LUN;
	}
}

static void put_padded(struct wire_writer *w, const char *text, size_t len_bytes)
{
	size_t n = strnlen(text, len_bytes);

	wire_put_bytes(w, text, n);
	for (; n < len_bytes; n++)
		wire_put_u8(w, ' ');
}

static void standard(struct scsi_task *task)
{
	static const uint16_t versions[] = { 0x00a0 /* SAM-5 */, 0x0460 /* SPC-4 */, 0x04c0 /* SBC-3 */, 0x0960 /* iSCSI */ };
	uint8_t bytes[96] = { 0 };
	struct wire_writer w = wire_writer(bytes, sizeof bytes);
	bool removable = task->itl && lun_attributes(task->itl->lu->lun)->removable;

	wire_put_u8(&w, peripheral(task));
	wire_put_u8(&w, removable ? 0x80 : 0);
	wire_put_u8(&w, 0x06);             /* SPC-4 */
	wire_put_u8(&w, 0x10 | 0x02);      /* HISUP, response data format 2 */
	wire_put_u8(&w, sizeof bytes - 5); /* ADDITIONAL LENGTH */
	wire_put_u8(&w, (uint8_t)(0x08 | (scsi_port_groups_set_supported(task->nexus) ? 0x30 : 0x10))); /* 3PC, TPGS */
	wire_put_u8(&w, 0x10);             /* MULTIP */
	wire_put_u8(&w, 0x02);             /* CMDQUE */
	put_padded(&w, VENDOR, 8);
	put_padded(&w, PRODUCT, 16);
	put_padded(&w, LUNETTE_VERSION, 4);
	wire_put_zeroes(&w, 22);
	for (unsigned i = 0; i < sizeof versions / sizeof versions[0]; i++)
		wire_put_u16(&w, versions[i]);
	scsi_reply_bytes(task, bytes, sizeof bytes);
}

/* --- VPD pages: each fills what follows the 4 byte header --- */

static void supported_pages(const struct scsi_task *task, struct wire_writer *w);

static void unit_serial_number(const struct scsi_task *task, struct wire_writer *w)
{
	const char *serial = lun_attributes(task->itl->lu->lun)->serial;

	wire_put_bytes(w, serial, strlen(serial));
}

enum { CODE_BINARY = 1, CODE_ASCII = 2, CODE_UTF8 = 3 };
enum { ASSOCIATION_LU = 0x00, ASSOCIATION_PORT = 0x10, ASSOCIATION_DEVICE = 0x20 };
enum { PROTOCOL_ISCSI = 0x50, PIV = 0x80 };

static void designator(struct wire_writer *w, uint8_t association, uint8_t type, uint8_t code, const void *bytes,
		       size_t len_bytes)
{
	wire_put_u8(w, association == ASSOCIATION_LU ? code : (uint8_t)(PROTOCOL_ISCSI | code));
	wire_put_u8(w, (uint8_t)((association == ASSOCIATION_LU ? 0 : PIV) | association | type));
	wire_put_u8(w, 0);
	wire_put_u8(w, (uint8_t)len_bytes);
	wire_put_bytes(w, bytes, len_bytes);
}

/* SPC-4 7.8.6.6.5: NUL-terminated UTF-8, padded to a multiple of four. */
static void name_designator(struct wire_writer *w, uint8_t association, const char *name)
{
	char padded[256] = { 0 };
	size_t n = strnlen(name, sizeof padded - 5);

	memcpy(padded, name, n);
	designator(w, association, DESIGNATOR_SCSI_NAME, CODE_UTF8, padded, (n / 4 + 1) * 4);
}

size_t scsi_t10_id(const struct lun_attributes *attributes, char ret_id[SCSI_T10_ID_MAX])
{
	return (size_t)snprintf(ret_id, SCSI_T10_ID_MAX, VENDOR "%s", attributes->serial);
}

static void lu_designators(const struct lun_attributes *attributes, struct wire_writer *w)
{
	char t10[SCSI_T10_ID_MAX], name[4 + 32 + 1] = "naa.";
	size_t n = scsi_t10_id(attributes, t10);

	designator(w, ASSOCIATION_LU, DESIGNATOR_NAA, CODE_BINARY, attributes->naa, sizeof attributes->naa);
	designator(w, ASSOCIATION_LU, DESIGNATOR_T10, CODE_ASCII, t10, n);
	for (unsigned i = 0; i < sizeof attributes->naa; i++)
		snprintf(name + 4 + 2 * i, 3, "%02X", attributes->naa[i]);
	name_designator(w, ASSOCIATION_LU, name);
}

static void device_identification(const struct scsi_task *task, struct wire_writer *w)
{
	const struct scsi_port *port = &task->nexus->port;
	uint8_t number[4] = { 0 };
	char name[SCSI_NAME_MAX + 16];

	if (task->itl)
		lu_designators(lun_attributes(task->itl->lu->lun), w);
	put_be16(number + 2, port->relative_port_id);
	designator(w, ASSOCIATION_PORT, DESIGNATOR_RTPI, CODE_BINARY, number, sizeof number);
	put_be16(number + 2, port->portal_group_tag);
	designator(w, ASSOCIATION_PORT, DESIGNATOR_TPG, CODE_BINARY, number, sizeof number);
	snprintf(name, sizeof name, "%s,t,0x%04x", port->target_name, port->portal_group_tag);
	name_designator(w, ASSOCIATION_PORT, name);
	name_designator(w, ASSOCIATION_DEVICE, port->target_name);
}

static void extended_inquiry(const struct scsi_task *task, struct wire_writer *w)
{
	(void)task;
	wire_put_u8(w, 0);
	wire_put_u8(w, 0x07);   /* HEADSUP, ORDSUP, SIMPSUP */
	wire_put_u8(w, 0);      /* WU_SUP, V_SUP */
	wire_put_u8(w, 0x01);   /* LUICLR */
	wire_put_zeroes(w, 56);
}

static uint32_t blocks_of(const struct scsi_lu *lu, uint32_t bytes)
{
	return bytes >> lu->block_shift;
}

static void block_limits(const struct scsi_task *task, struct wire_writer *w)
{
	const struct scsi_lu *lu = task->itl->lu;

	wire_put_u8(w, 0);                       /* WSNZ: WRITE SAME of no blocks means to the end */
	wire_put_u8(w, SCSI_COMPARE_MAX_BLOCKS);
	wire_put_u16(w, (uint16_t)blocks_of(lu, lu->physical_block_bytes)); /* OPTIMAL TRANSFER LENGTH GRANULARITY */
	wire_put_u32(w, blocks_of(lu, SCSI_DATA_MAX));
	wire_put_u32(w, blocks_of(lu, SCSI_OPTIMAL_BYTES));
	wire_put_u32(w, 0);                      /* MAXIMUM PREFETCH LENGTH: not limited */
	wire_put_u32(w, lu->provisioned ? SCSI_UNMAP_MAX_BLOCKS : 0);
	wire_put_u32(w, lu->provisioned ? SCSI_UNMAP_MAX_RANGES : 0);
	wire_put_u32(w, lu->provisioned ? lu->unmap_granularity_blocks : 0);
	wire_put_u32(w, lu->provisioned ? 0x80000000 : 0); /* UGAVALID, alignment 0 */
	wire_put_u64(w, SCSI_WRITE_SAME_MAX);
	wire_put_u32(w, SCSI_ATOMIC_MAX_BLOCKS); /* MAXIMUM ATOMIC TRANSFER LENGTH */
	wire_put_zeroes(w, 16);                  /* any alignment and granularity; no boundaries */
}

static void block_characteristics(const struct scsi_task *task, struct wire_writer *w)
{
	(void)task;
	wire_put_u16(w, 1); /* MEDIUM ROTATION RATE: non-rotating */
	wire_put_u8(w, 0);
	wire_put_u8(w, 0x40); /* WABEREQ: what BLOCK ERASE erased is read without error */
	wire_put_zeroes(w, 56);
}

static void provisioning(const struct scsi_task *task, struct wire_writer *w)
{
	const struct scsi_lu *lu = task->itl->lu;

	wire_put_u8(w, lu->provisioned ? scsi_threshold_exponent(lu) : 0);
	if (lu->provisioned)
		wire_put_u8(w, (uint8_t)(0xe0 | (lu->unmap_zeroes ? 0x04 : 0))); /* LBPU, LBPWS, LBPWS10, LBPRZ */
	else
		wire_put_u8(w, 0);
	wire_put_u8(w, lu->provisioned ? 2 : 0); /* PROVISIONING TYPE: thin, or fully provisioned */
	wire_put_u8(w, 0);
}

static const struct {
	uint8_t code;
	bool without_lu; /* of the target device: answered on the well-known logical unit and on an empty LUN 0 too */
	void (*fill)(const struct scsi_task *task, struct wire_writer *w);
} pages[] = { /* ascending: page 00h lists them in this order */
	{ 0x00, true, supported_pages },
	{ 0x80, false, unit_serial_number },
	{ 0x83, true, device_identification },
	{ 0x86, false, extended_inquiry },
	{ 0x8f, false, scsi_third_party_copy_page },
	{ 0xb0, false, block_limits },
	{ 0xb1, false, block_characteristics },
	{ 0xb2, false, provisioning },
};

#define PAGES (sizeof pages / sizeof pages[0])

static void supported_pages(const struct scsi_task *task, struct wire_writer *w)
{
	for (unsigned i = 0; i < PAGES; i++)
		if (task->itl || pages[i].without_lu)
			wire_put_u8(w, pages[i].code);
}

static int find_page(const struct scsi_task *task)
{
	for (unsigned i = 0; i < PAGES; i++)
		if (pages[i].code == task->cdb[2] && (task->itl || pages[i].without_lu))
			return (int)i;
	return -1;
}

bool scsi_prepare_inquiry(struct scsi_task *task)
{
	bool vital = task->cdb[1] & 1;

	if (vital ? find_page(task) < 0 : task->cdb[2] != 0)
		return scsi_refuse_field(task, 2);
	return scsi_prepare_length(task);
}

void scsi_inquiry(struct scsi_task *task)
{
	uint8_t bytes[1024];
	struct wire_writer w = wire_writer(bytes, sizeof bytes);

	if (!(task->cdb[1] & 1)) {
		standard(task);
		return;
	}
	wire_put_u8(&w, peripheral(task));
	wire_put_u8(&w, task->cdb[2]);
	wire_put_u16(&w, 0);
	pages[find_page(task)].fill(task, &w);
	put_be16(bytes + 2, (uint16_t)(wire_written(&w) - 4));
	scsi_reply_bytes(task, bytes, wire_written(&w));
}
