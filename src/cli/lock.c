#include "cli/lock.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static pid_t written_pid(int fd)
{
	char text[32] = "";
	int64_t pid;
	ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

	if (got <= 0)
		return 0;
	text[got] = '\0';
	for (char *c = text; *c; c++) {
		if (*c == '\n')
			*c = '\0';
	}
	return text_to_int64(text, &pid) ? (pid_t)pid : 0;
}

/* Whoever holds it: asked through a description of its own, to which its own lock is another's. */
static bool is_locked(const char *path)
{
	scoped_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* The descriptor that the process before the re-execution has left, or -1. A number that is none of ours is not touched. */
static int handed_over(const char *path)
{
	const char *value = getenv(LOCK_VARIABLE);
	struct stat ours, there;
	int64_t fd;
	bool good = value && text_to_int64(value, &fd) && fd > STDERR_FILENO && fd <= INT_MAX && fstat((int)fd, &ours) == 0 &&
		    lstat(path, &there) == 0 && S_ISREG(there.st_mode) && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino &&
		    is_locked(path) && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0;

	unsetenv(LOCK_VARIABLE);
	return good ? (int)fd : -1;
}

bool lock_take(const char *state_dir, int *ret_fd, struct error *err)
{
	scoped_free char *path = file_join(state_dir, "lock");
	scoped_close int fd = handed_over(path);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char pid[32];
	int length;

	if (fd < 0)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0640);
	if (fd < 0)
		return error_errno(err, errno, "%s", path);
	/* An open file description lock: closing another descriptor of this file in this process does not drop it. */
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return error_set(err, ERROR_TRY_LATER, "%s is in use by process %d: another trackbridge works on it", state_dir,
					 (int)written_pid(fd));
		return error_errno(err, errno, "%s cannot be locked", path);
	}
	length = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)length, 0) != length)
		return error_errno(err, errno, "%s", path);
	*ret_fd = fd;
	fd = -1;
	return true;
}

pid_t lock_holder(const char *state_dir)
{
	scoped_free char *path = file_join(state_dir, "lock");
	scoped_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return written_pid(fd);
}
