"""`replay`: a decision made again from what is stored of it, and compared byte by byte; or under another policy.

The inputs of every rule stand in the reasoning of a diagnosis. They are read back from there, judged by the same pure
functions that the operator uses, and must give the same bytes.
"""

from __future__ import annotations

import re
from argparse import Namespace
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from refit.api import meta
from refit.api.deploymentstatus import VersionRecord, VersionState
from refit.api.objects import Model, Request
from refit.api.remediation import PolicyPreset, Remediation
from refit.api.remediationrequest import Action, Diagnosis, RequestPhase
from refit.api.summaries import action
from refit.api.times import age, moment
from refit.cli.objects import seen_deployment, seen_request
from refit.cli.reasoning import UnreplayableError, inputs_of
from refit.cli.session import DONE, MISUSE, PROBLEM, Result, Session, StopError
from refit.cli.status import result
from refit.cli.terminal import table
from refit.core.diagnosis import diagnose
from refit.core.policy import Proposed, band, respond
from refit.core.proposals import proposal

SAME, DIFFERENT, UNKNOWN = "same", "different", "unknown"
SHOWN = len("sha256:") + 12
DAY = timedelta(days=1)
_RULE = re.compile(rf"\(((?:{'|'.join(PolicyPreset)})/[a-z]+/[A-Za-z]+)\)")
_SPAN = re.compile(r"([1-9][0-9]{0,4})([dhm])")


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One part of a decision: whether it comes out the same, and both."""

    part: str
    verdict: str
    stored: str
    again: str


@dataclass(frozen=True, kw_only=True)
class Otherwise:
    """A kept request under another policy: what was done, what would have been proposed, or what held it back."""

    request: str
    created: str
    diagnosis: str
    was: str
    would: str
    rule: str


async def replay(session: Session, given: Namespace) -> Result:
    request = await session.find_request(given.name) if given.policy is None else None
    if request is not None:
        return _again(request, await session.find_model(request.spec.target_ref.name), session)
    model = await session.model(given.name)
    if given.policy is None:
        raise StopError(f"{given.name} is a model: name a request, or try a policy with --policy FILE", MISUSE)
    since = session.now - _span(given.since)
    requests = [one for one in await session.requests() if one.about(model) and moment(one.created) >= since]
    rows = under(_policy(given.policy), model, requests)
    if not rows:
        return Result(text=f"no request of {model.name} with a diagnosis since {since:%Y-%m-%dT%H:%M:%SZ}", data=[])
    shown = [(one.request, age(one.created, session.now), one.diagnosis, one.was, one.would, one.rule) for one in rows]
    differ = sum(one.was.split(",")[0] != one.would for one in rows)
    text = (
        table(("REQUEST", "AGE", "DIAGNOSIS", "WAS", "WOULD BE", "RULE"), shown, coloured=session.terminal.colours)
        + f"\n\n{differ} of {len(rows)} would be otherwise; diagnoses that opened no request are not kept"
    )
    return Result(text=text, data=[vars(one) for one in rows])


def compare(request: Request, model: Model | None) -> list[Compared]:
    """The diagnosis again from its own reasoning, the policy's answer again from the diagnosis."""
    stored = request.status.diagnosis
    if stored is None:
        return []
    parts = [_diagnosis(stored), _decision(request, stored, model)]
    anew = _proposal(request, model) if model is not None else None
    return [*parts, anew] if anew is not None else parts


def under(policy: Remediation, model: Model, requests: list[Request]) -> list[Otherwise]:
    """The kept requests, oldest first, as this policy would have answered them, limits included."""
    found: list[Otherwise] = []
    proposed: list[tuple[Action, datetime]] = []
    for one in sorted(requests, key=lambda request: (request.created, request.name)):
        diagnosis = one.status.diagnosis
        if diagnosis is None or one.spec.trigger.type == "Human":
            continue
        answer = respond(diagnosis, policy.policy, history_at(model.status.history, one.created))
        held = _held_back(policy, answer.action, moment(one.created), proposed)
        if answer.action != Action.LOG and not held:
            proposed.append((answer.action, moment(one.created)))
        came = result(one)
        found.append(
            Otherwise(
                request=one.name,
                created=one.created,
                diagnosis=f"{diagnosis.class_} {diagnosis.severity}, {band(float(diagnosis.severity)).name.lower()}",
                was=f"{action(one)}, {came or one.phase}",
                would=held or _told(answer),
                rule=answer.rule,
            )
        )
    return found


def history_at(history: tuple[VersionRecord, ...], then: str) -> tuple[VersionRecord, ...]:
    """The history as it stood then, as far as it is kept: what came later is left out, what served later not yet retired."""
    found = []
    for record in history:
        if record.create_time > then:
            continue
        if record.since is not None and record.since > then:
            record = record.model_copy(update={"state": VersionState.CANDIDATE, "since": None, "until": None})  # noqa: PLW2901
        elif record.until is not None and record.until > then:
            record = record.model_copy(update={"state": VersionState.SERVING, "until": None})  # noqa: PLW2901
        found.append(record)
    return tuple(found)


def _again(request: Request, model: Model | None, session: Session) -> Result:
    rows = compare(request, model)
    if not rows:
        by = request.spec.requested_by
        return Result(text=f"{request.name} has no diagnosis to make again: {by} asked for it", data=[])
    lines = table(
        ("PART", "REPLAY", "STORED", "AGAIN"),
        [(one.part, one.verdict, one.stored, one.again) for one in rows],
        coloured=session.terminal.colours,
    )
    good = all(one.verdict == SAME for one in rows)
    return Result(text=lines, data=[vars(one) for one in rows], code=DONE if good else PROBLEM)


def _diagnosis(stored: Diagnosis) -> Compared:
    kept = meta.canonical(stored.wire())
    try:
        found = inputs_of(stored.reasoning)
    except UnreplayableError as error:
        return Compared(part="diagnosis", verdict=UNKNOWN, stored=_bytes(kept), again=str(error))
    anew = diagnose(found.monitoring, found.last, found.alerts)
    again = meta.canonical(anew.wire()) if anew is not None else b""
    return Compared(
        part="diagnosis", verdict=SAME if again == kept else DIFFERENT, stored=_bytes(kept), again=_bytes(again)
    )


def _decision(request: Request, stored: Diagnosis, model: Model | None) -> Compared:
    named = _RULE.search(request.spec.note)
    kept = {"action": request.spec.action, "parameters": request.spec.parameters.wire(), "note": request.spec.note}
    if named is None:
        told = "the note names no rule: a person asked, or the operator is of another version"
        return Compared(part="decision", verdict=UNKNOWN, stored=str(request.spec.action), again=told)
    preset = PolicyPreset(named[1].split("/")[0])
    history = history_at(model.status.history, request.created) if model is not None else ()
    answer = respond(stored, preset, history)
    again = {
        "action": answer.action,
        "parameters": answer.parameters.wire(),
        "note": f"{stored.class_}, severity {stored.severity} ({answer.rule})",
    }
    same = meta.canonical(kept) == meta.canonical(again)
    return Compared(
        part="decision",
        verdict=SAME if same else DIFFERENT,
        stored=f"{action(request)}: {request.spec.note}",
        again=f"{_told(answer)}: {again['note']}",
    )


def _proposal(request: Request, model: Model) -> Compared | None:
    """The digest that waits for approval, from the world as it is: the operator will ask for the same before it acts."""
    stated = request.status.proposal
    if stated is None or request.status.phase != RequestPhase.AWAITING_APPROVAL:
        return None
    anew = proposal(
        seen_deployment(model), seen_request(request), request.status.diagnosis, request.status.estimate, None, ""
    )
    return Compared(
        part="proposal",
        verdict=SAME if anew.digest == stated.digest else DIFFERENT,
        stored=stated.digest[:SHOWN],
        again=anew.digest[:SHOWN],
    )


def _bytes(content: bytes) -> str:
    return f"{len(content)} bytes, {meta.sha256(content.decode())[:12]}"


def _told(answer: Proposed) -> str:
    to = answer.parameters.to_version
    return str(answer.action) if to is None else f"{answer.action} to {to}"


def _held_back(policy: Remediation, wanted: Action, now: datetime, before: list[tuple[Action, datetime]]) -> str:
    limits = policy.limits
    same = [at for what, at in before if what == wanted]
    if wanted != Action.LOG and same and same[-1] + timedelta(seconds=limits.cooldown_seconds) > now:
        return f"held back: {wanted} within cooldownSeconds"
    if wanted != Action.LOG and sum(at > now - DAY for _, at in before) >= limits.per_day:
        return f"held back: perDay {limits.per_day}"
    return ""


def _span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise StopError(f"--since {text!r}: a number and d, h or m, such as 30d", MISUSE)
    return timedelta(**{{"d": "days", "h": "hours", "m": "minutes"}[found[2]]: int(found[1])})


def _policy(path: str) -> Remediation:
    """From a ModelDeployment, from `remediation:`, or from what stands in it; an unknown field is refused by name."""
    try:
        found: Any = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StopError(f"--policy {path}: {error}", MISUSE) from error
    for inside in ("spec", "remediation"):
        if isinstance(found, dict) and inside in found:
            found = found[inside]
    try:
        return Remediation.model_validate(found, extra="forbid", by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise StopError(f"--policy {path}: {field or 'the file'}: {first['msg']}", MISUSE) from None
