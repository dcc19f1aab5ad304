"""Every test that docs/architecture.md names is there: a table of what is tested must not outlive its tests.

    python3 named_tests.py [DOCUMENT]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
E2E = re.compile(r"`(test_\w+)`")
UNIT = re.compile(r"unit `(\w+/\w+)`: ((?:`\w+`(?:, )?)+)")


def missing(document: str, e2e: str, unit: dict[str, str]) -> list[str]:
    """e2e: all end-to-end tests in one; unit: those by folder/name."""
    defined = set(re.findall(r"def (test_\w+)\(", e2e))
    faults = [name for name in E2E.findall(document) if name not in defined]
    for program, names in UNIT.findall(document):
        text = unit.get(program, "")
        faults += [f"{program}: {name}" for name in re.findall(r"`(\w+)`", names) if f"void {name}(void **state)" not in text]
    return faults


def main(arguments: list[str]) -> int:
    document = Path(arguments[0]) if arguments else ROOT / "docs" / "architecture.md"
    e2e = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests" / "e2e").glob("test_*.py")))
    unit = {f"{path.parent.name}/{path.stem.removeprefix('test_')}": path.read_text(encoding="utf-8")
            for path in (ROOT / "tests" / "unit").glob("*/test_*.c")}
    text = document.read_text(encoding="utf-8")
    faults = missing(text, e2e, unit)
    for fault in faults:
        print(f"{document}: there is no test {fault}")
    if len(E2E.findall(text)) < 50 or not UNIT.search(text):
        print(f"{document}: hardly any test is named; has the way of naming them changed?")
        return 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
