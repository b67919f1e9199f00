"""The types of expectations, evaluated with numpy.

The words and meanings are Great Expectations'; a test runs both on the same tables. Evaluating them here
costs milliseconds where importing that library costs seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refit_trainer.checks import rows_told
from refit_trainer.columns import ReadColumn, Reading, absent, read_column
from refit_trainer.errors import RefusedError

Kwargs = Mapping[str, Any]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Met:
    """Whether one expectation is met, and what was found where not."""

    success: bool
    found: str = ""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One type of expectation: its arguments and what judges it."""

    judge: Callable[[Reading, Kwargs], Met]
    required: frozenset[str]
    optional: frozenset[str] = frozenset()


def _column(reading: Reading, name: Any) -> ReadColumn:
    if name in reading.columns:
        return reading.columns[str(name)]
    if name not in reading.table.column_names:
        raise RefusedError(
            "ColumnMissing",
            f"data.expectations: column {name!r} is missing; found: {', '.join(reading.table.column_names[:20])}",
        )
    return read_column(reading.table, str(name), None)


def _numbers(reading: Reading, kwargs: Kwargs) -> NDArray[np.float64]:
    """The column's values that are there, as numbers."""
    column = _column(reading, kwargs["column"])
    if column.cells.dtype == object:
        raise ValueError(f"column {column.name!r} does not hold numbers")
    values = column.cells.astype(np.float64)
    return values[np.isfinite(values)]


def _there(column: ReadColumn) -> Mask:
    return ~absent(column.cells)


def _same_kind(column: ReadColumn, wanted: Any) -> list[Any]:
    """Values of an argument as the column holds its own: numbers rounded to 32 bits, or text."""
    if not isinstance(wanted, list):
        raise TypeError("value_set must be a list")
    if column.cells.dtype == object:
        return [_text(value) for value in wanted]
    return [float(np.float32(value)) for value in wanted]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _texts(column: ReadColumn) -> list[str]:
    if column.cells.dtype == object:
        return [str(value) for value in column.cells]
    return [_text(float(value)) for value in column.cells]


def _by_value(judge: Callable[[ReadColumn, Kwargs], Mask], *, of_all: bool = False) -> Callable[[Reading, Kwargs], Met]:
    """An expectation of each value: a share of at least `mostly` must meet it; missing values are not asked unless `of_all`."""

    def met(reading: Reading, kwargs: Kwargs) -> Met:
        column = _column(reading, kwargs["column"])
        asked = np.ones(len(column.cells), dtype=bool) if of_all else _there(column)
        wrong = np.flatnonzero(asked & ~judge(column, kwargs))
        return _mostly(wrong, int(asked.sum()), kwargs)

    return met


def _mostly(wrong: NDArray[np.int64], asked: int, kwargs: Kwargs) -> Met:
    mostly = float(kwargs.get("mostly", 1.0))
    success = asked == 0 or (asked - len(wrong)) / asked >= mostly
    return Met(success=success, found=f"not so in {rows_told(wrong)}" if len(wrong) else "")


def _between(values: Any, kwargs: Kwargs, low: str = "min_value", high: str = "max_value") -> Any:
    """Whether values lie within the bounds that are given."""
    least, most = kwargs.get(low), kwargs.get(high)
    inside = np.ones(np.shape(values), dtype=bool)
    if least is not None:
        inside &= values > least if kwargs.get("strict_min") else values >= least
    if most is not None:
        inside &= values < most if kwargs.get("strict_max") else values <= most
    return inside


def _values_between(column: ReadColumn, kwargs: Kwargs) -> Mask:
    if column.cells.dtype == object:
        raise ValueError(f"column {column.name!r} does not hold numbers")
    rounded = {
        name: float(np.float32(value)) if name.endswith("value") and value is not None else value
        for name, value in kwargs.items()
    }
    return np.asarray(_between(column.cells.astype(np.float64), rounded))


def _in_set(column: ReadColumn, kwargs: Kwargs) -> Mask:
    return np.isin(column.cells, np.array(_same_kind(column, kwargs["value_set"]), dtype=column.cells.dtype))


def _not_in_set(column: ReadColumn, kwargs: Kwargs) -> Mask:
    return ~_in_set(column, kwargs)


def _not_null(column: ReadColumn, _kwargs: Kwargs) -> Mask:
    return _there(column)


def _null(column: ReadColumn, _kwargs: Kwargs) -> Mask:
    return ~_there(column)


def _unique(column: ReadColumn, _kwargs: Kwargs) -> Mask:
    _, places, counts = np.unique(column.cells, return_inverse=True, return_counts=True)
    return np.asarray(counts[places] == 1)


def _matches(column: ReadColumn, kwargs: Kwargs) -> Mask:
    pattern = re.compile(str(kwargs["regex"]))
    return np.array([bool(pattern.search(text)) for text in _texts(column)], dtype=bool)


def _does_not_match(column: ReadColumn, kwargs: Kwargs) -> Mask:
    return ~_matches(column, kwargs)


def _lengths(column: ReadColumn) -> NDArray[np.int64]:
    return np.array([len(text) for text in _texts(column)], dtype=np.int64)


def _length_between(column: ReadColumn, kwargs: Kwargs) -> Mask:
    return np.asarray(_between(_lengths(column), kwargs))


def _length_is(column: ReadColumn, kwargs: Kwargs) -> Mask:
    return np.asarray(_lengths(column) == int(kwargs["value"]))


def _of_column(measure: Callable[[Reading, Kwargs], float]) -> Callable[[Reading, Kwargs], Met]:
    """An expectation of one number that is measured of a column or the table."""

    def met(reading: Reading, kwargs: Kwargs) -> Met:
        found = measure(reading, kwargs)
        return Met(success=bool(np.isfinite(found)) and bool(_between(found, kwargs)), found=f"found {found:.6g}")

    return met


def _measured(measure: Callable[[NDArray[np.float64]], Any]) -> Callable[[Reading, Kwargs], Met]:
    def value(reading: Reading, kwargs: Kwargs) -> float:
        numbers = _numbers(reading, kwargs)
        return float(measure(numbers)) if numbers.size else float("nan")

    return _of_column(value)


def _distinct(reading: Reading, kwargs: Kwargs) -> set[Any]:
    column = _column(reading, kwargs["column"])
    return set(column.cells[_there(column)].tolist())


def _distinct_count(reading: Reading, kwargs: Kwargs) -> float:
    return float(len(_distinct(reading, kwargs)))


def _distinct_share(reading: Reading, kwargs: Kwargs) -> float:
    there = int(_there(_column(reading, kwargs["column"])).sum())
    return len(_distinct(reading, kwargs)) / there if there else float("nan")


def _distinct_compared(holds: Callable[[set[Any], set[Any]], bool]) -> Callable[[Reading, Kwargs], Met]:
    def met(reading: Reading, kwargs: Kwargs) -> Met:
        found = _distinct(reading, kwargs)
        wanted = set(_same_kind(_column(reading, kwargs["column"]), kwargs["value_set"]))
        return Met(
            success=holds(found, wanted), found=f"{len(found - wanted)} other and {len(wanted - found)} absent values"
        )

    return met


def _row_count(reading: Reading, _kwargs: Kwargs) -> float:
    return float(reading.rows)


def _column_count(reading: Reading, _kwargs: Kwargs) -> float:
    return float(len(reading.table.column_names))


def _exactly(measure: Callable[[Reading, Kwargs], float]) -> Callable[[Reading, Kwargs], Met]:
    def met(reading: Reading, kwargs: Kwargs) -> Met:
        found = measure(reading, kwargs)
        return Met(success=found == float(kwargs["value"]), found=f"found {found:.6g}")

    return met


def _column_exists(reading: Reading, kwargs: Kwargs) -> Met:
    names = reading.table.column_names
    place = kwargs.get("column_index")
    there = kwargs["column"] in names and (place is None or names.index(kwargs["column"]) == int(place))
    return Met(success=there, found=f"found columns {', '.join(names[:20])}")


def _columns_are_set(reading: Reading, kwargs: Kwargs) -> Met:
    names, wanted = set(reading.table.column_names), set(kwargs["column_set"])
    exact = kwargs.get("exact_match", True)
    return Met(
        success=names == wanted if exact else wanted <= names, found=f"found columns {', '.join(sorted(names)[:20])}"
    )


def _columns_are_list(reading: Reading, kwargs: Kwargs) -> Met:
    names = list(reading.table.column_names)
    return Met(success=names == list(kwargs["column_list"]), found=f"found columns {', '.join(names[:20])}")


def _pair(reading: Reading, kwargs: Kwargs) -> tuple[ReadColumn, ReadColumn, Mask]:
    """Two columns, and the rows to be asked: by default those where not both are missing."""
    first, second = _column(reading, kwargs["column_A"]), _column(reading, kwargs["column_B"])
    ignored = kwargs.get("ignore_row_if", "both_values_are_missing")
    rules = {
        "both_values_are_missing": _there(first) | _there(second),
        "either_value_is_missing": _there(first) & _there(second),
        "neither": np.ones(len(first.cells), dtype=bool),
    }
    if ignored not in rules:
        raise ValueError(f"ignore_row_if {ignored!r} is unknown; known: {', '.join(rules)}")
    return first, second, rules[ignored]


def _greater(reading: Reading, kwargs: Kwargs) -> Met:
    first, second, asked = _pair(reading, kwargs)
    if object in {first.cells.dtype, second.cells.dtype}:
        raise ValueError("both columns must hold numbers")
    left, right = first.cells.astype(np.float64), second.cells.astype(np.float64)
    good = left >= right if kwargs.get("or_equal") else left > right
    return _mostly(np.flatnonzero(asked & ~good), int(asked.sum()), kwargs)


def _equal(reading: Reading, kwargs: Kwargs) -> Met:
    first, second, asked = _pair(reading, kwargs)
    good = np.asarray(first.cells == second.cells, dtype=bool)
    return _mostly(np.flatnonzero(asked & ~good), int(asked.sum()), kwargs)


_BOUNDS = frozenset({"min_value", "max_value", "strict_min", "strict_max"})
_OF_COLUMN = frozenset({"column"})
_MOSTLY = frozenset({"mostly"})


def _value_kind(
    judge: Callable[[ReadColumn, Kwargs], Mask],
    *required: str,
    of_all: bool = False,
    optional: frozenset[str] = frozenset(),
) -> Kind:
    return Kind(judge=_by_value(judge, of_all=of_all), required=_OF_COLUMN | set(required), optional=_MOSTLY | optional)


def _measure_kind(judge: Callable[[Reading, Kwargs], Met]) -> Kind:
    return Kind(judge=judge, required=_OF_COLUMN, optional=_BOUNDS)


def _set_kind(holds: Callable[[set[Any], set[Any]], bool]) -> Kind:
    return Kind(judge=_distinct_compared(holds), required=_OF_COLUMN | {"value_set"})


_PAIR = frozenset({"column_A", "column_B"})
_PAIR_OPTIONAL = _MOSTLY | {"ignore_row_if"}

KINDS: dict[str, Kind] = {
    "expect_column_values_to_be_between": _value_kind(_values_between, optional=_BOUNDS),
    "expect_column_values_to_be_in_set": _value_kind(_in_set, "value_set"),
    "expect_column_values_to_not_be_in_set": _value_kind(_not_in_set, "value_set"),
    "expect_column_values_to_not_be_null": _value_kind(_not_null, of_all=True),
    "expect_column_values_to_be_null": _value_kind(_null, of_all=True),
    "expect_column_values_to_be_unique": _value_kind(_unique),
    "expect_column_values_to_match_regex": _value_kind(_matches, "regex"),
    "expect_column_values_to_not_match_regex": _value_kind(_does_not_match, "regex"),
    "expect_column_value_lengths_to_be_between": _value_kind(_length_between, optional=_BOUNDS),
    "expect_column_value_lengths_to_equal": _value_kind(_length_is, "value"),
    "expect_column_min_to_be_between": _measure_kind(_measured(np.min)),
    "expect_column_max_to_be_between": _measure_kind(_measured(np.max)),
    "expect_column_mean_to_be_between": _measure_kind(_measured(np.mean)),
    "expect_column_median_to_be_between": _measure_kind(_measured(np.median)),
    "expect_column_sum_to_be_between": _measure_kind(_measured(np.sum)),
    "expect_column_stdev_to_be_between": _measure_kind(_measured(lambda values: np.std(values, ddof=1))),
    "expect_column_unique_value_count_to_be_between": _measure_kind(_of_column(_distinct_count)),
    "expect_column_proportion_of_unique_values_to_be_between": _measure_kind(_of_column(_distinct_share)),
    "expect_column_distinct_values_to_be_in_set": _set_kind(lambda found, wanted: found <= wanted),
    "expect_column_distinct_values_to_contain_set": _set_kind(lambda found, wanted: found >= wanted),
    "expect_column_distinct_values_to_equal_set": _set_kind(lambda found, wanted: found == wanted),
    "expect_column_pair_values_a_to_be_greater_than_b": Kind(
        judge=_greater, required=_PAIR, optional=_PAIR_OPTIONAL | {"or_equal"}
    ),
    "expect_column_pair_values_to_be_equal": Kind(judge=_equal, required=_PAIR, optional=_PAIR_OPTIONAL),
    "expect_column_to_exist": Kind(judge=_column_exists, required=_OF_COLUMN, optional=frozenset({"column_index"})),
    "expect_table_row_count_to_be_between": Kind(judge=_of_column(_row_count), required=frozenset(), optional=_BOUNDS),
    "expect_table_row_count_to_equal": Kind(judge=_exactly(_row_count), required=frozenset({"value"})),
    "expect_table_column_count_to_be_between": Kind(
        judge=_of_column(_column_count), required=frozenset(), optional=_BOUNDS
    ),
    "expect_table_column_count_to_equal": Kind(judge=_exactly(_column_count), required=frozenset({"value"})),
    "expect_table_columns_to_match_set": Kind(
        judge=_columns_are_set, required=frozenset({"column_set"}), optional=frozenset({"exact_match"})
    ),
    "expect_table_columns_to_match_ordered_list": Kind(judge=_columns_are_list, required=frozenset({"column_list"})),
}
"""Type to its arguments and meaning."""
