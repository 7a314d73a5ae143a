/* The command line, read by the rows of command.c. */
#include "cli/command.h"

#include <errno.h>
#include <string.h>

#include "log.h"

/* One argument of a row: "LUN", "[NUMBER]", "INITIATOR...", "[INITIATOR...]". */
struct place {
	const char *name;
	size_t len;
	bool optional, repeated;
};

static const char *place_next(const char *at, struct place *ret)
{
	size_t len;
	const char *word = word_next(at, &len);

	if (!word)
		return NULL;
	*ret = (struct place){ word, len, false, false };
	if (word[0] == '[') {
		ret->optional = true;
		ret->name++;
		ret->len -= 2;
	}
	if (ret->len > 3 && strncmp(ret->name + ret->len - 3, "...", 3) == 0) {
		ret->repeated = true;
		ret->len -= 3;
	}
	return word + len;
}

static int check_arguments(const struct invocation *inv, struct err *err)
{
	const struct cli_command *c = inv->command;
	unsigned least = 0, most = 0;
	struct place place;

	for (const char *at = c->arguments; (at = place_next(at, &place));) {
		most = place.repeated ? CLI_ARGUMENTS_MAX : most + 1;
		if (!place.optional)
			least++;
		if (!place.optional && inv->argument_count < least)
			return err_set(err, -EINVAL, "%.*s is missing: lunette %s%s%s %s", (int)place.len, place.name, c->noun,
				       c->verb ? " " : "", c->verb ? c->verb : "", c->arguments);
	}
	if (inv->argument_count > most)
		return err_set(err, -EINVAL, "unexpected argument %s; see lunette %s%s%s --help",
			       log_quoted(inv->argument[most]), c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
	return 0;
}

static int set_global(struct invocation *inv, const struct cli_option *option, const char *value, struct err *err)
{
	static const struct {
		const char *name;
		size_t offset;
	} texts[] = {
		{ "server", offsetof(struct invocation, server) }, { "token-file", offsetof(struct invocation, token_file) },
		{ "ca-file", offsetof(struct invocation, ca_file) }, { "state", offsetof(struct invocation, state) },
	};

	if (strcmp(option->name, "help") == 0)
		inv->help = true;
	else if (strcmp(option->name, "version") == 0)
		inv->version = true;
	else if (strcmp(option->name, "output") == 0) {
		inv->json = strcmp(value, "json") == 0;
		if (!inv->json && strcmp(value, "table") != 0)
			return err_set(err, -EINVAL, "--output must be table or json, not %s", log_quoted(value));
	}
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (strcmp(option->name, texts[i].name) == 0)
			*(const char **)((char *)inv + texts[i].offset) = value;
	return 0;
}

static bool is_global(const struct cli_option *option)
{
	return option >= cli_global_options && option < cli_global_options + cli_global_option_count;
}

/* argv[*at] is "--name", "--name=value"; takes the next word when the option needs a value. */
static int take_option(int argc, char **argv, int *at, struct invocation *inv, struct err *err)
{
	const char *word = argv[*at] + 2, *equals = strchr(word, '='), *value = equals ? equals + 1 : NULL;
	const struct cli_option *option =
		command_option(inv->command, word, equals ? (size_t)(equals - word) : strlen(word));

	if (!option)
		return err_set(err, -EINVAL, "unknown option %s%s", log_quoted(argv[*at]),
			       inv->command ? " of this command; see --help" : "; see lunette --help");
	if (option->argument && !value) {
		if (*at + 1 == argc)
			return err_set(err, -EINVAL, "--%s needs a value: --%s %s", option->name, option->name,
				       option->argument);
		value = argv[++*at];
	}
	if (!option->argument && value && option->type != CLI_BOOL)
		return err_set(err, -EINVAL, "--%s takes no value", option->name);
	if (is_global(option))
		return set_global(inv, option, value, err);
	if (inv->option_count == CLI_OPTIONS_MAX)
		return err_set(err, -EINVAL, "too many options");
	inv->option[inv->option_count++] = (struct cli_given){ option, value };
	return 0;
}

/* A word that is no option: noun, verb, or an argument. */
static int take_word(const char *word, struct invocation *inv, struct err *err)
{
	if (!inv->noun) {
		if (!command_noun_exists(word))
			return err_set(err, -EINVAL, "there is no command %s; see lunette --help", log_quoted(word));
		inv->noun = word;
		inv->command = command_find(word, NULL); /* of those without a verb */
		return 0;
	}
	if (!inv->command) {
		inv->command = command_find(inv->noun, word);
		if (!inv->command)
			return err_set(err, -EINVAL, "there is no command %s %s; see lunette %s --help", inv->noun,
				       log_quoted(word), inv->noun);
		return 0;
	}
	if (inv->argument_count == CLI_ARGUMENTS_MAX)
		return err_set(err, -EINVAL, "too many arguments");
	inv->argument[inv->argument_count++] = word;
	return 0;
}

int invocation_parse(int argc, char **argv, struct invocation *ret, struct err *err)
{
	bool only_words = false;
	int rc = 0;

	*ret = (struct invocation){ 0 };
	for (int at = 1; at < argc && rc == 0; at++) {
		if (!only_words && strcmp(argv[at], "--") == 0)
			only_words = true;
		else if (!only_words && strcmp(argv[at], "help") == 0 && !ret->noun)
			ret->help = true;
		else if (!only_words && strcmp(argv[at], "-h") == 0)
			ret->help = true;
		else if (!only_words && strncmp(argv[at], "--", 2) == 0)
			rc = take_option(argc, argv, &at, ret, err);
		else
			rc = take_word(argv[at], ret, err);
	}
	if (rc < 0 || ret->help || ret->version)
		return rc;
	if (!ret->command)
		return ret->noun ? err_set(err, -EINVAL, "what about %s? see lunette %s --help", ret->noun, ret->noun) :
				   err_set(err, -EINVAL, "no command given; see lunette --help");
	return check_arguments(ret, err);
}

const char *invocation_argument(const struct invocation *inv, const char *name)
{
	unsigned index = 0;
	struct place place;

	for (const char *at = inv->command->arguments; (at = place_next(at, &place)); index++)
		if (strlen(name) == place.len && strncmp(name, place.name, place.len) == 0)
			return index < inv->argument_count ? inv->argument[index] : NULL;
	return NULL;
}

const char *invocation_option(const struct invocation *inv, const char *name)
{
	for (unsigned i = 0; i < inv->option_count; i++)
		if (strcmp(inv->option[i].option->name, name) == 0)
			return inv->option[i].value ? inv->option[i].value : "";
	return NULL;
}
