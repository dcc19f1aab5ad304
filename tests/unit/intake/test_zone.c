#include "intake/zone.h"

#include "track/civil.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <stdlib.h>
#include <time.h>

static int64_t utc(int year, int month, int day, int hour, int minute)
{
	return civil_seconds(&(struct civil){ year, month, day, hour, minute, 0 });
}

static void names_of_the_tz_database_exist(void **state)
{
	static const char *const good[] = { "Europe/Paris", "UTC", "Etc/GMT+2", "America/Argentina/Buenos_Aires", "EST5EDT" };
	static const char *const bad[] = { "",
					   "Europe/Pari",
					   "Europe",
					   "/usr/share/zoneinfo/UTC",
					   "../zoneinfo/UTC",
					   "UTC ",
					   ":UTC",
					   "CET-1",
					   "tzdata.zi",
					   "leapseconds",
					   "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(zone_exists(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(zone_exists(bad[i]));
}

static void the_database_is_where_tzdir_says(void **state)
{
	(void)state;
	setenv("TZDIR", "/nonexistent", 1);
	assert_false(zone_exists("UTC"));
	unsetenv("TZDIR");
	assert_true(zone_exists("UTC"));
}

static void an_unknown_zone_is_a_reason(void **state)
{
	struct text reason = { 0 };
	int64_t seconds = 7;

	(void)state;
	assert_false(zone_seconds("Europe/Pari", 0, &seconds, &reason));
	assert_string_equal(reason.data, "is local time of an unknown time zone, Europe/Pari");
	assert_int_equal(seconds, 7);
	text_free(&reason);
}

static void local_time_becomes_utc(void **state)
{
	static const struct {
		const char *zone;
		int month, day, hour, minute;
		int offset_minutes;
	} cases[] = {
		{ "Europe/Paris", 1, 15, 12, 0, 60 },       { "Europe/Paris", 7, 15, 12, 0, 120 },
		{ "Europe/Paris", 3, 29, 1, 59, 60 },       { "Europe/Paris", 3, 29, 3, 0, 120 },
		{ "Europe/Paris", 10, 25, 1, 59, 120 },     { "Europe/Paris", 10, 25, 3, 0, 60 },
		{ "Europe/Paris", 3, 28, 2, 30, 60 },       { "Europe/Paris", 3, 30, 2, 30, 120 },
		{ "America/New_York", 1, 1, 0, 0, -300 },   { "America/New_York", 3, 8, 1, 59, -300 },
		{ "America/New_York", 3, 8, 3, 0, -240 },   { "America/New_York", 12, 31, 23, 59, -300 },
		{ "Australia/Lord_Howe", 1, 1, 0, 0, 660 }, { "Australia/Lord_Howe", 7, 1, 0, 0, 630 },
		{ "Asia/Kolkata", 6, 1, 0, 0, 330 },        { "Asia/Kathmandu", 6, 1, 0, 0, 345 },
		{ "America/Santiago", 9, 5, 23, 59, -240 }, { "America/Santiago", 9, 6, 1, 0, -180 },
		{ "Asia/Beirut", 3, 28, 23, 59, 120 },      { "Asia/Beirut", 3, 29, 1, 0, 180 },
		{ "Pacific/Kiritimati", 6, 1, 0, 0, 840 },  { "UTC", 6, 1, 0, 0, 0 },
	};
	struct text reason = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t local = utc(2026, cases[i].month, cases[i].day, cases[i].hour, cases[i].minute), seconds = 0;

		assert_true(zone_seconds(cases[i].zone, local, &seconds, &reason));
		assert_int_equal(local - seconds, cases[i].offset_minutes * 60);
	}
	text_free(&reason);
}

static void a_time_that_is_missing_or_doubled_names_both_readings(void **state)
{
	static const struct {
		const char *zone;
		int year, month, day, hour, minute;
		const char *reason;
	} cases[] = {
		{ "Europe/Paris", 2026, 3, 29, 2, 30,
		  "does not exist in Europe/Paris: 2026-03-29T01:30:00+01:00 or 2026-03-29T03:30:00+02:00?" },
		{ "Europe/Paris", 2026, 3, 29, 2, 0,
		  "does not exist in Europe/Paris: 2026-03-29T01:00:00+01:00 or 2026-03-29T03:00:00+02:00?" },
		{ "Europe/Paris", 2026, 10, 25, 2, 30,
		  "happens twice in Europe/Paris: 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00?" },
		{ "America/New_York", 2026, 3, 8, 2, 59,
		  "does not exist in America/New_York: 2026-03-08T01:59:00-05:00 or 2026-03-08T03:59:00-04:00?" },
		{ "America/New_York", 2026, 11, 1, 1, 0,
		  "happens twice in America/New_York: 2026-11-01T01:00:00-04:00 or 2026-11-01T01:00:00-05:00?" },
		{ "Australia/Lord_Howe", 2026, 10, 4, 2, 15,
		  "does not exist in Australia/Lord_Howe: 2026-10-04T01:45:00+10:30 or 2026-10-04T02:45:00+11:00?" },
		{ "Australia/Lord_Howe", 2026, 4, 5, 1, 45,
		  "happens twice in Australia/Lord_Howe: 2026-04-05T01:45:00+11:00 or 2026-04-05T01:45:00+10:30?" },
		{ "America/Santiago", 2026, 9, 6, 0, 0,
		  "does not exist in America/Santiago: 2026-09-05T23:00:00-04:00 or 2026-09-06T01:00:00-03:00?" },
		{ "America/Santiago", 2026, 4, 4, 23, 30,
		  "happens twice in America/Santiago: 2026-04-04T23:30:00-03:00 or 2026-04-04T23:30:00-04:00?" },
		{ "Asia/Beirut", 2026, 3, 29, 0, 30,
		  "does not exist in Asia/Beirut: 2026-03-28T23:30:00+02:00 or 2026-03-29T01:30:00+03:00?" },
		{ "Pacific/Apia", 2011, 12, 30, 12, 0,
		  "does not exist in Pacific/Apia: 2011-12-29T12:00:00-10:00 or 2011-12-31T12:00:00+14:00?" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t local = utc(cases[i].year, cases[i].month, cases[i].day, cases[i].hour, cases[i].minute), seconds = 7;
		struct text reason = { 0 };

		assert_false(zone_seconds(cases[i].zone, local, &seconds, &reason));
		assert_string_equal(reason.data, cases[i].reason);
		assert_int_equal(seconds, 7);
		text_free(&reason);
	}
}

static void every_hour_of_two_years_agrees_with_its_way_back(void **state)
{
	static const char *const zones[] = { "Europe/Paris", "America/Santiago", "Australia/Lord_Howe", "Africa/Casablanca" };
	struct text reason = { 0 };

	(void)state;
	for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
		int missing = 0, doubled = 0;

		for (int64_t local = utc(2025, 1, 1, 0, 15); local < utc(2027, 1, 1, 0, 0); local += 1800) {
			int64_t seconds = 0;
			struct tm tm;

			if (zone_seconds(zones[z], local, &seconds, &reason)) {
				localtime_r(&(time_t){ seconds }, &tm);
				assert_int_equal(seconds + tm.tm_gmtoff, local);
			} else if (strncmp(reason.data, "does not", 8) == 0) {
				missing++;
			} else {
				doubled++;
			}
			text_clear(&reason);
		}
		/* Two changes each way; a change of half an hour hits one probe, one of an hour two. */
		assert_int_equal(missing, z == 2 ? 2 : 4);
		assert_int_equal(doubled, z == 2 ? 2 : 4);
	}
	text_free(&reason);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_the_tz_database_exist),
		cmocka_unit_test(the_database_is_where_tzdir_says),
		cmocka_unit_test(an_unknown_zone_is_a_reason),
		cmocka_unit_test(local_time_becomes_utc),
		cmocka_unit_test(a_time_that_is_missing_or_doubled_names_both_readings),
		cmocka_unit_test(every_hour_of_two_years_agrees_with_its_way_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
