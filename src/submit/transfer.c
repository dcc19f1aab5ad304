#include "submit/transfer.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_KEPT = 4096 }; /* of the answer's buffer, from one request to the next */

void bearer_drop(struct bearer *bearer)
{
	if (!bearer || --bearer->holders)
		return;
	explicit_bzero(bearer->header, strlen(bearer->header));
	free(bearer);
}

static struct bearer *bearer_new(const char *token)
{
	static const char name[] = "Authorization: Bearer ";
	size_t length = strlen(token);
	struct bearer *bearer = xmalloc(sizeof(*bearer) + sizeof(name) + length);

	bearer->holders = 1;
	bearer->token_at = sizeof(name) - 1;
	memcpy(bearer->header, name, bearer->token_at);
	memcpy(bearer->header + bearer->token_at, token, length + 1);
	return bearer;
}

/* Transfers that are under way keep the one they were given. */
static struct bearer *bearer_hold(struct bearer **latest, const char *token)
{
	if (!*latest || strcmp((*latest)->header + (*latest)->token_at, token) != 0) {
		bearer_drop(*latest);
		*latest = bearer_new(token);
	}
	(*latest)->holders++;
	return *latest;
}

static void link_headers(struct transfer *t)
{
	t->headers[TRANSFER_ACCEPT].data = (char *)"Accept: application/json";
	/* Without a value it keeps libcurl from sending one, and from waiting for a 100. */
	t->headers[TRANSFER_EXPECT].data = (char *)"Expect:";
	t->headers[TRANSFER_CONTENT_TYPE].data = t->content_type;
	t->headers[TRANSFER_CORRELATION_ID].data = t->correlation_id;
	for (int i = 0; i < TRANSFER_CORRELATION_ID; i++)
		t->headers[i].next = &t->headers[i + 1];
}

struct transfer *transfer_new(const struct config_endpoint *endpoint)
{
	struct transfer *t = xcalloc(1, sizeof(*t));

	t->easy = curl_easy_init();
	if (!t->easy)
		abort();
	link_headers(t);
	if (transfer_set_options(t, endpoint))
		return t;
	transfer_free(t);
	return NULL;
}

void transfer_free(struct transfer *t)
{
	if (!t)
		return;
	curl_easy_cleanup(t->easy);
	text_free(&t->answer);
	free(t);
}

static void set_header(char buffer[static TRANSFER_MOST_HEADER], const char *name, const char *value)
{
	size_t at = strlen(name);
	size_t length = strnlen(value, TRANSFER_MOST_HEADER - 1 - at);

	memcpy(buffer, name, at);
	memcpy(buffer + at, value, length);
	buffer[at + length] = '\0';
}

bool transfer_begin(struct transfer *t, const struct http_request *request, struct bearer **latest)
{
	set_header(t->content_type, "Content-Type: ", request->content_type);
	set_header(t->correlation_id, "x-correlation-id: ", request->correlation_id);
	t->bearer = request->bearer ? bearer_hold(latest, request->bearer) : NULL;
	t->headers[TRANSFER_AUTHORIZATION].data = t->bearer ? t->bearer->header : NULL;
	t->headers[TRANSFER_CORRELATION_ID].next = t->bearer ? &t->headers[TRANSFER_AUTHORIZATION] : NULL;
	t->body = request->body;
	t->body_length = request->body_length;
	t->body_taken = 0;
	t->begun_us = 0;
	t->head = (struct http_head){ 0 };
	t->answer_length = 0;
	t->words[0] = '\0';
	t->started_us = clock_monotonic_us();
	return curl_easy_setopt(t->easy, CURLOPT_URL, request->url) == CURLE_OK &&
	       curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length) == CURLE_OK;
}

void transfer_end(struct transfer *t)
{
	/* Without a bearer it asked for one: the answer is a secret. */
	if (!t->bearer && t->answer.data)
		explicit_bzero(t->answer.data, t->answer.capacity);
	if (t->answer.capacity > MOST_KEPT)
		text_free(&t->answer);
	text_clear(&t->answer);
	bearer_drop(t->bearer);
	t->bearer = NULL;
}

/* With TLS 1.3 a server refuses our certificate after the handshake, and libcurl only has OpenSSL's text for it. */
static bool is_certificate_fault(CURLcode result, const char *words)
{
	static const CURLcode codes[] = { CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,       CURLE_SSL_CACERT_BADFILE,
					  CURLE_SSL_ISSUER_ERROR,         CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT };

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		if (codes[i] == result)
			return true;
	}
	return strstr(words, "alert") && (strstr(words, "certificate") || strstr(words, "unknown ca") || strstr(words, "access denied"));
}

/* libcurl's words for these faults are about its own doings. */
static const char *words_of(CURLcode result)
{
	if (result == CURLE_SEND_FAIL_REWIND)
		return "the connection was lost after the request was sent";
	if (result == CURLE_ABORTED_BY_CALLBACK)
		return "the connection was lost, or the stream refused, after the request was begun";
	if (result == CURLE_WRITE_ERROR)
		return "the answer is longer than 1 MiB";
	return curl_easy_strerror(result);
}

/* libcurl's own words can hold a URL, which names a card, so that they are shown for certificates alone. */
struct http_answer transfer_answer(const struct transfer *t, CURLcode result)
{
	bool certificate = result != CURLE_OK && is_certificate_fault(result, t->words);
	struct http_answer answer = { .status = t->head.status,
				      .body_handed_over = t->body_taken == t->body_length,
				      .retry_after = t->head.retry_after[0] ? t->head.retry_after : NULL,
				      .date = t->head.date[0] ? t->head.date : NULL,
				      .body = t->answer.data,
				      .body_length = t->answer.length,
				      .took_ms = (clock_monotonic_us() - t->started_us) / 1000 };
	long connect_status = 0;

	if (result != CURLE_OK)
		answer.what = certificate && t->words[0] ? t->words : words_of(result);
	if (answer.status)
		return answer;
	/* What never began still has the information of the request before. */
	if (result != CURLE_FAILED_INIT)
		curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &connect_status);
	if (connect_status == 407 && !t->body_taken)
		answer.status = 407;
	else if (certificate)
		answer.fault = HTTP_FAULT_CERTIFICATE;
	else
		answer.fault = result == CURLE_OPERATION_TIMEDOUT ? HTTP_FAULT_TIME_OUT : HTTP_FAULT_CONNECTION;
	if (result == CURLE_OK)
		answer.what = "the answer has no status line that can be read";
	return answer;
}
