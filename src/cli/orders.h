/*
 * orders: what operators' commands do. The daemon has them from its control socket, a command without a daemon from itself; both carry them
 * out here, one after the other, in the steps of the turn: gather writes a bounded piece into the turn's transaction, act answers what is
 * durable and not before. An order that a crash cut short is carried on first.
 */
#pragma once

#include "config/config.h"
#include "control/answer.h"
#include "control/peer.h"
#include "control/request.h"
#include "queue/queue.h"
#include "submit/submit.h"

#include <stdbool.h>
#include <stdint.h>

struct orders;

/* orders_answered is given each answer, once it is durable; id is what orders_put was given. */
typedef void orders_answered(void *user, uint64_t id, const struct control_answer *answer);

/* orders_new borrows all; submit is NULL where no daemon runs. */
struct orders *orders_new(const struct config *config, struct queue *queue, struct submit *submit, orders_answered *answered, void *user);

/* orders_free forgets what was not answered. Takes NULL. */
void orders_free(struct orders *orders);

/* orders_put borrows peer and request until the answer. */
void orders_put(struct orders *orders, uint64_t id, const struct control_peer *peer, const struct control_request *request);

void orders_gather(struct orders *orders, int64_t now_ms, int64_t wall_ms);
void orders_act(struct orders *orders, bool committed);

/* orders_busy: there is something for the next turn. */
bool orders_busy(const struct orders *orders);

/* orders_reloaded tells, once, that a manifest is to be loaded again; orders_receipt_due, that a receipt is due. */
bool orders_reloaded(struct orders *orders);
bool orders_receipt_due(struct orders *orders);
