"""Volumes that are to be full."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def fill(path: Path, left: int) -> None:
    """Fills the volume that this file is on, but for so many bytes."""
    with path.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)
            file.flush()
    os.truncate(path, max(0, path.stat().st_size - left))
