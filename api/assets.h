/*
 * The dashboard: the files of one directory, read at start and served from memory. index.html is the page, at /; all of
 * them are at /assets/NAME. NAME.gz beside NAME is sent to clients that take gzip. A name that carries a hash
 * (app-4F6GH2KL.js) may be kept for ever, others are asked for again each time (ETag).
 */
#ifndef LUNETTE_API_ASSETS_H
#define LUNETTE_API_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define ASSETS_MAX       64                /* files, without the .gz ones */
#define ASSETS_BYTES_MAX (4 * 1024 * 1024) /* in all */
#define ASSET_NAME_MAX   96

struct request;

struct asset_body {
	char *bytes; /* NULL: there is none */
	size_t len_bytes;
	char etag[80];
};

struct asset {
	char name[ASSET_NAME_MAX];
	const char *content_type;
	bool immutable;
	struct asset_body plain, gzip;
};

struct assets {
	struct asset at[ASSETS_MAX];
	unsigned count;
};

/* The directory that assets_load() would read, or negative errno. */
int assets_open(const char *dir);
/* Blocking. dir: NULL for the first of EXE/web and EXE/../share/lunette/web that is there, EXE being the directory of the
 * running program; when neither is, there are no assets. Names other than [A-Za-z0-9._-], what is no regular file and what is
 * beyond the limits is left out with a log line. 0, or negative errno with *err when a directory that was named cannot be read. */
int assets_load(struct assets *assets, const char *dir, struct err *err);
int assets_read(struct assets *assets, int dir_fd, struct err *err); /* the same, of an open directory, which it closes */
void assets_free(struct assets *assets);
const struct asset *assets_find(const struct assets *assets, const char *name); /* NULL: no such file */
bool asset_name_has_hash(const char *name);
/* Answers with the file, with 304 when the client has it. */
void answer_asset(struct request *rq, const struct asset *asset);

#endif
