"""How far a metric, or the difference of two, may be off by the luck of the rows: the bootstrap (Efron 1979).

Rows are drawn again with replacement, the same for both models, and the metrics are taken anew. Of two bounds the one
further out counts: the percentile of the resamples, which follows their shape, and Student's t times their spread,
which is right where the percentile's lower end is too near (Hesterberg 2015, "What Teachers Should Know About the
Bootstrap": both bounds are widened by the factor that a sample's spread is too small by).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refit.api.metrics import LOWER_IS_BETTER, Metric
from refit_trainer.scores import labels
from refit_trainer.weighted import OF_LABELS, OF_RANKS, Floats, weighted

RESAMPLES = 2000
CELLS = 40_000_000
"""Counts that are drawn at most, resamples times rows: of very many rows fewer resamples say as much."""
FEWEST_RESAMPLES = 400
AT_ONCE = 200_000
"""Counts at a time: as many as a processor's cache holds, which halves the time that ranks take."""
TAIL = 0.05
"""Outside of each end: intervals are of 90 %."""
DECIDING_TAIL = 0.035
"""Outside of the end that decides. With 0.05 models that are equally good were told apart in up to 5.6 % of worlds."""
FEWEST_ROWS = 30
"""Rows below which nothing is said of a metric."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A metric, and where it lies with 90 % confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The metric of both, and the 90 % interval of challenger less champion; `better` says that the challenger is
    better beyond chance: a somewhat wider interval lies on the better side of zero."""

    champion: float
    challenger: float
    low: float
    high: float
    better: bool


def interval(metric: Metric, truth: NDArray[Any], answers: Floats, seed: int) -> Interval:
    """The interval of one model's metric."""
    kinds = _kinds(metric, truth, answers)
    of = weighted(metric, truth[kinds.first], answers[kinds.first])
    value = float(of(kinds.often[np.newaxis])[0])
    found = np.concatenate([of(counts) for counts in _drawn(metric, truth, kinds, seed, RESAMPLES)])
    low, high = _bounds(value, found, len(truth), TAIL)
    return Interval(value=value, low=low, high=high)


def difference(
    metric: Metric, truth: NDArray[Any], champion: Floats, challenger: Floats, seed: int, times: int = RESAMPLES
) -> Difference:
    """The interval of the difference of two models on the same rows, resampled so many times at most."""
    kinds = _kinds(metric, truth, champion, challenger)
    ours = weighted(metric, truth[kinds.first], challenger[kinds.first])
    theirs = weighted(metric, truth[kinds.first], champion[kinds.first])
    new, old = float(ours(kinds.often[np.newaxis])[0]), float(theirs(kinds.often[np.newaxis])[0])
    found = np.concatenate([ours(counts) - theirs(counts) for counts in _drawn(metric, truth, kinds, seed, times)])
    low, high = _bounds(new - old, found, len(truth), TAIL)
    least, most = _bounds(new - old, found, len(truth), DECIDING_TAIL)
    better = most < 0 if metric in LOWER_IS_BETTER else least > 0
    return Difference(champion=old, challenger=new, low=low, high=high, better=better)


@dataclass(frozen=True)
class _Kinds:
    """Rows that are alike to a metric: the first of each kind, and how often it is there."""

    first: NDArray[np.int64]
    often: Floats


def _kinds(metric: Metric, truth: NDArray[Any], *answers: Floats) -> _Kinds:
    """To a metric of labels rows of the same truth and labels are alike; to others each row is its own kind."""
    if metric not in OF_LABELS:
        return _Kinds(np.arange(len(truth)), np.ones(len(truth)))
    said = np.column_stack([truth, *(labels(each) for each in answers)])
    _, first, often = np.unique(said, axis=0, return_index=True, return_counts=True)
    return _Kinds(first, often.astype(np.float64))


def _drawn(metric: Metric, truth: NDArray[Any], kinds: _Kinds, seed: int, times: int) -> Iterator[Floats]:
    if metric not in OF_LABELS:
        return resamples(truth, seed, times, stratified=metric in OF_RANKS)
    rows = len(truth)
    # The numbers of the kinds are drawn instead of the rows: there are few, however many rows there are.
    drawn = np.random.default_rng(seed).multinomial(rows, kinds.often / rows, size=times)
    return iter([drawn.astype(np.float64)])


def resamples(truth: NDArray[Any], seed: int, times: int = RESAMPLES, *, stratified: bool) -> Iterator[Floats]:
    """How often each row counts in each resample, some at a time. Stratified, each class keeps its number of rows."""
    random = np.random.default_rng(seed)
    rows = len(truth)
    wanted = min(times, max(FEWEST_RESAMPLES, CELLS // rows))
    groups = [np.flatnonzero(truth == each) for each in np.unique(truth)] if stratified else [np.arange(rows)]
    at_once = max(1, AT_ONCE // rows)
    for begun in range(0, wanted, at_once):
        lines = min(at_once, wanted - begun)
        drawn = np.hstack([group[random.integers(0, len(group), (lines, len(group)))] for group in groups])
        places = drawn + rows * np.arange(lines)[:, np.newaxis]
        yield np.bincount(places.ravel(), minlength=lines * rows).reshape(lines, rows).astype(np.float64)


def student(share: float, freedom: float) -> float:
    """The quantile of Student's t, by Fisher and Cornish's expansion; within 1 % from ten degrees of freedom on."""
    z = NormalDist().inv_cdf(share)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def _bounds(value: float, found: Floats, rows: int, tail: float) -> tuple[float, float]:
    """Both ends, of two each the one further out; endless where the metric has no meaning in most resamples."""
    found = found[np.isfinite(found)]
    if len(found) < FEWEST_RESAMPLES // 2 or not np.isfinite(value):
        return float("-inf"), float("inf")
    reach = -student(tail, rows - 1) * float(np.sqrt(rows / (rows - 1)))
    outside = NormalDist().cdf(-reach)
    below, above = np.quantile(found, [outside, 1 - outside])
    spread = reach * float(found.std(ddof=1))
    return float(min(below, value - spread)), float(max(above, value + spread))
