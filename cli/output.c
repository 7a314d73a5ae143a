#include "cli/output.h"

#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/size.h"

#define COLUMNS_MAX 16

struct column {
	char heading[32], member[64], format[8];
	int width;
};

void output_json(FILE *out, const json_t *value)
{
	json_dumpf(value, out, JSON_INDENT(2) | JSON_ENCODE_ANY);
	fputc('\n', out);
}

void output_text(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
}

static void write_value(FILE *out, const json_t *value, const char *format)
{
	const json_t *item;
	char text[32];
	size_t i;

	if (strcmp(format, "count") == 0) {
		fprintf(out, "%zu", json_is_array(value) ? json_array_size(value) : json_object_size(value));
	} else if (json_is_string(value)) {
		output_text(out, *json_string_value(value) ? json_string_value(value) : "-");
	} else if (json_is_integer(value) && strcmp(format, "size") == 0) {
		size_format(json_integer_value(value), text, sizeof text);
		fputs(text, out);
	} else if (json_is_integer(value)) {
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	} else if (json_is_real(value)) {
		fprintf(out, "%g", json_real_value(value));
	} else if (json_is_boolean(value)) {
		fputs(json_is_true(value) ? "yes" : "no", out);
	} else if (json_is_array(value) && json_array_size(value)) {
		json_array_foreach(value, i, item) {
			fputs(i ? "," : "", out);
			write_value(out, item, "");
		}
	} else if (json_is_object(value) && json_object_size(value)) {
		json_dumpf(value, out, JSON_COMPACT);
	} else {
		fputc('-', out);
	}
}

char *output_value(const json_t *value, const char *format)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	write_value(out, value, format);
	return fclose(out) == 0 ? text : NULL;
}

/* --- tables --- */

static unsigned parse_columns(const char *columns, struct column *ret)
{
	unsigned count = 0;
	size_t len;

	for (const char *at = columns; count < COLUMNS_MAX && (at = word_next(at, &len)); at += len) {
		struct column *c = &ret[count++];
		const char *equals = memchr(at, '=', len), *end = at + len, *colon;

		*c = (struct column){ 0 };
		snprintf(c->heading, sizeof c->heading, "%.*s", (int)(equals - at), at);
		colon = memchr(equals, ':', (size_t)(end - equals));
		snprintf(c->member, sizeof c->member, "%.*s", (int)((colon ? colon : end) - equals - 1), equals + 1);
		if (colon)
			snprintf(c->format, sizeof c->format, "%.*s", (int)(end - colon - 1), colon + 1);
		c->width = (int)strlen(c->heading);
	}
	return count;
}

/* object.a.b */
static const json_t *member_of(const json_t *object, const char *path)
{
	char part[64];
	const char *dot;

	while ((dot = strchr(path, '.'))) {
		snprintf(part, sizeof part, "%.*s", (int)(dot - path), path);
		object = json_object_get(object, part);
		path = dot + 1;
	}
	return json_object_get(object, path);
}

/* Columns that a terminal shows, not bytes: continuation bytes of UTF-8 take none. */
static int shown_width(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static void print_cell(FILE *out, const char *text, int width, bool last)
{
	fputs(text, out);
	if (last)
		fputc('\n', out);
	else
		fprintf(out, "%*s", width - shown_width(text) + 2, "");
}

void output_table(FILE *out, const json_t *items, const char *columns)
{
	struct column column[COLUMNS_MAX];
	unsigned count = parse_columns(columns, column);
	size_t rows = json_array_size(items);
	char **cell = calloc(rows * count + 1, sizeof *cell);

	if (!cell)
		return;
	for (size_t i = 0; i < rows * count; i++) {
		struct column *c = &column[i % count];

		cell[i] = output_value(member_of(json_array_get(items, i / count), c->member), c->format);
		if (cell[i] && shown_width(cell[i]) > c->width)
			c->width = shown_width(cell[i]);
	}
	for (unsigned i = 0; i < count; i++)
		print_cell(out, column[i].heading, column[i].width, i == count - 1);
	for (size_t i = 0; i < rows * count; i++) {
		print_cell(out, cell[i] ? cell[i] : "", column[i % count].width, i % count == count - 1);
		free(cell[i]);
	}
	free(cell);
}

/* --- objects --- */

static bool holds_objects(const json_t *value)
{
	return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

/* depth: of the recursion, for the indent of blocks; prefix: "params." */
static void print_members(FILE *out, const json_t *object, const char *prefix, int indent)
{
	char longer[256];
	const char *key;
	json_t *value, *item;
	size_t i;

	json_object_foreach((json_t *)object, key, value) {
		if (json_is_object(value) && json_object_size(value)) {
			snprintf(longer, sizeof longer, "%s%s.", prefix, key);
			print_members(out, value, longer, indent);
			continue;
		}
		fprintf(out, "%*s", indent, "");
		output_text(out, prefix);
		output_text(out, key);
		fputs(": ", out);
		if (!holds_objects(value)) {
			char *text = output_value(value, "");

			fputs(text ? text : "", out);
			fputc('\n', out);
			free(text);
			continue;
		}
		fputc('\n', out);
		json_array_foreach(value, i, item) {
			fprintf(out, "%*s-\n", indent + 2, "");
			print_members(out, item, "", indent + 4);
		}
	}
}

void output_object(FILE *out, const json_t *object)
{
	if (json_is_object(object))
		print_members(out, object, "", 0);
	else
		output_json(out, object);
}

void output_warnings(const json_t *answer)
{
	static const struct {
		const char *member, *words;
	} kinds[] = { { "warnings", "warning" }, { "unreachable", "not complete, no answer from" } };
	const json_t *item;
	size_t i;

	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		json_array_foreach(json_object_get(answer, kinds[k].member), i, item) {
			fprintf(stderr, "lunette: %s: ", kinds[k].words);
			output_text(stderr, json_is_string(item) ? json_string_value(item) : "?");
			fputc('\n', stderr);
		}
	}
}
