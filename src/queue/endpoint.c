#include "queue/internal.h"

#include <stdio.h>

/* How stale an endpoint's stored clock may be: after a crash, rows live longer by at most this. */
enum { CLOCK_STALE_MS = 10000 };

bool queue_endpoint_load(struct queue *queue, int endpoint, struct queue_endpoint *ret_endpoint)
{
	sqlite3_stmt *statement = db_use(&queue->db, ENDPOINT_LOAD, "i", queue->endpoints[endpoint].number);

	if (!db_row(&queue->db, statement))
		return false;
	*ret_endpoint = (struct queue_endpoint){
		.until_ms = sqlite3_column_int64(statement, 2),
		.step = sqlite3_column_int(statement, 3),
		.concurrency = sqlite3_column_int(statement, 4),
		.token_expires_at = sqlite3_column_int64(statement, 5),
	};
	snprintf(ret_endpoint->state, sizeof(ret_endpoint->state), "%s", db_text(statement, 0));
	snprintf(ret_endpoint->reason, sizeof(ret_endpoint->reason), "%s", db_text(statement, 1));
	sqlite3_reset(statement);
	return true;
}

bool queue_endpoint_store(struct queue *queue, int endpoint, const struct queue_endpoint *as)
{
	struct db *db = &queue->db;

	return db_change(db, db_use(db, ENDPOINT_STORE, "ittziizz", queue->endpoints[endpoint].number, as->state, as->reason, as->until_ms,
				    (int64_t)as->step, (int64_t)as->concurrency, as->token_expires_at, as->certificate_expires_at)) >= 0;
}

int64_t queue_clock(const struct queue *queue, int endpoint, int64_t now_ms)
{
	const struct queue_bound_endpoint *e = &queue->endpoints[endpoint < 0 ? 0 : endpoint];

	if (endpoint < 0)
		return -1;
	return e->open_ms + (e->open && now_ms > e->open_since ? now_ms - e->open_since : 0);
}

void queue_endpoint_open(struct queue *queue, int endpoint, bool open, int64_t now_ms)
{
	struct queue_bound_endpoint *e = &queue->endpoints[endpoint];

	e->open_ms = queue_clock(queue, endpoint, now_ms);
	e->open_since = now_ms;
	e->open = open;
	/* Only along with other changes: an idle daemon writes nothing. */
	if (queue->db.in_turn && (e->open_ms - e->stored_open_ms >= CLOCK_STALE_MS || (!open && e->open_ms != e->stored_open_ms))) {
		if (db_change(&queue->db, db_use(&queue->db, ENDPOINT_CLOCK, "ii", e->number, e->open_ms)) >= 0)
			e->stored_open_ms = e->open_ms;
	}
}
