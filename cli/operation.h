/* Following long operations. */
#ifndef LUNETTE_CLI_OPERATION_H
#define LUNETTE_CLI_OPERATION_H

#include <stdbool.h>

#include "cli/client.h"

/* Asks at `path` ("/api/v1/operations/17") until the operation has ended, with a bar on a terminal; json: prints the last
 * answer. CLI_OK: it succeeded; otherwise the reason was said. */
enum cli_exit operation_follow(struct client *client, const char *path, bool json);

#endif
