/*
 * submit: what leaves for D1. Claims due rows into free slots, sends them after the commit that says so, judges what comes back and records
 * it. One endpoint never waits for another. A flight (one row under way) goes through: claimed (in this turn's transaction) -> sent (after
 * the commit) -> answered (kept until it is on disk) -> free.
 */
#pragma once

#include "base/error.h"
#include "base/histogram.h"
#include "config/config.h"
#include "queue/queue.h"
#include "submit/http.h"
#include "submit/token.h"

#include <stdbool.h>
#include <stdint.h>

struct submit;

/* submit_new borrows all; the endpoints' stored states are taken over. after_crash: rows were sending when the last process ended, so begin
 * with one in flight. */
bool submit_new(const struct config *config, struct queue *queue, struct http *http, bool after_crash, struct submit **ret_submit,
		struct error *err);
void submit_free(struct submit *submit);

/* submit_listen takes in what came back from the network at this time; nothing is written. */
void submit_listen(struct submit *submit, int64_t now_ms, int64_t wall_ms);

/* submit_gather records what came back and, where claiming, claims rows: all in the turn's transaction. */
void submit_gather(struct submit *submit, bool claiming);

/* submit_act sends what was claimed where the turn was committed, and forgets it where not. */
void submit_act(struct submit *submit, bool committed, int64_t now_ms);

/* submit_pause and submit_resume are an operator's: NULL, or why there is nothing to do. What changes is stored in this turn's
 * submit_gather, and again later where the turn fails. */
const char *submit_pause(struct submit *submit, int endpoint);
const char *submit_resume(struct submit *submit, int endpoint);

/* submit_in_flight: requests under way or answers not yet on disk. submit_unwritten: answers among them. */
size_t submit_in_flight(const struct submit *submit);
size_t submit_unwritten(const struct submit *submit);

/* submit_can_move tells whether a row could be claimed now or as soon as a slot or a token is free: not waiting for a later time or an
 * operator. */
bool submit_can_move(struct submit *submit, int64_t now_ms);

/* submit_next_ms: when submit_gather has something to do by time alone (steady ms), or INT64_MAX. */
int64_t submit_next_ms(struct submit *submit, int64_t now_ms);

/* submit_server_ms: what time it is by the endpoint whose clock is most behind (ms since 1970), or 0 where none has told it yet. */
int64_t submit_server_ms(const struct submit *submit, int64_t now_ms);

/* What an endpoint has done since the process started. */
struct submit_counts {
	int64_t attempts[TRACK_BACK + 1]; /* that ended, by enum track_outcome */
	int64_t tokens[TOKEN_N_TROUBLES]; /* fetches that ended */
	struct histogram latency;         /* of the attempts, from handing over to the end, whatever that was */
};

/* Where an endpoint stands, for monitoring. Strings are constants, counts are borrowed. */
struct submit_figures {
	const char *state, *reason; /* as in endpoint_status */
	int concurrency, in_flight;
	int64_t certificate_expires_at; /* seconds since 1970; 0: not known */
	const struct submit_counts *counts;
};

/* submit_figures tells of the endpoint with this index in the configuration. */
struct submit_figures submit_figures(const struct submit *submit, size_t endpoint);
