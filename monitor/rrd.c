/* One RRD file: see rrd.h. The layout is that of <rrd_format.h>, which <rrd.h> includes. */
#include "monitor/rrd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#define RRD_EXPORT_DEPRECATED /* the layout of the file */
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUTURE_S   3600
#define PATH_ROOM  4096
#define ROWS_MAX   64        /* of one call of librrd */
#define RUN_MAX_S  (RRD_HEARTBEAT_S / 2)
#define NUMBER_MAX 32

static const char *const cf_names[] = { [SERIES_CF_AVERAGE] = "AVERAGE", [SERIES_CF_MAX] = "MAX" };

/* --- layout --- */

/* Of a file of this schema, with the first `width` sources only. */
struct layout {
	size_t definitions; /* of the archives: at */
	size_t live, pdp, cdp, pointers, values, end; /* at; definitions up to `live` never change */
};

static struct layout layout_of(const struct rrd_schema *schema, unsigned width)
{
	struct layout at = { .definitions = sizeof(stat_head_t) + width * sizeof(ds_def_t) };
	size_t rows = 0;

	for (unsigned i = 0; i < schema->archive_count; i++)
		rows += schema->archives[i].rows;
	at.live = at.definitions + schema->archive_count * sizeof(rra_def_t);
	at.pdp = at.live + sizeof(live_head_t);
	at.cdp = at.pdp + width * sizeof(pdp_prep_t);
	at.pointers = at.cdp + (size_t)width * schema->archive_count * sizeof(cdp_prep_t);
	at.values = at.pointers + schema->archive_count * sizeof(rra_ptr_t);
	at.end = at.values + rows * width * sizeof(double);
	return at;
}

static int read_all(int fd, void *to, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)to + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const void *from, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, (const char *)from + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* --- making --- */

/* librrd writes unknown values one by one, which takes long: it makes a file with one row an archive, of which the head is
 * taken and given the true numbers of rows. */
static int make_small(const struct rrd_schema *schema, const char *path, int64_t last_s, struct err *err)
{
	const char *args[RRD_SOURCES_MAX + RRD_ARCHIVES_MAX];
	char text[RRD_SOURCES_MAX + RRD_ARCHIVES_MAX][64];
	int count = 0;

	for (unsigned i = 0; i < schema->source_count; i++, count++)
		snprintf(text[count], sizeof text[count], "DS:%s:GAUGE:%d:U:U", schema->names[i], RRD_HEARTBEAT_S);
	for (unsigned i = 0; i < schema->archive_count; i++, count++)
		snprintf(text[count], sizeof text[count], "RRA:%s:%g:%u:1", cf_names[schema->archives[i].cf],
			 1 - RRD_KNOWN, schema->archives[i].steps);
	for (int i = 0; i < count; i++)
		args[i] = text[i];
	unlink(path); /* left over from a crash */
	rrd_clear_error();
	if (rrd_create_r(path, schema->step_s, (time_t)last_s, count, args) == 0)
		return 0;
	return err_set(err, errno == ENOSPC ? -ENOSPC : -EIO, "cannot make %s: %s", path, rrd_get_error());
}

static void set_rows(const struct rrd_schema *schema, void *head)
{
	char *at = (char *)head + layout_of(schema, schema->source_count).definitions;

	for (unsigned i = 0; i < schema->archive_count; i++, at += sizeof(rra_def_t)) {
		rra_def_t def;

		memcpy(&def, at, sizeof def);
		def.row_cnt = schema->archives[i].rows;
		memcpy(at, &def, sizeof def);
	}
}

/* *ret_head is malloc'ed: the head of a new file whose last second is last_s. */
static int make_head(const struct rrd_schema *schema, const char *path, int64_t last_s, void **ret_head, struct err *err)
{
	size_t len = layout_of(schema, schema->source_count).values;
	void *head = malloc(len);
	int fd, error = head ? make_small(schema, path, last_s, err) : err_set(err, -ENOMEM, "no memory");

	if (error) {
		free(head);
		unlink(path);
		return error;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	error = fd < 0 ? -errno : read_all(fd, head, len);
	if (fd >= 0)
		close(fd);
	unlink(path);
	if (error) {
		free(head);
		return err_errno(err, error, "cannot read %s", path);
	}
	set_rows(schema, head);
	*ret_head = head;
	return 0;
}

int rrd_schema_init(struct rrd_schema *schema, const char *dir, struct err *err)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof path, "%s/.schema.new", dir);
	if (schema->source_count > RRD_SOURCES_MAX || schema->archive_count > RRD_ARCHIVES_MAX)
		return err_set(err, -E2BIG, "too many sources or archives");
	schema->head_bytes = layout_of(schema, schema->source_count).values;
	schema->file_bytes = layout_of(schema, schema->source_count).end;
	return make_head(schema, path, RRD_EARLIEST_S, &schema->head, err);
}

void rrd_schema_fini(struct rrd_schema *schema)
{
	free(schema->head);
	schema->head = NULL;
}

static int write_unknown(int fd, size_t values)
{
	enum { CHUNK = 65536 };
	double *chunk = malloc(CHUNK * sizeof *chunk);
	int error = chunk ? 0 : -ENOMEM;

	for (size_t i = 0; chunk && i < CHUNK; i++)
		chunk[i] = NAN;
	while (!error && values > 0) {
		size_t n = values < CHUNK ? values : CHUNK;

		error = write_all(fd, chunk, n * sizeof *chunk);
		values -= n;
	}
	free(chunk);
	return error;
}

int rrd_file_create(const struct rrd_schema *schema, const char *path, int64_t last_s, struct err *err)
{
	char new_path[PATH_ROOM];
	void *head;
	int fd, error;

	snprintf(new_path, sizeof new_path, "%s.new", path);
	error = make_head(schema, new_path, last_s, &head, err);
	if (error)
		return error;
	fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	error = fd < 0 ? -errno : write_all(fd, head, schema->head_bytes);
	free(head);
	if (!error)
		error = write_unknown(fd, (schema->file_bytes - schema->head_bytes) / sizeof(double));
	if (fd >= 0 && close(fd) && !error)
		error = -errno;
	if (!error && rename(new_path, path))
		error = -errno;
	if (error) {
		unlink(new_path);
		return err_errno(err, error, "cannot make %s", path);
	}
	return 0;
}

/* --- judging --- */

static int judge_head(const struct rrd_schema *schema, const void *bytes, size_t len_bytes, struct err *err)
{
	stat_head_t want, have;

	if (len_bytes < sizeof have)
		return err_set(err, -EBADMSG, "it is truncated");
	memcpy(&want, schema->head, sizeof want);
	memcpy(&have, bytes, sizeof have);
	if (memcmp(have.cookie, want.cookie, sizeof have.cookie) != 0)
		return err_set(err, -EBADMSG, "it is no RRD file");
	if (memcmp(have.version, want.version, sizeof have.version) != 0)
		return err_set(err, -EBADMSG, "it has another version of the format");
	if (memcmp(&have.float_cookie, &want.float_cookie, sizeof have.float_cookie) != 0)
		return err_set(err, -EBADMSG, "it is from another architecture");
	if (have.ds_cnt == 0 || have.ds_cnt > want.ds_cnt || have.rra_cnt != want.rra_cnt)
		return err_set(err, -EBADMSG, "its sources or archives are not those of this version");
	have.ds_cnt = want.ds_cnt;
	if (memcmp(&have, &want, sizeof have) != 0)
		return err_set(err, -EBADMSG, "it is damaged: its head");
	return 0;
}

static int judge_definitions(const struct rrd_schema *schema, const char *bytes, unsigned width, struct err *err)
{
	struct layout at = layout_of(schema, width), want = layout_of(schema, schema->source_count);
	const char *head = schema->head;

	if (memcmp(bytes + sizeof(stat_head_t), head + sizeof(stat_head_t), at.definitions - sizeof(stat_head_t)) != 0)
		return err_set(err, -EBADMSG, "its sources are not those of this version, or it is damaged");
	if (memcmp(bytes + at.definitions, head + want.definitions, at.live - at.definitions) != 0)
		return err_set(err, -EBADMSG, "its archives are not those of this version, or it is damaged");
	return 0;
}

static int judge_live(const struct rrd_schema *schema, const char *bytes, unsigned width, int64_t now_s,
		      int64_t *ret_last_s, struct err *err)
{
	struct layout at = layout_of(schema, width);
	live_head_t live;
	rra_ptr_t pointer;

	memcpy(&live, bytes + at.live, sizeof live);
	if (live.last_up < RRD_EARLIEST_S || live.last_up_usec < 0 || live.last_up_usec > 999999)
		return err_set(err, -EBADMSG, "its last update makes no sense");
	if (live.last_up > now_s + FUTURE_S)
		return err_set(err, -EBADMSG, "it is from the future, or the clock was wrong");
	for (unsigned i = 0; i < schema->archive_count; i++) {
		memcpy(&pointer, bytes + at.pointers + i * sizeof pointer, sizeof pointer);
		if (pointer.cur_row >= schema->archives[i].rows)
			return err_set(err, -EBADMSG, "it is damaged: a row is outside its archive");
	}
	*ret_last_s = live.last_up;
	return 0;
}

int rrd_head_check(const struct rrd_schema *schema, const void *bytes, size_t len_bytes, uint64_t file_bytes, int64_t now_s,
		   int64_t *ret_last_s, struct err *err)
{
	int error = judge_head(schema, bytes, len_bytes, err);
	struct layout at;
	stat_head_t head;
	unsigned width;

	if (error)
		return error;
	memcpy(&head, bytes, sizeof head);
	width = (unsigned)head.ds_cnt;
	at = layout_of(schema, width);
	if (file_bytes != at.end || len_bytes < at.values)
		return err_set(err, -EBADMSG, "it has %llu bytes instead of %zu", (unsigned long long)file_bytes, at.end);
	error = judge_definitions(schema, bytes, width, err);
	if (!error)
		error = judge_live(schema, bytes, width, now_s, ret_last_s, err);
	if (error || width == schema->source_count)
		return error;
	return err_set(err, -ESTALE, "it lacks %u sources of this version", schema->source_count - width);
}

/* librrd writes through a mapping: a hole that cannot be filled would be a SIGBUS. */
static int fill_holes(int fd, const struct stat *st, struct err *err)
{
	if ((off_t)st->st_blocks * 512 >= st->st_size || fallocate(fd, 0, 0, st->st_size) == 0 || errno != ENOSPC)
		return 0;
	return err_set(err, -ENOSPC, "it has holes and there is no space to fill them");
}

static int judge(const struct rrd_schema *schema, int fd, int64_t now_s, int64_t *ret_last_s, struct err *err)
{
	size_t len = schema->head_bytes;
	struct stat st;
	char *bytes;
	int error;

	if (fstat(fd, &st) < 0)
		return err_errno(err, -errno, "it cannot be read");
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EBADMSG, "it is not a regular file");
	if ((size_t)st.st_size < len)
		len = (size_t)st.st_size;
	bytes = malloc(len + 1);
	if (!bytes)
		return err_set(err, -ENOMEM, "no memory");
	error = read_all(fd, bytes, len);
	if (error)
		err_errno(err, error, "it cannot be read");
	else
		error = rrd_head_check(schema, bytes, len, (uint64_t)st.st_size, now_s, ret_last_s, err);
	free(bytes);
	return error ? error : fill_holes(fd, &st, err);
}

int rrd_file_check(const struct rrd_schema *schema, const char *path, int64_t now_s, int64_t *ret_last_s, struct err *err)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), error;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_errno(err, -errno, "it cannot be opened");
	error = judge(schema, fd, now_s, ret_last_s, err);
	close(fd);
	return error;
}

/* --- widening --- */

/* What librrd has of a source that was unknown all the time: it counts the unknown part of the row under way. */
static void put_unknown_row(const struct rrd_schema *schema, const char *old, unsigned width, unsigned archive,
			    cdp_prep_t *ret_prep)
{
	struct layout at = layout_of(schema, schema->source_count);
	live_head_t live;

	memcpy(&live, old + layout_of(schema, width).live, sizeof live);
	memcpy(ret_prep, (const char *)schema->head + at.cdp, sizeof *ret_prep);
	ret_prep->scratch[CDP_val].u_val = NAN;
	ret_prep->scratch[CDP_unkn_pdp_cnt].u_cnt =
		(unsigned long)live.last_up / schema->step_s % schema->archives[archive].steps;
}

static void widen_head(const struct rrd_schema *schema, const char *old, unsigned width, char *head)
{
	struct layout from = layout_of(schema, width), to = layout_of(schema, schema->source_count);
	cdp_prep_t prep;

	memcpy(head, schema->head, schema->head_bytes);
	memcpy(head + to.live, old + from.live, sizeof(live_head_t));
	memcpy(head + to.pdp, old + from.pdp, width * sizeof(pdp_prep_t));
	for (unsigned a = 0; a < schema->archive_count; a++) {
		char *at = head + to.cdp + (size_t)a * schema->source_count * sizeof prep;

		memcpy(at, old + from.cdp + (size_t)a * width * sizeof prep, width * sizeof prep);
		put_unknown_row(schema, old, width, a, &prep);
		for (unsigned i = width; i < schema->source_count; i++)
			memcpy(at + i * sizeof prep, &prep, sizeof prep);
	}
	memcpy(head + to.pointers, old + from.pointers, to.values - to.pointers);
}

static int widen_to(const struct rrd_schema *schema, FILE *in, FILE *out)
{
	char *old = malloc(schema->head_bytes), *head = malloc(schema->head_bytes);
	size_t rows = (schema->file_bytes - schema->head_bytes) / schema->source_count / sizeof(double);
	double row[RRD_SOURCES_MAX];
	stat_head_t stat;
	size_t width = 0;
	bool ok = old && head && fread(&stat, sizeof stat, 1, in) == 1 && stat.ds_cnt < schema->source_count;

	if (ok) {
		width = stat.ds_cnt;
		rewind(in);
		ok = fread(old, layout_of(schema, (unsigned)width).values, 1, in) == 1;
	}
	if (ok) {
		widen_head(schema, old, (unsigned)width, head);
		ok = fwrite(head, schema->head_bytes, 1, out) == 1;
	}
	for (unsigned i = 0; i < RRD_SOURCES_MAX; i++)
		row[i] = NAN;
	for (size_t i = 0; i < rows && ok; i++)
		ok = fread(row, sizeof row[0], width, in) == width &&
		     fwrite(row, sizeof row[0], schema->source_count, out) == schema->source_count;
	free(old);
	free(head);
	if (!ok || fflush(out))
		return ferror(out) && errno ? -errno : -EIO;
	return 0;
}

int rrd_file_widen(const struct rrd_schema *schema, const char *path, struct err *err)
{
	char new_path[PATH_ROOM];
	FILE *in = fopen(path, "re"), *out = NULL;
	int fd, error = in ? 0 : -errno;

	snprintf(new_path, sizeof new_path, "%s.new", path);
	unlink(new_path); /* left over from a crash */
	if (!error) {
		fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		out = fd < 0 ? NULL : fdopen(fd, "w");
		if (!out)
			error = -errno;
	}
	if (!error)
		error = widen_to(schema, in, out);
	if (out && fclose(out) && !error)
		error = -errno;
	if (in)
		fclose(in);
	if (!error && rename(new_path, path))
		error = -errno;
	if (!error)
		return 0;
	unlink(new_path);
	return err_errno(err, error, "cannot widen %s", path);
}

/* --- writing --- */

/* Most values are 0 or whole numbers: printf is four times slower on them. */
static char *put_number(char *at, double value)
{
	if (isnan(value) || isinf(value)) {
		*at++ = 'U';
	} else if (value >= 0 && value < 1e15 && value == floor(value)) {
		uint64_t n = (uint64_t)value;
		char digits[20];
		unsigned count = 0;

		do
			digits[count++] = (char)('0' + n % 10);
		while (n /= 10);
		while (count)
			*at++ = digits[--count];
	} else {
		at += snprintf(at, NUMBER_MAX, "%.9g", value);
	}
	return at;
}

static void put_row(const struct rrd_schema *schema, int64_t time_s, const double *value, char *text)
{
	char *at = text + sprintf(text, "%" PRId64, time_s);

	for (unsigned i = 0; i < schema->source_count; i++) {
		*at++ = ':';
		at = put_number(at, value ? value[i] : NAN);
	}
	*at = '\0';
}

struct batch {
	const struct rrd_schema *schema;
	const char *path;
	char *text;       /* ROWS_MAX + 1 rows of row_room bytes */
	size_t row_room;
	const char *row[ROWS_MAX + 1];
	int count;
};

static int send_batch(struct batch *b, struct err *err)
{
	int count = b->count;

	b->count = 0;
	rrd_clear_error();
	if (count == 0 || rrd_update_r(b->path, NULL, count, b->row) == 0)
		return 0;
	return err_set(err, -EIO, "cannot write %s: %s", b->path, rrd_get_error());
}

static int add_row(struct batch *b, int64_t time_s, const double *value, struct err *err)
{
	char *text = b->text + (size_t)b->count * b->row_room;

	put_row(b->schema, time_s, value, text);
	b->row[b->count++] = text;
	return b->count < ROWS_MAX ? 0 : send_batch(b, err);
}

int rrd_file_update(const struct rrd_schema *schema, const char *path, int64_t last_s, unsigned gap_s, const int64_t *time_s,
		    const double *value, size_t row_count, struct err *err)
{
	size_t width = schema->source_count, row_room = 24 + width * NUMBER_MAX;
	struct batch b = { .schema = schema, .path = path, .row_room = row_room, .text = malloc(row_room * (ROWS_MAX + 1)) };
	int error = b.text ? 0 : err_set(err, -ENOMEM, "no memory");
	int64_t written_s = last_s;

	for (size_t i = 0; i < row_count && !error; i++) {
		const double *row = value + i * width;

		if (time_s[i] <= last_s)
			continue;
		if (time_s[i] - last_s > gap_s && time_s[i] - (int64_t)schema->step_s > last_s) {
			written_s = time_s[i] - schema->step_s;
			error = add_row(&b, written_s, NULL, err);
		}
		last_s = time_s[i];
		/* a value holds since the last update: of a run of equal rows only its end is written */
		if (!error && i + 1 < row_count && time_s[i + 1] - time_s[i] == schema->step_s &&
		    time_s[i + 1] - written_s < RUN_MAX_S && memcmp(row, row + width, width * sizeof *row) == 0)
			continue;
		written_s = time_s[i];
		if (!error)
			error = add_row(&b, time_s[i], row, err);
	}
	if (!error)
		error = send_batch(&b, err);
	free(b.text);
	return error;
}

/* --- reading --- */

int rrd_file_fetch(const struct rrd_schema *schema, const char *path, const struct rrd_archive *archive, int64_t from_s,
		   int64_t to_s, double **ret_value, size_t *ret_rows, int64_t *ret_from_s, struct err *err)
{
	time_t start = (time_t)from_s, end = (time_t)(to_s - 1); /* librrd goes to the end of the step that holds `end` */
	unsigned long step = (unsigned long)archive->steps * schema->step_s, wanted = step, sources = 0;
	rrd_value_t *data = NULL;
	char **names = NULL;

	rrd_clear_error();
	if (rrd_fetch_r(path, cf_names[archive->cf], &start, &end, &step, &sources, &names, &data))
		return err_set(err, -EIO, "cannot read %s: %s", path, rrd_get_error());
	for (unsigned long i = 0; i < sources; i++)
		rrd_freemem(names[i]);
	rrd_freemem(names);
	if (sources != schema->source_count || step != wanted || end < start) {
		rrd_freemem(data);
		return err_set(err, -EIO, "%s was changed while it was read", path);
	}
	*ret_value = data; /* rrd_freemem is free */
	*ret_rows = (size_t)(end - start) / step;
	*ret_from_s = start;
	return 0;
}
