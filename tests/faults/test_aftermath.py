"""The examination after a crash sees what is planted: each test spoils one thing of a bureau that came to rest unharmed."""

from __future__ import annotations

import sqlite3
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import aftermath  # noqa: E402
from harness import Bureau  # noqa: E402
from scripted_api import ScriptedApi  # noqa: E402


class AftermathTest(unittest.TestCase):
    def setUp(self) -> None:
        self.api = ScriptedApi().start()
        self.addCleanup(self.api.stop)
        self.api.on_track(aftermath.answers)
        self.bureau = Bureau(self.api, endpoint=aftermath.QUICK_ENDPOINT, source=aftermath.QUICK_SOURCE)
        self.addCleanup(self.bureau.close)
        aftermath.drop(self.bureau, aftermath.reference_files())
        aftermath.come_to_rest(self.bureau)

    def examined(self) -> aftermath.Findings:
        return aftermath.examine(self.bureau, self.api, aftermath.reference_files(), kills=0)

    def spoil(self, sql: str) -> None:
        connection = sqlite3.connect(self.bureau.database, isolation_level=None)
        connection.execute("PRAGMA ignore_check_constraints = ON")
        changed = connection.execute(sql).rowcount
        connection.close()
        self.assertGreater(changed, 0)

    def test_an_unharmed_run_has_no_fault(self) -> None:
        found = self.examined()
        self.assertEqual((found.faults, found.lost, found.unrecorded, found.doubled), ([], 0, 0, 0))
        self.assertLessEqual({"accepted", "refused", "in_doubt", "queued", "rejected", "skipped", "duplicate"}, set(found.states))

    def test_a_row_that_is_gone_is_lost(self) -> None:
        self.spoil("DELETE FROM row WHERE card_id = 'card-0' AND state = 2")
        self.assertEqual(self.examined().lost, 1)

    def test_a_manifest_that_was_never_recorded_is_lost_whole(self) -> None:
        self.spoil("UPDATE manifest SET shown_name = 'other.csv' WHERE shown_name = '2-second.csv'")
        self.assertEqual(self.examined().lost, 14)

    def test_a_request_without_an_attempt_is_unrecorded(self) -> None:
        self.spoil("UPDATE row SET correlation = correlation + 1 WHERE card_id = 'card-0' AND state = 2")
        self.assertEqual(self.examined().unrecorded, 1)

    def test_a_request_that_came_again_after_it_was_accepted_is_doubled(self) -> None:
        again = next(r for r in self.api.requests if r.card == "card-0")
        self.api.requests.append(again)
        self.assertEqual(self.examined().doubled, 1)

    def test_a_count_that_is_off_does_not_balance(self) -> None:
        self.spoil("UPDATE manifest SET accepted = accepted + 1 WHERE manifest_id = 1")
        self.assertTrue(any("rows, but" in fault for fault in self.examined().faults))

    def test_a_file_left_behind_is_seen(self) -> None:
        (self.bureau.in_directory / ".trackbridge-1-first.csv").write_text("")
        self.assertIn("left over: lyon/in/.trackbridge-1-first.csv", self.examined().faults)

    def test_an_archived_file_with_other_bytes_is_seen(self) -> None:
        next((self.bureau.state / "archive").rglob("*2-second.csv")).write_text("short")
        self.assertTrue(any("2-second.csv is not in the archive once" in fault for fault in self.examined().faults))

    def test_a_receipt_that_was_never_renewed_is_seen(self) -> None:
        receipt = next(self.bureau.out_directory.glob("2-second.*.receipt.csv"))
        receipt.write_text(receipt.read_text().replace("SETTLED", "OPEN"))
        self.assertTrue(any("receipt.csv ends with" in fault for fault in self.examined().faults))


if __name__ == "__main__":
    unittest.main()
