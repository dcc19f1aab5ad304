#include "queue/queue.h"

#include "base/clock.h"
#include "queue/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *queue_state_name(enum row_state state)
{
	static const char *const names[ROW_N_STATES] = {
		[ROW_QUEUED] = "queued",     [ROW_SENDING] = "sending",     [ROW_ACCEPTED] = "accepted", [ROW_REFUSED] = "refused",
		[ROW_IN_DOUBT] = "in_doubt", [ROW_HELD] = "held",           [ROW_EXPIRED] = "expired",   [ROW_CANCELLED] = "cancelled",
		[ROW_REJECTED] = "rejected", [ROW_DUPLICATE] = "duplicate", [ROW_SKIPPED] = "skipped",
	};

	return state < ROW_N_STATES ? names[state] : "?";
}

/* From which state to which others: the product's table of states. */
static const unsigned allowed[ROW_N_STATES] = {
#define TO(state) (1u << (state))
	[ROW_QUEUED] = TO(ROW_SENDING) | TO(ROW_HELD) | TO(ROW_CANCELLED) | TO(ROW_REJECTED),
	[ROW_SENDING] = TO(ROW_ACCEPTED) | TO(ROW_REFUSED) | TO(ROW_IN_DOUBT) | TO(ROW_QUEUED) | TO(ROW_EXPIRED),
	[ROW_REFUSED] = TO(ROW_QUEUED),
	[ROW_IN_DOUBT] = TO(ROW_ACCEPTED) | TO(ROW_QUEUED),
	[ROW_HELD] = TO(ROW_QUEUED) | TO(ROW_CANCELLED),
	[ROW_EXPIRED] = TO(ROW_QUEUED),
	[ROW_DUPLICATE] = TO(ROW_QUEUED) | TO(ROW_REJECTED),
	[ROW_SKIPPED] = TO(ROW_REJECTED),
#undef TO
};

bool queue_bug(struct queue *queue, const char *format, ...)
{
	struct error err = { .code = ERROR_INTERNAL };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(err.text, sizeof(err.text), format, arguments);
	va_end(arguments);
	db_spoil(&queue->db, &err);
	return false;
}

static struct tally *tally_of(struct queue *queue, int64_t manifest)
{
	for (size_t i = queue->n_tallies; i > 0; i--) {
		if (queue->tallies[i - 1].manifest == manifest)
			return &queue->tallies[i - 1];
	}
	if (queue->n_tallies == queue->room_for_tallies) {
		queue->room_for_tallies = queue->room_for_tallies ? 2 * queue->room_for_tallies : 16;
		queue->tallies = xrealloc_array(queue->tallies, queue->room_for_tallies, sizeof(*queue->tallies));
	}
	queue->tallies[queue->n_tallies] = (struct tally){ .manifest = manifest };
	return &queue->tallies[queue->n_tallies++];
}

bool queue_is_open(enum row_state state)
{
	return state == ROW_QUEUED || state == ROW_SENDING || state == ROW_HELD || state == ROW_IN_DOUBT;
}

void queue_count(struct queue *queue, int64_t manifest, enum row_state from, enum row_state to, int64_t n)
{
	struct tally *tally = tally_of(queue, manifest);

	if (from == ROW_N_STATES)
		tally->rows += n;
	else
		tally->by_state[from] -= n;
	tally->by_state[to] += n;
}

void queue_count_repeat(struct queue *queue, int64_t manifest)
{
	tally_of(queue, manifest)->repeats++;
}

bool queue_change(struct queue *queue, sqlite3_stmt *statement, int64_t manifest, enum row_state from, enum row_state to)
{
	int changed;

	if (!(allowed[from] & 1u << to))
		return queue_bug(queue, "manifest %lld: no row may go from %s to %s", (long long)manifest, queue_state_name(from),
				 queue_state_name(to));
	changed = db_change(&queue->db, statement);
	if (changed < 0)
		return false;
	if (changed != 1)
		return queue_bug(queue, "manifest %lld: a row that should have been %s was not", (long long)manifest,
				 queue_state_name(from));
	queue_count(queue, manifest, from, to, 1);
	if (from == ROW_SENDING)
		queue->activity[to]++;
	return true;
}

/* Reads from the database what is kept in memory. A marked copy is changed first, in the turn that is then open. */
static bool rebuild(struct queue *queue)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement;

	queue->n_tallies = 0;
	memset(queue->activity, 0, sizeof(queue->activity));
	queue->activity_at = 0;
	queue->n_lanes = 0;
	queue->loading = 0;
	queue->loading_first = 0;
	queue->n_loading_issuers = 0;
	for (int i = 0; i < QUEUE_MOST_ENDPOINTS; i++) {
		queue->endpoints[i].accepted_at = 0;
		queue->endpoints[i].stored_open_ms = 0; /* whatever it is: the next change stores it again */
	}

	statement = db_use(db, ROW_LAST, "");
	if (!db_row(db, statement))
		return false;
	queue->next_row = sqlite3_column_int64(statement, 0) + 1;
	sqlite3_reset(statement);
	statement = db_use(db, ROW_ANY_BEHIND, "");
	if (!db_row(db, statement))
		return false;
	queue->any_behind = sqlite3_column_int(statement, 0) != 0;
	sqlite3_reset(statement);
	return queue_restore(queue) && queue_lanes_load(queue, 0) && queue_order_load(queue);
}

bool queue_open(const char *path, struct queue **ret_queue, struct error *err)
{
	struct queue *queue = xcalloc(1, sizeof(*queue));

	if (!db_open(&queue->db, path, err)) {
		free(queue);
		return false;
	}
	if (!rebuild(queue)) {
		*err = queue->db.why;
		queue_close(queue);
		return false;
	}
	*ret_queue = queue;
	return true;
}

void queue_close(struct queue *queue)
{
	if (!queue)
		return;
	queue_order_drop(queue);
	sqlite3_finalize(queue->figures);
	db_close(&queue->db);
	free(queue->cards.words);
	free(queue->tallies);
	free(queue->settled);
	free(queue->lanes);
	free(queue);
}

bool queue_in_turn(const struct queue *queue)
{
	return queue->db.in_turn || queue->db.spoiled;
}

void queue_spoil(struct queue *queue, const struct error *err)
{
	db_spoil(&queue->db, err);
}

bool queue_store_counts(struct queue *queue)
{
	struct db *db = &queue->db;

	for (size_t i = 0; i < queue->n_tallies; i++) {
		struct tally *t = &queue->tallies[i];
		const int64_t *n = t->by_state;

		if (db_change(db, db_use(db, MANIFEST_TALLY, "iiiiiiiiiiiiii", t->manifest, t->rows, n[0], n[1], n[2], n[3], n[4], n[5],
					 n[6], n[7], n[8], n[9], n[10], t->repeats)) < 0)
			return false;
		/* The manifest stays in the list: at the end of the turn it is looked at whether it has settled. */
		*t = (struct tally){ .manifest = t->manifest };
	}
	return true;
}

/* A manifest without an open row is settled, in the same commit that closed its last row. */
static bool settle(struct queue *queue)
{
	struct db *db = &queue->db;

	for (size_t i = 0; i < queue->n_tallies; i++) {
		int64_t manifest = queue->tallies[i].manifest;
		int settled = db_change(db, db_use(db, MANIFEST_SETTLE, "ii", manifest, clock_wall_ms()));

		if (settled > 0)
			queue_note_settled(queue, manifest);
		if (settled < 0 || (settled > 0 && !queue_lanes_forget(queue, manifest)))
			return false;
	}
	queue->n_tallies = 0;
	return true;
}

static bool store_endpoints(struct queue *queue)
{
	struct db *db = &queue->db;

	for (int i = 0; i < QUEUE_MOST_ENDPOINTS; i++) {
		struct queue_bound_endpoint *e = &queue->endpoints[i];

		if (e->accepted_at && db_change(db, db_use(db, ENDPOINT_SEEN, "ii", e->number, e->accepted_at)) < 0)
			return false;
		e->accepted_at = 0;
	}
	return true;
}

bool queue_commit(struct queue *queue, struct error *err)
{
	bool committed;

	queue->n_settled = 0;
	if (!queue_in_turn(queue))
		return true;
	/* What cannot be stored spoils the turn, and db_commit says so. */
	(void)(queue_store_counts(queue) && queue_lanes_store(queue) && settle(queue) && store_endpoints(queue) &&
	       queue_store_activity(queue, clock_wall_ms()));
	committed = db_commit(&queue->db, err);
	if (committed) {
		queue->commits++;
		queue->restoring = false;
		queue->loading_first = 0;
		return true;
	}
	queue->n_settled = 0;
	/* Where even reading fails, nothing in memory can be trusted: no lane is open, and the next turn is spoiled until one can rebuild.
	 */
	if (!rebuild(queue))
		queue->n_lanes = 0;
	return false;
}

bool queue_bind_endpoint(struct queue *queue, int endpoint, const char *name, bool resend_unknown)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement;
	int bound;

	if (endpoint < 0 || endpoint >= QUEUE_MOST_ENDPOINTS)
		return queue_bug(queue, "more than %d endpoints", QUEUE_MOST_ENDPOINTS);
	/* The first endpoint begins the binding: an issuer that no endpoint has today has none. */
	if (endpoint == 0 && db_change(db, db_use(db, ISSUERS_UNBIND, "")) < 0)
		return false;
	bound = db_change(db, db_use(db, ENDPOINT_BIND, "t", name));
	/* One that the copy did not know yet waits as well. */
	if (bound < 0 || (bound && queue->restoring && db_change(db, db_use(db, RESTORE_ENDPOINTS, "")) < 0))
		return false;
	statement = db_use(db, ENDPOINT_FIND, "t", name);
	if (!db_row(db, statement))
		return false;
	queue->endpoints[endpoint] = (struct queue_bound_endpoint){
		.number = sqlite3_column_int64(statement, 0),
		.resend_unknown = resend_unknown,
		.open_ms = sqlite3_column_int64(statement, 1),
		.stored_open_ms = sqlite3_column_int64(statement, 1),
	};
	sqlite3_reset(statement);
	return true;
}

bool queue_bind_issuer(struct queue *queue, const char *issuer_id, int endpoint)
{
	struct db *db = &queue->db;
	struct queue_issuer *issuer = &queue->issuers[queue->n_issuers];
	sqlite3_stmt *statement;

	if (queue->n_issuers == QUEUE_MOST_ISSUERS || strlen(issuer_id) >= sizeof(issuer->issuer_id))
		return queue_bug(queue, "more than %d issuers, or one that is too long", QUEUE_MOST_ISSUERS);
	if (db_change(db, db_use(db, ISSUER_BIND, "ti", issuer_id, queue->endpoints[endpoint].number)) < 0)
		return false;
	statement = db_use(db, ISSUER_FIND, "t", issuer_id);
	if (!db_row(db, statement))
		return false;
	issuer->number = sqlite3_column_int64(statement, 0);
	issuer->endpoint = endpoint;
	memcpy(issuer->issuer_id, issuer_id, strlen(issuer_id) + 1);
	sqlite3_reset(statement);
	queue->n_issuers++;
	return true;
}

const struct queue_issuer *queue_issuer_of(const struct queue *queue, const char *issuer_id)
{
	for (size_t i = 0; i < queue->n_issuers; i++) {
		if (strcmp(queue->issuers[i].issuer_id, issuer_id) == 0)
			return &queue->issuers[i];
	}
	return NULL;
}

bool queue_bind_source(struct queue *queue, int source, const char *name, const char *drop_directory)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement;

	if (source < 0 || source >= QUEUE_MOST_SOURCES)
		return queue_bug(queue, "more than %d sources", QUEUE_MOST_SOURCES);
	if (db_change(db, db_use(db, SOURCE_BIND, "tti", name, drop_directory, clock_wall_ms())) < 0)
		return false;
	statement = db_use(db, SOURCE_FIND, "t", name);
	if (!db_row(db, statement))
		return false;
	queue->sources[source] = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	return true;
}

bool queue_source_since(struct queue *queue, int source, int64_t *ret_wall_ms)
{
	sqlite3_stmt *statement = db_use(&queue->db, SOURCE_SINCE, "i", queue->sources[source]);

	if (!db_row(&queue->db, statement))
		return false;
	*ret_wall_ms = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	return true;
}

bool queue_source_store(struct queue *queue, int source, const char *state, const char *reason, int64_t waiting_files)
{
	struct db *db = &queue->db;

	return db_change(db, db_use(db, SOURCE_STORE, "itti", queue->sources[source], state, reason, waiting_files)) >= 0;
}

bool queue_action_log(struct queue *queue, const struct queue_action *action)
{
	struct db *db = &queue->db;

	return db_change(db, db_use(db, ACTION_LOG, "itittit", action->wall_ms, action->user, action->uid, action->action, action->selector,
				    action->rows, action->reason)) == 1;
}

bool queue_counts(struct queue *queue, struct queue_counts *ret_counts)
{
	sqlite3_stmt *statement = db_use(&queue->db, COUNTS, "");
	struct queue_counts counts = { 0 };

	if (!db_row(&queue->db, statement))
		return false;
	counts.rows = sqlite3_column_int64(statement, 0);
	for (int i = 0; i < ROW_N_STATES; i++)
		counts.by_state[i] = sqlite3_column_int64(statement, i + 1);
	counts.manifests_loading = sqlite3_column_int64(statement, 12);
	counts.manifests_released = sqlite3_column_int64(statement, 13);
	counts.manifests_rejected = sqlite3_column_int64(statement, 14);
	sqlite3_reset(statement);
	*ret_counts = counts;
	return true;
}
