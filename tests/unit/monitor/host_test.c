/* monitor/host.h over a directory with files as procfs has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "monitor/host.h"

#define SECOND UINT64_C(1000000000)
#define START  (100 * SECOND)
#define PID    4711

static struct scene {
	char proc[64];
	struct host_probe probe;
	struct host_sample sample;
} scene;

static void path_of(const struct scene *s, const char *name, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/%s", s->proc, name);
}

static void write_proc(const struct scene *s, const char *name, const char *text)
{
	char path[128];
	FILE *out;

	path_of(s, name, path, sizeof path);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

static int open_scene(void **state)
{
	char path[128];

	memset(&scene, 0, sizeof scene);
	snprintf(scene.proc, sizeof scene.proc, "/tmp/host_test.XXXXXX");
	if (!mkdtemp(scene.proc))
		return -1;
	path_of(&scene, "4711", path, sizeof path);
	*state = &scene;
	return mkdir(path, 0700);
}

static int close_scene(void **state)
{
	static const char *const names[] = { "stat", "meminfo", "4711/stat", "4711/statm", "4711" };
	struct scene *s = *state;
	char path[128];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		path_of(s, names[i], path, sizeof path);
		if (unlink(path) != 0)
			rmdir(path);
	}
	return rmdir(s->proc);
}

static void look(struct scene *s, pid_t pid, uint64_t now_ns)
{
	host_look(&s->probe, s->proc, pid, now_ns, &s->sample);
}

/* busy: the sum of user, nice, system, irq, softirq and steal; guest is part of user */
static void write_machine(const struct scene *s, unsigned busy_ticks, unsigned idle_ticks)
{
	char text[256];
	unsigned n = busy_ticks / 6;

	snprintf(text, sizeof text, "cpu  %u %u %u %u %u %u %u %u 5 0\ncpu0 1 2 3 4 5 6 7 8 0 0\nintr 1 2 3\n", busy_ticks - 5 * n, n,
		 n, idle_ticks, idle_ticks, n, n, n);
	write_proc(s, "stat", text);
}

static void write_process(const struct scene *s, unsigned user, unsigned system)
{
	char text[256];

	snprintf(text, sizeof text, "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 100 0 0 0 %u %u 7 7 20 0 5 0 123 456 789\n", user, system);
	write_proc(s, "4711/stat", text);
}

static unsigned ticks(double seconds)
{
	return (unsigned)(seconds * (double)sysconf(_SC_CLK_TCK));
}

static void the_machine_is_busy_with_all_but_idle_and_waiting(void **state)
{
	struct scene *s = *state;

	write_machine(s, ticks(1000), ticks(50));
	look(s, 0, START);
	assert_true(isnan(s->sample.cpu_percent));
	write_machine(s, ticks(1003), ticks(99));
	look(s, 0, START + 2 * SECOND);
	assert_true(fabs(s->sample.cpu_percent - 150) < 1e-6);
}

static void memory_in_use_is_what_is_not_available(void **state)
{
	struct scene *s = *state;

	write_proc(s, "meminfo", "MemTotal:        1000 kB\nMemFree:           10 kB\nMemAvailable:     400 kB\nBuffers: 1 kB\n");
	look(s, 0, START);
	assert_true(s->sample.memory_bytes == 600 * 1024);
	write_proc(s, "meminfo", "MemTotal:        1000 kB\nMemFree:           10 kB\n");
	look(s, 0, START + SECOND);
	assert_true(isnan(s->sample.memory_bytes));
}

static void a_process_is_found_behind_whatever_name_it_has(void **state)
{
	struct scene *s = *state;

	write_process(s, ticks(10), ticks(5));
	write_proc(s, "4711/statm", "9999 3 1 1 0 1 0\n");
	look(s, PID, START);
	assert_true(isnan(s->sample.cpu_percent));
	assert_true(s->sample.memory_bytes == 3.0 * (double)sysconf(_SC_PAGESIZE));
	write_process(s, ticks(10.25), ticks(5.5));
	look(s, PID, START + SECOND);
	assert_true(fabs(s->sample.cpu_percent - 75) < 1e-6);
}

static void another_process_starts_anew(void **state)
{
	struct scene *s = *state;

	write_process(s, ticks(1000), 0);
	s->probe = (struct host_probe){ .pid = PID - 1, .cpu_s = 1, .looked_ns = START };
	look(s, PID, START + SECOND);
	assert_true(isnan(s->sample.cpu_percent));
	write_process(s, ticks(1000.5), 0);
	look(s, PID, START + 2 * SECOND);
	assert_true(fabs(s->sample.cpu_percent - 50) < 1e-6);
}

static void cpu_time_that_fell_and_time_that_stands_are_unknown(void **state)
{
	struct scene *s = *state;

	write_process(s, ticks(10), 0);
	look(s, PID, START);
	write_process(s, ticks(9), 0);
	look(s, PID, START + SECOND);
	assert_true(isnan(s->sample.cpu_percent));
	look(s, PID, START + SECOND);
	assert_true(isnan(s->sample.cpu_percent));
}

static void a_process_that_is_gone_is_unknown_and_no_spike_when_it_is_back(void **state)
{
	struct scene *s = *state;
	char path[128];

	write_process(s, ticks(10), 0);
	look(s, PID, START);
	path_of(s, "4711/stat", path, sizeof path);
	assert_int_equal(unlink(path), 0);
	look(s, PID, START + SECOND);
	assert_true(isnan(s->sample.cpu_percent) && isnan(s->sample.memory_bytes));
	write_process(s, ticks(5000), 0);
	look(s, PID, START + 2 * SECOND);
	assert_true(isnan(s->sample.cpu_percent));
}

static void what_is_not_as_procfs_writes_it_is_unknown(void **state)
{
	static const char *const texts[] = {
		"", "\n", "4711", "4711 (x", "4711 (x)", "4711 (x) S 1 2 3", "4711 (x) S 1 4711 4711 0 -1 4194560 100 0 0 0 -",
		"cpu", "cpu 1 2 3", "cpu  a b c d e f g h", "intr 1 2 3 4 5 6 7 8", "MemTotal:\nMemAvailable:\n", "\xff\xff\xff",
		"MemTotal: x kB\nMemAvailable: 1 kB\n",
	};
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		for (unsigned second = 0; second < 2; second++) {
			write_proc(s, "stat", texts[i]);
			write_proc(s, "meminfo", texts[i]);
			write_proc(s, "4711/stat", texts[i]);
			write_proc(s, "4711/statm", texts[i]);
			look(s, 0, START + second * SECOND);
			assert_true(isnan(s->sample.cpu_percent) && isnan(s->sample.memory_bytes));
			look(s, PID, START + second * SECOND);
			assert_true(isnan(s->sample.cpu_percent));
		}
}

static void this_process_and_this_machine_can_be_looked_at(void **state)
{
	struct host_probe process = { 0 }, machine = { 0 };
	struct host_sample sample;

	(void)state;
	host_look(&process, "/proc", getpid(), START, &sample);
	assert_true(sample.memory_bytes > 100000);
	host_look(&process, "/proc", getpid(), START + SECOND, &sample);
	assert_true(sample.cpu_percent >= 0);
	host_look(&machine, "/proc", 0, START, &sample);
	assert_true(sample.memory_bytes > 1000000);
	assert_true(machine.cpu_s > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)
		TEST(the_machine_is_busy_with_all_but_idle_and_waiting),
		TEST(memory_in_use_is_what_is_not_available),
		TEST(a_process_is_found_behind_whatever_name_it_has),
		TEST(another_process_starts_anew),
		TEST(cpu_time_that_fell_and_time_that_stands_are_unknown),
		TEST(a_process_that_is_gone_is_unknown_and_no_spike_when_it_is_back),
		TEST(what_is_not_as_procfs_writes_it_is_unknown),
		cmocka_unit_test(this_process_and_this_machine_can_be_looked_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
