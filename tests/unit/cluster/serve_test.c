/* The serve document, as docs/serve-document.md describes it. */
#include "clock.h"
#include "cluster/placement.h"
#include "cluster/serve.h"
#include "tests/unit/cluster/config_scene.h"

static json_t *at(const json_t *value, const char *path)
{
	char name[256];

	while (*path) {
		size_t len = strcspn(path, "/");

		snprintf(name, sizeof name, "%.*s", (int)len, path);
		value = json_is_array(value) ? json_array_get(value, (size_t)atoi(name)) : json_object_get(value, name);
		path += len + (path[len] == '/');
	}
	return (json_t *)value;
}

/* A map for every LUN of the scene. */
static json_t *maps_of(struct scene *s)
{
	json_t *maps = json_object(), *lun;
	const char *name;

	json_object_foreach((json_t *)config_map(s->config, CONFIG_LUN, NULL), name, lun)
		json_object_set_new(maps, json_string_value(json_object_get(lun, "id")), json_pack("{s:s}", "id", name));
	return maps;
}

static json_t *serve(struct scene *s, const json_t *maps, unsigned worker, json_t **ret_missing)
{
	json_t *placement = placement_compute(s->config, 2, NULL), *made;
	struct serve_input in = { .config = s->config, .secrets = s->secrets, .maps = maps, .placement = placement,
				  .worker = worker, .generation = 7, .state_dir = "/state" };

	made = serve_document(&in, ret_missing);
	json_decref(placement);
	assert_non_null(made);
	return made;
}

static void fill(struct scene *s)
{
	PUT(s, GROUP, "esx", "{'initiators':['" H1 "']}");
	PUT(s, PORTAL, "default", "{'address':'127.0.0.1:3260'}");
	PUT(s, LUN, "a", "{'size_bytes':1048576}");
	PUT(s, LUN, "b", "{'size_bytes':1048576,'store':'memory'}");
	PUT(s, TARGET, T1, "{'luns':{'0':{'lun':'a','read_only':true}},'auth':{'chap':{'user':'u','secret':'secret of t1'}},"
			   "'groups':{'esx':{'luns':[0],'read_only':true}},'initiators':{'" H1 "':{'auth':{}}},"
			   "'redirect':{'address':'10.0.0.2:3260'},'addresses':['10.0.0.0/8']}");
	PUT(s, TARGET, T2, "{'luns':{'5':{'lun':'b'}}}");
	PUT(s, SETTINGS, NULL, "{'discovery_auth':{'chap':{'user':'d','secret':'discover this'}}}");
}

static void a_document_says_what_the_configuration_says(void **state)
{
	static const struct { const char *path, *expected; } rows[] = {
		{ "generation", "7" }, { "worker", "0" }, { "settings/login_timeout_s", "15" }, { "settings/buffer_bytes", "67108864" },
		{ "discovery_auth", "{'chap':{'user':'d','secret':'discover this'}}" },
		{ "stores/default", "{'kind':'file','params':{'path':'/state/store'}}" },
		{ "stores/memory", "{'kind':'memory','params':{}}" }, { "stores/null", "{'kind':'null','params':{}}" },
		{ "portals/default", "{'address':'127.0.0.1:3260','tag':1}" }, { "groups/esx", "{'initiators':['" H1 "']}" },
		{ "targets/" T1 "/worker", "0" }, { "targets/" T2 "/worker", "1" }, { "targets/" T1 "/enabled", "true" },
		{ "targets/" T1 "/auth", "{'chap':{'user':'u','secret':'secret of t1'}}" },
		{ "targets/" T1 "/initiators", "{'" H1 "':{'auth':{},'read_only':false}}" },
		{ "targets/" T1 "/groups", "{'esx':{'luns':[0],'read_only':true}}" },
		{ "targets/" T1 "/luns", "{'0':{'lun':'a','read_only':true}}" },
		{ "targets/" T1 "/redirect", "{'address':'10.0.0.2:3260','permanent':false}" },
		{ "targets/" T1 "/addresses", "['10.0.0.0/8']" }, { "targets/" T1 "/portals", "['default']" },
		{ "targets/" T1 "/relative_port_ids", "{'1':1}" }, { "targets/" T1 "/params/queue_depth", "128" },
		{ "luns/a/size_bytes", "1048576" }, { "luns/a/store", "'default'" }, { "luns/a/map", "{'id':'a'}" },
		{ "luns/a/physical_block_size", "4096" }, { "luns/a/thin", "true" },
	};
	struct scene *s = *state;
	json_t *maps, *made;

	fill(s);
	maps = maps_of(s);
	made = serve(s, maps, 0, NULL);
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		json_t *expected = scene_json(rows[i].expected);

		if (!json_equal(at(made, rows[i].path), expected))
			fail_msg("%s: %s", rows[i].path, json_dumps(at(made, rows[i].path), JSON_ENCODE_ANY));
		json_decref(expected);
	}
	assert_null(at(made, "luns/b")); /* of worker 1 */
	assert_null(at(made, "targets/" T1 "/revision"));
	json_decref(made);
	made = serve(s, maps, 1, NULL);
	assert_null(at(made, "luns/a"));
	assert_non_null(at(made, "luns/b"));
	json_decref(made);
	json_decref(maps);
}

static void a_lun_without_map_is_named_and_left_out(void **state)
{
	struct scene *s = *state;
	json_t *missing, *made;

	fill(s);
	made = serve(s, NULL, 0, &missing);
	assert_int_equal(json_object_size(at(made, "luns")), 0);
	assert_int_equal(json_array_size(missing), 1);
	assert_string_equal(json_string_value(at(missing, "0")), "a");
	json_decref(missing);
	json_decref(made);
}

static void a_lost_secret_closes_the_door(void **state)
{
	struct scene *s = *state;
	json_t *made;

	fill(s);
	json_decref(s->secrets);
	s->secrets = NULL;
	made = serve(s, NULL, 0, NULL);
	assert_int_equal(json_string_length(at(made, "targets/" T1 "/auth/chap/secret")), 64);
	json_decref(made);
}

static void a_portal_with_port_0_is_served_by_its_bound_address(void **state)
{
	struct scene *s = *state;
	json_t *bound = json_pack("{s:s}", "p", "127.0.0.1:4711"), *made;
	struct serve_input in = { .bound = bound, .state_dir = "/state" };

	PUT(s, PORTAL, "p", "{'address':'127.0.0.1:0'}");
	PUT(s, PORTAL, "q", "{'address':'127.0.0.1:0'}");
	in.config = s->config;
	made = serve_document(&in, NULL);
	assert_string_equal(json_string_value(at(made, "portals/p/address")), "127.0.0.1:4711");
	assert_null(at(made, "portals/q"));
	json_decref(made);
	json_decref(bound);
}

static void an_empty_configuration_makes_a_whole_document(void **state)
{
	struct scene *s = *state;
	json_t *made = serve(s, NULL, 0, NULL);

	assert_int_equal(json_object_size(made), 9);
	assert_int_equal(json_object_size(at(made, "settings")), 7);
	json_decref(made);
}

static void four_thousand_luns_are_served(void **state)
{
	struct scene *s = *state;
	json_t *body = json_pack("{s:i, s:{}, s:{}}", "format", 1, "luns", "targets"), *maps, *made;
	struct config_request rq = { .op = CONFIG_IMPORT, .body = body };
	uint64_t start;

	for (unsigned i = 0; i < 4096; i++) {
		char lun[32], target[64];

		snprintf(lun, sizeof lun, "vol%u", i);
		snprintf(target, sizeof target, T1 "%u", i / 8);
		json_object_set_new(at(body, "luns"), lun, json_pack("{s:i}", "size_bytes", 1 << 20));
		if (i % 8 == 0)
			json_object_set_new(at(body, "targets"), target, json_pack("{s:{}}", "luns"));
		snprintf(target, sizeof target, "targets/" T1 "%u/luns", i / 8);
		json_object_set_new(at(body, target), (char[2]){ (char)('0' + i % 8), 0 }, json_pack("{s:s}", "lun", lun));
	}
	start = clock_now_ns();
	assert_int_equal(scene_apply(s, &rq), 0);
	print_message("import of 4096 LUNs: %u ms\n", (unsigned)((clock_now_ns() - start) / NS_PER_MS));
	maps = maps_of(s);
	start = clock_now_ns();
	made = serve(s, maps, 0, NULL);
	print_message("placement and serve document: %u us\n", (unsigned)((clock_now_ns() - start) / 1000));
	assert_int_equal(json_object_size(at(made, "luns")), 2048);
	assert_int_equal(json_object_size(at(made, "targets")), 512);
	start = clock_now_ns();
	assert_int_equal(PUT(s, TARGET, T1 "7", "{'alias':'x'}"), 0);
	print_message("one change: %u us with two checks of the whole\n", (unsigned)((clock_now_ns() - start) / 1000));
	json_decref(made);
	json_decref(maps);
	json_decref(body);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_document_says_what_the_configuration_says),
		T(a_lun_without_map_is_named_and_left_out),
		T(a_lost_secret_closes_the_door),
		T(a_portal_with_port_0_is_served_by_its_bound_address),
		T(an_empty_configuration_makes_a_whole_document),
		T(four_thousand_luns_are_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
