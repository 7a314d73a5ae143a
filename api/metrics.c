/*
 * GET /metrics: OpenMetrics 1.0 text. Counters come from counters.def and the workers' segments (stats.h); the slots of
 * one object are added up over reactors and workers. Series are bounded: METRIC_SESSIONS_MAX sessions, one object a LUN
 * and target, histogram buckets at every second power of two.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/health.h"
#include "api/request.h"
#include "api/service.h"
#include "cluster/config.h"
#include "stats.h"

#define METRIC_SESSIONS_MAX 2000
#define BUCKET_STEP         8 /* of STATS_BUCKETS: four a power of two */
#define CONTENT_TYPE        "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum counter_type { COUNTS, GAUGE };

static const struct counter_row {
	const char *name, *unit;
	enum counter_type type;
	const char *meaning;
} counter_rows[STATS_COUNTERS] = {
#define COUNTER(name, unit, type, objects, meaning) [STAT_##name] = { #name, unit, type, meaning },
#include "counters.def"
#undef COUNTER
};

/* Which counters an object of a kind has: first..last in the order of counters.def. */
static const struct kind_row {
	const char *noun;
	enum stats_counter first, last;
	bool latency;
} kind_rows[] = {
	[STATS_WORKER]  = { "worker", STAT_reads, STAT_cpu_ns, false },
	[STATS_LUN]     = { "lun", STAT_reads, STAT_queue_depth, true },
	[STATS_TARGET]  = { "target", STAT_reads, STAT_protocol_errors, false },
	[STATS_SESSION] = { "session", STAT_reads, STAT_queue_depth, false },
};

/* One object, added up. */
struct sample {
	enum stats_kind kind;
	char name[STATS_NAME_MAX];
	uint64_t value[STATS_COUNTERS];
	uint64_t bucket[STATS_HISTOGRAMS][STATS_BUCKETS];
	uint64_t sum_ns[STATS_HISTOGRAMS];
};


/* --- collecting --- */

struct found {
	unsigned worker;
	const struct stats_slot *slot;
};

static int slot_order(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	uint32_t kx = atomic_load(&x->slot->kind), ky = atomic_load(&y->slot->kind);

	if (kx != ky)
		return kx < ky ? -1 : 1;
	if (kx == STATS_WORKER)
		return (int)x->worker - (int)y->worker;
	return strncmp(x->slot->name, y->slot->name, STATS_NAME_MAX);
}

static size_t find_slots(const struct service *s, struct found **ret_found)
{
	size_t count = 0, room = 1;
	struct found *found;

	for (unsigned w = 0; w < s->workers.count; w++)
		if (s->workers.worker[w].stats)
			room += atomic_load(&s->workers.worker[w].stats->slots_used);
	found = malloc(room * sizeof *found);
	for (unsigned w = 0; w < s->workers.count && found; w++) {
		struct stats_segment *segment = s->workers.worker[w].stats;
		uint32_t used = segment ? atomic_load(&segment->slots_used) : 0;

		for (uint32_t i = 0; i < used && i < STATS_SLOTS && count + 1 < room; i++) {
			uint32_t kind = atomic_load(&segment->slot[i].kind);

			if (kind > STATS_FREE && kind <= STATS_SESSION)
				found[count++] = (struct found){ w, &segment->slot[i] };
		}
	}
	*ret_found = found;
	if (count)
		qsort(found, count, sizeof *found, slot_order);
	return count;
}

static void add_slot(struct sample *sample, const struct stats_slot *slot)
{
	for (unsigned i = 0; i < STATS_COUNTERS; i++)
		sample->value[i] += atomic_load_explicit(&slot->value[i], memory_order_relaxed);
	for (unsigned h = 0; h < STATS_HISTOGRAMS; h++) {
		for (unsigned b = 0; b < STATS_BUCKETS; b++)
			sample->bucket[h][b] += atomic_load_explicit(&slot->bucket[h][b], memory_order_relaxed);
		sample->sum_ns[h] += atomic_load_explicit(&slot->sum_ns[h], memory_order_relaxed);
	}
}

static void name_sample(struct sample *sample, const struct found *found)
{
	sample->kind = (enum stats_kind)atomic_load(&found->slot->kind);
	if (sample->kind == STATS_WORKER)
		snprintf(sample->name, sizeof sample->name, "%u", found->worker);
	else
		snprintf(sample->name, sizeof sample->name, "%.*s", STATS_NAME_MAX - 1, found->slot->name);
}

/* Objects in order of kind and name; *ret_samples is the caller's to free. */
static size_t collect(const struct service *s, struct sample **ret_samples)
{
	struct found *found = NULL;
	size_t slots = find_slots(s, &found), count = 0, sessions = 0;
	struct sample *samples = calloc(slots + 1, sizeof *samples);

	for (size_t i = 0; i < slots && samples; i++) {
		bool same = i > 0 && slot_order(&found[i - 1], &found[i]) == 0;
		enum stats_kind kind = (enum stats_kind)atomic_load(&found[i].slot->kind);

		if (kind == STATS_SESSION && !same && ++sessions > METRIC_SESSIONS_MAX)
			break;
		if (kind == STATS_FREE)
			continue; /* released since it was found */
		if (!same || count == 0)
			name_sample(&samples[count++], &found[i]);
		add_slot(&samples[count - 1], found[i].slot);
	}
	free(found);
	*ret_samples = samples;
	return count;
}

/* --- writing --- */

static void write_label(FILE *out, const char *noun, const char *name)
{
	fprintf(out, "%s=\"", noun);
	for (const char *c = name; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c == '\n')
			fputs("\\n", out);
		else
			fputc(*c, out);
	}
	fputc('"', out);
}

/* "bytes" and "seconds" belong to the name and are announced; "1" is no unit. */
static void write_family(FILE *out, const char *name, const char *type, const char *unit, const char *help)
{
	fprintf(out, "# TYPE %s %s\n", name, type);
	if (unit[0])
		fprintf(out, "# UNIT %s %s\n", name, unit);
	fprintf(out, "# HELP %s %s.\n", name, help);
}

static void write_counter(FILE *out, const struct sample *samples, size_t count, enum stats_kind kind,
			  enum stats_counter counter)
{
	const struct counter_row *row = &counter_rows[counter];
	bool ns = strcmp(row->unit, "ns") == 0;
	const char *unit = ns ? "seconds" : strcmp(row->unit, "bytes") == 0 ? "bytes" : "";
	char name[96];
	size_t len;

	snprintf(name, sizeof name, "lunette_%s_%s", kind_rows[kind].noun, row->name);
	len = strlen(name);
	if (ns && len > 3)
		snprintf(name + len - 2, sizeof name - len + 2, "seconds");
	write_family(out, name, row->type == COUNTS ? "counter" : "gauge", unit, row->meaning);
	for (size_t i = 0; i < count; i++) {
		if (samples[i].kind != kind)
			continue;
		fprintf(out, "%s%s{", name, row->type == COUNTS ? "_total" : "");
		write_label(out, kind_rows[kind].noun, samples[i].name);
		if (ns)
			fprintf(out, "} %.9f\n", (double)samples[i].value[counter] / 1e9);
		else
			fprintf(out, "} %" PRIu64 "\n", samples[i].value[counter]);
	}
}

static void write_buckets(FILE *out, const char *name, const struct sample *sample, unsigned histogram)
{
	const char *noun = kind_rows[sample->kind].noun;
	uint64_t total = 0;

	for (unsigned b = 0; b < STATS_BUCKETS; b++) {
		total += sample->bucket[histogram][b];
		if ((b + 1) % BUCKET_STEP != 0 || b + 1 == STATS_BUCKETS)
			continue;
		fprintf(out, "%s_bucket{", name);
		write_label(out, noun, sample->name);
		fprintf(out, ",le=\"%.9g\"} %" PRIu64 "\n", (double)stats_bucket_limit_ns(b) / 1e9, total);
	}
	fprintf(out, "%s_bucket{", name);
	write_label(out, noun, sample->name);
	fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n%s_count{", total, name);
	write_label(out, noun, sample->name);
	fprintf(out, "} %" PRIu64 "\n%s_sum{", total, name);
	write_label(out, noun, sample->name);
	fprintf(out, "} %.9f\n", (double)sample->sum_ns[histogram] / 1e9);
}

static void write_histogram(FILE *out, const struct sample *samples, size_t count, enum stats_kind kind,
			    unsigned histogram)
{
	const char *what = histogram == STATS_READ_LATENCY ? "read" : "write";
	char name[96], help[96];

	snprintf(name, sizeof name, "lunette_%s_%s_latency_seconds", kind_rows[kind].noun, what);
	snprintf(help, sizeof help, "time from a %s command to its response", what);
	write_family(out, name, "histogram", "seconds", help);
	for (size_t i = 0; i < count; i++)
		if (samples[i].kind == kind)
			write_buckets(out, name, &samples[i], histogram);
}

static void write_kind(FILE *out, const struct sample *samples, size_t count, enum stats_kind kind)
{
	const struct kind_row *row = &kind_rows[kind];

	for (int c = row->first; c <= (int)row->last; c++)
		write_counter(out, samples, count, kind, (enum stats_counter)c);
	for (unsigned h = 0; h <= STATS_WRITE_LATENCY && row->latency; h++)
		write_histogram(out, samples, count, kind, h);
}

static void write_one(FILE *out, const char *name, const char *unit, const char *help, double value)
{
	write_family(out, name, "gauge", unit, help);
	fprintf(out, "%s %.17g\n", name, value);
}

static void write_workers(FILE *out, const struct service *s)
{
	write_family(out, "lunette_worker_up", "gauge", "", "1 while the worker serves");
	for (unsigned i = 0; i < s->workers.count; i++)
		fprintf(out, "lunette_worker_up{worker=\"%u\"} %d\n", i, worker_up(&s->workers.worker[i]));
	write_family(out, "lunette_worker_starts", "counter", "", "times the worker was started");
	for (unsigned i = 0; i < s->workers.count; i++)
		fprintf(out, "lunette_worker_starts_total{worker=\"%u\"} %u\n", i, s->workers.worker[i].state.starts);
}

static void write_sizes(FILE *out, const struct service *s)
{
	const char *name;
	json_t *lun;

	write_family(out, "lunette_lun_size_bytes", "gauge", "bytes", "capacity of the LUN");
	json_object_foreach((json_t *)(uintptr_t)config_map(s->config, CONFIG_LUN, NULL), name, lun) {
		fputs("lunette_lun_size_bytes{", out);
		write_label(out, "lun", name);
		fprintf(out, "} %" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(lun, "size_bytes")));
	}
}

static void write_control(FILE *out, const struct service *s)
{
	enum health health;

	json_decref(health_view(s, &health));
	write_family(out, "lunette_build", "info", "", "version of the daemon");
	fprintf(out, "lunette_build_info{version=\"%s\"} 1\n", LUNETTE_VERSION);
	write_one(out, "lunette_health", "", "0 ok, 1 warning, 2 error; GET /api/v1/health says why", health);
	write_one(out, "lunette_luns", "", "configured LUNs", (double)json_object_size(config_map(s->config, CONFIG_LUN, NULL)));
	write_one(out, "lunette_targets", "", "configured targets",
		  (double)json_object_size(config_map(s->config, CONFIG_TARGET, NULL)));
	write_one(out, "lunette_state_free_bytes", "bytes", "free space beside the state directory",
		  (double)s->disk_free_bytes);
	write_one(out, "lunette_event_streams", "", "clients that follow the events", s->events.stream_count);
}

static char *metrics_text(const struct service *s)
{
	struct sample *samples;
	size_t count = collect(s, &samples), size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	if (out) {
		write_control(out, s);
		write_workers(out, s);
		write_sizes(out, s);
		for (int kind = STATS_WORKER; kind <= STATS_SESSION; kind++)
			write_kind(out, samples, count, (enum stats_kind)kind);
		fputs("# EOF\n", out);
		fclose(out);
	}
	free(samples);
	return text;
}

void get_metrics(struct request *rq)
{
	answer_text(rq, 200, CONTENT_TYPE, metrics_text(rq->service));
}
