#include "http_pair.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void an_answer_is_handed_over_whole(void **state)
{
	struct pair pair;
	struct result result;

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	result = exchange(&pair, "/ok");
	assert_int_equal(result.fault, HTTP_FAULT_NONE);
	assert_int_equal(result.status, 202);
	assert_true(result.body_handed_over);
	assert_string_equal(result.body, "{\"operationId\":\"op-17\"}");
	assert_string_equal(result.retry_after, "7");
	assert_string_equal(result.date, "Sun, 22 Nov 2026 10:00:00 GMT");
	assert_string_equal(result.what, "-");
	assert_in_range(result.took_ms, 0, 5000);
	close_pair(&pair);
}

static void a_request_has_just_the_headers_that_it_needs(void **state)
{
	static const char *const wanted[] = { "POST /ok HTTP/1.1\r\n",
					      "\r\nAuthorization: Bearer token-1\r\n",
					      "\r\nx-correlation-id: corr-1\r\n",
					      "\r\nContent-Type: application/json\r\n",
					      "\r\nAccept: application/json\r\n",
					      "\r\nContent-Length: 25\r\n",
					      "\r\nUser-Agent: trackbridge/" };
	struct pair pair;
	struct tls_server_seen seen;

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	exchange(&pair, "/ok");
	seen = tls_server_seen(pair.server);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		if (!strstr(seen.head, wanted[i]))
			fail_msg("%s is not in %s", wanted[i], seen.head);
	}
	assert_null(strcasestr(seen.head, "expect:"));
	assert_null(strcasestr(seen.head, "accept-encoding:"));
	assert_null(strcasestr(seen.head, "transfer-encoding:"));
	assert_string_equal(seen.body, "{\"trackingType\":\"RETURN\"}");
	assert_string_equal(seen.client, "");
	close_pair(&pair);
}

static void a_request_without_a_bearer_has_no_authorization(void **state)
{
	struct pair pair;
	struct result result;
	struct http_request request = {
		.content_type = "application/x-www-form-urlencoded", .correlation_id = "corr-2", .body = "a=b", .body_length = 3
	};
	char url[100];

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	exchange(&pair, "/ok");
	snprintf(url, sizeof(url), "https://localhost:%d/ok", tls_server_port(pair.server));
	request.url = url;
	memset(&result, 0, sizeof(result));
	http_post(pair.client, &request, on_done, &result);
	run_until(&pair, &result.calls, 1);
	assert_null(strcasestr(tls_server_seen(pair.server).head, "authorization"));
	assert_non_null(strstr(tls_server_seen(pair.server).head, "x-www-form-urlencoded"));
	assert_string_equal(tls_server_seen(pair.server).body, "a=b");
	close_pair(&pair);
}

static void requests_keep_the_bearer_that_they_were_given(void **state)
{
	struct pair pair;
	struct result results[2] = { 0 };
	struct http_request request = { .content_type = "application/json", .correlation_id = "c", .body = "{}", .body_length = 2 };
	char url[100];

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	snprintf(url, sizeof(url), "https://localhost:%d/ok", tls_server_port(pair.server));
	request.url = url;
	request.bearer = "old";
	http_post(pair.client, &request, on_done, &results[0]);
	request.bearer = "new";
	http_post(pair.client, &request, on_done, &results[1]);
	run_until(&pair, &results[0].calls, 1);
	run_until(&pair, &results[1].calls, 1);
	exchange(&pair, "/ok");
	assert_non_null(strstr(tls_server_seen(pair.server).head, "Bearer token-1\r\n"));
	close_pair(&pair);
}

static void what_came_of_it_depends_on_the_status_line_and_the_body(void **state)
{
	static const struct {
		const char *path;
		int status;
		enum http_fault fault;
		size_t body_length;
	} cases[] = {
		{ "/bare", 202, HTTP_FAULT_NONE, 0 },
		{ "/interim", 202, HTTP_FAULT_NONE, 23 },
		{ "/redirect", 307, HTTP_FAULT_NONE, 0 },
		{ "/close", 0, HTTP_FAULT_CONNECTION, 0 },
		{ "/half-status", 0, HTTP_FAULT_CONNECTION, 0 },
		{ "/status-only", 202, HTTP_FAULT_NONE, 0 },
		{ "/half-body", 202, HTTP_FAULT_NONE, 19 },
		{ "/huge", 202, HTTP_FAULT_NONE, HTTP_MOST_BODY },
		{ "/http09", 0, HTTP_FAULT_CONNECTION, 0 },
		{ "/odd", 0, HTTP_FAULT_CONNECTION, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pair pair;
		struct result r;
		struct tls_server_seen seen;

		open_pair(&pair, NULL);
		connect_client(&pair);
		r = exchange(&pair, cases[i].path);
		seen = tls_server_seen(pair.server);
		if (r.status != cases[i].status || r.fault != cases[i].fault || !r.body_handed_over ||
		    r.body_length != cases[i].body_length || seen.bodies != 1 || seen.requests != 1 || seen.connections != 1)
			fail_msg("%s: status %d, fault %d, %d, %d connections, %d requests, %zu bytes, %s", cases[i].path, r.status,
				 (int)r.fault, r.body_handed_over, seen.connections, seen.requests, r.body_length, r.what);
		if (r.fault != HTTP_FAULT_NONE)
			assert_string_not_equal(r.what, "-");
		close_pair(&pair);
	}
}

static void what_was_read_is_not_sent_again_on_a_connection_that_was_used_before(void **state)
{
	struct pair pair;
	struct result result;

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	exchange(&pair, "/ok");
	result = exchange(&pair, "/close");
	assert_int_equal(result.status, 0);
	assert_int_equal(result.fault, HTTP_FAULT_CONNECTION);
	assert_true(result.body_handed_over);
	assert_int_equal(tls_server_seen(pair.server).requests, 2);
	assert_int_equal(exchange(&pair, "/ok").status, 202);
	close_pair(&pair);
}

/* Whether libcurl notices before or after it took the body is a matter of chance; that no body arrives is not. */
static void a_server_that_reads_no_body_gets_none(void **state)
{
	(void)state;
	for (int used = 0; used <= 1; used++) {
		struct pair pair;
		struct result result;

		open_pair(&pair, NULL);
		connect_client(&pair);
		if (used)
			exchange(&pair, "/ok");
		result = exchange(&pair, "/head-close");
		assert_int_equal(result.status, 0);
		assert_int_equal(result.fault, HTTP_FAULT_CONNECTION);
		assert_int_equal(tls_server_seen(pair.server).bodies, used);
		close_pair(&pair);
	}
}

static void an_answer_before_the_body_was_read_counts(void **state)
{
	struct pair pair;
	struct result result;

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	result = exchange(&pair, "/early");
	assert_int_equal(result.status, 503);
	assert_int_equal(result.fault, HTTP_FAULT_NONE);
	assert_string_equal(result.retry_after, "3");
	close_pair(&pair);
}

/* More than both kernels' buffers hold. */
enum { LARGE = 24 * 1024 * 1024 };

static struct result exchange_large(struct pair *pair, const char *path)
{
	char *body = malloc(LARGE);
	char url[100];
	struct http_request request = {
		.url = url, .content_type = "application/json", .bearer = "t", .correlation_id = "c", .body = body, .body_length = LARGE
	};
	struct result result = { 0 };

	assert_non_null(body);
	memset(body, 'x', LARGE);
	snprintf(url, sizeof(url), "https://localhost:%d%s", tls_server_port(pair->server), path);
	http_post(pair->client, &request, on_done, &result);
	run_until(pair, &result.calls, 1);
	free(body);
	return result;
}

static void what_breaks_in_mid_body_was_not_sent_whole(void **state)
{
	(void)state;
	for (int used = 0; used <= 1; used++) {
		struct pair pair;
		struct result result;

		open_pair(&pair, NULL);
		connect_client(&pair);
		if (used)
			exchange(&pair, "/ok");
		result = exchange_large(&pair, "/reset-body");
		assert_int_equal(result.status, 0);
		assert_int_equal(result.fault, HTTP_FAULT_CONNECTION);
		assert_false(result.body_handed_over);
		assert_int_equal(tls_server_seen(pair.server).requests, used + 1);
		/* Where a used connection broke, libcurl may connect again before it finds that it cannot rewind. */
		assert_in_range(tls_server_seen(pair.server).connections, 1, used + 1);
		close_pair(&pair);
	}
}

static void a_time_out_in_mid_body_was_not_sent_whole(void **state)
{
	struct pair pair;
	struct result result;

	(void)state;
	open_pair(&pair, NULL);
	pair.endpoint.timeout_ms = 500;
	connect_client(&pair);
	result = exchange_large(&pair, "/unread");
	assert_int_equal(result.status, 0);
	assert_int_equal(result.fault, HTTP_FAULT_TIME_OUT);
	assert_false(result.body_handed_over);
	assert_in_range(result.took_ms, 450, 5000);
	assert_int_equal(tls_server_seen(pair.server).requests, 1);
	close_pair(&pair);
}

/* A small one fits into the kernel's buffers: nobody can tell that the server never read it. */
static void a_time_out_behind_a_small_body_was_sent_whole(void **state)
{
	struct pair pair;
	struct result result;

	(void)state;
	open_pair(&pair, NULL);
	pair.endpoint.timeout_ms = 300;
	connect_client(&pair);
	result = exchange(&pair, "/unread");
	assert_int_equal(result.status, 0);
	assert_int_equal(result.fault, HTTP_FAULT_TIME_OUT);
	assert_true(result.body_handed_over);
	assert_int_equal(tls_server_seen(pair.server).bodies, 0);
	close_pair(&pair);
}

static void an_answer_in_mid_body_counts(void **state)
{
	struct pair pair;
	struct result result;

	(void)state;
	open_pair(&pair, NULL);
	connect_client(&pair);
	result = exchange_large(&pair, "/early");
	assert_int_equal(result.status, 503);
	assert_int_equal(result.fault, HTTP_FAULT_NONE);
	assert_false(result.body_handed_over);
	close_pair(&pair);
}

static void a_certificate_that_does_not_hold_is_a_certificate_fault(void **state)
{
	static const struct {
		const char *ca, *certificate, *key, *host;
		bool tls_1_2;
	} cases[] = {
		{ other_ca, client_pem, client_key, "localhost", false },
		{ ca, client_pem, client_key, "127.0.0.1", false },
		{ "/nonexistent/ca.pem", client_pem, client_key, "localhost", false },
		{ ca, "/nonexistent/client.pem", client_key, "localhost", false },
		{ ca, client_pem, "/nonexistent/client.key", "localhost", false },
		{ ca, client_pem, other_key, "localhost", false },
		/* TLS 1.2 refuses within the handshake; TLS 1.3 after it, when the request may be on its way. */
		{ ca, other_pem, other_key, "localhost", true },
		{ ca, other_pem, other_key, "localhost", false },
	};

	enum { LAST = sizeof(cases) / sizeof(*cases) - 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pair pair;
		struct result result;
		char url[100];

		open_pair(&pair, &(struct tls_server_options){ .client_ca = ca, .tls_1_2 = cases[i].tls_1_2 });
		pair.endpoint.tls.ca = cases[i].ca;
		pair.endpoint.tls.certificate = cases[i].certificate;
		pair.endpoint.tls.key = cases[i].key;
		connect_client(&pair);
		snprintf(url, sizeof(url), "https://%s:%d/ok", cases[i].host, tls_server_port(pair.server));
		post_url(&pair, url, &result);
		run_until(&pair, &result.calls, 1);
		if (result.fault != HTTP_FAULT_CERTIFICATE || result.status || (result.body_handed_over && i < LAST))
			fail_msg("case %zu: fault %d, handed over %d: %s", i, (int)result.fault, result.body_handed_over, result.what);
		assert_int_equal(tls_server_seen(pair.server).requests, 0);
		assert_true(strlen(result.what) > 10);
		close_pair(&pair);
	}
}

static void a_new_certificate_is_used_by_the_next_connection(void **state)
{
	struct pair pair;

	(void)state;
	for (int tls_1_2 = 0; tls_1_2 <= 1; tls_1_2++) {
		tls_server_make_client(http_pair_folder(), "client", "client");
		open_pair(&pair, &(struct tls_server_options){ .client_ca = ca, .tls_1_2 = tls_1_2 });
		connect_client(&pair);
		assert_int_equal(exchange(&pair, "/ok").status, 202);
		assert_string_equal(tls_server_seen(pair.server).client, "client");
		tls_server_make_client(http_pair_folder(), "client", "successor");
		exchange(&pair, "/close");
		assert_int_equal(exchange(&pair, "/ok").status, 202);
		assert_string_equal(tls_server_seen(pair.server).client, "successor");
		close_pair(&pair);
	}
}

static void copy_file(const char *from, const char *to)
{
	char bytes[8192];
	FILE *source = fopen(from, "r"), *target = fopen(to, "w");
	size_t n;

	assert_true(source && target);
	n = fread(bytes, 1, sizeof(bytes), source);
	assert_int_equal(fwrite(bytes, 1, n, target), n);
	fclose(source);
	fclose(target);
}

static void a_new_ca_is_used_by_the_next_connection(void **state)
{
	struct pair pair;
	struct result result;
	char trusted[220];

	(void)state;
	snprintf(trusted, sizeof(trusted), "%s/trusted.pem", http_pair_folder());
	copy_file(other_ca, trusted);
	open_pair(&pair, NULL);
	pair.endpoint.tls.ca = trusted;
	connect_client(&pair);
	assert_int_equal(exchange(&pair, "/ok").fault, HTTP_FAULT_CERTIFICATE);
	copy_file(ca, trusted);
	result = exchange(&pair, "/close");
	assert_int_equal(result.fault, HTTP_FAULT_CONNECTION);
	assert_true(result.body_handed_over);
	copy_file(other_ca, trusted);
	assert_int_equal(exchange(&pair, "/ok").fault, HTTP_FAULT_CERTIFICATE);
	assert_int_equal(tls_server_seen(pair.server).requests, 1);
	close_pair(&pair);
	unlink(trusted);
}

static void the_environments_proxy_is_not_asked(void **state)
{
	struct pair pair, proxy;
	char url[64];

	(void)state;
	open_pair(&proxy, &(struct tls_server_options){ .plain = true, .plain_answer = "HTTP/1.1 502 No\r\n\r\n" });
	open_pair(&pair, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", tls_server_port(proxy.server));
	setenv("https_proxy", url, 1);
	setenv("ALL_PROXY", url, 1);
	connect_client(&pair);
	assert_int_equal(exchange(&pair, "/ok").status, 202);
	unsetenv("https_proxy");
	unsetenv("ALL_PROXY");
	assert_int_equal(tls_server_seen(proxy.server).connections, 0);
	close_pair(&pair);
	close_pair(&proxy);
}

static void a_proxy_that_refuses_is_told_from_the_api(void **state)
{
	static const struct {
		const char *answer;
		int status;
		enum http_fault fault;
	} cases[] = {
		{ "HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n", 407, HTTP_FAULT_NONE },
		{ "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 0, HTTP_FAULT_CONNECTION },
		{ "HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", 0, HTTP_FAULT_CONNECTION },
		{ "HTTP/1.1 202 Odd\r\n\r\n", 0, HTTP_FAULT_CONNECTION },
	};

	(void)state;
	/* The environment must not lead around the configured proxy either. */
	setenv("no_proxy", "*", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pair pair, proxy;
		struct result result;

		open_pair(&proxy, &(struct tls_server_options){ .plain = true, .plain_answer = cases[i].answer });
		open_pair(&pair, NULL);
		snprintf(pair.proxy, sizeof(pair.proxy), "http://127.0.0.1:%d", tls_server_port(proxy.server));
		pair.endpoint.proxy = pair.proxy;
		connect_client(&pair);
		result = exchange(&pair, "/ok");
		if (result.status != cases[i].status || result.fault != cases[i].fault || result.body_handed_over)
			fail_msg("%s gave %d, %d: %s", cases[i].answer, result.status, (int)result.fault, result.what);
		assert_null(strstr(tls_server_seen(proxy.server).head, "token-1"));
		assert_int_equal(tls_server_seen(pair.server).connections, 0);
		close_pair(&pair);
		close_pair(&proxy);
	}
	unsetenv("no_proxy");
}

static void a_proxy_that_libcurl_does_not_know_takes_nothing(void **state)
{
	struct pair pair;
	struct result result;

	(void)state;
	open_pair(&pair, NULL);
	pair.endpoint.proxy = "gopher://localhost:1";
	connect_client(&pair);
	result = exchange(&pair, "/ok");
	assert_int_equal(result.fault, HTTP_FAULT_CONNECTION);
	assert_false(result.body_handed_over);
	close_pair(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_handed_over_whole),
		cmocka_unit_test(a_request_has_just_the_headers_that_it_needs),
		cmocka_unit_test(a_request_without_a_bearer_has_no_authorization),
		cmocka_unit_test(requests_keep_the_bearer_that_they_were_given),
		cmocka_unit_test(what_came_of_it_depends_on_the_status_line_and_the_body),
		cmocka_unit_test(what_was_read_is_not_sent_again_on_a_connection_that_was_used_before),
		cmocka_unit_test(a_server_that_reads_no_body_gets_none),
		cmocka_unit_test(an_answer_before_the_body_was_read_counts),
		cmocka_unit_test(what_breaks_in_mid_body_was_not_sent_whole),
		cmocka_unit_test(a_time_out_in_mid_body_was_not_sent_whole),
		cmocka_unit_test(a_time_out_behind_a_small_body_was_sent_whole),
		cmocka_unit_test(an_answer_in_mid_body_counts),
		cmocka_unit_test(a_certificate_that_does_not_hold_is_a_certificate_fault),
		cmocka_unit_test(a_new_certificate_is_used_by_the_next_connection),
		cmocka_unit_test(a_new_ca_is_used_by_the_next_connection),
		cmocka_unit_test(the_environments_proxy_is_not_asked),
		cmocka_unit_test(a_proxy_that_refuses_is_told_from_the_api),
		cmocka_unit_test(a_proxy_that_libcurl_does_not_know_takes_nothing),
	};

	return cmocka_run_group_tests(tests, http_pair_set_up, http_pair_tear_down);
}
