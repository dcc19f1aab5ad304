#include "fixture.h"

#include "base/file.h"
#include "queue/schema.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file beside the fixture's, by its suffix. */
static const char *beside(const struct fixture *f, const char *suffix)
{
	static char paths[2][120];
	static int turn;
	char *path = paths[turn++ % 2];

	snprintf(path, sizeof(paths[0]), "%s%s", f->path, suffix);
	return path;
}

static bool is_there(const struct fixture *f, const char *suffix)
{
	struct stat st;

	return stat(beside(f, suffix), &st) == 0;
}

static struct text bytes_of(const char *path)
{
	struct text text = { 0 };
	struct error err;

	if (!file_read(path, 100 << 20, &text, &err))
		fail_msg("%s", err.text);
	return text;
}

static void write_bytes(const char *path, const char *bytes, size_t length)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static void copy_file(const struct fixture *f, const char *from, const char *to)
{
	struct text text = bytes_of(beside(f, from));

	write_bytes(beside(f, to), text.data ? text.data : "", text.length);
	text_free(&text);
}

/* A database made by hand with plain SQLite. */
static void make(const struct fixture *f, const char *suffix, const char *sql)
{
	sqlite3 *handle;

	assert_int_equal(sqlite3_open(beside(f, suffix), &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(handle);
}

/* Opening is refused, and not one byte of the database or of what stands in its WAL is another one after it. */
static void assert_refused_untouched(struct fixture *f, const char *suffix, const char *words)
{
	const char *path = beside(f, suffix);
	char wal[140];
	struct text before = bytes_of(path), wal_before = { 0 }, after;
	struct queue *queue = NULL;
	struct error err = { 0 };
	struct stat st;

	snprintf(wal, sizeof(wal), "%s-wal", path);
	if (stat(wal, &st) == 0)
		wal_before = bytes_of(wal);
	if (queue_open(path, &queue, &err))
		fail_msg("%s was opened", path);
	assert_null(queue);
	assert_int_equal(err.code, ERROR_DATA);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" does not say: %s", err.text, words);
	after = bytes_of(path);
	assert_int_equal(after.length, before.length);
	if (after.length)
		assert_memory_equal(after.data, before.data, before.length);
	text_free(&after);
	if (wal_before.length) {
		after = bytes_of(wal);
		assert_int_equal(after.length, wal_before.length);
		assert_memory_equal(after.data, wal_before.data, wal_before.length);
		text_free(&after);
	}
	text_free(&before);
	text_free(&wal_before);
}

static void a_new_database_is_marked_as_ours_and_set_up_to_last(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_false(is_there(f, ""));
	assert_true(queue_open(f->path, &f->queue, &err));
	assert_int_equal(fixture_number(f, "PRAGMA application_id"), QUEUE_SCHEMA_APPLICATION);
	assert_int_equal(fixture_number(f, "PRAGMA user_version"), (int64_t)schema_n_migrations);
	assert_string_equal(fixture_text(f, "PRAGMA journal_mode"), "wal");
	assert_int_equal(fixture_number(f, "PRAGMA synchronous"), 2);
	assert_int_equal(fixture_number(f, "PRAGMA foreign_keys"), 1);
	assert_int_equal(fixture_number(f, "PRAGMA auto_vacuum"), 2);
	assert_int_equal(fixture_number(f, "PRAGMA mmap_size"), 0);
	assert_string_equal(fixture_text(f, "PRAGMA integrity_check"), "ok");
}

static void an_empty_file_becomes_a_database(void **state)
{
	struct fixture *f = *state;

	write_bytes(f->path, "", 0);
	fixture_open(f);
	load(f, "a");
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(fixture_number(f, "PRAGMA auto_vacuum"), 2);
}

static void a_migration_that_breaks_off_leaves_nothing_and_is_made_at_the_next_start(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, old;
	struct error err;
	bool opened;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	for (rlim_t most = 0; most < 100000; most += 9000) {
		limit = (struct rlimit){ .rlim_cur = most, .rlim_max = old.rlim_max };
		setrlimit(RLIMIT_FSIZE, &limit);
		opened = queue_open(f->path, &f->queue, &err);
		setrlimit(RLIMIT_FSIZE, &old);
		assert_false(opened);
	}
	fixture_open(f);
	load(f, "a");
}

static void a_database_of_a_newer_version_is_refused_untouched(void **state)
{
	struct fixture *f = *state;

	fixture_open(f);
	load(f, "a b");
	fixture_exec(f, "PRAGMA user_version=99");
	/* As a crash leaves it: the mark stands in the WAL alone. */
	copy_file(f, "", "2");
	copy_file(f, "-wal", "2-wal");
	queue_close(f->queue);
	f->queue = NULL;
	assert_refused_untouched(f, "", "newer trackbridge (schema 99");
	assert_refused_untouched(f, "2", "newer trackbridge (schema 99");
}

static void a_database_that_is_not_ours_is_refused_untouched(void **state)
{
	struct fixture *f = *state;

	make(f, "1", "CREATE TABLE bills (number INTEGER)");
	assert_refused_untouched(f, "1", "not a trackbridge database");
	make(f, "2", "PRAGMA application_id=77; CREATE TABLE bills (number INTEGER)");
	assert_refused_untouched(f, "2", "not a trackbridge database");
	make(f, "3", "PRAGMA application_id=77; PRAGMA user_version=1; CREATE TABLE bills (number INTEGER)");
	assert_refused_untouched(f, "3", "not a trackbridge database");
	make(f, "4", "PRAGMA application_id=77");
	assert_refused_untouched(f, "4", "not a trackbridge database");
	make(f, "5", "PRAGMA user_version=1");
	assert_refused_untouched(f, "5", "not a trackbridge database");
	make(f, "6", "PRAGMA journal_mode=WAL; CREATE TABLE bills (number INTEGER)");
	assert_refused_untouched(f, "6", "not a trackbridge database");
	write_bytes(beside(f, "7"),
		    "this is a letter, and no database at all; it has more than a hundred bytes, as a letter should have them", 103);
	assert_refused_untouched(f, "7", "not a database");
}

static void a_link_is_not_followed(void **state)
{
	struct fixture *f = *state;
	struct queue *queue;
	struct error err;

	fixture_open(f);
	assert_int_equal(symlink(f->path, beside(f, ".link")), 0);
	assert_false(queue_open(beside(f, ".link"), &queue, &err));
}

static void readers_can_open_it_while_it_runs_and_after_it_was_closed(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };
	struct db db;

	fixture_open(f);
	load(f, "a");
	for (int i = 0; i < 2; i++) {
		sqlite3_stmt *statement;

		assert_true(is_there(f, "-wal") && is_there(f, "-shm"));
		if (!db_open_read_only(&db, f->path, &err))
			fail_msg("%s", err.text);
		assert_int_equal(sqlite3_prepare_v2(db.handle, "SELECT state FROM status", -1, &statement, NULL), SQLITE_OK);
		assert_true(db_row(&db, statement));
		assert_string_equal(db_text(statement, 0), i ? "sending" : "queued");
		assert_string_equal(db_text(statement, 7), "");
		sqlite3_finalize(statement);
		assert_int_equal(sqlite3_exec(db.handle, "DELETE FROM row", NULL, NULL, NULL), SQLITE_READONLY);
		if (i == 0) {
			/* A reader does not keep the daemon from writing. */
			claim(f, 0, 9);
			queue_close(f->queue);
			f->queue = NULL;
		}
		db_close(&db);
	}
	assert_true(is_there(f, "-wal") && is_there(f, "-shm"));
}

static void a_reader_of_another_version_is_told_so_and_makes_no_database(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };
	struct db db;

	assert_false(db_open_read_only(&db, f->path, &err));
	assert_int_equal(err.code, ERROR_NO_INPUT);
	assert_false(is_there(f, ""));
	make(f, "", "CREATE TABLE bills (number INTEGER)");
	assert_false(db_open_read_only(&db, f->path, &err));
	assert_int_equal(err.code, ERROR_DATA);
	assert_non_null(strstr(err.text, "not a trackbridge database"));
	make(f, "2", "PRAGMA application_id=1953655650; PRAGMA user_version=2");
	assert_false(db_open_read_only(&db, beside(f, "2"), &err));
	assert_non_null(strstr(err.text, "has schema 2, this trackbridge reads schema 1"));
	write_bytes(beside(f, "3"),
		    "a letter that is long enough to have a header, if it were one: ...........................................", 105);
	assert_false(db_open_read_only(&db, beside(f, "3"), &err));
	assert_int_equal(err.code, ERROR_DATA);
}

static void what_is_written_goes_back_into_the_database_so_that_the_wal_does_not_grow(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	fixture_open(f);
	fixture_exec(f, "PRAGMA wal_autocheckpoint=20");
	for (int i = 0; i < 100; i++) {
		load(f, "a b c");
		claim(f, 0, 3);
		answer_all(f, &accepted);
	}
	assert_int_equal(stat(beside(f, "-wal"), &st), 0);
	assert_true(st.st_size < 80 * 4096);
}

static void while_somebody_else_writes_a_turn_fails_and_can_be_done_again(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };
	sqlite3 *other;

	fixture_open(f);
	load(f, "a b");
	claim(f, 0, 1);
	sqlite3_busy_timeout(f->queue->db.handle, 0);
	assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_false(queue_endpoint_store(f->queue, 0, &(struct queue_endpoint){ .state = "open" }));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, ERROR_TRY_LATER);
	sqlite3_close(other);
	answer_all(f, &accepted);
	assert_string_equal(claimed_cards(f, 0, 9), f->claims[0]->request.card_id);
}

static void a_damaged_page_is_bad_data(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };
	struct queue *queue;
	struct text bytes;
	int64_t root;

	fixture_open(f);
	load(f, "a");
	root = fixture_number(f, "SELECT rootpage FROM sqlite_schema WHERE name = 'row'");
	queue_close(f->queue);
	f->queue = NULL;
	bytes = bytes_of(f->path);
	assert_int_equal(unlink(beside(f, "-wal")), 0);
	memset(bytes.data + (root - 1) * 4096, 0x55, 4096);
	write_bytes(f->path, bytes.data, bytes.length);
	text_free(&bytes);
	assert_false(queue_open(f->path, &queue, &err));
	assert_int_equal(err.code, ERROR_DATA);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_new_database_is_marked_as_ours_and_set_up_to_last),
		T(an_empty_file_becomes_a_database),
		T(a_migration_that_breaks_off_leaves_nothing_and_is_made_at_the_next_start),
		T(a_database_of_a_newer_version_is_refused_untouched),
		T(a_database_that_is_not_ours_is_refused_untouched),
		T(a_link_is_not_followed),
		T(readers_can_open_it_while_it_runs_and_after_it_was_closed),
		T(a_reader_of_another_version_is_told_so_and_makes_no_database),
		T(what_is_written_goes_back_into_the_database_so_that_the_wal_does_not_grow),
		T(while_somebody_else_writes_a_turn_fails_and_can_be_done_again),
		T(a_damaged_page_is_bad_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
