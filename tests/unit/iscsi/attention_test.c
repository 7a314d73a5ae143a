/*
 * Exactly one unit attention for each event and nexus, none to who caused it where the standard says so (SAM-5 5.14): a row
 * for each event. Three sessions of the target, the third in another reactor; two LUNs, events on LUN 0.
 */
#include "dataplane/scsi/internal.h"
#include "tests/unit/iscsi/full_feature_fixture.h"

enum { ABORT_TASK = 1, ABORT_TASK_SET = 2, CLEAR_TASK_SET = 4, LU_RESET = 5, WARM_RESET = 6 };
enum { ACTOR, NEIGHBOUR, ELSEWHERE, SESSIONS };
enum { PR_REGISTER_ACTION = 0, PR_RESERVE_ACTION = 1, PR_RELEASE_ACTION = 2, PR_CLEAR_ACTION = 3, PR_PREEMPT_ACTION = 4 };

struct scene {
	struct house *house;
	struct wire *wire[SESSIONS];
};

/* The first unit attention of a nexus for a LUN, 0: none; there must not be a second. */
static uint16_t attention(struct wire *wire, uint64_t lun)
{
	uint16_t found = 0;

	for (unsigned i = 0;; i++) {
		uint8_t bhs[ISCSI_BHS_BYTES];
		struct came *came;

		command_init(wire, bhs, 0x81, 0, test_unit_ready);
		put_be64(bhs + 8, lun << 48);
		wire_send(wire, bhs, NULL, 0);
		came = wire_expect(wire, ISCSI_SCSI_RESPONSE);
		if (came->bhs[3] != SCSI_CHECK_CONDITION || came->data[2 + 2] != KEY_UNIT_ATTENTION)
			return found;
		if (found)
			fail_msg("a second unit attention, %04x behind %04x", get_be16(came->data + 2 + 12), found);
		found = get_be16(came->data + 2 + 12);
	}
}

/* Whatever the answer to a command is. */
static void send_out(struct wire *wire, const uint8_t *cdb, const uint8_t *list, uint32_t len_bytes)
{
	uint32_t itt = wire_command(wire, len_bytes ? 0xa1 : 0x81, len_bytes, cdb, list, len_bytes);

	for (unsigned i = 0; i < 1000 && wire->read_at == wire->came_count; i++)
		house_turn(wire->house);
	wire_response(wire, itt, SCSI_GOOD);
}

static void pr_out(struct wire *wire, uint8_t action, uint8_t type, uint8_t key, uint8_t service_key)
{
	const uint8_t cdb[16] = { 0x5f, action, type, [8] = 24 };
	const uint8_t list[24] = { [7] = key, [15] = service_key };

	send_out(wire, cdb, list, sizeof list);
}

static void task_management(struct scene *s, uint8_t function)
{
	uint32_t tmf = wire_task_management(s->wire[ACTOR], function, 0, 0x9999, s->wire[ACTOR]->cmdsn - 5);

	wire_task_response(s->wire[ACTOR], tmf, function == ABORT_TASK ? 1 : 0);
}

/* --- what comes before, and the events --- */

static void nothing(struct scene *s)
{
	(void)s;
}

static void all_register(struct scene *s)
{
	for (uint8_t i = 0; i < SESSIONS; i++)
		pr_out(s->wire[i], PR_REGISTER_ACTION, 0, 0, (uint8_t)(i + 1));
}

static void actor_reserves_for_registrants(struct scene *s)
{
	all_register(s);
	pr_out(s->wire[ACTOR], PR_RESERVE_ACTION, 5, 1, 0); /* write exclusive, registrants only */
}

static void neighbour_reserves(struct scene *s)
{
	all_register(s);
	pr_out(s->wire[NEIGHBOUR], PR_RESERVE_ACTION, 1, 2, 0);
}

static void abort_task(struct scene *s)     { task_management(s, ABORT_TASK); }
static void abort_task_set(struct scene *s) { task_management(s, ABORT_TASK_SET); }
static void clear_task_set(struct scene *s) { task_management(s, CLEAR_TASK_SET); }
static void lu_reset(struct scene *s)       { task_management(s, LU_RESET); }
static void warm_reset(struct scene *s)     { task_management(s, WARM_RESET); }
static void pr_release(struct scene *s)     { pr_out(s->wire[ACTOR], PR_RELEASE_ACTION, 5, 1, 0); }
static void pr_clear(struct scene *s)       { pr_out(s->wire[ACTOR], PR_CLEAR_ACTION, 0, 1, 0); }
static void pr_preempt(struct scene *s)     { pr_out(s->wire[ACTOR], PR_PREEMPT_ACTION, 1, 1, 2); }
static void capacity(struct scene *s)       { scsi_lu_capacity_changed(s->house->lun[0].lu); }
static void read_only(struct scene *s)      { scsi_lu_read_only_changed(s->house->lun[0].lu, true); }

static void mode_select(struct scene *s)
{
	const uint8_t cdb[16] = { 0x15, 0x10, 0, 0, 16 };
	const uint8_t list[16] = { 0, 0, 0, 0, 0x0a, 0x0a, 0x20, 0x10, 0x08 }; /* SWP */

	send_out(s->wire[ACTOR], cdb, list, sizeof list);
}

static void mode_select_of_what_is(struct scene *s)
{
	const uint8_t cdb[16] = { 0x15, 0x10, 0, 0, 16 };
	const uint8_t list[16] = { 0, 0, 0, 0, 0x0a, 0x0a, 0x20, 0x10 };

	send_out(s->wire[ACTOR], cdb, list, sizeof list);
}

static void reinstatement(struct scene *s)
{
	s->wire[ACTOR] = wire_login_as(s->house, 0, 1, NORMAL_NAMES, "");
}

static void connection_loss(struct scene *s)
{
	iscsi_connection_drop(s->wire[ACTOR]->connection, NULL);
	house_turn(s->house);
	s->wire[ACTOR] = wire_login_as(s->house, 0, 9, NORMAL_NAMES, ""); /* another nexus */
}

static void lun_goes(struct scene *s)
{
	struct iscsi_config *config = house_config(&(struct house_options){ 0 }, "'0':{'lun':'vol0'}");

	for (unsigned i = 0; i < HOUSE_REACTORS; i++)
		iscsi_reactor_reconfigure(&s->house->reactor[i].iscsi, config);
	iscsi_config_unref(config);
}

static const struct {
	const char *name;
	void (*before)(struct scene *scene);
	void (*event)(struct scene *scene);
	uint16_t on_lun0[SESSIONS], on_lun1[SESSIONS];
} rows[] = {
	{ "ABORT TASK", nothing, abort_task, { 0, 0, 0 }, { 0, 0, 0 } },
	{ "ABORT TASK SET", nothing, abort_task_set, { 0, 0, 0 }, { 0, 0, 0 } },
	{ "CLEAR TASK SET (TST 001b)", nothing, clear_task_set, { 0, 0, 0 }, { 0, 0, 0 } },
	{ "LOGICAL UNIT RESET", nothing, lu_reset, { 0x2903, 0x2903, 0x2903 }, { 0, 0, 0 } },
	{ "TARGET WARM RESET", nothing, warm_reset, { 0x2903, 0x2903, 0x2903 }, { 0x2903, 0x2903, 0x2903 } },
	{ "capacity", nothing, capacity, { 0x2a09, 0x2a09, 0x2a09 }, { 0, 0, 0 } },
	{ "read only by REST", nothing, read_only, { 0x2a01, 0x2a01, 0x2a01 }, { 0, 0, 0 } },
	{ "MODE SELECT", nothing, mode_select, { 0, 0x2a01, 0x2a01 }, { 0, 0, 0 } },
	{ "MODE SELECT that changes nothing", nothing, mode_select_of_what_is, { 0, 0, 0 }, { 0, 0, 0 } },
	{ "reinstatement", nothing, reinstatement, { 0x2907, 0, 0 }, { 0x2907, 0, 0 } },
	{ "loss of another connection", nothing, connection_loss, { 0, 0, 0 }, { 0, 0, 0 } },
	{ "LUN map", nothing, lun_goes, { 0x3f0e, 0x3f0e, 0x3f0e }, { 0, 0, 0 } },
	{ "PERSISTENT RESERVE OUT REGISTER", nothing, all_register, { 0, 0, 0 }, { 0, 0, 0 } },
	{ "PERSISTENT RESERVE OUT RELEASE", actor_reserves_for_registrants, pr_release, { 0, 0x2a04, 0x2a04 }, { 0, 0, 0 } },
	{ "PERSISTENT RESERVE OUT CLEAR", neighbour_reserves, pr_clear, { 0, 0x2a03, 0x2a03 }, { 0, 0, 0 } },
	{ "PERSISTENT RESERVE OUT PREEMPT", neighbour_reserves, pr_preempt, { 0, 0x2a05, 0 }, { 0, 0, 0 } },
};

static void scene_begin(struct scene *s)
{
	s->house = house_new(NULL);
	for (unsigned i = 0; i < SESSIONS; i++) {
		s->wire[i] = wire_login_as(s->house, i == ELSEWHERE, (uint8_t)(i + 1), NORMAL_NAMES, "");
		wire_settle(s->wire[i]);
	}
}

static void check(const struct scene *s, unsigned row, unsigned session)
{
	uint16_t lun0 = attention(s->wire[session], 0), lun1 = attention(s->wire[session], 1);

	if (lun0 != rows[row].on_lun0[session] || lun1 != rows[row].on_lun1[session])
		fail_msg("%s: session %u has %04x on LUN 0 and %04x on LUN 1", rows[row].name, session, lun0, lun1);
}

static void every_event_is_told_once_to_those_that_it_concerns(void **state)
{
	(void)state;
	for (unsigned row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		struct scene s;

		scene_begin(&s);
		rows[row].before(&s);
		rows[row].event(&s);
		for (unsigned i = 0; i < SESSIONS; i++)
			check(&s, row, i);
		house_free(s.house);
	}
}

/* Several of one kind before the first command are one; of different kinds, each is told. */
static void events_of_a_kind_are_told_together(void **state)
{
	struct scene s;
	unsigned count = 0;

	(void)state;
	scene_begin(&s);
	capacity(&s);
	capacity(&s);
	read_only(&s);
	for (;; count++) {
		struct came *came;

		wire_command(s.wire[ACTOR], 0x81, 0, test_unit_ready, NULL, 0);
		came = wire_expect(s.wire[ACTOR], ISCSI_SCSI_RESPONSE);
		if (came->bhs[3] == SCSI_GOOD)
			break;
	}
	assert_int_equal(count, 2);
	house_free(s.house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_is_told_once_to_those_that_it_concerns),
		cmocka_unit_test(events_of_a_kind_are_told_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
