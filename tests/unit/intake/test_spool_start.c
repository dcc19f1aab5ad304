#include "intake/spool.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { ROUNDS = 4000, SLOTS = 6 };

static char root[64];
static int drop = -1;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "%s/swap-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(root));
	drop = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(drop, "drop", 0777) | mkdirat(drop, "spool", 0777), 0);
	close(drop);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *below(const char *name)
{
	static char path[2][256];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", root, name);
	return path[turn];
}

/* A file whose content says which inode it is. Outside of the drop directory first. */
static bool make_file(const char *name)
{
	int fd = open(below("new"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || dprintf(fd, "inode %" PRIu64 "\n", (uint64_t)st.st_ino) < 0)
		return false;
	close(fd);
	return renameat2(AT_FDCWD, below("new"), AT_FDCWD, below(name), RENAME_NOREPLACE) == 0 || unlink(below("new")) == 0;
}

/* Swaps x.csv for something else as fast as it can. Slots hold files, a link, a pipe and a directory; a free slot gets a new file. */
static void swap_for_ever(void)
{
	for (unsigned int i = 0;; i++) {
		char slot[32];

		snprintf(slot, sizeof(slot), "drop/o%u", i * 7 % SLOTS);
		if (renameat2(AT_FDCWD, below(slot), AT_FDCWD, below("drop/x.csv"), RENAME_EXCHANGE) == 0)
			continue;
		if (renameat2(AT_FDCWD, below(slot), AT_FDCWD, below("drop/x.csv"), RENAME_NOREPLACE) < 0 && errno == ENOENT &&
		    !make_file(slot))
			_exit(1);
	}
}

/* What was renamed and could not be given its name back would end the game. */
static void put_back(void)
{
	char slot[32];

	for (int i = 0; i < SLOTS + ROUNDS; i++) {
		snprintf(slot, sizeof(slot), "drop/o%d", i);
		if (renameat2(AT_FDCWD, below("drop/.trackbridge-x.csv"), AT_FDCWD, below(slot), RENAME_NOREPLACE) == 0 || errno == ENOENT)
			return;
	}
}

static void count(int ret_kinds[static 4])
{
	DIR *directory = opendir(below("drop"));
	const struct dirent *entry;
	struct stat st;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		assert_int_equal(fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		ret_kinds[S_ISLNK(st.st_mode) ? 0 : S_ISFIFO(st.st_mode) ? 1 : S_ISDIR(st.st_mode) ? 2 : 3]++;
	}
	closedir(directory);
}

/* One try; gives whether a file was taken. */
static bool take_one(enum spool_step *ret_step)
{
	const struct spool_wish wish = {
		.directory = below("drop"), .name = "x.csv", .taken_name = ".trackbridge-x.csv", .copy = below("spool/1")
	};
	struct text content = { 0 };
	struct spool *spool;
	struct error err;
	char expected[64];
	bool gone;

	if (!spool_start(&wish, &spool, ret_step, &err))
		return false;
	*ret_step = spool_copy(spool, &err);
	if (*ret_step != SPOOL_COPIED) {
		spool_drop(spool);
		return false;
	}
	snprintf(expected, sizeof(expected), "inode %" PRIu64 "\n", spool_file(spool)->inode);
	assert_true(file_read(below("spool/1"), 1024, &content, NULL));
	assert_string_equal(content.data, expected);
	text_free(&content);
	/* What was copied is what bears the taken name: the game is played under the other names alone. */
	assert_true(spool_finish(spool, &gone, &err));
	return true;
}

static void only_bytes_of_the_file_that_was_opened_are_taken_whatever_is_swapped(void **state)
{
	int kinds[4] = { 0 }, steps[SPOOL_FAILED + 1] = { 0 }, taken = 0;
	pid_t child;

	(void)state;
	assert_int_equal(symlink("../secret", below("drop/o0")), 0);
	assert_int_equal(mkfifo(below("drop/o1"), 0666), 0);
	assert_int_equal(mkdir(below("drop/o2"), 0777), 0);
	close(open(below("secret"), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* Not longer than this test, however that ends. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		swap_for_ever();
	}
	for (int i = 0; i < ROUNDS; i++) {
		enum spool_step step;

		taken += take_one(&step);
		steps[step]++;
		put_back();
	}
	assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	count(kinds);
	assert_memory_equal(kinds, ((int[]){ 1, 1, 1 }), 3 * sizeof(int));
	assert_true(access(below("secret"), F_OK) == 0);
	print_message("%d taken of %d tries; %d changed, %d unfit, %d stuck, %d failed\n", taken, ROUNDS, steps[SPOOL_CHANGED],
		      steps[SPOOL_UNFIT], steps[SPOOL_STUCK], steps[SPOOL_FAILED]);
	assert_int_equal(steps[SPOOL_STUCK] + steps[SPOOL_FAILED] + steps[SPOOL_FULL] + steps[SPOOL_BUSY], 0);
	assert_true(taken > 0);
	assert_true(steps[SPOOL_UNFIT] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_bytes_of_the_file_that_was_opened_are_taken_whatever_is_swapped, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
