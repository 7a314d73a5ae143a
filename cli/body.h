/* From an invocation to a request: the path with its names filled in, the query, the JSON body. Pure but for the files
 * that secrets come from. */
#ifndef LUNETTE_CLI_BODY_H
#define LUNETTE_CLI_BODY_H

#include <jansson.h>

#include "cli/command.h"

/* `path` with {NAME} replaced by the percent-encoded argument, and the query options behind it. malloc'ed; NULL: no memory. */
char *body_path(const struct invocation *invocation, const char *path);
/* The JSON object of arguments and options. 0; negative errno with words: a value that makes no sense, a file that cannot be
 * read. */
int body_make(const struct invocation *invocation, json_t **ret_body, struct err *err);
/* `text` with {NAME} replaced by the argument as it is; malloc'ed. */
char *body_fill(const struct invocation *invocation, const char *text);

#endif
