"""One process: the store, the paths and the socket, from start to a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing

import uvicorn
from prometheus_client import disable_created_metrics

from refit_collector import app, cloudevents, schema
from refit_collector.desk import Desk
from refit_collector.identity import Authenticator, TokenFile
from refit_collector.measurements import Gauges
from refit_collector.metrics import Metrics
from refit_collector.settings import Settings, SettingsError
from refit_collector.store import Store

log = logging.getLogger("refit.collector")

GRACE_SECONDS = 20
SWITCH_SECONDS = 0.001
"""How soon a thread that answers gets its turn from one that rolls; Python's default is five times that."""
REVIEW_SECONDS = 5.0
GARBAGE_THRESHOLD = 50_000
"""New objects between two looks for cycles; with Python's 700 each batch of events would cause several."""


class _Server(uvicorn.Server):
    """Uvicorn's, which ends with 0 when it is asked to end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        yield

    def _end(self) -> None:
        log.info("ends; what waits is stored first")
        self.should_exit = True


def run(settings: Settings) -> None:
    """Serves until it is asked to end; raises SettingsError if it can not begin."""
    sys.setswitchinterval(SWITCH_SECONDS)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it without types
    try:
        listening = socket.create_server((settings.host, settings.port), backlog=1024)
    except OSError as error:
        raise SettingsError(f"REFIT_COLLECTOR_PORT: {settings.host}:{settings.port}: {error.strerror}") from None
    metrics = Metrics()
    gauges = Gauges(_now)
    with listening, Store(settings, metrics, _now) as store:
        with closing(schema.reading(store.directory)) as connection:
            gauges.load(connection)
            for orphan in cloudevents.known_orphans(connection):
                metrics.orphans.labels(orphan.namespace, orphan.model, orphan.kind).inc(orphan.halves)
        metrics.registry.register(gauges)
        asyncio.run(_serve(settings, store, metrics, gauges, listening))
    log.info("ended")


async def _serve(settings: Settings, store: Store, metrics: Metrics, gauges: Gauges, listening: socket.socket) -> None:
    async with _authenticators(settings) as authenticators:
        desk = Desk(settings, store, metrics, gauges, authenticators, _now)
        config = uvicorn.Config(
            app.make(desk),
            log_config=None,
            access_log=False,  # a URL may hold an ingest key
            server_header=False,
            lifespan="off",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        # What is there by now stays; and an event is thousands of small lists, which are no garbage to look for.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)
        log.info("listens", extra={"settings": settings.model_dump(mode="json")})
        await _Server(config).serve(sockets=[listening])


@asynccontextmanager
async def _authenticators(settings: Settings) -> AsyncIterator[list[Authenticator]]:
    found: list[Authenticator] = []
    if settings.tokens_file is not None:
        found.append(TokenFile(settings.tokens_file))
    if settings.api_server is None:
        yield found
        return
    # Slow to load, and of no use outside a cluster.
    import httpx  # noqa: PLC0415

    from refit_collector.tokenreviews import TokenReviews  # noqa: PLC0415

    verify: ssl.SSLContext | bool = True
    if settings.api_server.startswith("https:") and settings.api_ca_file.exists():
        verify = ssl.create_default_context(cafile=str(settings.api_ca_file))
    # The API server is asked directly, whatever proxy the environment names.
    async with httpx.AsyncClient(
        base_url=settings.api_server, verify=verify, timeout=REVIEW_SECONDS, trust_env=False
    ) as client:
        found.append(TokenReviews(client, settings.api_token_file, settings.admin_serviceaccounts))
        yield found


def _now() -> int:
    return time.time_ns() // 1000
