/* Cookie, Accept, Accept-Encoding, Origin: any text leads to an answer that is one of those there are. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/accept.h"
#include "api/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { "image/svg+xml", "image/png", "application/json" };
	char *text = malloc(size + 1), session[SESSION_TEXT];
	int choice;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (session_of_cookie(text, session))
		assert(strspn(session, "0123456789abcdef") == SESSION_TEXT - 1 && session[SESSION_TEXT - 1] == '\0' &&
		       strstr(text, session));
	choice = accept_choose(text, types, 3);
	assert(choice >= -1 && choice < 3);
	assert(!encoding_accepted(text, "gzip") || strcasestr(text, "gzip"));
	assert(!session_same_origin(NULL, text, "host") || strcasestr(text, "://host"));
	free(text);
	return 0;
}
