"""What happens on the wire, and what becomes of the row (HTTP/1.1): state, attempts, requests that the API read, and the record of each
attempt. A row is in doubt if and only if its whole request was handed over and no complete status line came back."""

from __future__ import annotations

import re
import shutil
import ssl
import tempfile
import time
import unittest
from pathlib import Path

import behaviours
import manifests
import oracles
import pki
from behaviours import OK, Behaviour, lost, status
from harness import Bureau, View, seconds_of
from ledger import Request
from relay import black_hole
from scripted_api import ScriptedApi

CORRELATION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
QUICK = {"first": "20ms", "most": "200ms"}
NOT_WHOLE, WHOLE = "the request was not sent whole", "no answer after the whole request was sent"
TIMEOUT = 2.0

BUSY = (status(503, "busy", cut="head", end="drop"), OK)

# What the API does with a request that it has read: its n-th request gets the n-th behaviour, later ones the last.
READ: dict[str, tuple[Behaviour, ...]] = {
    "close": behaviours.CARDS["close"],
    "drop": behaviours.CARDS["drop"],
    "reset": behaviours.CARDS["reset"],
    "hang": behaviours.CARDS["hang"],
    "interim": behaviours.CARDS["i100close"],
    **{f"{end}-{at}": (lost(f"{end}-{at}", end, at),)  # type: ignore[arg-type]
       for end in ("drop", "reset", "hang") for at in ("status", "head", "body")},
    "refused": (status(400, "refused", cut="body", end="reset"),),
    "broken": (status(502, "broken", cut="head", end="drop"),),
}


class TableTest(unittest.TestCase):
    """One run with one request at a time: each case on a new connection, and on one that a good request has used before."""

    api: ScriptedApi
    bureau: Bureau
    begun: float
    ended: float

    @classmethod
    def setUpClass(cls) -> None:
        cls.api = ScriptedApi().start()
        cls.addClassCleanup(cls.api.stop)
        cls.api.on_track(cls.scripted)
        cls.bureau = Bureau(cls.api, endpoint={"concurrency": 1, "timeout": f"{TIMEOUT:.0f}s", "retry": QUICK})
        cls.addClassCleanup(cls.bureau.close)
        cards = []
        # Last those that are sent again: that could come between a case and the row before it.
        for name in (*READ, "headlate", "lastone", "busy", "headclose", "headreset"):
            cards += [f"lastone-{name}", f"{name}-new", f"good-{name}", f"{name}-kept"]
        cls.begun = time.time()
        cls.bureau.drop("all.csv", manifests.cards([*cards, "good"]))
        cls.bureau.start()
        cls.bureau.wait(cls.bureau.at_rest, "the end of it", 60)
        cls.bureau.stop()
        cls.ended = time.time()

    @staticmethod
    def scripted(request: Request) -> Behaviour | None:
        name = request.card.rpartition("-")[0]
        plan = BUSY if name == "busy" else READ.get(name)
        return plan[min(request.of_card, len(plan) - 1)] if plan else None

    def attempts(self, row: View) -> list[View]:
        """A row's attempts, after what holds for all of them was looked at."""
        found = self.bureau.attempts(row["row_id"])
        self.assertEqual([a["attempt"] for a in found], list(range(1, row["attempts"] + 1)))
        last = found[-1]
        for column in ("correlation_id", "http_status", "error_code", "detail", "finished_at"):
            self.assertEqual(row[column], last[column], column)
        self.assertEqual(row["sent_at"], last["started_at"])
        before = self.begun
        for attempt in found:
            self.assertRegex(attempt["correlation_id"], CORRELATION_ID)
            started, finished = seconds_of(attempt["started_at"]), seconds_of(attempt["finished_at"])
            self.assertTrue(before - 0.01 <= started <= finished <= self.ended, (before, attempt))
            before = finished
        return found

    def each(self, name: str, state: str, outcomes: tuple[str, ...], http_status: int | None, detail: str, requests: int | None = None,
             least: float = 0.0) -> None:
        """Both rows of a case. The last attempt has that status and detail, and took at least so long; requests: one for each attempt."""
        for where in ("new", "kept"):
            with self.subTest(where):
                card = f"{name}-{where}"
                row = self.bureau.row(card)
                attempts = self.attempts(row)
                self.assertEqual((row["state"], tuple(a["outcome"] for a in attempts)), (state, outcomes), attempts)
                self.assertEqual(row["http_status"], http_status)
                self.assertTrue((row["detail"] or "").startswith(detail) if detail else not row["detail"], row["detail"])
                self.assertGreaterEqual(seconds_of(row["finished_at"]) - seconds_of(row["sent_at"]), least - 0.05)
                read = self.api.of_card(card)
                self.assertEqual(len(read), len(outcomes) if requests is None else requests)
                if read:
                    if name != "busy":
                        self.assertEqual(read[0].nth == 1, where == "new")
                    self.assertEqual([r.correlation for r in read], [a["correlation_id"] for a in attempts][-len(read):])

    def in_doubt(self, name: str, least: float = 0.0) -> None:
        self.each(name, "in_doubt", ("in_doubt",), None, WHOLE, least=least)

    def accepted_without_id(self, name: str, least: float = 0.0) -> None:
        self.each(name, "accepted", ("accepted",), 202, "accepted without an operationId", least=least)

    def unread(self, name: str) -> None:
        """The API read the head alone. Whether libcurl handed the body over before it saw the end is chance; the row follows from it. Where
        it did not, and the connection had been used before, it may send the head again by itself, on a new one."""
        for where in ("new", "kept"):
            with self.subTest(where):
                card = f"{name}-{where}"
                row = self.bureau.row(card)
                attempts = self.attempts(row)
                self.assertIn(card, self.api.unread)
                detail = attempts[0]["detail"] or ""
                if where == "kept" and attempts[0]["outcome"] == "accepted":
                    self.assertEqual((row["attempts"], [r.nth for r in self.api.of_card(card)]), (1, [1]))
                elif detail.startswith(WHOLE):
                    self.assertEqual((row["state"], row["attempts"], attempts[0]["outcome"]), ("in_doubt", 1, "in_doubt"))
                    self.assertEqual(self.api.of_card(card), [])
                else:
                    self.assertTrue(detail.startswith(NOT_WHOLE), attempts)
                    self.assertEqual((row["state"], [a["outcome"] for a in attempts]), ("accepted", ["back", "accepted"]))
                    self.assertEqual(len(self.api.of_card(card)), 1)

    # -- the connection ends before the API has read the body

    def test_closed_before_the_body_was_read(self) -> None:
        self.unread("headclose")

    def test_reset_before_the_body_was_read(self) -> None:
        self.unread("headreset")

    def test_closed_unread_after_the_body_was_handed_over_is_in_doubt(self) -> None:
        self.each("headlate", "in_doubt", ("in_doubt",), None, WHOLE, requests=0)

    # -- after it has, without an answer

    def test_closed_after_reading_is_in_doubt(self) -> None:
        self.in_doubt("close")

    def test_closed_after_reading_without_close_notify_is_in_doubt(self) -> None:
        self.in_doubt("drop")

    def test_reset_after_reading_is_in_doubt(self) -> None:
        self.in_doubt("reset")

    def test_a_time_out_after_the_whole_send_is_in_doubt(self) -> None:
        self.in_doubt("hang", least=TIMEOUT)

    def test_an_interim_answer_alone_is_none(self) -> None:
        self.in_doubt("interim")

    # -- in the answer

    def test_cut_in_mid_status_is_in_doubt(self) -> None:
        self.in_doubt("drop-status")

    def test_reset_in_mid_status_is_in_doubt(self) -> None:
        self.in_doubt("reset-status")

    def test_a_time_out_in_mid_status_is_in_doubt(self) -> None:
        self.in_doubt("hang-status", least=TIMEOUT)

    def test_cut_in_mid_header_is_judged_by_the_status_line(self) -> None:
        self.accepted_without_id("drop-head")

    def test_reset_in_mid_header_is_judged_by_the_status_line(self) -> None:
        self.accepted_without_id("reset-head")

    def test_a_time_out_in_mid_header_is_judged_by_the_status_line(self) -> None:
        self.accepted_without_id("hang-head", least=TIMEOUT)

    def test_cut_in_mid_body_is_judged_by_the_status_line(self) -> None:
        self.accepted_without_id("drop-body")

    def test_reset_in_mid_body_is_judged_by_the_status_line(self) -> None:
        self.accepted_without_id("reset-body")

    def test_a_time_out_in_mid_body_is_judged_by_the_status_line(self) -> None:
        self.accepted_without_id("hang-body", least=TIMEOUT)

    def test_a_503_that_is_cut_puts_the_row_back(self) -> None:
        self.each("busy", "accepted", ("back", "accepted"), 202, "")
        for card in ("busy-new", "busy-kept"):
            self.assertEqual(self.bureau.attempts(self.bureau.row(card)["row_id"])[0]["http_status"], 503)

    def test_a_400_whose_body_is_cut_refuses(self) -> None:
        self.each("refused", "refused", ("refused",), 400, "the answer's body is not D1's JSON")

    def test_a_502_that_is_cut_is_in_doubt(self) -> None:
        self.each("broken", "in_doubt", ("in_doubt",), 502, "status 502 after the whole request was sent")

    # -- all of them

    def test_a_connection_that_is_announced_to_end_is_not_used_again(self) -> None:
        self.each("lastone", "accepted", ("accepted",), 202, "")

    def test_all_other_rows_were_accepted_at_once(self) -> None:
        others = "(card_id LIKE 'good%' OR card_id LIKE 'lastone-%')"
        self.assertEqual(self.bureau.rows(f"{others} AND (state <> 'accepted' OR attempts <> 1)"), [])

    def test_the_ledgers_agree(self) -> None:
        self.assertEqual(oracles.all_of(self.bureau), [])


class Scene(unittest.TestCase):
    """What needs the whole server, in a run of its own: first a good row, so that there is a token and a kept connection."""

    def scene(self, **changes: object) -> tuple[Bureau, ScriptedApi]:
        api = ScriptedApi().start()
        self.addCleanup(api.stop)
        bureau = Bureau(api, endpoint={"concurrency": 1, "retry": QUICK} | changes)
        self.addCleanup(bureau.close)
        bureau.drop("first.csv", manifests.cards(["first"]))
        bureau.start()
        bureau.wait_manifest("first.csv")
        return bureau, api

    def first_attempt(self, bureau: Bureau, card: str) -> View:
        """Of a row, once it is recorded."""
        def there() -> View | None:
            found = [a for a in bureau.attempts(bureau.row(card)["row_id"]) if a["finished_at"]]
            return found[0] if found else None
        found = bureau.wait(there, f"an attempt of {card}")
        assert found
        return found

    def was_not_sent(self, bureau: Bureau, card: str) -> None:
        attempt = self.first_attempt(bureau, card)
        self.assertEqual((attempt["outcome"], attempt["http_status"]), ("back", None))
        self.assertTrue(attempt["detail"].startswith(NOT_WHOLE), attempt)

    def ends_accepted(self, bureau: Bureau, api: ScriptedApi, card: str, attempts: int | None = None) -> None:
        """With one request read, whatever was tried before."""
        row = bureau.wait_row(card, "accepted")
        bureau.stop()
        self.assertEqual([r.correlation for r in api.of_card(card)], [row["correlation_id"]])
        if attempts:
            self.assertEqual(row["attempts"], attempts)
        else:
            self.assertGreater(row["attempts"], 1)
            self.assertEqual({a["outcome"] for a in bureau.attempts(row["row_id"])[:-1]}, {"back"})
        self.assertEqual(oracles.all_of(bureau), [])


class ConnectionTest(Scene):
    def test_a_kept_connection_that_ended_meanwhile_costs_nothing(self) -> None:
        bureau, api = self.scene()
        bureau.wait(api.all_ended, "the end of kept connections")
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        self.ends_accepted(bureau, api, "card-1", attempts=1)
        self.assertEqual(api.of_card("card-1")[0].nth, 1)

    def test_an_end_behind_each_answer_costs_nothing_where_it_is_announced(self) -> None:
        bureau, api = self.scene()
        api.requests_per_connection = 2
        cards = [f"card-{i}" for i in range(20)]
        bureau.drop("a.csv", manifests.cards(cards))
        bureau.wait_manifest("a.csv")
        bureau.stop()
        self.assertEqual([len(api.of_card(card)) for card in cards], [1] * 20)
        self.assertEqual(bureau.rows("state <> 'accepted' OR attempts <> 1"), [])
        self.assertEqual(oracles.all_of(bureau), [])

    def test_an_end_behind_each_answer_that_is_not_announced_doubles_nothing(self) -> None:
        bureau, api = self.scene()
        api.requests_per_connection, api.announce_last = 2, False
        cards = [f"card-{i}" for i in range(20)]
        bureau.drop("a.csv", manifests.cards(cards))
        bureau.wait(lambda: len(bureau.rows()) == 21 and bureau.at_rest(), "the end of it", 20)
        bureau.stop()
        for row in bureau.rows("card_id <> 'first'"):
            self.assertIn(row["state"], ("accepted", "in_doubt"))
            self.assertEqual(len(api.of_card(row["card_id"])), 1 if row["state"] == "accepted" else 0)
        self.assertEqual(oracles.all_of(bureau), [])

    def test_a_kept_connection_with_the_server_gone_afterwards_is_in_doubt_once_it_was_read(self) -> None:
        bureau, api = self.scene()

        def read_then_gone(request: Request) -> Behaviour:
            api.set_down(True)
            return lost("gone", "drop")
        api.on_track(read_then_gone)
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        row = bureau.wait_row("card-1", "in_doubt")
        bureau.stop()
        self.assertTrue(row["detail"].startswith(WHOLE), row)
        self.assertEqual((row["attempts"], len(api.of_card("card-1")), api.of_card("card-1")[0].nth > 1), (1, 1, True))
        self.assertEqual(oracles.all_of(bureau), [])

    def test_a_server_that_went_while_the_connection_was_idle_was_sent_nothing(self) -> None:
        bureau, api = self.scene()
        api.set_down(True)
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        self.was_not_sent(bureau, "card-1")
        api.set_down(False)
        self.ends_accepted(bureau, api, "card-1")

    def test_what_ends_before_or_in_the_handshake_was_not_sent(self) -> None:
        for how in ("close", "reset", "garbage"):
            with self.subTest(how):
                bureau, api = self.scene()
                api.accepting = how  # type: ignore[assignment]
                bureau.wait(api.all_ended, "the end of kept connections")
                bureau.drop("a.csv", manifests.cards(["card-1"]))
                self.was_not_sent(bureau, "card-1")
                api.accepting = "serve"
                self.ends_accepted(bureau, api, "card-1")

    def test_a_time_out_in_the_handshake_was_not_sent(self) -> None:
        bureau, api = self.scene(connect_timeout="500ms")
        api.accepting = "hang"
        bureau.wait(api.all_ended, "the end of kept connections")
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        self.was_not_sent(bureau, "card-1")
        api.accepting = "serve"
        api.drop_connections()
        self.ends_accepted(bureau, api, "card-1")

    def test_a_time_out_while_connecting_was_not_sent(self) -> None:
        with black_hole() as port:
            bureau, api = self.scene(connect_timeout="300ms")
            bureau.stop()
            bureau.config["endpoints"][0]["api_url"] = f"https://localhost:{port}/banking/v1"
            bureau.write_config()
            bureau.start()
            bureau.drop("a.csv", manifests.cards(["card-1"]))
            self.was_not_sent(bureau, "card-1")
            bureau.stop()
            row = bureau.row("card-1")
        self.assertEqual((row["state"], api.of_card("card-1")), ("queued", []))
        self.assertEqual(oracles.all_of(bureau), [])


class AlertTest(Scene):
    """The API refuses the client's certificate by a TLS alert: with TLS 1.2 in the handshake, with 1.3 after it."""

    def setUp(self) -> None:
        self.keys = Path(tempfile.mkdtemp(prefix="tb-keys-"))
        self.addCleanup(shutil.rmtree, self.keys)
        self.put("client")

    def put(self, name: str) -> None:
        for end in ("pem", "key"):
            shutil.copy(pki.shared() / f"{name}.{end}", self.keys / "new")
            (self.keys / "new").rename(self.keys / f"client.{end}")

    def refused(self, newest: ssl.TLSVersion) -> tuple[Bureau, ScriptedApi]:
        bureau, api = self.scene(tls={"certificate": str(self.keys / "client.pem"), "key": str(self.keys / "client.key")})
        self.put("other-client")
        api.limit_tls(newest)
        bureau.wait(api.all_ended, "the end of kept connections")
        bureau.drop("a.csv", manifests.cards(["card-1", "card-2"]))
        bureau.wait(lambda: bureau.endpoint()["reason"] == "certificate", "a pause for the certificate")
        self.put("client")
        return bureau, api

    def test_an_alert_in_the_handshake_came_before_the_request(self) -> None:
        bureau, api = self.refused(ssl.TLSVersion.TLSv1_2)
        self.was_not_sent(bureau, "card-1")
        self.assertIn("alert", self.first_attempt(bureau, "card-1")["detail"])
        bureau.wait_row("card-2", "accepted")
        self.ends_accepted(bureau, api, "card-1")

    def test_an_alert_after_the_handshake_leaves_doubt_if_the_whole_request_was_handed_over(self) -> None:
        bureau, api = self.refused(ssl.TLSVersion.TLSv1_3)
        bureau.wait(lambda: len(bureau.rows()) == 3 and bureau.at_rest(), "the end of it")
        bureau.stop()
        for card in ("card-1", "card-2"):
            row = bureau.row(card)
            attempts = bureau.attempts(row["row_id"])
            refused = [a for a in attempts if a["outcome"] != "accepted"]
            for attempt in refused:
                self.assertRegex(attempt["detail"], f"^({NOT_WHOLE}|{WHOLE}): .*alert")
                self.assertEqual(attempt["outcome"], "in_doubt" if attempt["detail"].startswith(WHOLE) else "back")
            self.assertEqual(row["state"], "in_doubt" if attempts[-1] in refused else "accepted")
            self.assertEqual(len(api.of_card(card)), len(attempts) - len(refused))
        self.assertTrue(any("alert" in (a["detail"] or "") for a in bureau.attempts()))
        self.assertEqual(oracles.all_of(bureau), [])


class RecordTest(unittest.TestCase):
    def test_every_attempt_has_a_correlation_id_of_its_own(self) -> None:
        api = ScriptedApi().start()
        self.addCleanup(api.stop)
        api.on_track(lambda r: status(404) if r.card.endswith("7") and r.of_card == 0 else None)
        bureau = Bureau(api, endpoint={"on_not_found": "retry", "concurrency": 16, "retry": QUICK})
        self.addCleanup(bureau.close)
        bureau.drop("a.csv", manifests.cards(f"card-{i}" for i in range(3000)))
        bureau.start()
        bureau.wait_manifest("a.csv", seconds=60)
        bureau.stop()
        attempts = bureau.attempts()
        ids = [a["correlation_id"] for a in attempts]
        self.assertEqual((len(ids), len(set(ids))), (3300, 3300))
        self.assertEqual([i for i in ids if not CORRELATION_ID.fullmatch(i)], [])
        self.assertEqual(sorted(ids), sorted(r.correlation for r in api.requests))
        # Random: no two in succession begin alike more often than chance has it, and every digit stands everywhere.
        self.assertLess(sum(a[:2] == b[:2] for a, b in zip(ids, ids[1:])), 100)
        self.assertEqual({len({i[at] for i in ids}) for at in range(len(ids[0]))}, {16})
        self.assertEqual(oracles.all_of(bureau, twice=[(f"card-{i}", "SHIPMENT") for i in range(7, 3000, 10)]), [])


if __name__ == "__main__":
    unittest.main()
