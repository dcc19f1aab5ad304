/*
 * speed: how many requests an open endpoint is given at a time. The level is the most that may be in flight; it finds itself: each round of
 * good answers adds one, and a round in which the endpoint was busy halves it, once. What it was when that happened is the ceiling: below
 * it the level waits longer each time before it tries again, so that it does not saw. Below one request in flight there is a gap between
 * two requests, which doubles and shrinks likewise: what a limit on requests a second comes to. The configured rate is a limit beside it.
 * Pure: no clock, no I/O.
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
	int good;           /* good answers in this round */
	int64_t slowed_ms;  /* steady time of the last halving: what was sent before it says nothing new */
	double gap_ms, most_gap_ms;
	int64_t took_ms;     /* when a request was let go last */
	double rate, tokens; /* token bucket of the configured rate; 0: no limit */
	int64_t filled_ms;
};

/* speed_new begins at the full level. rate: requests a second, 0: no limit. */
struct speed speed_new(int most, double rate, int64_t most_gap_ms);

/* speed_begin_slowly starts again with one in flight, doubling. mind_ceiling: the endpoint was too busy rather than gone, so double only up
 * to half of what was too much. */
void speed_begin_slowly(struct speed *speed, bool mind_ceiling);

/* What came back for a request that was sent at sent_ms. */
void speed_good(struct speed *speed);
void speed_busy(struct speed *speed, int64_t sent_ms, int64_t now_ms);

/* speed_slots tells how many requests may be added now to those in flight where at most allowed may be; speed_took is told how many were.
 * speed_next_ms: from when on there is one by time alone, now_ms where there is one, INT64_MAX where an answer has to come first. */
int speed_slots(const struct speed *speed, int allowed, int in_flight, int64_t now_ms);
void speed_took(struct speed *speed, int n, int64_t now_ms);
int64_t speed_next_ms(const struct speed *speed, int allowed, int in_flight, int64_t now_ms);
