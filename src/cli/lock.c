#include "cli/lock.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

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

bool lock_take(const char *state_dir, int *ret_fd, struct error *err)
{
	scoped_free char *path = file_join(state_dir, "lock");
	scoped_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0640);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char pid[32];
	int length;

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
