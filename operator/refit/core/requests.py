"""What becomes of RemediationRequests: each gets an answer in its status, whoever made it.

This version of Refit diagnoses and proposes. It carries nothing out yet, and says so on the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refit.api.conditions import Condition, ConditionStatus, merge
from refit.api.reasons import ConditionType, Reason
from refit.api.remediation import RemediationMode
from refit.api.remediationrequest import (
    Action,
    AlertReference,
    Diagnosis,
    RemediationRequestStatus,
    RequestPhase,
)
from refit.api.times import moment, stamp
from refit.core.monitoring import requests_problem
from refit.core.observed import AlertSeen, Deployment, RequestSeen
from refit.core.proposals import proposal, references


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The status that a request should have."""

    request: RequestSeen
    status: RemediationRequestStatus


def answers(
    deployment: Deployment | None,
    requests: tuple[RequestSeen, ...],
    diagnosis: Diagnosis | None,
    alerts: tuple[AlertSeen, ...],
    now: datetime,
) -> tuple[Answer, ...]:
    """Answers to the requests whose status says something else; without a target each learns that there is none."""
    found = (
        Answer(request=request, status=_status(deployment, request, diagnosis, alerts, now))
        for request in requests
        if request.open
    )
    return tuple(answer for answer in found if answer.status != _without_decisions(answer.request.status))


def _without_decisions(status: RemediationRequestStatus) -> RemediationRequestStatus:
    """Decisions belong to those who made them; an apply that named them would take them over."""
    return status.model_copy(update={"approvals": None})


def _status(
    deployment: Deployment | None,
    request: RequestSeen,
    diagnosis: Diagnosis | None,
    alerts: tuple[AlertSeen, ...],
    now: datetime,
) -> RemediationRequestStatus:
    phase, reason, message = _judged(deployment, request, now)
    update: dict[str, object] = {}
    if deployment is not None and phase is RequestPhase.PENDING and request.status.proposal is None:
        stated = request.status.diagnosis or (diagnosis if request.ours else None)
        if stated is not None:
            update = {"diagnosis": stated, "proposal": proposal(deployment, request, stated)}
    ready = Condition(
        type=ConditionType.READY,
        status=ConditionStatus.FALSE,
        reason=reason,
        message=message[:1024],
        observed_generation=request.generation,
        last_transition_time=stamp(now),
    )
    return _without_decisions(request.status).model_copy(
        update={
            **update,
            "alerts": _told(request, alerts) if request.ours else request.status.alerts,
            "phase": phase,
            "observed_generation": request.generation,
            "conditions": merge(request.status.conditions, (ready,)),
        }
    )


def _told(request: RequestSeen, alerts: tuple[AlertSeen, ...]) -> tuple[AlertReference, ...]:
    """The alerts that came while the request was open, each once; those that stopped are kept."""
    known = {alert.fingerprint: alert for alert in (*references(alerts), *request.status.alerts)}
    return tuple(sorted(known.values(), key=lambda alert: (alert.starts_at or "", alert.fingerprint)))[:32]


def _judged(deployment: Deployment | None, request: RequestSeen, now: datetime) -> tuple[RequestPhase, Reason, str]:
    spec = request.spec
    if deployment is None:
        message = f"there is no ModelDeployment {spec.target_ref.name} in this namespace"
        return RequestPhase.PENDING, Reason.TARGET_NOT_FOUND, message
    if spec.target_ref.uid is not None and spec.target_ref.uid != deployment.uid:
        message = f"{deployment.name} was deleted and created again since; make a new request"
        return RequestPhase.SUPERSEDED, Reason.SUPERSEDED, message
    if spec.expires_at is not None and moment(spec.expires_at) <= now:
        return RequestPhase.EXPIRED, Reason.EXPIRED, f"nobody decided before {spec.expires_at}"
    problem = requests_problem(deployment.status.last_measurement)
    if spec.action == Action.RETRAIN and problem is not None:
        message = f"retraining is refused while the requests are faulty: {problem}"
        return RequestPhase.FAILED, Reason.REQUESTS_INVALID, message
    remediation = deployment.spec.remediation
    if remediation is not None and remediation.mode == RemediationMode.OBSERVE:
        message = "spec.remediation.mode is Observe: this is proposed and never done"
        return RequestPhase.PENDING, Reason.OBSERVE_ONLY, message
    message = "this version of Refit proposes and records requests; it does not carry them out yet"
    return RequestPhase.PENDING, Reason.AWAITING_APPROVAL, message
