#include "fixture.h"

static int64_t next_of(struct fixture *f, enum queue_errand_kind kind, int64_t after, int64_t wall)
{
	struct queue_errand errand;
	int64_t manifest;

	assert_true(queue_errand_next(f->queue, kind, wall, after, &errand));
	manifest = errand.manifest;
	queue_errand_free(&errand);
	assert_null(errand.name);
	return manifest;
}

static int64_t receipt_at(struct fixture *f)
{
	int64_t first = -1, last = -1;

	assert_true(queue_errand_receipts_at(f->queue, &first, &last));
	assert_true(first <= last);
	return first;
}

static void reject_whole(struct fixture *f, int64_t manifest, const char *reason)
{
	bool done = false;

	assert_true(queue_manifest_condemn(f->queue, manifest, reason));
	while (!done)
		assert_true(queue_manifest_reject_slice(f->queue, manifest, 100, f->wall, &done));
	commit(f);
}

static void a_copy_goes_to_the_archive_once_its_manifest_is_no_longer_loading(void **state)
{
	struct fixture *f = *state;

	loading_manifest(f, "a");
	assert_int_equal(next_of(f, QUEUE_ARCHIVE, 0, f->wall), 0);
	release(f, 1);
	load(f, "b");
	reject_whole(f, loading_manifest(f, "c"), "no");
	assert_int_equal(next_of(f, QUEUE_ARCHIVE, 0, f->wall), 1);
	assert_int_equal(next_of(f, QUEUE_ARCHIVE, 1, f->wall), 2);
	assert_int_equal(next_of(f, QUEUE_ARCHIVE, 2, f->wall), 3);
	assert_true(queue_errand_archived(f->queue, 1, "2027/01/15/1.file1.csv"));
	commit(f);
	assert_int_equal(next_of(f, QUEUE_ARCHIVE, 0, f->wall), 2);
	assert_string_equal(fixture_text(f, "SELECT archived FROM manifest WHERE manifest_id = 1"), "2027/01/15/1.file1.csv");
}

static void an_errand_tells_all_that_is_needed_to_run_it(void **state)
{
	struct fixture *f = *state;
	struct queue_errand errand;

	load(f, "a b c d !e ~f");
	assert_true(queue_errand_archived(f->queue, 1, "2027/x"));
	claim(f, 0, 3);
	answer_one(f, 0, &accepted);
	answer_one(f, 1, &in_doubt);
	assert_true(queue_errand_next(f->queue, QUEUE_REJECTS, f->wall, 0, &errand));
	assert_int_equal(errand.manifest, 1);
	assert_int_equal(errand.source, 0);
	assert_string_equal(errand.source_name, "lyon");
	assert_string_equal(errand.name, "file1.csv");
	assert_string_equal(errand.archived, "2027/x");
	assert_string_equal(errand.state, "released");
	assert_int_equal(errand.received_at, f->wall);
	assert_int_equal(errand.first_row, 1);
	assert_int_equal(errand.last_row, 6);
	assert_int_equal(errand.rows, 6);
	assert_int_equal(errand.accepted, 1);
	assert_int_equal(errand.open, 3);
	assert_int_equal(errand.rejected, 1);
	assert_string_equal(errand.reason, "");
	queue_errand_free(&errand);
}

static void an_errand_of_a_source_that_is_no_longer_configured_has_no_index(void **state)
{
	struct fixture *f = *state;
	struct queue_errand errand;
	struct error err;

	load(f, "a");
	queue_close(f->queue);
	assert_true(queue_open(f->path, &f->queue, &err));
	assert_true(queue_errand_next(f->queue, QUEUE_ARCHIVE, f->wall, 0, &errand));
	assert_int_equal(errand.source, -1);
	assert_string_equal(errand.source_name, "lyon");
	assert_null(errand.archived);
	queue_errand_free(&errand);
}

static void a_rejects_file_is_due_for_a_manifest_with_a_rejected_row_however_small(void **state)
{
	struct fixture *f = *state;

	load(f, "a b");
	assert_int_equal(next_of(f, QUEUE_REJECTS, 0, f->wall), 0);
	load(f, "c !d");
	load_many(f, 1, ""); /* read and released in one turn */
	assert_int_equal(next_of(f, QUEUE_REJECTS, 0, f->wall), 2);
	record_manifest(f, NULL);
	add_rows(f, 4, "!e");
	release(f, 4);
	assert_int_equal(next_of(f, QUEUE_REJECTS, 2, f->wall), 4);
	assert_true(queue_errand_rejects_done(f->queue, 2));
	commit(f);
	assert_int_equal(next_of(f, QUEUE_REJECTS, 0, f->wall), 4);
	assert_true(queue_errand_rejects_done(f->queue, 4));
	commit(f);
	assert_int_equal(next_of(f, QUEUE_REJECTS, 0, f->wall), 0);
}

static void a_receipt_is_due_at_the_release_then_daily_and_when_the_manifest_settles(void **state)
{
	struct fixture *f = *state;
	const int64_t day = 24 * (int64_t)HOUR;

	assert_int_equal(receipt_at(f), INT64_MAX);
	loading_manifest(f, "a b");
	assert_int_equal(receipt_at(f), INT64_MAX);
	release(f, 1);
	assert_int_equal(receipt_at(f), f->wall);
	assert_int_equal(next_of(f, QUEUE_RECEIPT, 0, f->wall - 1), 0);
	assert_int_equal(next_of(f, QUEUE_RECEIPT, 0, f->wall), 1);
	assert_true(queue_errand_receipt_done(f->queue, 1, 2, f->wall + day));
	commit(f);
	assert_int_equal(receipt_at(f), f->wall + day);
	assert_int_equal(next_of(f, QUEUE_RECEIPT, 0, f->wall), 0);
	assert_int_equal(next_of(f, QUEUE_RECEIPT, 0, f->wall + day), 1);
	claim(f, 0, 9);
	answer_all(f, &accepted);
	assert_true(receipt_at(f) < INT64_MAX); /* by the clock of the commit, not the test's */
	assert_string_equal(fixture_text(f, "SELECT receipt_at = settled_at FROM manifest"), "1");
	assert_true(queue_errand_receipt_done(f->queue, 1, 0, 0));
	commit(f);
	assert_int_equal(receipt_at(f), INT64_MAX);
	assert_int_equal(next_of(f, QUEUE_RECEIPT, 0, INT64_MAX), 0);
}

static void a_receipt_written_before_the_manifest_settled_is_written_again(void **state)
{
	struct fixture *f = *state;

	load(f, "a b");
	claim(f, 0, 9);
	answer_one(f, 0, &accepted);
	record(f, f->claims[1], &accepted, NULL);
	/* The file with one row open is done in the very turn in which that row comes to its end. */
	assert_true(queue_errand_receipt_done(f->queue, 1, 1, f->wall + HOUR));
	commit(f);
	assert_string_equal(fixture_text(f, "SELECT receipt_at = settled_at FROM manifest"), "1");
	assert_true(queue_errand_receipt_done(f->queue, 1, 1, f->wall + HOUR));
	commit(f);
	assert_string_equal(fixture_text(f, "SELECT receipt_at = settled_at FROM manifest"), "1");
}

static void a_rejected_or_duplicate_manifest_gets_its_receipt_at_once(void **state)
{
	struct fixture *f = *state;
	int64_t of;

	load(f, "a");
	assert_true(queue_errand_receipt_done(f->queue, 1, 1, 0));
	f->n_files--;
	assert_int_equal(record_manifest(f, &of), 2);
	assert_int_equal(of, 1);
	commit(f);
	assert_int_equal(next_of(f, QUEUE_RECEIPT, 0, f->wall), 2);
	assert_int_equal(next_of(f, QUEUE_ARCHIVE, 1, f->wall), 2);
	f->wall++;
	reject_whole(f, loading_manifest(f, "!b c"), "no");
	assert_int_equal(next_of(f, QUEUE_RECEIPT, 2, f->wall), 3);
}

static void a_receipt_that_cannot_be_written_is_put_off_and_says_why_until_it_is(void **state)
{
	struct fixture *f = *state;

	load(f, "a");
	assert_true(queue_errand_failed(f->queue, 1, QUEUE_RECEIPT, f->wall + 60000, "/srv/out: No such file or directory"));
	commit(f);
	assert_int_equal(receipt_at(f), f->wall + 60000);
	assert_string_equal(fixture_text(f, "SELECT reason FROM manifest_status"), "receipt: /srv/out: No such file or directory");
	assert_true(queue_errand_failed(f->queue, 1, QUEUE_RECEIPT, f->wall + 70000, "/srv/out: Permission denied"));
	commit(f);
	assert_string_equal(fixture_text(f, "SELECT reason FROM manifest_status"), "receipt: /srv/out: Permission denied");
	assert_true(queue_errand_receipt_done(f->queue, 1, 1, 0));
	commit(f);
	assert_string_equal(fixture_text(f, "SELECT reason FROM manifest_status"), "");
}

static void another_errand_that_fails_leaves_the_receipt_where_it_was(void **state)
{
	struct fixture *f = *state;

	load(f, "a !b");
	assert_true(queue_errand_failed(f->queue, 1, QUEUE_REJECTS, f->wall + 60000, "no space"));
	commit(f);
	assert_int_equal(receipt_at(f), f->wall);
	assert_int_equal(next_of(f, QUEUE_REJECTS, 0, f->wall), 1);
}

static void a_receipt_that_fails_does_not_hide_why_the_manifest_is_paused(void **state)
{
	struct fixture *f = *state;

	load(f, "a");
	fixture_exec(f, "UPDATE manifest SET paused = 'refusals', reason = '20 rows'");
	assert_true(queue_errand_failed(f->queue, 1, QUEUE_RECEIPT, f->wall + 1, "no space"));
	assert_true(queue_errand_receipt_done(f->queue, 1, 1, 0));
	commit(f);
	assert_string_equal(fixture_text(f, "SELECT reason FROM manifest_status"), "20 rows");
}

static void the_earliest_receipt_is_the_one_that_is_waited_for(void **state)
{
	struct fixture *f = *state;

	load(f, "a");
	load(f, "b");
	assert_true(queue_errand_receipt_done(f->queue, 1, 1, f->wall + 500));
	assert_true(queue_errand_receipt_done(f->queue, 2, 1, f->wall + 400));
	commit(f);
	assert_int_equal(receipt_at(f), f->wall + 400);
	assert_int_equal(next_of(f, QUEUE_RECEIPT, 0, f->wall + 600), 2);
}

/* --- the rows of these files --- */

struct seen {
	char text[600];
	int stop_after;
};

static bool see(void *user, const struct queue_receipt_row *row)
{
	struct seen *seen = user;
	size_t length = strlen(seen->text);

	snprintf(seen->text + length, sizeof(seen->text) - length, "%lld %s %s %s %d %s %s %s; ", (long long)row->line, row->card_id,
		 row->tracking_type, row->state, row->http_status, row->error_code, row->operation_id, row->detail);
	return seen->stop_after == 0 || --seen->stop_after > 0;
}

static bool see_reject(void *user, const struct queue_receipt_row *row)
{
	struct seen *seen = user;
	size_t length = strlen(seen->text);

	snprintf(seen->text + length, sizeof(seen->text) - length, "%lld %lld+%lld %s %s; ", (long long)row->line,
		 (long long)row->byte_offset, (long long)row->byte_length, row->column, row->reason);
	return seen->stop_after == 0 || --seen->stop_after > 0;
}

static void receipt_rows_come_in_the_order_of_the_file_and_only_those_of_the_manifest(void **state)
{
	struct fixture *f = *state;
	struct seen seen = { 0 };
	int64_t last = 0;

	load(f, "a.1");
	load(f, "a.1 !b ~c d e.5 e.6");
	load(f, "z");
	claim(f, 0, 2);
	claim(f, 0, 9);
	fixture_exec(f, "UPDATE row SET line = 100 + row_id");
	for (int64_t before = -1; last != before;) {
		before = last;
		assert_true(queue_receipt_rows(f->queue, 2, last, 2, see, &seen, &last));
	}
	assert_int_equal(last, 7);
	assert_string_equal(seen.text, "102 a PRODUCTION duplicate 0   row 1 sending; 103 b PRODUCTION rejected 0   SITE: must not be so; "
				       "104 c PRODUCTION skipped 0   ; 105 d PRODUCTION sending 0   ; 106 e PRODUCTION sending 0   ; "
				       "107 e PRODUCTION queued 0   ; ");
}

static void a_duplicate_has_the_operation_id_of_the_row_that_it_repeats(void **state)
{
	struct fixture *f = *state;
	struct seen seen = { 0 };
	int64_t last = 0;

	load(f, "a.1");
	claim(f, 0, 1);
	answer_all(f, &accepted);
	load(f, "a.1 b");
	fixture_exec(f, "UPDATE row SET line = 7");
	assert_true(queue_receipt_rows(f->queue, 1, 0, 9, see, &seen, &last));
	assert_true(queue_receipt_rows(f->queue, 2, 0, 1, see, &seen, &last));
	assert_string_equal(seen.text, "7 a PRODUCTION accepted 202  op-1 ; 7 a PRODUCTION duplicate 0  op-1 row 1 accepted; ");
	assert_int_equal(last, 2);
}

static void reject_rows_are_those_rejected_by_themselves_with_their_place_in_the_file(void **state)
{
	struct fixture *f = *state;
	struct seen seen = { 0 };
	int64_t last = 0;

	load(f, "!x");
	loading_manifest(f, "a !b c !d !e");
	reject_whole(f, 2, "no");
	load(f, "!y");
	fixture_exec(f, "UPDATE row SET line = 100 + row_id; UPDATE reject SET byte_offset = 10 * row_id");
	assert_true(queue_reject_rows(f->queue, 2, 0, 2, see_reject, &seen, &last));
	assert_int_equal(last, 5);
	assert_true(queue_reject_rows(f->queue, 2, last, 2, see_reject, &seen, &last));
	assert_string_equal(seen.text, "103 30+39 SITE must not be so; 105 50+39 SITE must not be so; 106 60+39 SITE must not be so; ");
	assert_true(queue_reject_rows(f->queue, 2, last, 2, see_reject, &seen, &last));
	assert_int_equal(last, 6);
}

static void who_has_seen_enough_rows_stops(void **state)
{
	struct fixture *f = *state;
	struct seen seen = { .stop_after = 1 };
	int64_t last = 0;

	load(f, "a !b !c");
	assert_false(queue_receipt_rows(f->queue, 1, 0, 9, see, &seen, &last));
	assert_int_equal(last, 1);
	seen.stop_after = 1;
	assert_false(queue_reject_rows(f->queue, 1, 0, 9, see_reject, &seen, &last));
	assert_int_equal(last, 2);
	assert_sound(f);
}

static void a_manifest_without_rows_has_none_to_show(void **state)
{
	struct fixture *f = *state;
	struct seen seen = { 0 };
	int64_t last = 0;

	load(f, "a");
	record_manifest(f, NULL);
	reject_whole(f, 2, "no data row");
	assert_true(queue_receipt_rows(f->queue, 2, 0, 9, see, &seen, &last));
	assert_true(queue_reject_rows(f->queue, 2, 0, 9, see_reject, &seen, &last));
	assert_true(queue_receipt_rows(f->queue, 99, 0, 9, see, &seen, &last));
	assert_string_equal(seen.text, "");
	assert_int_equal(last, 0);
}

static void in_a_spoiled_turn_no_errand_is_found(void **state)
{
	struct fixture *f = *state;
	const struct error no = { .code = ERROR_IO, .text = "no" };
	struct queue_errand errand = { .manifest = 77 };
	struct queue_loading loading = { .manifest = 77 };
	int64_t at = 77, found = 77;
	struct error err;

	load(f, "a");
	queue_spoil(f->queue, &no);
	assert_false(queue_errand_next(f->queue, QUEUE_REJECTS, f->wall, 0, &errand));
	assert_int_equal(errand.manifest, 77);
	assert_false(queue_errand_receipts_at(f->queue, &at, &at));
	assert_false(queue_manifest_loading(f->queue, &loading));
	assert_false(queue_manifest_of_original(f->queue, 0, "x", 1, 2, 3, &found));
	assert_int_equal(at + loading.manifest + found, 3 * 77);
	assert_false(queue_commit(f->queue, &err));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_copy_goes_to_the_archive_once_its_manifest_is_no_longer_loading),
		T(an_errand_tells_all_that_is_needed_to_run_it),
		T(an_errand_of_a_source_that_is_no_longer_configured_has_no_index),
		T(a_rejects_file_is_due_for_a_manifest_with_a_rejected_row_however_small),
		T(a_receipt_is_due_at_the_release_then_daily_and_when_the_manifest_settles),
		T(a_receipt_written_before_the_manifest_settled_is_written_again),
		T(a_rejected_or_duplicate_manifest_gets_its_receipt_at_once),
		T(a_receipt_that_cannot_be_written_is_put_off_and_says_why_until_it_is),
		T(another_errand_that_fails_leaves_the_receipt_where_it_was),
		T(a_receipt_that_fails_does_not_hide_why_the_manifest_is_paused),
		T(the_earliest_receipt_is_the_one_that_is_waited_for),
		T(receipt_rows_come_in_the_order_of_the_file_and_only_those_of_the_manifest),
		T(a_duplicate_has_the_operation_id_of_the_row_that_it_repeats),
		T(reject_rows_are_those_rejected_by_themselves_with_their_place_in_the_file),
		T(who_has_seen_enough_rows_stops),
		T(a_manifest_without_rows_has_none_to_show),
		T(in_a_spoiled_turn_no_errand_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
