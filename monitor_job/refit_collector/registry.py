"""Numbers for names: namespaces and models, and the columns of each version. Used by the writing thread only."""

from __future__ import annotations

import sqlite3

import orjson

from refit_collector import kinds
from refit_collector.refusals import unfit

MOST_MODELS = 1000
"""Models of one namespace; each has its own series of metrics."""
MOST_VERSIONS = 10_000
"""Versions of one model; each has files of its own."""


class Registry:
    """A cache of the tables namespaces, models and versions; what is not in it is read or made."""

    def __init__(self) -> None:
        self._namespaces: dict[str, int] = {}
        self._models: dict[tuple[int, str], int] = {}
        self._columns: dict[tuple[int, int], dict[str, str]] = {}
        self._last: dict[tuple[int, int], dict[str, str]] = {}

    def forget(self) -> None:
        """Something was taken back."""
        self._namespaces.clear()
        self._models.clear()
        self._columns.clear()
        self._last.clear()

    def namespace(self, connection: sqlite3.Connection, name: str) -> int:
        if name not in self._namespaces:
            connection.execute("INSERT OR IGNORE INTO namespaces (name) VALUES (?)", (name,))
            row = connection.execute("SELECT namespace FROM namespaces WHERE name = ?", (name,)).fetchone()
            self._namespaces[name] = row[0]
        return self._namespaces[name]

    def model(self, connection: sqlite3.Connection, namespace: int, name: str) -> int:
        key = (namespace, name)
        if key not in self._models:
            found = connection.execute("SELECT model FROM models WHERE namespace = ? AND name = ?", key).fetchone()
            if found is None:
                count = connection.execute("SELECT count(*) FROM models WHERE namespace = ?", key[:1]).fetchone()[0]
                if count >= MOST_MODELS:
                    raise unfit("model", f"the namespace has {MOST_MODELS} models already", reason="too_many")
                found = (connection.execute("INSERT INTO models (namespace, name) VALUES (?, ?)", key).lastrowid,)
            self._models[key] = found[0]
        return self._models[key]

    def add_columns(self, connection: sqlite3.Connection, model: int, version: int, new: dict[str, str]) -> str | None:
        """Remembers the columns of an event; returns what is wrong if they are too many."""
        key = (model, version)
        if new is self._last.get(key):  # neighbours share the very object: see refit_collector.shapes
            return None
        known = self._columns.get(key)
        if known is None:
            known = self._read(connection, key)
        if known is not None and all(known.get(name) in {kind, kinds.TEXT} for name, kind in new.items()):
            self._last[key] = new
            return None
        both = kinds.merged(known or {}, new)
        if len(both) > kinds.MOST_COLUMNS:
            return f"inputs: this version has {kinds.MOST_COLUMNS} different columns already"
        if known is None:
            count = connection.execute("SELECT count(*) FROM versions WHERE model = ?", (model,)).fetchone()[0]
            if count >= MOST_VERSIONS:
                return f"version: the model has {MOST_VERSIONS} versions already"
        connection.execute(
            "INSERT INTO versions (model, version, columns) VALUES (?, ?, ?)"
            " ON CONFLICT (model, version) DO UPDATE SET columns = excluded.columns",
            (*key, orjson.dumps(both).decode()),
        )
        self._columns[key] = both
        return None

    def _read(self, connection: sqlite3.Connection, key: tuple[int, int]) -> dict[str, str] | None:
        row = connection.execute("SELECT columns FROM versions WHERE model = ? AND version = ?", key).fetchone()
        if row is None:
            return None
        found: dict[str, str] = orjson.loads(row[0])
        self._columns[key] = found
        return found
