/* The executable lunetted: command line, then the role that it names. Roles come as functions, so that a test can bring
 * its own. */
#ifndef LUNETTE_DAEMON_DAEMON_H
#define LUNETTE_DAEMON_DAEMON_H

#include <stdio.h>

#include "options.h"

struct daemon_roles {
	/* opens, still as who started the daemon, what the role needs and its user may not be able to reach */
	void (*open)(const struct options *options);
	int  (*control)(const struct options *options, int supervisor_fd); /* exit status */
	int  (*worker)(const struct options *options, int supervisor_fd);
	void (*print_routes)(FILE *out);
};

/* main() of lunetted: supervisor, or the role that --role names. Returns the exit status. */
int daemon_main(int argc, char **argv, const struct daemon_roles *roles);

#endif
