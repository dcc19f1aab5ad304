#include "report/name.h"

#include "base/text.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void a_sheet_is_named_after_stem_and_manifest(void **state)
{
	static const struct {
		const char *name, *expected;
	} cases[] = {
		{ "dispatch.csv", "dispatch.12.receipt.csv" }, { "dispatch", "dispatch.12.receipt.csv" },
		{ "a.b.csv", "a.b.12.receipt.csv" },           { "caf\xC3\xA9.csv", "caf\xC3\xA9.12.receipt.csv" },
		{ "caf\xE9.csv", "caf\\xE9.12.receipt.csv" },  { "a\nb.csv", "a\\x0Ab.12.receipt.csv" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *name = name_of_sheet(cases[i].name, 12, "receipt");

		assert_string_equal(name, cases[i].expected);
		free(name);
	}
}

static void a_copy_is_named_after_manifest_and_name(void **state)
{
	char *plain = name_of_archived("dispatch.csv", 12), *odd = name_of_archived("d\xFF.c\x01", 3);

	(void)state;
	assert_string_equal(plain, "12-dispatch.csv");
	assert_string_equal(odd, "3-d\\xFF.c\\x01");
	free(plain);
	free(odd);
}

/* n times what, then the end. */
static char *repeated(const char *what, int n, const char *end)
{
	struct text text = { 0 };

	for (int i = 0; i < n; i++)
		text_append_string(&text, what);
	text_append_string(&text, end);
	return text.data;
}

static void a_name_that_does_not_fit_keeps_200_bytes_of_its_stem(void **state)
{
	char *longest = repeated("a", 251, ".csv"), *sheet = name_of_sheet(longest, 7, "rejects"), *copy = name_of_archived(longest, 7);
	char *stem = repeated("a", 200, ""), *fitting = repeated("a", 238, ".csv"), *whole = name_of_sheet(fitting, 7, "rejects");

	(void)state;
	assert_memory_equal(sheet, stem, 200);
	assert_string_equal(sheet + 200, ".7.rejects.csv");
	assert_memory_equal(copy + 2, stem, 200);
	assert_string_equal(copy + 202, ".csv");
	assert_int_equal(strlen(whole), 238 + 14);
	free(longest);
	free(sheet);
	free(copy);
	free(stem);
	free(fitting);
	free(whole);
}

static void no_character_is_cut_through(void **state)
{
	char *name = repeated("\xE2\x82\xAC", 84, ".csv"), *sheet = name_of_sheet(name, 7, "receipt");

	(void)state;
	assert_int_equal(strlen(sheet), 198 + strlen(".7.receipt.csv"));
	assert_true(text_utf8_valid(sheet, strlen(sheet)));
	free(name);
	free(sheet);
}

static void a_dot_with_a_novel_behind_it_is_no_extension(void **state)
{
	char *name = repeated("b", 250, ""), *dotted, *copy;

	(void)state;
	name[10] = '.';
	dotted = name_of_archived(name, 123456);
	assert_int_equal(strlen(dotted), 7 + 200);
	copy = name_of_sheet(name, 1, "receipt");
	assert_string_equal(copy, "bbbbbbbbbb.1.receipt.csv");
	free(name);
	free(dotted);
	free(copy);
}

static void a_day_is_a_path(void **state)
{
	char *first = name_of_day(0), *last = name_of_day(INT64_C(1795391999999));

	(void)state;
	assert_string_equal(first, "1970/01/01");
	assert_string_equal(last, "2026/11/22");
	free(first);
	free(last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sheet_is_named_after_stem_and_manifest),
		cmocka_unit_test(a_copy_is_named_after_manifest_and_name),
		cmocka_unit_test(a_name_that_does_not_fit_keeps_200_bytes_of_its_stem),
		cmocka_unit_test(no_character_is_cut_through),
		cmocka_unit_test(a_dot_with_a_novel_behind_it_is_no_extension),
		cmocka_unit_test(a_day_is_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
