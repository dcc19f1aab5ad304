"""The rejects file that a manifest should leave behind, byte for byte, and what somebody would make of it who corrects it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from model import COMMON, OF_SHIPMENT, History, Mapping, Outcome, Profile, predict
from model_csv import ADDED, BLANKS, Charset, Reader, charset_of

ROUNDS = 20  # a row has no more cells at fault


@dataclass
class Style:
    charset: Charset
    delimiter: str
    quote: str

    def cell(self, text: str) -> bytes:
        special = (self.delimiter, "\r", "\n")
        if not self.quote:
            for c in special:
                text = text.replace(c, "_" if self.delimiter == " " else " ")
        elif any(c in text for c in (*special, self.quote)):
            text = self.quote + text.replace(self.quote, 2 * self.quote) + self.quote
        return self.charset.encode(text)

    def line(self, cells: list[str]) -> bytes:
        return self.charset.encode(self.delimiter).join(map(self.cell, cells))


def style_of(profile: Profile, raw: bytes) -> Style:
    reader = Reader(raw, profile)
    return Style(charset_of(profile.get("format", {}), raw), reader.delimiter, reader.quote)


def _mark(charset: Charset, raw: bytes) -> bytes:
    try:
        mark = "\ufeff".encode(charset.codec)
    except UnicodeEncodeError:
        return b""
    return mark if raw.startswith(mark) else b""


def _trailer(profile: Profile, outcome: Outcome, rows: int, style: Style) -> bytes:
    config = profile["trailer"]
    assert outcome.trailer
    at = config["count_column"] - 1
    given = outcome.trailer.cells[at].strip(BLANKS)
    counted = rows + {"rows": 0, "rows+trailer": 1, "rows+header+trailer": 1 + profile.get("format", {}).get("header", True)}[
        config.get("counts", "rows")]
    cells = [""] * max(len(outcome.trailer.cells), at + 1)
    cells[0] = config["first_column"]
    cells[at] = str(counted).zfill(len(given) if given[0] == "0" else 0)
    return style.line(cells)


def _without_blanks(record: bytes, style: Style) -> bytes:
    blanks = [style.charset.encode(c) for c in BLANKS if c != style.delimiter]
    while blank := next((blank for blank in blanks if record.endswith(blank)), b""):
        record = record[:-len(blank)]
    return record


def rejects_file(profile: Profile, outcome: Outcome, raw: bytes) -> bytes | None:
    """None where there is none: no row of a released manifest was rejected."""
    rows = [row for row in outcome.rows if row.state == "rejected"]
    if outcome.fate != "released" or not rows:
        return None
    style = style_of(profile, raw)
    delimiter = style.charset.encode(style.delimiter)
    end = style.charset.encode("\r\n")
    mark = _mark(style.charset, raw)
    out = outcome.head or mark
    if outcome.head:
        width = outcome.head_end or next((n for n in (4, 2, 1) if _is_end(outcome.head[-n:], style.charset)), 0)
        end = outcome.head[len(outcome.head) - width:] if width else end
    if outcome.header is not None:
        out = out[:len(out) - outcome.head_end] + delimiter + style.line(ADDED) + end
    for row in rows:
        end = row.raw[len(row.raw) - row.end:] if row.end else end
        record = row.raw[:len(row.raw) - row.end]
        if mark and raw.startswith(record) and row.line == 1:
            record = record[len(mark):]
        cells = row.n
        while outcome.header is not None and cells > len(outcome.header) and not "".join(row.cells[cells - 1:cells]).strip(BLANKS):
            bare = _without_blanks(record, style)
            if not bare.endswith(delimiter):
                break
            record, cells = bare[:len(bare) - len(delimiter)], cells - 1
        if outcome.header is None:
            record += delimiter * max(0, Mapping(profile, None).width - cells)
        out += record + delimiter + style.line([str(row.line), row.column, row.reason]) + end
    if profile.get("trailer"):
        out += _trailer(profile, outcome, len(rows), style) + end
    return out


def _is_end(tail: bytes, charset: Charset) -> bool:
    return tail in ("\r\n".encode(charset.codec), "\n".encode(charset.codec), "\r".encode(charset.codec))


def donor_of(profile: Profile, outcomes: list[Outcome]) -> dict[str, str]:
    """For each field that has a column, a cell that was good in some row; of a shipment, which has them all."""
    best: dict[str, str] = {}
    for outcome in outcomes:
        mapping = None
        for row in outcome.rows:
            if row.state != "queued":
                continue
            mapping = mapping or Mapping(profile, outcome.header)
            cells = {name: row.cells[config["index"]] for name, config in mapping.fields.items() if "index" in config}
            names = OF_SHIPMENT if '"SHIPMENT"' in row.body else COMMON
            worth = {name: cell for name, cell in cells.items() if name in (*names, "trackingType") and cell.strip(BLANKS)}
            if len(worth) > len(best):
                best = worth
    return best


_fresh = count(1)


def corrected(profile: Profile, raw: bytes, donor: dict[str, str], history: History) -> bytes | None:
    """A rejects file with each cell at fault replaced by a good one; None where that is not enough, or nothing is at fault any more."""
    style = style_of(profile, raw)
    given = raw
    for _ in range(ROUNDS):
        outcome = predict(profile, "", "", raw, history.copy())
        faulty = {row.line for row in outcome.rows if row.state == "rejected"}
        if outcome.fate != "released" or not faulty:
            return raw if outcome.fate == "released" and raw != given else None
        mapping = Mapping(profile, outcome.header)
        by_column = {mapping.column(name): name for name in mapping.fields}
        end = style.charset.encode("\r\n")
        out = outcome.head or _mark(style.charset, raw)
        for row in outcome.rows:
            cells = list(row.cells)
            if row.line in faulty and row.column == "":
                added = mapping.width - mapping.own
                own = cells[:len(cells) - added]
                cells = (own + [""] * mapping.own)[:mapping.own] + cells[len(own):]
            elif row.line in faulty:
                name = by_column.get(row.column, "")
                if name == "cardId":
                    good = f"corrected-{next(_fresh)}"
                else:
                    good = donor.get(name, "")
                index = mapping.fields[name].get("index") if name else _index(mapping, row.column)
                if index is None:
                    return None
                cells[index] = good
            out += style.line(cells) + end
        if outcome.trailer:
            out += outcome.trailer_raw
        raw = out
    return None


def _index(mapping: Mapping, column: str) -> int | None:
    if mapping.header is None:
        return int(column) - 1
    return next((i for i in range(len(mapping.header)) if mapping.name(i) == column), None)
