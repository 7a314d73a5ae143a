/*
 * Who may do what: bearer tokens of 256 random bits, kept as their SHA-256 in the secrets document, never in clear but in
 * STATE/admin.token (mode 0600), which the first start writes. Comparison takes the same time for every token.
 *
 * Failed attempts are limited per address (B119): beyond AUTH_FAILURES_MAX in AUTH_WINDOW_S the answer is 429 instead of
 * 401. A right token is let in always: 256 bits need no lock-out, and nobody can lock out others.
 */
#ifndef LUNETTE_API_AUTH_H
#define LUNETTE_API_AUTH_H

#include <jansson.h>
#include <stdint.h>

#include "api/route.h"

#define AUTH_TOKENS_MAX      256
#define AUTH_TOKEN_TEXT      72 /* "lnt_" and 64 hexadecimal digits, with NUL */
#define AUTH_FAILURES_MAX    20
#define AUTH_WINDOW_S        60
#define AUTH_ADDRESSES_MAX   1024 /* addresses with failures that are remembered; the oldest goes */

struct auth_token {
	char name[65];
	uint8_t hash[32];
	enum access access;
	uint64_t expires_ms; /* since 1970; 0: never */
};

struct auth_failures {
	char peer[64];
	uint64_t window_ns;
	unsigned count;
};

struct auth {
	struct auth_token *tokens;
	unsigned token_count;
	struct auth_failures *failures; /* AUTH_ADDRESSES_MAX, hashed by address */
};

enum auth_result { AUTH_OK, AUTH_REFUSED, AUTH_LIMITED };

int  auth_init(struct auth *auth); /* 0 or -ENOMEM */
void auth_fini(struct auth *auth);
/* Takes the "tokens" member of the secrets document: {"name": {"sha256": hex, "role": ..., "expires": ms}}; entries that
 * make no sense are left out. Keeps the old ones on failure: 0 or -ENOMEM. */
int  auth_load(struct auth *auth, const json_t *tokens);

/* authorization: the header's value or NULL. AUTH_OK: *ret_token, borrowed until the next auth_load. */
enum auth_result auth_check(struct auth *auth, const char *authorization, const char *peer, uint64_t now_ns,
			    uint64_t wall_ms, const struct auth_token **ret_token);

/* The same for the text of a token alone, as a login gives it. */
enum auth_result auth_check_text(struct auth *auth, const char *text, const char *peer, uint64_t now_ns, uint64_t wall_ms,
				 const struct auth_token **ret_token);
/* Counts a failed attempt in another way than by a bearer token: AUTH_REFUSED or AUTH_LIMITED. */
enum auth_result auth_failed(struct auth *auth, const char *peer, uint64_t now_ns);
/* The token of that SHA-256 if it is there and not over, else NULL; borrowed until the next auth_load. Always takes the
 * same time. */
const struct auth_token *auth_find(const struct auth *auth, const uint8_t hash[32], uint64_t wall_ms);
void auth_hash(const char *text, uint8_t ret_hash[32]);

/* A new token in text and its entry for the secrets document (new reference); NULL when the kernel has no random bytes. */
json_t *auth_new_token(enum access access, uint64_t expires_ms, uint64_t now_ms, char ret_text[AUTH_TOKEN_TEXT]);
/* The entry for a token known already (an import, a test). */
json_t *auth_token_entry(const char *text, enum access access, uint64_t expires_ms, uint64_t now_ms);

#endif
