/*
 * desk: the work list of the files for the factory: the archive move, the rejects file and the receipts of each manifest, in this order.
 * Works in bounded pieces, one a turn, and asks the database only when something may have changed. What cannot be written (a directory that
 * is missing, full or not permitted) is tried again every minute and holds up no other manifest.
 *
 * A file appears in the gather step of a turn, although what is recorded about it becomes durable only at the turn's end: it tells of
 * committed rows alone, and a crash in between only has it written again.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "queue/queue.h"

#include <stdbool.h>
#include <stdint.h>

struct desk;

/* desk_new borrows both. Something may be due at once, since nobody knows what a crash left. */
struct desk *desk_new(const struct config *config, struct queue *queue);

/* desk_free removes a file that was only half written. Takes NULL. */
void desk_free(struct desk *desk);

/*
 * desk_work does one piece of at most 1000 rows or about 1 MiB. It is called first in a turn, and does nothing in one in which something
 * was changed already: what it reads must be committed. False where the queue failed: the turn is spoiled and queue_commit says why.
 */
bool desk_work(struct desk *desk, int64_t wall_ms, struct error *err);

/* desk_act is told how the turn ended. */
void desk_act(struct desk *desk, bool committed);

/* desk_look is told that a commit released, settled or rejected a manifest, or recorded a duplicate. */
void desk_look(struct desk *desk);

/* desk_busy: there may be something to do in the next turn. desk_next_ms: wall-clock time when there will be, INT64_MAX where there is
 * nothing to wait for. Both as of the last desk_work. */
bool desk_busy(const struct desk *desk);
int64_t desk_next_ms(const struct desk *desk);

/* desk_complaint appends one line to be logged as a warning; false where there is none. */
bool desk_complaint(struct desk *desk, struct text *ret_line);

/* desk_done: how many slices of files were ever written; it stands still where nothing moves. */
int64_t desk_done(const struct desk *desk);
