#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

bool file_read(const char *path, size_t most, struct text *ret_text, struct error *err)
{
	scoped_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	scoped_text struct text content = { 0 };
	char chunk[16384];

	if (fd < 0)
		return error_errno(err, errno, "%s", path);
	for (;;) {
		ssize_t got = read(fd, chunk, sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "%s", path);
		if (got == 0)
			break;
		if (content.length + (size_t)got > most)
			return error_set(err, ERROR_DATA, "%s: larger than %zu bytes", path, most);
		text_append(&content, chunk, (size_t)got);
	}
	text_append(ret_text, content.data ? content.data : "", content.length);
	return true;
}

bool file_write_all(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return false;
		bytes += written;
		length -= (size_t)written;
	}
	return true;
}

bool file_sync_directory(const char *path, struct error *err)
{
	scoped_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return error_errno(err, errno, "%s: cannot be synced", path);
	return true;
}

static bool make_one(char *path, mode_t mode, struct error *err)
{
	char *slash;
	bool synced;

	if (mkdir(path, mode) < 0)
		return errno == EEXIST ? true : error_errno(err, errno, "%s: cannot be made", path);
	slash = strrchr(path, '/');
	if (!slash)
		return file_sync_directory(".", err);
	*slash = '\0';
	synced = file_sync_directory(path[0] ? path : "/", err);
	*slash = '/';
	return synced;
}

bool file_make_directories(const char *path, mode_t mode, struct error *err)
{
	scoped_free char *copy = xstrdup(path);

	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (!make_one(copy, mode, err))
			return false;
		*slash = '/';
	}
	return make_one(copy, mode, err);
}

char *file_join(const char *directory, const char *name)
{
	struct text path = { 0 };

	text_printf(&path, "%s/%s", directory, name);
	return path.data;
}
