"""Which combination wins: cross-validation on training rows, the best mean of the chosen metric."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold

from refit.api.dataspec import MissingStrategy
from refit.api.metrics import LOWER_IS_BETTER, Metric
from refit_trainer.algorithms import Combination
from refit_trainer.datasets import Dataset
from refit_trainer.errors import RefusedError
from refit_trainer.pipelines import fitted, outputs, pipeline
from refit_trainer.progress import Report
from refit_trainer.scores import score

PARALLEL_FROM_ROWS = 5000
"""Below this, starting threads costs more than they save."""


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How candidates are fitted and compared."""

    folds: int
    seed: int
    metric: Metric
    missing: MissingStrategy
    cpus: int

    def jobs(self, rows: int) -> int:
        return self.cpus if rows >= PARALLEL_FROM_ROWS else 1


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A combination and its score in each fold."""

    combination: Combination
    scores: tuple[float, ...]
    seconds: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))

    @property
    def deviation(self) -> float:
        return float(np.std(self.scores))


def compare(
    combinations: tuple[Combination, ...], dataset: Dataset, manner: Manner, report: Report
) -> tuple[Scored, ...]:
    """Every combination with its scores, in the order given."""
    divided = list(_folds(dataset, manner))
    found = []
    for combination in combinations:
        started = time.perf_counter()
        values = []
        for fold, (learned, judged) in enumerate(divided, start=1):
            model = pipeline(combination, dataset, manner.missing, jobs=manner.jobs(len(learned)), seed=manner.seed)
            model = fitted(model, dataset.training.at(learned), dataset, combination)
            rows = dataset.training.at(judged)
            values.append(score(manner.metric, rows.answers, outputs(model, dataset, rows.frame)))
            if not np.isfinite(values[-1]):
                raise RefusedError(
                    "MetricMissing", f"{manner.metric} of {combination.label()} is no number in fold {fold}"
                )
            report("fold", candidate=combination.label(), fold=fold, of=manner.folds, score=round(values[-1], 6))
        scored = Scored(combination=combination, scores=tuple(values), seconds=time.perf_counter() - started)
        report(
            "candidate", candidate=combination.label(), mean=round(scored.mean, 6), deviation=round(scored.deviation, 6)
        )
        found.append(scored)
    return tuple(found)


def best(found: tuple[Scored, ...], metric: Metric) -> Scored:
    """The one with the best mean; of equals the first."""
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    return max(found, key=lambda scored: sign * scored.mean)


def best_of_each(found: tuple[Scored, ...], metric: Metric) -> tuple[Scored, ...]:
    """The best combination of every candidate, in the spec's order."""
    places = sorted({scored.combination.place for scored in found})
    return tuple(
        best(tuple(scored for scored in found if scored.combination.place == place), metric) for place in places
    )


def _folds(dataset: Dataset, manner: Manner) -> Any:
    splitter = (StratifiedKFold if dataset.classes else KFold)(
        n_splits=manner.folds, shuffle=True, random_state=manner.seed
    )
    rows: NDArray[np.int64] = np.arange(len(dataset.training))
    return splitter.split(rows, dataset.training.answers if dataset.classes else None)
