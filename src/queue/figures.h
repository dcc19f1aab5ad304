/*
 * figures: what monitoring asks of the running queue: manifests and rows by source and state, and since when the oldest row has waited that
 * could go. Reads through the writing connection and never writes to the database. Asking costs the same whatever was sent before: the
 * first time adds up the manifests, and from then on each change of a manifest changes the sums too (in memory, in the same transaction).
 */
#pragma once

#include "base/error.h"
#include "queue/queue.h"

#include <stdbool.h>
#include <stdint.h>

enum queue_manifest_state {
	MANIFEST_STATE_LOADING,
	MANIFEST_STATE_RELEASED,
	MANIFEST_STATE_SETTLED,
	MANIFEST_STATE_REJECTED,
	MANIFEST_STATE_DUPLICATE,
	MANIFEST_N_STATES,
};

const char *queue_manifest_state_name(enum queue_manifest_state state);

/* One source that the database knows, configured today or not. */
struct queue_source_figures {
	char name[72];
	char state[16];
	int64_t waiting_files;
	int64_t last_manifest_at; /* wall ms; 0: none */
	int64_t manifests[MANIFEST_N_STATES];
	int64_t rows[ROW_N_STATES];
};

/* queue_figures gives all sources by name, for the caller to free. Not inside a turn (ERROR_INTERNAL). A failure leaves the queue as it
 * was.
 */
bool queue_figures(struct queue *queue, struct queue_source_figures **ret_sources, size_t *ret_n, struct error *err);

/* queue_waiting_since: when the oldest of those manifests was released (wall ms) that have a row which could go to this endpoint now: not
 * paused, the row's time come, no other row of its card before it. 0: none. Whether the endpoint is open is the caller's knowledge. */
bool queue_waiting_since(struct queue *queue, int endpoint, int64_t now_ms, int64_t *ret_since);

/* queue_commits: how many commits have changed something since the queue was opened. */
int64_t queue_commits(const struct queue *queue);
