#include "fixture.h"

static const struct answer busy = { .outcome = TRACK_BACK, .status = 503 };

/* Put back, to go again at due; give_up_after of the endpoint's clock later it expires. */
static struct answer back(int64_t due, int64_t give_up_after)
{
	return (struct answer){ .outcome = TRACK_BACK, .status = 429, .due = due, .give_up_after = give_up_after };
}

static void how_an_attempt_ended_is_kept_with_the_row(void **state)
{
	struct fixture *f = *state;
	const struct track_verdict verdict = { .outcome = TRACK_REFUSED, .error_code = "E_4", .detail = "no such card" };
	struct queue_result result = { .verdict = &verdict, .http_status = 404, .now_ms = f->now, .wall_ms = f->wall + 9 };
	enum row_state became;
	bool paused;

	load(f, "a b");
	claim(f, 0, 2);
	result.claim = f->claims[0];
	assert_true(queue_record(f->queue, &result, &became, &paused));
	assert_int_equal(became, ROW_REFUSED);
	assert_false(paused);
	answer_one(f, 1, &accepted);
	assert_string_equal(fixture_text(f,
					 "SELECT state || ' ' || http_status || ' ' || error_code || ' ' || detail || ' ' || finished_at ||"
					 " coalesce(operation_id, ' -') FROM status WHERE row_id = 1"),
			    "refused 404 E_4 no such card 2027-01-15T08:00:00.016Z -");
	assert_string_equal(fixture_text(f, "SELECT state || ' ' || operation_id FROM status WHERE row_id = 2"), "accepted op-2");
}

static void attempt_history_shows_every_attempt(void **state)
{
	struct fixture *f = *state;
	const struct answer ends[] = { busy, { .outcome = TRACK_BACK, .status = 401, .code = "TOKEN" }, accepted };

	load(f, "a");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(claim(f, 0, 1), 1);
		answer_one(f, 0, &ends[i]);
		f->wall += 1000;
	}
	assert_string_equal(
		fixture_text(f, "SELECT group_concat(attempt || ' ' || http_status || ' ' || coalesce(error_code, '-') || ' ' || outcome"
				" || ' ' || substr(finished_at, 18, 2), ', ') FROM (SELECT * FROM attempt_history ORDER BY attempt)"),
		"1 503 - back 00, 2 401 TOKEN back 01, 3 202 - accepted 02");
	assert_int_equal(fixture_number(f, "SELECT count(DISTINCT correlation_id) FROM attempt_history"), 3);
	assert_string_equal(fixture_text(f, "SELECT attempts || ' ' || coalesce(error_code, '-') FROM status"), "3 -");
}

static void a_403_that_hit_the_row_alone_is_counted_with_it(void **state)
{
	struct fixture *f = *state;
	const struct track_verdict verdict = { .outcome = TRACK_BACK };
	struct queue_result result = {
		.verdict = &verdict, .http_status = 403, .give_up_after_ms = HOUR, .now_ms = f->now, .wall_ms = f->wall
	};
	enum row_state became;
	bool paused;

	load(f, "a");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(claim(f, 0, 1), 1);
		assert_int_equal(f->claims[0]->forbidden, i ? 1 : 0);
		result.claim = f->claims[0];
		result.forbidden = i == 0;
		assert_true(queue_record(f->queue, &result, &became, &paused));
		commit(f);
	}
}

static void an_answer_for_a_row_that_is_not_sending_spoils_the_turn(void **state)
{
	struct fixture *f = *state;
	const struct track_verdict verdict = { .outcome = TRACK_ACCEPTED };
	struct queue_result result = { .verdict = &verdict, .now_ms = f->now, .wall_ms = f->wall };
	enum row_state became = ROW_N_STATES;
	bool paused = true;
	struct error err;

	load(f, "a");
	claim(f, 0, 1);
	answer_one(f, 0, &accepted);
	result.claim = f->claims[0];
	assert_false(queue_record(f->queue, &result, &became, &paused));
	assert_int_equal(became, ROW_N_STATES);
	assert_true(paused);
	assert_false(queue_commit(f->queue, &err));
	assert_false(queue_unclaim(f->queue, f->claims[0], f->now));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
}

/* --- refusals --- */

static bool refuse(struct fixture *f, int n, const struct answer *how)
{
	bool paused = false, now;

	for (int i = 0; i < n; i++) {
		assert_int_equal(claim(f, 0, 1), 1);
		record(f, f->claims[0], how, &now);
		commit(f);
		paused = paused || now;
	}
	return paused;
}

static void twenty_refusals_running_with_the_same_status_and_code_pause_the_manifest(void **state)
{
	struct fixture *f = *state;

	load_many(f, 30, "");
	assert_false(refuse(f, 19, &refused));
	assert_true(refuse(f, 1, &refused));
	assert_string_equal(fixture_text(f, "SELECT paused || ': ' || reason FROM manifest_status"),
			    "refusals: 20 rows running were refused with 400 BAD");
	assert_int_equal(claim(f, 0, 9), 0);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
	load(f, "x");
	assert_string_equal(claimed_cards(f, 0, 9), "x");
	fixture_restart(f);
	assert_int_equal(claim(f, 0, 9), 0);
}

static void an_accepted_row_among_the_refusals_begins_the_count_anew(void **state)
{
	struct fixture *f = *state;

	load_many(f, 60, "");
	assert_false(refuse(f, 19, &refused));
	assert_false(refuse(f, 1, &accepted));
	assert_false(refuse(f, 19, &refused));
	assert_true(refuse(f, 1, &refused));
}

static void another_code_or_status_begins_the_count_anew(void **state)
{
	static const struct answer other_code = { .outcome = TRACK_REFUSED, .status = 400, .code = "WORSE" };
	static const struct answer other_status = { .outcome = TRACK_REFUSED, .status = 404, .code = "WORSE" };
	struct fixture *f = *state;

	load_many(f, 90, "");
	assert_false(refuse(f, 19, &refused));
	assert_false(refuse(f, 19, &other_code));
	assert_false(refuse(f, 19, &other_status));
	assert_true(refuse(f, 1, &other_status));
}

static void a_row_that_goes_back_changes_nothing_in_the_count_of_refusals(void **state)
{
	struct fixture *f = *state;
	const struct answer later = back(f->now + HOUR, 0);

	load_many(f, 60, "");
	assert_false(refuse(f, 19, &refused));
	assert_false(refuse(f, 3, &later));
	assert_true(refuse(f, 1, &refused));
}

static void refusals_are_counted_over_all_issuers_of_the_manifest_and_for_it_alone(void **state)
{
	struct fixture *f = *state;
	int64_t manifest = record_manifest(f, NULL);
	bool paused = false;

	for (int i = 0; i < 12; i++) {
		add_many(f, manifest, 1, "");
		add_many(f, manifest, 1, "@2");
	}
	release(f, manifest);
	claim(f, 0, 64);
	for (size_t i = 0; i < f->n_claims; i++)
		record(f, f->claims[i], &refused, &paused);
	assert_false(paused);
	claim(f, 1, 64);
	for (size_t i = 0; i < 8; i++)
		record(f, f->claims[i], &refused, &paused);
	commit(f);
	assert_true(paused);
	load_many(f, 30, "");
	assert_false(refuse(f, 19, &refused));
}

static void refusals_that_come_in_after_the_pause_change_nothing_of_it(void **state)
{
	struct fixture *f = *state;
	int paused = 0;
	bool now;

	queue_endpoint_open(f->queue, 0, true, f->now);
	load_many(f, 70, "");
	claim(f, 0, 64);
	for (size_t i = 0; i < f->n_claims; i++) {
		f->now += 10;
		record(f, f->claims[i], &refused, &now);
		paused += now;
	}
	commit(f);
	assert_int_equal(paused, 1);
	assert_int_equal(fixture_number(f, "SELECT paused_clock FROM lane"), 200);
}

/* --- giving up --- */

static void a_row_gives_up_after_its_time_from_the_first_answer_that_put_it_back(void **state)
{
	struct fixture *f = *state;
	const struct answer again = back(f->now, 1000);

	queue_endpoint_open(f->queue, 0, true, f->now);
	load(f, "a.7");
	claim(f, 0, 1);
	assert_int_equal(answer_one(f, 0, &again), ROW_QUEUED);
	f->now += 999;
	claim(f, 0, 1);
	assert_int_equal(f->claims[0]->give_up, 1000);
	assert_int_equal(answer_one(f, 0, &again), ROW_QUEUED);
	f->now += 1;
	claim(f, 0, 1);
	assert_int_equal(answer_one(f, 0, &again), ROW_EXPIRED);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "settled");
	/* An expired row stands for its event no longer. */
	load(f, "a.7");
	assert_state(f, 2, ROW_QUEUED);
}

static void time_in_which_the_endpoint_was_paused_does_not_count_towards_giving_up(void **state)
{
	struct fixture *f = *state;
	const struct answer again = back(f->now, 1000);

	load(f, "a");
	claim(f, 0, 1);
	answer_one(f, 0, &again);
	queue_endpoint_open(f->queue, 0, true, f->now);
	f->now += 600;
	queue_endpoint_open(f->queue, 0, false, f->now);
	f->now += 90 * (int64_t)HOUR;
	claim(f, 0, 1);
	assert_int_equal(answer_one(f, 0, &again), ROW_QUEUED);
	queue_endpoint_open(f->queue, 0, true, f->now);
	f->now += 399;
	claim(f, 0, 1);
	assert_int_equal(answer_one(f, 0, &again), ROW_QUEUED);
	f->now += 1;
	claim(f, 0, 1);
	assert_int_equal(answer_one(f, 0, &again), ROW_EXPIRED);
}

static void a_row_whose_time_is_over_is_still_accepted_or_refused(void **state)
{
	struct fixture *f = *state;
	const struct answer again = back(f->now, 1000);

	queue_endpoint_open(f->queue, 0, true, f->now);
	load(f, "a b");
	claim(f, 0, 2);
	answer_all(f, &again);
	f->now += 5000;
	claim(f, 0, 2);
	assert_int_equal(answer_one(f, 0, &accepted), ROW_ACCEPTED);
	assert_int_equal(answer_one(f, 1, &refused), ROW_REFUSED);
}

/* --- undone claims, and what a crash left --- */

static void a_claim_that_was_never_sent_is_undone_as_if_it_had_not_been(void **state)
{
	struct fixture *f = *state;

	load(f, "a b");
	claim(f, 0, 2);
	answer_one(f, 0, &busy);
	assert_true(queue_unclaim(f->queue, f->claims[1], f->now));
	commit(f);
	assert_state(f, 2, ROW_QUEUED);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM attempt_history WHERE row_id = 2"), 0);
	claim(f, 0, 2);
	assert_int_equal(f->n_claims, 2);
	assert_true(queue_unclaim(f->queue, f->claims[0], f->now));
	assert_true(queue_unclaim(f->queue, f->claims[1], f->now));
	commit(f);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now);
	assert_string_equal(fixture_text(f, "SELECT attempt || ' ' || http_status || ' ' || outcome FROM attempt_history WHERE row_id = 1"),
			    "1 503 back");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM attempt"), 0);
	assert_string_equal(fixture_text(f, "SELECT group_concat(state || attempts || http_status) FROM status WHERE row_id = 1"),
			    "queued1503");
	claim(f, 0, 2);
	assert_int_equal(f->n_claims, 2);
	answer_all(f, &accepted);
	assert_int_equal(fixture_number(f, "SELECT attempts FROM row WHERE row_id = 1"), 2);
	assert_int_equal(fixture_number(f, "SELECT attempts FROM row WHERE row_id = 2"), 1);
}

static void rows_that_were_being_sent_at_a_crash_are_in_doubt_or_queued_where_their_endpoint_resends(void **state)
{
	struct fixture *f = *state;
	int64_t rows = 0;

	load(f, "a.1 b@2 c");
	load(f, "a.2 d@2");
	claim(f, 0, 2);
	claim(f, 1, 9);
	queue_close(f->queue);
	fixture_open(f);
	assert_true(queue_recover(f->queue, HOUR, f->now, f->wall + 1, &rows));
	commit(f);
	assert_int_equal(rows, 4);
	assert_string_equal(fixture_text(f, "SELECT group_concat(state || ' ' || detail || ' ' || (SELECT outcome FROM attempt_history h"
					    " WHERE h.row_id = s.row_id), ', ') FROM status s WHERE attempts > 0"),
			    "in_doubt crash in_doubt, queued crash back, in_doubt crash in_doubt, queued crash back");
	assert_string_equal(claimed_cards(f, 1, 9), "b d");
	assert_string_equal(fixture_text(f, "SELECT outcome FROM attempt_history WHERE row_id = 2 AND attempt = 1"), "back");
	/* The next row of the card in doubt still waits. */
	assert_string_equal(claimed_cards(f, 0, 9), "");
	assert_true(queue_recover(f->queue, HOUR, f->now, f->wall + 2, &rows));
	commit(f);
	assert_int_equal(rows, 2);
}

static void a_row_that_waits_longer_than_any_is_told_to_goes_at_the_next_start(void **state)
{
	struct fixture *f = *state;
	struct answer far = back(f->now + HOUR + 1, 0), near = back(f->now + HOUR, 0);

	load(f, "a b");
	claim(f, 0, 2);
	answer_one(f, 0, &far);
	answer_one(f, 1, &near);
	fixture_restart(f);
	assert_string_equal(claimed_cards(f, 0, 9), "a");
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now + HOUR);
}

static void a_clock_that_is_put_back_between_runs_holds_up_no_row(void **state)
{
	struct fixture *f = *state;
	struct answer waits = back(f->now + 5000, 0);

	load(f, "a b b");
	claim(f, 0, 2);
	answer_one(f, 0, &waits);
	answer_one(f, 1, &accepted);
	f->now -= HOUR / 2;
	f->wall -= HOUR / 2;
	fixture_restart(f);
	assert_string_equal(claimed_cards(f, 0, 9), "a b");
}

static int64_t paused_until(struct fixture *f)
{
	struct queue_endpoint endpoint;

	assert_true(queue_endpoint_load(f->queue, 0, &endpoint));
	return endpoint.until_ms;
}

static void a_pause_ends_when_the_clock_that_began_it_was_put_back(void **state)
{
	struct queue_endpoint paused = { .state = "paused", .reason = "outage" };
	struct fixture *f = *state;
	struct answer waits = back(f->now + 5000, 0);

	load(f, "a");
	claim(f, 0, 1);
	answer_one(f, 0, &waits);
	paused.until_ms = f->now + HOUR;
	assert_true(queue_endpoint_store(f->queue, 0, &paused));
	commit(f);
	fixture_restart(f);
	assert_int_equal(paused_until(f), f->now + HOUR);
	f->now -= 1;
	fixture_restart(f);
	assert_int_equal(paused_until(f), f->now);
	assert_true(queue_endpoint_store(f->queue, 0, &paused));
	commit(f);
	f->wall -= HOUR / 2;
	fixture_restart(f);
	assert_int_equal(paused_until(f), f->now);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(how_an_attempt_ended_is_kept_with_the_row),
		T(attempt_history_shows_every_attempt),
		T(a_403_that_hit_the_row_alone_is_counted_with_it),
		T(an_answer_for_a_row_that_is_not_sending_spoils_the_turn),
		T(twenty_refusals_running_with_the_same_status_and_code_pause_the_manifest),
		T(an_accepted_row_among_the_refusals_begins_the_count_anew),
		T(another_code_or_status_begins_the_count_anew),
		T(a_row_that_goes_back_changes_nothing_in_the_count_of_refusals),
		T(refusals_are_counted_over_all_issuers_of_the_manifest_and_for_it_alone),
		T(refusals_that_come_in_after_the_pause_change_nothing_of_it),
		T(a_row_gives_up_after_its_time_from_the_first_answer_that_put_it_back),
		T(time_in_which_the_endpoint_was_paused_does_not_count_towards_giving_up),
		T(a_row_whose_time_is_over_is_still_accepted_or_refused),
		T(a_claim_that_was_never_sent_is_undone_as_if_it_had_not_been),
		T(rows_that_were_being_sent_at_a_crash_are_in_doubt_or_queued_where_their_endpoint_resends),
		T(a_row_that_waits_longer_than_any_is_told_to_goes_at_the_next_start),
		T(a_pause_ends_when_the_clock_that_began_it_was_put_back),
		T(a_clock_that_is_put_back_between_runs_holds_up_no_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
