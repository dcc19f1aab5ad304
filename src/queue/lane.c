#include "queue/internal.h"
#include "queue/order.h"

#include <string.h>

int queue_endpoint_of(const struct queue *queue, int64_t issuer)
{
	for (size_t i = 0; i < queue->n_issuers; i++) {
		if (queue->issuers[i].number == issuer)
			return queue->issuers[i].endpoint;
	}
	return -1;
}

static bool next_due_of(struct queue *queue, struct lane *lane)
{
	sqlite3_stmt *statement = db_use(&queue->db, LANE_DUE, "ii", lane->manifest, lane->issuer);

	lane->next_due = db_row(&queue->db, statement) ? sqlite3_column_int64(statement, 0) : INT64_MAX;
	sqlite3_reset(statement);
	return db_healthy(&queue->db);
}

/* Where a lane stands or would stand in the sorted array. */
static size_t place_of(const struct queue *queue, int64_t manifest, int64_t issuer)
{
	size_t low = 0, high = queue->n_lanes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct lane *lane = &queue->lanes[middle];

		if (lane->manifest < manifest || (lane->manifest == manifest && lane->issuer < issuer))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct lane *queue_lane(struct queue *queue, int64_t manifest, int64_t issuer)
{
	size_t place = place_of(queue, manifest, issuer);
	struct lane *lane = place < queue->n_lanes ? &queue->lanes[place] : NULL;

	return lane && lane->manifest == manifest && (issuer == 0 || lane->issuer == issuer) ? lane : NULL;
}

size_t queue_lane_from(const struct queue *queue, int64_t manifest, int64_t issuer)
{
	return place_of(queue, manifest, issuer) % queue->n_lanes;
}

static void insert(struct queue *queue, const struct lane *lane)
{
	size_t place = place_of(queue, lane->manifest, lane->issuer);

	if (queue->n_lanes == queue->room_for_lanes) {
		queue->room_for_lanes = queue->room_for_lanes ? 2 * queue->room_for_lanes : 64;
		queue->lanes = xrealloc_array(queue->lanes, queue->room_for_lanes, sizeof(*queue->lanes));
	}
	memmove(queue->lanes + place + 1, queue->lanes + place, (queue->n_lanes - place) * sizeof(*queue->lanes));
	queue->lanes[place] = *lane;
	queue->n_lanes++;
}

bool queue_lanes_load(struct queue *queue, int64_t manifest)
{
	struct db *db = &queue->db;
	size_t first = queue->n_lanes;
	sqlite3_stmt *statement = db_use(db, LANES_OPEN, "ii", manifest, manifest ? manifest : INT64_MAX);

	while (db_row(db, statement)) {
		struct lane lane = {
			.manifest = sqlite3_column_int64(statement, 0),
			.issuer = sqlite3_column_int64(statement, 1),
			.next_row = sqlite3_column_int64(statement, 2),
			.last_row = sqlite3_column_int64(statement, 3),
			.paused = db_text(statement, 4)[0] != '\0',
			.paused_clock = sqlite3_column_type(statement, 5) == SQLITE_NULL ? -1 : sqlite3_column_int64(statement, 5),
			.next_due = INT64_MAX,
		};

		lane.endpoint = queue_endpoint_of(queue, lane.issuer);
		if (!queue_lane(queue, lane.manifest, lane.issuer))
			insert(queue, &lane);
	}
	if (!db_healthy(db))
		return false;
	for (size_t i = manifest ? 0 : first; i < queue->n_lanes; i++) {
		if ((!manifest || queue->lanes[i].manifest == manifest) && !next_due_of(queue, &queue->lanes[i]))
			return false;
	}
	return true;
}

bool queue_lanes_pause(struct queue *queue, int64_t manifest, const char *paused, const char *reason, int64_t now_ms)
{
	struct db *db = &queue->db;

	if (db_change(db, db_use(db, MANIFEST_PAUSE, "itt", manifest, paused, reason)) < 0)
		return false;
	for (size_t i = place_of(queue, manifest, 0); i < queue->n_lanes && queue->lanes[i].manifest == manifest; i++) {
		struct lane *lane = &queue->lanes[i];
		int64_t clock = queue_clock(queue, lane->endpoint, now_ms);

		lane->paused = true;
		lane->paused_clock = clock;
		if (db_change(db, db_use(db, LANE_PAUSE, "iii", lane->manifest, lane->issuer, clock)) < 0)
			return false;
	}
	return true;
}

bool queue_lanes_resume(struct queue *queue, int64_t manifest, int64_t now_ms)
{
	struct db *db = &queue->db;

	if (db_change(db, db_use(db, MANIFEST_RESUME, "i", manifest)) != 1)
		return false;
	for (size_t i = place_of(queue, manifest, 0); i < queue->n_lanes && queue->lanes[i].manifest == manifest; i++) {
		struct lane *lane = &queue->lanes[i];
		int64_t slept = 0;
		sqlite3_stmt *statement;

		lane->paused = false;
		lane->paused_clock = -1;
		lane->refusals = 0;
		statement = db_use(db, LANE_SLEPT, "iii", manifest, lane->issuer, queue_clock(queue, lane->endpoint, now_ms));
		if (db_row(db, statement))
			slept = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
		/* The time in which they could not go does not count. */
		if (slept > 0 && db_change(db, db_use(db, LANE_SHIFT, "iii", manifest, lane->issuer, slept)) < 0)
			return false;
		if (db_change(db, db_use(db, LANE_RESUME, "ii", manifest, lane->issuer)) < 0)
			return false;
	}
	return db_healthy(db);
}

bool queue_lanes_forget(struct queue *queue, int64_t manifest)
{
	size_t first = place_of(queue, manifest, 0), last = first;

	while (last < queue->n_lanes && queue->lanes[last].manifest == manifest)
		last++;
	if (last > first)
		memmove(queue->lanes + first, queue->lanes + last, (queue->n_lanes - last) * sizeof(*queue->lanes));
	queue->n_lanes -= last - first;
	return db_change(&queue->db, db_use(&queue->db, LANE_REMOVE, "i", manifest)) >= 0;
}

bool queue_lanes_store(struct queue *queue)
{
	for (size_t i = 0; i < queue->n_lanes; i++) {
		struct lane *lane = &queue->lanes[i];

		if (!lane->moved)
			continue;
		if (db_change(&queue->db, db_use(&queue->db, LANE_STORE, "iii", lane->manifest, lane->issuer, lane->next_row)) < 0)
			return false;
		lane->moved = false;
	}
	return true;
}

void queue_lane_due(struct queue *queue, int64_t manifest, int64_t issuer, int64_t due_ms)
{
	struct lane *lane = queue_lane(queue, manifest, issuer);

	if (lane && due_ms < lane->next_due)
		lane->next_due = due_ms;
}

bool queue_lane_look_again(struct queue *queue, struct lane *lane)
{
	return next_due_of(queue, lane);
}

int64_t queue_next_due(struct queue *queue, int endpoint, int64_t now_ms)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < queue->n_lanes && !queue_order_stops_sending(queue); i++) {
		const struct lane *lane = &queue->lanes[i];

		if (lane->endpoint != endpoint || lane->paused)
			continue;
		if (lane->next_row <= lane->last_row)
			return now_ms;
		if (lane->next_due < next)
			next = lane->next_due;
	}
	return next < now_ms ? now_ms : next;
}
