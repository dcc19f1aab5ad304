#include "submit/submit.h"

#include "base/clock.h"
#include "base/log.h"
#include "submit/pace.h"
#include "submit/token.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum flight_state {
	FLIGHT_FREE,
	FLIGHT_CLAIMED,  /* in this turn's transaction, not sent */
	FLIGHT_SENT,     /* given to the transport */
	FLIGHT_ANSWERED, /* judged, to be recorded */
	FLIGHT_UNSENT,   /* claimed and committed, but it could not be given to the transport: the claim is to be undone */
	FLIGHT_RECORDED, /* recorded in this turn's transaction */
	FLIGHT_UNDONE,   /* its claim was undone in this turn's transaction */
};

struct flight {
	enum flight_state state;
	struct endpoint *endpoint;
	struct queue_claim claim;
	uint64_t token_generation;
	struct text url, body;
	char correlation_id[17];
	/* answered: */
	struct track_verdict verdict;
	int http_status;
	int64_t due_ms;
	bool forbidden;
};

struct endpoint {
	struct submit *submit;
	const struct config_endpoint *config;
	int index;
	struct http_client *client;
	struct token *token;
	struct pace pace;
	struct flight *flights; /* config->concurrency of them */
	struct flight **idle;   /* stack of the free ones */
	size_t n_idle;
	struct queue_claim **claims; /* room for one claim of all slots */
	int64_t accepted_ms;         /* steady time of the last 202, 0: none yet */
	int64_t token_expires_at;    /* as stored */
	bool changed;                /* what endpoint_status shows is to be stored */
};

struct submit {
	const struct config *config;
	struct queue *queue;
	struct http *http;
	struct endpoint *endpoints;
	size_t n_endpoints;
	int64_t now_ms, wall_ms; /* of this turn */
	size_t n_claimed, n_sent, n_answered;
};

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
static void changed(struct endpoint *e, enum pace_state before, enum pace_reason reason_before, const char *detail)
{
	e->changed = true;
	if ((e->pace.state == PACE_OPEN) != (before == PACE_OPEN) || (e->pace.state == PACE_PAUSED && e->pace.reason != reason_before))
		log_endpoint(e, detail);
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
	if (trouble != TOKEN_OK && pace_trouble(&e->pace, reasons[trouble], e->submit->now_ms, random_fraction()))
		changed(e, state, reason, detail);
}

/* When a row that was put back may go again. A 401 costs it nothing, unless the token was fresh: then asking at once would only spin. */
static int64_t due_of(const struct endpoint *e, const struct flight *f, int64_t retry_after_ms, bool fresh)
{
	int step = f->claim.attempts > 30 ? 30 : (int)f->claim.attempts - 1;
	int64_t wait = 0;

	if (f->verdict.later || fresh)
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

static void answered(void *user, const struct http_answer *answer)
{
	static const enum track_fault faults[] = {
		[HTTP_FAULT_NONE] = TRACK_FAULT_NONE,
		[HTTP_FAULT_CONNECTION] = TRACK_FAULT_CONNECTION,
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
	int64_t retry_after = answer->retry_after ? track_retry_after(answer->retry_after, s->wall_ms) : -1;
	bool fresh = token_is_fresh(e->token, f->token_generation);
	enum pace_state state = e->pace.state;
	enum pace_reason reason = e->pace.reason;
	struct pace_event event;

	f->verdict = track_judge(&facts, &policy);
	f->http_status = answer->status;
	event = (struct pace_event){
		.health = f->verdict.health,
		.card = card_number(&f->claim.request),
		.token_was_fresh = fresh,
		.retry_after_ms = f->verdict.health == TRACK_HEALTH_BUSY ? retry_after : -1,
		.now_ms = s->now_ms,
		.random = random_fraction(),
	};
	f->due_ms = due_of(e, f, event.retry_after_ms, f->verdict.health == TRACK_HEALTH_TOKEN && fresh);
	f->forbidden = f->verdict.health == TRACK_HEALTH_FORBIDDEN;
	if (f->verdict.health == TRACK_HEALTH_TOKEN)
		token_refused(e->token, f->token_generation);
	else if (answer->fault == HTTP_FAULT_NONE && f->verdict.health == TRACK_HEALTH_GOOD)
		token_proved(e->token, f->token_generation);
	if (f->verdict.outcome == TRACK_ACCEPTED)
		e->accepted_ms = s->now_ms;
	if (pace_answered(&e->pace, &event))
		changed(e, state, reason, f->verdict.detail);
	f->state = FLIGHT_ANSWERED;
	s->n_sent--;
	s->n_answered++;
}

static bool endpoint_open(struct submit *s, struct endpoint *e, const struct config_endpoint *config, int index, struct http *http,
			  bool after_crash, struct error *err)
{
	size_t slots = (size_t)config->concurrency;
	struct queue_endpoint stored;
	enum pace_reason reason;

	*e = (struct endpoint){ .submit = s, .config = config, .index = index };
	if (!queue_endpoint_load(s->queue, index, &stored))
		return error_set(err, ERROR_IO, "endpoint %s cannot be read from the queue", config->name);
	if (!http_client_new(http, config, &e->client, err))
		return false;
	e->token = token_new(config, e->client, token_ended, e);
	e->pace = pace_new(config->concurrency, config->rate, config->retry.first_ms, config->retry.most_ms);
	if (after_crash)
		pace_after_crash(&e->pace);
	if (strcmp(stored.state, "open") != 0 && pace_reason_parse(stored.reason, &reason) && reason != PACE_NO_REASON) {
		e->pace.state = PACE_PAUSED;
		e->pace.reason = reason;
		e->pace.step = stored.step;
		/* As for rows: a wait that a clock error stored must not last for years. */
		e->pace.until_ms = stored.until_ms > s->now_ms + INT64_C(3600000) ? s->now_ms + INT64_C(3600000) : stored.until_ms;
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

bool submit_new(const struct config *config, struct queue *queue, struct http *http, bool after_crash, struct submit **ret_submit,
		struct error *err)
{
	struct submit *s = xcalloc(1, sizeof(*s));

	s->config = config;
	s->queue = queue;
	s->http = http;
	s->now_ms = clock_steady_ms();
	s->wall_ms = clock_wall_ms();
	s->endpoints = xcalloc(config->n_endpoints, sizeof(*s->endpoints));
	for (size_t i = 0; i < config->n_endpoints; i++) {
		s->n_endpoints++;
		if (!endpoint_open(s, &s->endpoints[i], &config->endpoints[i], (int)i, http, after_crash, err)) {
			submit_free(s);
			return false;
		}
	}
	*ret_submit = s;
	return true;
}

void submit_free(struct submit *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_endpoints; i++) {
		struct endpoint *e = &s->endpoints[i];

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
	free(s->endpoints);
	free(s);
}

static void record(struct submit *s, struct flight *f)
{
	struct endpoint *e = f->endpoint;
	const struct queue_result result = {
		.claim = &f->claim,
		.endpoint = e->index,
		.verdict = &f->verdict,
		.http_status = f->http_status,
		.due_ms = f->due_ms,
		.give_up_after_ms = e->config->retry.give_up_after_ms,
		.forbidden = f->forbidden,
		.now_ms = s->now_ms,
		.wall_ms = s->wall_ms,
	};
	enum row_state state;
	bool paused;

	if (!queue_record(s->queue, &result, &state, &paused))
		return; /* the turn is spoiled: the answer stays and is written with the next one */
	f->state = FLIGHT_RECORDED;
	log_write(LOG_DEBUG, "row %" PRId64 " attempt %" PRId64 ": %s, status %d%s%s", f->claim.row, f->claim.attempts,
		  queue_state_name(state), f->http_status, f->verdict.detail[0] ? ", " : "", f->verdict.detail);
	if (paused)
		log_write(LOG_WARNING, "manifest %" PRId64 " is paused: %d rows running were refused with status %d %s", f->claim.manifest,
			  QUEUE_REFUSALS_RUNNING, f->http_status, f->verdict.error_code);
}

static void record_all(struct submit *s, struct endpoint *e)
{
	for (int i = 0; i < e->config->concurrency; i++) {
		struct flight *f = &e->flights[i];

		if (f->state == FLIGHT_ANSWERED)
			record(s, f);
		else if (f->state == FLIGHT_UNSENT && queue_unclaim(s->queue, &f->claim, s->now_ms))
			f->state = FLIGHT_UNDONE;
	}
}

static int busy_flights(const struct endpoint *e)
{
	return e->config->concurrency - (int)e->n_idle;
}

static void claim(struct submit *s, struct endpoint *e)
{
	enum pace_state state = e->pace.state;
	enum pace_reason reason = e->pace.reason;
	bool moved = false;
	int slots = pace_free_slots(&e->pace, busy_flights(e), s->now_ms, &moved);
	size_t n = 0;

	if (moved)
		changed(e, state, reason, "");
	if (slots <= 0 || e->n_idle == 0 || queue_next_due(s->queue, e->index, s->now_ms) > s->now_ms)
		return;
	if (!token_get(e->token, s->now_ms)) {
		if (token_wants(e->token, s->now_ms))
			token_fetch(e->token, s->now_ms);
		return;
	}
	if (token_wants(e->token, s->now_ms))
		token_fetch(e->token, s->now_ms);
	if ((size_t)slots > e->n_idle)
		slots = (int)e->n_idle;
	for (size_t i = 0; i < (size_t)slots; i++)
		e->claims[i] = &e->idle[e->n_idle - 1 - i]->claim;
	if (!queue_claim(s->queue, e->index, (size_t)slots, s->now_ms, s->wall_ms, e->claims, &n))
		return;
	for (size_t i = 0; i < n; i++)
		e->idle[--e->n_idle]->state = FLIGHT_CLAIMED;
	pace_took(&e->pace, (int)n, s->now_ms);
	s->n_claimed += n;
}

static void store(struct submit *s, struct endpoint *e)
{
	struct queue_endpoint as = {
		.until_ms = e->pace.state == PACE_PAUSED && e->pace.reason != PACE_OPERATOR && e->pace.reason != PACE_RESTORED
				    ? e->pace.until_ms
				    : 0,
		.step = e->pace.step,
		.concurrency = e->pace.level,
		.token_expires_at = token_expires_at(e->token),
	};

	if (!e->changed && as.token_expires_at == e->token_expires_at) {
		queue_endpoint_open(s->queue, e->index, e->pace.state == PACE_OPEN, s->now_ms);
		return;
	}
	snprintf(as.state, sizeof(as.state), "%s", pace_state_name(e->pace.state));
	snprintf(as.reason, sizeof(as.reason), "%s", pace_reason_name(e->pace.reason));
	if (queue_endpoint_store(s->queue, e->index, &as)) {
		e->changed = false;
		e->token_expires_at = as.token_expires_at;
	}
	queue_endpoint_open(s->queue, e->index, e->pace.state == PACE_OPEN, s->now_ms);
}

void submit_listen(struct submit *s, int64_t now_ms, int64_t wall_ms)
{
	s->now_ms = now_ms;
	s->wall_ms = wall_ms;
	http_run(s->http);
}

void submit_gather(struct submit *s, bool claiming)
{
	for (size_t i = 0; i < s->n_endpoints; i++) {
		record_all(s, &s->endpoints[i]);
		if (claiming)
			claim(s, &s->endpoints[i]);
		store(s, &s->endpoints[i]);
	}
}

static void send_row(struct endpoint *e, struct flight *f, int64_t now_ms)
{
	const char *bearer = token_get(e->token, now_ms);
	struct http_request request;

	if (!bearer) {
		f->state = FLIGHT_UNSENT;
		e->submit->n_answered++;
		return;
	}
	text_clear(&f->url);
	text_append_string(&f->url, e->config->api_url);
	track_request_path(&f->url, &f->claim.request);
	text_clear(&f->body);
	track_request_body(&f->body, &f->claim.request);
	snprintf(f->correlation_id, sizeof(f->correlation_id), "%016" PRIx64, f->claim.correlation);
	request = (struct http_request){
		.url = f->url.data,
		.content_type = "application/json",
		.bearer = bearer,
		.correlation_id = f->correlation_id,
		.body = f->body.data,
		.body_length = f->body.length,
	};
	f->token_generation = token_generation(e->token);
	f->state = FLIGHT_SENT;
	e->submit->n_sent++;
	http_post(e->client, &request, answered, f);
}

static void let_go(struct endpoint *e, struct flight *f)
{
	f->state = FLIGHT_FREE;
	e->idle[e->n_idle++] = f;
}

void submit_act(struct submit *s, bool committed, int64_t now_ms)
{
	for (size_t i = 0; i < s->n_endpoints; i++) {
		struct endpoint *e = &s->endpoints[i];

		e->changed = e->changed || !committed;
		for (int k = 0; k < e->config->concurrency; k++) {
			struct flight *f = &e->flights[k];

			switch (f->state) {
			case FLIGHT_FREE:
			case FLIGHT_SENT:
			case FLIGHT_ANSWERED:
			case FLIGHT_UNSENT: break;
			case FLIGHT_CLAIMED:
				s->n_claimed--;
				if (committed)
					send_row(e, f, now_ms);
				else
					let_go(e, f);
				break;
			case FLIGHT_RECORDED:
			case FLIGHT_UNDONE:
				if (committed) {
					s->n_answered--;
					let_go(e, f);
				} else {
					f->state = f->state == FLIGHT_RECORDED ? FLIGHT_ANSWERED : FLIGHT_UNSENT;
				}
				break;
			}
		}
	}
}

size_t submit_in_flight(const struct submit *s)
{
	return s->n_claimed + s->n_sent + s->n_answered;
}

size_t submit_unwritten(const struct submit *s)
{
	return s->n_answered;
}

bool submit_can_move(struct submit *s, int64_t now_ms)
{
	for (size_t i = 0; i < s->n_endpoints; i++) {
		struct endpoint *e = &s->endpoints[i];

		if (e->pace.state != PACE_PAUSED && queue_next_due(s->queue, e->index, now_ms) <= now_ms)
			return true;
	}
	return false;
}

int64_t submit_next_ms(struct submit *s, int64_t now_ms)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < s->n_endpoints; i++) {
		struct endpoint *e = &s->endpoints[i];
		int64_t due = queue_next_due(s->queue, e->index, now_ms), pace, at;

		if (due == INT64_MAX)
			continue;
		/* A full house and a token under way are events of the network's. */
		if (e->n_idle == 0 || (!token_get(e->token, now_ms) && token_fetching(e->token)))
			continue;
		pace = pace_next_ms(&e->pace, busy_flights(e), now_ms);
		at = pace > due ? pace : due;
		if (at < next)
			next = at;
	}
	return next;
}
