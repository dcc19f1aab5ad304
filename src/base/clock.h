/*
 * clock: two readings, and the difference between them matters.
 * clock_steady_ms is for waiting and for stored due times: wall-clock time as it was when the process started plus the time that
 * has passed since then (CLOCK_BOOTTIME, suspension included), so it never jumps.
 * clock_wall_ms is for records that people read and for the assertion's exp. Both are milliseconds since 1970.
 */
#pragma once

#include <stdint.h>

int64_t clock_steady_ms(void);
int64_t clock_wall_ms(void);

/* clock_monotonic_us only measures: microseconds from an arbitrary start. */
int64_t clock_monotonic_us(void);
