"""Rolling: chunks that are old, or many, become a Parquet file, once and whole.

Its steps, with what a crash after each of them leaves:
written    a file with a temporary name, which the next start removes; the chunks are still read
renamed    a file that no row names, which the next start removes; the chunks are still read
recorded   one transaction named the file and moved `rolled_to`: the file is read and the chunks are not
cleared    the chunks, which nobody reads any more, are deleted a few at a time
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from refit_collector.room import PART, Room
from refit_collector.schema import reading
from refit_collector.writer import Writer

log = logging.getLogger("refit.collector")

FOLDER = "segments"
PASSES = 8
"""Of one round, where more than one segment of a version is due: expiry waits for no more."""
CLEARED_AT_ONCE = 64
CLEARED_BYTES = 1024 * 1024
"""Of one transaction: what is deleted is overwritten, so that it takes as much of the log."""


class Due(NamedTuple):
    """Chunks of one version that become one segment."""

    model: int
    version: int
    namespace: str
    name: str
    first: int
    last: int = 0


class Segment(NamedTuple):
    """A file as it is recorded."""

    path: str
    since: int
    until: int
    events: int
    rows: int
    bytes: int


Ask = Callable[..., Any]
"""A task of refit_collector.tasks, by name, with what it is given."""


class Roller:
    """Makes segments. `at` is called with the name of each step that is done; tests stop there."""

    def __init__(
        self,
        directory: Path,
        writer: Writer,
        room: Room,
        ask: Ask,
        *,
        roll_bytes: int,
        at: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._directory = directory
        self._writer = writer
        self._room = room
        self._ask = ask
        self._roll_bytes = roll_bytes
        self._at = at

    def roll(self, received_before: int) -> int:
        """Rolls what was received before that moment, and the oldest if there is too much; returns how many segments."""
        with closing(reading(self._directory)) as connection:
            self._clear(connection)  # what was not cleared the last time
            made = 0
            for _ in range(PASSES):
                due = self._due(connection, received_before)
                for each in due:
                    if self._room.is_touched(connection) and _is_any(connection):
                        return made  # expiry goes first
                    self._make(each._replace(last=self._last(connection, each)))
                    made += 1
                self._clear(connection)
                if not due or self._room.short(connection) > 0:
                    break
        return made

    def _due(self, connection: sqlite3.Connection, received_before: int) -> list[Due]:
        """All versions if together they hold too much, else those whose first chunk is old."""
        statement = (
            "SELECT h.model, h.version, n.name, m.name, min(h.received), sum(h.bytes), min(h.seq)"
            " FROM hot h JOIN versions v USING (model, version) JOIN models m USING (model)"
            " JOIN namespaces n USING (namespace) WHERE h.seq > v.rolled_to GROUP BY h.model, h.version"
        )
        found = connection.execute(statement).fetchall()
        many = sum(row[5] for row in found) >= self._roll_bytes
        return [
            Due(model, version, namespace, name, first)
            for model, version, namespace, name, oldest, _, first in found
            if many or oldest < received_before
        ]

    def _last(self, connection: sqlite3.Connection, due: Due) -> int:
        """The last chunk of the segment; it holds at most `roll_bytes`, and less where room is short, but one in any case."""
        most = min(self._roll_bytes, self._room.left(connection) // PART)
        statement = "SELECT seq, bytes FROM hot WHERE model = ? AND version = ? AND seq >= ? ORDER BY seq"
        size, last = 0, due.first
        for seq, count in connection.execute(statement, (due.model, due.version, due.first)):
            if size and size + count > most:
                break
            size, last = size + count, seq
        return last

    def _make(self, due: Due) -> None:
        path = Path(FOLDER, due.namespace, due.name, f"v{due.version}", f"{due.last}.parquet")
        final = self._directory / path
        # Of its own for each attempt: a process that a crash left behind may still write to the one before.
        temporary = path.with_suffix(f".{secrets.token_hex(8)}.tmp")
        for folder in reversed(path.parents[:-1]):
            if not (self._directory / folder).exists():
                (self._directory / folder).mkdir()
                sync(self._directory / folder.parent)
        try:
            told = self._ask("roll", model=due.model, version=due.version, last=due.last, path=str(temporary))
        except Exception:
            (self._directory / temporary).unlink(missing_ok=True)
            raise
        segment = Segment(str(path), *told)
        self._at("written")
        (self._directory / temporary).rename(final)
        sync(final.parent)
        self._at("renamed")
        self._writer.submit(lambda writing: _record(writing, due, segment), grows=False).result()
        self._at("recorded")
        shown = {"namespace": due.namespace, "model": due.name, "version": due.version, "events": segment.events}
        log.info("rolled to a segment", extra=shown | {"bytes": segment.bytes})

    def _clear(self, connection: sqlite3.Connection) -> None:
        """Deletes the chunks that are in segments."""
        while self._writer.submit(_clear, grows=False).result():
            self._at("cleared")
            self._room.tidy(connection)

    def sweep(self) -> int:
        """Removes what a crash left: files that no row names. Called before anything rolls; returns how many."""
        with closing(reading(self._directory)) as connection:
            known = {row[0] for row in connection.execute("SELECT path FROM segments")}
        left = [
            path
            for path in (self._directory / FOLDER).rglob("*")
            if path.is_file() and str(path.relative_to(self._directory)) not in known
        ]
        for path in left:
            path.unlink()
        return len(left)


def _is_any(connection: sqlite3.Connection) -> bool:
    """Whether there is a segment that can go."""
    return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM segments)").fetchone()[0])


def _record(connection: sqlite3.Connection, due: Due, segment: Segment) -> None:
    connection.execute(
        "INSERT INTO segments (model, version, path, since, until, events, rows, bytes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (due.model, due.version, *segment),
    )
    connection.execute(
        "UPDATE versions SET rolled_to = ? WHERE model = ? AND version = ?", (due.last, due.model, due.version)
    )


def _clear(connection: sqlite3.Connection) -> int:
    return connection.execute(
        "DELETE FROM hot WHERE seq IN ("
        " SELECT seq FROM (SELECT seq, sum(bytes) OVER (ORDER BY seq) - bytes AS before FROM ("
        " SELECT h.seq, h.bytes FROM hot h JOIN versions v USING (model, version)"
        " WHERE h.seq <= v.rolled_to ORDER BY h.seq LIMIT ?)) WHERE before < ?)",
        (CLEARED_AT_ONCE, CLEARED_BYTES),
    ).rowcount


def sync(directory: Path) -> None:
    """What was renamed or made in a directory is there after a power cut, too."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
