/*
 * page_list: rows of a view as a table of the page. On a narrow screen each row becomes a small card of its own, with its columns' names in
 * front of the values. Card ids are personal data and a page is passed on: unless they were asked for, they are hidden wherever they stand.
 */
#pragma once

#include "base/error.h"
#include "queue/read.h"

#include <stdbool.h>
#include <stddef.h>

/* PAGE_LONG may be broken anywhere, as it can be a word of any length. */
enum page_kind { PAGE_WORDS, PAGE_LONG, PAGE_NUMBER, PAGE_TIME, PAGE_STATE };

/* A column: the view's name for it, the page's, and what it holds. A list of them ends with a zero entry. */
struct page_column {
	const char *name, *label;
	enum page_kind kind;
};

/* page_list_begin opens the table; caption is for those who hear the page. page_list_end closes it. */
void page_list_begin(struct text *out, const char *caption, const struct page_column *columns);
void page_list_end(struct text *out);

/* page_list_rows appends the rows of a question and adds their number to *n. */
bool page_list_rows(struct text *out, struct queue_reader *reader, enum queue_query query, const struct queue_filter *filter,
		    const struct page_column *columns, bool cards, int64_t *n, struct error *err);

/* page_list_row appends a row of values that come in the order of the columns. */
void page_list_row(struct text *out, const struct page_column *columns, const struct queue_value *values, bool cards);

/* page_list is a table as a whole, or none where there are no rows. */
bool page_list(struct text *out, const char *caption, struct queue_reader *reader, enum queue_query query,
	       const struct queue_filter *filter, const struct page_column *columns, bool cards, const char *none, struct error *err);

/* page_list_hide appends a text without the card id in it (NULL: none is known), without what follows --card in a selector, and without the
 * cell in the reason of a file that was rejected for its rows. */
void page_list_hide(struct text *out, const char *text, const char *card_id);
