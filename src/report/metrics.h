/*
 * metrics: the file for node_exporter's textfile collector, complete or not there: written under another name beside it and renamed. At
 * most every 15 s, once a minute where nothing changed, and at the end. What it tells of the queue costs the same whatever was sent before,
 * and nothing is written to the database for it. A file that cannot be written is tried again and never holds up anything.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"
#include "queue/queue.h"
#include "report/metrics_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { METRICS_EVERY_MS = 15 * 1000, METRICS_IDLE_MS = 60 * 1000 };

struct metrics;

/* metrics_new borrows both; the configuration has a metrics_file. Times are steady, but for started_ms, which is wall clock. */
struct metrics *metrics_new(const struct config *config, struct queue *queue, int64_t started_ms);

/* metrics_free leaves the file that was written last. Takes NULL. */
void metrics_free(struct metrics *metrics);

/* metrics_next_ms: when the file is to be written next; the past where it is due now. */
int64_t metrics_next_ms(const struct metrics *metrics);

/*
 * metrics_write writes the file now. Called outside a turn. endpoints are those of the configuration, in its order; waiting_since is filled
 * in here. failed_commits: running.
 */
bool metrics_write(struct metrics *metrics, int64_t now_ms, int64_t wall_ms, struct metrics_endpoint *endpoints, int64_t failed_commits,
		   struct error *err);
