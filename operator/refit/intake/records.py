"""What a delivery makes of the records that are there. Pure: the same deliveries in any order give the same record.

A record is one episode of one alert: its group, its fingerprint, its start. An alert that changes its mind more
than so many times an hour flaps: its episodes then fold into the record that is there, and are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

SECOND = 1_000_000
"""Moments are whole microseconds since 1970, as they are stored."""
SKEW = 300 * SECOND
"""How far ahead of our clock another's may be."""
HOUR = 3600 * SECOND


class Status(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


class Outcome(StrEnum):
    """What became of one alert of a delivery; the metric's label."""

    STORED = "stored"
    RESOLVED = "resolved"
    DUPLICATE = "duplicate"
    LATE = "late"
    """Stored, and changes nothing: something newer was there before it."""
    SUSPECT = "suspect"
    FOLDED = "folded"
    """A further episode of an alert that flaps."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """One alert as it was delivered. Without a start it speaks of the episode that is open."""

    group: str
    fingerprint: str
    status: Status
    namespace: str
    model: str
    starts_at: int | None = None
    ends_at: int | None = None
    name: str = ""
    severity: str = ""
    summary: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    truncated: int = 0
    """Alerts that the sender left out of the delivery this one came in."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One episode, as stored."""

    group: str
    fingerprint: str
    starts_at: int
    ends_at: int | None
    status: Status
    namespace: str
    model: str
    name: str
    severity: str
    summary: str
    labels: tuple[tuple[str, str], ...]
    truncated: int
    source: str
    received_at: int
    heard_at: int
    suspect: bool = False
    held: bool = False
    """Stored, but not passed on: the sender or the model had too many in a short time."""
    turns: tuple[int, ...] = ()
    """When the alert last changed between firing and resolved, newest last; as many as tell whether it flaps."""

    @property
    def sound_end(self) -> bool:
        return self.ends_at is not None and self.ends_at >= self.starts_at

    @property
    def rank(self) -> int:
        """Which of two statements about one episode holds: a sound end, else firing, else an end before the start."""
        return 1 if self.status is Status.FIRING else 2 * self.sound_end


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is to be written, and whether the operator should look again."""

    outcome: Outcome
    write: tuple[Record, ...]
    replaces: Record | None = None
    opened: bool = False
    """An alert fires that did not; it may have to be held back."""
    look: bool = False


def flaps(turns: tuple[int, ...], now: int, limit: int) -> bool:
    """Whether the alert changed more than `limit` times in the last hour."""
    return sum(turn > now - HOUR for turn in turns) > limit


def received(given: Given, *, same: Record | None, newest: Record | None, source: str, now: int, limit: int) -> Change:
    """`same` is the record of that start, `newest` the alert's last that does not start in the future."""
    turns = _turned(newest.turns if newest else (), now, limit)
    record = _fresh(given, newest, turns, source, now)
    if same is None and newest is not None and newest.starts_at == record.starts_at:
        same = newest
    if same is not None:
        return _told_again(same, record, newest, now, limit)
    if record.starts_at > now + SKEW:
        return Change(outcome=Outcome.SUSPECT, write=(replace(record, turns=()),))
    if newest is not None and record.starts_at < newest.starts_at:
        if flaps(newest.turns, now, limit):
            return Change(outcome=Outcome.FOLDED, write=(replace(newest, heard_at=now),))
        over = replace(record, turns=())
        if record.status is Status.FIRING:
            over = _ended(over, newest.starts_at)
        return Change(outcome=Outcome.LATE, write=(over,))
    return _new_episode(record, newest, now, limit)


def _new_episode(record: Record, newest: Record | None, now: int, limit: int) -> Change:
    fires = record.status is Status.FIRING
    if newest is not None and flaps(record.turns, now, limit):
        folded = replace(record, received_at=newest.received_at, held=newest.held)
        return Change(outcome=Outcome.FOLDED, write=(folded,), replaces=newest, look=not record.suspect)
    # An alert can not fire twice at a time: a new episode says that the one before is over.
    over = (_ended(newest, record.starts_at),) if newest and newest.status is Status.FIRING else ()
    stored = Outcome.STORED if fires else Outcome.RESOLVED
    return Change(
        outcome=Outcome.SUSPECT if record.suspect else stored,
        write=(*over, record),
        opened=fires and not record.suspect,
        look=not record.suspect and (fires or bool(over)),
    )


def _told_again(same: Record, record: Record, newest: Record | None, now: int, limit: int) -> Change:
    """Both speak of one episode: what holds is the same whichever came first."""
    kept = same
    if record.rank > same.rank or (record.rank == same.rank and (record.ends_at or 0) > (same.ends_at or 0)):
        kept = replace(same, status=record.status, ends_at=record.ends_at)
    if newest is not None and kept.starts_at < newest.starts_at and kept.status is Status.FIRING:
        kept = _ended(kept, newest.starts_at)  # whatever it says of itself, a later episode has begun
    kept = replace(kept, suspect=same.suspect or record.suspect, heard_at=now)
    turned = kept.status is not same.status
    if turned:
        kept = replace(kept, turns=_turned(same.turns, now, limit))
    reopened = turned and kept.status is Status.FIRING
    if kept.suspect:
        outcome = Outcome.DUPLICATE if same.suspect and not turned else Outcome.SUSPECT
    elif turned:
        outcome = Outcome.STORED if reopened else Outcome.RESOLVED
    else:
        outcome = Outcome.DUPLICATE if same.status is record.status else Outcome.LATE
    return Change(
        outcome=outcome,
        write=(kept,),
        opened=reopened and not kept.suspect,
        look=turned or kept.suspect is not same.suspect,
    )


def _fresh(given: Given, newest: Record | None, turns: tuple[int, ...], source: str, now: int) -> Record:
    starts_at = given.starts_at
    if starts_at is None:
        speaks_of_it = newest is not None and (newest.status is Status.FIRING or given.status is Status.RESOLVED)
        starts_at = newest.starts_at if newest is not None and speaks_of_it else now
    ends_at = given.ends_at if given.status is Status.RESOLVED else None
    if given.status is Status.RESOLVED and ends_at is None:
        ends_at = max(now, starts_at)
    return Record(
        group=given.group,
        fingerprint=given.fingerprint,
        starts_at=starts_at,
        ends_at=ends_at,
        status=given.status,
        namespace=given.namespace,
        model=given.model,
        name=given.name,
        severity=given.severity,
        summary=given.summary,
        labels=given.labels,
        truncated=given.truncated,
        source=source,
        received_at=now,
        heard_at=now,
        suspect=starts_at > now + SKEW or (ends_at is not None and ends_at < starts_at),
        turns=turns,
    )


def _ended(record: Record, at: int) -> Record:
    return replace(record, status=Status.RESOLVED, ends_at=max(at, record.starts_at))


def _turned(turns: tuple[int, ...], now: int, limit: int) -> tuple[int, ...]:
    return (*turns, now)[-(limit + 1) :]
