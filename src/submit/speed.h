/*
 * speed: how many requests an open endpoint is given at a time. The level is the most that may be in flight; it finds itself: each request
 * that was too much takes one off, which is as large a part of it as was turned away, and a round of good answers (as many as may be in
 * flight) adds one. The level at which it was too much is the ceiling: just below it the level waits before it tries again, twice as long
 * each time that this was wrong, so that it does not saw; and briefly where it is told so elsewhere, which then has another reason. Below
 * one request in flight there is a gap between two requests, which grows and shrinks likewise: what a limit on requests a second comes to.
 * The configured rate is a limit beside it. Pure: no clock, no I/O.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct speed {
	int most;           /* concurrency of the configuration */
	int level;          /* most requests in flight at the moment, 1 to most */
	bool doubling;      /* a round of good answers doubles the level, until half the ceiling */
	int ceiling;        /* the level at which the endpoint was busy last, 0: none is known */
	int patience, held; /* rounds to wait below the ceiling, rounds waited */
	int good;           /* answers running since the level changed or the round began */
	double gap_ms, most_gap_ms;
	int64_t took_ms;     /* when a request was let go last */
	double rate, tokens; /* token bucket of the configured rate; 0: no limit */
	int64_t filled_ms;
};

/* speed_new begins at the full level. rate: requests a second, 0: no limit. */
struct speed speed_new(int most, double rate, int64_t most_gap_ms);

/* speed_begin_slowly starts again with one in flight, doubling. overwhelmed: it was too much rather than out of order, so double only up to
 * half of the level that was too much. */
void speed_begin_slowly(struct speed *speed, bool overwhelmed);

/* What came back for a request: an answer, or that it was too much. */
void speed_good(struct speed *speed);
void speed_busy(struct speed *speed);

/* speed_slots tells how many requests may be added now to those in flight where at most allowed may be; speed_took is told how many were.
 * speed_next_ms: from when on there is one by time alone, now_ms where there is one, INT64_MAX where an answer has to come first. */
int speed_slots(const struct speed *speed, int allowed, int in_flight, int64_t now_ms);
void speed_took(struct speed *speed, int n, int64_t now_ms);
int64_t speed_next_ms(const struct speed *speed, int allowed, int in_flight, int64_t now_ms);
