#include "queue/order.h"

#include "fixture.h"

static struct queue_order order_of(enum queue_move move)
{
	return (struct queue_order){
		.move = move,
		.state = -1,
		.who = { .user = "ada", .uid = 1000, .selector = "--all", .reason = "a test" },
	};
}

/* Carries an order out, in slices of most. */
static struct queue_order_result carry_out(struct fixture *f, const struct queue_order *order, int most)
{
	const struct queue_order_result *result = NULL;
	bool done = false;

	assert_true(queue_order_give(f->queue, order, f->wall));
	commit(f);
	while (!done) {
		assert_true(queue_order_open(f->queue));
		assert_int_equal(claim_only(f, 0, 9), 0);
		assert_true(queue_order_slice(f->queue, most, f->now, f->wall, &done, &result));
		commit(f);
	}
	assert_false(queue_order_open(f->queue));
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM operator_order"), 0);
	return *result;
}

static struct queue_order_result move_one(struct fixture *f, enum queue_move move, int64_t row, bool anyway)
{
	struct queue_order order = order_of(move);

	order.rows = &row;
	order.n_rows = 1;
	order.anyway = anyway;
	return carry_out(f, &order, 10);
}

/* Row 1, of card a with event 7, in any state. */
static struct fixture *row_in(enum row_state state)
{
	static const struct answer never_mind = { .outcome = TRACK_BACK, .give_up_after = -1 };
	struct fixture *f;

	fixture_setup_open((void **)&f);
	switch (state) {
	case ROW_QUEUED: load(f, "a.7"); break;
	case ROW_REJECTED: load(f, "!a.7"); break;
	case ROW_SKIPPED: load(f, "~a.7"); break;
	case ROW_DUPLICATE:
		/* It is row 1, and the one that it repeats is gone. */
		load(f, "a.7");
		fixture_exec(f, "UPDATE row SET state = 9, superseded = 1, same_as = 99;"
				"UPDATE manifest SET queued = 0, duplicate = 1");
		fixture_restart(f);
		break;
	case ROW_HELD:
		load(f, "a.7");
		move_one(f, QUEUE_HOLD, 1, false);
		break;
	case ROW_CANCELLED:
		load(f, "a.7");
		move_one(f, QUEUE_CANCEL, 1, false);
		break;
	case ROW_SENDING:
	case ROW_ACCEPTED:
	case ROW_REFUSED:
	case ROW_IN_DOUBT:
	case ROW_EXPIRED:
	case ROW_N_STATES:
		load(f, "a.7");
		assert_int_equal(claim(f, 0, 1), 1);
		if (state == ROW_ACCEPTED)
			answer_one(f, 0, &accepted);
		else if (state == ROW_REFUSED)
			answer_one(f, 0, &refused);
		else if (state == ROW_IN_DOUBT)
			answer_one(f, 0, &in_doubt);
		else if (state == ROW_EXPIRED)
			answer_one(f, 0, &never_mind);
		break;
	}
	assert_state(f, 1, state);
	return f;
}

/* The state machine of operators' moves, as docs/architecture.md shows it. "-": declined. */
static void what_a_move_makes_of_a_row_hangs_on_its_state(void **state)
{
	static const struct {
		const char *name;
		enum queue_move move;
		bool anyway;
		const char *becomes[ROW_N_STATES];
	} moves[] = {
		/* queued sending accepted refused in_doubt held expired cancelled rejected duplicate skipped */
		{ "retry", QUEUE_RETRY, false, { "-", "-", "-", "queued", "-", "-", "queued", "-", "-", "-", "-" } },
		{ "retry --anyway", QUEUE_RETRY, true, { "-", "-", "-", "queued", "-", "-", "queued", "-", "-", "queued", "-" } },
		{ "hold", QUEUE_HOLD, false, { "held", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-" } },
		{ "release", QUEUE_RELEASE, false, { "-", "-", "-", "-", "-", "queued", "-", "-", "-", "-", "-" } },
		{ "cancel", QUEUE_CANCEL, false, { "cancelled", "-", "-", "-", "-", "cancelled", "-", "-", "-", "-", "-" } },
		{ "resolve --accepted", QUEUE_RESOLVE_ACCEPTED, false, { "-", "-", "-", "-", "accepted", "-", "-", "-", "-", "-", "-" } },
		{ "resolve --resend", QUEUE_RESOLVE_RESEND, false, { "-", "-", "-", "-", "queued", "-", "-", "-", "-", "-", "-" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		for (enum row_state from = 0; from < ROW_N_STATES; from++) {
			struct fixture *f = row_in(from);
			const char *becomes = moves[i].becomes[from];
			bool declined = becomes[0] == '-';
			struct queue_order_result result = move_one(f, moves[i].move, 1, moves[i].anyway);

			print_message("| %s | %s | %s |\n", queue_state_name(from), moves[i].name,
				      declined ? result.examples[0].why : becomes);
			assert_int_equal(result.moved, !declined);
			assert_int_equal(result.declined, declined);
			assert_string_equal(state_of(f, 1), declined ? queue_state_name(from) : becomes);
			/* What is queued now can go, and what is not cannot. */
			if (from != ROW_SENDING)
				assert_int_equal(claim(f, 0, 9), strcmp(state_of(f, 1), "queued") == 0);
			fixture_teardown((void **)&f);
		}
	}
}

static void an_order_is_logged_with_who_and_why(void **state)
{
	struct fixture *f = *state;
	struct queue_order order = order_of(QUEUE_HOLD);

	load(f, "a b c");
	assert_int_equal(carry_out(f, &order, 2).moved, 3);
	assert_string_equal(fixture_text(f, "SELECT user || ' ' || uid || ' ' || action || ' ' || selector || ' ' || rows || ' ' || reason"
					    " FROM operator_action_log"),
			    "ada 1000 hold --all 3 a test");
}

static void a_dry_run_counts_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct queue_order order = order_of(QUEUE_CANCEL);
	const struct queue_order_result *result;
	bool done = false;

	load(f, "a b c");
	order.dry_run = true;
	assert_true(queue_order_give(f->queue, &order, f->wall));
	while (!done)
		assert_true(queue_order_slice(f->queue, 2, f->now, f->wall, &done, &result));
	assert_int_equal(result->moved, 3);
	assert_false(queue_in_turn(f->queue));
	assert_state(f, 1, ROW_QUEUED);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM operator_action"), 0);
}

static void a_dry_run_does_not_keep_rows_from_being_sent(void **state)
{
	struct fixture *f = *state;
	struct queue_order order = order_of(QUEUE_HOLD);
	const struct queue_order_result *result = NULL;
	bool done = false;

	load(f, "a b c d");
	order.dry_run = true;
	assert_true(queue_order_give(f->queue, &order, f->wall));
	assert_true(queue_order_slice(f->queue, 2, f->now, f->wall, &done, &result));
	assert_false(done);
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now);
	assert_int_equal(claim(f, 0, 9), 4);
	while (!done)
		assert_true(queue_order_slice(f->queue, 2, f->now, f->wall, &done, &result));
	assert_int_equal(result->moved, 2);
}

static void an_order_goes_on_after_a_crash_and_later_rows_are_not_meant(void **state)
{
	struct fixture *f = *state;
	struct queue_order order = order_of(QUEUE_CANCEL);
	const struct queue_order_result *result = NULL;
	bool done = false;

	load_many(f, 25, "");
	order.manifest = 1;
	assert_true(queue_order_give(f->queue, &order, f->wall));
	commit(f);
	assert_true(queue_order_slice(f->queue, 10, f->now, f->wall, &done, &result));
	commit(f);
	load(f, "later");
	fixture_restart(f);
	assert_true(queue_order_open(f->queue));
	assert_int_equal(claim(f, 0, 9), 0);
	while (!done) {
		assert_true(queue_order_slice(f->queue, 10, f->now, f->wall, &done, &result));
		commit(f);
	}
	assert_int_equal(result->moved, 25);
	assert_string_equal(fixture_text(f, "SELECT user || ' ' || action || ' ' || rows || ' ' || reason FROM operator_action_log"),
			    "ada cancel 25 a test");
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest WHERE manifest_id = 1"), "settled");
	assert_string_equal(claimed_cards(f, 0, 9), "later");
}

static void selectors_hold_together(void **state)
{
	struct fixture *f = *state;
	struct queue_order order = order_of(QUEUE_RETRY);
	struct answer other = refused;
	int64_t named[] = { 1, 3, 77 };

	other.code = "OTHER";
	load(f, "a b c");
	load(f, "d e@2");
	assert_int_equal(claim(f, 0, 9), 4);
	for (size_t i = 0; i < 4; i++)
		record(f, f->claims[i], f->claims[i]->row == 2 ? &other : &refused, NULL);
	commit(f);
	order.dry_run = true;
#define COUNTED(n)                                                                                                                         \
	do {                                                                                                                               \
		const struct queue_order_result *result;                                                                                   \
		bool done = false;                                                                                                         \
		assert_true(queue_order_give(f->queue, &order, f->wall));                                                                  \
		while (!done)                                                                                                              \
			assert_true(queue_order_slice(f->queue, 2, f->now, f->wall, &done, &result));                                      \
		assert_int_equal(result->moved, n);                                                                                        \
	} while (0)
	COUNTED(4);
	order.state = ROW_REFUSED;
	COUNTED(4);
	order.manifest = 1;
	COUNTED(3);
	order.error_code = "OTHER";
	COUNTED(1);
	order = order_of(QUEUE_RETRY);
	order.dry_run = true;
	order.card = "d";
	COUNTED(1);
	order.manifest = 1;
	COUNTED(0);
	order = order_of(QUEUE_RETRY);
	order.dry_run = true;
	order.rows = named;
	order.n_rows = 3;
	COUNTED(2);
	assert_int_equal(move_one(f, QUEUE_RETRY, 77, false).declined, 1);
	order = order_of(QUEUE_RETRY);
	order.dry_run = true;
	order.manifest = 9;
	COUNTED(0);
}

static void a_cancelled_row_lets_the_next_of_its_card_wait_for_the_one_before_it(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 a.2 a.3");
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(move_one(f, QUEUE_CANCEL, 2, false).moved, 1);
	assert_int_equal(fixture_number(f, "SELECT behind FROM row WHERE row_id = 3"), 1);
	answer_one(f, 0, &accepted);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, 3);
}

static void a_cancelled_first_row_lets_the_next_go(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 a.2");
	assert_int_equal(move_one(f, QUEUE_CANCEL, 1, false).moved, 1);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, 2);
}

static void a_held_row_holds_back_its_card(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 a.2 b");
	assert_int_equal(move_one(f, QUEUE_HOLD, 1, false).moved, 1);
	assert_string_equal(claimed_cards(f, 0, 9), "b");
	answer_all(f, &accepted);
	/* A held row that waits for another one does so after its release too. */
	assert_int_equal(move_one(f, QUEUE_HOLD, 2, false).moved, 1);
	assert_int_equal(move_one(f, QUEUE_RELEASE, 2, false).moved, 1);
	assert_int_equal(claim(f, 0, 9), 0);
	assert_int_equal(move_one(f, QUEUE_RELEASE, 1, false).moved, 1);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, 1);
	answer_one(f, 0, &accepted);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, 2);
}

static void a_row_that_is_tried_again_goes_before_the_later_ones_of_its_card(void **state)
{
	struct fixture *f = *state;
	struct answer later = { .outcome = TRACK_BACK, .status = 503, .due = 0 };

	load(f, "a.1 a.2 a.3");
	assert_int_equal(claim(f, 0, 9), 1);
	answer_one(f, 0, &refused);
	assert_int_equal(claim(f, 0, 9), 1);
	later.due = f->now + HOUR;
	answer_one(f, 0, &later);
	assert_int_equal(move_one(f, QUEUE_RETRY, 1, false).moved, 1);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, 1);
	answer_one(f, 0, &accepted);
	for (int64_t row = 2; row <= 3; row++) {
		assert_int_equal(claim(f, 0, 9), 1);
		assert_int_equal(f->claims[0]->row, row);
		answer_one(f, 0, &accepted);
	}
}

static void a_retry_is_declined_where_the_event_lives_elsewhere_or_a_later_row_went_out(void **state)
{
	struct fixture *f = *state;
	struct queue_order_result result;

	load(f, "a.7/Lyon b.8");
	assert_int_equal(claim(f, 0, 9), 2);
	answer_all(f, &refused);
	/* The corrected copy of a comes in another file, and a later row of b. */
	load(f, "a.7/Nantes b.9");
	assert_int_equal(claim(f, 0, 9), 2);
	answer_all(f, &accepted);
	result = move_one(f, QUEUE_RETRY, 1, false);
	assert_int_equal(result.declined, 1);
	assert_string_equal(result.examples[0].why, "row 3 stands for the same event now");
	result = move_one(f, QUEUE_RETRY, 2, false);
	assert_int_equal(result.declined, 1);
	assert_string_equal(result.examples[0].why, "row 4 of the same card came later and has gone out");
	/* By an operator's word all the same; row 3 still stands for its event. */
	assert_int_equal(move_one(f, QUEUE_RETRY, 1, true).moved, 1);
	assert_int_equal(move_one(f, QUEUE_RETRY, 2, true).moved, 1);
	assert_int_equal(claim(f, 0, 9), 2);
	assert_int_equal(fixture_number(f, "SELECT superseded FROM row WHERE row_id = 1"), 1);
	assert_int_equal(fixture_number(f, "SELECT superseded FROM row WHERE row_id = 2"), 0);
}

static void a_row_sent_by_word_holds_back_new_rows_of_its_card(void **state)
{
	struct fixture *f = *state;

	load(f, "a.7");
	assert_int_equal(claim(f, 0, 9), 1);
	answer_one(f, 0, &accepted);
	load(f, "a.7");
	assert_state(f, 2, ROW_DUPLICATE);
	assert_int_equal(move_one(f, QUEUE_RETRY, 2, true).moved, 1);
	load(f, "a.8");
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, 2);
	answer_one(f, 0, &accepted);
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, 3);
}

static void a_settled_manifest_opens_again_and_settles_again_with_a_receipt(void **state)
{
	struct fixture *f = *state;

	load(f, "a b");
	assert_int_equal(claim(f, 0, 9), 2);
	answer_all(f, &refused);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "settled");
	assert_true(queue_errand_receipt_done(f->queue, 1, 0, 0));
	commit(f);
	assert_int_equal(move_one(f, QUEUE_RETRY, 1, false).moved, 1);
	assert_string_equal(fixture_text(f, "SELECT state || coalesce(settled_at, '') FROM manifest"), "released");
	assert_true(fixture_number(f, "SELECT receipt_at FROM manifest") > f->wall);
	fixture_restart(f);
	assert_int_equal(claim(f, 0, 9), 1);
	answer_one(f, 0, &accepted);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "settled");
	assert_true(fixture_number(f, "SELECT receipt_at <= settled_at FROM manifest"));
}

static void the_time_of_a_held_row_and_of_a_paused_manifest_does_not_count(void **state)
{
	struct answer back = { .outcome = TRACK_BACK, .status = 503, .give_up_after = 10 * HOUR };

	(void)state;
	for (int paused = 0; paused < 2; paused++) {
		struct fixture *f;
		char why[QUEUE_MOST_WHY];

		fixture_setup_open((void **)&f);
		queue_endpoint_open(f->queue, 0, true, f->now);
		load(f, "a");
		assert_int_equal(claim(f, 0, 9), 1);
		answer_one(f, 0, &back);
		f->now += 4 * HOUR;
		if (paused) {
			assert_true(queue_manifest_pause(f->queue, 1, "by ada", f->now, why));
			assert_string_equal(why, "");
			commit(f);
		} else {
			assert_int_equal(move_one(f, QUEUE_HOLD, 1, false).moved, 1);
		}
		f->now += 100 * HOUR;
		assert_int_equal(claim(f, 0, 9), 0);
		if (paused) {
			assert_true(queue_manifest_resume(f->queue, 1, f->now, why));
			assert_string_equal(why, "");
			commit(f);
		} else {
			assert_int_equal(move_one(f, QUEUE_RELEASE, 1, false).moved, 1);
		}
		f->now += 5 * HOUR;
		assert_int_equal(claim(f, 0, 9), 1);
		assert_int_equal(answer_one(f, 0, &back), ROW_QUEUED);
		f->now += 2 * HOUR;
		assert_int_equal(claim(f, 0, 9), 1);
		assert_int_equal(answer_one(f, 0, &back), ROW_EXPIRED);
		fixture_teardown((void **)&f);
	}
}

static void a_pause_that_cannot_be_is_declined(void **state)
{
	struct fixture *f = *state;
	char why[QUEUE_MOST_WHY];

	load(f, "a");
	assert_true(queue_manifest_resume(f->queue, 1, f->now, why));
	assert_string_equal(why, "manifest 1 is not paused");
	assert_true(queue_manifest_pause(f->queue, 2, "x", f->now, why));
	assert_string_equal(why, "there is no manifest 2");
	assert_true(queue_manifest_resume(f->queue, 2, f->now, why));
	assert_string_equal(why, "there is no manifest 2");
	assert_true(queue_manifest_pause(f->queue, 1, "x", f->now, why));
	commit(f);
	assert_true(queue_manifest_pause(f->queue, 1, "x", f->now, why));
	assert_string_equal(why, "manifest 1 is paused already");
	assert_true(queue_manifest_resume(f->queue, 1, f->now, why));
	commit(f);
	assert_int_equal(claim(f, 0, 9), 1);
	answer_one(f, 0, &accepted);
	assert_true(queue_manifest_pause(f->queue, 1, "x", f->now, why));
	assert_string_equal(why, "manifest 1 is settled: nothing of it is sent");
}

static void rows_of_a_manifest_that_is_loading_are_left_alone(void **state)
{
	struct fixture *f = *state;
	struct queue_order_result result;

	loading_manifest(f, "a");
	result = move_one(f, QUEUE_CANCEL, 1, false);
	assert_int_equal(result.declined, 1);
	assert_string_equal(result.examples[0].why, "its manifest 1 is still loading");
}

static void a_second_order_at_a_time_is_a_bug(void **state)
{
	struct fixture *f = *state;
	struct queue_order order = order_of(QUEUE_HOLD);
	struct error err = { 0 };

	load(f, "a");
	assert_true(queue_order_give(f->queue, &order, f->wall));
	assert_false(queue_order_give(f->queue, &order, f->wall));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_false(queue_order_open(f->queue));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_move_makes_of_a_row_hangs_on_its_state),
		T(an_order_is_logged_with_who_and_why),
		T(a_dry_run_counts_and_changes_nothing),
		T(a_dry_run_does_not_keep_rows_from_being_sent),
		T(an_order_goes_on_after_a_crash_and_later_rows_are_not_meant),
		T(selectors_hold_together),
		T(a_cancelled_row_lets_the_next_of_its_card_wait_for_the_one_before_it),
		T(a_cancelled_first_row_lets_the_next_go),
		T(a_held_row_holds_back_its_card),
		T(a_row_that_is_tried_again_goes_before_the_later_ones_of_its_card),
		T(a_retry_is_declined_where_the_event_lives_elsewhere_or_a_later_row_went_out),
		T(a_row_sent_by_word_holds_back_new_rows_of_its_card),
		T(a_settled_manifest_opens_again_and_settles_again_with_a_receipt),
		cmocka_unit_test(the_time_of_a_held_row_and_of_a_paused_manifest_does_not_count),
		T(a_pause_that_cannot_be_is_declined),
		T(rows_of_a_manifest_that_is_loading_are_left_alone),
		T(a_second_order_at_a_time_is_a_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
