#include "cli/pulse.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

enum { EVERY = 60000, BEGIN = 5000000 };

static struct pulse begin(void)
{
	struct pulse pulse = pulse_new(EVERY);

	assert_true(pulse_beat(&pulse, BEGIN));
	pulse_moved(&pulse, 7);
	assert_false(pulse_beat(&pulse, BEGIN));
	return pulse;
}

static void nobody_is_fed_where_nobody_watches(void **state)
{
	struct pulse pulse = pulse_new(0);

	(void)state;
	pulse_rested(&pulse);
	assert_false(pulse_beat(&pulse, BEGIN));
	assert_true(pulse_next_ms(&pulse, BEGIN) == INT64_MAX);
}

static void it_is_fed_at_once_and_then_each_time_while_something_moves(void **state)
{
	struct pulse pulse = begin();

	(void)state;
	assert_int_equal(pulse_next_ms(&pulse, BEGIN + 1), BEGIN + EVERY);
	for (int i = 1; i < 5; i++) {
		pulse_moved(&pulse, 7 + i);
		assert_false(pulse_beat(&pulse, BEGIN + i * EVERY - 1));
		assert_true(pulse_beat(&pulse, BEGIN + i * EVERY));
	}
}

static void it_is_fed_while_the_loop_comes_to_rest(void **state)
{
	struct pulse pulse = begin();

	(void)state;
	assert_true(pulse_beat(&pulse, BEGIN + EVERY));
	pulse_rested(&pulse);
	pulse_moved(&pulse, 7);
	assert_true(pulse_beat(&pulse, BEGIN + 2 * EVERY));
}

static void a_loop_that_goes_round_for_nothing_is_not_fed(void **state)
{
	struct pulse pulse = begin();

	(void)state;
	assert_true(pulse_beat(&pulse, BEGIN + EVERY)); /* for what moved at the beginning */
	for (int i = 0; i < 1000; i++) {
		pulse_moved(&pulse, 7);
		assert_false(pulse_beat(&pulse, BEGIN + 2 * EVERY + i));
	}
	/* And is again as soon as it moves. */
	pulse_moved(&pulse, 8);
	assert_true(pulse_beat(&pulse, BEGIN + 4 * EVERY));
}

static void where_it_is_time_and_nothing_moved_the_loop_tries_to_rest_for_a_moment(void **state)
{
	struct pulse pulse = begin();

	(void)state;
	assert_true(pulse_beat(&pulse, BEGIN + EVERY));
	assert_int_equal(pulse_next_ms(&pulse, BEGIN + 5 * EVERY), BEGIN + 5 * EVERY + 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_fed_where_nobody_watches),
		cmocka_unit_test(it_is_fed_at_once_and_then_each_time_while_something_moves),
		cmocka_unit_test(it_is_fed_while_the_loop_comes_to_rest),
		cmocka_unit_test(a_loop_that_goes_round_for_nothing_is_not_fed),
		cmocka_unit_test(where_it_is_time_and_nothing_moved_the_loop_tries_to_rest_for_a_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
