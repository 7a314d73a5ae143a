/* The queue and the thread of the history: see history.h. What is in the files: history_files.h; answers: history_query.h. */
#include "monitor/history.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "list.h"
#include "log.h"
#include "monitor/history_files.h"
#include "monitor/history_query.h"
#include "thread.h"

#define FREE_WRITE_NS (2 * NS_PER_S) /* history_free goes on writing for so long */
#define FREE_WAIT_S   4              /* and waits for the thread: a disk may hang */

enum job_kind { JOB_ROWS, JOB_RETAIN, JOB_SERIES, JOB_HEAT };

struct job {
	struct job *next;          /* in the queue */
	enum job_kind kind;
	struct history_rows *rows; /* JOB_ROWS */
	struct object_name *objects; /* JOB_RETAIN */
	size_t object_count;
	struct question *question; /* JOB_SERIES, JOB_HEAT */
};

struct question {
	struct job job;
	struct mail mail;
	struct history *history;   /* NULL: history_free gave the answer */
	struct question *next;     /* not answered yet; control thread */
	void *arg;
	int error;
	struct history_rows **pending; /* pending_count */
	size_t pending_count;
	union {
		struct {
			struct series_query query;
			struct object_name missing;
			struct series_set *set;
			monitor_series_done done;
		} series;
		struct {
			struct object_name object;
			bool reads, writes;
			int64_t from_s, to_s;
			struct heat_map *map;
			monitor_heat_done done;
		} heat;
	};
};

struct history {
	struct mailbox *mailbox;
	struct history_files *files; /* NULL: none */
	pthread_t thread;
	struct question *questions;  /* control thread */
	unsigned question_count;     /* control thread */
	_Atomic unsigned keep_days;
	size_t queue_bytes_max;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t work, end;
	struct job *first, **last;
	size_t queue_bytes;   /* of rows that wait */
	uint64_t dropped;     /* batches, since the queue was last empty */
	bool stopping, ended, abandoned; /* ended: nothing but the join is left; abandoned: the thread frees everything */
	uint64_t stop_ns;     /* nothing is written from then on */
};

/* --- rows --- */

unsigned history_width(enum history_table table, enum object_kind kind)
{
	enum metric_id column[METRICS];

	return table == HISTORY_HEAT ? 2 * HEAT_BUCKETS : metric_columns(kind, column);
}

int history_column(enum object_kind kind, enum metric_id metric)
{
	enum metric_id column[METRICS];
	unsigned width = metric_columns(kind, column);

	for (unsigned i = 0; i < width; i++)
		if (column[i] == metric)
			return (int)i;
	return -1;
}

static size_t rows_bytes(size_t width, size_t room)
{
	return sizeof(struct history_rows) + room * sizeof(int64_t) + room * width * sizeof(double);
}

struct history_rows *history_rows_new(enum history_table table, const struct object_name *object, size_t room)
{
	unsigned width = history_width(table, object->kind);
	struct history_rows *rows = malloc(rows_bytes(width, room));

	if (!rows)
		return NULL;
	*rows = (struct history_rows){ .table = table, .object = *object, .width = width, .room = room,
				       .time_s = (int64_t *)(rows + 1) };
	rows->value = (double *)(rows->time_s + room);
	return rows;
}

void history_rows_free(struct history_rows *rows)
{
	free(rows);
}

double *history_rows_add(struct history_rows *rows, int64_t time_s)
{
	double *value = rows->value + rows->count * rows->width;

	if (rows->count == rows->room || (rows->count && time_s <= rows->time_s[rows->count - 1]))
		return NULL;
	rows->time_s[rows->count++] = time_s;
	for (size_t i = 0; i < rows->width; i++)
		value[i] = NAN;
	return value;
}

struct history_rows *history_rows_copy(const struct history_rows *rows)
{
	struct history_rows *copy = history_rows_new(rows->table, &rows->object, rows->count);

	if (!copy)
		return NULL;
	copy->count = rows->count;
	memcpy(copy->time_s, rows->time_s, rows->count * sizeof *rows->time_s);
	memcpy(copy->value, rows->value, rows->count * rows->width * sizeof *rows->value);
	return copy;
}

/* --- jobs --- */

static void job_free(struct job *job) /* no question's */
{
	history_rows_free(job->rows);
	free(job->objects);
	free(job);
}

static void question_free(struct question *q)
{
	if (q->job.kind == JOB_SERIES) {
		free(q->series.query.objects);
		series_set_free(q->series.set);
	} else {
		heat_map_free(q->heat.map);
	}
	for (size_t i = 0; i < q->pending_count; i++)
		history_rows_free(q->pending[i]);
	free(q->pending);
	free(q);
}

static size_t job_bytes(const struct job *job)
{
	return job->rows ? rows_bytes(job->rows->width, job->rows->room) : 0;
}

/* Called locked. The oldest rows that wait; false: none do. */
static bool drop_oldest(struct history *h)
{
	struct job **at = &h->first, *job;

	while (*at && (*at)->kind != JOB_ROWS)
		at = &(*at)->next;
	job = *at;
	if (!job)
		return false;
	*at = job->next;
	if (!job->next)
		h->last = at;
	h->queue_bytes -= job_bytes(job);
	if (h->dropped++ == 0)
		log_warning("history is lost: the disk does not keep up, %zu bytes wait for it", h->queue_bytes);
	job_free(job);
	return true;
}

static void submit(struct history *h, struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&h->lock);
	*h->last = job;
	h->last = &job->next;
	h->queue_bytes += job_bytes(job);
	while (h->queue_bytes > h->queue_bytes_max && drop_oldest(h))
		continue;
	pthread_cond_signal(&h->work);
	pthread_mutex_unlock(&h->lock);
}

/* NULL: the end. */
static struct job *take(struct history *h)
{
	struct job *job;

	pthread_mutex_lock(&h->lock);
	while (!h->first && !h->stopping)
		pthread_cond_wait(&h->work, &h->lock);
	job = h->first;
	if (job) {
		h->first = job->next;
		if (!h->first)
			h->last = &h->first;
		h->queue_bytes -= job_bytes(job);
	}
	if (!h->first && h->dropped) {
		log_notice("history is written again: %llu batches were lost", (unsigned long long)h->dropped);
		h->dropped = 0;
	}
	pthread_mutex_unlock(&h->lock);
	return job;
}

/* --- answers --- */

static void give_series(struct question *q)
{
	struct series_set *set = q->series.set;

	q->series.set = NULL;
	q->series.done(q->arg, q->error, q->error == -ENOENT ? &q->series.missing : NULL, set);
}

static void give_heat(struct question *q)
{
	struct heat_map *map = q->heat.map;

	q->heat.map = NULL;
	q->heat.done(q->arg, q->error, map);
}

static void give(struct question *q)
{
	if (q->job.kind == JOB_SERIES)
		give_series(q);
	else
		give_heat(q);
}

static void deliver(struct mail *mail)
{
	struct question *q = container_of(mail, struct question, mail), **at;
	struct history *h = q->history;

	if (h) {
		for (at = &h->questions; *at != q;)
			at = &(*at)->next;
		*at = q->next;
		h->question_count--;
		give(q);
	}
	question_free(q);
}

static void answer(struct history *h, struct question *q)
{
	int64_t now_s = (int64_t)(clock_wall_ms() / 1000);

	if (q->job.kind == JOB_SERIES)
		q->error = history_answer_series(h->files, &q->series.query, q->pending, now_s, &q->series.missing,
						 &q->series.set);
	else
		q->error = history_answer_heat(h->files, &q->heat.object, q->heat.reads, q->heat.writes, q->heat.from_s,
					       q->heat.to_s, q->pending[0], now_s, &q->heat.map);
}

/* --- the thread --- */

static void work_on(struct history *h, struct job *job, bool late)
{
	int64_t now_s = (int64_t)(clock_wall_ms() / 1000);

	if (job->kind == JOB_ROWS && h->files && !late)
		history_files_write(h->files, job->rows, now_s);
	else if (job->kind == JOB_RETAIN && h->files && !late)
		history_files_retain(h->files, job->objects, job->object_count, h->keep_days, now_s);
	job_free(job);
}

/* A question, answered or not, goes back to the control thread, unless that waits no more. */
static void send_back(struct history *h, struct question *q)
{
	q->mail.run = deliver;
	pthread_mutex_lock(&h->lock);
	if (!h->abandoned)
		mailbox_post(h->mailbox, &q->mail);
	else
		question_free(q);
	pthread_mutex_unlock(&h->lock);
}

static void history_destroy(struct history *h)
{
	history_files_free(h->files);
	pthread_cond_destroy(&h->work);
	pthread_cond_destroy(&h->end);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static void *run(void *arg)
{
	struct history *h = arg;
	struct job *job;
	bool abandoned;

	while ((job = take(h))) {
		struct question *q = job->question;
		bool stopping, late;

		pthread_mutex_lock(&h->lock);
		stopping = h->stopping;
		late = stopping && clock_now_ns() >= h->stop_ns;
		pthread_mutex_unlock(&h->lock);
		if (!q) {
			work_on(h, job, late);
			continue;
		}
		if (!stopping)
			answer(h, q);
		send_back(h, q);
	}
	pthread_mutex_lock(&h->lock);
	abandoned = h->abandoned;
	h->ended = true;
	pthread_cond_signal(&h->end);
	pthread_mutex_unlock(&h->lock);
	if (abandoned)
		history_destroy(h);
	return NULL;
}

static bool start_thread(struct history *h)
{
	return thread_start(&h->thread, run, h) == 0;
}

struct history *history_open(const struct history_options *options)
{
	struct history *h = calloc(1, sizeof *h);
	pthread_condattr_t attr;

	if (!h)
		return NULL;
	h->mailbox = options->mailbox;
	h->keep_days = options->keep_days;
	h->queue_bytes_max = options->queue_bytes ? options->queue_bytes : HISTORY_QUEUE_BYTES;
	h->last = &h->first;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->work, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->end, &attr);
	pthread_condattr_destroy(&attr);
	h->files = options->dir ? history_files_new(options) : NULL;
	if ((options->dir && !h->files) || !start_thread(h)) {
		history_destroy(h);
		return NULL;
	}
	return h;
}

struct history *history_new(const char *dir, unsigned keep_days, struct mailbox *mailbox)
{
	struct history_options options = { .dir = dir, .keep_days = keep_days, .mailbox = mailbox };

	return history_open(&options);
}

/* Tells who asked; the questions themselves come back through the mailbox. */
static void cancel_questions(struct history *h)
{
	struct question *q;

	while ((q = h->questions)) {
		h->questions = q->next;
		q->history = NULL;
		if (q->job.kind == JOB_SERIES)
			q->series.done(q->arg, -ECANCELED, NULL, NULL);
		else
			q->heat.done(q->arg, -ECANCELED, NULL);
	}
}

void history_free(struct history *h)
{
	struct timespec until;
	bool ended;

	if (!h)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += FREE_WAIT_S;
	pthread_mutex_lock(&h->lock);
	h->stopping = true;
	h->stop_ns = clock_now_ns() + FREE_WRITE_NS;
	pthread_cond_signal(&h->work);
	while (!h->ended && pthread_cond_timedwait(&h->end, &h->lock, &until) == 0)
		continue;
	pthread_mutex_unlock(&h->lock);
	cancel_questions(h);
	pthread_mutex_lock(&h->lock);
	ended = h->ended;
	if (!ended) {
		h->abandoned = true;
		pthread_detach(h->thread);
	}
	pthread_mutex_unlock(&h->lock);
	if (ended) {
		pthread_join(h->thread, NULL);
		history_destroy(h);
	} else {
		log_warning("history is lost: the disk does not answer");
	}
}

/* --- what control asks for --- */

void history_keep_days(struct history *h, unsigned keep_days)
{
	h->keep_days = keep_days;
}

struct monitor_state history_state(const struct history *h)
{
	return h->files ? history_files_state(h->files) : (struct monitor_state){ 0 };
}

void history_write(struct history *h, struct history_rows *rows)
{
	struct job *job = rows && rows->count && h->files ? calloc(1, sizeof *job) : NULL;

	if (!job) {
		history_rows_free(rows);
		return;
	}
	job->kind = JOB_ROWS;
	job->rows = rows;
	submit(h, job);
}

void history_retain(struct history *h, struct object_name *objects, size_t count)
{
	struct job *job = h->files ? calloc(1, sizeof *job) : NULL;

	if (!job) {
		free(objects);
		return;
	}
	job->kind = JOB_RETAIN;
	job->objects = objects;
	job->object_count = count;
	submit(h, job);
}

/* Takes over what pending points to. */
static struct question *question_new(struct history *h, enum job_kind kind, struct history_rows *const *pending,
				     size_t pending_count, void *arg)
{
	struct question *q = calloc(1, sizeof *q);
	struct history_rows **copy = q && pending ? calloc(pending_count + 1, sizeof *copy) : NULL;

	if (!copy) {
		for (size_t i = 0; pending && i < pending_count; i++)
			history_rows_free(pending[i]);
		free(q);
		return NULL;
	}
	memcpy(copy, pending, pending_count * sizeof *copy);
	*q = (struct question){ .job = { .kind = kind, .question = q }, .history = h, .arg = arg, .pending = copy,
				.pending_count = pending_count, .next = h->questions };
	h->questions = q;
	h->question_count++;
	return q;
}

/* To the thread, or, when too many wait, back at once. */
static void ask(struct history *h, struct question *q)
{
	if (h->question_count <= HISTORY_QUESTIONS_MAX) {
		submit(h, &q->job);
		return;
	}
	q->error = -EBUSY;
	send_back(h, q);
}

void history_series(struct history *h, struct series_query *query, struct history_rows *const *pending,
		    monitor_series_done done, void *arg)
{
	struct question *q = question_new(h, JOB_SERIES, pending, query->object_count, arg);

	if (!q) {
		free(query->objects);
		query->objects = NULL;
		done(arg, -ENOMEM, NULL, NULL);
		return;
	}
	q->series.query = *query;
	q->series.done = done;
	query->objects = NULL;
	ask(h, q);
}

void history_heat(struct history *h, const struct object_name *object, bool reads, bool writes, int64_t from_s, int64_t to_s,
		  struct history_rows *pending, monitor_heat_done done, void *arg)
{
	struct question *q = question_new(h, JOB_HEAT, &pending, 1, arg);

	if (!q) {
		done(arg, -ENOMEM, NULL);
		return;
	}
	q->heat.object = *object;
	q->heat.reads = reads;
	q->heat.writes = writes;
	q->heat.from_s = from_s;
	q->heat.to_s = to_s;
	q->heat.done = done;
	ask(h, q);
}
