#include "intake/manifest_reader.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const issuers[] = { "BANKFR0001" };
static const struct config_endpoint endpoint = { .name = "bankfr", .issuers = issuers, .n_issuers = 1 };
static const struct config config = { .endpoints = &endpoint, .n_endpoints = 1 };

/* ISS;CARD;TYPE, PRODUCTION of a constant site. */
static struct config_source plain_source(void)
{
	static const struct config_map types[] = { { "P", "PRODUCTION" }, { "X", NULL } };
	struct config_source source = { .name = "lyon",
					.format = { .encoding = "utf-8", .delimiter = ";", .quote = '"', .header = true },
					.max_rows = 100000,
					.max_cell_bytes = 65536,
					.max_columns = 100 };

	source.fields[TRACK_ISSUER_ID] = (struct config_field){ .present = true, .column = "ISS" };
	source.fields[TRACK_CARD_ID] = (struct config_field){ .present = true, .column = "CARD" };
	source.fields[TRACK_TYPE] = (struct config_field){ .present = true, .column = "TYPE", .map = types, .n_map = 2 };
	source.fields[TRACK_PRODUCTION_SITE] = (struct config_field){ .present = true, .value = "Lyon" };
	for (int i = 0; i < TRACK_N_FIELDS; i++)
		source.fields[i].default_time_s = -1;
	return source;
}

static int file_with(const char *bytes)
{
	int fd = memfd_create("manifest", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
	return fd;
}

/* Reads all; gives the last step, and the rows as letters in ret_states: Q R S, p for passed. */
static enum manifest_step read_all(const struct config_source *source, const char *bytes, int64_t resume, char *ret_states, size_t size,
				   struct error *err)
{
	struct manifest_reader *reader = NULL;
	struct queue_row_new row;
	enum manifest_step step;
	int fd = file_with(bytes);
	size_t n = 0;

	assert_true(manifest_reader_open(fd, source, &config, resume, &reader, err));
	while ((step = manifest_reader_next(reader, &row, err)) == MANIFEST_ROW || step == MANIFEST_PASSED) {
		assert_true(n + 1 < size);
		ret_states[n++] = step == MANIFEST_PASSED ? 'p' : row.state == ROW_QUEUED ? 'Q' : row.state == ROW_REJECTED ? 'R' : 'S';
	}
	ret_states[n] = '\0';
	assert_int_equal(manifest_reader_rows(reader), n);
	manifest_reader_close(reader);
	close(fd);
	return step;
}

#define GOOD "BANKFR0001;c1;P\n"

static void rows_come_with_line_place_event_and_fault(void **state)
{
	static const char bytes[] = "ISS;CARD;TYPE\n" GOOD "\nOTHER00000;c2;P\nBANKFR0001;c3;X\nBANKFR0001;c 4;P\nBANKFR0001;c5\n";
	struct config_source source = plain_source();
	struct manifest_reader *reader = NULL;
	struct queue_row_new row;
	struct error err;
	int fd = file_with(bytes);

	(void)state;
	assert_true(manifest_reader_open(fd, &source, &config, 0, &reader, &err));
	assert_int_equal(manifest_reader_next(reader, &row, &err), MANIFEST_ROW);
	assert_int_equal(row.state, ROW_QUEUED);
	assert_int_equal(row.line, 2);
	assert_int_equal(row.byte_offset, 14);
	assert_int_equal(row.byte_length, 16);
	assert_string_equal(row.request.card_id, "c1");
	assert_true(row.event != 0);
	assert_int_equal(manifest_reader_offset(reader), 30);
	assert_int_equal(manifest_reader_line(reader), 3);

	assert_int_equal(manifest_reader_next(reader, &row, &err), MANIFEST_ROW);
	assert_int_equal(row.state, ROW_REJECTED);
	assert_int_equal(row.line, 4);
	assert_string_equal(row.column, "ISS");
	assert_string_equal(row.reason, "no endpoint has issuer OTHER00000");

	assert_int_equal(manifest_reader_next(reader, &row, &err), MANIFEST_ROW);
	assert_int_equal(row.state, ROW_SKIPPED);

	assert_int_equal(manifest_reader_next(reader, &row, &err), MANIFEST_ROW);
	assert_int_equal(row.state, ROW_REJECTED);
	assert_string_equal(row.column, "CARD");

	assert_int_equal(manifest_reader_next(reader, &row, &err), MANIFEST_ROW);
	assert_int_equal(row.state, ROW_REJECTED);
	assert_non_null(strstr(row.reason, "cells"));
	assert_int_equal(manifest_reader_next(reader, &row, &err), MANIFEST_END);
	assert_int_equal(manifest_reader_rows(reader), 5);
	manifest_reader_close(reader);
	close(fd);
}

static void an_unknown_issuer_is_blamed_on_its_column(void **state)
{
	static const struct {
		struct config_field field;
		bool header;
		const char *bytes, *column;
	} cases[] = {
		{ { .present = true, .value = "OTHER00000", .default_time_s = -1 }, true, "I;C;T\nx;c1;P\n", "issuerId" },
		{ { .present = true, .column_number = 1, .default_time_s = -1 }, true, " I\x01 ;C;T\nOTHER00000;c1;P\n", "I\\x01" },
		{ { .present = true, .column_number = 1, .default_time_s = -1 }, false, "OTHER00000;c1;P\n", "1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_source source = plain_source();
		struct manifest_reader *reader = NULL;
		struct queue_row_new row;
		struct error err;
		int fd = file_with(cases[i].bytes);

		source.format.header = cases[i].header;
		source.fields[TRACK_ISSUER_ID] = cases[i].field;
		source.fields[TRACK_CARD_ID].column = NULL;
		source.fields[TRACK_CARD_ID].column_number = 2;
		source.fields[TRACK_TYPE].column = NULL;
		source.fields[TRACK_TYPE].column_number = 3;
		assert_true(manifest_reader_open(fd, &source, &config, 0, &reader, &err));
		assert_int_equal(manifest_reader_next(reader, &row, &err), MANIFEST_ROW);
		assert_int_equal(row.state, ROW_REJECTED);
		assert_string_equal(row.column, cases[i].column);
		manifest_reader_close(reader);
		close(fd);
	}
}

static void a_trailer_must_be_last_and_count_right(void **state)
{
	static const struct {
		enum config_counts counts;
		bool header;
		const char *rows; /* without the header */
		const char *states;
		const char *fault; /* NULL: good */
	} cases[] = {
		{ CONFIG_ROWS, true, GOOD "TRL;1\n", "Q", NULL },
		{ CONFIG_ROWS, true, GOOD "TRL;0000001", "Q", NULL },
		{ CONFIG_ROWS, true, GOOD "\"TRL\"; 1 ;;\n\n\n", "Q", NULL },
		{ CONFIG_ROWS, true, GOOD "BANKFR0001;c 1;P\nBANKFR0001;c1;X\nTRL;3\n", "QRS", NULL },
		{ CONFIG_ROWS_TRAILER, true, GOOD "TRL;2\n", "Q", NULL },
		{ CONFIG_ROWS_HEADER_TRAILER, true, GOOD "TRL;3\n", "Q", NULL },
		{ CONFIG_ROWS_HEADER_TRAILER, false, GOOD "TRL;2\n", "Q", NULL },
		{ CONFIG_ROWS, true, GOOD "TRL;2\n", "Q", "line 3: the trailer says 2, the file has 1 (1 data rows)" },
		{ CONFIG_ROWS_TRAILER, true, GOOD "TRL;1\n", "Q", "line 3: the trailer says 1, the file has 2 (1 data rows)" },
		{ CONFIG_ROWS, true, GOOD "TRL\n", "Q", "line 3: the trailer has no count in column 2" },
		{ CONFIG_ROWS, true, GOOD "TRL;\n", "Q", "line 3: the trailer has no count in column 2" },
		{ CONFIG_ROWS, true, GOOD "TRL;-1\n", "Q", "line 3: the trailer has no count in column 2" },
		{ CONFIG_ROWS, true, GOOD "TRL;1.0\n", "Q", "line 3: the trailer has no count in column 2" },
		{ CONFIG_ROWS, true, GOOD "TRL;1x\n", "Q", "line 3: the trailer has no count in column 2" },
		{ CONFIG_ROWS, true, GOOD "TRL; \n", "Q", "line 3: the trailer has no count in column 2" },
		{ CONFIG_ROWS, true, GOOD "TRL;0999999999999999999\n", "Q",
		  "line 3: the trailer says 999999999999999999, the file has 1 (1 data rows)" },
		{ CONFIG_ROWS, true, GOOD "TRL;01000000000000000000\n", "Q",
		  "line 3: the trailer's count in column 2 is too long a number (19 digits)" },
		{ CONFIG_ROWS, true, GOOD "TRL;1;\xff\n", "Q", "line 3: the trailer " },
		{ CONFIG_ROWS, true, GOOD "TRL;1\n" GOOD, "Q", "line 4: a row stands after the trailer" },
		{ CONFIG_ROWS, true, GOOD "TRL;1\nTRL;1\n", "Q", "line 4: a row stands after the trailer" },
		{ CONFIG_ROWS, true, GOOD, "Q", "has no trailer (a last line that begins with TRL): is the file complete?" },
		{ CONFIG_ROWS, true, "TRL;0\n", "", "has no data row" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_source source = plain_source();
		char bytes[512], states[16];
		struct error err = { 0 };
		enum manifest_step step;

		source.format.header = cases[i].header;
		for (int f = TRACK_ISSUER_ID; !cases[i].header && f <= TRACK_TYPE; f++) {
			source.fields[f].column = NULL;
			source.fields[f].column_number = f + 1;
		}
		source.trailer.present = true;
		source.trailer.first_column = "TRL";
		source.trailer.count_column = 2;
		source.trailer.counts = cases[i].counts;
		snprintf(bytes, sizeof(bytes), "%s%s", cases[i].header ? "ISS;CARD;TYPE\n" : "", cases[i].rows);
		step = read_all(&source, bytes, 0, states, sizeof(states), &err);
		assert_string_equal(states, cases[i].states);
		assert_int_equal(step, cases[i].fault ? MANIFEST_REJECT : MANIFEST_END);
		if (!cases[i].fault)
			continue;
		assert_int_equal(err.code, ERROR_DATA);
		assert_memory_equal(err.text, cases[i].fault, strlen(cases[i].fault));
	}
}

static void a_manifest_without_a_good_frame_is_rejected(void **state)
{
	static const struct {
		int skip_lines;
		const char *bytes, *fault;
	} cases[] = {
		{ 0, "", "has no data row" },
		{ 0, "ISS;CARD;TYPE\n", "has no data row" },
		{ 3, "one\ntwo\n", "has no data row" },
		{ 1, "one\n", "has no data row" },
		{ 0, "ISS;CARD\n" GOOD, "'TYPE' is not in the header" },
		{ 0, "ISS;CARD;TYPE;TYPE\n" GOOD, "stands twice" },
		{ 0, "ISS;CA\"RD;TYPE\n" GOOD, "line 1: a quote" },
		{ 0, "ISS;CARD;TYPE\nBANKFR0001;\"c1;P\n", "line 2: a quote" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_source source = plain_source();
		struct error err = { 0 };
		char states[16];

		source.format.skip_lines = cases[i].skip_lines;
		assert_int_equal(read_all(&source, cases[i].bytes, 0, states, sizeof(states), &err), MANIFEST_REJECT);
		assert_string_equal(states, "");
		assert_int_equal(err.code, ERROR_DATA);
		assert_non_null(strstr(err.text, cases[i].fault));
	}
}

static void all_rows_invalid_is_still_a_good_manifest(void **state)
{
	struct config_source source = plain_source();
	struct error err;
	char states[16];

	(void)state;
	assert_int_equal(read_all(&source, "ISS;CARD;TYPE\nx;y;z\n", 0, states, sizeof(states), &err), MANIFEST_END);
	assert_string_equal(states, "R");
}

static void an_invalid_row_rejects_the_file_where_the_source_says_so(void **state)
{
	struct config_source source = plain_source();
	struct error err;
	char states[16];

	(void)state;
	source.reject_file = true;
	assert_int_equal(read_all(&source, "ISS;CARD;TYPE\n" GOOD, 0, states, sizeof(states), &err), MANIFEST_END);
	assert_int_equal(read_all(&source, "ISS;CARD;TYPE\n" GOOD "OTHER00000;c2;P\n" GOOD, 0, states, sizeof(states), &err),
			 MANIFEST_REJECT);
	assert_string_equal(states, "QRQ");
	assert_string_equal(err.text, "1 invalid row (invalid_rows: reject_file), the first on line 3, column ISS: no endpoint has issuer "
				      "OTHER00000");
	assert_int_equal(read_all(&source, "ISS;CARD;TYPE\nBANKFR0001\nBANKFR0001\n", 0, states, sizeof(states), &err), MANIFEST_REJECT);
	assert_memory_equal(err.text, "2 invalid rows (invalid_rows: reject_file), the first on line 2: ", 65);
}

static void more_rows_than_the_source_allows_reject_the_manifest(void **state)
{
	struct config_source source = plain_source();
	struct error err;
	char states[16];

	(void)state;
	source.max_rows = 2;
	assert_int_equal(read_all(&source, "ISS;CARD;TYPE\n" GOOD GOOD, 0, states, sizeof(states), &err), MANIFEST_END);
	assert_int_equal(read_all(&source, "ISS;CARD;TYPE\n" GOOD GOOD "\n" GOOD, 0, states, sizeof(states), &err), MANIFEST_REJECT);
	assert_string_equal(states, "QQ");
	assert_string_equal(err.text, "line 5: has more than 2 rows (max_rows)");
}

static void the_cells_of_a_rejects_file_come_on_top_of_max_columns(void **state)
{
	static const struct {
		bool header;
		const char *bytes, *states, *fault;
	} cases[] = {
		{ true, "ISS;CARD;TYPE;line;column;reason\nBANKFR0001;c1;P;2;TYPE;wrong\n", "Q", NULL },
		{ true, "ISS;CARD;TYPE;line;column;reason\nBANKFR0001;c1;P;2;TYPE;wrong;\n", "R", NULL },
		{ true, "ISS;CARD;TYPE\nBANKFR0001;c1;P;\nBANKFR0001;c1;P\n", "RQ", NULL },
		{ true, "ISS;CARD;TYPE;X\nBANKFR0001;c1;P;\n", "", "the header has more than 3 cells (max_columns)" },
		{ true, "ISS;CARD;TYPE;X;line;column;reason\n", "", "the header has more than 3 cells (max_columns)" },
		{ false, "BANKFR0001;c1;P;2;TYPE;wrong\nBANKFR0001;c1;P;2;TYPE;wrong;\n", "QR", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_source source = plain_source();
		struct error err = { 0 };
		char states[16];

		source.max_columns = 3;
		source.format.header = cases[i].header;
		for (int f = TRACK_ISSUER_ID; !cases[i].header && f <= TRACK_TYPE; f++) {
			source.fields[f].column = NULL;
			source.fields[f].column_number = f + 1;
		}
		assert_int_equal(read_all(&source, cases[i].bytes, 0, states, sizeof(states), &err),
				 cases[i].fault ? MANIFEST_REJECT : MANIFEST_END);
		assert_string_equal(states, cases[i].states);
		if (cases[i].fault)
			assert_string_equal(err.text, cases[i].fault);
	}
}

/* n_pan rows with a number that passes Luhn's check, then others up to n, the last n_empty of them without a card id. */
static char *cards(int n, int n_pan, int n_empty)
{
	struct text bytes = { 0 };

	text_append_string(&bytes, "ISS;CARD;TYPE\n");
	for (int i = 0; i < n; i++)
		text_printf(&bytes, "BANKFR0001;%s;P\n", i < n_pan ? "4111111111111111" : i < n - n_empty ? "4111111111111112" : "");
	return bytes.data;
}

static void card_ids_that_look_like_pans_reject_the_manifest(void **state)
{
	static const struct {
		int n, n_pan, n_empty;
		bool allowed, rejected;
	} cases[] = {
		{ 20, 11, 0, false, true },
		{ 20, 10, 0, false, false },
		{ 19, 19, 0, false, false },
		{ 20, 20, 0, true, false },
		{ 21, 11, 0, false, true },
		{ 40, 40, 0, false, true },
		/* Most of the rows, with fewer than 20 ids that are known; and most of the ids, with more rows that have none. */
		{ 20, 19, 1, false, true },
		{ 20, 11, 9, false, true },
		{ 60, 20, 30, false, true },
		{ 20, 10, 10, false, false },
		{ 40, 1, 39, false, false },
		{ 60, 15, 30, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_source source = plain_source();
		char *bytes = cards(cases[i].n, cases[i].n_pan, cases[i].n_empty);
		struct error err = { 0 };
		char states[64];

		source.allow_pan_like = cases[i].allowed;
		assert_int_equal(read_all(&source, bytes, 0, states, sizeof(states), &err),
				 cases[i].rejected ? MANIFEST_REJECT : MANIFEST_END);
		assert_int_equal(strlen(states), cases[i].n);
		if (cases[i].rejected)
			assert_non_null(strstr(err.text, "allow_pan_like"));
		free(bytes);
	}
}

static void resuming_passes_what_was_read_and_remembers_it(void **state)
{
	static const char bytes[] = "ISS;CARD;TYPE\n" GOOD "OTHER00000;c2;P\n" GOOD "TRL;3\n";
	struct config_source source = plain_source();
	struct manifest_reader *reader = NULL;
	struct queue_row_new row;
	struct error err;
	int fd = file_with(bytes);
	char states[16];
	int64_t offset;

	(void)state;
	source.reject_file = true;
	source.trailer.present = true;
	source.trailer.first_column = "TRL";
	source.trailer.count_column = 2;
	assert_true(manifest_reader_open(fd, &source, &config, 0, &reader, &err));
	assert_int_equal(manifest_reader_next(reader, &row, &err), MANIFEST_ROW);
	assert_int_equal(manifest_reader_next(reader, &row, &err), MANIFEST_ROW);
	offset = manifest_reader_offset(reader);
	manifest_reader_close(reader);
	close(fd);

	assert_int_equal(read_all(&source, bytes, offset, states, sizeof(states), &err), MANIFEST_REJECT);
	assert_string_equal(states, "ppQ");
	assert_non_null(strstr(err.text, "the first on line 3"));
	assert_int_equal(read_all(&source, bytes, (int64_t)strlen(bytes), states, sizeof(states), &err), MANIFEST_REJECT);
	assert_string_equal(states, "ppp");
}

static void what_cannot_be_read_says_nothing_about_the_manifest(void **state)
{
	struct config_source source = plain_source();
	struct manifest_reader *reader = NULL;
	struct error err = { 0 };
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_false(manifest_reader_open(ends[0], &source, &config, 0, &reader, &err));
	assert_int_equal(err.code, ERROR_IO);
	source.format.encoding = "no-such-encoding";
	assert_false(manifest_reader_open(ends[0], &source, &config, 0, &reader, &err));
	close(ends[0]);
	close(ends[1]);
	manifest_reader_close(NULL);
}

/* The file turns into one that cannot be read while it is being read. */
static void a_read_error_on_the_way_is_no_verdict(void **state)
{
	static const int before[] = { 0, 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		struct config_source source = plain_source();
		struct manifest_reader *reader = NULL;
		struct queue_row_new row;
		struct error err = { 0 };
		struct text bytes = { 0 };
		enum manifest_step step;
		int fd, ends[2];

		text_append_string(&bytes, "ISS;CARD;TYPE\n");
		for (int k = 0; k < 100000; k++)
			text_append_string(&bytes, GOOD);
		fd = file_with(bytes.data);
		text_free(&bytes);
		assert_true(manifest_reader_open(fd, &source, &config, 0, &reader, &err));
		for (int k = 0; k < before[i]; k++)
			assert_int_equal(manifest_reader_next(reader, &row, &err), MANIFEST_ROW);
		assert_int_equal(pipe(ends), 0);
		assert_int_equal(dup2(ends[0], fd), fd);
		while ((step = manifest_reader_next(reader, &row, &err)) == MANIFEST_ROW)
			;
		assert_int_equal(step, MANIFEST_FAILED);
		assert_int_equal(err.code, ERROR_IO);
		manifest_reader_close(reader);
		close(fd);
		close(ends[0]);
		close(ends[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_come_with_line_place_event_and_fault),
		cmocka_unit_test(an_unknown_issuer_is_blamed_on_its_column),
		cmocka_unit_test(a_trailer_must_be_last_and_count_right),
		cmocka_unit_test(a_manifest_without_a_good_frame_is_rejected),
		cmocka_unit_test(all_rows_invalid_is_still_a_good_manifest),
		cmocka_unit_test(an_invalid_row_rejects_the_file_where_the_source_says_so),
		cmocka_unit_test(more_rows_than_the_source_allows_reject_the_manifest),
		cmocka_unit_test(the_cells_of_a_rejects_file_come_on_top_of_max_columns),
		cmocka_unit_test(card_ids_that_look_like_pans_reject_the_manifest),
		cmocka_unit_test(resuming_passes_what_was_read_and_remembers_it),
		cmocka_unit_test(what_cannot_be_read_says_nothing_about_the_manifest),
		cmocka_unit_test(a_read_error_on_the_way_is_no_verdict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
