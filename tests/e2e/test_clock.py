"""A wall clock that jumps, by a second or by ten years, forth and back, while the daemon runs and between two runs: nothing stalls, nothing
storms, nothing expires, and the factory gets its files. Monotonic time stays true, as it does where somebody sets a clock."""

from __future__ import annotations

import time
import unittest
from pathlib import Path

import behaviours
import manifests
import oracles
from behaviours import Behaviour
from clock import Clock
from harness import Bureau
from ledger import Request
from scripted_api import ScriptedApi

SECOND, MINUTE, HOUR, DAY, YEAR = 1, 60, 3600, 86400, 365 * 86400
JUMPS = [sign * length for length in (SECOND, MINUTE, HOUR, DAY, YEAR, 10 * YEAR + 3 * DAY) for sign in (1, -1)]

QUICK = {"first": "20ms", "most": "200ms", "give_up_after": "72h"}
SOON = 20.0  # seconds in which all is done on a busy machine; a stall would be a minute at least
ROWS = 12


def name_of(seconds: float) -> str:
    return f"{seconds:+.0f}s"


class ClockTest(unittest.TestCase):
    """One bureau whose clock a test sets."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.addCleanup(self.clock.close)
        self.api = ScriptedApi().start()
        self.addCleanup(self.api.stop)
        self.down = False
        self.api.on_track(self._answer)
        self.n = 0

    def bureau(self, **changes: object) -> Bureau:
        self.here = Bureau(self.api, environment=self.clock.environment(), endpoint={"retry": QUICK},
                           source={"complete": {"when": "closed", "quiet": "100ms"}}, **changes)  # type: ignore[arg-type]
        self.addCleanup(self.here.close)
        return self.here

    def _answer(self, request: Request) -> Behaviour | None:
        return behaviours.status(503, "outage") if self.down else None

    def drop(self) -> str:
        """A manifest, written in place, with cards of its own, one of which is put back once."""
        self.n += 1
        name = f"m{self.n}.csv"
        cards = [f"busy-{self.n}", *(f"card-{self.n}-{i}" for i in range(ROWS - 1))]
        self.here.drop(name, manifests.cards(cards), how="write")
        return name

    def everything_accepted(self) -> None:
        for i in range(1, self.n + 1):
            self.here.wait_manifest(f"m{i}.csv", seconds=SOON)
        self.assertEqual(self.here.states(), {"accepted": self.n * ROWS})

    def outage(self) -> None:
        """Some rows are put back, the others wait, and the endpoint is paused."""
        self.down = True
        self.drop()
        self.here.wait_endpoint("paused", "outage", seconds=SOON)

    def no_storm(self) -> None:
        """503 for as long as a test took to notice a pause, one for each busy- card, and one 202 for each row; a token for each jump at
        most, and one more where the clock that was learnt is no longer the clock."""
        found = self.api.by_status
        self.assertEqual(found[202], self.n * ROWS)
        self.assertEqual(set(found) - {202, 401, 503}, set())
        self.assertLess(found[503], 60 * (self.n + 1))
        self.assertLess(len(self.api.token_requests), 4 * (self.n + 1))

    def receipts_are_there(self) -> None:
        def missing() -> bool:
            return bool(self.here.query("SELECT 1 FROM manifest WHERE receipt_at IS NOT NULL AND state = 'settled'"))
        self.here.wait(lambda: not missing(), "the receipts")
        for manifest in self.here.manifests():
            path = self.here.out_directory / f"{Path(manifest['name']).stem}.{manifest['manifest_id']}.receipt.csv"
            self.assertIn(f"TRAILER,{ROWS},{ROWS},SETTLED", path.read_text(), path.name)

    def next_receipt(self) -> float:
        due: float = self.here.query("SELECT min(receipt_at) AS at FROM manifest")[0]["at"]
        return due / 1000

    def sound(self) -> None:
        """D1 may well refuse an assertion that was dated by a clock of which nothing was known yet."""
        self.assertEqual([fault for fault in oracles.all_of(self.here) if "exp is over or more than 900 s ahead" not in fault], [])

    def assert_at_rest(self) -> None:
        """Turns of the loop in one second of idling; a busy one makes a hundred thousand."""
        before = self.clock.polls
        time.sleep(1)
        self.assertLess(self.clock.polls - before, 500)


class WhileRunningTest(ClockTest):
    def test_rows_that_wait_go_and_files_are_taken_at_once_whatever_the_clock_does(self) -> None:
        bureau = self.bureau()
        bureau.start()
        self.drop()
        self.everything_accepted()
        for to in (*JUMPS, 0):
            with self.subTest(f"{name_of(self.clock.wall)} to {name_of(to)}"):
                self.outage()
                waits_for_quiet = self.drop()
                self.clock.wall = to
                self.down = False
                bureau.wait_manifest(waits_for_quiet, seconds=SOON)
                self.everything_accepted()
        self.no_storm()
        self.receipts_are_there()
        self.assert_at_rest()
        self.assertEqual(bureau.stop(), 0)
        self.sound()

    def test_a_clock_that_jumps_all_the_time_costs_neither_requests_nor_turns(self) -> None:
        bureau = self.bureau()
        bureau.start()
        self.drop()
        self.everything_accepted()
        tokens, polls = len(self.api.token_requests), self.clock.polls
        for i in range(200):
            self.clock.wall = JUMPS[i % len(JUMPS)]
            time.sleep(0.01)
        self.assertLess(self.clock.polls - polls, 2000)
        self.assertEqual(len(self.api.token_requests), tokens)
        self.drop()
        self.everything_accepted()
        self.no_storm()

    def test_an_open_manifest_has_its_receipt_every_day_before_in_and_after_a_jump(self) -> None:
        bureau = self.bureau()
        self.down = True
        bureau.start()
        name = self.drop()
        bureau.wait_endpoint("paused")
        receipt = bureau.out_directory / f"{Path(name).stem}.1.receipt.csv"

        def written_again() -> None:
            bureau.wait(receipt.exists, f"a receipt at {name_of(self.clock.wall)}")
            self.assertIn(f"TRAILER,{ROWS},0,OPEN", receipt.read_text())
            bureau.wait(lambda: DAY - HOUR < self.next_receipt() - time.time() - self.clock.wall <= DAY, "a receipt in a day")
            receipt.unlink()

        written_again()
        for to in (DAY, 2 * DAY, 10 * YEAR, 10 * YEAR + DAY, 0.0, DAY, -10 * YEAR, -10 * YEAR + DAY, 0.0):
            self.clock.wall = to
            written_again()
        self.down = False
        self.everything_accepted()
        self.receipts_are_there()

    def test_a_change_to_or_from_summer_time_is_no_change(self) -> None:
        # Seconds since 1970 know of no zone; this is a process that lives in one, at both of its changes of 2027.
        bureau = self.bureau()
        bureau.environment["TZ"] = "Europe/Paris"
        for change in (1806195600, 1824944400):
            with self.subTest(change):
                self.clock.wall = change - 1 - time.time()
                bureau.start()
                self.drop()
                self.everything_accepted()
                bureau.wait(lambda: time.time() + self.clock.wall > change + 0.5, "the change")  # noqa: B023
                self.drop()
                self.everything_accepted()
                self.assertEqual(bureau.stop(), 0)
        self.no_storm()
        self.receipts_are_there()


class BetweenRunsTest(ClockTest):
    def test_rows_that_wait_go_at_the_next_start_whatever_the_clock_did_meanwhile(self) -> None:
        bureau = self.bureau()
        bureau.start()
        self.drop()
        self.everything_accepted()
        for to in (*JUMPS, 0):
            with self.subTest(f"{name_of(self.clock.wall)} to {name_of(to)}"):
                self.outage()
                self.assertEqual(bureau.stop(), 0)
                self.assertGreater(bureau.query("SELECT count(*) AS n FROM row WHERE due IS NOT NULL")[0]["n"], 0)
                self.clock.wall = to
                self.down = False
                bureau.start()
                self.everything_accepted()
        self.no_storm()
        self.receipts_are_there()
        self.assertEqual(bureau.stop(), 0)
        self.sound()

    def test_a_receipt_that_is_due_in_ten_years_is_written_at_the_next_start(self) -> None:
        bureau = self.bureau()
        self.down = True
        self.clock.wall = 10 * YEAR
        bureau.start()
        name = self.drop()
        bureau.wait_endpoint("paused")
        receipt = bureau.out_directory / f"{Path(name).stem}.1.receipt.csv"
        bureau.wait(receipt.exists, "the first receipt")
        bureau.wait(lambda: self.next_receipt() > time.time() + 10 * YEAR + HOUR, "the next one")
        self.assertEqual(bureau.stop(), 0)
        receipt.unlink()
        self.clock.wall = 0
        bureau.start()
        bureau.wait(receipt.exists, "the receipt")


if __name__ == "__main__":
    unittest.main()
