#include "login_client.h"

static void a_discovery_login_without_authentication_reaches_full_feature_phase(void **state)
{
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, DISCOVERY "\nAuthMethod=None"), ISCSI_LOGIN_REPLY);
	assert_int_equal(client_status(&client), 0);
	assert_string_equal(client_value(&client, "AuthMethod"), "None");
	assert_null(client_value(&client, "TargetPortalGroupTag"));
	assert_int_equal(client.response.bhs[1], TRANSIT | SECURITY << 2 | OPERATIONAL);
	assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE,
				    "HeaderDigest=None\nMaxRecvDataSegmentLength=32768\nInitialR2T=No"), ISCSI_LOGIN_DONE);
	client_finish(&client);
	assert_string_equal(client_value(&client, "InitialR2T"), "Irrelevant");
	assert_string_equal(client_value(&client, "MaxRecvDataSegmentLength"), "32768");
	assert_true(iscsi_login_facts(client.login)->discovery);
	client_end(&client);
}

static void a_normal_login_gets_the_portal_group_tag_in_the_first_response(void **state)
{
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES "\nAuthMethod=CHAP,None"), ISCSI_LOGIN_REPLY);
	assert_string_equal(client_value(&client, "TargetPortalGroupTag"), "1");
	assert_string_equal(client_value(&client, "AuthMethod"), "None");
	assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, "MaxBurstLength=16776192"), ISCSI_LOGIN_DONE);
	client_finish(&client);
	assert_string_equal(client_value(&client, "MaxBurstLength"), "1048576");
	assert_string_equal(client_value(&client, "MaxRecvDataSegmentLength"), "262144");
	assert_int_equal(get_be16(client.response.bhs + 14), 1);
	assert_string_equal(iscsi_target_name(iscsi_login_facts(client.login)->target), TARGET);
	assert_int_equal(iscsi_login_params(client.login)->max_burst_bytes, 1048576);
	client_end(&client);
}

/* --- form of requests --- */

static void other_opcodes_than_login_are_refused(void **state) /* B016 */
{
	(void)state;
	for (unsigned opcode = 0; opcode < 0x40; opcode++) {
		bool initiator = opcode <= 0x06 || opcode == 0x10;
		struct client client = client_of(OPEN_SERVE);
		enum iscsi_login_next next;

		if (opcode == ISCSI_LOGIN_REQUEST) {
			client_end(&client);
			continue;
		}
		client.bhs[0] = (uint8_t)(0x40 | opcode);
		next = client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES);
		assert_int_equal(next, initiator ? ISCSI_LOGIN_FAILED : ISCSI_LOGIN_DROP);
		if (initiator)
			assert_int_equal(client_status(&client), 0x020b);
		assert_true(*iscsi_login_facts(client.login)->reason);
		client.bhs[0] = 0x43;
		assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES), ISCSI_LOGIN_DROP);
		client_end(&client);
	}
}

static void strangers_to_iscsi_are_dropped(void **state) /* B009 */
{
	static const char *const greetings[] = { "\x16\x03\x01\x02", "GET / HTTP/1.1\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\xc3" };

	(void)state;
	for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
		struct client client = client_of(OPEN_SERVE);
		uint8_t bhs[ISCSI_BHS_BYTES] = { 0 };

		memcpy(bhs, greetings[i], strlen(greetings[i]));
		assert_int_not_equal(iscsi_login_step(client.login, bhs, NULL, &client.response), ISCSI_LOGIN_REPLY);
		assert_int_not_equal(client.response.bhs[0] == ISCSI_LOGIN_RESPONSE && client_status(&client) == 0, 1);
		client_end(&client);
	}
}

/* Each row changes one field of an otherwise good first request. */
static void fields_of_the_first_request_are_checked(void **state) /* B017, B018, B024, version */
{
	static const struct { unsigned at; const char *bytes; size_t len; uint16_t status; } rows[] = {
		{ 4, "\xff", 1, 0x0200 }, { 4, "\x01", 1, 0x0200 },                    /* TotalAHSLength */
		{ 5, "\xff\xff\xff", 3, 0x0200 }, { 5, "\x00\x20\x01", 3, 0x0200 },    /* DataSegmentLength */
		{ 5, "\x01\x00\x00", 3, 0x0200 },
		{ 1, "\xc1", 1, 0x0200 },                                              /* T and C */
		{ 1, "\x80", 1, 0x0200 }, { 1, "\x82", 1, 0x0200 },                    /* NSG 0, 2 */
		{ 1, "\x85", 1, 0x0200 }, { 1, "\x84", 1, 0x0200 },                    /* NSG <= CSG */
		{ 1, "\x08", 1, 0x0200 }, { 1, "\x0c", 1, 0x0200 }, { 1, "\x8f", 1, 0x0200 }, { 1, "\x8b", 1, 0x0200 },
		{ 3, "\x01", 1, 0x0205 }, { 3, "\xff", 1, 0x0205 },                    /* Version-min */
		{ 2, "\x07", 1, 0 },                                                   /* Version-max */
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client client = client_of(OPEN_SERVE);
		static const char text[] = "InitiatorName=" INITIATOR "\0TargetName=" TARGET;
		enum iscsi_login_next next;

		client.bhs[1] = 0x81;
		put_be24(client.bhs + 5, sizeof text);
		memcpy(client.bhs + rows[i].at, rows[i].bytes, rows[i].len);
		next = iscsi_login_step(client.login, client.bhs, (const uint8_t *)text, &client.response);
		if (client_status(&client) != rows[i].status)
			fail_msg("row %zu: %04x", i, client_status(&client));
		assert_int_equal(next, rows[i].status ? ISCSI_LOGIN_FAILED : ISCSI_LOGIN_REPLY);
		assert_int_equal(client.response.bhs[1] & 0xc0, rows[i].status ? 0 : TRANSIT);
		assert_int_equal(client.response.bhs[2], 0);
		assert_int_equal(client.response.bhs[3], 0);
		assert_memory_equal(client.response.bhs + 8, client.bhs + 8, 12);
		client_end(&client);
	}
}

static void fields_that_must_stay_the_same_are_held_to_it(void **state) /* B025, B048 */
{
	static const struct { const char *what; unsigned at; } rows[] = {
		{ "version", 2 }, { "ISID", 8 }, { "ISID", 13 }, { "TSIH", 15 }, { "task tag", 19 }, { "CID", 21 }, { "CmdSN", 27 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client client = client_of(OPEN_SERVE);

		assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES), ISCSI_LOGIN_REPLY);
		client.bhs[rows[i].at] ^= 1;
		assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, ""), ISCSI_LOGIN_FAILED);
		assert_int_equal(client_status(&client), 0x0200);
		if (!strstr(iscsi_login_facts(client.login)->reason, rows[i].what))
			fail_msg("%s", iscsi_login_facts(client.login)->reason);
		client_end(&client);
	}
}

static void stages_cannot_be_repeated_or_taken_back(void **state) /* B025 */
{
	static const struct { int first_csg, first_flags, first_nsg, second_csg; } rows[] = {
		{ SECURITY, TRANSIT, OPERATIONAL, SECURITY }, { OPERATIONAL, 0, 0, SECURITY }, { SECURITY, 0, 0, OPERATIONAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client client = client_of(OPEN_SERVE);

		assert_int_equal(client_say(&client, rows[i].first_csg, rows[i].first_flags, rows[i].first_nsg, NAMES), ISCSI_LOGIN_REPLY);
		assert_int_equal(client_say(&client, rows[i].second_csg, TRANSIT, FULL_FEATURE, ""), ISCSI_LOGIN_FAILED);
		assert_int_equal(client_status(&client), 0x0200);
		client_end(&client);
	}
}

static void every_direct_road_to_full_feature_phase_is_open(void **state)
{
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, FULL_FEATURE, NAMES), ISCSI_LOGIN_DONE);
	/* no operational stage: nothing was declared, the defaults are in force */
	assert_int_equal(iscsi_login_params(client.login)->max_recv_bytes, 8192);
	assert_int_equal(iscsi_login_params(client.login)->max_send_bytes, 8192);
	assert_int_equal(iscsi_login_params(client.login)->first_burst_bytes, 65536);
	assert_true(iscsi_login_params(client.login)->initial_r2t);
	client_finish(&client);
	assert_int_equal(client.response.bhs[1], TRANSIT | SECURITY << 2 | FULL_FEATURE);
	assert_null(client_value(&client, "MaxRecvDataSegmentLength"));
	client_end(&client);

	client = client_of(OPEN_SERVE);
	assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, NAMES "\nMaxRecvDataSegmentLength=65536"), ISCSI_LOGIN_DONE);
	assert_int_equal(iscsi_login_params(client.login)->max_recv_bytes, 262144);
	assert_int_equal(iscsi_login_params(client.login)->max_send_bytes, 65536);
	client_finish(&client);
	assert_string_equal(client_value(&client, "TargetPortalGroupTag"), "1");
	assert_string_equal(client_value(&client, "MaxRecvDataSegmentLength"), "262144");
	client_end(&client);
}

static void our_segment_length_is_declared_once(void **state)
{
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	client_say(&client, OPERATIONAL, 0, 0, NAMES);
	assert_non_null(client_value(&client, "MaxRecvDataSegmentLength"));
	assert_int_equal(client_say(&client, OPERATIONAL, 0, 0, "InitialR2T=No"), ISCSI_LOGIN_REPLY);
	assert_null(client_value(&client, "MaxRecvDataSegmentLength"));
	assert_string_equal(client_value(&client, "InitialR2T"), "No");
	assert_null(client_value(&client, "TargetPortalGroupTag"));
	client_end(&client);
}

static void the_result_can_be_a_failure_of_the_caller(void **state) /* B048 */
{
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	put_be16(client.bhs + 14, 0x4711);
	assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, NAMES), ISCSI_LOGIN_DONE);
	assert_int_equal(iscsi_login_facts(client.login)->tsih, 0x4711);
	iscsi_login_finish(client.login, ISCSI_LOGIN_NO_SESSION, 0, &client.response);
	assert_int_equal(client_status(&client), 0x020a);
	assert_int_equal(client.response.bhs[1] & 0xc3, 0);
	assert_int_equal(client.response.data_bytes, 0);
	assert_int_equal(get_be16(client.response.bhs + 14), 0x4711);
	client_end(&client);
}

static void digests_that_the_target_requires_are_insisted_on(void **state)
{
	static const char serve[] = "{'portals':{'default':{'address':'127.0.0.1:3260'}},'targets':{'" TARGET
				    "':{'params':{'header_digest':'crc32c','data_digest':'none'}}}}";
	static const struct { const char *text; bool ok; } rows[] = {
		{ NAMES, false }, { NAMES "\nHeaderDigest=None", false }, { NAMES "\nHeaderDigest=None,CRC32C", true },
		{ NAMES "\nHeaderDigest=CRC32C\nDataDigest=CRC32C,None", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client client = client_of(serve);

		assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, rows[i].text),
				 rows[i].ok ? ISCSI_LOGIN_DONE : ISCSI_LOGIN_FAILED);
		if (rows[i].ok) {
			assert_true(iscsi_login_params(client.login)->header_digest);
			assert_false(iscsi_login_params(client.login)->data_digest);
		} else {
			assert_int_equal(client_status(&client), 0x0200);
		}
		client_end(&client);
	}
}

/* --- names --- */

static void names_are_required_and_checked(void **state) /* B042, B043 */
{
	static const struct { const char *text; uint16_t status; } rows[] = {
		{ "SessionType=Normal\nTargetName=" TARGET, 0x0207 },
		{ "InitiatorName=\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=foo\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=iqn.1994-05.com.Example:h1\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=IQN.1994-05.com.example:h1\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=iqn.1994-05.com.ex\xc3\xa4mple:h1\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=../../x\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=iqn.1994-05.com.example:../../x\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=iqn.1994-05.com.example:\x01\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=iqn.1994-13.com.example\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=iqn.1994-00.com.example\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=iqn.1994-5.com.example\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=iqn.1994-05\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=iqn.1994-05.\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=iqn.1994-05.:x\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=iqn.1994-05.com..example\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=eui.02004567A425678\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=eui.02004567A425678G\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=naa.02004567A425678D0\nTargetName=" TARGET, 0x0200 },
		{ "InitiatorName=eui.02004567A425678D\nTargetName=" TARGET, 0 },
		{ "InitiatorName=naa.52004567BA64678D\nTargetName=" TARGET, 0 },
		{ "InitiatorName=naa.62004567BA64678D0123456789ABCDEF\nTargetName=" TARGET, 0 },
		{ "InitiatorName=iqn.1994-05.com.example\nTargetName=" TARGET, 0 },
		{ "InitiatorName=iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-ls\nTargetName=" TARGET, 0 },
		{ "InitiatorName=" INITIATOR, 0x0207 },
		{ "InitiatorName=" INITIATOR "\nTargetName=", 0x0200 },
		{ "InitiatorName=" INITIATOR "\nTargetName=iqn.2026-11.io.lunette:other", 0x0203 },
		{ "InitiatorName=" INITIATOR "\nTargetName=iqn.2026-11.io.lunette:t", 0x0203 },
		{ "InitiatorName=" INITIATOR "\nTargetName=t1", 0x0203 },
		{ "InitiatorName=" INITIATOR "\nTargetName=iqn.2026-11.io.lunette:T1", 0x0203 },
		{ "InitiatorName=" INITIATOR "\nTargetName=iqn.2026-11.io.lunette:tenant", 0x0203 },
		{ "InitiatorName=" INITIATOR "\nSessionType=Other\nTargetName=" TARGET, 0x0209 },
		{ "InitiatorName=" INITIATOR "\nSessionType=Discovery\nSessionType=Normal", 0x0200 },
		{ "InitiatorName=" INITIATOR "\nSessionType=Discovery", 0 },
	};
	static const char serve[] = "{'portals':{'default':{'address':'127.0.0.1:3260'}},'targets':{'" TARGET
				    "':{},'iqn.2026-11.io.lunette:tenant':{'initiators':{'iqn.2000-01.x:y':{}}}}}";

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client client = client_of(serve);

		client_say(&client, SECURITY, TRANSIT, OPERATIONAL, rows[i].text);
		if (client_status(&client) != rows[i].status)
			fail_msg("%s: %04x %s", rows[i].text, client_status(&client), iscsi_login_facts(client.login)->reason);
		client_end(&client);
	}
}

static void a_name_has_223_bytes_at_most(void **state) /* B042 */
{
	(void)state;
	for (int len = 223; len <= 224; len++) {
		struct client client = client_of(OPEN_SERVE);
		char text[400];

		snprintf(text, sizeof text, "TargetName=" TARGET "\nInitiatorName=iqn.1994-05.com.example:%0*d", len - 24, 7);
		client_say(&client, SECURITY, TRANSIT, OPERATIONAL, text);
		assert_int_equal(client_status(&client), len == 223 ? 0 : 0x0200);
		client_end(&client);
	}
}

static void a_name_with_a_nul_inside_is_malformed(void **state) /* B043 */
{
	static const char text[] = "InitiatorName=" INITIATOR "\0TargetName=iqn.2026-11.io\0.lunette:t1";
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	assert_int_equal(client_send(&client, SECURITY, TRANSIT, OPERATIONAL, text, sizeof text), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0200);
	client_end(&client);
}

static void what_the_peer_chose_is_quoted_in_the_reason(void **state) /* oracle (d) */
{
	static const char *const texts[] = {
		"InitiatorName=" INITIATOR "\nTargetName=\x1b[31mred\x07%n", "Evil\x01=1",
		"InitiatorName=" INITIATOR "\nSessionType=\x1b]0;x", "InitiatorName=" INITIATOR "\nSessionType=Discovery\nAuthMethod=\x80\x7f",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct client client = client_of(OPEN_SERVE);

		assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, texts[i]), ISCSI_LOGIN_FAILED);
		for (const char *c = iscsi_login_facts(client.login)->reason; *c; c++)
			assert_in_range(*c, ' ', '~');
		client_end(&client);
	}
}

static void names_may_be_repeated_but_not_changed(void **state) /* FreeBSD; section 3.6 */
{
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES);
	assert_int_equal(client_say(&client, OPERATIONAL, 0, 0, NAMES), ISCSI_LOGIN_REPLY);
	assert_int_equal(client_say(&client, OPERATIONAL, 0, 0, "InitiatorName=iqn.1994-05.com.example:h2"), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0200);
	client_end(&client);
}

/* --- continuation and limits --- */

static void a_text_may_be_cut_anywhere(void **state)
{
	static const char text[] = "InitiatorName=" INITIATOR "\0SessionType=Normal\0TargetName=" TARGET "\0AuthMethod=None";

	(void)state;
	for (size_t cut = 0; cut <= sizeof text; cut++) {
		struct client client = client_of(OPEN_SERVE);

		assert_int_equal(client_send(&client, SECURITY, CONTINUE, 0, text, cut), ISCSI_LOGIN_REPLY);
		assert_int_equal(client.response.data_bytes, 0);
		assert_int_equal(client.response.bhs[1], SECURITY << 2);
		assert_int_equal(client_send(&client, SECURITY, TRANSIT, OPERATIONAL, text + cut, sizeof text - cut), ISCSI_LOGIN_REPLY);
		assert_string_equal(client_value(&client, "AuthMethod"), "None");
		assert_string_equal(client_value(&client, "TargetPortalGroupTag"), "1");
		client_end(&client);
	}
}

static void a_long_answer_is_continued(void **state) /* B020 */
{
	struct client client = client_of(OPEN_SERVE);
	char *text = calloc(1, 16384), *to = text;
	unsigned answers = 0, pieces = 0;

	(void)state;
	client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES);
	for (unsigned i = 0; i < 200; i++)
		to += sprintf(to, "a%034u=b%c", i, i < 199 ? '\n' : '\0');
	assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, text), ISCSI_LOGIN_REPLY);
	for (;;) {
		pieces++;
		for (uint32_t i = 0; i < client.response.data_bytes; i++)
			answers += client.response.data[i] == '\0';
		if (!(client.response.bhs[1] & CONTINUE))
			break;
		assert_int_equal(client.response.data_bytes, ISCSI_LOGIN_DATA_MAX);
		assert_int_equal(client.response.bhs[1], CONTINUE | OPERATIONAL << 2);
		if (client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, "") == ISCSI_LOGIN_DONE) {
			iscsi_login_finish(client.login, 0, 1, &client.response);
			assert_int_equal(client.response.bhs[1], TRANSIT | OPERATIONAL << 2 | FULL_FEATURE);
		}
	}
	assert_int_equal(pieces, 2);
	assert_int_equal(answers, 201); /* and MaxRecvDataSegmentLength */
	free(text);
	client_end(&client);
}

static void text_instead_of_asking_for_the_rest_is_refused(void **state)
{
	struct client client = client_of(OPEN_SERVE);
	char *text = calloc(1, 16384), *to = text;

	(void)state;
	client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES);
	for (unsigned i = 0; i < 200; i++)
		to += sprintf(to, "a%034u=b%c", i, i < 199 ? '\n' : '\0');
	client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, text);
	assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, "InitialR2T=No"), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0200);
	free(text);
	client_end(&client);
}

/* Sends the same request until it is refused; the number of replies before that. */
static unsigned replies_before_refusal(const char *text, size_t len, int flags, uint16_t *ret_status)
{
	struct client client = client_of(OPEN_SERVE);
	unsigned replies = 0;

	while (client_send(&client, SECURITY, flags, 0, text, len) == ISCSI_LOGIN_REPLY && replies < 10000)
		replies++;
	*ret_status = client_status(&client);
	client_end(&client);
	return replies;
}

static void a_login_has_its_limits(void **state) /* B020, B022, B023 (CVE-2021-28361) */
{
	static char full[ISCSI_LOGIN_DATA_MAX];
	uint16_t status;

	(void)state;
	memset(full, 'a', sizeof full);
	assert_int_equal(replies_before_refusal("", 0, CONTINUE, &status), 8);
	assert_int_equal(status, 0x0200);
	assert_int_equal(replies_before_refusal("aaaaaaaaa", 9, CONTINUE, &status), 256);
	assert_int_equal(status, 0x0302);
	assert_int_equal(replies_before_refusal(full, sizeof full, CONTINUE, &status), 8);
	assert_int_equal(status, 0x0302);
	assert_int_equal(replies_before_refusal(NAMES "\0\0", sizeof NAMES, 0, &status), 0);
	assert_int_equal(status, 0x0200);
}

static void two_thousand_unknown_keys_in_one_pdu_are_refused(void **state) /* B020, CVE-2026-63887 */
{
	struct client client = client_of(OPEN_SERVE);
	char text[8192];

	(void)state;
	for (unsigned i = 0; i < 2048; i++)
		memcpy(text + 4 * i, "a=b", 4);
	assert_int_equal(client_send(&client, SECURITY, TRANSIT, OPERATIONAL, text, sizeof text), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0200);
	client_end(&client);
}

static void the_configured_text_limit_is_kept(void **state)
{
	struct client client = client_of("{'settings':{'max_login_text_bytes':16384},'portals':{'default':{'address':"
					 "'127.0.0.1:3260'}},'targets':{'" TARGET "':{}}}");
	static char full[ISCSI_LOGIN_DATA_MAX];

	(void)state;
	assert_int_equal(client_send(&client, SECURITY, CONTINUE, 0, full, sizeof full), ISCSI_LOGIN_REPLY);
	assert_int_equal(client_send(&client, SECURITY, CONTINUE, 0, full, sizeof full), ISCSI_LOGIN_REPLY);
	assert_int_equal(client_send(&client, SECURITY, CONTINUE, 0, "x", 1), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0302);
	client_end(&client);
}

static void the_text_limit_counts_all_requests_of_a_login(void **state)
{
	struct client client = client_of("{'settings':{'max_login_text_bytes':16384},'portals':{'default':{'address':"
					 "'127.0.0.1:3260'}},'targets':{'" TARGET "':{}}}");
	char text[8192] = "a=";
	unsigned replies = 0;

	(void)state;
	memset(text + 2, 'b', 6000);
	client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES);
	while (client_say(&client, OPERATIONAL, 0, 0, text) == ISCSI_LOGIN_REPLY)
		replies++;
	assert_int_equal(replies, 2);
	assert_int_equal(client_status(&client), 0x0302);
	client_end(&client);
}

static void a_discovery_session_has_no_target_even_if_one_is_named(void **state)
{
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	assert_int_equal(client_say(&client, SECURITY, CONTINUE, 0, DISCOVERY "\nTargetName=" TARGET), ISCSI_LOGIN_REPLY);
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, FULL_FEATURE, ""), ISCSI_LOGIN_DONE);
	assert_true(iscsi_login_facts(client.login)->discovery);
	assert_null(iscsi_login_facts(client.login)->target);
	client_end(&client);
}

/* --- where to --- */

#define PLACED(more) "{'portals':{'default':{'address':'127.0.0.1:3260'}},'targets':{'" TARGET "':{" more "}}}"

static void a_target_of_another_worker_is_handed_over_at_its_first_request(void **state)
{
	struct client client = client_of(PLACED("'worker':3"));

	(void)state;
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES "\nAuthMethod=None"), ISCSI_LOGIN_HANDOVER);
	assert_int_equal(iscsi_login_facts(client.login)->owner, 3);
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, ""), ISCSI_LOGIN_DROP);
	client_end(&client);

	client = client_of(PLACED("'worker':3"));
	assert_int_equal(client_say(&client, SECURITY, CONTINUE, 0, NAMES), ISCSI_LOGIN_HANDOVER);
	client_end(&client);

	/* too late to pass the first request on: try again, please */
	client = client_of(PLACED("'worker':3"));
	assert_int_equal(client_say(&client, SECURITY, CONTINUE, 0, "InitiatorName=" INITIATOR), ISCSI_LOGIN_REPLY);
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, "TargetName=" TARGET), ISCSI_LOGIN_FAILED);
	assert_int_equal(client_status(&client), 0x0301);
	client_end(&client);
}

static void redirects_and_disabled_targets_say_so(void **state) /* sections 3.7, 3.9 */
{
	static const struct { const char *serve; uint16_t status; const char *address; } rows[] = {
		{ PLACED("'redirect':{'address':'10.0.0.2:3260'}"), 0x0101, "10.0.0.2:3260" },
		{ PLACED("'redirect':{'address':'[fd00::2]:3261','permanent':true}"), 0x0102, "[fd00::2]:3261" },
		{ PLACED("'enabled':false"), 0x0301, NULL },
		{ PLACED("'enabled':false,'redirect':{'address':'10.0.0.2:3260'}"), 0x0301, NULL },
		/* not to strangers */
		{ PLACED("'enabled':false,'initiators':{'iqn.2000-01.x:y':{}}"), 0x0203, NULL },
		{ PLACED("'redirect':{'address':'10.0.0.2:3260'},'initiators':{'iqn.2000-01.x:y':{}}"), 0x0203, NULL },
		{ PLACED("'portals':['other']"), 0x0203, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client client = client_of(rows[i].serve);

		assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES "\nAuthMethod=None"), ISCSI_LOGIN_FAILED);
		assert_int_equal(client_status(&client), rows[i].status);
		if (rows[i].address)
			assert_string_equal(client_value(&client, "TargetAddress"), rows[i].address);
		else
			assert_int_equal(client.response.data_bytes, 0);
		client_end(&client);
	}
}

static void not_found_and_not_admitted_look_the_same(void **state) /* B043 */
{
	struct client unknown = client_of(PLACED("'initiators':{'iqn.2000-01.x:y':{}}"));
	struct client denied = client_of(PLACED("'initiators':{'iqn.2000-01.x:y':{}}"));

	(void)state;
	client_say(&unknown, SECURITY, TRANSIT, OPERATIONAL, "InitiatorName=" INITIATOR "\nTargetName=iqn.2026-11.io.lunette:nn");
	client_say(&denied, SECURITY, TRANSIT, OPERATIONAL, NAMES);
	assert_memory_equal(unknown.response.bhs, denied.response.bhs, ISCSI_BHS_BYTES);
	assert_int_equal(unknown.response.data_bytes, denied.response.data_bytes);
	assert_string_not_equal(iscsi_login_facts(unknown.login)->reason, iscsi_login_facts(denied.login)->reason);
	client_end(&unknown);
	client_end(&denied);
}

static void the_alias_is_told_and_kept(void **state)
{
	struct client client = client_of(PLACED("'alias':'archive'"));

	(void)state;
	client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES "\nInitiatorAlias=host\x01one");
	assert_string_equal(client_value(&client, "TargetAlias"), "archive");
	assert_string_equal(iscsi_login_facts(client.login)->initiator_alias, "host?one");
	client_end(&client);
}

static void a_login_keeps_the_snapshot_it_began_with(void **state)
{
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES);
	iscsi_config_unref(client.config);
	client.config = NULL;
	assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, ""), ISCSI_LOGIN_DONE);
	assert_string_equal(iscsi_target_name(iscsi_login_facts(client.login)->target), TARGET);
	client_end(&client);
}

/* RFC 7143 11.13.5, as the standard prints it. */
static void every_status_has_its_words(void **state)
{
	static const uint16_t statuses[] = { 0, 0x0101, 0x0102, 0x0200, 0x0201, 0x0202, 0x0203, 0x0204, 0x0205, 0x0206, 0x0207,
					     0x0208, 0x0209, 0x020a, 0x020b, 0x0300, 0x0301, 0x0302 };

	(void)state;
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
		assert_string_not_equal(iscsi_login_status_words(statuses[i]), "unknown status");
	assert_string_equal(iscsi_login_status_words(0x0103), "unknown status");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_discovery_login_without_authentication_reaches_full_feature_phase),
		cmocka_unit_test(a_normal_login_gets_the_portal_group_tag_in_the_first_response),
		cmocka_unit_test(other_opcodes_than_login_are_refused),
		cmocka_unit_test(strangers_to_iscsi_are_dropped),
		cmocka_unit_test(fields_of_the_first_request_are_checked),
		cmocka_unit_test(fields_that_must_stay_the_same_are_held_to_it),
		cmocka_unit_test(stages_cannot_be_repeated_or_taken_back),
		cmocka_unit_test(every_direct_road_to_full_feature_phase_is_open),
		cmocka_unit_test(our_segment_length_is_declared_once),
		cmocka_unit_test(the_result_can_be_a_failure_of_the_caller),
		cmocka_unit_test(digests_that_the_target_requires_are_insisted_on),
		cmocka_unit_test(names_are_required_and_checked),
		cmocka_unit_test(a_name_has_223_bytes_at_most),
		cmocka_unit_test(a_name_with_a_nul_inside_is_malformed),
		cmocka_unit_test(what_the_peer_chose_is_quoted_in_the_reason),
		cmocka_unit_test(names_may_be_repeated_but_not_changed),
		cmocka_unit_test(a_text_may_be_cut_anywhere),
		cmocka_unit_test(a_long_answer_is_continued),
		cmocka_unit_test(text_instead_of_asking_for_the_rest_is_refused),
		cmocka_unit_test(a_login_has_its_limits),
		cmocka_unit_test(two_thousand_unknown_keys_in_one_pdu_are_refused),
		cmocka_unit_test(the_configured_text_limit_is_kept),
		cmocka_unit_test(the_text_limit_counts_all_requests_of_a_login),
		cmocka_unit_test(a_discovery_session_has_no_target_even_if_one_is_named),
		cmocka_unit_test(a_target_of_another_worker_is_handed_over_at_its_first_request),
		cmocka_unit_test(redirects_and_disabled_targets_say_so),
		cmocka_unit_test(not_found_and_not_admitted_look_the_same),
		cmocka_unit_test(the_alias_is_told_and_kept),
		cmocka_unit_test(a_login_keeps_the_snapshot_it_began_with),
		cmocka_unit_test(every_status_has_its_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
