"""Windows: the rows of a model between two moments, with what turned out to be true, as one consistent snapshot.

The rows are first written to a file, within one read transaction, and then sent. So
a client that reads slowly holds up nothing, the number of rows is known before the first byte, and
what fails does so before an answer has begun.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from refit_collector import columns, parquet
from refit_collector.kinds import merged
from refit_collector.readers import Readers
from refit_collector.snapshots import PARQUET, Asked, model_of, snapshot


class Counts(NamedTuple):
    """What a window holds; `cut` says that the limit left some out."""

    rows: int
    events: int
    cut: bool


def write(directory: Path, readers: Readers, asked: Asked, media: str, path: Path) -> Counts:
    """The window as a file; raises OSError if there is no room for it."""
    with path.open("wb") as file, snapshot(directory, readers) as connection:
        return _write(connection, directory, asked, file, media)


def _write(connection: sqlite3.Connection, directory: Path, asked: Asked, file: IO[bytes], media: str) -> Counts:
    schema = columns.schema(columns_of(connection, asked), truth=True)
    rows = events = 0
    cut = False
    with _writer(file, schema, media) as writer:
        for found in batches(connection, directory, asked, schema):
            part = found
            if asked.limit is not None and rows + found.num_rows > asked.limit:
                part, cut = _whole_events(found, asked.limit - rows), True
            if part.num_rows:
                writer.write_batch(part)
                rows += part.num_rows
                events += pc.sum(pc.equal(part.column("row"), 0)).as_py()
            if cut:
                break
    return Counts(rows, events, cut)


def _writer(file: IO[bytes], schema: pa.Schema, media: str) -> Any:
    if media == PARQUET:
        return pq.ParquetWriter(file, schema, compression="zstd")
    return pa.ipc.new_stream(file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))


def _whole_events(found: pa.RecordBatch, most: int) -> pa.RecordBatch:
    """At most so many rows, and none of an event that would be torn apart."""
    while most and found.column("row")[most].as_py():
        most -= 1
    return found.slice(0, most)


def columns_of(connection: sqlite3.Connection, asked: Asked) -> dict[str, str]:
    """The columns of all versions asked for, together."""
    found: dict[str, str] = {}
    statement = "SELECT columns FROM versions WHERE model = ? AND version = ifnull(?, version) ORDER BY version"
    for (text,) in connection.execute(statement, (model_of(connection, asked), asked.version)):
        found = merged(found, orjson.loads(text))
    return found


def batches(
    connection: sqlite3.Connection, directory: Path, asked: Asked, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The window's rows with these columns: those in segments, then those that came lately."""
    model = model_of(connection, asked)
    truths = _Truths(connection, model)
    fields = [field for field in schema if field not in columns.TAIL]
    for found in _rows(connection, directory, asked, model, [field.name for field in fields]):
        if found.num_rows:
            arrays = columns.fitted(found, fields)
            yield pa.RecordBatch.from_arrays([*arrays, *truths.of(found)], schema=schema)


def _rows(
    connection: sqlite3.Connection, directory: Path, asked: Asked, model: int | None, names: Collection[str]
) -> Iterator[pa.RecordBatch]:
    within = {"model": model, "version": asked.version, "since": asked.since, "until": asked.until}
    statement = (
        "SELECT path FROM segments WHERE model = :model AND version = ifnull(:version, version)"
        " AND until >= :since AND since < :until AND NOT expired ORDER BY segment"
    )
    for (path,) in connection.execute(statement, within).fetchall():
        yield from parquet.read(directory / path, asked.since, asked.until, names)
    statement = (
        "SELECT h.version, h.body, v.columns FROM hot h JOIN versions v USING (model, version)"
        " WHERE h.model = :model AND h.version = ifnull(:version, h.version) AND h.seq > v.rolled_to"
        " AND h.until >= :since AND h.since < :until ORDER BY h.seq"
    )
    gathered: list[columns.Event] = []
    of: tuple[int, str] | None = None
    for version, body, text in connection.execute(statement, within):
        if of not in {None, (version, text)} or len(gathered) >= parquet.EVENTS_AT_ONCE:
            yield from _lately(gathered, of, names)
            gathered = []
        of = (version, text)
        gathered += [event for event in columns.events_of(body) if asked.since <= event[1] < asked.until]
    yield from _lately(gathered, of, names)


def _lately(
    events: Sequence[columns.Event], of: tuple[int, str] | None, names: Collection[str]
) -> Iterator[pa.RecordBatch]:
    """Events of one version that came in chunks; small chunks together make one batch."""
    if of is not None:
        known = {name: kind for name, kind in orjson.loads(of[1]).items() if name in names}
        for at in range(0, len(events), parquet.EVENTS_AT_ONCE):
            yield columns.batch(events[at : at + parquet.EVENTS_AT_ONCE], of[0], known)


class _Truths:
    """The labels of rows, by the ids of a batch at a time."""

    def __init__(self, connection: sqlite3.Connection, model: int | None) -> None:
        self._connection = connection
        self._model = model
        any_there = "SELECT EXISTS (SELECT 1 FROM labels WHERE model = ?)"
        self._any = bool(connection.execute(any_there, (model,)).fetchone()[0])

    def of(self, found: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
        if not self._any:
            return tuple(pa.nulls(found.num_rows, field.type) for field in columns.TAIL)
        ids = found.column("id").to_pylist()
        statement = (
            "SELECT id, row, label, received FROM labels WHERE model = ? AND id IN (SELECT value FROM json_each(?))"
        )
        asked = orjson.dumps(list(dict.fromkeys(ids))).decode()
        known = {(row[0], row[1]): row[2:] for row in self._connection.execute(statement, (self._model, asked))}
        labels = [known.get(key, (None, None)) for key in zip(ids, found.column("row").to_pylist(), strict=True)]
        return (
            pa.array([label for label, _ in labels], pa.string()),
            pa.array([received for _, received in labels], pa.int64()).cast(columns.MICROS),
        )
