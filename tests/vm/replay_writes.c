/*
 * Replays what dm-log-writes has recorded (kernel documentation, device-mapper/log-writes) onto another device, as far as a
 * power cut at a chosen moment would have let it come.
 *
 * The log: a superblock in the first sector, then entries of one sector each, the data of a write behind its entry. All
 * numbers are little-endian, all places and lengths in sectors of the logged device.
 *
 * usage: replay_writes LOG DEVICE [COUNT]    replays the first COUNT entries, or all of them
 *        replay_writes --list LOG            prints a line for each entry that orders others: its number, `flush`, `fua`,
 *                                            `mark` and the words of the mark
 * Exit status: 0 done, 1 the log is not one or a device failed.
 */
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR_BYTES  512
#define MAGIC         UINT64_C(0x6a736677736872)
#define FLAG_FLUSH    1u
#define FLAG_FUA      2u
#define FLAG_DISCARD  4u
#define FLAG_MARK     8u
#define WRITE_MAX     (64u << 20) /* bytes of one entry; more: not a log */
#define ENTRY_BYTES   32          /* before the words of a mark */

struct entry {
	uint64_t sector, sectors, flags, data_len;
	char     mark[SECTOR_BYTES - ENTRY_BYTES + 1];
};

static uint64_t number_at(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return le64toh(value);
}

/* The number of entries; false when the device holds no log of sectors of 512 bytes. */
static bool read_superblock(int log, uint64_t *ret_entries)
{
	uint8_t bytes[SECTOR_BYTES];

	if (pread(log, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes) || number_at(bytes) != MAGIC || number_at(bytes + 8) != 1)
		return false;
	*ret_entries = number_at(bytes + 16);
	return (number_at(bytes + 24) & UINT32_MAX) == SECTOR_BYTES;
}

/* The entry at a place of the log; moves the place to its data. */
static bool read_entry(int log, off_t *at, struct entry *ret_entry)
{
	uint8_t bytes[SECTOR_BYTES];

	if (pread(log, bytes, sizeof(bytes), *at) != (ssize_t)sizeof(bytes))
		return false;
	*at += SECTOR_BYTES;
	*ret_entry = (struct entry){ number_at(bytes), number_at(bytes + 8), number_at(bytes + 16), number_at(bytes + 24), "" };
	if (ret_entry->flags & FLAG_MARK && ret_entry->data_len <= SECTOR_BYTES - ENTRY_BYTES)
		memcpy(ret_entry->mark, bytes + ENTRY_BYTES, ret_entry->data_len);
	return ret_entry->sectors <= WRITE_MAX / SECTOR_BYTES;
}

static uint64_t data_bytes(const struct entry *entry)
{
	return entry->flags & (FLAG_DISCARD | FLAG_MARK) ? 0 : entry->sectors * SECTOR_BYTES;
}

static void list_entry(uint64_t number, const struct entry *entry)
{
	if (entry->flags & (FLAG_FLUSH | FLAG_FUA | FLAG_MARK))
		printf("%" PRIu64 "%s%s%s %s\n", number, entry->flags & FLAG_FLUSH ? " flush" : "",
		       entry->flags & FLAG_FUA ? " fua" : "", entry->flags & FLAG_MARK ? " mark" : "", entry->mark);
}

/* What was discarded reads as zeroes, as our thin LUNs promise (LBPRZ). */
static bool apply(int log, off_t at, int device, const struct entry *entry, uint8_t *bytes)
{
	size_t len = entry->sectors * SECTOR_BYTES;

	if (entry->flags & FLAG_MARK || len == 0)
		return true;
	memset(bytes, 0, len);
	if (!(entry->flags & FLAG_DISCARD) && pread(log, bytes, len, at) != (ssize_t)len)
		return false;
	return pwrite(device, bytes, len, (off_t)(entry->sector * SECTOR_BYTES)) == (ssize_t)len;
}

static bool walk(int log, int device, uint64_t count, uint8_t *bytes)
{
	off_t at = SECTOR_BYTES;
	struct entry entry;

	for (uint64_t number = 0; number < count; number++) {
		if (!read_entry(log, &at, &entry))
			return false;
		if (device < 0)
			list_entry(number + 1, &entry);
		else if (!apply(log, at, device, &entry, bytes))
			return false;
		at += (off_t)data_bytes(&entry);
	}
	return device < 0 || fsync(device) == 0;
}

int main(int argc, char **argv)
{
	bool list = argc == 3 && strcmp(argv[1], "--list") == 0;
	int log, device = -1;
	uint64_t entries, count;
	uint8_t *bytes = malloc(WRITE_MAX);

	if (!bytes || argc < 3 || argc > 4) {
		fprintf(stderr, "usage: replay_writes LOG DEVICE [COUNT] | --list LOG\n");
		return 1;
	}
	log = open(argv[list ? 2 : 1], O_RDONLY | O_CLOEXEC);
	if (!list)
		device = open(argv[2], O_RDWR | O_CLOEXEC);
	if (log < 0 || (!list && device < 0) || !read_superblock(log, &entries)) {
		perror("replay_writes: not a log, or a device cannot be opened");
		return 1;
	}
	count = argc == 4 ? strtoull(argv[3], NULL, 10) : entries;
	if (!walk(log, device, count < entries ? count : entries, bytes)) {
		fprintf(stderr, "replay_writes: the log is damaged or a device failed\n");
		return 1;
	}
	free(bytes);
	return 0;
}
