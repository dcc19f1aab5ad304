#include "intake/date.h"

#include "base/file.h"
#include "intake/cell.h"
#include "intake/zone.h"
#include "track/civil.h"

#include <stddef.h>
#include <string.h>
#include <time.h>

enum { FIRST_YEAR = 1970, NO_YEAR = -1, MOST_OFFSET_HOURS = 14, HOUR = 3600, MINUTE = 60 };

static const int64_t last_second = 253402300799; /* 9999-12-31T23:59:59Z */

/* What a text says, before it is known whether there is such a time. */
struct reading {
	struct civil civil;
	bool has_time, has_offset;
	int64_t offset; /* seconds east of UTC */
};

static bool fault(struct text *ret_reason, const char *value, const char *words)
{
	cell_quote(ret_reason, value);
	text_append_string(ret_reason, " ");
	text_append_string(ret_reason, words);
	return false;
}

static void look_at(const char *format, bool *ret_time, bool *ret_offset)
{
	bool z = false;

	*ret_time = *ret_offset = false;
	for (; *format; format++) {
		z = *format == 'Z';
		if (*format != '%')
			continue;
		format++;
		format += strspn(format, "-_0^#EO");
		if (!*format)
			break;
		*ret_time |= strchr("HIklTRrcXs", *format) != NULL;
		/* %s counts from 1970 in UTC; strptime tells the offset with which it has made local time of it. */
		*ret_offset |= *format == 'z' || *format == 's';
	}
	/* A Z that ends the text itself is ISO 8601's sign for UTC. */
	*ret_offset |= z;
}

bool date_format_has_time(const char *format)
{
	bool time, offset;

	look_at(format, &time, &offset);
	return time;
}

bool date_format_has_offset(const char *format)
{
	bool time, offset;

	look_at(format, &time, &offset);
	return offset;
}

/* The most digits of a conversion that reads nothing else; 0 for others. */
static size_t digits_of(const char *conversion)
{
	if (conversion[0] != '%' || !conversion[1])
		return 0;
	if (conversion[1] == 'Y')
		return 4;
	return conversion[1] == 'j' ? 3 : strchr("CydemHIklMS", conversion[1]) ? 2 : 0;
}

/* How far the first length bytes of a format reach in a value that it is known to match. */
static ptrdiff_t reach(const char *value, const char *format, size_t length)
{
	scoped_free char *beginning = xstrdup(format);
	struct tm tm = { 0 };
	const char *rest;

	beginning[length] = '\0';
	rest = strptime(value, beginning, &tm);
	return rest ? rest - value : 0;
}

/* Numbers with nothing between them are told apart by their widths alone: for %Y%m%d, 2026112 might be two days. */
static bool runs_are_whole(const char *value, const char *format)
{
	const char *at = format;

	while (*at) {
		const char *run = at;
		size_t digits, all = 0, first = digits_of(at);

		for (; (digits = digits_of(at)) > 0; at += 2)
			all += digits;
		if (all > first &&
		    reach(value, format, (size_t)(at - format)) - reach(value, format, (size_t)(run - format)) != (ptrdiff_t)all)
			return false;
		if (at == run)
			at += at[0] == '%' && at[1] ? 2 : 1;
	}
	return true;
}

static bool does_not_match(const char *value, const char *format, struct text *ret_reason)
{
	fault(ret_reason, value, "does not match \"");
	text_escape(ret_reason, format, strlen(format));
	text_append_string(ret_reason, "\"");
	return false;
}

static bool read_format(const char *value, const char *format, struct reading *ret_reading, struct text *ret_reason)
{
	struct tm tm = { .tm_year = NO_YEAR - 1900, .tm_mon = -1 };
	const char *rest = strptime(value, format, &tm);

	if (!rest)
		return does_not_match(value, format, ret_reason);
	if (*rest) {
		fault(ret_reason, value, "has ");
		cell_quote(ret_reason, rest);
		text_append_string(ret_reason, " left over behind the date");
		return false;
	}
	if (!runs_are_whole(value, format))
		return does_not_match(value, format, ret_reason);
	if (tm.tm_year + 1900 == NO_YEAR || tm.tm_mon < 0 || tm.tm_mday == 0)
		return fault(ret_reason, value, "is no whole date: the format has no year, month or day");
	ret_reading->civil = (struct civil){ tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec };
	look_at(format, &ret_reading->has_time, &ret_reading->has_offset);
	ret_reading->offset = tm.tm_gmtoff;
	return true;
}

static bool take(const char **at, const char *any_of)
{
	if (!**at || !strchr(any_of, **at))
		return false;
	(*at)++;
	return true;
}

static bool take_number(const char **at, int digits, int *ret_number)
{
	int number = 0;

	for (int i = 0; i < digits; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		number = number * 10 + (**at - '0');
	}
	*ret_number = number;
	return true;
}

static bool take_fraction(const char **at)
{
	size_t digits = strspn(*at, "0123456789");

	*at += digits;
	return digits > 0;
}

static bool take_offset(const char **at, struct reading *reading)
{
	bool west = **at == '-';
	int hours, minutes = 0;

	if (take(at, "Z")) {
		reading->has_offset = true;
		return true;
	}
	if (!take(at, "+-"))
		return true;
	if (!take_number(at, 2, &hours))
		return false;
	if ((take(at, ":") || **at) && !take_number(at, 2, &minutes))
		return false;
	if (hours > MOST_OFFSET_HOURS || minutes > 59)
		return false;
	reading->has_offset = true;
	reading->offset = (west ? -1 : 1) * (hours * HOUR + minutes * MINUTE);
	return true;
}

/* YYYY-MM-DD, then 'T' or a blank and HH:MM[:SS[.fraction]], then nothing, Z, ±HH, ±HH:MM or ±HHMM. */
static bool take_iso(const char **at, struct reading *reading)
{
	struct civil *civil = &reading->civil;

	if (!take_number(at, 4, &civil->year) || !take(at, "-") || !take_number(at, 2, &civil->month) || !take(at, "-") ||
	    !take_number(at, 2, &civil->day))
		return false;
	if (!take(at, "T "))
		return true;
	reading->has_time = true;
	if (!take_number(at, 2, &civil->hour) || !take(at, ":") || !take_number(at, 2, &civil->minute))
		return false;
	if (take(at, ":") && (!take_number(at, 2, &civil->second) || (take(at, ".,") && !take_fraction(at))))
		return false;
	return take_offset(at, reading);
}

static bool read_iso(const char *value, struct reading *ret_reading, struct text *ret_reason)
{
	const char *at = value;

	if (!take_iso(&at, ret_reading) || *at)
		return fault(ret_reason, value, "is no date of ISO 8601 like 2026-11-22T10:00:00+01:00");
	return true;
}

static bool settle(const char *value, const struct reading *reading, const char *zone, int64_t *ret_seconds, struct text *ret_reason)
{
	int64_t local = civil_seconds(&reading->civil);
	scoped_text struct text why = { 0 };

	if (reading->has_offset) {
		*ret_seconds = local - reading->offset;
		return true;
	}
	if (!zone)
		return fault(ret_reason, value, "has no offset from UTC, and the source names no timezone");
	if (zone_seconds(zone, local, ret_seconds, &why))
		return true;
	return fault(ret_reason, value, why.data);
}

bool date_parse(const char *value, const char *format, const char *zone, int default_time_s, int64_t *ret_seconds, struct text *ret_reason)
{
	struct reading reading = { 0 };
	int64_t seconds;

	if (!(format ? read_format(value, format, &reading, ret_reason) : read_iso(value, &reading, ret_reason)))
		return false;
	if (!reading.has_time) {
		if (default_time_s < 0)
			return fault(ret_reason, value, "has no time of day, and the source gives no time");
		reading.civil.hour = default_time_s / HOUR;
		reading.civil.minute = default_time_s / MINUTE % 60;
		reading.civil.second = default_time_s % MINUTE;
	}
	if (!civil_exists(&reading.civil))
		return fault(ret_reason, value, "does not exist");
	if (reading.civil.year < FIRST_YEAR)
		return fault(ret_reason, value, "is not in the years 1970 to 9999");
	if (!settle(value, &reading, zone, &seconds, ret_reason))
		return false;
	if (seconds < 0 || seconds > last_second)
		return fault(ret_reason, value, "is not in the years 1970 to 9999");
	*ret_seconds = seconds;
	return true;
}

bool date_timezone_exists(const char *zone)
{
	return zone_exists(zone);
}
