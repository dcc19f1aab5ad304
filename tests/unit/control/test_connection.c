/* Peers that stall, flood and hang up: each ends its own connection, and whoever does it right is served as if they were not there. */
#include "control/connection.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "stand.h"

#include <fcntl.h>

static bool narrow;

/* Stands before libc's: an answer does not fit into what the kernel keeps for the peer. */
int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict length, int flags)
{
	int got = accept(fd, address, length), size = 1;

	(void)flags;
	if (got >= 0 && narrow)
		assert_int_equal(setsockopt(got, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	if (got >= 0)
		assert_int_equal(fcntl(got, F_SETFL, O_NONBLOCK), 0);
	return got;
}

static void turn_for(int64_t ms)
{
	for (int64_t begun = clock_monotonic_us(); clock_monotonic_us() - begun < ms * 1000;)
		assert_true(sd_event_run(s.event, 1000) >= 0);
}

static void who_sends_nothing_is_let_go(void **state)
{
	int fd = peer();

	(void)state;
	limit(50, 10000);
	expect_silent_end(fd);
	expect_service();
}

static void who_sends_drop_by_drop_has_no_more_time_than_others(void **state)
{
	struct text heard = { 0 };
	int fd = peer();

	(void)state;
	limit(100, 10000);
	give(fd, "{");
	for (int64_t begun = clock_monotonic_us(); listen_on(fd, &heard);) {
		(void)send(fd, " ", 1, MSG_NOSIGNAL);
		assert_true(sd_event_run(s.event, 5000) >= 0);
		assert_true(clock_monotonic_us() - begun < PATIENCE_MS * INT64_C(1000));
	}
	assert_int_equal(heard.length, 0);
	close(fd);
	expect_service();
}

static void an_order_has_all_the_time_that_the_daemon_needs(void **state)
{
	int fd = peer();

	(void)state;
	limit(500, 500);
	give(fd, PURGE);
	until(s.n_orders == 1);
	turn_for(700);
	answer_order(s.ids[0], 8);
	assert_int_equal(take_answer(fd).rows, 8);
}

static void a_line_without_end_is_refused(void **state)
{
	static char flood[4096];
	size_t sent = 0;
	int fd = peer();
	struct control_answer answer;

	(void)state;
	memset(flood, ' ', sizeof(flood));
	/* It may end before all was sent. */
	for (int i = 0; i < 1000; i++) {
		ssize_t n = send(fd, flood, sizeof(flood), MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		assert_true(sd_event_run(s.event, 0) >= 0);
	}
	assert_true(sent >= 64 * 1024 - sizeof(flood));
	answer = take_answer(fd);
	assert_int_equal(answer.status, ERROR_DATA);
	assert_non_null(strstr(answer.text, "64 KiB"));
	assert_int_equal(s.n_orders, 0);
	expect_service();
}

static void behind_the_line_nothing_is_read_and_nobody_is_woken(void **state)
{
	static char flood[4096];
	int fd = peer();

	(void)state;
	give(fd, PURGE PURGE "garbage");
	until(s.n_orders == 1);
	memset(flood, '\n', sizeof(flood));
	while (send(fd, flood, sizeof(flood), MSG_NOSIGNAL) > 0)
		;
	assert_int_equal(sd_event_run(s.event, 20000), 0);
	answer_order(s.ids[0], 4);
	assert_int_equal(take_answer(fd).rows, 4);
	assert_int_equal(s.n_orders, 1);
}

static void who_hangs_up_while_waiting_wakes_once(void **state)
{
	int fd = peer();

	(void)state;
	give(fd, PURGE);
	until(s.n_orders == 1);
	close(fd);
	assert_true(sd_event_run(s.event, PATIENCE_MS * 1000) > 0);
	assert_int_equal(sd_event_run(s.event, 20000), 0);
	answer_order(s.ids[0], 4);
}

/* As `nc -N` does. */
static void who_has_no_more_to_say_still_gets_the_answer(void **state)
{
	int fd = peer();

	(void)state;
	give(fd, PURGE);
	shutdown(fd, SHUT_WR);
	until(s.n_orders == 1);
	assert_int_equal(sd_event_run(s.event, 20000), 0);
	answer_order(s.ids[0], 6);
	assert_int_equal(take_answer(fd).rows, 6);
}

static void half_a_line_is_no_order(void **state)
{
	int fd = peer();
	struct control_answer answer;

	(void)state;
	give(fd, "{\"command\":\"purge\"}");
	shutdown(fd, SHUT_WR);
	answer = take_answer(fd);
	assert_int_equal(answer.status, ERROR_DATA);
	assert_non_null(strstr(answer.text, "line feed"));
	fd = peer();
	give(fd, "{\"command\":\"purge\"}");
	close(fd);
	fd = peer();
	shutdown(fd, SHUT_WR);
	expect_silent_end(fd);
	assert_int_equal(s.n_orders, 0);
	expect_service();
}

static void garbage_is_answered_politely(void **state)
{
	static const char garbage[] = "\0\1\2\3\xff\xfe GET / HTTP/1.1\r\n";
	int fd = peer();

	(void)state;
	assert_int_equal(send(fd, garbage, sizeof(garbage) - 1, MSG_NOSIGNAL), sizeof(garbage) - 1);
	assert_int_equal(take_answer(fd).status, ERROR_DATA);
	expect_service();
}

static void answer_at_length(uint64_t id)
{
	struct control_answer *answer = xcalloc(1, sizeof(*answer));

	for (int64_t row = 1; row <= CONTROL_MOST_EXAMPLES; row++)
		control_answer_decline(answer, row, "%0150d", 0);
	control_server_answer(s.server, id, answer);
	free(answer);
}

static void who_does_not_read_the_answer_is_let_go(void **state)
{
	struct text heard = { 0 };
	int fd = peer();

	(void)state;
	narrow = true;
	limit(10000, 50);
	give(fd, PURGE);
	until(s.n_orders == 1);
	answer_at_length(s.ids[0]);
	turn_for(200);
	until(!listen_on(fd, &heard));
	close(fd);
	/* It was cut: the server did not wait. */
	assert_true(heard.length > 0 && heard.length < 15000);
	text_free(&heard);
	narrow = false;
	expect_service();
}

static void who_reads_slowly_gets_it_whole_and_once(void **state)
{
	struct control_answer answer;
	int fd = peer();

	(void)state;
	narrow = true;
	give(fd, PURGE);
	until(s.n_orders == 1);
	answer_at_length(s.ids[0]);
	answer_order(s.ids[0], 5);
	answer = take_answer(fd);
	assert_int_equal(answer.n_examples, CONTROL_MOST_EXAMPLES);
	narrow = false;
}

static void who_hangs_up_while_reading_the_answer_ends_it(void **state)
{
	int fd = peer();

	(void)state;
	narrow = true;
	give(fd, PURGE);
	until(s.n_orders == 1);
	answer_at_length(s.ids[0]);
	close(fd);
	narrow = false;
	expect_service();
}

/* The same ones in every run. */
static unsigned seed = 1;

static unsigned draw(unsigned below)
{
	seed = seed * 1103515245U + 12345U;
	return (seed >> 16) % below;
}

static void misbehave(int fd)
{
	static char flood[70000];

	memset(flood, 'x', sizeof(flood));
	switch (draw(6)) {
	case 0: break;
	case 1: (void)send(fd, flood, sizeof(flood), MSG_NOSIGNAL); break;
	case 2: (void)send(fd, PURGE, draw(sizeof(PURGE)), MSG_NOSIGNAL); break;
	case 3: (void)send(fd, PURGE PURGE, 2 * sizeof(PURGE) - 2, MSG_NOSIGNAL); break;
	case 4: (void)send(fd, "\xff\n", 2, MSG_NOSIGNAL); break;
	case 5: shutdown(fd, draw(2) ? SHUT_WR : SHUT_RD); break;
	}
	if (draw(2))
		assert_true(sd_event_run(s.event, 0) >= 0);
}

static void a_crowd_of_bad_peers_harms_nobody(void **state)
{
	int fds[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };

	(void)state;
	limit(20, 20);
	for (int round = 0; round < 400; round++) {
		int *fd = &fds[draw(8)];

		if (*fd >= 0)
			close(*fd);
		*fd = peer();
		misbehave(*fd);
		for (size_t i = 0; i < s.n_orders; i++)
			answer_order(s.ids[i], 0);
		s.n_orders = 0;
	}
	for (size_t i = 0; i < 8; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	s.at_once = true;
	expect_service();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_sends_nothing_is_let_go, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(who_sends_drop_by_drop_has_no_more_time_than_others, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(an_order_has_all_the_time_that_the_daemon_needs, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(a_line_without_end_is_refused, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(behind_the_line_nothing_is_read_and_nobody_is_woken, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(who_hangs_up_while_waiting_wakes_once, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(who_has_no_more_to_say_still_gets_the_answer, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(half_a_line_is_no_order, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(garbage_is_answered_politely, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(who_does_not_read_the_answer_is_let_go, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(who_reads_slowly_gets_it_whole_and_once, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(who_hangs_up_while_reading_the_answer_ends_it, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(a_crowd_of_bad_peers_harms_nobody, stand_up, stand_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
