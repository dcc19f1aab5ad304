#include "queue/internal.h"

#include <stdio.h>

/* What is kept is a day and a bit, so that the last day is always whole. */
enum { BUCKET_MS = 10 * 1000, KEPT_MS = 25 * 60 * 60 * 1000 };

bool queue_store_activity(struct queue *queue, int64_t wall_ms)
{
	struct db *db = &queue->db;
	int64_t *n = queue->activity, at = wall_ms - wall_ms % BUCKET_MS;

	if (n[ROW_ACCEPTED] + n[ROW_REFUSED] + n[ROW_IN_DOUBT] + n[ROW_EXPIRED] == 0)
		return true;
	if (db_change(db, db_use(db, ACTIVITY_ADD, "iiiii", at, n[ROW_ACCEPTED], n[ROW_REFUSED], n[ROW_IN_DOUBT], n[ROW_EXPIRED])) < 0)
		return false;
	for (int i = 0; i < ROW_N_STATES; i++)
		n[i] = 0;
	if (at == queue->activity_at)
		return true;
	queue->activity_at = at;
	return db_change(db, db_use(db, ACTIVITY_FORGET, "i", at - KEPT_MS)) >= 0;
}

void queue_note_settled(struct queue *queue, int64_t manifest)
{
	if (queue->n_settled == queue->room_for_settled) {
		queue->room_for_settled = queue->room_for_settled ? 2 * queue->room_for_settled : 16;
		queue->settled = xrealloc_array(queue->settled, queue->room_for_settled, sizeof(*queue->settled));
	}
	queue->settled[queue->n_settled++] = manifest;
}

size_t queue_settled(const struct queue *queue)
{
	return queue->n_settled;
}

bool queue_settlement(struct queue *queue, size_t i, struct queue_settlement *ret_settlement)
{
	sqlite3_stmt *statement = db_use(&queue->db, MANIFEST_COUNTS, "i", queue->settled[i]);

	if (!db_row(&queue->db, statement))
		return false;
	*ret_settlement = (struct queue_settlement){
		.manifest = queue->settled[i],
		.rows = sqlite3_column_int64(statement, 2),
		.accepted = sqlite3_column_int64(statement, 3),
		.refused = sqlite3_column_int64(statement, 4),
		.expired = sqlite3_column_int64(statement, 5),
		.cancelled = sqlite3_column_int64(statement, 6),
		.rejected = sqlite3_column_int64(statement, 7),
		.duplicate = sqlite3_column_int64(statement, 8),
		.skipped = sqlite3_column_int64(statement, 9),
	};
	snprintf(ret_settlement->source, sizeof(ret_settlement->source), "%s", db_text(statement, 0));
	snprintf(ret_settlement->shown_name, sizeof(ret_settlement->shown_name), "%s", db_text(statement, 1));
	sqlite3_reset(statement);
	return true;
}
