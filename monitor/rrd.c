/* One RRD file: see rrd.h. The layout is that of <rrd_format.h>, which <rrd.h> includes. */
#include "monitor/rrd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#define RRD_EXPORT_DEPRECATED /* the layout of the file */
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUTURE_S   3600
#define EARLIEST_S 946684800 /* 2000: nothing was measured before */
#define PATH_ROOM  4096
#define ROWS_MAX   64        /* of one call of librrd */
#define NUMBER_MAX 32

static const char *const cf_names[] = { [SERIES_CF_AVERAGE] = "AVERAGE", [SERIES_CF_MAX] = "MAX" };

/* --- layout --- */

static size_t static_bytes(const struct rrd_schema *schema)
{
	return sizeof(stat_head_t) + schema->source_count * sizeof(ds_def_t) + schema->archive_count * sizeof(rra_def_t);
}

static size_t pointers_at(const struct rrd_schema *schema)
{
	return static_bytes(schema) + sizeof(live_head_t) + schema->source_count * sizeof(pdp_prep_t) +
	       (size_t)schema->source_count * schema->archive_count * sizeof(cdp_prep_t);
}

static size_t head_bytes(const struct rrd_schema *schema)
{
	return pointers_at(schema) + schema->archive_count * sizeof(rra_ptr_t);
}

static size_t total_rows(const struct rrd_schema *schema)
{
	size_t rows = 0;

	for (unsigned i = 0; i < schema->archive_count; i++)
		rows += schema->archives[i].rows;
	return rows;
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
	const char *args[RRD_SOURCES_MAX + 16];
	char text[RRD_SOURCES_MAX + 16][64];
	int count = 0;

	for (unsigned i = 0; i < schema->source_count; i++, count++)
		snprintf(text[count], sizeof text[count], "DS:%s:GAUGE:%d:U:U", schema->names[i], RRD_HEARTBEAT_S);
	for (unsigned i = 0; i < schema->archive_count; i++, count++)
		snprintf(text[count], sizeof text[count], "RRA:%s:0.5:%u:1", cf_names[schema->archives[i].cf],
			 schema->archives[i].steps);
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
	char *at = (char *)head + sizeof(stat_head_t) + schema->source_count * sizeof(ds_def_t);

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
	size_t len = head_bytes(schema);
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
	schema->head_bytes = static_bytes(schema);
	schema->file_bytes = head_bytes(schema) + total_rows(schema) * schema->source_count * sizeof(double);
	return make_head(schema, path, EARLIEST_S, &schema->head, err);
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
	error = fd < 0 ? -errno : write_all(fd, head, head_bytes(schema));
	free(head);
	if (!error)
		error = write_unknown(fd, total_rows(schema) * schema->source_count);
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

static int judge_static(const struct rrd_schema *schema, const void *bytes, struct err *err)
{
	const stat_head_t *want = schema->head;
	stat_head_t have;

	memcpy(&have, bytes, sizeof have);
	if (memcmp(have.cookie, want->cookie, sizeof have.cookie) != 0)
		return err_set(err, -EBADMSG, "it is no RRD file");
	if (memcmp(have.version, want->version, sizeof have.version) != 0)
		return err_set(err, -EBADMSG, "it has another version of the format");
	if (memcmp(&have.float_cookie, &want->float_cookie, sizeof have.float_cookie) != 0)
		return err_set(err, -EBADMSG, "it is from another architecture");
	if (have.ds_cnt != want->ds_cnt || have.rra_cnt != want->rra_cnt ||
	    memcmp(bytes, schema->head, schema->head_bytes) != 0)
		return err_set(err, -EBADMSG, "its sources or archives are not those of this version, or it is damaged");
	return 0;
}

static int judge_dynamic(const struct rrd_schema *schema, const char *bytes, int64_t now_s, int64_t *ret_last_s,
			 struct err *err)
{
	const char *at = bytes + pointers_at(schema);
	live_head_t live;

	memcpy(&live, bytes + schema->head_bytes, sizeof live);
	if (live.last_up < EARLIEST_S || live.last_up_usec < 0 || live.last_up_usec > 999999)
		return err_set(err, -EBADMSG, "its last update makes no sense");
	if (live.last_up > now_s + FUTURE_S)
		return err_set(err, -EBADMSG, "it is from the future, or the clock was wrong");
	for (unsigned i = 0; i < schema->archive_count; i++, at += sizeof(rra_ptr_t)) {
		rra_ptr_t pointer;

		memcpy(&pointer, at, sizeof pointer);
		if (pointer.cur_row >= schema->archives[i].rows)
			return err_set(err, -EBADMSG, "it is damaged: a row is outside its archive");
	}
	*ret_last_s = live.last_up;
	return 0;
}

static int judge(const struct rrd_schema *schema, int fd, int64_t now_s, int64_t *ret_last_s, struct err *err)
{
	size_t len = head_bytes(schema);
	struct stat st;
	char *bytes;
	int error;

	if (fstat(fd, &st) < 0)
		return err_errno(err, -errno, "it cannot be read");
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EBADMSG, "it is not a regular file");
	if (st.st_size < (off_t)sizeof(stat_head_t))
		return err_set(err, -EBADMSG, "it is truncated");
	bytes = calloc(1, len);
	if (!bytes)
		return err_set(err, -ENOMEM, "no memory");
	error = read_all(fd, bytes, (size_t)st.st_size < len ? (size_t)st.st_size : len);
	if (error)
		err_errno(err, error, "it cannot be read");
	if (!error)
		error = judge_static(schema, bytes, err);
	if (!error && (size_t)st.st_size != schema->file_bytes)
		error = err_set(err, -EBADMSG, "it has %lld bytes instead of %zu", (long long)st.st_size, schema->file_bytes);
	if (!error)
		error = judge_dynamic(schema, bytes, now_s, ret_last_s, err);
	free(bytes);
	return error;
}

int rrd_file_check(const struct rrd_schema *schema, const char *path, int64_t now_s, int64_t *ret_last_s, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), error;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_errno(err, -errno, "it cannot be opened");
	error = judge(schema, fd, now_s, ret_last_s, err);
	close(fd);
	return error == -ENOENT ? -EIO : error;
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

	for (size_t i = 0; i < row_count && !error; i++) {
		const double *row = value + i * width;

		if (time_s[i] <= last_s)
			continue;
		if (time_s[i] - last_s > gap_s && time_s[i] - (int64_t)schema->step_s > last_s)
			error = add_row(&b, time_s[i] - schema->step_s, NULL, err);
		last_s = time_s[i];
		/* a value holds since the last update: of a run of equal rows only its end is written */
		if (!error && i + 1 < row_count && time_s[i + 1] - time_s[i] == schema->step_s &&
		    memcmp(row, row + width, width * sizeof *row) == 0)
			continue;
		if (!error)
			error = add_row(&b, time_s[i], row, err);
	}
	if (!error)
		error = send_batch(&b, err);
	free(b.text);
	return error;
}

/* --- reading --- */

int rrd_file_fetch(const struct rrd_schema *schema, const char *path, enum series_cf cf, unsigned step_s, int64_t from_s,
		   int64_t to_s, double **ret_value, size_t *ret_points, int64_t *ret_from_s, unsigned *ret_step_s,
		   struct err *err)
{
	time_t start = (time_t)from_s, end = (time_t)to_s;
	unsigned long step = step_s, sources = 0;
	rrd_value_t *data = NULL;
	char **names = NULL;
	int error = 0;

	rrd_clear_error();
	if (rrd_fetch_r(path, cf_names[cf], &start, &end, &step, &sources, &names, &data))
		return err_set(err, -EIO, "cannot read %s: %s", path, rrd_get_error());
	for (unsigned long i = 0; i < sources; i++)
		rrd_freemem(names[i]);
	rrd_freemem(names);
	if (sources != schema->source_count || step == 0 || end < start) {
		rrd_freemem(data);
		return err_set(err, -EIO, "%s was changed while it was read", path);
	}
	*ret_points = (size_t)(end - start) / step;
	*ret_value = malloc((*ret_points + 1) * sources * sizeof **ret_value);
	if (*ret_value)
		memcpy(*ret_value, data, *ret_points * sources * sizeof *data);
	else
		error = err_set(err, -ENOMEM, "no memory");
	rrd_freemem(data);
	*ret_from_s = start;
	*ret_step_s = (unsigned)step;
	return error;
}
