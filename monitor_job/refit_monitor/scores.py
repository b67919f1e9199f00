"""The metrics of a model by the API's names, as the trainer takes them from scikit-learn, here with weights of rows.

scikit-learn itself is seconds of import and knows no way to score a thousand resamples at once; a test holds every
metric here against it. Of two classes the second is the positive one; of more, precision, recall, F1 and the areas
are means over classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refit.api.metrics import Metric
from refit_monitor.columns import Floats

Numbers = NDArray[Any]


def score(metric: Metric, truth: Numbers, answers: Numbers, weights: Floats | None = None) -> float:
    """One metric. `truth` holds classes' places or numbers; `answers` probabilities per class, or one number, a row."""
    weights = np.ones(len(truth)) if weights is None else weights
    if metric in OF_CONFUSION:
        return OF_CONFUSION[metric](confusion(truth, answers, weights))
    return float(OF_ROWS[metric](truth, answers, weights))


def confusion(truth: Numbers, answers: Numbers, weights: Floats) -> Floats:
    """[true class, answered class]; the answered one is the most probable, of equals the first."""
    classes = answers.shape[1]
    cells = np.bincount(truth * classes + answers.argmax(axis=1), weights, classes * classes)
    return np.asarray(cells.reshape(classes, classes), dtype=np.float64)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _accuracy(cells: Floats) -> float:
    return float(np.trace(cells) / cells.sum())


def _balanced_accuracy(cells: Floats) -> float:
    there = cells.sum(axis=1) > 0
    return float((np.diag(cells)[there] / cells.sum(axis=1)[there]).mean())


def _precision(cells: Floats) -> float:
    return _average(_ratio(np.diag(cells).copy(), cells.sum(axis=0)), cells)


def _recall(cells: Floats) -> float:
    return _average(_ratio(np.diag(cells).copy(), cells.sum(axis=1)), cells)


def _f1(cells: Floats) -> float:
    return _average(_ratio(2 * np.diag(cells), cells.sum(axis=0) + cells.sum(axis=1)), cells)


def _average(per_class: Floats, cells: Floats) -> float:
    """The positive class's, or the mean over the classes that are there at all, in truth or answers."""
    if len(per_class) == 2:  # noqa: PLR2004 - two classes
        return float(per_class[1])
    return float(per_class[(cells.sum(axis=0) + cells.sum(axis=1)) > 0].mean())


def _judged(answers: Numbers) -> range:
    return range(1, 2) if answers.shape[1] == 2 else range(answers.shape[1])  # noqa: PLR2004 - two classes


def _curve(found: Numbers, scores: Numbers, weights: Floats) -> tuple[Floats, Floats]:
    """Weights of the positive and of the other rows at each score or above, from the highest score on."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    positive = np.cumsum(np.where(found[order], weights[order], 0.0))[ends]
    other = np.cumsum(np.where(found[order], 0.0, weights[order]))[ends]
    return positive, other


def _areas(truth: Numbers, answers: Numbers, weights: Floats, area: Callable[[Floats, Floats], float]) -> float:
    """NaN where a class, or all but one, is not there: the curve then has no meaning."""
    return float(np.mean([area(*_curve(truth == c, answers[:, c], weights)) for c in _judged(answers)]))


def _roc_area(positive: Floats, other: Floats) -> float:
    if not positive[-1] or not other[-1]:
        return float("nan")
    return float(np.trapezoid(np.append(0, positive), np.append(0, other)) / positive[-1] / other[-1])


def _pr_area(positive: Floats, other: Floats) -> float:
    if not positive[-1]:
        return float("nan")
    both = positive + other
    precision = np.divide(positive, both, out=np.zeros_like(both), where=both > 0)
    return float((np.diff(np.append(0, positive)) * precision).sum() / positive[-1])


def _roc_auc(truth: Numbers, answers: Numbers, weights: Floats) -> float:
    return _areas(truth, answers, weights, _roc_area)


def _pr_auc(truth: Numbers, answers: Numbers, weights: Floats) -> float:
    return _areas(truth, answers, weights, _pr_area)


def _log_loss(truth: Numbers, answers: Numbers, weights: Floats) -> float:
    own = np.clip(answers[np.arange(len(truth)), truth], float(np.finfo(np.float32).eps), 1.0)
    return float(-np.average(np.log(own), weights=weights))


def _rmse(truth: Numbers, answers: Numbers, weights: Floats) -> float:
    return float(np.sqrt(np.average((answers[:, 0] - truth) ** 2, weights=weights)))


def _mae(truth: Numbers, answers: Numbers, weights: Floats) -> float:
    return float(np.average(np.abs(answers[:, 0] - truth), weights=weights))


def _r2(truth: Numbers, answers: Numbers, weights: Floats) -> float:
    spread = np.average((truth - np.average(truth, weights=weights)) ** 2, weights=weights)
    error = np.average((answers[:, 0] - truth) ** 2, weights=weights)
    return float(1 - error / spread) if spread else float("nan")


def _mape(truth: Numbers, answers: Numbers, weights: Floats) -> float:
    smallest = float(np.finfo(np.float64).eps)
    return float(np.average(np.abs(answers[:, 0] - truth) / np.maximum(np.abs(truth), smallest), weights=weights))


OF_CONFUSION: dict[Metric, Callable[[Floats], float]] = {
    Metric.ACCURACY: _accuracy,
    Metric.BALANCED_ACCURACY: _balanced_accuracy,
    Metric.PRECISION: _precision,
    Metric.RECALL: _recall,
    Metric.F1: _f1,
}
"""Metrics of how often each class was answered for each."""
OF_ROWS: dict[Metric, Callable[[Numbers, Numbers, Floats], float]] = {
    Metric.ROC_AUC: _roc_auc,
    Metric.PR_AUC: _pr_auc,
    Metric.LOG_LOSS: _log_loss,
    Metric.RMSE: _rmse,
    Metric.MAE: _mae,
    Metric.R2: _r2,
    Metric.MAPE: _mape,
}
"""Metrics of each row's answer."""
