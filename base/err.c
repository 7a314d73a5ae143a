#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "problem.h"

static int put(struct err *err, int code, const char *fmt, va_list args)
{
	vsnprintf(err->text, sizeof err->text, fmt, args);
	return err->code = code;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	put(err, code, fmt, args);
	va_end(args);
	return code;
}

int err_errno(struct err *err, int code, const char *fmt, ...)
{
	char reason[128];
	size_t used;
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	put(err, code, fmt, args);
	va_end(args);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %s", strerror_r(-code, reason, sizeof reason));
	return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char inner[sizeof err->text];
	size_t used;
	va_list args;

	if (!err)
		return -1;
	memcpy(inner, err->text, sizeof inner);
	va_start(args, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, args);
	va_end(args);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %.*s", (int)(sizeof err->text - used), inner);
	return err->code;
}

int problem_set(struct problem *p, int status, const char *code, const char *pointer, const char *fmt, ...)
{
	va_list args;

	if (!p || p->status)
		return -1;
	p->status = status;
	snprintf(p->code, sizeof p->code, "%s", code);
	snprintf(p->pointer, sizeof p->pointer, "%s", pointer);
	va_start(args, fmt);
	vsnprintf(p->detail, sizeof p->detail, fmt, args);
	va_end(args);
	return -1;
}
