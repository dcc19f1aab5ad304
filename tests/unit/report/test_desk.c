#include "report/desk.h"

#include "stand.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, MINUTE_MS = 60 * 1000 };

static const char file[] = "CARD;SITE\nC1;Lyon\nC2;L?\n";

static struct desk *desk;
static char archived[96]; /* the day of stand.wall_ms below archive/ */

static int set_up_desk(void **state)
{
	set_up(state);
	stand.wall_ms = INT64_C(1795341600000); /* 2026-11-22T10:00:00Z */
	snprintf(archived, sizeof(archived), "archive/2026/11/22");
	desk = desk_new(&stand.config, stand.queue);
	return 0;
}

static int tear_down_desk(void **state)
{
	desk_free(desk);
	return tear_down(state);
}

static void turn(void)
{
	struct error err = { 0 };

	if (!desk_work(desk, stand.wall_ms, &err))
		fail_msg("%s", err.text);
	must_commit();
	desk_act(desk, true);
}

/* Turns until there is nothing more to do at once; gives how many. */
static int run(void)
{
	int turns = 0;

	for (; desk_busy(desk) && turns < 1000; turns++)
		turn();
	assert_true(turns < 1000);
	return turns;
}

static void run_after(int64_t ms)
{
	stand.wall_ms += ms;
	turn();
	run();
}

/* A manifest settles by the clock, not by the time that a test makes up. */
static void settled_by_now(void)
{
	int64_t now = clock_wall_ms();

	stand.wall_ms = now > stand.wall_ms ? now : stand.wall_ms;
}

/* The next line to be logged, "" where there is none; valid until the next call. */
static const char *complaint(void)
{
	static char line[1200];
	struct text text = { 0 };

	line[0] = '\0';
	if (desk_complaint(desk, &text))
		snprintf(line, sizeof(line), "%s", text.data);
	text_free(&text);
	return line;
}

static const char *in_archive(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", archived, name);
	return path;
}

/* A manifest with one row that goes and one that is rejected. */
static int64_t released(int source, const char *name)
{
	int64_t manifest = record(source, name, file, sizeof(file) - 1);
	char card[16];

	snprintf(card, sizeof(card), "C%lld", (long long)manifest);
	add_queued(manifest, 2, card);
	add_rejected(manifest, 3, 18, 6, "SITE", "is bad");
	release(manifest);
	return manifest;
}

static bool is_due(enum queue_errand_kind kind)
{
	struct queue_errand errand;
	bool due;

	assert_true(queue_errand_next(stand.queue, kind, INT64_MAX, 0, &errand));
	due = errand.manifest != 0;
	queue_errand_free(&errand);
	return due;
}

#define RECEIPT_HEADER "line,cardId,trackingType,state,operationId,httpStatus,errorCode,detail\r\n"

static void its_files_are(void)
{
	assert_file("out/dispatch.1.rejects.csv", "CARD;SITE;line;column;reason\nC2;L?;3;SITE;is bad\n");
	assert_file("out/dispatch.1.receipt.csv", RECEIPT_HEADER "2,C1,PRODUCTION,queued,,,,\r\n"
								 "3,'=cmd,,rejected,,,,SITE: is bad\r\n"
								 "TRAILER,2,0,OPEN\r\n");
	assert_int_equal(files_in("out"), 2);
}

static void a_released_manifest_gets_all_its_files(void **state)
{
	(void)state;
	released(LYON, "dispatch.csv");
	run();
	assert_file(in_archive("1-dispatch.csv"), file);
	assert_int_equal(files_in("spool"), 0);
	its_files_are();
}

static void a_receipt_is_written_once_a_day_and_when_it_settles(void **state)
{
	(void)state;
	released(LYON, "dispatch.csv");
	run();
	its_files_are();
	assert_int_equal(desk_next_ms(desk), stand.wall_ms + DAY_MS);
	assert_int_equal(unlink(below("out/dispatch.1.receipt.csv")), 0);
	run_after(DAY_MS - 1);
	assert_no_file("out/dispatch.1.receipt.csv");
	run_after(1);
	its_files_are();
	assert_int_equal(answer(1, TRACK_ACCEPTED, 202, "op-1", ""), 1);
	assert_false(desk_busy(desk));
	desk_look(desk);
	assert_true(desk_busy(desk));
	settled_by_now();
	run();
	assert_file("out/dispatch.1.receipt.csv", RECEIPT_HEADER "2,C1,PRODUCTION,accepted,op-1,202,,\r\n"
								 "3,'=cmd,,rejected,,,,SITE: is bad\r\n"
								 "TRAILER,2,1,SETTLED\r\n");
	assert_int_equal(desk_next_ms(desk), INT64_MAX);
	assert_false(is_due(QUEUE_RECEIPT));
	assert_string_equal(complaint(), "");
}

static void a_duplicate_gets_a_receipt_and_an_archive_copy(void **state)
{
	int64_t manifest = record(LYON, "first.csv", file, 4);

	(void)state;
	add_queued(manifest, 2, "C1");
	release(manifest);
	stand.sha256[0]--;
	record(LYON, "second.csv", file, 4);
	run();
	assert_file("out/second.2.receipt.csv", RECEIPT_HEADER ",,,duplicate,,,,same bytes as manifest 1\r\nTRAILER,0,0,SETTLED\r\n");
	assert_int_equal(access(below(in_archive("2-second.csv")), F_OK), 0);
	assert_no_file("out/second.2.rejects.csv");
}

static void a_rejected_manifest_has_no_rejects_file(void **state)
{
	int64_t manifest = record(LYON, "dispatch.csv", file, sizeof(file) - 1);
	bool done = false;

	(void)state;
	add_queued(manifest, 2, "C1");
	add_rejected(manifest, 3, 18, 6, "SITE", "is bad");
	assert_true(queue_manifest_progress(stand.queue, manifest, 0, 1));
	assert_true(queue_manifest_condemn(stand.queue, manifest, "has no trailer"));
	must_commit();
	while (!done) {
		assert_true(queue_manifest_reject_slice(stand.queue, manifest, 100, stand.wall_ms, &done));
		must_commit();
	}
	run();
	assert_file("out/dispatch.1.receipt.csv", RECEIPT_HEADER "2,C1,PRODUCTION,rejected,,,,has no trailer\r\n"
								 "3,'=cmd,,rejected,,,,SITE: is bad\r\n"
								 "TRAILER,2,0,SETTLED\r\n");
	assert_int_equal(files_in("out"), 1);
	assert_int_equal(access(below(in_archive("1-dispatch.csv")), F_OK), 0);
}

static void nothing_is_done_in_a_turn_in_which_something_was_changed(void **state)
{
	struct error err;

	(void)state;
	released(LYON, "dispatch.csv");
	assert_true(queue_source_store(stand.queue, LYON, "open", "", 0));
	assert_true(desk_work(desk, stand.wall_ms, &err));
	assert_int_equal(files_in("spool"), 1);
	must_commit();
	desk_act(desk, true);
	run();
	its_files_are();
}

static void a_clock_that_is_put_back_makes_no_receipt_wait(void **state)
{
	int64_t wall_ms = stand.wall_ms;

	(void)state;
	released(LYON, "usual.csv");
	run();
	stand.wall_ms += 3650 * INT64_C(1) * DAY_MS;
	released(LYON, "then.csv");
	desk_look(desk);
	turn();
	run();
	stand.wall_ms = wall_ms + MINUTE_MS;
	assert_int_equal(unlink(below("out/usual.1.receipt.csv")), 0);
	assert_int_equal(unlink(below("out/then.2.receipt.csv")), 0);
	turn();
	run();
	assert_file("out/usual.1.receipt.csv", RECEIPT_HEADER "2,C1,PRODUCTION,queued,,,,\r\n"
							      "3,'=cmd,,rejected,,,,SITE: is bad\r\n"
							      "TRAILER,2,0,OPEN\r\n");
	assert_file("out/then.2.receipt.csv", RECEIPT_HEADER "2,C2,PRODUCTION,queued,,,,\r\n"
							     "3,'=cmd,,rejected,,,,SITE: is bad\r\n"
							     "TRAILER,2,0,OPEN\r\n");
	assert_int_equal(desk_next_ms(desk), stand.wall_ms + DAY_MS);
	/* One of them is in time, and the other one is put back behind it. */
	run_after(DAY_MS);
	released(LYON, "late.csv");
	desk_look(desk);
	turn();
	run();
	stand.wall_ms -= DAY_MS / 2;
	assert_int_equal(unlink(below("out/late.3.receipt.csv")), 0);
	turn();
	run();
	assert_int_equal(access(below("out/late.3.receipt.csv"), F_OK), 0);
}

static void a_missing_directory_holds_up_no_other_source_and_is_told_once(void **state)
{
	(void)state;
	released(LYON, "a.csv");
	released(LYON, "b.csv");
	released(NANTES, "c.csv");
	assert_int_equal(rmdir(below("out")), 0);
	run();
	assert_int_equal(access(below(in_archive("c.3.receipt.csv")), F_OK), 0);
	assert_int_equal(access(below(in_archive("c.3.rejects.csv")), F_OK), 0);
	assert_non_null(strstr(complaint(), "lyon: rejects file of manifest 1: /"));
	assert_non_null(strstr(complaint(), "lyon: receipt of manifest 1: /"));
	assert_string_equal(complaint(), "");
	assert_int_equal(desk_next_ms(desk), stand.wall_ms + MINUTE_MS);
	run_after(MINUTE_MS);
	assert_string_equal(complaint(), "");
	assert_int_equal(mkdir(below("out"), 0700), 0);
	run_after(MINUTE_MS);
	assert_int_equal(files_in("out"), 4);
	assert_int_equal(desk_next_ms(desk), stand.wall_ms - 2 * MINUTE_MS + DAY_MS);
	/* It is worth a line again when it comes again. */
	assert_int_equal(rename(stand.receipts, below("moved")), 0);
	released(LYON, "d.csv");
	desk_look(desk);
	run();
	assert_non_null(strstr(complaint(), "lyon: rejects file of manifest 4: /"));
}

static void a_commit_that_fails_has_the_files_made_again_after_a_rest(void **state)
{
	const struct error full = { .code = ERROR_TRY_LATER, .text = "full" };
	struct error err;

	(void)state;
	released(LYON, "dispatch.csv");
	for (int i = 0; i < 3; i++) {
		assert_true(desk_work(desk, stand.wall_ms, &err));
		queue_spoil(stand.queue, &full);
		assert_false(queue_commit(stand.queue, &err));
		desk_act(desk, false);
		assert_false(desk_busy(desk));
		assert_int_equal(desk_next_ms(desk), stand.wall_ms + 10000);
		turn();
		assert_false(desk_busy(desk));
		stand.wall_ms += 10000;
	}
	turn();
	run();
	its_files_are();
	assert_file(in_archive("1-dispatch.csv"), file);
	assert_false(is_due(QUEUE_ARCHIVE));
	assert_false(is_due(QUEUE_REJECTS));
	assert_string_equal(complaint(), "");
}

static void a_commit_that_fails_for_others_costs_nothing(void **state)
{
	const struct error full = { .code = ERROR_TRY_LATER, .text = "full" };
	struct error err;

	(void)state;
	run();
	queue_spoil(stand.queue, &full);
	assert_false(queue_commit(stand.queue, &err));
	desk_act(desk, false);
	assert_false(desk_busy(desk));
	assert_int_equal(desk_next_ms(desk), INT64_MAX);
}

static void a_copy_that_was_moved_before_a_crash_is_recorded(void **state)
{
	char from[512];

	(void)state;
	released(LYON, "dispatch.csv");
	assert_int_equal(mkdir(below("archive"), 0700), 0);
	assert_int_equal(mkdir(below("archive/2026"), 0700), 0);
	assert_int_equal(mkdir(below("archive/2026/11"), 0700), 0);
	assert_int_equal(mkdir(below(archived), 0700), 0);
	snprintf(from, sizeof(from), "%s", below("spool/1"));
	assert_int_equal(rename(from, below(in_archive("1-dispatch.csv"))), 0);
	run();
	its_files_are();
	assert_false(is_due(QUEUE_ARCHIVE));
	assert_string_equal(complaint(), "");
}

static void a_copy_that_is_lost_is_given_up_with_one_line_for_each_file(void **state)
{
	(void)state;
	released(LYON, "dispatch.csv");
	assert_int_equal(unlink(below("spool/1")), 0);
	run();
	assert_string_equal(complaint(),
			    "lyon: archive copy of manifest 1: the copy of manifest 1 is neither in the spool nor in the archive; "
			    "given up");
	assert_string_equal(complaint(),
			    "lyon: rejects file of manifest 1: the copy of manifest 1 is neither in the spool nor in the archive; "
			    "given up");
	assert_string_equal(complaint(), "");
	assert_int_equal(files_in("out"), 1);
	assert_false(is_due(QUEUE_ARCHIVE));
	assert_false(is_due(QUEUE_REJECTS));
}

static void an_archive_that_cannot_be_written_holds_up_neither_rejects_nor_receipt(void **state)
{
	(void)state;
	put_bytes("archive", "", 0);
	released(LYON, "dispatch.csv");
	run();
	its_files_are();
	assert_int_equal(files_in("spool"), 1);
	assert_non_null(strstr(complaint(), "lyon: archive copy of manifest 1: "));
	assert_int_equal(desk_next_ms(desk), stand.wall_ms + MINUTE_MS);
	assert_int_equal(unlink(below("archive")), 0);
	run_after(MINUTE_MS);
	assert_file(in_archive("1-dispatch.csv"), file);
}

static void a_name_that_is_taken_in_the_archive_is_not_overwritten(void **state)
{
	int64_t first;

	(void)state;
	first = released(LYON, "a.csv");
	assert_int_equal(first, 1);
	run();
	put_bytes(in_archive("2-b.csv"), "earlier", 7);
	released(LYON, "b.csv");
	released(LYON, "c.csv");
	desk_look(desk);
	run();
	assert_file(in_archive("2-b.csv"), "earlier");
	assert_file("spool/2", file);
	assert_file(in_archive("3-c.csv"), file);
	assert_non_null(strstr(complaint(), "an earlier file has a name that is to be given"));
}

static void a_clock_that_is_put_back_delays_nothing_for_long(void **state)
{
	(void)state;
	put_bytes("archive", "", 0);
	released(LYON, "dispatch.csv");
	run();
	assert_int_equal(unlink(below("archive")), 0);
	assert_int_equal(unlink(below("out/dispatch.1.receipt.csv")), 0);
	run_after(-INT64_C(3650) * DAY_MS);
	assert_file(in_archive("1-dispatch.csv"), file);
	its_files_are();
	assert_int_equal(desk_next_ms(desk), stand.wall_ms + DAY_MS);
}

static void many_manifests_are_served_in_bounded_turns(void **state)
{
	int turns;

	(void)state;
	for (int i = 0; i < 20; i++) {
		char name[32];

		snprintf(name, sizeof(name), "m%d.csv", i);
		released(LYON, name);
	}
	turns = run();
	assert_in_range(turns, 20, 80);
	assert_int_equal(files_in("out"), 40);
	assert_int_equal(files_in(archived), 20);
}

static void remove_directory_under_a_file(const char *temporary)
{
	while (access(below(temporary), F_OK) != 0)
		turn();
	assert_int_equal(unlink(below(temporary)), 0);
	unlink(below("out/large.1.rejects.csv"));
	assert_int_equal(rmdir(below("out")), 0);
}

static void a_file_that_cannot_be_finished_is_begun_again_after_a_minute(void **state)
{
	int64_t manifest = record(LYON, "large.csv", "A;B\nx;1\n", 8);

	(void)state;
	for (int i = 0; i < 1500; i++)
		add_rejected(manifest, 2, 4, 4, "B", "is bad");
	release(manifest);
	settled_by_now();
	remove_directory_under_a_file("out/.trackbridge-1.rejects");
	run();
	assert_non_null(strstr(complaint(), "lyon: rejects file of manifest 1: /"));
	assert_non_null(strstr(complaint(), "lyon: receipt of manifest 1: /"));
	assert_int_equal(mkdir(below("out"), 0700), 0);
	stand.wall_ms += MINUTE_MS;
	remove_directory_under_a_file("out/.trackbridge-1.receipt");
	run();
	assert_non_null(strstr(complaint(), "a finished file cannot be given its name"));
	assert_int_equal(mkdir(below("out"), 0700), 0);
	run_after(MINUTE_MS);
	assert_int_equal(files_in("out"), 1);
	assert_false(is_due(QUEUE_REJECTS));
	assert_false(is_due(QUEUE_RECEIPT));
	assert_int_equal(desk_next_ms(desk), INT64_MAX);
}

static void a_half_written_file_goes_with_the_desk(void **state)
{
	int64_t manifest = record(LYON, "large.csv", "x", 1);

	(void)state;
	for (int i = 0; i < 2500; i++) {
		char card[16];

		snprintf(card, sizeof(card), "C%d", i);
		add_queued(manifest, i + 2, card);
	}
	release(manifest);
	while (files_in("out") == 0)
		turn();
	assert_true(desk_busy(desk));
	assert_no_file("out/large.1.receipt.csv");
	desk_free(desk);
	assert_int_equal(files_in("out"), 0);
	desk = desk_new(&stand.config, stand.queue);
	run();
	assert_int_equal(files_in("out"), 1);
	desk_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_desk, tear_down_desk)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_released_manifest_gets_all_its_files),
		TEST(a_receipt_is_written_once_a_day_and_when_it_settles),
		TEST(a_clock_that_is_put_back_makes_no_receipt_wait),
		TEST(a_duplicate_gets_a_receipt_and_an_archive_copy),
		TEST(a_rejected_manifest_has_no_rejects_file),
		TEST(nothing_is_done_in_a_turn_in_which_something_was_changed),
		TEST(a_missing_directory_holds_up_no_other_source_and_is_told_once),
		TEST(a_commit_that_fails_has_the_files_made_again_after_a_rest),
		TEST(a_commit_that_fails_for_others_costs_nothing),
		TEST(a_copy_that_was_moved_before_a_crash_is_recorded),
		TEST(a_copy_that_is_lost_is_given_up_with_one_line_for_each_file),
		TEST(an_archive_that_cannot_be_written_holds_up_neither_rejects_nor_receipt),
		TEST(a_name_that_is_taken_in_the_archive_is_not_overwritten),
		TEST(a_clock_that_is_put_back_delays_nothing_for_long),
		TEST(many_manifests_are_served_in_bounded_turns),
		TEST(a_file_that_cannot_be_finished_is_begun_again_after_a_minute),
		TEST(a_half_written_file_goes_with_the_desk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
