"""Sending over HTTP/2: what happens on the wire, what becomes of the row, and how often the API saw it.

Once the read callback has handed out the last byte of the body, only a complete status line keeps a row out of in_doubt. Over HTTP/2 libcurl
asks for the body right behind the headers, whatever the windows allow, so that nearly every fault finds it handed out.
"""

from __future__ import annotations

import unittest
from collections.abc import Sequence
from dataclasses import dataclass

import behaviours
import http2_behaviours
import manifests
import oracles
import pki
import test_answers
from harness import Bureau
from http2 import ERRORS
from scripted_api import ScriptedApi

QUICK = {"first": "20ms", "most": "200ms"}
ACCEPTED, REFUSED, IN_DOUBT = ("accepted",), ("refused",), ("in_doubt",)
EITHER = ("accepted", "in_doubt")


@dataclass(frozen=True)
class Line:
    """A behaviour, and what becomes of the row that meets it."""

    name: str
    states: Sequence[str]  # one of them; several where it hangs on what libcurl takes in first
    reads: int | None = 1  # requests that the API read whole; None: none or one
    attempts: int | None = 1  # None: one, and another for each whose body was not handed out in time


def lines(states: Sequence[str], *names: str, reads: int | None = 1, attempts: int | None = 1) -> tuple[Line, ...]:
    return tuple(Line(name, states, reads, attempts) for name in names)


def unread(states: Sequence[str], *names: str) -> tuple[Line, ...]:
    """The API acts on the head. The body is most often handed out by then; where it is not, the row goes again and meets the same."""
    return lines(states, *names, reads=0, attempts=None)


def with_codes(name: str) -> list[str]:
    """One for each error code, and one that nobody knows."""
    return [f"{name}{code}" for code in range(len(ERRORS) + 1)]


def heads_of(api: ScriptedApi, card: str) -> int:
    """How many requests for a card reached the API, whole or not."""
    return len(api.of_card(card)) + api.unread.count(card) + api.refused_streams.count(card)


class Tables:
    class Table(unittest.TestCase):
        """A run in which every row meets another behaviour, with one request at a time, so that no row pays for another one's fault."""

        TABLE: dict[str, tuple[Line, ...]] = {}
        TIMEOUT = "10s"
        WINDOW = 65535  # bytes of a body that the API lets come before it gives more

        api: ScriptedApi
        bureau: Bureau

        @classmethod
        def setUpClass(cls) -> None:
            cls.api = ScriptedApi(protocols=["h2"]).start()
            cls.addClassCleanup(cls.api.stop)
            cls.api.http2.window = cls.WINDOW
            cls.bureau = Bureau(cls.api, endpoint={"http": 2, "concurrency": 1, "timeout": cls.TIMEOUT, "retry": QUICK})
            cls.addClassCleanup(cls.bureau.close)
            # A good row after each odd one, so that neither the endpoint nor the manifest is paused.
            names = [line.name for group in cls.TABLE.values() for line in group]
            cls.bureau.drop("all.csv", manifests.cards(card for name in names for card in (f"{name}-1", f"good-{name}")))
            cls.bureau.start()
            cls.bureau.wait(cls.bureau.at_rest, "the end of it", 90)
            cls.bureau.stop()

        def holds(self, group: str) -> None:
            for line in self.TABLE[group]:
                with self.subTest(line.name):
                    row = self.bureau.row(f"{line.name}-1")
                    reads = len(self.api.of_card(f"{line.name}-1"))
                    self.assertIn(row["state"], line.states, row)
                    self.assertEqual(reads, min(reads, 1) if line.reads is None else line.reads)
                    self.assertEqual(row["attempts"], line.attempts or row["attempts"])

        def test_each_request_that_reached_the_api_is_an_attempt_on_record(self) -> None:
            for row in self.bureau.rows():
                with self.subTest(row["card_id"]):
                    self.assertLessEqual(heads_of(self.api, row["card_id"]), row["attempts"])

        def test_the_rows_between_were_all_accepted(self) -> None:
            self.assertEqual(self.bureau.rows("card_id LIKE 'good-%' AND state <> 'accepted'"), [])

        def test_the_ledgers_agree(self) -> None:
            self.assertEqual(oracles.all_of(self.bureau), [])


class EachAnswerTest(Tables.Table):
    """The answers that any protocol can give: the same as over HTTP/1.1 (test_answers)."""

    TABLE = {
        "refused": lines(REFUSED, *test_answers.EachAnswerTest.REFUSED),
        "in doubt": lines(IN_DOUBT, "h408", "h502", "h504", "h501", "h505", "h599", "h200", "h201", "h204", "h206"),
        "accepted": lines(ACCEPTED, "ok", "plain", "moreids", "noid", "nullid", "numid", "badid", "longid", "badjson", "empty", "html", "gzip"),
        "back": lines(ACCEPTED, *test_answers.BackTest.NAMES, reads=2, attempts=2),
    }

    def test_refusals_refuse(self) -> None:
        self.holds("refused")

    def test_unknown_outcomes_are_in_doubt(self) -> None:
        self.holds("in doubt")

    def test_202_accepts_with_and_without_a_usable_id(self) -> None:
        self.holds("accepted")

    def test_where_nothing_was_done_the_row_goes_again(self) -> None:
        self.holds("back")


class ConnectionTest(Tables.Table):
    """Connections that end, with and without GOAWAY."""

    TABLE = {
        "read": lines(IN_DOUBT, "close", "drop", "reset", "reuse", "i100close", "nottls"),
        "unread": unread(IN_DOUBT, "early", "unreadclose", "unreaddrop", "unreadreset"),
        "cut": lines(IN_DOUBT, "cutstatus", "cuthead", "halfheaders"),
        "taken in": lines(ACCEPTED, "cutbody", "headersdrop", "headersreset", "headersaway", "noenddrop"),
        "reset at once": lines(EITHER, "resetbody"),
        # GOAWAY says that streams above its number were not served; a server that read one all the same would be believed at our cost.
        "below": lines(IN_DOUBT, "below", "belowcalm"),
        "unread below": unread(IN_DOUBT, "unreadbelow", "unreadbelowcalm"),
        "at": lines(IN_DOUBT, "at", "atcalm"),
        "in good order": lines(ACCEPTED, "atdone", "calmdone", "doneat"),
        "malformed": lines(IN_DOUBT, "frametoolong", "evenstream", "datafirst", "badhpack", "badwindow", "badsettings", "badgoaway", "badrst",
                           "push", "garbage", "h09"),
    }

    def test_one_that_ends_after_the_request_was_read_leaves_it_in_doubt(self) -> None:
        self.holds("read")

    def test_one_that_ends_before_the_request_was_read_leaves_it_in_doubt_once_it_was_handed_over(self) -> None:
        self.holds("unread")

    def test_a_head_of_an_answer_that_is_cut_off_is_none(self) -> None:
        self.holds("cut")

    def test_a_status_that_was_taken_in_decides_whatever_ends_the_connection(self) -> None:
        self.holds("taken in")

    def test_a_tcp_reset_right_behind_the_status_may_take_it_along(self) -> None:
        self.holds("reset at once")

    def test_goaway_below_a_stream_is_no_answer_to_it(self) -> None:
        self.holds("below")
        self.holds("unread below")

    def test_goaway_at_a_stream_and_then_the_end_leaves_it_in_doubt(self) -> None:
        self.holds("at")

    def test_goaway_lets_what_is_under_way_finish(self) -> None:
        self.holds("in good order")

    def test_frames_that_are_not_allowed_end_the_connection_and_leave_the_row_in_doubt(self) -> None:
        self.holds("malformed")


class StreamTest(Tables.Table):
    """Streams that are reset, and answers that are odd, on connections that go on."""

    TABLE = {
        "read": lines(IN_DOUBT, *with_codes("rst"), "i100rst"),
        "unread": unread(IN_DOUBT, *with_codes("rstunread")),
        # In one piece: libcurl drops the headers that it has not handed to us yet.
        "at once": lines(IN_DOUBT, *with_codes("rstafter")),
        "taken in": lines(ACCEPTED, *with_codes("rstlater"), *with_codes("rstwhole")),
        "early": unread(ACCEPTED, "early202", "early202later"),
        "early reset": unread(EITHER, "early202rst") + unread(("refused", "in_doubt"), "early400rst") +
        lines(EITHER, "early503rst", reads=None, attempts=None),
        "odd": lines(ACCEPTED, "trailers", "i100", "i102", "i103", "ping", "settings", "unknownframe", "huge", "deep", "slow", "drip"),
        "malformed": lines(IN_DOUBT, "nostatus", "badstatus", "upper", "connection", "toolong", "bighead"),
    }

    def test_one_that_is_reset_after_the_request_was_read_is_in_doubt_whatever_the_code(self) -> None:
        self.holds("read")

    def test_one_that_is_reset_before_the_request_was_read_is_in_doubt_once_it_was_handed_over(self) -> None:
        self.holds("unread")

    def test_a_status_that_came_in_one_piece_with_the_reset_is_lost(self) -> None:
        self.holds("at once")

    def test_a_status_that_was_taken_in_before_the_reset_decides(self) -> None:
        self.holds("taken in")

    def test_an_answer_before_the_body_was_read_decides(self) -> None:
        self.holds("early")

    def test_an_answer_before_the_body_was_read_may_be_lost_in_the_reset_behind_it(self) -> None:
        self.holds("early reset")

    def test_interim_answers_trailers_and_frames_in_between_change_nothing(self) -> None:
        self.holds("odd")

    def test_a_head_that_is_not_allowed_is_no_answer(self) -> None:
        self.holds("malformed")


class WindowTest(Tables.Table):
    """A server that lets no byte of a body come, or only the first ones."""

    WINDOW = 0
    TIMEOUT = "2s"
    TABLE = {
        "shut": unread(IN_DOUBT, "nowindow", "halfwindow"),
        "refused": unread(IN_DOUBT, "rstunread7", "rstunread13", "unreadbelow", "unreadreset"),
    }

    def test_a_window_that_is_never_opened_leaves_the_row_in_doubt(self) -> None:
        self.holds("shut")

    def test_a_refused_stream_is_not_sent_again_by_the_library(self) -> None:
        self.holds("refused")


class TimeOutTest(Tables.Table):
    """Answers that never come, or never end."""

    TIMEOUT = "2s"
    TABLE = {
        "none": lines(IN_DOUBT, "hang", "athang"),
        "status": lines(ACCEPTED, "headershang", "noend"),
    }

    def test_no_answer_in_time_leaves_the_row_in_doubt(self) -> None:
        self.holds("none")

    def test_an_answer_that_does_not_end_in_time_is_judged_by_its_status(self) -> None:
        self.holds("status")


class Scenes:
    class Scene(unittest.TestCase):
        """An API that speaks h2 (or what is given) and a bureau for one test."""

        def scene(self, *protocols: str, **endpoint: object) -> tuple[ScriptedApi, Bureau]:
            api = ScriptedApi(protocols=protocols or ("h2",)).start()
            self.addCleanup(api.stop)
            bureau = Bureau(api, endpoint={"http": 2, "retry": QUICK} | endpoint)
            self.addCleanup(bureau.close)
            return api, bureau

        def settles(self, bureau: Bureau, name: str, rows: int, **states: int) -> None:
            """A manifest is dropped and comes to rest with so many rows in each state."""
            bureau.drop(f"{name}.csv", manifests.cards([f"{name}-{i}" for i in range(rows)]))
            if not bureau.daemon:
                bureau.start()
            bureau.wait(lambda: bureau.manifest(f"{name}.csv")["rows"] == rows and bureau.at_rest(), f"the end of {name}", 30)
            manifest = bureau.manifest(f"{name}.csv")
            self.assertEqual({state: manifest[state] for state in states}, states)

        def sound(self, bureau: Bureau) -> None:
            bureau.stop()
            self.assertEqual(oracles.all_of(bureau), [])


class TrafficTest(Scenes.Scene):
    """Many requests side by side on one connection."""

    def test_32_requests_in_flight_share_one_connection(self) -> None:
        api, bureau = self.scene(concurrency=32)
        api.delay = 0.05
        self.settles(bureau, "card", 400, accepted=400)
        self.assertEqual((api.connections, len(api.token_requests)), (1, 1))
        self.assertGreater(api.most_in_flight, 16)
        self.sound(bureau)

    def test_a_storm_of_401_costs_one_token(self) -> None:
        api, bureau = self.scene(concurrency=8)
        self.settles(bureau, "a", 1, accepted=1)
        api.revoke_all_tokens()
        api.delay = 0.1  # so that all eight have the old token
        self.settles(bureau, "b", 29, accepted=29)
        self.assertEqual(len(api.token_requests), 2)
        self.sound(bureau)

    def test_503_repeated_pauses_and_costs_no_row_anything(self) -> None:
        api, bureau = self.scene()
        api.outage(503)
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(30)]))
        bureau.start()
        bureau.wait_endpoint("paused", "outage")
        api.outage()
        bureau.wait_states(accepted=30)
        self.assertEqual(api.connections, 1)
        self.sound(bureau)

    def test_a_connection_that_is_lost_puts_what_is_on_it_in_doubt_and_nothing_else(self) -> None:
        api, bureau = self.scene(concurrency=16)
        api.delay = 1
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(60)]))
        bureau.start()
        bureau.wait(lambda: api.in_flight == 16 == len(api.requests), "16 requests in flight")
        api.drop_connections()
        api.delay = 0
        bureau.wait(bureau.at_rest, "the end of it")
        self.assertEqual(bureau.states(), {"in_doubt": 16, "accepted": 44})
        self.assertEqual({r.card for r in api.requests[:16]}, {row["card_id"] for row in bureau.rows("state = 'in_doubt'")})
        self.sound(bureau)

    def test_a_server_that_goes_down_in_good_order_puts_nothing_in_doubt_that_it_read(self) -> None:
        api, bureau = self.scene(concurrency=8)
        api.delay = 0.2
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(40)]))
        bureau.start()
        bureau.wait(lambda: api.in_flight == 8, "8 requests in flight")
        api.set_down(True)
        bureau.wait_endpoint("paused", "outage")
        api.set_down(False)
        bureau.wait(bureau.at_rest, "the end of it")
        for row in bureau.rows("state <> 'accepted'"):
            self.assertEqual((row["state"], api.of_card(row["card_id"])), ("in_doubt", []))
        self.sound(bureau)


class ConnectionsTest(Scenes.Scene):
    """How connections are chosen, left and ended."""

    def test_one_on_which_nothing_comes_any_more_is_not_used_again(self) -> None:
        api, bureau = self.scene(concurrency=1, timeout="3s", connect_timeout="3s")
        api.on_track(lambda r: http2_behaviours.CARDS["stuck"][0] if r.card == "card-3" else None)
        self.settles(bureau, "card", 20, accepted=19, in_doubt=1)
        self.assertEqual((bureau.row("card-3")["state"], api.connections), ("in_doubt", 2))
        self.sound(bureau)

    def test_one_on_which_others_are_answered_outlives_a_time_out(self) -> None:
        api, bureau = self.scene(concurrency=2, timeout="2s", connect_timeout="2s", rate=20)
        api.on_track(lambda r: behaviours.lost("hang", "hang") if r.card == "card-3" else None)
        self.settles(bureau, "card", 60, accepted=59, in_doubt=1)
        self.assertEqual(api.connections, 1)
        self.sound(bureau)

    def test_a_server_that_allows_fewer_streams_is_given_more_connections(self) -> None:
        api, bureau = self.scene(concurrency=8)
        api.http2.streams, api.delay = 2, 0.02
        self.settles(bureau, "card", 100, accepted=100)
        self.assertEqual(api.refused_streams, [])
        self.assertLessEqual(api.connections, 8)
        self.sound(bureau)

    def test_one_that_ends_after_so_many_requests_costs_nothing_with_one_in_flight(self) -> None:
        api, bureau = self.scene(concurrency=1)
        api.requests_per_connection = 20
        self.settles(bureau, "card", 100, accepted=100)
        self.assertEqual((len(api.requests), max(row["attempts"] for row in bureau.rows())), (100, 1))
        self.sound(bureau)

    def test_requests_that_cross_a_goaway_are_in_doubt_although_it_refuses_them(self) -> None:
        api, bureau = self.scene(concurrency=8)
        api.requests_per_connection, api.delay = 20, 0.005
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(100)]))
        bureau.start()
        bureau.wait(bureau.at_rest, "the end of it", 30)
        for row in bureau.rows():
            with self.subTest(row["card_id"]):
                self.assertIn(row["state"], EITHER)
                self.assertLessEqual(len(api.of_card(row["card_id"])), 1)
                self.assertLessEqual(heads_of(api, row["card_id"]), row["attempts"])
        self.sound(bureau)

    def test_an_idle_one_that_the_server_ends_costs_nothing(self) -> None:
        api, bureau = self.scene()
        api.http2.idle = 0.2
        for n in range(1, 4):
            self.settles(bureau, f"wave{n}", 10, accepted=10)
            bureau.wait(lambda: not api.open_connections, "the end of the idle connection")
        self.assertEqual(max(row["attempts"] for row in bureau.rows()), 1)
        self.sound(bureau)

    def test_a_certificate_that_is_swapped_pauses_and_then_goes_on(self) -> None:
        api, bureau = self.scene()
        self.settles(bureau, "a", 10, accepted=10)
        api.swap_certificate("expired-server")
        bureau.wait(lambda: not api.open_connections, "the end of the connection")
        bureau.drop("b.csv", manifests.cards(["card-1"]))
        bureau.wait_endpoint("paused", "certificate")
        api.swap_certificate("server")
        bureau.wait_row("card-1", "accepted")
        self.sound(bureau)

    def test_a_client_certificate_that_is_refused_pauses_with_certificate(self) -> None:
        keys = pki.shared()
        api, bureau = self.scene(tls={"certificate": str(keys / "other-client.pem"), "key": str(keys / "other-client.key")})
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        bureau.wait_endpoint("paused", "certificate")
        bureau.stop()
        self.assertEqual((bureau.row("card-1")["state"], api.requests), ("queued", []))


class ProtocolTest(Scenes.Scene):
    """Which protocol is spoken: http: 2 and auto offer both by ALPN and take what the server chooses, http: 1.1 offers nothing else."""

    def spoken(self, http: object, *protocols: str) -> tuple[ScriptedApi, Bureau, str]:
        api, bureau = self.scene(*protocols, http=http, concurrency=4)
        api.delay = 0.05
        self.settles(bureau, "card", 20, accepted=20)
        self.sound(bureau)
        return api, bureau, "h2" if api.connections == 1 else "http/1.1"

    def test_2_and_auto_speak_http_2_where_the_server_has_it(self) -> None:
        for http in (2, "auto"):
            for protocols in (("h2",), ("h2", "http/1.1")):
                with self.subTest(http=http, protocols=protocols):
                    self.assertEqual(self.spoken(http, *protocols)[2], "h2")

    def test_2_and_auto_fall_back_where_the_server_has_http_1_1_alone(self) -> None:
        for http in (2, "auto"):
            with self.subTest(http=http):
                self.assertEqual(self.spoken(http, "http/1.1")[2], "http/1.1")

    def test_1_1_is_spoken_where_the_server_has_both(self) -> None:
        self.assertEqual(self.spoken(1.1, "h2", "http/1.1")[2], "http/1.1")

    def test_1_1_and_a_server_without_it_pause_with_outage_and_cost_nothing(self) -> None:
        api, bureau = self.scene("h2", http=1.1)
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        bureau.wait_endpoint("paused", "outage")
        bureau.stop()
        self.assertEqual((bureau.row("card-1")["state"], api.requests), ("queued", []))


if __name__ == "__main__":
    unittest.main()
