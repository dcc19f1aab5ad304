/*
 * archive: where a manifest's copy goes when it was loaded: from spool/<manifest> to archive/YYYY/MM/DD/<manifest>-<name>, the day being
 * that on which it was received (UTC). The move is durable before it is recorded, and may be done again after a crash in between.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"
#include "queue/queue.h"

/* archive_directory gives the path of the manifest's day; the caller frees it. */
char *archive_directory(const struct config *config, const struct queue_errand *errand);

/*
 * archive_move moves the copy, or finds that it was moved before. ret_path is the path below archive/ to be recorded, which the caller
 * frees:
 * "" where the copy is in neither place and never will be.
 */
bool archive_move(const struct config *config, const struct queue_errand *errand, char **ret_path, struct error *err);

/* archive_is_lost tells whether a copy that was not recorded as moved is in neither place. */
bool archive_is_lost(const struct config *config, const struct queue_errand *errand);

/* archive_open opens the copy for reading, wherever it is now. */
bool archive_open(const struct config *config, const struct queue_errand *errand, int *ret_fd, struct error *err);
