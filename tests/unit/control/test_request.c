#include "control/request.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_string(const char *line, struct control_request *ret_request, struct error *err)
{
	return control_request_read(line, strlen(line), ret_request, err);
}

static void an_order_reads_as_written(void **state)
{
	static const struct {
		const char *line, *described;
	} cases[] = {
		{ "{\"command\":\"retry\",\"manifest\":7,\"state\":\"refused\"}", "--manifest 7 --state refused" },
		{ "{\"command\":\"retry\",\"rows\":[3,9007199254740991],\"dry_run\":true,\"anyway\":true,\"reason\":\"D1 said sorry\"}",
		  "--row 3 --row 9007199254740991 --anyway --dry-run" },
		{ "{\"command\":\"hold\",\"card\":\"CARD-1\",\"reason\":\"\xc3\xa9tude \\\"x\\\"\"}", "--card CARD-1" },
		{ "{\"command\":\"release\",\"all\":true}", "--all" },
		{ "{\"command\":\"cancel\",\"error_code\":\"IT'S BAD\"}", "--error-code 'IT'\\''S BAD'" },
		{ "{\"command\":\"resolve\",\"state\":\"in_doubt\",\"resolution\":\"resend\"}", "--resend --state in_doubt" },
		{ "{\"command\":\"resolve\",\"rows\":[1],\"resolution\":\"accepted\",\"operation_id\":\"op_1-Z\"}",
		  "--accepted --operation-id op_1-Z --row 1" },
		{ "{\"command\":\"reload\",\"manifest\":9007199254740991}", "9007199254740991" },
		{ "{\"command\":\"receipt\",\"manifest\":3}", "3" },
		{ "{\"command\":\"pause\",\"endpoint\":\"bankfr\"}", "bankfr" },
		{ "{\"command\":\"resume\",\"manifest\":3,\"reason\":\"checked\"}", "--manifest 3" },
		{ "{\"command\":\"purge\"}", "" },
		{ "{\"command\":\"purge\",\"older_than_ms\":172800000,\"dry_run\":true}", "--older-than 2d --dry-run" },
		{ "{\"command\":\"purge\",\"older_than_ms\":10800000}", "--older-than 3h" },
		{ "{\"command\":\"purge\",\"older_than_ms\":60000}", "--older-than 1m" },
		{ "{\"command\":\"purge\",\"older_than_ms\":1000}", "--older-than 1s" },
		{ "{\"command\":\"purge\",\"older_than_ms\":1500}", "--older-than 1500ms" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct control_request request;
		struct text line = { 0 }, described = { 0 };
		struct error err;

		if (!read_string(cases[i].line, &request, &err))
			fail_msg("%s: %s", cases[i].line, err.text);
		control_request_write(&request, &line);
		assert_int_equal(line.data[line.length - 1], '\n');
		line.data[line.length - 1] = '\0';
		assert_string_equal(line.data, cases[i].line);
		control_request_describe(&request, &described);
		assert_string_equal(described.data ? described.data : "", cases[i].described);
		assert_true(control_request_check(&request, &err));
		control_request_free(&request);
		text_free(&line);
		text_free(&described);
	}
}

static void every_member_is_read(void **state)
{
	struct control_request r;
	struct error err;

	(void)state;
	assert_true(read_string(" { \"reason\" : \"why\", \"rows\": [5 , 6], \"manifest\":7, \"card\":\"C\", \"state\":\"skipped\","
				"\"error_code\":\"E\", \"all\":false, \"dry_run\":true, \"anyway\":true, \"command\" : \"retry\" } ",
				&r, &err));
	assert_int_equal(r.command, CONTROL_RETRY);
	assert_string_equal(r.reason, "why");
	assert_int_equal(r.n_rows, 2);
	assert_int_equal(r.rows[0], 5);
	assert_int_equal(r.rows[1], 6);
	assert_int_equal(r.manifest, 7);
	assert_string_equal(r.card, "C");
	assert_true(r.by_state);
	assert_int_equal(r.state, ROW_SKIPPED);
	assert_string_equal(r.error_code, "E");
	assert_false(r.all);
	assert_true(r.dry_run && r.anyway);
	control_request_free(&r);
}

static void what_is_not_understood_whole_is_refused(void **state)
{
	static const struct {
		const char *line;
		enum error_code code;
		const char *named;
	} cases[] = {
		{ "", ERROR_DATA, "no JSON object" },
		{ "garbage", ERROR_DATA, "no JSON object" },
		{ "[]", ERROR_DATA, "no JSON object" },
		{ "7", ERROR_DATA, "no JSON object" },
		{ "null", ERROR_DATA, "no JSON object" },
		{ "{\"command\":\"purge\"", ERROR_DATA, "no JSON object" },
		{ "{\"command\":\"purge\",", ERROR_DATA, "no JSON object" },
		{ "{\"command\":\"purge\"}x", ERROR_DATA, "no JSON object" },
		{ "{\"command\":\"purge\"}{}", ERROR_DATA, "no JSON object" },
		{ "{\"command\":\t\"purge\"}", ERROR_DATA, "no line of JSON" },
		{ "{\"command\":\"purge\",\"reason\":\"\xff\"}", ERROR_DATA, "no line of JSON" },
		{ "{\"command\":\"purge\",\"reason\":\"a\\u0000b\"}", ERROR_DATA, "NUL" },
		{ "{\"command\":\"purge\",\"reason\":\"a\\u000ab\"}", ERROR_DATA, "'reason' has control characters" },
		{ "{\"command\":\"purge\",\"reason\":\"a\\u009bb\"}", ERROR_DATA, "'reason' has control characters" },
		{ "{\"command\":\"purge\",\"reason\":\"\"}", ERROR_DATA, "'reason' must have 1 to 512" },
		{ "{\"command\":\"purge\",\"reason\":5}", ERROR_DATA, "'reason' must be a string" },
		{ "{}", ERROR_DATA, "'command' is missing" },
		{ "{\"command\":\"\"}", ERROR_DATA, "'command' must be one of: retry hold" },
		{ "{\"command\":\"explode\"}", ERROR_DATA, "'command' must be one of: retry hold" },
		{ "{\"command\":1}", ERROR_DATA, "'command' must be one of" },
		{ "{\"command\":\"purge\",\"Command\":\"purge\"}", ERROR_DATA, "'Command' is no known key" },
		{ "{\"command\":\"purge\",\"a\\u0007\":1}", ERROR_DATA, "'a\\x07' is no known key" },
		{ "{\"command\":\"purge\",\"command\":\"retry\"}", ERROR_DATA, "'command' stands there twice" },
		{ "{\"command\":\"purge\",\"dry_run\":1}", ERROR_DATA, "'dry_run' must be true or false" },
		{ "{\"command\":\"purge\",\"older_than_ms\":0}", ERROR_DATA, "'older_than_ms' must be a whole number from 1 to" },
		{ "{\"command\":\"purge\",\"older_than_ms\":3153600000001}", ERROR_DATA, "'older_than_ms'" },
		{ "{\"command\":\"reload\",\"manifest\":0}", ERROR_DATA, "'manifest' must be a whole number from 1 to 9007199254740991" },
		{ "{\"command\":\"reload\",\"manifest\":-1}", ERROR_DATA, "'manifest'" },
		{ "{\"command\":\"reload\",\"manifest\":1.5}", ERROR_DATA, "'manifest'" },
		{ "{\"command\":\"reload\",\"manifest\":9007199254740993}", ERROR_DATA, "'manifest'" },
		{ "{\"command\":\"reload\",\"manifest\":1e400}", ERROR_DATA, "'manifest'" },
		{ "{\"command\":\"reload\",\"manifest\":\"1\"}", ERROR_DATA, "'manifest'" },
		{ "{\"command\":\"retry\",\"rows\":7}", ERROR_DATA, "'rows' must be a list" },
		{ "{\"command\":\"retry\",\"rows\":[]}", ERROR_DATA, "'rows' must be a list" },
		{ "{\"command\":\"retry\",\"rows\":[1,0]}", ERROR_DATA, "'rows' must be a whole number from 1" },
		{ "{\"command\":\"retry\",\"rows\":[1,[2]]}", ERROR_DATA, "'rows' must be a whole number from 1" },
		{ "{\"command\":\"retry\",\"state\":\"REFUSED\"}", ERROR_DATA, "'state' must be the name" },
		{ "{\"command\":\"retry\",\"state\":3}", ERROR_DATA, "'state' must be the name" },
		{ "{\"command\":\"retry\",\"card\":\"1234567890123456789012345678901234567890123456789\"}", ERROR_DATA,
		  "'card' must have 1 to 48" },
		{ "{\"command\":\"retry\"}", ERROR_USAGE, "retry needs a selector" },
		{ "{\"command\":\"cancel\",\"all\":false}", ERROR_USAGE, "cancel needs a selector" },
		{ "{\"command\":\"hold\",\"all\":true,\"manifest\":3}", ERROR_USAGE, "'all' does not go with another" },
		{ "{\"command\":\"hold\",\"all\":true,\"anyway\":true}", ERROR_USAGE, "hold does not take 'anyway'" },
		{ "{\"command\":\"retry\",\"all\":true,\"endpoint\":\"x\"}", ERROR_USAGE, "retry does not take 'endpoint'" },
		{ "{\"command\":\"retry\",\"all\":true,\"resolution\":\"resend\"}", ERROR_USAGE, "retry does not take 'resolution'" },
		{ "{\"command\":\"resolve\",\"all\":true}", ERROR_USAGE, "'resolution'" },
		{ "{\"command\":\"resolve\",\"resolution\":\"resend\"}", ERROR_USAGE, "resolve needs a selector" },
		{ "{\"command\":\"resolve\",\"all\":true,\"resolution\":\"no\"}", ERROR_DATA,
		  "'resolution' must be one of: accepted resend" },
		{ "{\"command\":\"resolve\",\"rows\":[1],\"resolution\":\"resend\",\"operation_id\":\"x\"}", ERROR_USAGE,
		  "'operation_id' goes" },
		{ "{\"command\":\"resolve\",\"rows\":[1],\"resolution\":\"accepted\",\"operation_id\":\"a b\"}", ERROR_DATA,
		  "'operation_id' must" },
		{ "{\"command\":\"reload\"}", ERROR_USAGE, "reload needs the number of a manifest" },
		{ "{\"command\":\"receipt\",\"manifest\":1,\"dry_run\":true}", ERROR_USAGE, "receipt does not take 'dry_run'" },
		{ "{\"command\":\"receipt\",\"rows\":[1]}", ERROR_USAGE, "receipt does not take 'rows'" },
		{ "{\"command\":\"pause\"}", ERROR_USAGE, "pause needs an endpoint" },
		{ "{\"command\":\"resume\",\"endpoint\":\"a\",\"manifest\":1}", ERROR_USAGE, "not both" },
		{ "{\"command\":\"purge\",\"manifest\":1}", ERROR_USAGE, "purge does not take 'manifest'" },
		{ "{\"command\":\"purge\",\"endpoint\":\"x\"}", ERROR_USAGE, "does not take 'endpoint'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct control_request request = { .manifest = 42 };
		struct error err = { 0 };

		if (read_string(cases[i].line, &request, &err))
			fail_msg("%s was taken", cases[i].line);
		if (!strstr(err.text, cases[i].named) || err.code != cases[i].code)
			fail_msg("%s: %d %s", cases[i].line, (int)err.code, err.text);
		assert_int_equal(request.manifest, 42);
	}
}

static void a_nul_byte_is_no_end(void **state)
{
	static const char line[] = "{\"command\":\"purge\"}\0,";
	struct control_request request;

	(void)state;
	assert_false(control_request_read(line, sizeof(line) - 1, &request, NULL));
}

/* A backslash before \u0000 makes it text; the one behind does not hide a NUL. */
static void only_a_real_escape_is_a_nul(void **state)
{
	struct control_request request;

	(void)state;
	assert_true(read_string("{\"command\":\"purge\",\"reason\":\"\\\\u0000\"}", &request, NULL));
	assert_string_equal(request.reason, "\\u0000");
	control_request_free(&request);
	assert_false(read_string("{\"command\":\"purge\",\"reason\":\"\\\\\\u0000\"}", &request, NULL));
	assert_false(read_string("{\"command\":\"purge\\", &request, NULL));
}

static void at_most_a_thousand_rows_are_named(void **state)
{
	struct control_request request = { .command = CONTROL_HOLD }, read;
	struct text line = { 0 };
	struct error err;

	(void)state;
	memset(request.reason, '"', CONTROL_MOST_REASON);
	for (int64_t i = 0; i < CONTROL_MOST_ROWS; i++)
		assert_true(control_request_add_row(&request, INT64_C(9007199254740991) - i));
	assert_false(control_request_add_row(&request, 1));
	control_request_write(&request, &line);
	assert_true(line.length < 64 * 1024);
	assert_true(control_request_read(line.data, line.length - 1, &read, &err));
	assert_int_equal(read.n_rows, CONTROL_MOST_ROWS);
	assert_memory_equal(read.rows, request.rows, CONTROL_MOST_ROWS * sizeof(*read.rows));
	control_request_free(&read);
	text_clear(&line);
	text_append_string(&line, "{\"command\":\"hold\",\"rows\":[1");
	for (int i = 0; i < CONTROL_MOST_ROWS; i++)
		text_append_string(&line, ",1");
	text_append_string(&line, "]}");
	assert_false(read_string(line.data, &read, &err));
	assert_non_null(strstr(err.text, "'rows' has more than 1000"));
	text_free(&line);
	control_request_free(&request);
	assert_null(request.rows);
}

static void the_longest_order_fits_its_line(void **state)
{
	struct control_request request = { .command = CONTROL_CANCEL };
	struct text line = { 0 };

	(void)state;
	for (int64_t row = UINT32_MAX; request.n_rows < CONTROL_MOST_ROWS; row--)
		assert_true(control_request_add_row(&request, row));
	memset(request.reason, '\\', CONTROL_MOST_REASON);
	assert_true(control_request_check(&request, NULL));
	control_request_write(&request, &line);
	assert_true(line.length < 64 * 1024);
	text_free(&line);
	control_request_free(&request);
}

static void a_command_checks_its_own_order_as_the_daemon_would(void **state)
{
	struct control_request request = { .command = CONTROL_HOLD, .all = true, .reason = "one\ntwo" };
	struct error err;

	(void)state;
	assert_false(control_request_check(&request, &err));
	assert_non_null(strstr(err.text, "'reason' has control characters"));
	memcpy(request.reason, "\xff", 2);
	assert_false(control_request_check(&request, &err));
	request.reason[0] = '\0';
	assert_true(control_request_check(&request, &err));
	request = (struct control_request){ 0 };
	assert_false(control_request_check(&request, &err));
	assert_non_null(strstr(err.text, "'command' is missing"));
}

static void commands_have_names(void **state)
{
	(void)state;
	assert_string_equal(control_command_name(CONTROL_RETRY), "retry");
	assert_string_equal(control_command_name(CONTROL_PURGE), "purge");
	assert_string_equal(control_command_name(CONTROL_NONE), "");
	assert_string_equal(control_command_name(CONTROL_N_COMMANDS), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_order_reads_as_written),
		cmocka_unit_test(every_member_is_read),
		cmocka_unit_test(what_is_not_understood_whole_is_refused),
		cmocka_unit_test(a_nul_byte_is_no_end),
		cmocka_unit_test(only_a_real_escape_is_a_nul),
		cmocka_unit_test(at_most_a_thousand_rows_are_named),
		cmocka_unit_test(the_longest_order_fits_its_line),
		cmocka_unit_test(a_command_checks_its_own_order_as_the_daemon_would),
		cmocka_unit_test(commands_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
