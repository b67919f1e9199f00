"""The seven data checks, in the order they are told; a failed one refuses the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refit.api.dataspec import ColumnType, DuplicatePolicy
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.results import CheckOutcome
from refit_trainer.columns import Indices, ReadColumn, Reading
from refit_trainer.targets import target_problem

MINIMUM_ROWS = 20
CATEGORY_LIMIT = 1024
"""Distinct texts of one column that a signature can list; a column with more is rather an identifier."""
INFERRED_CATEGORY_LIMIT = 256
TEXT_LIMIT = 256
FORMULA_STARTS = ("=", "@")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found: what is wrong, with a reason for the refusal, or something worth a warning."""

    problems: tuple[str, ...] = ()
    reason: str = "DataInvalid"
    note: str = ""


def check(reading: Reading, spec: ModelDeploymentSpec) -> tuple[tuple[CheckOutcome, ...], str]:
    """The outcome of every check, and the reason of the first that failed, or "" if all passed."""
    outcomes: list[CheckOutcome] = []
    reason = ""
    for name, found_by in CHECKS.items():
        finding = found_by(reading, spec)
        message = "; ".join(finding.problems) or finding.note
        outcomes.append(CheckOutcome(name=name, passed=not finding.problems, message=shortened(message, 256)))
        reason = reason or (finding.reason if finding.problems else "")
    return tuple(outcomes), reason


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def rows_told(indices: Indices) -> str:
    """How many rows, and the numbers of the first five; row 1 is the first after the header."""
    first = ", ".join(str(index + 1) for index in indices[:5])
    more = ", ..." if len(indices) > 5 else ""  # noqa: PLR2004 - five, as said
    return f"{len(indices)} {'row' if len(indices) == 1 else 'rows'} ({first}{more})"


def _schema(reading: Reading, _spec: ModelDeploymentSpec) -> Finding:
    found = ", ".join(reading.table.column_names[:20]) + (", ..." if len(reading.table.column_names) > 20 else "")  # noqa: PLR2004
    problems = [f"column {name!r} is missing" for name in reading.not_found]
    if problems:
        return Finding(problems=(", ".join(problems) + f"; found: {found}",), reason="ColumnMissing")
    if reading.rows < MINIMUM_ROWS:
        return Finding(problems=(f"{reading.rows} rows, need at least {MINIMUM_ROWS}",), reason="DatasetTooSmall")
    if not reading.features:
        return Finding(problems=(f"no column but the target {reading.target!r} is left to learn from",))
    unused = len(reading.table.column_names) - len(reading.columns)
    return Finding(note=f"{reading.rows} rows, {len(reading.columns)} columns read, {unused} not used")


def _types(reading: Reading, _spec: ModelDeploymentSpec) -> Finding:
    problems = []
    for column in reading.columns.values():
        if column.strange:
            problems.append(
                f"{column.name!r} holds {column.strange}; make it numbers or text, or add it to data.ignore"
            )
        if column.unreadable.size:
            problems.append(
                f"{column.name!r} is a Number but {rows_told(column.unreadable)} hold something else; "
                "mend them or declare type: Category"
            )
        if column.infinite.size:
            problems.append(
                f"{column.name!r} holds infinite or too large numbers (beyond 3.4e38) in {rows_told(column.infinite)}"
            )
        formulas = _formulas(column)
        if formulas.size:
            problems.append(f"{column.name!r} holds spreadsheet formulas in {rows_told(formulas)}; export values")
    return Finding(problems=tuple(problems), reason="WrongType")


def _formulas(column: ReadColumn) -> Indices:
    if column.type is not ColumnType.CATEGORY or column.strange:
        return np.array([], dtype=np.int64)
    distinct = {text for text in set(column.cells.tolist()) if str(text).startswith(FORMULA_STARTS)}
    return np.flatnonzero([text in distinct for text in column.cells]) if distinct else np.array([], dtype=np.int64)


def _ranges(reading: Reading, _spec: ModelDeploymentSpec) -> Finding:
    problems = []
    for column in reading.columns.values():
        if column.declared is None or column.type is not ColumnType.NUMBER:
            continue
        values = column.cells.astype(np.float64, copy=False)
        for bound, said, outside in (
            (column.declared.min, "less than min", np.less),
            (column.declared.max, "more than max", np.greater),
        ):
            # The bound is rounded as the values are: 0.1 must not lie outside of [0.1, 1].
            wrong = (
                np.flatnonzero(outside(values, np.float64(np.float32(bound)))) if bound is not None else np.array([])
            )
            if wrong.size:
                problems.append(f"{column.name!r} is {said} {bound} in {rows_told(wrong)}")
    return Finding(problems=tuple(problems), reason="OutOfRange")


def _nulls(reading: Reading, _spec: ModelDeploymentSpec) -> Finding:
    problems = []
    missing_in = 0
    for column in reading.columns.values():
        if column.strange or column.unreadable.size or column.infinite.size:
            continue
        missing = np.flatnonzero(column.missing())
        if missing.size == reading.rows and reading.rows and column.name != reading.target:
            problems.append(
                f"{column.name!r} has no value in any row; leave it out of data.columns or add it to data.ignore"
            )
        elif missing.size and column.declared is not None and not column.declared.nullable:
            problems.append(f"{column.name!r} is not nullable but has no value in {rows_told(missing)}")
        missing_in += bool(missing.size)
    return Finding(problems=tuple(problems), reason="NullValues", note=f"{missing_in} columns with missing values")


def _duplicates(reading: Reading, spec: ModelDeploymentSpec) -> Finding:
    repeated = int(repeats(reading).sum())
    if not repeated:
        return Finding(note="no repeated rows")
    if spec.data.cleaning.duplicates is DuplicatePolicy.DROP:
        return Finding(note=f"{repeated} repeated rows are dropped")
    return Finding(
        note=f"warning: {repeated} repeated rows may be in training and held-out rows alike; "
        "data.cleaning.duplicates: Drop removes them"
    )


def repeats(reading: Reading) -> np.ndarray:
    """Where a row says in all read columns what an earlier one said."""
    import pandas as pd  # noqa: PLC0415 - half a second, and only data that is read needs it

    return np.asarray(pd.DataFrame({name: column.cells for name, column in reading.columns.items()}).duplicated())


def _categories(reading: Reading, _spec: ModelDeploymentSpec) -> Finding:
    problems = []
    for column in reading.columns.values():
        if column.type is not ColumnType.CATEGORY or column.strange:
            continue
        distinct = set(column.cells.tolist()) - {""}
        if column.declared is not None and column.declared.categories:
            strangers = distinct - set(column.declared.categories)
            if strangers:
                where = np.flatnonzero([value in strangers for value in column.cells])
                problems.append(
                    f"{column.name!r} has {len(strangers)} values that are not in its categories, in {rows_told(where)}"
                )
        long = {text for text in distinct if len(text) > TEXT_LIMIT}
        if long and column.name != reading.target:
            where = np.flatnonzero([value in long for value in column.cells])
            problems.append(
                f"{column.name!r} has texts of more than {TEXT_LIMIT} characters in {rows_told(where)}; "
                "that is no category: add it to data.ignore"
            )
        limit = INFERRED_CATEGORY_LIMIT if column.declared is None else CATEGORY_LIMIT
        if len(distinct) > limit and column.name != reading.target:
            problems.append(
                f"{column.name!r} has {len(distinct)} different texts, the limit is {limit}; "
                "it looks like an identifier: add it to data.ignore"
            )
    return Finding(problems=tuple(problems), reason="UnknownCategory")


def _target(reading: Reading, spec: ModelDeploymentSpec) -> Finding:
    column = reading.columns.get(reading.target)
    if column is None:
        return Finding(problems=(f"column {reading.target!r} is missing",), reason="ColumnMissing")
    if column.strange or column.unreadable.size or column.infinite.size:
        return Finding(problems=(f"{column.name!r} can not be read, see types",), reason="WrongType")
    problem = target_problem(column, spec.data.target, spec.task, folds=spec.training.folds)
    if problem is not None:
        return Finding(problems=(problem,), reason="TargetInvalid")
    dropped = int(column.missing().sum())
    note = f"warning: {dropped} rows without a value of {column.name!r} are left out" if dropped else ""
    return Finding(note=note)


CHECKS: dict[str, Callable[[Reading, ModelDeploymentSpec], Finding]] = {
    "schema": _schema,
    "types": _types,
    "ranges": _ranges,
    "nulls": _nulls,
    "duplicates": _duplicates,
    "categories": _categories,
    "target": _target,
}
"""Check to what finds out; every one runs, so that one refusal tells of all there is to mend."""
