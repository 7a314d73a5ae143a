/*
 * Log lines: one line on standard error, written with one write(2), so that lines of several processes never mix:
 *
 *   2026-11-22T21:11:34.123Z warning worker0 login refused, no such target target="iqn..." peer=10.0.0.7
 *
 * Say a thing once, where it is decided, with identity and consequence. A string that a peer chose goes through
 * log_quoted(). What a peer can cause uses the _LIMITED form: at most LOG_BURST lines a second from that call site,
 * the number of lines left out is added to the next one. Any thread; never blocks on anything but standard error.
 */
#ifndef LUNETTE_LOG_H
#define LUNETTE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

#define LOG_BURST     10   /* lines a second and call site, _LIMITED forms */
#define LOG_LINE_MAX  2048 /* bytes; longer lines are cut and end in "..." */

/* Name of this process in its lines ("supervisor", "control", "worker0"); copied. Call before threads start. */
void log_open(const char *role, enum log_level level);
bool log_enabled(enum log_level level);
/* The level of that name ("error" ... "debug"); -1 when there is none. */
int log_level_parse(const char *name);

struct log_limit {
	_Atomic uint64_t window_s;
	_Atomic uint32_t count, suppressed;
};

void log_write(enum log_level level, struct log_limit *limit, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* `text` in double quotes with every byte outside printable ASCII, the quote and the backslash escaped as \xNN.
 * The result lives in a per-thread ring of eight buffers of 512 bytes; longer text is cut and ends in "...". NULL: "-". */
const char *log_quoted(const char *text);
const char *log_quoted_n(const void *bytes, size_t len_bytes);

#define log_at(level, ...)                                                                                     \
	do {                                                                                                   \
		if (log_enabled(level))                                                                        \
			log_write(level, NULL, __VA_ARGS__);                                                   \
	} while (0)
#define log_error(...)   log_at(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_at(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_at(LOG_DEBUG, __VA_ARGS__)

#define log_limited(level, ...)                                                                                \
	do {                                                                                                   \
		static struct log_limit log_limit_here;                                                        \
		if (log_enabled(level))                                                                        \
			log_write(level, &log_limit_here, __VA_ARGS__);                                        \
	} while (0)

#endif
