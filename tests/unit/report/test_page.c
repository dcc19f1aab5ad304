#include "report/page.h"

#include "report/page_days.h"
#include "report/page_list.h"

#include "stand.h"

#include <stdlib.h>

static const int64_t DAY_MS = 86400000;

static struct queue_reader *open_reader(void)
{
	struct queue_reader *reader = NULL;
	struct error err;

	if (!queue_reader_open(below("queue.db"), &reader, &err))
		fail_msg("%s", err.text);
	return reader;
}

/* The page of the stand's database; the caller frees it. */
static char *page_of(int64_t since_ms, bool cards)
{
	struct page_asked asked = { .state_dir = "/state <dir>", .now_ms = stand.wall_ms, .since_ms = since_ms, .cards = cards };
	struct queue_reader *reader = open_reader();
	struct text page = { 0 };
	struct error err;

	if (!page_append(&page, reader, &asked, &err))
		fail_msg("%s", err.text);
	queue_reader_close(reader);
	return page.data;
}

static void read_days(int64_t since_ms, struct page_days *ret_days)
{
	struct queue_reader *reader = open_reader();
	struct error err;

	assert_true(page_days_read(reader, since_ms, stand.wall_ms, ret_days, &err));
	queue_reader_close(reader);
}

static void bars_stand_for_one_day_as_long_as_there_is_room(void **state)
{
	static const struct {
		int64_t first, last, per_bar;
		size_t n;
	} cases[] = {
		{ 100, 100, 1, 1 },
		{ 100, 129, 1, 30 },
		{ 100, 99, 1, 1 },
		{ 1, PAGE_MOST_BARS, 1, PAGE_MOST_BARS },
		{ 0, PAGE_MOST_BARS, 7, 9 },
		{ 1, 7 * PAGE_MOST_BARS, 7, PAGE_MOST_BARS },
		{ 0, 7 * PAGE_MOST_BARS, 14, 32 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t per_bar;
		size_t n;

		page_days_layout(cases[i].first, cases[i].last, &per_bar, &n);
		assert_int_equal(per_bar, cases[i].per_bar);
		assert_int_equal(n, cases[i].n);
	}
}

static void an_empty_database_makes_a_whole_page(void **state)
{
	scoped_free char *page = page_of(stand.wall_ms - 30 * DAY_MS, false);

	(void)state;
	assert_memory_equal(page, PAGE_BEGIN, strlen(PAGE_BEGIN));
	assert_non_null(strstr(page, "No file has come yet."));
	assert_non_null(strstr(page, "/state &lt;dir&gt;"));
	assert_non_null(strstr(page, "The daemon is not running."));
	assert_string_equal(page + strlen(page) - strlen("</html>\n"), "</html>\n");
	assert_null(strstr(page, "http:"));
	assert_null(strstr(page, "https:"));
	assert_null(strstr(page, "<script"));
}

/* Three manifests: 40 days ago, yesterday and today. */
static void make_history(void)
{
	int64_t wall_ms = stand.wall_ms;

	stand.wall_ms = wall_ms - 40 * DAY_MS;
	add_queued(record(LYON, "old.csv", "x", 1), 2, "C-1");
	must_commit();
	stand.wall_ms = wall_ms - DAY_MS;
	add_queued(record(NANTES, "yesterday.csv", "y", 1), 2, "C-2");
	must_commit();
	stand.wall_ms = wall_ms;
	record(LYON, "today.csv", "z", 1);
	add_queued(3, 2, "C-3");
	add_rejected(3, 3, 0, 1, "ZIP", "bad");
	must_commit();
}

static void sums_are_kept_by_source_and_day_and_what_came_before_is_in_all(void **state)
{
	struct page_days days;

	(void)state;
	make_history();
	read_days((stand.wall_ms / DAY_MS - 29) * DAY_MS, &days);
	assert_int_equal(days.n_bars, 30);
	assert_int_equal(days.n_sources, 2);
	assert_string_equal(days.sources[0].name, "lyon");
	assert_int_equal(page_sums_manifests(&days.all), 3);
	assert_int_equal(page_sums_manifests(&days.period), 2);
	assert_int_equal(page_sums_rows(&days.all), 4);
	assert_int_equal(page_sums_rows(&days.period), 3);
	assert_int_equal(page_sums_rows(&days.sources[0].bars[29]), 2);
	assert_int_equal(page_sums_open(&days.sources[0].bars[29]), 1);
	assert_int_equal(page_sums_trouble(&days.sources[0].bars[29]), 1);
	assert_int_equal(page_sums_rows(&days.sources[1].bars[28]), 1);
	assert_int_equal(page_sums_rows(&days.sources[1].period), 1);
	page_days_free(&days);
}

static void a_period_longer_than_the_history_begins_with_the_first_file(void **state)
{
	struct page_days days;

	(void)state;
	make_history();
	read_days(1, &days);
	assert_int_equal(days.first_day, (stand.wall_ms - 40 * DAY_MS) / DAY_MS);
	assert_int_equal(days.n_bars, 41);
	assert_int_equal(page_sums_rows(&days.sources[0].bars[0]), 1);
	page_days_free(&days);
}

static void a_file_of_the_future_is_counted(void **state)
{
	struct page_days days;
	int64_t wall_ms = stand.wall_ms;

	(void)state;
	stand.wall_ms = wall_ms + 5000 * DAY_MS;
	add_queued(record(LYON, "a.csv", "x", 1), 2, "C-1");
	must_commit();
	stand.wall_ms = wall_ms;
	read_days(wall_ms - 30 * DAY_MS, &days);
	assert_true(days.n_bars <= PAGE_MOST_BARS);
	assert_int_equal(page_sums_rows(&days.period), 1);
	page_days_free(&days);
}

static void a_period_of_the_future_is_empty(void **state)
{
	struct page_days days;

	(void)state;
	make_history();
	read_days(stand.wall_ms + 10 * DAY_MS, &days);
	assert_int_equal(days.n_bars, 1);
	assert_int_equal(page_sums_rows(&days.period), 0);
	assert_int_equal(page_sums_rows(&days.all), 4);
	page_days_free(&days);
}

static void names_are_escaped_wherever_they_stand(void **state)
{
	scoped_free char *page = NULL;

	(void)state;
	add_queued(record(LYON, "<script>\"'&\x1b\xff.csv", "x", 1), 2, "C-1");
	release(1);
	page = page_of(1, false);
	assert_non_null(strstr(page, "&lt;script&gt;&quot;&#39;&amp;\\x1B\\xFF.csv"));
	assert_null(strstr(page, "<script"));
	assert_null(strchr(page, '\x1b'));
	assert_null(strchr(page, '\xff'));
}

static void assert_hidden(const char *text, const char *card_id, const char *expected)
{
	scoped_text struct text out = { 0 };

	text_append_string(&out, "");
	page_list_hide(&out, text, card_id);
	assert_string_equal(out.data, expected);
}

static void card_ids_are_hidden_wherever_they_are_known(void **state)
{
	(void)state;
	assert_hidden("card C-1 is unknown: C-1", "C-1", "card (card) is unknown: (card)");
	assert_hidden("--card C-000183 --state held", NULL, "--card (card)");
	assert_hidden("--accepted --card 'a --b' --state in_doubt", NULL, "--accepted --card (card)");
	assert_hidden("--manifest 3", NULL, "--manifest 3");
	assert_hidden("column 'SITE' is not there", NULL, "column 'SITE' is not there");
	assert_hidden("2 invalid rows (invalid_rows: reject_file), the first on line 3, column A: 'C'1' is no date", NULL,
		      "2 invalid rows (invalid_rows: reject_file), the first on line 3, column A: (value) is no date");
	assert_hidden("as it was", "", "as it was");
	assert_hidden("", "C-1", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bars_stand_for_one_day_as_long_as_there_is_room),
		cmocka_unit_test(card_ids_are_hidden_wherever_they_are_known),
		cmocka_unit_test_setup_teardown(an_empty_database_makes_a_whole_page, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sums_are_kept_by_source_and_day_and_what_came_before_is_in_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_period_longer_than_the_history_begins_with_the_first_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_of_the_future_is_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_period_of_the_future_is_empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_are_escaped_wherever_they_stand, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
