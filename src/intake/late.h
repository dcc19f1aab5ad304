/*
 * late: whether a source has gone without a manifest for longer than its expect_every. Times are handed in: since when it waits is a record
 * (wall clock), how long it still waits is measured (steady clock), so that a jump of the wall clock makes no source late. Never logs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct late {
	int64_t expect_ms; /* 0: not watched */
	int64_t due_ms;    /* steady: late from then on */
	int64_t since_ms;  /* wall clock: of the last manifest, or since when the source is known */
	bool is_late;
};

/* late_begin starts watching: since_ms is what the database knows. A source is never late before now_ms. */
struct late late_begin(int64_t expect_ms, int64_t since_ms, int64_t now_ms, int64_t wall_ms);

/* late_came is told that a manifest was recorded. */
void late_came(struct late *late, int64_t now_ms, int64_t wall_ms);

/* late_look gives true once for each time that the source becomes late. */
bool late_look(struct late *late, int64_t now_ms);

/* late_next_ms: when late_look may say so by time alone; INT64_MAX: never. */
int64_t late_next_ms(const struct late *late);
