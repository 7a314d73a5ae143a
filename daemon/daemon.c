#include "daemon.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "spawn.h"
#include "supervisor.h"

/* options->state_dir becomes absolute, for the stores ask for that; the supervisor has made the directory. */
static int run_role(struct options *options, const struct daemon_roles *roles)
{
	static char state_dir[PATH_MAX];
	struct err err = { 0 };

	if (spawn_enter(options, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_CANNOT;
	}
	options->state_dir = realpath(options->state_dir, state_dir);
	if (!options->state_dir) {
		log_error("cannot find the state directory: %s", strerror(errno));
		return EXIT_CANNOT;
	}
	if (strcmp(options->role, "control") == 0)
		return roles->control(options, INHERIT_CHANNEL);
	if (strcmp(options->role, "worker") == 0)
		return roles->worker(options, INHERIT_CHANNEL);
	log_error("there is no role %s", log_quoted(options->role));
	return EXIT_USAGE;
}

int daemon_main(int argc, char **argv, const struct daemon_roles *roles)
{
	struct options options;
	struct err err = { 0 };

	if (options_parse(argc, argv, &options, &err) < 0) {
		fprintf(stderr, "lunetted: %s\n", err.text);
		return EXIT_USAGE;
	}
	if (options.help)
		options_print_help(stdout);
	else if (options.version)
		puts("lunetted " LUNETTE_VERSION);
	else if (options.print_routes)
		roles->print_routes(stdout);
	else if (options.print_manual)
		options_print_manual(stdout);
	else if (options.role)
		return run_role(&options, roles);
	else
		return supervisor_run(&options, argc, argv);
	return EXIT_OK;
}
