"""The wiring: settings to a running operator. Nothing here decides anything."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from datetime import UTC, datetime

import aiohttp
import kopf

from refit.audit import keys
from refit.audit.ledger import Ledger
from refit.core.guard import home
from refit.intake.server import running
from refit.intake.settings import IntakeSettings
from refit.kube.live import LiveCluster, connect, credentials
from refit.shell import handlers, server
from refit.shell.alerts import StoredAlerts
from refit.shell.audit import Keeper, Places, keeping
from refit.shell.audit_door import Door
from refit.shell.echoes import Echoes
from refit.shell.endpoint import Endpoint
from refit.shell.guard import Guard
from refit.shell.loads import Loads
from refit.shell.metrics import Metrics
from refit.shell.observe import Sources
from refit.shell.oversight import Overseer
from refit.shell.queue import KeyedQueue
from refit.shell.reconcile import Reconciler
from refit.shell.registry import Registry
from refit.shell.requests import Key, Keys
from refit.shell.settings import Settings
from refit.shell.telling import telling
from refit.shell.tracing import Tracer, exporting

log = logging.getLogger(__name__)

WATCHING = "watching"
IDENTITY = "refit-operator"
"""Kopf would ask the system for the user's name, and a numeric user has none."""
STUCK_SECONDS = 300.0
"""A pass that runs longer hangs: every request it makes ends within 30 s."""
DRAIN_SECONDS = 5.0
"""How long running passes may go on after SIGTERM; the next process repairs what they leave."""


async def run(settings: Settings, intake: IntakeSettings) -> None:
    """Runs until SIGTERM or SIGINT; raises if a part of it ends by itself."""
    metrics = Metrics()
    queue: KeyedQueue[Key] = KeyedQueue(time.monotonic)
    metrics.watch_queue(queue.depth, queue.oldest, queue.longest_pass)
    stop, listed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def alive() -> str:
        stuck = queue.longest_pass()
        return f"a pass has been running for {stuck:.0f} s" if stuck > STUCK_SECONDS else ""

    def ready() -> str:
        return "" if listed.is_set() else "objects have not been listed yet"

    async with contextlib.AsyncExitStack() as stack:
        api = await stack.enter_async_context(await connect(settings.kubeconfig, settings.context))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        # A connection that is kept outlives the route it was made by: one made before a new Service's address
        # was known to the node went elsewhere, and gave that place's answers for as long as it was asked.
        afresh = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, use_dns_cache=False))
        )
        cluster = LiveCluster(api, metrics.count_request)
        tracer = Tracer(exporting(settings.otlp_endpoint), settings.cluster_name)
        stack.callback(tracer.close)
        ledger = Ledger(
            settings.audit_database, _now, lambda: keys.read(settings.audit_keys), settings.audit_database_password_file
        )
        stack.callback(ledger.close)
        namespace = home(settings.identity)
        routes = server.application(metrics.registry, alive=alive, ready=ready)
        routes.add_routes(Door(ledger=ledger, reviewer=cluster, namespace=namespace).routes())
        runner = await server.serve(routes, settings.http_port)
        stack.push_async_callback(runner.cleanup)
        echoes, known, noticed = Echoes(), Keys(), Keys()
        store = await stack.enter_async_context(
            running(
                intake,
                known=lambda namespace, name: (namespace, name) in known,
                ready=listed.is_set,
                stored=lambda namespace, name: queue.add((namespace, name)),
                registry=metrics.registry,
            )
        )
        keeper = Keeper(
            ledger=ledger,
            cluster=cluster,
            session=session,
            places=Places(namespace=namespace, copy=settings.audit_checkpoint_copy),
            metrics=metrics.audit,
            rows=settings.audit_checkpoint_rows,
            seconds=settings.audit_checkpoint_seconds,
        )
        await stack.enter_async_context(keeping(keeper))
        guard = Guard(cluster=cluster, identity=settings.identity)
        overseer = Overseer(cluster=cluster, ledger=ledger, guard=guard, identity=settings.identity)
        endpoint = Endpoint(afresh)
        reconciler = Reconciler(
            sources=Sources(
                cluster=cluster,
                endpoint=endpoint,
                alerts=StoredAlerts(store),
                overseer=overseer,
                loads=Loads(cluster, endpoint, _now),
            ),
            ledger=ledger,
            registry=Registry(session, settings.tracking_uri),
            tracer=tracer,
            teller=await stack.enter_async_context(telling(settings, session, metrics.registry, _now)),
            config=settings.config(),
            metrics=metrics,
            clock=_now,
            echoes=echoes,
            known=known,
            noticed=noticed,
        )
        registry = kopf.OperatorRegistry()
        login = handlers.login_with(lambda: credentials(api))
        handlers.register(registry, queue.add, known.add, noticed.add, is_echo=echoes.is_echo, login=login)
        watching = asyncio.create_task(
            kopf.operator(
                registry=registry,
                settings=handlers.kopf_settings(),
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
                stop_flag=stop,
                ready_flag=listed,
                identity=IDENTITY,  # type: ignore[arg-type]  # a NewType of str that Kopf keeps private
            ),
            name=WATCHING,
        )
        workers = [asyncio.create_task(queue.work(reconciler), name=f"worker {n}") for n in range(settings.workers)]
        try:
            await _until_stopped(stop, [watching, *workers])
        finally:
            stop.set()
            await _drain(queue, workers)
            for task in (watching, *workers):
                task.cancel()
            await asyncio.gather(watching, *workers, return_exceptions=True)
    log.info("stopped")


def _now() -> datetime:
    return datetime.now(UTC)


async def _until_stopped(stop: asyncio.Event, parts: list[asyncio.Task[None]]) -> None:
    """Waits for the signal. No part may end before it: a process that only looks alive is worse than none."""
    stopping = asyncio.create_task(stop.wait(), name="stopping")
    done, _ = await asyncio.wait([stopping, *parts], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in done:
        if task is stopping:
            continue
        task.result()  # raises what ended it
        # Kopf takes the signals for itself and ends without an error when one comes.
        if task.get_name() != WATCHING and not stop.is_set():
            raise RuntimeError(f"{task.get_name()} ended by itself")


async def _drain(queue: KeyedQueue[Key], workers: list[asyncio.Task[None]]) -> None:
    """Lets running passes end, and starts no new one."""
    idle = queue.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(idle, DRAIN_SECONDS)
    log.debug("%d workers end", len(workers))
