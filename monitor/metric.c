/* The tables of metrics and kinds, and names of objects: see metric.h. */
#include "monitor/metric.h"

#include <string.h>

#define L (1u << OBJECT_LUN)
#define T (1u << OBJECT_TARGET)
#define S (1u << OBJECT_SESSION)
#define W (1u << OBJECT_WORKER)
#define H (1u << OBJECT_HOST)
#define NO_COUNTER METRIC_NO_COUNTER

const struct metric_row metric_rows[METRICS] = {
#define METRIC(name, objects, unit, how, source, second, title, meaning) \
	[METRIC_##name] = { #name, objects, UNIT_##unit, HOW_##how, source, second, title, meaning },
#include "monitor/metrics.def"
#undef METRIC
};

static const char *const unit_names[UNITS] = {
	[UNIT_OPS] = "operations/s", [UNIT_BPS] = "bytes/s", [UNIT_SECONDS] = "seconds", [UNIT_COUNT] = "1",
	[UNIT_EVENTS] = "events/s", [UNIT_BYTES] = "bytes", [UNIT_PERCENT] = "percent",
};

static const char *const kind_names[OBJECT_KINDS] = {
	[OBJECT_LUN] = "lun", [OBJECT_TARGET] = "target", [OBJECT_SESSION] = "session", [OBJECT_WORKER] = "worker",
	[OBJECT_HOST] = "host",
};

const char *metric_unit_name(enum metric_unit unit)
{
	return unit_names[unit];
}

static bool is_word(const char *word, const char *text, size_t len)
{
	return strlen(word) == len && memcmp(word, text, len) == 0;
}

int metric_find(const char *name, size_t len)
{
	for (int i = 0; i < METRICS; i++)
		if (is_word(metric_rows[i].name, name, len))
			return i;
	return -1;
}

bool metric_of(enum metric_id metric, enum object_kind kind)
{
	return metric_rows[metric].objects & 1u << kind;
}

unsigned metric_columns(enum object_kind kind, enum metric_id ret_column[METRICS])
{
	unsigned count = 0;

	for (int i = 0; i < METRICS; i++)
		if (metric_of((enum metric_id)i, kind))
			ret_column[count++] = (enum metric_id)i;
	return count;
}

const char *object_kind_name(enum object_kind kind)
{
	return kind_names[kind];
}

int object_kind_find(const char *name, size_t len)
{
	for (int i = 0; i < OBJECT_KINDS; i++)
		if (is_word(kind_names[i], name, len))
			return i;
	return -1;
}

bool object_parse(const char *text, size_t len, struct object_name *ret_object)
{
	const char *colon = memchr(text, ':', len);
	int kind = colon ? object_kind_find(text, (size_t)(colon - text)) : -1;
	size_t name_len = colon ? len - (size_t)(colon + 1 - text) : 0;

	if (kind < 0 || name_len == 0 || name_len >= sizeof ret_object->name)
		return false;
	for (size_t i = 0; i < name_len; i++)
		if ((unsigned char)colon[1 + i] < 0x20 || colon[1 + i] == 0x7f)
			return false;
	memset(ret_object, 0, sizeof *ret_object);
	ret_object->kind = (enum object_kind)kind;
	memcpy(ret_object->name, colon + 1, name_len);
	return true;
}

int object_compare(const struct object_name *a, const struct object_name *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->name, b->name);
}
