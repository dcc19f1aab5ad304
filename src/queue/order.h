/*
 * order: operators' moves of many rows. An order is accepted in one turn, durably, and then carried out in slices: after a crash it goes
 * on, so that it is done for all rows that it selects or, where it was never accepted, for none. While one is under way no row is claimed,
 * unless it is a dry run: nothing that was to be held or cancelled slips out between two slices. Rows that come after it was accepted are
 * not meant.
 */
#pragma once

#include "queue/queue.h"

enum queue_move { QUEUE_RETRY, QUEUE_HOLD, QUEUE_RELEASE, QUEUE_CANCEL, QUEUE_RESOLVE_ACCEPTED, QUEUE_RESOLVE_RESEND };

enum {
	QUEUE_MOST_ORDER_ROWS = 1000, /* that can be named one by one */
	QUEUE_MOST_EXAMPLES = 100,
};

/* What an operator wants. Strings are borrowed. Selectors that are given hold all together; none at all: every row. */
struct queue_order {
	enum queue_move move;
	const int64_t *rows; /* ascending */
	size_t n_rows;
	int64_t manifest; /* 0: any */
	const char *card; /* NULL: any */
	int state;        /* enum row_state, or -1 */
	const char *error_code;
	bool anyway;
	bool dry_run;
	const char *operation_id; /* of QUEUE_RESOLVE_ACCEPTED, or NULL */
	struct queue_action who;  /* its rows and wall_ms are filled in here */
};

struct queue_order_example {
	int64_t row;
	char why[QUEUE_MOST_WHY];
};

struct queue_order_result {
	int64_t moved, declined;
	struct queue_order_example examples[QUEUE_MOST_EXAMPLES]; /* the first that were declined, since the last start */
	size_t n_examples;
};

/* queue_order_give accepts an order, with a copy of all of it; a dry run writes nothing. One at a time: queue_order_open tells. */
bool queue_order_give(struct queue *queue, const struct queue_order *order, int64_t wall_ms);
bool queue_order_open(const struct queue *queue);

/* queue_order_stops_sending tells whether an order is under way for which claiming has to wait. */
bool queue_order_stops_sending(const struct queue *queue);

/*
 * queue_order_slice looks at up to most rows, or a few more; where it was the last slice, ret_done is set and the order logged in
 * operator_action. ret_result points to what was done so far; it is valid until the next order is given.
 */
bool queue_order_slice(struct queue *queue, int most, int64_t now_ms, int64_t wall_ms, bool *ret_done,
		       const struct queue_order_result **ret_result);
