/* The nth allocation fails, for every n until nothing fails: no crash, no leak, the right error. */
#include "login_client.h"

#include <errno.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

static bool counting;
static long until_failure; /* allocations that still succeed */
static long live;

#ifndef SANITIZED /* there the sanitizer owns malloc, and nothing fails */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void __libc_free(void *memory);

static bool fails(void)
{
	return counting && until_failure-- == 0;
}

void *malloc(size_t size)
{
	if (fails())
		return NULL;
	live += counting;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	if (fails())
		return NULL;
	live += counting;
	return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	if (fails())
		return NULL;
	live += counting && !old;
	return __libc_realloc(old, size);
}

void free(void *memory)
{
	live -= counting && memory;
	__libc_free(memory);
}
#endif

static const char serve_text[] =
	"{\"portals\":{\"default\":{\"address\":\"127.0.0.1:3260\"}},\"groups\":{\"g\":{\"initiators\":[\"iqn.2000-01.x\"]}},"
	"\"discovery_auth\":{},\"targets\":{\"" TARGET "\":{\"addresses\":[\"127.0.0.1\"],\"relative_port_ids\":{\"1\":1},"
	"\"auth\":{\"chap\":{\"user\":\"u\",\"secret\":\"s\"}},"
	"\"initiators\":{\"" INITIATOR "\":{\"luns\":[0],\"auth\":{}}},\"groups\":{\"g\":{\"luns\":[0]}},\"luns\":{\"0\":{\"lun\":\"v\"}}}}}";

/* Each returns true when no allocation failed in it. */
static bool make_config(const json_t *serve)
{
	struct err err = { 0 };
	struct iscsi_config *config = iscsi_config_new(serve, &err);

	if (!config)
		assert_int_equal(err.code, -ENOMEM);
	iscsi_config_unref(config);
	return config != NULL;
}

static bool log_in(struct iscsi_config *config)
{
	static const char text[] = "InitiatorName=" INITIATOR "\0TargetName=" TARGET "\0X-unknown=1\0MaxBurstLength=512";
	struct iscsi_peer peer = peer_of(config, "127.0.0.1", "127.0.0.1");
	struct iscsi_login *login = iscsi_login_new(config, 0, &peer);
	struct iscsi_login_response response;
	uint8_t bhs[ISCSI_BHS_BYTES] = { 0x43, 0x87 };
	enum iscsi_login_next next;

	if (!login)
		return false;
	put_be24(bhs + 5, sizeof text);
	next = iscsi_login_step(login, bhs, (const uint8_t *)text, &response);
	if (next == ISCSI_LOGIN_FAILED)
		assert_int_equal(get_be16(response.bhs + 36), ISCSI_LOGIN_OUT_OF_RESOURCES);
	iscsi_login_free(login);
	return next == ISCSI_LOGIN_DONE;
}

static bool send_targets(const struct iscsi_config *config)
{
	struct iscsi_login_facts facts = { .initiator_name = INITIATOR, .discovery = true };
	struct iscsi_peer peer = peer_of(config, "127.0.0.1", "127.0.0.1");
	struct iscsi_params params = { 0 };
	uint8_t reject;
	size_t len;
	char *answer = iscsi_text_answer(config, &facts, &peer, "SendTargets=All", 16, &params, &len, &reject);

	assert_int_equal(reject, 0);
	free(answer);
	return answer != NULL;
}

static void allocation_failures_are_survived(void **state)
{
	json_t *serve = json_loads(serve_text, 0, NULL);
	struct iscsi_config *config = iscsi_config_new(serve, NULL);
	bool done[3] = { false };
	long n;

	(void)state;
	assert_non_null(config);
	for (n = 0; !(done[0] && done[1] && done[2]); n++) {
		for (unsigned i = 0; i < 3; i++) {
			live = 0;
			until_failure = n;
			counting = true;
			done[i] = i == 0 ? make_config(serve) : i == 1 ? log_in(config) : send_targets(config);
			counting = false;
			assert_int_equal(live, 0);
		}
	}
#ifdef SANITIZED
	assert_int_equal(n, 1);
#else
	assert_true(n > 10);
#endif
	iscsi_config_unref(config);
	json_decref(serve);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocation_failures_are_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
