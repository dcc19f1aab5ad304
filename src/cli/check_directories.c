#include "base/file.h"
#include "cli/check.h"
#include "config/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* Files come and go by name in each of our directories: all three rights are needed. */
static bool is_usable(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ERROR_CONFIG, "%s is not a directory", path);
	if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		return error_errno(err, errno, "%s cannot be read and written", path);
	return true;
}

static void check_space(struct check *check, const char *what)
{
	struct statvfs fs;
	struct error err;
	uint64_t free_mib, least_mib = (uint64_t)check->config->min_free_space / (1024 * 1024);

	if (statvfs(check->config->state_dir, &fs) < 0) {
		error_errno(&err, errno, "%s: free space", check->config->state_dir);
		check_error(check, what, &err);
		return;
	}
	free_mib = (uint64_t)fs.f_bavail * fs.f_frsize / (1024 * 1024);
	if ((uint64_t)fs.f_bavail * fs.f_frsize >= (uint64_t)check->config->min_free_space) {
		check_ok(check, what, "%s can be written, %llu MiB are free", check->config->state_dir, (unsigned long long)free_mib);
		return;
	}
	error_set(&err, ERROR_TRY_LATER, "%s: %llu MiB are free, less than min_free_space (%llu MiB): no new file is taken in",
		  check->config->state_dir, (unsigned long long)free_mib, (unsigned long long)least_mib);
	check_error(check, what, &err);
}

static void check_state(struct check *check)
{
	static const char what[] = "state directory";
	struct stat st;
	struct error err;

	if (stat(check->config->state_dir, &st) < 0 && errno == ENOENT) {
		check_warning(check, what, "%s does not exist yet: the first run makes it, if it may", check->config->state_dir);
		return;
	}
	if (!is_usable(check->config->state_dir, &err)) {
		check_error(check, what, &err);
		return;
	}
	if (stat(check->config->state_dir, &st) == 0 && (st.st_mode & 0007))
		check_warning(check, what, "%s is open to everybody (mode %04o), and holds personal data", check->config->state_dir,
			      (unsigned)st.st_mode & 07777);
	check_space(check, what);
}

/* The configuration compares what is written; links and mounts show only in what it leads to. */
static const char *drop_around(const struct config *config, const char *path)
{
	scoped_free char *real = realpath(path, NULL);

	for (size_t i = 0; real && i < config->n_sources; i++) {
		scoped_free char *drop = realpath(config->sources[i].drop, NULL);

		if (drop && path_is_inside(real, drop))
			return config->sources[i].drop;
	}
	return NULL;
}

static void check_source(struct check *check, const struct config_source *source)
{
	const char *around = source->receipts ? drop_around(check->config, source->receipts) : NULL;
	struct error err;
	char what[128];

	snprintf(what, sizeof(what), "source %s", source->name);
	if (is_usable(source->drop, &err))
		check_ok(check, what, "drop %s can be read and written", source->drop);
	else
		check_error(check, what, &err);
	if (!source->receipts)
		return;
	if (around) {
		error_set(&err, ERROR_CONFIG, "receipts %s lies inside the drop directory %s", source->receipts, around);
		check_error(check, what, &err);
	} else if (is_usable(source->receipts, &err)) {
		check_ok(check, what, "receipts %s can be written", source->receipts);
	} else {
		check_error(check, what, &err);
	}
}

/* The folder of a file that the daemon makes. */
static void check_folder_of(const struct check *check, const char *what, const char *file)
{
	scoped_free char *folder = xstrdup(file);
	char *slash = strrchr(folder, '/');
	struct error err;

	if (!slash || slash == folder)
		return;
	*slash = '\0';
	if (!is_usable(folder, &err))
		check_warning(check, what, "%s (where systemd makes it, it is there only while the service runs)", err.text);
}

void check_directories(struct check *check)
{
	const struct config *config = check->config;

	check_state(check);
	check_folder_of(check, "control socket", config->control_socket);
	if (config->metrics_file)
		check_folder_of(check, "metrics file", config->metrics_file);
	for (size_t i = 0; i < config->n_sources; i++)
		check_source(check, &config->sources[i]);
}
