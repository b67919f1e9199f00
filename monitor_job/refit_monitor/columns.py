"""The columns of a table of requests as what is compared: sorted numbers, or counted words.

A number is rounded to 32 bits, as it is before a model reads it. NaN and null are missing, and so is "" in a column
of words. What can not be read as its column's type is counted and then taken as missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from refit.api.dataspec import ColumnType
from refit.api.profile import NumberProfile

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MISSING_WORDS = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "?")
"""As the trainer reads them."""


@dataclass(frozen=True)
class NumbersSeen:
    """The numbers of one column: those there, in order; how many rows had none, or something else."""

    ordered: NDArray[np.float32]
    missing: int
    wrong: int = 0
    codes: NDArray[np.uint32] | None = None

    @property
    def count(self) -> int:
        return int(self.ordered.size)

    @property
    def rows(self) -> int:
        return self.count + self.missing + self.wrong

    def below(self, bound: float) -> int:
        """How many are less. The bound is rounded as the values are."""
        return int(np.searchsorted(self.ordered, np.float32(bound), "left"))

    def above(self, bound: float) -> int:
        return self.count - int(np.searchsorted(self.ordered, np.float32(bound), "right"))

    def commonest(self) -> tuple[str, int]:
        """The most frequent number, and in how many rows it is."""
        if not self.count:
            return "", 0
        starts = np.flatnonzero(np.append(True, self.ordered[1:] != self.ordered[:-1]))
        lengths = np.diff(np.append(starts, self.count))
        place = int(lengths.argmax())
        return plain(float(self.ordered[starts[place]])), int(lengths[place])

    def fractions(self) -> int:
        return int((self.ordered != np.floor(self.ordered)).sum())


@dataclass(frozen=True)
class TextsSeen:
    """The words of one column, by how many rows have each."""

    counts: dict[str, int]
    missing: int
    wrong: int = 0
    codes: NDArray[np.uint32] | None = None

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    @property
    def rows(self) -> int:
        return self.count + self.missing + self.wrong

    def commonest(self) -> tuple[str, int]:
        return max(self.counts.items(), key=lambda found: found[1], default=("", 0))


Seen = NumbersSeen | TextsSeen


def see(column: pa.ChunkedArray, kind: ColumnType) -> Seen:
    """A column, read as that type; `codes` name each row's value, equal for equal values only."""
    return numbers(column) if kind is ColumnType.NUMBER else texts(column)


def numbers(column: pa.ChunkedArray) -> NumbersSeen:
    """A column as numbers."""
    wide, text = _wide(column)
    values = wide.astype(np.float32)
    there = np.isfinite(values)
    infinite = int(values.size - there.sum() - np.isnan(values).sum())
    ordered = np.sort(values) if there.all() else np.sort(values[there])
    values += np.float32(0)  # -0 is 0
    return NumbersSeen(
        ordered=ordered,
        missing=values.size - ordered.size - infinite - text,
        wrong=infinite + text,
        codes=values.view(np.uint32),
    )


def values(column: pa.ChunkedArray) -> Floats:
    """A column as numbers in the order of rows, NaN where there is none."""
    return _wide(column)[0]


def texts(column: pa.ChunkedArray) -> TextsSeen:
    """A column as words."""
    codes, words = coded(column)
    found = np.bincount(codes, minlength=len(words) + 1)
    counts = {word: int(number) for word, number in zip(words, found[1:], strict=True) if number}
    return TextsSeen(counts=counts, missing=int(found[0]), codes=codes.astype(np.uint32))


def coded(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """A column of words as numbers of words, 0 where one is missing and 1 for the first word; and the words."""
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        distinct, places = np.unique(values(column), return_inverse=True)
        spelled = ["" if np.isnan(value) else plain(float(value)) for value in distinct]
    else:
        if not pa.types.is_dictionary(kind):
            column = pc.cast(column, pa.string()) if not _is_text(kind) else column
            column = column.dictionary_encode()
        whole = column.unify_dictionaries().combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
        spelled = ["" if word is None else str(word).strip() for word in whole.dictionary.to_pylist()]
        spelled = [*("" if word in MISSING_WORDS else word for word in spelled), ""]
        places = pc.fill_null(pc.cast(whole.indices, pa.int64()), len(spelled) - 1).to_numpy(zero_copy_only=False)
    words = sorted({word for word in spelled if word})
    place_of = {word: place for place, word in enumerate(words, start=1)} | {"": 0}
    table = np.array([place_of[word] for word in spelled], dtype=np.int64)
    return table[places] if len(places) else np.zeros(0, dtype=np.int64), words


def plain(value: float) -> str:
    """A number as a word: whole ones without a fraction, others with the fewest digits that tell them apart in 32 bits."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(np.float32(value))  # noqa: PLR2004 - digits


def knots(profile: NumberProfile) -> tuple[NDArray[np.float32], Counts, Counts]:
    """A profile's knots, how many values are at most each, and how many are less."""
    upto = np.array(profile.upto, dtype=np.int64)
    below = np.append(0, upto[:-1]) if profile.complete else upto - np.array(profile.at, dtype=np.int64)
    return np.array(profile.knots, dtype=np.float32), upto, below if upto.size else upto


def _wide(column: pa.ChunkedArray) -> tuple[Floats, int]:
    """Numbers with NaN for what is none, and how many of these hold text instead."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = pc.cast(column, kind.value_type)
        kind = column.type
    if _is_text(kind):
        found = np.array([_number(word) for word in column.to_pylist()], dtype=np.float64)
        text = np.isneginf(found)  # no number is so: infinite ones are +inf
        found[text] = np.nan
        return found, int(text.sum())
    if pa.types.is_boolean(kind):
        return np.full(len(column), np.nan), len(column) - column.null_count
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return np.full(len(column), np.nan), len(column) - column.null_count
    return np.array(pc.cast(column, pa.float64(), safe=False).to_numpy(), dtype=np.float64), 0


def _number(word: str | None) -> float:
    if word is None or word.strip() in MISSING_WORDS:
        return float("nan")
    try:
        found = float(word)
    except ValueError:
        return float("-inf")
    return abs(found) if np.isinf(found) else found


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
