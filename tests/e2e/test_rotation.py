"""Keys and certificates that are replaced on disk are used at the next token or connection, without a restart."""

from __future__ import annotations

import shutil
import tempfile
import unittest
from pathlib import Path

import manifests
import oracles
import pki
from harness import Bureau
from scripted_api import ScriptedApi

QUICK = {"first": "20ms", "most": "200ms"}


class RotationTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tb-keys-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.theirs = self.folder / "theirs"  # what the API works with
        shutil.copytree(pki.shared(), self.theirs)
        for name in ("jwt.key", "client.pem", "client.key", "ca.pem"):
            self.put(name, name)
        self.api = ScriptedApi(self.theirs).start()
        self.addCleanup(self.api.stop)
        ours = {"certificate": str(self.folder / "client.pem"), "key": str(self.folder / "client.key"), "ca": str(self.folder / "ca.pem")}
        self.bureau = Bureau(self.api, endpoint={"tls": ours, "jwt": {"key": str(self.folder / "jwt.key")}, "retry": QUICK})
        self.addCleanup(self.bureau.close)
        self.bureau.start()
        self.bureau.drop("first.csv", manifests.cards(["first"]))
        self.bureau.wait_manifest("first.csv")

    def put(self, name: str, source: str) -> None:
        """As a careful tool does it: by a rename."""
        shutil.copy(pki.shared() / source, self.folder / "new")
        (self.folder / "new").rename(self.folder / name)

    def drop(self) -> None:
        self.bureau.drop("next.csv", manifests.cards(["card-1", "card-2", "card-3"]))

    def drains(self) -> None:
        self.bureau.wait_manifest("next.csv")
        self.bureau.wait_endpoint("open")
        pid = self.bureau.pid
        self.bureau.stop()
        self.assertEqual(pid, self.bureau.pid)
        self.assertEqual([len(self.api.of_card(f"card-{i}")) for i in (1, 2, 3)], [1, 1, 1])

    def waits_for(self, reason: str) -> None:
        self.bureau.wait(lambda: self.bureau.endpoint()["reason"] == reason, f"a pause for {reason}")
        self.assertEqual(self.bureau.rows("state NOT IN ('queued', 'sending', 'accepted')"), [])

    def test_a_new_jwt_key_signs_the_next_assertion(self) -> None:
        self.put("jwt.key", "other-jwt.key")
        self.api.swap_key("other-jwt")
        self.drop()
        self.bureau.wait_manifest("next.csv")
        self.bureau.stop()
        self.assertEqual(len(self.api.token_requests), 2)
        self.assertEqual(oracles.all_of(self.bureau), [])

    def test_a_jwt_key_that_was_revoked_costs_no_row_until_the_new_one_is_there(self) -> None:
        self.api.swap_key("other-jwt")
        self.drop()
        self.waits_for("credentials")
        self.put("jwt.key", "other-jwt.key")
        self.bureau.wait_manifest("next.csv")
        self.bureau.wait_endpoint("open")
        self.bureau.stop()
        self.assertEqual(self.bureau.rows("state <> 'accepted'"), [])
        self.assertEqual([fault for fault in oracles.all_of(self.bureau) if not fault.startswith("token: ")], [])

    def test_a_new_client_certificate_is_shown_at_the_next_connection(self) -> None:
        shutil.copy(self.theirs / "other-ca.pem", self.theirs / "ca.pem")
        self.put("client.pem", "other-client.pem")
        self.put("client.key", "other-client.key")
        self.api.swap_certificate("server")
        self.bureau.wait(self.api.all_ended, "the end of kept connections")
        self.drop()
        self.drains()
        self.assertEqual((self.api.refused_handshakes, self.bureau.rows("attempts <> 1")), ([], []))
        self.assertEqual(oracles.all_of(self.bureau), [])

    def test_a_certificate_whose_key_comes_a_little_later_costs_no_row(self) -> None:
        shutil.copy(self.theirs / "other-ca.pem", self.theirs / "ca.pem")
        self.put("client.pem", "other-client.pem")
        self.api.swap_certificate("server")
        self.bureau.wait(self.api.all_ended, "the end of kept connections")
        self.drop()
        self.waits_for("certificate")
        self.put("client.key", "other-client.key")
        self.drains()
        self.assertEqual(oracles.all_of(self.bureau), [])

    def test_a_new_ca_is_trusted_at_the_next_connection(self) -> None:
        self.api.swap_certificate("other-server")
        self.bureau.wait(self.api.all_ended, "the end of kept connections")
        self.drop()
        self.waits_for("certificate")
        self.put("ca.pem", "other-ca.pem")
        self.drains()
        self.assertEqual(oracles.all_of(self.bureau), [])

    def test_an_old_ca_is_trusted_no_more_at_the_next_connection(self) -> None:
        self.put("ca.pem", "other-ca.pem")
        self.bureau.wait(self.api.all_ended, "the end of kept connections")
        heard = self.api.header_names.total()
        self.drop()
        self.waits_for("certificate")
        self.assertEqual(self.api.header_names.total(), heard)
        self.put("ca.pem", "ca.pem")
        self.drains()
        self.assertEqual(oracles.all_of(self.bureau), [])


if __name__ == "__main__":
    unittest.main()
