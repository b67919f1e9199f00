"""Status: the conditions, all from one function, so that they can never contradict each other.

Ready, Reconciling and Stalled follow kstatus: Reconciling and Stalled are there only while they are
true. A version that serves keeps serving whatever happens to a newer one: that is Available. Ready
says that what is declared is what serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refit.api.conditions import Condition, ConditionStatus
from refit.api.deploymentstatus import Hold, TrainingPhase, TrainingStatus, VersionRecord, VersionState
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.reasons import ConditionType, Reason
from refit.api.times import stamp
from refit.core.monitoring import Told
from refit.core.observed import ServiceSeen
from refit.core.serving import served


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Why a ModelDeployment is not Ready, and whether time or a person will change that."""

    reason: str
    message: str
    stalled: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the conditions are made of."""

    spec: ModelDeploymentSpec
    spec_hash: str
    training: TrainingStatus | None
    history: tuple[VersionRecord, ...]
    service: ServiceSeen
    blocked: Finding | None = None
    hold: Hold | None = None
    requests_problem: str | None = None
    rolling: str = ""
    told: tuple[Told, ...] = ()


def conditions(facts: Facts, generation: int, now: datetime) -> tuple[Condition, ...]:
    """All conditions of one pass; transition times are merged with the earlier ones by the caller."""
    finding = finding_of(facts)
    found = [
        _condition(ConditionType.AVAILABLE, *_available(facts)),
        _condition(ConditionType.DATA_VALID, *_data_valid(facts.training, facts.requests_problem)),
        _condition(ConditionType.TRAINED, *_trained(facts.training)),
    ]
    if finding is None:
        record = _serving(facts)
        message = f"version {record.version} serves" if record is not None else ""
        if facts.hold is not None:
            message = f"{message}, held since {facts.hold.request} took version {facts.hold.version} back"
        found.append(_condition(ConditionType.READY, ConditionStatus.TRUE, Reason.SERVING, message))
    else:
        found.append(_condition(ConditionType.READY, ConditionStatus.FALSE, finding.reason, finding.message))
        kind = ConditionType.STALLED if finding.stalled else ConditionType.RECONCILING
        found.append(_condition(kind, ConditionStatus.TRUE, finding.reason, finding.message))
    found.extend(_condition(*told) for told in facts.told)
    return tuple(
        condition.model_copy(update={"observed_generation": generation, "last_transition_time": stamp(now)})
        for condition in found
    )


def finding_of(facts: Facts) -> Finding | None:
    """The first thing that keeps the declared model from serving, or None: it serves."""
    if facts.blocked is not None:
        return facts.blocked
    serving = _serving(facts)
    held = facts.hold is not None and facts.hold.spec_hash == facts.spec_hash
    current = serving is not None and (serving.spec_hash == facts.spec_hash or held)
    still = f"; version {serving.version} keeps serving" if serving is not None else ""
    if any(record.state == VersionState.CANDIDATE for record in facts.history) and not current:
        candidate = next(record for record in facts.history if record.state == VersionState.CANDIDATE)
        rolling = facts.rolling or f"rolling out version {candidate.version}{_pod_trouble(facts.service)}"
        return Finding(reason=Reason.ROLLING_OUT, message=f"{rolling}{still}"[:1024])
    training = facts.training
    if not current and training is not None and training.phase != TrainingPhase.SUCCEEDED:
        stalled = training.phase != TrainingPhase.RUNNING
        return Finding(reason=training.reason, message=f"{training.message}{still}"[:1024], stalled=stalled)
    newest = next((record for record in facts.history if training is not None and record.key == training.key), None)
    if not current and newest is not None and newest.state == VersionState.FAILED:
        return Finding(
            reason=newest.reason,
            message=f"version {newest.version} was not rolled out: {newest.message}{still}"[:1024],
            stalled=True,
        )
    if not current and newest is not None and newest.reason == Reason.CANARY_ABORTED:
        message = f"version {newest.version} was not rolled out: {newest.message}{still}"
        return Finding(reason=newest.reason, message=message[:1024], stalled=True)
    if serving is None:
        return Finding(reason=Reason.TRAINING, message="waiting for a version to serve")
    rollout = facts.service.rollout
    if rollout is None or rollout.available == 0:
        return Finding(
            reason=Reason.UNAVAILABLE,
            message=f"no pod of version {serving.version} answers{_pod_trouble(facts.service)}",
        )
    if not rollout.complete and current:
        return Finding(
            reason=Reason.ROLLING_OUT,
            message=f"pods of version {serving.version} are being replaced{_pod_trouble(facts.service)}",
        )
    return None


def _serving(facts: Facts) -> VersionRecord | None:
    return served(facts.history)


def _available(facts: Facts) -> tuple[ConditionStatus, str, str]:
    serving = _serving(facts)
    if serving is None:
        return ConditionStatus.FALSE, Reason.NOT_YET_SERVED, "no version has served yet"
    rollout = facts.service.rollout
    if rollout is None or rollout.available == 0:
        return ConditionStatus.FALSE, Reason.UNAVAILABLE, "no pod of the predictor is available"
    return ConditionStatus.TRUE, Reason.SERVING, f"{serving.algorithm} version {serving.version}"


def _data_valid(training: TrainingStatus | None, requests_problem: str | None) -> tuple[ConditionStatus, str, str]:
    """Of the data that was trained on, and then of the requests that come."""
    if requests_problem is not None:
        return ConditionStatus.FALSE, Reason.REQUESTS_INVALID, requests_problem
    if training is None or training.data_valid is None:
        return ConditionStatus.UNKNOWN, Reason.NOT_YET_CHECKED, "the data has not been checked yet"
    if training.data_valid:
        return ConditionStatus.TRUE, Reason.CHECKS_PASSED, training.data_message
    return ConditionStatus.FALSE, training.reason or Reason.REFUSED, training.data_message


def _trained(training: TrainingStatus | None) -> tuple[ConditionStatus, str, str]:
    if training is None:
        return ConditionStatus.UNKNOWN, Reason.TRAINING, "no training has started yet"
    status = {
        TrainingPhase.RUNNING: ConditionStatus.UNKNOWN,
        TrainingPhase.SUCCEEDED: ConditionStatus.TRUE,
    }.get(training.phase, ConditionStatus.FALSE)
    return status, training.reason or Reason.TRAINING, training.message


def _pod_trouble(service: ServiceSeen) -> str:
    rollout = service.rollout
    if rollout is None or not (rollout.pod_message or rollout.pod_waiting):
        return ""
    return f" ({rollout.pod_message or rollout.pod_waiting})"[:300]


def _condition(kind: ConditionType, status: ConditionStatus, reason: str, message: str) -> Condition:
    return Condition(
        type=kind,
        status=status,
        reason=reason or Reason.REFUSED,
        message=message[:1024],
        last_transition_time="1970-01-01T00:00:00Z",
    )
