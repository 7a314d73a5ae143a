/*
 * Many sessions: how long it takes to log in N times in a row, and N sessions that do nothing but answer pings.
 *
 * usage: sessions --address IPV4:PORT --target IQN --count N [--hold]
 * Prints {"logins":N,"seconds":S}. With --hold the sessions stay until standard input ends; then it prints how many of
 * them were lost meanwhile.
 */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "initiator.h"

static struct {
	const char *address, *target;
	unsigned count;
	bool hold;
} options = { .count = 1000 };

static bool parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "address", 1, NULL, 'a' }, { "target", 1, NULL, 't' }, { "count", 1, NULL, 'c' },
		{ "hold", 0, NULL, 'h' },    { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'a': options.address = optarg; break;
		case 't': options.target = optarg; break;
		case 'c': options.count = (unsigned)atoi(optarg); break;
		case 'h': options.hold = true; break;
		default: return false;
		}
	}
	return options.address && options.target && options.count;
}

/* Takes what has come (initiator_receive answers pings). False: the session is gone. */
static bool serve(struct initiator *link)
{
	const uint8_t *h;
	int rc;

	while ((rc = initiator_receive(link, &h)) == 1)
		;
	return rc == 0;
}

static unsigned hold(struct initiator *links, struct pollfd *pfds)
{
	unsigned lost = 0;

	for (;;) {
		pfds[options.count] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
		if (poll(pfds, options.count + 1, -1) < 0)
			return lost;
		if (pfds[options.count].revents)
			return lost;
		for (unsigned i = 0; i < options.count; i++)
			if (pfds[i].revents && !serve(&links[i])) {
				pfds[i].fd = -1;
				lost++;
			}
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct initiator *links;
	struct pollfd *pfds;
	uint64_t started;

	if (!parse(argc, argv)) {
		fprintf(stderr, "usage: sessions --address IPV4:PORT --target IQN [--count N] [--hold]\n");
		return EXIT_FAILURE;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	links = calloc(options.count, sizeof *links);
	pfds = calloc(options.count + 1, sizeof *pfds);
	if (!links || !pfds)
		return EXIT_FAILURE;
	started = now_ns();
	for (unsigned i = 0; i < options.count; i++) {
		if (initiator_open(&links[i], options.address, options.target, 0x20000u + i, 0) != 0) {
			fprintf(stderr, "sessions: login %u failed\n", i + 1);
			return EXIT_FAILURE;
		}
		pfds[i] = (struct pollfd){ .fd = links[i].fd, .events = POLLIN };
	}
	printf("{\"logins\":%u,\"seconds\":%.4f}\n", options.count, (double)(now_ns() - started) / 1e9);
	fflush(stdout);
	if (options.hold)
		printf("{\"lost\":%u}\n", hold(links, pfds));
	for (unsigned i = 0; i < options.count; i++)
		initiator_close(&links[i]);
	free(links);
	free(pfds);
	return EXIT_SUCCESS;
}
