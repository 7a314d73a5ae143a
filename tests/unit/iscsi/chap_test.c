#include "login_client.h"

#include "dataplane/iscsi/chap.h"

#define USER       "hostuser"
#define SECRET     "initiatorsecret1"
#define OWN_USER   "targetuser"
#define OWN_SECRET "targetsecret0001"
#define SERVE(auth)                                                                                            \
	"{'portals':{'default':{'address':'127.0.0.1:3260'}},'targets':{'" TARGET "':{'auth':{" auth "}}}}"
#define PEER       "'chap':{'user':'" USER "','secret':'" SECRET "'}"
#define ONE_WAY    SERVE(PEER)
#define MUTUAL     SERVE(PEER ",'mutual':{'user':'" OWN_USER "','secret':'" OWN_SECRET "'}")

enum encoding { LOWER, UPPER, UPPER_PREFIX, BASE64 };

static const char *encoded(const uint8_t *bytes, size_t len, enum encoding encoding)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static char text[80];
	char *to = text + sprintf(text, "%s", encoding == BASE64 ? "0b" : encoding == UPPER_PREFIX ? "0X" : "0x");

	if (encoding != BASE64) {
		for (size_t i = 0; i < len; i++)
			to += sprintf(to, encoding == LOWER ? "%02x" : "%02X", bytes[i]);
		return text;
	}
	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = 0;

		for (size_t b = 0; b < 3; b++)
			bits = bits << 8 | (i + b < len ? bytes[i + b] : 0);
		for (size_t c = 0; c < 4; c++)
			*to++ = i + c > len ? '=' : alphabet[bits >> (18 - 6 * c) & 63];
	}
	*to = '\0';
	return text;
}

/* The response to the challenge that the target just sent. */
static size_t respond(const struct client *client, const char *secret_text, uint8_t *ret_response)
{
	uint8_t challenge[1024];
	struct secret secret;
	ssize_t len = iscsi_binary_decode(client_value(client, "CHAP_C"), challenge, sizeof challenge);

	assert_int_equal(len, ISCSI_CHAP_CHALLENGE_BYTES);
	assert_true(secret_set(&secret, secret_text, strlen(secret_text)));
	return iscsi_chap_response((unsigned)atoi(client_value(client, "CHAP_A")),
				   (uint8_t)atoi(client_value(client, "CHAP_I")), &secret, challenge, (size_t)len,
				   ret_response);
}

/* As far as the challenge. */
static void be_challenged(struct client *client, const char *algorithms)
{
	char text[64];

	assert_int_equal(client_say(client, SECURITY, 0, 0, NAMES "\nAuthMethod=CHAP,None"), ISCSI_LOGIN_REPLY);
	assert_string_equal(client_value(client, "AuthMethod"), "CHAP");
	snprintf(text, sizeof text, "CHAP_A=%s", algorithms);
	assert_int_equal(client_say(client, SECURITY, 0, 0, text), ISCSI_LOGIN_REPLY);
	assert_non_null(client_value(client, "CHAP_C"));
}

static void responses_are_those_of_the_hash_functions(void **state)
{
	static const struct { unsigned algorithm; const char *hex; } rows[] = {
		{ 5, "0x1f04e7e9ebd0db199b5d5c36076cb85d" },
		{ 6, "0xce8bc4763fe773ca73bedcf08ff681f29054659c" },
		{ 7, "0x8bc5a226a4ddb1119a9da7330fe0bbc8f848c2524b50add0405905818cf46452" },
		{ 8, "0xa14e210dc6859cd32f05f5d0828a1e3f328b829412ed2bae71fc1627f4de2179" },
	};
	uint8_t challenge[16], response[ISCSI_CHAP_DIGEST_MAX], expected[ISCSI_CHAP_DIGEST_MAX];
	struct secret secret;

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		challenge[i] = i;
	secret_set(&secret, SECRET, strlen(SECRET));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t len = iscsi_chap_response(rows[i].algorithm, 0x17, &secret, challenge, 16, response);

		assert_int_equal(iscsi_binary_decode(rows[i].hex, expected, sizeof expected), len);
		assert_memory_equal(response, expected, len);
	}
	assert_int_equal(iscsi_chap_response(9, 0x17, &secret, challenge, 16, response), 0);
}

static void the_right_response_is_accepted_in_every_algorithm_and_encoding(void **state) /* B035 */
{
	static const char *const algorithms[] = { "5", "6", "7", "8" };
	uint8_t response[ISCSI_CHAP_DIGEST_MAX];
	char text[512];

	(void)state;
	for (unsigned a = 0; a < 4; a++) {
		for (enum encoding e = LOWER; e <= BASE64; e++) {
			struct client client = client_of(ONE_WAY);
			size_t len;

			be_challenged(&client, algorithms[a]);
			assert_string_equal(client_value(&client, "CHAP_A"), algorithms[a]);
			len = respond(&client, SECRET, response);
			snprintf(text, sizeof text, "CHAP_N=" USER "\nCHAP_R=%s", encoded(response, len, e));
			assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, text), ISCSI_LOGIN_REPLY);
			assert_int_equal(client_status(&client), 0);
			assert_int_equal(client.response.bhs[1], TRANSIT | OPERATIONAL);
			assert_true(iscsi_login_facts(client.login)->authenticated);
			assert_string_equal(iscsi_login_facts(client.login)->chap_user, USER);
			assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, ""), ISCSI_LOGIN_DONE);
			client_end(&client);
		}
	}
}

static void the_first_supported_algorithm_of_the_offer_is_taken(void **state) /* B026 */
{
	static const struct { const char *offer, *choice; } rows[] = {
		{ "5", "5" }, { "7,5", "7" }, { "9,8,5", "8" }, { "5,6,7,8", "5" }, { "99,5", "5" }, { "", NULL }, { "56", NULL },
		{ "05", NULL }, { "9", NULL }, { "5;6", NULL }, { "5 ", NULL }, { "0x5", NULL }, { "-5", NULL }, { ",", NULL },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client client = client_of(ONE_WAY);

		client_say(&client, SECURITY, 0, 0, NAMES "\nAuthMethod=CHAP");
		snprintf(text, sizeof text, "CHAP_A=%s", rows[i].offer);
		if (rows[i].choice) {
			assert_int_equal(client_say(&client, SECURITY, 0, 0, text), ISCSI_LOGIN_REPLY);
			assert_string_equal(client_value(&client, "CHAP_A"), rows[i].choice);
		} else {
			assert_int_equal(client_say(&client, SECURITY, 0, 0, text), ISCSI_LOGIN_FAILED);
			assert_int_equal(client_status(&client), 0x0201);
		}
		client_end(&client);
	}
}

static void three_hundred_algorithms_are_looked_through(void **state) /* B026 */
{
	struct client client = client_of(ONE_WAY);
	char text[700] = "CHAP_A=";

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		strcat(text, "9,");
	strcat(text, "6");
	client_say(&client, SECURITY, 0, 0, NAMES "\nAuthMethod=CHAP");
	assert_int_equal(client_say(&client, SECURITY, 0, 0, text), ISCSI_LOGIN_REPLY);
	assert_string_equal(client_value(&client, "CHAP_A"), "6");
	client_end(&client);
}

static void keys_out_of_order_are_refused(void **state) /* B027 */
{
	static const struct { const char *first, *second; } rows[] = {
		{ NAMES "\nAuthMethod=CHAP\nCHAP_A=5", NULL },
		{ NAMES "\nCHAP_A=5", NULL },
		{ NAMES "\nCHAP_R=0x00", NULL },
		{ NAMES "\nAuthMethod=CHAP", "CHAP_N=" USER },
		{ NAMES "\nAuthMethod=CHAP", "CHAP_R=0x00112233445566778899aabbccddeeff" },
		{ NAMES "\nAuthMethod=CHAP", "CHAP_A=5\nCHAP_N=" USER },
		{ NAMES "\nAuthMethod=CHAP", "CHAP_A=5\nCHAP_I=1\nCHAP_C=0x00" },
		{ NAMES "\nAuthMethod=CHAP", "CHAP_A=5\nCHAP_A=5" },
		{ NAMES "\nAuthMethod=CHAP", "AuthMethod=CHAP" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client client = client_of(ONE_WAY);
		enum iscsi_login_next next = client_say(&client, SECURITY, 0, 0, rows[i].first);

		if (rows[i].second) {
			assert_int_equal(next, ISCSI_LOGIN_REPLY);
			next = client_say(&client, SECURITY, 0, 0, rows[i].second);
		}
		assert_int_equal(next, ISCSI_LOGIN_FAILED);
		assert_int_equal(client_status(&client), 0x0201);
		assert_int_equal(client_say(&client, SECURITY, 0, 0, ""), ISCSI_LOGIN_DROP);
		client_end(&client);
	}
}

static void a_second_response_after_success_is_refused(void **state) /* B027 */
{
	struct client client = client_of(ONE_WAY);
	uint8_t response[ISCSI_CHAP_DIGEST_MAX];
	char text[256];

	(void)state;
	be_challenged(&client, "5");
	snprintf(text, sizeof text, "CHAP_N=" USER "\nCHAP_R=%s", encoded(response, respond(&client, SECRET, response), LOWER));
	assert_int_equal(client_say(&client, SECURITY, 0, 0, text), ISCSI_LOGIN_REPLY);
	assert_int_equal(client_say(&client, SECURITY, 0, 0, text), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0201);
	client_end(&client);
}

static void a_second_algorithm_after_the_challenge_is_refused(void **state)
{
	struct client client = client_of(ONE_WAY);

	(void)state;
	be_challenged(&client, "5");
	assert_int_equal(client_say(&client, SECURITY, 0, 0, "CHAP_A=6"), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0201);
	client_end(&client);
}

/* Sends CHAP_N with the right response, wrong in nothing but the name. */
static uint16_t status_for_name(const char *serve, const char *name)
{
	struct client client = client_of(serve);
	uint8_t response[ISCSI_CHAP_DIGEST_MAX];
	char *text = malloc(strlen(name) + 256);
	uint16_t status;

	be_challenged(&client, "5");
	sprintf(text, "CHAP_N=%s\nCHAP_R=%s", name, encoded(response, respond(&client, SECRET, response), LOWER));
	client_say(&client, SECURITY, TRANSIT, OPERATIONAL, text);
	status = client_status(&client);
	free(text);
	client_end(&client);
	return status;
}

static void only_the_exact_name_is_accepted(void **state) /* B028 */
{
	char long_name[8001];

	(void)state;
	assert_int_equal(status_for_name(ONE_WAY, USER), 0);
	assert_int_equal(status_for_name(ONE_WAY, USER "x"), 0x0201);
	assert_int_equal(status_for_name(ONE_WAY, "hostuse"), 0x0201);
	assert_int_equal(status_for_name(ONE_WAY, "Hostuser"), 0x0201);
	assert_int_equal(status_for_name(ONE_WAY, ""), 0x0201);
	assert_int_equal(status_for_name(ONE_WAY, "%n%n%s"), 0x0201);
	assert_int_equal(status_for_name(ONE_WAY, "host\ruser"), 0x0201);
	for (size_t len = 255; len <= 8000; len = len == 255 ? 256 : len == 256 ? 8000 : 9000) {
		memset(long_name, 'a', len);
		long_name[len] = '\0';
		assert_int_equal(status_for_name(ONE_WAY, long_name), 0x0201);
	}
}

static void a_name_that_looks_like_a_number_is_a_name(void **state) /* B029 */
{
#define NAMED(user) SERVE("'chap':{'user':'" user "','secret':'" SECRET "'}")
	(void)state;
	assert_int_equal(status_for_name(NAMED("0x414243"), "0x414243"), 0);
	assert_int_equal(status_for_name(NAMED("0bQUJD"), "0bQUJD"), 0);
	assert_int_equal(status_for_name(NAMED("0x414243"), "ABC"), 0x0201);
}

static void a_wrong_response_is_refused(void **state) /* B032, B033 */
{
	static const char *const responses[] = {
		"", "0x", "0x0", "0x0000000000000000000000000000000", "0x00000000000000000000000000000000",
		"0x000000000000000000000000000000000", "00000000000000000000000000000000", "0xZZ", "0b", "0bAAAA",
		"0bAAAAAAAAAAAAAAAAAAAAAA==", "0bAAAAAAAAAAAAAAAAAAAAAA", "0bAAAAAAAAAAA=AAAAAAAAAA==",
		"0bAAAA AAAAAAAAAAAAAAAAA==", "5",
	};
	char text[4200];

	(void)state;
	for (size_t i = 0; i <= sizeof responses / sizeof *responses + 1; i++) {
		struct client client = client_of(ONE_WAY);

		be_challenged(&client, "5");
		if (i < sizeof responses / sizeof *responses)
			snprintf(text, sizeof text, "CHAP_N=" USER "\nCHAP_R=%s", responses[i]);
		else if (i == sizeof responses / sizeof *responses)
			snprintf(text, sizeof text, "CHAP_N=" USER "\nCHAP_R=0x%02048d", 0);
		else
			snprintf(text, sizeof text, "CHAP_N=" USER "\nCHAP_R=0b%0127d", 0);
		assert_int_equal(client_say(&client, SECURITY, TRANSIT, FULL_FEATURE, text), ISCSI_LOGIN_FAILED);
		assert_int_equal(client_status(&client), 0x0201);
		assert_false(iscsi_login_facts(client.login)->authenticated);
		client_end(&client);
	}
}

static void a_response_that_lacks_its_last_zero_byte_is_refused(void **state) /* B032 */
{
	uint8_t response[ISCSI_CHAP_DIGEST_MAX] = { [15] = 1 };
	char text[128];

	(void)state;
	for (unsigned tries = 0; response[15]; tries++) {
		struct client client = client_of(ONE_WAY);

		assert_true(tries < 20000);
		be_challenged(&client, "5");
		respond(&client, SECRET, response);
		snprintf(text, sizeof text, "CHAP_N=" USER "\nCHAP_R=%s", encoded(response, 15, LOWER));
		assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, text), ISCSI_LOGIN_FAILED);
		assert_int_equal(client_status(&client), 0x0201);
		client_end(&client);
	}
}

static void challenges_are_never_the_same(void **state) /* B040, CVE-2024-45751 */
{
	char challenges[8][80];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct client client = client_of(ONE_WAY);

		be_challenged(&client, "5");
		snprintf(challenges[i], sizeof challenges[i], "%s", client_value(&client, "CHAP_C"));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(challenges[i], challenges[j]);
		client_end(&client);
	}
}

/* Says CHAP_N and the right CHAP_R, and `more`. */
static enum iscsi_login_next prove(struct client *client, const char *more)
{
	uint8_t response[ISCSI_CHAP_DIGEST_MAX];
	char *text = malloc(strlen(more) + 256);
	enum iscsi_login_next next;

	sprintf(text, "CHAP_N=" USER "\nCHAP_R=%s%s", encoded(response, respond(client, SECRET, response), LOWER), more);
	next = client_say(client, SECURITY, TRANSIT, OPERATIONAL, text);
	free(text);
	return next;
}

static void mutual_authentication_answers_the_initiators_challenge(void **state)
{
	static const struct { const char *algorithm, *encoded; const uint8_t bytes[3]; size_t len; } rows[] = {
		{ "5", "0xabcdef", { 0xab, 0xcd, 0xef }, 3 }, { "6", "0XABCDEF", { 0xab, 0xcd, 0xef }, 3 },
		{ "7", "0bQUJD", { 'A', 'B', 'C' }, 3 }, { "8", "0xABC", { 0x0a, 0xbc }, 2 },
	};
	uint8_t expected[ISCSI_CHAP_DIGEST_MAX];
	struct secret own;
	char more[128];

	(void)state;
	secret_set(&own, OWN_SECRET, strlen(OWN_SECRET));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client client = client_of(MUTUAL);
		size_t len;

		be_challenged(&client, rows[i].algorithm);
		snprintf(more, sizeof more, "\nCHAP_I=0x2a\nCHAP_C=%s", rows[i].encoded);
		assert_int_equal(prove(&client, more), ISCSI_LOGIN_REPLY);
		assert_string_equal(client_value(&client, "CHAP_N"), OWN_USER);
		len = iscsi_chap_response((unsigned)atoi(rows[i].algorithm), 0x2a, &own, rows[i].bytes, rows[i].len, expected);
		assert_string_equal(client_value(&client, "CHAP_R"), encoded(expected, len, LOWER));
		assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, ""), ISCSI_LOGIN_DONE);
		client_end(&client);
	}
}

static void mutual_must_be_both_configured_and_wanted(void **state) /* B037 */
{
	struct client client = client_of(ONE_WAY);

	(void)state;
	be_challenged(&client, "5");
	assert_int_equal(prove(&client, "\nCHAP_I=1\nCHAP_C=0x0102"), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0201);
	assert_null(client_value(&client, "CHAP_R"));
	client_end(&client);

	client = client_of(MUTUAL);
	be_challenged(&client, "5");
	assert_int_equal(prove(&client, ""), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0201);
	client_end(&client);
}

static void the_initiators_challenge_is_checked(void **state) /* B030, B031 */
{
	static const struct { const char *more; bool ok; } rows[] = {
		{ "\nCHAP_I=0\nCHAP_C=0x01", true }, { "\nCHAP_I=255\nCHAP_C=0x01", true }, { "\nCHAP_I=-1\nCHAP_C=0x01", false },
		{ "\nCHAP_I=256\nCHAP_C=0x01", false }, { "\nCHAP_I=0x100\nCHAP_C=0x01", false },
		{ "\nCHAP_I=0b\nCHAP_C=0x01", false }, { "\nCHAP_I=1e2\nCHAP_C=0x01", false }, { "\nCHAP_I=\nCHAP_C=0x01", false },
		{ "\nCHAP_I=1", false }, { "\nCHAP_C=0x01", false }, { "\nCHAP_I=1\nCHAP_C=", false },
		{ "\nCHAP_I=1\nCHAP_C=0x", false }, { "\nCHAP_I=1\nCHAP_C=0xZZ", false }, { "\nCHAP_I=1\nCHAP_C=0b", false },
		{ "\nCHAP_I=1\nCHAP_C=12", false },
	};
	static const struct { int digits; bool ok; } lengths[] = {
		{ 2046, true }, { 2048, true }, { 2049, false }, { 2050, false }, { 7000, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client client = client_of(MUTUAL);

		be_challenged(&client, "5");
		if ((prove(&client, rows[i].more) == ISCSI_LOGIN_REPLY) != rows[i].ok)
			fail_msg("%s", rows[i].more);
		assert_int_equal(client_status(&client), rows[i].ok ? 0 : 0x0201);
		client_end(&client);
	}
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct client client = client_of(MUTUAL);
		char more[7100];

		be_challenged(&client, "5");
		snprintf(more, sizeof more, "\nCHAP_I=1\nCHAP_C=0x%0*d", lengths[i].digits, 1);
		assert_int_equal(prove(&client, more), lengths[i].ok ? ISCSI_LOGIN_REPLY : ISCSI_LOGIN_FAILED);
		client_end(&client);
	}
}

static void our_own_challenge_is_never_answered(void **state) /* B036 */
{
	struct client victim = client_of(MUTUAL), attacker = client_of(MUTUAL), later = client_of(MUTUAL);
	char more[256], challenge[128];

	(void)state;
	be_challenged(&victim, "5");
	be_challenged(&attacker, "5");

	/* that of another connection, in another spelling */
	snprintf(challenge, sizeof challenge, "%s", client_value(&victim, "CHAP_C"));
	for (char *c = challenge + 2; *c; c++)
		*c = (char)(*c >= 'a' ? *c - 'a' + 'A' : *c);
	snprintf(more, sizeof more, "\nCHAP_I=%s\nCHAP_C=%s", client_value(&victim, "CHAP_I"), challenge);
	assert_int_equal(prove(&attacker, more), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&attacker), 0x0201);
	assert_int_equal(attacker.response.data_bytes, 0);
	assert_non_null(strstr(iscsi_login_facts(attacker.login)->reason, "reflection"));
	client_end(&attacker);

	/* that of the same connection */
	snprintf(more, sizeof more, "\nCHAP_I=7\nCHAP_C=%s", client_value(&victim, "CHAP_C"));
	assert_int_equal(prove(&victim, more), ISCSI_LOGIN_FAILED);
	client_end(&victim);

	/* a closed connection is forgotten: nothing can be gained by its challenge any more */
	be_challenged(&later, "5");
	assert_int_equal(prove(&later, more), ISCSI_LOGIN_REPLY);
	client_end(&later);
}

static void an_initiator_without_the_wanted_method_is_refused(void **state) /* B041 */
{
	static const struct { const char *text; int csg, flags, nsg; } rows[] = {
		{ NAMES "\nAuthMethod=None", SECURITY, TRANSIT, OPERATIONAL },
		{ NAMES "\nAuthMethod=None", SECURITY, 0, 0 },
		{ NAMES "\nAuthMethod=SRP", SECURITY, 0, 0 },
		{ NAMES "\nAuthMethod=Reject", SECURITY, 0, 0 },
		{ NAMES "\nAuthMethod=chap", SECURITY, 0, 0 },
		{ NAMES "\nAuthMethod=", SECURITY, 0, 0 },
		{ NAMES, SECURITY, TRANSIT, OPERATIONAL },
		{ NAMES, SECURITY, TRANSIT, FULL_FEATURE },
		{ NAMES, OPERATIONAL, TRANSIT, FULL_FEATURE },
		{ NAMES, OPERATIONAL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client client = client_of(ONE_WAY);

		if (client_say(&client, rows[i].csg, rows[i].flags, rows[i].nsg, rows[i].text) != ISCSI_LOGIN_FAILED ||
		    client_status(&client) != 0x0201)
			fail_msg("row %zu: %04x", i, client_status(&client));
		client_end(&client);
	}
}

static void there_is_no_way_past_chap(void **state) /* B025, B041 "None,CHAP" */
{
	struct client client = client_of(ONE_WAY);

	(void)state;
	/* CHAP is among the offers, so CHAP it is; transit is not granted */
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, FULL_FEATURE, NAMES "\nAuthMethod=None,CHAP"), ISCSI_LOGIN_REPLY);
	assert_string_equal(client_value(&client, "AuthMethod"), "CHAP");
	assert_int_equal(client.response.bhs[1], SECURITY << 2);
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, FULL_FEATURE, ""), ISCSI_LOGIN_REPLY);
	assert_int_equal(client.response.bhs[1], SECURITY << 2);
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, FULL_FEATURE, "CHAP_A=5"), ISCSI_LOGIN_REPLY);
	assert_int_equal(client.response.bhs[1], SECURITY << 2);
	assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, ""), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0200);
	client_end(&client);
}

static void an_initiator_that_insists_on_chap_is_refused_where_there_is_none(void **state)
{
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	assert_int_equal(client_say(&client, SECURITY, 0, 0, NAMES "\nAuthMethod=CHAP"), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0201);
	client_end(&client);
}

static void discovery_has_its_own_authentication(void **state)
{
	static const char serve[] =
		"{'discovery_auth':{" PEER "},'portals':{'default':{'address':'127.0.0.1:3260'}},'targets':{'" TARGET "':{}}}";
	struct client client = client_of(serve);

	(void)state;
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES "\nAuthMethod=None"), ISCSI_LOGIN_REPLY);
	client_end(&client);

	client = client_of(serve);
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, DISCOVERY "\nAuthMethod=None"), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0201);
	client_end(&client);

	client = client_of(ONE_WAY);
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, DISCOVERY "\nAuthMethod=None"), ISCSI_LOGIN_REPLY);
	client_end(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responses_are_those_of_the_hash_functions),
		cmocka_unit_test(the_right_response_is_accepted_in_every_algorithm_and_encoding),
		cmocka_unit_test(the_first_supported_algorithm_of_the_offer_is_taken),
		cmocka_unit_test(three_hundred_algorithms_are_looked_through),
		cmocka_unit_test(keys_out_of_order_are_refused),
		cmocka_unit_test(a_second_response_after_success_is_refused),
		cmocka_unit_test(a_second_algorithm_after_the_challenge_is_refused),
		cmocka_unit_test(only_the_exact_name_is_accepted),
		cmocka_unit_test(a_name_that_looks_like_a_number_is_a_name),
		cmocka_unit_test(a_wrong_response_is_refused),
		cmocka_unit_test(a_response_that_lacks_its_last_zero_byte_is_refused),
		cmocka_unit_test(challenges_are_never_the_same),
		cmocka_unit_test(mutual_authentication_answers_the_initiators_challenge),
		cmocka_unit_test(mutual_must_be_both_configured_and_wanted),
		cmocka_unit_test(the_initiators_challenge_is_checked),
		cmocka_unit_test(our_own_challenge_is_never_answered),
		cmocka_unit_test(an_initiator_without_the_wanted_method_is_refused),
		cmocka_unit_test(there_is_no_way_past_chap),
		cmocka_unit_test(an_initiator_that_insists_on_chap_is_refused_where_there_is_none),
		cmocka_unit_test(discovery_has_its_own_authentication),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
