#include "queue/figures.h"

#include "fixture.h"

#include <sys/stat.h>

static struct queue_source_figures *figures;
static size_t n_figures;

static void ask(struct fixture *f)
{
	struct error err = { 0 };

	free(figures);
	figures = NULL;
	if (!queue_figures(f->queue, &figures, &n_figures, &err))
		fail_msg("%s", err.text);
	assert_sound(f);
}

static int tear_down(void **state)
{
	free(figures);
	figures = NULL;
	return fixture_teardown(state);
}

/* What is told is what adding up all manifests gives. */
static void assert_adds_up(struct fixture *f)
{
	ask(f);
	for (size_t i = 0; i < n_figures; i++) {
		const char *of = "FROM manifest m JOIN source s ON s.source_no = m.source_no WHERE s.name";

		for (int k = 0; k < MANIFEST_N_STATES; k++)
			assert_int_equal(figures[i].manifests[k],
					 fixture_number(f, "SELECT count(*) %s = '%s' AND m.state = '%s'", of, figures[i].name,
							queue_manifest_state_name((enum queue_manifest_state)k)));
		for (int k = 0; k < ROW_N_STATES; k++)
			assert_int_equal(figures[i].rows[k], fixture_number(f, "SELECT coalesce(sum(m.%s), 0) %s = '%s'",
									    queue_state_name((enum row_state)k), of, figures[i].name));
	}
}

static void a_source_without_manifests_is_there(void **state)
{
	struct fixture *f = *state;

	assert_adds_up(f);
	assert_int_equal(n_figures, 1);
	assert_string_equal(figures[0].name, "lyon");
	assert_string_equal(figures[0].state, "waiting");
	assert_int_equal(figures[0].last_manifest_at, 0);
}

static void what_was_there_before_the_first_question_is_counted(void **state)
{
	struct fixture *f = *state;

	load(f, "A B !C ~D");
	loading_manifest(f, "E");
	assert_adds_up(f);
	assert_int_equal(figures[0].rows[ROW_QUEUED], 3);
	assert_int_equal(figures[0].rows[ROW_REJECTED], 1);
	assert_int_equal(figures[0].manifests[MANIFEST_STATE_RELEASED], 1);
	assert_int_equal(figures[0].manifests[MANIFEST_STATE_LOADING], 1);
	assert_int_equal(figures[0].last_manifest_at, f->wall);
}

static void every_change_after_it_is_too(void **state)
{
	struct fixture *f = *state;
	int64_t manifest;
	bool done = false;

	ask(f);
	assert_true(queue_bind_source(f->queue, 1, "nantes", "/srv/nantes/in"));
	manifest = loading_manifest(f, "A B C !X");
	assert_adds_up(f);
	assert_int_equal(n_figures, 2);
	release(f, manifest);
	assert_adds_up(f);
	claim(f, 0, 2);
	assert_adds_up(f);
	assert_int_equal(figures[0].rows[ROW_SENDING], 2);
	answer_one(f, 0, &accepted);
	answer_one(f, 1, &in_doubt);
	assert_adds_up(f);
	manifest = loading_manifest(f, "G H");
	assert_true(queue_manifest_condemn(f->queue, manifest, "a quote is left open"));
	while (!done)
		assert_true(queue_manifest_reject_slice(f->queue, manifest, 100, f->wall, &done));
	commit(f);
	assert_adds_up(f);
	assert_int_equal(figures[0].manifests[MANIFEST_STATE_REJECTED], 1);
	load(f, "M");
	claim(f, 0, 10);
	answer_all(f, &accepted);
	assert_adds_up(f);
	assert_int_equal(figures[0].manifests[MANIFEST_STATE_SETTLED], 1);
	fixture_exec(f, "DELETE FROM lane; DELETE FROM manifest WHERE state = 'settled'");
	assert_adds_up(f);
	assert_int_equal(figures[0].manifests[MANIFEST_STATE_SETTLED], 0);
}

static void a_turn_that_fails_counts_nothing(void **state)
{
	struct fixture *f = *state;
	const struct error why = { .code = ERROR_IO, .text = "the disk is full" };
	struct error err;

	load(f, "A B");
	ask(f);
	claim_only(f, 0, 2);
	queue_spoil(f->queue, &why);
	assert_false(queue_commit(f->queue, &err));
	assert_adds_up(f);
	assert_int_equal(figures[0].rows[ROW_QUEUED], 2);
	assert_int_equal(figures[0].rows[ROW_SENDING], 0);
}

static void inside_a_turn_there_are_none(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };

	record_manifest(f, NULL);
	assert_false(queue_figures(f->queue, &figures, &n_figures, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
	commit(f);
	assert_adds_up(f);
}

static void asking_writes_nothing(void **state)
{
	struct fixture *f = *state;
	int64_t commits;
	struct stat before, after;
	char path[120];

	load(f, "A B");
	commits = queue_commits(f->queue);
	snprintf(path, sizeof(path), "%s-wal", f->path);
	assert_int_equal(stat(path, &before), 0);
	ask(f);
	ask(f);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(queue_commits(f->queue), commits);
	assert_false(queue_in_turn(f->queue));
}

static void asking_again_does_not_walk_through_the_manifests(void **state)
{
	struct fixture *f = *state;
	sqlite3_stmt *plan;
	char question[1000];

	ask(f);
	snprintf(question, sizeof(question), "EXPLAIN QUERY PLAN %s", statement_figures);
	assert_int_equal(sqlite3_prepare_v2(f->queue->db.handle, question, -1, &plan, NULL), SQLITE_OK);
	while (sqlite3_step(plan) == SQLITE_ROW)
		assert_null(strstr(db_text(plan, 3), "manifest"));
	sqlite3_finalize(plan);
}

static int64_t since(struct fixture *f, int endpoint)
{
	int64_t at = -1;

	assert_true(queue_waiting_since(f->queue, endpoint, f->now, &at));
	return at;
}

static void the_oldest_row_that_could_go_tells_since_when(void **state)
{
	struct fixture *f = *state;
	int64_t first;

	assert_int_equal(since(f, 0), 0);
	first = f->wall;
	load(f, "A B");
	f->wall += 1000;
	load(f, "C");
	assert_int_equal(since(f, 0), first);
	assert_int_equal(since(f, 1), 0);
	claim(f, 0, 3);
	assert_int_equal(since(f, 0), 0);
}

static void a_row_whose_time_has_not_come_and_one_behind_another_are_not_waited_for(void **state)
{
	const struct answer later = { .outcome = TRACK_BACK, .status = 503, .due = INT64_C(1800000000000) + HOUR / 2 };
	struct fixture *f = *state;
	int64_t first = f->wall;

	load(f, "A A");
	claim(f, 0, 1);
	claim(f, 0, 1); /* the lane passes the second row of the card */
	f->wall += 1000;
	assert_int_equal(since(f, 0), 0);
	load(f, "B");
	claim(f, 0, 1);
	answer_all(f, &later);
	assert_int_equal(since(f, 0), 0);
	f->now += HOUR / 2;
	assert_int_equal(since(f, 0), first + 1000);
}

static void rows_of_a_paused_manifest_are_not_waited_for(void **state)
{
	struct fixture *f = *state;

	load_many(f, QUEUE_REFUSALS_RUNNING + 1, "");
	claim(f, 0, QUEUE_REFUSALS_RUNNING);
	answer_all(f, &refused);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM manifest WHERE paused = 'refusals'"), 1);
	assert_int_equal(since(f, 0), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_source_without_manifests_is_there),
		T(what_was_there_before_the_first_question_is_counted),
		T(every_change_after_it_is_too),
		T(a_turn_that_fails_counts_nothing),
		T(inside_a_turn_there_are_none),
		T(asking_writes_nothing),
		T(asking_again_does_not_walk_through_the_manifests),
		T(the_oldest_row_that_could_go_tells_since_when),
		T(a_row_whose_time_has_not_come_and_one_behind_another_are_not_waited_for),
		T(rows_of_a_paused_manifest_are_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
