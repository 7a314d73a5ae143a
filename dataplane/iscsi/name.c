#include "dataplane/iscsi/name.h"

#include <string.h>

static bool all_of(const char *text, const char *accept)
{
	return text[strspn(text, accept)] == '\0';
}

/* "yyyy-mm.reversed.domain[:anything]" */
static const char *iqn_complaint(const char *rest)
{
	static const char digits[] = "0123456789";
	size_t domain_len;

	for (unsigned i = 0; i < 7; i++)
		if (i == 4 ? rest[i] != '-' : !rest[i] || !strchr(digits, rest[i]))
			return "no yyyy-mm date behind iqn.";
	if (memcmp(rest + 5, "01", 2) < 0 || memcmp(rest + 5, "12", 2) > 0)
		return "no such month in the date behind iqn.";
	if (rest[7] != '.')
		return "no naming authority behind the date";
	domain_len = strcspn(rest + 8, ":");
	if (domain_len == 0 || rest[8] == '.' || rest[7 + domain_len] == '.' || strstr(rest + 7, ".."))
		return "malformed naming authority";
	return NULL;
}

static const char *hex_complaint(const char *rest, bool long_form)
{
	size_t len = strlen(rest);

	if (!all_of(rest, "0123456789abcdefABCDEF"))
		return "not a hexadecimal name";
	return len == 16 || (long_form && len == 32) ? NULL : "wrong number of hexadecimal digits";
}

const char *iscsi_name_complaint(const char *name)
{
	if (!*name)
		return "empty name";
	if (strlen(name) >= ISCSI_NAME_MAX)
		return "name longer than 223 bytes";
	if (strncmp(name, "eui.", 4) == 0)
		return hex_complaint(name + 4, false);
	if (strncmp(name, "naa.", 4) == 0)
		return hex_complaint(name + 4, true);
	if (strncmp(name, "iqn.", 4) != 0)
		return "neither iqn. nor eui. nor naa.";
	if (!all_of(name, "abcdefghijklmnopqrstuvwxyz0123456789-.:"))
		return "a character that iSCSI names do not have (upper case, perhaps)";
	return iqn_complaint(name + 4);
}

bool iscsi_name_fold(char ret_name[ISCSI_NAME_MAX], const char *name)
{
	size_t len = strlen(name);

	if (len >= ISCSI_NAME_MAX)
		return false;
	for (size_t i = 0; i <= len; i++)
		ret_name[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
	return true;
}
