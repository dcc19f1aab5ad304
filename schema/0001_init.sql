-- trackbridge's queue, version 1. The views at the end are the supported interface; the tables may change with user_version.
-- Times are INTEGER milliseconds since 1970 (UTC). Columns *_at are wall-clock records; due and until are for waiting and are
-- read through the daemon's steady clock.
--
-- What a row costs was measured with ten million rows (docs/architecture.md has the figures), and shaped this: the request is kept as its
-- fields, not as JSON; the last attempt stands in the row itself, so that a row that is accepted at once needs no second table; a row that
-- was never tried is found by its manifest's place in the table (lane.next_row), so that claiming it writes no index but row_attention.

CREATE TABLE source (
    source_no       INTEGER PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE,       -- of the configuration
    drop_directory  TEXT NOT NULL,
    since           INTEGER NOT NULL,           -- when it was first configured
    state           TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('open', 'waiting', 'late', 'removed')),
    reason          TEXT NOT NULL DEFAULT '',   -- why it waits, or since when no manifest came
    waiting_files   INTEGER NOT NULL DEFAULT 0  -- matching names that are not taken yet
) STRICT;

CREATE TABLE endpoint (
    endpoint_no       INTEGER PRIMARY KEY,
    name              TEXT NOT NULL UNIQUE,     -- of the configuration
    state             TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paused', 'probing')),
    reason            TEXT NOT NULL DEFAULT ''
                      CHECK (reason IN ('', 'outage', 'credentials', 'certificate', 'redirect', 'proxy', 'operator', 'restored')),
    until             INTEGER,                  -- end of the pause; NULL: none, or it waits for an operator
    step              INTEGER NOT NULL DEFAULT 0, -- pauses running: the exponent of the back-off
    concurrency       INTEGER NOT NULL DEFAULT 1, -- most requests in flight at the moment
    token_expires_at  INTEGER,
    certificate_expires_at INTEGER,             -- of the client certificate; NULL: not known
    last_accepted_at  INTEGER,
    open_ms           INTEGER NOT NULL DEFAULT 0 -- how long it has been open in all: the clock by which rows give up
) STRICT;

CREATE TABLE issuer (
    issuer_no    INTEGER PRIMARY KEY,
    issuer_id    TEXT NOT NULL UNIQUE,
    endpoint_no  INTEGER REFERENCES endpoint    -- of today's configuration; NULL: no endpoint has it now
) STRICT;

CREATE TABLE manifest (
    manifest_id  INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: receipts and archive are named after it
    source_no    INTEGER NOT NULL REFERENCES source,
    name         BLOB NOT NULL,                 -- of the file as it was dropped, in its own bytes
    shown_name   TEXT NOT NULL,                 -- the same with control and non-UTF-8 bytes as \xNN
    sha256       BLOB NOT NULL CHECK (length(sha256) = 32),
    bytes        INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('loading', 'released', 'settled', 'rejected', 'duplicate')),
    verdict      TEXT,                          -- while loading: why the whole manifest is going to be rejected,
    reject_next  INTEGER,                       -- and the first of its rows that is not rejected yet
    repeats      INTEGER NOT NULL DEFAULT 0,    -- queued rows whose card has an accepted row of the type with another request
    paused       TEXT NOT NULL DEFAULT '' CHECK (paused IN ('', 'operator', 'refusals', 'repeats', 'restored')),
    reason       TEXT NOT NULL DEFAULT '',
    duplicate_of INTEGER,                       -- the manifest with the same bytes
    received_at  INTEGER NOT NULL,
    released_at  INTEGER,
    settled_at   INTEGER,
    -- the original in the drop directory, until it is known to be gone: a crash in between leaves it there
    original     INTEGER NOT NULL DEFAULT 1 CHECK (original IN (0, 1)),
    device       INTEGER NOT NULL,
    inode        INTEGER NOT NULL,
    mtime_ns     INTEGER NOT NULL,
    -- where loading stands: the byte and the physical line at which the next record begins
    load_offset  INTEGER NOT NULL DEFAULT 0,
    load_line    INTEGER NOT NULL DEFAULT 1,
    -- what is still to be written for the factory
    archived     BLOB,                          -- path below archive/; NULL: the copy is spool/<manifest_id>
    rejects_due  INTEGER NOT NULL DEFAULT 0 CHECK (rejects_due IN (0, 1)),
    receipt_at   INTEGER,                       -- when the next receipt is due; NULL: none
    -- its rows stand together in the table `row`; NULL while there are none
    first_row    INTEGER,
    last_row     INTEGER,
    bodies_to    INTEGER NOT NULL DEFAULT 0,    -- of its rows up to this one the request is gone (retention.bodies), whatever it was
    -- rows read, and the same rows by state: these balance at every commit
    rows         INTEGER NOT NULL DEFAULT 0,
    queued       INTEGER NOT NULL DEFAULT 0 CHECK (queued >= 0),
    sending      INTEGER NOT NULL DEFAULT 0 CHECK (sending >= 0),
    accepted     INTEGER NOT NULL DEFAULT 0 CHECK (accepted >= 0),
    refused      INTEGER NOT NULL DEFAULT 0 CHECK (refused >= 0),
    in_doubt     INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt >= 0),
    held         INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    expired      INTEGER NOT NULL DEFAULT 0 CHECK (expired >= 0),
    cancelled    INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    rejected     INTEGER NOT NULL DEFAULT 0 CHECK (rejected >= 0),
    duplicate    INTEGER NOT NULL DEFAULT 0 CHECK (duplicate >= 0),
    skipped      INTEGER NOT NULL DEFAULT 0 CHECK (skipped >= 0),
    CHECK (rows = queued + sending + accepted + refused + in_doubt + held + expired + cancelled + rejected + duplicate + skipped)
) STRICT;

CREATE INDEX manifest_bytes ON manifest (source_no, sha256);
CREATE INDEX manifest_open ON manifest (state) WHERE state IN ('loading', 'released');
CREATE INDEX manifest_original ON manifest (source_no) WHERE original = 1;
CREATE INDEX manifest_unarchived ON manifest (manifest_id) WHERE archived IS NULL;
CREATE INDEX manifest_rejects ON manifest (manifest_id) WHERE rejects_due = 1;
CREATE INDEX manifest_receipt ON manifest (receipt_at) WHERE receipt_at IS NOT NULL;
-- What purging looks for, oldest first.
CREATE INDEX manifest_bodies ON manifest (settled_at) WHERE settled_at IS NOT NULL AND bodies_to < last_row;
CREATE INDEX manifest_settled ON manifest (settled_at) WHERE settled_at IS NOT NULL;

-- One row of a manifest, whatever became of it. row_id rises with manifest and line, and that is the order of a card's rows.
CREATE TABLE row (
    row_id           INTEGER PRIMARY KEY,
    manifest_id      INTEGER NOT NULL,
    line             INTEGER NOT NULL,          -- physical line of the file on which it begins
    issuer_no        INTEGER,                   -- NULL: a rejected or skipped row without a known issuer
    card_id          TEXT,                      -- NULL likewise
    type             INTEGER NOT NULL,          -- 1 PRODUCTION, 2 SHIPMENT, 3 RETURN, 0 unknown (rejected, skipped)
    -- 0 queued, 1 sending, 2 accepted, 3 refused, 4 in_doubt, 5 held, 6 expired, 7 cancelled, 8 rejected, 9 duplicate, 10 skipped
    state            INTEGER NOT NULL CHECK (state BETWEEN 0 AND 10),
    -- the request; personal data, set to NULL when retention.bodies is over
    production_site  TEXT,
    tracking_number  TEXT,
    postal_code      TEXT,
    country_code     TEXT,
    shipment_date    INTEGER,                   -- seconds since 1970
    -- which event it is (64 bits of SHA-256; compared within one card only), and whether this row stands for it: superseded
    -- is 0 for the one row of the event that does. Its number is found by the card, in the tables card_0 to card_2
    event            INTEGER NOT NULL,
    superseded       INTEGER NOT NULL CHECK (superseded = 0 OR superseded = 1),
    same_as          INTEGER,                   -- of a duplicate: the row it repeats
    replaces         INTEGER,                   -- the refused row whose event it stands for now
    -- when and after what it may go; both NULL: at once, as soon as its manifest's lane comes to it
    behind           INTEGER,                   -- the unfinished row of its card that goes before it
    due              INTEGER,                   -- it was passed by its lane and may go from then on
    give_up          INTEGER,                   -- reading of endpoint.open_ms at which it expires; while it is held, in doubt or behind, what is left until then
    forbidden        INTEGER NOT NULL DEFAULT 0, -- how often it alone was told 403
    -- the last attempt; earlier ones are in the table attempt
    attempts         INTEGER NOT NULL DEFAULT 0,
    outcome          INTEGER,                   -- 1 accepted, 2 refused, 3 in_doubt, 4 back; NULL: none yet
    correlation      INTEGER,                   -- x-correlation-id, 64 random bits sent as 16 hexadecimal digits
    sent_at          INTEGER,
    finished_at      INTEGER,                   -- of the attempt, or when the row came to its end without one
    http_status      INTEGER,
    error_code       TEXT,
    detail           TEXT,
    operation_id     TEXT,
    CHECK (state >= 8 OR (issuer_no IS NOT NULL AND card_id IS NOT NULL AND type BETWEEN 1 AND 3)),
    CHECK (state <> 1 OR (attempts > 0 AND correlation IS NOT NULL AND behind IS NULL)),
    CHECK (due IS NULL OR (state = 0 AND behind IS NULL))
) STRICT;

-- Rows that were passed by their lane, by the time from which they may go.
CREATE INDEX row_due ON row (manifest_id, issuer_no, due) WHERE due IS NOT NULL;
-- Who waits behind a row.
CREATE INDEX row_behind ON row (behind) WHERE behind IS NOT NULL;
-- What was claimed (to be found after a crash), and what a person has to look at. (Not with IN: SQLite would build a table of the five
-- numbers each time that a row is written. The same goes for the checks above.)
CREATE INDEX row_attention ON row (state) WHERE state = 1 OR state = 3 OR state = 4 OR state = 5 OR state = 6;

-- Which rows a card has: for each row with a card one key, 31 bits of a hash of card_id above the 32 of row_id (src/queue/card.h).
-- A key comes into card_0 and moves on, many at a time and in order, to card_1 and then card_2; it is in one of them.
CREATE TABLE card_0 (key INTEGER PRIMARY KEY) STRICT;
CREATE TABLE card_1 (key INTEGER PRIMARY KEY) STRICT;
CREATE TABLE card_2 (key INTEGER PRIMARY KEY) STRICT;

-- A rejected row's place in the file and the column at fault; the reason is in row.detail.
CREATE TABLE reject (
    row_id       INTEGER PRIMARY KEY,
    byte_offset  INTEGER NOT NULL,
    byte_length  INTEGER NOT NULL,
    column_name  TEXT NOT NULL
) STRICT;

-- All attempts of a row but the last.
CREATE TABLE attempt (
    row_id       INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    correlation  INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    http_status  INTEGER,
    error_code   TEXT,
    outcome      INTEGER,
    detail       TEXT,
    PRIMARY KEY (row_id, attempt)
) STRICT, WITHOUT ROWID;

-- How far a released manifest has been claimed, for each issuer in it. Rows from next_row on were never passed.
CREATE TABLE lane (
    manifest_id   INTEGER NOT NULL REFERENCES manifest,
    issuer_no     INTEGER NOT NULL REFERENCES issuer,
    next_row      INTEGER NOT NULL,
    paused_clock  INTEGER,                      -- endpoint.open_ms when the manifest was paused; NULL: it is not
    PRIMARY KEY (manifest_id, issuer_no)
) STRICT, WITHOUT ROWID;

-- An operator's order that is being carried out, in slices; while there is one, no row is claimed. There is one at most.
CREATE TABLE operator_order (
    order_no      INTEGER PRIMARY KEY CHECK (order_no = 1),
    move          INTEGER NOT NULL,              -- 0 retry, 1 hold, 2 release, 3 cancel, 4 resolve --accepted, 5 resolve --resend
    row_ids       TEXT,                          -- selected by number, with blanks between them; NULL: by what follows
    manifest_id   INTEGER,
    card_id       TEXT,
    state         INTEGER,
    error_code    TEXT,
    anyway        INTEGER NOT NULL CHECK (anyway IN (0, 1)),
    operation_id  TEXT,
    next_row      INTEGER NOT NULL,              -- what comes before was moved or declined
    last_row      INTEGER NOT NULL,              -- later rows came after the order
    moved         INTEGER NOT NULL DEFAULT 0,
    declined      INTEGER NOT NULL DEFAULT 0,
    -- for operator_action, when all is done
    at            INTEGER NOT NULL,
    user          TEXT NOT NULL,
    uid           INTEGER NOT NULL,
    selector      TEXT NOT NULL,
    reason        TEXT NOT NULL
) STRICT;

-- Who moved what. Nothing in the program changes or removes a line.
CREATE TABLE operator_action (
    action_no  INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    user       TEXT NOT NULL,
    uid        INTEGER NOT NULL,
    action     TEXT NOT NULL,
    selector   TEXT NOT NULL,
    rows       INTEGER NOT NULL,
    reason     TEXT NOT NULL
) STRICT;

-- What is true of the database as a whole: one line.
CREATE TABLE keeping (
    only          INTEGER PRIMARY KEY CHECK (only = 1),
    last_row      INTEGER NOT NULL DEFAULT 0,   -- the highest number of a purged row: no number is given twice
    copied_at     INTEGER,                      -- this is a copy of that time: whoever writes to it first puts its rows on hold
    copied_from   TEXT,                         -- of a copy: the path of the original
    restored_from INTEGER,                      -- what was a copy of that time once is in use
    restored_at   INTEGER                       -- since then
) STRICT;
INSERT INTO keeping (only) VALUES (1);

-- What came of sent rows, counted for each ten seconds of the wall clock and kept for a little more than a day: `status` reads from it how
-- fast it goes and what went wrong of late, without a look at a row.
CREATE TABLE activity (
    at        INTEGER PRIMARY KEY,              -- when the ten seconds begin
    accepted  INTEGER NOT NULL,
    refused   INTEGER NOT NULL,
    in_doubt  INTEGER NOT NULL,
    expired   INTEGER NOT NULL
) STRICT;

CREATE VIEW status AS
SELECT r.row_id,
       r.manifest_id,
       s.name AS source,
       m.shown_name AS manifest,
       r.line,
       i.issuer_id,
       r.card_id,
       CASE r.type WHEN 1 THEN 'PRODUCTION' WHEN 2 THEN 'SHIPMENT' WHEN 3 THEN 'RETURN' END AS tracking_type,
       CASE r.state
           WHEN 0 THEN 'queued' WHEN 1 THEN 'sending' WHEN 2 THEN 'accepted' WHEN 3 THEN 'refused' WHEN 4 THEN 'in_doubt' WHEN 5 THEN 'held'
           WHEN 6 THEN 'expired' WHEN 7 THEN 'cancelled' WHEN 8 THEN 'rejected' WHEN 9 THEN 'duplicate' WHEN 10 THEN 'skipped'
       END AS state,
       r.attempts,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.due / 1000.0, 'unixepoch') AS next_attempt_at,
       CASE
           WHEN r.state <> 0 THEN NULL
           WHEN m.state = 'loading' THEN 'manifest loading'
           WHEN m.paused <> '' THEN 'manifest paused: ' || m.paused
           WHEN r.behind IS NOT NULL THEN 'row ' || r.behind
           WHEN e.endpoint_no IS NULL THEN 'an endpoint for its issuer'
           WHEN e.state <> 'open' THEN 'endpoint ' || e.name || ' ' || e.state || ': ' || e.reason
       END AS waits_for,
       r.http_status,
       r.error_code,
       CASE
           WHEN r.same_as IS NOT NULL THEN 'row ' || r.same_as || coalesce(
               (SELECT CASE k.state
                           WHEN 0 THEN ' queued' WHEN 1 THEN ' sending' WHEN 2 THEN ' accepted' WHEN 3 THEN ' refused' WHEN 4 THEN ' in_doubt'
                           WHEN 5 THEN ' held' WHEN 6 THEN ' expired' WHEN 7 THEN ' cancelled' WHEN 8 THEN ' rejected' WHEN 9 THEN ' duplicate'
                           WHEN 10 THEN ' skipped'
                       END
                FROM row k WHERE k.row_id = r.same_as), ' purged')
           WHEN r.state = 8 AND x.column_name <> '' THEN x.column_name || ': ' || r.detail
           ELSE r.detail
       END AS detail,
       r.operation_id,
       CASE WHEN r.correlation IS NOT NULL THEN printf('%016x', r.correlation) END AS correlation_id,
       strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(m.released_at, m.received_at) / 1000.0, 'unixepoch') AS queued_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.sent_at / 1000.0, 'unixepoch') AS sent_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.finished_at / 1000.0, 'unixepoch') AS finished_at
FROM row r
JOIN manifest m ON m.manifest_id = r.manifest_id
JOIN source s ON s.source_no = m.source_no
LEFT JOIN issuer i ON i.issuer_no = r.issuer_no
LEFT JOIN endpoint e ON e.endpoint_no = i.endpoint_no
LEFT JOIN reject x ON x.row_id = r.row_id;

CREATE VIEW manifest_status AS
SELECT m.manifest_id,
       s.name AS source,
       m.shown_name AS name,
       lower(hex(m.sha256)) AS sha256,
       m.bytes,
       m.state,
       m.paused,
       m.reason,
       strftime('%Y-%m-%dT%H:%M:%fZ', m.received_at / 1000.0, 'unixepoch') AS received_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', m.released_at / 1000.0, 'unixepoch') AS released_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', m.settled_at / 1000.0, 'unixepoch') AS settled_at,
       m.rows, m.queued, m.sending, m.accepted, m.refused, m.in_doubt, m.held, m.expired, m.cancelled, m.rejected, m.duplicate, m.skipped
FROM manifest m
JOIN source s ON s.source_no = m.source_no;

CREATE VIEW endpoint_status AS
SELECT e.name AS endpoint,
       e.state,
       e.reason,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.until / 1000.0, 'unixepoch') AS paused_until,
       (SELECT count(*) FROM row r JOIN issuer i ON i.issuer_no = r.issuer_no
        WHERE r.state = 1 AND i.endpoint_no = e.endpoint_no) AS in_flight,
       e.concurrency,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.token_expires_at / 1000.0, 'unixepoch') AS token_expires_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.last_accepted_at / 1000.0, 'unixepoch') AS last_accepted_at
FROM endpoint e;

CREATE VIEW source_status AS
SELECT s.name AS source,
       s.drop_directory,
       s.state,
       s.reason,
       (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', max(m.received_at) / 1000.0, 'unixepoch') FROM manifest m WHERE m.source_no = s.source_no)
           AS last_manifest_at,
       (SELECT count(*) FROM manifest m WHERE m.source_no = s.source_no) AS manifests,
       s.waiting_files
FROM source s;

CREATE VIEW attempt_history AS
SELECT a.row_id,
       a.attempt,
       printf('%016x', a.correlation) AS correlation_id,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.started_at / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.finished_at / 1000.0, 'unixepoch') AS finished_at,
       a.http_status,
       a.error_code,
       CASE a.outcome WHEN 1 THEN 'accepted' WHEN 2 THEN 'refused' WHEN 3 THEN 'in_doubt' WHEN 4 THEN 'back' END AS outcome,
       a.detail
FROM attempt a
UNION ALL
SELECT r.row_id,
       r.attempts,
       printf('%016x', r.correlation),
       strftime('%Y-%m-%dT%H:%M:%fZ', r.sent_at / 1000.0, 'unixepoch'),
       strftime('%Y-%m-%dT%H:%M:%fZ', r.finished_at / 1000.0, 'unixepoch'),
       r.http_status,
       r.error_code,
       CASE r.outcome WHEN 1 THEN 'accepted' WHEN 2 THEN 'refused' WHEN 3 THEN 'in_doubt' WHEN 4 THEN 'back' END,
       r.detail
FROM row r
WHERE r.attempts > 0;

CREATE VIEW operator_action_log AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS at, user, uid, action, selector, rows, reason
FROM operator_action;
