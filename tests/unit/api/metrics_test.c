/* GET /metrics: both formats, what has which counter, bounds, names that need escaping (fixture.h). */
#include "fixture.h"

#include "monitor/monitor.h"

#define PROMETHEUS_ACCEPT                                                                                            \
	"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"              \
	"text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

static struct answered metrics(struct fixture *f, const char *accept)
{
	struct request_headers headers = { .accept = accept };
	struct answered a = call_as(f, ADMIN, "GET", "/metrics", &headers, NULL);

	assert_int_equal(a.status, 200);
	assert_non_null(a.keep->answer.body);
	return a;
}

static void assert_line(const struct answered *a, const char *line)
{
	const char *found = strstr(a->keep->answer.body, line);

	if (!found || (found != a->keep->answer.body && found[-1] != '\n') || found[strlen(line)] != '\n')
		fail_msg("no line: %s", line);
}

static unsigned count_of(const struct answered *a, const char *part)
{
	unsigned count = 0;

	for (const char *at = a->keep->answer.body; (at = strstr(at, part)); at += strlen(part))
		count++;
	return count;
}

static void a_counter_is_total_everywhere_in_the_text_format(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	stats_add(stats_claim(segment_of(f), STATS_LUN, "vol1", 0), STAT_reads, 7);
	a = metrics(f, NULL);
	assert_string_equal(a.content_type, "text/plain; version=0.0.4; charset=utf-8");
	assert_line(&a, "# TYPE lunette_lun_reads_total counter");
	assert_line(&a, "# HELP lunette_lun_reads_total READ commands completed with GOOD.");
	assert_line(&a, "lunette_lun_reads_total{lun=\"vol1\"} 7");
	assert_line(&a, "# TYPE lunette_build_info gauge");
	assert_int_equal(count_of(&a, "# UNIT"), 0);
	assert_int_equal(count_of(&a, "# EOF"), 0);
	answered_free(&a);
}

static void open_metrics_is_given_to_who_asks_for_it(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	stats_add(stats_claim(segment_of(f), STATS_LUN, "vol1", 0), STAT_read_bytes, 512);
	a = metrics(f, PROMETHEUS_ACCEPT);
	assert_string_equal(a.content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
	assert_line(&a, "# TYPE lunette_lun_read_bytes counter");
	assert_line(&a, "# UNIT lunette_lun_read_bytes bytes");
	assert_line(&a, "lunette_lun_read_bytes_total{lun=\"vol1\"} 512");
	assert_line(&a, "# TYPE lunette_build info");
	assert_string_equal(a.keep->answer.body + a.keep->answer.len_bytes - 6, "# EOF\n");
	answered_free(&a);
}

static void accept_is_read_as_a_list_with_weights(void **state)
{
	static const struct {
		const char *accept;
		bool open_metrics;
	} cases[] = {
		{ "", false }, { "*/*", false }, { "text/plain", false }, { "application/openmetrics-text", true },
		{ "text/plain;q=0.5 , Application/OpenMetrics-Text; version=1.0.0", true },
		{ "application/openmetrics-text;q=0", false }, { "application/openmetrics-text;q=0.0, */*;q=1", false },
		{ "application/openmetrics-text, text/plain;q=0", true }, { "application/openmetrics-texts", false },
		{ "application/openmetrics", false }, { ",,;;q=,", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct answered a = metrics(*state, cases[i].accept);

		if (!!strstr(a.content_type, "openmetrics") != cases[i].open_metrics)
			fail_msg("%s: %s", cases[i].accept, a.content_type);
		answered_free(&a);
	}
}

/* Families are together, nothing is in the text twice, samples follow their TYPE. */
static void check_families(struct answered *a, bool open_metrics)
{
	char *text = a->keep->answer.body, *save = NULL, family[128] = "", type[32] = "", line_start[160];

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			assert_int_equal(sscanf(line, "# HELP %127s", family), 1);
			snprintf(line_start, sizeof line_start, "# HELP %s ", family);
			assert_null(strstr(save, line_start));
		} else if (strncmp(line, "# TYPE ", 7) == 0) {
			assert_int_equal(sscanf(line, "# TYPE %159s %31s", line_start, type), 2);
			assert_string_equal(line_start, family);
			assert_int_equal(!open_metrics && strcmp(type, "counter") == 0,
					 strlen(family) > 6 && strcmp(family + strlen(family) - 6, "_total") == 0);
		} else if (line[0] != '#' && strncmp(line, family, strlen(family)) != 0) {
			fail_msg("%s is in the family %s", line, family);
		}
	}
}

static void every_sample_follows_its_type_in_both_formats(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	stats_claim(segment_of(f), STATS_WORKER, "worker", 0);
	stats_claim(segment_of(f), STATS_LUN, "vol1", 0);
	stats_claim(segment_of(f), STATS_TARGET, "iqn.2026-11.io.lunette:t", 0);
	stats_claim(segment_of(f), STATS_SESSION, "7", 0);
	for (int i = 0; i < 2; i++) {
		a = metrics(f, i ? PROMETHEUS_ACCEPT : "");
		check_families(&a, i);
		answered_free(&a);
	}
}

/* counters.def's column `objects`, as the names of all families that follow from it. */
static void an_object_has_the_counters_of_its_column_and_no_others(void **state)
{
	enum { L = 1, T = 2, S = 4, W = 8 };
	static const struct {
		const char *name;
		unsigned objects;
	} rows[] = {
#define COUNTER(name, unit, type, objects, meaning) { #name, objects },
#include "counters.def"
#undef COUNTER
	};
	static const char *const kinds[] = { "lun", "target", "session", "worker" };
	struct answered a = metrics(*state, PROMETHEUS_ACCEPT);

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (unsigned k = 0; k < 4; k++) {
			char help[128];
			const char *name = strcmp(rows[i].name, "cpu_ns") == 0 ? "cpu_seconds" : rows[i].name;

			snprintf(help, sizeof help, "# HELP lunette_%s_%s ", kinds[k], name);
			if (count_of(&a, help) != (rows[i].objects >> k & 1))
				fail_msg("%s: %u", help, count_of(&a, help));
		}
	answered_free(&a);
}

static void a_histogram_is_cumulative_and_ends_with_its_count(void **state)
{
	struct fixture *f = *state;
	struct stats_slot *lun = stats_claim(segment_of(f), STATS_LUN, "vol1", 0);
	struct answered a;

	stats_latency(lun, STATS_READ_LATENCY, 100000);         /* 100 us */
	stats_latency(lun, STATS_READ_LATENCY, 2000000);        /* 2 ms */
	stats_latency(lun, STATS_READ_LATENCY, UINT64_C(100) * 1000000000);
	a = metrics(f, NULL);
	assert_line(&a, "lunette_lun_read_latency_seconds_bucket{lun=\"vol1\",le=\"3.2e-05\"} 0");
	assert_line(&a, "lunette_lun_read_latency_seconds_bucket{lun=\"vol1\",le=\"0.000128\"} 1");
	assert_line(&a, "lunette_lun_read_latency_seconds_bucket{lun=\"vol1\",le=\"0.002048\"} 2");
	assert_line(&a, "lunette_lun_read_latency_seconds_bucket{lun=\"vol1\",le=\"+Inf\"} 3");
	assert_line(&a, "lunette_lun_read_latency_seconds_count{lun=\"vol1\"} 3");
	assert_line(&a, "lunette_lun_read_latency_seconds_sum{lun=\"vol1\"} 100.002100000");
	assert_int_equal(count_of(&a, "lunette_lun_read_latency_seconds_bucket{"), 12);
	assert_int_equal(count_of(&a, "# TYPE lunette_lun_store_write_latency_seconds histogram\n"), 1);
	assert_int_equal(count_of(&a, "# TYPE lunette_worker_write_latency_seconds histogram\n"), 1);
	answered_free(&a);
}

static void sessions_beyond_the_bound_are_left_out(void **state)
{
	struct fixture *f = *state;
	struct answered a;
	char name[32];

	for (int i = 0; i < MONITOR_SESSIONS_MAX + 5; i++) {
		snprintf(name, sizeof name, "%04d", i);
		stats_claim(segment_of(f), STATS_SESSION, name, 0);
	}
	a = metrics(f, NULL);
	assert_int_equal(count_of(&a, "\nlunette_session_reads_total{"), MONITOR_SESSIONS_MAX);
	answered_free(&a);
}

static void a_name_cannot_break_out_of_its_label(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	stats_claim(segment_of(f), STATS_SESSION, "a\"} 1\nevil 2\\", 0);
	a = metrics(f, NULL);
	assert_line(&a, "lunette_session_reads_total{session=\"a\\\"} 1\\nevil 2\\\\\"} 0");
	assert_int_equal(count_of(&a, "\nevil"), 0);
	answered_free(&a);
}

static void a_configured_lun_tells_its_size_and_store(void **state)
{
	struct fixture *f = *state;
	struct answered a;

	call_done(f, "PUT", "/luns/vol1", "{\"size_bytes\":1048576,\"store\":\"memory\"}", 201);
	f->service.workers.worker[0].started_ms = UINT64_C(1700000000500);
	a = metrics(f, NULL);
	assert_line(&a, "lunette_lun_size_bytes{lun=\"vol1\"} 1048576");
	assert_line(&a, "lunette_lun_info{lun=\"vol1\",store=\"memory\"} 1");
	assert_line(&a, "lunette_worker_start_time_seconds{worker=\"0\"} 1700000000.500");
	assert_line(&a, "lunette_worker_up{worker=\"0\"} 1");
	answered_free(&a);
}

/* Rates of CPU time are known from the second sample on; what is not known is left out. */
static void what_the_monitor_measures_is_there_when_it_is_known(void **state)
{
	struct fixture *f = *state;
	struct monitor *mine = monitor_new(NULL, 1, &f->service.mailbox), *its = f->service.monitoring.monitor;
	const struct stats_segment *segments[] = { segment_of(f) };
	const pid_t pids[] = { getpid() };
	struct monitor_input input = { .segments = segments, .pids = pids, .worker_count = 1 };
	struct answered a;

	assert_non_null(mine);
	f->service.monitoring.monitor = mine;
	for (uint64_t second = 1; second <= 2; second++) {
		input.wall_ms = UINT64_C(1700000000000) + second * 1000;
		input.now_ns = second * NS_PER_S;
		monitor_sample(mine, &input);
		a = metrics(f, NULL);
		assert_int_equal(count_of(&a, "\nlunette_worker_cpu_ratio{worker=\"0\"} "), second == 2);
		assert_int_equal(count_of(&a, "\nlunette_worker_memory_bytes{worker=\"0\"} "), 1);
		assert_int_equal(count_of(&a, "\nlunette_host_cpu_ratio "), second == 2);
		assert_int_equal(count_of(&a, "nan"), 0);
		assert_line(&a, "lunette_history_paused 0");
		assert_line(&a, "# TYPE lunette_history_set_aside_total counter");
		assert_line(&a, "lunette_history_write_failures_total 0");
		answered_free(&a);
	}
	f->service.monitoring.monitor = NULL;
	a = metrics(f, NULL);
	assert_int_equal(count_of(&a, "lunette_history"), 0);
	answered_free(&a);
	f->service.monitoring.monitor = its;
	monitor_free(mine);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_counter_is_total_everywhere_in_the_text_format),
		TEST(open_metrics_is_given_to_who_asks_for_it),
		TEST(accept_is_read_as_a_list_with_weights),
		TEST(every_sample_follows_its_type_in_both_formats),
		TEST(an_object_has_the_counters_of_its_column_and_no_others),
		TEST(a_histogram_is_cumulative_and_ends_with_its_count),
		TEST(sessions_beyond_the_bound_are_left_out),
		TEST(a_name_cannot_break_out_of_its_label),
		TEST(a_configured_lun_tells_its_size_and_store),
		TEST(what_the_monitor_measures_is_there_when_it_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
