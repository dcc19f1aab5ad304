#include "queue/backup.h"

#include "base/file.h"
#include "queue/db.h"
#include "queue/read_trouble.h"
#include "queue/verify.h"
#include "queue/verify_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct queue_backup {
	struct db source, copy;
	sqlite3_backup *pages;
	int64_t wall_ms;
	char *file, *part;
	int fd; /* of the part */
	bool made;
};

static bool failed(const struct queue_backup *backup, int result, struct error *err)
{
	enum error_code code = (result & 0xff) == SQLITE_FULL ? ERROR_TRY_LATER : (result & 0xff) == SQLITE_CORRUPT ? ERROR_DATA : ERROR_IO;

	return error_set(err, code, "%s: the copy failed: %s (SQLite error %d)", backup->part, sqlite3_errstr(result), result);
}

static bool make_part(struct queue_backup *backup, struct error *err)
{
	struct stat st;

	if (lstat(backup->file, &st) == 0)
		return error_set(err, ERROR_IO, "%s exists already; a backup writes over nothing", backup->file);
	backup->fd = open(backup->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (backup->fd < 0 && errno == EEXIST)
		return error_set(err, ERROR_IO, "%s exists: another backup is running, or one broke off; then remove it", backup->part);
	if (backup->fd < 0)
		return error_errno(err, errno, "%s: cannot be made", backup->part);
	backup->made = true;
	return true;
}

static bool open_copy(struct queue_backup *backup, struct error *err)
{
	int result = sqlite3_open_v2(backup->part, &backup->copy.handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
				     NULL);

	backup->copy.path = xstrdup(backup->part);
	if (result == SQLITE_OK)
		result = sqlite3_exec(backup->copy.handle, statement_copy_begin, NULL, NULL, NULL);
	return result == SQLITE_OK || failed(backup, result, err);
}

bool queue_backup_begin(const char *path, const char *file, int64_t wall_ms, struct queue_backup **ret_backup, struct error *err)
{
	struct queue_backup *backup = xcalloc(1, sizeof(*backup));
	struct text part = { 0 };
	int result;

	text_printf(&part, "%s.part", file);
	backup->part = part.data;
	backup->file = xstrdup(file);
	backup->wall_ms = wall_ms;
	backup->fd = -1;
	if (!db_open_read_only(&backup->source, path, err)) {
		read_explain(path, err);
		queue_backup_free(backup);
		return false;
	}
	if (!make_part(backup, err) || !open_copy(backup, err)) {
		queue_backup_free(backup);
		return false;
	}
	result = sqlite3_exec(backup->source.handle, statement_snapshot, NULL, NULL, NULL);
	if (result == SQLITE_OK) {
		backup->pages = sqlite3_backup_init(backup->copy.handle, "main", backup->source.handle, "main");
		result = backup->pages ? SQLITE_OK : sqlite3_errcode(backup->copy.handle);
	}
	if (result != SQLITE_OK) {
		failed(backup, result, err);
		queue_backup_free(backup);
		return false;
	}
	*ret_backup = backup;
	return true;
}

bool queue_backup_step(struct queue_backup *backup, int pages, int64_t *ret_left, struct error *err)
{
	int result = sqlite3_backup_step(backup->pages, pages);

	if (result != SQLITE_OK && result != SQLITE_DONE)
		return failed(backup, result, err);
	*ret_left = sqlite3_backup_remaining(backup->pages);
	return true;
}

static void note_finding(void *user, const struct queue_finding *finding)
{
	struct error *first = user;

	if (!first->code)
		error_set(first, ERROR_DATA, "%s", finding->what);
}

/* The snapshot goes first: the check may take its time. */
static bool check(struct queue_backup *backup, struct error *err)
{
	struct error first = { 0 };
	int result = sqlite3_backup_finish(backup->pages);

	backup->pages = NULL;
	db_close(&backup->source);
	if (result == SQLITE_OK)
		result = sqlite3_exec(backup->copy.handle, statement_copy_end, NULL, NULL, NULL);
	if (result != SQLITE_OK)
		return failed(backup, result, err);
	if (!verify_copy(&backup->copy, note_finding, &first, err))
		return false;
	if (first.code)
		return error_set(err, ERROR_DATA, "the copy is not sound, and was removed (run trackbridge verify): %s", first.text);
	return true;
}

static bool mark(struct queue_backup *backup, const char *from, struct error *err)
{
	struct db *copy = &backup->copy;

	(void)db_change(copy, db_use(copy, COPY_MARK, "it", backup->wall_ms, from));
	return db_commit(copy, err);
}

static bool give_name(struct queue_backup *backup, struct error *err)
{
	scoped_free char *directory = xstrdup(backup->file);
	char *slash = strrchr(directory, '/');
	int result;

	if (fsync(backup->fd) < 0)
		return error_errno(err, errno, "%s: cannot be synced", backup->part);
	result = renameat2(AT_FDCWD, backup->part, AT_FDCWD, backup->file, RENAME_NOREPLACE);
	if (result < 0 && (errno == EINVAL || errno == ENOSYS)) {
		result = link(backup->part, backup->file);
		if (result == 0)
			unlink(backup->part);
	}
	if (result < 0)
		return error_errno(err, errno, "%s: the copy cannot get its name", backup->file);
	backup->made = false;
	if (slash)
		slash[slash == directory] = '\0';
	return file_sync_directory(slash ? directory : ".", err);
}

bool queue_backup_finish(struct queue_backup *backup, struct error *err)
{
	scoped_free char *from = xstrdup(backup->source.path);

	if (!check(backup, err) || !mark(backup, from, err))
		return false;
	db_close(&backup->copy);
	return give_name(backup, err);
}

static void remove_part(const struct queue_backup *backup)
{
	static const char *const beside[] = { "", "-journal", "-wal" };

	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		scoped_text struct text path = { 0 };

		text_printf(&path, "%s%s", backup->part, beside[i]);
		unlink(path.data);
	}
}

void queue_backup_free(struct queue_backup *backup)
{
	if (!backup)
		return;
	sqlite3_backup_finish(backup->pages);
	db_close(&backup->source);
	db_close(&backup->copy);
	if (backup->fd >= 0)
		close(backup->fd);
	if (backup->made)
		remove_part(backup);
	free(backup->file);
	free(backup->part);
	free(backup);
}
