/* Sessions of browsers: see session.h. */
#include "api/session.h"

#include <nettle/memops.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "api/auth.h"
#include "clock.h"

bool session_start(struct sessions *sessions, const struct auth_token *token, uint64_t now_ns, char ret_text[SESSION_TEXT])
{
	struct session *oldest = &sessions->at[0];
	uint8_t bytes[32];

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return false;
	for (unsigned i = 0; i < sizeof bytes; i++)
		snprintf(ret_text + 2 * i, SESSION_TEXT - 2 * i, "%02x", bytes[i]);
	for (unsigned i = 1; i < SESSIONS_MAX; i++)
		if (sessions->at[i].ends_ns < oldest->ends_ns)
			oldest = &sessions->at[i];
	auth_hash(ret_text, oldest->hash);
	memcpy(oldest->token_hash, token->hash, sizeof oldest->token_hash);
	oldest->ends_ns = now_ns + SESSION_S * NS_PER_S;
	return true;
}

static const struct session *find(const struct sessions *sessions, const char *text)
{
	const struct session *found = NULL;
	uint8_t hash[32];

	auth_hash(text, hash);
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		if (memeql_sec(sessions->at[i].hash, hash, sizeof hash) && sessions->at[i].ends_ns)
			found = &sessions->at[i];
	return found;
}

const struct auth_token *session_token(const struct sessions *sessions, const struct auth *auth, const char *text,
				       uint64_t now_ns, uint64_t wall_ms, uint64_t *ret_left_ns)
{
	const struct session *session = find(sessions, text);

	if (!session || session->ends_ns <= now_ns)
		return NULL;
	if (ret_left_ns)
		*ret_left_ns = session->ends_ns - now_ns;
	return auth_find(auth, session->token_hash, wall_ms);
}

void session_end(struct sessions *sessions, const char *text)
{
	const struct session *session = find(sessions, text);

	if (session)
		memset(&sessions->at[session - sessions->at], 0, sizeof *session);
}

bool session_of_cookie(const char *header, char ret_text[SESSION_TEXT])
{
	const size_t name_len = strlen(SESSION_COOKIE "="), len = SESSION_TEXT - 1;
	const char *value = NULL;

	for (const char *at = header ? header : ""; *at; at += strcspn(at, ";"), at += *at == ';') {
		at += strspn(at, " \t");
		if (strncmp(at, SESSION_COOKIE "=", name_len) != 0)
			continue;
		if (value) /* another host of our domain may have set the second one */
			return false;
		value = at + name_len;
	}
	if (!value || strspn(value, "0123456789abcdef") != len || (value[len] && value[len] != ';'))
		return false;
	memcpy(ret_text, value, len);
	ret_text[len] = '\0';
	return true;
}

bool session_same_origin(const char *sec_fetch_site, const char *origin, const char *host)
{
	const char *rest = origin ? strstr(origin, "://") : NULL;

	if (sec_fetch_site)
		return strcmp(sec_fetch_site, "same-origin") == 0;
	if (!rest || !host || !host[0])
		return false;
	if (strncasecmp(origin, "http:", 5) != 0 && strncasecmp(origin, "https:", 6) != 0)
		return false;
	return strcasecmp(rest + 3, host) == 0;
}
