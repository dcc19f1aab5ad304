#include "track/civil.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static const int64_t first = -62167219200, last = 253402300799;

static void known_moments_convert_both_ways(void **state)
{
	static const struct {
		struct civil civil;
		int64_t seconds;
	} cases[] = {
		{ { 1970, 1, 1, 0, 0, 0 }, 0 },
		{ { 1969, 12, 31, 23, 59, 59 }, -1 },
		{ { 1994, 11, 6, 8, 49, 37 }, 784111777 },
		{ { 2000, 2, 29, 12, 0, 0 }, 951825600 },
		{ { 2026, 11, 22, 10, 0, 0 }, 1795341600 },
		{ { 2038, 1, 19, 3, 14, 8 }, 2147483648 },
		{ { 0, 1, 1, 0, 0, 0 }, -62167219200 },
		{ { 0, 2, 29, 0, 0, 0 }, -62162121600 },
		{ { 9999, 12, 31, 23, 59, 59 }, 253402300799 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct civil back = { 0 };

		assert_int_equal(civil_seconds(&cases[i].civil), cases[i].seconds);
		assert_true(civil_from_seconds(cases[i].seconds, &back));
		assert_memory_equal(&back, &cases[i].civil, sizeof(back));
	}
}

static void every_day_of_ten_thousand_years_follows_the_one_before(void **state)
{
	struct civil before = { 0 }, day;

	(void)state;
	assert_true(civil_from_seconds(first, &before));
	for (int64_t seconds = first + 86400; seconds <= last; seconds += 86400) {
		assert_true(civil_from_seconds(seconds, &day));
		assert_true(civil_exists(&day));
		assert_int_equal(civil_seconds(&day), seconds);
		if (day.day != before.day + 1) {
			assert_int_equal(day.day, 1);
			assert_int_equal(day.month, before.month % 12 + 1);
			before.day++;
			assert_false(civil_exists(&before));
		}
		before = day;
	}
	assert_int_equal(before.year, 9999);
}

static void what_lies_outside_four_digit_years_is_refused(void **state)
{
	struct civil civil = { .year = 7 };

	(void)state;
	assert_false(civil_from_seconds(first - 1, &civil));
	assert_false(civil_from_seconds(last + 1, &civil));
	assert_false(civil_from_seconds(INT64_MIN, &civil));
	assert_false(civil_from_seconds(INT64_MAX, &civil));
	assert_int_equal(civil.year, 7);
}

static void dates_and_times_that_do_not_exist_are_told(void **state)
{
	static const struct civil wrong[] = {
		{ -1, 1, 1, 0, 0, 0 },    { 10000, 1, 1, 0, 0, 0 }, { 2026, 0, 1, 0, 0, 0 },   { 2026, 13, 1, 0, 0, 0 },
		{ 2026, 1, 0, 0, 0, 0 },  { 2026, 1, 32, 0, 0, 0 }, { 2026, 2, 29, 0, 0, 0 },  { 1900, 2, 29, 0, 0, 0 },
		{ 2026, 1, 1, -1, 0, 0 }, { 2026, 1, 1, 24, 0, 0 }, { 2026, 1, 1, 0, -1, 0 },  { 2026, 1, 1, 0, 60, 0 },
		{ 2026, 1, 1, 0, 0, -1 }, { 2026, 1, 1, 0, 0, 60 }, { 2026, 11, 31, 0, 0, 0 },
	};
	static const struct civil right[] = { { 2000, 2, 29, 0, 0, 0 }, { 2024, 2, 29, 23, 59, 59 } };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(civil_exists(&wrong[i]));
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		assert_true(civil_exists(&right[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_moments_convert_both_ways),
		cmocka_unit_test(every_day_of_ten_thousand_years_follows_the_one_before),
		cmocka_unit_test(what_lies_outside_four_digit_years_is_refused),
		cmocka_unit_test(dates_and_times_that_do_not_exist_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
