/*
 * flight: what submit.c (the turn: claim, send, record) and endpoint.c (what an answer means for its row and its endpoint) share. Included
 * by these alone.
 */
#pragma once

#include "base/told.h"
#include "submit/certificate.h"
#include "submit/pace.h"
#include "submit/submit.h"
#include "submit/token.h"

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
	struct certificate certificate;
	struct flight *flights; /* config->concurrency of them */
	struct flight **idle;   /* stack of the free ones */
	size_t n_idle;
	int n_sent;                  /* flights that are FLIGHT_SENT */
	struct queue_claim **claims; /* room for one claim of all slots */
	int64_t accepted_ms;         /* steady time of the last 202, 0: none yet */
	int64_t token_expires_at;    /* as stored */
	int stored_level;
	int64_t stored_ms;
	bool changed; /* what endpoint_status shows is to be stored */
	struct submit_counts counts;
	struct told told[PACE_RESTORED + 1]; /* lines about pauses, by reason */
	struct told told_renewals;
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

/* endpoint_open takes over what is stored of the endpoint; endpoint_close takes one that was opened halfway too. */
bool endpoint_open(struct submit *submit, struct endpoint *endpoint, const struct config_endpoint *config, int index, bool after_crash,
		   struct error *err);
void endpoint_close(struct endpoint *endpoint);

/* endpoint_changed marks what endpoint_status shows for storing, and logs where the endpoint opened, closed or closed for another reason.
 */
void endpoint_changed(struct endpoint *endpoint, enum pace_state before, enum pace_reason reason_before, const char *detail);

/* endpoint_tell_counts logs how many such lines were counted and not written, where that is due, or (ending) where there are any;
 * endpoint_tell_ms is when there will be something by time alone. */
void endpoint_tell_counts(struct endpoint *endpoint, bool ending);
int64_t endpoint_tell_ms(const struct endpoint *endpoint);

/* endpoint_answered judges what came back for a flight; the http_done of all requests. */
void endpoint_answered(void *flight, const struct http_answer *answer);
