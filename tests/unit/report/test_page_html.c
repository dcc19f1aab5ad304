#include "report/page_html.h"

#include "base/file.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_text(const char *string, const char *expected)
{
	scoped_text struct text out = { 0 };

	text_append_string(&out, "");
	page_text(&out, string);
	assert_string_equal(out.data, expected);
}

static void what_would_be_markup_is_text(void **state)
{
	(void)state;
	assert_text("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;");
	assert_text("a\" onload=\"x", "a&quot; onload=&quot;x");
	assert_text("it's", "it&#39;s");
	assert_text("&lt;", "&amp;lt;");
	assert_text("]]>", "]]&gt;");
}

static void bytes_that_are_no_text_are_shown_by_their_number(void **state)
{
	(void)state;
	assert_text("a\x1b[2J\n\x7f", "a\\x1B[2J\\x0A\\x7F");
	assert_text("\xff\xc3", "\\xFF\\xC3");
	assert_text("\xc2\x9b", "\\xC2\\x9B");
	/* no characters in XML, nor in HTML */
	assert_text("\xef\xbf\xbe\xef\xbf\xbf", "\\xEF\\xBF\\xBE\\xEF\\xBF\\xBF");
}

static void marks_of_direction_do_not_turn_the_page(void **state)
{
	(void)state;
	assert_text("a\u202evsc.b", "a\\xE2\\x80\\xAEvsc.b");
	assert_text("\u2066x\u2069", "\\xE2\\x81\\xA6x\\xE2\\x81\\xA9");
}

static void other_languages_stay_as_they_are(void **state)
{
	(void)state;
	assert_text("Orléans Łódź 東京 🚚", "Orléans Łódź 東京 🚚");
	assert_text("\u2013 \ufffd", "\u2013 \ufffd");
	assert_text("", "");
	assert_text(NULL, "");
}

static void numbers_have_a_comma_every_three_digits(void **state)
{
	static const struct {
		int64_t number;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 999, "999" },
		{ 1000, "1,000" },
		{ 1234567, "1,234,567" },
		{ -1000, "-1,000" },
		{ -100, "-100" },
		{ INT64_MAX, "9,223,372,036,854,775,807" },
		{ INT64_MIN, "-9,223,372,036,854,775,808" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scoped_text struct text out = { 0 };

		page_count(&out, cases[i].number);
		assert_string_equal(out.data, cases[i].text);
	}
}

static void days_and_times_are_for_people_and_for_programs(void **state)
{
	scoped_text struct text out = { 0 };

	(void)state;
	page_day(&out, 20779);
	text_append_string(&out, " ");
	page_short_day(&out, 20779);
	text_append_string(&out, " ");
	page_time(&out, "2026-11-22T10:05:59.999Z");
	text_append_string(&out, " ");
	page_time(&out, NULL);
	assert_string_equal(out.data, "2026-11-22 22 Nov <time datetime=\"2026-11-22T10:05:59.999Z\">2026-11-22 10:05</time> \u2013");
}

static void a_day_that_no_calendar_has_is_nothing(void **state)
{
	scoped_text struct text out = { 0 };

	(void)state;
	text_append_string(&out, "");
	page_day(&out, INT64_C(4000000));
	page_short_day(&out, INT64_C(-4000000));
	assert_string_equal(out.data, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_would_be_markup_is_text),
		cmocka_unit_test(bytes_that_are_no_text_are_shown_by_their_number),
		cmocka_unit_test(marks_of_direction_do_not_turn_the_page),
		cmocka_unit_test(other_languages_stay_as_they_are),
		cmocka_unit_test(numbers_have_a_comma_every_three_digits),
		cmocka_unit_test(days_and_times_are_for_people_and_for_programs),
		cmocka_unit_test(a_day_that_no_calendar_has_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
