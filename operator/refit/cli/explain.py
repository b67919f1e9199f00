"""`explain`: why a model or a request is in its state, in sentences, and what to do next. Status in, sentences out."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from refit.api.conditions import Condition, ConditionStatus, find
from refit.api.objects import Model, Request
from refit.api.proposal import ApprovalRule
from refit.api.reasons import ConditionType
from refit.api.remediation import RemediationMode
from refit.api.remediationrequest import Decision, RequestPhase
from refit.api.summaries import action, counted, decisions, expiry, needed, predicted, short, yes
from refit.api.times import age, until
from refit.cli import advice
from refit.cli.session import Result, Session, StopError
from refit.cli.terminal import printable

Command = Callable[..., str]
"""Makes the line to type from its words."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What is, and what a person can do: sentences, and lines to type."""

    sentences: tuple[str, ...]
    todo: tuple[str, ...] = ()

    def text(self) -> str:
        """A sentence a line, then what to do."""
        told = [printable(sentence) for sentence in self.sentences]
        if self.todo:
            told += ["", "Next:", *(f"  {printable(line)}" for line in self.todo)]
        return "\n".join(told)

    def data(self) -> dict[str, list[str]]:
        return {"sentences": list(self.sentences), "next": list(self.todo)}


async def explain(session: Session, given: Namespace) -> Result:
    """A name is that of a request or a model; a request's is longer and asked for first."""
    request = await session.find_request(given.name)
    if request is not None:
        found = of_request(
            request, await session.find_model(request.spec.target_ref.name), session.now, session.command
        )
        return Result(text=found.text(), data=found.data())
    model = await session.find_model(given.name)
    if model is None:
        raise StopError(f"no ModelDeployment and no RemediationRequest {given.name!r} in namespace {session.namespace}")
    open_ones = [one for one in await session.requests() if one.about(model) and one.open]
    found = of_model(model, open_ones, session.now, session.command)
    return Result(text=found.text(), data=found.data())


def of_model(model: Model, requests: list[Request], now: datetime, command: Command) -> Explanation:
    """Why a model is as it is."""
    conditions = model.status.conditions
    ready = find(conditions, ConditionType.READY)
    if ready is None:
        return Explanation(
            sentences=(f"The operator has not looked at {model.name} yet.",),
            todo=("kubectl -n refit-system get deployment refit-operator", command("doctor")),
        )
    sentences = (
        _readiness(model, ready, conditions, now),
        _serving(model),
        *(_sentence(one) for one in conditions if (one.type, one.status) in advice.SENTENCES),
        *_by_request(model),
        *(f"Open: {one.name}, {action(one)}, {one.phase}." for one in requests),
    )
    causes = [] if ready.status == ConditionStatus.TRUE else [ready.reason]
    causes += [one.reason for one in conditions if (one.type, one.status) in advice.TROUBLES]
    todo = [line for cause in causes for line in advice.todo(cause, model.name, model.namespace)]
    todo += [command("explain", one.name) for one in requests]
    return Explanation(sentences=sentences, todo=tuple(dict.fromkeys(todo)))


def _sentence(one: Condition) -> str:
    said = advice.SENTENCES[one.type, one.status]
    return f"{said}: {_closed(one.message)}" if one.message else f"{said}."


def _closed(text: str) -> str:
    """With one full stop."""
    return f"{text.rstrip().rstrip('.')}."


def _serving(model: Model) -> str:
    serving = model.status.serving
    if serving is None:
        return "No version serves."
    value = f" ({model.status.metric})" if model.status.metric else ""
    return f"Version {serving.version}{value} has served since {serving.since}."


def _by_request(model: Model) -> list[str]:
    """What is otherwise than the spec alone would have it."""
    hold, override, remediation = model.status.hold, model.status.override, model.spec.remediation
    told = []
    if hold is not None:
        told.append(
            f"It is held since {hold.request} took version {hold.version} back: nothing is trained or deployed by itself "
            "until the spec asks for another model or a person approves one."
        )
    if override is not None and override.replicas is not None:
        told.append(f"It has {override.replicas} replicas by {override.replicas_request}, not those of its spec.")
    if remediation is not None and remediation.mode == RemediationMode.OBSERVE:
        told.append("spec.remediation.mode is Observe: repairs are proposed and never carried out.")
    return told


def _readiness(model: Model, ready: Condition, conditions: tuple[Condition, ...], now: datetime) -> str:
    since = age(ready.last_transition_time, now)
    if ready.status == ConditionStatus.TRUE:
        return f"{model.name} is ready for {since}: what is declared is what serves."
    stalled = find(conditions, ConditionType.STALLED)
    who = "and a person must act" if stalled is not None else "and Refit is at work on it"
    return f"{model.name} is not ready for {since}, {who} ({ready.reason}): {_closed(ready.message)}"


def of_request(request: Request, model: Model | None, now: datetime, command: Command) -> Explanation:
    """Why a request is where it is."""
    name = request.spec.target_ref.name
    sentences = [
        f"{request.name} asks to {_asked(request)}; {request.spec.requested_by} asked {age(request.created, now)} ago.",
        *_reasons(request),
    ]
    proposal = request.status.proposal
    if proposal is not None:
        sentences += [
            f"It would change {change.what} from {change.before or 'nothing'} to {change.after or 'nothing'}."
            for change in proposal.change
        ]
        impact = proposal.predicted_impact
        if impact is not None:
            sentences.append(f"Expected: {predicted(impact)}, by {impact.method}.")
        elif request.status.estimate is not None and request.status.estimate.message:
            sentences.append(f"What it would bring is not known: {_closed(request.status.estimate.message)}")
    sentences += _decisions(request)
    ready = find(request.status.conditions, ConditionType.READY)
    sentences.append(_standing(request, ready))
    for kind in (ConditionType.APPROVED, ConditionType.ESCALATED, ConditionType.FROZEN):
        one = find(request.status.conditions, kind)
        if one is not None and one.message and (ready is None or one.message != ready.message):
            sentences.append(f"{kind} is {one.status} ({one.reason}): {_closed(one.message)}")
    sentences += _came(request)
    if model is None:
        sentences.append(f"There is no ModelDeployment {name} in this namespace.")
    return Explanation(sentences=tuple(sentences), todo=_next(request, now, command))


def _asked(request: Request) -> str:
    words = {
        "Retrain": "retrain {name}",
        "Rollback": "roll {name} back to version {to_version}",
        "Promote": "promote version {to_version} of {name}",
        "Scale": "scale {name} to {replicas} replicas",
        "Restart": "restart the pods of {name}",
        "ChangeConfig": "change the spec of {name}",
        "Notify": "tell people about {name}",
        "Log": "log something about {name}",
    }
    given = request.spec.parameters
    return words[request.spec.action].format(
        name=request.spec.target_ref.name, to_version=given.to_version, replicas=given.replicas
    )


def _reasons(request: Request) -> list[str]:
    diagnosis, trigger = request.status.diagnosis, request.spec.trigger
    told = []
    if diagnosis is not None:
        told.append(
            f"The diagnosis is {diagnosis.class_} with severity {diagnosis.severity}: {_closed(diagnosis.reasoning or 'no rule')}"
        )
    if trigger.alerts:
        told.append(f"Alerts: {', '.join(dict.fromkeys(alert.name for alert in trigger.alerts))}.")
    if request.spec.note:
        told.append(f"Note: {_closed(request.spec.note)}")
    return told


def _decisions(request: Request) -> list[str]:
    proposal = request.status.proposal
    told = []
    for user, entry, seen in decisions(request.status):
        verb = "approved" if entry.decision == Decision.APPROVED else "rejected"
        older = " an earlier proposal" if proposal is not None and entry.proposal_digest != proposal.digest else ""
        when = f", seen {seen}" if seen else ""
        told.append(f"{user} {verb}{older}{when}{f': {_closed(entry.reason)}' if entry.reason else '.'}")
    if proposal is not None and request.phase == RequestPhase.AWAITING_APPROVAL:
        told.append(f"It needs {needed(proposal.approval or ApprovalRule(), yes(request))}.")
    return told


def _standing(request: Request, ready: Condition | None) -> str:
    meaning = advice.PHASES[request.phase]
    if ready is None or not ready.message:
        return f"{request.phase}: {meaning}."
    reason = "" if ready.reason == request.phase else f" ({ready.reason})"
    return f"{request.phase}{reason}: {meaning}; {_closed(ready.message)}"


def _came(request: Request) -> list[str]:
    execution, outcome = request.status.execution, request.status.outcome
    told = []
    if execution is not None:
        word = f" on the word of {', '.join(execution.approvers)}" if execution.approvers else ""
        done = f" and ended {execution.done_time}" if execution.done_time else ""
        told.append(f"It was begun {execution.start_time}{word}{done}.")
    if outcome is not None:
        moved = f", from {outcome.before} to {outcome.after}" if outcome.before or outcome.after else ""
        told.append(f"Result: {outcome.result}{moved}.")
        real = outcome.realised_impact
        if real is not None:
            held = {True: ", as predicted", False: ", outside what was predicted", None: ""}[real.inside]
            numbers = f"{real.metric} {short(real.before)} -> {short(real.after)}"
            told.append(f"Measured after: {numbers} on {counted(real.metric, real.rows)}{held}.")
    return told


def _next(request: Request, now: datetime, command: Command) -> tuple[str, ...]:
    if request.phase == RequestPhase.AWAITING_APPROVAL:
        left = until(expiry(request), now)
        note = f"   # expires {left}" if left else ""
        return (command("approve", request.name) + note, command("reject", request.name, "--reason", "'...'"))
    if request.phase == RequestPhase.EXECUTED:
        return (command("history", request.spec.target_ref.name), command("undo", request.spec.target_ref.name))
    if request.open:
        return (command("status", request.spec.target_ref.name),)
    return (command("requests", "--all"),)
