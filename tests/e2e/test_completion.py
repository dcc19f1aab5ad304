"""When a file of a drop directory is complete, and that none is lost, whatever happens to the directory or to the news of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

import manifests
import mounts
from harness import Bureau, seconds_of
from memory import in_memory

HEADER = ";".join(manifests.COLUMNS) + "\n"
QUICK = {"complete": {"when": "renamed", "quiet": "10ms"}, "scan": "200ms"}
SELDOM = "1h"  # a scan that no test lives to see
LONG = 60.0


def one(card: str) -> str:
    """A manifest with nothing to send: it settles at once, without an endpoint."""
    return HEADER + f"{card};EMBOSSED;;;;;\n"


class Drop(unittest.TestCase):
    def bureau(self, **changes: Any) -> Bureau:
        bureau = Bureau(**changes)
        self.addCleanup(bureau.close)
        return bureau

    def started(self, **source: Any) -> Bureau:
        bureau = self.bureau(source=source)
        bureau.start()
        return bureau

    def put(self, bureau: Bureau, name: str, how: Any = "rename", source: int = 0) -> Path:
        return bureau.drop(name, one("c-" + name.split(".")[0]), how, source=source, events=[])

    def names(self, bureau: Bureau) -> list[str]:
        return [m["name"] for m in bureau.manifests()]

    def stays(self, bureau: Bureau, path: Path) -> None:
        """Another file goes its whole way, and this one does not."""
        before = path.stat()
        bureau.wait(lambda: any(s["waiting_files"] for s in bureau.sources()), f"{path.name} to be seen", LONG)
        self.assertEqual((path.stat().st_ino, path.stat().st_size), (before.st_ino, before.st_size))
        self.assertNotIn(path.name, self.names(bureau))


class EachWayTest(Drop):
    def test_closed_waits_for_the_writer_to_close_and_for_quiet(self) -> None:
        bureau = self.started(complete={"when": "closed", "quiet": "300ms"}, scan=SELDOM)
        path = bureau.in_directory / "a.csv"
        with open(path, "w", encoding="ascii") as writer:
            writer.write(HEADER)
            writer.flush()
            self.stays(bureau, path)
            writer.write("c-1;EMBOSSED;;;;;\n")
            closed = time.time()
        self.assertEqual(bureau.wait_manifest("a.csv")["rows"], 1)
        self.assertGreaterEqual(seconds_of(bureau.manifest("a.csv")["received_at"]) - closed, 0.29)

    def test_renamed_takes_it_without_a_scan(self) -> None:
        bureau = self.started(complete={"when": "renamed", "quiet": SELDOM}, scan=SELDOM)
        self.put(bureau, "a.csv")
        bureau.wait_manifest("a.csv", seconds=LONG)

    def test_stable_waits_until_it_stands_still(self) -> None:
        bureau = self.started(complete={"when": "stable", "quiet": "1s"}, scan="100ms")
        path = bureau.in_directory / "a.csv"
        path.write_text(HEADER, encoding="ascii")
        for i in range(5):
            with open(path, "a", encoding="ascii") as writer:
                writer.write(f"c-{i};EMBOSSED;;;;;\n")
            last = time.time()
            time.sleep(0.3)
        manifest = bureau.wait_manifest("a.csv", seconds=LONG)
        self.assertEqual(manifest["rows"], 5)
        self.assertGreaterEqual(seconds_of(manifest["received_at"]) - last, 0.99)

    def test_marker_in_both_spellings_goes_with_its_file(self) -> None:
        bureau = self.started(complete={"when": "marker"}, scan="200ms")
        for name, marker in (("a.csv", "a.csv.done"), ("b.csv", "b.done")):
            path = self.put(bureau, name, "write")
            self.stays(bureau, path)
            (bureau.in_directory / marker).touch()
            bureau.wait_manifest(name, seconds=LONG)
        (bureau.in_directory / "c.done").touch()
        self.put(bureau, "c.csv")
        bureau.wait_manifest("c.csv", seconds=LONG)
        bureau.wait(lambda: not list(bureau.in_directory.iterdir()), "files and markers to be gone")

    def test_a_marker_of_another_suffix(self) -> None:
        bureau = self.started(complete={"when": "marker", "marker": ".ok"}, scan="200ms")
        path = self.put(bureau, "a.csv")
        (bureau.in_directory / "a.csv.done").touch()
        self.stays(bureau, path)
        (bureau.in_directory / "a.ok").touch()
        bureau.wait_manifest("a.csv", seconds=LONG)
        bureau.wait(lambda: [p.name for p in bureau.in_directory.iterdir()] == ["a.csv.done"], "the marker to be gone")

    def test_quiet_is_measured_by_what_was_seen_and_not_by_the_file_s_time(self) -> None:
        bureau = self.started(complete={"when": "closed", "quiet": "1s"}, scan=SELDOM)
        begin = time.time()
        for name, moment in (("past.csv", 1), ("future.csv", 4_102_444_800)):
            os.utime(self.put(bureau, name, "write"), (moment, moment))
        for name in ("past.csv", "future.csv"):
            manifest = bureau.wait_manifest(name, seconds=LONG)
            self.assertGreaterEqual(seconds_of(manifest["received_at"]) - begin, 0.99)

    def test_what_was_there_before_the_start_has_to_stand_still(self) -> None:
        for way in ("renamed", "closed", "stable"):
            with self.subTest(way):
                bureau = self.bureau(source={"complete": {"when": way, "quiet": "1s"}, "scan": SELDOM})
                os.utime(self.put(bureau, "a.csv"), (1, 1))
                begin = time.time()
                bureau.start()
                manifest = bureau.wait_manifest("a.csv", seconds=LONG)
                self.assertGreaterEqual(seconds_of(manifest["received_at"]) - begin, 0.99)

    def test_left_overs_of_a_crash_are_finished(self) -> None:
        bureau = self.bureau(source={"complete": {"when": "renamed", "quiet": SELDOM}, "scan": SELDOM})
        for name in ("b.csv", "a.csv"):
            self.put(bureau, name).rename(bureau.in_directory / f".trackbridge-{name}")
        (bureau.in_directory / ".trackbridge-c.txt").write_text("not ours\n")
        bureau.start()
        for name in ("a.csv", "b.csv"):
            bureau.wait_manifest(name, seconds=LONG)
        bureau.wait(lambda: [p.name for p in bureau.in_directory.iterdir()] == [".trackbridge-c.txt"], "the left-overs to be gone")


class WriterTest(Drop):
    def test_a_file_that_is_still_open_for_writing_is_left_and_said_once(self) -> None:
        bureau = self.started(complete={"when": "renamed", "quiet": "50ms"}, scan="100ms")
        with open(bureau.in_directory / "upload.tmp", "w", encoding="ascii") as writer:
            writer.write(HEADER)
            writer.flush()
            path = Path(writer.name).rename(bureau.in_directory / "a.csv")
            bureau.wait(lambda: "a.csv is still open for writing" in bureau.log, "the notice")
            inode = path.stat().st_ino
            for i in range(3):  # later ones go meanwhile
                self.put(bureau, f"{i}.csv")
                bureau.wait_manifest(f"{i}.csv", seconds=LONG)
            self.assertEqual(path.stat().st_ino, inode)
            writer.write("c-a;EMBOSSED;;;;;\n")
        self.assertEqual(bureau.wait_manifest("a.csv", seconds=LONG)["rows"], 1)
        self.assertEqual(bureau.log.count("a.csv is still open for writing"), 1)
        self.assertEqual(len(bureau.manifests()), 4)


class EventsTest(Drop):
    def test_an_overflow_of_the_event_queue_loses_nothing(self) -> None:
        most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        if most > 200_000:
            self.skipTest(f"fs.inotify.max_queued_events is {most}")
        bureau = self.started(complete={"when": "closed", "quiet": "200ms"}, scan=SELDOM)
        there = bureau.in_directory
        with open(there / "written.csv", "w", encoding="ascii") as writer:
            writer.write(one("c-written"))
            writer.flush()
            self.stays(bureau, there / "written.csv")
            os.kill(bureau.pid, signal.SIGSTOP)
            for _ in range(most // 2 + 1000):  # a creation and a removal each, at least
                os.close(os.open(there / "junk", os.O_WRONLY | os.O_CREAT))
                os.unlink(there / "junk")
        for i in range(20):
            self.put(bureau, f"{i}.csv", "rename" if i % 2 else "write")
        os.kill(bureau.pid, signal.SIGCONT)
        for name in ("written.csv", *(f"{i}.csv" for i in range(20))):
            bureau.wait_manifest(name, seconds=LONG)
        self.assertEqual(len(bureau.manifests()), 21)

    def test_ten_thousand_files_at_once_are_manifests_in_order(self) -> None:
        n = 10_000
        with in_memory():
            bureau = self.bureau(source={"complete": {"when": "stable", "quiet": "100ms"}})
        for i in range(n):
            path = bureau.in_directory / f"{i * 7919 % n:05d}.csv"
            path.write_text(one(f"c-{i * 7919 % n}"), encoding="ascii")
            os.utime(path, ns=(0, 1_000_000_000 + i // 2))  # two of a time: by name then
        expected = [p.name for p in sorted(bureau.in_directory.iterdir(), key=lambda p: (p.stat().st_mtime_ns, p.name))]
        begin = time.monotonic()
        bureau.start()
        bureau.wait(lambda: bureau.query("SELECT count(*) AS n FROM manifest_status")[0]["n"] == n, f"{n} manifests", 400)
        print(f"{n} files were recorded in {time.monotonic() - begin:.1f} s", flush=True)
        self.assertEqual(self.names(bureau), expected)
        bureau.wait(lambda: not list(bureau.in_directory.iterdir()), "the removal of the files", LONG)


class DirectoryTest(Drop):
    def lines(self, bureau: Bureau, words: str) -> int:
        return sum(words in line for line in bureau.log.splitlines())

    def test_one_that_is_not_there_yet_is_waited_for_with_one_warning(self) -> None:
        bureau = self.bureau(sources=[QUICK | {"name": "lyon"}, QUICK | {"name": "tours"}])
        shutil.rmtree(bureau.in_directory)
        bureau.start()
        for i in range(5):  # each outlasts a scan
            self.put(bureau, f"{i}.csv", "write", source=1)
            bureau.wait_manifest(f"{i}.csv", seconds=LONG)
        self.assertEqual(self.lines(bureau, "lyon: waiting for"), 1)
        self.assertEqual([s["state"] for s in bureau.sources()], ["waiting", "open"])
        bureau.in_directory.mkdir()
        self.put(bureau, "a.csv")
        bureau.wait_manifest("a.csv", seconds=LONG)
        self.assertEqual(self.lines(bureau, "lyon: waiting for"), 1)

    def test_one_that_is_removed_and_made_again_is_watched_again(self) -> None:
        bureau = self.started(**QUICK)
        self.put(bureau, "a.csv")
        bureau.wait_manifest("a.csv", seconds=LONG)
        shutil.rmtree(bureau.in_directory)
        bureau.wait(lambda: bureau.sources()[0]["state"] == "waiting", "the source to wait", LONG)
        bureau.in_directory.mkdir()
        self.put(bureau, "b.csv")
        bureau.wait_manifest("b.csv", seconds=LONG)
        self.assertEqual(self.lines(bureau, "lyon: waiting for"), 1)

    def test_one_that_is_replaced_is_watched_and_the_other_left(self) -> None:
        bureau = self.started(**QUICK)
        bureau.in_directory.rename(bureau.root / "old")
        bureau.in_directory.mkdir()
        self.put(bureau, "a.csv")
        bureau.wait_manifest("a.csv", seconds=LONG)
        (bureau.root / "old" / "b.csv").write_text(one("c-b"), encoding="ascii")
        self.put(bureau, "c.csv")
        bureau.wait_manifest("c.csv", seconds=LONG)
        self.assertEqual(self.names(bureau), ["a.csv", "c.csv"])

    def test_one_that_is_unmounted_and_mounted_again_goes_on(self) -> None:
        bureau = self.bureau(source=QUICK)
        mounts.tmpfs(self, bureau.in_directory)
        bureau.start()
        self.put(bureau, "a.csv")
        bureau.wait_manifest("a.csv", seconds=LONG)
        bureau.wait(lambda: not list(bureau.in_directory.iterdir()), "the removal")
        bureau.wait(lambda: self.unmounted(bureau), "the file system not to be in use")
        self.put(bureau, "b.csv")  # beneath
        bureau.wait_manifest("b.csv", seconds=LONG)
        mounts.tmpfs(self, bureau.in_directory)
        self.put(bureau, "c.csv")
        bureau.wait_manifest("c.csv", seconds=LONG)

    @staticmethod
    def unmounted(bureau: Bureau) -> bool:
        try:
            mounts.unmount(bureau.in_directory)
        except subprocess.CalledProcessError:  # a scan is looking
            return False
        return True

    def test_one_that_cannot_be_read_is_waited_for(self) -> None:
        bureau = self.bureau(sources=[QUICK, QUICK | {"name": "tours"}], wrapper=mounts.obeying_modes(self))
        self.put(bureau, "a.csv")
        bureau.in_directory.chmod(0)
        self.addCleanup(lambda: bureau.in_directory.is_dir() and bureau.in_directory.chmod(0o755))
        bureau.start()
        bureau.wrapper = []  # setpriv has become the daemon
        for i in range(3):
            self.put(bureau, f"{i}.csv", "write", source=1)
            bureau.wait_manifest(f"{i}.csv", seconds=LONG)
        self.assertIn("Permission denied", bureau.sources()[0]["reason"])
        self.assertEqual(self.lines(bureau, "lyon: waiting for"), 1)
        bureau.in_directory.chmod(0o755)
        bureau.wait_manifest("a.csv", seconds=LONG)

    def test_one_on_another_file_system_than_the_spool(self) -> None:
        shm = Path("/dev/shm")
        if not os.access(shm, os.W_OK):
            self.skipTest("/dev/shm cannot be written to")
        drop = Path(tempfile.mkdtemp(prefix="tb-", dir=shm))
        self.addCleanup(shutil.rmtree, drop, True)
        bureau = self.bureau(source=QUICK | {"drop": str(drop)})
        if bureau.state.stat().st_dev == drop.stat().st_dev:
            self.skipTest("all of it is one file system")
        bureau.start()
        content = one("c-1") + "\n" * 9_000_000  # several slices
        bureau.drop("a.csv", content, events=[])
        self.assertEqual(bureau.wait_manifest("a.csv", seconds=LONG)["bytes"], len(content))
        bureau.wait(lambda: not list(drop.iterdir()), "the removal")
