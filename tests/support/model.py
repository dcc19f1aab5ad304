"""What a manifest should come to, told from its source's profile and its bytes alone: the product's words as a program of its own.

    python3 model.py FILE.csv|FILE.recipe …   prints what FILE.expect should hold, for a profile's folder as tests/data/manifests has them

Cases of a folder are read in the order of their names, then those of its folder `later`, since they know of the rows before them.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import model_dates
import source_yaml
from model_csv import ADDED, BLANKS, Broken, Reader, Record, charset_of

ISSUERS = ("BANKFR0001", "BANKBE0002", "BANK_de-03")  # that the endpoint has
CORPUS = Path(__file__).resolve().parents[1] / "data" / "manifests"
MOST_SHOWN = 60  # bytes of a value in a reason
TYPES = ("PRODUCTION", "SHIPMENT", "RETURN")
COMMON = ("issuerId", "cardId", "productionSite")
OF_SHIPMENT = (*COMMON, "trackingNumber", "postalCode", "countryCode", "shipmentDate")
OPTIONAL = ("postalCode", "countryCode")
ORDER = ("trackingType", "trackingNumber", "shipmentDate", "productionSite", "postalCode", "countryCode")  # in the JSON

Profile = dict[str, Any]

RULES: dict[str, tuple[re.Pattern[str], str]] = {
    "issuerId": (re.compile(r"[A-Za-z0-9_-]{10}"), "must be exactly 10 letters, digits, '_' or '-'"),
    "cardId": (re.compile(r"[A-Za-z0-9_-]{1,48}"), "must be 1 to 48 letters, digits, '_' or '-'"),
    "trackingType": (re.compile("|".join(TYPES)), "must be PRODUCTION, SHIPMENT or RETURN"),
    "productionSite": (re.compile(r"(?s).{0,50}"), "must be at most 50 characters of UTF-8"),
    "trackingNumber": (re.compile(r"[A-Za-z0-9 _\-./]{1,64}"), "must be 1 to 64 letters, digits, blanks, '_', '-', '.' or '/'"),
    "postalCode": (re.compile(r"[0-9A-Z -]{1,10}"), "must be 1 to 10 capital letters, digits, blanks or '-'"),
    "countryCode": (re.compile(r"[A-Z]{2}"), "must be two capital letters (ISO 3166-1 alpha-2)"),
}


CSV_NEEDED = "a CSV file is needed"
KINDS = (
    (r"PK\x03\x04", "like a zip file, such as an .xlsx spreadsheet: export it as CSV"),
    (r"\xd0\xcf\x11\xe0", "like an old .xls spreadsheet: export it as CSV"),
    (r"\x1f\x8b", "like a gzip file: unpack it first"),
    (r"%PDF", f"like a PDF document: {CSV_NEEDED}"),
    (r"(\xef\xbb\xbf)?[ \t\r\n]*[{[]", f"like JSON: {CSV_NEEDED}"),
    (r"(\xef\xbb\xbf)?[ \t\r\n]*<", f"like XML or HTML, such as a web page with an error: {CSV_NEEDED}"),
)
MARKS = (("UTF-32LE", b"\xff\xfe\0\0"), ("UTF-32BE", b"\0\0\xfe\xff"), ("UTF-16LE", b"\xff\xfe"), ("UTF-16BE", b"\xfe\xff"))


class Rejected(Exception):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


class Skipped(Exception):
    pass


@dataclass
class Row:
    line: int
    state: str
    column: str = ""
    reason: str = ""
    path: str = ""
    body: str = ""
    same_as: str = ""  # "line 3" of this file, or "FILE line 3"
    card: str = ""
    raw: bytes = b""
    end: int = 0
    cells: list[str] = field(default_factory=list)
    n: int = 0  # of the cells
    event: tuple[Any, ...] = ()

    @property
    def detail(self) -> str:
        return f"{self.column}: {self.reason}" if self.column else self.reason

    def told(self) -> str:
        words = {"queued": f"{self.path} {self.body}", "rejected": self.detail or "with the file", "duplicate": f"of {self.same_as}"}
        return f"{self.state} {words.get(self.state, '')}".strip()


@dataclass
class Outcome:
    fate: str = "released"
    reason: str = ""
    rows: list[Row] = field(default_factory=list)
    trailer: Record | None = None
    trailer_raw: bytes = b""
    head: bytes = b""  # skipped lines and header
    head_end: int = 0  # bytes of the header's line end
    header: list[str] | None = None

    def text(self) -> str:
        """What an .expect holds: rows that are told alike, line after line, are one line."""
        out = [f"{self.fate}: {self.reason}" if self.reason else self.fate]
        runs: list[tuple[int, int, str]] = []
        for row in self.rows:
            told = row.told()
            if runs and runs[-1][2] == told and runs[-1][1] + 1 == row.line:
                runs[-1] = (runs[-1][0], row.line, told)
            else:
                runs.append((row.line, row.line, told))
        out += [f"{first} {told}" if first == last else f"{first}-{last} {told}" for first, last, told in runs]
        return "\n".join(out) + "\n"


@dataclass
class History:
    """What earlier manifests left behind."""
    events: dict[tuple[Any, ...], str] = field(default_factory=dict)
    files: set[tuple[str, str]] = field(default_factory=set)

    def copy(self) -> History:
        return History(dict(self.events), set(self.files))


def escaped(text: str) -> str:
    """Control characters as \\xNN, byte for byte."""
    return "".join("".join(f"\\x{b:02X}" for b in c.encode()) if ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 else c for c in text)


def shown(value: str) -> str:
    raw = value.encode()
    if len(raw) <= MOST_SHOWN:
        return escaped(value)
    return escaped(raw[:MOST_SHOWN].decode("utf-8", "ignore")) + "…"


def quoted(value: str) -> str:
    return f"'{shown(value)}'"


def looks_like_pan(card: str) -> bool:
    if not re.fullmatch(r"[0-9]{13,19}", card):
        return False
    digits = [int(d) for d in reversed(card)]
    return sum(digits[::2] + [d // 5 + d * 2 % 10 for d in digits[1::2]]) % 10 == 0


def own(header: list[str]) -> int:
    """How many of its columns no rejects file has added."""
    n = len(header)
    while n > len(ADDED) and header[n - 3:n] == ADDED:
        n -= 3
    return n


class Mapping:
    """A profile's fields on the columns of one file."""

    def __init__(self, profile: Profile, header: list[str] | None) -> None:
        self.profile = profile
        self.header = header
        self.own = own(header or [])
        self.width = len(header) if header else 0
        self.fields: dict[str, dict[str, Any]] = {}
        for name in ("issuerId", "cardId", "trackingType", *OF_SHIPMENT[2:]):
            given = profile["fields"].get(name)
            if given is None:
                continue
            config = dict(given) if isinstance(given, dict) else {"column": given}
            if "column" in config:
                config["index"] = self.find(config["column"])
            self.fields[name] = config
        self.identity = [self.find(column) for column in profile.get("identity", [])]

    def find(self, column: str | int) -> int:
        if isinstance(column, int):
            if self.header is not None and column > len(self.header):
                raise Broken(f"column {column} is beyond the header, which has {len(self.header)} columns")
            index = column - 1
        else:
            header = self.header or []
            places = [i for i, name in enumerate(header) if name == column]
            places = [i for i in places if i < self.own] or places[:1]
            if not places:
                found = ""
                for i, name in enumerate(header):
                    if len(f"column {quoted(column)} is not in the header (found: {found}".encode()) > 400:
                        found += "; …"
                        break
                    found += ("; " if i else "") + shown(escaped(name))
                raise Broken(f"column {quoted(column)} is not in the header (found: {found})")
            if len(places) > 1:
                raise Broken(f"column '{escaped(column)}' stands twice in the header")
            index = places[0]
        self.width = max(self.width, index + 1)
        return index

    def column(self, field_name: str) -> str:
        config = self.fields.get(field_name, {})
        return self.name(config["index"]) if "index" in config else field_name

    def name(self, index: int) -> str:
        return escaped(self.header[index]) if self.header is not None and index < len(self.header) else str(index + 1)

    def value(self, name: str, record: Record) -> str | None:
        """A field's value after trim, case, map and default; None where it is empty."""
        config = self.fields.get(name)
        if config is None:
            return None
        value = (config["value"] if "value" in config else record.cells[config["index"]]).strip(BLANKS)
        change: Callable[[str], str] = {"upper": str.upper, "lower": str.lower}.get(config.get("case", ""), str)
        value = value if change is str else "".join(change(c) if c.isascii() else c for c in value)
        if config.get("map"):
            if value in config["map"]:
                value = config["map"][value]
                if value == "skip":
                    raise Skipped
            elif value == "" and ("default" in config or config.get("otherwise") != "skip"):
                pass
            elif config.get("otherwise") == "skip":
                raise Skipped
            elif config.get("otherwise") != "keep":
                said = "" if name == "cardId" else f"{quoted(value)} "
                raise Rejected(self.column(name), f"{said}is not in the map of {name}")
        return value or config.get("default") or ("" if "value" in config or "default" in config else None)

    def checked(self, name: str, record: Record) -> str | None:
        value = self.value(name, record)
        config = self.fields.get(name, {})
        if not value:
            if name == "productionSite" and value == "":
                return ""
            if name in OPTIONAL:
                return None
            raise Rejected(self.column(name), "is empty" if config else "is needed, and the source has no such field")
        try:
            if name == "shipmentDate":
                return model_dates.read(value, config, quoted)
        except model_dates.Bad as e:
            raise Rejected(self.column(name), f"{quoted(value)} {e}") from None
        rule, words = RULES[name]
        if not rule.fullmatch(value):
            raise Rejected(self.column(name), words if name == "cardId" else f"{quoted(value)} {words}")
        return value

    def whole(self, record: Record) -> None:
        n = len(record.cells)
        has = f"has {n} cell{'' if n == 1 else 's'}"
        if record.spoiled:
            raise Rejected(self.name(record.spoiled_cell), record.spoiled)
        if n < self.width:
            raise Rejected("", f"{has}, the header has {self.width}" if self.header is not None
                           else f"{has}, column {self.width} is needed")
        if self.header is not None and any(cell.strip(BLANKS) for cell in record.cells[len(self.header):]):
            raise Rejected("", f"{has}, the header has {len(self.header)}")

    def request(self, record: Record) -> dict[str, str]:
        """The fields of the row's request. A row that is to be skipped is, whatever else is wrong with it."""
        fault: Rejected | None = None
        found: dict[str, str] = {}

        def take(name: str) -> str | None:
            nonlocal fault
            try:
                return self.checked(name, record)
            except Rejected as e:
                fault = fault or e
                return None
        kind = take("trackingType")
        if kind == "SHIPMENT" and self.profile.get("shipment_without_number") == "production":
            try:
                kind = "SHIPMENT" if self.value("trackingNumber", record) else "PRODUCTION"
            except Rejected:
                pass
        for name in OF_SHIPMENT if kind == "SHIPMENT" else COMMON:
            value = take(name)
            if value is not None:
                found[name] = value
        if fault:
            raise fault
        return found | {"trackingType": kind or ""}

    def event(self, record: Record, request: dict[str, str], source: str, body: str) -> tuple[Any, ...]:
        identity = tuple(record.cells[i].strip(BLANKS) for i in self.identity)
        card = (request["issuerId"], request["cardId"])
        return (*card, "identity", source, request["trackingType"], identity) if any(identity) else (*card, "request", body)


def _row(mapping: Mapping, reader: Reader, record: Record, source: str, history: History) -> Row:
    row = Row(record.line, "queued", raw=reader.raw_of(record), end=record.end, cells=record.cells, n=record.n)
    if not record.spoiled and "cardId" in mapping.fields:
        try:
            row.card = mapping.value("cardId", record) or ""
        except (Rejected, Skipped, IndexError):
            pass
    try:
        mapping.whole(record)
        request = mapping.request(record)
        if request["issuerId"] not in ISSUERS:
            raise Rejected(mapping.column("issuerId"), f"no endpoint has issuer {request['issuerId']}")
    except Rejected as e:
        row.state, row.column, row.reason = "rejected", e.column, e.reason
        return row
    except Skipped:
        row.state = "skipped"
        return row
    row.path = f"/issuers/{request['issuerId']}/physicalCards/{request['cardId']}/track"
    row.body = json.dumps({name: request[name] for name in ORDER if name in request}, ensure_ascii=False, separators=(",", ":"))
    event = mapping.event(record, request, source, row.body)
    if event in history.events:
        row.state, row.same_as = "duplicate", history.events[event]
    row.event = event
    return row


def _check_trailer(trailer: Profile, record: Record, rows: int, header: bool) -> None:
    column = trailer["count_column"]
    if record.spoiled:
        raise Broken(f"line {record.line}: the trailer {record.spoiled}")
    count = record.cells[column - 1].strip(BLANKS) if column <= len(record.cells) else ""
    if digits := re.fullmatch("0*([1-9][0-9]{18,})", count):
        raise Broken(f"line {record.line}: the trailer's count in column {column} is too long a number ({len(digits[1])} digits)")
    if not re.fullmatch("[0-9]+", count):
        raise Broken(f"line {record.line}: the trailer has no count in column {column}")
    expected = rows + {"rows": 0, "rows+trailer": 1, "rows+header+trailer": 1 + header}[trailer.get("counts", "rows")]
    if int(count) != expected:
        raise Broken(f"line {record.line}: the trailer says {int(count)}, the file has {expected} ({rows} data rows)")


def _read(profile: Profile, source: str, raw: bytes, history: History, outcome: Outcome) -> None:
    form = profile.get("format", {})
    trailer = profile.get("trailer")
    has_header = form.get("header", True)
    reader = Reader(raw, profile)
    outcome.head = reader.skip(form.get("skip_lines", 0))
    if has_header:
        header = reader.next()
        if header is None:
            raise Broken("has no data row")
        if header.spoiled:
            raise Broken(f"the header {header.spoiled}")
        outcome.header = [cell.strip(BLANKS) for cell in header.cells]
        if own(outcome.header) > reader.most_cells:
            raise Broken(f"the header has more than {reader.most_cells} cells (max_columns)")
        if own(outcome.header) == len(outcome.header):
            reader.kept = reader.most_cells
        outcome.head, outcome.head_end = raw[:reader.offset], header.end
    elif reader.line < form.get("skip_lines", 0):
        raise Broken("has no data row")
    mapping = Mapping(profile, outcome.header)
    first_of: dict[tuple[Any, ...], int] = {}
    while (record := reader.next()) is not None:
        if outcome.trailer:
            raise Broken(f"line {record.line}: a row stands after the trailer")
        if trailer and record.cells and record.cells[0].strip(BLANKS) == trailer["first_column"]:
            _check_trailer(trailer, record, len(outcome.rows), has_header)
            outcome.trailer, outcome.trailer_raw = record, reader.raw_of(record)
            continue
        row = _row(mapping, reader, record, source, history)
        if row.state == "queued":
            if row.event in first_of:
                row.state, row.same_as = "duplicate", f"line {first_of[row.event]}"
            else:
                first_of[row.event] = row.line
        outcome.rows.append(row)
    rows = outcome.rows
    if trailer and not outcome.trailer:
        raise Broken(f"has no trailer (a last line that begins with {trailer['first_column']}): is the file complete?")
    if not rows:
        raise Broken("has no data row")
    cards = [row.card for row in rows if row.card]
    pans = sum(map(looks_like_pan, cards))
    if not profile.get("allow_pan_like") and len(rows) >= 20 and pans * 2 > max(len(cards), 20):
        raise Broken(f"{pans} of {len(cards)} card ids look like card numbers (PANs), which must never be sent; where that is a"
                     " coincidence: allow_pan_like: true")
    invalid = [row for row in rows if row.state == "rejected"]
    if profile.get("invalid_rows") == "reject_file" and invalid:
        first = invalid[0]
        raise Broken(f"{len(invalid)} invalid row{'s' if len(invalid) > 1 else ''} (invalid_rows: reject_file), the first on line"
                     f" {first.line}{', column ' if first.column else ''}{first.column}: {first.reason}")


def hint(profile: Profile, raw: bytes) -> str:
    """What a file is that is no CSV."""
    charset = charset_of(profile.get("format", {}), raw)
    own_mark = charset.unit > 1 and raw.startswith("\ufeff".encode(charset.codec))
    found = next((f"with the byte order mark of {name}: the source says another encoding" for name, mark in MARKS
                  if raw.startswith(mark) and not own_mark), "")
    known = KINDS if charset.unit == 1 else KINDS[:4]
    found = found or next((words for beginning, words in known if re.match(beginning.encode("latin-1"), raw)), "")
    return f"it begins {found}; " if found else ""


def predict(profile: Profile, source: str, name: str, raw: bytes, history: History) -> Outcome:
    """What becomes of the file; history is carried on."""
    outcome = Outcome()
    digest = hashlib.sha256(raw).hexdigest()
    if (source, digest) in history.files:
        outcome.fate = "duplicate"
        return outcome
    try:
        _read(profile, source, raw, history, outcome)
    except Broken as e:
        outcome.fate, outcome.reason = "rejected", ("" if outcome.rows else hint(profile, raw)) + str(e)
        for row in outcome.rows:
            if row.state != "rejected":
                row.state, row.column, row.reason = "rejected", "", ""
        return outcome
    for row in outcome.rows:
        if row.state == "queued":
            history.events[row.event] = f"{name} line {row.line}"
    if all(row.state != "rejected" for row in outcome.rows):
        history.files.add((source, digest))
    return outcome


_REPEAT = re.compile(r"\{\{([0-9]+)\*(.*?)\}\}", re.DOTALL)


def expanded(recipe: str) -> bytes:
    """{{N*TEXT}} is TEXT N times, with {i} counting from 1 in it; \\n, \\r and \\0 are those characters; the recipe's line ends are left out."""
    def unescaped(text: str) -> str:
        return re.sub(r"\\([nr0\\])", lambda m: {"n": "\n", "r": "\r", "0": "\0", "\\": "\\"}[m[1]], text)

    def repeat(match: re.Match[str]) -> str:
        n, text = int(match[1]), unescaped(match[2])
        return "".join(text.replace("{i}", str(i)) for i in range(1, n + 1)) if "{i}" in text else text * n
    parts, at = [], 0
    recipe = recipe.replace("\n", "")
    for match in _REPEAT.finditer(recipe):
        parts += [unescaped(recipe[at:match.start()]), repeat(match)]
        at = match.end()
    return "".join([*parts, unescaped(recipe[at:])]).encode()


def bytes_of(case: Path) -> bytes:
    return expanded(case.read_text(encoding="utf-8")) if case.suffix == ".recipe" else case.read_bytes()


def cases_of(folder: Path) -> list[Path]:
    """A folder's cases in the order in which the daemon takes them."""
    return sorted((path for path in folder.iterdir() if path.suffix in (".csv", ".recipe")), key=lambda path: f"{path.stem}.csv")


def profile_of(folder: Path) -> Profile:
    return source_yaml.read((folder / "source.yaml").read_text(encoding="utf-8"))


def predict_folder(folder: Path, history: History) -> dict[Path, Outcome]:
    """A profile's cases, with those of its folder `later` behind them."""
    profile = profile_of(folder)
    later = folder / "later"
    cases = cases_of(folder) + (cases_of(later) if later.is_dir() else [])
    return {case: predict(profile, folder.name, f"{case.stem}.csv", bytes_of(case), history) for case in cases}


def main(arguments: list[str]) -> int:
    for argument in arguments:
        case = Path(argument).resolve()
        folder = case.parent.parent if case.parent.name == "later" else case.parent
        print(predict_folder(folder, History())[case].text(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
