"""Everything together: the store and the server, for as long as a block runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry

from refit.intake.callers import Callers
from refit.intake.credentials import CredentialsError, SecretFile, signing_secret, token
from refit.intake.flood import Buckets, Flood
from refit.intake.metrics import IntakeMetrics
from refit.intake.routes import ALERTMANAGER, EVENTS, GITHUB, Routes
from refit.intake.schema import StoreError
from refit.intake.settings import IntakeSettings, IntakeSettingsError
from refit.intake.store import AlertStore
from refit.intake.targets import Known
from refit.intake.tls import tls
from refit.intake.writer import Limits

log = logging.getLogger(__name__)

LINGER_SECONDS = 2.0
"""How long a refused body is still read, so that the sender sees the answer and not a reset."""


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def running(
    settings: IntakeSettings,
    *,
    known: Known,
    ready: Callable[[], bool],
    stored: Callable[[str, str], None],
    registry: CollectorRegistry,
    clock: Callable[[], datetime] = _now,
    monotonic: Callable[[], float] = time.monotonic,
    host: str | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[AlertStore | None]:
    """The store while the intake runs; None if it is off, which one line says. Raises IntakeSettingsError, OSError."""
    if settings.off:
        log.warning("the alert intake is off: %s", settings.off)
        yield None
        return
    metrics = IntakeMetrics(registry)
    try:
        callers = _callers(settings, monotonic)
        events_secrets = _secrets("EVENTS_SECRET_FILE", settings.events_secret_file, EVENTS, signing_secret, monotonic)
        github_secrets = _secrets("GITHUB_SECRET_FILE", settings.github_secret_file, GITHUB, signing_secret, monotonic)
        encrypted = tls(settings, monotonic)
        store = AlertStore(
            settings.database,
            stored=stored,
            flood=Flood(
                Buckets(settings.source_per_minute / 60, settings.source_per_minute, monotonic),
                Buckets(settings.target_per_minute / 60, settings.target_per_minute, monotonic),
            ),
            metrics=metrics,
            clock=clock,
            transitions_per_hour=settings.transitions_per_hour,
            limits=limits,
        )
    except StoreError as error:
        raise IntakeSettingsError(f"REFIT_INTAKE_DATABASE: {error}") from None
    routes = Routes(
        store=store,
        metrics=metrics,
        clock=clock,
        known=known,
        ready=ready,
        labels=settings.target_labels,
        callers=callers,
        tls=encrypted,
        events_secrets=events_secrets,
        github_secrets=github_secrets,
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        runner = web.AppRunner(
            routes.application(), access_log=None, auto_decompress=False, lingering_time=LINGER_SECONDS
        )
        await runner.setup()
        # Closed before the store: what is in work is still stored and answered.
        stack.push_async_callback(runner.cleanup)
        context = encrypted.context if encrypted else None
        await web.TCPSite(runner, host, settings.port, ssl_context=context).start()
        tidying = asyncio.create_task(store.keep_tidy(), name="intake tidying")
        try:
            yield store
        finally:
            tidying.cancel()
            await asyncio.gather(tidying, return_exceptions=True)


def _callers(settings: IntakeSettings, monotonic: Callable[[], float]) -> Callers | None:
    if settings.strict and settings.token_file is not None and not settings.token_file.exists():
        raise IntakeSettingsError(f"REFIT_INTAKE_TOKEN_FILE: {settings.token_file} does not exist, and strict needs it")
    tokens = _secrets("TOKEN_FILE", settings.token_file, ALERTMANAGER, token, monotonic)
    if tokens is None and settings.tls_client_ca is None:
        return None
    return Callers(
        tokens=tokens,
        certificates=settings.tls_client_ca is not None,
        names=settings.tls_client_names,
        strict=settings.strict,
    )


def _secrets(
    name: str, path: Path | None, route: str, parse: Callable[[str], bytes], monotonic: Callable[[], float]
) -> SecretFile | None:
    """The file's secrets; None if it is not there. Raises IntakeSettingsError if it is wrong."""
    if path is None:
        return None
    if not path.exists():
        log.warning("%s has no secrets: REFIT_INTAKE_%s (%s) does not exist", route, name, path)
        return None
    try:
        return SecretFile(path, parse, monotonic)
    except CredentialsError as error:
        raise IntakeSettingsError(f"REFIT_INTAKE_{name}: {error}") from None
