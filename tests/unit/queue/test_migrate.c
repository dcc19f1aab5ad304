/* The way from one version of the schema to the next, with steps of the test's own in the place of schema.h's. */
#include "fixture.h"

#include "base/file.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_STEPS = 4 };

/* Instead of those of the program, which are not linked in then. The first is schema/0001_init.sql as it is. */
extern const char *schema_migrations[];
extern size_t schema_n_migrations;
const char *schema_migrations[MOST_STEPS];
size_t schema_n_migrations;

static const char adds_a_column[] = "ALTER TABLE manifest ADD COLUMN colour TEXT NOT NULL DEFAULT 'red';"
				    "CREATE INDEX manifest_colour ON manifest (colour);";
static const char changes_rows[] = "UPDATE manifest SET colour = 'blue' WHERE manifest_id = 1;";
static const char fails_at_its_end[] = "CREATE TABLE half (a INTEGER) STRICT; UPDATE row SET line = 99;"
				       "INSERT INTO nothing_of_that_name VALUES (1);";

static struct text first;

static int read_first(void **state)
{
	struct error err;

	(void)state;
	return file_read(TEST_SOURCE "/schema/0001_init.sql", 1 << 20, &first, &err) ? 0 : -1;
}

static int free_first(void **state)
{
	(void)state;
	text_free(&first);
	return 0;
}

static void set_steps(const char *second, const char *third)
{
	schema_migrations[0] = first.data;
	schema_migrations[1] = second;
	schema_migrations[2] = third;
	schema_n_migrations = second ? third ? 3 : 2 : 1;
}

static int set_up(void **state)
{
	set_steps(NULL, NULL);
	return fixture_setup_open(state);
}

static struct text bytes_of(const char *path)
{
	struct text text = { 0 };
	struct error err;

	if (!file_read(path, 100 << 20, &text, &err))
		fail_msg("%s", err.text);
	return text;
}

static void shut(struct fixture *f)
{
	queue_close(f->queue);
	f->queue = NULL;
}

/* As the daemon starts. */
static void start(struct fixture *f)
{
	int64_t rows;

	fixture_open(f);
	assert_true(queue_recover(f->queue, HOUR, f->now, f->wall, &rows));
	commit(f);
}

/* Opening fails, and the database file is the same byte for byte. */
static void assert_left_alone(struct fixture *f, const char *words)
{
	struct text before = bytes_of(f->path), after;
	struct error err = { 0 };

	assert_false(queue_open(f->path, &f->queue, &err));
	if (!strstr(err.text, words))
		fail_msg("\"%s\" does not say: %s", err.text, words);
	after = bytes_of(f->path);
	assert_int_equal(after.length, before.length);
	assert_memory_equal(after.data, before.data, before.length);
	text_free(&before);
	text_free(&after);
}

static void a_database_is_brought_to_the_next_version_with_all_that_is_in_it(void **state)
{
	struct fixture *f = *state;

	load(f, "a b c");
	claim(f, 0, 1);
	answer_all(f, &accepted);
	shut(f);
	set_steps(adds_a_column, changes_rows);
	start(f);
	assert_int_equal(fixture_number(f, "PRAGMA user_version"), 3);
	assert_string_equal(fixture_text(f, "SELECT colour FROM manifest"), "blue");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM status"), 3);
	assert_int_equal(claim(f, 0, 9), 2);
	assert_string_equal(fixture_text(f, "PRAGMA integrity_check"), "ok");
	load(f, "d");
	assert_string_equal(fixture_text(f, "SELECT colour FROM manifest WHERE manifest_id = 2"), "red");
}

static void steps_that_were_made_are_not_made_again(void **state)
{
	struct fixture *f = *state;

	load(f, "a");
	shut(f);
	set_steps(adds_a_column, NULL);
	start(f);
	shut(f);
	set_steps(adds_a_column, changes_rows);
	start(f);
	fixture_exec(f, "UPDATE manifest SET colour = 'green'");
	fixture_restart(f);
	assert_string_equal(fixture_text(f, "SELECT colour FROM manifest"), "green");
}

static void a_new_database_gets_every_step(void **state)
{
	struct fixture *f = *state;

	shut(f);
	snprintf(f->path, sizeof(f->path), "%s/other.db", f->folder);
	set_steps(adds_a_column, changes_rows);
	start(f);
	assert_int_equal(fixture_number(f, "PRAGMA user_version"), 3);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM pragma_table_info('manifest') WHERE name = 'colour'"), 1);
}

static void a_step_that_fails_leaves_the_old_version_as_it_was(void **state)
{
	struct fixture *f = *state;

	load(f, "a b");
	shut(f);
	set_steps(adds_a_column, fails_at_its_end);
	assert_left_alone(f, "schema 3: ");
	/* The version before still works with it. */
	set_steps(NULL, NULL);
	start(f);
	assert_int_equal(fixture_number(f, "PRAGMA user_version"), 1);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0);
	assert_int_equal(claim(f, 0, 9), 2);
}

static void a_process_that_is_killed_in_the_middle_leaves_the_old_version(void **state)
{
	struct fixture *f = *state;
	char step[300];
	int status;
	pid_t child;

	load(f, "a b");
	shut(f);
	/* So much work that it cannot be done before the signal; what it writes is more than the cache holds. */
	snprintf(step, sizeof(step),
		 "CREATE TABLE half (a TEXT) STRICT; WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000)"
		 " INSERT INTO half SELECT hex(zeroblob(500)) FROM n;");
	set_steps(step, NULL);
	child = fork();
	if (child == 0) {
		struct error err;

		(void)queue_open(f->path, &f->queue, &err);
		_exit(0);
	}
	for (struct stat st = { 0 }; st.st_size < 30 << 20; usleep(10000)) {
		char wal[100];

		snprintf(wal, sizeof(wal), "%s-wal", f->path);
		(void)stat(wal, &st);
	}
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	set_steps(NULL, NULL);
	start(f);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0);
	assert_int_equal(claim(f, 0, 9), 2);
	assert_string_equal(fixture_text(f, "PRAGMA integrity_check"), "ok");
}

static void there_is_no_way_back(void **state)
{
	struct fixture *f = *state;

	load(f, "a");
	shut(f);
	set_steps(adds_a_column, NULL);
	start(f);
	shut(f);
	set_steps(NULL, NULL);
	assert_left_alone(f, "was written by a newer trackbridge (schema 2, this one knows 1)");
}

static void readers_wait_for_the_daemon_to_bring_it_to_their_version(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };
	struct db db;

	load(f, "a");
	set_steps(adds_a_column, NULL);
	assert_false(db_open_read_only(&db, f->path, &err));
	assert_non_null(strstr(err.text, "has schema 1, this trackbridge reads schema 2"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_database_is_brought_to_the_next_version_with_all_that_is_in_it),
		T(steps_that_were_made_are_not_made_again),
		T(a_new_database_gets_every_step),
		T(a_step_that_fails_leaves_the_old_version_as_it_was),
		T(a_process_that_is_killed_in_the_middle_leaves_the_old_version),
		T(there_is_no_way_back),
		T(readers_wait_for_the_daemon_to_bring_it_to_their_version),
	};

	return cmocka_run_group_tests(tests, read_first, free_first);
}
