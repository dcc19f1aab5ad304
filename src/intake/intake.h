/*
 * intake: the way in as a whole. Watches the drop directories, takes complete files one at a time into the spool, records them, and loads
 * recorded manifests in slices, in the order of their numbers. Works in the three steps of the turn: gather writes through the queue, act
 * removes originals that are durably recorded.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"
#include "queue/queue.h"

#include <stdbool.h>
#include <stdint.h>

struct intake;

/* intake_new borrows config and queue; the spool directory must exist. */
bool intake_new(const struct config *config, struct queue *queue, struct intake **ret_intake, struct error *err);
void intake_free(struct intake *intake);

/* intake_descriptor is inotify's; intake_events reads what is there. */
int intake_descriptor(const struct intake *intake);
void intake_events(struct intake *intake, int64_t now_ms);

/* intake_gather does a bounded piece of everything that is to be done. taking false (shutting down): nothing new is taken or loaded. */
void intake_gather(struct intake *intake, int64_t now_ms, int64_t wall_ms, bool taking);
void intake_act(struct intake *intake, bool committed);

/* intake_busy: there is work for the next turn at once. intake_next_ms: when there is by time alone (steady ms). */
bool intake_busy(const struct intake *intake);
int64_t intake_next_ms(const struct intake *intake);

/* intake_look_again is told that a manifest to be loaded was recorded by somebody else. */
void intake_look_again(struct intake *intake);

/* intake_all_loaded: every file present was looked at, and what could be taken is loaded. What cannot be without somebody's doing keeps
 * nobody waiting: a file that has no room, that its directory does not give, or that is still being written to. intake_tell_left logs one
 * line for each source that has such files, and tells whether there are any. */
bool intake_all_loaded(const struct intake *intake);
bool intake_tell_left(const struct intake *intake);

/* intake_facts: what it is doing, for people. intake_done grows with every event, slice and row that was read: it stands still where
 * nothing moves. */
struct intake_facts {
	bool short_of_space;
	int64_t loading; /* manifest, 0: none */
	int loaded_per_cent;
};
struct intake_facts intake_facts(const struct intake *intake);
int64_t intake_done(const struct intake *intake);

/* intake_landed: number of manifests that were released, rejected or found to be duplicates since the last call. */
int intake_landed(struct intake *intake);
