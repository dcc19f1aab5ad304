#include "fixture.h"

static void every_table_is_strict_and_no_column_has_a_type_that_changes_what_is_stored(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(fixture_text(f, "SELECT group_concat(name) FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
					    " AND NOT strict AND name NOT LIKE 'sqlite\\_%%' ESCAPE '\\'"),
			    "");
	assert_true(fixture_number(f, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict") > 10);
	assert_string_equal(fixture_text(f, "SELECT group_concat(t.name || '.' || c.name || ' ' || c.type) FROM pragma_table_list t"
					    " JOIN pragma_table_info(t.name) c WHERE t.schema = 'main' AND t.type = 'table' AND t.strict"
					    " AND c.type NOT IN ('INTEGER', 'TEXT', 'BLOB')"),
			    "");
	load(f, "00123");
	assert_string_equal(fixture_text(f, "SELECT card_id || typeof(card_id) FROM status"), "00123text");
}

static void every_view_has_the_columns_that_the_product_promises_in_that_order(void **state)
{
	static const char *const views[][2] = {
		{ "status",
		  "row_id manifest_id source manifest line issuer_id card_id tracking_type state attempts next_attempt_at waits_for"
		  " http_status error_code detail operation_id correlation_id queued_at sent_at finished_at" },
		{ "manifest_status",
		  "manifest_id source name sha256 bytes state paused reason received_at released_at settled_at rows queued"
		  " sending accepted refused in_doubt held expired cancelled rejected duplicate skipped" },
		{ "endpoint_status", "endpoint state reason paused_until in_flight concurrency token_expires_at last_accepted_at" },
		{ "source_status", "source drop_directory state reason last_manifest_at manifests waiting_files" },
		{ "attempt_history", "row_id attempt correlation_id started_at finished_at http_status error_code outcome detail" },
		{ "operator_action_log", "at user uid action selector rows reason" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		assert_string_equal(
			fixture_text(f, "SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_table_info('%s') ORDER BY cid)",
				     views[i][0]),
			views[i][1]);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM sqlite_schema WHERE type = 'view'"), sizeof(views) / sizeof(views[0]));
}

static void the_views_name_states_types_and_outcomes_as_the_program_does(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 a.1 b c d");
	for (int i = 0; i < ROW_N_STATES; i++) {
		put_into(f, 1, (enum row_state)i);
		assert_string_equal(fixture_text(f, "SELECT state FROM status WHERE row_id = 1"), queue_state_name((enum row_state)i));
		assert_string_equal(fixture_text(f, "SELECT substr(detail, 7) FROM status WHERE row_id = 2"),
				    queue_state_name((enum row_state)i));
		assert_int_equal(fixture_number(f, "SELECT %s FROM manifest_status", queue_state_name((enum row_state)i)),
				 1 + (i == ROW_DUPLICATE ? 1 : 0) + (i == ROW_QUEUED ? 3 : 0));
	}
	for (int type = TRACK_PRODUCTION; type <= TRACK_RETURN; type++) {
		fixture_exec(f, type == TRACK_PRODUCTION ? "UPDATE row SET type = 1" : "UPDATE row SET type = type + 1");
		assert_string_equal(fixture_text(f, "SELECT tracking_type FROM status"), track_type_name((enum track_type)type));
	}
	for (int outcome = TRACK_ACCEPTED; outcome <= TRACK_BACK; outcome++) {
		fixture_exec(f, outcome == TRACK_ACCEPTED ? "UPDATE row SET attempts = 1, outcome = 1, correlation = 255, sent_at = 1"
							  : "UPDATE row SET outcome = outcome + 1");
		assert_string_equal(fixture_text(f, "SELECT outcome FROM attempt_history"),
				    track_outcome_name((enum track_outcome)outcome));
	}
	assert_string_equal(fixture_text(f, "SELECT correlation_id FROM attempt_history"), "00000000000000ff");
}

static void every_reason_that_the_product_knows_can_be_stored(void **state)
{
	static const char *const reasons[] = { "", "outage", "credentials", "certificate", "redirect", "proxy", "operator", "restored" };
	static const char *const states[] = { "open", "paused", "probing" };
	static const char *const pauses[] = { "", "operator", "refusals", "repeats", "restored" };
	struct fixture *f = *state;
	struct queue_endpoint as = { .concurrency = 1 };
	struct error err;

	load(f, "a");
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		snprintf(as.state, sizeof(as.state), "%s", states[i % 3]);
		snprintf(as.reason, sizeof(as.reason), "%s", reasons[i]);
		assert_true(queue_endpoint_store(f->queue, 0, &as));
	}
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++)
		assert_int_equal(fixture_number(f, "UPDATE manifest SET paused = '%s' RETURNING 1", pauses[i]), 1);
	commit(f);
	snprintf(as.reason, sizeof(as.reason), "weather");
	assert_false(queue_endpoint_store(f->queue, 0, &as));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_false(queue_source_store(f->queue, 0, "asleep", "", 0));
	assert_false(queue_commit(f->queue, &err));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(every_table_is_strict_and_no_column_has_a_type_that_changes_what_is_stored),
		T(every_view_has_the_columns_that_the_product_promises_in_that_order),
		T(the_views_name_states_types_and_outcomes_as_the_program_does),
		T(every_reason_that_the_product_knows_can_be_stored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
