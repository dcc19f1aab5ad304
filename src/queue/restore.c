/* What is done with a database that is a copy (backup.h), before anything else is: nobody knows what was sent since it was taken. */
#include "base/clock.h"
#include "queue/internal.h"

/* Manifests that were recorded after the copy was taken have numbers, by which their files in spool/ and archive/ are called. */
enum { NUMBERS_LEFT_OUT = 100000 };

static bool is_marked(struct queue *queue)
{
	sqlite3_stmt *statement = db_use(&queue->db, COPY_MARKED, "");
	bool marked = db_row(&queue->db, statement);

	sqlite3_reset(statement);
	return marked;
}

/* In the order of their numbers, since a manifest stays open with held rows. */
static int64_t next_open(struct queue *queue, int64_t after, int64_t *ret_first, int64_t *ret_last)
{
	sqlite3_stmt *statement = db_use(&queue->db, RESTORE_OPEN, "i", after);
	int64_t manifest = 0;

	if (db_row(&queue->db, statement)) {
		manifest = sqlite3_column_int64(statement, 0);
		*ret_first = sqlite3_column_int64(statement, 1);
		*ret_last = sqlite3_column_int64(statement, 2);
	}
	sqlite3_reset(statement);
	return manifest;
}

static bool hold_rows(struct queue *queue, int64_t manifest, int64_t first, int64_t last, int64_t wall_ms)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement = db_use(db, RESTORE_COUNT, "ii", first, last);
	int64_t queued, sending;
	int changed;

	if (!db_row(db, statement))
		return false;
	queued = sqlite3_column_int64(statement, 0);
	sending = sqlite3_column_int64(statement, 1);
	sqlite3_reset(statement);
	changed = db_change(db, db_use(db, RESTORE_ROWS, "iii", first, last, wall_ms));
	if (changed < 0)
		return false;
	if (changed != queued + sending)
		return queue_bug(queue, "manifest %lld: %d rows put on hold, not %lld queued and %lld sending ones", (long long)manifest,
				 changed, (long long)queued, (long long)sending);
	queue_count(queue, manifest, ROW_QUEUED, ROW_HELD, queued);
	queue_count(queue, manifest, ROW_SENDING, ROW_HELD, sending);
	return true;
}

static bool leave_numbers_out(struct db *db)
{
	int changed = db_change(db, db_use(db, RESTORE_NUMBERS, "i", (int64_t)NUMBERS_LEFT_OUT));

	return changed > 0 || (changed == 0 && db_change(db, db_use(db, RESTORE_NUMBERS_FIRST, "i", (int64_t)NUMBERS_LEFT_OUT)) == 1);
}

bool queue_restore(struct queue *queue)
{
	struct db *db = &queue->db;
	int64_t manifest = 0, first, last, wall_ms = clock_wall_ms();

	queue->restoring = is_marked(queue);
	if (!queue->restoring)
		return db_healthy(db);
	while ((manifest = next_open(queue, manifest, &first, &last))) {
		if (!hold_rows(queue, manifest, first, last, wall_ms))
			return false;
	}
	/* Rows that are yet to be read from a manifest would be queued; they wait with it. An order that was under way would go on. */
	return db_healthy(db) && db_change(db, db_use(db, ORDER_DROP, "")) >= 0 && db_change(db, db_use(db, RESTORE_LOADING, "")) >= 0 &&
	       db_change(db, db_use(db, RESTORE_ENDPOINTS, "")) >= 0 && leave_numbers_out(db) &&
	       db_change(db, db_use(db, RESTORE_DONE, "i", wall_ms)) == 1;
}

bool queue_restored(struct queue *queue, int64_t *ret_copied_at)
{
	sqlite3_stmt *statement = db_use(&queue->db, RESTORED, "");

	if (!db_row(&queue->db, statement))
		return false;
	*ret_copied_at = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	return true;
}
