#include "submit/submit.h"

#include "base/clock.h"
#include "base/log.h"
#include "submit/flight.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEVEL_EVERY_MS = 1000 };

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
		if (!endpoint_open(s, &s->endpoints[i], &config->endpoints[i], (int)i, after_crash, err)) {
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
	for (size_t i = 0; i < s->n_endpoints; i++)
		endpoint_close(&s->endpoints[i]);
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
		endpoint_changed(e, state, reason, "");
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
		.concurrency = e->pace.speed.level,
		.token_expires_at = token_expires_at(e->token),
		.certificate_expires_at = e->certificate.expires_at * 1000,
	};

	/* The level changes with any answer: for people, once a second will do. */
	bool level_due = as.concurrency != e->stored_level && s->now_ms - e->stored_ms >= LEVEL_EVERY_MS;

	if (e->changed || level_due || as.token_expires_at != e->token_expires_at) {
		snprintf(as.state, sizeof(as.state), "%s", pace_state_name(e->pace.state));
		snprintf(as.reason, sizeof(as.reason), "%s", pace_reason_name(e->pace.reason));
		if (queue_endpoint_store(s->queue, e->index, &as)) {
			e->changed = false;
			e->token_expires_at = as.token_expires_at;
			e->stored_level = as.concurrency;
			e->stored_ms = s->now_ms;
		}
	}
	queue_endpoint_open(s->queue, e->index, e->pace.state == PACE_OPEN, s->now_ms);
}

static void look_at_certificate(struct submit *s, struct endpoint *e)
{
	int64_t before = e->certificate.expires_at, left;
	const char *path = e->config->tls.certificate;
	char time[32];

	if (certificate_look(&e->certificate, path, s->now_ms, s->wall_ms)) {
		text_time(time, e->certificate.expires_at * 1000);
		left = e->certificate.expires_at - s->wall_ms / 1000;
		if (left > 0)
			log_write(LOG_WARNING, "endpoint %s: the client certificate %s ends at %s, in %" PRId64 " days", e->config->name,
				  path, time, left / (24 * 60 * 60));
		else
			log_write(LOG_WARNING, "endpoint %s: the client certificate %s has ended, at %s", e->config->name, path, time);
	}
	e->changed = e->changed || e->certificate.expires_at != before;
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
		look_at_certificate(s, &s->endpoints[i]);
		store(s, &s->endpoints[i]);
		endpoint_tell_counts(&s->endpoints[i], false);
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
	e->n_sent++;
	e->submit->n_sent++;
	http_post(e->client, &request, endpoint_answered, f);
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
		int64_t due = queue_next_due(s->queue, e->index, now_ms), tell = endpoint_tell_ms(e), pace, at;

		if (tell < next)
			next = tell;
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

int64_t submit_server_ms(const struct submit *s, int64_t now_ms)
{
	int64_t earliest = 0;

	for (size_t i = 0; i < s->n_endpoints; i++) {
		int64_t at = token_server_ms(s->endpoints[i].token, now_ms);

		if (at && (!earliest || at < earliest))
			earliest = at;
	}
	return earliest;
}

struct submit_figures submit_figures(const struct submit *s, size_t endpoint)
{
	const struct endpoint *e = &s->endpoints[endpoint];

	return (struct submit_figures){
		.state = pace_state_name(e->pace.state),
		.reason = pace_reason_name(e->pace.reason),
		.concurrency = e->pace.speed.level,
		.in_flight = busy_flights(e),
		.certificate_expires_at = e->certificate.expires_at,
		.counts = &e->counts,
	};
}

const char *submit_pause(struct submit *s, int endpoint)
{
	struct endpoint *e = &s->endpoints[endpoint];
	enum pace_state state = e->pace.state;
	enum pace_reason reason = e->pace.reason;

	if (state != PACE_OPEN && (reason == PACE_OPERATOR || reason == PACE_RESTORED))
		return "is paused already";
	pace_pause(&e->pace, PACE_OPERATOR);
	endpoint_changed(e, state, reason, "");
	return NULL;
}

const char *submit_resume(struct submit *s, int endpoint)
{
	struct endpoint *e = &s->endpoints[endpoint];
	enum pace_state state = e->pace.state;
	enum pace_reason reason = e->pace.reason;

	if (state == PACE_OPEN)
		return "is not paused";
	pace_resume(&e->pace);
	endpoint_changed(e, state, reason, "");
	return NULL;
}
