/*
 * histogram: how long things took, counted in fixed buckets from 5 ms to 60 s, so that any number of them costs the same memory. Counts
 * only grow.
 */
#pragma once

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 13 };

/* Upper bounds in milliseconds, rising. What lies above the last is counted in by_bucket[HISTOGRAM_BUCKETS]. */
extern const int64_t histogram_bounds_ms[HISTOGRAM_BUCKETS];

/* All zero is one in which nothing was counted. */
struct histogram {
	int64_t by_bucket[HISTOGRAM_BUCKETS + 1]; /* each for itself, not added up */
	int64_t sum_ms;
};

/* histogram_count counts one; a negative duration counts as none. */
void histogram_count(struct histogram *histogram, int64_t took_ms);
