"""What an answer does: each line of the product's answer table (section 5), seen from outside."""

from __future__ import annotations

import time
import unittest
from collections.abc import Sequence

import behaviours
import manifests
import oracles
import pki
from behaviours import OK, Behaviour, lost, status
from harness import Bureau, seconds_of
from ledger import Request
from scripted_api import ScriptedApi

QUICK = {"first": "20ms", "most": "200ms"}


class Scene(unittest.TestCase):
    """An API and a bureau for one test."""

    def scene(self, **changes: object) -> Bureau:
        api = ScriptedApi().start()
        self.addCleanup(api.stop)
        bureau = Bureau(api, **changes)  # type: ignore[arg-type]
        self.addCleanup(bureau.close)
        return bureau

    @staticmethod
    def api_of(bureau: Bureau) -> ScriptedApi:
        assert bureau.api
        return bureau.api

    def sound(self, bureau: Bureau, twice: Sequence[manifests.Event] = ()) -> None:
        self.assertEqual(oracles.all_of(bureau, twice=twice), [])


class EachAnswerTest(unittest.TestCase):
    """One run of one manifest in which every row is answered differently."""

    REFUSED = ("h400", "nf", "h405", "h409", "h410", "h413", "h415", "h418", "h422", "h451", "product", "h500", "longcode", "oddcode")
    IN_DOUBT = ("h408", "h502", "h504", "h501", "h505", "h599", "h200", "h201", "h204", "h206",
                "close", "drop", "reset", "hang", "hangstatus", "cutstatus", "i100close", "garbage", "h09", "early")
    ACCEPTED_WITHOUT_ID = ("noid", "nullid", "numid", "badid", "longid", "badjson", "empty", "html", "deep", "huge", "gzip", "barelf",
                           "noreason", "badlength", "badchunk", "tooshort", "bighead", "cuthead", "cutbody", "resetbody", "hangbody")
    ACCEPTED = ("ok", "slow", "drip", "i100", "i103", "lastone", "chunked", "nolength", "http10", "moreids", "plain")

    api: ScriptedApi
    bureau: Bureau

    @classmethod
    def setUpClass(cls) -> None:
        cls.api = ScriptedApi().start()
        cls.addClassCleanup(cls.api.stop)
        cls.bureau = Bureau(cls.api, endpoint={"timeout": "2s", "retry": QUICK})
        cls.addClassCleanup(cls.bureau.close)
        # A good row after each odd one, so that neither the endpoint nor the manifest is paused.
        names = [*cls.REFUSED, *cls.IN_DOUBT, *cls.ACCEPTED_WITHOUT_ID, *cls.ACCEPTED]
        cls.bureau.drop("all.csv", manifests.cards(card for name in names for card in (f"{name}-1", f"good-{name}")))
        cls.bureau.start()
        cls.bureau.wait(cls.bureau.at_rest, "the end of it", 30)
        cls.bureau.stop()

    def state(self, name: str, expected: str) -> None:
        self.assertEqual(self.bureau.row(f"{name}-1")["state"], expected)

    def test_accepted_rows_have_their_operation_id(self) -> None:
        for name in self.ACCEPTED:
            with self.subTest(name):
                self.state(name, "accepted")
                self.assertEqual(self.bureau.row(f"{name}-1")["operation_id"], self.api.of_card(f"{name}-1")[0].operationId)

    def test_202_without_a_usable_id_is_accepted_and_says_so(self) -> None:
        for name in self.ACCEPTED_WITHOUT_ID:
            with self.subTest(name):
                row = self.bureau.row(f"{name}-1")
                self.assertEqual((row["state"], row["operation_id"] or ""), ("accepted", ""))
                self.assertTrue(row["detail"])

    def test_refusals_refuse(self) -> None:
        for name in self.REFUSED:
            with self.subTest(name):
                self.state(name, "refused")

    def test_a_refusal_keeps_status_and_code(self) -> None:
        for name, code in (("h400", "FIELD_INVALID_VALUE"), ("product", "OPERATION_NOT_ALLOWED"), ("h500", "INTERNAL_ERROR")):
            with self.subTest(name):
                row = self.bureau.row(f"{name}-1")
                self.assertEqual((row["http_status"], row["error_code"]), (self.api.of_card(f"{name}-1")[0].status, code))

    def test_unknown_outcomes_are_in_doubt(self) -> None:
        for name in self.IN_DOUBT:
            with self.subTest(name):
                self.state(name, "in_doubt")

    def test_each_row_was_sent_once(self) -> None:
        # early- is cut off before its body was read: where that was noticed before the body was handed over, it is sent again.
        sent = {row["card_id"]: row["attempts"] for row in self.bureau.rows("card_id <> 'early-1'") if row["attempts"] != 1}
        self.assertEqual(sent, {})

    def test_the_rows_between_were_all_accepted(self) -> None:
        self.assertEqual(self.bureau.rows("card_id LIKE 'good-%' AND state <> 'accepted'"), [])

    def test_requests_are_what_the_manifest_says(self) -> None:
        self.assertEqual(self.api.bad, [])

    def test_the_ledgers_agree(self) -> None:
        self.assertEqual(oracles.all_of(self.bureau), [])


class BackTest(unittest.TestCase):
    """Answers after which D1 has done nothing: the same row goes again by itself."""

    NAMES = ("stale", "busy", "rate", "junkafter", "pastafter", "negafter")

    api: ScriptedApi
    bureau: Bureau

    @classmethod
    def setUpClass(cls) -> None:
        cls.api = ScriptedApi().start()
        cls.addClassCleanup(cls.api.stop)
        cls.bureau = Bureau(cls.api, endpoint={"concurrency": 1, "retry": QUICK})
        cls.addClassCleanup(cls.bureau.close)
        names = (*cls.NAMES, "longafter")
        cls.bureau.drop("back.csv", manifests.cards(["good-0", *(card for name in names for card in (f"{name}-1", f"good-{name}"))]))
        cls.bureau.start()
        cls.bureau.wait_states(queued=1, sending=0, accepted=2 * len(names))
        cls.bureau.stop()

    def waited(self, card: str) -> float:
        first, second = self.api.of_card(card)
        return second.t - first.t

    def test_each_is_accepted_at_the_second_attempt(self) -> None:
        for name in self.NAMES:
            with self.subTest(name):
                row = self.bureau.row(f"{name}-1")
                self.assertEqual((row["state"], row["attempts"]), ("accepted", 2))
                self.assertEqual([a["outcome"] for a in self.bureau.attempts(row["row_id"])], ["back", "accepted"])

    def test_401_brings_one_new_token(self) -> None:
        self.assertEqual(len(self.api.token_requests), 2)

    def test_retry_after_in_seconds_is_waited_for(self) -> None:
        self.assertGreaterEqual(self.waited("busy-1"), 0.95)

    def test_retry_after_as_a_date_is_waited_for(self) -> None:
        first, second = self.api.of_card("rate-1")
        self.assertGreaterEqual(second.t, int(first.t + 1.5) - 0.05)  # the date has whole seconds

    def test_a_retry_after_that_is_none_falls_back_to_the_own_back_off(self) -> None:
        for name in ("junkafter", "pastafter", "negafter"):
            with self.subTest(name):
                self.assertLess(self.waited(f"{name}-1"), 3)

    def test_retry_after_is_at_most_one_hour(self) -> None:
        row = self.bureau.row("longafter-1")
        wait = seconds_of(row["next_attempt_at"]) - self.api.of_card("longafter-1")[0].t
        self.assertTrue(row["state"] == "queued" and 3590 < wait < 3660, (row["state"], wait))

    def test_the_ledgers_agree(self) -> None:
        self.assertEqual(oracles.all_of(self.bureau), [])


class EndpointTest(Scene):
    """Answers that are about us and not about the row."""

    def paused(self, bureau: Bureau, reason: str, rows: int) -> None:
        """The endpoint is paused for that reason, and no row paid for it."""
        def there() -> bool:
            one = bureau.endpoint()
            return one["state"] in ("paused", "probing") and one["reason"] == reason
        bureau.wait(there, f"a pause for {reason}")
        states = bureau.states()
        self.assertEqual(states.get("queued", 0) + states.get("sending", 0) + states.get("accepted", 0), rows, states)

    def recovers(self, bureau: Bureau, accepted: int) -> None:
        bureau.wait_states(accepted=accepted)
        bureau.wait_endpoint("open")
        bureau.stop()
        self.sound(bureau)

    def test_401_on_a_fresh_token_for_two_cards_pauses_with_credentials(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 1})
        api = self.api_of(bureau)
        api.outage(401)
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(4)]))
        bureau.start()
        self.paused(bureau, "credentials", 4)
        api.outage()
        self.recovers(bureau, 4)

    def test_a_storm_of_401_costs_one_token(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 8})
        api = self.api_of(bureau)
        bureau.drop("a.csv", manifests.cards(["card-0"]))
        bureau.start()
        bureau.wait_manifest("a.csv")
        api.revoke_all_tokens()
        api.delay = 0.1  # so that all eight have the old token
        bureau.drop("b.csv", manifests.cards([f"card-{i}" for i in range(1, 30)]))
        bureau.wait_manifest("b.csv")
        bureau.stop()
        self.assertEqual(len(api.token_requests), 2)
        self.sound(bureau)

    def test_403_for_three_cards_running_pauses_with_credentials(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 1})
        api = self.api_of(bureau)
        api.outage(403)
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(5)]))
        bureau.start()
        self.paused(bureau, "credentials", 5)
        api.outage()
        self.recovers(bureau, 5)

    def test_403_for_one_card_alone_refuses_it_the_fifth_time(self) -> None:
        bureau = self.scene(endpoint={"rate": 40, "retry": {"first": "20ms", "most": "100ms"}})
        bureau.drop("a.csv", manifests.cards(["forbid-1", *(f"card-{i}" for i in range(80))]))
        bureau.start()
        row = bureau.wait_row("forbid-1", "refused")
        bureau.stop()
        self.assertEqual((row["attempts"], row["http_status"], row["error_code"]), (5, 403, "AUTHORIZER_FORBIDDEN"))

    def test_503_repeated_pauses_and_one_row_probes(self) -> None:
        bureau = self.scene(endpoint={"retry": {"first": "300ms", "most": "300ms"}})
        api = self.api_of(bureau)
        api.outage(503)
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(30)]))
        bureau.start()
        self.paused(bureau, "outage", 30)
        bureau.wait(lambda: api.in_flight == 0, "the end of what was in flight")
        before, begun = len(api.requests), time.monotonic()
        bureau.wait(lambda: len(api.requests) >= before + 3, "probes")
        probes = api.requests[before:before + 3]
        self.assertGreater(time.monotonic() - begun, 0.01)
        self.assertEqual(len({r.card for r in probes}), 3)  # another card each time
        api.outage()
        self.recovers(bureau, 30)

    def test_retry_after_binds_the_paused_endpoint(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 1, "retry": QUICK})
        api = self.api_of(bureau)
        api.outage(503, "1")
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(10)]))
        bureau.start()
        self.paused(bureau, "outage", 10)
        last = api.requests[-1].t
        n = len(api.requests)
        api.outage()
        bureau.wait(lambda: len(api.requests) > n, "a probe")
        self.assertGreaterEqual(api.requests[n].t - last, 0.95)

    def test_broken_answers_repeated_pause_with_back_off(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 1, "retry": {"first": "30s", "most": "30s"}})
        api = self.api_of(bureau)
        for i, answer in enumerate((status(502), lost("drop", "drop"), status(408), status(504), status(201))):
            api.on_track(lambda r, i=i, answer=answer: answer if r.card == f"card-{i}" else None)  # type: ignore[misc]
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(8)]))
        bureau.start()
        bureau.wait_endpoint("paused", "outage")
        bureau.stop()
        self.assertEqual(bureau.states(), {"in_doubt": 5, "queued": 3})
        self.sound(bureau)

    def test_407_pauses_with_proxy(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        api.outage(407)
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        self.paused(bureau, "proxy", 1)
        api.outage()
        self.recovers(bureau, 1)

    def test_a_redirect_pauses_and_is_never_followed(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        elsewhere = ScriptedApi().start()
        self.addCleanup(elsewhere.stop)
        for code in (301, 302, 303, 307, 308):
            api.outage(behaviour=status(code, headers=(("Location", f"{elsewhere.url}/"),)))
            bureau.drop(f"{code}.csv", manifests.cards([f"card-{code}"]))
            if not bureau.daemon:
                bureau.start()
            with self.subTest(code):
                bureau.wait(lambda: any(r.status == code for r in api.requests), "the redirect")
                bureau.wait(lambda: bureau.endpoint()["reason"] == "redirect", "the pause")
            api.outage()
            bureau.wait_manifest(f"{code}.csv")
        self.assertEqual(elsewhere.connections, 0)
        self.recovers(bureau, 5)

    def test_a_refused_connection_costs_nothing(self) -> None:
        bureau = self.scene(endpoint={"retry": QUICK})
        api = self.api_of(bureau)
        api.set_down(True)
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(3)]))
        bureau.start()
        self.paused(bureau, "outage", 3)
        api.set_down(False)
        self.recovers(bureau, 3)
        self.assertEqual([len(api.of_card(f"card-{i}")) for i in range(3)], [1, 1, 1])

    def test_a_handshake_that_fails_puts_the_row_back(self) -> None:
        for how in ("close", "reset", "garbage", "hang"):
            with self.subTest(how):
                bureau = self.scene(endpoint={"connect_timeout": "1s", "retry": QUICK})
                api = self.api_of(bureau)
                bureau.drop("a.csv", manifests.cards(["card-1"]))
                bureau.start()
                bureau.wait_manifest("a.csv")  # so that there is a token
                api.accepting = how  # type: ignore[assignment]
                api.end_idle_connections()
                bureau.drop("b.csv", manifests.cards(["card-2"]))
                bureau.wait(lambda: len(api.refused_handshakes) >= 2, "handshakes")
                self.assertEqual(bureau.row("card-2")["state"] in ("queued", "sending"), True)
                api.accepting = "serve"
                api.drop_connections()
                self.recovers(bureau, 2)

    def test_certificate_problems_pause_with_certificate(self) -> None:
        bureau = self.scene(endpoint={"retry": QUICK})
        api = self.api_of(bureau)
        for i, name in enumerate(("expired-server", "wrong-host-server", "other-server")):
            with self.subTest(name):
                api.swap_certificate(name)
                bureau.drop(f"{name}.csv", manifests.cards([f"card-{i}"]))
                if not bureau.daemon:
                    bureau.start()
                self.paused(bureau, "certificate", i + 1)
                api.swap_certificate("server")
                bureau.wait_manifest(f"{name}.csv")
        self.recovers(bureau, 3)

    def test_a_client_certificate_that_is_refused_pauses_with_certificate(self) -> None:
        keys = pki.shared()
        bureau = self.scene(endpoint={"tls": {"certificate": str(keys / "other-client.pem"), "key": str(keys / "other-client.key")}})
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        self.paused(bureau, "certificate", 1)
        self.assertEqual(self.api_of(bureau).requests, [])


class TokenEndpointTest(Scene):
    def pauses(self, names: Sequence[str], reason: str) -> None:
        bureau = self.scene(endpoint={"timeout": "1s", "retry": QUICK})
        api = self.api_of(bureau)
        for i, name in enumerate(names):
            with self.subTest(name):
                api.revoke_all_tokens()
                api.set_token_behaviour(name)
                bureau.drop(f"{i}.csv", manifests.cards([f"card-{i}"]))
                if not bureau.daemon:
                    bureau.start()
                bureau.wait(lambda: bureau.endpoint()["reason"] == reason, f"a pause for {reason}")
                self.assertIn(bureau.row(f"card-{i}")["state"], ("queued", "sending"))
                api.set_token_behaviour("ok")
                bureau.wait_manifest(f"{i}.csv")
        bureau.stop()
        self.sound(bureau)

    def test_400_401_403_pause_with_credentials(self) -> None:
        self.pauses(("400", "401", "403", "invalid_grant"), "credentials")

    def test_a_redirect_pauses_with_redirect(self) -> None:
        self.pauses(("redirect",), "redirect")

    def test_all_else_that_is_no_token_pauses_with_outage(self) -> None:
        self.pauses(("404", "429", "500", "503", "204", "garbage", "html", "empty", "no_token", "null_token", "spaced_token", "huge",
                     "close", "reset", "cut"), "outage")

    def test_a_token_endpoint_that_hangs_pauses_with_outage(self) -> None:
        self.pauses(("hang",), "outage")

    def test_odd_but_usable_tokens_are_used(self) -> None:
        bureau = self.scene(endpoint={"retry": QUICK})
        api = self.api_of(bureau)
        for i, name in enumerate(("no_expires", "string_expires", "fraction_expires", "endless_expires", "more", "slow")):
            with self.subTest(name):
                api.revoke_all_tokens()
                api.set_token_behaviour(name)
                bureau.drop(f"{i}.csv", manifests.cards([f"card-{i}"]))
                if not bureau.daemon:
                    bureau.start()
                bureau.wait_manifest(f"{i}.csv")
        bureau.stop()
        self.sound(bureau)

    def test_a_token_is_used_again_until_it_expires(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(300))
        bureau.start()
        bureau.wait_manifest("a.csv")
        bureau.stop()
        self.assertEqual(len(self.api_of(bureau).token_requests), 1)


class PolicyTest(Scene):
    def test_an_unknown_outcome_is_sent_again_where_the_operator_says_so(self) -> None:
        bureau = self.scene(endpoint={"on_unknown_outcome": "resend", "retry": QUICK})
        answers: list[Behaviour] = [lost("drop", "drop"), status(502), status(201), OK]
        self.api_of(bureau).on_track(lambda r: answers[min(r.of_card, 3)])
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        row = bureau.wait_row("card-1", "accepted")
        bureau.stop()
        self.assertEqual(row["attempts"], 4)
        self.sound(bureau, twice=[("card-1", "SHIPMENT")])

    def test_404_is_tried_again_where_the_operator_says_so(self) -> None:
        bureau = self.scene(endpoint={"on_not_found": "retry", "retry": QUICK})
        self.api_of(bureau).on_track(lambda r: status(404) if r.of_card < 3 else None)
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        row = bureau.wait_row("card-1", "accepted")
        bureau.stop()
        self.assertEqual(row["attempts"], 4)

    def test_what_is_not_accepted_in_time_expires(self) -> None:
        bureau = self.scene(endpoint={"on_not_found": "retry", "retry": QUICK | {"give_up_after": "1s"}})
        bureau.drop("a.csv", manifests.cards(["nf-1"]))
        bureau.start()
        row = bureau.wait_row("nf-1", "expired")
        bureau.stop()
        self.assertGreater(row["attempts"], 1)

    def test_twenty_equal_refusals_running_pause_the_manifest(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 1})
        bureau.drop("a.csv", manifests.cards([f"h400-{i}" for i in range(25)]))
        bureau.drop("b.csv", manifests.cards(["card-1"]))
        bureau.start()
        bureau.wait(lambda: bureau.manifest("a.csv")["paused"] == "refusals", "the manifest's pause")
        bureau.wait_manifest("b.csv")
        bureau.stop()
        self.assertEqual((bureau.manifest("a.csv")["refused"], bureau.manifest("a.csv")["queued"]), (20, 5))

    def test_refusals_of_different_kinds_do_not_pause_the_manifest(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 1})
        bureau.drop("a.csv", manifests.cards([f"{'h400' if i % 2 else 'nf'}-{i}" for i in range(40)]))
        bureau.start()
        bureau.wait_manifest("a.csv")
        self.assertEqual(bureau.manifest("a.csv")["refused"], 40)


class TransportTest(Scene):
    """Once the last byte of the body was handed over, only a complete status line keeps a row out of doubt."""

    def test_a_kept_connection_that_breaks_is_not_sent_again_by_the_library(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 1, "retry": QUICK})
        bureau.drop("a.csv", manifests.cards(["card-1", "reuse-1", "card-2"]))
        bureau.start()
        bureau.wait_row("reuse-1", "in_doubt")
        bureau.wait_row("card-2", "accepted")
        bureau.stop()
        self.assertEqual(len(self.api_of(bureau).of_card("reuse-1")), 1)
        self.sound(bureau)

    def test_a_break_with_the_server_gone_afterwards_is_in_doubt_too(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 1})
        api = self.api_of(bureau)

        def read_then_gone(request: Request) -> Behaviour | None:
            if request.card != "card-2":
                return None
            api.set_down(True)
            return lost("gone", "drop")
        api.on_track(read_then_gone)
        bureau.drop("a.csv", manifests.cards(["card-1", "card-2"]))
        bureau.start()
        bureau.wait_row("card-2", "in_doubt")
        bureau.stop()
        self.assertEqual(len(api.of_card("card-2")), 1)
        self.sound(bureau)

    def test_an_answer_cut_at_any_byte_is_judged_by_its_status_line(self) -> None:
        bureau = self.scene(endpoint={"concurrency": 4, "retry": {"first": "10ms", "most": "10ms"}})
        api = self.api_of(bureau)
        whole = OK.answer("x" * 32, "d" * 29)
        line = whole.index(b"\r\n") + 2

        def cut(request: Request) -> Behaviour | None:
            prefix, _, size = request.card.partition("-")
            return lost("cut", "drop", int(size)) if prefix == "cut" else None
        api.on_track(cut)
        sizes = [*range(line + 3), *range(line + 3, len(whole), 9)]
        bureau.drop("a.csv", manifests.cards(card for size in sizes for card in (f"cut-{size}", f"card-{size}")))
        bureau.start()
        bureau.wait(bureau.at_rest, "the end of it", 20)
        bureau.stop()
        for size in sizes:
            if line - 2 <= size < line:
                continue  # whether a status line without its end is complete is the library's affair
            with self.subTest(size):
                self.assertEqual(bureau.row(f"cut-{size}")["state"], "accepted" if size >= line else "in_doubt")
        self.sound(bureau)


if __name__ == "__main__":
    unittest.main()
