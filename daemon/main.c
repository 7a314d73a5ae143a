/* lunetted: what the roles need of the command line. */
#include "api/control.h"
#include "daemon.h"
#include "dataplane/reactor/worker.h"

_Static_assert(OPTIONS_ADDRESSES_MAX <= CONTROL_ADDRESSES_MAX, "the command line allows more addresses than control");
_Static_assert(OPTIONS_WORKERS_MAX <= WORKERS_MAX, "the command line allows more workers than the data plane");
_Static_assert(OPTIONS_REACTORS_MAX <= WORKER_REACTORS_MAX, "the command line allows more reactors than a worker");

static int control(const struct options *options, int supervisor_fd)
{
	struct control_options control = {
		.state_dir = options->state_dir,
		.http_address_count = options->http.count,
		.portal_address_count = options->portals.count,
		.worker_count = options->workers,
		.reactor_count = options->reactors,
		.supervisor_fd = supervisor_fd,
		.tls_certificate_path = options->tls_cert,
		.tls_key_path = options->tls_key,
		.web_dir = options->web,
		.allow_insecure = options->insecure_http,
	};

	for (unsigned i = 0; i < options->http.count; i++)
		control.http_addresses[i] = options->http.at[i];
	for (unsigned i = 0; i < options->portals.count; i++)
		control.portal_addresses[i] = options->portals.at[i];
	return control_main(&control);
}

static int worker(const struct options *options, int supervisor_fd)
{
	return worker_main(&(struct worker_options){
		.index = options->index,
		.supervisor_fd = supervisor_fd,
		.state_dir = options->state_dir,
		.reactor_count = options->reactors,
		.pin = options->pin_cpus,
	});
}

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &(struct daemon_roles){ control, worker, control_print_routes });
}
