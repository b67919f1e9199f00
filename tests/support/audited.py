"""An audit for tests: keys, entries, a ledger with rows in it, and somebody who has the database and no scruples."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refit.api.entries import Entry, EntryKind
from refit.audit.checkpoints import Checkpoint
from refit.audit.keys import Keys
from refit.audit.ledger import Ledger
from refit.audit.rows import COLUMNS, Row, Stored, line, row_of

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEYS = Keys(current="k1", secrets={"k1": b"made up for tests" * 2})
OTHER = Keys(current="k1", secrets={"k1": b"another one, also made up" * 2})
ROTATED = Keys(current="k2", secrets={**KEYS.secrets, "k2": b"the next one, made up too" * 2})


def entry(number: int, kind: EntryKind = EntryKind.INTENT, **more: Any) -> Entry:
    """Of a request of its own."""
    found: dict[str, Any] = {
        "kind": kind,
        "request_uid": f"uid-{number}",
        "digest": f"sha256:{number:064x}",
        "trigger": "Drift",
        "actor": "alice",
        "trace": f"{number:032x}",
        "namespace": "team-a",
        "model": "heart",
        "content": {"request": f"heart-retrain-{number}", "note": 'tab\there, end\nof line, "quoted", ärger'},
    }
    return Entry(**{**found, **more})


def ledger(where: Path | str, keys: Keys = KEYS, password_file: Path | None = None, now: datetime = NOON) -> Ledger:
    return Ledger(where, lambda: now, lambda: keys, password_file)


def filled(where: Path | str, count: int, keys: Keys = KEYS, password_file: Path | None = None) -> Checkpoint:
    """A database with so many rows; its checkpoint."""

    async def write() -> Checkpoint:
        found = ledger(where, keys, password_file)
        try:
            for number in range(1, count + 1):
                await found.write(entry(number))
            return await found.checkpoint()
        finally:
            found.close()

    with ThreadPoolExecutor(1) as thread:  # for a test may have a loop of its own
        return thread.submit(lambda: asyncio.run(write())).result()


class Intruder:
    """Has the file, and all rights to it: drops what stands in the way, as a database's owner can."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        names = [name for (name,) in self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        self.sql = [sql for (sql,) in self.connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
        for name in names:
            self.connection.execute(f"DROP TRIGGER {name}")

    def does(self, statement: str, *values: object) -> None:
        self.connection.execute(statement, values)

    def leaves(self) -> None:
        """With everything as it was, but for the rows."""
        for sql in self.sql:
            self.connection.execute(sql)
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.connection.close()


def rows_in(path: Path) -> list[Row]:
    with sqlite3.connect(path) as connection:
        return [row_of(values) for values in connection.execute(f"SELECT {', '.join(COLUMNS)} FROM audit")]  # noqa: S608  # of our own names


def as_lines(rows: Iterable[Row]) -> list[bytes]:
    """As a database gives them to be verified."""
    return [line(one).removesuffix(b"\n") for one in as_stored(rows)]


def as_stored(rows: Iterable[Row]) -> list[Stored]:
    """As their lines are read."""
    found = []
    for row in rows:
        values = [str(value) for value in asdict(row).values()]
        found.append(Stored(row.sequence, "\t".join(values[:-3]).encode(), *values[-3:]))
    return found
