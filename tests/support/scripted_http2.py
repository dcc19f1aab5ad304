"""The scripted API's answers over HTTP/2: what a Behaviour says, in frames on one stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import d1_rules
import hpack
import http2
import http2_behaviours
from behaviours import HTML, Behaviour
from http1 import Head
from http2_behaviours import Http2

if TYPE_CHECKING:
    from scripted_api import ScriptedApi


class Answer:
    """One request's answer, as the steps of http2_behaviours see it."""

    def __init__(self, stream: http2.Stream, behaviour: Behaviour, given: str, date: str) -> None:
        self.stream, self.connection, self.behaviour = stream, stream.connection, behaviour
        self.content = behaviour.content(given)
        self.fields: list[hpack.Field] = [(":status", str(behaviour.status)), ("date", date)]
        if behaviour.status not in (204, 304):
            self.fields.append(("content-length", str(len(self.content))))
        if self.content:
            self.fields.append(("content-type", "text/html" if self.content is HTML else behaviour.content_type))
        self.fields += [(name.lower(), value if isinstance(value, str) else value()) for name, value in behaviour.headers
                        if name.lower() not in http2.NOT_IN_HTTP2]

    def frames(self) -> bytes:
        """The whole answer, in one go; for one that is to be cut."""
        number = self.stream.number
        pieces = [self.content[i:i + http2.MOST_FRAME] for i in range(0, len(self.content), http2.MOST_FRAME)]
        return self.stream.headers_frame(self.fields, end=not pieces) + b"".join(
            http2.frame(http2.DATA, http2.END_STREAM if i == len(pieces) - 1 else 0, number, piece) for i, piece in enumerate(pieces))


def card_of(head: Head) -> str:
    """The card's id, or the target of what is no track call."""
    match = d1_rules.TRACK_PATH.fullmatch(head.target)
    return match[2] if match else head.target


class Answers:
    """The handler of one connection."""

    def __init__(self, api: ScriptedApi) -> None:
        self.api = api

    def on_head(self, stream: http2.Stream) -> None:
        self.api.begin()
        if not stream.connection.limits.window:
            size = http2_behaviours.WINDOWS.get(card_of(stream.head).partition("-")[0], http2.FIRST_WINDOW)
            if size:
                stream.open_window(size)
        behaviour = self.api.unread_behaviour(stream.head, stream.nth, http2_behaviours.for_card)
        if behaviour:
            self._play(stream, behaviour, "")

    def on_request(self, stream: http2.Stream) -> None:
        if stream.answered:
            return
        behaviour, given = self.api.judge(stream.head, stream.body, stream.connection.number, stream.nth, http2_behaviours.for_card)
        wait = self.api.delay + behaviour.delay
        if wait:
            stream.connection.later(wait, lambda: self._play(stream, behaviour, given))
        else:
            self._play(stream, behaviour, given)

    def on_gone(self, stream: http2.Stream) -> None:
        self.api.end()
        if not stream.read_whole and not stream.answered:
            self.api.unread.append(card_of(stream.head))

    def on_refused(self, head: Head) -> None:
        self.api.refused_streams.append(card_of(head))

    def _play(self, stream: http2.Stream, behaviour: Behaviour, given: str) -> None:
        if stream.over:
            return  # the client did not wait
        stream.answered = True
        answer = Answer(stream, behaviour, given, self.api.date())
        http2_behaviours.play(answer, list(behaviour.steps) if isinstance(behaviour, Http2) else http2_behaviours.steps_of(answer))
