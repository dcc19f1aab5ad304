/*
 * pace: how fast one endpoint may be sent to. A small state machine without I/O: it is told what came back and what time it is, and says
 * how many requests may be in flight. open: as fast as speed.h says; paused: none until a time; probing: one row, whose answer decides.
 * Only the reasons operator and restored wait for a command. Random numbers are handed in. One row alone never pauses an endpoint while
 * others are answered.
 */
#pragma once

#include "submit/speed.h"
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

/* PACE_REPEATED: running. PACE_MOST_WITNESSES: different cards that have to say the same of the endpoint before it is believed. */
enum { PACE_REPEATED = 5, PACE_MOST_WITNESSES = 3 };

/* Who said running that something is wrong that could be the row's own fault. A good answer takes it back. */
struct pace_suspicion {
	uint64_t cards[PACE_MOST_WITNESSES];
	int n_cards, told;
};

struct pace {
	/* durable */
	enum pace_state state;
	enum pace_reason reason;
	int64_t until_ms; /* steady; end of the pause */
	int step;         /* how many pauses running: the exponent of the back-off */
	/* in memory */
	int64_t first_ms, most_ms;
	struct speed speed;
	int busy, broken; /* answers of that kind running, which only a good one ends */
	bool overwhelmed; /* during this pause good answers came, too: it was too much, not an outage */
	struct pace_suspicion suspicions[TRACK_N_HEALTHS];
};

/* What pace is told of an answer. */
struct pace_event {
	enum track_health health;
	uint64_t card;          /* any number that tells cards apart */
	bool token_was_fresh;   /* with TRACK_HEALTH_TOKEN */
	bool again;             /* the card was told the same at its last attempt */
	int under_way;          /* other requests of the endpoint, whose answers are still to come */
	int64_t retry_after_ms; /* or -1 */
	int64_t now_ms;         /* steady */
	double random;          /* 0 <= random < 1, for the jitter */
};

struct pace pace_new(int concurrency, double rate, int64_t first_ms, int64_t most_ms);

/* pace_after_crash begins again with one request in flight, doubling. */
void pace_after_crash(struct pace *pace);

/* pace_backoff_ms: exponential with full jitter: a random part of first * 2^step, at most most; and never under 1 ms. */
int64_t pace_backoff_ms(int64_t first_ms, int64_t most_ms, int step, double random);

/* pace_answered takes in one answer; returns true where state, reason or the end of the pause changed (to be recorded). */
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
