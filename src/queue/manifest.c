#include "base/file.h"
#include "queue/internal.h"

#include <stdio.h>
#include <string.h>

bool queue_manifest_next(struct queue *queue, int64_t *ret_manifest)
{
	sqlite3_stmt *statement = db_use(&queue->db, MANIFEST_NEXT, "");

	if (!db_row(&queue->db, statement))
		return false;
	*ret_manifest = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	return true;
}

static int64_t with_same_bytes(struct queue *queue, const struct queue_manifest_new *as)
{
	sqlite3_stmt *statement = db_use(&queue->db, MANIFEST_SAME_BYTES, "ib", queue->sources[as->source], as->sha256, 32);
	int64_t manifest = db_row(&queue->db, statement) ? sqlite3_column_int64(statement, 0) : 0;

	sqlite3_reset(statement);
	return manifest;
}

bool queue_manifest_record(struct queue *queue, const struct queue_manifest_new *as, int64_t *ret_manifest, int64_t *ret_duplicate_of)
{
	struct db *db = &queue->db;
	int64_t duplicate_of = with_same_bytes(queue, as);
	scoped_text struct text shown = { 0 };
	char reason[64] = "";
	sqlite3_stmt *statement;
	int changed;

	text_escape(&shown, as->name, strlen(as->name));
	if (duplicate_of)
		snprintf(reason, sizeof(reason), "same bytes as manifest %lld", (long long)duplicate_of);
	statement = db_use(db, MANIFEST_RECORD, "ibtbittziziiiz", queue->sources[as->source], as->name, (int)strlen(as->name), shown.data,
			   as->sha256, 32, as->bytes, duplicate_of ? "duplicate" : "loading", reason, duplicate_of, as->wall_ms,
			   duplicate_of ? as->wall_ms : INT64_C(0), (int64_t)as->device, (int64_t)as->inode, as->mtime_ns,
			   duplicate_of ? as->wall_ms : INT64_C(0));
	changed = db_change(db, statement);
	if (changed != 1)
		return false;
	*ret_manifest = sqlite3_last_insert_rowid(db->handle);
	*ret_duplicate_of = duplicate_of;
	return true;
}

bool queue_manifest_archived(struct queue *queue, int64_t manifest, struct queue_archived *ret_archived)
{
	sqlite3_stmt *statement = db_use(&queue->db, MANIFEST_ARCHIVED, "i", manifest);
	struct queue_archived archived = { 0 };

	if (db_row(&queue->db, statement)) {
		archived.manifest = manifest;
		snprintf(archived.source, sizeof(archived.source), "%s", db_text(statement, 0));
		snprintf(archived.state, sizeof(archived.state), "%s", db_text(statement, 1));
		if (sqlite3_column_type(statement, 2) != SQLITE_NULL)
			archived.path = xstrndup(sqlite3_column_blob(statement, 2), (size_t)sqlite3_column_bytes(statement, 2));
		sqlite3_reset(statement);
	}
	if (!db_healthy(&queue->db))
		return false;
	*ret_archived = archived;
	return true;
}

bool queue_manifest_reload(struct queue *queue, int64_t manifest, int64_t wall_ms, int64_t *ret_manifest)
{
	if (db_change(&queue->db, db_use(&queue->db, MANIFEST_RELOAD, "ii", manifest, wall_ms)) != 1)
		return queue_bug(queue, "manifest %lld cannot be loaded again: it is not archived", (long long)manifest);
	*ret_manifest = sqlite3_last_insert_rowid(queue->db.handle);
	return true;
}

bool queue_manifest_original_gone(struct queue *queue, int64_t manifest)
{
	return db_change(&queue->db, db_use(&queue->db, MANIFEST_ORIGINAL_GONE, "i", manifest)) >= 0;
}

bool queue_manifest_of_original(struct queue *queue, int source, const char *name, uint64_t inode, int64_t mtime_ns, int64_t bytes,
				int64_t *ret_manifest)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement =
		db_use(db, MANIFEST_OF_ORIGINAL, "ibiii", queue->sources[source], name, (int)strlen(name), (int64_t)inode, mtime_ns, bytes);
	int64_t manifest = db_row(db, statement) ? sqlite3_column_int64(statement, 0) : 0;

	sqlite3_reset(statement);
	if (!db_healthy(db))
		return false;
	*ret_manifest = manifest;
	return true;
}

bool queue_manifest_loading(struct queue *queue, struct queue_loading *ret_loading)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement = db_use(db, MANIFEST_LOADING, "");
	struct queue_loading loading = { 0 };

	if (db_row(db, statement)) {
		loading.manifest = sqlite3_column_int64(statement, 0);
		snprintf(loading.source, sizeof(loading.source), "%s", db_text(statement, 1));
		snprintf(loading.shown_name, sizeof(loading.shown_name), "%s", db_text(statement, 2));
		loading.offset = sqlite3_column_int64(statement, 3);
		loading.line = sqlite3_column_int64(statement, 4);
		snprintf(loading.verdict, sizeof(loading.verdict), "%s", db_text(statement, 5));
		loading.rows = sqlite3_column_int64(statement, 6);
		sqlite3_reset(statement);
	}
	if (!db_healthy(db))
		return false;
	*ret_loading = loading;
	return true;
}

bool queue_manifest_progress(struct queue *queue, int64_t manifest, int64_t offset, int64_t line)
{
	struct db *db = &queue->db;

	if (queue->loading_first &&
	    db_change(db, db_use(db, MANIFEST_ROWS, "iii", manifest, queue->loading_first, queue->loading_last)) != 1)
		return queue_bug(queue, "manifest %lld is not there", (long long)manifest);
	if (db_change(db, db_use(db, MANIFEST_PROGRESS, "iii", manifest, offset, line)) != 1)
		return queue_bug(queue, "manifest %lld is not loading", (long long)manifest);
	return true;
}

/* A changed mapping makes other requests of the same cards: nobody wants all of them to be told again without being asked. */
static bool pause_repeats(struct queue *queue, int64_t manifest, int64_t now_ms, bool *ret_paused)
{
	sqlite3_stmt *statement = db_use(&queue->db, MANIFEST_REPEATS, "i", manifest);
	long long repeats, rows;
	char reason[128];

	if (!db_row(&queue->db, statement))
		return false;
	repeats = sqlite3_column_int64(statement, 0);
	rows = sqlite3_column_int64(statement, 1);
	sqlite3_reset(statement);
	*ret_paused = repeats >= QUEUE_REPEATS && 2 * repeats > rows;
	if (!*ret_paused)
		return true;
	snprintf(reason, sizeof(reason), "%lld of %lld rows repeat an accepted card and type with another request: a changed mapping?",
		 repeats, rows);
	return queue_lanes_pause(queue, manifest, "repeats", reason, now_ms);
}

bool queue_manifest_release(struct queue *queue, int64_t manifest, int64_t now_ms, int64_t wall_ms, bool *ret_paused)
{
	struct db *db = &queue->db;
	bool paused;

	/* Whether a rejects file is due hangs on the rows of this very turn too. */
	if (!queue_store_counts(queue))
		return false;
	if (db_change(db, db_use(db, MANIFEST_RELEASE, "ii", manifest, wall_ms)) != 1)
		return queue_bug(queue, "manifest %lld cannot be released: it is not loading", (long long)manifest);
	queue->loading = 0;
	/* Touched, so that a manifest without one open row settles in this very turn. */
	queue_count(queue, manifest, ROW_N_STATES, ROW_QUEUED, 0);
	if (!queue_lanes_load(queue, manifest) || !pause_repeats(queue, manifest, now_ms, &paused))
		return false;
	if (ret_paused)
		*ret_paused = paused;
	return true;
}

bool queue_manifest_condemn(struct queue *queue, int64_t manifest, const char *reason)
{
	if (db_change(&queue->db, db_use(&queue->db, MANIFEST_CONDEMN, "it", manifest, reason)) != 1)
		return queue_bug(queue, "manifest %lld cannot be rejected: it is not loading", (long long)manifest);
	return true;
}

/* The rows of the manifest that the next slice covers: those whose state is not rejected yet lie from first on. */
static bool slice_of(struct queue *queue, int64_t manifest, int64_t *ret_first, int64_t *ret_last)
{
	sqlite3_stmt *statement = db_use(&queue->db, MANIFEST_SPAN, "i", manifest);

	if (!db_row(&queue->db, statement))
		return false;
	*ret_first = sqlite3_column_int64(statement, 0);
	*ret_last = sqlite3_column_int64(statement, 1);
	sqlite3_reset(statement);
	return true;
}

bool queue_manifest_reject_slice(struct queue *queue, int64_t manifest, int most, int64_t wall_ms, bool *ret_done)
{
	static const enum row_state states[] = { ROW_QUEUED, ROW_HELD, ROW_DUPLICATE, ROW_SKIPPED };
	struct db *db = &queue->db;
	struct queue_loading loading;
	sqlite3_stmt *statement;
	int64_t first, last, end;
	int changed, counted = 0;

	if (!slice_of(queue, manifest, &first, &last) || !queue_manifest_loading(queue, &loading))
		return false;
	if (loading.manifest != manifest || !loading.verdict[0])
		return queue_bug(queue, "manifest %lld is not being rejected", (long long)manifest);
	if (first > last) {
		if (db_change(db, db_use(db, MANIFEST_REJECT, "ii", manifest, wall_ms)) != 1 ||
		    db_change(db, db_use(db, LANE_REMOVE, "i", manifest)) < 0)
			return false;
		queue->loading = 0;
		*ret_done = true;
		return true;
	}
	end = first + most - 1 < last ? first + most - 1 : last;
	statement = db_use(db, MANIFEST_REJECT_COUNT, "ii", first, end);
	while (db_row(db, statement)) {
		for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
			if (sqlite3_column_int(statement, 0) != (int)states[i])
				continue;
			queue_count(queue, manifest, states[i], ROW_REJECTED, sqlite3_column_int64(statement, 1));
			counted += sqlite3_column_int(statement, 1);
		}
	}
	changed = db_change(db, db_use(db, MANIFEST_REJECT_ROWS, "iiti", first, end, loading.verdict, wall_ms));
	if (changed != counted)
		return queue_bug(queue, "manifest %lld: %d rows rejected, %d expected", (long long)manifest, changed, counted);
	if (db_change(db, db_use(db, MANIFEST_REJECT_RESTORE, "ii", first, end)) < 0)
		return false;
	if (db_change(db, db_use(db, MANIFEST_REJECTED_TO, "ii", manifest, end + 1)) != 1)
		return false;
	*ret_done = false;
	return true;
}

/* What an operator may pause or resume: released or loading, and paused or not. ret_why: why there is nothing of the kind. */
static bool find(struct queue *queue, int64_t manifest, char ret_state[static 16], bool *ret_paused, char ret_why[static QUEUE_MOST_WHY])
{
	sqlite3_stmt *statement = db_use(&queue->db, MANIFEST_FIND, "i", manifest);

	ret_why[0] = ret_state[0] = '\0';
	*ret_paused = false;
	if (db_row(&queue->db, statement)) {
		snprintf(ret_state, 16, "%s", db_text(statement, 0));
		*ret_paused = db_text(statement, 1)[0] != '\0';
		sqlite3_reset(statement);
	} else {
		snprintf(ret_why, QUEUE_MOST_WHY, "there is no manifest %lld", (long long)manifest);
	}
	return db_healthy(&queue->db);
}

bool queue_manifest_pause(struct queue *queue, int64_t manifest, const char *reason, int64_t now_ms, char ret_why[static QUEUE_MOST_WHY])
{
	char state[16];
	bool paused;

	if (!find(queue, manifest, state, &paused, ret_why))
		return false;
	if (!ret_why[0] && strcmp(state, "loading") != 0 && strcmp(state, "released") != 0)
		snprintf(ret_why, QUEUE_MOST_WHY, "manifest %lld is %s: nothing of it is sent", (long long)manifest, state);
	else if (paused)
		snprintf(ret_why, QUEUE_MOST_WHY, "manifest %lld is paused already", (long long)manifest);
	return ret_why[0] || queue_lanes_pause(queue, manifest, "operator", reason, now_ms);
}

bool queue_manifest_resume(struct queue *queue, int64_t manifest, int64_t now_ms, char ret_why[static QUEUE_MOST_WHY])
{
	char state[16];
	bool paused;

	if (!find(queue, manifest, state, &paused, ret_why))
		return false;
	if (!ret_why[0] && !paused)
		snprintf(ret_why, QUEUE_MOST_WHY, "manifest %lld is not paused", (long long)manifest);
	return ret_why[0] || queue_lanes_resume(queue, manifest, now_ms);
}
