"""The scripted API seen through http.client and bare sockets."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import socket
import ssl
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import behaviours
import d1_rules
import ledger
import pki
import scripted_api
from harness import wait_for
from test_es256 import CLAIMS, HEADER, make_assertion

NUMBERS = itertools.count(1)
GOOD = {"trackingType": "SHIPMENT", "productionSite": "Lyon", "trackingNumber": "1Z 999-A/1", "shipmentDate": "2026-11-22T10:00:00Z"}


class Client:
    """One connection to the API, with a token of its own when asked for one."""

    def __init__(self, api: scripted_api.ScriptedApi, certificate: str = "client", timeout: float = 5) -> None:
        self.context = ssl.create_default_context(cafile=str(api.pki / "ca.pem"))
        if certificate:
            self.context.load_cert_chain(api.pki / f"{certificate}.pem", api.pki / f"{certificate}.key")
        self.api = api
        self.http = http.client.HTTPSConnection("localhost", api.port, context=self.context, timeout=timeout)
        self.bearer = ""

    def post(self, path: str, body: bytes | str, headers: dict[str, str]) -> tuple[int, bytes]:
        self.http.request("POST", path, body, headers)
        answer = self.http.getresponse()
        self.headers = answer.headers
        return answer.status, answer.read()

    def token(self, assertion: str | None = None, **form: str) -> tuple[int, bytes]:
        if assertion is None:
            assertion = make_assertion(self.api.pki / "jwt.key", CLAIMS | {"exp": int(self.api.now()) + 300}, HEADER)
        fields = {"grant_type": d1_rules.GRANT, "assertion": assertion} | form
        status, body = self.post(scripted_api.TOKEN_PATH, urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})
        if status == 200:
            try:
                self.bearer = json.loads(body)["access_token"]
            except (ValueError, KeyError):
                pass
        return status, body

    def track(self, card: str, body: Any = GOOD, issuer: str = "BANKFR0001", **headers: str) -> tuple[int, bytes]:
        if not self.bearer:
            self.token()
        all_headers = {"content-type": "application/json", "authorization": f"Bearer {self.bearer}",
                       "x-correlation-id": f"c-{next(NUMBERS)}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.post(f"/banking/v1/issuers/{issuer}/physicalCards/{card}/track", data, all_headers)


class ScriptedApiTest(unittest.TestCase):
    def setUp(self) -> None:
        self.api = scripted_api.ScriptedApi(pki.shared()).start()
        self.addCleanup(self.api.stop)

    def client(self, certificate: str = "client", timeout: float = 5) -> Client:
        client = Client(self.api, certificate, timeout)
        self.addCleanup(client.http.close)
        return client

    def lost(self, client: Client, card: str) -> None:
        with self.assertRaises((OSError, http.client.HTTPException)):
            client.track(card)
        client.http.close()

    # -- the good way

    def test_a_good_request_is_accepted_with_an_id_of_its_own(self) -> None:
        client = self.client()
        ids = [json.loads(body)["operationId"] for status, body in (client.track(f"card-{i}") for i in range(3)) if status == 202]
        self.assertEqual(len(set(ids)), 3)
        self.assertEqual([r.operationId for r in self.api.requests], ids)
        self.assertEqual(self.api.bad, [])
        self.assertEqual((self.api.connections, [r.nth for r in self.api.requests]), (1, [2, 3, 4]))

    def test_tls_1_2_and_1_3_are_spoken(self) -> None:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = self.client()
            client.context.minimum_version = client.context.maximum_version = version
            self.assertEqual(client.track("card")[0], 202)

    def test_the_ledger_has_each_request_before_its_answer(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "ledger"
            with scripted_api.ScriptedApi(pki.shared(), ledger=path) as api:
                client = Client(api)
                client.track("card-1")
                self.lost(client, "close-1")
                lines = ledger.read_ledger(path)
                self.assertEqual(lines, api.requests)
                self.assertEqual([(r.card, r.status, r.behaviour) for r in lines], [("card-1", 202, "ok"), ("close-1", 202, "close")])
                client.http.close()

    # -- judging

    def test_a_client_without_a_good_certificate_is_refused(self) -> None:
        for certificate in ("", "other-client", "expired-client"):
            self.lost(self.client(certificate), "card")
        self.assertEqual(self.api.requests, [])

    def test_a_bad_assertion_gets_400(self) -> None:
        key, claims = self.api.pki / "jwt.key", CLAIMS | {"exp": int(time.time()) + 300}
        for assertion in (make_assertion(self.api.pki / "other-jwt.key", claims), make_assertion(key, claims, der=True), "x",
                          make_assertion(key, claims | {"exp": int(time.time()) - 1})):
            self.assertEqual(self.client().token(assertion)[0], 400)
        self.assertEqual(self.client().token(grant_type="client_credentials")[0], 400)
        self.assertEqual(self.client().token(client_id="x")[0], 400)
        good = make_assertion(key, claims)
        self.assertEqual([self.client().token(good)[0] for _ in range(2)], [200, 400])
        self.assertEqual(len(self.api.bad), 7)

    def test_a_bearer_that_was_never_given_is_bad_and_one_that_ended_is_not(self) -> None:
        client = self.client()
        client.bearer = "invented"
        self.assertEqual(client.track("card")[0], 401)
        self.assertEqual(len(self.api.bad), 1)
        client.token()
        self.api.revoke_all_tokens()
        status, body = client.track("card")
        self.assertEqual((status, json.loads(body)["errorCode"]), (401, "AUTHORIZER_UNAUTHORIZED"))
        self.api.token_life = 0.05
        client.token()
        time.sleep(0.1)
        self.assertEqual(client.track("card")[0], 401)
        self.assertEqual(len(self.api.bad), 1)

    def test_each_bad_body_gets_400_and_is_recorded(self) -> None:
        client = self.client()
        without = {k: v for k, v in GOOD.items() if k != "productionSite"}
        cases: list[Any] = [b"{", b"\xff", b"[]", {}, without, GOOD | {"trackingType": "LOST"}, GOOD | {"carrier": "DHL"},
                            GOOD | {"postalCode": None}, GOOD | {"postalCode": "w1"}, GOOD | {"countryCode": "fr"},
                            GOOD | {"shipmentDate": "2026-02-30T00:00:00Z"}, GOOD | {"shipmentDate": "2026-11-22T24:00:00Z"},
                            GOOD | {"shipmentDate": "2026-11-22T10:00:00Z\n"}, GOOD | {"productionSite": "x" * 51},
                            GOOD | {"trackingNumber": ""}, GOOD | {"trackingNumber": "a;b"}, GOOD | {"trackingType": "RETURN"},
                            b'{"trackingType":"RETURN","productionSite":"a","productionSite":"a"}']
        for body in cases:
            self.assertEqual(client.track("card", body)[0], 400, body)
        self.assertEqual(len([r for r in self.api.requests if r.bad]), len(cases))

    def test_each_good_body_passes(self) -> None:
        for body in (GOOD, GOOD | {"postalCode": "W1A 1AA", "countryCode": "GB"}, {"trackingType": "RETURN", "productionSite": ""},
                     {"trackingType": "PRODUCTION", "productionSite": "é" * 50}):
            self.assertEqual(d1_rules.body_fault(json.dumps(body).encode())[0], "", body)

    def test_bad_paths_headers_and_repeated_correlation_ids_are_bad(self) -> None:
        client = self.client()
        self.assertEqual(client.track("a" * 49)[0], 404)
        self.assertEqual(client.track("card", issuer="BANKFR0002")[0], 404)
        self.assertEqual(client.track("card", content_type="text/plain")[0], 400)
        self.assertEqual(client.track("card", x_correlation_id="a b")[0], 400)
        self.assertEqual([client.track("card", x_correlation_id="same")[0] for _ in range(2)], [202, 400])
        self.assertEqual(len(self.api.bad), 5)

    # -- misbehaving

    def test_prefixes_answer_by_the_table(self) -> None:
        client = self.client()
        for card, expected in (("busy-1", [503, 202, 202]), ("rate-1", [429, 202]), ("stale-1", [401, 202]), ("unauth-1", [401, 401]),
                               ("forbid-1", [403]), ("product-1", [403]), ("nf-1", [404]), ("h400-1", [400]), ("h418-1", [418]),
                               ("h204-1", [204]), ("h599-1", [599]), ("h307-1", [307]), ("noid-1", [202]), ("html-1", [202]),
                               ("badjson-1", [202]), ("huge-1", [202]), ("chunked-1", [202]), ("i100-1", [202]), ("card-1", [202])):
            self.assertEqual([client.track(card)[0] for _ in expected], expected, card)

    def test_a_redirect_points_to_itself_and_busy_names_a_time(self) -> None:
        client = self.client()
        client.track("h307-1")
        self.assertEqual(client.headers["Location"], "/banking/v1/issuers/BANKFR0001/physicalCards/h307-1/track")
        client.track("busy-1")
        self.assertEqual(client.headers["Retry-After"], "1")
        client.track("rate-1")
        self.assertRegex(client.headers["Retry-After"], r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")

    def test_lost_answers_are_recorded_all_the_same(self) -> None:
        cards = ["close-1", "drop-1", "reset-1", "cutstatus-1", "cutbody-1", "i100close-1", "garbage-1", "resetbody-1"]
        for card in cards:
            self.lost(self.client(), card)
        self.assertEqual([r.card for r in self.api.requests], cards)

    def test_a_hanging_answer_never_comes(self) -> None:
        for card in ("hang-1", "hangstatus-1", "hangbody-1"):
            self.lost(self.client(timeout=0.2), card)

    def test_an_early_end_leaves_the_body_unread(self) -> None:
        self.lost(self.client(), "early-1")
        self.assertEqual((self.api.requests, self.api.unread), ([], ["early-1"]))

    def test_reuse_ends_only_a_connection_that_was_used_before(self) -> None:
        self.lost(self.client(), "reuse-1")  # the token came first
        client = self.client()
        client.bearer = self.api.secrets()[1]
        self.assertEqual(client.track("reuse-1")[0], 202)

    def test_an_answer_can_be_cut_at_every_byte(self) -> None:
        bearer = self.client()
        bearer.token()
        whole = len(behaviours.OK.answer("x" * 32, "d" * 29))
        for size in range(0, whole + 1, 20):
            self.api.clear_scripts()
            self.api.on_track(lambda _: behaviours.lost("cut", "drop", size))
            got = b""
            with socket.create_connection(("localhost", self.api.port), 5) as plain, \
                    bearer.context.wrap_socket(plain, server_hostname="localhost") as sock:
                body = json.dumps(GOOD)
                sock.sendall(f"POST /banking/v1/issuers/BANKFR0001/physicalCards/card/track HTTP/1.1\r\nHost: localhost\r\n"
                             f"Content-Type: application/json\r\nAuthorization: Bearer {bearer.bearer}\r\nX-Correlation-Id: cut{size}\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
                with contextlib.suppress(OSError):
                    while more := sock.recv(4096):
                        got += more
            self.assertEqual(len(got), size)
        self.assertEqual(self.api.bad, [])

    def test_every_entry_of_the_table_can_be_answered(self) -> None:
        for plan in behaviours.CARDS.values():
            for behaviour in plan:
                self.assertTrue(behaviour.answer("id", "date") or behaviour.end != "keep", behaviour.name)

    # -- switches

    def test_outage_ends_when_told(self) -> None:
        client = self.client()
        self.api.outage(503, "7")
        self.assertEqual((client.track("card")[0], client.headers["Retry-After"]), (503, "7"))
        self.api.outage()
        self.assertEqual(client.track("card")[0], 202)

    def test_down_refuses_and_comes_back_on_the_same_port(self) -> None:
        client = self.client()
        client.track("card-1")
        self.api.set_down(True)
        for _ in range(2):
            with self.assertRaises(OSError):
                socket.create_connection(("127.0.0.1", self.api.port), 1)
        self.lost(client, "card-2")
        self.api.set_down(False)
        self.assertEqual(client.track("card-3")[0], 202)

    def test_a_request_under_way_is_answered_before_going_down(self) -> None:
        client = self.client()
        client.token()
        answers: list[int] = []
        self.api.delay = 0.3
        thread = threading.Thread(target=lambda: answers.append(client.track("card")[0]))
        thread.start()
        while not self.api.requests:
            time.sleep(0.01)
        self.api.set_down(True)
        thread.join()
        self.assertEqual(answers, [202])

    def test_certificates_can_be_swapped(self) -> None:
        for name, reason in (("expired-server", "expired"), ("wrong-host-server", "mismatch"), ("other-server", "unable to get local")):
            self.api.swap_certificate(name)
            with self.assertRaisesRegex(ssl.SSLCertVerificationError, reason):
                self.client().track("card")
        self.api.swap_certificate("server")
        self.assertEqual(self.client().track("card")[0], 202)

    def test_the_handshake_can_fail(self) -> None:
        for how in ("close", "reset", "hang", "garbage"):
            self.api.accepting = how  # type: ignore[assignment]
            self.lost(self.client(timeout=0.3), "card")

    def test_token_behaviours_are_by_name_and_may_be_counted(self) -> None:
        client = self.client()
        self.api.set_token_behaviour("401", times=2)
        self.assertEqual([client.token()[0] for _ in range(3)], [401, 401, 200])
        for name, expected in (("no_expires", 200), ("string_expires", 200), ("zero_expires", 200), ("fraction_expires", 200)):
            self.api.set_token_behaviour(name)
            client.bearer = ""
            self.assertEqual(client.token()[0], expected)
            self.assertEqual(client.track("card")[0], 202)
        for name in behaviours.TOKENS:
            if name not in ("hang", "slow", "close", "reset", "cut", "ok"):
                self.api.set_token_behaviour(name)
                client.token()
        self.assertEqual(self.api.bad, [])

    def test_connections_end_after_so_many_requests(self) -> None:
        self.api.requests_per_connection = 3
        client = self.client()
        for i in range(6):
            client.track(f"card-{i}")
        self.assertEqual([(r.connection, r.nth) for r in self.api.requests], [(1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1)])

    def test_the_date_can_be_skewed_and_the_assertion_is_judged_by_it(self) -> None:
        client = self.client()
        self.api.date_skew = 3600
        late = make_assertion(self.api.pki / "jwt.key", CLAIMS | {"exp": int(time.time()) + 300})
        self.assertEqual(client.token(late)[0], 400)
        self.assertEqual(client.track("card")[0], 202)

    def test_requests_in_flight_are_counted(self) -> None:
        self.api.delay = 0.2
        clients = [self.client() for _ in range(5)]
        threads = [threading.Thread(target=c.track, args=(f"card-{i}",)) for i, c in enumerate(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertGreaterEqual(self.api.most_in_flight, 4)
        # A client has its answer a moment before the server has counted down.
        wait_for(lambda: self.api.in_flight == 0, 5, "no request in flight")


if __name__ == "__main__":
    unittest.main()
