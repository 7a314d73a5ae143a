#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confine.h"
#include "spawn.h"
#include "supervisor.h"

static char state_dir[PATH_MAX];

/* state_dir becomes absolute, for the stores ask for that; the supervisor has made the directory. A descriptor of it, or
 * negative errno. */
static int open_state(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || !realpath(path, state_dir) ? -errno : fd;
}

/* Our user owns the state directory, but perhaps may not pass through one above it (root's home): then there is a way by
 * the descriptor. */
static void settle_state(int fd)
{
	struct stat opened, named;

	if (fstat(fd, &opened) == 0 && stat(state_dir, &named) == 0 && opened.st_dev == named.st_dev &&
	    opened.st_ino == named.st_ino)
		close(fd);
	else
		snprintf(state_dir, sizeof state_dir, "/proc/self/fd/%d", fd);
}

/* Becomes what the role may be, before anything else. */
static int enter(struct options *options, const struct daemon_roles *roles, bool is_worker)
{
	struct err err = { 0 };
	int fd;

	spawn_name(options);
	fd = open_state(options->state_dir);
	if (fd < 0) {
		log_error("cannot find the state directory: %s", strerror(-fd));
		return fd;
	}
	if (roles->open)
		roles->open(options);
	if (spawn_enter(options, &err) < 0) {
		log_error("%s", err.text);
		return err.code;
	}
	settle_state(fd);
	options->state_dir = state_dir;
	confine(is_worker ? CONFINED_WORKER : CONFINED_CONTROL, !options->no_seccomp, !options->no_landlock,
		INHERIT_CHANNEL);
	return 0;
}

static int run_role(struct options *options, const struct daemon_roles *roles)
{
	bool is_worker = strcmp(options->role, "worker") == 0;

	if (!is_worker && strcmp(options->role, "control") != 0) {
		fprintf(stderr, "lunetted: there is no role %s\n", log_quoted(options->role));
		return EXIT_USAGE;
	}
	if (enter(options, roles, is_worker) < 0)
		return EXIT_CANNOT;
	return is_worker ? roles->worker(options, INHERIT_CHANNEL) : roles->control(options, INHERIT_CHANNEL);
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
