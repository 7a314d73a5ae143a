/* A directory for one test, and its removal. */
#ifndef LUNETTE_TEST_MONITOR_SCRATCH_H
#define LUNETTE_TEST_MONITOR_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static inline void scratch_make(char *ret_path, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(ret_path, size, "%s/lunette-monitor.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(ret_path))
		abort();
}

static inline int scratch_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline void scratch_remove(const char *path)
{
	nftw(path, scratch_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
