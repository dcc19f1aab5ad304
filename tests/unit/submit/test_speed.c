#include "submit/speed.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static const int64_t start = INT64_C(1795341600000);

static struct speed speed_of(int most)
{
	return speed_new(most, 0, 1000);
}

static void good(struct speed *speed, int answers)
{
	while (answers-- > 0)
		speed_good(speed);
}

/* So many good answers as are in flight at this level. */
static void good_rounds(struct speed *speed, int rounds)
{
	while (rounds-- > 0)
		good(speed, speed->level);
}

static void it_begins_at_the_most(void **state)
{
	struct speed speed = speed_of(64);

	(void)state;
	assert_int_equal(speed_slots(&speed, speed.level, 0, start), 64);
	assert_int_equal(speed_slots(&speed, speed.level, 60, start), 4);
	assert_int_equal(speed_slots(&speed, speed.level, 65, start), 0);
	good_rounds(&speed, 100);
	assert_int_equal(speed.level, 64);
}

static void each_that_was_too_much_takes_one_off(void **state)
{
	struct speed speed = speed_of(64);

	(void)state;
	for (int i = 0; i < 44; i++)
		speed_busy(&speed);
	assert_int_equal(speed.level, 20);
	for (int i = 0; i < 100; i++)
		speed_busy(&speed);
	assert_int_equal(speed.level, 1);
}

static void a_round_of_good_answers_adds_one(void **state)
{
	struct speed speed = speed_of(64);

	(void)state;
	speed.level = 32;
	for (int level = 32; level < 64; level++) {
		assert_int_equal(speed.level, level);
		good(&speed, level - 1);
		assert_int_equal(speed.level, level);
		good(&speed, 1);
	}
	assert_int_equal(speed.level, 64);
}

static void below_what_was_too_much_it_waits_longer_each_time(void **state)
{
	struct speed speed = speed_of(64);
	int waited = 0;

	(void)state;
	for (int time = 0; time < 12; time++) {
		int rounds = 0;

		speed_busy(&speed);
		assert_int_equal(speed.level, 63);
		for (; speed.level == 63; rounds++)
			good_rounds(&speed, 1);
		assert_int_equal(speed.level, 64);
		assert_true(rounds >= waited);
		waited = rounds;
	}
	assert_in_range(waited, 200, 300);
	/* It is told so below, where it had been good: then something else is the reason. */
	speed_busy(&speed);
	speed_busy(&speed);
	assert_int_equal(speed.level, 62);
	good_rounds(&speed, 3);
	assert_int_equal(speed.level, 63);
}

static void what_is_no_longer_too_much_is_forgotten(void **state)
{
	struct speed speed = speed_of(64);

	(void)state;
	for (int i = 0; i < 60; i++)
		speed_busy(&speed);
	assert_int_equal(speed.level, 4);
	good_rounds(&speed, 70);
	assert_int_equal(speed.level, 64);
	assert_int_equal(speed.ceiling, 0);
}

static void beginning_slowly_doubles_to_the_most(void **state)
{
	static const int levels[] = { 1, 2, 4, 8, 16, 20, 20 };
	struct speed speed = speed_of(20);

	(void)state;
	speed_busy(&speed);
	speed_begin_slowly(&speed, false);
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		assert_int_equal(speed.level, levels[i]);
		good_rounds(&speed, 1);
	}
}

static void beginning_slowly_after_too_much_doubles_to_half_of_that(void **state)
{
	static const int levels[] = { 1, 2, 4, 8, 10, 11, 12 };
	struct speed speed = speed_of(20);

	(void)state;
	speed_begin_slowly(&speed, true);
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		assert_int_equal(speed.level, levels[i]);
		good_rounds(&speed, 1);
	}
}

static void where_two_were_too_much_one_goes_for_a_while(void **state)
{
	struct speed speed = speed_of(2);

	(void)state;
	speed_begin_slowly(&speed, true);
	good(&speed, 4);
	assert_int_equal(speed.level, 1);
	good(&speed, 8);
	assert_int_equal(speed.level, 2);
}

static void below_one_in_flight_there_is_a_gap(void **state)
{
	struct speed speed = speed_of(1);
	int64_t gap;

	(void)state;
	speed_busy(&speed);
	speed_took(&speed, 1, start);
	assert_int_equal(speed_slots(&speed, 1, 0, start), 0);
	gap = speed_next_ms(&speed, 1, 0, start) - start;
	assert_in_range(gap, 10, 20);
	assert_int_equal(speed_slots(&speed, 1, 0, start + gap), 1);
	assert_int_equal(speed_next_ms(&speed, 1, 0, start + gap + 5), start + gap + 5);
	assert_int_equal(speed_next_ms(&speed, 1, 1, start), INT64_MAX);
	for (int i = 1; i < 20; i++)
		speed_busy(&speed);
	assert_int_equal(speed_next_ms(&speed, 1, 0, start), start + 1000);
	good(&speed, 500);
	assert_int_equal(speed_next_ms(&speed, 1, 0, start), start);
}

static void what_is_taken_as_none_begins_no_gap(void **state)
{
	struct speed speed = speed_of(1);

	(void)state;
	speed_busy(&speed);
	speed_took(&speed, 0, start);
	assert_int_equal(speed_slots(&speed, 1, 0, start), 1);
}

static void a_gap_and_a_rate_both_bind(void **state)
{
	struct speed speed = speed_new(1, 10, 1000);

	(void)state;
	speed_took(&speed, 1, start);
	assert_int_equal(speed_next_ms(&speed, 1, 0, start), start + 100);
	for (int i = 0; i < 20; i++)
		speed_busy(&speed);
	assert_int_equal(speed_next_ms(&speed, 1, 0, start), start + 1000);
	assert_int_equal(speed_slots(&speed, 1, 0, start + 100), 0);
	assert_int_equal(speed_slots(&speed, 1, 0, start + 1000), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_begins_at_the_most),
		cmocka_unit_test(each_that_was_too_much_takes_one_off),
		cmocka_unit_test(a_round_of_good_answers_adds_one),
		cmocka_unit_test(below_what_was_too_much_it_waits_longer_each_time),
		cmocka_unit_test(what_is_no_longer_too_much_is_forgotten),
		cmocka_unit_test(beginning_slowly_doubles_to_the_most),
		cmocka_unit_test(beginning_slowly_after_too_much_doubles_to_half_of_that),
		cmocka_unit_test(where_two_were_too_much_one_goes_for_a_while),
		cmocka_unit_test(below_one_in_flight_there_is_a_gap),
		cmocka_unit_test(what_is_taken_as_none_begins_no_gap),
		cmocka_unit_test(a_gap_and_a_rate_both_bind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
