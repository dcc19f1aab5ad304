/*
 * sheet: one file for the factory, being written. It goes where the source's receipts go, or into the archive's day where the source has no
 * directory for them; it is written under a name of ours (.trackbridge-<manifest>.<kind>) and appears by rename, complete or not at all. An
 * older one of the same manifest is replaced. Works on descriptors: others may write in that directory too.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"
#include "queue/queue.h"

struct sheet;

/* How a bounded piece of writing ended. */
enum sheet_step {
	SHEET_MORE,
	SHEET_DONE,   /* it is there, under its name, synced */
	SHEET_FAILED, /* err says why */
	SHEET_SPOILED /* the queue cannot be read: the turn is spoiled, queue_commit says why */
};

/* sheet_open begins the file; kind is "receipt" or "rejects". Errors name the directory and what can be done, not the manifest. */
bool sheet_open(const struct config *config, const struct queue_errand *errand, const char *kind, struct sheet **ret_sheet,
		struct error *err);

bool sheet_write(struct sheet *sheet, const struct text *bytes, struct error *err);

/* sheet_publish syncs it and gives it its name. After that, or after a failure, sheet_free is all that is left to be called. */
bool sheet_publish(struct sheet *sheet, struct error *err);

/* sheet_free removes what was not published. Takes NULL. */
void sheet_free(struct sheet *sheet);
