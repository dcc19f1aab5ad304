#include "track/verdict.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct track_policy plain = { 0 };
static const struct track_policy resend = { .resend_unknown = true };
static const struct track_policy retry_404 = { .retry_not_found = true };

/* The body is copied to memory of exactly its size, so that a sanitizer sees every byte that is read too far. */
static struct track_verdict judge_with(int status, const char *body, size_t length, const struct track_policy *policy)
{
	char *exact = malloc(length ? length : 1);
	struct track_answer answer = { .http_status = status, .body_handed_over = true, .body = exact, .body_length = length };
	struct track_verdict verdict;

	assert_non_null(exact);
	memcpy(exact, body, length);
	verdict = track_judge(&answer, policy);
	free(exact);
	return verdict;
}

static struct track_verdict judge(int status, const char *body, const struct track_policy *policy)
{
	return judge_with(status, body, strlen(body), policy);
}

static struct track_verdict judge_silence(enum track_fault fault, bool handed_over, const char *what, const struct track_policy *policy)
{
	struct track_answer answer = { .fault = fault, .body_handed_over = handed_over, .what = what };

	return track_judge(&answer, policy);
}

static void assert_verdict(const struct track_verdict *verdict, enum track_outcome outcome, bool later, enum track_health health)
{
	assert_int_equal(verdict->outcome, outcome);
	assert_int_equal(verdict->later, later);
	assert_int_equal(verdict->health, health);
}

static void a_202_is_accepted_with_its_operation_id(void **state)
{
	struct track_verdict verdict = judge(202, "{\"operationId\":\"op-1_A\",\"new\":[1]}", &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_ACCEPTED, false, TRACK_HEALTH_GOOD);
	assert_string_equal(verdict.operation_id, "op-1_A");
	assert_string_equal(verdict.error_code, "");
	assert_string_equal(verdict.detail, "");
}

static void an_operation_id_may_have_64_characters(void **state)
{
	static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	char body[128];
	struct track_verdict verdict;

	(void)state;
	snprintf(body, sizeof(body), "{\"operationId\":\"%s\"}", id);
	verdict = judge(202, body, &plain);
	assert_string_equal(verdict.operation_id, id);
	snprintf(body, sizeof(body), "{\"operationId\":\"%sg\"}", id);
	verdict = judge(202, body, &plain);
	assert_string_equal(verdict.operation_id, "");
}

static void a_202_without_a_usable_operation_id_is_accepted_and_says_so(void **state)
{
	static const struct {
		const char *body, *detail;
	} cases[] = {
		{ "", "accepted without an operationId: no JSON in the answer" },
		{ "<html>ok</html>", "accepted without an operationId: no JSON in the answer" },
		{ "{\"operationId\":\"op-1", "accepted without an operationId: no JSON in the answer" },
		{ "{\"operationId\":\"op-1\",", "accepted without an operationId: no JSON in the answer" },
		{ "{}", "accepted without an operationId" },
		{ "[\"operationId\"]", "accepted without an operationId" },
		{ "{\"operationId\":17}", "accepted without an operationId" },
		{ "{\"operationId\":null}", "accepted without an operationId" },
		{ "{\"OperationID\":\"x\"}", "accepted without an operationId" },
		{ "{\"operationId\":\"\"}", "accepted without a usable operationId: " },
		{ "{\"operationId\":\"a b\\n\"}", "accepted without a usable operationId: a b\\x0A" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct track_verdict verdict = judge(202, cases[i].body, &plain);

		assert_verdict(&verdict, TRACK_ACCEPTED, false, TRACK_HEALTH_GOOD);
		assert_string_equal(verdict.operation_id, "");
		assert_string_equal(verdict.detail, cases[i].detail);
	}
}

static void a_202_counts_even_if_the_body_was_not_handed_over_or_the_connection_broke_after_it(void **state)
{
	struct track_answer answer = { .fault = TRACK_FAULT_CONNECTION, .http_status = 202, .what = "reset" };
	struct track_verdict verdict = track_judge(&answer, &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_ACCEPTED, false, TRACK_HEALTH_GOOD);
}

static void a_400_is_refused_with_d1s_code_and_words(void **state)
{
	struct track_verdict verdict = judge(400, "{\"errorCode\":\"FIELD_INVALID_FORMAT\",\"error\":\"postalCode \\u00e9\\n\"}", &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_REFUSED, false, TRACK_HEALTH_GOOD);
	assert_string_equal(verdict.error_code, "FIELD_INVALID_FORMAT");
	assert_string_equal(verdict.detail, "postalCode \u00e9\\x0A");
}

static void a_404_is_refused(void **state)
{
	struct track_verdict verdict = judge(404, "", &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_REFUSED, false, TRACK_HEALTH_GOOD);
	assert_string_equal(verdict.detail, "");
}

static void a_404_goes_back_later_where_the_card_may_be_registered_later(void **state)
{
	struct track_verdict verdict = judge(404, "{}", &retry_404);

	(void)state;
	assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_GOOD);
}

static void every_other_4xx_is_refused(void **state)
{
	(void)state;
	for (int status = 400; status <= 499; status++) {
		bool named = status == 401 || status == 403 || status == 404 || status == 407 || status == 408 || status == 429;
		struct track_verdict verdict = judge(status, "", &retry_404);

		if (!named)
			assert_verdict(&verdict, TRACK_REFUSED, false, TRACK_HEALTH_GOOD);
	}
}

static void a_407_goes_back_and_blames_the_proxy(void **state)
{
	struct track_verdict verdict = judge(407, "", &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_PROXY);
}

static void a_401_goes_back_at_once_for_a_new_token(void **state)
{
	struct track_verdict verdict = judge(401, "{\"errorCode\":\"AUTHORIZER_UNAUTHORIZED\"}", &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_BACK, false, TRACK_HEALTH_TOKEN);
	assert_string_equal(verdict.error_code, "AUTHORIZER_UNAUTHORIZED");
}

static void a_403_for_the_card_product_is_refused(void **state)
{
	struct track_verdict verdict = judge(403, "{\"errorCode\":\"OPERATION_NOT_ALLOWED\"}", &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_REFUSED, false, TRACK_HEALTH_GOOD);
	assert_string_equal(verdict.error_code, "OPERATION_NOT_ALLOWED");
}

static void any_other_403_goes_back_later(void **state)
{
	static const char *const bodies[] = {
		"",
		"<html>",
		"{}",
		"{\"errorCode\":\"AUTHORIZER_FORBIDDEN\"}",
		"{\"errorCode\":\"operation_not_allowed\"}",
		"{\"errorCode\":[\"OPERATION_NOT_ALLOWED\"]}",
		"{\"error\":\"OPERATION_NOT_ALLOWED\"}",
		"{\"errorCode\":\"OPERATION_NOT_ALLOWED\"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct track_verdict verdict = judge(403, bodies[i], &plain);

		assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_FORBIDDEN);
	}
}

static void the_fifth_403_for_a_row_alone_is_refused(void **state)
{
	const struct track_policy four = { .forbidden_before = 4 }, three = { .forbidden_before = 3 };
	struct track_verdict verdict = judge(403, "", &three);

	(void)state;
	assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_FORBIDDEN);
	verdict = judge(403, "", &four);
	assert_verdict(&verdict, TRACK_REFUSED, false, TRACK_HEALTH_FORBIDDEN);
}

static void a_429_goes_back_later(void **state)
{
	struct track_verdict verdict = judge(429, "{\"message\":\"slow down\"}", &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_BUSY);
}

static void a_503_goes_back_later(void **state)
{
	struct track_verdict verdict = judge(503, "", &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_BUSY);
}

static void a_500_is_refused_because_d1_says_not_to_retry(void **state)
{
	struct track_verdict verdict = judge(500, "{\"errorCode\":\"INTERNAL_ERROR\"}", &resend);

	(void)state;
	assert_verdict(&verdict, TRACK_REFUSED, false, TRACK_HEALTH_GOOD);
	assert_string_equal(verdict.error_code, "INTERNAL_ERROR");
}

static const int unknown_statuses[] = { 200, 201, 203, 204, 206, 299, 408, 501, 502, 504, 505, 511, 520, 599, 600, 999 };

static enum track_health health_of(int status)
{
	return status == 408 || status == 504 ? TRACK_HEALTH_SLOW : TRACK_HEALTH_BROKEN;
}

static void a_status_that_does_not_tell_what_was_done_leaves_doubt(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(unknown_statuses) / sizeof(unknown_statuses[0]); i++) {
		struct track_verdict verdict = judge(unknown_statuses[i], "<html>", &plain);
		char expected[100];

		assert_verdict(&verdict, TRACK_IN_DOUBT, false, health_of(unknown_statuses[i]));
		snprintf(expected, sizeof(expected), "status %d after the whole request was sent: it may have been done",
			 unknown_statuses[i]);
		assert_string_equal(verdict.detail, expected);
		assert_string_equal(verdict.operation_id, "");
	}
}

static void a_status_that_does_not_tell_goes_back_later_where_unknown_is_resent(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(unknown_statuses) / sizeof(unknown_statuses[0]); i++) {
		struct track_verdict verdict = judge(unknown_statuses[i], "", &resend);

		assert_verdict(&verdict, TRACK_BACK, true, health_of(unknown_statuses[i]));
	}
}

static void a_502_in_the_middle_of_the_request_leaves_doubt_as_well(void **state)
{
	struct track_answer answer = { .http_status = 502 };
	struct track_verdict verdict = track_judge(&answer, &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_IN_DOUBT, false, TRACK_HEALTH_BROKEN);
	assert_string_equal(verdict.detail, "status 502 before the whole request was sent: it may have been done");
}

static void an_operation_id_under_another_2xx_is_only_shown(void **state)
{
	struct track_verdict verdict = judge(200, "{\"operationId\":\"op-7\"}", &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_IN_DOUBT, false, TRACK_HEALTH_BROKEN);
	assert_string_equal(verdict.operation_id, "");
	assert_string_equal(verdict.detail, "status 200 after the whole request was sent: it may have been done; operationId op-7");
}

static void a_3xx_goes_back_and_is_a_redirect(void **state)
{
	(void)state;
	for (int status = 300; status <= 399; status++) {
		struct track_verdict verdict = judge(status, "<html>", &resend);

		assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_REDIRECT);
	}
}

static void what_was_not_sent_whole_goes_back_later(void **state)
{
	struct track_verdict verdict = judge_silence(TRACK_FAULT_CONNECTION, false, "Connection refused", &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_UNREACHABLE);
	assert_string_equal(verdict.detail, "the request was not sent whole: Connection refused");
}

static void silence_until_the_time_out_is_slowness_where_all_was_sent(void **state)
{
	struct track_verdict sent = judge_silence(TRACK_FAULT_TIME_OUT, true, "Timeout was reached", &plain);
	struct track_verdict unsent = judge_silence(TRACK_FAULT_TIME_OUT, false, "Timeout was reached", &plain);
	struct track_verdict odd = judge_silence((enum track_fault)(TRACK_FAULT_CERTIFICATE + 1), true, NULL, &plain);

	(void)state;
	assert_verdict(&sent, TRACK_IN_DOUBT, false, TRACK_HEALTH_SLOW);
	assert_string_equal(sent.detail, "no answer after the whole request was sent: Timeout was reached");
	assert_verdict(&unsent, TRACK_BACK, true, TRACK_HEALTH_UNREACHABLE);
	assert_verdict(&odd, TRACK_IN_DOUBT, false, TRACK_HEALTH_BROKEN);
}

static void a_certificate_that_fails_before_the_body_goes_back_later(void **state)
{
	struct track_verdict verdict = judge_silence(TRACK_FAULT_CERTIFICATE, false, NULL, &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_CERTIFICATE);
	assert_string_equal(verdict.detail, "the request was not sent whole");
}

static void no_answer_after_the_body_leaves_doubt(void **state)
{
	struct track_verdict verdict = judge_silence(TRACK_FAULT_CONNECTION, true, "Connection reset\r\n", &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_IN_DOUBT, false, TRACK_HEALTH_BROKEN);
	assert_string_equal(verdict.detail, "no answer after the whole request was sent: Connection reset\\x0D\\x0A");
}

static void no_answer_after_the_body_goes_back_later_where_unknown_is_resent(void **state)
{
	struct track_verdict verdict = judge_silence(TRACK_FAULT_CONNECTION, true, NULL, &resend);

	(void)state;
	assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_BROKEN);
}

static void a_certificate_fault_after_the_body_leaves_doubt_and_names_the_certificate(void **state)
{
	struct track_verdict verdict = judge_silence(TRACK_FAULT_CERTIFICATE, true, NULL, &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_IN_DOUBT, false, TRACK_HEALTH_CERTIFICATE);
	verdict = judge_silence(TRACK_FAULT_CERTIFICATE, true, NULL, &resend);
	assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_CERTIFICATE);
}

static void without_a_final_status_there_is_no_answer(void **state)
{
	struct track_verdict verdict = judge_silence(TRACK_FAULT_NONE, true, NULL, &plain);

	(void)state;
	assert_verdict(&verdict, TRACK_IN_DOUBT, false, TRACK_HEALTH_BROKEN);
	verdict = judge_silence(TRACK_FAULT_NONE, false, NULL, &plain);
	assert_verdict(&verdict, TRACK_BACK, true, TRACK_HEALTH_UNREACHABLE);
	verdict = judge(100, "", &plain);
	assert_verdict(&verdict, TRACK_IN_DOUBT, false, TRACK_HEALTH_BROKEN);
}

static void a_body_changes_no_outcome_but_that_of_403(void **state)
{
	static const char *const bodies[] = {
		"{\"errorCode\":\"OPERATION_NOT_ALLOWED\",\"error\":\"e\",\"operationId\":\"o\"}", "<html>", "{", "\"", "[[[[", "\xff\xfe{",
	};

	(void)state;
	for (int status = 200; status <= 599; status++) {
		struct track_verdict bare = judge(status, "", &plain);

		for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
			struct track_verdict verdict = judge(status, bodies[i], &plain);

			if (status != 403)
				assert_verdict(&verdict, bare.outcome, bare.later, bare.health);
		}
	}
}

static void an_error_code_that_is_no_short_printable_ascii_is_dropped(void **state)
{
	static const char *const codes[] = {
		"", "\\u00e9", "A\\u007f", "A\\nB", "A\\tB", "01234567890123456789012345678901234567890123456789012345678901234",
	};
	char body[200];

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		snprintf(body, sizeof(body), "{\"errorCode\":\"%s\"}", codes[i]);
		assert_string_equal(judge(400, body, &plain).error_code, "");
	}
	snprintf(body, sizeof(body), "{\"errorCode\":\"%s\"}", codes[5] + 1);
	assert_string_equal(judge(400, body, &plain).error_code, codes[5] + 1);
}

static void a_strange_body_of_a_refusal_is_told(void **state)
{
	(void)state;
	assert_string_equal(judge(400, "<html>", &plain).detail, "the answer's body is not D1's JSON");
	assert_string_equal(judge(400, "[]", &plain).detail, "the answer's body is not D1's JSON");
	assert_string_equal(judge(400, "{\"error\":1}", &plain).detail, "");
}

static void detail_is_cut_between_characters_and_between_escapes(void **state)
{
	char body[1000] = "{\"error\":\"", *end = body + strlen(body);
	struct track_verdict verdict;

	(void)state;
	memset(end, 'x', 199);
	memcpy(end + 199, "\u00e9\"}", 5);
	verdict = judge(400, body, &plain);
	assert_int_equal(strlen(verdict.detail), 199);
	memcpy(end + 198, "\\nx\"}", 6);
	verdict = judge(400, body, &plain);
	assert_int_equal(strlen(verdict.detail), 198);
	memcpy(end + 198, "\u00e9\"}", 5);
	verdict = judge(400, body, &plain);
	assert_int_equal(strlen(verdict.detail), 200);
	assert_true(text_utf8_valid(verdict.detail, 200));
	memcpy(end, "\xe9\x80\x80\x80\x80\x80\"}", 9);
	verdict = judge(400, body, &plain);
	assert_string_equal(verdict.detail, "\u9000\\x80\\x80\\x80");
}

static void every_cut_of_a_body_and_every_byte_in_it_is_survived(void **state)
{
	static const char body[] = "\xef\xbb\xbf {\"operationId\":\"op-1\",\"errorCode\":\"A\\u00e9\",\"error\":\"\\\"x\",\"n\":[1e9,{}]} ";
	static const int statuses[] = { 202, 204, 400, 403 };

	(void)state;
	for (size_t s = 0; s < sizeof(statuses) / sizeof(statuses[0]); s++) {
		for (size_t length = 0; length < sizeof(body); length++) {
			struct track_verdict verdict = judge_with(statuses[s], body, length, &plain);

			assert_in_range(verdict.outcome, TRACK_ACCEPTED, TRACK_BACK);
			for (int byte = 0; byte < 256 && length < sizeof(body) - 1; byte += 5) {
				char wrong[sizeof(body)];

				memcpy(wrong, body, sizeof(body));
				wrong[length] = (char)byte;
				verdict = judge_with(statuses[s], wrong, sizeof(body) - 1, &plain);
				assert_true(text_utf8_valid(verdict.detail, strlen(verdict.detail)));
			}
		}
	}
}

static void a_huge_or_deep_body_is_survived(void **state)
{
	enum { SIZE = 64 * 1024 };
	char *body = malloc(SIZE);

	(void)state;
	assert_non_null(body);
	memset(body, '[', SIZE);
	assert_string_equal(judge_with(400, body, SIZE, &plain).detail, "the answer's body is not D1's JSON");
	memset(body, '1', SIZE);
	assert_string_equal(judge_with(400, body, SIZE, &plain).detail, "the answer's body is not D1's JSON");
	memset(body, 'x', SIZE);
	memcpy(body, "{\"error\":\"", 10);
	memcpy(body + SIZE - 2, "\"}", 2);
	assert_int_equal(strlen(judge_with(400, body, SIZE, &plain).detail), TRACK_MOST_DETAIL);
	free(body);
}

static void outcomes_have_the_names_of_attempt_history(void **state)
{
	(void)state;
	assert_string_equal(track_outcome_name(TRACK_ACCEPTED), "accepted");
	assert_string_equal(track_outcome_name(TRACK_REFUSED), "refused");
	assert_string_equal(track_outcome_name(TRACK_IN_DOUBT), "in_doubt");
	assert_string_equal(track_outcome_name(TRACK_BACK), "back");
	assert_string_equal(track_outcome_name((enum track_outcome)5), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_202_is_accepted_with_its_operation_id),
		cmocka_unit_test(an_operation_id_may_have_64_characters),
		cmocka_unit_test(a_202_without_a_usable_operation_id_is_accepted_and_says_so),
		cmocka_unit_test(a_202_counts_even_if_the_body_was_not_handed_over_or_the_connection_broke_after_it),
		cmocka_unit_test(a_400_is_refused_with_d1s_code_and_words),
		cmocka_unit_test(a_404_is_refused),
		cmocka_unit_test(a_404_goes_back_later_where_the_card_may_be_registered_later),
		cmocka_unit_test(every_other_4xx_is_refused),
		cmocka_unit_test(a_407_goes_back_and_blames_the_proxy),
		cmocka_unit_test(a_401_goes_back_at_once_for_a_new_token),
		cmocka_unit_test(a_403_for_the_card_product_is_refused),
		cmocka_unit_test(any_other_403_goes_back_later),
		cmocka_unit_test(the_fifth_403_for_a_row_alone_is_refused),
		cmocka_unit_test(a_429_goes_back_later),
		cmocka_unit_test(a_503_goes_back_later),
		cmocka_unit_test(a_500_is_refused_because_d1_says_not_to_retry),
		cmocka_unit_test(a_status_that_does_not_tell_what_was_done_leaves_doubt),
		cmocka_unit_test(a_status_that_does_not_tell_goes_back_later_where_unknown_is_resent),
		cmocka_unit_test(a_502_in_the_middle_of_the_request_leaves_doubt_as_well),
		cmocka_unit_test(an_operation_id_under_another_2xx_is_only_shown),
		cmocka_unit_test(a_3xx_goes_back_and_is_a_redirect),
		cmocka_unit_test(what_was_not_sent_whole_goes_back_later),
		cmocka_unit_test(silence_until_the_time_out_is_slowness_where_all_was_sent),
		cmocka_unit_test(a_certificate_that_fails_before_the_body_goes_back_later),
		cmocka_unit_test(no_answer_after_the_body_leaves_doubt),
		cmocka_unit_test(no_answer_after_the_body_goes_back_later_where_unknown_is_resent),
		cmocka_unit_test(a_certificate_fault_after_the_body_leaves_doubt_and_names_the_certificate),
		cmocka_unit_test(without_a_final_status_there_is_no_answer),
		cmocka_unit_test(a_body_changes_no_outcome_but_that_of_403),
		cmocka_unit_test(an_error_code_that_is_no_short_printable_ascii_is_dropped),
		cmocka_unit_test(a_strange_body_of_a_refusal_is_told),
		cmocka_unit_test(detail_is_cut_between_characters_and_between_escapes),
		cmocka_unit_test(every_cut_of_a_body_and_every_byte_in_it_is_survived),
		cmocka_unit_test(a_huge_or_deep_body_is_survived),
		cmocka_unit_test(outcomes_have_the_names_of_attempt_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
