/*
 * db: the SQLite handle, its migrations, its prepared statements and the turn's transaction. Only queue/ includes this and sqlite3.h.
 * A statement that fails spoils the turn: the first error is kept, later changes are refused, and db_commit rolls back.
 */
#pragma once

#include "base/error.h"
#include "queue/statements.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct db {
	sqlite3 *handle;
	char *path;
	sqlite3_stmt *prepared[STATEMENT_N];
	int checkpoint_pages;    /* of the WAL, after which a commit moves them into the database */
	int64_t wal_pages;       /* in the WAL after the last commit */
	int64_t wal_stuck_since; /* steady ms: since then a reader keeps pages in the WAL; 0: none does */
	int64_t wal_try_at;
	bool in_turn;
	bool spoiled;
	struct error why;
};

bool db_open(struct db *db, const char *path, struct error *err);
bool db_open_read_only(struct db *db, const char *path, struct error *err);
void db_close(struct db *db);

/*
 * db_use readies a statement: reset, and its parameters bound from ?1 on as types says: i int64_t, t const char * (NULL is NULL), b const
 * void * and int, z int64_t that is NULL where it is 0. What is bound must live until the statement is stepped.
 */
sqlite3_stmt *db_use(struct db *db, enum statement id, const char *types, ...);

/* db_row steps a query: true with a row. false at the end, or on an error, which then spoils the turn (db_healthy tells). */
bool db_row(struct db *db, sqlite3_stmt *statement);

/* db_begin opens the turn's transaction where it is not open yet; false where the turn is spoiled. */
bool db_begin(struct db *db);

/* db_change runs a statement that changes something inside the turn's transaction and gives the number of rows it changed, or -1. */
int db_change(struct db *db, sqlite3_stmt *statement);

static inline bool db_healthy(const struct db *db)
{
	return !db->spoiled;
}

void db_spoil(struct db *db, const struct error *err);
bool db_commit(struct db *db, struct error *err);

/* db_shrink_wal empties a WAL that has grown, where no reader keeps it; never waits. Outside a turn. */
void db_shrink_wal(struct db *db, int64_t now_ms);

/* db_text gives a column's text, "" for NULL; valid until the statement is stepped or reset. */
const char *db_text(sqlite3_stmt *statement, int column);
