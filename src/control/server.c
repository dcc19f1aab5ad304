#include "control/server.h"

#include "base/file.h"
#include "control/connection.h"
#include "control/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

/* After an accept that failed for want of something (descriptors, memory), the next one is tried so much later. */
enum { REST_US = 1000000, ACCURACY_US = 100000, LIMIT_MS = 10000 };

/* A connection and its order. */
struct client {
	struct control_server *server;
	struct control_connection *connection;
	struct control_order order; /* id 0: none yet */
	bool answered;
};

struct control_server {
	sd_event *event;
	sd_event_source *io, *rest;
	int fd; /* -1: stopped */
	char *path;
	struct control_place place;
	control_handler *handler;
	void *user;
	struct control_limits limits;
	uint64_t last_id;
	struct client *clients[CONTROL_MOST_CONNECTIONS];
	size_t n_clients;
};

static const char stopping[] = "trackbridge is stopping: nothing was done, try again when it runs";

static void set_listening(struct control_server *server)
{
	bool resting = server->rest && sd_event_source_get_enabled(server->rest, NULL) > 0;

	/* Whoever waits for a place is not lost: connections wait in the kernel. */
	if (server->io)
		sd_event_source_set_enabled(server->io,
					    server->n_clients < CONTROL_MOST_CONNECTIONS && !resting ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void client_free(struct client *client)
{
	control_connection_free(client->connection);
	control_request_free(&client->order.request);
	free(client);
}

static void on_end(void *user)
{
	struct client *client = user;
	struct control_server *server = client->server;

	for (size_t i = 0; i < server->n_clients; i++) {
		if (server->clients[i] == client)
			server->clients[i] = server->clients[--server->n_clients];
	}
	client_free(client);
	set_listening(server);
}

/* The client may be gone when this returns. */
static void answer_client(struct client *client, const struct control_answer *answer)
{
	struct text line = { 0 };

	client->answered = true;
	control_answer_write(answer, &line);
	control_connection_answer(client->connection, &line);
	text_free(&line);
}

static void say(struct client *client, enum error_code status, const char *words)
{
	struct control_answer *answer = xcalloc(1, sizeof(*answer));

	control_answer_say(answer, status, "%s", words);
	answer_client(client, answer);
	free(answer);
}

static void on_line(void *user, const char *line, size_t length, const char *fault)
{
	struct client *client = user;
	struct control_server *server = client->server;
	struct error err;

	if (fault) {
		say(client, ERROR_DATA, fault);
	} else if (server->fd < 0) {
		say(client, ERROR_TRY_LATER, stopping);
	} else if (!control_request_read(line, length, &client->order.request, &err)) {
		say(client, err.code, err.text);
	} else {
		client->order.id = ++server->last_id;
		server->handler(server->user, &client->order);
	}
}

/* Takes the descriptor. A peer of which the kernel knows nothing is none. */
static void adopt(struct control_server *server, int fd)
{
	struct client *client = xcalloc(1, sizeof(*client));
	struct control_connection_owner owner = { .line = on_line, .end = on_end, .user = client };

	client->server = server;
	if (!control_peer_of(fd, NULL, &client->order.peer, NULL)) {
		close(fd);
		free(client);
	} else if (!control_connection_new(server->event, fd, &server->limits, &owner, &client->connection, NULL)) {
		free(client);
	} else {
		server->clients[server->n_clients++] = client;
	}
	set_listening(server);
}

static int on_rested(sd_event_source *source, uint64_t now_us, void *user)
{
	struct control_server *server = user;

	(void)source;
	(void)now_us;
	set_listening(server);
	return 0;
}

static int on_connect(sd_event_source *source, int listening, uint32_t events, void *user)
{
	struct control_server *server = user;
	int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)source;
	(void)events;
	if (fd >= 0) {
		adopt(server, fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* The connection still waits: without a rest the loop would turn for it without end. */
		sd_event_source_set_time_relative(server->rest, REST_US);
		sd_event_source_set_enabled(server->rest, SD_EVENT_ONESHOT);
		set_listening(server);
	}
	return 0;
}

bool control_server_check(const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	scoped_free char *folder = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
	struct sockaddr_un address;
	struct stat st;

	if (!control_address(path, &address, err))
		return false;
	if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0)
		return error_errno(err, errno, "%s: no socket can be made in %s", path, folder);
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return error_set(err, ERROR_CONFIG, "%s is there and is no socket", path);
	return true;
}

bool control_server_new(sd_event *event, const char *path, control_handler *handler, void *user, struct control_server **ret_server,
			struct error *err)
{
	struct control_server *server = xcalloc(1, sizeof(*server));
	int result;

	*server = (struct control_server){ .event = sd_event_ref(event),
					   .fd = -1,
					   .path = xstrdup(path),
					   .handler = handler,
					   .user = user,
					   .limits = { LIMIT_MS, LIMIT_MS } };
	if (!control_listen(path, &server->fd, &server->place, err)) {
		control_server_free(server);
		return false;
	}
	result = sd_event_add_io(event, &server->io, server->fd, EPOLLIN, on_connect, server);
	/* Made now, since a loop's first timer takes a descriptor, and it is for when there are none. */
	if (result >= 0)
		result = sd_event_add_time(event, &server->rest, CLOCK_MONOTONIC, UINT64_MAX, ACCURACY_US, on_rested, server);
	if (result >= 0)
		result = sd_event_source_set_enabled(server->rest, SD_EVENT_OFF);
	if (result < 0) {
		control_server_free(server);
		return error_errno(err, -result, "%s", path);
	}
	*ret_server = server;
	return true;
}

void control_server_limit(struct control_server *server, const struct control_limits *limits)
{
	server->limits = *limits;
}

void control_server_answer(struct control_server *server, uint64_t id, const struct control_answer *answer)
{
	for (size_t i = 0; id && i < server->n_clients; i++) {
		struct client *client = server->clients[i];

		if (client->order.id == id && !client->answered) {
			answer_client(client, answer);
			return;
		}
	}
}

size_t control_server_open(const struct control_server *server)
{
	size_t n = 0;

	for (size_t i = 0; i < server->n_clients; i++)
		n += server->clients[i]->order.id && !server->clients[i]->answered;
	return n;
}

/* Who has connected and was not yet accepted would otherwise not know what became of the order. */
static void refuse_waiting(int listening)
{
	struct control_answer *answer = xcalloc(1, sizeof(*answer));
	struct text line = { 0 };

	control_answer_say(answer, ERROR_TRY_LATER, "%s", stopping);
	control_answer_write(answer, &line);
	for (int fd; (fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0; close(fd))
		(void)send(fd, line.data, line.length, MSG_NOSIGNAL);
	text_free(&line);
	free(answer);
}

void control_server_stop(struct control_server *server)
{
	if (server->fd < 0)
		return;
	control_unlink(server->path, &server->place);
	server->io = sd_event_source_disable_unref(server->io);
	server->rest = sd_event_source_disable_unref(server->rest);
	refuse_waiting(server->fd);
	close(server->fd);
	server->fd = -1;
}

void control_server_free(struct control_server *server)
{
	if (!server)
		return;
	control_server_stop(server);
	/* Backwards: an answered client takes its place out, and the last one moves into it. */
	for (size_t i = server->n_clients; i-- > 0;) {
		struct client *client = server->clients[i];

		if (!client->answered)
			say(client, ERROR_TRY_LATER,
			    client->order.id ? "trackbridge stopped before it answered: operator_action_log tells whether it was done"
					     : stopping);
	}
	for (size_t i = 0; i < server->n_clients; i++)
		client_free(server->clients[i]);
	sd_event_unref(server->event);
	free(server->path);
	free(server);
}
