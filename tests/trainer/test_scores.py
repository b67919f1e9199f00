from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from refit.api.metrics import LOWER_IS_BETTER, Metric
from refit_trainer.scores import SCORES, labels, number, score

RANDOM = np.random.default_rng(3)


def classes(count: int) -> tuple[np.ndarray, np.ndarray]:
    truth = RANDOM.integers(0, count, 120)
    raw = RANDOM.random((120, count)) + 0.8 * np.eye(count)[truth]
    return truth, raw / raw.sum(axis=1, keepdims=True)


def test_every_metric_of_the_api_is_known() -> None:
    assert set(SCORES) == set(Metric)


@pytest.mark.parametrize("count", [2, 3], ids=["two classes", "three classes"])
def test_classification_metrics_are_scikit_learns(count: int) -> None:
    truth, answers = classes(count)
    found, average = labels(answers), "binary" if count == 2 else "macro"
    shown = answers[:, 1] if count == 2 else answers
    expected = {
        Metric.ACCURACY: sk.accuracy_score(truth, found),
        Metric.BALANCED_ACCURACY: sk.balanced_accuracy_score(truth, found),
        Metric.PRECISION: sk.precision_score(truth, found, average=average),
        Metric.RECALL: sk.recall_score(truth, found, average=average),
        Metric.F1: sk.f1_score(truth, found, average=average),
        Metric.ROC_AUC: sk.roc_auc_score(truth, shown, multi_class="ovr"),
        Metric.PR_AUC: sk.average_precision_score(truth if count == 2 else np.eye(count)[truth], shown),
        Metric.LOG_LOSS: sk.log_loss(truth, answers),
    }
    assert {metric: score(metric, truth, answers) for metric in expected} == pytest.approx(expected)


def test_regression_metrics_are_scikit_learns() -> None:
    truth = RANDOM.normal(100, 10, 80)
    answers = truth + RANDOM.normal(0, 3, 80)
    expected = {
        Metric.RMSE: sk.root_mean_squared_error(truth, answers),
        Metric.MAE: sk.mean_absolute_error(truth, answers),
        Metric.R2: sk.r2_score(truth, answers),
        Metric.MAPE: sk.mean_absolute_percentage_error(truth, answers),
    }
    assert {metric: score(metric, truth, answers.reshape(-1, 1)) for metric in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    "metric", [metric for metric in Metric if metric not in (Metric.RMSE, Metric.MAE, Metric.R2, Metric.MAPE)]
)
def test_perfect_answers_have_the_best_score(metric: Metric) -> None:
    truth = np.array([0, 1, 1, 0])
    assert score(metric, truth, np.eye(2)[truth]) == (0.0 if metric in LOWER_IS_BETTER else 1.0)


@pytest.mark.parametrize(
    ("value", "text"), [(0.851851852, "0.851852"), (1234567.0, "1.23457e+06"), (0.0, "0"), (2.5e-8, "2.5e-08")]
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text
