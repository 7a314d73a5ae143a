/*
 * The fault store wraps another store and does to its requests what rules say: fail, delay, withhold. Tests and trials
 * use it; README.md has the syntax.
 *
 * An I/O that a rule fails does not reach the inner store. One that is delayed or held does: the inner store has done
 * it, its completion comes late (a lost acknowledgement). One that stalls reaches the inner store late: what a path that
 * hangs does to a write that its initiator has given up long ago. Rules are matched in their order, the first that matches and
 * is due decides; each counts its own matches.
 *
 * Threads: rules and lists under one mutex; a thread of its own posts delayed completions to their reactors' mailboxes.
 */
#include "dataplane/store/fault.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "dataplane/store/driver.h"
#include "json_text.h"
#include "thread.h"

#define RULES_MAX 256

/* What a rule can be about: the I/O operations by their store_op, then the calls of the management half. */
enum fault_op {
	FAULT_CREATE = STORE_OP_COUNT,
	FAULT_RESIZE,
	FAULT_REMOVE,
	FAULT_LIST,
	FAULT_SPACE,
	FAULT_OPEN,
	FAULT_GROWN,
	FAULT_EXTENT,
	FAULT_OP_COUNT
};

static const char *const op_names[FAULT_OP_COUNT] = {
	[STORE_READ] = "read",     [STORE_WRITE] = "write",   [STORE_FLUSH] = "flush",   [STORE_UNMAP] = "unmap",
	[FAULT_CREATE] = "create", [FAULT_RESIZE] = "resize", [FAULT_REMOVE] = "remove", [FAULT_LIST] = "list",
	[FAULT_SPACE] = "space",   [FAULT_OPEN] = "open",     [FAULT_GROWN] = "grown",   [FAULT_EXTENT] = "extent",
};

static const struct {
	const char *name;
	int error;
} errors[] = {
	{"EACCES", EACCES}, {"EAGAIN", EAGAIN}, {"EBUSY", EBUSY},   {"EEXIST", EEXIST},       {"EINVAL", EINVAL},
	{"EIO", EIO},       {"EMFILE", EMFILE}, {"ENODATA", ENODATA}, {"ENOENT", ENOENT},     {"ENOMEM", ENOMEM},
	{"ENOSPC", ENOSPC}, {"EROFS", EROFS},   {"EOPNOTSUPP", EOPNOTSUPP}, {"ETIMEDOUT", ETIMEDOUT},
};

struct rule {
	uint32_t ops;              /* bit per fault_op */
	const char *object;        /* NULL: any; lives in fault_store.rules_json */
	uint64_t offset, length;   /* bytes; length 0: any */
	uint64_t nth, count, seen; /* decides on matches nth .. nth + count - 1; count 0: from nth on */
	int error;                 /* positive; 0: none */
	uint32_t delay_ms;
	bool hold, stall;
};

struct fault_store {
	struct store store;
	struct store *inner;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t wake;
	json_t *rules_json;
	struct rule *rule;
	size_t rule_count;
	struct list delayed, held; /* store_io.link; stalled ones are in delayed */
	void (*trace)(const struct store_io *io, void *arg);
	void *trace_arg;
	bool stopping;
	pthread_t timer;
};

struct fault_object {
	struct store_object object;
	struct store_object *inner;
};

/* The last words of io->driver; the inner driver uses the others. */
struct wrap {
	struct store_object *object;
	void (*done)(struct store_io *io, int result);
	struct store_ctx *ctx;
	uint64_t due_ns;
	int result;
	uint32_t delay_ms : 30, hold : 1, stalled : 1; /* stalled: the inner store has not seen it yet */
};

static_assert(sizeof(struct wrap) <= (STORE_IO_DRIVER_WORDS - STORE_DRIVER_WRAP) * sizeof(uint64_t),
	      "wrap fits behind the inner driver's words");

static struct fault_store *fault_store(struct store *store)
{
	return container_of(store, struct fault_store, store);
}

static struct wrap *wrap_of(struct store_io *io)
{
	return (struct wrap *)(io->driver + STORE_DRIVER_WRAP);
}

static struct store_object *inner_of(struct store_object *object)
{
	return container_of(object, struct fault_object, object)->inner;
}

/* ---- rules ---- */

static int parse_ops(const json_t *op, uint32_t *ret_ops, struct err *err)
{
	*ret_ops = (1u << STORE_OP_COUNT) - 1;
	if (!op)
		return 0;
	for (unsigned i = 0; i < FAULT_OP_COUNT; i++) {
		if (json_is_string(op) && strcmp(json_string_value(op), op_names[i]) == 0) {
			*ret_ops = 1u << i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "a fault rule has an unknown \"op\"");
}

static int parse_error(const json_t *name, int *ret_error, struct err *err)
{
	*ret_error = 0;
	if (!name)
		return 0;
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		if (json_is_string(name) && strcmp(json_string_value(name), errors[i].name) == 0) {
			*ret_error = errors[i].error;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "a fault rule has an unknown \"error\"");
}

static int parse_number(const json_t *json, const char *key, uint64_t absent, uint64_t *ret_value, struct err *err)
{
	const json_t *value = json_object_get(json, key);

	if (value && (!json_is_integer(value) || json_integer_value(value) < 0))
		return err_set(err, -EINVAL, "a fault rule's \"%s\" is not a number", key);
	*ret_value = value ? (uint64_t)json_integer_value(value) : absent;
	return 0;
}

static int parse_rule(const json_t *json, struct rule *rule, struct err *err)
{
	uint64_t delay_ms = 0;

	if (!json_is_object(json))
		return err_set(err, -EINVAL, "a fault rule is not an object");
	if (parse_ops(json_object_get(json, "op"), &rule->ops, err) < 0 ||
	    parse_error(json_object_get(json, "error"), &rule->error, err) < 0 ||
	    parse_number(json, "offset", 0, &rule->offset, err) < 0 ||
	    parse_number(json, "length", 0, &rule->length, err) < 0 ||
	    parse_number(json, "nth", 1, &rule->nth, err) < 0 ||
	    parse_number(json, "count", 1, &rule->count, err) < 0 ||
	    parse_number(json, "delay_ms", 0, &delay_ms, err) < 0)
		return -EINVAL;
	if (delay_ms > 3600 * 1000)
		return err_set(err, -EINVAL, "a fault rule's \"delay_ms\" is more than an hour");
	rule->delay_ms = (uint32_t)delay_ms;
	rule->object = json_string_value(json_object_get(json, "object"));
	rule->hold = json_is_true(json_object_get(json, "hold"));
	rule->stall = json_is_true(json_object_get(json, "stall"));
	return 0;
}

/* Takes over `rules` (NULL: none). */
static int set_rules(struct fault_store *store, json_t *rules, struct err *err)
{
	size_t count = json_array_size(rules);
	struct rule *made = calloc(count ? count : 1, sizeof *made);
	int rc = 0;

	if (rules && (!json_is_array(rules) || count > RULES_MAX))
		rc = err_set(err, -EINVAL, "the fault rules are not an array of at most %d", RULES_MAX);
	else if (!made)
		rc = err_errno(err, -ENOMEM, "cannot set fault rules");
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = parse_rule(json_array_get(rules, i), &made[i], err);
	if (rc < 0) {
		free(made);
		json_decref(rules);
		return rc;
	}
	pthread_mutex_lock(&store->lock);
	free(store->rule);
	json_decref(store->rules_json);
	store->rule = made;
	store->rule_count = count;
	store->rules_json = rules;
	pthread_mutex_unlock(&store->lock);
	return 0;
}

static bool rule_matches(const struct rule *rule, unsigned op, const char *object, uint64_t offset, uint64_t len)
{
	if (!(rule->ops >> op & 1) || (rule->object && strcmp(rule->object, object) != 0))
		return false;
	return rule->length == 0 || (offset < rule->offset + rule->length && rule->offset < offset + len);
}

/* The rule that decides about this request, as a copy; all zero when none does. */
static struct rule judge(struct fault_store *store, unsigned op, const char *object, uint64_t offset, uint64_t len)
{
	struct rule verdict = {0};

	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < store->rule_count; i++) {
		struct rule *rule = &store->rule[i];

		if (!rule_matches(rule, op, object, offset, len))
			continue;
		rule->seen++;
		if (rule->seen < rule->nth || (rule->count && rule->seen >= rule->nth + rule->count))
			continue;
		verdict = *rule;
		break;
	}
	pthread_mutex_unlock(&store->lock);
	return verdict;
}

/* For calls that may block: the error, after the delay. */
static int judge_call(struct store *base, enum fault_op op, const char *object, struct err *err)
{
	struct rule verdict = judge(fault_store(base), op, object, 0, UINT64_MAX);
	struct timespec pause = {verdict.delay_ms / 1000, (long)(verdict.delay_ms % 1000) * 1000000};

	if (verdict.delay_ms)
		nanosleep(&pause, NULL);
	return verdict.error ? err_errno(err, -verdict.error, "fault rule: cannot %s %s", op_names[op], object) : 0;
}

/* ---- I/O ---- */

static void inner_done(struct store_io *io, int result);

static void pass_on(struct store_io *io)
{
	struct store_object *inner = inner_of(io->object);

	io->object = inner;
	io->done = inner_done;
	inner->ops->submit[io->op](wrap_of(io)->ctx, io);
}

static void deliver(struct mail *mail)
{
	struct store_io *io = container_of(mail, struct store_io, job.mail);
	struct wrap *wrap = wrap_of(io);

	if (!wrap->stalled) {
		store_complete(wrap->ctx, io, wrap->result);
		return;
	}
	wrap->stalled = false;
	wrap->delay_ms = 0;
	pass_on(io);
}

static void post(struct store_io *io)
{
	io->job.mail.run = deliver;
	mailbox_post(store_ctx_mailbox(wrap_of(io)->ctx), &io->job.mail);
}

/* What is due first goes first, also when the timer comes too late for several at once. Mutex held. */
static void delay(struct fault_store *store, struct store_io *io)
{
	list_for_each(pos, &store->delayed)
		if (wrap_of(container_of(pos, struct store_io, link))->due_ns > wrap_of(io)->due_ns) {
			list_append(pos, &io->link); /* before it */
			return;
		}
	list_append(&store->delayed, &io->link);
}

/* The completion comes later; the I/O counts as in flight until then. */
static void withhold(struct store_io *io, int result)
{
	struct wrap *wrap = wrap_of(io);
	struct fault_store *store = fault_store(wrap->object->store);

	wrap->result = result;
	wrap->due_ns = clock_now_ns() + wrap->delay_ms * NS_PER_MS;
	pthread_mutex_lock(&store->lock);
	if (wrap->hold && !wrap->stalled)
		list_append(&store->held, &io->link);
	else
		delay(store, io);
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->lock);
}

static void inner_done(struct store_io *io, int result)
{
	struct wrap *wrap = wrap_of(io);

	io->object = wrap->object;
	io->done = wrap->done;
	if (!wrap->delay_ms && !wrap->hold) {
		io->done(io, result);
		return;
	}
	store_ctx_enter(wrap->ctx);
	withhold(io, result);
}

static void fault_submit(struct store_ctx *ctx, struct store_io *io)
{
	struct fault_store *store = fault_store(io->object->store);
	struct store_object *inner = inner_of(io->object);
	struct wrap *wrap = wrap_of(io);
	struct rule verdict;

	if (store->trace)
		store->trace(io, store->trace_arg);
	verdict = judge(store, io->op, io->object->id, io->offset_bytes,
			io->op == STORE_FLUSH ? UINT64_MAX - io->offset_bytes : io->len_bytes);
	*wrap = (struct wrap){.object = io->object, .done = io->done, .ctx = ctx, .delay_ms = verdict.delay_ms,
			      .hold = verdict.hold, .stalled = verdict.stall && !verdict.error && verdict.delay_ms};
	if (wrap->stalled || (verdict.error && (wrap->delay_ms || wrap->hold))) {
		withhold(io, -verdict.error);
		return;
	}
	if (verdict.error || !inner->ops->submit[io->op]) {
		store_complete_inline(ctx, io, verdict.error ? -verdict.error : -EOPNOTSUPP);
		return;
	}
	pass_on(io);
}

/* Posts what is due; when the next one is due in *ret_next_ns, UINT64_MAX: none. Mutex held. */
static void post_due(struct fault_store *store, uint64_t now_ns, uint64_t *ret_next_ns)
{
	*ret_next_ns = UINT64_MAX;
	list_for_each_safe(pos, &store->delayed) {
		struct store_io *io = container_of(pos, struct store_io, link);
		uint64_t due_ns = wrap_of(io)->due_ns;

		if (due_ns <= now_ns) {
			list_remove(pos);
			post(io);
		} else if (due_ns < *ret_next_ns) {
			*ret_next_ns = due_ns;
		}
	}
}

static void *run_timer(void *arg)
{
	struct fault_store *store = arg;
	uint64_t next_ns;

	pthread_mutex_lock(&store->lock);
	while (!store->stopping) {
		post_due(store, clock_now_ns(), &next_ns);
		if (next_ns == UINT64_MAX) {
			pthread_cond_wait(&store->wake, &store->lock);
		} else {
			struct timespec until = {(time_t)(next_ns / NS_PER_S), (long)(next_ns % NS_PER_S)};

			pthread_cond_timedwait(&store->wake, &store->lock, &until);
		}
	}
	pthread_mutex_unlock(&store->lock);
	return NULL;
}

/* ---- the handles of fault.h ---- */

int store_fault_set_rules(struct store *base, const char *rules_json, struct err *err)
{
	json_t *rules = rules_json ? json_read(rules_json, strlen(rules_json), 0, NULL) : NULL;

	if (rules_json && !rules)
		return err_set(err, -EINVAL, "the fault rules are not JSON");
	return set_rules(fault_store(base), rules, err);
}

unsigned store_fault_release(struct store *base)
{
	struct fault_store *store = fault_store(base);
	struct list *link;
	unsigned count = 0;

	pthread_mutex_lock(&store->lock);
	while ((link = list_take(&store->held))) {
		post(container_of(link, struct store_io, link));
		count++;
	}
	pthread_mutex_unlock(&store->lock);
	return count;
}

unsigned store_fault_held(struct store *base)
{
	struct fault_store *store = fault_store(base);
	unsigned count = 0;

	pthread_mutex_lock(&store->lock);
	list_for_each(pos, &store->held)
		count++;
	pthread_mutex_unlock(&store->lock);
	return count;
}

void store_fault_trace(struct store *base, void (*each)(const struct store_io *io, void *arg), void *arg)
{
	struct fault_store *store = fault_store(base);

	store->trace = each;
	store->trace_arg = arg;
}

/* ---- management ---- */

static int fault_create(struct store *base, const char *id, uint64_t size_bytes, bool thin, struct err *err)
{
	int rc = judge_call(base, FAULT_CREATE, id, err);

	return rc < 0 ? rc : store_object_create(fault_store(base)->inner, id, size_bytes, thin, err);
}

static int fault_resize(struct store *base, const char *id, uint64_t size_bytes, bool thin, struct err *err)
{
	int rc = judge_call(base, FAULT_RESIZE, id, err);

	return rc < 0 ? rc : store_object_resize(fault_store(base)->inner, id, size_bytes, thin, err);
}

static int fault_remove(struct store *base, const char *id, struct err *err)
{
	int rc = judge_call(base, FAULT_REMOVE, id, err);

	return rc < 0 ? rc : store_object_remove(fault_store(base)->inner, id, err);
}

static int fault_allocated(struct store *base, const char *id, uint64_t *ret_bytes)
{
	return store_object_allocated(fault_store(base)->inner, id, ret_bytes);
}

static int fault_list(struct store *base, void (*each)(const char *id, uint64_t age_s, void *arg), void *arg,
		      struct err *err)
{
	int rc = judge_call(base, FAULT_LIST, "objects", err);

	return rc < 0 ? rc : store_object_list(fault_store(base)->inner, each, arg, err);
}

static int fault_space(struct store *base, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes)
{
	int rc = judge_call(base, FAULT_SPACE, "", NULL);

	return rc < 0 ? rc : store_space(fault_store(base)->inner, ret_total_bytes, ret_free_bytes);
}

static int fault_object_open(struct store *base, const char *id, uint64_t size_bytes, bool read_only,
			     struct store_object **ret_object, struct err *err)
{
	int rc = judge_call(base, FAULT_OPEN, id, err);
	struct fault_object *object;

	if (rc < 0)
		return rc;
	object = calloc(1, sizeof *object);
	if (!object)
		return err_errno(err, -ENOMEM, "cannot open object %s", id);
	rc = store_object_open(fault_store(base)->inner, id, size_bytes, read_only, &object->inner, err);
	if (rc < 0)
		free(object);
	else
		*ret_object = &object->object;
	return rc;
}

static void fault_object_close(struct store_object *base)
{
	store_object_close(inner_of(base));
	free(container_of(base, struct fault_object, object));
}

static int fault_object_writable(struct store_object *base, struct err *err)
{
	int rc = judge_call(base->store, FAULT_OPEN, base->id, err);

	return rc < 0 ? rc : store_object_make_writable(inner_of(base), err);
}

static int fault_object_grown(struct store_object *base, uint64_t size_bytes)
{
	int rc = judge_call(base->store, FAULT_GROWN, base->id, NULL);

	return rc < 0 ? rc : store_object_grown(inner_of(base), size_bytes);
}

static int fault_object_extent(struct store_object *base, uint64_t offset_bytes, bool *ret_mapped,
			       uint64_t *ret_len_bytes)
{
	int rc = judge_call(base->store, FAULT_EXTENT, base->id, NULL);

	return rc < 0 ? rc : store_object_extent(inner_of(base), offset_bytes, ret_mapped, ret_len_bytes);
}

/* ---- open, close ---- */

static struct store *open_inner(const json_t *params, const char *state_dir, struct err *err)
{
	const json_t *inner = json_object_get(params, "inner"), *inner_params = json_object_get(inner, "params");
	const char *kind = json_string_value(json_object_get(inner, "kind"));
	char *text = inner_params ? json_text(inner_params, 0) : NULL;
	struct store *store = NULL;

	if (!kind || strcmp(kind, "fault") == 0)
		err_set(err, -EINVAL, "a fault store needs \"inner\": {\"kind\": ...} of another kind");
	else
		store = store_open(kind, text, state_dir, err);
	free(text);
	return store;
}

static int start_timer(struct fault_store *store, struct err *err)
{
	pthread_condattr_t monotonic;
	int rc;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&store->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	rc = thread_start(&store->timer, run_timer, store);
	return rc ? err_errno(err, rc, "cannot start the fault store's timer") : 0;
}

static void destroy(struct fault_store *store)
{
	store_close(store->inner);
	pthread_mutex_destroy(&store->lock);
	json_decref(store->rules_json);
	free(store->rule);
	free(store);
}

static struct store *fault_open(const json_t *params, const char *state_dir, struct err *err)
{
	struct fault_store *store = calloc(1, sizeof *store);

	if (!store) {
		err_errno(err, -ENOMEM, "cannot open the fault store");
		return NULL;
	}
	pthread_mutex_init(&store->lock, NULL);
	list_init(&store->delayed);
	list_init(&store->held);
	store->inner = open_inner(params, state_dir, err);
	if (!store->inner || set_rules(store, json_incref(json_object_get(params, "rules")), err) < 0 ||
	    start_timer(store, err) < 0) {
		destroy(store);
		return NULL;
	}
	store_get_limits(store->inner, &store->store.limits);
	return &store->store;
}

static void fault_close(struct store *base)
{
	struct fault_store *store = fault_store(base);

	pthread_mutex_lock(&store->lock);
	store->stopping = true;
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->lock);
	pthread_join(store->timer, NULL);
	pthread_cond_destroy(&store->wake);
	destroy(store);
}

const struct store_ops store_fault_ops = {
	.kind = "fault",
	.open = fault_open,
	.close = fault_close,
	.create = fault_create,
	.resize = fault_resize,
	.remove = fault_remove,
	.allocated = fault_allocated,
	.list = fault_list,
	.space = fault_space,
	.object_open = fault_object_open,
	.object_close = fault_object_close,
	.object_writable = fault_object_writable,
	.object_grown = fault_object_grown,
	.object_extent = fault_object_extent,
	.submit = {
		[STORE_READ] = fault_submit,
		[STORE_WRITE] = fault_submit,
		[STORE_FLUSH] = fault_submit,
		[STORE_UNMAP] = fault_submit,
	},
};
