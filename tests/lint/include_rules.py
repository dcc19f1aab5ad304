"""Who may include what in src/. `python3 include_rules.py [DIRECTORY]` (default: this tree's src/) prints each breach and fails.

The tables below are the ones of docs/architecture.md: data goes one way through the house, and each library has one door.
"""

from __future__ import annotations

import fnmatch
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

# Each folder of src/, and the folders of ours whose headers it may include besides its own.
MAY_INCLUDE: dict[str, set[str]] = {
    "base": set(),
    "track": {"base"},
    "config": {"base", "track"},
    "queue": {"base", "track"},
    "intake": {"base", "track", "config", "queue"},
    "submit": {"base", "track", "config", "queue"},
    "report": {"base", "track", "config", "queue"},
    "control": {"base", "queue"},
    "cli": {"base", "track", "config", "queue", "intake", "submit", "report", "control"},
    "": {"base", "cli"},  # main.c: the table of commands
}

# Headers that only their own folder may include.
PRIVATE = ("queue/internal.h", "queue/db.h", "queue/statements.h", "queue/schema.h", "intake/watch_inside.h", "intake/spool_inside.h", "config/parts.h",
           "submit/transfer.h", "control/json.h", "control/connection.h", "control/listen.h", "control/request_inside.h",
           "queue/verify_inside.h")

# Each library's headers, and the files that may include them.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "sqlite3.h": ("queue/*",),
    "curl/*": ("submit/http*", "submit/transfer*"),
    "csv.h": ("intake/csv.c",),
    "yaml.h": ("config/*",),
    "openssl/evp.h": ("submit/*", "intake/spool.c", "intake/spool_digest.c", "intake/event.c"),  # in intake: the digest
    "openssl/*": ("submit/*",),
    "cjson/cJSON.h": ("track/*", "submit/jwt.c", "submit/token*.c", "control/*"),
    "cJSON.h": ("track/*",),
    "systemd/sd-journal.h": ("base/log.c",),
    "systemd/sd-event.h": ("cli/*", "intake/*", "submit/*", "control/*"),
    "systemd/sd-bus.h": ("cli/unit_bus.c",),
    "systemd/sd-daemon.h": ("base/log.c", "cli/*"),
    "iconv.h": ("intake/*", "report/charset.c", "config/source.c"),  # report: for the rejects file; config: is there such an encoding?
}

# libc and the kernel.
SYSTEM = {f"{name}.h" for name in (
    "ctype dirent errno fcntl float fnmatch getopt glob grp inttypes langinfo limits locale math poll pwd sched search signal stdarg"
    " stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings syslog termios time unistd wchar").split()}
SYSTEM_FOLDERS = ("sys/", "linux/", "netinet/", "arpa/")

# Pure: no files, no clock.
NOT_IN_TRACK = ("time.h", "unistd.h", "fcntl.h", "dirent.h", "sys/*", "linux/*", "base/clock.h", "base/file.h", "base/log.h")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def includes(root: Path) -> Iterator[tuple[str, str, bool]]:
    """Each include: the file, what it includes, and whether in quotation marks."""
    for path in sorted([*root.rglob("*.c"), *root.rglob("*.h")]):
        for quote, header in INCLUDE.findall(path.read_text(encoding="utf-8")):
            yield path.relative_to(root).as_posix(), header, quote == '"'


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def fault_of_ours(file: str, header: str, root: Path) -> str | None:
    folder, other = folder_of(file), folder_of(header)
    if not (root / header).exists():
        return f'"{header}" is no header of ours'
    if folder not in MAY_INCLUDE:
        return f"the folder {folder} is in no table"
    if other != folder and other not in MAY_INCLUDE[folder]:
        return f"{folder or 'main'} may not include {other}"
    if header in PRIVATE and other != folder:
        return f"{header} is {other}'s own"
    return None


def fault_of_library(file: str, header: str) -> str | None:
    for pattern, files in LIBRARIES.items():
        if fnmatch.fnmatch(header, pattern):
            allowed = any(fnmatch.fnmatch(file, one) for one in files)
            return None if allowed else f"<{header}> belongs in {' '.join(files)}"
    if header in SYSTEM or header.startswith(SYSTEM_FOLDERS):
        return None
    return f"<{header}> is in no table"


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """Some folders that include each other in a ring, or nothing."""
    done: set[str] = set()

    def search(folder: str, way: list[str]) -> list[str]:
        if folder in way:
            return [*way[way.index(folder):], folder]
        if folder in done:
            return []
        for other in sorted(edges[folder]):
            found = search(other, [*way, folder])
            if found:
                return found
        done.add(folder)
        return []
    return next((found for folder in sorted(edges) if (found := search(folder, []))), [])


def faults(root: Path) -> list[str]:
    found = []
    edges: dict[str, set[str]] = defaultdict(set)
    for file, header, ours in includes(root):
        fault = fault_of_ours(file, header, root) if ours else fault_of_library(file, header)
        if file.startswith("track/") and any(fnmatch.fnmatch(header, pattern) for pattern in NOT_IN_TRACK):
            fault = f"{header}: track has no files and no clock"
        if fault:
            found.append(f"src/{file}: {fault}")
        if ours and folder_of(header) != folder_of(file):
            edges[folder_of(file)].add(folder_of(header))
    ring = cycle(defaultdict(set, {folder: set(others) for folder, others in edges.items()}))
    if ring:
        found.append("folders include each other: " + " → ".join(ring))
    return found


if __name__ == "__main__":
    breaches = faults(Path(sys.argv[1]) if len(sys.argv) == 2 else Path(__file__).resolve().parents[2] / "src")
    print("\n".join(breaches) if breaches else "the include rules hold")
    sys.exit(1 if breaches else 0)
