"""What must be so once a bureau that was killed has come to rest again: the three ledgers, and the files.

A small set of manifests with every kind of answer is dropped; whatever was done to the daemon meanwhile, each line of each file is in the
database once, each file was taken once, archived byte for byte and answered, and D1 was asked nothing that is not recorded.
"""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import manifests
import oracles
from behaviours import Behaviour, status
from harness import Bureau
from ledger import Request
from manifests import Manifest, Row
from scripted_api import ScriptedApi

CONCURRENCY = 8
QUICK_ENDPOINT = {"concurrency": CONCURRENCY, "retry": {"first": "10ms", "most": "50ms"}}
QUICK_SOURCE = {"complete": {"when": "renamed", "quiet": "10ms"}, "scan": "100ms"}


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file whose rows begin in line 2 and take one line each."""

    name: str
    text: str
    again: bool = False  # the same bytes as an earlier one: a duplicate, or, if that was still loading, all its rows are

    @property
    def lines(self) -> list[int]:
        return list(range(2, self.text.count("\r\n") + 1))


@dataclass(slots=True)
class Findings:
    faults: list[str] = field(default_factory=list)
    lost: int = 0  # rows of files that are not in the database
    unrecorded: int = 0  # requests read without an attempt
    doubled: int = 0  # requests that should not have come again
    in_doubt: int = 0  # rows that a kill left so
    states: Counter[str] = field(default_factory=Counter)


def reference_files() -> list[Dropped]:
    """50 rows with mixed answers; 14 rows with bad ones and repeats; the first file again."""
    kinds = ("card", "card", "h400", "later", "card", "noid", "card", "h502", "nf", "card", "close", "card", "once403", "card", "product",
             "card", "cutbody", "later")
    first = [Row(f"{kinds[i % len(kinds)]}-{i}", ("SHIPMENT", "PRODUCTION", "RETURN")[i % 3]) for i in range(42)]
    first += [Row("stale-1"), Row("close-behind", "PRODUCTION"), Row("close-behind", "SHIPMENT")]
    first += [Row("three-1", kind) for kind in ("PRODUCTION", "SHIPMENT", "RETURN")] + [Row("later-two", "PRODUCTION"), Row("later-two")]
    bad = [("card-bad1", "LOST", "Lyon", "", "", "", ""), ("", "PRODUCED", "Lyon", "", "", "", ""),
           ("card-bad3", "SHIPPED", "Lyon", "1", "69001", "FR", "31/02/2026 10:00"), ("card-skip", "EMBOSSED", "Lyon", "", "", "", "")]
    second = [row.cells() for row in first[:5]] + bad + [Row(f"card-second-{i}").cells() for i in range(5)]
    text = Manifest(first).text()
    return [Dropped("1-first.csv", text), Dropped("2-second.csv", manifests.to_text(second)), Dropped("3-again.csv", text, again=True)]


def answers(request: Request) -> Behaviour | None:
    """Answers that put a row back once and name no time, so that nobody has to wait for them."""
    prefix = request.card.partition("-")[0]
    if request.of_card == 0 and prefix in ("later", "once403"):
        return status(503 if prefix == "later" else 403, prefix)
    return None


def drop(bureau: Bureau, files: Sequence[Dropped]) -> None:
    for file in files:
        bureau.drop(file.name, file.text, events=[])


def at_rest(bureau: Bureau) -> bool:
    """Whether no row can move without an operator: one that waits behind a row in doubt cannot."""
    loading = bureau.query("SELECT 1 FROM manifest_status WHERE state = 'loading'")
    movable = bureau.query("SELECT 1 FROM status WHERE state = 'sending'"
                           " OR (state = 'queued' AND coalesce(waits_for, '') NOT LIKE 'row %')")
    return not loading and not movable


def come_to_rest(bureau: Bureau, seconds: float = 20.0) -> None:
    """`run --until-idle`, until nothing is left to do."""
    end = time.monotonic() + seconds
    while True:
        result = bureau.until_idle(seconds)
        if result not in (0, 65):
            raise AssertionError(f"run --until-idle ended with {result}\n{bureau.log_tail()}")
        if at_rest(bureau):
            return
        if time.monotonic() > end:
            raise AssertionError(f"not at rest after {seconds} s: {bureau.states()} {bureau.endpoints()}\n{bureau.log_tail()}")
        time.sleep(0.01)


def _rows(bureau: Bureau, files: Sequence[Dropped], found: Findings) -> None:
    """Each file is one manifest, each of its lines one row."""
    taken = Counter(m["name"] for m in bureau.manifests())
    for name in taken.keys() - {file.name for file in files}:
        found.faults.append(f"{name} is a manifest, but was not dropped")
    for file in files:
        if taken[file.name] != 1:
            found.faults.append(f"{file.name} was taken {taken[file.name]} times")
            found.lost += 0 if taken[file.name] else len(file.lines)
            continue
        manifest = bureau.manifest(file.name)
        rows = bureau.rows("manifest_id = ?", manifest["manifest_id"])
        if file.again and manifest["state"] == "duplicate" and not rows:
            continue
        lines = Counter(row["line"] for row in rows)
        missing = sorted((Counter(file.lines) - lines).elements())
        more = sorted((lines - Counter(file.lines)).elements())
        found.lost += len(missing)
        if missing or more:
            found.faults.append(f"{file.name}: lines {missing} are missing, lines {more} are too many")
        if manifest["state"] not in ("released", "settled") or (file.again and manifest["duplicate"] != len(rows)):
            states = dict(Counter(row["state"] for row in rows))
            found.faults.append(f"{file.name} is {manifest['state']} ({manifest['reason']}), its rows {states}")


def _files(bureau: Bureau, files: Sequence[Dropped], found: Findings) -> None:
    """Nothing is left where files come in, everything is in the archive, and each manifest has its answer."""
    for place in (bureau.in_directory, bureau.state / "spool"):
        found.faults += [f"left over: {path.relative_to(bureau.root)}" for path in place.iterdir()]
    archived = {path.name: path.read_bytes() for path in (bureau.state / "archive").rglob("*.csv") if ".receipt." not in path.name}
    for file in files:
        if sum(name.endswith(file.name) and data == file.text.encode() for name, data in archived.items()) != 1:
            found.faults.append(f"{file.name} is not in the archive once, byte for byte: {sorted(archived)}")
    for manifest in bureau.manifests():
        stem = f"{Path(manifest['name']).stem}.{manifest['manifest_id']}"
        receipt = bureau.out_directory / f"{stem}.receipt.csv"
        if not receipt.exists():
            found.faults.append(f"{receipt.name} is missing")
        elif manifest["state"] == "settled":
            last = list(csv.reader(receipt.read_text().splitlines()))[-1]
            if last != ["TRAILER", str(manifest["rows"]), str(manifest["accepted"]), "SETTLED"]:
                found.faults.append(f"{receipt.name} ends with {last}, but the manifest is {dict(manifest)}")
        if (bureau.out_directory / f"{stem}.rejects.csv").exists() != bool(manifest["rejected"]):
            found.faults.append(f"{stem}.rejects.csv {'is missing' if manifest['rejected'] else 'is there for no rejected row'}")
    found.faults += [f"left over: out/{path.name}" for path in bureau.out_directory.iterdir()
                     if not path.name.endswith((".receipt.csv", ".rejects.csv"))]


def examine(bureau: Bureau, api: ScriptedApi, files: Sequence[Dropped], kills: int = 1) -> Findings:
    """Everything that is wrong, after come_to_rest."""
    found = Findings()
    _rows(bureau, files, found)
    _files(bureau, files, found)
    sends = oracles.requests_against_rows(bureau, list(api.requests))
    found.unrecorded = sum("no attempt is recorded" in fault for fault in sends)
    found.doubled = sum(" repeats request " in fault for fault in sends)
    # A request that the kill cut off was not read: D1 did nothing for it.
    cut_off = ("malformed: ended in the head", "malformed: ended in the body")
    found.faults += oracles.balance(bureau) + sends + oracles.secrets_written(bureau) + [bad for bad in api.bad if bad not in cut_off]
    found.states = Counter(bureau.states())
    found.in_doubt = len(bureau.rows("state = 'in_doubt' AND detail = 'crash'"))
    if found.in_doubt > kills * CONCURRENCY:
        found.faults.append(f"{found.in_doubt} rows are in doubt, more than can have been in flight")
    return found
