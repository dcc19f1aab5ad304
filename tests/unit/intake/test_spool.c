#include "intake/spool.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* The directories of one test, and what shall go wrong in it. */
static struct {
	char root[64], drop[80], spool[80], copy[96];
	void (*before_rename)(void);
	int fail_rename, fail_write, fail_fsync, fail_pread; /* errno, once */
	int fail_fsync_after;
	int fail_fstat, fail_fstat_after, fail_fstatat, fail_unlinkat;
	bool no_flag;              /* the file system has no RENAME_NOREPLACE */
	bool clones;               /* it has reflinks */
	int clones_before_failing; /* 0: never fails */
	bool no_size;              /* the spool's file system */
	int64_t free_bytes;        /* there, if not 0 */
	int looks_for_room;
	void (*at_look_for_room)(void);
	int64_t min_free, most_bytes;
	void (*after_clone)(void);
} t;

static int once(int *errnum)
{
	if (!*errnum)
		return 0;
	errno = *errnum;
	*errnum = 0;
	return -1;
}

/* These stand before libc's: the program is linked statically with what it tests. */
int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned int flags)
{
	if (t.before_rename) {
		void (*hook)(void) = t.before_rename;

		t.before_rename = NULL;
		hook();
	}
	if (t.no_flag) {
		errno = EINVAL;
		return -1;
	}
	if (once(&t.fail_rename) < 0)
		return -1;
	return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	return once(&t.fail_write) < 0 ? -1 : syscall(SYS_write, fd, bytes, length);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset)
{
	return once(&t.fail_pread) < 0 ? -1 : syscall(SYS_pread64, fd, bytes, length, offset);
}

int fsync(int fd)
{
	if (t.fail_fsync && t.fail_fsync_after-- == 0)
		return once(&t.fail_fsync);
	return (int)syscall(SYS_fsync, fd);
}

int fstat(int fd, struct stat *ret_stat)
{
	if (t.fail_fstat && t.fail_fstat_after-- == 0)
		return once(&t.fail_fstat);
	return (int)syscall(SYS_fstat, fd, ret_stat);
}

int fstatat(int directory, const char *restrict name, struct stat *restrict ret_stat, int flags)
{
	return once(&t.fail_fstatat) < 0 ? -1 : (int)syscall(SYS_newfstatat, directory, name, ret_stat, flags);
}

int unlinkat(int directory, const char *name, int flags)
{
	return once(&t.fail_unlinkat) < 0 ? -1 : (int)syscall(SYS_unlinkat, directory, name, flags);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	char bytes[4096];
	ssize_t got;
	int from;

	if (t.clones_before_failing && t.clones_before_failing-- == 1)
		t.clones = false;
	if (!t.clones || request != FICLONE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	va_start(arguments, request);
	from = va_arg(arguments, int);
	va_end(arguments);
	for (off_t at = 0; (got = pread(from, bytes, sizeof(bytes), at)) > 0; at += got)
		assert_int_equal(pwrite(fd, bytes, (size_t)got, at), got);
	if (t.after_clone)
		t.after_clone();
	return 0;
}

int fstatvfs64(int fd, struct statvfs64 *ret_fs);
int fstatvfs64(int fd, struct statvfs64 *ret_fs)
{
	(void)fd;
	t.looks_for_room++;
	if (t.at_look_for_room)
		t.at_look_for_room();
	*ret_fs = (struct statvfs64){ .f_frsize = 1, .f_blocks = t.no_size ? 0 : 1u << 30, .f_bavail = 1u << 30 };
	if (t.free_bytes || t.no_size)
		ret_fs->f_bavail = (uint64_t)t.free_bytes;
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	snprintf(t.root, sizeof(t.root), "%s/spool-XXXXXX", "/tmp");
	assert_non_null(mkdtemp(t.root));
	snprintf(t.drop, sizeof(t.drop), "%s/drop", t.root);
	snprintf(t.spool, sizeof(t.spool), "%s/spool", t.root);
	snprintf(t.copy, sizeof(t.copy), "%s/spool/7", t.root);
	assert_int_equal(mkdir(t.drop, 0777) | mkdir(t.spool, 0777), 0);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void remove_all(const char *path)
{
	assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static int tear_down(void **state)
{
	(void)state;
	memset(&t.before_rename, 0, sizeof(t) - offsetof(__typeof__(t), before_rename));
	remove_all(t.root);
	return 0;
}

static char *in_drop(const char *name)
{
	static char path[2][512];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", t.drop, name);
	return path[turn];
}

static void put(const char *name, const char *bytes, size_t length)
{
	int fd = open(in_drop(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	assert_true(fd >= 0);
	assert_int_equal(syscall(SYS_write, fd, bytes, length), length);
	close(fd);
}

static void append(const char *name, const char *bytes)
{
	int fd = open(in_drop(name), O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(syscall(SYS_write, fd, bytes, strlen(bytes)), strlen(bytes));
	close(fd);
}

static bool there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void assert_content(const char *path, const char *bytes, size_t length)
{
	struct text content = { 0 };

	assert_true(file_read(path, 64 * 1024 * 1024, &content, NULL));
	assert_int_equal(content.length, length);
	assert_memory_equal(content.data, bytes, length);
	text_free(&content);
}

static bool start(const char *name, const char *taken_name, bool left_over, struct spool **ret_spool, enum spool_step *ret_step,
		  struct error *err)
{
	const struct spool_wish wish = {
		.directory = t.drop,
		.name = name,
		.taken_name = taken_name,
		.copy = t.copy,
		.left_over = left_over,
		.min_free = t.min_free,
		.most_bytes = t.most_bytes,
	};

	return spool_start(&wish, ret_spool, ret_step, err);
}

static struct spool *started(const char *name)
{
	struct spool *spool = NULL;
	struct error err = { 0 };
	enum spool_step step;
	char taken[512];

	snprintf(taken, sizeof(taken), ".trackbridge-%s", name);
	if (!start(name, taken, false, &spool, &step, &err))
		fail_msg("%s", err.text);
	assert_int_equal(step, SPOOL_MORE);
	return spool;
}

static void assert_not_started_as(const char *name, bool left_over, enum spool_step expected, const char *words)
{
	struct spool *spool = NULL;
	struct error err = { 0 };
	enum spool_step step = SPOOL_MORE;
	char taken[512];

	snprintf(taken, sizeof(taken), ".trackbridge-%s", name);
	assert_false(start(name, taken, left_over, &spool, &step, &err));
	assert_int_equal(step, expected);
	assert_null(spool);
	if (!strstr(err.text, words))
		fail_msg("%s", err.text);
	assert_false(there(t.copy));
}

static void assert_not_started(const char *name, enum spool_step expected, const char *words)
{
	assert_not_started_as(name, false, expected, words);
}

static enum spool_step copied(struct spool *spool, struct error *err)
{
	enum spool_step step;

	while ((step = spool_copy(spool, err)) == SPOOL_MORE)
		;
	return step;
}

static void assert_copy_fails(struct spool *spool, enum spool_step expected, const char *words)
{
	struct error err = { 0 };

	assert_int_equal(copied(spool, &err), expected);
	if (!strstr(err.text, words))
		fail_msg("%s", err.text);
	assert_false(there(t.copy));
	spool_drop(spool);
	assert_false(there(t.copy));
}

static void assert_hash(const uint8_t *hash, const char *bytes, size_t length)
{
	uint8_t expected[32];
	size_t n;

	assert_true(EVP_Q_digest(NULL, "SHA256", NULL, bytes, length, expected, &n));
	assert_memory_equal(hash, expected, 32);
}

static void assert_finished(struct spool *spool)
{
	bool gone = false;

	assert_true(spool_finish(spool, &gone, NULL));
	assert_true(gone);
}

static void assert_finish_fails(struct spool *spool, bool gone, const char *words)
{
	struct error err = { 0 };
	bool is_gone = !gone;

	assert_false(spool_finish(spool, &is_gone, &err));
	assert_int_equal(is_gone, gone);
	if (!strstr(err.text, words))
		fail_msg("%s", err.text);
}

static void take_and_check(const char *bytes, size_t length)
{
	struct spool *spool;
	const struct spool_file *file;
	struct stat st;

	put("x.csv", bytes, length);
	assert_int_equal(stat(in_drop("x.csv"), &st), 0);
	spool = started("x.csv");
	assert_false(there(in_drop("x.csv")));
	assert_true(there(in_drop(".trackbridge-x.csv")));
	assert_int_equal(copied(spool, NULL), SPOOL_COPIED);
	assert_content(t.copy, bytes, length);
	file = spool_file(spool);
	assert_string_equal(file->name, "x.csv");
	assert_int_equal(file->bytes, length);
	assert_int_equal(file->inode, st.st_ino);
	assert_int_equal(file->device, st.st_dev);
	assert_int_equal(file->mtime_ns, (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
	assert_hash(file->sha256, bytes, length);
	assert_true(there(in_drop(".trackbridge-x.csv")));
	assert_finished(spool);
	assert_false(there(in_drop(".trackbridge-x.csv")));
	assert_content(t.copy, bytes, length);
	assert_int_equal(stat(t.copy, &st), 0);
	assert_int_equal(st.st_mode & 0137, 0);
}

static void the_copy_is_identical_and_hashed_and_the_original_goes_last(void **state)
{
	(void)state;
	take_and_check("CARD;STATUS\n1;SHIPPED\n", 22);
}

static void an_empty_file_is_a_file(void **state)
{
	(void)state;
	take_and_check("", 0);
}

static void a_large_file_is_copied_in_slices(void **state)
{
	size_t length = 2 * SPOOL_SLICE + 12345;
	char *bytes = malloc(length);
	struct spool *spool;
	int slices = 1;

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)(i * 31 >> 3);
	put("x.csv", bytes, length);
	spool = started("x.csv");
	while (spool_copy(spool, NULL) == SPOOL_MORE)
		slices++;
	assert_int_equal(slices, 3);
	assert_content(t.copy, bytes, length);
	assert_hash(spool_file(spool)->sha256, bytes, length);
	spool_drop(spool);
	free(bytes);
}

static void clone_then_overwrite(void)
{
	append(".trackbridge-x.csv", "more");
}

static void a_clone_is_hashed_from_the_clone(void **state)
{
	(void)state;
	t.clones = true;
	take_and_check("reflinked", 9);
	t.after_clone = clone_then_overwrite;
	put("x.csv", "a", 1);
	assert_copy_fails(started("x.csv"), SPOOL_CHANGED, "x.csv changed while it was copied");
	assert_content(in_drop("x.csv"), "amore", 5);
}

static void a_file_that_changed_while_it_was_copied_gets_its_name_back(void **state)
{
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
	struct spool *spool;

	(void)state;
	put("x.csv", "one", 3);
	spool = started("x.csv");
	append(".trackbridge-x.csv", "two");
	assert_copy_fails(spool, SPOOL_CHANGED, "grew while it was copied");
	assert_content(in_drop("x.csv"), "onetwo", 6);

	spool = started("x.csv");
	assert_int_equal(truncate(in_drop(".trackbridge-x.csv"), 2), 0);
	assert_copy_fails(spool, SPOOL_CHANGED, "x.csv changed");

	spool = started("x.csv");
	assert_int_equal(utimensat(AT_FDCWD, in_drop(".trackbridge-x.csv"), times, 0), 0);
	assert_copy_fails(spool, SPOOL_CHANGED, "x.csv changed");
	assert_true(there(in_drop("x.csv")));
}

static void a_growing_file_does_not_fill_the_disk(void **state)
{
	struct spool *spool;

	(void)state;
	put("x.csv", "one", 3);
	spool = started("x.csv");
	assert_int_equal(truncate(in_drop(".trackbridge-x.csv"), (off_t)1 << 40), 0);
	assert_int_equal(spool_copy(spool, NULL), SPOOL_CHANGED);
	spool_drop(spool);
}

static void swap_for_another_file(void)
{
	put("other", "other", 5);
	assert_int_equal(rename(in_drop("other"), in_drop("x.csv")), 0);
}

static void swap_for_a_link(void)
{
	assert_int_equal(unlink(in_drop("x.csv")), 0);
	assert_int_equal(symlink("/etc/passwd", in_drop("x.csv")), 0);
}

static void swap_for_nothing(void)
{
	assert_int_equal(unlink(in_drop("x.csv")), 0);
}

static void a_file_swapped_before_the_rename_is_left_alone(void **state)
{
	(void)state;
	put("x.csv", "one", 3);
	t.before_rename = swap_for_another_file;
	assert_not_started("x.csv", SPOOL_UNFIT, "x.csv was replaced");
	assert_content(in_drop("x.csv"), "other", 5);
	t.before_rename = swap_for_a_link;
	assert_not_started("x.csv", SPOOL_UNFIT, "x.csv was replaced");
	assert_true(there(in_drop("x.csv")));
	unlink(in_drop("x.csv"));
	put("x.csv", "one", 3);
	t.before_rename = swap_for_nothing;
	assert_not_started("x.csv", SPOOL_UNFIT, "No such file");
}

static void a_file_swapped_after_the_copy_is_not_removed(void **state)
{
	struct spool *spool;

	(void)state;
	put("x.csv", "one", 3);
	spool = started("x.csv");
	assert_int_equal(copied(spool, NULL), SPOOL_COPIED);
	put("other", "other", 5);
	assert_int_equal(rename(in_drop("other"), in_drop(".trackbridge-x.csv")), 0);
	assert_finish_fails(spool, true, "another file");
	assert_content(in_drop(".trackbridge-x.csv"), "other", 5);
	assert_content(t.copy, "one", 3);
}

static void an_original_written_to_after_the_copy_is_taken_again(void **state)
{
	struct spool *spool;

	(void)state;
	put("x.csv", "one", 3);
	spool = started("x.csv");
	assert_int_equal(copied(spool, NULL), SPOOL_COPIED);
	append(".trackbridge-x.csv", "two");
	assert_finish_fails(spool, true, "loaded again");
	assert_content(in_drop("x.csv"), "onetwo", 6);
	assert_content(t.copy, "one", 3);
}

static void an_original_that_is_gone_is_finished(void **state)
{
	struct spool *spool;

	(void)state;
	put("x.csv", "one", 3);
	spool = started("x.csv");
	assert_int_equal(copied(spool, NULL), SPOOL_COPIED);
	unlink(in_drop(".trackbridge-x.csv"));
	assert_finished(spool);
}

static void what_is_no_file_is_left_alone_without_waiting(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	put("target", "target", 6);
	assert_int_equal(symlink("target", in_drop("link.csv")), 0);
	assert_not_started("link.csv", SPOOL_UNFIT, "link.csv is a link");
	assert_int_equal(mkfifo(in_drop("pipe.csv"), 0666), 0);
	assert_not_started("pipe.csv", SPOOL_UNFIT, "pipe.csv is not a file");
	assert_int_equal(mkdir(in_drop("folder.csv"), 0777), 0);
	assert_not_started("folder.csv", SPOOL_UNFIT, "folder.csv is not a file");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", in_drop("s.csv"));
	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_not_started("s.csv", SPOOL_UNFIT, "s.csv cannot be opened");
	close(server);
	assert_not_started("absent\n.csv", SPOOL_UNFIT, "absent\\x0A.csv cannot be opened: No such file");
	assert_true(there(in_drop("link.csv")) && there(in_drop("pipe.csv")) && there(in_drop("folder.csv")));
}

static void a_directory_that_is_gone_is_said(void **state)
{
	(void)state;
	assert_int_equal(rmdir(t.drop), 0);
	assert_not_started("x.csv", SPOOL_UNFIT, "its directory cannot be opened: No such file");
}

/* Rights bind nobody who is root. */
static void as_somebody(void)
{
	if (geteuid() == 0) {
		assert_int_equal(chmod(t.root, 0755) | chmod(t.spool, 0777), 0);
		assert_int_equal(seteuid(65534), 0);
	}
}

static void as_before(void)
{
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
}

static void an_unreadable_file_is_left_alone(void **state)
{
	(void)state;
	put("x.csv", "one", 3);
	assert_int_equal(chmod(in_drop("x.csv"), 0), 0);
	as_somebody();
	assert_not_started("x.csv", SPOOL_UNFIT, "x.csv cannot be opened: Permission denied");
	as_before();
	assert_true(there(in_drop("x.csv")));
}

static void a_file_that_cannot_be_renamed_is_left_alone(void **state)
{
	(void)state;
	put("x.csv", "one", 3);
	assert_int_equal(chmod(t.drop, 0555), 0);
	as_somebody();
	assert_not_started("x.csv", SPOOL_UNFIT, "x.csv cannot be renamed in its directory: Permission denied");
	as_before();
	assert_int_equal(chmod(t.drop, 0777), 0);
	assert_content(in_drop("x.csv"), "one", 3);
}

static void an_occupied_taken_name_is_not_overwritten(void **state)
{
	(void)state;
	for (int flag = 0; flag < 2; flag++) {
		t.no_flag = flag;
		put("x.csv", "one", 3);
		put(".trackbridge-x.csv", "other", 5);
		assert_not_started("x.csv", SPOOL_UNFIT, "an earlier file is still there");
		assert_content(in_drop(".trackbridge-x.csv"), "other", 5);
		assert_content(in_drop("x.csv"), "one", 3);
	}
}

static void a_file_system_without_the_flag_will_do(void **state)
{
	(void)state;
	t.no_flag = true;
	take_and_check("nfs", 3);
}

static void trouble_that_may_pass_is_not_the_file_s_fault(void **state)
{
	static const int errors[] = { EROFS, EIO, EINTR, ENOSPC, EDQUOT, EBUSY };

	(void)state;
	put("x.csv", "one", 3);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		t.fail_rename = errors[i];
		assert_not_started("x.csv", SPOOL_STUCK, strerror(errors[i]));
		assert_content(in_drop("x.csv"), "one", 3);
	}
	t.fail_rename = ENOMEM;
	assert_not_started("x.csv", SPOOL_FAILED, "Cannot allocate memory");
	assert_int_equal(rmdir(t.spool), 0);
	assert_not_started("x.csv", SPOOL_FAILED, "cannot be copied into the spool");
	assert_content(in_drop("x.csv"), "one", 3);
}

static void a_failure_of_ours_gives_the_name_back(void **state)
{
	(void)state;
	put("x.csv", "one", 3);
	t.fail_write = EIO;
	assert_copy_fails(started("x.csv"), SPOOL_FAILED, "cannot be copied into the spool");
	t.fail_write = ENOSPC;
	assert_copy_fails(started("x.csv"), SPOOL_FULL, "No space left");
	t.fail_write = EDQUOT;
	assert_copy_fails(started("x.csv"), SPOOL_FULL, "quota");
	t.fail_pread = EIO;
	assert_copy_fails(started("x.csv"), SPOOL_STUCK, "cannot be read");
	t.fail_fsync = EIO;
	assert_copy_fails(started("x.csv"), SPOOL_FAILED, "cannot be synced");
	assert_content(in_drop("x.csv"), "one", 3);
	t.fail_pread = t.fail_write = EINTR;
	take_and_check("one", 3);
}

static void a_look_that_fails_gives_the_name_back(void **state)
{
	struct spool *spool;

	(void)state;
	put("x.csv", "one", 3);
	for (int which = 0; which < 2; which++) {
		t.fail_fstat = EIO;
		t.fail_fstat_after = which;
		assert_not_started("x.csv", SPOOL_STUCK, "cannot be looked at");
	}
	t.fail_fstatat = EIO;
	assert_not_started("x.csv", SPOOL_STUCK, "cannot be looked at");
	spool = started("x.csv");
	t.fail_fstat = EIO;
	t.fail_fstat_after = 0;
	assert_copy_fails(spool, SPOOL_STUCK, "cannot be looked at");
	assert_content(in_drop("x.csv"), "one", 3);
}

static void a_file_that_is_open_for_writing_is_left_alone(void **state)
{
	int writer;

	(void)state;
	put("x.csv", "one", 3);
	put(".trackbridge-y.csv", "one", 3);
	writer = open(in_drop("x.csv"), O_WRONLY | O_CLOEXEC);
	assert_not_started("x.csv", SPOOL_BUSY, "x.csv is still open for writing");
	assert_content(in_drop("x.csv"), "one", 3);
	assert_false(there(in_drop(".trackbridge-x.csv")));
	close(writer);
	writer = open(in_drop(".trackbridge-y.csv"), O_WRONLY | O_CLOEXEC);
	assert_not_started_as("y.csv", true, SPOOL_BUSY, "y.csv is still open for writing");
	close(writer);
	spool_drop(started("x.csv"));
}

static void a_file_that_was_opened_for_writing_while_it_was_copied_gets_its_name_back(void **state)
{
	struct spool *spool;
	int writer;

	(void)state;
	put("x.csv", "one", 3);
	spool = started("x.csv");
	writer = open(in_drop(".trackbridge-x.csv"), O_WRONLY | O_CLOEXEC);
	assert_copy_fails(spool, SPOOL_CHANGED, "opened for writing");
	close(writer);
	assert_content(in_drop("x.csv"), "one", 3);
}

/* As a file server has one for a client that writes. */
static void a_file_with_a_write_lease_is_left_alone(void **state)
{
	int holder;

	(void)state;
	put("x.csv", "one", 3);
	holder = open(in_drop("x.csv"), O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(holder, F_SETSIG, SIGURG), 0);
	assert_int_equal(fcntl(holder, F_SETLEASE, F_WRLCK), 0);
	assert_not_started("x.csv", SPOOL_BUSY, "x.csv is in use by another process");
	assert_int_equal(fcntl(holder, F_SETLEASE, F_UNLCK), 0);
	close(holder);
	spool_drop(started("x.csv"));
}

static void a_file_larger_than_the_most_is_left_alone(void **state)
{
	(void)state;
	put("x.csv", "four", 4);
	t.most_bytes = 3;
	assert_not_started("x.csv", SPOOL_UNFIT, "x.csv has 4 bytes, more than the 3 that max_file_bytes");
	assert_content(in_drop("x.csv"), "four", 4);
	put("y.csv", "", 0);
	assert_int_equal(truncate(in_drop("y.csv"), INT64_C(1) << 40), 0); /* a sparse one */
	t.most_bytes = INT64_C(4) << 30;
	assert_not_started("y.csv", SPOOL_UNFIT, "y.csv has 1099511627776 bytes");
	t.most_bytes = 4;
	take_and_check("four", 4);
}

static void a_file_that_would_leave_too_little_room_is_not_begun(void **state)
{
	(void)state;
	put("x.csv", "four", 4);
	t.min_free = 1000;
	t.free_bytes = 1003;
	assert_not_started("x.csv", SPOOL_FULL,
			   "x.csv (4 bytes) has no room in the spool: 1003 bytes are free there, and 1000 must stay so");
	assert_content(in_drop("x.csv"), "four", 4);
	t.free_bytes = 10;
	assert_not_started("x.csv", SPOOL_FULL, "10 bytes are free");
	t.free_bytes = 1004;
	take_and_check("four", 4);
	t.min_free = INT64_MAX;
	put("x.csv", "", 0);
	assert_not_started("x.csv", SPOOL_FULL, "no room");
}

static void a_file_system_without_a_size_has_room(void **state)
{
	(void)state;
	t.min_free = 1000;
	t.no_size = true;
	take_and_check("four", 4);
}

static void a_clone_needs_no_room_but_min_free(void **state)
{
	(void)state;
	put("x.csv", "four", 4);
	t.clones = true;
	t.min_free = 1000;
	t.free_bytes = 999;
	assert_not_started("x.csv", SPOOL_FULL, "no room");
	t.free_bytes = 1000;
	take_and_check("four", 4);
}

static void a_clone_that_was_possible_and_then_is_not_leaves_nothing_behind(void **state)
{
	struct spool *spool;

	(void)state;
	put("x.csv", "four", 4);
	t.clones = true;
	t.clones_before_failing = 2;
	t.min_free = 1000;
	t.free_bytes = 1000;
	spool = started("x.csv");
	assert_content(t.copy, "", 0);
	assert_int_equal(copied(spool, NULL), SPOOL_COPIED);
	assert_content(t.copy, "four", 4);
	assert_finished(spool);
}

static void fill_up(void)
{
	if (t.looks_for_room == 2)
		t.free_bytes = t.min_free - 1;
}

static void room_that_others_take_meanwhile_ends_the_copy(void **state)
{
	size_t length = 3 * (size_t)SPOOL_SLICE;
	char *bytes = calloc(1, length);
	struct spool *spool;
	struct error err = { 0 };

	(void)state;
	put("x.csv", bytes, length);
	t.min_free = 1000;
	t.at_look_for_room = fill_up;
	spool = started("x.csv");
	assert_int_equal(spool_copy(spool, &err), SPOOL_FULL);
	assert_non_null(strstr(err.text, "999 bytes are free"));
	assert_false(there(t.copy));
	assert_true(there(in_drop("x.csv")));
	spool_drop(spool);
	assert_content(in_drop("x.csv"), bytes, length);
	free(bytes);
}

static void a_name_of_escapes_leaves_room_for_the_reason(void **state)
{
	char name[256];

	(void)state;
	memset(name, 1, 255);
	name[255] = '\0';
	assert_not_started_as("\001\xff\n", false, SPOOL_UNFIT, "\\x01\\xFF\\x0A cannot be opened: No such file");
	{
		struct spool *spool;
		enum spool_step step;
		struct error err;

		assert_false(start(name, ".trackbridge-a", false, &spool, &step, &err));
		assert_non_null(strstr(err.text, "\\x01... cannot be opened: No such file"));
	}
}

static void an_original_that_cannot_be_removed_is_said(void **state)
{
	(void)state;
	for (int look = 0; look < 2; look++) {
		struct spool *spool;

		put("x.csv", "one", 3);
		spool = started("x.csv");
		assert_int_equal(copied(spool, NULL), SPOOL_COPIED);
		*(look ? &t.fail_fstatat : &t.fail_unlinkat) = EIO;
		assert_finish_fails(spool, false, "was loaded and then cannot be");
		assert_content(in_drop(".trackbridge-x.csv"), "one", 3);
		unlink(in_drop(".trackbridge-x.csv"));
	}
}

static void a_copy_may_be_given_another_name(void **state)
{
	struct spool *spool;
	struct error err;
	char other[96], kept[96];

	(void)state;
	snprintf(other, sizeof(other), "%s/8", t.spool);
	memcpy(kept, t.copy, sizeof(kept));
	put("x.csv", "one", 3);
	spool = started("x.csv");
	assert_int_equal(copied(spool, NULL), SPOOL_COPIED);
	assert_true(spool_move(spool, other, &err));
	assert_content(other, "one", 3);
	assert_false(there(t.copy));
	assert_true(spool_move(spool, other, &err));
	/* The name is there; only whether it stays is not known. */
	t.fail_fsync = EIO;
	t.fail_fsync_after = 0;
	assert_false(spool_move(spool, t.copy, &err));
	assert_non_null(strstr(err.text, "cannot be synced"));
	assert_true(spool_move(spool, other, &err));
	assert_false(spool_move(spool, t.drop, &err));
	assert_non_null(strstr(err.text, "cannot be renamed to"));
	spool_drop(spool);
	assert_false(there(other) || there(kept));
	assert_content(in_drop("x.csv"), "one", 3);
}

static void a_dropped_file_gets_its_name_back_if_it_is_free(void **state)
{
	struct spool *spool;

	(void)state;
	spool_drop(NULL);
	put("x.csv", "one", 3);
	spool = started("x.csv");
	assert_int_equal(copied(spool, NULL), SPOOL_COPIED);
	spool_drop(spool);
	assert_content(in_drop("x.csv"), "one", 3);
	assert_false(there(t.copy));
	assert_false(there(in_drop(".trackbridge-x.csv")));

	spool = started("x.csv");
	put("x.csv", "new", 3);
	spool_drop(spool);
	assert_content(in_drop("x.csv"), "new", 3);
	assert_content(in_drop(".trackbridge-x.csv"), "one", 3);
}

static void a_left_over_is_taken_as_it_is(void **state)
{
	struct spool *spool;
	enum spool_step step;

	(void)state;
	put(".trackbridge-x.csv", "old", 3);
	put("x.csv", "new", 3);
	assert_true(start("x.csv", ".trackbridge-x.csv", true, &spool, &step, NULL));
	assert_int_equal(copied(spool, NULL), SPOOL_COPIED);
	assert_string_equal(spool_file(spool)->name, "x.csv");
	assert_content(t.copy, "old", 3);
	assert_finished(spool);
	assert_false(there(in_drop(".trackbridge-x.csv")));
	assert_content(in_drop("x.csv"), "new", 3);
}

static void what_is_being_taken_is_no_left_over(void **state)
{
	struct spool *spool;
	char kept[96];
	int writer;

	(void)state;
	put("x.csv", "one", 3);
	spool = started("x.csv");
	memcpy(kept, t.copy, sizeof(kept));
	snprintf(t.copy, sizeof(t.copy), "%s/8", t.spool);
	assert_not_started_as("x.csv", true, SPOOL_UNFIT, "already being taken");
	assert_true(there(in_drop(".trackbridge-x.csv")));
	memcpy(t.copy, kept, sizeof(kept));
	assert_int_equal(copied(spool, NULL), SPOOL_COPIED);
	assert_finished(spool);

	/* A lock of the writer is nothing to a new file. */
	put("x.csv", "one", 3);
	writer = open(in_drop("x.csv"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(writer, LOCK_EX), 0);
	spool_drop(started("x.csv"));
	close(writer);
}

static void a_long_name_is_taken(void **state)
{
	char name[256], *taken;
	struct spool *spool;
	enum spool_step step;

	(void)state;
	memset(name, 'a', 255);
	memcpy(name + 251, ".csv", 5);
	taken = spool_taken_name(name);
	put(name, "one", 3);
	assert_true(start(name, taken, false, &spool, &step, NULL));
	assert_int_equal(copied(spool, NULL), SPOOL_COPIED);
	assert_string_equal(spool_file(spool)->name, name);
	assert_true(there(in_drop(taken)));
	spool_drop(spool);
	assert_true(there(in_drop(name)));
	free(taken);
}

static void the_spool_may_be_on_another_file_system(void **state)
{
	char folder[] = "/dev/shm/spool-XXXXXX";
	char kept[96];

	(void)state;
	if (!mkdtemp(folder)) {
		print_message("/dev/shm cannot be written to\n");
		skip();
	}
	memcpy(kept, t.copy, sizeof(kept));
	snprintf(t.copy, sizeof(t.copy), "%s/7", folder);
	take_and_check("elsewhere", 9);
	remove_all(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_copy_is_identical_and_hashed_and_the_original_goes_last),
		TEST(an_empty_file_is_a_file),
		TEST(a_large_file_is_copied_in_slices),
		TEST(a_clone_is_hashed_from_the_clone),
		TEST(a_file_that_changed_while_it_was_copied_gets_its_name_back),
		TEST(a_growing_file_does_not_fill_the_disk),
		TEST(a_file_swapped_before_the_rename_is_left_alone),
		TEST(a_file_swapped_after_the_copy_is_not_removed),
		TEST(an_original_written_to_after_the_copy_is_taken_again),
		TEST(an_original_that_is_gone_is_finished),
		TEST(what_is_no_file_is_left_alone_without_waiting),
		TEST(a_directory_that_is_gone_is_said),
		TEST(an_unreadable_file_is_left_alone),
		TEST(a_file_that_cannot_be_renamed_is_left_alone),
		TEST(an_occupied_taken_name_is_not_overwritten),
		TEST(a_file_system_without_the_flag_will_do),
		TEST(trouble_that_may_pass_is_not_the_file_s_fault),
		TEST(a_failure_of_ours_gives_the_name_back),
		TEST(a_look_that_fails_gives_the_name_back),
		TEST(an_original_that_cannot_be_removed_is_said),
		TEST(a_file_that_is_open_for_writing_is_left_alone),
		TEST(a_file_that_was_opened_for_writing_while_it_was_copied_gets_its_name_back),
		TEST(a_file_with_a_write_lease_is_left_alone),
		TEST(a_file_larger_than_the_most_is_left_alone),
		TEST(a_file_that_would_leave_too_little_room_is_not_begun),
		TEST(a_file_system_without_a_size_has_room),
		TEST(a_clone_needs_no_room_but_min_free),
		TEST(a_clone_that_was_possible_and_then_is_not_leaves_nothing_behind),
		TEST(room_that_others_take_meanwhile_ends_the_copy),
		TEST(a_name_of_escapes_leaves_room_for_the_reason),
		TEST(a_copy_may_be_given_another_name),
		TEST(a_dropped_file_gets_its_name_back_if_it_is_free),
		TEST(a_left_over_is_taken_as_it_is),
		TEST(what_is_being_taken_is_no_left_over),
		TEST(a_long_name_is_taken),
		TEST(the_spool_may_be_on_another_file_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
