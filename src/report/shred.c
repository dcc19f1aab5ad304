#include "report/shred.h"

#include "base/file.h"
#include "report/name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const int64_t DAY_MS = INT64_C(24) * 3600 * 1000;

enum { DAY_LENGTH = sizeof("YYYY/MM/DD") };

struct shred {
	const struct config *config;
	int64_t before_ms;        /* files written before this go */
	char last[DAY_LENGTH];    /* the last day that is past */
	char (*days)[DAY_LENGTH]; /* past ones that have a folder */
	size_t n_days, room, next;
	bool listed;
	DIR *files; /* of days[next], or NULL */
	int64_t removed;
};

struct shred *shred_new(const struct config *config, int64_t wall_ms)
{
	struct shred *shred = xcalloc(1, sizeof(*shred));
	/* A day is past when its last millisecond is. */
	scoped_free char *last = name_of_day(wall_ms - config->retention.archive_ms - DAY_MS);

	shred->config = config;
	shred->before_ms = wall_ms - config->retention.archive_ms;
	snprintf(shred->last, sizeof(shred->last), "%s", last);
	return shred;
}

void shred_free(struct shred *shred)
{
	if (!shred)
		return;
	if (shred->files)
		closedir(shred->files);
	free(shred->days);
	free(shred);
}

int64_t shred_removed(const struct shred *shred)
{
	return shred->removed;
}

/* Opens a folder below the archive without following a link at any step; -1 with errno. */
static int open_below(const struct shred *shred, const char *path)
{
	scoped_free char *archive = file_join(shred->config->state_dir, "archive"), *steps = xstrdup(path);
	int fd = open(archive, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), next;
	char *rest = steps;

	for (char *step; fd >= 0 && (step = strsep(&rest, "/"));) {
		if (!step[0])
			continue;
		next = openat(fd, step, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	return fd;
}

static bool failed(const struct shred *shred, const char *folder, const char *what, struct error *err)
{
	/* Gone meanwhile, or never a folder. */
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return true;
	return error_errno(err, errno, "%s/archive/%s %s", shred->config->state_dir, folder, what);
}

static bool open_folder(const struct shred *shred, const char *folder, DIR **ret_files, struct error *err)
{
	int fd = open_below(shred, folder);

	*ret_files = fd < 0 ? NULL : fdopendir(fd);
	if (*ret_files)
		return true;
	if (fd >= 0)
		close(fd);
	return failed(shred, folder, "cannot be looked at", err);
}

static bool is_number(const char *name, size_t digits)
{
	return strlen(name) == digits && strspn(name, "0123456789") == digits;
}

static void keep_day(struct shred *shred, const char *day)
{
	if (shred->n_days == shred->room) {
		shred->room = shred->room ? 2 * shred->room : 64;
		shred->days = xrealloc_array(shred->days, shred->room, sizeof(*shred->days));
	}
	snprintf(shred->days[shred->n_days++], DAY_LENGTH, "%s", day);
}

/* Lists the days in a folder of the archive ("" all, "YYYY" a year, "YYYY/MM" a month) that are past: at most some hundreds. */
static bool list_days(struct shred *shred, const char *folder, struct error *err)
{
	size_t length = strlen(folder);
	const struct dirent *entry;
	bool good = true;
	DIR *files;

	if (!open_folder(shred, folder, &files, err))
		return false;
	while (good && files && (entry = readdir(files))) {
		char path[DAY_LENGTH];

		if (!is_number(entry->d_name, length ? 2 : 4))
			continue;
		snprintf(path, sizeof(path), "%s%s%.4s", folder, length ? "/" : "", entry->d_name);
		/* A year or a month sorts before its days. */
		if (strcmp(path, shred->last) > 0)
			continue;
		if (strlen(path) == DAY_LENGTH - 1)
			keep_day(shred, path);
		else
			good = list_days(shred, path, err);
	}
	if (files)
		closedir(files);
	return good;
}

/* The day, its month and its year, as far as they are empty. */
static void remove_empty(const struct shred *shred, const char *day)
{
	char folder[DAY_LENGTH];

	snprintf(folder, sizeof(folder), "%s", day);
	for (;;) {
		char *slash = strrchr(folder, '/');
		scoped_close int parent = -1;

		if (slash)
			*slash = '\0';
		parent = open_below(shred, slash ? folder : "");
		if (parent < 0 || unlinkat(parent, slash ? slash + 1 : folder, AT_REMOVEDIR) < 0 || !slash)
			return;
	}
}

static bool remove_file(struct shred *shred, const char *name, struct error *err)
{
	int folder = dirfd(shred->files);
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    (int64_t)st.st_mtim.tv_sec * 1000 >= shred->before_ms)
		return true;
	if (unlinkat(folder, name, 0) < 0)
		return failed(shred, shred->days[shred->next], "has a file past its retention that cannot be removed", err);
	shred->removed++;
	return true;
}

static bool remove_files(struct shred *shred, int most, struct error *err)
{
	for (int n = 0; n < most; n++) {
		const struct dirent *entry = readdir(shred->files);
		bool good = entry && remove_file(shred, entry->d_name, err);

		if (good)
			continue;
		closedir(shred->files);
		shred->files = NULL;
		remove_empty(shred, shred->days[shred->next++]);
		return entry == NULL;
	}
	return true;
}

bool shred_slice(struct shred *shred, int most, bool *ret_done, struct error *err)
{
	bool good = true;

	if (!shred->listed) {
		shred->listed = true;
		good = list_days(shred, "", err);
	} else if (shred->files) {
		good = remove_files(shred, most, err);
	} else if (shred->next < shred->n_days) {
		good = open_folder(shred, shred->days[shred->next], &shred->files, err);
		shred->next += !shred->files;
	}
	*ret_done = !shred->files && shred->next == shred->n_days;
	return good;
}
