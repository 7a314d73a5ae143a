#include "dataplane/iscsi/keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/login.h"
#include "log.h"

/* Short words for the columns of keys.def. */
enum { I = ISCSI_KEY_FROM_INITIATOR, T = ISCSI_KEY_FROM_TARGET, B = I | T };
enum { S = 1 << ISCSI_STAGE_SECURITY, O = 1 << ISCSI_STAGE_OPERATIONAL, F = 1 << ISCSI_STAGE_FULL_FEATURE };
enum { D = 1, R = 2, E = 4 };
#define M ((1 << 24) - 1)

static const struct iscsi_key key_table[ISCSI_KEY_COUNT] = {
#define KEY(id, wire_name, key_type, from, when, flags, first, least, most, own, list)                         \
	[ISCSI_KEY_##id] = { .name = wire_name, .type = ISCSI_TYPE_##key_type, .senders = from, .stages = when, \
			     .discovery_irrelevant = (flags) & D,                           \
			     .repeatable = (flags) & R, .may_be_empty = (flags) & E,              \
			     .initial = first, .min = least, .max = most, .ours = own, .choices = list },
#include "dataplane/iscsi/keys.def"
#undef KEY
};
#undef M
_Static_assert(ISCSI_KEY_COUNT <= 64, "iscsi_keys.seen has a bit per key");

const struct iscsi_key *iscsi_key_get(enum iscsi_key_id id)
{
	return &key_table[id];
}

enum iscsi_key_id iscsi_key_find(const char *name, size_t len_bytes)
{
	for (enum iscsi_key_id id = 0; id < ISCSI_KEY_COUNT; id++)
		if (name[0] == key_table[id].name[0] && strlen(key_table[id].name) == len_bytes &&
		    memcmp(name, key_table[id].name, len_bytes) == 0)
			return id;
	return ISCSI_KEY_COUNT;
}

void iscsi_text_init(struct iscsi_text *text, uint32_t limit_bytes)
{
	*text = (struct iscsi_text){ .limit_bytes = limit_bytes };
}

void iscsi_text_fini(struct iscsi_text *text)
{
	free(text->bytes);
	*text = (struct iscsi_text){ 0 };
}

/* Room for len_bytes more; NULL: none. Doubles, so that n appends cost O(n). */
static char *text_room(struct iscsi_text *text, size_t len_bytes)
{
	uint32_t room = text->room_bytes ? text->room_bytes : 256;
	char *bytes;

	if (text->bad || len_bytes > text->limit_bytes - text->len_bytes) {
		text->bad = true;
		return NULL;
	}
	while (room < text->len_bytes + len_bytes)
		room = room > text->limit_bytes / 2 ? text->limit_bytes : room * 2;
	if (room > text->room_bytes) {
		bytes = realloc(text->bytes, room);
		if (!bytes) {
			text->bad = true;
			return NULL;
		}
		text->bytes = bytes;
		text->room_bytes = room;
	}
	return text->bytes + text->len_bytes;
}

void iscsi_text_append(struct iscsi_text *text, const void *bytes, size_t len_bytes)
{
	char *room = len_bytes ? text_room(text, len_bytes) : NULL;

	if (!room)
		return;
	memcpy(room, bytes, len_bytes);
	text->len_bytes += (uint32_t)len_bytes;
}

void iscsi_text_put(struct iscsi_text *text, const char *key, const char *format, ...)
{
	size_t key_len = strlen(key);
	va_list args;
	char *room;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	room = len < 0 ? NULL : text_room(text, key_len + 1 + (size_t)len + 1);
	if (!room)
		return;
	memcpy(room, key, key_len);
	room[key_len] = '=';
	va_start(args, format);
	vsnprintf(room + key_len + 1, (size_t)len + 1, format, args);
	va_end(args);
	text->len_bytes += (uint32_t)(key_len + 1 + (size_t)len + 1);
}

/* standard-label of RFC 7143 6.1. It says that a label begins with a capital letter; we do not insist. */
static bool key_name_valid(const char *name, size_t len_bytes)
{
	static const char accept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-+@_#";

	return len_bytes > 0 && len_bytes <= ISCSI_KEY_NAME_MAX && strspn(name, accept) >= len_bytes;
}

bool iscsi_pair_next(const char **at, const char *end, struct iscsi_pair *ret_pair)
{
	size_t left = (size_t)(end - *at);
	const char *nul = left ? memchr(*at, '\0', left) : NULL;
	const char *equals = nul ? memchr(*at, '=', (size_t)(nul - *at)) : NULL;

	if (!equals || !key_name_valid(*at, (size_t)(equals - *at)))
		return false;
	*ret_pair = (struct iscsi_pair){ .name = *at, .name_len = (size_t)(equals - *at),
					 .value = equals + 1, .value_len = (size_t)(nul - equals - 1) };
	*at = nul + 1;
	return true;
}

bool iscsi_number_decode(const char *text, uint32_t min, uint32_t max, uint32_t *ret_number)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	size_t len = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	uint64_t number = 0;

	if (len == 0 || digits[len] != '\0' || (!hex && len > 1 && digits[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)(digits[i] <= '9' ? digits[i] - '0' : (digits[i] | 0x20) - 'a' + 10);

		number = number * (hex ? 16 : 10) + digit;
		if (number > UINT32_MAX)
			return false;
	}
	if (number < min || number > max)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* n digits stand for (n + 1) / 2 bytes, as if a leading zero made them even (RFC 7143 6.1). */
static ssize_t hex_decode(const char *text, uint8_t *ret_bytes, size_t room_bytes)
{
	size_t digits = strlen(text), len = (digits + 1) / 2;

	if (digits == 0 || len > room_bytes)
		return -1;
	memset(ret_bytes, 0, len);
	for (size_t i = 0; i < digits; i++) {
		size_t nibble = i + (digits & 1);
		int value = hex_digit(text[i]);

		if (value < 0)
			return -1;
		ret_bytes[nibble / 2] |= (uint8_t)(nibble & 1 ? value : value << 4);
	}
	return (ssize_t)len;
}

static int base64_digit(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* RFC 4648 with padding; bits that the padding cuts off must be zero. */
static ssize_t base64_decode(const char *text, uint8_t *ret_bytes, size_t room_bytes)
{
	size_t chars = strlen(text), padding = 0, len;
	uint32_t bits = 0;

	if (chars == 0 || chars % 4)
		return -1;
	while (padding < 2 && text[chars - 1 - padding] == '=')
		padding++;
	len = chars / 4 * 3 - padding;
	if (len > room_bytes)
		return -1;
	for (size_t i = 0; i < chars; i++) {
		int value = i >= chars - padding ? 0 : base64_digit(text[i]);

		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4 != 3)
			continue;
		for (size_t b = 0; b < 3; b++) {
			size_t to = i / 4 * 3 + b;
			uint8_t byte = (uint8_t)(bits >> (16 - 8 * b));

			if (to < len)
				ret_bytes[to] = byte;
			else if (byte)
				return -1;
		}
	}
	return (ssize_t)len;
}

ssize_t iscsi_binary_decode(const char *text, uint8_t *ret_bytes, size_t room_bytes)
{
	if (text[0] != '0')
		return -1;
	switch (text[1]) {
	case 'x':
	case 'X':
		return hex_decode(text + 2, ret_bytes, room_bytes);
	case 'b':
	case 'B':
		return base64_decode(text + 2, ret_bytes, room_bytes);
	default:
		return -1;
	}
}

/* Position of the element in the list; -1: not in it. */
static int list_find(const char *list, const char *element, size_t len)
{
	for (int i = 0;; i++) {
		size_t item_len = strcspn(list, ",");

		if (item_len == len && memcmp(list, element, len) == 0)
			return i;
		if (list[item_len] == '\0')
			return -1;
		list += item_len + 1;
	}
}

int iscsi_list_choose(const char *offer, const char *choices, uint32_t mask)
{
	for (;;) {
		size_t len = strcspn(offer, ",");
		int choice = len ? list_find(choices, offer, len) : -1;

		if (choice >= 0 && mask & UINT32_C(1) << choice)
			return choice;
		if (offer[len] == '\0')
			return -1;
		offer += len + 1;
	}
}

void iscsi_keys_init(struct iscsi_keys *keys)
{
	*keys = (struct iscsi_keys){ 0 };
	for (unsigned i = 0; i < ISCSI_KEY_COUNT; i++) {
		keys->ours[i] = key_table[i].ours;
		keys->value[i] = key_table[i].initial;
	}
}

void iscsi_keys_set_ours(struct iscsi_keys *keys, const struct iscsi_target_params *target)
{
	if (!target)
		return;
	keys->ours[ISCSI_KEY_HEADER_DIGEST] = target->header_digest;
	keys->ours[ISCSI_KEY_DATA_DIGEST] = target->data_digest;
	keys->ours[ISCSI_KEY_INITIAL_R2T] = target->initial_r2t;
	keys->ours[ISCSI_KEY_IMMEDIATE_DATA] = target->immediate_data;
	keys->ours[ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH] = target->max_recv_data_segment_bytes;
	keys->ours[ISCSI_KEY_MAX_BURST_LENGTH] = target->max_burst_bytes;
	keys->ours[ISCSI_KEY_FIRST_BURST_LENGTH] = target->first_burst_bytes;
	keys->ours[ISCSI_KEY_MAX_OUTSTANDING_R2T] =
		target->max_outstanding_r2t < ISCSI_R2TS_MAX ? target->max_outstanding_r2t : ISCSI_R2TS_MAX;
	keys->ours[ISCSI_KEY_DEFAULT_TIME2WAIT] = target->time2wait_s;
	keys->ours[ISCSI_KEY_DEFAULT_TIME2RETAIN] = target->time2retain_s;
}

static uint64_t key_bit(enum iscsi_key_id id)
{
	return UINT64_C(1) << id;
}

/* Reject, Irrelevant, NotUnderstood: answers, never offers (RFC 7143 6.2). */
static bool is_reserved_word(const char *value)
{
	return strcmp(value, "Reject") == 0 || strcmp(value, "Irrelevant") == 0 || strcmp(value, "NotUnderstood") == 0;
}

static bool boolean_decode(const char *value, uint32_t *ret_value)
{
	if (strcmp(value, "Yes") != 0 && strcmp(value, "No") != 0)
		return false;
	*ret_value = value[0] == 'Y';
	return true;
}

/* Notes the offered value. False: not admissible, to be answered Reject; the value in force stays. */
static bool note_offer(struct iscsi_keys *keys, enum iscsi_key_id id, const char *value)
{
	const struct iscsi_key *key = &key_table[id];

	switch (key->type) {
	case ISCSI_TYPE_AND:
	case ISCSI_TYPE_OR:
		return boolean_decode(value, &keys->value[id]);
	case ISCSI_TYPE_MIN:
	case ISCSI_TYPE_MAX:
	case ISCSI_TYPE_NUMBER:
		return iscsi_number_decode(value, key->min, key->max, &keys->value[id]);
	default:
		return true;
	}
}

/* Where a complaint about a pair is decided. NULL: none. */
static const char *pair_complaint(const struct iscsi_keys *keys, enum iscsi_stage stage, enum iscsi_key_id id,
				  const struct iscsi_pair *pair, const char *earlier)
{
	const struct iscsi_key *key = &key_table[id];

	if (!(key->senders & ISCSI_KEY_FROM_INITIATOR))
		return "a key that only targets send";
	if (!(key->stages & 1 << stage))
		return "a key that does not belong to this stage";
	if (pair->value_len == 0 && !key->may_be_empty)
		return "a key without a value";
	if ((key->type == ISCSI_TYPE_TEXT || key->type == ISCSI_TYPE_SEND_TARGETS) && pair->value_len > key->max)
		return "a value that is too long";
	if (key->type != ISCSI_TYPE_TEXT && is_reserved_word(pair->value))
		return "a reserved word as an offer";
	if (key->repeatable)
		return earlier && strcmp(earlier, pair->value) != 0 ? "a key twice with different values" : NULL;
	if (earlier || (keys->seen & key_bit(id) && key->type != ISCSI_TYPE_CHAP))
		return "a key offered twice";
	return NULL;
}

/* 0, or the login status of the refusal. */
static uint16_t take_pair(struct iscsi_keys *keys, enum iscsi_stage stage, const struct iscsi_pair *pair,
			  struct iscsi_offers *offers, const char **ret_complaint)
{
	enum iscsi_key_id id = iscsi_key_find(pair->name, pair->name_len);

	if (id == ISCSI_KEY_COUNT) {
		if (pair->value_len == 0)
			*ret_complaint = "a key without a value";
		else if (is_reserved_word(pair->value))
			*ret_complaint = "a reserved word as an offer";
		else if (++keys->unknown > ISCSI_UNKNOWN_KEYS_MAX)
			*ret_complaint = "too many unknown keys";
		return *ret_complaint ? ISCSI_LOGIN_INITIATOR_ERROR : 0;
	}
	if (!(key_table[id].senders & ISCSI_KEY_FROM_INITIATOR) && is_reserved_word(pair->value))
		return 0; /* its answer to a declaration of ours */
	*ret_complaint = pair_complaint(keys, stage, id, pair, offers->value[id]);
	if (*ret_complaint)
		return key_table[id].type == ISCSI_TYPE_CHAP || key_table[id].type == ISCSI_TYPE_AUTH ?
			       ISCSI_LOGIN_AUTHENTICATION_FAILURE : ISCSI_LOGIN_INITIATOR_ERROR;
	offers->value[id] = pair->value;
	keys->seen |= key_bit(id);
	if (!note_offer(keys, id, pair->value))
		keys->rejected |= key_bit(id);
	return 0;
}

/* Up to three zero bytes behind the last pair are the padding of a sender that counted it. */
static bool is_padding(const char *at, const char *end)
{
	size_t left = (size_t)(end - at);

	return left <= 3 && memcmp(at, "\0\0\0", left) == 0;
}

uint16_t iscsi_keys_parse(struct iscsi_keys *keys, enum iscsi_stage stage, const char *text, size_t len_bytes,
			  struct iscsi_offers *ret_offers, char *ret_reason, size_t reason_bytes)
{
	const char *at = text, *end, *complaint = NULL;
	struct iscsi_pair pair;
	uint16_t status;

	*ret_offers = (struct iscsi_offers){ 0 };
	if (len_bytes == 0)
		return 0;
	end = text + len_bytes;
	while (iscsi_pair_next(&at, end, &pair)) {
		status = take_pair(keys, stage, &pair, ret_offers, &complaint);
		if (status) {
			snprintf(ret_reason, reason_bytes, "%s: %s", complaint, log_quoted_n(pair.name, pair.name_len));
			return status;
		}
	}
	if (at == text || !is_padding(at, end)) {
		size_t left = (size_t)(end - at);

		snprintf(ret_reason, reason_bytes, "malformed text: %s", log_quoted_n(at, left < 32 ? left : 32));
		return ISCSI_LOGIN_INITIATOR_ERROR;
	}
	return 0;
}

static uint32_t result_of(enum iscsi_key_type type, uint32_t offer, uint32_t ours)
{
	switch (type) {
	case ISCSI_TYPE_AND:
		return offer & ours;
	case ISCSI_TYPE_OR:
		return offer | ours;
	case ISCSI_TYPE_MIN:
		return offer < ours ? offer : ours;
	case ISCSI_TYPE_MAX:
		return offer > ours ? offer : ours;
	default:
		return offer;
	}
}

static bool is_irrelevant(const struct iscsi_keys *keys, enum iscsi_key_id id)
{
	if (keys->discovery && key_table[id].discovery_irrelevant)
		return true;
	/* 13.14: without immediate and without unsolicited data there is no first burst. */
	return id == ISCSI_KEY_FIRST_BURST_LENGTH && keys->value[ISCSI_KEY_INITIAL_R2T] &&
	       !keys->value[ISCSI_KEY_IMMEDIATE_DATA];
}

void iscsi_keys_resolve(struct iscsi_keys *keys, const struct iscsi_offers *offers)
{
	uint32_t *value = keys->value;

	for (enum iscsi_key_id id = 0; id < ISCSI_KEY_COUNT; id++) {
		const struct iscsi_key *key = &key_table[id];
		int choice;

		if (!offers->value[id] || keys->rejected & key_bit(id))
			continue;
		if (key->type != ISCSI_TYPE_LIST) {
			value[id] = result_of(key->type, value[id], keys->ours[id]);
			continue;
		}
		choice = iscsi_list_choose(offers->value[id], key->choices, keys->ours[id]);
		if (choice < 0)
			keys->rejected |= key_bit(id);
		else
			value[id] = (uint32_t)choice;
	}
	if (value[ISCSI_KEY_FIRST_BURST_LENGTH] > value[ISCSI_KEY_MAX_BURST_LENGTH])
		value[ISCSI_KEY_FIRST_BURST_LENGTH] = value[ISCSI_KEY_MAX_BURST_LENGTH];
}

static void answer_choice(struct iscsi_text *answer, const struct iscsi_key *key, uint32_t choice)
{
	const char *at = key->choices;

	while (choice--)
		at += strcspn(at, ",") + 1;
	iscsi_text_put(answer, key->name, "%.*s", (int)strcspn(at, ","), at);
}

static void answer_key(const struct iscsi_keys *keys, enum iscsi_key_id id, struct iscsi_text *answer)
{
	const struct iscsi_key *key = &key_table[id];
	uint32_t value = keys->value[id];

	if (keys->rejected & key_bit(id)) {
		iscsi_text_put(answer, key->name, "Reject");
		return;
	}
	if (is_irrelevant(keys, id)) {
		iscsi_text_put(answer, key->name, "Irrelevant");
		return;
	}
	switch (key->type) {
	case ISCSI_TYPE_AND:
	case ISCSI_TYPE_OR:
		iscsi_text_put(answer, key->name, "%s", value ? "Yes" : "No");
		break;
	case ISCSI_TYPE_MIN:
	case ISCSI_TYPE_MAX:
		iscsi_text_put(answer, key->name, "%u", value);
		break;
	case ISCSI_TYPE_LIST:
		answer_choice(answer, key, value);
		break;
	case ISCSI_TYPE_NO:
		iscsi_text_put(answer, key->name, "No");
		break;
	case ISCSI_TYPE_REJECT:
		iscsi_text_put(answer, key->name, "Reject");
		break;
	case ISCSI_TYPE_NUMBER:
	case ISCSI_TYPE_TEXT:
	case ISCSI_TYPE_AUTH:
	case ISCSI_TYPE_CHAP:
	case ISCSI_TYPE_SEND_TARGETS:
		break;
	}
}

void iscsi_keys_answer(const struct iscsi_keys *keys, const char *text, size_t len_bytes, struct iscsi_text *answer)
{
	const char *at = text, *end = len_bytes ? text + len_bytes : text;
	char name[ISCSI_KEY_NAME_MAX + 1];
	uint64_t answered = 0;
	struct iscsi_pair pair;

	while (at < end && iscsi_pair_next(&at, end, &pair)) {
		enum iscsi_key_id id = iscsi_key_find(pair.name, pair.name_len);

		if (id == ISCSI_KEY_COUNT) {
			memcpy(name, pair.name, pair.name_len);
			name[pair.name_len] = '\0';
			iscsi_text_put(answer, name, "NotUnderstood");
		} else if (!(answered & key_bit(id))) {
			answered |= key_bit(id);
			answer_key(keys, id, answer);
		}
	}
}
