#include "fixture.h"

#include "queue/card.h"

enum { STEP = 256 }; /* rows for which card_add makes a step */

#define EVERY_KEY "(SELECT key FROM card_0 UNION ALL SELECT key FROM card_1 UNION ALL SELECT key FROM card_2)"

/* Cards first to last, each of one row, with numbers that make a step each. */
static void add_cards(struct fixture *f, int first, int last)
{
	for (int i = first; i <= last; i++) {
		char card[24];

		snprintf(card, sizeof(card), "card-%d", i);
		assert_true(card_add(f->queue, card, (int64_t)i * STEP));
	}
	commit(f);
}

static int known_to_be_new(struct fixture *f, const char *name, int n)
{
	int new = 0;

	for (int i = 1; i <= n; i++) {
		char card[24];

		snprintf(card, sizeof(card), "%s-%d", name, i);
		new += card_is_new(f->queue, card);
	}
	return new;
}

/* Databases in the field have these. */
static void the_keys_of_a_card_are_the_same_for_ever(void **state)
{
	assert_int_equal(card_keys("CARD0001").first, INT64_C(629742445835321344));
	assert_int_equal(card_keys("CARD0001").last, card_keys("CARD0001").first + UINT32_MAX);
	assert_int_equal(card_keys("").first, INT64_C(8832978287245393920));
	assert_true(card_keys("CARD0002").first > 0 && card_keys("CARD0002").first != card_keys("CARD0001").first);
	(void)state;
}

static void keys_move_on_in_three_tables_and_none_is_lost(void **state)
{
	struct fixture *f = *state;

	add_cards(f, 1, 5000);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM " EVERY_KEY), 5000);
	assert_int_equal(fixture_number(f, "SELECT count(DISTINCT key & 4294967295) FROM " EVERY_KEY), 5000);
	/* The first table has no more than came in one round, the second no more than came in one of its own. */
	assert_in_range(fixture_number(f, "SELECT count(*) FROM card_0"), 1, 128);
	assert_in_range(fixture_number(f, "SELECT count(*) FROM card_1"), 1, 4096);
	for (int i = 1; i <= 5000; i += 7) {
		char card[24];
		struct card_range keys;

		snprintf(card, sizeof(card), "card-%d", i);
		keys = card_keys(card);
		assert_int_equal(
			fixture_number(f, "SELECT count(*) FROM " EVERY_KEY " WHERE key BETWEEN %lld AND %lld AND key & 4294967295 = %d",
				       (long long)keys.first, (long long)keys.last, i * STEP),
			1);
	}
}

static void an_event_is_known_in_whatever_table_its_key_is(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1");
	for (int table = 0; table < 3; table++) {
		assert_int_equal(fixture_number(f, "SELECT count(*) FROM card_%d WHERE key & 4294967295 = 1", table), 1);
		load(f, "a.1");
		assert_state(f, table + 2, ROW_DUPLICATE);
		if (table == 2)
			break;
		fixture_exec(f, table == 0 ? "INSERT INTO card_1 SELECT key FROM card_0; DELETE FROM card_0"
					   : "INSERT INTO card_2 SELECT key FROM card_1; DELETE FROM card_1");
	}
}

static void cards_that_share_a_hash_are_told_apart(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(card_keys("c36330").first, card_keys("c116803").first);
	load(f, "c36330.1");
	load(f, "c116803.1 c36330.2 c116803.1 c116803.2");
	assert_state(f, 2, ROW_QUEUED);
	assert_int_equal(fixture_number(f, "SELECT behind FROM row WHERE row_id = 2"), -1);
	assert_int_equal(fixture_number(f, "SELECT behind FROM row WHERE row_id = 3"), 1);
	assert_int_equal(fixture_number(f, "SELECT same_as FROM row WHERE row_id = 4"), 2);
	assert_int_equal(fixture_number(f, "SELECT behind FROM row WHERE row_id = 5"), 2);
}

static void after_a_start_no_card_counts_as_new_before_all_keys_are_read(void **state)
{
	struct fixture *f = *state;
	int steps = 0;

	add_cards(f, 1, 3000);
	assert_int_equal(f->queue->cards.parts, CARD_PARTS);
	fixture_restart(f);
	for (int i = 3001; f->queue->cards.parts < CARD_PARTS; i++, steps++) {
		assert_int_equal(known_to_be_new(f, "other", 100), 0);
		add_cards(f, i, i);
	}
	assert_in_range(steps, 2, 8); /* it reads on in pieces */
	assert_int_equal(known_to_be_new(f, "card", 3000 + steps), 0);
	assert_in_range(known_to_be_new(f, "other", 10000), 9950, 10000);
}

static void a_row_that_was_rolled_back_leaves_no_trace(void **state)
{
	struct fixture *f = *state;
	struct error why = { .code = ERROR_IO, .text = "no" }, err;
	int64_t manifest;

	add_cards(f, 1, 1);
	manifest = record_manifest(f, NULL);
	commit(f);
	assert_int_equal(add_row(f, manifest, "a.1"), ROW_QUEUED);
	assert_false(card_is_new(f->queue, "a"));
	queue_spoil(f->queue, &why);
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM " EVERY_KEY), 1);
	assert_int_equal(add_row(f, manifest, "a.1"), ROW_QUEUED);
	assert_int_equal(add_row(f, manifest, "a.1"), ROW_DUPLICATE);
}

static void a_key_that_outlived_its_row_does_no_harm(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 b.2");
	fixture_exec(f, "DELETE FROM lane; DELETE FROM row; DELETE FROM manifest");
	fixture_restart(f);
	load(f, "b.2 b.2 a.1");
	assert_state(f, 1, ROW_QUEUED);
	assert_state(f, 2, ROW_DUPLICATE);
	assert_state(f, 3, ROW_QUEUED);
}

static void a_row_number_that_a_key_has_no_room_for_is_a_bug_and_said_so(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_true(card_add(f->queue, "a", UINT32_MAX));
	commit(f);
	assert_false(card_add(f->queue, "a", INT64_C(1) + UINT32_MAX));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(the_keys_of_a_card_are_the_same_for_ever),
		T(keys_move_on_in_three_tables_and_none_is_lost),
		T(an_event_is_known_in_whatever_table_its_key_is),
		T(cards_that_share_a_hash_are_told_apart),
		T(after_a_start_no_card_counts_as_new_before_all_keys_are_read),
		T(a_row_that_was_rolled_back_leaves_no_trace),
		T(a_key_that_outlived_its_row_does_no_harm),
		T(a_row_number_that_a_key_has_no_room_for_is_a_bug_and_said_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
