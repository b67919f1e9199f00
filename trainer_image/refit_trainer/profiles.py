"""What training data looked like, without any row of it: the reference that later requests are compared with.

Inputs are profiled on all rows, learned from or held out: both are the same population. Answers are profiled on
held-out rows, where the model is no better than it will be in use.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refit.api.dataspec import Column, ColumnType
from refit.api.metrics import Metric
from refit.api.profile import (
    MAX_KNOTS,
    SEGMENT_KNOTS,
    SEGMENT_ROWS,
    SEGMENT_WORDS,
    SEGMENTS,
    AnswerProfile,
    CategoryProfile,
    ColumnProfile,
    ConfidenceBin,
    ErrorBin,
    NumberProfile,
    Profile,
    SegmentProfile,
    SegmentsProfile,
)
from refit.api.signature import Golden
from refit_trainer.datasets import Dataset, Input
from refit_trainer.exports import TOLERANCE

GOLDEN_QUANTILES = (0.5, 0.25, 0.75, 0.4, 0.6)
BINS = 20
BIN_ROWS = 10
"""A table of how far answers can be trusted has at most so many bins, of at least so many held-out rows each."""

Numbers = NDArray[Any]


def profile(
    dataset: Dataset,
    answers: Numbers,
    metrics: dict[Metric, float],
    declared: Iterable[Column],
    segment_column: str | None = None,
) -> Profile:
    """The profile; `answers` are the model's of the held-out rows, `declared` is data.columns, and `segment_column` the
    input by which it is told once more."""
    frame = pd.concat([dataset.training.frame, dataset.held_out.frame], ignore_index=True)
    by_name = {column.name: column for column in declared}
    return Profile(
        task=dataset.task,
        rows=len(frame),
        equal_pairs=_equal_pairs(frame),
        columns=tuple(_column(column, frame[column.name], by_name.get(column.name)) for column in dataset.inputs),
        target=dataset.target,
        classes=dataset.classes,
        answers=_answers(dataset, answers, metrics),
        segments=segments(frame, dataset.inputs, segment_column),
    )


def golden_rows(dataset: Dataset) -> pd.DataFrame:
    """Rows to prove a roll-out with, made up from quantiles and frequent categories; the last leaves out what may be left out."""
    frame = dataset.training.frame
    columns: dict[str, Any] = {}
    for column in dataset.inputs:
        values = frame[column.name]
        if column.type is ColumnType.NUMBER:
            found = np.nanquantile(values.to_numpy(dtype=np.float64), GOLDEN_QUANTILES).astype(np.float32)
            columns[column.name] = np.append(found, np.float32(np.nan) if column.nullable else found[0])
        else:
            frequent = list(values[values != ""].value_counts().index)
            chosen = [str(frequent[place % len(frequent)]) for place in range(len(GOLDEN_QUANTILES))]
            columns[column.name] = np.array([*chosen, "" if column.nullable else chosen[0]], dtype=object)
    return pd.DataFrame(columns)


def golden(rows: pd.DataFrame, answers: NDArray[np.float64]) -> Golden:
    """A request and the fitted model's answers to it; null stands for a missing value."""
    told: list[dict[str, float | str | None]] = [
        {str(name): _told(value) for name, value in row.items()} for row in rows.to_dict(orient="records")
    ]
    scale = 1.0 if answers.shape[1] > 1 else max(1.0, float(np.abs(answers).max()))
    return Golden(
        rows=tuple(told),
        answers=tuple(tuple(float(value) for value in row) for row in answers),
        tolerance=TOLERANCE * scale,
    )


def _told(value: Any) -> float | str | None:
    if isinstance(value, str):
        return value or None
    return None if np.isnan(value) else float(value)


def _column(column: Input, values: pd.Series[Any], declared: Column | None) -> ColumnProfile:
    number = column.type is ColumnType.NUMBER
    return ColumnProfile(
        name=column.name,
        type=column.type,
        nullable=column.nullable,
        minimum=float(declared.min) if declared is not None and declared.min is not None else None,
        maximum=float(declared.max) if declared is not None and declared.max is not None else None,
        categories=declared.categories if declared is not None else (),
        numbers=numbers(values.to_numpy(dtype=np.float64)) if number else None,
        texts=None if number else _texts(values),
    )


def segments(frame: pd.DataFrame, inputs: tuple[Input, ...], segment_column: str | None) -> SegmentsProfile | None:
    """The other inputs by the most frequent values of one; None where no input is named so."""
    named = next((column for column in inputs if column.name == segment_column), None)
    if named is None:
        return None
    values = frame[named.name] if named.type is ColumnType.CATEGORY else frame[named.name].map(_word)
    rows = sorted(values.value_counts().items(), key=lambda found: (-found[1], found[0]))
    others = [
        column
        for column in inputs
        if column is not named and (column.type is ColumnType.NUMBER or _words(frame[column.name]) <= SEGMENT_WORDS)
    ]
    return SegmentsProfile(
        column=named.name,
        segments=tuple(
            _segment(str(value), frame[values == value], others)
            for value, count in rows[:SEGMENTS]
            if count >= SEGMENT_ROWS
        ),
    )


def _segment(value: str, rows: pd.DataFrame, columns: list[Input]) -> SegmentProfile:
    return SegmentProfile(
        value=value,
        rows=len(rows),
        numbers={
            column.name: numbers(rows[column.name].to_numpy(dtype=np.float64), SEGMENT_KNOTS)
            for column in columns
            if column.type is ColumnType.NUMBER
        },
        texts={column.name: _texts(rows[column.name]) for column in columns if column.type is ColumnType.CATEGORY},
    )


def _words(values: pd.Series[Any]) -> int:
    return int(values[values != ""].nunique())


def _word(value: float) -> str:
    """A number as the monitor spells it when it names a segment."""
    if np.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(np.float32(value))  # noqa: PLR2004 - digits


def numbers(values: Numbers, most_knots: int = MAX_KNOTS) -> NumberProfile:
    """The profile of numbers, NaN where missing."""
    there = np.sort(values[np.isfinite(values)].astype(np.float32))
    if not there.size:
        return NumberProfile(count=0, missing=int(values.size))
    distinct, first = np.unique(there, return_index=True)
    upto = np.append(first[1:], there.size)
    chosen = np.arange(distinct.size)
    if distinct.size > most_knots:
        # By rank, both ends included: the value at each rank, once.
        ranks = np.linspace(0, there.size - 1, most_knots).round().astype(np.int64)
        chosen = np.unique(np.searchsorted(distinct, there[ranks]))
    wide = there.astype(np.float64)
    return NumberProfile(
        count=int(there.size),
        missing=int(values.size - there.size),
        distinct=int(distinct.size),
        zeros=int((there == 0).sum()),
        whole=bool((there == np.floor(there)).all()),
        mean=short(wide.mean()),
        deviation=short(wide.std()),
        knots=tuple(short(value) for value in distinct[chosen]),
        upto=tuple(upto[chosen].tolist()),
        at=() if chosen.size == distinct.size else tuple((upto - first)[chosen].tolist()),
    )


def short(value: Any) -> float:
    """The number of fewest digits that is the same one in 32 bits."""
    return float(str(np.float32(value)))


def _texts(values: pd.Series[Any]) -> CategoryProfile:
    counts = values[values != ""].value_counts()
    return CategoryProfile(
        count=int(counts.sum()),
        missing=int((values == "").sum()),
        counts={str(value): int(count) for value, count in counts.items()},
    )


def _equal_pairs(frame: pd.DataFrame) -> int:
    sizes = frame.groupby(list(frame.columns), dropna=False, sort=False, observed=True).size().to_numpy()
    return int((sizes * (sizes - 1) // 2).sum())


def _answers(dataset: Dataset, answers: Numbers, metrics: dict[Metric, float]) -> AnswerProfile:
    truth = dataset.held_out.answers
    told = {metric.value: short(value) for metric, value in metrics.items() if np.isfinite(np.float32(value))}
    if dataset.classes:
        return classified(answers, truth, dataset.classes, told)
    return AnswerProfile(
        rows=len(answers), metrics=told, predictions=numbers(answers[:, 0]), errors=_errors(answers[:, 0], truth)
    )


def classified(answers: Numbers, truth: Numbers, classes: tuple[str, ...], metrics: dict[str, float]) -> AnswerProfile:
    """The profile of probabilities per class, and of how often each is right; `truth` holds the classes' places."""
    counts = np.bincount(answers.argmax(axis=1), minlength=len(classes))
    return AnswerProfile(
        rows=len(answers),
        metrics=metrics,
        labels=CategoryProfile(
            count=int(counts.sum()), counts={label: int(count) for label, count in zip(classes, counts, strict=True)}
        ),
        probabilities={label: numbers(answers[:, place]) for place, label in enumerate(classes)},
        confidence={label: _confidence(answers[:, place], truth == place) for place, label in enumerate(classes)},
    )


def _confidence(probabilities: Numbers, hits: Numbers) -> tuple[ConfidenceBin, ...]:
    return tuple(
        ConfidenceBin(
            upto=short(probabilities[chosen[-1]]),
            rows=chosen.size,
            mean=short(probabilities[chosen].mean()),
            hits=int(hits[chosen].sum()),
        )
        for chosen in _bins(probabilities)
    )


def _errors(predictions: Numbers, truth: Numbers) -> tuple[ErrorBin, ...]:
    far = np.abs(predictions - truth)
    return tuple(
        ErrorBin(
            upto=short(predictions[chosen[-1]]),
            rows=chosen.size,
            absolute=short(far[chosen].mean()),
            squared=short((far[chosen] ** 2).mean()),
        )
        for chosen in _bins(predictions)
    )


def _bins(values: Numbers) -> list[NDArray[np.int64]]:
    """Row numbers in bins about equally full, lowest values first; equal values are never parted."""
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]) > 0, True)) + 1
    wanted = np.linspace(0, values.size, min(BINS, max(1, values.size // BIN_ROWS)) + 1)[1:]
    chosen = np.unique(ends[np.searchsorted(ends, wanted.round())])
    return np.split(order, chosen[:-1])
