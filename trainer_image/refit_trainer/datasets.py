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
class Late:
    """The rows from `first` on are logged requests; `shares` are their numbers in [0, 1), by which they are divided."""

    first: int
    shares: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """All that training reads. `derived` are the computed features, by name; `held_numbers` are the places of the
    rows held out, those below `source_rows` being the source's, and `source_split` is a digest of these."""

    task: Task
    target: str
    inputs: tuple[Input, ...]
    derived: dict[str, Tree]
    classes: tuple[str, ...]
    training: Rows
    held_out: Rows
    split_digest: str
    held_numbers: NDArray[np.int64]
    source_rows: int
    source_split: str
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


def prepare(reading: Reading, spec: ModelDeploymentSpec, late: Late | None = None) -> Dataset:
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
    numbers = np.flatnonzero(kept)
    held_out = _divided(rows.answers, numbers, spec, late)
    held = numbers[held_out]
    return Dataset(
        task=spec.task,
        target=reading.target,
        inputs=inputs,
        derived=derived,
        classes=found.classes,
        training=rows.at(~held_out),
        held_out=rows.at(held_out),
        split_digest=_digest(held),
        held_numbers=held,
        source_rows=reading.rows if late is None else late.first,
        source_split=_digest(held if late is None else held[held < late.first]),
        outliers=data.cleaning.outliers.method,
    )


def _divided(
    found: NDArray[Any], numbers: NDArray[np.int64], spec: ModelDeploymentSpec, late: Late | None
) -> NDArray[np.bool_]:
    """Which rows are held out. Those of the source are divided as if they were alone, as they were for the champion;
    a request by its id, and of a class that would have none the request of the least number."""
    split = spec.data.split
    stratified = spec.task is Task.CLASSIFICATION
    if late is None:
        return divide(found, split.test_percent, split.seed, stratified=stratified)
    of_source = numbers < late.first
    held_out = np.zeros(len(found), dtype=bool)
    if of_source.any():
        held_out[of_source] = divide(found[of_source], split.test_percent, split.seed, stratified=stratified)
    places = np.flatnonzero(~of_source)
    shares = late.shares[numbers[places] - late.first]
    held_out[places] = shares < split.test_percent / 100
    groups = [found == label for label in np.unique(found)] if stratified else [np.ones(len(found), dtype=bool)]
    for group in groups:
        if not held_out[group].any():
            of_group = np.flatnonzero(group & ~of_source)
            held_out[of_group[late.shares[numbers[of_group] - late.first].argmin()]] = True
    return held_out


def _digest(numbers: NDArray[np.int64]) -> str:
    return hashlib.sha256(np.ascontiguousarray(numbers, dtype="<i8").tobytes()).hexdigest()


def named(dataset: Dataset, rows: Rows) -> NDArray[Any]:
    """The answers as class names, or as the numbers they are."""
    return np.array(dataset.classes, dtype=object)[rows.answers] if dataset.classes else rows.answers


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
