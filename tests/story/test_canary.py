"""A new version gets a share of the requests first; told with a cluster in memory: it passes, fails, is taken back."""

from __future__ import annotations

from typing import Any

import pytest

from fake_cluster import FakeCluster
from life import Life
from refit.api.conditions import find
from refit.api.deploymentstatus import CanaryPhase, CanaryStatus, VersionState
from refit.core.observed import Traffic
from refit.core.splitter import weight_of
from refit.kube.cluster import DEPLOYMENT, INFERENCE_GRAPH, INFERENCE_SERVICE, POD, UnreachableError
from simulated import NAMESPACE, roll_out, route
from worlds import SPEC, minutes

CANARY: dict[str, Any] = {"canary": {"percent": 10, "seconds": 60, "maxErrorPercent": 5, "minRequests": 40}}
ROUTER = "http://heart-router.clinic.svc"
CHANGED = {**SPEC["training"], "folds": 3}
WELL = Traffic(requests=101, errors=0)


async def started(life: Life) -> Life:
    """Version 1 serves behind a graph, and a changed spec has made version 2."""
    life.declare(serving=CANARY)
    await life.look()
    await life.serve()
    route(life.cluster)
    await life.look()
    life.declare(serving=CANARY, training=CHANGED)
    await life.look()
    life.trained(2)
    await life.look(2)
    return life


async def shared_out(life: Life) -> Life:
    """Version 2 is proved and gets its share."""
    await started(life)
    roll_out(life.cluster, "heart-canary")
    await life.look()
    life.endpoint.counted = Traffic(requests=1)
    route(life.cluster)
    await life.look()
    return life


@pytest.fixture
def life() -> Life:
    return Life()


def canary(life: Life) -> CanaryStatus:
    found = life.status().canary
    assert found is not None
    return found


def services(life: Life) -> dict[str, str]:
    """Which version each InferenceService should serve."""
    found = {}
    for (kind, _, name), manifest in life.cluster.objects.items():
        if kind == INFERENCE_SERVICE:
            env = {item["name"]: item["value"] for item in manifest["spec"]["predictor"]["model"]["env"]}
            found[name] = env["REFIT_MODEL_VERSION"]
    return found


def weight(life: Life) -> int:
    return weight_of(life.cluster.objects[INFERENCE_GRAPH, NAMESPACE, "heart-router"]["spec"])


def states(life: Life) -> list[tuple[int, VersionState]]:
    return [(record.version, record.state) for record in life.status().history]


async def test_the_first_version_is_served_at_once_and_the_graph_is_the_address(life: Life) -> None:
    life.declare(serving=CANARY)
    await life.look()
    await life.serve()
    assert (life.condition("Canary"), life.status().url) == (
        ("Unknown", "CanaryUnavailable"),
        "http://heart-predictor.clinic.svc",
    )
    route(life.cluster)
    await life.look()
    assert (life.ready(), life.condition("Canary"), life.status().url, services(life)) == (
        ("True", "Serving"),
        ("True", "CanaryReady"),
        ROUTER,
        {"heart": "1"},
    )


async def test_a_candidate_stands_beside_what_serves_and_gets_nothing_before_it_is_proved(life: Life) -> None:
    await started(life)
    assert (services(life), weight(life), life.ready(), life.condition("Canary")) == (
        {"heart": "1", "heart-canary": "2"},
        0,
        ("False", "RollingOut"),
        ("True", "Canarying"),
    )


async def test_a_candidate_that_answers_well_takes_over(life: Life) -> None:
    await shared_out(life)
    assert (services(life), weight(life), canary(life).since) == (
        {"heart": "1", "heart-canary": "2"},
        10,
        "2026-11-21T12:00:00Z",
    )
    life.now += minutes(0.5)
    life.endpoint.counted = WELL
    await life.look()
    assert (canary(life).requests, canary(life).errors, services(life)["heart"]) == (100, 0, "1")
    life.now += minutes(0.5)
    await life.look()
    assert (canary(life).phase, services(life)["heart"], weight(life)) == (CanaryPhase.PROMOTING, "2", 10)
    roll_out(life.cluster)
    await life.look()
    assert (life.ready(), life.condition("Canary"), weight(life), "heart-canary" in services(life)) == (
        ("True", "Serving"),
        ("True", "CanaryPassed"),
        0,
        True,
    )
    assert canary(life).message == "version 2 passed with 0 errors in 100 requests and serves alone"
    assert states(life) == [(1, VersionState.RETIRED), (2, VersionState.SERVING)]


async def test_the_candidates_own_service_stays_as_long_as_a_pod_of_the_router_may_ask_it(life: Life) -> None:
    await shared_out(life)
    life.endpoint.counted = WELL
    life.now += minutes(1)
    await life.look()
    roll_out(life.cluster)
    await life.look(2)
    route(life.cluster, leaving=10)
    await life.look(2)
    assert services(life) == {"heart": "2", "heart-canary": "2"}
    life.cluster.remove(POD, NAMESPACE, "heart-router-leaving")
    await life.look()
    assert (services(life), life.status().url) == ({"heart": "2"}, ROUTER)
    life.cluster.journal.clear()
    await life.look(3)
    assert life.cluster.journal == []


async def taken_back(life: Life, message: str) -> None:
    """The next pass takes version 2 back for that; version 1 serves as before."""
    await life.look()
    assert (life.ready(), life.condition("Canary"), services(life)["heart"], weight(life)) == (
        ("False", "CanaryFailed"),
        ("False", "CanaryFailed"),
        "1",
        0,
    )
    assert canary(life).message == f"version 2: {message}"
    route(life.cluster)
    await life.look(2)
    assert (services(life), states(life), life.condition("Available")) == (
        {"heart": "1"},
        [(1, VersionState.SERVING), (2, VersionState.FAILED)],
        ("True", "Serving"),
    )


async def test_a_candidate_that_answers_too_many_requests_with_an_error_is_taken_back(life: Life) -> None:
    await shared_out(life)
    life.endpoint.counted = Traffic(requests=101, errors=6)
    await taken_back(life, "6 errors in 100 requests are more than spec.serving.canary.maxErrorPercent 5 allows")


async def test_a_candidate_of_which_a_pod_ends_is_taken_back(life: Life) -> None:
    await shared_out(life)
    template = life.cluster.objects[DEPLOYMENT, NAMESPACE, "heart-canary-predictor"]["spec"]["template"]
    state = {"terminated": {"exitCode": 137, "message": "out of memory"}}
    ended = {"name": "kserve-container", "restartCount": 1, "lastState": state}
    metadata = {"name": "p", "namespace": NAMESPACE, "labels": {"app": "isvc.heart-canary-predictor"}}
    status = {"podIP": "10.244.0.9", "containerStatuses": [ended]}
    life.cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **template, "status": status})
    await taken_back(life, "a pod of it ended: out of memory")


async def test_a_candidate_whose_pods_are_gone_is_taken_back(life: Life) -> None:
    await shared_out(life)
    life.cluster.objects[DEPLOYMENT, NAMESPACE, "heart-canary-predictor"]["status"] = {"observedGeneration": 1}
    await life.look()
    assert (life.ready(), canary(life).message) == (
        ("False", "CanaryFailed"),
        "version 2: none of its pods is ready any more",
    )


async def test_a_candidate_that_is_not_what_was_trained_gets_no_request(life: Life) -> None:
    await started(life)
    life.endpoint.golden = False
    roll_out(life.cluster, "heart-canary")
    await life.look(3)
    assert (life.ready(), life.condition("Canary"), services(life), weight(life)) == (
        ("False", "GoldenMismatch"),
        ("False", "CanaryFailed"),
        {"heart": "1"},
        0,
    )


async def test_too_few_requests_judge_nothing(life: Life) -> None:
    await shared_out(life)
    life.endpoint.counted = Traffic(requests=31, errors=3)
    life.now += minutes(10)
    await life.look()
    assert (canary(life).phase, life.condition("Canary"), canary(life).message) == (
        CanaryPhase.SPLITTING,
        ("True", "Canarying"),
        "version 2 gets 10 % of the requests: 3 errors in 30 requests so far; 10 more are needed to judge it",
    )


async def test_pods_that_cannot_be_asked_judge_nothing(life: Life) -> None:
    await shared_out(life)
    life.endpoint.counted = WELL
    await life.look()
    life.endpoint.counted = Traffic(problem="GET http://10.244.0.9:8080/metrics: 500")
    life.now += minutes(10)
    await life.look()
    assert (canary(life).phase, canary(life).requests) == (CanaryPhase.SPLITTING, 100)
    assert "what it answers is not known: GET http://10.244.0.9:8080/metrics: 500" in canary(life).message


async def test_a_field_taken_away_takes_the_candidate_back_and_the_address_stays(life: Life) -> None:
    await shared_out(life)
    life.declare(training=CHANGED)
    await life.look()
    assert (life.ready(), life.condition("Canary"), services(life)["heart"], weight(life), life.status().url) == (
        ("False", "CanaryAborted"),
        ("False", "CanaryAborted"),
        "1",
        0,
        ROUTER,
    )
    route(life.cluster)
    await life.look(3)
    assert (services(life), states(life), life.status().url) == (
        {"heart": "1"},
        [(1, VersionState.SERVING), (2, VersionState.RETIRED)],
        ROUTER,
    )


async def test_a_field_taken_away_while_the_candidate_takes_over_takes_it_back_too(life: Life) -> None:
    await shared_out(life)
    life.endpoint.counted = WELL
    life.now += minutes(1)
    await life.look()
    life.declare(training=CHANGED)
    await life.look()
    assert (services(life)["heart"], weight(life), life.condition("Canary")) == ("1", 0, ("False", "CanaryAborted"))


async def test_a_graph_that_nobody_wants_any_more_may_be_deleted(life: Life) -> None:
    await shared_out(life)
    life.declare(training=CHANGED)
    await life.look()
    route(life.cluster)
    await life.look()
    life.cluster.remove(INFERENCE_GRAPH, NAMESPACE, "heart-router")
    await life.look(2)
    assert (life.cluster.names(INFERENCE_GRAPH), life.status().url, life.status().canary) == (
        [],
        "http://heart-predictor.clinic.svc",
        None,
    )


async def test_a_graph_that_somebody_deletes_is_made_again(life: Life) -> None:
    await shared_out(life)
    life.cluster.remove(INFERENCE_GRAPH, NAMESPACE, "heart-router")
    await life.look()
    assert weight(life) == 10


async def test_a_newer_version_takes_the_place_of_the_candidate(life: Life) -> None:
    await shared_out(life)
    life.declare(serving=CANARY, training={**CHANGED, "folds": 4})
    await life.look()
    life.trained(3)
    await life.look(2)
    assert (canary(life).version, canary(life).phase, services(life), weight(life)) == (
        3,
        CanaryPhase.STARTING,
        {"heart": "1", "heart-canary": "2"},
        0,
    )
    route(life.cluster)
    await life.look(2)
    assert services(life) == {"heart": "1", "heart-canary": "3"}


@pytest.mark.parametrize(
    ("graphs", "refused", "told"),
    [
        pytest.param(False, "", "does not know serving.kserve.io/v1alpha1 InferenceGraph", id="which has no graphs"),
        pytest.param(
            True, "violates PodSecurity", "router may not run here: violates PodSecurity", id="that refuses its pods"
        ),
    ],
)
async def test_a_cluster_rolls_out_the_direct_way_and_says_why(graphs: bool, refused: str, told: str) -> None:
    life = Life(cluster=FakeCluster(graphs=graphs))
    life.declare(serving=CANARY)
    await life.look()
    await life.serve()
    if refused:
        route(life.cluster, refused=refused)
    life.declare(serving=CANARY, training=CHANGED)
    await life.look()
    await life.serve(2)
    condition = find(life.status().conditions, "Canary")
    assert condition is not None
    assert (life.ready(), services(life), condition.reason, told in condition.message) == (
        ("True", "Serving"),
        {"heart": "2"},
        "CanaryUnavailable",
        True,
    )
    assert life.status().url == "http://heart-predictor.clinic.svc"


async def test_a_router_that_never_becomes_ready_is_not_waited_for_for_ever(life: Life) -> None:
    life.declare(serving=CANARY)
    await life.look()
    await life.serve()
    life.now += minutes(6)
    life.declare(serving=CANARY, training=CHANGED)
    await life.look()
    await life.serve(2)
    assert (life.ready(), services(life), life.condition("Canary")) == (
        ("True", "Serving"),
        {"heart": "2"},
        ("False", "CanaryUnavailable"),
    )


async def test_a_deployment_of_somebody_else_is_never_taken_over(life: Life) -> None:
    metadata = {"name": "heart-router", "namespace": NAMESPACE}
    life.cluster.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {}})
    life.declare(serving=CANARY)
    await life.look()
    await life.serve()
    assert (life.cluster.names(INFERENCE_GRAPH), life.condition("Canary")) == ([], ("False", "CanaryUnavailable"))


async def test_a_model_without_the_field_has_no_word_of_it(life: Life) -> None:
    life.declare()
    await life.look()
    await life.serve()
    assert (life.condition("Canary"), life.status().canary, life.cluster.names(INFERENCE_GRAPH)) == (("", ""), None, [])


ENDS = {
    "passes": ({"heart": "2"}, 0, ("True", "CanaryPassed")),
    "fails": ({"heart": "1"}, 0, ("False", "CanaryFailed")),
    "is taken back": ({"heart": "1"}, 0, ("False", "CanaryAborted")),
}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: f"a canary that {end}")
@pytest.mark.parametrize("broken", range(16), ids=lambda number: f"the operator dies before write {number}")
async def test_a_crash_between_any_two_writes_is_repaired_by_the_next_pass(life: Life, broken: int, end: str) -> None:
    async def careful(times: int = 1) -> None:
        for _ in range(times):
            try:
                await life.look()
            except UnreachableError:
                life.cluster.fail_after = None
                await life.look()

    life.declare(serving=CANARY)
    await life.look()
    await life.serve()
    route(life.cluster)
    await life.look()
    life.declare(serving=CANARY, training=CHANGED)
    await life.look()
    life.trained(2)
    life.cluster.fail_after = broken
    await careful(3)
    roll_out(life.cluster, "heart-canary")
    await careful()
    life.endpoint.counted = Traffic(requests=1)
    route(life.cluster)
    await careful(2)
    if end == "is taken back":
        life.declare(training=CHANGED)
    life.endpoint.counted = Traffic(requests=101, errors=50) if end == "fails" else WELL
    life.now += minutes(1)
    await careful(2)
    roll_out(life.cluster)
    await careful(2)
    route(life.cluster)
    await careful(2)
    assert (services(life), weight(life), life.condition("Canary")) == ENDS[end]
