#include "fixture.h"

static const struct answer never_mind = { .outcome = TRACK_BACK, .give_up_after = -1 };

/* Brings row 1, the only one that can go, into a state by the way that the daemon takes where there is one. */
static void bring_into(struct fixture *f, enum row_state to)
{
	switch (to) {
	case ROW_QUEUED:
	case ROW_REJECTED:
	case ROW_DUPLICATE:
	case ROW_SKIPPED:
	case ROW_N_STATES: return;
	case ROW_HELD:
	case ROW_CANCELLED: put_into(f, 1, to); return;
	case ROW_SENDING:
	case ROW_ACCEPTED:
	case ROW_REFUSED:
	case ROW_IN_DOUBT:
	case ROW_EXPIRED: break;
	}
	assert_int_equal(claim(f, 0, 9), 1);
	if (to == ROW_ACCEPTED)
		answer_one(f, 0, &accepted);
	else if (to == ROW_REFUSED)
		answer_one(f, 0, &refused);
	else if (to == ROW_IN_DOUBT)
		answer_one(f, 0, &in_doubt);
	else if (to == ROW_EXPIRED)
		answer_one(f, 0, &never_mind);
}

/* A first row of an event in every state, and a second one of the same event: with the same request, and with another one. */
static void what_becomes_of_a_row_whose_event_is_known_hangs_on_the_state_of_the_known_one(void **state)
{
	static const struct {
		const char *first;
		enum row_state is, same, other;
	} cases[] = {
		{ "a.7", ROW_QUEUED, ROW_DUPLICATE, ROW_DUPLICATE },   { "a.7", ROW_SENDING, ROW_DUPLICATE, ROW_DUPLICATE },
		{ "a.7", ROW_ACCEPTED, ROW_DUPLICATE, ROW_DUPLICATE }, { "a.7", ROW_REFUSED, ROW_DUPLICATE, ROW_QUEUED },
		{ "a.7", ROW_IN_DOUBT, ROW_DUPLICATE, ROW_DUPLICATE }, { "a.7", ROW_HELD, ROW_DUPLICATE, ROW_DUPLICATE },
		{ "a.7", ROW_EXPIRED, ROW_QUEUED, ROW_QUEUED },        { "a.7", ROW_CANCELLED, ROW_DUPLICATE, ROW_DUPLICATE },
		{ "!a.7", ROW_REJECTED, ROW_QUEUED, ROW_QUEUED },      { "~a.7", ROW_SKIPPED, ROW_QUEUED, ROW_QUEUED },
	};

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		bool another = i % 2;
		enum row_state expected = another ? cases[i / 2].other : cases[i / 2].same;
		struct fixture *f;

		fixture_setup_open((void **)&f);
		load(f, cases[i / 2].first);
		bring_into(f, cases[i / 2].is);
		assert_state(f, 1, cases[i / 2].is);
		loading_manifest(f, another ? "a.7/Vantaa" : "a.7/Lyon");
		assert_state(f, 2, expected);
		assert_int_equal(fixture_number(f, "SELECT same_as FROM row WHERE row_id = 2"), expected == ROW_DUPLICATE ? 1 : -1);
		/* One row at most stands for the event. */
		assert_int_equal(fixture_number(f, "SELECT count(*) FROM row WHERE superseded = 0"), 1);
		assert_int_equal(fixture_number(f, "SELECT superseded FROM row WHERE row_id = 2"), expected == ROW_DUPLICATE);
		fixture_teardown((void **)&f);
	}
	(void)state;
}

static void a_duplicate_tells_which_row_it_repeats_and_what_became_of_that(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 a.1");
	load(f, "a.1");
	assert_string_equal(fixture_text(f, "SELECT detail FROM status WHERE row_id = 3"), "row 1 queued");
	assert_int_equal(claim(f, 0, 9), 1);
	answer_one(f, 0, &accepted);
	assert_string_equal(fixture_text(f, "SELECT state || ' ' || detail FROM status WHERE row_id = 2"), "duplicate row 1 accepted");
	assert_int_equal(fixture_number(f, "SELECT finished_at FROM row WHERE row_id = 3"), f->wall);
}

static void a_row_that_took_the_place_of_a_refused_one_stands_for_the_event_from_then_on(void **state)
{
	struct fixture *f = *state;

	load(f, "a.7/Lyon");
	bring_into(f, ROW_REFUSED);
	load(f, "a.7/Vantaa");
	loading_manifest(f, "a.7/Lyon a.7/Vantaa");
	assert_state(f, 3, ROW_DUPLICATE);
	assert_state(f, 4, ROW_DUPLICATE);
	assert_int_equal(fixture_number(f, "SELECT same_as FROM row WHERE row_id = 3"), 2);
}

static void every_field_of_the_request_makes_it_another_one(void **state)
{
	static const struct track_request known = { .issuer_id = ISSUER_1,
						    .card_id = "a",
						    .type = TRACK_SHIPMENT,
						    .production_site = "Lyon",
						    .tracking_number = "LP1",
						    .postal_code = "69001",
						    .country_code = NULL,
						    .shipment_date = 1000 };
	struct fixture *f = *state;
	struct track_request others[] = { known, known, known, known, known, known };
	struct queue_row_new row = { .line = 2, .state = ROW_QUEUED, .event = 7, .request = known };
	int64_t manifest = record_manifest(f, NULL);
	enum row_state became;

	others[0].type = TRACK_PRODUCTION;
	others[1].production_site = "";
	others[2].tracking_number = "LP2";
	others[3].postal_code = NULL;
	others[4].country_code = "FR";
	others[5].shipment_date = 1001;
	assert_true(queue_row_add(f->queue, manifest, &row, f->wall, &became));
	assert_true(queue_manifest_progress(f->queue, manifest, 1, 1));
	release(f, manifest);
	for (int64_t i = 0; i < 6; i++) {
		assert_int_equal(claim(f, 0, 1), 1);
		answer_one(f, 0, &refused);
		manifest = record_manifest(f, NULL);
		if (i > 0)
			row.request = others[i - 1];
		assert_true(queue_row_add(f->queue, manifest, &row, f->wall, &became));
		assert_int_equal(became, ROW_DUPLICATE);
		row.request = others[i];
		assert_true(queue_row_add(f->queue, manifest, &row, f->wall, &became));
		assert_int_equal(became, ROW_QUEUED);
		assert_true(queue_manifest_progress(f->queue, manifest, 1, 1));
		release(f, manifest);
	}
}

static void a_request_comes_back_from_the_queue_as_it_was(void **state)
{
	static const char card[] = "CARD_56789-123456789_123456789-123456789_1234567";
	struct fixture *f = *state;
	struct queue_row_new row = { .line = 3,
				     .state = ROW_QUEUED,
				     .event = INT64_MIN,
				     .request = { .issuer_id = ISSUER_2,
						  .card_id = card,
						  .type = TRACK_SHIPMENT,
						  .production_site = "",
						  .tracking_number = "L P/1.2",
						  .postal_code = "75-011",
						  .shipment_date = 0 } };
	const struct track_request *r = &f->room[0].request;
	int64_t manifest = record_manifest(f, NULL);
	enum row_state became;

	assert_true(queue_row_add(f->queue, manifest, &row, f->wall, &became));
	row.request.card_id = "00123";
	row.request.type = TRACK_RETURN;
	row.request.shipment_date = 5; /* left over from somewhere; a return has none */
	assert_true(queue_row_add(f->queue, manifest, &row, f->wall, &became));
	assert_true(queue_manifest_progress(f->queue, manifest, 1, 1));
	release(f, manifest);
	assert_int_equal(claim(f, 1, 9), 2);
	assert_string_equal(r->issuer_id, ISSUER_2);
	assert_string_equal(r->card_id, card);
	assert_int_equal(r->type, TRACK_SHIPMENT);
	assert_string_equal(r->production_site, "");
	assert_string_equal(r->tracking_number, "L P/1.2");
	assert_string_equal(r->postal_code, "75-011");
	assert_null(r->country_code);
	assert_int_equal(r->shipment_date, 0);
	assert_string_equal(f->room[1].request.card_id, "00123");
	assert_int_equal(f->room[1].request.shipment_date, 0);
}

static void the_same_card_of_two_issuers_is_two_cards(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 a.1@2");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row WHERE state = 0 AND behind IS NULL"), 2);
}

static void a_rejected_or_skipped_row_may_know_neither_issuer_nor_card(void **state)
{
	struct fixture *f = *state;
	struct queue_row_new row = {
		.line = 9, .state = ROW_REJECTED, .byte_offset = 120, .byte_length = 30, .column = "", .reason = "too short"
	};
	int64_t manifest = record_manifest(f, NULL);
	enum row_state became;

	assert_true(queue_row_add(f->queue, manifest, &row, f->wall, &became));
	row.state = ROW_SKIPPED;
	assert_true(queue_row_add(f->queue, manifest, &row, f->wall, &became));
	row.state = ROW_REJECTED;
	row.column = "ISSUER";
	row.request.issuer_id = "UNKNOWN000";
	row.request.card_id = "b";
	assert_true(queue_row_add(f->queue, manifest, &row, f->wall, &became));
	assert_true(queue_manifest_progress(f->queue, manifest, 150, 10));
	commit(f);
	assert_string_equal(
		fixture_text(
			f, "SELECT group_concat(coalesce(card_id, '-') || ' ' || state || ' ' || coalesce(detail, '-'), ', ') FROM status"),
		"- rejected too short, - skipped -, b rejected ISSUER: too short");
	assert_string_equal(fixture_text(f, "SELECT group_concat(row_id || ' ' || byte_offset || ' ' || byte_length) FROM reject"),
			    "1 120 30,3 120 30");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM lane"), 0);
}

static void a_row_to_be_sent_without_a_known_issuer_or_a_card_is_a_bug(void **state)
{
	static const struct track_request requests[] = { { .card_id = "a" },
							 { .issuer_id = ISSUER_1 },
							 { .issuer_id = "X", .card_id = "a" } };
	struct fixture *f = *state;
	int64_t manifest = record_manifest(f, NULL);
	struct error err;

	commit(f);
	for (size_t i = 0; i < 3; i++) {
		struct queue_row_new row = { .state = ROW_QUEUED, .request = requests[i] };
		enum row_state became = ROW_N_STATES;

		row.request.type = TRACK_RETURN;
		assert_false(queue_row_add(f->queue, manifest, &row, f->wall, &became));
		assert_int_equal(became, ROW_N_STATES);
		assert_false(queue_commit(f->queue, &err));
		assert_int_equal(err.code, ERROR_INTERNAL);
	}
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row"), 0);
}

static void rows_are_numbered_on_after_a_restart_and_after_the_last_ones_are_purged(void **state)
{
	struct fixture *f = *state;

	load(f, "a b");
	fixture_restart(f);
	load(f, "c d");
	assert_int_equal(fixture_number(f, "SELECT max(row_id) FROM row"), 4);
	fixture_exec(f, "DELETE FROM row WHERE row_id > 2; UPDATE manifest SET rows = 0, queued = 0 WHERE manifest_id = 2");
	fixture_restart(f);
	load(f, "e");
	assert_int_equal(fixture_number(f, "SELECT max(row_id) FROM row"), 5);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_becomes_of_a_row_whose_event_is_known_hangs_on_the_state_of_the_known_one),
		T(a_duplicate_tells_which_row_it_repeats_and_what_became_of_that),
		T(a_row_that_took_the_place_of_a_refused_one_stands_for_the_event_from_then_on),
		T(every_field_of_the_request_makes_it_another_one),
		T(a_request_comes_back_from_the_queue_as_it_was),
		T(the_same_card_of_two_issuers_is_two_cards),
		T(a_rejected_or_skipped_row_may_know_neither_issuer_nor_card),
		T(a_row_to_be_sent_without_a_known_issuer_or_a_card_is_a_bug),
		T(rows_are_numbered_on_after_a_restart_and_after_the_last_ones_are_purged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
