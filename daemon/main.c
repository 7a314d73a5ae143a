/* lunetted: what the roles need of the command line. */
#include <fcntl.h>
#include <string.h>

#include "api/assets.h"
#include "api/control.h"
#include "daemon.h"
#include "dataplane/reactor/worker.h"

_Static_assert(OPTIONS_ADDRESSES_MAX <= CONTROL_ADDRESSES_MAX, "the command line allows more addresses than control");
_Static_assert(OPTIONS_WORKERS_MAX <= WORKERS_MAX, "the command line allows more workers than the data plane");
_Static_assert(OPTIONS_REACTORS_MAX <= WORKER_REACTORS_MAX, "the command line allows more reactors than a worker");

static struct {
	int tls_certificate_fd, tls_key_fd, web_fd; /* 0: not given, or control will say why not */
} opened;

static int open_file(const char *path)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : 0;

	return fd < 0 ? 0 : fd;
}

/* A private key is root's as a rule, and the dashboard may lie in root's home. */
static void open_for_control(const struct options *options)
{
	int fd;

	if (strcmp(options->role, "control") != 0)
		return;
	opened.tls_certificate_fd = open_file(options->tls_cert);
	opened.tls_key_fd = open_file(options->tls_key);
	fd = assets_open(options->web);
	opened.web_fd = fd < 0 ? 0 : fd;
}

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
		.tls_certificate_fd = opened.tls_certificate_fd,
		.tls_key_fd = opened.tls_key_fd,
		.web_fd = opened.web_fd,
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
	return daemon_main(argc, argv, &(struct daemon_roles){ open_for_control, control, worker, control_print_routes });
}
