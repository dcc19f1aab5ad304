#include "base/histogram.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void a_bound_belongs_to_its_bucket(void **state)
{
	struct histogram histogram = { 0 };

	(void)state;
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		histogram_count(&histogram, histogram_bounds_ms[i]);
		assert_int_equal(histogram.by_bucket[i], 1);
		histogram_count(&histogram, histogram_bounds_ms[i] + 1);
		assert_int_equal(histogram.by_bucket[i + 1], 1);
		histogram.by_bucket[i + 1] = 0;
	}
}

static void bounds_rise(void **state)
{
	(void)state;
	for (int i = 1; i < HISTOGRAM_BUCKETS; i++)
		assert_true(histogram_bounds_ms[i] > histogram_bounds_ms[i - 1]);
}

static void what_is_longer_than_all_bounds_is_counted_too(void **state)
{
	struct histogram histogram = { 0 };

	(void)state;
	histogram_count(&histogram, INT64_C(3600000));
	assert_int_equal(histogram.by_bucket[HISTOGRAM_BUCKETS], 1);
	assert_int_equal(histogram.sum_ms, 3600000);
}

static void a_negative_duration_is_none(void **state)
{
	struct histogram histogram = { 0 };

	(void)state;
	histogram_count(&histogram, -5);
	assert_int_equal(histogram.by_bucket[0], 1);
	assert_int_equal(histogram.sum_ms, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bound_belongs_to_its_bucket),
		cmocka_unit_test(bounds_rise),
		cmocka_unit_test(what_is_longer_than_all_bounds_is_counted_too),
		cmocka_unit_test(a_negative_duration_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
