/*
 * The copy engine: what EXTENDED COPY and WRITE USING TOKEN do once their lists are understood, and the memory of it that
 * RECEIVE COPY STATUS asks for.
 *
 * A copy is a list of extents, done one after the other. An extent is done in pieces of COPY_PIECE_BYTES by COPY_LANES
 * lanes, each of which reads a piece, takes the destination's range lock (so that COMPARE AND WRITE stays atomic), writes
 * it, releases the lock and takes the next one. Before each piece it is asked again whether the task is aborted, and
 * whether this nexus may still read the one and write the other. Extents of a logical unit onto itself that overlap
 * are copied by one lane from the end that makes it a move. A piece that is all zeroes is not written to a thin destination
 * but unmapped there.
 *
 * Memory: COPY_LANES * COPY_PIECE_BYTES for each copy, of its own, so that copies never take the buffers of other commands.
 * COPIES_PER_REACTOR copies at a time, COPIES_PER_NEXUS of them for one nexus; more are answered BUSY. A reactor does
 * COPY_TURN_PIECES in one turn at most.
 *
 * Rate: what all copies of a reactor move in a second is bounded (scsi_copy_set_rate()); those that would go beyond it wait
 * for scsi_reactor_tick(), so each may catch up with one second.
 *
 * A copy that runs for longer than COPY_SHOWN_MS is shown among the operations (jobs.h) and can be cancelled there.
 *
 * A background copy operation (IMMED, SPC-4 5.17.4.3) is that of a task which was answered already. No task management of
 * commands reaches it, for its command has ended; COPY OPERATION ABORT, PREEMPT AND ABORT, resets and the end of its nexus do,
 * and wait for it, as for any task.
 *
 * A copy belongs to the reactor of its nexus; both its logical units are of the same inventory, and that is of the same
 * worker: targets that share a LUN stay together (docs/architecture.md), so there is no copy between workers.
 */
#ifndef LUNETTE_SCSI_COPY_H
#define LUNETTE_SCSI_COPY_H

#include "dataplane/scsi/copy_list.h"
#include "dataplane/scsi/internal.h"

#define COPY_LANES          4u
#define COPY_PIECE_BYTES    (256u * 1024)
#define COPY_ZERO_BYTES     (64u << 20)   /* a piece that has no source */
#define COPY_TURN_PIECES    16u
#define COPIES_PER_REACTOR  32u
#define COPIES_PER_NEXUS    16u           /* so that one initiator cannot take them all */
#define COPY_EXTENTS_MAX    (2 * COPY_RANGE_MAX)
#define COPY_RESULTS_MAX    64u           /* remembered for each I_T_L nexus */
#define COPY_SHOWN_MS       1000u         /* a copy that runs longer is among the operations; the many short ones are not */

enum { COPY_SA_EXTENDED_COPY_LID4 = 0x01, COPY_SA_POPULATE_TOKEN = 0x10, COPY_SA_WRITE_USING_TOKEN = 0x11 };

struct copy_extent {
	struct scsi_itl *source, *destination; /* source NULL: zeroes */
	uint64_t source_lba, destination_lba;
	uint64_t bytes;                        /* whole blocks of both */
};

/* COPY OPERATION STATUS, SPC-4 6.18.2. */
enum copy_state {
	COPY_COMPLETED = 0x01, COPY_FAILED = 0x02, COPY_RESIDUAL = 0x04, COPY_IN_PROGRESS = 0x11, COPY_TERMINATED = 0x60,
};

/* What is remembered of a command with a list identifier. In scsi_itl.copies, oldest first; its reactor's thread. */
struct copy_result {
	struct list link;
	uint32_t list_id;
	uint8_t  service_action;  /* of the command */
	uint8_t  state;           /* enum copy_state */
	uint8_t  status;          /* enum scsi_status it ended with */
	uint8_t  sense_len_bytes;
	uint8_t  sense[SCSI_SENSE_MAX];
	uint16_t operations;      /* pieces that were written, modulo 2^16 */
	uint16_t segments;        /* processed: EXTENDED COPY alone */
	uint64_t bytes;           /* transferred, from the start on */
	struct scsi_copy *copy;   /* while it runs */
	bool     has_token;
	uint8_t  token[COPY_TOKEN_BYTES]; /* what POPULATE TOKEN made */
};

struct scsi_copy;

/* A result for the task's list, in place of an older one with that identifier. NULL: the task has been given its sense or
 * status, one with this identifier is running. */
struct copy_result *copy_result_new(struct scsi_task *task, uint32_t list_id);
struct copy_result *copy_result_find(const struct scsi_itl *itl, uint32_t list_id); /* NULL: none */
/* The task has its status and sense: into the result. */
void copy_result_end(struct copy_result *result, const struct scsi_task *task, enum copy_state state);

/* --- a copy --- */

/* A copy without extents. NULL: no memory or too many, the task's status is BUSY. */
struct scsi_copy *copy_new(struct scsi_task *task);
void copy_free(struct scsi_copy *copy); /* one that was not started */
/* False: COPY_EXTENTS_MAX. */
bool copy_add(struct scsi_copy *copy, const struct copy_extent *extent);
/* What it reads is what this token stands for: each piece is written only if the token was still valid after it had been
 * read (token.h). consume: the token is deleted when all is copied. */
void copy_set_token(struct scsi_copy *copy, struct scsi_lu *lu, uint64_t token_id, bool consume);
/* No more pieces from then on; what was not copied is a residual, not an error. */
void copy_set_deadline(struct scsi_copy *copy, uint64_t deadline_ns);
/* Whether this nexus may do all of it now: ranges, reservations, write protection. False: sense or status is set. */
bool copy_check(struct scsi_copy *copy);
/* Runs it and finishes the task. result may be NULL. immediate: the task is answered before, and the copy is a background
 * copy operation; result is not NULL. */
void copy_start(struct scsi_copy *copy, struct copy_result *result, bool immediate);
/* COPY OPERATION ABORT. */
void copy_stop(struct scsi_copy *copy);
/* Its task was aborted: other hosts' writes to what it is writing now are BUSY until that is done (abandoned.c). */
void copy_abandon(struct scsi_copy *copy);
uint64_t copy_done_bytes(const struct scsi_copy *copy);
bool copy_uses_lu(const struct scsi_copy *copy, const struct scsi_lu *lu);
/* The I_T_L nexuses that it copies from and to, some of them several times. */
unsigned copy_itls(const struct scsi_copy *copy);
const struct scsi_itl *copy_itl(const struct scsi_copy *copy, unsigned index);

/* --- who may be copied from and to --- */

/* The I_T_L nexus of this task's nexus that the descriptor names; NULL: none that it may reach, which is logged, and the
 * sense is set. */
struct scsi_itl *copy_reach(struct scsi_task *task, const struct copy_cscd *cscd, unsigned id);

/* --- for the commands --- */

/* The whole parameter list, to be freed; NULL: sense or status is set. */
uint8_t *copy_list_bytes(struct scsi_task *task);

#endif
