"""Approval: what the decisions on a request come to. Who may decide is the API server's business; this counts.

The proposal is made anew from the world as it is now. If it is not what was approved, the world has moved
on since, and nobody's yes covers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from refit.api.proposal import ApprovalRule, Proposal
from refit.api.reasons import Reason
from refit.api.remediationrequest import Decision
from refit.api.times import moment
from refit.core.observed import RequestSeen


class Ruling(Enum):
    AWAITING = auto()
    APPROVED = auto()
    REJECTED = auto()
    EXPIRED = auto()
    SUPERSEDED = auto()


@dataclass(frozen=True, kw_only=True)
class Ruled:
    """The ruling, in the words of a condition, and whose yes it rests on."""

    ruling: Ruling
    reason: Reason
    message: str
    approvers: tuple[str, ...] = ()


def rule(request: RequestSeen, anew: Proposal, now: datetime) -> Ruled:
    """Rules on a request whose proposal stands in its status; `anew` is what would be proposed now.

    One rejection ends it. An approval counts if it names the digest that stands, and if who gave it still may.
    """
    stated = request.status.proposal
    if stated is None:
        raise ValueError(f"{request.name} has no proposal to rule on")
    entries = request.status.approvals or {}
    bearing = {user: entry for user, entry in entries.items() if entry.proposal_digest == stated.digest}
    for user, entry in sorted(bearing.items()):
        if entry.decision == Decision.REJECTED:
            return Ruled(
                ruling=Ruling.REJECTED, reason=Reason.REJECTED, message=f"rejected by {user}: {entry.reason or ''}"
            )
    approved = sorted(user for user, entry in bearing.items() if entry.decision == Decision.APPROVED)
    if anew.digest != stated.digest and approved:
        return Ruled(ruling=Ruling.SUPERSEDED, reason=Reason.SUPERSEDED, message=_moved_on(stated, anew))
    if stated.expires_at is not None and moment(stated.expires_at) <= now:
        had = f"{len(approved)} approved" if approved else "nobody decided"
        message = f"{had} before {stated.expires_at}, and nothing is carried out after it"
        return Ruled(ruling=Ruling.EXPIRED, reason=Reason.EXPIRED, message=message)
    needed = stated.approval or ApprovalRule()
    counted = tuple(user for user in approved if user in request.confirmed)
    if len(counted) >= needed.approvals:
        message = f"approved by {', '.join(counted)}"
        return Ruled(ruling=Ruling.APPROVED, reason=Reason.APPROVED, message=message, approvers=counted)
    doubted = [user for user in approved if user not in request.confirmed]
    message = asked(stated, len(counted))
    if doubted:
        message = (
            f"{', '.join(doubted)} approved, but the API server does not confirm the right to; if it comes through "
            f"a group, that must stand in status.approvals.<user>.groups or be the required one; {message}"
        )
        return Ruled(ruling=Ruling.AWAITING, reason=Reason.AUTHORITY_NOT_CONFIRMED, message=message)
    return Ruled(ruling=Ruling.AWAITING, reason=Reason.AWAITING_APPROVAL, message=message)


def asked(stated: Proposal, counted: int) -> str:
    """What the proposal still waits for."""
    needed = stated.approval or ApprovalRule()
    group = f", all by members of {needed.required_group}" if needed.required_group else ""
    until = f", until {stated.expires_at}" if stated.expires_at else ""
    return f"{counted} of {needed.approvals} approvals{group}{until}"


def _moved_on(stated: Proposal, anew: Proposal) -> str:
    before = {change.what: change for change in stated.change}
    moved = [
        f"{change.what} is now from {change.before or 'nothing'} to {change.after or 'nothing'}"
        for change in anew.change
        if before.get(change.what) != change
    ]
    return f"what was approved is no more what would happen: {'; '.join(moved) or 'the model or its policy changed'}"
