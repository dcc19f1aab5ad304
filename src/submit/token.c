#include "submit/token.h"

#include "base/clock.h"
#include "base/text.h"
#include "submit/jwt.h"
#include "track/verdict.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_MARGIN_MS = 60000, LONGEST_SLACK_MS = 2000, LEAST_SKEW_MS = 2000, CORRELATION_BYTES = 16 };

/* How often the endpoint's clock is looked at; how soon a renewal that failed is tried again, at the soonest; what makes an assertion
 * wrong. */
enum { LEARN_EVERY_MS = 60000, LEAST_WAIT_MS = 1000, WRONG_BY_MS = 5000 };

static const char GRANT[] = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";

struct token {
	const struct config_endpoint *endpoint;
	struct http_client *client;
	token_fetched *fetched;
	void *user;
	/* the token at hand; NULL: none */
	char *access_token;
	int64_t renew_at, unusable_at; /* steady ms */
	int64_t expires_at;            /* wall ms */
	uint64_t generation, proved;   /* of the latest token; the latest that brought an answer */
	/* the request under way */
	bool fetching;
	int64_t asked_at; /* steady ms */
	struct text body;
	char correlation_id[2 * CORRELATION_BYTES + 1];
	/* the endpoint's clock minus steady time, as a Date header showed it */
	bool knows_clock;
	int64_t clock_offset_ms, learnt_at;
	int64_t assumed_offset_ms; /* in the assertion under way */
	bool asked_again;
};

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t token_margin_ms(int64_t lifetime_ms)
{
	return least(LONGEST_MARGIN_MS, lifetime_ms / 2);
}

struct token *token_new(const struct config_endpoint *endpoint, struct http_client *client, token_fetched *fetched, void *user)
{
	struct token *token = xcalloc(1, sizeof(*token));

	token->endpoint = endpoint;
	token->client = client;
	token->fetched = fetched;
	token->user = user;
	return token;
}

static void wipe_string(char *string)
{
	if (string)
		explicit_bzero(string, strlen(string));
	free(string);
}

static void drop(struct token *token)
{
	wipe_string(token->access_token);
	token->access_token = NULL;
	token->expires_at = 0;
}

static void wipe_body(struct token *token)
{
	if (token->body.data)
		explicit_bzero(token->body.data, token->body.capacity);
	text_free(&token->body);
}

void token_free(struct token *token)
{
	if (!token)
		return;
	drop(token);
	wipe_body(token);
	free(token);
}

const char *token_get(struct token *token, int64_t steady_ms)
{
	return token->access_token && steady_ms < token->unusable_at ? token->access_token : NULL;
}

bool token_wants(const struct token *token, int64_t steady_ms)
{
	return !token->fetching && (!token->access_token || steady_ms >= token->renew_at);
}

/* By the endpoint's clock, where that is known. */
static int64_t server_ms(const struct token *token, int64_t steady_ms)
{
	return token->knows_clock ? steady_ms + token->clock_offset_ms : clock_wall_ms();
}

void token_saw_date(struct token *token, const char *date, int64_t took_ms, int64_t steady_ms)
{
	int64_t theirs, ours;

	if (!date || (token->knows_clock && steady_ms - token->learnt_at < LEARN_EVERY_MS))
		return;
	theirs = track_http_date(date);
	if (theirs < 0)
		return;
	/* A Date is cut to whole seconds and was written at some moment of the exchange: our own clock is better, if it may be right. */
	ours = clock_wall_ms();
	if (ours < theirs - LEAST_SKEW_MS || ours > theirs + took_ms + LEAST_SKEW_MS)
		ours = theirs;
	token->clock_offset_ms = ours - steady_ms;
	token->knows_clock = true;
	token->learnt_at = steady_ms;
}

int64_t token_server_ms(const struct token *token, int64_t steady_ms)
{
	return token->knows_clock ? server_ms(token, steady_ms) : 0;
}

/* The life is counted from before the request, which can only be too short. */
static void keep(struct token *token, const struct token_answer *answer, int64_t took_ms)
{
	int64_t life = answer->lifetime_ms;

	drop(token);
	token->access_token = answer->access_token;
	token->renew_at = token->asked_at + life - token_margin_ms(life);
	token->unusable_at = token->asked_at + life - least(LONGEST_SLACK_MS, life / 10);
	token->expires_at = clock_wall_ms() - took_ms + life;
	token->generation++;
}

static void put_off(struct token *token, int64_t steady_ms)
{
	int64_t wait = (token->unusable_at - steady_ms) / 2;

	token->renew_at = least(steady_ms + (wait > LEAST_WAIT_MS ? wait : LEAST_WAIT_MS), token->unusable_at);
}

static void end(struct token *token, enum token_trouble trouble, const char *detail, int64_t steady_ms)
{
	token->fetching = token->asked_again = false;
	wipe_body(token);
	if (trouble != TOKEN_OK)
		put_off(token, steady_ms);
	token->fetched(token->user, trouble, detail);
}

static bool was_dated_wrong(const struct token *token)
{
	int64_t difference = token->clock_offset_ms - token->assumed_offset_ms;

	return token->knows_clock && (difference > WRONG_BY_MS || difference < -WRONG_BY_MS);
}

static void on_answer(void *user, const struct http_answer *http)
{
	struct token *token = user;
	struct token_answer answer = token_answer_read(http);
	int64_t now = token->asked_at + http->took_ms;

	/* A refusal may have the clock as its reason, whenever that was looked at last. */
	if (answer.trouble != TOKEN_OK)
		token->learnt_at = INT64_MIN / 2;
	token_saw_date(token, http->date, http->took_ms, now);
	if (answer.trouble == TOKEN_CREDENTIALS && !token->asked_again && was_dated_wrong(token)) {
		token->fetching = false;
		wipe_body(token);
		token->asked_again = true;
		token_fetch(token, now);
		return;
	}
	if (answer.trouble == TOKEN_OK)
		keep(token, &answer, http->took_ms);
	end(token, answer.trouble, answer.detail, now);
}

static bool make_assertion(struct token *token, int64_t steady_ms, struct error *err)
{
	const struct config_endpoint *endpoint = token->endpoint;
	int64_t now = server_ms(token, steady_ms), expires_ms = now + endpoint->jwt.lifetime_ms;
	struct jwt_claims claims = { .key_id = endpoint->jwt.key_id,
				     .issuer = endpoint->jwt.issuer,
				     .audience = endpoint->jwt.audience,
				     .expires_at = expires_ms / 1000 };
	struct jwt_key *key;
	bool good;

	if (!jwt_secret_is_private(endpoint->jwt.key, err) || !jwt_key_open(endpoint->jwt.key, &key, err))
		return false;
	token->assumed_offset_ms = now - steady_ms;
	text_append_string(&token->body, GRANT);
	good = jwt_sign(key, &claims, &token->body, err);
	jwt_key_close(key);
	return good;
}

static bool make_correlation_id(struct token *token, struct error *err)
{
	uint8_t bytes[CORRELATION_BYTES];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return error_set(err, ERROR_INTERNAL, "no random numbers");
	text_hex(token->correlation_id, bytes, sizeof(bytes));
	return true;
}

void token_fetch(struct token *token, int64_t steady_ms)
{
	struct http_request request = { .url = token->endpoint->token_url,
					.content_type = "application/x-www-form-urlencoded",
					.correlation_id = token->correlation_id };
	struct error err;

	if (token->fetching)
		return;
	if (!make_correlation_id(token, &err) || !make_assertion(token, steady_ms, &err)) {
		end(token, TOKEN_CREDENTIALS, err.text, steady_ms);
		return;
	}
	token->fetching = true;
	token->asked_at = steady_ms;
	request.body = token->body.data;
	request.body_length = token->body.length;
	http_post(token->client, &request, on_answer, token);
}

bool token_fetching(const struct token *token)
{
	return token->fetching;
}

uint64_t token_generation(const struct token *token)
{
	return token->generation;
}

void token_refused(struct token *token, uint64_t generation)
{
	if (generation == token->generation)
		drop(token);
}

void token_forget(struct token *token)
{
	drop(token);
}

void token_proved(struct token *token, uint64_t generation)
{
	if (generation > token->proved)
		token->proved = generation;
}

bool token_is_fresh(const struct token *token, uint64_t generation)
{
	return generation > token->proved;
}

int64_t token_expires_at(const struct token *token)
{
	return token->expires_at;
}
