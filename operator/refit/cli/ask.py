"""`retrain`, `rollback`, `promote` and `undo`: a RemediationRequest in the person's own name.

What can be known to be wrong is said before anything is sent; whether it is done is for policy and people to say.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass, field

from refit.api import meta
from refit.api.deploymentstatus import VersionRecord, VersionState
from refit.api.outcome import Result as Came
from refit.api.remediation import Remediation, RemediationMode
from refit.api.remediationrequest import (
    Action,
    Parameters,
    RemediationRequestSpec,
    RequestPhase,
    TargetRef,
    Trigger,
    TriggerType,
)
from refit.cli.objects import Manifest, Model, Request, request_of
from refit.cli.session import Result, Session, StopError
from refit.cli.status import action
from refit.kube.cluster import REMEDIATION_REQUEST

NOTE_LIMIT = 1024
AT_ONCE = (Action.SCALE, Action.RESTART)
"""Actions that hurt nobody and wait for nobody."""
MOVED = (Came.ROLLED_BACK, Came.PROMOTED, Came.RETRAINED)
"""Results after which another version serves."""


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


async def retrain(session: Session, given: Namespace) -> Result:
    return await _send(session, await session.model(given.name), Wanted(action=Action.RETRAIN), given)


async def rollback(session: Session, given: Namespace) -> Result:
    model = await session.model(given.name)
    return await _send(session, model, rolling_back(model, given.to), given)


async def promote(session: Session, given: Namespace) -> Result:
    model = await session.model(given.name)
    return await _send(session, model, promoting(model, given.to), given)


async def undo(session: Session, given: Namespace) -> Result:
    model = await session.model(given.name)
    requests = [one for one in await session.requests() if one.about(model)]
    return await _send(session, model, undoing(model, requests), given)


def rolling_back(model: Model, to: int | None) -> Wanted | Impossible:
    """To a version that served before; by default the last one that did."""
    before = sorted(
        (one for one in model.status.history if one.state == VersionState.RETIRED and one.since is not None),
        key=lambda one: (one.until or "", one.version),
        reverse=True,
    )
    if not before:
        return Impossible(f"{model.name} has no version that served before; see its history")
    chosen = before[0] if to is None else next((one for one in before if one.version == to), None)
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


def undoing(model: Model, requests: list[Request]) -> Wanted | Impossible:
    """What takes the last change back: the newest request that was carried out, or a version that came by itself."""
    done = [one for one in requests if one.phase == RequestPhase.EXECUTED and one.status.outcome is not None]
    last = max(done, key=_ended, default=None)
    serving = model.serving
    if last is None or (serving is not None and (serving.since or "") > _ended(last) and serving.request != last.name):
        found = rolling_back(model, None)
        if isinstance(found, Impossible) or serving is None:
            return Impossible(f"nothing was changed on {model.name} that could be taken back")
        return Wanted(
            action=found.action, parameters=found.parameters, note=f"takes back version {serving.version}, by undo"
        )
    return _reverse(model, last)


def _reverse(model: Model, last: Request) -> Wanted | Impossible:
    outcome, execution, proposal = last.status.outcome, last.status.execution, last.status.proposal
    note = f"takes back {last.name} ({action(last)}), by undo"
    result = outcome.result if outcome is not None else Came.NOT_DONE
    before = execution.from_version if execution is not None else None
    if result in MOVED and before is not None and (model.serving is None or model.serving.version != before):
        found = promoting(model, before)
        if isinstance(found, Impossible):
            return Impossible(f"{last.name} came from version {before}, which can not serve again: {found.why}")
        now = model.serving.version if model.serving is not None else 0
        back = before < now
        return Wanted(action=Action.ROLLBACK if back else Action.PROMOTE, parameters=found.parameters, note=note)
    changes = proposal.change if proposal is not None else ()
    if result == Came.SCALED and changes and changes[0].before.isdecimal():
        return Wanted(action=Action.SCALE, parameters=Parameters(replicas=int(changes[0].before)), note=note)
    if result == Came.CONFIG_CHANGED and changes and all(change.before for change in changes):
        config = {change.what: change.before for change in changes}
        return Wanted(action=Action.CHANGE_CONFIG, parameters=Parameters(config=config), note=note)
    return Impossible(f"the last change, {last.name} ({action(last)}: {result}), leaves nothing to take back")


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


async def _send(session: Session, model: Model, wanted: Wanted | Impossible, given: Namespace) -> Result:
    if isinstance(wanted, Impossible):
        raise StopError(wanted.why)
    note = "; ".join(part for part in (given.reason.strip(), wanted.note) if part)
    if len(note) > NOTE_LIMIT:
        raise StopError(f"--reason has {len(note)} characters; the limit is {NOTE_LIMIT}")
    me = await session.person.me()
    path = REMEDIATION_REQUEST.path(model.namespace)
    made = await session.person.create(path, manifest(model, wanted, me.name, note))
    request = request_of(made)
    watch = session.command("explain", request.name)
    told = f"{request.name} created: {action(request)}\n{then(model, wanted.action)}\nwatch it: {watch}"
    return Result(text=told, data=request.manifest)


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


def _ended(request: Request) -> str:
    execution = request.status.execution
    return (execution.done_time or execution.start_time) if execution is not None else request.created


def _not_there(model: Model, to: int | None, what: str, there: list[VersionRecord]) -> str:
    known = model.version(to) if to is not None else None
    is_ = "is not in its history" if known is None else f"is {known.state}"
    listed = ", ".join(str(one.version) for one in there) or "none"
    return f"version {to} of {model.name} {is_}; versions that {what}: {listed}"
