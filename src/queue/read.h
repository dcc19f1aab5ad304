/*
 * read: the queue as the reading commands see it, through a read-only connection that works beside a running daemon and without one. Every
 * question is a fixed SQL text; a listing is fetched in pages, each a transaction of its own, so that a listing that stands still in a
 * pager neither holds back the daemon's checkpoints nor needs memory. Never writes, and never makes a database.
 */
#pragma once

#include "base/error.h"
#include "queue/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_reader;
struct queue_cursor;

/* Columns are those of the view of the same name unless said otherwise. */
enum queue_query {
	QUEUE_STATUS,              /* by row_id */
	QUEUE_MANIFEST_STATUS,     /* by manifest_id */
	QUEUE_ENDPOINT_STATUS,     /* by name */
	QUEUE_SOURCE_STATUS,       /* by name */
	QUEUE_ATTEMPT_HISTORY,     /* of filter.row */
	QUEUE_OPERATOR_ACTION_LOG, /* by time */
	QUEUE_REQUEST,      /* of filter.row: issuer_id card_id tracking_type and the fields as they are stored (shipment_date: seconds) */
	QUEUE_OVERVIEW,     /* one row: manifests by state, rows in all and by state */
	QUEUE_RECEIPT_ROWS, /* of filter.manifest: row_id line card_id tracking_type state http_status error_code detail operation_id */
	QUEUE_CERTIFICATES, /* client certificates that end within 30 days: endpoint expires_at days (negative: it has ended) */
	QUEUE_ACTIVITY, /* one row, as of filter.now_ms: accepted in the last minute or so and since when that is (ms), what became refused,
			 * in_doubt and expired in the last day, movable: rows queued or sending whose manifest is open */
	QUEUE_READY,    /* none or one row: the manifest with the oldest row that could go at filter.now_ms (its endpoint is not paused, its
			 * time has come, no row of its card is before it): manifest_id, since (ms: its release, or that row's time) */
	QUEUE_TROUBLE,  /* open manifests that are paused, and files that could not be written: trouble (paused receipt rejects archive)
			 * manifest_id source name reason */
	QUEUE_OLDEST_WAITING, /* the released manifest that has waited longest with queued rows: manifest_id source name queued_at paused */
	/* For the report. */
	QUEUE_COUNTS,      /* all manifests, to be summed up: manifest_id source state received_at (ms), rows in all and by state */
	QUEUE_SOURCES_NOW, /* of source_status what needs no look at manifests: source state reason waiting_files */
	QUEUE_ENDPOINTS_AND_CERTIFICATES, /* those of endpoint_status, certificate_expires_at, certificate_days (negative: it has ended) */
	QUEUE_WAITING_MANIFESTS, /* released ones that are paused or have queued rows, paused ones first, then the oldest, filter.limit at
				    most: manifest_id source name queued_at paused rows queued */
	QUEUE_LATEST_ACTIONS,    /* of operator_action_log since filter.since_ms, the last ones first, filter.limit at most */
};

/* All zero takes everything. Times are ms since 1970. A manifest counts from its release, or from its arrival as long as it is loading. */
struct queue_filter {
	const char *state; /* of a row, or of a manifest for QUEUE_MANIFEST_STATUS */
	const char *card, *source, *operation_id;
	int64_t row, manifest;
	int64_t since_ms, now_ms;
	int64_t limit; /* rows at most, the first ones; 0: all */
};

enum queue_value_type { QUEUE_NULL, QUEUE_NUMBER, QUEUE_TEXT };

struct queue_value {
	enum queue_value_type type;
	int64_t number;
	const char *text; /* UTF-8, NUL-terminated */
};

/*
 * queue_reader_open opens the database file. What commonly stands in the way is told in words: there is none yet (ERROR_NO_INPUT), it may
 * not be read (ERROR_PERMISSION), a by-hand visitor removed the files beside it (ERROR_PERMISSION), it is of another version (ERROR_DATA).
 */
bool queue_reader_open(const char *path, struct queue_reader **ret_reader, struct error *err);

/* queue_reader_close takes NULL. Cursors are closed before. */
void queue_reader_close(struct queue_reader *reader);

/* queue_reader_query starts a question; it borrows filter and its strings. ERROR_USAGE where filter.state is no state. */
bool queue_reader_query(struct queue_reader *reader, enum queue_query query, const struct queue_filter *filter,
			struct queue_cursor **ret_cursor, struct error *err);

/* queue_cursor_close takes NULL. */
void queue_cursor_close(struct queue_cursor *cursor);

/* queue_cursor_columns gives the names; the number of values in a row is ret_n. */
const char *const *queue_cursor_columns(const struct queue_cursor *cursor, size_t *ret_n);

/* queue_cursor_next gives the next row, NULL at the end. It is valid until the next call. */
bool queue_cursor_next(struct queue_cursor *cursor, const struct queue_value **ret_row, struct error *err);

/* queue_reader_freeze makes all that is asked from then on be of one moment, until queue_reader_thaw. For a second or so: meanwhile the
 * daemon's log grows. queue_reader_thaw may be called without it. */
bool queue_reader_freeze(struct queue_reader *reader, struct error *err);
void queue_reader_thaw(struct queue_reader *reader);

/* queue_reader_event finds the row that stands for an event already, by the rule of queue_row_add; ret_row 0: none. */
bool queue_reader_event(struct queue_reader *reader, const struct track_request *request, int64_t event, int64_t *ret_row,
			enum row_state *ret_state, struct error *err);

/* queue_reader_same_bytes finds the manifest that makes a file with these bytes a duplicate, by the rule of queue_manifest_record; 0: none.
 */
bool queue_reader_same_bytes(struct queue_reader *reader, const char *source, const uint8_t sha256[static 32], int64_t *ret_manifest,
			     struct error *err);

/* queue_reader_restored: of what time the copy was that this database was restored from, and when that was (wall ms). 0: never. */
bool queue_reader_restored(struct queue_reader *reader, int64_t *ret_copied_at, int64_t *ret_restored_at, struct error *err);
