#include "submit/transfer.h"

#include "base/clock.h"

#include <string.h>
#include <unistd.h>

enum {
	MOST_READ = 1024 * 1024, /* of an answer's body; then the transfer is ended */
	BUFFER = 16 * 1024,
	IDLE_S = 20, /* a server is likely to keep an idle connection for longer; one that it closes under a request makes doubt */
	LIFETIME_S = 300,
	SYSTEM_CA_CACHE_S = 60,
};

/* There is no seek callback beside it on purpose: what was read once cannot be sent again. */
static size_t on_body_wanted(char *buffer, size_t size, size_t count, void *user)
{
	struct transfer *t = user;
	size_t left = t->body_length - t->body_taken;
	size_t take = size * count < left ? size * count : left;

	memcpy(buffer, t->body + t->body_taken, take);
	t->body_taken += take;
	return take;
}

/* Comes before each request that libcurl puts on a connection. It would begin a second one by itself, after a refused stream or a kept
 * connection that broke, as long as it believes that nothing of the body has left.
 * A token may be asked for twice. */
static int on_begin(void *user, char *address, char *own_address, int port, int own_port)
{
	struct transfer *t = user;
	bool begun = t->begun_us != 0;

	(void)address;
	(void)own_address;
	(void)port;
	(void)own_port;
	t->begun_us = clock_monotonic_us();
	return begun && t->bearer ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
	struct transfer *t = user;

	http_head_line(&t->head, line, size * count);
	return size * count;
}

static size_t on_answer(char *data, size_t size, size_t count, void *user)
{
	struct transfer *t = user;
	size_t length = size * count;
	size_t room = HTTP_MOST_BODY - t->answer.length;

	text_append(&t->answer, data, length < room ? length : room);
	t->answer_length += length;
	return t->answer_length > MOST_READ ? 0 : length;
}

/* The system's folder of CA certificates would be trusted beside the endpoint's own file. Beside the system's file it says the same again,
 * and keeps libcurl from holding the parsed file for the next connection. That one is large, and may be a minute old; the endpoint's own is
 * small, and read anew for each connection, as it may have been replaced. */
static bool set_trust(CURL *e, const struct config_endpoint *endpoint)
{
	const char *system_file = NULL;
	bool good = true;

	if (endpoint->tls.ca)
		good = curl_easy_setopt(e, CURLOPT_CAINFO, endpoint->tls.ca) == CURLE_OK;
	curl_easy_getinfo(e, CURLINFO_CAINFO, &system_file);
	if (endpoint->tls.ca || (system_file && access(system_file, R_OK) == 0))
		good = good && curl_easy_setopt(e, CURLOPT_CAPATH, NULL) == CURLE_OK;
	return good && curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, endpoint->tls.ca ? 0L : (long)SYSTEM_CA_CACHE_S) == CURLE_OK;
}

static bool set_tls(CURL *e, const struct config_endpoint *endpoint)
{
	/* A session taken up again would go on with the certificate it began with, whatever is on the disk by now. */
	return set_trust(e, endpoint) && curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK && curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSLCERTTYPE, "PEM") == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSLCERT, endpoint->tls.certificate) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSLKEYTYPE, "PEM") == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSLKEY, endpoint->tls.key) == CURLE_OK &&
	       /* Else OpenSSL would ask on the terminal for the pass phrase of an encrypted key. */
	       curl_easy_setopt(e, CURLOPT_KEYPASSWD, "") == CURLE_OK;
}

static long http_version(enum config_http http)
{
	return http == CONFIG_HTTP_1_1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS;
}

static const char *protocols(const struct config_endpoint *endpoint)
{
	bool plain =
		(endpoint->api_url && config_is_plain(endpoint->api_url)) || (endpoint->token_url && config_is_plain(endpoint->token_url));

	return plain ? "https,http" : "https";
}

static bool set_connection(CURL *e, const struct config_endpoint *endpoint)
{
	return curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, protocols(endpoint)) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HTTP_VERSION, http_version(endpoint->http)) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_PIPEWAIT, endpoint->http == CONFIG_HTTP_2 ? 1L : 0L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_PROXY, endpoint->proxy ? endpoint->proxy : "") == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_NOPROXY, "") == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK && curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)IDLE_S) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_MAXLIFETIME_CONN, (long)LIFETIME_S) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)endpoint->timeout_ms) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)endpoint->connect_timeout_ms) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)BUFFER) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER) == CURLE_OK;
}

static bool set_exchange(CURL *e, struct transfer *t)
{
	return curl_easy_setopt(e, CURLOPT_POST, 1L) == CURLE_OK && curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_USERAGENT, "trackbridge/" TRACKBRIDGE_VERSION) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_READFUNCTION, on_body_wanted) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_READDATA, t) == CURLE_OK && curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_begin) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_PREREQDATA, t) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HEADERDATA, t) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_answer) == CURLE_OK && curl_easy_setopt(e, CURLOPT_WRITEDATA, t) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_PRIVATE, t) == CURLE_OK && curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->words) == CURLE_OK;
}

bool transfer_set_options(struct transfer *transfer, const struct config_endpoint *endpoint)
{
	return set_tls(transfer->easy, endpoint) && set_connection(transfer->easy, endpoint) && set_exchange(transfer->easy, transfer);
}
