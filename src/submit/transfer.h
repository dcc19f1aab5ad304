/*
 * transfer: one POST of http.c as libcurl sees it: a handle, its headers, the body on its way out and the answer on its way in. A transfer
 * is used again and again by one endpoint, so that what never changes is set once and no request allocates anything of ours. Private to
 * http.c.
 */
#pragma once

#include "base/text.h"
#include "submit/http.h"
#include "submit/http_head.h"

#include <curl/curl.h>

/* "Authorization: Bearer …", shared by all transfers that carry it; wiped when the last one is over. */
struct bearer {
	int holders;
	size_t token_at;
	char header[];
};

enum transfer_header {
	TRANSFER_ACCEPT,
	TRANSFER_EXPECT,
	TRANSFER_CONTENT_TYPE,
	TRANSFER_CORRELATION_ID,
	TRANSFER_AUTHORIZATION,
	TRANSFER_N_HEADERS,
};
enum { TRANSFER_MOST_HEADER = 256 };

struct transfer {
	struct transfer *previous, *next; /* in http.c's lists */
	struct http_client *client;
	http_done *done;
	void *user;
	CURL *easy;
	struct curl_slist headers[TRANSFER_N_HEADERS];
	char content_type[TRANSFER_MOST_HEADER];
	char correlation_id[TRANSFER_MOST_HEADER];
	struct bearer *bearer;
	const char *body;
	size_t body_length, body_taken;
	int64_t begun_us; /* since then its head may have left, and libcurl begins it no second time; 0: not yet */
	struct http_head head;
	struct text answer;
	size_t answer_length; /* read, kept or not */
	int64_t started_us;
	char words[CURL_ERROR_SIZE];
};

/* transfer_new; NULL where libcurl cannot do what is configured. transfer_free takes NULL. */
struct transfer *transfer_new(const struct config_endpoint *endpoint);
void transfer_free(struct transfer *transfer);

/* transfer_begin makes it ready for one request; false if libcurl did not take it. transfer_end forgets the request. latest is the
 * endpoint's newest bearer, replaced where the request has another one. */
bool transfer_begin(struct transfer *transfer, const struct http_request *request, struct bearer **latest);
void transfer_end(struct transfer *transfer);

/* transfer_answer tells what came of it; valid until transfer_end. */
struct http_answer transfer_answer(const struct transfer *transfer, CURLcode result);

/* bearer_drop takes NULL. */
void bearer_drop(struct bearer *bearer);

/* transfer_set_options, in a file of its own: all that stays the same from one request to the next. False where libcurl refuses one. */
bool transfer_set_options(struct transfer *transfer, const struct config_endpoint *endpoint);
