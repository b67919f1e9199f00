"""The audit as an operator of a control plane keeps it: its door behind the API server, its checkpoint in the ConfigMap.

It asks the API server as the operator, with the rights of manifests/rbac.yaml and no more.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry

from audited import KEYS
from backends import _service
from collector_process import free_port
from guarded import OPERATOR, PEOPLE, SYSTEM, Guarded, shipped
from plugin import BEGAN, DIGEST, DONE, EARLIER
from refit.api.entries import Entry, EntryKind
from refit.audit.ledger import Ledger
from refit.kube.live import LiveCluster, connect
from refit.shell.audit import Keeper, Places
from refit.shell.audit_door import Door
from refit.shell.metrics import AuditMetrics

CONTENT = {
    "request": DONE,
    "namespace": "team-a",
    "model": "heart",
    "action": "Retrain",
    "trigger": {"type": "Drift"},
    "actor": OPERATOR,
    "approvers": ["alice"],
}


async def _filled(folder: Path) -> Ledger:
    """An intent and an outcome, half an hour apart."""
    now = BEGAN - timedelta(hours=1)
    found = Ledger(folder / "audit.db", lambda: now, lambda: KEYS)
    for kind, more in ((EntryKind.INTENT, {}), (EntryKind.OUTCOME, {"outcome": {"result": "Retrained"}})):
        entry = Entry(
            kind=kind,
            request_uid="0b9e5a1c",
            digest=EARLIER,
            trigger="Drift",
            actor=OPERATOR,
            trace=DIGEST[7:39],
            namespace="team-a",
            model="heart",
            content={**CONTENT, **more},
        )
        await found.write(entry)
        now += timedelta(minutes=30)
    return found


@contextmanager
def audit_behind(plane: Guarded, folder: Path, address: str) -> Iterator[Path]:
    """The audit's file; its Service is known to the API server by the name that the chart gives it."""
    plane.put(*shipped("manifests/audit.yaml"))
    port, ready, done = free_port(), threading.Event(), threading.Event()
    kubeconfig = str(plane.plane.kubeconfig_for(OPERATOR, *PEOPLE[OPERATOR].groups))
    problems: list[BaseException] = []

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(await connect(kubeconfig, None))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            cluster, ledger = LiveCluster(api), await _filled(folder)
            stack.callback(ledger.close)
            places = Places(namespace=SYSTEM, copy=str(folder))
            keeper = Keeper(
                ledger=ledger,
                cluster=cluster,
                session=session,
                places=places,
                metrics=AuditMetrics(CollectorRegistry()),
                rows=1,
                seconds=1,
            )
            assert await keeper.open()
            assert await keeper.export()
            app = web.Application()
            app.add_routes(Door(ledger=ledger, reviewer=cluster, namespace=SYSTEM).routes())
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, None, port).start()
            ready.set()
            await asyncio.to_thread(done.wait)

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # told to the test, whose thread is another
            problems.append(error)
            ready.set()
            raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(60)
    if problems:
        raise problems[0]
    _service(plane, "refit-operator", 8080, address, port)
    try:
        yield folder / "audit.db"
    finally:
        done.set()
        thread.join(30)
