"""The rows of a retraining: the source, the requests whose truth came late, or both as one table.

Requests are put into the columns of the source, so that the same checks, cleaning and expectations meet them. A request
whose label is none of the champion's classes is left out and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from refit.api.modeldeployment import ModelDeploymentSpec, Task
from refit.api.remediation import RowsRule
from refit_trainer.checks import MINIMUM_ROWS
from refit_trainer.columns import Reading, read_column
from refit_trainer.datasets import Late
from refit_trainer.errors import RefusedError
from refit_trainer.lineages import shares
from refit_trainer.targets import example
from refit_trainer.windows import INPUT, TRUTH


@dataclass(frozen=True, kw_only=True)
class Known:
    """The requests whose truth is known: their rows, the truth as a class's name or a number, and how many labels were
    of no class."""

    table: pa.Table
    truth: NDArray[Any]
    shares: NDArray[np.float64]
    unknown: int = 0

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def micros(self) -> NDArray[np.int64]:
        """When each was answered."""
        return np.asarray(self.table.column("time").cast(pa.int64()).to_numpy(), dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The rows to learn from. `late` tells which of them are logged requests; None where none are."""

    table: pa.Table
    late: Late | None = None


def known(labelled: pa.Table, classes: tuple[str, ...], seed: int) -> Known:
    """The labelled requests that can be learned from; `classes` are the champion's, empty for a Regression."""
    words = labelled.column(TRUTH).to_pylist()
    if classes:
        truth: NDArray[Any] = np.array([_class(word, classes) for word in words], dtype=object)
        there = truth != ""
    else:
        truth = np.array([_number(word) for word in words], dtype=np.float64)
        there = np.isfinite(truth)
    table = labelled.filter(pa.array(there, pa.bool_()))
    return Known(
        table=table,
        truth=truth[there],
        shares=shares(table.column("id").to_pylist(), table.column("row").to_pylist(), seed),
        unknown=int((~there).sum()),
    )


def gathered(
    rule: RowsRule, source: pa.Table | None, found: Known | None, spec: ModelDeploymentSpec, inputs: tuple[str, ...]
) -> Evidence:
    """The rows that the rule names; `inputs` are the champion's, for data without a source or declared columns."""
    if rule is RowsRule.SOURCE_REFRESHED or found is None:
        if source is None:
            raise RefusedError("DatasetTooSmall", "there is neither a source nor a window to learn from")
        return Evidence(table=source)
    if rule is RowsRule.RECENT_ONLY:
        if len(found) < MINIMUM_ROWS:
            raise RefusedError(
                "DatasetTooSmall",
                f"the window holds {len(found)} labelled requests, rows: RecentOnly needs at least {MINIMUM_ROWS}; "
                "send labels, take a longer window, or set spec.remediation.retraining.rows: Append",
            )
        source = None
    names = _learned(source, spec, inputs)
    _none_masked(names, spec)
    late = _in_columns_of(source, found, names, spec)
    first = source.num_rows if source is not None else 0
    table = _joined(source, late) if source is not None else late
    return Evidence(table=table, late=Late(first=first, shares=found.shares))


def digest_of(reading: Reading) -> str:
    """The digest of the rows as they are read, whatever file or window they came from."""
    found = hashlib.sha256()
    for name in sorted(reading.columns):
        cells = reading.columns[name].cells
        found.update(f"{name}\0{cells.dtype.kind}\0{len(cells)}\0".encode())
        if cells.dtype == object:
            for text in cells.tolist():
                raw = str(text).encode()
                found.update(len(raw).to_bytes(4, "little") + raw)
        else:
            plain = cells.astype("<f8") + 0.0  # -0 is 0
            plain[np.isnan(plain)] = np.nan
            found.update(plain.tobytes())
    return found.hexdigest()


def repeated(reading: Reading, first: int) -> int:
    """How many rows from `first` on say in all read columns what one before `first` says."""
    import pandas as pd  # noqa: PLC0415 - half a second, and only data that is read needs it

    rows = pd.DataFrame({name: column.cells for name, column in reading.columns.items()})
    found = pd.util.hash_pandas_object(rows, index=False).to_numpy()
    return int(np.isin(found[first:], found[:first]).sum())


def _learned(source: pa.Table | None, spec: ModelDeploymentSpec, inputs: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the columns that are learned from, without the target."""
    names = [column.name for column in spec.data.columns] or (list(inputs) if source is None else source.column_names)
    return tuple(name for name in names if name != spec.data.target.column and name not in spec.data.ignore)


def _none_masked(names: tuple[str, ...], spec: ModelDeploymentSpec) -> None:
    masked = sorted(set(names) & set(spec.serving.request_log.mask))
    if masked:
        raise RefusedError(
            "ColumnMasked",
            f"spec.serving.requestLog.mask hides {', '.join(map(repr, masked))} from the log, so requests can not be "
            "learned from; unmask it, add it to data.ignore, or set spec.remediation.retraining.rows: SourceRefreshed",
        )


def _in_columns_of(
    source: pa.Table | None, found: Known, names: tuple[str, ...], spec: ModelDeploymentSpec
) -> pa.Table:
    """The requests as rows of the source, or, without one, with the columns that are learned from."""
    target = spec.data.target.column
    columns: dict[str, pa.Array] = {}
    for name in source.column_names if source is not None else (*names, target, *spec.data.ignore):
        if name == target:
            columns[name] = pa.array(_raw(source, found, spec))
        elif name not in names:
            columns[name] = pa.nulls(len(found), source.schema.field(name).type if source is not None else pa.string())
        elif INPUT + name in found.table.column_names:
            columns[name] = found.table.column(INPUT + name).combine_chunks()
        elif len(found):
            raise RefusedError(
                "ColumnMissing", f"the logged requests do not hold {name!r}; they can not be learned from"
            )
        else:
            columns[name] = pa.nulls(0)
    return pa.table(columns)


def _raw(source: pa.Table | None, found: Known, spec: ModelDeploymentSpec) -> list[Any]:
    """The truth as the target column would tell it: where a condition divides the rows, as a value of that side."""
    target = spec.data.target
    if spec.task is Task.REGRESSION or target.positive_when is None:
        return list(found.truth.tolist())
    declared = next((column for column in spec.data.columns if column.name == target.column), None)
    seen = None
    if source is not None and target.column in source.column_names:
        seen = read_column(source, target.column, declared)
    values: Mapping[str, str] = {name: example(target, name, declared, seen) for name in set(found.truth.tolist())}
    return [values[name] for name in found.truth.tolist()]


def _joined(source: pa.Table, late: pa.Table) -> pa.Table:
    """Both, one after the other; a column of two kinds becomes text, which is read as what it then holds."""
    columns = {}
    for name in source.column_names:
        upper, lower = source.column(name), late.column(name)
        if pa.types.is_dictionary(upper.type):
            upper = pc.cast(upper, upper.type.value_type)
        if upper.type != lower.type:
            kind = pa.float64() if _is_number(upper.type) and _is_number(lower.type) else pa.string()
            upper, lower = _as(upper, kind), _as(lower, kind)
        columns[name] = pa.chunked_array([*_chunks(upper), *_chunks(lower)], upper.type)
    return pa.table(columns)


def _as(column: Any, kind: pa.DataType) -> Any:
    if pa.types.is_string(kind) and pa.types.is_floating(column.type):
        return pc.replace_substring_regex(pc.cast(column, kind), r"\.0$", "")
    return pc.cast(column, kind, safe=False) if pa.types.is_floating(kind) else pc.cast(column, kind)


def _chunks(column: Any) -> list[pa.Array]:
    return list(column.chunks) if isinstance(column, pa.ChunkedArray) else [column]


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _class(word: str | None, classes: tuple[str, ...]) -> str:
    """The class that a label names; a label may come as the number that a table made of it: 1.0 for 1."""
    text = (word or "").strip()
    if text in classes:
        return text
    number = _number(text)
    whole = str(int(number)) if np.isfinite(number) and number.is_integer() else ""
    return whole if whole in classes else ""


def _number(word: str | None) -> float:
    try:
        return float(word or "nan")
    except ValueError:
        return float("nan")
