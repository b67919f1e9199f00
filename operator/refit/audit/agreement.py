"""Agreement: the audit against the API server's own audit log, both ways: no row without its effect, no effect without
its row.

The log knows who asked for what and when, not what was in it (level Metadata is enough); the approval guard adds whose
decision it was and on which digest. Only what lies within the time of the log, and of the rows, can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from refit.api import meta
from refit.api.entries import EntryKind
from refit.api.guard import APPROVAL
from refit.api.outcome import Result
from refit.api.times import moment, stamp
from refit.audit.rows import Row

DECISION = f"{APPROVAL}/decision"
"""What the guard adds to the log: who, Approved or Rejected, and the digest."""
SLACK = timedelta(seconds=5)
"""Rows have whole seconds of the operator's clock, the log has the API server's."""
SERVICES, JOBS = "inferenceservices", "jobs"
EFFECTS: Mapping[str, tuple[str, str]] = {
    Result.RETRAINED: (JOBS, "-train-"),
    Result.CHAMPION_KEPT: (JOBS, "-train-"),
    Result.PROMOTED: (SERVICES, ""),
    Result.ROLLED_BACK: (SERVICES, ""),
    Result.RETURNED: (SERVICES, ""),
    Result.CONFIG_CHANGED: (meta.DEPLOYMENTS, ""),
}
"""By what came of a request, what the operator must have written: the kind, and what its name has behind the model's."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """A request to the API server that took effect."""

    time: datetime
    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    decision: str = ""


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """`sequence` is the row's, or 0 for an effect that has none."""

    sequence: int
    message: str


@dataclass
class _Told:
    """One request as its rows tell of it."""

    intent: Row | None = None
    outcome: Row | None = None
    content: dict[str, Any] = field(default_factory=dict)


def events(lines: Iterable[str]) -> Iterator[Event]:
    """The lines of the API server's log that bear on Refit, be the file cut off in a line or hold others."""
    for line in lines:
        if meta.GROUP not in line and JOBS not in line and SERVICES not in line:
            continue
        try:
            found = json.loads(line)
        except ValueError:
            continue
        event = _event(found) if isinstance(found, dict) else None
        if event is not None:
            yield event


def _event(found: dict[str, Any]) -> Event | None:
    target, code = found.get("objectRef") or {}, (found.get("responseStatus") or {}).get("code", 0)
    if found.get("stage") != "ResponseComplete" or not 200 <= code < 300 or "resource" not in target:  # noqa: PLR2004  # success
        return None
    if found.get("verb") not in ("create", "update", "patch", "delete") or "dryRun=" in found.get("requestURI", ""):
        return None
    sub = target.get("subresource")
    # Who impersonates acts as the other: that is whom admission has seen, and whose name stands in the row.
    person = found.get("impersonatedUser") or found.get("user") or {}
    return Event(
        time=moment(found["requestReceivedTimestamp"]),
        user=str(person.get("username", "")),
        verb=found["verb"],
        resource=target["resource"] + (f"/{sub}" if sub else ""),
        namespace=str(target.get("namespace", "")),
        name=str(target.get("name", "")),
        decision=str((found.get("annotations") or {}).get(DECISION, "")),
    )


def disagreements(rows: Iterable[Row], logged: Sequence[Event], operator: str) -> list[Disagreement]:
    """All that one of the two says and the other does not."""
    if not logged:
        return [Disagreement(sequence=0, message="the API server's log holds nothing about Refit")]
    begin, end = min(one.time for one in logged), max(one.time for one in logged)
    told: dict[str, _Told] = {}
    for row in rows:
        known = told.setdefault(row.request_uid, _Told())
        if row.kind is EntryKind.INTENT:
            known.intent = row
        elif row.kind is EntryKind.OUTCOME:
            known.outcome = row
        known.content |= json.loads(row.content)
    own = [one for one in logged if one.user == operator]
    found = [each for one in told.values() for each in _without_effect(one, logged, own, begin, end)]
    return [*sorted(found, key=lambda one: one.sequence), *_without_row(told.values(), logged, own)]


def _without_effect(
    told: _Told, logged: Sequence[Event], own: Sequence[Event], begin: datetime, end: datetime
) -> Iterator[Disagreement]:
    intent, outcome, content = told.intent, told.outcome, told.content
    if intent is None:
        if outcome is not None:
            yield Disagreement(sequence=outcome.sequence, message="an outcome without an intent")
        return
    since = moment(intent.time)
    if not begin + SLACK <= since <= end:
        return
    namespace, model, request = (str(content.get(name, "")) for name in ("namespace", "model", "request"))
    for user in content.get("approvers") or ():
        wanted = f"{user} Approved {intent.digest}"
        decided = [
            one for one in logged if one.decision == wanted and (one.namespace, one.name) == (namespace, request)
        ]
        # An approval may be older than the log.
        if not decided and _was_open(own, namespace, request, since):
            message = f"it names {user} as approver of {request}, and the log has no such decision"
            yield Disagreement(sequence=intent.sequence, message=message)
    if outcome is None:
        return
    effect = EFFECTS.get(str((content.get("outcome") or {}).get("result", "")))
    until = moment(outcome.time) + SLACK
    if effect is not None and until <= end + SLACK:
        resource, behind = effect
        done = [
            one
            for one in own
            if one.resource == resource
            and one.namespace == namespace
            and (one.name.startswith(f"{model}{behind}") if behind else one.name == model)
            and since - SLACK <= one.time <= until
        ]
        if not done:
            result = content["outcome"]["result"]
            message = f"it says {result} of {namespace}/{model}, and the log has no such write of {resource}"
            yield Disagreement(sequence=outcome.sequence, message=message)


def _was_open(own: Sequence[Event], namespace: str, request: str, since: datetime) -> bool:
    """Whether the log has the operator's writes to a request from before it was begun, and so what was decided on it."""
    return any(
        one.resource == f"{meta.REQUESTS}/status"
        and (one.namespace, one.name) == (namespace, request)
        and one.time < since
        for one in own
    )


def _without_row(told: Iterable[_Told], logged: Sequence[Event], own: Sequence[Event]) -> Iterator[Disagreement]:
    """Effects that only an approved request can have had."""
    changes = [one for one in told if one.intent is not None]
    for event in own:
        if (event.resource, event.verb) == (meta.DEPLOYMENTS, "patch") and not any(
            _covers(one, event) and one.content.get("action") == "ChangeConfig" for one in changes
        ):
            what = f"{event.namespace}/{event.name} was changed at {stamp(event.time)}, and no row intends it"
            yield Disagreement(sequence=0, message=what)
    for event in logged:
        if event.decision and event.user == event.decision.partition(" ")[0]:
            continue
        if event.decision:
            what = (
                f"a decision on {event.namespace}/{event.name} is not of {event.user}, who wrote it: {event.decision}"
            )
            yield Disagreement(sequence=0, message=what)


def _covers(told: _Told, event: Event) -> bool:
    """Whether that write lies between intent and outcome of a request about the same model."""
    if told.intent is None:
        return False
    until = moment(told.outcome.time) + SLACK if told.outcome is not None else event.time
    same = (told.content.get("namespace"), told.content.get("model")) == (event.namespace, event.name)
    return same and moment(told.intent.time) - SLACK <= event.time <= until
