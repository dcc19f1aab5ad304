"""The commands that a Markdown document shows, to be run by a test.

A fenced block is one of commands if its info string is `sh`, or if it has none and its first word is one that commands here begin with. A
line that ends in a backslash goes on in the next one; what stands behind ` # ` is a comment, and `exit N` (`exit 0, 1 or 2`) in it says how the
command ends, where that is not with 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^```(\S*)\s*$")
_COMMENT = re.compile(r"(?:^|\s+)#(?:\s.*|$)")
_EXIT = re.compile(r"\bexit (\d+(?:(?:, | or )\d+)*)")
_FIRST_WORDS = re.compile(r"(trackbridge|sqlite3|openssl|tools/\S+|apt|dpkg|systemctl|systemd-\S+|journalctl|install|cmake|sudo|curl)\b")


@dataclass(frozen=True)
class Command:
    chapter: str  # the heading of level two above it
    line: int
    text: str
    statuses: frozenset[int]


def _commands(chapter: str, first: int, lines: list[str]) -> Iterator[Command]:
    text, line = "", first
    for number, raw in enumerate(lines, first):
        comment = _COMMENT.search(raw)
        bare = (raw[:comment.start()] if comment else raw).rstrip()
        line = line if text else number
        if bare.endswith("\\"):
            text += bare[:-1].rstrip() + " "
            continue
        text = (text + bare.strip()).strip()
        ends = _EXIT.search(comment[0]) if comment else None
        if text:
            yield Command(chapter, line, text, frozenset(int(n) for n in re.findall(r"\d+", ends[1])) if ends else frozenset({0}))
        text = ""


def commands_of(document: str) -> list[Command]:
    """All commands of a document, in its order."""
    found: list[Command] = []
    chapter, info, block, first = "", None, [], 0
    for number, line in enumerate(document.splitlines(), 1):
        fence = _FENCE.match(line)
        if info is None and line.startswith("## "):
            chapter = line[3:].strip()
        elif info is None and fence:
            info, block, first = fence[1], [], number + 1
        elif fence and not fence[1]:
            start = next((text for text in block if text.strip()), "")
            if info == "sh" or (info == "" and _FIRST_WORDS.match(start)):
                found += _commands(chapter, first, block)
            info = None
        elif info is not None:
            block.append(line)
    return found


def headings_of(document: str) -> set[str]:
    """What a link inside the document may name, by GitHub's rule."""
    lines = re.sub(r"(?ms)^```.*?^```", "", document).splitlines()
    return {re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-") for line in lines if re.match(r"#+ ", line)}


def links_of(document: str) -> set[str]:
    return set(re.findall(r"\]\(#([^)]+)\)", document))
