#include "bad.h"

static void a_value_of_another_type_is_rejected(void **state)
{
	static const struct bad cases[] = {
		{ "version: 1", "version: 2", "1:10: 'version' must be 1; this program knows no other" },
		{ "version: 1", "version: \"1\"", "1:10: 'version' must be 1; this program knows no other" },
		{ "version: 1", "version: 0",
		  "1:10: 'version' is 0: this file is not configured yet; make the endpoints and sources in it your own, then set version to 1" },
		{ "version: 1", "version: [1]", "1:10: 'version' must be 1; this program knows no other" },
		{ NULL, "endpoints: []\n", "1:12: 'endpoints' must not be empty" },
		{ NULL, "endpoints: bankfr\n", "1:12: 'endpoints' must be a list" },
		{ NULL, "endpoints: [bankfr]\n", "1:13: endpoint 1 must be a mapping (key: value)" },
		{ NULL, "- a\n", "1:1: the file must be a mapping (key: value)" },
		{ NULL, "text\n", "1:1: the file must be a mapping (key: value)" },
		{ "{ issuer: BANKFR0001, key: jwt.key, key_id: k1 }", "jwt.key",
		  "9:10: 'jwt' of endpoint 'bankfr' must be a mapping (key: value)" },
		{ "name: bankfr", "name: [bankfr]", "4:11: 'name' of endpoint 1 must be a single value, not a list" },
		{ "name: bankfr", "name: { a: b }", "4:11: 'name' of endpoint 1 must be a single value, not a mapping" },
		{ "name: bankfr", "name: \"\"", "4:11: 'name' of endpoint 1 must not be empty" },
		{ "name: bankfr", "name:", "4:10: 'name' of endpoint 1 has no value" },
		{ "name: bankfr", "name: ~", "4:11: 'name' of endpoint 1 has no value" },
		{ "name: bankfr", "name: bank fr",
		  "4:11: 'name' of endpoint 1 must be 1 to 64 letters, digits, '_', '.' or '-', not 'bank fr'" },
		{ "name: bankfr", "name: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		  "4:11: 'name' of endpoint 1 must be 1 to 64 letters, digits, '_', '.' or '-', not 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'" },
		{ "name: lyon", "name: ../lyon",
		  "12:11: 'name' of source 1 must be 1 to 64 letters, digits, '_', '.' or '-', not '../lyon'" },
		{ "#endpoint", "concurrency: \"8\"", "7:18: 'concurrency' of endpoint 'bankfr' must be a whole number without quotes" },
		{ "#endpoint", "concurrency: eight", "7:18: 'concurrency' of endpoint 'bankfr' must be a whole number, not 'eight'" },
		{ "#endpoint", "concurrency: 010", "7:18: 'concurrency' of endpoint 'bankfr' must be a whole number, not '010'" },
		{ "#endpoint", "concurrency: [8]", "7:18: 'concurrency' of endpoint 'bankfr' must be a single value, not a list" },
		{ "#endpoint", "rate: \"1\"", "7:11: 'rate' of endpoint 'bankfr' must be a number without quotes" },
		{ "#endpoint", "rate: fast", "7:11: 'rate' of endpoint 'bankfr' must be a number, not 'fast'" },
		{ "#endpoint", "rate: [1]", "7:11: 'rate' of endpoint 'bankfr' must be a single value, not a list" },
		{ "#source", "allow_pan_like: yes", "14:21: 'allow_pan_like' of source 'lyon' must be true or false, not 'yes'" },
		{ "#source", "allow_pan_like: \"true\"", "14:21: 'allow_pan_like' of source 'lyon' must be true or false without quotes" },
		{ "#source", "allow_pan_like: [true]", "14:21: 'allow_pan_like' of source 'lyon' must be a single value, not a list" },
		{ "#source", "format: { header: 1 }", "14:23: 'format.header' of source 'lyon' must be true or false, not '1'" },
		{ "#endpoint", "timeout: 60",
		  "7:14: 'timeout' of endpoint 'bankfr' must be a duration like 500ms, 30s, 15m, 72h or 400d, not '60'" },
		{ "#endpoint", "timeout: 1h30m",
		  "7:14: 'timeout' of endpoint 'bankfr' must be a duration like 500ms, 30s, 15m, 72h or 400d, not '1h30m'" },
		{ "#top", "min_free_space: 256MB", "2:17: 'min_free_space' must be a size like 64KiB, 256MiB or 1GiB, not '256MB'" },
		{ "#endpoint", "http: 3", "7:11: 'http' of endpoint 'bankfr' must be 1.1, 2 or auto, not '3'" },
		{ "#endpoint", "http: [2]", "7:11: 'http' of endpoint 'bankfr' must be a single value, not a list" },
		{ "#endpoint", "on_unknown_outcome: retry",
		  "7:25: 'on_unknown_outcome' of endpoint 'bankfr' must be hold or resend, not 'retry'" },
		{ "#endpoint", "on_not_found: [refuse]", "7:19: 'on_not_found' of endpoint 'bankfr' must be a single value, not a list" },
		{ "#source", "complete: closed", "14:15: 'complete' of source 'lyon' must be a mapping (key: value)" },
		{ "#source", "complete: { when: done }",
		  "14:23: 'complete.when' of source 'lyon' must be closed, renamed, stable or marker, not 'done'" },
		{ "#source", "invalid_rows: reject",
		  "14:19: 'invalid_rows' of source 'lyon' must be reject_row or reject_file, not 'reject'" },
		{ "#source", "shipment_without_number: drop",
		  "14:30: 'shipment_without_number' of source 'lyon' must be reject or production, not 'drop'" },
		{ "#source", "trailer: TRL", "14:14: 'trailer' of source 'lyon' must be a mapping (key: value)" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void a_value_out_of_bounds_is_rejected_with_its_bounds(void **state)
{
	static const struct bad cases[] = {
		{ "#endpoint", "concurrency: 0", "7:18: 'concurrency' of endpoint 'bankfr' must be 1 to 1024, not 0" },
		{ "#endpoint", "concurrency: 1025", "7:18: 'concurrency' of endpoint 'bankfr' must be 1 to 1024, not 1025" },
		{ "#endpoint", "concurrency: 99999999999999999999",
		  "7:18: 'concurrency' of endpoint 'bankfr' must be a whole number, not '99999999999999999999'" },
		{ "#endpoint", "rate: 100001", "7:11: 'rate' of endpoint 'bankfr' must be 0 to 100000, not 100001" },
		{ "#endpoint", "timeout: 1ms", "7:14: 'timeout' of endpoint 'bankfr' must be 100ms to 1h, not 1ms" },
		{ "#endpoint", "timeout: 2h", "7:14: 'timeout' of endpoint 'bankfr' must be 100ms to 1h, not 2h" },
		{ "key_id: k1", "key_id: k1, lifetime: 16m", "9:68: 'jwt.lifetime' of endpoint 'bankfr' must be 10s to 15m, not 16m" },
		{ "key_id: k1", "key_id: k1, lifetime: 9s", "9:68: 'jwt.lifetime' of endpoint 'bankfr' must be 10s to 15m, not 9s" },
		{ "#top", "stop_timeout: 2h", "2:15: 'stop_timeout' must be 100ms to 1h, not 2h" },
		{ "#top", "min_free_space: 1025GiB", "2:17: 'min_free_space' must be 0KiB to 1024GiB, not 1025GiB" },
		{ "#top", "retention: { rows: 1s }", "2:20: 'retention.rows' must be 1m to 36500d, not 1s" },
		{ "#top", "retention: { bodies: 40000d }", "2:22: 'retention.bodies' must be 1m to 36500d, not 40000d" },
		{ "#source", "complete: { quiet: 0s }", "14:24: 'complete.quiet' of source 'lyon' must be 10ms to 24h, not 0s" },
		{ "#source", "scan: 1ms", "14:11: 'scan' of source 'lyon' must be 100ms to 24h, not 1ms" },
		{ "#source", "format: { skip_lines: 1001 }", "14:27: 'format.skip_lines' of source 'lyon' must be 0 to 1000, not 1001" },
		{ "#source", "trailer: { first_column: T, count_column: 1 }",
		  "14:47: 'trailer.count_column' of source 'lyon' must be 2 to 4096, not 1" },
		{ "#source", "trailer: { first_column: T, count_column: 4097 }",
		  "14:47: 'trailer.count_column' of source 'lyon' must be 2 to 4096, not 4097" },
		{ "#source", "expect_every: 0s", "14:19: 'expect_every' of source 'lyon' must be 1s to 400d, not 0s" },
		{ "#top",
		  "control_socket: /ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss",
		  "2:17: 'control_socket' must be at most 107 bytes as an absolute path (unix(7))" },
		{ "#top", "control_socket: []", "2:17: 'control_socket' must be a single value, not a list" },
		{ "key_id: k1", "key_id: \"k\\x7f\"", "9:54: 'jwt.key_id' of endpoint 'bankfr' must not have control characters" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void a_text_has_at_most_1024_bytes(void **state)
{
	scoped_free char *text = bad_repeat("key_id: ", "k", 1025, "");
	scoped_free char *longest = bad_repeat("key_id: ", "k", 1024, "");

	(void)state;
	expect_error("key_id: k1", text, "9:54: 'jwt.key_id' of endpoint 'bankfr' is longer than 1024 bytes");
	config_free(expect_good("key_id: k1", longest));
}

static void bounds_belong_to_what_they_bound(void **state)
{
	struct config *config =
		expect_good("#endpoint", "concurrency: 1024\n    timeout: 100ms\n    connect_timeout: 100ms\n    rate: 0.5");

	(void)state;
	assert_int_equal(config->endpoints[0].concurrency, 1024);
	assert_int_equal(config->endpoints[0].timeout_ms, 100);
	assert_true(config->endpoints[0].rate > 0.49 && config->endpoints[0].rate < 0.51);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_of_another_type_is_rejected),
		cmocka_unit_test(a_value_out_of_bounds_is_rejected_with_its_bounds),
		cmocka_unit_test(a_text_has_at_most_1024_bytes),
		cmocka_unit_test(bounds_belong_to_what_they_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
