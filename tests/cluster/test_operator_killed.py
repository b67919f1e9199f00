"""The operator is killed ten times during one life: nothing is done twice, and the end is the same."""

from __future__ import annotations

import random

import pytest

from operators import kill_operator
from real_cluster import Space
from specs import heart

pytestmark = pytest.mark.cluster

KILLS = 10
SEED = 20261121


def test_ten_kills_in_one_life_make_one_job_for_each_generation(space: Space) -> None:
    moments = random.Random(SEED)  # noqa: S311  # a repeatable choice of moments
    space.declare("heart", heart())
    for number in range(KILLS):
        if number == KILLS // 2:
            space.becomes_ready("heart")
            space.declare("heart", heart(folds=3))
        passes = moments.randrange(6)
        seen = space.cluster.run("get", "modeldeployment", "heart", "-n", space.name, "-o", "jsonpath={.status}")
        for _ in range(passes):  # a random moment, counted in looks at the status
            seen = space.cluster.run("get", "modeldeployment", "heart", "-n", space.name, "-o", "jsonpath={.status}")
        assert seen
        kill_operator(space)
    found = space.becomes_ready("heart")
    status = found["status"]
    keys = [record["key"] for record in status["history"]]
    assert len(keys) == 2
    assert sorted(space.jobs_ever_created()) == sorted(f"heart-train-{key}-1" for key in keys)
    assert [record["state"] for record in status["history"]] == ["Retired", "Serving"]
    assert (status["training"]["attempt"], status["observedGeneration"]) == (1, found["metadata"]["generation"])
