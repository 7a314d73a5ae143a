/* The rows of fields.def as a table, and the rules for texts. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/config.h"
#include "cluster/config_private.h"


const struct config_field config_fields[] = {
#define FIELD(schema, name, type, rule, sub, min, max, fallback, flags, doc)                                             \
	{ SCHEMA_##schema, #name, TYPE_##type, rule, SCHEMA_##sub, min, max, fallback, flags, doc },
#include "cluster/fields.def"
#undef FIELD
};
const unsigned config_field_count = sizeof config_fields / sizeof config_fields[0];

const char *config_schema_name(enum config_schema schema)
{
	static const char *const names[SCHEMA_COUNT] = {
		[SCHEMA_LUN] = "lun", [SCHEMA_TARGET] = "target", [SCHEMA_GROUP] = "initiator-group",
		[SCHEMA_PORTAL] = "portal", [SCHEMA_STORE] = "store", [SCHEMA_SETTINGS] = "settings",
		[SCHEMA_MAPPING] = "target-lun", [SCHEMA_INITIATOR] = "target-initiator", [SCHEMA_GRANT] = "target-group",
		[SCHEMA_PARAMS] = "target-params", [SCHEMA_AUTH] = "auth", [SCHEMA_CREDENTIAL] = "credential",
		[SCHEMA_REDIRECT] = "redirect", [SCHEMA_PORT_GROUP] = "target-port-group",
	};

	return schema < SCHEMA_COUNT ? names[schema] : "none";
}

const struct config_field *config_schema_fields(enum config_schema schema, unsigned *ret_count)
{
	unsigned first = 0, end;

	while (first < config_field_count && config_fields[first].schema != schema)
		first++;
	for (end = first; end < config_field_count && config_fields[end].schema == schema; end++)
		;
	*ret_count = end - first;
	return &config_fields[first];
}

const struct config_field *config_field_find(enum config_schema schema, const char *name)
{
	unsigned count;
	const struct config_field *fields = config_schema_fields(schema, &count);

	for (unsigned i = 0; i < count; i++) {
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	}
	return NULL;
}

/* --- rules --- */

static const char *check_any(const char *text)
{
	(void)text;
	return NULL;
}

static const char *check_text(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return "must not contain control characters";
	}
	return NULL;
}

static const char *check_name(const char *text)
{
	static const char *const why =
		"must be 1 to 63 of a-z, 0-9, '.', '_', '-', and begin with a letter or digit";
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return text[len] || len == 0 || len > 63 || strchr("._-", text[0]) ? why : NULL;
}

static bool all_of(const char *text, const char *allowed, size_t len)
{
	return strlen(text) == len && strspn(text, allowed) == len;
}

#define DIGITS    "0123456789"
#define HEX_LOWER DIGITS "abcdef"

/* iqn.YYYY-MM.authority[:rest] (RFC 7143 section 4.2.7.4), in the ASCII part of what RFC 3722 leaves. */
static bool iqn_valid(const char *text)
{
	size_t len = strlen(text);

	if (len < 14 || len > CONFIG_ISCSI_NAME_MAX || text[8] != '-' || text[11] != '.')
		return false;
	if (strspn(text + 4, DIGITS) != 4 || strspn(text + 9, DIGITS) != 2)
		return false;
	if (memcmp(text + 9, "01", 2) < 0 || memcmp(text + 9, "12", 2) > 0 || strchr(".:-", text[12]))
		return false;
	return text[12 + strspn(text + 12, "abcdefghijklmnopqrstuvwxyz" DIGITS ".:-")] == '\0';
}

static const char *check_iscsi_name(const char *text)
{
	static const char *const why = "must be an iSCSI name in lower case: iqn.2026-11.com.example:disk1 (a-z, 0-9, '.', "
				       "'-', ':'; 223 bytes at most), eui. with 16 or naa. with 16 or 32 hex digits";

	if (strncmp(text, "iqn.", 4) == 0)
		return iqn_valid(text) ? NULL : why;
	if (strncmp(text, "eui.", 4) == 0)
		return all_of(text + 4, HEX_LOWER, 16) ? NULL : why;
	if (strncmp(text, "naa.", 4) == 0)
		return all_of(text + 4, HEX_LOWER, 16) || all_of(text + 4, HEX_LOWER, 32) ? NULL : why;
	return why;
}

/* A decimal without sign, leading zero or blanks. */
static bool decimal(const char *text, unsigned long max, unsigned long *ret_value)
{
	size_t len = strspn(text, DIGITS);

	if (len == 0 || len > 9 || text[len] || (text[0] == '0' && len > 1))
		return false;
	*ret_value = strtoul(text, NULL, 10);
	return *ret_value <= max;
}

static const char *check_lun_number(const char *text)
{
	unsigned long number;

	return decimal(text, CONFIG_LUN_NUMBER_MAX, &number) ? NULL : "must be a number from 0 to 16383";
}

static const char *check_port_group(const char *text)
{
	unsigned long tag;

	return decimal(text, 65535, &tag) && tag ? NULL : "must be a portal group tag from 1 to 65535";
}

static const char *check_uuid(const char *text)
{
	static const char *const why = "must be a UUID in lower case";

	if (strlen(text) != 36)
		return why;
	for (unsigned i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !strchr(HEX_LOWER, text[i]))
			return why;
	}
	return NULL;
}

static const char *check_serial(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "-");

	return text[len] || len == 0 ? "must be letters, digits and '-'" : NULL;
}

static const char *check_naa(const char *text)
{
	return all_of(text, HEX_LOWER, 32) && text[0] == '6' ? NULL : "must be 32 hex digits in lower case, the first is 6";
}

bool config_socket_address(const char *text, struct config_address *ret_address)
{
	char host[INET6_ADDRSTRLEN];
	const char *colon = strrchr(text, ':'), *begin = text, *end = colon;
	struct config_address address = { 0 };
	unsigned long port;

	if (!colon || !decimal(colon + 1, 65535, &port))
		return false;
	address.v6 = text[0] == '[';
	if (address.v6) {
		begin++;
		if (*--end != ']')
			return false;
	}
	if (end <= begin || (size_t)(end - begin) >= sizeof host)
		return false;
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	address.port = (unsigned)port;
	if (inet_pton(address.v6 ? AF_INET6 : AF_INET, host, address.bytes) != 1)
		return false;
	*ret_address = address;
	return true;
}

static const char *check_socket_address(const char *text)
{
	struct config_address address;

	return config_socket_address(text, &address) ? NULL
						     : "must be a numeric address and port: 10.0.0.1:3260 or [fd00::1]:3260";
}

static const char *check_redirect_address(const char *text)
{
	static const char *const why = "must be host:port, an IPv6 address in brackets";
	struct config_address address;
	const char *colon = strrchr(text, ':');
	unsigned long port;
	size_t len;

	if (!colon || !decimal(colon + 1, 65535, &port) || port == 0)
		return why;
	if (config_socket_address(text, &address))
		return NULL;
	len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS ".-");
	if (text + len != colon || len == 0 || len > 253 || strchr(".-", text[0]) || text[strspn(text, DIGITS ".")] == ':')
		return why;
	return NULL;
}

static const char *check_cidr(const char *text)
{
	static const char *const why = "must be an address range: 10.0.0.0/8, fd00::/8, 10.1.2.3";
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	bool v6 = strchr(text, ':') != NULL;
	unsigned long prefix;
	unsigned char bytes[16];

	if (len >= sizeof host || (slash && !decimal(slash + 1, v6 ? 128 : 32, &prefix)))
		return why;
	memcpy(host, text, len);
	host[len] = '\0';
	return inet_pton(v6 ? AF_INET6 : AF_INET, host, bytes) == 1 ? NULL : why;
}

/* RFC 7143 section 12.1.3 wants 96 bits; characters that every initiator's configuration file can hold. */
static const char *check_chap_secret(const char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e)
			return "must be printable ASCII";
	}
	return NULL;
}

static const char *check_chap_user(const char *text)
{
	return strchr(text, ' ') ? "must not contain blanks" : check_chap_secret(text);
}

const char *config_rule_check(const char *rule, const char *text)
{
	static const struct {
		const char *rule;
		const char *(*check)(const char *text);
	} rows[] = {
		{ "any", check_any }, { "text", check_text }, { "name", check_name }, { "lun-name", check_name },
		{ "iscsi-name", check_iscsi_name }, { "lun-number", check_lun_number }, { "uuid", check_uuid },
		{ "serial", check_serial }, { "naa", check_naa }, { "socket-address", check_socket_address },
		{ "redirect-address", check_redirect_address }, { "cidr", check_cidr }, { "chap-user", check_chap_user },
		{ "chap-secret", check_chap_secret }, { "port-group", check_port_group },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strcmp(rows[i].rule, rule) == 0)
			return rows[i].check(text);
	}
	return "has no rule";
}
