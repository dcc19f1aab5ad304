"""A file's way in: what is taken and what is left alone, how it is read, and that a large one or a crash on the way changes nothing."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import socket
import unittest
from pathlib import Path
from typing import Any

import manifests
from harness import Bureau, binary, seconds_of
from manifests import Manifest, Row
from test_answers import Scene

HEADER = ";".join(manifests.COLUMNS) + "\r\n"
TRAILER = {"first_column": "TRL", "count_column": 2}
AT_ONCE = {"complete": {"when": "renamed", "quiet": "10ms"}, "scan": "100ms"}
MEBIBYTE = 1024  # in the kB of /proc


def many(n: int, *, prefix: str = "card", first: int = 0) -> str:
    """n rows quickly, without a header."""
    return "".join(f"{prefix}-{i:07d};SHIPPED;Lyon;LP{i:09d}FR;69001;FR;20/11/2026 14:30\r\n" for i in range(first, first + n))


class ReadingTest(Scene):
    def bodies(self, bureau: Bureau) -> dict[str, dict[str, str]]:
        return {r.card: json.loads(r.body) for r in self.api_of(bureau).requests}

    def test_encodings_and_headers_in_any_order(self) -> None:
        kinds = {"utf8": ("utf-8", "utf-8-sig", ";", ("Orléans", "東京 🃏")),
                 "latin": ("iso-8859-1", "iso-8859-1", ",", ("Orléans", "Köln-Süd")),
                 "wide": ("utf-16le", "utf-16-le", "\t", ("Saint-Étienne", "東京 🃏")),
                 "western": ("windows-1252", "cp1252", "|", ("Tours €", "é")),
                 "marked": ("utf-16", "utf-16", ";", ("Genève", "łódź"))}
        bureau = self.scene(sources=[{"name": name, "format": {"encoding": encoding, "delimiter": delimiter.replace("\t", "tab")}}
                                     for name, (encoding, _, delimiter, _) in kinds.items()])
        order = ("SHIP_DATE", "COMMENT", "SITE", "STATUS", "ZIP", "CARD_REF", "COUNTRY", "TRACK_NO")
        rows = []
        for n, (name, (_, codec, delimiter, sites)) in enumerate(kinds.items()):
            mine = [Row(f"{name}-{i}", site=site) for i, site in enumerate(sites)]
            cells = [dict(zip(manifests.COLUMNS, row.cells())) | {"COMMENT": f'"a {delimiter} b"'} for row in mine]
            text = "".join(delimiter.join(line) + "\r\n" for line in [order, *([row[column] for column in order] for row in cells)])
            content = ("\ufeff" if codec == "utf-16-le" else "") + text
            bureau.drop("a.csv", content.encode(codec), source=n, events=Manifest(mine).events)
            rows += mine
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual(self.bodies(bureau), {row.card: row.body() for row in rows})
        self.assertEqual({row["line"] for row in bureau.rows()}, {2, 3})
        self.sound(bureau)

    def test_columns_by_number_and_a_trailer_that_counts(self) -> None:
        numbers: dict[str, Any] = {"cardId": 2, "trackingType": {"column": 1}, "productionSite": {"column": 3}, "trackingNumber": 4,
                                   "postalCode": {"column": 5}, "countryCode": {"column": 6}, "shipmentDate": {"column": 7}}
        headerless = {"format": {"header": False}, "fields": numbers}
        cases = {"rows": (headerless, "rows", 0), "trailer": (headerless, "rows+trailer", 1),
                 "whole": ({}, "rows+header+trailer", 2)}
        bureau = self.scene(sources=[{"name": name, "trailer": TRAILER | {"counts": counts}} | changes
                                     for name, (changes, counts, _) in cases.items()])
        for n, (name, (changes, _, more)) in enumerate(cases.items()):
            for kind, wrong in (("good", 0), ("bad", 1)):
                rows = [Row(f"{name}-{kind}-{i}") for i in range(3)]
                cells = [row.cells() for row in rows]
                lines = [[c[1], c[0], *c[2:]] for c in cells] if changes else [manifests.COLUMNS, *cells]
                text = "".join(";".join(line) + "\n" for line in lines) + f"TRL;{3 + more - wrong:08d};x\n"
                bureau.drop(f"{kind}.csv", text, source=n, events=Manifest(rows).events)
        self.assertEqual(bureau.until_idle(), 65)
        for manifest in bureau.manifests():
            with self.subTest(manifest["source"], name=manifest["name"]):
                if manifest["name"] == "good.csv":
                    self.assertEqual((manifest["state"], manifest["rows"], manifest["accepted"]), ("settled", 3, 3))
                else:
                    self.assertEqual((manifest["state"], manifest["rows"], manifest["rejected"]), ("rejected", 3, 3))
                    self.assertIn("trailer", manifest["reason"])
        self.assertEqual({card: body["productionSite"] for card, body in self.bodies(bureau).items()},
                         {f"{name}-good-{i}": "Lyon" for name in cases for i in range(3)})

    def test_quoted_line_ends_count_as_lines_and_not_as_rows(self) -> None:
        bureau = self.scene(source={"format": {"skip_lines": 2}})
        text = ("made by\r\nsomebody\r\n" + HEADER.replace("\r\n", ';"NO\nTE"\r\n') +
                'card-1;SHIPPED;Lyon;1;;;20/11/2026 14:30;"two\r\nlines; one ""cell"""\r\n\r\n'
                'card-2;PRODUCED;"Ly\non";;;;;\r'
                'card-3;LOST;Lyon;;;;;"three\n\nlines"\n'
                'card-4;RTS;Lyon;;;;;')
        bureau.drop("a.csv", text, events=[])
        self.assertEqual(bureau.until_idle(), 65)
        self.assertEqual([(row["card_id"], row["line"], row["state"]) for row in bureau.rows()],
                         [("card-1", 5, "accepted"), ("card-2", 8, "accepted"), ("card-3", 10, "rejected"), ("card-4", 13, "accepted")])
        self.assertEqual(self.bodies(bureau)["card-2"]["productionSite"], "Ly\non")

    def test_rows_read_are_the_lines_of_the_file(self) -> None:
        bureau = self.scene()
        self.api_of(bureau).set_down(True)
        bad = ("x;LOST;;;;;\r\n", ";SHIPPED;;;;;\r\n", "y;EMBOSSED;;;;;\r\n", "z\r\n", many(1))
        text = HEADER + "".join(many(100, first=100 * i) + bad[i % len(bad)] for i in range(50))
        bureau.drop("a.csv", text, events=[])
        bureau.start()
        manifest = bureau.wait_manifest("a.csv", "released")
        lines = text.count("\n")
        self.assertEqual(manifest["rows"], lines - 1)
        self.assertEqual([row["line"] for row in bureau.rows()], list(range(2, lines + 1)))
        self.assertEqual((manifest["rejected"], manifest["skipped"], manifest["duplicate"]), (30, 10, 10))


class RepeatsTest(Scene):
    def test_the_same_bytes_again_are_a_duplicate_manifest(self) -> None:
        bureau = self.scene(sources=[{}, {"name": "tours"}])
        text = manifests.realistic(5).text()
        bureau.drop("a.csv", text)
        bureau.start()
        bureau.wait_manifest("a.csv")
        bureau.drop("a.csv", text)
        bureau.wait(lambda: len(bureau.manifests()) == 2, "the second manifest")
        bureau.drop("b.csv", text)
        bureau.wait_manifest("b.csv", "duplicate")
        first, second, third = bureau.manifests()
        self.assertEqual((second["state"], second["rows"], third["rows"], second["sha256"]), ("duplicate", 0, 0, first["sha256"]))
        self.assertIn("manifest 1", second["reason"])
        # Another source has its own history of files; its rows are known all the same.
        bureau.drop("c.csv", text, source=1)
        other = bureau.wait_manifest("c.csv")
        self.assertEqual((other["rows"], other["duplicate"]), (5, 5))
        self.assertEqual(len(self.api_of(bureau).requests), 5)
        bureau.wait(lambda: not list(bureau.in_directory.iterdir()), "the removal of the files")

    def test_bytes_that_had_a_rejected_row_are_loaded_again(self) -> None:
        bureau = self.scene()
        text = Manifest([Row("card-1"), Row("card-2")]).text() + "card-3;LOST;Lyon;;;;\r\n"
        for name in ("a.csv", "b.csv"):
            bureau.drop(name, text, events=[])
            self.assertEqual(bureau.until_idle(), 65)
        self.assertEqual([(m["state"], m["accepted"], m["duplicate"], m["rejected"]) for m in bureau.manifests()],
                         [("settled", 2, 0, 1), ("settled", 0, 2, 1)])

    def test_a_row_of_a_cumulative_export_names_the_row_it_repeats(self) -> None:
        bureau = self.scene()
        whole = manifests.realistic(6)
        bureau.drop("monday.csv", Manifest(whole.rows[:4]))
        self.assertEqual(bureau.until_idle(), 0)
        bureau.drop("tuesday.csv", whole)
        self.assertEqual(bureau.until_idle(), 0)
        rows = bureau.rows("manifest = 'tuesday.csv'")
        self.assertEqual([row["state"] for row in rows], ["duplicate"] * 4 + ["accepted"] * 2)
        monday = bureau.rows("manifest = 'monday.csv'")
        self.assertEqual([row["detail"] for row in rows[:4]], [f"row {row['row_id']} accepted" for row in monday])
        self.sound(bureau)

    def test_identity_tells_a_second_return_from_a_repeat(self) -> None:
        bureau = self.scene(source={"identity": ["SHIP_DATE"]})
        back = [Row("card-1", "RETURN", date=date) for date in ("20/11/2026 14:30", "20/11/2026 14:30", "21/11/2026 08:00")]
        bureau.drop("a.csv", Manifest(back))
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual([row["state"] for row in bureau.rows()], ["accepted", "duplicate", "accepted"])
        self.assertEqual(len(self.api_of(bureau).requests), 2)


class LeftAloneTest(Scene):
    def test_ignored_names_stay_where_they_are(self) -> None:
        bureau = self.scene(source={"match": ["*"]})
        names = (".hidden.csv", "a.csv.tmp", "a.csv.part", "a.csv.partial", "a.csv.filepart", "a.tmp")
        for name in names:
            (bureau.in_directory / name).write_text(manifests.cards([f"ignored-{name.strip('.')[0]}"]).text())
        bureau.drop("b.csv", manifests.cards(["card-1"]))
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual({path.name for path in bureau.in_directory.iterdir()}, set(names))
        self.assertEqual(len(bureau.manifests()), 1)

    def test_names_that_do_not_match_stay_where_they_are(self) -> None:
        bureau = self.scene(source={"match": ["D1_*.csv", "*.txt"]})
        for name in ("a.csv", "d1_a.csv", "D1_a.csv.gz", "a.txt.bak"):
            bureau.drop(name, manifests.cards(["ignored"]), events=[])
        bureau.drop("D1_b.csv", manifests.cards(["card-1"]))
        bureau.drop("b.txt", manifests.cards(["card-2"]))
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual({m["name"] for m in bureau.manifests()}, {"D1_b.csv", "b.txt"})
        self.assertEqual(len(list(bureau.in_directory.iterdir())), 4)

    def test_what_is_no_file_is_neither_followed_nor_read(self) -> None:
        bureau = self.scene()
        outside = bureau.root / "outside.csv"
        outside.write_text(manifests.cards(["stolen"]).text())
        there = bureau.in_directory
        (there / "directory.csv").mkdir()
        (there / "link.csv").symlink_to(outside)
        (there / "dangling.csv").symlink_to(bureau.root / "nowhere")
        os.mkfifo(there / "pipe.csv")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(there / "socket.csv"))
        before = {path.name: path.lstat() for path in there.iterdir()}
        bureau.drop("z.csv", manifests.cards(["card-1"]))
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual({path.name: (path.lstat().st_ino, path.lstat().st_mode) for path in there.iterdir()},
                         {name: (st.st_ino, st.st_mode) for name, st in before.items()})
        self.assertEqual([m["name"] for m in bureau.manifests()], ["z.csv"])
        for name in before:
            self.assertEqual(sum(name in line for line in bureau.log.splitlines()), 1, name)

    def test_a_directory_of_a_matching_name_may_become_a_file(self) -> None:
        bureau = self.scene(source=AT_ONCE)
        (bureau.in_directory / "a.csv").mkdir()
        bureau.start()
        bureau.wait(lambda: "a.csv is a directory" in bureau.log, "the warning")
        (bureau.in_directory / "a.csv").rmdir()
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.wait_manifest("a.csv")

    def unprivileged(self) -> list[str]:
        """What makes root obey a directory's mode."""
        if os.geteuid() != 0:
            return []
        if not shutil.which("setpriv"):
            self.skipTest("as root this needs setpriv")
        return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search"]

    def test_a_file_that_cannot_be_renamed_is_left_alone_with_one_line(self) -> None:
        bureau = self.scene(sources=[AT_ONCE, AT_ONCE | {"name": "tours"}], wrapper=self.unprivileged())
        path = bureau.drop("fast.csv", manifests.realistic(3))
        before = path.stat()
        bureau.in_directory.chmod(0o555)
        self.addCleanup(lambda: bureau.in_directory.is_dir() and bureau.in_directory.chmod(0o755))
        bureau.start()
        bureau.wrapper = []  # setpriv has become the daemon
        bureau.wait(lambda: "fast.csv" in bureau.log, "the warning")
        for i in range(4):  # each is found by a scan of its own, and lyon is scanned as often
            bureau.drop(f"{i}.csv", manifests.cards([f"card-{i}"]), "write", source=1)
            bureau.wait_manifest(f"{i}.csv")
        self.assertEqual((path.stat().st_ino, path.stat().st_mtime_ns), (before.st_ino, before.st_mtime_ns))
        self.assertEqual([line for line in bureau.log.splitlines() if "fast.csv" in line and "level=warning" not in line], [])
        self.assertEqual(bureau.log.count("fast.csv"), 1)
        self.assertEqual([s["waiting_files"] for s in bureau.sources()], [1, 0])
        self.assertEqual(list((bureau.state / "spool").iterdir()), [])
        bureau.in_directory.chmod(0o755)
        self.assertEqual(bureau.wait_manifest("fast.csv")["accepted"], 3)
        self.sound(bureau)

    def test_two_files_of_a_name_one_after_the_other_are_two_manifests(self) -> None:
        bureau = self.scene(source=AT_ONCE)
        bureau.start()
        for i in range(5):
            bureau.drop("a.csv", manifests.cards([f"card-{i}"]))
            bureau.wait(lambda: len(bureau.manifests()) == i + 1, "the manifest")
        bureau.wait_states(accepted=5)
        self.sound(bureau)


@functools.cache
def sanitized() -> bool:
    """A binary with AddressSanitizer is slow, and its memory says nothing."""
    return b"__asan_init" in Path(binary()).read_bytes()


class LateTest(Scene):
    def test_a_source_without_a_manifest_for_so_long_is_late_until_the_next_one(self) -> None:
        bureau = self.scene(sources=[{"expect_every": "2s"}, {"name": "tours"}], top={"metrics_file": "late.prom"})
        bureau.start()
        late = bureau.wait(lambda: next((s for s in bureau.sources() if s["state"] == "late"), None), "the late source")
        self.assertEqual((late["source"], bureau.sources()[1]["state"]), ("lyon", "open"))
        self.assertRegex(str(late["reason"]), r"^no manifest since 20\d\d-.*Z \(expect_every\)$")
        self.assertRegex(bureau.cli("status").stdout, r"lyon: late")
        bureau.wait(lambda: 'trackbridge_source_late{source="lyon"} 1' in (bureau.root / "late.prom").read_text(), "the metric", 30)
        bureau.drop("a.csv", Manifest([Row("c1")]))
        bureau.wait(lambda: bureau.sources()[0]["state"] == "open", "the end of being late")
        self.assertEqual(bureau.sources()[0]["reason"], "")
        bureau.wait(lambda: bureau.sources()[0]["state"] == "late", "the late source again")
        # A restart does not begin the wait anew.
        self.assertEqual(bureau.stop(), 0)
        bureau.start()
        bureau.wait(lambda: bureau.log.count("is late:") == 3, "what is said after a start")
        self.assertEqual(bureau.log.count("late no more"), 1)


class LargeTest(Scene):

    def test_loading_a_large_manifest_neither_stalls_a_small_one_nor_grows_memory(self) -> None:
        rows = 50_000 if sanitized() else 200_000
        bureau = self.scene(endpoint={"concurrency": 2})
        api = self.api_of(bureau)
        api.delay = 0.01
        bureau.start()
        bureau.drop("small.csv", manifests.realistic(3000))
        bureau.wait(lambda: api.requests, "the first request")
        bureau.drop("large.csv", HEADER + many(rows, prefix="large"), events=[])
        large = bureau.wait_manifest("large.csv", "released", seconds=120)
        begin, end = seconds_of(large["received_at"]), seconds_of(large["released_at"])
        small = bureau.manifest("small.csv")
        if small["state"] == "settled":  # after that there is nothing to be sent
            end = min(end, seconds_of(small["settled_at"]))
        high = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{bureau.pid}/status").read_text())
        bureau.kill()
        self.assertEqual((large["rows"], large["rejected"] + large["duplicate"] + large["skipped"]), (rows, 0))
        times = [begin, *(r.t for r in api.requests if begin < r.t < end), end]
        self.assertGreater(len(times), 50)
        # Read in one go, the file would be one gap. Where the machine is so busy that loading takes long, so may a turn.
        self.assertLess(max(later - earlier for earlier, later in zip(times, times[1:])), max(1, (end - begin) / 8))
        assert high
        if not sanitized():
            self.assertLess(int(high[1]), 64 * MEBIBYTE)

    def test_a_small_file_that_comes_later_does_not_wait_for_the_end_of_a_large_one_being_sent(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 2})
        api = self.api_of(bureau)
        api.delay = 0.02
        bureau.drop("large.csv", manifests.realistic(2000))
        bureau.start()
        bureau.wait(lambda: len(api.requests) > 10, "requests")
        bureau.drop("small.csv", manifests.realistic(10, seed=2))
        bureau.wait_manifest("small.csv")
        self.assertLess(bureau.manifest("large.csv")["accepted"], 500)


class KilledWhileLoadingTest(Scene):
    ROWS = 20_000

    def killed(self, text: str, **source: Any) -> Bureau:
        """A bureau whose daemon was killed in the middle of the text and started again; it sends nothing."""
        bureau = self.scene(source=AT_ONCE | source)
        self.api_of(bureau).set_down(True)
        bureau.start()
        bureau.drop("a.csv", text, events=[])
        bureau.wait(lambda: bureau.manifests() and bureau.manifest("a.csv")["rows"] > 500, "rows")
        bureau.kill()
        half = bureau.manifest("a.csv")
        self.assertEqual(half["state"], "loading")
        self.assertLess(half["rows"], self.ROWS)
        self.assertEqual(half["rows"], sum(bureau.states().values()))
        bureau.start()
        return bureau

    def each_line_once(self, bureau: Bureau) -> None:
        counted = bureau.query("SELECT count(*), count(DISTINCT line), count(DISTINCT card_id), min(line), max(line) FROM status")[0]
        self.assertEqual(list(counted.values()), [self.ROWS, self.ROWS, self.ROWS, 2, self.ROWS + 1])
        self.assertEqual(len(bureau.manifests()), 1)
        bureau.wait(lambda: not list(bureau.in_directory.iterdir()), "the removal of the file")

    def rejected(self, bureau: Bureau, reason: str) -> None:
        manifest = bureau.wait_manifest("a.csv", "released", "rejected", seconds=20)
        self.assertEqual((manifest["state"], manifest["rows"], manifest["rejected"]), ("rejected", self.ROWS, self.ROWS))
        self.assertRegex(manifest["reason"], reason)
        self.each_line_once(bureau)

    def test_no_row_is_there_twice(self) -> None:
        bureau = self.killed(HEADER + many(self.ROWS) + f"TRL;{self.ROWS:08d}\r\n", trailer=TRAILER)
        manifest = bureau.wait_manifest("a.csv", "released", "rejected", seconds=20)
        self.assertEqual((manifest["state"], manifest["rows"], manifest["queued"]), ("released", self.ROWS, self.ROWS))
        self.each_line_once(bureau)

    def test_a_wrong_trailer_is_still_wrong(self) -> None:
        self.rejected(self.killed(HEADER + many(self.ROWS) + f"TRL;{self.ROWS - 1}\r\n", trailer=TRAILER), "trailer")

    def test_card_numbers_read_before_still_count(self) -> None:
        # More than half in all, and none after the middle.
        half = self.ROWS // 2 + 100
        pans = "".join(f"{n}{check_digit(str(n))};RTS;Lyon;;;;\r\n" for n in range(411111111100000, 411111111100000 + half))
        self.rejected(self.killed(HEADER + pans + many(self.ROWS - half)), "PAN")

    def test_an_invalid_row_read_before_still_rejects_the_file(self) -> None:
        text = HEADER + "card-x;LOST;Lyon;;;;\r\n" + many(self.ROWS - 1)
        self.rejected(self.killed(text, invalid_rows="reject_file"), "line 2.*LOST")

    def test_killed_again_and_again_while_it_is_being_rejected(self) -> None:
        bureau = self.scene(source=AT_ONCE | {"trailer": TRAILER})
        bureau.start()
        bureau.drop("a.csv", HEADER + many(self.ROWS) + "TRL;1\r\n", events=[])
        bureau.wait(lambda: bureau.manifests() and bureau.manifest("a.csv")["rejected"] > 0, "rejected rows", 20)
        for _ in range(3):
            bureau.kill()
            bureau.start()
        self.rejected(bureau, "trailer")
        self.assertEqual(self.api_of(bureau).requests, [])


def check_digit(digits: str) -> int:
    """Luhn's."""
    doubled = [int(d) * 2 if i % 2 == 0 else int(d) for i, d in enumerate(reversed(digits))]
    return -sum(d - 9 if d > 9 else d for d in doubled) % 10


if __name__ == "__main__":
    unittest.main()
