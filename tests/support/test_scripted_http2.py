"""The scripted API over HTTP/2, seen by a client that is no more than frames on a TLS socket."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import struct
import unittest
from urllib.parse import urlencode

import d1_rules
import hpack
import http2
import pki
import scripted_api
from harness import wait_for
from http2 import DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame
from test_es256 import CLAIMS, HEADER, make_assertion

NUMBERS = itertools.count(1)
BODY = json.dumps({"trackingType": "RETURN", "productionSite": "Lyon"}).encode()
Frame = tuple[int, int, int, bytes]  # kind, flags, stream, payload


class Client:
    """One connection; streams are numbered as they are opened."""

    def __init__(self, api: scripted_api.ScriptedApi, protocols: tuple[str, ...] = ("h2",)) -> None:
        self.context = ssl.create_default_context(cafile=str(api.pki / "ca.pem"))
        self.context.load_cert_chain(api.pki / "client.pem", api.pki / "client.key")
        self.context.set_alpn_protocols(list(protocols))
        self.sock = self.context.wrap_socket(socket.create_connection(("localhost", api.port), 5), server_hostname="localhost")
        self.api, self.streams, self.decoder = api, itertools.count(1, 2), hpack.Decoder()
        self.bearer, self._read = "", b""
        if self.sock.selected_alpn_protocol() == "h2":
            self.put(http2.PREFACE + frame(SETTINGS, 0, 0))

    def put(self, data: bytes) -> None:
        self.sock.sendall(data)

    def frame(self) -> Frame | None:
        """The next one; None at the end of the connection."""
        while len(self._read) < 9 or len(self._read) < 9 + int.from_bytes(self._read[:3]):
            try:
                more = self.sock.recv(65536)
            except OSError:
                return None
            if not more:
                return None
            self._read += more
        size = int.from_bytes(self._read[:3])
        kind, flags, stream = struct.unpack_from(">BBI", self._read, 3)
        payload, self._read = self._read[9:9 + size], self._read[9 + size:]
        return kind, flags, stream, payload

    def until(self, *kinds: int) -> Frame:
        while (one := self.frame()) and one[0] not in kinds:
            pass
        assert one, "the connection ended"
        return one

    def post(self, path: str, body: bytes, end: bool = True, **headers: str) -> int:
        stream = next(self.streams)
        fields = [(":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "localhost"),
                  *((name.replace("_", "-"), value) for name, value in headers.items())]
        self.put(frame(HEADERS, END_HEADERS, stream, hpack.encode(fields)) + (frame(DATA, END_STREAM, stream, body) if end else b""))
        return stream

    def track(self, card: str, body: bytes = BODY, **how: bool) -> int:
        if not self.bearer:
            self.token()
        return self.post(f"/banking/v1/issuers/BANKFR0001/physicalCards/{card}/track", body, content_type="application/json",
                         authorization=f"Bearer {self.bearer}", x_correlation_id=f"c-{next(NUMBERS)}", **how)  # type: ignore[arg-type]

    def token(self) -> None:
        assertion = make_assertion(self.api.pki / "jwt.key", CLAIMS | {"exp": int(self.api.now()) + 300}, HEADER)
        form = urlencode({"grant_type": d1_rules.GRANT, "assertion": assertion}).encode()
        self.post(scripted_api.TOKEN_PATH, form, content_type="application/x-www-form-urlencoded")
        self.bearer = json.loads(self.answer()[2])["access_token"]

    def answer(self) -> tuple[int, list[hpack.Field], bytes]:
        """The next answer: stream, fields, body."""
        _, flags, stream, block = self.until(HEADERS)
        body = b""
        while not flags & END_STREAM:
            _, flags, _, data = self.until(DATA, HEADERS)
            body += data
        return stream, self.decoder.decode(block), body


class ScriptedHttp2Test(unittest.TestCase):
    def setUp(self) -> None:
        self.api = scripted_api.ScriptedApi(pki.shared(), protocols=["h2", "http/1.1"]).start()
        self.addCleanup(self.api.stop)

    def client(self, *protocols: str) -> Client:
        client = Client(self.api, protocols or ("h2",))
        self.addCleanup(client.sock.close)
        return client

    def ended(self, client: Client) -> list[Frame]:
        """What comes until the connection ends."""
        return list(iter(client.frame, None))

    def test_alpn_chooses(self) -> None:
        for protocols, chosen in ((("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1"), (("http/1.1", "h2"), "h2")):
            self.assertEqual(self.client(*protocols).sock.selected_alpn_protocol(), chosen)

    def test_a_good_request_is_accepted_with_an_id_of_its_own(self) -> None:
        client = self.client()
        for i in range(3):
            client.track(f"card-{i}")
            _, fields, body = client.answer()
            self.assertEqual(dict(fields)[":status"], "202")
            self.assertEqual(json.loads(body)["operationId"], self.api.requests[-1].operationId)
        self.assertEqual((self.api.bad, [(r.connection, r.nth) for r in self.api.requests]), ([], [(1, 2), (1, 3), (1, 4)]))

    def test_answers_come_as_they_are_due_and_not_in_the_order_of_the_requests(self) -> None:
        client = self.client()
        slow, quick = client.track("slow-1"), client.track("card-1")
        self.assertEqual([client.answer()[0], client.answer()[0]], [quick, slow])
        self.assertEqual(self.api.most_in_flight, 2)

    def test_a_huge_answer_waits_for_the_windows(self) -> None:
        client = self.client()
        stream = client.track("huge-1")
        client.until(HEADERS)
        got = 0
        while got < http2.FIRST_WINDOW - 300:  # the token came out of the connection's window
            got += len(client.until(DATA)[3])
        client.put(frame(PING, 0, 0, b"anything"))
        self.assertEqual(client.until(DATA, PING)[0], PING)
        for each in (0, stream):
            client.put(frame(WINDOW_UPDATE, 0, each, struct.pack(">I", 8 << 20)))
        while not (one := client.until(DATA))[1] & END_STREAM:
            got += len(one[3])
        self.assertGreater(got + len(one[3]), 4 << 20)

    def test_what_a_client_must_not_do_is_recorded_and_answered_by_goaway(self) -> None:
        upper = hpack.encode([(":method", "POST"), (":scheme", "https"), (":path", "/"), (":authority", "x"), ("X-Odd", "1")])
        for bad in (frame(HEADERS, END_HEADERS, 2, b"\x82"), frame(DATA, 0, 99, b"x"), frame(HEADERS, END_HEADERS, 1, b"\x80"),
                    frame(HEADERS, END_HEADERS, 1, upper), frame(HEADERS, END_HEADERS, 1, b"\x82"), b"\xff" * 9,
                    frame(HEADERS, 0, 1, b"\x82") + frame(PING, 0, 0, b"x" * 8)):
            client = self.client()
            client.put(bad)
            self.assertEqual(self.ended(client)[-1][0], GOAWAY)
        self.assertEqual(len(self.api.bad), 7)

    def test_a_body_beyond_its_window_or_unlike_its_length_is_bad(self) -> None:
        self.api.http2.window = 10
        client = self.client()
        client.post("/", b"x" * 11)
        self.ended(client)
        self.api.http2.window = http2.FIRST_WINDOW
        client = self.client()
        client.post("/", b"x" * 11, content_length="12")
        self.ended(client)
        self.assertEqual(len(self.api.bad), 2)

    def test_a_request_that_the_client_gives_up_is_recorded_as_unread(self) -> None:
        client = self.client()
        stream = client.track("card-1", end=False)
        client.put(frame(RST_STREAM, 0, stream, struct.pack(">I", http2.CANCEL)))
        wait_for(lambda: self.api.unread, 5, "the record")
        self.assertEqual((self.api.unread, self.api.requests, self.api.in_flight), (["card-1"], [], 0))

    def test_a_stream_is_reset_with_the_code_that_the_card_names(self) -> None:
        client = self.client()
        for code in range(14):
            client.track(f"rst{code}-1")
            self.assertEqual(client.until(RST_STREAM)[3], struct.pack(">I", code))
        self.assertEqual(len(self.api.requests), 14)

    def test_streams_beyond_what_is_allowed_or_behind_a_goaway_are_refused(self) -> None:
        self.api.http2.streams = 1
        client = self.client()
        client.track("slow-1")
        client.track("card-1")
        self.assertEqual(client.until(RST_STREAM)[3], struct.pack(">I", http2.REFUSED_STREAM))
        client = self.client()
        client.track("athang-1")
        client.until(GOAWAY)
        client.track("card-2")
        wait_for(lambda: self.api.refused_streams == ["card-1", "card-2"], 5, "both to be refused")
        self.assertEqual([r.card for r in self.api.requests], ["slow-1", "athang-1"])

    def test_going_down_answers_what_is_under_way(self) -> None:
        client = self.client()
        stream = client.track("slow-1")
        wait_for(lambda: self.api.requests, 5, "the request")
        self.api.set_down(True)
        kinds = [(kind, number) for kind, _, number, _ in self.ended(client) if kind in (GOAWAY, HEADERS)]
        self.assertEqual(kinds, [(GOAWAY, 0), (HEADERS, stream), (GOAWAY, 0)])

    def test_an_idle_connection_ends_in_good_order(self) -> None:
        self.api.http2.idle = 0.1
        self.assertEqual(self.ended(self.client())[-1][0], GOAWAY)

    def test_a_ping_is_answered(self) -> None:
        client = self.client()
        client.put(frame(PING, 0, 0, b"12345678"))
        self.assertEqual(client.until(PING), (PING, http2.ACK, 0, b"12345678"))


if __name__ == "__main__":
    unittest.main()
