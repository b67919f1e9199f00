from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from refit.api.deploymentstatus import CanaryPhase, CanaryStatus, ModelDeploymentStatus, VersionState
from refit.api.modeldeployment import Canary, Serving
from refit.api.reasons import Reason
from refit.api.times import stamp
from refit.core.canary import Step, main_version, step
from refit.core.inference import canary_service, covers
from refit.core.observed import CanarySeen, Observed, Proof, RolloutSeen, RouterSeen, ServiceSeen, Traffic
from refit.core.splitter import beside, inference_graph, weight_of
from worlds import CONFIG, NOW, SHA, deployment, minutes, record, spec

URL = "http://heart-predictor.clinic.svc.cluster.local"
SERVING = record(1, VersionState.SERVING, since="2026-11-20T00:00:00Z")
CANDIDATE = record(2, VersionState.CANDIDATE)
HISTORY = (SERVING, CANDIDATE)
DECLARED = Canary(percent=20, seconds=60, max_error_percent=2, min_requests=50)
SINCE = stamp(NOW - minutes(1))


def model(canary: Canary | None = DECLARED, status: CanaryStatus | None = None, **serving: Any) -> Any:
    declared = spec().model_copy(update={"serving": Serving(canary=canary, **serving)})
    return deployment(ModelDeploymentStatus(history=HISTORY, canary=status), spec=declared)


def under_way(phase: CanaryPhase, **changes: Any) -> CanaryStatus:
    return CanaryStatus(version=2, phase=phase).model_copy(update=changes)


def look(**changes: Any) -> CanarySeen:
    """A graph whose router follows it, and a candidate's service that is complete."""
    values: dict[str, Any] = {
        "graph": inference_graph(model(), URL, 20),
        "graph_since": NOW - minutes(60),
        "router": RouterSeen(weight=20, complete=True, available=1),
        "reaches": True,
        "service": ServiceSeen(rollout=RolloutSeen(artifact_sha256=SHA[2], complete=True, available=1)),
        "traffic": Traffic(requests=101),
    }
    return CanarySeen(**(values | changes))


def taken(status: CanaryStatus | None, seen: CanarySeen, canary: Canary | None = DECLARED) -> Step:
    found = Observed(deployment=model(canary, status), service=ServiceSeen(url=URL), canary=seen)
    return step(found, HISTORY, CONFIG, NOW)


@pytest.mark.parametrize(
    ("since", "traffic", "phase"),
    [
        pytest.param(
            SINCE, Traffic(requests=101), CanaryPhase.PROMOTING, id="its time over, without errors: it passes"
        ),
        pytest.param(SINCE, Traffic(requests=101, errors=2), CanaryPhase.PROMOTING, id="as many errors as may be"),
        pytest.param(SINCE, Traffic(requests=101, errors=3), CanaryPhase.FAILED, id="one error too many"),
        pytest.param(None, Traffic(requests=101, errors=3), CanaryPhase.FAILED, id="too many at the very beginning"),
        pytest.param(stamp(NOW), Traffic(requests=101), CanaryPhase.SPLITTING, id="its time not over"),
        pytest.param(SINCE, Traffic(requests=50, errors=49), CanaryPhase.SPLITTING, id="too few requests to judge it"),
        pytest.param(SINCE, Traffic(problem="503"), CanaryPhase.SPLITTING, id="nobody knows what it answers"),
        pytest.param(SINCE, Traffic(requests=101, restarted="killed"), CanaryPhase.FAILED, id="a pod that ended"),
    ],
)
def test_the_gate(since: str | None, traffic: Traffic, phase: CanaryPhase) -> None:
    found = taken(under_way(CanaryPhase.SPLITTING, since=since, probes=1, weight=20), look(traffic=traffic))
    assert found.status is not None
    assert found.status.phase == phase


def test_what_was_counted_never_becomes_less() -> None:
    before = under_way(CanaryPhase.SPLITTING, since=stamp(NOW), probes=1, requests=200, errors=4)
    found = taken(before, look(traffic=Traffic(requests=30, errors=0)))
    assert found.status is not None
    assert (found.status.requests, found.status.errors) == (200, 4)


def test_its_time_begins_when_the_router_shares_requests_out_as_declared() -> None:
    before = under_way(CanaryPhase.SPLITTING, probes=1)
    lagging = [RouterSeen(weight=0, complete=True, available=1), RouterSeen(weight=20, complete=False, available=1)]
    begun = [taken(before, look(router=router)).status for router in (*lagging, look().router)]
    assert [status and status.since for status in begun] == [None, None, stamp(NOW)]


def test_a_version_that_served_before_takes_no_canary() -> None:
    back = CANDIDATE.model_copy(update={"since": "2026-11-19T00:00:00Z"})
    found = Observed(deployment=model(), service=ServiceSeen(url=URL), canary=look())
    after = step(found, (SERVING, back), CONFIG, NOW)
    assert (after.status, after.main, after.weight) == (None, back, 0)


def test_nothing_is_made_for_a_candidate_before_status_says_that_its_canary_began() -> None:
    first = taken(None, look(service=ServiceSeen(), reaches=False))
    assert first.status is not None
    assert (first.status.phase, first.beside, first.main) == (CanaryPhase.STARTING, None, SERVING)
    second = taken(first.status, look(service=ServiceSeen(), reaches=False))
    assert (second.beside, second.weight) == (CANDIDATE, 0)


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        pytest.param(CanarySeen(installed=False), "InferenceGraph", id="the kind is not known"),
        pytest.param(look(foreign="Deployment heart-router exists"), "exists", id="the name is taken"),
        pytest.param(
            look(router=RouterSeen(weight=0, complete=False, available=0, refused="violates PodSecurity")),
            "violates PodSecurity",
            id="its pods are refused",
        ),
        pytest.param(
            look(router=RouterSeen(weight=0, complete=False, available=0, waiting="heart-router: ErrImagePull")),
            "ErrImagePull",
            id="its image cannot be had",
        ),
    ],
)
def test_without_a_router_the_candidate_goes_the_direct_way(seen: CanarySeen, told: str) -> None:
    found = taken(None, seen)
    assert found.status is not None
    [(_, _, reason, message)] = found.told
    assert (found.status.phase, found.main, reason) == (CanaryPhase.SKIPPED, CANDIDATE, Reason.CANARY_UNAVAILABLE)
    assert told in message
    # It goes on so, though the router comes meanwhile.
    again = taken(found.status, look())
    assert (again.status, again.main) == (found.status, CANDIDATE)


def test_a_router_that_pauses_is_waited_for_and_stays_the_address() -> None:
    status = ModelDeploymentStatus(history=HISTORY, url=URL.replace("-predictor", "-router"))
    paused = look(router=RouterSeen(weight=0, complete=False, available=0))
    found = Observed(deployment=deployment(status, spec=model().spec), service=ServiceSeen(url=URL), canary=paused)
    after = step(found, HISTORY, CONFIG, NOW)
    assert after.status is not None
    assert (after.status.phase, after.url) == (CanaryPhase.STARTING, status.url)


def test_a_candidate_is_proved_before_it_gets_a_request() -> None:
    starting = under_way(CanaryPhase.STARTING)
    unproved, proved = (
        taken(starting, look(proof=proof, reaches=False)) for proof in (None, Proof(sha256=SHA[2], golden=True))
    )
    assert [(found.status and found.status.phase, found.weight) for found in (unproved, proved)] == [
        (CanaryPhase.STARTING, 0),
        (CanaryPhase.SPLITTING, 20),
    ]


def test_the_field_taken_away_takes_the_candidate_back_in_every_phase() -> None:
    for phase in (CanaryPhase.STARTING, CanaryPhase.SPLITTING, CanaryPhase.PROMOTING):
        found = taken(under_way(phase), look(), None)
        assert found.status is not None
        assert (found.status.phase, found.main, found.weight, found.history[1].state) == (
            CanaryPhase.ABORTED,
            SERVING,
            0,
            VersionState.RETIRED,
        )


@pytest.mark.parametrize(
    ("phase", "version"),
    [
        pytest.param(CanaryPhase.STARTING, 1, id="not while it starts"),
        pytest.param(CanaryPhase.SPLITTING, 1, id="not while it gets its share"),
        pytest.param(CanaryPhase.PROMOTING, 2, id="once it passed"),
        pytest.param(CanaryPhase.SKIPPED, 2, id="when there is no canary"),
    ],
)
def test_the_main_service_takes_the_candidate(phase: CanaryPhase, version: int) -> None:
    found = main_version(HISTORY, under_way(phase))
    assert found is not None
    assert found.version == version


@pytest.mark.parametrize(
    ("seconds", "pause"),
    [(30, timedelta(seconds=2)), (600, timedelta(seconds=10)), (86400, timedelta(seconds=30))],
)
def test_how_often_the_gate_is_looked_at(seconds: int, pause: timedelta) -> None:
    status = under_way(CanaryPhase.SPLITTING, since=stamp(NOW), probes=1)
    assert taken(status, look(), DECLARED.model_copy(update={"seconds": seconds})).again_after == pause


@pytest.mark.parametrize(
    ("replicas", "percent", "pods"), [(1, 10, 1), (10, 10, 1), (10, 11, 2), (10, 50, 5), (3, 50, 2)]
)
def test_a_share_of_the_requests_has_the_same_share_of_the_pods(replicas: int, percent: int, pods: int) -> None:
    found = model(min_replicas=replicas, max_replicas=replicas)
    predictor = canary_service(found, CANDIDATE, percent, CONFIG)["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (pods, pods)


def test_a_share_is_a_number_in_the_graph() -> None:
    none, some = (inference_graph(model(), URL, weight) for weight in (0, 20))
    assert (weight_of(none["spec"]), weight_of(some["spec"]), covers(some, none), covers(none, some)) == (
        0,
        20,
        False,
        False,
    )
    assert some["spec"]["nodes"]["v2"]["steps"] == [
        {"name": "main", "serviceUrl": f"{URL}/v2/models/heart/infer", "weight": 80},
        {
            "name": "canary",
            "serviceUrl": "http://heart-canary-predictor.clinic.svc.cluster.local/v2/models/heart/infer",
            "weight": 20,
        },
    ]


def test_an_address_beside_another_keeps_the_clusters_domain() -> None:
    assert beside("http://heart-predictor.clinic.svc.example.org", "heart", "heart-router") == (
        "http://heart-router.clinic.svc.example.org"
    )
