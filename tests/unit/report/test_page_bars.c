#include "report/page_bars.h"

#include "base/file.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void a_scale_ends_at_a_round_number_that_is_not_less(void **state)
{
	static const int64_t cases[][2] = {
		{ 0, 1 },    { 1, 1 },       { 2, 2 },       { 3, 3 },          { 7, 8 },
		{ 9, 10 },   { 10, 10 },     { 11, 20 },     { 21, 30 },        { 65, 80 },
		{ 81, 100 }, { 5000, 5000 }, { 5001, 6000 }, { 99999, 100000 }, { INT64_MAX, INT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(page_bars_top(cases[i][0]), cases[i][1]);
}

static void what_is_not_nothing_can_be_seen(void **state)
{
	(void)state;
	assert_int_equal(page_bars_height(0, 10), 0);
	assert_int_equal(page_bars_height(10, 10), PAGE_PLOT_HEIGHT);
	assert_int_equal(page_bars_height(5, 10), PAGE_PLOT_HEIGHT / 2);
	assert_true(page_bars_height(1, 10000000) > 0);
	assert_int_equal(page_bars_height(INT64_MAX, INT64_MAX), PAGE_PLOT_HEIGHT);
}

/* Two days; the second one had 3 accepted, 1 queued, 2 refused. */
static void fill(struct page_days *days, struct page_source *source, char *name)
{
	*days = (struct page_days){ .first_day = 20778, .days_per_bar = 1, .n_bars = 2, .sources = source, .n_sources = 1 };
	*source = (struct page_source){ .name = name };
	source->bars[1].manifests[MANIFEST_STATE_RELEASED] = 1;
	source->bars[1].rows[ROW_ACCEPTED] = 3;
	source->bars[1].rows[ROW_QUEUED] = 1;
	source->bars[1].rows[ROW_REFUSED] = 2;
	source->bars[1].rows[ROW_SKIPPED] = 4;
	source->period = source->bars[1];
}

static void a_bar_says_its_day_and_its_numbers(void **state)
{
	char name[] = "lyon";
	struct page_days days;
	struct page_source source;
	scoped_text struct text out = { 0 };

	(void)state;
	fill(&days, &source, name);
	page_bars(&out, &days, &source, 7);
	assert_non_null(strstr(out.data, "<title>2026-11-22: 3 accepted, 1 open, 2 with a problem</title>"));
	assert_null(strstr(out.data, "<title>2026-11-21"));
	assert_non_null(strstr(out.data, "aria-labelledby=\"bt7 bd7\""));
	assert_non_null(strstr(out.data, "<title id=\"bt7\">Rows of lyon"));
	assert_non_null(strstr(out.data, "<desc id=\"bd7\">3 accepted, 1 open, 2 with a problem in the period"));
}

static void the_parts_of_a_bar_stand_on_each_other(void **state)
{
	char name[] = "lyon";
	struct page_days days;
	struct page_source source;
	scoped_text struct text out = { 0 };

	(void)state;
	fill(&days, &source, name);
	page_bars(&out, &days, &source, 0);
	/* of 6: half, a sixth, a third */
	assert_non_null(strstr(out.data, "class=\"accepted\" x=\"57.000%\" width=\"36.000%\" y=\"85\" height=\"75\""));
	assert_non_null(strstr(out.data, "class=\"open\" x=\"57.000%\" width=\"36.000%\" y=\"60\" height=\"25\""));
	assert_non_null(strstr(out.data, "class=\"trouble\" x=\"57.000%\" width=\"36.000%\" y=\"10\" height=\"50\""));
}

static void the_table_has_the_days_with_files_and_their_sum(void **state)
{
	char name[] = "l<y>on";
	struct page_days days;
	struct page_source source;
	scoped_text struct text out = { 0 };

	(void)state;
	fill(&days, &source, name);
	page_bars_table(&out, &days, &source);
	assert_non_null(strstr(out.data, "<caption>l&lt;y&gt;on</caption>"));
	assert_non_null(strstr(out.data, "<th scope=\"row\">2026-11-22</th><td>1</td><td>10</td><td>3</td><td>1</td><td>2</td><td>4</td>"));
	assert_null(strstr(out.data, "2026-11-21"));
	assert_non_null(strstr(out.data, "<th scope=\"row\">Sum</th><td>1</td><td>10</td><td>3</td><td>1</td><td>2</td><td>4</td>"));
}

static void a_bar_of_several_days_names_the_first_and_the_last(void **state)
{
	char name[] = "lyon";
	struct page_days days;
	struct page_source source;
	scoped_text struct text out = { 0 };

	(void)state;
	fill(&days, &source, name);
	days.days_per_bar = 7;
	page_bars(&out, &days, &source, 0);
	assert_non_null(strstr(out.data, "<title>2026-11-28 to 2026-12-04: 3 accepted"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scale_ends_at_a_round_number_that_is_not_less),
		cmocka_unit_test(what_is_not_nothing_can_be_seen),
		cmocka_unit_test(a_bar_says_its_day_and_its_numbers),
		cmocka_unit_test(the_parts_of_a_bar_stand_on_each_other),
		cmocka_unit_test(the_table_has_the_days_with_files_and_their_sum),
		cmocka_unit_test(a_bar_of_several_days_names_the_first_and_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
