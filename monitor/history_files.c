/* Files of the history: see history_files.h. */
#include "monitor/history_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "clock.h"
#include "hash.h"
#include "log.h"

#define NAME_ROOM      256 /* of a file, with everything that may follow the object's name */
#define STEM_MAX       200
#define RESERVE_BYTES  (UINT64_C(256) << 20)
#define RESERVE_PART   20  /* 5 % */
#define RETRY_S        10  /* after no space was found */
#define COMPLAIN_S     60  /* between two lines about writes that failed */
#define LEFT_OVER_S    3600 /* a file half made */

struct history_files {
	char dir[HISTORY_PATH_MAX - NAME_ROOM - 16];
	struct rrd_schema schema[HISTORY_TABLES][OBJECT_KINDS]; /* head NULL: not made yet */
	const char *names[HISTORY_TABLES][OBJECT_KINDS][RRD_SOURCES_MAX];
	char heat_names[2 * HEAT_BUCKETS][4];
	struct rrd_archive archives[HISTORY_TABLES][RRD_ARCHIVES_MAX];
	unsigned new_burst;
	uint64_t reserve_bytes;
	unsigned new_tokens;
	int64_t token_s, retry_s, complain_s;
	bool refused; /* paused because a write said so, not the count of free blocks */
	_Atomic uint64_t made, set_aside, write_failures;
	_Atomic bool paused;
};

static int64_t monotonic_s(void)
{
	return (int64_t)(clock_now_ns() / NS_PER_S);
}

/* --- schemas --- */

/* Kept for an hour, a day, a week and two years (series_archives), heat maps for four weeks. One row a step needs no MAX. */
static unsigned list_archives(enum history_table table, unsigned shrink, struct rrd_archive *ret_list)
{
	static const struct series_archive heat[] = { { 10, 360 }, { 60, 1440 }, { 600, 4032 } };
	const struct series_archive *from = table == HISTORY_HEAT ? heat : series_archives;
	unsigned count = 0, step_s = from[0].step_s;

	for (unsigned i = 0; i < (table == HISTORY_HEAT ? sizeof heat / sizeof heat[0] : SERIES_ARCHIVES); i++) {
		struct rrd_archive row = { SERIES_CF_AVERAGE, from[i].step_s / step_s, from[i].rows / shrink };

		ret_list[count++] = row;
		row.cf = SERIES_CF_MAX;
		if (table == HISTORY_METRICS && row.steps > 1)
			ret_list[count++] = row;
	}
	return count;
}

static void init_schema(struct history_files *files, enum history_table table, enum object_kind kind, unsigned shrink)
{
	struct rrd_schema *schema = &files->schema[table][kind];
	const char **names = files->names[table][kind];
	enum metric_id column[METRICS];
	unsigned width = metric_columns(kind, column);

	for (unsigned i = 0; table == HISTORY_METRICS && i < width; i++)
		names[i] = metric_rows[column[i]].name;
	for (unsigned i = 0; table == HISTORY_HEAT && i < 2 * HEAT_BUCKETS; i++)
		names[i] = files->heat_names[i];
	schema->names = names;
	schema->source_count = history_width(table, kind);
	schema->step_s = table == HISTORY_HEAT ? 10 : 1;
	schema->archives = files->archives[table];
	schema->archive_count = list_archives(table, shrink, files->archives[table]);
}

struct history_files *history_files_new(const struct history_options *options)
{
	struct history_files *files = strlen(options->dir) < sizeof files->dir ? calloc(1, sizeof *files) : NULL;

	if (!files)
		return NULL;
	snprintf(files->dir, sizeof files->dir, "%s", options->dir);
	files->new_burst = files->new_tokens = options->new_burst ? options->new_burst : HISTORY_NEW_BURST;
	files->reserve_bytes = options->reserve_bytes;
	files->token_s = files->complain_s = monotonic_s();
	files->complain_s -= COMPLAIN_S;
	for (unsigned i = 0; i < 2 * HEAT_BUCKETS; i++)
		snprintf(files->heat_names[i], sizeof files->heat_names[i], "%c%02u", i < HEAT_BUCKETS ? 'r' : 'w',
			 i % HEAT_BUCKETS);
	for (unsigned t = 0; t < HISTORY_TABLES; t++)
		for (unsigned k = 0; k < OBJECT_KINDS; k++)
			init_schema(files, (enum history_table)t, (enum object_kind)k, options->shrink ? options->shrink : 1);
	return files;
}

void history_files_free(struct history_files *files)
{
	for (unsigned t = 0; files && t < HISTORY_TABLES; t++)
		for (unsigned k = 0; k < OBJECT_KINDS; k++)
			rrd_schema_fini(&files->schema[t][k]);
	free(files);
}

struct monitor_state history_files_state(const struct history_files *files)
{
	return (struct monitor_state){ .files = files->made, .set_aside = files->set_aside,
				       .write_failures = files->write_failures, .paused = files->paused };
}

/* --- names --- */

static bool plain(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("._:-", c));
}

/* What a name becomes, at most STEM_MAX bytes. A name that ends in .heat must not meet another object's heat map. */
static void stem_of(const char *name, char ret_stem[STEM_MAX + 1])
{
	size_t len = strlen(name), used = 0;
	const char *dot = len > 5 && strcmp(name + len - 5, ".heat") == 0 ? name + len - 5 : NULL;
	uint32_t hash;

	for (const char *c = name; *c && used + 3 <= STEM_MAX; c++) {
		if (plain((unsigned char)*c) && c != dot)
			ret_stem[used++] = *c;
		else
			used += (size_t)sprintf(ret_stem + used, "%%%02X", (unsigned char)*c);
		len--;
	}
	ret_stem[used] = '\0';
	if (len == 0)
		return;
	hash = hash_text(name);
	sprintf(ret_stem + STEM_MAX - 17, "~%08" PRIx32 "%08" PRIx32, hash, hash_bytes(hash, name, strlen(name)));
}

void history_file_name(enum history_table table, const struct object_name *object, char *ret_name, size_t size)
{
	char stem[STEM_MAX + 1];

	stem_of(object->name, stem);
	snprintf(ret_name, size, "%s/%s%s.rrd", object_kind_name(object->kind), stem, table == HISTORY_HEAT ? ".heat" : "");
}

/* The object's part of a file's name; *ret_rest is what follows ".rrd". false: not a name of ours. */
static bool split_name(char *name, char **ret_rest)
{
	char *end = NULL, *next = name;

	while ((next = strstr(next, ".rrd"))) {
		end = next;
		next += 4;
	}
	if (!end || end == name)
		return false;
	*ret_rest = end + 4;
	if (**ret_rest && strcmp(*ret_rest, ".new") != 0 && strncmp(*ret_rest, ".bad-", 5) != 0)
		return false;
	*end = '\0';
	if (end - name > 5 && strcmp(end - 5, ".heat") == 0)
		end[-5] = '\0';
	return true;
}

/* --- what goes wrong --- */

static void failed(struct history_files *files, const struct err *err)
{
	files->write_failures++;
	if (monotonic_s() - files->complain_s < COMPLAIN_S)
		return;
	files->complain_s = monotonic_s();
	log_warning("history is not written: %s; %" PRIu64 " failures since the start", err->text,
		    (uint64_t)files->write_failures);
}

static void pause_writing(struct history_files *files, bool refused)
{
	files->retry_s = monotonic_s() + RETRY_S;
	files->refused = refused;
	if (files->paused)
		return;
	files->paused = true;
	log_warning("no new history is begun: the file system of dir=%s is nearly full", log_quoted(files->dir));
}

static void resume_writing(struct history_files *files)
{
	files->refused = false;
	if (!files->paused)
		return;
	files->paused = false;
	log_notice("history goes on: there is space again in dir=%s", log_quoted(files->dir));
}

static bool enough_space(const struct history_files *files, uint64_t file_bytes)
{
	struct statfs fs;
	uint64_t reserve = files->reserve_bytes, size, available;

	if (statfs(files->dir, &fs) < 0)
		return true; /* the attempt will tell */
	size = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
	available = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	if (!reserve)
		reserve = size / RESERVE_PART > RESERVE_BYTES ? size / RESERVE_PART : RESERVE_BYTES;
	return available >= reserve && available - reserve >= file_bytes;
}

/* Where even the blocks of an old file are written anew, no space means SIGBUS in librrd's mapping. */
static bool copies_on_write(const char *dir)
{
	static const long types[] = { 0x9123683E /* btrfs */, 0xca451a4e /* bcachefs */, 0x2fc12fc1 /* ZFS */ };
	struct statfs fs;

	if (statfs(dir, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if ((unsigned long)fs.f_type == (unsigned long)types[i])
			return true;
	return false;
}

/* Looks again now and then while paused; a write that was refused must succeed first. */
static bool may_write(struct history_files *files, uint64_t file_bytes)
{
	if (copies_on_write(files->dir) && !enough_space(files, 0)) {
		pause_writing(files, false);
		return false;
	}
	if (files->paused && !files->refused && monotonic_s() >= files->retry_s) {
		files->retry_s = monotonic_s() + RETRY_S;
		if (enough_space(files, file_bytes))
			resume_writing(files);
	}
	return true;
}

/* --- a file --- */

static int make_dir(const char *path, struct err *err)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	return err_errno(err, -errno, "cannot make %s", path);
}

static int make_dirs(const struct history_files *files, enum object_kind kind, struct err *err)
{
	char path[HISTORY_PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", files->dir, object_kind_name(kind));
	return make_dir(files->dir, err) ? err->code : make_dir(path, err);
}

static const struct rrd_schema *get_schema(struct history_files *files, enum history_table table, enum object_kind kind,
					   struct err *err)
{
	struct rrd_schema *schema = &files->schema[table][kind];

	if (schema->head || (make_dir(files->dir, err) == 0 && rrd_schema_init(schema, files->dir, err) == 0))
		return schema;
	return NULL;
}

/* Removes the oldest of the files set aside until HISTORY_BAD_MAX are left. */
static void bound_bad(const char *kind_dir)
{
	char oldest[NAME_ROOM], name[NAME_ROOM], *rest;
	struct timespec oldest_at = { 0 };
	unsigned count;

	do {
		DIR *dir = opendir(kind_dir);
		struct dirent *entry;

		count = 0;
		while (dir && (entry = readdir(dir))) {
			struct stat st;

			snprintf(name, sizeof name, "%s", entry->d_name);
			if (!split_name(name, &rest) || strncmp(rest, ".bad-", 5) != 0 ||
			    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
				continue;
			if (count++ == 0 || st.st_ctim.tv_sec < oldest_at.tv_sec ||
			    (st.st_ctim.tv_sec == oldest_at.tv_sec && st.st_ctim.tv_nsec < oldest_at.tv_nsec)) {
				oldest_at = st.st_ctim;
				snprintf(oldest, sizeof oldest, "%s", entry->d_name);
			}
		}
		if (count > HISTORY_BAD_MAX && unlinkat(dirfd(dir), oldest, 0) < 0)
			count = 0; /* not now */
		if (dir)
			closedir(dir);
	} while (count > HISTORY_BAD_MAX + 1);
}

static int set_aside(struct history_files *files, enum object_kind kind, const char *path, int64_t now_s,
		     const struct err *reason)
{
	char bad[HISTORY_PATH_MAX + 32], kind_dir[HISTORY_PATH_MAX];
	struct err err = { 0 };
	struct stat st;

	do /* that name may be taken */
		snprintf(bad, sizeof bad, "%s.bad-%" PRId64, path, now_s++);
	while (lstat(bad, &st) == 0);
	if (rename(path, bad) < 0) {
		err_errno(&err, -errno, "%s is not sound (%s) and cannot be set aside", path, reason->text);
		failed(files, &err);
		return err.code == -ENOENT ? -EIO : err.code;
	}
	files->set_aside++;
	log_warning("history set aside file=%s: %s; it is begun anew", log_quoted(bad), reason->text);
	snprintf(kind_dir, sizeof kind_dir, "%s/%s", files->dir, object_kind_name(kind));
	bound_bad(kind_dir);
	return -ENOENT;
}

static bool tells_nothing(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -EROFS || error == -ENOSPC;
}

int history_files_find(struct history_files *files, enum history_table table, const struct object_name *object, int64_t now_s,
		       struct history_file *ret_file)
{
	char name[NAME_ROOM + 16];
	struct err err = { 0 };
	int error;

	if (now_s < RRD_EARLIEST_S)
		return -EAGAIN; /* the clock is not set yet: nothing can be judged */
	history_file_name(table, object, name, sizeof name);
	snprintf(ret_file->path, sizeof ret_file->path, "%s/%s", files->dir, name);
	ret_file->schema = get_schema(files, table, object->kind, &err);
	if (!ret_file->schema) {
		failed(files, &err);
		return err.code == -ENOENT ? -EIO : err.code;
	}
	error = rrd_file_check(ret_file->schema, ret_file->path, now_s, &ret_file->last_s, &err);
	if (error == -ESTALE && enough_space(files, ret_file->schema->file_bytes))
		error = rrd_file_widen(ret_file->schema, ret_file->path, &err);
	else if (error == -ESTALE)
		error = err_set(&err, -ENOSPC, "no space for the new sources of %s", ret_file->path);
	if (error == 0 || error == -ENOENT)
		return error;
	if (!tells_nothing(error))
		return set_aside(files, object->kind, ret_file->path, now_s, &err);
	failed(files, &err);
	return error;
}

/* --- writing --- */

static bool no_space(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}

/* A new file is begun at most once a second. */
static bool take_token(struct history_files *files)
{
	int64_t passed_s = monotonic_s() - files->token_s;

	if (passed_s > 0) {
		files->new_tokens = passed_s + files->new_tokens < files->new_burst ? files->new_tokens + (unsigned)passed_s
										     : files->new_burst;
		files->token_s += passed_s;
	}
	if (files->new_tokens == 0)
		return false;
	files->new_tokens--;
	return true;
}

/* last_s: where the first row begins. */
static int begin_file(struct history_files *files, enum object_kind kind, struct history_file *file, int64_t last_s)
{
	struct err err = { 0 };
	int error;

	if ((files->paused && monotonic_s() < files->retry_s) || !take_token(files))
		return -EAGAIN;
	if (!enough_space(files, file->schema->file_bytes)) {
		pause_writing(files, false);
		return -ENOSPC;
	}
	error = make_dirs(files, kind, &err);
	if (!error)
		error = rrd_file_create(file->schema, file->path, last_s, &err);
	if (no_space(error))
		pause_writing(files, true);
	else if (error)
		failed(files, &err);
	if (error)
		return error;
	resume_writing(files);
	files->made++;
	file->last_s = last_s;
	return 0;
}

void history_files_write(struct history_files *files, const struct history_rows *rows, int64_t now_s)
{
	struct history_file file;
	struct err err = { 0 };
	int error = history_files_find(files, rows->table, &rows->object, now_s, &file);

	if (error == -ENOENT && !rows->begins_no_file)
		error = begin_file(files, rows->object.kind, &file, rows->time_s[0] - file.schema->step_s);
	if (error || !may_write(files, file.schema->file_bytes))
		return;
	error = rrd_file_update(file.schema, file.path, file.last_s, HISTORY_GAP_STEPS * file.schema->step_s, rows->time_s,
				rows->value, rows->count, &err);
	if (error)
		failed(files, &err);
}

/* --- retention --- */

struct known {
	char stem[STEM_MAX + 1];
};

static int known_order(const void *a, const void *b)
{
	return strcmp(((const struct known *)a)->stem, ((const struct known *)b)->stem);
}

static bool is_due(const char *file_name, const struct known *known, size_t known_count, int64_t age_s, int64_t keep_s)
{
	char name[NAME_ROOM], *rest;
	struct known key;

	if (snprintf(name, sizeof name, "%s", file_name) >= NAME_ROOM || !split_name(name, &rest))
		return false;
	if (strcmp(rest, ".new") == 0)
		return age_s > LEFT_OVER_S;
	if (age_s <= keep_s || strlen(name) > STEM_MAX)
		return false;
	strcpy(key.stem, name);
	return *rest || !bsearch(&key, known, known_count, sizeof *known, known_order);
}

static unsigned remove_old(const char *kind_dir, const struct known *known, size_t known_count, int64_t now_s, int64_t keep_s,
			   unsigned budget)
{
	DIR *dir = opendir(kind_dir);
	struct dirent *entry;
	unsigned removed = 0;
	struct stat st;

	while (dir && removed < budget && (entry = readdir(dir)))
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    is_due(entry->d_name, known, known_count, now_s - st.st_mtim.tv_sec, keep_s) &&
		    unlinkat(dirfd(dir), entry->d_name, 0) == 0) {
			removed++;
			log_info("history removed file=%s/%s", kind_dir, log_quoted(entry->d_name));
		}
	if (dir)
		closedir(dir);
	return removed;
}

void history_files_retain(struct history_files *files, const struct object_name *objects, size_t count, unsigned keep_days,
			  int64_t now_s)
{
	struct known *known = malloc((count + 1) * sizeof *known);
	unsigned budget = HISTORY_REMOVE_MAX;
	char kind_dir[HISTORY_PATH_MAX];

	for (unsigned k = 0; known && k < OBJECT_KINDS; k++) {
		size_t known_count = 0;

		for (size_t i = 0; i < count; i++)
			if (objects[i].kind == k)
				stem_of(objects[i].name, known[known_count++].stem);
		qsort(known, known_count, sizeof *known, known_order);
		snprintf(kind_dir, sizeof kind_dir, "%s/%s", files->dir, object_kind_name((enum object_kind)k));
		budget -= remove_old(kind_dir, known, known_count, now_s, (int64_t)keep_days * 86400, budget);
	}
	free(known);
}
