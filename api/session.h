/*
 * Sessions of browsers: 256 random bits in a cookie, held in memory as their SHA-256, for SESSION_S from the login on; of
 * more than SESSIONS_MAX the oldest goes. A session is worth what its token is worth: nothing once that is revoked or over.
 * They do not outlive the control process; the page asks for the token again. Control thread only.
 *
 * A cookie comes along with whatever a browser sends here, so a change that has no other credentials must come from a page
 * of ours: see session_same_origin.
 */
#ifndef LUNETTE_API_SESSION_H
#define LUNETTE_API_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#define SESSIONS_MAX        256
#define SESSION_S           (12 * 3600)
#define SESSION_TEXT        65 /* 64 hexadecimal digits and NUL */
#define SESSION_COOKIE      "lunette_session"

struct auth;
struct auth_token;

struct sessions {
	struct session {
		uint8_t hash[32], token_hash[32];
		uint64_t ends_ns; /* 0: free */
	} at[SESSIONS_MAX];
};

/* A new session of the token; *ret_text is for the cookie. False: the kernel has no random bytes. */
bool session_start(struct sessions *sessions, const struct auth_token *token, uint64_t now_ns, char ret_text[SESSION_TEXT]);
/* The token of the session, borrowed until the next auth_load; NULL: it is not worth anything. ret_left_ns (may be NULL):
 * how long the session has left. */
const struct auth_token *session_token(const struct sessions *sessions, const struct auth *auth, const char *text,
				       uint64_t now_ns, uint64_t wall_ms, uint64_t *ret_left_ns);
void session_end(struct sessions *sessions, const char *text);

/* The session in a Cookie header (RFC 6265 section 4.2.1), other cookies whatever they are. False: none, or more than one,
 * or one that is none of ours by its form. Safe on any text. */
bool session_of_cookie(const char *header, char ret_text[SESSION_TEXT]);
/* What a browser says about where a request comes from: Sec-Fetch-Site (same-origin), or from one that does not know that
 * header an Origin with the host and port of Host. All may be NULL. */
bool session_same_origin(const char *sec_fetch_site, const char *origin, const char *host);

#endif
