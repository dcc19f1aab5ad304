"""File systems of a test's own: mounted where nobody else sees them, and gone with the process. Root only."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import unittest
from pathlib import Path

CLONE_NEWNS = 0x00020000
_own = False


def own_namespace() -> None:
    """Gives this thread, and the children that it starts, mounts of their own; skips the test where that is not allowed."""
    global _own
    if _own:
        return
    if os.geteuid() != 0:
        raise unittest.SkipTest("mounting a file system needs root")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise unittest.SkipTest(f"mounts of its own are not allowed here: {os.strerror(ctypes.get_errno())}")
    if subprocess.run(["mount", "--make-rprivate", "/"], check=False).returncode != 0:
        raise unittest.SkipTest("mounts of its own are not allowed here")
    _own = True


def tmpfs(test: unittest.TestCase, path: Path, options: str = "size=64m") -> None:
    """An empty file system at path until the test ends, or unmount."""
    own_namespace()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    test.addCleanup(subprocess.run, ["umount", "-l", str(path)], check=False, stderr=subprocess.DEVNULL)


def remount(path: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(path)], check=True)


def unmount(path: Path) -> None:
    subprocess.run(["umount", str(path)], check=True)


def obeying_modes(test: unittest.TestCase) -> list[str]:
    """In front of a command: what makes root obey the modes of files and directories."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        test.skipTest("as root this needs setpriv")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search"]
