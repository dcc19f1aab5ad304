#include "control/client.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "stand.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

static const struct control_request purge = { .command = CONTROL_PURGE, .dry_run = true };

/* A daemon by script, in a process of its own. */
static struct {
	char folder[64], path[128];
	struct control_place place;
	int listening;
	pid_t child;
	struct error err;
} t;

static int set_up(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	snprintf(t.folder, sizeof(t.folder), "/tmp/control-XXXXXX");
	assert_non_null(mkdtemp(t.folder));
	snprintf(t.path, sizeof(t.path), "%s/control.sock", t.folder);
	if (!control_listen(t.path, &t.listening, &t.place, &t.err))
		fail_msg("%s", t.err.text);
	assert_int_equal(fcntl(t.listening, F_SETFL, 0), 0);
	return 0;
}

static int tear_down(void **state)
{
	int status = 0;

	(void)state;
	if (t.listening >= 0)
		close(t.listening);
	if (t.child > 0)
		assert_int_equal(waitpid(t.child, &status, 0), t.child);
	control_unlink(t.path, &t.place);
	return status != 0 || rmdir(t.folder) != 0;
}

static void say_slowly(int fd, const char *words)
{
	for (; *words; words++)
		(void)send(fd, words, 1, MSG_NOSIGNAL);
}

/* Takes one connection, reads a line (or not), says something, waits until the other end goes (or not), and closes. */
static void daemon_says(bool reads, const char *words, size_t times, bool waits)
{
	char byte;

	t.child = fork();
	assert_true(t.child >= 0);
	if (t.child > 0)
		return;
	t.listening = accept(t.listening, NULL, NULL);
	while (reads && recv(t.listening, &byte, 1, 0) == 1 && byte != '\n')
		;
	while (times-- > 0)
		say_slowly(t.listening, words);
	while (waits && recv(t.listening, &byte, 1, 0) == 1)
		;
	_exit(0);
}

static enum control_asked ask(struct control_answer *ret_answer)
{
	return control_ask(t.path, &purge, ret_answer, &t.err);
}

static void expect_unknown(const char *why)
{
	struct control_answer answer = { .rows = 42 };

	assert_int_equal(ask(&answer), CONTROL_ASKED_FAILED);
	assert_int_equal(answer.rows, 42);
	assert_int_equal(t.err.code, ERROR_TRY_LATER);
	if (!strstr(t.err.text, "whether it was done is not known: look at operator_action_log") || !strstr(t.err.text, why))
		fail_msg("%s", t.err.text);
}

static void an_answer_is_returned(void **state)
{
	struct control_answer answer;

	(void)state;
	daemon_says(true, "{\"status\":65,\"text\":\"3 of 4\",\"rows\":3,\"declined\":1}\n", 1, true);
	assert_int_equal(ask(&answer), CONTROL_ASKED_ANSWERED);
	assert_int_equal(answer.status, ERROR_DATA);
	assert_string_equal(answer.text, "3 of 4");
	assert_int_equal(answer.rows, 3);
	assert_int_equal(answer.declined, 1);
}

static void where_nobody_listens_the_caller_is_told(void **state)
{
	struct control_answer answer;

	(void)state;
	close(t.listening);
	t.listening = -1;
	assert_int_equal(ask(&answer), CONTROL_ASKED_NOBODY);
	assert_non_null(strstr(t.err.text, "nobody listens"));
	assert_int_equal(unlink(t.path), 0);
	assert_int_equal(ask(&answer), CONTROL_ASKED_NOBODY);
	assert_int_equal(rmdir(t.folder), 0);
	assert_int_equal(ask(&answer), CONTROL_ASKED_NOBODY);
	assert_int_equal(mkdir(t.folder, 0700), 0);
}

static void without_an_answer_it_is_not_known_whether_it_was_done(void **state)
{
	(void)state;
	daemon_says(true, "", 0, false);
	expect_unknown("without an answer");
}

static void half_an_answer_is_none(void **state)
{
	(void)state;
	daemon_says(true, "{\"status\":0}", 1, false);
	expect_unknown("without an answer");
}

static void an_answer_that_makes_no_sense_is_none(void **state)
{
	(void)state;
	daemon_says(true, "{\"ok\":true}\n", 1, true);
	expect_unknown("'ok' is no known key");
}

static void an_answer_without_end_is_none(void **state)
{
	(void)state;
	daemon_says(true, "................................................................", 1100, true);
	expect_unknown("64 KiB");
}

static void a_daemon_that_does_not_read_may_still_answer(void **state)
{
	struct control_answer answer;

	(void)state;
	daemon_says(false, "{\"status\":75,\"text\":\"stopping\"}\n", 1, false);
	assert_int_equal(ask(&answer), CONTROL_ASKED_ANSWERED);
	assert_int_equal(answer.status, ERROR_TRY_LATER);
}

static void on_alarm(int number)
{
	(void)number;
}

static void a_signal_that_is_caught_ends_the_wait(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval often = { .it_interval.tv_usec = 50000, .it_value.tv_usec = 50000 }, never = { 0 };

	(void)state;
	daemon_says(true, "", 0, true);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	expect_unknown("Interrupted");
	setitimer(ITIMER_REAL, &never, NULL);
}

static void an_order_that_the_daemon_would_not_take_is_not_sent(void **state)
{
	struct control_request request = { .command = CONTROL_HOLD };
	struct control_answer answer;

	(void)state;
	assert_int_equal(control_ask(t.path, &request, &answer, &t.err), CONTROL_ASKED_FAILED);
	assert_int_equal(t.err.code, ERROR_USAGE);
	assert_int_equal(fcntl(t.listening, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(accept(t.listening, NULL, NULL), -1);
}

static void other_faults_are_told_as_they_are(void **state)
{
	struct control_answer answer;
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(control_ask(path, &purge, &answer, &t.err), CONTROL_ASKED_FAILED);
	assert_int_equal(t.err.code, ERROR_CONFIG);
	assert_int_equal(control_ask("/dev/null/control.sock", &purge, &answer, &t.err), CONTROL_ASKED_FAILED);
	assert_non_null(strstr(t.err.text, "Not a directory"));
}

/* What another user sees; root becomes one for it. */
static int ask_as_another(const char *words)
{
	struct control_answer answer;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
			_exit(2);
		if (ask(&answer) != CONTROL_ASKED_FAILED || t.err.code != ERROR_PERMISSION || !strstr(t.err.text, words))
			_exit(3);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void who_may_not_is_told_who_may(void **state)
{
	(void)state;
	/* As for members of another group: the folder may be entered. */
	assert_int_equal(chmod(t.folder, 0755), 0);
	if (geteuid() == 0) {
		const struct group *group = getgrgid(1);
		char words[128];

		assert_non_null(group);
		snprintf(words, sizeof(words), "members of the group %s (`usermod -aG %s NAME`", group->gr_name, group->gr_name);
		assert_int_equal(chown(t.path, 0, 1), 0);
		assert_int_equal(ask_as_another(words), 0);
		assert_int_equal(chown(t.path, 0, 54321), 0);
		assert_int_equal(ask_as_another("and the group of the socket"), 0);
		/* Nobody is asked to join root's group. */
		assert_int_equal(chown(t.path, 0, 0), 0);
		assert_int_equal(ask_as_another("and the group of the socket"), 0);
	} else {
		assert_int_equal(chmod(t.path, 0), 0);
		assert_int_equal(ask_as_another("you may not use it"), 0);
	}
	/* Not even the socket can be seen: the folder tells. */
	assert_int_equal(chmod(t.folder, 0), 0);
	assert_int_equal(ask_as_another("you may not use it"), 0);
	assert_int_equal(chmod(t.folder, 0700), 0);
}

static void commands_and_daemon_understand_each_other(void **state)
{
	struct control_request request = { .command = CONTROL_RESOLVE,
					   .manifest = 7,
					   .by_state = true,
					   .state = ROW_IN_DOUBT,
					   .resolution = CONTROL_RESEND,
					   .reason = "D1's support says: not there" };
	struct control_answer answer;
	int status;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		struct error err;

		if (control_ask(s.path, &request, &answer, &err) != CONTROL_ASKED_ANSWERED)
			_exit(2);
		_exit(answer.rows == 12 && strcmp(answer.text, "done") == 0 ? 0 : 3);
	}
	until(s.n_orders == 1);
	assert_int_equal(s.orders[0]->peer.pid, child);
	assert_int_equal(s.orders[0]->request.resolution, CONTROL_RESEND);
	assert_int_equal(s.orders[0]->request.state, ROW_IN_DOUBT);
	assert_string_equal(s.orders[0]->request.reason, request.reason);
	answer_order(s.ids[0], 12);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_is_returned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(where_nobody_listens_the_caller_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_an_answer_it_is_not_known_whether_it_was_done, set_up, tear_down),
		cmocka_unit_test_setup_teardown(half_an_answer_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_answer_that_makes_no_sense_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_answer_without_end_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_daemon_that_does_not_read_may_still_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_signal_that_is_caught_ends_the_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_order_that_the_daemon_would_not_take_is_not_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_faults_are_told_as_they_are, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_may_not_is_told_who_may, set_up, tear_down),
		cmocka_unit_test_setup_teardown(commands_and_daemon_understand_each_other, stand_up, stand_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
