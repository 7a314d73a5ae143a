/*
 * PERSISTENT RESERVE OUT and the power: a command that was GOOD is there after a power cut at any later moment, and one
 * that could not be made durable is never GOOD.
 *
 * The document store runs on a port that plays a file system which keeps nothing by itself: what was written to a file is
 * lost until it is fsynced, a new name, a rename or a removal until its directory is. A power cut at the nth system call
 * takes the state of the disk back to what was durable (or leaves any of it that was not: both are tried), and the daemon
 * starts again with another epoch.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cluster/docstore_port.h"
#include "tests/unit/scsi/check.h"

#define UNDO_MAX 256
#define NEVER    UINT_MAX

static char root[64];
static struct docstore *documents;
static uint64_t epoch;

/* --- a file system that forgets --- */

/* What a power cut takes back: a rename that its target directory does not know yet, a file whose bytes are not there. */
static struct undo {
	bool is_rename;
	char from[PATH_MAX], to[PATH_MAX]; /* a file: `to` alone */
} undo[UNDO_MAX];
static unsigned undo_count;

static unsigned calls, cut_at = NEVER, fail_from = NEVER, fail_fsync = NEVER, fsyncs;
static bool power;

static void path_of(int fd, const char *path, char *ret)
{
	char link[32], base[PATH_MAX / 2];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, base, sizeof base - 1);
	assert_true(n > 0);
	base[n] = '\0';
	snprintf(ret, PATH_MAX, path ? "%s/%s" : "%s", base, path);
}

static void remember(bool is_rename, const char *from, const char *to)
{
	assert_true(undo_count < UNDO_MAX);
	undo[undo_count].is_rename = is_rename;
	snprintf(undo[undo_count].from, PATH_MAX, "%s", from);
	snprintf(undo[undo_count++].to, PATH_MAX, "%s", to);
}

static void forget(unsigned at)
{
	memmove(&undo[at], &undo[at + 1], (--undo_count - at) * sizeof undo[0]);
}

/* A file that moves with its directory. */
static void follow(const char *from, const char *to)
{
	size_t len = strlen(from);
	char moved[PATH_MAX];

	for (unsigned i = 0; i < undo_count; i++)
		if (!undo[i].is_rename && !strncmp(undo[i].to, from, len) && undo[i].to[len] == '/') {
			assert_true((size_t)snprintf(moved, sizeof moved, "%s%s", to, undo[i].to + len) < sizeof moved);
			memcpy(undo[i].to, moved, sizeof moved);
		}
}

/* false: there is no power, or this call is one that fails. */
static bool works(void)
{
	if (power && ++calls >= cut_at)
		power = false;
	if (power && calls < fail_from)
		return true;
	errno = EIO;
	return false;
}

static int port_mkdirat(int fd, const char *path, mode_t mode)
{
	return works() ? docstore_port_libc.mkdirat(fd, path, mode) : -1;
}

static int port_openat(int fd, const char *path, int flags, mode_t mode)
{
	char whole[PATH_MAX];
	int opened;

	if (!works())
		return -1;
	opened = docstore_port_libc.openat(fd, path, flags, mode);
	if (opened >= 0 && flags & O_CREAT) {
		path_of(opened, NULL, whole);
		remember(false, "", whole);
	}
	return opened;
}

static ssize_t port_read(int fd, void *bytes, size_t len)
{
	return works() ? docstore_port_libc.read(fd, bytes, len) : -1;
}

static ssize_t port_write(int fd, const void *bytes, size_t len)
{
	return works() ? docstore_port_libc.write(fd, bytes, len) : -1;
}

static int port_fsync(int fd)
{
	char whole[PATH_MAX], parent[PATH_MAX];

	if (!works())
		return -1;
	if (++fsyncs == fail_fsync) {
		errno = EIO;
		return -1;
	}
	path_of(fd, NULL, whole);
	for (unsigned i = 0; i < undo_count;) {
		snprintf(parent, sizeof parent, "%s", undo[i].to);
		if (undo[i].is_rename)
			*strrchr(parent, '/') = '\0';
		if (strcmp(parent, whole))
			i++;
		else
			forget(i);
	}
	return 0;
}

static int port_faccessat(int fd, const char *path, int mode, int flags)
{
	return works() ? docstore_port_libc.faccessat(fd, path, mode, flags) : -1;
}

static int port_renameat2(int old_fd, const char *old_path, int new_fd, const char *new_path, unsigned flags)
{
	char from[PATH_MAX], to[PATH_MAX];
	int rc;

	if (!works())
		return -1;
	path_of(old_fd, old_path, from);
	path_of(new_fd, new_path, to);
	rc = docstore_port_libc.renameat2(old_fd, old_path, new_fd, new_path, flags);
	if (rc == 0) {
		follow(from, to);
		remember(true, from, to);
	}
	return rc;
}

static int port_unlinkat(int fd, const char *path, int flags)
{
	return works() ? docstore_port_libc.unlinkat(fd, path, flags) : -1;
}

static const struct docstore_port forgetful = {
	port_mkdirat, port_openat, port_read, port_write, port_fsync, port_faccessat, port_renameat2, port_unlinkat,
};

/* keeps: bit i of what is not durable happens to be on the disk. */
static void lose_power(unsigned keeps)
{
	while (undo_count--) {
		const struct undo *last = &undo[undo_count];

		if (keeps >> undo_count % 32 & 1)
			continue;
		if (last->is_rename)
			rename(last->to, last->from);
		else if (truncate(last->to, 0) < 0)
			assert_int_equal(errno, ENOENT);
	}
	undo_count = 0;
}

/* --- the daemon on it --- */

static void power_on(void)
{
	power = true;
	cut_at = fail_from = fail_fsync = NEVER;
	documents = docstore_open_port(root, "test", &forgetful, NULL);
	assert_non_null(documents);
	epoch++;
	world_init(&world, &(struct world_options){ .documents = documents, .epoch = epoch });
	calls = fsyncs = 0;
}

static void power_off(unsigned keeps)
{
	power = false;
	lose_power(keeps);
	world_fini(&world);
	docstore_close(documents);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int start(void **state)
{
	(void)state;
	strcpy(root, "/tmp/lunette-power.XXXXXX");
	assert_non_null(mkdtemp(root));
	undo_count = 0;
	epoch = 0;
	power_on();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	power_off(0);
	nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static bool pr_out(unsigned who, uint8_t action, uint8_t type, uint64_t key, uint64_t service_key, uint8_t flags)
{
	uint8_t cdb[10] = { 0x5f, action, type, [8] = 24 }, list[24] = { 0 };

	put_be64(list, key);
	put_be64(list + 8, service_key);
	list[20] = flags;
	do
		send_from(who, cdb, sizeof cdb, list, sizeof list);
	while (outcome.status == SCSI_CHECK_CONDITION && outcome.key == KEY_UNIT_ATTENTION);
	return outcome.status == SCSI_GOOD;
}

/* "generation type keys": what PERSISTENT RESERVE IN tells, but for the generation, which starts anew. */
static const char *told(void)
{
	static char text[256];
	size_t at;
	uint32_t len;

	send_from(2, BYTES(0x5e, 1, 0, 0, 0, 0, 0, 0, 24), NULL, 0);
	expect_good();
	at = (size_t)snprintf(text, sizeof text, "type %u by %llu:", get_be32(outcome.data + 4) ? outcome.data[21] : 0,
			      get_be32(outcome.data + 4) ? (unsigned long long)get_be64(outcome.data + 8) : 0ull);
	send_from(2, BYTES(0x5e, 0, 0, 0, 0, 0, 0, 1, 0), NULL, 0);
	expect_good();
	len = get_be32(outcome.data + 4);
	for (uint32_t i = 0; i < len && at < sizeof text; i += 8)
		at += (size_t)snprintf(text + at, sizeof text - at, " %llu", (unsigned long long)get_be64(outcome.data + 8 + i));
	return text;
}

/* The life of a cluster's reservation. */
static const struct step {
	uint8_t who, action, type;
	uint64_t key, service_key;
} life[] = {
	{ 0, PR_REGISTER_AND_IGNORE, 0, 0, 1 },
	{ 1, PR_REGISTER, 0, 0, 2 },
	{ 0, PR_RESERVE, PR_WRITE_EXCLUSIVE_REGISTRANTS, 1, 0 },
	{ 0, PR_RESERVE, PR_WRITE_EXCLUSIVE_REGISTRANTS, 1, 0 },
	{ 1, PR_PREEMPT, PR_EXCLUSIVE_ACCESS, 2, 1 },
	{ 0, PR_REGISTER_AND_IGNORE, 0, 0, 3 },
	{ 1, PR_RELEASE, PR_EXCLUSIVE_ACCESS, 2, 0 },
	{ 0, PR_CLEAR, 0, 3, 0 },
};

#define STEPS (sizeof life / sizeof life[0])

static bool take_step(unsigned at)
{
	const struct step *s = &life[at];
	bool registers = s->action == PR_REGISTER || s->action == PR_REGISTER_AND_IGNORE;

	return pr_out(s->who, s->action, s->type, s->key, s->service_key, registers ? 0x01 /* APTPL */ : 0);
}

static void empty_the_disk(void)
{
	power_off(0);
	nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(mkdir(root, 0700), 0);
	power_on();
}

/* Before and after each step, without any fault: what is told. */
static void learn(char (*ret_told)[256])
{
	for (unsigned i = 0; i <= STEPS; i++) {
		snprintf(ret_told[i], sizeof ret_told[i], "%s", told());
		if (i < STEPS)
			assert_true(take_step(i));
	}
}

static void what_was_good_survives_a_power_cut_at_any_later_call(void **state)
{
	char after[STEPS + 1][256];
	unsigned cuts = 0;

	(void)state;
	learn(after);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned step = 0; step < STEPS; step++) {
			for (unsigned at = 1;; at++) {
				bool good;

				empty_the_disk();
				for (unsigned i = 0; i < step; i++)
					assert_true(take_step(i));
				calls = 0;
				cut_at = at;
				good = take_step(step);
				power_off(round == 0 ? 0 : (unsigned[]){ UINT_MAX, 0x55555555, 0xaaaaaaaa }[at % 3]);
				power_on();
				if (strcmp(told(), after[step + 1]) && (good || strcmp(told(), after[step])))
					fail_msg("step %u, power cut at call %u, %s: \"%s\" instead of \"%s\"", step, at,
						 good ? "GOOD" : "not GOOD", told(), after[step + 1]);
				if (good)
					break; /* no call left to cut at */
				cuts++;
			}
		}
	}
	assert_true(cuts > 200);
}

/* The daemon lives on; after the fault the same command comes again, and then the power goes. */
static void what_could_not_be_made_durable_is_never_good(void **state)
{
	char after[STEPS + 1][256];

	(void)state;
	learn(after);
	for (unsigned step = 0; step < STEPS; step++) {
		for (unsigned at = 1;; at++) {
			bool failed, again;

			empty_the_disk();
			for (unsigned i = 0; i < step; i++)
				assert_true(take_step(i));
			fsyncs = 0;
			fail_fsync = at;
			failed = !take_step(step);
			again = take_step(step); /* perhaps a conflict: the first one had its effect */
			if (again || !failed)
				assert_string_equal(told(), after[step + 1]);
			power_off(0);
			power_on();
			if ((again || !failed) && strcmp(told(), after[step + 1]))
				fail_msg("step %u, fsync %u failed: GOOD, but after a power cut \"%s\"", step, at, told());
			if (!failed)
				break;
		}
	}
}

/* The reservation of a command that failed half-way is enforced when it is there, and not when it is not. */
static void what_is_enforced_is_what_the_document_says(void **state)
{
	uint8_t block[512] = { 0 };

	(void)state;
	for (unsigned at = 1; at < 20; at++) {
		empty_the_disk();
		assert_true(take_step(0));
		assert_true(take_step(1));
		fsyncs = 0;
		fail_fsync = at;
		take_step(2);
		fail_fsync = NEVER;
		send_block(2, 0x8a, 0, 0, 1, block, sizeof block);
		if (strncmp(told(), "type 5", 6) == 0) {
			send_block(2, 0x8a, 0, 0, 1, block, sizeof block);
			expect_conflict();
		}
		assert_true(take_step(3)); /* GOOD now, in any case */
		send_block(2, 0x8a, 0, 0, 1, block, sizeof block);
		expect_conflict();
		power_off(0);
		power_on();
		send_block(2, 0x8a, 0, 0, 1, block, sizeof block);
		expect_conflict();
	}
}

static void a_disk_that_is_full_or_gone_refuses_aptpl_and_all_else(void **state)
{
	(void)state;
	fail_from = 1;
	for (unsigned i = 0; i < STEPS; i++) {
		calls = 0;
		assert_false(take_step(i));
		assert_int_not_equal(outcome.status, SCSI_RESERVATION_CONFLICT);
	}
	assert_string_equal(told(), "type 0 by 0:");
	fail_from = NEVER;
	assert_true(take_step(0));
}

#define POWER_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		POWER_TEST(what_was_good_survives_a_power_cut_at_any_later_call),
		POWER_TEST(what_could_not_be_made_durable_is_never_good),
		POWER_TEST(what_is_enforced_is_what_the_document_says),
		POWER_TEST(a_disk_that_is_full_or_gone_refuses_aptpl_and_all_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
