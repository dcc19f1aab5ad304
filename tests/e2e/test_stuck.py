"""A way to D1 on which nothing comes back: names that are never resolved, connections that are never made, silence behind the handshake.
It holds up neither the loop nor the stop."""

from __future__ import annotations

import os
import statistics
import time
import unittest
from pathlib import Path

import manifests
import oracles
from harness import TOKEN_PATH, Bureau, binary, wait_for
from relay import Relay, black_hole
from scripted_api import ScriptedApi

QUICK = {"first": "20ms", "most": "200ms"}


def resolver() -> dict[str, str]:
    """The environment in which names that end in .slow are never resolved."""
    library = Path(binary()).parent / "tests" / "slow_resolver.so"
    if not library.exists():
        raise RuntimeError(f"{library} is missing: build all targets")
    options = os.environ.get("ASAN_OPTIONS", "")
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": f"{options}{':' if options else ''}verify_asan_link_order=0"}


class Scene(unittest.TestCase):
    def api(self) -> ScriptedApi:
        api = ScriptedApi().start()
        self.addCleanup(api.stop)
        return api

    def stops_within(self, bureau: Bureau, seconds: float) -> None:
        begun = time.monotonic()
        self.assertEqual(bureau.stop(), 0)
        self.assertLess(time.monotonic() - begun, seconds)


class ResolverTest(Scene):
    """Two endpoints: the name of one is never resolved."""

    def bureau(self, api: ScriptedApi, slow: dict[str, str], **top: object) -> Bureau:
        bureau = Bureau(
            api, top={"stop_timeout": "6s"} | top, environment=resolver() | {"WATCHDOG_USEC": "400000"},
            endpoints=[{"retry": QUICK}, {"name": "bankbe", "issuers": ["BANKBE0001"], "retry": QUICK, "connect_timeout": "3s"} | slow],
            sources=[{}, {"name": "gent", "fields": {"issuerId": {"value": "BANKBE0001"}}}])
        self.addCleanup(bureau.close)
        return bureau

    def test_a_name_that_is_never_resolved_holds_up_nothing_else(self) -> None:
        for key, path in (("api_url", "/banking/v1"), ("token_url", TOKEN_PATH)):
            with self.subTest(key):
                api = self.api()
                bureau = self.bureau(api, {key: f"https://d1.slow:{api.port}{path}"})
                bureau.start()
                bureau.drop("b.csv", manifests.cards(f"stuck-{i}" for i in range(20)), source=1)
                bureau.wait_manifest("b.csv", "released")
                if key == "api_url":
                    bureau.wait(lambda: bureau.rows("state = 'sending'"), "a request on its way")
                begun = time.monotonic()
                bureau.drop("a.csv", manifests.cards(f"card-{i}" for i in range(1000)))
                took = [self.time_of(bureau, "hold" if i % 2 == 0 else "release") for i in range(6)]
                bureau.wait_manifest("a.csv", seconds=30)
                self.assertLess(statistics.median(took), 1, took)
                wait_for(lambda: sum(at > begun for at, line in bureau.notify.messages if line == "WATCHDOG=1") >= 3, what="a fed watchdog")
                self.assertEqual(bureau.rows("card_id LIKE 'card-%' AND (state <> 'accepted' OR attempts <> 1)"), [])
                self.assertGreater(api.most_in_flight, 1)
                self.stops_within(bureau, 6)
                self.assertEqual({row["state"] for row in bureau.rows("card_id LIKE 'stuck-%'")}, {"queued"})
                self.assertEqual(oracles.all_of(bureau), [])

    def time_of(self, bureau: Bureau, command: str) -> float:
        """Of an order that goes through the daemon; the row waits for the stuck endpoint."""
        begun = time.monotonic()
        done = bureau.cli(command, "--card", "stuck-19", "--reason", "test")
        self.assertEqual(done.returncode, 0, done.stderr)
        return time.monotonic() - begun

    def test_a_stop_while_a_name_is_being_resolved_leaves_no_doubt(self) -> None:
        api = self.api()
        bureau = self.bureau(api, {"api_url": f"https://d1.slow:{api.port}/banking/v1", "connect_timeout": "5s"}, stop_timeout="5s")
        bureau.start()
        bureau.drop("b.csv", manifests.cards(["stuck-1"]), source=1)
        bureau.wait_row("stuck-1", "sending")
        time.sleep(0.3)
        self.stops_within(bureau, 5.5)
        self.assertEqual((bureau.row("stuck-1")["state"], bureau.row("stuck-1")["attempts"]), ("queued", 1))

    def test_check_online_gives_up_on_a_name_that_is_never_resolved(self) -> None:
        api = self.api()
        bureau = self.bureau(api, {"token_url": f"https://d1.slow:{api.port}{TOKEN_PATH}", "connect_timeout": "1s"})
        begun = time.monotonic()
        done = bureau.cli("check", "--online")
        self.assertEqual((done.returncode, "endpoint bankfr" in done.stdout, "error" in done.stdout), (69, True, True), done.stdout)
        self.assertLess(time.monotonic() - begun, 10)


class BlackHoleTest(Scene):
    """TERM while a request is where nothing comes back."""

    def scene(self, api_url: str, api: ScriptedApi, **endpoint: object) -> Bureau:
        bureau = Bureau(api, top={"stop_timeout": "4s"}, endpoint={"api_url": api_url, "retry": QUICK} | endpoint)
        self.addCleanup(bureau.close)
        bureau.start()
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.wait_row("card-1", "sending")
        time.sleep(0.2)
        return bureau

    def test_a_stop_while_a_connection_is_not_made_leaves_no_doubt(self) -> None:
        for limit in ("1s", "3s"):
            with self.subTest(limit), black_hole() as port:
                api = self.api()
                bureau = self.scene(f"https://127.0.0.1:{port}/banking/v1", api, timeout="3s", connect_timeout=limit)
                self.stops_within(bureau, 4)
                row = bureau.row("card-1")
                self.assertEqual((row["state"], row["attempts"] >= 1), ("queued", True), row)
                self.assertIn("the request was not sent whole", row["detail"])
                self.assertEqual(oracles.all_of(bureau), [])

    def test_a_stop_with_silence_behind_the_handshake_leaves_doubt(self) -> None:
        api = self.api()
        with Relay(api.port) as relay:
            relay.swallow = True
            bureau = self.scene(f"https://localhost:{relay.port}/banking/v1", api, timeout="3s")
            self.stops_within(bureau, 4)
            row = bureau.row("card-1")
            self.assertEqual((row["state"], row["attempts"]), ("in_doubt", 1), row)
            self.assertIn("no answer after the whole request was sent", row["detail"])
            self.assertGreater(relay.heard, 500)
        self.assertEqual(api.requests, [])
        self.assertEqual(oracles.all_of(bureau), [])

    def test_silence_in_the_handshake_was_not_sent(self) -> None:
        api, silent = self.api(), self.api()
        silent.accepting = "hang"
        bureau = self.scene(f"https://localhost:{silent.port}/banking/v1", api, timeout="3s", connect_timeout="2s")
        self.stops_within(bureau, 4)
        row = bureau.row("card-1")
        self.assertEqual((row["state"], "the request was not sent whole" in row["detail"]), ("queued", True), row)


if __name__ == "__main__":
    unittest.main()
