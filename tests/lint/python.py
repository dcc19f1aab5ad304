"""Every Python file of the tests and tools can be compiled, without leaving anything behind."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    files = [path for folder in ("tests", "tools") for path in sorted((ROOT / folder).rglob("*.py"))]
    faults = 0
    for path in files:
        try:
            compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as e:
            faults += 1
            print(f"{path}: {e}")
    print(f"{len(files)} files, {faults} faults")
    return 1 if faults or not files else 0


if __name__ == "__main__":
    sys.exit(main())
