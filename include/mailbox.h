/*
 * Work handed to the thread that owns a loop: a lock-free multi-producer queue and an eventfd.
 *
 * The mail is embedded in the sender's object; between post and run it belongs to the mailbox. One thread (the owner)
 * waits for mailbox_fd() to become readable and calls mailbox_run(). The eventfd is written only when the queue was
 * empty, so a burst costs one wake-up.
 */
#ifndef LUNETTE_MAILBOX_H
#define LUNETTE_MAILBOX_H

#include <stdatomic.h>

struct mail {
	struct mail *next;
	void (*run)(struct mail *mail); /* on the owner's thread; may free the mail's object */
};

struct mailbox {
	_Atomic(struct mail *) head; /* newest first */
	int event_fd;
};

int  mailbox_init(struct mailbox *mailbox); /* 0 or negative errno */
void mailbox_fini(struct mailbox *mailbox); /* mail still inside is dropped, not run */
static inline int mailbox_fd(const struct mailbox *mailbox)
{
	return mailbox->event_fd;
}
void mailbox_post(struct mailbox *mailbox, struct mail *mail); /* any thread */
unsigned mailbox_run(struct mailbox *mailbox);                 /* owner; oldest first; returns how many ran */

#endif
