#include "report/shred.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const int64_t DAY = INT64_C(24) * 3600 * 1000;

/* 2026-11-22T10:00:00Z; so the last day that is past with 35 days is 2026-10-17. */
static const int64_t NOW = INT64_C(1795341600000);

struct fixture {
	char folder[64];
	struct config config;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	snprintf(f->folder, sizeof(f->folder), "/tmp/trackbridge-shred-XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	f->config.state_dir = f->folder;
	f->config.retention.archive_ms = 35 * DAY;
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static const char *path_of(const struct fixture *f, const char *name)
{
	static char paths[2][200];
	static int turn;
	char *path = paths[turn++ % 2];

	snprintf(path, sizeof(paths[0]), "%s/archive/%s", f->folder, name);
	return path;
}

static bool is_there(const struct fixture *f, const char *name)
{
	struct stat st;

	return lstat(path_of(f, name), &st) == 0;
}

static void written_at(const struct fixture *f, const char *name, int64_t wall_ms)
{
	struct timespec times[2] = { { .tv_sec = wall_ms / 1000 }, { .tv_sec = wall_ms / 1000 } };

	assert_int_equal(utimensat(AT_FDCWD, path_of(f, name), times, AT_SYMLINK_NOFOLLOW), 0);
}

static void put(const struct fixture *f, const char *folder, const char *name, int64_t wall_ms)
{
	struct error err;
	char file[100];

	if (!file_make_directories(path_of(f, folder), 0750, &err))
		fail_msg("%s", err.text);
	snprintf(file, sizeof(file), "%s/%s", folder, name);
	assert_int_equal(close(open(path_of(f, file), O_CREAT | O_WRONLY, 0640)), 0);
	written_at(f, file, wall_ms);
}

/* A whole round in slices of two files. */
static int64_t shred_all(const struct fixture *f, int *ret_failures)
{
	struct shred *shred = shred_new(&f->config, NOW);
	int64_t removed;
	bool done = false;
	struct error err;

	*ret_failures = 0;
	for (int n = 0; !done; n++) {
		int64_t before = shred_removed(shred);

		assert_true(n < 1000);
		*ret_failures += !shred_slice(shred, 2, &done, &err);
		assert_true(shred_removed(shred) - before <= 2);
	}
	removed = shred_removed(shred);
	shred_free(shred);
	return removed;
}

static void files_of_days_that_are_past_go_with_their_folders(void **state)
{
	struct fixture *f = *state;
	int failures;

	for (int i = 0; i < 5; i++) {
		char name[20];

		snprintf(name, sizeof(name), "%d-a.csv", i);
		put(f, "2025/01/31", name, NOW - 600 * DAY);
		put(f, "2026/10/17", name, NOW - 36 * DAY);
		put(f, "2026/10/18", name, NOW - 35 * DAY - 3600000);
		put(f, "2026/11/22", name, NOW);
	}
	assert_int_equal(shred_all(f, &failures), 10);
	assert_int_equal(failures, 0);
	assert_false(is_there(f, "2025") || is_there(f, "2026/10/17"));
	assert_true(is_there(f, "2026/10/18/4-a.csv") && is_there(f, "2026/11/22/4-a.csv"));
	assert_int_equal(shred_all(f, &failures), 0);
}

static void a_receipt_that_was_written_lately_stays_in_its_old_day(void **state)
{
	struct fixture *f = *state;
	int failures;

	put(f, "2026/09/01", "3-a.csv", NOW - 80 * DAY);
	put(f, "2026/09/01", "a.3.receipt.csv", NOW - DAY);
	assert_int_equal(shred_all(f, &failures), 1);
	assert_true(is_there(f, "2026/09/01/a.3.receipt.csv"));
	assert_int_equal(failures, 0);
}

static void links_and_what_is_not_ours_are_left_alone(void **state)
{
	struct fixture *f = *state;
	int failures;

	put(f, "../elsewhere/01/01", "1-a.csv", 0);
	put(f, "2025/02/01", "1-a.csv", 0);
	put(f, "2025/02/02/inside", "1-a.csv", 0);
	put(f, "old/02/02", "1-a.csv", 0);
	put(f, "2025/x2/02", "1-a.csv", 0);
	put(f, "2025/02", "1-a.csv", 0);
	assert_int_equal(symlink("../elsewhere", path_of(f, "2024")), 0);
	assert_int_equal(symlink("../../elsewhere/01", path_of(f, "2025/01")), 0);
	assert_int_equal(symlink("../../../elsewhere/01/01", path_of(f, "2025/02/03")), 0);
	assert_int_equal(symlink("../../../../elsewhere/01/01/1-a.csv", path_of(f, "2025/02/01/link.csv")), 0);
	written_at(f, "2025/02/01/link.csv", 0);
	assert_int_equal(shred_all(f, &failures), 1);
	assert_int_equal(failures, 0);
	assert_true(is_there(f, "../elsewhere/01/01/1-a.csv"));
	assert_true(is_there(f, "2025/02/01/link.csv") && is_there(f, "2025/02/02/inside/1-a.csv") && is_there(f, "old/02/02/1-a.csv"));
	assert_true(is_there(f, "2025/x2/02/1-a.csv") && is_there(f, "2025/02/1-a.csv"));
	assert_false(is_there(f, "2025/02/01/1-a.csv"));
}

static void what_cannot_be_removed_is_told_and_the_next_day_is_looked_at(void **state)
{
	struct fixture *f = *state;
	int failures;

	if (geteuid() == 0)
		skip(); /* who may do everything */
	put(f, "2025/02/01", "1-a.csv", 0);
	put(f, "2025/02/02", "2-a.csv", 0);
	assert_int_equal(chmod(path_of(f, "2025/02/01"), 0550), 0);
	assert_int_equal(shred_all(f, &failures), 1);
	assert_int_equal(failures, 1);
	assert_int_equal(chmod(path_of(f, "2025/02/01"), 0750), 0);
}

static void without_an_archive_there_is_nothing_to_do(void **state)
{
	struct fixture *f = *state;
	int failures;

	assert_int_equal(shred_all(f, &failures), 0);
	assert_int_equal(failures, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(files_of_days_that_are_past_go_with_their_folders), T(a_receipt_that_was_written_lately_stays_in_its_old_day),
		T(links_and_what_is_not_ours_are_left_alone),         T(what_cannot_be_removed_is_told_and_the_next_day_is_looked_at),
		T(without_an_archive_there_is_nothing_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
