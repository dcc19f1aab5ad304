#include "base/file.h"
#include "cli/orders_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Rows that one turn looks at: some ten milliseconds. */
enum { SLICE = 1000 };

bool order_move_of(const struct one *one, enum queue_move *ret_move)
{
	enum queue_move move = QUEUE_RETRY;

	switch (one->request ? one->request->command : CONTROL_RETRY) {
	case CONTROL_RETRY: break;
	case CONTROL_HOLD: move = QUEUE_HOLD; break;
	case CONTROL_RELEASE: move = QUEUE_RELEASE; break;
	case CONTROL_CANCEL: move = QUEUE_CANCEL; break;
	case CONTROL_RESOLVE: move = one->request->resolution == CONTROL_RESEND ? QUEUE_RESOLVE_RESEND : QUEUE_RESOLVE_ACCEPTED; break;
	case CONTROL_RELOAD:
	case CONTROL_PAUSE:
	case CONTROL_RESUME:
	case CONTROL_RECEIPT:
	case CONTROL_PURGE:
	case CONTROL_NONE:
	case CONTROL_N_COMMANDS: return false;
	}
	if (ret_move)
		*ret_move = move;
	return true;
}

static int by_number(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return (one > other) - (one < other);
}

static bool give(struct orders *orders, struct one *one, int64_t wall_ms)
{
	const struct control_request *r = one->request;
	scoped_text struct text selector = { 0 };
	scoped_free int64_t *rows = xcalloc(r->n_rows + 1, sizeof(*rows));
	struct queue_order order = {
		.rows = rows,
		.manifest = r->manifest,
		.card = r->card[0] ? r->card : NULL,
		.state = r->by_state ? (int)r->state : -1,
		.error_code = r->error_code[0] ? r->error_code : NULL,
		.anyway = r->anyway,
		.dry_run = r->dry_run,
		.operation_id = r->operation_id[0] ? r->operation_id : NULL,
	};

	order_move_of(one, &order.move);
	for (size_t i = 0; i < r->n_rows; i++)
		rows[i] = r->rows[i];
	qsort(rows, r->n_rows, sizeof(*rows), by_number);
	/* A row that is named twice is moved once. */
	for (size_t i = 0; i < r->n_rows; i++) {
		if (!order.n_rows || rows[order.n_rows - 1] != rows[i])
			rows[order.n_rows++] = rows[i];
	}
	control_request_describe(r, &selector);
	order.who = order_action(one, selector.data, 0, wall_ms);
	return queue_order_give(orders->queue, &order, wall_ms);
}

static void tell_moved(struct orders *orders, const struct one *one, const struct queue_order_result *result)
{
	struct control_answer *answer = &orders->answer;
	const char *verb = one->request && one->request->dry_run ? "would be" : "are";

	answer->rows = result->moved;
	answer->declined = result->declined;
	answer->n_examples = result->n_examples;
	for (size_t i = 0; i < result->n_examples; i++) {
		answer->examples[i].row = result->examples[i].row;
		snprintf(answer->examples[i].why, sizeof(answer->examples[i].why), "%s", result->examples[i].why);
	}
	control_answer_say(answer, result->declined ? ERROR_DATA : ERROR_NONE, "%" PRId64 " rows %s moved, %" PRId64 " %s declined",
			   result->moved, verb, result->declined, verb);
}

void order_move(struct orders *orders, struct one *one, int64_t now_ms, int64_t wall_ms)
{
	const struct queue_order_result *result;
	bool done = false;

	if (one->step == ORDER_WAITING && !give(orders, one, wall_ms))
		return;
	one->step = ORDER_WORKING;
	if (!queue_order_slice(orders->queue, SLICE, now_ms, wall_ms, &done, &result) || !done)
		return;
	tell_moved(orders, one, result);
	one->step = ORDER_DONE;
}
