"""The queue's formula against queues that are simulated request by request."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import inf

import numpy as np
import pytest

from queues import World, world
from refit.api.proposal import PredictedImpact
from refit.core.observed import Counted
from refit.core.queueing import LEAST_REQUESTS, Sample, foreseen, latency
from refit_predictor.metrics import SECONDS

WORLDS, LONG = 60, 300.0


@pytest.mark.parametrize("spread", [0.1, 0.7, 1.3])
@pytest.mark.parametrize("busy", [0.2, 0.5, 0.8])
def test_the_formula_is_what_the_simulation_takes(busy: float, spread: float) -> None:
    source = np.random.default_rng([1, round(10 * busy), round(10 * spread)])
    asked = World(rate=2 * busy / 0.004, work=0.004, spread=spread)
    found = foreseen(asked.counted(source, 2, LONG), 3)
    assert isinstance(found, PredictedImpact)
    assert float(found.now) == pytest.approx(asked.answered_in(source, 2), rel=0.1)
    assert float(found.predicted) == pytest.approx(asked.answered_in(source, 3), rel=0.05)


def test_the_interval_holds_what_is_true_in_the_long_run() -> None:
    held = []
    for number in range(WORLDS):
        source = np.random.default_rng([2, number])
        pods, replicas = int(source.integers(1, 5)), int(source.integers(1, 7))
        asked = world(source, pods)
        found = foreseen(asked.counted(source, pods, 10.0), replicas)
        if isinstance(found, PredictedImpact):
            held.append(float(found.low) <= asked.answered_in(source, replicas) <= float(found.high))
    assert len(held) > WORLDS / 2
    assert np.mean(held) >= 0.8, "of 60; benchmarks/scaling.py counts it over 200"


def pod(number: int, work: float = 0.004, *, waited: float = 0.0) -> Counted:
    """One that has had so many requests, all alike; their latency holds what they waited."""
    took = work + waited
    bounds = [0.0, *SECONDS, inf]
    latencies = tuple((high, number if low < took <= high else 0) for low, high in pairwise(bounds))
    return Counted(busy_seconds=number * work, latency_seconds=number * took, latencies=latencies)


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        pytest.param([pod(1000)], 4 + 2 * 0.4 / 0.6, id="one pod"),
        pytest.param([pod(1000), pod(1000)], 4 + 2 * 0.4 / 0.6, id="two alike are as one"),
        pytest.param([pod(2000), pod(0)], 4 + 2 * 0.8 / 0.2, id="two of which one gets all: they share no queue"),
        pytest.param(
            [pod(1000, waited=0.05)], 4 + 2 * 0.4 / 0.6, id="what a latency holds of waiting is not counted twice"
        ),
    ],
)
def test_what_requests_wait_now(pods: list[Counted], expected: float) -> None:
    assert latency(Sample(pods=tuple(pods), seconds=10, speed=1.0)) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("counted", "replicas", "why"),
    [
        pytest.param(pod(LEAST_REQUESTS - 1), 2, "are too few to tell", id="too few requests"),
        pytest.param(
            replace(pod(200), busy_seconds=0.0), 2, "its pods count no processor time", id="no processor time"
        ),
        pytest.param(pod(2400), 2, "a pod is busy all the time", id="no time is left now"),
        pytest.param(pod(2300), 1, "1 pod might be busy all the time", id="no time might be left"),
    ],
)
def test_what_nobody_can_tell_is_said(counted: Counted, replicas: int, why: str) -> None:
    found = foreseen(Sample(pods=(counted,), seconds=10, speed=1.0), replicas)
    assert isinstance(found, str)
    assert why in found
