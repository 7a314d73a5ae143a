/* LUNs with their objects, over a real document store and a real file store (LU-1, LU-4, LU-6, LU-7). */
#include "api/lun_objects.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/secrets.h"
#include "dataplane/store/store.h"
#include "tests/unit/cluster/scratch.h"

#define T1     "iqn.2026-11.io.lunette:t1"
#define THREADS 6

struct scene {
	char state[128];
	struct docstore *documents;
	struct config_result result;
	struct problem problem;
	struct err err;
	uint64_t version;
};

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof *s);
	char path[256];

	scratch_make(s->state, sizeof s->state);
	snprintf(path, sizeof path, "%s/documents", s->state);
	s->documents = docstore_open(path, "control", NULL);
	assert_non_null(s->documents);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	config_result_fini(&s->result);
	docstore_close(s->documents);
	scratch_remove(s->state);
	free(s);
	return 0;
}

static int run(struct scene *s, enum config_op op, enum config_kind kind, const char *name, json_t *body, bool dry_run)
{
	struct config_request rq = { .op = op, .ref = { kind, name, NULL }, .body = body, .precondition.optional = true,
				     .force = true };
	int rc;

	config_result_fini(&s->result);
	memset(&s->problem, 0, sizeof s->problem);
	memset(&s->err, 0, sizeof s->err);
	rc = lun_objects_commit(s->documents, s->state, &rq, dry_run, &s->result, &s->version, &s->problem, &s->err);
	json_decref(body);
	return rc;
}

/* 1 MiB objects. */
static int put_lun(struct scene *s, const char *name, const char *store, int size_mib)
{
	return run(s, CONFIG_PUT, CONFIG_LUN, name,
		   json_pack("{s:I, s:s, s:i}", "size_bytes", (json_int_t)size_mib << 20, "store", store,
			     "target_object_size_bytes", 1 << 20), false);
}

static unsigned objects(const struct scene *s)
{
	char path[256];
	unsigned count = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof path, "%s/store", s->state);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

static unsigned documents(struct scene *s, const char *prefix)
{
	json_t *names;
	unsigned count;

	assert_int_equal(docstore_list(s->documents, prefix, &names, NULL), 0);
	count = (unsigned)json_array_size(names);
	json_decref(names);
	return count;
}

static json_t *load(struct scene *s, const char *name, uint64_t *ret_version)
{
	json_t *content;
	uint64_t version;

	assert_int_equal(docstore_load(s->documents, name, &content, ret_version ? ret_version : &version, NULL), 0);
	return content;
}

static const char *lun_id(struct scene *s)
{
	return json_string_value(json_object_get(s->result.after, "id"));
}

static void map_name(struct scene *s, char ret_name[80])
{
	snprintf(ret_name, 80, "map/%s", lun_id(s));
}

static void a_new_lun_has_its_objects_and_its_map(void **state)
{
	struct scene *s = *state;
	char name[80];
	json_t *map;

	assert_int_equal(put_lun(s, "vol1", "default", 5), 0);
	assert_int_equal(s->result.outcome, CONFIG_CREATED);
	assert_int_equal(objects(s), 5);
	map_name(s, name);
	map = load(s, name, NULL);
	assert_int_equal(json_array_size(json_object_get(map, "objects")), 5);
	json_decref(map);
	assert_int_equal(put_lun(s, "vol1", "default", 5), 0);
	assert_int_equal(s->result.outcome, CONFIG_SAME);
	assert_int_equal(put_lun(s, "mem", "memory", 5), 0);
	assert_int_equal(put_lun(s, "null", "null", 5), 0);
	assert_int_equal(documents(s, "map/"), 3);
}

static void a_dry_run_makes_nothing(void **state)
{
	struct scene *s = *state;

	assert_int_equal(run(s, CONFIG_PUT, CONFIG_LUN, "vol1", json_pack("{s:i}", "size_bytes", 1 << 20), true), 0);
	assert_int_equal(s->result.outcome, CONFIG_CREATED);
	assert_int_equal(objects(s), 0);
	assert_int_equal(documents(s, ""), 0);
}

static void a_refused_change_makes_nothing(void **state)
{
	struct scene *s = *state;

	assert_int_equal(run(s, CONFIG_PUT, CONFIG_LUN, "vol1", json_pack("{s:i}", "size_bytes", 7), false), 1);
	assert_int_equal(s->problem.status, 422);
	assert_int_equal(documents(s, ""), 0);
}

/* A store named "faulty" over STATE/store that fails as `rules` say each time it is opened. */
static void make_faulty_store(struct scene *s, const char *op, int nth)
{
	char path[256];

	snprintf(path, sizeof path, "%s/store", s->state);
	assert_int_equal(run(s, CONFIG_PUT, CONFIG_STORE, "faulty",
			     json_pack("{s:s, s:{s:{s:s, s:{s:s}}, s:[{s:s, s:i, s:s}]}}", "kind", "fault", "params", "inner", "kind",
				       "file", "params", "path", path, "rules", "op", op, "nth", nth, "error", "ENOSPC"), false), 0);
}

static void lu_4_a_create_that_fails_at_object_k_leaves_none(void **state)
{
	struct scene *s = *state;

	for (int nth = 1; nth <= 4; nth++) {
		make_faulty_store(s, "create", nth);
		assert_int_equal(put_lun(s, "vol1", "faulty", 4), -ENOSPC);
		assert_non_null(strstr(s->err.text, "vol1"));
		assert_int_equal(objects(s), 0);
		assert_int_equal(documents(s, "map/"), 0);
	}
	make_faulty_store(s, "create", 5);
	assert_int_equal(put_lun(s, "vol1", "faulty", 4), 0);
}

static void lu_6_a_grow_appends_objects_and_makes_the_next_generation(void **state)
{
	struct scene *s = *state;
	char name[80];
	json_t *map;

	assert_int_equal(put_lun(s, "vol1", "default", 2), 0);
	assert_int_equal(run(s, CONFIG_PATCH, CONFIG_LUN, "vol1", json_pack("{s:i}", "size_bytes", 4 << 20), false), 0);
	assert_int_equal(objects(s), 4);
	map_name(s, name);
	map = load(s, name, NULL);
	assert_int_equal(json_integer_value(json_object_get(map, "generation")), 2);
	json_decref(map);
}

static void a_grow_that_fails_leaves_the_lun_as_it_was(void **state)
{
	struct scene *s = *state;
	char name[80];
	json_t *before, *after;

	make_faulty_store(s, "create", 3);
	assert_int_equal(put_lun(s, "vol1", "faulty", 2), 0);
	map_name(s, name);
	before = load(s, name, NULL);
	assert_int_equal(run(s, CONFIG_PATCH, CONFIG_LUN, "vol1", json_pack("{s:i}", "size_bytes", 6 << 20), false), -ENOSPC);
	after = load(s, name, NULL);
	assert_true(json_equal(before, after));
	assert_int_equal(objects(s), 2);
	/* 4 MiB takes two creates: that works, on what the failure left */
	assert_int_equal(run(s, CONFIG_PATCH, CONFIG_LUN, "vol1", json_pack("{s:i}", "size_bytes", 4 << 20), false), 0);
	assert_int_equal(objects(s), 4);
	json_decref(before);
	json_decref(after);
}

static void a_removed_lun_takes_everything_with_it(void **state)
{
	struct scene *s = *state;
	char name[80];
	json_t *empty = json_object();

	assert_int_equal(put_lun(s, "vol1", "default", 3), 0);
	snprintf(name, sizeof name, "reservation/%s", lun_id(s));
	assert_int_equal(docstore_publish(s->documents, name, empty, 0, NULL, NULL), 0);
	assert_int_equal(put_lun(s, "vol2", "default", 2), 0);
	assert_int_equal(run(s, CONFIG_DELETE, CONFIG_LUN, "vol1", NULL, false), 0);
	assert_int_equal(objects(s), 2);
	assert_int_equal(documents(s, "map/"), 1);
	assert_int_equal(documents(s, "reservation/"), 0);
	json_decref(empty);
}

/* --- several at once --- */

struct thread {
	pthread_t id;
	struct scene *s;
	unsigned index, created, refused;
};

static void *create_many(void *arg)
{
	struct thread *t = arg;

	for (unsigned i = 0; i < 8; i++) {
		json_t *body = json_pack("{s:i}", "size_bytes", 1 << 20);
		struct config_request rq = { .op = CONFIG_PUT, .ref.kind = CONFIG_LUN, .body = body, .precondition.absent = true };
		struct config_result result = { 0 };
		struct problem problem = { 0 };
		struct err err;
		uint64_t version;
		char name[32];
		int rc;

		/* half of the names are wanted by everybody */
		snprintf(name, sizeof name, i % 2 ? "own%u-%u" : "common%u", i, t->index);
		rq.ref.name = name;
		rc = lun_objects_commit(t->s->documents, t->s->state, &rq, false, &result, &version, &problem, &err);
		t->created += rc == 0 && result.outcome == CONFIG_CREATED;
		t->refused += rc == 1 && problem.status == 412;
		config_result_fini(&result);
		json_decref(body);
	}
	return NULL;
}

static void b123_of_many_creates_of_one_name_exactly_one_wins(void **state)
{
	struct scene *s = *state;
	struct thread threads[THREADS];
	unsigned created = 0, refused = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){ .s = s, .index = i };
		pthread_create(&threads[i].id, NULL, create_many, &threads[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i].id, NULL);
		created += threads[i].created;
		refused += threads[i].refused;
	}
	assert_int_equal(created, 4 * THREADS + 4);
	assert_int_equal(refused, 4 * THREADS - 4);
	assert_int_equal(objects(s), created); /* the losers' objects are gone */
	assert_int_equal(documents(s, "map/"), created);
}

static void *grow_many(void *arg)
{
	struct thread *t = arg;

	for (int mib = 2; mib <= 8; mib++) {
		json_t *body = json_pack("{s:i}", "size_bytes", mib << 20);
		struct config_request rq = { .op = CONFIG_PATCH, .ref = { CONFIG_LUN, "vol1", NULL }, .body = body,
					     .precondition.any = true };
		struct config_result result = { 0 };
		struct problem problem = { 0 };
		struct err err;
		uint64_t version;
		int rc = lun_objects_commit(t->s->documents, t->s->state, &rq, false, &result, &version, &problem, &err);

		t->created += rc == 0;
		t->refused += rc == 1; /* larger already */
		config_result_fini(&result);
		json_decref(body);
	}
	return NULL;
}

static void grows_at_the_same_time_end_with_one_consistent_map(void **state)
{
	struct scene *s = *state;
	struct thread threads[3];
	char name[80];
	json_t *map;

	assert_int_equal(put_lun(s, "vol1", "default", 1), 0);
	map_name(s, name);
	for (unsigned i = 0; i < 3; i++) {
		threads[i] = (struct thread){ .s = s };
		pthread_create(&threads[i].id, NULL, grow_many, &threads[i]);
	}
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(threads[i].id, NULL);
		assert_int_equal(threads[i].created + threads[i].refused, 7);
	}
	map = load(s, name, NULL);
	assert_int_equal(json_array_size(json_object_get(map, "objects")), 8);
	assert_int_equal(objects(s), 8);
	json_decref(map);
}

/* --- reaping --- */

static void lu_7_objects_that_no_lun_has_are_reaped_by_age(void **state)
{
	struct scene *s = *state;
	struct store *store;
	json_t *map, *empty = json_object();
	char name[80];

	assert_int_equal(put_lun(s, "vol1", "default", 2), 0);
	map_name(s, name);
	map = load(s, name, NULL);
	/* what a create leaves that is killed before config is published */
	store = store_open("file", "{}", s->state, NULL);
	assert_int_equal(store_object_create(store, "orphan.0000", 1 << 20, true, NULL), 0);
	store_close(store);
	assert_int_equal(docstore_publish(s->documents, "map/orphan", map, 0, NULL, NULL), 0);
	assert_int_equal(docstore_publish(s->documents, "reservation/orphan", empty, 0, NULL, NULL), 0);
	assert_int_equal(lun_objects_reap(s->documents, s->state, 3600, &s->err), 0);
	assert_int_equal(objects(s), 3);
	assert_int_equal(lun_objects_reap(s->documents, s->state, 0, &s->err), 1);
	assert_int_equal(objects(s), 2);
	assert_int_equal(documents(s, "map/"), 1);
	assert_int_equal(documents(s, "reservation/"), 0);
	json_decref(map);
	json_decref(empty);
}

static void nothing_is_reaped_while_a_map_cannot_be_read(void **state)
{
	struct scene *s = *state;
	char name[80], path[300];

	assert_int_equal(put_lun(s, "vol1", "default", 2), 0);
	map_name(s, name);
	snprintf(path, sizeof path, "%s/documents/%s/v/1/document", s->state, name);
	fclose(fopen(path, "w"));
	assert_true(lun_objects_reap(s->documents, s->state, 0, &s->err) < 0);
	assert_int_equal(objects(s), 2);
}

static int publish_config(struct scene *s, json_int_t size)
{
	uint64_t version;
	json_t *config = load(s, CONFIG_DOCUMENT, &version);
	json_t *lun = json_object_get(json_object_get(config, "luns"), "vol1");
	int rc;

	json_object_set_new(lun, "size_bytes", json_integer(size));
	rc = docstore_publish(s->documents, CONFIG_DOCUMENT, config, version, NULL, NULL);
	json_decref(config);
	return rc;
}

static void a_grow_that_was_cut_off_is_completed(void **state)
{
	struct scene *s = *state;
	struct config_ref ref = { CONFIG_LUN, "vol1", NULL };
	json_t *config;

	assert_int_equal(put_lun(s, "vol1", "default", 4), 0);
	assert_int_equal(publish_config(s, 2 << 20), 0); /* as if the kill had come before config */
	assert_int_equal(lun_objects_reap(s->documents, s->state, 0, &s->err), 0);
	config = load(s, CONFIG_DOCUMENT, NULL);
	assert_int_equal(json_integer_value(json_object_get(config_find(config, &ref), "size_bytes")), 4 << 20);
	json_decref(config);
	assert_int_equal(objects(s), 4);
}

/* --- secrets --- */

static void replaced_secrets_leave_the_document(void **state)
{
	struct scene *s = *state;
	json_t *secrets;

	for (unsigned i = 0; i < 5; i++) {
		char secret[32];

		snprintf(secret, sizeof secret, "secret number %u", i);
		assert_int_equal(run(s, CONFIG_PUT, CONFIG_TARGET, T1,
				     json_pack("{s:{s:{s:s, s:s}}}", "auth", "chap", "user", "u", "secret", secret), false), 0);
	}
	secrets = load(s, SECRETS_DOCUMENT, NULL);
	assert_int_equal(json_object_size(json_object_get(secrets, "chap")), 1);
	json_decref(secrets);
	assert_int_equal(run(s, CONFIG_DELETE, CONFIG_TARGET, T1, NULL, false), 0);
	secrets = load(s, SECRETS_DOCUMENT, NULL);
	assert_int_equal(json_object_size(json_object_get(secrets, "chap")), 0);
	json_decref(secrets);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_new_lun_has_its_objects_and_its_map),
		T(a_dry_run_makes_nothing),
		T(a_refused_change_makes_nothing),
		T(lu_4_a_create_that_fails_at_object_k_leaves_none),
		T(lu_6_a_grow_appends_objects_and_makes_the_next_generation),
		T(a_grow_that_fails_leaves_the_lun_as_it_was),
		T(a_removed_lun_takes_everything_with_it),
		T(b123_of_many_creates_of_one_name_exactly_one_wins),
		T(grows_at_the_same_time_end_with_one_consistent_map),
		T(lu_7_objects_that_no_lun_has_are_reaped_by_age),
		T(nothing_is_reaped_while_a_map_cannot_be_read),
		T(a_grow_that_was_cut_off_is_completed),
		T(replaced_secrets_leave_the_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
