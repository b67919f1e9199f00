"""Volumes that are to be full."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def fill(path: Path, left: int) -> None:
    """Fills the volume that this file is on, but for so many bytes."""
    with path.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)
            file.flush()
    os.truncate(path, max(0, path.stat().st_size - left))


@contextmanager
def small(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A volume of that size, in memory, at a folder that it makes; the test is skipped where none can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("a file system in memory can only be mounted by root")
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
