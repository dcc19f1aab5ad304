"""The npm package jose verifies an assertion that the daemon made: header, claims and signature by somebody else's reading of the RFCs.

    TRACKBRIDGE=build/release/trackbridge python3 tests/peers/jose.py
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
import unittest
from typing import Any

import peers

import manifests
import pki
from harness import Bureau
from scripted_api import ScriptedApi


def verified(assertions: list[str], key: str = "jwt.pub", issuer: str = "BANKFR0001") -> list[dict[str, Any]]:
    command = [peers.program("node"), peers.HERE / "jose_verify.mjs", peers.packages(), pki.shared() / key, issuer]
    done = subprocess.run(command, input="\n".join(assertions), capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def with_changed_signature(assertion: str) -> str:
    head, _, signature = assertion.rpartition(".")
    octets = bytearray(base64.urlsafe_b64decode(signature + "=="))
    octets[40] ^= 1
    return f"{head}.{base64.urlsafe_b64encode(octets).decode().rstrip('=')}"


class Jose(unittest.TestCase):
    assertion: str
    made: float

    @classmethod
    def setUpClass(cls) -> None:
        """What the real daemon presents for a token before it sends one row."""
        with ScriptedApi() as api, Bureau(api) as bureau:
            bureau.drop("a.csv", manifests.realistic(1))
            status = bureau.until_idle()
            if status or not api.token_requests:
                raise AssertionError(f"the daemon ended with {status} and asked for {len(api.token_requests)} tokens\n{bureau.log_tail()}")
            cls.assertion = api.token_requests[0].assertion
            cls.made = api.token_requests[0].t

    def test_the_daemons_assertion_is_good(self) -> None:
        verdict, = verified([self.assertion])
        self.assertNotIn("fault", verdict)
        self.assertEqual(verdict["header"], {"alg": "ES256", "typ": "JWT", "kid": "2026-01"})
        claims = verdict["claims"]
        self.assertEqual((claims["iss"], claims["sub"]), ("BANKFR0001", "BANKFR0001"))
        self.assertIsInstance(claims["exp"], int)
        self.assertLessEqual(claims["exp"], self.made + 15 * 60)
        self.assertGreater(claims["exp"], time.time())
        print("jose took the assertion:", json.dumps(verdict), flush=True)

    def test_a_changed_one_is_refused(self) -> None:
        head, claims, signature = self.assertion.split(".")
        other = base64.urlsafe_b64encode(b'{"iss":"BANKFR0002","sub":"BANKFR0002","exp":9999999999}').decode().rstrip("=")
        verdicts = verified([with_changed_signature(self.assertion), f"{head}.{other}.{signature}", f"{head}.{claims}."])
        self.assertEqual([v.get("fault") for v in verdicts], ["ERR_JWS_SIGNATURE_VERIFICATION_FAILED"] * 3)

    def test_one_for_another_issuer_or_key_is_refused(self) -> None:
        self.assertEqual(verified([self.assertion], issuer="BANKFR0002")[0].get("fault"), "ERR_JWT_CLAIM_VALIDATION_FAILED")
        self.assertEqual(verified([self.assertion], key="other-jwt.pub")[0].get("fault"), "ERR_JWS_SIGNATURE_VERIFICATION_FAILED")


if __name__ == "__main__":
    peers.main()
