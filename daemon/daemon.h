/* The executable lunetted: command line, then the role that it names. Roles come as functions, so that a test can bring
 * its own. */
#ifndef LUNETTE_DAEMON_DAEMON_H
#define LUNETTE_DAEMON_DAEMON_H

#include <stdio.h>

#include "options.h"

struct daemon_roles {
	int  (*control)(const struct options *options, int supervisor_fd); /* exit status */
	int  (*worker)(const struct options *options, int supervisor_fd);
	void (*print_routes)(FILE *out);
};

/* main() of lunetted: supervisor, or the role that --role names. Returns the exit status. */
int daemon_main(int argc, char **argv, const struct daemon_roles *roles);

#endif
