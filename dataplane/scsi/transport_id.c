#include <stdio.h>
#include <string.h>

#include "dataplane/scsi/transport_id.h"
#include "wire.h"

#define SEPARATOR    ",i,0x"
#define HEADER_BYTES 4
#define TEXT_MIN     20 /* ADDITIONAL LENGTH */
#define TEXT_MAX     (TRANSPORT_ID_MAX_BYTES - HEADER_BYTES)
#define ISID_DIGITS  12

enum { PROTOCOL_ISCSI = 0x05, FORMAT_NAME = 0x00, FORMAT_PORT = 0x40 };

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool decode_isid(const char *text, uint8_t *ret_isid)
{
	if (strlen(text) != ISID_DIGITS)
		return false;
	for (unsigned i = 0; i < ISID_DIGITS / 2; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret_isid[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* iSCSI names are lower case after stringprep (RFC 3722); initiators do not all send them so. */
static bool copy_name(char *ret_name, const char *text, size_t len_bytes)
{
	if (len_bytes < 4 || len_bytes >= PR_NAME_MAX)
		return false;
	for (size_t i = 0; i < len_bytes; i++) {
		char c = text[i];

		if (c <= ' ' || c > '~' || c == ',')
			return false;
		ret_name[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
	}
	ret_name[len_bytes] = '\0';
	return true;
}

unsigned transport_id_decode(const uint8_t *bytes, unsigned len_bytes, struct pr_nexus *ret_nexus)
{
	struct pr_nexus nexus = { .target_port = PR_TARGET_PORT_ANY };
	char text[TEXT_MAX + 1];
	unsigned text_bytes;
	char *separator;

	if (len_bytes < HEADER_BYTES || (bytes[0] & 0x0f) != PROTOCOL_ISCSI || bytes[0] & 0xb0 || bytes[1])
		return 0;
	text_bytes = get_be16(bytes + 2);
	if (text_bytes < TEXT_MIN || text_bytes % 4 || text_bytes > TEXT_MAX || text_bytes > len_bytes - HEADER_BYTES)
		return 0;
	memcpy(text, bytes + HEADER_BYTES, text_bytes);
	text[text_bytes] = '\0';
	if (strlen(text) == text_bytes) /* not terminated */
		return 0;
	if ((bytes[0] & 0xc0) == FORMAT_PORT) {
		separator = strstr(text, SEPARATOR);
		if (!separator || !decode_isid(separator + strlen(SEPARATOR), nexus.isid))
			return 0;
		*separator = '\0';
	} else {
		nexus.any_isid = true;
	}
	if (!copy_name(nexus.initiator, text, strlen(text)))
		return 0;
	*ret_nexus = nexus;
	return HEADER_BYTES + text_bytes;
}

unsigned transport_id_encode(const struct pr_nexus *nexus, uint8_t *ret_bytes)
{
	char text[TEXT_MAX + 1] = { 0 };
	const uint8_t *isid = nexus->isid;
	unsigned text_bytes;
	int n;

	if (nexus->any_isid)
		n = snprintf(text, sizeof text, "%s", nexus->initiator);
	else
		n = snprintf(text, sizeof text, "%s" SEPARATOR "%02x%02x%02x%02x%02x%02x", nexus->initiator, isid[0],
			     isid[1], isid[2], isid[3], isid[4], isid[5]);
	text_bytes = ((unsigned)n + 1 + 3) / 4 * 4;
	if (text_bytes < TEXT_MIN)
		text_bytes = TEXT_MIN;
	ret_bytes[0] = (uint8_t)(PROTOCOL_ISCSI | (nexus->any_isid ? FORMAT_NAME : FORMAT_PORT));
	ret_bytes[1] = 0;
	put_be16(ret_bytes + 2, (uint16_t)text_bytes);
	memcpy(ret_bytes + HEADER_BYTES, text, text_bytes);
	return HEADER_BYTES + text_bytes;
}
