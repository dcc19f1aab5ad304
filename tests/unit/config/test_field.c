#include "bad.h"

static void a_field_that_can_never_be_valid_is_rejected(void **state)
{
	static const struct bad cases[] = {
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { value: BANKFR0001, column: I }",
		  "16:38: 'fields.issuerId.column' of source 'lyon' has no meaning beside 'value'" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { value: BANKFR0001, map: { a: b } }",
		  "16:38: 'fields.issuerId.map' of source 'lyon' has no meaning beside 'value'" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { value: BANKFR0001, default: BANKFR0002 }",
		  "16:38: 'fields.issuerId.default' of source 'lyon' has no meaning beside 'value'" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { case: upper, value: BANKFR0001 }",
		  "16:19: 'fields.issuerId.case' of source 'lyon' has no meaning beside 'value'" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { value: BANKFR }",
		  "16:26: 'fields.issuerId.value' of source 'lyon' must be exactly 10 letters, digits, '_' or '-', not 'BANKFR'" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { value: \"\" }",
		  "16:26: 'fields.issuerId.value' of source 'lyon' must be exactly 10 letters, digits, '_' or '-', not ''" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { value: }",
		  "16:26: 'fields.issuerId.value' of source 'lyon' has no value" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { value: [] }",
		  "16:26: 'fields.issuerId.value' of source 'lyon' must be a single value, not a list" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, map: { A: BANKFR } }",
		  "16:40: 'fields.issuerId.map' of source 'lyon' must be exactly 10 letters, digits, '_' or '-', not 'BANKFR'" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, map: { A: \"\" } }",
		  "16:40: 'fields.issuerId.map' of source 'lyon' must be exactly 10 letters, digits, '_' or '-', not ''" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, default: x }",
		  "16:39: 'fields.issuerId.default' of source 'lyon' must be exactly 10 letters, digits, '_' or '-', not 'x'" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, case: title }",
		  "16:36: 'fields.issuerId.case' of source 'lyon' must be upper or lower, not 'title'" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, otherwise: keep }",
		  "16:30: 'fields.issuerId.otherwise' of source 'lyon' has no meaning without 'map'" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, map: {} }",
		  "16:35: 'fields.issuerId.map' of source 'lyon' must be a mapping of what the file says to what is sent" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, map: [A] }",
		  "16:35: 'fields.issuerId.map' of source 'lyon' must be a mapping of what the file says to what is sent" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, map: { A: [] } }",
		  "16:40: 'fields.issuerId.map' of source 'lyon' must be a single value, not a list" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, map: { A: } }",
		  "16:40: 'fields.issuerId.map' of source 'lyon' has no value" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, map: { A: BANKFR0001 }, otherwise: drop }",
		  "16:65: 'fields.issuerId.otherwise' of source 'lyon' must be reject, keep or skip, not 'drop'" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, timezone: Europe/Paris }",
		  "16:30: 'fields.issuerId.timezone' of source 'lyon' belongs to shipmentDate alone" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, time: 12:00 }",
		  "16:30: 'fields.issuerId.time' of source 'lyon' belongs to shipmentDate alone" },
		{ "issuerId: { value: BANKFR0001 }", "issuerId: { column: I, format: \"%d%m%Y\" }",
		  "16:30: 'fields.issuerId.format' of source 'lyon' belongs to shipmentDate alone" },
		{ "trackingType: TYPE", "trackingType: { column: TYPE, map: { S: SHIPPED } }",
		  "18:47: 'fields.trackingType.map' of source 'lyon' must be PRODUCTION, SHIPMENT or RETURN, not 'SHIPPED'" },
		{ "trackingType: TYPE", "trackingType: { column: TYPE, default: skip }",
		  "18:46: 'fields.trackingType.default' of source 'lyon' must be PRODUCTION, SHIPMENT or RETURN, not 'skip'" },
		{ "trackingType: TYPE", "trackingType: { value: skip }",
		  "18:30: 'fields.trackingType.value' of source 'lyon' must be PRODUCTION, SHIPMENT or RETURN, not 'skip'" },
		{ "productionSite: SITE", "productionSite: { value: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx }",
		  "19:32: 'fields.productionSite.value' of source 'lyon' must be at most 50 characters of UTF-8, not 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'" },
		{ "#field", "countryCode: { value: fr }",
		  "20:29: 'fields.countryCode.value' of source 'lyon' must be two capital letters (ISO 3166-1 alpha-2), not 'fr'" },
		{ "#field", "postalCode: { column: ZIP, default: \"\" }",
		  "20:43: 'fields.postalCode.default' of source 'lyon' must be 1 to 10 capital letters, digits, blanks or '-', not ''" },
		{ "#field", "trackingNumber: { value: \"é\" }",
		  "20:32: 'fields.trackingNumber.value' of source 'lyon' must be 1 to 64 letters, digits, blanks, '_', '-', '.' or '/', not 'é'" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void an_empty_target_is_good_where_something_takes_its_place(void **state)
{
	static const char *const fields[] = {
		"countryCode: { column: C, map: { N/A: \"\", FRANCE: FR, \"\": skip } }",
		"countryCode: { column: C, map: { N/A: \"\" }, default: FR }",
		"shipmentDate: { column: D, map: { none: \"\", soon: whenever }, default: 2026-11-22T10:00:00Z, timezone: UTC }",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++)
		config_free(expect_good("#field", fields[i]));
	config_free(expect_good("trackingType: TYPE", "trackingType: { column: TYPE, map: { x: \"\" }, default: RETURN }"));
}

static void skip_is_no_target_but_an_order(void **state)
{
	struct config *config = expect_good("cardId: CARD", "cardId: { column: CARD, map: { NULL: skip, a: b }, otherwise: skip }");
	const struct config_field *field = &config->sources[0].fields[TRACK_CARD_ID];

	(void)state;
	assert_int_equal(field->n_map, 2);
	assert_string_equal(field->map[0].from, "NULL");
	assert_null(field->map[0].to);
	assert_string_equal(field->map[1].to, "b");
	assert_int_equal(field->otherwise, CONFIG_OTHERWISE_SKIP);
	config_free(config);
}

static void a_production_site_may_be_empty(void **state)
{
	struct config *config = expect_good("productionSite: SITE", "productionSite: { value: \"\" }");

	(void)state;
	assert_string_equal(config->sources[0].fields[TRACK_PRODUCTION_SITE].value, "");
	config_free(config);
}

static void a_map_has_at_most_4096_lines_of_1024_bytes(void **state)
{
	scoped_free char *full = bad_repeat("cardId: { column: C, map: {", "c%zu: x%zu, ", 4096, "} }");
	scoped_free char *more = bad_repeat("cardId: { column: C, map: {\n", "c%zu: x,\n", 4097, "} }");
	scoped_free char *line = bad_repeat("cardId: { column: C, map: { ? \"", "x", 1025, "\" : y } }");
	struct config *config = expect_good("cardId: CARD", full);

	(void)state;
	assert_int_equal(config->sources[0].fields[TRACK_CARD_ID].n_map, 4096);
	assert_string_equal(config->sources[0].fields[TRACK_CARD_ID].map[4095].to, "x4095");
	config_free(config);
	expect_error("cardId: CARD", more, "4114:8: more than 4096 entries");
	expect_error("cardId: CARD", line, "17:37: 'fields.cardId.map' of source 'lyon' has a line longer than 1024 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_field_that_can_never_be_valid_is_rejected),
		cmocka_unit_test(an_empty_target_is_good_where_something_takes_its_place),
		cmocka_unit_test(skip_is_no_target_but_an_order),
		cmocka_unit_test(a_production_site_may_be_empty),
		cmocka_unit_test(a_map_has_at_most_4096_lines_of_1024_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
