"""The way to D1: what a connection is made with, where it goes, what is sent over it, and how much is taken from it."""

from __future__ import annotations

import shutil
import ssl
import tempfile
import unittest
from pathlib import Path

import behaviours
import manifests
import oracles
import pki
from behaviours import Behaviour, raw, status
from harness import TOKEN_PATH, Bureau
from relay import Relay
from scripted_api import ScriptedApi

QUICK = {"first": "20ms", "most": "200ms"}
HEADERS = {"host", "user-agent", "accept", "content-type", "content-length", "x-correlation-id", "authorization"}


class Scene(unittest.TestCase):
    def api(self, keys: Path | None = None) -> ScriptedApi:
        api = ScriptedApi(keys).start()
        self.addCleanup(api.stop)
        return api

    def bureau(self, api: ScriptedApi, url: str = "", environment: dict[str, str] | None = None, **endpoint: object) -> Bureau:
        bureau = Bureau(api, url=url, endpoint={"retry": QUICK} | endpoint, environment=environment)
        self.addCleanup(bureau.close)
        return bureau

    def started(self, api: ScriptedApi, url: str = "", environment: dict[str, str] | None = None, **endpoint: object) -> Bureau:
        """With a first row accepted: there is a token, and a kept connection."""
        bureau = self.bureau(api, url, environment, **endpoint)
        bureau.drop("first.csv", manifests.cards(["first"]))
        bureau.start()
        bureau.wait_manifest("first.csv")
        return bureau

    def sends(self, bureau: Bureau, n: int) -> None:
        """That many rows, each accepted at the first attempt."""
        bureau.drop("all.csv", manifests.cards(f"card-{i}" for i in range(n)))
        bureau.wait_manifest("all.csv", seconds=30)
        bureau.stop()
        self.assertEqual(bureau.rows("state <> 'accepted' OR attempts <> 1"), [])
        self.assertEqual(oracles.all_of(bureau), [])


class TlsTest(Scene):
    # A machine whose OpenSSL is told to speak anything: what is refused then, is refused by us.
    LAX = """openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = lax
[lax]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
"""

    def test_tls_1_2_is_spoken_and_nothing_older(self) -> None:
        api = self.api()
        with tempfile.NamedTemporaryFile("w", suffix=".cnf") as lax:
            lax.write(self.LAX)
            lax.flush()
            self.refuses_tls_1_1(api, self.started(api, environment={"OPENSSL_CONF": lax.name}))

    def refuses_tls_1_1(self, api: ScriptedApi, bureau: Bureau) -> None:
        api.limit_tls(ssl.TLSVersion.TLSv1_1)
        bureau.wait(api.all_ended, "the end of kept connections")
        bureau.drop("a.csv", manifests.cards(["card-1", "card-2"]))
        bureau.wait(lambda: bureau.endpoint()["reason"] == "outage", "a pause")
        self.assertIn("the request was not sent whole", bureau.wait_row("card-1", "queued")["detail"])
        self.assertTrue(all("version" in why.lower() or "unsupported protocol" in why.lower() for why in api.refused_handshakes))
        self.assertEqual(len(api.requests), 1)
        api.limit_tls(ssl.TLSVersion.TLSv1_2)
        bureau.wait_manifest("a.csv")
        bureau.stop()
        self.assertEqual([len(api.of_card(f"card-{i}")) for i in (1, 2)], [1, 1])
        self.assertEqual(oracles.all_of(bureau), [])

    def test_no_key_of_a_connection_is_written_down_whatever_the_environment_says(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="tb-keylog-"))
        self.addCleanup(shutil.rmtree, folder)
        bureau = self.bureau(self.api(), environment={"SSLKEYLOGFILE": str(folder / "keys")})
        bureau.start()
        self.sends(bureau, 1)
        self.assertEqual((bureau.cli("check", "--online").returncode, list(folder.iterdir())), (0, []))

    def test_a_server_whose_certificate_does_not_hold_is_told_nothing(self) -> None:
        for name in ("wrong-host-server", "other-server", "expired-server"):
            with self.subTest(name):
                api = self.api()
                api.swap_certificate(name)
                bureau = self.bureau(api)
                bureau.drop("a.csv", manifests.cards(["card-1"]))
                bureau.start()
                bureau.wait_endpoint("paused", "certificate")
                self.assertEqual((len(api.header_names), len(api.token_requests)), (0, 0))
                api.swap_certificate("server")
                bureau.wait_manifest("a.csv")
                api.swap_certificate(name)
                bureau.wait(api.all_ended, "the end of kept connections")
                seen = api.header_names.total()
                bureau.drop("b.csv", manifests.cards(["card-2", "card-3"]))
                bureau.wait(lambda: bureau.endpoint()["reason"] == "certificate", "the pause")
                self.assertEqual(api.header_names.total(), seen)
                api.swap_certificate("server")
                bureau.wait_manifest("b.csv")
                bureau.stop()
                self.assertEqual(oracles.all_of(bureau), [])


class ProxyTest(Scene):
    def test_the_environments_proxies_are_not_asked(self) -> None:
        api = self.api()
        with Relay(api.port, proxy=True) as proxy:
            names = ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")
            bureau = self.bureau(api, environment=dict.fromkeys(names, f"http://127.0.0.1:{proxy.port}"))
            bureau.start()
            self.sends(bureau, 3)
            self.assertEqual((proxy.connections, bureau.cli("check", "--online").returncode, proxy.connections), (0, 0, 0))

    def test_a_configured_proxy_is_used_whatever_the_environment_says(self) -> None:
        api = self.api()
        with Relay(api.port, proxy=True) as proxy:
            bureau = self.bureau(api, environment={"NO_PROXY": "*", "no_proxy": "localhost,127.0.0.1"},
                                 proxy=f"http://127.0.0.1:{proxy.port}")
            bureau.start()
            self.sends(bureau, 20)
            self.assertEqual(api.connections, proxy.connections)
            for head in proxy.heads:
                self.assertTrue(head.startswith(f"CONNECT localhost:{api.port} HTTP/1.1\r\n".encode()), head)
                self.assertNotIn(b"uthorization", head)
                self.assertNotIn(b"card-", head)

    def test_a_proxy_that_wants_a_login_pauses_and_costs_the_row_nothing(self) -> None:
        api = self.api()
        with Relay(api.port, proxy=True) as proxy:
            bureau = self.started(api, proxy=f"http://127.0.0.1:{proxy.port}")
            proxy.refusal = b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"
            bureau.wait(api.all_ended, "the end of kept connections")
            bureau.drop("a.csv", manifests.cards(["card-1", "card-2"]))
            bureau.wait(lambda: bureau.endpoint()["reason"] == "proxy", "a pause for the proxy")
            self.assertEqual(bureau.rows("state NOT IN ('queued', 'sending', 'accepted')"), [])
            proxy.refusal = b""
            bureau.wait_manifest("a.csv")
            bureau.stop()
            self.assertEqual([len(api.of_card(f"card-{i}")) for i in (1, 2)], [1, 1])
            self.assertEqual(oracles.all_of(bureau), [])

    def test_a_proxy_that_breaks_or_refuses_was_handed_nothing(self) -> None:
        for refusal in (b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200", b"\x00\x01\r\n\r\n"):
            with self.subTest(refusal):
                api = self.api()
                with Relay(api.port, proxy=True) as proxy:
                    bureau = self.started(api, proxy=f"http://127.0.0.1:{proxy.port}")
                    proxy.refusal = refusal
                    bureau.wait(api.all_ended, "the end of kept connections")
                    bureau.drop("a.csv", manifests.cards(["card-1", "card-2"]))
                    bureau.wait(lambda: bureau.endpoint()["reason"] == "outage", "a pause")
                    self.assertIn("the request was not sent whole", bureau.wait_row("card-1", "queued")["detail"])
                    proxy.refusal = b""
                    bureau.wait_manifest("a.csv")
                    bureau.stop()
                    self.assertEqual(oracles.all_of(bureau), [])


class RequestTest(Scene):
    def test_a_redirected_token_request_is_sent_nowhere_else(self) -> None:
        api, elsewhere = self.api(), self.api()
        for code in (301, 302, 303, 307, 308):
            behaviours.TOKENS["elsewhere"] = status(code, body=b"", headers=(("Location", elsewhere.url + TOKEN_PATH),))
            api.set_token_behaviour("elsewhere")
            api.revoke_all_tokens()
            with self.subTest(code):
                bureau = self.bureau(api)
                bureau.drop("a.csv", manifests.cards([f"card-{code}"]))
                bureau.start()
                bureau.wait(lambda: bureau.endpoint()["reason"] == "redirect", "the pause")
                api.set_token_behaviour("ok")
                bureau.wait_manifest("a.csv")
                bureau.stop()
        self.assertEqual(elsewhere.connections, 0)

    def test_a_request_has_just_its_headers_whatever_the_server_asks_for(self) -> None:
        api = self.api()
        asked = (("Set-Cookie", "session=1; Path=/"), ("Alt-Svc", 'h2=":1"; ma=86400'), ("Accept-CH", "DPR"),
                 ("Strict-Transport-Security", "max-age=1"), ("Link", "</x>; rel=preload"), ("Upgrade", "h2"))
        login = tuple(("WWW-Authenticate", way) for way in ("Negotiate", "NTLM", 'Basic realm="x"', 'Digest realm="x", nonce="y"'))
        refused = status(401, headers=(*asked, *login))
        api.on_track(lambda r: refused if r.card == "card-1" and r.of_card == 0 else Behaviour(headers=asked))
        bureau = self.started(api)
        bureau.drop("a.csv", manifests.cards(f"card-{i}" for i in range(10)))
        bureau.wait_manifest("a.csv")
        bureau.stop()
        self.assertEqual(set(api.header_names), HEADERS)
        self.assertEqual(oracles.all_of(bureau), [])

    def test_a_server_that_asks_for_a_pause_before_the_body_gets_the_body(self) -> None:
        """100 and 417 are about Expect, which is never sent."""
        api = self.api()
        api.on_track(lambda r: status(417) if r.card == "card-1" else behaviours.CARDS["i100"][0])
        bureau = self.started(api)
        bureau.drop("a.csv", manifests.cards(["card-0", "card-1"]))
        bureau.wait_manifest("a.csv")
        bureau.stop()
        self.assertEqual([bureau.row(f"card-{i}")["state"] for i in (0, 1)], ["accepted", "refused"])
        self.assertNotIn("expect", api.header_names)


class AnswerTest(Scene):
    """An endless answer of any kind ends: by its size, or with the time-out."""

    LINE = b"X-Line: " + b"x" * 80 + b"\r\n"
    ACCEPTED = b"HTTP/1.1 202 Accepted\r\n"
    ENDLESS: dict[str, tuple[Behaviour, str]] = {
        "lines": (raw("lines", ACCEPTED + LINE * 100_000, "hang"), "accepted"),
        "line": (raw("line", ACCEPTED + b"X-Line: " + b"x" * 8_000_000, "hang"), "accepted"),
        "status": (raw("status", b"HTTP/1.1 202 " + b"x" * 8_000_000, "hang"), "in_doubt"),
        "body": (raw("body", ACCEPTED + b"\r\n" + b"x" * 8_000_000, "hang"), "accepted"),
        "chunks": (raw("chunks", ACCEPTED + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1_000_000, "hang"), "accepted"),
        "interim": (raw("interim", b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000, "hang"), "in_doubt"),
        "interims": (raw("interims", (b"HTTP/1.1 103 Early Hints\r\n" + LINE * 10 + b"\r\n") * 10_000, "hang"), "in_doubt"),
        "trailers": (raw("trailers", ACCEPTED + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + LINE * 100_000, "hang"),
                     "accepted"),
        "slowly": (raw("slowly", ACCEPTED + b"\r\n" + b"x" * 100_000, "hang", drip=0.01), "accepted"),
    }

    def test_an_answer_without_end_ends(self) -> None:
        api = self.api()
        api.on_track(lambda r: self.ENDLESS[r.card[:-2]][0] if r.card[:-2] in self.ENDLESS else None)
        bureau = self.started(api, timeout="2s", concurrency=4)
        bureau.drop("a.csv", manifests.cards(card for name in self.ENDLESS for card in (f"{name}-1", f"good-{name}")))
        bureau.wait_manifest("a.csv", "released")
        bureau.wait(bureau.at_rest, "the end of it", 30)
        bureau.stop()
        for name, (_, state) in self.ENDLESS.items():
            with self.subTest(name):
                row = bureau.row(f"{name}-1")
                self.assertEqual((row["state"], row["attempts"], row["operation_id"] or ""), (state, 1, ""), row)
        self.assertEqual(bureau.rows("card_id LIKE 'good-%' AND (state <> 'accepted' OR attempts <> 1)"), [])
        self.assertEqual(oracles.all_of(bureau), [])


class AddressTest(Scene):
    """A name with addresses of both families, of which one listens; and addresses as they are."""

    def test_ipv4_alone_listens(self) -> None:
        api = self.api()
        for card, host in enumerate(("localhost", "127.0.0.1")):
            with self.subTest(host):
                bureau = self.bureau(api, f"https://{host}:{api.port}")
                bureau.start()
                bureau.drop("a.csv", manifests.cards([f"card-{card}"]))
                bureau.wait_manifest("a.csv")
                bureau.stop()
                self.assertEqual(bureau.rows("state <> 'accepted' OR attempts <> 1"), [])

    def test_ipv6_alone_listens(self) -> None:
        keys = Path(tempfile.mkdtemp(prefix="tb-keys-"))
        self.addCleanup(shutil.rmtree, keys)
        shutil.copytree(pki.shared(), keys, dirs_exist_ok=True)
        pki.issue(keys, "both", "serverAuth", "DNS:localhost,IP:::1")
        api = self.api(keys)
        api.swap_certificate("both")
        with Relay(api.port, "::1") as relay:
            for card, host in enumerate(("localhost", "[::1]")):
                with self.subTest(host):
                    bureau = self.bureau(api, f"https://{host}:{relay.port}")
                    bureau.start()
                    bureau.drop("a.csv", manifests.cards([f"card-{card}"]))
                    bureau.wait_manifest("a.csv")
                    bureau.stop()
                    self.assertEqual(bureau.rows("state <> 'accepted' OR attempts <> 1"), [])
            self.assertGreater(relay.connections, 1)

    def test_plain_http_goes_to_this_machine(self) -> None:
        api = self.api()
        context = ssl.create_default_context(cafile=str(api.pki / "ca.pem"))
        context.load_cert_chain(api.pki / "client.pem", api.pki / "client.key")
        with Relay(api.port, tls=context) as relay:
            bureau = self.bureau(api, f"http://127.0.0.1:{relay.port}")
            check = bureau.cli("check")
            self.assertEqual((check.returncode, "warning  endpoint bankfr: requests go to this machine itself without TLS" in check.stdout),
                             (0, True), check.stdout)
            bureau.start()
            self.sends(bureau, 10)
            self.assertGreater(relay.connections, 0)

    def test_plain_http_goes_nowhere_else(self) -> None:
        bureau = self.bureau(self.api(), "http://127.0.0.1.example.com")
        run = bureau.cli("run")
        self.assertEqual((run.returncode, "must begin with https://" in run.stderr), (78, True), run.stderr)


if __name__ == "__main__":
    unittest.main()
