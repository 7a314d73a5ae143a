/*
 * The audit log: one JSON line in STATE/audit.log for each change that was asked for with a right token, done or refused:
 * when, who, from where, what, the object before and after with secrets masked. Append only; at AUDIT_ROTATE_BYTES the file
 * becomes audit.log.1 and so on, AUDIT_FILES of them. The newest AUDIT_KEPT entries are held for GET /audit.
 *
 * A line is written before the answer goes out. When the disk is full the change has failed already; should the line alone
 * not fit, that is logged and told in health. Control thread only.
 */
#ifndef LUNETTE_API_AUDIT_H
#define LUNETTE_API_AUDIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

#define AUDIT_ROTATE_BYTES (16 * 1024 * 1024)
#define AUDIT_FILES        5
#define AUDIT_KEPT         1000
#define AUDIT_LINE_MAX     (256 * 1024) /* longer entries lose "before" and "after" */

struct request;

/* Who asked for what: outlives the request. */
struct audit_origin {
	char actor[65], peer[64], request_id[72];
	const char *method; /* static */
	bool dry_run;
};

struct audit {
	int fd;
	char path[512];
	off_t len_bytes;
	json_t *kept;       /* array, oldest first */
	uint64_t next_id;
	bool failed;        /* the last line could not be written */
};

/* 0 or negative errno with *err. */
int  audit_open(struct audit *audit, const char *state_dir, struct err *err);
void audit_close(struct audit *audit);
/* object: "lun:vol1"; code: of the problem, "" when done. before, after: borrowed, may be NULL. */
void audit_write(struct audit *audit, const struct audit_origin *origin, int status, const char *code,
		 const char *object, const json_t *before, const json_t *after);
void audit_origin_of(const struct request *rq, struct audit_origin *ret_origin);

#endif
