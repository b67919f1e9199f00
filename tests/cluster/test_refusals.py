"""What can not become a model says so, on a real cluster, and no second Job is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from real_cluster import Space
from specs import HEART, SLOW, heart

pytestmark = pytest.mark.cluster

CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "wrong-digest": (
        heart(data={"source": {"uri": HEART, "sha256": "0" * 64}}),
        "DigestMismatch",
        "000000000000",
    ),
    "no-target": (heart(data={"target": {"column": "outcome"}}), "ColumnMissing", "outcome"),
    "no-column": (
        heart(data={"columns": [{"name": "num"}, {"name": "age"}, {"name": "weight"}]}),
        "ColumnMissing",
        "weight",
    ),
    "out-of-range": (
        heart(data={"columns": [{"name": "num"}, {"name": "age", "max": "50"}]}),
        "OutOfRange",
        "age",
    ),
    "below-bound": (heart(selection={"metric": "f1", "minimum": "0.999"}), "BelowBound", "0.999"),
    "unreachable": (heart(data={"source": {"uri": "http://nowhere.invalid/a.csv"}}), "TrainingFailed", "exit code 1"),
    "hangs": (heart(candidates=SLOW, folds=10, timeoutSeconds=45), "TrainingTimeout", "timeoutSeconds"),
    "bad-schedule": (heart(schedule="* * * * *"), "InvalidSpec", "every 5 minutes"),
}


@pytest.fixture(scope="module")
def declared(space: Space) -> Space:
    """All of them at once: their Jobs run side by side."""
    for name, (spec, _, _) in CASES.items():
        space.declare(name, spec)
    return space


@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace("-", " "))
def test_what_is_refused_says_why_and_what(declared: Space, name: str) -> None:
    _, reason, fragment = CASES[name]
    stalled = declared.becomes_stalled(name)
    assert (stalled["reason"], fragment in stalled["message"]) == (reason, True), stalled
    ready = declared.condition(name, "Ready")
    assert ready is not None
    assert (ready["status"], ready["reason"]) == ("False", reason)


def test_each_was_tried_in_one_job(declared: Space) -> None:
    for name in CASES:
        declared.becomes_stalled(name)
    counts = dict.fromkeys(CASES, 0)
    for job in declared.jobs_ever_created():
        counts[job.split("-train-")[0]] += 1
    assert counts == {name: (0 if name == "bad-schedule" else 1) for name in CASES}
