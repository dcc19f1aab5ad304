"""What the peers tests share: programs of others, found or installed, or the word why a test is skipped (exit status 77).

npm packages come from the lock file beside this and are kept in $TRACKBRIDGE_NPM_CACHE, else in trackbridge/npm under the user's cache
folder: the first run needs the npm registry, later ones no network at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

SKIPPED = 77


class Missing(Exception):
    """A program or a package that is not to be had here."""


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if not found:
        raise Missing(f"{name} is not installed")
    return found


def packages() -> Path:
    """The folder that has node_modules, as the lock file says."""
    npm = program("npm")
    program("node")
    lock = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("TRACKBRIDGE_NPM_CACHE") or
                 Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trackbridge" / "npm")
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix="new.", dir=cache))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, new)
        print("installing npm packages in", folder, flush=True)
        done = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=new, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            raise Missing("\n    ".join(["npm cannot install the packages of tests/peers/package-lock.json:", *said[:4]]))
        with contextlib.suppress(OSError):  # another test was quicker
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str | os.PathLike[str]], port: int, log: IO[bytes], seconds: float = 60) -> Iterator[None]:
    """The command, from the moment its port answers until the end of the block."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        end = time.monotonic() + seconds
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {process.returncode}: see its log")
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if time.monotonic() > end:
                raise RuntimeError(f"{command[0]}: port {port} does not answer after {seconds} s")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main(*programs: str) -> None:
    """Runs the tests of the calling script; skips them all, saying what is missing, without these programs and the npm packages."""
    try:
        for name in programs:
            program(name)
        packages()
    except Missing as e:
        print(f"skipped: {e}")
        sys.exit(SKIPPED)
    unittest.main(module="__main__", verbosity=2)
