"""Notices: what people should be told of a model as it now stands.

They are derived from what stands, again in each pass; their keys say which were told before. So none is lost when the
operator ends between a change of state and the telling, and none is told twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from refit.api import meta, traces
from refit.api.conditions import ConditionStatus, find
from refit.api.deploymentstatus import ModelDeploymentStatus
from refit.api.notices import Notice, NoticeKind, Severity
from refit.api.proposal import PredictedImpact
from refit.api.reasons import ConditionType
from refit.api.remediation import Remediation, RemediationMode
from refit.api.remediationrequest import CLOSED, Decision, RemediationRequestStatus, RequestPhase
from refit.api.summaries import counted
from refit.api.times import moment, stamp
from refit.core.observed import Deployment, RequestSeen
from refit.core.policy import Band, band

FRESH = timedelta(days=14)
"""What is older is no news: somebody who sets up notifications is not told a year's history. No request waits longer
than seven days."""
LAST_PART = 4
"""A request that waits is told once more in the last quarter of its time."""

SEVERITIES: Mapping[Band, Severity] = {
    Band.LOW: Severity.LOW,
    Band.MEDIUM: Severity.MEDIUM,
    Band.HIGH: Severity.HIGH,
}
ENDS: Mapping[RequestPhase, str] = {
    RequestPhase.EXECUTED: "was carried out",
    RequestPhase.REJECTED: "was rejected",
    RequestPhase.EXPIRED: "expired, nobody decided in time",
    RequestPhase.SUPERSEDED: "was superseded: the world has changed since it was proposed",
    RequestPhase.FAILED: "failed",
}


@dataclass(frozen=True, kw_only=True)
class _About:
    """What all notices of a model have in common."""

    deployment: Deployment
    contact: str

    def notice(
        self, kind: NoticeKind, severity: Severity, at: str, what: str, *, cause: str, topic: str = "", **more: Any
    ) -> Notice:
        """`cause` tells this notice from all others of its kind."""
        deployment = self.deployment
        key = meta.sha256([deployment.uid, kind, cause])
        return Notice(
            key=key,
            topic=topic or key,
            kind=kind,
            severity=severity,
            namespace=deployment.namespace,
            model=deployment.name,
            at=at,
            what=what,
            contact=self.contact,
            **{"trace": traces.trace_id(deployment.uid), **more},
        )


def notices(
    deployment: Deployment, status: ModelDeploymentStatus, requests: Iterable[RequestSeen], now: datetime
) -> tuple[Notice, ...]:
    """What people should be told, given a model's status and its requests as they stand."""
    remediation = deployment.spec.remediation or Remediation()
    about = _About(deployment=deployment, contact=remediation.approval.escalation_contact or "")
    found = [
        *(notice for request in requests for notice in _of_request(about, request, now)),
        *_of_model(about, status, proposes_only=_proposes_only(deployment)),
    ]
    return tuple(notice for notice in found if now - moment(notice.at) < FRESH)


def _proposes_only(deployment: Deployment) -> bool:
    """Whether a drift makes no request that somebody is told of."""
    remediation = deployment.spec.remediation
    return remediation is None or remediation.mode == RemediationMode.OBSERVE


def _of_request(about: _About, request: RequestSeen, now: datetime) -> Iterable[Notice]:
    status = request.status
    ready = find(status.conditions, ConditionType.READY)
    if ready is None or status.phase is None:
        return
    action, model, severity = request.spec.action, about.deployment.name, _severity(status)
    common: dict[str, Any] = {
        "request": request.name,
        "trace": request.trace,
        "impact": _impact(status),
        "why": status.diagnosis.reasoning if status.diagnosis is not None else request.spec.note,
    }
    if status.phase == RequestPhase.AWAITING_APPROVAL and status.proposal is not None:
        digest, expires = status.proposal.digest, status.proposal.expires_at
        what = f"{action} of {model} waits for a decision" + (f" until {expires}" if expires else "")
        more = {**common, "commands": _commands(about.deployment, request)}
        yield about.notice(
            NoticeKind.APPROVAL_NEEDED,
            severity,
            ready.last_transition_time,
            what,
            cause=f"{request.uid} {digest}",
            **more,
        )
        remind = _last_part(request.created, moment(expires)) if expires else None
        if remind is not None and not _decided(status) and now >= remind:
            at = stamp(remind)
            what = f"{action} of {model} expires at {expires}, and nobody has decided"
            yield about.notice(NoticeKind.EXPIRES_SOON, severity, at, what, cause=request.uid, **more)
    elif status.phase in CLOSED:
        at = ready.last_transition_time
        what = f"{action} of {model} {ENDS[status.phase]}: {ready.message}"
        more = {**common, "commands": (f"kubectl refit explain {request.name} -n {about.deployment.namespace}",)}
        yield about.notice(NoticeKind.REQUEST_ENDED, severity, at, what, cause=f"{request.uid} {status.phase}", **more)
    for uri in status.reports:
        what = f"a report about {action} of {model} is ready"
        yield about.notice(
            NoticeKind.REPORT,
            severity,
            ready.last_transition_time,
            what,
            cause=uri,
            **{**common, "attachments": (uri,)},
        )


def _of_model(about: _About, status: ModelDeploymentStatus, *, proposes_only: bool) -> Iterable[Notice]:
    name, conditions = about.deployment.name, status.conditions
    told: tuple[tuple[ConditionType, ConditionStatus, NoticeKind, Severity, str], ...] = (
        (ConditionType.STALLED, ConditionStatus.TRUE, NoticeKind.STALLED, Severity.HIGH, "needs a person"),
        (ConditionType.APPROVAL_GUARD, ConditionStatus.FALSE, NoticeKind.UNGUARDED, Severity.HIGH, "is not guarded"),
        (ConditionType.ESCALATED, ConditionStatus.TRUE, NoticeKind.ESCALATED, Severity.HIGH, "is escalated"),
    )
    if proposes_only:
        drifted = (ConditionType.DRIFTED, ConditionStatus.TRUE, NoticeKind.DRIFTED, Severity.MEDIUM, "has drifted")
        told = (*told, drifted)
    for kind, bad, notice, severity, words in told:
        found = find(conditions, kind)
        if found is None or found.status != bad:
            continue
        yield about.notice(
            notice,
            severity,
            found.last_transition_time,
            f"{name} {words}: {found.reason}",
            cause=f"{kind} {found.reason} {found.last_transition_time}",
            topic=meta.sha256([about.deployment.uid, kind, found.reason]),
            why=found.message,
            commands=(f"kubectl refit explain {name} -n {about.deployment.namespace}",),
        )


def _severity(status: RemediationRequestStatus) -> Severity:
    """Of the diagnosis; what a person asked for without one is of medium severity."""
    if status.diagnosis is None:
        return Severity.MEDIUM
    return SEVERITIES[band(float(status.diagnosis.severity))]


def _impact(status: RemediationRequestStatus) -> str:
    outcome = status.outcome
    if outcome is not None and outcome.realised_impact is not None:
        real = outcome.realised_impact
        within = {True: ", as predicted", False: ", not as predicted", None: ""}[real.inside]
        return f"{real.metric} {real.before} -> {real.after} on {counted(real.metric, real.rows)}{within}"
    predicted = status.proposal.predicted_impact if status.proposal is not None else None
    return _predicted(predicted) if predicted is not None else ""


def _predicted(impact: PredictedImpact) -> str:
    return (
        f"predicted {impact.metric} {impact.now} -> {impact.predicted}, "
        f"90 % interval {impact.low} to {impact.high} ({impact.method})"
    )


def _commands(deployment: Deployment, request: RequestSeen) -> tuple[str, ...]:
    where = f"{request.name} -n {deployment.namespace}"
    return (
        f"kubectl refit explain {where}",
        f"kubectl refit approve {where}",
        f"kubectl refit reject {where} --reason '...'",
    )


def _decided(status: RemediationRequestStatus) -> bool:
    return any(entry.decision == Decision.APPROVED for entry in (status.approvals or {}).values())


def _last_part(created: datetime, expires: datetime) -> datetime:
    return expires - (expires - created) / LAST_PART
