/*
 * Every command of the table, every reservation type, every kind of nexus: who gets RESERVATION CONFLICT. The oracle is
 * SPC-4 tables 65 and 66 and SBC-3 table 13 (SBC-4 for WRITE ATOMIC), written down here row by row and not derived from
 * access classes. A command that the oracle does not know fails the test: look it up there, then add it here.
 */
#include "tests/unit/scsi/check.h"

/*
 * What the standards' tables say of a row, in their five columns: Write Exclusive, Exclusive Access, registered with a
 * registrants only or all registrants type, not registered with Write Exclusive - RR, with Exclusive Access - RR.
 */
#define ALLOWED  "AAAAA"
#define READS    "ACAAC" /* "Allowed Conflict Allowed Allowed Conflict" */
#define WRITES   "CCACC"
#define SPC_2    "-----" /* RESERVE, RELEASE: conflict with any registration (SPC-2 5.5.1) */
#define PR_OUT   "*****" /* table 66, below */
#define NO_ACTION (-1)

static const struct {
	uint8_t opcode;
	int action;         /* NO_ACTION: any */
	const char *columns;
	int byte, value;    /* of the CDB, where the standard tells cases of one command apart; byte 0: no such thing */
} oracle[] = {
	{ 0x00, NO_ACTION, ALLOWED, 0, 0 },  /* TEST UNIT READY */
	{ 0x03, NO_ACTION, ALLOWED, 0, 0 },  /* REQUEST SENSE */
	{ 0x04, NO_ACTION, WRITES, 0, 0 },   /* FORMAT UNIT */
	{ 0x07, NO_ACTION, WRITES, 0, 0 },   /* REASSIGN BLOCKS */
	{ 0x08, NO_ACTION, READS, 0, 0 },    /* READ(6) */
	{ 0x0a, NO_ACTION, WRITES, 0, 0 },   /* WRITE(6) */
	{ 0x12, NO_ACTION, ALLOWED, 0, 0 },  /* INQUIRY */
	{ 0x15, NO_ACTION, WRITES, 0, 0 },   /* MODE SELECT(6) */
	{ 0x16, NO_ACTION, SPC_2, 0, 0 },    /* RESERVE(6) */
	{ 0x17, NO_ACTION, SPC_2, 0, 0 },    /* RELEASE(6) */
	{ 0x1a, NO_ACTION, READS, 0, 0 },    /* MODE SENSE(6) */
	{ 0x1b, NO_ACTION, ALLOWED, 4, 0x01 }, /* START STOP UNIT, START=1 and POWER CONDITION=0 */
	{ 0x1b, NO_ACTION, ALLOWED, 4, 0x03 },
	{ 0x1b, NO_ACTION, WRITES, 4, 0x00 },
	{ 0x1b, NO_ACTION, WRITES, 4, 0x02 },
	{ 0x1b, NO_ACTION, WRITES, 4, 0x11 },
	{ 0x1c, NO_ACTION, READS, 0, 0 },    /* RECEIVE DIAGNOSTIC RESULTS */
	{ 0x1d, NO_ACTION, WRITES, 0, 0 },   /* SEND DIAGNOSTIC */
	{ 0x1e, NO_ACTION, ALLOWED, 4, 0x00 }, /* PREVENT ALLOW MEDIUM REMOVAL, PREVENT=0 */
	{ 0x1e, NO_ACTION, WRITES, 4, 0x01 },
	{ 0x25, NO_ACTION, ALLOWED, 0, 0 },  /* READ CAPACITY(10) */
	{ 0x28, NO_ACTION, READS, 0, 0 },    /* READ(10) */
	{ 0x2a, NO_ACTION, WRITES, 0, 0 },   /* WRITE(10) */
	{ 0x2e, NO_ACTION, WRITES, 0, 0 },   /* WRITE AND VERIFY(10) */
	{ 0x2f, NO_ACTION, READS, 0, 0 },    /* VERIFY(10) */
	{ 0x34, NO_ACTION, READS, 0, 0 },    /* PRE-FETCH(10) */
	{ 0x35, NO_ACTION, WRITES, 0, 0 },   /* SYNCHRONIZE CACHE(10) */
	{ 0x37, NO_ACTION, READS, 0, 0 },    /* READ DEFECT DATA(10) */
	{ 0x3b, NO_ACTION, WRITES, 0, 0 },   /* WRITE BUFFER */
	{ 0x3c, NO_ACTION, READS, 0, 0 },    /* READ BUFFER(10) */
	{ 0x41, NO_ACTION, WRITES, 0, 0 },   /* WRITE SAME(10) */
	{ 0x42, NO_ACTION, WRITES, 0, 0 },   /* UNMAP */
	{ 0x48, NO_ACTION, WRITES, 0, 0 },   /* SANITIZE */
	{ 0x4c, NO_ACTION, WRITES, 0, 0 },   /* LOG SELECT */
	{ 0x4d, NO_ACTION, ALLOWED, 0, 0 },  /* LOG SENSE */
	{ 0x55, NO_ACTION, WRITES, 0, 0 },   /* MODE SELECT(10) */
	{ 0x56, NO_ACTION, SPC_2, 0, 0 },    /* RESERVE(10) */
	{ 0x57, NO_ACTION, SPC_2, 0, 0 },    /* RELEASE(10) */
	{ 0x5a, NO_ACTION, READS, 0, 0 },    /* MODE SENSE(10) */
	{ 0x5e, NO_ACTION, ALLOWED, 0, 0 },  /* PERSISTENT RESERVE IN */
	{ 0x5f, NO_ACTION, PR_OUT, 0, 0 },   /* PERSISTENT RESERVE OUT */
	{ 0x83, 0x00, WRITES, 0, 0 },        /* EXTENDED COPY(LID1) */
	{ 0x83, 0x01, WRITES, 0, 0 },        /* EXTENDED COPY(LID4) */
	{ 0x83, 0x10, READS, 0, 0 },         /* POPULATE TOKEN */
	{ 0x83, 0x11, WRITES, 0, 0 },        /* WRITE USING TOKEN */
	{ 0x83, 0x1c, WRITES, 0, 0 },        /* COPY OPERATION ABORT */
	{ 0x84, NO_ACTION, ALLOWED, 0, 0 },  /* RECEIVE COPY RESULTS and its family, RECEIVE ROD TOKEN INFORMATION */
	{ 0x88, NO_ACTION, READS, 0, 0 },    /* READ(16) */
	{ 0x89, NO_ACTION, WRITES, 0, 0 },   /* COMPARE AND WRITE */
	{ 0x8a, NO_ACTION, WRITES, 0, 0 },   /* WRITE(16) */
	{ 0x8b, NO_ACTION, WRITES, 0, 0 },   /* ORWRITE(16) */
	{ 0x8e, NO_ACTION, WRITES, 0, 0 },   /* WRITE AND VERIFY(16) */
	{ 0x8f, NO_ACTION, READS, 0, 0 },    /* VERIFY(16) */
	{ 0x90, NO_ACTION, READS, 0, 0 },    /* PRE-FETCH(16) */
	{ 0x91, NO_ACTION, WRITES, 0, 0 },   /* SYNCHRONIZE CACHE(16) */
	{ 0x93, NO_ACTION, WRITES, 0, 0 },   /* WRITE SAME(16) */
	{ 0x9b, NO_ACTION, READS, 0, 0 },    /* READ BUFFER(16) */
	{ 0x9c, NO_ACTION, WRITES, 0, 0 },   /* WRITE ATOMIC(16) */
	{ 0x9e, 0x10, ALLOWED, 0, 0 },       /* READ CAPACITY(16) */
	{ 0x9e, 0x12, READS, 0, 0 },         /* GET LBA STATUS */
	{ 0x9e, 0x13, ALLOWED, 0, 0 },       /* REPORT REFERRALS */
	{ 0xa0, NO_ACTION, ALLOWED, 0, 0 },  /* REPORT LUNS */
	{ 0xa3, 0x05, ALLOWED, 0, 0 },       /* REPORT IDENTIFYING INFORMATION */
	{ 0xa3, 0x0a, ALLOWED, 0, 0 },       /* REPORT TARGET PORT GROUPS */
	{ 0xa3, 0x0b, ALLOWED, 0, 0 },       /* REPORT ALIASES */
	{ 0xa3, 0x0c, READS, 0, 0 },         /* REPORT SUPPORTED OPERATION CODES */
	{ 0xa3, 0x0d, READS, 0, 0 },         /* REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS */
	{ 0xa3, 0x0e, ALLOWED, 0, 0 },       /* REPORT PRIORITY */
	{ 0xa3, 0x0f, ALLOWED, 0, 0 },       /* REPORT TIMESTAMP */
	{ 0xa4, NO_ACTION, WRITES, 0, 0 },   /* SET IDENTIFYING INFORMATION, TARGET PORT GROUPS, PRIORITY, TIMESTAMP */
	{ 0xa8, NO_ACTION, READS, 0, 0 },    /* READ(12) */
	{ 0xaa, NO_ACTION, WRITES, 0, 0 },   /* WRITE(12) */
	{ 0xae, NO_ACTION, WRITES, 0, 0 },   /* WRITE AND VERIFY(12) */
	{ 0xaf, NO_ACTION, READS, 0, 0 },    /* VERIFY(12) */
	{ 0xb7, NO_ACTION, READS, 0, 0 },    /* READ DEFECT DATA(12) */
};

/* SPC-4 table 66: from a registered nexus that does not hold, from one that is not registered; by service action. */
static const struct {
	char registered, unregistered;
} pr_out[] = {
	{ 'A', 'A' }, /* REGISTER */
	{ 'C', 'C' }, /* RESERVE */
	{ 'A', 'C' }, /* RELEASE */
	{ 'A', 'C' }, /* CLEAR */
	{ 'A', 'C' }, /* PREEMPT */
	{ 'A', 'C' }, /* PREEMPT AND ABORT */
	{ 'A', 'A' }, /* REGISTER AND IGNORE EXISTING KEY */
	{ 'C', 'C' }, /* REGISTER AND MOVE */
};

enum { HOLDER, REGISTRANT, OTHER }; /* world nexuses 0, 1, 2 */
enum { NO_TYPE, WE = 1, EA = 3, WE_RO = 5, EA_RO = 6, WE_AR = 7, EA_AR = 8 };

static const uint8_t types[] = { WE, EA, WE_RO, EA_RO, WE_AR, EA_AR };

static struct pr_registration registration_of(unsigned who, uint64_t key)
{
	return (struct pr_registration){ .key = key, .nexus = scsi_port_pr_nexus(&world.nexus[who]->port) };
}

/* HOLDER with key 1, REGISTRANT with key 2, the type held by HOLDER. */
static void reserve(uint8_t type)
{
	struct pr_state *pr = calloc(1, sizeof *pr + 2 * sizeof pr->registration[0]);

	assert_non_null(pr);
	pr->count = 2;
	pr->type = type;
	pr->registration[0] = registration_of(HOLDER, 1);
	pr->registration[1] = registration_of(REGISTRANT, 2);
	pthread_mutex_lock(&world.lu->lock);
	free(world.lu->pr);
	world.lu->pr = pr;
	scsi_lu_recompute_access(world.lu);
	pthread_mutex_unlock(&world.lu->lock);
}

static char expected(const char *columns, uint8_t type, unsigned who)
{
	bool registrants = type >= WE_RO, all = type >= WE_AR;

	if (*columns == '-')
		return 'C';
	if (who == HOLDER || (who == REGISTRANT && all))
		return 'A';
	if (registrants)
		return who == REGISTRANT ? columns[2] : columns[type == WE_RO || type == WE_AR ? 3 : 4];
	return columns[type == WE ? 0 : 1];
}

/* Only what scsi_task_begin() decides: nothing is executed. */
static bool conflicts(unsigned who, const uint8_t *cdb)
{
	struct scsi_task *task = world_task(&world, world.nexus[who], 0, cdb, 16, 0);
	bool conflict;

	scsi_task_begin(task);
	conflict = task->status == SCSI_RESERVATION_CONFLICT;
	scsi_task_end(task);
	free(task);
	return conflict;
}

static void check_row(const struct scsi_command *row, const char *columns, int byte, int value)
{
	uint8_t cdb[16] = { row->opcode, row->service_action == SCSI_SA_NONE ? 0 : (uint8_t)row->service_action };

	if (byte)
		cdb[byte] = (uint8_t)value;
	for (unsigned i = 0; i < sizeof types; i++) {
		reserve(types[i]);
		for (unsigned who = HOLDER; who <= OTHER; who++) {
			char is = conflicts(who, cdb) ? 'C' : 'A', should = expected(columns, types[i], who);

			if (is != should)
				fail_msg("%s (byte %d %02x), type %u, nexus %u: %c instead of %c", row->name, byte,
					 (unsigned)value, types[i], who, is, should);
		}
	}
	reserve(NO_TYPE); /* registrations alone */
	for (unsigned who = HOLDER; who <= OTHER; who++)
		if (conflicts(who, cdb) != (*columns == '-'))
			fail_msg("%s with registrations alone, nexus %u", row->name, who);
}

static void every_command_conflicts_as_the_standards_tables_say(void **state)
{
	(void)state;
	for (unsigned at = 0; at < scsi_command_count; at++) {
		const struct scsi_command *row = &scsi_commands[at];
		unsigned known = 0;

		for (unsigned i = 0; i < sizeof oracle / sizeof oracle[0]; i++) {
			if (oracle[i].opcode != row->opcode ||
			    (oracle[i].action != NO_ACTION && oracle[i].action != row->service_action))
				continue;
			known++;
			if (strcmp(oracle[i].columns, PR_OUT))
				check_row(row, oracle[i].columns, oracle[i].byte, oracle[i].value);
		}
		if (!known)
			fail_msg("%s is not in the oracle of this test", row->name);
	}
}

/* PERSISTENT RESERVE OUT is executed: with the right key, which is 0 for a nexus that is not registered. */
static char pr_out_of(unsigned who, unsigned action, uint8_t type)
{
	struct pr_nexus to = { .initiator = "iqn.1994-05.com.example:other", .isid = { 1 }, .target_port = 1 };
	struct pr_command command = {
		.action = (enum pr_action)action, .from = scsi_port_pr_nexus(&world.nexus[who]->port), .type = type,
		.key = who == OTHER ? 0 : who + 1, .service_key = action == PR_PREEMPT || action == PR_PREEMPT_AND_ABORT ? 2 : 7,
		.others = &to, .others_count = action == PR_REGISTER_AND_MOVE,
	};
	struct pr_state *next = NULL;
	struct pr_effect *effects = NULL;
	enum pr_outcome result = pr_apply(world.lu->pr, &command, &next, &effects);

	free(next);
	free(effects);
	assert_true(result == PR_GOOD || result == PR_CONFLICT);
	return result == PR_GOOD ? 'A' : 'C';
}

static void every_action_of_pr_out_conflicts_as_table_66_says(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof types; i++) {
		reserve(types[i]);
		for (unsigned action = 0; action < sizeof pr_out / sizeof pr_out[0]; action++) {
			bool all_hold = types[i] >= WE_AR;

			assert_int_equal(pr_out_of(OTHER, action, types[i]), pr_out[action].unregistered);
			if (!all_hold && pr_out_of(REGISTRANT, action, types[i]) != pr_out[action].registered)
				fail_msg("type %u action %u", types[i], action);
			/* who holds may do everything; an all registrants reservation is not moved (5.13.8) */
			assert_int_equal(pr_out_of(HOLDER, action, types[i]),
					 all_hold && action == PR_REGISTER_AND_MOVE ? 'C' : 'A');
		}
	}
}

/* SPC-2 5.5.1: PERSISTENT RESERVE IN and OUT conflict while a RESERVE(6) is there, "regardless of initiator". */
static void reserve_six_keeps_its_own_nexus_from_persistent_reservations(void **state)
{
	uint8_t list[24] = { [15] = 1 };

	(void)state;
	send(BYTES(0x16));
	expect_good();
	send_from(0, BYTES(0x5f, 0, 0, 0, 0, 0, 0, 0, 24), list, sizeof list);
	expect_conflict();
	send(BYTES(0x5e, 0, 0, 0, 0, 0, 0, 0, 64));
	expect_conflict();
	send(BYTES(0x17));
	send(BYTES(0x5e, 0, 0, 0, 0, 0, 0, 0, 64));
	expect_good();
}

/* 6.15.4: ALLOW COMMANDS 100b says that these are allowed through Write Exclusive; the oracle above holds us to it. */
static void the_capabilities_tell_what_the_table_does(void **state)
{
	static const uint8_t named[] = { 0x1a, 0x5a, 0x3c, 0x1c, 0x37 }; /* of those that exist */

	(void)state;
	send(BYTES(0x5e, 2, 0, 0, 0, 0, 0, 0, 8));
	expect_good();
	assert_int_equal(outcome.data[3] & 0x70, 0x40);
	for (unsigned i = 0; i < sizeof named; i++) {
		const struct scsi_command *row = scsi_command_row(named[i], SCSI_SA_NONE);

		if (row)
			assert_int_equal(row->access, ACCESS_READ);
	}
	assert_int_equal(scsi_command_row(0x00, SCSI_SA_NONE)->access, ACCESS_STATUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WHOLE_TEST(every_command_conflicts_as_the_standards_tables_say),
		SCSI_TEST(every_action_of_pr_out_conflicts_as_table_66_says),
		SCSI_TEST(reserve_six_keeps_its_own_nexus_from_persistent_reservations),
		SCSI_TEST(the_capabilities_tell_what_the_table_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
