#include "cli/body.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "log.h"
#include "cli/size.h"

#define MEMBER_MAX 128
#define SECRET_LINE_MAX 512

/* --- texts with {NAME} --- */

static void fill(const struct invocation *inv, const char *text, bool encode, FILE *out)
{
	char name[32];

	while (*text) {
		size_t plain = strcspn(text, "{"), len;
		const char *value;
		char *encoded;

		fwrite(text, 1, plain, out);
		text += plain;
		if (!*text)
			break;
		len = strcspn(text, "}");
		snprintf(name, sizeof name, "%.*s", (int)len - 1, text + 1);
		value = invocation_argument(inv, name);
		encoded = value && encode ? client_encode(value) : NULL;
		fputs(encoded ? encoded : value ? value : "", out);
		free(encoded);
		text += text[len] ? len + 1 : len;
	}
}

char *body_fill(const struct invocation *inv, const char *text)
{
	char *filled = NULL;
	size_t len;
	FILE *out = open_memstream(&filled, &len);

	if (!out)
		return NULL;
	fill(inv, text, false, out);
	return fclose(out) == 0 ? filled : NULL;
}

char *body_path(const struct invocation *inv, const char *path)
{
	char *filled = NULL, separator = '?';
	size_t len;
	FILE *out = open_memstream(&filled, &len);

	if (!out)
		return NULL;
	fill(inv, path, true, out);
	for (unsigned i = 0; i < inv->option_count; i++) {
		if (inv->option[i].option->place != CLI_QUERY)
			continue;
		fprintf(out, "%c%s=true", separator, inv->option[i].option->member);
		separator = '&';
	}
	return fclose(out) == 0 ? filled : NULL;
}

/* --- values --- */

static json_t *number_value(const char *name, const char *text, struct err *err)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || end == text || *end) {
		err_set(err, -EINVAL, "--%s must be a number, not %s", name, log_quoted(text));
		return NULL;
	}
	return json_integer(n);
}

static json_t *size_value(const char *name, const char *text, struct err *err)
{
	int64_t bytes;

	if (size_parse(text, &bytes) < 0) {
		err_set(err, -EINVAL, "%s must be a size like 512M, 10G or 1.5T, not %s", name, log_quoted(text));
		return NULL;
	}
	return json_integer(bytes);
}

static json_t *duration_value(const char *name, const char *text, struct err *err)
{
	static const struct {
		const char *unit;
		long long seconds;
	} units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
	char *end;
	long long n = strtoll(text, &end, 10);

	for (size_t i = 0; i < sizeof units / sizeof units[0] && end != text; i++)
		if (strcmp(end, units[i].unit) == 0 && n > 0 && n <= INT32_MAX)
			return json_integer(n * units[i].seconds);
	err_set(err, -EINVAL, "--%s must be like 90s, 30m, 12h or 365d, not %s", name, log_quoted(text));
	return NULL;
}

static json_t *bool_value(const char *name, const char *text, struct err *err)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = { { "", true }, { "on", true }, { "yes", true }, { "true", true },
		      { "off", false }, { "no", false }, { "false", false } };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(text, words[i].word) == 0)
			return json_boolean(words[i].value);
	err_set(err, -EINVAL, "--%s must be on or off, not %s", name, log_quoted(text));
	return NULL;
}

/* "a,b,c" appended to `list`. */
static int add_list(const struct cli_option *option, const char *text, json_t *list, struct err *err)
{
	char item[512];

	while (*text) {
		size_t len = strcspn(text, ",");
		json_t *value;

		if (len >= sizeof item)
			return err_set(err, -EINVAL, "an item of --%s is too long", option->name);
		memcpy(item, text, len);
		item[len] = '\0';
		value = option->type == CLI_NUMBERS ? number_value(option->name, item, err) : json_string(item);
		if (!value)
			return err && err->code ? err->code : err_set(err, -EINVAL, "--%s is no UTF-8 text", option->name);
		json_array_append_new(list, value);
		text += len + (text[len] == ',');
	}
	return 0;
}

static json_t *secret_value(const struct cli_option *option, const char *path, struct err *err)
{
	char line[SECRET_LINE_MAX];
	json_t *value;

	if (client_read_line(path, line, sizeof line, err) < 0)
		return NULL;
	value = json_string(line);
	explicit_bzero(line, sizeof line);
	if (!value)
		err_set(err, -EINVAL, "the secret for --%s is no UTF-8 text", option->name);
	return value;
}

static json_t *scalar_value(const struct cli_option *option, const char *text, struct err *err)
{
	json_t *value = NULL;
	char name[64];

	switch (option->type) {
	case CLI_FLAG:
		return json_true();
	case CLI_NULL:
		return json_null();
	case CLI_BOOL:
		return bool_value(option->name, text ? text : "", err);
	case CLI_NUMBER:
		return number_value(option->name, text, err);
	case CLI_DURATION:
		return duration_value(option->name, text, err);
	case CLI_SIZE:
		snprintf(name, sizeof name, "--%s", option->name);
		return size_value(name, text, err);
	case CLI_SECRET:
		return secret_value(option, text, err);
	case CLI_TEXT:
		value = json_string(text);
		if (!value)
			err_set(err, -EINVAL, "--%s is no UTF-8 text", option->name);
		return value;
	case CLI_LIST:
	case CLI_NUMBERS:
	case CLI_PAIR:
		break; /* not scalars */
	}
	err_set(err, -EINVAL, "--%s cannot be used here", option->name);
	return NULL;
}

/* --- the object --- */

/* The object that holds the last part of "a.b.c", made on the way; the last part in *ret_last. NULL: no memory. */
static json_t *holder_of(json_t *body, const char *member, const char **ret_last)
{
	char part[MEMBER_MAX];
	const char *dot;

	while ((dot = strchr(member, '.'))) {
		json_t *next;

		snprintf(part, sizeof part, "%.*s", (int)(dot - member), member);
		next = json_object_get(body, part);
		if (!json_is_object(next)) {
			if (json_object_set_new(body, part, json_object()) < 0)
				return NULL;
			next = json_object_get(body, part);
		}
		body = next;
		member = dot + 1;
	}
	*ret_last = member;
	return body;
}

/* KEY=VALUE: VALUE is JSON when it reads as such (numbers, true), text otherwise. */
static int set_pair(json_t *body, const struct cli_option *option, const char *text, struct err *err)
{
	const char *equals = strchr(text, '='), *last;
	char member[MEMBER_MAX];
	json_t *holder, *value;

	if (!equals || equals == text || (size_t)(equals - text) > sizeof member / 2)
		return err_set(err, -EINVAL, "--%s must be KEY=VALUE, not %s", option->name, log_quoted(text));
	snprintf(member, sizeof member, "%s.%.*s", option->member, (int)(equals - text), text);
	value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
	if (!value)
		value = json_string(equals + 1);
	holder = holder_of(body, member, &last);
	if (!value || !holder || json_object_set_new(holder, last, value) < 0)
		return err_set(err, -EINVAL, "--%s %s cannot be used", option->name, log_quoted(text));
	return 0;
}

static int set_option(json_t *body, const struct cli_given *given, struct err *err)
{
	const struct cli_option *option = given->option;
	const char *last;
	json_t *holder, *value;

	if (option->place != CLI_BODY)
		return 0;
	if (option->type == CLI_PAIR)
		return set_pair(body, option, given->value, err);
	holder = holder_of(body, option->member, &last);
	if (holder && (option->type == CLI_LIST || option->type == CLI_NUMBERS)) {
		if (!json_object_get(holder, last))
			json_object_set_new(holder, last, json_array());
		return add_list(option, given->value, json_object_get(holder, last), err);
	}
	value = scalar_value(option, given->value, err);
	if (!value)
		return err->code;
	if (!holder || json_object_set_new(holder, last, value) < 0)
		return err_set(err, -ENOMEM, "no memory for the request");
	return 0;
}

/* Members from arguments: "SIZE=size_bytes". A member named by a repeated argument is an array. */
static int set_arguments(json_t *body, const struct invocation *inv, struct err *err)
{
	const char *rule = inv->command->body, *text, *equals;
	char name[32], member[MEMBER_MAX];
	json_t *value;
	size_t len;

	for (const char *at = rule ? rule : ""; (at = word_next(at, &len)); at += len) {
		equals = memchr(at, '=', len);
		snprintf(name, sizeof name, "%.*s", (int)(equals - at), at);
		snprintf(member, sizeof member, "%.*s", (int)(at + len - equals - 1), equals + 1);
		text = invocation_argument(inv, name);
		if (strcmp(name, "INITIATOR") == 0) {
			value = json_array();
			for (unsigned i = 1; i < inv->argument_count; i++)
				json_array_append_new(value, json_string(inv->argument[i]));
		} else {
			value = strcmp(name, "SIZE") == 0 ? size_value(name, text, err) : json_string(text);
		}
		if (!value)
			return err->code ? err->code : err_set(err, -EINVAL, "%s is no UTF-8 text", name);
		json_object_set_new(body, member, value);
	}
	return 0;
}

int body_make(const struct invocation *inv, json_t **ret_body, struct err *err)
{
	json_t *body = json_object();
	int rc = body ? set_arguments(body, inv, err) : -ENOMEM;

	for (unsigned i = 0; i < inv->option_count && rc == 0; i++)
		rc = set_option(body, &inv->option[i], err);
	if (rc < 0)
		json_decref(body);
	else
		*ret_body = body;
	return rc;
}
