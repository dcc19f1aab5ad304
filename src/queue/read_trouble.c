#include "queue/read_trouble.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The nearest folder above path that exists and may be looked at tells whose files these are. */
static bool explain_permission(const char *path, struct error *err)
{
	char place[PATH_MAX];
	struct stat st;
	struct group *group = NULL;

	snprintf(place, sizeof(place), "%s", path);
	while (stat(place, &st) < 0) {
		char *slash = strrchr(place, '/');

		if (!slash || slash == place)
			return error_set(err, ERROR_PERMISSION, "%s: not permitted; ask for the group that may read it", path);
		*slash = '\0';
	}
	/* Nobody is told to join root's group. */
	group = st.st_gid ? getgrgid(st.st_gid) : NULL;
	if (group)
		return error_set(err, ERROR_PERMISSION, "%s: not permitted; members of group %s may read it (usermod -aG %s USER)", path,
				 group->gr_name, group->gr_name);
	return error_set(err, ERROR_PERMISSION, "%s: not permitted; its owner (uid %ld) and group (gid %ld) may read it", path,
			 (long)st.st_uid, (long)st.st_gid);
}

/*
 * SQLite reads a WAL database only where -wal and -shm stand beside it or can be made. The daemon leaves them there when it stops; a plain
 * sqlite3 of somebody who may write removes them at its end.
 */
static bool files_beside_are_missing(const char *path)
{
	char beside[PATH_MAX];
	struct stat st;

	for (int i = 0; i < 2; i++) {
		snprintf(beside, sizeof(beside), "%s%s", path, i ? "-wal" : "-shm");
		if (stat(beside, &st) < 0 && errno == ENOENT)
			return true;
	}
	return false;
}

bool read_explain(const char *path, struct error *err)
{
	struct stat st;
	char beside[PATH_MAX];

	if (stat(path, &st) < 0 && errno == ENOENT)
		return error_set(err, ERROR_NO_INPUT, "%s: no queue here yet: has trackbridge run been started?", path);
	if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0 && errno == EACCES)
		return explain_permission(path, err);
	if (err->code == ERROR_DATA)
		return false;
	if (files_beside_are_missing(path))
		return error_set(
			err, ERROR_PERMISSION,
			"%s cannot be read: the files %s-wal and -shm are gone (somebody who may write opened it by hand with sqlite3, "
			"most likely as root); start the daemon, or run this as its owner once",
			path, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
	snprintf(beside, sizeof(beside), "%s-shm", path);
	if (faccessat(AT_FDCWD, beside, R_OK, AT_EACCESS) < 0 && errno == EACCES)
		return explain_permission(beside, err);
	return false;
}
