/*
 * Mutations of good lines, the same ones in every run: whatever comes, a line is taken and says the same when it is written and read again,
 * or it is refused with a text, and the sanitizers stay silent.
 */
#include "control/json.h"

#include "control/answer.h"
#include "control/request.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 50000, MOST_BYTES = 512 };

static const char *const requests[] = {
	"{\"command\":\"retry\",\"manifest\":7,\"state\":\"refused\",\"dry_run\":true,\"anyway\":true,\"reason\":\"because\"}",
	"{\"command\":\"hold\",\"rows\":[1,2,3,9007199254740991],\"card\":\"CARD-1\",\"error_code\":\"E_1\"}",
	"{\"command\":\"resolve\",\"all\":true,\"resolution\":\"accepted\",\"operation_id\":\"op-1\",\"reason\":\"\\u00e9 \\\\ \\\"\"}",
	"{\"command\":\"pause\",\"endpoint\":\"bankfr\",\"reason\":\"\xc3\xa9tude\"}",
	"{\"command\":\"receipt\",\"manifest\":7}",
	"{\"command\":\"purge\",\"older_than_ms\":86400000,\"dry_run\":false}",
};

static const char *const answers[] = {
	"{\"status\":0,\"text\":\"3 rows\",\"rows\":3}",
	"{\"status\":65,\"rows\":1,\"declined\":2,\"examples\":[{\"row\":5,\"why\":\"a later row\"},{\"row\":6}],\"manifest\":9}",
};

/* What breaks readers. */
static const char *const pieces[] = { "\"",
				      "\\",
				      "{",
				      "}",
				      "[",
				      "]",
				      ",",
				      ":",
				      "\\u0000",
				      "\\ud800",
				      "\\ud83d\\ude00",
				      "1e999",
				      "-0",
				      "-",
				      "0x1",
				      "NaN",
				      "null",
				      "true",
				      "\xff",
				      "\xc2\x9b",
				      "\xef\xbb\xbf",
				      "9223372036854775808",
				      "\"rows\":[1]",
				      "\"command\":\"purge\"",
				      "[[[[[[[[[[[[[[[[",
				      "\t",
				      " " };

static uint64_t seed;

/* splitmix64 */
static uint64_t draw(uint64_t below)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % below;
}

static void replace(char *bytes, size_t *length, size_t at, size_t cut, const char *by, size_t by_length)
{
	if (cut > *length - at)
		cut = *length - at;
	if (*length - cut + by_length > MOST_BYTES)
		return;
	memmove(bytes + at + by_length, bytes + at + cut, *length - at - cut);
	memcpy(bytes + at, by, by_length);
	*length = *length - cut + by_length;
}

static void mutate(char *bytes, size_t *length)
{
	for (uint64_t times = 1 + draw(4); times > 0; times--) {
		size_t at = (size_t)draw(*length + 1), from = (size_t)draw(*length + 1);
		const char *piece = pieces[draw(sizeof(pieces) / sizeof(*pieces))];
		char byte = (char)draw(256), copy[16];
		size_t n = *length - from < sizeof(copy) ? *length - from : sizeof(copy);

		memcpy(copy, bytes + from, n);
		switch (draw(6)) {
		case 0: replace(bytes, length, at, 1, &byte, 1); break;
		case 1: replace(bytes, length, at, 0, &byte, 1); break;
		case 2: replace(bytes, length, at, (size_t)draw(8), "", 0); break;
		case 3: replace(bytes, length, at, (size_t)draw(3), piece, strlen(piece)); break;
		case 4: replace(bytes, length, at, 0, copy, n); break;
		case 5: *length = at; break;
		}
	}
}

/* A mutation of a good line in memory of exactly its length, so that a byte read too far is seen. */
static char *mutation(const char *const *lines, size_t n_lines, size_t *ret_length)
{
	const char *line = lines[draw(n_lines)];
	char bytes[MOST_BYTES], *exact;

	*ret_length = strlen(line);
	memcpy(bytes, line, *ret_length);
	mutate(bytes, ret_length);
	exact = malloc(*ret_length ? *ret_length : 1);
	assert_non_null(exact);
	memcpy(exact, bytes, *ret_length);
	return exact;
}

static void mutated_orders_are_taken_whole_or_refused(void **state)
{
	size_t taken = 0;

	(void)state;
	seed = 1;
	for (int i = 0; i < ROUNDS; i++) {
		size_t length;
		char *line = mutation(requests, sizeof(requests) / sizeof(*requests), &length);
		struct control_request request;
		struct text described = { 0 };
		struct error err = { 0 };

		if (control_request_read(line, length, &request, &err)) {
			taken++;
			assert_true(control_request_check(&request, &err));
			control_request_describe(&request, &described);
			assert_true(!described.length || text_utf8_valid(described.data, described.length));
			control_request_free(&request);
			text_free(&described);
		} else {
			assert_true(err.text[0] && (err.code == ERROR_DATA || err.code == ERROR_USAGE));
		}
		free(line);
	}
	/* Otherwise only one of the two ways was looked at. */
	assert_in_range(taken, ROUNDS / 100, ROUNDS / 2);
}

static void mutated_answers_are_taken_whole_or_refused(void **state)
{
	struct control_answer *answer = xcalloc(2, sizeof(*answer));
	struct text written = { 0 }, again = { 0 };
	size_t taken = 0;

	(void)state;
	seed = 2;
	for (int i = 0; i < ROUNDS; i++) {
		size_t length;
		char *line = mutation(answers, sizeof(answers) / sizeof(*answers), &length);
		struct error err = { 0 };

		if (control_answer_read(line, length, &answer[0], &err)) {
			taken++;
			text_clear(&written);
			text_clear(&again);
			control_answer_write(&answer[0], &written);
			assert_true(control_answer_read(written.data, written.length - 1, &answer[1], &err));
			control_answer_write(&answer[1], &again);
			assert_string_equal(written.data, again.data);
		} else {
			assert_true(err.text[0] && err.code == ERROR_DATA);
		}
		free(line);
	}
	assert_in_range(taken, ROUNDS / 100, ROUNDS / 2);
	text_free(&written);
	text_free(&again);
	free(answer);
}

static void nesting_without_end_is_refused(void **state)
{
	struct text line = { 0 };
	struct error err;
	struct control_request request;

	(void)state;
	text_append_string(&line, "{\"rows\":");
	while (line.length < CONTROL_MOST_LINE)
		text_append(&line, "[", 1);
	assert_false(control_request_read(line.data, line.length, &request, &err));
	assert_int_equal(err.code, ERROR_DATA);
	text_free(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutated_orders_are_taken_whole_or_refused),
		cmocka_unit_test(mutated_answers_are_taken_whole_or_refused),
		cmocka_unit_test(nesting_without_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
