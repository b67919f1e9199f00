"""`approve` and `reject`: shows what would happen, asks, and writes one decision under the person's own name.

The decision names the digest that was shown. If the request is no longer what was shown, nothing is sent, or the API
server refuses it: uid and resourceVersion go with the patch.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from refit.api.proposal import ApprovalRule, Proposal
from refit.api.remediationrequest import ApprovalEntry, Decision, RequestPhase
from refit.cli.explain import needed, yes
from refit.cli.objects import Request, request_of
from refit.cli.session import MISUSE, Result, Session, StopError
from refit.cli.status import expiry, predicted
from refit.cli.terminal import pairs, printable, until
from refit.kube.answers import CONFLICT, Me, RefusalError
from refit.kube.cluster import REMEDIATION_REQUEST

MOST_GROUPS = 16
LONGEST_GROUP = 256
EVERYBODY = "system:authenticated"
TRIES = 3


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
        groups=groups_that_matter(me, proposal.approval or ApprovalRule()) or None,
    )
    after = request_of(await _write(session, request, me, entry)).manifest
    verb = "approved" if decision == Decision.APPROVED else "rejected"
    text = f"{request.name} {verb} by {printable(me.name)}, digest {proposal.digest}"
    return Result(text=f"{text}\nwhat comes of it: {session.command('explain', request.name)}", data=after)


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


def groups_that_matter(me: Me, rule: ApprovalRule) -> tuple[str, ...]:
    """The person's groups without that of everybody, the required one first: the right is checked by them again."""
    own = [group for group in me.groups if group != EVERYBODY and 0 < len(group) <= LONGEST_GROUP]
    own.sort(key=lambda group: (group != rule.required_group, group))
    return tuple(dict.fromkeys(own))[:MOST_GROUPS]


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


async def _write(session: Session, request: Request, me: Me, entry: ApprovalEntry) -> dict[str, Any]:
    """Writes the entry. Whatever else was written meanwhile is no hindrance as long as it is nothing that was shown."""
    seen = request
    for _ in range(TRIES):
        patch = {
            "metadata": {"uid": seen.uid, "resourceVersion": seen.resource_version},
            "status": {"approvals": {me.name: entry.wire()}},
        }
        path = REMEDIATION_REQUEST.path(seen.namespace, seen.name, "status")
        try:
            return await session.person.merge(path, patch)
        except RefusalError as error:
            if error.code != CONFLICT:
                raise
        seen = await session.request(request.name)
        if _covered(seen) != _covered(request):
            break
    look = session.command("explain", request.name)
    raise StopError(f"{request.name} changed since you looked, and nothing was decided; look again: {look}")


def _covered(request: Request) -> tuple[object, ...]:
    status = request.status
    return request.uid, status.phase, status.proposal, status.approvals
