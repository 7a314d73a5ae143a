/* Exit statuses of `lunette`: scripts rely on them, --help and the manual name them. */
#ifndef LUNETTE_CLI_EXIT_STATUS_H
#define LUNETTE_CLI_EXIT_STATUS_H

#define CLI_EXITS                                                                                              \
	CLI_EXIT(OK,          0, "done")                                                                       \
	CLI_EXIT(REFUSED,     1, "the service refused, or something failed; the reason is on standard error")   \
	CLI_EXIT(USAGE,       2, "wrong command line")                                                         \
	CLI_EXIT(UNREACHABLE, 3, "the service cannot be reached")                                              \
	CLI_EXIT(AUTH,        4, "no valid token, or its role may not do this")                                \
	CLI_EXIT(NOT_FOUND,   5, "there is no such thing")                                                     \
	CLI_EXIT(CONFLICT,    6, "it is in use, exists already with other values, or was changed meanwhile")

enum cli_exit {
#define CLI_EXIT(name, number, meaning) CLI_##name = number,
	CLI_EXITS
#undef CLI_EXIT
};

/* The exit status for an HTTP status. */
enum cli_exit cli_exit_of(long http_status);

#endif
