/*
 * page_inside: the parts of the page, in the order in which they stand. Private to page*.c. Each appends a section of its own; those that
 * ask the queue can fail.
 */
#pragma once

#include "report/page.h"
#include "report/page_days.h"

extern const char page_style[];

struct page {
	struct text *out;
	struct queue_reader *reader;
	const struct page_asked *asked;
	struct page_days days;
};

/* page_section_begin opens a section under a heading, which is ours and not escaped. */
void page_section_begin(struct page *page, const char *heading);
void page_section_end(struct page *page);

bool page_warnings(struct page *page, struct error *err);
void page_totals(struct page *page);
void page_sources_by_day(struct page *page);
bool page_endpoints(struct page *page, struct error *err);
bool page_problems(struct page *page, struct error *err);
bool page_waiting(struct page *page, struct error *err);
bool page_rejected_files(struct page *page, struct error *err);
bool page_sources(struct page *page, struct error *err);
bool page_actions(struct page *page, struct error *err);
