#include "queue/move.h"

#include "queue/card.h"
#include "queue/chain.h"

#include <stdio.h>
#include <string.h>

/* When a manifest that an operator opened again gets its next receipt, unless it settles before. */
enum { RECEIPT_MS = 24 * 60 * 60 * 1000 };

struct move_row move_read(sqlite3_stmt *statement)
{
	struct move_row row = {
		.row = sqlite3_column_int64(statement, 0),
		.manifest = sqlite3_column_int64(statement, 1),
		.manifest_last_row = sqlite3_column_int64(statement, 3),
		.issuer = sqlite3_column_int64(statement, 4),
		.state = (enum row_state)sqlite3_column_int(statement, 6),
		.event = sqlite3_column_int64(statement, 7),
		.behind = sqlite3_column_int64(statement, 8),
		.purged = sqlite3_column_int(statement, 10) != 0,
	};

	snprintf(row.manifest_state, sizeof(row.manifest_state), "%s", db_text(statement, 2));
	snprintf(row.card_id, sizeof(row.card_id), "%s", db_text(statement, 5));
	snprintf(row.error_code, sizeof(row.error_code), "%s", db_text(statement, 9));
	return row;
}

bool move_can(const struct queue_order *order, enum row_state state)
{
	switch (order->move) {
	case QUEUE_RETRY: return state == ROW_REFUSED || state == ROW_EXPIRED || (state == ROW_DUPLICATE && order->anyway);
	case QUEUE_HOLD: return state == ROW_QUEUED;
	case QUEUE_RELEASE: return state == ROW_HELD;
	case QUEUE_CANCEL: return state == ROW_QUEUED || state == ROW_HELD;
	case QUEUE_RESOLVE_ACCEPTED:
	case QUEUE_RESOLVE_RESEND: return state == ROW_IN_DOUBT;
	}
	return false;
}

/* The card's other rows, as far as a row that is to be sent again has to know them. */
struct others {
	int64_t live;     /* stands for the same event; 0: none */
	int64_t gone_out; /* later, and on the wire or accepted */
	bool any_open;
};

static bool look_at_others(struct queue *queue, const struct move_row *row, struct others *ret_others)
{
	struct card_range keys = card_keys(row->card_id);
	sqlite3_stmt *statement = db_use(&queue->db, MOVE_OF_CARD, "iiti", keys.first, keys.last, row->card_id, row->issuer);
	struct others others = { 0 };

	while (db_row(&queue->db, statement)) {
		int64_t other = sqlite3_column_int64(statement, 0);
		enum row_state state = (enum row_state)sqlite3_column_int(statement, 2);
		bool out = state == ROW_SENDING || state == ROW_ACCEPTED || state == ROW_IN_DOUBT;

		if (other == row->row)
			continue;
		if (sqlite3_column_int64(statement, 1) == row->event && !sqlite3_column_int(statement, 3))
			others.live = other;
		if (other > row->row && out && !others.gone_out)
			others.gone_out = other;
		others.any_open = others.any_open || queue_is_open(state);
	}
	*ret_others = others;
	return db_healthy(&queue->db);
}

/* A row that may go is found by its manifest's lane; both may be closed. */
static bool open_lane(struct queue *queue, const struct move_row *row, int64_t now_ms, int64_t wall_ms)
{
	struct db *db = &queue->db;
	const struct lane *lane = queue_lane(queue, row->manifest, row->issuer);

	if (!lane) {
		if (db_change(db, db_use(db, MANIFEST_REOPEN, "ii", row->manifest, wall_ms + RECEIPT_MS)) < 0 ||
		    db_change(db, db_use(db, LANE_ADD, "iii", row->manifest, row->issuer, row->manifest_last_row + 1)) < 0 ||
		    !queue_lanes_load(queue, row->manifest))
			return false;
	}
	queue_lane_due(queue, row->manifest, row->issuer, now_ms);
	return true;
}

/* As if it had never been tried, in its place among the card's rows. */
static bool retry(struct queue *queue, const struct move_row *row, const struct others *others, int64_t now_ms, int64_t wall_ms)
{
	struct db *db = &queue->db;

	return queue_change(queue, db_use(db, MOVE_RETRY, "iiii", row->row, (int64_t)row->state, (int64_t)(others->live != 0), now_ms),
			    row->manifest, row->state, ROW_QUEUED) &&
	       (!others->any_open || chain_put_in_order(queue, row->row, now_ms)) && open_lane(queue, row, now_ms, wall_ms);
}

static bool cancel(struct queue *queue, const struct move_row *row, int64_t now_ms, int64_t wall_ms)
{
	struct db *db = &queue->db;

	if (!queue_change(queue, db_use(db, MOVE_CANCEL, "iii", row->row, wall_ms, (int64_t)row->state), row->manifest, row->state,
			  ROW_CANCELLED))
		return false;
	/* Who waited for it waits for what it waited for. */
	if (row->behind)
		return db_change(db, db_use(db, CHAIN_RELINK, "ii", row->row, row->behind)) >= 0;
	return chain_let_next_go(queue, row->row, queue_endpoint_of(queue, row->issuer), now_ms);
}

static bool apply(struct queue *queue, const struct queue_order *order, const struct move_row *row, const struct others *others,
		  int64_t now_ms, int64_t wall_ms)
{
	struct db *db = &queue->db;
	int64_t clock = queue_clock(queue, queue_endpoint_of(queue, row->issuer), now_ms);

	switch (order->move) {
	case QUEUE_RETRY: return retry(queue, row, others, now_ms, wall_ms);
	case QUEUE_HOLD: return queue_change(queue, db_use(db, MOVE_HOLD, "ii", row->row, clock), row->manifest, ROW_QUEUED, ROW_HELD);
	case QUEUE_RELEASE:
		return queue_change(queue, db_use(db, MOVE_RELEASE, "iii", row->row, clock, now_ms), row->manifest, ROW_HELD, ROW_QUEUED) &&
		       open_lane(queue, row, now_ms, wall_ms);
	case QUEUE_CANCEL: return cancel(queue, row, now_ms, wall_ms);
	case QUEUE_RESOLVE_ACCEPTED:
		return queue_change(queue, db_use(db, MOVE_ACCEPT, "iti", row->row, order->operation_id, wall_ms), row->manifest,
				    ROW_IN_DOUBT, ROW_ACCEPTED) &&
		       (!queue->any_behind || chain_put_in_order(queue, row->row, now_ms));
	case QUEUE_RESOLVE_RESEND:
		return queue_change(queue, db_use(db, MOVE_RESEND, "iii", row->row, now_ms, clock), row->manifest, ROW_IN_DOUBT,
				    ROW_QUEUED) &&
		       chain_put_in_order(queue, row->row, now_ms) && open_lane(queue, row, now_ms, wall_ms);
	}
	return queue_bug(queue, "row %lld: no such move", (long long)row->row);
}

static void say_cannot(const struct queue_order *order, const struct move_row *row, char *why)
{
	static const char *const needed[] = {
		[QUEUE_RETRY] = "refused or expired (or, with --anyway, duplicate)",
		[QUEUE_HOLD] = "queued",
		[QUEUE_RELEASE] = "held",
		[QUEUE_CANCEL] = "queued or held",
		[QUEUE_RESOLVE_ACCEPTED] = "in_doubt",
		[QUEUE_RESOLVE_RESEND] = "in_doubt",
	};

	snprintf(why, QUEUE_MOST_WHY, "is %s, not %s", queue_state_name(row->state), needed[order->move]);
}

bool move_row(struct queue *queue, const struct queue_order *order, const struct move_row *row, int64_t now_ms, int64_t wall_ms,
	      char ret_why[static QUEUE_MOST_WHY])
{
	struct others others = { 0 };

	ret_why[0] = '\0';
	if (!move_can(order, row->state))
		say_cannot(order, row, ret_why);
	else if (strcmp(row->manifest_state, "loading") == 0)
		snprintf(ret_why, QUEUE_MOST_WHY, "its manifest %lld is still loading", (long long)row->manifest);
	else if (order->move == QUEUE_RETRY && row->purged)
		snprintf(ret_why, QUEUE_MOST_WHY, "its request is gone (retention.bodies); drop it again in a manifest");
	if (ret_why[0])
		return true;
	if (order->move == QUEUE_RETRY) {
		if (!look_at_others(queue, row, &others))
			return false;
		if (!order->anyway && others.live)
			snprintf(ret_why, QUEUE_MOST_WHY, "row %lld stands for the same event now", (long long)others.live);
		else if (!order->anyway && others.gone_out)
			snprintf(ret_why, QUEUE_MOST_WHY, "row %lld of the same card came later and has gone out",
				 (long long)others.gone_out);
	}
	return ret_why[0] || order->dry_run || apply(queue, order, row, &others, now_ms, wall_ms);
}
