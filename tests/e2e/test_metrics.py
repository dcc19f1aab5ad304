"""The metrics file: what a scraper finds in it while rows are accepted, refused, in doubt, rejected, and an endpoint cannot be reached."""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import subprocess
import time
import unittest
from pathlib import Path

import manifests
from harness import Bureau, wait_for
from prometheus import Metrics
from scripted_api import ScriptedApi
from test_answers import QUICK, Scene

NOWHERE = "https://localhost:1"
LONG = 60.0  # the file is written at most every 15 s


def metrics_file(bureau: Bureau) -> Path:
    return Path(bureau.config["metrics_file"])


def read(bureau: Bureau) -> Metrics:
    return Metrics(metrics_file(bureau).read_text(encoding="utf-8"))


def with_metrics(bureau: Bureau, path: str = "metrics/tb.prom") -> Bureau:
    bureau.config["metrics_file"] = str(bureau.root / path)
    metrics_file(bureau).parent.mkdir(exist_ok=True)
    bureau.write_config()
    return bureau


class RunTest(unittest.TestCase):
    """One run with everything in it, read three times: at the start, in between and at the end."""

    api: ScriptedApi
    bureau: Bureau
    first: Metrics
    second: Metrics
    last: Metrics
    began: float  # wall clock
    database: int  # bytes at the second reading

    @classmethod
    def setUpClass(cls) -> None:
        cls.api = ScriptedApi().start()
        cls.addClassCleanup(cls.api.stop)
        dead = {"name": "dead", "issuers": ["BANKDE0002"], "api_url": f"{NOWHERE}/banking/v1", "token_url": f"{NOWHERE}/token",
                "retry": {"first": "1h", "most": "1h"}}
        other = {"name": "berlin", "fields": {"issuerId": {"value": "BANKDE0002"}}}
        cls.bureau = with_metrics(Bureau(cls.api, endpoints=[{"timeout": "2s", "retry": QUICK}, dead], sources=[{}, other]))
        cls.addClassCleanup(cls.bureau.close)
        cls.began = time.time()
        cls.bureau.start()
        wait_for(lambda: metrics_file(cls.bureau).exists(), what="the first file")
        cls.first = read(cls.bureau)
        cls.bureau.drop("a.csv", manifests.cards(["ok-1", "h400-1", "ok-2", "drop-1", "ok-3", "busy-1"]))
        cls.bureau.drop("b.csv", manifests.cards(["de-1", "de-2"]), source=1)
        text = manifests.cards(["ok-4"]).text()
        cls.bureau.drop("c.csv", text + text.splitlines()[1].replace("ok-4", "odd-1").replace("SHIPPED", "LOST") + "\n", events=[("ok-4", "SHIPMENT")])
        cls.bureau.wait(lambda: cls.bureau.states() == {"accepted": 5, "refused": 1, "in_doubt": 1, "rejected": 1, "queued": 2}, "an end", 30)
        cls.bureau.wait(lambda: [one["reason"] for one in cls.bureau.endpoints()] == ["", "outage"], "an outage")
        wait_for(lambda: read(cls.bureau).one("rows", source="lyon", state="in_doubt") == 1, LONG, "the second file")
        cls.second = read(cls.bureau)
        cls.database = cls.bureau.database.stat().st_size
        cls.bureau.drop("d.csv", manifests.cards(["ok-5"]))
        cls.bureau.wait_manifest("d.csv")
        cls.bureau.stop()
        cls.last = read(cls.bureau)

    def test_the_format_is_right_in_each_reading(self) -> None:
        for metrics in (self.first, self.second, self.last):
            self.assertGreater(len(metrics.families), 20)
            self.assertTrue(all(name.startswith("trackbridge_") for name in metrics.families))

    def test_promtool_finds_nothing(self) -> None:
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not on PATH")
        done = subprocess.run([promtool, "check", "metrics"], input=metrics_file(self.bureau).read_bytes(), capture_output=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, b""))

    def test_no_counter_falls_and_no_series_goes(self) -> None:
        self.assertEqual(self.second.fell_from(self.first.families), [])
        self.assertEqual(self.last.fell_from(self.second.families), [])

    def test_rows_by_source_and_state(self) -> None:
        expected = {"accepted": 5, "refused": 1, "in_doubt": 1, "rejected": 1}
        for state in ("queued", "sending", "accepted", "refused", "in_doubt", "held", "expired", "cancelled", "rejected", "duplicate", "skipped"):
            self.assertEqual(self.first.one("rows", source="lyon", state=state), 0)
            self.assertEqual(self.second.one("rows", source="lyon", state=state), expected.get(state, 0), state)
            self.assertEqual(self.second.one("rows", source="berlin", state=state), 2 if state == "queued" else 0, state)
        self.assertEqual(self.last.one("rows", source="lyon", state="accepted"), 6)

    def test_manifests_by_source_and_state(self) -> None:
        self.assertEqual(self.second.one("manifests", source="lyon", state="settled"), 1)
        self.assertEqual(self.second.one("manifests", source="lyon", state="released"), 1)
        self.assertEqual(self.second.one("manifests", source="berlin", state="released"), 1)
        self.assertEqual(self.last.one("manifests", source="lyon", state="settled"), 2)
        self.assertEqual(self.first.all("source_last_manifest_timestamp_seconds"), {})
        self.assertGreaterEqual(self.second.one("source_last_manifest_timestamp_seconds", source="lyon"), self.began - 1)

    def test_attempts_by_outcome_are_those_of_the_history(self) -> None:
        told = {outcome: self.last.one("attempts_total", endpoint="bankfr", outcome=outcome) for outcome in
                ("accepted", "refused", "in_doubt", "back")}
        history = [one["outcome"] for one in self.bureau.attempts()]
        self.assertEqual(told, {outcome: history.count(outcome) for outcome in told})
        self.assertEqual(told, {"accepted": 6, "refused": 1, "in_doubt": 1, "back": 1})
        self.assertEqual(self.last.one("request_duration_seconds_count", endpoint="bankfr"), 9)
        self.assertEqual(self.last.one("request_duration_seconds_count", endpoint="dead"), 0)

    def test_the_endpoint_that_cannot_be_reached_is_paused_and_says_why(self) -> None:
        states = {state: self.last.one("endpoint_state", endpoint="dead", state=state) for state in ("open", "paused", "probing")}
        self.assertEqual(states, {"open": 0, "paused": 1, "probing": 0})
        self.assertEqual(self.last.one("endpoint_paused", endpoint="dead", reason="outage"), 1)
        self.assertEqual(sum(self.last.all("endpoint_paused", endpoint="dead").values()), 1)
        self.assertEqual(sum(self.last.all("endpoint_paused", endpoint="bankfr").values()), 0)
        self.assertGreaterEqual(self.last.one("token_refreshes_total", endpoint="dead", result="outage"), 1)
        self.assertEqual(self.last.one("token_refreshes_total", endpoint="bankfr", result="ok"), 1)
        self.assertEqual(self.last.one("oldest_queued_age_seconds", endpoint="dead"), 0)

    def test_concurrency_and_flights(self) -> None:
        self.assertEqual(self.last.one("endpoint_in_flight", endpoint="bankfr"), 0)
        self.assertIn(self.last.one("endpoint_concurrency", endpoint="bankfr"), range(1, 9))

    def test_files_and_times(self) -> None:
        self.assertEqual(self.second.one("database_size_bytes"), self.database)
        self.assertGreater(self.second.one("database_wal_size_bytes"), 0)
        self.assertGreater(self.second.one("state_free_bytes"), self.second.one("state_free_minimum_bytes"))
        self.assertEqual(self.second.one("state_free_minimum_bytes"), 1 << 20)
        self.assertEqual(self.last.one("process_start_time_seconds"), self.first.one("process_start_time_seconds"))
        self.assertAlmostEqual(self.first.one("process_start_time_seconds"), self.began, delta=10)
        self.assertGreater(self.last.one("metrics_last_write_timestamp_seconds"), self.second.one("metrics_last_write_timestamp_seconds"))
        self.assertEqual(self.last.one("metrics_write_failures_total"), 0)
        self.assertEqual(self.last.one("database_commits_failing"), 0)
        self.assertEqual(self.last.one("source_files_waiting", source="lyon"), 0)
        self.assertEqual(self.last.one("source_late", source="lyon"), 0)

    def test_the_version_is_told(self) -> None:
        version = self.bureau.cli("--version").stdout.split()[-1]
        self.assertEqual(self.last.one("build_info", version=version), 1)

    def test_the_certificate_s_end_is_that_of_the_file(self) -> None:
        path = self.bureau.config["endpoints"][0]["tls"]["certificate"]
        told = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", path], capture_output=True, text=True, check=True).stdout
        end = ssl.cert_time_to_seconds(told.strip().partition("=")[2])
        self.assertEqual(self.first.one("certificate_expiry_timestamp_seconds", endpoint="bankfr"), end)

    def test_everybody_may_read_it_and_nothing_lies_beside_it(self) -> None:
        self.assertEqual(metrics_file(self.bureau).stat().st_mode & 0o7777, 0o644)
        self.assertEqual([path.name for path in metrics_file(self.bureau).parent.iterdir()], ["tb.prom"])

    def test_no_card_is_in_it(self) -> None:
        text = metrics_file(self.bureau).read_text()
        self.assertFalse([card for card in ("ok-1", "h400-1", "drop-1", "de-1", "odd-1", "a.csv") if card in text])


class WritingTest(Scene):
    def test_nothing_is_written_without_a_metrics_file(self) -> None:
        bureau = self.scene()
        bureau.start()
        bureau.stop()
        self.assertEqual([path for path in bureau.root.rglob("*") if ".prom" in path.name], [])

    def test_counters_begin_anew_with_the_process_and_states_do_not(self) -> None:
        bureau = with_metrics(self.scene())
        bureau.drop("a.csv", manifests.cards(["ok-1", "ok-2"]))
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual(read(bureau).one("attempts_total", outcome="accepted"), 2)
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual(read(bureau).one("attempts_total", outcome="accepted"), 0)
        self.assertEqual(read(bureau).one("rows", state="accepted"), 2)

    def test_a_directory_that_is_missing_is_said_once_counted_and_does_not_disturb(self) -> None:
        bureau = with_metrics(self.scene())
        metrics_file(bureau).parent.rmdir()
        bureau.start()
        bureau.wait(lambda: "tb.prom.tmp" in bureau.log, "the complaint")
        bureau.drop("a.csv", manifests.cards(["ok-1"]))
        bureau.wait_manifest("a.csv")
        metrics_file(bureau).parent.mkdir()
        bureau.wait(lambda: metrics_file(bureau).exists(), "the file", LONG)
        self.assertGreaterEqual(read(bureau).one("metrics_write_failures_total"), 1)
        self.assertEqual(bureau.log.count("tb.prom.tmp"), 1)
        self.assertEqual(bureau.log.count("is written again"), 1)
        self.assertEqual(bureau.stop(), 0)

    def test_a_disk_that_is_full_leaves_the_last_whole_file(self) -> None:
        if os.geteuid() != 0:
            self.skipTest("needs root, to mount a small file system")
        bureau = with_metrics(self.scene())
        folder = metrics_file(bureau).parent
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "trackbridge-test", str(folder)], capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)], capture_output=True)
        bureau.start()
        bureau.wait(lambda: metrics_file(bureau).exists(), "the first file")
        with open(folder / "filler", "ab", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while filler.write(b"x" * 512):
                    pass
        bureau.drop("a.csv", manifests.cards(["ok-1"]))
        bureau.wait_manifest("a.csv")
        self.assertEqual(bureau.stop(), 0)
        self.assertEqual(read(bureau).one("rows", state="accepted"), 0)
        self.assertEqual(bureau.log.count("it is tried again"), 1)
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["filler", "tb.prom"])

    def test_the_database_s_locks_are_kept(self) -> None:
        """Looking at the sizes must not open the files: closing them again would drop the locks of SQLite."""
        bureau = with_metrics(self.scene())
        bureau.start()
        bureau.drop("a.csv", manifests.cards(["ok-1"]))
        bureau.wait_manifest("a.csv")
        wait_for(lambda: read(bureau).one("rows", state="accepted") == 1, LONG, "the second file")
        with open("/proc/locks") as locks:
            inodes = [line.split()[5].rpartition(":")[2] for line in locks if f" {bureau.pid} " in line]
        for name in ("queue.db", "queue.db-shm"):
            self.assertIn(str((bureau.state / name).stat().st_ino), inodes, name)
        self.assertEqual(bureau.stop(), 0)


if __name__ == "__main__":
    unittest.main()
