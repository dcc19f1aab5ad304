"""What the scripted API saw: one record for each request that it read whole, in memory and as lines of a file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields


@dataclass(slots=True)
class Request:
    """A Track Card request that was read whole. The names are those of the ledger's lines."""

    n: int
    t: float
    issuer: str
    card: str
    type: str
    body: str
    correlation: str
    bearer_ok: bool
    status: int = 0  # answered, or planned where the answer was not sent whole
    operationId: str = ""
    behaviour: str = ""
    connection: int = 0
    nth: int = 0  # on its connection, from 1
    of_card: int = 0  # how many of this card were read before it
    bad: str = ""  # what D1 would have refused, or what a client must not do
    nothing_done: bool = False  # D1 says with its answer that it did nothing, so that the request may be sent again

    def line(self) -> bytes:
        """Its line in a ledger."""
        return json.dumps({name: getattr(self, name) for name in REQUEST_FIELDS}).encode() + b"\n"


REQUEST_FIELDS = [field.name for field in fields(Request)]


@dataclass(slots=True)
class TokenRequest:
    t: float
    status: int
    behaviour: str
    bad: str  # what is wrong with it
    assertion: str
    token: str  # that was given


def read_ledger(path: str | os.PathLike[str]) -> list[Request]:
    """A ledger's requests; a last line that was cut off is left out, as its request was not answered."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    return [Request(**json.loads(line)) for line in lines[:-1]]
