/*
 * move: what an operator's word does to one row, with all that hangs on it: the order of its card's rows, the lane by which it is found,
 * the manifest that opens again, the time it has left. Included by order.c alone.
 */
#pragma once

#include "queue/internal.h"
#include "queue/order.h"

/* A row as a move finds it. */
struct move_row {
	int64_t row, manifest;
	char manifest_state[16];
	int64_t manifest_last_row;
	int64_t issuer; /* 0: none */
	char card_id[QUEUE_MOST_STRINGS];
	enum row_state state;
	int64_t event, behind;
	bool purged; /* its request is gone */
	char error_code[TRACK_MOST_ERROR_CODE + 1];
};

/* move_read takes a row of a statement with MOVE_COLUMNS. */
struct move_row move_read(sqlite3_stmt *statement);

/* move_can tells whether the order moves rows of this state at all. */
bool move_can(const struct queue_order *order, enum row_state state);

/*
 * move_row moves the row, or only says whether it would (order->dry_run). ret_why is "" or why it is declined. False where the turn is
 * spoiled.
 */
bool move_row(struct queue *queue, const struct queue_order *order, const struct move_row *row, int64_t now_ms, int64_t wall_ms,
	      char ret_why[static QUEUE_MOST_WHY]);
