"""`retrain`, `rollback`, `promote` and `undo`: a RemediationRequest in the person's own name.

What can be known to be wrong is said before anything is sent; whether it is done is for policy and people to say.
"""

from __future__ import annotations

from argparse import Namespace

from refit.api.objects import Model, Request, request_of
from refit.api.outcome import Result as Came
from refit.api.remediationrequest import (
    Action,
    Parameters,
    RequestPhase,
)
from refit.api.summaries import action
from refit.api.wanted import NOTE_LIMIT, Impossible, Wanted, manifest, promoting, rolling_back, then
from refit.cli.session import Result, Session, StopError
from refit.kube.cluster import REMEDIATION_REQUEST

MOVED = (Came.ROLLED_BACK, Came.PROMOTED, Came.RETRAINED)
"""Results after which another version serves."""


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
        config = {change.what.removeprefix("spec."): change.before for change in changes}
        return Wanted(action=Action.CHANGE_CONFIG, parameters=Parameters(config=config), note=note)
    return Impossible(f"the last change, {last.name} ({action(last)}: {result}), leaves nothing to take back")


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


def _ended(request: Request) -> str:
    execution = request.status.execution
    return (execution.done_time or execution.start_time) if execution is not None else request.created
