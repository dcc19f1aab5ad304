#include "intake/columns.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CELLS = 256 };

/* A record from cells with a bar between them. */
static struct csv_record record_of(struct span *cells, const char *text)
{
	struct csv_record record = { .cells = cells };

	for (;; text++) {
		size_t length = strcspn(text, "|");

		cells[record.n_cells++] = (struct span){ text, length };
		text += length;
		if (!*text)
			return record;
	}
}

static struct columns *columns_of(const char *header)
{
	static struct span cells[MOST_CELLS];
	static struct csv_record record;
	struct columns *columns = NULL;
	struct error err;

	if (header)
		record = record_of(cells, header);
	assert_true(columns_open(header ? &record : NULL, &columns, &err));
	return columns;
}

static void assert_found(const char *header, const char *name, int number, size_t wanted)
{
	struct columns *columns = columns_of(header);
	size_t index = 99;
	struct error err;

	assert_true(columns_find(columns, name, number, &index, &err));
	assert_int_equal(index, wanted);
	columns_close(columns);
}

static void assert_not_found(const char *header, const char *name, int number, const char *wanted)
{
	struct columns *columns = columns_of(header);
	size_t index = 99;
	struct error err;

	assert_false(columns_find(columns, name, number, &index, &err));
	assert_int_equal(err.code, ERROR_DATA);
	assert_string_equal(err.text, wanted);
	assert_int_equal(index, 99);
	columns_close(columns);
}

static void a_column_is_found_by_its_exact_name_or_its_number(void **state)
{
	(void)state;
	assert_found("A| CARD REF\t|C", "CARD REF", 0, 1);
	assert_found("A|B|C|B", "C", 0, 2);
	assert_found("A|B", NULL, 2, 1);
	assert_found(NULL, NULL, 7, 6);
	assert_not_found("A|B", "b", 0, "column 'b' is not in the header (found: A; B)");
	assert_not_found("A|BC", "B", 0, "column 'B' is not in the header (found: A; BC)");
	assert_not_found("A|B", NULL, 3, "column 3 is beyond the header, which has 2 columns");
	assert_not_found(NULL, "A", 0, "column 'A' is a name, and the source has no header");
}

static void a_name_that_stands_twice_is_an_error(void **state)
{
	(void)state;
	assert_not_found("A|B| A", "A", 0, "column 'A' stands twice in the header");
}

static void the_names_of_a_header_are_shown_escaped_and_bounded(void **state)
{
	char header[4096] = "\x1b[31m";
	struct columns *columns;
	struct error err;
	size_t index;

	(void)state;
	for (int i = 0; i < 100; i++)
		strncat(header, "|a name of twenty one", sizeof(header) - strlen(header) - 1);
	columns = columns_of(header);
	assert_false(columns_find(columns, "X", 0, &index, &err));
	assert_non_null(strstr(err.text, "(found: \\x1B[31m; a name of twenty one; "));
	assert_non_null(strstr(err.text, "; …)"));
	assert_true(strlen(err.text) < 600);
	assert_string_equal(columns_name(columns, 0), "\\x1B[31m");
	assert_string_equal(columns_name(columns, 101), "102");
	columns_close(columns);
	columns_close(NULL);
}

static void a_spoiled_header_is_an_error(void **state)
{
	struct csv_record header = { .spoiled = "has a NUL character" };
	struct columns *columns = NULL;
	struct error err;

	(void)state;
	assert_false(columns_open(&header, &columns, &err));
	assert_string_equal(err.text, "the header has a NUL character");
	assert_null(columns);
}

static void assert_fit(struct columns *columns, const char *text, const char *wanted)
{
	struct span cells[MOST_CELLS];
	struct csv_record record = record_of(cells, text);
	struct text reason = { 0 };

	assert_int_equal(columns_fit(columns, &record, &reason), wanted == NULL);
	assert_string_equal(reason.data ? reason.data : "", wanted ? wanted : "");
	text_free(&reason);
}

static void a_record_has_as_many_cells_as_the_header(void **state)
{
	struct columns *columns = columns_of("A|B|C");

	(void)state;
	assert_fit(columns, "1|2|3", NULL);
	assert_fit(columns, "||", NULL);
	assert_fit(columns, "1|2|3|| \t", NULL);
	assert_fit(columns, "1|2", "has 2 cells, the header has 3");
	assert_fit(columns, "1|2|3||5", "has 5 cells, the header has 3");
	columns_close(columns);
}

static void without_a_header_a_record_has_the_cells_that_are_used(void **state)
{
	struct columns *columns = columns_of(NULL);
	struct error err;
	size_t index;

	(void)state;
	assert_true(columns_find(columns, NULL, 3, &index, &err));
	assert_true(columns_find(columns, NULL, 1, &index, &err));
	assert_fit(columns, "1|2|3", NULL);
	assert_fit(columns, "1|2|3|4|5", NULL);
	assert_fit(columns, "1|2", "has 2 cells, column 3 is needed");
	assert_string_equal(columns_name(columns, 2), "3");
	columns_close(columns);
}

static void what_a_rejects_file_adds_is_no_second_column_of_a_name(void **state)
{
	struct columns *columns = columns_of("A|line|line|column|reason|line|column|reason");
	struct error err;
	size_t index;

	(void)state;
	assert_true(columns_find(columns, "line", 0, &index, &err));
	assert_int_equal(index, 1);
	assert_fit(columns, "1|2|17|SITE|is empty|3|A|is bad", NULL);
	assert_fit(columns, "1|2|17|SITE|is empty|3|A|is bad|x", "has 9 cells, the header has 8");
	columns_close(columns);
}

static void a_row_of_a_rejects_file_that_had_too_few_cells_still_has(void **state)
{
	struct columns *columns = columns_of("A|B|C|D|line|column|reason");

	(void)state;
	assert_fit(columns, "1|2|3|4|17|D|is empty", NULL);
	assert_fit(columns, "1|2|3|17||has 3 cells, the header has 4", "has 6 cells, the header has 7");
	/* As many cells as the header had before. */
	assert_fit(columns, "1|17||has 1 cell, the header has 4", "has 4 cells, the header has 7");
	columns_close(columns);
}

static void columns_of_those_names_are_used_where_a_field_names_them(void **state)
{
	struct columns *columns = columns_of("A|line|column|reason");
	struct error err;
	size_t index;

	(void)state;
	assert_true(columns_find(columns, "reason", 0, &index, &err));
	assert_int_equal(index, 3);
	columns_close(columns);
	assert_found("line|column|reason", "column", 0, 1);
	assert_found("A|line|column|Reason", "line", 0, 1);
	assert_found("A|line|columns|reason", "line", 0, 1);
	assert_found("A|lines|column|reason", "column", 0, 2);
}

static void the_columns_that_a_rejects_file_adds_are_counted(void **state)
{
	static const struct {
		const char *header;
		size_t added;
	} cases[] = {
		{ "A|line|column|reason", 3 },   { "A|line|column|reason| line|column |reason", 6 },
		{ "line|column|reason", 0 },     { "A|line|column", 0 },
		{ "A|line|column|reason|B", 0 }, { "A|line|column|line|column|reason", 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span cells[MOST_CELLS];
		struct csv_record header = record_of(cells, cases[i].header);

		assert_int_equal(columns_added(&header), cases[i].added);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_column_is_found_by_its_exact_name_or_its_number),
		cmocka_unit_test(a_name_that_stands_twice_is_an_error),
		cmocka_unit_test(the_names_of_a_header_are_shown_escaped_and_bounded),
		cmocka_unit_test(a_spoiled_header_is_an_error),
		cmocka_unit_test(a_record_has_as_many_cells_as_the_header),
		cmocka_unit_test(without_a_header_a_record_has_the_cells_that_are_used),
		cmocka_unit_test(what_a_rejects_file_adds_is_no_second_column_of_a_name),
		cmocka_unit_test(a_row_of_a_rejects_file_that_had_too_few_cells_still_has),
		cmocka_unit_test(the_columns_that_a_rejects_file_adds_are_counted),
		cmocka_unit_test(columns_of_those_names_are_used_where_a_field_names_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
