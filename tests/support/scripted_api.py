"""A D1 that does what a test tells it: HTTPS with client certificates, over HTTP/1.1, HTTP/2 or both, the token endpoint, and "Track Card".

It judges every assertion and every request by D1's published rules, records each request that it read whole before it answers, and
misbehaves on cue: by a callable (`on_track`), by the card id's prefix (behaviours.CARDS, and over HTTP/2 http2_behaviours.CARDS as well), or
by switches for the whole server.

    python3 scripted_api.py --dir DIR [--port N] [--ledger FILE] [--token-life S] [--delay MS] [--protocols h2,http/1.1]

makes DIR/pki where it is missing, prints "listening 127.0.0.1:PORT pid=N" and runs until TERM.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import ssl
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Literal, Self

import behaviours
import d1_rules
import es256
import http1
import http2
import pki
import scripted_http2
from behaviours import Behaviour
from ledger import Request, TokenRequest

TOKEN_PATH = "/authz/v1/oauth2/token"
ForCard = Callable[[str, int, int], Behaviour]  # card id, how many of it before, the request's number on its connection


class ScriptedApi:
    """Starts with `start` or as a context manager. All switches may be thrown at any time from any thread."""

    def __init__(self, pki_directory: str | os.PathLike[str] | None = None, *, port: int = 0, ledger: str | os.PathLike[str] | None = None,
                 issuer: str = "BANKFR0001", issuers: Iterable[str] = (), key_id: str = "2026-01",
                 protocols: Iterable[str] = ("http/1.1",)) -> None:
        self.pki = Path(pki_directory) if pki_directory else pki.shared()
        self.issuer, self.issuers, self.key_id = issuer, frozenset(issuers) | {issuer}, key_id
        self.protocols = list(protocols)  # offered by ALPN, the best first: h2, http/1.1
        self.http2 = http2.Limits()  # of new connections
        self.token_life: float = 900
        self.delay = 0.0  # seconds before every answer
        self.requests_per_connection = 0  # 0: no limit
        self.announce_last = True  # with "Connection: close"; False: the connection just ends after the last answer
        self.date_skew = 0.0  # seconds by which the server's clock is ahead
        self.accepting: Literal["serve", "close", "reset", "hang", "garbage"] = "serve"  # anything else: before the TLS handshake
        # records
        self.requests: list[Request] = []
        self.unread: list[str] = []  # card ids of requests whose body was not read, as scripted; over HTTP/2 also where it never came
        self.refused_streams: list[str] = []  # card ids of HTTP/2 streams that a GOAWAY or too many of them left unserved
        self.malformed: list[str] = []  # what could not be understood as a request
        self.client_killed = False  # a request that it was about to write may end anywhere
        self.token_requests: list[TokenRequest] = []
        self.connections = 0
        self.refused_handshakes: list[str] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.header_names: Counter[str] = Counter()  # of all requests whose head was read
        self._times: Counter[str] = Counter()
        self._correlations: set[str] = set()
        self._tokens: dict[str, float] = {}
        self._scripts: list[Callable[[Request], Behaviour | None]] = []
        self._outage: Behaviour | None = None
        self._token_behaviour = behaviours.TOKENS["ok"]
        self._token_times = 0
        self._lock = threading.Lock()
        self._open: set[http1.Connection | http2.Connection] = set()
        self._accepted: set[ssl.SSLSocket | None] = set()  # not yet through the handshake
        self._draining: set[http1.Connection | http2.Connection] = set()
        self._stopped = threading.Event()
        self._date_cache = (0, "")
        self._key = es256.public_key(self.pki / "jwt.pub")
        self._context = self._make_context("server")
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600) if ledger else -1
        self._listener = self._bind(port)
        self.port: int = self._listener.getsockname()[1]

    # -- life

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def start(self) -> Self:
        self._listen()
        return self

    def stop(self) -> None:
        self._stopped.set()
        self._close_listener()
        self.drop_connections()
        if self._ledger >= 0:
            os.close(self._ledger)
            self._ledger = -1

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- script

    def on_track(self, script: Callable[[Request], Behaviour | None]) -> None:
        """Asks the callable first what to do with each good request; None: the next script, then the card's prefix."""
        self._scripts.append(script)

    def clear_scripts(self) -> None:
        self._scripts.clear()

    def outage(self, status: int = 0, retry_after: str | None = None, behaviour: Behaviour | None = None) -> None:
        """Every track call gets this from now on; status 0 ends it."""
        if behaviour is None and status:
            behaviour = behaviours.status(status, "outage", headers=(("Retry-After", retry_after),) if retry_after is not None else ())
        self._outage = behaviour

    def set_token_behaviour(self, name: str, times: int | None = None) -> None:
        """An entry of behaviours.TOKENS for the next requests (all, or so many)."""
        self._token_times = -1 if times is None else times
        self._token_behaviour = behaviours.TOKENS[name]

    def revoke_all_tokens(self) -> None:
        with self._lock:
            self._tokens = dict.fromkeys(self._tokens, 0.0)

    def set_down(self, down: bool) -> None:
        """Refuses connections (the port stays ours); kept ones end, a request under way is answered first."""
        if down:
            self._close_listener()
            self.end_idle_connections()
            self._listener = self._bind(self.port)  # bound and not listening: refused, and nobody else gets the port
        else:
            self._listen()

    def swap_certificate(self, name: str) -> None:
        """server, expired-server, wrong-host-server or other-server, for new connections; kept ones end."""
        self._context = self._make_context(name)
        self.end_idle_connections()

    def swap_key(self, name: str) -> None:
        """jwt or other-jwt is the registered key from now on; no token of before is good any more."""
        self._key = es256.public_key(self.pki / f"{name}.pub")
        self.revoke_all_tokens()

    def trust_clients_of(self, ca: str) -> None:
        """ca or other-ca: whose client certificates are good, for new connections; kept ones end. TLS 1.3 tells a client after its request."""
        self._context = self._make_context("server", ca)
        self.end_idle_connections()

    def limit_tls(self, newest: ssl.TLSVersion) -> None:
        """No newer version of TLS for new connections, however old (Debian's OpenSSL needs the weakest level for 1.1); kept ones end."""
        self._context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore"):
            self._context.minimum_version = min(self._context.minimum_version, newest)
            self._context.maximum_version = newest
        self.end_idle_connections()

    def end_idle_connections(self) -> None:
        with self._lock:
            self._draining |= self._open
            connections = list(self._open)
        for connection in connections:
            if isinstance(connection, http2.Connection):
                connection.drain()
            elif not connection.busy:
                http1.shut(connection.sock)

    def all_ended(self) -> bool:
        """Ends idle connections, and tells whether none is left: one whose answer has just gone out may not be idle yet."""
        self.end_idle_connections()
        with self._lock:
            return not self._open

    def drop_connections(self) -> None:
        """Ends every connection at once, whatever is under way."""
        with self._lock:
            sockets = [c.sock for c in self._open] + [s for s in self._accepted if s]
        for sock in sockets:
            http1.shut(sock)

    # -- what was seen

    @property
    def bad(self) -> list[str]:
        """Everything that a good client does not do."""
        with self._lock:
            malformed = [m for m in self.malformed if not (self.client_killed and m.startswith("ended in "))]
            return [f"track {r.n} {r.card}: {r.bad}" for r in self.requests if r.bad] + \
                [f"token: {t.bad}" for t in self.token_requests if t.bad] + [f"malformed: {m}" for m in malformed]

    @property
    def by_status(self) -> Counter[int]:
        with self._lock:
            return Counter(r.status for r in self.requests)

    @property
    def open_connections(self) -> int:
        with self._lock:
            return len(self._open)

    def of_card(self, card: str) -> list[Request]:
        """A card's requests in the order in which they were read."""
        with self._lock:
            return [r for r in self.requests if r.card == card]

    def secrets(self) -> list[str]:
        """Every token and assertion that passed."""
        with self._lock:
            return [s for t in self.token_requests for s in (t.assertion, t.token) if len(s) > 8]

    def now(self) -> float:
        return time.time() + self.date_skew

    def date(self) -> str:
        second = int(self.now())
        if second != self._date_cache[0]:
            self._date_cache = (second, formatdate(second, usegmt=True))
        return self._date_cache[1]

    # -- connections

    def _make_context(self, name: str, ca: str = "ca") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.pki / f"{name}.pem", self.pki / f"{name}.key")
        context.load_verify_locations(self.pki / f"{ca}.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(self.protocols)
        return context

    @staticmethod
    def _bind(port: int) -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        return listener

    def _listen(self) -> None:
        self._listener.listen(1024)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True, name="accept").start()

    def _close_listener(self) -> None:
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        except OSError:
            pass
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True, name=f"connection {number}").start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock: ssl.SSLSocket | None = None
        try:
            sock = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            with self._lock:
                self._accepted.add(sock)
            self._handshake(sock)
        except (OSError, ValueError) as e:
            self.refused_handshakes.append(str(e))
            if sock and isinstance(e, ssl.SSLError):
                self._let_read(sock)
            (sock or plain).close()
            return
        finally:
            with self._lock:
                self._accepted.discard(sock)
        connection = self._connection(sock, number)
        with self._lock:
            self._open.add(connection)
        how = "drop"
        try:
            how = connection.run() if isinstance(connection, http2.Connection) else self._serve_http1(connection)
        except http1.Malformed as e:
            self.malformed.append(str(e))
        except (OSError, ValueError):
            pass  # the client went, or we were stopped
        finally:
            connection.close(how or "close")
            with self._lock:  # behind the end: `all_ended` tells of ends that the client can see
                self._open.discard(connection)
                self._draining.discard(connection)

    def _connection(self, sock: ssl.SSLSocket, number: int) -> http1.Connection | http2.Connection:
        chosen = sock.selected_alpn_protocol() or self.protocols[-1]
        if chosen == "http/1.1":
            return http1.Connection(sock, number)
        limits = replace(self.http2, requests=self.requests_per_connection, announce_last=self.announce_last)
        return http2.Connection(sock, number, scripted_http2.Answers(self), limits)

    def _serve_http1(self, connection: http1.Connection) -> str:
        how = "keep"
        while how == "keep":
            how = self._one_request(connection)
        return how

    @staticmethod
    def _let_read(sock: ssl.SSLSocket) -> None:
        """A close with unread bytes would be a reset, which can overtake the alert that was sent."""
        try:
            sock.settimeout(2)
            socket.socket.shutdown(sock, socket.SHUT_WR)
            while socket.socket.recv(sock, 65536):
                pass
        except OSError:
            pass

    def _handshake(self, sock: ssl.SSLSocket) -> None:
        if self.accepting == "serve":
            sock.do_handshake()
            return
        if self.accepting == "hang":
            while socket.socket.recv(sock, 65536):
                pass
        elif self.accepting == "garbage":
            socket.socket.recv(sock, 65536)
            socket.socket.sendall(sock, b"220 not TLS at all\r\n")
        elif self.accepting == "reset":
            http1.reset_on_close(sock)
        raise ValueError(f"scripted: {self.accepting}")

    def _one_request(self, connection: http1.Connection) -> str:
        """Reads and answers one request; gives how to go on: keep, close, drop, reset, or "" at the end."""
        head = connection.read_head()
        if head is None:
            return ""
        connection.requests += 1
        with self._lock:
            self.header_names.update(head.headers.keys())
        connection.busy = True
        self.begin()
        try:
            return self._exchange(connection, head)
        finally:
            connection.busy = False
            self.end()

    def begin(self) -> None:
        """A request is under way, until `end`."""
        with self._lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def end(self) -> None:
        with self._lock:
            self.in_flight -= 1

    def _exchange(self, connection: http1.Connection, head: http1.Head) -> str:
        unread = self.unread_behaviour(head, connection.requests, behaviours.for_card)
        if unread:
            self._stopped.wait(unread.delay)
            return unread.end
        body = connection.read_body(head.content_length(), expects_continue="expect" in head.headers)
        behaviour, operation_id = self.judge(head, body, connection.number, connection.requests, behaviours.for_card)
        wait = self.delay + behaviour.delay
        if wait:
            self._stopped.wait(wait)
        last = connection.requests == self.requests_per_connection
        data = behaviour.answer(operation_id, self.date(), last=last and self.announce_last)
        if data:
            connection.send(data, behaviour.drip)
        if behaviour.end == "hang":
            connection.wait_for_end()
            return "drop"
        if behaviour.end == "keep" and (last or connection in self._draining):
            return "close"
        return behaviour.end

    def judge(self, head: http1.Head, body: bytes, connection: int, nth: int, for_card: ForCard) -> tuple[Behaviour, str]:
        """A request that was read whole, recorded: what to answer, with which token or operationId."""
        if head.target == TOKEN_PATH:
            behaviour, given = self._token(head, body)
        else:
            behaviour, given = self._track(head, body, connection, nth, for_card)
        return (behaviours.with_location(behaviour, head.target) if behaviour.headers else behaviour), given

    # -- the token endpoint

    def _token(self, head: http1.Head, body: bytes) -> tuple[Behaviour, str]:
        fault, assertion = self._token_fault(head, body)
        with self._lock:
            behaviour = self._token_behaviour
            if self._token_times > 0:
                self._token_times -= 1
                if not self._token_times:
                    self._token_behaviour = behaviours.TOKENS["ok"]
            if fault:
                behaviour = behaviours.TOKENS["invalid_grant"]
            token = ""
            if behaviour.gives_operation():
                token = secrets.token_urlsafe(96)
                self._tokens[token] = time.monotonic() + self.token_life
            if behaviour.body and b"{life}" in behaviour.body:
                behaviour = replace(behaviour, body=behaviour.body.replace(b"{life}", json.dumps(self.token_life).encode()))
            self.token_requests.append(TokenRequest(time.time(), behaviour.status, behaviour.name, fault, assertion, token))
        return behaviour, token

    def _token_fault(self, head: http1.Head, body: bytes) -> tuple[str, str]:
        fault, assertion = d1_rules.token_form(head.method, head.headers, body)
        if fault:
            return fault, assertion
        try:
            es256.check(assertion, self._key, key_id=self.key_id, issuer=self.issuer, now=self.now())
        except es256.BadAssertion as e:
            return str(e), assertion
        with self._lock:
            if any(t.assertion == assertion for t in self.token_requests):
                return "the assertion was used before", assertion
        return "", assertion

    # -- track

    def unread_behaviour(self, head: http1.Head, nth: int, for_card: ForCard) -> Behaviour | None:
        """The behaviour, where the request's body is not to be read at all."""
        match = d1_rules.TRACK_PATH.fullmatch(head.target)
        if not match:
            return None
        behaviour = for_card(match[2], self._times[match[2]], nth)
        if behaviour.read_body:
            return None
        with self._lock:
            self._times[match[2]] += 1
            self.unread.append(match[2])
        return behaviour

    def _track(self, head: http1.Head, body: bytes, connection: int, nth: int, for_card: ForCard) -> tuple[Behaviour, str]:
        headers = head.headers
        match = d1_rules.TRACK_PATH.fullmatch(head.target)
        issuer, card = match.groups() if match else ("", "")
        fault, kind = d1_rules.body_fault(body)
        correlation = headers.get("x-correlation-id", "")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        planned = 0
        if head.method != "POST" or not match or issuer not in self.issuers:
            fault, planned = f"{head.method} {head.target} is no operation of ours", 404
        elif scheme != "Bearer" or token not in self._tokens:
            fault, planned = "a bearer token that was never given", 401
        elif headers.get("content-type", "").replace(" ", "").lower() not in ("application/json", "application/json;charset=utf-8"):
            fault, planned = "content-type is not application/json", 400
        elif not d1_rules.CORRELATION_ID.fullmatch(correlation):
            fault, planned = "x-correlation-id is missing or does not match its pattern", 400
        elif fault:
            planned = 400
        bearer_ok = self._tokens.get(token, 0.0) > time.monotonic()
        with self._lock:
            if correlation in self._correlations and not planned:
                fault, planned = "x-correlation-id was used before", 400
            self._correlations.add(correlation)
            before = self._times[card]
            self._times[card] += 1
        request = Request(n=0, t=time.time(), issuer=issuer, card=card, type=kind, body=body.decode("utf-8", "replace"),
                          correlation=correlation, bearer_ok=bearer_ok, connection=connection, nth=nth,
                          of_card=before, bad=fault)
        behaviour = self._plan(request, planned or (0 if bearer_ok else 401), for_card)
        request.behaviour, request.status, request.nothing_done = behaviour.name, behaviour.status, behaviour.nothing_done()
        if behaviour.gives_operation():
            request.operationId = secrets.token_hex(16)
        with self._lock:
            request.n = len(self.requests) + 1
            self.requests.append(request)
            if self._ledger >= 0:
                os.write(self._ledger, request.line())
        return behaviour, request.operationId

    def _plan(self, request: Request, planned: int, for_card: ForCard) -> Behaviour:
        if self._outage:
            return self._outage
        if planned:
            return behaviours.status(planned, "judged")
        for script in self._scripts:
            behaviour = script(request)
            if behaviour:
                return behaviour
        return for_card(request.card, request.of_card, request.nth)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="A scripted D1 on 127.0.0.1.")
    parser.add_argument("--dir", required=True, help="DIR/pki holds the keys; made where missing")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ledger", help="append each request read, one JSON object a line")
    parser.add_argument("--token-life", type=int, default=900, help="seconds")
    parser.add_argument("--delay", type=float, default=0, help="milliseconds before every answer")
    parser.add_argument("--protocols", default="http/1.1", help="offered by ALPN, the best first: h2,http/1.1")
    options = parser.parse_args(arguments)
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    api = ScriptedApi(pki.make(os.path.join(options.dir, "pki")), port=options.port, ledger=options.ledger,
                      protocols=options.protocols.split(","))
    api.token_life = options.token_life
    api.delay = options.delay / 1000
    with api:
        print(f"listening 127.0.0.1:{api.port} pid={os.getpid()}", flush=True)
        signal.sigwait(signals)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
