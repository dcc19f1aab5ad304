/*
 * sockets: libcurl's sockets in one epoll descriptor. libcurl stops watching a connection after each answer and begins again with the next
 * request; telling the kernel both times was 5 % of a request's cost. So a socket that rests stays registered, and only one that wakes up
 * while it rests (the server closed it) is taken out. That is safe only as long as every close is known, hence sockets_opened and
 * sockets_closed; descriptors that were not announced (those of libcurl's resolver) are taken out at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockets {
	int epoll;
	struct socket_state *states; /* by descriptor */
	size_t n_states;
};

/* sockets_open gives false with errno set. */
bool sockets_open(struct sockets *ret_sockets);
void sockets_close(struct sockets *sockets);

void sockets_opened(struct sockets *sockets, int fd);
void sockets_closed(struct sockets *sockets, int fd);

/* sockets_want sets the events (EPOLLIN, EPOLLOUT) that are waited for; 0: none. */
void sockets_want(struct sockets *sockets, int fd, uint32_t events);

/* sockets_heard notes that something came; sockets_heard_us gives when it last did, as it was told (0: never). */
void sockets_heard(struct sockets *sockets, int fd, int64_t now_us);
int64_t sockets_heard_us(const struct sockets *sockets, int fd);

/* sockets_is_wanted tells whether an event of this descriptor is for anybody; if not, the descriptor is taken out. */
bool sockets_is_wanted(struct sockets *sockets, int fd);
