/*
 * token: one endpoint's access token: fetched with an assertion, cached, renewed before it expires, never more than one request for it at a
 * time. "Reuse until it expires": asking before every call is forbidden by D1. The token is in memory only and is wiped when it is
 * replaced.
 */
#pragma once

#include "submit/http.h"

#include <stdbool.h>
#include <stdint.h>

struct token;

/* Why there is no token, in the words of the endpoint's pause reasons. */
enum token_trouble {
	TOKEN_OK,
	TOKEN_CREDENTIALS, /* 400, 401, 403; a key that cannot be used */
	TOKEN_REDIRECT,    /* 3xx */
	TOKEN_CERTIFICATE,
	TOKEN_OUTAGE, /* everything else that is no usable token */
};

enum { TOKEN_N_TROUBLES = TOKEN_OUTAGE + 1 };

/* token_trouble_name: "ok", or the pause reason that it leads to. */
const char *token_trouble_name(enum token_trouble trouble);

/* What a token answer says; pure. lifetime_ms: from expires_in (number or digits in a string; missing: 15 min; above 24 h: 24 h;
 * under 1 s or nothing of these: 60 s, and detail says so). */
struct token_answer {
	enum token_trouble trouble;
	char *access_token; /* NULL unless TOKEN_OK; the caller wipes and frees it */
	int64_t lifetime_ms;
	char detail[200]; /* for people; no secret */
};
struct token_answer token_answer_read(const struct http_answer *answer);

/* token_margin_ms tells how long before its end a token of this life is renewed: 60 s, at most half the life. */
int64_t token_margin_ms(int64_t lifetime_ms);

/* Called when a fetch has ended; detail is for the log. */
typedef void token_fetched(void *user, enum token_trouble trouble, const char *detail);

/* token_new borrows all its arguments. */
struct token *token_new(const struct config_endpoint *endpoint, struct http_client *client, token_fetched *fetched, void *user);
void token_free(struct token *token);

/* token_get gives the access token if it is good for now, else NULL. It stays valid until the next token_* call on it. */
const char *token_get(struct token *token, int64_t steady_ms);

/* token_wants tells whether a fetch should be started now: none under way, and there is no token, or it is in its margin. */
bool token_wants(const struct token *token, int64_t steady_ms);

/* token_fetch starts one (assertion, POST); fetched is called from http_run when it has ended, or by token_fetch itself, as its last act,
 * where the assertion could not even be made. Where the assertion was refused and the answer shows that it was dated by a wrong clock, it
 * is made and sent once more first. A fetch that fails leaves a token that is still good, and is put off until half of what is left of it.
 */
void token_fetch(struct token *token, int64_t steady_ms);
bool token_fetching(const struct token *token);

/* token_forget drops the token that is there, so that the next one proves what the endpoint thinks of us. */
void token_forget(struct token *token);

/*
 * token_saw_date is told of the Date header of an answer (NULL: none) that took so long: an assertion is dated by the endpoint's clock.
 * What is learnt is its difference to steady time, so that a step of our wall clock changes nothing.
 */
void token_saw_date(struct token *token, const char *date, int64_t took_ms, int64_t steady_ms);

/* token_server_ms gives the endpoint's time of day, or 0 where no answer has told it yet. */
int64_t token_server_ms(const struct token *token, int64_t steady_ms);

/*
 * token_refused is told of a 401 for a request that carried generation: it drops that token, unless it has been replaced meanwhile (so that
 * a storm of 401 costs one fetch). token_proved is told of any other answer from D1 that the generation's token brought: the token is no
 * longer fresh. token_is_fresh: no answer has proved good the generation since it was fetched.
 */
uint64_t token_generation(const struct token *token);
void token_refused(struct token *token, uint64_t generation);
void token_proved(struct token *token, uint64_t generation);
bool token_is_fresh(const struct token *token, uint64_t generation);

/* token_expires_at gives the wall-clock end in ms since 1970, or 0. */
int64_t token_expires_at(const struct token *token);
