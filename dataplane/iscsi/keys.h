/*
 * Text negotiation (RFC 7143 section 6.2): "key=value" pairs, the table of keys (keys.def) and what the table says about
 * an offer. Pure functions over bytes; no sockets, no clock.
 *
 * The road of a request: iscsi_keys_parse() checks everything about the text and notes the offers, iscsi_keys_resolve()
 * applies the result functions, iscsi_keys_answer() writes the answers in the order of the offers.
 */
#ifndef LUNETTE_ISCSI_KEYS_H
#define LUNETTE_ISCSI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dataplane/iscsi/config.h"

enum iscsi_stage { ISCSI_STAGE_SECURITY = 0, ISCSI_STAGE_OPERATIONAL = 1, ISCSI_STAGE_FULL_FEATURE = 3 };

enum iscsi_key_id {
#define KEY(id, name, type, senders, stages, flags, initial, min, max, ours, choices) ISCSI_KEY_##id,
#include "dataplane/iscsi/keys.def"
#undef KEY
	ISCSI_KEY_COUNT,
};

enum iscsi_key_type {
	ISCSI_TYPE_AND, ISCSI_TYPE_OR, ISCSI_TYPE_MIN, ISCSI_TYPE_MAX, ISCSI_TYPE_LIST, ISCSI_TYPE_NUMBER, ISCSI_TYPE_TEXT,
	ISCSI_TYPE_AUTH, ISCSI_TYPE_CHAP, ISCSI_TYPE_SEND_TARGETS, ISCSI_TYPE_NO, ISCSI_TYPE_REJECT,
};

#define ISCSI_KEY_FROM_INITIATOR 1
#define ISCSI_KEY_FROM_TARGET    2

struct iscsi_key {
	const char *name;
	enum iscsi_key_type type;
	uint8_t senders;  /* ISCSI_KEY_FROM_... */
	uint8_t stages;   /* bit 1 << enum iscsi_stage */
	bool discovery_irrelevant, repeatable, may_be_empty;
	uint32_t initial, min, max, ours;
	const char *choices; /* comma-separated; the position is the value */
};
const struct iscsi_key *iscsi_key_get(enum iscsi_key_id id);
/* ISCSI_KEY_COUNT when there is no such key. */
enum iscsi_key_id iscsi_key_find(const char *name, size_t len_bytes);

#define ISCSI_KEY_NAME_MAX     63   /* bytes; RFC 7143 6.1 */
#define ISCSI_UNKNOWN_KEYS_MAX 256  /* in one login or text exchange: each costs an answer */

/* Growing text. A write that fails for want of memory, or that exceeds the limit, sets bad and is left out. */
struct iscsi_text {
	char *bytes;
	uint32_t len_bytes, room_bytes;
	uint32_t limit_bytes;
	bool bad;
};
void iscsi_text_init(struct iscsi_text *text, uint32_t limit_bytes);
void iscsi_text_fini(struct iscsi_text *text);
void iscsi_text_append(struct iscsi_text *text, const void *bytes, size_t len_bytes);
/* Appends "key=" and the formatted value with its NUL. */
void iscsi_text_put(struct iscsi_text *text, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* One pair of a text. The value ends in a NUL that is part of the text. */
struct iscsi_pair {
	const char *name, *value;
	size_t name_len, value_len;
};
/* The pair at *at, which moves behind it. False at the end, or when what is left is not a pair: *at stays before `end`. */
bool iscsi_pair_next(const char **at, const char *end, struct iscsi_pair *ret_pair);

/* The state of the negotiation of one connection. */
struct iscsi_keys {
	bool discovery;
	uint16_t unknown;                 /* keys without a row so far */
	uint64_t seen, rejected;          /* bit per key: offered; offered with an inadmissible value */
	uint32_t ours[ISCSI_KEY_COUNT];   /* see keys.def */
	uint32_t value[ISCSI_KEY_COUNT];  /* in force: first the initial value, then the offer, then the result */
};
/* Values before any negotiation. target: settings for our side; NULL for a discovery session. */
void iscsi_keys_init(struct iscsi_keys *keys);
void iscsi_keys_set_ours(struct iscsi_keys *keys, const struct iscsi_target_params *target);

/* The offers of one text: values by key, inside the text; NULL: not offered. */
struct iscsi_offers {
	const char *value[ISCSI_KEY_COUNT];
};

/* Checks a whole text of the initiator (NULL when empty) for this stage and notes its offers. 0, or a login status
 * (login_status.def) with the reason for the log line, peer-chosen bytes quoted. In the full feature phase any refusal
 * is a protocol error. */
uint16_t iscsi_keys_parse(struct iscsi_keys *keys, enum iscsi_stage stage, const char *text, size_t len_bytes,
			  struct iscsi_offers *ret_offers, char *ret_reason, size_t reason_bytes);
/* Applies the result functions to the offers of this text. keys->discovery must be known by now. */
void iscsi_keys_resolve(struct iscsi_keys *keys, const struct iscsi_offers *offers);
/* Answers what is to be answered by the table alone (not AUTH, CHAP, SEND_TARGETS). */
void iscsi_keys_answer(const struct iscsi_keys *keys, const char *text, size_t len_bytes, struct iscsi_text *answer);

/* Numeric constant of RFC 7143 6.1: decimal without leading zeros, or 0x and hexadecimal digits. False: not one, or
 * outside min..max. */
bool iscsi_number_decode(const char *text, uint32_t min, uint32_t max, uint32_t *ret_number);
/* Large binary value: 0x and hexadecimal digits, or 0b and base64 with padding. -1: malformed, empty or longer than
 * room_bytes; otherwise the number of bytes. */
ssize_t iscsi_binary_decode(const char *text, uint8_t *ret_bytes, size_t room_bytes);
/* Position in `choices` of the first element of `offer` that `mask` allows; -1: none. Both comma-separated. */
int iscsi_list_choose(const char *offer, const char *choices, uint32_t mask);

#endif
