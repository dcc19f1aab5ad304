#include "fixture.h"

#include "queue/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t TAKEN = INT64_C(1800000000123);

static const char *beside(const struct fixture *f, const char *name)
{
	static char paths[4][120];
	static int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", f->folder, name);
	return path;
}

static bool is_there(const struct fixture *f, const char *name)
{
	struct stat st;

	return lstat(beside(f, name), &st) == 0;
}

static bool try_backup(struct fixture *f, const char *name, struct error *err)
{
	struct queue_backup *backup;
	int64_t left = 1;
	bool good;

	if (!queue_backup_begin(f->path, beside(f, name), TAKEN, &backup, err))
		return false;
	while ((good = queue_backup_step(backup, 5, &left, err)) && left)
		continue;
	good = good && queue_backup_finish(backup, err);
	queue_backup_free(backup);
	return good;
}

static void back_up(struct fixture *f, const char *name)
{
	struct error err;

	if (!try_backup(f, name, &err))
		fail_msg("%s", err.text);
}

/* The disk is lost, and the copy takes the database's place; nothing is bound yet. */
static void put_in_place(struct fixture *f, const char *name)
{
	static const char *const old[] = { "queue.db", "queue.db-wal", "queue.db-shm" };

	queue_close(f->queue);
	f->queue = NULL;
	for (size_t i = 0; i < 3; i++)
		unlink(beside(f, old[i]));
	assert_int_equal(rename(beside(f, name), f->path), 0);
}

static void a_copy_is_one_file_that_the_group_may_read_and_it_is_marked(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	sqlite3 *copy;
	sqlite3_stmt *statement;

	load(f, "a b c");
	back_up(f, "copy.db");
	assert_int_equal(stat(beside(f, "copy.db"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_false(is_there(f, "copy.db.part") || is_there(f, "copy.db.part-wal") || is_there(f, "copy.db-wal"));
	/* Nothing has to be made beside it to read it. */
	assert_int_equal(sqlite3_open_v2(beside(f, "copy.db"), &copy, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(copy, "SELECT copied_at, copied_from, (SELECT count(*) FROM status) FROM keeping", -1, &statement, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int64(statement, 0), TAKEN);
	assert_string_equal(db_text(statement, 1), f->path);
	assert_int_equal(sqlite3_column_int(statement, 2), 3);
	sqlite3_finalize(statement);
	sqlite3_close(copy);
	assert_false(is_there(f, "copy.db-wal") || is_there(f, "copy.db-journal"));
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM keeping WHERE copied_at IS NULL"), 1);
}

static void a_file_that_exists_is_not_written_over(void **state)
{
	struct fixture *f = *state;
	struct error err;
	struct stat st;

	assert_int_equal(close(creat(beside(f, "copy.db"), 0600)), 0);
	assert_int_equal(symlink("/nowhere", beside(f, "link.db")), 0);
	assert_int_equal(close(creat(beside(f, "other.db.part"), 0600)), 0);
	assert_false(try_backup(f, "copy.db", &err));
	assert_non_null(strstr(err.text, "exists already"));
	assert_false(try_backup(f, "link.db", &err));
	assert_non_null(strstr(err.text, "exists already"));
	assert_false(try_backup(f, "other.db", &err));
	assert_non_null(strstr(err.text, "another backup is running, or one broke off"));
	assert_true(is_there(f, "other.db.part"));
	assert_int_equal(stat(beside(f, "copy.db"), &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_false(try_backup(f, "no/such/folder.db", &err));
	assert_int_equal(err.code, ERROR_NO_INPUT);
}

static void a_file_that_came_meanwhile_is_not_written_over_either(void **state)
{
	struct fixture *f = *state;
	struct queue_backup *backup;
	struct error err;
	struct stat st;
	int64_t left;

	assert_true(queue_backup_begin(f->path, beside(f, "copy.db"), TAKEN, &backup, &err));
	assert_true(queue_backup_step(backup, 100000, &left, &err));
	assert_int_equal(close(creat(beside(f, "copy.db"), 0600)), 0);
	assert_false(queue_backup_finish(backup, &err));
	queue_backup_free(backup);
	assert_int_equal(stat(beside(f, "copy.db"), &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_false(is_there(f, "copy.db.part"));
}

static void a_copy_is_of_one_moment_and_finishes_while_rows_are_written(void **state)
{
	struct fixture *f = *state;
	struct queue_backup *backup;
	struct error err;
	int64_t left = -1, before = INT64_MAX;
	int steps = 0;

	load_many(f, 2000, "");
	assert_true(queue_backup_begin(f->path, beside(f, "copy.db"), TAKEN, &backup, &err));
	for (; left; steps++) {
		assert_true(queue_backup_step(backup, 3, &left, &err));
		assert_true(left < before); /* it never begins again */
		before = left;
		load(f, "x y z");
		claim(f, 0, 5);
		answer_all(f, &accepted);
	}
	assert_true(steps > 20);
	if (!queue_backup_finish(backup, &err))
		fail_msg("%s", err.text);
	queue_backup_free(backup);
	put_in_place(f, "copy.db");
	fixture_open(f);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row"), 2000);
	assert_int_equal(fixture_number(f, "SELECT held FROM manifest"), 2000);
	assert_string_equal(fixture_text(f, "PRAGMA integrity_check"), "ok");
	assert_string_equal(fixture_text(f, "PRAGMA journal_mode"), "wal");
	assert_int_equal(fixture_number(f, "PRAGMA auto_vacuum"), 2);
}

static void a_copy_that_does_not_balance_gets_no_name(void **state)
{
	struct fixture *f = *state;
	struct error err;

	load(f, "a b");
	fixture_exec(f, "DELETE FROM row WHERE row_id = 2");
	assert_false(try_backup(f, "copy.db", &err));
	assert_int_equal(err.code, ERROR_DATA);
	assert_non_null(strstr(err.text, "manifest 1: 2 rows counted and 1 there"));
	assert_false(is_there(f, "copy.db") || is_there(f, "copy.db.part"));
}

static void a_backup_that_is_given_up_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct queue_backup *backup;
	struct error err;
	int64_t left;

	load(f, "a b");
	assert_true(queue_backup_begin(f->path, beside(f, "copy.db"), TAKEN, &backup, &err));
	assert_true(queue_backup_step(backup, 1, &left, &err));
	assert_true(is_there(f, "copy.db.part"));
	queue_backup_free(backup);
	assert_false(is_there(f, "copy.db.part") || is_there(f, "copy.db"));
	assert_false(queue_backup_begin(beside(f, "none.db"), beside(f, "copy.db"), TAKEN, &backup, &err));
	assert_int_equal(err.code, ERROR_NO_INPUT);
	assert_false(is_there(f, "copy.db.part"));
}

/* One row of each state that is open, a row behind another one, and one that came back. */
static void prepare_rows(struct fixture *f)
{
	struct answer back = { .outcome = TRACK_BACK, .status = 503, .due = f->now + HOUR };

	load(f, "back sending doubt done queued queued.5 held");
	claim(f, 0, 4);
	record(f, f->claims[0], &back, NULL);
	record(f, f->claims[2], &in_doubt, NULL);
	record(f, f->claims[3], &accepted, NULL);
	commit(f);
	put_into(f, 7, ROW_HELD);
}

static void open_restored(struct fixture *f)
{
	int64_t in_doubt_now, copied_at = 0;

	fixture_open(f);
	assert_true(queue_recover(f->queue, HOUR, f->now, f->wall, &in_doubt_now));
	commit(f);
	assert_int_equal(in_doubt_now, 0);
	assert_true(queue_restored(f->queue, &copied_at));
	assert_int_equal(copied_at, TAKEN);
}

static void rows_of_a_copy_that_were_queued_or_sending_are_held_and_endpoints_paused(void **state)
{
	static const enum row_state expected[] = { ROW_HELD, ROW_HELD, ROW_IN_DOUBT, ROW_ACCEPTED, ROW_HELD, ROW_HELD, ROW_HELD };
	struct fixture *f = *state;

	prepare_rows(f);
	back_up(f, "copy.db");
	put_in_place(f, "copy.db");
	open_restored(f);
	for (int i = 0; i < 7; i++)
		assert_state(f, i + 1, expected[i]);
	assert_string_equal(fixture_text(f, "SELECT detail || ' ' || outcome FROM attempt_history WHERE row_id = 2"), "restored in_doubt");
	assert_int_equal(fixture_number(f, "SELECT behind FROM row WHERE row_id = 6"), 5);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row WHERE due IS NOT NULL"), 0);
	assert_int_equal(
		fixture_number(f, "SELECT count(*) FROM endpoint WHERE state = 'paused' AND reason = 'restored' AND until IS NULL"), 2);
	assert_int_equal(claim(f, 0, 9) + claim(f, 1, 9), 0);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "released");
}

static void the_mark_works_once_and_its_time_stays(void **state)
{
	struct fixture *f = *state;
	struct queue_endpoint open = { .state = "open", .concurrency = 1 };

	prepare_rows(f);
	back_up(f, "copy.db");
	put_in_place(f, "copy.db");
	open_restored(f);
	assert_true(queue_endpoint_store(f->queue, 0, &open));
	load(f, "new");
	fixture_restart(f);
	assert_state(f, 8, ROW_QUEUED);
	assert_int_equal(fixture_number(f, "SELECT restored_from FROM keeping"), TAKEN);
	assert_string_equal(fixture_text(f, "SELECT state FROM endpoint WHERE name = 'bank'"), "open");
	assert_string_equal(claimed_cards(f, 0, 9), "new");
	/* A copy of what was restored tells both times. */
	back_up(f, "copy.db");
	put_in_place(f, "copy.db");
	open_restored(f);
	assert_state(f, 8, ROW_HELD);
}

static void nothing_of_a_copy_is_let_go_where_the_process_ends_before_it_is_on_hold(void **state)
{
	struct fixture *f = *state;
	struct error err;

	prepare_rows(f);
	back_up(f, "copy.db");
	put_in_place(f, "copy.db");
	/* Without a commit: as if it had been killed. */
	assert_true(queue_open(f->path, &f->queue, &err));
	assert_true(queue_in_turn(f->queue));
	queue_close(f->queue);
	f->queue = NULL;
	open_restored(f);
	assert_state(f, 5, ROW_HELD);
}

static void a_turn_that_fails_does_not_forget_that_it_is_a_copy(void **state)
{
	struct fixture *f = *state;
	struct error err = { .code = ERROR_TRY_LATER, .text = "no room" };

	prepare_rows(f);
	back_up(f, "copy.db");
	put_in_place(f, "copy.db");
	assert_true(queue_open(f->path, &f->queue, &err));
	queue_spoil(f->queue, &err);
	assert_false(queue_commit(f->queue, &err));
	commit(f);
	assert_state(f, 5, ROW_HELD);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM endpoint WHERE reason = 'restored'"), 2);
}

static void an_endpoint_that_the_copy_does_not_know_is_paused_too(void **state)
{
	struct fixture *f = *state;

	prepare_rows(f);
	fixture_exec(f, "UPDATE issuer SET endpoint_no = NULL; DELETE FROM endpoint WHERE name = 'other'");
	back_up(f, "copy.db");
	put_in_place(f, "copy.db");
	open_restored(f);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM endpoint WHERE reason = 'restored'"), 2);
}

static void a_manifest_that_was_loading_goes_on_and_waits(void **state)
{
	struct fixture *f = *state;
	int64_t manifest = loading_manifest(f, "a b");
	struct queue_endpoint open = { .state = "open", .concurrency = 1 };

	back_up(f, "copy.db");
	put_in_place(f, "copy.db");
	open_restored(f);
	assert_state(f, 1, ROW_HELD);
	add_rows(f, manifest, "c");
	release(f, manifest);
	assert_true(queue_endpoint_store(f->queue, 0, &open));
	commit(f);
	assert_string_equal(fixture_text(f, "SELECT paused FROM manifest_status"), "restored");
	assert_int_equal(claim(f, 0, 9), 0);
}

static void numbers_that_were_given_after_the_copy_are_not_given_again(void **state)
{
	struct fixture *f = *state;

	back_up(f, "none.db");
	load(f, "a");
	back_up(f, "copy.db");
	load(f, "b");
	put_in_place(f, "copy.db");
	open_restored(f);
	assert_int_equal(load(f, "c"), 100002);
	put_in_place(f, "none.db");
	open_restored(f);
	assert_int_equal(load(f, "d"), 100001);
}

static void a_manifest_that_was_loading_can_still_be_rejected_whole(void **state)
{
	struct fixture *f = *state;
	int64_t manifest = loading_manifest(f, "a b");
	bool done = false;

	back_up(f, "copy.db");
	put_in_place(f, "copy.db");
	open_restored(f);
	add_rows(f, manifest, "c");
	assert_true(queue_manifest_condemn(f->queue, manifest, "trailer"));
	while (!done)
		assert_true(queue_manifest_reject_slice(f->queue, manifest, 9, f->wall, &done));
	commit(f);
	assert_int_equal(fixture_number(f, "SELECT rejected FROM manifest_status"), 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_copy_is_one_file_that_the_group_may_read_and_it_is_marked),
		T(a_file_that_exists_is_not_written_over),
		T(a_file_that_came_meanwhile_is_not_written_over_either),
		T(a_copy_is_of_one_moment_and_finishes_while_rows_are_written),
		T(a_copy_that_does_not_balance_gets_no_name),
		T(a_backup_that_is_given_up_leaves_nothing),
		T(rows_of_a_copy_that_were_queued_or_sending_are_held_and_endpoints_paused),
		T(the_mark_works_once_and_its_time_stays),
		T(nothing_of_a_copy_is_let_go_where_the_process_ends_before_it_is_on_hold),
		T(a_turn_that_fails_does_not_forget_that_it_is_a_copy),
		T(an_endpoint_that_the_copy_does_not_know_is_paused_too),
		T(a_manifest_that_was_loading_goes_on_and_waits),
		T(numbers_that_were_given_after_the_copy_are_not_given_again),
		T(a_manifest_that_was_loading_can_still_be_rejected_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
