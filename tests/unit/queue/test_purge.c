#include "fixture.h"

#include "queue/order.h"
#include "queue/purge.h"
#include "queue/read.h"

#include <sys/stat.h>
#include <unistd.h>

static const int64_t DAY = INT64_C(24) * HOUR;

/* A manifest whose rows are all accepted, and of which nothing is due any more. */
static int64_t settled(struct fixture *f, const char *rows)
{
	int64_t manifest = load(f, rows);

	while (claim(f, 0, MOST_CLAIMS))
		answer_all(f, &accepted);
	return manifest;
}

static void done_with_files(struct fixture *f)
{
	fixture_exec(f, "UPDATE manifest SET archived = x'61', original = 0, rejects_due = 0, receipt_at = NULL WHERE state NOT IN"
			" ('loading', 'released')");
}

static void settled_ago(struct fixture *f, int64_t manifest, int64_t ago)
{
	fixture_number(f, "UPDATE manifest SET settled_at = %lld WHERE manifest_id = %lld RETURNING 1", (long long)(f->wall - ago),
		       (long long)manifest);
}

static struct queue_purge older_than(const struct fixture *f, int64_t bodies, int64_t rows)
{
	return (struct queue_purge){ .bodies_before = f->wall - bodies, .rows_before = f->wall - rows };
}

/* One slice is one turn here. Gives the number of slices. */
static int purge(struct fixture *f, const struct queue_purge *as, struct queue_purged *ret_purged)
{
	bool done = false;
	int n = 0;

	*ret_purged = (struct queue_purged){ 0 };
	for (; !done; n++) {
		assert_true(queue_purge_slice(f->queue, as, ret_purged, &done));
		commit(f);
	}
	return n;
}

static int64_t n_of(struct fixture *f, const char *table)
{
	return fixture_number(f, "SELECT count(*) FROM %s", table);
}

static int64_t keys(struct fixture *f)
{
	return n_of(f, "(SELECT key FROM card_0 UNION ALL SELECT key FROM card_1 UNION ALL SELECT key FROM card_2)");
}

static void requests_go_first_and_leave_everything_else_of_their_rows(void **state)
{
	struct fixture *f = *state;
	int64_t old = settled(f, "a/Lyon b/Lyon !c"), young = settled(f, "d/Lyon");
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	struct queue_purged purged;

	done_with_files(f);
	settled_ago(f, old, 36 * DAY);
	settled_ago(f, young, 34 * DAY);
	purge(f, &as, &purged);
	assert_int_equal(purged.bodies, 3);
	assert_int_equal(purged.rows, 0);
	assert_int_equal(n_of(f, "row WHERE production_site IS NULL"), 3);
	assert_int_equal(n_of(f, "status WHERE state = 'accepted' AND operation_id IS NOT NULL AND card_id IS NOT NULL"), 3);
	assert_int_equal(fixture_number(f, "SELECT max(row_id) FROM row WHERE production_site IS NULL"), 3);
	assert_int_equal(purge(f, &as, &purged), 1);
	assert_int_equal(purged.bodies, 0);
}

static void a_manifest_that_came_after_a_young_one_is_young_whatever_the_clock_said(void **state)
{
	struct fixture *f = *state;
	int64_t old = settled(f, "a"), young = settled(f, "b"), odd = settled(f, "c");
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	struct queue_purged purged;

	done_with_files(f);
	settled_ago(f, old, 500 * DAY);
	settled_ago(f, young, 30 * DAY);
	settled_ago(f, odd, 3650 * DAY);
	fixture_exec(f, "UPDATE manifest SET received_at = settled_at");
	assert_true(queue_purge_by(f->queue, f->wall, &as));
	purge(f, &as, &purged);
	assert_int_equal(purged.manifests, 1);
	assert_int_equal(purged.bodies, 1);
	assert_int_equal(n_of(f, "row WHERE card_id IN ('b', 'c')"), 2);
}

static void a_manifest_that_is_open_keeps_everything(void **state)
{
	struct fixture *f = *state;
	struct queue_purge as = { .bodies_before = f->wall + DAY, .rows_before = f->wall + DAY };
	struct queue_purged purged;

	load(f, "a b");
	claim(f, 0, 1);
	answer_all(f, &accepted);
	loading_manifest(f, "c");
	fixture_exec(f, "UPDATE manifest SET settled_at = 1");
	purge(f, &as, &purged);
	assert_int_equal(purged.bodies + purged.rows + purged.manifests, 0);
	assert_int_equal(n_of(f, "row"), 3);
}

static void a_manifest_goes_with_its_rows_attempts_rejects_and_keys(void **state)
{
	struct fixture *f = *state;
	int64_t old = load(f, "a b !c ~d");
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	struct answer back = { .outcome = TRACK_BACK, .status = 503 };
	struct queue_purged purged;

	claim(f, 0, 9);
	answer_all(f, &back);
	claim(f, 0, 9);
	answer_all(f, &accepted);
	settled(f, "e");
	done_with_files(f);
	assert_int_equal(n_of(f, "attempt"), 2);
	settled_ago(f, old, 401 * DAY);
	purge(f, &as, &purged);
	assert_int_equal(purged.rows, 4);
	assert_int_equal(purged.manifests, 1);
	assert_int_equal(n_of(f, "row"), 1);
	assert_int_equal(n_of(f, "manifest"), 1);
	assert_int_equal(n_of(f, "attempt") + n_of(f, "reject") + n_of(f, "lane"), 0);
	assert_int_equal(keys(f), 1);
}

static void a_manifest_for_which_a_file_is_due_stays(void **state)
{
	static const char *const due[] = { "archived = NULL", "original = 1", "rejects_due = 1", "receipt_at = 5" };
	struct fixture *f = *state;
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	struct queue_purged purged;
	char sql[100];

	settled_ago(f, settled(f, "a"), 401 * DAY);
	for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
		done_with_files(f);
		snprintf(sql, sizeof(sql), "UPDATE manifest SET %s", due[i]);
		fixture_exec(f, sql);
		purge(f, &as, &purged);
		assert_int_equal(purged.rows, 0);
	}
	done_with_files(f);
	purge(f, &as, &purged);
	assert_int_equal(purged.rows, 1);
}

static void rejected_and_duplicate_manifests_go_as_well(void **state)
{
	struct fixture *f = *state;
	int64_t rejected = loading_manifest(f, "a b"), duplicate_of;
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	struct queue_purged purged;
	bool done = false;

	assert_true(queue_manifest_condemn(f->queue, rejected, "trailer"));
	while (!done)
		assert_true(queue_manifest_reject_slice(f->queue, rejected, 9, f->wall, &done));
	commit(f);
	settled(f, "c");
	f->n_files--; /* the same bytes */
	record_manifest(f, &duplicate_of);
	assert_int_equal(duplicate_of, 2);
	commit(f);
	done_with_files(f);
	fixture_exec(f, "UPDATE manifest SET settled_at = 5");
	purge(f, &as, &purged);
	assert_int_equal(purged.manifests, 3);
	assert_int_equal(n_of(f, "row") + n_of(f, "manifest") + keys(f), 0);
}

static void numbers_are_never_given_twice(void **state)
{
	struct fixture *f = *state;
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	struct queue_purged purged;

	settled_ago(f, settled(f, "a b c"), 401 * DAY);
	done_with_files(f);
	purge(f, &as, &purged);
	assert_int_equal(n_of(f, "row") + n_of(f, "manifest"), 0);
	fixture_restart(f);
	assert_int_equal(load(f, "d"), 2);
	assert_int_equal(fixture_number(f, "SELECT row_id FROM row"), 4);
}

static void a_younger_duplicate_names_the_row_that_is_purged(void **state)
{
	struct fixture *f = *state;
	int64_t old = settled(f, "a.1 b.2"), young = load(f, "a.1 c");
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	struct queue_purged purged;

	while (claim(f, 0, 9))
		answer_all(f, &accepted);
	settled_ago(f, old, 401 * DAY);
	done_with_files(f);
	assert_string_equal(fixture_text(f, "SELECT detail FROM status WHERE row_id = 3"), "row 1 accepted");
	purge(f, &as, &purged);
	assert_int_equal(purged.manifests, 1);
	assert_string_equal(fixture_text(f, "SELECT state || ': ' || detail FROM status WHERE row_id = 3"), "duplicate: row 1 purged");
	assert_int_equal(fixture_number(f, "SELECT rows FROM manifest_status WHERE manifest_id = %lld", (long long)young), 2);
	/* Purged rows are forgotten. */
	load(f, "b.2");
	assert_state(f, 5, ROW_QUEUED);
}

static void a_refused_row_whose_request_is_gone_is_not_sent_again_because_a_file_repeats_it(void **state)
{
	struct fixture *f = *state;
	int64_t old = load(f, "a.1/Lyon");
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	struct queue_reader *reader;
	struct track_request request = { .issuer_id = ISSUER_1, .card_id = "a", .type = TRACK_PRODUCTION, .production_site = "Paris" };
	struct queue_purged purged;
	struct error err;
	int64_t row;
	enum row_state known;

	claim(f, 0, 9);
	answer_all(f, &refused);
	settled_ago(f, old, 36 * DAY);
	assert_true(queue_reader_open(f->path, &reader, &err));
	assert_true(queue_reader_event(reader, &request, 1, &row, &known, &err));
	assert_int_equal(row, 0); /* another request */
	purge(f, &as, &purged);
	assert_true(queue_reader_event(reader, &request, 1, &row, &known, &err));
	assert_int_equal(row, 1);
	queue_reader_close(reader);
	load(f, "a.1/Lyon a.1/Paris");
	assert_state(f, 2, ROW_DUPLICATE);
	assert_state(f, 3, ROW_DUPLICATE);
}

/* What would be sent is not what was in the file. */
static void a_row_whose_request_is_gone_is_not_retried_whatever_the_operator_says(void **state)
{
	struct fixture *f = *state;
	struct queue_order order = { .move = QUEUE_RETRY, .state = -1, .anyway = true, .who = { .user = "a", .action = "retry" } };
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	const struct queue_order_result *result = NULL;
	int64_t row = 1, old = load(f, "a/Lyon");
	struct queue_purged purged;
	bool done = false;

	claim(f, 0, 9);
	answer_all(f, &refused);
	settled_ago(f, old, 36 * DAY);
	purge(f, &as, &purged);
	order.rows = &row;
	order.n_rows = 1;
	order.who.selector = order.who.reason = "";
	assert_true(queue_order_give(f->queue, &order, f->wall));
	while (!done)
		assert_true(queue_order_slice(f->queue, 10, f->now, f->wall, &done, &result));
	commit(f);
	assert_state(f, 1, ROW_REFUSED);
	assert_int_equal(claim(f, 0, 9), 0);
}

static void a_request_that_is_gone_is_no_repeat_with_another_request(void **state)
{
	struct fixture *f = *state;
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	struct queue_purged purged;
	int64_t old = settled(f, "a.1/Lyon");

	load(f, "a.2/Lyon");
	assert_int_equal(fixture_number(f, "SELECT repeats FROM manifest WHERE manifest_id = 2"), 0);
	load(f, "a.3/Paris");
	assert_int_equal(fixture_number(f, "SELECT repeats FROM manifest WHERE manifest_id = 3"), 1);
	settled_ago(f, old, 36 * DAY);
	purge(f, &as, &purged);
	load(f, "a.4/Paris");
	assert_int_equal(fixture_number(f, "SELECT repeats FROM manifest WHERE manifest_id = 4"), 0);
}

static void a_slice_is_bounded_and_sending_goes_on_in_the_same_turns(void **state)
{
	struct fixture *f = *state;
	int64_t old = load_many(f, 1500, "");
	struct queue_purge as;
	struct queue_purged purged = { 0 }, before;
	bool done = false;
	int n = 0;

	while (claim(f, 0, MOST_CLAIMS))
		answer_all(f, &accepted);
	load_many(f, 50, "");
	done_with_files(f);
	settled_ago(f, old, 401 * DAY);
	as = older_than(f, 35 * DAY, 400 * DAY);
	for (; !done; n++) {
		before = purged;
		assert_true(queue_purge_slice(f->queue, &as, &purged, &done));
		claim_only(f, 0, 1);
		commit(f);
		assert_true(purged.rows - before.rows <= 100);
		assert_true(purged.bodies - before.bodies <= 1000);
		assert_true(purged.pages - before.pages <= 32);
		answer_all(f, &accepted);
	}
	assert_int_equal(purged.rows, 1500);
	assert_true(n >= 15 + 2);
	assert_int_equal(n_of(f, "row"), 50);
	assert_true(n_of(f, "row WHERE state = 2") >= 17);
}

static void many_small_manifests_share_a_slice(void **state)
{
	struct fixture *f = *state;
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	struct queue_purged purged = { 0 };
	bool done;

	for (int i = 0; i < 5; i++)
		settled_ago(f, settled(f, "a"), 401 * DAY);
	done_with_files(f);
	assert_true(queue_purge_slice(f->queue, &as, &purged, &done));
	assert_int_equal(purged.bodies, 5);
	assert_true(queue_purge_slice(f->queue, &as, &purged, &done));
	assert_int_equal(purged.manifests, 5);
	commit(f);
}

static void a_purge_that_was_cut_off_goes_on_and_what_is_left_balances(void **state)
{
	struct fixture *f = *state;
	struct queue_purge as;
	struct queue_purged purged = { 0 };
	int64_t old = load_many(f, 250, "");
	bool done;

	while (claim(f, 0, MOST_CLAIMS))
		answer_all(f, &accepted);
	done_with_files(f);
	settled_ago(f, old, 401 * DAY);
	as = older_than(f, 35 * DAY, 400 * DAY);
	assert_true(queue_purge_slice(f->queue, &as, &purged, &done)); /* requests */
	assert_true(queue_purge_slice(f->queue, &as, &purged, &done));
	commit(f);
	assert_int_equal(n_of(f, "row"), 150);
	assert_true(queue_purge_slice(f->queue, &as, &purged, &done));
	/* The process ends before the commit. */
	fixture_restart(f);
	assert_int_equal(n_of(f, "row"), 150);
	assert_int_equal(fixture_number(f, "SELECT rows FROM manifest"), 150);
	purge(f, &as, &purged);
	assert_int_equal(purged.rows, 150);
	assert_int_equal(n_of(f, "manifest"), 0);
}

static void the_file_shrinks(void **state)
{
	struct fixture *f = *state;
	struct queue_purge as;
	struct queue_purged purged;
	struct stat before, after;
	int64_t old = load_many(f, 5000, "");

	while (claim(f, 0, MOST_CLAIMS))
		answer_all(f, &accepted);
	done_with_files(f);
	settled_ago(f, old, 401 * DAY);
	fixture_exec(f, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(stat(f->path, &before), 0);
	as = older_than(f, 35 * DAY, 400 * DAY);
	purge(f, &as, &purged);
	assert_true(purged.pages > 0);
	assert_int_equal(fixture_number(f, "PRAGMA freelist_count"), 0);
	fixture_exec(f, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(stat(f->path, &after), 0);
	assert_true(after.st_size < before.st_size / 3);
	assert_string_equal(fixture_text(f, "PRAGMA integrity_check"), "ok");
}

static void what_a_purge_would_do_is_counted_without_doing_it(void **state)
{
	struct fixture *f = *state;
	int64_t oldest = settled(f, "a b c"), old = settled(f, "d e");
	struct queue_purge as = older_than(f, 35 * DAY, 400 * DAY);
	struct queue_purge_due due;
	struct error err;

	settled_ago(f, settled(f, "f"), 0);
	done_with_files(f);
	settled_ago(f, oldest, 401 * DAY);
	settled_ago(f, old, 36 * DAY);
	if (!queue_purge_due(f->path, &as, &due, &err))
		fail_msg("%s", err.text);
	assert_int_equal(due.bodies_manifests, 2);
	assert_int_equal(due.bodies_rows, 5);
	assert_int_equal(due.rows_manifests, 1);
	assert_int_equal(due.rows_rows, 3);
	assert_int_equal(n_of(f, "row WHERE production_site IS NOT NULL"), 6);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(requests_go_first_and_leave_everything_else_of_their_rows),
		T(a_manifest_that_came_after_a_young_one_is_young_whatever_the_clock_said),
		T(a_manifest_that_is_open_keeps_everything),
		T(a_manifest_goes_with_its_rows_attempts_rejects_and_keys),
		T(a_manifest_for_which_a_file_is_due_stays),
		T(rejected_and_duplicate_manifests_go_as_well),
		T(numbers_are_never_given_twice),
		T(a_younger_duplicate_names_the_row_that_is_purged),
		T(a_refused_row_whose_request_is_gone_is_not_sent_again_because_a_file_repeats_it),
		T(a_row_whose_request_is_gone_is_not_retried_whatever_the_operator_says),
		T(a_request_that_is_gone_is_no_repeat_with_another_request),
		T(a_slice_is_bounded_and_sending_goes_on_in_the_same_turns),
		T(many_small_manifests_share_a_slice),
		T(a_purge_that_was_cut_off_goes_on_and_what_is_left_balances),
		T(the_file_shrinks),
		T(what_a_purge_would_do_is_counted_without_doing_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
