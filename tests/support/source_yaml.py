"""A source's profile, as tests/data/manifests/*/source.yaml write it: block mappings by indent, flow mappings and lists on one line."""

from __future__ import annotations

import json
import re
from typing import Any

Yaml = Any

_TOKEN = re.compile(r"""\s*([{}\[\],]|:(?=\s|$)|"(?:\\.|[^"\\])*"|'(?:''|[^'])*'|"""
                    r"""[^{}\[\],:\s"'][^{}\[\],:]*?(?=\s*(?:[{}\[\],]|:\s|:$|$)))""")
_ENTRY = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:''|[^'])*'|[A-Za-z_0-9.]+):(?:\s+(.*))?""")


class Unreadable(ValueError):
    """What this small reader does not know."""


def _scalar(token: str) -> Yaml:
    if token[0] == '"':
        return json.loads(re.sub(r"\\x([0-9a-fA-F]{2})", r"\\u00\1", token))
    if token[0] == "'":
        return token[1:-1].replace("''", "'")
    if re.fullmatch(r"-?[0-9]+", token) and (token == "0" or token[0] != "0"):
        return int(token)
    return {"true": True, "false": False}.get(token, token)


def _uncommented(line: str) -> str:
    """A # behind a blank, outside quotes, begins a comment."""
    quote = ""
    for i, c in enumerate(line):
        if quote:
            quote = "" if c == quote and line[i - 1] != "\\" else quote
        elif c in "\"'":
            quote = c
        elif c == "#" and (i == 0 or line[i - 1] in " \t"):
            return line[:i]
    return line


class _Flow:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if not match:
                raise Unreadable(text)
            self.tokens.append(match[1])
            at = match.end()
        self.at = 0

    def take(self, expected: str = "") -> str:
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        if not token or (expected and token != expected):
            raise Unreadable(" ".join(self.tokens))
        self.at += 1
        return token

    def value(self) -> Yaml:
        token = self.take()
        if token not in "{[":
            return _scalar(token)
        end, mapping, items = ("}", {}, []) if token == "{" else ("]", {}, [])
        while self.tokens[self.at:self.at + 1] != [end]:
            item = self.value()
            if token == "{":
                self.take(":")
                mapping[item] = self.value()
            else:
                items.append(item)
            if self.tokens[self.at:self.at + 1] == [","]:
                self.take()
        self.take(end)
        return mapping if token == "{" else items


def _flow(text: str) -> Yaml:
    flow = _Flow(text)
    value = flow.value()
    if flow.at != len(flow.tokens):
        raise Unreadable(text)
    return value


def read(text: str) -> dict[str, Yaml]:
    """The mapping that the text is."""
    root: dict[str, Yaml] = {}
    open_ones: list[tuple[int, dict[str, Yaml]]] = [(0, root)]
    for raw in text.splitlines():
        line = _uncommented(raw).rstrip()
        if not line:
            continue
        indent = len(line) - len(line.lstrip())
        match = _ENTRY.fullmatch(line.strip())
        if not match:
            raise Unreadable(raw)
        while indent < open_ones[-1][0]:
            open_ones.pop()
        if indent != open_ones[-1][0]:
            raise Unreadable(raw)
        key = _scalar(match[1])
        if match[2]:
            open_ones[-1][1][key] = _flow(match[2])
        else:
            inner: dict[str, Yaml] = {}
            open_ones[-1][1][key] = inner
            open_ones.append((indent + 2, inner))
    return root
