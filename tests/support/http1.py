"""The server's side of one HTTP/1.1 connection, by hand on a TLS socket, so that it can stop or lie at any byte."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from dataclasses import dataclass

MOST_HEAD = 64 * 1024
MOST_BODY = 8 * 1024 * 1024


class Malformed(ValueError):
    """A request that is no HTTP/1.1 as we want it."""


@dataclass(slots=True)
class Head:
    method: str
    target: str
    headers: dict[str, str]  # names in lower case

    def content_length(self) -> int:
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > MOST_BODY:
            raise Malformed("content-length is missing, absurd or no number")
        return int(length)


def parse_head(data: bytes) -> Head:
    lines = data.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or parts[2] != "HTTP/1.1":
        raise Malformed("no request line")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or name != name.strip() or name in headers:
            raise Malformed("a header line that is none, or one that stands twice")
        headers[name] = value.strip()
    if "host" not in headers:
        raise Malformed("no host")
    return Head(parts[0], parts[1], headers)


def reset_on_close(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def shut(sock: ssl.SSLSocket) -> None:
    """Ends a connection from another thread; the thread that serves it notices."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass


def close(sock: ssl.SSLSocket, how: str) -> None:
    """close: with TLS's close_notify; drop: without; reset: RST."""
    try:
        if how == "reset":
            reset_on_close(sock)
        elif how == "close":
            sock.settimeout(0)  # the alert is sent, the client's own is not waited for
            sock.unwrap()
    except (OSError, ValueError):
        pass
    finally:
        sock.close()


class Connection:
    def __init__(self, sock: ssl.SSLSocket, number: int) -> None:
        self.sock = sock
        self.number = number
        self.requests = 0
        self.busy = False  # between the head of a request and the end of its answer
        self._read = b""

    def read_head(self) -> Head | None:
        """None at the end of the connection."""
        while (end := self._read.find(b"\r\n\r\n")) < 0:
            if len(self._read) > MOST_HEAD:
                raise Malformed("the head is too long")
            more = self.sock.recv(65536)
            if not more:
                if self._read:
                    raise Malformed("ended in the head")
                return None
            self._read += more
        head, self._read = self._read[:end], self._read[end + 4:]
        return parse_head(head)

    def read_body(self, length: int, *, expects_continue: bool = False) -> bytes:
        if expects_continue:
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self._read) < length:
            more = self.sock.recv(65536)
            if not more:
                raise Malformed("ended in the body")
            self._read += more
        body, self._read = self._read[:length], self._read[length:]
        return body

    def send(self, data: bytes, drip: float = 0.0) -> None:
        if not drip:
            self.sock.sendall(data)
            return
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])
            time.sleep(drip)

    def wait_for_end(self) -> None:
        """Reads and drops until the client goes."""
        while self.sock.recv(65536):
            pass

    def close(self, how: str) -> None:
        close(self.sock, how)
