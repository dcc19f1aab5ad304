#include "control/peer.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	char path[64];
	int pair[2];
} t;

static int set_up(void **state)
{
	int fd;

	(void)state;
	snprintf(t.path, sizeof(t.path), "/tmp/passwd-XXXXXX");
	fd = mkstemp(t.path);
	return fd < 0 || close(fd) || socketpair(AF_UNIX, SOCK_STREAM, 0, t.pair);
}

static int tear_down(void **state)
{
	(void)state;
	close(t.pair[0]);
	close(t.pair[1]);
	return unlink(t.path);
}

/* A file of users, the last one with our uid. */
static struct control_peer peer_with(const char *before, const char *name)
{
	struct control_peer peer;
	FILE *file = fopen(t.path, "w");

	assert_non_null(file);
	fprintf(file, "%s%s:x:%u:%u::/:/bin/sh\n", before, name, (unsigned)getuid(), (unsigned)getgid());
	fclose(file);
	assert_true(control_peer_of(t.pair[0], t.path, &peer, NULL));
	return peer;
}

static void the_kernel_says_who_it_is_and_the_file_says_the_name(void **state)
{
	struct control_peer peer = peer_with("nobody:x:4000000000:1::/:/bin/sh\n", "lucie");

	(void)state;
	assert_int_equal(peer.uid, getuid());
	assert_int_equal(peer.gid, getgid());
	assert_int_equal(peer.pid, getpid());
	assert_string_equal(peer.user, "lucie");
}

static void a_user_without_a_name_has_a_number(void **state)
{
	struct control_peer peer;
	char number[16];

	(void)state;
	snprintf(number, sizeof(number), "%u", (unsigned)getuid());
	assert_true(control_peer_of(t.pair[0], t.path, &peer, NULL));
	assert_string_equal(peer.user, number);
	assert_true(control_peer_of(t.pair[0], "/tmp/there/is/none", &peer, NULL));
	assert_string_equal(peer.user, number);
	peer = peer_with("", "a-name-that-is-longer-than-any-that-a-system-would-take-for-a-user");
	assert_string_equal(peer.user, number);
	peer = peer_with("", "caf\xe9");
	assert_string_equal(peer.user, number);
}

static void broken_lines_are_passed_over_unless_they_are_endless(void **state)
{
	static char endless[9000];
	char number[16];

	(void)state;
	assert_string_equal(peer_with("\n:\nx\n::::::::\n# lines\n+::::::\n", "lucie").user, "lucie");
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 2] = '\n';
	snprintf(number, sizeof(number), "%u", (unsigned)getuid());
	assert_string_equal(peer_with(endless, "lucie").user, number);
}

static void what_is_no_socket_has_no_peer(void **state)
{
	struct control_peer peer = { .pid = 42 };
	struct error err;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_false(control_peer_of(fd, NULL, &peer, &err));
	assert_int_equal(peer.pid, 42);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_kernel_says_who_it_is_and_the_file_says_the_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_user_without_a_name_has_a_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(broken_lines_are_passed_over_unless_they_are_endless, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_socket_has_no_peer, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
