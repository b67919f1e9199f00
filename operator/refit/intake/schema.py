"""The tables of the store, and rows to records and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from refit.intake.records import Given, Record, Status

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

_COLUMNS = (
    "grp, fingerprint, starts_at, ends_at, status, namespace, model, name, severity, summary, labels, truncated, "
    "source, received_at, heard_at, suspect, held, turns"
)
# One statement for all records of a transaction: each statement of its own would let go of Python's lock, and
# wait for the event loop to get it back.
_VALUES = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(18))
_PUT = f"INSERT OR REPLACE INTO alert ({_COLUMNS}) SELECT {_VALUES} FROM json_each(?)"  # noqa: S608  # of the two above
_SAME_AND_NEWEST = f"""
WITH asked AS (SELECT json_extract(value, '$[0]') AS g, json_extract(value, '$[1]') AS f,
                      json_extract(value, '$[2]') AS s FROM json_each(:asked))
SELECT {_COLUMNS} FROM asked CROSS JOIN alert ON grp = g AND fingerprint = f AND starts_at = s
UNION
SELECT {_COLUMNS} FROM asked CROSS JOIN alert ON grp = g AND fingerprint = f AND starts_at = (
  SELECT max(starts_at) FROM alert WHERE grp = g AND fingerprint = f AND starts_at <= :latest)
"""  # noqa: S608  # of the columns above


class StoreError(ValueError):
    """The store can not be used; the message is one line."""


def connect(path: Path, *, synchronous: str = "FULL") -> sqlite3.Connection:
    """A connection in which nothing is a transaction unless it is begun; FULL: a commit is on disk when it returns."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    # A delivery of five hundred would spill into a temporary file, and the operator's root can not be written.
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def prepare(path: Path) -> None:
    """Makes the directory and the tables. Raises StoreError if the path can not hold them."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(path)
        try:
            found = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if found > VERSION:
                raise StoreError(f"{path} is of version {found}, this operator knows up to {VERSION}: use a newer one")
            connection.executescript(TABLES)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: {error}; give a writable path on a volume of its own") from None


def put(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    connection.execute(_PUT, (json.dumps([_row(one) for one in records]),))


def remove(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    connection.executemany(
        "DELETE FROM alert WHERE grp = ? AND fingerprint = ? AND starts_at = ?",
        [(one.group, one.fingerprint, one.starts_at) for one in records],
    )


def same_and_newest(connection: sqlite3.Connection, alerts: Iterable[Given], latest: int) -> list[Record]:
    """Of each alert the record of its start, and the newest that starts at `latest` or before; those there are."""
    asked = json.dumps([(one.group, one.fingerprint, one.starts_at) for one in alerts])
    return [record(row) for row in connection.execute(_SAME_AND_NEWEST, {"asked": asked, "latest": latest}).fetchall()]


def _row(one: Record) -> tuple[Any, ...]:
    """In the order of the columns; JSON of ours is text in JSON."""
    return (
        one.group,
        one.fingerprint,
        one.starts_at,
        one.ends_at,
        one.status,
        one.namespace,
        one.model,
        one.name,
        one.severity,
        one.summary,
        json.dumps(one.labels),
        one.truncated,
        one.source,
        one.received_at,
        one.heard_at,
        one.suspect,
        one.held,
        json.dumps(one.turns),
    )


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
