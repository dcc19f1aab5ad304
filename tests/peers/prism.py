"""Prism judges what the daemon sends by D1's document (tests/data/d1-track.openapi.json): a request that it would not have must not leave.

    TRACKBRIDGE=build/release/trackbridge python3 tests/peers/prism.py

Prism has neither TLS nor HTTP/2 nor client certificates: nginx in front has. It takes impossible dates, any content type and any bearer.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import ssl
import tempfile
import unittest
from pathlib import Path
from typing import Any

import nginx
import peers

import manifests
import oracles
import pki
from harness import Bureau, wait_for
from scripted_api import TOKEN_PATH

DATA = peers.HERE.parent / "data"
DOCUMENT = DATA / "d1-track.openapi.json"
ACCEPTED = 'Responding with the requested status code 202'
VIOLATION = "Violation:"
TRACK = "/banking/v1/issuers/{}/physicalCards/{}/track"

# As tools/demo.sh configures them.
DEMO: list[tuple[str, dict[str, Any]]] = [
    ("SUIVI_20260327.csv SUIVI_20260329.csv", {
        "name": "orleans", "format": {"encoding": "iso-8859-1"},
        "fields": {
            "cardId": "REF_CARTE",
            "trackingType": {"column": "STATUT", "map": {"FABRIQUÉE": "PRODUCTION", "EXPÉDIÉE": "SHIPMENT", "NPAI": "RETURN",
                                                         "EN COURS": "skip", **dict.fromkeys(("PRODUCED", "SHIPPED", "RTS", "EMBOSSED"))}},
            "productionSite": {"default": "Orléans"}, "trackingNumber": "NO_SUIVI", "postalCode": "CODE_POSTAL",
            "countryCode": {"column": "PAYS", "map": {"FRANCE": None, "France": "FR", "Belgique": "BE", "Suisse": "CH", "Monaco": "MC"},
                            "otherwise": None},
            "shipmentDate": {"column": "DATE_EXPEDITION"}}}),
    ("dispatch.csv", {
        "name": "dublin", "format": {"delimiter": ","},
        "fields": {"issuerId": "issuer", "cardId": "card", "trackingType": "event", "productionSite": "site", "trackingNumber": "number",
                   "postalCode": {"column": "zip"}, "countryCode": "country", "shipmentDate": "shipped at"}}),
    ("EMB00412.dat", {
        "name": "bern", "match": ["*.dat"], "format": {"delimiter": "|", "quote": "none", "header": False},
        "trailer": {"first_column": "TRL", "count_column": 2, "counts": "rows+trailer"},
        "fields": {
            "cardId": 1,
            "trackingType": {"column": 2, "map": {"P": "PRODUCTION", "S": "SHIPMENT", "R": "RETURN", "X": "skip",
                                                  **dict.fromkeys(("PRODUCED", "SHIPPED", "RTS", "EMBOSSED"))}},
            "productionSite": {"column": None, "default": None, "value": "Bern"}, "trackingNumber": 4, "postalCode": 5, "countryCode": 6,
            "shipmentDate": {"column": 3, "format": "%Y%m%d", "timezone": "Europe/Zurich", "time": "12:00"}},
        "shipment_without_number": "production"}),
]

GOOD = {"trackingType": "SHIPMENT", "trackingNumber": "6A 0123.4/7-FR", "shipmentDate": "2026-11-20T14:30:00Z", "productionSite": "Lyon"}
# What D1's document forbids: Prism has to say so, or its silence about the daemon's requests would mean nothing.
BAD: list[tuple[str, str, dict[str, Any]]] = [
    ("BANKFR001", "card-1", GOOD),
    ("BANKFR0001", "c" * 49, GOOD),
    ("BANKFR0001", "card-1", {**GOOD, "carrier": "LP"}),
    ("BANKFR0001", "card-1", {**GOOD, "postalCode": None}),
    ("BANKFR0001", "card-1", {**GOOD, "postalCode": "w1a 1aa"}),
    ("BANKFR0001", "card-1", {**GOOD, "countryCode": "FRANCE"}),
    ("BANKFR0001", "card-1", {**GOOD, "shipmentDate": "2026-11-20T14:30:00+01:00"}),
    ("BANKFR0001", "card-1", {**GOOD, "trackingNumber": ""}),
    ("BANKFR0001", "card-1", {**GOOD, "productionSite": "x" * 51}),
    ("BANKFR0001", "card-1", {k: v for k, v in GOOD.items() if k != "shipmentDate"}),
    ("BANKFR0001", "card-1", {**GOOD, "trackingType": "RETURN"}),
    ("BANKFR0001", "card-1", {"trackingType": "LOST", "productionSite": "Lyon"}),
]


class Prism(unittest.TestCase):
    everything: contextlib.ExitStack
    log: Path
    front: nginx.Front

    @classmethod
    def setUpClass(cls) -> None:
        cls.everything = contextlib.ExitStack()
        cls.addClassCleanup(cls.everything.close)
        folder = Path(tempfile.mkdtemp(prefix="tb-prism-"))
        cls.everything.callback(shutil.rmtree, folder, ignore_errors=True)
        cls.log = folder / "prism.log"
        port = peers.free_port()
        prism = peers.packages() / "node_modules/@stoplight/prism-cli/dist/index.js"
        command = [peers.program("node"), prism, "mock", "-h", "127.0.0.1", "-p", str(port), DOCUMENT]
        log = cls.everything.enter_context(open(cls.log, "ab"))
        cls.everything.enter_context(peers.running(command, port, log))
        cls.front = cls.everything.enter_context(nginx.front(folder / "nginx", port, pki.shared()))

    def setUp(self) -> None:
        self.seen = len(self.words)
        self.front.forget()

    @property
    def words(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def said(self, what: str) -> int:
        """How often Prism's log has it since the test began."""
        return self.words[self.seen:].count(what)

    def post(self, issuer: str, card: str, body: dict[str, Any], **headers: str) -> int:
        keys = pki.shared()
        context = ssl.create_default_context(cafile=str(keys / "ca.pem"))
        context.load_cert_chain(keys / "client.pem", keys / "client.key")
        connection = http.client.HTTPSConnection("localhost", self.front.port, context=context, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", TRACK.format(issuer, card), json.dumps(body), {"Content-Type": "application/json"} | headers)
            return connection.getresponse().status

    def judged(self, bureau: Bureau) -> list[dict[str, Any]]:
        """The track requests: each attempted once, answered 202 and recorded so. Besides them one token was asked for, and nothing else."""
        requests = self.front.requests()
        tokens = [r for r in requests if r["path"] == TOKEN_PATH]
        tracks = [r for r in requests if r["path"] != TOKEN_PATH]
        self.assertEqual([r for r in requests if r["client"] != "SUCCESS"], [])
        self.assertEqual([r["status"] for r in tokens], [200])
        self.assertEqual([r for r in tracks if r["status"] != 202], [])
        accepted = bureau.rows("state = 'accepted'")
        self.assertEqual({r["correlation_id"] for r in accepted}, {r["correlation"] for r in tracks})
        self.assertEqual((len(tracks), len(bureau.attempts())), (len(accepted), len(accepted)))
        self.assertEqual({TRACK.format(r["issuer_id"], r["card_id"]) for r in accepted}, {r["path"] for r in tracks})
        self.assertEqual({r["operation_id"] for r in accepted}, {"prism-operation_1"})
        wait_for(lambda: self.said(ACCEPTED) >= len(tracks), what="Prism's word on every request")
        self.assertEqual((self.said(ACCEPTED), self.said(VIOLATION)), (len(tracks), 0))
        self.assertEqual(oracles.balance(bureau), [])
        return tracks

    def thousand(self, version: str, protocol: str) -> None:
        manifest = manifests.realistic(1000)
        with Bureau(url=self.front.url, endpoint={"http": version, "timeout": "8s"}) as bureau:
            bureau.drop("thousand.csv", manifest)
            status = bureau.until_idle(120)
            tracks = self.judged(bureau)
        self.assertEqual(status, 0)
        self.assertEqual({r["protocol"] for r in tracks}, {protocol})
        wanted = sorted((TRACK.format("BANKFR0001", row.card), sorted(row.body().items())) for row in manifest.rows)
        self.assertEqual(sorted((r["path"], sorted(json.loads(r["body"]).items())) for r in tracks), wanted)
        print(f"{len(tracks)} requests over {protocol}: each answered 202, no violation", flush=True)

    def test_what_the_document_forbids_is_told(self) -> None:
        bearer = {"Authorization": "Bearer any"}
        self.assertEqual(self.post("BANKFR0001", "card-1", GOOD, **bearer), 202)
        self.assertEqual([b for b in BAD if self.post(*b, **bearer) != 400], [])
        self.assertEqual(self.post("BANKFR0001", "card-1", GOOD), 401)
        self.assertEqual(self.post("BANKFR0001", "card-1", GOOD, **bearer, **{"x-correlation-id": "a b"}), 400)
        wait_for(lambda: self.said(VIOLATION) >= len(BAD) + 2, what="Prism's word on every violation")

    def test_every_request_of_a_manifest_is_as_the_document_says(self) -> None:
        self.thousand("1.1", "HTTP/1.1")

    def test_every_request_over_http_2_is_as_the_document_says(self) -> None:
        self.thousand("2", "HTTP/2.0")

    def test_every_request_of_the_demo_is_as_the_document_says(self) -> None:
        with Bureau(url=self.front.url, sources=[source for _, source in DEMO]) as bureau:
            for n, (names, _) in enumerate(DEMO):
                for name in names.split():
                    bureau.drop(name, (DATA / "demo" / name).read_bytes(), source=n)
            bureau.until_idle(60)
            tracks = self.judged(bureau)
            found = bureau.query("SELECT name, accepted, rows - accepted - rejected - duplicate - skipped AS others FROM manifest_status")
        wanted = sorted(name for names, _ in DEMO for name in names.split())
        self.assertEqual(sorted(m["name"] for m in found if m["accepted"] and not m["others"]), wanted, found)
        print(f"{len(tracks)} requests of the demo's {len(found)} manifests: each answered 202, no violation", flush=True)


if __name__ == "__main__":
    peers.main("nginx")
