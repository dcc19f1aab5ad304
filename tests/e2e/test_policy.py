"""on_unknown_outcome, on_not_found and give_up_after beside order, pauses, restarts and what operators do. (test_answers.py has each alone.)"""

from __future__ import annotations

import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import manifests
import oracles
from behaviours import OK, Behaviour, lost, status
from harness import Bureau
from ledger import Request
from manifests import Manifest, Row
from scripted_api import ScriptedApi

QUICK = {"first": "20ms", "most": "100ms"}
KINDS = ("PRODUCTION", "SHIPMENT", "RETURN")
ONE_CARD = Manifest([Row("card-1", kind) for kind in KINDS])
NEVER = 999


class Policy(unittest.TestCase):
    def scene(self, **endpoint: Any) -> tuple[ScriptedApi, Bureau]:
        api = ScriptedApi().start()
        self.addCleanup(api.stop)
        bureau = Bureau(api, endpoint={"retry": QUICK} | endpoint)
        self.addCleanup(bureau.close)
        return api, bureau

    def do(self, bureau: Bureau, *arguments: str) -> None:
        done = bureau.cli(*arguments)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}")

    def others_go(self, bureau: Bureau, name: str) -> None:
        """So much has happened meanwhile that the card would have gone if it could."""
        bureau.drop(f"{name}.csv", manifests.cards([f"{name}-{i}" for i in range(12)]))
        bureau.wait_manifest(f"{name}.csv")

    def sound(self, bureau: Bureau) -> None:
        """Of card-1 requests may come again: so the policy says, or an operator."""
        self.assertEqual(oracles.all_of(bureau, twice=[("card-1", kind) for kind in KINDS]), [])
        self.assertEqual(bureau.cli("verify").returncode, 0)


def until(times: int, kind: str, answer: Behaviour) -> Any:
    """The type's first requests get the answer."""
    seen = [0]

    def script(request: Request) -> Behaviour:
        if request.type != kind or seen[0] >= times:
            return OK
        seen[0] += 1
        return answer
    return script


class PutBackTest(Policy):
    """A row that is sent again by itself, because its outcome is unknown or its card not there yet."""

    WAYS: tuple[tuple[dict[str, str], Behaviour], ...] = (
        ({"on_unknown_outcome": "resend"}, lost("lost", "drop")),
        ({"on_not_found": "retry"}, status(404)),
    )

    def ways(self, times: int, kind: str = "SHIPMENT") -> Any:
        for policy, answer in self.WAYS:
            with self.subTest(policy):
                api, bureau = self.scene(**policy)
                script = until(times, kind, answer)
                api.on_track(lambda r, script=script: script(r) if r.card == "card-1" else None)  # type: ignore[misc]
                yield api, bureau
                bureau.close()

    def test_it_holds_back_the_later_rows_of_its_card(self) -> None:
        for api, bureau in self.ways(3):
            bureau.drop("a.csv", ONE_CARD)
            bureau.start()
            bureau.wait_manifest("a.csv")
            bureau.stop()
            self.assertEqual([r.type for r in api.requests], ["PRODUCTION"] + ["SHIPMENT"] * 4 + ["RETURN"])
            self.sound(bureau)

    def test_it_goes_on_after_a_crash_and_a_pause_with_its_card_in_order(self) -> None:
        for api, bureau in self.ways(8):
            bureau.drop("a.csv", ONE_CARD)
            bureau.start()
            bureau.wait(lambda: bureau.row("card-1", "SHIPMENT")["attempts"] >= 2, "two attempts")
            bureau.kill()
            bureau.start()
            for row in bureau.rows("state = 'in_doubt'"):  # only where what is unknown is held
                self.do(bureau, "resolve", "--resend", "--row", str(row["row_id"]), "--reason", "a crash")
            self.do(bureau, "pause", "bankfr")
            self.assertEqual(bureau.row("card-1", "RETURN")["waits_for"], "row 2")
            self.do(bureau, "resume", "bankfr")
            bureau.wait_manifest("a.csv")
            self.assertEqual([r.type for r in api.requests], ["PRODUCTION"] + ["SHIPMENT"] * 9 + ["RETURN"])
            self.sound(bureau)

    def test_it_is_held_released_and_cancelled_between_two_attempts(self) -> None:
        for api, bureau in self.ways(NEVER):
            bureau.drop("a.csv", ONE_CARD)
            bureau.start()
            bureau.wait(lambda: bureau.row("card-1", "SHIPMENT")["attempts"] >= 2, "two attempts")

            def holds(bureau: Bureau = bureau) -> bool:
                bureau.cli("hold", "--row", "2")  # declined while it is on the wire
                return bureau.row("card-1", "SHIPMENT")["state"] == "held"
            bureau.wait(holds, "the hold")
            sent = len(api.of_card("card-1"))
            self.others_go(bureau, "more")
            self.assertEqual((len(api.of_card("card-1")), bureau.row("card-1", "RETURN")["waits_for"]), (sent, "row 2"))
            self.do(bureau, "release", "--row", "2")
            bureau.wait(lambda sent=sent, api=api: len(api.of_card("card-1")) > sent, "another attempt")  # type: ignore[misc]
            bureau.wait(holds, "the hold")
            self.do(bureau, "cancel", "--row", "2")
            bureau.wait_row("card-1", "accepted", kind="RETURN")
            bureau.wait_manifest("a.csv")
            self.sound(bureau)

    def test_it_is_tried_again_by_word_after_it_expired_and_before_the_next_of_its_card(self) -> None:
        api, bureau = self.scene(on_not_found="retry", retry=QUICK | {"give_up_after": "1s"})
        unknown = {"SHIPMENT", "RETURN"}
        api.on_track(lambda r: status(404) if r.type in unknown else OK)
        bureau.drop("a.csv", ONE_CARD)
        bureau.start()
        bureau.wait_row("card-1", "expired", kind="SHIPMENT")
        bureau.wait(lambda: bureau.row("card-1", "RETURN")["attempts"] >= 1, "the next one's turn")
        self.do(bureau, "pause", "bankfr")
        bureau.wait(lambda: not bureau.states().get("sending"), "its answer")
        self.do(bureau, "retry", "--row", "2")
        self.assertEqual(bureau.row("card-1", "RETURN")["waits_for"], "row 2")
        sent = len(api.requests)
        unknown.clear()
        self.do(bureau, "resume", "bankfr")
        bureau.wait_manifest("a.csv")
        self.assertEqual([r.type for r in api.requests[sent:]], ["SHIPMENT", "RETURN"])
        self.sound(bureau)

    def test_in_doubt_under_hold_is_only_an_operators_to_send_again(self) -> None:
        api, bureau = self.scene(on_not_found="retry")
        api.on_track(until(1, "SHIPMENT", lost("lost", "drop")))
        bureau.drop("a.csv", ONE_CARD)
        bureau.start()
        bureau.wait_row("card-1", "in_doubt", kind="SHIPMENT")
        for command in ("hold", "release", "cancel", "retry"):
            self.assertNotEqual(bureau.cli(command, "--row", "2").returncode, 0, command)
        bureau.stop()
        bureau.start()
        self.others_go(bureau, "more")
        self.assertEqual([r.type for r in api.of_card("card-1")], ["PRODUCTION", "SHIPMENT"])
        self.do(bureau, "resolve", "--resend", "--row", "2", "--reason", "asked")
        bureau.wait_manifest("a.csv")
        self.assertEqual([r.type for r in api.of_card("card-1")], ["PRODUCTION", "SHIPMENT", "SHIPMENT", "RETURN"])
        self.sound(bureau)


class GiveUpTest(Policy):
    """Four seconds in which the row could go: what does not count is slept through for longer than that."""

    LONG = 4.5

    def stopped(self, pause: tuple[str, ...], resume: tuple[str, ...], restart: bool) -> None:
        api, bureau = self.scene(on_not_found="retry", retry=QUICK | {"give_up_after": "4s"})
        found = [False]
        api.on_track(lambda r: status(404) if r.card == "card-1" and not found[0] else OK)
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        bureau.wait(lambda: bureau.row("card-1")["attempts"] >= 2, "its first attempts")

        def obeyed() -> bool:
            return bureau.cli(*pause).returncode == 0
        bureau.wait(obeyed, "the order")  # a row that is on the wire is not held
        bureau.wait(lambda: not bureau.states().get("sending"), "its answer")
        if restart:
            bureau.stop()
        time.sleep(self.LONG)
        if restart:
            bureau.start()
        self.assertIn(bureau.row("card-1")["state"], ("queued", "held"))
        attempts = bureau.row("card-1")["attempts"]
        self.do(bureau, *resume)
        bureau.wait(lambda: bureau.row("card-1")["attempts"] > attempts, "another attempt")
        found[0] = True
        bureau.wait_row("card-1", "accepted")
        bureau.stop()
        self.sound(bureau)

    def test_a_pause_a_hold_and_the_time_between_two_runs_do_not_count(self) -> None:
        ways: dict[str, tuple[tuple[str, ...], tuple[str, ...], bool]] = {
            "endpoint": (("pause", "bankfr"), ("resume", "bankfr"), False),
            "manifest": (("pause", "--manifest", "1"), ("resume", "--manifest", "1"), False),
            "row": (("hold", "--row", "1"), ("release", "--row", "1"), False),
            "runs": (("pause", "bankfr"), ("resume", "bankfr"), True),
        }
        with ThreadPoolExecutor(len(ways)) as pool:  # they sleep
            done = {name: pool.submit(self.stopped, *way) for name, way in ways.items()}
        for name, one in done.items():
            with self.subTest(name):
                one.result()

    def test_an_outage_expires_nothing(self) -> None:
        api, bureau = self.scene(retry=QUICK | {"give_up_after": "4s"})
        api.outage(503)
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(50)]))
        bureau.start()
        bureau.wait_endpoint("paused", "outage")
        time.sleep(self.LONG)
        bureau.stop()
        bureau.start()
        bureau.wait_endpoint("paused", "outage")
        api.outage()
        bureau.wait_states(accepted=50)
        bureau.stop()
        self.sound(bureau)

    def test_the_time_behind_an_earlier_row_of_its_card_does_not_count(self) -> None:
        api, bureau = self.scene(on_not_found="retry", retry=QUICK | {"give_up_after": "4s"})
        answers = {"PRODUCTION": status(400), "SHIPMENT": status(404)}
        api.on_track(lambda r: answers.get(r.type) if r.card == "card-1" else None)
        bureau.drop("a.csv", Manifest([Row("card-1", kind) for kind in KINDS[:2]]))
        bureau.start()
        bureau.wait(lambda: bureau.row("card-1", "SHIPMENT")["attempts"] >= 2, "its first attempts")
        self.do(bureau, "pause", "bankfr")
        bureau.wait(lambda: not bureau.states().get("sending"), "its answer")
        self.do(bureau, "retry", "--row", "1")
        self.do(bureau, "hold", "--row", "1")
        self.do(bureau, "resume", "bankfr")
        self.assertEqual(bureau.row("card-1", "SHIPMENT")["waits_for"], "row 1")
        time.sleep(self.LONG)
        attempts = bureau.row("card-1", "SHIPMENT")["attempts"]
        answers["PRODUCTION"] = OK
        self.do(bureau, "release", "--row", "1")
        bureau.wait_row("card-1", "accepted", kind="PRODUCTION")
        bureau.wait(lambda: bureau.row("card-1", "SHIPMENT")["attempts"] > attempts, "another attempt")
        answers["SHIPMENT"] = OK
        bureau.wait_row("card-1", "accepted", kind="SHIPMENT")
        bureau.stop()
        self.sound(bureau)

    def test_the_time_in_doubt_does_not_count(self) -> None:
        api, bureau = self.scene(on_not_found="retry", retry=QUICK | {"give_up_after": "4s"})
        answers = [status(404), lost("lost", "drop"), status(404)]
        api.on_track(lambda r: answers.pop(0) if answers else OK)
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        bureau.wait_row("card-1", "in_doubt")
        time.sleep(self.LONG)
        self.do(bureau, "resolve", "--resend", "--row", "1", "--reason", "asked")
        bureau.wait_row("card-1", "accepted")
        bureau.stop()
        self.assertEqual(bureau.row("card-1")["attempts"], 4)
        self.sound(bureau)


if __name__ == "__main__":
    unittest.main()
