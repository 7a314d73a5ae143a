/*
 * A control service in which the nth allocation, the nth change of a file, or the nth message to a worker fails, for every n,
 * while a LUN is created, mapped, grown, unmapped and deleted, and a secret is set. Each run: every request is answered, an
 * error says what it is, what was answered 2xx is so, nothing is half (the document on disk, what control shows, the map and
 * the objects agree), the worker is told in the end, and then the same works.
 */
#include "tests/unit/nth.h"

#include "tests/fuzz/inline_offload.h"

#include "tests/unit/api/fixture.h"

#include "api/lun_objects.h"
#include "cluster/commit.h"
#include "dataplane/lun/lun.h"

#define T      "iqn.2026-11.io.lunette:t1"
#define CHAP   "{\"chap\":{\"user\":\"u\",\"secret\":\"twelve chars\"}}"
#define TURNS  400 /* of the loop, until the worker has what is configured */
#define RUNS_A_STATE 100 /* each LUN that was leaves the number of its map's last version: a new state directory now and then */

static struct fixture *fixture;

struct said {
	bool answered;
	int status;
	char code[64], text[256];
};

/* The worker's own work never fails. */
static void quiet_ready(struct loop_watch *watch)
{
	bool armed = nth.armed;

	nth.armed = false;
	fake_ready(watch);
	nth.armed = armed;
}

static int setup(void **state)
{
	nth_watch_json();
	fixture_setup(state);
	fixture = *state;
	fixture->worker.watch.ready = quiet_ready;
	return 0;
}

/* As admin. The connection is closed when there is no memory for the request itself: that is an answer, too. */
static struct said say(const char *method, const char *path, const char *body)
{
	struct request *rq = request_new(&fixture->service, "127.0.0.1");
	struct request_headers headers = { .if_match = "*" };
	struct said said = { .answered = !rq };
	char authorization[128], target[256];

	if (!rq)
		return said;
	snprintf(authorization, sizeof authorization, "Bearer %s", fixture->admin);
	snprintf(target, sizeof target, "/api/v1%s", path);
	headers.authorization = authorization;
	if (strcmp(method, "PUT") == 0)
		headers.if_match = NULL;
	if (request_begin(rq, method, target, &headers) && (!body || request_body(rq, body, strlen(body))))
		request_run(rq);
	for (int i = 0; i < TURNS && !request_answered(rq); i++)
		loop_turn(&fixture->service.loop, 10);
	said.answered = request_answered(rq);
	said.status = rq->answer.status;
	if (rq->answer.body) {
		snprintf(said.text, sizeof said.text, "%s", rq->answer.body);
		sscanf(rq->answer.body, "%*[^\"]\"code\":\"%63[^\"]", said.code);
	}
	request_free(rq);
	return said;
}

static bool good(const struct said *said)
{
	return said->status >= 200 && said->status < 300;
}

/* A request of the scenario while something fails, and then what it says: compared with what is. */
static bool try(const char *method, const char *path, const char *body)
{
	struct said said, shown;

	nth_arm();
	said = say(method, path, body);
	nth_disarm();
	if (!said.answered)
		fail_msg("run %ld: %s %s is not answered", nth.run, method, path);
	if (!good(&said))
		return false;
	shown = say("GET", path, NULL);
	if (strcmp(method, "DELETE") == 0)
		assert_int_equal(shown.status, 404);
	else if (shown.status != 200)
		fail_msg("run %ld: %s %s said %d, but now it is %d", nth.run, method, path, said.status, shown.status);
	return true;
}

/* --- what must agree --- */

static json_t *on_disk(const char *name)
{
	json_t *content = NULL;
	uint64_t version;

	assert_int_equal(docstore_load(fixture->service.docs, name, &content, &version, NULL), 0);
	return content;
}

/* A LUN has a map that covers it, and the map's objects are there. */
static void check_lun(const char *name, const json_t *lun)
{
	struct store *store = store_open("file", NULL, fixture->state_dir, NULL);
	json_t *map, *object;
	char document[80];
	size_t i;

	snprintf(document, sizeof document, "map/%s", json_string_value(json_object_get(lun, "id")));
	map = on_disk(document);
	assert_non_null(store);
	if (!map || !lun_map_valid(map, NULL))
		fail_msg("run %ld: LUN %s has no map", nth.run, name);
	json_array_foreach(json_object_get(map, "objects"), i, object) {
		const char *id = json_string_value(json_object_get(object, "id"));
		uint64_t bytes;

		if (store_object_allocated(store, id, &bytes) < 0)
			fail_msg("run %ld: object %zu of LUN %s is not there", nth.run, i, name);
	}
	assert_true((json_int_t)i * 1048576 >= json_integer_value(json_object_get(lun, "size_bytes")));
	store_close(store);
	json_decref(map);
}

static size_t members(const json_t *document, const char *what)
{
	return json_object_size(json_object_get(document, what));
}

/* Whether the worker was told what is configured. */
static bool told(const json_t *config)
{
	const json_t *document = fixture->worker.document, *mapping;
	const char *name;
	json_t *lun;

	if (!document || members(document, "targets") != members(config, "targets"))
		return false;
	mapping = json_object_get(json_object_get(json_object_get(document, "targets"), T), "luns");
	if (json_object_size(mapping) !=
	    members(json_object_get(json_object_get(config, "targets"), T), "luns"))
		return false;
	json_object_foreach(json_object_get(document, "luns"), name, lun) {
		const json_t *configured = json_object_get(json_object_get(config, "luns"), name);

		if (!configured || json_integer_value(json_object_get(lun, "size_bytes")) !=
					   json_integer_value(json_object_get(configured, "size_bytes")))
			return false;
	}
	return json_object_size(mapping) == members(document, "luns");
}

static void check_all(void)
{
	json_t *config = on_disk(CONFIG_DOCUMENT), *lun;
	const char *name;

	json_object_foreach(json_object_get(config, "luns"), name, lun)
		check_lun(name, lun);
	for (int i = 0; i < TURNS && !(json_equal(config, fixture->service.config) && told(config)); i++)
		loop_turn(&fixture->service.loop, 10);
	if (config && !json_equal(config, fixture->service.config))
		fail_msg("run %ld: control shows another configuration than there is on disk", nth.run);
	if (!told(config))
		fail_msg("run %ld: the worker was not told: %s", nth.run, json_dumps(fixture->worker.document, 0));
	json_decref(config);
}

/* --- the scenario --- */

static const struct step {
	const char *method, *path, *body;
} steps[] = {
	{ "PUT", "/luns/vol1", "{\"size_bytes\":1048576,\"target_object_size_bytes\":1048576}" },
	{ "PUT", "/targets/" T, "{\"auth\":" CHAP "}" },
	{ "PUT", "/targets/" T "/luns/0", "{\"lun\":\"vol1\"}" },
	{ "PATCH", "/luns/vol1", "{\"size_bytes\":3145728}" },
	{ "DELETE", "/targets/" T "/luns/0", NULL },
	{ "DELETE", "/targets/" T, NULL },
	{ "DELETE", "/luns/vol1", NULL },
};

#define STEPS (sizeof steps / sizeof *steps)

/* Without failures: what went well already is done again, which changes nothing, or was not there. */
static void repeat(size_t step)
{
	struct said said = say(steps[step].method, steps[step].path, steps[step].body);

	if (!good(&said) && !(said.status == 404 && strcmp(steps[step].method, "DELETE") == 0))
		fail_msg("run %ld: %s %s again: %d %s", nth.run, steps[step].method, steps[step].path, said.status, said.text);
}

static void scenario(void)
{
	for (size_t i = 0; i < STEPS; i++) {
		bool done = try(steps[i].method, steps[i].path, steps[i].body);

		check_all();
		if (!done || nth.failed)
			repeat(i);
	}
	check_all();
}

static void nothing_is_left(void)
{
	json_t *names;

	assert_true(lun_objects_reap(fixture->service.docs, fixture->state_dir, 0, NULL) >= 0);
	assert_int_equal(docstore_list(fixture->service.docs, "map/", &names, NULL), 0);
	if (json_array_size(names))
		fail_msg("run %ld: a map is left", nth.run);
	json_decref(names);
}

static void each_time(void **state, unsigned classes, int error, long stride)
{
	nth_start(classes, error, 1);
	nth_every(stride);
	for (long runs = 1; nth_next(); runs++) {
		if (runs % RUNS_A_STATE == 0) {
			fixture_teardown(state);
			setup(state);
		}
		scenario();
		nothing_is_left();
	}
	assert_true(nth.run > 3);
}

static void allocations_of_a_change_fail(void **state)
{
	each_time(state, NTH_MEMORY, ENOMEM, 61);
}

static void files_of_a_change_cannot_be_written(void **state)
{
	static const int errors[] = { ENOSPC, EIO, EROFS };

	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		each_time(state, NTH_FILE, errors[i], 17);
}

static void messages_to_the_worker_do_not_go_out(void **state)
{
	each_time(state, NTH_MESSAGE, ENOBUFS, 1);
	each_time(state, NTH_MESSAGE, EAGAIN, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(messages_to_the_worker_do_not_go_out, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(files_of_a_change_cannot_be_written, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(allocations_of_a_change_fail, setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
