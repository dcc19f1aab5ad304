"""ES256 (RFC 7518, 3.4) checked in pure Python, so that a second, independent eye sees each assertion. Strict on purpose."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)
# SubjectPublicKeyInfo of an uncompressed P-256 point, without the point (RFC 5480).
SPKI_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")

Point = tuple[int, int]
Jacobian = tuple[int, int, int]  # z = 0: the point at infinity


class BadAssertion(ValueError):
    """What is wrong with an assertion; the text never has any of it."""


def public_key(path: str | os.PathLike[str]) -> Point:
    lines = Path(path).read_text().strip().splitlines()
    if lines[0] != "-----BEGIN PUBLIC KEY-----" or lines[-1] != "-----END PUBLIC KEY-----":
        raise ValueError(f"{path} is no public key in PEM")
    der = base64.b64decode("".join(lines[1:-1]), validate=True)
    if len(der) != len(SPKI_PREFIX) + 64 or not der.startswith(SPKI_PREFIX):
        raise ValueError(f"{path} is no P-256 key")
    x, y = int.from_bytes(der[-64:-32], "big"), int.from_bytes(der[-32:], "big")
    if x >= P or y >= P or (y * y - (x * x * x - 3 * x + B)) % P:
        raise ValueError(f"{path}: the point is not on the curve")
    return x, y


def _double(point: Jacobian) -> Jacobian:
    x, y, z = point
    if not z or not y:
        return 0, 1, 0
    yy = y * y % P
    s = 4 * x * yy % P
    zz = z * z % P
    m = 3 * (x - zz) * (x + zz) % P
    ret_x = (m * m - 2 * s) % P
    return ret_x, (m * (s - ret_x) - 8 * yy * yy) % P, 2 * y * z % P


def _add(one: Jacobian, two: Jacobian) -> Jacobian:
    if not one[2]:
        return two
    if not two[2]:
        return one
    x1, y1, z1 = one
    x2, y2, z2 = two
    zz1, zz2 = z1 * z1 % P, z2 * z2 % P
    u1, u2 = x1 * zz2 % P, x2 * zz1 % P
    s1, s2 = y1 * z2 * zz2 % P, y2 * z1 * zz1 % P
    if u1 == u2:
        return _double(one) if s1 == s2 else (0, 1, 0)
    h, r = u2 - u1, s2 - s1
    hh = h * h % P
    hhh = h * hh % P
    v = u1 * hh % P
    x = (r * r - hhh - 2 * v) % P
    return x, (r * (v - x) - s1 * hhh) % P, h * z1 * z2 % P


def verify(key: Point, message: bytes, signature: bytes) -> bool:
    """The signature is raw R‖S, 64 bytes."""
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < N and 0 < s < N):
        return False
    inverse = pow(s, -1, N)
    u1 = int.from_bytes(hashlib.sha256(message).digest(), "big") * inverse % N
    u2 = r * inverse % N
    generator: Jacobian = (*G, 1)
    own: Jacobian = (*key, 1)
    steps = {(1, 0): generator, (0, 1): own, (1, 1): _add(generator, own)}
    total: Jacobian = (0, 1, 0)
    for bit in range(255, -1, -1):
        total = _double(total)
        step = steps.get((u1 >> bit & 1, u2 >> bit & 1))
        if step:
            total = _add(total, step)
    if not total[2]:
        return False
    return total[0] * pow(total[2], -2, P) % P % N == r


def decode(text: str) -> bytes:
    """base64url without padding, in its one canonical form (RFC 7515, 2)."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise BadAssertion("a part is not base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise BadAssertion("a part is not base64url") from None
    if encode(data) != text:
        raise BadAssertion("a part is not canonical base64url")
    return data


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise BadAssertion("a name stands twice")
    return dict(pairs)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(decode(text).decode("utf-8"), object_pairs_hook=_no_repeats)
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise BadAssertion("a part is not JSON") from None
    if not isinstance(value, dict):
        raise BadAssertion("a part is not an object")
    return value


def check(assertion: str, key: Point, *, key_id: str, issuer: str, now: float) -> dict[str, Any]:
    """Gives the claims of a good assertion, or raises BadAssertion."""
    parts = assertion.split(".")
    if len(parts) != 3:
        raise BadAssertion("not three parts")
    header = _object(parts[0])
    if header.get("alg") != "ES256":
        raise BadAssertion("alg is not ES256")
    if header.get("typ") != "JWT":
        raise BadAssertion("typ is not JWT")
    if header.get("kid") != key_id:
        raise BadAssertion("kid is missing or unknown")
    if set(header) - {"alg", "typ", "kid"}:
        raise BadAssertion("the header has more than alg, typ and kid")
    claims = _object(parts[1])
    signature = decode(parts[2])
    if len(signature) != 64:
        raise BadAssertion(f"the signature has {len(signature)} bytes, not 64")
    if not verify(key, f"{parts[0]}.{parts[1]}".encode(), signature):
        raise BadAssertion("the signature is wrong")
    if claims.get("iss") != issuer:
        raise BadAssertion("iss is missing or unknown")
    if claims.get("sub") != claims["iss"]:
        raise BadAssertion("sub is not iss")
    expires = claims.get("exp")
    if type(expires) is not int:
        raise BadAssertion("exp is not an integer")
    if not now < expires <= now + 900:
        raise BadAssertion("exp is over or more than 900 s ahead")
    for name in ("iat", "nbf"):
        if name in claims and (type(claims[name]) is not int or claims[name] > now):
            raise BadAssertion(f"{name} is ahead of the server's clock")
    if set(claims) - {"iss", "sub", "exp", "aud", "iat", "nbf", "jti"}:
        raise BadAssertion("an unknown claim")
    return claims
