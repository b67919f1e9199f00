"""How far two distributions are apart, as the usual statistics say it. The reference is known by its profile only.

Shares are vectors that add up to one, aligned with each other; the formulas and their sources are in
docs/monitoring.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refit.api.profile import CategoryProfile, NumberProfile
from refit_monitor.columns import Counts, Floats, NumbersSeen, TextsSeen, knots

BINS = 10
SMALLEST_SHARE = 1e-4
"""What an empty bin's share counts as in the population stability index, whose logarithm has no value for nothing."""


@dataclass(frozen=True)
class NumberPair:
    """A profile's numbers and a window's, counted at the profile's knots: at most each knot, and less."""

    profile: NumberProfile
    seen: NumbersSeen
    knots: NDArray[np.float32]
    reference_upto: Counts
    reference_below: Counts
    window_upto: Counts
    window_below: Counts

    def distance(self) -> float:
        """Kolmogorov-Smirnov: the largest difference of the two distribution functions, looked for at the knots."""
        m, n = self.profile.count, self.seen.count
        after = self.reference_upto / m - self.window_upto / n
        before = self.reference_below / m - self.window_below / n
        return float(max(np.abs(after).max(), np.abs(before).max()))

    def wasserstein(self) -> float:
        """The area between the two distribution functions, in standard deviations of the reference.

        Between two knots the reference's function is level, so that the window's crosses it once at most.
        """
        m, n = self.profile.count, self.seen.count
        ordered = self.seen.ordered.astype(np.float64)
        sums = np.append(0.0, np.cumsum(ordered))
        knots = self.knots.astype(np.float64)
        ends = np.concatenate(([min(ordered[0], knots[0])], knots, [max(ordered[-1], knots[-1])]))
        places = np.concatenate(([0], self.window_upto, [n]))
        level = np.concatenate(([0], self.reference_upto)) / m
        reached = np.ceil(level * n - 1e-9).astype(np.int64)  # so many values take the window's function to the level
        crossing = np.clip(reached, places[:-1], places[1:])
        inside = ordered[np.clip(reached - 1, 0, n - 1)]
        at = np.where(reached <= places[:-1], ends[:-1], np.where(reached > places[1:], ends[1:], inside))

        def integral(low: Floats, high: Floats, first: Counts, last: Counts) -> Floats:
            """Of the window's function from low to high; `first` and `last` count its values up to there."""
            return np.asarray((high * last - low * first - (sums[last] - sums[first])) / n, dtype=np.float64)

        below = level * (at - ends[:-1]) - integral(ends[:-1], at, places[:-1], crossing)
        above = integral(at, ends[1:], crossing, places[1:]) - level * (ends[1:] - at)
        return float((below + above).sum() / max(self.profile.deviation, 1e-3))

    def bins(self) -> tuple[Counts, Counts]:
        """Both counted in ten bins that hold equally many of the reference, as far as its values allow; upper ends included."""
        ranks = np.arange(1, BINS) / BINS * self.profile.count
        chosen = np.unique(np.searchsorted(self.reference_upto, ranks - 1e-9))
        chosen = chosen[self.reference_upto[chosen] < self.profile.count]
        return (
            np.diff(np.concatenate(([0], self.reference_upto[chosen], [self.profile.count]))),
            np.diff(np.concatenate(([0], self.window_upto[chosen], [self.seen.count]))),
        )


def number_pair(profile: NumberProfile, seen: NumbersSeen) -> NumberPair:
    places, upto, below = knots(profile)
    return NumberPair(
        profile=profile,
        seen=seen,
        knots=places,
        reference_upto=upto,
        reference_below=below,
        window_upto=np.searchsorted(seen.ordered, places, "right"),
        window_below=np.searchsorted(seen.ordered, places, "left"),
    )


def word_counts(profile: CategoryProfile, seen: TextsSeen) -> tuple[Counts, Counts]:
    """Both by word; a word that the reference never had has a cell of its own."""
    words = [*profile.counts, *(word for word in seen.counts if word not in profile.counts)]
    return (
        np.array([profile.counts.get(word, 0) for word in words], dtype=np.int64),
        np.array([seen.counts.get(word, 0) for word in words], dtype=np.int64),
    )


def total_variation(p: Floats, q: Floats) -> float:
    """The largest difference in probability that any set of cells has: half the sum of the differences. 0 to 1."""
    return float(np.abs(p - q).sum() / 2)


def triangular(p: Floats, q: Floats) -> float:
    """The root of the triangular discrimination. 0 to 1: Cramér's V of two samples as if they were equally large."""
    both = p + q
    there = both > 0
    return float(np.sqrt(((p - q)[there] ** 2 / both[there]).sum() / 2))


def stability_index(p: Floats, q: Floats) -> float:
    """The population stability index. No upper bound."""
    p, q = (np.where(shares == 0, SMALLEST_SHARE, shares) for shares in (p, q))
    return float(((p - q) * np.log(p / q)).sum())


def jensen_shannon(p: Floats, q: Floats) -> float:
    """The Jensen-Shannon distance, with logarithms to base 2. 0 to 1."""
    middle = (p + q) / 2

    def divergence(shares: Floats) -> float:
        there = shares > 0
        return float((shares[there] * np.log2(shares[there] / middle[there])).sum())

    return float(np.sqrt(max(0.0, (divergence(p) + divergence(q)) / 2)))


def shares(counts: Counts) -> Floats:
    return np.asarray(counts / counts.sum(), dtype=np.float64)
