/*
 * rejects: <stem>.<manifest>.rejects.csv, the rows of a manifest that were rejected by themselves, as they came: the bytes of the original,
 * with its skipped lines, header and a fitting trailer, and three cells more (line, column, reason) in its own encoding and quoting.
 * Corrected, it can be dropped again as it is. Written in bounded slices over several turns; a rejected row never changes.
 */
#pragma once

#include "report/sheet.h"

enum { REJECTS_SLICE_ROWS = 1000, REJECTS_SLICE_BYTES = 1024 * 1024 };

struct rejects;

bool rejects_begin(const struct config *config, const struct queue_errand *errand, struct rejects **ret_rejects, struct error *err);

/* rejects_slice writes the next rows, and behind the last ones the trailer. */
enum sheet_step rejects_slice(struct rejects *rejects, struct queue *queue, struct error *err);

/* rejects_free takes NULL. */
void rejects_free(struct rejects *rejects);
