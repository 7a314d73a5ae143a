/* Objects and metrics of a request: see selection.h. */
#include "api/selection.h"

#include <stdlib.h>
#include <string.h>

static bool no_memory(struct problem *problem)
{
	problem_set(problem, 503, "out-of-memory", "", "There is no memory for this request now.");
	return false;
}

static bool parse_objects(const char *text, struct selection *s, struct problem *problem)
{
	size_t room = 1;

	for (const char *c = text; *c; c++)
		room += *c == ',';
	s->objects = calloc(room, sizeof *s->objects);
	if (!s->objects)
		return no_memory(problem);
	for (const char *at = text;; at++) {
		size_t len = strcspn(at, ",");

		if (!object_parse(at, len, &s->objects[s->count++])) {
			problem_set(problem, 400, "invalid-object", "",
				    "An object is KIND:NAME (lun, target, session, worker, host), such as lun:vol1 or lun:*, "
				    "not '%.*s'.", len < 100 ? (int)len : 100, at);
			return false;
		}
		at += len;
		if (!*at)
			return true;
	}
}

static bool any_has(const struct selection *s, enum metric_id metric)
{
	for (size_t i = 0; i < s->count; i++)
		if (metric_of(metric, s->objects[i].kind))
			return true;
	return false;
}

static bool parse_metrics(const char *text, struct selection *s, struct problem *problem)
{
	for (const char *at = text;; at++) {
		size_t len = strcspn(at, ",");
		int metric = metric_find(at, len);

		if (metric < 0 || !any_has(s, (enum metric_id)metric)) {
			problem_set(problem, 400, "invalid-metric", "", "%s '%.*s'; GET /api/v1/metrics lists them.",
				    metric < 0 ? "There is no metric" : "None of the objects has the metric",
				    len < 100 ? (int)len : 100, at);
			return false;
		}
		s->metric[metric] = true;
		at += len;
		if (!*at)
			return true;
	}
}

bool selection_parse(const char *object, const char *fallback, const char *metric, struct selection *ret_selection,
		     struct problem *problem)
{
	struct selection s = { 0 };
	bool ok;

	if (!object || !object[0])
		object = fallback;
	if (!object) {
		problem_set(problem, 400, "invalid-object", "", "Name at least one object, such as object=lun:vol1 or object=lun:*.");
		return false;
	}
	ok = parse_objects(object, &s, problem) && (!metric || parse_metrics(metric, &s, problem));
	if (!ok) {
		selection_free(&s);
		return false;
	}
	for (unsigned i = 0; !metric && i < METRICS; i++)
		s.metric[i] = true;
	*ret_selection = s;
	return true;
}

void selection_free(struct selection *selection)
{
	free(selection->objects);
	selection->objects = NULL;
	selection->count = 0;
}

struct found {
	struct object_name *objects;
	size_t count, max;
};

/* False: too many. */
static bool add(struct found *f, const struct object_name *object)
{
	for (size_t i = 0; i < f->count; i++)
		if (object_compare(&f->objects[i], object) == 0)
			return true;
	if (f->count == f->max)
		return false;
	f->objects[f->count++] = *object;
	return true;
}

static bool add_all(struct found *f, const struct monitor *monitor, enum object_kind kind)
{
	const struct monitor_object **list;
	size_t count = monitor_list(monitor, kind, &list);
	bool ok = true;

	for (size_t i = 0; i < count && ok; i++)
		ok = add(f, &list[i]->object);
	free(list);
	return ok;
}

bool selection_resolve(const struct selection *s, const struct monitor *monitor, size_t max,
		       struct object_name **ret_objects, size_t *ret_count, struct problem *problem)
{
	struct found f = { calloc(max + 1, sizeof *f.objects), 0, max };
	bool ok = true;

	if (!f.objects)
		return no_memory(problem);
	for (size_t i = 0; i < s->count && ok; i++)
		ok = strcmp(s->objects[i].name, "*") == 0 ? add_all(&f, monitor, s->objects[i].kind) : add(&f, &s->objects[i]);
	if (!ok) {
		problem_set(problem, 400, "too-large", "", "These are more than %zu objects: name fewer.", max);
		free(f.objects);
		return false;
	}
	*ret_objects = f.objects;
	*ret_count = f.count;
	return true;
}
