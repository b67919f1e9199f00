"""Retention: what is too old goes, and the oldest when all of it is too much. Rows that go are counted.

A segment is first marked, which hides it; then its ids go, a few at a time; then its row; and its file when
nobody who began to read before the mark still reads. Each step can be done again after a crash. Where there is
no segment to go and none can be made, on a volume that is full, the oldest chunk goes.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from refit_collector import times
from refit_collector.ids import forget, ids_of
from refit_collector.readers import Readers
from refit_collector.room import PART, Room
from refit_collector.schema import FILE, reading
from refit_collector.segments import FOLDER
from refit_collector.writer import Writer

log = logging.getLogger("refit.collector")

AT_ONCE = 500
VACUUMED_AT_ONCE = 256
PAGE = 4096
"""Bytes of a page of the database; SQLite's default."""


class Limits(NamedTuple):
    """How long, and how much."""

    retention_hours: int
    max_bytes: int


class Retention:
    """Removes what is past the limits."""

    def __init__(
        self,
        directory: Path,
        writer: Writer,
        readers: Readers,
        room: Room,
        limits: Limits,
        ask: Callable[..., Any],
        expired: Callable[[int], None],
    ) -> None:
        self._directory = directory
        self._writer = writer
        self._readers = readers
        self._room = room
        self._limits = limits
        self._ask = ask
        self._expired = expired
        self._leaving: list[tuple[int, Path]] = []
        """Files to be removed, each with the mark that readers must have begun after."""

    def keep(self, now: int) -> None:
        """One round."""
        before = now - self._limits.retention_hours * times.HOUR
        with closing(reading(self._directory)) as connection:
            self._unlink()
            for each in connection.execute("SELECT segment, path, rows FROM segments WHERE expired").fetchall():
                self._remove(connection, *each)
            while self._writer.submit(lambda writing: _forget_labels(writing, before), grows=False).result():
                self._room.tidy(connection)
            self._shrink(connection)
            for each in self._surplus(connection, before):
                self._remove(connection, *each)

    def drop_oldest(self) -> None:
        """Removes the oldest chunk that is in no segment, where nothing can be stored for want of room and no segment is left."""
        with closing(reading(self._directory)) as connection:
            if not self._room.is_touched(connection) or self.segments():
                return
            rows = self._writer.submit(_drop_oldest, grows=False).result()
            self._expired(rows)
            log.warning("rows that no room was left to roll were removed", extra={"rows": rows})
            self._shrink(connection)

    def _surplus(self, connection: sqlite3.Connection, before: int) -> list[tuple[int, str, int]]:
        found = connection.execute(
            "SELECT segment, path, rows, until, bytes FROM segments WHERE NOT expired ORDER BY until"
        ).fetchall()
        surplus = self._too_much(connection)
        chosen = []
        for segment, path, rows, until, size in found:
            if until >= before and surplus <= 0:
                break
            chosen.append((segment, path, rows))
            surplus -= size
        return chosen

    def _too_much(self, connection: sqlite3.Connection) -> int:
        """Bytes beyond what may be used, or missing on the volume; those that are about to go do not count twice."""
        leaving = sum(path.stat().st_size for _, path in self._leaving if path.exists())
        # One request that is larger than a small volume is no reason to empty it.
        missing = max(self._room.short(connection), min(self._writer.lacked(), self._room.volume // 4))
        return max(self.size() - self._limits.max_bytes, missing) - leaving

    def _shrink(self, connection: sqlite3.Connection) -> None:
        """Gives pages back to the file system: some each round, and where room is short as many as there are."""
        most = max(1, min(VACUUMED_AT_ONCE, self._room.reserve // PART // PAGE))
        while self._writer.submit(partial(_shrink, most=most), grows=False).result():
            self._room.tidy(connection)
            if self._room.short(connection) <= 0:
                break

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
        self._unlink()
        self._room.tidy(connection)
        self._expired(rows)
        log.info("segment expired", extra={"path": path, "rows": rows})

    def _forget_ids(self, connection: sqlite3.Connection, segment: int, path: str) -> None:
        scope, model = connection.execute(
            "SELECT namespace, model FROM segments JOIN models USING (model) WHERE segment = ?", (segment,)
        ).fetchone()
        if not (self._directory / path).exists():
            return
        ids = self._ask("ids", path=path)
        for at in range(0, len(ids), AT_ONCE):
            some = partial(forget, namespace=scope, model=model, ids=ids[at : at + AT_ONCE])
            self._writer.submit(some, grows=False).result()
            self._room.tidy(connection)

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


def _forget_labels(connection: sqlite3.Connection, before: int) -> int:
    return connection.execute(
        "DELETE FROM labels WHERE (model, id, row) IN"
        " (SELECT model, id, row FROM labels WHERE received < ? ORDER BY received LIMIT ?)",
        (before, AT_ONCE),
    ).rowcount


def _drop_oldest(connection: sqlite3.Connection) -> int:
    """Forgets a chunk and its ids; how many rows it held."""
    found = connection.execute(
        "SELECT h.seq, h.rows, h.body, m.namespace, m.model FROM hot h JOIN versions v USING (model, version)"
        " JOIN models m USING (model) WHERE h.seq > v.rolled_to ORDER BY h.seq LIMIT 1"
    ).fetchone()
    if found is None:
        return 0
    seq, rows, body, scope, model = found
    # Overwriting what is deleted would take as much of the log, and there is no room for that.
    (overwrites,) = connection.execute("PRAGMA secure_delete").fetchone()
    connection.execute("PRAGMA secure_delete = OFF").fetchone()
    try:
        connection.execute("DELETE FROM hot WHERE seq = ?", (seq,))
    finally:
        connection.execute(f"PRAGMA secure_delete = {overwrites}").fetchone()
    forget(connection, scope, model, ids_of(body))
    return int(rows)


def _shrink(connection: sqlite3.Connection, most: int) -> bool:
    """Takes pages off the end when a quarter of the file is free; whether it did."""
    free, pages = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
    if free * 4 <= pages or free <= most:
        return False
    for _ in range(most):  # a page each: of more than one, this module's library does the first only
        connection.execute("PRAGMA incremental_vacuum(1)")
    return True
