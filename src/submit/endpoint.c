#include "base/log.h"
#include "submit/flight.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static double random_fraction(void)
{
	uint64_t bits;

	/* Only jitter hangs on it: where the kernel gives none, the middle will do. */
	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != sizeof(bits))
		return 0.5;
	return (double)(bits >> 11) / (double)(UINT64_C(1) << 53);
}

/* Tells cards apart within a few answers; FNV-1a. */
static uint64_t card_number(const struct track_request *request)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (const char *c = request->card_id; *c; c++)
		hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
	return hash;
}

static void log_endpoint(struct endpoint *e, const char *detail)
{
	const struct log_field fields[] = {
		{ "endpoint", e->config->name },
		{ "state", pace_state_name(e->pace.state) },
		{ "reason", pace_reason_name(e->pace.reason) },
	};

	if (e->pace.state == PACE_OPEN)
		log_fields(LOG_NOTICE, fields, 2, "endpoint %s is open", e->config->name);
	else
		log_fields(LOG_WARNING, fields, 3, "endpoint %s is %s: %s%s%s", e->config->name, pace_state_name(e->pace.state),
			   pace_reason_name(e->pace.reason), detail && detail[0] ? ": " : "", detail ? detail : "");
}

/* Probing is part of a pause: only opening and closing are worth a line. */
void endpoint_changed(struct endpoint *e, enum pace_state before, enum pace_reason reason_before, const char *detail)
{
	e->changed = true;
	if ((e->pace.state == PACE_OPEN) == (before == PACE_OPEN) && (e->pace.state != PACE_PAUSED || e->pace.reason == reason_before))
		return;
	if (told_may(&e->told[e->pace.state == PACE_OPEN ? reason_before : e->pace.reason], e->submit->now_ms))
		log_endpoint(e, detail);
}

void endpoint_tell_counts(struct endpoint *e, bool ending)
{
	int64_t now_ms = e->submit->now_ms, counted;

	for (int i = 0; i <= PACE_RESTORED; i++) {
		counted = told_count(&e->told[i], now_ms, ending);
		if (counted)
			log_write(LOG_WARNING,
				  "endpoint %s: was paused (%s) or opened again %" PRId64 " times more, counted and not written; "
				  "now it is %s",
				  e->config->name, pace_reason_name((enum pace_reason)i), counted, pace_state_name(e->pace.state));
	}
	counted = told_count(&e->told_renewals, now_ms, ending);
	if (counted)
		log_write(LOG_WARNING, "endpoint %s: the token could not be renewed %" PRId64 " times more, counted and not written",
			  e->config->name, counted);
}

int64_t endpoint_tell_ms(const struct endpoint *e)
{
	int64_t next = told_next_ms(&e->told_renewals);

	for (int i = 0; i <= PACE_RESTORED; i++) {
		if (told_next_ms(&e->told[i]) < next)
			next = told_next_ms(&e->told[i]);
	}
	return next;
}

static void token_ended(void *user, enum token_trouble trouble, const char *detail)
{
	static const enum pace_reason reasons[] = {
		[TOKEN_OK] = PACE_NO_REASON,      [TOKEN_CREDENTIALS] = PACE_CREDENTIALS,
		[TOKEN_REDIRECT] = PACE_REDIRECT, [TOKEN_CERTIFICATE] = PACE_CERTIFICATE,
		[TOKEN_OUTAGE] = PACE_OUTAGE,
	};
	struct endpoint *e = user;
	enum pace_state state = e->pace.state;
	enum pace_reason reason = e->pace.reason;

	e->changed = true;
	e->counts.tokens[trouble]++;
	/* The one at hand serves on; most of such troubles are over before it ends. */
	if (trouble != TOKEN_OK && token_get(e->token, e->submit->now_ms)) {
		if (told_may(&e->told_renewals, e->submit->now_ms))
			log_write(LOG_WARNING, "endpoint %s: the token could not be renewed, it is tried again: %s", e->config->name,
				  detail);
		return;
	}
	if (trouble != TOKEN_OK && pace_trouble(&e->pace, reasons[trouble], e->submit->now_ms, random_fraction()))
		endpoint_changed(e, state, reason, detail);
}

static bool same_as_before(const struct flight *f)
{
	return f->claim.attempts > 1 && f->claim.last_status == f->http_status;
}

/* When a row that was put back may go again. A 401 costs it nothing, unless the token was fresh, or it is told so again: then asking at
 * once would only spin, and cost a token each time. */
static int64_t due_of(const struct endpoint *e, const struct flight *f, int64_t retry_after_ms, bool fresh)
{
	int step = f->claim.attempts > 30 ? 30 : (int)f->claim.attempts - 1;
	int64_t wait = 0;

	if (f->verdict.later || (f->verdict.health == TRACK_HEALTH_TOKEN && (fresh || same_as_before(f))))
		wait = pace_backoff_ms(e->config->retry.first_ms, e->config->retry.most_ms, step, random_fraction());
	if (retry_after_ms > wait)
		wait = retry_after_ms;
	return e->submit->now_ms + wait;
}

/* A row that alone is forbidden is at fault itself; where nothing is accepted it is our credentials. */
static bool others_are_accepted(const struct endpoint *e)
{
	return e->accepted_ms && e->submit->now_ms - e->accepted_ms <= e->config->retry.most_ms + e->config->timeout_ms;
}

/* An HTTP date is one by the clock of whoever wrote it. */
static int64_t retry_after_of(const struct http_answer *answer, int64_t wall_ms)
{
	int64_t theirs = answer->date ? track_http_date(answer->date) : -1;

	return answer->retry_after ? track_retry_after(answer->retry_after, theirs >= 0 ? theirs : wall_ms) : -1;
}

/* Takes over what an answer says about the endpoint. */
static void take_health(struct endpoint *e, struct flight *f, int64_t retry_after_ms, bool fresh)
{
	const struct pace_event event = {
		.health = f->verdict.health,
		.card = card_number(&f->claim.request),
		.token_was_fresh = fresh,
		.again = same_as_before(f),
		.under_way = e->n_sent,
		.retry_after_ms = retry_after_ms,
		.now_ms = e->submit->now_ms,
		.random = random_fraction(),
	};
	enum pace_state state = e->pace.state;
	enum pace_reason reason = e->pace.reason;

	if (pace_answered(&e->pace, &event))
		endpoint_changed(e, state, reason, f->verdict.detail);
	if (e->pace.state != PACE_PAUSED)
		return;
	/* The token endpoint can be asked whether we are welcome again without a row being put at risk. */
	if (e->pace.reason == PACE_CREDENTIALS || e->pace.reason == PACE_CERTIFICATE)
		token_forget(e->token);
	/* The next probe is for another card. */
	if (f->verdict.outcome == TRACK_BACK && f->due_ms < e->pace.until_ms + e->config->retry.first_ms)
		f->due_ms = e->pace.until_ms + e->config->retry.first_ms;
}

void endpoint_answered(void *user, const struct http_answer *answer)
{
	static const enum track_fault faults[] = {
		[HTTP_FAULT_NONE] = TRACK_FAULT_NONE,
		[HTTP_FAULT_CONNECTION] = TRACK_FAULT_CONNECTION,
		[HTTP_FAULT_TIME_OUT] = TRACK_FAULT_TIME_OUT,
		[HTTP_FAULT_CERTIFICATE] = TRACK_FAULT_CERTIFICATE,
	};
	struct flight *f = user;
	struct endpoint *e = f->endpoint;
	struct submit *s = e->submit;
	const struct track_policy policy = {
		.resend_unknown = e->config->resend_unknown,
		.retry_not_found = e->config->retry_not_found,
		.forbidden_before = others_are_accepted(e) ? f->claim.forbidden : 0,
	};
	const struct track_answer facts = {
		.fault = faults[answer->fault],
		.body_handed_over = answer->body_handed_over,
		.http_status = answer->status,
		.body = answer->body,
		.body_length = answer->body_length,
		.what = answer->what,
	};
	bool fresh = token_is_fresh(e->token, f->token_generation);
	int64_t retry_after;

	e->n_sent--;
	f->verdict = track_judge(&facts, &policy);
	f->http_status = answer->status;
	e->counts.attempts[f->verdict.outcome]++;
	histogram_count(&e->counts.latency, answer->took_ms);
	retry_after = f->verdict.health == TRACK_HEALTH_BUSY ? retry_after_of(answer, s->wall_ms) : -1;
	f->due_ms = due_of(e, f, retry_after, fresh);
	f->forbidden = f->verdict.health == TRACK_HEALTH_FORBIDDEN;
	if (f->verdict.health == TRACK_HEALTH_TOKEN)
		token_refused(e->token, f->token_generation);
	else if (answer->fault == HTTP_FAULT_NONE && f->verdict.health == TRACK_HEALTH_GOOD)
		token_proved(e->token, f->token_generation);
	if (f->verdict.outcome == TRACK_ACCEPTED)
		e->accepted_ms = s->now_ms;
	token_saw_date(e->token, answer->date, answer->took_ms, s->now_ms);
	take_health(e, f, retry_after, fresh);
	f->state = FLIGHT_ANSWERED;
	s->n_sent--;
	s->n_answered++;
}

bool endpoint_open(struct submit *s, struct endpoint *e, const struct config_endpoint *config, int index, bool after_crash,
		   struct error *err)
{
	size_t slots = (size_t)config->concurrency;
	struct queue_endpoint stored;
	enum pace_reason reason;

	*e = (struct endpoint){ .submit = s, .config = config, .index = index };
	if (!queue_endpoint_load(s->queue, index, &stored))
		return error_set(err, ERROR_IO, "endpoint %s cannot be read from the queue", config->name);
	if (!http_client_new(s->http, config, &e->client, err))
		return false;
	e->token = token_new(config, e->client, token_ended, e);
	e->pace = pace_new(config->concurrency, config->rate, config->retry.first_ms, config->retry.most_ms);
	if (after_crash)
		pace_after_crash(&e->pace);
	if (strcmp(stored.state, "open") != 0 && pace_reason_parse(stored.reason, &reason) && reason != PACE_NO_REASON) {
		e->pace.state = PACE_PAUSED;
		e->pace.reason = reason;
		e->pace.step = stored.step;
		e->pace.until_ms = stored.until_ms;
	}
	e->changed = true;
	e->flights = xcalloc(slots, sizeof(*e->flights));
	e->idle = xcalloc(slots, sizeof(struct flight *));
	e->claims = xcalloc(slots, sizeof(struct queue_claim *));
	for (size_t i = slots; i > 0; i--) {
		e->flights[i - 1].endpoint = e;
		e->idle[e->n_idle++] = &e->flights[i - 1];
	}
	return true;
}

void endpoint_close(struct endpoint *e)
{
	endpoint_tell_counts(e, true);
	for (size_t k = 0; e->flights && k < (size_t)e->config->concurrency; k++) {
		text_free(&e->flights[k].url);
		text_free(&e->flights[k].body);
	}
	token_free(e->token);
	http_client_free(e->client);
	free(e->flights);
	free(e->idle);
	free(e->claims);
}
