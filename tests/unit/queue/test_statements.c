#include "fixture.h"

/* How SQLite goes about a question: its plan's lines, joined. */
static void plan_of(struct fixture *f, const char *sql, char *ret_plan, size_t size)
{
	sqlite3_stmt *statement;
	char question[2000];

	snprintf(question, sizeof(question), "EXPLAIN QUERY PLAN %s", sql);
	assert_int_equal(sqlite3_prepare_v2(f->queue->db.handle, question, -1, &statement, NULL), SQLITE_OK);
	ret_plan[0] = '\0';
	while (sqlite3_step(statement) == SQLITE_ROW)
		snprintf(ret_plan + strlen(ret_plan), size - strlen(ret_plan), "%s\n", db_text(statement, 3));
	sqlite3_finalize(statement);
}

/* Walks through a table that grows with what was ever sent, whatever alias it has in the statement. */
static bool walks_through(const char *plan, const char *const *names)
{
	for (; *names; names++) {
		char words[40];

		snprintf(words, sizeof(words), "SCAN %s", *names);
		for (const char *place = plan; (place = strstr(place, words)); place++) {
			char after = place[strlen(words)];

			if (after == '\n' || after == ' ')
				return true;
		}
	}
	return false;
}

static void every_statement_is_there_and_can_be_prepared(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < STATEMENT_N; i++) {
		assert_non_null(statement_sql[i]);
		assert_non_null(db_use(&f->queue->db, (enum statement)i, ""));
	}
}

static void no_statement_of_a_turn_walks_through_all_rows_attempts_or_manifests(void **state)
{
	static const char *const growing[] = { "row", "r", "v", "k", "o", "attempt", "a", "reject", "x", "manifest", "m", NULL };
	struct fixture *f = *state;
	char plan[2000];

	for (int i = 0; i < STATEMENT_N; i++) {
		plan_of(f, statement_sql[i], plan, sizeof(plan));
		/* Asked at a start, once an hour, or for a minute's progress; of rows, they see those alone that wait for their time. */
		if (i == COUNTS || i == NEWEST || i == PURGE_FIRST_SINCE || i == ENDPOINTS_CLAMP)
			continue;
		if (walks_through(plan, growing))
			fail_msg("%s:\n%s", statement_sql[i], plan);
	}
}

static void what_is_in_flight_is_not_looked_for_among_all_rows(void **state)
{
	static const char *const growing[] = { "row", "r", NULL };
	struct fixture *f = *state;
	char plan[2000];

	plan_of(f, "SELECT * FROM endpoint_status", plan, sizeof(plan));
	if (walks_through(plan, growing))
		fail_msg("%s", plan);
}

static void no_statement_that_runs_for_every_row_builds_a_table_of_its_own(void **state)
{
	static const enum statement each_row[] = { ROW_OF_CARD, ROW_SAME_REQUEST, ROW_ADD, CLAIM_FRESH, CLAIM_DUE,
						   CLAIM,       ATTEMPT_KEEP,     RECORD,  UNCLAIM };
	struct fixture *f = *state;
	sqlite3_stmt *statement;
	char question[2000];

	for (size_t i = 0; i < sizeof(each_row) / sizeof(each_row[0]); i++) {
		snprintf(question, sizeof(question), "EXPLAIN %s", statement_sql[each_row[i]]);
		assert_int_equal(sqlite3_prepare_v2(f->queue->db.handle, question, -1, &statement, NULL), SQLITE_OK);
		while (sqlite3_step(statement) == SQLITE_ROW) {
			if (strcmp(db_text(statement, 1), "OpenEphemeral") == 0)
				fail_msg("%s", statement_sql[each_row[i]]);
		}
		sqlite3_finalize(statement);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(every_statement_is_there_and_can_be_prepared),
		T(no_statement_of_a_turn_walks_through_all_rows_attempts_or_manifests),
		T(no_statement_that_runs_for_every_row_builds_a_table_of_its_own),
		T(what_is_in_flight_is_not_looked_for_among_all_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
