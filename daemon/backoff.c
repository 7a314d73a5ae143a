#include "backoff.h"

/* The delay of a step, and the step at which it stops growing. */
static unsigned delay_ms(unsigned step)
{
	unsigned ms = BACKOFF_FIRST_MS;

	if (step == 0)
		return 0;
	while (--step && ms < BACKOFF_MAX_MS)
		ms *= 2;
	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

unsigned backoff_next(struct backoff *backoff, uint64_t lived_ms)
{
	unsigned delay;

	if (lived_ms >= BACKOFF_GOOD_MS)
		backoff->step = 0;
	else if (lived_ms >= BACKOFF_QUICK_MS) /* one step back from the delay that came before this life */
		backoff->step = backoff->step > 2 ? backoff->step - 2 : 0;
	delay = delay_ms(backoff->step);
	if (delay < BACKOFF_MAX_MS)
		backoff->step++;
	return delay;
}
