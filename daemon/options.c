#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REACTORS_DEFAULT_MAX 8

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER, OPTION_LEVEL, OPTION_ADDRESSES };

struct option_row {
	const char      *name;
	const char      *argument; /* what help calls the value; NULL: takes none */
	enum option_kind kind;
	size_t           offset; /* of the field in struct options */
	unsigned         least, most;
	const char      *help; /* NULL: internal, not shown */
};

#define AT(field) offsetof(struct options, field)
static const struct option_row rows[] = {
	{ "state", "DIR", OPTION_TEXT, AT(state_dir), 0, 0,
	  "directory of everything that must survive: configuration, secrets, file stores, the first admin token "
	  "(default " OPTIONS_STATE_DIR "; created with mode 0700)" },
	{ "http", "ADDRESS:PORT", OPTION_ADDRESSES, AT(http), 0, 0,
	  "where the REST service and the dashboard answer (default 127.0.0.1:3261; may be repeated; port 0 takes a "
	  "free one, which the ready line names)" },
	{ "portal", "ADDRESS:PORT", OPTION_ADDRESSES, AT(portals), 0, 0,
	  "where iSCSI initiators connect: a portal of the first configuration (may be repeated; later ones are made by "
	  "REST)" },
	{ "workers", "N", OPTION_NUMBER, AT(workers), 1, OPTIONS_WORKERS_MAX,
	  "data-plane processes; each serves its share of the targets (default 1)" },
	{ "reactors", "N", OPTION_NUMBER, AT(reactors), 1, OPTIONS_REACTORS_MAX,
	  "threads of each worker (default: one per CPU, 8 at most)" },
	{ "pin-cpus", NULL, OPTION_FLAG, AT(pin_cpus), 0, 0, "pin every reactor thread to a CPU" },
	{ "tls-cert", "FILE", OPTION_TEXT, AT(tls_cert), 0, 0,
	  "PEM certificate chain of the REST service; needed for any --http address that is not loopback" },
	{ "tls-key", "FILE", OPTION_TEXT, AT(tls_key), 0, 0, "PEM private key that belongs to --tls-cert" },
	{ "insecure-http", NULL, OPTION_FLAG, AT(insecure_http), 0, 0,
	  "allow REST without TLS on addresses that are not loopback; tokens can be read on the way" },
	{ "web", "DIR", OPTION_TEXT, AT(web), 0, 0,
	  "files of the dashboard (default: the directory web beside lunetted, or else ../share/lunette/web from there)" },
	{ "user", "NAME", OPTION_TEXT, AT(user), 0, 0,
	  "run control and the workers as this user (only when started as root); the state directory is given to it "
	  "(default: its owner when that is not root, else lunette, else nobody)" },
	{ "group", "NAME", OPTION_TEXT, AT(group), 0, 0, "with --user: this group instead of the user's own" },
	{ "no-seccomp", NULL, OPTION_FLAG, AT(no_seccomp), 0, 0,
	  "let control and the workers use every system call, not only those that they need" },
	{ "no-landlock", NULL, OPTION_FLAG, AT(no_landlock), 0, 0,
	  "do without Landlock: what may be executed, whom a signal reaches" },
	{ "log-level", "LEVEL", OPTION_LEVEL, AT(log_level), 0, 0,
	  "error, warning, notice, info (default) or debug; log lines go to standard error" },
	{ "pid-file", "FILE", OPTION_TEXT, AT(pid_file), 0, 0, "write the supervisor's process id there" },
	{ "print-routes", NULL, OPTION_FLAG, AT(print_routes), 0, 0, "print the REST route table and exit" },
	{ "version", NULL, OPTION_FLAG, AT(version), 0, 0, "print the version and exit" },
	{ "help", NULL, OPTION_FLAG, AT(help), 0, 0, "print this help and exit" },
	{ "print-manual", NULL, OPTION_FLAG, AT(print_manual), 0, 0, NULL },
	{ "role", "ROLE", OPTION_TEXT, AT(role), 0, 0, NULL },
	{ "index", "N", OPTION_NUMBER, AT(index), 0, OPTIONS_WORKERS_MAX - 1, NULL },
	{ "supervisor-pid", "N", OPTION_NUMBER, AT(supervisor_pid), 1, 1u << 30, NULL },
	{ "uid", "N", OPTION_NUMBER, AT(uid), 1, UINT_MAX - 1, NULL },
	{ "gid", "N", OPTION_NUMBER, AT(gid), 0, UINT_MAX - 1, NULL },
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

static const struct option_row *find_row(const char *name, size_t len)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (strlen(rows[i].name) == len && strncmp(rows[i].name, name, len) == 0)
			return &rows[i];
	return NULL;
}

static int set_number(const struct option_row *row, const char *value, unsigned *field, struct err *err)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || end == value || *end || value[0] == '-' || n < row->least || n > row->most)
		return err_set(err, -EINVAL, "--%s must be a number from %u to %u, not %s", row->name, row->least,
			       row->most, log_quoted(value));
	*field = (unsigned)n;
	return 0;
}

/* "ADDRESS:PORT" with a literal address; a name would have to be looked up, and could change its meaning. */
static bool address_ok(const char *value)
{
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(value, ':');
	unsigned char bytes[16];
	size_t len = colon ? (size_t)(colon - value) : 0;
	unsigned long port;
	char *end;

	if (!colon || len == 0 || len >= sizeof host || colon[1] < '0' || colon[1] > '9')
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port > 65535)
		return false;
	memcpy(host, value, len);
	host[len] = '\0';
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		return inet_pton(AF_INET6, host + 1, bytes) == 1;
	}
	return inet_pton(AF_INET, host, bytes) == 1;
}

static int add_address(const struct option_row *row, const char *value, struct option_addresses *list, struct err *err)
{
	if (!address_ok(value))
		return err_set(err, -EINVAL, "--%s must be like 127.0.0.1:3260 or [::1]:3260, not %s", row->name,
			       log_quoted(value));
	if (list->count == OPTIONS_ADDRESSES_MAX)
		return err_set(err, -EINVAL, "--%s may be given %d times at most", row->name, OPTIONS_ADDRESSES_MAX);
	list->at[list->count++] = value;
	return 0;
}

static int set_option(const struct option_row *row, const char *value, struct options *options, struct err *err)
{
	void *field = (char *)options + row->offset;
	int level;

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_TEXT:
		if (!*value)
			return err_set(err, -EINVAL, "--%s needs a value", row->name);
		*(const char **)field = value;
		return 0;
	case OPTION_NUMBER:
		return set_number(row, value, field, err);
	case OPTION_LEVEL:
		level = log_level_parse(value);
		if (level < 0)
			return err_set(err, -EINVAL, "--%s must be error, warning, notice, info or debug, not %s",
				       row->name, log_quoted(value));
		*(unsigned *)field = (unsigned)level;
		return 0;
	case OPTION_ADDRESSES:
		return add_address(row, value, field, err);
	}
	return err_set(err, -EINVAL, "--%s cannot be set", row->name);
}

/* Takes argv[*at], and its value when that is a word of its own. */
static int parse_word(int argc, char **argv, int *at, struct options *options, struct err *err)
{
	const char *word = argv[*at], *equals = strchr(word, '=');
	const struct option_row *row;

	if (strncmp(word, "--", 2) != 0 || !word[2])
		return err_set(err, -EINVAL, "unexpected argument %s; see --help", log_quoted(word));
	row = find_row(word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2));
	if (!row)
		return err_set(err, -EINVAL, "unknown option %s; see --help", log_quoted(word));
	if (!row->argument)
		return equals ? err_set(err, -EINVAL, "--%s takes no value", row->name) :
				set_option(row, NULL, options, err);
	if (equals)
		return set_option(row, equals + 1, options, err);
	if (*at + 1 == argc)
		return err_set(err, -EINVAL, "--%s needs a value: --%s %s", row->name, row->name, row->argument);
	return set_option(row, argv[++*at], options, err);
}

static int check_combinations(const struct options *options, struct err *err)
{
	if (!options->tls_cert != !options->tls_key)
		return err_set(err, -EINVAL, "--tls-cert and --tls-key belong together: give both or neither");
	if (options->group && !options->user)
		return err_set(err, -EINVAL, "--group needs --user");
	return 0;
}

static void set_defaults(struct options *options)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*options = (struct options){ .state_dir = OPTIONS_STATE_DIR, .workers = 1, .log_level = LOG_INFO };
	options->reactors = cpus < 1 ? 1 : cpus > REACTORS_DEFAULT_MAX ? REACTORS_DEFAULT_MAX : (unsigned)cpus;
}

int options_parse(int argc, char **argv, struct options *ret_options, struct err *err)
{
	struct options options;
	int rc;

	set_defaults(&options);
	for (int at = 1; at < argc; at++) {
		rc = parse_word(argc, argv, &at, &options, err);
		if (rc < 0)
			return rc;
	}
	rc = check_combinations(&options, err);
	if (rc == 0)
		*ret_options = options;
	return rc;
}

/* Words of `text` on lines of at most `width` columns, each after `indent` spaces. */
static void print_wrapped(FILE *out, const char *text, int indent, int width)
{
	int column = width;

	for (const char *word = text; *word;) {
		int len = (int)strcspn(word, " ");

		if (column + 1 + len > width) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", len, word);
		column += len;
		word += len + strspn(word + len, " ");
	}
	fputc('\n', out);
}

void options_print_help(FILE *out)
{
	fputs("usage: lunetted [--state DIR] [--http ADDRESS:PORT] [--portal ADDRESS:PORT] [option...]\n\n"
	      "Serves LUNs over iSCSI in the foreground and is administered by REST (see lunette(1)). Prints one line that\n"
	      "starts with \"ready\" when both answer. SIGTERM or SIGINT: sessions are logged out, I/O is finished, exit 0.\n\n"
	      "options:\n", out);
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (!rows[i].help)
			continue;
		fprintf(out, "  --%s%s%s", rows[i].name, rows[i].argument ? " " : "", rows[i].argument ? rows[i].argument : "");
		print_wrapped(out, rows[i].help, 8, 100);
	}
	fputs("\nexample, without root and on loopback only:\n"
	      "  lunetted --state ./lunette-state --http 127.0.0.1:3261 --portal 127.0.0.1:3260\n\n"
	      "exit status: 0 after a stop that was asked for; 1 when it could not start or had to give up; 2 for a wrong\n"
	      "command line; 3 when another lunetted has the state directory.\n", out);
}

void options_print_manual(FILE *out)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (!rows[i].help)
			continue;
		fputs(".TP\n.B \\-\\-", out);
		for (const char *c = rows[i].name; *c; c++)
			fputs(*c == '-' ? "\\-" : (char[]){ *c, '\0' }, out);
		if (rows[i].argument)
			fprintf(out, " \\fI%s\\fR", rows[i].argument);
		fprintf(out, "\n%s.\n", rows[i].help);
	}
}
