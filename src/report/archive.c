#include "report/archive.h"

#include "base/file.h"
#include "report/name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static char *path_of(const char *format, const char *a, const char *b)
{
	struct text path = { 0 };

	text_printf(&path, "%s/%s/%s", a, format, b);
	return path.data;
}

static char *spooled(const struct config *config, int64_t manifest)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)manifest);
	return path_of("spool", config->state_dir, number);
}

/* Below archive/. */
static char *place_of(const struct queue_errand *errand)
{
	scoped_free char *day = name_of_day(errand->received_at), *name = name_of_archived(errand->name, errand->manifest);

	return file_join(day, name);
}

char *archive_directory(const struct config *config, const struct queue_errand *errand)
{
	scoped_free char *day = name_of_day(errand->received_at);

	return path_of("archive", config->state_dir, day);
}

static int move(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL || errno == ENOSYS ? rename(from, to) : -1;
}

static bool sync_both(const struct config *config, const char *directory, struct error *err)
{
	scoped_free char *spool = file_join(config->state_dir, "spool");

	return file_sync_directory(directory, err) && file_sync_directory(spool, err);
}

static bool is_missing(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 && errno == ENOENT;
}

bool archive_is_lost(const struct config *config, const struct queue_errand *errand)
{
	scoped_free char *from = spooled(config, errand->manifest), *place = place_of(errand);
	scoped_free char *to = path_of("archive", config->state_dir, place);

	return !errand->archived && is_missing(from) && is_missing(to);
}

bool archive_move(const struct config *config, const struct queue_errand *errand, char **ret_path, struct error *err)
{
	scoped_free char *directory = archive_directory(config, errand), *from = spooled(config, errand->manifest);
	scoped_free char *place = place_of(errand), *to = path_of("archive", config->state_dir, place);

	if (!file_make_directories(directory, 0750, err))
		return false;
	if (move(from, to) < 0) {
		if (errno == EEXIST)
			return error_set(err, ERROR_IO, "%s: an earlier file has a name that is to be given; move it away", directory);
		if (errno == EXDEV)
			return error_set(err, ERROR_CONFIG, "%s: must be on the same file system as the spool", directory);
		if (errno != ENOENT)
			return error_errno(err, errno, "%s: a copy cannot be moved there", directory);
		if (archive_is_lost(config, errand)) {
			*ret_path = xstrdup("");
			return true;
		}
	}
	if (!sync_both(config, directory, err))
		return false;
	*ret_path = place;
	place = NULL;
	return true;
}

bool archive_open(const struct config *config, const struct queue_errand *errand, int *ret_fd, struct error *err)
{
	scoped_free char *from = spooled(config, errand->manifest),
			 *place = errand->archived ? xstrdup(errand->archived) : place_of(errand);
	scoped_free char *to = path_of("archive", config->state_dir, place);
	int fd = open(errand->archived ? to : from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	/* Moved, and not recorded yet. */
	if (fd < 0 && errno == ENOENT && !errand->archived)
		fd = open(to, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "%s/archive: the manifest's copy cannot be opened", config->state_dir);
	*ret_fd = fd;
	return true;
}
