#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define QUOTED_BYTES 512
#define QUOTED_RING  8

static const char *const level_names[] = {
	[LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice", [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};
static char log_role[32] = "lunette";
static enum log_level log_level = LOG_INFO;

void log_open(const char *role, enum log_level level)
{
	snprintf(log_role, sizeof log_role, "%s", role);
	log_level = level;
}

bool log_enabled(enum log_level level)
{
	return level <= log_level;
}

int log_level_parse(const char *name)
{
	for (int i = 0; i <= LOG_DEBUG; i++)
		if (strcmp(level_names[i], name) == 0)
			return i;
	return -1;
}

/* Counts this line against the call site's second; true when it is to be left out. A new second reports, in
 * *ret_suppressed, what the last one left out. Racing threads may let a line more through: harmless. */
static bool suppressed(struct log_limit *limit, uint32_t *ret_suppressed)
{
	uint64_t second = clock_now_ns() / NS_PER_S + 1;

	if (atomic_exchange(&limit->window_s, second) != second) {
		atomic_store(&limit->count, 0);
		*ret_suppressed = atomic_exchange(&limit->suppressed, 0);
	}
	if (atomic_fetch_add(&limit->count, 1) < LOG_BURST)
		return false;
	atomic_fetch_add(&limit->suppressed, 1);
	return true;
}

void log_write(enum log_level level, struct log_limit *limit, const char *fmt, ...)
{
	char line[LOG_LINE_MAX], time[CLOCK_TEXT_LEN];
	uint32_t left_out = 0;
	size_t used;
	va_list args;

	if (limit && suppressed(limit, &left_out))
		return;
	clock_format(clock_wall_ms(), time);
	used = (size_t)snprintf(line, sizeof line, "%s %s %s ", time, level_names[level], log_role);
	va_start(args, fmt);
	used += (size_t)vsnprintf(line + used, sizeof line - used, fmt, args);
	va_end(args);
	if (used < sizeof line - 1 && left_out)
		used += (size_t)snprintf(line + used, sizeof line - used, " left_out=%u", left_out);
	if (used >= sizeof line - 1) {
		used = sizeof line - 1;
		memcpy(line + used - 3, "...", 3);
	}
	line[used] = '\n';
	if (write(STDERR_FILENO, line, used + 1) < 0)
		return; /* nowhere to say it */
}

const char *log_quoted_n(const void *bytes, size_t len_bytes)
{
	static _Thread_local char ring[QUOTED_RING][QUOTED_BYTES];
	static _Thread_local unsigned next;
	char *out = ring[next++ % QUOTED_RING], *at = out, *end = out + QUOTED_BYTES - 6;
	const unsigned char *in = bytes;

	*at++ = '"';
	for (size_t i = 0; i < len_bytes; i++) {
		if (at + 4 > end) {
			memcpy(at, "...", 3);
			at += 3;
			break;
		}
		if (in[i] < 0x20 || in[i] > 0x7e || in[i] == '"' || in[i] == '\\')
			at += sprintf(at, "\\x%02x", in[i]);
		else
			*at++ = (char)in[i];
	}
	*at++ = '"';
	*at = '\0';
	return out;
}

const char *log_quoted(const char *text)
{
	return text ? log_quoted_n(text, strlen(text)) : "-";
}
