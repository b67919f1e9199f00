"""What is written in a group: events with their ids, labels, measurements. Each is called by the writing thread."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from refit_collector.events import Accepted, RefusedLine
from refit_collector.labels import Label
from refit_collector.measurements import KEPT
from refit_collector.registry import Registry


class Stored(NamedTuple):
    """What became of a request's events."""

    stored: int
    duplicates: int
    refused: tuple[RefusedLine, ...] = ()


class Labelled(NamedTuple):
    """What became of a request's labels; `unknown` of the stored ones have no prediction yet."""

    stored: int
    duplicates: int
    unknown: int
    refused: tuple[RefusedLine, ...] = ()


def events(
    connection: sqlite3.Connection,
    registry: Registry,
    namespace: str,
    model: str,
    found: Sequence[Accepted],
    received: int,
) -> Stored:
    """Stores the events whose ids are new in the namespace."""
    scope = registry.namespace(connection, namespace)
    number = registry.model(connection, scope, model)
    fitting: list[Accepted] = []
    refused: list[RefusedLine] = []
    for event in found:
        problem = registry.add_columns(connection, number, event.version, event.columns)
        if problem is None:
            fitting.append(event)
        else:
            refused.append(RefusedLine(event.line, problem, "too_many"))
    fresh = _new(connection, scope, number, fitting)
    by_version: dict[int, list[Accepted]] = defaultdict(list)
    for event in fresh:
        by_version[event.version].append(event)
    for version, chunk in by_version.items():
        _chunk(connection, number, version, chunk, received)
    return Stored(len(fresh), len(fitting) - len(fresh), tuple(refused))


def _new(connection: sqlite3.Connection, scope: int, model: int, found: list[Accepted]) -> list[Accepted]:
    """Those whose ids are new, which they are not afterwards. Usually all are; only if not, which is asked."""
    connection.execute("SAVEPOINT ids")
    try:
        _remember(connection, scope, model, found)
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO ids")
        known = _known(connection, scope, (event.id for event in found))
        found = [event for event in {event.id: event for event in reversed(found)}.values() if event.id not in known]
        found.reverse()
        _remember(connection, scope, model, found)
    connection.execute("RELEASE ids")
    return found


def _remember(connection: sqlite3.Connection, scope: int, model: int, found: Iterable[Accepted]) -> None:
    connection.executemany(
        "INSERT INTO ids VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(scope, event.id, model, event.version, event.time, event.rows, event.latency) for event in found],
    )


def _known(connection: sqlite3.Connection, scope: int, ids: Iterable[str]) -> set[str]:
    statement = "SELECT id FROM ids WHERE namespace = ? AND id IN (SELECT value FROM json_each(?))"
    return {row[0] for row in connection.execute(statement, (scope, orjson.dumps(list(ids)).decode()))}


def _chunk(connection: sqlite3.Connection, model: int, version: int, chunk: Sequence[Accepted], received: int) -> None:
    body = b"\n".join(event.body for event in chunk)
    moments = [event.time for event in chunk]
    connection.execute(
        "INSERT INTO hot (model, version, since, until, received, events, rows, bytes, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            model,
            version,
            min(moments),
            max(moments),
            received,
            len(chunk),
            sum(event.rows for event in chunk),
            len(body),
            body,
        ),
    )


def labels(
    connection: sqlite3.Connection,
    registry: Registry,
    namespace: str,
    model: str,
    found: Sequence[Label],
    received: int,
) -> Labelled:
    """Stores labels, also those whose prediction has not come; a later one for the same row takes its place."""
    scope = registry.namespace(connection, namespace)
    number = registry.model(connection, scope, model)
    statement = "SELECT id, model, rows FROM ids WHERE namespace = ? AND id IN (SELECT value FROM json_each(?))"
    asked = orjson.dumps(list({label.id for label in found})).decode()
    predictions = {row[0]: row[1:] for row in connection.execute(statement, (scope, asked))}
    stored = unknown = 0
    refused: list[RefusedLine] = []
    for label in found:
        of, rows = predictions.get(label.id, (None, None))
        if of is not None and of != number:
            refused.append(RefusedLine(label.line, "id: another model of this namespace gave that answer", "invalid"))
        elif rows is not None and label.row >= rows:
            refused.append(RefusedLine(label.line, f"row: the request had {rows} rows, 0 to {rows - 1}", "invalid"))
        elif _label(connection, number, label, received):
            stored += 1
            unknown += of is None
    return Labelled(stored, len(found) - stored - len(refused), unknown, tuple(refused))


def _label(connection: sqlite3.Connection, model: int, label: Label, received: int) -> bool:
    """Whether it says anything that was not known."""
    return bool(
        connection.execute(
            "INSERT INTO labels VALUES (:model, :id, :row, :label, :time, :received, :received)"
            " ON CONFLICT (model, id, row) DO UPDATE"
            " SET label = excluded.label, time = excluded.time, received = excluded.received"
            " WHERE label != excluded.label",
            {
                "model": model,
                "id": label.id,
                "row": label.row,
                "label": label.label,
                "time": label.time,
                "received": received,
            },
        ).rowcount
    )


class Measurement(NamedTuple):
    """A measurement as it came; `time` is when it was made."""

    key: str
    time: int
    received: int
    body: bytes


def measurement(
    connection: sqlite3.Connection, registry: Registry, namespace: str, model: str, found: Measurement
) -> bool:
    """Keeps a measurement, as one of the newest of its model; says whether its key was new."""
    number = registry.model(connection, registry.namespace(connection, namespace), model)
    statement = "SELECT count(*) FROM measurements WHERE model = ? AND key = ?"
    new = not connection.execute(statement, (number, found.key)).fetchone()[0]
    connection.execute("INSERT OR REPLACE INTO measurements VALUES (?, ?, ?, ?, ?)", (number, *found))
    connection.execute(
        "DELETE FROM measurements WHERE model = :model AND key NOT IN"
        " (SELECT key FROM measurements WHERE model = :model ORDER BY time DESC, key DESC LIMIT :kept)",
        {"model": number, "kept": KEPT},
    )
    return new
