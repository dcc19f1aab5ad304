#include "submit/token.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { START = 1000000 }; /* steady ms of the first fetch */

static char key_path[] = "/tmp/trackbridge-token-XXXXXX";
static struct config_endpoint endpoint = {
	.name = "bankfr",
	.token_url = "https://api.example/oauth2/token",
	.jwt = { .issuer = "BANKFR0001", .key = key_path, .key_id = "2026-01", .lifetime_ms = 300000 },
};

/* Stands in for http.c: keeps the one request that is under way. */
static struct {
	int posts;
	http_done *done;
	void *user;
	char url[200], content_type[100], correlation_id[100], body[2000];
	bool has_bearer;
} wire;

void http_post(struct http_client *client, const struct http_request *request, http_done *done, void *user)
{
	(void)client;
	wire.posts++;
	wire.done = done;
	wire.user = user;
	snprintf(wire.url, sizeof(wire.url), "%s", request->url);
	snprintf(wire.content_type, sizeof(wire.content_type), "%s", request->content_type);
	snprintf(wire.correlation_id, sizeof(wire.correlation_id), "%s", request->correlation_id);
	snprintf(wire.body, sizeof(wire.body), "%.*s", (int)request->body_length, request->body);
	wire.has_bearer = request->bearer != NULL;
}

static struct {
	int calls;
	enum token_trouble trouble;
	char detail[300];
} heard;

static void on_fetched(void *user, enum token_trouble trouble, const char *detail)
{
	(void)user;
	heard.calls++;
	heard.trouble = trouble;
	snprintf(heard.detail, sizeof(heard.detail), "%s", detail);
}

static struct http_answer answer(int status, const char *body)
{
	return (struct http_answer){ .status = status, .body = body, .body_length = body ? strlen(body) : 0, .body_handed_over = true };
}

static void reply(const struct http_answer *http)
{
	wire.done(wire.user, http);
}

static void reply_with(const char *body)
{
	struct http_answer http = answer(200, body);

	reply(&http);
}

static struct token *fresh_token(void)
{
	memset(&wire, 0, sizeof(wire));
	memset(&heard, 0, sizeof(heard));
	return token_new(&endpoint, NULL, on_fetched, NULL);
}

/* A token of 900 s, fetched at START. */
static struct token *fetched_token(void)
{
	struct token *token = fresh_token();

	token_fetch(token, START);
	reply_with("{\"access_token\":\"abc\",\"expires_in\":900}");
	return token;
}

static int set_up(void **state)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	int fd = mkstemp(key_path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	(void)state;
	if (!file || PEM_write_PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL) != 1)
		return -1;
	EVP_PKEY_free(pkey);
	return fclose(file);
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(key_path);
}

static void every_answer_of_the_token_endpoint_has_its_meaning(void **state)
{
	static const struct {
		int status;
		enum http_fault fault;
		const char *body;
		enum token_trouble trouble;
		int64_t lifetime_ms;
		const char *detail; /* a part of it, or NULL for none at all */
	} cases[] = {
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":900,\"token_type\":\"Bearer\",\"scope\":\"x\"}", TOKEN_OK, 900000,
		  NULL },
		{ 201, 0, "{\"access_token\":\"abc\",\"expires_in\":900}", TOKEN_OK, 900000, NULL },
		{ 200, 0, " \n{\"access_token\":\"abc\",\"expires_in\":300.5} \r\n", TOKEN_OK, 300500, NULL },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":\"600\"}", TOKEN_OK, 600000, NULL },
		{ 200, 0, "{\"access_token\":\"abc\"}", TOKEN_OK, 900000, NULL },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":null,\"token_type\":null}", TOKEN_OK, 900000, NULL },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":86401}", TOKEN_OK, 86400000, NULL },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":1e999}", TOKEN_OK, 86400000, NULL },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":\"99999999999999999999999999\"}", TOKEN_OK, 86400000, NULL },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":1}", TOKEN_OK, 1000, NULL },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":0}", TOKEN_OK, 60000, "expires_in" },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":0.5}", TOKEN_OK, 60000, "expires_in" },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":-5}", TOKEN_OK, 60000, "expires_in" },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":\"0\"}", TOKEN_OK, 60000, "expires_in" },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":\"-5\"}", TOKEN_OK, 60000, "expires_in" },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":\"\"}", TOKEN_OK, 60000, "expires_in" },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":\"nan\"}", TOKEN_OK, 60000, "expires_in" },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":true}", TOKEN_OK, 60000, "expires_in" },
		{ 200, 0, "{\"access_token\":\"abc\",\"expires_in\":[]}", TOKEN_OK, 60000, "expires_in" },
		{ 200, 0, "{\"access_token\":\"abc\",\"token_type\":\"bEARER\"}", TOKEN_OK, 900000, NULL },
		{ 200, 0, "{\"access_token\":\"abc\",\"token_type\":\"mac\"}", TOKEN_OUTAGE, 0, "token_type" },
		{ 200, 0, "{\"access_token\":\"abc\",\"token_type\":1}", TOKEN_OUTAGE, 0, "token_type" },
		{ 200, 0, "{\"Access_Token\":\"abc\"}", TOKEN_OUTAGE, 0, "without an access_token" },
		{ 200, 0, "{\"access_token\":\"\"}", TOKEN_OUTAGE, 0, "without an access_token" },
		{ 200, 0, "{\"access_token\":null}", TOKEN_OUTAGE, 0, "without an access_token" },
		{ 200, 0, "{\"access_token\":17}", TOKEN_OUTAGE, 0, "without an access_token" },
		{ 200, 0, "{\"access_token\":\"a b\"}", TOKEN_OUTAGE, 0, "printable" },
		{ 200, 0, "{\"access_token\":\"a\\r\\nX-Evil: 1\"}", TOKEN_OUTAGE, 0, "printable" },
		{ 200, 0, "{\"access_token\":\"\xc3\xa9\"}", TOKEN_OUTAGE, 0, "printable" },
		{ 200, 0, "{\"access_token\":\"a\\u007f\"}", TOKEN_OUTAGE, 0, "printable" },
		{ 200, 0, "{\"access_token\":\"abc\\u0000def\"}", TOKEN_OUTAGE, 0, "no JSON object" },
		{ 200, 0, "{\"access_token\":\"abc\"", TOKEN_OUTAGE, 0, "no JSON object" },
		{ 200, 0, "{\"access_token\":\"abc\"} extra", TOKEN_OUTAGE, 0, "no JSON object" },
		{ 200, 0, "[\"access_token\"]", TOKEN_OUTAGE, 0, "no JSON object" },
		{ 200, 0, "\"abc\"", TOKEN_OUTAGE, 0, "no JSON object" },
		{ 200, 0, "<html>", TOKEN_OUTAGE, 0, "no JSON object" },
		{ 200, 0, "", TOKEN_OUTAGE, 0, "no JSON object" },
		{ 204, 0, NULL, TOKEN_OUTAGE, 0, "status 204" },
		{ 301, 0, "", TOKEN_REDIRECT, 0, "status 301" },
		{ 307, 0, "{\"access_token\":\"abc\"}", TOKEN_REDIRECT, 0, "status 307" },
		{ 399, 0, "", TOKEN_REDIRECT, 0, "status 399" },
		{ 400, 0, "{\"error\":\"invalid_grant\",\"error_description\":\"private\"}", TOKEN_CREDENTIALS, 0,
		  "status 400, invalid_grant" },
		{ 400, 0, "", TOKEN_CREDENTIALS, 0, "status 400" },
		{ 401, 0, "{\"error\":\"two\\nlines\"}", TOKEN_CREDENTIALS, 0, "status 401" },
		{ 401, 0, "{\"error\":\"\"}", TOKEN_CREDENTIALS, 0, "status 401" },
		{ 403, 0, "{\"error\":{\"code\":1}}", TOKEN_CREDENTIALS, 0, "status 403" },
		{ 403, 0, "{\"error\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}",
		  TOKEN_CREDENTIALS, 0, "status 403" },
		{ 404, 0, "", TOKEN_OUTAGE, 0, "status 404" },
		{ 407, 0, "", TOKEN_OUTAGE, 0, "proxy" },
		{ 429, 0, "", TOKEN_OUTAGE, 0, "status 429" },
		{ 500, 0, "", TOKEN_OUTAGE, 0, "status 500" },
		{ 503, 0, "{\"access_token\":\"abc\"}", TOKEN_OUTAGE, 0, "status 503" },
		{ 0, HTTP_FAULT_CONNECTION, NULL, TOKEN_OUTAGE, 0, "no answer" },
		{ 0, HTTP_FAULT_CERTIFICATE, NULL, TOKEN_CERTIFICATE, 0, "no answer" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct http_answer http = answer(cases[i].status, cases[i].body);
		struct token_answer read;

		http.fault = cases[i].fault;
		read = token_answer_read(&http);
		if (read.trouble != cases[i].trouble || read.lifetime_ms != cases[i].lifetime_ms ||
		    (cases[i].detail ? !strstr(read.detail, cases[i].detail) : read.detail[0] != '\0') ||
		    (read.access_token != NULL) != (read.trouble == TOKEN_OK) || strchr(read.detail, '\n') ||
		    strstr(read.detail, "private"))
			fail_msg("case %zu (%d %s): %d %lld %s", i, cases[i].status, cases[i].body, (int)read.trouble,
				 (long long)read.lifetime_ms, read.detail);
		if (read.access_token)
			assert_string_equal(read.access_token, "abc");
		free(read.access_token);
	}
}

static void a_fault_is_told_in_the_transports_words(void **state)
{
	struct http_answer http = { .fault = HTTP_FAULT_CONNECTION, .what = "Couldn't connect to server" };

	(void)state;
	assert_non_null(strstr(token_answer_read(&http).detail, "Couldn't connect"));
}

static void a_nul_byte_does_not_end_the_answer(void **state)
{
	static const char body[] = "{\"access_token\":\"abc\"}\0{}";
	struct http_answer http = { .status = 200, .body = body, .body_length = sizeof(body) - 1 };

	(void)state;
	assert_int_equal(token_answer_read(&http).trouble, TOKEN_OUTAGE);
}

static void a_token_may_be_16_kib_long_and_no_longer(void **state)
{
	(void)state;
	for (int more = 0; more <= 1; more++) {
		struct text body = { 0 };
		struct http_answer http;
		struct token_answer read;

		text_append_string(&body, "{\"access_token\":\"");
		for (int i = 0; i < 16 * 1024 + more; i++)
			text_append(&body, "x", 1);
		text_append_string(&body, "\"}");
		http = answer(200, body.data);
		read = token_answer_read(&http);
		assert_int_equal(read.trouble, more ? TOKEN_OUTAGE : TOKEN_OK);
		free(read.access_token);
		text_free(&body);
	}
}

static void the_margin_is_a_minute_or_half_a_short_life(void **state)
{
	(void)state;
	assert_true(token_margin_ms(900000) == 60000);
	assert_true(token_margin_ms(120000) == 60000);
	assert_true(token_margin_ms(119000) == 59500);
	assert_true(token_margin_ms(5000) == 2500);
}

static void a_fetch_posts_the_grant_with_an_assertion(void **state)
{
	struct token *token = fresh_token();

	(void)state;
	assert_true(token_wants(token, START));
	assert_null(token_get(token, START));
	token_fetch(token, START);
	assert_true(token_fetching(token));
	assert_false(token_wants(token, START));
	assert_int_equal(heard.calls, 0);
	assert_string_equal(wire.url, "https://api.example/oauth2/token");
	assert_string_equal(wire.content_type, "application/x-www-form-urlencoded");
	assert_int_equal(strlen(wire.correlation_id), 32);
	assert_false(wire.has_bearer);
	assert_ptr_equal(strstr(wire.body, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=eyJ"), wire.body);
	token_free(token);
}

static void only_one_request_is_under_way(void **state)
{
	struct token *token = fresh_token();

	(void)state;
	token_fetch(token, START);
	token_fetch(token, START);
	assert_int_equal(wire.posts, 1);
	token_free(token);
}

static void a_token_is_used_until_just_before_its_end_and_renewed_in_its_margin(void **state)
{
	struct token *token = fetched_token();
	int64_t wall = clock_wall_ms();

	(void)state;
	assert_int_equal(heard.calls, 1);
	assert_int_equal(heard.trouble, TOKEN_OK);
	assert_string_equal(heard.detail, "");
	assert_false(token_fetching(token));
	assert_string_equal(token_get(token, START), "abc");
	assert_false(token_wants(token, START + 839999));
	assert_true(token_wants(token, START + 840000));
	assert_string_equal(token_get(token, START + 897999), "abc");
	assert_null(token_get(token, START + 898000));
	assert_true(llabs(token_expires_at(token) - wall - 900000) < 5000);
	token_free(token);
}

static void a_short_life_is_used_for_nine_tenths(void **state)
{
	struct token *token = fresh_token();

	(void)state;
	token_fetch(token, START);
	reply_with("{\"access_token\":\"abc\",\"expires_in\":5}");
	assert_non_null(token_get(token, START + 4499));
	assert_null(token_get(token, START + 4500));
	token_free(token);
}

static void the_old_token_serves_until_the_new_one_is_there(void **state)
{
	struct token *token = fetched_token();

	(void)state;
	token_fetch(token, START + 850000);
	assert_string_equal(token_get(token, START + 850001), "abc");
	assert_int_equal(token_generation(token), 1);
	reply_with("{\"access_token\":\"def\",\"expires_in\":900}");
	assert_string_equal(token_get(token, START + 850001), "def");
	assert_int_equal(token_generation(token), 2);
	token_free(token);
}

static void a_failed_renewal_leaves_the_old_token(void **state)
{
	struct token *token = fetched_token();
	struct http_answer busy = answer(503, "");

	(void)state;
	token_fetch(token, START + 850000);
	reply(&busy);
	assert_int_equal(heard.trouble, TOKEN_OUTAGE);
	assert_string_equal(token_get(token, START + 850001), "abc");
	token_free(token);
}

static void a_renewal_that_fails_is_tried_again_a_few_times_until_the_token_ends(void **state)
{
	struct token *token = fetched_token();
	struct http_answer busy = answer(503, "");
	int tries = 0;

	(void)state;
	for (int64_t now = START; now < START + 898000; now++) {
		assert_string_equal(token_get(token, now), "abc");
		if (!token_wants(token, now))
			continue;
		token_fetch(token, now);
		reply(&busy);
		tries++;
	}
	assert_in_range(tries, 5, 12);
	assert_null(token_get(token, START + 898000));
	assert_true(token_wants(token, START + 898000));
	token_free(token);
}

static void a_token_that_is_forgotten_is_fetched_anew(void **state)
{
	struct token *token = fetched_token();

	(void)state;
	token_forget(token);
	assert_null(token_get(token, START + 1));
	assert_true(token_wants(token, START + 1));
	token_free(token);
}

static void a_storm_of_401_costs_one_token(void **state)
{
	struct token *token = fetched_token();
	uint64_t generation = token_generation(token);

	(void)state;
	token_refused(token, generation);
	assert_null(token_get(token, START + 1));
	assert_true(token_expires_at(token) == 0);
	assert_true(token_wants(token, START + 1));
	token_fetch(token, START + 1);
	token_refused(token, generation);
	reply_with("{\"access_token\":\"def\",\"expires_in\":900}");
	token_refused(token, generation);
	assert_string_equal(token_get(token, START + 2), "def");
	assert_int_equal(wire.posts, 2);
	token_free(token);
}

static void a_token_is_fresh_until_an_answer_proves_it(void **state)
{
	struct token *token = fetched_token();
	uint64_t first = token_generation(token);

	(void)state;
	assert_true(token_is_fresh(token, first));
	token_proved(token, first);
	assert_false(token_is_fresh(token, first));
	token_fetch(token, START + 850000);
	reply_with("{\"access_token\":\"def\",\"expires_in\":900}");
	assert_true(token_is_fresh(token, token_generation(token)));
	token_proved(token, token_generation(token));
	token_proved(token, first);
	assert_false(token_is_fresh(token, token_generation(token)));
	token_free(token);
}

static void a_key_that_cannot_be_used_is_told_at_once_without_a_request(void **state)
{
	struct token *token = fresh_token();

	(void)state;
	endpoint.jwt.key = "/nonexistent/key.pem";
	token_fetch(token, START);
	endpoint.jwt.key = key_path;
	assert_int_equal(wire.posts, 0);
	assert_int_equal(heard.calls, 1);
	assert_int_equal(heard.trouble, TOKEN_CREDENTIALS);
	assert_non_null(strstr(heard.detail, "/nonexistent/key.pem"));
	assert_false(token_fetching(token));
	token_free(token);
}

static void a_key_that_others_can_read_is_not_used(void **state)
{
	struct token *token = fresh_token();

	(void)state;
	assert_int_equal(chmod(key_path, 0644), 0);
	token_fetch(token, START);
	assert_int_equal(chmod(key_path, 0600), 0);
	assert_int_equal(wire.posts, 0);
	assert_int_equal(heard.trouble, TOKEN_CREDENTIALS);
	token_free(token);
}

/* Seconds from now to the exp of the assertion on the wire. */
static double seconds_to_exp(void)
{
	unsigned char claims[1000] = "";
	char part[1000];
	const char *start = strchr(strstr(wire.body, "assertion="), '.') + 1;
	size_t length = strcspn(start, ".");

	for (size_t i = 0; i < length; i++)
		part[i] = (char)(start[i] == '-' ? '+' : start[i] == '_' ? '/' : start[i]);
	while (length % 4)
		part[length++] = 'A';
	assert_true(EVP_DecodeBlock(claims, (const unsigned char *)part, (int)length) > 0);
	return strtod(strstr((const char *)claims, "\"exp\":") + 6, NULL) - (double)clock_wall_ms() / 1000;
}

static const char *date_of(int64_t seconds_ahead)
{
	time_t then = (time_t)(clock_wall_ms() / 1000 + seconds_ahead);
	static char date[64];
	struct tm tm;

	gmtime_r(&then, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	return date;
}

static void reply_as(struct http_answer *http, int64_t seconds_ahead)
{
	http->date = date_of(seconds_ahead);
	reply(http);
}

static void reply_dated(int64_t seconds_ahead)
{
	struct http_answer http = answer(503, "");

	reply_as(&http, seconds_ahead);
}

static void exp_is_set_by_the_servers_clock(void **state)
{
	static const struct {
		int64_t ahead;
		double least, most;
	} cases[] = { { 0, 298, 301 }, { 1, 298, 301 }, { 3600, 3897, 3902 }, { -3600, -3303, -3298 }, { 0, 298, 301 } };
	struct token *token = fresh_token();

	(void)state;
	token_fetch(token, START);
	assert_in_range((uintmax_t)seconds_to_exp(), 298, 300);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		reply_dated(cases[i].ahead);
		token_fetch(token, START);
		if (seconds_to_exp() < cases[i].least || seconds_to_exp() > cases[i].most)
			fail_msg("case %zu: %f", i, seconds_to_exp());
	}
	token_free(token);
}

static void reply_refused(int64_t seconds_ahead)
{
	struct http_answer http = answer(400, "{\"error\":\"invalid_grant\"}");

	reply_as(&http, seconds_ahead);
}

static void an_assertion_dated_by_a_wrong_clock_is_made_again_once(void **state)
{
	struct token *token = fresh_token();

	(void)state;
	token_fetch(token, START);
	reply_refused(-86400);
	assert_int_equal(heard.calls, 0);
	assert_int_equal(wire.posts, 2);
	assert_true(token_fetching(token));
	assert_in_range((uintmax_t)(seconds_to_exp() + 86400), 297, 302);
	reply_refused(-172800);
	assert_int_equal(heard.calls, 1);
	assert_int_equal(heard.trouble, TOKEN_CREDENTIALS);
	assert_int_equal(wire.posts, 2);
	/* The next one may again. */
	token_fetch(token, START + 60000);
	reply_refused(0);
	assert_int_equal(wire.posts, 4);
	reply_with("{\"access_token\":\"abc\",\"expires_in\":900}");
	assert_int_equal(heard.calls, 2);
	assert_int_equal(heard.trouble, TOKEN_OK);
	token_free(token);
}

static void an_assertion_that_is_refused_by_a_right_clock_is_not_made_again(void **state)
{
	struct token *token = fresh_token();

	(void)state;
	token_fetch(token, START);
	reply_refused(1);
	assert_int_equal(wire.posts, 1);
	assert_int_equal(heard.calls, 1);
	token_free(token);
}

static void the_servers_clock_is_learnt_from_any_answer_once_a_minute(void **state)
{
	struct token *token = fetched_token();

	(void)state;
	token_saw_date(token, NULL, 0, START);
	token_saw_date(token, date_of(3600), 0, START);
	token_saw_date(token, date_of(7200), 0, START + 59999);
	token_fetch(token, START);
	assert_in_range((uintmax_t)seconds_to_exp(), 3897, 3902);
	reply_with("{\"access_token\":\"abc\",\"expires_in\":900}");
	token_saw_date(token, date_of(7200), 0, START + 60000);
	token_fetch(token, START + 60000);
	assert_in_range((uintmax_t)seconds_to_exp(), 7497, 7502);
	/* An answer that took a minute may have been dated at its beginning. */
	reply_with("{\"access_token\":\"abc\",\"expires_in\":900}");
	token_saw_date(token, date_of(-59), 60000, START + 120000);
	token_fetch(token, START + 120000);
	assert_in_range((uintmax_t)seconds_to_exp(), 297, 300);
	token_free(token);
}

static void a_date_that_cannot_be_read_changes_nothing(void **state)
{
	struct token *token = fresh_token();
	struct http_answer http = answer(503, "");

	(void)state;
	token_fetch(token, START);
	reply_dated(3600);
	token_fetch(token, START);
	http.date = "yesterday";
	reply(&http);
	token_fetch(token, START);
	assert_true(seconds_to_exp() > 3800);
	token_free(token);
	token_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_of_the_token_endpoint_has_its_meaning),
		cmocka_unit_test(a_fault_is_told_in_the_transports_words),
		cmocka_unit_test(a_nul_byte_does_not_end_the_answer),
		cmocka_unit_test(a_token_may_be_16_kib_long_and_no_longer),
		cmocka_unit_test(the_margin_is_a_minute_or_half_a_short_life),
		cmocka_unit_test(a_fetch_posts_the_grant_with_an_assertion),
		cmocka_unit_test(only_one_request_is_under_way),
		cmocka_unit_test(a_token_is_used_until_just_before_its_end_and_renewed_in_its_margin),
		cmocka_unit_test(a_short_life_is_used_for_nine_tenths),
		cmocka_unit_test(the_old_token_serves_until_the_new_one_is_there),
		cmocka_unit_test(a_failed_renewal_leaves_the_old_token),
		cmocka_unit_test(a_renewal_that_fails_is_tried_again_a_few_times_until_the_token_ends),
		cmocka_unit_test(a_token_that_is_forgotten_is_fetched_anew),
		cmocka_unit_test(a_storm_of_401_costs_one_token),
		cmocka_unit_test(a_token_is_fresh_until_an_answer_proves_it),
		cmocka_unit_test(a_key_that_cannot_be_used_is_told_at_once_without_a_request),
		cmocka_unit_test(a_key_that_others_can_read_is_not_used),
		cmocka_unit_test(exp_is_set_by_the_servers_clock),
		cmocka_unit_test(an_assertion_dated_by_a_wrong_clock_is_made_again_once),
		cmocka_unit_test(an_assertion_that_is_refused_by_a_right_clock_is_not_made_again),
		cmocka_unit_test(the_servers_clock_is_learnt_from_any_answer_once_a_minute),
		cmocka_unit_test(a_date_that_cannot_be_read_changes_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
