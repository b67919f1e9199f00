"""Queueing: what more or fewer pods would do to the time from a request to its answer.

A pod works on one request at a time, and a Service spreads connections at random, without a queue that its pods
share. So each pod is a queue of its own, M/G/1, for which the formula of Pollaczek and Khinchine is exact
(L. Kleinrock, Queueing Systems, volume 1, 1975, section 5.6):

    mean time to answer = S + rate * E[S^2] / (2 * (1 - rate * S))

M/G/c by the approximation of Allen and Cunneen would take one queue for all pods, and promise too short a wait.

S, the time that a request keeps a pod busy, is not the latency that the pod counts: that leaves out what the server
does before and after, and may hold what a request waited. It is the pod's processor time for each request, in which
there is no waiting. Only how much it varies is read off the counted latencies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf, log, sqrt
from statistics import NormalDist

from refit.api.proposal import LATENCY, PredictedImpact
from refit.core.observed import Counted

LEAST_REQUESTS = 100
"""Fewer say too little; and what a pod does when nobody asks would weigh too much."""
BUSY = 0.95
"""From this share of its time on a pod is busy all the time, as far as ten seconds tell."""
POINTS = 400
"""In so many points the interval is worked out."""
STEPS = tuple(1.1673039782614187**-power for power in (1, 2, 3, 4))
"""Multiples of these, less their whole parts, fill the cube of four dimensions evenly (M. Roberts' R4 sequence)."""
NORMAL = NormalDist()
FLAT, STEEP = 0.01, 100.0
"""Slopes between which the formulas for an exponential density are told from nothing by a computer."""
MILLISECONDS = 1000


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What pods counted in so many seconds. `speed` is the share of a processor that each of them may use."""

    pods: tuple[Counted, ...]
    seconds: float
    speed: float

    @property
    def requests(self) -> int:
        return sum(pod.requests for pod in self.pods)

    @property
    def worked(self) -> float:
        """Seconds that the pods worked, all together."""
        return sum(pod.busy_seconds for pod in self.pods) / self.speed

    @property
    def busiest(self) -> float:
        """The share of the time that the busiest pod worked."""
        return max(pod.busy_seconds for pod in self.pods) / self.speed / self.seconds


@dataclass(frozen=True, kw_only=True)
class Work:
    """What comes: requests a second for all pods, and the first two moments of how long one keeps a pod busy."""

    rate: float
    mean: float
    squared: float

    def answered_in(self, share: float) -> float:
        """Mean milliseconds to an answer at a pod that gets this share of it; without end if it can not keep up."""
        rate = self.rate * share
        busy = rate * self.mean
        return MILLISECONDS * (self.mean + rate * self.squared / (2 * (1 - busy))) if busy < BUSY else inf


def latency(sample: Sample) -> float | str:
    """Mean milliseconds to an answer, each pod with the requests that it got; or why nobody can tell."""
    if sample.requests < LEAST_REQUESTS:
        return f"{sample.requests} requests in {sample.seconds:.0f} s are too few to tell, it takes {LEAST_REQUESTS}"
    if not sample.worked:
        return "its pods count no processor time"
    if sample.busiest >= BUSY:
        return "a pod is busy all the time; how much more comes than it answers, nobody counts"
    work = _work(sample, _groups(sample))
    shares = [pod.requests / sample.requests for pod in sample.pods]
    return sum(share * work.answered_in(share) for share in shares)


def foreseen(sample: Sample, replicas: int) -> PredictedImpact | str:
    """The same with so many pods, evenly asked, if as much comes as now; or why nobody can tell. The interval is of the
    mean in the long run, from what may be true for all that was counted."""
    now = latency(sample)
    if isinstance(now, str):
        return now
    groups = _groups(sample)
    found = _work(sample, groups).answered_in(1 / replicas)
    possible = sorted(work.answered_in(1 / replicas) for work in _possible(sample, groups))
    low, high = possible[POINTS // 20], possible[-1 - POINTS // 20]
    if high == inf:
        pods = "1 pod" if replicas == 1 else f"{replicas} pods"
        return f"{pods} might be busy all the time with what comes now, and requests would pile up"
    return PredictedImpact(
        metric=LATENCY,
        now=f"{now:.4g}",
        predicted=f"{found:.4g}",
        low=f"{low:.4g}",
        high=f"{high:.4g}",
        method=f"M/G/1 for each pod, on {sample.requests} requests in {sample.seconds:.0f} s, if as many come at random",
    )


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Requests that kept a pod busy about as long: how many, their mean, and the variance among them."""

    number: int
    mean: float
    variance: float


def _groups(sample: Sample) -> tuple[_Group, ...]:
    """The work by the latencies that were counted; what a request takes beside its latency is the same for each."""
    numbers = _numbers(sample)
    middles = _middles(numbers)
    # Their sum is known better than by bounds; what is more of it than the pods worked was waiting.
    known = min(sum(pod.latency_seconds for pod in sample.pods), sample.worked)
    scale = known / sum(number * middle for number, (middle, _) in zip(numbers.values(), middles, strict=True))
    around = (sample.worked - known) / sample.requests
    return tuple(
        _Group(number=number, mean=around + middle * scale, variance=variance * scale**2)
        for number, (middle, variance) in zip(numbers.values(), middles, strict=True)
        if number
    )


def _numbers(sample: Sample) -> dict[tuple[float, float], int]:
    """How many requests had a latency between these bounds, for all pods together."""
    found: dict[float, int] = {}
    for pod in sample.pods:
        for bound, number in pod.latencies:
            found[bound] = found.get(bound, 0) + number
    bounds = [0.0, *sorted(found)]
    return {(low, high if high < inf else 2 * low): found[high] for low, high in pairwise(bounds)}


def _middles(numbers: dict[tuple[float, float], int]) -> list[tuple[float, float]]:
    """Mean and variance of the latencies between each two bounds, as if their density went on as to the next ones:
    between one and two and a half times a number there is too much room for all to be in the middle."""
    places = [(low + high) / 2 for low, high in numbers]
    density = [log(max(number, 0.5) / (high - low)) for (low, high), number in numbers.items()]
    found = []
    for at, (low, high) in enumerate(numbers):
        before, after = max(at - 1, 0), min(at + 1, len(places) - 1)
        slope = (density[after] - density[before]) / (places[after] - places[before])
        mean, variance = _exponential(slope * (high - low))
        found.append((low + mean * (high - low), variance * (high - low) ** 2))
    return found


def _exponential(slope: float) -> tuple[float, float]:
    """Mean and variance of a number from 0 to 1 whose density is as exp(slope * x)."""
    slope = max(-STEEP, min(STEEP, slope))
    if abs(slope) < FLAT:
        return 1 / 2, 1 / 12
    return 1 / (1 - exp(-slope)) - 1 / slope, 1 / slope**2 - 1 / (exp(slope) + exp(-slope) - 2)


def _work(sample: Sample, groups: tuple[_Group, ...]) -> Work:
    """The work as it was counted."""
    return Work(
        rate=sample.requests / sample.seconds,
        mean=_mean(groups, lambda group: group.mean),
        squared=_mean(groups, lambda group: group.mean**2 + group.variance),
    )


def _possible(sample: Sample, groups: tuple[_Group, ...]) -> Iterator[Work]:
    """What may be true for all that was counted: rate and moments vary from sample to sample by the central limit
    theorem, in relation to their size, so that none falls below zero; and the variance within a group is a guess.

    Numbers that fill the unit cube evenly take the place of chance, so that the same counts give the same bytes.
    """
    work, number = _work(sample, groups), sample.requests
    within = _mean(groups, lambda group: group.variance)
    third = _mean(groups, lambda group: group.mean**3 + 3 * group.mean * group.variance)
    fourth = _mean(groups, lambda group: group.mean**4 + 6 * group.mean**2 * group.variance)
    of_mean = sqrt(max(0.0, work.squared - work.mean**2))
    of_squared = sqrt(max(0.0, fourth - work.squared**2))
    both = of_mean * of_squared
    alike = min(1.0, (third - work.mean * work.squared) / both) if both else 1.0
    for place in range(1, POINTS + 1):
        rate, mean, other, guess = ((place * step) % 1.0 for step in STEPS)
        of_rate, first, second = map(NORMAL.inv_cdf, (rate, mean, other))
        second = alike * first + sqrt(1 - alike**2) * second
        yield Work(
            rate=work.rate * exp(of_rate / sqrt(number)),
            mean=work.mean * exp(first * of_mean / work.mean / sqrt(number)),
            squared=work.squared * exp(second * of_squared / work.squared / sqrt(number)) + within * (2 * guess - 1),
        )


def _mean(groups: tuple[_Group, ...], of: Callable[[_Group], float]) -> float:
    return sum(group.number * of(group) for group in groups) / sum(group.number for group in groups)
