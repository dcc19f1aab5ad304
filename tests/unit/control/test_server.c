#include "control/server.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "stand.h"

#include <fcntl.h>

static bool starved;

/* Stands before libc's: no descriptor is left for a while. */
int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict length, int flags)
{
	int got;

	if (starved) {
		errno = EMFILE;
		return -1;
	}
	got = accept(fd, address, length);
	if (got >= 0) {
		assert_true(flags == (SOCK_NONBLOCK | SOCK_CLOEXEC));
		assert_int_equal(fcntl(got, F_SETFL, O_NONBLOCK), 0);
		assert_int_equal(fcntl(got, F_SETFD, FD_CLOEXEC), 0);
	}
	return got;
}

static void an_order_comes_once_and_with_its_peer(void **state)
{
	int fd = peer();
	struct control_answer answer;

	(void)state;
	give(fd, "{\"command\":\"retry\",\"rows\":[4,5],\"reason\":\"why not\"}\n");
	until(s.n_orders == 1);
	assert_int_equal(s.orders[0]->id, 1);
	assert_int_equal(s.orders[0]->peer.uid, getuid());
	assert_int_equal(s.orders[0]->peer.gid, getgid());
	assert_int_equal(s.orders[0]->peer.pid, getpid());
	assert_true(s.orders[0]->peer.user[0]);
	assert_int_equal(s.orders[0]->request.command, CONTROL_RETRY);
	assert_int_equal(s.orders[0]->request.rows[1], 5);
	assert_string_equal(s.orders[0]->request.reason, "why not");
	assert_int_equal(control_server_open(s.server), 1);
	answer_order(1, 2);
	assert_int_equal(control_server_open(s.server), 0);
	answer = take_answer(fd);
	assert_int_equal(answer.status, 0);
	assert_int_equal(answer.rows, 2);
	assert_int_equal(s.n_orders, 1);
}

static void an_answer_may_come_many_turns_later_and_in_any_order(void **state)
{
	int first = peer(), second;
	struct text heard = { 0 };

	(void)state;
	give(first, PURGE);
	until(s.n_orders == 1);
	second = peer();
	give(second, PURGE);
	until(s.n_orders == 2);
	for (int i = 0; i < 20; i++)
		assert_true(sd_event_run(s.event, 1000) >= 0);
	assert_true(listen_on(first, &heard));
	answer_order(s.ids[1], 22);
	assert_int_equal(take_answer(second).rows, 22);
	assert_true(listen_on(first, &heard));
	assert_int_equal(heard.length, 0);
	answer_order(s.ids[0], 11);
	assert_int_equal(take_answer(first).rows, 11);
}

static void the_handler_may_answer_at_once(void **state)
{
	(void)state;
	s.at_once = true;
	for (int i = 0; i < 50; i++)
		expect_service();
	assert_int_equal(control_server_open(s.server), 0);
}

static void an_order_may_come_byte_by_byte(void **state)
{
	static const char line[] = "{\"command\":\"hold\",\"all\":true}\n";
	int fd = peer();

	(void)state;
	for (size_t i = 0; line[i]; i++) {
		assert_int_equal(s.n_orders, 0);
		assert_int_equal(send(fd, line + i, 1, MSG_NOSIGNAL), 1);
		assert_true(sd_event_run(s.event, 1000) >= 0);
	}
	until(s.n_orders == 1);
	answer_order(s.ids[0], 3);
	assert_int_equal(take_answer(fd).rows, 3);
}

static void what_is_no_order_is_answered_without_the_handler(void **state)
{
	int fd = peer();
	struct control_answer answer;

	(void)state;
	give(fd, "{\"command\":\"retry\"}\n");
	answer = take_answer(fd);
	assert_int_equal(answer.status, ERROR_USAGE);
	assert_non_null(strstr(answer.text, "selector"));
	assert_int_equal(s.n_orders, 0);
}

static void an_answer_to_nobody_is_harmless(void **state)
{
	int fd = peer();

	(void)state;
	answer_order(0, 0);
	answer_order(1, 0);
	give(fd, PURGE);
	until(s.n_orders == 1);
	answer_order(2, 0);
	/* Its peer hangs up while it is worked on: it is open until it is answered. */
	close(fd);
	for (int i = 0; i < 10; i++)
		assert_true(sd_event_run(s.event, 1000) >= 0);
	assert_int_equal(control_server_open(s.server), 1);
	assert_int_equal(s.orders[0]->request.command, CONTROL_PURGE);
	answer_order(s.ids[0], 0);
	assert_int_equal(control_server_open(s.server), 0);
	answer_order(s.ids[0], 0);
	expect_service();
}

static void the_seventeenth_waits_for_a_place(void **state)
{
	int fds[CONTROL_MOST_CONNECTIONS + 1];

	(void)state;
	for (size_t i = 0; i <= CONTROL_MOST_CONNECTIONS; i++) {
		fds[i] = peer();
		give(fds[i], PURGE);
	}
	until(s.n_orders == CONTROL_MOST_CONNECTIONS);
	/* Nothing to do: it waits without waking the loop. */
	assert_int_equal(sd_event_run(s.event, 20000), 0);
	assert_int_equal(s.n_orders, CONTROL_MOST_CONNECTIONS);
	answer_order(s.ids[3], 0);
	until(s.n_orders == CONTROL_MOST_CONNECTIONS + 1);
	for (size_t i = 0; i < s.n_orders; i++)
		answer_order(s.ids[i], 0);
	for (size_t i = 0; i < s.n_orders; i++)
		assert_int_equal(take_answer(fds[i]).status, 0);
}

static void peers_that_hang_up_leave_no_room_for_more_orders_than_sixteen(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONTROL_MOST_CONNECTIONS + 4; i++) {
		int fd = peer();

		give(fd, PURGE);
		close(fd);
	}
	until(s.n_orders == CONTROL_MOST_CONNECTIONS);
	for (int i = 0; i < 40; i++)
		assert_true(sd_event_run(s.event, 1000) >= 0);
	assert_int_equal(s.n_orders, CONTROL_MOST_CONNECTIONS);
	for (size_t i = 0; i < CONTROL_MOST_CONNECTIONS; i++)
		answer_order(s.ids[i], 0);
	until(s.n_orders == CONTROL_MOST_CONNECTIONS + 4);
	for (size_t i = CONTROL_MOST_CONNECTIONS; i < s.n_orders; i++)
		answer_order(s.ids[i], 0);
	expect_service();
}

static void without_descriptors_it_rests_and_goes_on(void **state)
{
	int fd = peer(), turns = 0;

	(void)state;
	give(fd, PURGE);
	starved = true;
	assert_true(sd_event_run(s.event, 1000000) > 0);
	for (int64_t begun = clock_monotonic_us(); clock_monotonic_us() - begun < 100000;)
		turns += sd_event_run(s.event, 10000) > 0;
	assert_in_range(turns, 0, 5);
	starved = false;
	until(s.n_orders == 1);
	answer_order(s.ids[0], 0);
	assert_int_equal(take_answer(fd).status, 0);
}

static void a_stopping_server_takes_no_orders_and_tells_so(void **state)
{
	int open = peer(), reading = peer(), waiting;

	(void)state;
	give(open, PURGE);
	give(reading, "{\"command\":");
	until(s.n_orders == 1);
	/* Both are accepted, whatever the order was. */
	for (int i = 0; i < 10; i++)
		assert_true(sd_event_run(s.event, 1000) >= 0);
	waiting = peer();
	give(waiting, PURGE);
	control_server_stop(s.server);
	control_server_stop(s.server);
	assert_int_equal(access(s.path, F_OK), -1);
	assert_int_equal(take_answer(waiting).status, ERROR_TRY_LATER);
	give(reading, "\"purge\"}\n");
	assert_int_equal(take_answer(reading).status, ERROR_TRY_LATER);
	assert_int_equal(s.n_orders, 1);
	answer_order(s.ids[0], 5);
	assert_int_equal(take_answer(open).rows, 5);
}

static void whoever_waits_at_the_end_is_told(void **state)
{
	int open = peer(), reading = peer();
	struct control_answer answer;

	(void)state;
	give(open, PURGE);
	until(s.n_orders == 1);
	give(reading, "{");
	for (int i = 0; i < 10; i++)
		assert_true(sd_event_run(s.event, 1000) >= 0);
	control_server_free(s.server);
	s.server = NULL;
	answer = take_answer(open);
	assert_int_equal(answer.status, ERROR_TRY_LATER);
	assert_non_null(strstr(answer.text, "operator_action_log"));
	answer = take_answer(reading);
	assert_int_equal(answer.status, ERROR_TRY_LATER);
	assert_non_null(strstr(answer.text, "nothing was done"));
}

static void a_socket_of_another_is_left(void **state)
{
	struct control_server *next;
	int fd;

	(void)state;
	assert_int_equal(unlink(s.path), 0);
	assert_true(control_server_new(s.event, s.path, keep_order, &s, &next, NULL));
	control_server_free(s.server);
	s.server = next;
	fd = peer();
	give(fd, PURGE);
	until(s.n_orders == 1);
	answer_order(s.ids[0], 1);
	assert_int_equal(take_answer(fd).rows, 1);
}

static void a_server_that_cannot_listen_says_why(void **state)
{
	struct control_server *second = NULL;
	struct error err;

	(void)state;
	assert_false(control_server_new(s.event, s.path, keep_order, &s, &second, &err));
	assert_int_equal(err.code, ERROR_TRY_LATER);
	assert_null(second);
	expect_service();
}

static void what_would_hinder_a_server_shows_beforehand(void **state)
{
	char path[200];
	struct error err = { 0 };

	(void)state;
	assert_true(control_server_check(s.path, &err));
	snprintf(path, sizeof(path), "%s/other.sock", s.folder);
	assert_true(control_server_check(path, &err));
	assert_int_equal(access(path, F_OK), -1);
	assert_false(control_server_check("/nowhere/control.sock", &err));
	assert_int_equal(err.code, ERROR_NO_INPUT);
	assert_false(control_server_check(s.folder, &err));
	assert_int_equal(err.code, ERROR_CONFIG);
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_false(control_server_check(path, &err));
	assert_int_equal(err.code, ERROR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_order_comes_once_and_with_its_peer, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(an_answer_may_come_many_turns_later_and_in_any_order, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(the_handler_may_answer_at_once, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(an_order_may_come_byte_by_byte, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(what_is_no_order_is_answered_without_the_handler, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(an_answer_to_nobody_is_harmless, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(the_seventeenth_waits_for_a_place, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(peers_that_hang_up_leave_no_room_for_more_orders_than_sixteen, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(without_descriptors_it_rests_and_goes_on, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(a_stopping_server_takes_no_orders_and_tells_so, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(whoever_waits_at_the_end_is_told, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(a_socket_of_another_is_left, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(a_server_that_cannot_listen_says_why, stand_up, stand_down),
		cmocka_unit_test_setup_teardown(what_would_hinder_a_server_shows_beforehand, stand_up, stand_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
