"""What operators do while other things happen: with one another, with files that come and go, with a daemon that loads, stops or dies."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
import unittest
from collections.abc import Iterator

import manifests
from behaviours import OK
from harness import Bureau, binary
from manifests import Manifest, Row
from test_control import DATA, TRY_LATER, Desk
from test_daemon import returns


class TogetherTest(Desk):
    def test_a_row_goes_only_where_row_manifest_and_endpoint_are_all_open(self) -> None:
        bureau = self.waiting(manifests.cards(["card-1", "card-2"]))
        api = self.api_of(bureau)
        self.do(bureau, "hold", "--card", "card-1")
        self.do(bureau, "pause", "--manifest", "1")
        self.do(bureau, "resume", "bankfr")
        bureau.drop("b.csv", manifests.cards(["card-3"]))
        bureau.wait_manifest("b.csv")
        self.assertEqual([r.card for r in api.requests], ["card-3"])
        self.do(bureau, "resume", "--manifest", "1")
        bureau.wait_row("card-2", "accepted")
        self.assertEqual(self.state_of(bureau, "card-1"), "held")
        self.do(bureau, "pause", "bankfr")
        self.do(bureau, "release", "--card", "card-1")
        self.assertEqual(self.state_of(bureau, "card-1"), "queued")
        self.do(bureau, "resume", "bankfr")
        bureau.wait_manifest("a.csv")
        self.assertEqual(bureau.states(), {"accepted": 3})
        self.sound(bureau)

    def test_a_held_row_holds_back_its_card_and_a_cancelled_one_does_not(self) -> None:
        steps = [Row("card-1", "PRODUCTION"), Row("card-1"), Row("card-1", "RETURN"), Row("card-2", "PRODUCTION"), Row("card-2")]
        bureau = self.waiting(Manifest(steps))
        api = self.api_of(bureau)
        self.do(bureau, "hold", "--row", "1", "--row", "4")
        self.do(bureau, "resume", "bankfr")
        bureau.drop("b.csv", manifests.cards(["card-3"]))
        bureau.wait_manifest("b.csv")
        self.assertEqual([r.card for r in api.requests], ["card-3"])
        self.do(bureau, "cancel", "--row", "4")
        bureau.wait_row("card-2", "accepted", kind="SHIPMENT")
        self.assertEqual(api.of_card("card-1"), [])
        self.do(bureau, "release", "--row", "1")
        bureau.wait_manifest("a.csv")
        self.assertEqual([r.type for r in api.of_card("card-1")], ["PRODUCTION", "SHIPMENT", "RETURN"])
        self.assertEqual([r.type for r in api.of_card("card-2")], ["SHIPMENT"])
        self.sound(bureau)

    def test_a_row_that_is_sent_again_goes_before_its_cards_later_rows(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.drop("a.csv", Manifest([Row("h400-1", "PRODUCTION"), Row("drop-2", "PRODUCTION")]))
        bureau.start()
        bureau.wait_states(refused=1, in_doubt=1)
        api.on_track(lambda r: OK)
        self.do(bureau, "pause", "bankfr")
        bureau.drop("b.csv", Manifest([Row("h400-1"), Row("drop-2")]))
        bureau.wait_manifest("b.csv", "released")
        self.do(bureau, "retry", "--row", "1")
        self.do(bureau, "resolve", "--resend", "--all")
        self.do(bureau, "resume", "bankfr")
        bureau.wait_manifest("a.csv")
        bureau.wait_manifest("b.csv")
        for card in ("h400-1", "drop-2"):
            self.assertEqual([r.type for r in api.of_card(card)], ["PRODUCTION", "PRODUCTION", "SHIPMENT"])
        self.sound(bureau, twice=[("h400-1", "PRODUCTION"), ("drop-2", "PRODUCTION")])

    def test_a_refused_row_is_not_sent_behind_a_later_one_of_its_card(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.drop("a.csv", Manifest([Row("h400-1", "PRODUCTION")]))
        bureau.start()
        bureau.wait_manifest("a.csv")
        api.on_track(lambda r: OK)
        bureau.drop("b.csv", Manifest([Row("h400-1")]))
        bureau.wait_manifest("b.csv")
        self.assertIn("row 2 of the same card came later and has gone out", self.do(bureau, "retry", "--row", "1", status=DATA).stdout)
        self.assertEqual(len(api.requests), 2)
        self.do(bureau, "retry", "--row", "1", "--anyway")
        bureau.wait_row("h400-1", "accepted", kind="PRODUCTION")

    def test_a_settled_manifest_opens_again_and_its_receipt_tells_how_it_ended(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards(["h400-1", "card-2"]))
        bureau.start()
        bureau.wait_manifest("a.csv")
        file = bureau.out_directory / "a.1.receipt.csv"
        bureau.wait(lambda: file.exists() and b"SETTLED" in file.read_bytes(), "the first receipt")
        self.assertEqual(self.receipt(bureau, file.name), ({"h400-1": "refused", "card-2": "accepted"}, ["TRAILER", "2", "1", "SETTLED"]))
        api.on_track(lambda r: OK)
        self.do(bureau, "pause", "bankfr")
        self.do(bureau, "retry", "--all")
        opened = bureau.manifest("a.csv")
        self.assertEqual((opened["state"], opened["settled_at"], opened["queued"]), ("released", None, 1))
        self.do(bureau, "receipt", "1")
        bureau.wait(lambda: b"OPEN" in file.read_bytes(), "a receipt of the open manifest")
        self.do(bureau, "resume", "bankfr")
        bureau.wait_manifest("a.csv")
        bureau.wait(lambda: b"SETTLED" in file.read_bytes(), "the last receipt")
        self.assertEqual(self.receipt(bureau, file.name), ({"h400-1": "accepted", "card-2": "accepted"}, ["TRAILER", "2", "2", "SETTLED"]))
        self.sound(bureau, twice=[("h400-1", "SHIPMENT")])

    def test_a_row_is_resolved_while_its_manifest_is_in_the_archive(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.cards(["drop-1", "card-2"]))
        bureau.start()
        bureau.wait_states(in_doubt=1, accepted=1)
        bureau.wait(lambda: any((bureau.state / "archive").rglob("*a.csv")), "the archived copy")
        self.assertEqual(bureau.manifest("a.csv")["state"], "released")
        self.do(bureau, "resolve", "--accepted", "--operation-id", "op-77", "--row", "1")
        bureau.wait_manifest("a.csv")
        file = bureau.out_directory / "a.1.receipt.csv"
        bureau.wait(lambda: b"SETTLED" in file.read_bytes(), "the receipt")
        self.assertIn(b"op-77", file.read_bytes())
        self.assertEqual(self.receipt(bureau, file.name)[1], ["TRAILER", "2", "2", "SETTLED"])

    def test_a_refused_row_whose_corrected_copy_came_in_another_file_stays_refused(self) -> None:
        bureau = self.scene(source={"identity": ["TRACK_NO"]})
        api = self.api_of(bureau)
        bureau.drop("a.csv", Manifest([Row("h400-1", zip="99999")]))
        bureau.start()
        bureau.wait_manifest("a.csv")
        api.on_track(lambda r: OK)
        self.do(bureau, "pause", "bankfr")
        bureau.drop("b.csv", Manifest([Row("h400-1", zip="69001")]))
        bureau.wait_manifest("b.csv", "released")
        self.assertIn("row 2 stands for the same event now", self.do(bureau, "retry", "--row", "1", status=DATA).stdout)
        self.assertEqual(self.moved(self.do(bureau, "retry", "--all", status=DATA)), (0, 1))
        self.do(bureau, "resume", "bankfr")
        bureau.wait_manifest("b.csv")
        self.do(bureau, "retry", "--row", "1", status=DATA)
        self.assertEqual([json.loads(r.body)["postalCode"] for r in api.requests], ["99999", "69001"])
        self.sound(bureau)


class WhileTest(Desk):
    def test_rows_of_a_manifest_that_is_loading_wait_for_its_release(self) -> None:
        rows = 20_000
        bureau = self.scene(source={"complete": {"quiet": "10ms"}})
        self.api_of(bureau).set_down(True)
        bureau.start()
        bureau.drop("a.csv", returns(rows), events=[])
        bureau.wait(lambda: bureau.manifests() and bureau.manifest("a.csv")["rows"] > 100, "rows")
        done = bureau.cli("hold", "--row", "1")
        paused = bureau.cli("pause", "--manifest", "1")
        self.assertEqual((paused.returncode, paused.stderr), (0, ""))
        self.assertIn(done.returncode, (0, DATA))
        if done.returncode == DATA:
            self.assertIn("its manifest 1 is still loading", done.stdout)
        manifest = bureau.wait_manifest("a.csv", "released", seconds=60)
        self.assertEqual((manifest["rows"], manifest["paused"]), (rows, "operator"))
        held = manifest["held"]
        self.assertEqual(self.moved(self.do(bureau, "hold", "--manifest", "1")), (rows - held, 0))
        self.assertEqual(bureau.states(), {"held": rows})

    def test_an_order_while_it_drains_is_told_to_come_later(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 2})
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards([f"slow-{i}" for i in range(6)]))
        bureau.start()
        bureau.wait(lambda: api.in_flight >= 1 and api.requests, "requests under way")
        assert bureau.daemon
        os.kill(bureau.pid, signal.SIGTERM)
        bureau.wait(lambda: bureau.notify.count("STOPPING=1"), "the end to begin")
        done = bureau.cli("cancel", "--all")
        if bureau.daemon.poll() is None:
            self.assertEqual((done.returncode, done.stdout), (TRY_LATER, ""))
            self.assertTrue(done.stderr)
        self.assertEqual(bureau.daemon.wait(20), 0)
        left = bureau.states().get("queued", 0)
        cancelled = bureau.states().get("cancelled", 0)
        self.assertEqual(sum(a["rows"] for a in bureau.actions()), cancelled)
        if done.returncode == TRY_LATER:
            self.assertEqual(cancelled, 0)
            self.assertEqual(self.moved(self.do(bureau, "cancel", "--all")), (left, 0))
        self.sound(bureau)

    def test_an_order_that_a_stop_cuts_short_is_carried_on_at_the_next_start(self) -> None:
        rows = 20_000
        bureau = self.many(rows)
        with self.half_done(bureau, "hold", "--all") as order:
            os.kill(bureau.pid, signal.SIGTERM)
            os.kill(bureau.pid, signal.SIGCONT)
            self.assertEqual(bureau.stop(), 0)
            out, err = order.communicate(timeout=20)
        self.assertEqual(order.returncode, TRY_LATER, out + err)
        self.assertIn("operator_action_log", err)
        self.carried_on(bureau, rows)

    def test_a_daemon_killed_in_the_middle_of_an_order_carries_it_on_and_sends_nothing_of_it(self) -> None:
        rows = 20_000
        bureau = self.many(rows)
        with self.half_done(bureau, "hold", "--all", "--reason", "the factory called") as order:
            bureau.kill()
            out, err = order.communicate(timeout=20)
        self.assertEqual(order.returncode, TRY_LATER, out + err)
        self.assertIn("operator_action_log", err)
        left = bureau.query("SELECT moved FROM operator_order")
        self.assertEqual(len(left), 1)
        self.assertLess(left[0]["moved"], rows)
        self.carried_on(bureau, rows)
        self.assertIn("the factory called", [a["reason"] for a in bureau.actions()])

    def many(self, rows: int) -> Bureau:
        bureau = self.scene(source={"complete": {"quiet": "10ms"}}, endpoint={"retry": {"first": "60s", "most": "60s"}})
        self.api_of(bureau).set_down(True)
        bureau.start()
        bureau.drop("a.csv", returns(rows), events=[])
        bureau.wait_manifest("a.csv", "released", seconds=60)
        bureau.wait_states(queued=rows, sending=0)
        return bureau

    @contextlib.contextmanager
    def half_done(self, bureau: Bureau, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """A command whose order the daemon, now stopped by a signal, has carried out in part."""
        for _ in range(10):
            process = subprocess.Popen([binary(), "-c", str(bureau.config_path), *arguments], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            with process, bureau.connection() as connection:
                question = "SELECT moved FROM operator_order WHERE moved BETWEEN 1 AND (SELECT max(rows) FROM manifest) / 2"
                while process.poll() is None and connection.execute(question).fetchone() is None:
                    time.sleep(0.001)
                os.kill(bureau.pid, signal.SIGSTOP)
                if connection.execute(question).fetchone():
                    yield process
                    return
                os.kill(bureau.pid, signal.SIGCONT)
                process.communicate(timeout=60)
            # This machine was too slow to see it.
            self.do(bureau, "release", "--all")
        self.fail("no order was seen half done")

    def carried_on(self, bureau: Bureau, rows: int) -> None:
        api = self.api_of(bureau)
        api.set_down(False)
        bureau.start()
        bureau.drop("b.csv", manifests.cards(["after-1"]))
        bureau.wait(lambda: bureau.states().get("held") == rows, "every row held", 60)
        # An outage ends by itself: a restart remembers it, and an operator ends it.
        bureau.cli("resume", "bankfr")
        bureau.wait_manifest("b.csv", seconds=60)
        self.assertEqual([r.card for r in api.requests], ["after-1"])
        held = [a for a in bureau.actions() if a["action"] == "hold"]
        self.assertEqual({a["rows"] for a in held}, {rows})
        self.assertEqual(bureau.query("SELECT * FROM operator_order"), [])
        self.assertEqual(bureau.states(), {"held": rows, "accepted": 1})


class PairsTest(Desk):
    COMMANDS = (("retry", "--all"), ("hold", "--all"), ("release", "--all"), ("cancel", "--manifest", "NEW"),
                ("resolve", "--accepted", "--all"), ("resolve", "--resend", "--all"), ("reload", "NEW"),
                ("pause", "bankfr"), ("resume", "bankfr"), ("pause", "--manifest", "NEW"), ("resume", "--manifest", "NEW"),
                ("receipt", "NEW"))

    def test_every_pair_at_once_leaves_true_ledgers_and_a_log_that_fits_the_answers(self) -> None:
        bureau = self.scene()
        bureau.start()
        again: list[manifests.Event] = []
        told: dict[str, tuple[int, str]] = {}
        for n, pair in enumerate(itertools.combinations_with_replacement(self.COMMANDS, 2)):
            bureau.drop(f"m{n}.csv", manifests.cards([f"good-{n}a", f"h400-{n}", f"good-{n}b", f"drop-{n}", f"good-{n}c"]))
            again += [(f"h400-{n}", "SHIPMENT"), (f"drop-{n}", "SHIPMENT")]
            number = str(bureau.wait_manifest(f"m{n}.csv", "released", "settled")["manifest_id"])
            processes = {}
            for which, command in enumerate(pair):
                words = [number if word == "NEW" else word for word in command]
                reason = f"{n}/{which} {' '.join(command)}"
                processes[reason] = subprocess.Popen([binary(), "-c", str(bureau.config_path), *words, "--reason", reason],
                                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for reason, process in processes.items():
                out, err = process.communicate(timeout=60)
                told[reason] = (process.returncode, out + err)
            bureau.cli("resume", "bankfr")
            bureau.cli("resume", "--manifest", number)
        bureau.cli("release", "--all")
        bureau.wait(bureau.at_rest, "rest", 60)
        self.assertEqual(bureau.stop(), 0)
        self.sound(bureau, twice=again)
        self.fits(bureau, told)

    def fits(self, bureau: Bureau, told: dict[str, tuple[int, str]]) -> None:
        logged: dict[str, list[int]] = {}
        for action in bureau.actions():
            if action["reason"]:
                logged.setdefault(action["reason"], []).append(action["rows"])
        for reason, (status, text) in told.items():
            with self.subTest(reason):
                self.assertIn(status, (0, DATA), text)
                found = re.search(r"(\d+) rows are moved, (\d+) are declined", text)
                if found:
                    self.assertEqual(logged.get(reason), [int(found[1])], text)
                    self.assertEqual(status, DATA if int(found[2]) else 0, text)
                else:
                    self.assertEqual(logged.get(reason), [0] if status == 0 else None, text)
        self.assertEqual(set(logged) - set(told), set())


class HostilePeerTest(Desk):
    def test_whatever_peers_do_at_the_socket_rows_are_sent_and_orders_answered(self) -> None:
        rows = 1000
        bureau = self.scene()
        api = self.api_of(bureau)
        bureau.start()
        bureau.drop("a.csv", manifests.realistic(rows))
        path = str(bureau.root / "control.sock")
        stop = threading.Event()
        peers = [threading.Thread(target=self.annoy, args=(path, n, stop)) for n in range(6)]
        for peer in peers:
            peer.start()
        try:
            bureau.wait(lambda: len(api.requests) > rows // 4, "requests", 60)
            self.do(bureau, "hold", "--card", "nobody")
            bureau.wait_manifest("a.csv", seconds=120)
        finally:
            stop.set()
            for peer in peers:
                peer.join()
        self.do(bureau, "pause", "bankfr")
        self.assertEqual(bureau.stop(), 0)
        self.assertEqual(bureau.states(), {"accepted": rows})
        self.assertEqual([a["action"] for a in bureau.actions()], ["hold", "pause"])
        self.sound(bureau)

    def test_fifty_that_connect_and_say_nothing_only_delay(self) -> None:
        bureau = self.waiting(manifests.cards(["card-1"]))
        path = str(bureau.root / "control.sock")
        peers = []
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                peer = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                peer.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    peer.connect(path)
                peers.append(peer)
            bureau.drop("b.csv", manifests.cards(["card-2"]))
            bureau.wait_manifest("b.csv", "released")
            for peer in peers:
                peer.close()
            self.do(bureau, "resume", "bankfr")
        bureau.wait_manifest("a.csv")
        bureau.wait_manifest("b.csv")

    @staticmethod
    def annoy(path: str, seed: int, stop: threading.Event) -> None:
        chance = random.Random(seed)
        good = b'{"command":"hold","all":true,"dry_run":true}\n'
        while not stop.is_set():
            lines = (chance.randbytes(chance.randrange(1, 3000)), b"{" * chance.randrange(1, 70_000), good[:chance.randrange(len(good))],
                     b'{"command":"hold","all":true,"all":true}\n', b"x" * 70_000 + b"\n", good + good, b"\n\n\n",
                     b'{"command":"\xff"}\n', b"")
            number = chance.choice((1, 1, 1, 50))
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                peers = [stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) for _ in range(number)]
                for peer in peers:
                    peer.settimeout(0.2)
                    peer.connect(path)
                    peer.sendall(chance.choice(lines))
                    if chance.random() < 0.5:
                        peer.recv(chance.choice((1, 65536)))
            time.sleep(0.01)


if __name__ == "__main__":
    unittest.main()
