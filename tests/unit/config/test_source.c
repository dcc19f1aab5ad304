#include "bad.h"

static void patterns_and_markers_are_names(void **state)
{
	static const struct bad cases[] = {
		{ "#source", "match: \"*.csv\"", "14:12: 'match' of source 'lyon' must be a list" },
		{ "#source", "match: []", "14:12: 'match' of source 'lyon' must not be empty" },
		{ "#source", "match: [\"\"]", "14:13: 'match' of source 'lyon' must not be empty" },
		{ "#source", "match: [\"a/*.csv\"]",
		  "14:13: 'match' of source 'lyon' must be patterns of names, without a slash and of at most 255 bytes" },
		{ "#source",
		  "match: [\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]",
		  "14:13: 'match' of source 'lyon' must be patterns of names, without a slash and of at most 255 bytes" },
		{ "#source", "complete: { marker: .ok }",
		  "14:17: 'complete.marker' of source 'lyon' has no meaning without 'when: marker'" },
		{ "#source", "complete: { when: marker, marker: done }",
		  "14:39: 'complete.marker' of source 'lyon' must be the end of a name, like .done, of at most 32 bytes" },
		{ "#source", "complete: { when: marker, marker: . }",
		  "14:39: 'complete.marker' of source 'lyon' must be the end of a name, like .done, of at most 32 bytes" },
		{ "#source", "complete: { when: marker, marker: ./x }",
		  "14:39: 'complete.marker' of source 'lyon' must be the end of a name, like .done, of at most 32 bytes" },
		{ "#source", "complete: { when: marker, marker: [] }",
		  "14:39: 'complete.marker' of source 'lyon' must be a single value, not a list" },
		{ "#source", "complete: { when: marker, marker: .xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx }",
		  "14:39: 'complete.marker' of source 'lyon' must be the end of a name, like .done, of at most 32 bytes" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void a_format_that_cannot_be_read_is_rejected(void **state)
{
	static const struct bad cases[] = {
		{ "#source", "format: { encoding: utf-88 }",
		  "14:25: 'format.encoding' of source 'lyon' must be an encoding that iconv -l lists, like utf-8, iso-8859-1 or utf-16le, not 'utf-88'" },
		{ "#source", "format: { encoding: \"utf-8//IGNORE\" }",
		  "14:25: 'format.encoding' of source 'lyon' must be an encoding that iconv -l lists, like utf-8, iso-8859-1 or utf-16le, not 'utf-8//IGNORE'" },
		{ "#source", "format: { encoding: \"\" }", "14:25: 'format.encoding' of source 'lyon' must not be empty" },
		{ "#source", "format: { delimiter: \";;\" }",
		  "14:26: 'format.delimiter' of source 'lyon' must be one character that is no letter, digit, quote or line end, or tab" },
		{ "#source", "format: { delimiter: \"\" }", "14:26: 'format.delimiter' of source 'lyon' must not be empty" },
		{ "#source", "format: { delimiter: a }",
		  "14:26: 'format.delimiter' of source 'lyon' must be one character that is no letter, digit, quote or line end, or tab" },
		{ "#source", "format: { delimiter: 7 }",
		  "14:26: 'format.delimiter' of source 'lyon' must be one character that is no letter, digit, quote or line end, or tab" },
		{ "#source", "format: { delimiter: Z }",
		  "14:26: 'format.delimiter' of source 'lyon' must be one character that is no letter, digit, quote or line end, or tab" },
		{ "#source", "format: { delimiter: '\"' }",
		  "14:26: 'format.delimiter' of source 'lyon' must be one character that is no letter, digit, quote or line end, or tab" },
		{ "#source", "format: { delimiter: \"'\" }",
		  "14:26: 'format.delimiter' of source 'lyon' must be one character that is no letter, digit, quote or line end, or tab" },
		{ "#source", "format: { delimiter: \"\\n\" }",
		  "14:26: 'format.delimiter' of source 'lyon' must be one character that is no letter, digit, quote or line end, or tab" },
		{ "#source", "format: { delimiter: \"\\r\" }",
		  "14:26: 'format.delimiter' of source 'lyon' must be one character that is no letter, digit, quote or line end, or tab" },
		{ "#source", "format: { delimiter: \"§§\" }",
		  "14:26: 'format.delimiter' of source 'lyon' must be one character that is no letter, digit, quote or line end, or tab" },
		{ "#source", "format: { delimiter: \"→\", encoding: iso-8859-1 }",
		  "14:26: 'format.delimiter' of source 'lyon' is no character of its encoding iso-8859-1" },
		{ "#source", "max_file_bytes: 100",
		  "14:21: 'max_file_bytes' of source 'lyon' must be a size like 64KiB, 256MiB or 1GiB, not '100'" },
		{ "#source", "max_rows: 0", "14:15: 'max_rows' of source 'lyon' must be 1 to 999999999, not 0" },
		{ "#source", "max_cell_bytes: 2MiB", "14:21: 'max_cell_bytes' of source 'lyon' must be 1KiB to 1024KiB, not 2MiB" },
		{ "#source", "max_columns: 5000", "14:18: 'max_columns' of source 'lyon' must be 1 to 4096, not 5000" },
		{ "#source", "format: { quote: x }",
		  "14:22: 'format.quote' of source 'lyon' must be one ASCII character that is no letter, digit or blank, or none" },
		{ "#source", "format: { quote: \" \" }",
		  "14:22: 'format.quote' of source 'lyon' must be one ASCII character that is no letter, digit or blank, or none" },
		{ "#source", "format: { quote: \"\\x7f\" }",
		  "14:22: 'format.quote' of source 'lyon' must be one ASCII character that is no letter, digit or blank, or none" },
		{ "#source", "format: { quote: [] }", "14:22: 'format.quote' of source 'lyon' must be a single value, not a list" },
		{ "#source", "format: { delimiter: \"|\", quote: \"|\" }",
		  "14:26: 'format.delimiter' and 'format.quote' of source 'lyon' must not be the same" },
		{ "#source", "format: { quote: \";\" }",
		  "14:13: 'format.delimiter' and 'format.quote' of source 'lyon' must not be the same" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void columns_are_names_only_where_there_is_a_header(void **state)
{
	static const struct bad cases[] = {
		{ "cardId: CARD", "cardId: 0",
		  "17:15: 'fields.cardId' of source 'lyon' must be a column's number from 1 to 4096, not 0 (in quotes it is a header name)" },
		{ "cardId: CARD", "cardId: -1",
		  "17:15: 'fields.cardId' of source 'lyon' must be a column's number from 1 to 4096, not -1 (in quotes it is a header name)" },
		{ "cardId: CARD", "cardId: 4097",
		  "17:15: 'fields.cardId' of source 'lyon' must be a column's number from 1 to 4096, not 4097 (in quotes it is a header name)" },
		{ "cardId: CARD", "cardId: 007",
		  "17:15: 'fields.cardId' of source 'lyon' must be a column's number from 1 to 4096, not 007 (in quotes it is a header name)" },
		{ "cardId: CARD", "cardId: [CARD]", "17:15: 'fields.cardId' of source 'lyon' must be a column or a mapping, not a list" },
		{ "cardId: CARD", "cardId: \"\"", "17:15: 'fields.cardId' of source 'lyon' must not be empty" },
		{ "cardId: CARD", "cardId: {}", "17:15: 'fields.cardId' of source 'lyon' has neither 'column' nor 'value'" },
		{ "cardId: CARD", "cardId: { case: upper }", "17:15: 'fields.cardId' of source 'lyon' has neither 'column' nor 'value'" },
		{ "#source", "format: { header: false }",
		  "17:15: source 'lyon' has no header (format.header: false), so that a column is a number from 1, not 'CARD'" },
		{ "    fields:\n      issuerId: { value: BANKFR0001 }\n      cardId: CARD\n      trackingType: TYPE\n      productionSite: SITE\n      #field\n",
		  "    format: { header: false }\n    identity: [3, \"4\"]\n    fields: { issuerId: 1, cardId: 2, trackingType: 3, productionSite: 4 }\n",
		  "16:19: source 'lyon' has no header (format.header: false), so that a column is a number from 1, not '4'" },
		{ "    fields:\n      issuerId: { value: BANKFR0001 }\n      cardId: CARD\n",
		  "    format: { header: false }\n    fields:\n      issuerId: 1\n      cardId: { case: upper, column: \"3\" }\n",
		  "18:38: source 'lyon' has no header (format.header: false), so that a column is a number from 1, not '3'" },
		{ "#source", "format: { header: false }\n    trailer: { first_column: T, count_column: 2, counts: rows+header+trailer }",
		  "15:58: 'trailer.counts' of source 'lyon' counts a header, which it does not have (format.header: false)" },
		{ "#source", "trailer: { first_column: T, count_column: 2, counts: all }",
		  "14:58: 'trailer.counts' of source 'lyon' must be rows, rows+trailer or rows+header+trailer, not 'all'" },
		{ "#source", "identity: DATE", "14:15: 'identity' of source 'lyon' must be a list" },
		{ "#source", "identity: [\"\"]", "14:16: 'identity' of source 'lyon' must not be empty" },
		{ "#source", "identity: [A, B, A]", "14:22: 'identity' of source 'lyon' has 'A' twice" },
		{ "#source", "identity: [1, 1]", "14:19: 'identity' of source 'lyon' has '1' twice" },
		{ "#source",
		  "identity: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65]",
		  "14:15: 'identity' of source 'lyon' has 65 entries; at most 64 are possible" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void a_tab_has_three_spellings(void **state)
{
	static const char *const spellings[] = { "tab", "\"\\t\"", "'\\t'", "\\t" };

	(void)state;
	for (size_t i = 0; i < COUNT(spellings); i++) {
		scoped_free char *format = bad_repeat("format: { delimiter: ", spellings[i], 1, ", quote: none }");
		struct config *config = expect_good("#source", format);

		assert_string_equal(config->sources[0].format.delimiter, "\t");
		assert_int_equal(config->sources[0].format.quote, 0);
		config_free(config);
	}
}

static void quiet_is_longer_where_a_file_must_stand_still(void **state)
{
	struct config *stable = expect_good("#source", "complete: { when: stable }");
	struct config *marker = expect_good("#source", "complete: { when: marker }");
	struct config *given = expect_good("#source", "complete: { when: stable, quiet: 2s }");

	(void)state;
	assert_int_equal(stable->sources[0].complete.quiet_ms, 10000);
	assert_int_equal(marker->sources[0].complete.quiet_ms, 5000);
	assert_int_equal(given->sources[0].complete.quiet_ms, 2000);
	config_free(stable);
	config_free(marker);
	config_free(given);
}

static void a_header_may_be_a_number_in_quotes_and_a_column_a_number_beside_a_header(void **state)
{
	struct config *config = expect_good("#source", "identity: [\"3\", 4, \"4\", -]");
	const struct config_column *identity = config->sources[0].identity;

	(void)state;
	assert_int_equal(config->sources[0].n_identity, 4);
	assert_string_equal(identity[0].name, "3");
	assert_int_equal(identity[0].number, 0);
	assert_null(identity[1].name);
	assert_int_equal(identity[1].number, 4);
	assert_string_equal(identity[2].name, "4");
	assert_string_equal(identity[3].name, "-");
	config_free(config);
}

static void without_a_header_columns_are_numbers(void **state)
{
	static const char text[] =
		HEAD ENDPOINTS "sources:\n"
			       "  - name: bern\n"
			       "    drop: /srv/bern/in\n"
			       "    format: { header: false }\n"
			       "    identity: [5]\n"
			       "    trailer: { first_column: TRL, count_column: 2, counts: rows+trailer }\n"
			       "    fields: { issuerId: 1, cardId: { column: 2 }, trackingType: 3, productionSite: 4 }\n";
	struct config *config = expect_good(NULL, text);

	(void)state;
	assert_int_equal(config->sources[0].fields[TRACK_CARD_ID].column_number, 2);
	assert_null(config->sources[0].fields[TRACK_CARD_ID].column);
	assert_int_equal(config->sources[0].trailer.counts, CONFIG_ROWS_TRAILER);
	config_free(config);
}

static void any_other_ascii_character_may_be_the_delimiter(void **state)
{
	static const char delimiters[] = ",:;|^~\\ @[{";

	(void)state;
	for (size_t i = 0; delimiters[i]; i++) {
		char piece[] = { delimiters[i], '\0' };
		scoped_free char *format = bad_repeat("format: { delimiter: '", piece, 1, "' }");
		struct config *config = expect_good("#source", format);

		assert_string_equal(config->sources[0].format.delimiter, piece);
		config_free(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_and_markers_are_names),
		cmocka_unit_test(a_format_that_cannot_be_read_is_rejected),
		cmocka_unit_test(columns_are_names_only_where_there_is_a_header),
		cmocka_unit_test(a_tab_has_three_spellings),
		cmocka_unit_test(quiet_is_longer_where_a_file_must_stand_still),
		cmocka_unit_test(a_header_may_be_a_number_in_quotes_and_a_column_a_number_beside_a_header),
		cmocka_unit_test(without_a_header_columns_are_numbers),
		cmocka_unit_test(any_other_ascii_character_may_be_the_delimiter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
