#include "queue/verify_inside.h"

/* Lower-case words as the views have them. */
#define STATE_OF(row)                                                                                                                      \
	"CASE " row                                                                                                                        \
	".state WHEN 0 THEN 'queued' WHEN 1 THEN 'sending' WHEN 2 THEN 'accepted' WHEN 3 THEN 'refused' WHEN 4 THEN 'in_doubt'"            \
	" WHEN 5 THEN 'held' WHEN 6 THEN 'expired' WHEN 7 THEN 'cancelled' WHEN 8 THEN 'rejected' WHEN 9 THEN 'duplicate'"                 \
	" WHEN 10 THEN 'skipped' END"

#define COUNTED(name, number)                                                                                                              \
	" || CASE WHEN m." name " <> c.n" number " THEN ', ' || m." name " || ' " name " counted and ' || c.n" number " || ' there'"       \
	" ELSE '' END"
#define DIFFERS(name, number) " OR m." name " <> c.n" number
#define COUNT(number) ", count(*) FILTER (WHERE r.state = " number ") AS n" number

#define STATES(X)                                                                                                                          \
	X("queued", "0")                                                                                                                   \
	X("sending", "1")                                                                                                                  \
	X("accepted", "2")                                                                                                                 \
	X("refused", "3")                                                                                                                  \
	X("in_doubt", "4")                                                                                                                 \
	X("held", "5")                                                                                                                     \
	X("expired", "6")                                                                                                                  \
	X("cancelled", "7")                                                                                                                \
	X("rejected", "8")                                                                                                                 \
	X("duplicate", "9")                                                                                                                \
	X("skipped", "10")

#define RESTORE "keep a copy of queue.db and its -wal, then put the last good backup in its place"

const char verify_sound[] = "PRAGMA integrity_check(20)";
const char verify_quickly_sound[] = "PRAGMA quick_check(20)";

/* A manifest's rows stand together, so that they are counted along the table. */
const char verify_balance[] = "SELECT 'manifest ' || m.manifest_id || ': ' || m.rows || ' rows counted and ' || c.n || ' there'" STATES(
	COUNTED) " FROM manifest m"
		 " JOIN (SELECT m.manifest_id AS id, count(r.row_id) AS n" COUNT("0") COUNT("1") COUNT("2") COUNT("3") COUNT("4") COUNT(
			 "5") COUNT("6") COUNT("7") COUNT("8") COUNT("9")
			 COUNT("10") "       FROM manifest m LEFT JOIN row r ON r.row_id BETWEEN m.first_row AND m.last_row AND r.manifest_id = m.manifest_id"
				     "       GROUP BY m.manifest_id) c ON c.id = m.manifest_id"
				     " WHERE m.rows <> c.n" STATES(DIFFERS);

const struct verify_check verify_checks[] = {
	{ "SELECT 'table ' || \"table\" || coalesce(', entry ' || rowid, '') || ' names something in ' || parent || ' that is not there'"
	  " FROM pragma_foreign_key_check",
	  RESTORE },
	{ verify_balance, "rows were added, removed or changed by hand, or lost; " RESTORE },
	{ "SELECT 'row ' || r.row_id || ' is of manifest ' || r.manifest_id || ', ' || CASE WHEN m.manifest_id IS NULL THEN 'which is not there'"
	  " ELSE 'whose rows are ' || coalesce(m.first_row || ' to ' || m.last_row, 'none') END"
	  " FROM row r LEFT JOIN manifest m ON m.manifest_id = r.manifest_id"
	  " WHERE m.first_row IS NULL OR r.row_id < m.first_row OR r.row_id > m.last_row",
	  RESTORE },
	{ "SELECT 'manifest ' || manifest_id || ' is ' || state || ' with ' || (queued + sending + in_doubt + held) || ' open rows' FROM manifest"
	  " WHERE (state IN ('settled', 'duplicate') AND queued + sending + in_doubt + held > 0)"
	  " OR (state = 'released' AND queued + sending + in_doubt + held = 0)",
	  RESTORE },
	{ "SELECT 'manifest ' || manifest_id || ' is rejected with ' || (rows - rejected) || ' rows that are not' FROM manifest"
	  " WHERE state = 'rejected' AND rows <> rejected",
	  RESTORE },
	{ "SELECT 'row ' || r.row_id || ' counts ' || r.attempts || ' attempts, ' || (n + 1) || ' are recorded' FROM"
	  " (SELECT r.row_id, r.attempts, (SELECT count(*) FROM attempt a WHERE a.row_id = r.row_id) AS n FROM row r WHERE r.attempts > 1) r"
	  " WHERE n + 1 <> r.attempts",
	  "see trackbridge show ROW: a request may have been sent that is not recorded" },
	{ "SELECT 'row ' || a.row_id || CASE WHEN r.row_id IS NULL THEN ' is not there and has attempt ' ELSE ' counts ' || r.attempts ||"
	  " ' attempts and has attempt ' END || a.attempt || ' recorded'"
	  " FROM attempt a LEFT JOIN row r ON r.row_id = a.row_id WHERE r.row_id IS NULL OR a.attempt < 1 OR a.attempt >= r.attempts",
	  "see trackbridge show ROW: a request may have been sent that is not recorded" },
	{ "SELECT 'row ' || row_id || ' has ' || attempts || ' attempts and its last one ' || CASE"
	  " WHEN attempts = 0 THEN 'is recorded' WHEN correlation IS NULL THEN 'no correlation id' ELSE 'no time' END FROM row"
	  " WHERE (attempts = 0 AND (correlation IS NOT NULL OR outcome IS NOT NULL OR sent_at IS NOT NULL))"
	  " OR (attempts > 0 AND (correlation IS NULL OR sent_at IS NULL)) OR attempts < 0",
	  "see trackbridge show ROW: a request may have been sent that is not recorded" },
	{ "SELECT 'row ' || r.row_id || ' is ' || " STATE_OF(
		  "r") " || ' and its last attempt ended ' || CASE outcome WHEN 1 THEN 'accepted' WHEN 2 THEN 'refused' WHEN 3 THEN 'in_doubt'"
		       " WHEN 4 THEN 'back' ELSE 'never' END FROM row r"
		       " WHERE (state = 1 AND outcome IS NOT NULL) OR (state = 2 AND (outcome IS NULL OR outcome NOT IN (1, 3)))"
		       " OR (state = 3 AND outcome IS NOT 2) OR (state = 4 AND outcome IS NOT 3) OR (state = 6 AND outcome IS NOT 4)"
		       " OR (state >= 8 AND attempts > 0) OR (state <> 1 AND attempts > 0 AND outcome IS NULL)",
	  "somebody changed its state by hand; ask D1 what it knows of the card" },
	{ "SELECT 'rows ' || min(row_id) || ' and ' || max(row_id) || ' stand for the same event of one card'"
	  " FROM row WHERE superseded = 0 AND card_id IS NOT NULL GROUP BY card_id, issuer_no, event HAVING count(*) > 1",
	  "hold both and see what was sent: the event may go out twice" },
	{ "SELECT 'row ' || r.row_id || ' is ' || " STATE_OF("r") " || ' and stands for its event' FROM row r WHERE superseded = 0"
								  " AND (state = 6 OR state >= 8)",
	  "a later row of the same event would be a duplicate of it and not be sent" },
	{ "SELECT 'row ' || r.row_id || ' waits behind row ' || r.behind || ', which ' || CASE WHEN b.row_id IS NULL THEN 'is not there'"
	  " WHEN b.row_id = r.row_id OR (b.row_id > r.row_id AND b.state <> 1) THEN 'comes after it' WHEN b.card_id IS NOT r.card_id OR b.issuer_no IS NOT r.issuer_no THEN"
	  " 'is of another card' ELSE 'is ' || " STATE_OF(
		  "b") " END FROM row r LEFT JOIN row b ON b.row_id = r.behind WHERE r.behind IS NOT NULL"
		       " AND (b.row_id IS NULL OR b.row_id = r.row_id OR (b.row_id > r.row_id AND b.state <> 1) OR b.card_id IS NOT r.card_id"
		       "      OR b.issuer_no IS NOT r.issuer_no OR b.state NOT IN (0, 1, 4, 5))",
	  "it would wait for ever; hold and release it" },
	{ "SELECT 'row ' || row_id || ' does not wait for row ' || earlier || ' of its card' FROM"
	  " (SELECT row_id, state, behind, lag(row_id) OVER (PARTITION BY card_id, issuer_no ORDER BY row_id) AS earlier FROM row"
	  "  WHERE state IN (0, 1, 4, 5)) WHERE earlier IS NOT NULL AND state IN (0, 5) AND behind IS NULL",
	  "it may be sent too early; hold it until the other one has ended" },
	{ "SELECT 'row ' || r.row_id || ' is queued, and nothing will come to it' FROM manifest m"
	  " JOIN row r ON r.row_id BETWEEN m.first_row AND m.last_row"
	  " LEFT JOIN lane l ON l.manifest_id = m.manifest_id AND l.issuer_no = r.issuer_no"
	  " WHERE m.state = 'released' AND r.state = 0 AND r.behind IS NULL AND r.due IS NULL"
	  " AND (l.next_row IS NULL OR l.next_row > r.row_id)",
	  "it would never be sent; hold and release it" },
	{ "SELECT 'the next manifest would get number ' || (coalesce(seq, 0) + 1) || ', which is given' FROM"
	  " (SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'manifest') AS seq, (SELECT max(manifest_id) FROM manifest) AS given)"
	  " WHERE given > coalesce(seq, 0)",
	  RESTORE },
	{ "SELECT 'the table keeping has ' || count(*) || ' lines' FROM keeping HAVING count(*) <> 1",
	  "row numbers may be given twice; " RESTORE },
	{ "SELECT 'row ' || x.row_id || ' is not there and has its place in the file recorded' FROM reject x"
	  " LEFT JOIN row r ON r.row_id = x.row_id WHERE r.row_id IS NULL",
	  RESTORE },
};
const size_t verify_n_checks = sizeof(verify_checks) / sizeof(verify_checks[0]);

const char verify_keys[] = "SELECT key & 4294967295, key FROM"
			   " (SELECT key FROM card_0 UNION ALL SELECT key FROM card_1 UNION ALL SELECT key FROM card_2) ORDER BY 1, 2";
const char verify_cards[] = "SELECT row_id, card_id FROM row WHERE card_id IS NOT NULL ORDER BY row_id";
const char verify_extent[] = "SELECT (SELECT count(*) FROM manifest), (SELECT count(*) FROM row)";
const char verify_file[] = "SELECT manifest_id, archived, sha256, bytes FROM manifest"
			   " WHERE manifest_id > ?1 AND archived IS NOT NULL AND archived <> x'' AND received_at >= ?2"
			   " ORDER BY manifest_id LIMIT 1";
