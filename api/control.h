/*
 * The control process (design section 6): one thread, one epoll loop, that owns the configuration, REST, the portals'
 * listening sockets and the serve documents of the workers. It may die and be started again without touching an I/O.
 *
 * Happy path: the supervisor starts the role with a channel; KEPT_FD, PEER, STATS and BEGIN arrive; control opens the
 * document store (refusing when another daemon has the state directory), binds what was not kept, hands listening
 * sockets to the supervisor (KEEP_FD) and to every worker (LISTEN), sends each worker its serve document, and says
 * READY "http=127.0.0.1:3261 portal=127.0.0.1:3260" when REST answers and every worker has been served once.
 *
 * Failures at the first start (nothing was kept): an address in use, a state directory in use, HTTP off loopback without
 * TLS, an unreadable certificate: FATAL with one line for a person; the supervisor prints it and exits with the status.
 * After that a portal that cannot be bound is told in its status
 * and in GET /health, and what makes a start impossible ends only this process, with 1: the workers serve on.
 */
#ifndef LUNETTE_API_CONTROL_H
#define LUNETTE_API_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONTROL_ADDRESSES_MAX 8

/* Strings are borrowed for the life of control_main(). Addresses are "127.0.0.1:3261", "[::1]:3261"; port 0 takes a free
 * one, which READY names. */
struct control_options {
	const char *state_dir;                           /* absolute or relative; created by the supervisor, mode 0700 */
	const char *http_addresses[CONTROL_ADDRESSES_MAX];   /* --http; none: 127.0.0.1:3261 */
	unsigned    http_address_count;
	const char *portal_addresses[CONTROL_ADDRESSES_MAX]; /* --portal: addresses of the portals "default", "default2" ...
							      * from this start of the daemon on; none, and none configured:
							      * 127.0.0.1:3260 */
	unsigned    portal_address_count;
	unsigned    worker_count, reactor_count;         /* as in BEGIN, which wins */
	int         supervisor_fd;                       /* channel to the supervisor; non-blocking SOCK_SEQPACKET */
	const char *tls_certificate_path, *tls_key_path; /* PEM; both or neither (NULL) */
	int         tls_certificate_fd, tls_key_fd;      /* these files, opened; 0: they are not. Closed after reading */
	const char *web_dir;                             /* of the dashboard (assets.h); NULL: the usual places */
	int         web_fd;                              /* that directory, opened; 0: it is not. Closed after reading */
	bool        allow_insecure;                      /* HTTP without TLS off loopback all the same */
};

/* Runs the control process until DRAIN or the supervisor is gone. Exit status: 0 after DRAIN; 1 when the supervisor
 * went away; the FATAL status otherwise. Blocks SIGPIPE; starts threads; call it as the process' main. */
int control_main(const struct control_options *options);

/* The route table, one row a line: METHOD PATH ROLE REQUEST RESPONSE ("-" for none); for `lunetted --print-routes` and the
 * comparison with the contract. */
void control_print_routes(FILE *out);

#endif
