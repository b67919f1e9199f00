"""Roll-outs on request: which versions one can go to, how that begins, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from refit.api.deploymentstatus import Hold, ModelDeploymentStatus, VersionRecord, VersionState
from refit.api.outcome import Result
from refit.api.reasons import Reason
from refit.api.times import moment, stamp
from refit.core.course import Course, Problem, Progress, Scene
from refit.core.observed import Deployment, RequestSeen
from refit.core.serving import served


def record_of(history: tuple[VersionRecord, ...], version: int | None) -> VersionRecord | None:
    """The record of that version."""
    return next((record for record in history if record.version == version), None)


def good_versions(history: tuple[VersionRecord, ...]) -> tuple[int, ...]:
    """Versions that served once and were not refused since, the newest first."""
    found = [record for record in history if record.served_before]
    return tuple(record.version for record in sorted(found, key=lambda record: record.version, reverse=True))


def rollback_problem(deployment: Deployment, request: RequestSeen) -> Problem | None:
    """Why the version cannot be returned to."""
    valid = good_versions(deployment.status.history)
    return _version_problem(deployment, request, valid, "served before")


def promote_problem(deployment: Deployment, request: RequestSeen) -> Problem | None:
    """Why the version cannot be promoted."""
    kept = [record.version for record in deployment.status.history if record.state == VersionState.RETIRED]
    return _version_problem(deployment, request, tuple(sorted(kept, reverse=True)), "passed the gate")


def _version_problem(deployment: Deployment, request: RequestSeen, valid: tuple[int, ...], such: str) -> Problem | None:
    wanted = request.spec.parameters.to_version
    if wanted in valid:
        return None
    if not valid:
        return Reason.NO_VERSION, f"{deployment.name} has no other version that {such}; ask for Retrain instead"
    listed = ", ".join(str(version) for version in valid)
    record = record_of(deployment.status.history, wanted)
    why = "is not known"
    if record is not None:
        why = "serves now" if record.state == VersionState.SERVING else f"is {record.state}: {record.message}"
    return Reason.NO_VERSION, f"spec.parameters.toVersion {wanted} {why}; versions that {such}: {listed}"


def begun_by(record: VersionRecord, request: RequestSeen) -> bool:
    """Whether this request had the version rolled out: this one, not an earlier one that was named so too."""
    execution = request.status.execution
    if record.request != request.name or record.rollout_time is None or execution is None:
        return False
    return moment(record.rollout_time) >= moment(execution.start_time)


def came_of(request: RequestSeen, status: ModelDeploymentStatus) -> VersionRecord | None:
    """The version that this request had rolled out, if it is known still."""
    return next((record for record in status.history if begun_by(record, request)), None)


def roll_to(
    status: ModelDeploymentStatus, version: int, request: RequestSeen, why: str, now: datetime
) -> ModelDeploymentStatus:
    """The status in which that version is next in line, on the word of that request; once begun, unchanged."""
    record = record_of(status.history, version)
    if record is None or begun_by(record, request):
        return status
    history = tuple(
        other.model_copy(
            update={
                "state": VersionState.CANDIDATE,
                "request": request.name,
                "reason": why[:256],
                "message": "",
                "rollout_time": stamp(now),
            }
        )
        if other.version == version
        else other.model_copy(
            update={"state": VersionState.RETIRED, "message": f"{request.name} came before it served"}
        )
        if other.state == VersionState.CANDIDATE
        else other
        for other in status.history
    )
    return status.model_copy(update={"history": history})


def roll_back(
    status: ModelDeploymentStatus, deployment: Deployment, request: RequestSeen, now: datetime
) -> ModelDeploymentStatus:
    """The version is next in line, and a hold keeps what it follows from coming again by itself."""
    bad = served(status.history)
    moved = promote(status, deployment, request, now)
    if moved is status or bad is None:
        return moved
    hold = Hold(request=request.name, version=bad.version, spec_hash=deployment.spec_hash, since=stamp(now))
    return moved.model_copy(update={"hold": hold})


def promote(
    status: ModelDeploymentStatus, deployment: Deployment, request: RequestSeen, now: datetime
) -> ModelDeploymentStatus:
    """The version is next in line; a hold that was on ends, since somebody wants another version."""
    del deployment
    version = request.spec.parameters.to_version
    why = f"{request.spec.action} by request {request.name}"
    moved = roll_to(status, version, request, why, now) if version is not None else status
    return moved if moved is status else moved.model_copy(update={"hold": None})


def rolled(result: Result) -> Callable[[RequestSeen, Scene], Progress]:
    """How far the roll-out of the version that was asked for has come."""

    def progress(request: RequestSeen, scene: Scene) -> Progress:
        record = record_of(scene.status.history, request.spec.parameters.to_version)
        if record is None or not begun_by(record, request):
            return Progress(course=Course.FAILED, message="another roll-out took its place")
        return of_version(record, result)

    return progress


def of_version(record: VersionRecord, result: Result) -> Progress:
    """How far the roll-out of a version has come."""
    match record.state:
        case VersionState.CANDIDATE:
            return Progress(course=Course.RUNNING, message=f"rolling out version {record.version}")
        case VersionState.SERVING:
            message = f"version {record.version} serves: digest and golden request read back"
            return Progress(course=Course.DONE, message=message, result=result, after=f"version {record.version}")
        case VersionState.FAILED:
            return Progress(course=Course.FAILED, message=f"version {record.version}: {record.message}")
        case VersionState.RETIRED:
            return Progress(course=Course.FAILED, message=f"version {record.version}: {record.message or 'replaced'}")
