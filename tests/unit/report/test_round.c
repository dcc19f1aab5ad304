#include "report/round.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static struct round tour;

static int tear_down(void **state)
{
	(void)state;
	round_free(&tour);
	return 0;
}

static void nobody_asked_nobody_goes(void **state)
{
	(void)state;
	assert_false(round_due(&tour, 1000));
	assert_int_equal(round_at(&tour, 1000), INT64_MAX);
}

static void a_round_visits_all_and_ends(void **state)
{
	(void)state;
	round_ask(&tour);
	assert_int_equal(round_at(&tour, 1000), 1000);
	assert_true(round_due(&tour, 1000));
	assert_true(round_visit(&tour, 3, 1000));
	assert_int_equal(tour.after, 3);
	assert_true(round_visit(&tour, 8, 1000));
	assert_false(round_visit(&tour, 0, 1000));
	assert_false(round_due(&tour, 1000));
}

static void what_is_asked_during_a_round_starts_another_one(void **state)
{
	(void)state;
	round_ask(&tour);
	assert_true(round_due(&tour, 1000));
	assert_true(round_visit(&tour, 3, 1000));
	round_ask(&tour);
	assert_true(round_due(&tour, 1000));
	assert_int_equal(tour.after, 3);
	assert_false(round_visit(&tour, 0, 1000));
	assert_true(round_due(&tour, 1000));
	assert_int_equal(tour.after, 0);
}

static void what_failed_is_passed_for_a_minute(void **state)
{
	static const int64_t order[] = { 50, 10, 30, 20, 40, 10 };

	(void)state;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		round_failed(&tour, order[i], 1000 + (int64_t)i);
	for (int64_t manifest = 60; manifest < 80; manifest++)
		round_failed(&tour, manifest, 5000);
	assert_int_equal(round_at(&tour, 2000), 1000 + ROUND_AGAIN_MS);
	assert_false(round_due(&tour, 2000));
	round_ask(&tour);
	assert_true(round_due(&tour, 2000));
	for (int64_t manifest = 10; manifest <= 50; manifest += 10)
		assert_false(round_visit(&tour, manifest, 2000));
	assert_true(round_visit(&tour, 45, 2000));
	round_succeeded(&tour, 50);
	round_succeeded(&tour, 45);
	assert_true(round_visit(&tour, 50, 2000));
	assert_false(round_visit(&tour, 0, 2000));
	assert_true(round_due(&tour, 1002 + ROUND_AGAIN_MS));
	assert_true(round_visit(&tour, 30, 1002 + ROUND_AGAIN_MS));
	assert_false(round_visit(&tour, 10, 1002 + ROUND_AGAIN_MS));
}

static void a_failure_that_has_gone_starts_no_round_again(void **state)
{
	(void)state;
	round_failed(&tour, 7, 1000);
	assert_true(round_due(&tour, 1000 + ROUND_AGAIN_MS));
	assert_false(round_visit(&tour, 0, 1000 + ROUND_AGAIN_MS));
	assert_false(round_due(&tour, 1000 + ROUND_AGAIN_MS));
	assert_int_equal(round_at(&tour, 1000 + ROUND_AGAIN_MS), INT64_MAX);
}

static void a_time_too_far_ahead_has_come(void **state)
{
	(void)state;
	assert_true(round_is_due(1000, 1000, 60));
	assert_false(round_is_due(1060, 1000, 60));
	assert_true(round_is_due(1061, 1000, 60));
	assert_false(round_is_due(INT64_MAX, 1000, 60));
	round_failed(&tour, 7, 1000000);
	assert_true(round_due(&tour, 500));
	assert_true(round_visit(&tour, 7, 500));
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_asked_nobody_goes),
		TEST(a_round_visits_all_and_ends),
		TEST(what_is_asked_during_a_round_starts_another_one),
		TEST(what_failed_is_passed_for_a_minute),
		TEST(a_failure_that_has_gone_starts_no_round_again),
		TEST(a_time_too_far_ahead_has_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
