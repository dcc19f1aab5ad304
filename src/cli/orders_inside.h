/*
 * orders_inside: what orders.c (who is next, and the steps of the turn), order_moves.c (moves of rows) and order_works.c (all else) share.
 * Included by these alone.
 */
#pragma once

#include "cli/orders.h"
#include "queue/order.h"
#include "queue/purge.h"

enum order_step {
	ORDER_WAITING, /* nothing is written of it */
	ORDER_WORKING, /* a move that is given and not finished */
	ORDER_DONE,    /* the answer is ready, and waits for the commit */
};

struct one {
	uint64_t id; /* 0: nobody waits for the answer */
	const struct control_peer *peer;
	const struct control_request *request;
	enum order_step step;
	bool again; /* a turn that did it could not be committed */
	struct one *next;
};

struct orders {
	const struct config *config;
	struct queue *queue;
	struct submit *submit;
	orders_answered *answered;
	void *user;
	struct one *first, *last;
	struct control_answer answer; /* of the first */
	struct queue_purged purged;   /* by the first */
	bool reloaded, receipt_due;
};

/* order_action gives the line of the log that the order is worth. */
struct queue_action order_action(const struct one *one, const char *selector, int64_t rows, int64_t wall_ms);

/* order_log writes that line, for an order that is done in this turn. */
bool order_log(struct orders *orders, const struct one *one, int64_t rows, int64_t wall_ms);

/* order_move_of tells whether the order moves rows, and how (ret_move may be NULL). One that a crash cut short does. */
bool order_move_of(const struct one *one, enum queue_move *ret_move);

/* order_move and order_work do a piece of the first order; at its end its step is ORDER_DONE and the answer ready. */
void order_move(struct orders *orders, struct one *one, int64_t now_ms, int64_t wall_ms);
void order_work(struct orders *orders, struct one *one, int64_t now_ms, int64_t wall_ms);
