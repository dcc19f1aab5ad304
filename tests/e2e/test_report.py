"""The report: one page that stands alone, whose numbers are the views', whatever files and operators put into it."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import unittest
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import Element

import manifests
from harness import STATES, Bureau, binary
from manifests import Manifest, Row
from scripted_api import ScriptedApi
from test_answers import Scene

USAGE, NO_INPUT, IO, CONFIG = 64, 66, 74, 78  # sysexits.h

HOSTILE = b"<script>alert('x')</script>\"&]]>\x1b[2J\xff\xe2\x80\xae.csv".replace(b"/", b"")
MARK = "<img src=x onerror=alert(1)>"


class Strict(HTMLParser):
    """Each element that is opened is closed, in its turn; no script, and nothing to fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, (tag, self.open)


def text_of(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


class Page:
    """A page that is well-formed, as XML too."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = ElementTree.fromstring(text)
        self.strict = Strict()
        self.strict.feed(text)
        self.strict.close()
        assert not self.strict.open, self.strict.open

    def section(self, heading: str) -> Element:
        return next(section for section in self.root.iter("section") if text_of(section[0]) == heading)

    def numbers(self, heading: str, caption: str) -> dict[str, list[int]]:
        """A table of numbers: what its lines begin with, and their cells."""
        table = next(table for table in self.section(heading).iter("table") if text_of(table[0]) == caption)
        lines = [line for part in table if part.tag in ("tbody", "tfoot") for line in part]
        return {text_of(line[0]): [int(text_of(cell).replace(",", "")) for cell in line[1:]] for line in lines}

    def list(self, heading: str, caption: str) -> list[dict[str, str]]:
        """A list: its lines, by the names of the columns."""
        for table in self.section(heading).iter("table"):
            if text_of(table[0]) == caption:
                return [{cell.attrib["data-of"]: text_of(cell) for cell in line} for line in table[2]]
        return []

    def warnings(self) -> str:
        return text_of(self.section("Warnings"))


def report(bureau: Bureau, *arguments: str) -> Page:
    done = bureau.cli("report", *arguments, "-")
    assert (done.returncode, done.stderr) == (0, ""), done
    return Page(done.stdout)


class NumbersTest(unittest.TestCase):
    """A bureau in which everything happened, and is at rest."""

    bureau: Bureau
    page: Page
    with_cards: Page

    @classmethod
    def setUpClass(cls) -> None:
        api = ScriptedApi().start()
        cls.addClassCleanup(api.stop)
        dead = {"name": "dead", "issuers": ["BANKDE0002"], "api_url": "https://localhost:1/banking/v1", "token_url": "https://localhost:1/token",
                "retry": {"first": "1h", "most": "1h"}}
        berlin = {"name": "berlin", "fields": {"issuerId": {"value": "BANKDE0002"}}}
        cls.bureau = bureau = Bureau(api, endpoints=[{}, dead], sources=[{}, berlin, {"name": "quiet"}])
        cls.addClassCleanup(bureau.close)
        bureau.start()
        good = manifests.cards(["ok-1", "h400-1", "ok-2", "drop-1", "ok-3"]).text()
        bureau.drop("a.csv", good + good.splitlines()[1].replace("ok-1", "odd-1").replace("SHIPPED", "LOST") + "\r\n", events=[])
        bureau.drop("b.csv", manifests.cards(["de-1", "de-2"]), source=1)
        bureau.drop("same.csv", manifests.cards(["ok-1", "ok-2"]))
        bureau.drop("no.csv", "CARD_REF;STATUS\r\nx;y\r\n", events=[])
        (bureau.in_directory / os.fsdecode(HOSTILE)).write_text(manifests.cards(["ok-9", "h400-9"]).text())
        bureau.wait(lambda: bureau.states() == {"accepted": 4, "refused": 2, "in_doubt": 1, "rejected": 1, "duplicate": 2, "queued": 2}, "an end", 30)
        bureau.wait(lambda: [one["reason"] for one in bureau.endpoints()] == ["", "outage"], "an outage")
        assert bureau.cli("hold", "--card", "de-2", "--reason", MARK).returncode == 0
        bureau.stop()
        cls.page = report(bureau)
        cls.with_cards = report(bureau, "--cards")

    def test_nothing_is_fetched_and_nothing_is_run(self) -> None:
        for page in (self.page, self.with_cards):
            self.assertEqual(page.strict.elements & {"script", "img", "link", "iframe", "object", "embed", "a", "form", "base", "image", "use"}, set())
            self.assertEqual({name for name in page.strict.attributes if name in ("src", "href", "style", "xmlns") or name.startswith("on")}, set())
            self.assertIsNone(re.search(r"https?:|@import|javascript:", page.text))
            self.assertEqual(set(re.findall(r"url\([^)]*\)", page.text)), {"url(#hatch)"})
            self.assertIn("default-src 'none'", page.text)

    def test_the_sums_are_those_of_the_views(self) -> None:
        counts = self.bureau.states()
        expected = {state: [counts.get(state, 0)] * 2 for state in STATES} | {"Sum": [sum(counts.values())] * 2}
        self.assertEqual(self.page.numbers("Totals", "Rows by state"), expected)
        states = [one["state"] for one in self.bureau.manifests()]
        expected = {state: [states.count(state)] * 2 for state in ("loading", "released", "settled", "rejected", "duplicate")}
        self.assertEqual(self.page.numbers("Totals", "Files (manifests) by state"), expected | {"Sum": [len(states)] * 2})

    def test_the_days_of_a_source_are_those_of_its_manifests(self) -> None:
        for source in ("lyon", "berlin"):
            expected: dict[str, list[int]] = {}
            for one in self.bureau.manifests():
                if one["source"] != source:
                    continue
                cells = [1, one["rows"], one["accepted"], one["queued"] + one["sending"] + one["held"],
                         one["refused"] + one["in_doubt"] + one["expired"] + one["rejected"], one["cancelled"] + one["duplicate"] + one["skipped"]]
                for day in (one["received_at"][:10], "Sum"):
                    expected[day] = [a + b for a, b in zip(expected.get(day, [0] * 6), cells)]
            self.assertEqual(self.page.numbers("Rows by source and day", source), expected)

    def test_the_bars_say_what_the_table_says(self) -> None:
        for article in self.page.section("Rows by source and day").iter("article"):
            source = text_of(article[0])
            told = {}
            for bar in article.iter("g"):
                match = re.fullmatch(r"(\S+): ([\d,]+) accepted, ([\d,]+) open, ([\d,]+) with a problem", text_of(bar[0]))
                assert match
                told[match[1]] = [int(match[n].replace(",", "")) for n in (2, 3, 4)]
                parts = {part.attrib["class"] for part in bar.iter("rect")} - {"place"}
                self.assertEqual(parts, {name for name, n in zip(("accepted", "open", "trouble"), told[match[1]]) if n})
            table = self.page.numbers("Rows by source and day", source)
            self.assertEqual(told, {day: cells[2:5] for day, cells in table.items() if day != "Sum" and cells[1]})

    def test_each_picture_has_a_name_and_a_description(self) -> None:
        ids = [element.attrib["id"] for element in self.page.root.iter() if "id" in element.attrib]
        self.assertEqual(len(set(ids)), len(ids))
        for svg in self.page.root.iter("svg"):
            if svg.attrib.get("aria-hidden") != "true":
                self.assertEqual(svg.attrib["role"], "img")
                self.assertEqual([child.attrib["id"] for child in svg[:2]], svg.attrib["aria-labelledby"].split())
                self.assertEqual([child.tag for child in svg[:2]], ["title", "desc"])

    def test_endpoints_are_those_of_the_view(self) -> None:
        told = [(one["Endpoint"], one["State"], one["Reason"]) for one in self.page.list("Endpoints", "Endpoints")]
        self.assertEqual(told, [(one["endpoint"], one["state"], one["reason"]) for one in self.bureau.endpoints()])
        first = self.page.list("Endpoints", "Endpoints")[0]
        self.assertEqual(first["Last accepted"], self.bureau.endpoints()[0]["last_accepted_at"][:16].replace("T", " "))
        self.assertRegex(first["Certificate ends"], r"\d{4}-\d\d-\d\d \d\d:\d\d")

    def test_sources_are_those_of_the_view(self) -> None:
        told = [(one["Source"], one["State"], one["Last file"], one["Files in all"], one["Files waiting"], one["Reason"])
                for one in self.page.list("Sources", "Sources")]
        self.assertEqual(told, [(one["source"], one["state"], (one["last_manifest_at"] or "\u2013")[:16].replace("T", " "), str(one["manifests"]),
                                 str(one["waiting_files"]), one["reason"]) for one in self.bureau.sources()])

    def test_problems_are_told_by_row_file_and_line(self) -> None:
        for state, caption in (("in_doubt", "Oldest rows in doubt"), ("refused", "Oldest refused rows of the period")):
            told = [(one["Row"], one["File"], one["Line"], one["HTTP"]) for one in self.page.list("Oldest problems", caption)]
            rows = self.bureau.rows("state = ?", state)
            self.assertTrue(rows)
            self.assertEqual(told, [(str(row["row_id"]), row["manifest"].replace("\u202e", r"\xE2\x80\xAE"), str(row["line"]),
                                     str(row["http_status"] or "")) for row in rows])

    def test_what_waits_and_what_was_rejected_is_told(self) -> None:
        waiting = self.page.list("Waiting longest", "Manifests that are paused or have queued rows")
        self.assertEqual([(one["File"], one["Queued rows"]) for one in waiting], [("b.csv", "1")])
        rejected = self.page.list("Rejected files", "Files of the period that were rejected whole")
        self.assertEqual([(one["File"], one["Reason"]) for one in rejected], [("no.csv", self.bureau.manifest("no.csv")["reason"])])

    def test_the_warnings_name_what_is_wrong(self) -> None:
        for words in ("The daemon is not running.", "Endpoint dead is paused: outage, next try", "1 row is in doubt", "1 file of the period was rejected"):
            self.assertIn(words, self.page.warnings())

    def test_hostile_names_and_reasons_are_text(self) -> None:
        self.assertIn(r"""<script>alert('x')<script>"&]]>\x1B[2J\xFF\xE2\x80\xAE.csv""", "".join(self.page.root.itertext()))
        action, = self.page.list("What operators did", "Orders of the period, the last ones first")
        self.assertEqual((action["Action"], action["Which"], action["Reason"], action["Rows"]), ("hold", "--card (card)", MARK, "1"))

    def test_card_ids_are_there_only_where_they_are_asked_for(self) -> None:
        cards = {row["card_id"] for row in self.bureau.rows("state IN ('in_doubt', 'refused')")} | {"de-2"}
        for card in cards:
            self.assertNotIn(card, self.page.text)
            self.assertIn(card, self.with_cards.text)
        self.assertIn("Card ids are left out.", self.page.text)

    def test_a_period_of_the_future_has_nothing_but_all_is_there(self) -> None:
        page = report(self.bureau, "--since", "2999-01-01")
        self.assertEqual(page.numbers("Totals", "Rows by state")["Sum"], [0, sum(self.bureau.states().values())])
        self.assertEqual(list(page.root.iter("g")), [])

    def test_a_long_period_has_all_too(self) -> None:
        for since in ("1969-01-01", "1970-01-01", "2000-01-01", "4000d"):
            self.assertEqual(report(self.bureau, "--since", since).numbers("Totals", "Rows by state")["accepted"], [4, 4], since)


class FileTest(Scene):
    def place(self, **changes: object) -> tuple[Bureau, Path]:
        bureau = self.scene(**changes)
        bureau.start()
        bureau.stop()
        folder = bureau.root / "reports"
        folder.mkdir()
        return bureau, folder

    def refused(self, bureau: Bureau, path: Path | str, status: int, words: str) -> None:
        done = bureau.cli("report", str(path))
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertIn(words, done.stderr)

    def test_it_appears_under_its_name_and_takes_the_place_of_an_earlier_one(self) -> None:
        bureau, folder = self.place()
        path = folder / "month.html"
        for _ in range(2):
            done = bureau.cli("report", str(path))
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            Page(path.read_text(encoding="utf-8"))
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o640)
            self.assertEqual(os.listdir(folder), ["month.html"])

    def test_a_name_without_a_folder_is_here(self) -> None:
        bureau, _ = self.place()
        self.assertEqual(bureau.cli("report", "here.html").returncode, 0)
        Page((bureau.root / "here.html").read_text(encoding="utf-8"))

    def test_other_files_are_not_written_over(self) -> None:
        bureau, folder = self.place()
        for path in (bureau.config_path, bureau.database):
            before = path.read_bytes()
            self.refused(bureau, path, IO, "is no report")
            self.assertEqual(path.read_bytes(), before)
        (folder / "short").write_bytes(b"<!DOCTYPE")
        self.refused(bureau, folder / "short", IO, "is no report")
        self.refused(bureau, folder, IO, "no regular file")
        self.refused(bureau, "/dev/null", IO, "no regular file")

    def test_an_empty_file_and_a_long_name_are_written(self) -> None:
        bureau, folder = self.place()
        for name in ("empty.html", "x" * 250 + ".html"):
            (folder / name).touch()
            self.assertEqual(bureau.cli("report", str(folder / name)).returncode, 0)
            Page((folder / name).read_text(encoding="utf-8"))

    def test_a_drop_directory_gets_no_report(self) -> None:
        bureau, folder = self.place()
        (bureau.in_directory / "deep").mkdir()
        (folder / "link").symlink_to(bureau.in_directory)
        for path in (bureau.in_directory / "a.html", bureau.in_directory / "deep" / "a.html", folder / "link" / "a.html",
                     folder / ".." / "lyon" / "in" / "a.html"):
            self.refused(bureau, path, USAGE, "drop directory of source 'lyon'")
        self.assertEqual(os.listdir(bureau.in_directory), ["deep"])

    def test_what_cannot_be_written_leaves_nothing(self) -> None:
        bureau, folder = self.place()
        self.refused(bureau, folder / "none" / "a.html", NO_INPUT, "No such file")
        path = folder / "a.html"
        path.touch()
        limited = subprocess.run(["prlimit", "--fsize=4096", binary(), "-c", str(bureau.config_path), "report", str(path)], capture_output=True,
                                 text=True, preexec_fn=ignore_limit, timeout=20)
        self.assertEqual(limited.returncode, IO, limited.stderr)
        self.assertEqual((os.listdir(folder), path.stat().st_size), (["a.html"], 0))

    def test_without_a_database_it_says_so(self) -> None:
        bureau = self.scene()
        path = bureau.root / "a.html"
        self.refused(bureau, path, NO_INPUT, "no queue here yet")
        self.assertFalse(path.exists())

    def test_words_that_are_wrong_are_told(self) -> None:
        bureau, _ = self.place()
        for arguments in ([], [""], ["a.html", "b.html"], ["--since", "soon", "-"], ["--nonsense", "-"]):
            done = bureau.cli("report", *arguments)
            self.assertEqual((done.returncode, done.stdout), (USAGE, ""), arguments)

    def test_a_running_daemon_is_told_and_an_empty_queue_is_a_page(self) -> None:
        bureau = self.scene()
        bureau.start()
        page = report(bureau)
        self.assertIn(f"running, process {bureau.pid}", "".join(page.root.itertext()))
        self.assertIn("There is nothing to warn of.", page.warnings())
        self.assertIn("No file has come yet.", page.text)

    def test_the_cell_that_rejected_a_file_is_left_out(self) -> None:
        bureau = self.scene(source={"invalid_rows": "reject_file"})
        bureau.drop("a.csv", Manifest([Row("ok-1"), Row("ok-2", date="99/99/2026 o'clock")]), events=[])
        bureau.until_idle()
        shown = [one["Reason"] for one in (report(bureau, *arguments).list("Rejected files", "Files of the period that were rejected whole")[0]
                                           for arguments in ((), ("--cards",)))]
        self.assertNotIn("99/99", shown[0])
        self.assertIn("line 3", shown[0])
        self.assertEqual(shown[1], bureau.manifest("a.csv")["reason"])
        self.assertIn("99/99", shown[1])

    def test_many_rows_are_cut_and_the_command_for_the_rest_is_told(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.cards([f"h400-{i}" for i in range(15)]))
        bureau.until_idle()
        page = report(bureau)
        self.assertEqual(len(page.list("Oldest problems", "Oldest refused rows of the period")), 10)
        told = re.search(r"The first 10 of 15; all of them: trackbridge (list --state refused --since \S+Z)",
                         text_of(page.section("Oldest problems")))
        assert told
        self.assertEqual(len(bureau.cli(*told[1].split(), "--format", "csv").stdout.splitlines()), 1 + 15)


def ignore_limit() -> None:
    """So that a write past the limit fails instead of ending the program."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


if __name__ == "__main__":
    unittest.main()
