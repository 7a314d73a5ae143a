/* The audit log: see audit.h. */
#include "api/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/handlers.h"
#include "api/request.h"
#include "api/service.h"
#include "clock.h"
#include "cluster/secrets.h"
#include "json_text.h"
#include "log.h"

#define TAIL_BYTES (1024 * 1024) /* of the file, read at start */

static void keep(struct audit *audit, json_t *entry)
{
	if (json_array_size(audit->kept) >= AUDIT_KEPT)
		json_array_remove(audit->kept, 0);
	json_array_append(audit->kept, entry);
}

static void remember_lines(struct audit *audit, char *text)
{
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_t *entry = json_read(line, strlen(line), JSON_REJECT_DUPLICATES, NULL);
		const char *id = json_string_value(json_object_get(entry, "id"));

		if (id) {
			keep(audit, entry);
			audit->next_id = strtoull(id, NULL, 10) + 1;
		}
		json_decref(entry);
	}
}

/* A torn last line (a crash while it was written) is closed, so that the next one stands alone. */
static void load_tail(struct audit *audit)
{
	off_t from = audit->len_bytes > TAIL_BYTES ? audit->len_bytes - TAIL_BYTES : 0;
	size_t len = (size_t)(audit->len_bytes - from);
	char *text = malloc(len + 1), *start = text;
	ssize_t n = text ? pread(audit->fd, text, len, from) : -1;

	if (n > 0) {
		text[n] = '\0';
		if (text[n - 1] != '\n' && write(audit->fd, "\n", 1) == 1)
			audit->len_bytes++;
		if (from > 0)
			start = strchr(text, '\n') ? strchr(text, '\n') : text + n;
		remember_lines(audit, start);
	}
	free(text);
}

static int open_file(struct audit *audit, struct err *err)
{
	struct stat st;

	audit->fd = open(audit->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (audit->fd < 0 || fstat(audit->fd, &st))
		return err_errno(err, -errno, "cannot open %s", audit->path);
	audit->len_bytes = st.st_size;
	return 0;
}

int audit_open(struct audit *audit, const char *state_dir, struct err *err)
{
	int error;

	memset(audit, 0, sizeof *audit);
	audit->fd = -1;
	audit->next_id = 1;
	audit->kept = json_array();
	snprintf(audit->path, sizeof audit->path, "%s/audit.log", state_dir);
	error = open_file(audit, err);
	if (!error)
		load_tail(audit);
	return error;
}

void audit_close(struct audit *audit)
{
	if (audit->fd >= 0)
		close(audit->fd);
	audit->fd = -1;
	json_decref(audit->kept);
	audit->kept = NULL;
}

static void rotate(struct audit *audit)
{
	struct err err = { 0 };
	char from[600], to[600];

	for (int i = AUDIT_FILES - 1; i >= 1; i--) {
		snprintf(from, sizeof from, i > 1 ? "%s.%d" : "%s", audit->path, i - 1);
		snprintf(to, sizeof to, "%s.%d", audit->path, i);
		if (rename(from, to) && errno != ENOENT)
			log_warning("cannot rotate the audit log %s: %s", from, strerror(errno));
	}
	close(audit->fd);
	if (open_file(audit, &err))
		log_error("%s", err.text);
}

static void append(struct audit *audit, json_t *entry)
{
	char *text = json_text(entry, JSON_COMPACT), *line = NULL;
	int len = text ? asprintf(&line, "%s\n", text) : -1;
	bool ok = len > 0 && write(audit->fd, line, (size_t)len) == len;

	if (ok)
		audit->len_bytes += len;
	else
		log_limited(LOG_ERROR, "a line of the audit log was not written: %s", strerror(errno));
	audit->failed = !ok;
	if (len > 0)
		free(line);
	free(text);
	if (audit->len_bytes >= AUDIT_ROTATE_BYTES)
		rotate(audit);
}

static void set_masked(json_t *entry, const char *name, const json_t *value)
{
	json_t *masked = value ? secrets_mask(value) : NULL;
	size_t size = masked ? json_dumpb(masked, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) : 0;

	if (size > AUDIT_LINE_MAX / 2) {
		json_decref(masked);
		masked = json_string("(too large)");
	}
	if (masked)
		json_object_set_new(entry, name, masked);
}

void audit_origin_of(const struct request *rq, struct audit_origin *ret_origin)
{
	snprintf(ret_origin->actor, sizeof ret_origin->actor, "%s", rq->actor);
	snprintf(ret_origin->peer, sizeof ret_origin->peer, "%s", rq->peer);
	snprintf(ret_origin->request_id, sizeof ret_origin->request_id, "%s", rq->id);
	ret_origin->method = http_method_name(rq->route->method);
	ret_origin->dry_run = rq->dry_run;
}

void audit_write(struct audit *audit, const struct audit_origin *origin, int status, const char *code,
		 const char *object, const json_t *before, const json_t *after)
{
	char time[CLOCK_TEXT_LEN], id[24];
	json_t *entry;

	clock_format(clock_wall_ms(), time);
	snprintf(id, sizeof id, "%012" PRIu64, audit->next_id++);
	entry = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:b}", "id", id, "time", time, "actor", origin->actor,
			  "peer", origin->peer, "request_id", origin->request_id, "method", origin->method, "object",
			  object, "status", status, "dry_run", origin->dry_run);
	if (!entry) {
		audit->failed = true;
		return;
	}
	if (code[0])
		json_object_set_new(entry, "code", json_string(code));
	set_masked(entry, "before", before);
	set_masked(entry, "after", after);
	append(audit, entry);
	keep(audit, entry);
	json_decref(entry);
}

/* --- REST --- */

static bool fits(const json_t *entry, const char *member, const char *wanted)
{
	const char *value = json_string_value(json_object_get(entry, member));

	return !wanted || (value && strcmp(value, wanted) == 0);
}

/* Newest first: the cursor is the id of the last entry shown, and older ones follow. */
void list_audit(struct request *rq)
{
	const json_t *kept = rq->service->audit.kept;
	json_t *items = json_array(), *page;

	for (size_t i = json_array_size(kept); i-- > 0;) {
		json_t *entry = json_array_get(kept, i);

		if (fits(entry, "actor", request_query(rq, "actor")) && fits(entry, "object", request_query(rq, "object")))
			json_array_append(items, entry);
	}
	page = page_of_descending(rq, items, "id");
	json_decref(items);
	if (page)
		answer_json(rq, 200, page, NULL);
}
