/* One object against its schema: the rows of fields.def at work. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cluster/config_private.h"
#include "cluster/secrets.h"
#include "json_text.h"

/* --- problems with a pointer --- */

/* RFC 6901: "~" is "~0", "/" is "~1". */
static size_t append_segment(char *text, size_t used, size_t size, const char *segment)
{
	if (used + 1 < size)
		text[used++] = '/';
	for (; *segment && used + 2 < size; segment++) {
		if (*segment == '~' || *segment == '/') {
			text[used++] = '~';
			text[used++] = *segment == '~' ? '0' : '1';
		} else {
			text[used++] = *segment;
		}
	}
	text[used] = '\0';
	return used;
}

/* base comes before where. */
static size_t render(const struct where *base, const struct where *where, char *text, size_t size)
{
	text[0] = '\0';
	if (!where)
		return base ? render(NULL, base, text, size) : 0;
	return append_segment(text, render(base, where->up, text, size), size, where->segment);
}

int refuse(struct change *c, int status, const char *code, const struct where *where, const char *fmt, ...)
{
	char pointer[sizeof c->problem->pointer], detail[sizeof c->problem->detail];
	va_list args;

	render(c->base, where, pointer, sizeof pointer);
	va_start(args, fmt);
	vsnprintf(detail, sizeof detail, fmt, args);
	va_end(args);
	return problem_set(c->problem, status, code, pointer, "%s", detail);
}

int refuse_memory(struct change *c)
{
	return problem_set(c->problem, 500, "out-of-memory", "", "The service is out of memory.");
}

#define INVALID(c, where, ...) (refuse(c, 422, "validation-failed", where, __VA_ARGS__), NULL)

/* --- values --- */

/* Everything that a check of one value needs. */
struct place {
	struct change *c;
	const struct config_field *field;
	const struct where *where;
	const json_t *old; /* the value so far; may be NULL */
};

static json_t *validate_bool(const struct place *p, json_t *value)
{
	return json_is_boolean(value) ? json_incref(value) : INVALID(p->c, p->where, "It must be true or false.");
}

/* Whether one of the words of a choice, "a|b|c". */
static bool is_word(const char *words, const char *text)
{
	size_t len = strlen(text);

	for (const char *at = words; at; at = strchr(at, '|')) {
		at += *at == '|';
		if (strncmp(at, text, len) == 0 && (at[len] == '|' || at[len] == '\0') && len > 0)
			return true;
	}
	return false;
}

static json_t *validate_integer(const struct place *p, json_t *value)
{
	const struct config_field *f = p->field;
	json_int_t number = json_integer_value(value);
	char text[32];

	if (!json_is_integer(value))
		return INVALID(p->c, p->where, "It must be an integer.");
	if (number < f->min || number > f->max)
		return INVALID(p->c, p->where, "It must be %" PRId64 " to %" PRId64 ".", f->min, f->max);
	snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, number);
	if (f->rule[0] && !is_word(f->rule, text))
		return INVALID(p->c, p->where, "It must be one of %s.", f->rule);
	return json_incref(value);
}

static const char *text_fault(const struct config_field *f, const json_t *value, int64_t min, int64_t max, char *buffer,
			      size_t size)
{
	int64_t len = (int64_t)json_string_length(value);

	if (!json_is_string(value))
		return "must be a string";
	if (strlen(json_string_value(value)) != (size_t)len)
		return "must not contain NUL";
	if (len < min || len > max) {
		snprintf(buffer, size, "must be %" PRId64 " to %" PRId64 " bytes long", min, max);
		return buffer;
	}
	return config_rule_check(f->rule, json_string_value(value));
}

static json_t *validate_text(const struct place *p, json_t *value)
{
	char buffer[64];
	const char *fault = text_fault(p->field, value, p->field->min, p->field->max, buffer, sizeof buffer);

	return fault ? INVALID(p->c, p->where, "It %s.", fault) : json_incref(value);
}

static json_t *validate_choice(const struct place *p, json_t *value)
{
	if (!json_is_string(value) || !is_word(p->field->rule, json_string_value(value)))
		return INVALID(p->c, p->where, "It must be one of %s.", p->field->rule);
	return json_incref(value);
}

static int by_value(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;

	if (json_is_string(x) && json_is_string(y))
		return strcmp(json_string_value(x), json_string_value(y));
	return (json_integer_value(x) > json_integer_value(y)) - (json_integer_value(x) < json_integer_value(y));
}

/* -1: no memory; 1: two are equal; 0. */
static int array_has_twins(const json_t *array)
{
	size_t count = json_array_size(array);
	json_t **sorted = malloc((count + 1) * sizeof *sorted);
	int rc = 0;

	if (!sorted)
		return -1;
	for (size_t i = 0; i < count; i++)
		sorted[i] = json_array_get(array, i);
	qsort(sorted, count, sizeof *sorted, by_value);
	for (size_t i = 1; i < count; i++)
		rc |= by_value(&sorted[i - 1], &sorted[i]) == 0;
	free(sorted);
	return rc;
}

static json_t *validate_array(const struct place *p, json_t *value)
{
	const struct config_field *f = p->field;
	bool texts = f->type == TYPE_TEXTS;
	int64_t limit = texts ? f->max : 4096;
	size_t n;
	json_t *entry;
	int twins;

	if (!json_is_array(value))
		return INVALID(p->c, p->where, "It must be an array.");
	if (json_array_size(value) > (size_t)limit)
		return INVALID(p->c, p->where, "It must have %" PRId64 " entries at most.", limit);
	json_array_foreach(value, n, entry) {
		char segment[24], buffer[64];
		struct where where = { p->where, segment };
		const char *fault = texts ? text_fault(f, entry, 1, CONFIG_ISCSI_NAME_MAX, buffer, sizeof buffer) : NULL;

		snprintf(segment, sizeof segment, "%zu", n);
		if (fault)
			return INVALID(p->c, &where, "It %s.", fault);
		if (!texts && (!json_is_integer(entry) || json_integer_value(entry) < f->min ||
			       json_integer_value(entry) > f->max))
			return INVALID(p->c, &where, "It must be an integer, %" PRId64 " to %" PRId64 ".", f->min, f->max);
	}
	twins = array_has_twins(value);
	if (twins < 0)
		return refuse_memory(p->c), NULL;
	return twins ? INVALID(p->c, p->where, "Its entries must be different.") : json_deep_copy(value);
}

static json_t *validate_map(const struct place *p, json_t *value)
{
	const struct config_field *f = p->field;
	json_t *map, *entry;
	const char *key;

	if (!json_is_object(value))
		return INVALID(p->c, p->where, "It must be an object.");
	if (json_object_size(value) > (size_t)f->max)
		return INVALID(p->c, p->where, "It must have %" PRId64 " members at most.", f->max);
	map = json_object();
	json_object_foreach(value, key, entry) {
		struct where where = { p->where, key };
		const json_t *old = json_object_get(p->old, key);
		const char *fault = config_rule_check(f->rule, key);
		json_t *made = fault ? INVALID(p->c, &where, "Its name %s.", fault)
				     : validate_object(p->c, f->sub, entry, old, key, &where);

		if (made && old && objects_equal(f->sub, made, old)) {
			json_decref(made);
			made = json_incref((json_t *)old);
		} else if (made && stamp(p->c, made, old) < 0) {
			json_decref(made);
			made = NULL;
		}
		if (!made || json_object_set_new(map, key, made) < 0) {
			json_decref(map);
			return refuse_memory(p->c), NULL; /* unless a problem was set before */
		}
	}
	return map;
}

static json_t *validate_sub(const struct place *p, json_t *value)
{
	return validate_object(p->c, p->field->sub, value, p->old, NULL, p->where);
}

static json_t *validate_json(const struct place *p, json_t *value)
{
	return json_is_object(value) ? json_deep_copy(value) : INVALID(p->c, p->where, "It must be an object.");
}

static json_t *validate_value(const struct place *p, json_t *value)
{
	static json_t *(*const by_type[])(const struct place *p, json_t *value) = {
		[TYPE_BOOL] = validate_bool, [TYPE_INTEGER] = validate_integer, [TYPE_TEXT] = validate_text,
		[TYPE_CHOICE] = validate_choice, [TYPE_TEXTS] = validate_array, [TYPE_NUMBERS] = validate_array,
		[TYPE_OBJECT] = validate_sub, [TYPE_MAP] = validate_map, [TYPE_JSON] = validate_json,
	};

	return by_type[p->field->type](p, value);
}

/* --- secrets --- */

/* A new entry of `secrets` for this text, and its reference; NULL: no memory. */
static json_t *new_secret(struct change *c, const char *secret, const struct where *where)
{
	unsigned char bytes[16];
	char reference[33], pointer[sizeof c->problem->pointer];

	c->env->random(c->env->random_arg, bytes, sizeof bytes);
	for (unsigned i = 0; i < sizeof bytes; i++)
		sprintf(reference + 2 * i, "%02x", bytes[i]);
	render(c->base, where, pointer, sizeof pointer);
	if (json_object_set_new(c->added, reference,
				json_pack("{s:s, s:I}", "secret", secret, "created_ms", (json_int_t)c->env->now_ms)) < 0 ||
	    json_object_set_new(c->pointers, reference, json_string(pointer)) < 0)
		return NULL;
	return json_string(reference);
}

/* A credential keeps its reference while its secret is the same; a secret that config does not need is never stored. */
static int validate_secret(struct change *c, json_t *credential, const json_t *body, const json_t *old,
			   const struct where *where)
{
	const struct config_field *field = config_field_find(SCHEMA_CREDENTIAL, "secret");
	struct where here = { where, "secret" };
	struct place place = { c, field, &here, NULL };
	json_t *value = json_object_get(body, "secret"), *reference = json_object_get(old, "secret_ref"), *checked;
	const char *known = secrets_find(c->secrets, json_string_value(reference));

	if (!value && !reference)
		return refuse(c, 422, "validation-failed", &here, "The CHAP secret is missing.");
	if (value) {
		checked = validate_text(&place, value);
		if (!checked)
			return -1;
		json_decref(checked);
	}
	if (!value || (known && strcmp(known, json_string_value(value)) == 0))
		json_incref(reference);
	else
		reference = new_secret(c, json_string_value(value), &here);
	if (json_object_set_new(credential, "secret_ref", reference) < 0 ||
	    json_object_set_new(credential, "secret_set", json_true()) < 0)
		return refuse_memory(c);
	return 0;
}

/* --- objects --- */

static json_t *fallback_value(const struct place *p)
{
	json_t *value = json_read(p->field->fallback, strlen(p->field->fallback), JSON_DECODE_ANY, NULL), *made;

	if (!value)
		return refuse_memory(p->c), NULL;
	made = validate_value(p, value);
	json_decref(value);
	return made;
}

/* What the server decides: as it was; a body that says otherwise is refused. *ret_value NULL: absent. */
static int server_value(const struct place *p, const json_t *value, const char *name, bool fresh, json_t **ret_value)
{
	const struct config_field *f = p->field;
	bool is_name = strcmp(f->name, "name") == 0;

	if (value && is_name && (!name || !json_is_string(value) || strcmp(json_string_value(value), name) != 0))
		return refuse(p->c, 422, "validation-failed", p->where, "The name is the one in the path.");
	*ret_value = NULL;
	if (is_name)
		return 0;
	if (value && !(f->flags & F_IGNORED) && fresh && p->c->import)
		return (*ret_value = validate_value(p, (json_t *)value)) ? 0 : -1;
	if (value && !(f->flags & F_IGNORED) && !(p->old && json_equal(value, p->old)))
		return refuse(p->c, 422, "immutable", p->where, "The server decides this; leave it out.");
	*ret_value = json_incref((json_t *)p->old);
	return 0;
}

static int check_change(const struct place *p, const json_t *value)
{
	if (!p->old || json_equal(value, p->old))
		return 0;
	if (p->field->flags & F_IMMUTABLE)
		return refuse(p->c, 422, "immutable", p->where, "It is fixed at creation.");
	if ((p->field->flags & F_GROW) && json_integer_value(value) < json_integer_value(p->old))
		return refuse(p->c, 422, "shrink-refused", p->where, "It can grow, not shrink; it is %" JSON_INTEGER_FORMAT " now.",
			      json_integer_value(p->old));
	return 0;
}

/* One member. *ret_value NULL: it is absent. */
static int member_value(const struct place *p, json_t *value, json_t **ret_value)
{
	unsigned flags = p->field->flags;

	*ret_value = NULL;
	if (value)
		*ret_value = validate_value(p, value);
	else if (flags & F_REQUIRED)
		return refuse(p->c, 422, "validation-failed", p->where, "It is missing.");
	else if (p->old && (flags & (F_IMMUTABLE | F_KEEP)))
		*ret_value = json_incref((json_t *)p->old);
	else if (flags & F_OPTIONAL)
		return 0;
	else
		*ret_value = fallback_value(p);
	if (!*ret_value)
		return refuse_memory(p->c); /* unless a problem was set before */
	return value ? check_change(p, *ret_value) : 0;
}

static int refuse_unknown(struct change *c, enum config_schema schema, const json_t *body, const struct where *where)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)body, key, value) {
		struct where here = { where, key };
		const struct config_field *field = config_field_find(schema, key);

		if (!field || (field->flags & F_INTERNAL))
			return refuse(c, 422, "unknown-member", &here, "There is no such member.");
	}
	return 0;
}

static int fill(struct change *c, enum config_schema schema, json_t *object, const json_t *body, const json_t *old,
		const char *name, const struct where *where)
{
	unsigned count;
	const struct config_field *fields = config_schema_fields(schema, &count);

	for (unsigned i = 0; i < count; i++) {
		const struct config_field *f = &fields[i];
		struct where here = { where, f->name };
		struct place place = { c, f, &here, json_object_get(old, f->name) };
		json_t *value = json_object_get(body, f->name), *made = NULL;
		int rc;

		if (f->flags & (F_SECRET | F_INTERNAL))
			continue;
		if (f->flags & F_SERVER)
			rc = server_value(&place, value, name, !old, &made);
		else
			rc = member_value(&place, value, &made);
		if (rc == 0 && made && json_object_set(object, f->name, made) < 0)
			rc = refuse_memory(c);
		json_decref(made);
		if (rc < 0)
			return rc;
	}
	return schema == SCHEMA_CREDENTIAL ? validate_secret(c, object, body, old, where) : 0;
}

json_t *validate_object(struct change *c, enum config_schema schema, const json_t *body, const json_t *old,
			const char *name, const struct where *where)
{
	json_t *object;

	if (!json_is_object(body))
		return INVALID(c, where, "It must be an object.");
	if (refuse_unknown(c, schema, body, where) < 0)
		return NULL;
	object = json_object();
	if (!object)
		return refuse_memory(c), NULL;
	if (fill(c, schema, object, body, old, name, where) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

/* --- stamps --- */

static bool is_stamp(const char *name)
{
	return strcmp(name, "revision") == 0 || strcmp(name, "created_at") == 0;
}

bool objects_equal(enum config_schema schema, const json_t *a, const json_t *b)
{
	unsigned count;
	const struct config_field *fields = config_schema_fields(schema, &count);

	for (unsigned i = 0; i < count; i++) {
		const json_t *x = json_object_get(a, fields[i].name), *y = json_object_get(b, fields[i].name);

		if (!is_stamp(fields[i].name) && x != y && !json_equal(x, y))
			return false;
	}
	return true;
}

int stamp(struct change *c, json_t *object, const json_t *old)
{
	json_t *created = json_object_get(old, "created_at");
	char text[CLOCK_TEXT_LEN];

	clock_format(c->env->now_ms, text);
	if (json_object_set_new(object, "revision", json_integer((json_int_t)c->env->version)) < 0 ||
	    json_object_set_new(object, "created_at", created ? json_incref(created) : json_string(text)) < 0)
		return refuse_memory(c);
	return 0;
}
