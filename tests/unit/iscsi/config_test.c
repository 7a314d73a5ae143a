#include "login_client.h"

#include <errno.h>
#include <time.h>

#include "dataplane/iscsi/config_data.h"

/* The example of docs/serve-document.md, with real ids in place of dots. */
static const char example[] =
	"{'generation':17,'worker':0,"
	"'settings':{'login_timeout_s':15,'max_connections':16384,'max_connections_per_address':1024,"
	"'max_login_text_bytes':65536,'buffer_bytes':67108864},"
	"'discovery_auth':{'chap':{'user':'u','secret':'discoverysecret1'},'mutual':{'user':'t','secret':'discoverysecret2'}},"
	"'stores':{'default':{'kind':'file','params':{'path':'/var/lib/lunette/store'}}},'luns':{'vol1':{}},"
	"'targets':{'iqn.2026-11.io.lunette:t1':{'worker':0,'alias':'','open':false,'enabled':true,"
	"'relative_port_ids':{'1':1,'2':7},'portals':['default','elsewhere'],"
	"'params':{'header_digest':'any','data_digest':'crc32c','initial_r2t':false,'immediate_data':true,"
	"'max_recv_data_segment_bytes':262144,'max_burst_bytes':1048576,'first_burst_bytes':262144,"
	"'max_outstanding_r2t':4,'time2wait_s':2,'time2retain_s':0,'queue_depth':128,'nop_interval_s':15,"
	"'nop_timeout_s':15,'max_sessions':0},"
	"'auth':{'chap':{'user':'u','secret':'secretofhosts01'},'mutual':{'user':'t','secret':'secretoftarget1'}},"
	"'redirect':{'address':'10.0.0.2:3260','permanent':false},"
	"'initiators':{'iqn.1994-05.com.example:h1':{'auth':{'chap':{}},'luns':[0,1],'read_only':false}},"
	"'groups':{'esx':{'luns':[0],'read_only':true}},'addresses':['10.0.0.0/8','fd00::/8'],"
	"'luns':{'0':{'lun':'vol1','read_only':false}},'unknown_to_us':[1,2]}},"
	"'groups':{'esx':{'initiators':['iqn.1998-01.com.vmware:a']}},"
	"'portals':{'default':{'address':'127.0.0.1:3260','tag':1}}}";

static void the_documented_example_is_read(void **state)
{
	struct iscsi_config *config = config_of_quoted(example);
	const struct iscsi_target *target = iscsi_config_find_target(config, "iqn.2026-11.io.lunette:t1");
	const struct iscsi_target_params *params;
	struct iscsi_auth auth;
	unsigned count;

	(void)state;
	assert_non_null(target);
	assert_null(iscsi_config_find_target(config, "iqn.2026-11.io.lunette:t"));
	assert_string_equal(iscsi_target_name(target), "iqn.2026-11.io.lunette:t1");
	assert_int_equal(iscsi_target_worker(target), 0);
	params = iscsi_target_params(target);
	assert_int_equal(params->header_digest, ISCSI_DIGEST_ANY);
	assert_int_equal(params->data_digest, ISCSI_DIGEST_CRC32C);
	assert_int_equal(params->max_burst_bytes, 1048576);
	assert_int_equal(iscsi_target_relative_port(target, 2), 7);
	assert_int_equal(iscsi_target_relative_port(target, 9), 9);
	iscsi_discovery_auth(config, &auth);
	assert_true(auth.chap && auth.mutual);
	assert_string_equal(auth.peer.user, "u");
	assert_string_equal(iscsi_config_portals(config, &count)->name, "default");
	assert_int_equal(count, 1);
	assert_int_equal(iscsi_config_find_portal(config, "default")->tag, 1);
	assert_null(iscsi_config_find_portal(config, "elsewhere"));
	iscsi_config_unref(config);
}

static void absent_members_have_the_documented_defaults(void **state)
{
	struct iscsi_config *full = config_of_quoted(example);
	struct iscsi_config *bare = config_of_quoted("{'portals':{'default':{'address':'127.0.0.1:3260'}},'targets':{'t':{}}}");
	struct iscsi_target_params expected = *iscsi_target_params(iscsi_config_find_target(full, "iqn.2026-11.io.lunette:t1"));
	const struct iscsi_target *target = iscsi_config_find_target(bare, "t");

	(void)state;
	expected.data_digest = ISCSI_DIGEST_ANY;
	assert_memory_equal(iscsi_config_settings(bare), iscsi_config_settings(full), sizeof(struct iscsi_settings));
	assert_memory_equal(iscsi_target_params(target), &expected, sizeof expected);
	assert_string_equal(iscsi_target_alias(target), "");
	assert_int_equal(target->portal_count, 1);
	assert_true(target->enabled);
	assert_false(target->open);
	iscsi_config_unref(full);
	iscsi_config_unref(bare);
	iscsi_config_unref(config_of_quoted("{}"));
}

static void mistakes_are_refused_with_words(void **state) /* B038, B039 */
{
#define IN_TARGET(more) "{'targets':{'t':{" more "}}}"
	static const struct { const char *serve, *words; } rows[] = {
		{ "[]", "not an object" },
		{ "{'targets':[]}", "targets is not an object" },
		{ "{'targets':{'t':1}}", "target \"t\": not an object" },
		{ "{'targets':{'':{}}}", "1 to 223 bytes" },
		{ "{'settings':{'login_timeout_s':0}}", "settings: login_timeout_s is not a number from 1 to 3600" },
		{ "{'settings':{'max_connections':'many'}}", "max_connections is not a number" },
		{ "{'settings':{'buffer_bytes':1e9}}", "buffer_bytes is not a number" },
		{ "{'settings':{'buffer_bytes':18446744073709551615}}", NULL },
		{ "{'portals':{'p':{}}}", "portal \"p\": address \"\" is not ADDRESS:PORT" },
		{ "{'portals':{'p':{'address':'localhost:3260'}}}", "is not ADDRESS:PORT" },
		{ "{'portals':{'p':{'address':'127.0.0.1'}}}", "is not ADDRESS:PORT" },
		{ "{'portals':{'p':{'address':'127.0.0.1:65536'}}}", "is not ADDRESS:PORT" },
		{ "{'portals':{'p':{'address':'::1:3260'}}}", "is not ADDRESS:PORT" },
		{ "{'portals':{'p':{'address':'[::1'}}}", "is not ADDRESS:PORT" },
		{ "{'portals':{'p':{'address':'[::1]3260'}}}", "is not ADDRESS:PORT" },
		{ "{'portals':{'p':{'address':'127.0.0.1:3260','tag':0}}}", "tag is not a number" },
		{ "{'groups':{'g':{'initiators':[1]}}}", "group \"g\": initiators[0] is not a name" },
		{ IN_TARGET("'worker':-1"), "worker is not a number" },
		{ IN_TARGET("'open':1"), "open is not true or false" },
		{ IN_TARGET("'alias':'a\\u0000b'"), NULL },
		{ IN_TARGET("'params':{'queue_depth':0}"), "params: queue_depth" },
		{ IN_TARGET("'params':{'header_digest':'sha'}"), "header_digest is not any, none or crc32c" },
		{ IN_TARGET("'params':{'max_burst_bytes':16777216}"), "max_burst_bytes" },
		{ IN_TARGET("'auth':{'chap':{'user':'u'}}"), "auth: chap: secret is not a text" },
		{ IN_TARGET("'auth':{'chap':{'secret':'s'}}"), "auth: chap: user is missing" },
		{ IN_TARGET("'auth':{'chap':{'user':'u','secret':''}}"), "secret is not a text of 1 to 256 bytes" },
		{ IN_TARGET("'auth':{'mutual':{'user':'u','secret':'s'}}"), "mutual without chap" },
		{ IN_TARGET("'auth':{'chap':{'user':'u','secret':'same'},'mutual':{'user':'t','secret':'same'}}"), "the same secret" },
		{ "{'discovery_auth':{'chap':{'user':'u','secret':'x'},'mutual':{'user':'t','secret':'x'}}}", "discovery_auth: chap and mutual" },
		{ IN_TARGET("'redirect':{}"), "redirect: address is not HOST:PORT" },
		{ IN_TARGET("'redirect':{'address':':3260'}"), "address is not HOST:PORT" },
		{ IN_TARGET("'redirect':{'address':'h:0'}"), "address is not HOST:PORT" },
		{ IN_TARGET("'portals':[1]"), "portals[0] is not a name" },
		{ IN_TARGET("'addresses':['10.0.0.0/33']"), "addresses[0] is not an address range" },
		{ IN_TARGET("'addresses':['10.0.0.0/']"), "addresses[0]" },
		{ IN_TARGET("'addresses':['fd00::/129']"), "addresses[0]" },
		{ IN_TARGET("'addresses':['host']"), "addresses[0]" },
		{ IN_TARGET("'relative_port_ids':{'0':1}"), "relative_port_ids" },
		{ IN_TARGET("'relative_port_ids':{'1':0}"), "relative_port_ids" },
		{ IN_TARGET("'luns':{'x':{'lun':'v'}}"), "is not a LUN number" },
		{ IN_TARGET("'luns':{'16384':{'lun':'v'}}"), "is not a LUN number" },
		{ IN_TARGET("'luns':{'01':{'lun':'v'}}"), "is not a LUN number" },
		{ IN_TARGET("'luns':{'0':{}}"), "lun is missing" },
		{ IN_TARGET("'initiators':{'i':{'luns':[-1]}}"), "initiator \"i\": luns[0] is not a LUN number" },
		{ IN_TARGET("'initiators':{'i':{'auth':{'chap':{'user':'u','secret':'s'},'mutual':{'user':'t','secret':'s'}}}}"), "the same secret" },
		{ IN_TARGET("'initiators':{'i':1}"), "not an object" },
		{ IN_TARGET("'groups':{'g':[]}"), "not an object" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *text = strdup(rows[i].serve);
		struct err err = { 0 };
		json_t *json;

		for (char *c = text; *c; c++)
			if (*c == '\'')
				*c = '"';
		json = json_loads(text, 0, NULL);
		if (json && iscsi_config_new(json, &err))
			fail_msg("accepted: %s", rows[i].serve);
		if (json) {
			assert_int_equal(err.code, -EINVAL);
			if (!rows[i].words || !strstr(err.text, rows[i].words))
				fail_msg("%s: %s", rows[i].serve, err.text);
		} else {
			assert_null(rows[i].words); /* refused by the JSON reader already */
		}
		json_decref(json);
		free(text);
	}
}

static void secrets_do_not_reach_the_words(void **state)
{
	static const char serve[] = "{\"targets\":{\"t\":{\"auth\":{\"chap\":{\"user\":\"u\",\"secret\":\"hush-hush\"},"
				    "\"mutual\":{\"user\":\"t\",\"secret\":\"hush-hush\"}}}}}";
	json_t *json = json_loads(serve, 0, NULL);
	struct err err = { 0 };

	(void)state;
	assert_null(iscsi_config_new(json, &err));
	assert_null(strstr(err.text, "hush"));
	json_decref(json);
}

static json_t *large_document(unsigned targets, unsigned luns)
{
	json_t *serve = json_pack("{s:{s:{s:s}}}", "portals", "default", "address", "0.0.0.0:3260");
	json_t *all = json_object();
	char name[64], number[16], lun[16];

	for (unsigned t = 0; t < targets; t++) {
		json_t *mapping = json_object();

		for (unsigned l = 0; l < luns / targets + 1; l++) {
			snprintf(number, sizeof number, "%u", l);
			snprintf(lun, sizeof lun, "vol%u", t * 100 + l);
			json_object_set_new(mapping, number, json_pack("{s:s}", "lun", lun));
		}
		snprintf(name, sizeof name, "iqn.2026-11.io.lunette:t%u", t);
		json_object_set_new(all, name, json_pack("{s:{s:{s:[i]}},s:o}", "initiators", INITIATOR, "luns", 0, "luns", mapping));
	}
	json_object_set_new(serve, "targets", all);
	return serve;
}

static void a_thousand_targets_are_found(void **state)
{
	json_t *serve = large_document(1000, 4096);
	struct timespec before, after;
	struct iscsi_config *config;
	char name[64];

	(void)state;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	config = iscsi_config_new(serve, NULL);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	print_message("1000 targets, 4096 LUNs: %.1f ms\n",
		      (double)(after.tv_sec - before.tv_sec) * 1e3 + (double)(after.tv_nsec - before.tv_nsec) / 1e6);
	json_decref(serve);
	assert_non_null(config);
	for (unsigned t = 0; t < 1000; t++) {
		snprintf(name, sizeof name, "iqn.2026-11.io.lunette:t%u", t);
		assert_string_equal(iscsi_target_name(iscsi_config_find_target(config, name)), name);
	}
	assert_null(iscsi_config_find_target(config, "iqn.2026-11.io.lunette:t1000"));
	iscsi_config_unref(config);
}

static void a_reference_keeps_the_snapshot(void **state)
{
	struct iscsi_config *config = config_of_quoted(example);

	(void)state;
	assert_ptr_equal(iscsi_config_ref(config), config);
	iscsi_config_unref(config);
	assert_non_null(iscsi_config_find_target(config, "iqn.2026-11.io.lunette:t1"));
	iscsi_config_unref(config);
	iscsi_config_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documented_example_is_read),
		cmocka_unit_test(absent_members_have_the_documented_defaults),
		cmocka_unit_test(mistakes_are_refused_with_words),
		cmocka_unit_test(secrets_do_not_reach_the_words),
		cmocka_unit_test(a_thousand_targets_are_found),
		cmocka_unit_test(a_reference_keeps_the_snapshot),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
