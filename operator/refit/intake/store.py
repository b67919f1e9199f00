"""The alert store: what the operator reads of it, and what the routes put into it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from refit.intake import schema
from refit.intake.events import ASK, StoredEvent
from refit.intake.flood import Flood
from refit.intake.ledger import Alerts, Ledger, SignedEvent, Tally, Tidying, replayed
from refit.intake.metrics import IntakeMetrics
from refit.intake.records import Given, flaps
from refit.intake.times import micros, moment
from refit.intake.writer import BusyError, Limits, Writer

MOST_OPEN = 100
"""Of one model, given to one pass; the newest."""
TIDY_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class StoredAlert:
    """An alert that fires for a model, as the operator sees it. Its texts are a sender's: show them, never run them."""

    name: str
    fingerprint: str
    severity: str
    starts_at: datetime
    received_at: datetime
    labels: dict[str, str]
    summary: str
    flapping: bool = False
    clock_suspect: bool = False
    """Its times can not be: show it, and do not act on it."""
    truncated: int = 0
    """Alerts that the sender cut from the delivery this one came in."""


class AlertStore:
    """Made in the event loop and closed in it. The reads are quick, and of what is on disk.

    `stored` is called with namespace and name of a model when the operator should look at it again.
    """

    def __init__(
        self,
        path: Path,
        *,
        stored: Callable[[str, str], None],
        flood: Flood,
        metrics: IntakeMetrics,
        clock: Callable[[], datetime],
        transitions_per_hour: int,
        limits: Limits | None = None,
    ) -> None:
        schema.prepare(path)
        self._metrics, self._clock, self._limit = metrics, clock, transitions_per_hour
        self._reader = schema.connect(path)
        self._writer = Writer(
            schema.connect(path),
            Ledger(flood, transitions_per_hour, clock).write,
            limits=limits or Limits(),
            woken=lambda target: stored(*target),
            observe_commit=metrics.commit_seconds.observe,
            observe_queue=metrics.queue_bytes.set,
        )

    def open(self, namespace: str, model: str) -> tuple[StoredAlert, ...]:
        """What fires for a model and was passed on, newest first; what is held back is not in it."""
        rows = self._reader.execute(
            "SELECT * FROM alert WHERE namespace = ? AND model = ? AND status = 'firing' AND held = 0 "
            "ORDER BY starts_at DESC LIMIT ?",
            (namespace, model, MOST_OPEN),
        ).fetchall()
        now = micros(self._clock())
        return tuple(
            StoredAlert(
                name=record.name,
                fingerprint=record.fingerprint,
                severity=record.severity,
                starts_at=moment(record.starts_at),
                received_at=moment(record.received_at),
                labels=dict(record.labels),
                summary=record.summary,
                flapping=flaps(record.turns, now, self._limit),
                clock_suspect=record.suspect,
                truncated=record.truncated,
            )
            for record in map(schema.record, rows)
        )

    def held(self, namespace: str, model: str) -> int:
        """How many alerts fire for a model that were not passed on: there were too many in a short time."""
        return self._number(
            "SELECT count(*) FROM alert WHERE namespace = ? AND model = ? AND status = 'firing' AND held = 1",
            namespace,
            model,
        )

    def asked(self, namespace: str, model: str) -> datetime | None:
        """When a signed event last asked for a measurement of a model."""
        newest = self._number(
            "SELECT coalesce(max(received_at), 0) FROM event "
            "WHERE namespace = ? AND model = ? AND type = ? AND held = 0",
            namespace,
            model,
            ASK,
        )
        return moment(newest) if newest else None

    def events(self, namespace: str = "", model: str = "", limit: int = 50) -> tuple[StoredEvent, ...]:
        """Signed events of a model, newest first; without a model those that belong to none."""
        rows = self._reader.execute(
            "SELECT type, namespace, model, summary, received_at FROM event WHERE namespace = ? AND model = ? "
            "ORDER BY number DESC LIMIT ?",
            (namespace, model, limit),
        ).fetchall()
        return tuple(
            StoredEvent(type=row[0], namespace=row[1], model=row[2], summary=row[3], received_at=moment(row[4]))
            for row in rows
        )

    def replayed(self, route: str, ids: Iterable[str]) -> bool:
        """Whether a delivery of one of these ids was stored before."""
        return replayed(self._reader, route, ids)

    async def put(self, alerts: tuple[Given, ...], *, source: str, size: int) -> Tally:
        """Stores a delivery of alerts. Returns once it is on disk; raises BusyError."""
        if not alerts:
            return Tally()
        return self._count(await self._writer.do(Alerts(alerts=alerts, source=source), size))

    async def put_event(self, entry: SignedEvent, *, size: int) -> Tally:
        """Stores a signed event, its ids and the alert it tells of. As `put`."""
        tally = self._count(await self._writer.do(entry, size))
        if not tally.replayed:
            self._metrics.events.labels(entry.event.type).inc()
        return tally

    async def tidy(self) -> int:
        """Forgets what is old, and passes on what was held back as far as there is room now; how many wait still."""
        tally: Tally = await self._writer.do(Tidying(), 0)
        self._metrics.held.set(tally.held)
        return tally.held

    async def keep_tidy(self) -> None:
        """Tidies now and then, until it is cancelled."""
        while True:
            with contextlib.suppress(BusyError):
                await self.tidy()
            await asyncio.sleep(TIDY_SECONDS)

    async def close(self) -> None:
        """Stores what waits, and closes."""
        await self._writer.close()
        self._reader.close()

    def _number(self, query: str, *given: str) -> int:
        return int(self._reader.execute(query, given).fetchone()[0])

    def _count(self, tally: Tally) -> Tally:
        for outcome, number in Counter(tally.outcomes).items():
            self._metrics.alerts.labels(outcome).inc(number)
        if tally.held:
            self._metrics.alerts.labels("held").inc(tally.held)
        return tally
