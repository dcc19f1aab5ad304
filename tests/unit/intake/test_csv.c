#include "intake/csv.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1024 * 1024 };

#define LIMITS .max_cell_bytes = 64 * 1024, .max_columns = 4096

static const struct config_source semicolons = { .format = { .encoding = "utf-8", .delimiter = ";", .quote = '"' }, LIMITS };
static const struct config_source tabs = { .format = { .encoding = "utf-8", .delimiter = "\t", .quote = '"' }, LIMITS };
static const struct config_source unquoted = { .format = { .encoding = "utf-8", .delimiter = ";", .quote = 0 }, LIMITS };
static const struct config_source utf16 = { .format = { .encoding = "utf-16", .delimiter = ";", .quote = '"' }, LIMITS };
static const struct config_source latin1 = { .format = { .encoding = "iso-8859-1", .delimiter = ";", .quote = '"' }, LIMITS };

static int file_of(const char *bytes, size_t length)
{
	int fd = memfd_create("csv", MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes, length), length);
	return fd;
}

static struct csv_reader *reader_of(int fd, const struct config_source *source, int64_t offset, int64_t line)
{
	struct csv_reader *reader = NULL;
	struct error err;

	assert_true(csv_open(fd, source, offset, line, &reader, &err));
	return reader;
}

static void describe(struct text *text, const struct csv_record *record)
{
	text_printf(text, "%lld@%lld+%lld", (long long)record->line, (long long)record->offset, (long long)record->length);
	if (record->spoiled)
		text_printf(text, "!%s#%zu", record->spoiled, record->spoiled_cell);
	for (size_t i = 0; i < record->n_cells; i++) {
		assert_int_equal(record->cells[i].data[record->cells[i].length], '\0');
		text_printf(text, "[%s]", record->cells[i].data);
	}
	text_append_string(text, " ");
}

/* All records from a place on, and how they end. */
static void read_all(int fd, const struct config_source *source, int64_t offset, int64_t line, struct text *ret_text)
{
	struct csv_reader *reader = reader_of(fd, source, offset, line);
	struct csv_record record;
	enum csv_step step;
	struct error err;

	while ((step = csv_next(reader, &record, &err)) == CSV_RECORD) {
		assert_int_equal(csv_offset(reader), record.offset + record.length);
		describe(ret_text, &record);
	}
	if (step == CSV_END)
		text_append_string(ret_text, csv_ends_in_newline(reader) ? "end" : "cut");
	else
		text_append_string(ret_text, err.text);
	assert_int_equal(csv_next(reader, &record, &err), step);
	csv_close(reader);
}

/* Reads the file as wanted, and again from behind each of its records. */
static void assert_records(const struct config_source *source, const char *bytes, size_t length, const char *wanted)
{
	int fd = file_of(bytes, length);
	struct csv_reader *reader = reader_of(fd, source, 0, 1);
	struct text got = { 0 }, rest = { 0 }, past = { 0 };
	struct csv_record record;
	struct error err;

	read_all(fd, source, 0, 1, &got);
	assert_string_equal(got.data, wanted);
	while (csv_next(reader, &record, &err) == CSV_RECORD) {
		describe(&past, &record);
		text_clear(&rest);
		read_all(fd, source, csv_offset(reader), csv_line(reader), &rest);
		assert_string_equal(rest.data, got.data + past.length);
	}
	text_free(&got);
	text_free(&rest);
	text_free(&past);
	csv_close(reader);
	close(fd);
}

#define ASSERT_RECORDS(source, bytes, wanted) assert_records(&(source), bytes, sizeof(bytes) - 1, wanted)

static void cells_and_records_are_found(void **state)
{
	(void)state;
	ASSERT_RECORDS(semicolons, "", "end");
	ASSERT_RECORDS(semicolons, "a;b\n1;2\n", "1@0+4[a][b] 2@4+4[1][2] end");
	ASSERT_RECORDS(semicolons, "a;\"b\"\"c\"; \"d\" \r\n", "1@0+16[a][b\"c][d] end");
	ASSERT_RECORDS(semicolons, "a b ;  c\n;;\n\"\"\n", "1@0+9[a b][c] 2@9+3[][][] 3@12+3[] end");
	ASSERT_RECORDS(semicolons, "a\rb\r\rc\n\r\nd", "1@0+2[a] 2@2+2[b] 4@5+2[c] 6@9+1[d] cut");
}

static void a_last_line_without_an_end_is_a_record(void **state)
{
	(void)state;
	ASSERT_RECORDS(semicolons, "a;b", "1@0+3[a][b] cut");
	ASSERT_RECORDS(semicolons, "a;", "1@0+2[a][] cut");
	ASSERT_RECORDS(semicolons, "a;\"b\"", "1@0+5[a][b] cut");
	ASSERT_RECORDS(semicolons, "\"b\nc\" ", "1@0+6[b\nc] cut");
	ASSERT_RECORDS(utf16, "a\0", "1@0+2[a] cut");
}

static void blank_lines_are_counted_and_are_no_records(void **state)
{
	(void)state;
	ASSERT_RECORDS(semicolons, "\n\na\n  \t\nb\n\n", "3@2+2[a] 5@8+2[b] end");
	ASSERT_RECORDS(semicolons, "\xEF\xBB\xBF\na\n", "2@4+2[a] end");
}

static void a_record_may_go_over_several_lines(void **state)
{
	(void)state;
	ASSERT_RECORDS(semicolons, "a;\"b\r\n\r\nc\";d\ne\n", "1@0+13[a][b\r\n\r\nc][d] 4@13+2[e] end");
	ASSERT_RECORDS(semicolons, "\"a\nb\";\"c\rd\"\ne\n", "1@0+12[a\nb][c\rd] 4@12+2[e] end");
}

static void a_tab_delimits_and_is_no_blank_then(void **state)
{
	(void)state;
	ASSERT_RECORDS(tabs, "\ta\t\t b \t\n", "1@0+9[][a][][b][] end");
	ASSERT_RECORDS(tabs, "\t\t\n", "1@0+3[][][] end");
	ASSERT_RECORDS(tabs, "\"a\tb\"\tc\n", "1@0+8[a\tb][c] end");
}

static void a_delimiter_may_be_of_several_bytes(void **state)
{
	static const struct config_source bars = { .format = { .encoding = "utf-8", .delimiter = "\u00a6", .quote = '"' }, LIMITS };
	static const struct config_source latin1_bars = { .format = { .encoding = "iso-8859-1", .delimiter = "\u00a6", .quote = 0 },
							  LIMITS };
	/* Inside of quotes it is text, and so is another character that begins with the same byte. */
	static const char line[] = "a\u00a6\"b\u00a6c\"\u00a6\u00a7\u00a6\n";
	static const char latin1_line[] = "a\xa6\xa7\xa6\n";

	(void)state;
	assert_records(&bars, line, sizeof(line) - 1, "1@0+16[a][b\u00a6c][\u00a7][] end");
	assert_records(&latin1_bars, latin1_line, sizeof(latin1_line) - 1, "1@0+5[a][\u00a7][] end");
}

static void quotes_are_ordinary_where_cells_are_never_quoted(void **state)
{
	(void)state;
	ASSERT_RECORDS(unquoted, "\"a;5\" b\n\"\n", "1@0+8[\"a][5\" b] 2@8+2[\"] end");
}

static void a_byte_order_mark_is_dropped_at_the_start_alone(void **state)
{
	(void)state;
	ASSERT_RECORDS(semicolons,
		       "\xEF\xBB\xBF\"a\"\n\xEF\xBB\xBF"
		       "b\n",
		       "1@0+7[a] 2@7+5[\xEF\xBB\xBF"
		       "b] end");
	ASSERT_RECORDS(utf16,
		       "\xFF\xFE"
		       "a\0\n\0b\0\n\0",
		       "1@0+6[a] 2@6+4[b] end");
	ASSERT_RECORDS(utf16, "\xFE\xFF\0a\0\n\0b\0\r\0\n\0c", "1@0+6[a] 2@6+6[b] 3@12+2[c] cut");
}

static void other_encodings_become_utf_8_with_their_own_offsets(void **state)
{
	(void)state;
	ASSERT_RECORDS(latin1, "\xE9;\xE8\nx\n", "1@0+4[é][è] 2@4+2[x] end");
	ASSERT_RECORDS(utf16, "\xE9\0;\0\"\0\n\0\"\0\n\0x\0", "1@0+12[é][\n] 3@12+2[x] cut");
}

static void undecodable_bytes_spoil_their_record_alone(void **state)
{
	(void)state;
	ASSERT_RECORDS(semicolons, "a;b\xFF;\xC3\nc\xC3\xA9;d\n",
		       "1@0+7!has bytes that are not utf-8#1[a][b\xEF\xBF\xBD][\xEF\xBF\xBD] 2@7+6[cé][d] end");
	ASSERT_RECORDS(semicolons, "\xFF\n", "1@0+2!has bytes that are not utf-8#0[\xEF\xBF\xBD] end");
	ASSERT_RECORDS(semicolons, "a;\"x\n\xFF\";b\n", "1@0+10!has bytes that are not utf-8#1[a][x\n\xEF\xBF\xBD][b] end");
	ASSERT_RECORDS(semicolons, "a;b\0\nc\n", "1@0+5!has a NUL character#1[a][b\xEF\xBF\xBD] 2@5+2[c] end");
	ASSERT_RECORDS(utf16, "a\0\0\xD8\n\0b\0\n\0", "1@0+6!has bytes that are not utf-16#0[a\xEF\xBF\xBD] 2@6+4[b] end");
	ASSERT_RECORDS(utf16, "\xFE\xFF\x0A\0\x0D", "1@0+5!has bytes that are not utf-16#0[\xE0\xA8\x80\xEF\xBF\xBD] cut");
	ASSERT_RECORDS(utf16, "a\0\n\0b", "1@0+4[a] 2@4+1!has bytes that are not utf-16#0[\xEF\xBF\xBD] cut");
}

static void a_misplaced_quote_breaks_the_manifest(void **state)
{
	(void)state;
	ASSERT_RECORDS(semicolons, "a\nb;c\"d\n",
		       "1@0+2[a] line 2: a quote inside a cell that does not begin with one (quote: none where cells are never quoted)");
	ASSERT_RECORDS(semicolons, "a\n\"b\"c\n",
		       "1@0+2[a] line 2: text follows the quote that ends a cell (a quote inside is to be doubled)");
}

static void an_open_quote_breaks_the_manifest_and_is_named(void **state)
{
	(void)state;
	ASSERT_RECORDS(semicolons, "a\nb;\"c\nd\n", "1@0+2[a] line 2: a quote is opened here and never closed");
	ASSERT_RECORDS(semicolons, "\"a\nb\";\"c\nd\n\n", "line 2: a quote is opened here and never closed");
	ASSERT_RECORDS(semicolons, "\"", "line 1: a quote is opened here and never closed");
}

static void a_record_that_was_broken_off_is_where_the_next_would_begin(void **state)
{
	int fd = file_of("a\nb;\"c\nd\n", 9);
	struct csv_reader *reader = reader_of(fd, &semicolons, 0, 1);
	struct csv_record record;
	struct error err;

	(void)state;
	assert_int_equal(csv_next(reader, &record, &err), CSV_RECORD);
	assert_int_equal(csv_next(reader, &record, &err), CSV_BROKEN);
	assert_int_equal(csv_offset(reader), 2);
	assert_int_equal(csv_line(reader), 2);
	csv_close(reader);
	close(fd);
}

static void a_cell_over_64_kib_spoils_its_record(void **state)
{
	static const char *const forms[][2] = { { "", "" }, { "\"", "\"" }, { "", "     " }, { "\"", "\"    " } };
	char *bytes = xmalloc(MIB);

	(void)state;
	for (size_t form = 0; form < 4; form++) {
		for (size_t more = 0; more < 200001; more = more * 100000 + 1) {
			size_t n = (size_t)semicolons.max_cell_bytes + more;
			struct text file = { 0 };
			struct csv_record record;
			struct csv_reader *reader;
			struct error err;
			int fd;

			memset(bytes, 'x', n);
			text_append_string(&file, "a;");
			text_append_string(&file, forms[form][0]);
			text_append(&file, bytes, n);
			text_append_string(&file, forms[form][1]);
			text_append_string(&file, ";b\nc\n");
			fd = file_of(file.data, file.length);
			reader = reader_of(fd, &semicolons, 0, 1);
			assert_int_equal(csv_next(reader, &record, &err), CSV_RECORD);
			assert_int_equal(record.n_cells, 3);
			assert_string_equal(record.cells[2].data, "b");
			if (more == 0) {
				assert_null(record.spoiled);
				assert_int_equal(record.cells[1].length, semicolons.max_cell_bytes);
			} else {
				assert_string_equal(record.spoiled, "has a cell of more than 65536 bytes (max_cell_bytes)");
				assert_int_equal(record.spoiled_cell, 1);
				assert_true(record.cells[1].length <= (size_t)semicolons.max_cell_bytes);
			}
			assert_int_equal(csv_next(reader, &record, &err), CSV_RECORD);
			assert_null(record.spoiled);
			assert_int_equal(csv_next(reader, &record, &err), CSV_END);
			csv_close(reader);
			close(fd);
			text_free(&file);
		}
	}
	free(bytes);
}

static void too_many_cells_spoil_their_record(void **state)
{
	char *bytes = xmalloc(100001);
	struct csv_reader *reader;
	struct csv_record record;
	struct error err;
	int fd;

	(void)state;
	memset(bytes, ';', 100000);
	bytes[100000] = '\n';
	bytes[4095] = '\n';
	fd = file_of(bytes, 100001);
	reader = reader_of(fd, &semicolons, 0, 1);
	assert_int_equal(csv_next(reader, &record, &err), CSV_RECORD);
	assert_null(record.spoiled);
	assert_int_equal(record.n_cells, 4096);
	assert_int_equal(csv_next(reader, &record, &err), CSV_RECORD);
	assert_string_equal(record.spoiled, "has more than 4096 cells (max_columns)");
	assert_int_equal(record.spoiled_cell, 4096);
	assert_int_equal(record.n_cells, 4096);
	assert_int_equal(csv_next(reader, &record, &err), CSV_END);
	csv_close(reader);
	reader = reader_of(fd, &semicolons, 4096, 2);
	csv_add_cells(reader, true);
	assert_int_equal(csv_next(reader, &record, &err), CSV_RECORD);
	assert_string_equal(record.spoiled, "has more than 4096 cells (max_columns)");
	assert_int_equal(record.n_cells, 4099);
	csv_close(reader);
	close(fd);
	free(bytes);
}

static void a_record_over_16_mib_breaks_the_manifest(void **state)
{
	/* One line; many lines in a quote; many lines in a quote that ends. */
	static const char *const ends[] = { "x", "\nx", "\"\n" };
	char *bytes = xmalloc(17 * MIB);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct csv_reader *reader;
		struct csv_record record;
		struct error err;
		int fd;

		memset(bytes, 'x', 17 * MIB);
		for (size_t k = 40000; i > 0 && k < 16 * MIB - 100; k += 40000)
			bytes[k] = '\n';
		memcpy(bytes, "a\n\"", 3);
		memcpy(bytes + 17 * MIB - 2, ends[i], strlen(ends[i]));
		fd = file_of(bytes, 17 * MIB);
		reader = reader_of(fd, &semicolons, 0, 1);
		assert_int_equal(csv_next(reader, &record, &err), CSV_RECORD);
		assert_int_equal(csv_next(reader, &record, &err), CSV_BROKEN);
		assert_string_equal(err.text, "a record of more than 16 MiB begins at line 2: is a quote left open?");
		assert_int_equal(err.code, ERROR_DATA);
		assert_int_equal(csv_next(reader, &record, NULL), CSV_BROKEN);
		csv_close(reader);
		close(fd);
	}
	free(bytes);
}

static void memory_of_a_huge_record_is_given_back(void **state)
{
	char *bytes = xmalloc(4 * MIB + 2);
	struct csv_reader *reader;
	struct csv_record record;
	struct error err;
	int fd;

	(void)state;
	memset(bytes, 'x', 4 * MIB);
	for (size_t i = 0; i < 4 * MIB; i += 4096)
		bytes[i] = ';';
	memcpy(bytes + 4 * MIB - 2, "\na\n", 4);
	fd = file_of(bytes, 4 * MIB + 1);
	reader = reader_of(fd, &semicolons, 0, 1);
	assert_int_equal(csv_next(reader, &record, &err), CSV_RECORD);
	assert_int_equal(record.n_cells, 1025);
	assert_int_equal(csv_next(reader, &record, &err), CSV_RECORD);
	assert_string_equal(record.cells[0].data, "a");
	csv_close(reader);
	close(fd);
	free(bytes);
}

static void skipped_lines_are_counted_and_their_quotes_are_not_looked_at(void **state)
{
	int fd = file_of("a \"title\n\nb;c\n", 14);
	struct csv_reader *reader = reader_of(fd, &semicolons, 0, 1);
	struct csv_record record;
	struct error err;

	(void)state;
	assert_int_equal(csv_skip_lines(reader, 2, &err), CSV_RECORD);
	assert_int_equal(csv_next(reader, &record, &err), CSV_RECORD);
	assert_int_equal(record.line, 3);
	assert_int_equal(record.offset, 10);
	assert_int_equal(csv_skip_lines(reader, 1, &err), CSV_END);
	csv_close(reader);
	close(fd);
}

static void lines_that_cannot_be_skipped_are_told(void **state)
{
	char *bytes = xcalloc(17, MIB);
	int fd = file_of(bytes, 17 * MIB);
	struct csv_reader *reader = reader_of(fd, &semicolons, 0, 1);
	struct error err;

	(void)state;
	assert_int_equal(csv_skip_lines(reader, 1, &err), CSV_BROKEN);
	csv_close(reader);
	reader = reader_of(fd, &semicolons, 0, 1);
	close(fd);
	assert_int_equal(csv_skip_lines(reader, 1, &err), CSV_FAILED);
	csv_close(reader);
	free(bytes);
}

static void a_read_that_fails_is_not_the_manifests_fault(void **state)
{
	int fd = file_of("a\n", 2);
	struct csv_reader *reader = reader_of(fd, &semicolons, 0, 1);
	struct csv_record record;
	struct error err;

	(void)state;
	close(fd);
	assert_int_equal(csv_next(reader, &record, &err), CSV_FAILED);
	assert_string_equal(err.text, "reading at byte 0: Bad file descriptor");
	assert_int_equal(csv_offset(reader), 0);
	csv_close(reader);
	reader = NULL;
	assert_false(csv_open(fd, &semicolons, 0, 1, &reader, &err));
	assert_string_equal(err.text, "reading the file's beginning: Bad file descriptor");
	assert_null(reader);
	csv_close(NULL);
}

static void an_unknown_encoding_is_a_configuration_error(void **state)
{
	struct config_source source = semicolons;
	struct csv_reader *reader = NULL;
	int fd = file_of("a\n", 2);
	struct error err;

	(void)state;
	source.format.encoding = "utf-9";
	assert_false(csv_open(fd, &source, 0, 1, &reader, &err));
	assert_int_equal(err.code, ERROR_CONFIG);
	assert_null(reader);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells_and_records_are_found),
		cmocka_unit_test(a_last_line_without_an_end_is_a_record),
		cmocka_unit_test(blank_lines_are_counted_and_are_no_records),
		cmocka_unit_test(a_record_may_go_over_several_lines),
		cmocka_unit_test(a_tab_delimits_and_is_no_blank_then),
		cmocka_unit_test(a_delimiter_may_be_of_several_bytes),
		cmocka_unit_test(quotes_are_ordinary_where_cells_are_never_quoted),
		cmocka_unit_test(a_byte_order_mark_is_dropped_at_the_start_alone),
		cmocka_unit_test(other_encodings_become_utf_8_with_their_own_offsets),
		cmocka_unit_test(undecodable_bytes_spoil_their_record_alone),
		cmocka_unit_test(a_misplaced_quote_breaks_the_manifest),
		cmocka_unit_test(an_open_quote_breaks_the_manifest_and_is_named),
		cmocka_unit_test(a_record_that_was_broken_off_is_where_the_next_would_begin),
		cmocka_unit_test(a_cell_over_64_kib_spoils_its_record),
		cmocka_unit_test(too_many_cells_spoil_their_record),
		cmocka_unit_test(a_record_over_16_mib_breaks_the_manifest),
		cmocka_unit_test(memory_of_a_huge_record_is_given_back),
		cmocka_unit_test(skipped_lines_are_counted_and_their_quotes_are_not_looked_at),
		cmocka_unit_test(lines_that_cannot_be_skipped_are_told),
		cmocka_unit_test(a_read_that_fails_is_not_the_manifests_fault),
		cmocka_unit_test(an_unknown_encoding_is_a_configuration_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
