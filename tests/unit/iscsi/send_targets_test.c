#include "login_client.h"

#define A "iqn.2026-11.io.lunette:a"
#define B "iqn.2026-11.io.lunette:b"
#define C "iqn.2026-11.io.lunette:c"
#define SERVE                                                                                                  \
	"{'portals':{'any4':{'address':'0.0.0.0:3260','tag':1},'any6':{'address':'[::]:3261','tag':2},"        \
	"'one':{'address':'10.0.0.5:3262','tag':3},'one6':{'address':'[fd00::5]:3263','tag':4},"               \
	"'lo':{'address':'127.0.0.1:3264','tag':5}},"                                                          \
	"'targets':{'" A "':{'open':true,'portals':['any4','any6','one','one6','lo']},"                        \
	"'" B "':{'portals':['any4','lo']},"                                                                   \
	"'" C "':{'initiators':{'" INITIATOR "':{}},'portals':['one']},"                                       \
	"'off':{'open':true,'enabled':false,'portals':['any4']}}}"

static struct iscsi_config *config;

static int set_up(void **state)
{
	(void)state;
	config = config_of_quoted(SERVE);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	iscsi_config_unref(config);
	return 0;
}

/* The answer with newlines for NULs. */
static const char *listed(const char *which, const char *own, const char *initiator, const char *from, const char *to)
{
	static char text[4096];
	struct iscsi_peer peer = peer_of(config, from, to);
	size_t len;
	char *answer = iscsi_send_targets(config, which, own, initiator, &peer, &len);

	assert_non_null(answer);
	assert_true(len < sizeof text);
	for (size_t i = 0; i < len; i++)
		text[i] = answer[i] ? answer[i] : '\n';
	text[len] = '\0';
	free(answer);
	return text;
}

static void only_what_can_be_reached_and_entered_is_listed(void **state)
{
#define STRANGER "iqn.2000-01.x:stranger"
	static const struct { const char *from, *to, *initiator, *answer; } rows[] = {
		{ "10.0.0.9", "10.0.0.7", STRANGER,
		  "TargetName=" A "\nTargetAddress=10.0.0.7:3260,1\nTargetAddress=10.0.0.7:3261,2\nTargetAddress=10.0.0.5:3262,3\n" },
		{ "10.0.0.9", "10.0.0.7", INITIATOR,
		  "TargetName=" A "\nTargetAddress=10.0.0.7:3260,1\nTargetAddress=10.0.0.7:3261,2\nTargetAddress=10.0.0.5:3262,3\n"
		  "TargetName=" C "\nTargetAddress=10.0.0.5:3262,3\n" },
		{ "::ffff:10.0.0.9", "::ffff:10.0.0.7", STRANGER,
		  "TargetName=" A "\nTargetAddress=10.0.0.7:3260,1\nTargetAddress=10.0.0.7:3261,2\nTargetAddress=10.0.0.5:3262,3\n" },
		{ "fd00::9", "fd00::7", STRANGER,
		  "TargetName=" A "\nTargetAddress=[fd00::7]:3261,2\nTargetAddress=[fd00::5]:3263,4\n" },
		{ "127.0.0.1", "127.0.0.1", STRANGER,
		  "TargetName=" A "\nTargetAddress=127.0.0.1:3260,1\nTargetAddress=127.0.0.1:3261,2\nTargetAddress=10.0.0.5:3262,3\n"
		  "TargetAddress=127.0.0.1:3264,5\nTargetName=" B "\nTargetAddress=127.0.0.1:3260,1\nTargetAddress=127.0.0.1:3264,5\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(listed("All", NULL, rows[i].initiator, rows[i].from, rows[i].to), rows[i].answer);
}

static void an_ipv6_zone_is_not_shown(void **state)
{
	struct iscsi_peer peer = peer_of(config, "fe80::9", "fe80::7");
	struct sockaddr_in6 in6;
	char *answer;
	size_t len;

	(void)state;
	memcpy(&in6, &peer.local, sizeof in6);
	in6.sin6_scope_id = 1;
	memcpy(&peer.local, &in6, sizeof in6);
	answer = iscsi_send_targets(config, A, NULL, STRANGER, &peer, &len);
	assert_null(memchr(answer, '%', len));
	assert_non_null(memmem(answer, len, "[fe80::7]:3261,2", 17));
	free(answer);
}

static void one_name_or_the_own_target_can_be_asked_for(void **state)
{
	static const char only_b[] = "TargetName=" B "\nTargetAddress=127.0.0.1:3260,1\nTargetAddress=127.0.0.1:3264,5\n";

	(void)state;
	assert_string_equal(listed(B, NULL, STRANGER, "127.0.0.1", "127.0.0.1"), only_b);
	assert_string_equal(listed("", B, STRANGER, "127.0.0.1", "127.0.0.1"), only_b);
	assert_string_equal(listed("nothing", NULL, STRANGER, "127.0.0.1", "127.0.0.1"), "");
	assert_string_equal(listed(B, NULL, STRANGER, "10.0.0.9", "10.0.0.7"), "");
	assert_string_equal(listed("off", NULL, STRANGER, "127.0.0.1", "127.0.0.1"), "");
	assert_string_equal(listed("", NULL, STRANGER, "127.0.0.1", "127.0.0.1"), "");
}

static void two_portals_with_one_visible_address_are_listed_once(void **state)
{
	struct iscsi_config *twice = config_of_quoted("{'portals':{'a':{'address':'0.0.0.0:3260'},'b':{'address':'127.0.0.1:3260'}},"
						      "'targets':{'t':{'portals':['a','b']}}}");
	struct iscsi_peer peer = peer_of(twice, "127.0.0.1", "127.0.0.1");
	size_t len;
	char *answer = iscsi_send_targets(twice, "All", NULL, STRANGER, &peer, &len);

	(void)state;
	assert_int_equal(len, sizeof "TargetName=t\0TargetAddress=127.0.0.1:3260,1");
	free(answer);
	iscsi_config_unref(twice);
}

/* --- text requests of the full feature phase --- */

struct text_row {
	bool discovery;
	const char *request;
	size_t len;
	int reject; /* -1: answered */
	const char *answer;
};

static void text_requests_are_answered_or_rejected(void **state) /* RFC 7143 6.4, appendix C */
{
#define TEXT(literal) literal, sizeof(literal)
#define ALL_B "TargetName=" B "\nTargetAddress=127.0.0.1:3260,1\nTargetAddress=127.0.0.1:3264,5\n"
	static const struct text_row rows[] = {
		{ true, TEXT("SendTargets=" B), -1, ALL_B },
		{ true, TEXT("SendTargets="), -1, "SendTargets=Reject\n" },
		{ true, TEXT("SendTargets=iqn.unknown"), -1, "" },
		{ true, TEXT("X-y=1\0SendTargets=" B), -1, "X-y=NotUnderstood\n" ALL_B },
		{ false, TEXT("SendTargets="), -1, ALL_B },
		{ false, TEXT("SendTargets=" B), -1, ALL_B },
		{ false, TEXT("SendTargets=" A), -1, "" },
		{ false, TEXT("SendTargets=All"), -1, "SendTargets=Reject\n" },
		{ false, "", 0, -1, "" },
		{ false, TEXT("InitiatorAlias=x"), -1, "" },
		{ false, TEXT("MaxRecvDataSegmentLength=4096"), -1, "" },
		{ false, TEXT("MaxRecvDataSegmentLength=1"), -1, "MaxRecvDataSegmentLength=Reject\n" },
		{ false, TEXT("MaxBurstLength=4096"), ISCSI_REJECT_PROTOCOL, NULL },
		{ false, TEXT("AuthMethod=None"), ISCSI_REJECT_PROTOCOL, NULL },
		{ false, TEXT("CHAP_A=5"), ISCSI_REJECT_PROTOCOL, NULL },
		{ false, TEXT("TargetAlias=x"), ISCSI_REJECT_PROTOCOL, NULL },
		{ false, TEXT("SendTargets=a\0SendTargets=b"), ISCSI_REJECT_PROTOCOL, NULL },
		{ false, "SendTargets=", 12, ISCSI_REJECT_PROTOCOL, NULL },
		{ false, TEXT("nonsense"), ISCSI_REJECT_PROTOCOL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct iscsi_login_facts facts = { .discovery = rows[i].discovery, .initiator_name = STRANGER };
		struct iscsi_peer peer = peer_of(config, "127.0.0.1", "127.0.0.1");
		struct iscsi_params params = { .max_send_bytes = 8192 };
		char *copy = malloc(rows[i].len ? rows[i].len : 1), *answer;
		uint8_t reject;
		size_t len;

		memcpy(copy, rows[i].request, rows[i].len);
		facts.target = rows[i].discovery ? NULL : iscsi_config_find_target(config, B);
		answer = iscsi_text_answer(config, &facts, &peer, copy, rows[i].len, &params, &len, &reject);
		free(copy);
		if ((answer ? -1 : reject) != rows[i].reject)
			fail_msg("row %zu: reject %d", i, reject);
		for (size_t b = 0; answer && b < len; b++)
			assert_int_equal(answer[b] ? answer[b] : '\n', rows[i].answer[b]);
		if (answer)
			assert_int_equal(len, strlen(rows[i].answer));
		assert_int_equal(params.max_send_bytes, strstr(rows[i].request, "=4096") && answer ? 4096 : 8192);
		free(answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_can_be_reached_and_entered_is_listed),
		cmocka_unit_test(an_ipv6_zone_is_not_shown),
		cmocka_unit_test(one_name_or_the_own_target_can_be_asked_for),
		cmocka_unit_test(two_portals_with_one_visible_address_are_listed_once),
		cmocka_unit_test(text_requests_are_answered_or_rejected),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
