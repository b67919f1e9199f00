"""Columns of a window: what they are called, of what type they are, and how events become rows of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import itemgetter
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from refit_collector.kinds import INPUT, LABEL, NUMBER, PROBABILITY, TEXT

MICROS = pa.timestamp("us", tz="UTC")
HEAD = (
    pa.field("id", pa.string()),
    pa.field("row", pa.int32()),
    pa.field("version", pa.int32()),
    pa.field("time", MICROS),
    pa.field("latency", pa.float64()),
)
TAIL = (pa.field("truth", pa.string()), pa.field("truth_time", MICROS))
_TYPES = {NUMBER: pa.float64(), TEXT: pa.string()}

Event = list[Any]
"""[id, time, latency, rows, inputs, labels, classes, probabilities, predictions], as refit_collector.events writes it."""


def micros(moment: datetime) -> int:
    """What Parquet's statistics give for a time, as the store counts it."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def ordered(columns: Mapping[str, str]) -> list[pa.Field]:
    """The fields of a model's own columns: inputs, label, probabilities, prediction."""
    groups: dict[int, list[str]] = {0: [], 1: [], 2: [], 3: []}
    for name in columns:
        groups[0 if name.startswith(INPUT) else 2 if name.startswith(PROBABILITY) else 1 if name == LABEL else 3] += [
            name
        ]
    return [pa.field(name, _TYPES[columns[name]]) for name in chain(*groups.values())]


def schema(columns: Mapping[str, str], *, truth: bool) -> pa.Schema:
    return pa.schema([*HEAD, *ordered(columns), *(TAIL if truth else ())])


def events_of(body: bytes) -> list[Event]:
    """The events of a chunk."""
    return [orjson.loads(line) for line in body.split(b"\n")]


def batch(events: Sequence[Event], version: int, columns: Mapping[str, str]) -> pa.RecordBatch:
    """The rows of these events, in their order, with these columns."""
    counts = [event[3] for event in events]
    fields = [*HEAD, *ordered(columns)]
    arrays: list[pa.Array] = [
        pa.array(_repeated((event[0] for event in events), counts), pa.string()),
        pa.array(chain.from_iterable(map(range, counts)), pa.int32()),
        pa.array([version] * sum(counts), pa.int32()),
        pa.array(_repeated((event[1] for event in events), counts), pa.int64()).cast(MICROS),
        pa.array(_repeated((event[2] for event in events), counts), pa.float64()),
    ]
    parts = _Parts(events, counts)
    for field in fields[len(HEAD) :]:
        values = parts.of(field.name)
        arrays.append(_texts(values) if field.type == pa.string() else _numbers(values))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


class _Parts:
    """The values of events, column by column. Most events have all columns, and then no event is looked at by itself."""

    def __init__(self, events: Sequence[Event], counts: Sequence[int]) -> None:
        self._counts = counts
        self._inputs = [event[4] for event in events]
        self._labels = [event[5] for event in events]
        self._probabilities = [_by_class(event) for event in events]
        self._predictions = [event[8] for event in events]

    def of(self, name: str) -> list[Any]:
        if name.startswith(INPUT):
            return self._named(self._inputs, name[len(INPUT) :])
        if name.startswith(PROBABILITY):
            return self._named(self._probabilities, name[len(PROBABILITY) :])
        return self._filled(self._labels if name == LABEL else self._predictions)

    def _named(self, found: Sequence[Mapping[str, Sequence[Any]]], name: str) -> list[Any]:
        try:
            return list(chain.from_iterable(map(itemgetter(name), found)))
        except KeyError:
            return self._filled([each.get(name) for each in found])

    def _filled(self, found: Sequence[Sequence[Any] | None]) -> list[Any]:
        parts = ([None] * count if part is None else part for part, count in zip(found, self._counts, strict=True))
        return list(chain.from_iterable(parts))


def _by_class(event: Event) -> dict[str, Sequence[float]]:
    return dict(zip(event[6], zip(*event[7], strict=True), strict=True)) if event[7] else {}


def _repeated(values: Iterable[Any], counts: Iterable[int]) -> list[Any]:
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


def _numbers(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # true, false, or a whole number that no float is equal to
        return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _texts(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except pa.ArrowTypeError:
        return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: object) -> str:
    """A value as text, the same whether it lay in the store as 1, as 1.0 or as "1"."""
    match value:
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def fitted(found: pa.RecordBatch, fields: Sequence[pa.Field]) -> list[pa.Array]:
    """The batch's columns as these fields: absent ones are null, numbers of a column that is now text become text."""
    arrays = []
    for field in fields:
        at = found.schema.get_field_index(field.name)
        if at < 0:
            arrays.append(pa.nulls(found.num_rows, field.type))
        elif found.column(at).type == field.type:
            arrays.append(found.column(at))
        elif field.type == pa.string():
            arrays.append(_texts(found.column(at).to_pylist()))
        else:
            arrays.append(pc.cast(found.column(at), field.type))
    return arrays
