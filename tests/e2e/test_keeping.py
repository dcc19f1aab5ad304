"""What is past retention goes, by itself or by an operator's word, while rows are sent; what is left stays sound."""

from __future__ import annotations

import sqlite3
import time
import unittest

import manifests
from harness import Bureau
from manifests import Manifest, Row
from test_answers import Scene
from test_intake import HEADER, many


class PurgeTest(Scene):
    def settled(self, bureau: Bureau, name: str, n: int) -> None:
        bureau.drop(name, HEADER + many(n, prefix=name.split(".")[0]), events=[])
        bureau.wait_manifest(name, "settled", seconds=60)

    def quiet(self, bureau: Bureau) -> None:
        """No file is due any more: until then a manifest stays."""
        bureau.wait(lambda: not list((bureau.state / "spool").iterdir()), "the archive")
        bureau.wait(lambda: bureau.query("SELECT count(*) AS n FROM manifest WHERE receipt_at IS NOT NULL")[0]["n"] == 0, "the receipts")

    def test_settled_manifests_go_and_open_ones_stay_while_rows_are_sent(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 4})
        bureau.start()
        self.settled(bureau, "old.csv", 2000)
        self.quiet(bureau)
        size = bureau.database.stat().st_size
        bureau.drop("new.csv", HEADER + many(1500, prefix="new"), events=[])
        bureau.wait_manifest("new.csv", "released")
        dry = bureau.cli("purge", "--older-than", "1ms", "--dry-run")
        self.assertIn("1 manifests with 2000 rows would go", dry.stdout)
        done = bureau.cli("purge", "--older-than", "1ms", "--reason", "asked to", seconds=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1 manifests with 2000 rows are gone", done.stdout)
        bureau.wait_manifest("new.csv", "settled", seconds=60)
        self.assertEqual([m["name"] for m in bureau.manifests()], ["new.csv"])
        self.assertEqual(bureau.states(), {"accepted": 1500})
        self.assertEqual(len(self.api_of(bureau).requests), 3500)
        self.assertEqual([(a["action"], a["rows"], a["reason"]) for a in bureau.actions()], [("purge", 2000, "asked to")])
        self.assertEqual(bureau.stop(), 0)
        self.assertEqual(bureau.cli("verify").returncode, 0)
        self.assertLess(bureau.database.stat().st_size, 2 * size)

    def test_the_space_is_given_back(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 16})
        bureau.start()
        self.settled(bureau, "old.csv", 5000)
        self.quiet(bureau)
        self.assertEqual(bureau.stop(), 0)
        before = bureau.database.stat().st_size
        self.assertEqual(bureau.cli("purge", "--older-than", "1ms", seconds=60).returncode, 0)
        self.assertLess(bureau.database.stat().st_size, before // 2)

    def test_retention_is_kept_without_a_word_and_numbers_are_not_given_again(self) -> None:
        bureau = self.scene(top={"retention": {"rows": "1h", "bodies": "1h", "archive": "1h"}})
        bureau.start()
        self.settled(bureau, "a.csv", 3)
        self.quiet(bureau)
        self.assertEqual(bureau.stop(), 0)
        # As if it had been two hours ago.
        with bureau.connection() as reading:
            last = reading.execute("SELECT max(row_id) FROM row").fetchone()[0]
        self.age(bureau, 2 * 3600)
        bureau.start()
        bureau.wait(lambda: not bureau.manifests(), "the purge")
        self.assertIn("retention: 3 requests, 1 manifests with 3 rows", bureau.log)
        # What is purged is forgotten: the same file is sent again, under new numbers.
        self.settled(bureau, "a.csv", 3)
        self.assertEqual(bureau.manifest("a.csv")["manifest_id"], 2)
        self.assertEqual([row["row_id"] for row in bureau.rows()], [last + 1, last + 2, last + 3])
        self.assertEqual(len(self.api_of(bureau).requests), 6)

    def age(self, bureau: Bureau, seconds: int) -> None:
        connection = sqlite3.connect(bureau.database)
        with connection:
            connection.execute("UPDATE manifest SET settled_at = settled_at - ?, received_at = received_at - ?",
                               (seconds * 1000, seconds * 1000))
        connection.close()

    def test_a_request_goes_before_its_row_and_the_row_still_stands_for_its_event(self) -> None:
        bureau = self.scene(top={"retention": {"rows": "400d", "bodies": "1h"}})
        bureau.drop("a.csv", Manifest([Row("c1", site="Lyon")]))
        self.assertEqual(bureau.until_idle(), 0)
        self.age(bureau, 2 * 3600)
        bureau.start()
        bureau.wait(lambda: "Lyon" not in bureau.cli("show", "1").stdout, "the request to go")
        self.assertEqual(bureau.row("c1")["state"], "accepted")
        bureau.drop("b.csv", Manifest([Row("c1", site="Lyon"), Row("c2")]))
        bureau.wait_manifest("b.csv", "settled")
        self.assertEqual([row["state"] for row in bureau.rows("manifest = 'b.csv'")], ["duplicate", "accepted"])
        self.assertEqual(bureau.stop(), 0)
        self.assertEqual(bureau.cli("verify").returncode, 0)


class StuckReaderTest(Scene):
    def test_a_wal_that_a_reader_kept_is_emptied_when_it_has_gone(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 16})
        bureau.start()
        bureau.drop("first.csv", manifests.realistic(3))
        bureau.wait_manifest("first.csv", "settled")
        wal = bureau.database.with_name("queue.db-wal")
        with bureau.connection() as reading:
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM status").fetchone()
            bureau.drop("big.csv", HEADER + many(60_000), events=[])
            bureau.wait_manifest("big.csv", "released", seconds=60)
            self.assertEqual(bureau.cli("cancel", "--manifest", "2", seconds=60).returncode, 0)
            grown = wal.stat().st_size
            self.assertGreater(grown, 20 * 1024 * 1024)
            time.sleep(1)
            self.assertGreaterEqual(wal.stat().st_size, grown)
        bureau.wait(lambda: wal.stat().st_size < grown // 2, "a smaller WAL", 30)
        self.assertEqual(bureau.stop(), 0)
        self.assertEqual(bureau.cli("verify").returncode, 0)


if __name__ == "__main__":
    unittest.main()
