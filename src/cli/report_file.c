#include "cli/report_file.h"

#include "base/file.h"
#include "config/path.h"
#include "report/page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/* Of "b.html" it is ".", of "/b.html" it is "/". */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* In a drop directory it would be taken for a factory's file. */
static bool check_place(const struct config *config, const char *path, struct error *err)
{
	scoped_free char *directory = directory_of(path);
	scoped_free char *place = realpath(directory, NULL);

	if (!place)
		return error_errno(err, errno, "%s", directory);
	for (size_t i = 0; i < config->n_sources; i++) {
		scoped_free char *drop = realpath(config->sources[i].drop, NULL);

		if (path_is_inside(place, drop ? drop : config->sources[i].drop))
			return error_set(err, ERROR_USAGE, "%s: in the drop directory of source '%s' no report is written", path,
					 config->sources[i].name);
	}
	return true;
}

static bool begins_as_ours(const char *path, struct error *err)
{
	char begin[sizeof(PAGE_BEGIN) - 1];
	scoped_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	ssize_t got = fd < 0 ? -1 : read(fd, begin, sizeof(begin));

	if (got < 0)
		return error_errno(err, errno, "%s exists already, and cannot be read", path);
	if (got && (got < (ssize_t)sizeof(begin) || memcmp(begin, PAGE_BEGIN, sizeof(begin)) != 0))
		return error_set(err, ERROR_IO, "%s exists already and is no report; a report takes the place of an earlier one alone",
				 path);
	return true;
}

bool report_file_check(const struct config *config, const char *path, struct error *err)
{
	struct stat st;

	if (!check_place(config, path, err))
		return false;
	if (lstat(path, &st) < 0)
		return errno == ENOENT || error_errno(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_IO, "%s exists already and is no regular file (- is standard output)", path);
	return begins_as_ours(path, err);
}

static bool fill(int fd, const struct text *page, const char *path, struct error *err)
{
	if (!file_write_all(fd, page->data, page->length) || fsync(fd) < 0)
		return error_errno(err, errno, "%s: cannot be written", path);
	return true;
}

bool report_file_write(const char *path, const struct text *page, struct error *err)
{
	scoped_free char *directory = directory_of(path);
	scoped_text struct text temporary = { 0 };
	scoped_close int fd = -1;
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return error_errno(err, errno, "no random numbers");
	text_printf(&temporary, "%s/.trackbridge-report-%016llx", directory, (unsigned long long)number);
	fd = open(temporary.data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return error_errno(err, errno, "%s: no file can be made there", directory);
	if (!fill(fd, page, path, err)) {
		unlink(temporary.data);
		return false;
	}
	if (rename(temporary.data, path) < 0) {
		error_errno(err, errno, "%s: the report cannot be given its name", path);
		unlink(temporary.data);
		return false;
	}
	return file_sync_directory(directory, err);
}
