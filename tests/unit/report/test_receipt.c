#include "report/receipt.h"

#include "stand.h"

static const char header[] = "line,cardId,trackingType,state,operationId,httpStatus,errorCode,detail\r\n";

static void a_row_is_one_line_of_rfc_4180(void **state)
{
	static const struct {
		struct queue_receipt_row row;
		const char *expected;
	} cases[] = {
		{ { .line = 2,
		    .card_id = "C1",
		    .tracking_type = "SHIPMENT",
		    .state = "accepted",
		    .operation_id = "op-1",
		    .http_status = 202 },
		  "2,C1,SHIPMENT,accepted,op-1,202,,\r\n" },
		{ { .line = 3, .state = "rejected", .detail = "SHIP_DATE: '2026/11/22' does not match \"%d/%m/%Y\", sorry" },
		  "3,,,rejected,,,,\"SHIP_DATE: '2026/11/22' does not match \"\"%d/%m/%Y\"\", sorry\"\r\n" },
		{ { .line = 4, .card_id = "-abc", .state = "queued", .operation_id = "-x_9" }, "4,-abc,,queued,-x_9,,,\r\n" },
		{ { .line = 5, .card_id = "-a c", .state = "queued", .operation_id = "-x 9" }, "5,'-a c,,queued,'-x 9,,,\r\n" },
		{ { .line = 6, .card_id = "=A1", .state = "rejected", .error_code = "+E", .detail = "@x" },
		  "6,'=A1,,rejected,,,'+E,'@x\r\n" },
		{ { .line = 7, .state = "refused", .detail = "\tx" }, "7,,,refused,,,,'\tx\r\n" },
		{ { .line = 8, .state = "refused", .detail = "\rx,y" }, "8,,,refused,,,,\"'\rx,y\"\r\n" },
		{ { .line = 9, .state = "refused", .detail = "a=b" }, "9,,,refused,,,,a=b\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct queue_receipt_row row = cases[i].row;
		const char **strings[] = { &row.card_id, &row.tracking_type, &row.operation_id, &row.error_code, &row.detail };
		struct text text = { 0 };

		for (size_t k = 0; k < sizeof(strings) / sizeof(strings[0]); k++)
			*strings[k] = *strings[k] ? *strings[k] : "";
		receipt_row(&text, &row);
		assert_string_equal(text.data, cases[i].expected);
		text_free(&text);
	}
}

static void an_operation_id_that_is_too_long_is_no_d1_value(void **state)
{
	struct queue_receipt_row row = {
		.line = 1, .card_id = "", .tracking_type = "", .state = "accepted", .error_code = "", .detail = ""
	};
	char id[66] = "-";
	struct text text = { 0 };

	(void)state;
	memset(id + 1, 'a', 64);
	row.operation_id = id;
	receipt_row(&text, &row);
	assert_non_null(strstr(text.data, ",'-aaa"));
	text_free(&text);
}

static void rows_that_wait_for_something_are_open(void **state)
{
	static const char *const open[] = { "queued", "sending", "in_doubt", "held" };
	static const char *const final[] = { "accepted", "refused", "expired", "cancelled", "rejected", "duplicate", "skipped" };

	(void)state;
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		assert_true(receipt_is_open(open[i]));
	for (size_t i = 0; i < sizeof(final) / sizeof(final[0]); i++)
		assert_false(receipt_is_open(final[i]));
}

static struct receipt *begin(int64_t manifest)
{
	struct queue_errand errand = errand_of(QUEUE_RECEIPT, manifest);
	struct receipt *receipt;
	struct error err;

	if (!receipt_begin(&stand.config, &errand, &receipt, &err))
		fail_msg("%s", err.text);
	queue_errand_free(&errand);
	return receipt;
}

static enum sheet_step slice(struct receipt *receipt, int64_t *ret_open)
{
	struct error err;
	enum sheet_step step = receipt_slice(receipt, stand.queue, ret_open, &err);

	if (step == SHEET_FAILED)
		fail_msg("%s", err.text);
	return step;
}

static void assert_receipt(const char *name, const char *rows_and_trailer)
{
	struct text expected = { 0 };

	text_printf(&expected, "%s%s", header, rows_and_trailer);
	assert_file(name, expected.data);
	text_free(&expected);
}

static void a_released_manifest_gets_an_open_receipt(void **state)
{
	int64_t manifest = record(LYON, "dispatch.csv", "x", 1), open = 77;
	struct receipt *receipt;
	struct stat st;

	(void)state;
	add_queued(manifest, 2, "C1");
	add_rejected(manifest, 3, 0, 1, "CARD_REF", "must be good");
	release(manifest);
	receipt = begin(manifest);
	assert_int_equal(files_in("out"), 1);
	assert_int_equal(slice(receipt, &open), SHEET_DONE);
	receipt_free(receipt);
	assert_int_equal(open, 1);
	assert_int_equal(files_in("out"), 1);
	assert_receipt("out/dispatch.1.receipt.csv", "2,C1,PRODUCTION,queued,,,,\r\n"
						     "3,'=cmd,,rejected,,,,CARD_REF: must be good\r\n"
						     "TRAILER,2,0,OPEN\r\n");
	assert_int_equal(stat(below("out/dispatch.1.receipt.csv"), &st), 0);
	assert_int_equal(st.st_mode & 07137, 0);
}

static void a_settled_manifest_gets_a_settled_receipt(void **state)
{
	int64_t manifest = record(LYON, "dispatch.csv", "x", 1), open = 77;
	struct receipt *receipt;

	(void)state;
	add_queued(manifest, 2, "C1");
	add_queued(manifest, 3, "C2");
	release(manifest);
	assert_int_equal(answer(1, TRACK_ACCEPTED, 202, "op-1", ""), 1);
	assert_int_equal(answer(1, TRACK_REFUSED, 400, "", "FIELD_INVALID_VALUE"), 1);
	receipt = begin(manifest);
	assert_int_equal(slice(receipt, &open), SHEET_DONE);
	receipt_free(receipt);
	assert_int_equal(open, 0);
	assert_receipt("out/dispatch.1.receipt.csv", "2,C1,PRODUCTION,accepted,op-1,202,,\r\n"
						     "3,C2,PRODUCTION,refused,,400,FIELD_INVALID_VALUE,\r\n"
						     "TRAILER,2,1,SETTLED\r\n");
}

static void a_source_without_receipts_keeps_them_in_the_archive(void **state)
{
	int64_t manifest, open;
	struct receipt *receipt;

	(void)state;
	stand.wall_ms = INT64_C(1795391999999);
	manifest = record(NANTES, "d\xFF.csv", "x", 1);
	add_queued(manifest, 2, "C1");
	release(manifest);
	receipt = begin(manifest);
	assert_int_equal(slice(receipt, &open), SHEET_DONE);
	receipt_free(receipt);
	assert_receipt("archive/2026/11/22/d\\xFF.1.receipt.csv", "2,C1,PRODUCTION,queued,,,,\r\nTRAILER,1,0,OPEN\r\n");
}

/* More rows than one slice takes, so that there is time between two of them. */
static int64_t large_manifest(void)
{
	int64_t manifest = record(LYON, "large.csv", "x", 1);

	for (int i = 0; i < RECEIPT_SLICE_ROWS + 10; i++) {
		char card[16];

		snprintf(card, sizeof(card), "C%d", i);
		add_queued(manifest, i + 2, card);
	}
	release(manifest);
	return manifest;
}

static void assert_trailer(const char *expected)
{
	scoped_free char *found = get("out/large.1.receipt.csv");

	assert_non_null(found);
	assert_string_equal(strstr(found, "TRAILER"), expected);
}

static void what_settles_while_it_is_written_is_not_called_settled_and_stays_due(void **state)
{
	struct receipt *receipt = begin(large_manifest());
	int64_t open = 77;

	(void)state;
	assert_int_equal(slice(receipt, &open), SHEET_MORE);
	assert_no_file("out/large.1.receipt.csv");
	assert_int_equal(answer(4000, TRACK_ACCEPTED, 202, "op", ""), RECEIPT_SLICE_ROWS + 10);
	assert_int_equal(slice(receipt, &open), SHEET_DONE);
	receipt_free(receipt);
	assert_int_equal(open, -1);
	assert_trailer("TRAILER,1010,10,OPEN\r\n");
	receipt = begin(1);
	assert_int_equal(slice(receipt, &open), SHEET_MORE);
	assert_int_equal(slice(receipt, &open), SHEET_DONE);
	receipt_free(receipt);
	assert_int_equal(open, 0);
	assert_trailer("TRAILER,1010,1010,SETTLED\r\n");
}

static void what_moves_on_while_it_is_written_is_done_for_now(void **state)
{
	struct receipt *receipt = begin(large_manifest());
	int64_t open = 77;

	(void)state;
	assert_int_equal(slice(receipt, &open), SHEET_MORE);
	assert_int_equal(answer(500, TRACK_ACCEPTED, 202, "op", ""), 500);
	assert_int_equal(slice(receipt, &open), SHEET_DONE);
	receipt_free(receipt);
	assert_int_equal(open, 510);
	assert_trailer("TRAILER,1010,0,OPEN\r\n");
}

static void one_that_is_not_finished_leaves_nothing_behind(void **state)
{
	struct receipt *receipt = begin(large_manifest());
	int64_t open;

	(void)state;
	assert_int_equal(slice(receipt, &open), SHEET_MORE);
	receipt_free(receipt);
	receipt_free(NULL);
	assert_int_equal(files_in("out"), 0);
}

static void a_queue_that_fails_is_no_fault_of_the_receipt(void **state)
{
	const struct error broken = { .code = ERROR_IO, .text = "broken" };
	struct receipt *receipt = begin(large_manifest());
	struct error err;
	int64_t open;

	(void)state;
	queue_spoil(stand.queue, &broken);
	assert_int_equal(slice(receipt, &open), SHEET_SPOILED);
	assert_false(queue_commit(stand.queue, &err));
	receipt_free(receipt);
}

static void rows_that_are_not_there_are_an_error(void **state)
{
	int64_t manifest = record(LYON, "dispatch.csv", "x", 1), open;
	struct queue_errand errand;
	struct receipt *receipt;
	struct error err;

	(void)state;
	add_queued(manifest, 2, "C1");
	release(manifest);
	errand = errand_of(QUEUE_RECEIPT, manifest);
	errand.rows++;
	assert_true(receipt_begin(&stand.config, &errand, &receipt, &err));
	assert_int_equal(receipt_slice(receipt, stand.queue, &open, &err), SHEET_FAILED);
	assert_int_equal(err.code, ERROR_INTERNAL);
	receipt_free(receipt);
	queue_errand_free(&errand);
	assert_int_equal(files_in("out"), 0);
}

static void a_link_in_the_place_of_the_temporary_file_is_not_followed(void **state)
{
	int64_t manifest = record(LYON, "dispatch.csv", "x", 1), open;
	struct receipt *receipt;
	char target[512];

	(void)state;
	put_bytes("victim", "precious", 8);
	snprintf(target, sizeof(target), "%s", below("victim"));
	assert_int_equal(symlink(target, below("out/.trackbridge-1.receipt")), 0);
	assert_int_equal(symlink(target, below("out/dispatch.1.receipt.csv")), 0);
	add_queued(manifest, 2, "C1");
	release(manifest);
	receipt = begin(manifest);
	assert_int_equal(slice(receipt, &open), SHEET_DONE);
	receipt_free(receipt);
	assert_file("victim", "precious");
	assert_receipt("out/dispatch.1.receipt.csv", "2,C1,PRODUCTION,queued,,,,\r\nTRAILER,1,0,OPEN\r\n");
}

static void a_directory_that_is_missing_is_named(void **state)
{
	int64_t manifest = record(LYON, "dispatch.csv", "x", 1);
	struct queue_errand errand;
	struct receipt *receipt;
	struct error err;

	(void)state;
	add_queued(manifest, 2, "C1");
	release(manifest);
	assert_int_equal(rmdir(below("out")), 0);
	errand = errand_of(QUEUE_RECEIPT, manifest);
	assert_false(receipt_begin(&stand.config, &errand, &receipt, &err));
	assert_int_equal(err.code, ERROR_NO_INPUT);
	assert_non_null(strstr(err.text, "/out: cannot be opened"));
	queue_errand_free(&errand);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_one_line_of_rfc_4180),
		cmocka_unit_test(an_operation_id_that_is_too_long_is_no_d1_value),
		cmocka_unit_test(rows_that_wait_for_something_are_open),
		cmocka_unit_test_setup_teardown(a_released_manifest_gets_an_open_receipt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_settled_manifest_gets_a_settled_receipt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_source_without_receipts_keeps_them_in_the_archive, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_settles_while_it_is_written_is_not_called_settled_and_stays_due, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_moves_on_while_it_is_written_is_done_for_now, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_is_not_finished_leaves_nothing_behind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_queue_that_fails_is_no_fault_of_the_receipt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rows_that_are_not_there_are_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_link_in_the_place_of_the_temporary_file_is_not_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_directory_that_is_missing_is_named, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
