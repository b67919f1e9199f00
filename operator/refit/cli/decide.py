"""`approve` and `reject`: shows what would happen, asks, and writes one decision under the person's own name.

What is written, and that nothing is where the request changed meanwhile, is the business of refit.kube.decisions.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from refit.api.objects import Request
from refit.api.proposal import ApprovalRule, Proposal
from refit.api.remediationrequest import ApprovalEntry, Decision, RequestPhase
from refit.api.summaries import expiry, needed, predicted, yes
from refit.api.times import until
from refit.cli.session import MISUSE, Result, Session, StopError
from refit.cli.terminal import pairs, printable
from refit.kube import decisions
from refit.kube.answers import Me


async def approve(session: Session, given: Namespace) -> Result:
    return await _decide(session, given, Decision.APPROVED)


async def reject(session: Session, given: Namespace) -> Result:
    if not given.reason.strip():
        raise StopError("a rejection needs a reason: --reason 'why not'", MISUSE)
    return await _decide(session, given, Decision.REJECTED)


async def _decide(session: Session, given: Namespace, decision: Decision) -> Result:
    request = await session.request(given.name)
    proposal = _open_proposal(session, request)
    me = await session.person.me()
    if me.name in (request.status.approvals or {}):
        raise StopError(f"you ({printable(me.name)}) decided on {request.name} already, and a decision is final")
    session.tell(shown(request, proposal, session))
    _confirm(session, given, decision, request, me)
    entry = ApprovalEntry(
        decision=decision,
        proposal_digest=proposal.digest,
        reason=given.reason or None,
        groups=decisions.groups_that_matter(me, proposal.approval or ApprovalRule()) or None,
    )
    try:
        after = await decisions.decide(session.person, request, me, entry)
    except decisions.ChangedError as error:
        raise StopError(f"{error}; look again: {session.command('explain', request.name)}") from error
    verb = "approved" if decision == Decision.APPROVED else "rejected"
    text = f"{request.name} {verb} by {printable(me.name)}, digest {proposal.digest}"
    return Result(text=f"{text}\nwhat comes of it: {session.command('explain', request.name)}", data=after.manifest)


def shown(request: Request, proposal: Proposal, session: Session) -> str:
    """All that the decision covers."""
    impact, rule = proposal.predicted_impact, proposal.approval or ApprovalRule()
    facts = [
        ("request", f"{request.namespace}/{request.name}"),
        ("proposal", proposal.text),
        *((f"change {place}", _change(change)) for place, change in enumerate(proposal.change, 1)),
        ("expected", impact and f"{predicted(impact)}, by {impact.method}"),
        ("versions", ", ".join(f"{one.version}: {one.value} [{one.low}, {one.high}]" for one in proposal.ranking)),
        ("asked by", request.spec.requested_by),
        ("needed", needed(rule, yes(request))),
        ("expires", f"{expiry(request)} ({until(expiry(request), session.now)})" if expiry(request) else None),
        ("digest", proposal.digest),
    ]
    return pairs(facts)


def _change(change: Any) -> str:
    return f"{change.what}: {change.before or 'nothing'} -> {change.after or 'nothing'}"


def _open_proposal(session: Session, request: Request) -> Proposal:
    proposal = request.status.proposal
    if request.phase != RequestPhase.AWAITING_APPROVAL or proposal is None:
        raise StopError(
            f"{request.name} is {request.phase} and waits for nobody; why: {session.command('explain', request.name)}"
        )
    return proposal


def _confirm(session: Session, given: Namespace, decision: Decision, request: Request, me: Me) -> None:
    if given.yes:
        return
    verb = "Approve" if decision == Decision.APPROVED else "Reject"
    if session.terminal.ask is None:
        raise StopError("this is not a terminal, so nobody can be asked: pass -y to decide without a question", MISUSE)
    answer = session.terminal.ask(f"\n{verb} this as {printable(me.name)}? [y/N] ")
    if answer.strip().lower() not in {"y", "yes"}:
        raise StopError(f"nothing was decided on {request.name}")
