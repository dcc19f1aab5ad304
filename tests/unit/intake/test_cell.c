#include "intake/cell.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void assert_trimmed(const char *cell, const char *wanted)
{
	struct span trimmed = cell_trim((struct span){ cell, strlen(cell) });

	assert_int_equal(trimmed.length, strlen(wanted));
	assert_memory_equal(trimmed.data, wanted, trimmed.length);
}

static void blanks_and_tabs_are_taken_off_both_ends_alone(void **state)
{
	(void)state;
	assert_trimmed("abc", "abc");
	assert_trimmed(" \t a b\tc \t", "a b\tc");
	assert_trimmed(" \t ", "");
	assert_trimmed("", "");
	assert_trimmed("\xC2\xA0x\n", "\xC2\xA0x\n");
}

static void assert_quoted(const char *value, const char *wanted)
{
	struct text text = { 0 };

	cell_quote(&text, value);
	assert_string_equal(text.data, wanted);
	text_free(&text);
}

static void a_value_is_shown_escaped_between_quotes(void **state)
{
	(void)state;
	assert_quoted("Orléans", "'Orléans'");
	assert_quoted("a\nb\x1b", "'a\\x0Ab\\x1B'");
	assert_quoted("", "''");
}

static void a_long_value_is_cut_between_two_characters(void **state)
{
	char value[128], wanted[128];

	(void)state;
	memset(value, 'x', 60);
	value[60] = '\0';
	assert_quoted(value, "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'");
	memcpy(value + 59, "é and more", sizeof("é and more"));
	memset(wanted, 'x', 60);
	wanted[0] = '\'';
	memcpy(wanted + 60, "…'", sizeof("…'"));
	assert_quoted(value, wanted);
	memset(value, '\x80', 100);
	value[100] = '\0';
	assert_quoted(value, "'…'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blanks_and_tabs_are_taken_off_both_ends_alone),
		cmocka_unit_test(a_value_is_shown_escaped_between_quotes),
		cmocka_unit_test(a_long_value_is_cut_between_two_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
