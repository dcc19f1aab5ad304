#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The product's table of states, written down a second time: '1' where a row may go from the line's state to the column's. */
static const char *const steps[ROW_N_STATES] = {
	/*                 q s a r d h e c j u k */
	[ROW_QUEUED] = "01000101100",   [ROW_SENDING] = "10111010000",  [ROW_ACCEPTED] = "00000000000",
	[ROW_REFUSED] = "10000000000",  [ROW_IN_DOUBT] = "10100000000", [ROW_HELD] = "10000001000",
	[ROW_EXPIRED] = "10000000000",  [ROW_CANCELLED] = "00000000000", [ROW_REJECTED] = "00000000000",
	[ROW_DUPLICATE] = "10000000100", [ROW_SKIPPED] = "00000000100",
};

/* Moves row 1 by a statement as the queue's own are: it names the state from which it goes. */
static bool step(struct fixture *f, enum row_state named, enum row_state from, enum row_state to)
{
	sqlite3_stmt *statement;
	char sql[120];
	bool done;

	snprintf(sql, sizeof(sql), "UPDATE row SET state = %d, attempts = 1, correlation = 1 WHERE row_id = 1 AND state = %d", (int)to, (int)named);
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
	static const char *const names[] = { "queued",	"sending",   "accepted", "refused",   "in_doubt", "held",
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
	struct queue_endpoint as = { .state = "paused", .reason = "credentials", .until_ms = 5, .step = 3, .concurrency = 4, .token_expires_at = 6 };
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
	assert_true(queue_recover(f->queue, f->now, f->wall, &rows));
	commit(f);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_string_equal(fixture_text(f, "SELECT waits_for FROM status WHERE card_id = 'b'"), "an endpoint for its issuer");
	fixture_restart(f);
	assert_string_equal(claimed_cards(f, 1, 9), "b");
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

/* --- commits that fail --- */

static int say_no(void *no)
{
	return *(bool *)no;
}

/* The database as bytes. */
static unsigned char *image(struct fixture *f, sqlite3_int64 *ret_size)
{
	unsigned char *bytes = sqlite3_serialize(f->queue->db.handle, "main", ret_size, 0);

	assert_non_null(bytes);
	return bytes;
}

static void assert_image(struct fixture *f, unsigned char *before, sqlite3_int64 size_before)
{
	sqlite3_int64 size;
	unsigned char *now = image(f, &size);

	assert_int_equal(size, size_before);
	assert_memory_equal(now, before, (size_t)size);
	sqlite3_free(now);
	sqlite3_free(before);
}

static void after_a_commit_that_failed_disk_and_memory_are_as_before_and_the_turn_can_be_done_again(void **state)
{
	struct fixture *f = *state;
	struct queue_claim first;
	unsigned char *before;
	sqlite3_int64 size;
	bool no = false;
	int64_t loading, next_row;

	load(f, "a b c d e f a.5 a.6");
	load(f, "g");
	claim(f, 0, 2);
	first = *f->claims[0];
	loading = loading_manifest(f, "h i");
	sqlite3_commit_hook(f->queue->db.handle, say_no, &no);
	for (int i = 0; i < 2; i++) {
		before = image(f, &size);
		next_row = f->queue->next_row;
		no = true;
		/* One of everything: answers, claims, a release, rows and a new manifest. */
		assert_int_equal(record(f, &first, &accepted, NULL), ROW_ACCEPTED);
		claim_only(f, 0, 64);
		assert_int_equal(f->n_claims, 6);
		add_rows(f, loading, "j@2 !k ~l");
		assert_true(queue_manifest_release(f->queue, loading, f->now, f->wall));
		add_rows(f, record_manifest(f, NULL), "m a.9");
		queue_endpoint_open(f->queue, 0, true, f->now - 20000);
		queue_endpoint_open(f->queue, 0, false, f->now);
		assert_commit_fails(f, ERROR_INTERNAL);
		no = false;
		assert_image(f, before, size);
		assert_int_equal(f->queue->next_row, next_row);
		assert_int_equal(f->queue->settled, 0);
		f->n_files--;
	}
	/* And now the same for good. */
	assert_int_equal(record(f, &first, &accepted, NULL), ROW_ACCEPTED);
	assert_int_equal(claim(f, 0, 64), 6);
	add_rows(f, loading, "j@2 !k ~l");
	release(f, loading);
	assert_string_equal(claimed_cards(f, 1, 64), "j");
	assert_string_equal(claimed_cards(f, 0, 64), "h i");
	loading_manifest(f, "m a.9");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM manifest"), 4);
	/* What the failed turn said of the clock was not stored: it is told once more. */
	assert_true(queue_source_store(f->queue, 0, "open", "", 0));
	queue_endpoint_open(f->queue, 0, false, f->now);
	commit(f);
	assert_int_equal(fixture_number(f, "SELECT open_ms FROM endpoint WHERE name = 'bank'"), 40000);
}

static void a_manifest_that_settled_in_a_turn_that_failed_is_still_open(void **state)
{
	struct fixture *f = *state;
	bool no = true;

	load(f, "a");
	claim(f, 0, 9);
	sqlite3_commit_hook(f->queue->db.handle, say_no, &no);
	record(f, f->claims[0], &(struct answer){ .outcome = TRACK_BACK, .status = 503 }, NULL);
	assert_commit_fails(f, ERROR_INTERNAL);
	record(f, f->claims[0], &accepted, NULL);
	assert_commit_fails(f, ERROR_INTERNAL);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "released");
	no = false;
	answer_all(f, &accepted);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "settled");
}

static void refusals_that_were_not_stored_do_not_pause_a_manifest(void **state)
{
	struct fixture *f = *state;
	bool no = true, paused = false;

	load_many(f, 40, "");
	claim(f, 0, QUEUE_REFUSALS_RUNNING);
	sqlite3_commit_hook(f->queue->db.handle, say_no, &no);
	for (size_t i = 0; i < f->n_claims; i++)
		record(f, f->claims[i], &refused, &paused);
	assert_true(paused);
	assert_commit_fails(f, ERROR_INTERNAL);
	assert_string_equal(fixture_text(f, "SELECT paused FROM manifest"), "");
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now);
	no = false;
	answer_all(f, &refused);
	assert_string_equal(fixture_text(f, "SELECT paused FROM manifest"), "refusals");
}

static void a_full_disk_costs_nothing_and_work_goes_on_when_there_is_room_again(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, old;
	unsigned char *before;
	struct error err = { 0 };
	sqlite3_int64 size;
	struct stat st;
	char wal[100];

	load_many(f, 300, "");
	claim(f, 0, 20);
	before = image(f, &size);
	snprintf(wal, sizeof(wal), "%s-wal", f->path);
	assert_int_equal(stat(wal, &st), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){ .rlim_cur = (rlim_t)st.st_size, .rlim_max = old.rlim_max };
	for (int i = 0; i < 3; i++) {
		int64_t manifest;
		bool committed;

		manifest = record_manifest(f, NULL);
		f->n_files--;
		for (size_t k = 0; k < 20; k++)
			record(f, f->claims[k], &accepted, NULL);
		add_many(f, manifest, 300, "x");
		setrlimit(RLIMIT_FSIZE, &limit);
		committed = queue_commit(f->queue, &err);
		setrlimit(RLIMIT_FSIZE, &old);
		assert_false(committed);
		assert_int_equal(err.code, ERROR_IO);
		assert_sound(f);
	}
	assert_image(f, before, size);
	answer_all(f, &accepted);
	load_many(f, 300, "x");
	assert_int_equal(claim(f, 0, 64), 64);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row WHERE state = 2"), 20);
}

struct blindness {
	sqlite3 *handle;
	bool blind;
};

/* Interrupts every reading, but lets a transaction end. */
static int blind(void *user)
{
	const struct blindness *b = user;

	return b->blind && sqlite3_get_autocommit(b->handle);
}

static int go_blind(void *user)
{
	((struct blindness *)user)->blind = true;
	return 1;
}

static void while_the_database_cannot_even_be_read_nothing_moves_and_then_work_goes_on(void **state)
{
	struct fixture *f = *state;
	struct blindness b = { .handle = f->queue->db.handle };
	struct error err = { 0 };

	load(f, "a b c d");
	claim(f, 0, 2);
	sqlite3_progress_handler(b.handle, 1, blind, &b);
	sqlite3_commit_hook(b.handle, go_blind, &b);
	record(f, f->claims[0], &accepted, NULL);
	for (int i = 0; i < 3; i++) {
		size_t n = 99;

		assert_false(queue_commit(f->queue, &err));
		assert_true(queue_claim(f->queue, 0, 9, f->now, f->wall, f->claims + 2, &n));
		assert_int_equal(n, 0);
		assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
	}
	sqlite3_progress_handler(b.handle, 0, NULL, NULL);
	sqlite3_commit_hook(b.handle, NULL, NULL);
	/* The turn in which it sees again still fails: what it gathered did not know the database. */
	assert_false(queue_commit(f->queue, &err));
	answer_all(f, &accepted);
	assert_string_equal(claimed_cards(f, 0, 9), "c d");
	answer_all(f, &accepted);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "settled");
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
		T(more_endpoints_sources_or_issuers_than_there_is_room_for_are_refused),
		T(a_source_keeps_its_number_and_shows_its_state),
		T(after_a_commit_that_failed_disk_and_memory_are_as_before_and_the_turn_can_be_done_again),
		T(a_manifest_that_settled_in_a_turn_that_failed_is_still_open),
		T(refusals_that_were_not_stored_do_not_pause_a_manifest),
		T(a_full_disk_costs_nothing_and_work_goes_on_when_there_is_room_again),
		T(while_the_database_cannot_even_be_read_nothing_moves_and_then_work_goes_on),
		T(a_database_that_cannot_be_opened_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
