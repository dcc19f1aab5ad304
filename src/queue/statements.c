#include "queue/statements.h"

#include "queue/card.h"

/* The columns of a row that make its request, in the order in which claim.c reads them. */
#define REQUEST_COLUMNS                                                                                                                    \
	"r.row_id, r.attempts, r.forbidden, coalesce(r.give_up, 0), i.issuer_id, r.card_id, r.type,"                                       \
	" r.production_site, r.tracking_number, r.postal_code, r.country_code, r.shipment_date, r.http_status"

/* The columns of a manifest that errands.c reads. */
#define ERRAND_COLUMNS                                                                                                                        \
	"m.manifest_id, m.source_no, s.name, m.name, m.archived, m.state, m.received_at, coalesce(m.first_row, 0), coalesce(m.last_row, -1)," \
	" m.rows, m.accepted, m.queued + m.sending + m.in_doubt + m.held, m.rejected, m.reason"                                               \
	" FROM manifest m JOIN source s ON s.source_no = m.source_no"

/* The columns of a row that move.c reads. */
#define MOVE_COLUMNS                                                                                                                       \
	"r.row_id, r.manifest_id, m.state, m.last_row, r.issuer_no, r.card_id, r.state, r.event, r.behind, r.error_code,"                  \
	" r.row_id <= m.bodies_to"                                                                                                         \
	" FROM row r JOIN manifest m ON m.manifest_id = r.manifest_id"

/* What a row's clock shows: it stands while the manifest is paused. clock: that of its endpoint, -1 where it has none. */
#define CLOCK_OF_ROW(clock)                                                                                                                \
	"coalesce((SELECT l.paused_clock FROM lane l WHERE l.manifest_id = row.manifest_id AND l.issuer_no = row.issuer_no),"              \
	" nullif(" clock ", -1))"

/*
 * give_up is a reading of that clock while a row can go, and what is left until then while it cannot: held, in doubt, behind another row.
 * Without a clock the time begins anew, with the next answer that puts the row back.
 */
#define STANDS(condition, clock)                                                                                                           \
	"give_up = CASE WHEN give_up IS NOT NULL AND " condition " THEN give_up - " CLOCK_OF_ROW(clock) " ELSE give_up END"
#define RUNS(condition, clock)                                                                                                             \
	"give_up = CASE WHEN give_up IS NOT NULL AND " condition " THEN give_up + " CLOCK_OF_ROW(clock) " ELSE give_up END"

/* A manifest's reason, unless it only told of trouble with a file that is now written. */
#define WITHOUT_TROUBLE(file) "CASE WHEN reason LIKE '" file ": %' THEN '' ELSE reason END"

/* A manifest that may go with all its rows: nothing of it is open, and no file is due for it. */
#define PURGEABLE                                                                                                                          \
	"settled_at IS NOT NULL AND state IN ('settled', 'rejected', 'duplicate') AND queued + sending + in_doubt + held = 0"              \
	" AND archived IS NOT NULL AND original = 0 AND rejects_due = 0 AND receipt_at IS NULL"

const char *const statement_sql[STATEMENT_N] = {
	[ENDPOINT_BIND] = "INSERT OR IGNORE INTO endpoint (name) VALUES (?1)",
	[ENDPOINT_FIND] = "SELECT endpoint_no, open_ms FROM endpoint WHERE name = ?1",
	[ENDPOINT_LOAD] = "SELECT state, reason, until, step, concurrency, token_expires_at FROM endpoint WHERE endpoint_no = ?1",
	[ENDPOINT_STORE] = "UPDATE endpoint SET state = ?2, reason = ?3, until = ?4, step = ?5, concurrency = ?6, token_expires_at = ?7,"
			   " certificate_expires_at = ?8"
			   " WHERE endpoint_no = ?1",
	[ENDPOINT_SEEN] = "UPDATE endpoint SET last_accepted_at = ?2 WHERE endpoint_no = ?1",
	[ENDPOINT_CLOCK] = "UPDATE endpoint SET open_ms = ?2 WHERE endpoint_no = ?1",
	/* When a pause began is not kept; the last answers and the last manifest show whether the clock was put back since. */
	[ENDPOINTS_CLAMP] = "UPDATE endpoint SET until = ?1 WHERE until > ?1 AND (until > ?1 + ?2 OR"
			    " EXISTS (SELECT 1 FROM endpoint WHERE last_accepted_at > ?3) OR"
			    " (SELECT received_at FROM manifest ORDER BY manifest_id DESC LIMIT 1) > ?3 OR"
			    " EXISTS (SELECT 1 FROM row WHERE due IS NOT NULL AND finished_at > ?3))",
	[ISSUER_BIND] = "INSERT INTO issuer (issuer_id, endpoint_no) VALUES (?1, ?2)"
			" ON CONFLICT (issuer_id) DO UPDATE SET endpoint_no = excluded.endpoint_no",
	[ISSUER_FIND] = "SELECT issuer_no FROM issuer WHERE issuer_id = ?1",
	[ISSUERS_UNBIND] = "UPDATE issuer SET endpoint_no = NULL",
	[SOURCE_BIND] = "INSERT INTO source (name, drop_directory, since) VALUES (?1, ?2, ?3)"
			" ON CONFLICT (name) DO UPDATE SET drop_directory = excluded.drop_directory",
	[SOURCE_FIND] = "SELECT source_no FROM source WHERE name = ?1",
	[SOURCE_SINCE] = "SELECT coalesce((SELECT received_at FROM manifest WHERE source_no = ?1 ORDER BY manifest_id DESC LIMIT 1), since)"
			 " FROM source WHERE source_no = ?1",
	[SOURCE_STORE] = "UPDATE source SET state = ?2, reason = ?3, waiting_files = ?4 WHERE source_no = ?1",

	[MANIFEST_NEXT] = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'manifest'), 0) + 1",
	[MANIFEST_SAME_BYTES] = "SELECT manifest_id FROM manifest"
				" WHERE source_no = ?1 AND sha256 = ?2 AND state IN ('released', 'settled') AND rejected = 0"
				" ORDER BY manifest_id LIMIT 1",
	[MANIFEST_RECORD] =
		"INSERT INTO manifest (source_no, name, shown_name, sha256, bytes, state, reason, duplicate_of, received_at, settled_at,"
		" device, inode, mtime_ns, receipt_at)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
	[MANIFEST_ARCHIVED] = "SELECT s.name, m.state, m.archived FROM manifest m JOIN source s ON s.source_no = m.source_no"
			      " WHERE m.manifest_id = ?1",
	[MANIFEST_RELOAD] =
		"INSERT INTO manifest (source_no, name, shown_name, sha256, bytes, state, reason, received_at, original, device, inode, mtime_ns)"
		" SELECT source_no, name, shown_name, sha256, bytes, 'loading', 'reload of manifest ' || manifest_id, ?2, 0, device, inode, mtime_ns"
		" FROM manifest WHERE manifest_id = ?1 AND archived IS NOT NULL",
	[MANIFEST_ORIGINAL_GONE] = "UPDATE manifest SET original = 0 WHERE manifest_id = ?1",
	[MANIFEST_OF_ORIGINAL] = "SELECT manifest_id FROM manifest"
				 " WHERE source_no = ?1 AND original = 1 AND name = ?2 AND inode = ?3 AND mtime_ns = ?4 AND bytes = ?5",
	[MANIFEST_LOADING] = "SELECT m.manifest_id, s.name, m.shown_name, m.load_offset, m.load_line, m.verdict, m.rows"
			     " FROM manifest m JOIN source s ON s.source_no = m.source_no"
			     " WHERE m.state = 'loading' AND m.state IN ('loading', 'released')" /* so that manifest_open can be used */
			     " ORDER BY m.manifest_id LIMIT 1",
	[MANIFEST_PROGRESS] = "UPDATE manifest SET load_offset = ?2, load_line = ?3 WHERE manifest_id = ?1 AND state = 'loading'",
	[MANIFEST_ROWS] = "UPDATE manifest SET first_row = coalesce(first_row, ?2), last_row = ?3 WHERE manifest_id = ?1",
	[MANIFEST_RELEASE] = "UPDATE manifest SET state = 'released', released_at = ?2, receipt_at = ?2, rejects_due = rejected > 0"
			     " WHERE manifest_id = ?1 AND state = 'loading' AND verdict IS NULL",
	[MANIFEST_REPEATS] = "SELECT repeats, rows FROM manifest WHERE manifest_id = ?1",
	[MANIFEST_CONDEMN] = "UPDATE manifest SET verdict = ?2 WHERE manifest_id = ?1 AND state = 'loading'",
	[MANIFEST_REJECT] = "UPDATE manifest SET state = 'rejected', reason = verdict, settled_at = ?2, receipt_at = ?2"
			    " WHERE manifest_id = ?1 AND state = 'loading' AND verdict IS NOT NULL",
	[MANIFEST_SPAN] = "SELECT coalesce(reject_next, first_row, 0), coalesce(last_row, -1) FROM manifest WHERE manifest_id = ?1",
	[MANIFEST_ROW_SPAN] = "SELECT coalesce(first_row, 0), coalesce(last_row, -1) FROM manifest WHERE manifest_id = ?1",
	[MANIFEST_REJECTED_TO] = "UPDATE manifest SET reject_next = ?2 WHERE manifest_id = ?1",
	[MANIFEST_REJECT_COUNT] =
		"SELECT state, count(*) FROM row WHERE row_id BETWEEN ?1 AND ?2 AND state IN (0, 5, 9, 10) GROUP BY state",
	[MANIFEST_REJECT_ROWS] = "UPDATE row SET state = 8, superseded = 1, same_as = NULL, behind = NULL, due = NULL,"
				 " finished_at = ?4, detail = ?3"
				 " WHERE row_id BETWEEN ?1 AND ?2 AND state IN (0, 5, 9, 10)",
	/* Refused rows whose place a row of the slice had taken stand for their event again. */
	[MANIFEST_REJECT_RESTORE] = "UPDATE row SET superseded = 0 WHERE state = 3 AND row_id IN"
				    " (SELECT r.replaces FROM row r WHERE r.row_id BETWEEN ?1 AND ?2 AND r.replaces IS NOT NULL)",
	[MANIFEST_TALLY] = "UPDATE manifest SET rows = rows + ?2, queued = queued + ?3, sending = sending + ?4, accepted = accepted + ?5,"
			   " refused = refused + ?6, in_doubt = in_doubt + ?7, held = held + ?8, expired = expired + ?9,"
			   " cancelled = cancelled + ?10, rejected = rejected + ?11, duplicate = duplicate + ?12, skipped = skipped + ?13,"
			   " repeats = repeats + ?14"
			   " WHERE manifest_id = ?1",
	[MANIFEST_SETTLE] = "UPDATE manifest SET state = 'settled', settled_at = ?2, receipt_at = ?2"
			    " WHERE manifest_id = ?1 AND state = 'released' AND queued + sending + in_doubt + held = 0",
	[MANIFEST_PAUSE] = "UPDATE manifest SET paused = ?2, reason = ?3 WHERE manifest_id = ?1 AND paused = ''",
	[MANIFEST_RELEASED_AT] = "SELECT coalesce(released_at, received_at) FROM manifest WHERE manifest_id = ?1",

	[ERRAND_ARCHIVE] = "SELECT " ERRAND_COLUMNS " WHERE m.archived IS NULL AND m.manifest_id > ?1 AND m.state <> 'loading'"
			   " ORDER BY m.manifest_id LIMIT 1",
	[ERRAND_REJECTS] = "SELECT " ERRAND_COLUMNS " WHERE m.rejects_due = 1 AND m.manifest_id > ?1 ORDER BY m.manifest_id LIMIT 1",
	[ERRAND_RECEIPT] = "SELECT " ERRAND_COLUMNS " WHERE m.receipt_at <= ?2 AND m.manifest_id > ?1"
			   " ORDER BY m.receipt_at, m.manifest_id LIMIT 1",
	[ERRAND_ARCHIVED] = "UPDATE manifest SET archived = ?2, reason = " WITHOUT_TROUBLE("archive") " WHERE manifest_id = ?1",
	[ERRAND_REJECTS_DONE] = "UPDATE manifest SET rejects_due = 0, reason = " WITHOUT_TROUBLE("rejects") " WHERE manifest_id = ?1",
	[ERRAND_RECEIPT_DONE] = "UPDATE manifest SET receipt_at = ?3, reason = " WITHOUT_TROUBLE(
		"receipt") " WHERE manifest_id = ?1 AND queued + sending + in_doubt + held = ?2",
	[ERRAND_RECEIPT_AGAIN] = "UPDATE manifest SET receipt_at = ?2 WHERE manifest_id = ?1 AND state <> 'loading'",
	[ERRAND_FAILED] = "UPDATE manifest SET receipt_at = coalesce(?2, receipt_at), reason = CASE"
			  " WHEN reason = '' OR reason LIKE 'receipt: %' OR reason LIKE 'rejects: %' OR reason LIKE 'archive: %' THEN ?3"
			  " ELSE reason END WHERE manifest_id = ?1",
	[ERRAND_RECEIPTS_AT] = "SELECT (SELECT min(receipt_at) FROM manifest WHERE receipt_at IS NOT NULL),"
			       " (SELECT max(receipt_at) FROM manifest WHERE receipt_at IS NOT NULL)",
	[ERRAND_RECEIPTS_NOW] = "UPDATE manifest SET receipt_at = ?2 WHERE receipt_at > ?1",
	[ERRAND_RECEIPTS_AGAIN] = "UPDATE manifest SET receipt_at = ?1 WHERE receipt_at > ?1 AND reason LIKE 'receipt: %'",
	[RECEIPT_ROWS] = "SELECT " RECEIPT_COLUMNS " WHERE row_id > ?1 AND row_id <= ?2 ORDER BY row_id LIMIT ?3",
	[REJECT_ROWS] = "SELECT r.row_id, r.line, x.byte_offset, x.byte_length, x.column_name, r.detail"
			" FROM reject x JOIN row r ON r.row_id = x.row_id"
			" WHERE x.row_id > ?1 AND x.row_id <= ?2 ORDER BY x.row_id LIMIT ?3",

	[ROW_LAST] = "SELECT max(coalesce((SELECT max(row_id) FROM row), 0), coalesce((SELECT max(last_row) FROM manifest), 0),"
		     " (SELECT last_row FROM keeping))",
	[ROW_ANY_BEHIND] = "SELECT EXISTS (SELECT 1 FROM row WHERE behind IS NOT NULL)",
	[ROW_OF_CARD] = "SELECT r.row_id, r.event, r.state, r.type, r.superseded FROM (" CARD_KEYS
			") c CROSS JOIN row r ON r.row_id = " CARD_ROW " WHERE r.card_id = ?3 AND r.issuer_no = ?4",
	/* A request that is gone counts as the same: what was sent once is not sent again because nobody knows what it was. */
	[ROW_SAME_REQUEST] = "SELECT 1 FROM row r WHERE row_id = ?1 AND type = ?2 AND ((production_site IS ?3 AND tracking_number IS ?4"
			     " AND postal_code IS ?5 AND country_code IS ?6 AND shipment_date IS ?7)"
			     " OR row_id <= (SELECT bodies_to FROM manifest WHERE manifest_id = r.manifest_id))",
	[ROW_SUPERSEDE] = "UPDATE row SET superseded = 1 WHERE row_id = ?1",
	[ROW_ADD] =
		"INSERT INTO row (row_id, manifest_id, line, issuer_no, card_id, type, state, production_site, tracking_number, postal_code,"
		" country_code, shipment_date, event, superseded, same_as, replaces, behind, finished_at, detail)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
	[CARD_ADD] = "INSERT OR IGNORE INTO card_0 (key) VALUES (?1)",
	[CARD_KEYS_BETWEEN] = CARD_KEYS,
	[CARD_0_COPY] = "INSERT OR IGNORE INTO card_1 (key) SELECT key FROM card_0 WHERE key BETWEEN ?1 AND ?2",
	[CARD_0_DROP] = "DELETE FROM card_0 WHERE key BETWEEN ?1 AND ?2",
	[CARD_1_COPY] = "INSERT OR IGNORE INTO card_2 (key) SELECT key FROM card_1 WHERE key BETWEEN ?1 AND ?2",
	[CARD_1_DROP] = "DELETE FROM card_1 WHERE key BETWEEN ?1 AND ?2",
	[REJECT_ADD] = "INSERT INTO reject (row_id, byte_offset, byte_length, column_name) VALUES (?1, ?2, ?3, ?4)",
	[LANE_ADD] = "INSERT OR IGNORE INTO lane (manifest_id, issuer_no, next_row) VALUES (?1, ?2, ?3)",
	[LANES_OPEN] = "SELECT l.manifest_id, l.issuer_no, l.next_row, m.last_row, m.paused, l.paused_clock"
		       " FROM manifest m JOIN lane l ON l.manifest_id = m.manifest_id"
		       " WHERE m.state = 'released' AND m.manifest_id >= ?1 AND m.manifest_id <= ?2 ORDER BY l.manifest_id, l.issuer_no",
	[LANE_DUE] = "SELECT due FROM row WHERE manifest_id = ?1 AND issuer_no = ?2 AND due IS NOT NULL ORDER BY due LIMIT 1",
	[LANE_STORE] = "UPDATE lane SET next_row = ?3 WHERE manifest_id = ?1 AND issuer_no = ?2",
	[LANE_REMOVE] = "DELETE FROM lane WHERE manifest_id = ?1",
	[LANE_PAUSE] = "UPDATE lane SET paused_clock = nullif(?3, -1) WHERE manifest_id = ?1 AND issuer_no = ?2",
	/* A row without an answer was due at once when it was stored. */
	[LANE_CLAMP] = "UPDATE row SET due = ?3 WHERE manifest_id = ?1 AND issuer_no = ?2 AND due > ?3"
		       " AND (due > ?3 + ?4 OR finished_at IS NULL OR finished_at > ?5)",
	[CLAIM_FRESH] = "SELECT " REQUEST_COLUMNS " FROM row r JOIN issuer i ON i.issuer_no = r.issuer_no"
			" WHERE r.row_id BETWEEN ?1 AND ?2 AND r.state = 0 AND r.issuer_no = ?3 AND r.behind IS NULL AND r.due IS NULL"
			" ORDER BY r.row_id LIMIT ?4",
	[CLAIM_DUE] = "SELECT " REQUEST_COLUMNS " FROM row r JOIN issuer i ON i.issuer_no = r.issuer_no"
		      " WHERE r.manifest_id = ?1 AND r.issuer_no = ?2 AND r.due <= ?3 ORDER BY r.due LIMIT ?4",
	[CLAIM] = "UPDATE row SET state = 1, due = NULL, attempts = ?2, outcome = NULL, correlation = ?3, sent_at = ?4, finished_at = NULL,"
		  " http_status = NULL, error_code = NULL, detail = NULL WHERE row_id = ?1 AND state = 0",
	[ATTEMPT_KEEP] =
		"INSERT INTO attempt (row_id, attempt, correlation, started_at, finished_at, http_status, error_code, outcome, detail)"
		" SELECT row_id, attempts, correlation, sent_at, finished_at, http_status, error_code, outcome, detail"
		" FROM row WHERE row_id = ?1",
	[ATTEMPT_DROP] = "DELETE FROM attempt WHERE row_id = ?1 AND attempt = ?2",
	[ATTEMPT_BACK] = "UPDATE row SET (correlation, sent_at, finished_at, http_status, error_code, outcome, detail) ="
			 " (SELECT correlation, started_at, finished_at, http_status, error_code, outcome, detail FROM attempt"
			 "  WHERE row_id = ?1 AND attempt = ?2) WHERE row_id = ?1",
	[RECORD] =
		"UPDATE row SET state = ?2, outcome = ?3, http_status = ?4, error_code = ?5, detail = ?6, operation_id = ?7, finished_at = ?8,"
		" due = ?9, give_up = ?10, forbidden = ?11"
		" WHERE row_id = ?1 AND state = 1",
	[UNCLAIM] = "UPDATE row SET state = 0, due = ?2, attempts = attempts - 1, outcome = NULL, correlation = NULL, sent_at = NULL"
		    " WHERE row_id = ?1 AND state = 1",
	[UNBLOCK] = "UPDATE row SET behind = NULL, due = CASE state WHEN 0 THEN ?2 END, " RUNS(
		"state = 0", "?3") " WHERE row_id = (SELECT row_id FROM row WHERE behind = ?1 ORDER BY row_id LIMIT 1)"
				   " RETURNING row_id, manifest_id, issuer_no, state",
	[CHAIN_RELINK] = "UPDATE row SET behind = ?2 WHERE behind = ?1 AND row_id <> ?2",
	[CHAIN_BEHIND] = "UPDATE row SET behind = ?2, due = NULL, " STANDS("state = 0 AND behind IS NULL", "?3") " WHERE row_id = ?1",
	[CHAIN_FREE] = "UPDATE row SET behind = NULL, due = CASE state WHEN 0 THEN ?2 END, " RUNS("state = 0", "?3") " WHERE row_id = ?1",
	[CHAIN_OVERTAKEN] = "SELECT 1 FROM row WHERE behind = ?1 AND row_id < ?1 LIMIT 1",
	[SENDING_ROWS] =
		"SELECT r.row_id, r.manifest_id, e.endpoint_no, r.issuer_no FROM row r JOIN issuer i ON i.issuer_no = r.issuer_no"
		" LEFT JOIN endpoint e ON e.endpoint_no = i.endpoint_no WHERE r.state = 1 AND r.row_id > ?1 ORDER BY r.row_id LIMIT 1",
	[RECOVER] = "UPDATE row SET state = ?2, outcome = ?3, detail = 'crash', finished_at = ?4, due = ?5, " STANDS(
		"?2 = 4", "?6") " WHERE row_id = ?1 AND state = 1",
	[MOVE_ROW] = "SELECT " MOVE_COLUMNS " WHERE r.row_id = ?1",
	/* The states as numbers, so that row_attention can be used. */
	[MOVE_REFUSED] = "SELECT row_id FROM row WHERE state = 3 AND row_id BETWEEN ?1 AND ?2 ORDER BY row_id LIMIT ?3",
	[MOVE_IN_DOUBT] = "SELECT row_id FROM row WHERE state = 4 AND row_id BETWEEN ?1 AND ?2 ORDER BY row_id LIMIT ?3",
	[MOVE_HELD] = "SELECT row_id FROM row WHERE state = 5 AND row_id BETWEEN ?1 AND ?2 ORDER BY row_id LIMIT ?3",
	[MOVE_EXPIRED] = "SELECT row_id FROM row WHERE state = 6 AND row_id BETWEEN ?1 AND ?2 ORDER BY row_id LIMIT ?3",
	[MOVE_CARD] = "SELECT r.row_id FROM (" CARD_KEYS ") c CROSS JOIN row r ON r.row_id = " CARD_ROW
		      " WHERE r.card_id = ?3 AND r.row_id BETWEEN ?4 AND ?5 ORDER BY r.row_id LIMIT ?6",
	[MOVE_OF_CARD] = "SELECT r.row_id, r.event, r.state, r.superseded, r.behind, r.manifest_id FROM (" CARD_KEYS
			 ") c CROSS JOIN row r ON r.row_id = " CARD_ROW " WHERE r.card_id = ?3 AND r.issuer_no = ?4 ORDER BY r.row_id",
	[MOVE_HOLD] = "UPDATE row SET state = 5, due = NULL, " STANDS("behind IS NULL", "?2") " WHERE row_id = ?1 AND state = 0",
	[MOVE_RELEASE] = "UPDATE row SET state = 0, due = CASE WHEN behind IS NULL THEN ?3 END, " RUNS(
		"behind IS NULL", "?2") " WHERE row_id = ?1 AND state = 5",
	[MOVE_CANCEL] = "UPDATE row SET state = 7, due = NULL, behind = NULL, finished_at = ?2 WHERE row_id = ?1 AND state = ?3",
	[MOVE_ACCEPT] = "UPDATE row SET state = 2, operation_id = coalesce(?2, operation_id), detail = 'accepted by an operator''s word',"
			" finished_at = ?3 WHERE row_id = ?1 AND state = 4",
	[MOVE_RESEND] = "UPDATE row SET state = 0, due = ?2, finished_at = NULL, " RUNS("1", "?3") " WHERE row_id = ?1 AND state = 4",
	[MOVE_RETRY] = "UPDATE row SET state = 0, superseded = ?3, same_as = NULL, behind = NULL, due = ?4, give_up = NULL, forbidden = 0,"
		       " finished_at = NULL WHERE row_id = ?1 AND state = ?2",
	[MANIFEST_REOPEN] = "UPDATE manifest SET state = 'released', settled_at = NULL, receipt_at = coalesce(receipt_at, ?2)"
			    " WHERE manifest_id = ?1 AND state = 'settled'",
	[MANIFEST_RESUME] = "UPDATE manifest SET paused = '', reason = '' WHERE manifest_id = ?1 AND paused <> ''",
	[MANIFEST_FIND] = "SELECT state, paused FROM manifest WHERE manifest_id = ?1",
	[LANE_SLEPT] = "SELECT nullif(?3, -1) - paused_clock FROM lane WHERE manifest_id = ?1 AND issuer_no = ?2",
	[LANE_RESUME] = "UPDATE lane SET paused_clock = NULL WHERE manifest_id = ?1 AND issuer_no = ?2",
	[LANE_SHIFT] = "UPDATE row SET give_up = give_up + ?3 WHERE manifest_id = ?1 AND issuer_no = ?2 AND due IS NOT NULL",
	[ORDER_PUT] =
		"INSERT INTO operator_order (order_no, move, row_ids, manifest_id, card_id, state, error_code, anyway, operation_id, next_row,"
		" last_row, at, user, uid, selector, reason) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
	[ORDER_GET] =
		"SELECT move, row_ids, manifest_id, card_id, state, error_code, anyway, operation_id, next_row, last_row, moved, declined,"
		" at, user, uid, selector, reason FROM operator_order",
	[ORDER_PROGRESS] = "UPDATE operator_order SET next_row = ?1, moved = ?2, declined = ?3",
	[ORDER_DROP] = "DELETE FROM operator_order",
	[ACTION_LOG] = "INSERT INTO operator_action (at, user, uid, action, selector, rows, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[ACTIVITY_ADD] =
		"INSERT INTO activity (at, accepted, refused, in_doubt, expired) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (at) DO UPDATE"
		" SET accepted = accepted + excluded.accepted, refused = refused + excluded.refused,"
		" in_doubt = in_doubt + excluded.in_doubt, expired = expired + excluded.expired",
	[ACTIVITY_FORGET] = "DELETE FROM activity WHERE at < ?1",
	[MANIFEST_COUNTS] = "SELECT s.name, m.shown_name, m.rows, m.accepted, m.refused, m.expired, m.cancelled, m.rejected, m.duplicate,"
			    " m.skipped FROM manifest m JOIN source s ON s.source_no = m.source_no WHERE m.manifest_id = ?1",
	[COUNTS] = "SELECT coalesce(sum(rows), 0), coalesce(sum(queued), 0), coalesce(sum(sending), 0), coalesce(sum(accepted), 0),"
		   " coalesce(sum(refused), 0), coalesce(sum(in_doubt), 0), coalesce(sum(held), 0), coalesce(sum(expired), 0),"
		   " coalesce(sum(cancelled), 0), coalesce(sum(rejected), 0), coalesce(sum(duplicate), 0), coalesce(sum(skipped), 0),"
		   " coalesce(sum(state = 'loading'), 0), coalesce(sum(state = 'released'), 0),"
		   " coalesce(sum(state = 'rejected'), 0) FROM manifest",

	[KEEPING_LAST_ROW] = "UPDATE keeping SET last_row = max(last_row, ?1)",
	[CARD_0_REMOVE] = "DELETE FROM card_0 WHERE key = ?1",
	[CARD_1_REMOVE] = "DELETE FROM card_1 WHERE key = ?1",
	[CARD_2_REMOVE] = "DELETE FROM card_2 WHERE key = ?1",
	[PURGE_BODIES_NEXT] =
		"SELECT manifest_id, max(bodies_to + 1, first_row), last_row FROM manifest WHERE settled_at < ?1"
		" AND manifest_id < ?2 AND settled_at IS NOT NULL AND bodies_to < last_row AND state IN ('settled', 'rejected')"
		" ORDER BY settled_at LIMIT 1",
	[PURGE_BODIES] = "UPDATE row SET production_site = NULL, tracking_number = NULL, postal_code = NULL, country_code = NULL,"
			 " shipment_date = NULL WHERE row_id BETWEEN ?1 AND ?2",
	[PURGE_BODIES_TO] = "UPDATE manifest SET bodies_to = ?2 WHERE manifest_id = ?1",
	/* Not while a file is still due for it, or its original still there: it would be taken for a new one. */
	[PURGE_ROWS_NEXT] = "SELECT manifest_id, coalesce(first_row, 0), coalesce(last_row, -1) FROM manifest WHERE settled_at < ?1"
			    " AND manifest_id < ?2 AND " PURGEABLE " ORDER BY settled_at LIMIT 1",
	[PURGE_FIRST_SINCE] = "SELECT manifest_id FROM manifest WHERE received_at BETWEEN ?1 AND ?2 ORDER BY manifest_id LIMIT 1",
	[NEWEST] = "SELECT max(coalesce(max(received_at), 0), coalesce(max(settled_at), 0),"
		   " coalesce((SELECT max(last_accepted_at) FROM endpoint), 0)) FROM manifest",
	[PURGE_CARDS] = "SELECT row_id, card_id FROM row WHERE row_id BETWEEN ?1 AND ?2 AND card_id IS NOT NULL",
	[PURGE_COUNTS] =
		"UPDATE manifest SET first_row = ?3 + 1, rows = rows - c.n, accepted = accepted - c.n2, refused = refused - c.n3,"
		" expired = expired - c.n6, cancelled = cancelled - c.n7, rejected = rejected - c.n8, duplicate = duplicate - c.n9,"
		" skipped = skipped - c.n10"
		" FROM (SELECT count(*) AS n, count(*) FILTER (WHERE state = 2) AS n2, count(*) FILTER (WHERE state = 3) AS n3,"
		"       count(*) FILTER (WHERE state = 6) AS n6, count(*) FILTER (WHERE state = 7) AS n7,"
		"       count(*) FILTER (WHERE state = 8) AS n8, count(*) FILTER (WHERE state = 9) AS n9,"
		"       count(*) FILTER (WHERE state = 10) AS n10 FROM row WHERE row_id BETWEEN ?2 AND ?3) c"
		" WHERE manifest_id = ?1",
	[PURGE_ROWS] = "DELETE FROM row WHERE row_id BETWEEN ?1 AND ?2",
	[PURGE_REJECTS] = "DELETE FROM reject WHERE row_id BETWEEN ?1 AND ?2",
	[PURGE_ATTEMPTS] = "DELETE FROM attempt WHERE row_id BETWEEN ?1 AND ?2",
	[PURGE_MANIFEST] = "DELETE FROM manifest WHERE manifest_id = ?1",
	[PURGE_DUE] = "SELECT (SELECT count(*) FROM manifest WHERE settled_at < ?1 AND settled_at IS NOT NULL AND bodies_to < last_row"
		      "        AND state IN ('settled', 'rejected')),"
		      " (SELECT coalesce(sum(last_row - max(bodies_to + 1, first_row) + 1), 0) FROM manifest WHERE settled_at < ?1"
		      "  AND settled_at IS NOT NULL AND bodies_to < last_row AND state IN ('settled', 'rejected')),"
		      " (SELECT count(*) FROM manifest WHERE settled_at < ?2 AND " PURGEABLE "),"
		      " (SELECT coalesce(sum(rows), 0) FROM manifest WHERE settled_at < ?2 AND " PURGEABLE ")",
	[FREE_PAGES] = "PRAGMA freelist_count",
	[GIVE_PAGES_BACK] = "PRAGMA incremental_vacuum(32)",
	[COPY_MARK] = "UPDATE keeping SET copied_at = ?1, copied_from = ?2",
	[COPY_MARKED] = "SELECT copied_at FROM keeping WHERE copied_at IS NOT NULL",
	[RESTORE_OPEN] = "SELECT manifest_id, first_row, last_row FROM manifest WHERE state IN ('loading', 'released')"
			 " AND manifest_id > ?1 AND last_row IS NOT NULL ORDER BY manifest_id LIMIT 1",
	[RESTORE_COUNT] = "SELECT count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1) FROM row"
			  " WHERE row_id BETWEEN ?1 AND ?2",
	/* What was being sent may be done; the time in which an operator thinks about it does not count against a row. */
	[RESTORE_ROWS] =
		"UPDATE row SET outcome = CASE state WHEN 1 THEN 3 ELSE outcome END, finished_at = CASE state WHEN 1 THEN ?3 ELSE finished_at END,"
		" detail = CASE state WHEN 1 THEN 'restored' ELSE detail END, state = 5, due = NULL, give_up = NULL"
		" WHERE row_id BETWEEN ?1 AND ?2 AND state IN (0, 1)",
	[RESTORE_LOADING] =
		"UPDATE manifest SET paused = 'restored' WHERE state = 'loading' AND state IN ('loading', 'released') AND paused = ''",
	[RESTORE_ENDPOINTS] = "UPDATE endpoint SET state = 'paused', reason = 'restored', until = NULL, step = 0",
	[RESTORE_NUMBERS] = "UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = 'manifest'",
	[RESTORE_NUMBERS_FIRST] = "INSERT INTO sqlite_sequence (name, seq) VALUES ('manifest', ?1)",
	[RESTORE_DONE] = "UPDATE keeping SET restored_from = copied_at, restored_at = ?1, copied_at = NULL, copied_from = NULL",
	[RESTORED] = "SELECT coalesce(restored_from, 0), coalesce(restored_at, 0) FROM keeping",
};

/* All that is summed up of a manifest. */
#define COUNTED "queued, sending, accepted, refused, in_doubt, held, expired, cancelled, rejected, duplicate, skipped"
#define COUNTED_NEW                                                                                                                        \
	"new.queued, new.sending, new.accepted, new.refused, new.in_doubt, new.held, new.expired, new.cancelled,"                          \
	" new.rejected, new.duplicate, new.skipped"

#define FIGURES_ADD                                                                                                                          \
	"INSERT INTO figures VALUES (new.source_no, new.state, 1, new.received_at, " COUNTED_NEW ")"                                         \
	" ON CONFLICT DO UPDATE SET manifests = manifests + 1, last_at = max(last_at, excluded.last_at), queued = queued + excluded.queued," \
	" sending = sending + excluded.sending, accepted = accepted + excluded.accepted, refused = refused + excluded.refused,"              \
	" in_doubt = in_doubt + excluded.in_doubt, held = held + excluded.held, expired = expired + excluded.expired,"                       \
	" cancelled = cancelled + excluded.cancelled, rejected = rejected + excluded.rejected, duplicate = duplicate + excluded.duplicate,"  \
	" skipped = skipped + excluded.skipped;"

#define FIGURES_TAKE                                                                                                                        \
	"UPDATE figures SET manifests = manifests - 1, queued = queued - old.queued, sending = sending - old.sending,"                      \
	" accepted = accepted - old.accepted, refused = refused - old.refused, in_doubt = in_doubt - old.in_doubt, held = held - old.held," \
	" expired = expired - old.expired, cancelled = cancelled - old.cancelled, rejected = rejected - old.rejected,"                      \
	" duplicate = duplicate - old.duplicate, skipped = skipped - old.skipped WHERE source_no = old.source_no AND state = old.state;"

/*
 * The sums live in the connection's temporary database, which is in memory and rolls back with the turn. Triggers keep them, so that no
 * function that changes a manifest has to think of them.
 */
const char statement_figures_begin[] =
	"BEGIN;"
	"CREATE TEMP TABLE figures (source_no INTEGER, state TEXT, manifests INTEGER, last_at INTEGER, queued INTEGER, sending INTEGER,"
	" accepted INTEGER, refused INTEGER, in_doubt INTEGER, held INTEGER, expired INTEGER, cancelled INTEGER, rejected INTEGER,"
	" duplicate INTEGER, skipped INTEGER, PRIMARY KEY (source_no, state)) WITHOUT ROWID;"
	"INSERT INTO figures SELECT source_no, state, count(*), max(received_at), sum(queued), sum(sending), sum(accepted), sum(refused),"
	" sum(in_doubt), sum(held), sum(expired), sum(cancelled), sum(rejected), sum(duplicate), sum(skipped)"
	" FROM main.manifest GROUP BY source_no, state;"
	"CREATE TEMP TRIGGER figures_come AFTER INSERT ON main.manifest BEGIN " FIGURES_ADD " END;"
	"CREATE TEMP TRIGGER figures_go AFTER DELETE ON main.manifest BEGIN " FIGURES_TAKE " END;"
	"CREATE TEMP TRIGGER figures_change AFTER UPDATE OF source_no, state, received_at, " COUNTED " ON main.manifest BEGIN " FIGURES_TAKE
	" " FIGURES_ADD " END;"
	"COMMIT";

const char statement_figures[] = "SELECT s.name, s.state, s.waiting_files, f.state, f.manifests, f.last_at, f.queued, f.sending,"
				 " f.accepted, f.refused, f.in_doubt, f.held, f.expired, f.cancelled, f.rejected, f.duplicate, f.skipped"
				 " FROM source s LEFT JOIN temp.figures f ON f.source_no = s.source_no ORDER BY s.name";

/* For a copy (backup.c): the reader's snapshot; a file that is the copy's alone until it has its name; that file without a WAL; its check.
 */
const char statement_snapshot[] = "BEGIN; SELECT count(*) FROM sqlite_schema";
const char statement_copy_begin[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF";
const char statement_copy_end[] = "PRAGMA journal_mode=DELETE";
