"""What was proposed, decided and done lately: a line per request, and the same as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta

from refit.api.objects import Request
from refit.api.remediationrequest import Decision, RequestPhase
from refit.api.summaries import action, predicted, why
from refit.api.times import moment
from refit_ui.views.tones import Chip, Tone

STATUSES = {
    RequestPhase.PENDING: Chip(Tone.WORK, "Looking"),
    RequestPhase.AWAITING_APPROVAL: Chip(Tone.DOUBT, "Waiting"),
    RequestPhase.EXECUTING: Chip(Tone.WORK, "Running"),
    RequestPhase.EXECUTED: Chip(Tone.GOOD, "Completed"),
    RequestPhase.REJECTED: Chip(Tone.CALM, "Rejected"),
    RequestPhase.EXPIRED: Chip(Tone.CALM, "Expired"),
    RequestPhase.SUPERSEDED: Chip(Tone.CALM, "Superseded"),
    RequestPhase.FAILED: Chip(Tone.BAD, "Failed"),
}
AUTO = Chip(Tone.GOOD, "Auto")
NOBODY = "nobody"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", *"\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet may take for the beginning of a formula, the full-width forms among it."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One request."""

    time: str
    namespace: str
    model: str
    request: str
    action: str
    why: str
    status: str
    people: str
    predicted: str
    came: str
    measured: str


def entries(requests: Iterable[Request], now: datetime, days: int = 7) -> tuple[Entry, ...]:
    """Of these days, the newest first."""
    since = now - timedelta(days=days)
    lines = [_entry(one) for one in requests if moment(_time(one)) >= since]
    return tuple(sorted(lines, key=lambda one: (one.time, one.request), reverse=True))


def status(request: Request) -> Chip:
    proposal = request.status.proposal
    if request.phase == RequestPhase.EXECUTED and proposal is not None and proposal.automatic:
        return AUTO
    return STATUSES[request.phase]


def words() -> tuple[str, ...]:
    """Every word that a status may be."""
    return tuple(dict.fromkeys([*(chip.word for chip in STATUSES.values()), AUTO.word]))


def tone(word: str) -> Tone:
    return next((chip.tone for chip in (*STATUSES.values(), AUTO) if chip.word == word), Tone.CALM)


def chosen(found: Iterable[Entry], *, models: Iterable[str], statuses: Iterable[str], text: str) -> tuple[Entry, ...]:
    """Those that all filters let through; an empty filter lets all through."""
    names, kinds, sought = set(models), set(statuses), text.strip().casefold()
    return tuple(
        one
        for one in found
        if (not names or one.model in names)
        and (not kinds or one.status in kinds)
        and (not sought or any(sought in str(value).casefold() for value in astuple(one)))
    )


def as_csv(found: Iterable[Entry]) -> bytes:
    """For a spreadsheet, which must take nothing of it for a formula; the mark at its beginning says UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow([field.name for field in fields(Entry)])
    writer.writerows([inert(value) for value in astuple(one)] for one in found)
    return out.getvalue().encode("utf-8-sig")


def inert(value: str) -> str:
    """A cell that no spreadsheet computes, be there blanks or invisible characters before it."""
    visible = "".join(letter for letter in value if letter.isprintable() and not letter.isspace()) or value
    return f"'{value}" if visible.startswith(FORMULA) or value.startswith(FORMULA) else value


def _time(request: Request) -> str:
    execution = request.status.execution
    return (execution.done_time or execution.start_time) if execution is not None else request.created


def _entry(request: Request) -> Entry:
    outcome, proposal = request.status.outcome, request.status.proposal
    real = outcome.realised_impact if outcome is not None else None
    inside = {True: ", as predicted", False: ", outside the interval", None: ""}
    return Entry(
        time=_time(request),
        namespace=request.namespace,
        model=request.spec.target_ref.name,
        request=request.name,
        action=action(request),
        why=why(request),
        status=status(request).word,
        people=_people(request),
        predicted=predicted(proposal.predicted_impact if proposal is not None else None) or "not known",
        came=f"{outcome.result}: {outcome.before} → {outcome.after}"
        if outcome is not None
        else "not yet"
        if request.open
        else "nothing was done",
        measured=(
            f"{real.metric} {float(real.before):.3g} → {float(real.after):.3g}{inside[real.inside]}"
            if real is not None
            else ""
        ),
    )


def _people(request: Request) -> str:
    proposal, decided = request.status.proposal, request.status.approvals or {}
    if proposal is not None and proposal.automatic:
        return "Refit, by policy"
    named = [
        f"{user}{' (no)' if entry.decision == Decision.REJECTED else ''}" for user, entry in sorted(decided.items())
    ]
    return ", ".join(named) or NOBODY
