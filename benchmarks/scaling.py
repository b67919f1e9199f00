"""Whether what is foretold of a scaling holds: pods with queues, simulated request by request.

    python benchmarks/scaling.py [--worlds 200] [--json out.json]

In each world pods count for ten seconds, the mean time to an answer with another number of pods is foretold with its
90 % interval, and then as many pods are simulated for 400,000 requests. Worlds of which nothing can be foretold (too
few requests, pods that are busy all the time) are counted apart. Beside it: what one queue that all pods share, M/G/c by
Allen and Cunneen, would foretell of the very same worlds.
"""

from __future__ import annotations

import argparse
import sys
import time
from math import factorial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("tests/support", "benchmarks")]

from figures import Figure, tell  # noqa: E402  # beside this script, which runs without being installed

from queues import World, world  # noqa: E402  # as above
from refit.api.proposal import PredictedImpact  # noqa: E402  # the paths come first
from refit.core.queueing import foreseen  # noqa: E402  # as above

MANY = 1_000_000
"""Requests whose work shows its mean and spread."""


def run(worlds: int = 200) -> list[dict[str, Any]]:
    """One record per figure."""
    held: list[bool] = []
    widths, errors, others, spent = [], [], [], []
    drawn = 0
    while len(held) < worlds:
        source = np.random.default_rng([2026, drawn])
        drawn += 1
        pods, replicas = int(source.integers(1, 5)), int(source.integers(1, 7))
        asked = world(source, pods)
        sample = asked.counted(source, pods, 10.0)
        began = time.process_time()
        found = foreseen(sample, replicas)
        spent.append(time.process_time() - began)
        if not isinstance(found, PredictedImpact):
            continue
        truth = asked.answered_in(source, replicas)
        held.append(float(found.low) <= truth <= float(found.high))
        widths.append((float(found.high) - float(found.low)) / truth)
        errors.append(abs(float(found.predicted) / truth - 1))
        others.append(abs(_shared(asked, source, replicas) / truth - 1))
    figures = [
        Figure(
            what=f"predicted 90 % intervals of a scaling that hold the truth, of {worlds} worlds",
            value=100 * float(np.mean(held)),
            unit="%",
            at_least=85.0,
        ),
        Figure(what="their median width", value=100 * median(widths), unit="% of the truth"),
        Figure(
            what="off the truth, median",
            value=100 * median(errors),
            unit="%",
            compared_with=f"one shared queue (Allen-Cunneen), told rate and work: {100 * median(others):.1f} %",
            ratio=median(errors) / median(others),
        ),
        Figure(what="worlds of which nothing can be foretold", value=100 * (1 - worlds / drawn), unit="%"),
        Figure(what="one estimate, median", value=1000 * median(spent), unit="ms of CPU", at_most=50.0),
    ]
    return [figure.record() for figure in figures]


def _shared(asked: World, source: np.random.Generator, pods: int) -> float:
    """Mean milliseconds to an answer if all pods shared a queue (A. O. Allen, Probability, Statistics, and Queueing
    Theory, 1978, section 5.2.4), from what is true of the work."""
    works = asked.works(source, MANY)
    offered = asked.rate * float(works.mean())
    busy = offered / pods
    terms = sum(offered**number / factorial(number) for number in range(pods))
    last = offered**pods / factorial(pods) / (1 - busy)
    waits = last / (terms + last)
    spread = float(works.var() / works.mean() ** 2)
    return 1000 * float(works.mean()) * (1 + waits / (pods * (1 - busy)) * (1 + spread) / 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--json", type=Path, help="file for the records")
    given = parser.parse_args()
    tell(run(given.worlds), given.json)


if __name__ == "__main__":
    main()
