"""Training: which run is wanted, and what the Job of the newest one says.

A training has a key, computed from what it is the training of. One key has one Job; another attempt
is made only when the Job or its answer was lost, never because it failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from refit.api import meta
from refit.api.deploymentstatus import TrainingPhase, TrainingStatus
from refit.api.reasons import Reason
from refit.api.results import (
    EXIT_REFUSED,
    ResultUnreadableError,
    TrainingOutcome,
    TrainingResult,
    decode_training,
)
from refit.api.times import moment, stamp
from refit.core.observed import Config, Deployment, JobSeen, JobState, RequestSeen


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The training that the spec, the schedule and the owner's requests call for now."""

    key: str
    spec_hash: str
    cause: str
    request: str | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """What to do about training: the status to write, a Job to create, one to delete, a result that arrived."""

    status: TrainingStatus
    create: bool = False
    delete_job: str | None = None
    result: TrainingResult | None = None


def wanted(deployment: Deployment, now: datetime, retrain: RequestSeen | None = None) -> Wanted:
    """The training that should be the newest one; raises ValueError for a schedule that cannot be read.

    `retrain` is the approved request that asks for one; while there is one, and while what serves is held
    after a rollback, the schedule waits; a training that runs is one that a tick needs not begin again.
    """
    current = deployment.status.training
    hashed = deployment.spec_hash
    hold = deployment.status.hold
    held = retrain is not None or (hold is not None and hold.spec_hash == hashed)
    requested = deployment.train_requested
    next_at = _tick_after(deployment.spec.training.schedule, now)
    # An annotation that was taken away asks for nothing.
    asked = bool(requested) and current is not None and current.requested != requested
    if current is None or current.spec_hash != hashed or asked:
        key = meta.short_hash([hashed, requested]) if requested else hashed
        if current is None:
            cause = "first training"
        else:
            cause = "spec changed" if current.spec_hash != hashed else "requested by annotation"
        return Wanted(key=key, spec_hash=hashed, cause=cause, next_at=next_at)
    if retrain is not None:
        key = meta.short_hash([hashed, requested, retrain.uid])
        cause = f"request {retrain.name}"
        return Wanted(key=key, spec_hash=hashed, cause=cause, request=retrain.name, next_at=next_at)
    due = _tick_after(deployment.spec.training.schedule, moment(current.start_time)) if current.start_time else None
    running = current.phase == TrainingPhase.RUNNING
    if due is not None and due <= now and not held and not running:
        # Ticks that passed while nobody looked count as one: the newest.
        tick = stamp(max(due, _tick_before(deployment.spec.training.schedule, now) or due))
        key = meta.short_hash([hashed, requested, tick])
        return Wanted(key=key, spec_hash=hashed, cause=f"schedule {tick}", next_at=next_at)
    return Wanted(key=current.key, spec_hash=hashed, cause=current.cause, request=current.request, next_at=next_at)


def step(deployment: Deployment, want: Wanted, job: JobSeen | None, config: Config, now: datetime) -> Step:
    """The next step of training: start, adopt, wait, try again, or take the answer."""
    current = deployment.status.training
    if current is None or current.key != want.key:
        old = current.job if current is not None else None
        return Step(status=_attempt(deployment, want, 1, now), create=True, delete_job=old)
    if current.phase != TrainingPhase.RUNNING:
        return Step(status=current)
    if job is None:
        return _again(deployment, want, current, config, now, "the Job was deleted before it answered")
    if job.state is JobState.ACTIVE:
        message = f"Job {job.name} is running" + (f": {job.waiting}" if job.waiting else "")
        return Step(status=current.model_copy(update={"message": message[:1024]}))
    if job.state is JobState.FAILED and (job.message is None or job.exit_code != EXIT_REFUSED):
        return Step(status=_failed(deployment, current, job, now))
    if not job.message:
        return _again(deployment, want, current, config, now, "its answer was lost with its pod")
    try:
        result = decode_training(job.message)
    except ResultUnreadableError as error:
        return Step(status=_ended(current, TrainingPhase.FAILED, Reason.TRAINING_FAILED, str(error), now))
    return Step(status=_answered(current, result, now), result=result)


def _attempt(deployment: Deployment, want: Wanted, number: int, now: datetime) -> TrainingStatus:
    job = meta.training_job_name(deployment.name, want.key, number)
    return TrainingStatus(
        key=want.key,
        spec_hash=want.spec_hash,
        attempt=number,
        job=job,
        phase=TrainingPhase.RUNNING,
        cause=want.cause,
        request=want.request,
        requested=deployment.train_requested,
        reason=Reason.TRAINING,
        message=f"Job {job} is running",
        start_time=stamp(now),
    )


def _again(
    deployment: Deployment, want: Wanted, current: TrainingStatus, config: Config, now: datetime, why: str
) -> Step:
    if current.attempt >= config.training_attempts:
        message = f"Job {current.job}: {why}; that was attempt {current.attempt} of {config.training_attempts}"
        return Step(status=_ended(current, TrainingPhase.FAILED, Reason.TRAINING_LOST, message, now))
    following = _attempt(deployment, want, current.attempt + 1, now)
    kept = following.model_copy(
        update={"start_time": current.start_time, "message": f"Job {current.job}: {why}; attempt {following.attempt}"}
    )
    return Step(status=kept, create=True, delete_job=current.job)


def _ended(current: TrainingStatus, phase: TrainingPhase, reason: str, message: str, now: datetime) -> TrainingStatus:
    return current.model_copy(
        update={"phase": phase, "reason": reason, "message": message[:1024], "completion_time": stamp(now)}
    )


def _failed(deployment: Deployment, current: TrainingStatus, job: JobSeen, now: datetime) -> TrainingStatus:
    if job.failure == "DeadlineExceeded":
        message = f"Job {job.name} did not end within spec.training.timeoutSeconds; raise it, or train on less data"
        return _ended(current, TrainingPhase.FAILED, Reason.TRAINING_TIMEOUT, message, now)
    code = f"exit code {job.exit_code}" if job.exit_code is not None else job.failure or "no exit code"
    # The container's log may hold secrets, so status points at it and does not quote it.
    message = f"Job {job.name} failed ({code}); see: kubectl logs -n {deployment.namespace} job/{job.name}"
    return _ended(current, TrainingPhase.FAILED, Reason.TRAINING_FAILED, message, now)


PHASES = {
    TrainingOutcome.REGISTERED: TrainingPhase.SUCCEEDED,
    TrainingOutcome.BELOW_BOUND: TrainingPhase.BELOW_BOUND,
    TrainingOutcome.CHAMPION_KEPT: TrainingPhase.CHAMPION_KEPT,
    TrainingOutcome.REFUSED: TrainingPhase.REFUSED,
}


def _answered(current: TrainingStatus, result: TrainingResult, now: datetime) -> TrainingStatus:
    failed = next((check for check in result.checks if not check.passed), None)
    phase = PHASES[result.outcome]
    told = result.message if not result.checks else f"{result.rows} rows, {len(result.checks)} checks passed"
    return _ended(current, phase, result.reason, result.message, now).model_copy(
        update={
            "run_id": result.run_id,
            "rows": result.rows,
            "data_sha256": result.data_sha256,
            "data_valid": _data_valid(result),
            "data_message": f"{failed.name}: {failed.message}" if failed else told,
            "fit_seconds": result.fit_seconds,
            "total_seconds": result.total_seconds,
            "metrics": result.metrics,
            "comparison": result.comparison,
            "shadow": result.shadow,
        }
    )


def _data_valid(result: TrainingResult) -> bool | None:
    """Whether the data passed its checks; None if the training was refused before they were made."""
    if result.checks:
        return all(check.passed for check in result.checks)
    return False if result.reason == Reason.DIGEST_MISMATCH else None


def schedule_problem(schedule: str | None) -> str | None:
    """What is wrong with a cron line, or None; ticks closer than five minutes are refused."""
    if schedule is None:
        return None
    try:
        ticks = CronSim(schedule, datetime(2024, 1, 1, tzinfo=UTC))
        first, second = next(ticks), next(ticks)
    except (CronSimError, StopIteration) as error:
        return (
            f"spec.training.schedule {schedule!r}: {error or 'never comes'}; five fields: minute hour day month weekday"
        )
    if second - first < timedelta(minutes=5):
        return f"spec.training.schedule {schedule!r}: comes more often than every 5 minutes"
    return None


def _tick_after(schedule: str | None, now: datetime) -> datetime | None:
    return None if schedule is None else next(CronSim(schedule, now.astimezone(UTC)), None)


def _tick_before(schedule: str | None, now: datetime) -> datetime | None:
    if schedule is None:
        return None
    return next(CronSim(schedule, now.astimezone(UTC), reverse=True), None)
