/*
 * monitor: brings together what the metrics file tells of: the queue, the sending and the client certificates. The daemon asks it once a
 * turn. A file that cannot be written is logged once, and once more when it can be written again.
 */
#pragma once

#include "config/config.h"
#include "queue/queue.h"
#include "submit/submit.h"

#include <stdint.h>

struct monitor;

/* monitor_new borrows all. NULL where the configuration has no metrics_file; every function here takes that. */
struct monitor *monitor_new(const struct config *config, struct queue *queue, const struct submit *submit);
void monitor_free(struct monitor *monitor);

/* monitor_work writes the file where it is due (steady ms), outside a turn; monitor_end writes it whatever the time. failed_commits:
 * running. */
void monitor_work(struct monitor *monitor, int64_t now_ms, int64_t failed_commits);
void monitor_end(struct monitor *monitor, int64_t now_ms, int64_t failed_commits);

/* monitor_next_ms: when monitor_work has something to do (steady ms), or INT64_MAX. */
int64_t monitor_next_ms(const struct monitor *monitor);
