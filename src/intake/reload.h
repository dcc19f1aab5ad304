/*
 * reload: an archived manifest is loaded again as a new one, with today's configuration. Its copy comes back into the spool as a second
 * name of the same file, so that it costs nothing and cannot be half done; rows that are known count as duplicates like any others.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"
#include "queue/queue.h"

#include <stdint.h>

/*
 * reload_manifest puts the copy into the spool and records it in the turn; the loader finds it after the commit. ERROR_NO_INPUT where there
 * is no such manifest or its copy is gone, ERROR_TRY_LATER where it is not archived yet, ERROR_CONFIG where its source is not configured
 * any more. What is in the spool without a commit goes with the next start.
 */
bool reload_manifest(const struct config *config, struct queue *queue, int64_t manifest, int64_t wall_ms, int64_t *ret_manifest,
		     struct error *err);
