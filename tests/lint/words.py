"""Functions that are never called here, marks of unfinished work, and files that have grown too long.

`python3 words.py [DIRECTORY]` (default: this tree) prints each finding and fails. Files of src/ over 400 lines are only told of, over 450 they
fail the lint.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|atoi|atol|atoll|strtok|gets|system|localtime|popen)\s*\(")
# In halves, so that this file passes.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK|T" r"BD|W" r"IP)\b")
# Comments, strings and characters: what stands in them is not called.
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
LONG, TOO_LONG = 400, 450
FOLDERS = ("src", "tests", "tools", "schema", "config", "docs", "systemd", "packaging", "completion", ".ci")
TEXT = {".c", ".h", ".py", ".sh", ".sql", ".cmake", ".txt", ".yaml", ".md", ".service", ".conf", ".8", ".5", ".js", ""}


def blanked(code: str) -> str:
    """The code without what NOT_CODE matches, line for line."""
    return NOT_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), code)


def texts(root: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            generated = any(part in ("__pycache__", "node_modules", "corpus", "data") for part in path.parts)
            if path.is_file() and path.suffix in TEXT and not generated:
                yield path


def findings(root: Path) -> tuple[list[str], list[str]]:
    """Faults, and what is only worth saying."""
    faults, notes = [], []
    for path in texts(root):
        name = path.relative_to(root)
        text = path.read_text(encoding="utf-8", errors="replace")
        code = blanked(text) if path.suffix in (".c", ".h") else ""
        for number, (line, bare) in enumerate(zip(text.split("\n"), code.split("\n") if code else text.split("\n")), 1):
            if code and (match := BANNED.search(bare)):
                faults.append(f"{name}:{number}: {match[1]} is never called here")
            if match := UNFINISHED.search(line):
                faults.append(f"{name}:{number}: {match[0]}")
        lines = text.count("\n")
        if name.parts[0] == "src" and lines > LONG:
            (faults if lines > TOO_LONG else notes).append(f"{name}: {lines} lines; a file is rarely longer than {LONG}")
    return faults, notes


def main(arguments: list[str]) -> int:
    faults, notes = findings(Path(arguments[0]) if arguments else Path(__file__).resolve().parents[2])
    for line in [f"note: {note}" for note in notes] + faults:
        print(line)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
