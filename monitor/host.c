/* CPU and memory from procfs: see host.h. */
#include "monitor/host.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_file(const char *proc, pid_t pid, const char *name, char *text, size_t size)
{
	char path[256];
	ssize_t n;
	int fd;

	if (pid)
		snprintf(path, sizeof path, "%s/%d/%s", proc, (int)pid, name);
	else
		snprintf(path, sizeof path, "%s/%s", proc, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static double ticks_s(unsigned long long ticks)
{
	return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* The line "cpu  user nice system idle iowait irq softirq steal ..." */
static double machine_cpu_s(const char *proc)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
	char text[512];

	if (!read_file(proc, 0, "stat", text, sizeof text) ||
	    sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq, &softirq,
		   &steal) != 8)
		return NAN;
	return ticks_s(user + nice + system + irq + softirq + steal);
}

static double meminfo_bytes(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	unsigned long long kib;

	return at && sscanf(at + strlen(name), " %llu kB", &kib) == 1 ? (double)kib * 1024 : NAN;
}

static double machine_memory_bytes(const char *proc)
{
	char text[4096];

	if (!read_file(proc, 0, "meminfo", text, sizeof text))
		return NAN;
	return meminfo_bytes(text, "MemTotal:") - meminfo_bytes(text, "MemAvailable:");
}

/* Fields 14 and 15; the name in parentheses may hold anything. */
static double process_cpu_s(const char *proc, pid_t pid)
{
	unsigned long long user, system;
	char text[1024];
	const char *at;

	if (!read_file(proc, pid, "stat", text, sizeof text))
		return NAN;
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		return NAN;
	return ticks_s(user + system);
}

static double process_memory_bytes(const char *proc, pid_t pid)
{
	unsigned long long pages;
	char text[256];

	if (!read_file(proc, pid, "statm", text, sizeof text) || sscanf(text, "%*u %llu", &pages) != 1)
		return NAN;
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void host_look(struct host_probe *probe, const char *proc, pid_t pid, uint64_t now_ns, struct host_sample *ret_sample)
{
	double cpu_s = pid ? process_cpu_s(proc, pid) : machine_cpu_s(proc);
	bool first = probe->looked_ns == 0 || probe->pid != pid || now_ns <= probe->looked_ns;

	ret_sample->memory_bytes = pid ? process_memory_bytes(proc, pid) : machine_memory_bytes(proc);
	ret_sample->cpu_percent =
		first || cpu_s < probe->cpu_s ? NAN : 100 * (cpu_s - probe->cpu_s) / ((double)(now_ns - probe->looked_ns) / 1e9);
	probe->pid = pid;
	probe->cpu_s = cpu_s;
	probe->looked_ns = isnan(cpu_s) ? 0 : now_ns;
}
