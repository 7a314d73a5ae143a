/*
 * GET /metrics: the text format of Prometheus 0.0.4, or OpenMetrics 1.0 when Accept asks for it. Counters come from
 * counters.def and the workers' segments (monitor/collect.h). Series are bounded: MONITOR_SESSIONS_MAX sessions, one object
 * a LUN and target, histogram buckets at every second power of two.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/accept.h"
#include "api/handlers.h"
#include "api/health.h"
#include "api/request.h"
#include "api/service.h"
#include "cluster/config.h"
#include "monitor/monitor.h"

#define BUCKET_STEP       8 /* of STATS_BUCKETS: four a power of two */
#define OPEN_METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TEXT_TYPE         "text/plain; version=0.0.4; charset=utf-8"

#define L (1u << OBJECT_LUN)
#define T (1u << OBJECT_TARGET)
#define S (1u << OBJECT_SESSION)
#define W (1u << OBJECT_WORKER)

static const unsigned counter_objects[STATS_COUNTERS] = { /* a bit per enum object_kind */
#define COUNTER(name, unit, type, objects, meaning) [STAT_##name] = objects,
#include "counters.def"
#undef COUNTER
};

static const struct histogram_row {
	const char *name;
	unsigned objects;
	const char *meaning;
} histogram_rows[STATS_HISTOGRAMS] = {
	[STATS_READ_LATENCY] = { "read_latency", L | W, "time from a READ command to its response" },
	[STATS_WRITE_LATENCY] = { "write_latency", L | W, "time from a WRITE command to its response" },
	[STATS_STORE_READ_LATENCY] = { "store_read_latency", L, "time that the store took for a read" },
	[STATS_STORE_WRITE_LATENCY] = { "store_write_latency", L, "time that the store took for a write" },
};

enum family_type { COUNTER, GAUGE, INFO, HISTOGRAM };

static const struct family_type_row {
	const char *open_metrics, *classic, *suffix; /* suffix: of the samples; the classic format has it in the name, too */
} family_types[] = {
	[COUNTER] = { "counter", "counter", "_total" },
	[GAUGE] = { "gauge", "gauge", "" },
	[INFO] = { "info", "gauge", "_info" },
	[HISTOGRAM] = { "histogram", "histogram", "" },
};

struct page {
	FILE *out;
	bool open_metrics;
};

/* unit: "bytes", "seconds" and "ratio" end the name; "" is none. */
static void write_family(const struct page *page, const char *name, enum family_type type, const char *unit,
			 const char *meaning)
{
	const struct family_type_row *row = &family_types[type];
	const char *suffix = page->open_metrics ? "" : row->suffix;

	fprintf(page->out, "# HELP %s%s %s.\n", name, suffix, meaning);
	fprintf(page->out, "# TYPE %s%s %s\n", name, suffix, page->open_metrics ? row->open_metrics : row->classic);
	if (page->open_metrics && unit[0])
		fprintf(page->out, "# UNIT %s %s\n", name, unit);
}

static void write_label(FILE *out, const char *label, const char *value)
{
	fprintf(out, "%s=\"", label);
	for (const char *c = value; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c == '\n')
			fputs("\\n", out);
		else
			fputc(*c, out);
	}
	fputc('"', out);
}

static void write_value(const struct page *page, const char *name, enum family_type type, const char *unit,
			const char *meaning, double value)
{
	write_family(page, name, type, unit, meaning);
	fprintf(page->out, "%s%s %.17g\n", name, family_types[type].suffix, value);
}

/* --- objects with counters --- */

static void write_counter(const struct page *page, const struct counters *list, size_t count, enum object_kind kind,
			  unsigned counter)
{
	const struct counter_row *row = &counter_rows[counter];
	enum family_type type = row->gauge ? GAUGE : COUNTER;
	bool ns = strcmp(row->unit, "ns") == 0; /* cpu_ns becomes cpu_seconds */
	const char *unit = ns ? "seconds" : strcmp(row->unit, "bytes") == 0 ? "bytes" : "";
	char name[96];

	snprintf(name, sizeof name, "lunette_%s_%.*s%s", object_kind_name(kind), (int)strlen(row->name) - (ns ? 2 : 0),
		 row->name, ns ? "seconds" : "");
	write_family(page, name, type, unit, row->meaning);
	for (size_t i = 0; i < count; i++) {
		if (list[i].object.kind != kind)
			continue;
		fprintf(page->out, "%s%s{", name, family_types[type].suffix);
		write_label(page->out, object_kind_name(kind), list[i].object.name);
		if (ns)
			fprintf(page->out, "} %.9f\n", (double)list[i].value[counter] / 1e9);
		else
			fprintf(page->out, "} %" PRIu64 "\n", list[i].value[counter]);
	}
}

static void write_buckets(FILE *out, const char *name, const struct counters *counters, unsigned histogram)
{
	const char *kind = object_kind_name(counters->object.kind);
	uint64_t total = 0;

	for (unsigned b = 0; b < STATS_BUCKETS; b++) {
		total += counters->bucket[histogram][b];
		if ((b + 1) % BUCKET_STEP != 0 || b + 1 == STATS_BUCKETS)
			continue;
		fprintf(out, "%s_bucket{", name);
		write_label(out, kind, counters->object.name);
		fprintf(out, ",le=\"%.9g\"} %" PRIu64 "\n", (double)stats_bucket_limit_ns(b) / 1e9, total);
	}
	fprintf(out, "%s_bucket{", name);
	write_label(out, kind, counters->object.name);
	fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n%s_count{", total, name);
	write_label(out, kind, counters->object.name);
	fprintf(out, "} %" PRIu64 "\n%s_sum{", total, name);
	write_label(out, kind, counters->object.name);
	fprintf(out, "} %.9f\n", (double)counters->sum_ns[histogram] / 1e9);
}

static void write_histogram(const struct page *page, const struct counters *list, size_t count, enum object_kind kind,
			    unsigned histogram)
{
	char name[96];

	snprintf(name, sizeof name, "lunette_%s_%s_seconds", object_kind_name(kind), histogram_rows[histogram].name);
	write_family(page, name, HISTOGRAM, "seconds", histogram_rows[histogram].meaning);
	for (size_t i = 0; i < count; i++)
		if (list[i].object.kind == kind)
			write_buckets(page->out, name, &list[i], histogram);
}

static void write_objects(const struct page *page, const struct service *s)
{
	struct counters *list;
	size_t count = workers_collect(&s->workers, MONITOR_SESSIONS_MAX, &list);

	for (unsigned kind = 0; kind < OBJECT_KINDS; kind++) {
		for (unsigned i = 0; i < STATS_COUNTERS; i++)
			if (counter_objects[i] & 1u << kind)
				write_counter(page, list, count, (enum object_kind)kind, i);
		for (unsigned i = 0; i < STATS_HISTOGRAMS; i++)
			if (histogram_rows[i].objects & 1u << kind)
				write_histogram(page, list, count, (enum object_kind)kind, i);
	}
	free(list);
}

/* --- what control knows --- */

static void write_workers(const struct page *page, const struct service *s)
{
	write_family(page, "lunette_worker_up", GAUGE, "", "1 while the worker serves");
	for (unsigned i = 0; i < s->workers.count; i++)
		fprintf(page->out, "lunette_worker_up{worker=\"%u\"} %d\n", i, worker_up(&s->workers.worker[i]));
	write_family(page, "lunette_worker_starts", COUNTER, "", "times the worker was started");
	for (unsigned i = 0; i < s->workers.count; i++)
		fprintf(page->out, "lunette_worker_starts_total{worker=\"%u\"} %u\n", i,
			s->workers.worker[i].state.starts);
	write_family(page, "lunette_worker_start_time_seconds", GAUGE, "seconds", "when the worker was started, since 1970");
	for (unsigned i = 0; i < s->workers.count; i++)
		if (s->workers.worker[i].started_ms)
			fprintf(page->out, "lunette_worker_start_time_seconds{worker=\"%u\"} %.3f\n", i,
				(double)s->workers.worker[i].started_ms / 1000);
}

static void write_luns(const struct page *page, const struct service *s)
{
	json_t *luns = (json_t *)(uintptr_t)config_map(s->config, CONFIG_LUN, NULL), *lun;
	const char *name, *store;

	write_family(page, "lunette_lun_size_bytes", GAUGE, "bytes", "capacity of the LUN");
	json_object_foreach(luns, name, lun) {
		fputs("lunette_lun_size_bytes{", page->out);
		write_label(page->out, "lun", name);
		fprintf(page->out, "} %" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(lun, "size_bytes")));
	}
	write_family(page, "lunette_lun", INFO, "", "the store that holds the LUN");
	json_object_foreach(luns, name, lun) {
		store = json_string_value(json_object_get(lun, "store"));
		fputs("lunette_lun_info{", page->out);
		write_label(page->out, "lun", name);
		fputc(',', page->out);
		write_label(page->out, "store", store ? store : "default");
		fputs("} 1\n", page->out);
	}
}

static void write_control(const struct page *page, const struct service *s)
{
	enum health health;

	json_decref(health_view(s, &health));
	write_family(page, "lunette_build", INFO, "", "version of the daemon");
	fprintf(page->out, "lunette_build_info{version=\"%s\"} 1\n", LUNETTE_VERSION);
	write_value(page, "lunette_health", GAUGE, "", "0 ok, 1 warning, 2 error; GET /api/v1/health says why", health);
	write_value(page, "lunette_luns", GAUGE, "", "configured LUNs",
		    (double)json_object_size(config_map(s->config, CONFIG_LUN, NULL)));
	write_value(page, "lunette_targets", GAUGE, "", "configured targets",
		    (double)json_object_size(config_map(s->config, CONFIG_TARGET, NULL)));
	write_value(page, "lunette_state_free_bytes", GAUGE, "bytes", "free space on the file system of the state directory",
		    (double)s->disk_free_bytes);
	write_value(page, "lunette_state_size_bytes", GAUGE, "bytes", "size of the file system of the state directory",
		    (double)s->disk_total_bytes);
	write_value(page, "lunette_event_streams", GAUGE, "", "clients that follow the events", s->events.stream_count);
}

/* --- what the monitor knows --- */

/* What it measures beside the counters. The host is the one that is scraped: it needs no label. */
static const struct measured_row {
	const char *name, *unit;
	enum object_kind kind;
	enum metric_id metric;
	double factor;
	const char *meaning;
} measured_rows[] = {
	{ "lunette_worker_cpu_ratio", "ratio", OBJECT_WORKER, METRIC_cpu_percent, 0.01,
	  "CPU time of the worker process a second; 1 is one CPU" },
	{ "lunette_worker_memory_bytes", "bytes", OBJECT_WORKER, METRIC_memory_bytes, 1, "resident set of the worker process" },
	{ "lunette_host_cpu_ratio", "ratio", OBJECT_HOST, METRIC_cpu_percent, 0.01,
	  "CPU time of the whole machine a second; 1 is one CPU" },
	{ "lunette_host_memory_bytes", "bytes", OBJECT_HOST, METRIC_memory_bytes, 1, "memory in use on the whole machine" },
};

static void write_measured(const struct page *page, const struct monitor *monitor, const struct measured_row *row)
{
	const struct monitor_object **list;
	size_t count = monitor_list(monitor, row->kind, &list);

	write_family(page, row->name, GAUGE, row->unit, row->meaning);
	for (size_t i = 0; i < count; i++) {
		if (isnan(list[i]->value[row->metric]))
			continue;
		fputs(row->name, page->out);
		if (row->kind != OBJECT_HOST) {
			fputc('{', page->out);
			write_label(page->out, object_kind_name(row->kind), list[i]->object.name);
			fputc('}', page->out);
		}
		fprintf(page->out, " %.17g\n", list[i]->value[row->metric] * row->factor);
	}
	free(list);
}

static void write_monitor(const struct page *page, const struct monitor *monitor)
{
	struct monitor_state state;

	if (!monitor)
		return;
	state = monitor_state(monitor);
	for (size_t i = 0; i < sizeof measured_rows / sizeof measured_rows[0]; i++)
		write_measured(page, monitor, &measured_rows[i]);
	write_value(page, "lunette_history_files", GAUGE, "", "files of the history", (double)state.files);
	write_value(page, "lunette_history_set_aside", COUNTER, "", "files of the history that were not as they should be",
		    (double)state.set_aside);
	write_value(page, "lunette_history_write_failures", COUNTER, "", "writes to the history that failed",
		    (double)state.write_failures);
	write_value(page, "lunette_history_paused", GAUGE, "", "1 while nothing is recorded for want of space", state.paused);
}

/* --- the way out --- */

static char *metrics_text(const struct service *s, bool open_metrics)
{
	char *text = NULL;
	size_t size;
	struct page page = { open_memstream(&text, &size), open_metrics };

	if (!page.out)
		return NULL;
	write_control(&page, s);
	write_workers(&page, s);
	write_luns(&page, s);
	write_objects(&page, s);
	write_monitor(&page, s->monitoring.monitor);
	if (open_metrics)
		fputs("# EOF\n", page.out);
	return fclose(page.out) == 0 ? text : NULL;
}

void get_metrics(struct request *rq)
{
	static const char *const types[] = { "text/plain", "application/openmetrics-text" };
	bool open_metrics = accept_choose(rq->accept, types, 2) == 1;

	answer_text(rq, 200, open_metrics ? OPEN_METRICS_TYPE : TEXT_TYPE, metrics_text(rq->service, open_metrics));
}
