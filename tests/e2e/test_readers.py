"""The database as others read it: the views of the product's section 7, by the sqlite3 command, by the group and by nobody else."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import unittest

import manifests
from harness import Bureau, binary
from manifests import Manifest, Row
from test_answers import Scene

READER, OUTSIDER, GROUP = 12345, 12346, 23456  # ids that own nothing anywhere

VIEWS = {
    "status": "row_id manifest_id source manifest line issuer_id card_id tracking_type state attempts next_attempt_at waits_for http_status"
              " error_code detail operation_id correlation_id queued_at sent_at finished_at",
    "manifest_status": "manifest_id source name sha256 bytes state paused reason received_at released_at settled_at rows queued sending"
                       " accepted refused in_doubt held expired cancelled rejected duplicate skipped",
    "endpoint_status": "endpoint state reason paused_until in_flight concurrency token_expires_at last_accepted_at",
    "source_status": "source drop_directory state reason last_manifest_at manifests waiting_files",
    "attempt_history": "row_id attempt correlation_id started_at finished_at http_status error_code outcome detail",
    "operator_action_log": "at user uid action selector rows reason",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def sqlite(bureau: Bureau, sql: str, *before: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*before, "sqlite3", "-readonly", "-csv", "-header", str(bureau.database), sql], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, cwd="/", timeout=20)


def as_user(uid: int, gid: int) -> tuple[str, ...]:
    return "setpriv", "--reuid", str(uid), "--regid", str(gid), "--clear-groups"


@unittest.skipUnless(shutil.which("sqlite3"), "needs the sqlite3 command")
class Reading(Scene):
    def rows(self, bureau: Bureau, sql: str, *before: str) -> list[dict[str, str]]:
        done = sqlite(bureau, sql, *before)
        self.assertEqual((done.returncode, done.stderr), (0, ""), sql)
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def accepted(self, bureau: Bureau, *before: str) -> int:
        return int(self.rows(bureau, "SELECT count(*) AS n FROM status WHERE state = 'accepted'", *before)[0]["n"])


class ViewsTest(Reading):
    def test_each_view_has_its_columns_in_their_order(self) -> None:
        bureau = self.scene()
        self.assertEqual(bureau.until_idle(), 0)
        for view, columns in VIEWS.items():
            with self.subTest(view):
                self.assertEqual([row["name"] for row in self.rows(bureau, f"PRAGMA table_info({view})")], columns.split())
                self.assertEqual(self.rows(bureau, f"SELECT {', '.join(columns.split())} FROM {view} WHERE 0"), [])

    def test_there_are_no_other_views(self) -> None:
        bureau = self.scene()
        self.assertEqual(bureau.until_idle(), 0)
        found = self.rows(bureau, "SELECT name FROM sqlite_schema WHERE type = 'view'")
        self.assertEqual({row["name"] for row in found}, set(VIEWS))
        self.assertGreaterEqual(int(self.rows(bureau, "PRAGMA user_version")[0]["user_version"]), 1)

    def test_each_view_shows_what_there_is(self) -> None:
        bureau = self.scene(endpoint={"retry": {"first": "20ms", "most": "100ms"}})
        kinds = ("card-1", "h400-1", "close-1", "stale-1", "noid-1")
        bureau.drop("a.csv", Manifest([Row(card) for card in kinds] + [Row("close-1", "RETURN")]).text() + "x;LOST;;;;;\r\n", events=[])
        bureau.until_idle()
        status = {(row["card_id"], row["tracking_type"]): row for row in self.rows(bureau, "SELECT * FROM status")}
        self.assertEqual({key: row["state"] for key, row in status.items()},
                         {("card-1", "SHIPMENT"): "accepted", ("h400-1", "SHIPMENT"): "refused", ("close-1", "SHIPMENT"): "in_doubt",
                          ("stale-1", "SHIPMENT"): "accepted", ("noid-1", "SHIPMENT"): "accepted", ("close-1", "RETURN"): "queued",
                          ("x", ""): "rejected"})
        self.assertEqual(status["close-1", "RETURN"]["waits_for"], f"row {status['close-1', 'SHIPMENT']['row_id']}")
        manifest, = self.rows(bureau, "SELECT * FROM manifest_status")
        self.assertEqual((manifest["rows"], manifest["accepted"], manifest["rejected"], manifest["state"]), ("7", "3", "1", "released"))
        endpoint, = self.rows(bureau, "SELECT * FROM endpoint_status")
        self.assertEqual((endpoint["endpoint"], endpoint["state"], endpoint["in_flight"]), ("bankfr", "open", "0"))
        source, = self.rows(bureau, "SELECT * FROM source_status")
        self.assertEqual((source["source"], source["drop_directory"], source["state"], source["manifests"], source["waiting_files"]),
                         ("lyon", str(bureau.in_directory), "open", "1", "0"))
        attempts = self.rows(bureau, "SELECT * FROM attempt_history WHERE row_id = " + status["stale-1", "SHIPMENT"]["row_id"])
        self.assertEqual([(a["attempt"], a["outcome"], a["http_status"]) for a in attempts],
                         [("1", "back", "401"), ("2", "accepted", "202")])
        self.assertEqual(self.rows(bureau, "SELECT * FROM operator_action_log"), [])

    def test_times_are_utc_with_milliseconds(self) -> None:
        bureau = self.scene(environment={"TZ": "Asia/Tokyo"})
        bureau.drop("a.csv", Manifest([Row("card-1"), Row("close-1")]))
        bureau.until_idle()
        seen = 0
        for view in VIEWS:
            for row in self.rows(bureau, f"SELECT * FROM {view}"):
                for name, value in row.items():
                    if value and (name.endswith(("_at", "_until")) or name == "at"):
                        self.assertRegex(value, TIME, f"{view}.{name}")
                        seen += 1
        self.assertGreater(seen, 10)
        first, = self.rows(bureau, "SELECT abs(julianday(received_at) - julianday('now')) * 86400 AS ago FROM manifest_status")
        self.assertLess(float(first["ago"]), 60)

    def test_a_read_only_reader_can_change_nothing(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(3))
        self.assertEqual(bureau.until_idle(), 0)
        done = sqlite(bureau, "DELETE FROM row")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("readonly", done.stderr)
        self.assertEqual(self.accepted(bureau), 3)

    def test_it_is_read_while_the_daemon_runs_and_after(self) -> None:
        bureau = self.scene()
        bureau.start()
        self.assertEqual(self.accepted(bureau), 0)
        bureau.drop("a.csv", manifests.realistic(5))
        bureau.wait_manifest("a.csv")
        self.assertEqual(self.accepted(bureau), 5)
        bureau.stop()
        self.assertEqual(self.accepted(bureau), 5)
        bureau.start()
        bureau.drop("b.csv", manifests.realistic(5, seed=2))
        bureau.wait_manifest("b.csv")
        bureau.kill()
        self.assertEqual(self.accepted(bureau), 10)

    def test_a_reader_in_a_transaction_holds_nothing_up(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(5))
        bureau.start()
        bureau.wait_manifest("a.csv")
        with bureau.connection() as connection:
            connection.execute("BEGIN")
            before = connection.execute("SELECT count(*) FROM status").fetchone()[0]
            bureau.drop("b.csv", manifests.realistic(200, seed=2))
            bureau.wait_manifest("b.csv")
            self.assertEqual(connection.execute("SELECT count(*) FROM status").fetchone()[0], before)
        self.assertEqual(self.accepted(bureau), 205)


@unittest.skipUnless(os.geteuid() == 0, "needs root, to read as somebody else")
@unittest.skipUnless(shutil.which("setpriv"), "needs setpriv, to read as somebody else")
class OthersTest(Reading):
    """A state directory as tmpfiles.d makes it: of the service's group, which new files inherit."""

    MEMBER = as_user(READER, GROUP)
    STRANGER = as_user(OUTSIDER, OUTSIDER)

    def shared(self) -> Bureau:
        bureau = self.scene()
        os.chown(bureau.state, 0, GROUP)
        bureau.state.chmod(0o2750)
        bureau.root.chmod(0o711)
        bureau.config_path.chmod(0o644)
        bureau.drop("a.csv", manifests.realistic(5))
        return bureau

    def test_a_member_of_the_group_reads_while_the_daemon_runs_and_after(self) -> None:
        bureau = self.shared()
        bureau.start()
        bureau.wait_manifest("a.csv")
        self.assertEqual(self.accepted(bureau, *self.MEMBER), 5)
        for view in VIEWS:
            self.rows(bureau, f"SELECT * FROM {view}", *self.MEMBER)
        bureau.stop()
        self.assertEqual(self.accepted(bureau, *self.MEMBER), 5)
        bureau.start()
        bureau.drop("b.csv", manifests.realistic(5, seed=2))
        bureau.wait_manifest("b.csv")
        bureau.kill()
        self.assertEqual(self.accepted(bureau, *self.MEMBER), 10)

    def test_a_member_of_the_group_can_change_nothing(self) -> None:
        bureau = self.shared()
        self.assertEqual(bureau.until_idle(), 0)
        files = {path: (path.stat().st_mode & 0o777, path.read_bytes()) for path in bureau.state.iterdir() if path.is_file()}
        self.assertTrue({"queue.db", "queue.db-wal", "queue.db-shm"} <= {path.name for path in files})
        self.assertEqual({mode & 0o027 for mode, _ in files.values()}, {0})
        done = subprocess.run([*self.MEMBER, "sqlite3", str(bureau.database), "DELETE FROM row"], capture_output=True, timeout=20)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual({path: path.read_bytes() for path in files}, {path: content for path, (_, content) in files.items()})
        self.assertEqual(self.accepted(bureau, *self.MEMBER), 5)

    def test_an_outsider_is_refused(self) -> None:
        bureau = self.shared()
        bureau.start()
        bureau.wait_manifest("a.csv")
        for _ in ("running", "stopped"):
            done = sqlite(bureau, "SELECT * FROM status", *self.STRANGER)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(done.stdout, "")
            if bureau.daemon and bureau.daemon.poll() is None:
                bureau.stop()

    def command(self, bureau: Bureau, user: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
        program = bureau.root / "trackbridge"
        if not program.exists():  # where it was built, others may not be allowed to look
            shutil.copy(binary(), program)
            program.chmod(0o755)
        return subprocess.run([*user, str(program), "-c", str(bureau.config_path), *arguments], capture_output=True, text=True, cwd="/",
                              timeout=20)

    def test_reading_commands_work_for_the_group_and_tell_others_whom_to_ask(self) -> None:
        bureau = self.shared()
        bureau.start()
        bureau.wait_manifest("a.csv")
        for daemon in ("running", "stopped"):
            for arguments in (("status",), ("list",), ("manifests",), ("show", "1"), ("card", "card-1")):
                with self.subTest(arguments, daemon=daemon):
                    done = self.command(bureau, self.MEMBER, *arguments)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    done = self.command(bureau, self.STRANGER, *arguments)
                    self.assertEqual((done.returncode, done.stdout), (77, ""))
                    self.assertIn("group", done.stderr)
            if daemon == "running":
                bureau.stop()

    def test_status_says_to_the_group_whether_the_daemon_runs(self) -> None:
        bureau = self.shared()
        bureau.start()
        bureau.wait_manifest("a.csv")
        self.assertIn(f"process {bureau.pid}", self.command(bureau, self.MEMBER, "status").stdout)
        bureau.stop()
        self.assertIn("not running", self.command(bureau, self.MEMBER, "status").stdout)

    def test_files_removed_by_a_plain_sqlite3_are_told_of(self) -> None:
        bureau = self.shared()
        self.assertEqual(bureau.until_idle(), 0)
        subprocess.run(["sqlite3", str(bureau.database), "SELECT count(*) FROM status"], check=True, capture_output=True)
        if (bureau.state / "queue.db-wal").exists():
            self.skipTest("this sqlite3 leaves -wal and -shm behind")
        done = self.command(bureau, self.MEMBER, "status")
        self.assertEqual(done.returncode, 77)
        self.assertIn("sqlite3", done.stderr)
        bureau.start()
        self.assertEqual(self.accepted(bureau, *self.MEMBER), 5)

    def test_a_member_of_the_group_explains_with_history(self) -> None:
        bureau = self.shared()
        path = bureau.root / "b.csv"
        path.write_text(manifests.realistic(6).text(), encoding="utf-8")
        path.chmod(0o644)
        self.assertEqual(bureau.until_idle(), 0)
        done = self.command(bureau, self.MEMBER, "explain", str(path), "--source", "lyon", "--format", "csv")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        states = [row["state"] for row in csv.DictReader(io.StringIO(done.stdout))]
        self.assertEqual(states, ["duplicate"] * 5 + ["queued"])


if __name__ == "__main__":
    unittest.main()
