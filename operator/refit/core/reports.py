"""Reports: which one is due, and what its Job says.

A report has a cause: a version became the champion, inputs drifted, a request came to an end or waits for a person.
Its key is computed from that cause, so one cause is reported once, whoever looks. One Job runs at a time for a model,
and a report that cannot be made is tried a few times; nothing else waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from refit.api import meta
from refit.api.deploymentstatus import ModelDeploymentStatus, VersionRecord
from refit.api.measured import Verdict
from refit.api.reasons import Reason
from refit.api.remediationrequest import Action, RequestPhase
from refit.api.reports import KEPT, Report, ReportKind, ReportPhase
from refit.api.results import ResultUnreadableError, decode_report
from refit.api.times import moment, stamp
from refit.core.answers import Answer
from refit.core.notes import Note
from refit.core.observed import Config, JobSeen, JobState, Manifest, Observed, RequestSeen
from refit.core.reportjob import report_job
from refit.core.reportorder import Cause, order
from refit.core.serving import served
from refit.core.tracing import traced

ATTEMPTS = 3
RETRY = timedelta(minutes=5)
"""Before the second attempt; twice as long before the third."""
SAME_DRIFT, OTHER_DRIFT = timedelta(days=1), timedelta(hours=1)
"""How long one report of drift is enough: while the same columns drift, and when others do."""
LINKED = 8
"""Addresses that a request's status holds."""
SOON = timedelta(seconds=1)
UNREPORTED = (Action.LOG, Action.NOTIFY)
"""Nothing was decided and nothing done; there is no incident to tell of."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What to do about reports: what the status says of them, a Job to create, those to delete, when to look again."""

    reports: tuple[Report, ...] = ()
    create: Manifest | None = None
    delete: tuple[str, ...] = ()
    note: Note | None = None
    again_after: timedelta | None = None


def step(seen: Observed, status: ModelDeploymentStatus, config: Config, now: datetime) -> Step:
    """Wait, take the answer, or order the report that is most pressing. `status` is as this pass will write it."""
    known = status.reports or ()
    running = next((report for report in known if report.phase == ReportPhase.RUNNING), None)
    if running is not None:
        ended = _ended(running, seen.report, seen.deployment.namespace)
        if ended is None:
            return Step(reports=known)
        # Its Job goes when the next is ordered: only then does the answer stand in the status.
        return Step(reports=_with(known, ended), note=_note(ended), again_after=SOON)
    if not config.report_image:
        return Step(reports=known)
    causes = sorted(found_causes(seen, status), key=lambda cause: (PRESSING[cause.kind], -cause.time.timestamp()))
    for cause in causes:
        attempt = _attempt(cause, known, now)
        if attempt:
            return _ordered(_dated(cause, known, now), attempt, seen, status, config, now)
    waits = [_retry_at(report) - now for report in known if _may_retry(report)]
    return Step(reports=known, again_after=max(min(waits), SOON) if waits else None)


PRESSING = {ReportKind.APPROVAL: 0, ReportKind.INCIDENT: 1, ReportKind.DEPLOYMENT: 2, ReportKind.DRIFT: 3}
"""A person waits for the first."""


def found_causes(seen: Observed, status: ModelDeploymentStatus) -> tuple[Cause, ...]:
    """All that a report could be made of now, whether or not there is one."""
    record = served(status.history)
    home = record or max(status.history, key=lambda each: each.version, default=None)
    if home is None:
        return ()  # no run in MLflow to keep a report with
    found = [_of_request(seen.deployment.uid, request, home) for request in _about(seen)]
    found += [_of_version(seen.deployment.uid, record)] if record is not None else []
    found += [_of_drift(seen.deployment.uid, status)]
    return tuple(cause for cause in found if cause is not None)


def linked(
    answers: tuple[Answer, ...], requests: Iterable[RequestSeen], reports: Iterable[Report]
) -> tuple[Answer, ...]:
    """The answers, so that each request's status names the reports that tell of it."""
    stored: dict[str, list[str]] = {}
    for report in reports:
        if report.request is not None and report.uri is not None:
            stored.setdefault(report.request, []).append(report.uri)
    found = {answer.request.name: answer for answer in answers}
    for request in requests:
        missing = [uri for uri in stored.get(request.name, ()) if uri not in request.status.reports]
        if not missing:
            continue
        answer = found.get(request.name)
        told = answer.status if answer is not None else request.status.model_copy(update={"approvals": None})
        update = {"reports": (*request.status.reports, *missing)[-LINKED:]}
        entry = answer.entry if answer is not None else None
        found[request.name] = Answer(request=request, status=told.model_copy(update=update), entry=entry)
    return tuple(found.values())


def _about(seen: Observed) -> tuple[RequestSeen, ...]:
    """The requests about this very model, not about an earlier one of its name."""
    uid, created = seen.deployment.uid, seen.deployment.created
    return tuple(
        request
        for request in seen.requests
        if request.spec.target_ref.uid in {None, uid}
        and request.created >= created
        and request.spec.action not in UNREPORTED
    )


def _of_request(uid: str, request: RequestSeen, home: VersionRecord) -> Cause | None:
    proposal = request.status.proposal
    if not request.open:
        kind, content, time = ReportKind.INCIDENT, request.uid, ended_at(request)
    elif request.status.phase == RequestPhase.AWAITING_APPROVAL and proposal is not None and not proposal.automatic:
        kind, content, time = ReportKind.APPROVAL, proposal.digest, request.created
    else:
        return None
    key = meta.short_hash([uid, kind, request.uid, content])
    about = f"{request.spec.action}, {request.status.phase}"
    return Cause(key=key, kind=kind, time=time, about=about, home=home, request=request, linked=request.name)


def _of_version(uid: str, record: VersionRecord) -> Cause | None:
    if record.since is None:
        return None
    return Cause(
        key=meta.short_hash([uid, ReportKind.DEPLOYMENT, record.version, record.since]),
        kind=ReportKind.DEPLOYMENT,
        time=moment(record.since),
        about=f"version {record.version}",
        home=record,
        linked=record.request,
    )


def _of_drift(uid: str, status: ModelDeploymentStatus) -> Cause | None:
    last = status.last_measurement
    if last is None or last.verdict != Verdict.DRIFT:
        return None
    record = next((found for found in status.history if found.version == last.version), None)
    if record is None:
        return None
    columns = sorted(feature.column for feature in (*last.features, *((last.prediction,) if last.prediction else ())))
    columns += sorted(f"{part.column} in {part.segment}" for part in last.segments)
    return Cause(
        key=meta.short_hash([uid, ReportKind.DRIFT, last.key]),
        kind=ReportKind.DRIFT,
        time=moment(last.time),
        about=", ".join(columns)[:256],
        home=record,
    )


def ended_at(request: RequestSeen) -> datetime:
    """When the request came to its end, as far as its status tells: the last of its known moments."""
    execution, proposal = request.status.execution, request.status.proposal
    times = [condition.last_transition_time for condition in request.status.conditions]
    if execution is not None:
        times += [execution.start_time, execution.done_time or execution.start_time]
    if request.status.phase == RequestPhase.EXPIRED and proposal is not None and proposal.expires_at is not None:
        times.append(proposal.expires_at)
    return max([request.created, *(moment(time) for time in times)])


def _dated(cause: Cause, known: tuple[Report, ...], now: datetime) -> Cause:
    """The cause with the time that its report bears, the same one in every attempt.

    When a request was rejected, superseded or failed stands nowhere in its status: it is dated when that was noticed.
    """
    first = next((report for report in known if report.key == cause.key), None)
    if first is not None:
        return replace(cause, time=moment(first.time))
    noticed = cause.request is not None and cause.request.status.phase in UNDATED
    return replace(cause, time=now) if noticed else cause


UNDATED = (RequestPhase.REJECTED, RequestPhase.SUPERSEDED, RequestPhase.FAILED)


def _attempt(cause: Cause, known: tuple[Report, ...], now: datetime) -> int:
    """Which attempt at a report of this is due; 0 for none."""
    report = next((report for report in known if report.key == cause.key), None)
    if report is not None:
        return report.attempt + 1 if _may_retry(report) and _retry_at(report) <= now else 0
    if cause.request is not None and any(uri.endswith(cause.file) for uri in cause.request.status.reports):
        return 0
    same = [report for report in known if report.kind == cause.kind]
    # What is older than all that a full list holds was reported before it, or missed for good.
    if len(same) >= KEPT and cause.time <= min(moment(report.time) for report in same):
        return 0
    if cause.kind is ReportKind.DRIFT and any(_enough(report, cause) for report in same):
        return 0
    return 1


def _enough(report: Report, cause: Cause) -> bool:
    """Whether this report of drift makes another one needless."""
    if report.version != cause.home.version:
        return False
    same = report.about == cause.about and report.phase == ReportPhase.STORED
    return cause.time - moment(report.time) < (SAME_DRIFT if same else OTHER_DRIFT)


def _may_retry(report: Report) -> bool:
    return report.phase == ReportPhase.FAILED and report.attempt < ATTEMPTS


def _retry_at(report: Report) -> datetime:
    return moment(report.tried) + RETRY * (1 << (report.attempt - 1))


def _ordered(
    cause: Cause, attempt: int, seen: Observed, status: ModelDeploymentStatus, config: Config, now: datetime
) -> Step:
    deployment = seen.deployment
    known = status.reports or ()
    name = meta.report_job_name(deployment.name, cause.key, attempt)
    ordered = Report(
        key=cause.key,
        kind=cause.kind,
        phase=ReportPhase.RUNNING,
        time=stamp(cause.time),
        about=cause.about,
        version=cause.home.version,
        request=cause.linked,
        attempt=attempt,
        tried=stamp(now),
        job=name,
    )
    rest = tuple(report.model_copy(update={"job": None}) for report in known)
    told = order(cause, seen, status, config)
    return Step(
        reports=_with(rest, ordered),
        create=traced(report_job(deployment, name, told, config), told.trace),
        delete=tuple(report.job for report in known if report.job is not None and report.job != name),
    )


def _with(known: tuple[Report, ...], report: Report) -> tuple[Report, ...]:
    """Those and this one, the oldest first; of each kind the newest few."""
    others = [other for other in known if other.key != report.key]
    found = sorted([*others, report], key=lambda report: (moment(report.time), report.key))
    kept: list[Report] = []
    for each in reversed(found):
        if sum(other.kind == each.kind for other in kept) < KEPT or each.phase == ReportPhase.RUNNING:
            kept.append(each)
    return tuple(reversed(kept))


def _ended(running: Report, job: JobSeen | None, namespace: str) -> Report | None:
    """What the Job says, a failure if it can say nothing any more, None while it runs."""
    if job is None:
        return _failed(running, f"Job {running.job} was deleted before it answered")
    if job.state is JobState.ACTIVE:
        return None
    if not job.message:
        why = job.failure or "its answer was lost with its pod"
        return _failed(
            running, f"Job {job.name} did not answer ({why}); see: kubectl logs -n {namespace} job/{job.name}"
        )
    try:
        told = decode_report(job.message)
    except ResultUnreadableError as error:
        return _failed(running, f"Job {job.name}: {error}")
    if told.key != running.key or told.uri is None:
        return _failed(running, told.message or f"Job {job.name} answered for another report ({told.key})")
    update = {"uri": told.uri, "sha256": told.sha256, "bytes_": told.bytes_, "pages": told.pages}
    return running.model_copy(update={"phase": ReportPhase.STORED, "message": told.message, **update})


def _failed(running: Report, message: str) -> Report:
    return running.model_copy(update={"phase": ReportPhase.FAILED, "message": message[:1024]})


def _note(ended: Report) -> Note:
    what = f"{ended.kind} report ({ended.about})"
    if ended.phase == ReportPhase.STORED:
        return Note(reason=Reason.REPORT_STORED, message=f"{what}: {ended.uri}", warning=False)
    again = f"attempt {ended.attempt} of {ATTEMPTS}"
    return Note(reason=Reason.REPORT_FAILED, message=f"{what}, {again}: {ended.message}", warning=True)
