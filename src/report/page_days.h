/*
 * page_days: what came in, by source and day, as the page shows it. Days are those of UTC; where a period has too many for a bar each, a
 * bar stands for several of them, always the same number and whole weeks. The sums over all bars, and what came before, are those of the
 * views.
 */
#pragma once

#include "base/error.h"
#include "queue/figures.h"
#include "queue/read.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGE_MOST_BARS = 62 };

struct page_sums {
	int64_t manifests[MANIFEST_N_STATES];
	int64_t rows[ROW_N_STATES];
};

struct page_source {
	char *name;
	int64_t last_at; /* when its last manifest came (wall ms) */
	struct page_sums period, all;
	struct page_sums bars[PAGE_MOST_BARS];
};

struct page_days {
	int64_t first_day;           /* since 1970, of the first bar */
	int64_t days_per_bar;        /* 1, or a multiple of 7 */
	size_t n_bars;               /* 1 to PAGE_MOST_BARS; the last one has today */
	struct page_source *sources; /* by name; those that the database has manifests of */
	size_t n_sources;
	struct page_sums period, all;
};

/* page_days_read asks for the counts of all manifests and sums them up; the period is what came since since_ms (wall ms). The bars begin
 * with the day of since_ms, or of the first manifest where that is later. page_days_free takes a struct that is all zero as well. */
bool page_days_read(struct queue_reader *reader, int64_t since_ms, int64_t now_ms, struct page_days *ret_days, struct error *err);
void page_days_free(struct page_days *days);

/* page_days_layout gives the bars for the days from first to last: how many, and how many days each. */
void page_days_layout(int64_t first, int64_t last, int64_t *ret_days_per_bar, size_t *ret_n);

/* page_days_source gives a source by its name, or NULL where no manifest came through it. */
const struct page_source *page_days_source(const struct page_days *days, const char *name);

int64_t page_sums_manifests(const struct page_sums *sums);
int64_t page_sums_rows(const struct page_sums *sums);

/* Rows that may still move by themselves or by an operator's release; rows that did not or may not have reached D1 and that somebody has to
 * look at; and those that are neither, nor accepted. */
int64_t page_sums_open(const struct page_sums *sums);
int64_t page_sums_trouble(const struct page_sums *sums);
int64_t page_sums_other(const struct page_sums *sums);
