"""What the scripted API can do with a request that it has read, and the two tables that call it up by name.

A card id's part before its first '-' names an entry of CARDS (`busy-17`), so that a plain manifest can script the API; `h418-1` answers
with that status. Each entry is a sequence: the n-th request for a card gets the n-th behaviour, later ones the last.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Literal

End = Literal["keep", "close", "drop", "reset", "hang"]
HeaderValue = str | Callable[[], str]

REASONS = {100: "Continue", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently", 302: "Found",
           307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
           404: "Not Found", 407: "Proxy Authentication Required", 408: "Request Timeout", 418: "I'm a teapot",
           429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Timeout"}
D1_CODES = {400: "FIELD_INVALID_VALUE", 401: "AUTHORIZER_UNAUTHORIZED", 403: "AUTHORIZER_FORBIDDEN", 500: "INTERNAL_ERROR"}
HTML = b"<html><head><title>Error</title></head><body><h1>Something happened</h1></body></html>\n"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one request is answered: wait, send what there is to send (all, or the first bytes), then keep or end the connection."""

    name: str = "ok"
    status: int = 202
    body: bytes | None = None  # None: as D1 would, `{id}` is put in
    content_type: str = "application/json"
    headers: tuple[tuple[str, HeaderValue], ...] = ()
    before: bytes = b""  # sent ahead of the answer (interim responses)
    raw: bytes | None = None  # the whole answer, byte for byte; `{id}` is put in
    delay: float = 0.0
    cut: int | Literal["status", "head", "body"] | None = None  # how much of the answer is sent
    end: End = "keep"  # close: with close_notify; drop: FIN alone; reset: RST; hang: say nothing more until the client goes
    read_body: bool = True  # False: ends the connection after the head, unread
    drip: float = 0.0  # seconds between single bytes

    def gives_operation(self) -> bool:
        """Whether an operationId is part of what would be sent."""
        text = self.raw if self.raw is not None else self.body
        return self.status == 202 if text is None else b"{id}" in text

    def nothing_done(self) -> bool:
        """Whether D1 says with it that it did nothing, so that the same may be sent again."""
        if self.status == 403:
            return self.body is None or b"OPERATION_NOT_ALLOWED" not in self.body
        return self.status in (401, 407, 429, 503) or 300 <= self.status < 400

    def content(self, operation_id: str) -> bytes:
        if self.body is not None:
            return self.body.replace(b"{id}", operation_id.encode())
        if self.status == 202:
            return b'{"operationId":"%s"}' % operation_id.encode()
        if self.status in D1_CODES:
            return b'{"errorCode":"%s","error":"as scripted"}' % D1_CODES[self.status].encode()
        return b"" if self.status in (204, 304, 503) else HTML

    def answer(self, operation_id: str, date: str, *, last: bool = False) -> bytes:
        """The bytes to send, whole or cut."""
        if self.raw is not None:
            head, body = self.raw.replace(b"{id}", operation_id.encode()), b""
        else:
            body = self.content(operation_id)
            lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}", f"Date: {date}"]
            if self.status not in (204, 304):
                lines.append(f"Content-Length: {len(body)}")
            if body:
                lines.append(f"Content-Type: {'text/html' if body is HTML else self.content_type}")
            if last:
                lines.append("Connection: close")
            lines += [f"{name}: {value if isinstance(value, str) else value()}" for name, value in self.headers]
            head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        whole = head + body
        if self.cut is None:
            return self.before + whole
        status_line = whole.find(b"\r\n") + 2
        size = {"status": 11, "head": status_line + 8, "body": len(head) + len(body) // 2}.get(self.cut, self.cut) \
            if isinstance(self.cut, str) else self.cut
        return self.before + whole[:size]


OK = Behaviour()


def status(code: int, name: str = "", **more: object) -> Behaviour:
    return Behaviour(name=name or f"h{code}", status=code, **more)  # type: ignore[arg-type]


def lost(name: str, end: End, cut: int | Literal["status", "head", "body"] = 0, **more: object) -> Behaviour:
    return Behaviour(name=name, cut=cut, end=end, **more)  # type: ignore[arg-type]


def text(name: str, body: bytes, **more: object) -> Behaviour:
    return Behaviour(name=name, body=body, **more)  # type: ignore[arg-type]


def raw(name: str, whole: bytes, end: End = "drop", **more: object) -> Behaviour:
    return Behaviour(name=name, raw=whole, end=end, **more)  # type: ignore[arg-type]


def http_date(ahead: float) -> Callable[[], str]:
    return lambda: formatdate(time.time() + ahead, usegmt=True)


_ID = b'{"operationId":"{id}"}'
_BUSY = (("Retry-After", "1"),)

CARDS: dict[str, Sequence[Behaviour]] = {
    # answers after which D1 has done nothing
    "busy": (status(503, "busy", headers=_BUSY), OK),
    "rate": (status(429, "rate", headers=(("Retry-After", http_date(1.5)),)), OK),
    "stale": (status(401, "stale"), OK),
    "unauth": (status(401, "unauth"),),
    "forbid": (status(403, "forbid"),),
    "always503": (status(503, "always503"),),
    "junkafter": (status(503, "junkafter", headers=(("Retry-After", "soon"),)), OK),
    "pastafter": (status(503, "pastafter", headers=(("Retry-After", http_date(-3600)),)), OK),
    "negafter": (status(429, "negafter", headers=(("Retry-After", "-5"),)), OK),
    "longafter": (status(503, "longafter", headers=(("Retry-After", "99999999"),)), OK),
    "h301": (status(301, headers=(("Location", "/"),)),),
    "h302": (status(302, headers=(("Location", "/"),)),),
    "h307": (status(307, headers=(("Location", ""),)),),  # to itself
    "h308": (status(308, headers=(("Location", ""),)),),
    # refusals
    "product": (status(403, "product", body=b'{"errorCode":"OPERATION_NOT_ALLOWED","error":"as scripted"}'),),
    "nf": (status(404, "nf", body=b""),),
    "longcode": (status(400, "longcode", body=b'{"errorCode":"' + b"X" * 5000 + b'"}'),),
    "oddcode": (status(400, "oddcode", body=b'{"errorCode":"\\u0007\\"\\n=SUM(1)","error":{"a":[1]}}'),),
    # accepted, however odd
    "noid": (text("noid", b"{}"),),
    "nullid": (text("nullid", b'{"operationId":null}'),),
    "numid": (text("numid", b'{"operationId":17}'),),
    "badid": (text("badid", b'{"operationId":"two words"}'),),
    "longid": (text("longid", b'{"operationId":"' + b"x" * 65 + b'"}'),),
    "moreids": (text("moreids", b'{"status":"NEW","operationId":"{id}","more":{"operationId":"inner"}}'),),
    "badjson": (text("badjson", b'{"operationId": "'),),
    "empty": (text("empty", b""),),
    "html": (text("html", HTML),),
    "plain": (text("plain", _ID, content_type="text/plain"),),
    "bom": (text("bom", b"\xef\xbb\xbf" + _ID),),
    "deep": (text("deep", b"[" * 30000),),
    "huge": (text("huge", b'{"padding":"' + b"x" * (4 << 20) + b'"}'),),
    "gzip": (text("gzip", b"\x1f\x8b\x08broken", headers=(("Content-Encoding", "gzip"),)),),
    "slow": (Behaviour(name="slow", delay=1.5),),
    "drip": (Behaviour(name="drip", drip=0.003),),
    "i100": (Behaviour(name="i100", before=b"HTTP/1.1 100 Continue\r\n\r\n"),),
    "i103": (Behaviour(name="i103", before=b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3),),
    "lastone": (Behaviour(name="lastone", headers=(("Connection", "close"),), end="close"),),
    "chunked": (raw("chunked", b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ope\r\n"
                               b"2c\r\nrationId\":\"{id}\"\r\n1\r\n}\r\n0\r\n\r\n", "keep"),),
    "badchunk": (raw("badchunk", b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),),
    "nolength": (raw("nolength", b"HTTP/1.1 202 Accepted\r\n\r\n" + _ID, "close"),),
    "http10": (raw("http10", b"HTTP/1.0 202 Accepted\r\n\r\n" + _ID, "close"),),
    "barelf": (raw("barelf", b"HTTP/1.1 202 Accepted\nConnection: close\nContent-Length: 2\n\n{}"),),
    "noreason": (raw("noreason", b"HTTP/1.1 202\r\nContent-Length: 2\r\n\r\n{}", "keep"),),
    "badlength": (raw("badlength", b"HTTP/1.1 202 Accepted\r\nContent-Length: abc\r\n\r\n{}"),),
    "toolong": (raw("toolong", b"HTTP/1.1 202 Accepted\r\nContent-Length: 900\r\n\r\n" + _ID),),
    "tooshort": (raw("tooshort", b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 500 Unasked\r\n\r\n"),),
    "bighead": (raw("bighead", b"HTTP/1.1 202 Accepted\r\nX-Big: " + b"x" * 400_000 + b"\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"),),
    "cuthead": (lost("cuthead", "drop", "head"),),
    "cutbody": (lost("cutbody", "drop", "body"),),
    "resetbody": (lost("resetbody", "reset", "body"),),
    "hangbody": (lost("hangbody", "hang", "body"),),
    # outcome unknown
    "hang": (lost("hang", "hang"),),
    "close": (lost("close", "close"),),
    "drop": (lost("drop", "drop"),),
    "reset": (lost("reset", "reset"),),
    "early": (Behaviour(name="early", read_body=False, end="close"),),
    "headclose": (Behaviour(name="headclose", read_body=False, end="close"), OK),
    "headreset": (Behaviour(name="headreset", read_body=False, end="reset"), OK),
    "headlate": (Behaviour(name="headlate", read_body=False, delay=1.0, end="close"), OK),
    "cutstatus": (lost("cutstatus", "drop", "status"),),
    "hangstatus": (lost("hangstatus", "hang", "status"),),
    "i100close": (lost("i100close", "drop", before=b"HTTP/1.1 100 Continue\r\n\r\n"),),
    "garbage": (raw("garbage", b"\x00\x01\x02 this is not HTTP\r\n\r\n"),),
    "h09": (raw("h09", HTML),),
}

_STATUS_CARD = re.compile(r"h([2-9][0-9]{2})")
_BY_STATUS: dict[str, tuple[Behaviour]] = {}


def for_card(card: str, times_before: int, nth_on_connection: int) -> Behaviour:
    """What the table says for the request with these many before it for the same card."""
    prefix, dash, _ = card.partition("-")
    if not dash:
        return OK
    if prefix == "reuse":  # the trap of clients that send again by themselves when a kept connection breaks
        return OK if nth_on_connection == 1 else lost("reuse", "drop")
    plan = CARDS.get(prefix) or _BY_STATUS.get(prefix)
    if plan is None:
        match = _STATUS_CARD.fullmatch(prefix)
        if not match:
            return OK
        plan = _BY_STATUS[prefix] = (status(int(match[1])),)
    return plan[min(times_before, len(plan) - 1)]


_TOKEN = b'{"access_token":"{id}","expires_in":{life},"token_type":"Bearer","scope":""}'

# For the token endpoint; `{id}` is a token made for the occasion, good where the request was, `{life}` its life in seconds.
TOKENS: dict[str, Behaviour] = {
    "ok": status(200, "ok", body=_TOKEN),
    **{str(code): status(code, str(code), body=b"") for code in (201, 204, 400, 401, 403, 404, 407, 408, 429, 500, 502, 503, 504)},
    "invalid_grant": status(400, "invalid_grant", body=b'{"error":"invalid_grant"}'),
    "garbage": status(200, "garbage", body=b"\x00\xff{{{"),
    "html": status(200, "html", body=HTML),
    "empty": status(200, "empty", body=b""),
    "no_token": status(200, "no_token", body=b'{"expires_in":900,"token_type":"Bearer"}'),
    "null_token": status(200, "null_token", body=b'{"access_token":null,"expires_in":900}'),
    "spaced_token": status(200, "spaced_token", body=b'{"access_token":"a b\\r\\nX-Injected: 1","expires_in":900}'),
    "no_expires": status(200, "no_expires", body=b'{"access_token":"{id}","token_type":"Bearer"}'),
    "string_expires": status(200, "string_expires", body=b'{"access_token":"{id}","expires_in":"900"}'),
    "zero_expires": status(200, "zero_expires", body=b'{"access_token":"{id}","expires_in":0}'),
    "negative_expires": status(200, "negative_expires", body=b'{"access_token":"{id}","expires_in":-1}'),
    "fraction_expires": status(200, "fraction_expires", body=b'{"access_token":"{id}","expires_in":899.5}'),
    "endless_expires": status(200, "endless_expires", body=b'{"access_token":"{id}","expires_in":1e300}'),
    "more": status(200, "more", body=b'{"new":{"x":[1]},"access_token":"{id}","expires_in":900,"token_type":"bearer"}'),
    "slow": status(200, "slow", body=_TOKEN, delay=1.5),
    "redirect": status(307, "redirect", body=b"", headers=(("Location", ""),)),
    "huge": status(200, "huge", body=b'{"x":"' + b"x" * (4 << 20) + b'"}'),
    "hang": status(200, "hang", cut=0, end="hang"),
    "close": status(200, "close", cut=0, end="close"),
    "reset": status(200, "reset", cut=0, end="reset"),
    "cut": status(200, "cut", body=_TOKEN, cut="body", end="drop"),
}


def with_location(behaviour: Behaviour, target: str) -> Behaviour:
    """Fills an empty Location in."""
    if ("Location", "") not in behaviour.headers:
        return behaviour
    return replace(behaviour, headers=tuple((n, target if n == "Location" and not v else v) for n, v in behaviour.headers))
