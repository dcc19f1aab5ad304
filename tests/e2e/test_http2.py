"""Sending over HTTP/2: what happens on the wire, what becomes of the row, and how often the API saw it.

Once the read callback has handed out the last byte of the body, only a complete status line keeps a row out of in_doubt. Over HTTP/2 libcurl
asks for the body right behind the headers, whatever the windows allow, so that nearly every fault finds it handed out.
"""

from __future__ import annotations

import unittest
from collections.abc import Sequence
from dataclasses import dataclass

import manifests
import oracles
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


if __name__ == "__main__":
    unittest.main()
