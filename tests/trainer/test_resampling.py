"""Metrics of counted rows against scikit-learn's of repeated ones; intervals against SciPy's and against formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from refit.api.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS, Metric
from refit_trainer.resampling import difference, interval, resamples, student
from refit_trainer.scores import score
from refit_trainer.weighted import weighted


def classified(rows: int, classes: int, seed: int, *, pull: float = 0.3) -> tuple[Any, Any]:
    """Truth and probabilities with ties among them."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    answers = np.round(rng.dirichlet(np.ones(classes), rows) + pull * np.eye(classes)[truth], 1) + 1e-3
    return truth, answers / answers.sum(axis=1, keepdims=True)


def measured(rows: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(3, 1, rows)
    return truth, (truth + rng.normal(0, 1, rows)).reshape(-1, 1)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("metric", CLASSIFICATION_METRICS)
def test_a_row_that_counts_twice_is_a_row_that_is_there_twice(metric: Metric, classes: int) -> None:
    truth, answers = classified(200, classes, 1)
    counts = np.random.default_rng(2).integers(0, 4, (4, 200))
    expected = [score(metric, np.repeat(truth, line), np.repeat(answers, line, axis=0)) for line in counts]
    np.testing.assert_allclose(weighted(metric, truth, answers)(counts.astype(np.float64)), expected)


@pytest.mark.parametrize("metric", REGRESSION_METRICS)
def test_the_same_of_numbers(metric: Metric) -> None:
    truth, answers = measured(200, 1)
    counts = np.random.default_rng(2).integers(0, 4, (4, 200))
    expected = [score(metric, np.repeat(truth, line), np.repeat(answers, line, axis=0)) for line in counts]
    np.testing.assert_allclose(weighted(metric, truth, answers)(counts.astype(np.float64)), expected)


@pytest.mark.parametrize("freedom", [10, 29, 99, 999])
@pytest.mark.parametrize("share", [0.035, 0.05])
def test_students_quantile_is_scipys(share: float, freedom: int) -> None:
    assert student(share, freedom) == pytest.approx(stats.t.ppf(share, freedom), abs=3e-3)


def test_the_interval_of_a_mean_is_students() -> None:
    """Mae is a mean, whose interval has a formula."""
    truth, answers = measured(400, 3)
    errors = np.abs(answers[:, 0] - truth)
    low, high = stats.t.interval(0.9, 399, errors.mean(), stats.sem(errors))
    found = interval(Metric.MAE, truth, answers, 1)
    assert (found.value, found.low, found.high) == pytest.approx((errors.mean(), low, high), abs=0.006)


def test_the_interval_of_a_difference_is_scipys_paired_bootstrap() -> None:
    truth, one = measured(150, 4)
    other = one * 0.5 + truth.reshape(-1, 1) * 0.5

    def statistic(places: Any) -> float:
        chosen = places.astype(int)
        return score(Metric.RMSE, truth[chosen], other[chosen]) - score(Metric.RMSE, truth[chosen], one[chosen])

    theirs = stats.bootstrap(
        (np.arange(150),),
        statistic,
        vectorized=False,
        n_resamples=2000,
        confidence_level=0.9,
        method="percentile",
        random_state=1,
    )
    found = difference(Metric.RMSE, truth, one, other, 1)
    low, high = theirs.confidence_interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.012)
    assert found.better, "less is better"


def test_no_difference_is_no_improvement() -> None:
    truth, answers = classified(100, 2, 5)
    found = difference(Metric.F1, truth, answers, answers, 1)
    assert (found.low, found.high, found.better) == (0.0, 0.0, False)


def test_a_metric_without_meaning_has_no_end() -> None:
    truth = np.zeros(40, dtype=np.int64)
    answers = np.full((40, 2), 0.5)
    found = difference(Metric.ROC_AUC, truth, answers, answers, 1)
    assert (found.low, found.high, found.better) == (float("-inf"), float("inf"), False)


def test_resamples_keep_each_class_where_ranks_are_judged() -> None:
    truth = np.array([0] * 70 + [1] * 5)
    for counts in resamples(truth, 3, stratified=True):
        np.testing.assert_array_equal(counts[:, 70:].sum(axis=1), 5)
        np.testing.assert_array_equal(counts.sum(axis=1), 75)


def test_very_many_rows_take_fewer_resamples() -> None:
    assert sum(len(counts) for counts in resamples(np.zeros(1_000_000), 1, stratified=False)) == 400


WORLDS = 200


def equal(metric: Metric, rng: np.random.Generator, rows: int) -> tuple[Any, Any, Any]:
    """Two models that are equally good, their errors partly shared."""
    if metric is Metric.RMSE:
        truth = rng.normal(0, 1, rows)
        shared = truth + 0.7 * rng.standard_t(4, rows)
        one, other = (shared + 0.7 * rng.standard_t(4, rows) for _ in range(2))
        return truth, one.reshape(-1, 1), other.reshape(-1, 1)
    truth = (rng.random(rows) < 0.35).astype(np.int64)
    signal = np.where(truth == 1, 0.9, -0.9) + rng.normal(0, 0.7, rows)
    both = [1 / (1 + np.exp(-signal - rng.normal(0, 0.7, rows))) for _ in range(2)]
    one, other = (np.column_stack([1 - yes, yes]) for yes in both)
    return truth, one, other


@pytest.mark.parametrize("rows", [60, 150])
@pytest.mark.parametrize("metric", [Metric.F1, Metric.ROC_AUC, Metric.RMSE])
def test_equal_models_are_rarely_told_apart(metric: Metric, rows: int) -> None:
    """At most 5 %, and two standard errors of so few worlds; benchmarks/promotion.py asks a thousand of each kind."""
    rng = np.random.default_rng([11, rows])
    found = [difference(metric, *equal(metric, rng, rows), seed=1, times=300).better for _ in range(WORLDS)]
    assert np.mean(found) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / WORLDS)
