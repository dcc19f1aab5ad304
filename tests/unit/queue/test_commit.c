#include "fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void assert_commit_fails(struct fixture *f, enum error_code code)
{
	struct error err = { 0 };

	assert_true(queue_in_turn(f->queue));
	assert_false(queue_commit(f->queue, &err));
	assert_int_equal(err.code, code);
	assert_true(err.text[0] != '\0');
	assert_false(queue_in_turn(f->queue));
	assert_sound(f);
}

static int say_no(void *no)
{
	return *(bool *)no;
}

/* The database as bytes. */
static unsigned char *image(struct fixture *f, sqlite3_int64 *ret_size)
{
	unsigned char *bytes = sqlite3_serialize(f->queue->db.handle, "main", ret_size, 0);

	assert_non_null(bytes);
	return bytes;
}

static void assert_image(struct fixture *f, unsigned char *before, sqlite3_int64 size_before)
{
	sqlite3_int64 size;
	unsigned char *now = image(f, &size);

	assert_int_equal(size, size_before);
	assert_true(memcmp(now, before, (size_t)size) == 0);
	sqlite3_free(now);
	sqlite3_free(before);
}

static void after_a_commit_that_failed_disk_and_memory_are_as_before_and_the_turn_can_be_done_again(void **state)
{
	struct fixture *f = *state;
	struct queue_claim first;
	unsigned char *before;
	sqlite3_int64 size;
	bool no = false;
	int64_t loading, next_row;

	load(f, "a b c d e f a.5 a.6");
	load(f, "g");
	claim(f, 0, 2);
	first = *f->claims[0];
	loading = loading_manifest(f, "h i");
	sqlite3_commit_hook(f->queue->db.handle, say_no, &no);
	for (int i = 0; i < 2; i++) {
		before = image(f, &size);
		next_row = f->queue->next_row;
		no = true;
		/* One of everything: answers, claims, a release, rows and a new manifest. */
		assert_int_equal(record(f, &first, &accepted, NULL), ROW_ACCEPTED);
		claim_only(f, 0, 64);
		assert_int_equal(f->n_claims, 6);
		add_rows(f, loading, "j@2 !k ~l");
		assert_true(queue_manifest_release(f->queue, loading, f->now, f->wall, NULL));
		add_rows(f, record_manifest(f, NULL), "m a.9");
		queue_endpoint_open(f->queue, 0, true, f->now - 20000);
		queue_endpoint_open(f->queue, 0, false, f->now);
		assert_commit_fails(f, ERROR_INTERNAL);
		no = false;
		assert_image(f, before, size);
		assert_int_equal(f->queue->next_row, next_row);
		assert_int_equal(f->queue->settled, 0);
		f->n_files--;
	}
	/* And now the same for good. */
	assert_int_equal(record(f, &first, &accepted, NULL), ROW_ACCEPTED);
	assert_int_equal(claim(f, 0, 64), 6);
	add_rows(f, loading, "j@2 !k ~l");
	release(f, loading);
	assert_string_equal(claimed_cards(f, 1, 64), "j");
	assert_string_equal(claimed_cards(f, 0, 64), "h i");
	loading_manifest(f, "m a.9");
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM manifest"), 4);
	/* What the failed turn said of the clock was not stored: it is told once more. */
	assert_true(queue_source_store(f->queue, 0, "open", "", 0));
	queue_endpoint_open(f->queue, 0, false, f->now);
	commit(f);
	assert_int_equal(fixture_number(f, "SELECT open_ms FROM endpoint WHERE name = 'bank'"), 40000);
}

static void a_manifest_that_settled_in_a_turn_that_failed_is_still_open(void **state)
{
	struct fixture *f = *state;
	bool no = true;

	load(f, "a");
	claim(f, 0, 9);
	sqlite3_commit_hook(f->queue->db.handle, say_no, &no);
	record(f, f->claims[0], &(struct answer){ .outcome = TRACK_BACK, .status = 503 }, NULL);
	assert_commit_fails(f, ERROR_INTERNAL);
	record(f, f->claims[0], &accepted, NULL);
	assert_commit_fails(f, ERROR_INTERNAL);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "released");
	no = false;
	answer_all(f, &accepted);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "settled");
}

static void refusals_that_were_not_stored_do_not_pause_a_manifest(void **state)
{
	struct fixture *f = *state;
	bool no = true, paused = false;

	load_many(f, 40, "");
	claim(f, 0, QUEUE_REFUSALS_RUNNING);
	sqlite3_commit_hook(f->queue->db.handle, say_no, &no);
	for (size_t i = 0; i < f->n_claims; i++)
		record(f, f->claims[i], &refused, &paused);
	assert_true(paused);
	assert_commit_fails(f, ERROR_INTERNAL);
	assert_string_equal(fixture_text(f, "SELECT paused FROM manifest"), "");
	assert_int_equal(queue_next_due(f->queue, 0, f->now), f->now);
	no = false;
	answer_all(f, &refused);
	assert_string_equal(fixture_text(f, "SELECT paused FROM manifest"), "refusals");
}

/* 20 answers and 300 new rows in one turn, while no file may grow beyond so many bytes. */
static bool commit_in(struct fixture *f, rlim_t room)
{
	struct rlimit limit = { .rlim_cur = room }, old;
	int64_t manifest = record_manifest(f, NULL);
	struct error err = { 0 };
	bool committed;

	f->n_files--;
	for (size_t k = 0; k < 20; k++)
		record(f, &f->room[k], &accepted, NULL);
	add_many(f, manifest, 300, "x");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
	committed = queue_commit(f->queue, &err);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(err.code, committed ? ERROR_NONE : ERROR_IO);
	assert_sound(f);
	return committed;
}

static void a_full_disk_costs_nothing_and_work_goes_on_when_there_is_room_again(void **state)
{
	struct fixture *f = *state;
	unsigned char *before;
	sqlite3_int64 size;

	load_many(f, 300, "");
	claim(f, 0, 20);
	before = image(f, &size);
	for (int i = 0; i < 3; i++)
		assert_false(commit_in(f, 4096));
	assert_image(f, before, size);
	answer_all(f, &accepted);
	load_many(f, 300, "x");
	assert_int_equal(claim(f, 0, 64), 64);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row WHERE state = 2"), 20);
}

static void where_only_the_wal_cannot_grow_it_is_begun_anew_and_the_next_try_has_room(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char wal[100];

	load_many(f, 300, "");
	for (int i = 0; i < 10; i++)
		load_many(f, 50, "");
	claim(f, 0, 20);
	snprintf(wal, sizeof(wal), "%s-wal", f->path);
	assert_int_equal(stat(wal, &st), 0);
	assert_false(commit_in(f, (rlim_t)st.st_size));
	assert_true(commit_in(f, (rlim_t)st.st_size));
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM row WHERE state = 2"), 20);
}

struct blindness {
	sqlite3 *handle;
	bool blind;
};

/* Interrupts every reading, but lets a transaction end. */
static int blind(void *user)
{
	const struct blindness *b = user;

	return b->blind && sqlite3_get_autocommit(b->handle);
}

static int go_blind(void *user)
{
	((struct blindness *)user)->blind = true;
	return 1;
}

static void while_the_database_cannot_even_be_read_nothing_moves_and_then_work_goes_on(void **state)
{
	struct fixture *f = *state;
	struct blindness b = { .handle = f->queue->db.handle };
	struct error err = { 0 };

	load(f, "a b c d");
	claim(f, 0, 2);
	sqlite3_progress_handler(b.handle, 1, blind, &b);
	sqlite3_commit_hook(b.handle, go_blind, &b);
	record(f, f->claims[0], &accepted, NULL);
	for (int i = 0; i < 3; i++) {
		size_t n = 99;

		assert_false(queue_commit(f->queue, &err));
		assert_true(queue_claim(f->queue, 0, 9, f->now, f->wall, f->claims + 2, &n));
		assert_int_equal(n, 0);
		assert_int_equal(queue_next_due(f->queue, 0, f->now), INT64_MAX);
	}
	sqlite3_progress_handler(b.handle, 0, NULL, NULL);
	sqlite3_commit_hook(b.handle, NULL, NULL);
	/* The turn in which it sees again still fails: what it gathered did not know the database. */
	assert_false(queue_commit(f->queue, &err));
	answer_all(f, &accepted);
	assert_string_equal(claimed_cards(f, 0, 9), "c d");
	answer_all(f, &accepted);
	assert_string_equal(fixture_text(f, "SELECT state FROM manifest"), "settled");
}

/* --- whatever fails --- */

/* SQLite can be interrupted at some 9,000 places of the turn below; all of them were tried once. */
enum { EVERY = 13 };

/* Interrupts the running statement at the nth look. Not while COMMIT ends: what it says then comes after the fact. */
struct interruption {
	struct db *db;
	int looks_left;
	bool done;
};

static int interrupt(void *user)
{
	struct interruption *i = user;

	if (i->done || (i->db->in_turn && sqlite3_get_autocommit(i->db->handle)) || --i->looks_left > 0)
		return 0;
	i->done = true;
	return 1;
}

static bool end_attempts(struct fixture *f, const struct queue_claim *claims)
{
	static const struct answer ends[] = {
		{ .outcome = TRACK_ACCEPTED, .status = 202 },
		{ .outcome = TRACK_REFUSED, .status = 400 },
		{ .outcome = TRACK_IN_DOUBT },
		{ .outcome = TRACK_BACK, .status = 503 },
		{ .outcome = TRACK_BACK, .status = 503, .give_up_after = -1 },
	};

	for (size_t i = 0; i < 5; i++) {
		if (!try_record(f, &claims[i], &ends[i], NULL, NULL))
			return false;
	}
	return queue_unclaim(f->queue, &claims[5], f->now);
}

static bool try_load(struct fixture *f, int64_t manifest)
{
	static const char *const words[] = { "n", "!o", "~p", "acc.1", "ref.2/Vantaa", "q@2", "acc.77" };
	struct queue_loading loading;
	enum row_state became;
	bool done = false;

	if (!queue_manifest_loading(f->queue, &loading))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!try_add_row(f, manifest, words[i], &became))
			return false;
	}
	if (!queue_manifest_progress(f->queue, manifest, 100, 10) || !queue_manifest_release(f->queue, manifest, f->now, f->wall, NULL) ||
	    !queue_manifest_condemn(f->queue, manifest + 1, "no"))
		return false;
	while (!done) {
		if (!queue_manifest_reject_slice(f->queue, manifest + 1, 2, f->wall, &done))
			return false;
	}
	return true;
}

static bool see_nothing(void *user, const struct queue_receipt_row *row)
{
	(void)user;
	(void)row;
	return true;
}

static bool try_errands(struct fixture *f)
{
	struct queue_errand errand;
	int64_t last = 0, at;

	for (int kind = QUEUE_ARCHIVE; kind <= QUEUE_RECEIPT; kind++) {
		if (!queue_errand_next(f->queue, (enum queue_errand_kind)kind, f->wall, 0, &errand))
			return false;
		queue_errand_free(&errand);
	}
	return queue_receipt_rows(f->queue, 1, 0, 9, see_nothing, NULL, &last) &&
	       queue_reject_rows(f->queue, 1, 0, 9, see_nothing, NULL, &last) && queue_errand_receipts_at(f->queue, &at, &last) &&
	       queue_errand_archived(f->queue, 1, "x") && queue_errand_rejects_done(f->queue, 1) &&
	       queue_errand_failed(f->queue, 1, QUEUE_RECEIPT, f->wall + 5, "no") && queue_errand_receipt_done(f->queue, 1, 99, 0);
}

static bool try_manifest(struct fixture *f)
{
	static const uint8_t sha256[32] = { 9 };
	const struct queue_manifest_new as = { .name = "new.csv", .sha256 = sha256, .wall_ms = f->wall };
	int64_t manifest, found;

	return queue_manifest_of_original(f->queue, 0, "new.csv", 0, 0, 0, &found) && queue_manifest_next(f->queue, &manifest) &&
	       queue_manifest_record(f->queue, &as, &manifest, &found) && queue_manifest_original_gone(f->queue, manifest);
}

static bool try_configuration(struct fixture *f)
{
	struct queue_endpoint e;
	struct queue_counts counts;

	return queue_bind_endpoint(f->queue, 2, "third", false) && queue_bind_issuer(f->queue, "ISSUER0003", 2) &&
	       queue_bind_source(f->queue, 1, "paris", "/paris") && queue_source_store(f->queue, 0, "open", "", 1) &&
	       queue_endpoint_load(f->queue, 0, &e) && queue_endpoint_store(f->queue, 0, &e) && queue_counts(f->queue, &counts);
}

/* A turn with everything in it. */
static bool try_turn(struct fixture *f, const struct queue_claim *claims)
{
	int64_t rows;

	if (!try_errands(f) || !end_attempts(f, claims) || !queue_claim(f->queue, 0, 20, f->now, f->wall, f->claims, &f->n_claims) ||
	    !queue_claim(f->queue, 1, 20, f->now, f->wall, f->claims + 20, &f->n_claims) || !try_manifest(f) || !try_load(f, 2) ||
	    !try_configuration(f))
		return false;
	queue_endpoint_open(f->queue, 0, true, f->now - 20000);
	queue_endpoint_open(f->queue, 0, true, f->now);
	return queue_recover(f->queue, HOUR, f->now, f->wall, &rows);
}

static void whatever_statement_fails_the_whole_turn_fails_and_can_be_done_again(void **state)
{
	struct fixture *f = *state;
	struct interruption i = { .db = &f->queue->db };
	const int64_t own_event = f->own_event + 100;
	struct queue_claim claims[6];
	struct error err = { 0 };
	int times = 0;

	load(f, "acc.1 ref.2 dbt bck exp und acc.3 ref.4 exp.5 dbt.6 f1 !r s@2");
	/* Claimed a second time, so that there are earlier attempts; that is what the answers of the turn are for. */
	assert_int_equal(claim(f, 0, 20), 7);
	answer_all(f, &(struct answer){ .outcome = TRACK_BACK, .status = 503 });
	assert_int_equal(claim(f, 0, 6), 6);
	memcpy(claims, f->room, sizeof(claims));
	claims[4].give_up = -1;
	loading_manifest(f, "l");
	loading_manifest(f, "m ref.2/Tczew !m");
	for (;;) {
		sqlite3_int64 size;
		unsigned char *before = image(f, &size);
		bool tried, committed;

		f->own_event = own_event;
		i.looks_left = ++times * EVERY;
		i.done = false;
		sqlite3_progress_handler(f->queue->db.handle, 1, interrupt, &i);
		tried = try_turn(f, claims);
		committed = queue_commit(f->queue, &err);
		sqlite3_progress_handler(f->queue->db.handle, 0, NULL, NULL);
		assert_int_equal(committed, !i.done);
		assert_sound(f);
		if (committed) {
			assert_true(tried);
			sqlite3_free(before);
			break;
		}
		assert_image(f, before, size);
		f->queue->n_issuers = 2; /* binding is done once, at the start, and not again after a failure */
	}
	assert_true(times > 200);
	assert_string_equal(fixture_text(f, "SELECT group_concat(state) FROM (SELECT state FROM status WHERE row_id <= 5 ORDER BY row_id)"),
			    "accepted,refused,in_doubt,in_doubt,expired");
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(after_a_commit_that_failed_disk_and_memory_are_as_before_and_the_turn_can_be_done_again),
		T(a_manifest_that_settled_in_a_turn_that_failed_is_still_open),
		T(refusals_that_were_not_stored_do_not_pause_a_manifest),
		T(a_full_disk_costs_nothing_and_work_goes_on_when_there_is_room_again),
		T(where_only_the_wal_cannot_grow_it_is_begun_anew_and_the_next_try_has_room),
		T(while_the_database_cannot_even_be_read_nothing_moves_and_then_work_goes_on),
		T(whatever_statement_fails_the_whole_turn_fails_and_can_be_done_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
