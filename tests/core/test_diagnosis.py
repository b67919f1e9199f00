from __future__ import annotations

import pytest

from refit.api.deploymentstatus import VersionState
from refit.api.measured import (
    DataQuality,
    FeatureDrift,
    LastMeasurement,
    ModelQuality,
    QualityVerdict,
    QueryResult,
    SegmentDrift,
    Verdict,
)
from refit.api.metrics import Metric, Metrics
from refit.api.monitoring import Monitoring, QualityBound
from refit.api.remediation import PolicyPreset
from refit.api.remediationrequest import Action, Diagnosis, DiagnosisClass
from refit.core.diagnosis import ALERT_CLASSES, diagnose
from refit.core.observed import AlertSeen
from refit.core.policy import Band, band, respond
from worlds import drifted, measured, record

BOUNDS = Monitoring(
    quality=(QualityBound(metric=Metric.F1, minimum="0.8"), QualityBound(metric=Metric.LOG_LOSS, maximum="0.5"))
)
EARLIER_STAMP = "2026-11-21T11:00:00Z"
FAULTY = DataQuality(valid=False, score="30", message="column chol: all 500 rows are 0")


def low(metrics: Metrics, *missed: Metric, labelled: int = 300) -> LastMeasurement:
    quality = ModelQuality(verdict=QualityVerdict.LOW, labelled=labelled, metrics=metrics, missed=missed)
    return measured("k", quality=quality)


def within(effect: float, rows: int = 270) -> LastMeasurement:
    """Drift in nothing but one segment."""
    part = SegmentDrift(segment="sex=female", rows=rows, column="age", method="KS", effect=str(effect), p_value="1e-9")
    return measured("k", Verdict.DRIFT, segments=(part,))


def alert(name: str, severity: str = "critical") -> AlertSeen:
    return AlertSeen(name=name, fingerprint="f", severity=severity, starts_at=EARLIER_STAMP)


def said(found: Diagnosis | None) -> tuple[str, str, tuple[str, ...]] | None:
    return (found.class_.value, found.severity, found.rules) if found is not None else None


@pytest.mark.parametrize(
    ("last", "alerts", "expected"),
    [
        pytest.param(None, (), None, id="nothing is known, nothing is wrong"),
        pytest.param(measured("k"), (), None, id="no drift is no diagnosis"),
        pytest.param(measured("k", Verdict.INCONCLUSIVE), (), None, id="no opinion is no diagnosis"),
        pytest.param(
            measured("k", Verdict.ERROR, data_quality=FAULTY), (), None, id="failing to measure is no diagnosis"
        ),
        pytest.param(drifted("k", chol=0.5), (), ("Drift", "0.47", ("feature-drift",)), id="one feature"),
        pytest.param(
            drifted("k", chol=0.5).model_copy(update={"rows": 30}),
            (),
            ("Drift", "0.25", ("feature-drift",)),
            id="thirty rows weigh half",
        ),
        pytest.param(
            drifted("k", chol=0.5, age=0.5), (), ("Drift", "0.72", ("feature-drift",)), id="two weigh more than one"
        ),
        pytest.param(
            measured(
                "k",
                Verdict.DRIFT,
                prediction=FeatureDrift(column="prediction", method="TVD", effect="0.4", p_value="0"),
            ),
            (),
            ("Drift", "0.38", ("prediction-drift",)),
            id="the answers alone",
        ),
        pytest.param(within(0.5), (), ("Drift", "0.45", ("segment-drift",)), id="one segment, by its own rows"),
        pytest.param(
            within(0.5).model_copy(update={"features": drifted("k", chol=0.5).features}),
            (),
            ("Drift", "0.71", ("feature-drift", "segment-drift")),
            id="a feature as a whole, and another within a segment",
        ),
        pytest.param(
            low(Metrics(f1="0.72"), Metric.F1),
            (),
            ("Performance", "0.73", ("quality-bound",)),
            id="f1 missed by a tenth",
        ),
        pytest.param(
            low(Metrics(log_loss="0.55"), Metric.LOG_LOSS),
            (),
            ("Performance", "0.73", ("quality-bound",)),
            id="log_loss missed by a tenth",
        ),
        pytest.param(
            low(Metrics(f1="0.2"), Metric.F1), (), ("Performance", "0.91", ("quality-bound",)), id="f1 in ruins"
        ),
        pytest.param(
            measured("k", data_quality=FAULTY), (), ("DataQuality", "0.66", ("data-quality",)), id="faulty requests"
        ),
        pytest.param(
            drifted("k", chol=1.0).model_copy(update={"data_quality": FAULTY}),
            (),
            ("DataQuality", "0.98", ("data-quality", "feature-drift")),
            id="drift in faulty requests is a fault of the requests",
        ),
        pytest.param(
            measured("k", queries=(QueryResult(name="refunds", value="9", breached=True),)),
            (),
            ("Performance", "0.60", ("query-bound",)),
            id="a query of the owner's",
        ),
        pytest.param(
            None, (alert("RefitLatencyHigh"),), ("SystemError", "0.75", ("alert",)), id="an alert needs no measurement"
        ),
        pytest.param(None, (alert("SomebodyElses", "page"),), ("Unknown", "0.40", ("alert",)), id="an alert of others"),
        pytest.param(
            drifted("k", chol=0.5),
            (alert("ExternalDrift", "warning"),),
            ("Drift", "0.76", ("feature-drift", "alert")),
            id="another witness makes it more certain",
        ),
        pytest.param(
            drifted("k", chol=0.5),
            (alert("RefitDataDrift", "warning"),),
            ("Drift", "0.47", ("feature-drift",)),
            id="an alert that repeats the measurement does not",
        ),
        pytest.param(
            measured("k"), (alert("RefitModelMetricLow"),), None, id="an alert of a measurement that was is over"
        ),
    ],
)
def test_diagnosis(
    last: LastMeasurement | None, alerts: tuple[AlertSeen, ...], expected: tuple[str, str, tuple[str, ...]] | None
) -> None:
    assert said(diagnose(BOUNDS, last, alerts)) == expected


def test_a_segment_and_its_column_are_named_in_the_reasoning() -> None:
    found = diagnose(BOUNDS, within(0.5), ())
    assert found is not None
    assert found.reasoning == "segment-drift(age in sex=female: effect=0.5, p=1e-9, rows=270) = 0.90 * 0.50"


def test_the_same_inputs_give_the_same_bytes() -> None:
    alerts = tuple(alert(name) for name in ALERT_CLASSES)
    first, second = (diagnose(BOUNDS, drifted("k", chol=0.5, age=0.3), alerts) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.model_dump_json() == second.model_dump_json()
    assert len(first.reasoning) <= 1024


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        pytest.param(0.0, Band.LOW, id="nothing"),
        pytest.param(0.4999, Band.LOW, id="just below one half"),
        pytest.param(0.5, Band.MEDIUM, id="one half belongs to the medium band"),
        pytest.param(0.7, Band.MEDIUM, id="seven tenths too"),
        pytest.param(0.7001, Band.HIGH, id="just above"),
        pytest.param(1.0, Band.HIGH, id="all"),
    ],
)
def test_bands(severity: float, expected: Band) -> None:
    assert band(severity) is expected


EARLIER = (
    record(1, VersionState.RETIRED, since="2026-11-01T00:00:00Z", until="2026-11-10T00:00:00Z"),
    record(2, VersionState.RETIRED, since="2026-11-10T00:00:00Z", until="2026-11-20T00:00:00Z"),
    record(3, VersionState.RETIRED),
    record(4, VersionState.SERVING, since="2026-11-20T00:00:00Z"),
)
VISUAL, ARCHITECTURE = PolicyPreset.SEED_VISUAL, PolicyPreset.SEED_ARCHITECTURE


@pytest.mark.parametrize(
    ("preset", "class_", "severity", "expected"),
    [
        pytest.param(VISUAL, "Drift", "0.4", (Action.LOG, None), id="visual, low: log"),
        pytest.param(VISUAL, "Drift", "0.6", (Action.NOTIFY, None), id="visual, medium: what is safe"),
        pytest.param(VISUAL, "Drift", "0.8", (Action.RETRAIN, None), id="visual, high: ask"),
        pytest.param(VISUAL, "SystemError", "0.8", (Action.RESTART, None), id="no training mends a machine"),
        pytest.param(VISUAL, "DataQuality", "1", (Action.NOTIFY, None), id="nothing is learned from faulty requests"),
        pytest.param(VISUAL, "Unknown", "1", (Action.NOTIFY, None), id="what nobody understands is told"),
        pytest.param(ARCHITECTURE, "Drift", "0.4", (Action.NOTIFY, None), id="architecture, low: what is safe"),
        pytest.param(ARCHITECTURE, "Drift", "0.6", (Action.RETRAIN, None), id="architecture, medium: ask to retrain"),
        pytest.param(
            ARCHITECTURE, "Performance", "0.8", (Action.ROLLBACK, 2), id="architecture, high: ask to roll back"
        ),
        pytest.param(ARCHITECTURE, "SystemError", "0.8", (Action.ROLLBACK, 2), id="to what worked"),
        pytest.param(ARCHITECTURE, "DataQuality", "0.8", (Action.NOTIFY, None), id="no version mends the requests"),
    ],
)
def test_policy(preset: PolicyPreset, class_: str, severity: str, expected: tuple[Action, int | None]) -> None:
    found = respond(Diagnosis(class_=DiagnosisClass(class_), severity=severity), preset, EARLIER)
    assert (found.action, found.parameters.to_version) == expected


def test_a_version_that_a_rollback_left_is_no_way_back() -> None:
    history = (
        EARLIER[0],
        record(2, VersionState.SERVING, since="2026-11-21T00:00:00Z"),
        record(3, VersionState.RETIRED, since="2026-11-20T00:00:00Z", until="2026-11-21T00:00:00Z"),
    )
    diagnosis = Diagnosis(class_=DiagnosisClass.PERFORMANCE, severity="0.9")
    assert respond(diagnosis, ARCHITECTURE, history).parameters.to_version == 1


def test_without_an_earlier_version_there_is_nothing_to_roll_back_to() -> None:
    diagnosis = Diagnosis(class_=DiagnosisClass.DRIFT, severity="0.9")
    assert respond(diagnosis, ARCHITECTURE, EARLIER[3:]).action == Action.RETRAIN
