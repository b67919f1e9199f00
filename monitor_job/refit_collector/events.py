"""Events as they come in: lines of NDJSON, each taken or refused by itself.

What is taken is checked against the contract and written anew in one compact form, so that whoever
reads the store later finds nothing in it that was not checked here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from refit.api.events import PredictionEvent
from refit_collector import times
from refit_collector.kinds import INPUT, LABEL, NUMBER, PREDICTION, PROBABILITY, TEXT
from refit_collector.refusals import bad, cut, told, too_large
from refit_collector.shapes import LARGEST_VERSION, Shapes

MOST_LINES = 20_000


class Accepted(NamedTuple):
    """One event as it is stored: `columns` says of what kind each of its columns is, `body` holds the values."""

    line: int
    id: str
    version: int
    time: int
    rows: int
    latency: float
    columns: dict[str, str]
    body: bytes


class RefusedLine(NamedTuple):
    """A line that is not stored; `reason` is what it is counted under."""

    line: int
    problem: str
    reason: str

    def document(self) -> dict[str, Any]:
        return {"line": self.line, "problem": self.problem}


class Intake(NamedTuple):
    """What a body held."""

    accepted: list[Accepted]
    refused: list[RefusedLine]


class Bounds(NamedTuple):
    """Between which moments an event's time may lie."""

    oldest: int
    latest: int

    @classmethod
    def at(cls, now: int, retention_hours: int) -> Bounds:
        return cls(now - retention_hours * times.HOUR, now + times.AHEAD)

    def problem(self, moment: int, shown: str) -> RefusedLine | None:
        if moment > self.latest:
            ahead = "more than 5 minutes ahead of this server's clock (clockSuspect); set the sender's clock"
            return RefusedLine(0, f"time: {cut(shown)} is {ahead}", "clock")
        if moment < self.oldest:
            return RefusedLine(0, f"time: {cut(shown)} is older than what is kept (retention)", "expired")
        return None


def read(body: bytes, bounds: Bounds, shapes: Shapes) -> Intake:
    """The events in a body, line by line; raises Refused if there is nothing readable in it."""
    lines = [(at, line) for at, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    if not lines:
        raise bad("", "the body is empty; send an event as JSON on each line")
    if len(lines) > MOST_LINES:
        raise too_large("", f"{len(lines)} lines are more than the {MOST_LINES} that one request may hold")
    found = Intake([], [])
    for at, line in lines:
        match _read(at, line, bounds, shapes):
            case Accepted() as accepted:
                found.accepted.append(accepted)
            case refused:
                found.refused.append(refused._replace(line=at))
    if not found.accepted and all(line.reason == "malformed" for line in found.refused):
        first = found.refused[0]
        raise bad(f"line {first.line}", first.problem)
    return found


def _read(at: int, line: bytes, bounds: Bounds, shapes: Shapes) -> Accepted | RefusedLine:
    if usual := _usual(at, line, bounds, shapes):
        return usual
    try:
        event = PredictionEvent.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return RefusedLine(at, told(first), "malformed" if first["type"] == "json_invalid" else "invalid")
    return accept(at, event, bounds)


def _usual(at: int, line: bytes, bounds: Bounds, shapes: Shapes) -> Accepted | None:
    """The event, if nothing in it asks for a closer look."""
    try:
        found = orjson.loads(line)
        usual = shapes.take(found)
        if usual is None:
            return None
        moment = times.micros(usual.time)
    except ValueError:
        return None
    if not bounds.oldest <= moment <= bounds.latest:
        return None
    parts = map(found.get, ("labels", "classes", "probabilities", "predictions"))
    body = orjson.dumps([usual.id, moment, usual.latency, usual.rows, found["inputs"], *parts])
    return Accepted(at, usual.id, usual.version, moment, usual.rows, usual.latency, usual.columns, body)


def accept(at: int, event: PredictionEvent, bounds: Bounds) -> Accepted | RefusedLine:
    """An event of the contract's form, unless the store can not hold it."""
    try:
        moment = times.micros(event.time)
    except ValueError as error:
        return RefusedLine(at, f"time: {error}", "invalid")
    if refused := bounds.problem(moment, event.time) or _problem(event):
        return refused
    try:
        body = orjson.dumps(
            [
                event.id,
                moment,
                event.latency,
                event.rows,
                event.inputs,
                event.labels,
                event.classes,
                event.probabilities,
                event.predictions,
            ]
        )
    except TypeError as error:  # a whole number beyond 64 bits, or half a surrogate pair
        return RefusedLine(at, f"inputs: {str(error)[:100]}", "invalid")
    return Accepted(at, event.id, event.version, moment, event.rows, event.latency, _columns(event), body)


def _problem(event: PredictionEvent) -> RefusedLine | None:
    if event.version > LARGEST_VERSION:
        return RefusedLine(0, f"version: must be at most {LARGEST_VERSION}", "invalid")
    shown = set(event.masked) & set(event.inputs)
    if shown:
        return RefusedLine(0, f"inputs.{cut(min(shown))}: is in masked, and yet its values are here", "masked")
    for name, numbers in (
        ("latency", (event.latency,)),
        ("predictions", event.predictions or ()),
        ("probabilities", [value for row in event.probabilities or () for value in row]),
    ):
        if not all(map(math.isfinite, numbers)):
            return RefusedLine(0, f"{name}: must be finite", "invalid")
    return None


def _columns(event: PredictionEvent) -> dict[str, str]:
    found = {INPUT + name: _kind(values) for name, values in event.inputs.items()}
    if event.labels is not None:
        found[LABEL] = TEXT
        if event.probabilities:
            found |= dict.fromkeys((PROBABILITY + name for name in event.classes), NUMBER)
    else:
        found[PREDICTION] = NUMBER
    return found


def _kind(values: Iterable[object]) -> str:
    """A column is of numbers until a text is among them; one that is all missing says nothing yet."""
    return TEXT if str in set(map(type, values)) else NUMBER
