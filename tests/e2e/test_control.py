"""Operators' commands, end to end: to a running daemon over its socket, to a stopped one under its lock, who may, and what is recorded."""

from __future__ import annotations

import csv
import grp
import os
import pwd
import re
import shutil
import subprocess
import unittest
from pathlib import Path

import manifests
from behaviours import OK
from harness import Bureau, binary
from manifests import Manifest, Row
from test_answers import Scene

USAGE, DATA, NO_INPUT, TRY_LATER, PERMISSION = 64, 65, 66, 75, 77  # sysexits.h

STRANGER, GROUP = 54321, 54322  # nobody has these numbers

Done = subprocess.CompletedProcess[str]


class Desk(Scene):
    """A scene with words for what operators do."""

    def do(self, bureau: Bureau, *arguments: str, status: int = 0) -> Done:
        done = bureau.cli(*arguments, seconds=60)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}\n{bureau.log_tail(10)}")
        return done

    def moved(self, done: Done) -> tuple[int, int]:
        """How many rows an answer says were moved, and how many declined."""
        found = re.search(r"(\d+) rows (?:are|would be) moved, (\d+) (?:are|would be) declined", done.stdout)
        self.assertTrue(found, f"{done.stdout}{done.stderr}")
        assert found
        return int(found[1]), int(found[2])

    def waiting(self, content: Manifest | str, **changes: object) -> Bureau:
        """A running daemon with a released manifest a.csv of which nothing was sent, because its endpoint is paused."""
        bureau = self.scene(**changes)
        bureau.start()
        self.do(bureau, "pause", "bankfr")
        bureau.drop("a.csv", content)
        bureau.wait_manifest("a.csv", "released")
        return bureau

    def state_of(self, bureau: Bureau, card: str) -> str:
        return str(bureau.row(card)["state"])

    def receipt(self, bureau: Bureau, name: str) -> tuple[dict[str, str], list[str]]:
        """The states by line's card, and the trailer."""
        lines = list(csv.reader((bureau.out_directory / name).read_text(encoding="utf-8").splitlines()))
        return {line[1]: line[3] for line in lines[1:-1]}, lines[-1]


class EachCommandTest(Desk):
    def test_hold_release_and_cancel_move_rows_of_a_running_daemon(self) -> None:
        bureau = self.waiting(manifests.cards(["card-1", "card-2", "card-3"]))
        self.assertEqual(self.moved(self.do(bureau, "hold", "--card", "card-1")), (1, 0))
        self.assertEqual(self.moved(self.do(bureau, "hold", "--row", str(bureau.row("card-2")["row_id"]))), (1, 0))
        self.assertEqual(bureau.states(), {"held": 2, "queued": 1})
        self.assertEqual(self.moved(self.do(bureau, "cancel", "--card", "card-2")), (1, 0))
        self.assertEqual(self.moved(self.do(bureau, "release", "--all")), (1, 0))
        self.do(bureau, "resume", "bankfr")
        bureau.wait_manifest("a.csv")
        self.assertEqual(bureau.states(), {"accepted": 2, "cancelled": 1})
        self.assertEqual(self.api_of(bureau).of_card("card-2"), [])
        self.sound(bureau)

    def test_the_same_commands_do_the_same_without_a_daemon(self) -> None:
        bureau = self.waiting(manifests.cards(["card-1", "card-2", "card-3"]))
        self.assertEqual(bureau.stop(), 0)
        self.assertEqual(self.moved(self.do(bureau, "hold", "--manifest", "1")), (3, 0))
        self.assertEqual(bureau.states(), {"held": 3})
        self.assertEqual(self.moved(self.do(bureau, "cancel", "--card", "card-2")), (1, 0))
        self.assertEqual(self.moved(self.do(bureau, "release", "--card", "card-3")), (1, 0))
        self.do(bureau, "resume", "bankfr")
        self.assertEqual(self.do(bureau, "resume", "bankfr", status=DATA).stderr.strip(), "trackbridge: endpoint bankfr is not paused")
        bureau.start()
        bureau.wait_row("card-3", "accepted")
        self.assertEqual(bureau.states(), {"accepted": 1, "cancelled": 1, "held": 1})
        self.assertEqual(self.api_of(bureau).of_card("card-1"), [])
        self.sound(bureau)

    def test_retry_sends_refused_rows_again(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards(["h400-1", "h422-2", "card-3"]))
        bureau.start()
        bureau.wait_manifest("a.csv")
        api.on_track(lambda r: OK)
        self.assertEqual(self.moved(self.do(bureau, "retry", "--error-code", "NO_SUCH_CODE")), (0, 0))
        code = bureau.row("h400-1")["error_code"]
        self.assertTrue(code)
        self.assertEqual(self.moved(self.do(bureau, "retry", "--error-code", code, "--card", "h400-1")), (1, 0))
        bureau.wait_row("h400-1", "accepted")
        self.assertEqual(self.state_of(bureau, "h422-2"), "refused")
        self.assertEqual(self.moved(self.do(bureau, "retry", "--state", "refused")), (1, 0))
        bureau.wait_row("h422-2", "accepted")
        self.assertEqual([len(api.of_card(card)) for card in ("h400-1", "h422-2", "card-3")], [2, 2, 1])
        self.sound(bureau, twice=[("h400-1", "SHIPMENT"), ("h422-2", "SHIPMENT")])

    def test_resolve_says_what_became_of_rows_in_doubt(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards(["drop-1", "card-1", "drop-2", "card-2", "drop-3"]))
        bureau.start()
        bureau.wait_states(in_doubt=3, accepted=2)
        api.on_track(lambda r: OK)
        self.do(bureau, "resolve", "--all", status=USAGE)
        self.do(bureau, "resolve", "--resend", "--operation-id", "x", "--all", status=USAGE)
        self.do(bureau, "resolve", "--accepted", "--operation-id", "op-of-1", "--card", "drop-1")
        self.do(bureau, "resolve", "--accepted", "--card", "drop-2")
        self.do(bureau, "resolve", "--resend", "--all")
        bureau.wait_manifest("a.csv")
        self.assertEqual(bureau.states(), {"accepted": 5})
        self.assertEqual(bureau.row("drop-1")["operation_id"], "op-of-1")
        self.assertFalse(bureau.row("drop-2")["operation_id"])
        self.assertEqual(bureau.row("drop-3")["operation_id"], api.of_card("drop-3")[1].operationId)
        self.assertEqual([len(api.of_card(f"drop-{n}")) for n in (1, 2, 3)], [1, 1, 2])

    def test_a_paused_endpoint_and_a_paused_manifest_stay_so_over_a_restart(self) -> None:
        bureau = self.waiting(manifests.cards(["card-1"]))
        self.do(bureau, "pause", "--manifest", "1", "--reason", "wrong file")
        self.assertEqual(bureau.stop(), 0)
        bureau.start()
        self.assertEqual((bureau.endpoint()["state"], bureau.endpoint()["reason"]), ("paused", "operator"))
        self.assertEqual((bureau.manifest("a.csv")["paused"], bureau.manifest("a.csv")["reason"]), ("operator", "wrong file"))
        self.do(bureau, "resume", "bankfr")
        bureau.drop("b.csv", manifests.cards(["card-2"]))
        bureau.wait_manifest("b.csv")
        self.assertEqual(self.state_of(bureau, "card-1"), "queued")
        self.do(bureau, "resume", "--manifest", "1")
        bureau.wait_manifest("a.csv")
        self.sound(bureau)

    def test_reload_gives_rejected_rows_another_chance(self) -> None:
        bureau = self.scene()
        text = manifests.cards(["card-1"]).text() + "card-2;LOST;Lyon;;;;\r\n"
        bureau.drop("a.csv", text)
        bureau.start()
        bureau.wait_manifest("a.csv")
        self.assertIn("as manifest 2", self.do(bureau, "reload", "1").stdout)
        bureau.wait(lambda: any(m["manifest_id"] == 2 and m["state"] == "settled" for m in bureau.manifests()), "manifest 2")
        second = bureau.manifest("a.csv")
        self.assertEqual((second["rows"], second["duplicate"], second["rejected"]), (2, 1, 1))
        self.do(bureau, "reload", "77", status=NO_INPUT)
        self.assertEqual(len(self.api_of(bureau).requests), 1)

    def test_a_command_without_a_daemon_leaves_work_that_the_next_start_does(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.cards(["card-1"]).text() + "card-2;LOST;Lyon;;;;\r\n")
        self.assertEqual(bureau.until_idle(), DATA)
        receipt = bureau.out_directory / "a.1.receipt.csv"
        receipt.unlink()
        self.assertIn("when the daemon is started", self.do(bureau, "receipt", "1").stdout)
        self.assertIn("when the daemon is started", self.do(bureau, "reload", "1").stdout)
        bureau.start()
        bureau.wait(receipt.exists, "the receipt")
        bureau.wait(lambda: any(m["manifest_id"] == 2 and m["state"] == "settled" for m in bureau.manifests()), "manifest 2")


class SelectionTest(Desk):
    def test_what_is_given_holds_all_together(self) -> None:
        bureau = self.waiting(Manifest([Row("card-1", "PRODUCTION"), Row("card-1"), Row("card-2"), Row("card-3")]))
        bureau.drop("b.csv", manifests.cards(["card-1", "card-4"], "RETURN"))
        bureau.wait_manifest("b.csv", "released")
        self.assertEqual(self.moved(self.do(bureau, "hold", "--card", "card-1", "--manifest", "2", "--dry-run")), (1, 0))
        self.assertEqual(self.moved(self.do(bureau, "hold", "--card", "card-1", "--dry-run")), (3, 0))
        self.assertEqual(self.moved(self.do(bureau, "hold", "--manifest", "1", "--state", "queued", "--dry-run")), (4, 0))
        self.assertEqual(self.moved(self.do(bureau, "hold", "--manifest", "1", "--state", "refused", "--dry-run")), (0, 0))
        self.assertEqual(self.moved(self.do(bureau, "hold", "--manifest", "9", "--dry-run")), (0, 0))
        self.assertEqual(self.moved(self.do(bureau, "hold", "--all", "--dry-run")), (6, 0))
        self.assertEqual(bureau.states(), {"queued": 6})
        self.assertEqual([a["action"] for a in bureau.actions()], ["pause"])

    def test_every_named_row_gets_an_answer(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.cards(["h400-1", "card-2"]))
        bureau.start()
        bureau.wait_manifest("a.csv")
        done = self.do(bureau, "retry", "--row", "1", "--row", "2", "--row", "99", "--row", "2", "--dry-run", status=DATA)
        self.assertEqual(self.moved(done), (1, 2))
        self.assertEqual(done.stdout.splitlines()[:2],
                         ["row 2: is accepted, not refused or expired (or, with --anyway, duplicate)", "row 99: there is no such row"])
        self.assertEqual(self.do(bureau, "release", "--row", "1", status=DATA).stdout.splitlines()[0], "row 1: is refused, not held")
        self.assertEqual(bureau.states(), {"refused": 1, "accepted": 1})

    def test_anyway_moves_what_is_declined_without_it(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.drop("a.csv", Manifest([Row("card-1", "RETURN")]))
        bureau.start()
        bureau.wait_manifest("a.csv")
        bureau.drop("b.csv", Manifest([Row("card-1", "RETURN"), Row("card-2", "RETURN")]))
        bureau.wait_manifest("b.csv")
        row = str(bureau.rows("state = 'duplicate'")[0]["row_id"])
        self.do(bureau, "retry", "--row", row, status=DATA)
        self.assertEqual(len(api.of_card("card-1")), 1)
        self.assertEqual(self.moved(self.do(bureau, "retry", "--row", row, "--anyway")), (1, 0))
        bureau.wait(lambda: len(api.of_card("card-1")) == 2, "the second one")
        bureau.wait_manifest("b.csv")
        self.sound(bureau, twice=[("card-1", "RETURN")])

    def test_what_cannot_be_meant_is_a_usage_error(self) -> None:
        bureau = self.waiting(manifests.cards(["card-1"]))
        for arguments in (("hold",), ("hold", "--all", "--card", "x"), ("hold", "--anyway", "--all"), ("hold", "--row", "0"),
                          ("hold", "--row", "x"), ("hold", "--state", "quued"), ("cancel", "--all", "surplus"), ("pause",),
                          ("pause", "bankfr", "--manifest", "1"), ("resume", "--manifest", "0"), ("reload",), ("reload", "x"),
                          ("retry", "--card", ""), ("retry", "--all", "--reason", "x" * 513), ("receipt",), ("receipt", "x"),
                          ("receipt", "1", "--", "x"), ("receipt", "1", "-", "surplus")):
            with self.subTest(arguments):
                self.assertEqual(self.do(bureau, *arguments, status=USAGE).stdout, "")
        self.assertEqual(bureau.states(), {"queued": 1})
        self.assertEqual(len(bureau.actions()), 1)

    def test_what_is_not_there_is_said(self) -> None:
        bureau = self.waiting(manifests.cards(["card-1"]))
        self.assertIn("no endpoint nowhere", self.do(bureau, "pause", "nowhere", status=NO_INPUT).stderr)
        self.do(bureau, "pause", "--manifest", "7", status=DATA)
        self.do(bureau, "receipt", "7", status=NO_INPUT)
        self.assertIn("already", self.do(bureau, "pause", "bankfr", status=DATA).stderr)
        self.assertIn("not paused", self.do(bureau, "resume", "--manifest", "1", status=DATA).stderr)
        self.assertEqual(len(bureau.actions()), 1)


class LogTest(Desk):
    def test_every_action_is_recorded_with_who_what_how_many_and_why(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards(["h400-1", "drop-2", "card-3"]))
        bureau.start()
        bureau.wait_states(refused=1, in_doubt=1, accepted=1)
        api.on_track(lambda r: OK)
        steps: list[tuple[tuple[str, ...], int]] = [
            (("pause", "bankfr"), 0), (("pause", "--manifest", "1"), 0), (("retry", "--state", "refused"), 1),
            (("hold", "--card", "h400-1"), 1), (("release", "--row", "1", "--row", "1"), 1),
            (("resolve", "--accepted", "--operation-id", "op-1", "--all"), 1),
            (("cancel", "--manifest", "1"), 1), (("resume", "bankfr"), 0), (("receipt", "1"), 0), (("reload", "1"), 0),
            (("hold", "--all"), 0)]
        for n, (arguments, _) in enumerate(steps):
            self.do(bureau, *arguments, "--reason", f"step {n}: it's \"so\"")
        logged = bureau.actions()
        self.assertEqual([a["action"] for a in logged], [arguments[0] for arguments, _ in steps])
        self.assertEqual([a["rows"] for a in logged], [rows for _, rows in steps])
        self.assertEqual([a["reason"] for a in logged], [f"step {n}: it's \"so\"" for n in range(len(steps))])
        selectors = [" ".join(arguments[1:]) for arguments, _ in steps]
        self.assertEqual([a["selector"] for a in logged], selectors)
        me = pwd.getpwuid(os.getuid()).pw_name
        self.assertEqual({(a["user"], a["uid"]) for a in logged}, {(me, os.getuid())})


class TwoDaemonsTest(Desk):
    def with_file(self, config: Path, *arguments: str) -> Done:
        return subprocess.run([binary(), "-c", str(config), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=20)

    def test_the_second_says_who_holds_the_directory_and_the_first_is_not_disturbed(self) -> None:
        bureau = self.waiting(manifests.cards(["card-1"]))
        other = bureau.root / "other.yaml"
        other.write_text(bureau.config_path.read_text().replace("control.sock", "other.sock"))
        for config in (bureau.config_path, other):
            done = self.with_file(config, "run")
            self.assertEqual(done.returncode, TRY_LATER)
            self.assertIn(f"process {bureau.pid}", done.stderr)
        done = self.with_file(other, "hold", "--all")
        self.assertEqual(done.returncode, TRY_LATER)
        self.assertIn(f"process {bureau.pid}", done.stderr)
        self.assertFalse((bureau.root / "other.sock").exists())
        self.assertEqual(bureau.states(), {"queued": 1})
        self.do(bureau, "resume", "bankfr")
        bureau.wait_manifest("a.csv")


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv, to be somebody else")
class WhoMayTest(Desk):
    def as_user(self, bureau: Bureau, uid: int, groups: str, *arguments: str) -> Done:
        who = ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={groups}" if groups else "--clear-groups"]
        return subprocess.run([*who, binary(), "-c", str(bureau.config_path), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, cwd="/", timeout=60)

    def open_to(self, bureau: Bureau, group: int) -> None:
        """The configuration is anybody's to read; the socket's directory is the group's."""
        os.chown(bureau.root, 0, group)
        bureau.root.chmod(0o755)
        bureau.config_path.chmod(0o644)

    def of_group(self, group: int) -> Bureau:
        bureau = self.scene()
        self.open_to(bureau, group)
        bureau.start()
        self.do(bureau, "pause", "bankfr")
        bureau.drop("a.csv", manifests.cards(["card-1", "card-2"]))
        bureau.wait_manifest("a.csv", "released")
        return bureau

    def test_a_member_of_the_group_may_and_is_recorded(self) -> None:
        bureau = self.of_group(GROUP)
        done = self.as_user(bureau, STRANGER, str(GROUP), "hold", "--card", "card-1", "--reason", "as a member")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.state_of(bureau, "card-1"), "held")
        last = bureau.actions()[-1]
        self.assertEqual((last["uid"], last["user"], last["reason"]), (STRANGER, str(STRANGER), "as a member"))

    def test_a_stranger_may_not_and_is_told_what_to_do(self) -> None:
        group = next(g for g in grp.getgrall() if g.gr_gid != 0)
        bureau = self.of_group(group.gr_gid)
        done = self.as_user(bureau, STRANGER, "", "hold", "--all")
        self.assertEqual((done.returncode, done.stdout), (PERMISSION, ""))
        self.assertIn(str(bureau.root / "control.sock"), done.stderr)
        self.assertIn(f"usermod -aG {group.gr_name}", done.stderr)
        self.assertEqual(bureau.states(), {"queued": 2})

    def test_nobody_is_asked_to_join_roots_group(self) -> None:
        bureau = self.of_group(0)
        done = self.as_user(bureau, STRANGER, "", "hold", "--all")
        self.assertEqual(done.returncode, PERMISSION)
        self.assertNotIn("usermod", done.stderr)

    def test_a_stranger_may_not_without_a_daemon_either(self) -> None:
        bureau = self.of_group(GROUP)
        self.assertEqual(bureau.stop(), 0)
        for groups in ("", str(GROUP)):
            done = self.as_user(bureau, STRANGER, groups, "hold", "--all")
            self.assertEqual(done.returncode, PERMISSION, done.stderr)
            self.assertIn(str(bureau.state), done.stderr)
            self.assertRegex(done.stderr, "root and for the owner")
        self.assertEqual(bureau.states(), {"queued": 2})

    def test_root_acts_as_the_owner_of_a_stopped_directory(self) -> None:
        bureau = self.waiting(manifests.cards(["card-1", "card-2"]).text() + "card-3;LOST;Lyon;;;;\r\n")
        self.assertEqual(bureau.stop(), 0)
        for path in [bureau.state, *bureau.state.rglob("*")]:
            os.chown(path, STRANGER, GROUP)
        bureau.root.chmod(0o755)
        for name in ("queue.db-wal", "queue.db-shm", "lock"):
            (bureau.state / name).unlink(missing_ok=True)
        self.do(bureau, "hold", "--all")
        self.do(bureau, "cancel", "--card", "card-2")
        self.do(bureau, "reload", "1")
        self.assertEqual(bureau.states()["cancelled"], 1)
        owners = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in [bureau.state, *bureau.state.rglob("*")]}
        self.assertTrue({"lock", "queue.db", "queue.db-wal", "queue.db-shm"} <= set(owners), owners)
        self.assertEqual(set(owners.values()), {(STRANGER, GROUP)}, owners)
        self.assertEqual({(a["uid"], a["user"]) for a in bureau.actions()}, {(0, pwd.getpwuid(0).pw_name)})


class ReceiptTest(Desk):
    ROWS = ["card-1", "h400-2", "drop-3", "card-4"]
    AGAIN = "card-1;SHIPPED;Lyon;6A 0123.456/7-FR;69001;FR;20/11/2026 14:30\r\n"

    def printed(self, bureau: Bureau, manifest: int) -> "subprocess.CompletedProcess[bytes]":
        """Its own bytes, line ends included."""
        return subprocess.run([binary(), "-c", str(bureau.config_path), "receipt", str(manifest), "-"], capture_output=True, timeout=20)

    def test_to_standard_output_it_is_byte_for_byte_the_file(self) -> None:
        bureau = self.scene(source={"complete": {"quiet": "10ms"}})
        bureau.drop("a.csv", manifests.cards(self.ROWS).text() + "=bad;LOST;Lyon;;;;\r\n" + self.AGAIN)
        bureau.drop("b.csv", "no such header\r\n")
        bureau.start()
        bureau.wait_states(in_doubt=1, accepted=2, refused=1)
        bureau.wait_manifest("b.csv", "rejected")
        for running in (True, False):
            self.do(bureau, "resolve", "--accepted", "--all")
            bureau.wait_manifest("a.csv")
            for manifest in (1, 2):
                stem = "a" if manifest == bureau.manifest("a.csv")["manifest_id"] else "b"
                file = bureau.out_directory / f"{stem}.{manifest}.receipt.csv"
                with self.subTest(file.name, running=running):
                    bureau.wait(lambda: file.exists() and (b"SETTLED" in file.read_bytes()), "the last receipt")
                    done = self.printed(bureau, manifest)
                    self.assertEqual((done.returncode, done.stderr), (0, b""))
                    self.assertEqual(done.stdout, file.read_bytes())
            if running:
                self.assertEqual(bureau.stop(), 0)
        self.do(bureau, "receipt", "77", "-", status=NO_INPUT)

    def test_to_standard_output_it_tells_of_open_rows_and_changes_nothing(self) -> None:
        bureau = self.waiting(manifests.cards(["card-1", "card-2"]))
        done = self.do(bureau, "receipt", "1", "-")
        lines = done.stdout.splitlines()
        self.assertEqual((len(lines), lines[-1]), (4, "TRAILER,2,0,OPEN"))
        self.assertEqual([a["action"] for a in bureau.actions()], ["pause"])

    def test_of_many_rows_it_is_the_same_too(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(2500))
        self.assertEqual(bureau.until_idle(60), 0)
        done = self.printed(bureau, 1)
        self.assertEqual(done.stdout, (bureau.out_directory / "a.1.receipt.csv").read_bytes())

    def test_written_again_it_is_there_again(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        file = bureau.out_directory / "a.1.receipt.csv"
        bureau.wait_manifest("a.csv")
        bureau.wait(lambda: file.exists() and b"SETTLED" in file.read_bytes(), "the receipt")
        before = file.read_bytes()
        file.unlink()
        self.do(bureau, "receipt", "1", "--reason", "lost by the factory")
        bureau.wait(file.exists, "the receipt again")
        self.assertEqual(file.read_bytes(), before)
        self.assertEqual(bureau.actions()[-1]["action"], "receipt")


if __name__ == "__main__":
    unittest.main()
