/*
 * connection: one peer's line in, one line out, and the end. Never blocks, never takes in more than a line may have, and waits for nobody
 * longer than the limits say. Behind the line nothing is read. A peer that hangs up while it waits for its answer loses its descriptor at
 * once; the connection stays until it is answered. For server.c alone.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "control/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

struct control_connection;

/* The owner is told once of the line (without its line feed), or, with fault set, why there is none; and once of the end, upon which it
 * frees the connection. It answers in `line` or later. */
struct control_connection_owner {
	void (*line)(void *user, const char *line, size_t length, const char *fault);
	void (*end)(void *user);
	void *user;
};

/* control_connection_new takes the descriptor, also where it fails. */
bool control_connection_new(sd_event *event, int fd, const struct control_limits *limits, const struct control_connection_owner *owner,
			    struct control_connection **ret_connection, struct error *err);
void control_connection_free(struct control_connection *connection);

/* control_connection_answer sends the answer, whose memory it takes, and ends: now, or when the peer has read it. */
void control_connection_answer(struct control_connection *connection, struct text *answer);
