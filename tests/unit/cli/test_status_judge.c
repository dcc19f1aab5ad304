#include "cli/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

enum { NOW = 1800000000, MINUTE = 60000 };

static void lengths_of_time_are_told_in_words(void **state)
{
	static const struct {
		int64_t seconds;
		const char *words;
	} cases[] = {
		{ -5, "0 s" },
		{ 0, "0 s" },
		{ 119, "119 s" },
		{ 120, "2 min" },
		{ 7199, "120 min" },
		{ 2 * 3600, "2 h" },
		{ 3 * 3600 + 5 * 60, "3 h 5 min" },
		{ 48 * 3600, "2 days" },
		{ 400 * 86400LL, "400 days" },
	};
	char words[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		status_span(words, cases[i].seconds * 1000);
		assert_string_equal(words, cases[i].words);
	}
}

static struct status running(int64_t accepted, int64_t movable)
{
	return (struct status){
		.at_ms = NOW,
		.pid = 1,
		.accepted = accepted,
		.accepted_since_ms = NOW - 65 * 1000,
		.movable = movable,
	};
}

static void the_rate_is_what_was_accepted_over_the_time_in_which_it_was(void **state)
{
	struct status status = running(130, 0);

	(void)state;
	assert_true(status_rate(&status) > 119.99 && status_rate(&status) < 120.01);
	status = running(0, 0);
	assert_true(status_rate(&status) == 0);
}

static void how_long_the_rest_takes_is_said_only_where_it_can_be(void **state)
{
	struct status_endpoint endpoint = { .name = "bankfr", .state = "open", .configured = true };
	struct status status = running(130, 240);

	(void)state;
	status.endpoints = &endpoint;
	status.n_endpoints = 1;
	assert_int_equal(status_drain_ms(&status), 2 * MINUTE);
	snprintf(endpoint.state, sizeof(endpoint.state), "paused");
	assert_int_equal(status_drain_ms(&status), -1);
	endpoint.configured = false;
	assert_int_equal(status_drain_ms(&status), 2 * MINUTE);
	status.pid = 0;
	assert_int_equal(status_drain_ms(&status), -1);
	status.movable = 0;
	assert_int_equal(status_drain_ms(&status), 0);
	status = running(0, 5);
	assert_int_equal(status_drain_ms(&status), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_of_time_are_told_in_words),
		cmocka_unit_test(the_rate_is_what_was_accepted_over_the_time_in_which_it_was),
		cmocka_unit_test(how_long_the_rest_takes_is_said_only_where_it_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
