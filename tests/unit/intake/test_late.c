#include "intake/late.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

enum { HOUR = 3600 * 1000, NOW = 5000 };

static const int64_t wall = INT64_C(1800000000000);

static void a_source_is_late_once_when_nothing_came_for_so_long(void **state)
{
	struct late late = late_begin(26 * HOUR, wall - 25 * HOUR, NOW, wall);

	(void)state;
	assert_int_equal(late_next_ms(&late), NOW + HOUR);
	assert_false(late_look(&late, NOW + HOUR - 1));
	assert_false(late.is_late);
	assert_true(late_look(&late, NOW + HOUR));
	assert_true(late.is_late);
	assert_false(late_look(&late, NOW + 2 * HOUR));
	assert_int_equal(late_next_ms(&late), INT64_MAX);
}

static void the_next_manifest_clears_it_and_the_wait_begins_again(void **state)
{
	struct late late = late_begin(HOUR, wall - 2 * HOUR, NOW, wall);

	(void)state;
	assert_true(late_look(&late, NOW));
	late_came(&late, NOW + 10, wall + 10);
	assert_false(late.is_late);
	assert_int_equal(late.since_ms, wall + 10);
	assert_int_equal(late_next_ms(&late), NOW + 10 + HOUR);
	assert_true(late_look(&late, NOW + 10 + HOUR));
}

static void a_source_without_expect_every_is_never_late(void **state)
{
	struct late late = late_begin(0, 0, NOW, wall);

	(void)state;
	assert_false(late_look(&late, INT64_MAX));
	assert_int_equal(late_next_ms(&late), INT64_MAX);
}

static void a_clock_that_was_put_back_lengthens_no_wait(void **state)
{
	struct late late = late_begin(HOUR, wall + 1000 * (int64_t)HOUR, NOW, wall);

	(void)state;
	assert_int_equal(late_next_ms(&late), NOW + HOUR);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_is_late_once_when_nothing_came_for_so_long),
		cmocka_unit_test(the_next_manifest_clears_it_and_the_wait_begins_again),
		cmocka_unit_test(a_source_without_expect_every_is_never_late),
		cmocka_unit_test(a_clock_that_was_put_back_lengthens_no_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
