#include "base/told.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

enum { BEGIN = 1000, MINUTE = 60000, HOUR = 3600000 };

static int lines_of(struct told *told, int lines, int64_t now)
{
	int written = 0;

	for (int i = 0; i < lines; i++)
		written += told_may(told, now);
	return written;
}

static void the_first_lines_are_written_and_the_others_counted(void **state)
{
	struct told told = { 0 };

	(void)state;
	assert_true(told_next_ms(&told) == INT64_MAX);
	assert_int_equal(lines_of(&told, TOLD_NAMED, BEGIN), TOLD_NAMED);
	assert_true(told_next_ms(&told) == INT64_MAX);
	assert_int_equal(lines_of(&told, 9980, BEGIN), 0);
	assert_int_equal(told_next_ms(&told), BEGIN + MINUTE);
	assert_int_equal(told_count(&told, BEGIN + MINUTE - 1, false), 0);
	assert_int_equal(told_count(&told, BEGIN + MINUTE, false), 9980);
	assert_int_equal(told_count(&told, BEGIN + MINUTE, false), 0);
	assert_true(told_next_ms(&told) == INT64_MAX);
}

static void a_flood_that_goes_on_is_counted_once_an_hour(void **state)
{
	struct told told = { 0 };
	int written = 0, counts = 0;
	int64_t counted = 0;

	(void)state;
	for (int64_t now = BEGIN; now < BEGIN + 10 * HOUR; now += 1000) {
		int64_t count = told_count(&told, now, false);

		counts += count != 0;
		counted += count;
		written += told_may(&told, now);
	}
	assert_int_equal(written, 10 * TOLD_NAMED);
	assert_in_range(counts, 9, 11);
	assert_int_equal(counted + told_count(&told, BEGIN + 10 * HOUR, true) + written, 36000);
}

static void after_an_hour_names_are_written_again(void **state)
{
	struct told told = { 0 };

	(void)state;
	assert_int_equal(lines_of(&told, 30, BEGIN), TOLD_NAMED);
	assert_int_equal(lines_of(&told, 30, BEGIN + HOUR - 1), 0);
	assert_int_equal(lines_of(&told, 30, BEGIN + HOUR), TOLD_NAMED);
}

static void at_the_end_what_was_counted_is_told(void **state)
{
	struct told told = { 0 };

	(void)state;
	assert_int_equal(told_count(&told, BEGIN, true), 0);
	lines_of(&told, 23, BEGIN);
	assert_int_equal(told_count(&told, BEGIN, true), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_lines_are_written_and_the_others_counted),
		cmocka_unit_test(a_flood_that_goes_on_is_counted_once_an_hour),
		cmocka_unit_test(after_an_hour_names_are_written_again),
		cmocka_unit_test(at_the_end_what_was_counted_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
