#include "fixture.h"

enum { SECONDS = 1000 };

static void what_came_of_rows_that_were_sent_is_counted_in_the_same_commit(void **state)
{
	struct fixture *f = *state;

	load(f, "a b c d !e");
	claim(f, 0, 9);
	answer_one(f, 0, &accepted);
	assert_string_equal(fixture_text(f, "SELECT sum(accepted) || ' ' || sum(refused) || ' ' || sum(in_doubt) FROM activity"), "1 0 0");
	answer_one(f, 1, &refused);
	answer_one(f, 2, &in_doubt);
	answer_one(f, 3, &accepted);
	assert_string_equal(fixture_text(f, "SELECT sum(accepted) || ' ' || sum(refused) || ' ' || sum(in_doubt) FROM activity"), "2 1 1");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM activity WHERE at %% 10000 <> 0"), 0);
	assert_true(fixture_number(f, "SELECT count(*) FROM activity") <= 2);
}

static void what_no_request_did_is_not_counted(void **state)
{
	struct fixture *f = *state;

	load(f, "a b !c");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM activity"), 0);
	put_into(f, 1, ROW_HELD);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM activity"), 0);
}

static void it_is_kept_for_a_little_more_than_a_day(void **state)
{
	struct fixture *f = *state;
	int64_t wall = 1800000000000;

	fixture_exec(f, "INSERT INTO activity VALUES (1799900000000, 1, 0, 0, 0), (1799920000000, 1, 0, 0, 0)");
	f->queue->activity[ROW_ACCEPTED] = 3;
	assert_true(queue_store_activity(f->queue, wall + 7 * SECONDS));
	commit(f);
	assert_string_equal(fixture_text(f, "SELECT group_concat(at || ':' || accepted) FROM activity"), "1799920000000:1,1800000000000:3");
	/* Later in the same ten seconds it is added. */
	f->queue->activity[ROW_ACCEPTED] = 2;
	assert_true(queue_store_activity(f->queue, wall + 9 * SECONDS));
	commit(f);
	assert_int_equal(fixture_number(f, "SELECT accepted FROM activity WHERE at = 1800000000000"), 5);
}

static void a_turn_that_fails_counts_nothing(void **state)
{
	struct fixture *f = *state;
	struct error why = { .code = ERROR_IO }, err;

	load(f, "a");
	claim(f, 0, 9);
	f->queue->activity[ROW_ACCEPTED] = 1;
	assert_true(queue_source_store(f->queue, 0, "open", "", 0));
	queue_spoil(f->queue, &why);
	assert_false(queue_commit(f->queue, &err));
	assert_true(queue_source_store(f->queue, 0, "open", "", 0));
	commit(f);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM activity"), 0);
}

static void who_settled_is_told_with_its_counts(void **state)
{
	struct queue_settlement settlement;
	struct fixture *f = *state;

	load(f, "a b ~c !d");
	claim(f, 0, 9);
	answer_one(f, 0, &accepted);
	answer_one(f, 1, &refused);
	assert_int_equal(queue_settled(f->queue), 1);
	assert_true(queue_settlement(f->queue, 0, &settlement));
	assert_int_equal(settlement.manifest, 1);
	assert_int_equal(settlement.rows, 4);
	assert_int_equal(settlement.accepted, 1);
	assert_int_equal(settlement.refused, 1);
	assert_int_equal(settlement.rejected, 1);
	assert_int_equal(settlement.skipped, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(what_came_of_rows_that_were_sent_is_counted_in_the_same_commit),
		T(what_no_request_did_is_not_counted),
		T(it_is_kept_for_a_little_more_than_a_day),
		T(a_turn_that_fails_counts_nothing),
		T(who_settled_is_told_with_its_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
