"""Snapshots: one state of the store, as it was when somebody began to read."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from refit_collector.readers import Readers
from refit_collector.schema import REMOVED, reading

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
SPOOL = "spool"


class Asked(NamedTuple):
    """A window: event time in [since, until), of one version or all, at most `limit` rows of whole events."""

    namespace: str
    model: str
    since: int
    until: int
    version: int | None = None
    limit: int | None = None


class snapshot:  # noqa: N801  # used as a function
    """One state of the store: what it held when the block began, its files included."""

    def __init__(self, directory: Path, readers: Readers) -> None:
        self._directory = directory
        self._readers = readers

    def __enter__(self) -> sqlite3.Connection:
        self._began = self._readers.begin()
        try:
            self._connection = reading(self._directory)
            self._connection.execute("BEGIN")
            # The state that a transaction sees is that of its first read.
            self._connection.execute("SELECT count(*) FROM namespaces").fetchone()
        except BaseException:
            self._readers.end(self._began)
            raise
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._readers.end(self._began)


def model_of(connection: sqlite3.Connection, asked: Asked) -> int | None:
    row = connection.execute(
        "SELECT model FROM models JOIN namespaces n USING (namespace) WHERE n.name = ? AND models.name = ?",
        (asked.namespace, asked.model),
    ).fetchone()
    return row and int(row[0])


def prediction(directory: Path, readers: Readers, namespace: str, inference_id: str) -> tuple[Any, ...] | None:
    """(model, version, time, rows, latency) of an event that is kept."""
    with snapshot(directory, readers) as connection:
        found: tuple[Any, ...] | None = connection.execute(
            "SELECT m.name, i.version, i.time, i.rows, i.latency FROM ids i JOIN models m USING (model)"
            " JOIN namespaces n ON n.namespace = i.namespace WHERE n.name = ? AND i.id = ? AND substr(m.name, 1, 1) != ?",
            (namespace, inference_id, REMOVED),
        ).fetchone()
    return found
