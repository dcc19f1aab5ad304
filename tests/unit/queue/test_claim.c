#include "fixture.h"

static const struct answer busy = { .outcome = TRACK_BACK, .status = 503 };

/* Put back, to go again at due; give_up_after of the endpoint's clock later it expires. */
static struct answer back(int64_t due, int64_t give_up_after)
{
	return (struct answer){ .outcome = TRACK_BACK, .status = 429, .due = due, .give_up_after = give_up_after };
}

static void a_claimed_row_is_sending_with_its_intent_recorded(void **state)
{
	struct fixture *f = *state;

	load(f, "a b");
	assert_int_equal(claim(f, 0, 9), 2);
	assert_state(f, 1, ROW_SENDING);
	assert_int_equal(f->claims[0]->attempts, 1);
	assert_int_equal(f->claims[0]->manifest, 1);
	assert_int_equal(f->claims[0]->sent_at, f->wall);
	assert_true(f->claims[0]->correlation != f->claims[1]->correlation);
	assert_int_equal(fixture_number(f, "SELECT correlation FROM row WHERE row_id = 1"), (int64_t)f->claims[0]->correlation);
	assert_string_equal(
		fixture_text(f, "SELECT attempt || ' ' || started_at || coalesce(outcome, ' -') FROM attempt_history WHERE row_id = 1"),
		"1 2027-01-15T08:00:00.007Z -");
	assert_int_equal(fixture_number(f, "SELECT in_flight FROM endpoint_status WHERE endpoint = 'bank'"), 2);
	assert_int_equal(claim(f, 0, 9), 0);
}

static void no_more_rows_are_claimed_than_there_is_room_for(void **state)
{
	struct fixture *f = *state;

	load_many(f, 20, "");
	load_many(f, 20, "");
	assert_int_equal(claim(f, 0, 0), 0);
	assert_int_equal(claim(f, 0, 1), 1);
	assert_int_equal(claim(f, 0, 17), 17);
	assert_int_equal(claim(f, 0, 64), 22);
}

static void manifests_are_claimed_from_in_turn_so_that_a_small_one_is_not_behind_a_large_one(void **state)
{
	struct fixture *f = *state;
	int64_t small;
	int n = 0;

	load_many(f, 10000, "");
	small = load_many(f, 10, "");
	while (fixture_number(f, "SELECT queued FROM manifest WHERE manifest_id = %lld", (long long)small) > 0) {
		assert_int_equal(claim(f, 0, 8), 8);
		answer_all(f, &accepted);
		n++;
	}
	assert_true(n <= 4);
}

static void rows_that_were_put_back_have_every_other_place(void **state)
{
	struct fixture *f = *state;
	const struct answer again = back(f->now, HOUR);

	load_many(f, 100, "");
	assert_int_equal(claim(f, 0, 8), 8);
	answer_all(f, &again);
	for (int64_t untried = 9; untried < 60; untried++) {
		int64_t rows[2];

		for (int i = 0; i < 2; i++) {
			assert_int_equal(claim(f, 0, 1), 1);
			rows[i] = f->claims[0]->row;
			answer_all(f, &again);
		}
		assert_true((rows[0] == untried) != (rows[1] == untried));
	}
	for (int i = 0; i < 10; i++) {
		int old = 0;

		assert_int_equal(claim(f, 0, 5), 5);
		for (int k = 0; k < 5; k++)
			old += f->claims[k]->attempts > 1;
		assert_in_range(old, 2, 3);
		answer_all(f, &again);
	}
	assert_int_equal(claim(f, 0, 64), 64);
}

static void turns_are_equal_however_much_room_there_is_and_whatever_comes_and_goes(void **state)
{
	struct fixture *f = *state;

	load_many(f, 600, "");
	load_many(f, 600, "");
	load_many(f, 600, "");
	for (int i = 0; i < 60; i++) {
		claim(f, 0, i % 3 ? 1 : 15);
		answer_all(f, &accepted);
		if (i % 7 == 0)
			load(f, "small");
	}
	assert_true(fixture_number(f, "SELECT count(*) FROM row WHERE card_id = 'small' AND state = 2") >= 8);
	assert_true(fixture_number(f, "SELECT max(accepted) - min(accepted) FROM manifest WHERE rows = 600") <= 8);
	assert_true(fixture_number(f, "SELECT min(accepted) FROM manifest WHERE rows = 600") > 90);
}

static void each_endpoint_gets_only_rows_of_its_own_issuers(void **state)
{
	struct fixture *f = *state;

	load(f, "a b@2 c d@2 e@2 f");
	assert_string_equal(claimed_cards(f, 0, 9), "a c f");
	answer_all(f, &accepted);
	assert_string_equal(claimed_cards(f, 1, 2), "b d");
	answer_all(f, &accepted);
	assert_string_equal(claimed_cards(f, 1, 2), "e");
}

static void an_endpoint_that_takes_nothing_does_not_stand_in_the_way_of_the_other(void **state)
{
	struct fixture *f = *state;

	/* Nothing is ever claimed for endpoint 0, whose rows come first. */
	load_many(f, 3000, "");
	load(f, "x a@2 b@2");
	assert_string_equal(claimed_cards(f, 1, 9), "a b");
	answer_all(f, &accepted);
	load_many(f, 10, "@2");
	assert_int_equal(claim(f, 1, 64), 10);
	assert_int_equal(queue_next_due(f->queue, 1, f->now), INT64_MAX);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now);
}

static void a_long_stretch_of_rows_that_cannot_go_is_passed_in_steps(void **state)
{
	struct fixture *f = *state;
	int64_t manifest = record_manifest(f, NULL);
	size_t n = 0;
	int steps = 0;

	add_many(f, manifest, 1, "@2");
	add_many(f, manifest, 5000, "");
	add_many(f, manifest, 1, "@2");
	release(f, manifest);
	while (queue_next_due(f->queue, 1, f->now) <= f->now) {
		n += claim(f, 1, 64);
		assert_true(++steps < 9);
	}
	assert_int_equal(n, 2);
	assert_true(steps > 1);
}

static void a_row_put_back_is_claimed_when_it_is_due_and_not_before(void **state)
{
	struct fixture *f = *state;
	struct answer later = back(f->now + 1000, 0);

	load(f, "a b");
	claim(f, 0, 9);
	assert_int_equal(answer_one(f, 0, &later), ROW_QUEUED);
	assert_string_equal(fixture_text(f, "SELECT state || ' ' || next_attempt_at FROM status WHERE row_id = 1"),
			    "queued 2027-01-15T08:00:01.000Z");
	f->now += 999;
	assert_int_equal(claim(f, 0, 9), 0);
	f->now += 1;
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->attempts, 2);
	assert_int_equal(claim(f, 0, 9), 0);
}

static void a_row_put_back_without_a_time_may_go_at_once(void **state)
{
	struct fixture *f = *state;
	const struct track_verdict verdict = { .outcome = TRACK_BACK };
	struct queue_result result = { .verdict = &verdict, .give_up_after_ms = HOUR, .now_ms = f->now, .wall_ms = f->wall };
	enum row_state became;
	bool paused;

	load(f, "a");
	claim(f, 0, 1);
	result.claim = f->claims[0];
	assert_true(queue_record(f->queue, &result, &became, &paused));
	commit(f);
	assert_int_equal(became, ROW_QUEUED);
	assert_int_equal(claim(f, 0, 9), 1);
}

static void rows_that_are_due_do_not_starve_other_manifests(void **state)
{
	struct fixture *f = *state;

	load_many(f, 40, "");
	claim(f, 0, 20);
	answer_all(f, &busy);
	load_many(f, 20, "");
	assert_int_equal(claim(f, 0, 16), 16);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row WHERE state = 1 AND manifest_id = 1 AND attempts = 2"), 4);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row WHERE state = 1 AND manifest_id = 2"), 8);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_claimed_row_is_sending_with_its_intent_recorded),
		T(no_more_rows_are_claimed_than_there_is_room_for),
		T(manifests_are_claimed_from_in_turn_so_that_a_small_one_is_not_behind_a_large_one),
		T(rows_that_were_put_back_have_every_other_place),
		T(turns_are_equal_however_much_room_there_is_and_whatever_comes_and_goes),
		T(each_endpoint_gets_only_rows_of_its_own_issuers),
		T(an_endpoint_that_takes_nothing_does_not_stand_in_the_way_of_the_other),
		T(a_long_stretch_of_rows_that_cannot_go_is_passed_in_steps),
		T(a_row_put_back_is_claimed_when_it_is_due_and_not_before),
		T(a_row_put_back_without_a_time_may_go_at_once),
		T(rows_that_are_due_do_not_starve_other_manifests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
