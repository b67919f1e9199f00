"""Telling: the notifier for as long as the operator runs, or nobody where no receiver is configured."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

import aiohttp
from prometheus_client import CollectorRegistry

from refit.api.notices import Notice
from refit.notify.configuration import FILE, Secrets, read
from refit.notify.notifier import Notifier
from refit.notify.outbox import Outbox
from refit.notify.senders import Sender
from refit.shell.reconcile import Teller
from refit.shell.settings import Settings
from refit.shell.storage import Storage

log = logging.getLogger(__name__)


class Nobody:
    """Nobody is told: Kubernetes' Events and the objects' own conditions are all there is."""

    def tell(self, notices: Iterable[Notice]) -> None:
        """Does nothing."""


@asynccontextmanager
async def telling(
    settings: Settings, session: aiohttp.ClientSession, registry: CollectorRegistry, clock: Callable[[], datetime]
) -> AsyncIterator[Teller]:
    """Raises ConfigurationError and OutboxError."""
    configuration = read(settings.notify_folder)
    if configuration is None:
        log.warning("nobody is notified: there is no %s in %s", FILE, settings.notify_folder)
        yield Nobody()
        return
    outbox = Outbox(settings.notify_outbox)
    with contextlib.closing(outbox):
        notifier = Notifier(
            outbox=outbox,
            configuration=configuration,
            cluster=settings.cluster_name,
            sender=Sender(
                session=session,
                secrets=Secrets(settings.notify_folder),
                fetch=Storage(session, settings.tracking_uri).fetch,
            ),
            clock=clock,
            registry=registry,
        )
        worker = asyncio.create_task(notifier.work(), name="notifier")
        try:
            yield notifier
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
