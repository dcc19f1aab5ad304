/*
 * pace: how fast one endpoint may be sent to. A small state machine without I/O: it is told what came back and what time it is, and says
 * how many requests may be in flight. open: up to level requests; paused: none until a time; probing: one row, whose answer decides. Only
 * the reasons operator and restored wait for a command. Random numbers are handed in.
 */
#pragma once

#include "track/verdict.h"

#include <stdbool.h>
#include <stdint.h>

enum pace_state { PACE_OPEN, PACE_PAUSED, PACE_PROBING };
enum pace_reason {
	PACE_NO_REASON,
	PACE_OUTAGE,
	PACE_CREDENTIALS,
	PACE_CERTIFICATE,
	PACE_REDIRECT,
	PACE_PROXY,
	PACE_OPERATOR,
	PACE_RESTORED,
};

enum { PACE_REPEATED = 5, PACE_FORBIDDEN_CARDS = 3 }; /* running */

struct pace {
	/* durable */
	enum pace_state state;
	enum pace_reason reason;
	int64_t until_ms; /* steady; end of the pause */
	int step;         /* how many pauses running: the exponent of the back-off */
	/* in memory */
	int64_t first_ms, most_ms;
	int most;         /* concurrency of the configuration */
	int level;        /* most requests in flight at the moment, 1 to most */
	bool slow_start;  /* level doubles, until it is at most or the endpoint says it is busy; then it grows by one */
	int busy, broken; /* answers of that kind running, which only a good one ends */
	int good_since_growth;
	/* rows whose 403 (or 401 on a fresh token) count, running: different cards */
	uint64_t forbidden_cards[PACE_FORBIDDEN_CARDS];
	int forbidden;
	uint64_t unauthorized_card;
	int unauthorized;
	double rate, tokens; /* token bucket of the configured rate; 0: no limit */
	int64_t filled_ms;
};

/* What pace is told of an answer. */
struct pace_event {
	enum track_health health;
	uint64_t card;          /* any number that tells cards apart */
	bool token_was_fresh;   /* with TRACK_HEALTH_TOKEN */
	int64_t retry_after_ms; /* or -1 */
	int64_t now_ms;         /* steady */
	double random;          /* 0 <= random < 1, for the jitter */
};

struct pace pace_new(int concurrency, double rate, int64_t first_ms, int64_t most_ms);

/* pace_after_crash begins again with one request in flight, doubling. */
void pace_after_crash(struct pace *pace);

/* pace_backoff_ms: exponential with full jitter: a random part of first * 2^step, at most most; and never under 1 ms. */
int64_t pace_backoff_ms(int64_t first_ms, int64_t most_ms, int step, double random);

/* pace_answered takes in one answer; returns true where state or reason changed (to be recorded and logged). */
bool pace_answered(struct pace *pace, const struct pace_event *event);

/* pace_trouble pauses for a reason that did not come with a row's answer (the token endpoint's). Returns true where something changed. */
bool pace_trouble(struct pace *pace, enum pace_reason reason, int64_t now_ms, double random);

/* pace_free_slots tells how many requests may be added now to those in flight; moves paused to probing when the time has come and
 * nothing is in flight any more (ret_changed). Takes from the rate's bucket only with pace_took. */
int pace_free_slots(struct pace *pace, int in_flight, int64_t now_ms, bool *ret_changed);
void pace_took(struct pace *pace, int n, int64_t now_ms);

/* pace_next_ms: from when on there is a free slot by time alone: now_ms where there already is one, a later time (steady ms), or INT64_MAX
 * where an answer or a command has to come first. */
int64_t pace_next_ms(const struct pace *pace, int in_flight, int64_t now_ms);

/* pace_pause and pace_resume are an operator's. */
void pace_pause(struct pace *pace, enum pace_reason reason);
void pace_resume(struct pace *pace);

const char *pace_state_name(enum pace_state state);
const char *pace_reason_name(enum pace_reason reason); /* "" for PACE_NO_REASON */
bool pace_reason_parse(const char *name, enum pace_reason *ret_reason);
