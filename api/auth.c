/* Bearer tokens: see auth.h. */
#include "api/auth.h"

#include <errno.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "clock.h"
#include "hash.h"

int auth_init(struct auth *auth)
{
	memset(auth, 0, sizeof *auth);
	auth->failures = calloc(AUTH_ADDRESSES_MAX, sizeof *auth->failures);
	return auth->failures ? 0 : -ENOMEM;
}

void auth_fini(struct auth *auth)
{
	free(auth->tokens);
	free(auth->failures);
	memset(auth, 0, sizeof *auth);
}

void auth_hash(const char *text, uint8_t ret_hash[SHA256_DIGEST_SIZE])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, strlen(text), (const uint8_t *)text);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, ret_hash);
}

static int hex_decode(const char *text, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		if (!text || sscanf(text + 2 * i, "%2x", &byte) != 1)
			return -1;
		out[i] = (uint8_t)byte;
	}
	return text[2 * len] == '\0' ? 0 : -1;
}

static void hex_encode(const uint8_t *bytes, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
}

static int token_of(const char *name, const json_t *entry, struct auth_token *ret_token)
{
	const char *hash = json_string_value(json_object_get(entry, "sha256"));
	const char *role = json_string_value(json_object_get(entry, "role"));
	int access = role ? access_parse(role) : -1;

	if (!hash || strlen(hash) != 64 || access <= ACCESS_ANYONE || strlen(name) >= sizeof ret_token->name)
		return -1;
	if (hex_decode(hash, ret_token->hash, sizeof ret_token->hash))
		return -1;
	strcpy(ret_token->name, name);
	ret_token->access = (enum access)access;
	ret_token->expires_ms = (uint64_t)json_integer_value(json_object_get(entry, "expires_ms"));
	return 0;
}

int auth_load(struct auth *auth, const json_t *tokens)
{
	struct auth_token *list = calloc(json_object_size(tokens) + 1, sizeof *list);
	unsigned count = 0;
	const char *name;
	json_t *entry;

	if (!list)
		return -ENOMEM;
	json_object_foreach((json_t *)tokens, name, entry)
		if (token_of(name, entry, &list[count]) == 0)
			count++;
	free(auth->tokens);
	auth->tokens = list;
	auth->token_count = count;
	return 0;
}

static struct auth_failures *failures_of(struct auth *auth, const char *peer)
{
	return &auth->failures[hash_text(peer) % AUTH_ADDRESSES_MAX];
}

enum auth_result auth_failed(struct auth *auth, const char *peer, uint64_t now_ns)
{
	struct auth_failures *f = failures_of(auth, peer);

	if (strcmp(f->peer, peer) != 0 || now_ns - f->window_ns > AUTH_WINDOW_S * NS_PER_S) {
		snprintf(f->peer, sizeof f->peer, "%s", peer);
		f->window_ns = now_ns;
		f->count = 0;
	}
	return ++f->count > AUTH_FAILURES_MAX ? AUTH_LIMITED : AUTH_REFUSED;
}

const struct auth_token *auth_find(const struct auth *auth, const uint8_t hash[SHA256_DIGEST_SIZE], uint64_t wall_ms)
{
	const struct auth_token *found = NULL;

	for (unsigned i = 0; i < auth->token_count; i++) {
		const struct auth_token *t = &auth->tokens[i];

		if (memeql_sec(t->hash, hash, sizeof t->hash))
			found = t;
	}
	return found && found->expires_ms && found->expires_ms <= wall_ms ? NULL : found;
}

enum auth_result auth_check_text(struct auth *auth, const char *text, const char *peer, uint64_t now_ns, uint64_t wall_ms,
				 const struct auth_token **ret_token)
{
	const struct auth_token *found;
	uint8_t hash[SHA256_DIGEST_SIZE];

	auth_hash(strlen(text) < AUTH_TOKEN_TEXT ? text : "", hash);
	found = auth_find(auth, hash, wall_ms);
	if (!found)
		return auth_failed(auth, peer, now_ns);
	*ret_token = found;
	return AUTH_OK;
}

enum auth_result auth_check(struct auth *auth, const char *authorization, const char *peer, uint64_t now_ns,
			    uint64_t wall_ms, const struct auth_token **ret_token)
{
	const char *text = "";

	if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
		text = authorization + 7 + strspn(authorization + 7, " ");
	return auth_check_text(auth, text, peer, now_ns, wall_ms, ret_token);
}

json_t *auth_token_entry(const char *text, enum access access, uint64_t expires_ms, uint64_t now_ms)
{
	uint8_t hash[SHA256_DIGEST_SIZE];
	char hash_text[2 * SHA256_DIGEST_SIZE + 1];

	auth_hash(text, hash);
	hex_encode(hash, sizeof hash, hash_text);
	return json_pack("{s:s, s:s, s:I, s:I}", "sha256", hash_text, "role", access_name(access), "created_ms",
			 (json_int_t)now_ms, "expires_ms", (json_int_t)expires_ms);
}

json_t *auth_new_token(enum access access, uint64_t expires_ms, uint64_t now_ms, char ret_text[AUTH_TOKEN_TEXT])
{
	uint8_t bytes[32];

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return NULL;
	strcpy(ret_text, "lnt_");
	hex_encode(bytes, sizeof bytes, ret_text + 4);
	return auth_token_entry(ret_text, access, expires_ms, now_ms);
}
