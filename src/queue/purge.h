/*
 * purge: drops what is older than it may be kept, and gives the space back to the file system. First the requests of rows (personal data),
 * then whole manifests with their rows and attempts, then free pages of the file. A slice is a few milliseconds of the turn in which
 * it is asked for and becomes durable with it, so that sending goes on; whatever was committed stays done, so that a purge that was
 * interrupted simply goes on. A manifest's counts fall with its rows: it balances at every commit.
 *
 * A manifest counts from when it settled, or was rejected. It stays as long as something of it is open, or a file is due for it. What is
 * purged is forgotten: its events may come again, and a younger duplicate that names a purged row says so ("row 17 purged"). Numbers of
 * purged rows and manifests are never given again. A row whose request is gone still stands for its event, and its request counts as
 * the same as any that comes with that event: nothing is sent a second time because nobody knows any more what the first one said.
 */
#pragma once

#include "base/error.h"
#include "queue/queue.h"

#include <stdbool.h>
#include <stdint.h>

/* Manifests that settled before these times (wall ms) lose their requests, or go. 0: none. */
struct queue_purge {
	int64_t bodies_before, rows_before;
	/* Manifests from these numbers on are left alone; 0: no limit. */
	int64_t bodies_end, rows_end;
};

/*
 * queue_purge_by makes a purge by a clock that may have been wrong at times: it sets the two ends, since a manifest is no older than one
 * that came before it. ret_newest_ms of queue_newest is the latest wall-clock time that the database tells of, 0 where there is none.
 */
bool queue_purge_by(struct queue *queue, int64_t wall_ms, struct queue_purge *purge);
bool queue_newest(struct queue *queue, int64_t *ret_newest_ms);

/* What was done, added up over slices. */
struct queue_purged {
	int64_t bodies; /* rows whose request went */
	int64_t rows, manifests;
	int64_t pages; /* given back */
};

/*
 * queue_purge_slice does the next piece. ret_done: there is nothing left. Where it fails, or the commit does, the turn is lost as always:
 * whoever calls it every turn then waits before the next try, so that a purge that cannot be done does not stop the sending.
 */
bool queue_purge_slice(struct queue *queue, const struct queue_purge *as, struct queue_purged *purged, bool *ret_done);

/* queue_purge_due counts what a purge would do, without doing it, on a connection of its own that only reads the database file. */
struct queue_purge_due {
	int64_t bodies_manifests, bodies_rows;
	int64_t rows_manifests, rows_rows;
};
bool queue_purge_due(const char *path, const struct queue_purge *as, struct queue_purge_due *ret_due, struct error *err);
