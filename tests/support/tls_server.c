#include "tls_server.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_THREADS = 256 };

struct tls_server {
	struct tls_server_options options;
	SSL_CTX *context;
	int listener, port;
	pthread_t acceptor;
	pthread_t threads[MOST_THREADS];
	int sockets[MOST_THREADS];
	int n_threads;
	pthread_mutex_t lock;
	struct tls_server_seen seen;
};

struct connection {
	struct tls_server *server;
	int fd;
	SSL *ssl; /* NULL: plain */
	char buffer[16384];
	size_t length;
};

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

static void say_bytes(struct connection *c, const char *bytes, size_t length)
{
	if (c->ssl)
		SSL_write(c->ssl, bytes, (int)length);
	else
		(void)!write(c->fd, bytes, length);
}

static void say(struct connection *c, const char *string)
{
	say_bytes(c, string, strlen(string));
}

static bool hear(struct connection *c)
{
	size_t room = sizeof(c->buffer) - 1 - c->length;
	ssize_t n = c->ssl ? SSL_read(c->ssl, c->buffer + c->length, (int)room) : read(c->fd, c->buffer + c->length, room);

	if (n <= 0)
		return false;
	c->length += (size_t)n;
	c->buffer[c->length] = '\0';
	return true;
}

/* Length of the request's head, or 0 where the peer ended before. */
static size_t hear_head(struct connection *c)
{
	const char *end;

	c->buffer[c->length] = '\0';
	while (!(end = strstr(c->buffer, "\r\n\r\n"))) {
		if (!hear(c))
			return 0;
	}
	return (size_t)(end + 4 - c->buffer);
}

static bool hear_body(struct connection *c, size_t head)
{
	const char *at = strcasestr(c->buffer, "content-length:");
	size_t length = at ? (size_t)strtoul(at + strlen("content-length:"), NULL, 10) : 0;
	struct tls_server *server = c->server;

	while (c->length < head + length) {
		if (!hear(c))
			return false;
	}
	pthread_mutex_lock(&server->lock);
	server->seen.bodies++;
	snprintf(server->seen.body, sizeof(server->seen.body), "%.*s", (int)length, c->buffer + head);
	pthread_mutex_unlock(&server->lock);
	memmove(c->buffer, c->buffer + head + length, c->length - head - length);
	c->length -= head + length;
	return true;
}

static void count_head(struct connection *c, size_t head)
{
	struct tls_server *server = c->server;

	pthread_mutex_lock(&server->lock);
	server->seen.requests++;
	snprintf(server->seen.head, sizeof(server->seen.head), "%.*s", (int)head, c->buffer);
	pthread_mutex_unlock(&server->lock);
}

static void say_huge(struct connection *c)
{
	char block[16384];

	memset(block, 'x', sizeof(block));
	say(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 2097152\r\n\r\n");
	for (int i = 0; i < 128; i++)
		say_bytes(c, block, sizeof(block));
}

/* Answers by the path; false: the connection is to be closed. */
static bool answer(struct connection *c, const char *path)
{
	static const char ok[] = "HTTP/1.1 202 Accepted\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\nRetry-After: 7\r\n"
				 "Content-Type: application/json\r\nContent-Length: 23\r\n\r\n{\"operationId\":\"op-17\"}";

	if (strcmp(path, "/ok") == 0)
		return say(c, ok), true;
	if (strcmp(path, "/bare") == 0)
		return say(c, "HTTP/1.1 202 \r\nContent-Length: 0\r\n\r\n"), true;
	if (strcmp(path, "/interim") == 0) {
		say(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nRetry-After: 99\r\n\r\n");
		return say(c, ok), true;
	}
	if (strcmp(path, "/redirect") == 0)
		return say(c, "HTTP/1.1 307 Elsewhere\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"), true;
	if (strcmp(path, "/hang") == 0) {
		hear(c);
		return false;
	}
	if (strcmp(path, "/half-status") == 0)
		say(c, "HTTP/1.1 202 Accep");
	if (strcmp(path, "/status-only") == 0)
		say(c, "HTTP/1.1 202 Accepted\r\n");
	if (strcmp(path, "/half-body") == 0)
		say(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 60\r\n\r\n{\"operationId\":\"op-");
	if (strcmp(path, "/http09") == 0)
		say(c, "{\"operationId\":\"op-17\"}\n");
	if (strcmp(path, "/odd") == 0)
		say(c, "HTTP/1.1 2020 Accepted\r\nContent-Length: 0\r\n\r\n");
	if (strcmp(path, "/huge") == 0)
		say_huge(c);
	return false;
}

static void wait_for_end(const struct connection *c)
{
	struct pollfd gone = { .fd = c->fd, .events = POLLRDHUP };

	poll(&gone, 1, -1);
}

static void reset_in_body(struct connection *c)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	for (size_t read = 0; read < 65536; read += c->length) {
		c->length = 0;
		if (!hear(c))
			return;
	}
	/* Sends a reset, while the descriptor stays ours. */
	connect(c->fd, &nobody, sizeof(nobody));
}

static bool serve_one(struct connection *c)
{
	size_t head = hear_head(c);
	char path[256] = "";

	if (!head)
		return false;
	sscanf(c->buffer, "%*s %255s", path);
	count_head(c, head);
	if (c->server->options.plain)
		return say(c, c->server->options.plain_answer), false;
	if (strcmp(path, "/head-close") == 0)
		return false;
	if (strcmp(path, "/unread") == 0)
		return wait_for_end(c), false;
	if (strcmp(path, "/reset-body") == 0)
		return reset_in_body(c), false;
	if (strcmp(path, "/early") == 0) {
		say(c, "HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		/* A close with unread bytes would be a reset, which can overtake the answer. */
		hear_body(c, head);
		return false;
	}
	return hear_body(c, head) && answer(c, path);
}

static void note_client(struct connection *c)
{
	X509 *certificate = SSL_get1_peer_certificate(c->ssl);

	pthread_mutex_lock(&c->server->lock);
	c->server->seen.handshakes++;
	c->server->seen.client[0] = '\0';
	if (certificate)
		X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, c->server->seen.client,
					  sizeof(c->server->seen.client));
	pthread_mutex_unlock(&c->server->lock);
	X509_free(certificate);
}

static void *serve(void *user)
{
	struct connection *c = user;

	if (!c->server->options.plain) {
		c->ssl = SSL_new(c->server->context);
		SSL_set_fd(c->ssl, c->fd);
	}
	if (c->ssl && SSL_accept(c->ssl) != 1) {
		/* A close with unread bytes would be a reset, which can overtake the alert. */
		shutdown(c->fd, SHUT_WR);
		while (read(c->fd, c->buffer, sizeof(c->buffer)) > 0) {
		}
	} else {
		if (c->ssl)
			note_client(c);
		while (serve_one(c)) {
		}
		if (c->ssl)
			SSL_shutdown(c->ssl);
	}
	SSL_free(c->ssl);
	shutdown(c->fd, SHUT_RDWR);
	free(c);
	return NULL;
}

static void *accept_all(void *user)
{
	struct tls_server *server = user;
	int fd;

	while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct connection *c;

		pthread_mutex_lock(&server->lock);
		server->seen.connections++;
		pthread_mutex_unlock(&server->lock);
		if (server->options.drop || server->n_threads == MOST_THREADS) {
			close(fd);
			continue;
		}
		c = calloc(1, sizeof(*c));
		must(c, "calloc");
		c->server = server;
		c->fd = fd;
		server->sockets[server->n_threads] = fd;
		must(pthread_create(&server->threads[server->n_threads++], NULL, serve, c) == 0, "pthread_create");
	}
	return NULL;
}

static SSL_CTX *make_context(const char *folder, const struct tls_server_options *options)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char certificate[512], key[512];

	snprintf(certificate, sizeof(certificate), "%s/server.pem", folder);
	snprintf(key, sizeof(key), "%s/server.key", folder);
	must(SSL_CTX_use_certificate_file(context, certificate, SSL_FILETYPE_PEM) == 1, "server.pem");
	must(SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1, "server.key");
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
	if (options->tls_1_2)
		SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	if (options->client_ca) {
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		must(SSL_CTX_load_verify_file(context, options->client_ca) == 1, "client_ca");
	}
	return context;
}

struct tls_server *tls_server_start(const char *folder, const struct tls_server_options *options)
{
	struct tls_server *server = calloc(1, sizeof(*server));
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);

	must(server, "calloc");
	server->options = *options;
	server->context = make_context(folder, options);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(server->listener, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	must(listen(server->listener, 100) == 0, "listen");
	getsockname(server->listener, (struct sockaddr *)&address, &length);
	server->port = ntohs(address.sin_port);
	pthread_mutex_init(&server->lock, NULL);
	must(pthread_create(&server->acceptor, NULL, accept_all, server) == 0, "pthread_create");
	return server;
}

void tls_server_stop(struct tls_server *server)
{
	if (!server)
		return;
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->acceptor, NULL);
	for (int i = 0; i < server->n_threads; i++) {
		shutdown(server->sockets[i], SHUT_RDWR);
		pthread_join(server->threads[i], NULL);
		close(server->sockets[i]);
	}
	close(server->listener);
	pthread_mutex_destroy(&server->lock);
	SSL_CTX_free(server->context);
	free(server);
}

int tls_server_port(const struct tls_server *server)
{
	return server->port;
}

struct tls_server_seen tls_server_seen(struct tls_server *server)
{
	struct tls_server_seen seen;

	pthread_mutex_lock(&server->lock);
	seen = server->seen;
	pthread_mutex_unlock(&server->lock);
	return seen;
}
