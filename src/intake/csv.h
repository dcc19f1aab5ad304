/*
 * csv: a manifest's bytes as records, one at a time. Reads a descriptor forward in bounded pieces, keeps true physical line numbers and
 * byte offsets of the original, converts to UTF-8 through iconv and lets libcsv (CSV_STRICT | CSV_STRICT_FINI) find the cells. Memory is
 * bounded whatever the file holds: a cell of more than max_cell_bytes and more cells than max_columns spoil their record. CR, LF and CRLF
 * end a line; blank lines are no records but are counted; a byte order mark is dropped. This is the only file that includes csv.h.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"

#include <stdint.h>

enum {
	CSV_MOST_CELL = 1024 * 1024,        /* bytes of UTF-8; the most that max_cell_bytes may be */
	CSV_MOST_CELLS = 4096,              /* the most that max_columns may be */
	CSV_ADDED_CELLS = 3,                /* that a rejects file has beyond those of its manifest */
	CSV_MOST_RECORD = 16 * 1024 * 1024, /* bytes of the original; a longer record breaks the manifest */
};

struct csv_reader;

/* Valid until the next call. Cells are UTF-8 without NUL bytes in good records, each NUL-terminated behind its length. */
struct csv_record {
	int64_t line;   /* physical line on which it begins, from 1 */
	int64_t offset; /* byte of the original at which it begins */
	int64_t length; /* bytes of the original, its line end included */
	const struct span *cells;
	size_t n_cells;
	const char *spoiled; /* NULL, or why this record must be rejected: undecodable bytes, a NUL byte, a cell too long, too many cells */
	size_t spoiled_cell; /* index of the cell at fault, from 0 */
};

enum csv_step {
	CSV_RECORD, /* ret_record is set */
	CSV_END,    /* the file ended where a record may end */
	CSV_BROKEN, /* the manifest as a whole is unreadable: a quote left open or inside an unquoted cell, a record without end; err says
		       where */
	CSV_FAILED, /* reading failed (I/O); err is set; nothing is said about the manifest */
};

/*
 * csv_open reads fd (borrowed; read with pread from offset on) as a source's format says, where line is the physical line number at offset.
 * For the start of a file pass 0 and 1. Does not skip skip_lines and knows nothing of headers. ERROR_CONFIG if iconv does not know the
 * encoding.
 */
bool csv_open(int fd, const struct config_source *source, int64_t offset, int64_t line, struct csv_reader **ret_reader, struct error *err);
void csv_close(struct csv_reader *reader);

/* csv_add_cells lets the records that come have CSV_ADDED_CELLS cells more than max_columns, or not. */
void csv_add_cells(struct csv_reader *reader, bool added);

/* csv_next gives the next record; a record that is not empty but has only blank cells is a record. Blank lines are skipped. */
enum csv_step csv_next(struct csv_reader *reader, struct csv_record *ret_record, struct error *err);

/* csv_hint tells what the file is that is obviously no CSV (kind.h), or gives NULL. */
const char *csv_hint(const struct csv_reader *reader);

/* csv_skip_lines passes n physical lines without looking for quotes (skip_lines). CSV_END if the file ends before. */
enum csv_step csv_skip_lines(struct csv_reader *reader, int n, struct error *err);

/* csv_offset and csv_line tell where the next record would begin: what csv_open takes to go on there later. */
int64_t csv_offset(const struct csv_reader *reader);
int64_t csv_line(const struct csv_reader *reader);

/* csv_ends_in_newline tells, after CSV_END, whether the last record was followed by a line end. */
bool csv_ends_in_newline(const struct csv_reader *reader);
