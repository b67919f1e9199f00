"""Execution: what was begun on a request, followed until it is read back, watched for its time, and told.

Nothing here is begun without an intent in the ledger that bears the digest that was approved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from refit.api.deploymentstatus import ModelDeploymentStatus, VersionRecord, VersionState
from refit.api.measured import LastMeasurement, QualityVerdict
from refit.api.outcome import Outcome, RealisedImpact, Result
from refit.api.proposal import Proposal
from refit.api.reasons import Reason
from refit.api.remediation import Bake, Remediation
from refit.api.remediationrequest import Action, RequestPhase
from refit.api.times import moment, stamp
from refit.core.actions import ACTIONS
from refit.core.course import Course, Progress, Scene
from refit.core.observed import AlertSeen, Deployment, Observed, RequestSeen
from refit.core.rollouts import begun_by, came_of, roll_to
from refit.core.serving import served

VERSION_ACTIONS = (Action.RETRAIN, Action.PROMOTE, Action.ROLLBACK)
ENOUGH_LABELS = 30
"""Labelled rows from which on a realised metric is worth telling."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a request that is being carried out comes to in this pass."""

    phase: RequestPhase
    reason: Reason
    message: str
    outcome: Outcome | None = None
    done_at: datetime | None = None
    status: ModelDeploymentStatus | None = None
    again_after: timedelta | None = None


def under_way(requests: Iterable[RequestSeen]) -> tuple[RequestSeen, ...]:
    """The requests that were begun and have an intent for just what was approved."""
    return tuple(
        request
        for request in requests
        if request.status.phase == RequestPhase.EXECUTING and intended(request) and not request.standing.ended
    )


def intended(request: RequestSeen) -> bool:
    """Whether the ledger holds an intent of the digest that was begun on."""
    execution = request.status.execution
    return execution is not None and request.standing.intent == execution.digest


def begun(
    status: ModelDeploymentStatus, deployment: Deployment, requests: Iterable[RequestSeen], now: datetime
) -> ModelDeploymentStatus:
    """The status with all that was begun: of what stands in it already, nothing changes."""
    for request in under_way(requests):
        status = ACTIONS[request.spec.action].start(status, deployment, request, now)
    return status


def with_begun(seen: Observed, now: datetime) -> Observed:
    """What was seen, with the effects of the requests that were begun: all else is derived from these."""
    deployment = seen.deployment
    status = begun(_unheld(deployment), deployment, seen.requests, now)
    return seen if status == deployment.status else replace(seen, deployment=replace(deployment, status=status))


def _unheld(deployment: Deployment) -> ModelDeploymentStatus:
    """A hold ends when another model is declared, and when a training begins that somebody asked for."""
    status, hold, training = deployment.status, deployment.status.hold, deployment.status.training
    if hold is None:
        return status
    began = training.start_time if training is not None else None
    asked = began is not None and moment(began) > moment(hold.since)
    return status.model_copy(update={"hold": None}) if asked or hold.spec_hash != deployment.spec_hash else status


def retraining(requests: Iterable[RequestSeen]) -> RequestSeen | None:
    """The request whose training is under way."""
    return next((request for request in under_way(requests) if request.spec.action == Action.RETRAIN), None)


def follow(request: RequestSeen, scene: Scene, alerts: tuple[AlertSeen, ...]) -> Found:
    """How far the request has come."""
    if request.standing.intent is None:
        return _not_done(request, "the ledger holds no intent of it; nothing is carried out without one")
    if not intended(request):
        return _not_done(request, "the ledger holds an intent of another digest; nothing is carried out")
    progress = ACTIONS[request.spec.action].progress(request, scene)
    if progress.course is Course.RUNNING:
        return Found(phase=RequestPhase.EXECUTING, reason=Reason.EXECUTING, message=progress.message)
    if progress.course is Course.FAILED:
        returned = _was_returned(request, scene.status)
        return _failed(request, progress.message, Result.RETURNED if returned else Result.NOT_DONE)
    bake = (scene.deployment.spec.remediation or Remediation()).bake
    if request.spec.action in VERSION_ACTIONS and progress.result != Result.CHAMPION_KEPT and bake.seconds:
        return _baked(request, progress, bake, scene, alerts)
    return _done(request, progress, scene)


def _done(request: RequestSeen, progress: Progress, scene: Scene) -> Found:
    if progress.result is None:
        raise ValueError(f"{request.spec.action} is done without a result")
    kept = progress.result == Result.CHAMPION_KEPT
    comparison = scene.status.training.comparison if kept and scene.status.training is not None else None
    after = progress.after
    if comparison is not None:
        after = f"champion {comparison.metric} {comparison.champion}, challenger {comparison.challenger}"
    found = Outcome(
        result=progress.result,
        before=_before(request),
        after=after[:256],
        realised_impact=realised(
            request.status.proposal, came_of(request, scene.status), scene.status.last_measurement
        ),
    )
    reason = Reason.CHAMPION_KEPT if kept else Reason.EXECUTED
    return Found(phase=RequestPhase.EXECUTED, reason=reason, message=progress.message, outcome=found)


def _baked(request: RequestSeen, progress: Progress, bake: Bake, scene: Scene, alerts: tuple[AlertSeen, ...]) -> Found:
    """Done counts only once the time of watching is over and what the request was made for is over too."""
    execution = request.status.execution
    since = moment(execution.done_time) if execution is not None and execution.done_time else scene.now
    end = since + timedelta(seconds=bake.seconds)
    low = _low_quality(scene)
    # Failing quality needs no more watching; an alert needs its time to resolve.
    if scene.now < end and not low:
        message = f"{progress.message}; watched until {stamp(end)}"
        return Found(
            phase=RequestPhase.EXECUTING,
            reason=Reason.BAKING,
            message=message,
            done_at=since,
            again_after=end - scene.now,
        )
    trouble = low or _still_firing(request, alerts)
    if not trouble:
        return _done(request, progress, scene)
    origin = execution.from_version if execution is not None else None
    record = next((found for found in scene.status.history if found.version == origin), None)
    if not bake.return_automatically or record is None or record.state != VersionState.RETIRED:
        return _failed(request, f"{progress.message}, but {trouble}", Result.NOT_DONE, progress.after)
    why = f"returned from {request.name}: {trouble}"
    found = _failed(request, f"{trouble}; returned to version {record.version}", Result.RETURNED, progress.after)
    back = roll_to(scene.status, record.version, request, why, scene.now)
    return Found(phase=found.phase, reason=Reason.RETURNED, message=found.message, outcome=found.outcome, status=back)


def _low_quality(scene: Scene) -> str:
    """What labels say against the version that serves now; empty if nothing."""
    last = scene.status.last_measurement
    if last is None or last.quality is None or not _measures(last, served(scene.status.history)):
        return ""
    low = last.quality.verdict == QualityVerdict.LOW
    return f"the new version's quality is low: {last.quality.message}" if low else ""


def _still_firing(request: RequestSeen, alerts: tuple[AlertSeen, ...]) -> str:
    """The alerts the request was made for that have not stopped; empty if all have."""
    asked = {(alert.fingerprint, alert.starts_at) for alert in request.spec.trigger.alerts}
    still = sorted({alert.name for alert in alerts if (alert.fingerprint, alert.starts_at) in asked})
    return f"{', '.join(still)} still fires" if still else ""


def _measures(last: LastMeasurement, record: VersionRecord | None) -> bool:
    """It is of this version, and of the time since it serves: one that served before may have been measured then."""
    if record is None or record.since is None or last.version != record.version:
        return False
    return moment(last.time) >= moment(record.since)


def _was_returned(request: RequestSeen, status: ModelDeploymentStatus) -> bool:
    execution = request.status.execution
    return execution is not None and any(
        record.version == execution.from_version and begun_by(record, request) for record in status.history
    )


def _before(request: RequestSeen) -> str:
    execution = request.status.execution
    return f"version {execution.from_version}" if execution is not None and execution.from_version else ""


def _failed(request: RequestSeen, message: str, result: Result, after: str = "") -> Found:
    outcome = Outcome(result=result, before=_before(request), after=after)
    reason = Reason.RETURNED if result == Result.RETURNED else Reason.EXECUTION_FAILED
    return Found(phase=RequestPhase.FAILED, reason=reason, message=message, outcome=outcome)


def _not_done(request: RequestSeen, message: str) -> Found:
    return _failed(request, message, Result.NOT_DONE)


def realised(
    proposal: Proposal | None, record: VersionRecord | None, last: LastMeasurement | None
) -> RealisedImpact | None:
    """What the predicted metric came to, on the labelled requests of the version that came of it."""
    predicted = proposal.predicted_impact if proposal is not None else None
    if predicted is None or last is None or last.quality is None or not _measures(last, record):
        return None
    value = last.quality.metrics.wire().get(predicted.metric)
    if value is None or last.quality.labelled < ENOUGH_LABELS:
        return None
    return RealisedImpact(
        metric=predicted.metric,
        before=predicted.now,
        after=value,
        rows=last.quality.labelled,
        inside=float(predicted.low) <= float(value) <= float(predicted.high),
    )
