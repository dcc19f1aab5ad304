"""What came before is not sent again: cumulative exports, resent files, files dropped again after a mistake, a mapping that changed."""

from __future__ import annotations

import json
import unittest

import harness
import manifests
from harness import Bureau, merged
from manifests import Manifest, Row
from test_answers import Scene
from test_intake import HEADER, TRAILER, many

DAYS, EVENTS = 30, harness.many(10_000)


class CumulativeTest(Scene):
    def test_each_event_of_thirty_daily_exports_is_sent_once(self) -> None:
        bureau = self.scene(source={"complete": {"when": "renamed"}}, endpoint={"concurrency": 64})
        body = many(EVENTS)
        for day in range(DAYS):
            # Another row each day, so that no file has the bytes of another.
            text = HEADER + body + many(1, prefix=f"day{day}")
            bureau.drop(f"export-{day:02d}.csv", text, events=[])
        self.assertEqual(bureau.until_idle(300), 0)
        self.assertEqual(bureau.states(), {"accepted": EVENTS + DAYS, "duplicate": EVENTS * (DAYS - 1)})
        requests = self.api_of(bureau).requests
        self.assertEqual(len(requests), EVENTS + DAYS)
        self.assertEqual(len({request.card for request in requests}), EVENTS + DAYS)
        first = bureau.query("SELECT count(*) AS n FROM status WHERE state = 'accepted' AND manifest_id = 1")
        self.assertEqual(first[0]["n"], EVENTS + 1)


class ResentTest(Scene):
    def test_a_file_resent_under_another_name_is_a_duplicate_manifest(self) -> None:
        bureau = self.scene()
        text = manifests.realistic(5).text()
        for name in ("monday.csv", "monday (2).csv"):
            bureau.drop(name, text, events=[])
            self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual([(m["state"], m["rows"]) for m in bureau.manifests()], [("settled", 5), ("duplicate", 0)])
        self.assertEqual(len(self.api_of(bureau).requests), 5)

    def test_the_same_name_with_other_bytes_is_another_manifest(self) -> None:
        bureau = self.scene()
        for cards in (("c1", "c2"), ("c2", "c3")):
            bureau.drop("dispatch.csv", Manifest([Row(card) for card in cards]))
            self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual([(m["name"], m["accepted"], m["duplicate"]) for m in bureau.manifests()],
                         [("dispatch.csv", 2, 0), ("dispatch.csv", 1, 1)])
        receipts = sorted(path.name for path in bureau.out_directory.iterdir())
        self.assertEqual(receipts, ["dispatch.1.receipt.csv", "dispatch.2.receipt.csv"])

    def test_a_file_rejected_by_a_mistake_in_the_configuration_is_dropped_again_once_that_is_mended(self) -> None:
        good = self.scene().config["sources"][0]["fields"]["trackingType"]
        for mistake, state in (({"column": "STATE"}, "rejected"), ({"map": {"PRODUCED": "PRODUCTION"}}, "settled")):
            with self.subTest(mistake=mistake):
                bureau = self.scene(source={"fields": {"trackingType": merged(good, mistake) if "column" in mistake else
                                                       {"column": "STATUS", "map": None}}})
                bureau.drop("a.csv", Manifest([Row("c1"), Row("c2")]))
                self.assertEqual(bureau.until_idle(), 65)
                self.assertEqual(bureau.manifest("a.csv")["state"], state)
                rejected = {} if state == "rejected" else {"rejected": 2}
                self.assertEqual(bureau.states(), rejected)
                bureau.config["sources"][0]["fields"]["trackingType"] = good
                bureau.write_config()
                bureau.drop("a.csv", Manifest([Row("c1"), Row("c2")]))
                self.assertEqual(bureau.until_idle(), 0)
                self.assertEqual(bureau.states(), {"accepted": 2, **rejected})


class ChangedMappingTest(Scene):
    N = 20

    def changed(self, n_known: int, n_new: int) -> Bureau:
        """A manifest of n_known accepted cards, then one of the same cards and n_new others under another productionSite."""
        bureau = self.scene()
        bureau.drop("monday.csv", HEADER + many(n_known), events=[])
        self.assertEqual(bureau.until_idle(), 0)
        bureau.config["sources"][0]["fields"]["productionSite"] = {"value": "Nantes"}
        bureau.write_config()
        bureau.drop("tuesday.csv", HEADER + many(n_known + n_new), events=[])
        return bureau

    def test_a_manifest_of_known_cards_with_other_requests_waits_for_a_word(self) -> None:
        bureau = self.changed(self.N, self.N - 1)
        self.assertEqual(bureau.until_idle(), 65)
        tuesday = bureau.manifest("tuesday.csv")
        self.assertEqual((tuesday["state"], tuesday["paused"], tuesday["queued"]), ("released", "repeats", 2 * self.N - 1))
        self.assertEqual(tuesday["reason"], "20 of 39 rows repeat an accepted card and type with another request: a changed mapping?")
        self.assertEqual({row["waits_for"] for row in bureau.rows("state = 'queued'")}, {"manifest paused: repeats"})
        self.assertIn("trackbridge resume --manifest 2", bureau.log)
        self.assertEqual(len(self.api_of(bureau).requests), self.N)
        # A restart does not open it.
        self.assertEqual(bureau.until_idle(), 65)
        self.assertEqual(len(self.api_of(bureau).requests), self.N)
        receipt = (bureau.out_directory / "tuesday.2.receipt.csv").read_text(encoding="utf-8")
        self.assertIn("TRAILER,39,0,OPEN", receipt)

    def test_a_few_known_cards_among_others_stop_nothing(self) -> None:
        for known, new in ((self.N - 1, 1), (self.N, self.N)):
            with self.subTest(known=known, new=new):
                bureau = self.changed(known, new)
                self.assertEqual(bureau.until_idle(), 0)
                self.assertEqual(bureau.manifest("tuesday.csv")["accepted"], known + new)


class ReloadTest(Scene):
    def test_an_archived_manifest_is_loaded_again_with_todays_configuration(self) -> None:
        bureau = self.scene()
        wrong = {"column": "STATUS", "map": {"PRODUCED": "PRODUCTION"}}
        good = bureau.config["sources"][0]["fields"]["trackingType"]
        bureau.config["sources"][0]["fields"]["trackingType"] = wrong
        bureau.write_config()
        bureau.drop("a.csv", Manifest([Row("c1", "PRODUCTION"), Row("c2"), Row("c3", "RETURN")]))
        self.assertEqual(bureau.until_idle(), 65)
        self.assertEqual(bureau.states(), {"accepted": 1, "rejected": 2})
        bureau.config["sources"][0]["fields"]["trackingType"] = good
        bureau.write_config()
        done = bureau.cli("reload", "1", "--reason", "status words")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("manifest 2", done.stdout)
        self.assertEqual(bureau.until_idle(), 0)
        again = bureau.manifests()[1]
        self.assertEqual((again["name"], again["state"], again["reason"], again["accepted"], again["duplicate"]),
                         ("a.csv", "settled", "reload of manifest 1", 2, 1))
        self.assertEqual(len(self.api_of(bureau).requests), 3)
        self.assertEqual({path.name for path in (bureau.state / "archive").rglob("*.csv")}, {"1-a.csv", "2-a.csv"})
        self.assertEqual([(a["action"], a["selector"], a["reason"]) for a in bureau.actions()], [("reload", "1", "status words")])
        self.sound(bureau)

    def test_what_cannot_be_loaded_again_is_said(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", Manifest([Row("c1")]))
        self.assertEqual(bureau.until_idle(), 0)
        for path in (bureau.state / "archive").rglob("1-a.csv"):
            path.unlink()
        for number, status, text in (("7", 66, "there is no manifest 7"), ("1", 66, "is gone (retention.archive)"), ("x", 64, "MANIFEST")):
            done = bureau.cli("reload", number)
            self.assertEqual(done.returncode, status)
            self.assertIn(text, done.stderr)
        self.assertEqual(len(bureau.manifests()), 1)
        self.assertEqual(list((bureau.state / "spool").iterdir()), [])


class CutTest(Scene):
    """A file that was cut off somewhere is not taken for a whole one where its source has a trailer."""

    def outcomes(self, text: bytes, fmt: dict[str, object]) -> list[tuple[int, str, int]]:
        """(length, manifest state, rows that were sent) for each length at which the file can be cut, the whole one last."""
        bureau = self.scene(source={"trailer": TRAILER, "format": fmt})
        for length in range(len(text) + 1):
            bureau.drop(f"cut-{length:04d}.csv", text[:length], events=[])
        bureau.until_idle(120)
        manifests_by_length = {int(str(m["name"])[4:8]): m for m in bureau.manifests()}
        self.assertEqual(sorted(manifests_by_length), list(range(len(text) + 1)))
        return [(length, str(m["state"]), int(str(m["accepted"])) + int(str(m["duplicate"])))
                for length, m in sorted(manifests_by_length.items())]

    def check(self, text: str, codec: str, fmt: dict[str, object], end: int) -> None:
        """end: the bytes of the last line's end, without which nothing is missing."""
        rows = 3
        for length, state, sent in self.outcomes(text.encode(codec), fmt):
            whole = length >= len(text.encode(codec)) - end and (length == len(text.encode(codec)) or fmt.get("encoding") is None
                                                                  or (len(text.encode(codec)) - length) % 2 == 0)
            with self.subTest(length=length):
                self.assertEqual((state, sent), ("settled", rows) if whole else ("rejected", 0))

    ROWS = [Row("card-1"), Row("card-2", "PRODUCTION"), Row("card-3", "RETURN")]

    def test_cut_at_every_byte(self) -> None:
        self.check(Manifest(self.ROWS).text() + "TRL;3\r\n", "utf-8", {}, 2)

    def test_cut_at_every_byte_with_a_padded_count_in_quotes(self) -> None:
        self.check(Manifest(self.ROWS).text() + '"TRL";"0003"\n', "utf-8", {}, 1)

    def test_cut_at_every_byte_of_utf_16(self) -> None:
        self.check("\ufeff" + HEADER + many(3) + "TRL;03\n", "utf-16-le", {"encoding": "utf-16le"}, 2)

    def test_without_a_trailer_a_last_line_without_an_end_that_is_too_short_is_rejected(self) -> None:
        bureau = self.scene()
        text = Manifest([Row("card-1"), Row("card-2")]).text().rstrip("\r\n")
        bureau.drop("a.csv", text[:-len(";20/11/2026 14:30")], events=[])
        self.assertEqual(bureau.until_idle(), 65)
        self.assertEqual([(row["state"], row["line"]) for row in bureau.rows()], [("accepted", 2), ("rejected", 3)])
        self.assertIn("6", str(bureau.rows()[1]["detail"]))
        self.assertEqual([json.loads(r.body)["trackingType"] for r in self.api_of(bureau).requests], ["SHIPMENT"])


if __name__ == "__main__":
    unittest.main()
