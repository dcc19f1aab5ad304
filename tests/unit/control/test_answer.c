#include "control/answer.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void an_answer_reads_as_written(void **state)
{
	static const char *const lines[] = {
		"{\"status\":0}",
		"{\"status\":0,\"text\":\"3 rows are queued again\",\"rows\":3}",
		"{\"status\":65,\"text\":\"x\",\"rows\":1,\"declined\":2,\"examples\":[{\"row\":5,\"why\":\"gone out\"},{\"row\":6}]}",
		"{\"status\":78,\"manifest\":9007199254740991}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct control_answer answer = { 0 };
		struct text line = { 0 };
		struct error err;

		if (!control_answer_read(lines[i], strlen(lines[i]), &answer, &err))
			fail_msg("%s: %s", lines[i], err.text);
		control_answer_write(&answer, &line);
		assert_int_equal(line.data[line.length - 1], '\n');
		line.data[line.length - 1] = '\0';
		assert_string_equal(line.data, lines[i]);
		text_free(&line);
	}
}

static void what_is_no_answer_is_refused(void **state)
{
	static const struct {
		const char *line, *named;
	} cases[] = {
		{ "", "no JSON object" },
		{ "{}", "'status' is missing" },
		{ "{\"status\":1}", "'status' must be 0 or" },
		{ "{\"status\":-1}", "'status' must be a whole number" },
		{ "{\"status\":79}", "'status' must be a whole number from 0 to 78" },
		{ "{\"status\":true}", "'status'" },
		{ "{\"status\":0,\"status\":0}", "'status' stands there twice" },
		{ "{\"status\":0,\"more\":0}", "'more' is no known key" },
		{ "{\"status\":0,\"text\":\"a\\u001bb\"}", "'text' has control characters" },
		{ "{\"status\":0,\"rows\":-1}", "'rows'" },
		{ "{\"status\":0,\"declined\":0.5}", "'declined'" },
		{ "{\"status\":0,\"manifest\":0}", "'manifest'" },
		{ "{\"status\":0,\"examples\":{}}", "'examples' must be a list" },
		{ "{\"status\":0,\"examples\":[5]}", "'examples' must be a list of objects" },
		{ "{\"status\":0,\"examples\":[{}]}", "'row' is missing" },
		{ "{\"status\":0,\"examples\":[{\"row\":0}]}", "'row' must be" },
		{ "{\"status\":0,\"examples\":[{\"row\":1,\"who\":\"x\"}]}", "'who' is no known key" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct control_answer answer = { .manifest = 42 };
		struct error err = { 0 };

		if (control_answer_read(cases[i].line, strlen(cases[i].line), &answer, &err))
			fail_msg("%s was taken", cases[i].line);
		if (!strstr(err.text, cases[i].named) || err.code != ERROR_DATA)
			fail_msg("%s: %d %s", cases[i].line, (int)err.code, err.text);
		assert_int_equal(answer.manifest, 42);
	}
}

static void more_examples_than_there_is_room_for_are_refused(void **state)
{
	struct control_answer answer = { 0 };
	struct text line = { 0 };
	struct error err;

	(void)state;
	text_append_string(&line, "{\"status\":0,\"examples\":[{\"row\":1}");
	for (int i = 0; i < CONTROL_MOST_EXAMPLES; i++)
		text_append_string(&line, ",{\"row\":1}");
	text_append_string(&line, "]}");
	assert_false(control_answer_read(line.data, line.length, &answer, &err));
	assert_non_null(strstr(err.text, "'examples' must be a list of at most 100"));
	text_free(&line);
}

static void declined_rows_are_counted_and_the_first_ones_named(void **state)
{
	struct control_answer answer = { 0 }, read = { 0 };
	struct text line = { 0 };

	(void)state;
	for (int64_t row = 1; row <= 150; row++)
		control_answer_decline(&answer, row, "row %d is accepted", (int)row);
	assert_int_equal(answer.declined, 150);
	assert_int_equal(answer.n_examples, CONTROL_MOST_EXAMPLES);
	control_answer_write(&answer, &line);
	assert_true(control_answer_read(line.data, line.length - 1, &read, NULL));
	assert_int_equal(read.declined, 150);
	assert_int_equal(read.n_examples, CONTROL_MOST_EXAMPLES);
	assert_int_equal(read.examples[99].row, 100);
	assert_string_equal(read.examples[99].why, "row 100 is accepted");
	text_free(&line);
}

static void an_answer_arrives_whatever_its_words_are(void **state)
{
	struct control_answer answer = { 0 }, read = { 0 };
	struct text line = { 0 };
	char words[CONTROL_MOST_TEXT + 100];
	struct error err;

	(void)state;
	/* Each byte takes four when it is shown; then a character that does not fit whole. */
	memset(words, '\n', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	control_answer_say(&answer, ERROR_DATA, "%s", words);
	assert_int_equal(answer.status, 65);
	assert_int_equal(strlen(answer.text), CONTROL_MOST_TEXT / 4 * 4);
	control_answer_decline(&answer, 1, "%s\xe2\x82\xac\xe2\x82\xac",
			       "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
			       "123456789012345678901234567890123456789012345678901234567");
	assert_int_equal(strlen(answer.examples[0].why), 157);
	/* Put there by hand, with a character cut in two. */
	snprintf(answer.text, sizeof(answer.text), "a\x1b[31m \xe2\x82");
	snprintf(answer.examples[0].why, sizeof(answer.examples[0].why), "b\tc");
	control_answer_write(&answer, &line);
	if (!control_answer_read(line.data, line.length - 1, &read, &err))
		fail_msg("%s", err.text);
	assert_string_equal(read.text, "a\\x1B[31m \\xE2\\x82");
	assert_string_equal(read.examples[0].why, "b\\x09c");
	text_free(&line);
}

static void the_longest_answer_fits_its_line(void **state)
{
	struct control_answer answer = { .rows = INT64_C(9007199254740991) };
	struct text line = { 0 };
	char words[CONTROL_MOST_TEXT + 1];

	(void)state;
	memset(words, '"', CONTROL_MOST_TEXT);
	words[CONTROL_MOST_TEXT] = '\0';
	control_answer_say(&answer, ERROR_NONE, "%s", words);
	for (int i = 0; i < CONTROL_MOST_EXAMPLES; i++)
		control_answer_decline(&answer, INT64_C(9007199254740991), "%s", words);
	control_answer_write(&answer, &line);
	assert_true(line.length < 64 * 1024);
	text_free(&line);
}

static void an_error_becomes_an_answer(void **state)
{
	struct control_answer answer = { 0 };
	struct error err;

	(void)state;
	error_set(&err, ERROR_NO_INPUT, "there is no manifest 7");
	control_answer_fail(&answer, &err);
	assert_int_equal(answer.status, ERROR_NO_INPUT);
	assert_string_equal(answer.text, "there is no manifest 7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_reads_as_written),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(more_examples_than_there_is_room_for_are_refused),
		cmocka_unit_test(declined_rows_are_counted_and_the_first_ones_named),
		cmocka_unit_test(an_answer_arrives_whatever_its_words_are),
		cmocka_unit_test(the_longest_answer_fits_its_line),
		cmocka_unit_test(an_error_becomes_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
