#include "queue/card.h"
#include "queue/internal.h"

#include <string.h>

/* What is known of a card when a new row of it comes. */
struct known {
	int64_t event_row; /* the row that stands for the same event, 0: none */
	enum row_state event_state;
	int64_t before;   /* the last unfinished row of the card, 0: none */
	int64_t accepted; /* the last accepted row of the card with the same type and another event, 0: none */
};

static bool look_up(struct queue *queue, const struct queue_row_new *as, int64_t issuer, struct known *ret_known)
{
	const char *card_id = as->request.card_id;
	struct card_range keys = card_keys(card_id);
	struct known known = { 0 };
	sqlite3_stmt *statement;

	*ret_known = known;
	if (card_is_new(queue, card_id))
		return true;
	statement = db_use(&queue->db, ROW_OF_CARD, "iiti", keys.first, keys.last, card_id, issuer);
	while (db_row(&queue->db, statement)) {
		int64_t row = sqlite3_column_int64(statement, 0);
		enum row_state state = (enum row_state)sqlite3_column_int(statement, 2);

		/* A row that does not stand for its event may be open all the same: by an operator's word. */
		if (queue_is_open(state) && row > known.before)
			known.before = row;
		if (sqlite3_column_int(statement, 4))
			continue;
		if (sqlite3_column_int64(statement, 1) == as->event) {
			known.event_row = row;
			known.event_state = state;
		} else if (state == ROW_ACCEPTED && sqlite3_column_int(statement, 3) == (int)as->request.type && row > known.accepted) {
			known.accepted = row;
		}
	}
	*ret_known = known;
	return db_healthy(&queue->db);
}

static bool is_same_request(struct queue *queue, int64_t row, const struct track_request *request)
{
	sqlite3_stmt *statement = db_use(&queue->db, ROW_SAME_REQUEST, "iittttz", row, (int64_t)request->type, request->production_site,
					 request->tracking_number, request->postal_code, request->country_code,
					 request->type == TRACK_SHIPMENT ? request->shipment_date : INT64_C(0));
	bool same = db_row(&queue->db, statement);

	sqlite3_reset(statement);
	return same;
}

/*
 * A row whose event is known is a duplicate, unless D1 refused the known one and this is another request: then the new row stands for the
 * event. (A row that ended rejected, skipped or expired does not stand for its event and is not found here.)
 */
static bool decide(struct queue *queue, const struct queue_row_new *as, const struct known *known, enum row_state *ret_state)
{
	struct db *db = &queue->db;

	*ret_state = ROW_QUEUED;
	if (!known->event_row)
		return true;
	if (known->event_state == ROW_REFUSED && !is_same_request(queue, known->event_row, &as->request))
		return db_change(db, db_use(db, ROW_SUPERSEDE, "i", known->event_row)) == 1;
	*ret_state = ROW_DUPLICATE;
	return db_healthy(db);
}

/* The manifest gets a lane for each issuer whose rows it queues; it is opened when the manifest is released. */
static bool add_lane(struct queue *queue, int64_t manifest, int64_t issuer, int64_t row)
{
	struct db *db = &queue->db;

	for (size_t i = 0; i < queue->n_loading_issuers; i++) {
		if (queue->loading_issuers[i] == issuer)
			return true;
	}
	if (db_change(db, db_use(db, LANE_ADD, "iii", manifest, issuer, row)) < 0)
		return false;
	queue->loading_issuers[queue->n_loading_issuers++] = issuer;
	return true;
}

bool queue_row_add(struct queue *queue, int64_t manifest, const struct queue_row_new *as, int64_t wall_ms, enum row_state *ret_state)
{
	struct db *db = &queue->db;
	const struct track_request *r = &as->request;
	const struct queue_issuer *issuer = r->issuer_id ? queue_issuer_of(queue, r->issuer_id) : NULL;
	enum row_state state = as->state;
	struct known known = { 0 };
	int64_t row = queue->next_row;
	bool queued;

	if (queue->loading != manifest) {
		queue->loading = manifest;
		queue->n_loading_issuers = 0;
	}
	if (state == ROW_QUEUED) {
		if (!issuer || !r->card_id)
			return queue_bug(queue, "manifest %lld: a row without issuer or card was queued", (long long)manifest);
		if (!look_up(queue, as, issuer->number, &known) || !decide(queue, as, &known, &state))
			return false;
	}
	queued = state == ROW_QUEUED;
	if (queued && !add_lane(queue, manifest, issuer->number, row))
		return false;
	if (db_change(db, db_use(db, ROW_ADD, "iiiztiittttziizzzzt", row, manifest, as->line, issuer ? issuer->number : INT64_C(0),
				 r->card_id, (int64_t)r->type, (int64_t)state, r->production_site, r->tracking_number, r->postal_code,
				 r->country_code, r->type == TRACK_SHIPMENT ? r->shipment_date : INT64_C(0), as->event,
				 queued ? INT64_C(0) : INT64_C(1), state == ROW_DUPLICATE ? known.event_row : INT64_C(0),
				 queued ? known.event_row : INT64_C(0), queued ? known.before : INT64_C(0), queued ? INT64_C(0) : wall_ms,
				 state == ROW_REJECTED ? as->reason : NULL)) != 1)
		return false;
	if (!card_add(queue, r->card_id, row))
		return false;
	if (state == ROW_REJECTED && db_change(db, db_use(db, REJECT_ADD, "iiit", row, as->byte_offset, as->byte_length, as->column)) != 1)
		return false;
	queue_count(queue, manifest, ROW_N_STATES, state, 1);
	/* With another identity, the same request is no repetition. */
	if (queued && known.accepted && !is_same_request(queue, known.accepted, r))
		queue_count_repeat(queue, manifest);
	queue->any_behind = queue->any_behind || (queued && known.before);
	if (!queue->loading_first)
		queue->loading_first = row;
	queue->loading_last = row;
	queue->next_row++;
	*ret_state = state;
	return true;
}
