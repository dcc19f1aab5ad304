/*
 * backup: a copy of the database while it is written to. It reads through a connection of its own that only reads, in one read transaction:
 * so the copy is of one moment, whatever is written meanwhile, and it never has to begin again. (The daemon cannot empty its WAL for as
 * long.) Belongs into a command's process, beside the daemon or without one: the last step checks the whole copy, which takes as long as it
 * takes.
 *
 * The copy is made as FILE.part and gets its name when it is complete, checked, marked as a copy and synced; a file that exists is never
 * written over. Who opens a marked copy for writing first puts its rows on hold (queue.h, queue_restored), and leaves out 100,000 numbers
 * of manifests: files that were taken in since are called by the next ones.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct queue_backup;

/* queue_backup_begin opens the database at path for reading and makes FILE.part. wall_ms: the time that the copy will be marked with. */
bool queue_backup_begin(const char *path, const char *file, int64_t wall_ms, struct queue_backup **ret_backup, struct error *err);

/* queue_backup_step copies at most pages pages. ret_left: how many are left. */
bool queue_backup_step(struct queue_backup *backup, int pages, int64_t *ret_left, struct error *err);

/* queue_backup_finish checks (SQLite's quick check, and that every manifest balances), marks, syncs and names the copy. */
bool queue_backup_finish(struct queue_backup *backup, struct error *err);

/* queue_backup_free takes NULL, and removes a copy that was not finished. */
void queue_backup_free(struct queue_backup *backup);
