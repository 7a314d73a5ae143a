/* lunette: reads the command line by the tables, finds server and token, runs the command. */
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/help.h"
#include "cli/request.h"
#include "cli/run.h"

static int help(const struct invocation *inv)
{
	if (inv->command)
		help_command(stdout, inv->command);
	else if (inv->noun)
		help_noun(stdout, inv->noun);
	else
		help_overview(stdout);
	return CLI_OK;
}

static int run(const struct invocation *inv)
{
	struct err err = { 0 };
	struct client *client;
	int status;

	/* Those that need no service. */
	if (inv->command->run == run_completion || inv->command->run == run_manual)
		return inv->command->run(NULL, inv);
	client = client_new(inv, &err);
	if (!client) {
		fprintf(stderr, "lunette: %s\n", err.text);
		return CLI_AUTH;
	}
	status = inv->command->run ? inv->command->run(client, inv) : run_request(client, inv);
	client_free(client);
	if (fflush(stdout) != 0 && status == CLI_OK)
		status = CLI_REFUSED;
	return status;
}

int main(int argc, char **argv)
{
	struct invocation inv;
	struct err err = { 0 };

	if (argc == 1) {
		help_overview(stderr);
		return CLI_USAGE;
	}
	if (invocation_parse(argc, argv, &inv, &err) < 0) {
		fprintf(stderr, "lunette: %s\n", err.text);
		return CLI_USAGE;
	}
	if (inv.help)
		return help(&inv);
	if (inv.version) {
		puts("lunette " LUNETTE_VERSION);
		return CLI_OK;
	}
	return run(&inv);
}
