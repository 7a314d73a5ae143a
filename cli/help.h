/* What the tables of command.c say, for people: --help, the manual page, the completion script. */
#ifndef LUNETTE_CLI_HELP_H
#define LUNETTE_CLI_HELP_H

#include <stdio.h>

#include "cli/command.h"

void help_overview(FILE *out);
void help_noun(FILE *out, const char *noun);
void help_command(FILE *out, const struct cli_command *command);
void help_manual(FILE *out);
void help_bash_completion(FILE *out);

#endif
