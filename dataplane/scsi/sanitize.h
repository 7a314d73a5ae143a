/*
 * SANITIZE (SBC-4 4.11 and 5.32): what sanitize.c (the command, what it lets through, its document) and sanitize_run.c
 * (the thread that does it) share.
 *
 * Happy path: the command is checked; a thread of the LU publishes `sanitize/<lun id>`, answers a command with IMMED,
 * takes the whole LUN's range lock, goes through the passes piece by piece at the rate that the settings give, notes every
 * few seconds in the document how far it is, flushes, removes the document. From the first moment to that one no other
 * command reaches the medium.
 * Failure of the store or of the document: the LU is in failure mode, which the document keeps, too, until another
 * SANITIZE succeeds or EXIT FAILURE MODE is permitted (AUSE).
 * A restart of the worker, the daemon or the machine: the LU reads the document and goes on from there. No reset and no
 * abort stops it; an aborted command only loses its answer.
 */
#ifndef LUNETTE_SCSI_SANITIZE_H
#define LUNETTE_SCSI_SANITIZE_H

#include <pthread.h>

#include "dataplane/scsi/internal.h"

#define SANITIZE_PATTERN_MAX 4096 /* a logical block */

enum sanitize_action { SANITIZE_OVERWRITE = 0x01, SANITIZE_BLOCK_ERASE = 0x02, SANITIZE_EXIT_FAILURE_MODE = 0x1f };

enum sanitize_waiter { WAITER_WAITS, WAITER_ANSWERED, WAITER_ABORTED };

/* What is asked for and where it is: the document. */
struct sanitize_plan {
	uint8_t  action;       /* SANITIZE_OVERWRITE or SANITIZE_BLOCK_ERASE */
	bool     unrestricted; /* AUSE */
	bool     failed;
	bool     invert;       /* the pattern is inverted between passes; the last one writes it as it is */
	/* OVERWRITE COUNT; BLOCK ERASE of a thin LUN has two, overwrite what is mapped and unmap all, of a fully provisioned one
	 * the first alone: all is mapped, and stays so. */
	uint8_t  passes;
	uint8_t  pass;         /* 0 .. passes - 1, the one that is under way */
	uint64_t lba;          /* before it this pass is durable */
	uint16_t pattern_bytes;
	uint8_t  pattern[SANITIZE_PATTERN_MAX];
};

struct sanitize {
	struct scsi_lu *lu;
	char     document[64];        /* "sanitize/<lun id>" */
	uint64_t version;             /* of the document */
	/* The thread's while the state is SANITIZE_RUNS, else guarded by the lu lock. */
	struct sanitize_plan plan;
	struct scsi_job *job;
	bool resumed;                 /* it was found in the document */
	bool has_thread;              /* to be joined; the lu's starter's */
	pthread_t thread;
	_Atomic uint16_t progress;    /* in 65536ths, SPC-4 4.5.2.4.4 */
	enum scsi_sanitize_state before; /* state that a command which could not start goes back to */

	pthread_mutex_t lock;         /* stop */
	pthread_cond_t wake;
	bool stop;                    /* the LU goes; the document keeps how far it is */

	/* The command that waits for its answer. Between post and run the mail is the reactor's. */
	struct {
		struct mail mail;
		struct scsi_task *task;   /* the reactor's */
		struct mailbox *reply_to;
		bool immediate;
		bool failed;              /* with this sense; set before ready, as the state is */
		enum scsi_sanitize_state state; /* when it is answered */
		struct scsi_sense sense;
		_Atomic bool ready, posted;
		_Atomic unsigned answered; /* enum sanitize_waiter */
	} waiter;
};

/* sanitize.c. The document; blocking. 0 or negative errno. */
int sanitize_save(struct sanitize *sanitize, struct err *err);   /* the plan as it is now */
int sanitize_remove(struct sanitize *sanitize, struct err *err);

/* sanitize_run.c. Starts the thread; 0 or negative errno. */
int  sanitize_start(struct sanitize *sanitize);
void sanitize_stop(struct sanitize *sanitize); /* waits for the thread's end */

#endif
