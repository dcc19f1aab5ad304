#include "queue/order.h"

#include "base/file.h"
#include "queue/card.h"
#include "queue/internal.h"
#include "queue/move.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An order under way, with what it points to. */
struct order {
	struct queue_order as;
	int64_t *rows;
	char *card, *error_code, *operation_id, *user, *selector, *reason;
	int64_t next_row, last_row;
	bool told; /* its result is that of an order whose end is committed, or of a dry run */
	struct queue_order_result result;
};

static char *copy_of(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static void order_free(struct order *order)
{
	if (!order)
		return;
	free(order->rows);
	free(order->card);
	free(order->error_code);
	free(order->operation_id);
	free(order->user);
	free(order->selector);
	free(order->reason);
	free(order);
}

void queue_order_drop(struct queue *queue)
{
	order_free(queue->order);
	queue->order = NULL;
}

/* Points the order to its own copies. */
static struct order *order_new(const struct queue_order *as)
{
	struct order *order = xcalloc(1, sizeof(*order));

	order->as = *as;
	order->rows = xcalloc(as->n_rows + 1, sizeof(*order->rows));
	for (size_t i = 0; i < as->n_rows; i++)
		order->rows[i] = as->rows[i];
	order->as.rows = order->rows;
	order->as.card = order->card = copy_of(as->card);
	order->as.error_code = order->error_code = copy_of(as->error_code);
	order->as.operation_id = order->operation_id = copy_of(as->operation_id);
	order->as.who.user = order->user = copy_of(as->who.user);
	order->as.who.selector = order->selector = copy_of(as->who.selector);
	order->as.who.reason = order->reason = copy_of(as->who.reason);
	return order;
}

static const char *action_of(enum queue_move move)
{
	static const char *const names[] = {
		[QUEUE_RETRY] = "retry",
		[QUEUE_HOLD] = "hold",
		[QUEUE_RELEASE] = "release",
		[QUEUE_CANCEL] = "cancel",
		[QUEUE_RESOLVE_ACCEPTED] = "resolve",
		[QUEUE_RESOLVE_RESEND] = "resolve",
	};

	return names[move];
}

/* The rows among which the order looks. */
static bool find_bounds(struct queue *queue, const struct queue_order *as, int64_t *ret_first, int64_t *ret_last)
{
	sqlite3_stmt *statement;

	*ret_first = 1;
	*ret_last = queue->next_row - 1;
	if (as->manifest) {
		statement = db_use(&queue->db, MANIFEST_ROW_SPAN, "i", as->manifest);
		*ret_last = -1;
		if (db_row(&queue->db, statement)) {
			*ret_first = sqlite3_column_int64(statement, 0);
			*ret_last = sqlite3_column_int64(statement, 1);
			sqlite3_reset(statement);
		}
	}
	if (as->n_rows) {
		*ret_first = as->rows[0];
		*ret_last = as->rows[as->n_rows - 1];
	}
	return db_healthy(&queue->db);
}

static bool put(struct queue *queue, const struct order *order)
{
	const struct queue_order *as = &order->as;
	struct db *db = &queue->db;
	scoped_text struct text rows = { 0 };

	for (size_t i = 0; as->rows && i < as->n_rows; i++)
		text_printf(&rows, "%s%lld", i ? " " : "", (long long)as->rows[i]);
	return db_change(db, db_use(db, ORDER_PUT, "itztititiiititt", (int64_t)as->move, rows.data, as->manifest, as->card,
				    (int64_t)as->state, as->error_code, (int64_t)as->anyway, as->operation_id, order->next_row,
				    order->last_row, as->who.wall_ms, as->who.user, as->who.uid, as->who.selector, as->who.reason)) == 1;
}

bool queue_order_give(struct queue *queue, const struct queue_order *as, int64_t wall_ms)
{
	struct order *order;

	if (queue->order && !queue->order->told)
		return queue_bug(queue, "an order is given while another one is carried out");
	queue_order_drop(queue);
	order = order_new(as);
	order->as.who.wall_ms = wall_ms;
	order->as.who.action = action_of(as->move);
	queue->order = order;
	if (!find_bounds(queue, as, &order->next_row, &order->last_row))
		return false;
	return as->dry_run || put(queue, order);
}

bool queue_order_open(const struct queue *queue)
{
	return queue->order && !queue->order->told;
}

bool queue_order_stops_sending(const struct queue *queue)
{
	return queue_order_open(queue) && !queue->order->as.dry_run;
}

static bool parse_rows(struct order *order, const char *text)
{
	char *end;

	free(order->rows);
	order->rows = xcalloc(QUEUE_MOST_ORDER_ROWS, sizeof(*order->rows));
	for (; *text && order->as.n_rows < QUEUE_MOST_ORDER_ROWS; text = *end ? end + 1 : end)
		order->rows[order->as.n_rows++] = strtoll(text, &end, 10);
	order->as.rows = order->rows;
	return *text == '\0';
}

bool queue_order_load(struct queue *queue)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement = db_use(db, ORDER_GET, "");
	struct queue_order as = { 0 };
	struct order *order;

	queue_order_drop(queue);
	if (!db_row(db, statement))
		return db_healthy(db);
	as.move = (enum queue_move)sqlite3_column_int(statement, 0);
	as.manifest = sqlite3_column_int64(statement, 2);
	as.card = (const char *)sqlite3_column_text(statement, 3);
	as.state = sqlite3_column_int(statement, 4);
	as.error_code = (const char *)sqlite3_column_text(statement, 5);
	as.anyway = sqlite3_column_int(statement, 6);
	as.operation_id = (const char *)sqlite3_column_text(statement, 7);
	as.who = (struct queue_action){
		.action = action_of(as.move),
		.wall_ms = sqlite3_column_int64(statement, 12),
		.user = db_text(statement, 13),
		.uid = sqlite3_column_int64(statement, 14),
		.selector = db_text(statement, 15),
		.reason = db_text(statement, 16),
	};
	order = order_new(&as);
	order->next_row = sqlite3_column_int64(statement, 8);
	order->last_row = sqlite3_column_int64(statement, 9);
	order->result.moved = sqlite3_column_int64(statement, 10);
	order->result.declined = sqlite3_column_int64(statement, 11);
	queue->order = order;
	if (sqlite3_column_type(statement, 1) != SQLITE_NULL && !parse_rows(order, db_text(statement, 1)))
		return queue_bug(queue, "the order that is being carried out names more rows than can be");
	sqlite3_reset(statement);
	return true;
}

static bool is_meant(const struct queue_order *as, const struct move_row *row)
{
	if (as->manifest && row->manifest != as->manifest)
		return false;
	if (as->card && strcmp(row->card_id, as->card) != 0)
		return false;
	if (as->state >= 0 && (int)row->state != as->state)
		return false;
	if (as->error_code && strcmp(row->error_code, as->error_code) != 0)
		return false;
	/* A row that is named gets an answer; of a crowd, those are meant that can be moved. */
	return as->n_rows || move_can(as, row->state);
}

static void decline(struct queue_order_result *result, int64_t row, const char why[static QUEUE_MOST_WHY])
{
	result->declined++;
	if (result->n_examples < QUEUE_MOST_EXAMPLES) {
		struct queue_order_example *example = &result->examples[result->n_examples++];

		example->row = row;
		memcpy(example->why, why, sizeof(example->why));
	}
}

static bool treat(struct queue *queue, struct order *order, const struct move_row *row, int64_t now_ms, int64_t wall_ms)
{
	struct queue_order_result *result = &order->result;
	char why[QUEUE_MOST_WHY];

	if (!is_meant(&order->as, row))
		return true;
	if (!move_row(queue, &order->as, row, now_ms, wall_ms, why))
		return false;
	if (why[0])
		decline(result, row->row, why);
	else
		result->moved++;
	return true;
}

static bool treat_one(struct queue *queue, struct order *order, int64_t row_id, int64_t now_ms, int64_t wall_ms)
{
	sqlite3_stmt *statement = db_use(&queue->db, MOVE_ROW, "i", row_id);
	struct move_row row;

	if (!db_row(&queue->db, statement)) {
		if (order->as.n_rows)
			decline(&order->result, row_id, (char[QUEUE_MOST_WHY]){ "there is no such row" });
		return db_healthy(&queue->db);
	}
	row = move_read(statement);
	sqlite3_reset(statement);
	return treat(queue, order, &row, now_ms, wall_ms);
}

/* The statement that finds rows of the only state that can be meant, by its index; STATEMENT_N: there is none. */
static enum statement finder_of(const struct queue_order *as)
{
	int state = as->state;

	if (state < 0 && as->move == QUEUE_RELEASE)
		state = ROW_HELD;
	if (state < 0 && (as->move == QUEUE_RESOLVE_ACCEPTED || as->move == QUEUE_RESOLVE_RESEND))
		state = ROW_IN_DOUBT;
	switch (state) {
	case ROW_REFUSED: return MOVE_REFUSED;
	case ROW_IN_DOUBT: return MOVE_IN_DOUBT;
	case ROW_HELD: return MOVE_HELD;
	case ROW_EXPIRED: return MOVE_EXPIRED;
	default: return STATEMENT_N;
	}
}

/* Gives the numbers of the next rows to look at, and where to look after them. */
static bool find(struct queue *queue, const struct order *order, int most, int64_t *ret_rows, size_t *ret_n, int64_t *ret_next)
{
	const struct queue_order *as = &order->as;
	enum statement finder = finder_of(as);
	sqlite3_stmt *statement;
	size_t n = 0;

	if (as->n_rows) {
		for (size_t i = 0; i < as->n_rows && n < (size_t)most; i++) {
			if (as->rows[i] >= order->next_row && as->rows[i] <= order->last_row)
				ret_rows[n++] = as->rows[i];
		}
	} else {
		if (as->card) {
			struct card_range keys = card_keys(as->card);

			statement = db_use(&queue->db, MOVE_CARD, "iitiii", keys.first, keys.last, as->card, order->next_row,
					   order->last_row, (int64_t)most);
		} else {
			statement = db_use(&queue->db, finder, "iii", order->next_row, order->last_row, (int64_t)most);
		}
		while (n < (size_t)most && db_row(&queue->db, statement))
			ret_rows[n++] = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	*ret_n = n;
	*ret_next = n < (size_t)most ? order->last_row + 1 : ret_rows[n - 1] + 1;
	return db_healthy(&queue->db);
}

static bool slice_found(struct queue *queue, struct order *order, int most, int64_t now_ms, int64_t wall_ms)
{
	scoped_free int64_t *rows = xcalloc((size_t)most, sizeof(*rows));
	int64_t next;
	size_t n;

	if (!find(queue, order, most, rows, &n, &next))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!treat_one(queue, order, rows[i], now_ms, wall_ms))
			return false;
	}
	order->next_row = next;
	return true;
}

static bool slice_between(struct queue *queue, struct order *order, int most, int64_t now_ms, int64_t wall_ms)
{
	int64_t end = order->last_row - order->next_row < most ? order->last_row : order->next_row + most - 1;

	/* One statement for each row: what a move changes must not change what is being walked over. */
	for (int64_t row = order->next_row; row <= end; row++) {
		if (!treat_one(queue, order, row, now_ms, wall_ms))
			return false;
	}
	order->next_row = end + 1;
	return true;
}

static bool finish(struct queue *queue, struct order *order)
{
	struct db *db = &queue->db;

	order->told = true;
	if (order->as.dry_run)
		return true;
	order->as.who.rows = order->result.moved;
	return db_change(db, db_use(db, ORDER_DROP, "")) == 1 && queue_action_log(queue, &order->as.who);
}

bool queue_order_slice(struct queue *queue, int most, int64_t now_ms, int64_t wall_ms, bool *ret_done,
		       const struct queue_order_result **ret_result)
{
	struct order *order = queue->order;
	struct db *db = &queue->db;
	bool found;

	if (!order || order->told)
		return queue_bug(queue, "no order is being carried out");
	found = order->as.n_rows || order->as.card || finder_of(&order->as) != STATEMENT_N;
	if (found ? !slice_found(queue, order, most, now_ms, wall_ms) : !slice_between(queue, order, most, now_ms, wall_ms))
		return false;
	*ret_done = order->next_row > order->last_row;
	*ret_result = &order->result;
	if (*ret_done)
		return finish(queue, order);
	return order->as.dry_run ||
	       db_change(db, db_use(db, ORDER_PROGRESS, "iii", order->next_row, order->result.moved, order->result.declined)) == 1;
}
