"""`trackbridge verify`: nothing to find after whatever the daemon did, and every fault that is planted behind its back is named."""

from __future__ import annotations

import shutil
import sqlite3
import unittest
from pathlib import Path

from harness import Bureau
from manifests import Manifest, Row
from test_answers import Scene

USAGE, DATA, NO_INPUT = 64, 65, 66  # sysexits.h


class VerifyTest(Scene):
    def settled(self) -> Bureau:
        """A run with accepted, refused, doubtful, rejected, repeated and waiting rows, and a duplicate manifest."""
        bureau = self.scene(endpoint={"retry": {"first": "20ms", "most": "100ms"}})
        kinds = ("card-1", "h400-1", "close-1", "stale-1", "card-1")
        text = Manifest([Row(card) for card in kinds] + [Row("close-1", "RETURN")]).text()
        bureau.drop("a.csv", text + "x;LOST;;;;;\r\n", events=[])
        bureau.drop("b.csv", Manifest([Row("card-2")]).text())
        bureau.until_idle()
        bureau.drop("b2.csv", Manifest([Row("card-2")]).text())
        bureau.until_idle()
        return bureau

    def findings(self, bureau: Bureau) -> list[str]:
        done = bureau.cli("verify")
        self.assertEqual((done.returncode, done.stderr), (DATA, ""), done.stdout)
        return done.stdout.splitlines()

    def change(self, bureau: Bureau, sql: str) -> None:
        connection = sqlite3.connect(bureau.database)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.executescript(sql)
        connection.close()

    def copies(self, bureau: Bureau) -> list[Path]:
        return sorted(path for path in (bureau.state / "archive").rglob("*.csv") if path.name[0].isdigit())

    def test_what_a_run_leaves_is_sound(self) -> None:
        bureau = self.settled()
        done = bureau.cli("verify")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "ok       3 manifests, 8 rows, 3 files of the archive\n", ""))

    def test_it_works_beside_a_daemon_that_sends(self) -> None:
        bureau = self.scene()
        bureau.start()
        bureau.drop("a.csv", Manifest([Row(f"card-{n}") for n in range(300)]).text())
        for _ in range(3):
            done = bureau.cli("verify")
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        bureau.wait_manifest("a.csv", "settled")
        self.assertEqual(bureau.cli("verify").returncode, 0)
        self.assertEqual(bureau.stop(), 0)

    def test_a_killed_daemon_leaves_a_sound_database(self) -> None:
        bureau = self.scene()
        bureau.start()
        bureau.drop("a.csv", Manifest([Row(f"card-{n}") for n in range(200)]).text())
        bureau.wait(lambda: bureau.states().get("accepted"), "an accepted row")
        bureau.kill()
        done = bureau.cli("verify")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)

    def test_a_row_that_was_taken_out_by_hand_is_missed(self) -> None:
        bureau = self.settled()
        self.change(bureau, "DELETE FROM row WHERE card_id = 'card-2'")
        found = self.findings(bureau)
        self.assertEqual([line for line in found if line.startswith("error    manifest 2: 1 rows counted and 0 there")], found[:1])

    def test_an_attempt_that_was_taken_out_by_hand_is_missed(self) -> None:
        bureau = self.settled()
        row = bureau.row("stale-1")["row_id"]
        self.change(bureau, f"INSERT INTO attempt (row_id, attempt, correlation, started_at) VALUES ({row}, 7, 1, 1)")
        self.assertIn(f"row {row} counts ", "\n".join(self.findings(bureau)))

    def test_a_copy_in_the_archive_that_was_changed_is_named(self) -> None:
        bureau = self.settled()
        first, second, third = self.copies(bureau)
        content = first.read_bytes()
        first.write_bytes(content.replace(b"card-1", b"card-9", 1))
        second.write_bytes(second.read_bytes() + b"\n")
        third.unlink()
        found = self.findings(bureau)
        self.assertEqual(len(found), 3)
        for line, number, words in zip(found, (1, 2, 3), ("has another SHA-256", "bytes, ", "is not there")):
            self.assertTrue(line.startswith(f"error    manifest {number}: archive/"), line)
            self.assertIn(words, line)
        self.assertEqual(bureau.cli("verify", "--without-files").returncode, 0)

    def test_a_link_in_the_archive_is_not_followed(self) -> None:
        bureau = self.settled()
        copy = self.copies(bureau)[0]
        elsewhere = bureau.root / "elsewhere"
        shutil.move(copy, elsewhere)
        copy.symlink_to(elsewhere)
        self.assertIn("manifest 1: archive/", self.findings(bureau)[0])

    def test_a_copy_past_its_retention_is_not_missed(self) -> None:
        bureau = self.settled()
        self.change(bureau, "UPDATE manifest SET received_at = received_at - 36 * 86400000 WHERE manifest_id = 1")
        self.copies(bureau)[0].unlink()
        done = bureau.cli("verify")
        self.assertEqual((done.returncode, done.stdout), (0, "ok       3 manifests, 8 rows, 2 files of the archive\n"))

    def test_a_key_without_a_row_is_only_told(self) -> None:
        bureau = self.settled()
        self.change(bureau, "INSERT INTO card_2 VALUES (4294967296)")
        done = bureau.cli("verify")
        self.assertEqual(done.returncode, 0)
        self.assertIn("note     1 keys of cards have no row: harmless", done.stdout)

    def test_without_a_database_there_is_nothing_to_verify(self) -> None:
        bureau = self.scene()
        done = bureau.cli("verify")
        self.assertEqual((done.returncode, done.stdout), (NO_INPUT, ""))
        self.assertEqual(bureau.cli("verify", "--quickly").returncode, USAGE)
        self.assertEqual(bureau.cli("verify", "more").returncode, USAGE)


if __name__ == "__main__":
    unittest.main()
