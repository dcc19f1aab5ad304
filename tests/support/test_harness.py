"""The harness and its oracles against made-up databases: a check that cannot fail is no check."""

from __future__ import annotations

import os
import socket
import sqlite3
import unittest
from typing import Any
from unittest import mock

import harness
import manifests
import oracles
from ledger import Request

ROWS = [  # row_id manifest_id issuer card type state attempts operation_id correlation_id
    (1, 1, "BANKFR0001", "card-1", "SHIPMENT", "accepted", 2, "op1", "c2"),
    (2, 1, "BANKFR0001", "card-2", "RETURN", "in_doubt", 1, None, "c3"),
]
ATTEMPTS = [(1, 1, "c1", "back"), (1, 2, "c2", "accepted"), (2, 1, "c3", "in_doubt")]


def request(n: int, card: str, kind: str, correlation: str, **more: Any) -> Request:
    return Request(n=n, t=0.0, issuer="BANKFR0001", card=card, type=kind, body="{}", correlation=correlation, bearer_ok=True, **more)


def good_requests() -> list[Request]:
    return [request(1, "card-1", "SHIPMENT", "c1", status=503, nothing_done=True),
            request(2, "card-1", "SHIPMENT", "c2", status=202, operationId="op1"),
            request(3, "card-2", "RETURN", "c3", status=202, operationId="op2")]


class OracleTest(unittest.TestCase):
    def setUp(self) -> None:
        self.bureau = harness.Bureau()
        self.addCleanup(self.bureau.close)
        self.bureau.dropped = [("lyon", "a.csv", [("card-1", "SHIPMENT"), ("card-2", "RETURN")])]
        self.database = sqlite3.connect(self.bureau.database, isolation_level=None)
        self.addCleanup(self.database.close)
        columns = " INTEGER DEFAULT 0, ".join(harness.STATES)
        self.database.executescript(f"""
            CREATE TABLE status (row_id, manifest_id, issuer_id, card_id, tracking_type, state, attempts, operation_id, correlation_id);
            CREATE TABLE attempt_history (row_id, attempt, correlation_id, outcome);
            CREATE TABLE manifest_status (manifest_id, source, name, state, rows, {columns} INTEGER DEFAULT 0);
            INSERT INTO manifest_status (manifest_id, source, name, state, rows, accepted, in_doubt)
                VALUES (1, 'lyon', 'a.csv', 'released', 2, 1, 1);
        """)
        self.database.executemany("INSERT INTO status VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", ROWS)
        self.database.executemany("INSERT INTO attempt_history VALUES (?, ?, ?, ?)", ATTEMPTS)

    def faults(self, requests: list[Request] | None = None) -> list[str]:
        return oracles.all_of(self.bureau, good_requests() if requests is None else requests)

    def seen(self, pattern: str, requests: list[Request] | None = None) -> None:
        found = self.faults(requests)
        self.assertTrue(found, "nothing was seen")
        self.assertRegex(" | ".join(found), pattern)

    def test_a_sound_bureau_has_no_faults(self) -> None:
        self.assertEqual(self.faults(), [])

    def test_a_row_that_vanished_is_seen(self) -> None:
        self.database.execute("DELETE FROM status WHERE row_id = 2")
        self.seen("there .*missing in the database")

    def test_a_view_that_does_not_add_up_is_seen(self) -> None:
        self.database.execute("UPDATE manifest_status SET rows = 3")
        self.seen("3 rows, but")

    def test_a_file_that_never_arrived_is_seen(self) -> None:
        self.bureau.dropped.append(("lyon", "b.csv", [("card-3", "RETURN")]))
        self.seen("b.csv")

    def test_a_file_dropped_twice_needs_two_manifests(self) -> None:
        self.bureau.dropped *= 2
        self.seen("a.csv")
        self.database.execute("INSERT INTO manifest_status (manifest_id, source, name, state, rows)"
                              " VALUES (2, 'lyon', 'a.csv', 'duplicate', 0)")
        self.assertEqual(self.faults(), [])

    def test_a_send_without_a_record_is_seen(self) -> None:
        self.seen("no attempt is recorded", good_requests() + [request(4, "card-9", "RETURN", "c9")])

    def test_an_attempt_of_another_row_is_seen(self) -> None:
        self.database.execute("UPDATE attempt_history SET row_id = 2 WHERE correlation_id = 'c2'")
        self.seen("recorded as an attempt of row 2")

    def test_a_repeat_after_an_unknown_outcome_is_seen(self) -> None:
        requests = good_requests()
        requests[0].nothing_done = False
        self.seen("repeats request 1", requests)
        self.assertEqual(oracles.requests_against_rows(self.bureau, requests, twice=[("card-1", "SHIPMENT")]), [])

    def test_too_few_attempts_are_seen(self) -> None:
        self.database.execute("UPDATE status SET attempts = 1")
        self.seen("2 requests were read, 1 attempts")

    def test_an_operation_id_of_another_row_is_seen(self) -> None:
        self.database.execute("UPDATE status SET operation_id = 'op2' WHERE row_id = 1")
        self.seen("has the operationId of card-2")

    def test_an_invented_operation_id_is_seen(self) -> None:
        self.database.execute("UPDATE status SET operation_id = 'op9' WHERE row_id = 1")
        self.seen("nobody gave")

    def test_a_key_in_the_log_is_seen(self) -> None:
        self.bureau.log_path.write_bytes(b"x " + (self.bureau.pki / "jwt.key").read_bytes().splitlines()[1])
        self.seen("log holds a secret")


class HarnessTest(unittest.TestCase):
    def test_changes_are_laid_over_key_by_key(self) -> None:
        self.assertEqual(harness.merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}, "d": None}), {"a": {"b": 9, "c": 2}})

    def test_yaml_quotes_what_could_be_misread(self) -> None:
        text = harness.to_yaml({"a": "30s", "b": "no", "c": "2026-01", "d": [";", True], "e": {"f": ""}, "g": [], "h": 1.1})
        self.assertEqual(text, '\na: 30s\nb: "no"\nc: "2026-01"\nd:\n  - ";"\n  - true\ne:\n  f: ""\ng: []\nh: 1.1')

    def test_notifications_are_read_at_once(self) -> None:
        with harness.Bureau() as bureau, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"READY=1\nSTATUS=idle", str(bureau.notify.path))
            harness.wait_for(lambda: bureau.notify.count("READY=1"))
            self.assertEqual(bureau.notify.last("STATUS="), "STATUS=idle")

    def test_closing_ends_the_daemon_and_removes_the_folder(self) -> None:
        with mock.patch.dict(os.environ, {"TRACKBRIDGE": "/bin/sleep"}):
            bureau = harness.Bureau(wrapper=["sh", "-c", "exec sleep 60", "sh"])
            process = bureau.spawn()
            bureau.close()
        self.assertEqual((process.poll(), bureau.root.exists()), (-9, False))

    def test_dropped_files_appear_whole_and_are_remembered(self) -> None:
        with harness.Bureau() as bureau:
            bureau.drop("a.csv", manifests.cards(["card-1"]))
            bureau.drop("b.csv", manifests.realistic(3).text(), how="write")
            self.assertEqual(sorted(os.listdir(bureau.in_directory)), ["a.csv", "b.csv"])
            self.assertEqual([len(events) for _, _, events in bureau.dropped], [1, 3])


if __name__ == "__main__":
    unittest.main()
