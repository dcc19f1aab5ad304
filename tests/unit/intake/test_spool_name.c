#include "intake/spool.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static void a_taken_name_is_the_name_behind_a_prefix(void **state)
{
	char *taken = spool_taken_name("lyon 01.csv");

	(void)state;
	assert_string_equal(taken, ".trackbridge-lyon 01.csv");
	assert_string_equal(spool_original_name(taken), "lyon 01.csv");
	free(taken);
}

/* count times piece, then end. */
static char *repeated(const char *piece, int count, const char *end)
{
	struct text name = { 0 };

	for (int i = 0; i < count; i++)
		text_append_string(&name, piece);
	text_append_string(&name, end);
	return name.data;
}

static void a_long_name_is_shortened_between_stem_and_extension(void **state)
{
	static const struct {
		const char *piece;
		int count;
		const char *end;
		size_t length;
		const char *taken_end;
	} cases[] = {
		{ "a", 238, ".csv", 13 + 242, "aaaa.csv" }, /* just fits */
		{ "a", 239, ".csv", 13 + 204, "aaaa.csv" },
		{ "a", 251, ".csv", 13 + 204, "aaaa.csv" },
		{ "a", 255, "", 13 + 200, "aaaa" },
		{ "a", 200, ".bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 13 + 200, "aaaa" }, /* no extension: 50 letters */
		{ "a", 210, ".bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 13 + 242, "aa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" },
		{ "\xc3\xa9", 120, ".csv", 13 + 204, "\xc3\xa9.csv" },
		{ "\xe2\x82\xac", 80, ".csv", 13 + 202, "\xe2\x82\xac.csv" },         /* 200 is inside the 67th */
		{ "\xf0\x9f\x93\xa6", 62, ".csv", 13 + 204, "\xf0\x9f\x93\xa6.csv" }, /* 200 is between two */
		{ "\x80", 250, ".csv", 13 + 204, "\x80\x80\x80\x80.csv" },            /* not UTF-8 at all */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *name = repeated(cases[i].piece, cases[i].count, cases[i].end), *taken = spool_taken_name(name);
		size_t end = strlen(cases[i].taken_end);

		assert_int_equal(strlen(taken), cases[i].length);
		assert_true(strlen(taken) <= 255);
		assert_memory_equal(taken, ".trackbridge-", 13);
		assert_memory_equal(taken + strlen(taken) - end, cases[i].taken_end, end);
		if (text_utf8_valid(name, strlen(name)))
			assert_true(text_utf8_valid(taken, strlen(taken)));
		free(name);
		free(taken);
	}
}

static void hidden_and_temporary_names_are_ignored(void **state)
{
	static const char *const ignored[] = { ".csv", ".x.csv", "x.tmp", "x.csv.part", "x.partial", "x.filepart", ".trackbridge-x.csv" };
	static const char *const taken[] = { "x.csv", "tmp", "x.tmp.csv", "x.parts", "part", "x.TMP" };

	(void)state;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		assert_true(spool_is_ignored(ignored[i]));
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		assert_false(spool_is_ignored(taken[i]));
}

static void only_a_taken_name_has_an_original(void **state)
{
	(void)state;
	assert_null(spool_original_name("x.csv"));
	assert_null(spool_original_name(".trackbridge"));
	assert_null(spool_original_name(".trackbridge-"));
	assert_string_equal(spool_original_name(".trackbridge-x"), "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_taken_name_is_the_name_behind_a_prefix),
		cmocka_unit_test(a_long_name_is_shortened_between_stem_and_extension),
		cmocka_unit_test(hidden_and_temporary_names_are_ignored),
		cmocka_unit_test(only_a_taken_name_has_an_original),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
