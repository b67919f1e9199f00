"""The tables of the store, and rows to records and back."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from refit.intake.records import Record, Status

VERSION = 1
BUSY_SECONDS = 5.0

TABLES = """
CREATE TABLE IF NOT EXISTS alert (
  grp TEXT NOT NULL, fingerprint TEXT NOT NULL, starts_at INTEGER NOT NULL,
  ends_at INTEGER, status TEXT NOT NULL, namespace TEXT NOT NULL, model TEXT NOT NULL,
  name TEXT NOT NULL, severity TEXT NOT NULL, summary TEXT NOT NULL, labels TEXT NOT NULL,
  truncated INTEGER NOT NULL, source TEXT NOT NULL, received_at INTEGER NOT NULL, heard_at INTEGER NOT NULL,
  suspect INTEGER NOT NULL, held INTEGER NOT NULL, turns TEXT NOT NULL,
  PRIMARY KEY (grp, fingerprint, starts_at)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_alert ON alert (namespace, model) WHERE status = 'firing';
CREATE INDEX IF NOT EXISTS held_alert ON alert (received_at) WHERE held = 1;
CREATE TABLE IF NOT EXISTS event (
  number INTEGER PRIMARY KEY, type TEXT NOT NULL, namespace TEXT NOT NULL, model TEXT NOT NULL,
  summary TEXT NOT NULL, received_at INTEGER NOT NULL, held INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS event_of ON event (namespace, model, type);
CREATE TABLE IF NOT EXISTS replay (
  route TEXT NOT NULL, id TEXT NOT NULL, received_at INTEGER NOT NULL, PRIMARY KEY (route, id)
) WITHOUT ROWID;
"""

_PUT = "INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SAME_AND_NEWEST = """
SELECT * FROM alert WHERE grp = :grp AND fingerprint = :fingerprint AND starts_at = :starts_at
UNION
SELECT * FROM (SELECT * FROM alert WHERE grp = :grp AND fingerprint = :fingerprint AND starts_at <= :latest
               ORDER BY starts_at DESC LIMIT 1)
"""


class StoreError(ValueError):
    """The store can not be used; the message is one line."""


def connect(path: Path, *, synchronous: str = "FULL") -> sqlite3.Connection:
    """A connection in which nothing is a transaction unless it is begun; FULL: a commit is on disk when it returns."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    return connection


def prepare(path: Path) -> None:
    """Makes the tables. Raises StoreError if the path can not hold them."""
    try:
        connection = connect(path)
        try:
            found = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if found > VERSION:
                raise StoreError(f"{path} is of version {found}, this operator knows up to {VERSION}: use a newer one")
            connection.executescript(TABLES)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}; give a writable path on a volume of its own") from None


def put(connection: sqlite3.Connection, record: Record) -> None:
    connection.execute(
        _PUT,
        (
            record.group,
            record.fingerprint,
            record.starts_at,
            record.ends_at,
            record.status,
            record.namespace,
            record.model,
            record.name,
            record.severity,
            record.summary,
            json.dumps(record.labels),
            record.truncated,
            record.source,
            record.received_at,
            record.heard_at,
            record.suspect,
            record.held,
            json.dumps(record.turns),
        ),
    )


def remove(connection: sqlite3.Connection, record: Record) -> None:
    connection.execute(
        "DELETE FROM alert WHERE grp = ? AND fingerprint = ? AND starts_at = ?",
        (record.group, record.fingerprint, record.starts_at),
    )


def same_and_newest(
    connection: sqlite3.Connection, group: str, fingerprint: str, starts_at: int | None, latest: int
) -> tuple[Record | None, Record | None]:
    """The record of that start, and the newest that starts at `latest` or before."""
    rows = connection.execute(
        _SAME_AND_NEWEST, {"grp": group, "fingerprint": fingerprint, "starts_at": starts_at, "latest": latest}
    ).fetchall()
    records = [record(row) for row in rows]
    same = next((one for one in records if one.starts_at == starts_at), None)
    newest = max((one for one in records if one.starts_at <= latest), key=lambda one: one.starts_at, default=None)
    return same, newest


def record(row: tuple[Any, ...]) -> Record:
    """A row of the table, all columns in order."""
    return Record(
        group=row[0],
        fingerprint=row[1],
        starts_at=row[2],
        ends_at=row[3],
        status=Status(row[4]),
        namespace=row[5],
        model=row[6],
        name=row[7],
        severity=row[8],
        summary=row[9],
        labels=tuple((key, value) for key, value in json.loads(row[10])),
        truncated=row[11],
        source=row[12],
        received_at=row[13],
        heard_at=row[14],
        suspect=bool(row[15]),
        held=bool(row[16]),
        turns=tuple(json.loads(row[17])),
    )
