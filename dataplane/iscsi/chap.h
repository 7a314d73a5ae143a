/*
 * CHAP (RFC 1994, RFC 7143 section 12.1.3) from the target's side: one-way, and mutual when we own a credential too.
 *
 * Happy path: CHOSEN (AuthMethod=CHAP was agreed), CHAP_A comes, we answer CHAP_A, CHAP_I, CHAP_C: CHALLENGED; CHAP_N and
 * CHAP_R come (with CHAP_I and CHAP_C when the initiator wants us to prove ourselves), we check, answer CHAP_N and CHAP_R
 * when asked: PROVED. Anything else, in any other order, is an authentication failure: there is no second try.
 *
 * Reflection: every challenge of ours that is still open is known to the whole worker; a challenge of the initiator that
 * equals one of them is never answered.
 */
#ifndef LUNETTE_ISCSI_CHAP_H
#define LUNETTE_ISCSI_CHAP_H

#include "dataplane/iscsi/config.h"
#include "dataplane/iscsi/keys.h"
#include "list.h"

#define ISCSI_CHAP_CHALLENGE_BYTES     32   /* ours */
#define ISCSI_CHAP_CHALLENGE_MAX       1024 /* the initiator's */
#define ISCSI_CHAP_DIGEST_MAX          32
#define ISCSI_CHAP_NAME_MAX            255

enum iscsi_chap_state { ISCSI_CHAP_IDLE, ISCSI_CHAP_CHOSEN, ISCSI_CHAP_CHALLENGED, ISCSI_CHAP_PROVED };

struct chap_algorithm;
struct iscsi_chap {
	enum iscsi_chap_state state;
	const struct chap_algorithm *algorithm;
	uint8_t identifier;
	uint8_t challenge[ISCSI_CHAP_CHALLENGE_BYTES];
	struct list open; /* in the worker's table of open challenges while CHALLENGED or PROVED */
};

void iscsi_chap_init(struct iscsi_chap *chap);
/* Forgets the challenge. */
void iscsi_chap_fini(struct iscsi_chap *chap);
/* Takes the CHAP keys among the offers of one request and appends ours to the answer. auth->chap must be set. Returns 0
 * (also when there are no CHAP keys: nothing happens) or the login status of the refusal with *ret_reason, a constant. */
uint16_t iscsi_chap_step(struct iscsi_chap *chap, const struct iscsi_auth *auth, const struct iscsi_offers *offers,
			 struct iscsi_text *answer, const char **ret_reason);
/* The response to a challenge, for tests and for both directions: H(identifier, secret, challenge). Returns its length; 0
 * when the algorithm number (5 MD5, 6 SHA-1, 7 SHA-256, 8 SHA3-256) is not known. */
size_t iscsi_chap_response(unsigned algorithm, uint8_t identifier, const struct secret *secret, const uint8_t *challenge,
			   size_t challenge_bytes, uint8_t ret_response[ISCSI_CHAP_DIGEST_MAX]);

#endif
