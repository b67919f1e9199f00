"""A new version gets a share of the requests first, on the real cluster and under load, and no request is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from load import counted, loaded
from real_cluster import Manifest, RealCluster, Space, eventually, namespace
from specs import RECORD, heart

pytestmark = pytest.mark.cluster

POD_SECURITY = "baseline"
"""KServe 0.20 names no seccomp profile for the pods of its router."""
PERCENT = 20
CANARY: dict[str, Any] = {"canary": {"percent": PERCENT, "seconds": 30, "maxErrorPercent": 2, "minRequests": 50}}
PAUSE = 0.05
WRONG = {"instances": [{"no such column": 1}]}


@pytest.fixture(scope="module")
def model(space: Space) -> Space:
    """One model that serves behind KServe's router."""
    space.declare("heart", heart(serving=CANARY))
    space.becomes_ready("heart")
    eventually(lambda: canary_says(space, "CanaryReady"), 120, "the router is ready")
    return space


@pytest.fixture
def load(model: Space) -> Iterator[str]:
    """The name of a pod that asks at the address that status tells, twenty times a second."""
    url = status(model)["url"]
    assert url == f"http://heart-router.{model.name}.svc.cluster.local"
    with loaded(model, "heart", RECORD, base=url, pause=PAUSE) as name:
        yield name


def status(space: Space) -> Manifest:
    return dict(space.deployment("heart")["status"])


def canary_says(space: Space, reason: str) -> bool:
    found = space.condition("heart", "Canary")
    return found is not None and found["reason"] == reason


def shares(space: Space, version: int) -> bool:
    """Whether that version gets its share of the requests."""
    found = status(space).get("canary") or {}
    return found.get("version") == version and found.get("phase") == "Splitting" and bool(found.get("since"))


def changed(space: Space, folds: int) -> tuple[int, int]:
    """The versions before and after, once the one after gets its share."""
    found = status(space)
    known = max(int(each["version"]) for each in found["history"])
    space.declare("heart", heart(serving=CANARY, folds=folds))
    # Versions are numbered one after the other, and nobody else trains this model.
    eventually(lambda: shares(space, known + 1), 240, f"version {known + 1} gets its share")
    return int(found["serving"]["version"]), known + 1


def alone(space: Space, load: str, version: int) -> dict[str, Any]:
    """What was counted, once only that version is left and has answered for a while."""
    path = space.path("serving.kserve.io/v1beta1", "inferenceservices", "heart-canary")
    eventually(lambda: space.cluster.get(path) is None, 120, "the candidate's own service is gone")
    since = counted(space, load)["answers"]

    def look() -> dict[str, Any] | None:
        now = counted(space, load)
        grown = {name: count - since.get(name, 0) for name, count in now["answers"].items()}
        assert {name for name, more in grown.items() if more} <= {str(version)}
        return now if grown.get(str(version), 0) > 60 else None

    return eventually(look, 60, f"version {version} answers alone")


def test_a_version_gets_its_share_and_then_all_without_a_failed_request(model: Space, load: str) -> None:
    before, after = changed(model, 3)
    first = counted(model, load)["answers"]
    eventually(lambda: status(model)["canary"]["phase"] != "Splitting", 90, "its time is over")
    last = counted(model, load)["answers"]
    grown = {name: count - first.get(name, 0) for name, count in last.items()}
    assert PERCENT - 8 <= 100 * grown[str(after)] / sum(grown.values()) <= PERCENT + 8, grown
    model.becomes_ready("heart")
    assert canary_says(model, "CanaryPassed")
    seen = alone(model, load, after)
    assert (seen["failures"], set(seen["answers"])) == ([], {str(before), str(after)})
    found = status(model)
    assert (found["serving"]["version"], found["canary"]["errors"]) == (after, 0)
    assert found["canary"]["requests"] >= CANARY["canary"]["minRequests"]


def test_a_version_that_answers_with_errors_is_taken_back_without_a_failed_request(model: Space, load: str) -> None:
    before, after = changed(model, 4)
    service = model.path("v1", "services", "heart-canary-predictor:80/proxy/v1/models/heart:predict")
    codes = {model.cluster.client.request("POST", service, body=WRONG).code for _ in range(100)}
    assert codes == {422}
    eventually(lambda: canary_says(model, "CanaryFailed"), 60, "the gate is closed")
    seen = alone(model, load, before)
    assert (seen["failures"], set(seen["answers"])) == ([], {str(before), str(after)})
    [record] = [each for each in status(model)["history"] if each["version"] == after]
    assert (record["state"], record["reason"]) == ("Failed", "CanaryFailed")


def test_the_field_taken_away_takes_the_version_back_without_a_failed_request(model: Space, load: str) -> None:
    before, after = changed(model, 5)
    patch = json.dumps([{"op": "remove", "path": "/spec/serving/canary"}])
    model.cluster.run("patch", "mdep", "heart", "-n", model.name, "--type=json", "-p", patch)
    eventually(lambda: canary_says(model, "CanaryAborted"), 60, "it is taken back")
    seen = alone(model, load, before)
    assert (seen["failures"], set(seen["answers"])) == ([], {str(before), str(after)})
    found = status(model)
    assert (found["serving"]["version"], found["url"]) == (
        before,
        f"http://heart-router.{model.name}.svc.cluster.local",
    )


def test_where_the_router_may_not_run_the_condition_says_so_and_the_roll_out_goes_on(cluster: RealCluster) -> None:
    with namespace(cluster, "e2e-canary-restricted", "restricted") as space:
        space.declare("heart", heart(serving=CANARY))
        first = space.becomes_ready("heart")["status"]["serving"]["version"]
        eventually(lambda: canary_says(space, "CanaryUnavailable"), 60, "it is told")
        message = eventually(
            lambda: next(
                (
                    each["message"]
                    for each in status(space)["conditions"]
                    if each["type"] == "Canary" and each["status"] == "False"
                ),
                None,
            ),
            60,
            "what is missing is known",
        )
        assert "seccompProfile" in message
        space.declare("heart", heart(serving=CANARY, folds=3))
        found = space.becomes_ready("heart")["status"]
        assert (found["serving"]["version"] > first, found["canary"]["phase"]) == (True, "Skipped")
        assert found["url"] == f"http://heart-predictor.{space.name}.svc.cluster.local"
