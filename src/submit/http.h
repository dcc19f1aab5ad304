/*
 * http: POSTs over libcurl's multi interface on the daemon's loop; curl.h is included here (http.c, transfer.*) alone. No blocking call, no
 * redirect followed, https alone (http where the configuration has it, which is to this machine), the environment's proxies ignored. Each
 * request is written once: the body comes from a read callback without a seek callback, so that libcurl cannot rewind and send it again by
 * itself (measured with 7.88.1: with POSTFIELDS it silently does), and is put on a connection once, even where nothing of the body has
 * left. A connection on which nothing came for a whole time-out is left. libcurl's sockets live in one epoll descriptor of ours, so that
 * one wake-up of the loop serves all sockets that are ready.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http;        /* the multi handle and its sockets */
struct http_client; /* one endpoint's connections: certificate, key, CA, proxy, time-outs */

enum { HTTP_MOST_BODY = 64 * 1024 }; /* bytes kept of an answer; the rest is read and dropped, and past 1 MiB the transfer is ended */

/* What the caller hands over: borrowed until done has been called. */
struct http_request {
	const char *url;
	const char *content_type;
	const char *bearer;         /* access token, or NULL */
	const char *correlation_id; /* x-correlation-id */
	const char *body;
	size_t body_length;
};

enum http_fault { HTTP_FAULT_NONE, HTTP_FAULT_CONNECTION, HTTP_FAULT_TIME_OUT, HTTP_FAULT_CERTIFICATE };

/* What came of it; borrowed by done for the length of the call. */
struct http_answer {
	enum http_fault fault;   /* NONE wherever a complete final status line was read, whatever happened after it */
	bool body_handed_over;   /* libcurl took the last byte of the body */
	int status;              /* of a complete final (not 1xx) status line, else 0 */
	const char *retry_after; /* header's value or NULL */
	const char *date;        /* header's value or NULL */
	const char *body;
	size_t body_length;
	const char *what; /* libcurl's words, without any secret, or NULL */
	int64_t took_ms;
};

typedef void http_done(void *user, const struct http_answer *answer);

/* http_new; descriptor gives an epoll descriptor that is readable when http_run has something to do. */
bool http_new(struct http **ret_http, struct error *err);
void http_free(struct http *http);
int http_descriptor(const struct http *http);

/* http_timeout_ms gives when http_run must be called at the latest even if nothing is readable: ms from now, or -1. */
int64_t http_timeout_ms(const struct http *http);

/* http_run does all that can be done now without waiting, and calls done for every request that ended. */
void http_run(struct http *http);

/* http_client_new borrows the endpoint. http_client_free requires that none of its requests is under way. */
bool http_client_new(struct http *http, const struct config_endpoint *endpoint, struct http_client **ret_client, struct error *err);
void http_client_free(struct http_client *client);

/* http_post starts a request; done is called exactly once, from http_run, never from inside http_post. */
void http_post(struct http_client *client, const struct http_request *request, http_done *done, void *user);

/* http_abort_all ends what is under way without calling done (the last step of a shutdown whose time is over). */
void http_abort_all(struct http *http);
