#include "intake/kind.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#define HEAD(bytes) bytes, sizeof(bytes) - 1

struct kind_case {
	const char *head;
	size_t length;
	size_t unit;
	bool big_endian;
	const char *words; /* NULL: no hint */
};

static void check(const struct kind_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *hint = kind_hint(cases[i].head, cases[i].length, cases[i].unit, cases[i].big_endian);

		if (!cases[i].words != !hint)
			fail_msg("case %zu: %s", i, hint ? hint : "no hint");
		if (hint)
			assert_non_null(strstr(hint, cases[i].words));
	}
}

static void files_that_are_no_csv_are_known_by_their_first_bytes(void **state)
{
	static const struct kind_case cases[] = {
		{ HEAD("PK\x03\x04\x14\x00"), 1, false, "zip" },
		{ HEAD("PK\x03\x04"), 2, true, "zip" },
		{ HEAD("\xD0\xCF\x11\xE0\xA1\xB1"), 1, false, ".xls " },
		{ HEAD("\x1F\x8B\x08"), 1, false, "gzip" },
		{ HEAD("%PDF-1.7\n"), 1, false, "PDF" },
		{ HEAD("{\"rows\": []}"), 1, false, "JSON" },
		{ HEAD("[{"), 1, false, "JSON" },
		{ HEAD("\xEF\xBB\xBF \r\n\t{"), 1, false, "JSON" },
		{ HEAD("<!DOCTYPE html>"), 1, false, "HTML" },
		{ HEAD("\xEF\xBB\xBF<?xml"), 1, false, "XML" },
	};

	(void)state;
	check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void a_mark_of_another_encoding_is_told(void **state)
{
	static const struct kind_case cases[] = {
		{ HEAD("\xFF\xFE"
		       "C\0"),
		  1, false, "UTF-16LE" },
		{ HEAD("\xFE\xFF\0C"), 1, false, "UTF-16BE" },
		{ HEAD("\xFF\xFE\0\0C\0\0\0"), 1, false, "UTF-32LE" },
		{ HEAD("\0\0\xFE\xFF\0\0\0C"), 1, false, "UTF-32BE" },
		{ HEAD("\xFE\xFF\0C"), 2, false, "UTF-16BE" },
		{ HEAD("\xFF\xFE"
		       "C\0"),
		  4, false, "UTF-16LE" },
		{ HEAD("\xFF\xFE\0\0"), 4, true, "UTF-32LE" },
		/* Their own. */
		{ HEAD("\xFF\xFE"
		       "C\0"),
		  2, false, NULL },
		{ HEAD("\xFE\xFF\0C"), 2, true, NULL },
		{ HEAD("\xFF\xFE\0\0"), 2, false, NULL },
		{ HEAD("\xFF\xFE\0\0"), 4, false, NULL },
		{ HEAD("\0\0\xFE\xFF"), 4, true, NULL },
	};

	(void)state;
	check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void what_may_be_csv_has_no_hint(void **state)
{
	static const struct kind_case cases[] = {
		{ HEAD(""), 1, false, NULL },
		{ HEAD("\xEF\xBB\xBF"), 1, false, NULL },
		{ HEAD(" \n"), 1, false, NULL },
		{ HEAD("\0{"), 1, false, NULL },
		{ HEAD("CARD_REF;STATUS"), 1, false, NULL },
		{ HEAD("\"<b>\";x"), 1, false, NULL },
		{ HEAD("PK;\x03"), 1, false, NULL },
		{ HEAD("PK\x03"), 1, false, NULL },
		{ HEAD("\x1F"), 1, false, NULL },
		{ HEAD("\xFF"), 1, false, NULL },
		{ HEAD("{\0"), 2, false, NULL },
	};

	(void)state;
	check(cases, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_that_are_no_csv_are_known_by_their_first_bytes),
		cmocka_unit_test(a_mark_of_another_encoding_is_told),
		cmocka_unit_test(what_may_be_csv_has_no_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
