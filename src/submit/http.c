#include "submit/http.h"

#include "base/clock.h"
#include "submit/sockets.h"
#include "submit/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_EVENTS = 256, TOKEN_CONNECTIONS = 1 };

struct http {
	CURLM *multi;
	struct sockets sockets;
	int64_t timer_us; /* monotonic; when libcurl wants to be called, or -1 */
	long most_connections;
	struct transfer *under_way;
	struct transfer *failed; /* could not be started: done is called by the next http_run */
};

struct http_client {
	struct http *http;
	const struct config_endpoint *endpoint;
	struct transfer *unused;
	struct bearer *bearer; /* the latest */
};

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
	struct http *http = user;

	(void)easy;
	(void)known;
	sockets_want(&http->sockets, fd,
		     what == CURL_POLL_REMOVE ? 0 : (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u));
	return 0;
}

/* libcurl's own sockets would outlive an exec. */
static curl_socket_t on_open(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http *http = user;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	sockets_opened(&http->sockets, fd);
	return fd;
}

static int on_close(void *user, curl_socket_t fd)
{
	struct http *http = user;

	sockets_closed(&http->sockets, fd);
	return close(fd);
}

static int on_timer(CURLM *multi, long ms, void *user)
{
	struct http *http = user;

	(void)multi;
	http->timer_us = ms < 0 ? -1 : clock_monotonic_us() + (int64_t)ms * 1000;
	return 0;
}

bool http_new(struct http **ret_http, struct error *err)
{
	struct http *http;

	/* It would have libcurl write every connection's keys to a file. */
	unsetenv("SSLKEYLOGFILE");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, ERROR_INTERNAL, "libcurl cannot be initialised");
	http = xcalloc(1, sizeof(*http));
	http->timer_us = -1;
	if (!sockets_open(&http->sockets)) {
		error_errno(err, errno, "epoll_create1");
		free(http);
		curl_global_cleanup();
		return false;
	}
	http->multi = curl_multi_init();
	if (!http->multi)
		abort();
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	*ret_http = http;
	return true;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	curl_multi_cleanup(http->multi);
	sockets_close(&http->sockets);
	free(http);
	curl_global_cleanup();
}

int http_descriptor(const struct http *http)
{
	return http->sockets.epoll;
}

int64_t http_timeout_ms(const struct http *http)
{
	int64_t left_us;

	if (http->failed)
		return 0;
	if (http->timer_us < 0)
		return -1;
	left_us = http->timer_us - clock_monotonic_us();
	return left_us > 0 ? (left_us + 999) / 1000 : 0;
}

static struct transfer *new_transfer(struct http_client *client)
{
	struct transfer *t = transfer_new(client->endpoint);

	if (t && curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
	    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, client->http) == CURLE_OK &&
	    curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close) == CURLE_OK &&
	    curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETDATA, client->http) == CURLE_OK)
		return t;
	transfer_free(t);
	return NULL;
}

bool http_client_new(struct http *http, const struct config_endpoint *endpoint, struct http_client **ret_client, struct error *err)
{
	struct http_client *client = xcalloc(1, sizeof(*client));

	client->http = http;
	client->endpoint = endpoint;
	client->unused = new_transfer(client);
	if (!client->unused) {
		free(client);
		return error_set(err, ERROR_CONFIG, "endpoint %s: libcurl cannot do what is configured (http, proxy)", endpoint->name);
	}
	http->most_connections += endpoint->concurrency + TOKEN_CONNECTIONS;
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, http->most_connections);
	*ret_client = client;
	return true;
}

void http_client_free(struct http_client *client)
{
	if (!client)
		return;
	while (client->unused) {
		struct transfer *t = client->unused;

		client->unused = t->next;
		transfer_free(t);
	}
	client->http->most_connections -= client->endpoint->concurrency + TOKEN_CONNECTIONS;
	bearer_drop(client->bearer);
	free(client);
}

static struct transfer *take_unused(struct http_client *client)
{
	struct transfer *t = client->unused;

	if (t)
		client->unused = t->next;
	else
		t = new_transfer(client);
	/* The first one of this client could be made, so that only memory can be short. */
	if (!t)
		abort();
	return t;
}

static void give_back(struct transfer *t)
{
	transfer_end(t);
	t->next = t->client->unused;
	t->client->unused = t;
}

static void under_way_add(struct http *http, struct transfer *t)
{
	t->previous = NULL;
	t->next = http->under_way;
	if (t->next)
		t->next->previous = t;
	http->under_way = t;
}

static void under_way_remove(struct http *http, struct transfer *t)
{
	if (t->previous)
		t->previous->next = t->next;
	else
		http->under_way = t->next;
	if (t->next)
		t->next->previous = t->previous;
}

void http_post(struct http_client *client, const struct http_request *request, http_done *done, void *user)
{
	struct http *http = client->http;
	struct transfer *t = take_unused(client);

	t->client = client;
	t->done = done;
	t->user = user;
	if (transfer_begin(t, request, &client->bearer) && curl_multi_add_handle(http->multi, t->easy) == CURLM_OK) {
		under_way_add(http, t);
	} else {
		t->next = http->failed;
		http->failed = t;
	}
}

static void finish(struct transfer *t, CURLcode result)
{
	struct http_answer answer = transfer_answer(t, result);

	t->done(t->user, &answer);
	give_back(t);
}

/* Over HTTP/2 libcurl goes on using a connection after a time-out. Where nothing at all came on it since the request was begun, it is as
 * good as lost, and each further request on it would be one more in doubt: those that are under way there share its fate now. */
static void leave_silent_connection(const struct http *http, const struct transfer *t)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (t->begun_us && curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD &&
	    sockets_heard_us(&http->sockets, fd) < t->begun_us)
		shutdown(fd, SHUT_RDWR);
}

static void reap(struct http *http)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode result = message->data.result;
		struct transfer *t = NULL;

		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
		if (result == CURLE_OPERATION_TIMEDOUT)
			leave_silent_connection(http, t);
		curl_multi_remove_handle(http->multi, easy);
		under_way_remove(http, t);
		finish(t, result);
	}
}

static void finish_failed(struct http *http)
{
	struct transfer *t = http->failed;

	/* What fails in one of the calls to done has its turn at the next run. */
	http->failed = NULL;
	while (t) {
		struct transfer *next = t->next;

		finish(t, CURLE_FAILED_INIT);
		t = next;
	}
}

void http_run(struct http *http)
{
	struct epoll_event events[MOST_EVENTS];
	int n = epoll_wait(http->sockets.epoll, events, MOST_EVENTS, 0);
	int64_t now_us = clock_monotonic_us();
	int running;

	for (int i = 0; i < n; i++) {
		int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

		if (events[i].events & EPOLLIN)
			sockets_heard(&http->sockets, events[i].data.fd, now_us);
		if (sockets_is_wanted(&http->sockets, events[i].data.fd))
			curl_multi_socket_action(http->multi, events[i].data.fd, what, &running);
	}
	if (http->timer_us >= 0 && clock_monotonic_us() >= http->timer_us) {
		http->timer_us = -1;
		curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	reap(http);
	finish_failed(http);
}

void http_abort_all(struct http *http)
{
	while (http->under_way) {
		struct transfer *t = http->under_way;

		curl_multi_remove_handle(http->multi, t->easy);
		under_way_remove(http, t);
		give_back(t);
	}
	while (http->failed) {
		struct transfer *t = http->failed;

		http->failed = t->next;
		give_back(t);
	}
}
