/*
 * http_pair: a tls_server and a client of it (submit/http.h) for the tests of both files behind it.
 */
#pragma once

#include "submit/http.h"
#include "tls_server.h"

enum { MOST_BODY = 128 };

extern char ca[200], other_ca[200], client_pem[200], client_key[200], other_pem[200], other_key[200];

/* What done was told, copied. */
struct result {
	int calls;
	enum http_fault fault;
	bool body_handed_over;
	int status;
	char retry_after[100], date[100], body[MOST_BODY], what[300];
	size_t body_length;
	int64_t took_ms;
};

/* A server, and a client of it. */
struct pair {
	struct tls_server *server;
	struct http *http;
	struct http_client *client;
	struct config_endpoint endpoint;
	char proxy[64];
};

/* For cmocka's group: the temporary folder and the keys. http_pair_folder gives it. */
int http_pair_set_up(void **state);
int http_pair_tear_down(void **state);
const char *http_pair_folder(void);

/* open_pair starts a server (NULL: without options); then the endpoint may be changed until connect_client. close_pair takes what there is.
 */
void open_pair(struct pair *pair, const struct tls_server_options *options);
void connect_client(struct pair *pair);
void close_pair(struct pair *pair);

/* on_done copies the answer into a struct result. */
void on_done(void *user, const struct http_answer *answer);

/* post and post_url start a request, whose result must not be told at once; run_until waits for a number of calls; exchange does both. */
void post_url(struct pair *pair, const char *url, struct result *result);
void post(struct pair *pair, const char *path, struct result *result);
void run_until(struct pair *pair, const int *calls, int wanted);
struct result exchange(struct pair *pair, const char *path);
