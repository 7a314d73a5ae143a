/*
 * The route table (routes.def): from it come dispatch, the Allow header of a 405, the role a request needs, the size of a
 * body, the authentication tests and the comparison with the contract in openapi/.
 */
#ifndef LUNETTE_API_ROUTE_H
#define LUNETTE_API_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "api/target_uri.h"

#define ROUTE_PARAMS_MAX 3
#define NO_KIND          (-1)

enum http_method { HTTP_GET, HTTP_PUT, HTTP_PATCH, HTTP_POST, HTTP_DELETE, HTTP_METHODS };

/* Who may; each includes the ones before it. */
enum access { ACCESS_ANYONE, ACCESS_VIEWER, ACCESS_OPERATOR, ACCESS_ADMIN };

struct request;

struct route {
	enum http_method method;
	const char *path; /* "/api/v1/luns/{lun}" */
	enum access access;
	void (*handler)(struct request *rq); /* answers now or later, exactly once */
	int kind;                            /* enum config_kind for the resource_ handlers; NO_KIND */
	const char *request, *response;      /* schema names in the contract; "": no body */
	const char *queries;                 /* query parameters that it knows, joined by spaces */
	const char *summary;
};

struct route_params {
	unsigned count;
	const char *value[ROUTE_PARAMS_MAX]; /* into the target_uri */
};

/* The table; *ret_count rows. */
const struct route *route_table(size_t *ret_count);
/* The row for method and path, its parameters in *ret_params; NULL: none. *ret_allow gets one bit (1 << method) for every
 * method that the path has; 0: no such path. */
const struct route *route_find(int method, const struct target_uri *uri, struct route_params *ret_params,
			       unsigned *ret_allow);

bool route_has_query(const struct route *route, const char *name);

/* -1: not one of ours. HEAD is GET: the server leaves the body out. */
int http_method_parse(const char *name);
const char *http_method_name(enum http_method method);
/* "GET, HEAD, PUT" */
void http_allow_text(unsigned allow, char *text, size_t size);
const char *access_name(enum access access); /* "anyone", "viewer", "operator", "admin" */
int access_parse(const char *name);          /* -1: no such role */

#endif
