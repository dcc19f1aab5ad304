"""shipmentDate as the product's section 3 reads it: strptime's directives, ISO 8601 by default, time zones with their changes."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

# Directive: most digits, least, most value. Blanks before a number are passed over, as in the C library.
_NUMBERS = {"d": (2, 1, 31), "e": (2, 1, 31), "m": (2, 1, 12), "Y": (4, 0, 9999), "H": (2, 0, 23), "M": (2, 0, 59), "S": (2, 0, 61)}
_ISO = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?"
                  r"(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?")


class Bad(Exception):
    """The reason, without the value before it."""


def _offset(text: str) -> timedelta:
    if text == "Z":
        return timedelta()
    digits = text[1:].replace(":", "")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return -size if text[0] == "-" else size


def _number(value: str, at: int, c: str) -> tuple[int, int] | None:
    digits, least, most = _NUMBERS[c]
    while value[at:at + 1] == " ":
        at += 1
    number, taken = 0, 0
    while taken < digits and value[at:at + 1] in set("0123456789") and (taken == 0 or number * 10 <= most):
        number, at, taken = number * 10 + int(value[at]), at + 1, taken + 1
    return (number, at) if taken and least <= number <= most else None


def _strptime(value: str, form: str) -> tuple[dict[str, int], timedelta | None, str] | None:
    """The numbers, the offset and what is left over; None where the text does not match."""
    found: dict[str, int] = {}
    offset = None
    at = i = run = 0
    short = False  # a date that has lost a digit would be another date
    wide: list[int] = []  # the digits of the numbers that have come since run with nothing between them
    form = form.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S").replace("%R", "%H:%M")
    while i < len(form):
        c = form[i]
        if c != "%" or form[i + 1] not in _NUMBERS:
            if len(wide) > 1 and at - run != sum(wide):
                short = True
            wide = []
        i += 1
        if c.isspace():
            while value[at:at + 1].isspace():
                at += 1
        elif c != "%":
            if value[at:at + 1] != c:
                return None
            at += 1
        elif form[i] == "z":
            i += 1
            while value[at:at + 1] == " ":
                at += 1
            match = re.compile(r"Z|[+-][0-9]{2}(?::?[0-9]{2})?").match(value, at)
            if not match:
                return None
            offset, at = _offset(match[0]), match.end()
        else:
            number = _number(value, at, form[i])
            if not number:
                return None
            run = run if wide else at
            wide.append(_NUMBERS[form[i]][0])
            found[form[i].replace("e", "d")], at = number
            i += 1
    if not value[at:] and (short or (len(wide) > 1 and at - run != sum(wide))):
        return None
    return found, offset, value[at:]


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _in_zone(local: datetime, name: str) -> datetime:
    zone = ZoneInfo(name)
    before, after = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    assert before is not None and after is not None
    one, other = (local.replace(tzinfo=timezone(offset)) for offset in (before, after))
    if before < after:
        shift = after - before
        raise Bad(f"does not exist in {name}: {_shown(one - shift)} or {_shown(other + shift)}?")
    if before > after:
        raise Bad(f"happens twice in {name}: {_shown(one)} or {_shown(other)}?")
    return one


def _parts(value: str, form: str | None, shown_rest: Any) -> tuple[tuple[int, ...], tuple[int, ...] | None, timedelta | None]:
    """Date, time and offset."""
    if form is None:
        iso = _ISO.fullmatch(value)
        if not iso or (iso[7] and abs(_offset(iso[7])) >= timedelta(hours=15)) or (iso[7] and iso[7][-2:] > "59" and iso[7] != "Z"):
            raise Bad("is no date of ISO 8601 like 2026-11-22T10:00:00+01:00")
        time = (int(iso[4]), int(iso[5]), int(iso[6] or 0)) if iso[4] else None
        return (int(iso[1]), int(iso[2]), int(iso[3])), time, _offset(iso[7]) if iso[7] else None
    read = _strptime(value, form)
    if not read:
        raise Bad(f'does not match "{form}"')
    found, offset, rest = read
    if rest:
        raise Bad(f"has {shown_rest(rest)} left over behind the date")
    if offset is None and form.endswith("Z") and not form.endswith("%Z"):
        offset = timedelta()
    time = (found.get("H", 0), found.get("M", 0), found.get("S", 0)) if found.keys() & {"H"} else None
    return (found["Y"], found["m"], found["d"]), time, offset


def read(value: str, config: dict[str, Any], quoted: Any) -> str:
    """The moment as D1 takes it; quoted shows a text in a reason."""
    date, time, offset = _parts(value, config.get("format"), quoted)
    if time is None:
        if "time" not in config:
            raise Bad("has no time of day, and the source gives no time")
        time = tuple(int(n) for n in (config["time"] + ":00").split(":")[:3])
    try:
        local = datetime(*date, *time)
    except ValueError:
        raise Bad("is not in the years 1970 to 9999" if date[0] == 0 else "does not exist") from None
    if local.year < 1970:
        raise Bad("is not in the years 1970 to 9999")
    if offset is None and "timezone" not in config:
        raise Bad("has no offset from UTC, and the source names no timezone")
    try:
        if offset is None:
            moment = _in_zone(local, config["timezone"]).astimezone(timezone.utc)
        else:
            moment = local.replace(tzinfo=timezone(offset)).astimezone(timezone.utc)
    except OverflowError:
        raise Bad("is not in the years 1970 to 9999") from None
    if not 1970 <= moment.year:
        raise Bad("is not in the years 1970 to 9999")
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
