"""The metrics of rows that count more than once, for many ways of counting them at a time.

A resample of n rows is n rows that count 0, 1, 2, ... times. So a thousand resamples are one matrix of counts, and a
metric of each of them is a few matrix products, where scikit-learn would be asked a thousand times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refit.api.metrics import Metric
from refit_trainer.scores import labels

Floats = NDArray[np.float64]
Weighted = Callable[[Floats], Floats]
"""Counts [resamples, rows] to the metric of each resample; NaN where it has no meaning."""
OF_LABELS = (Metric.ACCURACY, Metric.BALANCED_ACCURACY, Metric.PRECISION, Metric.RECALL, Metric.F1)
OF_RANKS = (Metric.ROC_AUC, Metric.PR_AUC)
"""Metrics of the order of rows; they need rows of each class."""


def weighted(metric: Metric, truth: NDArray[Any], answers: Floats) -> Weighted:
    """The metric of these answers, as a function of how often each row counts; `scores.score` where each counts once."""
    return _KINDS[metric](metric, truth, answers)


def _of_labels(metric: Metric, truth: NDArray[Any], answers: Floats) -> Weighted:
    classes = answers.shape[1]
    said = labels(answers)
    rows = len(truth)
    hit, told, actual = np.zeros((rows, classes)), np.zeros((rows, classes)), np.zeros((rows, classes))
    told[np.arange(rows), said] = 1.0
    actual[np.arange(rows), truth] = 1.0
    hit[:] = told * actual
    parts = np.hstack([hit, told, actual])

    def of(counts: Floats) -> Floats:
        sums = counts @ parts
        return _OF_SUMS[metric](sums[:, :classes], sums[:, classes : 2 * classes], sums[:, 2 * classes :])

    return of


def _accuracy(hit: Floats, _told: Floats, actual: Floats) -> Floats:
    return np.asarray(hit.sum(axis=1) / actual.sum(axis=1))


def _balanced(hit: Floats, _told: Floats, actual: Floats) -> Floats:
    return np.asarray(np.nanmean(_share(hit, actual, np.nan), axis=1))


def _precision(hit: Floats, told: Floats, actual: Floats) -> Floats:
    return _mean(_share(hit, told, 0.0), told + actual)


def _recall(hit: Floats, told: Floats, actual: Floats) -> Floats:
    return _mean(_share(hit, actual, 0.0), told + actual)


def _f1(hit: Floats, told: Floats, actual: Floats) -> Floats:
    return _mean(_share(2 * hit, told + actual, 0.0), told + actual)


def _mean(found: Floats, there: Floats) -> Floats:
    """Of two classes that of the second; of more the mean over those that are there."""
    if found.shape[1] == 2:  # noqa: PLR2004 - two classes
        return np.asarray(found[:, 1])
    return np.asarray((found * (there > 0)).sum(axis=1) / (there > 0).sum(axis=1))


def _share(part: Floats, whole: Floats, otherwise: float) -> Floats:
    found: Floats = np.divide(part, whole, out=np.full(part.shape, otherwise), where=whole > 0)
    return found


def _of_order(metric: Metric, truth: NDArray[Any], answers: Floats) -> Weighted:
    judged = range(1, 2) if answers.shape[1] == 2 else range(answers.shape[1])  # noqa: PLR2004 - two classes
    area = _roc_area if metric is Metric.ROC_AUC else _pr_area
    ordered = [_Order(truth == place, answers[:, place]) for place in judged]

    def of(counts: Floats) -> Floats:
        return np.asarray(np.mean([area(*order.sums(counts)) for order in ordered], axis=0))

    return of


class _Order:
    """Rows by falling probability of a class, those of equal probability together."""

    def __init__(self, positive: NDArray[np.bool_], probability: Floats) -> None:
        self._rows = np.argsort(-probability, kind="stable")
        self._positive = positive[self._rows].astype(np.float64)
        falling = probability[self._rows]
        starts = np.flatnonzero(np.append(True, falling[1:] != falling[:-1]))
        self._starts = starts if len(starts) < len(falling) else None

    def sums(self, counts: Floats) -> tuple[Floats, Floats]:
        """Positives and others at each probability, a line per resample."""
        counts = counts[:, self._rows]
        positives = counts * self._positive
        others = counts - positives
        if self._starts is None:
            return positives, others
        return (
            np.asarray(np.add.reduceat(positives, self._starts, axis=1)),
            np.asarray(np.add.reduceat(others, self._starts, axis=1)),
        )


def _roc_area(positives: Floats, others: Floats) -> Floats:
    """The chance that a positive has a higher probability than another row, ties counting half (Mann and Whitney 1947)."""
    above = np.cumsum(positives, axis=1)
    won = np.einsum("ij,ij->i", above, others) - np.einsum("ij,ij->i", positives, others) / 2
    pairs = above[:, -1] * others.sum(axis=1)
    return _share(won, pairs, np.nan)


def _pr_area(positives: Floats, others: Floats) -> Floats:
    """Average precision: the precision at each probability, weighted by the positives that it adds."""
    above = np.cumsum(positives, axis=1)
    precision = _share(above, above + np.cumsum(others, axis=1), 0.0)
    total = above[:, -1]
    found = (precision * positives).sum(axis=1)
    return _share(found, total, np.nan)


def _of_means(metric: Metric, truth: NDArray[Any], answers: Floats) -> Weighted:
    """Metrics that are a mean of something of each row, or its root."""
    each = _EACH[metric](truth, answers)

    def of(counts: Floats) -> Floats:
        found: Floats = counts @ each / counts.sum(axis=1)
        return np.asarray(np.sqrt(found) if metric is Metric.RMSE else found)

    return of


def _lost(truth: NDArray[Any], answers: Floats) -> Floats:
    smallest = float(np.finfo(np.float32).eps)
    return np.asarray(-np.log(np.clip(answers[np.arange(len(truth)), truth], smallest, 1.0)))


def _squared(truth: NDArray[Any], answers: Floats) -> Floats:
    return np.asarray((answers[:, 0] - truth) ** 2)


def _absolute(truth: NDArray[Any], answers: Floats) -> Floats:
    return np.asarray(np.abs(answers[:, 0] - truth))


def _relative(truth: NDArray[Any], answers: Floats) -> Floats:
    return np.asarray(_absolute(truth, answers) / np.maximum(np.abs(truth), np.finfo(np.float64).eps))


def _explained(_metric: Metric, truth: NDArray[Any], answers: Floats) -> Weighted:
    squared = _squared(truth, answers)
    centred = np.asarray(truth - np.mean(truth), dtype=np.float64)

    def of(counts: Floats) -> Floats:
        rows = counts.sum(axis=1)
        spread = counts @ centred**2 - (counts @ centred) ** 2 / rows
        return np.asarray(1.0 - _share(counts @ squared, spread, np.nan))

    return of


_OF_SUMS: dict[Metric, Callable[[Floats, Floats, Floats], Floats]] = {
    Metric.ACCURACY: _accuracy,
    Metric.BALANCED_ACCURACY: _balanced,
    Metric.PRECISION: _precision,
    Metric.RECALL: _recall,
    Metric.F1: _f1,
}
_EACH: dict[Metric, Callable[[NDArray[Any], Floats], Floats]] = {
    Metric.LOG_LOSS: _lost,
    Metric.RMSE: _squared,
    Metric.MAE: _absolute,
    Metric.MAPE: _relative,
}
_KINDS: dict[Metric, Callable[[Metric, NDArray[Any], Floats], Weighted]] = {
    **dict.fromkeys(_OF_SUMS, _of_labels),
    **dict.fromkeys(OF_RANKS, _of_order),
    **dict.fromkeys(_EACH, _of_means),
    Metric.R2: _explained,
}
"""Metric to how it is counted; a test holds it against the API's enum and scikit-learn's own of repeated rows."""
