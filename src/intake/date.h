/*
 * date: a local or absolute time in a factory's own form as seconds since 1970. The process-wide time zone is one fixed buffer that is put
 * into the environment once and overwritten (libcurl's resolver thread may read the environment meanwhile); nothing else in the program
 * uses local time.
 */
#pragma once

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * date_parse reads value by format (strptime(3); NULL: ISO 8601 with an offset, e.g. 2026-11-22T10:00:00+01:00 or …Z). timezone is an IANA
 * name used where the text has no offset, or NULL. default_time_s (seconds of the day, or -1) stands in where the format has no time of
 * day. On failure false, and ret_reason says why in one line: it does not match, text is left over, the date does not exist, it has no
 * time, it has no offset, or the local time does not exist or exists twice at a clock change (both readings are named).
 */
bool date_parse(const char *value, const char *format, const char *timezone, int default_time_s, int64_t *ret_seconds,
		struct text *ret_reason);

/* date_timezone_exists tells whether the system's tz database has the IANA name. */
bool date_timezone_exists(const char *timezone);

/* date_format_has_time and date_format_has_offset look at a strptime format. */
bool date_format_has_time(const char *format);
bool date_format_has_offset(const char *format);
