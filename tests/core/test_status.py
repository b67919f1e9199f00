from __future__ import annotations

from dataclasses import replace

import pytest

from refit.api.conditions import Condition, find, merge
from refit.api.deploymentstatus import TrainingPhase, VersionState
from refit.core.observed import RolloutSeen, ServiceSeen
from refit.core.status import Facts, Finding, conditions, finding_of
from worlds import NOW, SHA, record, spec, training

KEY = "k" * 10
UP = ServiceSeen(rollout=RolloutSeen(artifact_sha256=SHA[1], complete=True, available=1))
HEALTHY = Facts(
    spec=spec(),
    spec_hash=KEY,
    training=training(KEY, phase=TrainingPhase.SUCCEEDED, reason="Registered", message="version 1", data_valid=True),
    history=(record(1, VersionState.SERVING, since="2026-11-20T00:00:00Z"),),
    service=UP,
)


def with_training(phase: TrainingPhase, reason: str, message: str) -> Facts:
    return replace(
        HEALTHY,
        spec_hash="n" * 10,
        training=training("n" * 10, phase=phase, reason=reason, message=message),
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(HEALTHY, None, id="a version of this spec with a pod is ready"),
        pytest.param(
            replace(HEALTHY, training=None, history=(), service=ServiceSeen()),
            Finding(reason="Training", message="waiting for a version to serve"),
            id="before anything was trained time will help",
        ),
        pytest.param(
            with_training(TrainingPhase.RUNNING, "Training", "Job x is running"),
            Finding(reason="Training", message="Job x is running; version 1 keeps serving"),
            id="a new spec in training is not ready while the old version serves",
        ),
        pytest.param(
            with_training(TrainingPhase.BELOW_BOUND, "BelowBound", "f1 0.61 is below the minimum 0.7"),
            Finding(
                reason="BelowBound", message="f1 0.61 is below the minimum 0.7; version 1 keeps serving", stalled=True
            ),
            id="a model below its bound needs a person and the live version stays",
        ),
        pytest.param(
            replace(HEALTHY, training=training("s" * 10, spec_hash=KEY)),
            None,
            id="a scheduled training of the same spec leaves it ready",
        ),
        pytest.param(
            replace(HEALTHY, training=training("s" * 10, spec_hash=KEY, phase=TrainingPhase.FAILED)),
            None,
            id="a scheduled training that failed leaves what serves ready",
        ),
        pytest.param(
            replace(
                HEALTHY,
                spec_hash="n" * 10,
                history=(
                    *HEALTHY.history,
                    record(2, VersionState.CANDIDATE, spec_hash="n" * 10, create_time="2026-11-21T12:00:00Z"),
                ),
            ),
            Finding(reason="RollingOut", message="rolling out version 2; version 1 keeps serving"),
            id="a candidate is rolling out",
        ),
        pytest.param(
            replace(
                HEALTHY,
                spec_hash="n" * 10,
                training=training("n" * 10, phase=TrainingPhase.SUCCEEDED),
                history=(
                    *HEALTHY.history,
                    record(
                        2,
                        VersionState.FAILED,
                        key="n" * 10,
                        spec_hash="n" * 10,
                        reason="DigestMismatch",
                        message="want a got b",
                        create_time="2026-11-21T12:00:00Z",
                    ),
                ),
            ),
            Finding(
                reason="DigestMismatch",
                message="version 2 was not rolled out: want a got b; version 1 keeps serving",
                stalled=True,
            ),
            id="a version that was refused by roll-out needs a person",
        ),
        pytest.param(
            replace(HEALTHY, service=ServiceSeen()),
            Finding(reason="Unavailable", message="no pod of version 1 answers"),
            id="without a pod it is unavailable",
        ),
        pytest.param(
            replace(HEALTHY, blocked=Finding(reason="NotOwned", message="x", stalled=True)),
            Finding(reason="NotOwned", message="x", stalled=True),
            id="what stands in the way comes first",
        ),
    ],
)
def test_what_keeps_a_model_from_being_ready(facts: Facts, expected: Finding | None) -> None:
    assert finding_of(facts) == expected


def summary(facts: Facts) -> dict[str, tuple[str, str]]:
    return {found.type: (found.status.value, found.reason) for found in conditions(facts, 3, NOW)}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(
            HEALTHY,
            {
                "Available": ("True", "Serving"),
                "DataValid": ("True", "ChecksPassed"),
                "Trained": ("True", "Registered"),
                "Ready": ("True", "Serving"),
            },
            id="ready has neither Reconciling nor Stalled",
        ),
        pytest.param(
            with_training(TrainingPhase.RUNNING, "Training", "runs"),
            {
                "Available": ("True", "Serving"),
                "DataValid": ("Unknown", "NotYetChecked"),
                "Trained": ("Unknown", "Training"),
                "Ready": ("False", "Training"),
                "Reconciling": ("True", "Training"),
            },
            id="on the way it is Reconciling",
        ),
        pytest.param(
            with_training(TrainingPhase.FAILED, "TrainingFailed", "exit code 1"),
            {
                "Available": ("True", "Serving"),
                "DataValid": ("Unknown", "NotYetChecked"),
                "Trained": ("False", "TrainingFailed"),
                "Ready": ("False", "TrainingFailed"),
                "Stalled": ("True", "TrainingFailed"),
            },
            id="when a person must act it is Stalled and not Reconciling",
        ),
        pytest.param(
            replace(HEALTHY, requests_problem="column chol: all of 200 rows are 0"),
            {
                "Available": ("True", "Serving"),
                "DataValid": ("False", "RequestsInvalid"),
                "Trained": ("True", "Registered"),
                "Ready": ("True", "Serving"),
            },
            id="faulty requests make the data invalid and not the model unready",
        ),
    ],
)
def test_conditions_follow_kstatus(facts: Facts, expected: dict[str, tuple[str, str]]) -> None:
    assert summary(facts) == expected


def test_every_condition_carries_the_generation_it_judged() -> None:
    assert {found.observed_generation for found in conditions(HEALTHY, 3, NOW)} == {3}


def condition(status: str, at: str, reason: str = "R") -> Condition:
    return Condition.model_validate({"type": "Ready", "status": status, "reason": reason, "lastTransitionTime": at})


@pytest.mark.parametrize(
    ("old", "new", "at"),
    [
        pytest.param("True", "True", "2026-01-01T00:00:00Z", id="the same status keeps its time"),
        pytest.param("False", "True", "2026-02-01T00:00:00Z", id="another status has a new time"),
    ],
)
def test_a_transition_time_moves_only_with_the_status(old: str, new: str, at: str) -> None:
    before = condition(old, "2026-01-01T00:00:00Z")
    merged = merge([before], [condition(new, "2026-02-01T00:00:00Z", reason="Other")])
    found = find(merged, "Ready")
    assert found == condition(new, at, reason="Other")
