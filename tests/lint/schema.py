"""The schema: every table is STRICT, and no column is declared STRING (SQLite would make a number of card 00123).

`python3 schema.py [DIRECTORY]` (default: this tree's schema/) makes a database of the migrations and looks at what came of them.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

TABLES = "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'"
COLUMNS = ("SELECT l.name, c.name, c.type FROM pragma_table_list l, pragma_table_xinfo(l.name) c"
           " WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT LIKE 'sqlite_%'")


def ask(sql: str, question: str) -> list[tuple[str, ...]]:
    """By Python's own SQLite if it knows STRICT, else by the command."""
    if sqlite3.sqlite_version_info >= (3, 37):
        connection = sqlite3.connect(":memory:")
        connection.executescript(sql)
        return [tuple(str(cell) for cell in row) for row in connection.execute(question)]
    done = subprocess.run(["sqlite3", "-bail", "-json", ":memory:"], input=f"{sql}\n;{question};", capture_output=True, text=True,
                          check=True)
    return [tuple(str(cell) for cell in row.values()) for row in json.loads(done.stdout or "[]")]


def faults(sql: str) -> list[str]:
    tables = ask(sql, TABLES)
    found = [f"table {name} is not STRICT" for name, strict in tables if strict != "1"]
    found += [f"{table}.{column} is declared {kind or 'without a type'}" for table, column, kind in ask(sql, COLUMNS)
              if kind.upper() not in ("INTEGER", "TEXT", "BLOB", "REAL")]
    return found if tables else ["there is no table at all"]


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[2] / "schema"
    found = faults("\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("[0-9]*.sql"))))
    print("\n".join(found) if found else "every table is STRICT")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
