#include "submit/http_head.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void feed(struct http_head *head, const char *line)
{
	http_head_line(head, line, strlen(line));
}

static void only_a_complete_status_line_counts(void **state)
{
	static const struct {
		const char *line;
		int status;
	} cases[] = {
		{ "HTTP/1.1 202 Accepted\r\n", 202 },
		{ "HTTP/1.0 503 Busy\n", 503 },
		{ "HTTP/2 202 \r\n", 202 },
		{ "HTTP/2 202\r\n", 202 },
		{ "HTTP/2 202\n", 202 },
		{ "http/1.1 400 lower\r\n", 400 },
		{ "HTTP/1.1 999 new\r\n", 999 },
		{ "HTTP/1.1 202 Accepted\r", 0 },
		{ "HTTP/1.1 202 Accepted", 0 },
		{ "HTTP/1.1 202", 0 },
		{ "HTTP/1.1 20", 0 },
		{ "HTTP/1.1 20\r\n", 0 },
		{ "HTTP/1.1 2020 Long\r\n", 0 },
		{ "HTTP/1.1 2x2 Letters\r\n", 0 },
		{ "HTTP/1.1 x22 Letters\r\n", 0 },
		{ "HTTP/1.1 22x Letters\r\n", 0 },
		{ "HTTP/1.1 022 Zero\r\n", 0 },
		{ "HTTP/1.1\r\n", 0 },
		{ "HTTP/1.1 100 Continue\r\n", 0 },
		{ "HTTP/1.1 199 Interim\r\n", 0 },
		{ "ICY 200 OK\r\n", 0 },
		{ "", 0 },
		{ "\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct http_head head = { 0 };

		feed(&head, cases[i].line);
		if (head.status != cases[i].status)
			fail_msg("%s gave %d", cases[i].line, head.status);
	}
}

static void headers_of_an_interim_answer_are_not_the_answers(void **state)
{
	struct http_head head = { 0 };

	(void)state;
	feed(&head, "HTTP/1.1 103 Early Hints\r\n");
	feed(&head, "Retry-After: 9\r\n");
	feed(&head, "\r\n");
	feed(&head, "HTTP/1.1 503 Busy\r\n");
	feed(&head, "retry-after:  7 \t\r\n");
	feed(&head, "DATE: Sun, 22 Nov 2026 10:00:00 GMT\n");
	feed(&head, "Dated: nothing\r\n");
	feed(&head, "\r\n");
	assert_int_equal(head.status, 503);
	assert_true(head.ended);
	assert_string_equal(head.retry_after, "7");
	assert_string_equal(head.date, "Sun, 22 Nov 2026 10:00:00 GMT");
}

static void trailers_change_nothing(void **state)
{
	struct http_head head = { 0 };

	(void)state;
	feed(&head, "HTTP/1.1 202 Accepted\r\n");
	feed(&head, "\n");
	feed(&head, "HTTP/1.1 503 Busy\r\n");
	feed(&head, "Retry-After: 9\r\n");
	assert_int_equal(head.status, 202);
	assert_string_equal(head.retry_after, "");
}

static void the_first_of_two_values_counts_and_a_long_one_is_cut(void **state)
{
	struct http_head head = { 0 };
	char line[400] = "Date: ";

	(void)state;
	memset(line + 6, 'x', 300);
	line[306] = '\n';
	feed(&head, "HTTP/1.1 503 Busy\r\n");
	feed(&head, "Retry-After: 1\r\n");
	feed(&head, "Retry-After: 2\r\n");
	feed(&head, line);
	assert_string_equal(head.retry_after, "1");
	assert_int_equal(strlen(head.date), HTTP_HEAD_MOST_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_complete_status_line_counts),
		cmocka_unit_test(headers_of_an_interim_answer_are_not_the_answers),
		cmocka_unit_test(trailers_change_nothing),
		cmocka_unit_test(the_first_of_two_values_counts_and_a_long_one_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
