"""What the approval guard costs: a person's decision with its policies and without, on a live API server.

    python benchmarks/approval.py [--decisions 300]

Each decision is a merge patch of the status of a request of its own, as kubectl sends it, over a connection that is kept.
Blocks with and without the guard alternate, so that a busy machine slows down both. Beside it, one self-test of the operator.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("cluster", "tests/support", "benchmarks")]

from figures import Figure, table  # noqa: E402  # beside this script, which runs without being installed

from guarded import OPERATOR, PLURALS, Guarded, approvals, guarded, yes  # noqa: E402
from refit.api import guard  # noqa: E402
from refit.kube.live import LiveCluster, connect  # noqa: E402
from refit.shell.guard import Guard  # noqa: E402

DECISIONS, BLOCKS = 300, 4
BINDINGS = [f"{PLURALS[guard.BINDING_KIND]}/{name}" for name in guard.POLICIES]


def run(decisions: int = DECISIONS) -> list[dict[str, Any]]:
    """The figures, as records."""
    with guarded() as plane:
        found: dict[bool, list[float]] = {True: [], False: []}
        for block in range(2 * BLOCKS):
            there = block % 2 == 0
            with ExitStack() as stack:
                if not there:
                    for path in BINDINGS:
                        stack.enter_context(plane.without(path))
                    plane.await_unenforced()
                found[there] += _decided(plane, decisions // BLOCKS)
            plane.await_enforced()
        tests = asyncio.run(_self_tests(plane))
    return [figure.record() for figure in _figures(found[True], found[False], tests)]


def _decided(plane: Guarded, count: int) -> list[float]:
    """Milliseconds of each decision."""
    paths = [plane.asked() for _ in range(count)]
    alice, found = plane.who("alice"), []
    for path in paths:
        began = time.perf_counter()
        alice.merge(f"{path}/status", approvals({"alice": yes()})).accepted()
        found.append(1000 * (time.perf_counter() - began))
    return found


async def _self_tests(plane: Guarded) -> list[float]:
    found = []
    async with await connect(str(plane.plane.kubeconfig_for(OPERATOR)), None) as api:
        tested = Guard(cluster=LiveCluster(api), identity=OPERATOR)
        for _ in range(20):
            began = time.perf_counter()
            state = await tested.state(datetime.now(UTC), fresh=True)
            found.append(1000 * (time.perf_counter() - began))
            assert state.ok, state.message
    return found


def _figures(guarded_ms: list[float], bare_ms: list[float], tests_ms: list[float]) -> Iterator[Figure]:
    for name, of in (("p50", statistics.median), ("p95", _p95)):
        with_it, without = of(guarded_ms), of(bare_ms)
        yield Figure(
            what=f"a decision: {name}",
            value=with_it,
            unit="ms",
            compared_with=f"no policies: {without:.2f} ms",
            ratio=with_it / without,
        )
    yield Figure(what="a self-test of the guard: p50", value=statistics.median(tests_ms), unit="ms")


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=DECISIONS)
    print(table(run(parser.parse_args().decisions)))


if __name__ == "__main__":
    main()
