/*
 * stand: a server on a real loop, a handler that keeps its orders, and raw peers in the same process. Include behind cmocka.h.
 */
#pragma once

#include "control/listen.h"
#include "control/server.h"

#include "base/clock.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MOST_KEPT = 256, PATIENCE_MS = 30000 };

static struct {
	char folder[64], path[96];
	sd_event *event;
	struct control_server *server;
	const struct control_order *orders[MOST_KEPT]; /* valid until answered */
	uint64_t ids[MOST_KEPT];
	size_t n_orders;
	bool at_once; /* the handler answers by itself */
	size_t descriptors;
} s;

#define PURGE "{\"command\":\"purge\"}\n"

/* The loop turns until the condition holds. */
#define until(condition)                                                                                                                   \
	for (int64_t begun = clock_monotonic_us(); !(condition);) {                                                                        \
		if (clock_monotonic_us() - begun > PATIENCE_MS * INT64_C(1000))                                                            \
			fail_msg("in vain: %s", #condition);                                                                               \
		assert_true(sd_event_run(s.event, 10000) >= 0);                                                                            \
	}

static inline void answer_order(uint64_t id, int64_t rows)
{
	struct control_answer answer = { .rows = rows };

	control_answer_say(&answer, ERROR_NONE, "done");
	control_server_answer(s.server, id, &answer);
}

static inline void keep_order(void *user, const struct control_order *order)
{
	assert_ptr_equal(user, &s);
	assert_true(s.n_orders < MOST_KEPT);
	s.orders[s.n_orders] = order;
	s.ids[s.n_orders++] = order->id;
	if (s.at_once)
		answer_order(order->id, (int64_t)order->id);
}

static inline size_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(directory);
	while (readdir(directory))
		n++;
	closedir(directory);
	return n;
}

static inline int stand_up(void **state)
{
	struct error err;

	(void)state;
	memset(&s, 0, sizeof(s));
	s.descriptors = count_descriptors();
	snprintf(s.folder, sizeof(s.folder), "/tmp/control-XXXXXX");
	assert_non_null(mkdtemp(s.folder));
	snprintf(s.path, sizeof(s.path), "%s/control.sock", s.folder);
	assert_true(sd_event_new(&s.event) >= 0);
	if (!control_server_new(s.event, s.path, keep_order, &s, &s.server, &err))
		fail_msg("%s", err.text);
	return 0;
}

static inline int stand_down(void **state)
{
	(void)state;
	control_server_free(s.server);
	sd_event_unref(s.event);
	/* The server has left nothing behind. */
	if (rmdir(s.folder) < 0)
		fail_msg("%s: %s", s.folder, strerror(errno));
	assert_int_equal(count_descriptors(), s.descriptors);
	return 0;
}

static inline void limit(int64_t line_ms, int64_t answer_ms)
{
	control_server_limit(s.server, &(struct control_limits){ .line_ms = line_ms, .answer_ms = answer_ms });
}

/* A connected peer, as soon as there is room for one in the backlog; its own calls do not block. */
static inline int peer(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	assert_true(control_address(s.path, &address, NULL));
	until(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

static inline void give(int fd, const char *bytes)
{
	assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
}

/* Reads what is there; false at the end. */
static inline bool listen_on(int fd, struct text *heard)
{
	char piece[256];
	ssize_t got;

	while ((got = recv(fd, piece, sizeof(piece), 0)) > 0)
		text_append(heard, piece, (size_t)got);
	return got < 0 && errno == EAGAIN;
}

/* The whole answer, up to the end of the connection, which is then closed. */
static inline struct control_answer take_answer(int fd)
{
	struct control_answer answer = { 0 };
	struct text heard = { 0 };
	struct error err;

	until(!listen_on(fd, &heard));
	close(fd);
	if (!heard.length)
		fail_msg("no answer");
	assert_int_equal(heard.data[heard.length - 1], '\n');
	if (!control_answer_read(heard.data, heard.length - 1, &answer, &err))
		fail_msg("%s", err.text);
	text_free(&heard);
	return answer;
}

/* The server closes the connection without a word. */
static inline void expect_silent_end(int fd)
{
	struct text heard = { 0 };

	until(!listen_on(fd, &heard));
	assert_int_equal(heard.length, 0);
	close(fd);
}

/* Somebody who does everything right is served. */
static inline void expect_service(void)
{
	size_t before = s.n_orders;
	struct control_answer answer;
	int fd;

	limit(PATIENCE_MS, PATIENCE_MS);
	fd = peer();
	give(fd, PURGE);
	until(s.n_orders > before);
	if (!s.at_once)
		answer_order(s.ids[before], 77);
	answer = take_answer(fd);
	assert_int_equal(answer.status, ERROR_NONE);
	assert_string_equal(answer.text, "done");
}
