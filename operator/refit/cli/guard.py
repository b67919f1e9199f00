"""The approval guard as the API server keeps it: policies, their bindings, and a refusal to see it by.

What should be refused is tried as a dry run, so that nothing is written even where there is no guard.
"""

from __future__ import annotations

from refit.api import guard, meta
from refit.cli.finding import OK, PROBLEM_WORD, UNKNOWN_WORD, Finding, told
from refit.cli.session import Session
from refit.kube.answers import NOT_FOUND, RefusalError
from refit.kube.cluster import REMEDIATION_REQUEST

OPERATOR = "refit-operator"
PLURALS = {
    guard.POLICY_KIND: "validatingadmissionpolicies",
    guard.BINDING_KIND: "validatingadmissionpolicybindings",
}
REFUSED_BY_POLICY = "ValidatingAdmissionPolicy"
"""Stands in every refusal of a policy, and in none of RBAC's or a schema's."""
NOBODY = "refit-doctor:nobody"
INSTALL = "apply the approval policies of this release: docs/install.md"


async def policies(session: Session, known: dict[str, str]) -> Finding:
    """Both policies and their bindings as this release ships them, for this operator's user name."""
    identity = known.get("REFIT_IDENTITY") or f"system:serviceaccount:{session.system}:{OPERATOR}"
    for wanted in guard.objects(identity):
        name, plural = wanted["metadata"]["name"], PLURALS[wanted["kind"]]
        answer = await session.person.ask("GET", f"/apis/{guard.REGISTRATION}/{plural}/{name}")
        if answer.code == NOT_FOUND:
            return told(PROBLEM_WORD, f"there is no {wanted['kind']} {name}: anybody may approve", INSTALL)
        if not answer.ok:
            return told(UNKNOWN_WORD, f"{wanted['kind']} {name} could not be read: {answer.message}")
        if answer.json().get("spec") != wanted["spec"]:
            return told(PROBLEM_WORD, f"{wanted['kind']} {name} is not as this release has it", INSTALL)
    return told(OK, f"{' and '.join(guard.POLICIES)} are bound and deny")


async def refused(session: Session, _: dict[str, str]) -> Finding:
    """An approval in another's name must be refused by the policy."""
    place = await _some_request(session)
    if place is None:
        return told(UNKNOWN_WORD, f"no request in {session.namespace} or {session.system} to try it on")
    entry = {"decision": "Approved", "proposalDigest": f"sha256:{'0' * 64}"}
    path = REMEDIATION_REQUEST.path(*place, "status")
    try:
        await session.person.merge(path, {"status": {"approvals": {NOBODY: entry}}}, dryRun="All")
    except RefusalError as error:
        return _judged(error)
    return told(PROBLEM_WORD, "an approval in the name of another would be taken", INSTALL)


async def requester(session: Session, _: dict[str, str]) -> Finding:
    """A request in another's name must be refused by the policy."""
    body = {
        "apiVersion": meta.API_VERSION,
        "kind": meta.REQUEST_KIND,
        "metadata": {"name": "refit-doctor", "namespace": session.namespace},
        "spec": {
            "targetRef": {"name": "refit-doctor"},
            "action": "Restart",
            "trigger": {"type": "Human"},
            "requestedBy": NOBODY,
        },
    }
    try:
        await session.person.create(REMEDIATION_REQUEST.path(session.namespace), body, dryRun="All")
    except RefusalError as error:
        return _judged(error)
    return told(PROBLEM_WORD, "a request in the name of another would be taken", INSTALL)


def _judged(error: RefusalError) -> Finding:
    if REFUSED_BY_POLICY in str(error):
        return told(OK, f"refused: {str(error).rpartition('denied request: ')[2]}")
    return told(UNKNOWN_WORD, f"could not be tried: {error}")


async def _some_request(session: Session) -> tuple[str, str] | None:
    """Any request: the newest here, else the operator's own on which it tries its guard."""
    found = await session.requests()
    if found:
        return found[0].namespace, found[0].name
    own = await session.person.get(REMEDIATION_REQUEST, session.system, meta.GUARD_CANARY)
    return (session.system, meta.GUARD_CANARY) if own is not None else None
