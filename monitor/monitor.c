/*
 * The objects that are sampled, what is known of each, and their rows on the way to the history: see monitor.h.
 *
 * The list is sorted by object_compare, so that a second's counters (sorted likewise) and names are found by bisection.
 * Rows are handed to the history about once a minute, spread over the objects by their names.
 */
#include "monitor/monitor.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hash.h"
#include "monitor/collect.h"
#include "monitor/history.h"
#include "monitor/host.h"
#include "monitor/sampler.h"

#define FIRST_WRITE_S  10  /* a new object has a file so long after it was first seen */
#define WRITE_S        55  /* and then its rows are written so often, */
#define WRITE_SPREAD_S 10  /* give or take */
#define SPREAD_FROM    64  /* objects; with more the first writes are spread as well */
#define ROWS_ROOM      90
#define SESSION_KEEP   300
#define SESSION_DROP   60  /* rows at a time; of many sessions not all in the same second */
#define HEAT_STEP_S    10
#define HEAT_ROOM      12
#define PEAK_SAMPLES   30
#define GONE_SAMPLES   5   /* an object that was not seen so often is gone */
#define RETAIN_S       3600
#define PROC           "/proc"

struct entry {
	struct monitor_object shown;  /* first: what is lent out */
	struct sampler sampler;
	struct host_probe probe;
	struct history_rows *rows, *heat;
	uint64_t heat_reads[HEAT_BUCKETS], heat_writes[HEAT_BUCKETS]; /* since the last heat row */
	double peak[METRICS], peak_before[METRICS];
	unsigned peak_samples;
	uint64_t seen;                /* monitor.samples when it was */
	bool active;                  /* some command was counted */
	int64_t write_s;              /* when its rows are handed over; 0: not planned yet */
};

struct monitor {
	struct history *history;
	struct entry **list;
	size_t count, room;
	size_t next;                  /* after the object last seen: what is sampled mostly comes in order */
	uint64_t samples;
	int64_t sampled_s, retain_s;
	uint64_t sampled_ns, workers; /* monotonic; those that were sampled then: struct counters */
	char host[STATS_NAME_MAX];
};

/* --- objects --- */

static size_t place_of(const struct monitor *m, const struct object_name *object)
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (object_compare(&m->list[middle]->shown.object, object) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct monitor *m, size_t at, const struct object_name *object)
{
	return at < m->count && object_compare(&m->list[at]->shown.object, object) == 0;
}

static struct entry *find(const struct monitor *m, const struct object_name *object)
{
	size_t at = place_of(m, object);

	return is_at(m, at, object) ? m->list[at] : NULL;
}

static void unknown(double value[METRICS])
{
	for (unsigned i = 0; i < METRICS; i++)
		value[i] = NAN;
}

static void entry_free(struct entry *entry)
{
	history_rows_free(entry->rows);
	history_rows_free(entry->heat);
	free(entry);
}

static size_t rows_room(const struct object_name *object)
{
	if (object->kind != OBJECT_SESSION)
		return ROWS_ROOM;
	return SESSION_KEEP + SESSION_DROP + hash_text(object->name) % SESSION_DROP;
}

static struct entry *entry_new(const struct object_name *object)
{
	bool heat = object->kind == OBJECT_LUN;
	struct entry *entry = calloc(1, sizeof *entry);

	if (!entry)
		return NULL;
	entry->shown.object = *object;
	unknown(entry->shown.value);
	unknown(entry->shown.peak);
	unknown(entry->peak);
	unknown(entry->peak_before);
	entry->active = object->kind == OBJECT_WORKER || object->kind == OBJECT_HOST;
	entry->rows = history_rows_new(HISTORY_METRICS, object, rows_room(object));
	entry->heat = heat ? history_rows_new(HISTORY_HEAT, object, HEAT_ROOM) : NULL;
	if (entry->rows && (entry->heat || !heat))
		return entry;
	entry_free(entry);
	return NULL;
}

static struct entry *seen_now(struct monitor *m, struct entry *entry)
{
	if (entry->seen != m->samples)
		unknown(entry->shown.value);
	entry->seen = m->samples;
	return entry;
}

/* The object, seen now; NULL without memory: it is looked for again in a second. */
static struct entry *see(struct monitor *m, enum object_kind kind, const char *name)
{
	struct object_name object = { .kind = kind };
	struct entry *entry;
	size_t at;

	snprintf(object.name, sizeof object.name, "%s", name);
	at = is_at(m, m->next, &object) ? m->next : place_of(m, &object);
	m->next = at + 1;
	if (is_at(m, at, &object))
		return seen_now(m, m->list[at]);
	if (m->count == m->room) {
		size_t room = m->room ? 2 * m->room : 64;
		struct entry **list = realloc(m->list, room * sizeof *list);

		if (!list)
			return NULL;
		m->list = list;
		m->room = room;
	}
	entry = entry_new(&object);
	if (!entry)
		return NULL;
	memmove(m->list + at + 1, m->list + at, (m->count - at) * sizeof *m->list);
	m->list[at] = entry;
	m->count++;
	return seen_now(m, entry);
}

/* --- a sample --- */

/* What is new on workers that were there a second ago begins with nothing; on others it may have counted for long. */
static void begin_if_new(const struct monitor *m, struct entry *entry, const struct counters *counters)
{
	if (!entry->sampler.known && m->workers && (counters->workers & ~m->workers) == 0)
		sampler_begin(&entry->sampler, counters->workers, m->sampled_ns);
}

static void take_counters(struct monitor *m, const struct monitor_input *input)
{
	struct counters *list;
	size_t count = collect(input->segments, input->worker_count, m->host, MONITOR_SESSIONS_MAX, &list);
	uint64_t workers = 0;

	for (size_t i = 0; i < count; i++) {
		struct entry *entry = see(m, list[i].object.kind, list[i].object.name);
		struct sample sample;

		if (list[i].object.kind == OBJECT_WORKER)
			workers |= list[i].workers;
		if (!entry)
			continue;
		if (list[i].object.kind != OBJECT_SESSION || count < MONITOR_SESSIONS_MAX) /* all sessions are seen */
			begin_if_new(m, entry, &list[i]);
		sampler_take(&entry->sampler, &list[i], input->now_ns, &sample);
		memcpy(entry->shown.value, sample.value, sizeof sample.value);
		entry->active |= sample.active;
		for (unsigned b = 0; b < HEAT_BUCKETS; b++) {
			entry->heat_reads[b] += sample.heat_reads[b];
			entry->heat_writes[b] += sample.heat_writes[b];
		}
	}
	m->workers = workers;
	m->sampled_ns = input->now_ns;
	free(list);
}

/* Configured objects are there even when no worker serves them. */
static void take_configuration(struct monitor *m, const struct monitor_input *input, struct entry *host)
{
	double size_bytes = 0, allocated_bytes = 0;

	for (size_t i = 0; i < input->lun_count; i++) {
		struct entry *entry = see(m, OBJECT_LUN, input->luns[i].name);

		size_bytes += (double)input->luns[i].size_bytes;
		if (!entry)
			continue;
		entry->shown.value[METRIC_size_bytes] = (double)input->luns[i].size_bytes;
		if (!isnan(entry->shown.value[METRIC_allocated_bytes]))
			allocated_bytes += entry->shown.value[METRIC_allocated_bytes];
	}
	for (size_t i = 0; i < input->target_count; i++)
		see(m, OBJECT_TARGET, input->targets[i]);
	if (!host)
		return;
	host->shown.value[METRIC_size_bytes] = size_bytes;
	host->shown.value[METRIC_allocated_bytes] = allocated_bytes;
	if (input->state_size_bytes) {
		host->shown.value[METRIC_state_size_bytes] = (double)input->state_size_bytes;
		host->shown.value[METRIC_state_used_bytes] = (double)input->state_used_bytes;
	}
}

static void take_process(struct entry *entry, pid_t pid, uint64_t now_ns)
{
	struct host_sample sample;

	host_look(&entry->probe, PROC, pid, now_ns, &sample);
	entry->shown.value[METRIC_cpu_percent] = sample.cpu_percent;
	entry->shown.value[METRIC_memory_bytes] = sample.memory_bytes;
}

static void take_processes(struct monitor *m, const struct monitor_input *input, struct entry *host)
{
	char name[16];

	for (unsigned i = 0; i < input->worker_count; i++) {
		struct entry *entry;

		snprintf(name, sizeof name, "%u", i);
		entry = see(m, OBJECT_WORKER, name);
		if (entry && input->pids[i])
			take_process(entry, input->pids[i], input->now_ns);
	}
	if (host)
		take_process(host, 0, input->now_ns);
}

static double larger(double a, double b)
{
	return isnan(a) || b > a ? b : a;
}

static void take_peak(struct entry *entry)
{
	if (entry->peak_samples++ == PEAK_SAMPLES) {
		memcpy(entry->peak_before, entry->peak, sizeof entry->peak);
		unknown(entry->peak);
		entry->peak_samples = 1;
	}
	for (unsigned i = 0; i < METRICS; i++) {
		entry->peak[i] = larger(entry->peak[i], entry->shown.value[i]);
		entry->shown.peak[i] = larger(entry->peak[i], entry->peak_before[i]);
	}
}

/* --- rows --- */

static void hand_over(struct monitor *m, struct entry *entry, struct history_rows **rows)
{
	struct history_rows *full = *rows;

	*rows = history_rows_new(full->table, &full->object, full->room);
	if (!*rows) { /* no memory: the same rows are used again, what is in them is lost */
		*rows = full;
		full->count = 0;
		return;
	}
	full->begins_no_file = !entry->active;
	history_write(m->history, full);
}

static void hand_over_all(struct monitor *m, struct entry *entry)
{
	hand_over(m, entry, &entry->rows);
	if (entry->heat)
		hand_over(m, entry, &entry->heat);
}

/* The oldest go: sessions have no files, their rows stay here. */
static void drop_oldest(struct history_rows *rows, size_t count)
{
	rows->count -= count;
	memmove(rows->time_s, rows->time_s + count, rows->count * sizeof *rows->time_s);
	memmove(rows->value, rows->value + count * rows->width, rows->count * rows->width * sizeof *rows->value);
}

/* The wall clock may have been set back: rows begin anew then. */
static void make_room(struct monitor *m, struct entry *entry, struct history_rows **rows, int64_t time_s)
{
	size_t count = (*rows)->count;
	bool back = count && (*rows)->time_s[count - 1] >= time_s;

	if (count < (*rows)->room && !back)
		return;
	if (entry->shown.object.kind == OBJECT_SESSION)
		drop_oldest(*rows, back ? count : SESSION_DROP);
	else
		hand_over(m, entry, rows);
}

static void add_row(struct monitor *m, struct entry *entry, int64_t time_s)
{
	double *value;
	unsigned column = 0;

	make_room(m, entry, &entry->rows, time_s);
	value = history_rows_add(entry->rows, time_s);
	for (unsigned i = 0; value && i < METRICS; i++)
		if (metric_of((enum metric_id)i, entry->shown.object.kind))
			value[column++] = entry->shown.value[i];
}

static void add_heat_row(struct monitor *m, struct entry *entry, int64_t time_s)
{
	double *value;

	make_room(m, entry, &entry->heat, time_s);
	value = history_rows_add(entry->heat, time_s);
	for (unsigned b = 0; value && b < HEAT_BUCKETS; b++) {
		value[b] = (double)entry->heat_reads[b] / HEAT_STEP_S;
		value[HEAT_BUCKETS + b] = (double)entry->heat_writes[b] / HEAT_STEP_S;
	}
	memset(entry->heat_reads, 0, sizeof entry->heat_reads);
	memset(entry->heat_writes, 0, sizeof entry->heat_writes);
}

static int64_t spread(const struct entry *entry, int64_t time_s, unsigned over_s)
{
	return (int64_t)((hash_text(entry->shown.object.name) ^ (uint64_t)time_s) % over_s);
}

static void write_if_due(struct monitor *m, struct entry *entry, int64_t time_s)
{
	if (entry->write_s == 0)
		entry->write_s = time_s + FIRST_WRITE_S + (m->count > SPREAD_FROM ? spread(entry, time_s, WRITE_S) : 0);
	if (time_s < entry->write_s || entry->shown.object.kind == OBJECT_SESSION)
		return;
	hand_over_all(m, entry);
	entry->write_s = time_s + WRITE_S + spread(entry, time_s, WRITE_SPREAD_S);
}

static void add_rows(struct monitor *m, int64_t time_s)
{
	bool heat = m->sampled_s && time_s / HEAT_STEP_S != m->sampled_s / HEAT_STEP_S;

	for (size_t i = 0; i < m->count; i++) {
		struct entry *entry = m->list[i];

		if (entry->seen != m->samples) {
			unknown(entry->shown.value);
			continue;
		}
		take_peak(entry);
		add_row(m, entry, time_s);
		if (heat && entry->heat)
			add_heat_row(m, entry, time_s / HEAT_STEP_S * HEAT_STEP_S);
		write_if_due(m, entry, time_s);
	}
}

/* What is known of it goes to its file. */
static void let_go(struct monitor *m, struct entry *entry)
{
	if (entry->shown.object.kind != OBJECT_SESSION)
		hand_over_all(m, entry);
	entry_free(entry);
}

static void forget_gone(struct monitor *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->count; i++) {
		if (m->samples - m->list[i]->seen < GONE_SAMPLES)
			m->list[kept++] = m->list[i];
		else
			let_go(m, m->list[i]);
	}
	m->count = kept;
}

static void retain(struct monitor *m, int64_t time_s)
{
	struct object_name *objects;

	if (time_s < m->retain_s)
		return;
	m->retain_s = time_s + RETAIN_S;
	objects = malloc((m->count + 1) * sizeof *objects);
	for (size_t i = 0; objects && i < m->count; i++)
		objects[i] = m->list[i]->shown.object;
	if (objects)
		history_retain(m->history, objects, m->count);
}

void monitor_sample(struct monitor *m, const struct monitor_input *input)
{
	int64_t time_s = (int64_t)((input->wall_ms + 500) / 1000);
	struct entry *host;

	m->samples++;
	take_counters(m, input);
	host = see(m, OBJECT_HOST, m->host);
	take_configuration(m, input, host);
	take_processes(m, input, host);
	for (size_t i = 0; i < m->count; i++)
		if (m->list[i]->seen == m->samples)
			m->list[i]->shown.sampled_ms = input->wall_ms;
	if (time_s != m->sampled_s)
		add_rows(m, time_s);
	m->sampled_s = time_s;
	forget_gone(m);
	retain(m, time_s);
}

void monitor_know(struct monitor *m, const struct monitor_input *input)
{
	take_configuration(m, input, NULL);
}

/* --- what is asked --- */

const char *monitor_host(const struct monitor *m)
{
	return m->host;
}

const struct monitor_object *monitor_find(const struct monitor *m, const struct object_name *object)
{
	const struct entry *entry = find(m, object);

	return entry ? &entry->shown : NULL;
}

size_t monitor_list(const struct monitor *m, enum object_kind kind, const struct monitor_object ***ret_list)
{
	struct object_name first = { .kind = kind };
	size_t at = place_of(m, &first), count = 0;
	const struct monitor_object **list = malloc((m->count - at + 1) * sizeof *list);

	for (; list && at < m->count && m->list[at]->shown.object.kind == kind; at++)
		list[count++] = &m->list[at]->shown;
	*ret_list = list;
	return count;
}

void monitor_series(struct monitor *m, struct series_query *query, monitor_series_done done, void *arg)
{
	struct history_rows **pending = calloc(query->object_count + 1, sizeof *pending);

	for (size_t i = 0; pending && i < query->object_count; i++) {
		const struct entry *entry = find(m, &query->objects[i]);

		pending[i] = entry ? history_rows_copy(entry->rows) : NULL;
	}
	history_series(m->history, query, pending, done, arg);
	free(pending);
}

void monitor_heat(struct monitor *m, const struct object_name *object, bool reads, bool writes, int64_t from_s, int64_t to_s,
		  monitor_heat_done done, void *arg)
{
	const struct entry *entry = find(m, object);

	history_heat(m->history, object, reads, writes, from_s, to_s,
		     entry && entry->heat ? history_rows_copy(entry->heat) : NULL, done, arg);
}

void monitor_keep_days(struct monitor *m, unsigned keep_days)
{
	history_keep_days(m->history, keep_days);
}

struct monitor_state monitor_state(const struct monitor *m)
{
	return history_state(m->history);
}

/* --- life --- */

static void name_host(struct monitor *m)
{
	if (gethostname(m->host, 65) || m->host[0] == '\0')
		strcpy(m->host, "localhost");
	for (char *c = m->host; *c; c++)
		if (*c <= ' ' || *c == ',' || *c >= 0x7f)
			*c = '_';
}

struct monitor *monitor_open(struct history *history)
{
	struct monitor *m = history ? calloc(1, sizeof *m) : NULL;

	if (!m) {
		history_free(history);
		return NULL;
	}
	name_host(m);
	m->history = history;
	return m;
}

struct monitor *monitor_new(const char *dir, unsigned keep_days, struct mailbox *mailbox)
{
	return monitor_open(history_new(dir, keep_days, mailbox));
}

void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->count; i++)
		let_go(m, m->list[i]);
	free(m->list);
	history_free(m->history);
	free(m);
}
