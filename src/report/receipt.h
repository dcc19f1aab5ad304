/*
 * receipt: <stem>.<manifest>.receipt.csv, what became of every line of a manifest. RFC 4180 in UTF-8, lines end in CRLF; a cell that a
 * spreadsheet would take for a formula is preceded by an apostrophe. Written in bounded slices over several turns while rows move on: each
 * line was true when it was written, the trailer's counts fit the lines above it, and SETTLED is said only where no row was seen open.
 */
#pragma once

#include "report/sheet.h"

enum { RECEIPT_SLICE_ROWS = 1000 };

/* The parts of a receipt, each appended with its line end. */
void receipt_header(struct text *text);
void receipt_row(struct text *text, const struct queue_receipt_row *row);
/* receipt_fate is the line of a manifest that ended without a row, so that whoever sent it learns why; its line number is empty. */
void receipt_fate(struct text *text, const char *state, const char *reason);
void receipt_trailer(struct text *text, int64_t rows, int64_t accepted, bool settled);

/* receipt_is_open tells whether a row of this state is not final. */
bool receipt_is_open(const char *state);

struct receipt;

bool receipt_begin(const struct config *config, const struct queue_errand *errand, struct receipt **ret_receipt, struct error *err);

/*
 * receipt_slice writes the next rows, and behind the last ones the trailer. With SHEET_DONE ret_open is the number of open rows to be
 * recorded with it (queue_errand_receipt_done), or -1 where the manifest changed so much meanwhile that it stays due.
 */
enum sheet_step receipt_slice(struct receipt *receipt, struct queue *queue, int64_t *ret_open, struct error *err);

/* receipt_free takes NULL. */
void receipt_free(struct receipt *receipt);
