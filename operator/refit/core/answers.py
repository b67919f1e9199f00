"""Answers: what comes next for a request, put into the words of its status.

Decisions belong to those who made them: an answer never names them, or the apply would take them over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from refit.api.conditions import Condition, ConditionStatus, merge
from refit.api.deploymentstatus import ModelDeploymentStatus
from refit.api.entries import Entry
from refit.api.reasons import ConditionType, Reason
from refit.api.remediationrequest import AlertReference, RemediationRequestStatus, RequestPhase
from refit.api.times import stamp
from refit.core.approval import Ruled, Ruling
from refit.core.observed import AlertSeen, Manifest, RequestSeen
from refit.core.proposals import references


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The status that a request should have, and the row that the ledger must hold before it is written."""

    request: RequestSeen
    status: RemediationRequestStatus
    entry: Entry | None = None


@dataclass(frozen=True, kw_only=True)
class Next:
    """What comes next for one request."""

    phase: RequestPhase
    reason: Reason
    message: str
    update: dict[str, Any] = field(default_factory=dict)
    entry: Entry | None = None
    create: Manifest | None = None
    again_after: timedelta | None = None
    approved: Ruled | None = None
    status: ModelDeploymentStatus | None = None
    spec_patch: Manifest | None = None


def answer_to(
    request: RequestSeen, following: Next, alerts: tuple[AlertSeen, ...], contact: str, now: datetime
) -> Answer:
    """The status in which the request learns what comes next."""
    status = _without_decisions(request.status).model_copy(
        update={
            **following.update,
            "alerts": _told(request, alerts) if request.ours and request.open else request.status.alerts,
            "phase": following.phase,
            "decisions_seen": decisions_seen(request.status, now) if request.open else request.status.decisions_seen,
            "observed_generation": request.generation,
            "conditions": merge(request.status.conditions, _conditions(request, following, contact, now)),
        }
    )
    return Answer(request=request, status=status, entry=following.entry)


def decisions_seen(status: RemediationRequestStatus, now: datetime) -> dict[str, str] | None:
    """When the decision of each was seen first. The API server notes when a client wrote to an object, but one time for
    all who use the same client, and a client may write that itself."""
    before = status.decisions_seen or {}
    return {user: before.get(user, stamp(now)) for user in sorted(status.approvals or {})} or None


ESCALATING = (RequestPhase.REJECTED, RequestPhase.EXPIRED, RequestPhase.FAILED)


def _conditions(request: RequestSeen, following: Next, contact: str, now: datetime) -> tuple[Condition, ...]:
    def condition(kind: ConditionType, *, holds: bool, reason: str, message: str) -> Condition:
        return Condition(
            type=kind,
            status=ConditionStatus.TRUE if holds else ConditionStatus.FALSE,
            reason=reason,
            message=message[:1024],
            observed_generation=request.generation,
            last_transition_time=stamp(now),
        )

    executed = following.phase == RequestPhase.EXECUTED
    found = [condition(ConditionType.READY, holds=executed, reason=following.reason, message=following.message)]
    decided = following.approved
    if decided is not None:
        approved = decided.ruling is Ruling.APPROVED
        found.append(condition(ConditionType.APPROVED, holds=approved, reason=decided.reason, message=decided.message))
    else:
        found += [was for was in request.status.conditions if was.type == ConditionType.APPROVED]
    if following.phase in ESCALATING and contact:
        told = f"{following.phase}: {contact} should look at this"
        found.append(condition(ConditionType.ESCALATED, holds=True, reason=Reason.ESCALATED, message=told))
    return tuple(found)


def _without_decisions(status: RemediationRequestStatus) -> RemediationRequestStatus:
    return status.model_copy(update={"approvals": None})


def is_news(answer: Answer) -> bool:
    """Whether there is anything to write."""
    return answer.entry is not None or answer.status != _without_decisions(answer.request.status)


def _told(request: RequestSeen, alerts: tuple[AlertSeen, ...]) -> tuple[AlertReference, ...]:
    """The alerts that came while the request was open, each once; those that stopped are kept."""
    known = {alert.fingerprint: alert for alert in (*references(alerts), *request.status.alerts)}
    return tuple(sorted(known.values(), key=lambda alert: (alert.starts_at or "", alert.fingerprint)))[:32]


def unrecorded(answer: Answer, problem: str, now: datetime) -> Answer:
    """What the request learns instead when the audit could not be written: where it stood, and why it stays there."""
    request = answer.request
    following = Next(
        phase=request.status.phase or RequestPhase.PENDING,
        reason=Reason.LEDGER_UNAVAILABLE,
        message=f"{problem}; nothing is carried out that cannot be recorded",
    )
    return answer_to(request, following, (), "", now)
