/* The registry of commands that run long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/scsi/jobs.h"

static char last_event[512];

static void on_event(const char *kind, const char *object, const char *text)
{
	snprintf(last_event, sizeof last_event, "%s %s %s", kind, object, text);
}

static int setup(void **state)
{
	*state = scsi_jobs_new(3, on_event);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	scsi_jobs_free(*state);
	return 0;
}

static struct scsi_job *start(struct scsi_jobs *jobs, const char *kind, bool cancellable)
{
	struct scsi_job *job;

	assert_true(scsi_job_start(jobs, &(struct scsi_job_facts){ kind, "vol1", "iqn.1994-05.com.example:h1", 1000, cancellable },
				   &job));
	assert_non_null(job);
	return job;
}

/* The member of the newest job. */
static const json_t *newest(struct scsi_jobs *jobs, json_t **ret_list, const char *member)
{
	*ret_list = scsi_jobs_json(jobs);
	return json_object_get(json_array_get(*ret_list, json_array_size(*ret_list) - 1), member);
}

static void expect_text(struct scsi_jobs *jobs, const char *member, const char *text)
{
	json_t *list;

	assert_string_equal(json_string_value(newest(jobs, &list, member)), text);
	json_decref(list);
}

static void expect_number(struct scsi_jobs *jobs, const char *member, json_int_t number)
{
	json_t *list;

	assert_int_equal(json_integer_value(newest(jobs, &list, member)), number);
	json_decref(list);
}

static void a_job_is_seen_from_start_to_end(void **state)
{
	struct scsi_jobs *jobs = *state;
	struct scsi_job *job = start(jobs, "sanitize", false);

	assert_string_equal(last_event, "job lun:vol1 sanitize started by iqn.1994-05.com.example:h1");
	expect_text(jobs, "state", "running");
	expect_text(jobs, "object", "lun:vol1");
	expect_text(jobs, "actor", "iqn.1994-05.com.example:h1");
	expect_number(jobs, "progress_percent", 0);
	scsi_job_progress(job, 255);
	expect_number(jobs, "progress_percent", 25);
	expect_number(jobs, "done_bytes", 255);
	scsi_job_set_total(job, 510);
	expect_number(jobs, "progress_percent", 50);
	scsi_job_end(job, JOB_SUCCEEDED, NULL);
	assert_string_equal(last_event, "job lun:vol1 sanitize done");
	expect_text(jobs, "state", "succeeded");
	expect_number(jobs, "progress_percent", 100);
}

static void a_failure_says_why(void **state)
{
	struct scsi_jobs *jobs = *state;
	json_t *list;

	scsi_job_end(start(jobs, "extended-copy", true), JOB_FAILED, "the source cannot be read");
	assert_string_equal(json_string_value(json_object_get(newest(jobs, &list, "problem"), "detail")), "the source cannot be read");
	json_decref(list);
	assert_string_equal(last_event, "job lun:vol1 extended-copy failed: the source cannot be read");
}

static void only_what_may_stop_is_cancelled(void **state)
{
	struct scsi_jobs *jobs = *state;
	struct scsi_job *copy = start(jobs, "extended-copy", true), *sanitize;
	char id[64];
	json_t *list;

	snprintf(id, sizeof id, "%s", json_string_value(newest(jobs, &list, "id")));
	json_decref(list);
	assert_string_equal(strchr(id, '-'), "-3");
	assert_false(scsi_job_cancelled(copy));
	assert_int_equal(scsi_jobs_cancel(jobs, id), 0);
	assert_true(scsi_job_cancelled(copy));
	scsi_job_end(copy, JOB_CANCELLED, NULL);
	expect_text(jobs, "state", "cancelled");
	assert_int_equal(scsi_jobs_cancel(jobs, id), -EALREADY);
	sanitize = start(jobs, "sanitize", false);
	snprintf(id, sizeof id, "%s", json_string_value(newest(jobs, &list, "id")));
	json_decref(list);
	assert_int_equal(scsi_jobs_cancel(jobs, id), -EPERM);
	assert_false(scsi_job_cancelled(sanitize));
	assert_int_equal(scsi_jobs_cancel(jobs, "17-3"), -ENOENT);
	scsi_job_end(sanitize, JOB_SUCCEEDED, NULL);
}

static void their_number_is_bounded_and_the_oldest_is_forgotten(void **state)
{
	struct scsi_jobs *jobs = *state;
	const struct scsi_job_facts facts = { .kind = "sanitize", .lun = "vol1" };
	struct scsi_job *job[SCSI_JOBS_MAX], *more;
	json_t *list;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < SCSI_JOBS_MAX; i++)
			job[i] = start(jobs, "extended-copy", true);
		assert_false(scsi_job_start(jobs, &facts, &more));
		assert_null(more);
		for (unsigned i = 0; i < SCSI_JOBS_MAX; i++)
			scsi_job_end(job[i], JOB_SUCCEEDED, NULL);
	}
	list = scsi_jobs_json(jobs);
	assert_int_equal(json_array_size(list), SCSI_JOBS_MAX + SCSI_JOBS_KEPT);
	json_decref(list);
}

static void without_a_registry_a_command_runs_unseen(void **state)
{
	const struct scsi_job_facts facts = { .kind = "sanitize", .lun = "vol1" };
	struct scsi_job *job;

	(void)state;
	assert_true(scsi_job_start(NULL, &facts, &job));
	assert_null(job);
	scsi_job_progress(job, 1);
	scsi_job_set_total(job, 1);
	assert_false(scsi_job_cancelled(job));
	scsi_job_end(job, JOB_SUCCEEDED, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_job_is_seen_from_start_to_end),
		TEST(a_failure_says_why),
		TEST(only_what_may_stop_is_cancelled),
		TEST(their_number_is_bounded_and_the_oldest_is_forgotten),
		TEST(without_a_registry_a_command_runs_unseen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
