/*
 * tls_server: a small HTTPS server on a port of its own, in threads of the test, that does what the request's path says, right or wrong.
 * Also makes the certificates that both sides need, in a temporary folder.
 *
 * Paths: /ok 202 with an operationId · /bare 202 without headers or body · /interim 100 and 103 before 202 · /hang reads and says nothing ·
 * /close reads and closes · /head-close reads the head and closes · /half-status, /status-only, /half-body cut the answer there ·
 * /huge 2 MiB · /redirect 307 · /early 503 before the body is read, then closes · /http09 no status line at all · /odd a status of four
 * digits · /unread reads the head and nothing more until the client goes · /reset-body resets when it has read 64 KiB of the body.
 */
#pragma once

#include <stdbool.h>

struct tls_server;

/* What a server asks of its clients, and how it fails before there is a request. */
struct tls_server_options {
	const char *client_ca; /* NULL: no client certificate is asked for */
	bool tls_1_2;          /* no newer version */
	bool plain;            /* a proxy without TLS: answers CONNECT with plain_answer */
	const char *plain_answer;
	bool drop; /* closes every connection at once */
};

/* What it saw; a copy. */
struct tls_server_seen {
	int connections, handshakes, requests; /* requests whose head was read */
	int bodies;                            /* requests read to the last byte */
	char head[4096];                       /* of the latest */
	char body[4096];
	char client[64]; /* common name of the latest client certificate, or "" */
};

struct tls_server *tls_server_start(const char *folder, const struct tls_server_options *options);
void tls_server_stop(struct tls_server *server);
int tls_server_port(const struct tls_server *server);
struct tls_server_seen tls_server_seen(struct tls_server *server);

/* tls_server_make_keys writes ca.pem, server.pem, server.key (for localhost), other-ca.pem, and by either CA client.pem, client.key
 * (common name "client") and other.pem, other.key. tls_server_make_client writes one more pair by ca.pem. */
void tls_server_make_keys(const char *folder);
void tls_server_make_client(const char *folder, const char *file, const char *common_name);
