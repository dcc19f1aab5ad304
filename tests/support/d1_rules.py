"""What D1's operation "Track Card" takes, from its published OpenAPI; written apart from the daemon's own rules, to judge them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

TRACK_PATH = re.compile(r"/banking/v1/issuers/([A-Za-z0-9_-]{10})/physicalCards/([A-Za-z0-9_-]{1,48})/track")
CORRELATION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
OPERATION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

FIELDS = {
    "trackingNumber": re.compile(r"[A-Za-z0-9 _\-./]{1,64}"),
    "postalCode": re.compile(r"[0-9A-Z -]{1,10}"),
    "countryCode": re.compile(r"[A-Z]{2}"),
    "shipmentDate": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"),
}
# type: required, optional
SHAPES = {
    "PRODUCTION": ({"trackingType", "productionSite"}, set[str]()),
    "SHIPMENT": ({"trackingType", "productionSite", "trackingNumber", "shipmentDate"}, {"postalCode", "countryCode"}),
    "RETURN": ({"trackingType", "productionSite"}, set[str]()),
}


class _Repeated(ValueError):
    pass


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _Repeated
    return fields


def _bad_field(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return f"{name} is not a string"
    if name == "productionSite":
        if len(value) > 50:
            return "productionSite has more than 50 characters"
        if any("\ud800" <= c <= "\udfff" for c in value):
            return "productionSite has half a character"
        return ""
    pattern = FIELDS.get(name)
    if pattern and not pattern.fullmatch(value):
        return f"{name} does not match its pattern"
    if name == "shipmentDate":
        try:
            datetime(int(value[:4]), int(value[5:7]), int(value[8:10]), int(value[11:13]), int(value[14:16]), int(value[17:19]))
        except ValueError:
            return "shipmentDate does not exist"
    return ""


def body_fault(body: bytes) -> tuple[str, str]:
    """(what is wrong with a request's body, "" where nothing is; its trackingType, "" where it has none)."""
    try:
        fields = json.loads(body.decode("utf-8"), object_pairs_hook=_no_repeats)
    except _Repeated:
        return "a property stands twice", ""
    except ValueError:
        return "not JSON in UTF-8", ""
    if not isinstance(fields, dict):
        return "not an object", ""
    kind = fields.get("trackingType")
    if not isinstance(kind, str) or kind not in SHAPES:
        return "trackingType is missing or unknown", ""
    required, optional = SHAPES[kind]
    missing = required - fields.keys()
    if missing:
        return f"{min(missing)} is missing", kind
    more = fields.keys() - required - optional
    if more:
        return f"{min(more)} is not allowed", kind
    for name, value in fields.items():
        fault = _bad_field(name, value)
        if fault:
            return fault, kind
    return "", kind


def token_form(method: str, headers: dict[str, str], body: bytes) -> tuple[str, str]:
    """(what is wrong with a token request but for its assertion, "" where nothing is; the assertion)."""
    if method != "POST":
        return "not POST", ""
    if headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
        return "content-type is not application/x-www-form-urlencoded", ""
    try:
        form = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    except ValueError:
        return "the body is no form", ""
    if sorted(name for name, _ in form) != ["assertion", "grant_type"]:
        return "the form has not exactly grant_type and assertion", ""
    grant, assertion = dict(form)["grant_type"], dict(form)["assertion"]
    if grant != GRANT:
        return "grant_type is another one", assertion
    correlation = headers.get("x-correlation-id")
    if correlation is not None and not CORRELATION_ID.fullmatch(correlation):
        return "x-correlation-id does not match its pattern", assertion
    return "", assertion
