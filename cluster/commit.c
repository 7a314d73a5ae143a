#include "cluster/commit.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "cluster/secrets.h"
#include "json_text.h"
#include "log.h"

#define ATTEMPTS_MAX 256 /* publishes lost in a row */

/* Random bytes that are the same in every attempt of one call: the nth draw of each attempt gets the nth bytes. */
struct draws {
	unsigned char pool[8192];
	size_t used;
};

static void draw(void *arg, void *bytes, size_t len_bytes)
{
	struct draws *draws = arg;

	if (draws->used + len_bytes > sizeof draws->pool) {
		/* more than any single object draws: an import; it is not the same in the next attempt */
		if (getrandom(bytes, len_bytes, 0) != (ssize_t)len_bytes)
			memset(bytes, 0, len_bytes);
		return;
	}
	memcpy(bytes, draws->pool + draws->used, len_bytes);
	draws->used += len_bytes;
}

static int draws_init(struct draws *draws)
{
	size_t filled = 0;

	while (filled < sizeof draws->pool) {
		ssize_t n = getrandom(draws->pool + filled, sizeof draws->pool - filled, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		filled += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

struct commit {
	struct docstore *store;
	const struct config_request *request;
	const struct commit_hooks *hooks;
	struct draws draws;
	bool prepared;        /* something to abandon */
	json_t *added;        /* secrets that are in the document already */
};

struct secrets_change {
	const json_t *add, *drop;
};

static int change_secrets(json_t **content, uint64_t version, void *arg, struct err *err)
{
	const struct secrets_change *change = arg;
	int rc = secrets_edit(content, change->add, change->drop);

	(void)version;
	return rc < 0 ? err_set(err, rc, "out of memory") : rc;
}

/* Secrets first: config never names one that is not there. */
static int add_secrets(struct commit *commit, const struct config_result *result, struct err *err)
{
	struct secrets_change change = { result->secrets_add, NULL };
	int rc;

	if (!result->secrets_add)
		return 0;
	rc = docstore_update(commit->store, SECRETS_DOCUMENT, change_secrets, &change, NULL, err);
	if (rc < 0)
		return rc;
	if (!commit->added)
		commit->added = json_object();
	return json_object_update(commit->added, result->secrets_add) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* Old secrets go last, with those of attempts that were lost. kept: what config refers to now, NULL when nothing was
 * published. Trouble leaves orphans that the sweep finds. */
static void drop_secrets(struct commit *commit, const json_t *dropped, const json_t *kept)
{
	json_t *drop = dropped ? json_copy((json_t *)dropped) : json_array(), *entry;
	struct secrets_change change = { NULL, drop };
	const char *reference;
	struct err err;

	json_object_foreach(commit->added, reference, entry) {
		if (!json_object_get(kept, reference))
			json_array_append_new(drop, json_string(reference));
	}
	if (json_array_size(drop) &&
	    docstore_update(commit->store, SECRETS_DOCUMENT, change_secrets, &change, NULL, &err) < 0)
		log_warning("old CHAP secrets stay for a while why=%s", log_quoted(err.text));
	json_decref(drop);
}

/* Everything up to the publishing of one attempt. 0; 1: refused; negative errno. */
static int attempt(struct commit *commit, bool dry_run, const json_t *config, uint64_t version,
		   struct config_result *result, uint64_t *ret_version, struct problem *problem, struct err *err)
{
	struct config_env env;
	json_t *secrets;
	uint64_t secrets_version;
	int rc = docstore_load(commit->store, SECRETS_DOCUMENT, &secrets, &secrets_version, err);

	if (rc < 0)
		return rc;
	config_env_init(&env);
	env.version = version + 1;
	env.random = draw;
	env.random_arg = &commit->draws;
	commit->draws.used = 0;
	json_memory_begin();
	rc = config_change(config, secrets, commit->request, &env, result, problem) < 0;
	json_decref(secrets);
	if (!json_memory_sufficed()) /* no half configuration */
		return err_set(err, -ENOMEM, "out of memory");
	if (rc)
		return 1;
	*ret_version = version;
	if (dry_run || result->outcome == CONFIG_SAME)
		return 0;
	if (commit->hooks) {
		commit->prepared = true;
		rc = commit->hooks->prepare(commit->hooks->arg, config, result->config, err);
	}
	if (rc == 0)
		rc = add_secrets(commit, result, err);
	if (rc == 0)
		rc = docstore_publish(commit->store, CONFIG_DOCUMENT, result->config, version, ret_version, err);
	if (rc == 0 && commit->hooks)
		commit->hooks->finish(commit->hooks->arg, config, result->config);
	if (rc == 0)
		drop_secrets(commit, result->secrets_drop, result->secrets_add);
	return rc;
}

static int attempts(struct commit *commit, bool dry_run, struct config_result *result, uint64_t *ret_version,
		    struct problem *problem, struct err *err)
{
	for (unsigned i = 0; i < ATTEMPTS_MAX; i++) {
		json_t *config;
		uint64_t version;
		int rc = docstore_load(commit->store, CONFIG_DOCUMENT, &config, &version, err);

		if (rc < 0)
			return rc;
		rc = attempt(commit, dry_run, config, version, result, ret_version, problem, err);
		json_decref(config);
		if (rc == 0)
			return 0;
		config_result_fini(result);
		if (rc != -EAGAIN)
			return rc;
	}
	return err_set(err, -EAGAIN, "cannot change the configuration: others were first every time");
}

int config_commit(struct docstore *store, const struct config_request *request, const struct commit_hooks *hooks,
		  bool dry_run, struct config_result *ret, uint64_t *ret_version, struct problem *problem, struct err *err)
{
	struct commit commit = { .store = store, .request = request, .hooks = hooks };
	struct config_result result = { 0 };
	int rc = draws_init(&commit.draws);

	if (rc < 0)
		return err_errno(err, rc, "no random numbers");
	rc = attempts(&commit, dry_run, &result, ret_version, problem, err);
	if (rc == 0)
		*ret = result;
	/* an I/O error may have come after the rename: what config may name must stay, the reaper decides later */
	if (rc != 0 && rc != -EIO) {
		if (commit.prepared && hooks)
			hooks->abandon(hooks->arg);
		drop_secrets(&commit, NULL, NULL);
	}
	json_decref(commit.added);
	explicit_bzero(&commit.draws, sizeof commit.draws);
	return rc;
}

struct sweep {
	const json_t *config;
	uint64_t age_ms;
	int removed;
};

static int sweep_secrets(json_t **content, uint64_t version, void *arg, struct err *err)
{
	struct sweep *sweep = arg;

	(void)version;
	sweep->removed = secrets_sweep(*content, sweep->config, clock_wall_ms(), sweep->age_ms);
	if (sweep->removed < 0)
		return err_set(err, sweep->removed, "out of memory");
	return sweep->removed == 0;
}

int config_sweep_secrets(struct docstore *store, uint64_t age_ms, struct err *err)
{
	struct sweep sweep = { .age_ms = age_ms };
	json_t *config;
	uint64_t version;
	int rc = docstore_load(store, CONFIG_DOCUMENT, &config, &version, err);

	if (rc < 0)
		return rc;
	sweep.config = config;
	rc = docstore_update(store, SECRETS_DOCUMENT, sweep_secrets, &sweep, NULL, err);
	json_decref(config);
	return rc < 0 ? rc : sweep.removed;
}
