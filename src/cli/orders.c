#include "cli/orders.h"

#include "base/file.h"
#include "base/log.h"
#include "cli/orders_inside.h"

#include <stdlib.h>

static void put(struct orders *orders, const struct one *as)
{
	struct one *one = xcalloc(1, sizeof(*one));

	*one = *as;
	if (orders->last)
		orders->last->next = one;
	else
		orders->first = one;
	orders->last = one;
}

static void drop_first(struct orders *orders)
{
	struct one *one = orders->first;

	orders->first = one->next;
	if (!orders->first)
		orders->last = NULL;
	free(one);
}

struct orders *orders_new(const struct config *config, struct queue *queue, struct submit *submit, orders_answered *answered, void *user)
{
	struct orders *orders = xcalloc(1, sizeof(*orders));

	*orders = (struct orders){ .config = config, .queue = queue, .submit = submit, .answered = answered, .user = user };
	if (queue_order_open(queue)) {
		log_write(LOG_NOTICE, "an operator's order that was cut short is carried on");
		put(orders, &(struct one){ .step = ORDER_WORKING });
	}
	return orders;
}

void orders_free(struct orders *orders)
{
	if (!orders)
		return;
	while (orders->first)
		drop_first(orders);
	free(orders);
}

void orders_put(struct orders *orders, uint64_t id, const struct control_peer *peer, const struct control_request *request)
{
	put(orders, &(struct one){ .id = id, .peer = peer, .request = request });
}

struct queue_action order_action(const struct one *one, const char *selector, int64_t rows, int64_t wall_ms)
{
	return (struct queue_action){
		.user = one->peer->user,
		.uid = one->peer->uid,
		.action = control_command_name(one->request->command),
		.selector = selector,
		.reason = one->request->reason,
		.rows = rows,
		.wall_ms = wall_ms,
	};
}

bool order_log(struct orders *orders, const struct one *one, int64_t rows, int64_t wall_ms)
{
	scoped_text struct text selector = { 0 };
	struct queue_action action;

	control_request_describe(one->request, &selector);
	action = order_action(one, selector.data ? selector.data : "", rows, wall_ms);
	return queue_action_log(orders->queue, &action);
}

void orders_gather(struct orders *orders, int64_t now_ms, int64_t wall_ms)
{
	struct one *one = orders->first;

	if (!one || one->step == ORDER_DONE)
		return;
	if (one->step == ORDER_WAITING)
		orders->answer = (struct control_answer){ 0 };
	if (order_move_of(one, NULL))
		order_move(orders, one, now_ms, wall_ms);
	else
		order_work(orders, one, now_ms, wall_ms);
}

void orders_act(struct orders *orders, bool committed)
{
	struct one *one = orders->first;

	if (!one || one->step == ORDER_WAITING)
		return;
	if (!committed) {
		/* A move that was given before goes on where the database has it. */
		one->step = order_move_of(one, NULL) && queue_order_open(orders->queue) ? ORDER_WORKING : ORDER_WAITING;
		one->again = true;
		return;
	}
	if (one->step != ORDER_DONE)
		return;
	if (one->id)
		orders->answered(orders->user, one->id, &orders->answer);
	drop_first(orders);
}

bool orders_busy(const struct orders *orders)
{
	return orders->first != NULL;
}

bool orders_reloaded(struct orders *orders)
{
	bool reloaded = orders->reloaded;

	orders->reloaded = false;
	return reloaded;
}

bool orders_receipt_due(struct orders *orders)
{
	bool due = orders->receipt_due;

	orders->receipt_due = false;
	return due;
}
