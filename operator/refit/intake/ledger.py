"""What is written, inside a transaction of the writer: deliveries of alerts, signed events, and what is forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from refit.intake import schema
from refit.intake.events import ASK, StoredEvent
from refit.intake.flood import Flood
from refit.intake.records import HOUR, SKEW, Change, Given, Outcome, Record, Status, flaps, received
from refit.intake.times import micros
from refit.intake.writer import Wakes

DAY = 24 * HOUR
KEEP_RESOLVED = 7 * DAY
KEEP_UNHEARD = 7 * DAY
"""An alert that fires and of which nobody has said anything for so long is no more: its end was lost."""
KEEP_EVENTS = 30 * DAY
"""A delivery id is known for as long: much longer than a signed timestamp is taken."""
MOST_ROWS = 100_000
"""Of resolved alerts, of events and of ids; the oldest go first."""
MOST_RELEASED = 500
"""Held alerts that are looked at in one tidying."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What became of a delivery."""

    outcomes: tuple[Outcome, ...] = ()
    held: int = 0
    replayed: bool = False


@dataclass(frozen=True, kw_only=True)
class Alerts:
    """A delivery of alerts, to be written in its order."""

    alerts: tuple[Given, ...]
    source: str


@dataclass(frozen=True, kw_only=True)
class SignedEvent:
    """A signed event, its ids, and the alert it tells of; nothing of it is written if one of the ids is known."""

    event: StoredEvent
    route: str
    ids: tuple[str, ...]
    source: str
    alert: Given | None = None


@dataclass(frozen=True, kw_only=True)
class Tidying:
    """Forget what is old, and pass on what was held back as far as there is room now."""


Entry = Alerts | SignedEvent | Tidying


class _Page:
    """The records that one transaction is about: read before, written after, in one statement each."""

    def __init__(self, connection: sqlite3.Connection, entries: Iterable[Entry], latest: int) -> None:
        self._connection, self._latest = connection, latest
        self._series: dict[tuple[str, str], dict[int, Record]] = {}
        self._changed: dict[tuple[str, str, int], Record] = {}
        self._gone: dict[tuple[str, str, int], Record] = {}
        given = [one for entry in entries for one in _alerts(entry)]
        for one in schema.same_and_newest(connection, given, latest) if given else ():
            self._series.setdefault((one.group, one.fingerprint), {})[one.starts_at] = one

    def same(self, given: Given) -> Record | None:
        if given.starts_at is None:
            return None
        return self._series.get((given.group, given.fingerprint), {}).get(given.starts_at)

    def newest(self, given: Given) -> Record | None:
        """The alert's last record that does not start in the future."""
        found = self._series.get((given.group, given.fingerprint), {})
        starts = max((at for at in found if at <= self._latest), default=None)
        return None if starts is None else found[starts]

    def put(self, record: Record) -> None:
        key = (record.group, record.fingerprint, record.starts_at)
        self._series.setdefault(key[:2], {})[record.starts_at] = record
        self._changed[key] = record
        self._gone.pop(key, None)

    def remove(self, record: Record) -> None:
        key = (record.group, record.fingerprint, record.starts_at)
        del self._series[key[:2]][record.starts_at]
        self._changed.pop(key, None)
        self._gone[key] = record

    def write(self) -> None:
        if self._gone:
            schema.remove(self._connection, self._gone.values())
        if self._changed:
            schema.put(self._connection, self._changed.values())


@dataclass(frozen=True)
class Ledger:
    """The rules by which it is written; `limit` is the number of transitions an hour beyond which an alert flaps."""

    flood: Flood
    limit: int
    clock: Callable[[], datetime]

    def write(self, connection: sqlite3.Connection, entries: Sequence[Entry]) -> tuple[list[Tally], Wakes]:
        """All entries of a transaction: what became of each, and whom to tell once it is on disk."""
        now, wakes = micros(self.clock()), Wakes()
        page = _Page(connection, entries, now + SKEW)
        tallies = []
        for entry in entries:
            match entry:
                case Alerts():
                    tallies.append(self._put(page, wakes, entry.alerts, entry.source, now))
                case SignedEvent():
                    tallies.append(self._put_event(connection, page, wakes, entry, now))
                case Tidying():
                    # It looks at all records, so those of this transaction have to be there.
                    page.write()
                    tallies.append(Tally(held=self._tidy(connection, wakes, now)))
                    page = _Page(connection, entries, now + SKEW)
        page.write()
        return tallies, wakes

    def _put(self, page: _Page, wakes: Wakes, alerts: Iterable[Given], source: str, now: int) -> Tally:
        outcomes, held = [], 0
        for given in alerts:
            change = received(
                given, same=page.same(given), newest=page.newest(given), source=source, now=now, limit=self.limit
            )
            last, look = self._passed_on(change, source, now)
            if change.replaces is not None:
                page.remove(change.replaces)
            for record in (*change.write[:-1], last):
                page.put(record)
            if look:
                wakes.add((given.namespace, given.model))
            outcomes.append(change.outcome)
            held += last.held
        return Tally(outcomes=tuple(outcomes), held=held)

    def _put_event(
        self, connection: sqlite3.Connection, page: _Page, wakes: Wakes, entry: SignedEvent, now: int
    ) -> Tally:
        if replayed(connection, entry.route, entry.ids):
            return Tally(replayed=True)
        event = entry.event
        asks = event.type == ASK
        held = asks and not self.flood.lets_pass(entry.source, f"{event.namespace}/{event.model}")
        at = micros(event.received_at)
        connection.executemany("INSERT INTO replay VALUES (?, ?, ?)", [(entry.route, one, at) for one in entry.ids])
        connection.execute(
            "INSERT INTO event (type, namespace, model, summary, received_at, held) VALUES (?, ?, ?, ?, ?, ?)",
            (event.type, event.namespace, event.model, event.summary, at, held),
        )
        if asks and not held:
            wakes.add((event.namespace, event.model))
        return self._put(page, wakes, [entry.alert], entry.source, now) if entry.alert else Tally(held=int(held))

    def _tidy(self, connection: sqlite3.Connection, wakes: Wakes, now: int) -> int:
        """How many wait still."""
        connection.execute(
            "DELETE FROM alert WHERE (status = 'resolved' AND heard_at < ?) OR heard_at < ?",
            (now - KEEP_RESOLVED, now - KEEP_UNHEARD),
        )
        connection.execute(
            "DELETE FROM alert WHERE status = 'resolved' AND heard_at < (SELECT heard_at FROM alert "
            "WHERE status = 'resolved' ORDER BY heard_at DESC LIMIT 1 OFFSET ?)",
            (MOST_ROWS,),
        )
        for table in ("event", "replay"):
            connection.execute(f"DELETE FROM {table} WHERE received_at < ?", (now - KEEP_EVENTS,))  # noqa: S608  # one of two words above
        connection.execute("DELETE FROM event WHERE number <= (SELECT max(number) FROM event) - ?", (MOST_ROWS,))
        rows = connection.execute(
            "SELECT * FROM alert WHERE held = 1 AND status = 'firing' ORDER BY received_at LIMIT ?", (MOST_RELEASED,)
        ).fetchall()
        passed = [
            replace(record, held=False)
            for record in map(schema.record, rows)
            if not record.suspect and self._lets_pass(record, record.source)
        ]
        schema.put(connection, passed)
        wakes.update((record.namespace, record.model) for record in passed)
        return int(connection.execute("SELECT count(*) FROM alert WHERE held = 1 AND status = 'firing'").fetchone()[0])

    def _passed_on(self, change: Change, source: str, now: int) -> tuple[Record, bool]:
        """The record with its `held`, and whether the operator looks again."""
        last = change.write[-1]
        # What was held back is tried again whenever it is told again.
        if change.opened or (last.held and last.status is Status.FIRING and not last.suspect):
            passes = self._lets_pass(last, source)
            last = last if last.held is not passes else replace(last, held=not passes)
            return last, passes or (change.look and len(change.write) > 1)
        if change.look and flaps(last.turns, now, self.limit):
            return last, self._lets_pass(last, source)
        return last, change.look

    def _lets_pass(self, record: Record, source: str) -> bool:
        return self.flood.lets_pass(source, f"{record.namespace}/{record.model}")


def replayed(connection: sqlite3.Connection, route: str, ids: Iterable[str]) -> bool:
    """Whether a delivery of one of these ids was stored before."""
    return any(
        connection.execute("SELECT 1 FROM replay WHERE route = ? AND id = ?", (route, one)).fetchone() for one in ids
    )


def _alerts(entry: Entry) -> tuple[Given, ...]:
    if isinstance(entry, Alerts):
        return entry.alerts
    return (entry.alert,) if isinstance(entry, SignedEvent) and entry.alert else ()
