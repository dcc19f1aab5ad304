#include "fixture.h"

static const struct answer back_later = { .outcome = TRACK_BACK, .status = 503, .due = INT64_C(1800000005000) };

static void rows_of_one_card_go_one_after_the_other_in_the_order_of_the_file(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 a.2 b a.3");
	assert_string_equal(claimed_cards(f, 0, 9), "a b");
	assert_int_equal(f->claims[0]->row, 1);
	assert_string_equal(fixture_text(f, "SELECT group_concat(coalesce(waits_for, '-')) FROM status"), "-,row 1,-,row 2");
	assert_string_equal(claimed_cards(f, 0, 9), "");
	record(f, &f->room[0], &accepted, NULL);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->room[0].row, 2);
	answer_all(f, &refused);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->room[0].row, 4);
}

static void rows_of_one_card_go_in_order_across_manifests_and_only_that_card_waits(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1");
	load(f, "a.2 b");
	load(f, "a.3 c");
	assert_string_equal(claimed_cards(f, 0, 9), "a b c");
	assert_int_equal(f->claims[0]->row, 1);
	answer_all(f, &accepted);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, 2);
	answer_all(f, &accepted);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, 4);
	answer_all(f, &accepted);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM manifest WHERE state = 'settled'"), 3);
}

static void a_row_in_back_off_holds_back_only_its_card(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 b");
	claim(f, 0, 1);
	answer_all(f, &back_later);
	load(f, "a.2 c");
	assert_string_equal(claimed_cards(f, 0, 9), "b c");
	answer_all(f, &accepted);
	f->now += 5000;
	assert_string_equal(claimed_cards(f, 0, 9), "a");
	assert_int_equal(f->claims[0]->row, 1);
	answer_all(f, &accepted);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, 3);
}

static void a_row_in_doubt_holds_back_only_its_card(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 b a.2");
	claim(f, 0, 1);
	answer_all(f, &in_doubt);
	load(f, "a.3 c");
	assert_string_equal(claimed_cards(f, 0, 9), "b c");
	answer_all(f, &accepted);
	f->now += 9 * (int64_t)HOUR;
	assert_string_equal(claimed_cards(f, 0, 9), "");
	assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
	fixture_restart(f);
	assert_string_equal(claimed_cards(f, 0, 9), "");
}

static void a_held_row_holds_back_a_later_row_of_its_card(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 b");
	put_into(f, 1, ROW_HELD);
	load(f, "a.2 c");
	assert_int_equal(claim(f, 0, 9), 2);
	assert_int_equal(fixture_number(f, "SELECT behind FROM row WHERE row_id = 3"), 1);
}

static void rows_at_their_end_hold_back_nobody(void **state)
{
	static const enum row_state ends[] = { ROW_ACCEPTED, ROW_REFUSED, ROW_EXPIRED, ROW_CANCELLED };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		load(f, "a b");
		put_into(f, fixture_number(f, "SELECT max(row_id) FROM row WHERE card_id = 'a'"), ends[i]);
		put_into(f, fixture_number(f, "SELECT max(row_id) FROM row WHERE card_id = 'b'"), ends[i]);
	}
	load(f, "a !a ~a b.5 b.5");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row WHERE behind IS NOT NULL"), 0);
	load(f, "a b");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row WHERE behind IS NOT NULL"), 2);
}

static void every_end_of_an_attempt_but_doubt_lets_the_next_row_of_the_card_go(void **state)
{
	static const struct answer ends[] = {
		{ .outcome = TRACK_ACCEPTED },
		{ .outcome = TRACK_REFUSED, .status = 404 },
		{ .outcome = TRACK_BACK, .give_up_after = -1 }, /* expired */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < 3; i++) {
		load(f, "a a");
		assert_int_equal(claim(f, 0, 9), 1);
		answer_all(f, &ends[i]);
		assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now);
		assert_int_equal(claim(f, 0, 9), 1);
		answer_all(f, &accepted);
	}
}

static void a_row_of_a_loading_manifest_that_is_let_go_still_waits_for_the_release(void **state)
{
	struct fixture *f = *state;
	int64_t manifest;

	load(f, "a.1");
	claim(f, 0, 9);
	manifest = loading_manifest(f, "a.2");
	answer_all(f, &accepted);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
	assert_int_equal(claim(f, 0, 9), 0);
	release(f, manifest);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now);
	assert_int_equal(claim(f, 0, 9), 1);
}

static void a_row_that_waits_for_its_card_still_does_after_a_restart(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 a.2");
	claim(f, 0, 9);
	answer_all(f, &back_later);
	fixture_restart(f);
	assert_int_equal(claim(f, 0, 9), 0);
	f->now += 5000;
	assert_int_equal(claim(f, 0, 9), 1);
	answer_all(f, &accepted);
	fixture_restart(f);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, 2);
}

static void nothing_of_a_loading_manifest_can_be_claimed_and_release_opens_all_of_it_at_once(void **state)
{
	struct fixture *f = *state;
	int64_t manifest = record_manifest(f, NULL);

	for (int i = 0; i < 3; i++) {
		add_many(f, manifest, 10, "");
		commit(f);
		assert_int_equal(claim(f, 0, 64), 0);
		assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
		fixture_restart(f);
	}
	assert_true(queue_manifest_release(f->queue, manifest, f->now, f->wall, NULL));
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now);
	commit(f);
	assert_int_equal(claim(f, 0, 64), 30);
}

static void the_next_due_time_is_that_of_the_earliest_row_that_may_go(void **state)
{
	struct fixture *f = *state;
	struct answer later = back_later;

	assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
	load(f, "a b c@2");
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now);
	assert_int_equal(queue_next_due(f->queue, 1, f->now), f->now);
	claim(f, 0, 2);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now);
	assert_int_equal(claim(f, 0, 2), 0);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
	for (size_t i = 0; i < 2; i++) {
		later.due = f->now + 300 - 100 * (int64_t)i;
		record(f, &f->room[i], &later, NULL);
	}
	commit(f);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now + 200);
	assert_int_equal(queue_next_due(f->queue, 0, f->now + 250), f->now + 250);
	load(f, "d");
	claim(f, 0, 9);
	assert_int_equal(f->n_claims, 1);
	fixture_restart(f);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now + 200);
	f->now += 250;
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now + 50);
	f->now += 50;
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
	assert_int_equal(queue_next_due(f->queue, 1, f->now), f->now);
}

static void a_paused_manifest_is_not_due(void **state)
{
	struct fixture *f = *state;

	load(f, "a b");
	claim(f, 0, 1);
	answer_all(f, &back_later);
	fixture_exec(f, "UPDATE manifest SET paused = 'operator'");
	fixture_restart(f);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
	f->now += 9000;
	assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
	assert_int_equal(claim(f, 0, 9), 0);
	assert_string_equal(fixture_text(f, "SELECT waits_for FROM status"), "manifest paused: operator");
}

static void what_was_claimed_is_not_looked_through_again_after_a_restart(void **state)
{
	struct fixture *f = *state;

	load_many(f, 100, "");
	claim(f, 0, 64);
	answer_all(f, &accepted);
	fixture_restart(f);
	assert_int_equal(f->queue->lanes[0].next_row, 65);
	assert_int_equal(claim(f, 0, 64), 36);
	assert_int_equal(f->claims[0]->row, 65);
}

static void lanes_of_settled_and_loading_manifests_do_not_stand_between_the_open_ones(void **state)
{
	struct fixture *f = *state;
	int64_t last;

	for (int i = 0; i < 70; i++)
		load(f, i % 2 ? "x@2 y" : "x");
	loading_manifest(f, "z");
	while (claim(f, 0, 64) > 0)
		answer_all(f, &accepted);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM manifest WHERE state = 'settled'"), 35);
	assert_int_equal(f->queue->n_lanes, 70);
	last = f->queue->lanes[69].manifest;
	assert_int_equal(last, 70);
	fixture_restart(f);
	assert_int_equal(f->queue->n_lanes, 70);
	assert_non_null(queue_lane(f->queue, last, 0));
	assert_null(queue_lane(f->queue, 1, 0));
	assert_null(queue_lane(f->queue, 71, 0));
	assert_null(queue_lane(f->queue, last, 99));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(rows_of_one_card_go_one_after_the_other_in_the_order_of_the_file),
		T(rows_of_one_card_go_in_order_across_manifests_and_only_that_card_waits),
		T(a_row_in_back_off_holds_back_only_its_card),
		T(a_row_in_doubt_holds_back_only_its_card),
		T(a_held_row_holds_back_a_later_row_of_its_card),
		T(rows_at_their_end_hold_back_nobody),
		T(every_end_of_an_attempt_but_doubt_lets_the_next_row_of_the_card_go),
		T(a_row_of_a_loading_manifest_that_is_let_go_still_waits_for_the_release),
		T(a_row_that_waits_for_its_card_still_does_after_a_restart),
		T(nothing_of_a_loading_manifest_can_be_claimed_and_release_opens_all_of_it_at_once),
		T(the_next_due_time_is_that_of_the_earliest_row_that_may_go),
		T(a_paused_manifest_is_not_due),
		T(what_was_claimed_is_not_looked_through_again_after_a_restart),
		T(lanes_of_settled_and_loading_manifests_do_not_stand_between_the_open_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
