"""`status`: what it says at a glance, for a monitoring plugin and on a terminal, and that what it says of the pace was measured."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
import unittest
from typing import Any

import manifests
from harness import Bureau, binary, wait_for
from test_answers import Scene

OK, WARNING, CRITICAL, UNKNOWN, USAGE = 0, 1, 2, 3, 64

# One line: STATE - text | label=value[unit];warn;crit;min …
LINE = re.compile(r"(OK|WARNING|CRITICAL) - ([^|\n]+) \| ((?:[a-z_]+=[0-9.]+[a-zB]*;[0-9:]*;[0-9:]*;0 ?)+)\n")

KEYS = ["at", "daemon", "pid", "restored_from", "manifests", "rows", "oldest_waiting", "ready_since", "accepted_per_minute", "drain_seconds",
        "last_day", "free_bytes", "min_free_bytes", "wal_bytes", "warnings", "endpoints", "sources"]


class Asking(Scene):
    def told(self, bureau: Bureau) -> dict[str, Any]:
        done = bureau.cli("status", "--format", "json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def text(self, bureau: Bureau) -> str:
        done = bureau.cli("status")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def check(self, bureau: Bureau, *arguments: str) -> tuple[int, str]:
        done = bureau.cli("status", "--check", *arguments)
        self.assertEqual(done.stderr, "")
        match = LINE.fullmatch(done.stdout)
        assert match, done.stdout
        self.assertEqual(match[1], ("OK", "WARNING", "CRITICAL")[done.returncode])
        return done.returncode, match[2]

    def findings(self, bureau: Bureau) -> dict[str, str]:
        return {one["what"]: one["level"] for one in self.told(bureau)["warnings"]}


class GlanceTest(Asking):
    def test_the_keys_are_those_that_are_documented(self) -> None:
        bureau = self.scene()
        self.assertEqual(bureau.until_idle(), 0)
        told = self.told(bureau)
        self.assertEqual(list(told), KEYS)
        self.assertEqual(set(told["last_day"]), {"refused", "in_doubt", "expired"})

    def test_all_is_well(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(20))
        bureau.start()
        bureau.wait_manifest("a.csv")
        self.assertEqual(self.told(bureau)["warnings"], [])
        text = self.text(bureau)
        self.assertIn("rows       queued 0  accepted 20  (20 in all)\n", text)
        self.assertRegex(text, r"endpoint   bankfr: open, 0 of at most \d+ in flight, accepted last \d+ s ago\n")
        self.assertRegex(text, r"source     lyon: open, 1 file so far, the last \d+ s ago\n")
        self.assertEqual(self.check(bureau)[0], OK)

    def test_the_rate_is_what_was_accepted(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        api.delay = 0.2
        began = time.time()
        bureau.drop("a.csv", manifests.realistic(400))
        bureau.start()
        bureau.wait(lambda: bureau.states().get("accepted", 0) >= 50, "some are accepted", 30)
        told = self.told(bureau)
        accepted = bureau.states()["accepted"]
        self.assertLess(time.time() - began, 60)
        # Counted over the last 60 to 70 seconds, in which all of them were.
        self.assertLessEqual(told["accepted_per_minute"], accepted)
        self.assertGreaterEqual(told["accepted_per_minute"], told["rows"]["accepted"] * 60 / 70 * 0.5)
        left = told["rows"]["queued"] + told["rows"]["sending"]
        self.assertAlmostEqual(told["drain_seconds"], left * 60 / told["accepted_per_minute"], delta=told["drain_seconds"] * 0.2 + 1)
        self.assertIn("; what is queued takes ", self.text(bureau))
        bureau.kill()

    def test_a_pause_is_told_with_its_reason_and_the_next_try(self) -> None:
        bureau = self.scene(endpoint={"retry": {"first": "10m", "most": "10m"}})
        self.api_of(bureau).set_token_behaviour("403")
        bureau.drop("a.csv", manifests.realistic(3))
        bureau.start()
        bureau.wait_endpoint("paused", "credentials")
        text = self.text(bureau)
        self.assertRegex(text, r"critical   endpoint bankfr is paused: credentials, next try in \d+ (s|min)\n")
        self.assertRegex(text, r"endpoint   bankfr: paused: credentials, next try in \d+ (s|min)\n")
        self.assertIn("how long the rest takes is not known while bankfr is paused", text)
        self.assertIsNone(self.told(bureau)["drain_seconds"])
        self.assertEqual(bureau.cli("pause", "bankfr").returncode, 0)
        bureau.wait_endpoint("paused", "operator")
        self.assertIn("endpoint bankfr is paused: operator, until trackbridge resume bankfr\n", self.text(bureau))

    def test_what_went_wrong_in_the_last_day_is_counted(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.cards(["ok-1", "h400-1", "ok-2", "h400-2", "ok-3", "close-1"]))
        bureau.until_idle()
        self.assertEqual(self.told(bureau)["last_day"], {"refused": 2, "in_doubt": 1, "expired": 0})
        text = self.text(bureau)
        self.assertIn("warning    2 rows became refused in the last day (trackbridge list --state refused)\n", text)
        self.assertIn("warning    1 row became in_doubt in the last day", text)

    def test_a_paused_manifest_a_late_source_and_a_receipt_without_a_place_are_told(self) -> None:
        bureau = self.scene(source={"expect_every": "1s"})
        bureau.out_directory.rmdir()
        self.api_of(bureau).delay = 0.5
        bureau.start()
        bureau.drop("a.csv", manifests.realistic(100))
        bureau.wait_manifest("a.csv", "released")
        bureau.drop("b.csv", manifests.realistic(5, seed=2))
        bureau.wait_manifest("b.csv", "released", "settled")
        self.assertEqual(bureau.cli("pause", "--manifest", "1").returncode, 0)
        bureau.wait(lambda: self.findings(bureau) == {"late": "warning", "manifest": "warning", "file": "warning"}, "all three", 30)
        text = self.text(bureau)
        self.assertIn("manifest 1 of lyon (a.csv) is paused: operator", text)
        self.assertIn(str(bureau.out_directory), text)
        self.assertIn("source lyon is late: no manifest since", text)
        self.assertEqual(self.check(bureau)[0], WARNING)

    def test_too_little_space_is_critical(self) -> None:
        bureau = self.scene(top={"min_free_space": "1024GiB"})
        if shutil.disk_usage(bureau.state).free > 1 << 40:
            self.skipTest("there is more free space than can be asked for")
        bureau.start()
        self.assertEqual(self.findings(bureau), {"space": "critical"})
        self.assertEqual(self.check(bureau)[0], CRITICAL)

    def test_files_that_a_plain_sqlite3_removed_are_told_of(self) -> None:
        bureau = self.scene()
        self.assertEqual(bureau.until_idle(), 0)
        self.assertNotIn("files", self.findings(bureau))
        for suffix in ("-wal", "-shm"):
            (bureau.state / f"queue.db{suffix}").unlink()
        if os.geteuid() == 0:  # others cannot open it, and are told why
            self.assertEqual(self.findings(bureau)["files"], "warning")
        for suffix in ("-wal", "-shm"):
            (bureau.state / f"queue.db{suffix}").unlink(missing_ok=True)
        self.assertIn("no daemon runs", bureau.cli("status", "--check").stdout)


class CheckTest(Asking):
    def test_no_daemon_is_critical(self) -> None:
        bureau = self.scene()
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual(self.check(bureau), (CRITICAL, "no daemon runs"))

    def test_no_database_and_no_daemon_is_critical(self) -> None:
        done = self.scene().cli("status", "--check")
        self.assertEqual(done.returncode, CRITICAL)
        self.assertTrue(done.stdout.startswith("CRITICAL - no daemon runs; "), done.stdout)

    def test_a_configuration_that_cannot_be_read_is_unknown(self) -> None:
        bureau = self.scene()
        bureau.config_path.write_text("version: 2\n")
        done = bureau.cli("status", "--check")
        self.assertEqual(done.returncode, UNKNOWN)
        self.assertTrue(done.stdout.startswith("UNKNOWN - "), done.stdout)

    def test_the_ages_can_be_chosen(self) -> None:
        """What waits behind one slow request could go."""
        bureau = self.scene(endpoint={"concurrency": 1, "timeout": "60s"}, top={"stop_timeout": "60s"})
        api = self.api_of(bureau)
        bureau.start()
        self.assertEqual(self.check(bureau, "--warning", "1s", "--critical", "2s")[0], OK)
        api.delay = 30
        bureau.drop("a.csv", manifests.realistic(20))
        bureau.wait_manifest("a.csv", "released")
        self.assertEqual(self.check(bureau, "--warning", "30m")[0], OK)
        bureau.wait(lambda: self.check(bureau, "--warning", "1s") == (WARNING, "a row that could go has waited for 1 s")
                    or "has waited for" in self.check(bureau, "--warning", "1s")[1], "a warning")
        bureau.wait(lambda: self.check(bureau, "--warning", "1s", "--critical", "2s")[0] == CRITICAL, "critical")
        self.assertGreater(self.told(bureau)["ready_since"], "2026")
        bureau.kill()

    def test_rows_that_wait_for_somebody_or_for_their_time_are_not_late(self) -> None:
        bureau = self.scene(endpoint={"retry": {"first": "10m", "most": "10m"}, "on_not_found": "retry"})
        bureau.start()
        bureau.drop("a.csv", manifests.cards(["nf-1", "ok-1"]))
        bureau.wait(lambda: bureau.row("nf-1")["attempts"] == 1 and bureau.row("nf-1")["state"] == "queued", "put back")
        time.sleep(1.5)
        self.assertEqual(self.check(bureau, "--warning", "1s")[0], OK)
        self.assertIsNone(self.told(bureau)["ready_since"])

    def test_what_does_not_go_together_is_usage(self) -> None:
        bureau = self.scene()
        for arguments in (("--watch", "--check"), ("--check", "--format", "json"), ("--warning", "5m"), ("--interval", "1s"),
                          ("--check", "--warning", "soon"), ("--watch", "--interval", "1ms")):
            with self.subTest(arguments):
                self.assertEqual(bureau.cli("status", *arguments).returncode, USAGE)


class Terminal:
    """A terminal with `status --watch` on it."""

    def __init__(self, bureau: Bureau, *arguments: str, rows: int = 24, columns: int = 80) -> None:
        self.seen = b""
        self.ours, theirs = pty.openpty()
        self.resize(rows, columns, None)
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.process = subprocess.Popen([binary(), "-c", str(bureau.config_path), "status", "--watch", *arguments], stdin=theirs, stdout=theirs,
                                        stderr=subprocess.PIPE, start_new_session=True)

    def resize(self, rows: int, columns: int, process: subprocess.Popen[bytes] | None) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if process:
            process.send_signal(signal.SIGWINCH)

    def read(self) -> bytes:
        with contextlib.suppress(OSError):
            while select.select([self.ours], [], [], 0)[0]:
                self.seen += os.read(self.ours, 65536)
        return self.seen

    def screen(self) -> list[str]:
        """The lines drawn last; nothing while one is being drawn."""
        last = self.read().rpartition(b"\x1b[H")[2].decode("utf-8", "replace")
        drawn = last.replace("\r", "").replace("\x1b[K", "").replace("\x1b[J", "").split("\n")
        return drawn if "\x1b[J" in last else []

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        for fd in (self.ours, self.theirs):
            os.close(fd)


class WatchTest(Asking):
    def watching(self, bureau: Bureau, *arguments: str, rows: int = 24, columns: int = 80) -> Terminal:
        terminal = Terminal(bureau, *arguments, rows=rows, columns=columns)
        self.addCleanup(terminal.close)
        wait_for(terminal.screen, what="a first screen")
        return terminal

    def ends(self, terminal: Terminal) -> None:
        self.assertEqual(terminal.process.wait(10), 0)
        self.assertTrue(terminal.read().endswith(b"\x1b[?25h\x1b[?1049l"))
        self.assertEqual(termios.tcgetattr(terminal.theirs), terminal.before)

    def test_it_redraws_what_changes_and_ends_on_q(self) -> None:
        bureau = self.scene()
        bureau.start()
        terminal = self.watching(bureau, "--interval", "200ms")
        self.assertIn(f"daemon     running, process {bureau.pid}", terminal.screen())
        bureau.drop("a.csv", manifests.realistic(7))
        wait_for(lambda: "rows       queued 0  accepted 7  (7 in all)" in terminal.screen(), what="the new rows")
        os.write(terminal.ours, b"x")
        os.write(terminal.ours, b"q")
        self.ends(terminal)

    def test_it_ends_on_ctrl_c_and_on_term(self) -> None:
        bureau = self.scene()
        self.assertEqual(bureau.until_idle(), 0)
        for end in (signal.SIGINT, signal.SIGTERM):
            terminal = self.watching(bureau)
            terminal.process.send_signal(end)
            self.ends(terminal)

    def test_it_fits_the_screen_and_follows_it(self) -> None:
        bureau = self.scene()
        self.assertEqual(bureau.until_idle(), 0)
        terminal = self.watching(bureau, "--interval", "200ms", rows=4, columns=30)
        self.assertEqual((len(terminal.screen()), max(map(len, terminal.screen())) <= 30), (4, True))
        terminal.resize(40, 200, terminal.process)
        wait_for(lambda: len(terminal.screen()) > 5, what="a larger screen")
        os.write(terminal.ours, b"q")
        self.ends(terminal)

    def test_a_queue_that_is_not_there_yet_is_waited_for(self) -> None:
        bureau = self.scene()
        terminal = self.watching(bureau, "--interval", "200ms")
        self.assertIn("no queue here yet", " ".join(terminal.screen()))
        bureau.start()
        wait_for(lambda: any("running" in line for line in terminal.screen()), what="the daemon")
        os.write(terminal.ours, b"q")
        self.ends(terminal)

    def test_where_there_is_no_terminal_it_says_so(self) -> None:
        done = self.scene().cli("status", "--watch")
        self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
        self.assertIn("terminal", done.stderr)


if __name__ == "__main__":
    unittest.main()
