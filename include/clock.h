/* Time. Decisions take `now` as an argument; these are the two places it comes from. Any thread. */
#ifndef LUNETTE_CLOCK_H
#define LUNETTE_CLOCK_H

#include <stdint.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

uint64_t clock_now_ns(void);   /* monotonic, since boot; for deadlines and durations */
uint64_t clock_wall_ms(void);  /* since 1970, UTC; for people and documents only, never for decisions */

/* RFC 3339 in UTC with milliseconds, "2026-11-22T21:11:34.123Z". */
#define CLOCK_TEXT_LEN 32
void clock_format(uint64_t wall_ms, char ret_text[CLOCK_TEXT_LEN]);

#endif
