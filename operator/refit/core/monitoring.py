"""Monitoring: which measurement is wanted, and what the Job of the newest one says.

Measurements come at the ticks of a clock that each model reads for itself: the interval, counted from a
phase of the model's own, so that a thousand models do not measure in the same second. Ticks that passed
while nobody looked count as one. A measurement that could not be made is an Error, and never drift.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from refit.api import meta
from refit.api.conditions import ConditionStatus
from refit.api.deploymentstatus import MeasurementPhase, MeasurementStatus, VersionRecord
from refit.api.measured import LastMeasurement, QualityVerdict, Verdict
from refit.api.modeldeployment import RequestLogMode
from refit.api.monitoring import Monitoring
from refit.api.reasons import ConditionType, Reason
from refit.api.results import ResultUnreadableError, decode_measurement
from refit.api.times import moment, stamp
from refit.core.observed import Config, Deployment, JobSeen, JobState
from refit.core.serving import served

Told = tuple[ConditionType, ConditionStatus, str, str]
"""A condition's type, status, reason and message."""

SOONEST = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What to do about monitoring: the status to write, a Job to create, one to delete, when to look again."""

    status: MeasurementStatus | None = None
    last: LastMeasurement | None = None
    create: bool = False
    delete_job: str | None = None
    again_after: timedelta | None = None
    arrived: bool = False


def obstacle(deployment: Deployment, record: VersionRecord | None, config: Config) -> tuple[Reason, str] | None:
    """What keeps a model that declares monitoring from being measured, and what to do; None if nothing does."""
    if not config.collector_url:
        return Reason.NO_COLLECTOR, "this installation has no collector; install it and set REFIT_COLLECTOR_URL"
    if deployment.spec.serving.request_log.mode == RequestLogMode.NONE:
        return Reason.REQUEST_LOG_OFF, "no requests are kept; set spec.serving.requestLog.mode to All"
    if record is None:
        return Reason.NOT_YET_SERVED, "no version serves yet"
    if record.profile is None:
        command = (
            f"kubectl annotate mdep {deployment.name} -n {deployment.namespace} {meta.GROUP}/train-requested-at=now"
        )
        return Reason.NO_REFERENCE, f"version {record.version} has no profile of its data; train again: {command}"
    return None


def step(
    deployment: Deployment, history: tuple[VersionRecord, ...], job: JobSeen | None, config: Config, now: datetime
) -> Step:
    """The next step of monitoring: wait, take the answer, or order the next measurement."""
    monitoring, record = deployment.spec.monitoring, served(history)
    current, last = deployment.status.measurement, deployment.status.last_measurement
    if monitoring is None:
        return Step(delete_job=current.job if current is not None else None)
    arrived = False
    if current is not None and current.phase == MeasurementPhase.RUNNING:
        answer = _answer(current, job, now)
        if answer is None:
            return Step(status=current, last=last, again_after=None)
        last, arrived = _with_what_stands(answer, last), True
        current = current.model_copy(update={"phase": MeasurementPhase.ENDED})
    if record is None or obstacle(deployment, record, config) is not None:
        return Step(status=current, last=last, arrived=arrived)
    wanted = _due(deployment, monitoring, record, current, now)
    next_tick = max(_tick(deployment.uid, monitoring, now) + _interval(monitoring) - now, SOONEST)
    if wanted is None:
        return Step(status=current, last=last, again_after=next_tick, arrived=arrived)
    old = current.job if current is not None and current.job != wanted.job else None
    return Step(status=wanted, last=last, create=True, delete_job=old, again_after=next_tick, arrived=arrived)


def _with_what_stands(answer: LastMeasurement, before: LastMeasurement | None) -> LastMeasurement:
    """A measurement that failed looked at no requests: what was wrong with them stands until one has looked."""
    if answer.verdict == Verdict.ERROR and before is not None and requests_problem(before):
        return answer.model_copy(update={"data_quality": before.data_quality})
    return answer


def told(deployment: Deployment, history: tuple[VersionRecord, ...], found: Step, config: Config) -> tuple[Told, ...]:
    """The conditions Monitored, Drifted and QualityOk; none for a model that declares no monitoring."""
    if deployment.spec.monitoring is None:
        return ()
    problem = obstacle(deployment, served(history), config)
    last = found.last
    if problem is not None:
        return ((ConditionType.MONITORED, ConditionStatus.FALSE, *problem),)
    if last is None:
        return ((ConditionType.MONITORED, ConditionStatus.UNKNOWN, Reason.NOT_YET_MEASURED, "not measured yet"),)
    if last.verdict == Verdict.ERROR:
        failed = (ConditionStatus.UNKNOWN, Reason.MEASUREMENT_FAILED, last.message)
        return (
            (ConditionType.MONITORED, ConditionStatus.FALSE, Reason.MEASUREMENT_FAILED, last.message),
            (ConditionType.DRIFTED, *failed),
            (ConditionType.QUALITY_OK, *failed),
        )
    rows = f"{last.rows} rows of version {last.version} from {last.since} to {last.until}"
    return (
        (ConditionType.MONITORED, ConditionStatus.TRUE, Reason.MEASURED, rows),
        (ConditionType.DRIFTED, *_drifted(last)),
        (ConditionType.QUALITY_OK, *_quality(last)),
    )


def requests_problem(last: LastMeasurement | None) -> str | None:
    """What is wrong with the requests themselves, or None; while it stands, nothing is learned from them."""
    quality = last.data_quality if last is not None else None
    return quality.message if quality is not None and not quality.valid else None


def summary(last: LastMeasurement | None) -> str | None:
    """The newest verdict in a few words, for the DRIFT column."""
    if last is None:
        return None
    if last.verdict == Verdict.DRIFT:
        largest = last.features[0] if last.features else last.prediction
        if largest is not None:
            return f"{float(largest.effect):.2f} {largest.column}"[:256]
        if last.segments:
            part = last.segments[0]
            return f"{float(part.effect):.2f} {part.column} in {part.segment}"[:256]
    return str(last.verdict)


def _due(
    deployment: Deployment,
    monitoring: Monitoring,
    record: VersionRecord,
    current: MeasurementStatus | None,
    now: datetime,
) -> MeasurementStatus | None:
    """The measurement that should be made now and was not ordered yet."""
    began = moment(record.since or record.create_time)
    asked = deployment.measure_requested
    if asked and (current is None or current.requested != asked):
        return _ordered(deployment, monitoring, record, now, ["requested", asked])
    tick = _tick(deployment.uid, monitoring, now)
    measured = current is not None and current.version == record.version and moment(current.until) >= tick
    if tick <= began or measured:
        return None
    return _ordered(deployment, monitoring, record, tick, [stamp(tick)])


def _ordered(
    deployment: Deployment, monitoring: Monitoring, record: VersionRecord, until: datetime, cause: list[str]
) -> MeasurementStatus:
    key = meta.short_hash([deployment.uid, record.version, *cause])
    since = max(until - timedelta(hours=monitoring.window.hours), moment(record.since or record.create_time))
    return MeasurementStatus(
        key=key,
        job=meta.measurement_job_name(deployment.name, key),
        phase=MeasurementPhase.RUNNING,
        version=record.version,
        since=stamp(min(since, until)),
        until=stamp(until),
        requested=deployment.measure_requested,
    )


def _interval(monitoring: Monitoring) -> timedelta:
    return timedelta(seconds=monitoring.interval_seconds)


def _tick(uid: str, monitoring: Monitoring, now: datetime) -> datetime:
    """The newest tick of the model's clock that is not after `now`."""
    interval = monitoring.interval_seconds
    phase = zlib.crc32(uid.encode()) % interval
    seconds = int(now.timestamp())
    return datetime.fromtimestamp(seconds - (seconds - phase) % interval, tz=UTC)


def _answer(current: MeasurementStatus, job: JobSeen | None, now: datetime) -> LastMeasurement | None:
    """What the Job says, an Error if it can say nothing any more, None while it runs."""
    if job is None:
        return _error(current, now, f"Job {current.job} was deleted before it answered")
    if job.state is JobState.ACTIVE:
        return None
    if not job.message:
        why = job.failure or "its answer was lost with its pod"
        return _error(current, now, f"Job {job.name} did not answer ({why}); see: kubectl logs job/{job.name}")
    try:
        answer = decode_measurement(job.message)
    except ResultUnreadableError as error:
        return _error(current, now, f"Job {job.name}: {error}")
    if answer.key != current.key:
        return _error(current, now, f"Job {job.name} answered for another measurement ({answer.key})")
    return answer


def _error(current: MeasurementStatus, now: datetime, message: str) -> LastMeasurement:
    return LastMeasurement(
        key=current.key,
        time=stamp(now),
        verdict=Verdict.ERROR,
        version=current.version,
        since=current.since,
        until=current.until,
        message=message[:1024],
    )


def _drifted(last: LastMeasurement) -> tuple[ConditionStatus, str, str]:
    if last.verdict == Verdict.DRIFT:
        return ConditionStatus.TRUE, Reason.DRIFT, last.message
    if last.verdict == Verdict.INCONCLUSIVE:
        return ConditionStatus.UNKNOWN, Reason.INCONCLUSIVE, last.message
    return ConditionStatus.FALSE, Reason.NO_DRIFT, last.message


def _quality(last: LastMeasurement) -> tuple[ConditionStatus, str, str]:
    quality = last.quality
    if quality is None or quality.verdict == QualityVerdict.UNKNOWN:
        message = quality.message if quality is not None and quality.message else "no labels have come"
        return ConditionStatus.UNKNOWN, Reason.QUALITY_UNKNOWN, message
    if quality.verdict == QualityVerdict.LOW:
        return ConditionStatus.FALSE, Reason.QUALITY_LOW, quality.message
    return ConditionStatus.TRUE, Reason.QUALITY_KEPT, quality.message
