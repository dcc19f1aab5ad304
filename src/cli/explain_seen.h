/*
 * explain_seen: which events a file has had so far, and on which line. Knows cards and events by their hashes: 24 bytes a row.
 */
#pragma once

#include "track/request.h"

#include <stddef.h>
#include <stdint.h>

struct seen_entry;

/* All zero is empty. */
struct seen {
	struct seen_entry *entries;
	size_t n, room;
};

/* seen_before gives the line on which the card had the event first, or 0 and remembers this one. */
int64_t seen_before(struct seen *seen, const struct track_request *request, int64_t event, int64_t line);
void seen_free(struct seen *seen);
