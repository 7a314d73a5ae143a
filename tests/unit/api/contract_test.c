/* The contract (openapi/lunette.yaml) against the tables that the code is made from: routes and configuration fields. */
#include "api/contract.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/handlers.h"
#include "api/route.h"
#include "cluster/config.h"

#define BLOCK_MAX (64 * 1024)

static const char *const schema_names[SCHEMA_COUNT] = {
	[SCHEMA_LUN] = "Lun", [SCHEMA_TARGET] = "Target", [SCHEMA_GROUP] = "InitiatorGroup", [SCHEMA_PORTAL] = "Portal",
	[SCHEMA_STORE] = "Store", [SCHEMA_SETTINGS] = "Settings", [SCHEMA_MAPPING] = "Mapping",
	[SCHEMA_INITIATOR] = "Initiator", [SCHEMA_GRANT] = "Grant", [SCHEMA_PARAMS] = "TargetParams", [SCHEMA_AUTH] = "Auth",
	[SCHEMA_CREDENTIAL] = "Credential", [SCHEMA_REDIRECT] = "Redirect", [SCHEMA_PORT_GROUP] = "PortGroup",
};

/* What GET adds to a configured object (change_decorate, warnings of a change). */
static const char *const added[] = { "status", "warnings" };

/* The lines below the one that is `indent` spaces, `key` and a colon, as long as they are indented deeper. */
static bool block_of(const char *text, unsigned indent, const char *key, char *block)
{
	char line[256];
	const char *at;
	size_t n = 0;

	snprintf(line, sizeof line, "\n%*s%s:\n", (int)indent, "", key);
	at = strstr(text, line);
	if (!at)
		return false;
	for (at += strlen(line); *at; at += strcspn(at, "\n") + 1) {
		size_t len = strcspn(at, "\n");

		if (strspn(at, " ") <= indent && len > 0 && !(at[indent] == '-'))
			break;
		assert_true(n + len + 2 < BLOCK_MAX);
		block[n++] = '\n';
		memcpy(block + n, at, len);
		n += len;
	}
	block[n++] = '\n';
	block[n] = '\0';
	return true;
}

static bool has_key(const char *block, unsigned indent, const char *key)
{
	char line[256];

	snprintf(line, sizeof line, "\n%*s%s:", (int)indent, "", key);
	return strstr(block, line) != NULL;
}

static bool is_field(enum config_schema schema, const char *name, size_t len)
{
	for (unsigned i = 0; i < config_field_count; i++)
		if (config_fields[i].schema == schema && strlen(config_fields[i].name) == len &&
		    memcmp(config_fields[i].name, name, len) == 0)
			return true;
	for (size_t i = 0; i < sizeof added / sizeof added[0]; i++)
		if (strlen(added[i]) == len && memcmp(added[i], name, len) == 0)
			return true;
	return false;
}

static void every_field_is_in_its_schema(void **state)
{
	static char schemas[1 << 20], block[BLOCK_MAX], properties[BLOCK_MAX];
	const char *from = strstr(contract_yaml, "\n  schemas:\n");

	(void)state;
	assert_non_null(from);
	snprintf(schemas, sizeof schemas, "%s", from);
	for (unsigned i = 0; i < config_field_count; i++) {
		const struct config_field *field = &config_fields[i];
		const char *name = schema_names[field->schema];

		if (!name || field->flags & F_INTERNAL)
			continue;
		if (!block_of(schemas, 4, name, block) || !block_of(block, 6, "properties", properties) ||
		    !has_key(properties, 8, field->name))
			fail_msg("%s.%s is not in the contract", name, field->name);
	}
}

static void every_property_is_a_field(void **state)
{
	static char schemas[1 << 20], block[BLOCK_MAX], properties[BLOCK_MAX];

	(void)state;
	snprintf(schemas, sizeof schemas, "%s", strstr(contract_yaml, "\n  schemas:\n"));
	for (int schema = 0; schema < SCHEMA_COUNT; schema++) {
		if (!schema_names[schema])
			continue;
		assert_true(block_of(schemas, 4, schema_names[schema], block));
		assert_true(block_of(block, 6, "properties", properties));
		for (const char *at = properties; (at = strchr(at, '\n')) && *++at;)
			if (strspn(at, " ") == 8 && !is_field((enum config_schema)schema, at + 8, strcspn(at + 8, ":")))
				fail_msg("%s.%.*s is in the contract only", schema_names[schema],
					 (int)strcspn(at + 8, ":"), at + 8);
	}
}

static void lower(const char *text, char *out)
{
	for (; *text; text++)
		*out++ = (char)(*text >= 'A' && *text <= 'Z' ? *text + 32 : *text);
	*out = '\0';
}

static void every_route_is_in_the_contract(void **state)
{
	static char block[BLOCK_MAX * 4];
	size_t count;
	const struct route *routes = route_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		char method[16];

		lower(http_method_name(routes[i].method), method);
		if (!block_of(contract_yaml, 2, routes[i].path, block) || !has_key(block, 4, method))
			fail_msg("%s %s is not in the contract", method, routes[i].path);
	}
}

/* The name= of a shared parameter that is in the query; "" when it is in a header. */
static void query_name(const char *component, char *name, size_t size)
{
	char block[BLOCK_MAX];
	const char *at;

	name[0] = '\0';
	assert_true(block_of(contract_yaml, 4, component, block));
	if (!strstr(block, "\n      in: query\n"))
		return;
	at = strstr(block, "\n      name: ");
	assert_non_null(at);
	snprintf(name, size, "%.*s", (int)strcspn(at + 13, "\n"), at + 13);
}

static void every_route_knows_the_query_parameters_of_the_contract(void **state)
{
	static const char ref[] = "$ref: '#/components/parameters/";
	static char path[BLOCK_MAX * 4], operation[BLOCK_MAX];
	size_t count;
	const struct route *routes = route_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		char method[16], name[64], all[256] = "";

		lower(http_method_name(routes[i].method), method);
		assert_true(block_of(contract_yaml, 2, routes[i].path, path) && block_of(path, 4, method, operation));
		for (const char *at = operation; (at = strstr(at, ref));) {
			char component[64];

			at += strlen(ref);
			snprintf(component, sizeof component, "%.*s", (int)strcspn(at, "'"), at);
			query_name(component, name, sizeof name);
			if (name[0])
				snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", all[0] ? " " : "", name);
		}
		if (strcmp(all, routes[i].queries) != 0)
			fail_msg("%s %s: '%s' in the table, '%s' in the contract", method, routes[i].path, routes[i].queries, all);
	}
}

static void every_path_of_the_contract_is_a_route(void **state)
{
	const char *at = strstr(contract_yaml, "\npaths:\n"), *end = strstr(contract_yaml, "\ncomponents:\n");
	size_t count, found = 0;
	const struct route *routes = route_table(&count);

	(void)state;
	assert_non_null(at);
	for (; at < end; at = strchr(at + 1, '\n')) {
		size_t len = strcspn(at + 3, ":");
		bool known = false;

		if (strncmp(at, "\n  /", 4) != 0)
			continue;
		/* a path may hold ':' in no template of ours */
		for (size_t i = 0; i < count; i++)
			known |= strlen(routes[i].path) == len && memcmp(routes[i].path, at + 3, len) == 0;
		if (!known)
			fail_msg("%.*s is in the contract only", (int)len, at + 3);
		found++;
	}
	assert_true(found > 10);
}

static void every_row_of_the_route_table_is_complete(void **state)
{
	size_t count;
	const struct route *routes = route_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		const struct route *r = &routes[i];

		assert_non_null(r->handler);
		assert_true(r->path[0] == '/' && r->summary[0]);
		assert_true((r->request[0] != '\0') == (r->method == HTTP_PUT || r->method == HTTP_PATCH || r->method == HTTP_POST));
		assert_true(r->kind >= NO_KIND && r->kind < CONFIG_KIND_COUNT);
		/* nobody changes anything without at least the role operator, nor reads resources without a token; logging in
		 * and out is no change */
		assert_true(r->method == HTTP_GET || r->access >= ACCESS_OPERATOR || strcmp(r->path, "/api/v1/login") == 0);
		assert_true(strncmp(r->path, "/api/", 5) != 0 || r->access >= ACCESS_VIEWER || r->handler == post_login);
		for (size_t k = 0; k < i; k++)
			assert_false(routes[k].method == r->method && strcmp(routes[k].path, r->path) == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_in_its_schema),
		cmocka_unit_test(every_property_is_a_field),
		cmocka_unit_test(every_route_is_in_the_contract),
		cmocka_unit_test(every_route_knows_the_query_parameters_of_the_contract),
		cmocka_unit_test(every_path_of_the_contract_is_a_route),
		cmocka_unit_test(every_row_of_the_route_table_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
