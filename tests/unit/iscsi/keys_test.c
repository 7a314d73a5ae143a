#include "login_client.h"

#include "dataplane/iscsi/keys.h"

static void every_row_of_the_table_is_consistent(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ISCSI_KEY_COUNT; i++) {
		const struct iscsi_key *key = iscsi_key_get(i);
		bool numeric = key->type == ISCSI_TYPE_MIN || key->type == ISCSI_TYPE_MAX || key->type == ISCSI_TYPE_NUMBER;
		bool boolean = key->type == ISCSI_TYPE_AND || key->type == ISCSI_TYPE_OR;

		assert_true(strlen(key->name) >= 1 && strlen(key->name) <= ISCSI_KEY_NAME_MAX);
		assert_int_equal(iscsi_key_find(key->name, strlen(key->name)), i);
		assert_true(key->senders && key->stages);
		assert_true(key->min <= key->max);
		if (numeric || boolean) {
			assert_in_range(key->initial, key->min, key->max);
			assert_in_range(key->ours, key->min, key->max);
		}
		if (boolean)
			assert_int_equal(key->max, 1);
		assert_int_equal(key->type == ISCSI_TYPE_LIST, key->choices != NULL);
		if (key->type == ISCSI_TYPE_CHAP || key->type == ISCSI_TYPE_AUTH)
			assert_int_equal(key->stages, 1 << ISCSI_STAGE_SECURITY);
		if (key->type == ISCSI_TYPE_SEND_TARGETS)
			assert_int_equal(key->stages, 1 << ISCSI_STAGE_FULL_FEATURE);
		/* RFC 7143 section 12: what may be negotiated is operational, not security. */
		if (numeric || boolean || key->type == ISCSI_TYPE_LIST)
			assert_false(key->stages & 1 << ISCSI_STAGE_SECURITY);
	}
}

/* RFC 7143 section 13, column by column, as the standard prints it: a slip in keys.def does not pass twice. */
static void initial_values_and_ranges_are_those_of_the_standard(void **state)
{
	static const struct { const char *name; uint32_t initial, min, max; } rows[] = {
		{ "MaxConnections", 1, 1, 65535 }, { "InitialR2T", 1, 0, 1 }, { "ImmediateData", 1, 0, 1 },
		{ "MaxRecvDataSegmentLength", 8192, 512, (1 << 24) - 1 }, { "MaxBurstLength", 256 << 10, 512, (1 << 24) - 1 },
		{ "FirstBurstLength", 64 << 10, 512, (1 << 24) - 1 }, { "DefaultTime2Wait", 2, 0, 3600 },
		{ "DefaultTime2Retain", 20, 0, 3600 }, { "MaxOutstandingR2T", 1, 1, 65535 }, { "DataPDUInOrder", 1, 0, 1 },
		{ "DataSequenceInOrder", 1, 0, 1 }, { "ErrorRecoveryLevel", 0, 0, 2 }, { "iSCSIProtocolLevel", 1, 0, 31 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		enum iscsi_key_id id = iscsi_key_find(rows[i].name, strlen(rows[i].name));

		assert_int_not_equal(id, ISCSI_KEY_COUNT);
		assert_int_equal(iscsi_key_get(id)->initial, rows[i].initial);
		assert_int_equal(iscsi_key_get(id)->min, rows[i].min);
		assert_int_equal(iscsi_key_get(id)->max, rows[i].max);
	}
}

static void numbers_are_decimal_or_hexadecimal_and_never_wrap(void **state) /* B045 */
{
	static const struct { const char *text; bool ok; uint32_t number; } rows[] = {
		{ "0", true, 0 }, { "1", true, 1 }, { "4294967295", true, UINT32_MAX }, { "0x0", true, 0 },
		{ "0xff", true, 255 }, { "0XfF", true, 255 }, { "0x00000000000000000010", true, 16 },
		{ "0xffffffff", true, UINT32_MAX }, { "", false, 0 }, { "-1", false, 0 }, { "+1", false, 0 }, { " 1", false, 0 },
		{ "1 ", false, 0 }, { "1 000", false, 0 }, { "01", false, 0 }, { "00", false, 0 }, { "0x", false, 0 },
		{ "0xg", false, 0 }, { "1e2", false, 0 }, { "1~5", false, 0 }, { "0b1", false, 0 }, { "1.0", false, 0 },
		{ "4294967296", false, 0 }, { "4294967301", false, 0 }, { "18446744073709551617", false, 0 },
		{ "0x100000000", false, 0 }, { "0x10000000000000001", false, 0 }, { "Yes", false, 0 },
		{ "99999999999999999999999999999999999999999", false, 0 },
	};
	uint32_t number;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		number = 12345;
		if (iscsi_number_decode(rows[i].text, 0, UINT32_MAX, &number) != rows[i].ok)
			fail_msg("\"%s\"", rows[i].text);
		assert_int_equal(number, rows[i].ok ? rows[i].number : 12345);
	}
	assert_false(iscsi_number_decode("511", 512, 16777215, &number));
	assert_true(iscsi_number_decode("512", 512, 16777215, &number));
	assert_true(iscsi_number_decode("16777215", 512, 16777215, &number));
	assert_false(iscsi_number_decode("16777216", 512, 16777215, &number));
}

static void binary_values_are_hexadecimal_or_base64(void **state) /* B031, B032, B033, B035 */
{
	static const struct { const char *text; int len; const char *bytes; } rows[] = {
		{ "0x00", 1, "\x00" }, { "0xAbCd", 2, "\xab\xcd" }, { "0XABCD", 2, "\xab\xcd" }, { "0xABC", 2, "\x0a\xbc" },
		{ "0x1", 1, "\x01" }, { "0bQUJD", 3, "ABC" }, { "0BQUI=", 2, "AB" }, { "0bQQ==", 1, "A" },
		{ "0b+/+/", 3, "\xfb\xff\xbf" }, { "0x", -1, NULL }, { "0b", -1, NULL }, { "", -1, NULL }, { "0", -1, NULL },
		{ "x", -1, NULL }, { "12", -1, NULL }, { "0xZZ", -1, NULL }, { "0x0 1", -1, NULL }, { "0x-1", -1, NULL },
		{ "0bQ", -1, NULL }, { "0bQU", -1, NULL }, { "0bQUI", -1, NULL }, { "0bQQ=", -1, NULL }, { "0bQ===", -1, NULL },
		{ "0b====", -1, NULL }, { "0bQU=D", -1, NULL }, { "0bQQ==QQ==", -1, NULL }, { "0bQU I", -1, NULL },
		{ "0bQUJ\n", -1, NULL }, { "0bQUJ-", -1, NULL }, { "0bQR==", -1, NULL }, { "0bQUK=", -1, NULL },
		{ "0x0102030405", -1, NULL }, { "0bQUJDREVGR0g=", -1, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t bytes[4];
		ssize_t len = iscsi_binary_decode(rows[i].text, bytes, sizeof bytes);

		if (len != rows[i].len)
			fail_msg("\"%s\": %zd", rows[i].text, len);
		if (len > 0)
			assert_memory_equal(bytes, rows[i].bytes, (size_t)len);
	}
}

static void base64_of_127_characters_does_not_write_beyond_its_room(void **state) /* B033, CVE-2026-63886 */
{
	char text[130] = "0b";
	uint8_t *bytes = malloc(16);

	(void)state;
	memset(text + 2, 'A', 127);
	assert_int_equal(iscsi_binary_decode(text, bytes, 16), -1);
	memset(text + 2, 'A', 127);
	text[2 + 124] = '\0';
	assert_int_equal(iscsi_binary_decode(text, bytes, 16), -1);
	text[2 + 20] = '\0';
	assert_int_equal(iscsi_binary_decode(text, bytes, 16), 15);
	free(bytes);
}

static void a_list_gives_the_first_element_that_we_allow(void **state)
{
	(void)state;
	assert_int_equal(iscsi_list_choose("CRC32C,None", "None,CRC32C", 3), 1);
	assert_int_equal(iscsi_list_choose("None,CRC32C", "None,CRC32C", 3), 0);
	assert_int_equal(iscsi_list_choose("None,CRC32C", "None,CRC32C", 2), 1);
	assert_int_equal(iscsi_list_choose("None", "None,CRC32C", 2), -1);
	assert_int_equal(iscsi_list_choose("CRC32", "None,CRC32C", 3), -1);
	assert_int_equal(iscsi_list_choose("CRC32CC", "None,CRC32C", 3), -1);
	assert_int_equal(iscsi_list_choose("", "None,CRC32C", 3), -1);
	assert_int_equal(iscsi_list_choose(",,,CRC32C", "None,CRC32C", 3), 1);
	assert_int_equal(iscsi_list_choose("none", "None,CRC32C", 3), -1);
	assert_int_equal(iscsi_list_choose("CRC32C;None", "None,CRC32C", 3), -1);
}

/* One text in the operational stage of a normal session with default settings, and what we answer to it, newlines for
 * NULs and without our own declarations. */
struct negotiation {
	const char *offer, *answer;
};

static void check_negotiation(const struct negotiation *row, bool discovery)
{
	static const struct iscsi_target_params ours = {
		.header_digest = ISCSI_DIGEST_ANY, .data_digest = ISCSI_DIGEST_ANY, .initial_r2t = false,
		.immediate_data = true, .max_recv_data_segment_bytes = 262144, .max_burst_bytes = 1048576,
		.first_burst_bytes = 262144, .max_outstanding_r2t = 4, .time2wait_s = 2, .time2retain_s = 0,
	};
	size_t len = strlen(row->offer) + 1;
	char *text = malloc(len), reason[160];
	struct iscsi_offers offers;
	struct iscsi_keys keys;
	struct iscsi_text answer;

	memcpy(text, row->offer, len);
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = '\0';
	iscsi_keys_init(&keys);
	iscsi_keys_set_ours(&keys, discovery ? NULL : &ours);
	keys.discovery = discovery;
	iscsi_text_init(&answer, 65536);
	if (iscsi_keys_parse(&keys, ISCSI_STAGE_OPERATIONAL, text, len, &offers, reason, sizeof reason))
		fail_msg("%s: %s", row->offer, reason);
	iscsi_keys_resolve(&keys, &offers);
	iscsi_keys_answer(&keys, text, len, &answer);
	for (uint32_t i = 0; i < answer.len_bytes; i++)
		if (!answer.bytes[i])
			answer.bytes[i] = i + 1 < answer.len_bytes ? '\n' : '\0';
	assert_string_equal(answer.len_bytes ? answer.bytes : "", row->answer);
	iscsi_text_fini(&answer);
	free(text);
}

static void each_offer_gets_the_result_of_its_function(void **state)
{
	static const struct negotiation rows[] = {
		{ "InitialR2T=Yes", "InitialR2T=Yes" }, { "InitialR2T=No", "InitialR2T=No" },
		{ "ImmediateData=Yes", "ImmediateData=Yes" }, { "ImmediateData=No", "ImmediateData=No" },
		{ "MaxConnections=16", "MaxConnections=1" }, { "MaxOutstandingR2T=16", "MaxOutstandingR2T=4" },
		{ "MaxOutstandingR2T=1", "MaxOutstandingR2T=1" }, { "MaxBurstLength=16776192", "MaxBurstLength=1048576" },
		{ "MaxBurstLength=512", "MaxBurstLength=512" }, { "DefaultTime2Wait=0", "DefaultTime2Wait=2" },
		{ "DefaultTime2Wait=20", "DefaultTime2Wait=20" }, { "DefaultTime2Retain=20", "DefaultTime2Retain=0" },
		{ "ErrorRecoveryLevel=2", "ErrorRecoveryLevel=0" }, { "DataPDUInOrder=No", "DataPDUInOrder=Yes" },
		{ "DataSequenceInOrder=No", "DataSequenceInOrder=Yes" }, { "DataPDUInOrder=Yes", "DataPDUInOrder=Yes" },
		{ "iSCSIProtocolLevel=2", "iSCSIProtocolLevel=1" }, { "TaskReporting=FastAbort,RFC3720", "TaskReporting=RFC3720" },
		{ "TaskReporting=FastAbort", "TaskReporting=Reject" }, { "HeaderDigest=CRC32C,None", "HeaderDigest=CRC32C" },
		{ "HeaderDigest=None,CRC32C", "HeaderDigest=None" }, { "DataDigest=CRC32C", "DataDigest=CRC32C" },
		{ "DataDigest=Y-mine,None", "DataDigest=None" }, { "DataDigest=CRC-64", "DataDigest=Reject" },
		{ "RDMAExtensions=Yes", "RDMAExtensions=No" }, { "MaxRecvDataSegmentLength=512", "" },
		{ "InitiatorAlias=", "" }, { "InitiatorAlias=me", "" },
		/* the answers come in the order of the offers */
		{ "MaxBurstLength=4096\nInitialR2T=Yes\nMaxConnections=1", "MaxBurstLength=4096\nInitialR2T=Yes\nMaxConnections=1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_negotiation(&rows[i], false);
}

static void first_burst_never_exceeds_max_burst(void **state)
{
	static const struct negotiation rows[] = {
		{ "FirstBurstLength=16776192", "FirstBurstLength=262144" },
		{ "FirstBurstLength=65536\nMaxBurstLength=4096", "FirstBurstLength=4096\nMaxBurstLength=4096" },
		{ "MaxBurstLength=4096\nFirstBurstLength=65536", "MaxBurstLength=4096\nFirstBurstLength=4096" },
		{ "InitialR2T=Yes\nImmediateData=No\nFirstBurstLength=65536",
		  "InitialR2T=Yes\nImmediateData=No\nFirstBurstLength=Irrelevant" },
		{ "InitialR2T=No\nImmediateData=No\nFirstBurstLength=65536",
		  "InitialR2T=No\nImmediateData=No\nFirstBurstLength=65536" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_negotiation(&rows[i], false);
}

static void inadmissible_values_are_answered_reject(void **state) /* B045 */
{
	static const struct negotiation rows[] = {
		{ "MaxBurstLength=-1", "MaxBurstLength=Reject" }, { "MaxBurstLength=0", "MaxBurstLength=Reject" },
		{ "MaxBurstLength=511", "MaxBurstLength=Reject" }, { "MaxBurstLength=16777216", "MaxBurstLength=Reject" },
		{ "MaxBurstLength=4294967301", "MaxBurstLength=Reject" }, { "MaxBurstLength=0x", "MaxBurstLength=Reject" },
		{ "MaxBurstLength=1 000", "MaxBurstLength=Reject" }, { "MaxBurstLength=0512", "MaxBurstLength=Reject" },
		{ "MaxBurstLength=512~4096", "MaxBurstLength=Reject" }, { "MaxBurstLength=0X1000", "MaxBurstLength=4096" },
		{ "MaxBurstLength=0x1F00", "MaxBurstLength=7936" }, { "MaxRecvDataSegmentLength=0", "MaxRecvDataSegmentLength=Reject" },
		{ "MaxRecvDataSegmentLength=511", "MaxRecvDataSegmentLength=Reject" },
		{ "MaxRecvDataSegmentLength=16777216", "MaxRecvDataSegmentLength=Reject" },
		{ "InitialR2T=yes", "InitialR2T=Reject" }, { "ImmediateData=1", "ImmediateData=Reject" },
		{ "ErrorRecoveryLevel=3", "ErrorRecoveryLevel=Reject" }, { "DefaultTime2Wait=3601", "DefaultTime2Wait=Reject" },
		{ "MaxOutstandingR2T=65536", "MaxOutstandingR2T=Reject" }, { "MaxConnections=0", "MaxConnections=Reject" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_negotiation(&rows[i], false);
}

static void unknown_keys_are_not_understood_and_obsolete_ones_are(void **state) /* B047 */
{
	static const struct negotiation rows[] = {
		{ "X-com.example.key=1", "X-com.example.key=NotUnderstood" }, { "Foo=bar", "Foo=NotUnderstood" },
		{ "X#NodeArchitecture=a", "X#NodeArchitecture=NotUnderstood" }, { "maxburstlength=512", "maxburstlength=NotUnderstood" },
		{ "IFMarker=Yes", "IFMarker=No" }, { "OFMarker=Yes", "OFMarker=No" }, { "IFMarker=No", "IFMarker=No" },
		{ "IFMarkInt=2048~8192", "IFMarkInt=Reject" }, { "OFMarkInt=2048", "OFMarkInt=Reject" },
		{ "a=1\nMaxBurstLength=512\na=2", "a=NotUnderstood\nMaxBurstLength=512\na=NotUnderstood" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_negotiation(&rows[i], false);
}

static void a_discovery_session_finds_most_keys_irrelevant(void **state)
{
	static const struct negotiation rows[] = {
		{ "MaxConnections=1\nInitialR2T=Yes\nImmediateData=Yes\nMaxBurstLength=512\nFirstBurstLength=512",
		  "MaxConnections=Irrelevant\nInitialR2T=Irrelevant\nImmediateData=Irrelevant\nMaxBurstLength=Irrelevant\n"
		  "FirstBurstLength=Irrelevant" },
		{ "MaxOutstandingR2T=1\nDataPDUInOrder=Yes\nDataSequenceInOrder=Yes",
		  "MaxOutstandingR2T=Irrelevant\nDataPDUInOrder=Irrelevant\nDataSequenceInOrder=Irrelevant" },
		{ "ErrorRecoveryLevel=1\nDefaultTime2Wait=2\nHeaderDigest=None", "ErrorRecoveryLevel=0\nDefaultTime2Wait=2\nHeaderDigest=None" },
		{ "MaxRecvDataSegmentLength=32768", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_negotiation(&rows[i], true);
}

#define TEXT(literal) literal, sizeof(literal) - 1 /* the last NUL is written out when it belongs to the text */

static void malformed_and_misplaced_pairs_are_refused(void **state) /* B019 and others */
{
	static const struct { enum iscsi_stage stage; const char *text; size_t len; uint16_t status; } rows[] = {
		{ 1, TEXT("InitialR2T=Yes"), 0x0200 },              /* no NUL */
		{ 1, TEXT("InitialR2T\0"), 0x0200 },                /* no = */
		{ 1, TEXT("=Yes\0"), 0x0200 },
		{ 1, TEXT("InitialR2T=\0"), 0x0200 },
		{ 1, TEXT("Foo=\0"), 0x0200 },
		{ 1, TEXT("\0"), 0x0200 },
		{ 1, TEXT("\0\0\0\0"), 0x0200 },
		{ 1, TEXT("\0InitialR2T=Yes\0"), 0x0200 },
		{ 1, TEXT("InitialR2T=Yes\0\0\0\0\0"), 0x0200 },
		{ 1, TEXT("InitialR2T=Yes\0\0ImmediateData=Yes\0"), 0x0200 },
		{ 1, TEXT("InitialR2T=Yes\0\0\0\0"), 0 },           /* padding that was counted */
		{ 1, TEXT("Initial R2T=Yes\0"), 0x0200 },
		{ 1, TEXT("Initi\x01lR2T=Yes\0"), 0x0200 },
		{ 1, TEXT("\xc3\x84=Yes\0"), 0x0200 },
		{ 1, TEXT("A23456789012345678901234567890123456789012345678901234567890123=1\0"), 0 },
		{ 1, TEXT("A234567890123456789012345678901234567890123456789012345678901234=1\0"), 0x0200 },
		{ 1, TEXT("InitialR2T=Yes\0InitialR2T=Yes\0"), 0x0200 },
		{ 1, TEXT("InitialR2T=Reject\0"), 0x0200 },
		{ 1, TEXT("InitialR2T=Irrelevant\0"), 0x0200 },
		{ 1, TEXT("Foo=NotUnderstood\0"), 0x0200 },
		{ 1, TEXT("TargetAlias=mine\0"), 0x0200 },          /* only targets say that */
		{ 1, TEXT("TargetAlias=NotUnderstood\0"), 0 },      /* an answer */
		{ 1, TEXT("TargetPortalGroupTag=1\0"), 0x0200 },
		{ 1, TEXT("SendTargets=All\0"), 0x0200 },
		{ 1, TEXT("AuthMethod=None\0"), 0x0201 },
		{ 1, TEXT("CHAP_N=x\0"), 0x0201 },
		{ 0, TEXT("MaxBurstLength=512\0"), 0x0200 },
		{ 0, TEXT("CHAP_A=\0"), 0x0201 },
		{ 0, TEXT("CHAP_R=0x00\0CHAP_R=0x00\0"), 0x0201 },
		{ 0, TEXT("AuthMethod=None\0AuthMethod=None\0"), 0x0201 },
		{ 0, TEXT("AuthMethod=Reject\0"), 0x0201 },
		{ 0, TEXT("InitiatorName=iqn.a\0InitiatorName=iqn.b\0"), 0x0200 },
		{ 0, TEXT("InitiatorName=iqn.a\0InitiatorName=iqn.a\0"), 0 },
		{ 3, TEXT("MaxBurstLength=512\0"), 0x0200 },
		{ 3, TEXT("SendTargets=\0"), 0 },
		{ 3, TEXT("MaxRecvDataSegmentLength=512\0"), 0 },
		{ 1, "", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *copy = malloc(rows[i].len ? rows[i].len : 1), reason[160] = "";
		struct iscsi_offers offers;
		struct iscsi_keys keys;
		uint16_t status;

		memcpy(copy, rows[i].text, rows[i].len);
		iscsi_keys_init(&keys);
		status = iscsi_keys_parse(&keys, rows[i].stage, copy, rows[i].len, &offers, reason, sizeof reason);
		if (status != rows[i].status)
			fail_msg("row %zu \"%s\": %04x %s", i, rows[i].text, status, reason);
		assert_int_equal(status != 0, *reason != '\0');
		free(copy);
	}
}

static void a_key_may_not_come_again_in_a_later_text(void **state)
{
	static const char text[] = "MaxBurstLength=512";
	struct iscsi_offers offers;
	struct iscsi_keys keys;
	char reason[160];

	(void)state;
	iscsi_keys_init(&keys);
	assert_int_equal(iscsi_keys_parse(&keys, 1, text, sizeof text, &offers, reason, sizeof reason), 0);
	assert_int_equal(iscsi_keys_parse(&keys, 1, text, sizeof text, &offers, reason, sizeof reason), 0x0200);
	assert_non_null(strstr(reason, "twice"));
}

static void the_number_of_unknown_keys_is_limited(void **state) /* B020, CVE-2026-63887 */
{
	struct iscsi_offers offers;
	struct iscsi_keys keys;
	char reason[160];

	(void)state;
	iscsi_keys_init(&keys);
	for (unsigned i = 0; i < ISCSI_UNKNOWN_KEYS_MAX; i++)
		assert_int_equal(iscsi_keys_parse(&keys, 1, "a=b", 4, &offers, reason, sizeof reason), 0);
	assert_int_equal(iscsi_keys_parse(&keys, 1, "a=b", 4, &offers, reason, sizeof reason), 0x0200);
}

static void text_beyond_its_limit_is_left_out_and_remembered(void **state)
{
	struct iscsi_text text;

	(void)state;
	iscsi_text_init(&text, 10);
	iscsi_text_put(&text, "Key", "%s", "12345");
	assert_int_equal(text.len_bytes, 10);
	assert_false(text.bad);
	assert_memory_equal(text.bytes, "Key=12345", 10);
	iscsi_text_append(&text, "x", 1);
	assert_true(text.bad);
	assert_int_equal(text.len_bytes, 10);
	iscsi_text_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_table_is_consistent),
		cmocka_unit_test(initial_values_and_ranges_are_those_of_the_standard),
		cmocka_unit_test(numbers_are_decimal_or_hexadecimal_and_never_wrap),
		cmocka_unit_test(binary_values_are_hexadecimal_or_base64),
		cmocka_unit_test(base64_of_127_characters_does_not_write_beyond_its_room),
		cmocka_unit_test(a_list_gives_the_first_element_that_we_allow),
		cmocka_unit_test(each_offer_gets_the_result_of_its_function),
		cmocka_unit_test(first_burst_never_exceeds_max_burst),
		cmocka_unit_test(inadmissible_values_are_answered_reject),
		cmocka_unit_test(unknown_keys_are_not_understood_and_obsolete_ones_are),
		cmocka_unit_test(a_discovery_session_finds_most_keys_irrelevant),
		cmocka_unit_test(malformed_and_misplaced_pairs_are_refused),
		cmocka_unit_test(a_key_may_not_come_again_in_a_later_text),
		cmocka_unit_test(the_number_of_unknown_keys_is_limited),
		cmocka_unit_test(text_beyond_its_limit_is_left_out_and_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
