"""Segments as files: rows of one version, in the order in which they came."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from refit_collector import columns

EVENTS_AT_ONCE = 256
"""Events that are turned into columns in one go: few enough that the threads that answer get their turn."""
ROWS_OF_A_GROUP = 65536
ROWS_AT_ONCE = 16384
TIME = columns.HEAD.index(pa.field("time", columns.MICROS))


def write(path: Path, bodies: Iterable[bytes], version: int, kinds: Mapping[str, str]) -> None:
    """The events of these chunks as a file that is on disk when this returns."""
    schema = columns.schema(kinds, truth=False)
    with path.open("wb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for group in _groups(bodies, version, kinds):
                writer.write_table(pa.Table.from_batches(group, schema))
        file.flush()
        os.fsync(file.fileno())


def _groups(bodies: Iterable[bytes], version: int, kinds: Mapping[str, str]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    rows = 0
    for body in bodies:
        events = columns.events_of(body)
        for at in range(0, len(events), EVENTS_AT_ONCE):
            group.append(columns.batch(events[at : at + EVENTS_AT_ONCE], version, kinds))
            rows += group[-1].num_rows
        if rows >= ROWS_OF_A_GROUP:
            yield group
            group, rows = [], 0
    if group:
        yield group


def read(path: Path, since: int, until: int, names: Collection[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a file whose time is in [since, until), with those of the named columns that it has."""
    with pq.ParquetFile(path) as file:
        there = file.schema_arrow.names
        groups = [at for at in range(file.num_row_groups) if _may_hold(file.metadata.row_group(at), since, until)]
        found = file.iter_batches(ROWS_AT_ONCE, groups, [name for name in there if name in names or name == "time"])
        for each in found:
            moments = each.column("time").cast(pa.int64())
            yield each.filter(pc.and_(pc.greater_equal(moments, since), pc.less(moments, until)))


def _may_hold(group: pq.RowGroupMetaData, since: int, until: int) -> bool:
    held = group.column(TIME).statistics
    return bool(columns.micros(held.max) >= since and columns.micros(held.min) < until)


def ids(path: Path) -> Iterator[list[str]]:
    """The ids of a file's events, some at a time."""
    with pq.ParquetFile(path) as file:
        for found in file.iter_batches(ROWS_AT_ONCE, columns=["id", "row"]):
            yield found.filter(pc.equal(found.column("row"), 0)).column("id").to_pylist()
