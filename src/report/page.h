/*
 * page: the report as one page of HTML that stands alone: no script, nothing fetched, the bars in SVG, readable on a screen, on a phone and
 * on paper. All its numbers are of one moment and come from the views' counts, so that it costs the same however many rows there are.
 * Card ids are in it only where they are asked for.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "queue/read.h"

#include <stdbool.h>
#include <stdint.h>

/* How a page begins: by this one is known again. */
#define PAGE_BEGIN "<!DOCTYPE html>\n<!-- trackbridge report -->\n"

/* Most lines of a list; a sentence below says where the others are. */
enum { PAGE_MOST_LINES = 10 };

struct page_asked {
	const char *state_dir;
	int64_t now_ms, since_ms; /* wall ms; the period is of manifests that came since then */
	int pid;                  /* of the daemon; 0: none runs */
	bool cards;
};

/* page_append appends the whole page, or fails with part of it appended. */
bool page_append(struct text *out, struct queue_reader *reader, const struct page_asked *asked, struct error *err);
