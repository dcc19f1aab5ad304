#include "control/listen.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { OTHER_GROUP = 12345, LONGEST = 107 };

static struct {
	char folder[64], path[128];
	struct control_place place;
	struct error err;
} t;

static int set_up(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	snprintf(t.folder, sizeof(t.folder), "/tmp/control-XXXXXX");
	assert_non_null(mkdtemp(t.folder));
	snprintf(t.path, sizeof(t.path), "%s/control.sock", t.folder);
	return 0;
}

static int names;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type;
	names += ftw->level > 0;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(t.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int listening(const char *path)
{
	int fd = -1;

	if (!control_listen(path, &fd, &t.place, &t.err))
		fail_msg("%s", t.err.text);
	return fd;
}

static int connect_to(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), result;
	struct sockaddr_un address;

	assert_true(control_address(path, &address, NULL));
	result = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
	close(fd);
	return result;
}

static void expect_refusal(const char *path, enum error_code code, const char *words)
{
	struct control_place place;
	int fd = -7;

	assert_false(control_listen(path, &fd, &place, &t.err));
	assert_int_equal(fd, -7);
	if (t.err.code != code || !strstr(t.err.text, words))
		fail_msg("%d %s", (int)t.err.code, t.err.text);
}

static void the_socket_has_its_mode_whatever_the_umask_is(void **state)
{
	static const mode_t masks[] = { 0, 0027, 0777 };
	struct stat st;

	(void)state;
	for (size_t i = 0; i < sizeof(masks) / sizeof(*masks); i++) {
		mode_t before = umask(masks[i]);
		int fd = listening(t.path);

		umask(before);
		assert_int_equal(lstat(t.path, &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
		assert_int_equal(st.st_mode & 07777, 0660);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(connect_to(t.path), 0);
		close(fd);
	}
}

static void the_group_is_that_of_the_directory(void **state)
{
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(t.folder, (uid_t)-1, OTHER_GROUP), 0);
	close(listening(t.path));
	assert_int_equal(lstat(t.path, &st), 0);
	assert_int_equal(st.st_gid, OTHER_GROUP);
	assert_int_equal(st.st_mode & 07777, 0660);
}

static void the_socket_of_a_dead_process_is_replaced(void **state)
{
	int fd;

	(void)state;
	close(listening(t.path));
	assert_int_equal(connect_to(t.path), ECONNREFUSED);
	fd = listening(t.path);
	assert_int_equal(connect_to(t.path), 0);
	close(fd);
}

static void a_socket_that_somebody_listens_on_is_left(void **state)
{
	int fd = listening(t.path);

	(void)state;
	expect_refusal(t.path, ERROR_TRY_LATER, "another process listens on it");
	assert_int_equal(connect_to(t.path), 0);
	close(fd);
}

static void what_is_no_socket_is_left(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(mkdir(t.path, 0700), 0);
	expect_refusal(t.path, ERROR_CONFIG, "is no socket");
	assert_int_equal(rmdir(t.path), 0);
	assert_int_equal(mkfifo(t.path, 0600), 0);
	expect_refusal(t.path, ERROR_CONFIG, "is no socket");
	assert_int_equal(unlink(t.path), 0);
	assert_int_equal(symlink("elsewhere", t.path), 0);
	expect_refusal(t.path, ERROR_CONFIG, "is no socket");
	assert_int_equal(unlink(t.path), 0);
	close(open(t.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	expect_refusal(t.path, ERROR_CONFIG, "is no socket");
	assert_int_equal(lstat(t.path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void nothing_is_left_beside_the_socket(void **state)
{
	int fd = listening(t.path);

	(void)state;
	close(fd);
	close(listening(t.path));
	names = 0;
	assert_int_equal(nftw(t.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(names, 1);
	expect_refusal(t.path, ERROR_NO_INPUT, t.folder);
	assert_int_equal(mkdir(t.folder, 0700), 0);
}

/* A path of so many bytes with a name of so many. */
static void make_path(size_t length, size_t name)
{
	size_t directory = length - name - 1, i = strlen(t.folder);

	snprintf(t.path, sizeof(t.path), "%s/", t.folder);
	memset(t.path + i + 1, 'd', directory - i - 1);
	t.path[directory] = '\0';
	(void)mkdir(t.path, 0700);
	t.path[directory] = '/';
	memset(t.path + directory + 1, 's', name);
	t.path[length] = '\0';
}

static void a_path_is_as_long_as_the_system_allows(void **state)
{
	(void)state;
	make_path(LONGEST, 12);
	close(listening(t.path));
	make_path(LONGEST + 1, 12);
	expect_refusal(t.path, ERROR_CONFIG, "at most 107 bytes, this one has 108");
	make_path(LONGEST, 3);
	expect_refusal(t.path, ERROR_CONFIG, "under a name beside its own");
}

static void a_path_may_be_relative(void **state)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(chdir(t.folder), 0);
	close(listening("control.sock"));
	assert_int_equal(fchdir(here), 0);
	close(here);
	assert_int_equal(connect_to(t.path), ECONNREFUSED);
}

static void only_our_own_file_is_removed(void **state)
{
	struct control_place old;
	int first = listening(t.path), second;

	(void)state;
	old = t.place;
	assert_int_equal(unlink(t.path), 0);
	second = listening(t.path);
	control_unlink(t.path, &old);
	assert_int_equal(access(t.path, F_OK), 0);
	control_unlink(t.path, &t.place);
	assert_int_equal(access(t.path, F_OK), -1);
	control_unlink(t.path, &t.place);
	close(first);
	close(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_socket_has_its_mode_whatever_the_umask_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_group_is_that_of_the_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_socket_of_a_dead_process_is_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_socket_that_somebody_listens_on_is_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_socket_is_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_left_beside_the_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_path_is_as_long_as_the_system_allows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_path_may_be_relative, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_our_own_file_is_removed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
