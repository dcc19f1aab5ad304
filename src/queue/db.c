#include "queue/db.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "queue/queue.h"
#include "queue/schema.h"

#include <stdarg.h>
#include <string.h>

enum { CACHE_KIB = 4 * 1024, CHECKPOINT_PAGES = 4000, BUSY_MS = 5000, TRY_AGAIN_MS = 5000 };

/* What a WAL is cut to that has grown, as soon as it is begun anew. */
enum { WAL_LIMIT = 32 * 1024 * 1024 };

static enum error_code code_of(int result)
{
	switch (result & 0xff) {
	case SQLITE_FULL:
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return ERROR_TRY_LATER;
	case SQLITE_CANTOPEN: return ERROR_NO_INPUT;
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_READONLY: return ERROR_PERMISSION;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return ERROR_DATA;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISUSE:
	case SQLITE_ERROR: return ERROR_INTERNAL;
	default: return ERROR_IO;
	}
}

static bool set_error(const struct db *db, struct error *err)
{
	int result = sqlite3_extended_errcode(db->handle);

	return error_set(err, code_of(result), "%s: %s (SQLite error %d)", db->path, sqlite3_errmsg(db->handle), result);
}

void db_spoil(struct db *db, const struct error *err)
{
	if (db->spoiled)
		return;
	db->spoiled = true;
	db->why = *err;
}

static void spoil(struct db *db)
{
	struct error why = { 0 };

	set_error(db, &why);
	db_spoil(db, &why);
}

static bool run(struct db *db, const char *sql, struct error *err)
{
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return set_error(db, err);
	return true;
}

static bool number_of(struct db *db, const char *sql, int64_t *ret_number, struct error *err)
{
	sqlite3_stmt *statement;
	bool good;

	if (sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL) != SQLITE_OK)
		return set_error(db, err);
	good = sqlite3_step(statement) == SQLITE_ROW;
	if (good)
		*ret_number = sqlite3_column_int64(statement, 0);
	else
		set_error(db, err);
	sqlite3_finalize(statement);
	return good;
}

/* Says no to what is not ours or newer than us. Only reads. */
static bool check(struct db *db, int64_t *ret_version, struct error *err)
{
	int64_t application, version, objects;

	if (!number_of(db, "PRAGMA application_id", &application, err) || !number_of(db, "PRAGMA user_version", &version, err) ||
	    !number_of(db, "SELECT count(*) FROM sqlite_schema", &objects, err))
		return false;
	if ((objects || application || version) && application != QUEUE_SCHEMA_APPLICATION)
		return error_set(err, ERROR_DATA, "%s is not a trackbridge database; name another state_dir or move the file away",
				 db->path);
	if (version > (int64_t)schema_n_migrations)
		return error_set(
			err, ERROR_DATA,
			"%s was written by a newer trackbridge (schema %lld, this one knows %zu); it was left as it is: install that version",
			db->path, (long long)version, schema_n_migrations);
	*ret_version = version;
	return true;
}

/* Brings the database to our version, all missing steps in one transaction. */
static bool migrate(struct db *db, int64_t version, struct error *err)
{
	char set_version[64];

	if (version == (int64_t)schema_n_migrations)
		return true;
	if (!run(db, "BEGIN IMMEDIATE", err))
		return false;
	for (size_t i = (size_t)version; i < schema_n_migrations; i++) {
		if (!run(db, schema_migrations[i], err)) {
			error_prefix(err, "schema %zu: ", i + 1);
			goto failed;
		}
	}
	sqlite3_snprintf(sizeof(set_version), set_version, "PRAGMA application_id=%d; PRAGMA user_version=%d", QUEUE_SCHEMA_APPLICATION,
			 (int)schema_n_migrations);
	if (!run(db, set_version, err) || !run(db, "COMMIT", err))
		goto failed;
	return true;
failed:
	sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

static bool open_handle(struct db *db, const char *path, int flags, struct error *err)
{
	*db = (struct db){ .path = xstrdup(path) };
	if (sqlite3_open_v2(path, &db->handle, flags, NULL) != SQLITE_OK) {
		set_error(db, err);
		db_close(db);
		return false;
	}
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BUSY_MS);
	return true;
}

/* After each commit, with the pages that are in the WAL now. What moving them meets is never a fault of the commit. */
static int on_wal(void *user, sqlite3 *handle, const char *name, int pages)
{
	struct db *db = user;
	int in_wal = pages, moved = pages;

	db->wal_pages = pages;
	if (pages >= db->checkpoint_pages)
		sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &moved);
	if (moved >= in_wal)
		db->wal_stuck_since = 0;
	else if (!db->wal_stuck_since)
		db->wal_stuck_since = clock_steady_ms();
	return SQLITE_OK;
}

void db_shrink_wal(struct db *db, int64_t now_ms)
{
	if (db->in_turn || db->wal_pages < db->checkpoint_pages || (db->wal_try_at <= now_ms + TRY_AGAIN_MS && now_ms < db->wal_try_at))
		return;
	db->wal_try_at = now_ms + TRY_AGAIN_MS;
	/* Where a reader is in the way, it moves what it can and says so at once. */
	sqlite3_busy_timeout(db->handle, 0);
	if (sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK) {
		db->wal_pages = 0;
		db->wal_stuck_since = 0;
	}
	sqlite3_busy_timeout(db->handle, BUSY_MS);
}

bool db_open(struct db *db, const char *path, struct error *err)
{
	static const char base[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
				   "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;";
	char sizes[96];
	int64_t version = 0;
	int keep = 1;

	if (!open_handle(db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, err))
		return false;
	/* What is refused stays as it is: its WAL is not put into it as it is closed. */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (!check(db, &version, err)) {
		db_close(db);
		return false;
	}
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	sqlite3_snprintf(sizeof(sizes), sizes, "PRAGMA cache_size=-%d; PRAGMA journal_size_limit=%d", CACHE_KIB, WAL_LIMIT);
	/* auto_vacuum and journal_mode take effect only before the first table and outside a transaction; later the first one would only
	 * write to the file. */
	if ((version == 0 && !run(db, "PRAGMA auto_vacuum=INCREMENTAL", err)) || !run(db, base, err) || !run(db, sizes, err) ||
	    !migrate(db, version, err)) {
		db_close(db);
		return false;
	}
	db->checkpoint_pages = CHECKPOINT_PAGES;
	/* Takes the place of wal_autocheckpoint. */
	sqlite3_wal_hook(db->handle, on_wal, db);
	/* The group reads a stopped daemon's database too, and for that -wal and -shm must still be there. */
	sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	return true;
}

bool db_open_read_only(struct db *db, const char *path, struct error *err)
{
	int64_t application, version;

	if (!open_handle(db, path, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, err))
		return false;
	if (!number_of(db, "PRAGMA application_id", &application, err) || !number_of(db, "PRAGMA user_version", &version, err)) {
		db_close(db);
		return false;
	}
	if (application != QUEUE_SCHEMA_APPLICATION || version != (int64_t)schema_n_migrations) {
		error_set(err, ERROR_DATA, "%s has schema %lld, this trackbridge reads schema %zu%s", path, (long long)version,
			  schema_n_migrations, application != QUEUE_SCHEMA_APPLICATION ? " (it is not a trackbridge database)" : "");
		db_close(db);
		return false;
	}
	return true;
}

void db_close(struct db *db)
{
	for (size_t i = 0; i < STATEMENT_N; i++)
		sqlite3_finalize(db->prepared[i]);
	sqlite3_close(db->handle);
	free(db->path);
	*db = (struct db){ 0 };
}

bool db_begin(struct db *db)
{
	if (db->spoiled)
		return false;
	if (db->in_turn)
		return true;
	if (sqlite3_exec(db->handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
		spoil(db);
		return false;
	}
	db->in_turn = true;
	return true;
}

sqlite3_stmt *db_use(struct db *db, enum statement id, const char *types, ...)
{
	sqlite3_stmt *statement = db->prepared[id];
	va_list values;
	int at = 1;

	if (!statement) {
		if (sqlite3_prepare_v3(db->handle, statement_sql[id], -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK) {
			spoil(db);
			return NULL;
		}
		db->prepared[id] = statement;
	}
	sqlite3_reset(statement);
	va_start(values, types);
	for (const char *type = types; *type; type++, at++) {
		const void *blob;
		int64_t number;

		switch (*type) {
		case 'i': sqlite3_bind_int64(statement, at, va_arg(values, int64_t)); break;
		case 'z':
			number = va_arg(values, int64_t);
			if (number)
				sqlite3_bind_int64(statement, at, number);
			else
				sqlite3_bind_null(statement, at);
			break;
		case 't': sqlite3_bind_text(statement, at, va_arg(values, const char *), -1, SQLITE_STATIC); break;
		case 'b':
			blob = va_arg(values, const void *);
			sqlite3_bind_blob(statement, at, blob, va_arg(values, int), SQLITE_STATIC);
			break;
		default: abort(); /* a type that this function does not know is a bug of the caller */
		}
	}
	va_end(values);
	return statement;
}

bool db_row(struct db *db, sqlite3_stmt *statement)
{
	int result;

	if (!statement)
		return false;
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		return true;
	if (result != SQLITE_DONE)
		spoil(db);
	sqlite3_reset(statement);
	return false;
}

int db_change(struct db *db, sqlite3_stmt *statement)
{
	int result;

	if (!statement || !db_begin(db))
		return -1;
	result = sqlite3_step(statement);
	if (result != SQLITE_DONE && result != SQLITE_ROW) {
		spoil(db);
		sqlite3_reset(statement);
		return -1;
	}
	sqlite3_reset(statement);
	return sqlite3_changes(db->handle);
}

bool db_commit(struct db *db, struct error *err)
{
	if (!db->spoiled && !db->in_turn)
		return true;
	if (!db->spoiled && sqlite3_exec(db->handle, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		spoil(db);
	if (!db->spoiled) {
		db->in_turn = false;
		return true;
	}
	/* A failed COMMIT may have rolled back by itself already; a second ROLLBACK only says so. */
	for (size_t i = 0; i < STATEMENT_N; i++)
		sqlite3_reset(db->prepared[i]);
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	/* On a full disk, a WAL whose content moves into the database is begun anew and needs no more room. */
	sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	*err = db->why;
	db->spoiled = false;
	db->in_turn = false;
	return false;
}

const char *db_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return text ? text : "";
}
