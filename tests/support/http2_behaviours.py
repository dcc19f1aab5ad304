"""What the scripted API can do over HTTP/2: the Behaviours of every connection in frames, and those that HTTP/2 alone knows.

The latter are called up by a card id's prefix too (CARDS, and RST_STREAM with any code), and are sequences of steps. A step is done; or is the
seconds to wait before the next one; or is TAKEN_IN: the next one comes when the client has taken in all that was sent before. What is sent
without such a pause reaches the client as one piece.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import behaviours
import http2
from behaviours import Behaviour, End
from http2 import DATA, GOAWAY, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, Ended, frame

if TYPE_CHECKING:
    from scripted_http2 import Answer

TAKEN_IN = "taken in"
Step = float | str | Callable[["Answer"], None]


@dataclass(frozen=True, slots=True)
class Http2(Behaviour):
    """An answer step by step. read_body False: as soon as the head was read, and the body is not looked at."""

    steps: tuple[Step, ...] = ()


def play(answer: Answer, steps: Sequence[Step]) -> None:
    """Does the steps; waits are the connection's."""
    for i, step in enumerate(steps):
        rest = steps[i + 1:]
        if isinstance(step, float):
            answer.connection.later(step, lambda: play(answer, rest))
            return
        if isinstance(step, str):
            answer.connection.ping(lambda: play(answer, rest))
            return
        step(answer)


# -- steps

def headers(answer: Answer) -> None:
    answer.stream.headers(answer.fields)


def body(answer: Answer) -> None:
    """With the end of the stream, in a frame of its own even where there is nothing in it."""
    answer.stream.data(answer.content)


def body_without_end(answer: Answer) -> None:
    answer.stream.data(answer.content, end=False)


def half_of_the_body(answer: Answer) -> None:
    """Of the whole body a client knows by its length that it was all, and may use the connection again at once."""
    answer.stream.data(answer.content[:len(answer.content) // 2], end=False)


def half_of_the_headers(answer: Answer) -> None:
    """A HEADERS frame without END_HEADERS, and no CONTINUATION."""
    whole = answer.stream.headers_frame(answer.fields, end=False)[9:]
    answer.connection.put(frame(HEADERS, 0, answer.stream.number, whole[:len(whole) // 2]))


def trailers(answer: Answer) -> None:
    answer.stream.headers([("x-checksum", "17"), ("status", "500")], end=True)


def finish(answer: Answer) -> None:
    answer.stream.finish()


def interim(status: int) -> Step:
    return lambda answer: answer.stream.interim(status, [("link", "</x>")] if status == 103 else [])


def rst(code: int) -> Step:
    return lambda answer: answer.stream.reset(code)


def goaway(code: int = http2.NO_ERROR, *, below: bool = False) -> Step:
    """The last stream is this one, or the one before it."""
    return lambda answer: answer.connection.goaway(max(0, answer.stream.number - (2 if below else 0)), code, b"as scripted")


def end_when_idle(answer: Answer) -> None:
    answer.connection.end_when_idle()


def end(how: End) -> Step:
    def step(_: Answer) -> None:
        raise Ended(how)
    return step


def stop_serving(answer: Answer) -> None:
    answer.connection.stop_serving()


def put(kind: int, flags: int, payload: bytes, stream: int | None = None) -> Step:
    """A frame of any sort, on this stream unless another one is given."""
    return lambda answer: answer.connection.put(frame(kind, flags, answer.stream.number if stream is None else stream, payload))


def plain(data: bytes) -> Step:
    return lambda answer: answer.connection.put(data)


def beside_tls(data: bytes) -> Step:
    """Past TLS, onto the bare connection."""
    def step(answer: Answer) -> None:
        socket.socket.sendall(answer.connection.sock, data)
    return step


# -- behaviours of every connection

def steps_of(answer: Answer) -> list[Step]:
    behaviour = answer.behaviour
    steps: list[Step] = [interim(int(status)) for status in re.findall(rb"HTTP/1.1 (\d{3})", behaviour.before)]
    if behaviour.raw is not None:
        steps.append(plain(behaviour.raw))
    elif not behaviour.read_body:
        pass
    elif behaviour.cut is not None:
        head = len(answer.stream.headers_frame(answer.fields, end=False))
        size = {"status": head // 2, "head": head - 1, "body": head + 9 + len(answer.content) // 2}[behaviour.cut] \
            if isinstance(behaviour.cut, str) else behaviour.cut
        steps.append(plain(answer.frames()[:size]))
    elif not answer.content:
        steps.append(lambda a: a.stream.headers(a.fields, end=True))
    elif behaviour.drip:
        steps += [headers, *_drip(answer.content, behaviour.drip)]
    else:
        steps += [headers, body]
    if behaviour.end not in ("keep", "hang"):
        steps.append(end(behaviour.end))
    return steps


def _drip(content: bytes, seconds: float) -> list[Step]:
    steps: list[Step] = []
    for i in range(len(content)):
        last = i == len(content) - 1
        steps += [seconds, lambda a, byte=content[i:i + 1], last=last: a.stream.data(byte, end=last)]  # type: ignore[misc]
    return steps


# -- behaviours of HTTP/2 alone

def unread(name: str, *steps: Step, status: int = 202) -> Http2:
    return Http2(name=name, status=status, read_body=False, steps=steps)


def read(name: str, *steps: Step, status: int = 202) -> Http2:
    return Http2(name=name, status=status, steps=steps)


def _fields(name: str, block: bytes) -> Http2:
    """An answer whose header block is this."""
    return read(name, put(HEADERS, http2.END_HEADERS | http2.END_STREAM, block), finish)


CALM = http2.ENHANCE_YOUR_CALM
_STATUS_202 = b"\x08\x03202"  # :status, literal

CARDS: dict[str, Sequence[Behaviour]] = {
    # the connection ends under the request
    "unreadclose": (unread("unreadclose", end("close")),),
    "unreaddrop": (unread("unreaddrop", end("drop")),),
    "unreadreset": (unread("unreadreset", end("reset")),),
    "nottls": (read("nottls", beside_tls(b"\x15\x03\x03\x00\x02\x02\x50")),),  # an alert (internal_error) that is not encrypted
    "stuck": (read("stuck", stop_serving),),  # the connection stays, and nothing comes on it any more
    # GOAWAY: the last stream is the one before, or this one; then nothing more, the end, or the answer in good order
    "unreadbelow": (unread("unreadbelow", goaway(below=True), end_when_idle),),
    "unreadbelowcalm": (unread("unreadbelowcalm", goaway(CALM, below=True), end_when_idle),),
    "below": (read("below", goaway(below=True), end_when_idle),),
    "belowcalm": (read("belowcalm", goaway(CALM, below=True), end_when_idle),),
    "at": (read("at", goaway(), end("close")),),
    "atcalm": (read("atcalm", goaway(CALM), end("close")),),
    "athang": (read("athang", goaway()),),
    "atdone": (read("atdone", goaway(), TAKEN_IN, headers, body, end_when_idle),),
    "calmdone": (read("calmdone", goaway(CALM), TAKEN_IN, headers, body, end_when_idle),),
    "doneat": (read("doneat", headers, body, goaway(), end_when_idle),),
    # answers cut short
    "halfheaders": (read("halfheaders", half_of_the_headers, end("drop")),),
    "halfheadershang": (read("halfheadershang", half_of_the_headers),),
    "headershang": (read("headershang", headers),),
    "headersdrop": (read("headersdrop", headers, TAKEN_IN, end("drop")),),
    "headersreset": (read("headersreset", headers, TAKEN_IN, end("reset")),),
    "headersaway": (read("headersaway", headers, TAKEN_IN, goaway(CALM, below=True), end("drop")),),
    "noend": (read("noend", headers, body_without_end),),
    "noenddrop": (read("noenddrop", headers, half_of_the_body, TAKEN_IN, end("drop")),),
    # odd but whole
    "trailers": (read("trailers", headers, body_without_end, trailers),),
    "i102": (read("i102", interim(102), TAKEN_IN, interim(102), headers, body),),
    "i100rst": (read("i100rst", interim(100), TAKEN_IN, rst(http2.CANCEL)),),
    "ping": (read("ping", put(http2.PING, 0, b"scripted", 0), headers, body),),
    "settings": (read("settings", put(SETTINGS, 0, struct.pack(">HI", http2.MAX_FRAME_SIZE, 1 << 20), 0), headers, body),),
    "bighead": (Http2(name="bighead", headers=(("x-big", "x" * 400_000),), steps=(headers, body)),),  # with CONTINUATION
    "unknownframe": (read("unknownframe", put(0xfa, 0xff, b"grease"), headers, body),),
    # answered before the body was read, as nginx's `return` does
    "early202": (unread("early202", headers, body),),
    "early202rst": (unread("early202rst", headers, body, rst(http2.NO_ERROR)),),
    "early202later": (unread("early202later", headers, body, TAKEN_IN, rst(http2.NO_ERROR)),),
    "early503rst": (unread("early503rst", headers, body, rst(http2.NO_ERROR), status=503), behaviours.OK),
    "early400rst": (unread("early400rst", headers, body, rst(http2.NO_ERROR), status=400),),
    # no HTTP/2
    "frametoolong": (read("frametoolong", plain(b"\xff\xff\xff" + frame(DATA, 0, 1)[3:] + b"x" * 100)),),
    "evenstream": (read("evenstream", put(HEADERS, http2.END_HEADERS | http2.END_STREAM, _STATUS_202, 2)),),
    "datafirst": (read("datafirst", put(DATA, 0, b"{}")),),
    "badhpack": (_fields("badhpack", b"\x80"),),
    "badwindow": (read("badwindow", put(WINDOW_UPDATE, 0, struct.pack(">I", 0), 0)),),
    "badsettings": (read("badsettings", put(SETTINGS, 0, struct.pack(">HI", http2.INITIAL_WINDOW_SIZE, 2**31), 0)),),
    "badgoaway": (read("badgoaway", put(GOAWAY, 0, b"short", 0)),),
    "badrst": (read("badrst", put(RST_STREAM, 0, b"\x00")),),
    "push": (read("push", put(http2.PUSH_PROMISE, http2.END_HEADERS, struct.pack(">I", 2) + _STATUS_202)),),
    "nostatus": (_fields("nostatus", b"\x00\x04date\x01x"),),
    "badstatus": (_fields("badstatus", b"\x08\x03abc"),),
    "upper": (_fields("upper", _STATUS_202 + b"\x00\x05X-Odd\x01x"),),
    "connection": (_fields("connection", _STATUS_202 + b"\x00\x0aconnection\x05close"),),
    "toolong": (_fields("toolong", _STATUS_202 + b"\x00\x0econtent-length\x0217"),),
}

# With Limits.window 0: how much of a body may come, by prefix; all of it otherwise.
WINDOWS = {"nowindow": 0, "halfwindow": 20}

_RST_CARD = re.compile(r"rst(unread|after|later|whole|)([0-9]{1,2})")
_BEFORE_RST: dict[str, tuple[Step, ...]] = {
    "": (), "after": (headers,), "later": (headers, TAKEN_IN), "whole": (headers, body_without_end, TAKEN_IN),
}


def _rst_behaviour(when: str, code: int) -> Http2:
    name = f"rst{when}{code}"
    return unread(name, rst(code)) if when == "unread" else read(name, *_BEFORE_RST[when], rst(code))


def for_card(card: str, times_before: int, nth_on_connection: int) -> Behaviour:
    """behaviours.for_card for a request that came over HTTP/2. With RST_STREAM: rst7-1 is read and reset with code 7, rstunread7-1 reset
    unread, rstafter7-1 in one piece with the headers of a 202, rstlater7-1 when those were taken in, rstwhole7-1 behind its whole body."""
    prefix, dash, _ = card.partition("-")
    if dash and (plan := CARDS.get(prefix)):
        return plan[min(times_before, len(plan) - 1)]
    if dash and (match := _RST_CARD.fullmatch(prefix)):
        return _rst_behaviour(match[1], int(match[2]))
    return behaviours.for_card(card, times_before, nth_on_connection)
