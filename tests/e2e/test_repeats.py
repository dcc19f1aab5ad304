"""What repeats itself is counted instead of written, and a loop that goes round for nothing is not taken for one that works."""

from __future__ import annotations

import os
import re
import time
import unittest
from pathlib import Path

import manifests
from behaviours import Behaviour, status
from harness import Bureau, binary, wait_for
from ledger import Request
from test_answers import Scene
from test_daemon import returns
from test_outage import GOOD, HOUR, OutageTest

MOST_LINES = 100


def lines(bureau: Bureau, words: str = "") -> list[str]:
    return [line for line in bureau.log.splitlines() if words in line]


class OutageLogTest(OutageTest):
    def test_an_hour_of_503_costs_few_lines(self) -> None:
        api = self.api()
        bureau = self.bureau(api, {})
        bureau.start()
        bureau.drop("good.csv", manifests.realistic(GOOD))
        bureau.wait_manifest("good.csv", "settled", seconds=60)
        api.outage(503)
        bureau.drop("a.csv", returns(2000), events=[])
        bureau.wait_manifest("a.csv", "released", seconds=60)
        self.clock.pass_by(120, until=lambda: bureau.endpoint()["state"] != "open")
        self.clock.pass_by(HOUR)
        self.assertLess(len(lines(bureau)), 20, bureau.log)
        self.assertEqual(len(lines(bureau, "endpoint bankfr is paused: outage")), 1)

    def test_an_endpoint_that_opens_and_is_paused_time_and_again_is_counted(self) -> None:
        """Five times 503 pause it, the probe is answered well and opens it, and so on."""
        api = self.api()
        bureau = self.bureau(api, {"concurrency": 1})
        times = 0

        def flap(_: Request) -> Behaviour | None:
            nonlocal times
            times += 1
            return None if times % 6 == 0 else status(503)
        api.on_track(flap)
        bureau.start()
        bureau.drop("a.csv", returns(2000), events=[])
        bureau.wait_manifest("a.csv", "released", seconds=60)
        self.clock.pass_by(HOUR, until=lambda: times > 6 * 80)
        self.assertLessEqual(len(lines(bureau, "endpoint bankfr")), 30, bureau.log)
        self.assertEqual(bureau.stop(), 0)
        self.assertLess(len(lines(bureau)), MOST_LINES)
        counted = [int(n) for n in re.findall(r"opened again (\d+) times more, counted and not written", bureau.log)]
        self.assertGreater(len(lines(bureau, "endpoint bankfr is ")) + sum(counted), 60, bureau.log)


class BadFilesTest(Scene):
    def test_many_files_that_are_rejected_whole_cost_few_lines(self) -> None:
        bureau = self.scene()
        for i in range(300):
            bureau.drop(f"bad-{i:03}.csv", f"NOTHING;OF;THIS\n{i};2;3\n", events=[])
        bureau.until_idle(120)
        self.assertEqual({m["state"] for m in bureau.manifests()}, {"rejected"})
        self.assertLess(len(lines(bureau)), MOST_LINES)
        self.assertIn("280 more files were taken, counted and not written", bureau.log)
        self.assertIn("280 more manifests were rejected", bureau.log)

    def test_many_files_without_a_good_row_cost_few_lines(self) -> None:
        bureau = self.scene()
        header = ";".join(manifests.COLUMNS)
        for i in range(200):
            bureau.drop(f"bad-{i:03}.csv", f"{header}\ncard-{i};LOST;Lyon;;;;\n", events=[])
        bureau.until_idle(120)
        self.assertEqual({m["state"] for m in bureau.manifests()}, {"settled"})
        self.assertLess(len(lines(bureau)), MOST_LINES)
        self.assertIn("180 more manifests settled in which not all was well", bureau.log)

    def test_good_files_have_their_lines(self) -> None:
        bureau = self.scene()
        for i in range(30):
            bureau.drop(f"good-{i}.csv", manifests.cards([f"card-{i}"]))
        self.assertEqual(bureau.until_idle(60), 0)
        settled = lines(bureau, "is settled: 1 rows, 1 accepted")
        self.assertEqual(len(settled), 30)
        self.assertRegex(settled[0], r'level=notice msg="lyon: manifest \d+ \(good-\d+\.csv\) is settled: .*" source=lyon manifest=\d+')

    def test_a_settled_manifest_is_told_of_with_its_counts(self) -> None:
        bureau = self.scene()
        header, good, *_ = manifests.cards(["ok-1"]).text().splitlines()
        bad = good.replace("ok-1", "h400-1")
        bureau.drop("a.csv", "\n".join([header, good, bad, good, good.replace("SHIPPED", "LOST"), good.replace("SHIPPED", "EMBOSSED")]) + "\n",
                    events=[])
        bureau.until_idle()
        self.assertEqual(len(lines(bureau, "is settled: 5 rows, 1 accepted, 1 refused, 1 rejected, 1 duplicate, 1 skipped")), 1, bureau.log)


class StatusLineTest(Scene):
    def test_it_tells_of_a_pause(self) -> None:
        bureau = self.scene(endpoint={"retry": {"first": "60s", "most": "60s"}})
        self.api_of(bureau).set_token_behaviour("403")
        bureau.drop("a.csv", manifests.realistic(3))
        bureau.start()
        bureau.wait(lambda: "STATUS=bankfr is paused: credentials; 3 queued" in (bureau.notify.last("STATUS=") or ""), "the pause")
        self.assertEqual(bureau.stop(), 0)

    def test_it_tells_how_far_loading_is(self) -> None:
        bureau = self.scene()
        self.api_of(bureau).set_down(True)
        bureau.start()
        bureau.drop("a.csv", returns(400_000), events=[])  # STATUS= is told once a second
        seen = bureau.wait(lambda: re.search(r"loading manifest 1, (\d+) %", bureau.notify.last("STATUS=") or ""), "a share", 60)
        self.assertLess(int(seen[1]), 100)
        bureau.kill()


class WatchdogTest(Scene):
    """A daemon that is broken from outside (stuck.c): its manager must not hear that it is alive, and then it must again."""

    def broken(self, how: str) -> tuple[Bureau, Path]:
        library = Path(binary()).parent / "tests" / "stuck.so"
        if not library.exists():
            raise RuntimeError(f"{library} is missing: build the target stuck")
        sanitizer = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
        environment = {"LD_PRELOAD": str(library), "ASAN_OPTIONS": sanitizer, "WATCHDOG_USEC": "900000"}
        bureau = self.scene(environment=environment)
        trigger = bureau.root / "broken"
        bureau.environment[how] = str(trigger)
        return bureau, trigger

    def silent_for(self, bureau: Bureau) -> float:
        return time.monotonic() - max(at for at, line in bureau.notify.messages if line == "WATCHDOG=1")

    def feeds_on(self, bureau: Bureau, times: int) -> None:
        before = bureau.notify.count("WATCHDOG=1")
        bureau.wait(lambda: bureau.notify.count("WATCHDOG=1") >= before + times, "a watchdog that is fed")

    def test_a_loop_that_spins_is_not_fed(self) -> None:
        bureau, trigger = self.broken("STUCK_SPIN")
        api = self.api_of(bureau)
        api.delay = 0.3
        bureau.drop("a.csv", manifests.realistic(40))
        bureau.start()
        bureau.wait(lambda: len(api.requests) >= 8, "requests in flight")
        self.feeds_on(bureau, 2)
        trigger.touch()
        wait_for(lambda: self.silent_for(bureau) > 3, 30, "a watchdog that is not fed")
        before = self.turns(bureau)
        time.sleep(0.2)
        self.assertGreater(self.turns(bureau), before)  # it spins
        trigger.unlink()
        self.feeds_on(bureau, 3)
        bureau.wait_manifest("a.csv", seconds=30)
        self.assertEqual(bureau.stop(), 0)

    def turns(self, bureau: Bureau) -> int:
        """Time that it has had of the processor, in ticks."""
        fields = Path(f"/proc/{bureau.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def test_a_turn_that_hangs_is_not_fed(self) -> None:
        bureau, trigger = self.broken("STUCK_HANG")
        bureau.start()
        self.feeds_on(bureau, 2)
        trigger.touch()
        bureau.drop("a.csv", manifests.realistic(5))
        wait_for(lambda: self.silent_for(bureau) > 3, 30, "a watchdog that is not fed")
        trigger.unlink()
        self.feeds_on(bureau, 3)
        bureau.wait_manifest("a.csv", seconds=30)
        self.assertEqual(bureau.stop(), 0)

    def test_an_endpoint_that_is_paused_and_a_queue_that_cannot_move_are_fed(self) -> None:
        bureau = self.scene(environment={"WATCHDOG_USEC": "900000"}, endpoint={"retry": {"first": "60s", "most": "60s"}})
        self.api_of(bureau).set_token_behaviour("403")
        bureau.drop("a.csv", manifests.realistic(3))
        bureau.start()
        bureau.wait_endpoint("paused", "credentials")
        self.feeds_on(bureau, 4)
        self.assertLess(self.silent_for(bureau), 3)
        self.assertEqual(bureau.stop(), 0)


if __name__ == "__main__":
    unittest.main()
