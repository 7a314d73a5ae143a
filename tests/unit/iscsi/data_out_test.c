/* Data for writes: immediate, unsolicited, asked for; what is wrong with it; buffers that are not there. */
#include "tests/unit/iscsi/full_feature_fixture.h"

#define BLOCKS 256
#define BYTES  (BLOCKS * 512u)

static uint8_t data[BYTES], zeroes[BYTES];

static int fill(void **state)
{
	(void)state;
	pattern(data, sizeof data, 3);
	return 0;
}

/* Answers every R2T until the response comes; counts R2Ts, and looks whether they ask for [from, len) once, in pieces of
 * at most burst. */
static void answer_all(struct wire *wire, uint32_t itt, uint32_t from, uint32_t len, uint32_t burst, unsigned outstanding,
		       uint32_t r2tsn)
{
	uint32_t asked = from;
	struct came *open[ISCSI_R2TS_MAX];
	unsigned open_count = 0;

	for (;;) {
		struct came *came = wire_next(wire);

		if (came && came->bhs[0] == ISCSI_R2T) {
			assert_int_equal(bhs_itt(came->bhs), itt);
			assert_int_equal(get_be32(came->bhs + 36), r2tsn++);
			assert_int_equal(get_be32(came->bhs + 40), asked);
			assert_in_range(get_be32(came->bhs + 44), 1, burst);
			asked += get_be32(came->bhs + 44);
			assert_true(asked <= len);
			open[open_count++] = came;
			assert_true(open_count <= outstanding);
			continue;
		}
		if (came) {
			assert_int_equal(came->bhs[0], ISCSI_SCSI_RESPONSE);
			assert_int_equal(came->bhs[3], SCSI_GOOD);
			assert_int_equal(asked, len);
			return;
		}
		assert_true(open_count);
		assert_int_equal(open_count, (len - asked) ? outstanding : open_count);
		wire_answer_r2t(wire, open[0], data); /* the oldest */
		memmove(open, open + 1, --open_count * sizeof open[0]);
	}
}

static void every_mixture_of_immediate_unsolicited_and_solicited_data_is_written(void **state)
{
	static const struct {
		const char *keys;
		uint32_t immediate, unsolicited, burst;
		unsigned outstanding;
	} cases[] = {
		{ "ImmediateData=Yes\nInitialR2T=Yes\nMaxOutstandingR2T=1\nMaxBurstLength=16384\nFirstBurstLength=8192", 8192, 0, 16384, 1 },
		{ "ImmediateData=Yes\nInitialR2T=Yes\nMaxOutstandingR2T=1\nMaxBurstLength=16384\nFirstBurstLength=8192", 513, 0, 16384, 1 },
		{ "ImmediateData=No\nInitialR2T=Yes\nMaxOutstandingR2T=1\nMaxBurstLength=262144", 0, 0, 262144, 1 },
		{ "ImmediateData=No\nInitialR2T=Yes\nMaxOutstandingR2T=3\nMaxBurstLength=8192\nFirstBurstLength=8192", 0, 0, 8192, 3 },
		{ "ImmediateData=Yes\nInitialR2T=Yes\nMaxOutstandingR2T=8\nMaxBurstLength=1024\nFirstBurstLength=512", 512, 0, 1024, 8 },
		{ "ImmediateData=No\nInitialR2T=No\nMaxOutstandingR2T=2\nMaxBurstLength=16384\nFirstBurstLength=16384", 0, 16384, 16384, 2 },
		{ "ImmediateData=No\nInitialR2T=No\nMaxOutstandingR2T=2\nMaxBurstLength=16384\nFirstBurstLength=16384", 0, 1000, 16384, 2 },
		{ "ImmediateData=Yes\nInitialR2T=No\nMaxOutstandingR2T=2\nMaxBurstLength=16384\nFirstBurstLength=16384", 4096, 12288, 16384, 2 },
		{ "ImmediateData=Yes\nInitialR2T=No\nMaxOutstandingR2T=2\nMaxBurstLength=262144\nFirstBurstLength=131072", 65536, 65536, 262144, 2 },
		{ "ImmediateData=Yes\nInitialR2T=No\nMaxOutstandingR2T=2\nMaxBurstLength=262144\nFirstBurstLength=131072", 131072, 0, 262144, 2 },
	};
	struct house *house = house_new(&(struct house_options){ .params = "'max_outstanding_r2t':8" });

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct wire *wire = wire_login(house, cases[i].keys);
		uint8_t bhs[ISCSI_BHS_BYTES];
		uint32_t at = cases[i].immediate, end = at + cases[i].unsolicited, datasn = 0;

		pattern(data, sizeof data, (uint8_t)(10 * i));
		command_init(wire, bhs, cases[i].unsolicited ? 0x21 : 0xa1, BYTES, cdb10(WRITE10, 64, BLOCKS));
		wire_send(wire, bhs, data, at);
		for (; at < end; at += 700) {
			uint32_t n = end - at < 700 ? end - at : 700;

			wire_data_out(wire, bhs_itt(bhs), ISCSI_NO_TAG, datasn++, at, data + at, n, at + n == end);
		}
		answer_all(wire, bhs_itt(bhs), end, BYTES, cases[i].burst, cases[i].outstanding, 0);
		wire_check_blocks(wire, 64, BLOCKS, data);
	}
	house_free(house);
}

/* DataSN begins at 0 in each sequence; the pieces of one R2T are put together. */
static void an_r2t_is_answered_in_pieces(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes\nMaxBurstLength=65536\nMaxOutstandingR2T=1");
	uint32_t itt = wire_write10(wire, 0, BLOCKS, NULL, 0);

	(void)state;
	for (uint32_t at = 0; at < BYTES; at += 65536) {
		struct came *r2t = wire_expect(wire, ISCSI_R2T);

		for (uint32_t n = 0; n < 65536; n += 8192)
			wire_data_out(wire, itt, bhs_ttt(r2t->bhs), n / 8192, at + n, data + at + n, 8192, n == 65536 - 8192);
	}
	wire_response(wire, itt, SCSI_GOOD);
	wire_check_blocks(wire, 0, BLOCKS, data);
	house_free(house);
}

/* Several R2Ts of one task may be answered in any order. */
static void r2ts_are_answered_in_any_order(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'max_outstanding_r2t':4" });
	struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes\nMaxBurstLength=32768\nMaxOutstandingR2T=4");
	uint32_t itt = wire_write10(wire, 0, BLOCKS, NULL, 0);
	struct came *r2t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		r2t[i] = wire_expect(wire, ISCSI_R2T);
	for (int i = 3; i >= 0; i--) {
		wire_nothing(wire);
		wire_answer_r2t(wire, r2t[i], data);
	}
	wire_response(wire, itt, SCSI_GOOD);
	wire_check_blocks(wire, 0, BLOCKS, data);
	house_free(house);
}

/* All R2Ts that a task may have are reported as sent only after their data came. */
static void a_late_report_of_sent_r2ts_does_not_stop_a_write(void **state)
{
	struct house *house = house_new(&(struct house_options){ .params = "'max_outstanding_r2t':8" });
	struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes\nMaxBurstLength=8192\nFirstBurstLength=8192\n"
						"MaxOutstandingR2T=8");
	uint32_t itt = wire_write10(wire, 0, BLOCKS, NULL, 0);
	struct came *r2t;

	(void)state;
	wire->keep = true;
	for (int i = 0; i < 8; i++) {
		r2t = wire_expect(wire, ISCSI_R2T);
		wire_answer_r2t(wire, r2t, data);
	}
	wire_nothing(wire);
	wire->keep = false;
	answer_all(wire, itt, 65536, BYTES, 8192, 8, 8);
	wire_check_blocks(wire, 0, BLOCKS, data);
	house_free(house);
}

/* --- wrong data (B068, B069): rejected, failed or closed; never written outside --- */

static void wrong_data_out_ends_the_session_and_writes_nothing_else(void **state)
{
	static const struct {
		uint32_t ttt, itt, datasn, offset, len;
		bool final;
	} cases[] = { /* ttt, itt: what is added to the right one */
		{ 1, 0, 0, 4096, 4096, true },  { 0x800, 0, 0, 4096, 4096, true }, { 8, 0, 0, 4096, 4096, true },
		{ 0, 1, 0, 4096, 4096, true },  { 0, 0, 0, 4608, 4096, true },     { 0, 0, 0, 0, 4096, true },
		{ 0, 0, 0, 4096, 4097, true },  { 0, 0, 0, 4096, 8192, true },     { 0, 0, 0, 4096, 2048, true },
		{ 0, 0, 0, 4096, 4096, false }, { 0, 0, 0, UINT32_MAX, 4096, true },
	};
	struct house *house = house_new(NULL);
	struct wire *reader = wire_login(house, "");

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes\nMaxBurstLength=4096\nFirstBurstLength=4096\n"
						      "MaxOutstandingR2T=1");
		uint32_t itt = wire_write10(wire, 0, 24, NULL, 0);
		struct came *r2t = wire_expect(wire, ISCSI_R2T);

		wire_answer_r2t(wire, r2t, zeroes);
		r2t = wire_expect(wire, ISCSI_R2T);
		assert_int_equal(get_be32(r2t->bhs + 40), 4096);
		wire_data_out(wire, itt + cases[i].itt, bhs_ttt(r2t->bhs) + cases[i].ttt, cases[i].datasn, cases[i].offset, data,
			      cases[i].len, cases[i].final);
		house_turn(house);
		if (!wire->freed)
			fail_msg("case %u: still there", i);
		wire_check_blocks(reader, 0, BLOCKS, zeroes);
	}
	house_free(house);
}

/* RFC 7143 7.8: a lost Data-Out fails the command; the connection lives. */
static void a_lost_data_out_fails_the_command_alone(void **state)
{
	static const uint32_t datasns[] = { 1, 27, UINT32_MAX };
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes");

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		uint32_t itt = wire_write10(wire, 0, 8, NULL, 0);
		struct came *came = wire_expect(wire, ISCSI_R2T);

		wire_data_out(wire, itt, bhs_ttt(came->bhs), datasns[i], 0, data, 2048, false);
		wire_nothing(wire); /* what is owed comes first */
		wire_data_out(wire, itt, bhs_ttt(came->bhs), datasns[i] + 1, 2048, data, 2048, true);
		came = wire_response(wire, itt, SCSI_CHECK_CONDITION);
		assert_int_equal(came->data[2 + 2], 0x0b);
	}
	assert_int_equal(house->store_writes, 0);
	wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	house_free(house);
}

static void unsolicited_data_that_is_not_allowed_fails_the_command(void **state)
{
	static const struct {
		const char *keys;
		uint8_t flags;
		uint32_t edtl, immediate;
	} cases[] = {
		{ "ImmediateData=No", 0xa1, 4096, 4096 },
		{ "ImmediateData=Yes\nFirstBurstLength=2048\nMaxBurstLength=65536", 0xa1, 4096, 4096 },
		{ "ImmediateData=Yes", 0xa1, 4096, 4608 },
		{ "ImmediateData=Yes", 0xc1, 4096, 512 },
		{ "ImmediateData=Yes", 0x81, 0, 512 },
		{ "ImmediateData=Yes\nInitialR2T=Yes", 0x21, 4096, 512 },
	};
	struct house *house = house_new(NULL);

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct wire *wire = wire_login(house, cases[i].keys);
		uint32_t itt = wire_command(wire, cases[i].flags, cases[i].edtl, cdb10(WRITE10, 0, 8), data, cases[i].immediate);
		struct came *came;

		if (!(cases[i].flags & 0x80))
			wire_data_out(wire, itt, ISCSI_NO_TAG, 0, cases[i].immediate, data, 512, true);
		came = wire_response(wire, itt, SCSI_CHECK_CONDITION);
		assert_int_equal(came->data[2 + 2], 0x0b);
		assert_int_equal(get_be16(came->data + 2 + 12), 0x0c0c);
		wire_response(wire, wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0), SCSI_GOOD);
	}
	assert_int_equal(house->store_writes, 0);
	house_free(house);
}

static void unsolicited_data_beyond_the_first_burst_or_for_nobody_closes(void **state)
{
	struct house *house = house_new(NULL);
	const char *keys = "ImmediateData=Yes\nInitialR2T=No\nFirstBurstLength=4096\nMaxBurstLength=65536";
	struct wire *much = wire_login(house, keys), *nobody = wire_login(house, keys), *reads = wire_login(house, keys),
		    *gap = wire_login(house, keys);
	uint32_t itt = wire_command(much, 0x21, 8192, cdb10(WRITE10, 0, 16), data, 512);

	(void)state;
	wire_data_out(much, itt, ISCSI_NO_TAG, 0, 512, data, 3585, true);
	wire_data_out(nobody, 0x99, ISCSI_NO_TAG, 0, 0, data, 512, true);
	house_rules(house, "[{\"op\": \"read\", \"hold\": true}]");
	itt = wire_read10(reads, 0, 8);
	house_until_held(house, 1);
	wire_data_out(reads, itt, ISCSI_NO_TAG, 0, 0, data, 512, true);
	itt = wire_command(gap, 0x21, 8192, cdb10(WRITE10, 0, 16), data, 512);
	wire_data_out(gap, itt, ISCSI_NO_TAG, 0, 1024, data, 512, true);
	house_release(house);
	assert_true(much->freed && nobody->freed && reads->freed && gap->freed);
	assert_int_equal(house->store_writes, 0);
	house_free(house);
}

static void a_command_that_fails_takes_its_unsolicited_data_first(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "ImmediateData=Yes\nInitialR2T=No\nFirstBurstLength=65536\nMaxBurstLength=65536");
	uint32_t itt = wire_command(wire, 0x21, 8192, cdb10(WRITE10, UINT32_MAX, 16), data, 512); /* LBA out of range */

	(void)state;
	wire_nothing(wire);
	wire_data_out(wire, itt, ISCSI_NO_TAG, 0, 512, data + 512, 4096, false);
	wire_nothing(wire);
	wire_data_out(wire, itt, ISCSI_NO_TAG, 1, 4608, data + 4608, 3584, true);
	wire_response(wire, itt, SCSI_CHECK_CONDITION);
	house_free(house);
}

/* RFC 7143 11.7.4: the LUN field of a solicited Data-Out is not looked at by us. */
static void the_lun_of_a_data_out_is_not_looked_at(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes");
	uint32_t itt = wire_write10(wire, 0, 1, NULL, 0);
	struct came *r2t = wire_expect(wire, ISCSI_R2T);
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	header_init(bhs, ISCSI_DATA_OUT, 0x80, itt, 0);
	put_be64(bhs + 8, UINT64_MAX);
	put_be32(bhs + 20, bhs_ttt(r2t->bhs));
	wire_send(wire, bhs, data, 512);
	wire_response(wire, itt, SCSI_GOOD);
	house_free(house);
}

/* --- no buffers --- */

static void a_read_waits_for_buffers(void **state)
{
	struct house *house = house_new(&(struct house_options){ .small = 1, .large = 2 });
	struct wire *wire = wire_login(house, ""), *other = wire_login(house, "");

	(void)state;
	wire->keep = true;
	wire_read10(wire, 0, BLOCKS); /* both large elements */
	wire_expect(wire, ISCSI_DATA_IN);
	wire_read10(other, 0, BLOCKS);
	wire_read10(wire, 8, 128);
	wire_nothing(other);
	assert_true(other->paused && wire->paused);
	wire->keep = false;
	wire_expect(other, ISCSI_DATA_IN);
	wire_expect(wire, ISCSI_DATA_IN);
	house_free(house);
}

/* A peer that does not read its answers waits for itself, and is in nobody's way. */
static void a_waiting_connection_that_does_not_read_does_not_stop_others(void **state)
{
	struct house *house = house_new(&(struct house_options){ .small = 1, .large = 2 });
	struct wire *deaf = wire_login(house, ""), *wire = wire_login(house, ""), *other = wire_login(house, "");
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	deaf->stuck = true;
	for (unsigned i = 0; i < ISCSI_REPLIES_MAX + 10; i++) {
		header_init(bhs, 0x40, 0x80, deaf->itt++, deaf->cmdsn);
		wire_send(deaf, bhs, NULL, 0);
	}
	assert_true(deaf->paused);
	wire->keep = true;
	wire_read10(wire, 0, BLOCKS);
	wire_expect(wire, ISCSI_DATA_IN);
	wire_read10(other, 0, BLOCKS);
	assert_true(other->paused);
	wire->keep = false;
	wire_expect(other, ISCSI_DATA_IN);
	assert_true(deaf->paused);
	deaf->stuck = false;
	for (unsigned i = 0; i < ISCSI_REPLIES_MAX + 10; i++)
		wire_expect(deaf, ISCSI_NOP_IN);
	house_free(house);
}

/* A session that reads no answer takes half of the buffers, not all: the reads of others go on. */
static void sessions_that_read_nothing_leave_buffers_for_others(void **state)
{
	struct house *house = house_new(&(struct house_options){ .small = 1, .large = 8 });
	struct wire *deaf = wire_login(house, ""), *wire = wire_login(house, "");

	(void)state;
	deaf->keep = true;
	for (unsigned i = 0; i < 20; i++)
		wire_read10(deaf, 0, BLOCKS / 2);
	assert_true(deaf->paused);
	assert_true(deaf->connection->share.large <= 4);
	for (unsigned i = 0; i < 20; i++) {
		wire_read10(wire, 0, BLOCKS / 2);
		wire_expect(wire, ISCSI_DATA_IN);
	}
	deaf->keep = false;
	for (unsigned i = 0; i < 20; i++)
		wire_expect(deaf, ISCSI_DATA_IN);
	house_free(house);
}

/* What is rejected is a reply too: a peer that reads none of them is not read for ever. */
static void rejects_to_a_peer_that_does_not_read_are_bounded(void **state)
{
	struct house *house = house_new(NULL);
	struct wire *deaf = wire_login(house, "");
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	deaf->stuck = true;
	for (unsigned i = 0; i < 1000; i++) {
		header_init(bhs, 0x1f, 0x80, i, 0);
		wire_send(deaf, bhs, NULL, 0);
	}
	assert_true(deaf->connection->replies_queued <= ISCSI_REPLIES_MAX + 1);
	house_free(house);
}

/* Data that was asked for comes behind commands for which there are no buffers: the connection is read on, or it would
 * wait for itself for ever. */
static void writes_beyond_the_pool_do_not_wait_for_themselves(void **state)
{
	struct house *house = house_new(&(struct house_options){ .small = 1, .large = 3 });
	struct wire *wire = wire_login(house, "ImmediateData=Yes\nInitialR2T=Yes\nFirstBurstLength=8192\nMaxBurstLength=131072");
	struct came *r2t[12];
	uint32_t itt[12];
	unsigned asked = 0, done = 0;

	(void)state;
	for (unsigned i = 0; i < 12; i++)
		itt[i] = wire_write10(wire, i * BLOCKS, BLOCKS, data, i % 2 ? 8192 : 0);
	while (done < 12) {
		struct came *came = wire_next(wire);

		if (came && came->bhs[0] == ISCSI_R2T) {
			r2t[asked++ % 12] = came;
			continue;
		}
		if (came) {
			assert_int_equal(came->bhs[0], ISCSI_SCSI_RESPONSE);
			assert_int_equal(came->bhs[3], SCSI_GOOD);
			assert_int_equal(bhs_itt(came->bhs), itt[done++]);
			continue;
		}
		if (!asked)
			fail_msg("nothing comes any more after %u writes", done);
		wire_answer_r2t(wire, r2t[--asked], data);
	}
	for (unsigned i = 0; i < 12; i++)
		wire_check_blocks(wire, i * BLOCKS, BLOCKS, data);
	house_free(house);
}

/* The same with other commands in between, and with one that asks for nothing ordered. */
static void other_commands_keep_their_order_behind_a_write_that_waits(void **state)
{
	struct house *house = house_new(&(struct house_options){ .small = 1, .large = 2 });
	struct wire *wire = wire_login(house, "ImmediateData=No\nInitialR2T=Yes");
	uint32_t first = wire_write10(wire, 0, BLOCKS, NULL, 0), second, third, ping;
	struct came *came, *r2t = wire_expect(wire, ISCSI_R2T);
	uint8_t bhs[ISCSI_BHS_BYTES];

	(void)state;
	second = wire_write10(wire, BLOCKS, BLOCKS, NULL, 0);
	third = wire_command(wire, 0x81, 0, test_unit_ready, NULL, 0);
	header_init(bhs, 0x40, 0x80, ping = wire->itt++, wire->cmdsn);
	wire_send(wire, bhs, data, 100000); /* immediate, and nowhere to put its data */
	came = wire_expect(wire, ISCSI_REJECT);
	assert_int_equal(came->bhs[2], ISCSI_REJECT_IMMEDIATE);
	assert_int_equal(bhs_itt(came->data), ping);
	house_wait_s(house, ISCSI_GAP_S + 1);
	assert_false(wire->terminated); /* that is no gap */
	wire->read_at = wire->came_count; /* a NOP-In perhaps */
	wire_answer_r2t(wire, r2t, data);
	wire_response(wire, first, SCSI_GOOD);
	r2t = wire_next(wire);
	came = wire_next(wire); /* the third does not wait for the second's data */
	assert_int_equal(bhs_itt(r2t->bhs), second);
	assert_int_equal(r2t->bhs[0], ISCSI_R2T);
	assert_int_equal(bhs_itt(came->bhs), third);
	wire_answer_r2t(wire, r2t, data);
	wire_response(wire, second, SCSI_GOOD);
	house_free(house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mixture_of_immediate_unsolicited_and_solicited_data_is_written),
		cmocka_unit_test(an_r2t_is_answered_in_pieces),
		cmocka_unit_test(r2ts_are_answered_in_any_order),
		cmocka_unit_test(a_late_report_of_sent_r2ts_does_not_stop_a_write),
		cmocka_unit_test(wrong_data_out_ends_the_session_and_writes_nothing_else),
		cmocka_unit_test(a_lost_data_out_fails_the_command_alone),
		cmocka_unit_test(unsolicited_data_that_is_not_allowed_fails_the_command),
		cmocka_unit_test(unsolicited_data_beyond_the_first_burst_or_for_nobody_closes),
		cmocka_unit_test(a_command_that_fails_takes_its_unsolicited_data_first),
		cmocka_unit_test(the_lun_of_a_data_out_is_not_looked_at),
		cmocka_unit_test(a_read_waits_for_buffers),
		cmocka_unit_test(sessions_that_read_nothing_leave_buffers_for_others),
		cmocka_unit_test(a_waiting_connection_that_does_not_read_does_not_stop_others),
		cmocka_unit_test(rejects_to_a_peer_that_does_not_read_are_bounded),
		cmocka_unit_test(writes_beyond_the_pool_do_not_wait_for_themselves),
		cmocka_unit_test(other_commands_keep_their_order_behind_a_write_that_waits),
	};

	return cmocka_run_group_tests(tests, fill, NULL);
}
