/*
 * Preloaded into iscsi-test-cu: Sanitize.Reset looks once a minute whether the sanitize has ended, here every few seconds.
 * What it sleeps before it looks whether the sanitize still runs stays as it is.
 */
#include <time.h>
#include <unistd.h>

#define LONGEST_S 3

unsigned sleep(unsigned seconds)
{
	const struct timespec pause = { .tv_sec = seconds < LONGEST_S ? seconds : LONGEST_S };

	nanosleep(&pause, NULL);
	return 0;
}
