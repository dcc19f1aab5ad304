#include "queue/order.h"
#include "queue/verify.h"

#include "fixture.h"

/* What must hold after every step, whatever was done to the rows of a card, and in whatever order: by hand, and by chance. */

enum { MOST_ROWS = 400, GIVE_UP = 20 * HOUR, SOON = 5 * HOUR };

static const struct answer back = { .outcome = TRACK_BACK, .status = 503, .give_up_after = GIVE_UP };

static struct queue_order_result move(struct fixture *f, enum queue_move move, int64_t row, bool anyway)
{
	const struct queue_order_result *result = NULL;
	struct queue_order order = {
		.move = move,
		.state = -1,
		.rows = &row,
		.n_rows = 1,
		.anyway = anyway,
		.who = { .user = "ada", .selector = "", .reason = "" },
	};
	bool done = false;

	assert_true(queue_order_give(f->queue, &order, f->wall));
	while (!done)
		assert_true(queue_order_slice(f->queue, 10, f->now, f->wall, &done, &result));
	commit(f);
	return *result;
}

/* A crash, after the endpoint's clock was stored, which is done along with other changes. */
static void start_again(struct fixture *f, bool open)
{
	assert_true(queue_action_log(f->queue, &(struct queue_action){ .user = "", .action = "", .selector = "", .reason = "" }));
	queue_endpoint_open(f->queue, 0, false, f->now);
	commit(f);
	fixture_restart(f);
	queue_endpoint_open(f->queue, 0, open, f->now);
}

static void no_finding(void *user, const struct queue_finding *finding)
{
	(void)user;
	fail_msg("%s", finding->what);
}

/* No row of a card may go while an earlier one is unfinished or another one is on the wire; nobody waits in a circle, or for what is over.
 */
static void assert_in_order(struct fixture *f)
{
	static const char free_of[] = "SELECT r.row_id FROM row r JOIN row o ON o.card_id = r.card_id AND o.issuer_no = r.issuer_no"
				      " WHERE r.behind IS NULL AND o.row_id <> r.row_id";
	static const char circles[] = "WITH RECURSIVE w (first, behind, n) AS (SELECT row_id, behind, 1 FROM row WHERE behind IS NOT NULL"
				      " UNION ALL SELECT w.first, r.behind, n + 1 FROM w JOIN row r ON r.row_id = w.behind"
				      " WHERE r.behind IS NOT NULL AND n < 50) SELECT first FROM w WHERE n >= 50";

	assert_int_equal(fixture_number(f, "%s AND r.state IN (0, 5) AND o.row_id < r.row_id AND o.state IN (0, 1, 4, 5) LIMIT 1", free_of),
			 -1);
	assert_int_equal(fixture_number(f, "%s AND r.state IN (0, 1) AND o.state = 1 LIMIT 1", free_of), -1);
	assert_int_equal(fixture_number(f, "%s LIMIT 1", circles), -1);
	assert_int_equal(fixture_number(f, "SELECT r.row_id FROM row r LEFT JOIN row b ON b.row_id = r.behind"
					   " WHERE r.behind IS NOT NULL AND (b.row_id IS NULL OR b.state NOT IN (0, 1, 4, 5)"
					   " OR b.card_id <> r.card_id OR (b.row_id > r.row_id AND b.state <> 1)) LIMIT 1"),
			 -1);
}

static void assert_claims(struct fixture *f, int64_t row)
{
	assert_int_equal(claim(f, 0, 9), 1);
	assert_int_equal(f->claims[0]->row, row);
}

static int64_t behind(struct fixture *f, int64_t row)
{
	return fixture_number(f, "SELECT behind FROM row WHERE row_id = %lld", (long long)row);
}

static void a_row_loaded_while_an_earlier_one_waits_for_a_later_one_on_the_wire_goes_last(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 a.2");
	assert_claims(f, 1);
	answer_one(f, 0, &refused);
	assert_claims(f, 2);
	assert_int_equal(move(f, QUEUE_RETRY, 1, true).moved, 1);
	assert_int_equal(behind(f, 1), 2);
	load(f, "a.3");
	answer_one(f, 0, &accepted);
	assert_claims(f, 1);
	assert_in_order(f);
	answer_one(f, 0, &accepted);
	assert_claims(f, 3);
}

static void an_earlier_row_that_waited_for_a_later_one_goes_before_it_when_that_comes_back(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 a.2 a.3");
	assert_claims(f, 1);
	answer_one(f, 0, &refused);
	assert_claims(f, 2);
	assert_int_equal(move(f, QUEUE_RETRY, 1, true).moved, 1);
	answer_one(f, 0, &back);
	for (int64_t row = 1; row <= 3; row++) {
		assert_in_order(f);
		assert_claims(f, row);
		answer_one(f, 0, &accepted);
	}
}

static void an_earlier_row_does_not_wait_for_a_later_one_in_doubt(void **state)
{
	struct fixture *f = *state;

	load(f, "a.1 a.2");
	assert_claims(f, 1);
	answer_one(f, 0, &refused);
	assert_claims(f, 2);
	assert_int_equal(move(f, QUEUE_RETRY, 1, true).moved, 1);
	answer_one(f, 0, &in_doubt);
	assert_in_order(f);
	assert_claims(f, 1);
}

static void a_row_behind_one_in_doubt_waits_for_it_and_for_an_earlier_one_tried_again(void **state)
{
	struct fixture *f = *state;

	for (int resend = 0; resend < 2; resend++) {
		int64_t first = fixture_number(f, "SELECT coalesce(max(row_id), 0) + 1 FROM row");

		load(f, "a a a");
		assert_claims(f, first);
		answer_one(f, 0, &refused);
		assert_claims(f, first + 1);
		answer_one(f, 0, &in_doubt);
		assert_int_equal(move(f, QUEUE_RETRY, first, true).moved, 1);
		assert_int_equal(behind(f, first + 2), first + 1);
		assert_claims(f, first);
		assert_int_equal(move(f, resend ? QUEUE_RESOLVE_RESEND : QUEUE_RESOLVE_ACCEPTED, first + 1, false).moved, 1);
		assert_in_order(f);
		for (size_t i = 0; i < MOST_CLAIMS; i++)
			f->claims[i] = &f->room[i];
		answer_one(f, 0, &accepted);
		if (resend) {
			assert_claims(f, first + 1);
			answer_one(f, 0, &accepted);
		}
		assert_claims(f, first + 2);
		answer_one(f, 0, &accepted);
	}
}

/* --- the time that a row has left --- */

static void the_time_behind_a_row_that_was_tried_again_does_not_count(void **state)
{
	struct fixture *f = *state;

	queue_endpoint_open(f->queue, 0, true, f->now);
	load(f, "a.1 a.2");
	assert_claims(f, 1);
	answer_one(f, 0, &refused);
	assert_claims(f, 2);
	answer_one(f, 0, &back);
	f->now += 10 * HOUR;
	assert_int_equal(move(f, QUEUE_RETRY, 1, false).moved, 1);
	assert_int_equal(fixture_number(f, "SELECT give_up FROM row WHERE row_id = 2"), 10 * HOUR);
	f->now += 500 * HOUR;
	assert_claims(f, 1);
	answer_one(f, 0, &accepted);
	f->now += 9 * HOUR;
	assert_claims(f, 2);
	assert_int_equal(answer_one(f, 0, &back), ROW_QUEUED);
	f->now += HOUR;
	assert_claims(f, 2);
	assert_int_equal(answer_one(f, 0, &back), ROW_EXPIRED);
}

static void the_time_in_doubt_does_not_count(void **state)
{
	struct fixture *f = *state;

	for (int crash = 0; crash < 2; crash++) {
		int64_t row = fixture_number(f, "SELECT coalesce(max(row_id), 0) + 1 FROM row");

		queue_endpoint_open(f->queue, 0, true, f->now);
		load(f, "a");
		assert_claims(f, row);
		answer_one(f, 0, &back);
		f->now += 10 * HOUR;
		assert_claims(f, row);
		if (crash) {
			start_again(f, true);
		} else {
			answer_one(f, 0, &in_doubt);
		}
		assert_state(f, row, ROW_IN_DOUBT);
		f->now += 500 * HOUR;
		assert_int_equal(move(f, QUEUE_RESOLVE_RESEND, row, false).moved, 1);
		f->now += 9 * HOUR;
		assert_claims(f, row);
		assert_int_equal(answer_one(f, 0, &back), ROW_QUEUED);
		f->now += HOUR;
		assert_claims(f, row);
		assert_int_equal(answer_one(f, 0, &back), ROW_EXPIRED);
	}
}

static void a_hold_in_a_paused_manifest_is_not_counted_twice(void **state)
{
	char why[QUEUE_MOST_WHY];

	(void)state;
	/* Held and released: both in the pause, or the release after it, or the hold before it. */
	for (int way = 0; way < 3; way++) {
		struct fixture *f;

		fixture_setup_open((void **)&f);
		queue_endpoint_open(f->queue, 0, true, f->now);
		load(f, "a");
		assert_claims(f, 1);
		answer_one(f, 0, &back);
		f->now += 10 * HOUR;
		if (way == 2)
			move(f, QUEUE_HOLD, 1, false);
		assert_true(queue_manifest_pause(f->queue, 1, "", f->now, why));
		commit(f);
		f->now += 100 * HOUR;
		if (way != 2)
			move(f, QUEUE_HOLD, 1, false);
		f->now += 100 * HOUR;
		if (way != 1)
			move(f, QUEUE_RELEASE, 1, false);
		f->now += 100 * HOUR;
		assert_true(queue_manifest_resume(f->queue, 1, f->now, why));
		commit(f);
		if (way == 1)
			move(f, QUEUE_RELEASE, 1, false);
		f->now += 9 * HOUR;
		assert_claims(f, 1);
		assert_int_equal(answer_one(f, 0, &back), ROW_QUEUED);
		f->now += HOUR;
		assert_claims(f, 1);
		assert_int_equal(answer_one(f, 0, &back), ROW_EXPIRED);
		fixture_teardown((void **)&f);
	}
}

static void an_issuer_without_an_endpoint_has_no_clock_and_its_rows_begin_anew(void **state)
{
	struct fixture *f = *state;
	char why[QUEUE_MOST_WHY];
	int64_t rows;

	queue_endpoint_open(f->queue, 0, true, f->now);
	f->now += 500 * HOUR;
	load(f, "a b");
	assert_int_equal(claim(f, 0, 9), 2);
	answer_all(f, &back);
	move(f, QUEUE_HOLD, 1, false);
	/* A start with a configuration in which no endpoint has the issuer. */
	queue_close(f->queue);
	assert_true(queue_open(f->path, &f->queue, &(struct error){ 0 }));
	assert_true(queue_bind_endpoint(f->queue, 0, "bank", false));
	assert_true(queue_bind_source(f->queue, 0, "lyon", "/srv/lyon/in"));
	assert_true(queue_recover(f->queue, HOUR, f->now, f->wall, &rows));
	commit(f);
	move(f, QUEUE_RELEASE, 1, false);
	assert_true(queue_manifest_pause(f->queue, 1, "", f->now, why));
	assert_true(queue_manifest_resume(f->queue, 1, f->now, why));
	commit(f);
	assert_int_equal(fixture_number(f, "SELECT give_up FROM row WHERE row_id = 1"), -1);
	assert_int_equal(fixture_number(f, "SELECT give_up FROM row WHERE row_id = 2"), 520 * HOUR);
}

/* --- by chance --- */

struct model {
	struct fixture *f;
	uint64_t chance;
	struct queue_claim flying[MOST_CLAIMS];
	size_t n_flying;
	int64_t clock; /* of endpoint 0, as it should be */
	bool open, paused[100];
	int64_t left[MOST_ROWS]; /* of a row's time; 0: it does not count yet */
	int64_t retried, expired, resent;
};

static int64_t draw(struct model *m, int64_t below)
{
	m->chance = m->chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (int64_t)((m->chance >> 33) % (uint64_t)below);
}

static int64_t last_row(struct model *m)
{
	return fixture_number(m->f, "SELECT coalesce(max(row_id), 0) FROM row");
}

/* Rows that are unfinished, with all that their time hangs on. */
static sqlite3_stmt *open_rows(struct model *m)
{
	static const char rows[] =
		"SELECT r.row_id, r.state, coalesce(r.behind, 0), coalesce(r.give_up, 0), coalesce(l.paused_clock, -1), m.paused"
		" FROM row r JOIN manifest m USING (manifest_id) LEFT JOIN lane l USING (manifest_id, issuer_no) WHERE r.state IN (0, 1, 4, 5)";
	sqlite3_stmt *statement;

	assert_int_equal(sqlite3_prepare_v2(m->f->queue->db.handle, rows, -1, &statement, NULL), SQLITE_OK);
	return statement;
}

/* A row's time runs while it is queued or on the wire, behind nobody, with its manifest and its endpoint open. */
static void time_passes(struct model *m, int64_t ms)
{
	sqlite3_stmt *s = open_rows(m);

	while (sqlite3_step(s) == SQLITE_ROW) {
		int64_t row = sqlite3_column_int64(s, 0), state = sqlite3_column_int64(s, 1);

		if (m->left[row] && m->open && (state == ROW_QUEUED || state == ROW_SENDING) && !sqlite3_column_int64(s, 2) &&
		    !db_text(s, 5)[0])
			m->left[row] -= ms;
	}
	sqlite3_finalize(s);
	m->f->now += ms;
	m->clock += m->open ? ms : 0;
}

static void assert_times(struct model *m)
{
	sqlite3_stmt *s = open_rows(m);

	while (sqlite3_step(s) == SQLITE_ROW) {
		int64_t row = sqlite3_column_int64(s, 0), state = sqlite3_column_int64(s, 1), give_up = sqlite3_column_int64(s, 3);
		int64_t paused_clock = sqlite3_column_int64(s, 4), clock = paused_clock < 0 ? m->clock : paused_clock;
		bool waits = state == ROW_HELD || state == ROW_IN_DOUBT || sqlite3_column_int64(s, 2);

		if ((give_up != 0) != (m->left[row] != 0) || (give_up && give_up - (waits ? 0 : clock) != m->left[row]))
			fail_msg("row %lld (%s, behind %lld): %lld left, not %lld", (long long)row, state_of(m->f, row),
				 (long long)sqlite3_column_int64(s, 2), (long long)(give_up - (waits ? 0 : clock)),
				 (long long)m->left[row]);
	}
	sqlite3_finalize(s);
}

static void answer_flying(struct model *m, size_t i)
{
	static const enum track_outcome outcomes[] = { TRACK_ACCEPTED, TRACK_REFUSED, TRACK_IN_DOUBT, TRACK_BACK, TRACK_BACK };
	struct answer answer = { .outcome = outcomes[draw(m, 5)], .status = 418, .give_up_after = SOON };
	struct queue_claim *claim = &m->flying[i];
	enum row_state became = record(m->f, claim, &answer, NULL);

	commit(m->f);
	if (answer.outcome == TRACK_BACK) {
		int64_t left = m->left[claim->row] ? m->left[claim->row] : SOON;

		assert_int_equal(became, left <= 0 ? ROW_EXPIRED : ROW_QUEUED);
		m->expired += left <= 0;
		m->left[claim->row] = left;
	}
	m->flying[i] = m->flying[--m->n_flying];
}

static void restart(struct model *m)
{
	m->n_flying = 0;
	start_again(m->f, m->open);
}

static void load_some(struct model *m)
{
	char rows[200] = "";

	for (int64_t n = 1 + draw(m, 4); n > 0; n--)
		snprintf(rows + strlen(rows), sizeof(rows) - strlen(rows), "%s%c", rows[0] ? " " : "", (char)('a' + draw(m, 3)));
	load(m->f, rows);
}

static void move_some(struct model *m)
{
	static const struct {
		enum queue_move which;
		const char *states;
	} moves[] = {
		{ QUEUE_RETRY, "3, 6" }, { QUEUE_RETRY, "3, 6" },         { QUEUE_RETRY, "3, 6, 9" },    { QUEUE_HOLD, "0" },
		{ QUEUE_HOLD, "0" },     { QUEUE_CANCEL, "0, 5" },        { QUEUE_RELEASE, "5" },        { QUEUE_RELEASE, "5" },
		{ QUEUE_RELEASE, "5" },  { QUEUE_RESOLVE_ACCEPTED, "4" }, { QUEUE_RESOLVE_RESEND, "4" }, { QUEUE_RESOLVE_RESEND, "4" },
	};
	int64_t i = draw(m, 12), row;

	row = fixture_number(m->f, "SELECT row_id FROM row WHERE state IN (%s) ORDER BY row_id DESC LIMIT 1 OFFSET %lld", moves[i].states,
			     (long long)draw(m, 4));
	if (row < 0 || move(m->f, moves[i].which, row, draw(m, 3) > 0).moved != 1)
		return;
	if (moves[i].which == QUEUE_RETRY) {
		m->left[row] = 0;
		m->retried++;
	}
	m->resent += moves[i].which == QUEUE_RESOLVE_RESEND;
}

static bool flies_of(const struct model *m, int64_t manifest)
{
	for (size_t i = 0; i < m->n_flying; i++) {
		if (m->flying[i].manifest == manifest)
			return true;
	}
	return false;
}

static void toggle_pause(struct model *m)
{
	int64_t n = fixture_number(m->f, "SELECT max(manifest_id) FROM manifest"), manifest = 1 + draw(m, n);
	char why[QUEUE_MOST_WHY];

	if (flies_of(m, manifest))
		return;
	if (!draw(m, 4))
		assert_true(queue_manifest_pause(m->f->queue, manifest, "", m->f->now, why));
	for (; draw(m, 8); manifest = 1 + draw(m, n)) {
		if (!flies_of(m, manifest))
			assert_true(queue_manifest_resume(m->f->queue, manifest, m->f->now, why));
	}
	commit(m->f);
}

static void claim_some(struct model *m, size_t most)
{
	claim(m->f, 0, most < MOST_CLAIMS - m->n_flying ? most : MOST_CLAIMS - m->n_flying);
	for (size_t i = 0; i < m->f->n_claims; i++)
		m->flying[m->n_flying++] = m->f->room[i];
}

static void step(struct model *m)
{
	switch (draw(m, 12)) {
	case 0:
		if (fixture_number(m->f, "SELECT count(*) FROM row WHERE state IN (0, 1, 4, 5)") < 9)
			load_some(m);
		break;
	case 1:
	case 2: claim_some(m, 1 + (size_t)draw(m, 4)); break;
	case 3:
	case 4:
	case 5:
		if (m->n_flying)
			answer_flying(m, (size_t)draw(m, (int64_t)m->n_flying));
		break;
	case 6:
	case 7:
	case 8: move_some(m); break;
	case 9: toggle_pause(m); break;
	case 10:
		if (!draw(m, m->open ? 6 : 2)) {
			m->open = !m->open;
			queue_endpoint_open(m->f->queue, 0, m->open, m->f->now);
		}
		time_passes(m, draw(m, 8) * HOUR + 1);
		break;
	case 11:
		if (!draw(m, 5))
			restart(m);
		break;
	default: break;
	}
}

/* Everything that waits for somebody is let go; then all of it ends, and the rows of a card in their order. */
static void drain(struct model *m)
{
	struct fixture *f = m->f;
	char why[QUEUE_MOST_WHY];
	int64_t n;

	while (m->n_flying)
		answer_flying(m, 0);
	for (int64_t row = 1; row <= last_row(m); row++) {
		move(f, QUEUE_RELEASE, row, false);
		move(f, QUEUE_RESOLVE_RESEND, row, false);
		assert_in_order(f);
	}
	for (int64_t i = 1; i <= fixture_number(f, "SELECT max(manifest_id) FROM manifest"); i++)
		assert_true(queue_manifest_resume(f->queue, i, f->now, why));
	commit(f);
	while (claim(f, 0, 64) > 0) {
		assert_in_order(f);
		answer_all(f, &accepted);
	}
	n = fixture_number(f, "SELECT count(*) FROM row WHERE state IN (0, 1, 4, 5) AND card_id <> 'z'");
	assert_int_equal(n, 0);
}

static void whatever_is_done_a_card_goes_in_order_and_time_counts_only_while_a_row_could_go(void **state)
{
	int64_t retried = 0, expired = 0, resent = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct model m = { .chance = seed, .open = true };

		fixture_setup_open((void **)&m.f);
		/* A clock at zero is as good as none. */
		queue_endpoint_open(m.f->queue, 0, true, m.f->now);
		m.f->now += 1000;
		m.clock = 1000;
		load(m.f, "a b a c b");
		for (int i = 0; i < 600 && last_row(&m) < MOST_ROWS - 10; i++) {
			step(&m);
			assert_in_order(m.f);
			assert_times(&m);
		}
		drain(&m);
		assert_true(queue_verify(m.f->path, no_finding, NULL, &(struct queue_verified){ 0 }, &(struct error){ 0 }));
		retried += m.retried;
		expired += m.expired;
		resent += m.resent;
		fixture_teardown((void **)&m.f);
	}
	print_message("%lld rows tried again, %lld sent again by word, %lld expired\n", (long long)retried, (long long)resent,
		      (long long)expired);
	assert_true(retried > 30 && expired > 5 && resent > 30);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_row_loaded_while_an_earlier_one_waits_for_a_later_one_on_the_wire_goes_last),
		T(an_earlier_row_that_waited_for_a_later_one_goes_before_it_when_that_comes_back),
		T(an_earlier_row_does_not_wait_for_a_later_one_in_doubt),
		T(a_row_behind_one_in_doubt_waits_for_it_and_for_an_earlier_one_tried_again),
		T(the_time_behind_a_row_that_was_tried_again_does_not_count),
		T(the_time_in_doubt_does_not_count),
		cmocka_unit_test(a_hold_in_a_paused_manifest_is_not_counted_twice),
		T(an_issuer_without_an_endpoint_has_no_clock_and_its_rows_begin_anew),
		cmocka_unit_test(whatever_is_done_a_card_goes_in_order_and_time_counts_only_while_a_row_could_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
