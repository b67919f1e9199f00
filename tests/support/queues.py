"""Pods with a queue each, simulated request by request: what they count, and how long the requests really took."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from refit.core.observed import Counted
from refit.core.queueing import Sample
from refit_predictor.metrics import SECONDS

Floats = NDArray[np.float64]
OUTSIDE = 0.0003
"""Seconds of work for each request that are not in the latency that a pod counts; a predictor was measured."""
LONG = 400_000
"""Requests that show what is true in the long run."""


@dataclass(frozen=True)
class World:
    """Requests that come at random, `rate` a second; `spread` is the coefficient of variation of their work."""

    rate: float
    work: float
    spread: float
    lumped: bool = False

    def works(self, source: np.random.Generator, number: int) -> Floats:
        """Seconds of work of each: log-normal, or short ones and a few long ones."""
        if self.lumped:
            # Every tenth is so much longer that mean and spread are about as they should be.
            gap = self.spread * self.work / 0.3
            means = np.where(source.random(number) < 0.1, self.work + 0.9 * gap, self.work - 0.1 * gap)
            return means * source.lognormal(-0.02, 0.2, number)
        sigma = np.sqrt(np.log1p(self.spread**2))
        return source.lognormal(np.log(self.work) - sigma**2 / 2, sigma, number)

    def counted(self, source: np.random.Generator, pods: int, seconds: float) -> Sample:
        """What pods count of it in so many seconds, after a while."""
        before = 30.0
        found = []
        for _ in range(pods):
            number = source.poisson(self.rate / pods * (before + seconds))
            comes = np.sort(source.uniform(0, before + seconds, number))
            works = self.works(source, number)
            ends = comes + works + _waits(comes, works)
            inside = (ends >= before) & (ends < before + seconds)
            found.append(_counted(works[inside]))
        return Sample(pods=tuple(found), seconds=seconds, speed=1.0)

    def answered_in(self, source: np.random.Generator, pods: int) -> float:
        """Mean milliseconds to an answer with so many pods, in the long run."""
        comes = np.cumsum(source.exponential(pods / self.rate, LONG))
        works = self.works(source, LONG)
        return float(1000 * np.mean((works + _waits(comes, works))[LONG // 20 :]))


def world(source: np.random.Generator, pods: int) -> World:
    """One in which so many pods are not busy all the time."""
    work, busy = 10 ** source.uniform(-3, -1), source.uniform(0.1, 0.85)
    rate = busy * pods / work
    return World(rate, work, source.uniform(0.1, 1.5), lumped=bool(source.random() < 0.3))


def _waits(comes: Floats, works: Floats) -> Floats:
    """How long each waits at a pod that takes one after the other (D. V. Lindley, 1952)."""
    if not len(comes):
        return comes
    steps = np.concatenate([[0.0], np.cumsum(works[:-1] - np.diff(comes))])
    return steps - np.minimum.accumulate(steps)


def _counted(works: Floats) -> Counted:
    latencies = np.maximum(works - OUTSIDE, 0.0)
    bounds = [*SECONDS, inf]
    numbers = np.histogram(latencies, [0.0, *bounds])[0]
    return Counted(
        busy_seconds=float(works.sum()),
        latency_seconds=float(latencies.sum()),
        latencies=tuple(zip(bounds, numbers.tolist(), strict=True)),
    )
