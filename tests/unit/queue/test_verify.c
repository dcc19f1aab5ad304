#include "fixture.h"

#include "queue/purge.h"
#include "queue/verify.h"

#include <unistd.h>

struct findings {
	int n, n_harmless;
	char text[8000];
};

static void collect(void *user, const struct queue_finding *finding)
{
	struct findings *findings = user;
	size_t used = strlen(findings->text);

	findings->n += !finding->harmless;
	findings->n_harmless += finding->harmless;
	snprintf(findings->text + used, sizeof(findings->text) - used, "%s\n", finding->what);
}

static struct findings verify(struct fixture *f)
{
	struct findings findings = { 0 };
	struct queue_verified verified;
	struct error err;

	if (!queue_verify(f->path, collect, &findings, &verified, &err))
		fail_msg("%s", err.text);
	assert_true(verified.findings >= findings.n);
	return findings;
}

/* Rows in every state but sending, attempts, duplicates, a row behind another one, a loading, a rejected and a duplicate manifest. */
static void prepare(struct fixture *f)
{
	struct answer back = { .outcome = TRACK_BACK, .status = 503, .due = f->now };
	struct answer patient = { .outcome = TRACK_BACK, .status = 503, .due = f->now, .give_up_after = 1000 * (int64_t)HOUR };
	int64_t rejected, duplicate_of;
	bool done = false;

	load(f, "a.1 b c d e.2 a.1 !f ~g a.9");
	queue_endpoint_open(f->queue, 0, true, f->now);
	claim(f, 0, 9);
	for (size_t i = 0; i < f->n_claims; i++)
		record(f, f->claims[i], i == 4 ? &patient : &back, NULL);
	commit(f);
	f->now += 100 * HOUR;
	claim(f, 0, 9);
	record(f, f->claims[0], &accepted, NULL);
	record(f, f->claims[1], &refused, NULL);
	record(f, f->claims[2], &in_doubt, NULL);
	record(f, f->claims[3], &back, NULL);
	record(f, f->claims[4], &back, NULL);
	commit(f);
	rejected = loading_manifest(f, "h i");
	assert_true(queue_manifest_condemn(f->queue, rejected, "trailer"));
	while (!done)
		assert_true(queue_manifest_reject_slice(f->queue, rejected, 9, f->wall, &done));
	commit(f);
	load(f, "j c.7");
	load_many(f, 3, "@2");
	claim(f, 1, 3);
	answer_all(f, &accepted);
	f->n_files--;
	record_manifest(f, &duplicate_of);
	assert_int_equal(duplicate_of, 4);
	loading_manifest(f, "k l");
	claim(f, 0, 1);
}

static void assert_finds(struct fixture *f, const char *sql, const char *words)
{
	struct findings findings;

	fixture_exec(f, "PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON");
	fixture_exec(f, sql);
	findings = verify(f);
	if (!findings.n || !strstr(findings.text, words))
		fail_msg("after \"%s\", \"%s\" is not in:\n%s", sql, words, findings.text);
}

static void a_sound_database_has_no_findings(void **state)
{
	struct fixture *f = *state;
	struct queue_verified verified;
	struct findings findings;
	struct error err;

	assert_string_equal(verify(f).text, "");
	prepare(f);
	findings = verify(f);
	assert_string_equal(findings.text, "");
	assert_true(queue_verify(f->path, collect, &findings, &verified, &err));
	assert_int_equal(verified.manifests, fixture_number(f, "SELECT count(*) FROM manifest"));
	assert_int_equal(verified.rows, fixture_number(f, "SELECT count(*) FROM row"));
}

static void a_purged_database_is_sound(void **state)
{
	struct fixture *f = *state;
	struct queue_purge as = { .bodies_before = f->wall, .rows_before = f->wall };
	struct queue_purged purged = { 0 };
	bool done = false;

	load(f, "a b !c");
	claim(f, 0, 9);
	answer_all(f, &accepted);
	load(f, "d e a");
	fixture_exec(f, "UPDATE manifest SET archived = x'61', original = 0, rejects_due = 0, receipt_at = NULL");
	while (!done)
		assert_true(queue_purge_slice(f->queue, &as, &purged, &done));
	commit(f);
	assert_int_equal(purged.manifests, 1);
	assert_string_equal(verify(f).text, "");
}

/* Each by SQL behind the program's back. The rows of prepare: 1 accepted, 2 refused, 3 in_doubt, 4 expired, 5 queued and due, 6 duplicate,
 * 7 rejected, 8 skipped, 9 queued (or sending) of card a; 10 and 11 rejected, 12 and 13 queued (13 behind 3), 14 to 16 accepted. */
static const struct fault {
	const char *sql, *words;
} faults[] = {
	{ "DELETE FROM row WHERE row_id = 14", "manifest 4: 3 rows counted and 2 there, 3 accepted counted and 2 there" },
	{ "DELETE FROM row WHERE row_id IN (5, 9); UPDATE manifest SET queued = 1 WHERE manifest_id = 1",
	  "manifest 1: 9 rows counted and 7 there" },
	{ "INSERT INTO row SELECT 99, manifest_id, line, issuer_no, card_id, type, 8, NULL, NULL, NULL, NULL, NULL, event, 1, NULL, NULL, NULL,"
	  " NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM row WHERE row_id = 7",
	  "row 99 is of manifest 1, whose rows are 1 to 9" },
	{ "UPDATE row SET manifest_id = 77 WHERE row_id = 7", "row 7 is of manifest 77, which is not there" },
	{ "UPDATE row SET manifest_id = 2 WHERE row_id = 7", "row 7 is of manifest 2, whose rows are 10 to 11" },
	{ "UPDATE row SET state = 7 WHERE row_id = 2", "manifest 1: 9 rows counted and 9 there, 1 refused counted and 0 there" },
	{ "UPDATE row SET state = 2 WHERE row_id = 2; UPDATE manifest SET refused = 0, accepted = 2 WHERE manifest_id = 1",
	  "row 2 is accepted and its last attempt ended refused" },
	{ "UPDATE row SET state = 2, behind = NULL WHERE row_id = 13; UPDATE manifest SET queued = 1, accepted = 1 WHERE manifest_id = 3",
	  "row 13 is accepted and its last attempt ended never" },
	{ "UPDATE manifest SET accepted = accepted + 1, rows = rows + 1 WHERE manifest_id = 4", "manifest 4: 4 rows counted and 3 there" },
	{ "UPDATE manifest SET rows = 5 WHERE manifest_id = 4", "manifest 4: 5 rows counted and 3 there" },
	{ "DELETE FROM manifest WHERE manifest_id = 4", "row 14 is of manifest 4, which is not there" },
	{ "DELETE FROM manifest WHERE manifest_id = 3", "table lane names something in manifest that is not there" },
	{ "DELETE FROM attempt WHERE row_id = 3", "row 3 counts 2 attempts, 1 are recorded" },
	{ "INSERT INTO attempt (row_id, attempt, correlation, started_at) VALUES (14, 2, 5, 5)",
	  "row 14 counts 1 attempts and has attempt 2 recorded" },
	{ "INSERT INTO attempt (row_id, attempt, correlation, started_at) VALUES (500, 1, 5, 5)",
	  "row 500 is not there and has attempt 1" },
	{ "UPDATE row SET attempts = 1 WHERE row_id = 3", "row 3 counts 1 attempts and has attempt 1 recorded" },
	{ "UPDATE row SET attempts = 0 WHERE row_id = 14", "row 14 has 0 attempts and its last one is recorded" },
	{ "UPDATE row SET correlation = NULL WHERE row_id = 14", "row 14 has 1 attempts and its last one no correlation id" },
	{ "UPDATE row SET sent_at = NULL WHERE row_id = 14", "row 14 has 1 attempts and its last one no time" },
	{ "UPDATE row SET superseded = 0 WHERE row_id = 6", "rows 1 and 6 stand for the same event" },
	{ "UPDATE row SET superseded = 0 WHERE row_id = 4", "row 4 is expired and stands for its event" },
	{ "DELETE FROM card_0 WHERE key & 4294967295 = 2", "row 2 is not found by its card (its key is missing)" },
	{ "UPDATE card_0 SET key = key + 4294967296 WHERE key & 4294967295 = 2", "row 2 is not found by its card (its key is missing)" },
	{ "INSERT INTO card_2 SELECT key FROM card_0 WHERE key & 4294967295 = 2", "row 2 is found more than once by its card" },
	{ "UPDATE row SET behind = 2 WHERE row_id = 13", "row 13 waits behind row 2, which is of another card" },
	{ "UPDATE row SET behind = 88 WHERE row_id = 13", "row 13 waits behind row 88, which is not there" },
	{ "UPDATE row SET behind = 13 WHERE row_id = 13", "row 13 waits behind row 13, which comes after it" },
	{ "UPDATE row SET behind = NULL WHERE row_id = 13", "row 13 does not wait for row 3 of its card" },
	{ "UPDATE row SET state = 7 WHERE row_id = 3", "row 13 waits behind row 3, which is cancelled" },
	{ "UPDATE row SET behind = NULL WHERE row_id = 13; UPDATE lane SET next_row = 14 WHERE manifest_id = 3",
	  "row 13 is queued, and nothing will come to it" },
	{ "UPDATE row SET behind = NULL WHERE row_id = 13; DELETE FROM lane WHERE manifest_id = 3",
	  "row 13 is queued, and nothing will come to it" },
	{ "UPDATE manifest SET state = 'settled' WHERE manifest_id = 3", "manifest 3 is settled with 2 open rows" },
	{ "UPDATE manifest SET state = 'released' WHERE manifest_id = 4", "manifest 4 is released with 0 open rows" },
	{ "UPDATE manifest SET state = 'rejected' WHERE manifest_id = 4", "manifest 4 is rejected with 3 rows that are not" },
	{ "DELETE FROM reject; INSERT INTO reject VALUES (300, 1, 1, '')", "row 300 is not there and has its place" },
	{ "UPDATE sqlite_sequence SET seq = 2 WHERE name = 'manifest'", "the next manifest would get number 3, which is given" },
	{ "DELETE FROM keeping", "the table keeping has 0 lines" },
	{ "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX row_behind ON row (due) WHERE due IS NOT NULL'"
	  " WHERE name = 'row_behind'; PRAGMA writable_schema=OFF",
	  "row_behind" },
};

/* Each fault goes into a copy of its own, that nothing of the program has opened. */
static void every_fault_that_is_planted_is_named(void **state)
{
	struct fixture *f = *state;
	char sql[160];

	prepare(f);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct queue copy = { 0 };
		struct fixture other = { .queue = &copy };

		snprintf(other.path, sizeof(other.path), "%s/%zu.db", f->folder, i);
		snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", other.path);
		fixture_exec(f, sql);
		assert_int_equal(sqlite3_open(other.path, &copy.db.handle), SQLITE_OK);
		assert_finds(&other, faults[i].sql, faults[i].words);
		sqlite3_close(copy.db.handle);
	}
}

static void keys_without_a_row_are_told_and_harmless(void **state)
{
	struct fixture *f = *state;
	struct findings findings;

	prepare(f);
	fixture_exec(f, "INSERT INTO card_2 VALUES (4294967296), (4294977296)");
	findings = verify(f);
	assert_int_equal(findings.n, 0);
	assert_int_equal(findings.n_harmless, 1);
	assert_non_null(strstr(findings.text, "2 keys of cards have no row: harmless"));
}

static void findings_of_a_kind_are_cut_after_twenty_and_counted(void **state)
{
	struct fixture *f = *state;
	struct findings findings = { 0 };
	struct queue_verified verified;
	struct error err;

	load_many(f, 40, "");
	fixture_exec(f, "DELETE FROM card_0");
	assert_true(queue_verify(f->path, collect, &findings, &verified, &err));
	assert_int_equal(verified.findings, 40);
	assert_int_equal(findings.n, 21);
	assert_non_null(strstr(findings.text, "and more like these\n"));
}

static void a_damaged_page_is_a_finding(void **state)
{
	struct fixture *f = *state;
	struct findings findings;
	int64_t root;
	FILE *file;

	load_many(f, 500, "");
	root = fixture_number(f, "SELECT rootpage FROM sqlite_schema WHERE name = 'card_0'");
	fixture_exec(f, "PRAGMA wal_checkpoint(TRUNCATE)");
	file = fopen(f->path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, (root - 1) * 4096, SEEK_SET), 0);
	for (int i = 0; i < 4096; i++)
		fputc(0x55, file);
	fclose(file);
	findings = verify(f);
	assert_true(findings.n > 0);
	assert_non_null(strstr(findings.text, "damaged"));
}

static void it_looks_at_one_moment_beside_a_queue_that_works(void **state)
{
	struct fixture *f = *state;

	load_many(f, 50, "");
	claim_only(f, 0, 5);
	/* A turn that is not committed is not seen. */
	assert_string_equal(verify(f).text, "");
	commit(f);
	assert_string_equal(verify(f).text, "");
}

static void a_database_that_is_not_there_cannot_be_verified(void **state)
{
	struct fixture *f = *state;
	struct queue_verified verified;
	struct error err;

	assert_false(queue_verify("/nowhere/queue.db", collect, NULL, &verified, &err));
	assert_int_equal(err.code, ERROR_NO_INPUT);
	(void)f;
}

static bool count_file(void *user, const struct queue_archived_file *file)
{
	struct findings *findings = user;

	findings->n++;
	snprintf(findings->text, sizeof(findings->text), "%lld %s %lld %d", (long long)file->manifest, file->path, (long long)file->bytes,
		 file->sha256[0]);
	return findings->n < 2;
}

static void files_of_the_archive_are_shown_as_they_were_recorded(void **state)
{
	struct fixture *f = *state;
	struct findings findings = { 0 };
	struct error err;

	load(f, "a");
	assert_true(queue_verify_files(f->path, 0, count_file, &findings, &err));
	assert_int_equal(findings.n, 0);
	assert_true(queue_errand_archived(f->queue, 1, "2026/11/22/1-file1.csv"));
	load(f, "b");
	assert_true(queue_errand_archived(f->queue, 2, "2026/11/22/2-file2.csv"));
	load(f, "c");
	assert_true(queue_errand_archived(f->queue, 3, ""));
	commit(f);
	assert_true(queue_verify_files(f->path, 0, count_file, &findings, &err));
	assert_int_equal(findings.n, 2);
	assert_string_equal(findings.text, "2 2026/11/22/2-file2.csv 100 2");
	assert_true(queue_verify_files(f->path, f->wall + 1, count_file, &findings, &err));
	assert_int_equal(findings.n, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_sound_database_has_no_findings),
		T(a_purged_database_is_sound),
		T(every_fault_that_is_planted_is_named),
		T(keys_without_a_row_are_told_and_harmless),
		T(findings_of_a_kind_are_cut_after_twenty_and_counted),
		T(a_damaged_page_is_a_finding),
		T(it_looks_at_one_moment_beside_a_queue_that_works),
		T(a_database_that_is_not_there_cannot_be_verified),
		T(files_of_the_archive_are_shown_as_they_were_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
