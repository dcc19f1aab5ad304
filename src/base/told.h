/*
 * told: how much the log has been told of one kind, so that ten thousand bad names cost no ten thousand lines: the first TOLD_NAMED of an
 * hour are named, the others are counted, and the count is told after a minute, and then once an hour. Only numbers; time is handed in
 * (steady ms). All zero has told nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { TOLD_NAMED = 20, TOLD_FIRST_COUNT_MS = 60 * 1000, TOLD_HOUR_MS = 60 * 60 * 1000 };

struct told {
	int named;
	bool begun;
	int64_t since_ms; /* when the hour of named began */
	int64_t counted;  /* and not told yet */
	int64_t count_ms; /* when that is to be told */
};

/* told_may tells whether the next line may be written; where not, it is counted. */
bool told_may(struct told *told, int64_t now_ms);

/* told_next_ms: when there is a count to be told; INT64_MAX where there is none. */
int64_t told_next_ms(const struct told *told);

/* told_count gives the count that is due now (0: none) and begins a new one; at the end (ending) whatever there is. */
int64_t told_count(struct told *told, int64_t now_ms, bool ending);
