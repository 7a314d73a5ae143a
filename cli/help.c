#include "cli/help.h"

#include <string.h>

#include "cli/exit_status.h"
#include "cli/run.h"

#define INDENT 30
#define WIDTH  100

static const struct {
	int number;
	const char *meaning;
} exits[] = {
#define CLI_EXIT(name, number, meaning) { number, meaning },
	CLI_EXITS
#undef CLI_EXIT
};

/* `left`, then words wrapped in the column at INDENT. */
static void print_row(FILE *out, const char *left, const char *words)
{
	int column = fprintf(out, "  %s", left);

	if (column >= INDENT) {
		fputc('\n', out);
		column = 0;
	}
	column += fprintf(out, "%*s", INDENT - column, "");
	while (*words) {
		int len = (int)strcspn(words, " ");

		if (column > INDENT && column + 1 + len > WIDTH) {
			fprintf(out, "\n%*s", INDENT, "");
			column = INDENT;
		} else if (column > INDENT) {
			column += fprintf(out, " ");
		}
		column += fprintf(out, "%.*s", len, words);
		words += len + (int)strspn(words + len, " ");
	}
	fputc('\n', out);
}

static void usage_of(const struct cli_command *c, char *text, size_t size)
{
	snprintf(text, size, "%s%s%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "", *c->arguments ? " " : "", c->arguments);
}

static void print_option(FILE *out, const struct cli_option *option)
{
	char left[96];

	snprintf(left, sizeof left, "--%s%s%s", option->name, option->argument ? " " : "", option->argument ? option->argument : "");
	print_row(out, left, option->help);
}

static void print_globals(FILE *out)
{
	fputs("\noptions of every command:\n", out);
	for (size_t i = 0; i < cli_global_option_count; i++)
		print_option(out, &cli_global_options[i]);
}

static void print_commands(FILE *out, const char *noun)
{
	char usage[160];

	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *c = &cli_commands[i];

		if (noun && strcmp(c->noun, noun) != 0)
			continue;
		if (!noun && i && strcmp(c->noun, cli_commands[i - 1].noun) != 0 && (c->verb || cli_commands[i - 1].verb))
			fputc('\n', out);
		usage_of(c, usage, sizeof usage);
		print_row(out, usage, c->help);
	}
}

void help_overview(FILE *out)
{
	fputs("usage: lunette COMMAND [ARGUMENT...] [--option...]\n\n"
	      "Administers a lunetted: LUNs, iSCSI targets, and who may log in to them.\n\n"
	      "The first disk, on the machine where lunetted runs:\n"
	      "  lunette lun create vol1 10G\n"
	      "  lunette target create iqn.2026-11.io.lunette:t1\n"
	      "  lunette target map iqn.2026-11.io.lunette:t1 vol1\n"
	      "  lunette status\n\n"
	      "commands (lunette COMMAND --help tells more):\n", out);
	print_commands(out, NULL);
	print_globals(out);
	fputs("\nexit status:\n", out);
	for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++)
		fprintf(out, "  %d  %s\n", exits[i].number, exits[i].meaning);
}

void help_noun(FILE *out, const char *noun)
{
	fprintf(out, "usage: lunette %s VERB [ARGUMENT...] [--option...]\n\n", noun);
	print_commands(out, noun);
	fprintf(out, "\nlunette %s VERB --help tells the options of one.\n", noun);
}

void help_command(FILE *out, const struct cli_command *c)
{
	char usage[160], name[40];
	size_t len;

	usage_of(c, usage, sizeof usage);
	fprintf(out, "usage: lunette %s%s\n\n%s\n", usage, c->options ? " [--option...]" : "", c->help);
	if (*c->arguments)
		fputs("\narguments:\n", out);
	for (const char *w = c->arguments; (w = word_next(w, &len)); w += len) {
		size_t name_len = strspn(w + strspn(w, "["), "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		const struct cli_argument *argument = command_argument(w + strspn(w, "["), name_len);

		snprintf(name, sizeof name, "%.*s", (int)len, w);
		print_row(out, name, argument ? argument->help : "");
	}
	if (c->options)
		fputs("\noptions:\n", out);
	for (const char *w = c->options ? c->options : ""; (w = word_next(w, &len)); w += len)
		print_option(out, command_option(c, w, len));
	print_globals(out);
	if (c->example)
		fprintf(out, "\nexample:\n  %s\n", c->example);
	if (*c->method && *c->path)
		fprintf(out, "\nIn the API: %s %s\n", c->method, c->path);
}

/* --- the manual page --- */

/* Text for roff: '-' of options as \-, a backslash and a leading dot escaped. */
static void roff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text, out);
	}
}

static void roff_option(FILE *out, const struct cli_option *option)
{
	fprintf(out, ".TP\n.B \\-\\-");
	roff(out, option->name);
	if (option->argument) {
		fputs(" \\fI", out);
		roff(out, option->argument);
		fputs("\\fR", out);
	}
	fputc('\n', out);
	roff(out, option->help);
	fputc('\n', out);
}

static void roff_command(FILE *out, const struct cli_command *c)
{
	char usage[160];
	size_t len;

	usage_of(c, usage, sizeof usage);
	fputs(".TP\n.B ", out);
	roff(out, usage);
	fputc('\n', out);
	roff(out, c->help);
	fputc('\n', out);
	if (c->options)
		fputs("Options:", out);
	for (const char *w = c->options ? c->options : ""; (w = word_next(w, &len)); w += len) {
		fputs(" \\-\\-", out);
		for (size_t i = 0; i < len; i++)
			fputs(w[i] == '-' ? "\\-" : (char[]){ w[i], '\0' }, out);
	}
	fputs(c->options ? ".\n" : "", out);
}

void help_manual(FILE *out)
{
	fputs(".TH LUNETTE 1 \"\" \"lunette " LUNETTE_VERSION "\" \"User Commands\"\n.SH NAME\nlunette \\- administer a lunetted\n"
	      ".SH SYNOPSIS\n.B lunette\n.I COMMAND\n[\\fIARGUMENT\\fR...] [\\fB\\-\\-option\\fR...]\n.SH DESCRIPTION\n"
	      "Administers a\n.BR lunetted (8)\nover its REST service: LUNs, iSCSI targets, and who may log in to them.\n"
	      "On the machine where lunetted runs, and as a user who can read its state directory, no token need be given.\n"
	      ".SH COMMANDS\n", out);
	for (size_t i = 0; i < cli_command_count; i++)
		roff_command(out, &cli_commands[i]);
	fputs(".SH OPTIONS OF EVERY COMMAND\n", out);
	for (size_t i = 0; i < cli_global_option_count; i++)
		roff_option(out, &cli_global_options[i]);
	fputs(".SH OTHER OPTIONS\n", out);
	for (size_t i = 0; i < cli_option_count; i++)
		roff_option(out, &cli_options[i]);
	fputs(".SH ARGUMENTS\n", out);
	for (size_t i = 0; i < cli_argument_count; i++) {
		fprintf(out, ".TP\n.I %s\n", cli_arguments[i].name);
		roff(out, cli_arguments[i].help);
		fputc('\n', out);
	}
	fputs(".SH EXIT STATUS\n", out);
	for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++) {
		fprintf(out, ".TP\n.B %d\n", exits[i].number);
		roff(out, exits[i].meaning);
		fputc('\n', out);
	}
	fputs(".SH EXAMPLES\n.nf\n", out);
	for (size_t i = 0; i < cli_command_count; i++) {
		if (!cli_commands[i].example)
			continue;
		roff(out, cli_commands[i].example);
		fputc('\n', out);
	}
	fputs(".fi\n.SH SEE ALSO\n.BR lunetted (8)\n", out);
}

/* --- completion --- */

/* All words of one kind behind "name) words=..." lines of a bash `case`. */
static void bash_options(FILE *out, const struct cli_command *c)
{
	size_t len;

	for (const char *w = c->options ? c->options : ""; (w = word_next(w, &len)); w += len)
		fprintf(out, " --%.*s", (int)len, w);
	for (size_t i = 0; i < cli_global_option_count; i++)
		fprintf(out, " --%s", cli_global_options[i].name);
}

static void bash_verbs(FILE *out)
{
	for (size_t i = 0; i < cli_command_count; i++) {
		const char *noun = cli_commands[i].noun;

		if (!cli_commands[i].verb || (i && strcmp(noun, cli_commands[i - 1].noun) == 0))
			continue;
		fprintf(out, "\t%s) verbs=\"", noun);
		for (size_t j = i; j < cli_command_count && strcmp(cli_commands[j].noun, noun) == 0; j++)
			fprintf(out, "%s%s", j > i ? " " : "", cli_commands[j].verb);
		fputs("\" ;;\n", out);
	}
}

/* Keys are "noun verb" or "noun": what the arguments are called, and the options. */
static void bash_commands(FILE *out)
{
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *c = &cli_commands[i];

		fprintf(out, "\t\"%s%s%s\") arguments=\"%s\" options=\"", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
			c->arguments);
		bash_options(out, c);
		fputs("\" ;;\n", out);
	}
}

/* Options behind which a word is their value, not an argument. */
static void bash_valued(FILE *out, const struct cli_option *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].argument)
			fprintf(out, "--%s ", rows[i].name);
}

void help_bash_completion(FILE *out)
{
	fputs("# bash completion for lunette(1); made by `lunette completion bash`\n"
	      "_lunette() {\n"
	      "\tlocal cur nouns verbs= arguments= options= key noun= verb= valued place=0 i word name\n"
	      "\tcur=${COMP_WORDS[COMP_CWORD]}\n"
	      "\tCOMPREPLY=()\n"
	      "\tnouns=\"", out);
	for (size_t i = 0; i < cli_command_count; i++)
		if (i == 0 || strcmp(cli_commands[i].noun, cli_commands[i - 1].noun) != 0)
			fprintf(out, "%s%s", i ? " " : "", cli_commands[i].noun);
	fputs("\"\n\tvalued=\" ", out);
	bash_valued(out, cli_options, cli_option_count);
	bash_valued(out, cli_global_options, cli_global_option_count);
	fputs("\"\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tword=${COMP_WORDS[i]}\n"
	      "\t\tif [[ $word == -* ]]; then [[ $valued == *\" $word \"* ]] && ((i++)); continue; fi\n"
	      "\t\tif [[ -z $noun ]]; then noun=$word\n"
	      "\t\telif [[ -z $verb ]]; then verb=$word\n"
	      "\t\telse ((place++)); fi\n"
	      "\tdone\n"
	      "\tif [[ -z $noun && $cur != -* ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"$nouns\" -- \"$cur\")); return\n"
	      "\tfi\n"
	      "\tcase $noun in\n", out);
	bash_verbs(out);
	fputs("\tesac\n"
	      "\tif [[ -n $verbs && -z $verb && $cur != -* ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\")); return\n"
	      "\tfi\n"
	      "\tkey=$noun\n"
	      "\tif [[ -n $verbs ]]; then key=\"$noun $verb\"; elif [[ -n $verb ]]; then ((place++)); fi\n"
	      "\tcase $key in\n", out);
	bash_commands(out);
	fputs("\tesac\n"
	      "\tif [[ $cur == -* ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$cur\")); return\n"
	      "\tfi\n"
	      "\tset -- $arguments\n"
	      "\tshift $((place < $# ? place : ($# ? $# - 1 : 0)))\n"
	      "\tname=${1//[^A-Z]/}\n"
	      "\tcase $name in\n"
	      "\tFILE) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
	      "\tSHELL) COMPREPLY=($(compgen -W bash -- \"$cur\")) ;;\n"
	      "\tKIND) COMPREPLY=($(compgen -W 'file memory null fault' -- \"$cur\")) ;;\n"
	      "\tMETHOD) COMPREPLY=($(compgen -W 'GET PUT PATCH DELETE' -- \"$cur\")) ;;\n"
	      "\t?*) COMPREPLY=($(compgen -W \"$(lunette names \"$name\" 2>/dev/null)\" -- \"$cur\"))\n"
	      "\t\tdeclare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions \"$cur\" ;;\n"
	      "\tesac\n"
	      "}\n"
	      "complete -F _lunette lunette\n", out);
}

int run_completion(struct client *client, const struct invocation *inv)
{
	(void)client;
	if (strcmp(inv->argument[0], "bash") != 0) {
		fprintf(stderr, "lunette: completion is there for bash only\n");
		return CLI_USAGE;
	}
	help_bash_completion(stdout);
	return CLI_OK;
}

int run_manual(struct client *client, const struct invocation *inv)
{
	(void)client;
	(void)inv;
	help_manual(stdout);
	return CLI_OK;
}
