"""It is us, not the row: what is wrong with our key, our certificate, our way there or the whole API pauses the endpoint and costs no row
anything; what is wrong with one row alone pauses nothing. test_answers.py has each line of the table with a few rows.
"""

from __future__ import annotations

import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import manifests
import oracles
from behaviours import Behaviour, lost, status
from harness import Bureau, many, wait_for
from ledger import Request
from scene import Scene
from scripted_api import ScriptedApi

QUICK = {"first": "20ms", "most": "100ms"}
STEADY = {"first": "200ms", "most": "200ms"}


class Us(Scene):
    def queued(self, rows: int, **endpoint: Any) -> tuple[ScriptedApi, Bureau]:
        """A daemon with a good token and a good connection, so many rows queued, paused by its operator."""
        api, bureau = self.scene(endpoint=endpoint)
        bureau.drop("first.csv", manifests.cards(["first-1"]))
        bureau.start()
        bureau.wait_manifest("first.csv")
        self.assertEqual(bureau.cli("pause", "bankfr").returncode, 0)
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(rows)], "RETURN"))
        bureau.wait_manifest("a.csv", "released", seconds=30)
        return api, bureau

    def go(self, bureau: Bureau) -> None:
        self.assertEqual(bureau.cli("resume", "bankfr").returncode, 0)

    def wait_paused(self, bureau: Bureau, reason: str) -> None:
        bureau.wait(lambda: bureau.endpoint()["reason"] == reason and bureau.endpoint()["state"] == "paused", f"a pause for {reason}")

    def drains(self, bureau: Bureau, rows: int, in_doubt: int = 0) -> None:
        """By itself, and no row has paid for anything."""
        bureau.wait(bureau.at_rest, "the end of it", 50)
        bureau.wait_endpoint("open")
        states = bureau.states()
        bureau.stop()
        self.assertEqual((states.get("accepted", 0), states.get("in_doubt", 0)), (rows + 1 - in_doubt, in_doubt), states)
        self.assertEqual(oracles.all_of(bureau), [])


class EverythingTest(Us):
    """Ten thousand rows are queued while something of ours is wrong."""

    ROWS = many(10_000)

    def test_a_revoked_key_touches_no_row_and_all_drains_when_it_is_back(self) -> None:
        api, bureau = self.queued(self.ROWS, concurrency=32, retry=QUICK)
        before = len(api.requests)
        # The key and what was signed with it: the first rows are told 401 with the old token, from then on there is none.
        api.set_token_behaviour("invalid_grant")
        api.revoke_all_tokens()
        self.go(bureau)
        self.wait_paused(bureau, "credentials")
        tried = len(api.token_requests)
        bureau.wait(lambda: len(api.token_requests) >= tried + 5, "that it is tried again")
        touched = len(api.requests) - before
        self.assertEqual(set(bureau.states()), {"accepted", "queued"})
        self.assertLessEqual(touched, 32)
        self.assertEqual(sum(r["attempts"] for r in bureau.rows("attempts > 0")) - 1, touched)
        api.set_token_behaviour("ok")
        self.drains(bureau, self.ROWS)
        print(f"a revoked key: {touched} rows touched with the old token, none later", flush=True)

    def test_a_key_that_is_unknown_from_the_start_touches_no_row(self) -> None:
        for behaviour in ("400", "401"):
            with self.subTest(behaviour):
                api, bureau = self.scene(endpoint={"concurrency": 32, "retry": QUICK})
                api.set_token_behaviour(behaviour)
                bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(200)], "RETURN"))
                bureau.start()
                self.wait_paused(bureau, "credentials")
                bureau.wait(lambda: len(api.token_requests) >= 5, "that it is tried again")
                self.assertEqual((api.requests, bureau.states()), ([], {"queued": 200}))
                bureau.kill()

    def test_a_revoked_client_certificate_puts_a_handful_in_doubt_at_most(self) -> None:
        """TLS 1.3 tells a client only after its request; from the pause on the token endpoint is asked instead of a row."""
        for concurrency in (1, 8):
            with self.subTest(concurrency=concurrency):
                api, bureau = self.scene(endpoint={"concurrency": concurrency, "retry": QUICK})
                api.delay = 0.02
                bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(500)], "RETURN"))
                bureau.start()
                bureau.wait(lambda: len(api.requests) >= 20, "that it is under way")
                api.trust_clients_of("other-ca")
                self.wait_paused(bureau, "certificate")
                refused = len(api.refused_handshakes)
                bureau.wait(lambda: len(api.refused_handshakes) >= refused + 5, "that it is tried again")
                api.trust_clients_of("ca")
                bureau.wait(bureau.at_rest, "the end of it", 50)
                bureau.stop()
                states = bureau.states()
                print(f"a revoked certificate with {concurrency} in flight: {states.get('in_doubt', 0)} in doubt", flush=True)
                self.assertLessEqual(states.pop("in_doubt", 0), max(concurrency, 3))
                self.assertEqual(set(states), {"accepted"})
                self.assertEqual(oracles.all_of(bureau), [])


class ApiTest(Us):
    """The token endpoint is content, and the API says no to everything."""

    ROWS = 80

    def test_what_is_said_of_all_rows_costs_one_probe_for_each_step_and_no_row(self) -> None:
        for code, reason in ((401, "credentials"), (403, "credentials"), (407, "proxy"), (302, "redirect"), (503, "outage")):
            with self.subTest(code):
                api, bureau = self.queued(self.ROWS, concurrency=16, retry=STEADY)
                api.outage(behaviour=status(code, headers=(("Location", "/elsewhere"),) if code == 302 else ()))
                self.go(bureau)
                self.wait_paused(bureau, reason)
                wait_for(lambda: api.in_flight == 0, what="the end of what was in flight")
                tried, tokens, api.most_in_flight = len(api.requests), len(api.token_requests), 0
                bureau.wait(lambda: len(api.requests) >= tried + 4, "probes")
                probes = api.requests[tried:tried + 4]
                self.assertLessEqual(tried, 1 + 16)
                self.assertNotIn(True, [a.card == b.card for a, b in zip(probes, probes[1:])])
                self.assertEqual(api.most_in_flight, 1)
                self.assertLessEqual(len(api.token_requests) - tokens, 6)
                self.assertEqual(set(bureau.states()) - {"sending"}, {"accepted", "queued"})
                api.outage()
                self.drains(bureau, self.ROWS)

    def test_a_storm_of_401_with_256_in_flight_costs_one_token(self) -> None:
        api, bureau = self.scene(endpoint={"concurrency": 256, "retry": QUICK, "timeout": "60s", "connect_timeout": "30s"}, top={"stop_timeout": "60s"})
        all_there = threading.Event()

        def refuse_together(request: Request) -> Behaviour | None:
            if request.card == "first-1" or all_there.is_set():
                return None
            all_there.wait(60)
            return status(401)
        api.on_track(refuse_together)
        bureau.drop("first.csv", manifests.cards(["first-1"]))
        bureau.start()
        bureau.wait_manifest("first.csv")
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(600)], "RETURN"))
        bureau.wait(lambda: api.in_flight >= 200, "as many in flight", 30)
        all_there.set()
        bureau.wait(bureau.at_rest, "the end of it", 30)
        bureau.stop()
        print(f"{api.most_in_flight} in flight, {api.by_status[401]} times 401, {len(api.token_requests)} tokens", flush=True)
        self.assertEqual((bureau.states(), len(api.token_requests)), ({"accepted": 601}, 2))
        self.assertNotIn("paused", bureau.log)
        self.assertEqual(oracles.all_of(bureau), [])


class PoisonTest(Us):
    """One row to which always the same happens, among good ones."""

    ROWS = 90
    KINDS: dict[str, Behaviour] = {
        **{str(code): status(code) for code in (400, 401, 403, 404, 407, 429, 500, 502, 503)},
        "3xx": status(302, headers=(("Location", "/elsewhere"),)),
        "hang": lost("hang", "hang"), "reset": lost("reset", "reset"), "close": lost("close", "close"),
    }

    def poisoned(self, kind: str, card: str, behaviour: Behaviour | None) -> list[str]:
        """What went wrong beside the row."""
        api, bureau = self.scene(endpoint={"retry": QUICK, "rate": 90, "timeout": "1s" if kind == "hang" else "10s"},
                                 top={"stop_timeout": "20s"})
        if behaviour:
            api.on_track(lambda r: behaviour if r.card == card else None)
        cards = [f"card-{i}" for i in range(self.ROWS)]
        cards.insert(5, card)
        bureau.drop("a.csv", manifests.cards(cards, "RETURN"))
        bureau.start()
        seen: set[str] = set()

        def good_done() -> bool:
            seen.update(e["state"] for e in bureau.endpoints())
            return bureau.states().get("accepted", 0) == self.ROWS
        bureau.wait(good_done, f"{self.ROWS} good rows beside {kind}", 60)
        bureau.kill()
        told = len(api.of_card(card)) + api.unread.count(card)
        attempts = {r["attempts"] for r in bureau.rows("state = 'accepted'")}
        print(f"beside {kind}: poisoned row tried {told} times, {len(api.token_requests)} tokens", flush=True)
        faults = [f"endpoint was {seen}"] if seen != {"open"} or "paused" in bureau.log else []
        faults += [f"good rows took {attempts} attempts"] if attempts != {1} else []
        # A token for each time that it is told that its token is no good, which backs off.
        faults += ["more tokens than needed"] if len(api.token_requests) > (1 + told if kind == "401" else 1) else []
        return [f"{kind}: {fault}" for fault in faults]

    def test_a_poisoned_row_pauses_nothing_and_delays_nobody(self) -> None:
        with ThreadPoolExecutor(5) as pool:  # each waits more than it computes
            done = [pool.submit(self.poisoned, kind, "poison-1", behaviour) for kind, behaviour in self.KINDS.items()]
            done.append(pool.submit(self.poisoned, "closed before the body was read", "early-1", None))
        self.assertEqual([fault for one in done for fault in one.result()], [])


if __name__ == "__main__":
    unittest.main()
