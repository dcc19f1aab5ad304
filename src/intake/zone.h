/*
 * zone: local time of an IANA time zone as seconds since 1970. The one place that sets the process's time zone: a fixed buffer, put into
 * the environment once and overwritten when another zone is asked for (libcurl's resolver thread may read the environment meanwhile).
 */
#pragma once

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* zone_exists tells whether the system's tz database has the name. */
bool zone_exists(const char *name);

/*
 * zone_seconds takes a local time as if it were UTC (seconds since 1970, the years 1970 to 9999). False where the zone is not known or its
 * clock shows that time never or twice; then the reason, both readings named, is appended to ret_reason.
 */
bool zone_seconds(const char *name, int64_t local, int64_t *ret_seconds, struct text *ret_reason);
