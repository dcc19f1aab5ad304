"""The preloaded library does what it says, in a program of its own: what is set is seen, what sleeps wakes, all else stays true."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import unittest

from clock import Clock
from harness import wait_for

# Answers each line of its input with what it sees: {clock: seconds}, or how long (by the true clock) a sleep took.
PROGRAM = r"""
import ctypes, json, os, select, struct, sys, time

libc = ctypes.CDLL(None, use_errno=True)
CLOCKS = {"real": 0, "monotonic": 1, "cpu": 2, "raw": 4, "real coarse": 5, "monotonic coarse": 6, "boot": 7}

def spec(seconds=0.0):
    return struct.pack("=qq", int(seconds), int(seconds % 1 * 1e9))

def seconds_of(buffer, fraction):
    whole, part = struct.unpack("=qq", buffer.raw)
    return whole + part / fraction

def read():
    found = {name: time.clock_gettime(number) for name, number in CLOCKS.items()}
    libc.time.restype = ctypes.c_int64
    buffer = ctypes.create_string_buffer(16)
    found["time"] = libc.time(None)
    libc.gettimeofday(buffer, None)
    found["gettimeofday"] = seconds_of(buffer, 1e6)
    libc.timespec_get(buffer, 1)
    found["timespec_get"] = seconds_of(buffer, 1e9)
    return found

def timer(clock, absolute):
    fd = libc.timerfd_create(clock, 0)
    at = 100 + (time.clock_gettime(clock) if absolute else 0)
    assert libc.timerfd_settime(fd, absolute, spec() + spec(at), None) == 0
    return fd

def sleep(how):
    epoll = select.epoll()
    if how == "epoll_wait":
        return epoll.poll(100)
    if how == "epoll_pwait":
        return libc.epoll_pwait(epoll.fileno(), ctypes.create_string_buffer(12), 1, 100_000, None)
    if how == "epoll_pwait2":
        return libc.epoll_pwait2(epoll.fileno(), ctypes.create_string_buffer(12), 1, spec(100), None)
    if how == "poll":
        return libc.poll(None, 0, 100_000)
    if how == "ppoll":
        return libc.ppoll(None, 0, spec(100), None)
    clock, absolute = how.split()
    fd = timer(CLOCKS[clock], int(absolute == "at"))
    epoll.register(fd, select.EPOLLIN)
    epoll.poll()
    os.close(fd)

for line in sys.stdin:
    if line.strip() != "read":
        print('"sleeps"', flush=True)
        sleep(line.strip())
    print(json.dumps(read()), flush=True)
"""

WALL = ("real", "real coarse", "time", "gettimeofday", "timespec_get")
STEADY = ("monotonic", "raw", "monotonic coarse", "boot")
SLEEPS = ("epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "monotonic in", "monotonic at", "boot at", "real at")


class ClockTest(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.addCleanup(self.clock.close)
        self.program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=os.environ | self.clock.environment())
        self.addCleanup(self._end)
        self.truth = self.offsets()

    def _end(self) -> None:
        self.program.kill()
        self.program.communicate()

    def say(self, line: str) -> None:
        assert self.program.stdin
        print(line, file=self.program.stdin, flush=True)

    def hear(self) -> dict[str, float]:
        assert self.program.stdout
        found: dict[str, float] = json.loads(self.program.stdout.readline())
        return found

    def sleeps(self, how: str) -> None:
        """Until it does, where that can be seen."""
        self.say(how)
        self.hear()
        if "poll" not in how or "epoll" in how:
            wait_for(self.clock.sleeps_until, what=how)

    def offsets(self) -> dict[str, float]:
        """What its clocks are ahead of ours."""
        self.say("read")
        seen, ours = self.hear(), time.monotonic()
        return {name: value - (0 if name == "cpu" else ours) for name, value in seen.items()}

    def moved(self) -> dict[str, float]:
        return {name: value - self.truth[name] for name, value in self.offsets().items()}

    def assert_moved(self, wall: float, steady: float) -> None:
        for name, by in self.moved().items():
            expected = wall if name in WALL else steady if name in STEADY else 0
            self.assertAlmostEqual(by, expected, delta=1.5, msg=name)

    def test_time_is_true_until_it_is_set(self) -> None:
        self.assertAlmostEqual(self.truth["real"], time.time() - time.monotonic(), delta=1.5)
        self.assert_moved(0, 0)

    def test_the_wall_clock_alone_is_set_and_set_back(self) -> None:
        for seconds in (1000.0, 315576000.0, -315576000.0, 0.0):
            self.clock.wall = seconds
            self.assert_moved(seconds, 0)

    def test_a_leap_moves_every_clock_but_that_of_the_processor(self) -> None:
        self.clock.leap(4000)
        self.clock.leap(5000)
        self.clock.wall = -100
        self.assert_moved(8900, 9000)
        self.assertAlmostEqual(self.clock.steady() - time.monotonic(), 9000, delta=1)

    def test_what_sleeps_wakes_up_when_its_time_has_come_by_a_leap(self) -> None:
        for how in SLEEPS:
            with self.subTest(how):
                begin = time.monotonic()
                self.sleeps(how)
                assert self.program.stdout
                while not select.select([self.program.stdout], [], [], 0.1)[0]:
                    self.clock.leap(101)  # again where it was not asleep yet, which poll and ppoll do not tell
                self.hear()
                self.assertLess(time.monotonic() - begin, 20)

    def test_half_of_the_time_is_not_enough(self) -> None:
        self.sleeps("epoll_wait")
        self.clock.leap(50)
        time.sleep(0.1)
        until = self.clock.sleeps_until()
        assert until
        self.assertAlmostEqual(until - self.clock.steady(), 50, delta=5)
        self.clock.leap(60)
        self.hear()

    def test_a_clock_that_is_set_wakes_no_sleeper_but_a_timer_of_its_own(self) -> None:
        self.sleeps("epoll_wait")
        self.clock.wall = 10**9
        time.sleep(0.1)
        until = self.clock.sleeps_until()
        assert until
        self.assertAlmostEqual(until - self.clock.steady(), 100, delta=5)
        self.clock.leap(100)
        self.hear()
        self.sleeps("real at")
        self.clock.wall += 200
        self.hear()

    def test_time_passes_from_one_wake_up_to_the_next(self) -> None:
        begin, polls = time.monotonic(), self.clock.polls
        for _ in range(5):
            self.say("epoll_wait")
        self.clock.pass_by(450)
        for _ in range(9):
            self.hear()
        self.clock.leap(60)
        self.hear()
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(self.clock.polls, polls + 5)


if __name__ == "__main__":
    unittest.main()
