#include "queue/chain.h"
#include "queue/internal.h"
#include "queue/order.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/*
 * QUANTUM: rows taken from one manifest before the next one's turn. PASS: rows that a lane passes at most in one claim, so that a long
 * stretch of rows that cannot go (rejected, duplicate, of another issuer) stalls nothing.
 */
enum { QUANTUM = 8, PASS = 2000 };

static const char *keep(struct queue_claim *claim, size_t *used, sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);
	size_t length = (size_t)sqlite3_column_bytes(statement, column) + 1;
	char *kept = claim->strings + *used;

	if (!text)
		return NULL;
	if (*used + length > sizeof(claim->strings))
		abort(); /* longer than the rules allow that every queued row has passed */
	memcpy(kept, text, length);
	*used += length;
	return kept;
}

static void read_claim(sqlite3_stmt *statement, int64_t manifest, struct queue_claim *ret_claim)
{
	size_t used = 0;

	ret_claim->row = sqlite3_column_int64(statement, 0);
	ret_claim->manifest = manifest;
	ret_claim->attempts = sqlite3_column_int64(statement, 1) + 1;
	ret_claim->forbidden = sqlite3_column_int(statement, 2);
	ret_claim->give_up = sqlite3_column_int64(statement, 3);
	ret_claim->last_status = sqlite3_column_int(statement, 12);
	ret_claim->request = (struct track_request){
		.issuer_id = keep(ret_claim, &used, statement, 4),
		.card_id = keep(ret_claim, &used, statement, 5),
		.type = (enum track_type)sqlite3_column_int(statement, 6),
		.production_site = keep(ret_claim, &used, statement, 7),
		.tracking_number = keep(ret_claim, &used, statement, 8),
		.postal_code = keep(ret_claim, &used, statement, 9),
		.country_code = keep(ret_claim, &used, statement, 10),
		.shipment_date = sqlite3_column_int64(statement, 11),
	};
}

/* Rows that the lane passed earlier and whose time has come. */
static bool find_due(struct queue *queue, struct lane *lane, size_t most, int64_t now_ms, struct queue_claim *const *ret_claims,
		     size_t *ret_n)
{
	sqlite3_stmt *statement = db_use(&queue->db, CLAIM_DUE, "iiii", lane->manifest, lane->issuer, now_ms, (int64_t)most);
	size_t n = 0;

	while (n < most && db_row(&queue->db, statement))
		read_claim(statement, lane->manifest, ret_claims[n++]);
	sqlite3_reset(statement);
	*ret_n = n;
	return db_healthy(&queue->db);
}

/* Rows that were never passed, from next_row on. */
static bool find_fresh(struct queue *queue, struct lane *lane, size_t most, struct queue_claim *const *ret_claims, size_t *ret_n)
{
	int64_t end = lane->last_row - lane->next_row < PASS ? lane->last_row : lane->next_row + PASS - 1;
	sqlite3_stmt *statement = db_use(&queue->db, CLAIM_FRESH, "iiii", lane->next_row, end, lane->issuer, (int64_t)most);
	size_t n = 0;

	while (n < most && db_row(&queue->db, statement))
		read_claim(statement, lane->manifest, ret_claims[n++]);
	sqlite3_reset(statement);
	if (!db_healthy(&queue->db))
		return false;
	lane->next_row = n == most ? ret_claims[n - 1]->row + 1 : end + 1;
	lane->moved = true;
	*ret_n = n;
	return true;
}

static bool draw_correlations(struct queue *queue, struct queue_claim *const *claims, size_t n)
{
	uint64_t drawn[QUANTUM];
	ssize_t got;

	do
		got = getrandom(drawn, n * sizeof(drawn[0]), 0);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)(n * sizeof(drawn[0])))
		return queue_bug(queue, "the kernel gives no random numbers");
	for (size_t i = 0; i < n; i++)
		claims[i]->correlation = drawn[i];
	return true;
}

static bool take(struct queue *queue, struct lane *lane, struct queue_claim *claim, int64_t wall_ms)
{
	struct db *db = &queue->db;

	(void)lane;
	claim->sent_at = wall_ms;
	if (claim->attempts > 1 && db_change(db, db_use(db, ATTEMPT_KEEP, "i", claim->row)) != 1)
		return false;
	return queue_change(queue, db_use(db, CLAIM, "iiii", claim->row, claim->attempts, (int64_t)claim->correlation, wall_ms),
			    claim->manifest, ROW_QUEUED, ROW_SENDING);
}

/* Rows that were put back have every other place: if they are put back again and again, they must not hold up the rest, and what becomes of
 * them alone says little about the endpoint. */
static size_t share_of_due(struct lane *lane, size_t most)
{
	lane->due_next = !lane->due_next;
	return (most + lane->due_next) / 2;
}

static bool claim_from(struct queue *queue, struct lane *lane, size_t most, int64_t now_ms, int64_t wall_ms,
		       struct queue_claim *const *ret_claims, size_t *ret_n)
{
	size_t n = 0, fresh = 0;
	bool due = lane->next_due <= now_ms, untried = lane->next_row <= lane->last_row;

	if (due && !find_due(queue, lane, untried ? share_of_due(lane, most) : most, now_ms, ret_claims, &n))
		return false;
	if (n < most && untried && !find_fresh(queue, lane, most - n, ret_claims + n, &fresh))
		return false;
	n += fresh;
	if (!draw_correlations(queue, ret_claims, n))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!take(queue, lane, ret_claims[i], wall_ms))
			return false;
	}
	if (due && !queue_lane_look_again(queue, lane))
		return false;
	*ret_n = n;
	return true;
}

bool queue_lane_has_something(const struct lane *lane, int endpoint, int64_t now_ms)
{
	return lane->endpoint == endpoint && !lane->paused && (lane->next_row <= lane->last_row || lane->next_due <= now_ms);
}

static bool is_its_turn(const struct queue_bound_endpoint *e, const struct lane *lane)
{
	return lane->manifest == e->turn_manifest && lane->issuer == e->turn_issuer;
}

/* A turn for which there was no room goes on with the next claim, else whoever meets little room has small turns. */
static void go_round(struct queue_bound_endpoint *e, const struct lane *lane, size_t left, size_t got, bool more)
{
	bool over = got == left || !more;

	e->turn_manifest = lane->manifest;
	e->turn_issuer = lane->issuer + over;
	e->turn_rows = over ? 0 : QUANTUM - left + got;
}

bool queue_claim(struct queue *queue, int endpoint, size_t most, int64_t now_ms, int64_t wall_ms, struct queue_claim *const *ret_claims,
		 size_t *ret_n)
{
	struct queue_bound_endpoint *e = &queue->endpoints[endpoint];
	size_t n = 0, without = 0;

	*ret_n = 0;
	/* What it is going to hold or cancel must not slip out meanwhile. */
	if (queue_order_stops_sending(queue))
		return true;
	while (n < most && without < queue->n_lanes) {
		struct lane *lane = &queue->lanes[queue_lane_from(queue, e->turn_manifest, e->turn_issuer)];
		size_t left = QUANTUM - (is_its_turn(e, lane) ? e->turn_rows : 0), share = most - n < left ? most - n : left, got = 0;

		if (queue_lane_has_something(lane, endpoint, now_ms) &&
		    !claim_from(queue, lane, share, now_ms, wall_ms, ret_claims + n, &got))
			return false;
		without = got ? 0 : without + 1;
		n += got;
		go_round(e, lane, left, got, got == share);
	}
	*ret_n = n;
	return true;
}

/* Counts refusals running with the same status and code; the 20th pauses the manifest: a wrong column is one mistake, not 50,000. */
static bool count_refusal(struct queue *queue, const struct queue_result *result, enum row_state to, bool *ret_paused)
{
	struct lane *lane = queue_lane(queue, result->claim->manifest, 0);
	const char *code = result->verdict->error_code;
	char reason[256];

	if (!lane || lane->paused || to == ROW_QUEUED)
		return true;
	if (to != ROW_REFUSED) {
		lane->refusals = 0;
		return true;
	}
	if (lane->refusals && (lane->refusal_status != result->http_status || strcmp(lane->refusal_code, code) != 0))
		lane->refusals = 0;
	lane->refusal_status = result->http_status;
	snprintf(lane->refusal_code, sizeof(lane->refusal_code), "%s", code);
	if (++lane->refusals < QUEUE_REFUSALS_RUNNING)
		return true;
	lane->refusals = 0;
	snprintf(reason, sizeof(reason), "%d rows running were refused with %d%s%s", QUEUE_REFUSALS_RUNNING, result->http_status,
		 code[0] ? " " : "", code);
	if (!queue_lanes_pause(queue, lane->manifest, "refusals", reason, result->now_ms))
		return false;
	*ret_paused = true;
	return true;
}

bool queue_record(struct queue *queue, const struct queue_result *result, enum row_state *ret_state, bool *ret_paused)
{
	static const enum row_state states[] = {
		[TRACK_ACCEPTED] = ROW_ACCEPTED,
		[TRACK_REFUSED] = ROW_REFUSED,
		[TRACK_IN_DOUBT] = ROW_IN_DOUBT,
		[TRACK_BACK] = ROW_QUEUED,
	};
	const struct track_verdict *v = result->verdict;
	const struct queue_claim *claim = result->claim;
	const struct queue_issuer *issuer = queue_issuer_of(queue, claim->request.issuer_id);
	struct db *db = &queue->db;
	enum row_state to = states[v->outcome];
	const struct lane *lane = issuer ? queue_lane(queue, claim->manifest, issuer->number) : NULL;
	bool stands = lane && lane->paused && lane->paused_clock >= 0;
	int64_t clock = stands ? lane->paused_clock : queue_clock(queue, result->endpoint, result->now_ms);
	int64_t give_up = claim->give_up;
	bool paused = false;

	if (to == ROW_QUEUED && !give_up)
		give_up = clock + result->give_up_after_ms;
	if (to == ROW_QUEUED && clock >= give_up)
		to = ROW_EXPIRED;
	/* Nobody sends it while it is in doubt: what is left. */
	if (to == ROW_IN_DOUBT && give_up)
		give_up = give_up != clock ? give_up - clock : -1; /* 0 is none */
	if (!queue_change(queue,
			  db_use(db, RECORD, "iiiztttizzi", claim->row, (int64_t)to, (int64_t)v->outcome, (int64_t)result->http_status,
				 v->error_code[0] ? v->error_code : NULL, v->detail[0] ? v->detail : NULL,
				 v->operation_id[0] ? v->operation_id : NULL, result->wall_ms,
				 to == ROW_QUEUED ? (result->due_ms ? result->due_ms : 1) : INT64_C(0), give_up,
				 (int64_t)claim->forbidden + result->forbidden),
			  claim->manifest, ROW_SENDING, to))
		return false;
	if (to == ROW_EXPIRED && db_change(db, db_use(db, ROW_SUPERSEDE, "i", claim->row)) != 1)
		return false;
	if (to == ROW_ACCEPTED)
		queue->endpoints[result->endpoint].accepted_at = result->wall_ms;
	if (to == ROW_QUEUED && issuer)
		queue_lane_due(queue, claim->manifest, issuer->number, result->due_ms);
	if (queue_is_open(to) ? !chain_row_back(queue, claim->row, result->now_ms)
			      : !chain_let_next_go(queue, claim->row, result->endpoint, result->now_ms))
		return false;
	if (!count_refusal(queue, result, to, &paused))
		return false;
	*ret_state = to;
	*ret_paused = paused;
	return true;
}

bool queue_unclaim(struct queue *queue, const struct queue_claim *claim, int64_t now_ms)
{
	const struct queue_issuer *issuer = queue_issuer_of(queue, claim->request.issuer_id);
	struct db *db = &queue->db;

	if (!queue_change(queue, db_use(db, UNCLAIM, "ii", claim->row, now_ms), claim->manifest, ROW_SENDING, ROW_QUEUED))
		return false;
	if (claim->attempts > 1 && (db_change(db, db_use(db, ATTEMPT_BACK, "ii", claim->row, claim->attempts - 1)) != 1 ||
				    db_change(db, db_use(db, ATTEMPT_DROP, "ii", claim->row, claim->attempts - 1)) != 1))
		return false;
	if (issuer)
		queue_lane_due(queue, claim->manifest, issuer->number, now_ms);
	return true;
}

bool queue_recover(struct queue *queue, int64_t longest_wait_ms, int64_t now_ms, int64_t wall_ms, int64_t *ret_rows)
{
	struct db *db = &queue->db;
	int64_t after = 0, rows = 0;
	sqlite3_stmt *statement;

	while (db_row(db, statement = db_use(db, SENDING_ROWS, "i", after))) {
		int64_t manifest = sqlite3_column_int64(statement, 1), endpoint = sqlite3_column_int64(statement, 2);
		int64_t clock = queue_clock(queue, queue_endpoint_of(queue, sqlite3_column_int64(statement, 3)), now_ms);
		bool resend = false;

		after = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
		for (int i = 0; i < QUEUE_MOST_ENDPOINTS; i++)
			resend = resend || (endpoint && queue->endpoints[i].number == endpoint && queue->endpoints[i].resend_unknown);
		if (!queue_change(queue,
				  db_use(db, RECOVER, "iiiizi", after, (int64_t)(resend ? ROW_QUEUED : ROW_IN_DOUBT),
					 (int64_t)(resend ? TRACK_BACK : TRACK_IN_DOUBT), wall_ms, resend ? now_ms : INT64_C(0), clock),
				  manifest, ROW_SENDING, resend ? ROW_QUEUED : ROW_IN_DOUBT) ||
		    !chain_row_back(queue, after, now_ms))
			return false;
		rows++;
	}
	if (!db_healthy(db))
		return false;
	for (size_t i = 0; i < queue->n_lanes; i++) {
		struct lane *lane = &queue->lanes[i];

		lane->endpoint = queue_endpoint_of(queue, lane->issuer);
		if (db_change(db, db_use(db, LANE_CLAMP, "iiiii", lane->manifest, lane->issuer, now_ms, longest_wait_ms, wall_ms)) < 0 ||
		    !queue_lane_look_again(queue, lane))
			return false;
	}
	if (db_change(db, db_use(db, ENDPOINTS_CLAMP, "iii", now_ms, longest_wait_ms, wall_ms)) < 0)
		return false;
	/* A receipt that could not be written is tried at once: somebody may have mended its directory. */
	if (db_change(db, db_use(db, ERRAND_RECEIPTS_AGAIN, "i", wall_ms)) < 0)
		return false;
	*ret_rows = rows;
	return true;
}
