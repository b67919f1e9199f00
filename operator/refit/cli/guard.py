"""The approval guard as the API server keeps it: policies, their bindings, and a refusal to see it by.

What should be refused is tried as a dry run, so that nothing is written even where there is no guard.
"""

from __future__ import annotations

from typing import Any

from refit.api import meta
from refit.cli.finding import OK, PROBLEM_WORD, UNKNOWN_WORD, Finding, told
from refit.cli.session import Session
from refit.kube.cluster import REMEDIATION_REQUEST, Kind
from refit.kube.person import RefusalError

POLICY = Kind("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy")
BINDING = Kind(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"
)
DECISIONS = f"{meta.REQUESTS}/status"
REFUSED_BY_POLICY = "ValidatingAdmissionPolicy"
"""Stands in every refusal of a policy, and in none of RBAC's or a schema's."""
NOBODY = "refit-doctor:nobody"
INSTALL = "apply the approval policies of this release: docs/install.md"


async def policies(session: Session, _: dict[str, str]) -> Finding:
    """A policy that looks at decisions, fails closed, and is bound so that it denies."""
    found = [one for one in await session.person.list(POLICY, None) if DECISIONS in _resources(one)]
    if not found:
        return told(PROBLEM_WORD, f"no ValidatingAdmissionPolicy looks at {DECISIONS}: anybody may approve", INSTALL)
    names = {one["metadata"]["name"] for one in found}
    open_ = [one["metadata"]["name"] for one in found if one["spec"].get("failurePolicy", "Fail") != "Fail"]
    if open_:
        return told(PROBLEM_WORD, f"{', '.join(open_)} lets pass what it can not judge", INSTALL)
    denying = {
        one["spec"]["policyName"]
        for one in await session.person.list(BINDING, None)
        if "Deny" in one["spec"].get("validationActions", ())
    }
    if not names & denying:
        return told(PROBLEM_WORD, f"{', '.join(sorted(names))} has no binding that denies", INSTALL)
    return told(OK, f"{', '.join(sorted(names & denying))} is bound and denies")


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


def _resources(policy: dict[str, Any]) -> set[str]:
    rules = (policy["spec"].get("matchConstraints") or {}).get("resourceRules") or ()
    return {
        resource
        for rule in rules
        if {meta.GROUP, "*"} & set(rule.get("apiGroups") or ())
        for resource in rule.get("resources") or ()
    }


async def _some_request(session: Session) -> tuple[str, str] | None:
    """Any request: the newest here, else the operator's own on which it tries its guard."""
    found = await session.requests()
    if found:
        return found[0].namespace, found[0].name
    own = await session.person.get(REMEDIATION_REQUEST, session.system, meta.GUARD_CANARY)
    return (session.system, meta.GUARD_CANARY) if own is not None else None
