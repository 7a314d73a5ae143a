/* Any bytes as the file of a document on disk (CFG-7): refused, or whole and written again to the same content. */
#include <stdlib.h>
#include <string.h>

#include "cluster/document.h"
#include "crc32c.h"

/* Most mutations only break the checksum: the same bytes once more with a right one. */
static void decode(const uint8_t *bytes, size_t len)
{
	struct document_header header, again_header;
	json_t *content = NULL, *again = NULL;
	struct err err;
	char *file;
	size_t file_len;

	if (document_decode(bytes, len, &header, &content, &err) < 0)
		return;
	if (!document_name_valid(header.name) || header.parent + 1 != header.version || (content == NULL) != header.removed)
		abort();
	file = document_encode(&header, content, &file_len, &err);
	/* the names of writers are not escaped: those that need it do not come back, ours never need it */
	if (file && document_decode(file, file_len, &again_header, &again, &err) == 0 &&
	    (again_header.version != header.version || (content && !json_equal(content, again))))
		abort();
	free(file);
	json_decref(again);
	json_decref(content);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const uint8_t *newline = memchr(bytes, '\n', len);
	char crc[9];
	uint8_t *mended;

	decode(bytes, len);
	if (!newline || newline - bytes < 21)
		return 0;
	mended = malloc(len);
	if (!mended)
		return 0;
	memcpy(mended, bytes, len);
	{
		size_t line = (size_t)(newline - bytes), content_len = len - line - 1;
		uint32_t state = crc32c_update(CRC32C_INIT, bytes, line - 21);

		state = crc32c_update(state, newline + 1, content_len ? content_len - 1 : 0);
		snprintf(crc, sizeof crc, "%08x", crc32c_value(state));
		memcpy(mended + line - 10, crc, 8);
	}
	decode(mended, len);
	free(mended);
	return 0;
}
