#include "dataplane/iscsi/chap.h"

#include <errno.h>
#include <nettle/md5.h>
#include <nettle/memops.h>
#include <nettle/nettle-meta.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <nettle/sha3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/iscsi/login.h"

struct chap_algorithm {
	unsigned number; /* IANA "PPP Authentication Algorithms" */
	const char *text;
	const struct nettle_hash *hash;
};
static const struct chap_algorithm algorithms[] = {
	{ 5, "5", &nettle_md5 },
	{ 6, "6", &nettle_sha1 },
	{ 7, "7", &nettle_sha256 },
	{ 8, "8", &nettle_sha3_256 },
};
#define ALGORITHM_CHOICES "5,6,7,8" /* the same, in the same order */
#define ALGORITHM_MASK    0xf

/* The open challenges of this worker, by their first byte. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER; /* guards open_challenges; innermost */
static struct list open_challenges[256];

static struct list *open_bucket(uint8_t first_byte) /* open_lock held */
{
	struct list *bucket = &open_challenges[first_byte];

	if (!bucket->next)
		list_init(bucket);
	return bucket;
}

static void remember_challenge(struct iscsi_chap *chap)
{
	pthread_mutex_lock(&open_lock);
	list_append(open_bucket(chap->challenge[0]), &chap->open);
	pthread_mutex_unlock(&open_lock);
}

static void forget_challenge(struct iscsi_chap *chap)
{
	pthread_mutex_lock(&open_lock);
	list_remove(&chap->open);
	pthread_mutex_unlock(&open_lock);
}

static bool is_our_challenge(const uint8_t *challenge, size_t len_bytes)
{
	bool found = false;

	if (len_bytes != ISCSI_CHAP_CHALLENGE_BYTES)
		return false;
	pthread_mutex_lock(&open_lock);
	list_for_each(at, open_bucket(challenge[0]))
		found |= memcmp(container_of(at, struct iscsi_chap, open)->challenge, challenge, len_bytes) == 0;
	pthread_mutex_unlock(&open_lock);
	return found;
}

void iscsi_chap_init(struct iscsi_chap *chap)
{
	*chap = (struct iscsi_chap){ .state = ISCSI_CHAP_IDLE };
	list_init(&chap->open);
}

void iscsi_chap_fini(struct iscsi_chap *chap)
{
	forget_challenge(chap);
}

static void digest(const struct nettle_hash *hash, uint8_t identifier, const struct secret *secret,
		   const uint8_t *challenge, size_t challenge_bytes, uint8_t *ret_response)
{
	union {
		struct md5_ctx md5;
		struct sha1_ctx sha1;
		struct sha256_ctx sha256;
		struct sha3_256_ctx sha3_256;
	} context;

	hash->init(&context);
	hash->update(&context, 1, &identifier);
	hash->update(&context, secret->len_bytes, secret->bytes);
	hash->update(&context, challenge_bytes, challenge);
	hash->digest(&context, hash->digest_size, ret_response);
	explicit_bzero(&context, sizeof context);
}

size_t iscsi_chap_response(unsigned algorithm, uint8_t identifier, const struct secret *secret, const uint8_t *challenge,
			   size_t challenge_bytes, uint8_t ret_response[ISCSI_CHAP_DIGEST_MAX])
{
	for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
		if (algorithms[i].number != algorithm)
			continue;
		digest(algorithms[i].hash, identifier, secret, challenge, challenge_bytes, ret_response);
		return algorithms[i].hash->digest_size;
	}
	return 0;
}

static void put_hex(struct iscsi_text *answer, const char *key, const uint8_t *bytes, size_t len_bytes)
{
	char hex[2 * ISCSI_CHAP_CHALLENGE_BYTES + 1];

	for (size_t i = 0; i < len_bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	iscsi_text_put(answer, key, "0x%s", hex);
}

static uint16_t refuse(const char **ret_reason, const char *reason)
{
	*ret_reason = reason;
	return ISCSI_LOGIN_AUTHENTICATION_FAILURE;
}

/* CHOSEN: CHAP_A and nothing else. */
static uint16_t challenge_step(struct iscsi_chap *chap, const struct iscsi_offers *offers, struct iscsi_text *answer,
			       const char **ret_reason)
{
	const char *offer = offers->value[ISCSI_KEY_CHAP_A];
	uint8_t random[1 + ISCSI_CHAP_CHALLENGE_BYTES];
	int choice;

	if (!offer || offers->value[ISCSI_KEY_CHAP_I] || offers->value[ISCSI_KEY_CHAP_C] ||
	    offers->value[ISCSI_KEY_CHAP_N] || offers->value[ISCSI_KEY_CHAP_R])
		return refuse(ret_reason, "CHAP must begin with CHAP_A alone");
	choice = iscsi_list_choose(offer, ALGORITHM_CHOICES, ALGORITHM_MASK);
	if (choice < 0)
		return refuse(ret_reason, "no CHAP algorithm in common");
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
		*ret_reason = "no random numbers for a challenge";
		return ISCSI_LOGIN_OUT_OF_RESOURCES;
	}
	chap->algorithm = &algorithms[choice];
	chap->identifier = random[0];
	memcpy(chap->challenge, random + 1, sizeof chap->challenge);
	chap->state = ISCSI_CHAP_CHALLENGED;
	remember_challenge(chap);
	iscsi_text_put(answer, "CHAP_A", "%s", chap->algorithm->text);
	iscsi_text_put(answer, "CHAP_I", "%u", chap->identifier);
	put_hex(answer, "CHAP_C", chap->challenge, sizeof chap->challenge);
	return 0;
}

/* Name and response are both looked at, in the same time whichever is wrong. */
static bool initiator_proved(const struct iscsi_chap *chap, const struct iscsi_credential *peer, const char *name,
			     const uint8_t *response, ssize_t response_bytes)
{
	const struct nettle_hash *hash = chap->algorithm->hash;
	size_t name_len = strlen(name);
	uint8_t expected[ISCSI_CHAP_DIGEST_MAX];
	bool right_name, right_response;

	digest(hash, chap->identifier, &peer->secret, chap->challenge, sizeof chap->challenge, expected);
	right_response = response_bytes == (ssize_t)hash->digest_size &&
			 memeql_sec(expected, response, hash->digest_size);
	right_name = name_len == strlen(peer->user) && memeql_sec(name, peer->user, name_len);
	explicit_bzero(expected, sizeof expected);
	return right_name & right_response;
}

/* The initiator wants proof from us. received: its CHAP_R, which ours must not equal. */
static uint16_t prove_ourselves(const struct iscsi_chap *chap, const struct iscsi_credential *own,
				const char *identifier_text, const char *challenge_text, const uint8_t *received,
				struct iscsi_text *answer, const char **ret_reason)
{
	const struct nettle_hash *hash = chap->algorithm->hash;
	uint8_t challenge[ISCSI_CHAP_CHALLENGE_MAX], response[ISCSI_CHAP_DIGEST_MAX];
	uint32_t identifier;
	ssize_t challenge_bytes;

	if (!iscsi_number_decode(identifier_text, 0, 255, &identifier))
		return refuse(ret_reason, "CHAP_I is not a number from 0 to 255");
	challenge_bytes = iscsi_binary_decode(challenge_text, challenge, sizeof challenge);
	if (challenge_bytes < 0)
		return refuse(ret_reason, "CHAP_C is malformed or longer than 1024 bytes");
	if (is_our_challenge(challenge, (size_t)challenge_bytes))
		return refuse(ret_reason, "CHAP_C is a challenge of ours (reflection)");
	digest(hash, (uint8_t)identifier, &own->secret, challenge, (size_t)challenge_bytes, response);
	if (memeql_sec(response, received, hash->digest_size))
		return refuse(ret_reason, "CHAP_R equals the response we would send (reflection)");
	iscsi_text_put(answer, "CHAP_N", "%s", own->user);
	put_hex(answer, "CHAP_R", response, hash->digest_size);
	return 0;
}

/* CHALLENGED: CHAP_N and CHAP_R, and CHAP_I and CHAP_C exactly when mutual authentication is configured. */
static uint16_t proof_step(struct iscsi_chap *chap, const struct iscsi_auth *auth, const struct iscsi_offers *offers,
			   struct iscsi_text *answer, const char **ret_reason)
{
	const char *name = offers->value[ISCSI_KEY_CHAP_N], *response_text = offers->value[ISCSI_KEY_CHAP_R];
	const char *identifier = offers->value[ISCSI_KEY_CHAP_I], *challenge = offers->value[ISCSI_KEY_CHAP_C];
	uint8_t response[ISCSI_CHAP_DIGEST_MAX] = { 0 };
	ssize_t response_bytes;
	uint16_t status;

	if (!name || !response_text || offers->value[ISCSI_KEY_CHAP_A])
		return refuse(ret_reason, "CHAP_N and CHAP_R must answer the challenge");
	response_bytes = iscsi_binary_decode(response_text, response, sizeof response);
	if (!initiator_proved(chap, &auth->peer, name, response, response_bytes))
		return refuse(ret_reason, "wrong CHAP name or response");
	if (!identifier != !challenge)
		return refuse(ret_reason, "CHAP_I and CHAP_C must come together");
	if (challenge && !auth->mutual)
		return refuse(ret_reason, "mutual CHAP wanted but not configured");
	if (!challenge && auth->mutual)
		return refuse(ret_reason, "mutual CHAP configured but not wanted");
	if (challenge) {
		status = prove_ourselves(chap, &auth->own, identifier, challenge, response, answer, ret_reason);
		if (status)
			return status;
	}
	chap->state = ISCSI_CHAP_PROVED;
	return 0;
}

uint16_t iscsi_chap_step(struct iscsi_chap *chap, const struct iscsi_auth *auth, const struct iscsi_offers *offers,
			 struct iscsi_text *answer, const char **ret_reason)
{
	bool any = false;

	for (enum iscsi_key_id id = ISCSI_KEY_CHAP_A; id <= ISCSI_KEY_CHAP_R; id++)
		any |= offers->value[id] != NULL;
	if (!any)
		return 0;
	switch (chap->state) {
	case ISCSI_CHAP_CHOSEN:
		return challenge_step(chap, offers, answer, ret_reason);
	case ISCSI_CHAP_CHALLENGED:
		return proof_step(chap, auth, offers, answer, ret_reason);
	default:
		return refuse(ret_reason, "CHAP keys before AuthMethod=CHAP or after its end");
	}
}
