/*
 * fixture: a queue in a directory of its own with two endpoints, and manifests from a line of text. Every commit that succeeds is followed
 * by what must hold after each: every manifest balances, its counts are those of its rows, and no statement is left open.
 *
 * A manifest's rows are words: [!|~]CARD[.EVENT][/SITE][@ISSUER]. ! is a row that is rejected by itself, ~ one that is skipped; EVENT is a
 * number (without one, the row's event is its own), SITE the request's production site (so: which request it is) and ISSUER 1 (endpoint 0)
 * or 2 (endpoint 1).
 */
#pragma once

#include "queue/internal.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CLAIMS = 64, HOUR = 3600000 };

#define ISSUER_1 "ISSUER0001"
#define ISSUER_2 "ISSUER0002"

struct fixture {
	char folder[64], path[80];
	struct queue *queue;
	int64_t now, wall;
	int64_t n_files, own_event;
	struct queue_claim room[MOST_CLAIMS], *claims[MOST_CLAIMS];
	size_t n_claims;
};

static inline void fixture_exec(struct fixture *f, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(f->queue->db.handle, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
}

/* The one number, or the one text, that a question gives; -1 or "" for NULL and for no row. */
static inline int64_t fixture_number(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline int64_t fixture_number(struct fixture *f, const char *format, ...)
{
	sqlite3_stmt *statement;
	int64_t number = -1;
	va_list arguments;
	char sql[1200];

	va_start(arguments, format);
	vsnprintf(sql, sizeof(sql), format, arguments);
	va_end(arguments);
	if (sqlite3_prepare_v2(f->queue->db.handle, sql, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(f->queue->db.handle));
	if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

/* Valid until the call after the next. */
static inline const char *fixture_text(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline const char *fixture_text(struct fixture *f, const char *format, ...)
{
	static char texts[2][1200];
	static int turn;
	char *text = texts[turn++ % 2], sql[1200];
	sqlite3_stmt *statement;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sql, sizeof(sql), format, arguments);
	va_end(arguments);
	text[0] = '\0';
	if (sqlite3_prepare_v2(f->queue->db.handle, sql, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(f->queue->db.handle));
	if (sqlite3_step(statement) == SQLITE_ROW)
		snprintf(text, sizeof(texts[0]), "%s", db_text(statement, 0));
	sqlite3_finalize(statement);
	return text;
}

static inline const char *state_of(struct fixture *f, int64_t row)
{
	return queue_state_name((enum row_state)fixture_number(f, "SELECT state FROM row WHERE row_id = %lld", (long long)row));
}

#define assert_state(f, row, expected) assert_string_equal(state_of(f, row), queue_state_name(expected))

static inline void assert_sound(struct fixture *f)
{
	static const char unbalanced[] =
		"SELECT count(*) FROM manifest m LEFT JOIN (SELECT manifest_id AS id, count(*) AS n, sum(state = 0) AS s0, sum(state = 1) AS s1,"
		" sum(state = 2) AS s2, sum(state = 3) AS s3, sum(state = 4) AS s4, sum(state = 5) AS s5, sum(state = 6) AS s6,"
		" sum(state = 7) AS s7, sum(state = 8) AS s8, sum(state = 9) AS s9, sum(state = 10) AS s10 FROM row GROUP BY id) c"
		" ON c.id = m.manifest_id WHERE m.rows <> coalesce(c.n, 0) OR"
		" m.rows <> queued + sending + accepted + refused + in_doubt + held + expired + cancelled + rejected + duplicate + skipped"
		" OR (queued, sending, accepted, refused, in_doubt, held, expired, cancelled, rejected, duplicate, skipped) <>"
		" (s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10)";
	static const char twice[] = "SELECT count(*) FROM (SELECT 1 FROM row WHERE superseded = 0 AND card_id IS NOT NULL"
				    " GROUP BY card_id, issuer_no, event HAVING count(*) > 1)";

	for (sqlite3_stmt *s = NULL; (s = sqlite3_next_stmt(f->queue->db.handle, s));) {
		if (sqlite3_stmt_busy(s))
			fail_msg("left open: %s", sqlite3_sql(s));
	}
	assert_int_equal(fixture_number(f, "%s", unbalanced), 0);
	assert_int_equal(fixture_number(f, "%s", twice), 0); /* one row at most stands for an event */
}

static inline void commit(struct fixture *f)
{
	struct error err = { 0 };

	if (!queue_commit(f->queue, &err))
		fail_msg("commit: %s", err.text);
	assert_false(queue_in_turn(f->queue));
	assert_sound(f);
}

/* Opens the database and binds what is configured: endpoint 0 with issuer 1, endpoint 1 (which resends) with issuer 2, one source. */
static inline void fixture_open(struct fixture *f)
{
	struct error err = { 0 };

	if (!queue_open(f->path, &f->queue, &err))
		fail_msg("%s", err.text);
	/* What is durable is for other tests; here it only costs time. (A copy is open in a turn already.) */
	if (!queue_in_turn(f->queue))
		fixture_exec(f, "PRAGMA synchronous=OFF");
	assert_true(queue_bind_endpoint(f->queue, 0, "bank", false));
	assert_true(queue_bind_issuer(f->queue, ISSUER_1, 0));
	assert_true(queue_bind_endpoint(f->queue, 1, "other", true));
	assert_true(queue_bind_issuer(f->queue, ISSUER_2, 1));
	assert_true(queue_bind_source(f->queue, 0, "lyon", "/srv/lyon/in"));
	commit(f);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	snprintf(f->folder, sizeof(f->folder), "/tmp/trackbridge-queue-XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/queue.db", f->folder);
	f->now = INT64_C(1800000000000);
	f->wall = f->now + 7;
	*state = f;
	return 0;
}

static inline int fixture_setup_open(void **state)
{
	if (fixture_setup(state) < 0)
		return -1;
	fixture_open(*state);
	return 0;
}

static inline int fixture_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	queue_close(f->queue);
	nftw(f->folder, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

/* The daemon ends in the middle of whatever it does, and starts again. */
static inline void fixture_restart(struct fixture *f)
{
	int64_t rows;

	queue_close(f->queue);
	fixture_open(f);
	assert_true(queue_recover(f->queue, HOUR, f->now, f->wall, &rows));
	commit(f);
}

static inline int64_t record_manifest(struct fixture *f, int64_t *ret_duplicate_of)
{
	uint8_t sha256[32] = { 0 };
	char name[40];
	struct queue_manifest_new as = {
		.name = name, .sha256 = sha256, .bytes = 100, .device = 1, .inode = 2, .mtime_ns = 3, .wall_ms = f->wall
	};
	int64_t manifest = 0, duplicate_of = 0;

	f->n_files++;
	snprintf(name, sizeof(name), "file%lld.csv", (long long)f->n_files);
	memcpy(sha256, &f->n_files, sizeof(f->n_files));
	assert_true(queue_manifest_record(f->queue, &as, &manifest, &duplicate_of));
	if (ret_duplicate_of)
		*ret_duplicate_of = duplicate_of;
	return manifest;
}

static inline bool try_add_row(struct fixture *f, int64_t manifest, const char *word, enum row_state *ret_state)
{
	char card[64], site[16] = "Lyon", *rest;
	const char *issuer = ISSUER_1;
	struct queue_row_new row = { .state = ROW_QUEUED, .event = 1000000 + f->own_event++ };

	if (word[0] == '!' || word[0] == '~') {
		row.state = word[0] == '!' ? ROW_REJECTED : ROW_SKIPPED;
		word++;
	}
	snprintf(card, sizeof(card), "%s", word);
	if ((rest = strchr(card, '@'))) {
		issuer = rest[1] == '2' ? ISSUER_2 : ISSUER_1;
		*rest = '\0';
	}
	if ((rest = strchr(card, '/'))) {
		snprintf(site, sizeof(site), "%s", rest + 1);
		*rest = '\0';
	}
	if ((rest = strchr(card, '.'))) {
		row.event = strtoll(rest + 1, NULL, 10);
		*rest = '\0';
	}
	row.line = f->own_event + 1;
	row.request = (struct track_request){
		.issuer_id = issuer,
		.card_id = card,
		.type = TRACK_PRODUCTION,
		.production_site = site,
	};
	if (row.state == ROW_REJECTED) {
		row.byte_offset = 40 * f->own_event;
		row.byte_length = 39;
		row.column = "SITE";
		row.reason = "must not be so";
	}
	return queue_row_add(f->queue, manifest, &row, f->wall, ret_state);
}

static inline enum row_state add_row(struct fixture *f, int64_t manifest, const char *word)
{
	enum row_state became = ROW_N_STATES;

	assert_true(try_add_row(f, manifest, word, &became));
	return became;
}

static inline void add_rows(struct fixture *f, int64_t manifest, const char *rows)
{
	char word[64];

	for (; *rows; rows += rows[0] == ' ') {
		int length = (int)strcspn(rows, " ");

		snprintf(word, sizeof(word), "%.*s", length, rows);
		add_row(f, manifest, word);
		rows += length;
	}
	assert_true(queue_manifest_progress(f->queue, manifest, 40 * f->own_event, f->own_event + 1));
}

/* n rows of as many new cards. */
static inline void add_many(struct fixture *f, int64_t manifest, int n, const char *suffix)
{
	char word[48];

	for (int i = 0; i < n; i++) {
		snprintf(word, sizeof(word), "C%lld%s", (long long)f->own_event, suffix);
		add_row(f, manifest, word);
	}
	assert_true(queue_manifest_progress(f->queue, manifest, 40 * f->own_event, f->own_event + 1));
}

static inline int64_t loading_manifest(struct fixture *f, const char *rows)
{
	int64_t manifest = record_manifest(f, NULL);

	add_rows(f, manifest, rows);
	commit(f);
	return manifest;
}

static inline void release(struct fixture *f, int64_t manifest)
{
	assert_true(queue_manifest_release(f->queue, manifest, f->now, f->wall, NULL));
	commit(f);
}

static inline int64_t load(struct fixture *f, const char *rows)
{
	int64_t manifest = loading_manifest(f, rows);

	release(f, manifest);
	return manifest;
}

static inline int64_t load_many(struct fixture *f, int n, const char *suffix)
{
	int64_t manifest = record_manifest(f, NULL);

	add_many(f, manifest, n, suffix);
	release(f, manifest);
	return manifest;
}

/* Claims without a commit. Claimed rows stand in f->room, and f->claims points to them. */
static inline size_t claim_only(struct fixture *f, int endpoint, size_t most)
{
	for (size_t i = 0; i < MOST_CLAIMS; i++)
		f->claims[i] = &f->room[i];
	f->n_claims = 99;
	assert_true(queue_claim(f->queue, endpoint, most, f->now, f->wall, f->claims, &f->n_claims));
	return f->n_claims;
}

static inline size_t claim(struct fixture *f, int endpoint, size_t most)
{
	claim_only(f, endpoint, most);
	commit(f);
	return f->n_claims;
}

static inline int fixture_by_row(const void *a, const void *b)
{
	const struct queue_claim *const *one = a, *const *other = b;

	return (one[0]->row > other[0]->row) - (one[0]->row < other[0]->row);
}

/* Claims, and shows the claimed rows' cards by row; which manifest's turn it is, is not looked at. */
static inline const char *claimed_cards(struct fixture *f, int endpoint, size_t most)
{
	static char cards[MOST_CLAIMS * 50];

	claim(f, endpoint, most);
	qsort(f->claims, f->n_claims, sizeof(f->claims[0]), fixture_by_row);
	cards[0] = '\0';
	for (size_t i = 0; i < f->n_claims; i++)
		snprintf(cards + strlen(cards), sizeof(cards) - strlen(cards), "%s%s", i ? " " : "", f->claims[i]->request.card_id);
	return cards;
}

struct answer {
	enum track_outcome outcome;
	int status;
	const char *code;
	int64_t due, give_up_after;
};

static inline bool try_record(struct fixture *f, const struct queue_claim *claim, const struct answer *answer, enum row_state *ret_state,
			      bool *ret_paused)
{
	struct track_verdict verdict = { .outcome = answer->outcome };
	struct queue_result result = {
		.claim = claim,
		.endpoint = strcmp(claim->request.issuer_id, ISSUER_2) == 0,
		.verdict = &verdict,
		.http_status = answer->status,
		.due_ms = answer->due ? answer->due : f->now,
		.give_up_after_ms = answer->give_up_after ? answer->give_up_after : 72 * HOUR,
		.now_ms = f->now,
		.wall_ms = f->wall,
	};
	enum row_state state = ROW_N_STATES;
	bool paused = false;

	if (answer->outcome == TRACK_ACCEPTED)
		snprintf(verdict.operation_id, sizeof(verdict.operation_id), "op-%lld", (long long)claim->row);
	snprintf(verdict.error_code, sizeof(verdict.error_code), "%s", answer->code ? answer->code : "");
	if (!queue_record(f->queue, &result, &state, &paused))
		return false;
	if (ret_state)
		*ret_state = state;
	if (ret_paused)
		*ret_paused = paused;
	return true;
}

/* Records without a commit. */
static inline enum row_state record(struct fixture *f, const struct queue_claim *claim, const struct answer *answer, bool *ret_paused)
{
	enum row_state state = ROW_N_STATES;

	assert_true(try_record(f, claim, answer, &state, ret_paused));
	return state;
}

static const struct answer accepted = { .outcome = TRACK_ACCEPTED, .status = 202 };
static const struct answer refused = { .outcome = TRACK_REFUSED, .status = 400, .code = "BAD" };
static const struct answer in_doubt = { .outcome = TRACK_IN_DOUBT };

static inline enum row_state answer_one(struct fixture *f, size_t i, const struct answer *answer)
{
	enum row_state state = record(f, f->claims[i], answer, NULL);

	commit(f);
	return state;
}

static inline void answer_all(struct fixture *f, const struct answer *answer)
{
	for (size_t i = 0; i < f->n_claims; i++)
		record(f, f->claims[i], answer, NULL);
	commit(f);
}

/* What an operator's command will do: the row's state and its manifest's counts, behind the queue's back. */
static inline void put_into(struct fixture *f, int64_t row, enum row_state to)
{
	const char *from = state_of(f, row);
	char sql[400];

	if (strcmp(from, queue_state_name(to)) == 0)
		return;
	snprintf(sql, sizeof(sql),
		 "UPDATE manifest SET %s = %s - 1, %s = %s + 1 WHERE manifest_id = (SELECT manifest_id FROM row WHERE row_id = %lld);"
		 "UPDATE row SET state = %d, due = NULL, behind = NULL, attempts = 1, correlation = 1 WHERE row_id = %lld",
		 from, from, queue_state_name(to), queue_state_name(to), (long long)row, (int)to, (long long)row);
	fixture_exec(f, sql);
}
