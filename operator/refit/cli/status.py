"""`status` and `requests`: what there is, a line each, and one model in detail."""

from __future__ import annotations

from argparse import Namespace

from refit.api.objects import Model, Request
from refit.api.outcome import Result as Came
from refit.api.reasons import ConditionType
from refit.api.remediationrequest import RequestPhase
from refit.api.summaries import action, expiry, predicted, why
from refit.api.times import age, until
from refit.cli.session import Result, Session
from refit.cli.terminal import pairs, table

WAITING_FIRST = (RequestPhase.AWAITING_APPROVAL, RequestPhase.EXECUTING, RequestPhase.PENDING)


async def status(session: Session, given: Namespace) -> Result:
    if given.name is not None:
        model = await session.model(given.name)
        requests = [one for one in await session.requests() if one.about(model)]
        return Result(text=in_detail(model, requests, session), data=model.manifest)
    models = await session.models()
    if not models:
        return Result(text=_nowhere("models", session), data=[])
    heads = ("NAMESPACE",) * session.everywhere + ("NAME", "READY", "VERSION", "METRIC", "DRIFT", "REQUESTS", "AGE")
    rows = [(model.namespace,) * session.everywhere + _row(model, session) for model in models]
    return Result(text=table(heads, rows, coloured=session.terminal.colours), data=[model.manifest for model in models])


async def requests(session: Session, given: Namespace) -> Result:
    """Open ones first, those that wait for a person before all others."""
    found = [one for one in await session.requests() if given.all or one.open]
    if not found:
        return Result(text=_nowhere("requests" if given.all else "open requests", session), data=[])
    found.sort(key=_urgency)
    heads = ("NAME", "PHASE", "ACTION", "MODEL", "WHY", "PREDICTED", "AGE", "EXPIRES")
    rows = [
        (one.namespace,) * session.everywhere
        + (
            one.name,
            one.phase,
            action(one),
            one.spec.target_ref.name,
            why(one),
            predicted(one.status.proposal.predicted_impact if one.status.proposal is not None else None),
            age(one.created, session.now),
            until(expiry(one), session.now) if one.open else "",
        )
        for one in found
    ]
    return Result(
        text=table(("NAMESPACE",) * session.everywhere + heads, rows, coloured=session.terminal.colours),
        data=[one.manifest for one in found],
    )


def in_detail(model: Model, requests: list[Request], session: Session) -> str:
    """One model: what serves, what was measured, what is open, and every condition."""
    status, now = model.status, session.now
    serving, training, last = status.serving, status.training, status.last_measurement
    told = [
        ("model", f"{model.namespace}/{model.name}"),
        ("ready", _ready(model)),
        ("serving", serving and f"version {serving.version} for {age(serving.since, now)}, {status.metric or ''}"),
        ("artifact", serving and f"sha256:{serving.artifact.sha256}"),
        ("url", status.url),
        ("training", training and f"{training.phase}: {training.message or training.reason}"),
        ("measured", last and f"{last.verdict}, {last.rows} rows {age(last.time, now)} ago: {last.message}"),
        ("report", last and last.report),
        ("hold", status.hold and f"since {status.hold.request}: nothing is trained or deployed by itself"),
        *(("request", f"{one.name}: {action(one)}, {one.phase}, {why(one)}") for one in requests if one.open),
        ("replicas", status.override and status.override.replicas and f"{status.override.replicas} by request"),
    ]
    conditions = table(
        ("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"),
        [
            (one.type, one.status, one.reason, age(one.last_transition_time, now), one.message)
            for one in status.conditions
        ],
        coloured=session.terminal.colours,
    )
    asked = session.command("explain", model.name)
    return f"{pairs(told, coloured=session.terminal.colours)}\n\n{conditions}\n\nwhy: {asked}"


def result(request: Request) -> Came | None:
    return request.status.outcome.result if request.status.outcome is not None else None


def _urgency(request: Request) -> tuple[bool, int]:
    place = WAITING_FIRST.index(request.phase) if request.phase in WAITING_FIRST else len(WAITING_FIRST)
    return not request.open, place


def _row(model: Model, session: Session) -> tuple[object, ...]:
    status = model.status
    serving = status.serving.version if status.serving is not None else "-"
    open_ones = len(status.open_requests or ())
    return (
        model.name,
        _ready_word(model),
        serving,
        status.metric or "-",
        status.drift or "-",
        open_ones,
        age(model.created, session.now),
    )


def _ready_word(model: Model) -> str:
    ready = model.condition(ConditionType.READY)
    return str(ready.status) if ready is not None else "Unknown"


def _ready(model: Model) -> str:
    ready = model.condition(ConditionType.READY)
    if ready is None:
        return "Unknown: the operator has not looked yet"
    return f"{ready.status} {ready.reason}: {ready.message}"


def _nowhere(what: str, session: Session) -> str:
    return f"no {what} in {'any namespace' if session.everywhere else f'namespace {session.namespace}'}"
