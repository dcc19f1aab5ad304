"""What the factory gets back: receipts, rejects files that can be dropped again, and the archive."""

from __future__ import annotations

import csv
import io
import os
import shlex
import time
import unittest
from pathlib import Path
from typing import Any

import manifests
from behaviours import status as answered
from harness import Bureau, View, seconds_of
from manifests import Manifest, Row
from test_answers import Scene

HEADER = ["line", "cardId", "trackingType", "state", "operationId", "httpStatus", "errorCode", "detail"]
CSV_HEADER = ";".join(manifests.COLUMNS) + "\r\n"


class Files(Scene):
    def published(self, bureau: Bureau, name: str) -> bytes:
        """A file of the receipts directory, once it has appeared."""
        path = bureau.out_directory / name
        bureau.wait(path.exists, name)
        return path.read_bytes()

    def receipt(self, bureau: Bureau, name: str) -> tuple[list[dict[str, str]], list[str]]:
        """Its rows, and the trailer's cells."""
        content = self.published(bureau, name).decode("utf-8")
        self.assertEqual(content.replace("\r\n", "").count("\r"), 0)
        self.assertTrue(content.endswith("\r\n"))
        header, *rows, trailer = csv.reader(io.StringIO(content, newline=""), strict=True)
        self.assertEqual((header, trailer[0]), (HEADER, "TRAILER"))
        self.assertEqual({len(row) for row in rows} - {len(HEADER)}, set())
        return [dict(zip(HEADER, row)) for row in rows], trailer[1:]

    def settled_receipt(self, bureau: Bureau, name: str) -> tuple[list[dict[str, str]], list[str]]:
        """Waits for the one that says SETTLED, and for nothing half-written beside it."""
        path = bureau.out_directory / name
        bureau.wait(lambda: path.exists() and path.read_bytes().endswith(b",SETTLED\r\n"), name)
        return self.receipt(bureau, name)

    @staticmethod
    def expected(row: View) -> dict[str, str]:
        columns = ("line", "card_id", "tracking_type", "state", "operation_id", "http_status", "error_code", "detail")
        return {name: "" if row[column] is None else str(row[column]) for name, column in zip(HEADER, columns)}


class ReceiptTest(Files):
    def test_of_a_settled_manifest_it_has_each_row_as_the_view_shows_it(self) -> None:
        bureau = self.scene(endpoint={"retry": {"first": "20ms", "most": "100ms"}})
        rows = [Row("card-1"), Row("card-2", "PRODUCTION"), Row("card-3", "RETURN"), *map(Row, ("h400-1", "noid-1", "stale-1", "nf-1"))]
        bureau.drop("a.csv", Manifest(rows).text() + "card-4;EMBOSSED;Lyon;;;;\r\ncard-5;LOST;\"a, b\";;;;\r\n", events=[])
        self.assertEqual(bureau.until_idle(), 65)
        lines, trailer = self.receipt(bureau, "a.1.receipt.csv")
        self.assertEqual(lines, [self.expected(row) for row in bureau.rows()])
        self.assertEqual([line["line"] for line in lines], [str(n) for n in range(2, 11)])
        self.assertEqual(trailer, ["9", "5", "SETTLED"])
        self.assertEqual({line["cardId"]: line["operationId"] for line in lines if line["operationId"]},
                         {r.card: r.operationId for r in self.api_of(bureau).requests if r.operationId})

    def test_it_is_open_while_rows_are_and_settled_after(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", Manifest([Row("card-1"), Row("close-1"), Row("close-1", "RETURN")]))
        self.assertEqual(bureau.until_idle(), 65)
        lines, trailer = self.receipt(bureau, "a.1.receipt.csv")
        self.assertEqual((len(lines), trailer[0], trailer[2]), (3, "3", "OPEN"))
        self.assertEqual(bureau.manifest("a.csv")["state"], "released")

    def test_it_is_there_when_a_manifest_is_released_and_again_when_it_settles(self) -> None:
        bureau = self.scene(endpoint={"retry": {"first": "20ms", "most": "100ms"}})
        api = self.api_of(bureau)
        api.set_down(True)
        bureau.drop("a.csv", manifests.realistic(3))
        bureau.start()
        lines, trailer = self.receipt(bureau, "a.1.receipt.csv")
        self.assertEqual(([line["state"] in ("queued", "sending") for line in lines], trailer), ([True] * 3, ["3", "0", "OPEN"]))
        api.set_down(False)
        lines, trailer = self.settled_receipt(bureau, "a.1.receipt.csv")
        self.assertEqual(([line["state"] for line in lines], trailer), (["accepted"] * 3, ["3", "3", "SETTLED"]))
        self.assertEqual([path.name for path in bureau.out_directory.iterdir()], ["a.1.receipt.csv"])

    def test_of_a_rejected_manifest_each_row_has_a_reason(self) -> None:
        bureau = self.scene()
        good = manifests.realistic(3)
        bureau.drop("a.csv", good.text() + "card-x;LOST;Lyon;;;;\r\n" + 'card-y;SHIPPED;"Lyon;;;;\r\n', events=good.events)
        self.assertEqual(bureau.until_idle(), 65)
        lines, trailer = self.receipt(bureau, "a.1.receipt.csv")
        manifest = bureau.manifest("a.csv")
        self.assertEqual((len(lines), trailer), (manifest["rows"], [str(manifest["rows"]), "0", "SETTLED"]))
        self.assertEqual({line["state"] for line in lines}, {"rejected"})
        self.assertEqual([line["cardId"] for line in lines], [*(card for card, _ in good.events), "card-x"])
        for line in lines[:3]:
            self.assertIn(manifest["reason"], line["detail"])
        self.assertIn("LOST", lines[3]["detail"])

    def test_a_manifest_without_rows_that_is_rejected_has_one(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", CSV_HEADER, events=[])
        bureau.until_idle()
        lines, trailer = self.receipt(bureau, "a.1.receipt.csv")
        self.assertEqual([(line["line"], line["state"], line["detail"]) for line in lines], [("", "rejected", "has no data row")])
        self.assertEqual(trailer, ["0", "0", "SETTLED"])

    def test_of_a_duplicate_manifest_it_has_no_rows_but_says_why(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(3))
        self.assertEqual(bureau.until_idle(), 0)
        bureau.drop("b.csv", manifests.realistic(3))
        self.assertEqual(bureau.until_idle(), 0)
        lines, trailer = self.receipt(bureau, "b.2.receipt.csv")
        self.assertEqual([(line["line"], line["state"], line["detail"]) for line in lines], [("", "duplicate", "same bytes as manifest 1")])
        self.assertEqual(trailer, ["0", "0", "SETTLED"])

    def test_a_duplicate_line_has_the_operation_id_of_the_row_it_repeats(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", Manifest([Row("card-1"), Row("close-1"), Row("h400-1")]))
        bureau.until_idle()
        bureau.drop("b.csv", Manifest([Row("card-1"), Row("close-1"), Row("h400-1"), Row("card-1"), Row("card-2")]))
        bureau.until_idle()
        first = {row["card_id"]: row for row in bureau.rows("manifest = 'a.csv'")}
        lines, trailer = self.receipt(bureau, "b.2.receipt.csv")
        given = first["card-1"]["operation_id"]
        self.assertTrue(given)
        self.assertEqual([(line["state"], line["operationId"]) for line in lines[:4]],
                         [("duplicate", given), ("duplicate", ""), ("duplicate", ""), ("duplicate", given)])
        self.assertEqual([line["detail"] for line in lines[:3]],
                         [f"row {first[card]['row_id']} {first[card]['state']}" for card in ("card-1", "close-1", "h400-1")])
        self.assertEqual((lines[4]["state"], trailer), ("accepted", ["5", "1", "SETTLED"]))

    def test_a_cell_that_is_a_formula_is_made_harmless(self) -> None:
        bureau = self.scene()
        self.api_of(bureau).on_track(lambda r: answered(400, body=b'{"errorCode":"@SUM(1)"}') if r.card == "-1" else None)
        rows = [Row("=1+1"), Row("@x"), Row("+49"), Row("-1"), Row("-2"), Row("--")]
        bureau.drop("a.csv", Manifest(rows))
        self.assertEqual(bureau.until_idle(), 65)
        lines, _ = self.receipt(bureau, "a.1.receipt.csv")
        # A card id that D1 allows is no formula to be changed: others look it up.
        self.assertEqual([line["cardId"] for line in lines[3:]], ["-1", "-2", "--"])
        self.assertEqual([line["state"] for line in lines], ["rejected"] * 3 + ["refused"] + ["accepted"] * 2)
        self.assertEqual([line["cardId"] for line in lines[:3]], ["'=1+1", "'@x", "'+49"])
        self.assertEqual(lines[3]["errorCode"], "'@SUM(1)")
        for line in lines:
            self.assertEqual([cell for name, cell in line.items() if name != "cardId" and cell[:1] in tuple("=+@\t\r")], [])

    def test_names_of_every_kind_get_one(self) -> None:
        bureau = self.scene(source={"match": ["*"]})
        long = "x" * 251 + ".csv"
        stems = {"no-ending": "no-ending", "two.dots.csv": "two.dots", "line\nfeed.csv": "line\\x0Afeed", "-rf.csv": "-rf", long: "x" * 200}
        for n, name in enumerate(stems):
            (bureau.in_directory / name).write_text(manifests.cards([f"card-{n}"]).text())
        self.assertEqual(bureau.until_idle(), 0)
        number = {row["card_id"]: row["manifest_id"] for row in bureau.rows()}
        made = {path.name for path in bureau.out_directory.iterdir()}
        self.assertEqual(made, {f"{stem}.{number[f'card-{n}']}.receipt.csv" for n, stem in enumerate(stems.values())})

    def test_without_a_directory_for_them_receipts_are_in_the_archive(self) -> None:
        bureau = self.scene(source={"receipts": None})
        bureau.drop("a.csv", manifests.realistic(3).text() + "x;LOST;;;;;\r\n", events=[])
        self.assertEqual(bureau.until_idle(), 65)
        self.assertEqual({path.name for path in (bureau.state / "archive").rglob("*") if path.is_file()},
                         {"1-a.csv", "a.1.receipt.csv", "a.1.rejects.csv"})


class MissingDirectoryTest(Files):
    def without(self) -> Bureau:
        """A stopped bureau that had no directory for receipts, and has one now."""
        bureau = self.scene()
        bureau.out_directory.rmdir()
        bureau.drop("a.csv", manifests.realistic(5).text() + "x;LOST;;;;;\r\n", events=[])
        bureau.start()
        self.assertEqual(bureau.wait_manifest("a.csv")["accepted"], 5)
        bureau.wait(lambda: str(bureau.out_directory) in bureau.manifest("a.csv")["reason"], "the reason")
        bureau.drop("b.csv", manifests.realistic(5, seed=2))
        self.assertEqual(bureau.wait_manifest("b.csv")["accepted"], 5)
        bureau.wait(lambda: bureau.manifest("b.csv")["reason"], "the reason")
        self.assertEqual(bureau.stop(), 0)
        bureau.out_directory.mkdir()
        return bureau

    def test_sending_goes_on_and_it_is_said_once(self) -> None:
        bureau = self.without()
        said = [line for line in bureau.log.splitlines() if str(bureau.out_directory) in line]
        self.assertEqual(len(said), 2, said)  # of a rejects file and of a receipt

    def test_a_rejects_file_comes_with_the_next_start(self) -> None:
        bureau = self.without()
        bureau.start()
        self.published(bureau, "a.1.rejects.csv")

    def test_receipts_come_with_the_next_start(self) -> None:
        bureau = self.without()
        bureau.start()
        bureau.wait(lambda: len(list(bureau.out_directory.glob("*.receipt.csv"))) == 2, "the receipts", 3)
        self.assertEqual(self.settled_receipt(bureau, "a.1.receipt.csv")[1], ["6", "5", "SETTLED"])
        bureau.wait(lambda: [m["reason"] for m in bureau.manifests()] == ["", ""], "the end of the reasons")


@unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
class OtherFileSystemTest(Files):
    """Receipts on a file system of their own, which only the daemon's mount namespace has."""

    def mounted(self, prepare: str) -> Bureau:
        bureau = self.scene()
        out = shlex.quote(str(bureau.out_directory))
        bureau.wrapper = ["unshare", "--mount", "sh", "-c",
                          f'mount -t tmpfs -o size=64k tmpfs {out} && {prepare.format(out=out)} && "$@"', "sh"]
        bureau.start()
        return bureau

    def there(self, bureau: Bureau) -> Path:
        return Path(f"/proc/{bureau.pid}/root{bureau.out_directory}")

    def test_they_appear_there_by_rename(self) -> None:
        bureau = self.mounted("true")
        bureau.drop("a.csv", manifests.realistic(3).text() + "x;LOST;;;;;\r\n", events=[])
        bureau.wait_manifest("a.csv", "settled")
        wanted = {"a.1.receipt.csv", "a.1.rejects.csv"}
        bureau.wait(lambda: {path.name for path in self.there(bureau).iterdir()} == wanted, "the files")
        bureau.wait(lambda: "SETTLED" in (self.there(bureau) / "a.1.receipt.csv").read_text(encoding="utf-8"), "the settled receipt")
        self.assertEqual(bureau.manifest("a.csv")["reason"], "")

    def test_a_full_one_holds_up_no_row_and_is_told_in_the_manifest(self) -> None:
        bureau = self.mounted("! head -c 1M /dev/zero >{out}/filler 2>/dev/null")
        for name in ("a.csv", "b.csv"):
            bureau.drop(name, manifests.realistic(5, seed=ord(name[0])))
            self.assertEqual(bureau.wait_manifest(name)["accepted"], 5)
            bureau.wait(lambda name=name: "No space left on device" in bureau.manifest(name)["reason"], "the reason")
        self.assertRegex(bureau.manifest("a.csv")["reason"], r"^receipt: .*/out")
        self.assertEqual({path.name for path in self.there(bureau).iterdir()}, {"filler"})
        self.assertEqual(len([line for line in bureau.log.splitlines() if "No space left" in line]), 1, bureau.log)


class RejectsTest(Files):
    BAD = (Row("card-2", number="6A;1"), Row("card-4", date="31/02/2026 10:00", site="Orléans"), Row("card-5", "LOST"))
    GOOD = (Row("card-1"), Row("card-3", "RETURN", site="Köln-Süd"))

    def round_trip(self, codec: str, *, mark: str = "", delimiter: str = ";", before: str = "", last: str = "", **source: Any) -> None:
        """Drops good and bad rows, corrects what comes back as a person would, and drops that."""
        bureau = self.scene(source=source)

        def cells(row: Row) -> str:
            return delimiter.join(f'"{cell}"' if ";" in cell or delimiter in cell else cell for cell in row.cells())
        rows = [self.GOOD[0], self.BAD[0], self.GOOD[1], self.BAD[1], self.BAD[2]]
        lines = [delimiter.join(manifests.COLUMNS), *map(cells, rows)]
        text = mark + before + "".join(f"{line}\r\n" for line in lines) + (last % 5 if last else "")
        bureau.drop("a.csv", text.encode(codec), events=[])
        self.assertEqual(bureau.until_idle(), 65)
        content = self.published(bureau, "a.1.rejects.csv").decode(codec)
        rejects = content.removeprefix(mark).removeprefix(before)
        self.assertEqual(content, mark + before + rejects)
        header, *records = csv.reader(io.StringIO(rejects, newline=""), delimiter=delimiter, strict=True)
        self.assertEqual(header, [*manifests.COLUMNS, "line", "column", "reason"])
        if last:
            self.assertEqual(delimiter.join(records.pop()) + "\r\n", last % 3)
        self.assertEqual([record[:7] for record in records], [list(row.cells()) for row in self.BAD])
        first = 2 + before.count("\n")
        self.assertEqual([record[7:9] for record in records],
                         [[str(first + 1), "TRACK_NO"], [str(first + 3), "SHIP_DATE"], [str(first + 4), "STATUS"]])
        self.assertTrue(all(record[9] for record in records))
        # Its lines are those of the original, byte for byte.
        for row, line in zip(self.BAD, rejects.split("\r\n")[1:]):
            self.assertTrue(line.startswith(cells(row)), line)
        corrected = content.replace("6A;1", "6A1").replace("31/02/2026", "28/02/2026").replace("LOST", "RTS")
        bureau.drop("b.csv", corrected.encode(codec), events=[])
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual(bureau.states(), {"accepted": 5, "rejected": 3})
        self.assertIn("Orléans", {r.body.split('"productionSite":"')[1].split('"')[0] for r in self.api_of(bureau).requests})
        self.assertEqual([path.name for path in bureau.out_directory.glob("*rejects*")], ["a.1.rejects.csv"])

    def test_in_utf_8(self) -> None:
        self.round_trip("utf-8")

    def test_in_utf_8_with_a_mark_and_skipped_lines_and_a_trailer(self) -> None:
        self.round_trip("utf-8", mark="\ufeff", before="made by somebody;;\r\n\r\n", last="TRL;%06d\r\n",
                        format={"skip_lines": 2}, trailer={"first_column": "TRL", "count_column": 2})

    def test_in_iso_8859_1(self) -> None:
        self.round_trip("iso-8859-1", delimiter=",", format={"encoding": "iso-8859-1", "delimiter": ","})

    def test_in_utf_16le(self) -> None:
        self.round_trip("utf-16-le", mark="\ufeff", delimiter="\t", format={"encoding": "utf-16le", "delimiter": "tab"})

    def test_dropped_again_as_it_is_it_rejects_the_same_rows(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", Manifest([*self.GOOD, *self.BAD]).text(), events=[])
        self.assertEqual(bureau.until_idle(), 65)
        first = bureau.rows("state = 'rejected'")
        bureau.drop("b.csv", self.published(bureau, "a.1.rejects.csv"), events=[])
        self.assertEqual(bureau.until_idle(), 65)
        again = bureau.rows("manifest_id = 2")
        self.assertEqual([(row["state"], row["detail"]) for row in again], [(row["state"], row["detail"]) for row in first])
        # A second round adds no second set of columns to what people see.
        records = list(csv.reader(io.StringIO(self.published(bureau, "b.2.rejects.csv").decode(), newline=""), delimiter=";"))
        self.assertEqual(records[0][:10], [*manifests.COLUMNS, "line", "column", "reason"])

    def test_without_a_header_the_columns_come_last(self) -> None:
        numbers: dict[str, Any] = {"cardId": 1, "trackingType": {"column": 2}, "productionSite": {"column": 3}, "trackingNumber": 4,
                                   "postalCode": {"column": 5}, "countryCode": {"column": 6}, "shipmentDate": {"column": 7}}
        bureau = self.scene(source={"format": {"header": False}, "fields": numbers})
        bureau.drop("a.csv", "card-1;RTS;Lyon;;;;\ncard-2;LOST;Lyon;;;;\n", events=[])
        self.assertEqual(bureau.until_idle(), 65)
        content = self.published(bureau, "a.1.rejects.csv").decode()
        (record,) = csv.reader(io.StringIO(content, newline=""), delimiter=";")
        self.assertEqual(record[:9], ["card-2", "LOST", "Lyon", "", "", "", "", "2", "2"])
        bureau.drop("b.csv", content.replace("LOST", "RTS"), events=[])
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual(bureau.row("card-2", "RETURN")["state"], "accepted")

    def test_a_manifest_that_is_rejected_whole_has_none(self) -> None:
        # Whoever corrected its bad rows alone would lose the good ones: the original is to be corrected.
        bureau = self.scene(source={"invalid_rows": "reject_file"})
        bureau.drop("a.csv", Manifest([*self.GOOD, self.BAD[2]]).text(), events=[])
        self.assertEqual(bureau.until_idle(), 65)
        self.assertEqual(bureau.states(), {"rejected": 3})
        self.assertEqual([path.name for path in bureau.out_directory.iterdir()], ["a.1.receipt.csv"])

    def test_a_manifest_without_rejected_rows_has_none(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(3))
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual([path.name for path in bureau.out_directory.iterdir()], ["a.1.receipt.csv"])


class ArchiveTest(Files):
    def test_it_holds_the_same_bytes_under_the_day_of_arrival(self) -> None:
        bureau = self.scene()
        contents = {"a.csv": manifests.realistic(3).text().encode() + b"\xff\xfe;LOST\r\n", "b.csv": b"\xff" * 100,
                    "c.csv": CSV_HEADER.encode(), "a b.csv": manifests.realistic(3, seed=2).text().encode()}
        for name, content in contents.items():
            bureau.drop(name, content, events=[])
        bureau.until_idle()
        self.assertEqual(len(bureau.manifests()), 4)
        for manifest in bureau.manifests():
            day = manifest["received_at"][:10].replace("-", "/")
            path = bureau.state / "archive" / day / f"{manifest['manifest_id']}-{manifest['name']}"
            self.assertEqual(path.read_bytes(), contents[manifest["name"]])
        self.assertLess(abs(time.time() - seconds_of(bureau.manifests()[0]["received_at"])), 60)
        self.assertEqual(list((bureau.state / "spool").iterdir()), [])
        self.assertEqual(list(bureau.in_directory.iterdir()), [])

    def test_a_duplicate_manifest_is_kept_too(self) -> None:
        bureau = self.scene()
        for _ in range(2):
            bureau.drop("a.csv", manifests.realistic(3))
            self.assertEqual(bureau.until_idle(), 0)
        kept = [path for path in (bureau.state / "archive").rglob("*-a.csv")]
        self.assertEqual({path.name for path in kept}, {"1-a.csv", "2-a.csv"})
        self.assertEqual(len({path.read_bytes() for path in kept}), 1)

    def test_an_archive_that_cannot_be_written_holds_up_no_row(self) -> None:
        bureau = self.scene()
        (bureau.state / "archive").write_text("in the way\n")
        bureau.drop("a.csv", manifests.realistic(3))
        if bureau.until_idle() == 0:
            self.assertEqual(bureau.states(), {"accepted": 3})
        else:  # told at the start is as good, as long as nothing is taken
            self.assertTrue((bureau.in_directory / "a.csv").exists())
            self.assertIn("archive", bureau.log)
        (bureau.state / "archive").unlink()
        bureau.until_idle()
        self.assertEqual(bureau.states(), {"accepted": 3})
        self.assertEqual(len(list((bureau.state / "archive").rglob("1-a.csv"))), 1)


if __name__ == "__main__":
    unittest.main()
