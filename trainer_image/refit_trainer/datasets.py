"""From checked columns to rows that can be learned from: cleaned, with typed features, divided once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refit.api.dataspec import ColumnType, DataSpec, DuplicatePolicy, MissingStrategy, OutlierMethod
from refit.api.modeldeployment import ModelDeploymentSpec, Task
from refit_trainer.checks import MINIMUM_ROWS, repeats
from refit_trainer.columns import Reading
from refit_trainer.errors import RefusedError
from refit_trainer.expressions import Tree, parse
from refit_trainer.targets import answers

IQR_REACH = 1.5


@dataclass(frozen=True, kw_only=True)
class Input:
    """One raw feature column."""

    name: str
    type: ColumnType
    nullable: bool


@dataclass(frozen=True)
class Rows:
    """Raw feature columns (float32 with NaN, text with "") and their answers."""

    frame: pd.DataFrame
    answers: NDArray[Any]

    def __len__(self) -> int:
        return len(self.frame)

    def at(self, chosen: NDArray[Any]) -> Rows:
        """The chosen rows, by index or by mask."""
        return Rows(self.frame.iloc[chosen] if chosen.dtype != bool else self.frame[chosen], self.answers[chosen])


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """All that training reads. `derived` are the computed features, by name."""

    task: Task
    target: str
    inputs: tuple[Input, ...]
    derived: dict[str, Tree]
    classes: tuple[str, ...]
    training: Rows
    held_out: Rows
    split_digest: str
    outliers: OutlierMethod

    @property
    def numbers(self) -> list[str]:
        return [column.name for column in self.inputs if column.type is ColumnType.NUMBER]

    @property
    def categories(self) -> list[str]:
        return [column.name for column in self.inputs if column.type is ColumnType.CATEGORY]

    @property
    def rows(self) -> int:
        return len(self.training) + len(self.held_out)


def prepare(reading: Reading, spec: ModelDeploymentSpec) -> Dataset:
    """The rows to learn from and those held out; raises RefusedError where too few are left."""
    data = spec.data
    inputs = tuple(
        Input(name=name, type=reading.columns[name].type, nullable=_nullable(reading, name, data))
        for name in reading.features
    )
    derived = _derived(inputs, data)
    kept = ~reading.columns[reading.target].missing()
    if data.cleaning.duplicates is DuplicatePolicy.DROP:
        kept &= ~repeats(reading)
    if data.cleaning.missing.strategy is MissingStrategy.DROP_ROWS:
        for name in reading.features:
            kept &= ~reading.columns[name].missing()
    if kept.sum() < MINIMUM_ROWS:
        raise RefusedError(
            "DatasetTooSmall",
            f"{int(kept.sum())} of {reading.rows} rows are left after cleaning, need at least {MINIMUM_ROWS}",
        )
    with_answer = ~reading.columns[reading.target].missing()
    found = answers(reading.columns[reading.target], data.target, spec.task)
    rows = Rows(_frame(reading, inputs)[kept].reset_index(drop=True), found.learned[kept[with_answer]])
    _enough_of_each(rows, found.classes, spec)
    held_out = divide(
        rows.answers, data.split.test_percent, data.split.seed, stratified=spec.task is Task.CLASSIFICATION
    )
    numbers = np.flatnonzero(kept)
    return Dataset(
        task=spec.task,
        target=reading.target,
        inputs=inputs,
        derived=derived,
        classes=found.classes,
        training=rows.at(~held_out),
        held_out=rows.at(held_out),
        split_digest=hashlib.sha256(np.ascontiguousarray(numbers[held_out], dtype="<i8").tobytes()).hexdigest(),
        outliers=data.cleaning.outliers.method,
    )


def divide(found: NDArray[Any], test_percent: int, seed: int, *, stratified: bool) -> NDArray[np.bool_]:
    """Which rows are held out: the same for the same answers, share and seed."""
    random = np.random.default_rng(seed)
    held_out = np.zeros(len(found), dtype=bool)
    groups = [np.flatnonzero(found == label) for label in np.unique(found)] if stratified else [np.arange(len(found))]
    for group in groups:
        share = max(1, round(len(group) * test_percent / 100))
        held_out[random.permutation(group)[:share]] = True
    return held_out


def without_outliers(rows: Rows, numbers: list[str], method: OutlierMethod) -> Rows:
    """Rows to fit on; the quartiles are those of these very rows, so that no held-out row has a say."""
    if method is OutlierMethod.NONE or not numbers:
        return rows
    values = rows.frame[numbers].to_numpy(dtype=np.float64)
    low, high = np.nanquantile(values, [0.25, 0.75], axis=0)
    reach = IQR_REACH * (high - low)
    with np.errstate(invalid="ignore"):
        far = (values < low - reach) | (values > high + reach)
    inside = ~(far & (high > low)).any(axis=1)  # a column that hardly varies says nothing of outliers
    return rows.at(inside)


def _frame(reading: Reading, inputs: tuple[Input, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            column.name: reading.columns[column.name].cells.astype(np.float32)
            if column.type is ColumnType.NUMBER
            else reading.columns[column.name].cells
            for column in inputs
        }
    )


def _nullable(reading: Reading, name: str, data: DataSpec) -> bool:
    if data.cleaning.missing.strategy is MissingStrategy.DROP_ROWS:
        return False  # nothing was learned of rows with missing values, so none is answered
    declared = reading.columns[name].declared
    return declared is None or declared.nullable


def _derived(inputs: tuple[Input, ...], data: DataSpec) -> dict[str, Tree]:
    numbers = frozenset(column.name for column in inputs if column.type is ColumnType.NUMBER)
    taken = {column.name for column in inputs} | {data.target.column}
    trees: dict[str, Tree] = {}
    for place, feature in enumerate(data.features):
        if feature.name in taken:
            raise RefusedError(
                "ExpressionInvalid", f"data.features[{place}].name: {feature.name!r} is a column already"
            )
        trees[feature.name] = parse(feature.expression, numbers, f"data.features[{place}].expression")
    return trees


def _enough_of_each(rows: Rows, classes: tuple[str, ...], spec: ModelDeploymentSpec) -> None:
    if not classes:
        if np.ptp(rows.answers) == 0:
            raise RefusedError("TargetInvalid", f"after cleaning {spec.data.target.column!r} is the same in every row")
        return
    counts = np.bincount(rows.answers, minlength=len(classes))
    smallest = int(counts.argmin())
    needed = 2 * spec.training.folds
    if counts[smallest] < needed:
        raise RefusedError(
            "TargetInvalid",
            f"after cleaning class {classes[smallest]!r} has {counts[smallest]} rows; "
            f"{spec.training.folds} folds and a held-out part need {needed}",
        )
