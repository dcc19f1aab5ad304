#include "fixture.h"

static const uint8_t some_bytes[32] = { 1, 2, 3 }, other_bytes[32] = { 1, 2, 4 };

/* A manifest of the bytes given, and of which one it is a duplicate. */
static int64_t record_bytes(struct fixture *f, int source, const uint8_t *sha256, int64_t *ret_duplicate_of)
{
	struct queue_manifest_new as = { .source = source, .name = "x.csv", .sha256 = sha256, .bytes = 5, .wall_ms = f->wall };
	int64_t manifest;

	assert_true(queue_manifest_record(f->queue, &as, &manifest, ret_duplicate_of));
	return manifest;
}

static void a_manifest_gets_the_number_that_was_promised_and_no_number_twice(void **state)
{
	struct fixture *f = *state;
	int64_t next;

	for (int64_t i = 1; i < 4; i++) {
		assert_true(queue_manifest_next(f->queue, &next));
		assert_int_equal(next, i);
		assert_int_equal(load(f, "a"), i);
	}
	fixture_exec(f, "DELETE FROM lane; DELETE FROM row; DELETE FROM manifest");
	fixture_restart(f);
	assert_true(queue_manifest_next(f->queue, &next));
	assert_int_equal(next, 4);
	assert_int_equal(load(f, "a"), 4);
}

static void a_name_is_kept_in_its_own_bytes_and_shown_in_safe_ones(void **state)
{
	struct fixture *f = *state;
	struct queue_manifest_new as = { .name = "\xc3\xa9\n\xff.csv", .sha256 = some_bytes, .bytes = 5, .wall_ms = f->wall };
	int64_t manifest, duplicate_of;

	assert_true(queue_manifest_record(f->queue, &as, &manifest, &duplicate_of));
	commit(f);
	assert_string_equal(fixture_text(f, "SELECT name FROM manifest_status"), "\xc3\xa9\\x0A\\xFF.csv");
	assert_string_equal(fixture_text(f, "SELECT typeof(name) || hex(name) FROM manifest"), "blobC3A90AFF2E637376");
}

static void the_same_bytes_again_are_a_duplicate_with_nothing_to_load(void **state)
{
	struct fixture *f = *state;
	struct queue_loading loading;
	int64_t of;

	record_bytes(f, 0, some_bytes, &of);
	assert_int_equal(of, 0);
	add_rows(f, 1, "a");
	release(f, 1);
	assert_int_equal(record_bytes(f, 0, some_bytes, &of), 2);
	assert_int_equal(of, 1);
	commit(f);
	assert_true(queue_manifest_loading(f->queue, &loading));
	assert_int_equal(loading.manifest, 0);
	assert_string_equal(
		fixture_text(f, "SELECT state || ', ' || reason || ', ' || settled_at FROM manifest_status WHERE manifest_id = 2"),
		"duplicate, same bytes as manifest 1, 2027-01-15T08:00:00.007Z");
	assert_int_equal(fixture_number(f, "SELECT duplicate_of FROM manifest WHERE manifest_id = 2"), 1);
	claim(f, 0, 1);
	answer_all(f, &accepted);
	record_bytes(f, 0, some_bytes, &of);
	assert_int_equal(of, 1);
	record_bytes(f, 0, other_bytes, &of);
	assert_int_equal(of, 0);
	commit(f);
}

static void bytes_are_compared_within_their_source(void **state)
{
	struct fixture *f = *state;
	int64_t of;

	assert_true(queue_bind_source(f->queue, 1, "paris", "/srv/paris/in"));
	record_bytes(f, 0, some_bytes, &of);
	release(f, 1);
	record_bytes(f, 1, some_bytes, &of);
	assert_int_equal(of, 0);
	commit(f);
}

static void bytes_that_did_not_load_whole_are_no_duplicate(void **state)
{
	struct fixture *f = *state;
	bool done = false;
	int64_t of;

	/* Still loading. */
	record_bytes(f, 0, some_bytes, &of);
	record_bytes(f, 0, some_bytes, &of);
	assert_int_equal(of, 0);
	commit(f);
	/* Rejected whole. */
	assert_true(queue_manifest_condemn(f->queue, 1, "no"));
	assert_true(queue_manifest_reject_slice(f->queue, 1, 10, f->wall, &done));
	assert_true(done);
	record_bytes(f, 0, some_bytes, &of);
	assert_int_equal(of, 0);
	/* With a rejected row, and released in this very turn. */
	add_rows(f, 2, "a !b");
	assert_true(queue_manifest_release(f->queue, 2, f->now, f->wall, NULL));
	record_bytes(f, 0, some_bytes, &of);
	assert_int_equal(of, 0);
	commit(f);
	record_bytes(f, 0, some_bytes, &of);
	assert_int_equal(of, 0);
	commit(f);
}

static void a_file_that_was_recorded_before_a_crash_is_found_by_all_that_tells_it_from_others(void **state)
{
	struct fixture *f = *state;
	struct queue_manifest_new as = {
		.name = "x.csv", .sha256 = some_bytes, .bytes = 5, .device = 8, .inode = UINT64_MAX, .mtime_ns = 7, .wall_ms = f->wall
	};
	int64_t manifest, found = -1, of;

	assert_true(queue_manifest_record(f->queue, &as, &manifest, &of));
	commit(f);
	assert_true(queue_manifest_of_original(f->queue, 0, "x.csv", UINT64_MAX, 7, 5, &found));
	assert_int_equal(found, manifest);
	assert_true(queue_manifest_of_original(f->queue, 0, "y.csv", UINT64_MAX, 7, 5, &found));
	assert_int_equal(found, 0);
	assert_true(queue_manifest_of_original(f->queue, 0, "x.csv", 1, 7, 5, &found));
	assert_int_equal(found, 0);
	assert_true(queue_manifest_of_original(f->queue, 0, "x.csv", UINT64_MAX, 8, 5, &found));
	assert_int_equal(found, 0);
	assert_true(queue_manifest_of_original(f->queue, 0, "x.csv", UINT64_MAX, 7, 6, &found));
	assert_int_equal(found, 0);
	assert_true(queue_manifest_original_gone(f->queue, manifest));
	commit(f);
	assert_true(queue_manifest_of_original(f->queue, 0, "x.csv", UINT64_MAX, 7, 5, &found));
	assert_int_equal(found, 0);
}

static void the_oldest_loading_manifest_is_gone_on_with_where_it_stood(void **state)
{
	struct fixture *f = *state;
	struct queue_loading loading;
	int64_t of;

	load(f, "a");
	record_bytes(f, 0, some_bytes, &of);
	record_bytes(f, 0, other_bytes, &of);
	assert_true(queue_manifest_loading(f->queue, &loading));
	assert_int_equal(loading.manifest, 2);
	assert_string_equal(loading.source, "lyon");
	assert_string_equal(loading.shown_name, "x.csv");
	assert_int_equal(loading.offset, 0);
	assert_int_equal(loading.line, 1);
	add_rows(f, 2, "b c");
	assert_true(queue_manifest_progress(f->queue, 2, 4321, 17));
	commit(f);
	fixture_restart(f);
	add_rows(f, 2, "d");
	assert_true(queue_manifest_progress(f->queue, 2, 5000, 18));
	commit(f);
	assert_true(queue_manifest_loading(f->queue, &loading));
	assert_int_equal(loading.offset, 5000);
	assert_int_equal(loading.line, 18);
	assert_int_equal(loading.rows, 3);
	assert_string_equal(loading.verdict, "");
	assert_string_equal(fixture_text(f, "SELECT first_row || '-' || last_row FROM manifest WHERE manifest_id = 2"), "2-4");
	release(f, 2);
	assert_true(queue_manifest_loading(f->queue, &loading));
	assert_int_equal(loading.manifest, 3);
	release(f, 3);
	assert_true(queue_manifest_loading(f->queue, &loading));
	assert_int_equal(loading.manifest, 0);
}

static void a_manifest_without_a_row_to_send_settles_as_it_is_released(void **state)
{
	struct fixture *f = *state;

	load(f, "!a ~b");
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "settled");
	assert_int_equal(queue_settled(f->queue), 1);
	assert_int_equal(f->queue->n_lanes, 0);
	load(f, "c.1 d.2");
	load(f, "c.1 d.2");
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest WHERE manifest_id = 3"), "settled");
}

static void a_condemned_manifest_is_rejected_slice_by_slice_with_its_reason(void **state)
{
	struct fixture *f = *state;
	struct queue_loading loading;
	bool done = true;
	int slices = 0;

	load(f, "a.1");
	loading_manifest(f, "b.2 a.1 !c ~d e.3 b.4 f g");
	assert_true(queue_manifest_condemn(f->queue, 2, "trailer says 9 rows, 8 were read"));
	commit(f);
	do {
		fixture_restart(f); /* wherever a crash comes, it goes on from there */
		assert_true(queue_manifest_loading(f->queue, &loading));
		assert_string_equal(loading.verdict, "trailer says 9 rows, 8 were read");
		assert_true(queue_manifest_reject_slice(f->queue, 2, 3, f->wall, &done));
		assert_int_equal(claim_only(f, 0, 9), slices == 0);
		commit(f);
		slices++;
	} while (!done);
	assert_int_equal(slices, 4);
	assert_string_equal(
		fixture_text(f,
			     "SELECT state || ': ' || reason || ' ' || rows || ' ' || rejected FROM manifest_status WHERE manifest_id = 2"),
		"rejected: trailer says 9 rows, 8 were read 8 8");
	assert_string_equal(
		fixture_text(f, "SELECT group_concat(state || ' ' || detail, ', ') FROM status WHERE row_id IN (3, 4, 5)"),
		"rejected trailer says 9 rows, 8 were read, rejected SITE: must not be so, rejected trailer says 9 rows, 8 were read");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row WHERE manifest_id = 2 AND (superseded = 0 OR behind OR same_as)"), 0);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM lane WHERE manifest_id = 2"), 0);
	/* Its events were never queued. */
	load(f, "b.2 e.3");
	assert_int_equal(fixture_number(f, "SELECT queued FROM manifest WHERE manifest_id = 3"), 2);
}

static void a_condemned_manifest_without_rows_is_rejected_at_once(void **state)
{
	struct fixture *f = *state;
	bool done = false;

	record_manifest(f, NULL);
	assert_true(queue_manifest_condemn(f->queue, 1, "no data row"));
	assert_true(queue_manifest_reject_slice(f->queue, 1, 10, f->wall, &done));
	commit(f);
	assert_true(done);
	assert_string_equal(fixture_text(f, "SELECT state || settled_at FROM manifest_status"), "rejected2027-01-15T08:00:00.007Z");
}

static void a_refused_row_stands_for_its_event_again_when_the_row_that_took_its_place_is_rejected_whole(void **state)
{
	struct fixture *f = *state;
	bool done = false;

	load(f, "a.7/Lyon b.8/Lyon");
	claim(f, 0, 9);
	answer_all(f, &refused);
	load(f, "a.7/Vantaa");
	claim(f, 0, 9);
	answer_all(f, &refused);
	loading_manifest(f, "a.7/Tczew b.8/Tczew c b.8/Tczew");
	assert_true(queue_manifest_condemn(f->queue, 3, "no"));
	while (!done)
		assert_true(queue_manifest_reject_slice(f->queue, 3, 2, f->wall, &done));
	commit(f);
	load(f, "a.7/Vantaa b.8/Lyon c");
	assert_string_equal(
		fixture_text(f, "SELECT group_concat(state || ' ' || coalesce(detail, '-'), ', ') FROM status WHERE manifest_id = 4"),
		"duplicate row 3 refused, duplicate row 2 refused, queued -");
}

/* A manifest of n accepted cards at Lyon, then one of the same cards of which the first n_other are at another site. */
static int64_t second_file(struct fixture *f, int n, int n_other, const char *other)
{
	int64_t manifest = record_manifest(f, NULL);
	char word[48];

	for (int i = 0; i < n; i++) {
		snprintf(word, sizeof(word), "R%d/Lyon", i);
		add_row(f, manifest, word);
	}
	assert_true(queue_manifest_progress(f->queue, manifest, 1000, n));
	release(f, manifest);
	for (int i = 0; i < n; i++) {
		assert_int_equal(claim(f, 0, 1), 1);
		answer_one(f, 0, &accepted);
	}
	commit(f);
	manifest = record_manifest(f, NULL);
	for (int i = 0; i < n; i++) {
		snprintf(word, sizeof(word), i < n_other ? "R%d/%s" : "N%d/%s", i, other);
		add_row(f, manifest, word);
	}
	assert_true(queue_manifest_progress(f->queue, manifest, 1000, n));
	/* What was counted is in the database: a crash does not forget it. */
	commit(f);
	fixture_restart(f);
	return manifest;
}

static void a_manifest_of_which_most_rows_repeat_accepted_cards_with_another_request_is_paused(void **state)
{
	static const struct {
		int n, n_other;
		const char *site;
		bool paused;
	} cases[] = {
		{ 20, 20, "Nantes", true },  { 19, 19, "Nantes", false }, { 40, 21, "Nantes", true },
		{ 40, 20, "Nantes", false }, { 30, 30, "Lyon", false }, /* the same request under another identity */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *f;
		int64_t manifest;
		bool paused = false;

		fixture_setup_open((void **)&f);
		manifest = second_file(f, cases[i].n, cases[i].n_other, cases[i].site);
		assert_true(queue_manifest_release(f->queue, manifest, f->now, f->wall, &paused));
		commit(f);
		assert_int_equal(paused, cases[i].paused);
		assert_int_equal(claim(f, 0, 1), !cases[i].paused);
		assert_string_equal(fixture_text(f, "SELECT paused FROM manifest_status WHERE manifest_id = 2"),
				    cases[i].paused ? "repeats" : "");
		fixture_teardown((void **)&f);
	}
}

static void an_archived_manifest_is_loaded_again_as_a_new_one_whatever_its_bytes(void **state)
{
	struct fixture *f = *state;
	struct queue_archived archived;
	struct queue_loading loading;
	struct error err = { 0 };
	int64_t again = 0;

	load(f, "a b");
	assert_true(queue_manifest_archived(f->queue, 1, &archived));
	assert_int_equal(archived.manifest, 1);
	assert_null(archived.path);
	assert_false(queue_manifest_reload(f->queue, 1, f->wall, &again));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_true(queue_errand_archived(f->queue, 1, "2026/11/22/1-a.csv"));
	commit(f);
	assert_true(queue_manifest_archived(f->queue, 1, &archived));
	assert_string_equal(archived.source, "lyon");
	assert_string_equal(archived.state, "released");
	assert_string_equal(archived.path, "2026/11/22/1-a.csv");
	free(archived.path);
	assert_true(queue_manifest_reload(f->queue, 1, f->wall, &again));
	assert_int_equal(again, 2);
	commit(f);
	assert_true(queue_manifest_loading(f->queue, &loading));
	assert_int_equal(loading.manifest, 2);
	assert_string_equal(loading.source, "lyon");
	assert_string_equal(fixture_text(f, "SELECT reason FROM manifest_status WHERE manifest_id = 2"), "reload of manifest 1");
	/* It has no original that would be taken for its own. */
	assert_int_equal(fixture_number(f, "SELECT original FROM manifest WHERE manifest_id = 2"), 0);
	assert_true(queue_manifest_archived(f->queue, 3, &archived));
	assert_int_equal(archived.manifest, 0);
}

static void steps_of_a_manifest_that_is_not_loading_spoil_the_turn(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };
	bool done = false;

	load(f, "a");
	assert_false(queue_manifest_release(f->queue, 1, f->now, f->wall, NULL));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_false(queue_manifest_condemn(f->queue, 1, "no"));
	assert_false(queue_commit(f->queue, &err));
	assert_false(queue_manifest_progress(f->queue, 1, 1, 1));
	assert_false(queue_commit(f->queue, &err));
	assert_false(queue_manifest_reject_slice(f->queue, 1, 10, f->wall, &done));
	assert_false(queue_commit(f->queue, &err));
	loading_manifest(f, "b");
	assert_false(queue_manifest_reject_slice(f->queue, 2, 10, f->wall, &done));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_true(queue_manifest_condemn(f->queue, 2, "no"));
	assert_false(queue_manifest_release(f->queue, 2, f->now, f->wall, NULL));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_false(done);
	assert_sound(f);
}

static void rows_of_a_manifest_that_is_not_there_spoil_the_turn(void **state)
{
	struct fixture *f = *state;
	struct error err = { 0 };

	add_row(f, 77, "!a");
	assert_false(queue_manifest_progress(f->queue, 77, 1, 1));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row"), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_manifest_gets_the_number_that_was_promised_and_no_number_twice),
		T(a_name_is_kept_in_its_own_bytes_and_shown_in_safe_ones),
		T(the_same_bytes_again_are_a_duplicate_with_nothing_to_load),
		T(bytes_are_compared_within_their_source),
		T(bytes_that_did_not_load_whole_are_no_duplicate),
		T(a_file_that_was_recorded_before_a_crash_is_found_by_all_that_tells_it_from_others),
		T(the_oldest_loading_manifest_is_gone_on_with_where_it_stood),
		T(a_manifest_without_a_row_to_send_settles_as_it_is_released),
		T(a_condemned_manifest_is_rejected_slice_by_slice_with_its_reason),
		T(a_condemned_manifest_without_rows_is_rejected_at_once),
		T(a_refused_row_stands_for_its_event_again_when_the_row_that_took_its_place_is_rejected_whole),
		cmocka_unit_test(a_manifest_of_which_most_rows_repeat_accepted_cards_with_another_request_is_paused),
		T(an_archived_manifest_is_loaded_again_as_a_new_one_whatever_its_bytes),
		T(steps_of_a_manifest_that_is_not_loading_spoil_the_turn),
		T(rows_of_a_manifest_that_is_not_there_spoil_the_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
