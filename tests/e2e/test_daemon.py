"""The daemon as a service: what it tells its manager, how it stops, a disk that is full, and a whole ordinary day's manifest."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import time
import unittest
from pathlib import Path

import manifests
import oracles
from behaviours import OK
from harness import Bureau, seconds_of, wait_for
from ledger import Request
from manifests import Manifest
from scripted_api import ScriptedApi
from test_answers import Scene


def returns(n: int) -> str:
    """A manifest of n rows, quickly."""
    return ";".join(manifests.COLUMNS) + "\n" + "".join(f"card-{i};RTS;Lyon;;;;\n" for i in range(n))


class ManagerTest(Scene):
    def test_it_says_that_it_is_ready_alive_busy_and_stopping(self) -> None:
        bureau = self.scene(environment={"WATCHDOG_USEC": "200000"})
        bureau.start()
        notify = bureau.notify
        bureau.wait(lambda: notify.count("WATCHDOG=1") >= 2, "a watchdog that is fed at rest")
        # STATUS= is sent at most once a second: the work has to last for longer, here 100 answers of 0.2 s, 8 at a time.
        self.api_of(bureau).delay = 0.2
        bureau.drop("a.csv", manifests.realistic(100))
        bureau.wait(lambda: re.search(r"[1-9]\d* queued", notify.last("STATUS=") or ""), "a status of work")
        before = notify.count("WATCHDOG=1")
        bureau.wait(lambda: notify.count("WATCHDOG=1") >= before + 2, "a watchdog that is fed at work")
        bureau.wait(lambda: "0 queued, 0 in flight, 100 accepted" in (notify.last("STATUS=") or ""), "a status of rest")
        self.assertEqual((notify.count("READY=1"), notify.count("STOPPING=1")), (1, 0))
        self.assertEqual(bureau.stop(), 0)
        wait_for(lambda: notify.count("STOPPING=1") == 1, what="STOPPING=1")
        order = [line for _, line in notify.messages if line in ("READY=1", "STOPPING=1")]
        self.assertEqual(order, ["READY=1", "STOPPING=1"])

    def test_the_watchdog_is_fed_while_a_large_manifest_is_loaded(self) -> None:
        bureau = self.scene(environment={"WATCHDOG_USEC": "400000"})
        self.api_of(bureau).set_down(True)
        bureau.start()
        bureau.drop("a.csv", returns(30_000), events=[])
        manifest = bureau.wait_manifest("a.csv", "released", seconds=30)
        fed = [at for at, line in bureau.notify.messages if line == "WATCHDOG=1"]
        end = time.monotonic()
        begin = end - (time.time() - seconds_of(manifest["received_at"]))
        gaps = [later - earlier for earlier, later in zip([begin, *(t for t in fed if t > begin)], [*(t for t in fed if t > begin), end])]
        self.assertLess(max(gaps), 1.2)

    def test_nothing_is_told_where_nobody_listens(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(3))
        bureau.daemon = bureau.spawn("run", "--until-idle", notify=False)
        self.assertEqual(bureau.daemon.wait(20), 0)
        self.assertEqual(bureau.notify.messages, [])


class StopTest(Scene):
    def test_what_is_in_flight_may_finish(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 4})
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards([f"slow-{i}" for i in range(12)]))
        bureau.start()
        bureau.wait(lambda: api.in_flight >= 1 and api.requests, "requests under way")
        under_way = len(api.requests)
        self.assertEqual(bureau.stop(), 0)
        self.assertEqual(set(bureau.states()), {"accepted", "queued"})
        sent = len(api.requests)
        self.assertEqual(bureau.states()["accepted"], sent)
        self.assertLessEqual(sent, under_way + 4)  # what was claimed at that moment, and no more
        self.assertEqual(bureau.query("SELECT * FROM attempt_history WHERE outcome IS NULL"), [])
        api.on_track(lambda r: OK)
        self.assertEqual(bureau.until_idle(), 0)
        self.sound(bureau)

    def test_int_is_as_good_as_term_and_twice_is_as_good_as_once(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards(["slow-1", "card-1"]))
        bureau.start()
        bureau.wait(lambda: api.in_flight == 1 and bureau.states().get("accepted") == 1, "the slow request alone")
        assert bureau.daemon
        for _ in range(2):
            os.kill(bureau.pid, 2)
        self.assertEqual(bureau.daemon.wait(10), 0)
        self.assertEqual(bureau.states(), {"accepted": 2})

    def test_stop_timeout_ends_what_hangs(self) -> None:
        bureau = self.scene(top={"stop_timeout": "1s"}, endpoint={"timeout": "1s", "concurrency": 1})
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards(["hang-1", "card-2"]))
        bureau.start()
        bureau.wait(lambda: len(api.requests) == 1, "the request")
        begin = time.monotonic()
        self.assertEqual(bureau.stop(), 0)
        self.assertLess(time.monotonic() - begin, 3)
        self.assertIn(bureau.row("hang-1")["state"], ("sending", "in_doubt"))
        self.assertEqual(bureau.row("card-2")["state"], "queued")
        bureau.start()
        bureau.wait_row("hang-1", "in_doubt")
        bureau.wait_row("card-2", "accepted")
        self.assertEqual(len(api.of_card("hang-1")), 1)
        self.sound(bureau)

    def test_a_token_that_never_comes_does_not_hold_up_the_stop(self) -> None:
        bureau = self.scene(top={"stop_timeout": "1s"}, endpoint={"timeout": "1s"})
        api = self.api_of(bureau)
        api.set_token_behaviour("hang")
        bureau.drop("a.csv", manifests.realistic(3))
        bureau.start()
        bureau.wait(lambda: api.in_flight, "the token request")
        begin = time.monotonic()
        self.assertEqual(bureau.stop(), 0)
        self.assertLess(time.monotonic() - begin, 3)
        api.set_token_behaviour("ok")
        bureau.start()
        # Not one byte of theirs was sent, so that there is no doubt about them.
        bureau.wait_manifest("a.csv")
        self.assertEqual(bureau.states(), {"accepted": 3})
        self.sound(bureau)

    def test_a_stop_while_loading_goes_on_at_the_next_start(self) -> None:
        rows = 20_000
        bureau = self.scene(source={"complete": {"quiet": "10ms"}})
        api = self.api_of(bureau)
        api.set_down(True)
        bureau.start()
        bureau.drop("a.csv", returns(rows), events=[])
        bureau.wait(lambda: bureau.manifests() and bureau.manifest("a.csv")["rows"] > 500, "rows")
        self.assertEqual(bureau.stop(), 0)
        half = bureau.manifest("a.csv")
        self.assertEqual(half["state"], "loading")
        self.assertLess(half["rows"], rows)
        bureau.start()
        manifest = bureau.wait_manifest("a.csv", "released", seconds=20)
        self.assertEqual((manifest["rows"], manifest["queued"] + manifest["sending"]), (rows, rows))
        counted = bureau.query("SELECT count(DISTINCT line), count(DISTINCT card_id), min(line), max(line) FROM status")[0]
        self.assertEqual(list(counted.values()), [rows, rows, 2, rows + 1])

    def test_hangup_leaves_a_daemon_that_works(self) -> None:
        bureau = self.scene()
        bureau.start()
        os.kill(bureau.pid, 1)
        bureau.drop("a.csv", manifests.realistic(5))
        bureau.wait_manifest("a.csv")
        self.assertEqual(bureau.stop(), 0)


class FullDiskTest(Scene):
    COMPLAINT = "nothing is sent or removed until the queue can be written"

    def small(self) -> Bureau:
        """A bureau whose state directory is a file system of its own, with room for the database and its log of changes."""
        if os.geteuid() != 0:
            self.skipTest("needs root, to mount a small file system")
        bureau = self.scene(top={"min_free_space": "0KiB", "stop_timeout": "1s"}, endpoint={"concurrency": 4, "timeout": "1s"})
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=0750", "trackbridge-test", str(bureau.state)],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(bureau.state)], capture_output=True)
        return bureau

    @staticmethod
    def fill(bureau: Bureau) -> Path:
        path = bureau.state / "filler"
        with open(path, "ab", buffering=0) as f:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while f.write(b"x" * size):
                        pass
        return path

    def full_while_sending(self) -> tuple[Bureau, Path]:
        bureau = self.small()
        api = self.api_of(bureau)
        api.delay = 0.01
        bureau.drop("a.csv", manifests.realistic(500))
        bureau.start()
        bureau.wait(lambda: len(api.requests) > 20, "requests")
        filler = self.fill(bureau)
        bureau.wait(lambda: self.COMPLAINT in bureau.log, "the complaint")
        return bureau, filler

    def test_nothing_is_sent_unrecorded_and_work_goes_on_by_itself(self) -> None:
        bureau, filler = self.full_while_sending()
        api = self.api_of(bureau)
        bureau.wait(lambda: api.in_flight == 0, "the end of what was under way")
        sent = len(api.requests)
        recorded = {attempt["correlation_id"] for attempt in bureau.attempts()}
        self.assertEqual([r.card for r in api.requests if r.correlation not in recorded], [])
        time.sleep(1.2)  # longer than the second after which the commit is tried again
        self.assertEqual(len(api.requests), sent)
        assert bureau.daemon
        self.assertIsNone(bureau.daemon.poll())
        filler.unlink()
        bureau.wait_manifest("a.csv", seconds=30)
        self.assertIn("the queue can be written again", bureau.log)
        self.assertEqual(bureau.stop(), 0)
        self.assertEqual(bureau.states(), {"accepted": 500})
        self.sound(bureau)

    def test_it_is_said_once(self) -> None:
        bureau, filler = self.full_while_sending()
        time.sleep(2.2)  # two further tries
        filler.unlink()
        bureau.wait(lambda: "the queue can be written again" in bureau.log, "the end of it")
        repeated = {line for line in bureau.log.splitlines() if bureau.log.count(line) > 1}
        self.assertEqual(repeated, set())

    def test_a_stop_while_it_is_full_loses_nothing(self) -> None:
        bureau, filler = self.full_while_sending()
        bureau.stop()
        filler.unlink()
        bureau.start()
        bureau.wait(bureau.at_rest, "the end of it", 20)
        self.assertEqual(bureau.stop(), 0)
        self.sound(bureau)

    def test_a_kill_while_it_is_full_loses_nothing(self) -> None:
        bureau, filler = self.full_while_sending()
        bureau.kill()
        filler.unlink()
        bureau.start()
        bureau.wait(bureau.at_rest, "the end of it", 20)
        self.assertEqual(bureau.stop(), 0)
        self.sound(bureau)

    def test_a_full_disk_takes_nothing_in_and_loses_nothing(self) -> None:
        bureau = self.small()
        bureau.start()
        filler = self.fill(bureau)
        for i in range(3):
            bureau.drop(f"{i}.csv", manifests.realistic(50, seed=i))
        bureau.wait(lambda: "level=err" in bureau.log, "the complaint")
        self.assertEqual(len(list(bureau.in_directory.iterdir())), 3)
        self.assertEqual(self.api_of(bureau).requests, [])
        filler.unlink()
        bureau.wait(lambda: bureau.states() == {"accepted": 150}, "all rows", 15)
        self.assertEqual(bureau.stop(), 0)
        self.sound(bureau)

    def test_too_little_space_stops_the_intake_and_not_the_sending(self) -> None:
        bureau = self.small()
        bureau.config["min_free_space"] = "8MiB"
        bureau.write_config()
        api = self.api_of(bureau)
        api.set_down(True)
        bureau.start()
        bureau.drop("a.csv", manifests.realistic(20))
        bureau.wait_manifest("a.csv", "released")
        bureau.stop()
        filler = bureau.state / "filler"
        filler.write_bytes(b"x" * (26 << 20))
        path = bureau.drop("b.csv", manifests.realistic(20, seed=2))
        api.set_down(False)
        bureau.start()
        bureau.wait(lambda: "min_free_space" in bureau.log, "the complaint")
        bureau.wait_manifest("a.csv")
        self.assertTrue(path.exists())
        filler.unlink()
        bureau.wait_manifest("b.csv")  # space is looked at every 5 s
        self.sound(bureau)


class AcceptanceTest(unittest.TestCase):
    """A manifest of 1,000 rows with all three types, and everything that must be true afterwards."""

    api: ScriptedApi
    bureau: Bureau
    manifest: Manifest
    status: int

    @classmethod
    def setUpClass(cls) -> None:
        cls.api = ScriptedApi().start()
        cls.addClassCleanup(cls.api.stop)
        cls.bureau = Bureau(cls.api)
        cls.addClassCleanup(cls.bureau.close)
        cls.manifest = manifests.realistic(1000)
        cls.bureau.drop("day.csv", cls.manifest)
        cls.status = cls.bureau.until_idle()

    def test_every_row_is_accepted(self) -> None:
        self.assertEqual((self.status, self.bureau.states()), (0, {"accepted": 1000}))
        manifest = self.bureau.manifest("day.csv")
        self.assertEqual((manifest["state"], manifest["rows"], manifest["accepted"]), ("settled", 1000, 1000))

    def test_every_request_is_what_its_row_says(self) -> None:
        wanted = {row.event: row.body() for row in self.manifest.rows}
        self.assertEqual({(r.card, r.type): json.loads(r.body) for r in self.api.requests}, wanted)
        self.assertEqual(len(self.api.requests), 1000)
        self.assertEqual({r.type for r in self.api.requests}, {"PRODUCTION", "SHIPMENT", "RETURN"})

    def test_every_operation_id_is_stored_with_its_own_row(self) -> None:
        stored = {(row["card_id"], row["tracking_type"]): row["operation_id"] for row in self.bureau.rows()}
        self.assertEqual(stored, {(r.card, r.type): r.operationId for r in self.api.requests})
        self.assertEqual(len(set(stored.values())), 1000)

    def test_one_token_was_enough(self) -> None:
        self.assertEqual([t.bad for t in self.api.token_requests], [""])

    def test_connections_are_kept(self) -> None:
        self.assertLess(self.api.connections, 20)

    def test_the_ledgers_agree(self) -> None:
        self.assertEqual(oracles.all_of(self.bureau), [])

    def test_the_receipt_has_every_line(self) -> None:
        content = (self.bureau.out_directory / "day.1.receipt.csv").read_bytes().decode("utf-8")
        header, *lines, trailer = csv.reader(io.StringIO(content, newline=""), strict=True)
        self.assertEqual((len(header), len(lines), trailer), (8, 1000, ["TRAILER", "1000", "1000", "SETTLED"]))
        given: dict[tuple[str, str], Request] = {(r.card, r.type): r for r in self.api.requests}
        for n, (line, row) in enumerate(zip(lines, self.manifest.rows), 2):
            self.assertEqual(line, [str(n), row.card, row.type, "accepted", given[row.event].operationId, "202", "", ""])

    def test_the_log_says_little_and_nothing_personal(self) -> None:
        words = {word for row in self.manifest.rows for word in (row.card, row.number)}
        self.assertEqual(oracles.log_mentions(self.bureau, words), [])
        self.assertLess(len(self.bureau.log.splitlines()), 10)


if __name__ == "__main__":
    unittest.main()
