/*
 * verdict: what an answer, or the lack of one, means for the row and for its endpoint. One pure function, the whole table of the
 * product's answers; no I/O, no clock, no state. What is counted over several answers (repeated, running) is pace's business.
 * D1 lets a client repeat 503 alone; 500 is explicitly not to be retried.
 */
#pragma once

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* How far the exchange got, in our own terms; libcurl's error codes prove little. */
enum track_fault {
	TRACK_FAULT_NONE,        /* there is a complete status line */
	TRACK_FAULT_CONNECTION,  /* no complete status line: refused, reset, name not found, TLS failure, … */
	TRACK_FAULT_TIME_OUT,    /* no complete status line in time */
	TRACK_FAULT_CERTIFICATE, /* no complete status line: a certificate, theirs or ours, was not accepted */
};

/* What came back for one request. */
struct track_answer {
	enum track_fault fault;
	bool body_handed_over; /* the last byte of the body was given to the transport */
	int http_status;       /* of a complete status line, else 0 */
	const char *body;      /* what was read of the answer's body: may be cut, HTML or empty; not NUL-terminated */
	size_t body_length;
	const char *what; /* the transport's own words for people, or NULL; no secret in it */
};

/* What the sender was told to do where the table leaves a choice (configuration), and what it knows of this row. */
struct track_policy {
	bool resend_unknown;  /* on_unknown_outcome: resend */
	bool retry_not_found; /* on_not_found: retry */
	int forbidden_before; /* how often this row alone was told 403 before, while others were accepted since; 4 more than none refuse it
			       */
};

enum track_outcome {
	TRACK_ACCEPTED = 1,
	TRACK_REFUSED = 2,
	TRACK_IN_DOUBT = 3,
	TRACK_BACK = 4, /* queued again, to be sent by itself */
};

/* What the answer says about the endpoint. */
enum track_health {
	TRACK_HEALTH_GOOD,        /* it answered about the row: 202, 400, 404, … */
	TRACK_HEALTH_TOKEN,       /* 401: one new token for all */
	TRACK_HEALTH_FORBIDDEN,   /* 403 that is not about the card product */
	TRACK_HEALTH_BUSY,        /* 429, 503 */
	TRACK_HEALTH_BROKEN,      /* 502, unknown outcome: repeated, it is an outage */
	TRACK_HEALTH_SLOW,        /* the same, and it took too long: 408, 504, no answer in time */
	TRACK_HEALTH_UNREACHABLE, /* not sent whole: back-off */
	TRACK_HEALTH_CERTIFICATE,
	TRACK_HEALTH_REDIRECT,
	TRACK_HEALTH_PROXY,
};

enum { TRACK_N_HEALTHS = TRACK_HEALTH_PROXY + 1 };

enum { TRACK_MOST_OPERATION_ID = 64, TRACK_MOST_ERROR_CODE = 64, TRACK_MOST_DETAIL = 200 };

struct track_verdict {
	enum track_outcome outcome;
	bool later; /* with TRACK_BACK: after a back-off, not at once */
	enum track_health health;
	char operation_id[TRACK_MOST_OPERATION_ID + 1]; /* "" without a usable one; matches ^[A-Za-z0-9_-]{1,64}$ */
	char error_code[TRACK_MOST_ERROR_CODE + 1];     /* D1's errorCode, printable ASCII, "" without */
	char detail[TRACK_MOST_DETAIL + 1];             /* for people, "" where status and code say all; escaped, one line */
};

/* track_judge reads an answer; it cannot fail: whatever comes, there is a verdict. The body never changes the outcome but for 403's
 * errorCode. */
struct track_verdict track_judge(const struct track_answer *answer, const struct track_policy *policy);

/* track_outcome_name gives "accepted", "refused", "in_doubt", "back", as attempt_history shows it. */
const char *track_outcome_name(enum track_outcome outcome);

enum { TRACK_MOST_RETRY_AFTER_MS = 60 * 60 * 1000 };

/*
 * track_retry_after reads a Retry-After header (RFC 9110, 10.2.3): seconds or an HTTP date against now (ms since 1970). Gives milliseconds
 * from now, 0 to 1 h (longer is cut to that, the past is 0), or -1 where the value is neither form.
 */
int64_t track_retry_after(const char *value, int64_t now_wall_ms);

/* track_http_date reads an IMF-fixdate (RFC 9110, 5.6.7; the two obsolete forms as well) as ms since 1970, or -1. */
int64_t track_http_date(const char *value);
