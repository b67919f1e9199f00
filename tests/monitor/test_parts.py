"""Data quality, model quality, trend, and when a report is drawn: the pure parts, by table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from sklearn import metrics as sk

from monitored import TYPES, profile, rows
from refit.api.measured import Direction, QualityVerdict
from refit.api.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS, Metric
from refit.api.monitoring import Monitoring
from refit_monitor import model_quality, scores, trend
from refit_monitor.data_quality import Quality
from refit_monitor.measurement import Asked, measure
from refit_monitor.windows import Window
from refit_trainer import scores as trainer

RNG = np.random.default_rng
PROFILE = profile(
    RNG(1), age={"minimum": 18.0, "maximum": 100.0}, site={"categories": ("north", "south", "east", "far")}
)


def found(count: int = 400, **changes: Any) -> Quality:
    inputs = rows(count, RNG(2)) | changes
    window = Window(rows=count, inputs={name: pa.chunked_array([pa.array(inputs[name])]) for name in TYPES})
    asked = Asked(key="k", time="2026-11-21T12:00:00Z", namespace="", model="")
    quality = measure(PROFILE, window, Monitoring(), asked).data_quality
    assert quality is not None
    return quality


def first(count: int, value: Any, name: str) -> Any:
    values = rows(400, RNG(2))[name]
    values[:count] = value
    return values


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        pytest.param({}, (), id="rows as in training"),
        pytest.param({"age": first(3, 200.0, "age")}, (), id="a few values outside are tolerated"),
        pytest.param({"age": first(9, 200.0, "age")}, ("'age' is more than max 100 in 9 of 400 rows",), id="more of them are not"),
        pytest.param({"age": first(9, 5.0, "age")}, ("'age' is less than min 18 in 9 of 400 rows",), id="too small"),
        pytest.param({"site": first(50, "moon", "site")}, ("'site' is none of its categories north, south, east, far in 50 of 400 rows",), id="a category that is not declared"),
        pytest.param({"age": first(200, np.nan, "age")}, ("'age' is missing in 200 of 400 rows; 0.0% of training data's were",), id="missing"),
        pytest.param({"age": first(400, np.nan, "age")}, ("'age' is missing in all 400 rows; 0.0% of training data's were",), id="gone"),
        pytest.param({"age": first(20, np.inf, "age")}, ("'age' is a Number but 20 of 400 rows hold something else",), id="infinite numbers"),
        pytest.param({"age": first(400, 0.0, "age")}, ("'age' is less than min 18 in 400 of 400 rows", "'age' is suddenly 0 in all 400 rows; 0.0% of training data's were"), id="all zero"),
        pytest.param({"site": first(400, "north", "site")}, ("'site' is suddenly one value, 'north', in all 400 rows; ",), id="one category"),
        pytest.param({"vessels": first(400, 0.0, "vessels")}, (), id="one value that was usual is not stuck"),
        pytest.param({"age": ["x"] * 20 + ["50"] * 380}, ("'age' is a Number but 20 of 400 rows hold something else", "'age' is suddenly one value, 50, in 380 of 400 rows"), id="text"),
    ],
)  # fmt: skip
def test_problems_name_column_and_rows(changes: dict[str, Any], problems: tuple[str, ...]) -> None:
    quality = found(**changes)
    assert [told.startswith(said) for told, said in zip(quality.problems, problems, strict=True)] == [True] * len(
        problems
    ), quality.problems
    assert quality.valid is not bool(problems)


def test_one_request_sent_again_and_again_is_no_400_rows() -> None:
    one = {name: [value] * 400 for name, value in ((name, values[0]) for name, values in rows(1, RNG(4)).items())}
    quality = found(400, **one)
    assert quality.uniqueness < 0.1
    assert any(told.startswith("399 of 400 rows repeat another row") for told in quality.problems)


def test_a_small_world_whose_rows_come_again_is_fit() -> None:
    few = rows(100, RNG(5))
    again = RNG(6).integers(0, 100, 400)
    quality = found(400, **{name: [values[place] for place in again] for name, values in few.items()})
    assert (quality.problems, quality.uniqueness < 0.5) == ((), True)


def test_the_score_is_the_written_formula() -> None:
    quality = Quality(completeness=0.9, validity=0.8, consistency=0.6, uniqueness=0.5, problems=())
    assert quality.score == pytest.approx(100 * (0.3 * 0.9 + 0.3 * 0.8 + 0.25 * 0.6 + 0.15 * 0.5))


@pytest.mark.parametrize("classes", [2, 3])
def test_classification_metrics_are_the_trainers_and_scikit_learns(classes: int) -> None:
    rng = RNG(classes)
    truth = rng.integers(0, classes, 200)
    raw = np.round(rng.random((200, classes)) + np.eye(classes)[truth], 1)  # with ties
    answers = raw / raw.sum(axis=1, keepdims=True)
    for metric in CLASSIFICATION_METRICS:
        assert scores.score(metric, truth, answers) == pytest.approx(trainer.score(metric, truth, answers)), metric
    weights = rng.integers(0, 4, 200).astype(np.float64)
    again = np.repeat(np.arange(200), weights.astype(int))
    for metric in CLASSIFICATION_METRICS:
        weighted = scores.score(metric, truth, answers, weights)
        assert weighted == pytest.approx(trainer.score(metric, truth[again], answers[again])), metric


def test_regression_metrics_are_the_trainers() -> None:
    truth = RNG(1).normal(100, 10, 80)
    answers = (truth + RNG(2).normal(0, 3, 80)).reshape(-1, 1)
    for metric in REGRESSION_METRICS:
        assert scores.score(metric, truth, answers) == pytest.approx(trainer.score(metric, truth, answers)), metric


def test_the_interval_holds_the_true_value_in_about_95_of_100() -> None:
    holds = []
    for seed in range(100):
        rng = RNG(seed)
        truth = rng.integers(0, 2, 120)
        right = np.where(rng.random(120) < 0.8, truth, 1 - truth)
        low, high = model_quality.interval(Metric.ACCURACY, truth, np.eye(2)[right], rng)
        holds.append(low <= 0.8 <= high)
    assert np.mean(holds) >= 0.88


def test_a_bound_missed_within_noise_is_kept() -> None:
    truth = np.array([0, 1] * 50)
    answers = np.eye(2)[np.where(np.arange(100) < 78, truth, 1 - truth)]
    spec = Monitoring.model_validate({"quality": [{"metric": "accuracy", "minimum": "0.8"}]})
    quality = model_quality.measured(PROFILE, answers, truth, spec.quality, RNG(1))
    assert (quality.verdict, quality.metrics[Metric.ACCURACY]) == (QualityVerdict.OK, 0.78)


def test_the_estimate_is_near_the_truth_where_answers_are_calibrated() -> None:
    rng = RNG(3)
    held = profile(rng, 3000)
    yes = rng.random(4000)
    truth = (rng.random(4000) < yes).astype(int)
    answers = np.column_stack([1 - yes, yes])
    estimated = model_quality.estimate(held, answers)
    for metric, value in estimated.items():
        assert value == pytest.approx(scores.score(metric, truth, answers), abs=0.05), metric
    assert sk.accuracy_score(truth, yes > 0.5) == pytest.approx(estimated[Metric.ACCURACY], abs=0.05)


def point(day: int, value: float | None) -> trend.Point:
    values = {} if value is None else {"f1 measured": value}
    return trend.Point(f"2026-11-{day:02}T00:00:00Z", f"2026-11-{day + 1:02}T00:00:00Z", values)


def followed(values: list[float | None], *, overlapping: bool = False) -> trend.Trend:
    """The trend after these days; each measurement is kept, and the next one looks back on it."""
    kept: list[dict[str, Any]] = []
    last = None
    for day, value in enumerate(values, start=1):
        moment = point(1 if overlapping else day, value)
        last = trend.trend(kept[::-1], 3, f"k{day}", moment, Metric.F1)
        kept.append({"key": f"k{day}", "version": 3, "trend": last.record()})
    assert last is not None
    return last


FALLING = [0.9, 0.88, 0.87, 0.85, 0.84, 0.8, 0.79, 0.75, 0.74, 0.7]


@pytest.mark.parametrize(
    ("values", "direction"),
    [
        pytest.param(FALLING, Direction.DEGRADING, id="falling"),
        pytest.param(FALLING[::-1], Direction.IMPROVING, id="rising"),
        pytest.param([0.8, 0.82, 0.79, 0.81, 0.8, 0.82, 0.78, 0.81], Direction.STABLE, id="up and down"),
        pytest.param([0.8] * 10, Direction.STABLE, id="always the same"),
        pytest.param(FALLING[:7], Direction.UNKNOWN, id="seven points are too few"),
        pytest.param([None] * 10, Direction.UNKNOWN, id="without labels there is nothing to follow"),
    ],
)
def test_a_trend(values: list[float | None], direction: Direction) -> None:
    assert followed(values).direction == direction


def test_windows_that_overlap_are_one_point() -> None:
    found = followed(list(FALLING), overlapping=True)
    assert (found.direction, found.points) == (Direction.UNKNOWN, 1)


def test_mann_kendall_is_kendalls_tau_against_time() -> None:
    values: list[float] = (RNG(1).normal(0, 1, 30) + np.arange(30) / 20).tolist()
    p_value, statistic = trend.mann_kendall(values)
    tau = stats.kendalltau(np.arange(30), values, method="asymptotic")
    assert statistic / (30 * 29 / 2) == pytest.approx(tau.statistic)
    assert p_value == pytest.approx(tau.pvalue, rel=0.15)  # ours corrects for continuity
