/*
 * shred: removes the archive's files that are past retention.archive: the manifests' copies, and receipts and rejects files of sources
 * without a directory for them. A day's folder is looked at when the whole day is past; in it a file goes that was also not written since
 * (a receipt may be written long after). Folders that are empty then go too. Only regular files in archive/YYYY/MM/DD are removed; links
 * are neither followed nor removed. What the database says of a copy stays: `reload` and `verify` know that it may be gone.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct shred;

/* shred_new begins a round over the archive; it borrows config. A round ends, and the next is begun a day later with a new one. */
struct shred *shred_new(const struct config *config, int64_t wall_ms);

/* shred_free takes NULL. */
void shred_free(struct shred *shred);

/* shred_slice looks at up to most files. ret_done: the round is over, and is told after a failure too. A failure (no permission, I/O) names
 * the place; the round goes on with the next day. */
bool shred_slice(struct shred *shred, int most, bool *ret_done, struct error *err);

/* shred_removed: how many files so far. */
int64_t shred_removed(const struct shred *shred);
