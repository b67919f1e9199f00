"""Copying SQLite's log into the database, beside the thread that writes: done by that one, every tenth request waited for it."""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from refit_collector.schema import copying

log = logging.getLogger("refit.collector")

PAUSE_SECONDS = 0.25
PASSES = 3
"""The first pass copies what gathered, the next what came meanwhile: when nothing did, the log begins anew."""


class Checkpoints:
    """A thread that copies. What it can not copy now it copies next time, and it never stands in a writer's way."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._copy, name="checkpoints")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def _copy(self) -> None:
        with closing(copying(self._directory)) as connection:
            while not self._ending.wait(PAUSE_SECONDS):
                try:
                    self._once(connection)
                except sqlite3.Error as error:  # a full disk, say: the thread that writes tells of it
                    log.debug("the log was not copied", extra={"problem": str(error)})

    @staticmethod
    def _once(connection: sqlite3.Connection) -> None:
        for _ in range(PASSES):
            _, frames, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if frames == copied:
                return
