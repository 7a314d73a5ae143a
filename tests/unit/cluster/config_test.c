/* The configuration model: names, values, identities, references, preconditions. */
#include "tests/unit/cluster/config_scene.h"

static void the_fixed_bodies_are_complete(void **state)
{
	struct scene *s = *state;

	assert_int_equal(PUT(s, LUN, "vol1", "{'size_bytes':1073741824}"), 0);
	assert_int_equal(s->result.outcome, CONFIG_CREATED);
	assert_int_equal(PUT(s, TARGET, T1, "{}"), 0);
	assert_int_equal(PUT_BELOW(s, MAPPING, T1, "0", "{'lun':'vol1'}"), 0);
	assert_int_equal(s->result.outcome, CONFIG_CREATED);
	assert_int_equal(s->result.revision, 3);
	assert_int_equal(PUT(s, LUN, "mem", "{'size_bytes':1048576,'store':'memory','block_size':4096,'read_only':true,'thin':false,"
				       "'target_object_size_bytes':1048576}"), 0);
	assert_int_equal(PUT(s, LUN, "null", "{'size_bytes':1048576,'store':'null'}"), 0);
	assert_string_equal(json_string_value(scene_member(s, CONFIG_LUN, "vol1", NULL, "store")), "default");
	assert_int_equal(json_integer_value(scene_member(s, CONFIG_LUN, "vol1", NULL, "block_size")), 512);
}

static void the_same_put_again_changes_nothing(void **state)
{
	struct scene *s = *state;
	struct { enum config_kind kind; const char *name, *sub, *body; } rows[] = {
		{ CONFIG_LUN, "vol1", NULL, "{'size_bytes':1073741824}" }, { CONFIG_TARGET, T1, NULL, "{}" },
		{ CONFIG_MAPPING, T1, "0", "{'lun':'vol1'}" }, { CONFIG_PORTAL, "p", NULL, "{'address':'[::1]:3260','tag':2}" },
		{ CONFIG_GROUP, "esx", NULL, "{'initiators':['" H1 "']}" }, { CONFIG_GRANT, T1, "esx", "{'luns':[0]}" },
		{ CONFIG_INITIATOR, T1, H1, "{'auth':{'chap':{'user':'u','secret':'twelve chars'}}}" },
		{ CONFIG_STORE, "fast", NULL, "{'kind':'file','params':{'path':'/srv/fast'}}" },
		{ CONFIG_SETTINGS, NULL, NULL, "{'login_timeout_s':20}" },
	};

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
			uint64_t version = s->version;
			int rc = scene_change(s, CONFIG_PUT, rows[i].kind, rows[i].name, rows[i].sub, rows[i].body);

			if (rc)
				fail_msg("%s: %s %s", rows[i].body, s->problem.pointer, s->problem.detail);
			assert_int_equal(s->version, version + (round == 0));
			assert_int_equal(s->result.outcome == CONFIG_SAME, round == 1);
		}
	}
}

static void what_a_get_shows_can_be_put_back(void **state)
{
	struct scene *s = *state;
	const struct config_ref refs[] = { { CONFIG_LUN, "vol1", NULL }, { CONFIG_TARGET, T1, NULL }, { CONFIG_MAPPING, T1, "0" },
					   { CONFIG_INITIATOR, T1, H1 }, { CONFIG_SETTINGS, NULL, NULL } };

	PUT(s, LUN, "vol1", "{'size_bytes':1073741824,'block_size':4096}");
	PUT(s, TARGET, T1, "{'auth':{'chap':{'user':'u','secret':'twelve chars'}}}");
	PUT_BELOW(s, MAPPING, T1, "0", "{'lun':'vol1'}");
	PUT_BELOW(s, INITIATOR, T1, H1, "{'auth':{'chap':{'user':'u','secret':'twelve chars'}}}");
	PUT(s, SETTINGS, NULL, "{}");
	for (unsigned i = 0; i < sizeof refs / sizeof refs[0]; i++) {
		struct config_request rq = { .op = CONFIG_PUT, .ref = refs[i], .body = config_view(s->config, &refs[i]) };

		assert_non_null(rq.body);
		assert_int_equal(scene_apply(s, &rq), 0);
		assert_int_equal(s->result.outcome, CONFIG_SAME);
		json_decref((json_t *)rq.body);
	}
}

static void lun_names_are_checked(void **state)
{
	static const char *const bad[] = { "", ".x", "-x", "a/b", "a\n", "%s ", "../x", "Vol1", "vol\xc3\xa9", "x\xe2\x80\xae",
					   "0123456789012345678901234567890123456789012345678901234567890123" };
	static const char *const good[] = { "a", "0", "vol-1.2_3", "012345678901234567890123456789012345678901234567890123456789012" };
	struct scene *s = *state;

	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(PUT(s, LUN, bad[i], "{'size_bytes':1048576}"), 422);
		assert_string_equal(s->problem.code, "invalid-name");
	}
	for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(PUT(s, LUN, good[i], "{'size_bytes':1048576}"), 0);
}

static void target_names_are_checked(void **state)
{
	static const char *const bad[] = { "", "t1", "iqn.2026-11.IO.lunette:t1", "iqn.2026-13.io.x", "iqn.2026-00.io.x",
					   "iqn.26-11.io.x", "iqn.2026-11.", "iqn.2026-11.io x", "iqn.2026-11.io/x",
					   "iqn.2026-11.io.x:\xe2\x80\x8b", "eui.0123", "eui.0123456789ABCDEF", "naa.123", "iqn.", "IQN.2026-11.io.x",
					   "iqn.2026-11.io.x:a_b", "iqn.2026-11..x", "eui.0123456789abcdefg" };
	static const char *const good[] = { "iqn.2026-11.io.lunette:t1", "iqn.2001-04.com.example", "eui.02004567a425678d",
					    "naa.52004567ba64678d", "naa.62004567ba64678d0123456789abcdef" };
	struct scene *s = *state;
	char longest[300];

	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (PUT(s, TARGET, bad[i], "{}") != 422)
			fail_msg("%s", bad[i]);
	}
	for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(PUT(s, TARGET, good[i], "{}"), 0);
	memset(longest, 'x', sizeof longest);
	memcpy(longest, "iqn.2026-11.io.", 15);
	longest[224] = '\0';
	assert_int_equal(PUT(s, TARGET, longest, "{}"), 422);
	longest[223] = '\0';
	assert_int_equal(PUT(s, TARGET, longest, "{}"), 0);
}

static void wrong_values_are_refused_with_a_pointer(void **state)
{
	static const struct { enum config_kind kind; const char *name, *body, *pointer; } rows[] = {
		{ CONFIG_LUN, "v", "{}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':0}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':-1}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':1}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':1048575}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':1048577}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':1049088,'block_size':4096}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':70368744181760}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':9223372036854775807}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':'10G'}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':1e9}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':null}", "/size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':1048576,'block_size':1024}", "/block_size" },
		{ CONFIG_LUN, "v", "{'size_bytes':1048576,'block_size':4096,'physical_block_size':512}", "/physical_block_size" },
		{ CONFIG_LUN, "v", "{'size_bytes':1048576,'thin':1}", "/thin" },
		{ CONFIG_LUN, "v", "{'size_bytes':1048576,'store':'nowhere'}", "/store" },
		{ CONFIG_LUN, "v", "{'size_bytes':1048576,'naa':'6000'}", "/naa" },
		{ CONFIG_LUN, "v", "{'size_bytes':1048576,'name':'w'}", "/name" },
		{ CONFIG_LUN, "v", "{'size_bytes':1048576,'colour/~x':1}", "/colour~1~0x" },
		{ CONFIG_LUN, "v", "{'size_bytes':1048576,'target_object_size_bytes':4096}", "/target_object_size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':70368744177664,'target_object_size_bytes':1048576}", "/target_object_size_bytes" },
		{ CONFIG_LUN, "v", "{'size_bytes':1048576,'description':'a\\nb'}", "/description" },
		{ CONFIG_LUN, "v", "[]", "" }, { CONFIG_LUN, "v", "null", "" }, { CONFIG_LUN, "v", "'x'", "" },
		{ CONFIG_TARGET, T2, "{'params':{'queue_depth':0}}", "/params/queue_depth" },
		{ CONFIG_TARGET, T2, "{'params':{'header_digest':'md5'}}", "/params/header_digest" },
		{ CONFIG_TARGET, T2, "{'params':{'header_digest':''}}", "/params/header_digest" },
		{ CONFIG_TARGET, T2, "{'params':{'first_burst_bytes':2097152}}", "/params/first_burst_bytes" },
		{ CONFIG_TARGET, T2, "{'params':{'x':1}}", "/params/x" },
		{ CONFIG_TARGET, T2, "{'params':[]}", "/params" },
		{ CONFIG_TARGET, T2, "{'portals':['nowhere']}", "/portals/0" },
		{ CONFIG_TARGET, T2, "{'portals':['default','default']}", "/portals" },
		{ CONFIG_TARGET, T2, "{'addresses':['10.0.0.0/33']}", "/addresses/0" },
		{ CONFIG_TARGET, T2, "{'addresses':['10.0.0.0/8','nonsense']}", "/addresses/1" },
		{ CONFIG_TARGET, T2, "{'redirect':{}}", "/redirect/address" },
		{ CONFIG_TARGET, T2, "{'redirect':{'address':'10.0.0.300:3260'}}", "/redirect/address" },
		{ CONFIG_TARGET, T2, "{'redirect':{'address':'host:0'}}", "/redirect/address" },
		{ CONFIG_TARGET, T2, "{'luns':{'16384':{'lun':'vol1'}}}", "/luns/16384" },
		{ CONFIG_TARGET, T2, "{'luns':{'00':{'lun':'vol1'}}}", "/luns/00" },
		{ CONFIG_TARGET, T2, "{'luns':{'0':{'lun':'none'}}}", "/luns/0/lun" },
		{ CONFIG_TARGET, T2, "{'luns':{'0':{'lun':'vol1'},'1':{'lun':'vol1'}}}", "/luns/1/lun" },
		{ CONFIG_TARGET, T2, "{'initiators':{'IQN':{}}}", "/initiators/IQN" },
		{ CONFIG_TARGET, T2, "{'initiators':{'" H1 "':{'luns':[1,1]}}}", "/initiators/" H1 "/luns" },
		{ CONFIG_TARGET, T2, "{'initiators':{'" H1 "':{'luns':[16384]}}}", "/initiators/" H1 "/luns/0" },
		{ CONFIG_TARGET, T2, "{'groups':{'none':{}}}", "/groups/none" },
		{ CONFIG_TARGET, T2, "{'auth':{'chap':{'user':'u','secret':'eleven char'}}}", "/auth/chap/secret" },
		{ CONFIG_TARGET, T2, "{'auth':{'chap':{'user':'u','secret':'twelve ch\\u00e4rs'}}}", "/auth/chap/secret" },
		{ CONFIG_TARGET, T2, "{'auth':{'chap':{'user':'u'}}}", "/auth/chap/secret" },
		{ CONFIG_TARGET, T2, "{'auth':{'chap':{'secret':'twelve chars'}}}", "/auth/chap/user" },
		{ CONFIG_TARGET, T2, "{'auth':{'chap':{'user':'a b','secret':'twelve chars'}}}", "/auth/chap/user" },
		{ CONFIG_TARGET, T2, "{'auth':{'chap':{'user':'u','secret_ref':'x'}}}", "/auth/chap/secret_ref" },
		{ CONFIG_TARGET, T2, "{'auth':{'mutual':{'user':'u','secret':'twelve chars'}}}", "/auth/mutual" },
		{ CONFIG_TARGET, T2, "{'auth':{'chap':{'user':'u','secret':'twelve chars'},"
				     "'mutual':{'user':'t','secret':'twelve chars'}}}", "/auth/mutual/secret" },
		{ CONFIG_PORTAL, "p", "{}", "/address" },
		{ CONFIG_PORTAL, "p", "{'address':'localhost:3260'}", "/address" },
		{ CONFIG_PORTAL, "p", "{'address':'10.0.0.1'}", "/address" },
		{ CONFIG_PORTAL, "p", "{'address':'::1:3260'}", "/address" },
		{ CONFIG_PORTAL, "p", "{'address':'[::1]:65536'}", "/address" },
		{ CONFIG_PORTAL, "p", "{'address':'10.0.0.1:3260','tag':0}", "/tag" },
		{ CONFIG_GROUP, "g", "{'initiators':['iqn.2026-11.io.*']}", "/initiators/0" },
		{ CONFIG_STORE, "s", "{}", "/kind" },
		{ CONFIG_STORE, "s", "{'kind':'tape'}", "/kind" },
		{ CONFIG_STORE, "s", "{'kind':'file'}", "/params/path" },
		{ CONFIG_STORE, "s", "{'kind':'file','params':{'path':'relative'}}", "/params/path" },
		{ CONFIG_STORE, "s", "{'kind':'file','params':{'path':'/srv/../etc'}}", "/params/path" },
		{ CONFIG_STORE, "memory", "{'kind':'memory'}", "" },
		{ CONFIG_SETTINGS, NULL, "{'max_login_text_bytes':100}", "/max_login_text_bytes" },
	};
	struct scene *s = *state;

	PUT(s, LUN, "vol1", "{'size_bytes':1048576}");
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int status = scene_change(s, CONFIG_PUT, rows[i].kind, rows[i].name, NULL, rows[i].body);

		if (status != 422 || strcmp(s->problem.pointer, rows[i].pointer) != 0)
			fail_msg("%s: %d %s %s", rows[i].body, status, s->problem.pointer, s->problem.detail);
	}
	assert_int_equal(s->version, 1);
}

static void an_identity_is_fixed_for_ever_and_unique(void **state)
{
	struct scene *s = *state;
	char id[64], naa[64], prefix[8];

	PUT(s, LUN, "a", "{'size_bytes':1048576}");
	strcpy(id, json_string_value(scene_member(s, CONFIG_LUN, "a", NULL, "id")));
	strcpy(naa, json_string_value(scene_member(s, CONFIG_LUN, "a", NULL, "naa")));
	assert_null(config_rule_check("uuid", id));
	assert_null(config_rule_check("naa", naa));
	assert_int_equal(id[14], '4');
	assert_non_null(strchr("89ab", id[19]));
	assert_non_null(strchr("26ae", naa[2]));
	assert_int_equal(PATCH(s, LUN, "a", "{'size_bytes':2097152,'read_only':true}"), 0);
	assert_string_equal(id, json_string_value(scene_member(s, CONFIG_LUN, "a", NULL, "id")));
	assert_int_equal(PUT(s, LUN, "a", "{'size_bytes':2097152,'id':'00000000-0000-4000-8000-000000000000'}"), 422);
	assert_string_equal(s->problem.code, "immutable");
	snprintf(prefix, sizeof prefix, "%.7s", naa);
	PUT(s, LUN, "b", "{'size_bytes':1048576}");
	assert_string_not_equal(id, json_string_value(scene_member(s, CONFIG_LUN, "b", NULL, "id")));
	assert_memory_equal(prefix, json_string_value(scene_member(s, CONFIG_LUN, "b", NULL, "naa")), 7);
}

static void a_lun_grows_and_never_shrinks(void **state)
{
	struct scene *s = *state;

	PUT(s, LUN, "a", "{'size_bytes':2097152,'block_size':4096}");
	assert_int_equal(PATCH(s, LUN, "a", "{'size_bytes':4194304}"), 0);
	assert_int_equal(PATCH(s, LUN, "a", "{'size_bytes':2097152}"), 422);
	assert_string_equal(s->problem.code, "shrink-refused");
	assert_string_equal(s->problem.pointer, "/size_bytes");
	assert_int_equal(PATCH(s, LUN, "a", "{'block_size':512}"), 422);
	assert_string_equal(s->problem.code, "immutable");
	assert_int_equal(PUT(s, LUN, "a", "{'size_bytes':8388608}"), 0); /* what is fixed may be left out */
	assert_int_equal(json_integer_value(scene_member(s, CONFIG_LUN, "a", NULL, "block_size")), 4096);
	assert_int_equal(PATCH(s, LUN, "a", "{'store':'memory'}"), 422);
	assert_int_equal(PATCH(s, LUN, "a", "{'thin':false}"), 422);
}

static void a_merge_patch_follows_rfc_7396(void **state)
{
	struct scene *s = *state;

	PUT(s, TARGET, T1, "{'alias':'x','params':{'queue_depth':7,'nop_interval_s':1},'redirect':{'address':'h:1'}}");
	assert_int_equal(PATCH(s, TARGET, T1, "{'alias':null,'params':{'queue_depth':null,'time2wait_s':9},'redirect':null}"), 0);
	assert_string_equal(json_string_value(scene_member(s, CONFIG_TARGET, T1, NULL, "alias")), "");
	assert_null(scene_member(s, CONFIG_TARGET, T1, NULL, "redirect"));
	assert_int_equal(json_integer_value(json_object_get(scene_member(s, CONFIG_TARGET, T1, NULL, "params"), "queue_depth")), 128);
	assert_int_equal(json_integer_value(json_object_get(scene_member(s, CONFIG_TARGET, T1, NULL, "params"), "nop_interval_s")), 1);
	assert_int_equal(json_integer_value(json_object_get(scene_member(s, CONFIG_TARGET, T1, NULL, "params"), "time2wait_s")), 9);
	assert_int_equal(PATCH(s, TARGET, T1, "{}"), 0);
	assert_int_equal(s->result.outcome, CONFIG_SAME);
	assert_int_equal(PATCH(s, TARGET, T1, "[]"), 422);
	assert_int_equal(PATCH(s, TARGET, T2, "{}"), 404);
	assert_string_equal(s->problem.code, "no-such-target");
	assert_int_equal(PATCH(s, SETTINGS, NULL, "{'login_timeout_s':3}"), 0);
}

static void a_put_of_a_target_keeps_its_luns_and_initiators(void **state)
{
	struct scene *s = *state;

	PUT(s, LUN, "a", "{'size_bytes':1048576}");
	PUT(s, TARGET, T1, "{'alias':'x'}");
	PUT_BELOW(s, MAPPING, T1, "0", "{'lun':'a'}");
	PUT_BELOW(s, INITIATOR, T1, H1, "{}");
	assert_int_equal(PUT(s, TARGET, T1, "{}"), 0);
	assert_non_null(scene_member(s, CONFIG_MAPPING, T1, "0", "lun"));
	assert_non_null(scene_member(s, CONFIG_INITIATOR, T1, H1, "revision"));
	assert_int_equal(PUT(s, TARGET, T1, "{'luns':{}}"), 0);
	assert_null(scene_member(s, CONFIG_MAPPING, T1, "0", "lun"));
}

static int with(struct scene *s, enum config_op op, struct config_ref ref, const char *body,
		struct config_precondition precondition)
{
	json_t *json = body ? scene_json(body) : NULL;
	struct config_request rq = { .op = op, .ref = ref, .body = json, .precondition = precondition };
	int status = scene_apply(s, &rq);

	json_decref(json);
	return status;
}

static void a_change_needs_the_right_revision(void **state)
{
	struct scene *s = *state;
	const struct config_ref ref = { CONFIG_LUN, "a", NULL };
	const struct config_precondition none = { 0 }, any = { .any = true }, first = { .count = 1, .revisions = { 1 } },
					 either = { .count = 2, .revisions = { 1, 2 } }, absent = { .absent = true };

	assert_int_equal(with(s, CONFIG_PUT, ref, "{'size_bytes':1048576}", any), 412);
	assert_int_equal(with(s, CONFIG_PUT, ref, "{'size_bytes':1048576}", first), 412);
	assert_int_equal(with(s, CONFIG_PUT, ref, "{'size_bytes':1048576}", absent), 0);
	assert_int_equal(with(s, CONFIG_PUT, ref, "{'size_bytes':1048576}", absent), 412);
	assert_int_equal(with(s, CONFIG_PUT, ref, "{'size_bytes':1048576}", none), 0);
	assert_int_equal(with(s, CONFIG_PUT, ref, "{'size_bytes':2097152}", none), 428);
	assert_string_equal(s->problem.code, "precondition-required");
	assert_int_equal(with(s, CONFIG_PUT, ref, "{'size_bytes':2097152}", first), 0);
	assert_int_equal(s->result.revision, 2);
	assert_int_equal(with(s, CONFIG_PATCH, ref, "{'size_bytes':3145728}", first), 412);
	assert_string_equal(s->problem.code, "precondition-failed");
	assert_int_equal(with(s, CONFIG_PATCH, ref, "{'size_bytes':3145728}", either), 0);
	assert_int_equal(with(s, CONFIG_PATCH, ref, "{'size_bytes':4194304}", any), 0);
	assert_int_equal(with(s, CONFIG_DELETE, ref, NULL, none), 428);
	assert_int_equal(with(s, CONFIG_DELETE, ref, NULL, first), 412);
	assert_int_equal(with(s, CONFIG_DELETE, ref, NULL, any), 0);
	assert_int_equal(s->result.outcome, CONFIG_DELETED);
	assert_int_equal(with(s, CONFIG_DELETE, ref, NULL, any), 404);
}

static void a_sub_resource_has_its_own_revision_and_changes_its_target(void **state)
{
	struct scene *s = *state;
	const struct config_ref target = { CONFIG_TARGET, T1, NULL }, zero = { CONFIG_MAPPING, T1, "0" }, one = { CONFIG_MAPPING, T1, "1" };

	PUT(s, LUN, "a", "{'size_bytes':1048576}");
	PUT(s, LUN, "b", "{'size_bytes':1048576}");
	PUT(s, TARGET, T1, "{}");
	PUT_BELOW(s, MAPPING, T1, "0", "{'lun':'a'}");
	PUT_BELOW(s, MAPPING, T1, "1", "{'lun':'b'}");
	assert_int_equal(config_revision(s->config, &zero), 4);
	assert_int_equal(config_revision(s->config, &one), 5);
	assert_int_equal(config_revision(s->config, &target), 5);
	assert_int_equal(scene_change(s, CONFIG_DELETE, CONFIG_MAPPING, T1, "0", NULL), 0);
	assert_int_equal(config_revision(s->config, &one), 5);
	assert_int_equal(config_revision(s->config, &target), 6);
	assert_int_equal(PUT_BELOW(s, MAPPING, T1, "2", "{'lun':'b'}"), 422);
	assert_int_equal(PUT_BELOW(s, MAPPING, T1, "0", "{'lun':'none'}"), 422);
	assert_string_equal(s->problem.pointer, "/lun");
	assert_int_equal(PUT_BELOW(s, MAPPING, T1, "1", "{'lun':'a'}"), 0);
	assert_int_equal(PUT_BELOW(s, MAPPING, T2, "0", "{'lun':'a'}"), 404);
	assert_int_equal(PUT_BELOW(s, MAPPING, T1, "x", "{'lun':'a'}"), 422);
	assert_int_equal(PUT_BELOW(s, GRANT, T1, "none", "{}"), 422);
}

static void what_is_in_use_is_not_removed_unless_forced(void **state)
{
	static const struct { enum config_kind kind; const char *name, *code; bool forcible; } rows[] = {
		{ CONFIG_STORE, "fast", "store-in-use", false }, { CONFIG_LUN, "a", "lun-in-use", true },
		{ CONFIG_GROUP, "esx", "initiator-group-in-use", true }, { CONFIG_PORTAL, "p", "portal-in-use", true },
	};
	struct scene *s = *state;

	PUT(s, STORE, "fast", "{'kind':'file','params':{'path':'/srv/fast'}}");
	PUT(s, LUN, "a", "{'size_bytes':1048576,'store':'fast'}");
	PUT(s, GROUP, "esx", "{'initiators':['" H1 "']}");
	PUT(s, PORTAL, "p", "{'address':'10.0.0.1:3260'}");
	for (unsigned i = 1; i <= 2; i++) {
		const char *name = i == 1 ? T1 : T2;

		assert_int_equal(PUT(s, TARGET, name, "{'portals':['default','p'],'luns':{'0':{'lun':'a'}},'groups':{'esx':{}}}"), 0);
	}
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct config_request rq = { .op = CONFIG_DELETE, .ref = { rows[i].kind, rows[i].name, NULL }, .precondition.any = true };

		assert_int_equal(scene_apply(s, &rq), 409);
		assert_string_equal(s->problem.code, rows[i].code);
		rq.force = true;
		assert_int_equal(scene_apply(s, &rq), rows[i].forcible ? 0 : 409);
	}
	assert_int_equal(json_object_size(scene_member(s, CONFIG_TARGET, T1, NULL, "luns")), 0);
	assert_int_equal(json_object_size(scene_member(s, CONFIG_TARGET, T2, NULL, "groups")), 0);
	assert_int_equal(json_array_size(scene_member(s, CONFIG_TARGET, T2, NULL, "portals")), 1);
	assert_int_equal(DELETE(s, STORE, "fast"), 0); /* its LUN is gone */
}

static void a_store_is_fixed_while_luns_live_in_it(void **state)
{
	struct scene *s = *state;

	PUT(s, LUN, "a", "{'size_bytes':1048576}");
	assert_int_equal(PUT(s, STORE, "default", "{'kind':'file','params':{'path':'/srv/other'}}"), 409);
	PUT(s, STORE, "fast", "{'kind':'file','params':{'path':'/srv/fast'}}");
	PUT(s, LUN, "b", "{'size_bytes':1048576,'store':'fast'}");
	assert_int_equal(PATCH(s, STORE, "fast", "{'params':{'path':'/srv/other'}}"), 409);
	assert_int_equal(PATCH(s, STORE, "fast", "{'description':'the fast one'}"), 0);
	assert_int_equal(PUT(s, STORE, "again", "{'kind':'file','params':{'path':'/srv/fast'}}"), 422);
}

static void two_portals_cannot_have_one_address(void **state)
{
	struct scene *s = *state;

	assert_int_equal(PUT(s, PORTAL, "a", "{'address':'[fd00::1]:3260'}"), 0);
	assert_int_equal(PUT(s, PORTAL, "b", "{'address':'[FD00:0::1]:3260'}"), 422);
	assert_int_equal(PUT(s, PORTAL, "b", "{'address':'[fd00::1]:3261'}"), 0);
	assert_int_equal(PUT(s, PORTAL, "c", "{'address':'127.0.0.1:0'}"), 0);
	assert_int_equal(PUT(s, PORTAL, "d", "{'address':'127.0.0.1:0'}"), 0);
}

static void relative_port_ids_are_unique_and_stay(void **state)
{
	struct scene *s = *state;
	bool seen[64] = { false };

	PUT(s, PORTAL, "p", "{'address':'10.0.0.1:3260','tag':2}");
	for (unsigned i = 0; i < 10; i++) {
		char name[64];
		const char *tag;
		json_t *id;

		snprintf(name, sizeof name, "%s%u", T1, i);
		assert_int_equal(PUT(s, TARGET, name, "{'portals':['default','p']}"), 0);
		assert_int_equal(json_object_size(scene_member(s, CONFIG_TARGET, name, NULL, "relative_port_ids")), 2);
		json_object_foreach(scene_member(s, CONFIG_TARGET, name, NULL, "relative_port_ids"), tag, id) {
			assert_in_range(json_integer_value(id), 1, 63);
			assert_false(seen[json_integer_value(id)]);
			seen[json_integer_value(id)] = true;
		}
	}
	assert_int_equal(DELETE(s, TARGET, T1 "3"), 0);
	PUT(s, TARGET, T2, "{}");
	assert_int_equal(json_integer_value(json_object_get(scene_member(s, CONFIG_TARGET, T2, NULL, "relative_port_ids"), "1")), 21);
	/* a portal that changes its group: the targets get one more, and keep what they had */
	assert_int_equal(PUT(s, PORTAL, "p", "{'address':'10.0.0.1:3260','tag':7}"), 0);
	assert_int_equal(json_object_size(scene_member(s, CONFIG_TARGET, T1 "0", NULL, "relative_port_ids")), 3);
	assert_int_equal(json_object_size(scene_member(s, CONFIG_TARGET, T2, NULL, "relative_port_ids")), 1);
}

static void there_is_room_for_4096_luns_and_no_more(void **state)
{
	struct scene *s = *state;
	json_t *luns = json_object();

	for (unsigned i = 0; i < 4096; i++) {
		char name[16];

		snprintf(name, sizeof name, "vol%u", i);
		json_object_set_new(luns, name, json_object());
	}
	s->config = json_pack("{s:o}", "luns", luns);
	assert_int_equal(PUT(s, LUN, "one-more", "{'size_bytes':1048576}"), 422);
	assert_string_equal(s->problem.code, "too-many");
	json_object_del(luns, "vol7");
	assert_int_equal(PUT(s, LUN, "one-more", "{'size_bytes':1048576}"), 0);
}

static void every_row_of_the_fields_is_sane(void **state)
{
	(void)state;
	for (unsigned i = 0; i < config_field_count; i++) {
		const struct config_field *f = &config_fields[i];
		bool text = f->type == TYPE_TEXT || f->type == TYPE_TEXTS || f->type == TYPE_MAP;

		assert_true(f->doc[0] && f->min <= f->max);
		if (text) /* a rule that exists: it says something about control characters, or "any" */
			assert_true(!config_rule_check(f->rule, "\n") || strcmp(config_rule_check(f->rule, "\n"), "has no rule") != 0);
		assert_int_equal(f->sub != SCHEMA_NONE, f->type == TYPE_OBJECT || f->type == TYPE_MAP);
		/* a value comes from the body, from the server or from a default: nothing is left open */
		assert_true(f->fallback[0] || (f->flags & (F_REQUIRED | F_OPTIONAL)));
		assert_false(f->fallback[0] && (f->flags & (F_REQUIRED | F_OPTIONAL)));
		if (i > 0 && config_fields[i - 1].schema != f->schema) { /* the rows of a schema lie together */
			for (unsigned j = 0; j < i; j++)
				assert_int_not_equal(config_fields[j].schema, f->schema);
		}
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_fixed_bodies_are_complete),
		T(the_same_put_again_changes_nothing),
		T(what_a_get_shows_can_be_put_back),
		T(lun_names_are_checked),
		T(target_names_are_checked),
		T(wrong_values_are_refused_with_a_pointer),
		T(an_identity_is_fixed_for_ever_and_unique),
		T(a_lun_grows_and_never_shrinks),
		T(a_merge_patch_follows_rfc_7396),
		T(a_put_of_a_target_keeps_its_luns_and_initiators),
		T(a_change_needs_the_right_revision),
		T(a_sub_resource_has_its_own_revision_and_changes_its_target),
		T(what_is_in_use_is_not_removed_unless_forced),
		T(a_store_is_fixed_while_luns_live_in_it),
		T(two_portals_cannot_have_one_address),
		T(relative_port_ids_are_unique_and_stay),
		T(there_is_room_for_4096_luns_and_no_more),
		T(every_row_of_the_fields_is_sane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
