/*
 * pulse: when the service manager's watchdog is fed: only while the loop makes progress, which is that it came to rest (it waited and
 * nothing happened, so there was nothing to do) or that something moved (a commit, a slice of a file, events read). A turn that hangs feeds
 * nothing since nobody asks; a loop that spins, however busy it looks, neither rests nor moves anything. Pure: times are handed in (steady
 * ms).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pulse {
	int64_t every_ms; /* 0: nobody watches */
	int64_t fed_ms;
	int64_t moved;
	bool alive; /* there was progress since it was fed */
};

/* pulse_new: every_ms is how often it is fed, well under what the watchdog waits; the first time is at once. */
struct pulse pulse_new(int64_t every_ms);

/* pulse_rested is told that the loop waited for the whole time that it wanted to. pulse_moved is told how much was ever done; only that it
 * changed counts. */
void pulse_rested(struct pulse *pulse);
void pulse_moved(struct pulse *pulse, int64_t ever);

/* pulse_beat tells whether the watchdog is to be fed now, and counts it as fed. */
bool pulse_beat(struct pulse *pulse, int64_t now_ms);

/* pulse_next_ms: until when the loop may wait. Where it is time and nothing has moved, a moment: whether it can rest. INT64_MAX: nobody
 * watches. */
int64_t pulse_next_ms(const struct pulse *pulse, int64_t now_ms);
