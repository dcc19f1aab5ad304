#include "report/rejects.h"

#include "intake/manifest_reader.h"
#include "stand.h"

#include <iconv.h>

#define MARK "\xEF\xBB\xBF"

static struct config_source *lyon(void)
{
	return &stand.sources[LYON];
}

/* Text in another encoding, by a way of its own. */
static struct text encoded(const char *encoding, const char *utf8)
{
	iconv_t converter = iconv_open(encoding, "UTF-8");
	struct text text = { 0 };
	char *from = (char *)utf8, out[8192], *to = out;
	size_t in_left = strlen(utf8), out_left = sizeof(out);

	assert_true(converter != (iconv_t)-1);
	assert_int_equal(iconv(converter, &from, &in_left, &to, &out_left), 0);
	iconv_close(converter);
	text_append(&text, out, sizeof(out) - out_left);
	return text;
}

struct rejected {
	const char *bytes; /* the record as it stands in the file, in UTF-8, its line end included */
	int64_t line;
	const char *column, *reason;
};

/* Loads a file in which these rows are rejected and writes its rejects file. */
static void write_rejects(const char *iconv_name, const char *file, const struct rejected *rows, size_t n_rows)
{
	struct text bytes = encoded(iconv_name, file);
	int64_t manifest = record(LYON, "dispatch.csv", bytes.data, bytes.length);
	struct queue_errand errand;
	struct rejects *rejects;
	enum sheet_step step;
	struct error err = { 0 };

	for (size_t i = 0; i < n_rows; i++) {
		struct text row = encoded(iconv_name, rows[i].bytes);
		const char *at = memmem(bytes.data, bytes.length, row.data, row.length);

		assert_non_null(at);
		add_rejected(manifest, rows[i].line, at - bytes.data, (int64_t)row.length, rows[i].column, rows[i].reason);
		text_free(&row);
	}
	text_free(&bytes);
	release(manifest);
	errand = errand_of(QUEUE_REJECTS, manifest);
	if (!rejects_begin(&stand.config, &errand, &rejects, &err))
		fail_msg("%s", err.text);
	queue_errand_free(&errand);
	do
		step = rejects_slice(rejects, stand.queue, &err);
	while (step == SHEET_MORE);
	rejects_free(rejects);
	if (step != SHEET_DONE)
		fail_msg("%s", err.text);
	assert_int_equal(files_in("out"), 1);
}

static void assert_rejects(const char *iconv_name, const char *expected)
{
	struct text wanted = encoded(iconv_name, expected), found = { 0 };
	struct error err;

	assert_true(file_read(below("out/dispatch.1.rejects.csv"), 1024 * 1024, &found, &err));
	if (strcmp(iconv_name, "UTF-8") == 0)
		assert_string_equal(found.data, wanted.data);
	assert_int_equal(found.length, wanted.length);
	assert_memory_equal(found.data, wanted.data, wanted.length);
	text_free(&wanted);
	text_free(&found);
}

#define ROWS(...) (const struct rejected[]){ __VA_ARGS__ }, sizeof((const struct rejected[]){ __VA_ARGS__ }) / sizeof(struct rejected)

static void rejected_rows_come_back_as_they_were_with_three_cells_more(void **state)
{
	(void)state;
	write_rejects("UTF-8", "CARD;DATE\r\nC1;good\r\nC2;bad\r\nC3;good\r\nC4;worse\r\n",
		      ROWS({ "C2;bad\r\n", 3, "DATE", "is bad" }, { "C4;worse\r\n", 5, "DATE", "is \"worse\"; much" }));
	assert_rejects("UTF-8", "CARD;DATE;line;column;reason\r\nC2;bad;3;DATE;is bad\r\nC4;worse;5;DATE;\"is \"\"worse\"\"; much\"\r\n");
}

static void every_encoding_keeps_its_bytes_and_its_mark(void **state)
{
	/* The source's name, iconv's own for the same bytes, and what becomes of a Euro sign in a reason. */
	static const struct {
		const char *source, *iconv_name, *mark, *euro;
	} cases[] = {
		{ "utf-8", "UTF-8", "", "\xE2\x82\xAC" },
		{ "UTF8", "UTF-8", MARK, "\xE2\x82\xAC" },
		{ "iso-8859-1", "ISO-8859-1", "", "?" },
		{ "windows-1252", "WINDOWS-1252", "", "\xE2\x82\xAC" },
		{ "utf-16le", "UTF-16LE", MARK, "\xE2\x82\xAC" },
		{ "utf-16", "UTF-16LE", "", "\xE2\x82\xAC" },
		{ "utf-16", "UTF-16BE", MARK, "\xE2\x82\xAC" },
		{ "ucs-2be", "UTF-16BE", "", "\xE2\x82\xAC" },
		{ "utf-32", "UTF-32BE", MARK, "\xE2\x82\xAC" },
		{ "UTF-32LE", "UTF-32LE", MARK, "\xE2\x82\xAC" },
		{ "shift_jis", "SHIFT_JIS", "", "?" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool latin = strcmp(cases[i].source, "shift_jis") != 0;
		/* In Shift_JIS the second byte of this letter is that of '|', which is no delimiter there. */
		const char *letter = latin ? "\xC3\xA9" : "\xE3\x83\x9D";
		struct text file = { 0 }, row = { 0 }, reason = { 0 }, expected = { 0 };

		lyon()->format.encoding = cases[i].source;
		lyon()->format.delimiter = "|";
		text_printf(&row, "C1|caf%s\n", letter);
		text_printf(&file, "%sCARD|SITE\n%s", cases[i].mark, row.data);
		text_printf(&reason, "costs 5 %s", "\xE2\x82\xAC");
		text_printf(&expected, "%sCARD|SITE|line|column|reason\nC1|caf%s|2|SITE|costs 5 %s\n", cases[i].mark, letter,
			    cases[i].euro);
		write_rejects(cases[i].iconv_name, file.data, ROWS({ row.data, 2, "SITE", reason.data }));
		assert_rejects(cases[i].iconv_name, expected.data);
		text_free(&file);
		text_free(&row);
		text_free(&reason);
		text_free(&expected);
		tear_down(state);
		set_up(state);
	}
}

static void quoted_line_ends_stay_inside_header_and_rows(void **state)
{
	(void)state;
	write_rejects("UTF-8", "CARD;\"DATE\r\n(local)\"\r\nC1;\"a\n\"\"b\"\"\r\nc;d\"\r\n",
		      ROWS({ "C1;\"a\n\"\"b\"\"\r\nc;d\"\r\n", 3, "DATE\r\n(local)", "is bad" }));
	assert_rejects("UTF-8", "CARD;\"DATE\r\n(local)\";line;column;reason\r\n"
				"C1;\"a\n\"\"b\"\"\r\nc;d\";3;\"DATE\r\n(local)\";is bad\r\n");
}

static void line_ends_are_those_of_the_file(void **state)
{
	(void)state;
	write_rejects("UTF-8", "A;B\rx;1\ry;2\nz;3", ROWS({ "x;1\r", 2, "B", "r" }, { "y;2\n", 3, "B", "r" }, { "z;3", 4, "B", "r" }));
	assert_rejects("UTF-8", "A;B;line;column;reason\rx;1;2;B;r\ry;2;3;B;r\nz;3;4;B;r\n");
}

static void skipped_lines_and_blank_lines_before_the_header_stay(void **state)
{
	(void)state;
	lyon()->format.skip_lines = 2;
	write_rejects("UTF-8", MARK "Export \"of\ntoday;\n \n\nA;B\nx;1\n", ROWS({ "x;1\n", 6, "B", "r" }));
	assert_rejects("UTF-8", MARK "Export \"of\ntoday;\n \n\nA;B;line;column;reason\nx;1;6;B;r\n");
}

static void without_a_header_there_is_none_and_the_mark_stands_first(void **state)
{
	(void)state;
	lyon()->format.header = false;
	write_rejects("UTF-8", MARK "x;1\nx;2;3\ny;4", ROWS({ MARK "x;1\n", 1, "2", "r" }, { "y;4", 3, "2", "s" }));
	assert_rejects("UTF-8", MARK "x;1;1;2;r\ny;4;3;2;s\n");
}

static void a_single_row_without_a_line_end_gets_one(void **state)
{
	(void)state;
	lyon()->format.header = false;
	write_rejects("UTF-8", "x;1", ROWS({ "x;1", 1, "2", "r" }));
	assert_rejects("UTF-8", "x;1;1;2;r\r\n");
}

static void a_row_with_too_few_cells_for_the_header_keeps_too_few(void **state)
{
	(void)state;
	write_rejects("UTF-8", "A;B;C\nx\n\"y;y\";1\nz;1;2;3\nw;1;2;; ;\nv;1;2;;\n",
		      ROWS({ "x\n", 2, "", "r" }, { "\"y;y\";1\n", 3, "", "r" }, { "z;1;2;3\n", 4, "", "r" },
			   { "w;1;2;; ;\n", 5, "B", "r" }, { "v;1;2;;\n", 6, "B", "r" }));
	assert_rejects("UTF-8", "A;B;C;line;column;reason\n"
				"x;2;;r\n"
				"\"y;y\";1;3;;r\n"
				"z;1;2;3;4;;r\n"
				"w;1;2;5;B;r\n"
				"v;1;2;6;B;r\n");
}

static void blank_cells_that_no_header_names_are_left_out(void **state)
{
	(void)state;
	lyon()->format.encoding = "utf-16le";
	write_rejects("UTF-16LE", "A;B\nx;;\t ; \ny; ; \nz;1; ;q; \nw;1;\" \"\n",
		      ROWS({ "x;;\t ; \n", 2, "B", "r" }, { "y; ; \n", 3, "B", "r" }, { "z;1; ;q; \n", 4, "", "r" },
			   { "w;1;\" \"\n", 5, "", "r" }));
	/* What is quoted was somebody's will. */
	assert_rejects("UTF-16LE", "A;B;line;column;reason\nx;;2;B;r\ny; ;3;B;r\nz;1; ;q;4;;r\nw;1;\" \";5;;r\n");
	tear_down(state);
	set_up(state);
	lyon()->format.delimiter = "\t";
	write_rejects("UTF-8", "A\tB\nx\t\t \t\n", ROWS({ "x\t\t \t\n", 2, "B", "r" }));
	assert_rejects("UTF-8", "A\tB\tline\tcolumn\treason\nx\t\t2\tB\tr\n");
}

static void without_a_header_rows_are_filled_up_to_the_last_column_that_is_read(void **state)
{
	static const struct config_column identity[] = { { .number = 4 } };

	(void)state;
	lyon()->format.header = false;
	lyon()->trailer.count_column = 6;
	for (int i = 0; i < 2; i++) {
		if (i) {
			lyon()->identity = identity;
			lyon()->n_identity = 1;
		}
		lyon()->fields[TRACK_CARD_ID] = (struct config_field){ .present = true, .column_number = 1 };
		lyon()->fields[TRACK_TYPE] = (struct config_field){ .present = true, .column_number = 3 };
		write_rejects("UTF-8", "x\ny;1\nz;1;2;3;4\n", ROWS({ "x\n", 1, "", "r" }, { "z;1;2;3;4\n", 3, "3", "r" }));
		assert_rejects("UTF-8", i ? "x;;;;1;;r\nz;1;2;3;4;3;3;r\n" : "x;;;1;;r\nz;1;2;3;4;3;3;r\n");
		tear_down(state);
		set_up(state);
		lyon()->format.header = false;
	}
}

static void where_cells_are_never_quoted_a_reason_has_no_delimiter(void **state)
{
	(void)state;
	lyon()->format.quote = 0;
	write_rejects("UTF-8", "A;B\nx\";1\n", ROWS({ "x\";1\n", 2, "B;b", "a;\"b\"\r\nc" }));
	assert_rejects("UTF-8", "A;B;line;column;reason\nx\";1;2;B b;a \"b\"  c\n");
}

static void a_trailer_counts_what_is_in_the_rejects_file(void **state)
{
	static const struct {
		enum config_counts counts;
		const char *original, *expected;
	} cases[] = {
		{ CONFIG_ROWS, "TRL;;00002\n", "TRL;;00001\n" },
		{ CONFIG_ROWS, "TRL;;2\n", "TRL;;1\n" },
		{ CONFIG_ROWS_TRAILER, "\"TRL\"; ; \"03\" ;2026;\n\n", "TRL;;02;;\n" },
		{ CONFIG_ROWS_HEADER_TRAILER, " TRL ;x;4", "TRL;;3\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text file = { 0 }, expected = { 0 };

		lyon()->trailer.present = true;
		lyon()->trailer.first_column = "TRL";
		lyon()->trailer.count_column = 3;
		lyon()->trailer.counts = cases[i].counts;
		text_printf(&file, "A;B\nx;1\ny;2\n%s", cases[i].original);
		text_printf(&expected, "A;B;line;column;reason\ny;2;3;B;r\n%s", cases[i].expected);
		write_rejects("UTF-8", file.data, ROWS({ "y;2\n", 3, "B", "r" }));
		assert_rejects("UTF-8", expected.data);
		text_free(&file);
		text_free(&expected);
		tear_down(state);
		set_up(state);
	}
}

static void a_trailer_is_found_at_the_end_of_a_long_file(void **state)
{
	struct text file = { 0 };

	(void)state;
	lyon()->format.encoding = "utf-16le";
	lyon()->trailer.present = true;
	lyon()->trailer.first_column = "TRL";
	lyon()->trailer.count_column = 2;
	text_append_string(&file, MARK "A;B\nx;1\n");
	for (int i = 0; i < 300; i++)
		text_append_string(&file, "y;good\n");
	text_append_string(&file, "TRL;0301\n");
	write_rejects("UTF-16LE", file.data, ROWS({ "x;1\n", 2, "B", "r" }));
	assert_rejects("UTF-16LE", MARK "A;B;line;column;reason\nx;1;2;B;r\nTRL;0001\n");
	text_free(&file);
}

static void a_slice_ends_with_rows_or_bytes(void **state)
{
	struct text file = { 0 };
	int64_t manifest;
	struct queue_errand errand;
	struct rejects *rejects;
	struct error err;
	int slices = 1;
	scoped_free char *found = NULL;

	(void)state;
	text_append_string(&file, "A;B\n");
	for (int i = 0; i < 700 * 1024; i++)
		text_append(&file, "z", 1);
	text_append_string(&file, ";1\nx;2\n");
	manifest = record(LYON, "dispatch.csv", file.data, file.length);
	add_rejected(manifest, 2, 4, 700 * 1024 + 3, "A", "r");
	add_rejected(manifest, 2, 4, 700 * 1024 + 3, "A", "r");
	for (int i = 0; i < REJECTS_SLICE_ROWS; i++)
		add_rejected(manifest, 3, (int64_t)file.length - 4, 4, "B", "r");
	release(manifest);
	errand = errand_of(QUEUE_REJECTS, manifest);
	assert_true(rejects_begin(&stand.config, &errand, &rejects, &err));
	for (; rejects_slice(rejects, stand.queue, &err) == SHEET_MORE; slices++)
		assert_no_file("out/dispatch.1.rejects.csv");
	rejects_free(rejects);
	queue_errand_free(&errand);
	assert_int_equal(slices, 3);
	found = get("out/dispatch.1.rejects.csv");
	assert_int_equal(strlen(found),
			 strlen("A;B;line;column;reason\n") + 2 * (700 * 1024 + 9) + REJECTS_SLICE_ROWS * strlen("x;2;3;B;r\n"));
	text_free(&file);
}

static void a_copy_that_became_shorter_is_an_error(void **state)
{
	int64_t manifest = record(LYON, "dispatch.csv", "A;B\nx;1\n", 8);
	struct queue_errand errand;
	struct rejects *rejects;
	struct error err;

	(void)state;
	add_rejected(manifest, 2, 4, 5, "B", "r");
	release(manifest);
	errand = errand_of(QUEUE_REJECTS, manifest);
	assert_true(rejects_begin(&stand.config, &errand, &rejects, &err));
	assert_int_equal(rejects_slice(rejects, stand.queue, &err), SHEET_FAILED);
	assert_int_equal(err.code, ERROR_DATA);
	rejects_free(rejects);
	put_bytes("spool/1", "\r", 1);
	assert_false(rejects_begin(&stand.config, &errand, &rejects, &err));
	assert_int_equal(err.code, ERROR_DATA);
	errand.source = -1;
	assert_false(rejects_begin(&stand.config, &errand, &rejects, &err));
	assert_int_equal(err.code, ERROR_CONFIG);
	queue_errand_free(&errand);
	assert_int_equal(files_in("out"), 0);
}

/* Reads a file as the loader does; its rejected rows go to the manifest, if there is one. Gives how many rows were good. */
static int load(const char *name, int64_t manifest, int *ret_rejected)
{
	int fd = open(below(name), O_RDONLY), good = 0;
	struct manifest_reader *reader;
	struct queue_row_new row;
	enum manifest_step step;
	struct error err = { 0 };

	assert_true(fd >= 0);
	assert_true(manifest_reader_open(fd, lyon(), &stand.config, 0, &reader, &err));
	*ret_rejected = 0;
	while ((step = manifest_reader_next(reader, &row, &err)) == MANIFEST_ROW) {
		good += row.state == ROW_QUEUED;
		if (row.state != ROW_REJECTED)
			continue;
		++*ret_rejected;
		if (manifest)
			add_rejected(manifest, row.line, row.byte_offset, row.byte_length, row.column, row.reason);
	}
	if (step != MANIFEST_END)
		fail_msg("%s", err.text);
	manifest_reader_close(reader);
	close(fd);
	return good;
}

/* The cells that are wrong are all of one kind; this is what a person does to them. */
static void correct(const char *from, const char *to, const char *encoding)
{
	struct text wrong = encoded(encoding, "WRONG"), right = encoded(encoding, "RETURN"), text = { 0 }, corrected = { 0 };
	struct error err;
	const char *at, *hit;

	assert_true(file_read(below(from), 1024 * 1024, &text, &err));
	for (at = text.data; (hit = memmem(at, (size_t)(text.data + text.length - at), wrong.data, wrong.length));
	     at = hit + wrong.length) {
		text_append(&corrected, at, (size_t)(hit - at));
		text_append(&corrected, right.data, right.length);
	}
	text_append(&corrected, at, (size_t)(text.data + text.length - at));
	put_bytes(to, corrected.data, corrected.length);
	text_free(&wrong);
	text_free(&right);
	text_free(&text);
	text_free(&corrected);
}

static void a_corrected_rejects_file_can_be_dropped_again(void **state)
{
	static const char *const issuers[] = { "BANKFR0001" };
	static const struct config_endpoint endpoint = { .issuers = issuers, .n_issuers = 1 };
	static const struct {
		const char *encoding, *iconv_name;
		bool header;
		const char *file;
	} cases[] = {
		{ "utf-8", "UTF-8", true,
		  MARK "title\r\nCARD;TYPE;SITE\r\nC1;RETURN;Lyon\r\nC2;WRONG;Lyon\r\n\r\nC3;WRONG;\"L;\r\n1\"\r\nTRL;0003" },
		{ "utf-16", "UTF-16BE", true, MARK "title\nCARD;TYPE;SITE\nC1;RETURN;Lyon\nC2;WRONG;Lyon;\nC3;WRONG;\"L\"\nTRL;3\n" },
		{ "windows-1252", "CP1252", false,
		  "title\nC1;RETURN;Lyon\nC2;WRONG;Orl\xC3\xA9"
		  "ans\nC3;WRONG;\"L\"\nTRL;3\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text bytes = encoded(cases[i].iconv_name, cases[i].file);
		int64_t manifest;
		struct queue_errand errand;
		struct rejects *rejects;
		struct error err = { 0 };
		int rejected;

		stand.config.endpoints = &endpoint;
		stand.config.n_endpoints = 1;
		lyon()->format.encoding = cases[i].encoding;
		lyon()->format.header = cases[i].header;
		lyon()->format.skip_lines = 1;
		lyon()->trailer.present = true;
		lyon()->trailer.first_column = "TRL";
		lyon()->trailer.count_column = 2;
		lyon()->fields[TRACK_ISSUER_ID] = (struct config_field){ .present = true, .value = "BANKFR0001" };
		lyon()->fields[TRACK_CARD_ID] = (struct config_field){ .present = true, .column = "CARD" };
		lyon()->fields[TRACK_TYPE] = (struct config_field){ .present = true, .column = "TYPE" };
		lyon()->fields[TRACK_PRODUCTION_SITE] = (struct config_field){ .present = true, .column = "SITE" };
		for (int field = TRACK_CARD_ID; !cases[i].header && field <= TRACK_PRODUCTION_SITE; field++)
			lyon()->fields[field] = (struct config_field){ .present = true, .column_number = field };
		manifest = record(LYON, "dispatch.csv", bytes.data, bytes.length);
		assert_int_equal(load("spool/1", manifest, &rejected), 1);
		assert_int_equal(rejected, 2);
		release(manifest);
		errand = errand_of(QUEUE_REJECTS, manifest);
		assert_true(rejects_begin(&stand.config, &errand, &rejects, &err));
		assert_int_equal(rejects_slice(rejects, stand.queue, &err), SHEET_DONE);
		rejects_free(rejects);
		queue_errand_free(&errand);
		correct("out/dispatch.1.rejects.csv", "corrected", cases[i].iconv_name);
		assert_int_equal(load("corrected", 0, &rejected), 2);
		assert_int_equal(rejected, 0);
		text_free(&bytes);
		tear_down(state);
		set_up(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rejected_rows_come_back_as_they_were_with_three_cells_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_encoding_keeps_its_bytes_and_its_mark, set_up, tear_down),
		cmocka_unit_test_setup_teardown(quoted_line_ends_stay_inside_header_and_rows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(line_ends_are_those_of_the_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(skipped_lines_and_blank_lines_before_the_header_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_header_there_is_none_and_the_mark_stands_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_single_row_without_a_line_end_gets_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_row_with_too_few_cells_for_the_header_keeps_too_few, set_up, tear_down),
		cmocka_unit_test_setup_teardown(blank_cells_that_no_header_names_are_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_header_rows_are_filled_up_to_the_last_column_that_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(where_cells_are_never_quoted_a_reason_has_no_delimiter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trailer_counts_what_is_in_the_rejects_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_trailer_is_found_at_the_end_of_a_long_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_slice_ends_with_rows_or_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_copy_that_became_shorter_is_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_corrected_rejects_file_can_be_dropped_again, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
