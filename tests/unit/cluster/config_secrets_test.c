/* Secrets beside the configuration, export and import, views without secrets. */
#include "tests/unit/cluster/config_scene.h"

#define CHAP(user, secret) "{'auth':{'chap':{'user':'" user "','secret':'" secret "'}}}"

static const char *reference_of(struct scene *s, const char *target)
{
	json_t *auth = scene_member(s, CONFIG_TARGET, target, NULL, "auth");

	return json_string_value(json_object_get(json_object_get(auth, "chap"), "secret_ref"));
}

static bool mentions(const json_t *value, const char *text)
{
	char *dump = json_dumps(value, JSON_ENCODE_ANY);
	bool found = strstr(dump, text) != NULL;

	free(dump);
	return found;
}

static void a_secret_is_in_secrets_and_nowhere_else(void **state)
{
	struct scene *s = *state;
	json_t *export;

	assert_int_equal(PUT(s, TARGET, T1, CHAP("u", "the secret of t1")), 0);
	assert_false(mentions(s->config, "the secret"));
	assert_false(mentions(s->result.after, "the secret"));
	assert_false(mentions(s->result.after, "secret_ref"));
	assert_true(mentions(s->result.after, "\"secret_set\": true"));
	assert_string_equal(secrets_find(s->secrets, reference_of(s, T1)), "the secret of t1");
	export = config_export(s->config);
	assert_false(mentions(export, "secret"));
	json_decref(export);
}

static void a_secret_changes_by_a_new_reference(void **state)
{
	struct scene *s = *state;
	char first[64];

	PUT(s, TARGET, T1, CHAP("u", "the first secret"));
	snprintf(first, sizeof first, "%s", reference_of(s, T1));
	assert_int_equal(PUT(s, TARGET, T1, CHAP("u", "the first secret")), 0);
	assert_int_equal(s->result.outcome, CONFIG_SAME);
	assert_int_equal(PATCH(s, TARGET, T1, "{'auth':{'chap':{'user':'other'}}}"), 0);
	assert_string_equal(reference_of(s, T1), first);
	assert_int_equal(PATCH(s, TARGET, T1, CHAP("other", "the second secret")), 0);
	assert_string_not_equal(reference_of(s, T1), first);
	assert_null(secrets_find(s->secrets, first));
	assert_int_equal(PATCH(s, TARGET, T1, "{'auth':null}"), 0);
	assert_int_equal(json_object_size(json_object_get(s->secrets, "chap")), 0);
}

static void removing_a_target_removes_its_secrets(void **state)
{
	struct scene *s = *state;

	PUT(s, TARGET, T1, CHAP("u", "the secret of t1"));
	PUT_BELOW(s, INITIATOR, T1, H1, CHAP("i", "the secret of h1"));
	PUT(s, TARGET, T2, CHAP("u", "the secret of t2"));
	assert_int_equal(json_object_size(json_object_get(s->secrets, "chap")), 3);
	assert_int_equal(DELETE(s, TARGET, T1), 0);
	assert_int_equal(json_object_size(json_object_get(s->secrets, "chap")), 1);
	assert_non_null(secrets_find(s->secrets, reference_of(s, T2)));
}

static void the_two_directions_never_share_a_secret(void **state)
{
	struct scene *s = *state;

	assert_int_equal(PUT(s, TARGET, T1, "{'auth':{'chap':{'user':'u','secret':'one two three'},"
					    "'mutual':{'user':'t','secret':'four five six'}}}"), 0);
	assert_int_equal(PUT_BELOW(s, INITIATOR, T1, H1, CHAP("i", "four five six")), 422);
	assert_string_equal(s->problem.pointer, "/auth/chap/secret");
	assert_null(strstr(s->problem.detail, "four"));
	assert_int_equal(PUT(s, TARGET, T2, CHAP("i", "four five six")), 422);
	assert_int_equal(PATCH(s, SETTINGS, NULL, "{'discovery_auth':{'chap':{'user':'d','secret':'four five six'}}}"), 422);
	assert_string_equal(s->problem.pointer, "/discovery_auth/chap/secret");
	assert_int_equal(PUT(s, TARGET, T2, CHAP("i", "one two three")), 0); /* the same direction */
}

static void old_entries_that_nobody_refers_to_are_swept(void **state)
{
	struct scene *s = *state;
	json_t *orphan = scene_json("{'0123':{'secret':'forgotten one','created_ms':1000}}");

	PUT(s, TARGET, T1, CHAP("u", "the secret of t1"));
	assert_int_equal(secrets_edit(&s->secrets, orphan, NULL), 0);
	json_object_set_new(s->secrets, "tokens", scene_json("{'admin':{}}"));
	assert_int_equal(secrets_sweep(s->secrets, s->config, 1500, 1000), 0);
	assert_int_equal(secrets_sweep(s->secrets, s->config, UINT64_C(9000000000000), 1000), 1);
	assert_non_null(secrets_find(s->secrets, reference_of(s, T1)));
	assert_non_null(json_object_get(s->secrets, "tokens"));
	json_decref(orphan);
}

static void a_mask_covers_every_secret(void **state)
{
	json_t *body = scene_json("{'a':[{'secret':'open sesame 1'}],'secret':{'x':1},'auth':{'chap':{'user':'u','secret':'open sesame'}}}");
	json_t *mask = secrets_mask(body);

	(void)state;
	assert_false(mentions(mask, "sesame"));
	assert_true(mentions(mask, "\"user\": \"u\""));
	assert_true(mentions(body, "sesame"));
	json_decref(mask);
	json_decref(body);
}

/* --- export and import --- */

static void fill(struct scene *s)
{
	assert_int_equal(PUT(s, STORE, "fast", "{'kind':'file','params':{'path':'/srv/fast'}}"), 0);
	assert_int_equal(PUT(s, PORTAL, "p", "{'address':'10.0.0.1:3260','tag':2}"), 0);
	assert_int_equal(PUT(s, GROUP, "esx", "{'initiators':['" H1 "']}"), 0);
	assert_int_equal(PUT(s, LUN, "a", "{'size_bytes':1048576,'store':'fast'}"), 0);
	assert_int_equal(PUT(s, LUN, "b", "{'size_bytes':1048576}"), 0);
	assert_int_equal(PUT(s, TARGET, T1, "{'portals':['p'],'luns':{'0':{'lun':'a'}},'groups':{'esx':{}}}"), 0);
	assert_int_equal(PUT(s, SETTINGS, NULL, "{'login_timeout_s':20}"), 0);
}

static int import(struct scene *s, json_t *body, bool prune)
{
	struct config_request rq = { .op = CONFIG_IMPORT, .body = body, .prune = prune };

	return scene_apply(s, &rq);
}

static void an_export_imports_to_the_same(void **state)
{
	struct scene *s = *state;
	json_t *export, *again;
	uint64_t version;

	fill(s);
	version = s->version;
	export = config_export(s->config);
	assert_int_equal(import(s, export, true), 0);
	assert_int_equal(s->result.outcome, CONFIG_SAME);
	assert_int_equal(s->version, version);
	json_decref(s->config); /* and on an empty machine */
	s->config = NULL;
	assert_int_equal(import(s, export, false), 0);
	assert_int_equal(json_array_size(s->result.diff), 7);
	assert_int_equal(s->version, version + 1);
	again = config_export(s->config);
	assert_true(json_equal(export, again));
	assert_true(json_object_size(scene_member(s, CONFIG_TARGET, T1, NULL, "relative_port_ids")) == 1);
	json_decref(again);
	json_decref(export);
}

static void an_import_with_prune_removes_what_is_not_named(void **state)
{
	struct scene *s = *state;
	json_t *body = scene_json("{'format':1,'luns':{'b':{'size_bytes':2097152},'c':{'size_bytes':1048576}}}");

	fill(s);
	assert_int_equal(import(s, body, false), 0);
	assert_int_equal(json_array_size(s->result.diff), 2);
	assert_non_null(scene_member(s, CONFIG_LUN, "a", NULL, "id"));
	assert_int_equal(import(s, body, true), 0);
	assert_int_equal(json_array_size(s->result.diff), 5); /* target, lun a, group, portal, store */
	assert_null(scene_member(s, CONFIG_LUN, "a", NULL, "id"));
	assert_null(scene_member(s, CONFIG_TARGET, T1, NULL, "alias"));
	json_decref(body);
}

static void a_wrong_import_changes_nothing_and_points_at_the_fault(void **state)
{
	static const struct { const char *body, *pointer; } rows[] = {
		{ "[]", "" }, { "{}", "/format" }, { "{'format':2}", "/format" }, { "{'format':1,'x':{}}", "/x" },
		{ "{'format':1,'luns':[]}", "/luns" }, { "{'format':1,'luns':{'z':{}}}", "/luns/z/size_bytes" },
		{ "{'format':1,'luns':{'y':{'size_bytes':1048576},'z':{'size_bytes':1048577}}}", "/luns/z/size_bytes" },
		{ "{'format':1,'luns':{'Z':{'size_bytes':1048576}}}", "/luns/Z" },
		{ "{'format':1,'targets':{'" T2 "':{'luns':{'0':{'lun':'none'}}}}}", "/targets/" T2 "/luns/0/lun" },
		{ "{'format':1,'settings':{'login_timeout_s':0}}", "/settings/login_timeout_s" },
	};
	struct scene *s = *state;
	uint64_t version;

	fill(s);
	version = s->version;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		json_t *body = scene_json(rows[i].body);

		assert_int_equal(import(s, body, false), 422);
		assert_string_equal(s->problem.pointer, rows[i].pointer);
		json_decref(body);
	}
	assert_int_equal(s->version, version);
}

static void an_imported_identity_must_be_new(void **state)
{
	struct scene *s = *state;
	json_t *export, *lun;

	fill(s);
	export = config_export(s->config);
	lun = json_deep_copy(json_object_get(json_object_get(export, "luns"), "b"));
	json_object_set_new(json_object_get(export, "luns"), "copy", lun);
	assert_int_equal(import(s, export, false), 422);
	assert_string_equal(s->problem.pointer, "/luns/copy/id");
	json_decref(export);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_secret_is_in_secrets_and_nowhere_else),
		T(a_secret_changes_by_a_new_reference),
		T(removing_a_target_removes_its_secrets),
		T(the_two_directions_never_share_a_secret),
		T(old_entries_that_nobody_refers_to_are_swept),
		T(a_mask_covers_every_secret),
		T(an_export_imports_to_the_same),
		T(an_import_with_prune_removes_what_is_not_named),
		T(a_wrong_import_changes_nothing_and_points_at_the_fault),
		T(an_imported_identity_must_be_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
