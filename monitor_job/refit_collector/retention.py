"""Retention: what is too old goes, and the oldest when all of it is too much. Rows that go are counted.

A segment is first marked, which hides it; then its ids go, a few at a time; then its row; and its file when
nobody who began to read before the mark still reads. Each step can be done again after a crash.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from refit_collector import times
from refit_collector.readers import Readers
from refit_collector.schema import FILE, reading
from refit_collector.segments import FOLDER
from refit_collector.writer import Writer

log = logging.getLogger("refit.collector")

AT_ONCE = 500
VACUUMED_AT_ONCE = 256


class Limits(NamedTuple):
    """How long, how much, and how much room is left to others."""

    retention_hours: int
    max_bytes: int
    reserve_bytes: int


class Retention:
    """Removes what is past the limits."""

    def __init__(
        self,
        directory: Path,
        writer: Writer,
        readers: Readers,
        limits: Limits,
        ask: Callable[..., Any],
        expired: Callable[[int], None],
    ) -> None:
        self._directory = directory
        self._writer = writer
        self._readers = readers
        self._limits = limits
        self._ask = ask
        self._expired = expired
        self._leaving: list[tuple[int, Path]] = []
        """Files to be removed, each with the mark that readers must have begun after."""

    def keep(self, now: int) -> None:
        """One round."""
        before = now - self._limits.retention_hours * times.HOUR
        with closing(reading(self._directory)) as connection:
            marked = connection.execute("SELECT segment, path, rows FROM segments WHERE expired").fetchall()
            for each in (*marked, *self._surplus(connection, before)):
                self._remove(connection, *each)
        while self._writer.submit(lambda writing: _forget_labels(writing, before), grows=False).result():
            pass
        self._writer.submit(_shrink, grows=False).result()
        self._unlink()

    def _surplus(self, connection: sqlite3.Connection, before: int) -> list[tuple[int, str, int]]:
        found = connection.execute(
            "SELECT segment, path, rows, until, bytes FROM segments WHERE NOT expired ORDER BY until"
        ).fetchall()
        surplus = self.size() - self._most()
        chosen = []
        for segment, path, rows, until, size in found:
            if until >= before and surplus <= 0:
                break
            chosen.append((segment, path, rows))
            surplus -= size
        return chosen

    def _most(self) -> int:
        """Bytes that the store may use: as set, and never so many that the volume's reserve is touched."""
        volume = os.statvfs(self._directory)
        whole = volume.f_blocks * volume.f_frsize
        reserve = min(self._limits.reserve_bytes, whole // 10)
        free = volume.f_bavail * volume.f_frsize
        return min(self._limits.max_bytes, self.size() + free - 2 * reserve)

    def size(self) -> int:
        """Bytes of the store on disk."""
        files = [self._directory / (FILE + suffix) for suffix in ("", "-wal")]
        files += (self._directory / FOLDER).rglob("*.parquet")
        return sum(path.stat().st_size for path in files if path.exists())

    def segments(self) -> int:
        with closing(reading(self._directory)) as connection:
            return int(connection.execute("SELECT count(*) FROM segments WHERE NOT expired").fetchone()[0])

    def _remove(self, connection: sqlite3.Connection, segment: int, path: str, rows: int) -> None:
        self._writer.submit(lambda writing: _mark(writing, segment), grows=False).result()
        mark = self._readers.mark()
        self._forget_ids(connection, segment, path)
        self._writer.submit(lambda writing: _drop(writing, segment), grows=False).result()
        self._leaving.append((mark, self._directory / path))
        self._expired(rows)
        log.info("segment expired", extra={"path": path, "rows": rows})

    def _forget_ids(self, connection: sqlite3.Connection, segment: int, path: str) -> None:
        scope = connection.execute(
            "SELECT namespace FROM segments JOIN models USING (model) WHERE segment = ?", (segment,)
        ).fetchone()[0]
        if not (self._directory / path).exists():
            return
        ids = self._ask("ids", path=path)
        for at in range(0, len(ids), AT_ONCE):
            part = orjson.dumps(ids[at : at + AT_ONCE]).decode()
            self._writer.submit(partial(_forget, scope=scope, ids=part), grows=False).result()

    def _unlink(self) -> None:
        staying = []
        for mark, path in self._leaving:
            if self._readers.all_after(mark):
                path.unlink(missing_ok=True)
            else:
                staying.append((mark, path))
        self._leaving = staying


def _mark(connection: sqlite3.Connection, segment: int) -> None:
    connection.execute("UPDATE segments SET expired = 1 WHERE segment = ?", (segment,))


def _drop(connection: sqlite3.Connection, segment: int) -> None:
    connection.execute("DELETE FROM segments WHERE segment = ?", (segment,))


def _forget(connection: sqlite3.Connection, scope: int, ids: str) -> None:
    connection.execute("DELETE FROM ids WHERE namespace = ? AND id IN (SELECT value FROM json_each(?))", (scope, ids))


def _forget_labels(connection: sqlite3.Connection, before: int) -> int:
    return connection.execute(
        "DELETE FROM labels WHERE (model, id, row) IN"
        " (SELECT model, id, row FROM labels WHERE received < ? ORDER BY received LIMIT ?)",
        (before, AT_ONCE),
    ).rowcount


def _shrink(connection: sqlite3.Connection) -> None:
    """Gives pages back to the file system when a quarter of the file is free."""
    free, pages = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
    if free * 4 > pages and free > VACUUMED_AT_ONCE:
        connection.execute(f"PRAGMA incremental_vacuum({VACUUMED_AT_ONCE})").fetchall()
