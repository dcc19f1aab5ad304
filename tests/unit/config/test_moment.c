#include "bad.h"

static void a_date_that_can_never_be_read_is_rejected(void **state)
{
	static const struct bad cases[] = {
		{ "#field", "shipmentDate: { column: D, format: dd.mm.yyyy, timezone: Europe/Paris }",
		  "20:42: 'fields.shipmentDate.format' of source 'lyon' must be a strptime format like \"%d/%m/%Y %H:%M\", not 'dd.mm.yyyy'" },
		{ "#field", "shipmentDate: { column: D, format: \"%d.%q\", timezone: Europe/Paris }",
		  "20:42: 'fields.shipmentDate.format' of source 'lyon' has a % without one of strptime's letters behind it: '%d.%q'" },
		{ "#field", "shipmentDate: { column: D, format: \"%d%\", timezone: Europe/Paris }",
		  "20:42: 'fields.shipmentDate.format' of source 'lyon' has a % without one of strptime's letters behind it: '%d%'" },
		{ "#field", "shipmentDate: { column: D, format: \"%%\", timezone: Europe/Paris }",
		  "20:42: 'fields.shipmentDate.format' of source 'lyon' must be a strptime format like \"%d/%m/%Y %H:%M\", not '%%'" },
		{ "#field", "shipmentDate: { column: D, format: [] }",
		  "20:42: 'fields.shipmentDate.format' of source 'lyon' must be a single value, not a list" },
		{ "#field", "shipmentDate: { column: D, format: \"%d/%m/%Y %H:%M\" }",
		  "20:42: 'fields.shipmentDate' of source 'lyon' has neither 'timezone' nor %z in its 'format'" },
		{ "#field", "shipmentDate: { column: D, format: \"%d/%m/%Y\", timezone: Europe/Paris }",
		  "20:42: 'fields.shipmentDate' of source 'lyon' has neither 'time' nor a time of day in its 'format'" },
		{ "#field", "shipmentDate: { column: D, timezone: Europe/Pariss }",
		  "20:44: 'fields.shipmentDate.timezone' of source 'lyon' must be an IANA time zone that /usr/share/zoneinfo has, like Europe/Paris, not 'Europe/Pariss'" },
		{ "#field", "shipmentDate: { column: D, timezone: /usr/share/zoneinfo/UTC }",
		  "20:44: 'fields.shipmentDate.timezone' of source 'lyon' must be an IANA time zone that /usr/share/zoneinfo has, like Europe/Paris, not '/usr/share/zoneinfo/UTC'" },
		{ "#field", "shipmentDate: { column: D, timezone: ../zoneinfo/UTC }",
		  "20:44: 'fields.shipmentDate.timezone' of source 'lyon' must be an IANA time zone that /usr/share/zoneinfo has, like Europe/Paris, not '../zoneinfo/UTC'" },
		{ "#field", "shipmentDate: { column: D, timezone: Europe/../UTC }",
		  "20:44: 'fields.shipmentDate.timezone' of source 'lyon' must be an IANA time zone that /usr/share/zoneinfo has, like Europe/Paris, not 'Europe/../UTC'" },
		{ "#field", "shipmentDate: { column: D, timezone: Europe }",
		  "20:44: 'fields.shipmentDate.timezone' of source 'lyon' must be an IANA time zone that /usr/share/zoneinfo has, like Europe/Paris, not 'Europe'" },
		{ "#field", "shipmentDate: { column: D, timezone: zone.tab }",
		  "20:44: 'fields.shipmentDate.timezone' of source 'lyon' must be an IANA time zone that /usr/share/zoneinfo has, like Europe/Paris, not 'zone.tab'" },
		{ "#field", "shipmentDate: { column: D, timezone: \"\" }",
		  "20:44: 'fields.shipmentDate.timezone' of source 'lyon' must not be empty" },
		{ "#field", "shipmentDate: { column: D, time: noon }",
		  "20:40: 'fields.shipmentDate.time' of source 'lyon' must be a time of day like \"12:00\", not 'noon'" },
		{ "#field", "shipmentDate: { column: D, time: \"24:00\" }",
		  "20:40: 'fields.shipmentDate.time' of source 'lyon' must be a time of day like \"12:00\", not '24:00'" },
		{ "#field", "shipmentDate: { column: D, time: [] }",
		  "20:40: 'fields.shipmentDate.time' of source 'lyon' must be a single value, not a list" },
		{ "#field", "shipmentDate: { column: D, default: \"\" }",
		  "20:43: 'fields.shipmentDate.default' of source 'lyon' must not be empty" },
		{ "#field", "shipmentDate: { value: 2026-02-30T10:00:00Z }",
		  "20:30: 'fields.shipmentDate.value' of source 'lyon' must be a date and time that exist, in UTC, like 2026-11-22T10:00:00Z, not '2026-02-30T10:00:00Z'" },
		{ "#field", "shipmentDate: { value: 2026-02-28T10:00:00Z, timezone: UTC }",
		  "20:52: 'fields.shipmentDate.timezone' of source 'lyon' has no meaning beside 'value'" },
		{ "#field", "shipmentDate: { column: D, format: \"%F %T %Z\" }",
		  "20:42: 'fields.shipmentDate' of source 'lyon' has neither 'timezone' nor %z in its 'format'" },
		{ "#field", "shipmentDate: { column: D, format: \"%F %T h\" }",
		  "20:42: 'fields.shipmentDate' of source 'lyon' has neither 'timezone' nor %z in its 'format'" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void a_date_needs_a_zone_and_a_time_from_somewhere(void **state)
{
	static const char *const dates[] = {
		"shipmentDate: D",
		"shipmentDate: { column: D, timezone: Europe/Paris, time: \"12:00\" }",
		"shipmentDate: { column: D, format: \"%d/%m/%Y %H:%M\", timezone: Europe/Paris }",
		"shipmentDate: { column: D, format: \"%Y%m%d\", timezone: UTC, time: 23:59:59 }",
		"shipmentDate: { column: D, format: \"%FT%T%z\" }",
		"shipmentDate: { column: D, format: \"%s\" }",
		"shipmentDate: { column: D, format: \"%Y-%m-%dT%H:%M:%SZ\" }",
		"shipmentDate: { column: D, format: \"100%% %Y-%m-%d %OH:%M\", timezone: America/Argentina/Buenos_Aires }",
		"shipmentDate: { column: D, format: \"%-d %B %Ey %I %p\", timezone: UTC }",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(dates); i++)
		config_free(expect_good("#field", dates[i]));
}

static void a_time_of_day_is_in_seconds(void **state)
{
	struct config *config = expect_good("#field", "shipmentDate: { column: D, time: 12:30 }");

	(void)state;
	assert_int_equal(config->sources[0].fields[TRACK_SHIPMENT_DATE].default_time_s, 45000);
	assert_int_equal(config->sources[0].fields[TRACK_CARD_ID].default_time_s, -1);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_date_that_can_never_be_read_is_rejected),
		cmocka_unit_test(a_date_needs_a_zone_and_a_time_from_somewhere),
		cmocka_unit_test(a_time_of_day_is_in_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
