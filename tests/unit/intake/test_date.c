#include "intake/date.h"

#include "track/request.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

enum { NO_TIME = -1, NOON = 12 * 3600 };

struct date_case {
	const char *value, *format, *zone;
	int time;
	const char *wanted; /* the date in UTC, or the reason */
};

static void check(const struct date_case *cases, size_t n, bool good)
{
	for (size_t i = 0; i < n; i++) {
		struct text reason = { 0 };
		int64_t seconds = 7;
		char date[21];

		assert_int_equal(date_parse(cases[i].value, cases[i].format, cases[i].zone, cases[i].time, &seconds, &reason), good);
		if (good) {
			assert_true(track_date_text(date, seconds));
			assert_string_equal(date, cases[i].wanted);
			assert_int_equal(reason.length, 0);
		} else {
			assert_string_equal(reason.data, cases[i].wanted);
			assert_int_equal(seconds, 7);
		}
		text_free(&reason);
	}
}

#define CHECK(cases, good) check(cases, sizeof(cases) / sizeof((cases)[0]), good)

static void iso_8601_is_read_without_a_format(void **state)
{
	static const struct date_case cases[] = {
		{ "2026-11-22T10:00:00Z", NULL, NULL, NO_TIME, "2026-11-22T10:00:00Z" },
		{ "2026-11-22T10:00Z", NULL, NULL, NO_TIME, "2026-11-22T10:00:00Z" },
		{ "2026-11-22 10:00:00+01:00", NULL, NULL, NO_TIME, "2026-11-22T09:00:00Z" },
		{ "2026-11-22T10:00:00-0530", NULL, NULL, NO_TIME, "2026-11-22T15:30:00Z" },
		{ "2026-11-22T10:00:00+01", NULL, NULL, NO_TIME, "2026-11-22T09:00:00Z" },
		{ "2026-11-22 10:00-05", NULL, NULL, NO_TIME, "2026-11-22T15:00:00Z" },
		{ "2026-11-22T10:00:00+14:00", NULL, NULL, NO_TIME, "2026-11-21T20:00:00Z" },
		{ "2026-11-22T10:00:59.999Z", NULL, NULL, NO_TIME, "2026-11-22T10:00:59Z" },
		{ "2026-11-22T10:00:59,5+00:00", NULL, NULL, NO_TIME, "2026-11-22T10:00:59Z" },
		{ "2024-02-29T00:00:00Z", NULL, NULL, NO_TIME, "2024-02-29T00:00:00Z" },
		{ "1970-01-01T00:00:00Z", NULL, NULL, NO_TIME, "1970-01-01T00:00:00Z" },
		{ "9999-12-31T23:59:59Z", NULL, NULL, NO_TIME, "9999-12-31T23:59:59Z" },
		/* An offset in the text counts, whatever the zone. */
		{ "2026-07-01T10:00:00Z", NULL, "Europe/Paris", NO_TIME, "2026-07-01T10:00:00Z" },
		{ "2026-07-01T10:00:00", NULL, "Europe/Paris", NO_TIME, "2026-07-01T08:00:00Z" },
		{ "2026-07-01", NULL, "Europe/Paris", NOON, "2026-07-01T10:00:00Z" },
		{ "2026-07-01 23:59", NULL, "Europe/Paris", NOON, "2026-07-01T21:59:00Z" },
	};

	(void)state;
	CHECK(cases, true);
}

static void other_forms_are_read_by_their_format(void **state)
{
	static const struct date_case cases[] = {
		{ "22/11/2026 10:00", "%d/%m/%Y %H:%M", "Europe/Paris", NO_TIME, "2026-11-22T09:00:00Z" },
		{ "20260722", "%Y%m%d", "Europe/Paris", NOON, "2026-07-22T10:00:00Z" },
		{ "20260722", "%Y%m%d", "Europe/Paris", 86399, "2026-07-22T21:59:59Z" },
		{ "22-11-26", "%d-%m-%y", "UTC", 0, "2026-11-22T00:00:00Z" },
		{ "11/22/2026 01:30 PM", "%m/%d/%Y %I:%M %p", "America/New_York", NO_TIME, "2026-11-22T18:30:00Z" },
		{ "22 Nov 2026 10:00", "%d %b %Y %H:%M", "Asia/Kolkata", NO_TIME, "2026-11-22T04:30:00Z" },
		{ "2026-326", "%Y-%j", "UTC", 0, "2026-11-22T00:00:00Z" },
		{ "2026-11-22 10:00 +0100", "%Y-%m-%d %H:%M %z", NULL, NO_TIME, "2026-11-22T09:00:00Z" },
		{ "2026-11-22 10:00 +0100", "%Y-%m-%d %H:%M %z", "America/New_York", NO_TIME, "2026-11-22T09:00:00Z" },
		{ "2026-11-22T10:00:00Z", "%Y-%m-%dT%H:%M:%SZ", "Europe/Paris", NO_TIME, "2026-11-22T10:00:00Z" },
		{ "1795341600", "%s", NULL, NO_TIME, "2026-11-22T10:00:00Z" },
	};

	(void)state;
	CHECK(cases, true);
}

static void what_is_no_whole_date_is_rejected_with_the_reason(void **state)
{
	static const struct date_case cases[] = {
		{ "2026/11/22", "%d/%m/%Y %H:%M", "UTC", NO_TIME, "'2026/11/22' does not match \"%d/%m/%Y %H:%M\"" },
		{ "22/11/2026 10:00:30", "%d/%m/%Y %H:%M", "UTC", NO_TIME, "'22/11/2026 10:00:30' has ':30' left over behind the date" },
		{ "31/02/2026 10:00", "%d/%m/%Y %H:%M", "UTC", NO_TIME, "'31/02/2026 10:00' does not exist" },
		{ "2026-366", "%Y-%j", "UTC", 0, "'2026-366' does not exist" },
		{ "22/11/2026", "%d/%m/%Y", "UTC", NO_TIME, "'22/11/2026' has no time of day, and the source gives no time" },
		{ "22/11/2026", "%d/%m/%Y", NULL, 0, "'22/11/2026' has no offset from UTC, and the source names no timezone" },
		{ "22/11 10:00", "%d/%m %H:%M", "UTC", NO_TIME, "'22/11 10:00' is no whole date: the format has no year, month or day" },
		{ "2026 10:00", "%Y %H:%M", "UTC", NO_TIME, "'2026 10:00' is no whole date: the format has no year, month or day" },
		{ "11/2026 10:00", "%m/%Y %H:%M", "UTC", NO_TIME,
		  "'11/2026 10:00' is no whole date: the format has no year, month or day" },
		{ "22/11/2026 10:00:60", "%d/%m/%Y %H:%M:%S", "UTC", NO_TIME, "'22/11/2026 10:00:60' does not exist" },
		{ "31/12/1969 10:00", "%d/%m/%Y %H:%M", "UTC", NO_TIME, "'31/12/1969 10:00' is not in the years 1970 to 9999" },
		{ "1970-01-01T00:00:00+01:00", NULL, NULL, NO_TIME, "'1970-01-01T00:00:00+01:00' is not in the years 1970 to 9999" },
		{ "9999-12-31T23:59:59-01:00", NULL, NULL, NO_TIME, "'9999-12-31T23:59:59-01:00' is not in the years 1970 to 9999" },
		{ "2026-02-30T10:00:00Z", NULL, NULL, NO_TIME, "'2026-02-30T10:00:00Z' does not exist" },
		{ "2026-11-22T24:00:00Z", NULL, NULL, NO_TIME, "'2026-11-22T24:00:00Z' does not exist" },
		{ "2026-11-22T10:00:00", NULL, NULL, NO_TIME,
		  "'2026-11-22T10:00:00' has no offset from UTC, and the source names no timezone" },
		{ "2026-11-22", NULL, "UTC", NO_TIME, "'2026-11-22' has no time of day, and the source gives no time" },
		{ "29/03/2026 02:30", "%d/%m/%Y %H:%M", "Europe/Paris", NO_TIME,
		  "'29/03/2026 02:30' does not exist in Europe/Paris: 2026-03-29T01:30:00+01:00 or 2026-03-29T03:30:00+02:00?" },
		{ "25/10/2026 02:30", "%d/%m/%Y %H:%M", "Europe/Paris", NO_TIME,
		  "'25/10/2026 02:30' happens twice in Europe/Paris: 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00?" },
		{ "22/11/2026 10:00", "%d/%m/%Y %H:%M", "Mars/Olympus", NO_TIME,
		  "'22/11/2026 10:00' is local time of an unknown time zone, Mars/Olympus" },
	};

	(void)state;
	CHECK(cases, false);
}

static void numbers_with_nothing_between_them_have_all_their_digits(void **state)
{
	static const struct date_case good[] = {
		{ "20261122", "%Y%m%d", "UTC", NOON, "2026-11-22T12:00:00Z" },
		{ "2026 1 2", "%Y%m%d", "UTC", NOON, "2026-01-02T12:00:00Z" },
		{ "22112026 9:05", "%d%m%Y %H:%M", "UTC", NO_TIME, "2026-11-22T09:05:00Z" },
		{ "1/2/2026 0905", "%d/%m/%Y %H%M", "UTC", NO_TIME, "2026-02-01T09:05:00Z" },
		{ "20261122T090507", "%Y%m%dT%H%M%S", "UTC", NO_TIME, "2026-11-22T09:05:07Z" },
	};
	static const struct date_case bad[] = {
		{ "2026112", "%Y%m%d", "UTC", NOON, "'2026112' does not match \"%Y%m%d\"" },
		{ "2211202", "%d%m%Y", "UTC", NOON, "'2211202' does not match \"%d%m%Y\"" },
		{ "20261122143", "%Y%m%d%H%M", "UTC", NO_TIME, "'20261122143' does not match \"%Y%m%d%H%M\"" },
		{ "20261122 143", "%Y%m%d %H%M", "UTC", NO_TIME, "'20261122 143' does not match \"%Y%m%d %H%M\"" },
		{ "2026112 14:30", "%Y%m%d %H:%M", "UTC", NO_TIME, "'2026112 14:30' does not match \"%Y%m%d %H:%M\"" },
	};

	(void)state;
	CHECK(good, true);
	CHECK(bad, false);
}

static void iso_8601_is_strict(void **state)
{
	static const char *const bad[] = {
		"",
		"2026",
		"2026-11",
		"2026-11-2",
		"2026-x1-22T10:00:00Z",
		"20261122T100000Z",
		"2026/11/22T10:00:00Z",
		"2026-11/22T10:00:00Z",
		"2026-11-22X10:00:00Z",
		"2026-11-22T",
		"2026-11-22T10",
		"2026-11-22T10:0",
		"2026-11-22T10:00:",
		"2026-11-22T10:00:0Z",
		"2026-11-22T10:00:00.Z",
		"2026-11-22T10:00:00z",
		"2026-11-22T10:00:00ZZ",
		"2026-11-22T10:00:00+",
		"2026-11-22T10:00:00+1",
		"2026-11-22T10:00:00+01:",
		"2026-11-22T10:00:00+01:0",
		"2026-11-22T10:00:00+010",
		"2026-11-22T10:00:00+01000",
		"2026-11-22T10:00:00+01:00:00",
		"2026-11-22T10:00:00+01Z",
		"2026-11-22T10:00:00+15",
		"2026-11-22T10:00:00+0160",
		"2026-11-22T10:00:00+1:00",
		"2026-11-22T10:00:00+15:00",
		"2026-11-22T10:00:00+01:60",
		"2026-11-22T10:00:00 +01:00",
		"2026-11-22Z",
		"-026-11-22T10:00:00Z",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct text reason = { 0 };
		int64_t seconds;

		assert_false(date_parse(bad[i], NULL, "UTC", 0, &seconds, &reason));
		assert_non_null(strstr(reason.data, "is no date of ISO 8601 like 2026-11-22T10:00:00+01:00"));
		text_free(&reason);
	}
}

static void formats_tell_whether_they_have_a_time_and_an_offset(void **state)
{
	static const struct {
		const char *format;
		bool time, offset;
	} cases[] = {
		{ "%d/%m/%Y", false, false },    { "%d/%m/%Y %H:%M", true, false }, { "%d/%m/%Y %I:%M %p", true, false },
		{ "%Y-%m-%d%%H", false, false }, { "%F %T%z", true, true },         { "%FT%TZ", true, true },
		{ "%F Z %T", true, false },      { "%F %T %Z", true, false },       { "%s", true, true },
		{ "%e %_k%OM", true, false },    { "%Y%", false, false },           { "", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(date_format_has_time(cases[i].format), cases[i].time);
		assert_int_equal(date_format_has_offset(cases[i].format), cases[i].offset);
	}
}

static void a_timezone_exists_or_not(void **state)
{
	(void)state;
	assert_true(date_timezone_exists("Europe/Paris"));
	assert_false(date_timezone_exists("Europe/Lutetia"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(iso_8601_is_read_without_a_format),
		cmocka_unit_test(other_forms_are_read_by_their_format),
		cmocka_unit_test(what_is_no_whole_date_is_rejected_with_the_reason),
		cmocka_unit_test(numbers_with_nothing_between_them_have_all_their_digits),
		cmocka_unit_test(iso_8601_is_strict),
		cmocka_unit_test(formats_tell_whether_they_have_a_time_and_an_offset),
		cmocka_unit_test(a_timezone_exists_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
