/*
 * The system calls of the directory driver, as a table, so that tests fail, repeat or kill at each one (CFG-9). Every entry
 * behaves as the call of its name: -1 and errno on failure.
 */
#ifndef LUNETTE_CLUSTER_DOCSTORE_PORT_H
#define LUNETTE_CLUSTER_DOCSTORE_PORT_H

#include <stddef.h>
#include <sys/types.h>

#include "docstore.h"

struct docstore_port {
	int (*mkdirat)(int dir_fd, const char *path, mode_t mode);
	int (*openat)(int dir_fd, const char *path, int flags, mode_t mode);
	ssize_t (*read)(int fd, void *bytes, size_t len_bytes);
	ssize_t (*write)(int fd, const void *bytes, size_t len_bytes);
	int (*fsync)(int fd);
	int (*faccessat)(int dir_fd, const char *path, int mode, int flags);
	int (*renameat2)(int old_dir_fd, const char *old_path, int new_dir_fd, const char *new_path, unsigned flags);
	int (*unlinkat)(int dir_fd, const char *path, int flags);
};

extern const struct docstore_port docstore_port_libc;

/* docstore_open() with another port; borrowed, outlives the store. */
struct docstore *docstore_open_port(const char *root, const char *writer, const struct docstore_port *port,
				    struct err *err);

#endif
