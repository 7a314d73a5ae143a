#include "cli/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SIZE_LIMIT      (INT64_C(1) << 62)
#define FRACTION_DIGITS 6

static const char units[] = "KMGTPE";

/* "", "K", "k", "KB", "KiB" and so on: the shift; -1: no unit. */
static int unit_shift(const char *text)
{
	const char *unit;

	if (!*text || strcasecmp(text, "b") == 0)
		return 0;
	unit = strchr(units, toupper((unsigned char)*text));
	if (!unit || (text[1] && strcasecmp(text + 1, "b") != 0 && strcasecmp(text + 1, "ib") != 0))
		return -1;
	return 10 * (int)(unit - units + 1);
}

/* The digits at *at, appended to value; how many, or -1 when too large. */
static int digits(const char **at, int most, int64_t *value)
{
	int count = 0;

	for (; isdigit((unsigned char)**at); (*at)++, count++) {
		if (count == most || *value > SIZE_LIMIT / 10 - 1)
			return -1;
		*value = *value * 10 + (**at - '0');
	}
	return count;
}

int size_parse(const char *text, int64_t *ret_bytes)
{
	const char *at = text;
	int64_t value = 0;
	__int128 bytes;
	int fraction = 0, shift;

	if (digits(&at, 19, &value) <= 0)
		return -EINVAL;
	if (*at == '.') {
		at++;
		fraction = digits(&at, FRACTION_DIGITS, &value);
		if (fraction <= 0)
			return -EINVAL;
	}
	shift = unit_shift(at);
	if (shift < 0)
		return -EINVAL;
	bytes = (__int128)value << shift;
	for (; fraction; fraction--) {
		if (bytes % 10)
			return -EINVAL;
		bytes /= 10;
	}
	if (bytes > SIZE_LIMIT)
		return -EINVAL;
	*ret_bytes = (int64_t)bytes;
	return 0;
}

void size_format(int64_t bytes, char *text, size_t size)
{
	int unit = -1;
	int64_t whole = bytes, tenths;

	while (whole >= 1024 && units[unit + 1]) {
		whole /= 1024;
		unit++;
	}
	if (unit < 0) {
		snprintf(text, size, "%lld", (long long)bytes);
		return;
	}
	tenths = unit >= 5 ? 0 : /* the product would overflow: exbibytes have no tenths */
			     (bytes - (whole << 10 * (unit + 1))) * 10 / (INT64_C(1) << 10 * (unit + 1));
	if (tenths)
		snprintf(text, size, "%lld.%lld%c", (long long)whole, (long long)tenths, units[unit]);
	else
		snprintf(text, size, "%lld%c", (long long)whole, units[unit]);
}
