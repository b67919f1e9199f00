"""Room: how much of the volume may still be used, and how SQLite's log gives back what it took.

The log holds pages by which the database has yet to grow. That room is promised, though the volume calls it
free: given away, the log could never be copied, so never begin anew, and nothing could be written any more,
not even what frees room.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from refit_collector.schema import FILE, copying

PART = 4
"""A step of rolling and expiry uses this part of what is left: its file and the log's pages both fit, twice."""
PATIENCE_MILLISECONDS = 100
"""How long readers are waited for when the log is cut; who stores waits as long."""


class Room:
    """The room of one store. `reserve` bytes of it, at most a tenth of the volume, are for rolling and expiry."""

    def __init__(self, directory: Path, reserve: int) -> None:
        self._directory = directory
        self._reserve = reserve

    @property
    def volume(self) -> int:
        """Bytes of the whole volume."""
        volume = os.statvfs(self._directory)
        return volume.f_blocks * volume.f_frsize

    @property
    def reserve(self) -> int:
        return min(self._reserve, self.volume // 10)

    def left(self, connection: sqlite3.Connection) -> int:
        """Bytes that are free and not promised."""
        pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        promised = max(0, pages * size - (self._directory / FILE).stat().st_size)
        volume = os.statvfs(self._directory)
        return int(volume.f_bavail * volume.f_frsize - promised)

    def short(self, connection: sqlite3.Connection) -> int:
        """Bytes that are missing for expiry to have nothing to do; below 1, none are."""
        return 2 * self.reserve - self.left(connection)

    def is_touched(self, connection: sqlite3.Connection) -> bool:
        """Whether the reserve is in use: nothing is stored then, and expiry goes first."""
        return self.left(connection) < self.reserve

    def tidy(self, connection: sqlite3.Connection) -> None:
        """Cuts the log where room is short and the log is what took it. What still reads from it keeps it."""
        if self.short(connection) <= 0:
            return
        log = self._directory / f"{FILE}-wal"
        most = 0 if self.is_touched(connection) else self.reserve // PART
        if not log.exists() or log.stat().st_size <= most:
            return
        with closing(copying(self._directory)) as copier, suppress(sqlite3.OperationalError):
            copier.execute(f"PRAGMA busy_timeout = {PATIENCE_MILLISECONDS}")
            copier.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
