/* A configuration under test: one content, changed by requests written as JSON with single quotes. */
#ifndef LUNETTE_TEST_CONFIG_SCENE_H
#define LUNETTE_TEST_CONFIG_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/config.h"
#include "cluster/secrets.h"

#define T1 "iqn.2026-11.io.lunette:t1"
#define T2 "iqn.2026-11.io.lunette:t2"
#define H1 "iqn.1994-05.com.example:h1"

struct scene {
	json_t *config, *secrets;
	uint64_t version;
	unsigned seed;
	struct config_result result; /* of the last change */
	struct problem problem;
};

static inline void scene_random(void *arg, void *bytes, size_t len)
{
	struct scene *s = arg;

	for (size_t i = 0; i < len; i++)
		((unsigned char *)bytes)[i] = (unsigned char)((s->seed = s->seed * 1103515245 + 12345) >> 16);
}

static inline json_t *scene_json(const char *text)
{
	char *copy = strdup(text);
	json_error_t error;
	json_t *value;

	for (char *at = copy; *at; at++) {
		if (*at == '\'')
			*at = '"';
	}
	value = json_loads(copy, JSON_DECODE_ANY, &error);
	if (!value)
		fail_msg("%s in %s", error.text, text);
	free(copy);
	return value;
}

/* 0 or the status of the problem; a change is taken over. */
static inline int scene_apply(struct scene *s, const struct config_request *rq)
{
	struct config_env env = { 1790000000000, s->version + 1, scene_random, s };
	json_t *before = json_deep_copy(s->config);

	config_result_fini(&s->result);
	if (config_change(s->config, s->secrets, rq, &env, &s->result, &s->problem) < 0) {
		assert_true(s->problem.status >= 400);
		assert_true(s->problem.code[0] && s->problem.detail[0]);
	}
	assert_true(s->config == before || json_equal(s->config, before)); /* the input is never changed */
	json_decref(before);
	if (s->problem.status)
		return s->problem.status;
	if (s->result.outcome != CONFIG_SAME) {
		json_decref(s->config);
		s->config = json_incref(s->result.config);
		s->version++;
		assert_true(secrets_edit(&s->secrets, s->result.secrets_add, s->result.secrets_drop) >= 0);
	}
	return 0;
}

static inline int scene_change(struct scene *s, enum config_op op, enum config_kind kind, const char *name, const char *sub,
			       const char *body)
{
	json_t *json = body ? scene_json(body) : NULL;
	struct config_request rq = { .op = op, .ref = { kind, name, sub }, .body = json, .precondition.optional = true };
	int status = scene_apply(s, &rq);

	json_decref(json);
	return status;
}

#define PUT(s, kind, name, body)           scene_change(s, CONFIG_PUT, CONFIG_##kind, name, NULL, body)
#define PUT_BELOW(s, kind, name, sub, body) scene_change(s, CONFIG_PUT, CONFIG_##kind, name, sub, body)
#define PATCH(s, kind, name, body)         scene_change(s, CONFIG_PATCH, CONFIG_##kind, name, NULL, body)
#define DELETE(s, kind, name)              scene_change(s, CONFIG_DELETE, CONFIG_##kind, name, NULL, NULL)

static inline json_t *scene_member(struct scene *s, enum config_kind kind, const char *name, const char *sub,
				   const char *member)
{
	return json_object_get(config_find(s->config, &(struct config_ref){ kind, name, sub }), member);
}

static inline int scene_setup(void **state)
{
	*state = calloc(1, sizeof(struct scene));
	return 0;
}

static inline int scene_teardown(void **state)
{
	struct scene *s = *state;

	config_result_fini(&s->result);
	json_decref(s->config);
	json_decref(s->secrets);
	free(s);
	return 0;
}

#endif
