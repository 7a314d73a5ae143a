/*
 * Any JSON as the body of a configuration change: refused with a problem, or a configuration that shows, exports and serves.
 * The first two bytes choose kind and operation.
 */
#include <stdlib.h>
#include <string.h>

#include "cluster/config.h"
#include "cluster/placement.h"
#include "cluster/secrets.h"
#include "cluster/serve.h"

#define T1 "iqn.2026-11.io.lunette:t1"
#define H1 "iqn.1994-05.com.example:h1"

static const char seed[] = "{\"format\":1,\"luns\":{\"vol1\":{\"size_bytes\":1048576},\"vol2\":{\"size_bytes\":1048576}},"
			   "\"initiator_groups\":{\"esx\":{}},\"portals\":{\"p\":{\"address\":\"10.0.0.1:3260\"}},"
			   "\"stores\":{\"s\":{\"kind\":\"memory\"}},\"targets\":{\"" T1 "\":{\"portals\":[\"default\",\"p\"],"
			   "\"luns\":{\"0\":{\"lun\":\"vol1\"}},\"groups\":{\"esx\":{}},\"initiators\":{\"" H1 "\":{}},"
			   "\"auth\":{\"chap\":{\"user\":\"u\",\"secret\":\"twelve chars\"}}}}}";

static const struct config_ref refs[] = {
	{ CONFIG_LUN, "vol1", NULL }, { CONFIG_LUN, "new", NULL }, { CONFIG_TARGET, T1, NULL },
	{ CONFIG_TARGET, "iqn.2026-11.io.lunette:t2", NULL }, { CONFIG_GROUP, "esx", NULL }, { CONFIG_PORTAL, "p", NULL },
	{ CONFIG_STORE, "s", NULL }, { CONFIG_SETTINGS, NULL, NULL }, { CONFIG_MAPPING, T1, "0" }, { CONFIG_MAPPING, T1, "7" },
	{ CONFIG_INITIATOR, T1, H1 }, { CONFIG_GRANT, T1, "esx" },
};

static void no_random(void *arg, void *bytes, size_t len)
{
	static unsigned state;

	(void)arg;
	for (size_t i = 0; i < len; i++)
		((unsigned char *)bytes)[i] = (unsigned char)((state = state * 1103515245 + 12345) >> 16);
}

static void must(int condition)
{
	if (!condition)
		abort();
}

static void use(const json_t *config, const json_t *secrets)
{
	json_t *placement = placement_compute(config, 3, NULL);
	struct serve_input in = { .config = config, .secrets = secrets, .placement = placement, .state_dir = "/state" };
	json_t *export = config_export(config), *served = serve_document(&in, NULL);

	must(placement && export && served);
	json_decref(placement);
	json_decref(export);
	json_decref(served);
}

static void change(const json_t *config, json_t *secrets, const struct config_request *rq)
{
	struct config_env env = { 1790000000000, 2, no_random, NULL };
	struct config_result result, again;
	struct problem problem;

	if (config_change(config, secrets, rq, &env, &result, &problem) < 0) {
		must(problem.status >= 400 && problem.code[0] && problem.detail[0]);
		return;
	}
	must(secrets_edit(&secrets, result.secrets_add, result.secrets_drop) >= 0);
	use(result.config, secrets);
	if (rq->op != CONFIG_DELETE) { /* the same once more changes nothing */
		must(config_change(result.config, secrets, rq, &env, &again, &problem) == 0);
		must(again.outcome == CONFIG_SAME);
		config_result_fini(&again);
	}
	config_result_fini(&result);
}

static json_t *initial(json_t **ret_secrets)
{
	struct config_env env = { 1790000000000, 1, no_random, NULL };
	json_t *body = json_loads(seed, 0, NULL), *config;
	struct config_request rq = { .op = CONFIG_IMPORT, .body = body };
	struct config_result result;
	struct problem problem;

	must(config_change(NULL, NULL, &rq, &env, &result, &problem) == 0);
	must(secrets_edit(ret_secrets, result.secrets_add, NULL) >= 0);
	config = json_incref(result.config);
	config_result_fini(&result);
	json_decref(body);
	return config;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static json_t *config, *first_secrets;
	struct config_request rq = { .precondition.optional = true };
	json_t *body, *secrets;

	if (!config)
		config = initial(&first_secrets);
	if (len < 2)
		return 0;
	rq.ref = refs[bytes[0] % (sizeof refs / sizeof refs[0])];
	rq.op = (enum config_op)(bytes[1] % 4);
	rq.force = rq.prune = bytes[1] & 4;
	body = json_loadb((const char *)bytes + 2, len - 2, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (!body && rq.op != CONFIG_DELETE)
		return 0;
	rq.body = body;
	secrets = json_deep_copy(first_secrets);
	change(config, secrets, &rq);
	json_decref(secrets);
	json_decref(body);
	return 0;
}
