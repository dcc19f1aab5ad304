#include "fixture.h"

/* The product's table of states, written down a second time: '1' where a row may go from the line's state to the column's. */
static const char *const steps[ROW_N_STATES] = {
	/*                 q s a r d h e c j u k */
	[ROW_QUEUED] = "01000101100",   [ROW_SENDING] = "10111010000",   [ROW_ACCEPTED] = "00000000000", [ROW_REFUSED] = "10000000000",
	[ROW_IN_DOUBT] = "10100000000", [ROW_HELD] = "10000001000",      [ROW_EXPIRED] = "10000000000",  [ROW_CANCELLED] = "00000000000",
	[ROW_REJECTED] = "00000000000", [ROW_DUPLICATE] = "10000000100", [ROW_SKIPPED] = "00000000100",
};

/* Moves row 1 by a statement as the queue's own are: it names the state from which it goes. */
static bool step(struct fixture *f, enum row_state named, enum row_state from, enum row_state to)
{
	sqlite3_stmt *statement;
	char sql[120];
	bool done;

	snprintf(sql, sizeof(sql), "UPDATE row SET state = %d, attempts = 1, correlation = 1 WHERE row_id = 1 AND state = %d", (int)to,
		 (int)named);
	assert_int_equal(sqlite3_prepare_v2(f->queue->db.handle, sql, -1, &statement, NULL), SQLITE_OK);
	done = queue_change(f->queue, statement, 1, from, to);
	sqlite3_finalize(statement);
	return done;
}

static void assert_commit_fails(struct fixture *f, enum error_code code)
{
	struct error err = { 0 };

	assert_true(queue_in_turn(f->queue));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, code);
	assert_true(err.text[0] != '\0');
	assert_false(queue_in_turn(f->queue));
	assert_sound(f);
}

static void every_state_has_the_name_that_the_product_gives_it(void **state)
{
	static const char *const names[] = { "queued",  "sending",   "accepted", "refused",   "in_doubt", "held",
					     "expired", "cancelled", "rejected", "duplicate", "skipped" };

	(void)state;
	for (int i = 0; i < ROW_N_STATES; i++)
		assert_string_equal(queue_state_name((enum row_state)i), names[i]);
	assert_string_equal(queue_state_name(ROW_N_STATES), "?");
}

static void a_row_goes_only_the_steps_that_the_product_allows(void **state)
{
	struct fixture *f = *state;

	load(f, "a b");
	for (int from = 0; from < ROW_N_STATES; from++) {
		for (int to = 0; to < ROW_N_STATES; to++) {
			bool allowed = steps[from][to] == '1';

			put_into(f, 1, (enum row_state)from);
			if (step(f, (enum row_state)from, (enum row_state)from, (enum row_state)to) != allowed)
				fail_msg("%s to %s", queue_state_name((enum row_state)from), queue_state_name((enum row_state)to));
			if (allowed)
				commit(f);
			else
				assert_commit_fails(f, ERROR_INTERNAL);
			assert_state(f, 1, (enum row_state)(allowed ? to : from));
		}
	}
}

static void a_step_from_a_state_that_the_row_is_not_in_spoils_the_turn(void **state)
{
	struct fixture *f = *state;
	struct queue_endpoint e = { .state = "open", .concurrency = 17 };

	load(f, "a b");
	put_into(f, 1, ROW_ACCEPTED);
	assert_true(queue_endpoint_store(f->queue, 0, &e));
	assert_false(step(f, ROW_QUEUED, ROW_QUEUED, ROW_SENDING));
	assert_commit_fails(f, ERROR_INTERNAL);
	/* Nothing of the turn is stored, not even what was right. */
	assert_state(f, 1, ROW_ACCEPTED);
	assert_int_equal(fixture_number(f, "SELECT concurrency FROM endpoint WHERE name = 'bank'"), 1);
	assert_int_equal(claim(f, 0, 9), 1);
}

static void after_a_broken_guard_every_further_change_of_the_turn_is_refused(void **state)
{
	struct fixture *f = *state;
	struct queue_endpoint e = { .state = "open" };
	struct error err = { 0 };

	error_set(&err, ERROR_DATA, "somebody outside says no");
	queue_spoil(f->queue, &err);
	error_set(&err, ERROR_IO, "and again");
	queue_spoil(f->queue, &err);
	assert_false(queue_endpoint_store(f->queue, 0, &e));
	assert_true(queue_in_turn(f->queue));
	assert_false(queue_commit(f->queue, &err));
	/* The first reason is the one that is told. */
	assert_int_equal(err.code, ERROR_DATA);
	assert_string_equal(err.text, "somebody outside says no");
	assert_true(queue_endpoint_store(f->queue, 0, &e));
	commit(f);
}

static void a_turn_without_changes_commits_nothing(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };

	assert_false(queue_in_turn(f->queue));
	assert_true(queue_commit(f->queue, &err));
	assert_int_equal(claim(f, 0, 9), 0);
	assert_int_equal(err.code, ERROR_NONE);
}

static void a_manifest_whose_counts_do_not_balance_cannot_be_stored(void **state)
{
	struct fixture *f = *state;

	load(f, "a b");
	queue_count(f->queue, 1, ROW_QUEUED, ROW_ACCEPTED, 3);
	assert_true(queue_source_store(f->queue, 0, "open", "", 0));
	assert_commit_fails(f, ERROR_INTERNAL);
	assert_true(queue_source_store(f->queue, 0, "open", "", 0));
	assert_int_equal(sqlite3_exec(f->queue->db.handle, "UPDATE manifest SET rows = 3", NULL, NULL, NULL), SQLITE_CONSTRAINT_CHECK);
	assert_int_equal(sqlite3_exec(f->queue->db.handle, "UPDATE row SET state = 11", NULL, NULL, NULL), SQLITE_CONSTRAINT_CHECK);
	commit(f);
}

static void a_manifest_settles_with_its_last_row_and_only_then(void **state)
{
	struct fixture *f = *state;

	load(f, "a b ~c !d");
	claim(f, 0, 9);
	answer_one(f, 0, &accepted);
	assert_int_equal(queue_settled(f->queue), 0);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "released");
	answer_one(f, 1, &refused);
	assert_int_equal(queue_settled(f->queue), 1);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "settled");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM lane"), 0);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
	assert_true(queue_source_store(f->queue, 0, "open", "", 0));
	commit(f);
	assert_int_equal(queue_settled(f->queue), 0);
}

static void a_row_in_doubt_or_held_keeps_its_manifest_open(void **state)
{
	struct fixture *f = *state;

	load(f, "a b c");
	put_into(f, 2, ROW_HELD);
	claim(f, 0, 9);
	assert_int_equal(f->n_claims, 2);
	answer_one(f, 0, &in_doubt);
	answer_one(f, 1, &accepted);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "released");
}

static void counts_are_those_of_all_manifests(void **state)
{
	struct fixture *f = *state;
	struct queue_counts counts;

	load(f, "a b c d ~e !f");
	load(f, "a.1 g.1 g.1");
	loading_manifest(f, "h");
	claim(f, 0, 3);
	answer_one(f, 0, &accepted);
	answer_one(f, 1, &in_doubt);
	assert_true(queue_counts(f->queue, &counts));
	assert_int_equal(counts.rows, 10);
	assert_int_equal(counts.by_state[ROW_QUEUED], 4);
	assert_int_equal(counts.by_state[ROW_SENDING], 1);
	assert_int_equal(counts.by_state[ROW_ACCEPTED], 1);
	assert_int_equal(counts.by_state[ROW_IN_DOUBT], 1);
	assert_int_equal(counts.by_state[ROW_REJECTED], 1);
	assert_int_equal(counts.by_state[ROW_DUPLICATE], 1);
	assert_int_equal(counts.by_state[ROW_SKIPPED], 1);
	assert_int_equal(counts.manifests_loading, 1);
	assert_int_equal(counts.manifests_released, 2);
}

/* --- endpoints --- */

static void an_endpoint_is_kept_over_a_restart(void **state)
{
	struct fixture *f = *state;
	struct queue_endpoint as = {
		.state = "paused", .reason = "credentials", .until_ms = 5, .step = 3, .concurrency = 4, .token_expires_at = 6
	};
	struct queue_endpoint is;

	assert_true(queue_endpoint_load(f->queue, 1, &is));
	assert_string_equal(is.state, "open");
	assert_int_equal(is.until_ms, 0);
	assert_true(queue_endpoint_store(f->queue, 1, &as));
	commit(f);
	fixture_restart(f);
	assert_true(queue_endpoint_load(f->queue, 1, &is));
	assert_string_equal(is.state, "paused");
	assert_string_equal(is.reason, "credentials");
	assert_int_equal(is.until_ms, 5);
	assert_int_equal(is.step, 3);
	assert_int_equal(is.concurrency, 4);
	assert_int_equal(is.token_expires_at, 6);
}

static void the_last_accepted_row_is_seen_at_its_endpoint(void **state)
{
	struct fixture *f = *state;

	load(f, "a b@2");
	claim(f, 0, 9);
	answer_all(f, &accepted);
	assert_string_equal(fixture_text(f, "SELECT group_concat(coalesce(last_accepted_at, '-')) FROM endpoint"), "1800000000007,-");
}

static void the_clock_of_an_endpoint_runs_only_while_it_is_open(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(queue_clock(f->queue, 0, f->now), 0);
	queue_endpoint_open(f->queue, 0, true, f->now);
	assert_int_equal(queue_clock(f->queue, 0, f->now + 100), 100);
	assert_int_equal(queue_clock(f->queue, 1, f->now + 100), 0);
	queue_endpoint_open(f->queue, 0, false, f->now + 250);
	assert_int_equal(queue_clock(f->queue, 0, f->now + 9000), 250);
	queue_endpoint_open(f->queue, 0, true, f->now + 10000);
	queue_endpoint_open(f->queue, 0, true, f->now + 10005);
	assert_int_equal(queue_clock(f->queue, 0, f->now + 10010), 260);
	/* A reading from before it was opened is no time at all. */
	assert_int_equal(queue_clock(f->queue, 0, f->now), 255);
}

static void the_clock_is_stored_along_with_other_changes_and_never_alone(void **state)
{
	struct fixture *f = *state;

	queue_endpoint_open(f->queue, 0, true, f->now);
	queue_endpoint_open(f->queue, 0, false, f->now + 400);
	assert_false(queue_in_turn(f->queue));
	assert_true(queue_source_store(f->queue, 0, "open", "", 0));
	queue_endpoint_open(f->queue, 0, false, f->now + 500);
	commit(f);
	fixture_restart(f);
	assert_int_equal(queue_clock(f->queue, 0, f->now), 400);
	queue_endpoint_open(f->queue, 0, true, f->now);
	assert_true(queue_source_store(f->queue, 0, "open", "", 0));
	queue_endpoint_open(f->queue, 0, true, f->now + 9000);
	commit(f);
	assert_int_equal(fixture_number(f, "SELECT open_ms FROM endpoint WHERE name = 'bank'"), 400);
	assert_true(queue_source_store(f->queue, 0, "open", "", 0));
	queue_endpoint_open(f->queue, 0, true, f->now + 11000);
	commit(f);
	assert_int_equal(fixture_number(f, "SELECT open_ms FROM endpoint WHERE name = 'bank'"), 11400);
}

static void an_issuer_that_no_endpoint_has_any_more_waits_for_one(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };
	int64_t rows;

	load(f, "a b@2");
	queue_close(f->queue);
	assert_true(queue_open(f->path, &f->queue, &err));
	assert_true(queue_bind_endpoint(f->queue, 0, "bank", false));
	assert_true(queue_bind_issuer(f->queue, ISSUER_1, 0));
	assert_true(queue_recover(f->queue, HOUR, f->now, f->wall, &rows));
	commit(f);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_string_equal(fixture_text(f, "SELECT waits_for FROM status WHERE card_id = 'b'"), "an endpoint for its issuer");
	fixture_restart(f);
	assert_string_equal(claimed_cards(f, 1, 9), "b");
}

static void a_source_waits_since_its_last_manifest_or_since_it_was_first_configured(void **state)
{
	struct fixture *f = *state;
	int64_t first = 0, since = 0;

	assert_true(queue_source_since(f->queue, 0, &first));
	assert_true(first > 0);
	fixture_restart(f);
	assert_true(queue_source_since(f->queue, 0, &since));
	assert_int_equal(since, first);
	f->wall += 1000;
	record_manifest(f, NULL);
	commit(f);
	assert_true(queue_source_since(f->queue, 0, &since));
	assert_int_equal(since, f->wall);
}

static void more_endpoints_sources_or_issuers_than_there_is_room_for_are_refused(void **state)
{
	struct fixture *f = *state;
	char issuer[16];

	assert_false(queue_bind_endpoint(f->queue, QUEUE_MOST_ENDPOINTS, "x", false));
	assert_commit_fails(f, ERROR_INTERNAL);
	assert_false(queue_bind_endpoint(f->queue, -1, "x", false));
	assert_commit_fails(f, ERROR_INTERNAL);
	assert_false(queue_bind_source(f->queue, QUEUE_MOST_SOURCES, "x", "/x"));
	assert_commit_fails(f, ERROR_INTERNAL);
	for (int i = 2; i < QUEUE_MOST_ISSUERS; i++) {
		snprintf(issuer, sizeof(issuer), "I%09d", i);
		assert_true(queue_bind_issuer(f->queue, issuer, 0));
	}
	commit(f);
	assert_false(queue_bind_issuer(f->queue, "I000009999", 0));
	assert_commit_fails(f, ERROR_INTERNAL);
	assert_null(queue_issuer_of(f->queue, "I000009999"));
	assert_non_null(queue_issuer_of(f->queue, "I000000999"));
}

static void a_source_keeps_its_number_and_shows_its_state(void **state)
{
	struct fixture *f = *state;

	assert_true(queue_source_store(f->queue, 0, "waiting", "not mounted", 3));
	commit(f);
	fixture_restart(f);
	assert_string_equal(fixture_text(f, "SELECT source || drop_directory || state || reason || waiting_files FROM source_status"),
			    "lyon/srv/lyon/inwaitingnot mounted3");
}

static void a_database_that_cannot_be_opened_says_why(void **state)
{
	struct fixture *f = *state;
	struct queue *queue = NULL;
	struct error err = { 0 };
	char path[120];

	snprintf(path, sizeof(path), "%s/none/queue.db", f->folder);
	assert_false(queue_open(path, &queue, &err));
	assert_null(queue);
	assert_int_equal(err.code, ERROR_NO_INPUT);
	assert_non_null(strstr(err.text, path));
	queue_close(NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(every_state_has_the_name_that_the_product_gives_it),
		T(a_row_goes_only_the_steps_that_the_product_allows),
		T(a_step_from_a_state_that_the_row_is_not_in_spoils_the_turn),
		T(after_a_broken_guard_every_further_change_of_the_turn_is_refused),
		T(a_turn_without_changes_commits_nothing),
		T(a_manifest_whose_counts_do_not_balance_cannot_be_stored),
		T(a_manifest_settles_with_its_last_row_and_only_then),
		T(a_row_in_doubt_or_held_keeps_its_manifest_open),
		T(counts_are_those_of_all_manifests),
		T(an_endpoint_is_kept_over_a_restart),
		T(the_last_accepted_row_is_seen_at_its_endpoint),
		T(the_clock_of_an_endpoint_runs_only_while_it_is_open),
		T(the_clock_is_stored_along_with_other_changes_and_never_alone),
		T(an_issuer_that_no_endpoint_has_any_more_waits_for_one),
		T(a_source_waits_since_its_last_manifest_or_since_it_was_first_configured),
		T(more_endpoints_sources_or_issuers_than_there_is_room_for_are_refused),
		T(a_source_keeps_its_number_and_shows_its_state),
		T(a_database_that_cannot_be_opened_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
