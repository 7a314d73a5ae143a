/* What is particular to files: alignment, durability flags, locks, short files. */
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "dataplane/store/file.h"
#include "tests/unit/store/rig.h"

#define MIB (UINT64_C(1) << 20)

struct fixture {
	struct rig rig;
	struct store *store;
	struct store_object *object;
	uint8_t *bytes, *back;
	uint64_t seed;
};

static void fixture_init(struct fixture *f, unsigned depth)
{
	rig_init(&f->rig, depth);
	rig_dir(&f->rig);
	f->store = rig_store(&f->rig, "file", NULL);
	f->object = rig_object(f->store, "a", MIB);
	f->bytes = aligned_alloc(4096, MIB + 4096);
	f->back = aligned_alloc(4096, MIB + 4096);
	f->seed = 42;
	rig_fill(&f->seed, f->bytes, MIB + 4096);
}

static void fixture_fini(struct fixture *f)
{
	store_object_close(f->object);
	store_close(f->store);
	rig_fini(&f->rig);
	free(f->bytes);
	free(f->back);
}

/* As on a disk with 4096-byte sectors. */
static void pretend_large_sectors(struct store_object *object)
{
	file_object(object)->offset_mask = 4095;
	file_object(object)->memory_mask = 511;
	file_object(object)->serialise = true;
}

static void unaligned_requests_read_like_a_flat_array(struct fixture *f, unsigned shift)
{
	uint8_t *flat = calloc(1, MIB);

	for (unsigned round = 0; round < 150; round++) {
		uint64_t offset = rig_random(&f->seed) % (MIB / 512) * 512, max = (MIB - offset) / 512;
		uint64_t len = (1 + rig_random(&f->seed) % (round % 10 ? (max < 20 ? max : 20) : max)) * 512;
		uint8_t *from = f->bytes + shift;

		rig_fill(&f->seed, from, len);
		assert_int_equal(rig_io(&f->rig, f->object, STORE_WRITE, offset, from, len), 0);
		memcpy(flat + offset, from, len);
		offset = rig_random(&f->seed) % (MIB / 512) * 512;
		len = MIB - offset < 30 * 512 ? MIB - offset : 30 * 512;
		assert_int_equal(rig_io(&f->rig, f->object, STORE_READ, offset, f->back + shift, len), 0);
		assert_memory_equal(f->back + shift, flat + offset, len);
	}
	assert_int_equal(rig_io(&f->rig, f->object, STORE_READ, 0, f->back, MIB), 0);
	assert_memory_equal(f->back, flat, MIB);
	free(flat);
}

static void blocks_smaller_than_a_sector_are_read_modified_and_written(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, 8);
	pretend_large_sectors(f.object);
	unaligned_requests_read_like_a_flat_array(&f, 0);
	fixture_fini(&f);
}

static void memory_that_the_device_cannot_address_is_bounced(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, 8);
	file_object(f.object)->memory_mask = 511;
	unaligned_requests_read_like_a_flat_array(&f, 4);
	fixture_fini(&f);
}

static void the_page_cache_is_used_where_o_direct_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, 8);
	store_object_close(f.object);
	container_of(f.store, struct file_store, store)->direct = false;
	container_of(f.store, struct file_store, store)->offset_align = 1;
	container_of(f.store, struct file_store, store)->memory_align = 1;
	assert_int_equal(store_object_open(f.store, "a", MIB, false, &f.object, NULL), 0);
	assert_int_equal(fcntl(file_object(f.object)->fd, F_GETFL) & O_DIRECT, 0);
	unaligned_requests_read_like_a_flat_array(&f, 3);
	fixture_fini(&f);
}

/* Whole sectors and parts of them, all at once: every block must hold what its one writer wrote. */
static void concurrent_writes_to_one_sector_lose_nothing(void **state)
{
	enum { WRITERS = 64 };
	struct rig_io *r = calloc(WRITERS, sizeof *r);
	struct fixture f;

	(void)state;
	fixture_init(&f, 128);
	pretend_large_sectors(f.object);
	for (unsigned round = 0; round < 30; round++) {
		rig_fill(&f.seed, f.bytes, WRITERS * 512);
		for (unsigned i = 0; i < WRITERS; i++)
			rig_io_start(&f.rig, &r[i], f.object, STORE_WRITE, i * 512, f.bytes + i * 512, 512, i % 7 == 0);
		rig_drain(&f.rig);
		assert_int_equal(rig_io(&f.rig, f.object, STORE_READ, 0, f.back, WRITERS * 512), 0);
		assert_memory_equal(f.back, f.bytes, WRITERS * 512);
	}
	free(r);
	fixture_fini(&f);
}

static void fua_is_rwf_dsync_and_nothing_else_is(void **state)
{
	struct rig_io r[4];
	struct fixture f;

	(void)state;
	fixture_init(&f, 8);
	rig_io_start(&f.rig, &r[0], f.object, STORE_WRITE, 0, f.bytes, 4096, true);
	rig_io_start(&f.rig, &r[1], f.object, STORE_WRITE, 4096, f.bytes, 4096, false);
	rig_io_start(&f.rig, &r[2], f.object, STORE_READ, 0, f.back, 4096, true);
	rig_io_start(&f.rig, &r[3], f.object, STORE_FLUSH, 0, NULL, 0, false);
	assert_int_equal(store_aio(&r[0].io)->iocb.aio_rw_flags, RWF_DSYNC);
	assert_int_equal(store_aio(&r[1].io)->iocb.aio_rw_flags, 0);
	assert_int_equal(store_aio(&r[2].io)->iocb.aio_rw_flags, 0);
	assert_int_equal(store_aio(&r[3].io)->iocb.aio_lio_opcode, IO_CMD_FDSYNC);
	rig_drain(&f.rig);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(r[i].result, 0);
	fixture_fini(&f);
}

static void nothing_reaches_the_kernel_before_flush(void **state)
{
	struct rig_io r;
	struct fixture f;
	uint8_t byte;
	int fd;

	(void)state;
	fixture_init(&f, 8);
	fd = openat(container_of(f.store, struct file_store, store)->dir_fd, "a", O_RDONLY);
	rig_io_start(&f.rig, &r, f.object, STORE_WRITE, 0, f.bytes, 4096, false);
	assert_int_equal(store_ctx_reap(f.rig.ctx), 0);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 0);
	rig_drain(&f.rig);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, f.bytes[0]);
	close(fd);
	fixture_fini(&f);
}

static int open_in_child(const char *dir, bool read_only)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct store *store = store_open("file", NULL, dir, NULL);
		struct store_object *object;

		_exit(store ? -store_object_open(store, "a", MIB, read_only, &object, NULL) : 255);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void an_object_has_one_writer_or_many_readers_among_processes(void **state)
{
	struct store_object *other;
	struct fixture f;

	(void)state;
	fixture_init(&f, 8);
	assert_int_equal(open_in_child(f.rig.dir, false), -EBUSY);
	assert_int_equal(open_in_child(f.rig.dir, true), -EBUSY);
	assert_int_equal(store_object_open(f.store, "a", MIB, false, &other, NULL), -EBUSY);
	store_object_close(f.object);
	assert_int_equal(open_in_child(f.rig.dir, false), 0);
	assert_int_equal(store_object_open(f.store, "a", MIB, true, &f.object, NULL), 0);
	assert_int_equal(open_in_child(f.rig.dir, true), 0);
	assert_int_equal(open_in_child(f.rig.dir, false), -EBUSY);
	fixture_fini(&f);
}

static void a_reader_becomes_the_writer_when_nobody_else_reads(void **state)
{
	struct store_object *other;
	struct fixture f;
	struct err err;

	(void)state;
	fixture_init(&f, 8);
	store_object_close(f.object);
	assert_int_equal(store_object_open(f.store, "a", MIB, true, &f.object, &err), 0);
	assert_int_equal(store_object_open(f.store, "a", MIB, true, &other, &err), 0);
	assert_int_equal(store_object_make_writable(f.object, &err), -EBUSY);
	assert_int_equal(rig_io(&f.rig, f.object, STORE_WRITE, 0, f.bytes, 4096), -EROFS);
	assert_int_equal(open_in_child(f.rig.dir, false), -EBUSY); /* the shared lock is still there */
	store_object_close(other);
	assert_int_equal(open_in_child(f.rig.dir, false), -EBUSY);
	assert_int_equal(store_object_make_writable(f.object, &err), 0);
	assert_int_equal(rig_io(&f.rig, f.object, STORE_WRITE, 0, f.bytes, 4096), 0);
	assert_int_equal(open_in_child(f.rig.dir, true), -EBUSY);
	fixture_fini(&f);
}

static void an_object_shorter_than_the_mapping_says_is_eio(void **state)
{
	struct store_object *object;
	struct fixture f;
	struct err err;

	(void)state;
	fixture_init(&f, 8);
	assert_int_equal(store_object_create(f.store, "b", MIB, true, &err), 0);
	assert_int_equal(store_object_open(f.store, "b", MIB + 4096, false, &object, &err), -EIO);
	assert_int_equal(store_object_open(f.store, "missing", MIB, false, &object, &err), -ENOENT);
	assert_int_equal(store_object_grown(f.object, 2 * MIB), -EIO);
	fixture_fini(&f);
}

static void a_file_cut_short_underneath_is_eio_and_never_a_short_read(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, 8);
	assert_int_equal(ftruncate(file_object(f.object)->fd, 65536), 0);
	assert_int_equal(rig_io(&f.rig, f.object, STORE_READ, 0, f.back, 65536), 0);
	assert_int_equal(rig_io(&f.rig, f.object, STORE_READ, 65536 - 4096, f.back, 8192), -EIO);
	assert_int_equal(rig_io(&f.rig, f.object, STORE_READ, 131072, f.back, 4096), -EIO);
	fixture_fini(&f);
}

/* A file that refuses writes and fdatasync takes its place. */
static void break_fd(struct store_object *object, int *ret_saved)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	*ret_saved = dup(file_object(object)->fd);
	assert_true(fd >= 0 && dup2(fd, file_object(object)->fd) >= 0);
	close(fd);
}

static void mend_fd(struct store_object *object, int saved)
{
	assert_true(dup2(saved, file_object(object)->fd) >= 0);
	close(saved);
}

static void an_iocb_that_the_kernel_refuses_fails_alone(void **state)
{
	struct rig_io r[3];
	struct store_object *good;
	struct fixture f;
	int saved;

	(void)state;
	fixture_init(&f, 8);
	good = rig_object(f.store, "good", MIB);
	break_fd(f.object, &saved);
	rig_io_start(&f.rig, &r[0], good, STORE_WRITE, 0, f.bytes, 4096, false);
	rig_io_start(&f.rig, &r[1], f.object, STORE_WRITE, 0, f.bytes, 4096, false);
	rig_io_start(&f.rig, &r[2], good, STORE_WRITE, 4096, f.bytes, 4096, false);
	rig_drain(&f.rig);
	assert_int_equal(r[0].result, 0);
	assert_true(r[1].result < 0);
	assert_int_equal(r[2].result, 0);
	mend_fd(f.object, saved);
	store_object_close(good);
	fixture_fini(&f);
}

static void a_failed_flush_through_the_page_cache_is_remembered(void **state)
{
	struct fixture f;
	int saved;

	(void)state;
	fixture_init(&f, 8);
	for (unsigned buffered = 0; buffered < 2; buffered++) {
		file_object(f.object)->buffered = buffered;
		break_fd(f.object, &saved);
		assert_true(rig_io(&f.rig, f.object, STORE_FLUSH, 0, NULL, 0) < 0);
		mend_fd(f.object, saved);
		assert_int_equal(rig_io(&f.rig, f.object, STORE_FLUSH, 0, NULL, 0), buffered ? -EIO : 0);
	}
	fixture_fini(&f);
}

static void a_thick_object_has_its_space_reserved_and_keeps_it_when_zeroed(void **state)
{
	struct store_object *object;
	struct fixture f;
	struct err err;
	uint64_t allocated;
	struct rig_io r;

	(void)state;
	fixture_init(&f, 8);
	assert_int_equal(store_object_create(f.store, "thick", MIB, false, &err), 0);
	assert_int_equal(store_object_resize(f.store, "thick", 2 * MIB, false, &err), 0);
	assert_int_equal(store_object_allocated(f.store, "thick", &allocated), 0);
	assert_true(allocated >= 2 * MIB);
	assert_int_equal(store_object_open(f.store, "thick", 2 * MIB, false, &object, &err), 0);
	assert_int_equal(rig_io(&f.rig, object, STORE_WRITE, 0, f.bytes, MIB), 0);
	memset(&r, 0, sizeof r);
	r.io = (struct store_io){.op = STORE_UNMAP, .object = object, .len_bytes = MIB, .keep_allocated = true,
				 .done = rig_io_done};
	store_submit(f.rig.ctx, &r.io);
	rig_drain(&f.rig);
	if (r.result != -EOPNOTSUPP) {
		assert_int_equal(r.result, 0);
		assert_int_equal(store_object_allocated(f.store, "thick", &allocated), 0);
		assert_true(allocated >= 2 * MIB);
		assert_int_equal(rig_io(&f.rig, object, STORE_READ, 4096, f.back, 4096), 0);
		for (unsigned i = 0; i < 4096; i++)
			assert_int_equal(f.back[i], 0);
	}
	store_object_close(object);
	fixture_fini(&f);
}

static void a_symlink_or_a_fifo_in_the_store_is_not_an_object(void **state)
{
	struct store_object *object;
	struct fixture f;
	struct err err;
	int dir_fd;

	(void)state;
	fixture_init(&f, 8);
	dir_fd = container_of(f.store, struct file_store, store)->dir_fd;
	assert_int_equal(symlinkat("/etc/passwd", dir_fd, "link"), 0);
	assert_int_equal(mkfifoat(dir_fd, "fifo", 0600), 0);
	assert_true(store_object_open(f.store, "link", 1, true, &object, &err) < 0);
	assert_true(store_object_open(f.store, "fifo", 1, false, &object, &err) < 0);
	assert_true(store_object_resize(f.store, "link", MIB, true, &err) < 0);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_smaller_than_a_sector_are_read_modified_and_written),
		cmocka_unit_test(memory_that_the_device_cannot_address_is_bounced),
		cmocka_unit_test(the_page_cache_is_used_where_o_direct_is_refused),
		cmocka_unit_test(concurrent_writes_to_one_sector_lose_nothing),
		cmocka_unit_test(fua_is_rwf_dsync_and_nothing_else_is),
		cmocka_unit_test(nothing_reaches_the_kernel_before_flush),
		cmocka_unit_test(an_object_has_one_writer_or_many_readers_among_processes),
		cmocka_unit_test(a_reader_becomes_the_writer_when_nobody_else_reads),
		cmocka_unit_test(an_object_shorter_than_the_mapping_says_is_eio),
		cmocka_unit_test(a_file_cut_short_underneath_is_eio_and_never_a_short_read),
		cmocka_unit_test(an_iocb_that_the_kernel_refuses_fails_alone),
		cmocka_unit_test(a_failed_flush_through_the_page_cache_is_remembered),
		cmocka_unit_test(a_thick_object_has_its_space_reserved_and_keeps_it_when_zeroed),
		cmocka_unit_test(a_symlink_or_a_fifo_in_the_store_is_not_an_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
