#include "control/connection.h"

#include "control/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 16 * 1024, ACCURACY_US = 10000 };

enum state { READING, WAITING, WRITING };

struct control_connection {
	enum state state;
	int fd; /* -1: the peer hung up */
	sd_event_source *io, *timer;
	struct control_limits limits;
	struct control_connection_owner owner;
	struct text line, answer;
	size_t sent;
};

static void hang_up(struct control_connection *c)
{
	c->io = sd_event_source_disable_unref(c->io);
	c->timer = sd_event_source_disable_unref(c->timer);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* The connection is gone when this returns. */
static void end(struct control_connection *c)
{
	hang_up(c);
	c->owner.end(c->owner.user);
}

/* The owner may answer at once, upon which the connection may be gone. */
static void hand_over(struct control_connection *c, size_t length, const char *fault)
{
	c->state = WAITING;
	/* No events: epoll still tells of a hang-up, and a peer that goes on sending wakes nobody. */
	sd_event_source_set_io_events(c->io, 0);
	sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
	c->owner.line(c->owner.user, c->line.data, length, fault);
}

static void on_readable(struct control_connection *c)
{
	char piece[PIECE];
	size_t room = CONTROL_MOST_LINE - c->line.length;
	ssize_t got = recv(c->fd, piece, room < sizeof(piece) ? room : sizeof(piece), 0);
	const char *feed;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got < 0 || (got == 0 && c->line.length == 0)) {
		end(c);
		return;
	}
	if (got == 0) {
		hand_over(c, 0, "the line feed at the end is missing");
		return;
	}
	text_append(&c->line, piece, (size_t)got);
	feed = memchr(c->line.data + c->line.length - got, '\n', (size_t)got);
	if (feed)
		hand_over(c, (size_t)(feed - c->line.data), NULL);
	else if (c->line.length == CONTROL_MOST_LINE)
		hand_over(c, 0, "the line is longer than 64 KiB");
}

static void on_writable(struct control_connection *c)
{
	ssize_t sent = send(c->fd, c->answer.data + c->sent, c->answer.length - c->sent, MSG_NOSIGNAL);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent >= 0)
		c->sent += (size_t)sent;
	if (sent < 0 || c->sent == c->answer.length)
		end(c);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct control_connection *c = user;

	(void)source;
	(void)fd;
	(void)events;
	switch (c->state) {
	case READING: on_readable(c); break;
	case WAITING: hang_up(c); break;
	case WRITING: on_writable(c); break;
	}
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *user)
{
	(void)source;
	(void)now_us;
	end(user);
	return 0;
}

bool control_connection_new(sd_event *event, int fd, const struct control_limits *limits, const struct control_connection_owner *owner,
			    struct control_connection **ret_connection, struct error *err)
{
	struct control_connection *c = xcalloc(1, sizeof(*c));
	int result;

	*c = (struct control_connection){ .fd = fd, .limits = *limits, .owner = *owner };
	result = sd_event_add_io(event, &c->io, fd, EPOLLIN, on_io, c);
	if (result >= 0)
		result = sd_event_add_time_relative(event, &c->timer, CLOCK_MONOTONIC, (uint64_t)limits->line_ms * 1000, ACCURACY_US,
						    on_timer, c);
	if (result < 0) {
		control_connection_free(c);
		return error_errno(err, -result, "a control connection");
	}
	*ret_connection = c;
	return true;
}

void control_connection_free(struct control_connection *c)
{
	if (!c)
		return;
	hang_up(c);
	text_free(&c->line);
	text_free(&c->answer);
	free(c);
}

void control_connection_answer(struct control_connection *c, struct text *answer)
{
	c->answer = *answer;
	*answer = (struct text){ 0 };
	if (c->fd < 0) {
		end(c);
		return;
	}
	c->state = WRITING;
	if (sd_event_source_set_io_events(c->io, EPOLLOUT) < 0 ||
	    sd_event_source_set_time_relative(c->timer, (uint64_t)c->limits.answer_ms * 1000) < 0 ||
	    sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT) < 0) {
		end(c);
		return;
	}
	on_writable(c);
}
