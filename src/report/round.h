/*
 * round: going through the manifests that have a file to be moved or made, in the order of their numbers, where one that fails is put off
 * and holds up no other. Remembers only what failed; which manifests there are is the database's business. Pure: the caller tells the time,
 * which is wall clock; a put-off that lies further ahead than it was ever set is due, since then the clock was put back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROUND_AGAIN_MS = 60 * 1000 };

struct round_failure {
	int64_t manifest, again_ms;
};

/* All zero is a round that nobody asked for. */
struct round {
	bool asked; /* there may be new ones: go round from the start when this round is over */
	bool going;
	int64_t after;
	struct round_failure *failures; /* sorted by manifest */
	size_t n_failures, room;
};

void round_free(struct round *round);

/* round_ask is told that there may be something new. */
void round_ask(struct round *round);

/* round_due tells whether there may be a manifest to visit now, and begins a new round where one is asked for or a failure's time has come.
 */
bool round_due(struct round *round, int64_t wall_ms);

/* round_at: when round_due will be true: wall_ms where it is, INT64_MAX where it waits for nothing. */
int64_t round_at(const struct round *round, int64_t wall_ms);

/* round_visit is told the next manifest behind after, or 0 where there is none; true where it is to be tried now. */
bool round_visit(struct round *round, int64_t manifest, int64_t wall_ms);

/* round_failed puts the manifest off; round_succeeded forgets that it failed before. */
void round_failed(struct round *round, int64_t manifest, int64_t wall_ms);
void round_succeeded(struct round *round, int64_t manifest);

/* round_is_due tells whether a time that was set at most `most` ms ahead has come, on a clock that may be put back. */
bool round_is_due(int64_t at_ms, int64_t wall_ms, int64_t most);
