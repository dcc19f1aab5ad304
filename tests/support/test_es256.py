"""es256 judged by openssl, which made the signatures here."""

from __future__ import annotations

import json
import subprocess
import time
import unittest
from pathlib import Path
from typing import Any

import es256
import pki

NOW = 1_900_000_000
HEADER = {"alg": "ES256", "typ": "JWT", "kid": "2026-01"}
CLAIMS = {"iss": "BANKFR0001", "sub": "BANKFR0001", "exp": NOW + 300}


def der_to_raw(der: bytes) -> bytes:
    """ECDSA-Sig-Value (two DER integers) as R‖S."""
    assert der[0] == 0x30 and der[1] == len(der) - 2 and der[2] == 2
    r, rest = der[4:4 + der[3]], der[4 + der[3]:]
    assert rest[0] == 2
    s = rest[2:2 + rest[1]]
    return int.from_bytes(r, "big").to_bytes(32, "big") + int.from_bytes(s, "big").to_bytes(32, "big")


def openssl_sign(key: Path, message: bytes) -> bytes:
    return subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(key)], input=message, check=True, capture_output=True).stdout


def make_assertion(key: Path, claims: Any, header: Any = HEADER, *, der: bool = False) -> str:
    text = ".".join(es256.encode(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims))
    signature = openssl_sign(key, text.encode())
    return f"{text}.{es256.encode(signature if der else der_to_raw(signature))}"


class Es256Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.pki = pki.shared()
        cls.private = cls.pki / "jwt.key"
        cls.key = es256.public_key(cls.pki / "jwt.pub")

    def refused(self, assertion: str, reason: str, now: float = NOW) -> None:
        with self.assertRaisesRegex(es256.BadAssertion, reason):
            es256.check(assertion, self.key, key_id="2026-01", issuer="BANKFR0001", now=now)

    def test_signatures_of_openssl_are_good(self) -> None:
        for i in range(10):
            message = b"x" * i
            self.assertTrue(es256.verify(self.key, message, der_to_raw(openssl_sign(self.private, message))))

    def test_a_signature_with_a_short_half_is_good(self) -> None:
        for i in range(2000):
            raw = der_to_raw(openssl_sign(self.private, b"m"))
            if raw[0] == 0 or raw[32] == 0:
                self.assertTrue(es256.verify(self.key, b"m", raw))
                return
        self.fail("no short half in 2000 signatures")

    def test_any_changed_bit_is_seen(self) -> None:
        raw = der_to_raw(openssl_sign(self.private, b"message"))
        for bit in range(0, 512, 37):
            broken = bytearray(raw)
            broken[bit // 8] ^= 1 << bit % 8
            self.assertFalse(es256.verify(self.key, b"message", bytes(broken)))
        self.assertFalse(es256.verify(self.key, b"massage", raw))

    def test_another_key_is_refused(self) -> None:
        raw = der_to_raw(openssl_sign(self.pki / "other-jwt.key", b"message"))
        self.assertFalse(es256.verify(self.key, b"message", raw))

    def test_zero_and_too_large_numbers_are_refused(self) -> None:
        for half in (bytes(32), es256.N.to_bytes(32, "big")):
            self.assertFalse(es256.verify(self.key, b"m", half + b"\1" * 32))
            self.assertFalse(es256.verify(self.key, b"m", b"\1" * 32 + half))

    def test_verification_takes_milliseconds(self) -> None:
        raw = der_to_raw(openssl_sign(self.private, b"m"))
        begun = time.process_time()
        for _ in range(10):
            es256.verify(self.key, b"m", raw)
        self.assertLess((time.process_time() - begun) / 10, 0.05)

    def test_a_good_assertion_gives_its_claims(self) -> None:
        claims = es256.check(make_assertion(self.private, CLAIMS), self.key, key_id="2026-01", issuer="BANKFR0001", now=NOW)
        self.assertEqual(claims, CLAIMS)

    def test_each_wrong_header_is_refused(self) -> None:
        for change, reason in (({"alg": "RS256"}, "alg"), ({"alg": "none"}, "alg"), ({"typ": "jwt"}, "typ"), ({"kid": "x"}, "kid"),
                               ({"jwk": {}}, "more than")):
            self.refused(make_assertion(self.private, CLAIMS, HEADER | change), reason)
        for name, reason in (("alg", "alg"), ("typ", "typ"), ("kid", "kid")):
            self.refused(make_assertion(self.private, CLAIMS, {k: v for k, v in HEADER.items() if k != name}), reason)

    def test_each_wrong_claim_is_refused(self) -> None:
        for change, reason in (({"iss": "BANKFR0002", "sub": "BANKFR0002"}, "iss"), ({"sub": "BANKFR0002"}, "sub"),
                               ({"exp": NOW}, "exp"), ({"exp": NOW + 901}, "exp"), ({"exp": NOW + 1.5}, "integer"),
                               ({"exp": str(NOW + 9)}, "integer"), ({"exp": True}, "integer"), ({"iat": NOW + 1}, "iat"),
                               ({"scope": "x"}, "unknown claim")):
            self.refused(make_assertion(self.private, CLAIMS | change), reason)
        self.refused(make_assertion(self.private, {"iss": "BANKFR0001", "sub": "BANKFR0001"}), "exp")

    def test_a_der_signature_is_refused(self) -> None:
        self.refused(make_assertion(self.private, CLAIMS, der=True), "bytes, not 64")

    def test_other_forms_are_refused(self) -> None:
        good = make_assertion(self.private, CLAIMS)
        self.refused(good + ".", "three parts")
        self.refused(good + "=", "base64url")
        self.refused(good.replace(".", "..", 1), "three parts")
        self.refused(make_assertion(self.private, b"[]"), "not an object")
        self.refused(make_assertion(self.private, b"{"), "not JSON")
        self.refused(make_assertion(self.private, b'{"iss":"a","iss":"BANKFR0001"}'), "twice")


if __name__ == "__main__":
    unittest.main()
