/*
 * The iSCSI layer's own structures: node, reactor part, connection, session, task (RFC 7143). MaxConnections is 1 and
 * ErrorRecoveryLevel 0, so a full feature connection and its session live and die together.
 *
 * Threads: node is shared, its lock guards what it says. Everything else belongs to one reactor thread for life.
 */
#ifndef LUNETTE_ISCSI_H
#define LUNETTE_ISCSI_H

#include <pthread.h>

#include "dataplane/iscsi/config.h"
#include "dataplane/iscsi/datamover.h"
#include "dataplane/iscsi/login.h"
#include "dataplane/scsi/scsi.h"
#include "stats.h"

#define ISCSI_ITT_BUCKETS       64
#define ISCSI_R2TS_MAX          8      /* MaxOutstandingR2T we ever agree to */
#define ISCSI_IMMEDIATE_MAX     16     /* immediate commands of a session at a time; more: Reject 0x06 */
#define ISCSI_REPLIES_MAX       64     /* control PDUs queued to a connection before we stop reading it */
#define ISCSI_SESSION_BUCKETS   4096
#define ISCSI_LUN_BUCKETS       4096
#define ISCSI_TASKS_PER_REACTOR 8192   /* tasks of a reactor; none free: connections wait */
#define ISCSI_AHS_MAX_BYTES     272    /* Extended CDB of 260 bytes and its header, one Bidirectional Read AHS */
#define ISCSI_WRITE_STALL_S     30     /* a peer that takes nothing for so long is dropped */
#define ISCSI_GAP_S             15     /* a missing CmdSN ends the session after so long */
#define ISCSI_LOGIN_TEXT_MAX    (64U << 20) /* text of continued logins in one reactor; more: they are refused */
#define ISCSI_HELD_MAX          32     /* PDUs kept ahead of a missing CmdSN */
#define ISCSI_HELD_BYTES_MAX    (64U << 20) /* their data in one reactor; more: the connection is not read */
#define ISCSI_DISCOVERY_IDLE_S  60     /* a discovery session that asks for nothing so long ends: nobody pings it */
#define ISCSI_FINISH_S          2      /* time to read our last PDU before we close */

struct iscsi_session;
struct iscsi_reactor;
struct iscsi_abort_part;
struct iscsi_receive_row;

/* --- node: what the reactors of a worker share --- */

/* A LUN that this worker serves. Made and freed by the manager thread. */
struct iscsi_lun {
	struct list link;
	struct lun *lun;
	struct scsi_lu *lu;
	struct store *store;
	json_t *serve;                 /* its member of the serve document */
	struct stats_slot **stats;     /* one a reactor, NULL behind the last */
	uint64_t allocated_as_of;      /* reactor/allocated.c: how far it was written when it was last asked for */
	unsigned allocated_pass;
	uint64_t space_errors;         /* reactor/space.c: as of its last look */
	unsigned full_looks;           /* looks for which the store still counts as full */
	uint64_t unique;               /* tells a LUN from a later one with the same name */
};

/* What is known of a target beyond a configuration: kept until the worker ends. */
struct iscsi_known_target {
	struct list link;
	char name[ISCSI_NAME_MAX];
	struct scsi_port_groups *port_groups; /* NULL: it was never this worker's */
	struct stats_slot *slot[];     /* statistics, one a reactor, claimed when a session needs one */
};

struct iscsi_node {
	unsigned worker;
	struct stats_segment *stats;
	struct iscsi_reactor **reactor;
	unsigned reactor_count;
	void (*event)(const char *kind, const char *object, const char *text); /* tell control; any thread */
	void (*connection_closed)(const struct iscsi_peer *peer); /* any reactor */
	/* Passes a connection to another worker: its first Login Request is `bytes`. Takes fd. 0 or negative errno. Any thread. */
	int (*hand_over)(unsigned owner, const char *portal, int fd, const uint8_t *bytes, uint32_t len_bytes);

	pthread_mutex_t lock;          /* guards all below */
	struct iscsi_config *config;
	struct list luns[ISCSI_LUN_BUCKETS]; /* struct iscsi_lun, by name */
	struct list targets[ISCSI_LUN_BUCKETS]; /* struct iscsi_known_target, by name */
	struct list sessions[ISCSI_SESSION_BUCKETS]; /* struct iscsi_session.node_link, by initiator and target */
	unsigned session_count;
	uint16_t last_tsih;
	uint64_t last_nexus_id;
	bool draining;
};

int  iscsi_node_init(struct iscsi_node *node, unsigned worker, unsigned reactor_count);
void iscsi_node_fini(struct iscsi_node *node);
struct iscsi_config *iscsi_node_config(struct iscsi_node *node); /* a new reference */
struct iscsi_lun *iscsi_node_find_lun(struct iscsi_node *node, const char *name); /* lock held */
bool iscsi_node_serves(struct iscsi_node *node, const struct scsi_lu *lu);         /* lock held: is it still one of ours? */
void iscsi_node_add_lun(struct iscsi_node *node, struct iscsi_lun *lun);          /* lock held */
struct scsi_port_groups *iscsi_node_port_groups(struct iscsi_node *node, const char *target_name); /* lock held; may be NULL */
/* Brings the target port groups of a target of this worker to what the configuration says. Blocking. */
int iscsi_node_configure_port_groups(struct iscsi_node *node, const struct iscsi_target *target,
				     const struct scsi_services *services, struct err *err);

/* --- reactor part --- */

/* What the commands of one session and LUN add to the statistics, until iscsi_count_flush(): count.c. */
struct iscsi_tally {
	struct iscsi_session *session; /* NULL: nothing */
	const struct iscsi_lun *lun;
	uint64_t began_ns;             /* all in the same turn */
	uint64_t depth;                /* modulo 2^64 */
	struct {
		uint64_t commands, bytes;
	} moved[2];                    /* READ, WRITE */
};

struct iscsi_reactor {
	struct scsi_reactor scsi;      /* store context, offload pool, mailbox, buffers */
	struct iscsi_node *node;
	unsigned index;
	struct iscsi_task *tasks;      /* ISCSI_TASKS_PER_REACTOR of them, touched when first used */
	struct list free_tasks;
	unsigned tasks_touched, tasks_in_use;
	uint64_t task_seq;             /* given to each task: "began before" for aborts */
	struct list connections;       /* struct iscsi_connection.reactor_link */
	_Atomic unsigned connection_count; /* written here, read by others to balance */
	struct list waiting;           /* connections that wait for tasks or buffers (wait_link), first come first served */
	bool released;                 /* something a waiter may want came back in this turn */
	struct list dead;              /* connections to free at the end of the turn */
	struct list aborts;            /* struct iscsi_abort_part in progress */
	bool check_aborts;             /* an aborted task ended in this turn */
	struct stats_slot *stats;      /* this reactor's worker slot */
	struct iscsi_tally tally;
	uint64_t now_ns;               /* at the start of this turn */
	uint64_t held_bytes;           /* data in struct iscsi_held */
	uint64_t login_text_bytes;     /* of connections in login phase */
};

struct stats_slot *iscsi_target_stats(struct iscsi_reactor *reactor, const char *target_name); /* may be NULL */

int  iscsi_reactor_init(struct iscsi_reactor *reactor, struct iscsi_node *node, unsigned index);
void iscsi_reactor_fini(struct iscsi_reactor *reactor);
void iscsi_reactor_tick(struct iscsi_reactor *reactor);     /* once a second while there are connections */
void iscsi_reactor_turn_end(struct iscsi_reactor *reactor); /* wakes waiters, frees the dead */

/* --- connection --- */

enum iscsi_phase {
	ISCSI_PHASE_LOGIN,      /* S1-S4: login PDUs only */
	ISCSI_PHASE_ESTABLISH,  /* login is negotiated; waiting for an old session to go (reinstatement) */
	ISCSI_PHASE_FULL,       /* full feature phase */
	ISCSI_PHASE_LOGOUT,     /* logout received: no new commands, response when all tasks ended */
	ISCSI_PHASE_FINISH,     /* last PDU queued; closes when it is sent */
	ISCSI_PHASE_DEAD,       /* transport closed; waiting for tasks to end */
	ISCSI_PHASE_COUNT,
};

enum iscsi_wait {
	ISCSI_WAIT_POOL,  /* for a task or buffers of the reactor: first come first served */
	ISCSI_WAIT_SHARE, /* for more of them than is its share: in nobody's way */
	ISCSI_WAIT_OWN,   /* for something of its own: its peer reads, its tasks end */
};

struct iscsi_connection {
	struct list reactor_link, wait_link;
	struct iscsi_reactor *reactor;
	struct datamover *mover;
	enum iscsi_phase phase;
	struct iscsi_peer peer;
	char peer_text[64];           /* "10.0.0.7:51234", "[fd00::1]:51234" */
	struct iscsi_login *login;    /* until full feature phase */
	unsigned login_pdus;
	bool handed_over;             /* came from another worker: goes to no third */
	struct iscsi_params params;
	struct iscsi_session *session; /* from ISCSI_PHASE_FULL on */
	uint32_t statsn;              /* next to give */
	uint16_t cid;
	uint64_t deadline_ns;         /* LOGIN, ESTABLISH, FINISH: dropped then */
	uint64_t last_receive_ns, ping_sent_ns; /* ping_sent_ns 0: no NOP-In outstanding */
	uint32_t ping_ttt;
	unsigned replies_queued;      /* control PDUs in the transport */
	bool waiting;                 /* in reactor->waiting */
	enum iscsi_wait wait_reason;  /* while waiting */
	bool inside_pdu;              /* a header was accepted, its data is not complete */
	bool buried;                  /* in reactor->dead */
	bool logged_out;              /* it ends because its initiator asked for it */
	unsigned functions;           /* task management functions in progress */
	unsigned holds;               /* mails and loops that refer to us: not to be buried yet */
	bool reinstates;              /* an older session had to go */
	uint32_t logout_itt;          /* ISCSI_PHASE_LOGOUT */
	const struct iscsi_receive_row *row; /* of the PDU being received; NULL: it is discarded */

	/* the PDU being received */
	uint8_t bhs[ISCSI_BHS_BYTES + ISCSI_AHS_MAX_BYTES];
	struct iscsi_task *receiving; /* its task, when it is data of one */
	struct sgl receive_list;      /* data of PDUs that are not a task's (text, ping): owner SGL_ISCSI; in login phase its
				       * one element is login_data, which is no buffer of the pool: its owner is SGL_NOBODY */
	uint8_t *login_data;          /* ISCSI_LOGIN_DATA_MAX bytes once data has come, until full feature phase */
	uint32_t login_text_bytes;    /* all that came until full feature phase */
	struct sgl_share share;       /* buffers of the pool in its tasks, replies and receive_list */
	struct iscsi_held *held;      /* when it is to be kept for later */
	struct sgl held_list;         /* its data */

	/* text exchange that is not finished: request so far, or answer still to be sent */
	char *text;
	size_t text_bytes, text_sent;
	uint32_t text_ttt;  /* the last that we gave */
	bool text_open;     /* and it may come back */
	bool text_answering;
};

/* A new connection in login phase. NULL: no memory (the caller closes). The transport is set by the caller at once. */
struct iscsi_connection *iscsi_connection_new(struct iscsi_reactor *reactor, const struct iscsi_peer *peer);
/* Closes the transport, aborts what runs; frees itself when quiet. why: for the log; NULL: say nothing. */
void iscsi_connection_drop(struct iscsi_connection *connection, const char *why);
void iscsi_release_login_data(struct iscsi_connection *connection);
void iscsi_release_receive_list(struct iscsi_connection *connection);
/* Resumed by the reactor. Returns ISCSI_RECEIVE_WAIT. */
enum iscsi_receive iscsi_connection_wait(struct iscsi_connection *connection, enum iscsi_wait reason);
void iscsi_connection_resume(struct iscsi_connection *connection); /* go on reading */
void iscsi_connection_tick(struct iscsi_connection *connection);   /* time-outs */
/* Dead and quiet: ends the session and lines up for iscsi_connection_free() at the end of the turn. */
void iscsi_connection_maybe_bury(struct iscsi_connection *connection);
void iscsi_connection_free(struct iscsi_connection *connection);
/* Queues what is to be sent last; the connection closes when it is sent. */
void iscsi_connection_finish(struct iscsi_connection *connection);
/* A control PDU of our own making: answers, NOP-In, Async Message. data (copied, may be NULL) behind the header. NULL: no
 * memory; the connection is dropped. */
struct iscsi_pdu *iscsi_reply_new(struct iscsi_connection *connection, enum iscsi_opcode opcode, const void *data,
				  uint32_t data_bytes);
void iscsi_reply_send(struct iscsi_connection *connection, struct iscsi_pdu *pdu);
/* The data segment is this list (owner SGL_ISCSI), which becomes the reply's. */
void iscsi_reply_take_list(struct iscsi_pdu *pdu, struct sgl *list, uint32_t data_bytes);
/* Counts it, and drops the connection: what ErrorRecoveryLevel 0 does for format and sequence errors. */
void iscsi_protocol_error(struct iscsi_connection *connection, const char *why);
void iscsi_receive_replay(struct iscsi_connection *connection); /* PDUs whose CmdSN has come */
bool iscsi_data_to_come(const struct iscsi_connection *connection); /* Data-Out of commands that were received */
/* It waits for tasks or buffers, but not to read it would be to wait for ourselves. */
bool iscsi_must_read_on(const struct iscsi_connection *connection);
void iscsi_reject(struct iscsi_connection *connection, enum iscsi_reject reason, const uint8_t *bhs);
/* Stamps StatSN, ExpCmdSN, MaxCmdSN into an outgoing header; the transport calls it when it builds the PDU. */
void iscsi_stamp(struct iscsi_connection *connection, uint8_t *bhs, bool advances_statsn);

/* --- session --- */

/* A PDU that is kept until its time comes: it came before an earlier CmdSN, or there is no task or buffer for it and the
 * connection must be read on, because Data-Out that we asked for (and that gives buffers back) comes behind it. */
struct iscsi_held {
	struct list link;
	uint32_t cmdsn, data_bytes;
	bool aborted;         /* not executed when its time comes */
	uint8_t bhs[ISCSI_BHS_BYTES + ISCSI_AHS_MAX_BYTES];
	uint8_t data[];
};

struct iscsi_session {
	struct list node_link;        /* node->lock */
	struct iscsi_connection *connection;
	struct iscsi_reactor *reactor;
	uint64_t id;                  /* nexus id; "sessions" resource */
	uint64_t since_wall_ms;
	char initiator_name[ISCSI_NAME_MAX], initiator_alias[ISCSI_NAME_MAX];
	char target_name[ISCSI_NAME_MAX]; /* "" for discovery */
	uint8_t isid[6];
	uint16_t tsih, tag;
	bool discovery, authenticated;
	struct iscsi_config *config;  /* snapshot in force */
	const struct iscsi_target *target;
	struct iscsi_login_facts *facts; /* for text answers */
	struct scsi_nexus *nexus;     /* NULL for discovery */
	struct stats_slot *stats, *target_stats;

	uint32_t expcmdsn, maxcmdsn;
	struct list held;             /* struct iscsi_held, by CmdSN */
	unsigned held_count;
	uint64_t gap_since_ns;

	struct list tasks;            /* all, in order of arrival */
	struct list itt[ISCSI_ITT_BUCKETS];
	unsigned task_count, immediate_count, active_count; /* active: not aborted */
	uint64_t aborted_ns;          /* when tasks were last aborted: late Data-Out is then no error */

	struct list successors;       /* struct iscsi_successor waiting for our end (reinstatement) */
	bool reinstated;              /* a successor replaces us: its nexus gets the unit attention */
	bool logout_requested;        /* Async Message 1 was sent */
	struct iscsi_view *view, *next_view; /* next_view: to be put in force when tasks on LUs that go have ended */
	struct iscsi_config *next_config;
	uint64_t logout_deadline_ns;
};

/* Refused: logs, sends the response (NULL: says nothing), closes. */
void iscsi_login_refused(struct iscsi_connection *connection, const struct iscsi_login_response *response);
void iscsi_login_accepted(struct iscsi_connection *connection); /* sends the final response */
/* After a login was negotiated: checks the current configuration, looks for a session to reinstate, makes the session or
 * arranges to be called again; sends the final response. */
void iscsi_session_establish(struct iscsi_connection *connection);
void iscsi_session_task_ended(struct iscsi_session *session);
/* Tells control, as an event of the session, what became of it; nothing of discovery sessions. */
void iscsi_session_tell(const struct iscsi_connection *connection, const char *kind, const char *what);
/* Tasks have ended and the transport is closed. */
void iscsi_session_free(struct iscsi_session *session);
/* Marks kept SCSI Commands that are aborted: on this LU (NULL: any), with this tag (NULL: any). Returns how many. */
unsigned iscsi_held_abort(struct iscsi_session *session, const struct scsi_lu *lu, const uint32_t *itt);
void iscsi_held_free(struct iscsi_reactor *reactor, struct iscsi_held *held);
bool iscsi_session_has_gap(const struct iscsi_session *session); /* PDUs wait for a CmdSN that has not come */
/* Where a PDU with a CmdSN stands (RFC 7143 4.2.2.1). The caller advances ExpCmdSN when it accepts one in order. */
enum iscsi_order { ISCSI_IN_ORDER, ISCSI_AHEAD, ISCSI_OUTSIDE };
enum iscsi_order iscsi_session_order(const struct iscsi_session *session, const uint8_t *bhs);
void iscsi_session_accept(struct iscsi_session *session, const uint8_t *bhs);
/* A non-immediate command was answered: the window moves on. */
void iscsi_session_command_ended(struct iscsi_session *session);
/* Async Message 1: please log out; forced after grace_s. */
void iscsi_session_request_logout(struct iscsi_session *session, unsigned grace_s);

/* --- reconfigure.c: sessions follow the configuration --- */

/* The LUNs that an initiator sees on a target. */
struct iscsi_view {
	struct scsi_inventory *inventory;
	unsigned count;
	struct {
		uint16_t number;
		bool     read_only;
		uint64_t unique; /* struct iscsi_lun.unique */
		struct scsi_lu *lu;
	} entry[];
};
struct iscsi_view *iscsi_view_new(struct iscsi_node *node, const struct iscsi_target *target,
				  const char *initiator_name); /* node->lock held; NULL: no memory */
void iscsi_view_free(struct iscsi_view *view);
/* Every session of the reactor keeps its view, gets a new one, or is dropped. Takes effect when
 * iscsi_reactor_follows(): until then some nexus may still refer to LUs that config no longer has. */
void iscsi_reactor_reconfigure(struct iscsi_reactor *reactor, struct iscsi_config *config);
bool iscsi_reactor_follows(const struct iscsi_reactor *reactor, const struct iscsi_config *config);
void iscsi_session_try_switch(struct iscsi_session *session);

struct iscsi_session *iscsi_session_of_id(struct iscsi_reactor *reactor, uint64_t id);

/* --- task --- */

enum iscsi_task_state {
	ISCSI_TASK_FREE,
	ISCSI_TASK_RECEIVING,  /* data-out is still to come */
	ISCSI_TASK_EXECUTING,  /* the SCSI layer's */
	ISCSI_TASK_RESPONDING, /* the transport's */
};

struct iscsi_r2t {
	struct iscsi_task *task;
	uint32_t ttt;
	uint32_t offset, len_bytes, received_bytes, next_datasn;
	bool     active, queued; /* waiting for data; its PDU is in the transport */
	struct iscsi_pdu pdu;
};

struct iscsi_task {
	struct scsi_task scsi;
	struct list link, itt_link;   /* session->tasks, session->itt[] */
	struct iscsi_session *session;
	enum iscsi_task_state state;
	uint64_t seq, began_ns;
	uint32_t itt, cmdsn, edtl, slot;
	uint8_t  generation;          /* in TTTs: a stale one does not match */
	bool     immediate, read, write, finished_early; /* finished_early: status known, data-out is discarded */
	bool     unsolicited_open;    /* unsolicited Data-Out may still come */
	uint32_t unsolicited_datasn;
	uint32_t received_bytes;      /* data-out so far, discarded included */
	uint32_t requested_bytes;     /* received or asked for by R2T */
	uint32_t wanted_bytes;        /* data-out that we take: min(data_bytes, EDTL); 0 for others */
	uint32_t next_r2tsn;
	unsigned pdus_queued;         /* R2Ts and the response, in the transport */
	unsigned r2ts_active;
	struct iscsi_r2t r2t[ISCSI_R2TS_MAX];
	struct iscsi_pdu response;
	uint8_t  sense_segment[2 + SCSI_SENSE_MAX];
	struct iscsi_lun *lun;        /* for statistics; NULL when the LUN field addresses none */
};

struct iscsi_task *iscsi_task_new(struct iscsi_session *session, const uint8_t *bhs); /* NULL: none free */
void iscsi_task_free(struct iscsi_task *task);
struct iscsi_task *iscsi_task_find(struct iscsi_session *session, uint32_t itt);
/* An aborted task's I/O or PDUs are done: frees it when nothing else holds it. */
void iscsi_task_quiet(struct iscsi_task *task);
/* It was answered, or it was aborted and is quiet: it is not in the queue depth any more, and the window moves on. */
void iscsi_task_worked(struct iscsi_task *task);
/* Takes it out of service: at once when nobody else works on it, otherwise when its I/O is done. */
void iscsi_task_abort(struct iscsi_task *task);

/* --- count.c: commands in the statistics of worker, session, target and LUN --- */

void iscsi_count_begin(const struct iscsi_task *task);    /* into the queue depth; task->lun is known */
void iscsi_count_end(const struct iscsi_task *task);      /* out of it */
void iscsi_count_response(const struct iscsi_task *task); /* by status and kind of command */
/* Before responses are sent: puts what was gathered into the slots. The commands that are in it took until now. */
void iscsi_count_flush(struct iscsi_reactor *reactor);

/* --- PDUs, one pair of functions a kind; rows of the table in receive.c --- */

enum iscsi_receive iscsi_receive_into_list(struct iscsi_connection *connection, const uint8_t *bhs);
enum iscsi_receive iscsi_login_done(struct iscsi_connection *connection);
enum iscsi_receive iscsi_nop_done(struct iscsi_connection *connection);
enum iscsi_receive iscsi_text_done(struct iscsi_connection *connection);
enum iscsi_receive iscsi_logout_done(struct iscsi_connection *connection);
void iscsi_logout_maybe_answer(struct iscsi_connection *connection);
void iscsi_ping(struct iscsi_connection *connection);
enum iscsi_receive iscsi_task_management_done(struct iscsi_connection *connection);
enum iscsi_receive iscsi_command_header(struct iscsi_connection *connection, const uint8_t *bhs);
enum iscsi_receive iscsi_command_done(struct iscsi_connection *connection);
enum iscsi_receive iscsi_data_out_header(struct iscsi_connection *connection, const uint8_t *bhs);
enum iscsi_receive iscsi_data_out_done(struct iscsi_connection *connection);
void iscsi_data_arrived(struct iscsi_r2t *r2t);

/* What an abort concerns; unset members match everything. */
struct iscsi_abort_filter {
	const struct scsi_lu *lu;       /* tasks on this LU */
	uint64_t session_id;            /* tasks of this session; 0: any */
	const char *target_name;        /* tasks of sessions of this target */
	const uint64_t *session_ids;    /* tasks of one of these sessions */
	unsigned session_id_count;
	bool     commands;              /* not what goes on in the background */
	bool     one_task;              /* the task with this tag */
	uint32_t itt;
};

/*
 * Aborting the tasks of a filter in all reactors of the worker. Each reactor marks its tasks and waits until they are
 * quiet (a task whose store I/O is under way ends when that ends); then `each` runs there (unit attentions, closing of
 * sessions); when all reactors are through, done() runs on reply_to's thread. SAM-5 7.1: no answer before that.
 */
struct iscsi_abort {
	struct iscsi_abort_filter filter; /* what it points to lives until done() */
	struct iscsi_node *node;
	void (*each)(struct iscsi_abort *abort, struct iscsi_reactor *reactor); /* may be NULL */
	void (*done)(struct iscsi_abort *abort);
	struct mailbox *reply_to;
	/* private */
	struct mail mail;
	_Atomic unsigned parts_left;
	struct iscsi_abort_part *parts;
};
/* from: the reactor whose thread calls, or NULL: there, only tasks that have begun by now are concerned.
 * Any thread. -ENOMEM: nothing was started. The abort belongs to the reactors until done(). */
int iscsi_abort_start(struct iscsi_abort *abort, const struct iscsi_reactor *from);
/* End of turn, when an aborted task ended: looks which aborts are complete. */
void iscsi_abort_check(struct iscsi_reactor *reactor);
void iscsi_session_abort_tasks(struct iscsi_session *session, const struct scsi_lu *lu); /* of one session, lu NULL: all */

#endif
