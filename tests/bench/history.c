/*
 * What measurement costs: N LUNs, all of them active, sampled each second for S seconds of simulated time into real files.
 *
 * usage: history [--luns N] [--seconds S] [--directory DIR]
 * Prints CPU in percent of one CPU, as if the simulated seconds had been true ones: of the control thread, of which
 * collect() alone, and of the history's thread; and the longest monitor_sample. The archives are shorter than those of the
 * daemon, which makes files smaller, not writing cheaper. Exits with 1 when more than CPU_PERCENT_MAX is needed.
 */
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mailbox.h"
#include "monitor/collect.h"
#include "monitor/history.h"
#include "monitor/monitor.h"

#define CPU_PERCENT_MAX 2
#define WORKERS         2
#define REACTORS        2
#define WARM_UP_S       70  /* until every LUN has its file */
#define WAIT_S          10  /* the history's thread is waited for so often */
#define SHRINK          100
#define NS              UINT64_C(1000000000)

static struct {
	unsigned luns, seconds;
	const char *directory;
} options = { 1000, 600, NULL };

static struct bench {
	struct mailbox mailbox;
	struct monitor *monitor;
	struct stats_segment *segment[WORKERS];
	struct stats_slot **slot;     /* luns * REACTORS */
	struct monitor_lun *luns;
	struct monitor_input input;
	unsigned answered;
	uint64_t sample_ns, collect_ns, first_ns, longest_ns;
} bench;

static bool parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "luns", 1, NULL, 'l' }, { "seconds", 1, NULL, 's' }, { "directory", 1, NULL, 'd' }, { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'l': options.luns = (unsigned)atoi(optarg); break;
		case 's': options.seconds = (unsigned)atoi(optarg); break;
		case 'd': options.directory = optarg; break;
		default: return false;
		}
	}
	return optind == argc && options.luns > 0 && options.luns <= STATS_SLOTS / 2 && options.seconds > 0;
}

static void fail(const char *what)
{
	fprintf(stderr, "history: %s\n", what);
	exit(1);
}

static void *zeroed(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		fail("no memory");
	return memory;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

static uint64_t history_thread_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID) - clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void set_up_worker(unsigned index)
{
	int fd = stats_create();

	bench.segment[index] = fd < 0 ? NULL : stats_map(fd, 1);
	close(fd);
	if (!bench.segment[index])
		fail("no statistics segment");
	stats_clear(bench.segment[index]);
	for (unsigned reactor = 0; reactor < REACTORS; reactor++)
		stats_claim(bench.segment[index], STATS_WORKER, "worker", reactor);
}

static void set_up_luns(void)
{
	bench.luns = zeroed(options.luns, sizeof *bench.luns);
	bench.slot = zeroed((size_t)options.luns * REACTORS, sizeof *bench.slot);
	for (unsigned i = 0; i < options.luns; i++) {
		char name[32];

		snprintf(name, sizeof name, "volume-%05u", i);
		bench.luns[i] = (struct monitor_lun){ strdup(name), UINT64_C(1) << 40 };
		for (unsigned reactor = 0; reactor < REACTORS; reactor++)
			bench.slot[i * REACTORS + reactor] = stats_claim(bench.segment[i % WORKERS], STATS_LUN, name, reactor);
	}
}

static void set_up(const char *directory)
{
	struct history_options history = { .dir = directory, .keep_days = 30, .mailbox = &bench.mailbox, .shrink = SHRINK,
					   .new_burst = 4 * options.luns + 100, .reserve_bytes = 1 };
	static const struct stats_segment *segments[WORKERS];
	static pid_t pids[WORKERS];

	if (mailbox_init(&bench.mailbox) < 0)
		fail("no mailbox");
	bench.monitor = monitor_open(history_open(&history));
	if (!bench.monitor)
		fail("no monitor");
	for (unsigned i = 0; i < WORKERS; i++) {
		set_up_worker(i);
		segments[i] = bench.segment[i];
		pids[i] = getpid();
	}
	set_up_luns();
	bench.input = (struct monitor_input){
		.segments = segments, .pids = pids, .worker_count = WORKERS, .luns = bench.luns, .lun_count = options.luns,
		.wall_ms = ((uint64_t)time(NULL) - WARM_UP_S - options.seconds) * 1000, .now_ns = NS,
	};
}

/* What a reactor counts for one LUN in a second; no two seconds and no two LUNs are alike. */
static void serve(struct stats_slot *slot, unsigned *seed)
{
	for (int i = 0; i < 20; i++) {
		bool write = rand_r(seed) % 3 == 0;

		stats_add(slot, write ? STAT_writes : STAT_reads, 1);
		stats_add(slot, write ? STAT_write_bytes : STAT_read_bytes, 4096);
		stats_latency(slot, write ? STATS_WRITE_LATENCY : STATS_READ_LATENCY, 50000 + (uint64_t)rand_r(seed) % 5000000);
		stats_latency(slot, write ? STATS_STORE_WRITE_LATENCY : STATS_STORE_READ_LATENCY, 40000 + (uint64_t)i);
	}
}

static void take_sample(void)
{
	const struct stats_segment *const *segments = bench.input.segments;
	uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID), after, collected;
	struct counters *list;

	monitor_sample(bench.monitor, &bench.input);
	after = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	collect(segments, WORKERS, "host", MONITOR_SESSIONS_MAX, &list);
	free(list);
	collected = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	bench.sample_ns += after - before;
	bench.collect_ns += collected - after;
	if (after - before > bench.longest_ns)
		bench.longest_ns = after - before;
	bench.input.wall_ms += 1000;
	bench.input.now_ns += NS;
}

static void answered(void *arg, int error, const struct object_name *missing, struct series_set *set)
{
	(void)arg, (void)missing;
	if (error)
		fail("a question was not answered");
	series_set_free(set);
	bench.answered++;
}

/* A question is answered when everything that was handed over before it is written. */
static void wait_for_history(void)
{
	struct pollfd pfd = { .fd = mailbox_fd(&bench.mailbox), .events = POLLIN };
	int64_t now_s = (int64_t)(bench.input.wall_ms / 1000);
	struct series_query query = { .object_count = 1, .from_s = now_s - 10, .to_s = now_s, .step_s = 10 };
	unsigned wanted = bench.answered + 1;

	query.objects = zeroed(1, sizeof *query.objects);
	query.objects[0] = (struct object_name){ .kind = OBJECT_LUN, .name = "volume-00000" };
	query.metric[METRIC_read_iops] = true;
	monitor_series(bench.monitor, &query, answered, NULL);
	while (bench.answered != wanted) {
		poll(&pfd, 1, 1000);
		mailbox_run(&bench.mailbox);
	}
}

static void run(unsigned seconds)
{
	static unsigned seed = 1;

	bench.sample_ns = bench.collect_ns = bench.longest_ns = 0;
	for (unsigned second = 0; second < seconds; second++) {
		for (size_t i = 0; i < (size_t)options.luns * REACTORS; i++)
			serve(bench.slot[i], &seed);
		take_sample();
		if (second % WAIT_S == WAIT_S - 1)
			wait_for_history();
	}
	wait_for_history();
}

static double percent(uint64_t ns)
{
	return 100 * (double)ns / (double)NS / options.seconds;
}

static bool report(uint64_t history_ns)
{
	struct monitor_state state = monitor_state(bench.monitor);
	double total = percent(bench.sample_ns + history_ns);

	printf("{\"luns\":%u,\"seconds\":%u,\"files\":%llu,\"write_failures\":%llu,\"control_percent\":%.3f,"
	       "\"collect_percent\":%.3f,\"history_percent\":%.3f,\"total_percent\":%.3f,\"first_sample_ms\":%.2f,"
	       "\"longest_sample_ms\":%.2f}\n",
	       options.luns, options.seconds, (unsigned long long)state.files, (unsigned long long)state.write_failures,
	       percent(bench.sample_ns), percent(bench.collect_ns), percent(history_ns), total, (double)bench.first_ns / 1e6,
	       (double)bench.longest_ns / 1e6);
	return total < CPU_PERCENT_MAX && state.write_failures == 0 && state.files >= 2 * options.luns;
}

int main(int argc, char **argv)
{
	char directory[] = "/tmp/lunette-history-XXXXXX", command[64];
	uint64_t history_ns;
	bool good;

	if (!parse(argc, argv)) {
		fprintf(stderr, "usage: history [--luns N] [--seconds S] [--directory DIR]\n");
		return 2;
	}
	if (!options.directory && !mkdtemp(directory))
		fail("no temporary directory");
	set_up(options.directory ? options.directory : directory);
	take_sample();
	bench.first_ns = bench.sample_ns;
	run(WARM_UP_S);
	history_ns = history_thread_ns();
	run(options.seconds);
	good = report(history_thread_ns() - history_ns);
	monitor_free(bench.monitor);
	if (!options.directory) {
		snprintf(command, sizeof command, "rm -rf %s", directory);
		return system(command) == 0 && good ? 0 : 1;
	}
	return good ? 0 : 1;
}
