/*
 * server: the daemon's end of the control socket. One order a connection, at most CONTROL_MOST_CONNECTIONS at a time; the next ones wait
 * until one ends. The server never blocks, and no peer can make it: what a peer does wrong, however slow or much, ends its own connection.
 * It adds its sources to the caller's loop, at the ordinary priority, and changes nothing in the queue: what an order means is the
 * handler's business.
 */
#pragma once

#include "base/error.h"
#include "control/answer.h"
#include "control/peer.h"
#include "control/request.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

enum { CONTROL_MOST_CONNECTIONS = 16 };

/* How long a peer may take to send its whole line, and to read its answer. */
struct control_limits {
	int64_t line_ms, answer_ms; /* 10 s each, unless set */
};

struct control_order {
	uint64_t id; /* of this server, from 1 */
	struct control_peer peer;
	struct control_request request;
};

/*
 * A handler is given each order once. It answers with control_server_answer, at once or in a later turn, after the commit; every order has
 * to be answered, because it keeps its place among the connections even if the peer hangs up. The order is borrowed and stays valid until
 * then. Its request has passed control_request_read. The handler does not free the server.
 */
typedef void control_handler(void *user, const struct control_order *order);

struct control_server;

/* control_server_check tells whether control_server_new could make a socket at path, as far as that shows beforehand: not whether somebody
 * else listens there. Changes nothing. */
bool control_server_check(const char *path, struct error *err);

/* control_server_new listens on path; event is kept by reference. Errors as of control_listen. The caller holds the state directory's lock.
 */
bool control_server_new(sd_event *event, const char *path, control_handler *handler, void *user, struct control_server **ret_server,
			struct error *err);

/* control_server_limit sets the limits of connections to come. */
void control_server_limit(struct control_server *server, const struct control_limits *limits);

/* control_server_answer ends an order. An id that has no open order is ignored. */
void control_server_answer(struct control_server *server, uint64_t id, const struct control_answer *answer);

/* control_server_open tells how many orders are not yet answered. */
size_t control_server_open(const struct control_server *server);

/* control_server_stop takes the socket away, if it still is ours. Who has connected and sends an order from now on is told to try later;
 * open orders may still be answered. */
void control_server_stop(struct control_server *server);

/* control_server_free stops, and answers open orders with ERROR_TRY_LATER. */
void control_server_free(struct control_server *server);
