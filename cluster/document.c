#include "cluster/document.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "json_text.h"

/* ,"crc32c":"01234567"} */
#define CRC_MEMBER_LEN 21

static bool component_valid(const char *at, size_t len)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";

	if (len == 0 || at[0] == '.' || strspn(at, allowed) < len)
		return false;
	return !(len == 1 && at[0] == 'v'); /* the folder of the versions */
}

bool document_name_valid(const char *name)
{
	unsigned components = 0;

	if (strlen(name) >= DOCUMENT_NAME_MAX || strcmp(name, "tmp") == 0 || strncmp(name, "tmp/", 4) == 0)
		return false;
	for (const char *at = name;; at++) {
		size_t len = strcspn(at, "/");

		if (!component_valid(at, len) || ++components > 3)
			return false;
		at += len;
		if (*at == '\0')
			return true;
	}
}

static uint32_t document_crc(const char *header, size_t header_len, const char *content, size_t content_len)
{
	uint32_t state = crc32c_update(CRC32C_INIT, header, header_len);

	return crc32c_value(crc32c_update(state, content, content_len));
}

char *document_encode(const struct document_header *h, const json_t *content, size_t *ret_len_bytes, struct err *err)
{
	char *text = h->removed ? strdup("{}") : json_text(content, JSON_COMPACT);
	char header[DOCUMENT_HEADER_MAX], *file = NULL;
	size_t len, header_len;
	int n;

	if (!text) {
		err_set(err, -ENOMEM, "the content cannot be written as JSON, or out of memory");
		return NULL;
	}
	len = strlen(text);
	n = snprintf(header, sizeof header,
		     "{\"lunette\":1,\"name\":\"%s\",\"version\":%" PRIu64 ",\"parent\":%" PRIu64
		     ",\"writer\":\"%s\",\"parent_writer\":\"%s\",\"removed\":%s,\"length\":%zu",
		     h->name, h->version, h->parent, h->writer, h->parent_writer, h->removed ? "true" : "false", len);
	header_len = (size_t)n;
	if (n < 0 || header_len + CRC_MEMBER_LEN >= sizeof header || len > DOCUMENT_BYTES_MAX - sizeof header - 1) {
		err_set(err, -EFBIG, "the document is too large (%zu bytes)", len);
	} else if ((file = malloc(header_len + CRC_MEMBER_LEN + len + 3)) == NULL) {
		err_set(err, -ENOMEM, "out of memory");
	} else {
		memcpy(file, header, header_len);
		sprintf(file + header_len, ",\"crc32c\":\"%08" PRIx32 "\"}\n", document_crc(header, header_len, text, len));
		header_len += CRC_MEMBER_LEN + 1;
		memcpy(file + header_len, text, len);
		memcpy(file + header_len + len, "\n", 2);
		*ret_len_bytes = header_len + len + 1;
	}
	free(text);
	return file;
}

static bool copy_text(const json_t *object, const char *member, char *ret_text, size_t size)
{
	const char *text = json_string_value(json_object_get(object, member));

	if (!text || strlen(text) >= size)
		return false;
	strcpy(ret_text, text);
	return true;
}

static bool header_fields(const json_t *object, struct document_header *h, size_t *ret_length)
{
	json_int_t lunette = json_integer_value(json_object_get(object, "lunette"));
	json_int_t version = json_integer_value(json_object_get(object, "version"));
	json_int_t parent = json_integer_value(json_object_get(object, "parent"));
	json_int_t length = json_integer_value(json_object_get(object, "length"));
	const json_t *removed = json_object_get(object, "removed");

	if (lunette != 1 || version < 1 || parent != version - 1 || length < 2 || !json_is_boolean(removed))
		return false;
	h->version = (uint64_t)version;
	h->parent = (uint64_t)parent;
	h->removed = json_is_true(removed);
	*ret_length = (size_t)length;
	return copy_text(object, "name", h->name, sizeof h->name) && document_name_valid(h->name) &&
	       copy_text(object, "writer", h->writer, sizeof h->writer) && h->writer[0] &&
	       copy_text(object, "parent_writer", h->parent_writer, sizeof h->parent_writer);
}

/* The header line: its members, the length of the line without newline, and the checksum it claims. */
static int header_decode(const char *bytes, size_t len, struct document_header *h, size_t *ret_line_len,
			 size_t *ret_content_len, uint32_t *ret_crc, struct err *err)
{
	const char *end = memchr(bytes, '\n', len < DOCUMENT_HEADER_MAX ? len : DOCUMENT_HEADER_MAX);
	size_t line_len = end ? (size_t)(end - bytes) : 0;
	char crc_text[9] = "", *crc_end;
	json_t *object;
	bool whole;

	if (line_len <= CRC_MEMBER_LEN || memcmp(end - CRC_MEMBER_LEN, ",\"crc32c\":\"", 11) != 0)
		return err_set(err, -EBADMSG, "the header line is not whole");
	object = json_read(bytes, line_len, JSON_REJECT_DUPLICATES, NULL);
	whole = object && header_fields(object, h, ret_content_len);
	json_decref(object);
	memcpy(crc_text, end - 10, 8);
	*ret_crc = (uint32_t)strtoul(crc_text, &crc_end, 16);
	if (!whole || *crc_end != '\0')
		return err_set(err, -EBADMSG, "the header line is not valid");
	*ret_line_len = line_len;
	return 0;
}

int document_decode(const void *bytes, size_t len_bytes, struct document_header *ret_header, json_t **ret_content,
		    struct err *err)
{
	struct document_header h = { 0 };
	size_t line_len = 0, content_len = 0;
	const char *content;
	json_t *value = NULL;
	uint32_t crc = 0;
	int rc = header_decode(bytes, len_bytes, &h, &line_len, &content_len, &crc, err);

	if (rc < 0)
		return rc;
	content = (const char *)bytes + line_len + 1;
	if (len_bytes - line_len - 1 < 1 || len_bytes - line_len - 2 != content_len || content[content_len] != '\n')
		return err_set(err, -EBADMSG, "%zu bytes of content were announced, the file has %zu", content_len,
			       len_bytes - line_len - 1);
	if (document_crc(bytes, line_len - CRC_MEMBER_LEN, content, content_len) != crc)
		return err_set(err, -EBADMSG, "the checksum is wrong");
	if (ret_content && !h.removed) {
		json_error_t why;

		value = json_read(content, content_len, 0, &why);
		if (!json_is_object(value)) {
			json_decref(value);
			return err_set(err, -EBADMSG, "the content is not a JSON object: %s", value ? "" : why.text);
		}
	}
	if (ret_content)
		*ret_content = value;
	*ret_header = h;
	return 0;
}
