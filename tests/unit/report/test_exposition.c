#include "report/exposition.h"

#include "base/file.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void a_family_has_its_help_and_then_its_type(void **state)
{
	scoped_text struct text out = { 0 };

	(void)state;
	exposition_family(&out, "rows", "gauge", "A \"row\", a \\ and\na new line.");
	assert_string_equal(out.data, "# HELP trackbridge_rows A \"row\", a \\\\ and\\na new line.\n# TYPE trackbridge_rows gauge\n");
}

static void a_sample_without_labels_has_no_braces(void **state)
{
	scoped_text struct text out = { 0 };

	(void)state;
	exposition_number(&out, "n", NULL, INT64_MIN);
	assert_string_equal(out.data, "trackbridge_n -9223372036854775808\n");
}

static void label_values_are_escaped_and_nothing_else_is(void **state)
{
	const struct exposition_label labels[] = { { "a", "\"\\\n" }, { "b", "{x=1},\t\xc3\xa9" }, { "c", "" }, { 0 } };
	scoped_text struct text out = { 0 };

	(void)state;
	exposition_number(&out, "n", labels, 7);
	assert_string_equal(out.data, "trackbridge_n{a=\"\\\"\\\\\\n\",b=\"{x=1},\t\xc3\xa9\",c=\"\"} 7\n");
}

static void milliseconds_are_written_as_seconds(void **state)
{
	static const struct {
		int64_t ms;
		const char *seconds;
	} cases[] = {
		{ 0, "0.000" },   { 1, "0.001" },      { 999, "0.999" }, { 1000, "1.000" }, { INT64_C(1800000000123), "1800000000.123" },
		{ -1, "-0.001" }, { -1500, "-1.500" },
	};
	char line[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scoped_text struct text out = { 0 };

		exposition_seconds(&out, "t", NULL, cases[i].ms);
		snprintf(line, sizeof(line), "trackbridge_t %s\n", cases[i].seconds);
		assert_string_equal(out.data, line);
	}
}

static void a_histogram_adds_its_buckets_up(void **state)
{
	const struct exposition_label label[] = { { "endpoint", "bankfr" }, { 0 } };
	scoped_text struct text out = { 0 };
	struct histogram histogram = { 0 };

	(void)state;
	histogram_count(&histogram, 3);
	histogram_count(&histogram, 300);
	histogram_count(&histogram, 310);
	histogram_count(&histogram, 61000);
	exposition_histogram(&out, "d", label, &histogram);
	assert_string_equal(out.data, "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"0.005\"} 1\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"0.01\"} 1\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"0.025\"} 1\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"0.05\"} 1\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"0.1\"} 1\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"0.25\"} 1\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"0.5\"} 3\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"1\"} 3\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"2.5\"} 3\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"5\"} 3\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"10\"} 3\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"30\"} 3\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"60\"} 3\n"
				      "trackbridge_d_bucket{endpoint=\"bankfr\",le=\"+Inf\"} 4\n"
				      "trackbridge_d_sum{endpoint=\"bankfr\"} 61.613\n"
				      "trackbridge_d_count{endpoint=\"bankfr\"} 4\n");
}

static void a_histogram_without_labels_has_only_bounds(void **state)
{
	const struct histogram histogram = { 0 };
	scoped_text struct text out = { 0 };

	(void)state;
	exposition_histogram(&out, "d", NULL, &histogram);
	assert_non_null(strstr(out.data, "trackbridge_d_bucket{le=\"+Inf\"} 0\ntrackbridge_d_sum 0.000\ntrackbridge_d_count 0\n"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_family_has_its_help_and_then_its_type),
		cmocka_unit_test(a_sample_without_labels_has_no_braces),
		cmocka_unit_test(label_values_are_escaped_and_nothing_else_is),
		cmocka_unit_test(milliseconds_are_written_as_seconds),
		cmocka_unit_test(a_histogram_adds_its_buckets_up),
		cmocka_unit_test(a_histogram_without_labels_has_only_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
