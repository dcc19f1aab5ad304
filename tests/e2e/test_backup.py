"""`trackbridge backup`, and a daemon that is started with the copy: nothing goes until an operator says so."""

from __future__ import annotations

import json
import os
import sqlite3
import unittest
from pathlib import Path

from harness import Bureau
from manifests import Manifest, Row
from test_answers import Scene

IO, NO_INPUT, USAGE = 74, 66, 64  # sysexits.h


class BackupTest(Scene):
    def restore(self, bureau: Bureau, copy: Path) -> None:
        """As an administrator does, with the daemon stopped."""
        for name in ("queue.db", "queue.db-wal", "queue.db-shm"):
            (bureau.state / name).unlink(missing_ok=True)
        os.rename(copy, bureau.database)

    def back_up(self, bureau: Bureau, name: str = "copy.db") -> Path:
        copy = bureau.root / name
        done = bureau.cli("backup", str(copy))
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        self.assertRegex(done.stderr, rf"^trackbridge: {copy} is a copy of \S+ as of \d{{4}}-\S+Z\n$")
        return copy

    def test_a_copy_is_taken_while_the_daemon_loads_and_sends(self) -> None:
        bureau = self.scene()
        bureau.start()
        bureau.drop("a.csv", Manifest([Row(f"card-{n}") for n in range(2000)]).text())
        bureau.wait(lambda: bureau.states().get("accepted"), "an accepted row")
        copy = self.back_up(bureau)
        bureau.wait_manifest("a.csv", "settled", seconds=60)
        self.assertEqual(bureau.stop(), 0)
        self.sound(bureau)
        connection = sqlite3.connect(f"file:{copy}?mode=ro", uri=True)
        self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        connection.close()
        self.assertEqual(copy.stat().st_mode & 0o777, 0o640)
        self.assertEqual([path.name for path in bureau.root.glob("copy.db*")], ["copy.db"])

    def test_a_restored_daemon_sends_nothing_by_itself(self) -> None:
        bureau = self.scene(endpoint={"retry": {"first": "1h", "most": "1h"}})
        bureau.drop("a.csv", Manifest([Row("card-1"), Row("h503-1"), Row("close-1")]).text())
        bureau.start()
        bureau.wait_row("card-1", "accepted")
        bureau.wait_row("close-1", "in_doubt")
        bureau.wait(lambda: bureau.row("h503-1")["attempts"] == 1 and bureau.row("h503-1")["state"] == "queued", "a row that came back")
        copy = self.back_up(bureau)
        self.assertEqual(bureau.stop(), 0)
        self.restore(bureau, copy)
        sent = len(self.api_of(bureau).requests)
        bureau.start()
        bureau.wait_endpoint("paused", "restored")
        self.assertEqual({card: bureau.row(card)["state"] for card in ("card-1", "h503-1", "close-1")},
                         {"card-1": "accepted", "h503-1": "held", "close-1": "in_doubt"})
        bureau.drop("b.csv", Manifest([Row("card-9")]).text())
        bureau.wait_manifest("b.csv", "released")
        status = bureau.cli("status").stdout
        self.assertRegex(status, r"(?m)^restored   from a copy of \d{4}-\S+Z, at \d{4}-\S+Z$")
        self.assertRegex(json.loads(bureau.cli("status", "--format", "json").stdout)["restored_from"], r"^\d{4}-\S+Z$")
        self.assertEqual(bureau.stop(), 0)
        self.assertEqual(len(self.api_of(bureau).requests), sent)
        # The pause stays, the mark is used up.
        bureau.start()
        self.assertEqual(bureau.endpoint()["reason"], "restored")
        self.assertEqual(bureau.row("card-9")["state"], "queued")
        self.assertEqual(bureau.stop(), 0)
        self.assertEqual(bureau.cli("verify", "--without-files").returncode, 0)

    def test_a_file_that_exists_is_left_as_it_is(self) -> None:
        bureau = self.scene()
        self.assertEqual(bureau.cli("backup", str(bureau.root / "copy.db")).returncode, NO_INPUT)
        self.assertEqual(bureau.until_idle(), 0)
        copy = bureau.root / "copy.db"
        copy.write_text("mine")
        done = bureau.cli("backup", str(copy))
        self.assertEqual(done.returncode, IO)
        self.assertIn("exists already", done.stderr)
        self.assertEqual(copy.read_text(), "mine")
        self.assertEqual(bureau.cli("backup").returncode, USAGE)
        self.assertEqual(bureau.cli("backup", "").returncode, USAGE)


if __name__ == "__main__":
    unittest.main()
