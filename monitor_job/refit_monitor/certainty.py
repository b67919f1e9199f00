"""How probable so large a difference is where nothing has changed: p-values that hold at every size.

All tests are of two samples, since the reference is one too, and conditional on the values of both together: that
makes them exact with ties and rare categories. What is costly is only computed where the cheap value does not already
say that nothing is unusual; since that only ever raises a p-value above 0.2, what is said at lower levels still holds.
The few functions of probability are written out here, and held against SciPy's in a test: its import takes as long as
all of a measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from refit_monitor.columns import Counts, Floats
from refit_monitor.effects import NumberPair

UNREMARKABLE = 0.2
EXACT_CELLS = 2_000
EXACT_WORK = 20_000_000
"""Up to so many distinct values, and multiplications, the Kolmogorov-Smirnov p-value is exact; beyond it is the limit
of large samples, which is never smaller."""
LEAST_EXACT = 1e-12
"""The exact chance is what is left of 1, so it has no digits below; the limit has."""
ENOUGH = 50
"""Of an expected count, for the chi-square distribution to be right far out in its tail."""
DRAWS = (1_000, 20_000)
FURTHEST = 8
"""Cells whose exact chance is taken where no draw was as far: those furthest from what was to be expected."""
CELLS = 256
SUPPORT = 2_000_000


def kolmogorov_smirnov(pair: NumberPair, distance: float) -> float:
    """Of the distance of two samples."""
    m, n = pair.profile.count, pair.seen.count
    limit = kolmogorov(distance * math.sqrt(m * n / (m + n)))
    if limit > UNREMARKABLE or not pair.profile.complete:
        return limit
    starts = np.flatnonzero(np.append(True, pair.seen.ordered[1:] != pair.seen.ordered[:-1]))
    window = pair.seen.ordered[starts]
    cells = np.union1d(pair.knots, window)
    if cells.size > EXACT_CELLS or min(m, n) * (m + n) > EXACT_WORK:
        return limit
    sizes = np.zeros(cells.size, dtype=np.int64)
    sizes[np.searchsorted(cells, pair.knots)] += np.diff(np.append(0, pair.reference_upto))
    sizes[np.searchsorted(cells, window)] += np.diff(np.append(starts, n))
    exact = tied_kolmogorov_smirnov(distance, min(m, n), sizes)
    return exact if exact > LEAST_EXACT else limit


def tied_kolmogorov_smirnov(distance: float, smaller: int, sizes: Counts) -> float:
    """The exact chance of a distance at least so large, among all ways to give `smaller` of the values to one sample.

    `sizes` are how many values there are of each, from the least on (Schröer and Trenkler 1995). Goes from value to value;
    at each it has the chance of every number of them that the smaller sample may hold so far and still be near.
    """
    total = int(sizes.sum())
    share = smaller / total
    chances = np.ones(1)
    low, seen = 0, 0
    edge = distance * (1 - share) - 1e-9  # the distance between samples as that of one to both together
    for size in sizes.tolist():
        chances = np.convolve(chances, _binomial(size, share))
        seen += size
        first = max(0, math.ceil(((seen / total) - edge) * smaller), seen - (total - smaller))
        last = min(smaller, seen, math.floor(((seen / total) + edge) * smaller))
        # Only the way to the end is without choice: there both samples hold all that is theirs.
        if seen == total:
            first = last = smaller
        first = max(first, low)
        chances = chances[first - low : max(last, first - 1) - low + 1]
        low = first
        if not chances.size:
            return 1.0
    return float(min(1.0, max(0.0, 1.0 - chances[0] / math.exp(_log_binomial(total, smaller, share)))))


def counted(reference: Counts, window: Counts, rng: np.random.Generator | None) -> tuple[float, float]:
    """Of counts in cells: the chi-square statistic of homogeneity and its p-value; without `rng` the limit of large
    samples, for what is only told beside."""
    there = reference + window > 0
    reference, window = _bounded(reference[there], window[there])
    m, n = int(reference.sum()), int(window.sum())
    if reference.size < 2 or not m or not n:  # noqa: PLR2004 - one cell can not differ
        return 0.0, 1.0
    pooled = reference + window
    statistic = float(_chi_square(window[None, :], pooled, n)[0])
    limit = chi_square(reference.size - 1, statistic)
    if rng is None or limit > UNREMARKABLE or pooled.min() * min(m, n) / (m + n) >= ENOUGH:
        return statistic, limit
    if reference.size == 2 and min(*pooled, n) <= SUPPORT:  # noqa: PLR2004 - two cells
        return statistic, two_cells(int(window[0]), int(pooled[0]), int(pooled[1]), n)
    return statistic, drawn_p_value(
        lambda windows: _chi_square(windows, pooled, n) >= statistic * (1 - 1e-9),
        pooled,
        n,
        rng,
        beyond=lambda: any_cell(window, pooled, n),
    )


def drawn_p_value(
    as_far: Callable[[Counts], NDArray[np.bool_]],
    pooled: Counts,
    n: int,
    rng: np.random.Generator,
    *,
    beyond: Callable[[], float],
) -> float:
    """The share of windows, drawn where nothing has changed, that are `as_far` as the one found (Davison and Hinkley 1997,
    4.2). Many of them only where a few do not settle it.

    Draws can not tell one chance in a million from one in a thousand millions, and a correction over hundreds of columns
    asks for that. So where none was as far, `beyond` gives the p-value of another test if that is less: above the least
    that draws can say only they speak, below only the other, so that at each level one test decides and it holds.
    """
    far, p_value = 0, 1.0
    for draws in DRAWS:
        far = int(as_far(drawn(pooled, n, draws, rng)).sum())
        p_value = (far + 1) / (draws + 1)
        if p_value > UNREMARKABLE / 10:
            break
    return p_value if far else min(p_value, beyond())


def any_cell(window: Counts, pooled: Counts, n: int) -> float:
    """The chance that any cell is as far from its share as the furthest is: Fisher's exact one, times all cells."""
    total = int(pooled.sum())
    expected = pooled * (n / total)
    surprise = np.abs(window - expected) / np.sqrt(np.maximum(expected * (1 - pooled / total), 1e-9))
    least = 1.0
    for cell in np.argsort(-surprise)[:FURTHEST].tolist():
        ours, others = int(pooled[cell]), total - int(pooled[cell])
        if min(ours, others, n) <= SUPPORT:
            least = min(least, two_cells(int(window[cell]), ours, others, n))
    return min(1.0, least * pooled.size)


def two_cells(found: int, ours: int, others: int, n: int) -> float:
    """Fisher's exact test: all draws of `n` that are not more probable than the one with `found` of `ours`."""
    first, last = max(0, n - others), min(ours, n)
    steps = np.arange(first, last, dtype=np.float64)
    ratios = (ours - steps) / (steps + 1) * (n - steps) / (others - n + steps + 1)
    logs = np.append(0.0, np.cumsum(np.log(ratios)))
    chances = np.exp(logs - logs.max())
    return float(min(1.0, chances[logs <= logs[found - first] + 1e-7].sum() / chances.sum()))


def drawn(pooled: Counts, n: int, draws: int, rng: np.random.Generator) -> Counts:
    """Windows of `n` as they come about where nothing has changed: drawn from both samples together, by cell."""
    found = np.empty((draws, pooled.size), dtype=np.int64)
    left = np.full(draws, n, dtype=np.int64)
    others = int(pooled.sum())
    for cell, size in enumerate(pooled.tolist()):
        others -= size
        found[:, cell] = rng.hypergeometric(size, others, left) if others else left
        left -= found[:, cell]
    return found


def _chi_square(window: Counts, pooled: Counts, n: int) -> Floats:
    """Pearson's statistic of two rows, from one of them: the other follows from the sums."""
    total = int(pooled.sum())
    expected = pooled * (n / total)
    return np.asarray((((window - expected) ** 2) / expected).sum(axis=1) * total / (total - n), dtype=np.float64)


def _bounded(reference: Counts, window: Counts) -> tuple[Counts, Counts]:
    """At most 256 cells: those rarest in both together are made one."""
    if reference.size <= CELLS:
        return reference, window
    order = np.argsort(-(reference + window), kind="stable")
    first, rest = order[: CELLS - 1], order[CELLS - 1 :]
    return np.append(reference[first], reference[rest].sum()), np.append(window[first], window[rest].sum())


def kolmogorov(x: float) -> float:
    """The chance of more than x in Kolmogorov's distribution (Kolmogorov 1933)."""
    if x < 0.3:  # noqa: PLR2004 - there it is 1 but for 1e-5, and the sum needs many terms
        return 1.0
    terms = (math.exp(-2 * (k * x) ** 2) * (1 if k % 2 else -1) for k in range(1, 12))
    return min(1.0, max(0.0, 2 * sum(terms)))


def chi_square(freedom: int, x: float) -> float:
    """The chance of more than x in the chi-square distribution, as the finite sum that it is (Abramowitz and Stegun 26.4)."""
    if x <= 0:
        return 1.0
    half = x / 2
    if freedom % 2:
        found, log_term, start = math.erfc(math.sqrt(half)), math.log(4 * half / math.pi) / 2 - half, 1.5
    else:
        found, log_term, start = 0.0, -half, 1.0
    # Terms as logarithms: of many degrees of freedom one alone may exceed what a number holds.
    for step in range(freedom // 2):
        found += math.exp(log_term)
        log_term += math.log(half / (start + step))
    return min(1.0, found)


def _binomial(size: int, share: float) -> Floats:
    """The chance of each number of successes."""
    if size == 1:
        return np.array([1 - share, share])
    steps = np.arange(size, dtype=np.float64)
    ratios = np.log((size - steps) / (steps + 1)) + math.log(share) - math.log1p(-share)
    return np.asarray(np.exp(size * math.log1p(-share) + np.append(0.0, np.cumsum(ratios))), dtype=np.float64)


def _log_binomial(size: int, found: int, share: float) -> float:
    choices: float = math.lgamma(size + 1) - math.lgamma(found + 1) - math.lgamma(size - found + 1)
    return choices + found * math.log(share) + (size - found) * math.log1p(-share)
