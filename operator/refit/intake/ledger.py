"""What is written, inside a transaction of the writer: deliveries of alerts, signed events, and what is forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Ledger:
    """The rules by which it is written; `limit` is the number of transitions an hour beyond which an alert flaps."""

    flood: Flood
    limit: int

    def put(
        self, connection: sqlite3.Connection, wakes: Wakes, alerts: Iterable[Given], *, source: str, now: int
    ) -> Tally:
        """Alerts of one delivery, in its order."""
        outcomes, held = [], 0
        for given in alerts:
            same, newest = schema.same_and_newest(
                connection, given.group, given.fingerprint, given.starts_at, now + SKEW
            )
            change = received(given, same=same, newest=newest, source=source, now=now, limit=self.limit)
            last, look = self._passed_on(change, source, now)
            if change.replaces is not None:
                schema.remove(connection, change.replaces)
            for record in (*change.write[:-1], last):
                schema.put(connection, record)
            if look:
                wakes.add((given.namespace, given.model))
            outcomes.append(change.outcome)
            held += last.held
        return Tally(outcomes=tuple(outcomes), held=held)

    def put_event(
        self,
        connection: sqlite3.Connection,
        wakes: Wakes,
        event: StoredEvent,
        *,
        route: str,
        ids: tuple[str, ...],
        source: str,
        alert: Given | None,
    ) -> Tally:
        """A signed event, its ids, and the alert it tells of; nothing of it if one of the ids is known."""
        if replayed(connection, route, ids):
            return Tally(replayed=True)
        now = micros(event.received_at)
        asks = event.type == ASK
        held = asks and not self.flood.lets_pass(source, f"{event.namespace}/{event.model}")
        connection.executemany("INSERT INTO replay VALUES (?, ?, ?)", [(route, one, now) for one in ids])
        connection.execute(
            "INSERT INTO event (type, namespace, model, summary, received_at, held) VALUES (?, ?, ?, ?, ?, ?)",
            (event.type, event.namespace, event.model, event.summary, now, held),
        )
        if asks and not held:
            wakes.add((event.namespace, event.model))
        return self.put(connection, wakes, [alert], source=source, now=now) if alert else Tally(held=int(held))

    def tidy(self, connection: sqlite3.Connection, wakes: Wakes, now: int) -> int:
        """Forgets what is old, and passes on what was held back as far as there is room now. How many wait still."""
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
        for record in map(schema.record, rows):
            if not record.suspect and self._lets_pass(record, record.source):
                schema.put(connection, replace(record, held=False))
                wakes.add((record.namespace, record.model))
        return int(connection.execute("SELECT count(*) FROM alert WHERE held = 1 AND status = 'firing'").fetchone()[0])

    def _passed_on(self, change: Change, source: str, now: int) -> tuple[Record, bool]:
        """The record with its `held`, and whether the operator looks again."""
        last = change.write[-1]
        # What was held back is tried again whenever it is told again.
        if change.opened or (last.held and last.status is Status.FIRING and not last.suspect):
            passes = self._lets_pass(last, source)
            return replace(last, held=not passes), passes or (change.look and len(change.write) > 1)
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
