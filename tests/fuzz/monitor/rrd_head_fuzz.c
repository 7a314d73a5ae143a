/*
 * The head of an RRD file that somebody else wrote. Input: a byte of mode, then mode 0: the head itself; mode 1: what to change
 * in a sound one (offset, two bytes; value, one byte); mode 2: the same in one that lacks a source. Whatever is accepted, librrd
 * and we must be able to write to and read from without leaving the file.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/rrd.h"

#define BASE_S INT64_C(1700000400)
#define NOW_S  (BASE_S + 10000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "first", "second" };
static const struct rrd_archive archives[] = { { SERIES_CF_AVERAGE, 1, 60 }, { SERIES_CF_AVERAGE, 10, 30 }, { SERIES_CF_MAX, 10, 30 } };

static struct rrd_schema schema = { .names = names, .source_count = 2, .step_s = 1, .archives = archives, .archive_count = 3 };
static struct rrd_schema older = { .names = names, .source_count = 1, .step_s = 1, .archives = archives, .archive_count = 3 };
static char path[64];
static volatile double total; /* every value is read */

static void clean_up(void)
{
	char *slash = strrchr(path, '/');

	unlink(path);
	*slash = '\0';
	rmdir(path);
	rrd_schema_fini(&schema);
	rrd_schema_fini(&older);
}

static void set_up(void)
{
	struct err err = { 0 };

	strcpy(path, "/tmp/lunette-fuzz.XXXXXX");
	if (!mkdtemp(path) || rrd_schema_init(&schema, path, &err) || rrd_schema_init(&older, path, &err))
		abort();
	strcat(path, "/x.rrd");
	atexit(clean_up);
}

static void make_file(const uint8_t *data, size_t size, uint8_t mode)
{
	const struct rrd_schema *of = mode % 3 == 2 ? &older : &schema;
	uint8_t *bytes = calloc(1, of->file_bytes);
	FILE *file = fopen(path, "we");

	if (!bytes || !file)
		abort();
	if (mode % 3 == 0) {
		memcpy(bytes, data, size < of->file_bytes ? size : of->file_bytes);
	} else {
		memcpy(bytes, of->head, of->head_bytes);
		for (size_t i = 0; i + 3 <= size; i += 3)
			bytes[(size_t)(data[i] << 8 | data[i + 1]) % of->head_bytes] = data[i + 2];
	}
	fwrite(bytes, of->file_bytes, 1, file);
	fclose(file);
	free(bytes);
}

static void use_file(int64_t last_s)
{
	int64_t time_s[] = { last_s + 1, last_s + 2, last_s + 9 }, from_s;
	double row[] = { 1, 2, 3, 4, 5, 6 }, *value;
	struct err err = { 0 };
	size_t rows;

	rrd_file_update(&schema, path, last_s, 5, time_s, row, 3, &err);
	for (unsigned i = 0; i < 3; i++)
		if (rrd_file_fetch(&schema, path, &archives[i], last_s - 100, last_s + 9, &value, &rows, &from_s, &err) == 0) {
			for (size_t v = 0; v < rows * 2; v++)
				total = total + value[v];
			free(value);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	int64_t last_s;
	int error;

	if (size == 0 || size > 8192)
		return 0;
	if (!path[0])
		set_up();
	make_file(data + 1, size - 1, data[0]);
	error = rrd_file_check(&schema, path, NOW_S, &last_s, &err);
	if (error == -ESTALE)
		error = rrd_file_widen(&schema, path, &err) ? -EIO : rrd_file_check(&schema, path, NOW_S, &last_s, &err);
	if (error == 0)
		use_file(last_s);
	else if (err.text[0] == '\0')
		abort(); /* nobody would know why */
	return 0;
}
