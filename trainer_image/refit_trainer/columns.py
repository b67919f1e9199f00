"""A table's columns as numbers and categories, with every value that is neither kept apart.

A missing value is NaN in a number column and "" in a category column, here, in the fitted pipeline
and in the exported model alike. Numbers are rounded to 32 bits first of all, so that a tree's
thresholds fall between the same values in training and in serving.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from refit.api.dataspec import Column, ColumnType, DataSpec

MISSING_WORDS = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "?")
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_INFINITE = r"^[+-]?(inf|Inf|INF|infinity|Infinity)$"
_LARGEST = float(np.finfo(np.float32).max)

Values = NDArray[np.float64] | NDArray[np.object_]
Indices = NDArray[np.int64]


def _nowhere() -> Indices:
    return np.array([], dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class ReadColumn:
    """One column as read: float64 holding 32-bit numbers, or text; and the rows whose value could not be read so."""

    name: str
    type: ColumnType
    declared: Column | None
    cells: Values
    unreadable: Indices = field(default_factory=_nowhere)
    infinite: Indices = field(default_factory=_nowhere)
    strange: str = ""
    """What the column holds instead, where its kind of value has no place in a model (dates, lists)."""

    def missing(self) -> NDArray[np.bool_]:
        return absent(self.cells)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A data set as the spec wants it read: the columns it speaks of, and which of them are not there."""

    table: pa.Table
    columns: dict[str, ReadColumn]
    not_found: tuple[str, ...]
    target: str
    features: tuple[str, ...]

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)


def read(table: pa.Table, spec: DataSpec) -> Reading:
    """The columns that the spec declares, or all but the ignored ones."""
    declared = {column.name: column for column in spec.columns}
    wanted = list(declared) if declared else [name for name in table.column_names if name not in spec.ignore]
    if spec.target.column not in wanted:
        wanted.append(spec.target.column)
    there = set(table.column_names)
    columns = {name: read_column(table, name, declared.get(name)) for name in wanted if name in there}
    return Reading(
        table=table,
        columns=columns,
        not_found=tuple(name for name in [*wanted, *spec.ignore] if name not in there),
        target=spec.target.column,
        features=tuple(name for name in columns if name != spec.target.column and name not in spec.ignore),
    )


def read_column(table: pa.Table, name: str, declared: Column | None) -> ReadColumn:
    """One column by its declared type, or by what all its values are."""
    chunked = table.column(name).combine_chunks()
    found = pa.concat_arrays(chunked.chunks) if isinstance(chunked, pa.ChunkedArray) else chunked
    if pa.types.is_dictionary(found.type):
        found = found.dictionary_decode()
    strange = _strange(found.type)
    if strange:
        empty: Values = np.full(len(found), "", dtype=object)
        return ReadColumn(name=name, type=ColumnType.CATEGORY, declared=declared, cells=empty, strange=strange)
    wanted = declared.type if declared is not None else None
    if wanted is not ColumnType.CATEGORY:
        values, unreadable, infinite = _numbers(found)
        readable = not unreadable.size and (infinite.size or not np.isnan(values).all() or wanted is not None)
        if wanted is ColumnType.NUMBER or readable:
            return ReadColumn(
                name=name,
                type=ColumnType.NUMBER,
                declared=declared,
                cells=values,
                unreadable=unreadable,
                infinite=infinite,
            )
    return ReadColumn(name=name, type=ColumnType.CATEGORY, declared=declared, cells=_texts(found))


def absent(values: Values) -> NDArray[np.bool_]:
    """Where a value is missing."""
    if values.dtype == object:
        return np.asarray(values == "", dtype=bool)
    return np.isnan(values.astype(np.float64, copy=False))


def _strange(kind: pa.DataType) -> str:
    if pa.types.is_temporal(kind):
        return "dates or times"
    if pa.types.is_nested(kind):
        return "lists or structures"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return "bytes"
    return ""


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _numbers(found: pa.Array) -> tuple[NDArray[np.float64], Indices, Indices]:
    """Values rounded to 32 bits with NaN for missing; the rows of text; the rows too large or infinite."""
    if _is_text(found.type):
        trimmed = pc.utf8_trim_whitespace(found)
        missing = pc.is_in(trimmed, pa.array(MISSING_WORDS, trimmed.type))
        trimmed = pc.if_else(missing, pa.scalar(None, trimmed.type), trimmed)
        number = pc.fill_null(pc.match_substring_regex(trimmed, _NUMBER), True)
        boundless = pc.fill_null(pc.match_substring_regex(trimmed, _INFINITE), False)
        texts = pc.and_not(pc.invert(number), boundless)
        plain = pc.if_else(number, pc.replace_substring_regex(trimmed, r"^\+", ""), pa.scalar(None, trimmed.type))
        wide = pc.cast(plain, pa.float64())
        unreadable = np.flatnonzero(texts.to_numpy(zero_copy_only=False))
        said = boundless.to_numpy(zero_copy_only=False)
    else:
        if pa.types.is_boolean(found.type):
            return np.full(len(found), np.nan), np.arange(len(found), dtype=np.int64), _nowhere()
        wide = pc.cast(found, pa.float64(), safe=False)
        unreadable = _nowhere()
        said = np.zeros(len(found), dtype=bool)
    values = np.array(wide.to_numpy(zero_copy_only=False), dtype=np.float64)
    too_large = said | (np.abs(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)) > _LARGEST)
    values[too_large] = np.nan
    return values.astype(np.float32).astype(np.float64), unreadable, np.flatnonzero(too_large)


def _texts(found: pa.Array) -> NDArray[np.object_]:
    """Values as trimmed text, "" where missing; whole numbers without a fraction, booleans as true and false."""
    kind = found.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        wide = pc.cast(found, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.array([_plain(value) for value in wide], dtype=object)
    texts = pc.utf8_trim_whitespace(pc.cast(found, pa.string()))
    missing = pc.is_in(texts, pa.array(MISSING_WORDS, texts.type))
    texts = pc.fill_null(pc.if_else(missing, pa.scalar("", texts.type), texts), "")
    return np.asarray(texts.to_numpy(zero_copy_only=False), dtype=object)


def _plain(value: float) -> str:
    if np.isnan(value):
        return ""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
