#include "login_client.h"

#include "dataplane/iscsi/address.h"

#define SERVE                                                                                                  \
	"{'portals':{'default':{'address':'[::]:3260'},'second':{'address':'0.0.0.0:3261'}},"                  \
	"'groups':{'esx':{'initiators':['iqn.1998-01.com.vmware:a','iqn.1998-01.com.vmware:b','iqn.2000-01.x:both']}," \
	"          'backup':{'initiators':['iqn.1998-01.com.vmware:b','eui.02004567A425678D']}},"              \
	"'targets':{"                                                                                          \
	"'bare':{'luns':{'0':{'lun':'v0'},'1':{'lun':'v1','read_only':true}}},"                                \
	"'open':{'open':true,'initiators':{'iqn.2000-01.x:named':{'luns':[1]}},"                               \
	"  'luns':{'0':{'lun':'v0'},'1':{'lun':'v1'}}},"                                                       \
	"'fenced':{'open':true,'addresses':['10.1.0.0/16','192.168.7.9','fd00:1::/32']},"                      \
	"'second-only':{'open':true,'portals':['second']},"                                                    \
	"'ruled':{'auth':{'chap':{'user':'all','secret':'secretofall0001'}},"                                  \
	"  'initiators':{'iqn.2000-01.x:named':{'luns':[1,2]},"                                                \
	"    'iqn.2000-01.x:free':{'auth':{}},'iqn.2000-01.x:free2':{'auth':{'chap':{}}},"                     \
	"    'iqn.2000-01.x:own':{'auth':{'chap':{'user':'own','secret':'secretofown0001'}}},"                 \
	"    'iqn.2000-01.x:none':{'luns':[]},'iqn.2000-01.x:both':{'luns':[0]},"                              \
	"    'iqn.1998-01.com.vmware:b':{'luns':[3],'read_only':true}},"                                       \
	"  'groups':{'esx':{'luns':[0,3],'read_only':true},'backup':{'luns':[3,10]},'gone':{}},"               \
	"  'luns':{'10':{'lun':'v10'},'0':{'lun':'v0'},'1':{'lun':'v1'},'2':{'lun':'v2','read_only':true},'3':{'lun':'v3'}}}," \
	"'off':{'open':true,'enabled':false},"                                                                 \
	"'moved':{'open':true,'redirect':{'address':'host.example:3260','permanent':true}}}}"

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

static struct iscsi_grant grant_for(const char *target, const char *initiator, const char *from, const char *to)
{
	struct iscsi_peer peer = peer_of(config, from, to);
	struct iscsi_grant grant;

	iscsi_access_check(config, iscsi_config_find_target(config, target), initiator, &peer, &grant);
	return grant;
}

static void each_rule_admits_whom_it_should(void **state)
{
#define ANYBODY "iqn.2000-01.x:anybody"
	static const struct { const char *target, *initiator, *from, *to; enum iscsi_access access; } rows[] = {
		{ "nothing", ANYBODY, "127.0.0.1", "127.0.0.1", ISCSI_ACCESS_NO_TARGET },
		/* no rules: loopback portals only */
		{ "bare", ANYBODY, "127.0.0.1", "127.0.0.1", ISCSI_ACCESS_OK },
		{ "bare", ANYBODY, "::1", "::1", ISCSI_ACCESS_OK },
		{ "bare", ANYBODY, "::ffff:127.0.0.1", "::ffff:127.0.0.1", ISCSI_ACCESS_OK },
		{ "bare", ANYBODY, "127.0.0.1", "127.9.9.9", ISCSI_ACCESS_OK },
		{ "bare", ANYBODY, "10.0.0.1", "10.0.0.2", ISCSI_ACCESS_DENIED },
		{ "bare", ANYBODY, "127.0.0.1", "10.0.0.2", ISCSI_ACCESS_DENIED },
		{ "bare", ANYBODY, "fd00::1", "fd00::2", ISCSI_ACCESS_DENIED },
		{ "bare", ANYBODY, "::1", "::2", ISCSI_ACCESS_DENIED },
		{ "open", ANYBODY, "10.0.0.1", "10.0.0.2", ISCSI_ACCESS_OK },
		/* addresses restrict everybody */
		{ "fenced", ANYBODY, "10.1.2.3", "10.0.0.2", ISCSI_ACCESS_OK },
		{ "fenced", ANYBODY, "::ffff:10.1.2.3", "::ffff:10.0.0.2", ISCSI_ACCESS_OK },
		{ "fenced", ANYBODY, "10.2.2.3", "10.0.0.2", ISCSI_ACCESS_DENIED },
		{ "fenced", ANYBODY, "192.168.7.9", "10.0.0.2", ISCSI_ACCESS_OK },
		{ "fenced", ANYBODY, "192.168.7.8", "10.0.0.2", ISCSI_ACCESS_DENIED },
		{ "fenced", ANYBODY, "fd00:1:2::3", "fd00::2", ISCSI_ACCESS_OK },
		{ "fenced", ANYBODY, "fd00:2:2::3", "fd00::2", ISCSI_ACCESS_DENIED },
		{ "fenced", ANYBODY, "127.0.0.1", "127.0.0.1", ISCSI_ACCESS_DENIED },
		/* names and groups; loopback does not help */
		{ "ruled", ANYBODY, "127.0.0.1", "127.0.0.1", ISCSI_ACCESS_DENIED },
		{ "ruled", "iqn.2000-01.x:named", "10.0.0.1", "10.0.0.2", ISCSI_ACCESS_OK },
		{ "ruled", "iqn.2000-01.x:name", "10.0.0.1", "10.0.0.2", ISCSI_ACCESS_DENIED },
		{ "ruled", "iqn.1998-01.com.vmware:a", "10.0.0.1", "10.0.0.2", ISCSI_ACCESS_OK },
		{ "ruled", "eui.02004567a425678d", "10.0.0.1", "10.0.0.2", ISCSI_ACCESS_OK },
		{ "second-only", ANYBODY, "127.0.0.1", "127.0.0.1", ISCSI_ACCESS_PORTAL },
		{ "off", ANYBODY, "127.0.0.1", "127.0.0.1", ISCSI_ACCESS_UNAVAILABLE },
		{ "moved", ANYBODY, "127.0.0.1", "127.0.0.1", ISCSI_ACCESS_REDIRECT_PERMANENT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct iscsi_grant grant = grant_for(rows[i].target, rows[i].initiator, rows[i].from, rows[i].to);

		if (grant.access != rows[i].access)
			fail_msg("row %zu (%s from %s): %d", i, rows[i].target, rows[i].from, grant.access);
	}
	assert_string_equal(grant_for("moved", ANYBODY, "::1", "::1").redirect, "host.example:3260");
}

static void the_credentials_of_an_entry_replace_those_of_the_target(void **state)
{
	(void)state;
	assert_string_equal(grant_for("ruled", "iqn.2000-01.x:named", "::1", "::1").auth.peer.user, "all");
	assert_string_equal(grant_for("ruled", "iqn.2000-01.x:own", "::1", "::1").auth.peer.user, "own");
	assert_true(grant_for("ruled", "iqn.2000-01.x:own", "::1", "::1").auth.chap);
	assert_false(grant_for("ruled", "iqn.2000-01.x:free", "::1", "::1").auth.chap);
	assert_false(grant_for("ruled", "iqn.2000-01.x:free2", "::1", "::1").auth.chap);
	assert_true(grant_for("ruled", "iqn.1998-01.com.vmware:a", "::1", "::1").auth.chap);
	/* nobody is told a secret who is not admitted */
	assert_false(grant_for("ruled", ANYBODY, "::1", "::1").auth.chap);
	assert_string_equal(grant_for("ruled", ANYBODY, "::1", "::1").auth.peer.user, "");
}

/* "number[r]" of each visible LUN, r: read-only. */
static const char *luns_text(const char *target, const char *initiator)
{
	static char text[256];
	unsigned count;
	struct iscsi_lun_mapping *luns = iscsi_target_luns(iscsi_config_find_target(config, target), initiator, &count);
	char *to = text;

	*text = '\0';
	assert_int_equal(luns == NULL, count == 0);
	for (unsigned i = 0; i < count; i++)
		to += sprintf(to, "%s%u%s", i ? " " : "", luns[i].number, luns[i].read_only ? "r" : "");
	free(luns);
	return text;
}

static void an_initiator_sees_the_union_of_its_entries(void **state)
{
	(void)state;
	assert_string_equal(luns_text("bare", ANYBODY), "0 1r");
	assert_string_equal(luns_text("open", ANYBODY), "0 1");
	assert_string_equal(luns_text("open", "iqn.2000-01.x:named"), "1");
	assert_string_equal(luns_text("ruled", "iqn.2000-01.x:named"), "1 2r");
	assert_string_equal(luns_text("ruled", "iqn.2000-01.x:own"), "0 1 2r 3 10");
	assert_string_equal(luns_text("ruled", "iqn.2000-01.x:none"), "");
	assert_string_equal(luns_text("ruled", "iqn.1998-01.com.vmware:a"), "0r 3r");
	/* read-only in the later entry alone */
	assert_string_equal(luns_text("ruled", "iqn.2000-01.x:both"), "0 3r");
	/* own entry, esx and backup; LUN 3 is read-only in two entries of three */
	assert_string_equal(luns_text("ruled", "iqn.1998-01.com.vmware:b"), "0r 3 10");
	assert_string_equal(luns_text("ruled", ANYBODY), "");
}

/* TARGET WARM RESET asks so; with access lists that ended the worker. */
static void all_luns_of_a_target_with_access_lists_can_be_asked_for(void **state)
{
	(void)state;
	assert_string_equal(luns_text("bare", NULL), "0 1r");
	assert_string_equal(luns_text("ruled", NULL), "0 1 2r 3 10");
}

static void a_wildcard_range_of_one_family_does_not_admit_the_other(void **state)
{
	struct ip_range four, six, host;
	struct sockaddr_storage v4 = sockaddr_of("10.0.0.1", 1), v6 = sockaddr_of("fd00::1", 1);
	struct ip_address a4 = ip_address_of(&v4), a6 = ip_address_of(&v6);

	(void)state;
	assert_true(ip_range_parse("0.0.0.0/0", &four) && ip_range_parse("::/0", &six) && ip_range_parse("10.0.0.0/31", &host));
	assert_true(ip_range_contains(&four, &a4) && ip_range_contains(&six, &a6));
	assert_false(ip_range_contains(&four, &a6) || ip_range_contains(&six, &a4));
	assert_true(ip_range_contains(&host, &a4));
	assert_true(ip_range_parse("10.0.0.2/31", &host));
	assert_false(ip_range_contains(&host, &a4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_admits_whom_it_should),
		cmocka_unit_test(the_credentials_of_an_entry_replace_those_of_the_target),
		cmocka_unit_test(an_initiator_sees_the_union_of_its_entries),
		cmocka_unit_test(all_luns_of_a_target_with_access_lists_can_be_asked_for),
		cmocka_unit_test(a_wildcard_range_of_one_family_does_not_admit_the_other),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
