"""The target column as what is learned: class indices or numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refit.api.dataspec import Column, ColumnType, Target
from refit.api.modeldeployment import Task
from refit_trainer.columns import ReadColumn

NEGATIVE, POSITIVE = "0", "1"
"""The classes where `positiveWhen` divides the rows in two."""
CLASS_LIMIT = 100
CLASS_NAME_LIMIT = 64
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What is to be learned, one per row that has it: indices into `classes`, or numbers."""

    learned: NDArray[Any]
    classes: tuple[str, ...]


def answers(column: ReadColumn, target: Target, task: Task) -> Answers:
    """The answers of the rows that have one; the column must have passed `target_problem`."""
    kept = column.cells[~column.missing()]
    if task is Task.REGRESSION:
        return Answers(learned=kept.astype(np.float64), classes=())
    if target.positive_when is not None:
        return Answers(learned=_positive(kept, target.positive_when).astype(np.int64), classes=(NEGATIVE, POSITIVE))
    distinct, indices = np.unique(kept, return_inverse=True)
    return Answers(learned=indices.astype(np.int64), classes=tuple(_named(value) for value in distinct))


def target_problem(column: ReadColumn, target: Target, task: Task, *, folds: int) -> str | None:
    """What makes the column unfit as a target, and what to do; None if it is fit."""
    name = column.name
    kept = column.cells[~column.missing()]
    if not kept.size:
        return f"the target {name!r} has no value in any row"
    if task is Task.REGRESSION and column.type is not ColumnType.NUMBER:
        return f"the target {name!r} holds text; Regression needs numbers"
    if target.positive_when is not None:
        problem = _comparison_problem(column, target.positive_when)
        if problem is not None:
            return problem
    if task is Task.REGRESSION:
        return f"the target {name!r} is the same number in every row" if np.ptp(kept.astype(np.float64)) == 0 else None
    found = answers(column, target, task)
    counts = np.bincount(found.learned, minlength=len(found.classes))
    if len(found.classes) > CLASS_LIMIT:
        return (
            f"the target {name!r} has {len(found.classes)} classes, the limit is {CLASS_LIMIT}; is this a Regression?"
        )
    if (counts > 0).sum() == 1:
        when = f" with positiveWhen {target.positive_when!r}" if target.positive_when else ""
        return f"the target {name!r} is of the same class in every row{when}"
    if max(map(len, found.classes)) > CLASS_NAME_LIMIT:
        return f"the target {name!r} has a class of more than {CLASS_NAME_LIMIT} characters"
    smallest = int(counts.argmin())
    needed = 2 * folds
    if counts[smallest] < needed:
        return (
            f"class {found.classes[smallest]!r} of the target {name!r} has {counts[smallest]} rows; "
            f"{folds} folds and a held-out part need {needed}"
        )
    return None


def example(target: Target, name: str, declared: Column | None, seen: ReadColumn | None) -> str:
    """A value of the target column on the side of `positiveWhen` that a class stands for: the most frequent one that was
    seen, else one that the column's declaration allows. A label tells the class only."""
    condition = target.positive_when or ""
    wanted = name == POSITIVE
    if seen is not None and not _comparison_problem(seen, condition):
        kept = seen.cells[~seen.missing()]
        fitting = kept[_positive(kept, condition) == wanted]
        if fitting.size:
            values, counts = np.unique(fitting, return_counts=True)
            return _named(values[counts.argmax()])
    sign, operand = _parts(condition)
    number = _number(operand)
    allowed: list[str] = list(declared.categories) if declared is not None else []
    if number is not None and (declared is None or declared.type is not ColumnType.CATEGORY):
        bounds = [float(bound) for bound in (declared.min, declared.max) if bound is not None] if declared else []
        for value in (number, number - 1, number + 1, *bounds):
            within = not bounds or min(bounds) <= value <= max(bounds)
            if within and bool(_COMPARISONS[sign](value, number)) == wanted:
                return _named(value)
    for word in (operand, *allowed, f"not {operand}"):
        if sign in {"==", "!="} and bool(_COMPARISONS[sign](word, operand)) == wanted:
            return word
    return operand


def _comparison_problem(column: ReadColumn, condition: str) -> str | None:
    sign, operand = _parts(condition)
    if column.type is ColumnType.NUMBER:
        if _number(operand) is None:
            return f"positiveWhen {condition!r}: {column.name!r} holds numbers, {operand!r} is none"
    elif sign not in {"==", "!="}:
        return f"positiveWhen {condition!r}: {column.name!r} holds text; use == or !="
    return None


def _positive(values: NDArray[Any], condition: str) -> NDArray[np.bool_]:
    sign, operand = _parts(condition)
    if values.dtype == object:
        return np.asarray(_COMPARISONS[sign](values, operand), dtype=bool)
    # The operand is rounded as the values were.
    return np.asarray(_COMPARISONS[sign](values, np.float64(np.float32(operand))), dtype=bool)


def _parts(condition: str) -> tuple[str, str]:
    sign = condition[:2] if condition[:2] in _COMPARISONS else condition[:1]
    return sign, condition[len(sign) :].strip()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _named(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() else repr(float(np.float32(value)))
