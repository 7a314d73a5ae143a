#include "statedir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define POLL_MS 20

static int make(const char *path, struct err *err)
{
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "cannot create the state directory %s", log_quoted(path));
	if (stat(path, &st) < 0)
		return err_errno(err, -errno, "cannot look at the state directory %s", log_quoted(path));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "the state directory %s is not a directory", log_quoted(path));
	if (st.st_mode & 077)
		log_warning("state directory is open to other users, mode %04o state=%s", st.st_mode & 07777,
			    log_quoted(path));
	return 0;
}

/* The process id written in the lock file; 0 when there is none. */
static pid_t holder_of(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return (pid_t)strtol(text, NULL, 10);
}

/* Whether the process still runs: one that was killed and that nobody has waited for yet does not. */
static bool runs(pid_t pid)
{
	char path[64], text[256];
	const char *state;
	ssize_t n;
	int fd;

	if (kill(pid, 0) < 0 && errno == ESRCH)
		return false;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno != ENOENT;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return errno != ESRCH;
	text[n] = '\0';
	state = strrchr(text, ')'); /* pid (name) state ..., proc(5) */
	return !state || (strncmp(state, ") Z", 3) != 0 && strncmp(state, ") X", 3) != 0);
}

/* flock, waiting for orphans: processes that a supervisor, which is gone, left behind and the kernel is killing; and a
 * little for a holder that lives, because it may have been killed this very moment. */
static int lock(int fd, const char *path, struct err *err)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * NS_PER_MS };
	uint64_t started_ns = clock_now_ns(), waited_ms;
	pid_t holder;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return err_errno(err, -errno, "cannot lock the state directory %s", log_quoted(path));
		holder = holder_of(fd);
		waited_ms = (clock_now_ns() - started_ns) / NS_PER_MS;
		if (waited_ms >= (holder > 0 && runs(holder) ? STATEDIR_HOLDER_MS : STATEDIR_ORPHAN_MS))
			return err_set(err, -EBUSY, "the state directory %s is in use by another lunetted (process %d)",
				       log_quoted(path), (int)holder);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int write_holder(int fd, const char *path, struct err *err)
{
	char text[32];
	int len = snprintf(text, sizeof text, "%d\n", (int)getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
		return err_errno(err, -errno, "cannot write %s/" STATEDIR_LOCK, path);
	return 0;
}

/* What is in the directory of the open descriptor (which it closes) and belongs to `from`. What has a second name may lie
 * elsewhere too, and is none of our files. 0 or negative errno. */
static int give_content(int dir_fd, uid_t from, uid_t uid, gid_t gid)
{
	DIR *dir = fdopendir(dir_fd);
	const struct dirent *entry;
	struct stat st;
	int rc = 0;

	if (!dir) {
		close(dir_fd);
		return -errno;
	}
	while (rc == 0 && (errno = 0, entry = readdir(dir))) {
		int fd = -1;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return closedir(dir), -errno;
		if (S_ISDIR(st.st_mode)) {
			fd = openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			rc = fd < 0 ? -errno : give_content(fd, from, uid, gid);
		}
		if (rc == 0 && st.st_uid == from && (S_ISDIR(st.st_mode) || st.st_nlink == 1) &&
		    fchownat(dir_fd, entry->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
			rc = -errno;
	}
	if (rc == 0)
		rc = -errno;
	closedir(dir);
	return rc;
}

/* The directory itself comes last: until then its new owner cannot enter, and a hand-over that was cut off begins again. */
static int give(int dir_fd, const char *path, uid_t uid, gid_t gid, struct err *err)
{
	struct stat st;
	int fd, rc;

	if (fstat(dir_fd, &st) < 0)
		return err_errno(err, -errno, "cannot look at the state directory %s", log_quoted(path));
	if ((st.st_uid == uid && st.st_gid == gid) || geteuid() != 0)
		return 0;
	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd < 0 ? -errno : give_content(fd, st.st_uid, uid, gid);
	if (rc == 0 && fchownat(dir_fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		rc = -errno;
	if (rc < 0)
		return err_errno(err, rc, "cannot give the state directory %s to user %u", log_quoted(path), uid);
	return 0;
}

int statedir_open(const char *path, uid_t uid, gid_t gid, struct err *err)
{
	int dir_fd, fd, rc = make(path, err);

	if (rc < 0)
		return rc;
	dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_errno(err, -errno, "cannot open the state directory %s", log_quoted(path));
	fd = openat(dir_fd, STATEDIR_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	rc = fd < 0 ? err_errno(err, -errno, "cannot open %s/" STATEDIR_LOCK, path) : lock(fd, path, err);
	if (rc == 0)
		rc = write_holder(fd, path, err);
	if (rc == 0)
		rc = give(dir_fd, path, uid, gid, err);
	close(dir_fd);
	if (rc < 0 && fd >= 0)
		close(fd);
	return rc < 0 ? rc : fd;
}
