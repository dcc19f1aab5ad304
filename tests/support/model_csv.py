"""Manifest bytes as records, by the product's rules and apart from the daemon's code: lines first, each decoded alone, then cells."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MOST_CELL = 64 * 1024  # bytes of UTF-8, unless the source says otherwise
MOST_CELLS = 4096  # the same
ADDED = ["line", "column", "reason"]  # the columns of a rejects file
MOST_RECORD = 16 * 1024 * 1024  # bytes of the file
FAULT = "\udc80"  # stands for a unit that the encoding does not have
BLANKS = " \t"

Format = dict[str, Any]


class Broken(Exception):
    """The manifest as a whole cannot be read; the text is the reason."""


@dataclass
class Record:
    line: int
    offset: int
    cells: list[str] = field(default_factory=list)
    n: int = 0  # of the cells, those beyond the most that are kept included
    spoiled: str = ""
    spoiled_cell: int = 0
    length: int = 0  # bytes, its line end included
    end: int = 0  # bytes of the line end

    def spoil(self, why: str) -> None:
        if not self.spoiled:
            self.spoiled, self.spoiled_cell = why, len(self.cells)


@dataclass
class Charset:
    name: str  # as the source has it
    codec: str
    unit: int
    big: bool

    def encode(self, text: str) -> bytes:
        return b"".join(c.encode(self.codec, "replace") for c in text)

    def decode(self, raw: bytes) -> str:
        if self.unit == 1:
            text = raw.decode(self.codec, "surrogateescape")
            return "".join(FAULT if "\udc80" <= c <= "\udcff" else c for c in text) if not text.isascii() else text
        text, at = [], 0
        while at < len(raw):
            one = raw[at:at + self.unit]
            for width in (self.unit, 2 * self.unit):
                try:
                    one = raw[at:at + width]
                    text.append(one.decode(self.codec))
                    break
                except UnicodeDecodeError:
                    one = raw[at:at + self.unit]
            else:
                text.append(FAULT)
            at += len(one)
        return "".join(text)


def size_of(size: int | str) -> int:
    """64KiB and the like, in bytes."""
    match = re.fullmatch(r"([0-9]+)(KiB|MiB)?", str(size))
    assert match, size
    return int(match[1]) * {"KiB": 1 << 10, "MiB": 1 << 20, None: 1}[match[2]]


def charset_of(form: Format, raw: bytes) -> Charset:
    name = str(form.get("encoding", "utf-8"))
    codec = codecs.lookup(name).name
    if codec.startswith("utf-16"):
        big = codec == "utf-16-be" or (codec == "utf-16" and raw[:2] == b"\xfe\xff")
        return Charset(name, "utf-16-be" if big else "utf-16-le", 2, big)
    return Charset(name, codec, 1, False)


def lines_of(raw: bytes, charset: Charset) -> Iterator[tuple[bytes, int]]:
    """Each physical line with its end, and the bytes of the end."""
    unit = charset.unit
    cr, lf = (c.encode(charset.codec) for c in "\r\n")

    def find(sought: bytes, start: int) -> int:
        at = raw.find(sought, start)
        while at >= 0 and at % unit:
            at = raw.find(sought, at + 1)
        return at if at >= 0 else len(raw)

    at, next_cr, next_lf = 0, find(cr, 0), find(lf, 0)
    while at < len(raw):
        next_cr = find(cr, at) if next_cr < at else next_cr
        next_lf = find(lf, at) if next_lf < at else next_lf
        first = min(next_cr, next_lf)
        width = 0 if first == len(raw) else 2 * unit if next_cr == first and next_lf == first + unit < len(raw) else unit
        yield raw[at:first + width], width
        at = first + width


class Reader:
    """Iterates over the records; skip() first where lines are to be skipped."""

    def __init__(self, raw: bytes, profile: dict[str, Any]) -> None:
        form: Format = profile.get("format", {})
        self.raw = raw
        self.most_cell = size_of(profile.get("max_cell_bytes", MOST_CELL))
        self.most_cells = int(profile.get("max_columns", MOST_CELLS))
        self.kept = self.most_cells + len(ADDED)
        self.charset = charset_of(form, raw)
        self.delimiter = {"tab": "\t"}.get(form.get("delimiter", ";"), form.get("delimiter", ";"))
        quote = form.get("quote", '"')
        self.quote = "" if quote == "none" else quote
        self.special = re.compile(f"[{re.escape(self.quote)}{FAULT}\0]")  # what makes more of a line than cells between delimiters
        self.plain = re.compile(f"[^{re.escape(self.delimiter + self.quote)}{FAULT}\0]+")  # what is text within a cell
        self.lines = lines_of(raw, self.charset)
        self.line = 0
        self.offset = 0

    def _next_line(self) -> tuple[bytes, int] | None:
        found = next(self.lines, None)
        if found:
            self.line += 1
            self.offset += len(found[0])
        return found

    def raw_of(self, record: Record) -> bytes:
        return self.raw[record.offset:record.offset + record.length]

    def skip(self, n: int) -> bytes:
        return b"".join(found[0] for found in (self._next_line() for _ in range(n)) if found)

    def next(self) -> Record | None:
        """The next record that is no blank line."""
        while True:
            at = self.offset
            found = self._next_line()
            if not found:
                return None
            record = Record(self.line, at)
            if self._parse(record, *found):
                return record

    def _text(self, raw: bytes, width: int, first: bool) -> str:
        text = self.charset.decode(raw[:len(raw) - width])
        return text[1:] if first and text.startswith("\ufeff") else text

    def _parse(self, record: Record, raw: bytes, width: int) -> bool:
        """Takes lines until the record ends; False for a blank line."""
        cell: list[str] = []
        state, opened, text = "begin", 0, self._text(raw, width, record.offset == 0)
        blank = [c for c in BLANKS if c != self.delimiter]
        started = False
        if len(raw) <= MOST_RECORD and not self.special.search(text):
            record.length, record.end = len(raw), width
            if not text.strip("".join(blank)):
                return False
            for one in text.split(self.delimiter):
                self._end_cell(record, one.strip("".join(blank)))
            return True
        while True:
            record.length, record.end = record.length + len(raw), width
            if record.length > MOST_RECORD:
                raise Broken(f"a record of more than {MOST_RECORD >> 20} MiB begins at line {record.line}: is a quote left open?")
            at = 0
            while at < len(text):
                plain = self.plain.match(text, at) if state in ("bare", "quoted") else None
                if plain:
                    cell.append(plain[0])
                    at = plain.end()
                    continue
                c = text[at]
                at += 1
                if c == FAULT or c == "\0":
                    self._fault(record, c)
                if state == "begin":
                    if c in blank:
                        continue
                    started = True
                    if self.quote and c == self.quote:
                        state, opened = "quoted", self.line
                        continue
                    state = "bare"
                if state == "bare":
                    if c == self.delimiter:
                        self._end_cell(record, "".join(cell).rstrip("".join(blank)))
                        cell, state = [], "begin"
                    elif self.quote and c == self.quote:
                        raise Broken(f"line {self.line}: a quote inside a cell that does not begin with one"
                                     " (quote: none where cells are never quoted)")
                    else:
                        cell.append(c)
                elif state == "quoted":
                    if c == self.quote:
                        state = "closed"
                    else:
                        cell.append(c)
                elif c == self.quote and state == "closed":
                    cell.append(c)
                    state = "quoted"
                elif c == self.delimiter:
                    self._end_cell(record, "".join(cell))
                    cell, state = [], "begin"
                elif c in blank:
                    state = "over"
                else:
                    raise Broken(f"line {self.line}: text follows the quote that ends a cell (a quote inside is to be doubled)")
            if state != "quoted":
                break
            cell.append(self.charset.decode(raw[len(raw) - width:]) if width else "")
            found = self._next_line()
            if not found:
                raise Broken(f"line {opened}: a quote is opened here and never closed")
            raw, width = found
            text = self._text(raw, width, False)
        if started or record.spoiled:
            self._end_cell(record, "".join(cell).rstrip("".join(blank)) if state == "bare" else "".join(cell))
        return started

    def _fault(self, record: Record, c: str) -> None:
        record.spoil("has a NUL character" if c == "\0" else f"has bytes that are not {self.charset.name}")

    def _end_cell(self, record: Record, cell: str) -> None:
        record.n += 1
        if len(record.cells) == self.kept:
            record.spoil(f"has more than {self.most_cells} cells (max_columns)")
            return
        if len(cell) * 4 > self.most_cell and len(cell.encode("utf-8", "surrogatepass")) > self.most_cell:
            record.spoil(f"has a cell of more than {self.most_cell} bytes (max_cell_bytes)")
        record.cells.append(cell)
