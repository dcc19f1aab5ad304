"""The server's side of one HTTP/2 connection (RFC 9113), by hand on a TLS socket, so that it can stop or lie at any frame.

One thread serves a connection with all its streams: it reads, does what is due, and sends what came together in one go. What a request means
is told to a handler; answers are made with the methods of Connection and Stream, from that thread alone. `drain` may be called from any.
"""

from __future__ import annotations

import heapq
import itertools
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import hpack
import http1
from http1 import Head, Malformed

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITIZED = 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
ERRORS = ("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
          "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED")
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL,
 COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, HTTP_1_1_REQUIRED) = range(14)
MOST_FRAME, FIRST_WINDOW, MOST_WINDOW, LAST_STREAM = 16384, 65535, 2**31 - 1, 2**31 - 1
# RFC 9113, 8.2.2
NOT_IN_HTTP2 = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xffff, kind, flags, stream) + payload


def request_head(fields: list[hpack.Field]) -> Head:
    """A request's fields as HTTP/1.1 would have them; Malformed where RFC 9113, 8.3, does not allow them."""
    pseudo: dict[str, str] = {}
    headers: dict[str, str] = {}
    for name, value in fields:
        into = pseudo if name.startswith(":") else headers
        if name in into or name != name.lower() or name in NOT_IN_HTTP2 or (name == "te" and value != "trailers"):
            raise Malformed(f"a header that is not allowed, or stands twice: {name}")
        if into is pseudo and headers:
            raise Malformed(f"{name} behind other headers")
        into[name] = value
    if set(pseudo) != {":method", ":scheme", ":path", ":authority"} or pseudo[":scheme"] != "https":
        raise Malformed(f"pseudo-headers {sorted(pseudo)}")
    return Head(pseudo[":method"], pseudo[":path"], headers | {"host": pseudo[":authority"]})


@dataclass(slots=True)
class Limits:
    """What this side allows, and does by itself."""

    window: int = FIRST_WINDOW  # bytes of a stream's body before it is given more
    streams: int = 256  # side by side
    idle: float = 0.0  # seconds without a stream after which the connection is ended with GOAWAY; 0: never
    requests: int = 0  # after so many the connection is ended; 0: no limit
    announce_last: bool = True  # with GOAWAY; False: it just ends after the last answer


class Handler(Protocol):
    def on_head(self, stream: Stream) -> None:
        """The headers were read; the body was not. stream.reset and stream.finish are allowed."""

    def on_request(self, stream: Stream) -> None:
        """The request was read whole."""

    def on_gone(self, stream: Stream) -> None:
        """The stream is over: answered, reset by either side, or its connection ended."""

    def on_refused(self, head: Head) -> None:
        """A request was not looked at: behind a GOAWAY, or too many are under way."""


class Ended(Exception):
    """The connection is to end: how is close, drop or reset."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class Stream:
    """One request and its answer."""

    def __init__(self, connection: Connection, number: int, head: Head) -> None:
        self.connection, self.number, self.head = connection, number, head
        self.nth = connection.requests  # on its connection, from 1
        self.body = b""
        self.read_whole = False
        self.answered = False  # the handler's own mark
        self.over = False
        self._may_read = connection.limits.window
        self._may_send = connection.peer_window
        self._waiting = b""  # of the answer's body, for want of a window
        self._ends = False  # behind what waits

    # -- the answer

    def interim(self, status: int, fields: Iterable[hpack.Field] = ()) -> None:
        self.connection.put(self.headers_frame([(":status", str(status)), *fields], end=False))

    def headers(self, fields: Iterable[hpack.Field], *, end: bool = False) -> None:
        """Headers or trailers, in as many frames as they need."""
        self.connection.put(self.headers_frame(fields, end=end))
        if end:
            self.finish()

    def headers_frame(self, fields: Iterable[hpack.Field], *, end: bool) -> bytes:
        block = hpack.encode(fields)
        pieces = [block[i:i + MOST_FRAME] for i in range(0, len(block), MOST_FRAME)]
        frames = b""
        for i, piece in enumerate(pieces):
            flags = (END_HEADERS if i == len(pieces) - 1 else 0) | (END_STREAM if end and i == 0 else 0)
            frames += frame(CONTINUATION if i else HEADERS, flags, self.number, piece)
        return frames

    def data(self, data: bytes, *, end: bool = True) -> None:
        """A piece of the body, as far as the client's windows allow; the rest follows when they do."""
        self._waiting += data
        self._ends = end
        if end and not self._waiting:
            self.connection.put(frame(DATA, END_STREAM, self.number))
        self.send_waiting()

    def send_waiting(self) -> None:
        connection = self.connection
        while self._waiting and not self.over:
            size = min(len(self._waiting), MOST_FRAME, self._may_send, connection.may_send)
            if size <= 0:
                return
            piece, self._waiting = self._waiting[:size], self._waiting[size:]
            self._may_send -= size
            connection.may_send -= size
            connection.put(frame(DATA, END_STREAM if self._ends and not self._waiting else 0, self.number, piece))
        if self._ends and not self._waiting and not self.over:
            self.finish()

    def reset(self, code: int) -> None:
        self.connection.put(frame(RST_STREAM, 0, self.number, struct.pack(">I", code)))
        self.finish()

    def open_window(self, size: int) -> None:
        """Lets the client send so many bytes more of this body."""
        self._may_read += size
        self.connection.put(frame(WINDOW_UPDATE, 0, self.number, struct.pack(">I", size)))

    def finish(self) -> None:
        """Nothing more is said about it."""
        if not self.over:
            self.over = True
            self.connection.gone(self)

    # -- what comes in

    def took(self, size: int) -> None:
        self._may_read -= size
        if self._may_read < 0:
            raise Malformed("more of a body than the stream's window allows")

    def widen(self, by: int) -> None:
        """The client lets us send more (or less: its initial window changed)."""
        self._may_send += by


class Connection:
    def __init__(self, sock: ssl.SSLSocket, number: int, handler: Handler, limits: Limits) -> None:
        self.sock, self.number, self.handler, self.limits = sock, number, handler, limits
        self.requests = 0
        self.streams: dict[int, Stream] = {}  # not over
        self.may_send = FIRST_WINDOW
        self.peer_window = FIRST_WINDOW
        self.peer_goaway: tuple[int, int] | None = None  # last stream, code
        self._may_read = FIRST_WINDOW
        self._began = False  # the preface was read
        self._stuck = False
        self._last = 0  # highest stream seen
        self._refuse_above = LAST_STREAM
        self._ends_when_idle = False
        self._block: tuple[int, int, bytes] | None = None  # stream, flags of its HEADERS, so much of the block
        self._decoder = hpack.Decoder()
        self._read = b""
        self._out: list[bytes] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._pings: dict[bytes, Callable[[], None]] = {}
        self._idle_since = time.monotonic()
        self._draining, self._drain = socket.socketpair()

    @property
    def busy(self) -> bool:
        return bool(self.streams)

    # -- for the handler

    def put(self, frames: bytes) -> None:
        """To be sent before the thread waits again."""
        self._out.append(frames)

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), do))

    def goaway(self, last: int, code: int = NO_ERROR, words: bytes = b"") -> None:
        """Streams above last are not looked at any more. The connection goes on until it is ended."""
        self._refuse_above = min(self._refuse_above, last)
        self.put(frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + words))
        for stream in [s for s in self.streams.values() if s.number > last]:
            stream.finish()

    def ping(self, then: Callable[[], None]) -> None:
        """When the client has answered, it has taken in all that was put before."""
        data = struct.pack(">Q", next(self._order))
        self._pings[data] = then
        self.put(frame(PING, 0, 0, data))

    def end_when_idle(self) -> None:
        """Ends in good order behind the answers that are under way."""
        self._ends_when_idle = True

    def stop_serving(self) -> None:
        """Reads and drops from now on, until the client goes."""
        self._stuck = True

    def gone(self, stream: Stream) -> None:
        self.streams.pop(stream.number, None)
        if not self.streams:
            self._idle_since = time.monotonic()
        self.handler.on_gone(stream)

    # -- from any thread

    def drain(self) -> None:
        """GOAWAY without refusing anything; it ends when what is under way has been answered."""
        try:
            self._drain.send(b"x")
        except OSError:
            pass  # it is over already

    # -- the thread

    def run(self) -> str:
        """Serves until the connection ends; gives how it is to be closed. Malformed where the client is at fault."""
        how = "drop"
        try:
            self._start()
            while self._turn():
                pass
        except Ended as e:
            how = e.how
        except (Malformed, hpack.Malformed) as e:
            self.put(frame(GOAWAY, 0, 0, struct.pack(">II", self._last, PROTOCOL_ERROR) + str(e).encode()))
            raise Malformed(str(e)) from None
        finally:
            try:
                if how != "reset":
                    self._flush()
            except OSError:
                pass
            for stream in list(self.streams.values()):
                stream.finish()
            self._draining.close()
            self._drain.close()
        return how

    def close(self, how: str) -> None:
        http1.close(self.sock, how)

    def _start(self) -> None:
        self.sock.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self.sock, select.POLLIN)
        self._poll.register(self._draining, select.POLLIN)
        settings = [(MAX_CONCURRENT_STREAMS, self.limits.streams), (INITIAL_WINDOW_SIZE, self.limits.window)]
        self.put(frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *setting) for setting in settings)))
        self._give(MOST_WINDOW - FIRST_WINDOW)

    def _turn(self) -> bool:
        self._do_what_is_due()
        self._flush()
        if not self.sock.pending():
            ready = {fd for fd, _ in self._poll.poll(self._timeout())}
            if self._draining.fileno() in ready and self._draining.recv(16):
                self.goaway(LAST_STREAM)
                self.end_when_idle()
            if self.sock.fileno() not in ready:
                return True
        try:
            more = self.sock.recv(65536)
        except ssl.SSLWantReadError:
            return True
        if not more:
            if not self._stuck and (self._read or self._block):
                raise Malformed("ended in a frame")
            return False
        if not self._stuck:
            self._read += more
            self._take_frames()
        return True

    def _timeout(self) -> float | None:
        """Milliseconds until something is due."""
        ends = [self._timers[0][0]] if self._timers else []
        if self.limits.idle and not self.streams:
            ends.append(self._idle_since + self.limits.idle)
        return max(0.0, min(ends) - time.monotonic()) * 1000 + 1 if ends else None

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        idle = not self.streams
        if idle and self.limits.idle and now >= self._idle_since + self.limits.idle:
            self.goaway(self._last)
            raise Ended("close")
        if idle and self._ends_when_idle:
            if self._refuse_above == LAST_STREAM:
                self.goaway(self._last)
            raise Ended("close")

    def _flush(self) -> None:
        data = memoryview(b"".join(self._out))
        self._out.clear()
        while data:
            try:
                data = data[self.sock.send(data):]
            except ssl.SSLWantWriteError:
                select.select([], [self.sock], [], 1)

    # -- frames

    def _take_frames(self) -> None:
        data, at = self._read, 0
        if not self._began:
            if not PREFACE.startswith(data[:len(PREFACE)]):
                raise Malformed("not the preface of HTTP/2")
            if len(data) < len(PREFACE):
                return
            at = len(PREFACE)
            self._began = True
        while len(data) - at >= 9:
            high, low, kind, flags, stream = struct.unpack_from(">BHBBI", data, at)
            size = high << 16 | low
            if size > MOST_FRAME:
                raise Malformed("a frame that is too long")
            if len(data) - at - 9 < size:
                break
            self._take(kind, flags, stream & LAST_STREAM, data[at + 9:at + 9 + size])
            at += 9 + size
        self._read = data[at:]

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block and kind != CONTINUATION:
            raise Malformed("a header block with another frame in it")
        if kind == HEADERS:
            self._take_headers(flags, number, payload)
        elif kind == DATA:
            self._take_data(flags, number, payload)
        elif kind == CONTINUATION:
            if not self._block or self._block[0] != number:
                raise Malformed("CONTINUATION of nothing")
            self._take_block(number, self._block[1] | flags & END_HEADERS, self._block[2] + payload)
        elif kind == WINDOW_UPDATE:
            self._take_window(number, struct.unpack(">I", payload)[0] & MOST_WINDOW)
        elif kind == SETTINGS and not flags & ACK:
            self._take_settings(payload)
        elif kind == PING and flags & ACK:
            self._pings.pop(payload, lambda: None)()
        elif kind == PING:
            self.put(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM:
            stream = self.streams.get(number)
            if stream:
                stream.finish()
        elif kind == GOAWAY:
            last, code = struct.unpack_from(">II", payload)
            self.peer_goaway = (last, code)
        elif kind == PUSH_PROMISE:
            raise Malformed("PUSH_PROMISE from a client")

    def _take_headers(self, flags: int, number: int, payload: bytes) -> None:
        if number % 2 == 0 or (number <= self._last and number not in self.streams):
            raise Malformed(f"HEADERS for stream {number} after {self._last}")
        padding = payload[0] if flags & PADDED else 0
        start = (1 if flags & PADDED else 0) + (5 if flags & PRIORITIZED else 0)
        self._take_block(number, flags, payload[start:len(payload) - padding])

    def _take_block(self, number: int, flags: int, block: bytes) -> None:
        if not flags & END_HEADERS:
            self._block = (number, flags, block)
            return
        self._block = None
        fields = self._decoder.decode(block)
        stream = self.streams.get(number)
        if stream:  # trailers
            self._body_ends(stream, flags)
            return
        self._last = max(self._last, number)
        head = request_head(fields)
        if number > self._refuse_above:
            self.handler.on_refused(head)
            return
        if len(self.streams) >= self.limits.streams:
            self.handler.on_refused(head)
            self.put(frame(RST_STREAM, 0, number, struct.pack(">I", REFUSED_STREAM)))
            return
        self.requests += 1
        stream = self.streams[number] = Stream(self, number, head)
        if self.requests == self.limits.requests:
            if self.limits.announce_last:
                self.goaway(number)
            self.end_when_idle()
        self.handler.on_head(stream)
        self._body_ends(stream, flags)

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        if number > self._last or number == 0:
            raise Malformed(f"DATA for stream {number}, which was never opened")
        self._may_read -= len(payload)
        if self._may_read < 0:
            raise Malformed("more than the connection's window allows")
        if self._may_read < MOST_WINDOW // 2:
            self._give(MOST_WINDOW // 2)
        stream = self.streams.get(number)
        if not stream:
            return
        stream.took(len(payload))
        padding = payload[0] + 1 if flags & PADDED else 0
        stream.body += payload[1:len(payload) - padding + 1] if padding else payload
        if len(stream.body) > http1.MOST_BODY:
            raise Malformed("a body that is too long")
        if payload and not flags & END_STREAM and self.limits.window:
            stream.open_window(len(payload))
        self._body_ends(stream, flags)

    def _body_ends(self, stream: Stream, flags: int) -> None:
        if not flags & END_STREAM or stream.over:
            return
        length = stream.head.headers.get("content-length", str(len(stream.body)))
        if length != str(len(stream.body)):
            raise Malformed(f"content-length {length}, but {len(stream.body)} bytes")
        stream.read_whole = True
        self.handler.on_request(stream)

    def _take_window(self, number: int, size: int) -> None:
        if number == 0:
            self.may_send += size
        elif stream := self.streams.get(number):
            stream.widen(size)
        for stream in list(self.streams.values()):
            stream.send_waiting()

    def _take_settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == INITIAL_WINDOW_SIZE:
                for stream in self.streams.values():
                    stream.widen(value - self.peer_window)
                self.peer_window = value
        self.put(frame(SETTINGS, ACK, 0))

    def _give(self, size: int) -> None:
        self._may_read += size
        self.put(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", size)))
