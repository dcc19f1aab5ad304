#include "submit/sockets.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct socket_state {
	bool announced;      /* its close will be told */
	uint32_t wanted;     /* events that libcurl waits for */
	uint32_t registered; /* events that the kernel was told, 0: not in the epoll descriptor */
	int64_t heard_us;
};

bool sockets_open(struct sockets *ret_sockets)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		return false;
	*ret_sockets = (struct sockets){ .epoll = epoll };
	return true;
}

void sockets_close(struct sockets *sockets)
{
	close(sockets->epoll);
	free(sockets->states);
	*sockets = (struct sockets){ .epoll = -1 };
}

static struct socket_state *state_of(struct sockets *sockets, int fd)
{
	size_t at = (size_t)fd;

	if (at >= sockets->n_states) {
		size_t n = at + 64;

		sockets->states = xrealloc_array(sockets->states, n, sizeof(*sockets->states));
		memset(sockets->states + sockets->n_states, 0, (n - sockets->n_states) * sizeof(*sockets->states));
		sockets->n_states = n;
	}
	return &sockets->states[at];
}

void sockets_opened(struct sockets *sockets, int fd)
{
	*state_of(sockets, fd) = (struct socket_state){ .announced = true };
}

/* The kernel takes a closed descriptor out by itself. */
void sockets_closed(struct sockets *sockets, int fd)
{
	*state_of(sockets, fd) = (struct socket_state){ 0 };
}

static void tell_kernel(struct sockets *sockets, int fd, struct socket_state *state, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	int operation = !events ? EPOLL_CTL_DEL : state->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	/* If the kernel has no memory for it, the request runs into its time-out, which is a result like others. */
	if (epoll_ctl(sockets->epoll, operation, fd, &event) < 0 && (errno == EEXIST || errno == ENOENT) && events)
		epoll_ctl(sockets->epoll, errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
	state->registered = events;
}

void sockets_want(struct sockets *sockets, int fd, uint32_t events)
{
	struct socket_state *state = state_of(sockets, fd);

	state->wanted = events;
	if (events == state->registered && state->announced)
		return;
	if (events || !state->announced)
		tell_kernel(sockets, fd, state, events);
}

void sockets_heard(struct sockets *sockets, int fd, int64_t now_us)
{
	state_of(sockets, fd)->heard_us = now_us;
}

int64_t sockets_heard_us(const struct sockets *sockets, int fd)
{
	return fd >= 0 && (size_t)fd < sockets->n_states ? sockets->states[fd].heard_us : 0;
}

bool sockets_is_wanted(struct sockets *sockets, int fd)
{
	struct socket_state *state = state_of(sockets, fd);

	if (!state->wanted)
		tell_kernel(sockets, fd, state, 0);
	return state->wanted != 0;
}
