/*
 * internal: what queue.c, manifest.c, errand.c, load.c, claim.c and figures.c share of the running queue. Nobody outside queue/ includes
 * it. Everything here but the handle can be rebuilt from the database, and is after a commit that failed.
 */
#pragma once

#include "queue/db.h"
#include "queue/queue.h"

enum { QUEUE_MOST_ENDPOINTS = 64, QUEUE_MOST_SOURCES = 256, QUEUE_MOST_ISSUERS = 1024 };
enum { CARD_PARTS = 4096 };

/* What this turn changes in the counts of one manifest. */
struct tally {
	int64_t manifest;
	int64_t rows, repeats;
	int64_t by_state[ROW_N_STATES];
};

/* An open manifest's rows of one issuer: where claiming stands. Sorted by manifest and issuer. */
struct lane {
	int64_t manifest;
	int64_t issuer;
	int endpoint; /* or -1 */
	int64_t next_row, last_row;
	int64_t next_due; /* of the rows it passed; INT64_MAX: none */
	bool paused;
	int64_t paused_clock; /* its endpoint's, when it was paused; -1: it is not, or had none */
	bool moved;           /* next_row is to be stored */
	bool due_next;        /* rows that were put back and rows never tried go in turn */
	int refusals;         /* running, with this status and code; counted in the manifest's first lane */
	int refusal_status;
	char refusal_code[TRACK_MOST_ERROR_CODE + 1];
};

/* Which cards have a row; see card.h. */
struct card_filter {
	uint64_t *words; /* NULL: no card */
	int parts;       /* of the key space, that are in it; CARD_PARTS: all */
};

struct queue_issuer {
	char issuer_id[64];
	int64_t number;
	int endpoint; /* or -1 */
};

struct queue_bound_endpoint {
	int64_t number; /* 0: not bound */
	bool resend_unknown;
	/* the clock by which rows give up */
	int64_t open_ms, open_since;
	bool open;
	int64_t stored_open_ms;
	int64_t accepted_at; /* wall clock of this turn's last 202; 0: none */
	/* whose turn it is (the first lane from this one on), and how many rows it had in it */
	int64_t turn_manifest, turn_issuer;
	size_t turn_rows;
};

struct queue {
	struct db db;
	int64_t next_row;
	struct card_filter cards;
	bool any_behind; /* some row waits for another one of its card */

	struct queue_bound_endpoint endpoints[QUEUE_MOST_ENDPOINTS];
	int64_t sources[QUEUE_MOST_SOURCES];
	struct queue_issuer issuers[QUEUE_MOST_ISSUERS];
	size_t n_issuers;

	bool restoring; /* in this turn */

	struct tally *tallies;
	size_t n_tallies, room_for_tallies;
	int64_t *settled; /* manifests, in this turn */
	size_t n_settled, room_for_settled;
	int64_t activity[ROW_N_STATES]; /* what came of rows that were sending, in this turn */
	int64_t activity_at;            /* the ten seconds that were counted in last */
	int64_t commits;
	sqlite3_stmt *figures; /* NULL: nobody has asked for figures yet */
	struct lane *lanes;
	size_t n_lanes, room_for_lanes;

	struct order *order; /* an operator's, under way; NULL: none */

	/* the manifest being loaded */
	int64_t loading;
	int64_t loading_first, loading_last; /* rows added in this turn; 0: none */
	int64_t loading_issuers[QUEUE_MOST_ISSUERS];
	size_t n_loading_issuers;
};

/*
 * queue_change is the one place where a row changes its state: it runs the statement (which names the old state itself), checks that the
 * step is one that the product allows and that it hit exactly one row, and keeps the counts. A guard that fails is a bug; it spoils the
 * turn and says so.
 */
bool queue_change(struct queue *queue, sqlite3_stmt *statement, int64_t manifest, enum row_state from, enum row_state to);

/* queue_count is for rows that come (from ROW_N_STATES) or change many at a time. */
void queue_count(struct queue *queue, int64_t manifest, enum row_state from, enum row_state to, int64_t n);

/* queue_count_repeat counts a row that repeats an accepted one with another request. */
void queue_count_repeat(struct queue *queue, int64_t manifest);

/* queue_store_activity writes what came of rows in this turn; at the end of it. */
bool queue_store_activity(struct queue *queue, int64_t wall_ms);

/* queue_note_settled is told that a manifest settled in this turn. */
void queue_note_settled(struct queue *queue, int64_t manifest);

/* queue_store_counts writes what was counted in this turn so far; queue_commit does it too. */
bool queue_store_counts(struct queue *queue);

/* queue_bug spoils the turn with ERROR_INTERNAL. Returns false. */
bool queue_bug(struct queue *queue, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* queue_issuer_of gives what is bound for an issuer, or NULL. */
const struct queue_issuer *queue_issuer_of(const struct queue *queue, const char *issuer_id);

/* queue_lanes_load reads the open lanes of one manifest, or of all (0), into memory. queue_lanes_forget drops a settled manifest's. */
bool queue_lanes_load(struct queue *queue, int64_t manifest);
bool queue_lanes_forget(struct queue *queue, int64_t manifest);
bool queue_lanes_store(struct queue *queue);

/* queue_lanes_pause stops a released manifest, for a reason that manifest_status.paused has; an earlier pause stays. */
bool queue_lanes_pause(struct queue *queue, int64_t manifest, const char *paused, const char *reason, int64_t now_ms);

/* queue_lanes_resume ends such a pause. */
bool queue_lanes_resume(struct queue *queue, int64_t manifest, int64_t now_ms);

/* queue_lane finds a lane in memory (issuer 0: the manifest's first), or NULL. */
struct lane *queue_lane(struct queue *queue, int64_t manifest, int64_t issuer);

/* queue_lane_from gives the index of the first lane from this one on, going round; there is one. */
size_t queue_lane_from(const struct queue *queue, int64_t manifest, int64_t issuer);

/* queue_lane_due is told that a row of the lane may go at due_ms; queue_lane_look_again asks the database when the next one may. */
void queue_lane_due(struct queue *queue, int64_t manifest, int64_t issuer, int64_t due_ms);
bool queue_lane_look_again(struct queue *queue, struct lane *lane);

/* queue_lane_has_something tells whether claiming would look at the lane now. */
bool queue_lane_has_something(const struct lane *lane, int endpoint, int64_t now_ms);

/* queue_order_load takes up the order that the database has, if it has one; queue_order_drop forgets what is in memory. */
bool queue_order_load(struct queue *queue);
void queue_order_drop(struct queue *queue);

/* queue_endpoint_of gives the index of the endpoint that an issuer's number is bound to, or -1. */
int queue_endpoint_of(const struct queue *queue, int64_t issuer);

/* queue_is_open: a row of this state is unfinished, and holds back later rows of its card. */
bool queue_is_open(enum row_state state);

/* queue_clock reads an endpoint's clock of open time; -1 for no endpoint (-1). */
int64_t queue_clock(const struct queue *queue, int endpoint, int64_t now_ms);

/* queue_restore puts the rows of a marked copy on hold and pauses its endpoints, all in the turn that it opens. Nothing, where there is no
 * mark. */
bool queue_restore(struct queue *queue);
