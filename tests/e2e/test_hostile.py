"""Drop directories that somebody fills with the wrong things, and disks without room: nothing else suffers, and nobody's log is flooded."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import mounts
from harness import Bureau
from memory import in_memory
from test_completion import LONG, QUICK, Drop, one

MANY = 10_000
MEBIBYTE = 1024 * 1024


def ticks(pid: int) -> int:
    """The processor time of a process, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def sleeps(pid: int) -> bool:
    """Mostly, over two seconds: a process that has work and no processor does not."""
    asleep = 0
    for _ in range(200):
        asleep += Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"
        time.sleep(0.01)
    return asleep >= 100


class Hostile(Drop):
    def counted(self, bureau: Bureau) -> int:
        return sum(int(n) for n in re.findall(r"lyon: (\d+) more lines like those before were counted", bureau.log))

    def told(self, bureau: Bureau, words: str) -> int:
        return sum(words in line for line in bureau.log.splitlines())


class FloodTest(Hostile):
    def flood(self, bureau: Bureau, words: str) -> None:
        """Ten thousand names that cannot be taken cost a few lines, a count, and no other source its files."""
        bureau.start()
        bureau.wrapper = []
        bureau.wait(lambda: bureau.sources()[0]["state"] == "open" and self.told(bureau, words) >= 20, "the first names", LONG)
        for i in range(3):
            self.put(bureau, f"{i}.csv", source=1)
            bureau.wait_manifest(f"{i}.csv", seconds=LONG)
        bureau.wait(lambda: sleeps(bureau.pid), "an end of the work", LONG)
        bureau.stop()
        self.assertEqual(self.told(bureau, words), 20)
        self.assertEqual(self.counted(bureau), MANY - 20)
        self.assertLess(len(bureau.log.splitlines()), 60)
        self.assertEqual([m["source"] for m in bureau.manifests()], ["tours"] * 3)
        self.assertEqual(len(os.listdir(bureau.in_directory)), MANY)

    def flooded(self, mode: int, **changes: Any) -> Bureau:
        with in_memory():
            bureau = self.bureau(sources=[QUICK, QUICK | {"name": "tours"}], **changes)
        for i in range(MANY):
            os.close(os.open(bureau.in_directory / f"{i}.csv", os.O_WRONLY | os.O_CREAT, mode))
        return bureau

    def test_odd_kinds(self) -> None:
        with in_memory():
            bureau = self.bureau(sources=[QUICK, QUICK | {"name": "tours"}])
        there = bureau.in_directory
        for i in range(MANY):
            path = there / f"{i}.csv"
            if i % 3 == 0:
                path.mkdir()
            elif i % 3 == 1:
                path.symlink_to("/etc/passwd")
            else:
                os.mkfifo(path)
        self.flood(bureau, "not a file: left alone")

    def test_files_that_cannot_be_read(self) -> None:
        self.flood(self.flooded(0, wrapper=mounts.obeying_modes(self)), "cannot be opened: Permission denied")

    def test_files_that_cannot_be_renamed(self) -> None:
        bureau = self.flooded(0o644, wrapper=mounts.obeying_modes(self))
        bureau.in_directory.chmod(0o555)
        self.addCleanup(lambda: bureau.in_directory.is_dir() and bureau.in_directory.chmod(0o755))
        self.flood(bureau, "cannot be renamed in its directory: Permission denied")

    def test_many_files_that_are_being_written_to(self) -> None:
        bureau = self.started(**QUICK | {"complete": {"when": "stable", "quiet": "200ms"}})
        writers = [open(bureau.in_directory / f"{i}.csv", "w", encoding="ascii") for i in range(200)]
        for i, writer in enumerate(writers):
            writer.write(one(f"c-{i}"))
            writer.flush()
        bureau.wait(lambda: self.told(bureau, "is still open for writing") == 20, "the first names", LONG)
        for writer in writers:
            writer.close()
        bureau.wait(lambda: len(bureau.manifests()) == 200, "all of them", LONG)
        bureau.stop()
        self.assertEqual(self.told(bureau, "is still open for writing"), 20)


class NamesTest(Hostile):
    NAMES = (b"a\nlevel=err msg=forged.csv", b"\x01\x1b[31m.csv", b"\xff\xfe.csv", b"-rf.csv", b"--help.csv", b" .csv", b"'\"`$(id).csv",
             b"a" * 251 + b".csv", b"\xc3" * 251 + b".csv", "é".encode() * 125 + b".csv", b"%s%n.csv", b"a\\x0A.csv", b".csv.csv"[1:])

    def test_any_name_is_a_name(self) -> None:
        bureau = self.bureau(source=QUICK)
        there = os.fsencode(bureau.in_directory)
        for i, name in enumerate(self.NAMES):
            Path(os.fsdecode(there + b"/" + name)).write_text(one(f"c-{i}"), encoding="ascii")
        bureau.start()
        bureau.wait(lambda: sum(m["state"] == "settled" for m in bureau.manifests()) == len(self.NAMES), "all of them", LONG)
        bureau.wait(lambda: not os.listdir(there), "the removal")
        bureau.stop()
        shown = {m["name"] for m in bureau.manifests()}
        self.assertLessEqual({"a\\x0Alevel=err msg=forged.csv", "\\x01\\x1B[31m.csv", "\\xFF\\xFE.csv", "-rf.csv"}, shown)
        for line in bureau.log.splitlines():
            self.assertRegex(line, r"^level=(info|notice) msg=")
        self.assertNotIn("\x1b", bureau.log)

    def test_each_odd_one_gets_one_line_with_its_reason(self) -> None:
        bureau = self.bureau(source=QUICK)
        there = os.fsencode(bureau.in_directory)
        for name in self.NAMES:
            os.mkfifo(there + b"/" + name)
        bureau.start()
        bureau.wait(lambda: self.told(bureau, "is a pipe, not a file: left alone") == len(self.NAMES), "the lines", LONG)
        bureau.stop()
        self.assertEqual(self.told(bureau, "level=warning"), len(self.NAMES))
        self.assertEqual(len(os.listdir(there)), len(self.NAMES))

    def test_a_long_name_that_cannot_be_read_gets_its_reason(self) -> None:
        bureau = self.bureau(source=QUICK, wrapper=mounts.obeying_modes(self))
        os.close(os.open(os.fsencode(bureau.in_directory) + b"/" + b"\x01" * 251 + b".csv", os.O_WRONLY | os.O_CREAT, 0))
        bureau.start()
        bureau.wrapper = []
        bureau.wait(lambda: self.told(bureau, "... cannot be opened: Permission denied"), "the line", LONG)


class ReadOnlyTest(Hostile):
    def test_a_read_only_directory_makes_one_line_and_keeps_no_other_source_waiting(self) -> None:
        bureau = self.bureau(sources=[QUICK, QUICK | {"name": "tours"}])
        mounts.tmpfs(self, bureau.in_directory)
        for i in range(50):
            self.put(bureau, f"l{i}.csv")
            self.put(bureau, f"t{i}.csv", source=1)
        mounts.remount(bureau.in_directory, "ro")
        bureau.start()
        bureau.wait(lambda: len(bureau.manifests()) == 50, "those of the other source", LONG)
        bureau.wait(lambda: self.told(bureau, "Read-only file system"), "the line", LONG)
        before, begin = ticks(bureau.pid), time.monotonic()
        time.sleep(3)  # fifteen scans
        self.assertLess((ticks(bureau.pid) - before) / 100, (time.monotonic() - begin) / 5)
        self.assertEqual(self.told(bureau, "Read-only file system"), 1)
        self.assertEqual(self.told(bureau, "level=err"), 1)
        mounts.remount(bureau.in_directory, "rw")
        bureau.wait(lambda: len(bureau.manifests()) == 100, "the files of a directory that was mended", LONG)
        self.assertEqual(self.told(bureau, "lyon: files are taken again"), 1)


class EndTest(Hostile):
    """`run --until-idle` waits for nothing that needs somebody's doing."""

    def ended(self, bureau: Bureau, words: str) -> None:
        self.assertEqual(bureau.until_idle(LONG), 65)
        self.assertEqual(self.told(bureau, "ended with a file that is not loaded"), 1)
        self.assertRegex(bureau.log, f"lyon: ended with a file that is not loaded: {words}")
        self.assertEqual([m["name"] for m in bureau.manifests()], ["other.csv"])

    def waiting(self, **top: Any) -> Bureau:
        bureau = self.bureau(sources=[QUICK, QUICK | {"name": "tours"}], top=top)
        self.put(bureau, "other.csv", source=1)
        return bureau

    def test_with_a_file_that_is_still_open_for_writing(self) -> None:
        bureau = self.waiting()
        with open(bureau.in_directory / "a.csv", "w", encoding="ascii") as writer:
            writer.write(one("c-1"))
            writer.flush()
            self.ended(bureau, r"a\.csv is still open for writing")
        self.assertEqual(bureau.until_idle(LONG), 0)
        self.assertEqual(len(bureau.manifests()), 2)

    def test_with_a_file_that_a_writer_goes_on_with(self) -> None:
        bureau = self.waiting()
        bureau.config["sources"][0]["complete"]["quiet"] = "1s"
        bureau.write_config()
        with open(bureau.in_directory / "a.csv", "w", encoding="ascii") as writer:
            daemon = bureau.spawn("run", "--until-idle")
            bureau.wait(lambda: any(s["waiting_files"] for s in bureau.sources()), "the file to be seen")
            writer.write(one("c-1"))
            writer.flush()
            self.assertEqual(daemon.wait(LONG), 65)
        self.assertRegex(bureau.log, r"not loaded: a\.csv (is still open for writing|was written to, and not closed since)")

    def test_with_files_in_a_read_only_directory(self) -> None:
        bureau = self.waiting()
        mounts.tmpfs(self, bureau.in_directory)
        for name in ("b.csv", "a.csv"):
            os.utime(self.put(bureau, name), (1, 1))
        mounts.remount(bureau.in_directory, "ro")
        self.ended(bureau, r"a\.csv .*Read-only file system")

    def test_with_a_file_that_cannot_be_renamed(self) -> None:
        bureau = self.waiting()
        self.put(bureau, "a.csv")
        bureau.in_directory.chmod(0o555)
        self.addCleanup(lambda: bureau.in_directory.is_dir() and bureau.in_directory.chmod(0o755))
        bureau.wrapper = mounts.obeying_modes(self)
        self.ended(bureau, r"a\.csv cannot be taken")

    def test_with_a_file_that_is_too_large(self) -> None:
        bureau = self.waiting()
        bureau.config["sources"][0]["max_file_bytes"] = "1KiB"
        bureau.write_config()
        bureau.drop("a.csv", one("c-1") + "\n" * 1024, events=[])
        self.ended(bureau, r"a\.csv cannot be taken")

    def test_with_a_file_that_has_no_room(self) -> None:
        bureau = self.waiting(min_free_space="16MiB")
        mounts.tmpfs(self, bureau.state, "size=48m,mode=750")
        bureau.drop("a.csv", one("c-1") + "\n" * 36 * MEBIBYTE, events=[])
        self.ended(bureau, r"a\.csv \(.* has no room in the spool")

    def test_below_min_free_space(self) -> None:
        bureau = self.bureau(source=QUICK, top={"min_free_space": "16MiB"})
        mounts.tmpfs(self, bureau.state, "size=48m,mode=750")
        (bureau.state / "ballast").write_bytes(b"\0" * 34 * MEBIBYTE)
        self.put(bureau, "a.csv")
        self.assertEqual(bureau.until_idle(LONG), 65)
        self.assertEqual(self.told(bureau, "not loaded: a.csv waits until min_free_space is free again"), 1)


class RoomTest(Hostile):
    def small(self, **top: Any) -> Bureau:
        """A bureau whose state is on a small file system."""
        bureau = self.bureau(sources=[QUICK, QUICK | {"name": "tours"}], top={"min_free_space": "16MiB", **top})
        mounts.tmpfs(self, bureau.state, "size=48m,mode=750")
        return bureau

    def test_a_file_without_room_holds_back_its_own_source_alone(self) -> None:
        bureau = self.small()
        ballast = bureau.state / "ballast"
        ballast.write_bytes(b"\0" * 20 * MEBIBYTE)
        bureau.start()
        bureau.wait(lambda: [s["state"] for s in bureau.sources()] == ["open", "open"], "both sources")
        content = one("c-large") + "\n" * 16 * MEBIBYTE
        large = bureau.drop("large.csv", content, events=[])
        os.utime(large, (1, 1))
        bureau.wait(lambda: self.told(bureau, "large.csv ("), "the line", LONG)
        self.put(bureau, "later.csv")
        for i in range(10):
            self.put(bureau, f"{i}.csv", source=1)
            bureau.wait_manifest(f"{i}.csv", seconds=LONG)
        self.assertEqual({m["source"] for m in bureau.manifests()}, {"tours"})
        self.assertTrue(large.exists())
        self.assertEqual(len(list((bureau.state / "spool").iterdir())), 0)
        self.assertRegex(bureau.log, rf"large\.csv \({len(content)} bytes\) has no room in the spool: \d+ bytes are free there, and 16777216")
        ballast.unlink()
        bureau.wait_manifest("later.csv", seconds=LONG)
        self.assertEqual(self.names(bureau)[-2:], ["large.csv", "later.csv"])
        self.assertEqual(self.told(bureau, "large.csv ("), 1)
        self.assertEqual(self.told(bureau, "lyon: files are taken again"), 1)

    def test_below_min_free_space_nothing_is_taken(self) -> None:
        bureau = self.small()
        ballast = bureau.state / "ballast"
        ballast.write_bytes(b"\0" * 34 * MEBIBYTE)
        bureau.start()
        self.put(bureau, "a.csv")
        bureau.wait(lambda: self.told(bureau, "less than min_free_space is free"), "the line", LONG)
        bureau.wait(lambda: bureau.sources()[0]["waiting_files"] == 1, "the file to be seen")
        self.assertEqual(bureau.manifests(), [])
        ballast.unlink()
        bureau.wait_manifest("a.csv", seconds=LONG)

    def test_a_file_that_is_too_large_is_left_alone_until_it_may_be_so_large(self) -> None:
        bureau = self.bureau(source=QUICK | {"max_file_bytes": "1KiB"})
        bureau.start()
        content = one("c-1") + "\n" * 1024
        path = bureau.drop("a.csv", content, events=[])
        bureau.wait(lambda: f"a.csv has {len(content)} bytes, more than the 1024 that" in bureau.log, "the line", LONG)
        shrunk = bureau.drop("b.csv", one("c-2") + "\n" * 1024, events=[])
        bureau.wait(lambda: self.told(bureau, "b.csv has ") == 1, "the line", LONG)
        shrunk.write_text(one("c-2"), encoding="ascii")
        bureau.wait_manifest("b.csv", seconds=LONG)
        self.assertTrue(path.exists())
        self.assertEqual(self.told(bureau, "a.csv has "), 1)
        bureau.stop()
        bureau.config["sources"][0]["max_file_bytes"] = "2KiB"
        bureau.write_config()
        bureau.start()
        bureau.wait_manifest("a.csv", seconds=LONG)
