"""How a served model is watched, told with a cluster in memory: measure, judge, diagnose, propose."""

from __future__ import annotations

import json
from typing import Any

import pytest

from life import KEY, Life
from refit.api import jobs
from refit.api.measured import DataQuality, LastMeasurement, ModelQuality, QualityVerdict, SegmentDrift, Verdict
from refit.api.metrics import Metric, Metrics
from refit.api.times import stamp
from refit.core.observed import AlertSeen
from refit.kube.cluster import EVENT, JOB, MODEL_DEPLOYMENT, REMEDIATION_REQUEST, Manifest
from simulated import NAMESPACE
from worlds import CONFIG, NOW, WATCHED, drifted, measured, minutes

LATER = "2026-11-21T12:01:00Z"


@pytest.fixture
async def life() -> Life:
    """A watched model that serves."""
    found = Life()
    found.declare(**WATCHED)
    await found.look()
    await found.serve()
    found.cluster.journal.clear()
    return found


def requests(life: Life) -> list[Manifest]:
    return [
        found for (kind, _, _), found in sorted(life.cluster.objects.items(), key=str) if kind == REMEDIATION_REQUEST
    ]


def created(life: Life, kind: str) -> int:
    return len([1 for verb, other, _ in life.cluster.journal if (verb, other) == ("create", kind)])


def faulty(key: str) -> LastMeasurement:
    quality = DataQuality(valid=False, score="61", message="column chol: all of 500 rows are 0")
    return measured(key, data_quality=quality)


def low(key: str) -> LastMeasurement:
    quality = ModelQuality(
        verdict=QualityVerdict.LOW,
        labelled=300,
        coverage="0.6",
        metrics=Metrics(f1="0.41"),
        missed=(Metric.F1,),
        message="f1 0.41 is below the minimum 0.75 (300 labelled rows)",
    )
    return measured(key, quality=quality)


async def test_a_measurement_is_ordered_taken_in_and_told(life: Life) -> None:
    assert life.condition("Monitored") == ("Unknown", "NotYetMeasured")
    await life.measure(measured)
    status = life.status()
    assert status.measurement is not None
    assert status.last_measurement == measured(status.measurement.key, time=stamp(life.now))
    assert [life.condition(kind) for kind in ("Monitored", "Drifted", "QualityOk", "Diagnosed", "Ready")] == [
        ("True", "Measured"),
        ("False", "NoDrift"),
        ("Unknown", "QualityUnknown"),
        ("False", "NothingFound"),
        ("True", "Serving"),
    ]


async def test_a_job_is_told_what_to_measure_and_how_to_reach_the_collector(life: Life) -> None:
    life.now += minutes(5)
    await life.look()
    measurement = life.status().measurement
    assert measurement is not None
    [container] = life.cluster.objects[JOB, NAMESPACE, measurement.job]["spec"]["template"]["spec"]["containers"]
    told = {item["name"]: item["value"] for item in container["env"]}
    assert json.loads(told[jobs.MEASUREMENT]) == {
        "key": measurement.key,
        "version": 1,
        "since": measurement.since,
        "until": measurement.until,
        "intervalSeconds": 300,
        "profileUri": "http://mlflow.test/1/profile.json",
        "profileSha256": "f" * 64,
        "runId": "r" * 32,
    }
    assert (told[jobs.COLLECTOR_URL], told[jobs.COLLECTOR_TOKEN_FILE], told[jobs.NAMESPACE]) == (
        CONFIG.collector_url,
        "/var/run/secrets/refit.dev/collector-token",
        NAMESPACE,
    )


async def test_between_two_ticks_nothing_is_written(life: Life) -> None:
    await life.measure(measured)
    life.cluster.journal.clear()
    life.now += minutes(0.02)
    await life.look(3)
    assert life.cluster.journal == []


async def test_ticks_that_passed_unseen_count_as_one(life: Life) -> None:
    life.now += minutes(60)
    await life.look(3)
    assert created(life, "Job") == 1


async def test_an_owner_may_ask_for_a_measurement_now(life: Life) -> None:
    await life.measure(measured)
    metadata = life.cluster.objects[MODEL_DEPLOYMENT, *KEY]["metadata"]
    life.cluster.journal.clear()
    metadata["annotations"] = {"refit.dev/measure-requested-at": "once"}
    await life.look(2)
    assert created(life, "Job") == 1
    life.measured(measured)
    await life.look(3)
    assert created(life, "Job") == 1


async def test_only_the_newest_measurement_keeps_its_job(life: Life) -> None:
    for _ in range(3):
        await life.measure(measured)
    measurement = life.status().measurement
    assert measurement is not None
    assert [name for name in life.cluster.names(JOB) if "measure" in name] == [measurement.job]


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        pytest.param(None, False, id="a monitor that crashes"),
        pytest.param(lambda _: measured("other"), False, id="an answer to another question"),
        pytest.param(
            lambda key: measured(key, Verdict.ERROR, message="collector: 503"), False, id="one that could not"
        ),
        pytest.param(None, True, id="a Job that was deleted"),
    ],
)
async def test_failing_to_measure_is_not_drift(life: Life, answer: Any, lost: bool) -> None:
    await life.measure(lambda key: drifted(key, chol=0.2))
    life.now += minutes(5)
    await life.look()
    measurement = life.status().measurement
    assert measurement is not None
    if lost:
        life.cluster.remove(JOB, NAMESPACE, measurement.job)
    else:
        life.measured(answer)
    await life.look(2)
    last = life.status().last_measurement
    assert last is not None
    assert (last.verdict, life.condition("Drifted"), life.condition("Monitored"), requests(life)) == (
        Verdict.ERROR,
        ("Unknown", "MeasurementFailed"),
        ("False", "MeasurementFailed"),
        [],
    )
    await life.measure(measured)
    assert life.condition("Monitored") == ("True", "Measured")


async def test_strong_drift_within_one_segment_makes_one_request_that_names_segment_and_column(life: Life) -> None:
    part = SegmentDrift(segment="sex=0", rows=400, column="chol", method="KS", effect="0.8", p_value="1e-9")
    for _ in range(3):
        await life.measure(lambda key: measured(key, Verdict.DRIFT, segments=(part,)))
    [request] = requests(life)
    assert (request["spec"]["action"], request["spec"]["trigger"]["features"]) == ("Retrain", ["chol"])
    assert request["status"]["diagnosis"]["reasoning"] == (
        "segment-drift(chol in sex=0: effect=0.8, p=1e-9, rows=400) = 0.93 * 0.80"
    )
    assert (life.status().drift, life.condition("Drifted")) == ("0.80 chol in sex=0", ("True", "Drift"))


async def test_strong_drift_makes_one_request_that_names_the_features(life: Life) -> None:
    for _ in range(5):
        await life.measure(lambda key: drifted(key, thalach=0.71, chol=0.4))
    [request] = requests(life)
    spec, status = request["spec"], request["status"]
    assert (spec["action"], spec["trigger"]["type"], spec["trigger"]["features"]) == (
        "Retrain",
        "Drift",
        ["thalach", "chol"],
    )
    assert status["diagnosis"] == {
        "class": "Drift",
        "severity": "0.79",
        "rules": ["feature-drift"],
        "reasoning": "feature-drift(thalach: effect=0.71, p=1e-9, rows=500) = 0.94 * 0.71; "
        "feature-drift(chol: effect=0.4, p=1e-9, rows=500) = 0.94 * 0.40",
    }
    assert (status["phase"], status["conditions"][0]["reason"]) == ("Pending", "Estimating")
    assert life.status().open_requests == (request["metadata"]["name"],)
    assert (life.condition("Drifted"), life.condition("Diagnosed"), life.status().drift) == (
        ("True", "Drift"),
        ("True", "Drift"),
        "0.71 thalach",
    )


async def test_after_its_request_nothing_is_written_while_nothing_changes(life: Life) -> None:
    await life.measure(lambda key: drifted(key, thalach=0.71, chol=0.4))
    await life.look(2)
    life.cluster.journal.clear()
    life.now += minutes(0.02)
    await life.look(3)
    assert life.cluster.journal == []


@pytest.mark.parametrize(
    ("answer", "condition", "action"),
    [
        pytest.param(
            lambda key: drifted(key, chol=0.3), ("Drifted", "True", "Drift"), None, id="weak drift is only told"
        ),
        pytest.param(
            lambda key: drifted(key, chol=0.6), ("Drifted", "True", "Drift"), "Notify", id="medium drift is notified"
        ),
        pytest.param(
            faulty, ("DataValid", "False", "RequestsInvalid"), "Notify", id="faulty requests are not learned from"
        ),
        pytest.param(
            low, ("QualityOk", "False", "QualityLow"), "Retrain", id="a model that got worse is to be retrained"
        ),
    ],
)
async def test_each_finding_gets_what_the_policy_says(
    life: Life, answer: Any, condition: tuple[str, str, str], action: str | None
) -> None:
    life.declare(**WATCHED | {"monitoring": {"quality": [{"metric": "f1", "minimum": "0.75"}]}})
    await life.measure(answer)
    kind, *found = condition
    assert (life.condition(kind), [request["spec"]["action"] for request in requests(life)]) == (
        tuple(found),
        [action] if action else [],
    )


async def test_retraining_is_refused_while_the_requests_are_faulty(life: Life) -> None:
    await life.measure(faulty)
    life.cluster.put(wish("Retrain"))
    life.noticed.add(KEY)
    await life.look()
    status = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, "wish"]["status"]
    assert (status["phase"], status["conditions"][0]["reason"], status["conditions"][0]["message"]) == (
        "Failed",
        "RequestsInvalid",
        "retraining is refused while the requests are faulty: column chol: all of 500 rows are 0",
    )


def wish(action: str, **spec: Any) -> Manifest:
    """A person's request."""
    return {
        "apiVersion": "refit.dev/v1alpha1",
        "kind": "RemediationRequest",
        "metadata": {"name": "wish", "namespace": NAMESPACE},
        "spec": {
            "targetRef": {"name": "heart"},
            "action": action,
            "parameters": {},
            "trigger": {"type": "Human"},
            "requestedBy": "alice",
            **spec,
        },
    }


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, ("Pending", "ObserveOnly"), id="one that is not carried out is told so"),
        pytest.param(
            {"targetRef": {"name": "heart", "uid": "of-before"}}, ("Superseded", "Superseded"), id="re-created"
        ),
        pytest.param(
            {"expiresAt": "2026-11-21T11:00:00Z"}, ("Failed", "OutOfBounds"), id="one that expired before it was made"
        ),
    ],
)
async def test_no_request_is_met_with_silence(life: Life, spec: dict[str, Any], expected: tuple[str, str]) -> None:
    life.cluster.put(wish("Restart", **spec))
    life.noticed.add(KEY)
    await life.look(3)
    status = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, "wish"]["status"]
    assert (status["phase"], status["conditions"][0]["reason"]) == expected
    assert len([1 for verb, kind, _ in life.cluster.journal if (verb, kind) == ("status", "RemediationRequest")]) == 1


async def test_a_request_for_nothing_is_told_so() -> None:
    life = Life()
    life.cluster.put(wish("Restart"))
    life.noticed.add(KEY)
    assert await life.look() is None
    [condition] = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, "wish"]["status"]["conditions"]
    assert (condition["reason"], condition["message"]) == (
        "TargetNotFound",
        "there is no ModelDeployment heart in this namespace",
    )


async def test_alerts_alone_open_a_request_and_a_thousand_of_them_open_no_other(life: Life) -> None:
    alert = AlertSeen(name="RefitLatencyHigh", fingerprint="f1", severity="critical", starts_at=LATER)
    for number in range(1000):
        life.alerts.found = [
            alert,
            AlertSeen(name="RefitErrorRateHigh", fingerprint=f"f{number}", severity="warning", starts_at=LATER),
        ]
        if number % 100 == 0:
            await life.look()
    [request] = requests(life)
    assert (request["spec"]["action"], request["spec"]["trigger"]["type"], request["spec"]["trigger"]["alerts"][0]) == (
        "Restart",
        "Alert",
        {"name": "RefitLatencyHigh", "fingerprint": "f1", "startsAt": LATER},
    )


async def test_an_alert_whose_clock_is_wrong_starts_nothing(life: Life) -> None:
    life.alerts.found = [
        AlertSeen(name="RefitLatencyHigh", fingerprint="f", severity="critical", starts_at=LATER, clock_suspect=True)
    ]
    await life.look(2)
    assert (requests(life), life.condition("Diagnosed")) == ([], ("False", "NothingFound"))


async def test_a_request_that_ended_is_followed_by_another_only_after_the_cool_down(life: Life) -> None:
    life.declare(**WATCHED | {"remediation": {"approval": {"expiresAfterSeconds": 300}}})
    for _ in range(8):
        await life.measure(lambda key: drifted(key, thalach=0.9))
    assert [request["status"]["phase"] for request in requests(life)] == ["Expired"]
    found = find_message(life, "Diagnosed")
    assert "held back: Retrain was proposed by heart-retrain-" in found
    for _ in range(6):
        await life.measure(lambda key: drifted(key, thalach=0.9))
    assert len({request["metadata"]["name"] for request in requests(life)}) == 2


def find_message(life: Life, kind: str) -> str:
    return next(found.message for found in life.status().conditions if found.type == kind)


async def test_the_daily_budget_holds_requests_back(life: Life) -> None:
    limits = {"cooldownSeconds": 0, "perDay": 2}
    life.declare(**WATCHED | {"remediation": {"approval": {"expiresAfterSeconds": 300}, "limits": limits}})
    for _ in range(12):
        await life.measure(lambda key: drifted(key, thalach=0.9))
    assert len(requests(life)) == 2
    assert "spec.remediation.limits.perDay is 2" in find_message(life, "Diagnosed")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"serving": {}}, "RequestLogOff", id="no requests are kept"),
        pytest.param({}, "Measured", id="all is there"),
    ],
)
async def test_what_keeps_a_model_from_being_measured_is_said(life: Life, changes: dict[str, Any], reason: str) -> None:
    life.declare(**WATCHED | changes)
    life.now += minutes(10)
    await life.look()
    if reason == "Measured":
        life.measured(measured)
        await life.look()
    assert life.condition("Monitored")[1] == reason


async def test_a_model_that_is_no_longer_watched_is_not_talked_of(life: Life) -> None:
    await life.measure(lambda key: drifted(key, thalach=0.9))
    life.declare()
    await life.look(2)
    status = life.status()
    assert (status.measurement, status.last_measurement, status.drift) == (None, None, None)
    assert [life.condition(kind) for kind in ("Monitored", "Drifted", "Diagnosed")] == [("", "")] * 3


async def test_a_finding_is_one_event(life: Life) -> None:
    for _ in range(3):
        await life.measure(lambda key: drifted(key, thalach=0.9))
    reasons = [found["reason"] for (kind, _, _), found in life.cluster.objects.items() if kind == EVENT]
    assert reasons.count("Drift") == 1
    assert life.now > NOW


@pytest.mark.parametrize("broken", range(10), ids=lambda number: f"the operator dies before write {number}")
async def test_a_crash_between_any_two_writes_orders_one_measurement_and_makes_one_request(
    life: Life, broken: int
) -> None:
    async def careful() -> None:
        try:
            await life.look()
        except Exception:  # noqa: BLE001  # whatever the crash raised
            life.cluster.fail_after = None
            await life.look()

    life.now += minutes(5)
    life.cluster.fail_after = broken
    await careful()
    life.measured(lambda key: drifted(key, thalach=0.9))
    for _ in range(4):
        await careful()
    [request] = requests(life)
    measured_and_estimated = 2
    assert (created(life, "Job"), request["status"]["diagnosis"]["class"]) == (measured_and_estimated, "Drift")


async def test_a_signed_event_may_ask_for_a_measurement(life: Life) -> None:
    await life.measure(measured)
    life.cluster.journal.clear()
    life.alerts.measurement = "2026-11-21T12:07:00Z"
    await life.look(3)
    assert created(life, "Job") == 1


async def test_a_flood_of_alerts_is_said(life: Life) -> None:
    life.alerts.found = [
        AlertSeen(name="RefitLatencyHigh", fingerprint=str(number), starts_at=LATER) for number in range(31)
    ]
    await life.look()
    assert "more alerts came in a short time" in find_message(life, "Diagnosed")


async def test_an_alert_from_before_the_model_is_about_another_one(life: Life) -> None:
    before = "2026-11-21T11:59:00Z"
    life.alerts.found = [AlertSeen(name="RefitLatencyHigh", fingerprint="f", severity="critical", starts_at=before)]
    await life.look(2)
    assert (requests(life), life.condition("Diagnosed")) == ([], ("False", "NothingFound"))


async def test_alerts_that_repeat_the_measurement_are_named_on_its_request(life: Life) -> None:
    await life.measure(lambda key: drifted(key, thalach=0.9))
    life.alerts.found = [AlertSeen(name="RefitDataDrift", fingerprint="f", severity="warning", starts_at=LATER)]
    await life.look(3)
    [request] = requests(life)
    assert request["status"]["alerts"] == [{"name": "RefitDataDrift", "fingerprint": "f", "startsAt": LATER}]
    assert request["status"]["diagnosis"]["rules"] == ["feature-drift"]


async def test_a_measurement_that_failed_does_not_clear_faulty_requests(life: Life) -> None:
    await life.measure(faulty)
    assert life.condition("DataValid")[0] == "False"
    await life.measure(lambda key: measured(key, Verdict.ERROR, message="mlflow: 503"))
    assert (life.condition("DataValid")[0], life.condition("Monitored")) == ("False", ("False", "MeasurementFailed"))
    await life.measure(measured)
    assert life.condition("DataValid")[0] == "True"
