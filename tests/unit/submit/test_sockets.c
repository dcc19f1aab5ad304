#include "submit/sockets.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* One end is watched, the other one is the peer's. */
struct fixture {
	struct sockets sockets;
	int ours, theirs;
};

static struct fixture open_fixture(bool announced)
{
	struct fixture f;
	int pair[2];

	assert_true(sockets_open(&f.sockets));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	f.ours = pair[0];
	f.theirs = pair[1];
	if (announced)
		sockets_opened(&f.sockets, f.ours);
	return f;
}

static void close_fixture(struct fixture *f)
{
	close(f->ours);
	close(f->theirs);
	sockets_close(&f->sockets);
}

/* The descriptor that is ready, or -1. */
static int ready(struct fixture *f)
{
	struct epoll_event event;

	return epoll_wait(f->sockets.epoll, &event, 1, 0) == 1 ? event.data.fd : -1;
}

static void send_one(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static void a_wanted_event_comes(void **state)
{
	(void)state;
	for (int announced = 0; announced <= 1; announced++) {
		struct fixture f = open_fixture(announced);

		sockets_want(&f.sockets, f.ours, EPOLLIN);
		assert_int_equal(ready(&f), -1);
		send_one(f.theirs);
		assert_int_equal(ready(&f), f.ours);
		assert_true(sockets_is_wanted(&f.sockets, f.ours));
		sockets_want(&f.sockets, f.ours, EPOLLIN | EPOLLOUT);
		assert_int_equal(ready(&f), f.ours);
		close_fixture(&f);
	}
}

static void a_socket_that_wakes_up_while_it_rests_is_taken_out(void **state)
{
	struct fixture f = open_fixture(true);

	(void)state;
	sockets_want(&f.sockets, f.ours, EPOLLIN);
	sockets_want(&f.sockets, f.ours, 0);
	send_one(f.theirs);
	assert_int_equal(ready(&f), f.ours);
	assert_false(sockets_is_wanted(&f.sockets, f.ours));
	assert_int_equal(ready(&f), -1);
	sockets_want(&f.sockets, f.ours, EPOLLIN);
	assert_int_equal(ready(&f), f.ours);
	close_fixture(&f);
}

static void a_rested_socket_is_watched_again(void **state)
{
	struct fixture f = open_fixture(true);

	(void)state;
	sockets_want(&f.sockets, f.ours, EPOLLIN);
	sockets_want(&f.sockets, f.ours, 0);
	sockets_want(&f.sockets, f.ours, EPOLLIN);
	send_one(f.theirs);
	assert_int_equal(ready(&f), f.ours);
	assert_true(sockets_is_wanted(&f.sockets, f.ours));
	close_fixture(&f);
}

static void a_descriptor_that_was_not_announced_is_taken_out_at_once(void **state)
{
	struct fixture f = open_fixture(false);

	(void)state;
	sockets_want(&f.sockets, f.ours, EPOLLIN);
	sockets_want(&f.sockets, f.ours, 0);
	send_one(f.theirs);
	assert_int_equal(ready(&f), -1);
	close_fixture(&f);
}

/* The kernel forgets a closed descriptor, and its number comes back at once. */
static void a_new_socket_with_an_old_number_is_watched(void **state)
{
	(void)state;
	for (int announced = 0; announced <= 1; announced++) {
		struct fixture f = open_fixture(true);
		int old = f.ours;
		int pair[2];

		sockets_want(&f.sockets, f.ours, EPOLLIN);
		sockets_want(&f.sockets, f.ours, 0);
		sockets_closed(&f.sockets, f.ours);
		close(f.ours);
		close(f.theirs);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		f.ours = pair[0];
		f.theirs = pair[1];
		assert_int_equal(f.ours, old);
		if (announced)
			sockets_opened(&f.sockets, f.ours);
		sockets_want(&f.sockets, f.ours, EPOLLIN);
		send_one(f.theirs);
		assert_int_equal(ready(&f), f.ours);
		close_fixture(&f);
	}
}

/* An unannounced descriptor may be closed without a word; what is remembered of it is wrong then and is put right. */
static void a_number_that_came_back_without_a_word_is_watched(void **state)
{
	struct fixture f = open_fixture(false);
	int pair[2];

	(void)state;
	sockets_want(&f.sockets, f.ours, EPOLLIN);
	close(f.ours);
	close(f.theirs);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	f.ours = pair[0];
	f.theirs = pair[1];
	sockets_want(&f.sockets, f.ours, EPOLLIN);
	send_one(f.theirs);
	assert_int_equal(ready(&f), f.ours);
	close_fixture(&f);
}

static void any_descriptor_number_has_its_state(void **state)
{
	struct fixture f = open_fixture(true);
	int high = dup2(f.ours, 900);

	(void)state;
	assert_int_equal(high, 900);
	sockets_opened(&f.sockets, high);
	sockets_want(&f.sockets, high, EPOLLIN);
	sockets_want(&f.sockets, f.ours, 0);
	send_one(f.theirs);
	assert_int_equal(ready(&f), high);
	close(high);
	close_fixture(&f);
}

static void no_descriptors_left_is_an_error(void **state)
{
	struct rlimit old, none;
	struct sockets sockets;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &old);
	none = old;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	assert_false(sockets_open(&sockets));
	setrlimit(RLIMIT_NOFILE, &old);
}

static void what_was_heard_is_forgotten_when_the_socket_is_closed(void **state)
{
	struct fixture f = open_fixture(true);

	(void)state;
	assert_int_equal(sockets_heard_us(&f.sockets, f.ours), 0);
	assert_int_equal(sockets_heard_us(&f.sockets, -1), 0);
	assert_int_equal(sockets_heard_us(&f.sockets, 1 << 20), 0);
	sockets_heard(&f.sockets, f.ours, 17);
	assert_int_equal(sockets_heard_us(&f.sockets, f.ours), 17);
	sockets_closed(&f.sockets, f.ours);
	assert_int_equal(sockets_heard_us(&f.sockets, f.ours), 0);
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wanted_event_comes),
		cmocka_unit_test(a_socket_that_wakes_up_while_it_rests_is_taken_out),
		cmocka_unit_test(a_rested_socket_is_watched_again),
		cmocka_unit_test(a_descriptor_that_was_not_announced_is_taken_out_at_once),
		cmocka_unit_test(a_new_socket_with_an_old_number_is_watched),
		cmocka_unit_test(a_number_that_came_back_without_a_word_is_watched),
		cmocka_unit_test(any_descriptor_number_has_its_state),
		cmocka_unit_test(no_descriptors_left_is_an_error),
		cmocka_unit_test(what_was_heard_is_forgotten_when_the_socket_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
