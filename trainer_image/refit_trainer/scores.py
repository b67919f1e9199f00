"""The metrics: eight of classification, four of regression, by the API's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from refit.api.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS, Metric

Numbers = NDArray[Any]


def score(metric: Metric, truth: Numbers, answers: Numbers) -> float:
    """One metric of answers as `pipelines.outputs` gives them. Of two classes the second is the positive one;
    of more, precision, recall, F1 and the areas are means over classes."""
    return float(SCORES[metric](truth, answers))


def scores(truth: Numbers, answers: Numbers, *, classification: bool) -> dict[Metric, float]:
    """All metrics of a task."""
    wanted = CLASSIFICATION_METRICS if classification else REGRESSION_METRICS
    return {metric: score(metric, truth, answers) for metric in wanted}


def labels(probabilities: Numbers) -> NDArray[np.int64]:
    """The most probable class of each row; of equals the first."""
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def number(value: float) -> str:
    """A decimal as the API takes it: six significant digits."""
    return f"{value:.6g}"


def _average(probabilities: Numbers) -> str:
    return "binary" if probabilities.shape[1] == 2 else "macro"  # noqa: PLR2004 - two classes


def _accuracy(truth: Numbers, answers: Numbers) -> float:
    return float(np.mean(labels(answers) == truth))


def _balanced_accuracy(truth: Numbers, answers: Numbers) -> float:
    return float(sk.balanced_accuracy_score(truth, labels(answers)))


def _precision(truth: Numbers, answers: Numbers) -> float:
    return float(sk.precision_score(truth, labels(answers), average=_average(answers), zero_division=0))


def _recall(truth: Numbers, answers: Numbers) -> float:
    return float(sk.recall_score(truth, labels(answers), average=_average(answers), zero_division=0))


def _f1(truth: Numbers, answers: Numbers) -> float:
    return float(sk.f1_score(truth, labels(answers), average=_average(answers), zero_division=0))


def _roc_auc(truth: Numbers, answers: Numbers) -> float:
    return float(np.mean([sk.roc_auc_score(truth == c, answers[:, c]) for c in _judged(answers)]))


def _pr_auc(truth: Numbers, answers: Numbers) -> float:
    return float(np.mean([sk.average_precision_score(truth == c, answers[:, c]) for c in _judged(answers)]))


def _judged(answers: Numbers) -> range:
    return range(1, 2) if answers.shape[1] == 2 else range(answers.shape[1])  # noqa: PLR2004 - two classes


def _log_loss(truth: Numbers, answers: Numbers) -> float:
    smallest = float(np.finfo(np.float32).eps)
    own = np.clip(answers[np.arange(len(truth)), truth], smallest, 1.0)
    return float(-np.mean(np.log(own)))


def _rmse(truth: Numbers, answers: Numbers) -> float:
    return float(np.sqrt(np.mean((answers[:, 0] - truth) ** 2)))


def _mae(truth: Numbers, answers: Numbers) -> float:
    return float(np.mean(np.abs(answers[:, 0] - truth)))


def _r2(truth: Numbers, answers: Numbers) -> float:
    return float(sk.r2_score(truth, answers[:, 0]))


def _mape(truth: Numbers, answers: Numbers) -> float:
    return float(sk.mean_absolute_percentage_error(truth, answers[:, 0]))


SCORES: dict[Metric, Callable[[Numbers, Numbers], float]] = {
    Metric.ACCURACY: _accuracy,
    Metric.BALANCED_ACCURACY: _balanced_accuracy,
    Metric.PRECISION: _precision,
    Metric.RECALL: _recall,
    Metric.F1: _f1,
    Metric.ROC_AUC: _roc_auc,
    Metric.PR_AUC: _pr_auc,
    Metric.LOG_LOSS: _log_loss,
    Metric.RMSE: _rmse,
    Metric.MAE: _mae,
    Metric.R2: _r2,
    Metric.MAPE: _mape,
}
"""Metric to its meaning; a test holds it against the API's enum and scikit-learn's own."""
