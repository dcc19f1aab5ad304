/*
 * load: recorded manifests become rows, a bounded slice a turn, in the order of their numbers. When the last byte was read and checked, the
 * manifest is released in one step, or rejected whole. All of it lives in the database: after a crash, or a commit that failed, loading
 * goes on at the last durable slice and no row is there twice.
 */
#pragma once

#include "config/config.h"
#include "queue/queue.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOAD_ROWS = 2000, LOAD_US = 8000 }; /* a slice ends at whichever comes first */

struct load;

struct load *load_new(const struct config *config, struct queue *queue);
void load_free(struct load *load);

void load_slice(struct load *load, int64_t now_ms, int64_t wall_ms);
void load_act(struct load *load, bool committed);

/* load_busy: there is something for the next turn. load_idle: nothing is loading, as far as the database tells. load_next_ms: when a copy
 * that could not be read is tried again. */
bool load_busy(const struct load *load);
bool load_idle(const struct load *load);
int64_t load_next_ms(const struct load *load);

/* load_wake is told that a manifest was recorded. */
void load_wake(struct load *load);

/* load_at: which manifest is being read, and how much of it; false where none is. load_done: how many rows were read, ever: it stands still
 * where nothing moves. */
bool load_at(const struct load *load, int64_t *ret_manifest, int *ret_per_cent);
int64_t load_done(const struct load *load);

/* load_landed: how many manifests were durably released or rejected since the last call. */
int load_landed(struct load *load);
