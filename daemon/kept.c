#include "kept.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void kept_drop(struct kept *kept, const char *name)
{
	for (unsigned i = 0; i < kept->count; i++) {
		if (strcmp(kept->at[i].name, name) == 0) {
			close(kept->at[i].fd);
			kept->at[i] = kept->at[--kept->count];
			return;
		}
	}
}

int kept_take(struct kept *kept, const char *name, int fd)
{
	kept_drop(kept, name);
	if (kept->count == KEPT_MAX) {
		close(fd);
		return -ENOSPC;
	}
	snprintf(kept->at[kept->count].name, sizeof kept->at[0].name, "%s", name);
	kept->at[kept->count++].fd = fd;
	return 0;
}
