/*
 * civil: the Gregorian calendar in UTC, by arithmetic alone. libc's gmtime and timegm are not used because they look at the process's
 * time zone (a "right/" zone shifts even UTC), which the intake switches while it runs. Years 0000 to 9999, no leap seconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* month and day count from 1. */
struct civil {
	int year, month, day;
	int hour, minute, second;
};

/* civil_exists tells whether there is such a date and time of day: 2026-02-30 and 24:00:00 do not exist. */
bool civil_exists(const struct civil *civil);

/* civil_seconds gives the seconds since 1970 of a date and time that exist. */
int64_t civil_seconds(const struct civil *civil);

/* civil_from_seconds is the way back; false outside the years 0000 to 9999. */
bool civil_from_seconds(int64_t seconds, struct civil *ret_civil);
