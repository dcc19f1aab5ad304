/*
 * store: the state directory as whoever may change it sees it: locked, its folders made, the queue open and bound to the configuration, and
 * what a crash left behind settled. The daemon begins with it, and so does a command that changes something while no daemon runs.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"
#include "queue/queue.h"

#include <stdint.h>

struct store {
	int lock; /* kept by a daemon that re-executes itself */
	struct queue *queue;
};

/* store_open: ERROR_TRY_LATER where another process has the lock. ret_in_doubt: rows that were being sent when the last process ended. */
bool store_open(const struct config *config, int64_t now_ms, int64_t wall_ms, struct store *ret_store, int64_t *ret_in_doubt,
		struct error *err);

/* store_release_lock takes the lock out of the store: it stays when the store is closed, until the descriptor that it gives is. */
int store_release_lock(struct store *store);

/* store_close takes a store that is all zero as well. */
void store_close(struct store *store);

/*
 * store_become_owner makes a process of root's act as the owner of the state directory, so that no file in it becomes root's. Others stay
 * who they are: the file modes decide.
 */
bool store_become_owner(const struct config *config, struct error *err);
