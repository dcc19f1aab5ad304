/*
 * keeper: keeps the database and the archive well, a bounded piece a turn and none while there is better to do: what is past retention goes
 * (looked for at the start and every hour), a reader that keeps the WAL from shrinking is told of once, a WAL that has grown is emptied.
 */
#pragma once

#include "config/config.h"
#include "queue/queue.h"

#include <stdbool.h>
#include <stdint.h>

struct keeper;

/* keeper_new borrows both. keeper_free takes NULL. */
struct keeper *keeper_new(const struct config *config, struct queue *queue, int64_t now_ms);
void keeper_free(struct keeper *keeper);

/*
 * keeper_gather does a piece in the turn's transaction; keeper_act what has to be done outside of it. idle: nobody else has work.
 * server_ms: what time it is by D1, 0 while that is not known. A wall clock that is ahead of it counts for nothing, and one that is
 * days ahead of what the database tells of is believed when D1 says so, or when nobody has put it right for a day.
 */
void keeper_gather(struct keeper *keeper, int64_t now_ms, int64_t wall_ms, int64_t server_ms);
void keeper_act(struct keeper *keeper, bool committed, bool idle, int64_t now_ms);

/* keeper_next_ms: when there is a next piece (steady ms); the past: at once. */
int64_t keeper_next_ms(const struct keeper *keeper);

/* keeper_done: how many pieces were ever done without a change of the database; it stands still where nothing moves. */
int64_t keeper_done(const struct keeper *keeper);
