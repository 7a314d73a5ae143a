#include "clock.h"

#include <stdio.h>
#include <time.h>

#define CLOCK_WALL_MAX_MS UINT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z: the text has room for four digits */

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t clock_now_ns(void)
{
	return now(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ms(void)
{
	return now(CLOCK_REALTIME) / NS_PER_MS;
}

void clock_format(uint64_t wall_ms, char ret_text[CLOCK_TEXT_LEN])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	char date[24];

	if (wall_ms > CLOCK_WALL_MAX_MS) { /* a broken document may hold anything */
		seconds = CLOCK_WALL_MAX_MS / 1000;
		wall_ms = CLOCK_WALL_MAX_MS;
	}
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret_text, CLOCK_TEXT_LEN, "%s.%03uZ", date, (unsigned)(wall_ms % 1000));
}
