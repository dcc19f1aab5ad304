/*
 * scan: delimiters and quotes in UTF-8 text that is known to be well quoted. Pure. It only counts and picks cells; what cells mean, and
 * which files are well quoted, was decided when the file was loaded.
 */
#pragma once

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* Starts as zero but for delimiter (one character) and quote (0: cells are never quoted). */
struct scan {
	const char *delimiter;
	char quote;
	bool inside;         /* between an opening quote and its closing one */
	bool something;      /* more than blanks and line ends was seen */
	size_t delimiters;   /* outside quotes */
	size_t empty_at_end; /* delimiters behind which nothing came but blanks */
};

/* scan_text goes on with the next piece of the text, which ends behind a whole character. */
void scan_text(struct scan *scan, const char *utf8, size_t length);

/* scan_cell gives a cell of one line, from 0, without its quotes and the blanks around it; false where the line has fewer. */
bool scan_cell(const struct scan *as, const struct text *line, size_t cell, struct text *ret_cell);

/* scan_quote appends a value so that it is one cell. Where cells are never quoted, delimiters and line ends in it become blanks. */
void scan_quote(struct text *text, const char *value, const char *delimiter, char quote);
