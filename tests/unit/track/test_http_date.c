#include "track/verdict.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { HOUR_MS = 3600 * 1000 };

static const char *const forms[] = {
	"Sun, 06 Nov 1994 08:49:37 GMT",
	"Sunday, 06-Nov-94 08:49:37 GMT",
	"Sun Nov  6 08:49:37 1994",
};
static const int64_t moment = INT64_C(784111777000);

static void all_three_forms_of_a_date_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		assert_int_equal(track_http_date(forms[i]), moment);
	assert_int_equal(track_http_date("Wed Nov 16 08:49:37 1994"), moment + 10 * 24 * HOUR_MS);
	assert_int_equal(track_http_date(" \tSun, 06 Nov 1994 08:49:37 GMT \t"), moment);
}

static void a_date_that_is_cut_anywhere_is_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		for (size_t length = 0; length < strlen(forms[i]); length++) {
			char cut[64];

			snprintf(cut, sizeof(cut), "%.*s", (int)length, forms[i]);
			assert_int_equal(track_http_date(cut), -1);
		}
	}
}

static void a_date_with_a_wrong_byte_anywhere_is_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		for (size_t at = 0; at <= strlen(forms[i]); at++) {
			char wrong[64] = "";

			snprintf(wrong, sizeof(wrong), "%s", forms[i]);
			wrong[at] = '!';
			assert_int_equal(track_http_date(wrong), -1);
		}
	}
}

static void dates_that_do_not_exist_are_none(void **state)
{
	static const char *const dates[] = {
		"Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
		assert_int_equal(track_http_date(dates[i]), -1);
}

static void a_leap_second_is_the_second_after(void **state)
{
	(void)state;
	assert_int_equal(track_http_date("Sat, 31 Dec 2016 23:59:60 GMT"), track_http_date("Sun, 01 Jan 2017 00:00:00 GMT"));
}

static void two_digit_years_lie_between_1969_and_2068(void **state)
{
	(void)state;
	assert_int_equal(track_http_date("Wednesday, 31-Dec-68 23:59:59 GMT"), track_http_date("Mon, 31 Dec 2068 23:59:59 GMT"));
	assert_int_equal(track_http_date("Wednesday, 01-Jan-69 00:00:00 GMT"), track_http_date("Wed, 01 Jan 1969 00:00:00 GMT"));
}

static void retry_after_in_seconds_is_at_most_an_hour(void **state)
{
	static const struct {
		const char *value;
		int64_t wait_ms;
	} cases[] = {
		{ "0", 0 },
		{ "1", 1000 },
		{ " 007\t", 7000 },
		{ "3599", HOUR_MS - 1000 },
		{ "3600", HOUR_MS },
		{ "3601", HOUR_MS },
		{ "99999999999999999999999999999999999999", HOUR_MS },
		{ "9223372036854775807", HOUR_MS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(track_retry_after(cases[i].value, moment), cases[i].wait_ms);
}

static void retry_after_as_a_date_counts_from_now(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		assert_int_equal(track_retry_after(forms[i], moment - 1500), 1500);
		assert_int_equal(track_retry_after(forms[i], moment - HOUR_MS), HOUR_MS);
		assert_int_equal(track_retry_after(forms[i], moment - HOUR_MS - 1), HOUR_MS);
		assert_int_equal(track_retry_after(forms[i], INT64_MIN), HOUR_MS);
	}
}

static void retry_after_in_the_past_is_no_wait(void **state)
{
	(void)state;
	assert_int_equal(track_retry_after(forms[0], moment), 0);
	assert_int_equal(track_retry_after(forms[0], INT64_MAX), 0);
	assert_int_equal(track_retry_after("Thu, 01 Jan 1959 00:00:00 GMT", moment), 0);
}

static void retry_after_of_neither_form_is_ignored(void **state)
{
	static const char *const values[] = { "", " ", "-1", "+1", "1.5", "1s", "1 2", "soon", "0x10", "Sun, 06 Nov 1994" };

	(void)state;
	assert_int_equal(track_retry_after(NULL, moment), -1);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_int_equal(track_retry_after(values[i], moment), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_three_forms_of_a_date_are_read),        cmocka_unit_test(a_date_that_is_cut_anywhere_is_none),
		cmocka_unit_test(a_date_with_a_wrong_byte_anywhere_is_none), cmocka_unit_test(dates_that_do_not_exist_are_none),
		cmocka_unit_test(a_leap_second_is_the_second_after),         cmocka_unit_test(two_digit_years_lie_between_1969_and_2068),
		cmocka_unit_test(retry_after_in_seconds_is_at_most_an_hour), cmocka_unit_test(retry_after_as_a_date_counts_from_now),
		cmocka_unit_test(retry_after_in_the_past_is_no_wait),        cmocka_unit_test(retry_after_of_neither_form_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
