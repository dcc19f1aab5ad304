"""A strict reader of Prometheus' text format, version 0.0.4: what it does not take, a scraper may not take either.

Stricter than the format itself where it leaves a choice: every family has its HELP, then its TYPE, then its samples, all in one place; no
timestamps; no empty lines; nothing escaped that need not be.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) (\S.*)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge|histogram|summary|untyped)")
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"')
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|\+Inf|-Inf|NaN")
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Fault(AssertionError):
    """The text breaks the format."""


@dataclass(slots=True)
class Family:
    name: str
    help: str
    type: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)  # by the sample's whole name and its labels, sorted


def _unescaped(text: str) -> str:
    return re.sub(r'\\\\|\\"|\\n', lambda match: _ESCAPES[match[0]], text)


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise Fault(f"not a number: {text}")
    return float(text.replace("Inf", "inf"))


def _labels(text: str | None, line: str) -> Labels:
    found: list[tuple[str, str]] = []
    rest = text
    while rest is not None:
        match = _LABEL.match(rest)
        if not match:
            raise Fault(f"bad labels: {line}")
        if match[1].startswith("__") or match[1] in dict(found):
            raise Fault(f"a label that may not be there: {line}")
        found.append((match[1], _unescaped(match[2])))
        rest = rest[match.end():]
        if not rest:
            break
        if not rest.startswith(","):
            raise Fault(f"bad labels: {line}")
        rest = rest[1:]
    return tuple(sorted(found))


def _family_of(sample: str, family: Family) -> bool:
    suffixes = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
    return any(sample == family.name + suffix for suffix in suffixes)


def _check_histogram(family: Family) -> None:
    series: dict[Labels, list[tuple[float, float]]] = {}
    for (name, labels), value in family.samples.items():
        if name.endswith("_bucket"):
            le = dict(labels).get("le")
            if le is None:
                raise Fault(f"a bucket without le: {family.name} {labels}")
            series.setdefault(tuple(pair for pair in labels if pair[0] != "le"), []).append((_number(le), value))
        elif "le" in dict(labels):
            raise Fault(f"le outside a bucket: {name} {labels}")
    for labels, buckets in series.items():
        bounds, counts = [b for b, _ in buckets], [n for _, n in buckets]
        if bounds != sorted(set(bounds)) or bounds[-1] != math.inf:
            raise Fault(f"bounds do not rise to +Inf: {family.name} {labels} {bounds}")
        if counts != sorted(counts):
            raise Fault(f"buckets fall: {family.name} {labels} {counts}")
        if family.samples.get((f"{family.name}_count", labels)) != counts[-1]:
            raise Fault(f"_count is not the +Inf bucket: {family.name} {labels}")
        if (total := family.samples.get((f"{family.name}_sum", labels))) is None or total < 0 or (total > 0 and not counts[-1]):
            raise Fault(f"_sum is missing or senseless: {family.name} {labels}")
    others = {labels for (name, labels) in family.samples if not name.endswith("_bucket")}
    if others != set(series):
        raise Fault(f"_sum or _count without buckets: {family.name}")


def _check(family: Family) -> None:
    if family.type == "counter":
        if not family.name.endswith("_total"):
            raise Fault(f"a counter's name ends in _total: {family.name}")
        if any(not value >= 0 for value in family.samples.values()):
            raise Fault(f"a counter below 0: {family.name}")
    elif family.name.endswith(("_total", "_bucket", "_sum", "_count")):
        raise Fault(f"a {family.type} with a name of another type: {family.name}")
    if family.type == "histogram":
        _check_histogram(family)


def parse(text: str) -> dict[str, Family]:
    """The families by name, or Fault."""
    if not text.endswith("\n"):
        raise Fault("the last line has no line feed")
    families: dict[str, Family] = {}
    family: Family | None = None
    help_of: tuple[str, str] | None = None
    for line in text[:-1].split("\n"):
        if match := _HELP.fullmatch(line):
            if help_of or match[1] in families:
                raise Fault(f"HELP twice or without TYPE: {line}")
            help_of = match[1], match[2]
        elif match := _TYPE.fullmatch(line):
            if not help_of or help_of[0] != match[1]:
                raise Fault(f"TYPE that does not follow its HELP: {line}")
            family = families[match[1]] = Family(match[1], help_of[1], match[2])
            help_of = None
        elif match := _SAMPLE.fullmatch(line):
            if help_of or not family or not _family_of(match[1], family):
                raise Fault(f"a sample outside its family: {line}")
            key = match[1], _labels(match[2], line)
            if key in family.samples:
                raise Fault(f"a sample twice: {line}")
            family.samples[key] = _number(match[3])
        else:
            raise Fault(f"not a line of the format: {line!r}")
    if help_of:
        raise Fault(f"HELP without TYPE: {help_of[0]}")
    for one in families.values():
        _check(one)
    return families


class Metrics:
    """One reading of a file."""

    def __init__(self, text: str) -> None:
        self.families = parse(text)

    def all(self, name: str, **labels: str) -> dict[Labels, float]:
        """The samples with (at least) these labels. name: without trackbridge_, with _bucket, _sum or _count for those of a histogram."""
        wanted = set(labels.items())
        return {found: value for family in self.families.values() for (sample, found), value in family.samples.items()
                if sample == f"trackbridge_{name}" and wanted <= set(found)}

    def one(self, name: str, **labels: str) -> float:
        found = self.all(name, **labels)
        if len(found) != 1:
            raise AssertionError(f"{len(found)} samples of {name} {labels}")
        return next(iter(found.values()))

    def fell_from(self, before: Mapping[str, Family]) -> list[str]:
        """Counters and histograms that are lower than before, or gone."""
        return [f"{name} {labels}: {value} -> {now}"
                for family in before.values() if family.type in ("counter", "histogram")
                for (name, labels), value in family.samples.items()
                for now in [self.families[family.name].samples.get((name, labels), -math.inf)] if now < value]
