"""Suspicions worth a warning: what makes a model look better on held-out rows than it will be on requests.

A column that alone tells the answer is rarely known when a prediction is asked for; a row number tells nothing of
a new row; a held-out row that was learned from proves nothing; and nobody is right every time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from refit.api.dataspec import ColumnType
from refit.api.metrics import Metric
from refit.api.results import CheckOutcome
from refit_trainer.checks import shortened
from refit_trainer.datasets import Dataset, named
from refit_trainer.lineages import fingerprints

CHECK = "leak"
ALIKE = 0.9999
"""Correlation of a number with a number to be predicted from which one is a copy of the other; and an R2 that is no model's."""
OVERLAP = 0.1
"""Share of the held-out rows that may be training rows, too: where columns are few and coarse, some agree by chance."""


def suspicion(dataset: Dataset, measured: dict[Metric, float]) -> CheckOutcome:
    """Whatever of it is found; a warning, since a lawful rule may do so too."""
    found = [*_overlap(dataset), *_telling(dataset, measured), *_row_numbers(dataset)]
    said = f"warning: SuspectLeak: {'; '.join(found)}" if found else ""
    return CheckOutcome(name=CHECK, passed=True, message=shortened(said, 256))


def _overlap(dataset: Dataset) -> Iterator[str]:
    learned, held = (fingerprints(rows.frame, named(dataset, rows)) for rows in (dataset.training, dataset.held_out))
    known = int(np.isin(held, learned).sum())
    if known > OVERLAP * len(held):
        yield f"{known} of {len(held)} held-out rows are training rows, too; data.cleaning.duplicates: Drop removes them"


def _telling(dataset: Dataset, measured: dict[Metric, float]) -> Iterator[str]:
    telling = [column.name for column in dataset.inputs if _tells(dataset, column.name, column.type)]
    if telling:
        yield f"{', '.join(map(repr, telling))} alone predicts every training row; is it known beforehand?"
    elif measured.get(Metric.ROC_AUC) == 1.0:
        yield "every held-out row is predicted perfectly (ROC AUC 1.0)"
    elif measured.get(Metric.R2, 0.0) > ALIKE:
        yield f"every held-out row is predicted perfectly (R2 over {ALIKE})"


def _row_numbers(dataset: Dataset) -> Iterator[str]:
    for name in dataset.numbers:
        values = np.concatenate(
            [rows.frame[name].to_numpy(np.float64) for rows in (dataset.training, dataset.held_out)]
        )
        if _counts_up(np.sort(values)):
            yield f"{name!r} only numbers the rows; add it to data.ignore"


def _counts_up(values: NDArray[np.float64]) -> bool:
    """Whether sorted values are whole, each once, and hardly any is left out; a missing one is last, and none is."""
    whole = bool(np.isfinite(values[-1])) and bool(np.all(values == np.round(values)))
    return whole and bool(np.all(np.diff(values) > 0)) and bool(np.ptp(values) < len(values) / (1 - OVERLAP))


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
