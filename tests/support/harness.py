"""A bureau for tests: directories, configuration and keys in a temporary folder, the daemon as a child, and the questions tests ask.

The binary is $TRACKBRIDGE. $TRACKBRIDGE_KEEP=1 leaves the folders behind. Everything started here ends with the Bureau.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import manifests
import pki
from manifests import Event, Manifest
from scripted_api import TOKEN_PATH, ScriptedApi

T = TypeVar("T")
Cell = Any
View = dict[str, Cell]

FIRST_WAIT = 10.0  # seconds that anything may take on a busy machine unless a test says otherwise

STATES = ("queued", "sending", "accepted", "refused", "in_doubt", "held", "expired", "cancelled", "rejected", "duplicate", "skipped")
FINAL = frozenset({"accepted", "refused", "expired", "cancelled", "rejected", "duplicate", "skipped"})
OPEN = frozenset(STATES) - FINAL

# Everything that a test does not say. Times are short, so that tests are.
TOP: dict[str, Any] = {"version": 1, "stop_timeout": "10s", "min_free_space": "1MiB"}
ENDPOINT: dict[str, Any] = {
    "name": "bankfr", "issuers": ["BANKFR0001"],
    "jwt": {"issuer": "BANKFR0001", "key_id": "2026-01", "lifetime": "300s"},
    "tls": {},
    "concurrency": 8, "timeout": "5s", "http": 1.1,
    "retry": {"first": "50ms", "most": "1s", "give_up_after": "72h"},
}
SOURCE: dict[str, Any] = {
    "name": "lyon",
    "match": ["*.csv"],
    "complete": {"when": "renamed", "quiet": "200ms"},
    "scan": "1s",
    "format": {"delimiter": ";"},
    "fields": {
        "issuerId": {"value": "BANKFR0001"},
        "cardId": "CARD_REF",
        "trackingType": {"column": "STATUS", "map": {"PRODUCED": "PRODUCTION", "SHIPPED": "SHIPMENT", "RTS": "RETURN", "EMBOSSED": "skip"}},
        "productionSite": {"column": "SITE", "default": "Lyon"},
        "trackingNumber": "TRACK_NO",
        "postalCode": {"column": "ZIP", "case": "upper"},
        "countryCode": {"column": "COUNTRY", "map": {"FRANCE": "FR"}, "otherwise": "keep"},
        "shipmentDate": {"column": "SHIP_DATE", "format": "%d/%m/%Y %H:%M", "timezone": "Europe/Paris"},
    },
}


def many(n: int) -> int:
    """So many of something that shows in numbers alone; a tenth of it under sanitizers, which look for other things and take longer."""
    return n // 10 if os.environ.get("TRACKBRIDGE_FEWER") else n


def binary() -> str:
    path = os.environ.get("TRACKBRIDGE")
    if not path:
        raise RuntimeError("set TRACKBRIDGE to the path of the binary under test")
    return os.path.abspath(path)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """base with changes laid over it, key by key; None takes a key away."""
    result = copy.deepcopy(dict(base))
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*|[0-9]+(ms|s|m|h|d|KiB|MiB|GiB)")


def to_yaml(value: Any, indent: int = 0) -> str:
    """Block style with a scalar a line, as people write it."""
    pad = "  " * indent
    if isinstance(value, Mapping) and value:
        return "".join(f"\n{pad}{_scalar(k)}:{to_yaml(v, indent + 1)}" for k, v in value.items())
    if isinstance(value, list) and value:
        return "".join(f"\n{pad}-{to_yaml(v, indent + 1)}" for v in value)
    return f" {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value not in ("true", "false", "null", "yes", "no", "on", "off", "y", "n"):
        return value
    return json.dumps(value, ensure_ascii=False)


class NotThere(AssertionError):
    """A row, a manifest or an endpoint that the database does not have (yet)."""


def wait_for(predicate: Callable[[], T], seconds: float = FIRST_WAIT, what: str = "what was waited for") -> T:
    """The predicate's first true value, or AssertionError when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"{what} did not come about within {seconds} s")
        time.sleep(0.01)


def seconds_of(text: str) -> float:
    """A view's time (ISO 8601 in UTC) as seconds since 1970."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=timezone.utc).timestamp()


class NotifySocket:
    """What a service manager hears of a daemon: READY=1, STATUS=…, WATCHDOG=1. Read at once, so that the daemon never blocks on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.messages: list[tuple[float, str]] = []  # monotonic time, one line each
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._read, daemon=True, name="notify")
        self._thread.start()

    def _read(self) -> None:
        while True:
            data = self._socket.recv(65536)
            if not data:
                return
            now = time.monotonic()
            self.messages += [(now, line) for line in data.decode("utf-8", "replace").split("\n") if line]

    def count(self, start: str) -> int:
        return sum(line.startswith(start) for _, line in self.messages)

    def last(self, start: str) -> str | None:
        return next((line for _, line in reversed(self.messages) if line.startswith(start)), None)

    def close(self) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", str(self.path))
        self._thread.join(5)
        self._socket.close()


class Bureau:
    """One bureau with one endpoint and one source unless told otherwise.

    top, endpoint and source are laid over the defaults above; sources (or endpoints) gives several, each laid over them. settle with
    `until_idle`, or `start`, `drop`, `wait_…`, `stop`. Use it as a context manager.
    """

    def __init__(self, api: ScriptedApi | None = None, *, url: str = "", top: Mapping[str, Any] | None = None,
                 endpoint: Mapping[str, Any] | None = None, source: Mapping[str, Any] | None = None,
                 endpoints: list[Mapping[str, Any]] | None = None, sources: list[Mapping[str, Any]] | None = None,
                 environment: Mapping[str, str] | None = None, wrapper: list[str] | None = None) -> None:
        self.api = api
        self.url = url or (api.url if api else "https://localhost:1")
        self.pki = api.pki if api else pki.shared()
        self.root = Path(tempfile.mkdtemp(prefix="tb-"))
        self.state = self.root / "state"
        self.database = self.state / "queue.db"
        self.log_path = self.root / "log"
        self.config_path = self.root / "trackbridge.yaml"
        self.wrapper = wrapper or []  # in front of the daemon: strace, faketime, …
        self.environment = dict(environment or {})
        self.dropped: list[tuple[str, str, list[Event]]] = []  # source, name, events
        self.daemon: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []
        self.notify = NotifySocket(self.root / "notify")
        self.state.mkdir(mode=0o750)
        self.config = self._config(top or {}, endpoints or [endpoint or {}], sources or [source or {}])
        self.write_config()
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends what was started here, and removes the folder."""
        atexit.unregister(self.close)
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._started.clear()
        self.notify.close()
        if not os.environ.get("TRACKBRIDGE_KEEP"):
            shutil.rmtree(self.root, ignore_errors=True)

    # -- configuration

    def _config(self, top: Mapping[str, Any], endpoints: list[Mapping[str, Any]], sources: list[Mapping[str, Any]]) -> dict[str, Any]:
        place = {
            "api_url": f"{self.url}/banking/v1", "token_url": f"{self.url}{TOKEN_PATH}",
            "jwt": {"key": str(self.pki / "jwt.key")},
            "tls": {"certificate": str(self.pki / "client.pem"), "key": str(self.pki / "client.key"), "ca": str(self.pki / "ca.pem")},
        }
        config = merged(TOP, {"state_dir": str(self.state), "control_socket": str(self.root / "control.sock")})
        config["endpoints"] = [merged(merged(ENDPOINT, place), changes) for changes in endpoints]
        config["sources"] = []
        for changes in sources:
            name = changes.get("name", SOURCE["name"])
            folders = {"drop": str(self.root / name / "in"), "receipts": str(self.root / name / "out")}
            one = merged(merged(SOURCE, folders), changes)
            config["sources"].append(one)
            for folder in ("drop", "receipts"):
                if folder in one:
                    Path(one[folder]).mkdir(parents=True, exist_ok=True)
        return merged(config, top)

    def write_config(self) -> None:
        """After a change to self.config."""
        self.config_path.write_text(to_yaml(self.config).lstrip("\n") + "\n", encoding="utf-8")

    @property
    def in_directory(self) -> Path:
        return Path(self.config["sources"][0]["drop"])

    @property
    def out_directory(self) -> Path:
        return Path(self.config["sources"][0]["receipts"])

    # -- the daemon

    def _environment(self) -> dict[str, str]:
        unwanted = ("JOURNAL_STREAM", "INVOCATION_ID", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                    "http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "no_proxy", "NO_PROXY")
        clean = {name: value for name, value in os.environ.items() if name not in unwanted}
        return clean | self.environment

    def spawn(self, *arguments: str, notify: bool = True) -> subprocess.Popen[bytes]:
        """The binary with this configuration, its output appended to the log; it is ended with the Bureau."""
        environment = self._environment()
        if notify:
            environment["NOTIFY_SOCKET"] = str(self.notify.path)
        with open(self.log_path, "ab") as log:
            process = subprocess.Popen([*self.wrapper, binary(), "-c", str(self.config_path), *arguments], stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, env=environment, cwd=self.root, start_new_session=True)
        self._started.append(process)
        return process

    def start(self, seconds: float = FIRST_WAIT) -> None:
        """`run`, until it says that it is ready."""
        before = self.notify.count("READY=1")
        self.daemon = process = self.spawn("run")

        def ready() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"the daemon ended with {process.returncode}\n{self.log_tail()}")
            return self.notify.count("READY=1") > before
        wait_for(ready, seconds, "READY=1")

    @property
    def pid(self) -> int:
        """The daemon's own, behind the wrapper where there is one."""
        assert self.daemon
        if not self.wrapper:
            return self.daemon.pid
        children = Path(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children").read_text().split()
        return int(children[0])

    def stop(self, seconds: float = 20) -> int:
        """TERM; gives the exit status."""
        assert self.daemon
        os.kill(self.pid, signal.SIGTERM)
        return self._ended(self.daemon, seconds)

    def kill(self) -> None:
        """KILL, as a crash would."""
        if self.api:
            self.api.client_killed = True
        assert self.daemon
        os.killpg(self.daemon.pid, signal.SIGKILL)
        self.daemon.wait()

    def until_idle(self, seconds: float = 30) -> int:
        """`run --until-idle`; gives the exit status."""
        self.daemon = self.spawn("run", "--until-idle")
        return self._ended(self.daemon, seconds)

    def _ended(self, process: subprocess.Popen[bytes], seconds: float) -> int:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon still runs after {seconds} s\n{self.states()}\n{self.log_tail()}") from None

    def cli(self, *arguments: str, seconds: float = 20) -> subprocess.CompletedProcess[str]:
        """A command with this configuration."""
        return subprocess.run([binary(), "-c", str(self.config_path), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=self._environment(), cwd=self.root, timeout=seconds)

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.splitlines()[-lines:])

    # -- files

    def drop(self, name: str, content: Manifest | str | bytes, how: Literal["rename", "write"] = "rename", *, source: int = 0,
             events: list[Event] | None = None) -> Path:
        """Puts a manifest there: rename from a name that is never taken, or write in place. events: what it holds, where its layout is
        not the default one."""
        if isinstance(content, Manifest):
            events = content.events if events is None else events
            content = content.text()
        if isinstance(content, str):
            events = manifests.events_of(content) if events is None else events
            content = content.encode("utf-8")
        one = self.config["sources"][source]
        path = Path(one["drop"]) / name
        self.dropped.append((one["name"], name, events or []))
        target = path.with_name(f".{name}.upload") if how == "rename" else path
        target.write_bytes(content)
        if how == "rename":
            target.rename(path)
        return path

    # -- the database, read as anybody may

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()

    def query(self, sql: str, *values: Cell) -> list[View]:
        with self.connection() as connection:
            return [dict(row) for row in connection.execute(sql, values)]

    def rows(self, where: str = "1", *values: Cell) -> list[View]:
        return self.query(f"SELECT * FROM status WHERE {where} ORDER BY row_id", *values)

    def row(self, card: str, kind: str = "") -> View:
        """The one row of a card (and type)."""
        found = self.rows("card_id = ? AND (? = '' OR tracking_type = ?)", card, kind, kind)
        if len(found) != 1:
            raise NotThere(f"{len(found)} rows of {card} {kind}: {found}")
        return found[0]

    def manifests(self) -> list[View]:
        return self.query("SELECT * FROM manifest_status ORDER BY manifest_id")

    def manifest(self, name: str) -> View:
        found = self.query("SELECT * FROM manifest_status WHERE name = ? ORDER BY manifest_id DESC", name)
        if not found:
            raise NotThere(f"no manifest {name}")
        return found[0]

    def endpoints(self) -> list[View]:
        return self.query("SELECT * FROM endpoint_status ORDER BY endpoint")

    def endpoint(self) -> View:
        return self.endpoints()[0]

    def sources(self) -> list[View]:
        return self.query("SELECT * FROM source_status ORDER BY source")

    def attempts(self, row_id: int | None = None) -> list[View]:
        return self.query("SELECT * FROM attempt_history WHERE ? IS NULL OR row_id = ? ORDER BY row_id, attempt", row_id, row_id)

    def actions(self) -> list[View]:
        return self.query("SELECT * FROM operator_action_log ORDER BY at")

    def states(self) -> dict[str, int]:
        """How many rows are in each state; empty while there is no database."""
        try:
            found = self.query("SELECT state, count(*) AS n FROM status GROUP BY state")
        except sqlite3.OperationalError:
            return {}
        return {row["state"]: row["n"] for row in found}

    # -- waiting

    def wait(self, predicate: Callable[[], T], what: str, seconds: float = FIRST_WAIT) -> T:
        """wait_for, with the states and the log's end where it fails; a database, a row or a manifest that is not there yet is waited for too."""
        def there() -> T | None:
            try:
                return predicate()
            except (sqlite3.OperationalError, NotThere):
                return None
        try:
            found = wait_for(there, seconds, what)
            assert found is not None
            return found
        except AssertionError as e:
            endpoints = self.endpoints() if self.database.exists() else []
            raise AssertionError(f"{e}\nrows: {self.states()}\nendpoints: {endpoints}\n{self.log_tail()}") from None

    def wait_manifest(self, name: str, *states: str, seconds: float = FIRST_WAIT) -> View:
        """Until a manifest is in one of the states (settled)."""
        wanted = states or ("settled",)

        def there() -> View | None:
            found = self.query("SELECT * FROM manifest_status WHERE name = ? ORDER BY manifest_id DESC", name)
            return found[0] if found and found[0]["state"] in wanted else None
        found = self.wait(there, f"{name} {' or '.join(wanted)}", seconds)
        assert found
        return found

    def wait_row(self, card: str, *states: str, kind: str = "", seconds: float = FIRST_WAIT) -> View:
        """Until a card's one row is in one of the states."""
        def there() -> View | None:
            found = self.rows("card_id = ? AND (? = '' OR tracking_type = ?)", card, kind, kind)
            return found[0] if len(found) == 1 and found[0]["state"] in states else None
        found = self.wait(there, f"{card} {' or '.join(states)}", seconds)
        assert found
        return found

    def at_rest(self) -> bool:
        """Everything that was taken is loaded, and no row can move by itself."""
        manifests_there = self.manifests()
        return bool(manifests_there) and not any(m["state"] == "loading" or m["queued"] or m["sending"] for m in manifests_there)

    def wait_states(self, seconds: float = FIRST_WAIT, **counts: int) -> None:
        """Until exactly so many rows are in each of the states named."""
        self.wait(lambda: all(self.states().get(state, 0) == n for state, n in counts.items()), f"{counts}", seconds)

    def wait_endpoint(self, state: str, reason: str | None = None, seconds: float = FIRST_WAIT) -> View:
        def there() -> View | None:
            one = self.endpoint()
            return one if one["state"] == state and (reason is None or one["reason"] == reason) else None
        found = self.wait(there, f"endpoint {state} {reason or ''}", seconds)
        assert found
        return found
