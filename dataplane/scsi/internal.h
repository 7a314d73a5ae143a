/*
 * What the files of the SCSI layer share and nobody else sees: the row of the command table, the logical unit, the
 * nexuses, sense data, unit attentions. scsi.h is the contract with the rest of the worker.
 *
 * Locks: scsi_lu.lock guards the lists, the reservations and the mode pages of one LU; it is a leaf lock, held for
 * short computations, never across a call that leaves this layer. The words that the fast path reads are atomics.
 */
#ifndef LUNETTE_SCSI_INTERNAL_H
#define LUNETTE_SCSI_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "dataplane/scsi/alua.h"
#include "dataplane/scsi/pr_state.h"
#include "dataplane/scsi/scsi.h"
#include "wire.h"

#define SCSI_LIST_MAX_BYTES      65536           /* longest parameter list and parameter data that is looked at */
#define SCSI_DATA_IN_MAX_BYTES   (512u * 1024)   /* longest parameter data: READ FULL STATUS of all registrations */
#define SCSI_CHUNK_BYTES         (256u * 1024)   /* verify and read-modify-write work in pieces of this size */
#define SCSI_WRITE_SAME_MAX      65535u          /* blocks, VPD B0h MAXIMUM WRITE SAME LENGTH */
#define SCSI_UNMAP_MAX_BLOCKS    (1024u * 1024)  /* VPD B0h MAXIMUM UNMAP LBA COUNT */
#define SCSI_UNMAP_MAX_RANGES    256u            /* VPD B0h MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT */
#define SCSI_COMPARE_MAX_BLOCKS  255u            /* VPD B0h MAXIMUM COMPARE AND WRITE LENGTH */
#define SCSI_ATOMIC_MAX_BLOCKS   256u            /* VPD B0h MAXIMUM ATOMIC TRANSFER LENGTH */
#define SCSI_THRESHOLD_SET_BYTES (1u << 20)      /* VPD B2h THRESHOLD EXPONENT */
#define SCSI_OPTIMAL_BYTES       (1024u * 1024)  /* VPD B0h OPTIMAL TRANSFER LENGTH */

/* --- sense data (sense.c; SPC-4 4.5) --- */

enum scsi_sense_key {
	KEY_NO_SENSE = 0x0, KEY_NOT_READY = 0x2, KEY_MEDIUM_ERROR = 0x3, KEY_HARDWARE_ERROR = 0x4,
	KEY_ILLEGAL_REQUEST = 0x5, KEY_UNIT_ATTENTION = 0x6, KEY_DATA_PROTECT = 0x7, KEY_COPY_ABORTED = 0xa,
	KEY_ABORTED_COMMAND = 0xb,
	KEY_MISCOMPARE = 0xe,
};

enum scsi_asc { /* ASC << 8 | ASCQ, SPC-4 annex F */
	ASC_NONE = 0x0000,
	ASC_OPERATION_IN_PROGRESS = 0x0016,
	ASC_NOT_READY = 0x0400,
	ASC_ACCESS_STATE_TRANSITION = 0x040a,
	ASC_PORT_STANDBY = 0x040b,
	ASC_PORT_UNAVAILABLE = 0x040c,
	ASC_SANITIZE_IN_PROGRESS = 0x041b,
	ASC_WRITE_ERROR = 0x0c00,
	ASC_THIRD_PARTY_DEVICE_FAILURE = 0x0d01,
	ASC_COPY_TARGET_NOT_REACHABLE = 0x0d02,
	ASC_INCORRECT_COPY_TARGET_TYPE = 0x0d03,
	ASC_UNRECOVERED_READ_ERROR = 0x1100,
	ASC_PARAMETER_LIST_LENGTH = 0x1a00,
	ASC_MISCOMPARE = 0x1d00,
	ASC_INVALID_OPCODE = 0x2000,
	ASC_LBA_OUT_OF_RANGE = 0x2100,
	ASC_TOKEN_TYPE = 0x2301,
	ASC_TOKEN_UNKNOWN = 0x2304,
	ASC_TOKEN_CORRUPT = 0x2305,
	ASC_TOKEN_REVOKED = 0x2306,
	ASC_TOKEN_EXPIRED = 0x2307,
	ASC_TOKEN_LENGTH = 0x230a,
	ASC_INVALID_FIELD_IN_CDB = 0x2400,
	ASC_NO_SUCH_LU = 0x2500,
	ASC_INVALID_FIELD_IN_LIST = 0x2600,
	ASC_INVALID_RELEASE = 0x2604,
	ASC_TOO_MANY_CSCDS = 0x2606,
	ASC_UNSUPPORTED_CSCD = 0x2607,
	ASC_TOO_MANY_SEGMENTS = 0x2608,
	ASC_UNSUPPORTED_SEGMENT = 0x2609,
	ASC_INEXACT_SEGMENT = 0x260a,
	ASC_INLINE_DATA_LENGTH = 0x260b,
	ASC_WRITE_PROTECTED = 0x2700,
	ASC_SOFTWARE_WRITE_PROTECTED = 0x2702,
	ASC_SPACE_ALLOCATION_FAILED = 0x2707,
	ASC_NEXUS_LOST = 0x2907,
	ASC_SANITIZE_FAILED = 0x3103,
	ASC_SAVING_NOT_SUPPORTED = 0x3900,
	ASC_MEDIUM_NOT_PRESENT = 0x3a00,
	ASC_INTERNAL_TARGET_FAILURE = 0x4400,
	ASC_INVALID_MESSAGE = 0x4900,
	ASC_REMOVAL_PREVENTED = 0x5302,
	ASC_INSUFFICIENT_RESOURCES = 0x5503,
	ASC_INSUFFICIENT_REGISTRATIONS = 0x5504,
	ASC_NO_RESOURCES_FOR_TOKEN = 0x550d,
	ASC_SET_PORT_GROUPS_FAILED = 0x670a,
};

struct scsi_sense {
	uint8_t  key;       /* enum scsi_sense_key */
	uint16_t asc_ascq;
	bool     has_information;
	uint64_t information;
	bool     has_field; /* sense-key specific field pointer, SPC-4 4.5.2.4.2 */
	bool     field_in_cdb;
	uint16_t field_byte;
	bool     has_command; /* command-specific information: of a copy, the number of the segment */
	uint64_t command_specific;
	bool     has_progress; /* sense-key specific progress indication, SPC-4 4.5.2.4.4, in 65536ths */
	uint16_t progress;
};

/* Pure: the bytes of *sense in descriptor (72h) or fixed (70h) format; returns their number, at most SCSI_SENSE_MAX. */
uint8_t scsi_sense_encode(const struct scsi_sense *sense, bool descriptor, uint8_t *ret_bytes);
/* The only translation of store and document errors into sense data. error: negative errno. */
struct scsi_sense scsi_sense_from_errno(int error, bool write);

/* --- unit attentions (ua.c; SAM-5 5.14): one bit per condition, the lowest bit is reported first --- */

#define UNIT_ATTENTIONS(X)             \
	X(POWER_ON,              0x2900) \
	X(POWER_ON_OCCURRED,     0x2901) \
	X(BUS_RESET,             0x2902) \
	X(DEVICE_RESET,          0x2903) \
	X(INTERNAL_RESET,        0x2904) \
	X(TRANSCEIVER_SE,        0x2905) \
	X(TRANSCEIVER_LVD,       0x2906) \
	X(NEXUS_LOSS,            0x2907) \
	X(MEDIUM_CHANGED,        0x2800) \
	X(MODE_CHANGED,          0x2a01) \
	X(RESERVATION_PREEMPTED, 0x2a03) \
	X(RESERVATION_RELEASED,  0x2a04) \
	X(REGISTRATION_PREEMPTED, 0x2a05) \
	X(ACCESS_STATE_CHANGED,  0x2a06) \
	X(STATE_TRANSITION_FAILED, 0x2a07) \
	X(CAPACITY_CHANGED,      0x2a09) \
	X(COMMANDS_CLEARED,      0x2f00) \
	X(SPACE_THRESHOLD,       0x3807) \
	X(IDENTIFIER_CHANGED,    0x3f05) \
	X(LUNS_CHANGED,          0x3f0e)

enum scsi_ua {
#define X(name, asc_ascq) UA_##name,
	UNIT_ATTENTIONS(X)
#undef X
	UA_COUNT
};

void scsi_ua_set(struct scsi_itl *itl, enum scsi_ua ua);              /* any thread */
void scsi_ua_clear(struct scsi_itl *itl, enum scsi_ua ua);
bool scsi_ua_take(struct scsi_itl *itl, uint16_t *ret_asc_ascq);      /* the first pending one, now reported */
int  scsi_ua_from_asc(uint16_t asc_ascq);                             /* enum scsi_ua; -1: none such */
/* Every nexus that knows the LU, but `except` (may be NULL). The lu lock is held. */
void scsi_ua_set_others(struct scsi_lu *lu, const struct scsi_itl *except, enum scsi_ua ua);

/* --- the command table (table.c, commands.def) --- */

/*
 * What a command does to the logical unit, as far as reservations and write protection ask: the column of SPC-4 table 65
 * and SBC-3 table 13 that its row is in. ACCESS_NONE (an empty cell) is refused always.
 */
enum scsi_access {
	ACCESS_NONE,
	ACCESS_ANY,     /* never conflicts: INQUIRY, REPORT LUNS, REQUEST SENSE, READ CAPACITY ... */
	ACCESS_STATUS,  /* never conflicts with a persistent reservation, does with RESERVE(6): TEST UNIT READY ... */
	ACCESS_READ,    /* reads the medium or settings */
	ACCESS_WRITE,   /* changes the medium; write protection applies */
	ACCESS_MANAGE,  /* changes settings; conflicts like a write */
	ACCESS_RESERVE, /* RESERVE(6/10): conflicts with any registration */
	ACCESS_RELEASE, /* RELEASE(6/10): conflicts with any registration, ignored by those who do not hold */
	ACCESS_PR_IN,   /* PERSISTENT RESERVE IN: conflicts with RESERVE(6), even of the same nexus (SPC-2 5.5.1) */
	ACCESS_PR_OUT,  /* the same; otherwise the reservation state machine decides */
	ACCESS_COUNT
};

enum scsi_command_flags {
	CMD_UA      = 1, /* runs while a unit attention is pending */
	CMD_NO_LU   = 2, /* answered for LUN numbers without logical unit */
	CMD_WLUN    = 4, /* answered by the REPORT LUNS well-known logical unit */
	CMD_MEDIUM  = 8, /* needs the medium loaded */
	CMD_LBP     = 16, /* exists only where logical block provisioning is managed (LBPME) */
	CMD_SANITIZING = 32, /* runs while a sanitize is under way or has failed (SBC-4 4.11.2) */
	CMD_SANITIZE   = 64, /* runs when a sanitize has failed: a way out of it */
	CMD_TPGS    = 0x80, /* exists only where initiators may set access states */
	/* Runs in these asymmetric access states too (SPC-4 5.15.2.4.4, 5.15.2.4.5, 5.15.2.5); without: only in active ones. */
	CMD_STANDBY = 0x100, CMD_UNAVAILABLE = 0x200, CMD_TRANSITION = 0x400,
	CMD_ANY_STATE = CMD_STANDBY | CMD_UNAVAILABLE | CMD_TRANSITION,
};

#define SCSI_SA_NONE (-1)

struct scsi_command {
	const char *name;      /* of the standard */
	uint8_t opcode;
	int16_t service_action; /* SCSI_SA_NONE */
	uint8_t cdb_len_bytes;
	uint8_t access;        /* enum scsi_access */
	uint8_t direction;     /* enum scsi_direction, when it moves data at all */
	uint16_t flags;        /* enum scsi_command_flags */
	uint8_t length_at;     /* CDB byte and width of the allocation or parameter list length; width 0: prepare() says */
	uint8_t length_width;
	uint8_t mask[16];      /* bits that may be set (CDB USAGE DATA without opcode and service action) */
	bool (*relaxed)(const uint8_t *cdb);      /* may be NULL; true: this CDB is ACCESS_ANY */
	bool (*prepare)(struct scsi_task *task);  /* may be NULL; validates, sets direction and data_bytes; false: failed */
	void (*execute)(struct scsi_task *task);  /* ends in scsi_finish(), now or later */
};

extern const struct scsi_command scsi_commands[];
extern const unsigned scsi_command_count;

/* The row for a CDB; NULL: none. *ret_opcode_known: another service action of the opcode exists. */
const struct scsi_command *scsi_command_find(const uint8_t *cdb, bool *ret_opcode_known);
/* The row of exactly this opcode and service action (SCSI_SA_NONE); NULL: none. */
const struct scsi_command *scsi_command_row(uint8_t opcode, int service_action);
bool scsi_command_exists(const struct scsi_command *command, const struct scsi_task *task); /* for this task's LU and target */
/* Whether it runs in an asymmetric access state; pure. */
bool scsi_command_runs_in(const struct scsi_command *command, uint8_t state);

#define COMMAND(name, text, opcode, sa, len, access, dir, flags, at, width, relaxed_fn, prepare_fn, execute_fn, ...) \
	bool prepare_fn(struct scsi_task *task); \
	void execute_fn(struct scsi_task *task);
#define no_prepare scsi_prepare_length
#include "dataplane/scsi/commands.def"
#undef COMMAND
bool scsi_prevent_is_allow(const uint8_t *cdb);
bool scsi_start_is_start(const uint8_t *cdb);

/* --- task sets (order.c) --- */

enum scsi_order { /* where a task stands in its task set */
	ORDER_OUT,     /* not in one: none of its LU, not begun, ended */
	ORDER_SIMPLE,  /* counted in scsi_task_set.simple; waits for nobody */
	ORDER_DORMANT, /* in scsi_task_set.sequenced; not to be executed yet */
	ORDER_BLOCKED, /* to be executed, waits for older tasks */
	ORDER_READY,   /* in reactor->ready */
	ORDER_ENABLED, /* being executed */
};

/* Of one I_T_L nexus; its reactor's. */
struct scsi_task_set {
	unsigned simple;       /* SIMPLE tasks that joined while `sequenced` was empty: older than those in it */
	struct list sequenced; /* struct scsi_task.in_set, oldest first */
};

static inline bool scsi_order_accepts(uint8_t attribute)
{
	return attribute <= SCSI_HEAD_OF_QUEUE;
}
bool scsi_order_waits(uint8_t newer, uint8_t older); /* enum scsi_attribute, accepted ones; pure */
bool scsi_order_start(struct scsi_task *task);       /* a dormant task; false: it is blocked, and executed later */
void scsi_order_join_sequenced(struct scsi_task *task);
void scsi_order_leave_sequenced(struct scsi_task *task);

/* --- objects --- */

/* How many nexuses of its LU the initiator of this one has, by name (paths.c); changed under the lu lock. */
enum scsi_path { PATH_ONLY, PATH_NEW, PATH_ONE_OF };

struct scsi_itl {
	struct scsi_nexus *nexus;
	struct scsi_lu *lu;
	struct list in_lu;         /* scsi_lu.itls; lu lock */
	struct list in_groups;     /* scsi_port_groups.itls; its lock */
	_Atomic uint32_t allowed;  /* bit (1 << enum scsi_access): what reservations let through; and one bit
				      (1 << (ALLOWED_STATE + enum alua_state)): the state of the path */
	_Atomic uint8_t path;      /* enum scsi_path */
	uint8_t access_state;      /* enum alua_state of the nexus' target port group; lu lock */
	_Atomic uint32_t ua;       /* bit (1 << enum scsi_ua) */
	struct scsi_task_set set;
	uint16_t number;           /* LUN */
	bool read_only;            /* mapped read-only; set before the itl is seen */
	bool prevent;              /* PREVENT ALLOW MEDIUM REMOVAL; lu lock */
	struct list copies;        /* struct copy_result (copy.h); the nexus' reactor */
	unsigned copy_count;       /* of them */
};

enum scsi_sanitize_state { SANITIZE_NONE, SANITIZE_RUNS, SANITIZE_FAILED };
#define ALLOWED_STATE 16 /* in scsi_itl.allowed: bits above */

enum { PROTECT_ATTRIBUTE = 1, PROTECT_SOFTWARE = 2, PROTECT_JOURNAL = 4 /* atomic.c */ };

struct scsi_lu {
	struct lun *lun;
	void *user;                   /* the worker's */
	struct scsi_services services;
	char     document[64];        /* "reservation/<lun id>" */
	uint8_t  block_shift;         /* log2 of the logical block length */
	bool     provisioned;         /* LBPME: thin, and the store can unmap */
	bool     unmap_zeroes, volatile_cache;
	uint32_t block_bytes, physical_block_bytes, unmap_granularity_blocks;
	uint32_t sector_bytes;        /* what the medium never tears */

	_Atomic uint32_t protect;     /* PROTECT_* */
	_Atomic bool descriptor_sense; /* D_SENSE */
	_Atomic bool ejected;
	_Atomic unsigned abandoned_count;

	_Atomic bool reads_lock;      /* READ locks its range: there are atomic writes */
	uint64_t journal_version;     /* of atomic/<lun id>; who holds the journal's lock */
	_Atomic uint32_t sanitize_state; /* enum scsi_sanitize_state; changed under the lock, or by the one who runs it */
	_Atomic uint32_t sanitize_epoch; /* grows when a sanitize begins: tasks that were begun before must not go on */
	struct sanitize *sanitize;    /* sanitize.h; never NULL */

	pthread_mutex_t lock;
	struct list itls;             /* struct scsi_itl.in_lu */
	struct list abandoned;        /* struct scsi_abandoned.in_lu: writes that were aborted and are not done yet */
	struct {                      /* space.c */
		bool known, reached;
		unsigned threshold_percent; /* of the store, available; 0: none */
		uint64_t total_bytes, available_bytes, used_bytes;
	} space;
	struct scsi_itl *reserve6;    /* holder of a RESERVE(6) reservation */
	struct pr_state *pr;          /* never NULL */
	uint64_t pr_version;          /* of the document that pr was read from */
	uint64_t pr_durable;          /* the newest version of which we know that it survives a power cut */
	struct scsi_token *tokens;    /* token.h; lu lock */
	unsigned token_count;
	_Atomic uint32_t valid_tokens; /* of them; what a write looks at */
	_Atomic uint64_t other_changes;
};

struct scsi_inventory {
	_Atomic unsigned refs;
	unsigned count;
	struct scsi_inventory_entry entry[]; /* sorted by number */
};

struct scsi_nexus {
	uint64_t id;
	struct scsi_port port;
	struct scsi_inventory *inventory;
	struct scsi_itl **itl;     /* parallel to inventory->entry; NULL: not addressed yet */
	uint32_t first_ua;         /* pending for LUs that were not addressed yet */
	struct scsi_port_groups *groups; /* may be NULL */
	uint64_t access_changes;   /* of groups, that LUs not addressed yet need not tell; groups->lock */
	unsigned copies;           /* third-party copies under way */
};

/* Index into inventory->entry, -1: no such number. */
int scsi_inventory_find(const struct scsi_inventory *inventory, uint16_t number);
/* The I_T_L nexus, made when needed; NULL: no memory. */
struct scsi_itl *scsi_nexus_itl(struct scsi_nexus *nexus, unsigned index);

enum scsi_lun_kind { LUN_NUMBER, LUN_WELL_KNOWN_REPORT, LUN_INVALID };
/* Pure: SAM-5 4.7.7. */
enum scsi_lun_kind scsi_lun_decode(uint64_t field, uint16_t *ret_number);
uint64_t scsi_lun_encode(uint16_t number);

/* Recomputes what every nexus may do, after a reservation changed. The lu lock is held. */
void scsi_lu_recompute_access(struct scsi_lu *lu);
void scsi_lu_recompute_itl(struct scsi_lu *lu, struct scsi_itl *itl); /* the same for one */
/* What reservations let one nexus do; pure but for reading the lu. The lu lock is held. */
uint32_t scsi_lu_access_of(const struct scsi_lu *lu, const struct scsi_itl *itl);
/* The nexus as registrations name it. */
struct pr_nexus scsi_port_pr_nexus(const struct scsi_port *port);
static inline void scsi_lu_changed(struct scsi_lu *lu)
{
	atomic_fetch_add_explicit(&lu->other_changes, 1, memory_order_relaxed);
}
void scsi_lu_attach(struct scsi_lu *lu, struct scsi_itl *itl);
/* I_T nexus loss of one itl (SAM-5 6.3.4): releases what it holds. */
void scsi_lu_detach(struct scsi_lu *lu, struct scsi_itl *itl);
void scsi_itl_forget_copies(struct scsi_itl *itl); /* copy.c */

enum { DESIGNATOR_T10 = 1, DESIGNATOR_NAA = 3, DESIGNATOR_RTPI = 4, DESIGNATOR_TPG = 5, DESIGNATOR_SCSI_NAME = 8 };
#define SCSI_T10_ID_MAX 64
/* The T10 vendor id designator of a logical unit; its length. */
size_t scsi_t10_id(const struct lun_attributes *attributes, char ret_id[SCSI_T10_ID_MAX]);
/* VPD page 8Fh without its header (copy_inquiry.c). */
void scsi_third_party_copy_page(const struct scsi_task *task, struct wire_writer *w);

/* Space (space.c). */
uint8_t scsi_threshold_exponent(const struct scsi_lu *lu);
void scsi_provisioning_page(const struct scsi_lu *lu, unsigned pc, uint8_t *page); /* mode page 1Ch/02h, all of it but the header */
void scsi_log_provisioning(const struct scsi_lu *lu, struct wire_writer *w);       /* log page 0Ch without its header */

/* Atomic writes (atomic.c): undoes one that was interrupted; blocking. 0 or negative errno. */
int  scsi_atomic_recover(struct scsi_lu *lu, struct err *err);
void scsi_atomic_release(struct scsi_task *task); /* what its atomic write holds */

/* Sanitize (sanitize.c): reads sanitize/<lun id>, blocking, and goes on with one that was under way. 0 or negative errno. */
int  scsi_sanitize_init(struct scsi_lu *lu, struct err *err);
void scsi_sanitize_fini(struct scsi_lu *lu); /* also after a failed init; waits until nothing is written any more */
/* Why commands are refused; the state is not SANITIZE_NONE. */
struct scsi_sense scsi_sanitize_sense(const struct scsi_lu *lu);
/* Whether the task may go on: no sanitize began since it was begun. Else its sense is set. */
bool scsi_sanitize_allows(struct scsi_task *task);
/* Target port groups (port_groups.c) */
void scsi_port_groups_attach(struct scsi_itl *itl); /* before scsi_lu_attach() */
void scsi_port_groups_detach(struct scsi_itl *itl);
bool scsi_port_groups_set_supported(const struct scsi_nexus *nexus); /* by SET TARGET PORT GROUPS */
void scsi_port_groups_pass_time(struct scsi_port_groups *groups, uint64_t now_ns); /* a transition that took too long ends */
/* Why commands are refused in the state of its path (02/04xx); false: they are not. */
bool scsi_access_state_sense(struct scsi_itl *itl, struct scsi_sense *ret_sense);

/* Registrations (pr_out.c): the state in the newest document; blocking. A new state, NULL with *err. */
struct pr_state *scsi_pr_load(struct scsi_lu *lu, uint64_t *ret_version, struct err *err);

/* --- writes that were given up (abandoned.c) --- */

void scsi_abandon(struct scsi_task *task);           /* it executes and was aborted; its reactor's thread */
/* A write of the task of this thread; nothing if it is in the list. Its owner calls scsi_abandoned_is_done() at its end. */
void scsi_abandon_range(struct scsi_abandoned *record, struct scsi_lu *lu, uint64_t lba, uint64_t end_lba);
void scsi_abandoned_is_done(struct scsi_abandoned *record); /* it is in the list */
bool scsi_behind_abandoned(const struct scsi_task *task); /* it would write what an abandoned one may still write: BUSY */
bool scsi_range_is_abandoned(struct scsi_lu *lu, uint64_t lba, uint64_t end_lba);

/* --- writes of one initiator by several nexuses (paths.c) --- */

void scsi_paths_attach(struct scsi_itl *itl);       /* it is in lu->itls; lu lock */
void scsi_paths_detach(const struct scsi_itl *itl); /* it is, or just was; lu lock */
/* lun_lock_take() for a write of the nexus: sets what orders it against those of the others. lock->exclusive may be set. */
bool scsi_paths_lock(struct lun_lock *lock, const struct scsi_itl *itl);
/* The lock is held: may it write, or has its initiator given up the path? False: the task has sense. */
bool scsi_path_is_there(struct scsi_task *task, struct scsi_itl *itl, const struct lun_lock *lock);
/* The same for task->lock at the end of the turn: scsi_block_go_on() is called then. False: there is no other path. */
bool scsi_paths_look_later(struct scsi_task *task);

/* --- tasks (task.c) --- */

static inline struct scsi_lu *scsi_task_lu(const struct scsi_task *task)
{
	return task->itl ? task->itl->lu : NULL;
}

/* Its command is accepted: it is younger than all in its task set. */
static inline void scsi_order_join(struct scsi_task *task)
{
	struct scsi_task_set *set = task->itl ? &task->itl->set : NULL;

	if (!set)
		return;
	if (__builtin_expect(task->attribute > SCSI_SIMPLE || !list_empty(&set->sequenced), 0)) {
		scsi_order_join_sequenced(task);
		return;
	}
	task->order = ORDER_SIMPLE;
	set->simple++;
}

/* It has ended, if it had not already. */
static inline void scsi_order_leave(struct scsi_task *task)
{
	if (task->order == ORDER_OUT)
		return;
	if (__builtin_expect(task->order != ORDER_SIMPLE || !list_empty(&task->itl->set.sequenced), 0)) {
		scsi_order_leave_sequenced(task);
		return;
	}
	task->order = ORDER_OUT;
	task->itl->set.simple--;
}

void scsi_task_run(struct scsi_task *task); /* its turn has come: executes it, or fails it for a sanitize that has begun */
void scsi_set_sense(struct scsi_task *task, const struct scsi_sense *sense);
bool scsi_refuse(struct scsi_task *task, uint16_t asc_ascq);        /* ILLEGAL REQUEST; false, for prepare() */
bool scsi_refuse_field(struct scsi_task *task, unsigned cdb_byte);  /* 24h/00 with field pointer; false */
void scsi_refuse_list(struct scsi_task *task, unsigned list_byte);  /* 26h/00 with field pointer */
void scsi_fail_errno(struct scsi_task *task, int error, bool write);
/* Whether the nexus may do that on the medium of a logical unit, of the task's own or another: reservations, medium, write
 * protection. False: the task has status or sense. */
bool scsi_access_allows(struct scsi_task *task, struct scsi_itl *itl, enum scsi_access access);
/* Its status goes out now; it is in no task set any more, and its data is gone. scsi_finish() when it has ended. */
void scsi_go_on_in_background(struct scsi_task *task);
void scsi_finish(struct scsi_task *task); /* releases what the handler held, then task->done() */

/* Data-in that is put together in pieces: every byte beyond the allocation length is dropped (SPC-4 4.2.5.6). */
struct scsi_reply {
	struct scsi_task *task;
	uint32_t len_bytes; /* of the whole, dropped bytes included */
};
void scsi_reply_append(struct scsi_reply *reply, const void *bytes, uint32_t len_bytes);
void scsi_reply_patch(struct scsi_reply *reply, uint32_t offset, const void *bytes, uint32_t len_bytes);
/* Sets data_in_bytes and finishes the task. */
void scsi_reply_finish(struct scsi_reply *reply);
/* A whole answer at once. */
void scsi_reply_bytes(struct scsi_task *task, const void *bytes, size_t len_bytes);

/* --- block commands (block.c) --- */

/* LBA and count of a READ-like CDB, by its length. */
void scsi_block_range(const struct scsi_task *task, uint64_t *ret_lba, uint64_t *ret_blocks);
/* lba + blocks within the capacity, without overflow; else 21h/00 and false. */
bool scsi_block_check(struct scsi_task *task, uint64_t lba, uint64_t blocks);
/* Submits task->io, which the caller has filled but for lun and done. */
void scsi_block_submit(struct scsi_task *task, void (*done)(struct lun_io *io, int result));
/* Takes the range lock for a write, then runs granted(), perhaps before returning. scsi_finish() releases it. */
void scsi_block_lock(struct scsi_task *task, uint64_t lba, uint64_t blocks, bool exclusive,
		     void (*granted)(struct scsi_task *task));

void scsi_block_go_on(struct scsi_task *task, bool path_gone); /* the lock is held, the path was looked at */
bool scsi_block_lock_waits(const struct scsi_task *task); /* its lock was asked for by that and is not granted yet */

/* The same for what is no write of this range, aborted or not: tokens of the range stay valid, and granted() looks whether
 * the path is there. */
void scsi_block_quiesce(struct scsi_task *task, uint64_t lba, uint64_t blocks, bool exclusive,
			void (*granted)(struct scsi_task *task));

static inline struct scsi_task *scsi_task_of_io(struct lun_io *io)
{
	return container_of(io, struct scsi_task, io);
}

#endif
