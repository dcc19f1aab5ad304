#include "fixture.h"

#include <sys/stat.h>

/* A reader in the middle of a read transaction, as one that stands still in a pager. */
static sqlite3 *stuck_reader(struct fixture *f)
{
	sqlite3 *reader;

	assert_int_equal(sqlite3_open_v2(f->path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM row", NULL, NULL, NULL), SQLITE_OK);
	return reader;
}

static int64_t wal_size(const struct fixture *f)
{
	struct stat st;
	char path[100];

	snprintf(path, sizeof(path), "%s-wal", f->path);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void work(struct fixture *f, int turns)
{
	for (int i = 0; i < turns; i++) {
		load(f, "a b c");
		claim(f, 0, 3);
		answer_all(f, &accepted);
	}
}

/* Small enough for a test. */
static void set_up(struct fixture *f)
{
	f->queue->db.checkpoint_pages = 20;
	fixture_exec(f, "PRAGMA journal_size_limit=200000");
}

static void without_a_reader_the_wal_stays_small_and_nothing_is_stuck(void **state)
{
	struct fixture *f = *state;

	set_up(f);
	work(f, 100);
	assert_int_equal(queue_wal_stuck_since(f->queue), 0);
	assert_true(queue_wal_bytes(f->queue) > 0 && queue_wal_bytes(f->queue) < 80 * 4096);
	assert_true(wal_size(f) < 80 * 4096);
}

static void a_reader_that_never_ends_is_noticed_and_does_not_stop_the_work(void **state)
{
	struct fixture *f = *state;
	sqlite3 *reader;
	int64_t since;

	set_up(f);
	work(f, 1);
	reader = stuck_reader(f);
	work(f, 100);
	since = queue_wal_stuck_since(f->queue);
	assert_true(since > 0);
	assert_true(queue_wal_bytes(f->queue) > 80 * 4096);
	assert_true(wal_size(f) >= queue_wal_bytes(f->queue));
	work(f, 5);
	assert_int_equal(queue_wal_stuck_since(f->queue), since);
	sqlite3_close(reader);
}

static void a_busy_queue_shrinks_its_wal_when_the_reader_has_gone(void **state)
{
	struct fixture *f = *state;
	sqlite3 *reader;

	set_up(f);
	reader = stuck_reader(f);
	work(f, 200);
	assert_true(wal_size(f) > 1000000);
	sqlite3_close(reader);
	work(f, 3);
	assert_int_equal(queue_wal_stuck_since(f->queue), 0);
	assert_true(wal_size(f) <= 200000);
	assert_true(queue_wal_bytes(f->queue) <= 200000);
}

static void an_idle_queue_empties_its_wal_when_the_reader_has_gone_and_does_not_wait_for_it(void **state)
{
	struct fixture *f = *state;
	sqlite3 *reader;
	int64_t before;

	set_up(f);
	reader = stuck_reader(f);
	work(f, 100);
	before = wal_size(f);
	queue_wal_shrink(f->queue, f->now);
	assert_true(queue_wal_stuck_since(f->queue) > 0);
	assert_int_equal(wal_size(f), before);
	sqlite3_close(reader);
	queue_wal_shrink(f->queue, f->now + 1); /* not before some time has passed */
	assert_int_equal(wal_size(f), before);
	queue_wal_shrink(f->queue, f->now + 60000);
	assert_int_equal(wal_size(f), 0);
	assert_int_equal(queue_wal_bytes(f->queue), 0);
	assert_int_equal(queue_wal_stuck_since(f->queue), 0);
	work(f, 2);
}

static void a_wal_of_common_size_is_left_alone(void **state)
{
	struct fixture *f = *state;
	int64_t before;

	work(f, 1);
	before = wal_size(f);
	queue_wal_shrink(f->queue, f->now);
	assert_int_equal(wal_size(f), before);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(without_a_reader_the_wal_stays_small_and_nothing_is_stuck),
		T(a_reader_that_never_ends_is_noticed_and_does_not_stop_the_work),
		T(a_busy_queue_shrinks_its_wal_when_the_reader_has_gone),
		T(an_idle_queue_empties_its_wal_when_the_reader_has_gone_and_does_not_wait_for_it),
		T(a_wal_of_common_size_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
