#include "queue/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_errand(const struct queue *queue, sqlite3_stmt *statement, struct queue_errand *ret_errand)
{
	struct queue_errand errand = { .manifest = sqlite3_column_int64(statement, 0), .source = -1 };
	int64_t source = sqlite3_column_int64(statement, 1);
	const char *archived = sqlite3_column_blob(statement, 4), *name = sqlite3_column_blob(statement, 3);

	for (int i = 0; i < QUEUE_MOST_SOURCES; i++) {
		if (queue->sources[i] == source)
			errand.source = i;
	}
	snprintf(errand.source_name, sizeof(errand.source_name), "%s", db_text(statement, 2));
	errand.name = xstrndup(name ? name : "", (size_t)sqlite3_column_bytes(statement, 3));
	errand.archived = archived ? xstrndup(archived, (size_t)sqlite3_column_bytes(statement, 4)) : NULL;
	snprintf(errand.state, sizeof(errand.state), "%s", db_text(statement, 5));
	errand.received_at = sqlite3_column_int64(statement, 6);
	errand.first_row = sqlite3_column_int64(statement, 7);
	errand.last_row = sqlite3_column_int64(statement, 8);
	errand.rows = sqlite3_column_int64(statement, 9);
	errand.accepted = sqlite3_column_int64(statement, 10);
	errand.open = sqlite3_column_int64(statement, 11);
	errand.rejected = sqlite3_column_int64(statement, 12);
	snprintf(errand.reason, sizeof(errand.reason), "%s", db_text(statement, 13));
	*ret_errand = errand;
}

bool queue_errand_next(struct queue *queue, enum queue_errand_kind kind, int64_t wall_ms, int64_t after, struct queue_errand *ret_errand)
{
	static const enum statement statements[] = {
		[QUEUE_ARCHIVE] = ERRAND_ARCHIVE,
		[QUEUE_REJECTS] = ERRAND_REJECTS,
		[QUEUE_RECEIPT] = ERRAND_RECEIPT,
	};
	struct db *db = &queue->db;
	sqlite3_stmt *statement =
		kind == QUEUE_RECEIPT ? db_use(db, ERRAND_RECEIPT, "ii", after, wall_ms) : db_use(db, statements[kind], "i", after);
	bool found = db_row(db, statement);

	if (found)
		read_errand(queue, statement, ret_errand);
	else if (db_healthy(db))
		*ret_errand = (struct queue_errand){ 0 };
	sqlite3_reset(statement);
	return db_healthy(db);
}

void queue_errand_free(struct queue_errand *errand)
{
	free(errand->name);
	free(errand->archived);
	*errand = (struct queue_errand){ 0 };
}

bool queue_errand_archived(struct queue *queue, int64_t manifest, const char *path)
{
	struct db *db = &queue->db;

	return db_change(db, db_use(db, ERRAND_ARCHIVED, "ib", manifest, path, (int)strlen(path))) >= 0;
}

bool queue_errand_rejects_done(struct queue *queue, int64_t manifest)
{
	return db_change(&queue->db, db_use(&queue->db, ERRAND_REJECTS_DONE, "i", manifest)) >= 0;
}

bool queue_errand_receipt_done(struct queue *queue, int64_t manifest, int64_t open_when_written, int64_t next_ms)
{
	struct db *db = &queue->db;

	return db_change(db, db_use(db, ERRAND_RECEIPT_DONE, "iiz", manifest, open_when_written, next_ms)) >= 0;
}

bool queue_errand_receipt_again(struct queue *queue, int64_t manifest, int64_t wall_ms, bool *ret_known)
{
	struct db *db = &queue->db;
	int changed = db_change(db, db_use(db, ERRAND_RECEIPT_AGAIN, "ii", manifest, wall_ms));

	*ret_known = changed > 0;
	return changed >= 0;
}

bool queue_errand_failed(struct queue *queue, int64_t manifest, enum queue_errand_kind kind, int64_t again_ms, const char *reason)
{
	static const char *const files[] = { [QUEUE_ARCHIVE] = "archive", [QUEUE_REJECTS] = "rejects", [QUEUE_RECEIPT] = "receipt" };
	struct db *db = &queue->db;
	char text[1100];

	snprintf(text, sizeof(text), "%s: %s", files[kind], reason);
	return db_change(db, db_use(db, ERRAND_FAILED, "izt", manifest, kind == QUEUE_RECEIPT ? again_ms : INT64_C(0), text)) >= 0;
}

bool queue_errand_receipts_at(struct queue *queue, int64_t *ret_first_ms, int64_t *ret_last_ms)
{
	sqlite3_stmt *statement = db_use(&queue->db, ERRAND_RECEIPTS_AT, "");
	int64_t first = INT64_MAX, last = INT64_MAX;

	if (db_row(&queue->db, statement) && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
		first = sqlite3_column_int64(statement, 0);
		last = sqlite3_column_int64(statement, 1);
	}
	sqlite3_reset(statement);
	if (!db_healthy(&queue->db))
		return false;
	*ret_first_ms = first;
	*ret_last_ms = last;
	return true;
}

bool queue_errand_receipts_now(struct queue *queue, int64_t after_ms, int64_t wall_ms)
{
	return db_change(&queue->db, db_use(&queue->db, ERRAND_RECEIPTS_NOW, "ii", after_ms, wall_ms)) >= 0;
}

static int64_t last_row_of(struct queue *queue, int64_t manifest, int64_t *after)
{
	sqlite3_stmt *statement = db_use(&queue->db, MANIFEST_ROW_SPAN, "i", manifest);
	int64_t last = -1;

	if (db_row(&queue->db, statement)) {
		int64_t first = sqlite3_column_int64(statement, 0);

		last = sqlite3_column_int64(statement, 1);
		if (*after < first)
			*after = first - 1;
	}
	sqlite3_reset(statement);
	return last;
}

bool queue_receipt_rows(struct queue *queue, int64_t manifest, int64_t after, int most, queue_row_seen *seen, void *user, int64_t *ret_last)
{
	int64_t last = last_row_of(queue, manifest, &after);
	sqlite3_stmt *statement = db_use(&queue->db, RECEIPT_ROWS, "iii", after, last, (int64_t)most);
	bool going = true;

	while (going && db_row(&queue->db, statement)) {
		struct queue_receipt_row row = {
			.row = sqlite3_column_int64(statement, 0),
			.line = sqlite3_column_int64(statement, 1),
			.card_id = db_text(statement, 2),
			.tracking_type = db_text(statement, 3),
			.state = db_text(statement, 4),
			.http_status = sqlite3_column_int(statement, 5),
			.error_code = db_text(statement, 6),
			.detail = db_text(statement, 7),
			.operation_id = db_text(statement, 8),
			.column = "",
			.reason = "",
		};

		*ret_last = row.row;
		going = seen(user, &row);
	}
	sqlite3_reset(statement);
	return going && db_healthy(&queue->db);
}

bool queue_reject_rows(struct queue *queue, int64_t manifest, int64_t after, int most, queue_row_seen *seen, void *user, int64_t *ret_last)
{
	int64_t last = last_row_of(queue, manifest, &after);
	sqlite3_stmt *statement = db_use(&queue->db, REJECT_ROWS, "iii", after, last, (int64_t)most);
	bool going = true;

	while (going && db_row(&queue->db, statement)) {
		struct queue_receipt_row row = {
			.row = sqlite3_column_int64(statement, 0),
			.line = sqlite3_column_int64(statement, 1),
			.byte_offset = sqlite3_column_int64(statement, 2),
			.byte_length = sqlite3_column_int64(statement, 3),
			.column = db_text(statement, 4),
			.reason = db_text(statement, 5),
			.card_id = "",
			.tracking_type = "",
			.state = "rejected",
			.error_code = "",
			.detail = "",
			.operation_id = "",
		};

		*ret_last = row.row;
		going = seen(user, &row);
	}
	sqlite3_reset(statement);
	return going && db_healthy(&queue->db);
}
