/*
 * The command line of lunetted. One table (options.c) holds every option: parsing, checks, --help and the manual page
 * come from its rows. The supervisor hands its own command line on to the children, with the internal options in front.
 */
#ifndef LUNETTE_DAEMON_OPTIONS_H
#define LUNETTE_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "err.h"
#include "log.h"

#define OPTIONS_ADDRESSES_MAX 8
#define OPTIONS_WORKERS_MAX   64
#define OPTIONS_REACTORS_MAX  64
#define OPTIONS_STATE_DIR     "/var/lib/lunette"

struct option_addresses {
	const char *at[OPTIONS_ADDRESSES_MAX]; /* "127.0.0.1:3260", "[::1]:3260" */
	unsigned    count;
};

/* Strings are borrowed from argv or constant. */
struct options {
	const char *state_dir;
	struct option_addresses http, portals;
	unsigned    workers, reactors;
	const char *tls_cert, *tls_key; /* both or neither (NULL) */
	bool        insecure_http;
	const char *web;                /* or NULL */
	const char *user, *group;       /* group NULL: the user's own */
	bool        pin_cpus, no_seccomp, no_landlock;
	unsigned    log_level;          /* enum log_level */
	const char *pid_file;           /* or NULL */
	bool        print_routes, print_manual, help, version;

	/* internal: how the supervisor starts a child */
	const char *role;               /* NULL: this is the supervisor; "control", "worker" */
	unsigned    index;
	unsigned    supervisor_pid;
	unsigned    uid, gid;             /* to become; 0: stay */
};

/* 0, or -EINVAL with words for a person in *err. */
int options_parse(int argc, char **argv, struct options *ret_options, struct err *err);
/* What --help prints. */
void options_print_help(FILE *out);
/* The OPTIONS section of lunetted(8), for man(7): `lunetted --print-manual`. */
void options_print_manual(FILE *out);

#endif
