#include "queue/read.h"

#include "base/text.h"
#include "queue/card.h"
#include "queue/read_sql.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

struct place {
	char directory[64], path[96];
	struct queue_reader *reader;
};

/* Manifest 1 of lyon (rows 1 to 1200, released at 1000 s), manifest 2 of metz (1201 to 1203, settled), manifest 3 of lyon (loading, 1204).
 */
static const char rows_sql[] =
	"INSERT INTO source (name, drop_directory, since) VALUES ('lyon', '/lyon', 0), ('metz', '/metz', 0);"
	"INSERT INTO endpoint (name) VALUES ('bankfr');"
	"INSERT INTO issuer (issuer_id, endpoint_no) VALUES ('BANKFR0001', 1);"
	"INSERT INTO manifest (source_no, name, shown_name, sha256, bytes, state, received_at, released_at, device, inode, mtime_ns, first_row,"
	" last_row, rows, queued, accepted, in_doubt, refused) VALUES"
	" (1, x'61', 'a.csv', x'1111111111111111111111111111111111111111111111111111111111111111', 10, 'released', 900000, 1000000, 1, 1, 1, 1,"
	"  1200, 1200, 1, 1196, 2, 1),"
	" (2, x'62', 'b.csv', x'2222222222222222222222222222222222222222222222222222222222222222', 10, 'settled', 1900000, 2000000, 1, 2, 1, 1201,"
	"  1203, 3, 0, 3, 0, 0),"
	" (1, x'63', 'c.csv', x'3333333333333333333333333333333333333333333333333333333333333333', 10, 'loading', 3000000, NULL, 1, 3, 1, 1204,"
	"  1204, 1, 1, 0, 0, 0);"
	"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1204)"
	" INSERT INTO row (row_id, manifest_id, line, issuer_no, card_id, type, state, production_site, event, superseded)"
	" SELECT i, CASE WHEN i <= 1200 THEN 1 WHEN i <= 1203 THEN 2 ELSE 3 END, i, 1, 'card' || (i % 1000), 1,"
	"  CASE WHEN i IN (100, 1100) THEN 4 WHEN i = 200 THEN 3 WHEN i IN (1000, 1204) THEN 0 ELSE 2 END, 'Lyon', i, 0 FROM n;"
	"UPDATE row SET attempts = 2, correlation = 255, sent_at = 1000, outcome = 3, operation_id = 'op-100' WHERE row_id = 100;"
	"INSERT INTO attempt (row_id, attempt, correlation, started_at) VALUES (100, 1, 254, 500);"
	"INSERT INTO operator_action (at, user, uid, action, selector, rows, reason) VALUES (1, 'anna', 1000, 'hold', '--row 1', 1, 'why');";

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *handle;

	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(handle));
	sqlite3_close(handle);
}

/* The rows above come without their cards' keys; they are put into all three tables in turn. */
static void add_keys(const char *path)
{
	struct text sql = { 0 };

	text_printf(&sql, "BEGIN;");
	for (int row = 1; row <= 1204; row++) {
		char card[24];

		snprintf(card, sizeof(card), "card%d", row % 1000);
		text_printf(&sql, "INSERT INTO card_%d (key) VALUES (%lld);", row / 3 % 3, (long long)card_keys(card).first + row);
	}
	text_printf(&sql, "COMMIT");
	run_sql(path, sql.data);
	text_free(&sql);
}

static int make(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	struct queue *queue = NULL;
	struct error err = { 0 };

	snprintf(place->directory, sizeof(place->directory), "/tmp/test_read.XXXXXX");
	if (!mkdtemp(place->directory))
		return -1;
	snprintf(place->path, sizeof(place->path), "%s/queue.db", place->directory);
	if (!queue_open(place->path, &queue, &err))
		return -1;
	queue_close(queue);
	run_sql(place->path, rows_sql);
	add_keys(place->path);
	if (!queue_reader_open(place->path, &place->reader, &err))
		return -1;
	*state = place;
	return 0;
}

static void remove_file(const struct place *place, const char *suffix)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s", place->path, suffix);
	unlink(path);
}

static int unmake(void **state)
{
	struct place *place = *state;

	queue_reader_close(place->reader);
	remove_file(place, "");
	remove_file(place, "-wal");
	remove_file(place, "-shm");
	rmdir(place->directory);
	free(place);
	return 0;
}

/* The first column of all rows, as "1 2 3". */
static void first_column(struct queue_reader *reader, enum queue_query query, const struct queue_filter *filter, struct text *ret_text)
{
	struct queue_cursor *cursor = NULL;
	const struct queue_value *row;
	struct error err;

	text_append_string(ret_text, "");
	assert_true(queue_reader_query(reader, query, filter, &cursor, &err));
	while (queue_cursor_next(cursor, &row, &err) && row) {
		if (row[0].type == QUEUE_TEXT)
			text_printf(ret_text, "%s%s", ret_text->length ? " " : "", row[0].text);
		else
			text_printf(ret_text, "%s%lld", ret_text->length ? " " : "", (long long)row[0].number);
	}
	assert_null(row);
	assert_true(queue_cursor_next(cursor, &row, &err));
	assert_null(row);
	queue_cursor_close(cursor);
}

static void rows_are_found_by_every_filter_and_by_all_together(void **state)
{
	static const struct {
		struct queue_filter filter;
		const char *rows;
	} cases[] = {
		{ { .card = "card100" }, "100 1100" },
		{ { .state = "in_doubt" }, "100 1100" },
		{ { .state = "in_doubt", .limit = 1 }, "100" },
		{ { .state = "refused" }, "200" },
		{ { .state = "queued" }, "1000 1204" },
		{ { .state = "expired" }, "" },
		{ { .manifest = 2 }, "1201 1202 1203" },
		{ { .manifest = 2, .limit = 2 }, "1201 1202" },
		{ { .manifest = 99 }, "" },
		{ { .source = "metz" }, "1201 1202 1203" },
		{ { .source = "lyon", .state = "queued" }, "1000 1204" },
		{ { .source = "nowhere" }, "" },
		{ { .since_ms = 2000000 }, "1201 1202 1203 1204" },
		{ { .since_ms = 2000000, .source = "lyon" }, "1204" },
		{ { .since_ms = 3000001 }, "" },
		{ { .operation_id = "op-100" }, "100" },
		{ { .row = 1203 }, "1203" },
		{ { .row = 5000 }, "" },
		{ { .row = 7, .manifest = 2 }, "" },
		{ { .card = "card100",
		    .state = "in_doubt",
		    .manifest = 1,
		    .source = "lyon",
		    .since_ms = 1000000,
		    .operation_id = "op-100" },
		  "100" },
		{ { .card = "card100", .state = "accepted" }, "" },
		{ { .card = "card201", .manifest = 2 }, "1201" },
		{ { .state = "in_doubt", .manifest = 2 }, "" },
	};
	struct place *place = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text rows = { 0 };

		first_column(place->reader, QUEUE_STATUS, &cases[i].filter, &rows);
		assert_string_equal(rows.data, cases[i].rows);
		text_free(&rows);
	}
}

static void a_listing_of_many_pages_has_every_row_once_and_in_order(void **state)
{
	static const int limits[] = { 0, 1, 499, 500, 501, 1000, 1203, 1204, 5000 };
	struct place *place = *state;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const struct queue_filter filter = { .limit = limits[i] };
		struct queue_cursor *cursor = NULL;
		const struct queue_value *row;
		struct error err;
		int64_t expected = 0;

		assert_true(queue_reader_query(place->reader, QUEUE_STATUS, &filter, &cursor, &err));
		while (queue_cursor_next(cursor, &row, &err) && row)
			assert_int_equal(row[0].number, ++expected);
		assert_int_equal(expected, limits[i] == 0 || limits[i] > 1204 ? 1204 : limits[i]);
		queue_cursor_close(cursor);
	}
}

/* A listing in a pager holds back no checkpoint: between two rows nothing is open. */
static void no_transaction_stays_open_between_rows(void **state)
{
	const struct queue_filter all = { 0 };
	struct place *place = *state;
	struct queue_cursor *cursor = NULL;
	const struct queue_value *row;
	struct error err;
	sqlite3 *handle;
	int in_log = -1, moved = -1;

	assert_true(queue_reader_query(place->reader, QUEUE_STATUS, &all, &cursor, &err));
	assert_true(queue_cursor_next(cursor, &row, &err));
	assert_int_equal(sqlite3_open(place->path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, "UPDATE row SET line = 5 WHERE row_id = 1", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, &in_log, &moved), SQLITE_OK);
	sqlite3_close(handle);
	queue_cursor_close(cursor);
}

static void values_have_the_views_names_and_their_types(void **state)
{
	const struct queue_filter filter = { .row = 100 };
	struct place *place = *state;
	struct queue_cursor *cursor = NULL;
	const struct queue_value *row;
	struct error err;
	const char *const *names;
	size_t n;

	assert_true(queue_reader_query(place->reader, QUEUE_STATUS, &filter, &cursor, &err));
	names = queue_cursor_columns(cursor, &n);
	assert_int_equal(n, 20);
	assert_string_equal(names[0], "row_id");
	assert_string_equal(names[2], "source");
	assert_string_equal(names[19], "finished_at");
	assert_true(queue_cursor_next(cursor, &row, &err));
	assert_int_equal(row[0].type, QUEUE_NUMBER);
	assert_int_equal(row[2].type, QUEUE_TEXT);
	assert_string_equal(row[2].text, "lyon");
	assert_int_equal(row[19].type, QUEUE_NULL);
	queue_cursor_close(cursor);
}

static void the_other_questions_are_answered(void **state)
{
	static const struct {
		enum queue_query query;
		struct queue_filter filter;
		const char *first;
	} cases[] = {
		{ QUEUE_MANIFEST_STATUS, { 0 }, "1 2 3" },
		{ QUEUE_MANIFEST_STATUS, { .limit = 2 }, "1 2" },
		{ QUEUE_MANIFEST_STATUS, { .state = "settled" }, "2" },
		{ QUEUE_MANIFEST_STATUS, { .source = "lyon" }, "1 3" },
		{ QUEUE_MANIFEST_STATUS, { .manifest = 3 }, "3" },
		{ QUEUE_MANIFEST_STATUS, { .since_ms = 1500000 }, "2 3" },
		{ QUEUE_ENDPOINT_STATUS, { 0 }, "bankfr" },
		{ QUEUE_SOURCE_STATUS, { 0 }, "lyon metz" },
		{ QUEUE_ATTEMPT_HISTORY, { .row = 100 }, "100 100" },
		{ QUEUE_ATTEMPT_HISTORY, { .row = 101 }, "" },
		{ QUEUE_OPERATOR_ACTION_LOG, { 0 }, "1970-01-01T00:00:00.001Z" },
		{ QUEUE_REQUEST, { .row = 100 }, "BANKFR0001" },
		{ QUEUE_OVERVIEW, { 0 }, "1" },
		{ QUEUE_OLDEST_WAITING, { 0 }, "1" },
	};
	struct place *place = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text first = { 0 };

		first_column(place->reader, cases[i].query, &cases[i].filter, &first);
		assert_string_equal(first.data, cases[i].first);
		text_free(&first);
	}
}

/* The numbers of the only row, as "1 2 3"; "" without a row. */
static void assert_numbers(struct place *place, enum queue_query query, int64_t now_ms, const char *expected)
{
	const struct queue_filter filter = { .now_ms = now_ms };
	struct queue_cursor *cursor = NULL;
	const struct queue_value *row;
	struct text found = { 0 };
	struct error err;
	size_t n;

	text_append_string(&found, "");
	assert_true(queue_reader_query(place->reader, query, &filter, &cursor, &err));
	(void)queue_cursor_columns(cursor, &n);
	assert_true(queue_cursor_next(cursor, &row, &err));
	for (size_t i = 0; row && i < n; i++)
		text_printf(&found, "%s%lld", i ? " " : "", (long long)row[i].number);
	assert_string_equal(found.data, expected);
	queue_cursor_close(cursor);
	text_free(&found);
}

static void what_was_accepted_in_the_last_minute_and_went_wrong_in_the_last_day_is_summed_up(void **state)
{
	struct place *place = *state;

	assert_numbers(place, QUEUE_ACTIVITY, 100005000, "0 99940000 0 0 0 1");
	run_sql(place->path, "INSERT INTO activity VALUES (99930000, 100, 1, 0, 0), (99940000, 20, 0, 2, 0), (100000000, 3, 0, 0, 4),"
			     " (13600000, 9, 9, 9, 9), (100010000, 7, 7, 7, 7)");
	/* What is older than a day, or lies ahead of the clock, is left out. */
	assert_numbers(place, QUEUE_ACTIVITY, 100005000, "23 99940000 1 2 4 1");
}

static void the_oldest_row_that_could_go_is_found(void **state)
{
	struct place *place = *state;

	assert_numbers(place, QUEUE_READY, 5000000, "");
	run_sql(place->path, "INSERT INTO lane VALUES (1, 1, 1201, NULL)");
	assert_numbers(place, QUEUE_READY, 5000000, "");
	run_sql(place->path, "UPDATE row SET due = 4000000 WHERE row_id = 1000");
	assert_numbers(place, QUEUE_READY, 3999999, "");
	assert_numbers(place, QUEUE_READY, 5000000, "1 4000000");
	/* A row that was never tried has waited since its manifest was released. */
	run_sql(place->path, "UPDATE lane SET next_row = 1000");
	assert_numbers(place, QUEUE_READY, 5000000, "1 1000000");
	run_sql(place->path, "UPDATE endpoint SET state = 'paused', reason = 'outage'");
	assert_numbers(place, QUEUE_READY, 5000000, "");
	run_sql(place->path,
		"UPDATE endpoint SET state = 'open', reason = ''; UPDATE manifest SET paused = 'operator' WHERE manifest_id = 1");
	assert_numbers(place, QUEUE_READY, 5000000, "");
}

static void manifests_that_somebody_has_to_see_to_are_named(void **state)
{
	const struct queue_filter all = { 0 };
	struct place *place = *state;
	struct text found = { 0 };

	run_sql(place->path, "UPDATE manifest SET paused = 'refusals' WHERE manifest_id = 1;"
			     "UPDATE manifest SET receipt_at = 5, reason = 'receipt: no', archived = x'61' WHERE manifest_id = 2;"
			     "UPDATE manifest SET rejects_due = 1, reason = 'rejects: no' WHERE manifest_id = 3");
	first_column(place->reader, QUEUE_TROUBLE, &all, &found);
	assert_string_equal(found.data, "paused receipt rejects");
	text_clear(&found);
	/* A reason that tells of no trouble with a file. */
	run_sql(place->path,
		"UPDATE manifest SET paused = '', rejects_due = 0; UPDATE manifest SET reason = 'archive: no' WHERE manifest_id < 3");
	first_column(place->reader, QUEUE_TROUBLE, &all, &found);
	assert_string_equal(found.data, "archive");
	text_free(&found);
}

static void a_word_that_is_no_state_is_refused(void **state)
{
	const struct queue_filter filter = { .state = "doubtful" };
	struct place *place = *state;
	struct queue_cursor *cursor = NULL;
	struct error err;

	assert_false(queue_reader_query(place->reader, QUEUE_STATUS, &filter, &cursor, &err));
	assert_int_equal(err.code, ERROR_USAGE);
	assert_null(cursor);
}

static void an_event_is_found_as_the_loader_would_find_it(void **state)
{
	struct track_request request = {
		.issuer_id = "BANKFR0001", .card_id = "card5", .type = TRACK_PRODUCTION, .production_site = "Lyon"
	};
	struct place *place = *state;
	enum row_state known = ROW_SKIPPED;
	struct error err;
	int64_t row = -1;

	assert_true(queue_reader_event(place->reader, &request, 5, &row, &known, &err));
	assert_int_equal(row, 5);
	assert_int_equal(known, ROW_ACCEPTED);
	assert_true(queue_reader_event(place->reader, &request, 6, &row, &known, &err));
	assert_int_equal(row, 0);
	request.issuer_id = "OTHER00000";
	assert_true(queue_reader_event(place->reader, &request, 5, &row, &known, &err));
	assert_int_equal(row, 0);
	/* A refused one is repeated by the same request alone. */
	request.issuer_id = "BANKFR0001";
	request.card_id = "card200";
	assert_true(queue_reader_event(place->reader, &request, 200, &row, &known, &err));
	assert_int_equal(row, 200);
	assert_int_equal(known, ROW_REFUSED);
	request.production_site = "Metz";
	assert_true(queue_reader_event(place->reader, &request, 200, &row, &known, &err));
	assert_int_equal(row, 0);
}

static void the_same_bytes_are_found_in_their_own_source_once_loaded(void **state)
{
	static const struct {
		const char *source;
		int byte;
		int64_t manifest;
	} cases[] = { { "lyon", 0x11, 1 }, { "metz", 0x11, 0 }, { "metz", 0x22, 2 }, { "lyon", 0x33, 0 }, { "lyon", 0x44, 0 } };
	struct place *place = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t sha256[32];
		int64_t manifest = -1;
		struct error err;

		memset(sha256, cases[i].byte, sizeof(sha256));
		assert_true(queue_reader_same_bytes(place->reader, cases[i].source, sha256, &manifest, &err));
		assert_int_equal(manifest, cases[i].manifest);
	}
}

static void counts_come_for_every_manifest(void **state)
{
	struct place *place = *state;
	const struct queue_filter all = { 0 };
	struct queue_cursor *cursor;
	const struct queue_value *row;
	struct text found = { 0 };
	struct error err;

	assert_true(queue_reader_query(place->reader, QUEUE_COUNTS, &all, &cursor, &err));
	while (queue_cursor_next(cursor, &row, &err) && row)
		text_printf(&found, "%s %s %lld: %lld rows, %lld accepted\n", row[1].text, row[2].text, (long long)row[3].number,
			    (long long)row[4].number, (long long)row[7].number);
	queue_cursor_close(cursor);
	assert_string_equal(found.data, "lyon released 900000: 1200 rows, 1196 accepted\nmetz settled 1900000: 3 rows, 3 accepted\n"
					"lyon loading 3000000: 1 rows, 0 accepted\n");
	text_free(&found);
}

static void manifests_that_are_paused_wait_before_older_ones(void **state)
{
	struct place *place = *state;
	struct queue_filter filter = { 0 };
	struct text found = { 0 };

	run_sql(place->path, "UPDATE manifest SET state = 'released', paused = 'operator' WHERE manifest_id = 2");
	first_column(place->reader, QUEUE_WAITING_MANIFESTS, &filter, &found);
	filter.limit = 1;
	first_column(place->reader, QUEUE_WAITING_MANIFESTS, &filter, &found);
	assert_string_equal(found.data, "2 1 2");
	text_free(&found);
}

static void the_last_actions_come_first_and_from_their_time_on(void **state)
{
	struct place *place = *state;
	struct queue_filter filter = { .since_ms = 5 };
	struct queue_cursor *cursor;
	const struct queue_value *row;
	struct error err;

	run_sql(place->path,
		"INSERT INTO operator_action (at, user, uid, action, selector, rows, reason) VALUES (5, 'bert', 1, 'hold', '', 1, ''),"
		" (6, 'carl', 1, 'release', '', 1, '')");
	assert_true(queue_reader_query(place->reader, QUEUE_LATEST_ACTIONS, &filter, &cursor, &err));
	assert_true(queue_cursor_next(cursor, &row, &err));
	assert_string_equal(row[1].text, "carl");
	assert_true(queue_cursor_next(cursor, &row, &err));
	assert_string_equal(row[1].text, "bert");
	assert_true(queue_cursor_next(cursor, &row, &err));
	assert_null(row);
	queue_cursor_close(cursor);
}

static void a_frozen_reader_sees_one_moment(void **state)
{
	struct place *place = *state;
	const struct queue_filter all = { 0 };
	struct text found = { 0 };
	struct error err;

	assert_true(queue_reader_freeze(place->reader, &err));
	run_sql(place->path, "INSERT INTO source (name, drop_directory, since) VALUES ('new', '/new', 0)");
	first_column(place->reader, QUEUE_SOURCE_STATUS, &all, &found);
	assert_string_equal(found.data, "lyon metz");
	queue_reader_thaw(place->reader);
	queue_reader_thaw(place->reader);
	text_clear(&found);
	first_column(place->reader, QUEUE_SOURCE_STATUS, &all, &found);
	assert_string_equal(found.data, "lyon metz new");
	text_free(&found);
}

static void append_plan(sqlite3 *handle, const char *sql, struct text *ret_plan)
{
	struct text explain = { 0 };
	sqlite3_stmt *statement;

	text_printf(&explain, "EXPLAIN QUERY PLAN %s", sql);
	if (sqlite3_prepare_v2(handle, explain.data, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
	while (sqlite3_step(statement) == SQLITE_ROW)
		text_printf(ret_plan, "%s\n", (const char *)sqlite3_column_text(statement, 3));
	sqlite3_finalize(statement);
	text_free(&explain);
}

static void every_question_about_rows_uses_an_index(void **state)
{
	static const struct {
		enum read_sql sql;
		const char *step;
	} cases[] = {
		{ READ_ROWS_OF_CARD, "SEARCH card_2 USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" },
		{ READ_ROWS_IN_ATTENTION, "SEARCH r USING INDEX row_attention (state=? AND rowid>? AND rowid<?)" },
		{ READ_ROWS_IN_RANGE, "SEARCH r USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" },
		{ READ_EVENT, "SEARCH card_2 USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" },
		{ READ_REQUEST, "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)" },
		{ READ_ATTEMPTS, "SEARCH a USING PRIMARY KEY (row_id=?)" },
		{ READ_MANIFESTS, "SEARCH m USING INTEGER PRIMARY KEY (rowid>?)" },
		{ READ_COUNTS, "SEARCH m USING INTEGER PRIMARY KEY (rowid>?)" },
		{ READ_OLDEST_WAITING, "SEARCH m USING INDEX manifest_open (state=?)" },
		{ READ_WAITING_MANIFESTS, "SEARCH m USING INDEX manifest_open (state=?)" },
		{ READ_ACTIVITY, "SEARCH activity USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" },
		{ READ_ACTIVITY, "SEARCH m USING INDEX manifest_open (state=?)" },
		{ READ_READY, "SEARCH m USING INDEX manifest_open (state=?)" },
		{ READ_READY, "SEARCH r USING COVERING INDEX row_due (manifest_id=? AND issuer_no=? AND due>? AND due<?)" },
		{ READ_TROUBLE, "SEARCH m USING INDEX manifest_open (state=?)" },
		{ READ_TROUBLE, "USING INDEX manifest_receipt" },
		{ READ_TROUBLE, "USING INDEX manifest_rejects" },
		{ READ_TROUBLE, "USING INDEX manifest_unarchived" },
		{ READ_RECEIPT_ROWS, "SEARCH r USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" },
		{ READ_SAME_BYTES, "SEARCH m USING INDEX manifest_bytes (source_no=? AND sha256=?)" },
	};
	struct place *place = *state;
	sqlite3 *handle;

	assert_int_equal(sqlite3_open(place->path, &handle), SQLITE_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text plan = { 0 };

		append_plan(handle, read_sql[cases[i].sql], &plan);
		if (!strstr(plan.data, cases[i].step))
			fail_msg("instead of %s:\n%s", cases[i].step, plan.data);
		text_free(&plan);
	}
	sqlite3_close(handle);
}

static void nothing_walks_through_all_rows(void **state)
{
	struct place *place = *state;
	sqlite3 *handle;

	assert_int_equal(sqlite3_open(place->path, &handle), SQLITE_OK);
	for (int i = 0; i < READ_SQL_N; i++) {
		struct text plan = { 0 };

		append_plan(handle, read_sql[i], &plan);
		if (strstr(plan.data, "SCAN r\n") || strstr(plan.data, "SCAN r USING") || strstr(plan.data, "SCAN row"))
			fail_msg("%s\n%s", read_sql[i], plan.data);
		text_free(&plan);
	}
	sqlite3_close(handle);
}

static void a_database_that_is_not_there_is_said_so_and_not_made(void **state)
{
	struct place *place = *state;
	struct queue_reader *reader = NULL;
	struct error err = { 0 };
	char path[128];

	snprintf(path, sizeof(path), "%s/none.db", place->directory);
	assert_false(queue_reader_open(path, &reader, &err));
	assert_int_equal(err.code, ERROR_NO_INPUT);
	assert_non_null(strstr(err.text, "no queue here yet"));
	assert_int_equal(access(path, F_OK), -1);
	assert_null(reader);
}

static void what_is_no_database_of_ours_is_bad_data(void **state)
{
	struct place *place = *state;
	struct queue_reader *reader = NULL;
	struct error err = { 0 };
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/other.db", place->directory);
	file = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("no database ", file);
	fclose(file);
	assert_false(queue_reader_open(path, &reader, &err));
	assert_int_equal(err.code, ERROR_DATA);
	unlink(path);
	run_sql(path, "CREATE TABLE t (a)");
	assert_false(queue_reader_open(path, &reader, &err));
	assert_int_equal(err.code, ERROR_DATA);
	assert_non_null(strstr(err.text, "not a trackbridge database"));
	unlink(path);
}

/* Permission tells root nothing, so a child of the test is somebody else. Gives the error's code, and its text through the pipe. */
static int open_as_nobody(const char *path, char *ret_text, size_t size)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct queue_reader *reader = NULL;
		struct error err = { 0 };

		if (geteuid() == 0 && (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
			_exit(1);
		if (queue_reader_open(path, &reader, &err))
			queue_reader_close(reader);
		if (write(ends[1], err.text, strlen(err.text) + 1) < 0)
			_exit(1);
		_exit((int)err.code);
	}
	close(ends[1]);
	n = read(ends[0], ret_text, size);
	assert_true(n > 0);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void what_may_not_be_read_is_a_matter_of_permission(void **state)
{
	struct place *place = *state;
	char text[1024], shm[128];

	/* A child would share what SQLite has open. */
	queue_reader_close(place->reader);
	place->reader = NULL;
	snprintf(shm, sizeof(shm), "%s-shm", place->path);
	assert_int_equal(chmod(place->directory, 0), 0);
	assert_int_equal(open_as_nobody(place->path, text, sizeof(text)), ERROR_PERMISSION);
	assert_non_null(strstr(text, "not permitted"));
	assert_int_equal(chmod(place->directory, 0755), 0);
	assert_int_equal(chmod(place->path, 0), 0);
	assert_int_equal(open_as_nobody(place->path, text, sizeof(text)), ERROR_PERMISSION);
	assert_non_null(strstr(text, "may read it"));
	assert_int_equal(chmod(place->path, 0644), 0);
	assert_int_equal(chmod(shm, 0), 0);
	assert_int_equal(open_as_nobody(place->path, text, sizeof(text)), ERROR_PERMISSION);
	assert_non_null(strstr(text, "-shm: not permitted"));
}

/* As a plain sqlite3 of somebody who may write leaves it, for a reader who may not. */
static void missing_files_beside_the_database_are_explained(void **state)
{
	struct place *place = *state;
	char text[1024];

	queue_reader_close(place->reader);
	place->reader = NULL;
	remove_file(place, "-wal");
	remove_file(place, "-shm");
	assert_int_equal(chmod(place->path, 0444), 0);
	assert_int_equal(chmod(place->directory, 0555), 0);
	assert_int_equal(open_as_nobody(place->path, text, sizeof(text)), ERROR_PERMISSION);
	assert_non_null(strstr(text, "queue.db-wal and -shm are gone"));
	assert_int_equal(chmod(place->directory, 0755), 0);
}

static void a_database_that_breaks_while_it_is_read_is_an_error(void **state)
{
	const struct queue_filter all = { 0 };
	struct place *place = *state;
	struct queue_cursor *cursor = NULL;
	const struct queue_value *row = NULL;
	struct error err = { 0 };

	/* A table that a statement needs goes away under a reader that has prepared it. */
	assert_true(queue_reader_query(place->reader, QUEUE_STATUS, &all, &cursor, &err));
	run_sql(place->path, "DROP TABLE reject");
	assert_false(queue_cursor_next(cursor, &row, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
	queue_cursor_close(cursor);
	cursor = NULL;
	assert_false(queue_reader_query(place->reader, QUEUE_STATUS, &all, &cursor, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_null(cursor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rows_are_found_by_every_filter_and_by_all_together, make, unmake),
		cmocka_unit_test_setup_teardown(a_listing_of_many_pages_has_every_row_once_and_in_order, make, unmake),
		cmocka_unit_test_setup_teardown(no_transaction_stays_open_between_rows, make, unmake),
		cmocka_unit_test_setup_teardown(values_have_the_views_names_and_their_types, make, unmake),
		cmocka_unit_test_setup_teardown(the_other_questions_are_answered, make, unmake),
		cmocka_unit_test_setup_teardown(what_was_accepted_in_the_last_minute_and_went_wrong_in_the_last_day_is_summed_up, make,
						unmake),
		cmocka_unit_test_setup_teardown(the_oldest_row_that_could_go_is_found, make, unmake),
		cmocka_unit_test_setup_teardown(manifests_that_somebody_has_to_see_to_are_named, make, unmake),
		cmocka_unit_test_setup_teardown(a_word_that_is_no_state_is_refused, make, unmake),
		cmocka_unit_test_setup_teardown(an_event_is_found_as_the_loader_would_find_it, make, unmake),
		cmocka_unit_test_setup_teardown(the_same_bytes_are_found_in_their_own_source_once_loaded, make, unmake),
		cmocka_unit_test_setup_teardown(counts_come_for_every_manifest, make, unmake),
		cmocka_unit_test_setup_teardown(manifests_that_are_paused_wait_before_older_ones, make, unmake),
		cmocka_unit_test_setup_teardown(the_last_actions_come_first_and_from_their_time_on, make, unmake),
		cmocka_unit_test_setup_teardown(a_frozen_reader_sees_one_moment, make, unmake),
		cmocka_unit_test_setup_teardown(every_question_about_rows_uses_an_index, make, unmake),
		cmocka_unit_test_setup_teardown(nothing_walks_through_all_rows, make, unmake),
		cmocka_unit_test_setup_teardown(a_database_that_is_not_there_is_said_so_and_not_made, make, unmake),
		cmocka_unit_test_setup_teardown(what_is_no_database_of_ours_is_bad_data, make, unmake),
		cmocka_unit_test_setup_teardown(what_may_not_be_read_is_a_matter_of_permission, make, unmake),
		cmocka_unit_test_setup_teardown(missing_files_beside_the_database_are_explained, make, unmake),
		cmocka_unit_test_setup_teardown(a_database_that_breaks_while_it_is_read_is_an_error, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
