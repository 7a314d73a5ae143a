/*
 * The file of one version of a document (CFG-7): one header line, the content as compact JSON, a newline.
 *
 *   {"lunette":1,"name":"config","version":5,"parent":4,"writer":"control.9f0c....7","parent_writer":"control.9f0c....6",
 *    "removed":false,"length":14,"crc32c":"89abcdef"}\n{"format":1}\n
 *
 * (one line in the file.) length counts the content's bytes; crc32c covers the header up to its own member, and the
 * content. `removed` marks the version that removed the document; its content is {}. Pure; any thread.
 */
#ifndef LUNETTE_CLUSTER_DOCUMENT_H
#define LUNETTE_CLUSTER_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define DOCUMENT_NAME_MAX    241              /* bytes with NUL */
#define DOCUMENT_WRITER_MAX  96               /* bytes with NUL */
#define DOCUMENT_HEADER_MAX  1024             /* bytes of the header line */
#define DOCUMENT_BYTES_MAX   (256u << 20)     /* a whole file; more is refused, writing and reading */

struct document_header {
	char     name[DOCUMENT_NAME_MAX];
	uint64_t version, parent;                  /* parent is version - 1 */
	char     writer[DOCUMENT_WRITER_MAX];        /* who published it; different for every publication */
	char     parent_writer[DOCUMENT_WRITER_MAX]; /* who published the parent; "" when that could not be read */
	bool     removed;
};

/* Whether a name is as docstore.h says. */
bool document_name_valid(const char *name);

/* The bytes of the file, malloc'ed; NULL with *err: out of memory, or larger than DOCUMENT_BYTES_MAX (-EFBIG). content:
 * borrowed; ignored when header->removed. */
char *document_encode(const struct document_header *header, const json_t *content, size_t *ret_len_bytes,
		      struct err *err);

/* 0: *ret_header, and *ret_content (may be NULL: not wanted, not parsed) is a new reference, NULL for a removed document.
 * -EBADMSG with *err: torn or tampered with, says where. -ENOMEM. */
int document_decode(const void *bytes, size_t len_bytes, struct document_header *ret_header, json_t **ret_content,
		    struct err *err);

#endif
