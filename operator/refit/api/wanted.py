"""What a person may ask to have done to a model: the request, or why there is nothing to ask for.

What can be known to be wrong is said before anything is sent; whether it is done is for policy and people to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from refit.api import meta
from refit.api.deploymentstatus import VersionRecord, VersionState
from refit.api.objects import Manifest, Model
from refit.api.remediation import Remediation, RemediationMode
from refit.api.remediationrequest import (
    Action,
    Parameters,
    RemediationRequestSpec,
    TargetRef,
    Trigger,
    TriggerType,
)

NOTE_LIMIT = 1024
AT_ONCE = (Action.SCALE, Action.RESTART)
"""Actions that hurt nobody and wait for nobody."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An action with its parameters, and what it takes back if it is an undoing."""

    action: Action
    parameters: Parameters = field(default_factory=Parameters)
    note: str = ""


@dataclass(frozen=True)
class Impossible:
    """Why there is nothing to ask for, and what there is instead."""

    why: str


def rolling_back(model: Model, to: int | None) -> Wanted | Impossible:
    """To a version that served before; by default the last that did of those older than the one that serves."""
    before = sorted(
        (one for one in model.status.history if one.served_before),
        key=lambda one: (one.until or "", one.version),
        reverse=True,
    )
    if not before:
        return Impossible(f"{model.name} has no version that served before; see its history")
    older = [one for one in before if model.serving is None or one.version < model.serving.version]
    if to is None and not older:
        listed = ", ".join(str(one.version) for one in before)
        return Impossible(f"no version of {model.name} that served before is older; name one with --to: {listed}")
    chosen = older[0] if to is None else next((one for one in before if one.version == to), None)
    if chosen is None:
        return Impossible(_not_there(model, to, "served before", before))
    return Wanted(action=Action.ROLLBACK, parameters=Parameters(to_version=chosen.version))


def promoting(model: Model, to: int) -> Wanted | Impossible:
    """To any version that passed its gate, was not refused by roll-out and does not serve."""
    kept = [one for one in model.status.history if one.state == VersionState.RETIRED]
    there = sorted(kept, key=lambda one: -one.version)
    if all(one.version != to for one in there):
        return Impossible(_not_there(model, to, "can be promoted", there))
    return Wanted(action=Action.PROMOTE, parameters=Parameters(to_version=to))


def manifest(model: Model, wanted: Wanted, me: str, note: str) -> Manifest:
    """The request; its name is for the API server to complete. Whose child it is, is the operator's to say."""
    spec = RemediationRequestSpec(
        target_ref=TargetRef(name=model.name, uid=model.uid),
        action=wanted.action,
        parameters=wanted.parameters,
        trigger=Trigger(type=TriggerType.HUMAN),
        requested_by=me,
        note=note,
    )
    return {
        "apiVersion": meta.API_VERSION,
        "kind": meta.REQUEST_KIND,
        "metadata": {
            "generateName": f"{model.name}-{wanted.action.lower()}-",
            "namespace": model.namespace,
            "labels": {meta.LABEL_DEPLOYMENT: model.name},
        },
        "spec": spec.wire(),
    }


def then(model: Model, wanted: Action) -> str:
    """What happens next, as the model's own rules say."""
    remediation = model.spec.remediation or Remediation()
    if remediation.mode == RemediationMode.OBSERVE:
        return "spec.remediation.mode is Observe: it is examined and shown, and never carried out"
    if wanted in AT_ONCE:
        return "it is carried out without asking anybody"
    rule = remediation.approval
    people = "1 person" if rule.approvals == 1 else f"{rule.approvals} people"
    group = f" of group {rule.required_group}" if rule.required_group else ""
    oneself = "" if rule.requester_may_approve else "; you asked, so you may not"
    return f"Refit works out what it would bring, then asks {people}{group}{oneself}"


def _not_there(model: Model, to: int | None, what: str, there: list[VersionRecord]) -> str:
    known = model.version(to) if to is not None else None
    is_ = "is not in its history" if known is None else f"is {known.state}"
    listed = ", ".join(str(one.version) for one in there) or "none"
    return f"version {to} of {model.name} {is_}; versions that {what}: {listed}"
