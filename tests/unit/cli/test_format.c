#include "cli/format.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUMBER(n)                                                                                                                          \
	{                                                                                                                                  \
		.type = QUEUE_NUMBER, .number = (n)                                                                                        \
	}
#define TEXT(t)                                                                                                                            \
	{                                                                                                                                  \
		.type = QUEUE_TEXT, .text = (t)                                                                                            \
	}
#define NOTHING                                                                                                                            \
	{                                                                                                                                  \
		.type = QUEUE_NULL                                                                                                         \
	}

static const char *const columns[] = { "row_id", "card_id", "detail" };
enum { N_COLUMNS = 3 };

static char *formatted(enum format_kind kind, const char *const *shown, const struct queue_value (*rows)[N_COLUMNS], size_t n_rows)
{
	char *bytes = NULL;
	size_t length;
	FILE *out = open_memstream(&bytes, &length);
	struct format *format = format_new(out, kind, columns, N_COLUMNS, shown);
	struct error err;

	for (size_t i = 0; i < n_rows; i++)
		format_row(format, rows[i]);
	assert_true(format_end(format, &err));
	fclose(out);
	return bytes;
}

static void expect(enum format_kind kind, const char *const *shown, const struct queue_value (*rows)[N_COLUMNS], size_t n_rows,
		   const char *expected)
{
	char *bytes = formatted(kind, shown, rows, n_rows);

	assert_string_equal(bytes, expected);
	free(bytes);
}

static void format_names_are_read(void **state)
{
	enum format_kind kind = FORMAT_TABLE;

	(void)state;
	assert_true(format_parse("json", &kind));
	assert_int_equal(kind, FORMAT_JSON);
	assert_true(format_parse("csv", &kind));
	assert_int_equal(kind, FORMAT_CSV);
	assert_true(format_parse("table", &kind));
	assert_int_equal(kind, FORMAT_TABLE);
	assert_false(format_parse("xml", &kind));
	assert_int_equal(kind, FORMAT_TABLE);
}

static void a_table_is_as_wide_as_its_widest_cell(void **state)
{
	const struct queue_value rows[][N_COLUMNS] = {
		{ NUMBER(1), TEXT("card-one"), TEXT("x") },
		{ NUMBER(-12345678), TEXT("c"), NOTHING },
	};

	(void)state;
	expect(FORMAT_TABLE, NULL, rows, 2, "row_id     card_id   detail\n1          card-one  x\n-12345678  c\n");
}

static void a_table_has_the_columns_that_are_shown_in_their_order(void **state)
{
	static const char *const shown[] = { "detail", "row_id", NULL };
	const struct queue_value rows[][N_COLUMNS] = { { NUMBER(1), TEXT("c"), TEXT("long detail") } };

	(void)state;
	expect(FORMAT_TABLE, shown, rows, 1, "detail       row_id\nlong detail  1\n");
	expect(FORMAT_CSV, shown, rows, 1, "row_id,card_id,detail\r\n1,c,long detail\r\n");
}

static void widths_count_characters_and_not_bytes(void **state)
{
	const struct queue_value rows[][N_COLUMNS] = { { TEXT("Orléans"), TEXT("日本"), TEXT("z") },
						       { TEXT("Lyon"), TEXT("b"), TEXT("z") } };

	(void)state;
	expect(FORMAT_TABLE, NULL, rows, 2, "row_id   card_id  detail\nOrléans  日本       z\nLyon     b        z\n");
}

static void control_and_foreign_bytes_are_shown_escaped_in_tables(void **state)
{
	const struct queue_value rows[][N_COLUMNS] = { { NUMBER(1), TEXT("\033[31m"), TEXT("a\nb\xff") } };

	(void)state;
	expect(FORMAT_TABLE, NULL, rows, 1, "row_id  card_id   detail\n1       \\x1B[31m  a\\x0Ab\\xFF\n");
}

static void empty_results_have_their_frame(void **state)
{
	(void)state;
	expect(FORMAT_TABLE, NULL, NULL, 0, "row_id  card_id  detail\n");
	expect(FORMAT_JSON, NULL, NULL, 0, "[]\n");
	expect(FORMAT_CSV, NULL, NULL, 0, "row_id,card_id,detail\r\n");
}

static void json_keeps_numbers_null_and_escapes_strings(void **state)
{
	const struct queue_value rows[][N_COLUMNS] = {
		{ NUMBER(INT64_MAX), NOTHING, TEXT("say \"hi\"\\ \t\x01\x7f é") },
		{ NUMBER(2), TEXT("1"), TEXT("bad\xff\xfe") },
	};

	(void)state;
	expect(FORMAT_JSON, NULL, rows, 2,
	       "[\n{\"row_id\":9223372036854775807,\"card_id\":null,\"detail\":\"say \\\"hi\\\"\\\\ \\u0009\\u0001\\u007f é\"},\n"
	       "{\"row_id\":2,\"card_id\":\"1\",\"detail\":\"bad\\\\xFF\\\\xFE\"}\n]\n");
}

static void csv_quotes_where_it_must(void **state)
{
	const struct queue_value rows[][N_COLUMNS] = { { NUMBER(1), TEXT("a,b"), TEXT("\"x\"\ny") }, { NUMBER(2), NOTHING, TEXT("") } };

	(void)state;
	expect(FORMAT_CSV, NULL, rows, 2, "row_id,card_id,detail\r\n1,\"a,b\",\"\"\"x\"\"\ny\"\r\n2,,\r\n");
}

/* The rows behind the kept ones come at once, in the widths of those; a wider cell pushes only its own line. */
static void a_long_table_streams_with_the_widths_of_its_first_rows(void **state)
{
	char *bytes = NULL;
	size_t length;
	FILE *out = open_memstream(&bytes, &length);
	struct format *format = format_new(out, FORMAT_TABLE, columns, N_COLUMNS, NULL);
	const struct queue_value first[] = { NUMBER(7), TEXT("c"), TEXT("d") };
	const struct queue_value wide[] = { NUMBER(7), TEXT("a-much-wider-card"), TEXT("d") };
	struct error err;

	(void)state;
	for (int i = 0; i < FORMAT_KEPT_ROWS - 1; i++)
		format_row(format, first);
	fflush(out);
	assert_int_equal(length, 0);
	format_row(format, first);
	fflush(out);
	assert_int_not_equal(length, 0);
	format_row(format, wide);
	format_row(format, first);
	assert_true(format_end(format, &err));
	fclose(out);
	assert_non_null(strstr(bytes, "\n7       a-much-wider-card  d\n7       c        d\n"));
	free(bytes);
}

static void an_output_that_takes_nothing_is_an_error(void **state)
{
	FILE *out = fopen("/dev/full", "w");
	const struct queue_value row[] = { NUMBER(7), TEXT("c"), TEXT("d") };
	struct format *format = format_new(out, FORMAT_JSON, columns, N_COLUMNS, NULL);
	struct error err = { 0 };

	(void)state;
	assert_non_null(out);
	format_row(format, row);
	assert_false(format_end(format, &err));
	assert_int_equal(err.code, ERROR_TRY_LATER);
	assert_non_null(strstr(err.text, "writing the output"));
	fclose(out);
}

/* What a terminal would get. */
static void on_terminal(char *ret_bytes, size_t size)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	const struct queue_value row[] = { NUMBER(7), TEXT("c"), TEXT("d") };
	struct format *format;
	struct error err;
	size_t n = 0;
	FILE *out;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	if (slave < 0)
		skip(); /* a system without /dev/pts */
	out = fdopen(slave, "w");
	format = format_new(out, FORMAT_TABLE, columns, N_COLUMNS, NULL);
	format_row(format, row);
	assert_true(format_end(format, &err));
	/* Two lines, which may come one by one. */
	for (int lines = 0; lines < 2;) {
		ssize_t got = read(master, ret_bytes + n, size - 1 - n);

		assert_true(got > 0);
		for (; got > 0; got--)
			lines += ret_bytes[n++] == '\n';
	}
	ret_bytes[n] = '\0';
	fclose(out);
	close(master);
}

static void the_header_is_bold_on_a_terminal_unless_no_color_is_set(void **state)
{
	char bytes[256];

	(void)state;
	unsetenv("NO_COLOR");
	on_terminal(bytes, sizeof(bytes));
	assert_string_equal(bytes, "\033[1mrow_id  card_id  detail\033[0m\r\n7       c        d\r\n");
	setenv("NO_COLOR", "", 1);
	on_terminal(bytes, sizeof(bytes));
	assert_non_null(strstr(bytes, "\033[1m"));
	setenv("NO_COLOR", "1", 1);
	on_terminal(bytes, sizeof(bytes));
	assert_null(strstr(bytes, "\033"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(format_names_are_read),
		cmocka_unit_test(a_table_is_as_wide_as_its_widest_cell),
		cmocka_unit_test(a_table_has_the_columns_that_are_shown_in_their_order),
		cmocka_unit_test(widths_count_characters_and_not_bytes),
		cmocka_unit_test(control_and_foreign_bytes_are_shown_escaped_in_tables),
		cmocka_unit_test(empty_results_have_their_frame),
		cmocka_unit_test(json_keeps_numbers_null_and_escapes_strings),
		cmocka_unit_test(csv_quotes_where_it_must),
		cmocka_unit_test(a_long_table_streams_with_the_widths_of_its_first_rows),
		cmocka_unit_test(an_output_that_takes_nothing_is_an_error),
		cmocka_unit_test(the_header_is_bold_on_a_terminal_unless_no_color_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
