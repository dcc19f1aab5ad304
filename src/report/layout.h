/*
 * layout: what stands in a source's file around its data rows (byte order mark, skipped lines, header, trailer), and how many cells a row
 * has, so that a rejects file can be built of the file's own bytes. Not a reader of CSV: it looks only at files that were loaded, which are
 * therefore well quoted.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "report/charset.h"

#include <stdint.h>

enum { LAYOUT_MOST_HEAD = 64 * 1024 * 1024 }; /* bytes of skipped lines and header */

struct layout {
	const struct config_source *source;
	struct charset *charset;
	size_t mark;          /* bytes of the byte order mark, 0: none */
	struct text head;     /* all before the first data row, as it is: the mark, skipped lines, header */
	size_t head_end;      /* where the header's own line end begins in head */
	size_t header_cells;  /* 0: no header */
	struct text line_end; /* as the file writes it; the last one seen */
	/* of the trailer, where the source has one */
	size_t trailer_cells;
	int count_width; /* digits of a count that is filled with zeros, else 0 */
};

/* layout_read looks at the start and the end of a loaded manifest's copy. layout_free takes a struct that is all zero as well. */
bool layout_read(int fd, const struct config_source *source, struct layout *ret_layout, struct error *err);
void layout_free(struct layout *layout);

/* layout_learn_line_end is shown a piece of the file and remembers how it ends, if it ends in a line end. Gives that end's length. */
size_t layout_learn_line_end(struct layout *layout, const char *bytes, size_t length);

/* layout_count counts the cells of one record (its line end does not matter), and the empty ones that end it. A blank line has none. */
size_t layout_count(const struct layout *layout, const char *bytes, size_t length, size_t *ret_empty_at_end);

/* layout_without_empty_cell takes a record's last cell, of which it is known that it is empty or blank, off its length, and the delimiter
 * before it. False where the bytes end otherwise. */
bool layout_without_empty_cell(const struct layout *layout, const char *bytes, size_t *length);

/* layout_delimiter appends a delimiter; layout_cell appends one and a cell behind it, quoted where it has to be, or with blanks in the
 * place of what cannot be there where cells are never quoted. layout_bare_cell leaves the delimiter out. */
void layout_delimiter(const struct layout *layout, struct text *text);
void layout_cell(const struct layout *layout, struct text *text, const char *value);
void layout_bare_cell(const struct layout *layout, struct text *text, const char *value);
