/* Building stones of commands: read, change, send; and the verdict said to the person. */
#ifndef LUNETTE_CLI_REQUEST_H
#define LUNETTE_CLI_REQUEST_H

#include <jansson.h>

#include "cli/client.h"
#include "cli/command.h"

/* Says what is wrong with the command line; the exit status for it. */
enum cli_exit request_complain(const struct err *err);

/* Makes the body (new reference, NULL: none) for a change of what is there (NULL: it is not there). */
typedef enum cli_exit request_edit_fn(void *arg, const json_t *before, json_t **ret_body);

/* GET, edit, then `method` with If-Match; again, a few times, when another changed it meanwhile (412). edit may be NULL: no
 * body. CLI_OK: *ret is to be freed. */
enum cli_exit request_change(struct client *client, const char *method, const char *path, request_edit_fn *edit, void *arg,
			     struct client_answer *ret);
/* The command's own method with this body (borrowed, may be NULL), guarded or not as its row says, and the answer shown. */
int request_send(struct client *client, const struct invocation *invocation, const char *path, json_t *body);

#endif
