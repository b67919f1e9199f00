"""A request in a few words, the same ones in the plugin and on the page."""

from __future__ import annotations

from refit.api.objects import Request
from refit.api.proposal import LATENCY, ApprovalRule, PredictedImpact
from refit.api.remediationrequest import ApprovalEntry, Decision, RemediationRequestStatus


def action(request: Request) -> str:
    """The action with its parameter: Rollback to 3."""
    given = request.spec.parameters
    if given.to_version is not None:
        return f"{request.spec.action} to {given.to_version}"
    if given.replicas is not None:
        return f"{request.spec.action} to {given.replicas}"
    return str(request.spec.action)


def why(request: Request) -> str:
    """What made somebody ask, in a few words."""
    diagnosis, spec = request.status.diagnosis, request.spec
    if diagnosis is not None and spec.trigger.type != "Human":
        features = f" of {', '.join(spec.trigger.features[:3])}" if spec.trigger.features else ""
        return f"{diagnosis.class_}{features} ({diagnosis.severity})"
    return f"{spec.trigger.type} by {spec.requested_by}" if spec.trigger.type == "Human" else str(spec.trigger.type)


def predicted(impact: PredictedImpact | None) -> str:
    """f1 0.71 -> 0.82 [0.77, 0.86], at most three digits behind the point."""
    if impact is None:
        return ""
    now, then, low, high = (short(value) for value in (impact.now, impact.predicted, impact.low, impact.high))
    return f"{impact.metric} {now} -> {then} [{low}, {high}]"


def counted(metric: str, rows: int) -> str:
    """What a realised impact rests on: labelled rows, or for how soon answers came the requests themselves."""
    return f"{rows:,} requests" if metric == LATENCY else f"{rows:,} labelled rows"


def decisions(status: RemediationRequestStatus) -> list[tuple[str, ApprovalEntry, str]]:
    """Who decided what, and when that was first seen, in this order; the time is empty where nobody noted it."""
    seen = status.decisions_seen or {}
    found = [(user, entry, seen.get(user, "")) for user, entry in sorted((status.approvals or {}).items())]
    return sorted(found, key=lambda decided: decided[2])


def short(number: str) -> str:
    return f"{float(number):.4g}"


def expiry(request: Request) -> str | None:
    proposal = request.status.proposal
    return (proposal.expires_at if proposal is not None else None) or request.spec.expires_at


def yes(request: Request) -> int:
    """How many have approved what stands there now."""
    proposal = request.status.proposal
    entries = (request.status.approvals or {}).values()
    return sum(
        entry.decision == Decision.APPROVED and proposal is not None and entry.proposal_digest == proposal.digest
        for entry in entries
    )


def needed(rule: ApprovalRule, had: int) -> str:
    """Whose yes is needed, and how many have given it."""
    group = f" of group {rule.required_group}" if rule.required_group else ""
    oneself = "" if rule.requester_may_approve else "; who asked may not"
    people = "person" if rule.approvals == 1 else "people"
    return f"the yes of {rule.approvals} {people}{group}, has {had}{oneself}"
