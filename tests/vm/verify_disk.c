/*
 * Verified random I/O on block devices, through the kernel: what the guest's applications see of us.
 *
 * Every unit of 512 bytes that is written says where it belongs and which write it came from, the rest of it follows from
 * both, so that a lost, old, torn or misplaced one is seen. Each thread has a part of a device for itself, and reads back
 * what it wrote at random moments and once more at the end. Lengths are from 512 bytes to --extent, half of them whole pages.
 * Lengths behind a device are edges of its session (a burst, say): first each thread writes and reads back as many bytes as
 * come up to each edge, and one unit more.
 *
 * usage: verify_disk [options] DEVICE[,BYTES]...     ends after --operations or --seconds for each thread, or on SIGTERM
 * prints one line of JSON. Exit status: 0 nothing wrong, 1 a wrong byte or an error, 2 it did not begin.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define UNIT_BYTES    512
#define PAGE_BYTES    4096
#define THREADS_MAX   256
#define FLUSH_ONE_IN  64
#define EDGES_MAX     8
#define MAGIC         UINT64_C(0x4c756e6574746532)
#define REPORTED_MAX  5 /* wrong units told in words */

struct part {
	pthread_t thread;
	const char *path;
	const uint64_t *edges; /* units, of EDGES_MAX; 0 ends them */
	int       fd;
	uint64_t  first_unit, units;
	uint32_t *sequences; /* of the last write of each unit; 0: not written yet */
	uint8_t  *bytes;     /* options.extent of them, aligned */
	uint64_t  dice;
};

static struct {
	uint64_t extent, operations, seconds, seed;
	unsigned threads, align;
} options = { 512 << 10, 0, 0, 1, 4, UNIT_BYTES };

static struct part parts[THREADS_MAX];
static unsigned part_count;
static atomic_uint_fast64_t operations, bytes_moved, wrong, errors, longest_ms;
static volatile sig_atomic_t stop;

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ------------------------------------------------ what a unit holds */

static void fill_unit(uint64_t words[static UNIT_BYTES / 8], uint64_t unit, uint32_t sequence)
{
	uint64_t state = (unit << 32 | sequence) * UINT64_C(0x2545f4914f6cdd1d) + options.seed;

	words[0] = MAGIC;
	words[1] = unit;
	words[2] = sequence;
	for (unsigned i = 3; i < UNIT_BYTES / 8; i++)
		words[i] = state += UINT64_C(0x9e3779b97f4a7c15) ^ state >> 7;
}

static void check_unit(const struct part *part, uint64_t unit, const uint8_t *bytes)
{
	uint32_t sequence = part->sequences[unit - part->first_unit];
	uint64_t expected[UNIT_BYTES / 8], found[3];

	fill_unit(expected, unit, sequence);
	if (sequence == 0 || memcmp(expected, bytes, UNIT_BYTES) == 0)
		return;
	memcpy(found, bytes, sizeof(found));
	if (atomic_fetch_add(&wrong, 1) < REPORTED_MAX)
		fprintf(stderr, "%s: unit %" PRIu64 " is wrong: expected write %u, found %swrite %" PRIu64 " of unit %" PRIu64 "\n",
			part->path, unit, sequence, found[0] == MAGIC ? "" : "no write of ours, ", found[2], found[1]);
}

/* ------------------------------------------------ operations */

/* Moves all of an extent; false when the device reported an error, which is counted and told. */
static bool move(const struct part *part, bool write, uint64_t unit, size_t len_bytes)
{
	off_t at = (off_t)(unit * UNIT_BYTES);
	uint64_t began = now_ms(), took, before;
	ssize_t moved = write ? pwrite(part->fd, part->bytes, len_bytes, at) : pread(part->fd, part->bytes, len_bytes, at);

	took = now_ms() - began;
	for (before = longest_ms; took > before && !atomic_compare_exchange_weak(&longest_ms, &before, took);)
		;
	operations++;
	if (moved == (ssize_t)len_bytes) {
		bytes_moved += len_bytes;
		return true;
	}
	if (atomic_fetch_add(&errors, 1) < REPORTED_MAX)
		fprintf(stderr, "%s: %s of %zu bytes at unit %" PRIu64 ": %s\n", part->path, write ? "write" : "read", len_bytes,
			unit, moved < 0 ? strerror(errno) : "short");
	return false;
}

static void read_extent(const struct part *part, uint64_t unit, uint64_t count)
{
	if (!move(part, false, unit, count * UNIT_BYTES))
		return;
	for (uint64_t i = 0; i < count; i++)
		check_unit(part, unit + i, part->bytes + i * UNIT_BYTES);
}

/* A write that failed leaves its units unknown: the device said so, and the error is what fails the run. */
static void write_extent(const struct part *part, uint64_t unit, uint64_t count, uint32_t sequence)
{
	for (uint64_t i = 0; i < count; i++)
		fill_unit((uint64_t *)(void *)(part->bytes + i * UNIT_BYTES), unit + i, sequence);
	if (!move(part, true, unit, count * UNIT_BYTES))
		sequence = 0;
	for (uint64_t i = 0; i < count; i++)
		part->sequences[unit - part->first_unit + i] = sequence;
}

/* Where an extent of this length lies: anywhere in the part, in whole steps. All in units. */
static uint64_t anywhere(struct part *part, uint64_t count, uint64_t step)
{
	return part->first_unit + next_random(&part->dice) % ((part->units - count) / step + 1) * step;
}

/* The first writes of all. */
static uint32_t cross_edges(struct part *part)
{
	uint32_t sequence = 0;

	for (unsigned i = 0; i < EDGES_MAX && part->edges[i]; i++)
		for (uint64_t count = part->edges[i]; count <= part->edges[i] + 1; count++) {
			uint64_t unit = anywhere(part, count, 1);

			write_extent(part, unit, count, ++sequence);
			read_extent(part, unit, count);
		}
	return sequence;
}

static void operate(struct part *part, uint32_t sequence)
{
	uint64_t step = next_random(&part->dice) % 2 ? PAGE_BYTES / UNIT_BYTES : options.align / UNIT_BYTES;
	uint64_t count = (1 + next_random(&part->dice) % (options.extent / UNIT_BYTES / step)) * step;
	uint64_t unit = anywhere(part, count, step);

	if (next_random(&part->dice) % 3 == 0)
		read_extent(part, unit, count);
	else
		write_extent(part, unit, count, sequence);
	if (next_random(&part->dice) % FLUSH_ONE_IN == 0 && fdatasync(part->fd) != 0)
		errors++;
}

static void *run_part(void *argument)
{
	struct part *part = argument;
	uint64_t until = now_ms() + options.seconds * 1000, extent = options.extent / UNIT_BYTES;
	uint32_t crossed = cross_edges(part);

	for (uint32_t n = 1; !stop && (!options.operations || n <= options.operations); n++) {
		if (options.seconds && now_ms() >= until)
			break;
		operate(part, crossed + n);
	}
	for (uint64_t at = 0; at < part->units; at += extent)
		read_extent(part, part->first_unit + at, part->units - at < extent ? part->units - at : extent);
	return NULL;
}

/* ------------------------------------------------ the run */

/* Takes the edges off "DEVICE,BYTES,BYTES"; NULL when one of them is none, or does not fit an extent. */
static const uint64_t *take_edges(char *device)
{
	uint64_t *edges = calloc(EDGES_MAX, sizeof(*edges));
	char *rest = NULL, *word = strtok_r(device, ",", &rest);
	unsigned count = 0;

	while (edges && (word = strtok_r(NULL, ",", &rest))) {
		uint64_t bytes = strtoull(word, NULL, 10);

		if (count == EDGES_MAX || bytes < UNIT_BYTES || bytes + UNIT_BYTES > options.extent) {
			fprintf(stderr, "%s: not an edge: %s\n", device, word);
			free(edges);
			return NULL;
		}
		edges[count++] = bytes / UNIT_BYTES;
	}
	return edges;
}

static bool open_device(char *path)
{
	const uint64_t *edges = take_edges(path);
	int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	uint64_t units = size < 0 ? 0 : (uint64_t)size / PAGE_BYTES / options.threads * (PAGE_BYTES / UNIT_BYTES);

	if (!edges)
		return false;
	if (units * UNIT_BYTES < options.extent || part_count + options.threads > THREADS_MAX) {
		fprintf(stderr, "%s: %s\n", path, fd < 0 ? strerror(errno) : "too small, or too many devices");
		return false;
	}
	for (unsigned i = 0; i < options.threads; i++) {
		struct part *part = &parts[part_count++];

		*part = (struct part){ .path = path, .edges = edges, .fd = fd, .first_unit = i * units, .units = units,
				       .dice = options.seed * THREADS_MAX + part_count };
		part->sequences = calloc(units, sizeof(*part->sequences));
		part->bytes = mmap(NULL, options.extent, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (!part->sequences || part->bytes == MAP_FAILED)
			return false;
	}
	return true;
}

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static bool parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "extent", 1, NULL, 'e' }, { "operations", 1, NULL, 'o' }, { "seconds", 1, NULL, 's' }, { "seed", 1, NULL, 'r' },
		{ "threads", 1, NULL, 't' }, { "align", 1, NULL, 'a' }, { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		uint64_t number = optarg ? strtoull(optarg, NULL, 10) : 0;

		switch (option) {
		case 'e': options.extent = number; break;
		case 'o': options.operations = number; break;
		case 's': options.seconds = number; break;
		case 'r': options.seed = number; break;
		case 't': options.threads = (unsigned)number; break;
		case 'a': options.align = (unsigned)number; break;
		default: return false;
		}
	}
	return optind < argc && options.threads && (options.align == UNIT_BYTES || options.align == PAGE_BYTES) &&
	       options.extent >= PAGE_BYTES && options.extent % PAGE_BYTES == 0;
}

int main(int argc, char **argv)
{
	if (!parse(argc, argv)) {
		fprintf(stderr, "usage: verify_disk [--extent BYTES] [--operations N] [--seconds N] [--seed N] [--threads N] "
				"[--align 512|4096] DEVICE[,BYTES]...\n");
		return 2;
	}
	signal(SIGTERM, on_signal);
	for (int i = optind; i < argc; i++)
		if (!open_device(argv[i]))
			return 2;
	for (unsigned i = 0; i < part_count; i++)
		if (pthread_create(&parts[i].thread, NULL, run_part, &parts[i]) != 0)
			return 2;
	for (unsigned i = 0; i < part_count; i++)
		pthread_join(parts[i].thread, NULL);
	printf("{\"operations\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"wrong\": %" PRIu64 ", \"errors\": %" PRIu64
	       ", \"longest_ms\": %" PRIu64 "}\n", (uint64_t)operations, (uint64_t)bytes_moved, (uint64_t)wrong,
	       (uint64_t)errors, (uint64_t)longest_ms);
	return wrong || errors ? 1 : 0;
}
