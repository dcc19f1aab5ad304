#include "bad.h"

static void an_address_is_https_with_a_host_and_without_secrets(void **state)
{
	static const struct bad cases[] = {
		{ "https://d1.example/banking/v1", "d1.example", "5:14: 'api_url' of endpoint 'bankfr' must begin with https://" },
		{ "https://d1.example/banking/v1", "https://", "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https:///v1", "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https://user:secret@d1.example/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' must not hold a user or password" },
		{ "https://d1.example/banking/v1", "https://d1.example/v1?key=secret",
		  "5:14: 'api_url' of endpoint 'bankfr' must not have a query (?) or fragment (#)" },
		{ "https://d1.example/banking/v1", "\"https://d1.example/v1#a\"",
		  "5:14: 'api_url' of endpoint 'bankfr' must not have a query (?) or fragment (#)" },
		{ "https://d1.example/banking/v1", "https://d1.example:0/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https://d1.example:65536/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https://d1.example:/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https://d1.example:44x/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https://d1.example:4-3/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https://d1.example:123456/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https://.example", "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https://d1 .example/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' has a character that cannot stand in an address (RFC 3986)" },
		{ "https://d1.example/banking/v1", "https://d1_example/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https://-d1.example",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https://[::1/v1", "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "https://[]/v1", "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "\"https://[::1]x/v1\"",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "\"https://d1.example/é\"",
		  "5:14: 'api_url' of endpoint 'bankfr' has a character that cannot stand in an address (RFC 3986)" },
		{ "https://d1.example/banking/v1", "https://d1.example\\v1",
		  "5:14: 'api_url' of endpoint 'bankfr' has a character that cannot stand in an address (RFC 3986)" },
		{ "https://d1.example/banking/v1", "[\"https://d1.example\"]",
		  "5:14: 'api_url' of endpoint 'bankfr' must be a single value, not a list" },
		{ "#endpoint", "proxy: proxy.example:3128", "7:12: 'proxy' of endpoint 'bankfr' must begin with http:// or https://" },
		{ "#endpoint", "proxy: http://user:secret@proxy.example",
		  "7:12: 'proxy' of endpoint 'bankfr' must not hold a user or password" },
		{ "#endpoint", "proxy: http://proxy.example/path",
		  "7:12: 'proxy' of endpoint 'bankfr' must be a scheme, a host and a port, without a path" },
		{ "#endpoint", "proxy: socks5://proxy.example", "7:12: 'proxy' of endpoint 'bankfr' must begin with http:// or https://" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void plain_http_goes_to_this_machine_alone(void **state)
{
	static const char *const elsewhere[] = {
		"http://d1.example/v1",
		"http://127.0.0.1.example.com/v1",
		"http://localhost.example.com",
		"http://localhost.",
		"http://localhost./v1",
		"http://127.0.0.1./v1",
		"http://LOCALHOST/v1",
		"http://Localhost",
		"http://xlocalhost",
		"http://localhost6",
		"http://2130706433/v1",
		"http://0x7f000001/v1",
		"http://0177.0.0.1/v1",
		"http://127.0.0.01/v1",
		"http://127.1/v1",
		"http://127",
		"http://127.0.0.256",
		"http://127.0.0.1.1",
		"http://128.0.0.1",
		"http://10.0.0.1:8080",
		"http://0.0.0.0",
		"\"http://[::]\"",
		"\"http://[::2]/v1\"",
		"\"http://[::1:1]/v1\"",
		"\"http://[0:0:0:0:0:0:0:1]/v1\"",
		"\"http://[::ffff:127.0.0.1]/v1\"",
		"\"http://[::ffff:10.0.0.1]:80/v1\"",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(elsewhere); i++) {
		const struct bad cases[] = {
			{ "https://d1.example/banking/v1", elsewhere[i],
			  "5:14: 'api_url' of endpoint 'bankfr' must begin with https:// (without TLS only to this machine itself: "
			  "http://localhost, http://127.0.0.1 or http://[::1])" },
			{ "https://d1.example/authz/v1/oauth2/token", elsewhere[i],
			  "6:16: 'token_url' of endpoint 'bankfr' must begin with https:// (without TLS only to this machine itself: "
			  "http://localhost, http://127.0.0.1 or http://[::1])" },
		};

		expect_errors(cases, COUNT(cases));
	}
}

static void what_is_no_address_is_none_of_this_machine_either(void **state)
{
	static const struct bad cases[] = {
		{ "https://d1.example/banking/v1", "http://127.0.0.1@d1.example/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' must not hold a user or password" },
		{ "https://d1.example/banking/v1", "http://localhost:80@d1.example/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' must not hold a user or password" },
		{ "https://d1.example/banking/v1", "\"http://localhost#@d1.example\"",
		  "5:14: 'api_url' of endpoint 'bankfr' must not have a query (?) or fragment (#)" },
		{ "https://d1.example/banking/v1", "http://localhost%2eexample.com/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "http://localhost:80:80/v1",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "\"http://[::1%25lo]/v1\"",
		  "5:14: 'api_url' of endpoint 'bankfr' has no valid host and port" },
		{ "https://d1.example/banking/v1", "HTTP://localhost/v1", "5:14: 'api_url' of endpoint 'bankfr' must begin with https://" },
		{ "https://d1.example/banking/v1", "ftp://localhost/v1", "5:14: 'api_url' of endpoint 'bankfr' must begin with https://" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void plain_http_to_this_machine_is_taken(void **state)
{
	static const char *const good[] = { "http://localhost",      "http://localhost:8080/banking/v1",
					    "http://127.0.0.1:1/v1", "http://127.255.255.254",
					    "\"http://[::1]\"",      "\"http://[::1]:8080/v1\"" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct config *config = expect_good("https://d1.example/banking/v1", good[i]);

		assert_true(config_is_plain(config->endpoints[0].api_url));
		assert_false(config_is_plain(config->endpoints[0].token_url));
		config_free(config);
	}
}

/* What goes to a proxy without TLS goes to it whole, token included. */
static void plain_http_never_goes_through_a_proxy(void **state)
{
	static const struct bad cases[] = {
		{ "https://d1.example/banking/v1\n    token_url: https://d1.example/authz/v1/oauth2/token\n    #endpoint",
		  "http://localhost/v1\n    token_url: https://d1.example/token\n    proxy: http://proxy.example:3128",
		  "7:12: 'proxy' of endpoint 'bankfr' needs https:// in 'api_url' and 'token_url'" },
		{ "https://d1.example/authz/v1/oauth2/token\n    #endpoint", "http://localhost/token\n    proxy: http://proxy.example:3128",
		  "7:12: 'proxy' of endpoint 'bankfr' needs https:// in 'api_url' and 'token_url'" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void an_issuer_has_ten_characters_and_one_endpoint(void **state)
{
	static const struct bad cases[] = {
		{ "[BANKFR0001]", "[]", "8:14: 'issuers' of endpoint 'bankfr' must not be empty" },
		{ "[BANKFR0001]", "BANKFR0001", "8:14: 'issuers' of endpoint 'bankfr' must be a list" },
		{ "[BANKFR0001]", "[BANKFR001]",
		  "8:15: 'issuers' of endpoint 'bankfr' has 'BANKFR001', but an issuer's id must be exactly 10 letters, digits, '_' or '-'" },
		{ "[BANKFR0001]", "[\"BANKFR 001\"]",
		  "8:15: 'issuers' of endpoint 'bankfr' has 'BANKFR 001', but an issuer's id must be exactly 10 letters, digits, '_' or '-'" },
		{ "[BANKFR0001]", "[[BANKFR0001]]", "8:15: 'issuers' of endpoint 'bankfr' must be a single value, not a list" },
		{ "[BANKFR0001]", "[BANKFR0001, BANKFR0002, BANKFR0001]",
		  "8:39: issuer 'BANKFR0001' of endpoint 'bankfr' belongs to endpoint 'bankfr' already" },
		{ "sources:\n",
		  "  - name: bankbe\n    api_url: https://d1.example\n    token_url: https://d1.example/token\n    issuers: [BANKBE0001, BANKFR0001]\n    jwt: { issuer: BANKBE0001, key: jwt.key, key_id: k1 }\n    tls: { certificate: client.pem, key: client.key }\nsources:\n",
		  "14:27: issuer 'BANKFR0001' of endpoint 'bankbe' belongs to endpoint 'bankfr' already" },
		{ "sources:\n",
		  "  - name: bankfr\n    api_url: https://d1.example\n    token_url: https://d1.example/token\n    issuers: [BANKBE0001, BANKBE0002]\n    jwt: { issuer: BANKBE0001, key: jwt.key, key_id: k1 }\n    tls: { certificate: client.pem, key: client.key }\nsources:\n",
		  "11:11: a second endpoint is called 'bankfr'" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void times_that_do_not_fit_each_other_are_rejected(void **state)
{
	static const struct bad cases[] = {
		{ "#endpoint", "retry: { first: 20m }", "7:21: 'first' of endpoint 'bankfr' is longer than 'most'" },
		{ "#endpoint", "retry: { first: 2s, most: 1s }", "7:21: 'first' of endpoint 'bankfr' is longer than 'most'" },
		{ "#endpoint", "connect_timeout: 61s", "7:22: 'connect_timeout' of endpoint 'bankfr' is longer than 'timeout'" },
		{ "#endpoint", "timeout: 71s", "7:14: 'stop_timeout' (70s unless given) is shorter than 'timeout' of endpoint 'bankfr'" },
		{ "#top", "stop_timeout: 59s", "2:15: 'stop_timeout' (70s unless given) is shorter than 'timeout' of endpoint 'bankfr'" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void a_default_gives_way_to_a_shorter_time_that_is_given(void **state)
{
	struct config *config = expect_good("#endpoint", "timeout: 5s\n    retry: { most: 500ms }");

	(void)state;
	assert_int_equal(config->endpoints[0].connect_timeout_ms, 5000);
	assert_int_equal(config->endpoints[0].retry.first_ms, 500);
	config_free(config);
}

static void addresses_may_have_ports_and_ipv6(void **state)
{
	static const struct {
		const char *url, *expected;
	} cases[] = {
		{ "https://d1.example:8443/banking/v1/", "https://d1.example:8443/banking/v1" },
		{ "https://127.0.0.1:1", "https://127.0.0.1:1" },
		{ "\"https://[::1]:65535//\"", "https://[::1]:65535" },
		{ "\"https://[fe80::1]\"", "https://[fe80::1]" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config *config = expect_good("https://d1.example/banking/v1", cases[i].url);

		assert_string_equal(config->endpoints[0].api_url, cases[i].expected);
		config_free(config);
	}
}

static void a_proxy_may_end_in_a_slash(void **state)
{
	struct config *config = expect_good("#endpoint", "proxy: https://proxy.example:3128/");

	(void)state;
	assert_string_equal(config->endpoints[0].proxy, "https://proxy.example:3128/");
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_https_with_a_host_and_without_secrets),
		cmocka_unit_test(plain_http_goes_to_this_machine_alone),
		cmocka_unit_test(what_is_no_address_is_none_of_this_machine_either),
		cmocka_unit_test(plain_http_to_this_machine_is_taken),
		cmocka_unit_test(plain_http_never_goes_through_a_proxy),
		cmocka_unit_test(an_issuer_has_ten_characters_and_one_endpoint),
		cmocka_unit_test(times_that_do_not_fit_each_other_are_rejected),
		cmocka_unit_test(a_default_gives_way_to_a_shorter_time_that_is_given),
		cmocka_unit_test(addresses_may_have_ports_and_ipv6),
		cmocka_unit_test(a_proxy_may_end_in_a_slash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
