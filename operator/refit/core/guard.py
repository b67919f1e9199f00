"""The operator's own test of the approval guard, as far as it is thought and not done: what is looked at, and what it means.

Without a guard an approval proves nothing: anybody who may write a status could have written it. So any doubt is a no.
"""

from __future__ import annotations

from dataclasses import dataclass

from refit.api import guard, meta
from refit.api.remediationrequest import (
    Action,
    RemediationRequestSpec,
    TargetRef,
    Trigger,
    TriggerType,
)
from refit.core.observed import Manifest

ACCOUNT = "system:serviceaccount:"
REPAIR = "reinstall it: helm upgrade, or kubectl apply -f manifests/guard.yaml"


@dataclass(frozen=True, kw_only=True)
class GuardState:
    """Whether an approval means something now; if not, `message` says why, and what to do.

    `version` changes with every change of a policy or a binding, and when one is deleted and made again. An
    approval that was given under another one may have been given without any.
    """

    ok: bool
    message: str
    version: str = ""


def home(identity: str) -> str:
    """The namespace of the operator's service account; empty if it is no service account."""
    namespace, _, name = identity.removeprefix(ACCOUNT).partition(":")
    return namespace if identity.startswith(ACCOUNT) and name else ""


def canary(identity: str) -> Manifest:
    """The request on which the guard is tested, as the operator creates it."""
    spec = RemediationRequestSpec(
        target_ref=TargetRef(name=meta.GUARD_CANARY),
        action=Action.LOG,
        trigger=Trigger(type=TriggerType.HUMAN),
        requested_by=identity,
        note="The operator tests the approval guard on this request. It may be deleted, and comes again.",
    )
    return {
        "apiVersion": meta.API_VERSION,
        "kind": meta.REQUEST_KIND,
        "metadata": {
            "name": meta.GUARD_CANARY,
            "namespace": home(identity),
            "labels": {meta.LABEL_MANAGED_BY: meta.MANAGED_BY, meta.LABEL_ROLE: "guard"},
        },
        "spec": spec.wire(),
    }


def forbidden(identity: str) -> Manifest:
    """The patch of the canary's status that the guard must refuse the operator."""
    entry = {"decision": "Approved", "proposalDigest": f"sha256:{'0' * 64}"}
    return {"status": {"approvals": {identity: entry}}}


def difference(shipped: Manifest, there: Manifest | None) -> str:
    """What is wrong with an object of the guard as it stands, or nothing. Only labels and the like may differ."""
    what = f"{shipped['kind']} {shipped['metadata']['name']}"
    if there is None:
        return f"{what} is missing; {REPAIR}"
    if there["metadata"].get("deletionTimestamp"):
        return f"{what} is being deleted; {REPAIR}"
    wanted, found = shipped["spec"], there.get("spec") or {}
    if found == wanted:
        return ""
    parts = sorted(key for key in {*wanted, *found} if wanted.get(key) != found.get(key))
    return f"{what} is not the one that belongs to this version: spec.{', spec.'.join(parts)} differs; {REPAIR}"


def version(there: tuple[Manifest, ...]) -> str:
    """What tells this guard from one that was changed, or deleted and made again."""
    return meta.short_hash([[each["metadata"]["uid"], each["metadata"]["generation"]] for each in there])


def refusal(identity: str, answer: str) -> str:
    """What is wrong if the operator's own decision was answered so; empty is acceptance. Nothing if the guard spoke."""
    if guard.APPROVAL in answer and answer.endswith(guard.OPERATOR_MAY_NOT_DECIDE):
        return ""
    if not answer:
        return (
            f"the API server does not enforce {guard.APPROVAL}: it would have taken a decision of the operator's; "
            "a new policy takes some seconds, and the admission plugin ValidatingAdmissionPolicy must be on"
        )
    if guard.APPROVAL in answer:
        return (
            f"the API server does not know the operator as {identity}: set REFIT_IDENTITY to its user name ({answer})"
        )
    if "cannot patch resource" in answer:
        return f"the guard could not be tried; compare the operator's rights with manifests/rbac.yaml ({answer})"
    return (
        f"the guard could not be tried on RemediationRequest {meta.GUARD_CANARY}; delete it, it comes again ({answer})"
    )
