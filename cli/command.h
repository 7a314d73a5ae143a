/*
 * Everything that `lunette` can do, as tables (command.c): commands, their arguments and their options. The parser, the
 * requests, the tables that are printed, --help, the manual page and the bash completion are all derived from the rows.
 */
#ifndef LUNETTE_CLI_COMMAND_H
#define LUNETTE_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define CLI_ARGUMENTS_MAX 64
#define CLI_OPTIONS_MAX   48

struct client;
struct invocation;

/* What an argument means, wherever its name appears. */
struct cli_argument {
	const char *name; /* "LUN" */
	const char *path; /* the collection whose names complete it; NULL: none */
	const char *help;
};

enum cli_type {
	CLI_FLAG,    /* --name: true */
	CLI_BOOL,    /* --name or --name=on: true; --name=off: false */
	CLI_NULL,    /* --name: null, which removes the member */
	CLI_TEXT,
	CLI_SIZE,    /* bytes, size.h */
	CLI_NUMBER,
	CLI_DURATION, /* 90s, 30m, 12h, 365d: seconds */
	CLI_LIST,    /* a,b,c: array of texts; may be repeated; empty: no members */
	CLI_NUMBERS, /* 0,1,2: array of numbers */
	CLI_SECRET,  /* a file whose first line is the value, "-": standard input; never on the command line */
	CLI_PAIR,    /* KEY=VALUE: member KEY of the object; may be repeated */
};

enum cli_place { CLI_BODY, CLI_QUERY, CLI_LOCAL };

struct cli_option {
	const char *name;     /* "block-size" */
	const char *argument; /* what help calls the value; NULL: takes none */
	enum cli_type  type;
	enum cli_place place;
	const char *member;   /* BODY: the member it sets, "params.queue_depth"; QUERY: the parameter */
	const char *help;
};

/* Does the whole command; returns the exit status. */
typedef int cli_run_fn(struct client *client, const struct invocation *invocation);

struct cli_command {
	const char *noun, *verb; /* verb NULL: the noun alone */
	const char *arguments;   /* "LUN SIZE"; "[NUMBER]" may be left out, "INITIATOR..." at least once */
	const char *method, *path; /* "/api/v1/luns/{LUN}" */
	const char *body;        /* members taken from arguments: "SIZE=size_bytes" */
	const char *options;     /* names, by spaces */
	bool guarded;            /* read first, and send its entity tag as If-Match */
	const char *columns;     /* of a list: "HEADING=member", ":size" for sizes, ":count" for how many */
	const char *done;        /* said after a change, "{LUN}" filled in: "LUN {LUN} created" */
	cli_run_fn *run;         /* NULL: one request made from the columns above */
	const char *help;        /* one sentence */
	const char *example;     /* NULL or a command line */
};

/* What was asked for. Strings are argv's. */
struct invocation {
	const struct cli_command *command; /* NULL: only help or the version was asked for */
	const char *noun;                  /* with help, and no command: for which noun; NULL: all */
	unsigned argument_count;
	const char *argument[CLI_ARGUMENTS_MAX];
	unsigned option_count;
	struct cli_given {
		const struct cli_option *option;
		const char *value; /* NULL: none given */
	} option[CLI_OPTIONS_MAX];
	bool help, version;
	/* options of every command */
	bool json;
	const char *server, *token_file, *ca_file, *state; /* NULL: not given */
};

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
extern const struct cli_argument cli_arguments[];
extern const size_t cli_argument_count;
extern const struct cli_option cli_options[];
extern const size_t cli_option_count;
extern const struct cli_option cli_global_options[];
extern const size_t cli_global_option_count;

const struct cli_command *command_find(const char *noun, const char *verb); /* NULL: none */
bool command_noun_exists(const char *noun);
/* The option of that command, or a global one; len: of name. NULL: none. */
const struct cli_option *command_option(const struct cli_command *command, const char *name, size_t len);
const struct cli_argument *command_argument(const char *name, size_t len); /* NULL: none */

/* Walks the words of a row ("LUN [NUMBER]"): the next word after `at` (start with the string itself), its length in
 * *ret_len; NULL at the end. */
const char *word_next(const char *at, size_t *ret_len);

/* 0, or -EINVAL with words for a person. */
int invocation_parse(int argc, char **argv, struct invocation *ret, struct err *err);
/* The argument of that name as given; NULL: left out. Of a repeated one: the first. */
const char *invocation_argument(const struct invocation *invocation, const char *name);
/* The value of an option, "" for one without; NULL: not given. */
const char *invocation_option(const struct invocation *invocation, const char *name);

#endif
