#include "track/request.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cJSON.h>
#include <cmocka.h>

#define TEN_LETTERS_E "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
#define TEN "1234567890"

static const struct track_request full = {
	.issuer_id = "BANKFR0001",
	.card_id = "card-1_A",
	.type = TRACK_SHIPMENT,
	.production_site = "Lyon",
	.tracking_number = "1Z 999/A-1._",
	.postal_code = "69001",
	.country_code = "FR",
	.shipment_date = 1795341600,
};

static void assert_body(const struct track_request *request, const char *expected)
{
	struct text text = { 0 };

	text_append_string(&text, "before ");
	track_request_body(&text, request);
	assert_string_equal(text.data + strlen("before "), expected);
	assert_int_equal(text.length, strlen(text.data));
	text_free(&text);
}

static void a_shipment_has_all_its_fields_in_a_fixed_order(void **state)
{
	(void)state;
	assert_body(&full, "{\"trackingType\":\"SHIPMENT\",\"trackingNumber\":\"1Z 999/A-1._\",\"shipmentDate\":\"2026-11-22T10:00:00Z\","
			   "\"productionSite\":\"Lyon\",\"postalCode\":\"69001\",\"countryCode\":\"FR\"}");
}

static void absent_optional_fields_are_left_out(void **state)
{
	struct track_request request = full;

	(void)state;
	request.postal_code = NULL;
	request.country_code = NULL;
	assert_body(&request,
		    "{\"trackingType\":\"SHIPMENT\",\"trackingNumber\":\"1Z 999/A-1._\",\"shipmentDate\":\"2026-11-22T10:00:00Z\","
		    "\"productionSite\":\"Lyon\"}");
}

static void fields_that_a_type_does_not_take_are_never_sent(void **state)
{
	struct track_request request = full;

	(void)state;
	request.type = TRACK_PRODUCTION;
	assert_body(&request, "{\"trackingType\":\"PRODUCTION\",\"productionSite\":\"Lyon\"}");
	request.type = TRACK_RETURN;
	assert_body(&request, "{\"trackingType\":\"RETURN\",\"productionSite\":\"Lyon\"}");
}

static void an_empty_site_is_sent_as_an_empty_string(void **state)
{
	struct track_request request = full;

	(void)state;
	request.type = TRACK_RETURN;
	request.production_site = "";
	assert_body(&request, "{\"trackingType\":\"RETURN\",\"productionSite\":\"\"}");
}

static void a_date_that_cannot_be_written_is_left_out(void **state)
{
	struct track_request request = { .type = TRACK_SHIPMENT, .shipment_date = INT64_MAX };

	(void)state;
	assert_body(&request, "{\"trackingType\":\"SHIPMENT\"}");
}

static void strings_are_escaped_as_json(void **state)
{
	struct track_request request = { .type = TRACK_RETURN,
					 .production_site = "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f \u00e9\u2028\U0001f4e6\"" };

	(void)state;
	assert_body(&request, "{\"trackingType\":\"RETURN\",\"productionSite\":\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f "
			      "\u00e9\u2028\U0001f4e6\\\"\"}");
}

static void every_byte_below_128_comes_back_from_a_json_reader(void **state)
{
	(void)state;
	for (char c = 1; c < 127; c++) {
		char site[] = { 'x', c, c, 'y', '\0' };
		struct track_request request = { .type = TRACK_PRODUCTION, .production_site = site };
		struct text text = { 0 };
		cJSON *root;

		track_request_body(&text, &request);
		root = cJSON_Parse(text.data);
		assert_non_null(root);
		assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "productionSite")), site);
		cJSON_Delete(root);
		text_free(&text);
	}
}

static void the_path_names_issuer_and_card(void **state)
{
	struct text text = { 0 };

	(void)state;
	track_request_path(&text, &full);
	assert_string_equal(text.data, "/issuers/BANKFR0001/physicalCards/card-1_A/track");
	text_free(&text);
}

static void each_type_and_field_has_one_name(void **state)
{
	enum track_type type = 0;
	enum track_field field = TRACK_N_FIELDS;

	(void)state;
	for (enum track_type t = TRACK_PRODUCTION; t <= TRACK_RETURN; t++) {
		assert_true(track_type_parse(track_type_name(t), &type));
		assert_int_equal(type, t);
	}
	for (enum track_field f = 0; f < TRACK_N_FIELDS; f++) {
		assert_true(track_field_parse(track_field_name(f), &field));
		assert_int_equal(field, f);
	}
	assert_string_equal(track_type_name(TRACK_SHIPMENT), "SHIPMENT");
	assert_string_equal(track_field_name(TRACK_POSTAL_CODE), "postalCode");
}

static void unknown_names_are_not_parsed_and_unknown_values_have_no_name(void **state)
{
	enum track_type type = TRACK_RETURN;
	enum track_field field = TRACK_TYPE;

	(void)state;
	assert_false(track_type_parse("shipment", &type));
	assert_false(track_type_parse("", &type));
	assert_int_equal(type, TRACK_RETURN);
	assert_false(track_field_parse("carrier", &field));
	assert_int_equal(field, TRACK_TYPE);
	assert_string_equal(track_type_name((enum track_type)0), "");
	assert_string_equal(track_type_name((enum track_type)4), "");
	assert_string_equal(track_field_name(TRACK_N_FIELDS), "");
}

static void only_a_shipment_takes_more_than_the_site(void **state)
{
	(void)state;
	for (enum track_field field = 0; field < TRACK_N_FIELDS; field++) {
		bool common = field == TRACK_ISSUER_ID || field == TRACK_CARD_ID || field == TRACK_TYPE || field == TRACK_PRODUCTION_SITE;

		assert_true(track_type_takes(TRACK_SHIPMENT, field));
		assert_int_equal(track_type_takes(TRACK_PRODUCTION, field), common);
		assert_int_equal(track_type_takes(TRACK_RETURN, field), common);
	}
	assert_false(track_type_takes(TRACK_SHIPMENT, TRACK_N_FIELDS));
}

struct check {
	enum track_field field;
	const char *value;
};

static void values_that_keep_d1s_rules_pass(void **state)
{
	static const struct check cases[] = {
		{ TRACK_ISSUER_ID, "BANKFR0001" },
		{ TRACK_ISSUER_ID, "a-b_c-d_e9" },
		{ TRACK_CARD_ID, "x" },
		{ TRACK_CARD_ID, TEN TEN TEN TEN "abCD_-Zz" },
		{ TRACK_TYPE, "PRODUCTION" },
		{ TRACK_TYPE, "SHIPMENT" },
		{ TRACK_TYPE, "RETURN" },
		{ TRACK_PRODUCTION_SITE, "" },
		{ TRACK_PRODUCTION_SITE, "any \"text\" \x01" },
		{ TRACK_PRODUCTION_SITE, TEN_LETTERS_E TEN_LETTERS_E TEN_LETTERS_E TEN_LETTERS_E TEN_LETTERS_E },
		{ TRACK_TRACKING_NUMBER, "a" },
		{ TRACK_TRACKING_NUMBER, TEN TEN TEN TEN TEN TEN "_-./" },
		{ TRACK_TRACKING_NUMBER, "a b" },
		{ TRACK_POSTAL_CODE, "SW1A 1AA-Z" },
		{ TRACK_POSTAL_CODE, "0" },
		{ TRACK_COUNTRY_CODE, "FR" },
		{ TRACK_COUNTRY_CODE, "AZ" },
		{ TRACK_SHIPMENT_DATE, "2026-11-22T10:00:00Z" },
		{ TRACK_SHIPMENT_DATE, "2024-02-29T23:59:59Z" },
		{ TRACK_SHIPMENT_DATE, "0000-01-01T00:00:00Z" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_null(track_check_field(cases[i].field, cases[i].value));
}

static void values_that_break_d1s_rules_are_refused_with_the_rule(void **state)
{
	static const struct check cases[] = {
		{ TRACK_ISSUER_ID, "" },
		{ TRACK_ISSUER_ID, "BANKFR001" },
		{ TRACK_ISSUER_ID, "BANKFR00011" },
		{ TRACK_ISSUER_ID, "BANK/R0001" },
		{ TRACK_CARD_ID, "" },
		{ TRACK_CARD_ID, TEN TEN TEN TEN TEN },
		{ TRACK_CARD_ID, "a.b" },
		{ TRACK_CARD_ID, "a@" },
		{ TRACK_CARD_ID, "a[" },
		{ TRACK_CARD_ID, "a{" },
		{ TRACK_CARD_ID, "a`" },
		{ TRACK_CARD_ID, "..\n" },
		{ TRACK_CARD_ID, "\u00e9" },
		{ TRACK_TYPE, "" },
		{ TRACK_TYPE, "Shipment" },
		{ TRACK_PRODUCTION_SITE, TEN TEN TEN TEN TEN "1" },
		{ TRACK_PRODUCTION_SITE, "\xe9" },
		{ TRACK_TRACKING_NUMBER, "" },
		{ TRACK_TRACKING_NUMBER, TEN TEN TEN TEN TEN TEN "12345" },
		{ TRACK_TRACKING_NUMBER, "a,b" },
		{ TRACK_TRACKING_NUMBER, "a\tb" },
		{ TRACK_POSTAL_CODE, "" },
		{ TRACK_POSTAL_CODE, "sw1a" },
		{ TRACK_POSTAL_CODE, TEN "1" },
		{ TRACK_POSTAL_CODE, "1_2" },
		{ TRACK_COUNTRY_CODE, "" },
		{ TRACK_COUNTRY_CODE, "F" },
		{ TRACK_COUNTRY_CODE, "FRA" },
		{ TRACK_COUNTRY_CODE, "fr" },
		{ TRACK_COUNTRY_CODE, "F1" },
		{ TRACK_SHIPMENT_DATE, "" },
		{ TRACK_SHIPMENT_DATE, "2026-11-22" },
		{ TRACK_SHIPMENT_DATE, "2026-11-22T10:00:00" },
		{ TRACK_SHIPMENT_DATE, "2026-11-22T10:00:00Z " },
		{ TRACK_SHIPMENT_DATE, "2026-11-22T10:00:00+01:00" },
		{ TRACK_SHIPMENT_DATE, "2026-11-22T10:00:00.000Z" },
		{ TRACK_SHIPMENT_DATE, "2026-02-30T10:00:00Z" },
		{ TRACK_SHIPMENT_DATE, "2026-02-29T10:00:00Z" },
		{ TRACK_SHIPMENT_DATE, "2026-11-22T24:00:00Z" },
		{ TRACK_SHIPMENT_DATE, "2026-11-22T10:00:60Z" },
		{ TRACK_SHIPMENT_DATE, "2026-1/-22T10:00:00Z" },
		{ TRACK_N_FIELDS, "x" },
		{ (enum track_field)(TRACK_N_FIELDS + 1), "x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_non_null(track_check_field(cases[i].field, cases[i].value));
	assert_string_equal(track_check_field(TRACK_CARD_ID, ""), "must be 1 to 48 letters, digits, '_' or '-'");
}

static void dates_are_written_as_d1_wants_them(void **state)
{
	char text[21] = "kept";

	(void)state;
	assert_true(track_date_text(text, 1795341600));
	assert_string_equal(text, "2026-11-22T10:00:00Z");
	assert_true(track_date_text(text, -62167219200));
	assert_string_equal(text, "0000-01-01T00:00:00Z");
	assert_true(track_date_text(text, 253402300799));
	assert_string_equal(text, "9999-12-31T23:59:59Z");
	assert_false(track_date_text(text, 253402300800));
	assert_string_equal(text, "9999-12-31T23:59:59Z");
}

static void card_numbers_are_recognised_by_length_and_check_digit(void **state)
{
	static const char *const pans[] = { "4111111111111111", "5500005555555559", "378282246310005", "4222222222222",
					    "6799990100000000019" };
	static const char *const others[] = {
		"", "4111111111111112", "411111111111111x", "422222222222", "67999901000000000190", "A411111111111111", "00123",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pans) / sizeof(pans[0]); i++)
		assert_true(track_looks_like_pan(pans[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(track_looks_like_pan(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shipment_has_all_its_fields_in_a_fixed_order),
		cmocka_unit_test(absent_optional_fields_are_left_out),
		cmocka_unit_test(fields_that_a_type_does_not_take_are_never_sent),
		cmocka_unit_test(an_empty_site_is_sent_as_an_empty_string),
		cmocka_unit_test(a_date_that_cannot_be_written_is_left_out),
		cmocka_unit_test(strings_are_escaped_as_json),
		cmocka_unit_test(every_byte_below_128_comes_back_from_a_json_reader),
		cmocka_unit_test(the_path_names_issuer_and_card),
		cmocka_unit_test(each_type_and_field_has_one_name),
		cmocka_unit_test(unknown_names_are_not_parsed_and_unknown_values_have_no_name),
		cmocka_unit_test(only_a_shipment_takes_more_than_the_site),
		cmocka_unit_test(values_that_keep_d1s_rules_pass),
		cmocka_unit_test(values_that_break_d1s_rules_are_refused_with_the_rule),
		cmocka_unit_test(dates_are_written_as_d1_wants_them),
		cmocka_unit_test(card_numbers_are_recognised_by_length_and_check_digit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
