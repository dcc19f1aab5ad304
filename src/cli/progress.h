/*
 * progress: what the daemon tells people while it works: STATUS= for systemd, a line a minute in the log, a bar on a terminal (until-idle),
 * and the exit status of run --until-idle.
 */
#pragma once

#include "base/error.h"
#include "queue/queue.h"

#include <stdbool.h>
#include <stdint.h>

struct progress;

/* progress_new remembers the counts at the start. bar: draw on standard error where that is a terminal. */
bool progress_new(struct queue *queue, bool bar, struct progress **ret_progress, struct error *err);
void progress_free(struct progress *progress);

/* progress_show is called every turn and does something at most once a second, and nothing while nothing changes. doing: see teller_doing.
 */
void progress_show(struct progress *progress, int64_t now_ms, size_t in_flight, const char *doing);
int64_t progress_next_ms(const struct progress *progress);
void progress_end(struct progress *progress);

/* progress_status: 0 where all rows since the start ended accepted, duplicate or skipped, else 65. */
int progress_status(struct progress *progress);
