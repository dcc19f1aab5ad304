"""A Debian tree with its own systemd, booted by systemd-nspawn, and thrown away at the end. Needs root.

The tree is made once by debootstrap, from the mirror that this machine's apt uses, and kept in $TRACKBRIDGE_TREE_CACHE, else in
trackbridge/trees under the user's cache folder (some 300 MB). Each container has a layer of its own above it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from peers import Missing, program

SUITE = "bookworm"
# What the package depends on is in the tree, so that installing it needs no network; bash-completion and sqlite3 are a user's tools.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "ca-certificates", "tzdata", "sqlite3", "libcurl4", "libcsv3", "libcjson1", "libsqlite3-0",
            "libyaml-0-2", "libssl3", "man-db", "mandoc")
# These would go to the network, or wait for it.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "systemd-networkd-wait-online.service")
POWER_OFF = 38  # SIGRTMIN+4: systemd's poweroff.target


def mirror() -> str:
    done = subprocess.run([program("apt-get"), "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], capture_output=True,
                          text=True)
    addresses = [line for line in done.stdout.split("\n") if line.startswith("http")]
    if not addresses:
        raise Missing("apt names no mirror (apt-get update)")
    return os.environ.get("TRACKBRIDGE_MIRROR") or addresses[0]


def tree() -> Path:
    """The tree below all containers."""
    if os.geteuid() != 0:
        raise Missing("only root can boot a container")
    debootstrap = program("debootstrap")
    program("systemd-nspawn")
    cache = Path(os.environ.get("TRACKBRIDGE_TREE_CACHE") or
                 Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trackbridge" / "trees")
    folder = cache / f"{SUITE}-2"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix="new.", dir=cache))
    try:
        print("making", folder, flush=True)
        done = subprocess.run([debootstrap, "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, new, mirror()],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Missing("debootstrap failed: " + "\n    ".join(done.stdout.splitlines()[-4:]))
        for unit in MASKED:
            (new / "etc/systemd/system" / unit).symlink_to("/dev/null")
        new.chmod(0o755)
        with contextlib.suppress(OSError):  # another test was quicker
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


class Container:
    """Booted from `with` to its end. `run` runs a command in it as root, or as another user. The host's loopback is its own too."""

    def __init__(self, files: Path) -> None:
        self._files = files  # of the host, at /files in it
        self._scratch = Path(tempfile.mkdtemp(prefix="tb-nspawn-"))
        self.root = self._scratch / "root"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        below = tree()
        for name in ("root", "upper", "work"):
            (self._scratch / name).mkdir(mode=0o755)
        layers = f"lowerdir={below},upperdir={self._scratch}/upper,workdir={self._scratch}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.root], check=True)
        try:
            self._boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _boot(self) -> None:
        with open(self._scratch / "console", "ab") as console:
            self._process = subprocess.Popen(
                [program("systemd-nspawn"), "--quiet", "--register=no", "--keep-unit", f"--machine=tb{os.getpid()}", "-D", self.root,
                 f"--bind-ro={self._files}:/files", "--boot"], stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        self.wait(self._find_leader, "the container's first process")
        self.wait(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"), "systemd", 60)

    def _find_leader(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise Missing("systemd-nspawn ended: " + (self._scratch / "console").read_text(errors="replace")[-400:])
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in children:
            # Of its children, the leader is the one that is process 1 of its own namespace.
            with contextlib.suppress(OSError, StopIteration):
                status = Path(f"/proc/{child}/status").read_text().splitlines()
                numbers = next(line for line in status if line.startswith("NSpid:")).split()
                if len(numbers) > 2 and numbers[-1] == "1":
                    self._leader = int(child)
        return self._leader != 0

    def __exit__(self, *_: object) -> None:
        if self._process and self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.kill(self._leader or self._process.pid, POWER_OFF if self._leader else signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        subprocess.run(["umount", self.root], check=False, stderr=subprocess.DEVNULL)
        if not self.root.is_mount():
            shutil.rmtree(self._scratch, ignore_errors=True)

    @staticmethod
    def wait(predicate: Callable[[], bool], what: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not predicate():
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not come about within {seconds} s")
            time.sleep(0.1)

    def run(self, *command: str, user: str = "root", text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command in it; check: it has to end with 0."""
        inside = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-p", "-n", "-C", "-r", "-w", "env", "-i",
                  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TERM=dumb", "HOME=/root",
                  "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=cat"]
        if user != "root":
            inside += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
        done = subprocess.run([*inside, *command], input=text, stdin=subprocess.DEVNULL if text is None else None, capture_output=True,
                              text=True, timeout=180)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} as {user}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def sh(self, script: str, user: str = "root", check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("sh", "-euc", script, user=user, check=check)
