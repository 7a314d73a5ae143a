/* The route table: see route.h. */
#include "api/route.h"

#include <string.h>

#include "api/control.h"
#include "api/handlers.h"
#include "cluster/config.h"

static const struct route routes[] = {
#define ROUTE(method, path, access, handler, kind, request, response, queries, summary) \
	{ HTTP_##method, path, ACCESS_##access, handler, kind, request, response, queries, summary },
#include "api/routes.def"
#undef ROUTE
};

#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

static const char *const method_names[HTTP_METHODS] = { "GET", "PUT", "PATCH", "POST", "DELETE" };
static const char *const access_names[] = { "anyone", "viewer", "operator", "admin" };

const struct route *route_table(size_t *ret_count)
{
	*ret_count = ROUTE_COUNT;
	return routes;
}

int http_method_parse(const char *name)
{
	if (strcmp(name, "HEAD") == 0)
		return HTTP_GET;
	for (int i = 0; i < HTTP_METHODS; i++)
		if (strcmp(name, method_names[i]) == 0)
			return i;
	return -1;
}

const char *http_method_name(enum http_method method)
{
	return method < HTTP_METHODS ? method_names[method] : "?";
}

const char *access_name(enum access access)
{
	return access <= ACCESS_ADMIN ? access_names[access] : "?";
}

int access_parse(const char *name)
{
	for (int i = 0; i <= ACCESS_ADMIN; i++)
		if (strcmp(name, access_names[i]) == 0)
			return i;
	return -1;
}

void http_allow_text(unsigned allow, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (unsigned m = 0; m < HTTP_METHODS && n < size; m++)
		if (allow & 1u << m)
			n += (size_t)snprintf(text + n, size - n, "%s%s%s", n ? ", " : "", method_names[m],
					      m == HTTP_GET ? ", HEAD" : "");
}

/* One segment of a template ("luns" or "{lun}") against one of the request. */
static bool segment_fits(const char *template, size_t len, const char *segment, struct route_params *params)
{
	if (template[0] != '{')
		return strlen(segment) == len && memcmp(template, segment, len) == 0;
	if (params->count == ROUTE_PARAMS_MAX)
		return false;
	params->value[params->count++] = segment;
	return true;
}

static bool path_fits(const char *path, const struct target_uri *uri, struct route_params *params)
{
	unsigned i = 0;

	params->count = 0;
	for (path++; *path; i++) {
		size_t len = strcspn(path, "/");

		if (i == uri->segment_count || !segment_fits(path, len, uri->segment[i], params))
			return false;
		path += len;
		path += *path == '/';
	}
	return i == uri->segment_count;
}

const struct route *route_find(int method, const struct target_uri *uri, struct route_params *ret_params,
			       unsigned *ret_allow)
{
	const struct route *found = NULL;
	struct route_params params;

	*ret_allow = 0;
	ret_params->count = 0;
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		if (!path_fits(routes[i].path, uri, &params))
			continue;
		*ret_allow |= 1u << routes[i].method;
		if ((int)routes[i].method == method && !found) {
			found = &routes[i];
			*ret_params = params;
		}
	}
	return found;
}

bool route_has_query(const struct route *route, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = route->queries; *at; at += strcspn(at, " "), at += *at == ' ')
		if (strcspn(at, " ") == len && memcmp(at, name, len) == 0)
			return true;
	return false;
}

void control_print_routes(FILE *out)
{
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		const struct route *r = &routes[i];

		fprintf(out, "%s %s %s %s %s\n", http_method_name(r->method), r->path, access_name(r->access),
			r->request[0] ? r->request : "-", r->response[0] ? r->response : "-");
	}
}
