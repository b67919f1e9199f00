"""Entries: what the audit is told of a request, before anything is done and after it came to an end."""

from __future__ import annotations

from typing import Any

from refit.api.entries import Entry, EntryKind
from refit.api.outcome import Outcome
from refit.api.remediationrequest import RemediationRequestStatus
from refit.core.observed import Deployment, RequestSeen


def intent(deployment: Deployment, request: RequestSeen, status: RemediationRequestStatus) -> Entry:
    """What is about to be done, and why."""
    return _entry(EntryKind.INTENT, deployment, request, status, {})


def outcome(
    deployment: Deployment, request: RequestSeen, status: RemediationRequestStatus, found: Outcome, message: str
) -> Entry:
    """What came of it."""
    return _entry(
        EntryKind.OUTCOME,
        deployment,
        request,
        status,
        {"phase": status.phase, "outcome": found.wire(), "message": message},
    )


def impact(deployment: Deployment, request: RequestSeen, found: Outcome) -> Entry:
    """What it brought, which was measured only after it had ended."""
    return _entry(EntryKind.IMPACT, deployment, request, request.status, {"outcome": found.wire()})


def _entry(
    kind: EntryKind,
    deployment: Deployment,
    request: RequestSeen,
    status: RemediationRequestStatus,
    more: dict[str, Any],
) -> Entry:
    spec, execution, proposal = request.spec, status.execution, status.proposal
    return Entry(
        kind=kind,
        request_uid=request.uid,
        digest=proposal.digest if proposal is not None else "",
        trigger=spec.trigger.type,
        actor=spec.requested_by,
        trace=request.trace,
        namespace=deployment.namespace,
        model=deployment.name,
        content={
            "request": request.name,
            "resourceVersion": request.resource_version,
            "traceId": request.trace,
            "namespace": deployment.namespace,
            "model": deployment.name,
            "modelUid": deployment.uid,
            "action": spec.action,
            "parameters": spec.parameters.wire(),
            "trigger": spec.trigger.wire(),
            "actor": spec.requested_by,
            "approvers": list(execution.approvers) if execution is not None else [],
            "approvals": {user: entry.wire() for user, entry in (request.status.approvals or {}).items()},
            "decisionsSeen": status.decisions_seen or {},
            "diagnosis": status.diagnosis.wire() if status.diagnosis is not None else None,
            "proposal": proposal.wire() if proposal is not None else None,
            **more,
        },
    )
