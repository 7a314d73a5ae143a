/*
 * The SCSI target device model (SAM-5, SPC-4, SBC-3): logical units, I_T nexuses, the command table, reservations, unit
 * attentions, mode pages. Knows nothing of iSCSI but names: no sockets, no PDUs.
 *
 * Threads. A scsi_nexus and its tasks belong to one reactor. A scsi_lu is shared by the reactors of a worker: its lock
 * guards reservations, mode pages and the list of nexuses. The fast path takes no lock: what a nexus may do on an LU is
 * one atomic word of its scsi_itl (allowed access classes, recomputed under the LU lock whenever a reservation changes),
 * and pending unit attentions are another.
 *
 * Life of a command:
 *   scsi_task_begin()    looks at the CDB: LUN, unit attention, reservation, write protection, CDB validity; says how many
 *                        bytes of data it moves (data_bytes, direction), or that it is finished already (status, sense).
 *   the iSCSI layer      allocates task->data (data_bytes; owner SGL_SCSI), for data-out fetches the bytes into it.
 *   scsi_task_execute()  does it; task->done(task) comes on the same thread, perhaps before it returns; by then the list
 *                        is the SCSI layer's still (owner SGL_SCSI), data-in bytes [0, data_in_bytes) are valid, and the
 *                        caller hands it on with sgl_hand(&task->data, SGL_SCSI, SGL_ISCSI).
 *   scsi_task_end()      must be called once for each task that was begun, after done() or when it is never executed. Then
 *                        the task knows no LU any more; its results stay.
 */
#ifndef LUNETTE_SCSI_H
#define LUNETTE_SCSI_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/lun/lun.h"
#include "dataplane/scsi/alua.h"
#include "dataplane/scsi/jobs.h"
#include "docstore.h"
#include "list.h"
#include "mailbox.h"
#include "offload.h"
#include "sgl.h"

#define SCSI_CDB_MAX       32  /* bytes kept; cdb_len_bytes may be larger: such commands are refused */
#define SCSI_SENSE_MAX     64
#define SCSI_LUN_NUMBER_MAX 16383 /* flat space addressing, SAM-5 4.7.7.3 */
#define SCSI_DATA_MAX      SGL_BYTES_MAX
#define SCSI_SANITIZE_BYTES_PER_S (256u << 20) /* unless set otherwise */
#define SCSI_COPY_BYTES_PER_S     (1024u << 20)
#define SCSI_NAME_MAX      224 /* iSCSI name with NUL */

enum scsi_status {
	SCSI_GOOD = 0x00, SCSI_CHECK_CONDITION = 0x02, SCSI_CONDITION_MET = 0x04, SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18, SCSI_TASK_SET_FULL = 0x28, SCSI_ACA_ACTIVE = 0x30, SCSI_TASK_ABORTED = 0x40,
};

enum scsi_direction { SCSI_DATA_NONE, SCSI_DATA_IN, SCSI_DATA_OUT };

struct scsi_lu;    /* one logical unit of this worker */
struct scsi_nexus; /* one I_T nexus: one full-feature session */
struct scsi_itl;   /* one I_T_L nexus, made when the nexus first addresses the LU */
struct scsi_port_groups; /* the target port groups of one target of this worker */

/* What tasks of one reactor work with. One per reactor; outlives its tasks. */
struct scsi_reactor {
	struct store_ctx *store;
	struct offload   *offload;
	struct mailbox   *mailbox;
	struct sgl_pool  *pool;
	unsigned copies; /* third-party copies under way; the SCSI layer's */

	/* private to the SCSI layer: tasks whose turn has come (order.c) */
	struct list ready; /* struct scsi_task.in_ready */
	struct mail ready_mail;
	bool ready_posted;
	/* and copies that wait for the rate (copy.c) */
	struct list paused;
	uint64_t copy_due_ns;
	/* and writes that have their locks and will look at their paths (paths.c) */
	struct list locked; /* struct scsi_task.in_locked */
};
void scsi_reactor_init(struct scsi_reactor *reactor); /* the private part; before the first task */
/* At the end of a turn, in place of store_ctx_flush(), which it calls: what waited for that goes to the store. Their number. */
unsigned scsi_reactor_flush(struct scsi_reactor *reactor);
void scsi_reactor_tick(struct scsi_reactor *reactor); /* about once a second while there are tasks; the reactor's thread */

/* Task attributes of a SCSI Command PDU (RFC 7143 11.3.1.3). ACA is refused: no auto contingent allegiance here (INQUIRY
 * NORMACA 0). */
enum scsi_attribute { SCSI_UNTAGGED = 0, SCSI_SIMPLE = 1, SCSI_ORDERED = 2, SCSI_HEAD_OF_QUEUE = 3, SCSI_ACA = 4 };

/* A write that was given up and may still land (abandoned.c). The SCSI layer's. */
struct scsi_abandoned {
	struct scsi_lu *lu;      /* NULL: not in its list */
	uint64_t lba, end_lba;   /* what it may change */
	struct list in_lu;       /* scsi_lu.abandoned */
};

struct scsi_task {
	/* set by the iSCSI layer before begin */
	struct scsi_nexus *nexus;
	struct scsi_reactor *reactor;
	uint64_t lun;            /* the 8-byte LUN field, as a big-endian number */
	uint8_t  cdb[SCSI_CDB_MAX];
	uint16_t cdb_len_bytes;
	uint8_t  attribute;      /* enum scsi_attribute */
	uint64_t tag;            /* initiator task tag, unique in the nexus */
	uint32_t expected_bytes; /* Expected Data Transfer Length of a command that brings data; 0: unknown */
	void (*done)(struct scsi_task *task);
	/* status and sense are to be sent, though the task goes on in the background: its result is for other commands to ask for,
	 * and done() says that it has ended. */
	void (*answered)(struct scsi_task *task);
	/* Whether the initiator has closed the connection that the command came by, though we may not have read so far. NULL:
	 * it has not. Asked only where the initiator has other paths. */
	bool (*path_gone)(const struct scsi_task *task);

	/* set by begin */
	enum scsi_direction direction;
	uint32_t data_bytes;     /* bytes of data the CDB moves (data-out: expected; data-in: at most) */

	/* set by the iSCSI layer before execute */
	struct sgl data;         /* data_bytes long for data-in; for data-out min(data_bytes, EDTL) */

	/* results */
	uint8_t  status;         /* enum scsi_status */
	uint8_t  sense_len_bytes;
	uint8_t  sense[SCSI_SENSE_MAX];
	uint32_t data_in_bytes;  /* valid bytes in data, data-in only */

	/* The iSCSI layer's: aborted tasks finish their I/O but send no response. The SCSI layer looks at it before each further
	 * step of a multi-step command and stops there. */
	bool aborted;

	bool background;         /* answered() was called. The SCSI layer's, the iSCSI layer sets false, too */

	/* private to the SCSI layer */
	struct scsi_itl *itl;
	const struct scsi_command *command; /* row of the table; NULL: none */
	uint8_t order;           /* enum scsi_order */
	struct scsi_abandoned abandoned; /* the write that it is */
	struct list in_locked;   /* reactor->locked */
	struct list in_set, in_ready; /* scsi_itl.set.sequenced, reactor->ready; when order says so */
	struct lun_io   io;
	struct lun_lock lock;
	struct offload_job job;
	uint32_t sanitize_epoch; /* scsi_lu.sanitize_epoch at begin */
	struct sgl scratch;      /* for read-modify-write and verify; from reactor->pool */
	struct scsi_atomic *atomic; /* an atomic write under way; NULL: none */
	struct scsi_copy *copy;  /* a third-party copy under way; NULL: none. The iSCSI layer sets NULL, too */
	uint64_t state[16];      /* a handler's own */
};

enum scsi_begin { SCSI_NEEDS_DATA_OUT, SCSI_READY, SCSI_FINISHED };
enum scsi_begin scsi_task_begin(struct scsi_task *task);
void scsi_task_execute(struct scsi_task *task); /* now, or when the tasks that it must wait for have ended */
void scsi_task_end(struct scsi_task *task);
/* Finishes a task with CHECK CONDITION without executing it: for the transport's own findings, e.g. 0Bh/0Ch/0Ch
 * (unexpected unsolicited data). Does not call done(). */
void scsi_task_fail(struct scsi_task *task, uint8_t key, uint16_t asc_ascq);
/* The same for a task that was begun and will not be executed: nobody waits for it any more. */
void scsi_task_give_up(struct scsi_task *task, uint8_t key, uint16_t asc_ascq);
/* task->aborted was set after scsi_task_execute(): one that waits for its turn, or for other writes of its blocks, ends now,
 * done() comes before this returns;
 * others end when their step is through, and until then no later write, of whatever nexus, may touch what they write. */
void scsi_task_aborted(struct scsi_task *task);

/* What a command is counted as. */
enum scsi_count {
	SCSI_COUNT_OTHER, SCSI_COUNT_READ, SCSI_COUNT_WRITE, SCSI_COUNT_FLUSH, SCSI_COUNT_UNMAP, SCSI_COUNT_COMPARE,
};
enum scsi_count scsi_task_class(const struct scsi_task *task);
bool scsi_task_medium_error(const struct scsi_task *task); /* its sense says that the store failed */
bool scsi_task_space_error(const struct scsi_task *task);  /* its sense says that the store had no space */
void *scsi_task_user(const struct scsi_task *task);        /* scsi_lu_set_user() of its LU; NULL: none */
/* Whether it works on the LU: it is addressed to it, or copies from it or to it. */
bool scsi_task_uses(const struct scsi_task *task, const struct scsi_lu *lu);

/* --- logical units; manager thread unless said otherwise --- */

/* What the SCSI layer needs from the worker. */
struct scsi_services {
	void *arg;
	struct docstore *documents;  /* reservation/<lun id>; NULL: reservations live in this worker's memory only */
	uint64_t daemon_epoch;       /* changes with each start of the daemon, not of a worker: what ends reservations
					that were made without APTPL */
	struct offload  *offload;
	struct scsi_jobs *jobs;      /* commands that run long; NULL: they run unseen */
	/* Whether the initiator may reach the LU through the target port, of whatever target and node: what SPEC_I_PT and
	 * REGISTER AND MOVE name must be. Any thread. NULL: every name and port will do. */
	bool (*admits)(void *arg, struct scsi_lu *lu, uint16_t relative_port_id, const char *initiator_name);
	/* PREEMPT AND ABORT: abort all tasks on lu of each of the nexuses, then call done(done_arg) on the mailbox's thread.
	 * 0, or -ENOMEM: done() is not called. */
	int (*abort_nexuses)(void *arg, struct scsi_lu *lu, const uint64_t *nexus_ids, unsigned count,
			      void (*done)(void *done_arg), void *done_arg, struct mailbox *reply_to);
};

/* lun: borrowed, outlives the lu. Loads reservation/<lun id>; blocking. */
struct scsi_lu *scsi_lu_new(struct lun *lun, const struct scsi_services *services, struct err *err);
void scsi_lu_free(struct scsi_lu *lu); /* no task, no nexus may refer to it */
struct lun *scsi_lu_lun(const struct scsi_lu *lu);
void scsi_lu_set_user(struct scsi_lu *lu, void *user); /* before tasks are begun */
/* Bytes a second that each sanitize writes at most. Any thread. */
void scsi_sanitize_set_rate(uint64_t rate_bytes_per_s);
/* Bytes a second that the third-party copies of each reactor move at most, together. Any thread. */
void scsi_copy_set_rate(uint64_t rate_bytes_per_s);
/* Percentage of the store below which what is available makes UA 38/07; 0: none. Any thread, as the next. */
void scsi_lu_set_space_threshold(struct scsi_lu *lu, unsigned percent);
enum scsi_space { SPACE_ENOUGH, SPACE_SHORT, SPACE_SHORT_NOW /* the threshold was crossed just now */ };
/* What the store has now, and what the LUN has of it. */
enum scsi_space scsi_lu_set_space(struct scsi_lu *lu, uint64_t total_bytes, uint64_t available_bytes, uint64_t used_bytes);
void scsi_lu_capacity_changed(struct scsi_lu *lu); /* any thread: UA 2A/09 to every nexus */
/* Grows with what changes blocks without being a WRITE or the like to this LU: copies from another, SANITIZE. Any thread. */
uint64_t scsi_lu_other_changes(const struct scsi_lu *lu);
void scsi_lu_read_only_changed(struct scsi_lu *lu, bool read_only);
/* LOGICAL UNIT RESET after its tasks are gone (SAM-5 6.3.3): releases RESERVE(6), mode pages to saved values, UA 29/03 to
 * every nexus but `by` (may be NULL). Any thread. */
void scsi_lu_reset(struct scsi_lu *lu, const struct scsi_nexus *by);
json_t *scsi_lu_reservations_json(struct scsi_lu *lu); /* new reference: registrations, holder, type, generation */
/* An administrator clears registrations and reservations: like CLEAR. Blocking. 0 or negative errno. */
int scsi_lu_reservations_clear(struct scsi_lu *lu, struct err *err);

/* --- targets as the SCSI layer sees them: a LUN inventory --- */

/* Immutable, shared by reference count (any thread): which LU answers to which number. Sorted by number. */
struct scsi_inventory_entry {
	uint16_t number;
	bool     read_only; /* mapped read-only for this initiator */
	struct scsi_lu *lu;
};
struct scsi_inventory;
struct scsi_inventory *scsi_inventory_new(const struct scsi_inventory_entry *entries, unsigned count);
struct scsi_inventory *scsi_inventory_ref(struct scsi_inventory *inventory);
/* Whether every LU that the task works on keeps its number: else it must have ended before scsi_nexus_set_inventory(). */
bool scsi_inventory_keeps(const struct scsi_inventory *inventory, const struct scsi_task *task);
void scsi_inventory_unref(struct scsi_inventory *inventory);
struct scsi_lu *scsi_inventory_find_lu(const struct scsi_inventory *inventory, uint64_t lun); /* a LUN field; NULL: none */

/* --- target port groups of a target (port_groups.c) --- */

#define SCSI_PORT_GROUPS_MAX 64

/* documents, offload: borrowed. What initiators set is kept in the document alua/<target>. NULL: no memory. */
struct scsi_port_groups *scsi_port_groups_new(const char *target_name, const struct scsi_services *services);
void scsi_port_groups_free(struct scsi_port_groups *groups); /* no nexus may refer to it */
/* What an administrator says, groups with different tags; sets: initiators may set states (explicit ALUA). Those that are
 * there go on from their states; initiators are told what changes. Blocking. 0, or negative errno and nothing changed. */
int scsi_port_groups_configure(struct scsi_port_groups *groups, bool sets, const struct alua_configured *configured,
			       unsigned count, struct err *err);
/* What is in force now, for REST: array of {"id": tag, "relative_port_id", "state", "configured_state", "set_by":
 * "initiator" or "configuration", "preferred"}; new reference, NULL without memory. Any thread. */
json_t *scsi_port_groups_json(struct scsi_port_groups *groups);

/* --- nexuses; the owning reactor's thread --- */

struct scsi_port {
	char     initiator_name[SCSI_NAME_MAX];
	uint8_t  isid[6];
	char     target_name[SCSI_NAME_MAX];
	uint16_t portal_group_tag;
	uint16_t relative_port_id; /* unique over the cluster */
};
/* id: unique in the worker's life (PR, abort_nexuses). Keeps a reference to inventory. NULL: no memory. */
struct scsi_nexus *scsi_nexus_new(uint64_t id, const struct scsi_port *port, struct scsi_inventory *inventory);
/* Before its first task; groups (NULL: one group, active/optimized) outlives it. */
void scsi_nexus_set_port_groups(struct scsi_nexus *nexus, struct scsi_port_groups *groups);
/* I_T nexus loss: releases RESERVE(6), PREVENT ALLOW. All its tasks have ended. */
void scsi_nexus_free(struct scsi_nexus *nexus);
uint64_t scsi_nexus_id(const struct scsi_nexus *nexus);
/* The mapping changed: UA 3F/0E on every LU that stays. Tasks on LUs that went away, or to another number, must have ended.
 * false: no memory, nothing changed; the caller drops the session. */
bool scsi_nexus_set_inventory(struct scsi_nexus *nexus, struct scsi_inventory *inventory);
/* TARGET WARM/COLD RESET, I_T nexus loss by reinstatement ...: asc_ascq 0x2900 to 0x2907 on every LU of the nexus. */
void scsi_nexus_unit_attention(struct scsi_nexus *nexus, uint16_t asc_ascq);
/* The LU that a LUN field addresses, or NULL. */
struct scsi_lu *scsi_nexus_find_lu(struct scsi_nexus *nexus, uint64_t lun);

#endif
