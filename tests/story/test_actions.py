"""What each action does and when it is refused, told with a cluster in memory."""

from __future__ import annotations

from typing import Any

import pytest

from life import KEY
from refit.kube.cluster import MODEL_DEPLOYMENT
from repairs import ACTING, acting, ask, decide, stand, the, words
from simulated import roll_out
from worlds import WATCHED


@pytest.mark.parametrize(
    ("spec", "expected", "said"),
    [
        pytest.param(
            {"parameters": {"toVersion": 2}},
            ("Failed", "NoVersion"),
            "spec.parameters.toVersion 2 serves now; versions that served before: 1",
            id="the version that serves",
        ),
        pytest.param(
            {"parameters": {"toVersion": 9}},
            ("Failed", "NoVersion"),
            "spec.parameters.toVersion 9 is not known; versions that served before: 1",
            id="a version that never was",
        ),
        pytest.param(
            {"parameters": {"toVersion": 1}, "expiresAt": "2036-11-21T12:00:00Z"},
            ("Failed", "OutOfBounds"),
            "spec.expiresAt 2036-11-21T12:00:00Z: must be 5 minutes to 7 days after the request was made",
            id="ten years to decide",
        ),
    ],
)
async def test_a_rollback_that_can_not_be_is_refused(
    spec: dict[str, Any], expected: tuple[str, str], said: str
) -> None:
    life = await acting()
    ask(life, "Rollback", **spec)
    await life.look()
    assert (stand(life), words(life)) == (expected, said)


async def test_scaling_beyond_the_spec_is_refused() -> None:
    life = await acting()
    life.declare(**WATCHED | {"remediation": ACTING, "serving": {"minReplicas": 1, "maxReplicas": 3}})
    ask(life, "Scale", parameters={"replicas": 4})
    await life.look()
    assert (stand(life), words(life)) == (
        ("Failed", "OutOfBounds"),
        "spec.parameters.replicas is 4, spec.serving allows 1 to 3; ask within them, or change maxReplicas",
    )


async def test_a_restart_replaces_the_pods_and_says_when_they_are_new() -> None:
    life = await acting()
    ask(life, "Restart")
    await life.look(2)
    assert stand(life) == ("Executing", "Executing")
    roll_out(life.cluster)
    await life.look(2)
    assert (stand(life), the(life)["outcome"]["result"]) == (("Executed", "Executed"), "Restarted")


async def test_a_change_of_the_spec_is_shown_then_made_once() -> None:
    life = await acting()
    ask(life, "ChangeConfig", parameters={"config": {"serving.maxReplicas": "3", "training.timeoutSeconds": "900"}})
    await life.look()
    assert the(life)["proposal"]["change"] == [
        {"what": "spec.serving.maxReplicas", "from": "1", "to": "3"},
        {"what": "spec.training.timeoutSeconds", "from": "1800", "to": "900"},
    ]
    decide(life)
    await life.look(4)
    assert stand(life) == ("Executed", "Executed")
    spec = life.cluster.objects[MODEL_DEPLOYMENT, *KEY]["spec"]
    assert (spec["serving"]["maxReplicas"], spec["training"]["timeoutSeconds"]) == (3, 900)
    assert len([1 for verb, kind, _ in life.cluster.journal if (verb, kind) == ("patch", "ModelDeployment")]) == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        pytest.param(
            {"data.split.seed": "1"}, "only fields of serving, monitoring, training", id="a field of the data"
        ),
        pytest.param({"serving.maxReplicas": "many"}, "serving.maxReplicas", id="no number"),
        pytest.param({"serving.maxReplicas": "1"}, "the spec says all of this already", id="what is so already"),
        pytest.param({"serving.nothing": "1"}, "serving.nothing", id="a field that is not there"),
    ],
)
async def test_a_change_that_can_not_be_is_refused(config: dict[str, str], said: str) -> None:
    life = await acting()
    ask(life, "ChangeConfig", parameters={"config": config})
    await life.look()
    assert stand(life) == ("Failed", "OutOfBounds")
    assert said in words(life)
