#include "mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int mailbox_init(struct mailbox *mailbox)
{
	atomic_init(&mailbox->head, NULL);
	mailbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return mailbox->event_fd < 0 ? -errno : 0;
}

void mailbox_fini(struct mailbox *mailbox)
{
	close(mailbox->event_fd);
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
	struct mail *head = atomic_load_explicit(&mailbox->head, memory_order_relaxed);
	uint64_t one = 1;

	do
		mail->next = head;
	while (!atomic_compare_exchange_weak_explicit(&mailbox->head, &head, mail, memory_order_release,
						      memory_order_relaxed));
	if (!head && write(mailbox->event_fd, &one, sizeof one) < 0)
		return; /* EAGAIN: the counter is full, so the owner is woken anyway */
}

unsigned mailbox_run(struct mailbox *mailbox)
{
	struct mail *newest, *oldest = NULL;
	uint64_t count;
	unsigned ran = 0;

	if (read(mailbox->event_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		return 0;
	newest = atomic_exchange_explicit(&mailbox->head, NULL, memory_order_acquire);
	while (newest) {
		struct mail *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct mail *mail = oldest;

		oldest = mail->next; /* run() may free the mail */
		mail->run(mail);
		ran++;
	}
	return ran;
}
