"""Tests' folders in memory: for tests of many files, of which it is not the subject what a disk keeps."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

PLACE = "/dev/shm"
ROOM = 1 << 30  # bytes that must be free there


@contextlib.contextmanager
def in_memory() -> Iterator[None]:
    """What is made by tempfile within lies there, where that can be; so does a Bureau that is made within."""
    before = tempfile.tempdir
    if os.access(PLACE, os.W_OK | os.X_OK) and shutil.disk_usage(PLACE).free >= ROOM:
        tempfile.tempdir = PLACE
    try:
        yield
    finally:
        tempfile.tempdir = before
