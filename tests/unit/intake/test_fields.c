#include "intake/fields.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CELLS = 32 };

#define HEADER "CARD|STATUS|SITE|TRACK|ZIP|COUNTRY|DATE"

static const struct config_map types[] = { { "PRODUCED", "PRODUCTION" }, { "SHIPPED", "SHIPMENT" }, { "RTS", "RETURN" },
					   { "EMBOSSED", NULL },         { "LOST", "VANISHED" },    { "", "RETURN" } };
static const struct config_map countries[] = { { "FRANCE", "FR" }, { "NOWHERE", "" } };

/* The example of a source, with a map that keeps what it does not know for the country. */
static struct config_source example(void)
{
	return (struct config_source){
		.name = "lyon",
		.fields = {
			[TRACK_ISSUER_ID] = { .present = true, .value = "BANKFR0001" },
			[TRACK_CARD_ID] = { .present = true, .column = "CARD" },
			[TRACK_TYPE] = { .present = true, .column = "STATUS", .map = types, .n_map = 5 },
			[TRACK_PRODUCTION_SITE] = { .present = true, .column = "SITE", .default_value = "Lyon" },
			[TRACK_TRACKING_NUMBER] = { .present = true, .column = "TRACK" },
			[TRACK_POSTAL_CODE] = { .present = true, .column = "ZIP", .letter_case = CONFIG_CASE_UPPER },
			[TRACK_COUNTRY_CODE] = { .present = true, .column = "COUNTRY", .map = countries, .n_map = 2,
						 .otherwise = CONFIG_OTHERWISE_KEEP },
			[TRACK_SHIPMENT_DATE] = { .present = true, .column = "DATE", .date_format = "%d/%m/%Y %H:%M",
						  .timezone = "Europe/Paris", .default_time_s = -1 },
		},
	};
}

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

static struct fields *fields_of(const struct config_source *source, const char *header)
{
	struct span cells[MOST_CELLS];
	struct csv_record record;
	struct fields *fields = NULL;
	struct error err;

	if (header)
		record = record_of(cells, header);
	assert_true(fields_open(source, header ? &record : NULL, &fields, &err));
	return fields;
}

static const char *or_dash(const char *value)
{
	return value ? value : "-";
}

/* What became of a row on one line: "result column: reason; request". */
static void describe(struct text *text, const struct fields_row *row)
{
	static const char *const results[] = { "request", "skipped", "rejected" };
	const struct track_request *r = &row->request;

	text_append_string(text, results[row->result]);
	if (row->result == FIELDS_REJECTED) {
		text_printf(text, " %s: %s", row->column, row->reason.data);
	} else {
		assert_string_equal(row->column, "");
		assert_int_equal(row->reason.length, 0);
	}
	text_printf(text, "; %s %s %s %s %s %s %s %lld", or_dash(r->issuer_id), or_dash(r->card_id),
		    r->type ? track_type_name(r->type) : "?", or_dash(r->production_site), or_dash(r->tracking_number),
		    or_dash(r->postal_code), or_dash(r->country_code), (long long)r->shipment_date);
}

static void assert_row(struct fields *fields, const char *cells, const char *wanted)
{
	struct span spans[MOST_CELLS];
	struct csv_record record = record_of(spans, cells);
	struct text got = { 0 };

	describe(&got, fields_read(fields, &record));
	assert_string_equal(got.data, wanted);
	text_free(&got);
}

struct row_case {
	const char *cells, *wanted;
};

static void assert_rows(const struct config_source *source, const char *header, const struct row_case *cases, size_t n)
{
	struct fields *fields = fields_of(source, header);

	for (size_t i = 0; i < n; i++)
		assert_row(fields, cases[i].cells, cases[i].wanted);
	fields_close(fields);
}

#define ASSERT_ROWS(source, header, cases) assert_rows(source, header, cases, sizeof(cases) / sizeof((cases)[0]))

static void a_row_becomes_a_request_of_its_type(void **state)
{
	static const struct row_case cases[] = {
		{ "C1|PRODUCED|Oslo||||", "request; BANKFR0001 C1 PRODUCTION Oslo - - - 0" },
		{ " C1\t| SHIPPED | Oslo |6A 1|sw1a 1aa|FRANCE|22/11/2026 10:00",
		  "request; BANKFR0001 C1 SHIPMENT Oslo 6A 1 SW1A 1AA FR 1795338000" },
		{ "C1|RTS|||||", "request; BANKFR0001 C1 RETURN Lyon - - - 0" },
		{ "C1|SHIPPED||T|||22/11/2026 10:00", "request; BANKFR0001 C1 SHIPMENT Lyon T - - 1795338000" },
		{ "C1|SHIPPED||T||DE|22/11/2026 10:00", "request; BANKFR0001 C1 SHIPMENT Lyon T - DE 1795338000" },
		{ "C1|SHIPPED||T||NOWHERE|22/11/2026 10:00", "request; BANKFR0001 C1 SHIPMENT Lyon T - - 1795338000" },
	};
	const struct config_source source = example();

	(void)state;
	ASSERT_ROWS(&source, HEADER, cases);
}

static void what_the_type_does_not_have_is_dropped_unseen(void **state)
{
	static const struct row_case cases[] = {
		{ "C1|PRODUCED|Oslo|???|zu lang für D1|Deutschland|31/02/2026", "request; BANKFR0001 C1 PRODUCTION Oslo - - - 0" },
	};
	const struct config_source source = example();

	(void)state;
	ASSERT_ROWS(&source, HEADER, cases);
}

static void a_bad_value_rejects_the_row_with_column_and_reason(void **state)
{
	static const struct row_case cases[] = {
		{ "C 1|PRODUCED|||||",
		  "rejected CARD: must be 1 to 48 letters, digits, '_' or '-'; BANKFR0001 C 1 PRODUCTION Lyon - - - 0" },
		{ "|PRODUCED|||||", "rejected CARD: is empty; BANKFR0001 - PRODUCTION Lyon - - - 0" },
		{ "C1|shipped|||||", "rejected STATUS: 'shipped' is not in the map of trackingType; BANKFR0001 C1 ? Lyon - - - 0" },
		{ "C1|LOST|||||", "rejected STATUS: 'VANISHED' must be PRODUCTION, SHIPMENT or RETURN; BANKFR0001 C1 ? Lyon - - - 0" },
		{ "C1||||||", "rejected STATUS: is empty; BANKFR0001 C1 ? Lyon - - - 0" },
		{ "C1|SHIPPED|||||22/11/2026 10:00", "rejected TRACK: is empty; BANKFR0001 C1 SHIPMENT Lyon - - - 1795338000" },
		{ "C1|SHIPPED||T|||", "rejected DATE: is empty; BANKFR0001 C1 SHIPMENT Lyon T - - 0" },
		{ "C1|SHIPPED||T|||2026/11/22",
		  "rejected DATE: '2026/11/22' does not match \"%d/%m/%Y %H:%M\"; BANKFR0001 C1 SHIPMENT Lyon T - - 0" },
		{ "C1|SHIPPED||T|a\nb||22/11/2026 10:00",
		  "rejected ZIP: 'A\\x0AB' must be 1 to 10 capital letters, digits, blanks or '-'; BANKFR0001 C1 SHIPMENT Lyon T A\nB - "
		  "1795338000" },
		{ "C1|SHIPPED||T||fr|22/11/2026 10:00",
		  "rejected COUNTRY: 'fr' must be two capital letters (ISO 3166-1 alpha-2); BANKFR0001 C1 SHIPMENT Lyon T - fr 1795338000" },
		/* The first reason stands. */
		{ "C 1|SHIPPED||?|?|?|?",
		  "rejected CARD: must be 1 to 48 letters, digits, '_' or '-'; BANKFR0001 C 1 SHIPMENT Lyon ? ? ? 0" },
		{ "C1|PRODUCED|Oslo||||", "request; BANKFR0001 C1 PRODUCTION Oslo - - - 0" },
	};
	const struct config_source source = example();

	(void)state;
	ASSERT_ROWS(&source, HEADER, cases);
}

static void a_value_too_long_to_keep_is_left_out(void **state)
{
	const struct config_source source = example();
	struct fields *fields = fields_of(&source, HEADER);
	char cells[600];

	(void)state;
	memset(cells, 'x', 300);
	memcpy(cells + 300, "|PRODUCED|||||", sizeof("|PRODUCED|||||"));
	assert_row(fields, cells, "rejected CARD: must be 1 to 48 letters, digits, '_' or '-'; BANKFR0001 - PRODUCTION Lyon - - - 0");
	fields_close(fields);
}

static void a_row_that_is_not_whole_is_rejected_and_shows_what_is_known(void **state)
{
	static const struct row_case cases[] = {
		{ "C1|SHIPPED|Oslo", "rejected : has 3 cells, the header has 7; BANKFR0001 C1 SHIPMENT Oslo - - - 0" },
		{ "C1", "rejected : has 1 cell, the header has 7; BANKFR0001 C1 ? - - - - 0" },
		{ "C1|EMBOSSED", "rejected : has 2 cells, the header has 7; BANKFR0001 C1 ? - - - - 0" },
		{ "C1|RTS||||||x", "rejected : has 8 cells, the header has 7; BANKFR0001 C1 RETURN Lyon - - - 0" },
		{ "C1|RTS|||||| ", "request; BANKFR0001 C1 RETURN Lyon - - - 0" },
	};
	const struct config_source source = example();

	(void)state;
	ASSERT_ROWS(&source, HEADER, cases);
}

static void a_spoiled_record_is_rejected_whatever_its_type(void **state)
{
	const struct config_source source = example();
	struct fields *fields = fields_of(&source, HEADER);
	struct span cells[MOST_CELLS];
	struct csv_record record = record_of(cells, "C1|EMBOSSED|Osl?||||");
	struct text got = { 0 };

	(void)state;
	record.spoiled = "has a NUL character";
	record.spoiled_cell = 2;
	describe(&got, fields_read(fields, &record));
	assert_string_equal(got.data, "rejected SITE: has a NUL character; BANKFR0001 C1 ? - - - - 0");
	text_clear(&got);
	record.spoiled_cell = 4096;
	describe(&got, fields_read(fields, &record));
	assert_string_equal(got.data, "rejected 4097: has a NUL character; BANKFR0001 C1 ? Osl? - - - 0");
	text_free(&got);
	fields_close(fields);
}

static void skip_wins_over_what_is_wrong_with_the_row(void **state)
{
	static const struct config_map sites[] = { { "Test", NULL } };
	static const struct row_case cases[] = {
		{ "C1|EMBOSSED|Oslo||||", "skipped; BANKFR0001 C1 ? - - - - 0" },
		{ "C 1|EMBOSSED|Test||||", "skipped; BANKFR0001 C 1 ? - - - - 0" },
		{ "C1|RTS|Test||||", "skipped; BANKFR0001 C1 RETURN - - - - 0" },
		{ "C1|what|Test||||", "skipped; BANKFR0001 C1 ? - - - - 0" },
		{ "C1|RTS|||||", "request; BANKFR0001 C1 RETURN Lyon - - - 0" },
	};
	struct config_source source = example();

	(void)state;
	source.fields[TRACK_PRODUCTION_SITE].map = sites;
	source.fields[TRACK_PRODUCTION_SITE].n_map = 1;
	ASSERT_ROWS(&source, HEADER, cases);
}

static void a_value_outside_its_map_may_skip_the_row(void **state)
{
	static const struct row_case cases[] = {
		{ "C1|whatever|||||", "skipped; BANKFR0001 C1 ? Lyon - - - 0" },
		{ "C1||||||", "skipped; BANKFR0001 C1 ? Lyon - - - 0" },
		{ "C1|RTS|||||", "request; BANKFR0001 C1 RETURN Lyon - - - 0" },
	};
	static const struct row_case with_default[] = {
		{ "C1|whatever|||||", "skipped; BANKFR0001 C1 ? Lyon - - - 0" },
		{ "C1||||||", "request; BANKFR0001 C1 PRODUCTION Lyon - - - 0" },
	};
	struct config_source source = example();

	(void)state;
	source.fields[TRACK_TYPE].otherwise = CONFIG_OTHERWISE_SKIP;
	ASSERT_ROWS(&source, HEADER, cases);
	source.fields[TRACK_TYPE].default_value = "PRODUCTION";
	ASSERT_ROWS(&source, HEADER, with_default);
}

static void case_comes_before_the_map_and_the_default_after_it(void **state)
{
	static const struct row_case cases[] = {
		{ "C1|shipped||t|||22/11/2026 10:00", "request; BANKFR0001 c1 SHIPMENT Lyon t - - 1795338000" },
		{ "C1||||||", "request; BANKFR0001 c1 RETURN Lyon - - - 0" },
		{ "ÉC1|RTS|||||", "rejected CARD: must be 1 to 48 letters, digits, '_' or '-'; BANKFR0001 Éc1 RETURN Lyon - - - 0" },
		{ "Z[C@1|RTS|||||", "rejected CARD: must be 1 to 48 letters, digits, '_' or '-'; BANKFR0001 z[c@1 RETURN Lyon - - - 0" },
	};
	struct config_source source = example();

	(void)state;
	source.fields[TRACK_TYPE].letter_case = CONFIG_CASE_UPPER;
	source.fields[TRACK_TYPE].n_map = 6;
	source.fields[TRACK_CARD_ID].letter_case = CONFIG_CASE_LOWER;
	ASSERT_ROWS(&source, HEADER, cases);
}

static void a_card_id_is_never_in_a_reason(void **state)
{
	static const struct config_map cards[] = { { "a", "b" } };
	static const struct row_case cases[] = {
		{ "4111111111111111|RTS|||||", "rejected CARD: is not in the map of cardId; BANKFR0001 - RETURN Lyon - - - 0" },
	};
	struct config_source source = example();

	(void)state;
	source.fields[TRACK_CARD_ID].map = cards;
	source.fields[TRACK_CARD_ID].n_map = 1;
	ASSERT_ROWS(&source, HEADER, cases);
}

static void a_shipment_without_a_number_may_become_a_production(void **state)
{
	static const struct row_case cases[] = {
		{ "C1|SHIPPED||  |?|?|?", "request; BANKFR0001 C1 PRODUCTION Lyon - - - 0" },
		{ "C1|SHIPPED||T|||22/11/2026 10:00", "request; BANKFR0001 C1 SHIPMENT Lyon T - - 1795338000" },
		{ "C1|SHIPPED||?|||22/11/2026 10:00",
		  "rejected TRACK: '?' must be 1 to 64 letters, digits, blanks, '_', '-', '.' or '/'; BANKFR0001 C1 SHIPMENT Lyon ? - - "
		  "1795338000" },
	};
	static const struct row_case without_field[] = { { "C1|SHIPPED||T|||", "request; BANKFR0001 C1 PRODUCTION Lyon - - - 0" } };
	struct config_source source = example();

	(void)state;
	source.shipment_without_number_is_production = true;
	ASSERT_ROWS(&source, HEADER, cases);
	source.fields[TRACK_TRACKING_NUMBER].present = false;
	ASSERT_ROWS(&source, HEADER, without_field);
}

static void a_field_that_the_source_does_not_have_is_named(void **state)
{
	static const struct row_case cases[] = {
		{ "C1|RTS|||||", "request; BANKFR0001 C1 RETURN Lyon - - - 0" },
		{ "C1|SHIPPED||T||| 22/11/2026 10:00",
		  "rejected trackingNumber: is needed, and the source has no such field; BANKFR0001 C1 SHIPMENT Lyon - - - 1795338000" },
	};
	struct config_source source = example();

	(void)state;
	source.fields[TRACK_TRACKING_NUMBER].present = false;
	source.fields[TRACK_POSTAL_CODE].present = false;
	source.fields[TRACK_COUNTRY_CODE].present = false;
	ASSERT_ROWS(&source, HEADER, cases);
}

static void the_empty_site_is_sent_only_where_the_source_says_so(void **state)
{
	static const struct row_case sent[] = { { "C1|RTS|x||||", "request; BANKFR0001 C1 RETURN  - - - 0" } };
	static const struct row_case empty[] = { { "C1|RTS| ||||", "request; BANKFR0001 C1 RETURN  - - - 0" } };
	static const struct row_case rejected[] = { { "C1|RTS| ||||", "rejected SITE: is empty; BANKFR0001 C1 RETURN - - - - 0" } };
	struct config_source source = example();

	(void)state;
	source.fields[TRACK_PRODUCTION_SITE] = (struct config_field){ .present = true, .value = "" };
	ASSERT_ROWS(&source, HEADER, sent);
	source.fields[TRACK_PRODUCTION_SITE] = (struct config_field){ .present = true, .column = "SITE", .default_value = "" };
	ASSERT_ROWS(&source, HEADER, empty);
	source.fields[TRACK_PRODUCTION_SITE] = (struct config_field){ .present = true, .column = "SITE" };
	ASSERT_ROWS(&source, HEADER, rejected);
}

static void a_constant_at_fault_is_named_by_its_field(void **state)
{
	static const struct row_case cases[] = {
		{ "C1|RTS|||||", "rejected issuerId: 'BANK' must be exactly 10 letters, digits, '_' or '-'; BANK C1 RETURN Lyon - - - 0" },
	};
	struct config_source source = example();

	(void)state;
	source.fields[TRACK_ISSUER_ID].value = "BANK";
	ASSERT_ROWS(&source, HEADER, cases);
}

static void columns_may_be_numbers(void **state)
{
	static const struct row_case cases[] = {
		{ "RETURN|x|C1", "request; BANKFR0001 C1 RETURN Lyon - - - 0" },
		{ "RETURN|x|C1|y|z", "request; BANKFR0001 C1 RETURN Lyon - - - 0" },
		{ "RETURN|x", "rejected : has 2 cells, column 3 is needed; BANKFR0001 - RETURN Lyon - - - 0" },
		{ "NONE|x|", "rejected 1: 'NONE' must be PRODUCTION, SHIPMENT or RETURN; BANKFR0001 - ? Lyon - - - 0" },
		{ "RETURN|x|", "rejected 3: is empty; BANKFR0001 - RETURN Lyon - - - 0" },
	};
	const struct config_source source = {
		.fields = {
			[TRACK_ISSUER_ID] = { .present = true, .value = "BANKFR0001" },
			[TRACK_CARD_ID] = { .present = true, .column_number = 3 },
			[TRACK_TYPE] = { .present = true, .column_number = 1 },
			[TRACK_PRODUCTION_SITE] = { .present = true, .value = "Lyon" },
		},
	};

	(void)state;
	ASSERT_ROWS(&source, NULL, cases);
}

static void assert_identity(struct fields *fields, const char *cells, const char *wanted, size_t length)
{
	struct span spans[MOST_CELLS];
	struct csv_record record = record_of(spans, cells);
	const struct fields_row *row = fields_read(fields, &record);

	assert_int_equal(row->identity.length, length);
	if (length)
		assert_memory_equal(row->identity.data, wanted, length);
}

static void the_identity_is_the_bytes_of_its_columns(void **state)
{
	static const struct config_column identity[] = { { "SITE", 0 }, { "DATE", 0 } };
	struct config_source source = example();
	struct fields *fields;

	(void)state;
	source.identity = identity;
	source.n_identity = 2;
	fields = fields_of(&source, HEADER);
	assert_identity(fields, "C1|RTS| ab ||||c", "\0\0\2ab\0\0\1c", 9);
	assert_identity(fields, "C1|RTS|a||||bc", "\0\0\1a\0\0\2bc", 9);
	assert_identity(fields, "C1|RTS|||||bc", "\0\0\0\0\0\2bc", 8);
	assert_identity(fields, "C1|RTS| |||| ", "", 0);
	assert_identity(fields, "C1|RTS|a", "", 0);
	fields_close(fields);
	source.n_identity = 0;
	fields = fields_of(&source, HEADER);
	assert_identity(fields, "C1|RTS|a||||bc", "", 0);
	fields_close(fields);
}

static void assert_not_opened(const struct config_source *source, const char *header, const char *wanted)
{
	struct span cells[MOST_CELLS];
	struct csv_record record = record_of(cells, header);
	struct fields *fields = NULL;
	struct error err;

	assert_false(fields_open(source, &record, &fields, &err));
	assert_int_equal(err.code, ERROR_DATA);
	assert_string_equal(err.text, wanted);
	assert_null(fields);
}

static void a_column_that_is_missing_or_doubled_rejects_the_manifest(void **state)
{
	static const struct config_column identity[] = { { "ORDER", 0 } };
	struct config_source source = example();
	struct csv_record spoiled = { .spoiled = "has a NUL character" };
	struct fields *fields = NULL;
	struct error err;

	(void)state;
	assert_not_opened(&source, "CARD|STATE|SITE", "column 'STATUS' is not in the header (found: CARD; STATE; SITE)");
	assert_not_opened(&source, HEADER "|ZIP", "column 'ZIP' stands twice in the header");
	source.identity = identity;
	source.n_identity = 1;
	assert_not_opened(&source, HEADER, "column 'ORDER' is not in the header (found: CARD; STATUS; SITE; TRACK; ZIP; COUNTRY; DATE)");
	assert_false(fields_open(&source, &spoiled, &fields, &err));
	assert_string_equal(err.text, "the header has a NUL character");
	fields_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_becomes_a_request_of_its_type),
		cmocka_unit_test(what_the_type_does_not_have_is_dropped_unseen),
		cmocka_unit_test(a_bad_value_rejects_the_row_with_column_and_reason),
		cmocka_unit_test(a_value_too_long_to_keep_is_left_out),
		cmocka_unit_test(a_row_that_is_not_whole_is_rejected_and_shows_what_is_known),
		cmocka_unit_test(a_spoiled_record_is_rejected_whatever_its_type),
		cmocka_unit_test(skip_wins_over_what_is_wrong_with_the_row),
		cmocka_unit_test(a_value_outside_its_map_may_skip_the_row),
		cmocka_unit_test(case_comes_before_the_map_and_the_default_after_it),
		cmocka_unit_test(a_card_id_is_never_in_a_reason),
		cmocka_unit_test(a_shipment_without_a_number_may_become_a_production),
		cmocka_unit_test(a_field_that_the_source_does_not_have_is_named),
		cmocka_unit_test(the_empty_site_is_sent_only_where_the_source_says_so),
		cmocka_unit_test(a_constant_at_fault_is_named_by_its_field),
		cmocka_unit_test(columns_may_be_numbers),
		cmocka_unit_test(the_identity_is_the_bytes_of_its_columns),
		cmocka_unit_test(a_column_that_is_missing_or_doubled_rejects_the_manifest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
