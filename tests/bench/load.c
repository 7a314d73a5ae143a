/*
 * One load on one target, measured: fixed-size random I/O at a fixed queue depth over one or more sessions.
 *
 * usage: load --address IPV4:PORT --target IQN[,IQN...] --lun N --op read|write --bytes N --depth N --sessions N
 *             --seconds S [--warmup S] [--spin] [--cpu-of PID,PID...] [--fill] [--one-host]
 * Session n uses target n modulo the number of targets. Each is of a host of its own, or all are paths of one host.
 * Prints one line of JSON: I/O per second, latency percentiles in
 * microseconds, CPU microseconds of the given processes per I/O, and how busy this client was (near 1: the client is
 * what was measured).
 */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <glob.h>

#include "initiator.h"

#define SESSIONS_MAX 64
#define DEPTH_MAX    256
#define SAMPLES_MAX  (8u << 20)
#define TARGETS_MAX  64
#define PIDS_MAX     64

struct session {
	struct initiator link;
	uint64_t started_ns[DEPTH_MAX];
	bool     idle[DEPTH_MAX];
	uint8_t  lun[8];
	uint64_t blocks; /* of the LUN, in units of one I/O */
	uint32_t block_bytes;
};

static struct {
	const char *address, *targets[TARGETS_MAX], *pids[PIDS_MAX];
	unsigned target_count, pid_count, lun, depth, sessions;
	uint32_t bytes;
	bool write, spin, one_host, fill; /* fill: once through the LUN, in order, instead of at random for a time */
	double seconds, warmup;
} options = { .depth = 1, .sessions = 1, .bytes = 4096, .seconds = 3, .warmup = 0.5 };

static struct session sessions[SESSIONS_MAX];
static uint32_t *samples; /* latencies in nanoseconds, capped at 4.29 s */
static size_t sample_count;
static uint64_t dice = 88172645463325252u, filled;

static uint64_t next_random(void)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	return dice ^= dice << 17;
}

static int fail(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	return EXIT_FAILURE;
}

/* CPU time of all threads of the processes, in nanoseconds: the first number of /proc/PID/task/TID/schedstat. */
static uint64_t cpu_ns(void)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < options.pid_count; i++) {
		char pattern[64];
		glob_t found;

		snprintf(pattern, sizeof pattern, "/proc/%s/task/*/schedstat", options.pids[i]);
		if (glob(pattern, 0, NULL, &found) != 0)
			continue;
		for (size_t n = 0; n < found.gl_pathc; n++) {
			FILE *file = fopen(found.gl_pathv[n], "r");
			unsigned long long ns;

			if (file && fscanf(file, "%llu", &ns) == 1)
				total += ns;
			if (file)
				fclose(file);
		}
		globfree(&found);
	}
	return total;
}

static uint64_t own_cpu_ns(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1000u;
}

/* ------------------------------------------------ one command */

/* How much of a write goes with the command itself, and whether more follows without being asked for. */
static uint32_t immediate_bytes(const struct initiator *link)
{
	uint32_t n = options.bytes;

	if (!link->immediate_data)
		return 0;
	if (n > link->first_burst)
		n = link->first_burst;
	return n > link->target_mrdsl ? link->target_mrdsl : n;
}

/* Data-Out PDUs for [offset, offset + len) of task `itt`; ttt 0xffffffff: unsolicited. False: no room. */
static bool send_data_out(struct session *s, const uint8_t itt[4], uint32_t ttt, uint32_t offset, uint32_t len)
{
	for (uint32_t sn = 0, at = 0; at < len; sn++) {
		uint32_t n = len - at > s->link.target_mrdsl ? s->link.target_mrdsl : len - at;
		uint8_t *pdu = initiator_room(&s->link, OP_DATA_OUT, n);

		if (!pdu)
			return false;
		pdu[1] = at + n == len ? 0x80 : 0;
		memcpy(pdu + 8, s->lun, 8);
		memcpy(pdu + 16, itt, 4);
		give_be32(pdu + 20, ttt);
		give_be32(pdu + 28, s->link.exp_stat_sn);
		give_be32(pdu + 36, sn);
		give_be32(pdu + 40, offset + at);
		at += n;
	}
	return true;
}

/* Starts one I/O in the slot; false when the window or the send buffer is full. */
static bool start_io(struct session *s, unsigned slot)
{
	uint32_t immediate = options.write ? immediate_bytes(&s->link) : 0, unsolicited = 0;
	uint64_t lba = (options.fill ? filled : next_random() % s->blocks) * (options.bytes / s->block_bytes);
	uint8_t *pdu;

	if ((int32_t)(s->link.cmd_sn - s->link.max_cmd_sn) > 0 || (options.fill && filled == s->blocks))
		return false;
	if (SEND_BYTES - s->link.out_to < SEND_BYTES / 2 && initiator_pending(&s->link))
		return false;
	pdu = initiator_room(&s->link, OP_COMMAND, immediate);
	if (!pdu)
		return false;
	if (options.write && !s->link.initial_r2t)
		unsolicited = (options.bytes < s->link.first_burst ? options.bytes : s->link.first_burst) - immediate;
	pdu[1] = (uint8_t)((unsolicited ? 0 : 0x80) | (options.write ? 0x20 : 0x40) | 1);
	memcpy(pdu + 8, s->lun, 8);
	give_be32(pdu + 16, slot);
	give_be32(pdu + 20, options.bytes);
	give_be32(pdu + 24, s->link.cmd_sn++);
	give_be32(pdu + 28, s->link.exp_stat_sn);
	pdu[32] = options.write ? 0x8a : 0x88;
	give_be32(pdu + 34, (uint32_t)(lba >> 32));
	give_be32(pdu + 38, (uint32_t)lba);
	give_be32(pdu + 42, options.bytes / s->block_bytes);
	filled++;
	s->started_ns[slot] = now_ns();
	s->idle[slot] = false;
	return !unsolicited || send_data_out(s, pdu + 16, 0xffffffff, immediate, unsolicited);
}

static void start_idle(struct session *s)
{
	for (unsigned slot = 0; slot < options.depth; slot++)
		if (s->idle[slot] && !start_io(s, slot))
			return;
}

static bool finish_io(struct session *s, const uint8_t *h)
{
	uint32_t slot = take_be32(h + 16);
	uint64_t ns;

	if (h[3] != 0 || slot >= options.depth || s->idle[slot]) {
		fprintf(stderr, "load: status %02x for task %08x\n", h[3], slot);
		return false;
	}
	ns = now_ns() - s->started_ns[slot];
	s->idle[slot] = true;
	if (sample_count < SAMPLES_MAX)
		samples[sample_count] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
	sample_count++;
	return true;
}

/* Everything that has come, then everything that can be sent. False: an error or the connection is gone. */
static bool serve(struct session *s)
{
	const uint8_t *h;
	int rc;

	while ((rc = initiator_receive(&s->link, &h)) == 1) {
		if (h[0] == OP_R2T && !send_data_out(s, h + 16, take_be32(h + 20), take_be32(h + 40), take_be32(h + 44)))
			return false;
		if ((h[0] == OP_RESPONSE || (h[0] == OP_DATA_IN && h[1] & 1)) && !finish_io(s, h))
			return false;
	}
	if (rc < 0)
		return false;
	start_idle(s);
	return initiator_flush(&s->link);
}

static bool run_for(double seconds)
{
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
	struct pollfd pfds[SESSIONS_MAX];

	while (options.fill ? sample_count < sessions[0].blocks : now_ns() < end) {
		for (unsigned i = 0; i < options.sessions; i++) {
			pfds[i] = (struct pollfd){ .fd = sessions[i].link.fd, .events = POLLIN };
			if (initiator_pending(&sessions[i].link))
				pfds[i].events |= POLLOUT;
		}
		if (poll(pfds, options.sessions, options.spin ? 0 : 1000) < 0)
			return false;
		for (unsigned i = 0; i < options.sessions; i++)
			if (pfds[i].revents && !serve(&sessions[i]))
				return false;
	}
	return true;
}

/* ------------------------------------------------ set-up and report */

static bool open_session(struct session *s, unsigned number)
{
	uint8_t capacity[32], cdb[16] = { 0x9e, 0x10, [13] = sizeof capacity };
	static const uint8_t ready[6];
	uint64_t last;

	if (initiator_open(&s->link, options.address, options.targets[number % options.target_count],
			   0x10000u + (options.one_host ? 0 : number), number) != 0)
		return false;
	s->lun[0] = (uint8_t)(options.lun >> 8);
	s->lun[1] = (uint8_t)options.lun;
	for (int tries = 0; initiator_command(&s->link, options.lun, ready, sizeof ready, NULL, 0) != 0; tries++)
		if (tries == 10)
			return false;
	if (initiator_command(&s->link, options.lun, cdb, sizeof cdb, capacity, sizeof capacity) != 0)
		return false;
	last = (uint64_t)take_be32(capacity) << 32 | take_be32(capacity + 4);
	s->block_bytes = take_be32(capacity + 8);
	s->blocks = (last + 1) * s->block_bytes / options.bytes;
	for (unsigned slot = 0; slot < options.depth; slot++)
		s->idle[slot] = true;
	start_idle(s);
	return s->blocks > 0 && initiator_flush(&s->link);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double percentile_us(double fraction)
{
	size_t n = sample_count < SAMPLES_MAX ? sample_count : SAMPLES_MAX;

	return n ? samples[(size_t)((double)(n - 1) * fraction)] / 1000.0 : 0;
}

static unsigned split(char *list, const char **items, unsigned max)
{
	unsigned count = 0;

	for (char *item = strtok(list, ","); item && count < max; item = strtok(NULL, ","))
		items[count++] = item;
	return count;
}

static bool parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "address", 1, NULL, 'a' }, { "target", 1, NULL, 't' },  { "lun", 1, NULL, 'l' },
		{ "op", 1, NULL, 'o' },      { "bytes", 1, NULL, 'b' },   { "depth", 1, NULL, 'd' },
		{ "sessions", 1, NULL, 's' }, { "seconds", 1, NULL, 'S' }, { "warmup", 1, NULL, 'w' },
		{ "spin", 0, NULL, 'x' },    { "cpu-of", 1, NULL, 'c' },  { "fill", 0, NULL, 'f' },
		{ "one-host", 0, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'a': options.address = optarg; break;
		case 't': options.target_count = split(optarg, options.targets, TARGETS_MAX); break;
		case 'l': options.lun = (unsigned)atoi(optarg); break;
		case 'o': options.write = strcmp(optarg, "write") == 0; break;
		case 'b': options.bytes = (uint32_t)atoi(optarg); break;
		case 'd': options.depth = (unsigned)atoi(optarg); break;
		case 's': options.sessions = (unsigned)atoi(optarg); break;
		case 'S': options.seconds = atof(optarg); break;
		case 'w': options.warmup = atof(optarg); break;
		case 'x': options.spin = true; break;
		case 'f': options.fill = options.write = true; break;
		case 'h': options.one_host = true; break;
		case 'c': options.pid_count = split(optarg, options.pids, PIDS_MAX); break;
		default: return false;
		}
	}
	return options.address && options.target_count && options.depth && options.depth <= DEPTH_MAX &&
	       options.sessions && options.sessions <= SESSIONS_MAX && options.bytes && (uint64_t)options.bytes * options.depth <= SEND_BYTES / 4 &&
	       options.bytes % 512 == 0;
}

int main(int argc, char **argv)
{
	uint64_t started, cpu, own, elapsed;

	if (!parse(argc, argv))
		return fail("wrong arguments; see the head of tests/bench/load.c");
	samples = malloc(SAMPLES_MAX * sizeof *samples);
	if (!samples)
		return fail("no memory");
	for (unsigned i = 0; i < options.sessions; i++)
		if (!open_session(&sessions[i], i))
			return fail("cannot open a session");
	if (!run_for(options.warmup))
		return fail("the connection is gone");
	if (options.fill)
		return EXIT_SUCCESS;
	sample_count = 0;
	cpu = cpu_ns();
	own = own_cpu_ns();
	started = now_ns();
	if (!run_for(options.seconds))
		return fail("the connection is gone");
	elapsed = now_ns() - started;
	cpu = cpu_ns() - cpu;
	own = own_cpu_ns() - own;
	qsort(samples, sample_count < SAMPLES_MAX ? sample_count : SAMPLES_MAX, sizeof *samples, compare);
	printf("{\"ios\":%zu,\"iops\":%.0f,\"mb_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,"
	       "\"cpu_us_per_io\":%.4f,\"target_busy\":%.3f,\"client_busy\":%.3f}\n",
	       sample_count, (double)sample_count * 1e9 / (double)elapsed,
	       (double)sample_count * options.bytes * 1e3 / (double)elapsed, percentile_us(0.5), percentile_us(0.99),
	       percentile_us(0.999), percentile_us(1.0), sample_count ? (double)cpu / 1e3 / (double)sample_count : 0,
	       (double)cpu / (double)elapsed, (double)own / (double)elapsed);
	for (unsigned i = 0; i < options.sessions; i++)
		initiator_close(&sessions[i].link);
	free(samples);
	return EXIT_SUCCESS;
}
