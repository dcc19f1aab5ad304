"""What must hold of a Bureau whatever was done to it: it balances, the three ledgers agree, no secret was written anywhere."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from harness import STATES, Bureau
from ledger import Request
from manifests import Event


def balance(bureau: Bureau) -> list[str]:
    """P2: each manifest's rows are the sum over its states, by the view and by the rows themselves."""
    with bureau.connection() as connection:
        connection.execute("BEGIN")  # one moment for both
        counted: dict[int, Counter[str]] = defaultdict(Counter)
        for manifest, state, n in connection.execute("SELECT manifest_id, state, count(*) FROM status GROUP BY manifest_id, state"):
            counted[manifest][state] = n
        manifests = [dict(m) for m in connection.execute("SELECT * FROM manifest_status")]
    faults = []
    for manifest in manifests:
        shown = {state: manifest[state] or 0 for state in STATES}
        if manifest["rows"] != sum(shown.values()):
            faults.append(f"manifest {manifest['manifest_id']}: {manifest['rows']} rows, but {shown}")
        own = counted[manifest["manifest_id"]]
        if any(own[state] != shown[state] for state in STATES) or set(own) - set(STATES):
            faults.append(f"manifest {manifest['manifest_id']}: shown {shown}, there {dict(own)}")
    return faults


def files_against_rows(bureau: Bureau) -> list[str]:
    """Ledgers one and two: every row of every file that was dropped is there, as often as it was dropped."""
    found: dict[tuple[str, str], list[Counter[Event]]] = defaultdict(list)
    with bureau.connection() as connection:
        connection.execute("BEGIN")
        events: dict[int, Counter[Event]] = defaultdict(Counter)
        for manifest, card, kind in connection.execute("SELECT manifest_id, card_id, tracking_type FROM status"):
            events[manifest][card, kind] += 1
        for manifest, source, name, state in connection.execute("SELECT manifest_id, source, name, state FROM manifest_status"):
            found[source, name].append(Counter({("", "the whole file"): 1}) if state == "duplicate" else events[manifest])
    faults = []
    for source, name, dropped in bureau.dropped:
        wanted = Counter(dropped)
        candidates = found[source, name]
        match = next((c for c in candidates if not wanted - c), None)
        if match is None:
            match = next((c for c in candidates if ("", "the whole file") in c), None)
        if match is None:
            missing = [sum((wanted - c).values()) for c in candidates]
            faults.append(f"{source}/{name}: of {len(dropped)} rows {missing or 'all'} are missing in the database")
        else:
            candidates.remove(match)
    return faults


def requests_against_rows(bureau: Bureau, requests: Iterable[Request], twice: Collection[Event] = ()) -> list[str]:
    """Ledgers two and three: each request that was read has its attempt, none came twice unless D1 had done nothing the time before
    (or the event is in `twice`), and each operationId stands with its own row."""
    faults = []
    with bureau.connection() as connection:
        connection.execute("BEGIN")
        rows = {r["row_id"]: dict(r) for r in connection.execute("SELECT * FROM status")}
        attempts = {a["correlation_id"]: dict(a) for a in connection.execute("SELECT * FROM attempt_history")}
    given: dict[str, Request] = {}
    before: dict[tuple[str, str, str], Request] = {}
    reads: Counter[int] = Counter()
    for request in requests:
        what = f"request {request.n} ({request.card} {request.type}, {request.behaviour})"
        attempt = attempts.get(request.correlation)
        row = rows.get(attempt["row_id"]) if attempt else None
        if attempt is None or row is None:
            faults.append(f"{what} was read, but no attempt is recorded")
            continue
        if (row["card_id"], row["tracking_type"], row["issuer_id"]) != (request.card, request.type, request.issuer):
            faults.append(f"{what} is recorded as an attempt of row {row['row_id']}, {row['card_id']} {row['tracking_type']}")
        reads[row["row_id"]] += 1
        event = (request.card, request.type, request.body)
        earlier = before.get(event)
        if earlier and not earlier.nothing_done and event[:2] not in twice:
            faults.append(f"{what} repeats request {earlier.n}, which was answered {earlier.status} ({earlier.behaviour})")
        before[event] = request
        if request.operationId:
            given[request.operationId] = request
            if attempt["outcome"] == "accepted" and row["state"] == "accepted" and row["correlation_id"] == request.correlation \
                    and row["operation_id"] not in (request.operationId, None, ""):
                faults.append(f"{what} was given {request.operationId}, row {row['row_id']} has {row['operation_id']}")
    for row_id, n in reads.items():
        if rows[row_id]["attempts"] < n:
            faults.append(f"row {row_id}: {n} requests were read, {rows[row_id]['attempts']} attempts recorded")
    for row in rows.values():
        if row["state"] != "accepted" or not row["operation_id"]:
            continue
        request_of = given.get(row["operation_id"])
        if request_of is None:
            faults.append(f"row {row['row_id']} has an operationId that nobody gave: {row['operation_id']}")
        elif (request_of.card, request_of.type) != (row["card_id"], row["tracking_type"]):
            faults.append(f"row {row['row_id']} ({row['card_id']}) has the operationId of {request_of.card} {request_of.type}")
    return faults


def secrets_written(bureau: Bureau, more: Iterable[str] = ()) -> list[str]:
    """Files in the Bureau's folder (log, database, receipts, …) that hold a token, an assertion or a line of a private key."""
    needles = {secret.encode() for secret in more} | {secret.encode() for secret in (bureau.api.secrets() if bureau.api else ())}
    for key in bureau.pki.glob("*.key"):
        needles |= {line for line in key.read_bytes().splitlines() if not line.startswith(b"-----")}
    faults = []
    for directory, _, names in os.walk(bureau.root):
        for name in names:
            path = Path(directory) / name
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                faults += [f"{path.relative_to(bureau.root)} holds a secret ({needle[:6]!r}…)" for needle in needles if needle in data]
    return faults


def log_mentions(bureau: Bureau, words: Iterable[str]) -> list[str]:
    """Which of the words (card ids, tracking numbers, …) the log has."""
    log = bureau.log
    return [word for word in words if word in log]


def all_of(bureau: Bureau, requests: Iterable[Request] | None = None, twice: Collection[Event] = ()) -> list[str]:
    """Everything above, after the bureau has come to rest. requests: of the Bureau's own API unless given."""
    seen = list(bureau.api.requests) if requests is None and bureau.api else list(requests or ())
    faults = balance(bureau) + files_against_rows(bureau) + requests_against_rows(bureau, seen, twice) + secrets_written(bureau)
    return faults + (bureau.api.bad if bureau.api else [])
