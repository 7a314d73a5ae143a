/*
 * The files of the history: which file an object has, begun when there is space, judged before each use, set aside when it is
 * not sound, removed when its object is long gone. On the history's thread only, but for history_files_state. What goes wrong
 * here is logged here.
 */
#ifndef LUNETTE_MONITOR_HISTORY_FILES_H
#define LUNETTE_MONITOR_HISTORY_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "monitor/history.h"
#include "monitor/rrd.h"

#define HISTORY_PATH_MAX 4096

struct history_files;

/* NULL: no memory, or a path that is too long. */
struct history_files *history_files_new(const struct history_options *options);
void history_files_free(struct history_files *files);
struct monitor_state history_files_state(const struct history_files *files); /* any thread */

/* One file that is sound. */
struct history_file {
	const struct rrd_schema *schema;
	char path[HISTORY_PATH_MAX];
	int64_t last_s; /* newest second in it */
};
/* 0; -ENOENT: there is none (any more); another negative errno: not now. */
int history_files_find(struct history_files *files, enum history_table table, const struct object_name *object, int64_t now_s,
		       struct history_file *ret_file);

/* Rows that are not newer than the file are left out: the clock went back. */
void history_files_write(struct history_files *files, const struct history_rows *rows, int64_t now_s);
void history_files_retain(struct history_files *files, const struct object_name *objects, size_t count, unsigned keep_days,
			  int64_t now_s);

/* The file of an object below DIR: "lun/vol1.rrd". Only [A-Za-z0-9._:-], the rest is %XX; what is too long for a file system
 * ends in ~ and a checksum. */
void history_file_name(enum history_table table, const struct object_name *object, char *ret_name, size_t size);

#endif
