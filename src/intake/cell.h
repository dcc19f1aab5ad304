/*
 * cell: the two things that are done to a cell's text wherever it is read: taking off the blanks around it, and showing it in a reason.
 */
#pragma once

#include "base/text.h"

enum { CELL_MOST_SHOWN = 60 }; /* bytes */

/* cell_trim leaves out blanks and tabs at both ends. */
struct span cell_trim(struct span cell);

/* cell_show appends a value escaped, and cut where it is longer than CELL_MOST_SHOWN bytes; cell_quote between single quotes. */
void cell_show(struct text *text, const char *value);
void cell_quote(struct text *text, const char *value);
