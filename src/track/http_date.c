#include "track/civil.h"
#include "track/verdict.h"

#include <string.h>

static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", NULL };
static const char *const short_days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", NULL };
static const char *const long_days[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", NULL };

static bool take(const char **c, const char *literal)
{
	size_t length = strlen(literal);

	if (strncmp(*c, literal, length) != 0)
		return false;
	*c += length;
	return true;
}

static bool take_name(const char **c, const char *const *names, int *ret_index)
{
	for (int i = 0; names[i]; i++) {
		if (take(c, names[i])) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool take_number(const char **c, int digits, int *ret_number)
{
	int number = 0;

	for (int i = 0; i < digits; i++) {
		if (!is_digit((*c)[i]))
			return false;
		number = number * 10 + ((*c)[i] - '0');
	}
	*c += digits;
	*ret_number = number;
	return true;
}

static bool take_time(const char **c, struct civil *civil)
{
	return take_number(c, 2, &civil->hour) && take(c, ":") && take_number(c, 2, &civil->minute) && take(c, ":") &&
	       take_number(c, 2, &civil->second);
}

static bool take_month(const char **c, struct civil *civil)
{
	int index;

	if (!take_name(c, months, &index))
		return false;
	civil->month = index + 1;
	return true;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool take_imf_fixdate(const char **c, struct civil *civil)
{
	int weekday;

	return take_name(c, short_days, &weekday) && take(c, ", ") && take_number(c, 2, &civil->day) && take(c, " ") &&
	       take_month(c, civil) && take(c, " ") && take_number(c, 4, &civil->year) && take(c, " ") && take_time(c, civil) &&
	       take(c, " GMT");
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static bool take_rfc850_date(const char **c, struct civil *civil)
{
	int weekday;

	if (!(take_name(c, long_days, &weekday) && take(c, ", ") && take_number(c, 2, &civil->day) && take(c, "-") &&
	      take_month(c, civil) && take(c, "-") && take_number(c, 2, &civil->year) && take(c, " ") && take_time(c, civil) &&
	      take(c, " GMT")))
		return false;
	/* RFC 9110 places two digits by the distance from now; there is no clock here, so they are read as POSIX's strptime does. */
	civil->year += civil->year < 69 ? 2000 : 1900;
	return true;
}

/* Sun Nov  6 08:49:37 1994 */
static bool take_asctime_date(const char **c, struct civil *civil)
{
	int weekday;

	return take_name(c, short_days, &weekday) && take(c, " ") && take_month(c, civil) && take(c, " ") &&
	       (take(c, " ") ? take_number(c, 1, &civil->day) : take_number(c, 2, &civil->day)) && take(c, " ") && take_time(c, civil) &&
	       take(c, " ") && take_number(c, 4, &civil->year);
}

static const char *skip_blanks(const char *c)
{
	return c + strspn(c, " \t");
}

int64_t track_http_date(const char *value)
{
	static bool (*const forms[])(const char **, struct civil *) = { take_imf_fixdate, take_rfc850_date, take_asctime_date };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const char *c = skip_blanks(value);
		struct civil civil = { 0 };
		int leap_second;

		if (!forms[i](&c, &civil))
			continue;
		leap_second = civil.second == 60;
		civil.second -= leap_second;
		return *skip_blanks(c) == '\0' && civil_exists(&civil) ? (civil_seconds(&civil) + leap_second) * 1000 : -1;
	}
	return -1;
}

/* More digits than any sensible wait has are still a number of seconds, so the sum stops growing and goes on reading. */
static int64_t delay_seconds(const char *value)
{
	int64_t seconds = 0;

	if (!is_digit(*value))
		return -1;
	for (; is_digit(*value); value++) {
		if (seconds <= TRACK_MOST_RETRY_AFTER_MS)
			seconds = seconds * 10 + (*value - '0');
	}
	return *skip_blanks(value) == '\0' ? seconds : -1;
}

int64_t track_retry_after(const char *value, int64_t now_wall_ms)
{
	int64_t seconds, date;

	if (!value)
		return -1;
	seconds = delay_seconds(skip_blanks(value));
	if (seconds >= 0)
		return seconds * 1000 < TRACK_MOST_RETRY_AFTER_MS ? seconds * 1000 : TRACK_MOST_RETRY_AFTER_MS;
	date = track_http_date(value);
	if (date == -1)
		return -1;
	if (date <= now_wall_ms)
		return 0;
	return now_wall_ms < date - TRACK_MOST_RETRY_AFTER_MS ? TRACK_MOST_RETRY_AFTER_MS : date - now_wall_ms;
}
