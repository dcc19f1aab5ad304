#include "config/scalar.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct number {
	const char *text;
	int64_t number; /* -1: none */
};

static void expect_numbers(bool (*parse)(const char *, int64_t *), const struct number *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t number = -1;

		if (parse(cases[i].text, &number) != (cases[i].number >= 0) || number != cases[i].number)
			fail_msg("'%s' gives %lld", cases[i].text, (long long)number);
	}
}

static void a_whole_number_is_digits_without_leading_zeros(void **state)
{
	static const struct number cases[] = {
		{ "0", 0 },
		{ "42", 42 },
		{ "9223372036854775807", INT64_MAX },
		{ "9223372036854775808", -1 },
		{ "99999999999999999999", -1 },
		{ "", -1 },
		{ "-1", -1 },
		{ "+1", -1 },
		{ " 1", -1 },
		{ "1 ", -1 },
		{ "01", -1 },
		{ "0x10", -1 },
		{ "1.0", -1 },
		{ "1_000", -1 },
	};

	(void)state;
	expect_numbers(scalar_integer, cases, COUNT(cases));
}

static void a_duration_has_one_unit(void **state)
{
	static const struct number cases[] = {
		{ "500ms", 500 },
		{ "0s", 0 },
		{ "30s", 30000 },
		{ "15m", 900000 },
		{ "72h", 259200000 },
		{ "400d", 34560000000 },
		{ "30", -1 },
		{ "s", -1 },
		{ "30 s", -1 },
		{ "30S", -1 },
		{ "1w", -1 },
		{ "1h30m", -1 },
		{ "1.5h", -1 },
		{ "-1s", -1 },
		{ "05s", -1 },
		{ "9223372036854775807ms", INT64_MAX },
		{ "9223372036854775807s", -1 },
	};

	(void)state;
	expect_numbers(scalar_duration, cases, COUNT(cases));
}

static void a_size_is_binary(void **state)
{
	static const struct number cases[] = {
		{ "64KiB", 65536 }, { "256MiB", 268435456 }, { "1GiB", 1073741824 }, { "0KiB", 0 }, { "1", -1 },
		{ "1KB", -1 },      { "1kiB", -1 },          { "1MB", -1 },          { "KiB", -1 }, { "9223372036854775807GiB", -1 },
	};

	(void)state;
	expect_numbers(scalar_size, cases, COUNT(cases));
}

static void a_number_may_have_a_fraction(void **state)
{
	static const char *const bad[] = { "", ".5", "5.", "1e3", "-1", "1,5", "nan", "0x1", "01", "1234567890", "1.1234567890", "1.5x" };
	double number = -1;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(scalar_number(bad[i], &number));
	assert_true(number < 0);
	assert_true(scalar_number("12.5", &number) && number > 12.49 && number < 12.51);
	assert_true(scalar_number("0", &number) && number < 0.001);
	assert_true(scalar_number("999999999.000000001", &number) && number > 999999998.0);
}

static void only_true_and_false_are_truth_values(void **state)
{
	static const char *const bad[] = { "", "yes", "no", "on", "True", "FALSE", "1", "truee" };
	bool value = false;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(scalar_bool(bad[i], &value));
	assert_true(scalar_bool("true", &value));
	assert_true(value);
	assert_true(scalar_bool("false", &value));
	assert_false(value);
}

static void a_time_of_day_has_two_digits_each(void **state)
{
	static const char *const bad[] = { "",      "1:00",  "12:0",    "24:00",     "12:60",    "12-00",  "12:00:60", "12:00-30",
					   "ab:00", "1a:00", "12:00:3", "12:00:003", "12:00:xx", "12:00 ", "12:xx" };
	int seconds = -1;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(scalar_time(bad[i], &seconds));
	assert_int_equal(seconds, -1);
	assert_true(scalar_time("00:00", &seconds));
	assert_int_equal(seconds, 0);
	assert_true(scalar_time("12:30", &seconds));
	assert_int_equal(seconds, 45000);
	assert_true(scalar_time("23:59:59", &seconds));
	assert_int_equal(seconds, 86399);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_number_is_digits_without_leading_zeros),
		cmocka_unit_test(a_duration_has_one_unit),
		cmocka_unit_test(a_size_is_binary),
		cmocka_unit_test(a_number_may_have_a_fraction),
		cmocka_unit_test(only_true_and_false_are_truth_values),
		cmocka_unit_test(a_time_of_day_has_two_digits_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
