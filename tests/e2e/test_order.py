"""Order and fairness: the rows of a card one at a time, in the order of manifest and line, whatever answers, crashes and operators do; a
card that waits holds back nobody else; small manifests do not wait for large ones.

$TRACKBRIDGE_SEED chooses another course of events; a test that fails names its seed.
"""

from __future__ import annotations

import os
import random
import threading
import time
import unittest
from collections import defaultdict
from typing import Any

import manifests
import oracles
from behaviours import OK, Behaviour, lost, status
from harness import Bureau
from ledger import Request
from manifests import Manifest, Row
from scene import Scene
from scripted_api import ScriptedApi

QUICK = {"first": "10ms", "most": "50ms"}
KINDS = ("PRODUCTION", "SHIPMENT", "RETURN")
SEED = int(os.environ.get("TRACKBRIDGE_SEED", "5"))


class Order(Scene):
    def do(self, bureau: Bureau, *arguments: str) -> None:
        done = bureau.cli(*arguments)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}")

    def drop(self, bureau: Bureau, name: str, manifest: Manifest) -> None:
        """One after the other, so that their order is known."""
        bureau.drop(name, manifest)
        bureau.wait_manifest(name, "released", "settled", seconds=20)


def in_order(bureau: Bureau, requests: list[Request]) -> list[str]:
    """Requests that came out of their card's order: before a row that stands earlier and was not finished, or back to a row that was."""
    rows = {a["correlation_id"]: a["row_id"] for a in bureau.attempts()}
    latest: dict[str, int] = defaultdict(int)
    faults = []
    for request in requests:
        row = rows[request.correlation]
        if row < latest[request.card]:
            faults.append(f"request {request.n} of row {row} ({request.card}) came after one of row {latest[request.card]}")
        latest[request.card] = max(latest[request.card], row)
    return faults


class Together:
    """Looks for two requests of one card that are with the API at the same moment; a script that answers nothing itself."""

    def __init__(self, chance: random.Random, slowest: float) -> None:
        self.under_way: set[str] = set()
        self.faults: list[str] = []
        self._lock = threading.Lock()
        self._seen = 0
        self._chance, self._slowest = chance, slowest

    def __call__(self, request: Request) -> None:
        with self._lock:
            if request.card in self.under_way:
                self.faults.append(f"request {request.n} of {request.card} came while another one was under way")
            self.under_way.add(request.card)
            self._seen += 1
            wait = self._chance.random() ** 3 * self._slowest if self._seen > 32 else 1.0  # so that as many are there together
        time.sleep(wait)
        with self._lock:
            self.under_way.discard(request.card)


class ByChanceTest(Order):
    """P5 under 32 in flight."""

    def manifests_of(self, chance: random.Random, n: int, cards: int) -> list[Manifest]:
        """Each card in most of them, with several rows; under 20 that repeat a card and a type, so that none pauses."""
        made = []
        for i in range(n):
            rows = [Row(f"card-{c}", kind, site=f"Lyon {i}") for c in range(cards) for kind in KINDS if chance.random() < 0.7]
            chance.shuffle(rows)
            made.append(Manifest([*rows, *(Row(f"own-{i}-{j}") for j in range(4 * len(rows)))]))
        return made

    def answers(self, seed: int, crashing: bool) -> Any:
        """For cards with several rows mostly good, else what puts a row back or loses its answer. The others keep the line busy."""
        def answer(request: Request) -> Behaviour | None:
            if request.card.startswith("own"):
                return OK
            chance = random.Random(f"{seed} {request.card} {request.of_card}").random()
            if chance < 0.06:
                return status(503)
            if chance < 0.10:
                return status(401)
            if chance < 0.13 and not crashing:
                return lost("lost", "drop")
            return OK
        return answer

    def run_with(self, seed: int, *, kills: int, resend: bool) -> None:
        chance = random.Random(seed)
        policy = "resend" if resend else "hold"
        api, bureau = self.scene(endpoint={"concurrency": 32, "retry": QUICK, "on_unknown_outcome": policy})
        together = Together(random.Random(seed + 1), 0.06)
        api.on_track(together)
        api.on_track(self.answers(seed, bool(kills)))
        bureau.start()
        made = self.manifests_of(chance, 6, 12)
        for i, manifest in enumerate(made):
            self.drop(bureau, f"{i}.csv", manifest)
            if i < kills:
                bureau.wait(lambda: api.in_flight > 0 or bureau.at_rest(), "requests under way")
                time.sleep(chance.random() * 0.15)
                bureau.kill()
                bureau.start()
        resolved: list[manifests.Event] = []

        def all_done() -> bool:
            for row in [] if resend else bureau.rows("state = 'in_doubt'"):
                resolved.append((row["card_id"], row["tracking_type"]))
                self.do(bureau, "resolve", "--accepted" if chance.random() < 0.5 else "--resend", "--row", str(row["row_id"]),
                        "--reason", "by chance")
            return set(bureau.states()) == {"accepted"}
        bureau.wait(all_done, "the end of it", 45)
        bureau.stop()
        twice = [(r["card_id"], r["tracking_type"]) for r in bureau.rows()] if resend else resolved
        with self.subTest(seed=seed):
            self.assertEqual(in_order(bureau, api.requests), [])
            if not (kills and resend):  # what a crash left with the API may still be there when the row is sent again
                self.assertEqual(together.faults, [])
            self.assertGreater(api.most_in_flight, 15)
            self.sound(bureau, twice)
            self.assertEqual(bureau.cli("verify").returncode, 0)

    def test_delays_503s_401s_and_lost_answers_leave_the_order_alone(self) -> None:
        print(f"seed {SEED}", flush=True)
        self.run_with(SEED, kills=0, resend=False)

    def test_crashes_leave_the_order_alone(self) -> None:
        print(f"seed {SEED + 1}", flush=True)
        self.run_with(SEED + 1, kills=5, resend=False)

    def test_crashes_leave_the_order_alone_where_what_is_unknown_is_sent_again(self) -> None:
        print(f"seed {SEED + 2}", flush=True)
        self.run_with(SEED + 2, kills=5, resend=True)


class WaitingTest(Order):
    """A card whose row is not finished holds back itself alone, and the view says for what it waits."""

    STEPS = [Row("close-1", "PRODUCTION"), *(Row(f"card-{i}") for i in range(30)), Row("close-1", "SHIPMENT"), Row("close-1", "RETURN")]

    def doubtful(self) -> tuple[ScriptedApi, Bureau]:
        """Row 1 in doubt with two rows of its card behind it, all others accepted."""
        api, bureau = self.scene(endpoint={"retry": QUICK})
        api.on_track(lambda r: OK if r.of_card else None)
        bureau.drop("a.csv", Manifest(self.STEPS))
        bureau.start()
        bureau.wait_states(in_doubt=1, queued=2, accepted=30)
        self.waits(bureau)
        return api, bureau

    def waits(self, bureau: Bureau) -> None:
        found = [(row["tracking_type"], row["waits_for"]) for row in bureau.rows("card_id = 'close-1' AND manifest_id = 1")]
        self.assertEqual(found, [("PRODUCTION", None), ("SHIPMENT", "row 1"), ("RETURN", "row 32")])

    def types_sent(self, api: ScriptedApi) -> list[str]:
        return [r.type for r in api.of_card("close-1")]

    def test_a_row_in_doubt_holds_back_its_card_through_manifests_pauses_and_restarts(self) -> None:
        api, bureau = self.doubtful()
        self.drop(bureau, "b.csv", Manifest([Row("close-1", "PRODUCTION", site="Tours"), *(Row(f"more-{i}") for i in range(10))]))
        bureau.wait_states(accepted=40)
        self.assertEqual(bureau.rows("manifest_id = 2")[0]["waits_for"], "row 33")
        self.do(bureau, "pause", "bankfr")
        self.do(bureau, "resume", "bankfr")
        self.do(bureau, "pause", "--manifest", "1")
        self.assertEqual(bureau.rows("row_id = 32")[0]["waits_for"], "manifest paused: operator")
        self.do(bureau, "resume", "--manifest", "1")
        bureau.kill()
        bureau.start()
        self.drop(bureau, "c.csv", manifests.cards(["last-1"]))
        bureau.wait_row("last-1", "accepted")
        self.waits(bureau)
        self.assertEqual(self.types_sent(api), ["PRODUCTION"])
        self.do(bureau, "resolve", "--accepted", "--row", "1", "--reason", "asked")
        bureau.wait_states(accepted=45)
        self.assertEqual(self.types_sent(api), ["PRODUCTION", "SHIPMENT", "RETURN", "PRODUCTION"])
        self.sound(bureau)

    def test_a_row_sent_again_by_word_still_goes_first(self) -> None:
        api, bureau = self.doubtful()
        api.clear_scripts()
        api.on_track(lambda r: (status(503) if r.of_card < 4 else OK) if r.card == "close-1" else None)
        self.do(bureau, "resolve", "--resend", "--row", "1", "--reason", "asked")
        bureau.wait_states(accepted=33)
        self.assertEqual(self.types_sent(api), ["PRODUCTION"] * 5 + ["SHIPMENT", "RETURN"])
        self.sound(bureau, [("close-1", "PRODUCTION")])

    def test_rows_behind_are_held_released_and_cancelled_in_their_place(self) -> None:
        api, bureau = self.doubtful()
        self.do(bureau, "hold", "--row", "32", "--row", "33")
        self.do(bureau, "release", "--row", "33")
        self.do(bureau, "resolve", "--accepted", "--row", "1", "--reason", "asked")
        self.drop(bureau, "b.csv", manifests.cards(["card-b"]))
        bureau.wait_row("card-b", "accepted")
        self.assertEqual((bureau.row("close-1", "SHIPMENT")["state"], bureau.row("close-1", "RETURN")["waits_for"]), ("held", "row 32"))
        self.do(bureau, "cancel", "--row", "32")
        bureau.wait_row("close-1", "accepted", kind="RETURN")
        self.assertEqual(self.types_sent(api), ["PRODUCTION", "RETURN"])
        self.sound(bureau)

    def test_a_row_tried_again_goes_before_the_next_and_one_sent_later_by_word_waits_for_it(self) -> None:
        api, bureau = self.scene(endpoint={"retry": QUICK})
        answers = {"PRODUCTION": [status(400), status(503), OK], "SHIPMENT": [lost("lost", "drop"), OK], "RETURN": [OK]}
        api.on_track(lambda r: answers[r.type].pop(0))
        bureau.drop("a.csv", Manifest([Row("card-1", kind) for kind in KINDS]))
        bureau.start()
        bureau.wait_states(refused=1, in_doubt=1, queued=1)
        self.do(bureau, "pause", "bankfr")
        self.assertNotEqual(bureau.cli("retry", "--row", "1").returncode, 0)
        self.do(bureau, "retry", "--row", "1", "--anyway")
        self.do(bureau, "resolve", "--resend", "--row", "2", "--reason", "asked")
        self.assertEqual([r["waits_for"] for r in bureau.rows("row_id > 1")], ["row 1", "row 2"])
        bureau.kill()
        bureau.start()
        self.do(bureau, "resume", "bankfr")
        bureau.wait_states(accepted=3)
        self.assertEqual([r.type for r in api.requests], ["PRODUCTION", "SHIPMENT", "PRODUCTION", "PRODUCTION", "SHIPMENT", "RETURN"])
        self.sound(bureau, [("card-1", "PRODUCTION"), ("card-1", "SHIPMENT")])


class FairnessTest(Order):
    SIZES = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 20000)

    def test_ten_manifests_of_very_different_size_share_the_line(self) -> None:
        """With all released before the first request, each gets turns of eight rows: one of n rows is done when no other has had more
        turns than it needs itself. Counted are requests begun, by the daemon's own records: one may be overtaken by many on its way,
        while its connection is made. Up to 32 begin in the same moment."""
        bureau = self.scene(endpoint={"concurrency": 32})[1]
        bureau.start()
        self.do(bureau, "pause", "bankfr")
        for size in reversed(self.SIZES):  # the largest one first
            self.drop(bureau, f"m{size}.csv", Manifest([Row(f"m{size}-{i}", "RETURN") for i in range(size)]))
        self.do(bureau, "resume", "bankfr")
        bureau.wait(lambda: bureau.manifest("m1000.csv")["state"] == "settled", "the end of the seventh", 90)
        bureau.stop()
        last: dict[int, int] = {}
        begun = sorted((r["sent_at"], r["card_id"]) for r in bureau.rows("attempts > 0"))
        for n, (_, card) in enumerate(begun, 1):
            last[int(card[1:].partition("-")[0])] = n
        self.assertEqual({r["attempts"] for r in bureau.rows("attempts > 0")}, {1})
        for size in self.SIZES[:7]:
            turns = (size + 7) // 8
            share = sum(min(8 * turns, other) for other in self.SIZES)
            with self.subTest(size=size):
                self.assertLessEqual(last[size], share + 32)
        print("last request of each:", {size: last[size] for size in self.SIZES[:7]}, flush=True)
        self.sound(bureau)


if __name__ == "__main__":
    unittest.main()
