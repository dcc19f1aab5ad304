#include "queue/read_sql.h"

#include "queue/card.h"
#include "queue/statements.h"

/*
 * The view's state is text that no index has, so a page of row numbers is chosen from the table first. The planner is kept from walking the
 * whole table in the order of row_id by the + before it, where the card leads.
 */
#define ROWS_BEGIN "SELECT v.* FROM (SELECT r.row_id FROM row r WHERE "
#define ROWS_END                                                                                                                           \
	" AND (:state IS NULL OR r.state = :state)"                                                                                        \
	" AND (:card IS NULL OR r.card_id = :card)"                                                                                        \
	" AND (:operation_id IS NULL OR r.operation_id = :operation_id)"                                                                   \
	" AND (:manifest IS NULL OR r.manifest_id = :manifest)"                                                                            \
	" AND ((:source IS NULL AND :since IS NULL) OR EXISTS (SELECT 1 FROM manifest m WHERE m.manifest_id = r.manifest_id"               \
	"      AND (:source IS NULL OR m.source_no = (SELECT source_no FROM source WHERE name = :source))"                                 \
	"      AND (:since IS NULL OR coalesce(m.released_at, m.received_at) >= :since)))"                                                 \
	" ORDER BY r.row_id LIMIT :page) p JOIN status v ON v.row_id = p.row_id ORDER BY p.row_id"

#define MANIFEST_FITS                                                                                                                      \
	" (:manifest IS NULL OR m.manifest_id = :manifest)"                                                                                \
	" AND (:source IS NULL OR m.source_no = (SELECT source_no FROM source WHERE name = :source))"                                      \
	" AND (:since IS NULL OR coalesce(m.released_at, m.received_at) >= :since)"

const char *const read_sql[READ_SQL_N] = {
	[READ_ROWS_OF_CARD] = ROWS_BEGIN "r.row_id IN (SELECT " CARD_ROW " FROM (" CARD_KEYS ") c)"
					 " AND +r.row_id > :after AND +r.row_id <= :last" ROWS_END,
	[READ_ROWS_IN_ATTENTION] = ROWS_BEGIN
	"r.state = :state AND (r.state = 1 OR r.state = 3 OR r.state = 4 OR r.state = 5 OR r.state = 6) AND r.row_id > :after AND r.row_id <= :last" ROWS_END,
	[READ_ROWS_IN_RANGE] = ROWS_BEGIN "r.row_id > :after AND r.row_id <= :last" ROWS_END,
	[READ_RANGE] = "SELECT coalesce(min(m.first_row), 0), coalesce(max(m.last_row), -1) FROM manifest m WHERE" MANIFEST_FITS,
	[READ_MANIFESTS] = "SELECT v.* FROM manifest m JOIN manifest_status v ON v.manifest_id = m.manifest_id"
			   " WHERE m.manifest_id > :after AND (:state_name IS NULL OR m.state = :state_name) AND" MANIFEST_FITS
			   " ORDER BY m.manifest_id LIMIT :page",
	[READ_ENDPOINTS] = "SELECT * FROM endpoint_status ORDER BY endpoint",
	[READ_SOURCES] = "SELECT * FROM source_status ORDER BY source",
	[READ_ATTEMPTS] = "SELECT * FROM attempt_history WHERE row_id = :row ORDER BY attempt",
	[READ_OPERATOR_ACTIONS] = "SELECT * FROM operator_action_log ORDER BY at",
	[READ_REQUEST] = "SELECT i.issuer_id, r.card_id,"
			 " CASE r.type WHEN 1 THEN 'PRODUCTION' WHEN 2 THEN 'SHIPMENT' WHEN 3 THEN 'RETURN' END AS tracking_type,"
			 " r.production_site, r.tracking_number, r.postal_code, r.country_code, r.shipment_date"
			 " FROM row r LEFT JOIN issuer i ON i.issuer_no = r.issuer_no WHERE r.row_id = :row",
	[READ_OVERVIEW] =
		"SELECT coalesce(sum(state = 'loading'), 0) AS loading, coalesce(sum(state = 'released'), 0) AS released,"
		" coalesce(sum(state = 'settled'), 0) AS settled, coalesce(sum(state = 'rejected'), 0) AS manifests_rejected,"
		" coalesce(sum(state = 'duplicate'), 0) AS manifests_duplicate, coalesce(sum(rows), 0) AS rows,"
		" coalesce(sum(queued), 0) AS queued, coalesce(sum(sending), 0) AS sending, coalesce(sum(accepted), 0) AS accepted,"
		" coalesce(sum(refused), 0) AS refused, coalesce(sum(in_doubt), 0) AS in_doubt, coalesce(sum(held), 0) AS held,"
		" coalesce(sum(expired), 0) AS expired, coalesce(sum(cancelled), 0) AS cancelled,"
		" coalesce(sum(rejected), 0) AS rejected, coalesce(sum(duplicate), 0) AS duplicate,"
		" coalesce(sum(skipped), 0) AS skipped FROM manifest",
	[READ_CERTIFICATES] = "SELECT name AS endpoint,"
			      " strftime('%Y-%m-%dT%H:%M:%fZ', certificate_expires_at / 1000.0, 'unixepoch') AS expires_at,"
			      " CAST(floor((certificate_expires_at / 1000 - unixepoch()) / 86400.0) AS INTEGER) AS days FROM endpoint"
			      " WHERE certificate_expires_at / 1000 - unixepoch() < 30 * 86400 ORDER BY name",
	[READ_OLDEST_WAITING] = "SELECT m.manifest_id, s.name AS source, m.shown_name AS name,"
				" strftime('%Y-%m-%dT%H:%M:%fZ', m.released_at / 1000.0, 'unixepoch') AS queued_at, m.paused"
				" FROM manifest m JOIN source s ON s.source_no = m.source_no"
				" WHERE m.state = 'released' AND m.state IN ('loading', 'released') AND m.queued > 0"
				" ORDER BY m.released_at, m.manifest_id LIMIT 1",
	[READ_ACTIVITY] =
		"SELECT coalesce(sum(accepted) FILTER (WHERE at >= :now - :now % 10000 - 60000), 0) AS accepted,"
		" :now - :now % 10000 - 60000 AS since, coalesce(sum(refused), 0) AS refused, coalesce(sum(in_doubt), 0) AS in_doubt,"
		" coalesce(sum(expired), 0) AS expired,"
		" (SELECT coalesce(sum(m.queued + m.sending), 0) FROM manifest m WHERE m.state = 'released'"
		"  AND m.state IN ('loading', 'released') AND m.paused = '') AS movable"
		" FROM activity WHERE at > :now - 86400000 AND at <= :now",
	/* A lane with rows that were never tried has waited since it was released; else the row that was put back and may go again. */
	[READ_READY] = "SELECT manifest_id, since FROM (SELECT m.manifest_id, CASE WHEN l.next_row <= m.last_row THEN m.released_at"
		       " ELSE (SELECT r.due FROM row r WHERE r.manifest_id = l.manifest_id AND r.issuer_no = l.issuer_no"
		       "       AND r.due IS NOT NULL AND r.due <= :now ORDER BY r.due LIMIT 1) END AS since"
		       " FROM manifest m JOIN lane l ON l.manifest_id = m.manifest_id JOIN issuer i ON i.issuer_no = l.issuer_no"
		       " JOIN endpoint e ON e.endpoint_no = i.endpoint_no"
		       " WHERE m.state = 'released' AND m.state IN ('loading', 'released') AND m.paused = '' AND m.queued > 0"
		       " AND e.state <> 'paused') WHERE since IS NOT NULL ORDER BY since LIMIT 1",
	[READ_TROUBLE] =
		"SELECT 'paused' AS trouble, m.manifest_id, s.name AS source, m.shown_name AS name,"
		" m.paused || CASE WHEN m.reason <> '' THEN ': ' || m.reason ELSE '' END AS reason"
		" FROM manifest m JOIN source s ON s.source_no = m.source_no"
		" WHERE m.state = 'released' AND m.state IN ('loading', 'released') AND m.paused <> ''"
		" UNION ALL SELECT 'receipt', m.manifest_id, s.name, m.shown_name, m.reason"
		" FROM manifest m JOIN source s ON s.source_no = m.source_no"
		" WHERE m.receipt_at IS NOT NULL AND m.reason LIKE 'receipt: %'"
		" UNION ALL SELECT 'rejects', m.manifest_id, s.name, m.shown_name, m.reason"
		" FROM manifest m JOIN source s ON s.source_no = m.source_no WHERE m.rejects_due = 1 AND m.reason LIKE 'rejects: %'"
		" UNION ALL SELECT 'archive', m.manifest_id, s.name, m.shown_name, m.reason"
		" FROM manifest m JOIN source s ON s.source_no = m.source_no WHERE m.archived IS NULL AND m.reason LIKE 'archive: %'",
	[READ_COUNTS] =
		"SELECT m.manifest_id, s.name AS source, m.state, m.received_at, m.rows, m.queued, m.sending, m.accepted, m.refused,"
		" m.in_doubt, m.held, m.expired, m.cancelled, m.rejected, m.duplicate, m.skipped"
		" FROM manifest m CROSS JOIN source s ON s.source_no = m.source_no"
		" WHERE m.manifest_id > :after ORDER BY m.manifest_id LIMIT :page",
	[READ_SOURCES_NOW] = "SELECT name AS source, state, reason, waiting_files FROM source ORDER BY name",
	[READ_ENDPOINTS_AND_CERTIFICATES] =
		"SELECT v.*, strftime('%Y-%m-%dT%H:%M:%fZ', e.certificate_expires_at / 1000.0, 'unixepoch') AS certificate_expires_at,"
		" CAST(floor((e.certificate_expires_at / 1000 - unixepoch()) / 86400.0) AS INTEGER) AS certificate_days"
		" FROM endpoint_status v JOIN endpoint e ON e.name = v.endpoint ORDER BY v.endpoint",
	[READ_WAITING_MANIFESTS] =
		"SELECT m.manifest_id, s.name AS source, m.shown_name AS name,"
		" strftime('%Y-%m-%dT%H:%M:%fZ', m.released_at / 1000.0, 'unixepoch') AS queued_at, m.paused, m.rows, m.queued"
		" FROM manifest m JOIN source s ON s.source_no = m.source_no"
		" WHERE m.state = 'released' AND m.state IN ('loading', 'released') AND (m.queued > 0 OR m.paused <> '')"
		" ORDER BY m.paused = '', m.released_at, m.manifest_id LIMIT :page",
	[READ_LATEST_ACTIONS] =
		"SELECT strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS at, user, uid, action, selector, rows, reason"
		" FROM operator_action WHERE :since IS NULL OR at >= :since ORDER BY action_no DESC LIMIT :page",
	[READ_RECEIPT_ROWS] = "SELECT " RECEIPT_COLUMNS " WHERE row_id > :after AND row_id <= :last ORDER BY row_id LIMIT :page",
	[READ_EVENT] = "SELECT r.row_id, r.state FROM (" CARD_KEYS ") c CROSS JOIN row r ON r.row_id = " CARD_ROW
		       " WHERE r.card_id = :card AND r.issuer_no = (SELECT issuer_no FROM issuer WHERE issuer_id = :issuer)"
		       " AND r.superseded = 0 AND r.event = :event"
		       " AND NOT (r.state = 3 AND NOT (r.type = :type AND ((r.production_site IS :production_site"
		       "          AND r.tracking_number IS :tracking_number AND r.postal_code IS :postal_code"
		       "          AND r.country_code IS :country_code AND r.shipment_date IS :shipment_date)"
		       "          OR r.row_id <= (SELECT m.bodies_to FROM manifest m WHERE m.manifest_id = r.manifest_id))))",
	[READ_SAME_BYTES] = "SELECT m.manifest_id FROM manifest m"
			    " WHERE m.source_no = (SELECT source_no FROM source WHERE name = :source) AND m.sha256 = :sha256"
			    " AND m.state IN ('released', 'settled') AND m.rejected = 0 ORDER BY m.manifest_id LIMIT 1",
};
