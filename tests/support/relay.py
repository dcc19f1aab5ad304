"""What stands between a client and the scripted API: a relay that passes bytes on, swallows them, asks for CONNECT first as a proxy does,
or takes plain HTTP to the API's TLS; and a port at which nobody ever answers."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Self

MOST_HEAD = 65536


def listener_at(address: str, backlog: int = 100) -> socket.socket:
    """Listens on a free port of an IPv4 or IPv6 address, and of that family alone."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((address, 0))
    listener.listen(backlog)
    return listener


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port whose listener has no room left: the kernel drops each SYN, so that a connection is neither made nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listener_at("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC))
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


class Relay:
    """Passes on to a port of 127.0.0.1 what comes to its own. Switches may be thrown at any time; they hold for new connections."""

    def __init__(self, target: int, address: str = "127.0.0.1", *, proxy: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.proxy = proxy  # CONNECT comes first
        self.tls = tls  # towards the target
        self.refusal = b""  # a proxy's answer to CONNECT, then the end
        self.swallow = False  # after the client's first piece (of TLS: its hello) nothing more is passed on
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.heads: list[bytes] = []  # of CONNECT
        self.heard = 0  # bytes from clients
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = listener_at(address)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True, name="relay").start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self.open += 1
                self.most_open = max(self.most_open, self.open)
                self._sockets.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True, name="relayed").start()

    def _serve(self, client: socket.socket) -> None:
        swallow = self.swallow
        try:
            if not self.proxy or self._connected(client):
                with self._towards() as server:
                    self._pass_on(client, server, swallow)
        except OSError:
            pass
        finally:
            with self._lock:
                self.open -= 1
                self._sockets.discard(client)
            client.close()

    def _connected(self, client: socket.socket) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece or len(head) > MOST_HEAD:
                return False
            head += piece
        self.heads.append(head)
        client.sendall(self.refusal or b"HTTP/1.1 200 Connection established\r\n\r\n")
        return not self.refusal

    def _towards(self) -> socket.socket:
        server = socket.create_connection(("127.0.0.1", self.target))
        return self.tls.wrap_socket(server, server_hostname="localhost") if self.tls else server

    def _pass_on(self, client: socket.socket, server: socket.socket, swallow: bool) -> None:
        """Both ways in one thread, since a TLS connection is nothing for two; until either side ends."""
        passed = False
        while True:
            waiting = isinstance(server, ssl.SSLSocket) and server.pending()
            ready = [server] if waiting else select.select([client, server], [], [])[0]
            if server in ready:
                with contextlib.suppress(ssl.SSLWantReadError):  # a record without data, such as a session's ticket
                    server.setblocking(False)
                    piece = server.recv(65536)
                    if not piece:
                        break
                    client.sendall(piece)
                server.setblocking(True)
            if client in ready:
                piece = client.recv(65536)
                if not piece:
                    break
                self.heard += len(piece)
                if not (swallow and passed):
                    server.sendall(piece)
                passed = True
