"""What training data looked like, without any row of it: the reference that later requests are compared with.

Per number column counts, moments and 1,001 quantiles; per category column how often each value was there.
Answers are profiled on held-out rows, where the model is no better than it will be in use.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refit.api.dataspec import ColumnType
from refit.api.signature import Golden
from refit_trainer.datasets import Dataset
from refit_trainer.exports import TOLERANCE

FORMAT = 1
QUANTILES = 1001
GOLDEN_QUANTILES = (0.5, 0.25, 0.75, 0.4, 0.6)


def profile(dataset: Dataset, answers: NDArray[np.float64]) -> dict[str, Any]:
    """The profile as plain JSON data; `answers` are the model's of the held-out rows."""
    frame = dataset.training.frame
    columns = [
        {"name": column.name, "type": column.type.value}
        | (
            _number(frame[column.name].to_numpy(dtype=np.float64))
            if column.type is ColumnType.NUMBER
            else _category(frame[column.name])
        )
        for column in dataset.inputs
    ]
    return {
        "format": FORMAT,
        "task": dataset.task.value,
        "rows": len(dataset.training),
        "columns": columns,
        "target": {"name": dataset.target} | _answers(dataset.training.answers, dataset.classes),
        "predictions": {"rows": len(answers)}
        | (
            {
                **_answers(answers.argmax(axis=1), dataset.classes),
                "probabilities": {label: _number(answers[:, place]) for place, label in enumerate(dataset.classes)},
            }
            if dataset.classes
            else _answers(answers[:, 0], ())
        ),
    }


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


def _number(values: NDArray[np.float64]) -> dict[str, Any]:
    there = values[np.isfinite(values)]
    if not there.size:
        return {"count": 0, "missing": int(values.size)}
    return {
        "count": int(there.size),
        "missing": int(values.size - there.size),
        "mean": float(there.mean()),
        "deviation": float(there.std()),
        "minimum": float(there.min()),
        "maximum": float(there.max()),
        "quantiles": [float(f"{value:.7g}") for value in np.quantile(there, np.linspace(0, 1, QUANTILES))],
    }


def _category(values: pd.Series[Any]) -> dict[str, Any]:
    counts = values[values != ""].value_counts()
    return {
        "count": int(counts.sum()),
        "missing": int((values == "").sum()),
        "counts": {str(value): int(count) for value, count in counts.items()},
    }


def _answers(values: NDArray[Any], classes: tuple[str, ...]) -> dict[str, Any]:
    if not classes:
        return {"type": ColumnType.NUMBER.value} | _number(values.astype(np.float64))
    counts = np.bincount(values, minlength=len(classes))
    return {
        "type": ColumnType.CATEGORY.value,
        "count": int(counts.sum()),
        "missing": 0,
        "counts": {label: int(count) for label, count in zip(classes, counts, strict=True)},
    }
