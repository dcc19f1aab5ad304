"""Manifests as a factory would write them, in the layout of harness.SOURCE. `python3 manifests.py N [SEED]` prints one."""

from __future__ import annotations

import csv
import io
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

COLUMNS = ("CARD_REF", "STATUS", "SITE", "TRACK_NO", "ZIP", "COUNTRY", "SHIP_DATE")
TYPES = {"PRODUCED": "PRODUCTION", "SHIPPED": "SHIPMENT", "RTS": "RETURN"}
WORDS = {kind: word for word, kind in TYPES.items()}
SITES = ("Lyon", "Tours", "Orléans", "Saint-Étienne", "Köln-Süd")
DATE = "%d/%m/%Y %H:%M"

Event = tuple[str, str]  # card id, tracking type


@dataclass(frozen=True, slots=True)
class Row:
    card: str
    type: str = "SHIPMENT"
    site: str = "Lyon"
    number: str = "6A 0123.456/7-FR"
    zip: str = "69001"
    country: str = "FR"
    date: str = "20/11/2026 14:30"  # in Paris

    @property
    def event(self) -> Event:
        return self.card, self.type

    def cells(self) -> tuple[str, ...]:
        return self.card, WORDS.get(self.type, self.type), self.site, self.number, self.zip, self.country, self.date

    def body(self) -> dict[str, str]:
        """The request that D1 should get."""
        if self.type != "SHIPMENT":
            return {"trackingType": self.type, "productionSite": self.site}
        local = datetime.strptime(self.date, DATE).replace(tzinfo=ZoneInfo("Europe/Paris"))
        country = "FR" if self.country == "FRANCE" else self.country
        optional = {"postalCode": self.zip.upper(), "countryCode": country}
        return {"trackingType": self.type, "productionSite": self.site, "trackingNumber": self.number,
                "shipmentDate": local.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")} | {k: v for k, v in optional.items() if v}


@dataclass(frozen=True, slots=True)
class Manifest:
    rows: Sequence[Row] = field(default_factory=tuple)

    @property
    def events(self) -> list[Event]:
        return [row.event for row in self.rows]

    def text(self) -> str:
        return to_text(row.cells() for row in self.rows)

    def row_of(self, card: str) -> Row:
        return next(row for row in self.rows if row.card == card)


def to_text(rows: Iterable[Sequence[str]], columns: Sequence[str] = COLUMNS) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def events_of(text: str) -> list[Event]:
    """The events of a manifest in the default layout; rows that are not to be sent are left out."""
    rows = csv.DictReader(io.StringIO(text), delimiter=";")
    return [(row["CARD_REF"].strip(), TYPES[row["STATUS"].strip()]) for row in rows if (row.get("STATUS") or "").strip() in TYPES]


def cards(ids: Iterable[str], kind: str = "SHIPMENT") -> Manifest:
    """One row for each id; the ids' prefixes script the API."""
    return Manifest([Row(card, kind) for card in ids])


def realistic(n: int, *, seed: int = 1, prefix: str = "card", types: Sequence[str] = tuple(WORDS)) -> Manifest:
    """n rows of all three types with cards of their own, the same for the same arguments."""
    chance = random.Random(seed)
    begin = datetime(2026, 10, 1, 8, 0)
    rows = []
    for i in range(n):
        rows.append(Row(card=f"{prefix}-{seed:x}-{i:07d}-{chance.getrandbits(32):08x}", type=types[i % len(types)],
                        site=chance.choice(SITES), number=f"LP{chance.randrange(10**9):09d}FR",
                        zip=chance.choice(("", "69001", "75008", "W1A 1aa", "1010")),
                        country=chance.choice(("", "FR", "FRANCE", "GB", "AT")),
                        date=(begin + timedelta(minutes=chance.randrange(30_000))).strftime(DATE)))
    return Manifest(rows)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    sys.stdout.write(realistic(int(sys.argv[1]), seed=int(sys.argv[2]) if len(sys.argv) == 3 else 1).text())
