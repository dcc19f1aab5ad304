"""config/trackbridge.yaml and docs/man/trackbridge.yaml.5 have every key that src/config knows, with its default, and no other key; the manual has the bounds too.

    python3 config_keys.py [DIRECTORY]    (default: this tree)
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

TABLE = re.compile(r"static const struct mapping_key (\w+)_keys\[\] = \{(.*?)\n\};", re.DOTALL)
KEY = re.compile(r"\{\s*\.name = \"([^\"]+)\"(.*?)\}(?=,)", re.DOTALL)
VALUE = re.compile(r'\.(preset|least|most) = (?:"((?:[^"\\]|\\.)*)"|(\w+))')
DEFINE = re.compile(r'#define (\w+) "([^"]*)"')
# Behind which of the file's three parts a table's keys are looked for.
PARTS = {"top": "top", "retention": "top", "endpoint": "endpoints", "jwt": "endpoints", "tls": "endpoints", "retry": "endpoints",
         "source": "sources", "complete": "sources", "format": "sources", "trailer": "sources", "fields": "sources", "field": "sources"}
# An entry of the file, also one that is commented out. Sentences of comments have no value behind a colon on the same word.
ENTRY = re.compile(r"(?:^\s*(?:# *)?(?:- )?|[{,] )(\w+):(?= |$)", re.MULTILINE)


@dataclass(frozen=True)
class Key:
    table: str
    name: str
    preset: str | None = None
    least: str | None = None
    most: str | None = None


def keys_of(sources: dict[str, str]) -> list[Key]:
    """All keys of all tables. sources: the text of the files of src/config."""
    defined = dict(found for text in sources.values() for found in DEFINE.findall(text))
    keys = []
    for text in sources.values():
        for table, body in TABLE.findall(text):
            for name, rest in KEY.findall(body):
                values = {what: text.replace('\\"', '"') or defined.get(macro, "") for what, text, macro in VALUE.findall(rest)}
                keys.append(Key(table, name, **values))
    return keys


def parts_of(config: str) -> dict[str, str]:
    top, rest = config.split("\nendpoints:\n", 1)
    endpoints, sources = rest.split("\nsources:\n", 1)
    return {"top": top + "\nendpoints:\nsources:\n", "endpoints": endpoints, "sources": sources}


def file_faults(keys: list[Key], config: str) -> list[str]:
    faults = []
    parts = parts_of(config)
    for key in keys:
        part = parts[PARTS[key.table]]
        if key.name not in ENTRY.findall(part):
            faults.append(f"{key.table}.{key.name} is not there")
        elif key.preset and not re.search(rf"\b{key.name}:\s+['\"]?{re.escape(key.preset)}(?!\w)", part):
            faults.append(f"{key.table}.{key.name} is not shown with its default {key.preset}")
    for name, part in parts.items():
        known = {key.name for key in keys if PARTS[key.table] == name}
        lines = [line for line in part.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        shown = {found[1] for line in lines if (found := re.match(r"\s*(?:- )?(\w+):", line))}
        faults += [f"{other} is no key of {name}" for other in sorted(shown - known)]
    return faults


def manual_faults(keys: list[Key], manual: str) -> list[str]:
    """In the manual a key has an item, alone or with others, or is named in its section's text."""
    plain = manual.replace("\\(dq", '"').replace("\\&", "")
    named = {word for line in re.findall(r"(?m)^\.(?:It )?(?:Cm|Li) (.*)$", plain) for word in re.findall(r"\w+", line)}
    faults = [f"{key.table}.{key.name} is not there" for key in keys if key.name not in named]
    for key in keys:
        for value in filter(None, (key.preset, key.least, key.most)):
            if not re.search(rf"(?<![\w.]){re.escape(value)}(?!\w)", plain):
                faults.append(f"{key.table}.{key.name}: {value} (default, least or most) is not there")
    return faults


def main(arguments: list[str]) -> int:
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[2]
    sources = {path.name: path.read_text(encoding="utf-8") for pattern in ("*.c", "*.h") for path in sorted((root / "src/config").glob(pattern))}
    keys = keys_of(sources)
    for table in {key.table for key in keys} - set(PARTS):
        print(f"src/config: the table {table}_keys is new: say in this lint where its keys stand")
        return 1
    faults = []
    for name, check in (("config/trackbridge.yaml", file_faults), ("docs/man/trackbridge.yaml.5", manual_faults)):
        faults += [f"{name}: {fault}" for fault in check(keys, (root / name).read_text(encoding="utf-8"))]
    for fault in faults:
        print(fault)
    if len(keys) < 60:
        print(f"src/config: only {len(keys)} keys were found; has the way of writing them changed?")
        return 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
