#include "queue/purge.h"

#include "queue/card.h"
#include "queue/internal.h"
#include "queue/read_trouble.h"

/* BODIES: rows that lose their request in one slice; they stand together. ROWS: rows that go in one slice, each with a card's key anywhere
 * in a large table. A manifest counts as much as FILES rows. */
enum { BODIES = 1000, ROWS = 100, FILES = 10 };

/* One manifest's rows that a slice is about. manifest 0: none. */
struct span_of_rows {
	int64_t manifest, first, last;
};

static bool next_of(struct queue *queue, enum statement which, int64_t before, int64_t end, struct span_of_rows *ret_span)
{
	sqlite3_stmt *statement = db_use(&queue->db, which, "ii", before, end ? end : INT64_MAX);

	*ret_span = (struct span_of_rows){ 0 };
	if (db_row(&queue->db, statement)) {
		ret_span->manifest = sqlite3_column_int64(statement, 0);
		ret_span->first = sqlite3_column_int64(statement, 1);
		ret_span->last = sqlite3_column_int64(statement, 2);
		sqlite3_reset(statement);
	}
	return db_healthy(&queue->db);
}

/* The first manifest that came at this time or later, and not in the future. */
static bool first_since(struct queue *queue, int64_t since_ms, int64_t wall_ms, int64_t *ret_manifest)
{
	sqlite3_stmt *statement = db_use(&queue->db, PURGE_FIRST_SINCE, "ii", since_ms, wall_ms);

	*ret_manifest = db_row(&queue->db, statement) ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	return db_healthy(&queue->db);
}

bool queue_purge_by(struct queue *queue, int64_t wall_ms, struct queue_purge *purge)
{
	return first_since(queue, purge->bodies_before, wall_ms, &purge->bodies_end) &&
	       first_since(queue, purge->rows_before, wall_ms, &purge->rows_end);
}

bool queue_newest(struct queue *queue, int64_t *ret_newest_ms)
{
	sqlite3_stmt *statement = db_use(&queue->db, NEWEST, "");

	*ret_newest_ms = db_row(&queue->db, statement) ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	return db_healthy(&queue->db);
}

static int64_t end_of(const struct span_of_rows *span, int64_t most)
{
	return span->last - span->first < most ? span->last : span->first + most - 1;
}

static bool purge_bodies(struct queue *queue, const struct queue_purge *as, struct queue_purged *purged, bool *ret_any)
{
	struct db *db = &queue->db;
	struct span_of_rows span;

	*ret_any = false;
	for (int64_t left = BODIES; left > 0; left -= FILES) {
		int64_t end;
		int changed;

		if (!next_of(queue, PURGE_BODIES_NEXT, as->bodies_before, as->bodies_end, &span))
			return false;
		if (!span.manifest)
			break;
		end = end_of(&span, left);
		changed = db_change(db, db_use(db, PURGE_BODIES, "ii", span.first, end));
		if (changed < 0 || db_change(db, db_use(db, PURGE_BODIES_TO, "ii", span.manifest, end)) != 1)
			return false;
		purged->bodies += changed;
		left -= changed;
		*ret_any = true;
	}
	return true;
}

static bool remove_cards(struct queue *queue, int64_t first, int64_t end)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement = db_use(db, PURGE_CARDS, "ii", first, end);

	while (db_row(db, statement)) {
		if (!card_remove(queue, db_text(statement, 1), sqlite3_column_int64(statement, 0))) {
			sqlite3_reset(statement);
			return false;
		}
	}
	return db_healthy(db);
}

static bool remove_rows(struct queue *queue, const struct span_of_rows *span, int64_t end, int *ret_removed)
{
	struct db *db = &queue->db;

	if (db_change(db, db_use(db, KEEPING_LAST_ROW, "i", end)) != 1 || !remove_cards(queue, span->first, end) ||
	    db_change(db, db_use(db, PURGE_COUNTS, "iii", span->manifest, span->first, end)) != 1 ||
	    db_change(db, db_use(db, PURGE_REJECTS, "ii", span->first, end)) < 0 ||
	    db_change(db, db_use(db, PURGE_ATTEMPTS, "ii", span->first, end)) < 0)
		return false;
	*ret_removed = db_change(db, db_use(db, PURGE_ROWS, "ii", span->first, end));
	return *ret_removed >= 0;
}

static bool purge_rows(struct queue *queue, const struct queue_purge *as, struct queue_purged *purged, bool *ret_any)
{
	struct db *db = &queue->db;
	struct span_of_rows span;

	*ret_any = false;
	/* A row that was moved in this very turn shows in its manifest's counts. */
	if (!queue_store_counts(queue))
		return false;
	for (int64_t left = ROWS; left > 0; left -= FILES) {
		int64_t end;
		int removed = 0;

		if (!next_of(queue, PURGE_ROWS_NEXT, as->rows_before, as->rows_end, &span))
			return false;
		if (!span.manifest)
			break;
		end = end_of(&span, left);
		if (span.first <= span.last && !remove_rows(queue, &span, end, &removed))
			return false;
		if (end == span.last) {
			if (db_change(db, db_use(db, LANE_REMOVE, "i", span.manifest)) < 0 ||
			    db_change(db, db_use(db, PURGE_MANIFEST, "i", span.manifest)) != 1)
				return false;
			purged->manifests++;
		}
		purged->rows += removed;
		left -= removed;
		*ret_any = true;
	}
	return true;
}

static bool give_pages_back(struct queue *queue, struct queue_purged *purged, bool *ret_any)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement = db_use(db, FREE_PAGES, "");
	bool any = db_row(db, statement) && sqlite3_column_int64(statement, 0) > 0;

	sqlite3_reset(statement);
	*ret_any = any;
	if (!any || !db_begin(db))
		return db_healthy(db);
	/* One page a step. */
	for (statement = db_use(db, GIVE_PAGES_BACK, ""); db_row(db, statement);)
		purged->pages++;
	return db_healthy(db);
}

bool queue_purge_slice(struct queue *queue, const struct queue_purge *as, struct queue_purged *purged, bool *ret_done)
{
	struct queue_purged so_far = *purged;
	bool any;

	if (!purge_bodies(queue, as, &so_far, &any) || (!any && !purge_rows(queue, as, &so_far, &any)) ||
	    (!any && !give_pages_back(queue, &so_far, &any)))
		return false;
	*purged = so_far;
	*ret_done = !any;
	return true;
}

bool queue_purge_due(const char *path, const struct queue_purge *as, struct queue_purge_due *ret_due, struct error *err)
{
	sqlite3_stmt *statement;
	struct db db;
	bool good;

	if (!db_open_read_only(&db, path, err)) {
		read_explain(path, err);
		return false;
	}
	statement = db_use(&db, PURGE_DUE, "ii", as->bodies_before, as->rows_before);
	good = db_row(&db, statement);
	if (good)
		*ret_due = (struct queue_purge_due){
			.bodies_manifests = sqlite3_column_int64(statement, 0),
			.bodies_rows = sqlite3_column_int64(statement, 1),
			.rows_manifests = sqlite3_column_int64(statement, 2),
			.rows_rows = sqlite3_column_int64(statement, 3),
		};
	else
		*err = db.why;
	db_close(&db);
	return good;
}
