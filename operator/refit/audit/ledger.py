"""The ledger: one append-only table in SQLite. A row that stands is on disk, and stays as it is.

An intent is written before anything is begun, the outcome after it ended. Each is written at most once for a
request, so what was begun before a crash, or before the cluster was restored from a backup, is known.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from refit.api import meta
from refit.api.entries import Entry, EntryKind
from refit.api.times import stamp

T = TypeVar("T")

BUSY_SECONDS = 5.0
TABLES = """
CREATE TABLE IF NOT EXISTS audit (
  sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
  time TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('Intent', 'Outcome')),
  request_uid TEXT NOT NULL,
  digest TEXT NOT NULL,
  content TEXT NOT NULL,
  UNIQUE (request_uid, kind)
);
CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_no_gap BEFORE INSERT ON audit
WHEN NEW.sequence != (SELECT coalesce(max(sequence), 0) + 1 FROM audit)
BEGIN SELECT RAISE(ABORT, 'the audit has no gaps'); END;
"""


class LedgerError(Exception):
    """The ledger can not be read or written; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row as it stands; `content` is canonical JSON."""

    sequence: int
    time: str
    kind: EntryKind
    request_uid: str
    digest: str
    content: str


class Ledger:
    """The table in that file. Writers wait for one another; nothing of SQLite's blocks the event loop."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        """Raises LedgerError if the file cannot be used."""
        self._path, self._clock, self._lock = path, clock, asyncio.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            # FULL: a commit is on disk when it returns. Pods have a root file system that cannot be written.
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.executescript(TABLES)
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(f"the audit in {path} cannot be used: {error}") from error

    def close(self) -> None:
        self._connection.close()

    async def write(self, entry: Entry) -> Row:
        """Writes the entry, or finds that it stands already; raises LedgerError.

        An entry of the same request and kind with another digest is no repetition, and is refused.
        """
        return await self._in_thread(lambda: self._write(entry))

    async def of_requests(self, uids: Iterable[str]) -> tuple[Row, ...]:
        """All rows about these requests, in order; raises LedgerError."""
        wanted = meta.canonical(sorted(uids)).decode()
        return await self._in_thread(
            lambda: self._rows("WHERE request_uid IN (SELECT value FROM json_each(?))", (wanted,))
        )

    async def all(self) -> tuple[Row, ...]:
        """Every row, in order; raises LedgerError."""
        return await self._in_thread(lambda: self._rows("", ()))

    async def _in_thread(self, act: Callable[[], T]) -> T:
        async with self._lock:
            try:
                return await asyncio.to_thread(act)
            except sqlite3.Error as error:
                raise LedgerError(f"the audit in {self._path} cannot be used: {error}") from error

    def _write(self, entry: Entry) -> Row:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = self._rows("WHERE request_uid = ? AND kind = ?", (entry.request_uid, entry.kind))
            if not found:
                [(last,)] = connection.execute("SELECT coalesce(max(sequence), 0) FROM audit")
                row = (
                    last + 1,
                    stamp(self._clock()),
                    entry.kind,
                    entry.request_uid,
                    entry.digest,
                    meta.canonical(entry.content).decode(),
                )
                connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", row)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        [written] = found or self._rows("WHERE sequence = ?", (last + 1,))
        if written.digest != entry.digest:
            raise LedgerError(
                f"the audit holds an {entry.kind} of this request already, of another proposal (row {written.sequence})"
            )
        return written

    def _rows(self, where: str, values: tuple[object, ...]) -> tuple[Row, ...]:
        columns = "sequence, time, kind, request_uid, digest, content"
        query = f"SELECT {columns} FROM audit {where} ORDER BY sequence"  # noqa: S608  # of literals of this module
        return tuple(
            Row(sequence=number, time=time, kind=EntryKind(kind), request_uid=uid, digest=digest, content=content)
            for number, time, kind, uid, digest, content in self._connection.execute(query, values)
        )
