#include "report/scan.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void delimiters_outside_quotes_are_counted(void **state)
{
	static const struct {
		const char *text;
		const char *delimiter;
		char quote;
		size_t delimiters, empty_at_end;
		bool something, inside;
	} cases[] = {
		{ "a;b;c\r\n", ";", '"', 2, 0, true, false }, { "a;\"b;\n\"\"c\"\r\n", ";", '"', 1, 0, true, false },
		{ "a;\"b;", ";", '"', 1, 0, true, true },     { "a;\"b;", ";", 0, 2, 1, true, false },
		{ "a;; ;\n", ";", '"', 3, 3, true, false },   { "a;;\"\"\n", ";", '"', 2, 0, true, false },
		{ ";;", ";", '"', 2, 2, true, false },        { "\t\n", "\t", '"', 1, 1, true, false },
		{ "\t \r\n", ";", '"', 0, 0, false, false },  { "", ";", '"', 0, 0, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scan scan = { .delimiter = cases[i].delimiter, .quote = cases[i].quote };

		for (const char *c = cases[i].text; *c; c++)
			scan_text(&scan, c, 1);
		assert_int_equal(scan.delimiters, cases[i].delimiters);
		assert_int_equal(scan.empty_at_end, cases[i].empty_at_end);
		assert_int_equal(scan.something, cases[i].something);
		assert_int_equal(scan.inside, cases[i].inside);
	}
}

static void a_delimiter_may_be_of_several_bytes(void **state)
{
	/* The first byte of the delimiter begins other characters too. */
	const char *line = "x\u00a6\"\u00a6\u00a7\"\u00a6 \u00a7 \u00a6";
	struct scan scan = { .delimiter = "\u00a6", .quote = '"' };
	struct text text = { 0 }, cell = { 0 };

	(void)state;
	text_append_string(&text, line);
	scan_text(&scan, text.data, text.length);
	assert_int_equal(scan.delimiters, 3);
	assert_int_equal(scan.empty_at_end, 1);
	assert_true(scan_cell(&scan, &text, 1, &cell));
	assert_string_equal(cell.data, "\u00a6\u00a7");
	assert_true(scan_cell(&scan, &text, 2, &cell));
	assert_string_equal(cell.data, "\u00a7");
	assert_true(scan_cell(&scan, &text, 3, &cell));
	assert_string_equal(cell.data, "");
	text_free(&text);
	text_free(&cell);
}

static void a_cell_is_picked_without_quotes_and_blanks(void **state)
{
	static const struct {
		const char *line;
		size_t cell;
		const char *expected; /* NULL: there is none */
	} cases[] = {
		{ "TRL;;0012\r\n", 0, "TRL" },
		{ "TRL;;0012\r\n", 1, "" },
		{ "TRL;;0012\r\n", 2, "0012" },
		{ "TRL;;0012\r\n", 3, NULL },
		{ " \"T;R\" ; \"7\" ;x", 0, "T;R" },
		{ " \"T;R\" ; \"7\" ;x", 1, "7" },
		{ " \"T;R\" ; \"7\" ;x", 2, "x" },
		{ "a b ;", 0, "a b" },
		{ "a;", 1, "" },
		{ "", 0, NULL },
	};
	const struct scan scan = { .delimiter = ";", .quote = '"' };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct text line = { .data = (char *)cases[i].line, .length = strlen(cases[i].line) };
		struct text cell = { 0 };

		assert_int_equal(scan_cell(&scan, &line, cases[i].cell, &cell), cases[i].expected != NULL);
		if (cases[i].expected)
			assert_string_equal(cell.data, cases[i].expected);
		text_free(&cell);
	}
}

static void a_value_becomes_one_cell(void **state)
{
	static const struct {
		const char *value;
		const char *delimiter;
		char quote;
		const char *expected;
	} cases[] = {
		{ "plain", ";", '"', "plain" },
		{ "a;b", ";", '"', "\"a;b\"" },
		{ "a;b", ",", '"', "a;b" },
		{ "say \"no\"", ";", '"', "\"say \"\"no\"\"\"" },
		{ "say \"it's\"", ";", '\'', "'say \"it''s\"'" },
		{ "a\rb\nc", ";", '"', "\"a\rb\nc\"" },
		{ "", ";", '"', "" },
		{ "a;\"b\"\r\nc", ";", 0, "a \"b\"  c" },
		{ "a b\n", " ", 0, "a_b_" },
		{ "a\u00a6b", "\u00a6", '"', "\"a\u00a6b\"" },
		{ "a\u00a7b", "\u00a6", '"', "a\u00a7b" },
		{ "a\u00a6b", "\u00a6", 0, "a b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text text = { 0 };

		scan_quote(&text, cases[i].value, cases[i].delimiter, cases[i].quote);
		assert_string_equal(text.data ? text.data : "", cases[i].expected);
		text_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delimiters_outside_quotes_are_counted),
		cmocka_unit_test(a_delimiter_may_be_of_several_bytes),
		cmocka_unit_test(a_cell_is_picked_without_quotes_and_blanks),
		cmocka_unit_test(a_value_becomes_one_cell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
