"""A suspicion worth a warning: a column that alone tells the answer is rarely known when a prediction is asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refit.api.dataspec import ColumnType
from refit.api.metrics import Metric
from refit.api.results import CheckOutcome
from refit_trainer.checks import shortened
from refit_trainer.datasets import Dataset

CHECK = "leak"
ALIKE = 0.9999
"""Correlation of a number with a number to be predicted from which one is a copy of the other."""


def suspicion(dataset: Dataset, measured: dict[Metric, float]) -> CheckOutcome:
    """Which columns alone predict perfectly; a warning, since a lawful rule may do so too."""
    telling = [column.name for column in dataset.inputs if _tells(dataset, column.name, column.type)]
    said = ""
    if telling:
        said = f"warning: SuspectLeak: {', '.join(map(repr, telling))} alone predicts every training row; is it known beforehand?"
    elif measured.get(Metric.ROC_AUC) == 1.0:
        said = "warning: SuspectLeak: every held-out row is predicted perfectly (ROC AUC 1.0)"
    return CheckOutcome(name=CHECK, passed=True, message=shortened(said, 256))


def _tells(dataset: Dataset, name: str, kind: ColumnType) -> bool:
    values = dataset.training.frame[name].to_numpy()
    found = dataset.training.answers
    if kind is ColumnType.CATEGORY:
        return bool(dataset.classes) and _pure(values, found)
    values = values.astype(np.float64)
    there = np.isfinite(values)
    if there.mean() < 0.5 or np.ptp(values[there]) == 0:  # noqa: PLR2004 - too few to say
        return False
    if not dataset.classes:
        return bool(abs(np.corrcoef(values[there], found[there])[0, 1]) > ALIKE)
    return _in_blocks(values[there], found[there])


def _pure(values: NDArray[np.object_], found: NDArray[np.int64]) -> bool:
    """Whether every category holds one class only, and there are few enough categories for that to mean something."""
    pairs = set(zip(values.tolist(), found.tolist(), strict=True))
    categories = {category for category, _ in pairs}
    return len(pairs) == len(categories) and 1 < len(categories) <= max(2, len(found) // 10)


def _in_blocks(values: NDArray[np.float64], found: NDArray[np.int64]) -> bool:
    """Whether thresholds on the number alone divide the classes: for two of them, an AUC of 1."""
    order = np.lexsort((found, values))
    sorted_values, sorted_found = values[order], found[order]
    changes = np.flatnonzero(np.diff(sorted_found))
    divided = len(changes) == len(np.unique(found)) - 1
    return divided and bool(np.all(sorted_values[changes] != sorted_values[changes + 1]))
