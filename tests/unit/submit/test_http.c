#include "http_pair.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void a_connection_is_used_again(void **state)
{
	struct pair pair;

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	for (int i = 0; i < 20; i++)
		assert_int_equal(exchange(&pair, "/ok").status, 202);
	assert_int_equal(tls_server_seen(pair.server).connections, 1);
	assert_int_equal(tls_server_seen(pair.server).bodies, 20);
	close_pair(&pair);
}

static void requests_go_side_by_side(void **state)
{
	struct pair pair;
	struct result results[8];

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 8; i++)
			post(&pair, "/ok", &results[i]);
		for (int i = 0; i < 8; i++) {
			run_until(&pair, &results[i].calls, 1);
			assert_int_equal(results[i].status, 202);
		}
	}
	assert_int_equal(tls_server_seen(pair.server).bodies, 24);
	assert_in_range(tls_server_seen(pair.server).connections, 1, 8);
	close_pair(&pair);
}

static void an_answer_that_does_not_come_ends_with_the_time_out(void **state)
{
	struct pair pair;
	struct result result;

	(void)state;
	open_pair(&pair, NULL);
	pair.endpoint.timeout_ms = 150;
	connect_client(&pair);
	result = exchange(&pair, "/hang");
	assert_int_equal(result.fault, HTTP_FAULT_TIME_OUT);
	assert_true(result.body_handed_over);
	assert_in_range(result.took_ms, 140, 2000);
	close_pair(&pair);
}

static void a_connection_that_is_dropped_took_nothing(void **state)
{
	struct pair pair;
	struct result result;

	(void)state;
	open_pair(&pair, &(struct tls_server_options){ .drop = true });
	connect_client(&pair);
	result = exchange(&pair, "/ok");
	assert_int_equal(result.status, 0);
	assert_int_equal(result.fault, HTTP_FAULT_CONNECTION);
	assert_false(result.body_handed_over);
	close_pair(&pair);
}

static void a_url_that_cannot_be_sent_to_ends_in_the_next_run(void **state)
{
	/* The first two are refused because they are not https. */
	static const char *const urls[] = { "http://localhost:1/ok", "file:///etc/passwd", "https://localhost:1/ok", "https://", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		struct pair pair;
		struct result result;

		open_pair(&pair, NULL);
		connect_client(&pair);
		post_url(&pair, urls[i], &result);
		run_until(&pair, &result.calls, 1);
		assert_int_equal(result.status, 0);
		assert_int_equal(result.fault, HTTP_FAULT_CONNECTION);
		assert_false(result.body_handed_over);
		assert_null(strstr(result.what, "passwd"));
		close_pair(&pair);
	}
}

/* Posts the next one from inside done, as many as are left. */
struct chain {
	struct pair *pair;
	int calls;
};

static void post_another(struct chain *chain);

static void on_link(void *user, const struct http_answer *answer)
{
	struct chain *chain = user;

	assert_int_equal(answer->status, 202);
	if (++chain->calls < 50)
		post_another(chain);
}

static void post_another(struct chain *chain)
{
	static char url[100];
	struct http_request request = {
		.url = url, .content_type = "application/json", .bearer = "t", .correlation_id = "c", .body = "{}", .body_length = 2
	};

	snprintf(url, sizeof(url), "https://localhost:%d/ok", tls_server_port(chain->pair->server));
	http_post(chain->pair->client, &request, on_link, chain);
}

static void done_may_post_again(void **state)
{
	struct pair pair;
	struct chain chain = { .pair = &pair };

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	post_another(&chain);
	run_until(&pair, &chain.calls, 50);
	assert_int_equal(tls_server_seen(pair.server).connections, 1);
	close_pair(&pair);
}

/* A URL that libcurl does not even take. */
static void what_cannot_be_started_ends_in_the_next_run(void **state)
{
	static char url[9 * 1000 * 1000];
	struct pair pair;
	struct result results[2];

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	memset(url, 'x', sizeof(url) - 1);
	post_url(&pair, url, &results[0]);
	post_url(&pair, url, &results[1]);
	assert_int_equal(http_timeout_ms(pair.http), 0);
	http_run(pair.http);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(results[i].calls, 1);
		assert_int_equal(results[i].fault, HTTP_FAULT_CONNECTION);
		assert_false(results[i].body_handed_over);
	}
	assert_int_equal(exchange(&pair, "/ok").status, 202);
	post_url(&pair, url, &results[0]);
	http_abort_all(pair.http);
	http_run(pair.http);
	assert_int_equal(results[0].calls, 0);
	close_pair(&pair);
}

static void what_is_aborted_is_not_told(void **state)
{
	struct pair pair;
	struct result results[3], good;

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	assert_int_equal(exchange(&pair, "/ok").status, 202);
	post(&pair, "/hang", &results[0]);
	post(&pair, "/ok", &results[1]);
	http_run(pair.http);
	post_url(&pair, "", &results[2]);
	http_abort_all(pair.http);
	good = exchange(&pair, "/ok");
	assert_int_equal(good.status, 202);
	assert_int_equal(results[0].calls + results[1].calls + results[2].calls, 0);
	close_pair(&pair);
}

static void nothing_to_do_waits_for_nothing(void **state)
{
	struct pair pair;

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	assert_int_equal(http_timeout_ms(pair.http), -1);
	http_run(pair.http);
	close_pair(&pair);
	http_client_free(NULL);
	http_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_is_used_again),
		cmocka_unit_test(requests_go_side_by_side),
		cmocka_unit_test(an_answer_that_does_not_come_ends_with_the_time_out),
		cmocka_unit_test(a_connection_that_is_dropped_took_nothing),
		cmocka_unit_test(a_url_that_cannot_be_sent_to_ends_in_the_next_run),
		cmocka_unit_test(done_may_post_again),
		cmocka_unit_test(what_cannot_be_started_ends_in_the_next_run),
		cmocka_unit_test(what_is_aborted_is_not_told),
		cmocka_unit_test(nothing_to_do_waits_for_nothing),
	};

	return cmocka_run_group_tests(tests, http_pair_set_up, http_pair_tear_down);
}
