"""The least operator there is, to compare with: one event, one key in a queue, one status applied. Nothing is read.

    REFIT_* python benchmarks/bare_operator.py

It takes the settings, the queue and the gateway from Refit, so that only what a pass does differs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import kopf

from refit.api import meta
from refit.kube.live import LiveCluster, connect, credentials
from refit.shell import handlers, server
from refit.shell.metrics import Metrics
from refit.shell.queue import KeyedQueue
from refit.shell.requests import Key
from refit.shell.settings import Settings

STATUS = {
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Serving",
            "message": "version 1 serves",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-21T12:00:00Z",
        }
    ],
}


async def run(settings: Settings) -> None:
    metrics, queue = Metrics(), KeyedQueue[Key](time.monotonic)
    metrics.watch_queue(queue.depth, queue.oldest, queue.longest_pass)
    registry = kopf.OperatorRegistry()

    async def changed(namespace: str | None, name: str, status: Mapping[str, Any], **_: Any) -> None:
        if namespace and status != STATUS:
            queue.add((namespace, name))

    kopf.on.event(meta.GROUP, meta.VERSION, meta.DEPLOYMENTS, registry=registry)(changed)
    async with await connect(settings.kubeconfig, settings.context) as api:
        kopf.on.login(registry=registry)(handlers.login_with(lambda: credentials(api)))
        cluster = LiveCluster(api, metrics.count_request)

        async def one_pass(key: Key) -> None:
            with metrics.passes.time():
                metadata = {"namespace": key[0], "name": key[1]}
                manifest = {"apiVersion": meta.API_VERSION, "kind": meta.DEPLOYMENT_KIND, "metadata": metadata}
                await cluster.apply_status({**manifest, "status": STATUS})

        listed = asyncio.Event()
        ready = server.application(
            metrics.registry, alive=lambda: "", ready=lambda: "" if listed.is_set() else "not listed"
        )
        await server.serve(ready, settings.http_port)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(settings.workers):
                tasks.create_task(queue.work(one_pass))
            tasks.create_task(
                kopf.operator(registry=registry, settings=handlers.kopf_settings(), clusterwide=True, ready_flag=listed)
            )


if __name__ == "__main__":
    asyncio.run(run(Settings.read()))
