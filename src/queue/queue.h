/*
 * queue: every manifest and every row with its state, in one SQLite file. All SQL of the program is in this folder.
 *
 * The turn: the first function that changes something opens the turn's transaction; queue_commit ends it, synced. Whoever wants to do
 * something outside the process (send, unlink, publish) does it after queue_commit said true, and never before. A change that fails spoils
 * the whole turn: queue_commit then rolls back, says why, and rebuilds what is kept in memory from the disk.
 *
 * States change in one guarded place and the counts of each manifest with them, in the same transaction. One process has a writing queue;
 * readers use queue_read_*. Times are ms since 1970: now_ms is clock_steady_ms (waiting), wall_ms is clock_wall_ms (records).
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "track/request.h"
#include "track/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum row_state {
	ROW_QUEUED,
	ROW_SENDING,
	ROW_ACCEPTED,
	ROW_REFUSED,
	ROW_IN_DOUBT,
	ROW_HELD,
	ROW_EXPIRED,
	ROW_CANCELLED,
	ROW_REJECTED,
	ROW_DUPLICATE,
	ROW_SKIPPED,
	ROW_N_STATES,
};

enum {
	QUEUE_SCHEMA_APPLICATION = 0x74726b62, /* "trkb": PRAGMA application_id */
	QUEUE_REFUSALS_RUNNING = 20,           /* with the same status and code: the manifest is paused */
	QUEUE_REPEATS = 20,                    /* rows that look like those of a changed mapping */
	QUEUE_MOST_WHY = 128,                  /* bytes of why something is declined */
	QUEUE_MOST_STRINGS = 512,              /* bytes of the strings of one request */
	QUEUE_WAL_MOST = 64 * 1024 * 1024,     /* bytes of a WAL that only a reader can have made so large: people are told */
};

struct queue;

const char *queue_state_name(enum row_state state);

/*
 * queue_open opens or makes the database for writing, applies missing migrations in one transaction and gives next numbers. A database that
 * a newer version wrote, or that is none of ours, is refused untouched (ERROR_DATA). The caller holds the lock of the state directory.
 */
bool queue_open(const char *path, struct queue **ret_queue, struct error *err);
void queue_close(struct queue *queue);

/* queue_in_turn tells whether something was changed since the last commit. queue_commit makes it durable; true where nothing was to be
 * done. */
bool queue_in_turn(const struct queue *queue);
bool queue_commit(struct queue *queue, struct error *err);

/* queue_spoil makes this turn fail: somebody outside found that what was written must not become durable. */
void queue_spoil(struct queue *queue, const struct error *err);

/* Configuration as the queue needs it. Indexes are the caller's own (config's order); numbers are the database's. Call each once after
 * opening, then queue_recover. */
bool queue_bind_endpoint(struct queue *queue, int endpoint, const char *name, bool resend_unknown);
bool queue_bind_issuer(struct queue *queue, const char *issuer_id, int endpoint);
bool queue_bind_source(struct queue *queue, int source, const char *name, const char *drop_directory);

/* queue_recover settles what a crash left: rows still sending become in_doubt (detail `crash`), or queued where their endpoint resends. It
 * also settles what a clock left that was put back since: what would wait longer than longest_wait_ms, which nothing is ever told to, is
 * due now, and so is a row whose last answer is yet to come, and an endpoint's pause where anything in the database is. ret_rows: how many
 * were sending. */
bool queue_recover(struct queue *queue, int64_t longest_wait_ms, int64_t now_ms, int64_t wall_ms, int64_t *ret_rows);

/* --- endpoints and sources, as the views show them --- */

struct queue_endpoint {
	char state[16];
	char reason[16];
	int64_t until_ms; /* 0: none */
	int step;
	int concurrency;
	int64_t token_expires_at;       /* 0: none */
	int64_t certificate_expires_at; /* of our own, 0: not known */
};
bool queue_endpoint_load(struct queue *queue, int endpoint, struct queue_endpoint *ret_endpoint);
bool queue_endpoint_store(struct queue *queue, int endpoint, const struct queue_endpoint *as);

/* queue_endpoint_open starts or stops the clock by which rows of this endpoint give up: it runs while they could go. */
void queue_endpoint_open(struct queue *queue, int endpoint, bool open, int64_t now_ms);

/* queue_source_since: when its last manifest came, or, where none did yet, when it was first configured. */
bool queue_source_since(struct queue *queue, int source, int64_t *ret_wall_ms);

bool queue_source_store(struct queue *queue, int source, const char *state, const char *reason, int64_t waiting_files);

/* --- manifests --- */

struct queue_manifest_new {
	int source;
	const char *name; /* bytes of the file's name */
	const uint8_t *sha256;
	int64_t bytes;
	uint64_t device, inode;
	int64_t mtime_ns;
	int64_t wall_ms;
};

/* queue_manifest_next gives the number that the next recorded manifest will have. */
bool queue_manifest_next(struct queue *queue, int64_t *ret_manifest);

/* queue_manifest_record records a file whose copy is spool/<id>: state loading, or duplicate (ret_duplicate_of) where an earlier manifest
 * of the source with the same bytes loaded without a rejected row. */
bool queue_manifest_record(struct queue *queue, const struct queue_manifest_new *as, int64_t *ret_manifest, int64_t *ret_duplicate_of);

/* queue_manifest_original_gone is told that the original is removed. queue_manifest_of_original finds the manifest that was recorded for
 * exactly this file before a crash (0: none). */
bool queue_manifest_original_gone(struct queue *queue, int64_t manifest);
bool queue_manifest_of_original(struct queue *queue, int source, const char *name, uint64_t inode, int64_t mtime_ns, int64_t bytes,
				int64_t *ret_manifest);

/* Where a manifest's copy is kept. */
struct queue_archived {
	int64_t manifest; /* 0: there is no such manifest */
	char source[72];
	char state[16];
	char *path; /* below archive/; NULL: it is still in the spool. Freed by the caller. */
};
bool queue_manifest_archived(struct queue *queue, int64_t manifest, struct queue_archived *ret_archived);

/* queue_manifest_reload records an archived manifest anew, to be loaded from spool/<ret_manifest> whatever was loaded with the same bytes.
 */
bool queue_manifest_reload(struct queue *queue, int64_t manifest, int64_t wall_ms, int64_t *ret_manifest);

struct queue_loading {
	int64_t manifest; /* 0: none */
	char source[72];
	char shown_name[1100];
	int64_t offset, line;
	char verdict[1024]; /* "" or why it is being rejected */
	int64_t rows;
};

/* queue_manifest_loading gives the oldest manifest that is still loading. */
bool queue_manifest_loading(struct queue *queue, struct queue_loading *ret_loading);
bool queue_manifest_progress(struct queue *queue, int64_t manifest, int64_t offset, int64_t line);

/* queue_manifest_release makes all its rows sendable in one step, or pauses it in the same step (ret_paused, which may be NULL) where most
 * of its rows, and at least QUEUE_REPEATS of them, repeat an accepted issuer, card and type with another request. */
bool queue_manifest_release(struct queue *queue, int64_t manifest, int64_t now_ms, int64_t wall_ms, bool *ret_paused);

/* queue_manifest_condemn decides that a loading manifest is rejected whole; queue_manifest_reject_slice then rejects up to most of its
 * rows, and the manifest itself at the end (ret_done). */
bool queue_manifest_condemn(struct queue *queue, int64_t manifest, const char *reason);
bool queue_manifest_reject_slice(struct queue *queue, int64_t manifest, int most, int64_t wall_ms, bool *ret_done);

/* queue_manifest_pause and queue_manifest_resume are an operator's; ret_why is "" or why it is declined. */
bool queue_manifest_pause(struct queue *queue, int64_t manifest, const char *reason, int64_t now_ms, char ret_why[static QUEUE_MOST_WHY]);
bool queue_manifest_resume(struct queue *queue, int64_t manifest, int64_t now_ms, char ret_why[static QUEUE_MOST_WHY]);

/* Files that are still to be made or moved for a manifest. */
struct queue_errand {
	int64_t manifest; /* 0: none */
	int source;       /* config's index, or -1 where it is no longer configured */
	char source_name[72];
	char *name;     /* bytes; freed by queue_errand_free */
	char *archived; /* path below archive/, or NULL */
	char state[16];
	int64_t received_at;
	int64_t first_row, last_row; /* 0, -1: no rows */
	int64_t rows, accepted, open, rejected;
	char reason[1024];
};
enum queue_errand_kind { QUEUE_ARCHIVE, QUEUE_REJECTS, QUEUE_RECEIPT };

/* queue_errand_next gives the next manifest after `after` for which a file is due by wall_ms. */
bool queue_errand_next(struct queue *queue, enum queue_errand_kind kind, int64_t wall_ms, int64_t after, struct queue_errand *ret_errand);
void queue_errand_free(struct queue_errand *errand);
bool queue_errand_archived(struct queue *queue, int64_t manifest, const char *path);
bool queue_errand_rejects_done(struct queue *queue, int64_t manifest);
/* next_ms: when it is to be written again, or 0. A manifest that settled meanwhile (open differs) keeps its receipt due. */
bool queue_errand_receipt_done(struct queue *queue, int64_t manifest, int64_t open_when_written, int64_t next_ms);
/* queue_errand_receipt_again makes a receipt due; known: there is such a manifest, and it is not loading any more. */
bool queue_errand_receipt_again(struct queue *queue, int64_t manifest, int64_t wall_ms, bool *ret_known);
/* queue_errand_failed puts a receipt off and shows why in manifest_status.reason. */
bool queue_errand_failed(struct queue *queue, int64_t manifest, enum queue_errand_kind kind, int64_t again_ms, const char *reason);
/* queue_errand_receipts_at: wall-clock times of the earliest and the latest receipt due, or INT64_MAX both. */
bool queue_errand_receipts_at(struct queue *queue, int64_t *ret_first_ms, int64_t *ret_last_ms);

/* queue_errand_receipts_now has those that are due later than after_ms due at wall_ms. */
bool queue_errand_receipts_now(struct queue *queue, int64_t after_ms, int64_t wall_ms);

/* One row for a receipt or a rejects file; strings are borrowed until the callback returns. */
struct queue_receipt_row {
	int64_t row, line;
	const char *card_id, *tracking_type, *state, *operation_id, *error_code, *detail; /* "" where there is none */
	int http_status;
	int64_t byte_offset, byte_length; /* of a row that was rejected by itself, else length 0 */
	const char *column, *reason;
};
typedef bool queue_row_seen(void *user, const struct queue_receipt_row *row);

/* queue_receipt_rows shows up to most rows of a manifest after row `after`, in file order; queue_reject_rows the rows rejected by
 * themselves. ret_last is the last one shown (unchanged where there was none). */
bool queue_receipt_rows(struct queue *queue, int64_t manifest, int64_t after, int most, queue_row_seen *seen, void *user,
			int64_t *ret_last);
bool queue_reject_rows(struct queue *queue, int64_t manifest, int64_t after, int most, queue_row_seen *seen, void *user, int64_t *ret_last);

/* Who changed what, for the view operator_action_log; nothing in the program changes or removes a line of it. */
struct queue_action {
	const char *user;
	int64_t uid;
	const char *action, *selector, *reason; /* reason: "" where none was given */
	int64_t rows;
	int64_t wall_ms;
};
bool queue_action_log(struct queue *queue, const struct queue_action *action);

/* --- rows --- */

/* One row as read from a manifest. state: ROW_QUEUED, ROW_REJECTED (column and reason set) or ROW_SKIPPED. Unknown strings NULL, unknown
 * type 0. */
struct queue_row_new {
	int64_t line;
	int64_t byte_offset, byte_length;
	enum row_state state;
	struct track_request request;
	int64_t event; /* of a queued one */
	const char *column;
	const char *reason;
};

/* queue_row_add adds a row to a loading manifest; a queued one whose event is known becomes duplicate. ret_state says which it became. */
bool queue_row_add(struct queue *queue, int64_t manifest, const struct queue_row_new *as, int64_t wall_ms, enum row_state *ret_state);

/* A row put into sending, with all that is needed to send it. Strings of request point into strings. */
struct queue_claim {
	int64_t row;
	int64_t manifest;
	int64_t attempts; /* this one included */
	uint64_t correlation;
	int forbidden;
	int last_status; /* of the attempt before this one, 0: none */
	int64_t give_up; /* reading of the endpoint's clock, 0: not counting */
	int64_t sent_at;
	struct track_request request;
	char strings[QUEUE_MOST_STRINGS];
};

/* queue_claim marks up to most rows of the endpoint as sending that are due and whose card has nothing before them, going round the open
 * manifests. Random correlation ids are drawn here. */
bool queue_claim(struct queue *queue, int endpoint, size_t most, int64_t now_ms, int64_t wall_ms, struct queue_claim *const *ret_claims,
		 size_t *ret_n);

/* queue_next_due: when queue_claim may find a row by time alone; now_ms where there is one now, INT64_MAX where there is none. */
int64_t queue_next_due(struct queue *queue, int endpoint, int64_t now_ms);

/* How a claimed row ended. */
struct queue_result {
	const struct queue_claim *claim;
	int endpoint;
	const struct track_verdict *verdict;
	int http_status; /* 0: none */
	int64_t due_ms;  /* of TRACK_BACK */
	int64_t give_up_after_ms;
	bool forbidden; /* counts towards forbidden */
	int64_t now_ms, wall_ms;
};

/* queue_record writes the end of an attempt and lets the next row of the card go. ret_state: what the row became (a TRACK_BACK whose time
 * is over is expired). ret_paused: the manifest was paused by this refusal. */
bool queue_record(struct queue *queue, const struct queue_result *result, enum row_state *ret_state, bool *ret_paused);

/* queue_unclaim puts a claimed row back that was never given to the transport (shutdown); the attempt is undone. */
bool queue_unclaim(struct queue *queue, const struct queue_claim *claim, int64_t now_ms);

/* queue_settled: how many manifests settled in the turn that was committed last; queue_settlement tells of one of them by its place. */
size_t queue_settled(const struct queue *queue);

struct queue_settlement {
	int64_t manifest;
	char source[72], shown_name[1100];
	int64_t rows, accepted, refused, expired, cancelled, rejected, duplicate, skipped;
};
bool queue_settlement(struct queue *queue, size_t i, struct queue_settlement *ret_settlement);

/* queue_counts: rows in each state over all manifests. */
struct queue_counts {
	int64_t rows, by_state[ROW_N_STATES];
	int64_t manifests_loading, manifests_released, manifests_rejected;
};
bool queue_counts(struct queue *queue, struct queue_counts *ret_counts);

/* --- the database as a whole --- */

/* queue_restored: whether this database was once opened as a copy (backup.h), and of what time that copy was. 0: never. All rows that were
 * queued or sending were put on hold then, and all endpoints paused (reason `restored`). */
bool queue_restored(struct queue *queue, int64_t *ret_copied_at);

/*
 * What is committed stands in queue.db-wal until it is moved into queue.db, and a reader that never ends keeps it there: the WAL grows.
 * queue_wal_bytes: how much is in it. queue_wal_stuck_since: since when (steady ms) a reader has kept something in it; 0: none does. Such a
 * reader is found with `fuser queue.db-wal` or `lsof queue.db-wal`, by hand: this process never opens that file.
 * queue_wal_shrink is called when there is nothing else to do: it empties a WAL that has grown, if no reader is in the way, and never waits
 * for one. (A busy daemon's shrinks by itself.)
 */
int64_t queue_wal_bytes(const struct queue *queue);
int64_t queue_wal_stuck_since(const struct queue *queue);
void queue_wal_shrink(struct queue *queue, int64_t now_ms);
