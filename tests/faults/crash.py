"""Kills the daemon at every step that could leave something behind, starts it again, and looks whether anything is lost.

    TRACKBRIDGE=build/release/trackbridge python3 tests/faults/crash.py [--every N] [--from N] [--to N] [--jobs N] [--keep]

A reference run under strace gives the points: its write-like system calls, in order; then those of a run that follows on one killed before
it removed the first file that it had recorded, and of one that follows on a kill half-way. For each point the run is made anew and the
process killed as it enters that call (strace counts each kind of call by itself, so a point is a kind and a number). Then it is started
again, brought to rest, and examined (aftermath.py). Runs differ a little in how many calls they make; points that a run does not reach are
counted apart. An IP address as URL keeps libcurl from starting a thread to resolve a name, so that all calls are one thread's.

--every takes one point of N, but every point of the kinds of call that are rare.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import aftermath  # noqa: E402
import pki  # noqa: E402
from harness import Bureau, wait_for  # noqa: E402
from scripted_api import ScriptedApi  # noqa: E402

# A question mark: this machine's kernel may not have it.
CALLS = ("write pwrite64 writev ?pwritev ?pwritev2 fsync fdatasync ?sync_file_range ftruncate fallocate copy_file_range ?sendfile ioctl"
         " ?rename renameat ?renameat2 ?link linkat ?unlink unlinkat ?mkdir mkdirat ?rmdir openat sendto sendmsg fchmod fchown").split()
RARE = 6  # kinds of call with at most so many points are never thinned out


@dataclass(frozen=True, slots=True)
class Point:
    number: int  # its place in the reference runs
    call: str
    nth: int  # of its kind
    after: Point | None = None  # where the run before this one was killed

    def __str__(self) -> str:
        return f"{self.number} ({self.call} {self.nth}{f' after {self.after.call} {self.after.nth}' if self.after else ''})"


@dataclass(slots=True)
class Outcome:
    point: Point
    reached: bool
    seconds: float
    found: aftermath.Findings


@contextlib.contextmanager
def scene() -> Iterator[tuple[ScriptedApi, Bureau]]:
    """A bureau with the reference files dropped, and its own API."""
    with ScriptedApi(os.environ["TRACKBRIDGE_CRASH_PKI"]) as api:
        api.on_track(aftermath.answers)
        with Bureau(api, url=f"https://127.0.0.1:{api.port}", endpoint=aftermath.QUICK_ENDPOINT, source=aftermath.QUICK_SOURCE) as bureau:
            aftermath.drop(bureau, aftermath.reference_files())
            yield api, bureau


def traced(bureau: Bureau, calls: str, *more: str) -> int:
    """`run --until-idle` under strace; gives its exit status."""
    bureau.wrapper = ["strace", "-f", "-qq", "-o", str(bureau.root / "trace"), "-e", f"trace={calls}", *more]
    result = bureau.until_idle(30)
    bureau.wrapper = []
    return result


def killed_at(bureau: Bureau, point: Point) -> bool:
    """Runs it up to the point, and tells whether it came there."""
    if point.after and not killed_at(bureau, point.after):
        return False
    result = traced(bureau, point.call, "-e", f"inject={point.call}:signal=KILL:when={point.nth}")
    if result not in (-9, 137, 0, 65):
        raise AssertionError(f"the run ended with {result}\n{bureau.log_tail()}")
    return result in (-9, 137)


def leaves_traces(line: str) -> bool:
    """Whether a line of strace's is a call that matters: not one that opens a file to read it, or asks a terminal."""
    if " openat(" in line:
        return any(flag in line for flag in ("O_CREAT", "O_WRONLY", "O_RDWR"))
    return " ioctl(" not in line or "FICLONE" in line


def reference_points(number: int = 0, after: Point | None = None) -> list[Point]:
    """The points of one run, which must end well."""
    with scene() as (api, bureau):
        if after and not killed_at(bureau, after):
            raise SystemExit(f"point {after} was not reached a second time")
        if traced(bureau, ",".join(CALLS)) not in (0, 65):
            raise SystemExit(f"the reference run failed\n{bureau.log_tail()}")
        counts: Counter[tuple[str, str]] = Counter()
        points: list[Point] = []
        for line in (bureau.root / "trace").read_text(errors="replace").splitlines():
            match = re.match(r"(\d+) +(\w+)\(", line)
            if not match:
                continue
            counts[match[1], match[2]] += 1
            if leaves_traces(line):
                points.append(Point(number + len(points) + 1, match[2], counts[match[1], match[2]], after))
        if len({pid for pid, _ in counts}) != 1:
            raise SystemExit("the daemon has more than one thread: a call's number would mean nothing")
        aftermath.come_to_rest(bureau)
        found = aftermath.examine(bureau, api, aftermath.reference_files(), kills=1 if after else 0)
        if found.faults:
            raise SystemExit("the reference run left this behind:\n" + "\n".join(found.faults))
        what = f"after {after.call} {after.nth}" if after else "from the start"
        print(f"reference run {what}: {len(points)} points; rows {dict(found.states)}", flush=True)
        return points


def beyond(points: list[Point]) -> list[Point]:
    """A few more of each kind than the reference run made, because another run may make them. They have no number of their own."""
    last = {point.call: point for point in points}
    return [Point(point.number, call, point.nth + extra, point.after)
            for call, point in last.items() if point.nth > RARE for extra in range(1, point.nth // 20 + 3)]


def chosen(points: list[Point], every: int, first: int, last: int) -> list[Point]:
    kinds = Counter(point.call for point in points)
    return [point for point in points if first <= point.number <= last and (point.number % every == 0 or kinds[point.call] <= RARE)]


def try_point(point: Point) -> Outcome:
    start = time.monotonic()
    found = aftermath.Findings()
    reached = False
    with scene() as (api, bureau):
        try:
            reached = killed_at(bureau, point)
            aftermath.come_to_rest(bureau)
            wait_for(lambda: api.in_flight == 0, what="the end of the last request")
            found = aftermath.examine(bureau, api, aftermath.reference_files(), kills=2 if point.after else 1)
        except AssertionError as e:
            found.faults.append(str(e))
        except Exception as e:  # a point that breaks the examination is a finding too, and the others go on
            found.faults.append(f"{type(e).__name__}: {e}\n{bureau.log_tail()}")
        if found.faults:
            found.faults.append(f"the log:\n{bureau.log_tail(12)}")
            if os.environ.get("TRACKBRIDGE_CRASH_KEEP"):
                os.environ["TRACKBRIDGE_KEEP"] = "1"
                found.faults.append(f"kept: {bureau.root}")
    os.environ.pop("TRACKBRIDGE_KEEP", None)
    return Outcome(point, reached, time.monotonic() - start, found)


def run(points: list[Point], jobs: int) -> list[Outcome]:
    outcomes: list[Outcome] = []
    told = time.monotonic()
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for outcome in pool.imap_unordered(try_point, points):
            outcomes.append(outcome)
            for fault in outcome.found.faults:
                print(f"FAULT at {outcome.point}: {fault}", flush=True)
            if time.monotonic() - told > 20:
                told = time.monotonic()
                print(f"{len(outcomes)} of {len(points)} points tried", flush=True)
    return outcomes


def show(outcomes: list[Outcome], seconds: float) -> int:
    reached = [o for o in outcomes if o.reached]
    faulty = [o for o in outcomes if o.found.faults]
    kinds = Counter(o.point.call for o in reached)
    in_doubt = [o.found.in_doubt for o in outcomes]
    print("killed at", ", ".join(f"{call} {n}" for call, n in kinds.most_common()))
    print(f"points tried         {len(reached):6}   ({len(outcomes) - len(reached)} more were not reached)")
    print(f"rows lost            {sum(o.found.lost for o in outcomes):6}")
    print(f"requests unrecorded  {sum(o.found.unrecorded for o in outcomes):6}")
    print(f"requests doubled     {sum(o.found.doubled for o in outcomes):6}")
    print(f"points with a fault  {len(faulty):6}")
    print(f"rows left in doubt   {sum(in_doubt):6}   (at most {max(in_doubt, default=0)} at one point)")
    print(f"seconds              {seconds:6.0f}   (the slowest point {max((o.seconds for o in outcomes), default=0):.1f})")
    return 1 if faulty or not reached else 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one point of N (rare calls: all)")
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="N")
    parser.add_argument("--to", type=int, default=sys.maxsize, dest="last", metavar="N")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="leave the folders of faulty points behind")
    options = parser.parse_args(arguments)
    os.environ["TRACKBRIDGE_CRASH_PKI"] = str(pki.shared())
    if options.keep:
        os.environ["TRACKBRIDGE_CRASH_KEEP"] = "1"
    if os.access("/dev/shm", os.W_OK):
        tempfile.tempdir = "/dev/shm"  # a kill loses nothing that was written, synced or not: no disk is needed
    start = time.monotonic()
    runs = [reference_points()]
    removal = next(point for point in runs[0] if point.call == "unlinkat")
    for after in (removal, runs[0][len(runs[0]) // 2]):
        runs.append(reference_points(runs[-1][-1].number, after))
    wanted: list[Point] = []
    for points in runs:
        wanted += chosen(points, options.every, options.first, options.last)
        if options.every == 1:
            wanted += [point for point in beyond(points) if options.first <= point.number <= options.last]
    return show(run(wanted, options.jobs), time.monotonic() - start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
