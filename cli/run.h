/* The commands that are more than one request. Each returns an exit status. */
#ifndef LUNETTE_CLI_RUN_H
#define LUNETTE_CLI_RUN_H

#include "cli/command.h"

cli_run_fn run_api, run_completion, run_manual, run_names;
cli_run_fn run_config_export, run_config_import;
cli_run_fn run_events, run_operation_wait;
cli_run_fn run_group_add, run_group_remove, run_target_map, run_target_path;
cli_run_fn run_metrics, run_status, run_token_create, run_top;

/* The commands that are one request: everything from their row. */
cli_run_fn run_request;

#endif
