from __future__ import annotations

from dataclasses import replace

import pytest

from refit.api.deploymentstatus import Artifact, VersionRecord, VersionState
from refit.api.results import TrainingResult
from refit.core.inference import covers
from refit.core.observed import Proof, RolloutSeen, ServiceSeen
from refit.core.serving import History, desired, judged, with_result
from worlds import CONFIG, NOW, SHA, minutes, record, result, training

CANDIDATE = record(2, VersionState.CANDIDATE)
SERVING = record(1, VersionState.SERVING, since="2026-11-20T00:00:00Z")
HISTORY = (SERVING, CANDIDATE)
COMPLETE = RolloutSeen(artifact_sha256=SHA[2], complete=True, available=1)
GOOD = Proof(sha256=SHA[2], golden=True)
STAMP = "2026-11-21T12:00:00Z"


def service(**changes: object) -> ServiceSeen:
    return ServiceSeen(url="http://heart", rollout=replace(COMPLETE, **changes))  # type: ignore[arg-type]  # test shorthand


def failed(reason: str, message: str) -> History:
    changes = {"state": VersionState.FAILED, "reason": reason, "message": message, "until": STAMP}
    return (SERVING, CANDIDATE.model_copy(update=changes))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        pytest.param((), None, id="without a version nothing should answer"),
        pytest.param((SERVING,), SERVING, id="what serves goes on serving"),
        pytest.param(HISTORY, CANDIDATE, id="a candidate comes before what serves"),
        pytest.param(failed("GoldenMismatch", ""), SERVING, id="after a failed candidate the last good version serves"),
        pytest.param((record(1, VersionState.FAILED),), None, id="a version that failed is never served"),
    ],
)
def test_which_version_should_answer(history: History, expected: VersionRecord | None) -> None:
    assert desired(history) == expected


PROMOTED = (
    SERVING.model_copy(update={"state": VersionState.RETIRED, "until": STAMP}),
    CANDIDATE.model_copy(update={"state": VersionState.SERVING, "since": STAMP}),
)


@pytest.mark.parametrize(
    ("seen", "proof", "expected"),
    [
        pytest.param(service(), GOOD, PROMOTED, id="a digest and a golden answer that agree prove a version"),
        pytest.param(service(complete=False), GOOD, HISTORY, id="nothing is proved before the roll-out is complete"),
        pytest.param(service(), None, HISTORY, id="a complete roll-out alone proves nothing"),
        pytest.param(
            service(), Proof(problem="timeout"), HISTORY, id="an endpoint that cannot be asked is asked again"
        ),
        pytest.param(
            service(),
            Proof(sha256=SHA[9]),
            failed("DigestMismatch", f"the endpoint serves {'9' * 12}, wanted {'2' * 12}"),
            id="another digest fails the version",
        ),
        pytest.param(
            service(),
            Proof(sha256=SHA[1], golden=True),
            HISTORY,
            id="a pod of the version before, on its way out, is no contradiction",
        ),
        pytest.param(
            service(),
            Proof(sha256=SHA[2], golden=False),
            failed("GoldenMismatch", "the endpoint answers the golden request otherwise than the trained model did"),
            id="another answer fails the version",
        ),
        pytest.param(
            service(complete=False, pod_message="DigestMismatch: want 2222 got 3333"),
            None,
            failed("DigestMismatch", "DigestMismatch: want 2222 got 3333"),
            id="a predictor that refuses its file fails the version with its own words",
        ),
        pytest.param(
            service(complete=False, pod_message="SignatureMismatch: no signature"),
            None,
            failed("SignatureMismatch", "SignatureMismatch: no signature"),
            id="a file that is no model of ours fails the version",
        ),
        pytest.param(
            service(complete=False, pod_message="Out of memory"), None, HISTORY, id="other last words are not a verdict"
        ),
        pytest.param(ServiceSeen(), None, HISTORY, id="a service that is not there yet is waited for"),
    ],
)
def test_what_a_rollout_comes_to(seen: ServiceSeen, proof: Proof | None, expected: History) -> None:
    assert judged(HISTORY, seen, proof, CONFIG, NOW) == expected


def test_an_endpoint_that_goes_on_serving_the_version_before_fails_the_version_in_the_end() -> None:
    [_, candidate] = judged(HISTORY, service(), Proof(sha256=SHA[1], golden=True), CONFIG, NOW + minutes(6))
    assert (candidate.state, candidate.reason) == (VersionState.FAILED, "DigestMismatch")


def test_a_rollout_past_its_time_fails_with_what_it_waited_for() -> None:
    seen = service(complete=False, pod_waiting="kserve-container: ImagePullBackOff")
    [_, candidate] = judged(HISTORY, seen, None, CONFIG, NOW + minutes(6))
    assert (candidate.state, candidate.reason, candidate.message) == (
        VersionState.FAILED,
        "RolloutTimeout",
        "not ready in time: kserve-container: ImagePullBackOff",
    )


def test_the_clock_of_a_rollout_starts_when_it_is_first_seen() -> None:
    fresh = (SERVING, CANDIDATE.model_copy(update={"rollout_time": None}))
    [_, candidate] = judged(fresh, ServiceSeen(), None, CONFIG, NOW)
    assert candidate == CANDIDATE.model_copy(update={"rollout_time": STAMP})


def added(history: History, answer: TrainingResult) -> History:
    assert answer.registered is not None
    return with_result(history, training("n" * 10), answer, answer.registered, NOW)


def test_a_new_version_is_the_one_candidate_and_an_older_one_is_passed_over() -> None:
    found = added(HISTORY, result("n" * 10, version=3))
    assert [(other.version, other.state) for other in found] == [
        (1, VersionState.SERVING),
        (2, VersionState.RETIRED),
        (3, VersionState.CANDIDATE),
    ]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(
            {"profile_uri": None, "profile_sha256": None}, None, id="a trainer of an older Refit made no profile"
        ),
        pytest.param(
            {"profile_uri": "http://mlflow.test/3/profile.json", "profile_sha256": "b" * 64},
            Artifact(uri="http://mlflow.test/3/profile.json", sha256="b" * 64),
            id="what the training data looked like is kept with the version",
        ),
    ],
)
def test_the_profile_of_a_new_version(told: dict[str, str | None], expected: Artifact | None) -> None:
    answer = result("n" * 10, version=3)
    assert answer.registered is not None
    found = added(HISTORY, answer.model_copy(update={"registered": answer.registered.model_copy(update=told)}))
    assert found[-1].profile == expected


def test_a_version_that_is_reported_again_becomes_the_candidate_again() -> None:
    retired = (record(1, VersionState.RETIRED), record(2, VersionState.SERVING, since=STAMP))
    assert [(other.version, other.state) for other in added(retired, result("n" * 10, version=1))] == [
        (1, VersionState.CANDIDATE),
        (2, VersionState.SERVING),
    ]


def test_a_version_that_serves_and_is_reported_again_goes_on_serving() -> None:
    found = added(HISTORY, result("n" * 10, version=1))
    assert [(other.version, other.state, other.key) for other in found] == [
        (1, VersionState.SERVING, "n" * 10),
        (2, VersionState.RETIRED, "k" * 10),
    ]


def test_the_history_keeps_twenty_versions_and_never_forgets_the_one_that_serves() -> None:
    old = record(1, VersionState.SERVING, since=STAMP)
    retired = [record(2, VersionState.RETIRED).model_copy(update={"version": number}) for number in range(2, 30)]
    found = added((old, *retired), result("n" * 10, version=9))
    assert (len(found), found[0]) == (20, old)


@pytest.mark.parametrize(
    ("seen", "wanted", "expected"),
    [
        pytest.param({"a": 1, "b": 2}, {"a": 1}, True, id="fields that others added do not matter"),
        pytest.param({"a": 1}, {"a": 2}, False, id="another value matters"),
        pytest.param({}, {"a": 1}, False, id="a missing field matters"),
        pytest.param(
            {"env": [{"name": "X", "value": "1"}, {"name": "A", "value": "2"}]},
            {"env": [{"name": "A", "value": "2"}]},
            True,
            id="named items are found wherever they stand",
        ),
        pytest.param({"env": [{"name": "B"}]}, {"env": [{"name": "A"}]}, False, id="another name is not it"),
        pytest.param([1], [1, 2], False, id="a shorter list is not it"),
        pytest.param(None, {"a": 1}, False, id="nothing covers nothing but nothing"),
    ],
)
def test_whether_what_stands_covers_what_is_wanted(seen: object, wanted: object, expected: bool) -> None:
    assert covers(seen, wanted) is expected
