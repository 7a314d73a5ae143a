/*
 * Verified I/O on one LUN: random reads and writes whose every block is known, kept up across lost connections.
 *
 * Each block written is made from (seed, block number, sequence number), so that a block read back says which write it
 * came from, and a torn, misplaced or foreign one is seen. What is checked (PROTOCOL.md, section 2.2):
 *   I1 a read returns the last acknowledged write, or one that was never answered because the connection was lost;
 *   I2 once a later write was acknowledged or seen, an earlier one never comes back (a ghost write);
 *   I3 an acknowledged write survives the death of the process that took it;
 *   I4 no block is half one write and half another.
 * Extents in flight never overlap, so what a block may hold is known exactly. All sessions of a run have one ISID: a new
 * login reinstates the session, after which no write of the old one may still land.
 *
 * With --history FILE --writer N several of these work on the same blocks at once, each with a number of its own in what it
 * writes. Then only torn and foreign blocks are seen here; what was asked and answered, and when, goes to FILE, and
 * tests/system/history.py judges the files of all of them together.
 *
 * usage: verify_io [options] iscsi://...     prints "started" when I/O runs and "reconnected N" each time it is back;
 * ends after --operations or on SIGTERM with a full read and one line of JSON. Exit status: 0 nothing wrong; 1 a wrong byte, or the target did not come back.
 */
#include <errno.h>
#include <getopt.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLOTS_MAX      256
#define EXTENT_MAX     64   /* blocks of one command */
#define MAYBE_MAX      6    /* unanswered writes remembered for a block */
#define REGION_MAX     8192 /* blocks worked on */
#define FUA_ONE_IN     8
#define FLUSH_ONE_IN   200
#define RETRY_PAUSE_MS 5
#define MAGIC          UINT64_C(0x4c756e6574746531)
#define WRITER_SHIFT   40   /* of the writer's number in a sequence number */
#define NEVER          UINT64_MAX
#define PENDING_MAX    (SLOTS_MAX * 2)

/* What a block may hold: `known`, or one of the `maybe` writes whose answer never came. 0 is the block never written. */
struct block {
	uint64_t known;
	uint64_t maybe[MAYBE_MAX];
	uint8_t  maybe_count;
	bool     busy;
};

enum slot_kind { SLOT_IDLE, SLOT_READ, SLOT_WRITE, SLOT_FLUSH };

struct slot {
	enum slot_kind kind;
	uint32_t first, count; /* blocks */
	uint64_t sequence;     /* of the write */
	uint64_t began_ns;
	uint8_t *bytes;
};

/* A write that was not answered: it may happen until the session that replaces the lost one is there. */
struct pending {
	uint64_t began_ns, sequence;
	uint32_t first, count;
};

static struct {
	const char *url;
	unsigned    queue_depth, extent, read_percent;
	uint64_t    operations, seed, reconnect_timeout_ms, writer, command_timeout_s;
	FILE       *history;
} options = { NULL, 8, 8, 40, 0, 0, 5000, 0, 0, NULL };

static struct iscsi_context *iscsi;
static struct iscsi_url *url;
static uint32_t block_bytes, region;
static struct block blocks[REGION_MAX];
static struct slot slots[SLOTS_MAX];
static struct pending pending[PENDING_MAX];
static unsigned pending_count, in_flight;
static bool lost;            /* the connection is gone; every command has been answered by libiscsi */
static uint64_t sequence, dice;
static volatile sig_atomic_t stop;
static struct {
	uint64_t operations, errors, wrong, unit_attentions, busy, reconnects;
	uint64_t max_gap_ns, max_outage_ns, last_ns;
} report;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* ------------------------------------------------ what a block holds */

static void fill_block(uint8_t *bytes, uint32_t block, uint64_t seq)
{
	uint64_t state = seq ^ (uint64_t)block << 40 ^ options.seed * UINT64_C(0x2545f4914f6cdd1d), word;

	if (seq == 0) {
		memset(bytes, 0, block_bytes);
		return;
	}
	memcpy(bytes, &(uint64_t){ MAGIC }, 8);
	memcpy(bytes + 8, &(uint64_t){ block }, 8);
	memcpy(bytes + 16, &seq, 8);
	for (uint32_t at = 24; at < block_bytes; at += 8) {
		word = next_random(&state);
		memcpy(bytes + at, &word, 8);
	}
}

/* Finds what a block just read holds among what it may hold, and forgets the other possibilities. */
static void check_block(const uint8_t *bytes, uint32_t block)
{
	struct block *b = &blocks[block];
	uint8_t expected[4096];
	uint64_t magic, where, seq;

	fill_block(expected, block, b->known);
	if (memcmp(bytes, expected, block_bytes) == 0) {
		b->maybe_count = 0;
		return;
	}
	for (unsigned i = 0; i < b->maybe_count; i++) {
		fill_block(expected, block, b->maybe[i]);
		if (memcmp(bytes, expected, block_bytes) == 0) {
			b->known = b->maybe[i];
			b->maybe_count = 0;
			return;
		}
	}
	memcpy(&magic, bytes, 8);
	memcpy(&where, bytes + 8, 8);
	memcpy(&seq, bytes + 16, 8);
	fill_block(expected, block, seq);
	fprintf(stderr, "block %u is wrong: expected write %llu (or %u others), found %s%llu of block %llu, %s\n", block,
		(unsigned long long)b->known, b->maybe_count, magic == MAGIC ? "write " : "no write of ours, ",
		(unsigned long long)seq, (unsigned long long)where,
		memcmp(bytes, expected, block_bytes) == 0 ? "whole: an older or a lost write" : "torn or foreign");
	report.wrong++;
}

/* ------------------------------------------------ the history (history.py has its format) */

static void tell_write(uint64_t began_ns, uint64_t ended_ns, bool acknowledged, uint32_t first, uint32_t count,
		       uint64_t seq)
{
	fprintf(options.history, "%c %llu %llu %u %u %llu\n", acknowledged ? 'W' : 'M', (unsigned long long)began_ns,
		(unsigned long long)ended_ns, first, count, (unsigned long long)seq);
}

static void tell_read(const struct slot *slot, uint64_t ended_ns)
{
	fprintf(options.history, "R %llu %llu %u", (unsigned long long)slot->began_ns, (unsigned long long)ended_ns,
		slot->first);
	for (uint32_t i = 0; i < slot->count; i++) {
		const uint8_t *bytes = slot->bytes + (size_t)i * block_bytes;
		uint8_t expected[4096];
		uint64_t magic, seq;

		memcpy(&magic, bytes, 8);
		memcpy(&seq, bytes + 16, 8);
		if (magic != MAGIC)
			seq = 0;
		fill_block(expected, slot->first + i, seq);
		if (memcmp(bytes, expected, block_bytes)) {
			fprintf(stderr, "block %u is torn or foreign\n", slot->first + i);
			report.wrong++;
		}
		fprintf(options.history, " %llu", (unsigned long long)seq);
	}
	fputc('\n', options.history);
}

/* No answer will come: what ends the uncertainty is the next login. Answered with an error: it has ended. */
static void tell_unanswered(const struct slot *slot)
{
	if (pending_count == PENDING_MAX) {
		fprintf(stderr, "too many writes without answer\n");
		exit(2);
	}
	pending[pending_count++] = (struct pending){ slot->began_ns, slot->sequence, slot->first, slot->count };
}

static void settle_pending(uint64_t ended_ns)
{
	for (unsigned i = 0; i < pending_count; i++)
		tell_write(pending[i].began_ns, ended_ns, false, pending[i].first, pending[i].count, pending[i].sequence);
	pending_count = 0;
}

static void finish_write(const struct slot *slot, bool acknowledged)
{
	if (options.history) {
		if (acknowledged)
			tell_write(slot->began_ns, now_ns(), true, slot->first, slot->count, slot->sequence);
		else
			tell_unanswered(slot);
		return;
	}
	for (uint32_t i = slot->first; i < slot->first + slot->count; i++) {
		struct block *b = &blocks[i];

		if (acknowledged) {
			b->known = slot->sequence;
			b->maybe_count = 0;
		} else if (b->maybe_count < MAYBE_MAX) {
			b->maybe[b->maybe_count++] = slot->sequence;
		}
	}
}

/* ------------------------------------------------ commands */

static void submit(struct slot *slot);

static void set_busy(const struct slot *slot, bool busy)
{
	for (uint32_t i = slot->first; i < slot->first + slot->count; i++)
		blocks[i].busy = busy;
}

static void count_completion(void)
{
	uint64_t now = now_ns();

	if (report.last_ns && now - report.last_ns > report.max_gap_ns)
		report.max_gap_ns = now - report.last_ns;
	report.last_ns = now;
	report.operations++;
}

/* GOOD: check what came. No answer: what was written may be there or not. Not executed (unit attention, busy): again. */
static void command_done(struct iscsi_context *context, int status, void *command_data, void *private_data)
{
	struct slot *slot = private_data;
	struct scsi_task *task = command_data;
	enum slot_kind kind = slot->kind;
	bool again = false;

	(void)context;
	in_flight--;
	if (status == SCSI_STATUS_GOOD) {
		count_completion();
		if (kind == SLOT_READ && options.history)
			tell_read(slot, now_ns());
		for (uint32_t i = 0; kind == SLOT_READ && i < slot->count && !options.history; i++)
			check_block(slot->bytes + (size_t)i * block_bytes, slot->first + i);
		if (kind == SLOT_WRITE)
			finish_write(slot, true);
	} else if (status == SCSI_STATUS_CHECK_CONDITION && task->sense.key == SCSI_SENSE_UNIT_ATTENTION) {
		report.unit_attentions++;
		again = true;
	} else if (status == SCSI_STATUS_BUSY || status == SCSI_STATUS_TASK_SET_FULL) {
		report.busy++;
		again = kind != SLOT_WRITE; /* a write that was not done is replaced by another operation: no storm of tries */
	} else {
		bool answered = status == SCSI_STATUS_CHECK_CONDITION;

		if (kind == SLOT_WRITE && options.history && answered)
			tell_write(slot->began_ns, now_ns(), false, slot->first, slot->count, slot->sequence);
		else if (kind == SLOT_WRITE)
			finish_write(slot, false);
		if (status == SCSI_STATUS_CANCELLED || status == SCSI_STATUS_ERROR || status == SCSI_STATUS_TIMEOUT)
			lost = true;
		else if (report.errors++ < 10)
			fprintf(stderr, "status 0x%x at block %u: %s\n", (unsigned)status, slot->first,
				iscsi_get_error(iscsi));
	}
	if (task)
		scsi_free_scsi_task(task);
	if (again && !lost) {
		submit(slot);
		return;
	}
	set_busy(slot, false);
	slot->kind = SLOT_IDLE;
}

/* Data-In goes straight to the slot's buffer: libiscsi places it by an iovec. */
static struct scsi_task *submit_read(struct slot *slot, uint32_t len_bytes)
{
	static struct scsi_iovec vectors[SLOTS_MAX];
	struct scsi_iovec *vector = &vectors[slot - slots];

	vector->iov_base = slot->bytes;
	vector->iov_len = len_bytes;
	return iscsi_read16_iov_task(iscsi, url->lun, slot->first, len_bytes, (int)block_bytes, 0, 0, 0, 0, 0,
				     command_done, slot, vector, 1);
}

static void submit(struct slot *slot)
{
	uint32_t len_bytes = slot->count * block_bytes;
	struct scsi_task *task;

	slot->began_ns = now_ns();
	if (slot->kind == SLOT_READ)
		task = submit_read(slot, len_bytes);
	else if (slot->kind == SLOT_FLUSH)
		task = iscsi_synchronizecache10_task(iscsi, url->lun, 0, 0, 0, 0, command_done, slot);
	else
		task = iscsi_write16_task(iscsi, url->lun, slot->first, slot->bytes, len_bytes, (int)block_bytes, 0, 0,
					  next_random(&dice) % FUA_ONE_IN == 0, 0, 0, command_done, slot);
	if (task) {
		in_flight++;
		return;
	}
	lost = true;
	set_busy(slot, false);
	slot->kind = SLOT_IDLE;
}

/* A random extent of which nothing is in flight; false when the dice found none. */
static bool choose_extent(struct slot *slot)
{
	slot->count = 1 + (uint32_t)(next_random(&dice) % options.extent);
	slot->first = (uint32_t)(next_random(&dice) % (region - slot->count + 1));
	for (uint32_t i = slot->first; i < slot->first + slot->count; i++)
		if (blocks[i].busy || blocks[i].maybe_count == MAYBE_MAX)
			return false;
	return true;
}

static void start_operation(struct slot *slot)
{
	if (next_random(&dice) % FLUSH_ONE_IN == 0) {
		slot->kind = SLOT_FLUSH;
		slot->first = slot->count = 0;
		submit(slot);
		return;
	}
	if (!choose_extent(slot))
		return;
	slot->kind = next_random(&dice) % 100 < options.read_percent ? SLOT_READ : SLOT_WRITE;
	if (slot->kind == SLOT_WRITE) {
		slot->sequence = options.writer << WRITER_SHIFT | ++sequence;
		for (uint32_t i = 0; i < slot->count; i++)
			fill_block(slot->bytes + (size_t)i * block_bytes, slot->first + i, slot->sequence);
	}
	set_busy(slot, true);
	submit(slot);
}

/* ------------------------------------------------ the connection */

/* libiscsi answers what is in flight with CANCELLED, but forgets what was queued behind a logout: that is unanswered too. */
static void disconnect(void)
{
	if (iscsi)
		iscsi_destroy_context(iscsi);
	iscsi = NULL;
	in_flight = 0;
	for (unsigned i = 0; i < options.queue_depth; i++) {
		struct slot *slot = &slots[i];

		if (slot->kind == SLOT_WRITE)
			finish_write(slot, false);
		if (slot->kind != SLOT_IDLE)
			set_busy(slot, false);
		slot->kind = SLOT_IDLE;
	}
}

static bool try_connect(void)
{
	char name[64];

	snprintf(name, sizeof name, "iqn.2026-11.io.lunette.test:verify-io%s%.0llu", options.writer ? "-" : "",
		 (unsigned long long)options.writer);
	iscsi = iscsi_create_context(name);
	if (!iscsi)
		return false;
	iscsi_set_isid_random(iscsi, (uint32_t)(getpid() & 0xffffff), 1);
	if (url)
		iscsi_destroy_url(url);
	url = iscsi_parse_full_url(iscsi, options.url);
	if (!url) {
		fprintf(stderr, "%s\n", iscsi_get_error(iscsi));
		exit(2);
	}
	iscsi_set_targetname(iscsi, url->target);
	iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(iscsi, ISCSI_HEADER_DIGEST_NONE_CRC32C);
	iscsi_set_noautoreconnect(iscsi, 1);
	iscsi_set_timeout(iscsi, 3);
	if (iscsi_full_connect_sync(iscsi, url->portal, url->lun) == 0) {
		iscsi_set_timeout(iscsi, (int)options.command_timeout_s);
		settle_pending(now_ns());
		return true;
	}
	return false;
}

/* Connects within the time-out; false when the target does not come back. */
static bool reconnect(void)
{
	uint64_t deadline = now_ns() + options.reconnect_timeout_ms * 1000000;
	struct timespec pause = { 0, RETRY_PAUSE_MS * 1000000L };

	do {
		if (try_connect()) {
			lost = false;
			return true;
		}
		if (now_ns() > deadline)
			fprintf(stderr, "the target does not come back: %s\n", iscsi_get_error(iscsi));
		disconnect();
		nanosleep(&pause, NULL);
	} while (now_ns() < deadline);
	return false;
}

static void serve_connection(int timeout_ms)
{
	struct pollfd pfd = { .fd = iscsi_get_fd(iscsi), .events = (short)iscsi_which_events(iscsi) };

	if (poll(&pfd, 1, timeout_ms) < 0 && errno != EINTR) {
		lost = true;
		return;
	}
	if (iscsi_service(iscsi, pfd.revents) < 0)
		lost = true;
}

static bool recover(void)
{
	uint64_t before = report.last_ns;

	disconnect();
	report.reconnects++;
	if (!reconnect())
		return false;
	if (before && now_ns() - before > report.max_outage_ns)
		report.max_outage_ns = now_ns() - before;
	printf("reconnected %llu\n", (unsigned long long)report.reconnects);
	fflush(stdout);
	return true;
}

/* ------------------------------------------------ the run */

static bool learn_geometry(void)
{
	struct scsi_task *task = iscsi_readcapacity16_sync(iscsi, url->lun);
	struct scsi_readcapacity16 *capacity = task ? scsi_datain_unmarshall(task) : NULL;

	if (!capacity || capacity->block_length > 4096) {
		fprintf(stderr, "READ CAPACITY: %s\n", iscsi_get_error(iscsi));
		return false;
	}
	block_bytes = capacity->block_length;
	if (region == 0 || region > REGION_MAX)
		region = REGION_MAX;
	if (region > capacity->returned_lba + 1)
		region = (uint32_t)(capacity->returned_lba + 1);
	scsi_free_scsi_task(task);
	for (unsigned i = 0; i < options.queue_depth; i++) {
		slots[i].bytes = calloc(EXTENT_MAX, block_bytes);
		if (!slots[i].bytes)
			return false;
	}
	return region >= options.extent;
}

/* Reads or writes the whole region, EXTENT_MAX blocks at a time, each known afterwards. False: the target is gone. */
static bool sweep(enum slot_kind kind)
{
	for (uint32_t at = 0; at < region;) {
		struct slot *slot = &slots[0];

		slot->kind = kind;
		slot->first = at;
		slot->count = region - at < EXTENT_MAX ? region - at : EXTENT_MAX;
		slot->sequence = kind == SLOT_WRITE ? ++sequence : 0;
		for (uint32_t i = 0; kind == SLOT_WRITE && i < slot->count; i++)
			fill_block(slot->bytes + (size_t)i * block_bytes, at + i, slot->sequence);
		submit(slot);
		while (in_flight && !lost)
			serve_connection(100);
		if (lost && !recover())
			return false;
		if (blocks[at].known == slot->sequence || kind == SLOT_READ)
			at += slot->count;
	}
	return true;
}

static bool finished(void)
{
	return stop || (options.operations && report.operations >= options.operations);
}

static bool run(void)
{
	while (!finished() || in_flight) {
		if (lost && !recover())
			return false;
		for (unsigned i = 0; i < options.queue_depth && !lost && !finished(); i++)
			if (slots[i].kind == SLOT_IDLE)
				start_operation(&slots[i]);
		if (!lost)
			serve_connection(100);
	}
	return true;
}

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static uint64_t number_of(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (*end || !*text) {
		fprintf(stderr, "not a number: %s\n", text);
		exit(2);
	}
	return n;
}

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "queue-depth", 1, NULL, 'q' }, { "extent-blocks", 1, NULL, 'e' }, { "region-blocks", 1, NULL, 'r' },
		{ "operations", 1, NULL, 'o' },  { "seed", 1, NULL, 's' },          { "read-percent", 1, NULL, 'p' },
		{ "reconnect-timeout-ms", 1, NULL, 't' }, { "history", 1, NULL, 'h' }, { "writer", 1, NULL, 'w' },
		{ "command-timeout-s", 1, NULL, 'c' },    { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'q': options.queue_depth = (unsigned)number_of(optarg); break;
		case 'e': options.extent = (unsigned)number_of(optarg); break;
		case 'r': region = (uint32_t)number_of(optarg); break;
		case 'o': options.operations = number_of(optarg); break;
		case 's': options.seed = number_of(optarg); break;
		case 'p': options.read_percent = (unsigned)number_of(optarg); break;
		case 't': options.reconnect_timeout_ms = number_of(optarg); break;
		case 'w': options.writer = number_of(optarg); break;
		case 'c': options.command_timeout_s = number_of(optarg); break;
		case 'h': options.history = fopen(optarg, "w"); break;
		default: exit(2);
		}
	}
	if (optind != argc - 1 || !options.queue_depth || options.queue_depth > SLOTS_MAX || !options.extent ||
	    options.extent > EXTENT_MAX || !options.history != !options.writer) {
		fprintf(stderr, "usage: verify_io [--queue-depth N] [--extent-blocks N] [--region-blocks N] [--operations N] "
				"[--seed N] [--read-percent N] [--reconnect-timeout-ms N] [--command-timeout-s N] "
				"[--history FILE --writer N] iscsi://...\n");
		exit(2);
	}
	options.url = argv[optind];
	dice = options.seed + 1 + options.writer * 1000003;
}

int main(int argc, char **argv)
{
	bool complete;

	parse(argc, argv);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	if (!reconnect() || !learn_geometry() || (!options.history && !sweep(SLOT_WRITE)))
		return 1;
	printf("started, %u blocks of %u bytes\n", region, block_bytes);
	fflush(stdout);
	report.last_ns = report.max_gap_ns = report.operations = 0;
	complete = run();
	report.last_ns = 0;
	complete = complete && sweep(SLOT_READ);
	printf("{\"operations\":%llu,\"errors\":%llu,\"wrong\":%llu,\"unit_attentions\":%llu,\"busy\":%llu,"
	       "\"reconnects\":%llu,\"max_gap_ms\":%.3f,\"max_outage_ms\":%.3f,\"complete\":%s}\n",
	       (unsigned long long)report.operations, (unsigned long long)report.errors, (unsigned long long)report.wrong,
	       (unsigned long long)report.unit_attentions, (unsigned long long)report.busy,
	       (unsigned long long)report.reconnects, (double)report.max_gap_ns / 1e6, (double)report.max_outage_ns / 1e6,
	       complete ? "true" : "false");
	disconnect();
	settle_pending(NEVER);
	if (options.history && fclose(options.history) != 0)
		return 1;
	return complete && !report.wrong ? 0 : 1;
}
