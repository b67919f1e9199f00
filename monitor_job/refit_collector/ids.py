"""Ids of events that are no longer kept are forgotten; then they may come again."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import orjson

from refit_collector.columns import events_of


def ids_of(body: bytes) -> list[str]:
    """The ids in a chunk."""
    return [event[0] for event in events_of(body)]


def forget(connection: sqlite3.Connection, namespace: int, model: int, ids: Sequence[str]) -> None:
    """Ids of that model, and not of one that took such an id since."""
    connection.execute(
        "DELETE FROM ids WHERE namespace = ? AND model = ? AND id IN (SELECT value FROM json_each(?))",
        (namespace, model, orjson.dumps(ids).decode()),
    )
