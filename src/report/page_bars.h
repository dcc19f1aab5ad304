/*
 * page_bars: what came in through one source as bars, in SVG that grows with the page (its text does not), and the same numbers as a table.
 * The bars' parts are told apart by colour on a screen and by pattern on paper.
 */
#pragma once

#include "base/text.h"
#include "report/page_days.h"

#include <stddef.h>
#include <stdint.h>

enum { PAGE_PLOT_HEIGHT = 150 };

/* page_bars appends the bars of a source; number makes its ids unique in the page. */
void page_bars(struct text *out, const struct page_days *days, const struct page_source *source, size_t number);

/* page_bars_table appends the table: a line for each bar that has anything, and the sum. */
void page_bars_table(struct text *out, const struct page_days *days, const struct page_source *source);

/* page_bars_patterns appends what the patterns are defined in, page_bars_legend what they mean; once in a page. */
void page_bars_patterns(struct text *out);
void page_bars_legend(struct text *out);

/* page_bars_top gives the end of a scale for numbers up to most: 1, 2, 3, 4, 5, 6, 8 or 10 times a power of ten; at least 1. */
int64_t page_bars_top(int64_t most);

/* page_bars_height gives pixels for a number on a scale that ends at top: what is not 0 can be seen. */
int page_bars_height(int64_t number, int64_t top);
