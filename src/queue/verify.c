#include "queue/verify.h"

#include "base/file.h"
#include "queue/card.h"
#include "queue/read_trouble.h"
#include "queue/verify_inside.h"

#include <stdio.h>
#include <string.h>

enum { MOST_OF_A_KIND = 20 };

struct verify {
	struct db *db;
	queue_verify_found *found;
	void *user;
	int64_t findings;
	int of_this_kind;
};

static void tell(struct verify *v, bool harmless, const char *what, const char *advice)
{
	scoped_text struct text line = { 0 };
	struct queue_finding finding = { .harmless = harmless };

	v->findings += !harmless;
	if (++v->of_this_kind > MOST_OF_A_KIND + 1)
		return;
	if (v->of_this_kind > MOST_OF_A_KIND)
		text_append_string(&line, "and more like these");
	else
		text_printf(&line, "%s: %s", what, advice);
	finding.what = line.data;
	v->found(v->user, &finding);
}

/* Damage is what is looked for; everything else keeps from looking. */
static bool stopped(struct verify *v, struct error *err)
{
	int result = sqlite3_errcode(v->db->handle) & 0xff;

	if (result != SQLITE_CORRUPT && result != SQLITE_NOTADB)
		return error_set(err, ERROR_IO, "%s: %s", v->db->path, sqlite3_errmsg(v->db->handle));
	v->of_this_kind = 0;
	tell(v, false, sqlite3_errmsg(v->db->handle), "the file is damaged; put the last good backup in its place");
	return true;
}

static sqlite3_stmt *prepare(struct verify *v, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	sqlite3_prepare_v2(v->db->handle, sql, -1, &statement, NULL);
	return statement;
}

/* Ends a question: true if it went to its end, or into damage that was told. */
static bool finish(struct verify *v, sqlite3_stmt *statement, int result, struct error *err)
{
	bool good = statement && result == SQLITE_DONE;

	good = good || stopped(v, err);
	sqlite3_finalize(statement);
	return good;
}

static bool ask(struct verify *v, const char *sql, const char *advice, struct error *err)
{
	sqlite3_stmt *statement = prepare(v, sql);
	int result = SQLITE_ERROR;

	v->of_this_kind = 0;
	while (statement && (result = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *what = db_text(statement, 0);

		if (strcmp(what, "ok") != 0)
			tell(v, false, what, advice);
	}
	return finish(v, statement, result, err);
}

static const char damaged[] = "the file is damaged; put the last good backup in its place";

bool verify_copy(struct db *db, queue_verify_found *found, void *user, struct error *err)
{
	struct verify v = { .db = db, .found = found, .user = user };

	return ask(&v, verify_quickly_sound, damaged, err) && ask(&v, verify_balance, "its rows changed behind the program's back", err);
}

struct keys {
	sqlite3_stmt *statement;
	int result;
	int64_t row, key; /* of the key at hand */
	int64_t stale;    /* keys so far without a row */
};

static void next_key(struct keys *keys)
{
	keys->result = sqlite3_step(keys->statement);
	if (keys->result != SQLITE_ROW)
		return;
	keys->row = sqlite3_column_int64(keys->statement, 0);
	keys->key = sqlite3_column_int64(keys->statement, 1);
}

/* Both come by the number of the row. */
static void compare_keys(struct verify *v, struct keys *keys, int64_t row, const char *card_id)
{
	int64_t key = card_keys(card_id).first + row;
	char what[160];
	int n = 0, wrong = 0;

	for (; keys->result == SQLITE_ROW && keys->row < row; next_key(keys))
		keys->stale++;
	for (; keys->result == SQLITE_ROW && keys->row == row; next_key(keys)) {
		n += keys->key == key;
		wrong += keys->key != key;
	}
	keys->stale += wrong;
	if (n == 1)
		return;
	snprintf(what, sizeof(what), "row %lld is %s", (long long)row,
		 n ? "found more than once by its card" : "not found by its card (its key is missing)");
	tell(v, false, what,
	     n ? "keep a copy of queue.db and tell the makers" : "the card's next row may go out of order or twice; hold it");
}

static bool check_keys(struct verify *v, struct error *err)
{
	struct keys keys = { .statement = prepare(v, verify_keys) };
	sqlite3_stmt *cards = prepare(v, verify_cards);
	int result = SQLITE_ERROR;
	char what[80];

	v->of_this_kind = 0;
	if (keys.statement && cards) {
		next_key(&keys);
		while ((result = sqlite3_step(cards)) == SQLITE_ROW)
			compare_keys(v, &keys, sqlite3_column_int64(cards, 0), db_text(cards, 1));
		for (; keys.result == SQLITE_ROW; next_key(&keys))
			keys.stale++;
		result = result == SQLITE_DONE ? keys.result : result;
	}
	sqlite3_finalize(keys.statement);
	if (keys.stale) {
		v->of_this_kind = 0;
		snprintf(what, sizeof(what), "%lld keys of cards have no row", (long long)keys.stale);
		tell(v, true, what, "harmless, they only take room");
	}
	return finish(v, cards, result, err);
}

static bool check_extent(struct verify *v, struct queue_verified *ret_verified, struct error *err)
{
	sqlite3_stmt *statement = prepare(v, verify_extent);
	int result = statement ? sqlite3_step(statement) : SQLITE_ERROR;

	if (result == SQLITE_ROW) {
		ret_verified->manifests = sqlite3_column_int64(statement, 0);
		ret_verified->rows = sqlite3_column_int64(statement, 1);
		result = SQLITE_DONE;
	}
	return finish(v, statement, result, err);
}

static bool verify_all(struct verify *v, struct queue_verified *ret_verified, struct error *err)
{
	struct queue_verified verified = { 0 };
	bool good = sqlite3_exec(v->db->handle, statement_snapshot, NULL, NULL, NULL) == SQLITE_OK || stopped(v, err);

	good = good && ask(v, verify_sound, damaged, err);
	for (size_t i = 0; good && i < verify_n_checks; i++)
		good = ask(v, verify_checks[i].sql, verify_checks[i].advice, err);
	good = good && check_keys(v, err) && check_extent(v, &verified, err);
	verified.findings = v->findings;
	*ret_verified = verified;
	return good;
}

bool queue_verify(const char *path, queue_verify_found *found, void *user, struct queue_verified *ret_verified, struct error *err)
{
	struct db db;
	struct verify v = { .db = &db, .found = found, .user = user };
	bool good;

	if (!db_open_read_only(&db, path, err)) {
		read_explain(path, err);
		return false;
	}
	good = verify_all(&v, ret_verified, err);
	db_close(&db);
	return good;
}

bool queue_verify_files(const char *path, int64_t since_ms, queue_archived_file_seen *seen, void *user, struct error *err)
{
	struct db db;
	sqlite3_stmt *statement = NULL;
	int64_t after = 0;
	int result = SQLITE_ERROR;
	bool going = true;

	if (!db_open_read_only(&db, path, err)) {
		read_explain(path, err);
		return false;
	}
	if (sqlite3_prepare_v2(db.handle, verify_file, -1, &statement, NULL) == SQLITE_OK)
		result = SQLITE_ROW;
	while (going && result == SQLITE_ROW) {
		scoped_free char *name = NULL;
		struct queue_archived_file file;
		uint8_t sha256[32];

		sqlite3_bind_int64(statement, 1, after);
		sqlite3_bind_int64(statement, 2, since_ms);
		result = sqlite3_step(statement);
		if (result != SQLITE_ROW)
			break;
		after = sqlite3_column_int64(statement, 0);
		name = xstrndup(sqlite3_column_blob(statement, 1), (size_t)sqlite3_column_bytes(statement, 1));
		memcpy(sha256, sqlite3_column_blob(statement, 2), sizeof(sha256));
		file = (struct queue_archived_file){
			.manifest = after, .path = name, .sha256 = sha256, .bytes = sqlite3_column_int64(statement, 3)
		};
		/* The read transaction ends here: the file is looked at without it. */
		sqlite3_reset(statement);
		going = seen(user, &file);
	}
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		error_set(err, ERROR_IO, "%s: %s", path, sqlite3_errmsg(db.handle));
	sqlite3_finalize(statement);
	db_close(&db);
	return result == SQLITE_ROW || result == SQLITE_DONE;
}
