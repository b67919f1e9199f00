"""The notifier: takes in what the passes notice, and tells it until it is told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry

from refit.api.notices import Notice
from refit.notify.configuration import Configuration
from refit.notify.metrics import NotifyMetrics
from refit.notify.outbox import Outbox, OutboxError, Owed
from refit.notify.senders import DeliveryError, Sender
from refit.notify.wording import message

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the outbox is looked at while something waits in it."""
IDLE_SECONDS = 300.0
"""How often otherwise: nothing comes into it but by `tell`."""


class Notifier:
    """One of it: two would tell everything twice."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        configuration: Configuration,
        cluster: str,
        sender: Sender,
        clock: Callable[[], datetime],
        registry: CollectorRegistry,
    ) -> None:
        self._outbox, self._configuration, self._sender, self._clock = outbox, configuration, sender, clock
        self._cluster = cluster
        self._receivers = {receiver.name: receiver for receiver in configuration.receivers}
        self._new = asyncio.Event()
        self.metrics = NotifyMetrics(registry, outbox.waiting)

    def tell(self, notices: Iterable[Notice]) -> None:
        """Takes in what is new. What cannot be stored now is noticed again by a later pass."""
        try:
            if self._outbox.take(notices, self._configuration, self._clock()):
                self._new.set()
        except OutboxError as error:
            log.error("nobody is told for now: %s", error)  # noqa: TRY400  # the message says it all

    async def work(self) -> None:
        """Tells, until it is cancelled."""
        while True:
            self._new.clear()
            waiting = await self.deliver()
            with contextlib.suppress(TimeoutError):
                # What waits is looked at again soon; something new is told with it, when its time has come.
                await asyncio.wait_for(self._new.wait(), LOOK_SECONDS if waiting else IDLE_SECONDS)

    async def deliver(self) -> int:
        """Tells everybody what is due; how much waits still."""
        try:
            owed = self._outbox.owed(self._configuration, self._clock())
            await asyncio.gather(*(self._deliver(each) for each in owed))
            waiting = self._outbox.waiting()
            if not waiting:  # while something waits this is asked every second
                self._outbox.tidy(self._clock())
        except OutboxError as error:
            log.error("nobody is told for now: %s", error)  # noqa: TRY400  # the message says it all
            return 1
        return waiting

    async def _deliver(self, owed: Owed) -> None:
        try:
            told = message(owed.notices, self._configuration.page, self._cluster)
            await self._sender.send(self._receivers[owed.receiver], told)
        except DeliveryError as error:
            dropped = self._outbox.failed(owed, str(error), self._clock())
            self.metrics.deliveries.labels(owed.receiver, "failed").inc(len(owed.notices) - len(dropped))
            if not owed.attempts:
                log.warning("%s was not told: %s; tried again for a day", owed.receiver, error)
            for notice in dropped:
                self.metrics.deliveries.labels(owed.receiver, "dropped").inc()
                where = f"{notice.namespace}/{notice.model}"
                log.error("%s is not told any more: %s: %s", owed.receiver, where, notice.what)  # noqa: TRY400  # as above
            return
        self._outbox.sent(owed, self._clock())
        self.metrics.deliveries.labels(owed.receiver, "sent").inc(len(owed.notices))
        log.info("%s was told of %d", owed.receiver, len(owed.notices))
