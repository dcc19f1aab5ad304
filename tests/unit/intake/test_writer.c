#include "intake/writer.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static struct {
	char path[64];
	int fd;
	long type; /* 0: as it is */
	void (*before_unlock)(void);
	int refused; /* errno of the lease */
	bool no_statfs;
} t;

/* These stand before libc's. fcntl(2) takes one word behind the command. */
int fcntl64(int fd, int command, ...);
int fcntl64(int fd, int command, ...)
{
	va_list arguments;
	long argument;

	va_start(arguments, command);
	argument = va_arg(arguments, long);
	va_end(arguments);
	if (command == F_SETLEASE && argument == F_UNLCK && t.before_unlock)
		t.before_unlock();
	if (command == F_SETLEASE && argument == F_RDLCK && t.refused) {
		errno = t.refused;
		return -1;
	}
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

int fstatfs64(int fd, struct statfs64 *ret_fs);
int fstatfs64(int fd, struct statfs64 *ret_fs)
{
	if (t.no_statfs) {
		errno = EIO;
		return -1;
	}
	if (syscall(SYS_fstatfs, fd, ret_fs) < 0)
		return -1;
	if (t.type)
		ret_fs->f_type = t.type;
	return 0;
}

static int set_up(void **state)
{
	int writer;

	(void)state;
	t = (__typeof__(t)){ .path = "/tmp/writer-XXXXXX" };
	writer = mkstemp(t.path);
	assert_true(writer >= 0);
	assert_int_equal(ftruncate(writer, 4096), 0);
	close(writer);
	t.fd = open(t.path, O_RDONLY | O_CLOEXEC);
	assert_true(t.fd >= 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(t.fd);
	return unlink(t.path);
}

static int opened(int flags)
{
	int fd = open(t.path, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void a_file_that_nobody_writes_to_has_no_writer(void **state)
{
	int reader = opened(O_RDONLY);

	(void)state;
	assert_false(writer_is_there(t.fd));
	close(reader);
}

static void whoever_may_write_is_a_writer(void **state)
{
	static const int flags[] = { O_WRONLY, O_RDWR, O_WRONLY | O_APPEND };

	(void)state;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		int writer = opened(flags[i]);

		assert_true(writer_is_there(t.fd));
		close(writer);
		assert_false(writer_is_there(t.fd));
	}
}

static void a_mapping_that_can_be_written_is_a_writer(void **state)
{
	int writer = opened(O_RDWR);
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);

	(void)state;
	assert_ptr_not_equal(map, MAP_FAILED);
	close(writer);
	assert_true(writer_is_there(t.fd));
	munmap(map, 4096);
	assert_false(writer_is_there(t.fd));
}

static void no_lease_is_kept(void **state)
{
	(void)state;
	assert_false(writer_is_there(t.fd));
	assert_int_equal(fcntl(t.fd, F_GETLEASE, 0), F_UNLCK);
	close(opened(O_WRONLY | O_NONBLOCK));
}

static void open_for_writing(void)
{
	t.before_unlock = NULL;
	assert_int_equal(open(t.path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
	assert_int_equal(errno, EWOULDBLOCK);
}

static void breaking_the_lease_hurts_nobody(void **state)
{
	(void)state;
	t.before_unlock = open_for_writing;
	assert_false(writer_is_there(t.fd)); /* SIGIO would have ended us here */
	assert_null(t.before_unlock);
	close(opened(O_WRONLY));
}

static void on_a_network_share_it_is_not_asked(void **state)
{
	static const long shares[] = { NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC };
	int writer = opened(O_WRONLY);

	(void)state;
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		t.type = shares[i];
		assert_false(writer_is_there(t.fd));
	}
	t.type = 0;
	t.no_statfs = true;
	assert_false(writer_is_there(t.fd));
	close(writer);
}

static void what_cannot_be_known_is_no_writer(void **state)
{
	static const int errors[] = { EACCES, EINVAL, ENOLCK };
	int writer = opened(O_WRONLY);

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		t.refused = errors[i];
		assert_false(writer_is_there(t.fd));
	}
	close(writer);
}

static void of_another_s_file_it_cannot_be_known(void **state)
{
	int writer = opened(O_WRONLY);

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can be somebody else\n");
		close(writer);
		skip();
	}
	assert_int_equal(chmod(t.path, 0644), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_false(writer_is_there(t.fd));
	assert_int_equal(seteuid(0), 0);
	assert_true(writer_is_there(t.fd));
	close(writer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_nobody_writes_to_has_no_writer),
		TEST(whoever_may_write_is_a_writer),
		TEST(a_mapping_that_can_be_written_is_a_writer),
		TEST(no_lease_is_kept),
		TEST(breaking_the_lease_hurts_nobody),
		TEST(on_a_network_share_it_is_not_asked),
		TEST(what_cannot_be_known_is_no_writer),
		TEST(of_another_s_file_it_cannot_be_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
