/*
 * metrics_text: which metrics there are, and their text. Pure: no file, no clock, no queue. docs/metrics.md lists them; names and labels
 * are an interface, since dashboards and alerts depend on them.
 */
#pragma once

#include "base/histogram.h"
#include "base/text.h"
#include "queue/figures.h"
#include "track/verdict.h"

#include <stddef.h>
#include <stdint.h>

enum { METRICS_TOKEN_RESULTS = 5 };

struct metrics_token_result {
	const char *name;
	int64_t n;
};

/* What is told of an endpoint; borrowed. */
struct metrics_endpoint {
	const char *name;
	const char *state, *reason; /* as in endpoint_status; "" without a reason */
	int64_t concurrency, in_flight;
	const int64_t *attempts; /* by enum track_outcome */
	struct metrics_token_result tokens[METRICS_TOKEN_RESULTS];
	const struct histogram *latency;
	int64_t waiting_since;          /* wall ms of the oldest row that could go; 0: none */
	int64_t certificate_expires_at; /* seconds since 1970; 0: not known */
};

/* What is told of the process and its files. Sizes in bytes; -1: not known. */
struct metrics_facts {
	int64_t wall_ms, started_ms;
	const struct metrics_endpoint *endpoints;
	size_t n_endpoints;
	const struct queue_source_figures *sources;
	size_t n_sources;
	int64_t database_bytes, wal_bytes, free_bytes, least_free_bytes;
	int64_t failed_commits; /* running */
	int64_t failed_writes;  /* of this text, since the process started */
};

void metrics_text(struct text *out, const struct metrics_facts *facts);
