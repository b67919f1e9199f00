"""The store's database: its tables, and how it is opened.

`ids` knows every event that is kept, wherever it lies; `hot` holds those that came lately, a chunk for
each request; `segments` names the Parquet files of the older ones. Of a model's version, chunks up to
`versions.rolled_to` are in segments: one number decides which of the two is read, so that no crash
between them can lose or double a row.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from refit_collector.settings import SettingsError

FILE = "collector.db"
VERSION = 1
REMOVED = "#"
"""What the name of a model begins with that is being removed; no name that is taken does."""

TABLES = """
CREATE TABLE namespaces (namespace INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE models (
    model INTEGER PRIMARY KEY, namespace INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (namespace, name)
);
CREATE TABLE versions (
    model INTEGER NOT NULL, version INTEGER NOT NULL, columns TEXT NOT NULL, rolled_to INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (model, version)
) WITHOUT ROWID;
CREATE TABLE ids (
    namespace INTEGER NOT NULL, id TEXT NOT NULL, model INTEGER NOT NULL, version INTEGER NOT NULL,
    time INTEGER NOT NULL, rows INTEGER NOT NULL, latency REAL NOT NULL, PRIMARY KEY (namespace, id)
) WITHOUT ROWID;
CREATE TABLE hot (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, model INTEGER NOT NULL, version INTEGER NOT NULL,
    since INTEGER NOT NULL, until INTEGER NOT NULL, received INTEGER NOT NULL,
    events INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX hot_places ON hot (model, version, seq, received, bytes);
CREATE TABLE segments (
    segment INTEGER PRIMARY KEY, model INTEGER NOT NULL, version INTEGER NOT NULL, path TEXT NOT NULL UNIQUE,
    since INTEGER NOT NULL, until INTEGER NOT NULL, events INTEGER NOT NULL, rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL, expired INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE labels (
    model INTEGER NOT NULL, id TEXT NOT NULL, row INTEGER NOT NULL, label TEXT NOT NULL, time INTEGER,
    first_received INTEGER NOT NULL, received INTEGER NOT NULL, PRIMARY KEY (model, id, row)
) WITHOUT ROWID;
CREATE INDEX labels_received ON labels (received);
CREATE TABLE halves (
    namespace TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, model TEXT NOT NULL, version INTEGER NOT NULL,
    time INTEGER NOT NULL, received INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (namespace, id, kind)
) WITHOUT ROWID;
CREATE INDEX halves_received ON halves (received);
CREATE TABLE orphans (
    namespace TEXT NOT NULL, model TEXT NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (namespace, model, kind)
) WITHOUT ROWID;
CREATE TABLE measurements (
    model INTEGER NOT NULL, key TEXT NOT NULL, time INTEGER NOT NULL, received INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (model, key)
) WITHOUT ROWID;
CREATE INDEX measurements_time ON measurements (model, time);
"""


def create(directory: Path) -> None:
    """The database, made if it is not there; raises SettingsError if it can not be used."""
    try:
        connection = writing(directory)
        try:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
            elif found != VERSION:
                raise SettingsError(
                    f"REFIT_COLLECTOR_DATA_DIR: {directory / FILE} is of schema {found}, this version writes {VERSION};"
                    " run the version that made it, or name another directory"
                )
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SettingsError(f"REFIT_COLLECTOR_DATA_DIR: {directory / FILE} can not be used: {error}") from None


def writing(directory: Path) -> sqlite3.Connection:
    """The one connection that writes. FULL: a commit returns when the log is on disk."""
    connection = _opened(directory)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts only before the first table
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -32768")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    # Copying the log into the database is done beside, by refit_collector.checkpoints; this only bounds the log.
    connection.execute("PRAGMA wal_autocheckpoint = 8192")
    return connection


def reading(directory: Path) -> sqlite3.Connection:
    """A connection that reads, beside the one that writes."""
    connection = _opened(directory)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cache_size = -8192")
    return connection


def copying(directory: Path) -> sqlite3.Connection:
    """A connection that copies the log into the database."""
    connection = _opened(directory)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _opened(directory: Path) -> sqlite3.Connection:
    # Each connection is used by one thread at a time, not always by the one that opened it.
    connection = sqlite3.connect(directory / FILE, timeout=10, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection
