"""The time that a daemon under test sees: its wall clock set, and hours gone by in seconds, by a preloaded library (clock_shim.c).

    clock = Clock()
    bureau = Bureau(api, environment=clock.environment())
    clock.wall += 3600       # somebody puts the clock forward
    clock.leap(30)           # half a minute goes by at once, for every clock
    clock.pass_by(72 * 3600) # three days go by, stepping from one moment at which the daemon has something to do to the next

Otherwise time passes at its true pace, and goes on across restarts of the daemon.
"""

from __future__ import annotations

import mmap
import os
import ssl
import struct
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from harness import binary
from scripted_api import ScriptedApi

NS = 1_000_000_000


class Clock:
    """The knobs of one clock_shim.c. Several programs may share them; only one of them may use epoll."""

    WALL, LEAP, POLLS, ASLEEP_UNTIL, WAITING = range(5)

    def __init__(self) -> None:
        fd, name = tempfile.mkstemp(prefix="tb-clock-")
        self.path = Path(name)
        os.ftruncate(fd, 5 * 8)
        self._map = mmap.mmap(fd, 5 * 8)
        os.close(fd)

    def close(self) -> None:
        self._map.close()
        self.path.unlink(missing_ok=True)

    @staticmethod
    def environment_of(path: Path, library: Path) -> dict[str, str]:
        # A preloaded library stands before the sanitizer's, which it would complain of.
        sanitizer = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
        return {"LD_PRELOAD": str(library), "CLOCK_SHIM": str(path), "ASAN_OPTIONS": sanitizer}

    def environment(self) -> dict[str, str]:
        """What a program needs to be started with. The library lies beside the tests of the binary's own build."""
        library = Path(binary()).parent / "tests" / "clock_shim.so"
        if not library.exists():
            raise RuntimeError(f"{library} is missing: build the target clock_shim")
        return self.environment_of(self.path, library)

    def _get(self, which: int) -> int:
        value: int = struct.unpack_from("=q", self._map, 8 * which)[0]
        return value

    def _set(self, which: int, value: int) -> None:
        struct.pack_into("=q", self._map, 8 * which, value)

    # -- what time it is there

    @property
    def wall(self) -> float:
        """By how many seconds the wall clock was put forward; to be set."""
        return self._get(self.WALL) / NS

    @wall.setter
    def wall(self, seconds: float) -> None:
        self._set(self.WALL, round(seconds * NS))

    @property
    def leapt(self) -> float:
        """How many seconds went by at once, all in all."""
        return self._get(self.LEAP) / NS

    def leap(self, seconds: float) -> None:
        self._set(self.LEAP, self._get(self.LEAP) + round(seconds * NS))

    def steady(self) -> float:
        """The program's monotonic clock."""
        return time.monotonic() + self.leapt

    def now(self) -> float:
        """The time of day where nobody sets the clock: time.time() and what went by at once."""
        return time.time() + self.leapt

    # -- what the program does

    @property
    def polls(self) -> int:
        """How often it asked epoll: a few for each turn of its loop."""
        return self._get(self.POLLS)

    def sleeps_until(self) -> float | None:
        """Until when (steady) it sleeps if nothing comes; None: it is awake."""
        at = self._get(self.ASLEEP_UNTIL)
        return at / NS if at else None

    @property
    def waiting(self) -> int:
        """On how many connections it waits for something: to be connected, or an answer to what it sent."""
        return self._get(self.WAITING)

    def pass_by(self, seconds: float, *, hanging: bool = False, least: float = 0, most: float = 600,
                until: Callable[[], bool] = lambda: False, patience: float = 60) -> None:
        """Lets time go by: whenever the program sleeps and waits for nobody (hanging: nobody answers, so that it need not be waited for),
        it is at once the moment until which it sleeps, yet at least and at most so many seconds later. Ends early where `until` says so;
        fails where nothing went by for `patience` true seconds."""
        end = self.steady() + seconds
        given_up = time.monotonic() + patience
        while self.steady() < end and not until():
            if (at := self._asleep(hanging)) is not None:
                self.leap(min(max(at - self.steady(), least), most, max(end - self.steady(), 0)) + 0.001)
                given_up = time.monotonic() + patience
            elif time.monotonic() > given_up:
                raise AssertionError(f"for {patience} s there was no moment at which nothing was under way")

    def _asleep(self, hanging: bool) -> float | None:
        """Until when it sleeps: twice the same, and not over yet."""
        first, polls = self.sleeps_until(), self.polls
        time.sleep(0.001)
        if first is None or first <= self.steady() or (self.waiting and not hanging):
            return None
        return first if (self.sleeps_until(), self.polls) == (first, polls) else None


class TimedApi(ScriptedApi):
    """A scripted D1 whose clock is that of the program under test before anybody set it. Its tokens live in true time."""

    def __init__(self, clock: Clock, issuers: Iterable[str] = ()) -> None:
        self.clock = clock
        super().__init__(issuers=issuers)

    def now(self) -> float:
        return self.clock.now() + self.date_skew

    def _make_context(self, name: str) -> ssl.SSLContext:
        context = super()._make_context(name)
        context.num_tickets = 0  # sent behind the handshake, they would look like an answer to what the client has sent meanwhile
        return context
