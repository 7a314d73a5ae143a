#include "dataplane/scsi/token.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "clock.h"

enum { /* SPC-4 table 131: where things are in a token */
	AT_TYPE = 0, AT_LENGTH = 6, AT_ID = 8, AT_CREATOR = 16, AT_BYTES = 48, AT_CAPACITY = 96, AT_SECRET = 256,
	TOKEN_LENGTH = COPY_TOKEN_BYTES - 8,
};

struct scsi_token {
	struct scsi_token *next; /* newest first */
	enum token_answer state;
	uint64_t inactivity_ns, expires_ns, dies_ns; /* dies_ns: however much it is used */
	struct copy_ranges ranges;
	uint8_t bytes[COPY_TOKEN_BYTES];
};

uint64_t scsi_token_id(const uint8_t *token)
{
	return get_be64(token + AT_ID);
}

/* --- lu lock held --- */

static void spend(struct scsi_lu *lu, struct scsi_token *token, enum token_answer state)
{
	if (token->state == TOKEN_VALID)
		atomic_fetch_sub(&lu->valid_tokens, 1);
	token->state = state;
}

static void expire(struct scsi_lu *lu, uint64_t now_ns)
{
	for (struct scsi_token *token = lu->tokens; token; token = token->next)
		if (token->state == TOKEN_VALID && (now_ns >= token->expires_ns || now_ns >= token->dies_ns))
			spend(lu, token, TOKEN_EXPIRED);
}

static struct scsi_token *find(struct scsi_lu *lu, uint64_t id)
{
	struct scsi_token *token = lu->tokens;

	while (token && scsi_token_id(token->bytes) != id)
		token = token->next;
	return token;
}

/* The oldest spent one out of the list; NULL: all are valid. */
static struct scsi_token *take_spent(struct scsi_lu *lu)
{
	struct scsi_token **oldest = NULL, *token;

	for (struct scsi_token **at = &lu->tokens; *at; at = &(*at)->next)
		if ((*at)->state != TOKEN_VALID)
			oldest = at;
	if (!oldest)
		return NULL;
	token = *oldest;
	*oldest = token->next;
	lu->token_count--;
	return token;
}

/* --- the bytes --- */

static bool fill_token(struct scsi_lu *lu, struct scsi_token *token)
{
	const struct lun_attributes *attributes = lun_attributes(lu->lun);
	uint8_t *bytes = token->bytes;

	memset(bytes, 0, COPY_TOKEN_BYTES);
	put_be32(bytes + AT_TYPE, ROD_CHANGE_VULNERABLE);
	put_be16(bytes + AT_LENGTH, TOKEN_LENGTH);
	bytes[AT_CREATOR] = COPY_CSCD_IDENTIFICATION;
	bytes[AT_CREATOR + 4] = 1; /* binary */
	bytes[AT_CREATOR + 5] = DESIGNATOR_NAA;
	bytes[AT_CREATOR + 7] = sizeof attributes->naa;
	memcpy(bytes + AT_CREATOR + 8, attributes->naa, sizeof attributes->naa);
	put_be24(bytes + AT_CREATOR + 29, lu->block_bytes);
	put_be64(bytes + AT_BYTES + 8, token->ranges.blocks << lu->block_shift);
	put_be32(bytes + AT_CAPACITY, lu->block_bytes);
	/* Nobody can make a token up: its number and its end are random. */
	return getrandom(bytes + AT_ID, 8, 0) == 8 &&
	       getrandom(bytes + AT_SECRET, COPY_TOKEN_BYTES - AT_SECRET, 0) == COPY_TOKEN_BYTES - AT_SECRET;
}

/* Takes the same time wherever they differ. */
static bool same_bytes(const uint8_t *a, const uint8_t *b)
{
	uint8_t difference = 0;

	for (unsigned i = 0; i < COPY_TOKEN_BYTES; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

/* --- what commands do --- */

int scsi_token_create(struct scsi_lu *lu, const struct copy_ranges *ranges, uint32_t inactivity_s, uint64_t now_ns,
		      uint8_t *ret_token)
{
	struct scsi_token *token = malloc(sizeof *token), *spent = NULL;
	bool room;

	if (!token)
		return -ENOMEM;
	*token = (struct scsi_token){ .state = TOKEN_VALID, .ranges = *ranges, .inactivity_ns = inactivity_s * NS_PER_S,
				      .expires_ns = now_ns + inactivity_s * NS_PER_S,
				      .dies_ns = now_ns + TOKEN_LIFETIME_MAX_S * NS_PER_S };
	if (!fill_token(lu, token)) {
		free(token);
		return -EAGAIN;
	}
	pthread_mutex_lock(&lu->lock);
	expire(lu, now_ns);
	if (lu->token_count == TOKENS_MAX)
		spent = take_spent(lu);
	room = lu->token_count < TOKENS_MAX;
	if (room) {
		memcpy(ret_token, token->bytes, COPY_TOKEN_BYTES);
		token->next = lu->tokens;
		lu->tokens = token;
		lu->token_count++;
		atomic_fetch_add(&lu->valid_tokens, 1);
	}
	pthread_mutex_unlock(&lu->lock);
	free(spent);
	if (!room)
		free(token);
	return room ? 0 : -EAGAIN;
}

enum token_answer scsi_token_use(struct scsi_lu *lu, const uint8_t *bytes, uint64_t now_ns, struct copy_ranges *ret_ranges)
{
	enum token_answer answer = TOKEN_UNKNOWN;
	struct scsi_token *token;

	pthread_mutex_lock(&lu->lock);
	expire(lu, now_ns);
	token = find(lu, scsi_token_id(bytes));
	if (token)
		answer = same_bytes(token->bytes, bytes) ? token->state : TOKEN_CORRUPT;
	if (answer == TOKEN_VALID) {
		*ret_ranges = token->ranges;
		token->expires_ns = now_ns + TOKEN_WRITE_MS * NS_PER_MS + token->inactivity_ns; /* it rests while in use */
	}
	pthread_mutex_unlock(&lu->lock);
	return answer;
}

bool scsi_token_valid(struct scsi_lu *lu, uint64_t id)
{
	const struct scsi_token *token;
	bool valid;

	pthread_mutex_lock(&lu->lock);
	token = find(lu, id);
	valid = token && token->state == TOKEN_VALID;
	pthread_mutex_unlock(&lu->lock);
	return valid;
}

void scsi_token_delete(struct scsi_lu *lu, uint64_t id)
{
	struct scsi_token **at = &lu->tokens, *token;

	pthread_mutex_lock(&lu->lock);
	while (*at && scsi_token_id((*at)->bytes) != id)
		at = &(*at)->next;
	token = *at;
	if (token) {
		spend(lu, token, TOKEN_UNKNOWN);
		*at = token->next;
		lu->token_count--;
	}
	pthread_mutex_unlock(&lu->lock);
	free(token);
}

static bool holds(const struct copy_ranges *ranges, uint64_t lba, uint64_t blocks)
{
	for (unsigned i = 0; i < ranges->count; i++)
		if (ranges->range[i].lba < lba + blocks && lba < ranges->range[i].lba + ranges->range[i].blocks)
			return true;
	return false;
}

void scsi_tokens_revoke(struct scsi_lu *lu, uint64_t lba, uint64_t blocks)
{
	pthread_mutex_lock(&lu->lock);
	expire(lu, clock_now_ns());
	for (struct scsi_token *token = lu->tokens; token; token = token->next)
		if (token->state == TOKEN_VALID && holds(&token->ranges, lba, blocks))
			spend(lu, token, TOKEN_REVOKED);
	pthread_mutex_unlock(&lu->lock);
}

void scsi_tokens_free(struct scsi_lu *lu)
{
	while (lu->tokens) {
		struct scsi_token *token = lu->tokens;

		lu->tokens = token->next;
		free(token);
	}
}
