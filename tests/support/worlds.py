"""Values of a plain healthy world, for tests to differ from in one respect."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from refit.api.deploymentstatus import (
    Artifact,
    ModelDeploymentStatus,
    TrainingPhase,
    TrainingStatus,
    VersionRecord,
    VersionState,
)
from refit.api.measured import FeatureDrift, LastMeasurement, Verdict
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.results import CheckOutcome, Parity, Registered, TrainingOutcome, TrainingResult
from refit.core.observed import Config, Deployment

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
EARLIER = "2026-11-21T11:59:00Z"
CONFIG = Config(
    trainer_image="registry.test/trainer@sha256:" + "1" * 64,
    predictor_image="registry.test/predictor@sha256:" + "2" * 64,
    tracking_uri="http://mlflow.test:5000",
    monitor_image="registry.test/monitor@sha256:" + "3" * 64,
    collector_url="http://collector.test:8080",
)
SPEC: dict[str, Any] = {
    "data": {"source": {"uri": "sample://heart-disease"}, "target": {"column": "num", "positiveWhen": "> 0"}},
    "training": {"candidates": [{"algorithm": "LogisticRegression"}], "selection": {"metric": "f1", "minimum": "0.7"}},
}
UID = "7b4b9a9e-0000-4000-8000-000000000001"
SHA = {number: str(number) * 64 for number in range(1, 10)}


def spec(**training: Any) -> ModelDeploymentSpec:
    """The plain spec, with fields of `training` replaced."""
    declared = copy.deepcopy(SPEC)
    declared["training"] |= training
    return ModelDeploymentSpec.model_validate(declared)


def deployment(status: ModelDeploymentStatus | None = None, **changes: Any) -> Deployment:
    """Heart in namespace clinic."""
    values: dict[str, Any] = {
        "name": "heart",
        "namespace": "clinic",
        "uid": UID,
        "generation": 1,
        "resource_version": "7",
        "created": datetime(2026, 11, 1, tzinfo=UTC),
        "spec": spec(),
        "status": status or ModelDeploymentStatus(),
    }
    return Deployment(**(values | changes))


def training(key: str, **changes: Any) -> TrainingStatus:
    """A training of that key that runs in its first Job."""
    values: dict[str, Any] = {
        "key": key,
        "spec_hash": key,
        "job": f"heart-train-{key}-1",
        "phase": TrainingPhase.RUNNING,
        "cause": "first training",
        "reason": "Training",
        "message": f"Job heart-train-{key}-1 is running",
        "start_time": EARLIER,
    }
    return TrainingStatus(**(values | changes))


def result(key: str, version: int = 1, **changes: Any) -> TrainingResult:
    """The answer of a training that registered a version."""
    values: dict[str, Any] = {
        "key": key,
        "outcome": TrainingOutcome.REGISTERED,
        "reason": "Registered",
        "message": f"version {version}",
        "run_id": "r" * 32,
        "algorithm": "LogisticRegression",
        "metric": "f1",
        "value": "0.82",
        "rows": 303,
        "data_sha256": "d" * 64,
        "checks": (CheckOutcome(name="schema", passed=True),),
        "registered": Registered(
            version=version,
            artifact_uri=f"http://mlflow.test/{version}/model.onnx",
            artifact_sha256=SHA[version],
            golden_uri=f"http://mlflow.test/{version}/golden.json",
            golden_sha256="e" * 64,
            profile_uri=f"http://mlflow.test/{version}/profile.json",
            profile_sha256="f" * 64,
            parity=Parity(rows=61, max_difference="0.0000001", differing_labels=0),
        ),
    }
    return TrainingResult(**(values | changes))


def record(version: int, state: VersionState, **changes: Any) -> VersionRecord:
    """A registered version in that state."""
    values: dict[str, Any] = {
        "version": version,
        "state": state,
        "key": "k" * 10,
        "spec_hash": "k" * 10,
        "artifact": Artifact(uri=f"http://mlflow.test/{version}/model.onnx", sha256=SHA[version]),
        "golden": Artifact(uri=f"http://mlflow.test/{version}/golden.json", sha256="e" * 64),
        "profile": Artifact(uri=f"http://mlflow.test/{version}/profile.json", sha256="f" * 64),
        "algorithm": "LogisticRegression",
        "metric": "f1",
        "value": "0.82",
        "run_id": "r" * 32,
        "data_sha256": "d" * 64,
        "reason": "first training",
        "create_time": EARLIER,
        "rollout_time": EARLIER,
    }
    return VersionRecord(**(values | changes))


WATCHED: dict[str, Any] = {
    "serving": {"requestLog": {"mode": "All"}},
    "monitoring": {"intervalSeconds": 300, "window": {"hours": 24, "minRows": 200}},
    "remediation": {"policy": "seed-visual", "mode": "Observe"},
}
"""What a spec adds to be watched and to have repairs proposed."""


def measured(key: str, verdict: Verdict = Verdict.NO_DRIFT, **changes: Any) -> LastMeasurement:
    """The answer of a measurement of version 1 over 500 rows."""
    values: dict[str, Any] = {
        "key": key,
        "time": EARLIER,
        "verdict": verdict,
        "rows": 500,
        "version": 1,
        "since": "2026-11-20T12:00:00Z",
        "until": EARLIER,
        "message": "13 columns, none drifted",
    }
    return LastMeasurement(**(values | changes))


def drifted(key: str, **effects: float) -> LastMeasurement:
    """A measurement that found these columns drifted by so much."""
    features = tuple(
        FeatureDrift(column=column, method="KS", effect=str(effect), p_value="1e-9")
        for column, effect in effects.items()
    )
    message = f"{', '.join(effects)} drifted"
    return measured(key, Verdict.DRIFT, features=features, drifted=len(features), measured=13, message=message)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)
