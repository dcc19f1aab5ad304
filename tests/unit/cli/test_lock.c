#include "cli/lock.h"

#include "base/file.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int make(void **state)
{
	char *folder = xstrdup("/tmp/tb-lock-XXXXXX");

	unsetenv(LOCK_VARIABLE);
	*state = mkdtemp(folder);
	return *state ? 0 : -1;
}

static int unmake(void **state)
{
	scoped_free char *path = file_join(*state, "lock");

	unlink(path);
	rmdir(*state);
	free(*state);
	return 0;
}

/* What another process is told. */
static int taken_by_another(const char *folder)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		struct error err = { 0 };
		int fd;

		unsetenv(LOCK_VARIABLE);
		_exit(lock_take(folder, &fd, &err) ? 0 : (int)err.code);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

static void hand_over(int fd)
{
	char number[32];

	snprintf(number, sizeof(number), "%d", fd);
	setenv(LOCK_VARIABLE, number, 1);
}

static void one_process_has_it_until_the_descriptor_is_closed(void **state)
{
	struct error err;
	int fd;

	assert_true(lock_take(*state, &fd, &err));
	assert_int_equal(taken_by_another(*state), ERROR_TRY_LATER);
	assert_int_equal(lock_holder(*state), getpid());
	close(fd);
	assert_int_equal(taken_by_another(*state), 0);
	assert_int_equal(lock_holder(*state), 0);
}

static void a_descriptor_that_is_handed_over_is_the_lock(void **state)
{
	struct error err;
	int before, after;

	assert_true(lock_take(*state, &before, &err));
	assert_int_equal(fcntl(before, F_SETFD, 0), 0);
	hand_over(before);
	assert_true(lock_take(*state, &after, &err));
	assert_int_equal(after, before);
	assert_null(getenv(LOCK_VARIABLE));
	assert_int_equal(fcntl(after, F_GETFD), FD_CLOEXEC);
	assert_int_equal(taken_by_another(*state), ERROR_TRY_LATER);
	close(after);
	assert_int_equal(taken_by_another(*state), 0);
}

static void a_descriptor_of_another_file_is_left_alone(void **state)
{
	char path[] = "/tmp/tb-lock-other-XXXXXX";
	int other = mkstemp(path), fd;
	struct error err;

	assert_true(other >= 0);
	hand_over(other);
	assert_true(lock_take(*state, &fd, &err));
	assert_int_not_equal(fd, other);
	assert_int_equal(fcntl(other, F_GETFD), 0);
	assert_int_equal(taken_by_another(*state), ERROR_TRY_LATER);
	close(fd);
	close(other);
	unlink(path);
}

static void a_descriptor_without_the_lock_does_not_stand_for_it(void **state)
{
	scoped_free char *path = file_join(*state, "lock");
	int open_only = open(path, O_RDWR | O_CREAT, 0600), fd;
	struct error err;

	assert_true(open_only >= 0);
	hand_over(open_only);
	assert_true(lock_take(*state, &fd, &err));
	assert_int_not_equal(fd, open_only);
	/* Somebody else's lock is not ours either. */
	hand_over(open_only);
	assert_false(lock_take(*state, &open_only, &err));
	assert_int_equal(err.code, ERROR_TRY_LATER);
	close(fd);
	close(open_only);
}

static void a_variable_that_names_no_descriptor_is_ignored(void **state)
{
	static const char *const values[] = { "", "x", "-1", "0", "1", "2", "3x", "1000", "99999999999999999999", "4294967299" };
	struct error err;
	int fd;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		setenv(LOCK_VARIABLE, values[i], 1);
		assert_true(lock_take(*state, &fd, &err));
		assert_null(getenv(LOCK_VARIABLE));
		assert_int_equal(taken_by_another(*state), ERROR_TRY_LATER);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_process_has_it_until_the_descriptor_is_closed, make, unmake),
		cmocka_unit_test_setup_teardown(a_descriptor_that_is_handed_over_is_the_lock, make, unmake),
		cmocka_unit_test_setup_teardown(a_descriptor_of_another_file_is_left_alone, make, unmake),
		cmocka_unit_test_setup_teardown(a_descriptor_without_the_lock_does_not_stand_for_it, make, unmake),
		cmocka_unit_test_setup_teardown(a_variable_that_names_no_descriptor_is_ignored, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
